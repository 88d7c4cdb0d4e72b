"""Models are loaded as botocore loads them, and once in a process."""

from __future__ import annotations

import json
import os
from pathlib import Path

import botocore.session
import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import create_loader

from airflow_sm_hosting.service_model.loader import (
    PlainJson,
    ServiceLoader,
    service_loader,
    use_service_loader,
)

#: The services of the hooks (``tests/hooks/test_clients.py`` holds that), and those that are asked beside them.
SERVICES = [
    "sagemaker",
    "sagemaker-runtime",
    "cloudwatch",
    "application-autoscaling",
    "s3",
    "ecr",
    "sts",
    "iam",
    "logs",
]
KINDS = ["service-2", "paginators-1", "waiters-2", "endpoint-rule-set-1"]


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", KINDS)
def test_every_model_is_botocore_s(service: str, kind: str) -> None:
    # One of its own: clients change models that they were given, as botocore's handlers for S3 do.
    own, theirs = ServiceLoader(file_loader=PlainJson()), create_loader()
    try:
        expected = theirs.load_service_model(service, kind)
    except DataNotFoundError:
        with pytest.raises(DataNotFoundError):
            own.load_service_model(service, kind)
        return
    found = own.load_service_model(service, kind)

    assert json.dumps(found) == json.dumps(expected)  # the order, too


def test_an_unknown_service_is_told_as_botocore_tells_it() -> None:
    with pytest.raises(UnknownServiceError, match="sagemaker"):
        service_loader(None).load_service_model("sagemakr", "service-2")


def test_models_of_the_user_s_own_come_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = [tmp_path / name for name in ("first", "second", "missing")]
    for folder in folders[:2]:
        model = folder / "sagemaker" / "2099-01-01" / "service-2.json"
        model.parent.mkdir(parents=True)
        model.write_text(json.dumps({"metadata": {"from": folder.name}}))
    monkeypatch.setenv("AWS_DATA_PATH", os.pathsep.join(map(str, folders)))
    session = botocore.session.get_session()

    use_service_loader(session)

    assert session.get_service_data("sagemaker")["metadata"] == {"from": "first"}
    assert "s3" in session.get_available_services()


def test_the_loader_is_what_botocore_expects() -> None:
    """What it overrides exists, so that a botocore which renames it is noticed."""
    theirs = type(create_loader())

    assert ServiceLoader.__mro__[1] is theirs
    assert {"list_available_services", "search_paths"} <= set(vars(theirs))
    assert "load_file" in vars(theirs.FILE_LOADER_CLASS)

"""One folder has one name and one image: on any checkout, any supported Python, and whoever checked it out."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.clients.environments import environment, interpreter, run_script, without_ours
from tests.local.conftest import login_of
from tests.local_servers import local_server

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
REQUIREMENTS = ("boto3", "isal", "pathspec", "platformdirs", "requests", "tenacity", "docker", "protobuf")
SCRIPT = """
import hashlib, json, logging, sys
from pathlib import Path
from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.builders import Destination
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.spec.naming import content_digest, content_name
app, model, work, repository, user, password = sys.argv[1:]
recipe = BuildRecipe(BuildContext(app), build_args={"A": "1", "B": "é"}, labels={"l": "2"})
with recipe.context.tar() as tar:
    sent = hashlib.sha256(tar.read()).hexdigest()
packed = pack(model, workdir=work)
pushed = ImageAssembler().build_and_push(recipe, Destination(repository, "v1", user, password), logging.getLogger())
print(json.dumps({
    "python": sys.version_info[:2],
    "fingerprint": recipe.fingerprint(),
    "tar": sent,
    "model data": packed.sha256,
    "digest": pushed.digest,
    "name": content_name("churn", content_digest("CreateModel", {"a": 1, "b": ["é", None, 1.5]})),
}))
"""


@pytest.fixture(scope="module")
def repository() -> tuple[LocalAws, str]:
    aws = local_server()
    aws.reset()
    made = aws.client("ecr").create_repository(repositoryName="same")["repository"]["repositoryUri"]
    return aws, made


def checked_out(folder: Path, umask: int, *, backwards: bool) -> tuple[Path, Path]:
    """Write the same content as another person would: in another order, with other times, owners' bits and folders."""
    app, model = folder / "app", folder / "model"
    files: dict[Path, bytes] = {
        app / "Dockerfile": b'FROM scratch\nARG A\nCOPY . /opt/\nENV A=$A\nENTRYPOINT ["/opt/run.sh"]\n',
        app / "run.sh": b"#!/bin/sh\n",
        app / "pkg" / "a.py": b"a",
        app / "pkg" / "\u00e9.py": b"b",
        app / ".dockerignore": b"*.log\n",
        app / "x.log": os.urandom(8),
        model / "model.json": b"{}" * 5000,
        model / "code" / "inference.py": b"print()",
    }
    before = os.umask(umask)
    try:
        for number, (path, content) in enumerate(reversed(files.items()) if backwards else files.items()):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            os.utime(path, (1_000_000 * number, 1_000_000 * number + umask))
        (app / "run.sh").chmod(0o700 if umask else 0o755)
        (app / "link").symlink_to("pkg/a.py")
        (app / "empty").mkdir()
    finally:
        os.umask(before)
    return app, model


def facts(python: Path | str, folder: Path, repository: tuple[LocalAws, str], **how: Any) -> dict[str, Any]:
    aws, uri = repository
    folder.mkdir()
    app, model = checked_out(folder, **how)
    told: dict[str, Any] = json.loads(
        run_script(
            Path(python),
            SCRIPT,
            *(str(app), str(model), str(folder), uri, *login_of(aws)),
            env=without_ours(aws, PYTHONPATH=str(ROOT)),
        )
    )
    return told


@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_three_pythons_and_two_checkouts_agree(
    version: str, tmp_path: Path, repository: tuple[LocalAws, str]
) -> None:
    other = environment(f"python-{version}", *REQUIREMENTS, python=interpreter(version)) / "python"
    here = facts(sys.executable, tmp_path / "here", repository, umask=0o022, backwards=False)
    there = facts(other, tmp_path / "there", repository, umask=0o077, backwards=True)
    assert here.pop("python") == [*sys.version_info[:2]]
    assert ".".join(map(str, there.pop("python"))) == version
    assert here == there
    shutil.rmtree(tmp_path, ignore_errors=True)

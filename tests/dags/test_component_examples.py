"""The examples with AWS's own images run through Airflow, against the local AWS with stand-ins of these images."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples

pytestmark = [pytest.mark.airflow_db, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        aws.client("s3").create_bucket(Bucket="sm-hosting-models")
        aws.client("iam").create_role(
            RoleName="SageMakerHostingRole", AssumeRolePolicyDocument=json.dumps(policies.trust())
        )
        yield Examples(aws, tmp_path_factory.mktemp("examples"))


def test_tenants_share_an_endpoint_and_one_more_is_an_upload(examples: Examples) -> None:
    for name in ("acme", "globex"):
        folder = examples.dags / "tenants" / name
        folder.mkdir(parents=True)
        (folder / "xgboost-model").write_text(name)
    states = examples.run("multi_model", endpoint_name="tenants")
    assert set(states.values()) == {"success"}, states
    assert {"ask[0]", "ask[1]"} <= set(states)
    (examples.dags / "tenants" / "acme" / "xgboost-model").write_text("acme, trained again")
    examples.aws.clear_requests()
    states = examples.run("multi_model", endpoint_name="tenants")
    assert set(states.values()) == {"success"}, states
    changed = [one["operation"] for one in examples.aws.requests() if one["mutating"]]
    assert set(changed) == {"PutObject"}

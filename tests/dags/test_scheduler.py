"""The example DAGs under Airflow's own scheduler, API server, DAG processor and triggerer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws
from tests.standalone import DEFERRED_TRANSITION, Airflow

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(engine="process", transition_seconds=DEFERRED_TRANSITION) as aws:
        aws.client("s3").create_bucket(Bucket="sm-hosting-models")
        aws.client("iam").create_role(
            RoleName="SageMakerHostingRole", AssumeRolePolicyDocument=json.dumps(policies.trust())
        )
        yield aws


@pytest.fixture(scope="module")
def airflow(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("standalone")
    environment = {
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
        "MODEL_STORE": str(home / "models"),
        "SM_HOSTING_ALLOW_MISSING_BASE": "1",
        "AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler",
    }
    airflow = Airflow(home, ROOT / "dags", environment)
    try:
        yield airflow
    finally:
        airflow.stop()


def test_the_training_s_asset_event_starts_the_deployment_which_succeeds(
    airflow: Airflow, aws: LocalAws
) -> None:
    airflow.unpause("retrain_and_deploy", "train_model")
    airflow.api("POST", "dags/train_model/dagRuns", json={"logical_date": None, "conf": {"seed": 3}})

    run = airflow.ended_run("retrain_and_deploy")
    tasks = airflow.task_instances(run)
    states = {name: task["state"] for name, task in tasks.items()}
    assert run["state"] == "success", states
    assert run["run_type"] == "asset_triggered"
    assert set(states.values()) == {"success"}
    assert len(states) == 12

    described = aws.client("sagemaker").describe_endpoint(EndpointName="breast-cancer")
    assert described["EndpointStatus"] == "InService"

    details = airflow.xcom(run, "deploy_endpoint", "details")
    assert (details["action"], tasks["deploy_endpoint"]["try_number"]) == ("create", 1)
    assert details["endpoint_config_name"] == described["EndpointConfigName"]

    links = airflow.api(
        "GET", f"dags/retrain_and_deploy/dagRuns/{run['dag_run_id']}/taskInstances/deploy_endpoint/links"
    )["extra_links"]
    assert links["Endpoint"].startswith(f"{aws.endpoint_url}/_sm_hosting/ui/endpoints/breast-cancer")
    assert "/ui/logs/endpoints/breast-cancer" in links["Endpoint logs"]

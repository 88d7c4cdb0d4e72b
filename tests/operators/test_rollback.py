"""A new model whose container crashes: the task fails, and the endpoint goes on answering with the old one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
)
from airflow_sm_hosting.exceptions import DeploymentFailedError, DeploymentRolledBackError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.retries import why_hopeless
from tests.local.conftest import Deployer
from tests.operators.conftest import ROLE, deploy, outcome, run_task, settled, task_id

SECRET = "s3cr3t-in-the-environment"
REASON = (
    "The primary container for production variant main did not pass the ping health check. Please check CloudWatch logs for this "
    "endpoint."
)


def chain(image: str, environment: dict[str, str]) -> str:
    model = run_task(
        CreateModelOperator(
            task_id=task_id("model"),
            model_name="churn",
            containers=[ContainerDefinition(image=image, environment=environment)],
            execution_role=ROLE,
        )
    ).value
    return run_task(
        CreateEndpointConfigOperator(
            task_id=task_id("config"),
            endpoint_config_name="churn",
            production_variants=[
                InstanceProductionVariant(
                    model_name=model, variant_name="main", container_startup_health_check_timeout=60
                )
            ],
        )
    ).value


def answer() -> dict[str, Any]:
    task = InvokeEndpointOperator(
        task_id=task_id("invoke"), endpoint_name="churn", body="1", push_response=True
    )
    return json.loads(run_task(task).details["response"])


@pytest.mark.slow
def test_the_old_model_goes_on_answering(
    process_aws: LocalAws, dag: DAG, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    image = Deployer(process_aws).push_image()
    good = chain(image, {"VERSION": "1"})
    assert outcome(deploy(good, deferrable=False)).error is None
    bad = chain(image, {"VERSION": "2", "CRASH": "1", "PASSWORD": SECRET})
    assert bad != good

    ends = [outcome(deploy(bad, deferrable=deferrable)) for deferrable in (False, True)]

    for end in ends:
        assert type(end.error) is DeploymentRolledBackError
        told = str(end.error)
        assert told.startswith(
            f"SageMaker rolled endpoint churn back: it serves {good}, not {bad} as requested. Reason: {REASON}"
        )
        # What to do about it, and what the container wrote last, without the values of its environment.
        assert "The container must answer GET /ping" in told
        assert "this container crashes at its start" in told
        assert "the password is ***" in told
        assert end.error.cause == "ping health check"
        assert why_hopeless(end.error)
        assert end.details["action"] == "update"
        assert end.details["endpoint_config_name"] == good
        assert answer()["version"] == "1"
    assert ends[0].details == ends[1].details
    assert ends[0].error.details.keys() == ends[1].error.details.keys()
    found = settled(process_aws)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", good)

    better = chain(image, {"VERSION": "3"})
    assert outcome(deploy(better, deferrable=True)).error is None
    assert answer()["version"] == "3"
    shown = capsys.readouterr()
    assert SECRET not in caplog.text + shown.out + shown.err + repr(ends)


def test_a_first_deployment_that_crashes_fails_and_the_next_one_replaces_it(
    process_aws: LocalAws, dag: DAG
) -> None:
    image = Deployer(process_aws).push_image()
    bad = chain(image, {"CRASH": "1"})
    end = outcome(deploy(bad, deferrable=True))
    assert type(end.error) is DeploymentFailedError
    assert REASON in str(end.error)
    again = outcome(deploy(chain(image, {"VERSION": "1"}), deferrable=False))
    assert (again.error, again.details["action"]) == (None, "replace")
    assert answer()["version"] == "1"

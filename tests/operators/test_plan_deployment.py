"""What a deployment would do, and that saying so changes nothing."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import AllAtOnce, PlanDeploymentOperator
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    deploy,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    task_id,
)


def plan(config: str, **given: Any) -> PlanDeploymentOperator:
    return PlanDeploymentOperator(
        task_id=task_id(), endpoint_name="churn", endpoint_config_name=config, **given
    )


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    aws.client("sagemaker").create_model(
        ModelName="secret",
        PrimaryContainer={"Image": IMAGE, "Environment": {"PASSWORD": "hunter2"}},
        ExecutionRoleArn=ROLE,
    )
    make_config(aws, "c2", "secret", InitialInstanceCount=2)
    return aws


def test_an_endpoint_that_does_not_exist_would_be_created(configs: LocalAws, dag: DAG) -> None:
    configs.clear_requests()

    end = outcome(plan("c1"))

    found = end.ran.details
    assert (end.error, found["action"], found["calls"]) == (None, "create", ["CreateEndpoint"])
    assert operations(configs, mutating=True) == []


def test_an_endpoint_on_the_config_would_be_left_alone(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")

    found = outcome(plan("c1")).ran.details

    assert (found["action"], found["calls"], found["changes"]) == ("unchanged", [], [])


def test_an_update_is_told_field_by_field_without_secrets(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()

    end = outcome(plan("c2", rollout=AllAtOnce(termination_wait=60)))

    found = end.ran.details
    assert (found["action"], found["serving"], found["target"]) == ("update", "c1", "c2")
    assert found["calls"] == ["AddTags", "UpdateEndpoint", "AddTags"]
    assert found["two_fleets"] is True
    assert "main: instance count is 1, becomes 2" in found["changes"]
    assert "main: ModelName is 'model', becomes 'secret'" in found["changes"]
    assert "main: model PrimaryContainer.Environment.PASSWORD differs" in found["changes"]
    assert "hunter2" not in end.value + repr(found)
    assert "### Changes" in end.value
    assert operations(configs, mutating=True) == []


def test_the_calls_of_the_plan_are_the_calls_of_the_deployment(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    planned = outcome(plan("c2")).ran.details["calls"]
    configs.clear_requests()

    assert outcome(deploy("c2")).error is None

    assert operations(configs, mutating=True) == planned


def test_a_failed_endpoint_would_be_replaced(aws: LocalAws, dag: DAG) -> None:
    make_config(aws, "bad", make_broken_model(aws))
    make_endpoint(aws, "bad")
    make_model(aws)
    make_config(aws, "c1")

    found = outcome(plan("c1")).ran.details

    assert (found["action"], found["calls"]) == ("replace", ["DeleteEndpoint", "CreateEndpoint"])


def test_a_refusal_is_a_plan_that_says_why(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1", tags={})

    end = outcome(plan("c2"))

    assert (end.error, end.ran.details["action"], end.ran.details["calls"]) == (None, "refuse", [])
    assert "adopt=True" in end.value


def test_an_alarm_that_cannot_go_off_is_a_refusal(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")

    end = outcome(plan("c2", auto_rollback_alarms=["nowhere"]))

    assert end.ran.details["action"] == "refuse"
    assert "alarm nowhere does not exist" in end.value


def test_bad_input_is_an_error(configs: LocalAws, dag: DAG) -> None:
    configs.clear_requests()

    assert isinstance(outcome(plan("{{ 'a_b' }}")).error, InvalidSpecError)
    assert operations(configs) == []

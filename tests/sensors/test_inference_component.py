"""InferenceComponentInServiceSensor, in the worker and in the triggerer."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk import DAG

from airflow_sm_hosting import InferenceComponentInServiceSensor
from airflow_sm_hosting.exceptions import DeploymentFailedError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.retries import RETRIES
from tests.operators.components import make_component, make_host
from tests.operators.conftest import (
    answered_with,
    event_hook,
    make_broken_model,
    make_model,
    operations,
    outcome,
    sagemaker_client,
    task_id,
)


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def sensor(**options: Any) -> InferenceComponentInServiceSensor:
    return InferenceComponentInServiceSensor(
        **{
            "task_id": task_id("wait"),
            "inference_component_name": "churn",
            "poke_interval": 0.1,
            "timeout": 30,
            **options,
        }
    )


@pytest.fixture
def host(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_host(aws)
    return aws


def test_a_component_in_service_ends_the_wait(host: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_component(host)
    host.clear_requests()
    end = outcome(sensor(deferrable=deferrable))
    assert end.error is None
    assert operations(host) == ["DescribeInferenceComponent"]
    assert end.ran.deferrals == deferrable
    assert end.ran.xcoms["inference_component_logs_link"].endswith(
        "/ui/logs/components/churn?region=us-east-1"
    )


def test_a_component_that_does_not_exist_yet_is_waited_for(
    host: LocalAws, dag: DAG, deferrable: bool
) -> None:
    looks = iter(range(100))

    def made(**_: Any) -> None:
        if next(looks) == 1:
            make_component(host)

    with event_hook(sagemaker_client(), "before-call.*.DescribeInferenceComponent", made):
        assert outcome(sensor(deferrable=deferrable)).error is None


def test_copies_that_are_not_in_service_yet_are_waited_for(
    host: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_component(host)
    looks = iter(range(100))

    def short(parsed: dict[str, Any]) -> None:
        if next(looks) < 2:
            parsed["RuntimeConfig"] = {"DesiredCopyCount": 1, "CurrentCopyCount": 0}

    with answered_with(sagemaker_client(), "DescribeInferenceComponent", short):
        assert outcome(sensor(deferrable=deferrable)).error is None
    assert next(looks) >= 3


def test_a_failed_component_is_an_error_with_its_reason(host: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_component(host, make_broken_model(host))
    end = outcome(sensor(deferrable=deferrable))
    assert isinstance(end.error, DeploymentFailedError)
    assert str(end.error).startswith("Inference component churn is Failed")


def test_the_timeout_is_that_of_every_sensor(host: LocalAws, dag: DAG, deferrable: bool) -> None:
    assert isinstance(outcome(sensor(deferrable=deferrable, timeout=0.5)).error, AirflowSensorTimeout)


def test_a_wrong_name_is_told_at_parse_and_retries_are_ours(dag: DAG) -> None:
    with pytest.raises(InvalidSpecError):
        sensor(inference_component_name="a_b")
    assert getattr(sensor(), "retry_policy", None) is RETRIES

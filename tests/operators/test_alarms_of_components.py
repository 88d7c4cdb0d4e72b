"""Alarms on inference components: their dimensions, their names, and what is not published of them."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import CreateEndpointAlarmOperator, CreateLatencyAlarmOperator, EndpointMetric
from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.operators.components import make_component, make_host, make_models
from tests.operators.conftest import operations, outcome, run_task, task_id

pytestmark = pytest.mark.usefixtures("dag")


def alarm(**options: Any) -> CreateEndpointAlarmOperator:
    return CreateEndpointAlarmOperator(
        **{
            "task_id": task_id("alarm"),
            "dag": DAG("test", schedule=None),
            "inference_component_name": "churn",
            "metric": EndpointMetric.invocation_5xx_errors(),
            "threshold": 1,
            "evaluation_periods": 2,
            **options,
        }
    )


def put(aws: LocalAws, name: str) -> Any:
    return aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]


def test_an_alarm_watches_the_component_and_a_rerun_changes_nothing(aws: LocalAws) -> None:
    make_models(aws, "model")
    make_host(aws)
    make_component(aws)
    assert run_task(alarm(inference_component_name="churn")).value == "churn-Invocation5XXErrors"
    dimensions = put(aws, "churn-Invocation5XXErrors")["Dimensions"]
    assert dimensions == [{"Name": "InferenceComponentName", "Value": "churn"}]
    aws.clear_requests()
    run_task(alarm(task_id="alarm", inference_component_name="churn"))
    assert operations(aws, mutating=True) == []


def test_latency_of_a_component(aws: LocalAws) -> None:
    task = CreateLatencyAlarmOperator(
        task_id="latency",
        inference_component_name="churn",
        threshold=1000,
        evaluation_periods=1,
        check_endpoint=False,
    )
    assert run_task(task).value == "churn-ModelLatency"
    assert put(aws, "churn-ModelLatency")["Dimensions"][0]["Name"] == "InferenceComponentName"


def test_a_component_that_is_not_there_is_an_error(aws: LocalAws) -> None:
    assert isinstance(outcome(alarm()).error, NotFoundError)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"endpoint_name": "e"}, "inference_component_name is given with endpoint_name"),
        ({"inference_component_name": None}, "endpoint_name"),
        ({"inference_component_name": None, "endpoint_name": "e"}, "variant_name"),
    ],
)
def test_what_is_watched_is_named_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        alarm(**options)


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (EndpointMetric.cpu_utilization(), "CPUUtilizationNormalized"),
        (EndpointMetric.disk_utilization(), "MemoryUtilizationNormalized"),
        (EndpointMetric.invocations_per_instance(), "InvocationsPerCopy"),
    ],
)
def test_metrics_of_variants_are_not_those_of_components(
    aws: LocalAws, metric: EndpointMetric, message: str
) -> None:
    error = outcome(alarm(metric=metric, check_endpoint=False)).error
    assert isinstance(error, InvalidSpecError)
    assert message in str(error)
    assert operations(aws) == []

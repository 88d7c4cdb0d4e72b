"""DeleteEndpointOperator: in the order that AWS documents, and nothing that is not ours."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import DeleteEndpointOperator
from airflow_sm_hosting.exceptions import ConflictError, DeploymentTimeoutError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import (
    answered_with,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    sagemaker_client,
    task_id,
)


def delete(**options: Any) -> DeleteEndpointOperator:
    return DeleteEndpointOperator(
        **{
            "task_id": task_id("delete"),
            "endpoint_name": "churn",
            "poll_interval": 0.1,
            "timeout": 60,
            **options,
        }
    )


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_endpoint(aws, "c1")
    aws.clear_requests()
    return aws


def left(aws: LocalAws) -> list[int]:
    client = aws.client("sagemaker")
    return [
        len(client.list_endpoints()["Endpoints"]),
        len(client.list_endpoint_configs()["EndpointConfigs"]),
        len(client.list_models()["Models"]),
    ]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1, 1]),
        ({"delete_endpoint_config": True}, [0, 0, 1]),
        ({"delete_endpoint_config": "{{ true }}", "delete_models": "{{ 'True' }}"}, [0, 0, 0]),
        ({"delete_endpoint_config": "{{ false }}", "delete_models": "{{ 'False' }}"}, [0, 1, 1]),
    ],
)
def test_what_is_deleted(endpoint: LocalAws, dag: DAG, options: dict[str, Any], expected: list[int]) -> None:
    assert run_task(delete(**options)).value is None
    assert left(endpoint) == expected


def test_a_second_time_is_no_error(endpoint: LocalAws, dag: DAG) -> None:
    run_task(delete(delete_endpoint_config=True, delete_models=True))
    endpoint.clear_requests()
    run_task(delete(delete_endpoint_config=True, delete_models=True))
    assert operations(endpoint, mutating=True) == []


def test_another_ones_endpoint_is_not_deleted(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    make_config(aws, "c1")
    make_endpoint(aws, "c1", tags={"owner": "cdk"})
    with pytest.raises(ConflictError, match="adopt=True"):
        run_task(delete())
    assert left(aws) == [1, 1, 1]
    run_task(delete(adopt="{{ true }}"))
    assert left(aws) == [0, 1, 1]


def test_a_failed_endpoint_is_deleted(aws: LocalAws, dag: DAG) -> None:
    make_config(aws, "bad", make_broken_model(aws))
    make_endpoint(aws, "bad")
    run_task(delete(delete_endpoint_config=True, delete_models=True))
    assert left(aws) == [0, 0, 0]


@pytest.mark.slow
def test_what_is_in_progress_is_waited_out(slow_aws: LocalAws, dag: DAG) -> None:
    make_model(slow_aws)
    make_config(slow_aws, "c1")
    make_config(slow_aws, "c2")
    make_endpoint(slow_aws, "c1")
    slow_aws.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName="c2")
    run_task(delete(delete_endpoint_config=True))
    remaining = slow_aws.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    assert [config["EndpointConfigName"] for config in remaining] == ["c1"]


def test_the_time_budget(endpoint: LocalAws, dag: DAG) -> None:
    def updating(found: dict[str, Any]) -> None:
        found["EndpointStatus"] = "Updating"

    with answered_with(sagemaker_client(), "DescribeEndpoint", updating):
        end = outcome(delete(timeout=1))
    assert type(end.error) is DeploymentTimeoutError
    assert left(endpoint) == [1, 1, 1]


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint_name": "{{ none }}"},
        {"endpoint_name": "{{ 'a_b' }}"},
        {"delete_endpoint_config": "{{ 'maybe' }}"},
        {"delete_models": "{{ 'maybe' }}"},
        {"adopt": "{{ 'maybe' }}"},
        {"timeout": "{{ 'soon' }}"},
    ],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    endpoint: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    end = outcome(delete(**bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(endpoint) == []


def test_scaling_and_alarms_of_ours_go_with_the_endpoint(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    make_config(aws, "c1")
    make_endpoint(aws, "c1")
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    scaling, cloudwatch = aws.client("application-autoscaling"), aws.client("cloudwatch")
    scaling.register_scalable_target(**place, MinCapacity=1, MaxCapacity=2)
    for name, endpoint, tags in (("ours", "churn", OURS), ("theirs", "churn", {}), ("other", "other", OURS)):
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[
                {"Name": "EndpointName", "Value": endpoint},
                {"Name": "VariantName", "Value": "main"},
            ],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanThreshold",
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )

    run_task(DeleteEndpointOperator(task_id=task_id(), endpoint_name="churn", poll_interval=0.1))

    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    left = {alarm["AlarmName"] for alarm in cloudwatch.describe_alarms()["MetricAlarms"]}
    assert left == {"theirs", "other"}
    asked = operations(aws)
    assert (
        asked.index("DeregisterScalableTarget") < asked.index("DeleteEndpoint") < asked.index("DeleteAlarms")
    )

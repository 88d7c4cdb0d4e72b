"""SageMaker finds an endpoint by its name in any case; dimensions and resource IDs have the name that DescribeEndpoint returns."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointAlarmOperator,
    CreateLatencyAlarmOperator,
    DeleteEndpointOperator,
    DeleteInferenceComponentOperator,
    DeployEndpointOperator,
    EndpointMetric,
    InvocationsScaling,
    MetricMath,
    RemoveAutoscalingOperator,
    TargetTrackingScaling,
)
from airflow_sm_hosting.local import LocalAws
from tests.operators.components import deploy_component, make_component, make_host
from tests.operators.conftest import make_config, make_endpoint, make_model, operations, run_task, task_id

ENDPOINT = "Churn-Prod"
COMPONENT = "Llama"
COMPONENT_IN_OTHER_CASES = ["llama", "arn:aws:sagemaker:us-east-1:123456789012:inference-component/llama"]
IN_OTHER_CASES = ["churn-prod", "CHURN-PROD", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn-prod"]


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_endpoint(aws, make_config(aws, "Config"), ENDPOINT)
    aws.clear_requests()
    return aws


def alarm_dimensions(aws: LocalAws) -> list[str]:
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    metrics = [
        metric
        for alarm in alarms
        for metric in (
            alarm,
            *(query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query),
        )
    ]
    return [
        one["Value"]
        for metric in metrics
        for one in metric.get("Dimensions") or []
        if one["Name"] == "EndpointName"
    ]


def targets(aws: LocalAws) -> list[str]:
    found = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return [target["ResourceId"] for target in found["ScalableTargets"]]


def configure(name: str, **options: Any) -> Any:
    return run_task(
        ConfigureAutoscalingOperator(
            task_id=task_id("scaling"), endpoint_name=name, variant_name="main", max_capacity=4, **options
        )
    )


@pytest.mark.parametrize("name", [ENDPOINT, *IN_OTHER_CASES])
def test_an_alarm_watches_the_described_name(endpoint: LocalAws, dag: DAG, name: str) -> None:
    ran = run_task(
        CreateLatencyAlarmOperator(
            task_id="alarm", endpoint_name=name, variant_name="main", threshold=1000, evaluation_periods=1
        )
    )
    assert ran.value == f"{name.rpartition('/')[2]}-main-ModelLatency"
    assert alarm_dimensions(endpoint) == [ENDPOINT]


@pytest.mark.parametrize(
    "metric",
    [
        EndpointMetric.error_rate(),
        EndpointMetric.invocations(dimensions={"EndpointName": "churn-prod", "VariantName": "main"}),
        MetricMath(
            expression="a / 2",
            label="half",
            metrics={
                "a": EndpointMetric.invocations(
                    dimensions={"EndpointName": "churn-PROD", "VariantName": "main"}
                )
            },
        ),
    ],
    ids=["expression", "own dimensions", "own dimensions in an expression"],
)
def test_every_metric_of_an_alarm_has_the_described_name(endpoint: LocalAws, dag: DAG, metric: Any) -> None:
    run_task(
        CreateEndpointAlarmOperator(
            task_id="alarm",
            endpoint_name="churn-prod",
            variant_name="main",
            metric=metric,
            threshold=10,
            evaluation_periods=1,
        )
    )
    assert set(alarm_dimensions(endpoint)) == {ENDPOINT}


def test_other_dimensions_stay_as_they_are(endpoint: LocalAws, dag: DAG) -> None:
    metric = EndpointMetric.invocations(dimensions={"EndpointName": "other", "VariantName": "main"})
    run_task(
        CreateEndpointAlarmOperator(
            task_id="alarm",
            endpoint_name="churn-prod",
            variant_name="main",
            metric=metric,
            threshold=10,
            evaluation_periods=1,
        )
    )
    assert alarm_dimensions(endpoint) == ["other"]


@pytest.mark.parametrize("name", IN_OTHER_CASES)
def test_scaling_is_that_of_the_described_name(endpoint: LocalAws, dag: DAG, name: str) -> None:
    metric = TargetTrackingScaling(customized_metric=EndpointMetric.cpu_utilization(), target_value=50)
    ran = configure(name, policies=[metric])
    assert ran.value == f"endpoint/{ENDPOINT}/variant/main"
    assert targets(endpoint) == [ran.value]
    client = endpoint.client("application-autoscaling")
    [policy] = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    custom = policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    assert {"Name": "EndpointName", "Value": ENDPOINT} in custom["Dimensions"]
    assert configure(ENDPOINT, policies=[metric]).details["written"] == []


@pytest.mark.parametrize("name", IN_OTHER_CASES)
def test_scaling_is_removed_by_any_name(endpoint: LocalAws, dag: DAG, name: str) -> None:
    configure(ENDPOINT)
    ran = run_task(RemoveAutoscalingOperator(task_id="remove", endpoint_name=name, variant_name="main"))
    assert (ran.details["removed"], targets(endpoint)) == (["scalable target"], [])


@pytest.mark.parametrize("name", IN_OTHER_CASES)
def test_a_deployment_keeps_the_scaling(endpoint: LocalAws, dag: DAG, name: str) -> None:
    configure(ENDPOINT, policies=[InvocationsScaling(max_requests_per_second=10)])
    other = make_config(endpoint, "Other", InstanceType="ml.m5.xlarge")
    ran = run_task(
        DeployEndpointOperator(
            task_id="deploy", endpoint_name=name, endpoint_config_name=other, poll_interval=0.1
        )
    )
    assert ran.details["action"] == "update"
    # The type changes, so the scaling was taken off and put back.
    assert "DeregisterScalableTarget" in operations(endpoint)
    assert targets(endpoint) == [f"endpoint/{ENDPOINT}/variant/main"]


@pytest.mark.parametrize(
    "config", ["config", "CONFIG", "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/config"]
)
def test_a_config_in_another_case_already_serves(endpoint: LocalAws, dag: DAG, config: str) -> None:
    ran = run_task(
        DeployEndpointOperator(
            task_id="deploy", endpoint_name=ENDPOINT, endpoint_config_name=config, poll_interval=0.1
        )
    )
    assert ran.details["action"] == "unchanged"
    assert "UpdateEndpoint" not in operations(endpoint)


@pytest.mark.parametrize("config", ["other", "OTHER"])
def test_a_config_in_another_case_is_deployed(endpoint: LocalAws, dag: DAG, config: str) -> None:
    make_config(endpoint, "Other", InitialInstanceCount=2)
    run_task(
        DeployEndpointOperator(
            task_id="deploy", endpoint_name=ENDPOINT, endpoint_config_name=config, poll_interval=0.1
        )
    )
    described = endpoint.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)
    assert described["EndpointConfigName"].lower() == "other"


@pytest.mark.parametrize("name", IN_OTHER_CASES)
def test_scaling_and_alarms_are_deleted_with_the_endpoint(endpoint: LocalAws, dag: DAG, name: str) -> None:
    configure(ENDPOINT)
    run_task(
        CreateLatencyAlarmOperator(
            task_id="alarm", endpoint_name=name, variant_name="main", threshold=1000, evaluation_periods=1
        )
    )
    run_task(DeleteEndpointOperator(task_id="delete", endpoint_name=name, poll_interval=0.1))
    assert (targets(endpoint), alarm_dimensions(endpoint)) == ([], [])


# Inference components.


@pytest.fixture
def component(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_host(aws)
    make_component(aws, name=COMPONENT)
    aws.clear_requests()
    return aws


def scale_copies(aws: LocalAws) -> None:
    run_task(
        ConfigureAutoscalingOperator(
            task_id=task_id("scale"), inference_component_name=COMPONENT, min_capacity=1, max_capacity=3
        )
    )
    assert targets(aws) == [f"inference-component/{COMPONENT}"]
    aws.clear_requests()


@pytest.mark.parametrize("name", COMPONENT_IN_OTHER_CASES)
def test_scaling_of_copies_is_removed_by_any_name(component: LocalAws, dag: DAG, name: str) -> None:
    scale_copies(component)
    ran = run_task(RemoveAutoscalingOperator(task_id="remove", inference_component_name=name))
    assert (ran.details["removed"], targets(component)) == (["scalable target"], [])


@pytest.mark.parametrize("name", COMPONENT_IN_OTHER_CASES)
def test_scaled_copies_are_left_alone_by_any_name(component: LocalAws, dag: DAG, name: str) -> None:
    scale_copies(component)
    ran = run_task(deploy_component(inference_component_name=name, copy_count=2))
    assert (ran.details["action"], operations(component, mutating=True)) == ("unchanged", [])


@pytest.mark.parametrize("name", COMPONENT_IN_OTHER_CASES)
def test_the_alarm_watches_the_described_component(component: LocalAws, dag: DAG, name: str) -> None:
    run_task(
        CreateLatencyAlarmOperator(
            task_id="alarm", inference_component_name=name, threshold=1000, evaluation_periods=1
        )
    )
    [alarm] = component.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "InferenceComponentName", "Value": COMPONENT}]


@pytest.mark.parametrize("name", COMPONENT_IN_OTHER_CASES)
def test_a_component_is_deleted_by_any_name(component: LocalAws, dag: DAG, name: str) -> None:
    scale_copies(component)
    run_task(
        DeleteInferenceComponentOperator(task_id="delete", inference_component_name=name, poll_interval=0.1)
    )
    assert targets(component) == []
    assert component.client("sagemaker").list_inference_components()["InferenceComponents"] == []

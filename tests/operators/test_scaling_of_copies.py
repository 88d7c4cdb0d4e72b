"""Autoscaling of the copies of an inference component, and its alarms."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointAlarmOperator,
    EndpointMetric,
    InvocationsScaling,
    RemoveAutoscalingOperator,
    ScheduledScaling,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.scaling_rules import COPY_COUNT, INSTANCE_COUNT
from airflow_sm_hosting.spec.tags import is_ours
from tests.operators.components import deploy_component, make_component, make_host
from tests.operators.conftest import make_model, operations, outcome, task_id

pytestmark = pytest.mark.usefixtures("dag")

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "inference-component/churn",
    "ScalableDimension": COPY_COUNT,
}


def configure(**options: Any) -> ConfigureAutoscalingOperator:
    return ConfigureAutoscalingOperator(
        **{
            "task_id": task_id("scaling"),
            "inference_component_name": "churn",
            "max_capacity": 4,
            **options,
        }
    )


def remove(**options: Any) -> RemoveAutoscalingOperator:
    return RemoveAutoscalingOperator(
        **{"task_id": task_id("remove"), "inference_component_name": "churn", **options}
    )


@pytest.fixture
def component(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_host(aws)
    make_component(aws)
    aws.clear_requests()
    return aws


def target(aws: LocalAws) -> dict[str, Any]:
    client = aws.client("application-autoscaling")
    [found] = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return dict(found)


def policies(aws: LocalAws) -> dict[str, Any]:
    client = aws.client("application-autoscaling")
    found = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {policy["PolicyName"]: policy for policy in found}


def test_copies_are_scaled_by_the_invocations_of_a_copy(component: LocalAws) -> None:
    end = outcome(
        configure(
            min_capacity=0,
            policies=[InvocationsScaling(max_requests_per_second=10)],
            scheduled_actions=[
                ScheduledScaling(scheduled_action_name="night", schedule="cron(0 22 * * ? *)", max_capacity=1)
            ],
        )
    )
    assert (end.error, end.value) == (None, "inference-component/churn")
    found = target(component)
    assert PLACE.items() <= found.items()
    assert (found["MinCapacity"], found["MaxCapacity"]) == (0, 4)
    [(name, policy)] = policies(component).items()
    assert name == "churn-invocations"
    tracking = policy["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["TargetValue"] == 300
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"
    }
    assert end.ran.details["scalable_dimension"] == COPY_COUNT


def test_an_unchanged_run_changes_nothing(component: LocalAws) -> None:
    given: dict[str, Any] = {"policies": [InvocationsScaling(max_requests_per_second=10)]}
    outcome(configure(**given))
    component.clear_requests()
    assert outcome(configure(**given)).error is None
    assert operations(component, mutating=True) == []
    assert target(component)["MinCapacity"] == 1


def test_a_metric_of_the_component_has_its_dimension(component: LocalAws) -> None:
    latency = TargetTrackingScaling(
        target_value=1000, customized_metric=EndpointMetric.model_latency(period=60)
    )
    assert outcome(configure(policies=[latency])).error is None
    [policy] = policies(component).values()
    metric = policy["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    assert metric["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "churn"}]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {
                "policies": [
                    TargetTrackingScaling(
                        target_value=50, customized_metric=EndpointMetric.cpu_utilization(period=60)
                    )
                ]
            },
            "a metric of the instances",
        ),
        (
            {
                "policies": [
                    TargetTrackingScaling(
                        target_value=50, predefined_metric="SageMakerVariantInvocationsPerInstance"
                    )
                ]
            },
            COPY_COUNT,
        ),
    ],
)
def test_metrics_of_instances_do_not_scale_copies(
    component: LocalAws, options: dict[str, Any], words: str
) -> None:
    end = outcome(configure(**options))
    assert isinstance(end.error, InvalidSpecError)
    assert words in str(end.error)
    assert operations(component, mutating=True) == []


@pytest.mark.parametrize(
    "options",
    [
        {"inference_component_name": None},
        {"endpoint_name": "host"},
        {"variant_name": "main"},
        {"scalable_dimension": INSTANCE_COUNT},
        {
            "inference_component_name": None,
            "endpoint_name": "host",
            "variant_name": "main",
            "scalable_dimension": COPY_COUNT,
        },
    ],
)
def test_either_a_variant_or_a_component_is_named(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        configure(**options)
    with pytest.raises(InvalidSpecError):
        remove(**options)


def test_what_is_not_there_is_not_found(aws: LocalAws) -> None:
    end = outcome(configure())
    assert isinstance(end.error, NotFoundError)
    assert "no inference component 'churn'" in str(end.error)


def test_scaling_of_others_is_only_changed_when_adopted(component: LocalAws) -> None:
    client = component.client("application-autoscaling")
    client.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=2)
    assert isinstance(outcome(configure()).error, ConflictError)
    assert outcome(configure(adopt=True)).error is None
    arn = target(component)["ScalableTargetARN"]
    assert is_ours(client.list_tags_for_resource(ResourceARN=arn)["Tags"])
    assert target(component)["MaxCapacity"] == 4


def test_scaling_is_removed_and_the_copies_stay(component: LocalAws) -> None:
    outcome(
        configure(
            policies=[StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}])]
        )
    )
    end = outcome(remove())
    assert (end.error, end.value) == (None, "inference-component/churn")
    assert end.ran.details["removed"][0] == "scalable target"
    assert policies(component) == {}
    assert outcome(remove()).ran.details["removed"] == []


def test_a_deployment_leaves_scaled_copies_alone(component: LocalAws) -> None:
    outcome(configure(min_capacity=1))
    component.clear_requests()
    assert outcome(deploy_component(copy_count=3)).error is None
    assert operations(component, mutating=True) == []


def test_an_alarm_on_a_component_has_its_dimension(component: LocalAws) -> None:
    metric = EndpointMetric.model_latency(period=60, dimensions={"InferenceComponentName": "churn"})
    alarm = CreateEndpointAlarmOperator(
        task_id=task_id("alarm"),
        endpoint_name="host",
        variant_name="main",
        metric=metric,
        threshold=100_000,
        evaluation_periods=1,
        alarm_name="churn-latency",
    )
    assert outcome(alarm).error is None
    [found] = component.client("cloudwatch").describe_alarms(AlarmNames=["churn-latency"])["MetricAlarms"]
    assert found["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "churn"}]

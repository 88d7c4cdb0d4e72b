"""ConfigureAutoscalingOperator: writes what differs and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    InvocationsScaling,
    ScheduledScaling,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)

RESOURCE = "endpoint/churn/variant/main"


def configure(**options: Any) -> ConfigureAutoscalingOperator:
    return ConfigureAutoscalingOperator(
        **{
            "task_id": task_id("scaling"),
            "endpoint_name": "churn",
            "variant_name": "main",
            "max_capacity": 4,
            **options,
        }
    )


@pytest.fixture(autouse=True)
def endpoint(aws: LocalAws) -> str:
    make_model(aws)
    make_config(aws, "c1", InitialInstanceCount=2)
    name = make_endpoint(aws, "c1")
    aws.clear_requests()
    return name


def scaling(aws: LocalAws) -> Any:
    return aws.client("application-autoscaling")


def target(aws: LocalAws) -> dict[str, Any]:
    [found] = scaling(aws).describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return found


def policies(aws: LocalAws) -> dict[str, dict[str, Any]]:
    found = scaling(aws).describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return {policy["PolicyName"]: policy for policy in found}


def everything() -> dict[str, Any]:
    return {
        "policies": [
            InvocationsScaling(max_requests_per_second=10, scale_in_cooldown=0),
            TargetTrackingScaling(
                target_value=70,
                customized_metric={
                    "MetricName": "CPUUtilization",
                    "Namespace": "/aws/sagemaker/Endpoints",
                    "Statistic": "Average",
                    "Dimensions": [
                        {"Name": "VariantName", "Value": "main"},
                        {"Name": "EndpointName", "Value": "churn"},
                    ],
                },
                disable_scale_in=False,
            ),
            StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]),
        ],
        "scheduled_actions": [
            ScheduledScaling(
                scheduled_action_name="morning",
                schedule="cron(0 8 * * ? *)",
                min_capacity=2,
                timezone="Europe/Berlin",
                start_time=datetime(2030, 1, 1, tzinfo=UTC),
            )
        ],
    }


def test_target_policies_and_actions_are_made_and_a_rerun_changes_nothing(aws: LocalAws, dag: DAG) -> None:
    ran = run_task(configure(**everything()))
    assert ran.value == RESOURCE
    names = ["churn-main-invocations", "churn-main-CPUUtilization", "churn-main-step"]
    assert ran.details == {
        "min_capacity": 2,
        "max_capacity": 4,
        "policies": names,
        "written": ["scalable target", *(f"policy {name}" for name in names), "scheduled action morning"],
    }
    assert (target(aws)["MinCapacity"], target(aws)["MaxCapacity"]) == (2, 4)
    made = policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]
    assert (made["TargetValue"], made["ScaleInCooldown"]) == (300, 0)

    aws.clear_requests()
    again = run_task(configure(**everything()))
    assert again.value == RESOURCE
    assert again.details["written"] == []
    assert operations(aws, mutating=True) == []


def test_only_what_differs_is_written(aws: LocalAws, dag: DAG) -> None:
    run_task(configure(**everything()))
    aws.clear_requests()
    changed = everything()
    changed["policies"][0] = InvocationsScaling(max_requests_per_second=20, scale_in_cooldown=0)
    ran = run_task(configure(**changed))
    assert ran.details["written"] == ["policy churn-main-invocations"]
    assert operations(aws, mutating=True) == ["PutScalingPolicy"]
    assert (
        policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]["TargetValue"]
        == 600
    )


def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    run_task(
        configure(
            max_capacity="{{ 6 }}",
            min_capacity="{{ 0 + 1 }}",
            policies=[
                InvocationsScaling(
                    max_requests_per_second="{{ 10 }}",
                    safety_factor="{{ 0.5 }}",
                    scale_out_cooldown="{{ 60 }}",
                    disable_scale_in="{{ false }}",
                )
            ],
        )
    )
    assert (target(aws)["MinCapacity"], target(aws)["MaxCapacity"]) == (1, 6)
    made = policies(aws)["churn-main-invocations"]["TargetTrackingScalingPolicyConfiguration"]
    assert (made["TargetValue"], made["ScaleOutCooldown"]) == (300, 60)
    assert made.get("DisableScaleIn") in (None, False)


@pytest.mark.parametrize(
    "bad",
    [
        {"max_capacity": "{{ 'many' }}"},
        {"max_capacity": "{{ 2.5 }}"},
        {"min_capacity": "{{ 5 }}"},
        {"policies": "{{ 'x' }}"},
        {"policies": [InvocationsScaling(max_requests_per_second="{{ 'fast' }}")]},
        {"policies": [InvocationsScaling(max_requests_per_second="{{ 0 }}")]},
        {"policies": [InvocationsScaling(max_requests_per_second=1, safety_factor="{{ 2 }}")]},
        {
            "policies": [
                TargetTrackingScaling(
                    target_value="{{ 'x' }}", predefined_metric="SageMakerVariantInvocationsPerInstance"
                )
            ]
        },
        {"scheduled_actions": [{"ScheduledActionName": "a", "Schedule": "rate(1 day)", "Capacity": 1}]},
    ],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    end = outcome(configure(**bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


def test_a_maximum_below_the_initial_count_is_an_error(aws: LocalAws, dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match="less than the 2 initial instances"):
        run_task(configure(max_capacity=1))
    assert operations(aws, mutating=True) == []


@pytest.mark.parametrize("options", [{"endpoint_name": "gone"}, {"variant_name": "gone"}])
def test_what_does_not_exist_is_named(aws: LocalAws, dag: DAG, options: dict[str, Any]) -> None:
    with pytest.raises(NotFoundError, match="gone"):
        run_task(configure(**options))
    assert operations(aws, mutating=True) == []

"""What autoscaling takes from Jinja and from upstream tasks, and what it refuses in a DAG file."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    EndpointMetric,
    InvocationsScaling,
    ScheduledScaling,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from tests.spec.test_scaling import INVOCATIONS


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    policy = InvocationsScaling(
        max_requests_per_second=output,
        safety_factor="{{ x }}",
        policy_name="{{ x }}",
        scale_in_cooldown=output,
        scale_out_cooldown="{{ x }}",
        disable_scale_in="{{ x }}",
    )
    assert policy["MaxRequestsPerSecond"] is output
    assert policy["ScaleInCooldown"] is output
    TargetTrackingScaling(target_value=output, predefined_metric="{{ x }}")
    TargetTrackingScaling(target_value="{{ x }}", customized_metric=output)
    StepScaling(step_adjustments=output, adjustment_type="{{ x }}", cooldown=output)
    ScheduledScaling(
        scheduled_action_name="{{ x }}", schedule=output, min_capacity="{{ x }}", start_time=output
    )


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"max_capacity": 0}, "max_capacity is 0"),
        ({"max_capacity": True}, "max_capacity is True"),
        ({"max_capacity": 2.5}, "max_capacity is 2.5"),
        ({"min_capacity": -1}, "min_capacity is -1"),
        ({"min_capacity": 5}, "min_capacity is 5; allowed: at most the maximum capacity, 4"),
        ({"policies": "x"}, "policies is a str"),
        ({"policies": ["x"]}, r"policies\[0\] is a str"),
        ({"policies": [EndpointMetric.invocations()]}, r"policies\[0\] is a EndpointMetric"),
        ({"scheduled_actions": [InvocationsScaling(max_requests_per_second=1)]}, r"scheduled_actions\[0\] is a policy"),
        ({"policies": [InvocationsScaling(max_requests_per_second=1)] * 2}, "two target-tracking policies on SageMakerVar"),
        ({"policies": [InvocationsScaling(max_requests_per_second=1)] * 51}, "51 entries; allowed: at most 50"),
        ({"policies": [{"policy_name": "a"}]}, r"policies\[0\].policy_name is not a member .*Did you mean 'PolicyName'"),
        (
            {"policies": [{"PolicyType": "PredictiveScaling", "PredictiveScalingPolicyConfiguration": {}}]},
            "PredictiveScaling is only for Amazon ECS",
        ),
        (
            {
                "policies": [
                    {
                        "PolicyType": "TargetTrackingScaling",
                        "ResourceId": "endpoint/other/variant/main",
                        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 1, "PredefinedMetricSpecification": INVOCATIONS},
                    }
                ]
            },
            "ResourceId is given, but the task sets it",
        ),
        ({"scheduled_actions": [{"ScheduledActionName": "a", "Schedule": "rate(1 day)", "StartTime": "2027-01-01T00:00:00Z"}]}, "at least one of the two"),
        ({"scalable_dimension": "sagemaker:inference-component:DesiredCopyCount"}, "scalable_dimension"),
        ({"suspended_state": {}}, "suspended_state"),
        ({"suspended_state": {"DynamicScalingSuspended": True}}, "suspended_state"),
        ({"suspended_state": {"ScheduledScalingSuspended": "yes"}}, "True or False"),
        ({"adopt": "yes"}, "adopt is 'yes'"),
    ],
    ids=str,
)  # fmt: skip
def test_literals_that_can_never_work_break_the_dag_file(bad: dict[str, Any], message: str) -> None:
    # No connection, no AWS: a call would be another error.
    with pytest.raises(InvalidSpecError, match=message):
        ConfigureAutoscalingOperator(
            **{"task_id": "t", "endpoint_name": "churn", "variant_name": "main", "max_capacity": 4, **bad}
        )

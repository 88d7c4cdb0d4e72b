"""Scaling policies and scheduled actions."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from airflow_sm_hosting import InvocationsScaling, ScheduledScaling, StepScaling, TargetTrackingScaling
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks.requests import prepared
from airflow_sm_hosting.hooks.service_model import input_shape
from airflow_sm_hosting.spec.reference import MARK
from airflow_sm_hosting.spec.scaling import INVOCATIONS_PER_INSTANCE, PREDEFINED_METRICS, policy_request

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
STEPS = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]


def request(policy: dict[str, Any]) -> dict[str, Any]:
    return policy_request(policy, endpoint_name="churn", variant_name="main")


@pytest.mark.parametrize(
    ("rate", "factor", "target"),
    [(30, 0.5, 900), (30, 0.8, 1440), (30, 1.0, 1800), (0.1, 0.3, 0.3 * 0.1 * 60), (1, 1, 60)],
)
def test_the_target_is_the_cdks_to_the_last_bit(rate: float, factor: float, target: float) -> None:
    policy = InvocationsScaling(max_requests_per_second=rate, safety_factor=factor)
    configuration = request(policy)["TargetTrackingScalingPolicyConfiguration"]
    assert configuration["TargetValue"] == target
    assert configuration["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": INVOCATIONS_PER_INSTANCE
    }


def test_an_invocations_policy_keeps_0_and_false_and_leaves_out_what_was_not_given() -> None:
    policy = InvocationsScaling(
        max_requests_per_second=30,
        scale_in_cooldown=0,
        scale_out_cooldown=timedelta(minutes=1),
        disable_scale_in=False,
    )
    assert policy == {
        MARK: "InvocationsScaling",
        "MaxRequestsPerSecond": 30,
        "SafetyFactor": 0.5,
        "ScaleInCooldown": 0,
        "ScaleOutCooldown": 60,
        "DisableScaleIn": False,
    }
    assert request(policy) == {
        "PolicyName": "churn-main-invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 900.0,
            "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS_PER_INSTANCE},
            "ScaleInCooldown": 0,
            "ScaleOutCooldown": 60,
            "DisableScaleIn": False,
        },
    }
    bare = request(InvocationsScaling(max_requests_per_second=30))
    assert set(bare["TargetTrackingScalingPolicyConfiguration"]) == {
        "TargetValue",
        "PredefinedMetricSpecification",
    }


def test_what_jinja_made_strings_of_is_turned_back() -> None:
    policy = {
        **InvocationsScaling(max_requests_per_second=30),
        "MaxRequestsPerSecond": "30",
        "SafetyFactor": "0.5",
        "ScaleInCooldown": "0",
        "DisableScaleIn": "False",
    }
    ready = prepared("application-autoscaling", "PutScalingPolicy", {**PLACE, **request(policy)})
    configuration = ready["TargetTrackingScalingPolicyConfiguration"]
    assert configuration["TargetValue"] == 900
    assert configuration["ScaleInCooldown"] == 0
    assert configuration["DisableScaleIn"] is False


@pytest.mark.parametrize(
    ("member", "value"),
    [("MaxRequestsPerSecond", "0"), ("MaxRequestsPerSecond", "-1"), ("SafetyFactor", "1.01"), ("SafetyFactor", "0"), ("MaxRequestsPerSecond", "nan")],
)  # fmt: skip
def test_a_rendered_value_is_held_against_the_same_rule(member: str, value: str) -> None:
    policy = {**InvocationsScaling(max_requests_per_second=30), member: value}
    with pytest.raises(InvalidSpecError, match=r"InvocationsScaling: "):
        request(policy)


def test_a_rendered_value_that_is_no_number_is_refused_in_our_words() -> None:
    policy = {**InvocationsScaling(max_requests_per_second=30), "MaxRequestsPerSecond": "many"}
    with pytest.raises(InvalidSpecError, match=r"InvocationsScaling: max_requests_per_second is 'many'"):
        request(policy)


@pytest.mark.parametrize(
    ("field", "edges", "beyond", "allowed"),
    [
        ("max_requests_per_second", [0.001, 1, 10**6], [0, -1, "30", None, True, float("nan")], "more than 0"),
        ("safety_factor", [0.01, 1, 1.0], [0, 1.01, "0.5", None], "more than 0, 1 at most"),
        ("scale_in_cooldown", [0, 86_400, timedelta(0)], [-1, 86_401, 1.5, timedelta(milliseconds=1500)], "0 to 86400"),
        ("scale_out_cooldown", [0, 86_400], [-1, 86_401, "60"], "0 to 86400"),
        ("disable_scale_in", [True, False], ["False", 0, 1], "True or False"),
        ("policy_name", ["p", "p" * 256], ["", "p" * 257, " p", "p "], "1 to 256 characters"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_each_rule_of_an_invocations_policy_holds_at_both_edges(
    field: str, edges: list[Any], beyond: list[Any], allowed: str
) -> None:
    options = {"max_requests_per_second": 30}
    for value in edges:
        InvocationsScaling(**{**options, field: value})
    for value in beyond:
        with pytest.raises(InvalidSpecError) as caught:
            InvocationsScaling(**{**options, field: value})
        assert str(caught.value).startswith(f"InvocationsScaling: {field} is ")
        assert allowed in str(caught.value)


def test_target_tracking_is_a_dict_in_the_shape_of_put_scaling_policy() -> None:
    policy = TargetTrackingScaling(
        target_value=70.5,
        predefined_metric=INVOCATIONS_PER_INSTANCE,
        policy_name="rate",
        scale_in_cooldown=timedelta(minutes=5),
        scale_out_cooldown=0,
        disable_scale_in=False,
    )
    assert policy == {
        "PolicyName": "rate",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": 70.5,
            "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS_PER_INSTANCE},
            "ScaleInCooldown": 300,
            "ScaleOutCooldown": 0,
            "DisableScaleIn": False,
        },
    }
    assert request(policy) == policy
    assert request(policy) is not policy


@pytest.mark.parametrize(
    "metrics", [{}, {"predefined_metric": INVOCATIONS_PER_INSTANCE, "customized_metric": {}}]
)
def test_target_tracking_is_on_exactly_one_metric(metrics: dict[str, Any]) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"predefined_metric and customized_metric .*exactly one of the two"
    ):
        TargetTrackingScaling(target_value=1, **metrics)


def test_predefined_metrics_are_in_botocores_model() -> None:
    shape = input_shape("application-autoscaling", "PutScalingPolicy")
    for member in ("TargetTrackingScalingPolicyConfiguration", "PredefinedMetricSpecification"):
        shape = shape.members[member]
    assert set(PREDEFINED_METRICS) <= set(shape.members["PredefinedMetricType"].enum)


def test_a_metric_that_aws_added_since_is_a_warning_and_no_error() -> None:
    with pytest.warns(UserWarning, match=r"SageMakerVariantInvocationsPerGpu"):
        policy = TargetTrackingScaling(target_value=1, predefined_metric="SageMakerVariantInvocationsPerGpu")
    specification = policy["TargetTrackingScalingPolicyConfiguration"]["PredefinedMetricSpecification"]
    assert specification == {"PredefinedMetricType": "SageMakerVariantInvocationsPerGpu"}


def test_a_policy_without_a_name_is_named_by_what_it_follows() -> None:
    tracking = TargetTrackingScaling(target_value=1, predefined_metric=INVOCATIONS_PER_INSTANCE)
    custom = TargetTrackingScaling(target_value=1, customized_metric={"MetricName": "Queue"})
    assert request(tracking)["PolicyName"] == f"churn-main-{INVOCATIONS_PER_INSTANCE}"
    assert request(custom)["PolicyName"] == "churn-main-Queue"
    assert request(StepScaling(step_adjustments=STEPS))["PolicyName"] == "churn-main-step"


def test_step_scaling_is_a_dict_in_the_shape_of_put_scaling_policy() -> None:
    given = copy.deepcopy(STEPS)
    policy = StepScaling(
        step_adjustments=given,
        adjustment_type="PercentChangeInCapacity",
        cooldown=timedelta(seconds=30),
        metric_aggregation_type="Maximum",
        min_adjustment_magnitude=1,
        policy_name="steps",
    )
    assert policy == {
        "PolicyName": "steps",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "PercentChangeInCapacity",
            "StepAdjustments": STEPS,
            "MinAdjustmentMagnitude": 1,
            "Cooldown": 30,
            "MetricAggregationType": "Maximum",
        },
    }
    assert given == STEPS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"step_adjustments": []},
            r"StepScaling: step_adjustments is \[\]; allowed: one StepAdjustment or more",
        ),
        ({"adjustment_type": "Change"}, "StepScaling: adjustment_type is 'Change'"),
        ({"metric_aggregation_type": "Sum"}, "StepScaling: metric_aggregation_type is 'Sum'"),
        ({"cooldown": -1}, "StepScaling: (scale_in_)?cooldown is -1"),
    ],
    ids=["steps", "type", "aggregation", "cooldown"],
)
def test_a_bad_step_policy_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        StepScaling(**{"step_adjustments": STEPS, **options})


def test_a_step_policys_message_names_its_own_parameter() -> None:
    with pytest.raises(InvalidSpecError, match=r"StepScaling: cooldown is -1"):
        StepScaling(step_adjustments=STEPS, cooldown=-1)


def test_a_scheduled_action_is_a_dict_in_the_shape_of_put_scheduled_action() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    action = ScheduledScaling(
        scheduled_action_name="night",
        schedule="cron(0 20 * * ? *)",
        min_capacity=0,
        max_capacity=2,
        timezone="Europe/Berlin",
        start_time=start,
    )
    assert action == {
        "ScheduledActionName": "night",
        "Schedule": "cron(0 20 * * ? *)",
        "Timezone": "Europe/Berlin",
        "StartTime": start,
        "ScalableTargetAction": {"MinCapacity": 0, "MaxCapacity": 2},
    }
    ready = prepared("application-autoscaling", "PutScheduledAction", {**PLACE, **action})
    assert ready["ScalableTargetAction"]["MinCapacity"] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"schedule": "0 20 * * *"}, "ScheduledScaling: schedule is '0 20"),
        ({"schedule": "cron()"}, r"schedule is 'cron\(\)'"),
        ({"schedule": ""}, "schedule is ''"),
        ({"scheduled_action_name": ""}, "scheduled_action_name is ''"),
        ({"scheduled_action_name": "a:b"}, "scheduled_action_name is 'a:b'"),
        ({"scheduled_action_name": "a/b"}, "scheduled_action_name"),
        ({"scheduled_action_name": "n" * 257}, "scheduled_action_name"),
        ({"min_capacity": -1}, "min_capacity is -1"),
        ({"max_capacity": 1.5}, "max_capacity is 1.5"),
        ({"min_capacity": None}, "min_capacity and max_capacity .*at least one of the two"),
    ],
    ids=str,
)
def test_a_bad_scheduled_action_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        ScheduledScaling(
            **{"scheduled_action_name": "night", "schedule": "rate(1 day)", "min_capacity": 1, **options}
        )


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


@given(
    rate=st.floats(0.001, 1e6),
    factor=st.floats(0.001, 1),
    cooldowns=st.tuples(*[st.none() | st.integers(0, 86_400)] * 2),
    disable=st.none() | st.booleans(),
)
def test_every_policy_passes_botocores_own_validator(
    rate: float, factor: float, cooldowns: tuple[int | None, int | None], disable: bool | None
) -> None:
    policy = InvocationsScaling(
        max_requests_per_second=rate,
        safety_factor=factor,
        scale_in_cooldown=cooldowns[0],
        scale_out_cooldown=cooldowns[1],
        disable_scale_in=disable,
    )
    ready = prepared("application-autoscaling", "PutScalingPolicy", {**PLACE, **request(policy)})
    shape = input_shape("application-autoscaling", "PutScalingPolicy")
    assert not ParamValidator().validate(ready, shape).has_errors()

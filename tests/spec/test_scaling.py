"""Scaling policies and scheduled actions."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.validate import ParamValidator
from hypothesis import given, strategies as st

from airflow_sm_hosting import (
    EndpointMetric,
    InvocationsScaling,
    MetricMath,
    ScheduledScaling,
    ServerlessProductionVariant,
    StepScaling,
    TargetTrackingScaling,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.autoscaling.policies import check_policy
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.reference import MARK
from airflow_sm_hosting.spec.scaling import policy_request
from airflow_sm_hosting.spec.scaling_rules import (
    ACTION_MEMBERS,
    CONCURRENCY_UTILIZATION,
    COPY_COUNT,
    INSTANCE_COUNT,
    INVOCATIONS_PER_INSTANCE,
    POLICY_MEMBERS,
    PREDEFINED_METRICS,
    STATISTICS,
    check_customized_metric,
    check_policies,
    check_scaled_variant,
)

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
    ready = validated_request("application-autoscaling", "PutScalingPolicy", {**PLACE, **request(policy)})
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
        InvalidSpecError, match=r"predefined_metric (and|nor) customized_metric; .*exactly one of the two"
    ):
        TargetTrackingScaling(target_value=1, **metrics)


def test_predefined_metrics_are_in_botocores_model() -> None:
    shape: Any = input_shape("application-autoscaling", "PutScalingPolicy")
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
    queue = {"MetricName": "Queue", "Namespace": "Own", "Statistic": "Average"}
    custom = TargetTrackingScaling(target_value=1, customized_metric=queue)
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
    ready = validated_request("application-autoscaling", "PutScheduledAction", {**PLACE, **action})
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
    ready = validated_request("application-autoscaling", "PutScalingPolicy", {**PLACE, **request(policy)})
    shape = input_shape("application-autoscaling", "PutScalingPolicy")
    assert not ParamValidator().validate(ready, shape).has_errors()


# Lists of policies and actions, as the operator is given them


INVOCATIONS = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"}


def test_the_members_that_are_known_are_those_of_botocores_model() -> None:
    for operation, members in (("PutScalingPolicy", POLICY_MEMBERS), ("PutScheduledAction", ACTION_MEMBERS)):
        shape = input_shape("application-autoscaling", operation)
        assert set(members) == set(shape.members) - {"ServiceNamespace", "ResourceId", "ScalableDimension"}
        for name, inner in members.items():
            _same_members(shape.members[name], inner)


def _same_members(shape: Any, members: Any) -> None:
    if members is None:
        return
    shape = shape.member if shape.type_name == "list" else shape
    assert set(members) == set(shape.members)
    for name, inner in members.items():
        _same_members(shape.members[name], inner)


TRACKING = {
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 1,
        "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS_PER_INSTANCE},
    },
}


def tracking(**members: Any) -> dict[str, Any]:
    configuration = {**TRACKING["TargetTrackingScalingPolicyConfiguration"], **members}
    return {**TRACKING, "TargetTrackingScalingPolicyConfiguration": configuration}


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ({}, "PolicyType is None"),
        ({"PolicyType": "StepScaling"}, "is a StepScaling without StepScalingPolicyConfiguration"),
        ({**TRACKING, "StepScalingPolicyConfiguration": {}}, "is a TargetTrackingScaling with StepScalingPolicyConfiguration"),
        (tracking(TargetValue=0), "TargetValue is 0"),
        (tracking(TargetValue=float("inf")), "TargetValue is inf"),
        (tracking(TargetValue=2.0**361), "TargetValue is"),
        (tracking(TargetValue=True), "TargetValue is True"),
        (tracking(ScaleInCoolDown=1), "ScaleInCoolDown is not a member .*Did you mean 'ScaleInCooldown'"),
        (tracking(target_value=1), "target_value is not a member .*Did you mean 'TargetValue'"),
        (tracking(ScaleInCooldown=-1), "ScaleInCooldown is -1"),
        (tracking(DisableScaleIn="no"), "DisableScaleIn is 'no'"),
        (tracking(CustomizedMetricSpecification={}), "exactly one of the two"),
        (
            tracking(PredefinedMetricSpecification={"PredefinedMetricType": INVOCATIONS_PER_INSTANCE, "ResourceLabel": "app/x"}),
            "ResourceLabel is 'app/x'; allowed: none",
        ),
        (
            tracking(TargetValue=70, PredefinedMetricSpecification={"PredefinedMetricType": CONCURRENCY_UTILIZATION}),
            "the target value of SageMakerVariantProvisionedConcurrencyUtilization is 70",
        ),
        (
            tracking(PredefinedMetricSpecification=None, CustomizedMetricSpecification={"MetricName": "Queue"}),
            "CustomizedMetricSpecification has no Namespace, Statistic",
        ),
        (
            tracking(
                PredefinedMetricSpecification=None,
                CustomizedMetricSpecification={"MetricName": "Queue", "Namespace": "Own", "Statistic": "p99"},
            ),
            "Statistic is 'p99'",
        ),
        (
            tracking(PredefinedMetricSpecification=None, CustomizedMetricSpecification={"MetricName": "Queue", "Metrics": []}),
            "has Metrics and MetricName",
        ),
        ({**TRACKING, "PolicyName": " a"}, "PolicyName is ' a'"),
    ],
    ids=str,
)  # fmt: skip
def test_a_policy_in_the_shape_of_aws_is_held_against_the_same_rules(
    policy: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_policies("policies", [policy])


def test_a_member_that_is_near_to_no_known_one_is_left_to_the_services_model() -> None:
    check_policies("policies", [tracking(WarmPool={"Size": 1})])


# Step adjustments (API_StepAdjustment)


def step(lower: Any = None, upper: Any = None, by: Any = 1) -> dict[str, Any]:
    bounds = {"MetricIntervalLowerBound": lower, "MetricIntervalUpperBound": upper}
    return {**{name: bound for name, bound in bounds.items() if bound is not None}, "ScalingAdjustment": by}


@pytest.mark.parametrize(
    "steps",
    [
        [step(0)],
        [step(None, 0)],
        [step(5)],
        [step(None, -5)],
        [step(0, 10), step(10)],
        [step(10), step(0, 10)],
        [step(None, -10), step(-10, 0), step(0, 10.5), step(10.5)],
        [step("{{ low }}", 5), step(7)],
        ["{{ step }}", step(7)],
    ],
    ids=str,
)
def test_step_adjustments_that_aws_takes(steps: list[Any]) -> None:
    StepScaling(step_adjustments=steps)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ([step()], r"step_adjustments\[0\] has neither"),
        ([step(0, 0)], r"MetricIntervalUpperBound is 0; allowed: more than MetricIntervalLowerBound, 0"),
        ([step(5, 1)], "MetricIntervalUpperBound is 1"),
        ([step(0), step(5)], "more than one step without MetricIntervalUpperBound"),
        ([step(None, 5), step(None, 0)], "more than one step without MetricIntervalLowerBound"),
        ([step(0, 10), step(11)], "leave a gap between 10 and 11"),
        ([step(0, 10), step(9)], "overlap between 10 and 9"),
        ([step(0), step(9, 10)], "overlap between infinity and 9"),
        ([step(-5, 0), step(0)], "begins at -5"),
        ([step(0, 10)], "ends at 10"),
        ([step(0, by=1.5)], "ScalingAdjustment is 1.5"),
        ([step(0, by=True)], "ScalingAdjustment is True"),
        ([step(float("nan"))], "MetricIntervalLowerBound is nan"),
        ([{"MetricIntervalLowerBound": 0}], "a dict with ScalingAdjustment"),
        ([{**step(0), "scaling_adjustment": 1}], "scaling_adjustment is not a member"),
        (["5"], r"step_adjustments\[0\] is a str"),
        ("5", "step_adjustments is a str"),
        (step(0), "step_adjustments is a dict"),
    ],
    ids=str,
)  # fmt: skip
def test_step_adjustments_that_aws_refuses(steps: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=rf"StepScaling: .*{message}"):
        StepScaling(step_adjustments=steps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_adjustment_magnitude": 2}, "min_adjustment_magnitude is 2; allowed: none, unless .*PercentChangeInCapacity"),
        ({"min_adjustment_magnitude": 0, "adjustment_type": "PercentChangeInCapacity"}, "min_adjustment_magnitude is 0"),
        ({"adjustment_type": "ExactCapacity", "step_adjustments": [step(0, by=-1)]}, "ScalingAdjustment is -1"),
    ],
    ids=["magnitude", "magnitude 0", "exact"],
)  # fmt: skip
def test_members_of_a_step_policy_that_do_not_fit_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        StepScaling(**{"step_adjustments": STEPS, **options})


# Schedules


@pytest.mark.parametrize(
    "schedule",
    [
        "at(2030-02-28T23:59:59)",
        "rate(1 minute)",
        "rate(5 minutes)",
        "rate(12 hours)",
        "cron(0 8 * * ? *)",
        "cron(30 6 ? * MON *)",
        "cron(0/15 * * * ? *)",
        "cron(*/10 8-17 ? JAN-MAR MON-FRI 2030-2040)",
        "cron(0,30 8,20 1,15 * ? *)",
        "cron(0 8 L * ? *)",
        "cron(0 8 3W * ? *)",
        "cron(0 8 ? * 6L *)",
        "cron(0 8 ? * 3#2 *)",
        "cron(0  8  *  *  ?  *)",
    ],
)
def test_schedules_that_aws_takes(schedule: str) -> None:
    ScheduledScaling(scheduled_action_name="a", schedule=schedule, min_capacity=1)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("at(2030-02-30T00:00:00)", "with a valid time"),
        ("at(2030-02-03)", "with a valid time"),
        ("at(2030-2-3T0:0:0)", "with a valid time"),
        ("at(2030-02-03T00:00:00Z)", "with a valid time"),
        ("rate(0 days)", "a whole number from 1"),
        ("rate(1.5 days)", "a whole number from 1"),
        ("rate(1 week)", "one of minute"),
        ("rate(day)", "a whole number from 1"),
        ("cron(0 8 * * ?)", "six fields .*not 5"),
        ("cron(0 8 * * *)", "six fields .*not 5"),
        ("cron(0 8 * * * *)", "exactly one of day of month and day of week"),
        ("cron(0 8 ? * ? *)", "exactly one of day of month and day of week"),
        ("cron(0 8 1 * MON *)", "exactly one of day of month and day of week"),
        ("cron(60 8 * * ? *)", r"cron with minutes \(here '60'\) from 0 to 59"),
        ("cron(0 24 * * ? *)", r"cron with hours \(here '24'"),
        ("cron(0 8 0 * ? *)", r"cron with day of month \(here '0'"),
        ("cron(0 8 * 13 ? *)", r"cron with month \(here '13'\) from 1 to 12 or JAN to DEC"),
        ("cron(0 8 ? * 0 *)", r"cron with day of week \(here '0'\) from 1 to 7 or SUN to SAT"),
        ("cron(0 8 ? * XXX *)", r"cron with day of week \(here 'XXX'"),
        ("cron(0 8 ? * 3#6 *)", r"cron with day of week \(here '3#6'"),
        ("cron(0 8 * * ? 1969)", r"cron with year \(here '1969'"),
        ("cron(? 8 * * ? *)", r"cron with minutes \(here '\?'"),
        ("cron(*/0 8 * * ? *)", r"cron with minutes \(here"),
        ("cron(1-2-3 8 * * ? *)", r"cron with minutes \(here"),
        ("cron(, 8 * * ? *)", r"cron with minutes \(here ','"),
        ("Rate(1 day)", "at\\(yyyy"),
        (5, "at\\(yyyy"),
    ],
)  # fmt: skip
def test_schedules_that_aws_refuses(schedule: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=rf"ScheduledScaling: schedule is .*{message}"):
        ScheduledScaling(scheduled_action_name="a", schedule=schedule, min_capacity=1)


@pytest.mark.parametrize("timezone", ["Europe/Berlin", "Etc/GMT+9", "UTC", "{{ zone }}"])
def test_time_zones_that_there_are(timezone: str) -> None:
    ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", min_capacity=1, timezone=timezone)


@pytest.mark.parametrize("timezone", ["Europe", "Mars/Olympus", "", "../etc/passwd", 5, "GMT+9"])
def test_time_zones_that_there_are_not(timezone: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"ScheduledScaling: timezone is .*IANA"):
        ScheduledScaling(scheduled_action_name="a", schedule="rate(1 day)", min_capacity=1, timezone=timezone)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_capacity": 3, "max_capacity": 2}, "min_capacity is 3; allowed: at most the maximum capacity, 2"),
        ({"min_capacity": True}, "min_capacity is True"),
        ({"min_capacity": float("nan")}, "min_capacity is nan"),
        ({"start_time": datetime(2030, 1, 2, tzinfo=UTC), "end_time": datetime(2030, 1, 1, tzinfo=UTC)}, "end_time is .*a time after the start, 2030-01-02"),
        ({"start_time": datetime(2030, 1, 2), "end_time": "2030-01-02T00:00:00+00:00"}, "end_time is .*a time after the start, 2030-01-02"),
        ({"start_time": "soon"}, "start_time is 'soon'"),
        ({"end_time": 5}, "end_time is 5"),
    ],
    ids=str,
)  # fmt: skip
def test_members_of_a_scheduled_action_that_do_not_fit_together(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=f"ScheduledScaling: {message}"):
        ScheduledScaling(
            **{"scheduled_action_name": "a", "schedule": "rate(1 day)", "min_capacity": 1, **options}
        )


# Metrics and names


def test_an_endpoint_metric_with_a_percentile_becomes_a_query() -> None:
    metric = EndpointMetric.model_latency(statistic="p90", unit="Microseconds")
    made = request(TargetTrackingScaling(target_value=1e5, customized_metric=metric))
    assert made["PolicyName"].startswith("churn-main-metrics-")
    specification = made["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"]
    [query] = specification["Metrics"]
    assert query["MetricStat"]["Stat"] == "p90"
    assert query["MetricStat"]["Unit"] == "Microseconds"
    ready = validated_request("application-autoscaling", "PutScalingPolicy", {**PLACE, **made})
    check_policies("policies", [{name: value for name, value in ready.items() if name not in PLACE}])


def tracked(metric: Any, **of: str) -> tuple[str, dict[str, Any]]:
    """Return the name of a policy on a metric and its specification, as they are sent, after the model's check of them."""
    policy = TargetTrackingScaling(target_value=10, customized_metric=metric)
    made = policy_request(policy, **{"endpoint_name": "churn", "variant_name": "main", **of})
    validated_request("application-autoscaling", "PutScalingPolicy", {**PLACE, **made})
    check_policies("policies", [made])
    return made["PolicyName"], made["TargetTrackingScalingPolicyConfiguration"][
        "CustomizedMetricSpecification"
    ]


PER_INSTANCE = MetricMath(
    expression="FILL(requests, 0) / busy",
    metrics={
        "requests": EndpointMetric.invocations(),
        "busy": MetricMath(
            expression="cores / 100", metrics={"cores": EndpointMetric.cpu_utilization(statistic="p90")}
        ),
    },
    label="RequestsPerCore",
    period=60,
)


def test_an_expression_becomes_queries_without_periods() -> None:
    """botocore, TargetTrackingMetricDataQuery and TargetTrackingMetricStat."""
    name, specification = tracked(PER_INSTANCE)
    assert name == "churn-main-RequestsPerCore"
    dimensions = [{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}]
    assert specification == {
        "Metrics": [
            {
                "Id": "requests",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "AWS/SageMaker",
                        "MetricName": "Invocations",
                        "Dimensions": dimensions,
                    },
                    "Stat": "Sum",
                },
                "ReturnData": False,
            },
            {
                "Id": "cores",
                "MetricStat": {
                    "Metric": {
                        "Namespace": "/aws/sagemaker/Endpoints",
                        "MetricName": "CPUUtilization",
                        "Dimensions": dimensions,
                    },
                    "Stat": "p90",
                },
                "ReturnData": False,
            },
            {"Id": "busy", "Expression": "cores / 100", "ReturnData": False},
            {
                "Id": "expr_1",
                "Expression": "FILL(requests, 0) / busy",
                "Label": "RequestsPerCore",
                "ReturnData": True,
            },
        ]
    }


def test_the_metrics_of_an_expression_have_the_dimensions_of_what_is_scaled() -> None:
    queue = MetricMath(
        expression="backlog / 2",
        metrics={"backlog": EndpointMetric.custom("AWS/SageMaker", "ApproximateBacklogSize")},
    )
    name, specification = tracked(queue)
    assert name.startswith("churn-main-metrics-")
    metric = specification["Metrics"][0]["MetricStat"]["Metric"]
    assert metric["Dimensions"] == [{"Name": "EndpointName", "Value": "churn"}]
    _, single = tracked(EndpointMetric.custom("AWS/SageMaker", "ApproximateBacklogSizePerInstance"))
    assert single["Dimensions"] == [{"Name": "EndpointName", "Value": "churn"}]
    with pytest.raises(InvalidSpecError, match="allowed: EndpointName alone"):
        tracked(queue, inference_component_name="llm")
    half = MetricMath(expression="a / 2", metrics={"a": EndpointMetric.invocations()})
    _, of_component = tracked(half, inference_component_name="llm")
    metric = of_component["Metrics"][0]["MetricStat"]["Metric"]
    assert metric["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "llm"}]
    with pytest.raises(InvalidSpecError, match=r"CPUUtilization .* is a metric of the instances"):
        tracked(PER_INSTANCE, inference_component_name="llm")


def test_a_rendered_expression_is_checked_like_a_literal_one() -> None:
    late = MetricMath(expression="{{ 'a + b' }}", metrics={"a": EndpointMetric.invocations()})
    policy = TargetTrackingScaling(target_value=10, customized_metric=late)
    configuration = policy["TargetTrackingScalingPolicyConfiguration"]
    configuration["CustomizedMetricSpecification"] = {**late, "Expression": "a + b"}
    with pytest.raises(InvalidSpecError, match="Unknown: b"):
        policy_request(policy, endpoint_name="churn", variant_name="main")


IDS = st.from_regex(r"[a-z][A-Za-z0-9_]{0,5}", fullmatch=True)


@given(
    ids=st.lists(IDS, min_size=1, max_size=10, unique=True),
    statistics=st.lists(st.sampled_from([*STATISTICS, "p99", "tm90", "IQM"]), min_size=10, max_size=10),
    label=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=300),
    component=st.booleans(),
)
def test_each_accepted_expression_is_valid_for_botocore_and_the_local_aws(
    ids: list[str], statistics: list[str], label: str | None, component: bool
) -> None:
    math = MetricMath(
        expression=" + ".join(ids),
        metrics={
            name: EndpointMetric.model_latency(statistic=statistic)
            for name, statistic in zip(ids, statistics, strict=False)
        },
        label=label,
    )
    of = {"inference_component_name": "llm"} if component else {}
    name, specification = tracked(math, **of)
    assert len(name) <= 256
    configuration = {"TargetValue": 10.0, "CustomizedMetricSpecification": specification}
    check_policy("TargetTrackingScaling", configuration, COPY_COUNT if component else INSTANCE_COUNT)


@pytest.mark.parametrize("nested", [False, True])
def test_a_metric_of_another_account_cannot_be_tracked(nested: bool) -> None:
    metric: Any = EndpointMetric.invocations(account_id="123456789012")
    if nested:
        metric = MetricMath(expression="a / 2", metrics={"a": metric})
    with pytest.raises(InvalidSpecError, match="account_id is '123456789012'; allowed: none"):
        TargetTrackingScaling(target_value=1, customized_metric=metric)


def test_a_metric_of_the_whole_variant_is_a_warning() -> None:
    with pytest.warns(UserWarning, match="Invocations, which does not decrease when instances are added"):
        TargetTrackingScaling(target_value=1, customized_metric=EndpointMetric.invocations())


def test_default_names_are_as_long_as_they_may_be_and_differ() -> None:
    names = set()
    for end in ("a", "b"):
        metric = {"MetricName": "m" * 250 + end, "Namespace": "Own", "Statistic": "Average"}
        policy = TargetTrackingScaling(target_value=1, customized_metric=metric)
        name = policy_request(policy, endpoint_name="e" * 63, variant_name="v" * 63)["PolicyName"]
        assert len(name) == 256
        names.add(name)
    assert len(names) == 2


def test_metrics_whose_dimensions_stand_in_another_order_are_the_same() -> None:
    dimensions = [{"Name": "A", "Value": "1"}, {"Name": "B", "Value": "2"}]
    policies = [
        {
            **tracking(
                PredefinedMetricSpecification=None,
                CustomizedMetricSpecification={
                    "MetricName": "Queue",
                    "Namespace": "Own",
                    "Statistic": "Average",
                    "Dimensions": order,
                },
            ),
            "PolicyName": name,
        }
        for name, order in (("one", dimensions), ("other", dimensions[::-1]))
    ]
    with pytest.raises(InvalidSpecError, match="two target-tracking policies on"):
        check_policies("policies", policies)


# The variant


INSTANCES = {
    "VariantName": "main",
    "ModelName": "m",
    "InstanceType": "ml.m5.large",
    "InitialInstanceCount": 2,
}
SERVERLESS = {"VariantName": "main", "ServerlessConfig": {"MaxConcurrency": 10, "ProvisionedConcurrency": 2}}


@pytest.mark.parametrize(
    ("variant", "capacities"),
    [
        (INSTANCES, (1, 2)),
        (INSTANCES, (2, 9)),
        (INSTANCES, (None, 2)),
        ({**INSTANCES, "InstanceType": "ml.trn1.2xlarge"}, (1, 2)),
        ({**INSTANCES, "InstanceType": "{{ type }}", "InitialInstanceCount": "{{ count }}"}, (5, 6)),
        ({**INSTANCES, "ManagedInstanceScaling": {"Status": "ENABLED"}}, (0, 2)),
        (SERVERLESS, (0, 10)),
        (SERVERLESS, ("{{ low }}", "{{ high }}")),
    ],
    ids=str,
)
def test_variants_that_can_be_scaled_so(variant: dict[str, Any], capacities: tuple[Any, Any]) -> None:
    check_scaled_variant(variant, minimum=capacities[0], maximum=capacities[1])


@pytest.mark.parametrize(
    ("variant", "capacities", "message"),
    [
        (INSTANCES, (3, 4), "min_capacity is 3; allowed: at most the initial_instance_count of variant main, 2"),
        (INSTANCES, (1, 1), "max_capacity is 1; allowed: at least the initial_instance_count"),
        (INSTANCES, (0, 4), "min_capacity is 0; allowed: 1 or more for variant main"),
        ({**INSTANCES, "InstanceType": "ml.t2.medium"}, (1, 4), "burstable instance_type 'ml.t2.medium'"),
        ({**INSTANCES, "InstanceType": "ml.t3.medium"}, (1, 4), "burstable"),
        (SERVERLESS, (1, 11), "max_capacity is 11; allowed: at most the max_concurrency"),
        (SERVERLESS, (3, 4), "at most the provisioned concurrency of variant main, 2"),
        ({"VariantName": "main", "ServerlessConfig": {"MaxConcurrency": 10}}, (1, 2), "no provisioned concurrency to scale"),
    ],
    ids=str,
)  # fmt: skip
def test_variants_that_cannot_be_scaled_so(
    variant: dict[str, Any], capacities: tuple[Any, Any], message: str
) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_scaled_variant(variant, minimum=capacities[0], maximum=capacities[1])


def test_policies_of_copies_have_the_components_name_and_metrics() -> None:
    of = {"endpoint_name": "", "variant_name": "", "inference_component_name": "churn"}
    made = policy_request(InvocationsScaling(max_requests_per_second=10), **of)
    assert made["PolicyName"] == "churn-invocations"
    tracking = made["TargetTrackingScalingPolicyConfiguration"]
    assert tracking["PredefinedMetricSpecification"] == {
        "PredefinedMetricType": "SageMakerInferenceComponentInvocationsPerCopy"
    }
    latency = TargetTrackingScaling(target_value=1, customized_metric=EndpointMetric.model_latency(period=60))
    metric = policy_request(latency, **of)["TargetTrackingScalingPolicyConfiguration"]
    assert metric["CustomizedMetricSpecification"]["Dimensions"] == [
        {"Name": "InferenceComponentName", "Value": "churn"}
    ]
    cpu = TargetTrackingScaling(target_value=1, customized_metric=EndpointMetric.cpu_utilization(period=60))
    with pytest.raises(InvalidSpecError, match="a metric of the instances"):
        policy_request(cpu, **of)


def test_a_metric_that_is_rendered_later_is_checked_later() -> None:
    check_customized_metric("metric", "{{ metric }}")


@pytest.mark.parametrize("low", [0, 1, False, "{{ least }}"])
def test_a_serverless_variant_has_no_scheduled_minimum_of_zero(low: Any) -> None:
    variant = ServerlessProductionVariant(
        model_name="m",
        variant_name="main",
        max_concurrency=5,
        memory_size_in_mb=1024,
        provisioned_concurrency=1,
    )
    options = {"minimum": 1, "maximum": 2, "asynchronous": False, "scheduled_minimums": [low]}
    if low == 0 and low is not False:
        with pytest.raises(InvalidSpecError, match="the minimum capacity of a scheduled action is 0"):
            check_scaled_variant(variant, **options)
    else:
        check_scaled_variant(variant, **options)

"""Scaling from zero as requests: what is accepted is valid for botocore's models, for our rules, and for the local AWS."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import ScaleFromZero
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.autoscaling.policies import check_policy
from airflow_sm_hosting.local.cloudwatch.alarm_checks import check_metric_alarm
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.from_zero import (
    METRICS_OF_COPIES,
    check_can_be_zero,
    check_from_zero,
    check_from_zero_with,
    from_zero_alarm,
    from_zero_policies,
    instances_that_stay,
)
from airflow_sm_hosting.spec.scaling_rules import COPY_COUNT, INSTANCE_COUNT, check_policies

ARN = "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/sagemaker/x:policyName/y"
NAMES = st.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,31}", fullmatch=True).map(lambda name: name[:63])
COOLDOWNS = st.none() | st.integers(0, 86_400) | st.integers(0, 86_400).map(lambda s: timedelta(seconds=s))


@given(
    target=st.floats(0.001, 1e6),
    cooldowns=st.tuples(COOLDOWNS, COOLDOWNS, COOLDOWNS),
    capacity=st.integers(1, 100),
    names=st.tuples(NAMES, NAMES),
    metric=st.none() | st.sampled_from(METRICS_OF_COPIES),
    copies=st.booleans(),
)
def test_what_is_accepted_is_valid_everywhere(
    target: float, cooldowns: Any, capacity: int, names: Any, metric: Any, copies: bool
) -> None:
    scale_in, scale_out, wake = cooldowns
    given = ScaleFromZero(
        target_value=target,
        predefined_metric=metric if copies else None,
        scale_in_cooldown=scale_in,
        scale_out_cooldown=scale_out,
        wake_capacity=capacity,
        wake_cooldown=wake,
    )
    of = {
        "endpoint_name": names[0],
        "variant_name": names[1],
        "inference_component_name": names[0] if copies else None,
    }
    dimension = COPY_COUNT if copies else INSTANCE_COUNT
    place = {"ServiceNamespace": "sagemaker", "ResourceId": "x", "ScalableDimension": dimension}
    policies = from_zero_policies(given, **of)
    check_policies("policies", policies)
    for policy in policies:
        validated_request("application-autoscaling", "PutScalingPolicy", {**policy, **place})
        kind = policy["PolicyType"]
        check_policy(kind, policy[f"{kind}PolicyConfiguration"], dimension)
    alarm = from_zero_alarm(given, **of, policy_arn=ARN)
    validated_request("cloudwatch", "PutMetricAlarm", alarm)
    check_metric_alarm(alarm)


def test_the_longest_names_are_cut_and_differ() -> None:
    of = {"endpoint_name": "e" * 63, "variant_name": "v" * 63, "inference_component_name": None}
    given = ScaleFromZero(target_value=5)
    names = [policy["PolicyName"] for policy in from_zero_policies(given, **of)]
    assert names == [
        f"{'e' * 63}-{'v' * 63}-ApproximateBacklogSizePerInstance",
        f"{'e' * 63}-{'v' * 63}-from-zero",
    ]
    assert from_zero_alarm(given, **of, policy_arn=ARN)["AlarmName"] == names[1]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_value": 0}, "target_value is 0"),
        ({"predefined_metric": "SageMakerVariantInvocationsPerInstance"}, "InvocationsPerCopy"),
        ({"scale_in_cooldown": -1}, "scale_in_cooldown is -1"),
        ({"scale_out_cooldown": 1.5}, "scale_out_cooldown is 1.5"),
        ({"wake_cooldown": timedelta(days=2)}, "wake_cooldown"),
        ({"wake_capacity": 0}, "wake_capacity is 0"),
        ({"alarm_name": " "}, "alarm_name is ' '"),
    ],
)
def test_what_can_never_work_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        ScaleFromZero(**{"target_value": 5, **options})


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ({"TargetValue": "many"}, "target_value is 'many'"),
        ({"WakeCapacity": "0"}, "wake_capacity is 0"),
        ({"PredefinedMetric": "Other"}, "predefined_metric is 'Other'"),
    ],
)
def test_rendered_values_are_checked_like_literal_ones(value: dict[str, Any], words: str) -> None:
    given = {**ScaleFromZero(target_value=5), **value}
    with pytest.raises(InvalidSpecError, match=words):
        from_zero_policies(given, endpoint_name="", variant_name="", inference_component_name="churn")


def test_which_variants_can_be_zero() -> None:
    real_time = {"VariantName": "main", "ModelName": "m"}
    check_can_be_zero(real_time, asynchronous=True)
    for variant, words in (
        (real_time, "keeps one instance"),
        ({"VariantName": "main"}, "hosts inference components"),
        ({**real_time, "ServerlessConfig": {"MaxConcurrency": 1}}, "serverless"),
    ):
        with pytest.raises(InvalidSpecError, match=words):
            check_can_be_zero(variant, asynchronous=False)


def test_which_instances_stay() -> None:
    enabled = {"Status": "ENABLED", "MaxInstanceCount": 2}
    assert instances_that_stay(None) == ""
    assert instances_that_stay({"ManagedInstanceScaling": {**enabled, "MinInstanceCount": 0}}) == ""
    assert instances_that_stay({"ManagedInstanceScaling": {**enabled, "MinInstanceCount": 1}}).endswith(
        "MinInstanceCount 1 in its ManagedInstanceScaling"
    )
    assert instances_that_stay({"ManagedInstanceScaling": {**enabled}})
    assert instances_that_stay(
        {"ManagedInstanceScaling": {**enabled, "Status": "DISABLED", "MinInstanceCount": 0}}
    )
    assert instances_that_stay({}) == "has no ManagedInstanceScaling"


@pytest.mark.parametrize("value", [None, "{{ scaling }}", ScaleFromZero(target_value=5)])
def test_a_scale_from_zero_is_one(value: Any) -> None:
    check_from_zero("from_zero", value)


@pytest.mark.parametrize(("value", "found"), [(5, "int"), ({"TargetValue": 5}, "dict")])
def test_what_is_no_scale_from_zero_is_refused(value: Any, found: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"from_zero is a {found}; allowed: ScaleFromZero"):
        check_from_zero("from_zero", value)


def check_with(from_zero: Any = None, **given: Any) -> None:
    options = {"min_capacity": None, "scalable_dimension": None, "inference_component_name": None, **given}
    check_from_zero_with("", from_zero or ScaleFromZero(target_value=5), **options)


def test_what_goes_with_scaling_from_zero() -> None:
    check_with()
    check_with(min_capacity=0)
    check_with(min_capacity="{{ minimum }}")
    check_with("{{ scaling }}", min_capacity=2)
    metric = METRICS_OF_COPIES[0]
    check_with(ScaleFromZero(target_value=5, predefined_metric=metric), inference_component_name="llama")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"min_capacity": 1}, "min_capacity is 1; allowed: 0"),
        (
            {"scalable_dimension": "sagemaker:variant:DesiredProvisionedConcurrency"},
            "scales from zero by itself",
        ),
        (
            {"from_zero": ScaleFromZero(target_value=5, predefined_metric=METRICS_OF_COPIES[0])},
            "none for a variant",
        ),
    ],
)
def test_what_does_not_go_with_scaling_from_zero(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_with(**given)


def test_the_alarm_has_the_given_name() -> None:
    named = ScaleFromZero(target_value=5, alarm_name="wake")
    of: dict[str, Any] = {"endpoint_name": "churn", "variant_name": "main", "inference_component_name": None}
    of["policy_arn"] = ARN
    assert from_zero_alarm(named, **of)["AlarmName"] == "wake"
    assert from_zero_alarm(ScaleFromZero(target_value=5), **of)["AlarmName"] == "churn-main-from-zero"

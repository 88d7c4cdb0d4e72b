"""Scaling policies and scheduled actions of a production variant."""

from __future__ import annotations

import warnings
from datetime import datetime
from typing import Any

from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rules import (
    as_number,
    check_boolean,
    check_integer,
    check_number,
    check_one_of,
    check_seconds,
    check_text,
    invalid,
    is_rendered_later,
    nearest,
    present,
    seconds,
)

#: Predefined metrics of SageMaker scalable targets (Application Auto Scaling model, MetricType).
INVOCATIONS_PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"
PREDEFINED_METRICS = (
    INVOCATIONS_PER_INSTANCE,
    "SageMakerVariantProvisionedConcurrencyUtilization",
    "SageMakerVariantConcurrentRequestsPerModelHighResolution",
    "SageMakerInferenceComponentInvocationsPerCopy",
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
)
MAX_COOLDOWN = 24 * 3600


class InvocationsScaling(Reference):
    """Target tracking on the invocations that one instance takes: requests per second that become a target value.

    The target is ``safety_factor × max_requests_per_second × 60``, as the metric is per minute and instance.

    :param max_requests_per_second: Requests per second that one instance can serve, found by a load test; more than 0. (templated)
    :param safety_factor: Share of it to aim at, more than 0 and 1 at most (default: 0.5, AWS's advised start). (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-invocations``). (templated)
    :param scale_in_cooldown: Seconds or a timedelta after a scale-in before the next (default: AWS's, 300 s; 0 is kept). (templated)
    :param scale_out_cooldown: Seconds or a timedelta after a scale-out before the next (default: AWS's, 300 s; 0 is kept). (templated)
    :param disable_scale_in: Whether instances are never taken away by this policy (default: AWS's, False). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-loadtest.html
    """

    def __init__(
        self,
        *,
        max_requests_per_second: Any,
        safety_factor: Any = 0.5,
        policy_name: Any = None,
        scale_in_cooldown: Any = None,
        scale_out_cooldown: Any = None,
        disable_scale_in: Any = None,
    ) -> None:
        check_number("InvocationsScaling: max_requests_per_second", max_requests_per_second, above=0)
        check_number("InvocationsScaling: safety_factor", safety_factor, above=0, high=1)
        _check_policy(
            "InvocationsScaling", policy_name, scale_in_cooldown, scale_out_cooldown, disable_scale_in
        )
        super().__init__(
            "InvocationsScaling",
            MaxRequestsPerSecond=max_requests_per_second,
            SafetyFactor=safety_factor,
            PolicyName=policy_name,
            ScaleInCooldown=seconds(scale_in_cooldown),
            ScaleOutCooldown=seconds(scale_out_cooldown),
            DisableScaleIn=disable_scale_in,
        )


class TargetTrackingScaling(dict[str, Any]):
    """Target tracking on any metric, in the shape of PutScalingPolicy.

    :param target_value: The value to hold, more than 0. (templated)
    :param predefined_metric: A predefined metric of SageMaker; this or ``customized_metric``. (templated)
    :param customized_metric: A ``CustomizedMetricSpecification`` of the AWS shape. (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-<metric>``). (templated)
    :param scale_in_cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param scale_out_cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param disable_scale_in: Whether instances are never taken away by this policy (default: AWS's, False). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html
    """

    def __init__(
        self,
        *,
        target_value: Any,
        predefined_metric: Any = None,
        customized_metric: Any = None,
        policy_name: Any = None,
        scale_in_cooldown: Any = None,
        scale_out_cooldown: Any = None,
        disable_scale_in: Any = None,
    ) -> None:
        check_number("TargetTrackingScaling: target_value", target_value, above=0)
        if (predefined_metric is None) == (customized_metric is None):
            raise invalid(
                "TargetTrackingScaling: predefined_metric and customized_metric",
                (predefined_metric, customized_metric),
                "exactly one of the two",
            )
        if predefined_metric is not None:
            _check_predefined_metric(predefined_metric)
        _check_policy(
            "TargetTrackingScaling", policy_name, scale_in_cooldown, scale_out_cooldown, disable_scale_in
        )
        predefined = {"PredefinedMetricType": predefined_metric} if predefined_metric is not None else None
        super().__init__(
            present(
                PolicyName=policy_name,
                PolicyType="TargetTrackingScaling",
                TargetTrackingScalingPolicyConfiguration=present(
                    TargetValue=target_value,
                    PredefinedMetricSpecification=predefined,
                    CustomizedMetricSpecification=customized_metric,
                    ScaleInCooldown=seconds(scale_in_cooldown),
                    ScaleOutCooldown=seconds(scale_out_cooldown),
                    DisableScaleIn=disable_scale_in,
                ),
            )
        )


class StepScaling(dict[str, Any]):
    """Step scaling, in the shape of PutScalingPolicy; an alarm of yours names the policy's ARN as its action.

    :param step_adjustments: ``StepAdjustment`` dicts of the AWS shape, at least one. (templated)
    :param adjustment_type: ``ChangeInCapacity`` (default), ``PercentChangeInCapacity`` or ``ExactCapacity``. (templated)
    :param cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param metric_aggregation_type: ``Average``, ``Minimum`` or ``Maximum`` (default: AWS's, Average). (templated)
    :param min_adjustment_magnitude: Least number of instances for ``PercentChangeInCapacity``. (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-step``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_StepScalingPolicyConfiguration.html
    """

    def __init__(
        self,
        *,
        step_adjustments: Any,
        adjustment_type: Any = "ChangeInCapacity",
        cooldown: Any = None,
        metric_aggregation_type: Any = None,
        min_adjustment_magnitude: Any = None,
        policy_name: Any = None,
    ) -> None:
        check_one_of(
            "StepScaling: adjustment_type",
            adjustment_type,
            ("ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"),
        )
        if not is_rendered_later(step_adjustments) and not step_adjustments:
            raise invalid("StepScaling: step_adjustments", step_adjustments, "one StepAdjustment or more")
        if metric_aggregation_type is not None:
            check_one_of(
                "StepScaling: metric_aggregation_type",
                metric_aggregation_type,
                ("Average", "Minimum", "Maximum"),
            )
        _check_policy("StepScaling", policy_name, None, None, None)
        if cooldown is not None:
            check_seconds("StepScaling: cooldown", cooldown, 0, MAX_COOLDOWN)
        super().__init__(
            present(
                PolicyName=policy_name,
                PolicyType="StepScaling",
                StepScalingPolicyConfiguration=present(
                    AdjustmentType=adjustment_type,
                    StepAdjustments=step_adjustments,
                    MinAdjustmentMagnitude=min_adjustment_magnitude,
                    Cooldown=seconds(cooldown),
                    MetricAggregationType=metric_aggregation_type,
                ),
            )
        )


class ScheduledScaling(dict[str, Any]):
    """A scheduled action, in the shape of PutScheduledAction.

    :param scheduled_action_name: Name of the action. (templated)
    :param schedule: ``at(yyyy-mm-ddThh:mm:ss)``, ``rate(value unit)`` or ``cron(six fields)``. (templated)
    :param min_capacity: Least number of instances from then on (default: unchanged). (templated)
    :param max_capacity: Greatest number of instances from then on (default: unchanged). (templated)
    :param timezone: IANA time zone of the schedule (default: AWS's, UTC). (templated)
    :param start_time: First moment at which the schedule holds. (templated)
    :param end_time: Last moment at which the schedule holds. (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
    """

    def __init__(
        self,
        *,
        scheduled_action_name: Any,
        schedule: Any,
        min_capacity: Any = None,
        max_capacity: Any = None,
        timezone: Any = None,
        start_time: datetime | Any = None,
        end_time: datetime | Any = None,
    ) -> None:
        where = "ScheduledScaling"
        check_text(
            f"{where}: scheduled_action_name",
            scheduled_action_name,
            pattern=r"(?!((^[ ]+.*)|(.*([\u0000-\u001f]|[\u007f-\u009f]|[:/|])+.*)|(.*[ ]+$))).+",
            max_length=256,
            allowed="1 to 256 characters without ':', '/' and '|'",
        )
        check_text(
            f"{where}: schedule",
            schedule,
            pattern=r"(at|rate|cron)\(.+\)",
            max_length=1600,
            allowed="at(yyyy-mm-ddThh:mm:ss), rate(value unit) or cron(fields)",
        )
        if min_capacity is None and max_capacity is None:
            raise invalid(f"{where}: min_capacity and max_capacity", (None, None), "at least one of the two")
        for name, value in (("min_capacity", min_capacity), ("max_capacity", max_capacity)):
            if value is not None:
                check_integer(f"{where}: {name}", value, 0)
        super().__init__(
            present(
                ScheduledActionName=scheduled_action_name,
                Schedule=schedule,
                Timezone=timezone,
                StartTime=start_time,
                EndTime=end_time,
                ScalableTargetAction=present(MinCapacity=min_capacity, MaxCapacity=max_capacity),
            )
        )


def policy_request(policy: dict[str, Any], *, endpoint_name: str, variant_name: str) -> dict[str, Any]:
    """Return a rendered policy as PutScalingPolicy takes it: named, and with its target value worked out."""
    prefix = f"{endpoint_name}-{variant_name}"
    if kind_of(policy) != "InvocationsScaling":
        configuration = policy.get("TargetTrackingScalingPolicyConfiguration", {})
        predefined = configuration.get("PredefinedMetricSpecification", {}).get("PredefinedMetricType")
        custom = configuration.get("CustomizedMetricSpecification", {}).get("MetricName")
        return {"PolicyName": f"{prefix}-{predefined or custom or 'step'}", **policy}
    rate = as_number("InvocationsScaling: max_requests_per_second", policy["MaxRequestsPerSecond"], above=0)
    factor = as_number("InvocationsScaling: safety_factor", policy["SafetyFactor"], above=0)
    check_number("InvocationsScaling: safety_factor", factor, high=1)
    return {
        "PolicyName": policy.get("PolicyName") or f"{prefix}-invocations",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": factor * rate * 60,
            "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS_PER_INSTANCE},
            **{
                member: policy[member]
                for member in ("ScaleInCooldown", "ScaleOutCooldown", "DisableScaleIn")
                if policy.get(member) is not None
            },
        },
    }


def _check_predefined_metric(name: Any) -> None:
    """Check the form of a metric's name; one that is not known is a warning, as AWS adds metrics."""
    where = "TargetTrackingScaling: predefined_metric"
    check_text(where, name, pattern=r"[A-Za-z][A-Za-z0-9]*", allowed=", ".join(PREDEFINED_METRICS))
    if not is_rendered_later(name) and name not in PREDEFINED_METRICS:
        near = ", ".join(nearest(name, PREDEFINED_METRICS, 1))
        warnings.warn(
            f"{where} is {name!r}, which this version does not know"
            + (f" (nearest: {near})" if near else "")
            + "; it is sent as it is.",
            stacklevel=3,
        )


def _check_policy(where: str, policy_name: Any, scale_in: Any, scale_out: Any, disable_scale_in: Any) -> None:
    if policy_name is not None:
        check_text(
            f"{where}: policy_name",
            policy_name,
            pattern=r"\S(.*\S)?",
            max_length=256,
            allowed="1 to 256 characters",
        )
    for name, value in (("scale_in_cooldown", scale_in), ("scale_out_cooldown", scale_out)):
        if value is not None:
            check_seconds(f"{where}: {name}", value, 0, MAX_COOLDOWN)
    if disable_scale_in is not None:
        check_boolean(f"{where}: disable_scale_in", disable_scale_in)

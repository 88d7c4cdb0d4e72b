"""Scaling policies: their checks, the alarms of target tracking, and the capacity that each policy desires."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from airflow_sm_hosting.local.autoscaling import arithmetic
from airflow_sm_hosting.local.autoscaling.arithmetic import DesiredCapacity
from airflow_sm_hosting.local.autoscaling.dimensions import (
    CONCURRENCY,
    COPIES,
    INSTANCES,
    VARIANT,
)
from airflow_sm_hosting.local.cloudwatch.alarm import Alarm
from airflow_sm_hosting.local.wire.errors import AwsError

# Of step scaling 300 s; of target tracking 300 s for "SageMaker endpoint variants", 0 for what the list does not name:
# API_StepScalingPolicyConfiguration.html, API_TargetTrackingScalingPolicyConfiguration.html
_STEP_COOLDOWN = 300
_TRACKING_COOLDOWN = {INSTANCES: 300, CONCURRENCY: 0, COPIES: 0}


@dataclass(frozen=True)
class PredefinedMetric:
    """The metric behind a ``PredefinedMetricType``.

    :param name: Its name in ``AWS/SageMaker``.
    :param statistic: Which statistic of it is held against the target.
    :param dimension: The scalable dimension that it goes with.
    :param period: In seconds.
    :param periods: How many of them make the alarm that scales out, and the one that scales in.
    """

    name: str
    statistic: str
    dimension: str
    period: int = 60
    periods: tuple[int, int] = (3, 15)


# https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-policy.html; statistics other than of the first, and
# that alarms of high resolution span half a minute and a quarter of an hour, are assumed.
_PREDEFINED = {
    # "the average number of times per minute that each instance is invoked": the sum of 1/n for each invocation
    "SageMakerVariantInvocationsPerInstance": PredefinedMetric("InvocationsPerInstance", "Sum", INSTANCES),
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": PredefinedMetric(
        "ConcurrentRequestsPerModel", "Average", INSTANCES, 10, (3, 90)
    ),
    "SageMakerVariantProvisionedConcurrencyUtilization": PredefinedMetric(
        "ServerlessProvisionedConcurrencyUtilization", "Average", CONCURRENCY
    ),
    "SageMakerInferenceComponentInvocationsPerCopy": PredefinedMetric("InvocationsPerCopy", "Sum", COPIES),
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": PredefinedMetric(
        "ConcurrentRequestsPerCopy", "Average", COPIES, 10, (3, 90)
    ),
}


@dataclass
class Policy:
    """A scaling policy."""

    name: str
    arn: str
    kind: str
    configuration: dict[str, Any]
    created: datetime
    alarms: list[dict[str, str]] = field(default_factory=list)

    @property
    def tracks(self) -> bool:
        """Whether it is a target-tracking policy."""
        return self.kind == "TargetTrackingScaling"

    @property
    def may_scale_in(self) -> bool:
        """Whether it scales in."""
        return not self.configuration.get("DisableScaleIn")


def check_policy(kind: str, configuration: Mapping[str, Any] | None, dimension: str) -> None:
    """Refuse an invalid policy.

    :param kind: ``StepScaling`` or ``TargetTrackingScaling``.
    :param configuration: Its ``…PolicyConfiguration``.
    :param dimension: The scalable dimension of the target.
    :raises AwsError: The refusal.
    """
    if kind not in ("StepScaling", "TargetTrackingScaling"):
        raise AwsError("ValidationException", f"{kind} is not supported for the namespace sagemaker.")
    if configuration is None:
        raise AwsError("ValidationException", f"{kind}PolicyConfiguration is required for {kind}.")
    if kind == "StepScaling":
        if problem := arithmetic.step_problem(configuration):
            raise AwsError("ValidationException", problem)
        return
    predefined = configuration.get("PredefinedMetricSpecification")
    if bool(predefined) == bool(configuration.get("CustomizedMetricSpecification")):
        raise AwsError(
            "ValidationException",
            "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified.",
        )
    if problem := _math_problem(
        (configuration.get("CustomizedMetricSpecification") or {}).get("Metrics") or ()
    ):
        raise AwsError("ValidationException", problem)
    if configuration["TargetValue"] <= 0:
        # "The range is 8.515920e-109 to 1.174271e+108"
        raise AwsError("ValidationException", "TargetValue must be greater than 0.")
    for member in ("ScaleInCooldown", "ScaleOutCooldown"):
        if configuration.get(member, 0) < 0:
            raise AwsError("ValidationException", f"{member} must be 0 or more.")
    if predefined:
        name = predefined["PredefinedMetricType"]
        metric = _PREDEFINED.get(name)
        if metric is None or metric.dimension != dimension:
            raise AwsError(
                "ValidationException",
                f"The predefined metric {name} does not go with the scalable dimension {dimension}.",
            )
        if predefined.get("ResourceLabel"):
            # "You can't specify a resource label unless the metric type is ALBRequestCountPerTarget"
            raise AwsError("ValidationException", f"ResourceLabel must be empty for {name}.")


def _math_problem(queries: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why the metrics of a policy cannot be, or None (API_TargetTrackingMetricDataQuery.html; the sentences are assumed)."""
    ids = [query["Id"] for query in queries]
    if len(set(ids)) < len(ids):
        return "The Id of each metric in Metrics must be unique."
    if any(("MetricStat" in query) == ("Expression" in query) for query in queries):
        return "Each metric in Metrics must have either MetricStat or Expression."
    if queries and sum(query.get("ReturnData", True) for query in queries) != 1:
        return "Exactly one metric in Metrics must have ReturnData."
    return None


def tracking_alarms(policy: Policy, resource_id: str) -> list[dict[str, Any]]:
    """Return the alarms that a target-tracking policy makes, as PutMetricAlarm takes them.

    Three minutes above the target scale out, fifteen below 90 % of it scale in, as on AWS.
    """
    configuration = policy.configuration
    target = float(configuration["TargetValue"])
    watched, periods = _watched(configuration, resource_id)
    sides = [("AlarmHigh", "GreaterThanThreshold", periods[0], target)]
    if policy.may_scale_in:
        sides.append(("AlarmLow", "LessThanThreshold", periods[1], target * 0.9))
    return [
        {
            # One pair a policy, whose names stay when the policy is put again.
            "AlarmName": f"TargetTracking-{resource_id}-{side}-{uuid5(NAMESPACE_URL, policy.arn + side)}",
            "AlarmDescription": f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.arn}.",
            "ActionsEnabled": True,
            "AlarmActions": [f"{policy.arn}:createdBy/{uuid5(NAMESPACE_URL, policy.arn)}"],
            "ComparisonOperator": comparison,
            "EvaluationPeriods": number,
            "Threshold": threshold,
            **watched,
        }
        for side, comparison, number, threshold in sides
    ]


def _watched(configuration: Mapping[str, Any], resource_id: str) -> tuple[dict[str, Any], tuple[int, int]]:
    """Return the metric of the alarms, and how many periods each alarm takes."""
    predefined = configuration.get("PredefinedMetricSpecification")
    if predefined:
        metric = _PREDEFINED[predefined["PredefinedMetricType"]]
        match = VARIANT.fullmatch(resource_id)
        if match:
            names = {"EndpointName": match[1], "VariantName": match[2]}
        else:
            names = {"InferenceComponentName": resource_id.partition("/")[2]}
        dimensions = [{"Name": name, "Value": value} for name, value in names.items()]
        return {
            "Namespace": "AWS/SageMaker",
            "MetricName": metric.name,
            "Dimensions": dimensions,
            "Statistic": metric.statistic,
            "Period": metric.period,
        }, metric.periods
    custom = configuration["CustomizedMetricSpecification"]
    period = int(custom.get("MetricPeriod", 60)) if "MetricPeriod" in custom else 60
    if queries := custom.get("Metrics"):
        return {
            "Metrics": [
                {**query, "MetricStat": {**query["MetricStat"], "Period": period}}
                if "MetricStat" in query
                else query
                for query in queries
            ]
        }, (3, 15)
    return {
        "Namespace": custom["Namespace"],
        "MetricName": custom["MetricName"],
        "Dimensions": custom.get("Dimensions", []),
        "Statistic": custom.get("Statistic", "Average"),
        "Period": period,
        **({"Unit": custom["Unit"]} if custom.get("Unit") else {}),
    }, (3, 15)


def is_triggered(alarm: Alarm, policy: Policy) -> bool:
    """Return whether an alarm, as it is now, triggers a policy."""
    return alarm.actions_enabled and any(
        action.partition(":createdBy/")[0] == policy.arn for action in alarm.actions(alarm.state)
    )


def capacity_by_tracking(
    policy: Policy, alarms: Sequence[Alarm], current: int, counted: int
) -> DesiredCapacity:
    """Return the capacity that a target-tracking policy desires: the current one, where neither of its alarms is in ALARM."""
    target = float(policy.configuration["TargetValue"])
    for alarm in alarms:
        if not alarm.values:
            continue
        above = alarm.request["ComparisonOperator"] == "GreaterThanThreshold"
        capacity = arithmetic.tracked_capacity(counted if above else current, alarm.values[-1], target)
        # The alarm of one side never does what is the other's.
        capacity = max(capacity, current) if above else min(capacity, current)
        return DesiredCapacity(policy.name, capacity, policy.may_scale_in, alarm.name)
    return DesiredCapacity(policy.name, current, policy.may_scale_in)


def capacity_by_steps(
    policy: Policy, alarms: Sequence[Alarm], current: int, counted: int
) -> DesiredCapacity | None:
    """Return the capacity that a step policy desires, None where nothing triggers it."""
    desired = []
    for alarm in alarms:
        if not alarm.values or "Threshold" not in alarm.request:
            continue
        value = arithmetic.aggregated(alarm.values, policy.configuration.get("MetricAggregationType"))
        above = alarm.request["ComparisonOperator"].startswith("Greater")
        difference = value - float(alarm.request["Threshold"])
        capacity = arithmetic.step_capacity(counted, difference, above, policy.configuration)
        if capacity is not None and capacity <= counted:
            capacity = arithmetic.step_capacity(current, difference, above, policy.configuration)
        elif capacity is not None:
            capacity = max(capacity, current)
        if capacity is not None:
            desired.append(DesiredCapacity(policy.name, capacity, alarm=alarm.name))
    return max(desired, key=lambda one: one.capacity, default=None)


def cooldown_seconds(policy: Policy, dimension: str, direction: str) -> int:
    """Return how long a policy waits after it has scaled.

    :param direction: ``Out`` or ``In``.
    """
    if policy.tracks:
        return int(policy.configuration.get(f"Scale{direction}Cooldown", _TRACKING_COOLDOWN[dimension]))
    return int(policy.configuration.get("Cooldown", _STEP_COOLDOWN))

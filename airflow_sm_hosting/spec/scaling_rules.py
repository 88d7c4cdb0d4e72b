"""Rules of Application Auto Scaling and SageMaker for scalable targets, policies and scheduled actions, in the AWS shape."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_boolean,
    check_integer,
    check_number,
    check_one_of,
    check_seconds,
    check_text,
    check_unique,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.members import nearest_name
from airflow_sm_hosting.spec.metric import endpoint_metrics
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.schedule import check_schedule, check_span, check_timezone

INSTANCE_COUNT = "sagemaker:variant:DesiredInstanceCount"
PROVISIONED_CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
#: The scalable dimensions of a production variant (RegisterScalableTarget, ScalableDimension).
#: The copies of an inference component (RegisterScalableTarget, ScalableDimension).
COPY_COUNT = "sagemaker:inference-component:DesiredCopyCount"

SCALABLE_DIMENSIONS = (INSTANCE_COUNT, PROVISIONED_CONCURRENCY, COPY_COUNT)

INVOCATIONS_PER_INSTANCE = "SageMakerVariantInvocationsPerInstance"
INVOCATIONS_PER_COPY = "SageMakerInferenceComponentInvocationsPerCopy"
CONCURRENCY_UTILIZATION = "SageMakerVariantProvisionedConcurrencyUtilization"
#: The scalable dimension of each predefined metric of SageMaker. Names: Application Auto Scaling model, MetricType. Dimensions:
#: developer guide, "Auto scaling policy overview" and "Automatically scale Provisioned Concurrency for a serverless endpoint".
PREDEFINED_METRICS = {
    INVOCATIONS_PER_INSTANCE: INSTANCE_COUNT,
    "SageMakerVariantConcurrentRequestsPerModelHighResolution": INSTANCE_COUNT,
    CONCURRENCY_UTILIZATION: PROVISIONED_CONCURRENCY,
    INVOCATIONS_PER_COPY: COPY_COUNT,
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution": COPY_COUNT,
}

#: Application Auto Scaling user guide, "Quotas for Application Auto Scaling": not adjustable.
MAX_POLICIES = 50
MAX_SCHEDULED_ACTIONS = 200
#: Assumed: the guide documents no maximum cooldown; a day is longer than any useful one.
MAX_COOLDOWN = 24 * 3600
#: API_TargetTrackingScalingPolicyConfiguration.
MAX_TARGET_VALUE = 2.0**360

#: The kind of a WorkingHours, and what the names of its two scheduled actions end with.
WORKING_HOURS = "WorkingHours"
WORKING_HOURS_ENDINGS = ("-start", "-end")

POLICY_TYPES = ("TargetTrackingScaling", "StepScaling")
ADJUSTMENT_TYPES = ("ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity")
AGGREGATION_TYPES = ("Average", "Minimum", "Maximum")
#: CustomizedMetricSpecification, Statistic.
STATISTICS = ("Average", "Minimum", "Maximum", "SampleCount", "Sum")
SUSPENDED_STATE = ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended")

#: Filled in by the task.
_PLACE = ("ServiceNamespace", "ResourceId", "ScalableDimension")

Members = Mapping[str, Any]
#: The members of the requests (Application Auto Scaling model), as far as they are checked here.
POLICY_MEMBERS: Members = {
    "PolicyName": None,
    "PolicyType": None,
    "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": None,
        "PredefinedMetricSpecification": {"PredefinedMetricType": None, "ResourceLabel": None},
        "CustomizedMetricSpecification": {
            "MetricName": None,
            "Namespace": None,
            "Dimensions": {"Name": None, "Value": None},
            "Statistic": None,
            "Unit": None,
            "Metrics": {
                "Expression": None,
                "Id": None,
                "Label": None,
                "MetricStat": None,
                "ReturnData": None,
            },
        },
        "ScaleOutCooldown": None,
        "ScaleInCooldown": None,
        "DisableScaleIn": None,
    },
    "StepScalingPolicyConfiguration": {
        "AdjustmentType": None,
        "StepAdjustments": {
            "MetricIntervalLowerBound": None,
            "MetricIntervalUpperBound": None,
            "ScalingAdjustment": None,
        },
        "MinAdjustmentMagnitude": None,
        "Cooldown": None,
        "MetricAggregationType": None,
    },
    "PredictiveScalingPolicyConfiguration": None,
}
ACTION_MEMBERS: Members = {
    "ScheduledActionName": None,
    "Schedule": None,
    "Timezone": None,
    "StartTime": None,
    "EndTime": None,
    "ScalableTargetAction": {"MinCapacity": None, "MaxCapacity": None},
}


def check_policy_name(where: str, name: Any) -> None:
    """Check the name of a policy (PutScalingPolicy, PolicyName)."""
    check_text(
        where,
        name,
        pattern=r"[^\x00-\x20\x7f]([^\x00-\x1f\x7f]*[^\x00-\x20\x7f])?",
        max_length=256,
        allowed="1 to 256 characters, without leading or trailing space",
    )


def check_action_name(where: str, name: Any) -> None:
    """Check the name of a scheduled action (PutScheduledAction, ScheduledActionName)."""
    check_text(
        where,
        name,
        pattern=r"(?!((^[ ]+.*)|(.*([\u0000-\u001f]|[\u007f-\u009f]|[:/|])+.*)|(.*[ ]+$))).+",
        max_length=256,
        allowed="1 to 256 characters without ':', '/' and '|'",
    )


def check_cooldown(where: str, value: Any) -> None:
    """Check a given cooldown: whole seconds or a timedelta; 0 is allowed."""
    if value is not None:
        check_seconds(where, value, 0, MAX_COOLDOWN)


def check_predefined_metric(where: str, metric: Any, target_value: Any) -> None:
    """Check the form of a predefined metric's name, and its target value."""
    check_text(where, metric, pattern=r"[A-Za-z][A-Za-z0-9]*", allowed=", ".join(PREDEFINED_METRICS))
    if metric == CONCURRENCY_UTILIZATION and isinstance(target_value, int | float) and target_value > 1:
        # Concurrent executions divided by the concurrency provisioned for them (developer guide, "Monitoring serverless endpoints").
        raise invalid(
            f"the target value of {metric}", target_value, "more than 0, 1 at most: a share, not a percentage"
        )


def check_target_value(where: str, value: Any) -> None:
    """Check a target value: more than 0 (assumed for the metrics that SageMaker publishes), and within the service's maximum."""
    check_number(where, value, above=0, high=MAX_TARGET_VALUE)


def check_step_adjustments(where: str, adjustments: Any, adjustment_type: Any) -> None:
    """Check step adjustments, each by itself and all together (API_StepAdjustment).

    :param adjustment_type: With ``ExactCapacity`` no adjustment is negative.
    """
    if is_rendered_later(adjustments):
        return
    if isinstance(adjustments, str | Mapping) or not isinstance(adjustments, Iterable):
        raise InvalidSpecError(
            f"{where} is a {type(adjustments).__name__}; allowed: a list of StepAdjustment dicts."
        )
    steps = list(adjustments)
    if not steps:
        raise invalid(where, adjustments, "one StepAdjustment or more")
    for index, step in enumerate(steps):
        if is_rendered_later(step):
            continue
        here = f"{where}[{index}]"
        if not isinstance(step, Mapping):
            raise InvalidSpecError(f"{here} is a {type(step).__name__}; allowed: a StepAdjustment dict.")
        check_members(here, step, POLICY_MEMBERS["StepScalingPolicyConfiguration"]["StepAdjustments"])
        _check_step(here, step, adjustment_type)
    bounds = [bound for step in steps for bound in (_bounds(step) if isinstance(step, Mapping) else ("{{",))]
    if not any(isinstance(bound, str) or is_rendered_later(bound) for bound in bounds):
        _check_intervals(where, [_bounds(step) for step in steps])


def _check_step(where: str, step: Mapping[str, Any], adjustment_type: Any) -> None:
    if "ScalingAdjustment" not in step:
        raise invalid(where, dict(step), "a dict with ScalingAdjustment")
    adjustment = step["ScalingAdjustment"]
    exact = adjustment_type == "ExactCapacity"
    check_integer(f"{where}.ScalingAdjustment", adjustment, 0 if exact else -(2**31), 2**31 - 1)
    lower, upper = _bounds(step)
    for name, bound in (("MetricIntervalLowerBound", lower), ("MetricIntervalUpperBound", upper)):
        if bound is not None:
            check_number(f"{where}.{name}", bound)
    if lower is None and upper is None:
        raise InvalidSpecError(
            f"{where} has neither MetricIntervalLowerBound nor MetricIntervalUpperBound; allowed: at least one of them."
        )
    if (
        not (lower is None or upper is None or is_rendered_later(lower) or is_rendered_later(upper))
        and lower >= upper
    ):
        raise invalid(
            f"{where}.MetricIntervalUpperBound", upper, f"more than MetricIntervalLowerBound, {lower}"
        )


def _check_intervals(where: str, bounds: list[tuple[Any, Any]]) -> None:
    """Check that the sorted intervals neither overlap nor leave a gap, and are unbounded on each side of the threshold that they cover."""
    for side, name in ((0, "MetricIntervalLowerBound"), (1, "MetricIntervalUpperBound")):
        if sum(pair[side] is None for pair in bounds) > 1:
            raise InvalidSpecError(f"{where} has more than one step without {name}; allowed: at most one.")
    ordered = sorted(bounds, key=lambda pair: (pair[0] is not None, pair[0] or 0))
    for (_, upper), (lower, _) in pairwise(ordered):
        if upper != lower:
            found = "overlap" if upper is None or upper > lower else "leave a gap"
            raise InvalidSpecError(
                f"{where} {found} between {'infinity' if upper is None else upper} and {lower}; allowed: each "
                "MetricIntervalUpperBound is the next step's MetricIntervalLowerBound."
            )
    least, greatest = ordered[0][0], ordered[-1][1]
    if least is not None and least < 0:
        raise InvalidSpecError(
            f"{where} begins at {least}; allowed: if one step has a negative MetricIntervalLowerBound, "
            "another step must have none."
        )
    if greatest is not None and greatest > 0:
        raise InvalidSpecError(
            f"{where} ends at {greatest}; allowed: if one step has a positive MetricIntervalUpperBound, "
            "another step must have none."
        )


def _bounds(step: Mapping[str, Any]) -> tuple[Any, Any]:
    return step.get("MetricIntervalLowerBound"), step.get("MetricIntervalUpperBound")


def check_step_configuration(spell: Any, configuration: Mapping[str, Any]) -> None:
    """Check a step-scaling configuration (API_StepScalingPolicyConfiguration).

    :param spell: Returns the name of a member in messages.
    """
    adjustment_type = configuration.get("AdjustmentType")
    check_one_of(spell("AdjustmentType"), adjustment_type, ADJUSTMENT_TYPES)
    check_step_adjustments(spell("StepAdjustments"), configuration.get("StepAdjustments"), adjustment_type)
    aggregation, magnitude = (
        configuration.get("MetricAggregationType"),
        configuration.get("MinAdjustmentMagnitude"),
    )
    if aggregation is not None:
        check_one_of(spell("MetricAggregationType"), aggregation, AGGREGATION_TYPES)
    if magnitude is not None:
        check_integer(spell("MinAdjustmentMagnitude"), magnitude, 1)
        if not is_rendered_later(adjustment_type) and adjustment_type != "PercentChangeInCapacity":
            raise invalid(
                spell("MinAdjustmentMagnitude"),
                magnitude,
                "none, unless the adjustment type is PercentChangeInCapacity",
            )
    check_cooldown(spell("Cooldown"), configuration.get("Cooldown"))


def check_tracking_configuration(spell: Any, configuration: Mapping[str, Any]) -> None:
    """Check a target-tracking configuration (API_TargetTrackingScalingPolicyConfiguration).

    :param spell: Returns the name of a member in messages.
    """
    value = configuration.get("TargetValue")
    check_target_value(spell("TargetValue"), value)
    predefined = configuration.get("PredefinedMetricSpecification")
    custom = configuration.get("CustomizedMetricSpecification")
    if (predefined is None) == (custom is None):
        names = _both(spell, "PredefinedMetricSpecification", "CustomizedMetricSpecification")
        raise invalid(names, (predefined, custom), "exactly one of the two")
    if isinstance(predefined, Mapping):
        where = spell("PredefinedMetricSpecification")
        if "ResourceLabel" in predefined:
            raise invalid(
                f"{where}: ResourceLabel", predefined["ResourceLabel"], "none: it is only for load balancers"
            )
        check_predefined_metric(where, predefined.get("PredefinedMetricType"), value)
    if custom is not None:
        check_customized_metric(spell("CustomizedMetricSpecification"), custom)
    check_cooldown(spell("ScaleInCooldown"), configuration.get("ScaleInCooldown"))
    check_cooldown(spell("ScaleOutCooldown"), configuration.get("ScaleOutCooldown"))
    if configuration.get("DisableScaleIn") is not None:
        check_boolean(spell("DisableScaleIn"), configuration["DisableScaleIn"])


def check_customized_metric(where: str, metric: Any) -> None:
    """Check the metric of a target-tracking policy (API_CustomizedMetricSpecification); an EndpointMetric and a MetricMath check themselves."""
    if is_rendered_later(metric):
        return
    if kind_of(metric) in ("EndpointMetric", "MetricMath"):
        if of_others := [one["AccountId"] for one in endpoint_metrics(metric) if one.get("AccountId")]:
            # botocore, TargetTrackingMetricDataQuery: no AccountId.
            raise invalid(
                f"{where}: account_id", of_others[0], "none: a policy tracks metrics of its own account"
            )
        return
    if kind_of(metric) is not None or not isinstance(metric, Mapping):
        kind = kind_of(metric) or type(metric).__name__
        raise InvalidSpecError(
            f"{where} is a {kind}; allowed: an EndpointMetric, a MetricMath, or a CustomizedMetricSpecification dict."
        )
    check_members(
        where,
        metric,
        POLICY_MEMBERS["TargetTrackingScalingPolicyConfiguration"]["CustomizedMetricSpecification"],
    )
    single = [name for name in ("MetricName", "Namespace", "Statistic") if metric.get(name) is not None]
    if metric.get("Metrics") is not None:
        if single:
            raise InvalidSpecError(
                f"{where} has Metrics and {', '.join(single)}; allowed: Metrics, or one metric."
            )
    elif len(single) < 3:
        missing = [name for name in ("MetricName", "Namespace", "Statistic") if name not in single]
        raise InvalidSpecError(
            f"{where} has no {', '.join(missing)}; allowed: MetricName, Namespace and Statistic, or Metrics."
        )
    elif not is_rendered_later(metric["Statistic"]):
        check_one_of(f"{where}.Statistic", metric["Statistic"], STATISTICS)


def check_policies(where: str, policies: Iterable[Any]) -> None:
    """Check policies, one by one and together; values that are rendered later are skipped.

    :raises InvalidSpecError: For a wrong value; the message names the policy and the member.
    """
    policies = list(policies)
    if len(policies) > MAX_POLICIES:
        raise InvalidSpecError(
            f"{where} has {len(policies)} entries; allowed: at most {MAX_POLICIES} per scalable target."
        )
    problems = Problems()
    for index, policy in enumerate(policies):
        if not is_rendered_later(policy):
            with problems:
                _check_policy(f"{where}[{index}]", policy)
    problems.tell()
    given = [policy for policy in policies if isinstance(policy, Mapping)]
    check_unique(where, (policy.get("PolicyName") for policy in given))
    metrics: dict[str, int] = {}
    for index, policy in enumerate(given):
        metric = tracked_metric(policy)
        if metric is not None and metrics.setdefault(metric, index) != index:
            # User guide, "How target tracking scaling works": several, "provided that each of them uses a different metric"; the service
            # answers "Only one TargetTrackingScaling policy for a given metric specification is allowed." (terraform-provider-aws#41179)
            raise InvalidSpecError(
                f"{where} has two target-tracking policies on {metric}; allowed: one per metric."
            )


def _check_policy(where: str, policy: Any) -> None:
    if not isinstance(policy, Mapping):
        raise InvalidSpecError(
            f"{where} is a {type(policy).__name__}; allowed: a policy, such as InvocationsScaling(…)."
        )
    if kind_of(policy) == "InvocationsScaling":
        return
    if kind_of(policy) is not None or "ScheduledActionName" in policy:
        found = kind_of(policy) or "scheduled action (see scheduled_actions)"
        raise InvalidSpecError(f"{where} is a {found}; allowed: a policy, such as InvocationsScaling(…).")
    check_members(where, policy, POLICY_MEMBERS)
    if policy.get("PolicyName") is not None:
        check_policy_name(f"{where}.PolicyName", policy["PolicyName"])
    kind = policy.get("PolicyType")
    if kind == "PredictiveScaling":
        raise invalid(
            f"{where}.PolicyType",
            kind,
            "TargetTrackingScaling or StepScaling; PredictiveScaling is only for Amazon ECS "
            "(PutScalingPolicy)",
        )
    check_one_of(f"{where}.PolicyType", kind, POLICY_TYPES)
    for policy_type, check in (
        ("TargetTrackingScaling", check_tracking_configuration),
        ("StepScaling", check_step_configuration),
    ):
        member = f"{policy_type}PolicyConfiguration"
        configuration = policy.get(member)
        if not is_rendered_later(kind) and (configuration is None) == (kind == policy_type):
            raise InvalidSpecError(
                f"{where} is a {kind} {('without' if configuration is None else 'with')} {member}; allowed: "
                f"only {kind}PolicyConfiguration."
            )
        if isinstance(configuration, Mapping):
            check(lambda name, member=member: f"{where}.{member}.{name}", configuration)
        elif configuration is not None and not is_rendered_later(configuration):
            raise InvalidSpecError(f"{where}.{member} is a {type(configuration).__name__}; allowed: a dict.")


def check_action(spell: Any, action: Mapping[str, Any]) -> None:
    """Check a scheduled action (API_PutScheduledAction).

    :param spell: Returns the name of a member in messages.
    """
    check_action_name(spell("ScheduledActionName"), action.get("ScheduledActionName"))
    check_schedule(spell("Schedule"), action.get("Schedule"))
    if action.get("Timezone") is not None:
        check_timezone(spell("Timezone"), action["Timezone"])
    check_span(spell("StartTime"), action.get("StartTime"), spell("EndTime"), action.get("EndTime"))
    capacities = action.get("ScalableTargetAction")
    if is_rendered_later(capacities):
        return
    if capacities is not None and not isinstance(capacities, Mapping):
        raise invalid(
            spell("ScalableTargetAction"), capacities, "a dict with MinCapacity, MaxCapacity or both"
        )
    low, high = ((capacities or {}).get(name) for name in ("MinCapacity", "MaxCapacity"))
    if low is None and high is None:
        raise invalid(_both(spell, "MinCapacity", "MaxCapacity"), (None, None), "at least one of the two")
    check_capacities(spell("MinCapacity"), low, spell("MaxCapacity"), high)


def _both(spell: Any, one: str, other: str) -> str:
    return f"{spell(one)} and {re.split('[ .]', spell(other))[-1]}"


def check_capacities(low_name: str, low: Any, high_name: str, high: Any) -> None:
    """Check the given minimum and maximum capacity: whole numbers, 0 or more, in that order."""
    if high is not None:
        check_integer(high_name, high, 0)
    if low is not None:
        check_integer(low_name, low, 0)
    if isinstance(low, int) and isinstance(high, int) and low > high:
        raise invalid(low_name, low, f"at most the maximum capacity, {high}")


def check_actions(where: str, actions: Iterable[Any]) -> None:
    """Check scheduled actions, one by one and together; values that are rendered later are skipped."""
    actions = list(actions)
    if len(actions) > MAX_SCHEDULED_ACTIONS:
        raise InvalidSpecError(
            f"{where} has {len(actions)} entries; allowed: at most {MAX_SCHEDULED_ACTIONS} per scalable "
            "target."
        )
    problems = Problems()
    for index, action in enumerate(actions):
        if not is_rendered_later(action):
            with problems:
                _check_scheduled_action(f"{where}[{index}]", action)
    problems.tell()
    check_unique(
        where, (name for action in actions if isinstance(action, Mapping) for name in _action_names(action))
    )


def _action_names(action: Mapping[str, Any]) -> list[Any]:
    """Return the names of the scheduled actions that an entry stands for."""
    if kind_of(action) == WORKING_HOURS:
        name = action.get("Name")
        return [f"{name}{ending}" for ending in WORKING_HOURS_ENDINGS if not is_rendered_later(name)]
    return [action.get("ScheduledActionName")]


def _check_scheduled_action(where: str, action: Any) -> None:
    if kind_of(action) == WORKING_HOURS:
        return  # it has checked itself
    if not isinstance(action, Mapping) or kind_of(action) or "PolicyType" in action:
        found = "policy (see policies)" if isinstance(action, Mapping) else type(action).__name__
        raise InvalidSpecError(
            f"{where} is a {found}; allowed: a scheduled action, such as ScheduledScaling(…)."
        )
    check_members(where, action, ACTION_MEMBERS)
    check_action(lambda name: f"{where}.{name}", action)


def check_suspended_state(where: str, state: Any) -> None:
    """Check the activities to suspend (API_SuspendedState)."""
    if state is None or is_rendered_later(state):
        return
    allowed = f"a dict of {', '.join(SUSPENDED_STATE)} to True or False"
    if not isinstance(state, Mapping) or not state or not set(state) <= set(SUSPENDED_STATE):
        raise invalid(where, state, allowed)
    for name, value in state.items():
        check_boolean(f"{where}[{name!r}]", value)


def check_members(where: str, value: Mapping[str, Any], members: Members) -> None:
    """Check that members are written as AWS writes them.

    A name that resembles no known member is left to the service's model, which may already know it.
    """
    for name, item in value.items():
        here = f"{where}.{name}"
        if name in members:
            for part in item if isinstance(item, list | tuple) else (item,):
                if members[name] is not None and isinstance(part, Mapping) and not kind_of(part):
                    check_members(here, part, members[name])
        elif name in _PLACE:
            raise InvalidSpecError(
                f"{here} is given, but the task sets it from endpoint_name and variant_name."
            )
        elif near := nearest_name(str(name), members):
            raise InvalidSpecError(
                f"{here} is not a member of the AWS shape; allowed: {', '.join(members)}. Did you mean "
                f"{near!r}?"
            )


def tracked_metric(policy: Mapping[str, Any]) -> str | None:
    """Return the metric of a target-tracking policy as a key, equal for equal metrics; None for other policies."""
    if kind_of(policy) == "InvocationsScaling":
        return INVOCATIONS_PER_INSTANCE
    configuration = policy.get("TargetTrackingScalingPolicyConfiguration")
    if not isinstance(configuration, Mapping):
        return None
    predefined = configuration.get("PredefinedMetricSpecification")
    if isinstance(predefined, Mapping):
        return str(predefined.get("PredefinedMetricType"))
    custom = configuration.get("CustomizedMetricSpecification")
    return None if custom is None else json.dumps(_in_order(custom), sort_keys=True, default=str)


def _in_order(value: Any) -> Any:
    """Return a metric with its dimensions in one order, as AWS may describe them in another."""
    if isinstance(value, Mapping):
        return {name: _in_order(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return sorted(
            (_in_order(item) for item in value),
            key=lambda item: json.dumps(item, sort_keys=True, default=str),
        )
    return value


def check_metric_dimension(where: str, policies: Iterable[Mapping[str, Any]], dimension: str) -> None:
    """Check that predefined metrics belong to the scaled dimension."""
    for policy in policies:
        metric = tracked_metric(policy) or ""
        if PREDEFINED_METRICS.get(metric, dimension) != dimension:
            fitting = [name for name, of in PREDEFINED_METRICS.items() if of == dimension]
            raise InvalidSpecError(
                f"{where} has a policy on {metric}, which belongs to {PREDEFINED_METRICS[metric]}; allowed "
                f"for {dimension}: {', '.join(fitting)}."
            )


def is_burstable(instance_type: Any) -> bool:
    """Return whether an instance type is burstable (ml.t2.…), and so cannot be scaled; Trainium (ml.trn1.…) is not.

    RegisterScalableTarget answers "You cannot register a variant with ml.t2.medium instance type as a scalable target. Burstable …"
    (aws-controllers-k8s/community#1633).
    """
    return isinstance(instance_type, str) and re.match(r"ml\.t\d", instance_type) is not None


def check_scaled_variant(
    variant: Mapping[str, Any],
    *,
    minimum: Any,
    maximum: Any,
    scheduled_minimums: Iterable[Any] = (),
    scheduled_maximums: Iterable[Any] = (),
    asynchronous: bool = False,
) -> None:
    """Check that a variant can be scaled, and within these capacities.

    :param variant: A ``ProductionVariant`` of the AWS shape; values that are rendered later are skipped.
    :param minimum: Minimum capacity, or None for the initial one.
    :param maximum: Maximum capacity.
    :param scheduled_minimums: Minimum capacities that scheduled actions set.
    :param scheduled_maximums: Maximum capacities that scheduled actions set.
    :param asynchronous: Whether the endpoint is asynchronous, and so may have no instance.
    :raises InvalidSpecError: When the service would refuse it, and when the initial capacity is outside of the range.
    """
    name = variant.get("VariantName")
    serverless = variant.get("ServerlessConfig")
    if serverless:
        # Developer guide, "Automatically scale Provisioned Concurrency for a serverless endpoint": deployed with it before.
        if serverless.get("ProvisionedConcurrency") is None:
            raise InvalidSpecError(
                f"Variant {name} is serverless and has no provisioned concurrency to scale; allowed: a variant with provisioned_concurrency."
            )
        # API_ProductionVariantServerlessConfig: ProvisionedConcurrency is at most MaxConcurrency.
        most = serverless.get("MaxConcurrency")
        for low in scheduled_minimums:
            if low == 0 and low is not False:
                # ProductionVariantServerlessConfig (botocore), ProvisionedConcurrency: 1 at least.
                raise invalid(
                    "the minimum capacity of a scheduled action",
                    low,
                    f"1 or more for variant {name}, as a serverless variant keeps a provisioned concurrency of 1",
                )
        for high in (maximum, *scheduled_maximums):
            if isinstance(high, int) and isinstance(most, int) and high > most:
                raise invalid("max_capacity", high, f"at most the max_concurrency of variant {name}, {most}")
    elif is_burstable(variant.get("InstanceType")):
        raise InvalidSpecError(
            f"Variant {name} has the burstable instance_type {variant['InstanceType']!r}, which cannot be "
            "autoscaled; allowed: any other type, such as 'ml.m5.large'."
        )
    else:
        managed = variant.get("ManagedInstanceScaling") or not variant.get("ModelName")
        for low in (minimum, *scheduled_minimums):
            if low == 0 and low is not False and not asynchronous and not managed:
                # Developer guide: "Register a model" (at least 1), "Autoscale an asynchronous endpoint" (unlike other hosted models, to 0),
                # "Scale an endpoint to zero instances" (inference components).
                raise invalid(
                    "min_capacity",
                    low,
                    f"1 or more for variant {name}, as a real-time endpoint keeps one instance (only an "
                    "asynchronous endpoint can have none)",
                )
    initial = (
        serverless.get("ProvisionedConcurrency") if serverless else variant.get("InitialInstanceCount", 1)
    )
    if isinstance(initial, int) and not isinstance(initial, bool):
        what = "provisioned concurrency" if serverless else "initial_instance_count"
        if isinstance(minimum, int) and minimum > initial:
            raise invalid("min_capacity", minimum, f"at most the {what} of variant {name}, {initial}")
        if isinstance(maximum, int) and maximum < initial:
            raise invalid("max_capacity", maximum, f"at least the {what} of variant {name}, {initial}")


def initial_capacity(variant: Mapping[str, Any]) -> Any:
    """Return the initial capacity of a variant: the minimum if none is given, as in the CDK."""
    serverless = variant.get("ServerlessConfig")
    if serverless:
        return serverless.get("ProvisionedConcurrency") or 0
    return variant.get("InitialInstanceCount") or 1

"""Scaling policies and scheduled actions of a production variant."""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import Problems, check_boolean, check_number, is_rendered_later, nearest
from airflow_sm_hosting.spec.metric import QUEUE_METRICS, completed_metric, metric_queries
from airflow_sm_hosting.spec.reference import Reference, kind_of, present
from airflow_sm_hosting.spec.rendered import as_number, seconds
from airflow_sm_hosting.spec.scaling_rules import (
    INVOCATIONS_PER_COPY,
    INVOCATIONS_PER_INSTANCE,
    PREDEFINED_METRICS,
    STATISTICS,
    check_action,
    check_cooldown,
    check_customized_metric,
    check_policy_name,
    check_predefined_metric,
    check_step_configuration,
    check_target_value,
    tracked_metric,
)
from airflow_sm_hosting.spec.schedule import moment
from airflow_sm_hosting.spec.templated import (
    RenderedLater,
    TemplatedBool,
    TemplatedDict,
    TemplatedFloat,
    TemplatedInt,
    TemplatedSeconds,
    TemplatedStr,
)

MAX_POLICY_NAME_LENGTH = 256
#: The namespace of the metrics with the dimension InferenceComponentName (developer guide, "monitoring-cloudwatch").
METRICS_OF_COMPONENTS = "AWS/SageMaker"

# A string beside them may be Jinja; the choices are for editors.
AdjustmentType: TypeAlias = Literal["ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"]
AggregationType: TypeAlias = Literal["Average", "Minimum", "Maximum"]


class InvocationsScaling(Reference):
    """Target tracking on the invocations per instance, or per copy: the target value is derived from requests per second.

    The target is ``safety_factor × max_requests_per_second × 60``, as the metric is per minute and instance, or per copy of an inference
    component.

    :param max_requests_per_second: Requests per second that one instance, or one copy, can serve, found by a load test; more than 0. (templated)
    :param safety_factor: Share of it to aim at, more than 0 and 1 at most (default: 0.5, AWS's advised start). (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-invocations``, or ``<inference component>-invocations``). (templated)
    :param scale_in_cooldown: Seconds or a timedelta after a scale-in before the next (default: AWS's, 300 s; 0 is kept). (templated)
    :param scale_out_cooldown: Seconds or a timedelta after a scale-out before the next (default: AWS's, 300 s; 0 is kept). (templated)
    :param disable_scale_in: Whether this policy never removes instances (default: AWS's, False). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-loadtest.html
    """

    def __init__(
        self,
        *,
        max_requests_per_second: TemplatedFloat,
        safety_factor: TemplatedFloat = 0.5,
        policy_name: TemplatedStr | None = None,
        scale_in_cooldown: TemplatedSeconds | None = None,
        scale_out_cooldown: TemplatedSeconds | None = None,
        disable_scale_in: TemplatedBool | None = None,
    ) -> None:
        problems = Problems()
        with problems:
            check_number("InvocationsScaling: max_requests_per_second", max_requests_per_second, above=0)
        with problems:
            check_number("InvocationsScaling: safety_factor", safety_factor, above=0, high=1)
        _check_options(
            problems,
            "InvocationsScaling",
            policy_name,
            scale_in_cooldown,
            scale_out_cooldown,
            disable_scale_in,
        )
        problems.tell()
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

    The metric must fall in proportion as instances are added, and rise as they are removed: it counts per instance.

    :param target_value: The value to hold, more than 0; of ``SageMakerVariantProvisionedConcurrencyUtilization`` 1 at most. (templated)
    :param predefined_metric: A predefined metric of SageMaker; this or ``customized_metric``. (templated)
    :param customized_metric: An :class:`~airflow_sm_hosting.EndpointMetric`, whose dimensions are those of the variant or the inference
        component, a :class:`~airflow_sm_hosting.MetricMath` over such metrics (periods are ignored: the service evaluates each minute), or a
        ``CustomizedMetricSpecification`` of the AWS shape. (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-<metric>``, with the label of an expression). (templated)
    :param scale_in_cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param scale_out_cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param disable_scale_in: Whether this policy never removes instances (default: AWS's, False). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_TargetTrackingScalingPolicyConfiguration.html
    """

    def __init__(
        self,
        *,
        target_value: TemplatedFloat,
        predefined_metric: TemplatedStr | None = None,
        customized_metric: TemplatedDict | None = None,
        policy_name: TemplatedStr | None = None,
        scale_in_cooldown: TemplatedSeconds | None = None,
        scale_out_cooldown: TemplatedSeconds | None = None,
        disable_scale_in: TemplatedBool | None = None,
    ) -> None:
        problems = Problems()
        with problems:
            check_target_value("TargetTrackingScaling: target_value", target_value)
        with problems:
            if (predefined_metric is None) == (customized_metric is None):
                raise InvalidSpecError(
                    f"TargetTrackingScaling has {'neither' if predefined_metric is None else 'both'} predefined_metric "
                    f"{'nor' if predefined_metric is None else 'and'} customized_metric; allowed: exactly one of the two."
                )
            if predefined_metric is not None:
                check_predefined_metric(
                    "TargetTrackingScaling: predefined_metric", predefined_metric, target_value
                )
                _warn_of_unknown_metric(predefined_metric)
            else:
                check_customized_metric("TargetTrackingScaling: customized_metric", customized_metric)
                _warn_of_whole_variant(customized_metric)
        _check_options(
            problems,
            "TargetTrackingScaling",
            policy_name,
            scale_in_cooldown,
            scale_out_cooldown,
            disable_scale_in,
        )
        problems.tell()
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
    """Step scaling, in the shape of PutScalingPolicy; your own alarm names the policy's ARN as its action.

    :param step_adjustments: ``StepAdjustment`` dicts of the AWS shape, at least one; their intervals are relative to the alarm's
        threshold, and neither overlap nor leave a gap. (templated)
    :param adjustment_type: ``ChangeInCapacity`` (default), ``PercentChangeInCapacity`` or ``ExactCapacity``. (templated)
    :param cooldown: Seconds or a timedelta (default: AWS's, 300 s). (templated)
    :param metric_aggregation_type: ``Average``, ``Minimum`` or ``Maximum`` (default: AWS's, Average). (templated)
    :param min_adjustment_magnitude: Minimum number of instances for ``PercentChangeInCapacity``. (templated)
    :param policy_name: Name of the policy (default: ``<endpoint>-<variant>-step``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_StepScalingPolicyConfiguration.html
    """

    def __init__(
        self,
        *,
        step_adjustments: Sequence[TemplatedDict] | RenderedLater,
        adjustment_type: AdjustmentType | TemplatedStr = "ChangeInCapacity",
        cooldown: TemplatedSeconds | None = None,
        metric_aggregation_type: AggregationType | TemplatedStr | None = None,
        min_adjustment_magnitude: TemplatedInt | None = None,
        policy_name: TemplatedStr | None = None,
    ) -> None:
        configuration = present(
            AdjustmentType=adjustment_type,
            StepAdjustments=step_adjustments,
            MinAdjustmentMagnitude=min_adjustment_magnitude,
            Cooldown=cooldown,
            MetricAggregationType=metric_aggregation_type,
        )
        problems = Problems()
        _check_options(problems, "StepScaling", policy_name)
        with problems:
            check_step_configuration(_parameter_of("StepScaling"), configuration)
        problems.tell()
        if cooldown is not None:
            configuration["Cooldown"] = seconds(cooldown)
        super().__init__(
            present(
                PolicyName=policy_name,
                PolicyType="StepScaling",
                StepScalingPolicyConfiguration=configuration,
            )
        )


class ScheduledScaling(dict[str, Any]):
    """A scheduled action, in the shape of PutScheduledAction.

    :param scheduled_action_name: Name of the action. (templated)
    :param schedule: ``at(yyyy-mm-ddThh:mm:ss)``, ``rate(value unit)`` or ``cron(six fields)``. (templated)
    :param min_capacity: Minimum number of instances from then on (default: unchanged). (templated)
    :param max_capacity: Maximum number of instances from then on (default: unchanged). (templated)
    :param timezone: IANA time zone of the schedule (default: AWS's, UTC). (templated)
    :param start_time: First moment at which the schedule holds. (templated)
    :param end_time: Last moment at which the schedule holds. (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_PutScheduledAction.html
    """

    def __init__(
        self,
        *,
        scheduled_action_name: TemplatedStr,
        schedule: TemplatedStr,
        min_capacity: TemplatedInt | None = None,
        max_capacity: TemplatedInt | None = None,
        timezone: TemplatedStr | None = None,
        start_time: datetime | TemplatedStr | None = None,
        end_time: datetime | TemplatedStr | None = None,
    ) -> None:
        action = present(
            ScheduledActionName=scheduled_action_name,
            Schedule=schedule,
            Timezone=timezone,
            StartTime=start_time,
            EndTime=end_time,
            ScalableTargetAction=present(MinCapacity=min_capacity, MaxCapacity=max_capacity),
        )
        check_action(_parameter_of("ScheduledScaling"), action)
        super().__init__(action)


def policy_request(
    policy: dict[str, Any],
    *,
    endpoint_name: str,
    variant_name: str,
    inference_component_name: str | None = None,
) -> dict[str, Any]:
    """Return a rendered policy as PutScalingPolicy takes it: with its name, computed target value and completed metric.

    :param policy: The policy.
    :param endpoint_name: The endpoint of the variant.
    :param variant_name: The variant.
    :param inference_component_name: The inference component whose copies are scaled, in place of a variant.
    """
    component = inference_component_name
    prefix = component or f"{endpoint_name}-{variant_name}"
    if kind_of(policy) != "InvocationsScaling":
        dimensions = {"EndpointName": endpoint_name, "VariantName": variant_name}
        completed = _with_metric(policy, {"InferenceComponentName": component} if component else dimensions)
        name = completed.get("PolicyName") or default_policy_name(prefix, completed)
        return {**completed, "PolicyName": name}
    rate = as_number("InvocationsScaling: max_requests_per_second", policy["MaxRequestsPerSecond"], above=0)
    factor = as_number("InvocationsScaling: safety_factor", policy["SafetyFactor"], above=0)
    check_number("InvocationsScaling: safety_factor", factor, high=1)
    return {
        "PolicyName": policy.get("PolicyName") or shortened(f"{prefix}-invocations"),
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": factor * rate * 60,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": INVOCATIONS_PER_COPY if component else INVOCATIONS_PER_INSTANCE
            },
            **{
                member: policy[member]
                for member in ("ScaleInCooldown", "ScaleOutCooldown", "DisableScaleIn")
                if policy.get(member) is not None
            },
        },
    }


def action_request(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rendered scheduled action as PutScheduledAction takes it: its times as AWS keeps them."""
    times = {
        member: moment(member, action[member])
        for member in ("StartTime", "EndTime")
        if action.get(member) is not None
    }
    return {**action, **times}


def default_policy_name(prefix: str, policy: Mapping[str, Any]) -> str:
    """Return the default name of a policy: from its metric, or ``step``."""
    tracking = policy.get("TargetTrackingScalingPolicyConfiguration") or {}
    predefined = (tracking.get("PredefinedMetricSpecification") or {}).get("PredefinedMetricType")
    custom = tracking.get("CustomizedMetricSpecification") or {}
    what = predefined or custom.get("MetricName") or _label_of(custom)
    if not what:
        what = f"metrics-{_digest(tracked_metric(policy) or '')}" if custom else "step"
    return shortened(f"{prefix}-{what}")


def _label_of(specification: Mapping[str, Any]) -> str | None:
    """Return the label of an expression, if it can be a part of a name; None for another metric."""
    queries = specification.get("Metrics") or ()
    labels = [
        query.get("Label") for query in queries if query.get("Expression") and query.get("ReturnData", True)
    ]
    label = labels[0].strip() if len(labels) == 1 and labels[0] else ""
    return label if label.isprintable() and label else None


def shortened(name: str, most: int = MAX_POLICY_NAME_LENGTH) -> str:
    """Return a name within the limit; a longer name is cut and ends with a digest of the whole name, so that names stay unique.

    :param name: The name.
    :param most: The limit (default: that of a policy's name).
    """
    if len(name) <= most:
        return name
    return f"{name[: most - 9]}-{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _with_metric(policy: Mapping[str, Any], of_target: Mapping[str, str]) -> dict[str, Any]:
    """Return a policy with its EndpointMetric or MetricMath, if any, as a CustomizedMetricSpecification of the variant or the component."""
    configuration = policy.get("TargetTrackingScalingPolicyConfiguration")
    metric: Any = (configuration or {}).get("CustomizedMetricSpecification")
    if configuration is None or kind_of(metric) not in ("EndpointMetric", "MetricMath"):
        return dict(policy)
    where = "TargetTrackingScaling: customized_metric"
    check_customized_metric(where, metric)
    completed = completed_metric(_of_target(metric, of_target), "", "", where=where)
    queries = [_query(query) for query in metric_queries(completed)]
    specification: dict[str, Any] = {"Metrics": queries}
    if kind_of(completed) == "EndpointMetric" and completed["Statistic"] in STATISTICS:
        # CustomizedMetricSpecification: Statistic is one of five; a percentile stands in a metric data query alone.
        [query] = queries
        stat = query["MetricStat"]
        specification = {**stat["Metric"], "Statistic": stat["Stat"], **present(Unit=stat.get("Unit"))}
    return {
        **policy,
        "TargetTrackingScalingPolicyConfiguration": {
            **configuration,
            "CustomizedMetricSpecification": specification,
        },
    }


def _of_target(metric: Any, of_target: Mapping[str, str]) -> Any:
    """Return a metric, or an expression over metrics, with the dimensions of the variant or the component where it has none."""
    inner = metric.get("Metrics") if isinstance(metric, dict) else None
    if kind_of(metric) == "MetricMath" and isinstance(inner, dict):
        return {**metric, "Metrics": {name: _of_target(one, of_target) for name, one in inner.items()}}
    if kind_of(metric) != "EndpointMetric" or metric.get("Dimensions") is not None:
        return metric
    if "InferenceComponentName" in of_target and metric["Namespace"] != METRICS_OF_COMPONENTS:
        # Developer guide, "monitoring-cloudwatch": the utilization of an instance has no dimension for a component.
        raise InvalidSpecError(
            f"{metric['MetricName']} in {metric['Namespace']} is a metric of the instances; allowed for the copies of an inference "
            f"component: metrics in {METRICS_OF_COMPONENTS}, or dimensions=…."
        )
    of_queue = metric["MetricName"] in QUEUE_METRICS and metric["Namespace"] == METRICS_OF_COMPONENTS
    return {
        **metric,
        "Dimensions": {
            name: value for name, value in of_target.items() if not (of_queue and name == "VariantName")
        },
    }


def _query(query: Mapping[str, Any]) -> dict[str, Any]:
    """Return a metric data query as a policy takes it: without a period (botocore, TargetTrackingMetricStat)."""
    stat = query.get("MetricStat")
    if stat is None:
        return dict(query)
    return {**query, "MetricStat": {name: value for name, value in stat.items() if name != "Period"}}


def _warn_of_unknown_metric(name: Any) -> None:
    """Warn about an unknown predefined metric: AWS adds metrics."""
    if not is_rendered_later(name) and name not in PREDEFINED_METRICS:
        near = ", ".join(nearest(name, PREDEFINED_METRICS, 1))
        warnings.warn(
            f"TargetTrackingScaling: predefined_metric is {name!r}, which this version does not know"
            + (f" (nearest: {near})" if near else "")
            + "; it is sent unchanged.",
            stacklevel=3,
        )


def _warn_of_whole_variant(metric: Any) -> None:
    """Warn about a metric of the whole variant, which more instances do not lower (API_CustomizedMetricSpecification)."""
    if isinstance(metric, Mapping) and metric.get("MetricName") == "Invocations":
        warnings.warn(
            "TargetTrackingScaling: customized_metric is Invocations, which does not decrease when instances "
            "are added; target tracking needs a metric per instance, such as InvocationsPerInstance.",
            stacklevel=3,
        )


def _check_options(
    problems: Problems,
    where: str,
    policy_name: Any,
    scale_in_cooldown: Any = None,
    scale_out_cooldown: Any = None,
    disable_scale_in: Any = None,
) -> None:
    if policy_name is not None:
        with problems:
            check_policy_name(f"{where}: policy_name", policy_name)
    with problems:
        check_cooldown(f"{where}: scale_in_cooldown", scale_in_cooldown)
    with problems:
        check_cooldown(f"{where}: scale_out_cooldown", scale_out_cooldown)
    if disable_scale_in is not None:
        with problems:
            check_boolean(f"{where}: disable_scale_in", disable_scale_in)


def _parameter_of(where: str) -> Any:
    """Return a function that converts a member of the AWS shape to the constructor's parameter: ``MinCapacity`` is ``min_capacity``."""

    def spell(member: str) -> str:
        return f"{where}: {re.sub(r'(?<!^)(?=[A-Z])', '_', member).lower()}"

    return spell

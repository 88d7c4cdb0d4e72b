"""Scaling to zero and back: target tracking, a step policy that wakes what is at zero, and the alarm of that policy, as one object.

Sources: developer guide, "async-inference-autoscale" for asynchronous endpoints and "endpoint-auto-scaling-zero-instances" for inference
components. Target tracking scales in to zero, but not out of it: at zero its metric has no data, or no instance to divide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.alarm import check_alarm_name
from airflow_sm_hosting.spec.checks import (
    Problems,
    check_integer,
    check_number,
    check_one_of,
    invalid,
    is_rendered_later,
)
from airflow_sm_hosting.spec.metric import INVOCATION_METRICS
from airflow_sm_hosting.spec.reference import Reference, kind_of, present
from airflow_sm_hosting.spec.rendered import as_integer, as_number, as_string, seconds
from airflow_sm_hosting.spec.scaling import shortened
from airflow_sm_hosting.spec.scaling_rules import (
    COPY_COUNT,
    INVOCATIONS_PER_COPY,
    MAX_TARGET_VALUE,
    PREDEFINED_METRICS,
    check_cooldown,
    check_target_value,
)
from airflow_sm_hosting.spec.templated import (
    TemplatedFloat,
    TemplatedInt,
    TemplatedSeconds,
    TemplatedStr,
)

ComponentMetric: TypeAlias = Literal[
    "SageMakerInferenceComponentInvocationsPerCopy",
    "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution",
]

KIND = "ScaleFromZero"
#: The predefined metrics of an inference component's copies.
METRICS_OF_COPIES = tuple(name for name, of in PREDEFINED_METRICS.items() if of == COPY_COUNT)
#: PutMetricAlarm, AlarmName.
_MAX_ALARM_NAME_LENGTH = 255

#: async-inference-autoscale: the alarm watches two minutes; missing data leave it in INSUFFICIENT_DATA, which does nothing.
_BACKLOG_STEP = {"MetricAggregationType": "Average", "Cooldown": 300}
_BACKLOG_ALARM = {
    "MetricName": "HasBacklogWithoutCapacity",
    "Statistic": "Average",
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 2,
    "TreatMissingData": "missing",
}
#: endpoint-auto-scaling-zero-instances: one minute with a refused request. The page has GreaterThanThreshold, with which one request alone
#: never wakes a component (stdapi-ai/stdapi.ai#43).
_NO_CAPACITY_STEP = {"MetricAggregationType": "Maximum", "Cooldown": 60}
_NO_CAPACITY_ALARM = {
    "MetricName": "NoCapacityInvocationFailures",
    "Statistic": "Maximum",
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "TreatMissingData": "notBreaching",
}


class ScaleFromZero(Reference):
    """Scaling to zero and back, of an asynchronous endpoint's variant or of an inference component: for ``from_zero=``.

    It stands for three things that belong together: a target-tracking policy, which also scales to zero; a step policy that adds the first
    instance or copy; and the CloudWatch alarm whose action is the step policy, on ``HasBacklogWithoutCapacity`` (asynchronous endpoint) or
    ``NoCapacityInvocationFailures`` (inference component).

    :param target_value: The value that target tracking holds, more than 0: of an asynchronous endpoint the requests that wait per instance
        (AWS's page has 5), of an inference component the value of ``predefined_metric``. (templated)
    :param predefined_metric: Only for an inference component: ``SageMakerInferenceComponentInvocationsPerCopy`` (default; per minute), or
        ``SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution``. (templated)
    :param scale_in_cooldown: Seconds or a timedelta after a scale-in before the next (default: 300 s, as AWS's page has it). (templated)
    :param scale_out_cooldown: Seconds or a timedelta after a scale-out before the next (default: 300 s). (templated)
    :param wake_capacity: How many instances or copies wake it, 1 or more (default: 1). (templated)
    :param wake_cooldown: Seconds or a timedelta after it was woken (default: AWS's pages', 300 s for an asynchronous endpoint, 60 s for an
        inference component). (templated)
    :param alarm_name: Name of the alarm (default: ``<endpoint>-<variant>-from-zero``, or ``<inference component>-from-zero``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html,
        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
    """

    def __init__(
        self,
        *,
        target_value: TemplatedFloat,
        predefined_metric: ComponentMetric | TemplatedStr | None = None,
        scale_in_cooldown: TemplatedSeconds | None = None,
        scale_out_cooldown: TemplatedSeconds | None = None,
        wake_capacity: TemplatedInt = 1,
        wake_cooldown: TemplatedSeconds | None = None,
        alarm_name: TemplatedStr | None = None,
    ) -> None:
        problems = Problems()
        with problems:
            check_target_value(f"{KIND}: target_value", target_value)
        if predefined_metric is not None:
            with problems:
                check_one_of(f"{KIND}: predefined_metric", predefined_metric, METRICS_OF_COPIES)
        for name, cooldown in (
            ("scale_in_cooldown", scale_in_cooldown),
            ("scale_out_cooldown", scale_out_cooldown),
            ("wake_cooldown", wake_cooldown),
        ):
            with problems:
                check_cooldown(f"{KIND}: {name}", cooldown)
        with problems:
            check_integer(f"{KIND}: wake_capacity", wake_capacity, 1)
        if alarm_name is not None:
            with problems:
                check_alarm_name(f"{KIND}: alarm_name", alarm_name)
        problems.tell()
        super().__init__(
            KIND,
            TargetValue=target_value,
            PredefinedMetric=predefined_metric,
            ScaleInCooldown=seconds(scale_in_cooldown),
            ScaleOutCooldown=seconds(scale_out_cooldown),
            WakeCapacity=wake_capacity,
            WakeCooldown=seconds(wake_cooldown),
            AlarmName=alarm_name,
        )


def check_from_zero(where: str, value: Any) -> None:
    """Check that a value is a :class:`ScaleFromZero`."""
    if value is not None and not is_rendered_later(value) and kind_of(value) != KIND:
        found = kind_of(value) or type(value).__name__
        raise InvalidSpecError(f"{where} is a {found}; allowed: ScaleFromZero(target_value=…).")


def check_from_zero_with(
    where: str, from_zero: Any, *, min_capacity: Any, scalable_dimension: Any, inference_component_name: Any
) -> None:
    """Check scaling from zero together with the operator's other parameters, as far as they are literal.

    :raises InvalidSpecError: When the minimum is not 0, the dimension cannot be 0, or the metric is not that of what is scaled.
    """
    if from_zero is None or kind_of(from_zero) != KIND:
        return
    if min_capacity not in (None, 0) and not is_rendered_later(min_capacity):
        raise invalid(f"{where}min_capacity", min_capacity, "0, or none, with from_zero")
    if scalable_dimension == "sagemaker:variant:DesiredProvisionedConcurrency":
        # ProductionVariantServerlessConfig (botocore), ProvisionedConcurrency: 1 or more.
        raise invalid(
            f"{where}scalable_dimension",
            scalable_dimension,
            "none, or that of instances or copies, with from_zero: a serverless variant scales from zero by itself",
        )
    metric = from_zero.get("PredefinedMetric")
    if metric is not None and inference_component_name is None:
        raise invalid(
            f"{where}from_zero: predefined_metric",
            metric,
            "none for a variant: an asynchronous endpoint tracks ApproximateBacklogSizePerInstance",
        )


def check_can_be_zero(variant: Mapping[str, Any], *, asynchronous: bool) -> None:
    """Check that a variant can have no instance, and can be woken by its requests.

    :param variant: The variant of the endpoint's config.
    :param asynchronous: Whether the endpoint is asynchronous.
    :raises InvalidSpecError: When it cannot.
    """
    name = variant.get("VariantName")
    if variant.get("ServerlessConfig"):
        raise InvalidSpecError(
            f"from_zero is given for variant {name}, which is serverless and scales from zero by itself; allowed: none."
        )
    if asynchronous:
        return
    if not variant.get("ModelName") and not variant.get("InstancePools"):
        raise InvalidSpecError(
            f"from_zero is given for variant {name}, which hosts inference components; allowed: inference_component_name= with it, for "
            "each of them. The instances follow the copies, with the MinInstanceCount 0 of ManagedInstanceScaling."
        )
    raise InvalidSpecError(
        f"from_zero is given for variant {name} of a real-time endpoint, which keeps one instance; allowed: a variant of an asynchronous "
        "endpoint (AsyncInferenceConfig), or inference_component_name=."
    )


def instances_that_stay(variant: Mapping[str, Any] | None) -> str:
    """Return why a variant keeps instances when all its inference components are at zero; empty if it does not.

    Developer guide, "endpoint-auto-scaling-zero-instances": ManagedInstanceScaling with the MinInstanceCount 0.

    :param variant: The variant of the endpoint's config; None if it is not known.
    """
    if variant is None:
        return ""
    managed = variant.get("ManagedInstanceScaling") or {}
    if managed.get("Status") != "ENABLED":
        return "has no ManagedInstanceScaling"
    least = managed.get("MinInstanceCount", 1)
    return f"has the MinInstanceCount {least} in its ManagedInstanceScaling" if least else ""


def from_zero_policies(
    from_zero: Mapping[str, Any],
    *,
    endpoint_name: str,
    variant_name: str,
    inference_component_name: str | None,
) -> list[dict[str, Any]]:
    """Return the two policies as PutScalingPolicy takes them, without what is scaled.

    :param from_zero: A rendered :class:`ScaleFromZero`.
    :param endpoint_name: The endpoint of the variant.
    :param variant_name: The variant.
    :param inference_component_name: The inference component, in place of a variant.
    """
    prefix = inference_component_name or f"{endpoint_name}-{variant_name}"
    where = "from_zero: "
    metric: dict[str, Any]
    if inference_component_name is not None:
        name = as_string(
            f"{where}predefined_metric", from_zero.get("PredefinedMetric") or INVOCATIONS_PER_COPY
        )
        check_one_of(f"{where}predefined_metric", name, METRICS_OF_COPIES)
        metric = {"PredefinedMetricSpecification": {"PredefinedMetricType": name}}
    else:
        name = "ApproximateBacklogSizePerInstance"
        metric = {
            "CustomizedMetricSpecification": {
                "MetricName": name,
                "Namespace": INVOCATION_METRICS,
                "Dimensions": [{"Name": "EndpointName", "Value": endpoint_name}],
                "Statistic": "Average",
            }
        }
    target = as_number(f"{where}target_value", from_zero["TargetValue"], above=0)
    check_number(f"{where}target_value", target, high=MAX_TARGET_VALUE)
    step = _NO_CAPACITY_STEP if inference_component_name is not None else _BACKLOG_STEP
    added = as_integer(f"{where}wake_capacity", from_zero["WakeCapacity"], 1)
    return [
        {
            "PolicyName": shortened(f"{prefix}-{name}"),
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": target,
                **metric,
                # For copies, AWS's default is not that of the page.
                "ScaleInCooldown": from_zero.get("ScaleInCooldown", 300),
                "ScaleOutCooldown": from_zero.get("ScaleOutCooldown", 300),
            },
        },
        {
            "PolicyName": wake_policy_name(prefix),
            "PolicyType": "StepScaling",
            "StepScalingPolicyConfiguration": {
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": added}],
                **step,
                **present(Cooldown=from_zero.get("WakeCooldown")),
            },
        },
    ]


def wake_policy_name(prefix: str) -> str:
    """Return the name of the step policy that wakes a variant or an inference component."""
    return shortened(f"{prefix}-from-zero")


def from_zero_alarm(
    from_zero: Mapping[str, Any],
    *,
    endpoint_name: str,
    variant_name: str,
    inference_component_name: str | None,
    policy_arn: str,
) -> dict[str, Any]:
    """Return the alarm as PutMetricAlarm takes it, without its tags.

    :param from_zero: A rendered :class:`ScaleFromZero`.
    :param endpoint_name: The endpoint of the variant, as it is described: dimensions are compared exactly.
    :param variant_name: The variant.
    :param inference_component_name: The inference component, in place of a variant.
    :param policy_arn: ARN of the step policy.
    """
    component = inference_component_name
    prefix = component or f"{endpoint_name}-{variant_name}"
    name = from_zero.get("AlarmName")
    if name is None:
        name = shortened(f"{prefix}-from-zero", _MAX_ALARM_NAME_LENGTH)
    check_alarm_name("from_zero: alarm_name", name)
    dimension, of = ("InferenceComponentName", component) if component else ("EndpointName", endpoint_name)
    return {
        "AlarmName": name,
        "AlarmDescription": f"Wakes {component or f'{endpoint_name}, variant {variant_name}'}, from zero.",
        "AlarmActions": [policy_arn],
        "Namespace": INVOCATION_METRICS,
        "Dimensions": [{"Name": dimension, "Value": of}],
        "Period": 60,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        **(_NO_CAPACITY_ALARM if component else _BACKLOG_ALARM),
    }

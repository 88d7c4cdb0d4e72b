"""Plan an alarm: compare the requested alarm with the described one, and decide what to write, refuse or warn about."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.steps import AlarmCall, TagAlarm
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.metric import (
    ASYNCHRONOUS,
    INSTANCE,
    PUBLISHED,
    SERVERLESS,
    endpoint_metrics,
)
from airflow_sm_hosting.spec.patterns import INSTANCE_FAMILIES
from airflow_sm_hosting.spec.tags import OURS, TASK, is_ours, tag_list

#: DeleteAlarms, AlarmNames.
MAX_ALARMS_A_CALL = 100

GPU_METRICS = ("GPUUtilization", "GPUMemoryUtilization")


@dataclass(frozen=True)
class AlarmPlan:
    """The plan for an alarm.

    :param put: Whether to put the alarm.
    :param tags: The missing tags of an existing alarm.
    :param taken_from: The task that last wrote the alarm, when this task takes it over.
    :param why: The differences.
    """

    put: bool
    tags: dict[str, str] = field(default_factory=dict)
    taken_from: str | None = None
    why: str = field(default="", compare=False)


def plan_alarm(
    name: str,
    lines: Sequence[str],
    tags: Mapping[str, str] | None,
    *,
    wanted_tags: Mapping[str, str],
    task: str,
    named: bool,
    adopt: bool,
) -> AlarmPlan:
    """Return what to do with an alarm.

    Two tasks whose alarms have the same name would overwrite each other in every run. So a tag of the alarm names the task that wrote
    it. The alarm of another task is changed only when the user gave its name: the default name contains neither the statistic nor the
    threshold.

    :param name: The alarm's name.
    :param lines: The differences between the requested and the existing alarm.
    :param tags: Tags of the existing alarm; None when the alarm does not exist.
    :param wanted_tags: The user's tags.
    :param task: The task that requests the alarm.
    :param named: Whether the user named the alarm.
    :param adopt: Whether the task may change an alarm that is not ours.
    :raises ConflictError: When the task must not change the alarm.
    """
    if tags is None:
        return AlarmPlan(put=True, why="; ".join(lines))
    missing = {key: value for key, value in wanted_tags.items() if tags.get(key) != value}
    if not is_ours(dict(tags)):
        if not lines and not missing and not adopt:
            return AlarmPlan(put=False)
        if not adopt:
            raise ConflictError(
                f"The alarm {name!r} exists, was not created by this package, and differs from the requested "
                f"one: {'; '.join(lines) or 'tags are missing'}. Give another alarm_name, or adopt=True to "
                "take it over."
            )
    writer = tags.get(TASK)
    other = writer if writer not in (None, task) else None
    if lines and other and not named:
        raise ConflictError(
            f"The alarm {name!r} was written by another task, {other}, and differs from the one that this "
            f"task, {task}, requests: {'; '.join(lines)}. Give each task its own alarm_name. If the task was "
            f"only renamed, alarm_name={name!r} takes the alarm over."
        )
    marks = {**OURS, TASK: task} if lines or not is_ours(dict(tags)) else {}
    missing |= {key: value for key, value in marks.items() if tags.get(key) != value}
    return AlarmPlan(put=bool(lines), tags=missing, taken_from=other if lines else None, why="; ".join(lines))


def alarm_steps(
    plan: AlarmPlan,
    put: type[AlarmCall],
    request: Mapping[str, Any],
    *,
    arn: str | None,
    new_tags: Mapping[str, str],
) -> list[AlarmCall]:
    """Return the steps of a plan. PutMetricAlarm replaces the whole alarm and keeps its state; it accepts tags only on creation.

    :param plan: The plan.
    :param put: The class of the step that puts an alarm of this kind.
    :param request: The request, without tags.
    :param arn: The ARN of the existing alarm; None when it does not exist.
    :param new_tags: The tags of a new alarm.
    """
    name, steps = request["AlarmName"], list[AlarmCall]()
    if plan.put:
        tags = {} if arn else {"Tags": tag_list(new_tags)}
        steps.append(put({**request, **tags}, f"alarm {name}", plan.why))
    if arn and plan.tags:
        steps.append(TagAlarm({"ResourceARN": arn, "Tags": tag_list(plan.tags)}, f"tags of alarm {name}"))
    return steps


def task_tag(dag_id: str, task_id: str, map_index: int) -> str:
    """Return the value of the tag that names a task: readable, at most 256 characters (CloudWatch, TagValue)."""
    name = f"{dag_id}/{task_id}" + (f"/{map_index}" if map_index >= 0 else "")
    if len(name) <= 256:
        return name
    return f"{name[:239]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def check_published(
    metric: Mapping[str, Any], endpoint: Mapping[str, Any] | None, endpoint_name: str, variant_name: str
) -> None:
    """Check that the endpoint publishes the metric of an alarm.

    :param metric: A completed metric; metrics of other accounts are not checked.
    :param endpoint: DescribeEndpoint's answer; None when the endpoint does not exist.
    :param endpoint_name: Its name.
    :param variant_name: The variant.
    :raises NotFoundError: When the endpoint or the variant does not exist.
    :raises InvalidSpecError: When this kind of endpoint does not publish the metric.
    """
    if endpoint is None:
        raise NotFoundError(
            f"There is no endpoint {endpoint_name!r}. Create the alarm after the endpoint, or give "
            "check_endpoint=False."
        )
    variants = variants_of(endpoint)
    if not variants:  # Not in service yet: DescribeEndpoint does not describe its future variants.
        return
    if variant_name not in variants:
        raise NotFoundError(
            f"The endpoint {endpoint_name!r} has no variant {variant_name!r}; it has: {', '.join(variants)}."
        )
    kind = kind_of_endpoint(endpoint, variants[variant_name])
    for one in endpoint_metrics(dict(metric)):
        _, kinds = PUBLISHED.get((one["Namespace"], one["MetricName"]), ("", (kind,)))
        if kind not in kinds and not one.get("AccountId"):
            there = [name for (space, name), (_, published) in PUBLISHED.items() if kind in published]
            raise InvalidSpecError(
                f"metric is {one['MetricName']}, which SageMaker does not publish for the {kind} endpoint "
                f"{endpoint_name!r}, so the alarm can never go off; allowed: {', '.join(there)}."
            )


def variants_of(endpoint: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the variants of an endpoint by name: serving variants, shadow variants and variants of a pending deployment."""
    pending = endpoint.get("PendingDeploymentSummary") or {}
    return {
        variant["VariantName"]: variant
        for source in (pending, endpoint)
        for member in ("ShadowProductionVariants", "ProductionVariants")
        for variant in source.get(member) or ()
    }


def kind_of_endpoint(endpoint: Mapping[str, Any], variant: Mapping[str, Any]) -> str:
    """Return the kind of an endpoint; only kinds that publish different metrics are distinguished."""
    if endpoint.get("AsyncInferenceConfig"):
        return ASYNCHRONOUS
    serverless = variant.get("CurrentServerlessConfig") or variant.get("DesiredServerlessConfig")
    return SERVERLESS if serverless else INSTANCE


def needs_instance_type(metric: Mapping[str, Any]) -> bool:
    """Return whether the availability of a metric depends on the instance type: true for GPU metrics."""
    return any(one["MetricName"] in GPU_METRICS for one in endpoint_metrics(dict(metric)))


def without_gpu(endpoint_config: Mapping[str, Any] | None, variant_name: str) -> str | None:
    """Return the instance type of a variant without a GPU. The family's name decides: EC2's G and P families have GPUs.

    An unknown family, and a variant without an instance type, count as having a GPU.
    """
    for variant in (endpoint_config or {}).get("ProductionVariants", ()):
        if variant["VariantName"] == variant_name:
            instance_type = str(variant.get("InstanceType") or "")
            family = instance_type.split(".")[1] if instance_type.count(".") == 2 else ""
            return instance_type if family in INSTANCE_FAMILIES and family[0] not in "gp" else None
    return None

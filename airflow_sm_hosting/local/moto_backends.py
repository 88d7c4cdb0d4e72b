"""The few places where moto's own objects are touched: one function or class each, held by ``test_moto_contract.py``.

Everything else of moto is used through its HTTP interface, as any AWS client would.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_URL, uuid5

import moto.cloudwatch.models
from moto.cloudwatch.models import cloudwatch_backends
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ecr.models import ecr_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends

if TYPE_CHECKING:
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
    from moto.cloudwatch.models import Alarm, CloudWatchBackend, MetricDatumBase
    from moto.ecr.models import ECRBackend, Repository

    from airflow_sm_hosting.local.clock import Clock

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID


def use_clock(clock: Clock) -> None:
    """Make moto's CloudWatch take this clock for the times of data, alarms and their states."""
    # moto has its times in UTC without saying so.
    moto.cloudwatch.models.utcnow = lambda: clock.now().replace(tzinfo=None)  # type: ignore[attr-defined]


def s3_object(bucket: str, key: str) -> bytes | None:
    """Return the content of an S3 object, or None where it does not exist."""
    found = s3_object_exists(bucket, key) and s3_backends[ACCOUNT_ID]["aws"].get_object(bucket, key)
    return found.value if found else None


def s3_object_exists(bucket: str, key: str) -> bool:
    """Tell whether an S3 object exists."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    return bucket in backend.buckets and backend.get_object(bucket, key) is not None


def s3_keys(bucket: str, prefix: str) -> list[str]:
    """Return the keys under a prefix, sorted; none where the bucket does not exist."""
    backend = s3_backends[ACCOUNT_ID]["aws"]
    if bucket not in backend.buckets:
        return []
    found, _, _, _ = backend.list_objects(backend.get_bucket(bucket), prefix, None, None, None)
    return [key.name for key in found]


def put_log_lines(region: str, group: str, stream: str, lines: Sequence[str]) -> None:
    """Write lines to a CloudWatch Logs stream, made where it is absent."""
    backend = logs_backends[ACCOUNT_ID][region]
    backend.ensure_log_group(group)
    backend.ensure_log_stream(group, stream)
    time_ms = int(time.time() * 1000)
    backend.put_log_events(group, stream, [{"timestamp": time_ms, "message": line} for line in lines])


def put_metrics(
    region: str, namespace: str, dimensions: Mapping[str, str], values: Sequence[tuple[str, float, str]]
) -> None:
    """Write metric values, each ``(name, value, unit)``, at this moment."""
    where = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    cloudwatch_backends[ACCOUNT_ID][region].put_metric_data(
        namespace,
        [
            {"MetricName": name, "Value": value, "Unit": unit, "Dimensions": where}
            for name, value, unit in values
        ],
    )


def cloudwatch(region: str) -> CloudWatchBackend:
    """Return moto's CloudWatch: its ``alarms`` and ``metric_data``."""
    return cloudwatch_backends[ACCOUNT_ID][region]


def cloudwatch_regions() -> list[str]:
    """Return the Regions in which CloudWatch was used."""
    return list(cloudwatch_backends[ACCOUNT_ID])


def alarms(region: str) -> list[Alarm]:
    """Return the metric alarms of a Region."""
    return list(cloudwatch(region).alarms.values())


def metric_values(
    region: str, namespace: str, name: str, dimensions: Mapping[str, str], start: datetime
) -> Iterator[tuple[datetime, MetricDatumBase]]:
    """Yield the data of one metric since ``start``, with their times."""
    for datum in reversed(cloudwatch(region).metric_data):
        at = datum.timestamp if datum.timestamp.tzinfo else datum.timestamp.replace(tzinfo=UTC)
        if (
            at >= start
            and datum.name == name
            and datum.namespace == namespace
            and {dimension.name: dimension.value for dimension in datum.dimensions} == dimensions
        ):
            yield at, datum


def ecr(region: str) -> ECRBackend:
    """Return moto's ECR of a Region: its ``repositories``."""
    return ecr_backends[ACCOUNT_ID][region]


def find_repository(name: str, regions: Sequence[str]) -> Repository | None:
    """Return the ECR repository of that name in the first of the Regions that has it."""
    for region in regions:
        if name in ecr(region).repositories:
            return ecr(region).repositories[name]
    return None


def _autoscaling(region: str) -> ApplicationAutoscalingBackend | None:
    """Return moto's Application Auto Scaling, or None where nobody has asked for it yet.

    It is not imported for the question: it brings ECS and EC2, which take a second and 80 MB.
    """
    module = sys.modules.get("moto.applicationautoscaling.models")
    return module.applicationautoscaling_backends[ACCOUNT_ID][region] if module else None


def scalable_targets(region: str) -> list[Any]:
    """Return what is registered with Application Auto Scaling for SageMaker, all dimensions."""
    backend = _autoscaling(region)
    return list(backend.describe_scalable_targets("sagemaker", None, None)) if backend else []


def forget_scaling(region: str, resource_id: str, *, dimension: str | None = None) -> None:
    """Delete target, policies (with their alarms) and scheduled actions of a scaled resource, as far as they exist."""
    backend = _autoscaling(region)
    if backend is None:
        return
    for registered, targets in backend.targets.items():
        if dimension in (None, registered):
            targets.pop(resource_id, None)
    for key, policy in list(backend.policies.items()):
        if policy.resource_id == resource_id and dimension in (None, policy.scalable_dimension):
            policy.delete_alarms(ACCOUNT_ID, region)
            del backend.policies[key]
    backend.scheduled_actions = [
        action
        for action in backend.scheduled_actions
        if action.resource_id != resource_id or dimension not in (None, action.scalable_dimension)
    ]


def scaling_policies(region: str, resource_id: str) -> list[Any]:
    """Return the scaling policies of a resource."""
    backend = _autoscaling(region)
    policies = backend.policies.values() if backend else ()
    return [policy for policy in policies if policy.resource_id == resource_id]


def is_issued_key(access_key: str) -> bool:
    """Tell whether an access key comes from this server's own STS: sessions of assumed roles."""
    return sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key) is not None


def make_target_tracking_alarms(
    region: str, resource_id: str, policy_name: str, metric: Mapping[str, Any]
) -> list[dict[str, str]]:
    """Make the alarms of a target-tracking policy, which moto makes for ECS and DynamoDB only.

    The shape of AWS's: three minutes above the target scale out, fifteen below 90 % of it scale in.
    https://docs.aws.amazon.com/autoscaling/application/userguide/target-tracking-scaling-policy-overview.html

    :param metric: ``namespace``, ``metric_name``, ``dimensions``, ``statistic``, ``target``, ``scale_in``.
    :returns: Name and ARN of each alarm.
    """
    policy = next(p for p in scaling_policies(region, resource_id) if p.policy_name == policy_name)
    wanted = [("AlarmHigh", "GreaterThanThreshold", 3, metric["target"])]
    if metric["scale_in"]:
        wanted.append(("AlarmLow", "LessThanThreshold", 15, metric["target"] * 0.9))
    for suffix, comparison, periods, threshold in wanted:
        policy.alarms.append(
            cloudwatch(region).put_metric_alarm(
                # One pair a policy, whose name stays when the policy is put again.
                name=f"TargetTracking-{resource_id}-{suffix}-{uuid5(NAMESPACE_URL, policy_name)}",
                description=f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {policy.policy_arn}.",
                namespace=metric["namespace"],
                metric_name=metric["metric_name"],
                dimensions=metric["dimensions"],
                statistic=metric["statistic"],
                comparison_operator=comparison,
                evaluation_periods=periods,
                period=60,
                threshold=threshold,
                alarm_actions=[policy.policy_arn],
            )
        )
    return [{"AlarmName": alarm.name, "AlarmARN": alarm.alarm_arn} for alarm in policy.alarms]

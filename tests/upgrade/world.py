"""The local AWS around one endpoint: read as plain JSON, and built again from it."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    event_hook,
    make_broken_model,
    make_config,
    make_model,
    sagemaker_client,
    settled,
    tags_of,
)

NAME = "churn"
ARN = f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{NAME}"

#: Seconds that an endpoint takes to change, in virtual time, and that pass before each look but the first.
TRANSITION, LATER = 1, 900

#: What tags are called that say what has still to be put right. They are gone once it was.
LEFTOVERS = (
    "sm-hosting:scaling-snapshot:",
    "sm-hosting:detaching",
    "sm-hosting:pending-count:",
    "sm-hosting:rollout-alarms:",
)

_TARGET = "ServiceNamespace ResourceId ScalableDimension MinCapacity MaxCapacity SuspendedState".split()
_POLICY = (
    "ServiceNamespace ResourceId ScalableDimension PolicyName PolicyType StepScalingPolicyConfiguration "
    "TargetTrackingScalingPolicyConfiguration"
).split()
_ACTION = (
    "ServiceNamespace ResourceId ScalableDimension ScheduledActionName Schedule Timezone ScalableTargetAction"
).split()
_ALARM = (
    "AlarmName Namespace MetricName Dimensions Statistic Period EvaluationPeriods Threshold ComparisonOperator AlarmActions"
).split()


def make_configs(aws: LocalAws, *others: str) -> None:
    """Make the endpoint configs that each world has, and others.

    :param others: ``pair``: two of two variants. ``large``: one for which there are no instances. ``bad``: two on which no endpoint comes
        into service.
    """
    make_model(aws)
    for name in ("a", "b", "c"):
        make_config(aws, name)
    make_config(aws, "typed", InstanceType="ml.c5.large")
    for other in others:
        OTHERS[other](aws)


def _make_pairs(aws: LocalAws) -> None:
    for name, beside in (("pair", 1), ("pair-of-more", 2)):
        aws.client("sagemaker").create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": "model",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count,
                }
                for variant, count in (("main", 1), ("beside", beside))
            ],
        )


def _make_large(aws: LocalAws) -> None:
    make_config(aws, "large", InstanceType="ml.g5.xlarge")
    aws.fault("capacity", instance_type="ml.g5.*")


def _make_bad(aws: LocalAws) -> None:
    make_config(aws, "bad", make_broken_model(aws))
    make_config(aws, "bad-typed", "broken", InstanceType="ml.c5.large")


OTHERS = {"pair": _make_pairs, "large": _make_large, "bad": _make_bad}


# Read.


def read(aws: LocalAws) -> dict[str, Any]:
    """Return what there is of the endpoint, its tags, its configs' tags, its scaling, and alarms."""
    endpoint = _endpoint(aws)
    configs = aws.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    config_tags = {row["EndpointConfigName"]: tags_of(aws, row["EndpointConfigArn"]) for row in configs}
    scaling = scaling_of(aws)
    return {
        "endpoint": endpoint,
        "endpoint_tags": tags_of(aws, ARN) if endpoint else {},
        "config_tags": {name: tags for name, tags in sorted(config_tags.items()) if tags},
        "scaling": scaling,
        "policy_arns": policy_arns(aws) if scaling["targets"] else {},
        "alarms": [_members(alarm, _ALARM) for alarm in _alarms(aws)],
    }


def scaling_of(aws: LocalAws) -> dict[str, Any]:
    """Return the scaling in the shape of the calls that make it."""
    client = aws.client("application-autoscaling")
    targets = client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    if not targets:  # policies and actions go with them
        return {"targets": [], "policies": [], "actions": []}
    policies = client.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    actions = client.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    return {
        "targets": [
            {
                **_members(target, _TARGET),
                "Tags": client.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"],
            }
            for target in targets
        ],
        "policies": sorted(
            (_members(policy, _POLICY) for policy in policies), key=lambda policy: policy["PolicyName"]
        ),
        "actions": [_members(action, _ACTION) for action in actions],
    }


def policy_arns(aws: LocalAws) -> dict[str, str]:
    found = aws.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
    return {policy["PolicyName"]: policy["PolicyARN"] for policy in found["ScalingPolicies"]}


def seen_by_users(found: Mapping[str, Any]) -> dict[str, Any]:
    """Return that of a world which must be the same however it was brought about: names in the place of ARNs made up anew."""
    names = {arn: f"policy {name}" for name, arn in found["policy_arns"].items()}
    tags = [*found["endpoint_tags"], *(key for tags in found["config_tags"].values() for key in tags)]
    return {
        "endpoint": found["endpoint"],
        "scaling": found["scaling"],
        "alarms": {
            alarm["AlarmName"]: [names.get(action, action) for action in alarm.get("AlarmActions", [])]
            for alarm in found["alarms"]
        },
        "left over": sorted(key for key in tags if key.startswith(LEFTOVERS)),
    }


def _endpoint(aws: LocalAws) -> dict[str, Any] | None:
    client = aws.client("sagemaker")
    if not client.list_endpoints()["Endpoints"]:
        return None
    found = client.describe_endpoint(EndpointName=NAME)
    pending = found.get("PendingDeploymentSummary")
    return {
        "status": found["EndpointStatus"],
        "config": found["EndpointConfigName"],
        "counts": _counts(found),
        "pending": pending and {"config": pending["EndpointConfigName"], "counts": _counts(pending)},
    }


def _counts(found: Mapping[str, Any]) -> dict[str, int]:
    variants = found.get("ProductionVariants") or []
    return {
        one["VariantName"]: one["DesiredInstanceCount"] for one in variants if "DesiredInstanceCount" in one
    }


def _alarms(aws: LocalAws) -> list[dict[str, Any]]:
    """Return the alarms but those that Application Auto Scaling makes for its own policies."""
    found = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    return [alarm for alarm in found if not alarm["AlarmName"].startswith("TargetTracking-")]


def _members(described: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: described[name] for name in names if name in described}


# Build again.


def rebuild(aws: LocalAws, found: Mapping[str, Any]) -> None:
    """Bring an empty local AWS to what was read, with the configs that it tells of."""
    sagemaker, endpoint = aws.client("sagemaker"), found["endpoint"]
    told = json.dumps([endpoint, found["endpoint_tags"]])
    make_configs(aws, *(other for other in OTHERS if other in told))
    for config, tags in found["config_tags"].items():
        arn = sagemaker.describe_endpoint_config(EndpointConfigName=config)["EndpointConfigArn"]
        sagemaker.add_tags(ResourceArn=arn, Tags=as_list(tags))
    if endpoint is None:
        _make_alarms(aws, found)
        return
    sagemaker.create_endpoint(
        EndpointName=NAME, EndpointConfigName=endpoint["config"], Tags=as_list(found["endpoint_tags"])
    )
    if endpoint["status"] == "Creating":
        _make_alarms(aws, found)
    else:
        _beyond_creating(aws, found)
    assert _endpoint(aws) == endpoint


def _beyond_creating(aws: LocalAws, found: Mapping[str, Any]) -> None:
    sagemaker, endpoint, pending = aws.client("sagemaker"), found["endpoint"], found["endpoint"]["pending"]
    settled(aws)
    goes_on = endpoint["status"] == "Updating" and not pending
    if settled(aws)["EndpointStatus"] == "InService":
        _set_counts(aws, endpoint["counts"])
    make_scaling(aws, found["scaling"])
    _make_alarms(aws, found)
    if pending:
        config = sagemaker.describe_endpoint_config(EndpointConfigName=pending["config"])
        initial = {one["VariantName"]: one["InitialInstanceCount"] for one in config["ProductionVariants"]}
        sagemaker.update_endpoint(
            EndpointName=NAME,
            EndpointConfigName=pending["config"],
            RetainAllVariantProperties=bool(pending["counts"]) and initial != pending["counts"],
        )
    elif goes_on:
        # Which count it is that changes is not described.
        name, count = list(endpoint["counts"].items())[-1]
        _set_counts(aws, {name: count + 1})
        _set_count(aws, name, count)
    elif endpoint["status"] == "Deleting":
        sagemaker.delete_endpoint(EndpointName=NAME)
    elif settled(aws)["EndpointStatus"] != endpoint["status"]:
        seconds = LATER / 2 if endpoint["status"] == "SystemUpdating" else None
        aws.set_endpoint_status(NAME, endpoint["status"], seconds=seconds)


def _set_counts(aws: LocalAws, counts: Mapping[str, int]) -> None:
    for name, count in counts.items():
        if _counts(settled(aws))[name] != count:
            _set_count(aws, name, count)
            settled(aws)


def _set_count(aws: LocalAws, name: str, count: int) -> None:
    aws.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=NAME, DesiredWeightsAndCapacities=[{"VariantName": name, "DesiredInstanceCount": count}]
    )


def make_scaling(aws: LocalAws, scaling: Mapping[str, Any]) -> None:
    client = aws.client("application-autoscaling")
    for target in scaling["targets"]:
        client.register_scalable_target(**target)
    for policy in scaling["policies"]:
        client.put_scaling_policy(**policy)
    for action in scaling["actions"]:
        client.put_scheduled_action(**action)


def _make_alarms(aws: LocalAws, found: Mapping[str, Any]) -> None:
    """Make the alarms.

    An action that named a policy which is there names it again, by its new ARN; but where the tags hold that policy, too, by the ARN
    that stands there.
    """
    if not found["alarms"]:
        return
    now, kept = policy_arns(aws), _snapshots(found)
    arns = {old: now[name] for name, old in found["policy_arns"].items() if name in now and old not in kept}
    for alarm in found["alarms"]:
        actions = [arns.get(action, action) for action in alarm.get("AlarmActions", [])]
        aws.client("cloudwatch").put_metric_alarm(**{**alarm, "AlarmActions": actions})


def _snapshots(found: Mapping[str, Any]) -> str:
    """Return the scaling that tags hold, as text."""
    text = ""
    for tags in (found["endpoint_tags"], *found["config_tags"].values()):
        parts = [tags[key] for key in sorted(tags) if key.startswith(LEFTOVERS[0])]
        text += zlib.decompress(base64.b64decode("".join(parts))).decode() if parts else ""
    return text


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# Time.


def time_stands_still(aws: LocalAws) -> None:
    """What goes on at AWS does not end."""


@contextmanager
def time_passes(aws: LocalAws, meanwhile: Callable[[LocalAws], Any] | None = None) -> Iterator[None]:
    """Let time pass before each look but the first, which finds what was built.

    :param meanwhile: Is called before the second look in place of it; what it returns is AWS's answer to it, None for its own answer.
    """
    looks = 0

    def looking(**_: Any) -> Any:
        nonlocal looks
        looks += 1
        if looks == 2 and meanwhile:
            return meanwhile(aws)
        if looks > 1 and meanwhile is not time_stands_still:
            aws.advance(LATER)
        return None

    with event_hook(sagemaker_client(), "before-call.*.DescribeEndpoint", looking):
        yield

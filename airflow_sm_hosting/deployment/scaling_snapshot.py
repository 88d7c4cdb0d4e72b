"""The scaling of an endpoint's variants as plain data, saved in tags before it is removed, so that any later try can restore it.

UpdateEndpoint refuses to change the instance type of a scalable target, or to remove it (developer guide, "endpoint-scaling"), and
deregistering a target deletes its policies and scheduled actions (DeregisterScalableTarget).
"""

from __future__ import annotations

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.deployment.status import is_serverless
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.scaling_rules import INSTANCE_COUNT, PROVISIONED_CONCURRENCY

#: By variant: ``target``, ``policies`` and ``actions`` in the shape of the calls that restore them; ``arns``: policy name by ARN.
Snapshot = Mapping[str, Mapping[str, Any]]

#: Prefix of the keys; the id of a copy and the number of its part follow.
SNAPSHOT_TAG = "sm-hosting:scaling-snapshot"
#: Maximum length of a tag's value (AddTags).
_ROOM = 256
#: A resource has at most 50 tags (AddTags). Two runs may each write a copy at a time; the rest is for other tags, ours and the user's.
_MOST_PARTS = 16

_PART = re.compile(rf"{SNAPSHOT_TAG}:(?P<copy>\w+):(?P<number>[1-9]\d*)of(?P<count>[1-9]\d*)")

_TARGET = (
    "ServiceNamespace",
    "ResourceId",
    "ScalableDimension",
    "MinCapacity",
    "MaxCapacity",
    "SuspendedState",
)
_PLACE = ("ServiceNamespace", "ResourceId", "ScalableDimension")
_POLICY = (
    *_PLACE,
    "PolicyName",
    "PolicyType",
    "StepScalingPolicyConfiguration",
    "TargetTrackingScalingPolicyConfiguration",
)
_ACTION = (
    *_PLACE,
    "ScheduledActionName",
    "Schedule",
    "Timezone",
    "StartTime",
    "EndTime",
    "ScalableTargetAction",
)


def scaling_of(
    target: Mapping[str, Any],
    policies: Iterable[Mapping[str, Any]],
    actions: Iterable[Mapping[str, Any]],
    tags: Mapping[str, str],
) -> dict[str, Any]:
    """Return one variant's scaling from the descriptions of Application Auto Scaling.

    The role is left out: for SageMaker it is the service-linked role, which the service adds itself (RegisterScalableTarget).
    """
    dimension = target["ScalableDimension"]
    policies = [policy for policy in policies if policy["ScalableDimension"] == dimension]
    plain: dict[str, Any] = _plain(
        {
            "target": {**_members(target, _TARGET), **({"Tags": dict(tags)} if tags else {})},
            "policies": [_members(policy, _POLICY) for policy in policies],
            "actions": [
                _members(action, _ACTION) for action in actions if action["ScalableDimension"] == dimension
            ],
            "arns": {policy["PolicyARN"]: policy["PolicyName"] for policy in policies},
        }
    )
    return plain


def variant_resource_id(endpoint_name: str, variant_name: str) -> str:
    """Return the resource id of a production variant (RegisterScalableTarget, ResourceId)."""
    return f"endpoint/{endpoint_name}/variant/{variant_name}"


def variant_of(resource_id: str) -> tuple[str, str]:
    """Return the endpoint and the variant in a scalable target's resource id; empty strings for another id."""
    parts = resource_id.split("/")
    return (parts[1], parts[3]) if len(parts) == 4 and parts[::2] == ["endpoint", "variant"] else ("", "")


def policy_members(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of a policy that a snapshot contains."""
    return _members(policy, _POLICY)


def place_of(target: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that identify a scalable target."""
    return _members(target, _PLACE)


def restorable(snapshot: Snapshot, variants: Iterable[Mapping[str, Any]]) -> Snapshot:
    """Return the scaling of variants that still exist and keep their scalable dimension: instances, or provisioned concurrency.

    :param snapshot: The removed scaling.
    :param variants: The current variants, of an endpoint or of a config.
    """
    dimensions = {
        variant["VariantName"]: PROVISIONED_CONCURRENCY if is_serverless([variant]) else INSTANCE_COUNT
        for variant in variants
    }
    return {
        name: scaling
        for name, scaling in snapshot.items()
        if scaling["target"]["ScalableDimension"] == dimensions.get(name)
    }


def merged(*snapshots: Snapshot) -> Snapshot:
    """Merge snapshots; if two contain the same target, policy or action, the later one counts.

    A snapshot that was read while another run removed or restored the scaling is incomplete.
    """
    found: dict[str, Mapping[str, Any]] = {}
    for snapshot in snapshots:
        for variant, scaling in snapshot.items():
            before = found.get(variant)
            if (
                before is None
                or before["target"]["ScalableDimension"] != scaling["target"]["ScalableDimension"]
            ):
                found[variant] = scaling
                continue
            found[variant] = {
                "target": scaling["target"],
                "policies": _united(before, scaling, "policies", "PolicyName"),
                "actions": _united(before, scaling, "actions", "ScheduledActionName"),
                "arns": {**before["arns"], **scaling["arns"]},
            }
    return found


def as_tags(snapshot: Snapshot, copy: str) -> dict[str, str]:
    """Return the snapshot as tags.

    :param snapshot: The scaling to save.
    :param copy: Identifies this copy among those that other runs write at the same time: 8 letters or digits.
    :raises ConflictError: When it does not fit into tags; so no scaling is removed that could not be restored.
    """
    packed = zlib.compress(json.dumps(snapshot, sort_keys=True, separators=(",", ":")).encode(), 9)
    text = base64.b64encode(packed).decode()
    parts = [text[start : start + _ROOM] for start in range(0, len(text), _ROOM)]
    if len(parts) > _MOST_PARTS:
        raise ConflictError(
            f"The scaling of {', '.join(snapshot)} must be removed for this update, but it is too large to be "
            f"saved in the endpoint's tags ({len(text)} characters; allowed: {_MOST_PARTS * _ROOM}). "
            "Deregister the scalable targets, deploy, and configure autoscaling again."
        )
    return {f"{SNAPSHOT_TAG}:{copy}:{index + 1}of{len(parts)}": part for index, part in enumerate(parts)}


def from_tags(tags: Mapping[str, str]) -> Snapshot:
    """Return the snapshot in tags, merged from all complete copies; empty without any."""
    copies: dict[tuple[str, int], dict[int, str]] = {}
    for key, value in tags.items():
        if part := _PART.fullmatch(key):
            copies.setdefault((part["copy"], int(part["count"])), {})[int(part["number"])] = value
    texts = [
        "".join(parts[number] for number in sorted(parts))
        for (_, count), parts in sorted(copies.items())
        if len(parts) == count
    ]
    return merged(*(json.loads(zlib.decompress(base64.b64decode(text))) for text in texts))


def tag_keys(tags: Iterable[str]) -> list[str]:
    """Return the keys of the tags that contain a snapshot or remains of one."""
    return sorted(key for key in tags if _PART.fullmatch(key))


def repointed(actions: Iterable[str], arns: Mapping[str, str]) -> list[str]:
    """Return an alarm's actions with the old ARNs of policies replaced by the new ones.

    :param arns: New ARN by old one.
    """
    return [arns.get(action, action) for action in actions]


def _united(before: Mapping[str, Any], after: Mapping[str, Any], kind: str, name: str) -> list[Any]:
    by_name = {item[name]: item for item in (*before[kind], *after[kind])}
    return list(by_name.values())


def _members(described: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: described[name] for name in names if described.get(name) is not None}


def _plain(value: Any) -> Any:
    """Return a value for JSON: times in ISO format."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value

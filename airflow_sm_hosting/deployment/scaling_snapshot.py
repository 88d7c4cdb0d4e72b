"""The scaling of an endpoint's variants as plain data, written into tags before it is taken off, so that any later try can put it back.

UpdateEndpoint refuses to change the instance type of a scalable target, or to remove it (developer guide, "endpoint-scaling"), and
deregistering a target deletes its policies and scheduled actions (DeregisterScalableTarget).
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.deployment.status import is_serverless
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.scaling_rules import INSTANCE_COUNT, PROVISIONED_CONCURRENCY

#: By variant: ``target``, ``policies`` and ``actions`` in the shape of the calls that put them back, ``arns`` of the policies by name.
Snapshot = Mapping[str, Mapping[str, Any]]

SNAPSHOT_TAG = "sm-hosting:scaling-snapshot"
#: A tag's value (AddTags).
_ROOM = 256
#: A resource has 50 tags at most (AddTags); the rest is for other tags, ours and the user's.
_MOST_PARTS = 30

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
    """Return one variant's scaling, from what Application Auto Scaling describes.

    The role is left out: for SageMaker it is the service-linked one, which the service puts in by itself (RegisterScalableTarget).
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
            "arns": {policy["PolicyName"]: policy["PolicyARN"] for policy in policies},
        }
    )
    return plain


def restorable(snapshot: Snapshot, variants: Iterable[Mapping[str, Any]]) -> Snapshot:
    """Return the scaling of those variants that are still there, and still scaled by the same: instances, or provisioned concurrency.

    :param snapshot: What was taken off.
    :param variants: The variants that there are now, of an endpoint or of a config.
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


def as_tags(snapshot: Snapshot) -> dict[str, str]:
    """Return the snapshot as tags.

    :raises ConflictError: When it does not fit, so that nothing is taken off that could not be put back.
    """
    packed = zlib.compress(json.dumps(snapshot, sort_keys=True, separators=(",", ":")).encode(), 9)
    text = base64.b64encode(packed).decode()
    parts = [text[start : start + _ROOM] for start in range(0, len(text), _ROOM)]
    if len(parts) > _MOST_PARTS:
        raise ConflictError(
            f"The scaling of {', '.join(snapshot)} has to be taken off for this update, and is too large to be written down in the "
            f"endpoint's tags first ({len(text)} characters; allowed: {_MOST_PARTS * _ROOM}). Deregister the scalable targets, deploy, and "
            "configure autoscaling again."
        )
    return {SNAPSHOT_TAG: str(len(parts)), **{_key(index): part for index, part in enumerate(parts)}}


def from_tags(tags: Mapping[str, str]) -> Snapshot:
    """Return the snapshot that tags hold; an empty one for none."""
    count = tags.get(SNAPSHOT_TAG)
    if not count:
        return {}
    text = "".join(tags[_key(index)] for index in range(int(count)))
    found: Snapshot = json.loads(zlib.decompress(base64.b64decode(text)))
    return found


def tag_keys(tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags that hold a snapshot, or are left of one."""
    return sorted(key for key in tags if key == SNAPSHOT_TAG or key.startswith(f"{SNAPSHOT_TAG}:"))


def repointed(actions: Iterable[str], arns: Mapping[str, str]) -> list[str]:
    """Return an alarm's actions with the old ARNs of policies replaced by the new ones.

    :param arns: New ARN by old one.
    """
    return [arns.get(action, action) for action in actions]


def _key(index: int) -> str:
    return f"{SNAPSHOT_TAG}:{index}"


def _members(described: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: described[name] for name in names if described.get(name) is not None}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it: times in ISO format."""
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.isoformat() if hasattr(value, "isoformat") else value

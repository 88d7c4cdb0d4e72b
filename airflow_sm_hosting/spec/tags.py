"""The tags of this package: they mark its resources, and store its state."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_sagemaker.type_defs import TagTypeDef

#: On every resource that we make. A resource is "ours" if it has this tag with this value.
MANAGED_BY = "sm-hosting:managed-by"
PACKAGE = "airflow-provider-sm-hosting"

#: On models and endpoint configs: the SHA-256 of their canonical request (detects different content under an exact name).
CONTENT_DIGEST = "sm-hosting:content-digest"

# Inference components have the tags of endpoints: the name of a specification stands in them for that of a config.

#: On endpoints: the configs that served before the last deployment, newest first, for a rollback; SageMaker does not store them.
PREVIOUS_ENDPOINT_CONFIGS = "sm-hosting:previous-endpoint-configs"

#: On endpoints: the configs whose verification has failed or has not ended, newest first; a rollback skips them. Written before the update.
UNVERIFIED = "sm-hosting:unverified-endpoint-configs"

#: On endpoints: the due time of the DAG run that deployed last (its ``run_after``, UTC), so that an older run does not undo it.
RUN_AFTER = "sm-hosting:run-after"

#: On endpoints: ``<run_after> <config>`` of the last update, written before it, as the run may be killed right after it.
DEPLOYING = "sm-hosting:deploying"

#: On endpoints, followed by a task's digest: ``<run_after> <state> <moment> <config>``, this task's config, deployed or
#: not yet. One key a run, so that no run overwrites another's entry: two runs may write at once (AddTags is unconditional).
RUN = "sm-hosting:run:"

#: On endpoints, followed by a variant's name: the instance count to set after the update; a retry reads it here.
PENDING_COUNT = "sm-hosting:pending-count:"

#: On endpoints, followed by a variant's name: ``<task> <weight> <instance count>``, the task's digest and what the variant had before it
#: shifted the traffic; a retry reads it here.
SHIFTED = "sm-hosting:shifted:"

#: On endpoints: the config that a deployed fallback replaces, as AWS had no capacity for it.
FALLBACK_FOR = "sm-hosting:fallback-for"

#: On endpoints: ``<run_after> <from> <to>`` of the last rollback, so that the same run does not roll back twice.
ROLLED_BACK = "sm-hosting:rolled-back"

#: On endpoints, followed by a config's name: its deployment has alarms, which are deleted after the deployment.
ROLLOUT_ALARMS = "sm-hosting:rollout-alarms:"

#: On endpoints: ``<task> <moment>``: the task that removes the scaling for its update, and until when others wait for it. It is advisory:
#: every run saves the scaling before it removes it, in its own tags.
DETACHING = "sm-hosting:detaching"

#: On alarms: the task that wrote it last, so that two tasks do not overwrite each other's alarm in every run.
TASK = "sm-hosting:task"

#: On alarms: the resource id of the scalable target that the alarm wakes from zero; the alarm is kept and removed with its scaling.
WAKES = "sm-hosting:wakes"

#: On scalable targets: which of their policies and scheduled actions are ours, as these cannot be tagged themselves (TagResource of
#: Application Auto Scaling). The values are the digests of their names; see :func:`digest_tags`.
SCALING_POLICIES = "sm-hosting:policies"
SCHEDULED_ACTIONS = "sm-hosting:schedules"

#: On scalable targets: the capacities of the last request, ``1-4``. Scheduled actions change the target's own capacities.
CAPACITIES = "sm-hosting:capacities"

#: A digest has 8 characters; 28 of them and the spaces between fit into a value of 256 characters (botocore, TagValue).
_DIGEST_LENGTH = 8
_DIGESTS_A_VALUE = 28

OURS = {MANAGED_BY: PACKAGE}


def is_ours(tags: dict[str, str]) -> bool:
    """Return whether a resource's tags mark it as made by this package."""
    return tags.get(MANAGED_BY) == PACKAGE


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Return tags as SageMaker and CloudWatch take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def digest(name: str) -> str:
    """Return the digest of a policy's or scheduled action's name for a tag."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]


def digest_tags(key: str, digests: Iterable[str]) -> dict[str, str]:
    """Return the tags that carry digests: ``key``, and ``key-2``, ``key-3``, … for digests beyond the length of one value."""
    ordered = sorted(set(digests))
    values = [
        " ".join(ordered[start : start + _DIGESTS_A_VALUE])
        for start in range(0, len(ordered), _DIGESTS_A_VALUE)
    ]
    return {key if index == 1 else f"{key}-{index}": value for index, value in enumerate(values, 1)}


def digests_in(key: str, tags: Mapping[str, str]) -> set[str]:
    """Return the digests in tags; other text in them is ignored."""
    values = " ".join(tags[name] for name in digest_tag_keys(key, tags))
    return {word for word in values.split() if re.fullmatch(rf"[0-9a-f]{{{_DIGEST_LENGTH}}}", word)}


def digest_tag_keys(key: str, tags: Iterable[str]) -> list[str]:
    """Return the keys of the tags that carry digests."""
    return [name for name in tags if re.fullmatch(rf"{re.escape(key)}(-[1-9]\d*)?", name)]

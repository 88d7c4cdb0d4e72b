"""The tags that mark what this package made, and carry what it must find again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_sagemaker.type_defs import TagTypeDef

#: On everything that we make: whose it is. Its presence with this value is what "ours" means.
MANAGED_BY = "sm-hosting:managed-by"
PACKAGE = "airflow-provider-sm-hosting"

#: On models and endpoint configs: the SHA-256 of their canonical request (tells content apart where an exact name was asked for).
CONTENT_DIGEST = "sm-hosting:content-digest"

#: On endpoints: the configs that served before the last deployment, newest first, for a rollback; SageMaker forgets them.
PREVIOUS_ENDPOINT_CONFIGS = "sm-hosting:previous-endpoint-configs"

#: On endpoints: when the DAG run was due that deployed last (its ``run_after``, UTC), so that an older run does not undo it.
RUN_AFTER = "sm-hosting:run-after"

#: On endpoints: ``<run_after> <config>`` of the last update, written before it: what a run that died right after it had begun.
DEPLOYING = "sm-hosting:deploying"

#: On endpoints, followed by a task's digest: ``<run_after> <state> <moment> <config>``, what this task deploys or has deployed. A key a
#: run, so that no run overwrites another's: two of them may write at once (AddTags has no condition).
RUN = "sm-hosting:run:"

#: On endpoints, followed by a variant's name: the instance count that is to be set once the update has ended; a retry finds it here.
PENDING_COUNT = "sm-hosting:pending-count:"

#: On endpoints: the config in whose place a fallback was deployed, as AWS had no capacity for it.
FALLBACK_FOR = "sm-hosting:fallback-for"

#: On endpoints: ``<run_after> <from> <to>`` of the last rollback, so that the same run does not roll back twice.
ROLLED_BACK = "sm-hosting:rolled-back"

#: On endpoints, followed by a config's name: alarms were made for its deployment, and are deleted once that has ended.
ROLLOUT_ALARMS = "sm-hosting:rollout-alarms:"

#: On endpoints: ``<task> <moment>``: whose task takes the scaling off for its update, and until when others let it. It is advice only:
#: what is taken off is written down by everyone before, in tags of their own.
DETACHING = "sm-hosting:detaching"

#: On alarms: the task that wrote it last, so that two tasks do not overwrite each other's alarm in every run.
TASK = "sm-hosting:task"

#: On scalable targets: which of their policies and scheduled actions are ours, as these cannot be tagged themselves (TagResource of
#: Application Auto Scaling). The values are the digests of their names; see :func:`digest_tags`.
SCALING_POLICIES = "sm-hosting:policies"
SCHEDULED_ACTIONS = "sm-hosting:schedules"

#: On scalable targets: the capacities that were asked for last, ``1-4``. Scheduled actions set the target's own to others.
CAPACITIES = "sm-hosting:capacities"

#: A digest has 8 characters; 28 of them and the spaces between fit into a value of 256 characters (botocore, TagValue).
_DIGEST_LENGTH = 8
_DIGESTS_A_VALUE = 28

OURS = {MANAGED_BY: PACKAGE}


def is_ours(tags: dict[str, str]) -> bool:
    """Tell whether a resource's tags mark it as made by this package."""
    return tags.get(MANAGED_BY) == PACKAGE


def tag_list(tags: Mapping[str, str]) -> list[TagTypeDef]:
    """Return tags as SageMaker and CloudWatch take them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def digest(name: str) -> str:
    """Return the digest by which the name of a policy or a scheduled action stands in a tag."""
    return hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LENGTH]


def digest_tags(key: str, digests: Iterable[str]) -> dict[str, str]:
    """Return the tags that carry digests: ``key``, and ``key-2``, ``key-3``, … for what is more than a value takes."""
    ordered = sorted(set(digests))
    values = [
        " ".join(ordered[start : start + _DIGESTS_A_VALUE])
        for start in range(0, len(ordered), _DIGESTS_A_VALUE)
    ]
    return {key if index == 1 else f"{key}-{index}": value for index, value in enumerate(values, 1)}


def digests_in(key: str, tags: Mapping[str, str]) -> set[str]:
    """Return the digests that tags carry; what else may stand in them does not count."""
    values = " ".join(tags[name] for name in digest_tag_keys(key, tags))
    return {word for word in values.split() if re.fullmatch(rf"[0-9a-f]{{{_DIGEST_LENGTH}}}", word)}


def digest_tag_keys(key: str, tags: Iterable[str]) -> list[str]:
    """Return the keys of the tags that carry digests."""
    return [name for name in tags if re.fullmatch(rf"{re.escape(key)}(-[1-9]\d*)?", name)]

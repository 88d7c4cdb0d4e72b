"""The tags that mark what this package made, and carry what it must find again."""

from __future__ import annotations

#: On everything that we make: whose it is. Its presence with this value is what "ours" means.
MANAGED_BY = "sm-hosting:managed-by"
PACKAGE = "airflow-provider-sm-hosting"

#: On models and endpoint configs: the SHA-256 of their canonical request (tells content apart where an exact name was asked for).
CONTENT_DIGEST = "sm-hosting:content-digest"

#: On endpoints: the configs that served before the last deployment, newest first, for a rollback; SageMaker forgets them.
PREVIOUS_ENDPOINT_CONFIGS = "sm-hosting:previous-endpoint-configs"

#: On endpoints: when the DAG run was due that deployed last (its ``run_after``, UTC), so that an older run does not undo it.
RUN_AFTER = "sm-hosting:run-after"

#: On endpoints, followed by a variant's name: the instance count that is to be set once the update has ended; a retry finds it here.
PENDING_COUNT = "sm-hosting:pending-count:"

#: On endpoints: the config in whose place a fallback was deployed, as AWS had no capacity for it.
FALLBACK_FOR = "sm-hosting:fallback-for"

#: On endpoints: ``<run_after> <from> <to>`` of the last rollback, so that the same run does not roll back twice.
ROLLED_BACK = "sm-hosting:rolled-back"

#: On endpoints: the config for whose deployment alarms were made, which are deleted once it has ended.
ROLLOUT_ALARMS = "sm-hosting:rollout-alarms"

OURS = {MANAGED_BY: PACKAGE}


def is_ours(tags: dict[str, str]) -> bool:
    """Tell whether a resource's tags mark it as made by this package."""
    return tags.get(MANAGED_BY) == PACKAGE

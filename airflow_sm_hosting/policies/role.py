"""Compare a role from IAM with the wanted role, without any call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_sm_hosting.policies.document import VERSION, same, statements_of
from airflow_sm_hosting.policies.execution import SAGEMAKER, trust


class Role(NamedTuple):
    """The parts of a role that we manage, existing or wanted.

    :param policy: Our inline policy; None if there is none.
    :param tags: Its tags; for a wanted role, the tags that must be present.
    :param permissions_boundary: ARN of its boundary, or None; for a wanted role, None means any.
    :param trust_policy: The trust policy; for a wanted role, SageMaker must be allowed to assume it.
    """

    policy: Mapping[str, Any] | None
    tags: Mapping[str, str]
    permissions_boundary: str | None = None
    trust_policy: Mapping[str, Any] | None = None


class Lacking(NamedTuple):
    """The changes to write; None or empty if there is no difference.

    :param trust_policy: The trust policy: the existing one, extended so that SageMaker may assume the role.
    :param policy: Our inline policy.
    :param permissions_boundary: The boundary.
    :param tags: Tags that are missing or different.
    """

    trust_policy: dict[str, Any] | None
    policy: Mapping[str, Any] | None
    permissions_boundary: str | None
    tags: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Return the names of the parts to write, for logs."""
        return [name.replace("_", " ") for name, value in self._asdict().items() if value]


def lacking(found: Role, wanted: Role) -> Lacking:
    """Return the changes that a role needs; parts of others stay unchanged."""
    boundary = wanted.permissions_boundary
    right = found.policy is not None and wanted.policy is not None and same(found.policy, wanted.policy)
    return Lacking(
        trust_policy=None if is_trusting(found.trust_policy or {}) else trusting(found.trust_policy or {}),
        policy=None if right else wanted.policy,
        permissions_boundary=boundary if boundary != found.permissions_boundary else None,
        tags={key: value for key, value in wanted.tags.items() if found.tags.get(key) != value},
    )


def is_trusting(trust_policy: Mapping[str, Any]) -> bool:
    """Return whether SageMaker may assume a role; an existing condition on that is a user's decision, and is respected."""
    return any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
        and isinstance(statement.get("Principal"), Mapping)
        and SAGEMAKER in _listed(statement["Principal"].get("Service"))
        for statement in statements_of(trust_policy)
    )


def trusting(trust_policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trust policy that adds SageMaker to the existing principals."""
    statements = [*map(dict, statements_of(trust_policy)), *trust()["Statement"]]
    return {"Version": VERSION, **trust_policy, "Statement": statements}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]

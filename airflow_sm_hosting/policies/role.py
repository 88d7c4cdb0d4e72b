"""What a role lacks of what is wanted of it: decided over what IAM describes, without asking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from airflow_sm_hosting.policies.document import VERSION, same, statements_of
from airflow_sm_hosting.policies.execution import SAGEMAKER, trust


class Role(NamedTuple):
    """A role, as far as it is ours: what is there, or what is wanted.

    :param policy: The inline policy of ours; None where there is none.
    :param tags: Its tags; of those wanted, what must be among them.
    :param permissions_boundary: ARN of its boundary, or None; none wanted is any.
    :param trust_policy: Who may assume it; what is wanted is that SageMaker may.
    """

    policy: Mapping[str, Any] | None
    tags: Mapping[str, str]
    permissions_boundary: str | None = None
    trust_policy: Mapping[str, Any] | None = None


class Lacking(NamedTuple):
    """What is to be written, each None or empty where it is as wanted.

    :param trust_policy: The trust policy: what was there, and that SageMaker may assume the role.
    :param policy: The inline policy of ours.
    :param permissions_boundary: The boundary.
    :param tags: Tags that are missing or different.
    """

    trust_policy: dict[str, Any] | None
    policy: Mapping[str, Any] | None
    permissions_boundary: str | None
    tags: dict[str, str]

    @property
    def names(self) -> list[str]:
        """Return the names of what is to be written, for logs."""
        return [name.replace("_", " ") for name, value in self._asdict().items() if value]


def lacking(found: Role, wanted: Role) -> Lacking:
    """Return what a role lacks; what others put there is left alone."""
    boundary = wanted.permissions_boundary
    right = found.policy is not None and wanted.policy is not None and same(found.policy, wanted.policy)
    return Lacking(
        trust_policy=None if is_trusting(found.trust_policy or {}) else trusting(found.trust_policy or {}),
        policy=None if right else wanted.policy,
        permissions_boundary=boundary if boundary != found.permissions_boundary else None,
        tags={key: value for key, value in wanted.tags.items() if found.tags.get(key) != value},
    )


def is_trusting(trust_policy: Mapping[str, Any]) -> bool:
    """Tell whether SageMaker may assume a role; a condition under which it may is somebody's decision, and respected."""
    return any(
        statement.get("Effect") == "Allow"
        and {"sts:AssumeRole", "sts:*", "*"} & set(_listed(statement.get("Action")))
        and isinstance(statement.get("Principal"), Mapping)
        and SAGEMAKER in _listed(statement["Principal"].get("Service"))
        for statement in statements_of(trust_policy)
    )


def trusting(trust_policy: Mapping[str, Any]) -> dict[str, Any]:
    """Return a trust policy with SageMaker beside those who may assume the role already."""
    statements = [*map(dict, statements_of(trust_policy)), *trust()["Statement"]]
    return {"Version": VERSION, **trust_policy, "Statement": statements}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]

"""Policy documents: made of statements, merged, measured and compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError

VERSION = "2012-10-17"
#: Characters of all inline policies of a role together, white space not counted
#: (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
MAX_ROLE_POLICY = 10_240


def allow(
    actions: Iterable[str], resources: Iterable[str], condition: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a statement that allows actions on resources."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": sorted(set(actions)),
        "Resource": sorted(set(resources)),
    }
    return {**statement, "Condition": dict(condition)} if condition else statement


def document(statements: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a policy document; statements that differ in their actions only are one."""
    merged: dict[str, dict[str, Any]] = {}
    for statement in statements:
        found = {key: value for key, value in statement.items() if key != "Action"}
        key = json.dumps(found, sort_keys=True)
        before = merged.setdefault(key, {"Effect": statement["Effect"], "Action": [], **found})
        before["Action"] = sorted({*before["Action"], *_listed(statement.get("Action", ()))})
    return {"Version": VERSION, "Statement": list(merged.values())}


def compact(policy: Mapping[str, Any]) -> str:
    """Return a policy document as it is sent, and as IAM counts its characters."""
    return json.dumps(policy, separators=(",", ":"))


def check_size(where: str, policy: Mapping[str, Any]) -> None:
    """Check that a document fits into a role.

    :raises InvalidSpecError: It has more characters than a role's inline policies may have.
    """
    size = len(compact(policy))
    if size > MAX_ROLE_POLICY:
        raise InvalidSpecError(
            f"{where} has {size} characters; allowed: {MAX_ROLE_POLICY} for all inline policies of a role "
            "together. Give prefixes instead of single objects and repositories, or create several roles."
        )


def check_document(where: str, policy: Any) -> None:
    """Check the form of a policy document that somebody else wrote.

    :raises InvalidSpecError: It is none, or too long.
    """
    statements = policy.get("Statement") if isinstance(policy, Mapping) else None
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list | tuple) or not statements:
        raise InvalidSpecError(
            f"{where} is not a policy document; allowed: a dict with 'Version' and a 'Statement' list."
        )
    for index, statement in enumerate(statements):
        check_statement(f"{where}: Statement[{index}]", statement)
    check_size(where, policy)


def check_statement(where: str, statement: Any) -> None:
    """Check the form of a statement of an identity-based policy.

    :raises InvalidSpecError: It lacks what IAM needs, or has what such a policy cannot have.
    """
    if not isinstance(statement, Mapping):
        raise InvalidSpecError(f"{where} is a {type(statement).__name__}; allowed: a dict.")
    if statement.get("Effect") not in ("Allow", "Deny"):
        raise InvalidSpecError(f"{where}: Effect is {statement.get('Effect')!r}; allowed: 'Allow' or 'Deny'.")
    for one, other in (("Action", "NotAction"), ("Resource", "NotResource")):
        if (one in statement) == (other in statement):
            raise InvalidSpecError(f"{where} must have exactly one of {one} and {other}.")
    if {"Principal", "NotPrincipal"} & set(statement):
        raise InvalidSpecError(f"{where} has a Principal; the policy of a role must not have one.")


def same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return whether two documents are equivalent: order, and a value instead of a list of one, are ignored."""
    return _normal(one) == _normal(other)


def statements_of(policy: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the statements of a document; a single one need not be in a list."""
    found: Any = policy.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def with_sids(policy: Mapping[str, Any], sid: str) -> list[dict[str, Any]]:
    """Return the statements of a document with ids of ours: ``sid``, ``sid2`` and so on."""
    return [
        {"Sid": f"{sid}{number if number > 1 else ''}", **statement}
        for number, statement in enumerate(statements_of(policy), start=1)
    ]


def merged(
    found: Mapping[str, Any] | None, ours: Iterable[Mapping[str, Any]], sid: str
) -> dict[str, Any] | None:
    """Return a resource's policy with our statements in place of those of the same ids; None if it has them already.

    Statements of others stay as they are, and in their order.

    :param found: The policy; None if the resource has none.
    :param ours: Our statements, of :func:`with_sids`.
    :param sid: Their id.
    """
    statements = statements_of(found or {})
    others = [one for one in statements if not re.fullmatch(rf"{sid}\d*", str(one.get("Sid", "")))]
    before = [one for one in statements if one not in others]
    wanted = list(ours)
    if same({"Statement": before}, {"Statement": wanted}):
        return None
    return {**(found or {"Version": VERSION}), "Statement": [*others, *wanted]}


def _normal(policy: Mapping[str, Any]) -> list[str]:
    return sorted(json.dumps(_sorted(statement), sort_keys=True) for statement in statements_of(policy))


def _sorted(value: Any) -> Any:
    """Return a part of a statement with every value in a list, and every list sorted."""
    if isinstance(value, Mapping):
        return {
            key: item
            if key in ("Effect", "Sid")
            else _sorted(item if isinstance(item, Mapping) else _listed(item))
            for key, item in value.items()
        }
    return sorted(str(item).lower() if isinstance(item, bool) else str(item) for item in value)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple | set) else [value]

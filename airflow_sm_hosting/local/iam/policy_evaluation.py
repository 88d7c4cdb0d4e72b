"""Whether IAM policies allow an action on a resource: the evaluation logic for identity-based policies and boundaries.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html. moto's own evaluation leaves out resources and
conditions. What is not evaluated here (policy variables, some condition operators) is an error, never a silent yes or no.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any

#: Values of condition keys of a request; a key with several values has a list.
Context = Mapping[str, str | list[str]]


class NotEvaluatedError(Exception):
    """A policy says something that is not evaluated here."""


class Effect(StrEnum):
    """What policies say about a request."""

    ALLOWED = "allowed"
    NOT_ALLOWED = "not allowed"
    DENIED = "denied"


def evaluate_policies(
    policies: Iterable[Mapping[str, Any]],
    action: str,
    resource: str,
    context: Context,
    *,
    boundary: Iterable[Mapping[str, Any]] | None = None,
) -> Effect:
    """Return what the policies of an identity say about an action on a resource.

    :param policies: Documents of its policies.
    :param action: ``service:Action``.
    :param resource: The ARN, or ``*`` for an action that has no resource.
    :param context: The condition keys of the request.
    :param boundary: Documents of its permissions boundary, if it has one.
    :raises NotEvaluatedError: A statement that may matter has what is not evaluated here.
    """
    said = _said(policies, action, resource, context)
    if boundary is None or said is not Effect.ALLOWED:
        return said
    return _said(boundary, action, resource, context)


def _said(policies: Iterable[Mapping[str, Any]], action: str, resource: str, context: Context) -> Effect:
    effects = {
        statement["Effect"]
        for policy in policies
        for statement in _listed(policy.get("Statement", []))
        if _is_about(statement, action, resource)
        and _conditions_hold(statement.get("Condition", {}), context)
    }
    if "Deny" in effects:
        return Effect.DENIED
    return Effect.ALLOWED if "Allow" in effects else Effect.NOT_ALLOWED


def trusts(policy: Mapping[str, Any], service: str, action: str = "sts:AssumeRole") -> bool:
    """Return whether a role's trust policy lets a service assume the role."""
    return any(
        statement["Effect"] == "Allow"
        and _matches_any(_listed(statement.get("Action", [])), action, fold=True)
        and isinstance(statement.get("Principal"), Mapping)
        and service in _listed(statement["Principal"].get("Service", []))
        for statement in _listed(policy.get("Statement", []))
    )


def _is_about(statement: Mapping[str, Any], action: str, resource: str) -> bool:
    if "NotAction" in statement:
        about_action = not _matches_any(_listed(statement["NotAction"]), action, fold=True)
    else:
        about_action = _matches_any(_listed(statement.get("Action", [])), action, fold=True)
    if not about_action:
        return False
    if "NotResource" in statement:
        return not any(_arn_matches(pattern, resource) for pattern in _listed(statement["NotResource"]))
    return any(_arn_matches(pattern, resource) for pattern in _listed(statement.get("Resource", [])))


def _arn_matches(pattern: str, resource: str) -> bool:
    """Return whether a Resource names an ARN; a wildcard does not reach beyond its part between colons, but for the last."""
    if "${" in pattern:
        raise NotEvaluatedError(f"the local AWS does not support policy variables: {pattern}")
    if pattern == "*":
        return True
    if resource == "*":
        return False
    parts, given = pattern.split(":", 5), resource.split(":", 5)
    return len(parts) == len(given) and all(
        _matches(part, found) for part, found in zip(parts, given, strict=True)
    )


def _conditions_hold(conditions: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    return all(
        _condition_holds(operator, key, _listed(wanted), context)
        for operator, keys in conditions.items()
        for key, wanted in keys.items()
    )


def _condition_holds(operator: str, key: str, wanted: list[Any], context: Context) -> bool:
    """Return whether one condition holds; several values of it are alternatives.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
    """
    quantifier, _, name = operator.rpartition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    # Keys are not case-sensitive.
    found = next((value for known, value in context.items() if known.lower() == key.lower()), None)
    if name == "Null":
        return (found is None) == (str(wanted[0]).lower() == "true")
    if name not in _COMPARISONS or quantifier not in ("", "ForAllValues", "ForAnyValue"):
        raise NotEvaluatedError(f"the local AWS does not evaluate the condition operator {operator}")
    compare, negated = _COMPARISONS[name]
    if found is None:
        return if_exists or negated or quantifier == "ForAllValues"
    holds = [any(compare(str(one), value) for one in wanted) != negated for value in _listed(found)]
    return all(holds) if quantifier == "ForAllValues" else any(holds)


def _equals(pattern: str, value: str) -> bool:
    if "${" in pattern:
        raise NotEvaluatedError(f"the local AWS does not support policy variables: {pattern}")
    return pattern == value


#: Each operator's comparison of one value, and whether it is the negation.
_COMPARISONS: dict[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (lambda one, other: _equals(one.lower(), other.lower()), False),
    "StringNotEqualsIgnoreCase": (lambda one, other: _equals(one.lower(), other.lower()), True),
    "StringLike": (lambda pattern, value: _matches(pattern, value), False),
    "StringNotLike": (lambda pattern, value: _matches(pattern, value), True),
    "ArnEquals": (_arn_matches, False),
    "ArnLike": (_arn_matches, False),
    "ArnNotEquals": (_arn_matches, True),
    "ArnNotLike": (_arn_matches, True),
    "Bool": (lambda one, other: one.lower() == other.lower(), False),
}


def _matches_any(patterns: Iterable[str], value: str, *, fold: bool = False) -> bool:
    return any(
        _matches(pattern.lower(), value.lower()) if fold else _matches(pattern, value) for pattern in patterns
    )


def _matches(pattern: str, value: str) -> bool:
    if "${" in pattern:
        raise NotEvaluatedError(f"the local AWS does not support policy variables: {pattern}")
    return _compiled(pattern).fullmatch(value) is not None


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    escaped = re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
    return re.compile(escaped, re.DOTALL)


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]

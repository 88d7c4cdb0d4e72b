"""Convert rendered values to their types: Jinja turns everything into strings."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import (
    check_boolean,
    check_integer,
    check_number,
    check_tag_pairs,
    invalid,
    tag_pairs,
)
from airflow_sm_hosting.spec.patterns import MAX_TAGS


def is_absent(value: Any) -> bool:
    """Return whether no value was given: None, or ``"None"`` and ``""``, which Jinja makes of None and of nothing."""
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def as_boolean(where: str, value: Any) -> bool:
    """Return a rendered boolean: ``"False"`` is False."""
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    check_boolean(where, value)
    return bool(value)


def whole_number(value: Any) -> Any:
    """Return the whole number in a string, as Jinja turns numbers into strings; other values are returned unchanged."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d+\s*", value) else value


def as_integer(where: str, value: Any, low: int, high: int | None = None) -> int:
    """Return a rendered whole number."""
    value = whole_number(value)
    check_integer(where, value, low, high)
    return int(value)


def as_number(where: str, value: Any, *, low: float | None = None, above: float | None = None) -> float:
    """Return a rendered number."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):  # the check reports a value that is not a number
            value = float(value)
    check_number(where, value, low=low, above=above)
    return float(value)


def as_seconds(where: str, value: Any, low: float, high: float | None = None) -> float:
    """Return a rendered duration in seconds: a number, or a timedelta."""
    number: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(number, str):
        with contextlib.suppress(ValueError):
            number = float(number)
    finite = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not finite or number < low or (high is not None and number > high):
        limits = f"{low:g} or more" if high is None else f"{low:g} to {high:g}"
        raise invalid(
            where,
            number if isinstance(value, str) else value,
            f"seconds as a number, {limits}, or a timedelta",
        )
    return float(number)


def as_list(where: str, value: Any) -> list[Any]:
    """Return a rendered list; None is an empty list, and a string is an error: its letters would become entries."""
    if value is None:
        return []
    if isinstance(value, str | dict) or not isinstance(value, Iterable):
        raise InvalidSpecError(f"{where} is a {type(value).__name__}; allowed: a list.")
    return list(value)


def as_string(where: str, value: Any) -> str:
    """Return a rendered string; None and ``"None"``, from an upstream task that returned nothing, are errors."""
    if not isinstance(value, str) or is_absent(value):
        raise invalid(where, value, "a string (did the task that it comes from return nothing?)")
    return value


def as_tags(where: str, value: Any, *, most: int = MAX_TAGS) -> dict[str, str]:
    """Return rendered tags as a dict; AWS's list of Key and Value is accepted too.

    :param where: The field.
    :param value: The tags.
    :param most: Maximum number of tags, e.g. AWS's limit minus the tags of this package.
    :raises InvalidSpecError: When AWS would refuse the tags.
    """
    if value is None:
        return {}
    pairs = tag_pairs(where, value)
    check_tag_pairs(where, pairs, most=most)
    return {key: str(item) for key, item in pairs}


def seconds(value: Any) -> Any:
    """Return a checked duration in whole seconds, as AWS expects; a value that is rendered later is returned unchanged."""
    return int(value.total_seconds()) if isinstance(value, timedelta) else value

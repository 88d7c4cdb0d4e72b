"""Finds in a request what botocore's model of the service does not allow.

botocore checks types, required members and minimum lengths before it sends a request. Its model (``service-2.json``)
also gives patterns, maxima and enums, which botocore leaves to the service: a request that breaks one of those is
refused after the call. Here all of them are checked before the call.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from botocore.utils import parse_to_aware_datetime

Kind = Literal["required", "unknown", "type", "length", "range", "pattern", "enum"]


@dataclass(frozen=True)
class Violation:
    """A value that the service's model does not allow.

    :param path: Where, from the request's root, in the request's own spelling: ``ProductionVariants[0].VariantName``.
    :param value: What was found (None for a missing member).
    :param kind: Which sort of rule it breaks.
    :param constraint: The rule in the service's words: ``Member must have length less than or equal to 63``.
    """

    path: str
    value: Any
    kind: Kind
    constraint: str


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[Violation]:
    """Yield what in ``value`` the shape does not allow, in the order of the request.

    :param shape: A botocore shape, see :func:`~airflow_sm_hosting.service_model.shapes.input_shape`.
    :param value: The request, or a part of it.
    :param path: The path of ``value`` in the request.
    """
    problem = _TYPE_PROBLEMS[shape.type_name](value) if shape.type_name in _TYPE_PROBLEMS else None
    if problem:
        yield Violation(path, value, "type", problem)
        return
    match shape:
        case StructureShape():
            yield from _structure_violations(shape, value, path)
        case ListShape():
            yield from _size_violations(shape, value, path)
            for index, item in enumerate(value):
                yield from violations(shape.member, item, f"{path}[{index}]")
        case MapShape():
            yield from _size_violations(shape, value, path)
            for key, item in value.items():
                yield from violations(shape.key, key, f"{path}.{key} (key)")
                yield from violations(shape.value, item, f"{path}.{key}")
        case StringShape():
            yield from _string_violations(shape, value, path)
        case Shape(type_name="blob"):
            yield from _size_violations(shape, value, path)
        case Shape(type_name="integer" | "long" | "float" | "double"):
            low, high = shape.metadata.get("min"), shape.metadata.get("max")
            if low is not None and value < low:
                yield Violation(
                    path, value, "range", f"Member must have value greater than or equal to {low:g}"
                )
            if high is not None and value > high:
                yield Violation(
                    path, value, "range", f"Member must have value less than or equal to {high:.0f}"
                )


def _structure_violations(shape: StructureShape, value: Mapping[str, Any], path: str) -> Iterator[Violation]:
    dot = f"{path}." if path else ""
    if shape.is_tagged_union and sum(item is not None for item in value.values()) != 1:
        allowed = ", ".join(shape.members)
        yield Violation(path, value, "required", f"Member must have exactly one of: {allowed}")
    for name in shape.required_members:
        if value.get(name) is None:
            yield Violation(f"{dot}{name}", None, "required", "Member must not be null")
    for name, item in value.items():
        if name not in shape.members:
            allowed = ", ".join(shape.members)
            yield Violation(f"{dot}{name}", item, "unknown", f"Member must be one of: {allowed}")
        elif item is not None:
            yield from violations(shape.members[name], item, f"{dot}{name}")


def _size_violations(shape: Shape, value: Any, path: str) -> Iterator[Violation]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and len(value) < low:
        yield Violation(path, value, "length", f"Member must have length greater than or equal to {low}")
    if high is not None and len(value) > high:
        yield Violation(path, value, "length", f"Member must have length less than or equal to {high}")


def _string_violations(shape: StringShape, value: str, path: str) -> Iterator[Violation]:
    yield from _size_violations(shape, value, path)
    pattern = shape.metadata.get("pattern")
    if pattern and not _compiled(pattern).fullmatch(value):
        yield Violation(path, value, "pattern", f"Member must satisfy regular expression pattern: {pattern}")
    if shape.enum and value not in shape.enum:
        yield Violation(path, value, "enum", f"Member must satisfy enum value set: [{', '.join(shape.enum)}]")


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    """Compile one of the model's patterns, which are Java's: Python's ``re`` has no Unicode property classes.

    One that still cannot be compiled is not checked.
    """
    for java, python in (
        (r"\p{L}\p{Z}\p{N}", r"\w\s"),
        (r"\p{L}", "a-zA-Z"),
        (r"\p{Alnum}", "a-zA-Z0-9"),
        (r"\p{ASCII}*", r"[\x00-\x7f]*"),
        (r"\p{ASCII}", r"\x00-\x7f"),
        (r"[\p{Print}]", r"[^\x00-\x1f\x7f]"),
        (r"\p{Print}", r"[^\x00-\x1f\x7f]"),
        # Python has it from 3.14 on.
        (r"\z", r"\Z"),
        (r"\P{M}\p{M}*", r".*"),
        # Java writes the characters beyond the first plane as two surrogates.
        (r"\uD800\uDC00-\uDBFF\uDFFF", "\U00010000-\U0010ffff"),
    ):
        pattern = pattern.replace(java, python)
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error:
        return re.compile(r".*", re.DOTALL)


def _must_be(text: str, *types: type, but_not: type | None = None) -> Any:
    def problem(value: Any) -> str | None:
        right = isinstance(value, types) and not (but_not and isinstance(value, but_not))
        return None if right else f"Member must be {text}"

    return problem


def _number_problem(value: Any) -> str | None:
    right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return None if right else "Member must be a number"


def _timestamp_problem(value: Any) -> str | None:
    try:
        parse_to_aware_datetime(value)
    except (TypeError, ValueError, OverflowError, AttributeError, RuntimeError):
        # A RuntimeError is botocore's for a number beyond the years that a datetime has.
        return "Member must be a timestamp"
    return None


_TYPE_PROBLEMS = {
    "timestamp": _timestamp_problem,
    "structure": _must_be("a structure", Mapping),
    "map": _must_be("a map", Mapping),
    "list": _must_be("a list", list, tuple),
    "string": _must_be("a string", str),
    "integer": _must_be("an integer", int, but_not=bool),
    "long": _must_be("an integer", int, but_not=bool),
    "float": _number_problem,
    "double": _number_problem,
    "boolean": _must_be("true or false", bool),
}

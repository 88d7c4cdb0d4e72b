"""AWS requests held against botocore's own model of the service: the checks that botocore itself leaves to AWS.

botocore checks types, required members and minimum lengths before it sends a request. Its model (``service-2.json``)
also says patterns, maxima and enums; a request that breaks one of those is refused by the service after the
call. Here they are checked before it.
"""

from __future__ import annotations

import gc
import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from botocore.model import ServiceModel, Shape
from botocore.utils import parse_to_aware_datetime

from airflow_sm_hosting.hooks.service_loader import service_loader

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


@lru_cache(maxsize=16)
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service (``sagemaker``, ``cloudwatch``, …), loaded once per process."""
    # Parsing 2 MB of JSON makes the collector walk the whole heap of Airflow again and again.
    enabled = gc.isenabled()
    gc.disable()
    try:
        loaded = service_loader(os.environ.get("AWS_DATA_PATH")).load_service_model(service, "service-2")
        return ServiceModel(loaded, service_name=service)
    finally:
        if enabled:
            gc.enable()


def input_shape(service: str, operation: str) -> Shape:
    """Return the shape of an operation's request, e.g. ``input_shape("sagemaker", "CreateModel")``."""
    return service_model(service).operation_model(operation).input_shape


def violations(shape: Shape, value: Any, path: str = "") -> Iterator[Violation]:
    """Yield what in ``value`` the shape does not allow, in the order of the request.

    :param shape: A botocore shape, see :func:`input_shape`.
    :param value: The request, or a part of it.
    :param path: The path of ``value`` in the request.
    """
    problem = _TYPE_PROBLEMS[shape.type_name](value) if shape.type_name in _TYPE_PROBLEMS else None
    if problem:
        yield Violation(path, value, "type", problem)
        return
    match shape.type_name:
        case "structure":
            yield from _structure_violations(shape, value, path)
        case "list":
            yield from _size_violations(shape, value, path)
            for index, item in enumerate(value):
                yield from violations(shape.member, item, f"{path}[{index}]")
        case "map":
            yield from _size_violations(shape, value, path)
            for key, item in value.items():
                yield from violations(shape.key, key, f"{path}.{key} (key)")
                yield from violations(shape.value, item, f"{path}.{key}")
        case "string":
            yield from _string_violations(shape, value, path)
        case "blob":
            yield from _size_violations(shape, value, path)
        case "integer" | "long" | "float" | "double":
            low, high = shape.metadata.get("min"), shape.metadata.get("max")
            if low is not None and value < low:
                yield Violation(
                    path, value, "range", f"Member must have value greater than or equal to {low:g}"
                )
            if high is not None and value > high:
                yield Violation(
                    path, value, "range", f"Member must have value less than or equal to {high:.0f}"
                )


def typed(shape: Shape, value: Any, path: str = "") -> Any:
    """Return a copy of ``value`` in which strings that stand for numbers and booleans are such, as the model says.

    Jinja makes strings of everything: ``"2"`` for an integer member becomes ``2``, ``"False"`` for a boolean one
    becomes ``False``. What stands for nothing of the member's type is left as it is, for :func:`violations` to name.
    Members whose value is None are left out, as absent.
    """
    match shape.type_name:
        case "structure" if isinstance(value, Mapping):
            return {
                key: typed(shape.members[key], item, f"{path}.{key}") if key in shape.members else item
                for key, item in value.items()
                if item is not None
            }
        case "list" if isinstance(value, list | tuple):
            return [typed(shape.member, item, path) for item in value]
        case "map" if isinstance(value, Mapping):
            return {str(key): typed(shape.value, item, path) for key, item in value.items()}
        case "string" if isinstance(value, bool | int | float):
            # ENV={"WORKERS": 2} and Jinja's native rendering: AWS has strings only.
            return str(value)
        case _:
            return scalar(shape.type_name, value)


def scalar(type_name: str, value: Any) -> Any:
    """Return the number or boolean that a rendered string stands for, or the value as it is."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    match type_name:
        case "integer" | "long" if re.fullmatch(r"[+-]?\d+(\.0+)?", text):
            return int(float(text)) if "." in text else int(text)
        case "float" | "double" if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text):
            return float(text)
        case "boolean" if text.lower() in ("true", "false"):
            return text.lower() == "true"
        case _:
            return value


def _structure_violations(shape: Shape, value: Mapping[str, Any], path: str) -> Iterator[Violation]:
    dot = f"{path}." if path else ""
    if getattr(shape, "is_tagged_union", False) and sum(item is not None for item in value.values()) != 1:
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


def _string_violations(shape: Shape, value: str, path: str) -> Iterator[Violation]:
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
    except (TypeError, ValueError, OverflowError, AttributeError):
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

"""Converts strings that Jinja rendered from numbers and booleans to the types of botocore's model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape


def typed(shape: Shape, value: Any, path: str = "") -> Any:
    """Return a copy of ``value`` in which strings that stand for numbers and booleans are such, as the model says.

    Jinja makes strings of everything: ``"2"`` for an integer member becomes ``2``, ``"False"`` for a boolean one
    becomes ``False``. What stands for nothing of the member's type is left as it is, for :func:`~airflow_sm_hosting.service_model.validation.violations` to name.
    Members whose value is None are left out, as absent.
    """
    match shape:
        case StructureShape() if isinstance(value, Mapping):
            return {
                key: typed(shape.members[key], item, f"{path}.{key}") if key in shape.members else item
                for key, item in value.items()
                if item is not None
            }
        case ListShape() if isinstance(value, list | tuple):
            return [typed(shape.member, item, path) for item in value]
        case MapShape() if isinstance(value, Mapping):
            return {str(key): typed(shape.value, item, path) for key, item in value.items()}
        case StringShape() if isinstance(value, bool | int | float):
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

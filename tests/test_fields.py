"""The parameters of operators, by kind: what is taken for a value, and what it becomes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    Field,
    Fields,
    FilePath,
    Integer,
    ListOf,
    Number,
    Resource,
    Seconds,
    Structure,
    Tags,
    Text,
    Value,
    WholeSeconds,
    optional,
)
from airflow_sm_hosting.spec.arn import ENDPOINT

#: A field of each kind with a default, and a value that is not the default.
WITH_DEFAULT: dict[str, tuple[Field[Any], Any]] = {
    "text": (Text(default="a"), "b"),
    "path": (FilePath(default="a"), "b"),
    "resource": (optional(Resource(ENDPOINT)), "churn"),
    "boolean": (Boolean(default=True), False),
    "integer": (Integer(low=1, default=3), 4),
    "number": (Number(low=1, default=3), 4.5),
    "seconds": (Seconds(low=1, default=3), 4.5),
    "whole seconds": (WholeSeconds(low=1, high=9, default=3), 4),
    "choice": (Choice(("auto", True, False), default="auto"), False),
    "tags": (Tags(), {"team": "ml"}),
    "list": (ListOf(), ["a"]),
    "structure": (optional(Structure()), {"A": 1}),
}


def of(field: Field[Any], given: Any) -> Any:
    class Given(Fields):
        one = field

    return Given.of(SimpleNamespace(one=given)).one


@pytest.mark.parametrize("nothing", [None, "", "None", " None "], ids=repr)
@pytest.mark.parametrize(("field", "other"), WITH_DEFAULT.values(), ids=WITH_DEFAULT)
def test_what_jinja_makes_of_nothing_is_the_default_in_every_kind(
    field: Field[Any], other: Any, nothing: Any
) -> None:
    assert of(field, nothing) == field.default
    assert of(field, other) == other


def test_a_value_of_any_kind_may_be_an_empty_text() -> None:
    assert of(optional(Value()), "None") == "None"
    assert of(optional(Value()), "") == ""
    assert of(optional(Value()), None) is None


@pytest.mark.parametrize("nothing", ["", "None"])
def test_where_to_leave_out_would_do_harm_a_blank_text_is_an_error(nothing: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"one is .*did the task that it comes from return nothing"):
        of(optional(Text(blank=False)), nothing)


@pytest.mark.parametrize("nothing", [None, "", "None"])
def test_a_required_text_must_be_there(nothing: Any) -> None:
    with pytest.raises(InvalidSpecError, match="one is"):
        of(Text(), nothing)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        (Boolean(), "False", False),
        (Boolean(), " true ", True),
        (Integer(low=1), "3", 3),
        (Number(low=1), "3.5", 3.5),
        (Seconds(low=1), "3.5", 3.5),
        (Seconds(low=1), timedelta(minutes=1), 60.0),
        (WholeSeconds(low=1, high=90), "60", 60),
        (WholeSeconds(low=1, high=90), timedelta(minutes=1), 60),
        (Choice(("auto", True, False)), "False", False),
        (Choice(("auto", True, False)), "auto", "auto"),
        (Tags(), [{"Key": "a", "Value": 1}], {"a": "1"}),
        (ListOf(), ("a",), ["a"]),
        (FilePath(), Path("a") / "b", "a/b"),
        (Resource(ENDPOINT), "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn", "churn"),
    ],
)
def test_rendered_values_become_what_they_stand_for(field: Field[Any], text: Any, value: Any) -> None:
    assert of(field, text) == value
    assert type(of(field, text)) is type(value)


def test_a_default_is_not_shared() -> None:
    field = ListOf()
    of(field, None).append("a")
    assert of(field, None) == []

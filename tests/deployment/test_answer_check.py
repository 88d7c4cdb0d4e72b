"""Comparing answers with the expected ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.answer_check import (
    DIFFERENCE_LINES,
    LINE_CHARACTERS,
    Checks,
    Wrong,
    is_same_answer,
    shortened,
    wrong_with,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def wrong(
    answer: Any,
    *,
    milliseconds: float | None = 1.0,
    schema: Any = None,
    function: Any = None,
    **expected: Any,
) -> Wrong | None:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    checks = Checks(schema or (lambda value, wanted: None), function or (lambda name: None))
    return wrong_with(text, milliseconds, expected, checks)


@given(JSON)
def test_a_value_equals_itself_and_has_itself_as_a_part(value: Any) -> None:
    assert wrong([value], Equals=[value]) is None
    assert wrong([value], Subset=[value]) is None


@given(JSON, JSON)
def test_two_values_are_equal_if_they_are_the_same_json(one: Any, other: Any) -> None:
    def strict(value: Any) -> Any:
        """Python's True is 1; JSON's is not."""
        if isinstance(value, dict):
            return {key: strict(item) for key, item in value.items()}
        if isinstance(value, list):
            return [strict(item) for item in value]
        return (type(value).__name__ if isinstance(value, bool) else "", value)

    assert (wrong([one], Equals=[other]) is None) == (strict(one) == strict(other))


@given(st.dictionaries(st.text(), JSON, max_size=4), st.dictionaries(st.text(), JSON, max_size=4))
def test_an_object_has_each_part_of_it(part: dict[str, Any], more: dict[str, Any]) -> None:
    whole = {**more, **part}
    assert wrong(whole, Subset=part) is None
    assert wrong([{"a": whole}], Subset=[{"a": part}]) is None
    assert (wrong(whole, Equals=part) is None) == (set(whole) == set(part))


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 10))
def test_numbers_are_equal_within_the_tolerance(one: float, other: float, tolerance: float) -> None:
    right = abs(one - other) <= tolerance
    assert (wrong({"p": [one]}, Equals={"p": [other]}, Tolerance=tolerance) is None) == right


@pytest.mark.parametrize(
    ("answer", "expected", "right"),
    [
        ([0.1 + 0.2], {"Equals": [0.3], "Tolerance": 1e-9}, True),
        ([0.1 + 0.2], {"Equals": [0.3]}, False),
        ([105], {"Equals": [100], "RelativeTolerance": 0.05}, True),
        ([106], {"Equals": [100], "RelativeTolerance": 0.05}, False),
        ([1], {"Equals": [1.0]}, True),
        ([True], {"Equals": [1]}, False),
        ([0], {"Equals": [False], "Tolerance": 1.0}, False),
        ([2**53 + 1], {"Equals": [2**53]}, False),
        ([10**400], {"Equals": [1.0], "Tolerance": 1.0}, False),
        (["1"], {"Equals": [1]}, False),
        ([1, 2], {"Equals": [1]}, False),
        ([1], {"Subset": [1, 2]}, False),
        ([1, 2], {"Subset": [1]}, False),
        ({"a": 1, "b": 2}, {"Subset": {"a": 1}}, True),
        ({"a": 1}, {"Subset": {"a": 1, "b": None}}, False),
        ({"1": [1]}, {"Equals": {1: (1,)}}, True),
        ("NaN", {"Equals": float("nan")}, True),
        ("not json", {"Equals": 1}, False),
        ("[" * 100_000, {"Equals": 1}, False),
        ("[" * 950 + "]" * 950, {"Equals": [[1]]}, False),
        ("[" * 950 + "]" * 950, {"Subset": [[]]}, False),
        ("a churn b", {"Contains": ["churn", "a"]}, True),
        ("a churn b", {"Contains": ["churn", "d"]}, False),
    ],
    ids=str,
)
def test_what_is_right(answer: Any, expected: dict[str, Any], right: bool) -> None:
    assert (wrong(answer, **expected) is None) is right


def test_a_difference_shows_what_differs_and_not_what_is_within_the_tolerance() -> None:
    found = wrong(
        {"model": "churn", "p": [0.1001, 0.9], "more": 1},
        Subset={"model": "churn", "p": [0.1, 0.2]},
        Tolerance=0.01,
    )
    assert found is not None
    changed = [line for line in found.difference if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert changed == ["-    0.2", "+    0.9"]


def test_a_difference_of_a_large_answer_is_found_fast_and_is_short() -> None:
    wanted = [[number, str(number) * 50] for number in range(20_000)]
    answer = [*wanted[:15_000], *[[-1, "x" * 1000]] * 5000]
    found = wrong(answer, Equals=wanted)
    assert found is not None
    lines = shortened(list(found.difference))
    assert len(lines) <= DIFFERENCE_LINES
    assert lines[-1] == "…"
    assert max(map(len, lines)) == LINE_CHARACTERS + 1
    assert {"-    15000,", "+    -1,"} <= set(lines)
    assert len(found.expected) <= 500


def test_answers_that_are_nested_deep_are_compared_as_texts() -> None:
    deep = "[" * 950 + "]" * 950
    assert is_same_answer(deep, deep, absolute=0, relative=0)
    assert not is_same_answer(deep, f" {deep[1:-1]}", absolute=0, relative=0)


def test_latency() -> None:
    assert wrong("", MaxLatencyMs=10, milliseconds=9.9) is None
    assert wrong("", MaxLatencyMs=10, milliseconds=None) is None
    found = wrong("", MaxLatencyMs=10, milliseconds=12.3)
    assert found == Wrong("an answer within 10 ms", found="after 12 ms")


def test_schemas_and_functions() -> None:
    found = wrong({"a": 1}, Schema={"type": "array"}, schema=lambda value, schema: "$ breaks 'type'")
    assert found == Wrong("JSON that fits the schema, but $ breaks 'type'")
    assert wrong("x", Schema={}) == Wrong("JSON that fits the schema, but it is not JSON")
    assert wrong({}, Schema={}) is None
    assert wrong("x", Check="a.b", function=lambda name: f"{name}: no") == Wrong(
        "an answer that a.b finds right", found="a.b: no", is_foreign=True
    )
    assert wrong("x", Check="a.b") is None


def test_the_first_thing_that_is_wrong_is_told() -> None:
    found = wrong("x", Contains=["y"], Equals=1, MaxLatencyMs=0.1)
    assert found == Wrong("a response that contains 'y'")
    assert wrong("x") is None

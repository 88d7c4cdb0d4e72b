"""Search expressions, as functions of records."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, strategies as st

from airflow_sm_hosting.local.sagemaker.search.expression import matches, values_of

START = datetime(2026, 1, 1, tzinfo=UTC)
TYPES = {
    "Name": "text",
    "Count": "number",
    "On": "boolean",
    "Time": "time",
    "Tags.a": "text",
    "List.Name": "text",
}

records = st.fixed_dictionaries(
    {},
    optional={
        "Name": st.sampled_from(["", "a", "ab", "b"]),
        "Count": st.integers(0, 12),
        "On": st.booleans(),
        "Time": st.integers(0, 5).map(lambda days: START + timedelta(days=days)),
        "Tags": st.sampled_from(["x", "y"]).map(lambda value: [{"Key": "a", "Value": value}]),
        "List": st.lists(st.fixed_dictionaries({"Name": st.sampled_from(["a", "b"])}), max_size=3),
    },
)
VALUES = {
    "text": st.sampled_from(["a", "ab", "b", "x"]),
    "number": st.integers(0, 12).map(str),
    "boolean": st.sampled_from(["true", "False"]),
    "time": st.integers(0, 5).map(lambda days: (START + timedelta(days=days)).isoformat()),
}
OPERATORS = {
    "text": ["Equals", "NotEquals", "Contains", "In"],
    "number": ["Equals", "NotEquals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"],
    "boolean": ["Equals", "NotEquals"],
    "time": ["Equals", "NotEquals", "GreaterThan", "GreaterThanOrEqualTo", "LessThan", "LessThanOrEqualTo"],
}
OPPOSITES = {
    "Equals": "NotEquals",
    "NotEquals": "Equals",
    "GreaterThan": "LessThanOrEqualTo",
    "LessThanOrEqualTo": "GreaterThan",
    "LessThan": "GreaterThanOrEqualTo",
    "GreaterThanOrEqualTo": "LessThan",
    "Exists": "NotExists",
    "NotExists": "Exists",
}


@st.composite
def filters(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(st.sampled_from(list(TYPES)))
    if draw(st.booleans()):
        return {"Name": name, "Operator": draw(st.sampled_from(["Exists", "NotExists"]))}
    kind = TYPES[name]
    return {"Name": name, "Operator": draw(st.sampled_from(OPERATORS[kind])), "Value": draw(VALUES[kind])}


expressions = st.recursive(
    st.builds(
        lambda some, operator: {"Filters": some, "Operator": operator},
        st.lists(filters(), min_size=1, max_size=3),
        st.sampled_from(["And", "Or"]),
    ),
    lambda inner: st.builds(
        lambda some, subs, operator: {"Filters": some, "SubExpressions": subs, "Operator": operator},
        st.lists(filters(), min_size=1, max_size=2),
        st.lists(inner, min_size=1, max_size=2),
        st.sampled_from(["And", "Or"]),
    ),
    max_leaves=4,
)


def holds(record: dict[str, Any], expression: dict[str, Any]) -> bool:
    return matches(record, expression, TYPES.get)


@given(records, expressions)
def test_an_expression_is_what_its_parts_are(record: dict[str, Any], expression: dict[str, Any]) -> None:
    parts = [holds(record, {"Filters": [one]}) for one in expression["Filters"]]
    parts += [holds(record, one) for one in expression.get("SubExpressions", ())]
    expected = any(parts) if expression["Operator"] == "Or" else all(parts)
    assert holds(record, expression) is expected
    # One that stands alone in another one is the same.
    assert holds(record, {"SubExpressions": [expression]}) is expected


@given(records, filters())
def test_the_opposite_of_a_filter_lets_the_others_through(
    record: dict[str, Any], one: dict[str, Any]
) -> None:
    opposite = OPPOSITES.get(one["Operator"])
    if opposite is None:
        return
    through = holds(record, {"Filters": [one]}), holds(record, {"Filters": [{**one, "Operator": opposite}]})
    count = len(values_of(record, one["Name"]))
    if count == 1 or "Exists" in one["Operator"]:
        assert through[0] is not through[1]
    elif count == 0:
        # What is absent has no value, and so none that is equal, greater or less.
        assert through == (one["Operator"] == "NotEquals", opposite == "NotEquals")


@given(records, st.integers(0, 12))
def test_numbers_are_compared_as_numbers(record: dict[str, Any], value: int) -> None:
    one = {"Name": "Count", "Operator": "GreaterThan", "Value": str(value)}
    assert holds(record, {"Filters": [one]}) is (record.get("Count", -1) > value)


@given(records, st.sampled_from(["a", "b", "a,b", " b , a", "c"]))
def test_in_is_one_of_the_texts(record: dict[str, Any], value: str) -> None:
    one = {"Name": "Name", "Operator": "In", "Value": value}
    choices = [choice.strip() for choice in value.split(",")]
    assert holds(record, {"Filters": [one]}) is (record.get("Name") in choices)

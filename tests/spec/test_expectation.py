"""Expected answers."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import Expectation
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.expectation import check_expectation, expectation


def test_an_expectation_holds_what_was_given() -> None:
    given = Expectation(contains="a", subset={"b": 1}, tolerance=0.1, check="a.b", max_latency_ms=5)
    assert {name: given[name] for name in given if name != "SmHostingReference"} == {
        "Contains": "a",
        "Subset": {"b": 1},
        "Tolerance": 0.1,
        "Check": "a.b",
        "MaxLatencyMs": 5,
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "Expectation: nothing is expected"),
        ({"equals": 1, "subset": 1}, "Expectation: equals and subset are both given"),
        ({"equals": 1, "tolerance": -1}, "Expectation: tolerance is -1; allowed: a number, 0 or more"),
        ({"equals": 1, "relative_tolerance": "x"}, "Expectation: relative_tolerance is 'x'"),
        ({"max_latency_ms": 0}, "Expectation: max_latency_ms is 0; allowed: a number, more than 0"),
        ({"contains": 1}, "Expectation: contains is 1; allowed: a string, or a list of strings"),
        ({"contains": []}, "Expectation: contains is"),
        ({"contains": ""}, "Expectation: contains is ''; .* none of them empty"),
        ({"contains": ["a", ""]}, "Expectation: contains is"),
        ({"contains": ["a", 1]}, "Expectation: contains is"),
        ({"schema": "object"}, "Expectation: schema is 'object'; allowed: a JSON schema"),
        ({"check": "is_churn"}, "Expectation: check is 'is_churn'; allowed: the dotted name"),
        ({"check": "my company.f"}, "Expectation: check is"),
    ],
    ids=str,
)
def test_what_can_never_work_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        Expectation(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"contains": "{{ x }}"},
        {"contains": ["{{ x }}", "a"]},
        {"check": "{{ x }}.is_churn"},
        {"schema": "{{ x }}"},
        {"schema": True},
        {"equals": 1, "tolerance": "{{ x }}"},
        {"max_latency_ms": "{{ x }}"},
        {"tolerance": 0.1},
    ],
    ids=str,
)
def test_what_is_rendered_later_passes(options: dict[str, Any]) -> None:
    assert Expectation(**options)


@pytest.mark.parametrize(
    ("given", "members"),
    [
        (None, {}),
        ("churn", {"Contains": ["churn"]}),
        ({"a": 1}, {"Equals": {"a": 1}}),
        ([1], {"Equals": [1]}),
        (0, {"Equals": 0}),
        (dict(Expectation(contains="a")), {"Contains": ["a"]}),
        (dict(Expectation(contains=["a", "b"])), {"Contains": ["a", "b"]}),
        (
            {**Expectation(equals=1), "Tolerance": " 0.5 ", "MaxLatencyMs": "20"},
            {"Equals": 1, "Tolerance": 0.5, "MaxLatencyMs": 20.0},
        ),
        ({**Expectation(equals=1), "Tolerance": "None", "Check": "", "Schema": None}, {"Equals": 1}),
        (dict(Expectation(tolerance=1)), {"Tolerance": 1.0}),
    ],
    ids=str,
)
def test_what_a_rendered_expectation_means(given: Any, members: dict[str, Any]) -> None:
    found = expectation("expect", given)
    assert {name: value for name, value in found.items() if name != "SmHostingReference"} == members


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Tolerance": "much"}, "expect: tolerance is 'much'"),
        ({"Check": "x"}, "expect: check is 'x'"),
        ({"Subset": 1}, "expect: equals and subset are both given"),
    ],
    ids=str,
)
def test_what_rendered_to_nonsense_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        expectation("expect", {**Expectation(equals=1), **change})


def test_a_tolerance_alone_is_for_rows_only() -> None:
    check_expectation("expect", Expectation(equals=1, tolerance=1))
    check_expectation("expect", {"Tolerance": 1})
    with pytest.raises(InvalidSpecError, match="expect has a tolerance, and nothing that it is for"):
        check_expectation("expect", Expectation(tolerance=1))


def test_a_text_that_jinja_made_of_nothing_is_no_expectation() -> None:
    with pytest.raises(InvalidSpecError, match="expect: contains is ''"):
        expectation("expect", {**Expectation(contains="{{ x }}"), "Contains": ""})

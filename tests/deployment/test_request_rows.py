"""Requests in the rows of a file."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.request_rows import MOST_ROWS, Row, rows
from airflow_sm_hosting.exceptions import InvalidSpecError


def of_json(*lines: str) -> list[Row]:
    return rows([f"{line}\n" for line in lines], "JSON Lines", "requests.jsonl")


def of_csv(text: str) -> list[Row]:
    return rows(io.StringIO(text, newline=""), "CSV", "requests.csv")


def test_json_lines() -> None:
    assert of_json('{"x": 1}', "", '{"body": [1], "expect": 2}', '"1,2"', '{"body": 1, "more": 2}') == [
        Row("row 1 of requests.jsonl", {"x": 1}),
        Row("row 3 of requests.jsonl", [1], 2),
        Row("row 4 of requests.jsonl", "1,2"),
        Row("row 5 of requests.jsonl", {"body": 1, "more": 2}),
    ]
    assert of_json('{"body": null}') == [Row("row 1 of requests.jsonl", None)]


def test_csv_without_and_with_expected_answers() -> None:
    assert of_csv('1,"a,b"\r\n\r\n2,c\r\n') == [
        Row("row 1 of requests.csv", '1,"a,b"'),
        Row("row 3 of requests.csv", "2,c"),
    ]
    assert of_csv('x,expect,y\n1,0.5,2\n3,,4\n5,"{""a"": 1}",6\n7,churn,8\n') == [
        Row("row 2 of requests.csv", "1,2", 0.5),
        Row("row 3 of requests.csv", "3,4"),
        Row("row 4 of requests.csv", "5,6", {"a": 1}),
        Row("row 5 of requests.csv", "7,8", "churn"),
    ]


def test_a_row_of_csv_over_several_lines_is_named_by_its_last() -> None:
    assert of_csv('"a\nb",1\n2,3\n') == [
        Row("row 2 of requests.csv", '"a\nb",1'),
        Row("row 3 of requests.csv", "2,3"),
    ]


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: of_json("{"), "row 1 of requests.jsonl is not JSON"),
        (lambda: of_json("1", "[" * 100_000), "row 2 of requests.jsonl is not JSON"),
        (lambda: of_json(), "requests.jsonl has no rows"),
        (lambda: of_csv(""), "requests.csv has no rows"),
        (lambda: of_csv("a,expect\n"), "requests.csv has no rows"),
        (lambda: of_csv("a,expect\n1\n"), "row 2 of requests.csv has 1 columns; allowed: 2"),
        (lambda: of_csv('a\n"b'), "row 2 of requests.csv is not CSV"),
        (lambda: of_json(*["1"] * (MOST_ROWS + 1)), f"has more than {MOST_ROWS} rows"),
    ],
)
def test_what_cannot_be_read_is_told_with_its_row(call: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        call()


def test_the_most_rows() -> None:
    assert len(of_json(*["1"] * MOST_ROWS)) == MOST_ROWS


FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\x00\r\n"))


@given(st.lists(st.lists(FIELD, min_size=2, max_size=2), min_size=1, max_size=5))
def test_a_row_of_csv_is_sent_with_the_fields_that_it_has(table: list[list[str]]) -> None:
    written = io.StringIO()
    csv.writer(written).writerows([["expect", "a", "b"], *([json.dumps(1), *fields] for fields in table)])
    found = of_csv(written.getvalue())
    assert [next(csv.reader([row.body])) for row in found] == table
    assert all(row.expect == 1 for row in found)

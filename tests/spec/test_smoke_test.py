"""What a newly deployed endpoint is asked."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import SmokeTest
from airflow_sm_hosting.exceptions import InvalidSpecError


def test_a_smoke_test_holds_what_was_given() -> None:
    test = SmokeTest(body={"x": 1}, target_variant="main", expect=[1])
    assert (test["Body"], test["ContentType"], test["TargetVariant"]) == (
        {"x": 1},
        "application/json",
        "main",
    )
    assert test["Expect"] == [1]
    assert "Accept" not in test
    assert "TargetVariant" not in SmokeTest(body="x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": None}, "SmokeTest: none of body, requests_file and input_location is given"),
        ({"body": b"x"}, "SmokeTest: body"),
        ({"body": "x", "target_variant": "no_name"}, "SmokeTest: target_variant"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        SmokeTest(**options)

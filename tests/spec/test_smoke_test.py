"""What a newly deployed endpoint is asked."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest

from airflow_sm_hosting import Expectation, SmokeTest
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.smoke_test import (
    KINDS,
    MEMBERS,
    OPERATIONS,
    REQUEST_MEMBERS,
    rendered_test,
    row_format,
)
from tests.botocore_versions import requires_botocore_1_44


def test_a_smoke_test_holds_what_was_given() -> None:
    test = SmokeTest(body={"x": 1}, target_variant="main", expect=[1])
    assert (test["Body"], test["ContentType"], test["TargetVariant"]) == (
        {"x": 1},
        "application/json",
        "main",
    )
    assert test["Expect"] == [1]
    assert "Accept" not in test
    assert "Kind" not in test
    assert "TargetVariant" not in SmokeTest(body="x")


def test_durations_and_paths_are_plain_json() -> None:
    test = SmokeTest(
        requests_file=Path("a") / "rows.csv", wait_for_capacity=timedelta(minutes=1), timeout=2.5
    )
    assert (test["RequestsFile"], test["WaitForCapacity"], test["Timeout"]) == ("a/rows.csv", 60.0, 2.5)


@requires_botocore_1_44
def test_every_member_of_the_three_operations_has_a_parameter() -> None:
    """But for the endpoint, which the task has, and the body."""
    model = botocore.session.get_session().get_service_model("sagemaker-runtime")
    for kind, operation in OPERATIONS.items():
        ours = {member for member, kinds in REQUEST_MEMBERS.values() if kind in kinds}
        theirs = set(model.operation_model(operation).input_shape.members) - {"EndpointName", "Body"}
        assert ours == theirs, kind


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"body": None}, "SmokeTest: none of body, requests_file and input_location is given"),
        ({"body": b"x"}, "SmokeTest: body"),
        ({"body": "x", "requests_file": "a.csv"}, "body and requests_file of body, requests_file and"),
        ({"body": "x", "target_variant": "no_name"}, "SmokeTest: target_variant"),
        ({"body": "x", "inference_component_name": "no_name"}, "SmokeTest: inference_component_name"),
        ({"body": "x", "target_model": " a"}, "SmokeTest: target_model is ' a'; allowed: 1 to 1024"),
        ({"body": "x", "custom_attributes": "ä"}, "SmokeTest: custom_attributes is 'ä'"),
        ({"body": "x", "inference_id": "a" * 65}, "SmokeTest: inference_id is"),
        ({"body": "x", "session": "a_b"}, "SmokeTest: session is 'a_b'; allowed: 'NEW_SESSION', or an id"),
        ({"body": "x", "enable_explanations": ""}, "SmokeTest: enable_explanations is ''"),
        ({"body": "x", "filename": "a.b.c"}, "SmokeTest: filename is 'a.b.c'"),
        ({"body": "x", "s3_output_path_extension": "s3://a"}, "SmokeTest: s3_output_path_extension"),
        ({"input_location": "/tmp/a"}, "SmokeTest: input_location is '/tmp/a'; allowed: the s3://"),
        ({"body": "x", "input_prefix": "bucket/key"}, "SmokeTest: input_prefix is 'bucket/key'"),
        ({"body": "x", "request_ttl_seconds": 59}, "SmokeTest: request_ttl_seconds is 59"),
        ({"body": "x", "invocation_timeout_seconds": 0}, "SmokeTest: invocation_timeout_seconds is 0"),
        ({"body": "x", "wait_for_capacity": -1}, "SmokeTest: wait_for_capacity is -1"),
        ({"body": "x", "timeout": timedelta(days=2)}, "SmokeTest: timeout is 172800 s"),
        ({"body": "x", "poll_interval": 0}, "SmokeTest: poll_interval is 0"),
        ({"body": "x", "kind": "async"}, "SmokeTest: kind is 'async'"),
        ({"requests_file": "rows.xlsx"}, "SmokeTest: requests_file is 'rows.xlsx'; allowed: .* .jsonl"),
        ({"requests_file": 3}, "SmokeTest: requests_file is 3"),
        ({"body": "x", "expect": Expectation(tolerance=1)}, "SmokeTest: expect has a tolerance"),
    ],
    ids=str,
)
def test_what_cannot_be_sent_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        SmokeTest(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "real-time", "filename": "a"}, "filename is given for a request of kind 'real-time'"),
        ({"kind": "real-time", "input_prefix": "s3://a/b"}, "input_prefix is given for a request of kind"),
        ({"kind": "streamed", "target_model": "a"}, "allowed: for 'real-time'"),
        ({"kind": "streamed", "enable_explanations": "`true`"}, "allowed: for 'real-time'"),
        ({"kind": "asynchronous", "target_variant": "a"}, "allowed: for 'real-time' and 'streamed'"),
        (
            {"filename": "a", "session": "b"},
            "filename and session are given: an asynchronous request has no session",
        ),
        ({"kind": "streamed", "session": "NEW_SESSION"}, "which a streamed request cannot open"),
        ({"kind": "asynchronous", "expect": Expectation(max_latency_ms=1)}, "expect has max_latency_ms"),
        ({"filename": "a", "expect": Expectation(max_latency_ms=1)}, "expect has max_latency_ms"),
    ],
    ids=str,
)
def test_parameters_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        SmokeTest(body="x", **options)


@pytest.mark.parametrize(
    "options",
    [
        *({"kind": kind} for kind in KINDS),
        {"kind": "{{ k }}", "filename": "a", "session": "b"},
        {"target_model": "a", "target_variant": "main", "session": "NEW_SESSION"},
        {"filename": "a", "input_prefix": "s3://bucket", "accept": "text/csv"},
        {"filename": "a", "expect": {"MaxLatencyMs": 1}},
        {"kind": "streamed", "session": "abc", "expect": Expectation(max_latency_ms=1)},
        {"input_prefix": "{{ p }}", "timeout": "{{ t }}", "request_ttl_seconds": "{{ s }}"},
    ],
    ids=str,
)
def test_parameters_that_go_together(options: dict[str, Any]) -> None:
    assert SmokeTest(body="x", **options)
    assert SmokeTest(requests_file="{{ path }}", **options)


@pytest.mark.parametrize(
    ("path", "found"),
    [("a.JSONL", "JSON Lines"), ("a.ndjson", "JSON Lines"), (Path("b.csv"), "CSV"), ("{{ x }}", "")],
)
def test_formats_of_files(path: Any, found: str) -> None:
    assert row_format("requests_file", path) == found


def test_a_rendered_test_has_its_types() -> None:
    given = {
        **SmokeTest(body="x", expect=Expectation(equals=1, tolerance="{{ t }}")),
        "InferenceId": 42,
        "RequestTTLSeconds": "600",
        "Timeout": "30",
        "TargetVariant": "",
        "Accept": "None",
    }
    given["Expect"] = {**given["Expect"], "Tolerance": "0.5"}
    found = rendered_test("smoke_test: ", given)
    expected = found.pop("Expect")
    assert (expected["Equals"], expected["Tolerance"]) == (1, 0.5)
    assert found == {
        "Body": "x",
        "ContentType": "application/json",
        "InferenceId": "42",
        "RequestTTLSeconds": 600,
        "Timeout": 30.0,
    }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Timeout": "soon"}, "smoke_test: timeout is 'soon'"),
        ({"RequestTTLSeconds": "1"}, "smoke_test: request_ttl_seconds is 1"),
        ({"TargetVariant": "a_b"}, "smoke_test: target_variant is 'a_b'"),
        ({"Kind": "streamed", "TargetModel": "a"}, "smoke_test: target_model is given for a request of kind"),
        ({"Body": None}, "smoke_test: none of body"),
        ({"Accept": ["a"]}, "smoke_test: accept is"),
    ],
    ids=str,
)
def test_a_rendered_test_is_checked_like_a_literal_one(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        rendered_test("smoke_test: ", {**SmokeTest(body="x"), **change})


def test_a_rendered_test_may_expect_nothing() -> None:
    assert "Expect" not in rendered_test("", SmokeTest(body="x"))


def test_members_are_those_of_the_constructor() -> None:
    import inspect

    assert set(inspect.signature(SmokeTest.__init__).parameters) - {"self"} == set(MEMBERS)

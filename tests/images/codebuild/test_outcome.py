"""The end of a build, in one text."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.images.codebuild.outcome import (
    failure,
    is_complete,
    is_successful,
    log_of,
    status_line,
)


def build(status: str, *phases: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "p:1",
        "buildStatus": status,
        "buildComplete": status != "IN_PROGRESS",
        "phases": list(phases),
    }


def phase(name: str, status: str, *contexts: tuple[str, str]) -> dict[str, Any]:
    found = [{"statusCode": code, "message": message} for code, message in contexts]
    return {"phaseType": name, "phaseStatus": status, "contexts": found}


FAILED = phase(
    "BUILD", "FAILED", ("COMMAND_EXECUTION_ERROR", "Error while executing command: a. Reason: exit status 1")
)


def test_a_failure_has_phase_context_and_the_last_lines() -> None:
    done = phase("PRE_BUILD", "SUCCEEDED", ("", ""))
    assert failure(build("FAILED", done, FAILED, {"phaseType": "COMPLETED"}), ["one", "two"]) == (
        "The build p:1 ended with FAILED: phase BUILD: COMMAND_EXECUTION_ERROR: Error while executing command: a. Reason: exit "
        "status 1\nThe last lines of the log:\none\ntwo"
    )


def test_without_contexts_and_lines_there_is_still_a_sentence() -> None:
    assert failure(build("FAILED"), []) == "The build p:1 ended with FAILED"
    assert failure({"id": "p:1", "buildStatus": "FAILED"}, []) == "The build p:1 ended with FAILED"
    assert (
        failure(build("FAILED", phase("BUILD", "FAILED", ("", ""))), []) == "The build p:1 ended with FAILED"
    )


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("FAULT", "CodeBuild itself failed"),
        ("TIMED_OUT", "longer than its timeout"),
        ("STOPPED", "somebody stopped it"),
    ],
)
def test_each_end_is_explained(status: str, words: str) -> None:
    assert words in failure(build(status), [])


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "FAULT", "TIMED_OUT", "STOPPED", "IN_PROGRESS"])
def test_every_status_is_known(status: str) -> None:
    assert is_complete(build(status)) is (status != "IN_PROGRESS")
    assert is_successful(build(status)) is (status == "SUCCEEDED")


def test_the_phase_is_shown_while_it_goes_on() -> None:
    assert status_line({"buildStatus": "IN_PROGRESS", "currentPhase": "BUILD"}) == "IN_PROGRESS (BUILD)"
    assert status_line({"buildStatus": "SUCCEEDED", "currentPhase": "COMPLETED"}) == "SUCCEEDED"
    assert status_line({}) == "IN_PROGRESS"


def test_a_build_has_a_log_when_it_has_one() -> None:
    assert log_of({}) is None
    assert log_of({"logs": {"deepLink": "…"}}) is None
    assert log_of({"logs": {"groupName": "g", "streamName": "s"}}) == ("g", "s")

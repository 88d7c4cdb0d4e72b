"""How far a deployment has come, as it travels with a deferred task."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.progress import ROLLBACK, VERSION, Progress, Stage
from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CheckAnswer,
    CreateEndpoint,
    DeleteEndpoint,
    DeleteTags,
    ObserveAgain,
    UpdateEndpoint,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitFor, WaitResult
from airflow_sm_hosting.spec.tags import DETACHING, PENDING_COUNT, ROLLOUT_ALARMS, tag_list
from tests.deployment.worlds import ARN, LATE, config_arn, progress

#: What is planned anew after each wait, from its result.
STAYS = {"stage", "result", "waited_for", "answer_failure", "answer_refused"}

NAMES = st.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,20}", fullmatch=True)
SECONDS = st.floats(0, 4e9, allow_nan=False)
TRAVELLING = st.builds(
    Progress,
    started_at=SECONDS,
    deadline=SECONDS,
    target=st.none() | NAMES,
    action=st.none() | st.sampled_from([*(str(action) for action in Action), ROLLBACK]),
    previous_endpoint_config_name=st.none() | NAMES,
    counts=st.dictionaries(NAMES, st.integers(0, 100), max_size=3),
    rolling_back=st.booleans(),
    unfinished=st.lists(NAMES, max_size=3).map(tuple),
    without_capacity=st.lists(NAMES, max_size=3).map(tuple),
    smoke_failure=st.none() | st.text(),
    updated_at=st.none() | st.integers(0, 2**32),
    restores_run=st.none() | st.just(LATE),
    waited_for_older=st.booleans(),
)
#: As version 0.1.0 wrote it, which names no version.
OF_0_1_0: dict[str, Any] = {
    "target": "churn-2",
    "action": "update",
    "previous_endpoint_config_name": "churn-1",
    "counts": {"main": 2},
    "rolling_back": False,
    "unfinished": ["sm-hosting:detaching"],
    "without_capacity": [],
    "smoke_failure": None,
}


def read(written: dict[str, Any]) -> Progress:
    return Progress.deserialize(written, started_at=1.0, deadline=2.0)


@given(travelling=TRAVELLING)
def test_it_arrives_as_it_was_sent(travelling: Progress) -> None:
    assert read(json.loads(json.dumps(travelling.serialize()))) == travelling


@given(travelling=TRAVELLING, stage=st.sampled_from(Stage), failure=st.text())
def test_what_belongs_to_one_wait_does_not_travel(travelling: Progress, stage: Stage, failure: str) -> None:
    result = WaitResult(str(Outcome.DEPLOYED), "told")
    here = replace(
        travelling, stage=stage, result=result, waited_for=WaitFor.DEPLOYED, answer_failure=failure
    )
    assert here.serialize() == travelling.serialize()
    assert read({**here.serialize(), "stage": "complete", "answer_failure": ""}) == travelling


def test_every_member_travels_or_stays() -> None:
    written = progress().serialize()
    assert written.pop("version") == VERSION
    assert set(written) == {member.name for member in fields(Progress)} - STAYS


def test_what_version_0_1_0_wrote_is_read() -> None:
    assert read(OF_0_1_0) == Progress(
        started_at=1.0,
        deadline=2.0,
        target="churn-2",
        action="update",
        previous_endpoint_config_name="churn-1",
        counts={"main": 2},
        unfinished=("sm-hosting:detaching",),
    )


@given(travelling=TRAVELLING, missing=st.sets(st.sampled_from(sorted(OF_0_1_0)) | st.just("version")))
def test_members_that_are_missing_or_not_known_do_no_harm(travelling: Progress, missing: set[str]) -> None:
    written = {name: value for name, value in travelling.serialize().items() if name not in missing}
    found = read({**written, "of a later version": {"a": 1}, "version": 99})
    for name in written:
        if name != "version":
            assert getattr(found, name) == getattr(travelling, name)
    for name in missing - {"version"}:
        assert getattr(found, name) == getattr(progress(), name)
    assert found.stage is Stage.DEPLOY


def test_collections_that_are_null_are_empty() -> None:
    found = read({"counts": None, "unfinished": None, "without_capacity": None})
    assert (dict(found.counts), found.unfinished, found.without_capacity) == ({}, (), ())
    assert (found.started_at, found.deadline) == (1.0, 2.0)


# What changes it.


@pytest.mark.parametrize("until", WaitFor)
@pytest.mark.parametrize("outcome", [outcome for outcome in Outcome if outcome is not Outcome.PENDING])
def test_what_is_planned_after_a_wait(until: WaitFor, outcome: Outcome) -> None:
    after = progress().after_wait(until, WaitResult(str(outcome), ""))
    if outcome is not Outcome.DEPLOYED:
        assert after.stage is Stage.RECOVER
    elif until in (WaitFor.SETTLED, WaitFor.GONE):
        assert after.stage is Stage.DEPLOY
    else:
        assert after.stage is Stage.COMPLETE
    assert after.waited_for is until


@pytest.mark.parametrize(
    ("before", "step", "changed"),
    [
        ({}, CreateEndpoint({}), {"action": "create"}),
        ({"action": "replace"}, CreateEndpoint({}), {}),
        ({}, UpdateEndpoint({}), {"action": "update", "updated_at": 7}),
        ({"rolling_back": True}, UpdateEndpoint({}), {"action": "rollback", "updated_at": 7}),
        (
            {"restores_run": LATE, "action": "overtaken", "rolling_back": True},
            UpdateEndpoint({}),
            {"updated_at": 7},
        ),
        ({}, DeleteEndpoint({}), {"action": "replace"}),
        ({}, ObserveAgain(), {}),
    ],
)
def test_what_a_step_does_to_it(before: dict[str, Any], step: Any, changed: dict[str, Any]) -> None:
    start = progress(**before)
    assert start.after_step(step, ARN, {"taken_at": 7}) == replace(start, **changed)


def test_tags_of_the_endpoint_tell_what_is_to_be_put_right_and_what_is() -> None:
    alarms, count = f"{ROLLOUT_ALARMS}b", f"{PENDING_COUNT}main"
    tags = {alarms: "made", DETACHING: "", count: "b:2", "sm-hosting:run-after": LATE}
    start = progress(counts={"main": 2, "dark": 1})

    written = start.after_step(AddTags({"ResourceArn": ARN, "Tags": tag_list(tags)}), ARN)
    elsewhere = start.after_step(AddTags({"ResourceArn": config_arn("b"), "Tags": tag_list(tags)}), ARN)
    done = written.after_step(DeleteTags({"ResourceArn": ARN, "TagKeys": [alarms, count]}), ARN)

    assert written.unfinished == (DETACHING, alarms)
    assert elsewhere == start
    assert (done.unfinished, done.counts) == ((DETACHING,), {"dark": 1})


@pytest.mark.parametrize("answer", [None, AnswerFailure("wrong"), AnswerFailure("refused", refused=True)])
def test_an_answer_that_is_right_is_told_from_one_that_was_not_asked_for(
    answer: AnswerFailure | None,
) -> None:
    assert progress().answer_failure is None
    after = progress().after_step(CheckAnswer("churn"), ARN, answer)
    assert (after.answer_failure, after.answer_refused) == (
        (answer.message, answer.refused) if answer else ("", False)
    )

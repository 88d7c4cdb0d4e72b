"""What a wait is for: it travels as plain JSON, and counts instances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting.deployment.status import instance_counts
from airflow_sm_hosting.deployment.verdict import after_look, judge
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult

CONFIG = "churn-new"


def look(counts: dict[str, int | None], status: str = "InService", live: str = CONFIG) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointStatus": status,
        "EndpointConfigName": live,
        "ProductionVariants": [
            {"VariantName": name, **({} if count is None else {"DesiredInstanceCount": count})}
            for name, count in counts.items()
        ],
    }


def counted(**counts: int) -> WaitCondition:
    return WaitCondition(WaitFor.COUNTED, "churn", CONFIG, instance_counts=counts)


@pytest.mark.parametrize(
    "condition",
    [
        WaitCondition(
            WaitFor.DEPLOYED, "churn", CONFIG, modified_before="2026-05-01T12:00:00+00:00", begun=True
        ),
        WaitCondition(WaitFor.IN_SERVICE, "churn"),
        WaitCondition(WaitFor.SETTLED, "churn"),
        counted(main=2, dark=0),
    ],
    ids=lambda condition: str(condition.until),
)
def test_a_wait_travels_as_plain_json(condition: WaitCondition) -> None:
    travelled = json.loads(json.dumps(condition.serialize()))
    assert WaitCondition.deserialize(travelled) == condition
    assert WaitCondition.deserialize(travelled).serialize() == travelled
    assert type(travelled["until"]) is str


@pytest.mark.parametrize("described", [{}, {"EndpointArn": "arn", "FailureReason": "no ping"}])
def test_a_result_travels_as_plain_json_and_may_be_of_a_later_version(described: dict[str, str]) -> None:
    result = WaitResult(str(Outcome.FAILED), "It is Failed.", described)
    travelled = json.loads(json.dumps(result.serialize()))
    assert travelled == {"outcome": "failed", "message": "It is Failed.", "described": described}
    assert WaitResult.deserialize({**travelled, "of a later version": 1}) == result


def test_a_wait_keeps_no_hold_on_what_it_was_given() -> None:
    counts = {"main": 2}
    serialized = WaitCondition(WaitFor.COUNTED, "churn", CONFIG, instance_counts=counts).serialize()
    serialized["instance_counts"]["main"] = 5
    assert counts == {"main": 2}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (look({"main": 2}), Outcome.DEPLOYED),
        (look({"main": 2, "other": 9}), Outcome.DEPLOYED),
        (look({"main": 1}), Outcome.PENDING),
        (look({"main": 0}), Outcome.PENDING),
        (look({"main": None}), Outcome.PENDING),
        (look({}), Outcome.PENDING),
        (look({"main": 2}, "Updating"), Outcome.PENDING),
        (look({"main": 2}, live="churn-old"), Outcome.ROLLED_BACK),  # another deployment has replaced it
        (look({"main": 2}, "Updating", live="churn-old"), Outcome.PENDING),
        (look({"main": 2}, "UpdateRollbackFailed"), Outcome.FAILED),
        (None, Outcome.PENDING),
    ],
    ids=range(11),
)
def test_instances_are_counted_on_the_config_that_was_asked_for(answer: Any, outcome: Outcome) -> None:
    assert judge(counted(main=2), answer).outcome is outcome


def test_all_counts_must_be_right() -> None:
    wait = counted(main=2, dark=1)
    assert judge(wait, look({"main": 2, "dark": 3})).outcome is Outcome.PENDING
    assert "dark" in judge(wait, look({"main": 2, "dark": 3})).message
    assert judge(wait, look({"main": 2, "dark": 1})).outcome is Outcome.DEPLOYED


def test_a_count_of_0_is_a_count() -> None:
    assert instance_counts(look({"main": 0, "serverless": None})) == {"main": 0}
    assert judge(counted(main=0), look({"main": 0})).outcome is Outcome.DEPLOYED
    assert instance_counts({"EndpointStatus": "Creating", "ProductionVariants": None}) == {}


def test_what_a_look_has_shown_is_not_forgotten() -> None:
    wait = WaitCondition(WaitFor.DEPLOYED, "churn", CONFIG, modified_before="2026-05-01T12:00:00+00:00")
    begun = after_look(wait, look({}, "Updating", "churn-old"))
    assert begun.begun
    assert not wait.begun
    assert after_look(begun, None).begun
    assert after_look(begun, look({}, live="churn-old")).begun

"""What a wait is for: it travels as plain JSON, and counts instances."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting.deployment.awaited import Awaited, Until, instance_counts
from airflow_sm_hosting.deployment.verdict import Outcome

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


def counted(**counts: int) -> Awaited:
    return Awaited(Until.COUNTED, "churn", CONFIG, instance_counts=counts)


@pytest.mark.parametrize(
    "awaited",
    [
        Awaited(Until.DEPLOYED, "churn", CONFIG, modified_before="2026-05-01T12:00:00+00:00", begun=True),
        Awaited(Until.IN_SERVICE, "churn"),
        Awaited(Until.SETTLED, "churn"),
        counted(main=2, dark=0),
    ],
    ids=lambda awaited: str(awaited.until),
)
def test_a_wait_travels_as_plain_json(awaited: Awaited) -> None:
    travelled = json.loads(json.dumps(awaited.serialize()))
    assert Awaited.deserialize(travelled) == awaited
    assert Awaited.deserialize(travelled).serialize() == travelled
    assert type(travelled["until"]) is str


def test_a_wait_keeps_no_hold_on_what_it_was_given() -> None:
    counts = {"main": 2}
    serialized = Awaited(Until.COUNTED, "churn", CONFIG, instance_counts=counts).serialize()
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
        (look({"main": 2}, live="churn-old"), Outcome.PENDING),
        (look({"main": 2}, "UpdateRollbackFailed"), Outcome.FAILED),
        (None, Outcome.PENDING),
    ],
    ids=range(10),
)
def test_instances_are_counted_on_the_config_that_was_asked_for(answer: Any, outcome: Outcome) -> None:
    assert counted(main=2).judge(answer).outcome is outcome


def test_all_counts_must_be_right() -> None:
    wait = counted(main=2, dark=1)
    assert wait.judge(look({"main": 2, "dark": 3})).outcome is Outcome.PENDING
    assert "dark" in wait.judge(look({"main": 2, "dark": 3})).message
    assert wait.judge(look({"main": 2, "dark": 1})).outcome is Outcome.DEPLOYED


def test_a_count_of_0_is_a_count() -> None:
    assert instance_counts(look({"main": 0, "serverless": None})) == {"main": 0}
    assert counted(main=0).judge(look({"main": 0})).outcome is Outcome.DEPLOYED
    assert instance_counts({"EndpointStatus": "Creating", "ProductionVariants": None}) == {}


def test_what_a_look_has_shown_is_not_forgotten() -> None:
    wait = Awaited(Until.DEPLOYED, "churn", CONFIG, modified_before="2026-05-01T12:00:00+00:00")
    begun = wait.after(look({}, "Updating", "churn-old"))
    assert begun.begun
    assert not wait.begun
    assert begun.after(None).begun
    assert begun.after(look({}, live="churn-old")).begun

"""What a person is told about a stage of a deployment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting import AllAtOnce, Canary, Linear, Rolling
from airflow_sm_hosting.deployment.rollout_stage import (
    duration,
    heartbeat_line,
    heartbeat_pause,
    rollout_stage,
    stage_line,
    summary_line,
    timings_text,
)
from tests.deployment.worlds import endpoint

BEGAN = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOW = BEGAN.timestamp() + 100

ALARMS = ["churn-latency"]
CANARY = Canary(size="10%", wait_interval=300, auto_rollback_alarms=ALARMS)


def baking(name: str, instances: int | None, of: int | None, part: str, seconds: int = 300) -> dict[str, Any]:
    on = f"{part} capacity" + (f" of {instances} instance(s)" if instances is not None else "")
    message = f"Baking for {seconds} seconds (WaitIntervalInSeconds) with traffic enabled on {on}."
    return variant(name, "Baking", instances, of, message)


def variant(
    name: str, phase: str, instances: int | None, of: int | None, message: str | None = None
) -> dict[str, Any]:
    status = {"Status": phase, "StartTime": BEGAN}
    return {
        "VariantName": name,
        "CurrentInstanceCount": instances or 0,
        **({} if of is None else {"DesiredInstanceCount": of}),
        "VariantStatus": [{**status, "StatusMessage": message} if message else status],
    }


def updating(rollout: Any, *variants: dict[str, Any], status: str = "Updating") -> Any:
    pending = {"EndpointConfigName": "churn-new", "ProductionVariants": list(variants)}
    last = {"LastDeploymentConfig": rollout} if rollout else {}
    return {**endpoint(status, "churn-old"), "PendingDeploymentSummary": pending, **last}


@pytest.mark.parametrize(
    ("described", "line"),
    [
        (
            updating(CANARY, baking("main", 2, 20, "canary")),
            "canary 1 of 2: 10 % of traffic on churn-new (2 of 20 instances), baking, 3 m 20 s left, alarm churn-latency OK",
        ),
        (
            updating(CANARY, baking("main", 20, 20, "full", 150)),
            "canary 2 of 2: 100 % of traffic on churn-new (20 of 20 instances), baking, 50 s left, alarm churn-latency OK",
        ),
        (
            updating(CANARY, variant("main", "Creating", 0, 20)),
            "starting: 0 of 20 instances of churn-new in service, churn-old serves",
        ),
        (
            updating(CANARY, variant("main", "ActivatingTraffic", 2, 20)),
            "turning on traffic: churn-new (2 of 20 instances)",
        ),
        (
            updating(Linear(step_size=2, wait_interval=60), baking("main", 4, 5, "linear", 60)),
            "linear step 2 of 3: 80 % of traffic on churn-new (4 of 5 instances), baking, 0 s left",
        ),
        (
            updating(Rolling(maximum_batch_size="25%", wait_interval=60), baking("main", 3, 4, "rolling", 200)),
            "rolling batch 3 of 4: 75 % of traffic on churn-new (3 of 4 instances), baking, 1 m 40 s left",
        ),
        (
            updating(Rolling(maximum_batch_size=1, wait_interval=60), variant("main", "Creating", 1, 2)),
            "next batch: 1 of 2 instances of churn-new in service, churn-old serves",
        ),
        (
            updating(AllAtOnce(termination_wait=120), baking("main", 2, 2, "full", 120)),
            "all at once: 100 % of traffic on churn-new (2 of 2 instances), baking, 20 s left",
        ),
        # AWS has its own words for a bake, or none.
        (
            updating(CANARY, variant("main", "Baking", 2, 20, "Watching alarms.")),
            "canary 1 of 2: 10 % of traffic on churn-new (2 of 20 instances), baking, alarm churn-latency OK",
        ),
        # The variant that is furthest behind is the stage of all.
        (
            updating(CANARY, baking("a", 1, 2, "canary"), variant("b", "Creating", 0, 2)),
            "starting: 1 of 4 instances of churn-new in service, churn-old serves",
        ),
        (
            updating(CANARY, baking("a", 1, 2, "canary"), baking("b", 1, 8, "canary")),
            "canary 1 of 2: 20 % of traffic on churn-new (2 of 10 instances), baking, 3 m 20 s left, alarm churn-latency OK",
        ),
        (
            updating(None, variant("main", "Creating", None, None)),
            "starting: churn-new is prepared, churn-old serves",
        ),
        (
            updating(CANARY, variant("main", "Deleting", 0, 20), status="RollingBack"),
            "rolling back: traffic returns to churn-old",
        ),
        (
            endpoint("Creating", "churn-old", ProductionVariants=[variant("main", "Creating", 1, 2)]),
            "creating: 1 of 2 instances of churn-old in service",
        ),
        (endpoint("Creating", "churn-old"), "creating: churn-old is prepared"),
        (
            endpoint("Updating", "churn-old", ProductionVariants=[variant("main", "Updating", 1, 3)]),
            "updating: 1 of 3 instances of churn-old in service",
        ),
        (endpoint("SystemUpdating", "churn-old"), "system updating: churn-old"),
        (endpoint("Deleting", "churn-old"), "deleting: the instances of churn-old end"),
        (
            endpoint("Deleting", "churn-old", ProductionVariants=[variant("main", "Deleting", 1, 3)]),
            "deleting: 1 of 3 instances of churn-old left",
        ),
    ],
    ids=range(19),
)  # fmt: skip
def test_a_stage_is_told_in_one_line(described: Any, line: str) -> None:
    stage = rollout_stage(described)
    assert stage is not None
    assert stage_line(stage, NOW, {"churn-latency": "OK"}) == line


@pytest.mark.parametrize("described", [None, endpoint("InService", "a"), endpoint("Failed", "a")])
def test_an_endpoint_without_a_change_in_progress_has_no_stage(described: Any) -> None:
    assert rollout_stage(described) is None


def test_a_rollback_names_the_alarm_that_is_on() -> None:
    rollout = Canary(size=1, wait_interval=300, auto_rollback_alarms=["a", "b"])
    stage = rollout_stage(updating(rollout, variant("main", "Deleting", 0, 2), status="RollingBack"))
    assert stage is not None
    assert stage_line(stage, NOW, {"a": "OK", "b": "ALARM"}) == (
        "rolling back: traffic returns to churn-old, alarm b ALARM"
    )


def test_alarms_are_named_without_a_state_that_is_not_known_and_many_are_counted() -> None:
    rollout = Canary(size=1, wait_interval=300, auto_rollback_alarms=["a", "b", "c", "d"])
    stage = rollout_stage(updating(rollout, baking("main", 1, 2, "canary")))
    assert stage is not None
    told = stage_line(stage, NOW, {"a": "OK", "b": "ALARM", "c": "OK"})
    assert told.endswith("left, alarm b ALARM, alarm d, 2 alarms OK")


def test_the_rollout_of_the_update_is_used_where_the_description_has_none() -> None:
    stage = rollout_stage(updating(None, baking("main", 1, 2, "canary")), CANARY)
    assert stage is not None
    assert (stage.name, stage.alarms) == ("canary 1 of 2", ("churn-latency",))


def test_a_bake_ends_at_a_known_time_and_its_rest_is_never_longer_than_the_bake() -> None:
    stage = rollout_stage(updating(CANARY, baking("main", 2, 20, "canary")))
    assert stage is not None
    assert stage.ends_at == BEGAN.timestamp() + 300
    left = [stage.seconds_left(BEGAN.timestamp() + after) for after in (-50, 0, 299, 400)]
    assert left == [300, 300, 1, 0]


def test_more_instances_are_not_another_stage() -> None:
    one, two, other = (
        rollout_stage(updating(CANARY, variant("main", phase, count, 4)))
        for phase, count in (("Creating", 0), ("Creating", 2), ("ActivatingTraffic", 2))
    )
    assert one is not None
    assert one.is_same(two)
    assert not one.is_same(other)
    assert not one.is_same(None)


def test_a_heartbeat_tells_how_long_it_has_taken_and_when_it_gives_up() -> None:
    stage = rollout_stage(updating(CANARY, variant("main", "Creating", 0, 20)))
    assert stage is not None
    line = heartbeat_line(stage, NOW, elapsed=65, left=3700)
    assert line.endswith("churn-old serves; 1 m 5 s so far, time-out in 1 h 1 m")
    assert heartbeat_line(stage, NOW, elapsed=65, left=float("inf")).endswith("; 1 m 5 s so far")
    assert [heartbeat_pause(told) for told in (0, 1, 2, 3, 1000)] == [60, 120, 240, 300, 300]


def test_timings_of_one_name_are_added_up() -> None:
    timings = [("starting", 60.0), ("canary 1 of 2", 30.0), ("starting", 5.0)]
    assert timings_text(timings) == "starting 1 m 5 s, canary 1 of 2 30 s"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0 s"), (59.4, "59 s"), (59.6, "1 m 0 s"), (200, "3 m 20 s"), (3600, "1 h 0 m"), (7500, "2 h 5 m")],
)
def test_durations_are_read_at_a_glance(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_a_summary_has_the_timings_of_the_stages() -> None:
    told = summary_line("Done.", 75, [("starting", 60.0), ["baking", 15.0]])
    assert told == "Done. It took 1 m 15 s: starting 1 m 0 s, baking 15 s."
    assert summary_line("Done.", 3, []) == "Done. It took 3 s."

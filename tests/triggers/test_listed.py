"""A row of ListEndpoints: it never hides an end, and no failure is told from what is older than it."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.deployer import waiting as waiting_module
from airflow_sm_hosting.deployer.waiting import EndpointWait, PollingWait
from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.deployment.verdict import after_look, judge
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor

LAG = evidence.READS_LAG
T0 = datetime(2026, 1, 1, tzinfo=UTC)
STATUSES = (
    *(
        "OutOfService",
        "Creating",
        "Updating",
        "SystemUpdating",
        "RollingBack",
        "InService",
        "Deleting",
        "Failed",
    ),
    *("UpdateRollbackFailed", "SomethingNew"),
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def waiting(
    until: WaitFor = WaitFor.DEPLOYED,
    *,
    log_status: Any = lambda line: None,
    seconds: float = 100,
    **awaited: Any,
) -> EndpointWait:
    now = time.time()
    full = {"endpoint_config_name": "new", **awaited}
    return EndpointWait(
        WaitCondition(until, "churn", **full), deadline=now + seconds, started_at=now, log_status=log_status
    )


def described(status: str, config: str = "old", changed: datetime = T0, **more: Any) -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": config, "LastModifiedTime": changed, **more}


def row(status: str, changed: datetime = T0) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointArn": "arn",
        "CreationTime": T0,
        "EndpointStatus": status,
        "LastModifiedTime": changed,
    }


def descriptions_of(status: str, changed: datetime) -> list[dict[str, Any]]:
    """Return every description that such a row can stand for."""
    pending = [{}, {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}]
    reasons = [{}, {"FailureReason": "why"}]
    counts = [{}, {"ProductionVariants": [{"VariantName": "main", "DesiredInstanceCount": 1}]}]
    return [
        described(status, config, changed, **one, **two, **three)
        for config, one, two, three in itertools.product(("old", "new"), pending, reasons, counts)
    ]


CASES = [
    (until, status, changed, before, begun)
    for until, status, changed, before, begun in itertools.product(
        WaitFor, STATUSES, (at(0), at(60)), (None, T0.isoformat(), at(30).isoformat()), (False, True)
    )
]


def test_where_a_row_asks_for_no_description_none_would_have_ended_the_wait() -> None:
    asked = 0
    for until, status, changed, before, begun in CASES:
        awaited = {"modified_before": before, "begun": begun, "instance_counts": {"main": 2}}
        if waiting(until, **awaited).observe_row(row(status, changed)):
            asked += 1
            continue
        for description in descriptions_of(status, changed):
            condition = WaitCondition(until, "churn", "new", **awaited)
            judged = judge(after_look(condition, description), description)
            assert judged.outcome is Outcome.PENDING, (until, status, description)
    assert 0 < asked < len(CASES)


@pytest.mark.parametrize("until", sorted(set(WaitFor) - {WaitFor.GONE}))
@pytest.mark.parametrize("status", ["InService", "Failed", "OutOfService", "UpdateRollbackFailed"])
def test_a_settled_row_asks_for_a_description(until: WaitFor, status: str) -> None:
    assert waiting(until).observe_row(row(status))


def test_a_deletion_that_nobody_waits_for_asks_for_a_description() -> None:
    assert waiting(WaitFor.DEPLOYED).observe_row(row("Deleting"))
    assert not waiting(WaitFor.GONE).observe_row(row("Deleting"))


@pytest.mark.parametrize("until", list(WaitFor))
def test_an_endpoint_that_is_not_listed_asks_for_a_description(until: WaitFor) -> None:
    assert waiting(until).observe_row(None)


@pytest.mark.parametrize("status", STATUSES)
def test_a_listed_endpoint_is_not_gone(status: str) -> None:
    assert not waiting(WaitFor.GONE).observe_row(row(status))


# Beginning.

BEFORE = {"modified_before": T0.isoformat()}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of the clock that never goes back; reads lag as long as they may."""
    now = [1000.0]
    monkeypatch.setattr(waiting_module.time, "monotonic", lambda: now[0])  # type: ignore[attr-defined]
    monkeypatch.setattr(evidence, "READS_LAG", LAG)
    return now


def rolled_back(wait: EndpointWait, changed: datetime = T0) -> bool:
    sighting = wait.observe(described("InService", "old", changed))
    assert sighting is None or sighting.outcome == "rolled_back"
    return sighting is not None


def test_a_deployment_is_seen_to_begin_in_a_row(clock: list[float]) -> None:
    """Deleted before it was ever described: that is a failure, not an endpoint that is not visible yet."""
    one = waiting()
    assert not one.observe_row(row("Creating"))
    assert one.observe_row(None)
    assert one.observe(None) is None
    clock[0] += LAG + 1
    sighting = one.observe(None)
    assert sighting is not None
    assert (sighting.outcome, sighting.message) == (
        "failed",
        "Endpoint churn is gone: it was deleted while new was being deployed.",
    )
    assert waiting().observe(None) is None


@pytest.mark.parametrize(
    ("listed", "begun"),
    [
        (row("Updating", at(5)), True),
        (row("Updating", at(0)), True),  # should AWS not count a change of status as a modification
        (row("InService", at(5)), True),
        (row("InService", at(0)), False),
        # The list lags, and shows how an earlier deployment went.
        (row("Updating", at(-60)), False),
        (row("InService", at(-60)), False),
        (row("RollingBack", at(-1)), False),
    ],
)
def test_only_a_row_of_this_deployment_shows_that_it_began(
    clock: list[float], listed: dict[str, Any], begun: bool
) -> None:
    one = waiting(**BEFORE)
    one.observe_row(listed)
    assert not rolled_back(one)
    clock[0] += LAG + 1
    assert rolled_back(one) is begun


def test_a_stale_row_does_not_undo_what_was_seen() -> None:
    one = waiting(**BEFORE)
    assert one.observe(described("Updating", "old", at(5))) is None
    assert one.observe_row(row("InService", at(0)))
    assert rolled_back(one, at(90))


# Descriptions that are older than a row.


def test_no_failure_is_told_from_a_description_that_is_older_than_a_row() -> None:
    lines: list[str] = []
    one = waiting(log_status=lines.append, **BEFORE)
    assert not one.observe_row(row("Updating", at(5)))
    assert one.observe_row(row("InService", at(60)))
    assert not rolled_back(one, at(0)), "the description is the one from before the update"
    assert "polling again" in lines[-1]
    assert rolled_back(one, at(60))


def test_an_endpoint_that_is_not_found_is_gone_when_all_answers_say_so_for_long(clock: list[float]) -> None:
    one = waiting()
    one.observe_row(row("Creating"))
    for seconds in (0, LAG - 1, LAG - 1):
        clock[0] += seconds
        assert one.observe(None) is None
        assert one.observe(described("Creating", "new")) is None
    assert one.observe(None) is None
    clock[0] += LAG
    assert one.observe(None) is None
    clock[0] += 1
    sighting = one.observe(None)
    assert sighting is not None
    assert sighting.outcome == "failed"


def test_success_needs_no_second_description() -> None:
    one = waiting(**BEFORE)
    one.observe_row(row("InService", at(60)))
    sighting = one.observe(described("InService", "new", at(59)))
    assert sighting is not None
    assert sighting.outcome == "deployed"


def test_clocks_that_never_agree_do_not_hold_a_failure_back_for_ever(clock: list[float]) -> None:
    one = waiting(**BEFORE)
    for _ in range(9):
        one.observe_row(row("InService", at(60.5)))
        assert not rolled_back(one, at(60))
        clock[0] += LAG / 9
    clock[0] += 1
    one.observe_row(row("InService", at(60.5)))
    assert rolled_back(one, at(60))


# Descriptions that are older than another one.


@pytest.mark.parametrize("status", ["InService", "Failed", "OutOfService"])
def test_no_failure_is_told_from_a_description_as_it_was_before_the_update_had_begun(
    clock: list[float], status: str
) -> None:
    """One lags behind another that has shown the update going on; the next one tells the truth."""
    one = waiting(**BEFORE)
    assert one.observe(described("Updating", "old", at(5))) is None
    for _ in range(4):
        assert one.observe(described(status, "old", at(0))) is None
        clock[0] += LAG - 1
        assert one.observe(described("Updating", "old", at(5))) is None
    sighting = one.observe(described("InService", "new", at(60)))
    assert sighting is not None
    assert sighting.outcome == "deployed"


def test_an_endpoint_that_stays_as_it_was_before_was_rolled_back(clock: list[float]) -> None:
    """Should AWS not count a rollback as a modification."""
    one = waiting(**BEFORE)
    assert one.observe(described("RollingBack", "old", at(0))) is None
    assert not rolled_back(one, at(0))
    clock[0] += LAG + 1
    assert rolled_back(one, at(0))


@pytest.mark.parametrize(
    "status", ["InService", "Failed", "OutOfService", "Deleting", "UpdateRollbackFailed"]
)
def test_a_joined_deployment_has_no_end_from_before_it_was_joined(clock: list[float], status: str) -> None:
    """An earlier deployment of the same config may have ended in this way a moment ago."""
    one = waiting(begun=True, not_before=at(5).isoformat())
    assert one.observe(described(status, "old", at(4))) is None
    assert one.observe(described("InService", "new", at(4))) is None
    assert one.observe(described("Updating", "old", at(5))) is None
    assert one.observe(described(status, "old", at(4))) is None
    sighting = one.observe(described(status, "old", at(60)))
    assert sighting is not None
    assert sighting.outcome == ("rolled_back" if status == "InService" else "failed")


@pytest.mark.parametrize("until", [WaitFor.DEPLOYED, WaitFor.IN_SERVICE])
def test_a_failure_without_a_known_beginning_is_proven_by_answers_that_agree(
    clock: list[float], until: WaitFor
) -> None:
    """As after an upgrade, whose conditions know no beginning; and for the sensor, which has begun nothing."""
    one = waiting(until, begun=True)
    for _ in range(3):
        assert one.observe(described("Failed", "new", at(60))) is None
        clock[0] += LAG - 1
        assert one.observe(described("Failed", "new", at(60))) is None
        assert one.observe(described("Updating", "new", at(30))) is None
    assert one.observe(described("Failed", "new", at(60))) is None
    clock[0] += LAG + 1
    sighting = one.observe(described("Failed", "new", at(60)))
    assert sighting is not None
    assert sighting.outcome == "failed"


def test_a_failure_that_is_not_proven_at_the_deadline_is_a_timeout() -> None:
    one = waiting(seconds=-1, **BEFORE)
    one.observe_row(row("InService", at(60)))
    sighting = one.observe(described("InService", "old", at(59)))
    assert sighting is not None
    assert sighting.outcome == "timed_out"


# The sensor's waits.


def test_an_endpoint_on_another_config_is_described_again_only_when_it_changed() -> None:
    one = waiting(WaitFor.IN_SERVICE)
    assert one.observe_row(row("InService", at(0)))
    assert one.observe(described("InService", "old", at(0))) is None
    assert [one.observe_row(row("InService", at(0))) for _ in range(3)] == [False] * 3
    assert not one.observe_row(row("Updating", at(5)))
    assert one.observe_row(row("InService", at(60)))


def test_an_endpoint_that_does_not_exist_is_described_again_only_when_it_does() -> None:
    one = waiting(WaitFor.IN_SERVICE)
    assert one.observe_row(None)
    assert one.observe(None) is None
    assert not one.observe_row(None)
    assert one.observe_row(row("InService"))


def test_a_deployment_that_is_still_pending_is_described_again() -> None:
    """Status and pending deployment need not change at one moment."""
    one = waiting(WaitFor.IN_SERVICE)
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}
    assert one.observe(described("InService", "new", at(0), **pending)) is None
    assert one.observe_row(row("InService", at(0)))


def test_who_waits_for_a_deployment_asks_again_each_time() -> None:
    one = waiting(**BEFORE)
    for _ in range(3):
        assert one.observe_row(row("InService", at(0)))
        assert one.observe(described("InService", "old", at(0))) is None


# Telling.


def test_rows_tell_a_status_once_and_a_change_is_described_for_its_stage() -> None:
    lines: list[str] = []
    one = waiting(log_status=lines.append)
    assert not one.observe_row(row("Creating"))
    assert not one.observe_row(row("Creating"))
    one.observe(described("Creating", "new"))
    assert not one.observe_row(row("Creating"))
    assert one.observe_row(row("Updating", at(5)))
    one.observe(described("Updating", "new", at(5)))
    assert not one.observe_row(row("Updating", at(5)))
    assert lines == [
        "Endpoint churn: Creating",
        "creating: new is prepared",
        "updating: new is prepared",
    ]


def test_the_first_row_of_a_rollout_with_stages_asks_for_a_description() -> None:
    one = waiting(rollout={"BlueGreenUpdatePolicy": {}}, **BEFORE)
    assert one.observe_row(row("Updating", at(5)))
    one.observe(described("Updating", "old", at(5)))
    assert not one.observe_row(row("Updating", at(5)))
    assert not one.observe_row(row("InService", at(5))) or one.observe(described("InService", "new", at(9)))


def test_a_row_that_is_older_than_a_description_asks_for_no_other_one() -> None:
    one = waiting(rollout={"BlueGreenUpdatePolicy": {}}, **BEFORE)
    one.observe(described("RollingBack", "old", at(50)))
    assert not one.observe_row(row("Updating", at(5)))
    assert not one.observe_row(row("RollingBack", at(50)))


def test_heartbeats_come_at_growing_pauses_with_what_was_seen_last(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    now = [1000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    one = waiting(log_status=lines.append, seconds=7200)
    one.observe(described("Creating", "new"))
    for _ in range(100):
        now[0] += 10
        one.observe_row(row("Creating"))
    assert lines == [
        "creating: new is prepared",
        "creating: new is prepared; 1 m 0 s so far, time-out in 1 h 59 m",
        "creating: new is prepared; 3 m 0 s so far, time-out in 1 h 57 m",
        "creating: new is prepared; 7 m 0 s so far, time-out in 1 h 53 m",
        "creating: new is prepared; 12 m 0 s so far, time-out in 1 h 48 m",
    ]


def test_each_stage_is_reported_once_and_the_result_has_their_timings(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [at(0).timestamp()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    stages: list[str] = []
    condition = WaitCondition(WaitFor.DEPLOYED, "churn", "new", begun=True)
    one = EndpointWait(
        condition,
        deadline=now[0] + 900,
        started_at=now[0],
        log_status=stages.append,
    )
    for phase, began in (("Creating", 10), ("Creating", 10), ("Baking", 60), ("Baking", 60)):
        now[0] = at(began + 5).timestamp()
        state = {"Status": phase, "StartTime": at(began)}
        variant = {"VariantName": "main", "VariantStatus": [state]}
        pending = {"EndpointConfigName": "new", "ProductionVariants": [variant]}
        assert one.observe(described("Updating", PendingDeploymentSummary=pending)) is None
    now[0] = at(100).timestamp()
    result = one.observe(described("InService", "new", at(90)))
    assert result is not None
    assert [line.partition(":")[0] for line in stages] == ["starting", "all at once"]
    assert result.timings == (("starting", 50.0), ("all at once", 40.0))


def updating(phase: str, began: float) -> dict[str, Any]:
    status = {"Status": phase, "StartTime": at(began)}
    variant = {"VariantName": "main", "VariantStatus": [status]}
    pending = {"EndpointConfigName": "new", "ProductionVariants": [variant]}
    return described("Updating", PendingDeploymentSummary=pending)


def test_neither_a_failed_call_nor_an_answer_that_lags_has_a_stage_told_again() -> None:
    lines: list[str] = []
    one = waiting(log_status=lines.append, **BEFORE)
    throttled = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "DescribeEndpoint")
    for _ in range(3):
        one.observe(updating("Creating", 10))
        one.fail_to_observe(throttled)
    for _ in range(3):
        one.observe(updating("Baking", 60))
        one.observe(updating("Creating", 10))
    assert [line.partition(":")[0] for line in lines] == ["starting", "Endpoint churn", "all at once"]


def test_the_end_of_a_bake_hurries_one_look_and_none_after_a_failed_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = [at(0).timestamp()]
    monkeypatch.setattr(time, "time", lambda: now[0])
    condition = WaitCondition(WaitFor.DEPLOYED, "churn", "new", begun=True)
    one = PollingWait(None, condition, deadline=now[0] + 900, started_at=now[0], log_status=lambda line: None)
    baking = updating("Baking", 0)
    message = "Baking for 100 seconds (WaitIntervalInSeconds) with traffic enabled on full capacity of 1 instance(s)."
    baking["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["StatusMessage"] = message
    now[0] += 90
    one.observe(baking)
    assert one.pause(30) == 15
    now[0] += 15
    one.observe(baking)
    assert one.pause(30) == 15, "the bake lasts longer than AWS said"
    now[0] += 15
    one.fail_to_observe(
        ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow"}}, "DescribeEndpoint")
    )
    assert one.pause(30) == 30

"""What answers prove: reads may lag, and come in another order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting.deployment.evidence import READS_LAG, Evidence, latest
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor

T0 = datetime(2026, 11, 1, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def shown(changed: float, status: str = "InService", config: str = "b") -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": config, "LastModifiedTime": at(changed)}


def condition(until: WaitFor = WaitFor.DEPLOYED, **members: Any) -> WaitCondition:
    return WaitCondition(until, "churn", "b", **members)


OWN = {"modified_before": T0.isoformat(), "not_before": at(10).isoformat()}


@pytest.mark.parametrize(
    ("members", "outcome", "described", "is_proven"),
    [
        # Newer than the task's own call.
        (OWN, Outcome.FAILED, shown(10), True),
        (OWN, Outcome.DEPLOYED, shown(10), True),
        (OWN, Outcome.ROLLED_BACK, shown(9), False),
        (OWN, Outcome.DEPLOYED, shown(9), False),
        (OWN, Outcome.FAILED, shown(0), False),
        ({"modified_before": T0.isoformat()}, Outcome.FAILED, shown(0), False),
        ({"modified_before": T0.isoformat()}, Outcome.FAILED, shown(1), True),
        # As conditions of 0.1.0 say it: a success needs no proof.
        ({"modified_before": T0.isoformat()}, Outcome.DEPLOYED, shown(0), True),
        ({}, Outcome.FAILED, shown(99), False),
        ({}, Outcome.DEPLOYED, shown(0), True),
        (OWN, Outcome.FAILED, None, False),
        (OWN, Outcome.FAILED, {"EndpointStatus": "Failed"}, False),
        (OWN, Outcome.PENDING, shown(0), True),
    ],
)
def test_a_single_answer(members: Any, outcome: Outcome, described: Any, is_proven: bool) -> None:
    found = Evidence().after(described, 5.0)
    assert found.proves(condition(**members), outcome, described, 5.0) is is_proven


def test_answers_that_agree_for_longer_than_reads_lag_are_the_present_state() -> None:
    found, failed = Evidence(), condition(**OWN)
    for now in (0.0, READS_LAG / 2, READS_LAG):
        found = found.after(None, now)
        assert not found.proves(failed, Outcome.FAILED, None, now)
    assert found.after(None, READS_LAG + 1).proves(failed, Outcome.FAILED, None, READS_LAG + 1)
    # Another answer between them, and they begin again.
    found = found.after(shown(5), READS_LAG + 2).after(None, READS_LAG + 3)
    assert not found.proves(failed, Outcome.FAILED, None, 2 * READS_LAG)


def test_an_answer_that_is_older_than_another_is_outdated() -> None:
    found = Evidence().after(shown(20, "Updating"), 0.0)
    assert not found.is_outdated(shown(20, "Updating"), 0.0)
    assert not found.after(shown(21), 1.0).is_outdated(shown(21), 1.0)
    assert found.after(shown(19), 1.0).is_outdated(shown(19), 1.0)
    assert found.after(None, 1.0).is_outdated(None, 1.0)
    assert not found.after({"EndpointStatus": "Failed"}, 1.0).is_outdated({"EndpointStatus": "Failed"}, 1.0)
    assert not Evidence().after(None, 0.0).is_outdated(None, 0.0)
    assert not found.after(shown(19), 1.0).proves(condition(**OWN), Outcome.FAILED, shown(19), 1.0)
    agreed = found.after(shown(19), 1.0).after(shown(19), READS_LAG + 2)
    assert not agreed.is_outdated(shown(19), READS_LAG + 2)


def test_a_list_tells_the_latest_change_too() -> None:
    found = Evidence().with_newer(at(30)).with_newer(at(20))
    assert found.newest == at(30)
    assert found.after(shown(29), 0.0).is_outdated(shown(29), 0.0)
    assert latest(None, None) is None


def updating(changed: float, config: str = "b") -> dict[str, Any]:
    return {**shown(changed, "Updating", "a"), "PendingDeploymentSummary": {"EndpointConfigName": config}}


@pytest.mark.parametrize(
    ("pending", "described", "outcome", "members", "is_proven"),
    [
        (updating(1), shown(2), Outcome.DEPLOYED, OWN, True),
        (updating(1, "B"), shown(2), Outcome.DEPLOYED, OWN, True),
        (updating(1), shown(1), Outcome.DEPLOYED, OWN, False),
        (updating(0), shown(2), Outcome.DEPLOYED, OWN, False),
        (updating(1, "c"), shown(2), Outcome.DEPLOYED, OWN, False),
        (shown(1, "Updating", "a"), shown(2), Outcome.DEPLOYED, OWN, False),
        # A failure may be that of an earlier update to the same config.
        (updating(1), shown(2, config="a"), Outcome.ROLLED_BACK, OWN, False),
        (updating(1), shown(2), Outcome.DEPLOYED, {"not_before": at(10).isoformat()}, False),
    ],
)
def test_a_deployment_that_was_seen_to_end_is_a_success_whatever_clock_dated_the_answer_to_its_call(
    pending: Any, described: Any, outcome: Outcome, members: Any, is_proven: bool
) -> None:
    """A proxy on the way to AWS may date answers by its own clock; here it goes ten seconds ahead."""
    found = Evidence().after(pending, 0.0).after(described, 1.0)
    assert found.proves(condition(**members), outcome, described, 1.0) is is_proven

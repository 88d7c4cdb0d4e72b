"""What an endpoint's tags tell of its deployments."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from airflow_sm_hosting.deployment.endpoint_tags import (
    EndpointTags,
    RolledBack,
    detaching_claim,
    pending_count_tags,
    tags_to_delete,
)
from airflow_sm_hosting.deployment.scaling_snapshot import as_tags
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    OURS,
    PENDING_COUNT,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN_AFTER,
)

EARLY, LATE = "2026-11-23T00:00:00.000+00:00", "2026-11-23T01:00:00.000+00:00"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def test_an_endpoint_without_our_tags_tells_nothing() -> None:
    assert EndpointTags.read({"team": "churn"}) == EndpointTags()


def test_a_rollback_is_read_as_it_was_written() -> None:
    done = RolledBack(EARLY, "churn-2", "churn-1")

    assert EndpointTags.read({**OURS, ROLLED_BACK: done.written()}).rolled_back == done
    assert EndpointTags.read({ROLLED_BACK: "somebody's own words"}).rolled_back != done
    assert EndpointTags.read({ROLLED_BACK: ""}).rolled_back is None


def test_counts_are_of_one_config() -> None:
    marks = EndpointTags.read(
        {f"{PENDING_COUNT}main": "churn-2:3", f"{PENDING_COUNT}dark": "churn-1:1", f"{PENDING_COUNT}x": "?"}
    )

    assert marks.counts_for("churn-2") == {"main": 3}
    assert marks.counts_for("churn-3") == {}


@pytest.mark.parametrize(
    ("theirs", "ours", "newer"),
    [
        (None, EARLY, None),
        (EARLY, None, None),
        (EARLY, EARLY, None),
        (EARLY, LATE, None),
        (LATE, EARLY, LATE),
    ],
)
def test_which_run_is_newer(theirs: str | None, ours: str | None, newer: str | None) -> None:
    assert EndpointTags.read({RUN_AFTER: theirs} if theirs else {}).newer_than(ours) == newer


@pytest.mark.parametrize(
    ("config", "last"),
    [("churn-2", LATE), ("churn-1", EARLY), (None, EARLY)],
    ids=["begun", "refused", "unknown"],
)
def test_an_update_that_was_to_be_made_counts_once_the_endpoint_shows_it(
    config: str | None, last: str
) -> None:
    assert EndpointTags.read({RUN_AFTER: EARLY, DEPLOYING: f"{LATE} churn-2"}, config).run_after == last


def test_what_is_left_of_a_deployment_goes() -> None:
    left = {
        f"{ROLLOUT_ALARMS}churn-2": "made",
        f"{ROLLOUT_ALARMS}churn-1": "made",
        f"{PENDING_COUNT}main": "",
        **detaching_claim("task", NOW),
        **as_tags({"main": {"target": {}}}, "copy"),
    }

    assert tags_to_delete({**OURS, RUN_AFTER: EARLY, f"{PENDING_COUNT}dark": "churn-2:3", **left}) == sorted(
        left
    )
    assert tags_to_delete(OURS) == []
    assert EndpointTags.read(left).rollout_alarms == ["churn-1", "churn-2"]


@pytest.mark.parametrize(
    ("claim", "until"),
    [
        ({}, None),
        (detaching_claim("task", NOW + timedelta(seconds=1)), None),
        (detaching_claim("other", NOW + timedelta(seconds=1)), NOW + timedelta(seconds=1)),
        (detaching_claim("other", NOW), None),
    ],
    ids=["none", "its own", "another's", "run out"],
)
def test_only_a_claim_of_another_task_counts_and_only_for_its_time(
    claim: dict[str, str], until: datetime | None
) -> None:
    assert EndpointTags.read(claim).detached_by_another("task", NOW) == until


def test_counts_that_a_killed_deployment_left_are_void_with_the_next_update() -> None:
    tags = {**OURS, f"{PENDING_COUNT}main": "old:3", f"{PENDING_COUNT}dark": "old:2"}

    written = pending_count_tags(tags, "new", {"dark": 5})

    assert EndpointTags.read({**tags, **written}).counts == {"dark": ("new", 5)}
    assert set(written) == {f"{PENDING_COUNT}main", f"{PENDING_COUNT}dark"}
    # A void one is not written again.
    assert pending_count_tags({**tags, **written}, "new", {}) == {f"{PENDING_COUNT}dark": ""}

"""What an endpoint's tags tell of its deployments."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.endpoint_tags import (
    MOST_RUNS,
    EndpointTags,
    RolledBack,
    Run,
    RunState,
    detaching_claim,
    pending_count_tags,
    tags_to_delete,
)
from airflow_sm_hosting.deployment.scaling_snapshot import as_tags
from airflow_sm_hosting.service_model.shapes import service_model
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    DETACHING,
    OURS,
    PENDING_COUNT,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN,
    RUN_AFTER,
    digest,
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


# What each run has deployed.

LATER = "2026-11-23T02:00:00.000+00:00"
DUE = (EARLY, LATE, LATER)
OLD = Run("old", EARLY, RunState.DEPLOYED, 100, "a")
NEW = Run("new", LATE, RunState.DEPLOYED, 200, "b")
CLAIMED = Run("claimed", LATER, RunState.CLAIMED, 150, "c")

MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(
    lambda moment: moment.isoformat(timespec="milliseconds")
)
#: botocore, EndpointConfigName: 63 characters at most.
CONFIGS = st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,31}", fullmatch=True).filter(
    lambda name: len(name) <= 63
)
RUNS = st.builds(
    Run,
    task=st.text().map(digest),
    run_after=MOMENTS,
    state=st.sampled_from(RunState),
    moment=st.integers(0, 4 * 10**9),
    endpoint_config_name=CONFIGS,
)
#: A few runs of one endpoint, each of another task.
FEW = st.lists(
    st.builds(
        Run,
        task=st.integers(0, 9).map(str),
        run_after=st.sampled_from(DUE),
        state=st.sampled_from(RunState),
        moment=st.integers(0, 9),
        endpoint_config_name=st.sampled_from("abc"),
    ),
    unique_by=lambda run: run.task,
    max_size=10,
)


def tags_of(*runs: Run) -> dict[str, str]:
    return {key: value for run in runs for key, value in run.as_tag().items()}


@given(run=RUNS)
def test_a_run_is_read_as_it_was_written_and_aws_takes_its_tag(run: Run) -> None:
    [(key, value)] = run.as_tag().items()
    assert EndpointTags.read({key: value}).runs == (run,)
    for text, shape in ((key, "TagKey"), (value, "TagValue")):
        allowed = service_model("sagemaker").shape_for(shape).metadata
        assert len(text) <= allowed["max"]
        # botocore, TagKey and TagValue: letters, spaces and digits of any script, and these.
        assert re.fullmatch(r"[\w .:/=+\-@]*", text)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "somebody's own words",
        f"{EARLY} deployed 1",
        f"{EARLY} deployed 1 a b",
        f"{EARLY} deployed soon a",
        f"{EARLY} paused 1 a",
        "yesterday deployed 1 a",
        "2026-11-23T00:00:00 deployed 1 a",
    ],
)
def test_what_is_no_run_is_no_run(value: str) -> None:
    tags = {f"{RUN}other": value, **tags_of(OLD)}
    known = EndpointTags.read(tags, "a")
    assert known.runs == (OLD,)
    assert known.run_after == EARLY
    assert known.newest_deployed() == OLD
    assert known.undone(newer_than=EARLY, task="other") == {}


@pytest.mark.parametrize("value", ["", "yesterday", "2026-11-23T00:00:00"])
@pytest.mark.parametrize("key", [RUN_AFTER, DEPLOYING])
def test_a_moment_that_is_none_orders_nothing(key: str, value: str) -> None:
    tags = {key: value if key == RUN_AFTER else f"{value} a"}
    assert EndpointTags.read(tags, "a").run_after is None
    assert EndpointTags.read({**tags, **tags_of(OLD)}, "a").run_after == EARLY
    assert EndpointTags.read({DETACHING: f"task {value}"}).detaching is None


@given(runs=FEW, config=st.sampled_from("abc"), last=st.sampled_from((None, *DUE)))
def test_the_newest_run_orders_older_ones(runs: list[Run], config: str, last: str | None) -> None:
    """One that has deployed; one that has claimed, once the endpoint is on its config; never one that is undone."""
    known = EndpointTags.read({**tags_of(*runs), **({RUN_AFTER: last} if last else {})}, config)
    counted = [
        run.run_after
        for run in runs
        if run.state is RunState.DEPLOYED
        or (run.state is RunState.CLAIMED and run.endpoint_config_name == config)
    ]
    assert known.run_after == max([*counted, *([last] if last else [])], default=None)
    newest = known.newest_deployed()
    deployed = [run for run in runs if run.state is RunState.DEPLOYED]
    assert (newest and newest.run_after) == max((run.run_after for run in deployed), default=None)


@given(runs=FEW, config=st.sampled_from("abc"), due=st.sampled_from((None, *DUE)))
def test_an_older_run_on_a_config(runs: list[Run], config: str, due: str | None) -> None:
    found = EndpointTags.read(tags_of(*runs)).older_run_on(config, due)
    older = [run for run in runs if due and run.run_after < due and run.endpoint_config_name == config]
    assert (found in older) if older else (found is None)


@given(
    runs=FEW,
    not_on=st.sampled_from((None, *"abc")),
    newer_than=st.sampled_from((None, *DUE)),
    task=st.none() | st.integers(0, 9).map(str),
)
def test_runs_that_are_undone(
    runs: list[Run], not_on: str | None, newer_than: str | None, task: str | None
) -> None:
    tags = tags_of(*runs)
    written = EndpointTags.read(tags).undone(not_on=not_on, newer_than=newer_than, task=task)
    after = {run.task: run for run in EndpointTags.read({**tags, **written}).runs}
    for run in runs:
        left = not_on is not None and run.state is RunState.DEPLOYED and run.endpoint_config_name != not_on
        newer = newer_than is not None and run.run_after > newer_than
        undone = left or newer or run.task == task
        assert after[run.task] == (replace(run, state=RunState.UNDONE) if undone else run)
        # What is undone already is not written again.
        assert (f"{RUN}{run.task}" in written) is (undone and run.state is not RunState.UNDONE)


@given(runs=FEW, task=st.integers(0, 9).map(str))
def test_the_oldest_runs_are_forgotten_once_there_are_too_many(runs: list[Run], task: str) -> None:
    tags = tags_of(*runs)
    known = EndpointTags.read(tags)
    forgotten = known.runs_to_forget(task)
    left = EndpointTags.read({key: value for key, value in tags.items() if key not in forgotten})
    assert len(left.runs) <= max(MOST_RUNS, 3)
    assert (len(runs) > MOST_RUNS) is bool(forgotten)
    assert left.newest_deployed() == known.newest_deployed()
    assert left.run_of(task) == known.run_of(task)
    assert left.run_after == known.run_after


@pytest.mark.parametrize(
    ("runs", "since"),
    [
        ((OLD, NEW, CLAIMED), ["b"]),
        ((OLD, NEW, replace(CLAIMED, moment=99)), ["b", "a"]),
        # What it saw itself had been taken before the endpoint was changed last.
        ((OLD, NEW, replace(CLAIMED, moment=200)), []),
        ((OLD, replace(NEW, state=RunState.UNDONE), CLAIMED), []),
        ((OLD, replace(NEW, state=RunState.CLAIMED), CLAIMED), []),
        ((OLD, NEW, replace(CLAIMED, state=RunState.DEPLOYED)), []),
        ((OLD, NEW), []),
    ],
)
def test_what_others_have_deployed_since_a_task_claimed(runs: tuple[Run, ...], since: list[str]) -> None:
    assert EndpointTags.read(tags_of(*runs)).deployed_since_claim("claimed") == since

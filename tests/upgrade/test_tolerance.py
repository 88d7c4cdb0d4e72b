"""What another version added to a deferred task is passed over, and what it did not write yet has its default.

So a task survives an upgrade, and a way back, while it waits: by the time it goes on, worker and triggerer may be of two versions.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from tests.upgrade.golden import Run, first_event, load, moved
from tests.upgrade.scenarios import DUE, WAITS
from tests.upgrade.world import NAME, read, rebuild, seen_by_users, time_passes

#: A deployment's wait, with all that travels, and a sensor's.
NAMES = ("counted", "sensor-config")

Change = Callable[[dict[str, Any]], object]


def wait_of(name: str, aws: LocalAws, world: str) -> dict[str, Any]:
    """Return the first wait of a golden file, whose times are of now, and put its world back."""
    wait = deepcopy(load("waits", name)["waits"][0])
    rebuild(aws, wait[world])
    for member in ("kwargs", "event"):
        wait[member] = moved(wait[member], time.time() - wait["written_at"])
    return wait


def goes_on(aws: LocalAws, name: str, event: dict[str, Any]) -> None:
    """Let the task take up an event, and hold its end against 0.1.0's."""
    run, end = Run(WAITS[name].task(), DUE), load("waits", name)["end"]
    with time_passes(aws):
        error = run.finish(run.resume("execute_complete", None, event))
    assert error is None, repr(error)
    assert run.ran.value == end["value"]
    assert seen_by_users(read(aws)) == end["seen"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "where", ["kwargs", "awaited", "carried", "progress"], ids=lambda where: f"in {where}"
)
def test_a_trigger_passes_over_what_it_does_not_know(aws: LocalAws, dag: DAG, name: str, where: str) -> None:
    wait = wait_of(name, aws, "aws")
    kwargs = wait["kwargs"]
    carried = kwargs["carried"] or {}
    places = {"kwargs": kwargs, "awaited": kwargs["awaited"], "carried": carried}
    places |= {"progress": carried.get("progress", {})}
    places[where]["added_later"] = {"of": ["any", "kind"]}

    with time_passes(aws):
        event = first_event(wait["trigger"], kwargs)

    assert event["sighting"]["outcome"] == "deployed"
    goes_on(aws, name, event)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["event", "sighting", "described", "carried", "progress"])
def test_a_task_passes_over_what_it_does_not_know_of_an_event(
    aws: LocalAws, dag: DAG, name: str, where: str
) -> None:
    event = wait_of(name, aws, "aws_at_the_event")["event"]
    carried = event["carried"] or {}
    places = {"event": event, "carried": carried, "progress": carried.get("progress", {})}
    places |= {"sighting": event["sighting"], "described": event["sighting"]["described"]}
    places[where]["added_later"] = "of any kind"

    goes_on(aws, name, event)


@pytest.mark.parametrize(
    "member", ["modified_before", "begun", "instance_counts", "endpoint_config_name"], ids="without {}".format
)
def test_a_trigger_has_a_default_for_what_is_missing_of_what_it_waits_for(
    aws: LocalAws, dag: DAG, member: str
) -> None:
    wait = wait_of("sensor-config", aws, "aws")
    del wait["kwargs"]["awaited"][member]

    with time_passes(aws):
        event = first_event(wait["trigger"], wait["kwargs"])

    assert event["sighting"]["outcome"] == "deployed"


@pytest.mark.parametrize(
    "member",
    ["carried", "started_at", "poll_interval", "aws_conn_id", "region_name", "verify", "botocore_config"],
    ids="without {}".format,
)
def test_a_trigger_has_a_default_for_a_missing_argument(
    aws: LocalAws, dag: DAG, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = wait_of("sensor-config", aws, "aws")
    defaults = EndpointTrigger.__init__.__kwdefaults__
    if member == "poll_interval":
        assert defaults[member] == 30
        monkeypatch.setitem(defaults, member, wait["kwargs"][member])
    del wait["kwargs"][member]

    with time_passes(aws):
        event = first_event(wait["trigger"], wait["kwargs"])

    assert event["sighting"]["outcome"] == "deployed"


@pytest.mark.parametrize(
    "member",
    [
        "started_at",
        "deadline",
        "action",
        "previous_endpoint_config_name",
        "counts",
        "rolling_back",
        "unfinished",
        "without_capacity",
        "smoke_failure",
    ],
    ids="without {}".format,
)
def test_a_task_has_a_default_for_what_is_missing_of_its_progress(
    aws: LocalAws, dag: DAG, member: str
) -> None:
    event = wait_of("update", aws, "aws_at_the_event")["event"]
    del event["carried"]["progress"][member]
    run = Run(WAITS["update"].task(), DUE)

    with time_passes(aws):
        error = run.finish(run.resume("execute_complete", None, event))

    assert (error, run.ran.value) == (None, NAME)
    assert run.ran.details["endpoint_config_name"] == "b"
    assert isinstance(run.ran.details["seconds"], float)


def test_a_task_has_a_default_for_what_is_missing_of_how_its_wait_ended(aws: LocalAws, dag: DAG) -> None:
    event = wait_of("update", aws, "aws_at_the_event")["event"]
    del event["sighting"]["described"]
    run = Run(WAITS["update"].task(), DUE)

    with time_passes(aws):
        assert run.finish(run.resume("execute_complete", None, event)) is None

    assert run.ran.value == NAME

"""Tasks that 0.1.0 deferred, and endpoints whose tags it left, are resumed by this version.

The golden files are what commit 73bd076 really wrote (``write_golden.py``). Each is put back into an empty local AWS: the endpoint in its
status, on its config, with its tags; and the task goes on from there. It must end as it ended under 0.1.0: with the same return value,
error and details, and with the same endpoint, scaling and alarms.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import DETACHING
from tests.operators.conftest import event_hook, operations, sagemaker_client, settled, tags_of
from tests.upgrade.golden import Run, first_event, load, moved
from tests.upgrade.scenarios import (
    AFTER,
    BEFORE,
    DUE,
    EARLIER,
    KILLS,
    SCALING,
    WAITS,
    a_newer_run_deploys,
    a_newer_task_deploys,
    deploy,
    rollback,
)
from tests.upgrade.world import ARN, LATER, NAME, as_list, read, rebuild, seen_by_users, time_passes

#: What an error must tell, whatever its words are.
TOLD = {
    "create-failed": ("churn", "bad", " image"),
    "update-rolled-back": ("churn", "it serves a, not bad", " image"),
    "update-failed": ("churn", "UpdateRollbackFailed", "b"),
    "update-deleted": ("churn", "gone", "b"),
    "update-timed-out": ("churn", "time budget"),
    "update-unknown": ("churn", "AccessDeniedException", "You may not"),
    "update-overtaken": ("churn", "newer run", "2026-11-23T13:00:00.000+00:00", "allow_older"),
    "scaled-rolled-back": ("churn", "it serves a, not bad-typed", " image"),
    "scaled-timed-out": ("churn", "time budget", "caling", "next try"),
    "smoke-rollback": ("churn", "b", "rolled back", "serves a"),
    "sensor-failed": ("churn", "UpdateRollbackFailed"),
    "sensor-timed-out": ("churn", "time budget"),
    "sensor-unknown": ("churn", "AccessDeniedException", "You may not"),
    "scaling-off-update-rolled-back": ("churn", "it serves a, not bad-typed", " image"),
}
NOT_SCALED: dict[str, Any] = {"targets": [], "policies": [], "actions": []}
EACH_WAIT = [(name, number) for name in WAITS for number in range(len(load("waits", name)["waits"]))]


def ended(run: Run, aws: LocalAws, error: BaseException | None, name: str, golden: Mapping[str, Any]) -> None:
    """Hold how a task ended against how it ended under 0.1.0."""
    assert run.end(aws, error) == golden["end"], error
    for words in TOLD.get(name, ()) if error else ():
        assert words in str(error)


def without_claims(found: Mapping[str, Any], until: datetime | None = None) -> dict[str, Any]:
    """Return a world in which who was taking the scaling off has let the time pass that others wait for it.

    :param until: Until when they wait instead.
    """
    changed: dict[str, Any] = deepcopy(dict(found))
    task, _, moment = changed["endpoint_tags"].get(DETACHING, "").partition(" ")
    if moment:
        until = until or datetime.now(UTC) - timedelta(hours=1)
        changed["endpoint_tags"][DETACHING] = f"{task} {until.isoformat()}"
    return changed


def let_the_model_answer_wrongly(aws: LocalAws, name: str) -> None:
    """Have the endpoint answer with an error of the model: the engine without containers refuses all requests, which is no verdict now."""
    if name == "smoke-rollback":
        aws.fault("error", operation="InvokeEndpoint", code="ModelError", message="It is ill.", status=424)


# Deferred tasks.


@pytest.mark.parametrize(("name", "number"), EACH_WAIT)
def test_a_trigger_of_0_1_0_waits_to_the_end_and_its_task_goes_on(
    aws: LocalAws, dag: DAG, name: str, number: int
) -> None:
    golden, scenario = load("waits", name), WAITS[name]
    wait = golden["waits"][number]
    rebuild(aws, without_claims(wait["aws"]))
    let_the_model_answer_wrongly(aws, name)
    run = Run(scenario.task(), DUE)
    kwargs = of_now(wait, aws)

    with time_passes(aws, meanwhile(name, wait)):
        event = first_event(wait["trigger"], kwargs)

    assert event.keys() == {"sighting", "carried"}
    assert event["carried"] == kwargs["carried"]
    for member in ("EndpointArn", "EndpointConfigName"):
        assert event["sighting"]["described"].get(member) == wait["event"]["sighting"]["described"].get(
            member
        )
    assert event["sighting"]["outcome"] == wait["event"]["sighting"]["outcome"]
    with time_passes(aws):
        error = run.finish(run.resume(wait["method"], wait["method_kwargs"], event))
    ended(run, aws, error, name, golden)


@pytest.mark.parametrize(("name", "number"), EACH_WAIT)
def test_an_event_of_0_1_0_is_taken_up_by_its_task(aws: LocalAws, dag: DAG, name: str, number: int) -> None:
    """The triggerer had ended the wait before the upgrade; the worker comes after it."""
    golden = load("waits", name)
    wait = golden["waits"][number]
    rebuild(aws, without_claims(wait["aws_at_the_event"]))
    let_the_model_answer_wrongly(aws, name)
    run = Run(WAITS[name].task(), DUE)

    with time_passes(aws):
        event = moved(wait["event"], time.time() - wait["written_at"])
        error = run.finish(run.resume(wait["method"], wait["method_kwargs"], event))

    ended(run, aws, error, name, golden)


def of_now(wait: Mapping[str, Any], aws: LocalAws) -> dict[str, Any]:
    """Return a trigger's arguments as they would be had it been made just now; its time budget is over if it ended in the wait."""
    over = wait["event"]["sighting"]["outcome"] == "timed_out"
    kwargs = moved(
        wait["kwargs"], time.time() - (wait["kwargs"]["deadline"] + 1 if over else wait["written_at"])
    )
    kwargs["poll_interval"] = 0.01
    if kwargs["awaited"]["modified_before"]:
        kwargs["awaited"]["modified_before"] = (aws.now() - timedelta(hours=1)).astimezone(UTC).isoformat()
    return kwargs


def meanwhile(name: str, wait: Mapping[str, Any]) -> Any:
    """Return what happens while the trigger waits."""

    def newer(aws: LocalAws) -> None:
        a_newer_run_deploys(aws)
        aws.client("sagemaker").add_tags(
            ResourceArn=ARN, Tags=as_list(wait["aws_at_the_event"]["endpoint_tags"])
        )

    happens = WAITS[name].meanwhile
    return newer if happens is a_newer_task_deploys else happens


def test_a_time_budget_that_ended_while_no_triggerer_ran_is_told(aws: LocalAws, dag: DAG) -> None:
    [wait] = load("waits", "scaled")["waits"]
    rebuild(aws, wait["aws"])
    run = Run(WAITS["scaled"].task(), DUE)
    kwargs = moved(wait["kwargs"], time.time() - wait["kwargs"]["deadline"] - 1)

    error = run.finish(run.resume("execute_complete", None, first_event(wait["trigger"], kwargs)))

    assert type(error).__name__ == "DeploymentTimeoutError"
    assert "time budget" in str(error)
    assert read(aws)["endpoint_tags"] == wait["aws"]["endpoint_tags"]  # the next try puts the scaling back


def test_a_description_from_before_the_update_is_no_rollback(aws: LocalAws, dag: DAG) -> None:
    """``modified_before`` is compared in the form in which 0.1.0 wrote it."""
    [wait] = load("waits", "update")["waits"]
    rebuild(
        aws, {**wait["aws"], "endpoint": {**wait["aws"]["endpoint"], "status": "InService", "pending": None}}
    )
    kwargs = of_now(wait, aws)
    kwargs["awaited"]["modified_before"] = settled(aws)["LastModifiedTime"].astimezone(UTC).isoformat()

    def updated(aws: LocalAws) -> None:
        aws.advance(1)
        aws.client("sagemaker").update_endpoint(EndpointName=NAME, EndpointConfigName="b")

    with time_passes(aws, updated):
        event = first_event(wait["trigger"], kwargs)

    assert event["sighting"]["outcome"] == "deployed"


# Tags: the next try of the task that left them.


@pytest.mark.parametrize("name", KILLS)
def test_the_next_try_goes_on_where_the_worker_was_killed(aws: LocalAws, dag: DAG, name: str) -> None:
    golden = load("kills", name)
    rebuild(aws, without_claims(golden["aws"]))
    aws.clear_requests()
    run = Run(KILLS[name].task(), DUE, try_number=2)

    with time_passes(aws):
        error = run.finish(run.execute())

    called = operations(aws, mutating=True)
    ended(run, aws, error, name, golden)
    was_scaled = "backlog" in golden["end"]["seen"]["alarms"]
    assert read(aws)["scaling"] == (SCALING if was_scaled else NOT_SCALED)
    if run.ran.details["action"] in ("unchanged", "join"):
        assert "UpdateEndpoint" not in called


@pytest.mark.parametrize("name", ["scaling-written-down", "scaling-off"])
def test_a_task_does_not_wait_for_its_own_claim(aws: LocalAws, dag: DAG, name: str) -> None:
    golden = load("kills", name)
    rebuild(aws, without_claims(golden["aws"], until=datetime.now(UTC) + timedelta(minutes=5)))
    run = Run(KILLS[name].task(), DUE, try_number=2)

    with time_passes(aws):
        error = run.finish(run.execute())

    ended(run, aws, error, name, golden)


# Tags: tasks of other runs.

#: What a worker left at an endpoint that another task finds, which deploys ``b``, or ``pair``.
LEFT = [
    "update-not-sent",
    "update-sent",
    "scaling-written-down",
    "scaling-off",
    "scaling-off-update-sent",
    "scaling-off-update-rolled-back",
    "scaling-half-back",
    "scaling-back-not-forgotten",
    "counts-left",
    "counts-set",
    "alarms-made",
    "alarms-made-update-sent",
    "alarms-left",
]


@pytest.mark.parametrize("name", LEFT)
def test_the_task_of_a_newer_run_puts_right_what_was_left(aws: LocalAws, dag: DAG, name: str) -> None:
    golden, config = load("kills", name), "pair" if name.startswith("counts") else "c"
    rebuild(aws, without_claims(golden["aws"]))
    run = Run(deploy(config, task_id="another")(), AFTER)

    with time_passes(aws):
        error = run.finish(run.execute())

    assert (error, run.ran.value, run.ran.details["action"]) == (None, NAME, "update")
    seen = seen_by_users(read(aws))
    assert (seen["endpoint"]["config"], seen["left over"]) == (config, [])
    assert seen["scaling"] == golden["scaling_before"]
    assert seen["alarms"] == ({"backlog": ["policy steps"]} if seen["scaling"]["targets"] else {})
    assert set(seen["endpoint"]["counts"].values()) == {1}


def test_another_task_waits_while_one_claims_the_scaling(aws: LocalAws, dag: DAG) -> None:
    golden = load("kills", "scaling-written-down")
    rebuild(aws, without_claims(golden["aws"], until=datetime.now(UTC) + timedelta(minutes=5)))
    run = Run(deploy("typed", task_id="another")(), DUE)
    looks = 0

    def given_up(**_: Any) -> None:
        """Before the second look, the one that claims it gives up."""
        nonlocal looks
        looks += 1
        if looks == 2:
            assert operations(aws, mutating=True)[-1] == changed
            aws.client("sagemaker").delete_tags(ResourceArn=ARN, TagKeys=[DETACHING])

    changed = operations(aws, mutating=True)[-1]
    with (
        time_passes(aws),
        event_hook(sagemaker_client(), "before-call.*.DescribeEndpoint", given_up),
    ):
        error = run.finish(run.execute())

    assert (error, looks > 2) == (None, True)
    assert read(aws)["scaling"] == golden["scaling_before"]


@pytest.mark.parametrize("name", ["update-sent", "counts-left", "scaling-off-update-sent"])
def test_an_older_run_is_skipped_once_the_update_was_sent(aws: LocalAws, dag: DAG, name: str) -> None:
    """Also where the worker died before it wrote down that its run has deployed."""
    rebuild(aws, without_claims(load("kills", name)["aws"]))
    aws.advance(LATER)
    config = settled(aws)["EndpointConfigName"]
    run = Run(deploy("c", task_id="older")(), DUE - timedelta(minutes=30))

    with time_passes(aws):
        error = run.finish(run.execute())

    assert type(error).__name__ == "AirflowSkipException"
    assert "2026-11-23T12:00:00.000+00:00" in str(error)
    assert settled(aws)["EndpointConfigName"] == config == run.ran.details["endpoint_config_name"]


def test_an_update_that_was_not_sent_overtakes_nobody(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, load("kills", "update-not-sent")["aws"])
    run = Run(deploy("c", task_id="older")(), DUE - timedelta(minutes=30))

    with time_passes(aws):
        assert run.finish(run.execute()) is None

    assert settled(aws)["EndpointConfigName"] == "c"


def test_a_fallback_that_serves_is_left_serving(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, load("states", "fallback-for")["aws"])
    run = Run(deploy("large", fallback_endpoint_config_names=["b"])(), AFTER)

    with time_passes(aws):
        assert run.finish(run.execute()) is None

    assert (run.ran.details["action"], run.ran.details["endpoint_config_name"]) == ("unchanged", "b")


def test_a_fallback_of_another_config_is_none(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, load("states", "fallback-for")["aws"])
    run = Run(deploy("c", fallback_endpoint_config_names=["b"])(), AFTER)

    with time_passes(aws):
        assert run.finish(run.execute()) is None

    assert (run.ran.details["action"], run.ran.details["endpoint_config_name"]) == ("update", "c")


def roll_back(aws: LocalAws, due: datetime) -> Run:
    run = Run(rollback(task_id="rollback")(), due)
    with time_passes(aws):
        assert run.finish(run.execute()) is None
    return run


def test_a_rollback_goes_back_by_the_history(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, load("states", "history")["aws"])

    details = roll_back(aws, DUE).ran.details

    assert (details["action"], details["endpoint_config_name"]) == ("rollback", "b")
    assert details["previous_endpoint_config_name"] == "c"
    assert settled(aws)["EndpointConfigName"] == "b"


@pytest.mark.parametrize(("due", "action", "config"), [(DUE, "unchanged", "b"), (AFTER, "rollback", "a")])
def test_the_run_that_rolled_back_does_it_once_and_a_later_one_further(
    aws: LocalAws, dag: DAG, due: datetime, action: str, config: str
) -> None:
    rebuild(aws, load("states", "rolled-back")["aws"])

    details = roll_back(aws, due).ran.details

    assert (details["action"], settled(aws)["EndpointConfigName"]) == (action, config)


def test_a_rollback_is_not_undone_by_an_older_run(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, load("states", "rolled-back")["aws"])
    run = Run(deploy("c", task_id="older")(), BEFORE)

    with time_passes(aws):
        error = run.finish(run.execute())

    assert type(error).__name__ == "AirflowSkipException"
    assert settled(aws)["EndpointConfigName"] == "b"


def test_a_rollback_follows_a_deployment_whose_worker_was_killed(aws: LocalAws, dag: DAG) -> None:
    rebuild(aws, without_claims(load("kills", "scaling-off-update-sent")["aws"]))
    aws.advance(LATER)

    details = roll_back(aws, AFTER).ran.details

    assert (details["action"], settled(aws)["EndpointConfigName"]) == ("rollback", "a")
    assert read(aws)["scaling"] == load("kills", "scaling-off-update-sent")["scaling_before"]
    assert tags_of(aws, ARN).keys().isdisjoint({DETACHING})


def test_what_0_1_0_wrote_of_the_runs_before_is_in_the_files() -> None:
    """The moments that the tests above count by."""
    tags = load("kills", "update-sent")["aws"]["endpoint_tags"]
    assert tags["sm-hosting:run-after"] == EARLIER.isoformat(timespec="milliseconds")
    assert tags["sm-hosting:deploying"] == f"{DUE.isoformat(timespec='milliseconds')} b"

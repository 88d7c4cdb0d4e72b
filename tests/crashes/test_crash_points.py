"""The worker is killed before and after every AWS call of the chain; the next tries end where an undisturbed run ends.

After a call that only reads, and before the call that follows it, is one point.
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.crashes.before import Before
from tests.crashes.tasks import (
    FIRST_RUN,
    SECOND_RUN,
    THIRD_RUN,
    TRANSITION,
    Job,
    chain,
    clean_up,
    make_project,
    rollback,
)
from tests.crashes.worker import Kill, When, Worker, run_here
from tests.crashes.world import differing, world
from tests.local_servers import local_server
from tests.operators.conftest import _emptied

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

#: The first try, and two more.
TRIES = 3
#: What a worker sleeps at most: no wait and no retry needs nearly as much.
MOST_SLEEPS = 20
WHENS: tuple[When, ...] = ("before", "after")


@pytest.fixture
def aws(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """One whose time passes only while somebody sleeps: a try meets what an earlier one began, and every run makes the same calls.

    With the parameter "real", one whose endpoints change at once, and whose time is this computer's.
    """
    if getattr(request, "param", "virtual") == "real":
        return _emptied(local_server(), monkeypatch)
    aws = _emptied(local_server(transition_seconds=TRANSITION, clock="virtual"), monkeypatch)
    monkeypatch.setattr(time, "sleep", Sleep(aws))
    return aws


class Sleep:
    """Stands in for ``time.sleep``, in this process and in the workers that are forked from it.

    :param aws: Whose time passes.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self._pid, self._times = os.getpid(), 0

    def __call__(self, seconds: float) -> None:
        """Let the time pass, but in a worker not for ever: what a dead try left is nothing to wait for."""
        if os.getpid() != self._pid:
            self._times += 1
            assert self._times <= MOST_SLEEPS, "the worker waits for something that does not come"
        self._aws.advance(seconds)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return make_project(tmp_path)


@dataclass(frozen=True)
class Scenario:
    """A run in which the worker is killed.

    :param before: Makes what is there before it, and returns what tasks before it returned.
    :param jobs: Returns its tasks, by whether they wait in a triggerer.
    :param due: Its ``run_after``.
    :param must_call: Operations without which it is not the scenario that it is called.
    """

    before: Callable[[Before], dict[str, Any]]
    jobs: Callable[[Path, bool], list[Job]]
    due: datetime
    must_call: tuple[str, ...]


def deploy_only(project: Path, deferrable: bool) -> list[Job]:
    """The other tasks make no other calls than in an update."""
    return chain(project, "new", deferrable=deferrable)[4:5]


SCENARIOS = {
    "a first deployment": Scenario(
        Before.nothing,
        lambda project, deferrable: chain(project, "new", deferrable=deferrable),
        FIRST_RUN,
        (
            "PUT registry",
            "PutObject",
            "CreateModel",
            "CreateEndpointConfig",
            "CreateEndpoint",
            "PutMetricAlarm",
        ),
    ),
    "an update": Scenario(
        Before.old_and_the_image,
        lambda project, deferrable: chain(project, "new", unscaled=2, deferrable=deferrable)[1:],
        SECOND_RUN,
        (
            "PutObject",
            "CreateModel",
            "CreateEndpointConfig",
            "UpdateEndpoint",
            "UpdateEndpointWeightsAndCapacities",
        ),
    ),
    "an update that must detach scaling": Scenario(
        Before.old_and_another_config,
        deploy_only,
        SECOND_RUN,
        ("DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget", "PutMetricAlarm"),
    ),
    "a replacement": Scenario(
        Before.failed,
        deploy_only,
        SECOND_RUN,
        ("DeleteEndpoint", "CreateEndpoint", "RegisterScalableTarget"),
    ),
    "a rollback": Scenario(
        Before.new,
        lambda project, deferrable: [rollback(deferrable=deferrable)],
        THIRD_RUN,
        ("DeregisterScalableTarget", "UpdateEndpoint", "RegisterScalableTarget"),
    ),
}


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    :param values: What the tasks returned.
    :param details: What else they told.
    :param world: All that there is.
    :param calls: The AWS calls of the first try.
    :param reads: Those of them that change nothing.
    :param killed: Whether the first try was killed.
    :param tries: How many there were.
    :param errors: The tracebacks of tries that failed.
    """

    values: dict[str, Any]
    details: dict[str, Any]
    world: dict[str, Any]
    calls: list[str]
    reads: set[str]
    killed: bool
    tries: int
    errors: list[str]


class Runner:
    """Runs a scenario as Airflow does: what succeeded is not run again, and a task that died or failed is tried again.

    :param deferrable: Whether the tasks wait in a triggerer.
    """

    def __init__(
        self, aws: LocalAws, worker: Worker, project: Path, scenario: Scenario, *, deferrable: bool
    ) -> None:
        self._aws = aws
        self._worker = worker
        self._before = Before(aws, project)
        self._scenario = scenario
        self._jobs = scenario.jobs(project, deferrable)

    def run(self, kill: Kill | None = None) -> Ended:
        """Run it from the beginning.

        A try that was killed before a call is followed at once; after one, when what goes on in AWS has ended.
        """
        aws, due = self._aws, self._scenario.due
        aws.reset()
        values = self._scenario.before(self._before)
        aws.clear_requests()
        first = shift = self._worker.run(self._jobs, values, due, kill)
        requests = [request for request in aws.requests() if request["service"] != "registry"]
        if kill is None:
            asked = [request["operation"] for request in requests]
            counted = [call for call in first.calls if "registry" not in call]
            assert Counter(counted) == Counter(asked)  # nothing was called that was not counted
        values, xcoms, errors, tries = values | shift.values, shift.xcoms, shift.errors, 1
        while (left := [job for job in self._jobs if job.name not in values]) and tries < TRIES:
            tries += 1
            if kill and kill.when == "after":
                settle(aws)
            again = [replace(left[0], try_number=tries), *left[1:]]
            shift = self._worker.run(again, values, due)
            values, xcoms, errors = values | shift.values, xcoms | shift.xcoms, errors + shift.errors
        settle(aws)
        return Ended(
            values=values,
            details={name: _stable(pushed.get("details", {})) for name, pushed in xcoms.items()},
            world=world(aws),
            calls=first.calls,
            reads={request["operation"] for request in requests if not request["mutating"]},
            killed=first.killed,
            tries=tries,
            errors=errors,
        )


def _stable(details: dict[str, Any]) -> dict[str, Any]:
    """Return what a later try tells as the first one would have: not what it did itself."""
    return {
        name: details[name]
        for name in (
            *("endpoint_config_name", "previous_endpoint_config_name", "endpoint_arn"),
            *("specification_name", "previous_specification_name", "inference_component_arn", "copy_count"),
        )
        if name in details
    }


def settle(aws: LocalAws) -> None:
    """Wait until nothing goes on at the endpoint and the inference components, if there are any."""
    client = aws.client("sagemaker")
    while True:
        statuses = [row["EndpointStatus"] for row in client.list_endpoints()["Endpoints"]]
        rows = client.list_inference_components()["InferenceComponents"]
        statuses += [row["InferenceComponentStatus"] for row in rows]
        if set(statuses) <= {"InService", "Failed"}:
            return
        pass_time(aws)


def pass_time(aws: LocalAws) -> None:
    """Let end what goes on at the endpoint, where time does not pass by itself."""
    if aws.clock == "virtual":
        aws.advance(TRANSITION)


@pytest.fixture
def worker(aws: LocalAws, project: Path, tmp_path: Path) -> Worker:
    """Workers that are forked from a process that has imported everything, and has all clients."""
    worker = Worker(tmp_path / "worker.log", deferred=lambda: pass_time(aws))
    Before(aws, project).nothing()
    run_here([*chain(project, "new"), clean_up()], {}, FIRST_RUN)
    return worker


@pytest.mark.parametrize(
    ("name", "deferrable"),
    # In the triggerer there are no calls but those of the wait: of all others, one scenario is enough.
    [*((name, False) for name in SCENARIOS), ("an update that must detach scaling", True)],
)
def test_a_worker_that_is_killed_at_any_call(
    aws: LocalAws,
    project: Path,
    worker: Worker,
    capsys: pytest.CaptureFixture[str],
    name: str,
    deferrable: bool,
) -> None:
    runner = Runner(aws, worker, project, SCENARIOS[name], deferrable=deferrable)
    undisturbed = runner.run()
    assert not undisturbed.errors, undisturbed.errors
    assert set(SCENARIOS[name].must_call) <= set(undisturbed.calls)

    tries: Counter[int] = Counter()
    problems: list[str] = []
    for operation, calls in Counter(undisturbed.calls).items():
        whens = WHENS[:1] if operation in undisturbed.reads else WHENS
        for number, when in itertools.product(range(1, calls + 1), whens):
            ended = runner.run(Kill(operation, number, when))
            point = f"{name}, killed {when} call {number} of {operation}"
            if not ended.killed:
                problems.append(f"{point}: there was no such call")
                continue
            tries[ended.tries] += 1
            problems += [f"{point}: {what}" for what in differences(ended, undisturbed)]
    with capsys.disabled():
        waits = "deferred" if deferrable else "sync"
        print(
            f"\n{name}, {waits}: {len(undisturbed.calls)} calls, killed at {tries.total()} points, "
            f"{tries[2]} ended with the second try, {tries[3]} with the third"
        )
    assert not problems, "\n".join(problems)


# It asks how old things are.
@pytest.mark.parametrize("aws", ["real"], indirect=True)
def test_what_a_run_leaves_that_is_never_tried_again_is_known_to_the_clean_up(
    aws: LocalAws, project: Path, worker: Worker
) -> None:
    jobs = chain(project, "new")
    for operation, left in {
        "PutImage": ["image"],
        "PutObject": ["image", "object"],
        "CreateModel": ["image", "object", "model"],
        "CreateEndpointConfig": ["image", "object", "model", "config"],
    }.items():
        aws.reset()
        Before(aws, project).nothing()
        # The manifest is what is pushed last.
        kill = Kill("PUT registry", 3, "after") if operation == "PutImage" else Kill(operation, 1, "after")
        assert worker.run(jobs, {}, FIRST_RUN, kill).killed
        assert [kind for kind, names in made(aws).items() if names] == left

        assert not worker.run([clean_up(dry_run=False)], {}, FIRST_RUN).errors

        assert not any(made(aws).values()), operation


# It asks how old things are.
@pytest.mark.parametrize("aws", ["real"], indirect=True)
def test_the_clean_up_leaves_what_an_endpoint_needs_that_was_made_in_two_tries(
    aws: LocalAws, project: Path, worker: Worker
) -> None:
    runner = Runner(aws, worker, project, SCENARIOS["a first deployment"], deferrable=False)
    runner.run(Kill("CreateEndpoint", 1, "after"))
    before = made(aws)
    assert all(len(names) == 1 for names in before.values()), before

    assert not worker.run([clean_up(dry_run=False)], {}, FIRST_RUN).errors

    assert made(aws) == before


def made(aws: LocalAws) -> dict[str, list[str]]:
    """Return the names of what the tasks before the endpoint's made."""
    sagemaker = aws.client("sagemaker")
    return {
        "image": [
            image["imageTag"] for image in aws.client("ecr").list_images(repositoryName="churn")["imageIds"]
        ],
        "object": [
            item["Key"] for item in aws.client("s3").list_objects_v2(Bucket="models").get("Contents", [])
        ],
        "model": [row["ModelName"] for row in sagemaker.list_models()["Models"]],
        "config": [row["EndpointConfigName"] for row in sagemaker.list_endpoint_configs()["EndpointConfigs"]],
    }


def differences(ended: Ended, undisturbed: Ended) -> Iterator[str]:
    """Tell in what a run ended otherwise than the undisturbed one: what is missing, or there twice, and what was told."""
    for what in ("values", "details", "world"):
        yield from differing(what, getattr(ended, what), getattr(undisturbed, what))
    if ended.tries == TRIES:
        yield from ended.errors

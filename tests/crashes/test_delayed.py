"""A process may be held for longer than a deployment takes, at any of its AWS calls: the newest run's config serves in the end all the same.

UpdateEndpoint has no compare-and-swap, so the update of a run that was held may land over a newer run's. Each test holds a run at each
of its calls in turn, before it is sent and after it was answered, until another run has ended. Nothing sleeps: a run goes on when it is let.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_sm_hosting import DeployEndpointOperator, RollbackEndpointOperator
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, tags_to_delete
from airflow_sm_hosting.deployment.status import instance_counts
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import PENDING_COUNT
from tests.crashes.held import HeldRun, SharedTime, connection_id
from tests.local_servers import local_server
from tests.operators.conftest import (
    Outcome,
    _emptied,
    dag,
    make_endpoint,
    make_model,
    outcome,
    tags_of,
    task_id,
)

__all__ = ["dag"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("dag")]

FIRST = datetime(2026, 11, 23, tzinfo=UTC)
#: The seconds that an endpoint takes to change.
TRANSITION = 1
#: By the runs' names, oldest first: each deploys the config of its name.
DUE = {"older": FIRST, "newer": FIRST + timedelta(hours=1), "newest": FIRST + timedelta(hours=2)}
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
INSTANCE_TYPES = {
    "before": "ml.m4.xlarge",
    "older": "ml.c5.large",
    "newer": "ml.m5.large",
    "newest": "ml.c5.large",
}
COUNTS = "UpdateEndpointWeightsAndCapacities"
WAITS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
EXISTS = pytest.mark.parametrize("exists", [True, False], ids=["update", "create"])


@dataclass
class Runs:
    """Runs of one endpoint, made anew for every point at which one is held.

    :param aws: Where they deploy.
    :param time: What they all have.
    :param monkeypatch: For their connections.
    :param deferrable: Whether they wait in a triggerer.
    :param exists: Whether the endpoint does before them.
    :param scaled: Whether it has scaling that every deployment must take off, as its instance type changes.
    :param counted: Whether it has scaling, and beside it a variant whose instance count every deployment sets after its update.
    """

    aws: LocalAws
    time: SharedTime
    monkeypatch: pytest.MonkeyPatch
    deferrable: bool = False
    exists: bool = True
    scaled: bool = False
    counted: bool = False
    #: What AWS took, in its order: the run, and the config.
    accepted: list[tuple[str, str]] = field(default_factory=list)
    #: How each run ended, and what served then.
    ends: dict[str, tuple[Outcome, str]] = field(default_factory=dict)
    _tasks: dict[str, Any] = field(default_factory=dict)
    _open: ExitStack = field(default_factory=ExitStack)

    def begin_anew(self) -> None:
        """Make the endpoint as it is before all runs."""
        self._open.close()
        self._tasks, self.accepted, self.ends = {}, [], {}
        self.aws.reset()
        make_model(self.aws)
        for count, (name, other) in enumerate(INSTANCE_TYPES.items(), 1):
            self._make_config(name, other if self.scaled else "ml.m5.large", count)
        self.time.pass_by()
        if self.exists:
            make_endpoint(self.aws, "before")
        if self.scaled or self.counted:
            make_scaling(self.aws)
        self.time.pass_by(60)

    def of(self, name: str, *, try_number: int = 1) -> HeldRun:
        """Return a run that has not begun; a later try is of the same task."""
        if name not in self._tasks:
            self._tasks[name] = DeployEndpointOperator(
                task_id=task_id(name),
                endpoint_name="churn",
                endpoint_config_name=name,
                aws_conn_id=connection_id(name),
                deferrable=self.deferrable,
                poll_interval=TRANSITION if not self.deferrable else 0.1,
                timeout=12 * 3600,
            )
        run = HeldRun(name, self._tasks[name], DUE[name], self._pass_time, self._took, try_number=try_number)
        return self._open.enter_context(run.connected(self.aws, self.monkeypatch))

    def endpoint(self) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.client("sagemaker").describe_endpoint(EndpointName="churn")
        return found

    def end(self, run: HeldRun) -> Outcome:
        """Let a run go on to its end."""
        end = run.end()
        self.ends[run.name] = end, self.endpoint()["EndpointConfigName"]
        return end

    def close(self) -> None:
        self._open.close()

    def _make_config(self, name: str, instance_type: str, count: int) -> None:
        variants = [{"VariantName": "main", "InitialInstanceCount": 1}]
        if self.counted:
            variants.append({"VariantName": "beside", "InitialInstanceCount": count})
        self.aws.client("sagemaker").create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {**variant, "ModelName": "model", "InstanceType": instance_type} for variant in variants
            ],
        )

    def _pass_time(self) -> None:
        self.time.pass_by(TRANSITION)

    def _took(self, run: HeldRun, config: str) -> None:
        self.accepted.append((run.name, config))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    return _emptied(local_server(transition_seconds=TRANSITION, clock="virtual"), monkeypatch)


@pytest.fixture
def runs(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Runs]]:
    time = SharedTime(aws)
    time.install(monkeypatch)
    made: list[Runs] = []

    def make(**given: Any) -> Runs:
        made.append(Runs(aws, time, monkeypatch, **given))
        return made[-1]

    yield make
    for one in made:
        one.close()


def make_scaling(aws: LocalAws) -> None:
    scaling = aws.client("application-autoscaling")
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=4)
    for number in range(2):
        scaling.put_scaling_policy(
            **PLACE,
            PolicyName=f"steps-{number}",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
            },
        )


def scaling_of(aws: LocalAws) -> list[Any]:
    """Return the scalable targets with their capacities, and the names of the policies."""
    scaling = aws.client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return [
        *((target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) for target in targets),
        *sorted(policy["PolicyName"] for policy in policies),
    ]


def problems(runs: Runs) -> Iterator[str]:
    """Tell what is not as it is to be once all runs have ended."""
    newest = max(runs.ends, key=lambda name: DUE[name])
    runs.time.pass_by(TRANSITION)
    endpoint = runs.endpoint()
    if (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) != ("InService", newest):
        yield f"the endpoint is {endpoint['EndpointStatus']} on {endpoint['EndpointConfigName']}"
    if "PendingDeploymentSummary" in endpoint:
        yield "something goes on at the endpoint"
    taken = [config for _, config in runs.accepted]
    for name, (end, serving) in runs.ends.items():
        own = [config for run, config in runs.accepted if run == name]
        if len(own) != len(set(own)):
            yield f"{name} has sent a config twice: {own}"
        yield from _problems_of_end(runs, name, end, newest)
        if end.error and end.details["endpoint_config_name"] != serving:
            yield f"{name} tells {end.details}, and {serving} served"
    # One that a newer run's config was restored over has not served before it.
    first = taken.index(newest) if newest in taken else 0
    if len(taken) > len(set(taken)) + 1:
        yield f"more was restored than one config: {runs.accepted}"
    served = list(dict.fromkeys(reversed([*(["before"] if runs.exists else []), *taken[:first]])))
    tags = tags_of(runs.aws, endpoint["EndpointArn"])
    known = EndpointTags.read(tags, newest)
    if known.history != served:
        yield f"the history is {known.history}, and {served} served before; taken: {runs.accepted}"
    deployed = known.newest_deployed()
    if (known.run_after, deployed and deployed.endpoint_config_name) != (due(newest), newest):
        yield f"the newest run is {known.run_after}, {deployed}"
    left = [*tags_to_delete(tags), *(key for key in tags if key.startswith(PENDING_COUNT))]
    if left:
        yield f"tags are left over: {left}"


def _problems_of_end(runs: Runs, name: str, end: Outcome, newest: str) -> Iterator[str]:
    if end.error is None:
        taken = [config for _, config in runs.accepted]
        if name != newest and not (name in taken and taken.index(name) < taken.index(newest)):
            yield f"{name} succeeded, and was not before {newest}: {runs.accepted}"
    elif not isinstance(end.error, AirflowSkipException) or name == newest:
        yield f"{name} ended with {end.error!r}"
    elif end.details["action"] != "overtaken":
        yield f"{name} was skipped, and tells {end.details}"


def due(name: str) -> str:
    return DUE[name].isoformat(timespec="milliseconds")


def points_of(runs: Runs, name: str) -> list[str]:
    """Return where a run stops that nobody disturbs."""
    runs.begin_anew()
    run = runs.of(name)
    assert run.end().error is None
    return run.points


def tell(capsys: pytest.CaptureFixture[str], line: str) -> None:
    with capsys.disabled():
        print(f"\n{line}")


@WAITS
@EXISTS
@pytest.mark.parametrize("held", ["older", "newer"])
def test_one_of_two_runs_is_held_at_any_call_until_the_other_has_ended(
    runs: Callable[..., Runs],
    capsys: pytest.CaptureFixture[str],
    held: str,
    exists: bool,
    deferrable: bool,
) -> None:
    two = runs(exists=exists, deferrable=deferrable)
    points = points_of(two, held)
    [other] = {"older", "newer"} - {held}
    found: list[str] = []
    restored = 0
    for number, point in enumerate(points, 1):
        two.begin_anew()
        late, quick = two.of(held), two.of(other)
        assert late.go_to(number)
        two.end(quick)
        two.end(late)
        restored += ("older", "newer") in two.accepted
        found += [f"{held} held {point} ({number}): {problem}" for problem in problems(two)]
    tell(capsys, f"{held} held at {len(points)} points, of which {restored} ended with a restored config")
    assert not found, "\n".join(found)
    # That it bites.
    assert bool(restored) is (held == "older" and exists)


@pytest.mark.parametrize("held", DUE)
def test_one_of_three_runs_is_held_at_any_call_until_the_others_have_ended(
    runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str], held: str
) -> None:
    three = runs()
    points = points_of(three, held)
    others = [name for name in DUE if name != held]
    found: list[str] = []
    for number, point in enumerate(points, 1):
        three.begin_anew()
        late = three.of(held)
        assert late.go_to(number)
        for name in others:
            three.end(three.of(name))
        three.end(late)
        found += [f"{held} held {point} ({number}): {problem}" for problem in problems(three)]
    tell(capsys, f"{held} of three held at {len(points)} points")
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("held", "deferrable"), [("older", False), ("older", True), ("newer", False)], ids=str
)
def test_scaling_that_both_runs_must_take_off_survives_that_one_is_held_at_any_call(
    runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str], held: str, deferrable: bool
) -> None:
    """The other one waits until the claim of the one that is held has run out, and takes its snapshot over."""
    two = runs(scaled=True, deferrable=deferrable)
    points = points_of(two, held)
    assert {"after DeregisterScalableTarget", "after PutScalingPolicy"} <= set(points)
    [other] = {"older", "newer"} - {held}
    found: list[str] = []
    for number, point in enumerate(points, 1):
        two.begin_anew()
        scaling = scaling_of(two.aws)
        late, quick = two.of(held), two.of(other)
        assert late.go_to(number)
        two.end(quick)
        two.end(late)
        where = f"{held} held {point} ({number})"
        found += [f"{where}: {problem}" for problem in problems(two)]
        if scaling_of(two.aws) != scaling:
            found.append(f"{where}: the scaling is {scaling_of(two.aws)}, and was {scaling}")
    tell(capsys, f"{held} held at {len(points)} points of an update that takes scaling off")
    assert not found, "\n".join(found)


@pytest.mark.parametrize("held", ["older", "newer"])
def test_instance_counts_that_a_held_run_has_still_to_set_are_not_set_once_another_has_deployed(
    runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str], held: str
) -> None:
    two = runs(counted=True)
    points = points_of(two, held)
    [call] = [number for number, point in enumerate(points, 1) if point == "before " + COUNTS]
    [other] = {"older", "newer"} - {held}
    found: list[str] = []
    for number, point in enumerate(points, 1):
        two.begin_anew()
        late, quick = two.of(held), two.of(other)
        assert late.go_to(number)
        two.end(quick)
        two.end(late)
        where = f"{held} held {point} ({number})"
        found += [f"{where}: {problem}" for problem in problems(two)]
        counts = instance_counts(two.endpoint())
        # The call has no condition: one that is held between the look before it and itself is made all the same.
        if counts["beside"] != 3 and (held, number) != ("older", call):
            found.append(f"{where}: there are {counts}")
    tell(capsys, f"{held} held at {len(points)} points of an update that sets an instance count")
    assert not found, "\n".join(found)


def landed_late(runs: Runs, *, newer_waits: bool = False) -> tuple[HeldRun, HeldRun]:
    """Return an older run whose update has just landed over a newer run's config, and the newer run.

    :param newer_waits: Whether the newer one still waits for its deployment; else it has ended.
    """
    runs.begin_anew()
    older, newer = runs.of("older"), runs.of("newer")
    older.go_on_to("before UpdateEndpoint")
    if newer_waits:
        newer.go_on_to("after UpdateEndpoint")
        newer.go_on_to("after AddTags")
        newer.go_on_to("before DescribeEndpoint")
        runs.time.pass_by(TRANSITION)
    else:
        runs.end(newer)
    older.go_on_to("after UpdateEndpoint")
    return older, newer


def points_after(run: HeldRun) -> list[str]:
    """Let a run go on to its end; return where it stops on its way."""
    before = len(run.points)
    run.end()
    return run.points[before:]


@WAITS
def test_a_newer_run_that_still_waits_sees_the_older_runs_config_in_between(
    runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str], deferrable: bool
) -> None:
    """The older one, whose update landed late, is held at each of its calls while the newer one goes on, too."""
    two = runs(deferrable=deferrable)
    older, _ = landed_late(two, newer_waits=True)
    points = points_after(older)
    #: So many calls the newer one makes at most while the older one is held: it sees what there is, and waits.
    most = 10
    found: list[str] = []
    seen = 0
    for steps, others in itertools.product(range(len(points) + 1), range(most + 1)):
        older, newer = landed_late(two, newer_waits=True)
        for _ in range(steps):
            older.step()
        # What goes on in AWS has ended, or it has not.
        if others % 2:
            two.time.pass_by(TRANSITION)
        for _ in range(others):
            newer.step()
        seen += two.endpoint()["EndpointConfigName"] == "older"
        two.end(older)
        two.end(newer)
        found += [
            f"older held after {steps} calls, newer after {others}: {problem}" for problem in problems(two)
        ]
    tell(
        capsys,
        f"older held at {len(points)} points after its late update, newer at {most} of its wait each; {seen} times the endpoint was "
        "seen on the older config",
    )
    assert seen
    assert not found, "\n".join(found)


@pytest.mark.parametrize("at_once", [True, False], ids=["tried again at once", "tried again later"])
def test_an_older_run_that_is_killed_after_its_late_update_restores_the_newer_config_when_it_is_tried_again(
    runs: Callable[..., Runs], capsys: pytest.CaptureFixture[str], at_once: bool
) -> None:
    two = runs()
    older, _ = landed_late(two)
    points = points_after(older)
    found: list[str] = []
    for number in range(len(points) + 1):
        older, _ = landed_late(two)
        for _ in range(number):
            older.step()
        where = older.points[-1]
        older.kill()
        if not at_once:
            two.time.pass_by(TRANSITION)
        two.end(two.of("older", try_number=2))
        found += [f"killed {where} (+{number}): {problem}" for problem in problems(two)]
        if ("older", "newer") not in two.accepted:
            found.append(f"killed {where} (+{number}): nothing was restored: {two.accepted}")
    tell(capsys, f"older killed at {len(points) + 1} points from its late update on")
    assert not found, "\n".join(found)


def test_a_triggerers_task_that_is_killed_right_after_its_late_update_restores_the_newer_config_when_tried_again(
    runs: Callable[..., Runs],
) -> None:
    two = runs(deferrable=True)
    older, _ = landed_late(two)
    older.kill()

    two.end(two.of("older", try_number=2))

    assert list(problems(two)) == []
    assert two.accepted == [("newer", "newer"), ("older", "older"), ("older", "newer")]


# A rollback stands: it is what somebody wanted last.


def rolled_back(runs: Runs, to: str | None = None) -> None:
    task = RollbackEndpointOperator(
        task_id=task_id("rollback"),
        endpoint_name="churn",
        endpoint_config_name=to,
        poll_interval=TRANSITION,
        timeout=3600,
    )
    end = outcome(task, run_after=FIRST + timedelta(days=1))
    assert end.error is None
    assert end.value == "churn"


def as_usual(runs: Runs) -> None:
    """The two deploy one after the other."""
    runs.begin_anew()
    runs.end(runs.of("older"))
    runs.end(runs.of("newer"))


def killed_in_time(runs: Runs) -> None:
    """The older one is killed right after its update, which was in time, and the newer ones deploy."""
    runs.begin_anew()
    older = runs.of("older")
    older.go_on_to("after UpdateEndpoint")
    older.kill()
    runs.time.pass_by(TRANSITION)
    runs.end(runs.of("newer"))


def killed_in_time_before_two(runs: Runs) -> None:
    killed_in_time(runs)
    runs.end(runs.of("newest"))


def late_and_restored(runs: Runs) -> None:
    older, _ = landed_late(runs)
    runs.end(older)


def late_and_killed(runs: Runs) -> None:
    older, _ = landed_late(runs)
    older.kill()
    runs.time.pass_by(TRANSITION)


@pytest.mark.parametrize(
    ("before", "to"),
    [
        (as_usual, None),
        (killed_in_time, None),
        (killed_in_time_before_two, "older"),
        (late_and_restored, "older"),
        (late_and_killed, "older"),
    ],
)
def test_a_rerun_of_the_older_run_leaves_a_rollback_to_its_config_alone(
    runs: Callable[..., Runs], before: Callable[[Runs], None], to: str | None
) -> None:
    two = runs()
    before(two)
    rolled_back(two, to)
    assert two.endpoint()["EndpointConfigName"] == "older"
    taken = list(two.accepted)

    end = two.end(two.of("older", try_number=2))

    assert two.endpoint()["EndpointConfigName"] == "older"
    assert two.accepted == taken
    assert (end.error, end.details["action"]) == (None, "unchanged")

"""The worker is killed before and after every AWS call of the chain; the next tries end where an undisturbed run ends.

After a call that only reads, and before the call that follows it, is one point.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import (
    BuildImageOperator,
    CleanUpHostingOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    RollbackEndpointOperator,
    ScheduledScaling,
    StepScaling,
    UploadModelDataOperator,
)
from airflow_sm_hosting.local import LocalAws
from tests.crashes.worker import Job, Kill, When, Worker
from tests.crashes.world import world
from tests.local_servers import local_server
from tests.operators.conftest import IMAGE, ROLE, _emptied

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

#: The first try, and two more.
TRIES = 3
FIRST_RUN = datetime(2026, 11, 23, tzinfo=UTC)
SECOND_RUN, THIRD_RUN = FIRST_RUN + timedelta(hours=1), FIRST_RUN + timedelta(hours=2)
WHENS: tuple[When, ...] = ("before", "after")
QUICK = {"poll_interval": 0.1, "timeout": 120}


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """One whose endpoints take a moment to change, so that a try meets what an earlier one began."""
    return _emptied(local_server(transition_seconds=0.05), monkeypatch)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The files that are deployed: the code, and two trainings of a model."""
    for name, content in {
        "app/Dockerfile": 'FROM scratch\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n',
        "app/serve.py": "pass",
        "old/weights": "1",
        "new/weights": "2",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return tmp_path


# The tasks.


def chain(
    project: Path,
    version: str,
    *,
    instance_type: str = "ml.m5.large",
    unscaled: int = 1,
    deferrable: bool = False,
) -> list[Job]:
    """Return the seven tasks of one run.

    :param version: The folder of the model's training.
    :param instance_type: Of the scaled variant.
    :param unscaled: Instances of the variant that is not scaled.
    """

    def image(done: Mapping[str, Any]) -> Any:
        return BuildImageOperator(
            task_id="image", directory=str(project / "app"), repository_name="churn", builder="assembler"
        )

    def artifact(done: Mapping[str, Any]) -> Any:
        path = str(project / version)
        return UploadModelDataOperator(
            task_id="artifact", path=path, bucket_name="models", key_prefix="churn"
        )

    def model(done: Mapping[str, Any]) -> Any:
        container = ContainerDefinition(image=done["image"], model_data=done["artifact"])
        return CreateModelOperator(
            task_id="model", model_name="churn", containers=[container], execution_role=ROLE
        )

    def config(done: Mapping[str, Any]) -> Any:
        variants = [
            InstanceProductionVariant(
                model_name=done["model"], variant_name="main", instance_type=instance_type
            ),
            InstanceProductionVariant(
                model_name=done["model"],
                variant_name="unscaled",
                instance_type="ml.m5.large",
                initial_instance_count=unscaled,
            ),
        ]
        return CreateEndpointConfigOperator(
            task_id="config", endpoint_config_name="churn", production_variants=variants
        )

    def deploy(done: Mapping[str, Any]) -> Any:
        return DeployEndpointOperator(
            task_id="deploy",
            endpoint_name="churn",
            endpoint_config_name=done["config"],
            deferrable=deferrable,
            **QUICK,
        )

    def scaling(done: Mapping[str, Any]) -> Any:
        return ConfigureAutoscalingOperator(
            task_id="scaling",
            endpoint_name=done["deploy"],
            variant_name="main",
            max_capacity=4,
            policies=[
                InvocationsScaling(max_requests_per_second=10),
                StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]),
            ],
            scheduled_actions=[
                ScheduledScaling(
                    scheduled_action_name="new-year", schedule="at(2040-01-01T00:00:00)", min_capacity=2
                )
            ],
        )

    def alarm(done: Mapping[str, Any]) -> Any:
        return CreateLatencyAlarmOperator(
            task_id="alarm",
            endpoint_name=done["deploy"],
            variant_name="main",
            threshold=100_000,
            evaluation_periods=3,
        )

    return [Job(task.__name__, task) for task in (image, artifact, model, config, deploy, scaling, alarm)]


def rollback(*, deferrable: bool) -> Job:
    return Job(
        "rollback",
        lambda done: RollbackEndpointOperator(
            task_id="rollback", endpoint_name="churn", deferrable=deferrable, **QUICK
        ),
    )


def clean_up(*, dry_run: bool = True) -> Job:
    """Return the task that says what no endpoint needs, were there no way back."""
    return Job(
        "clean_up",
        lambda done: CleanUpHostingOperator(
            task_id="clean_up",
            keep=0,
            older_than=0,
            repository_names=["churn"],
            model_data_prefixes=["s3://models/churn/"],
            dry_run=dry_run,
        ),
    )


# What is there before.


class Before:
    """Makes what is there before the run in which the worker is killed."""

    def __init__(self, aws: LocalAws, worker: Worker, project: Path) -> None:
        self.aws = aws
        self.worker = worker
        self.project = project

    def nothing(self) -> dict[str, Any]:
        self.aws.client("s3").create_bucket(Bucket="models")
        return {}

    def old_and_the_image(self) -> dict[str, Any]:
        """The image is not built anew."""
        self.old()
        return {"image": IMAGE}

    def old(self) -> dict[str, Any]:
        """The old version serves; it was not built here. An alarm of somebody else's scales it."""
        self.nothing()
        aws = self.aws
        jobs = [job for job in chain(self.project, "old") if job.name not in ("image", "artifact", "alarm")]
        self._run(jobs, {"image": IMAGE, "artifact": None}, FIRST_RUN)
        policies = aws.client("application-autoscaling").describe_scaling_policies(
            ServiceNamespace="sagemaker"
        )
        [step] = [one for one in policies["ScalingPolicies"] if one["PolicyType"] == "StepScaling"]
        aws.client("cloudwatch").put_metric_alarm(
            AlarmName="backlog",
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
            AlarmActions=[step["PolicyARN"]],
        )
        return {}

    def old_and_another_config(self) -> dict[str, Any]:
        """The new config is there, too: the old model on another instance type, and on more instances."""
        self.old()
        jobs = chain(self.project, "old", instance_type="ml.c5.large", unscaled=2)
        done = self._run([jobs[2], jobs[3]], {"image": IMAGE, "artifact": None}, SECOND_RUN)
        return {"config": done["config"]}

    def failed(self) -> dict[str, Any]:
        done = self.old_and_another_config()
        self.aws.set_endpoint_status("churn", "Failed")
        return done

    def new(self) -> dict[str, Any]:
        """The new config serves."""
        done = self.old_and_another_config()
        self._run([chain(self.project, "old")[4]], done, SECOND_RUN)
        return {}

    def _run(self, jobs: list[Job], done: dict[str, Any], due: datetime) -> dict[str, Any]:
        shift = self.worker.run(jobs, done, due)
        assert not shift.errors, shift.errors
        return shift.values


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
        self._before = Before(aws, worker, project)
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
        for name in ("endpoint_config_name", "previous_endpoint_config_name", "endpoint_arn")
        if name in details
    }


def settle(aws: LocalAws) -> None:
    """Wait until nothing goes on at the endpoint, if there is one."""
    client = aws.client("sagemaker")
    while True:
        rows = client.list_endpoints()["Endpoints"]
        if all(row["EndpointStatus"] in ("InService", "Failed") for row in rows):
            return
        time.sleep(0.01)


@pytest.fixture
def worker(aws: LocalAws, project: Path, tmp_path: Path) -> Worker:
    """Workers that are forked from a process that has imported everything, and has all clients."""
    worker = Worker(tmp_path / "worker.log")
    Before(aws, worker, project).nothing()
    worker.warm_up([*chain(project, "new"), clean_up()])
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
            # How often a wait looks depends on how quick this machine is just now.
            if ended.killed:
                tries[ended.tries] += 1
                problems += [f"{point}: {what}" for what in differences(ended, undisturbed)]
            elif operation != "DescribeEndpoint":
                problems.append(f"{point}: there was no such call")
    with capsys.disabled():
        waits = "deferred" if deferrable else "sync"
        print(
            f"\n{name}, {waits}: {len(undisturbed.calls)} calls, killed at {tries.total()} points, "
            f"{tries[2]} ended with the second try, {tries[3]} with the third"
        )
    assert not problems, "\n".join(problems)


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
        Before(aws, worker, project).nothing()
        # The manifest is what is pushed last.
        kill = Kill("PUT registry", 3, "after") if operation == "PutImage" else Kill(operation, 1, "after")
        assert worker.run(jobs, {}, FIRST_RUN, kill).killed
        assert [kind for kind, names in made(aws).items() if names] == left

        assert not worker.run([clean_up(dry_run=False)], {}, FIRST_RUN).errors

        assert not any(made(aws).values()), operation


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
        yield from _differing(what, getattr(ended, what), getattr(undisturbed, what))
    if ended.tries == TRIES:
        yield from ended.errors


def _differing(where: str, found: Any, wanted: Any) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            yield from _differing(f"{where}/{name}", found.get(name), wanted.get(name))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, pair in enumerate(zip(found, wanted, strict=True)):
            yield from _differing(f"{where}/{index}", *pair)
    elif found != wanted:
        yield f"{where} is {found}, not {wanted}"

"""Rollouts of all kinds on real containers, with a good new model, a slow one and one that crashes: who serves meanwhile, and at the end.

Time is virtual, so that a bake of minutes passes when the test says so; containers, invocations and their latency are real.
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG
from botocore.config import Config

from airflow_sm_hosting import (
    AllAtOnce,
    BuildImageOperator,
    Canary,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    EndpointMetric,
    InstanceProductionVariant,
    Linear,
    NewFleetAlarm,
    Rolling,
    SmokeTest,
)
from airflow_sm_hosting.exceptions import DeploymentRolledBackError, SmokeTestFailedError
from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import SERVING, wait_until
from tests.local_servers import local_server
from tests.operators.conftest import (
    ROLE,
    Outcome,
    _emptied,
    deploy,
    event_hook,
    outcome,
    run_task,
    settled,
    task_id,
)

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

DOCKERFILE = """\
ARG BASE
FROM ${BASE}
COPY serve.py /opt/program/serve.py
ENTRYPOINT ["python3", "/opt/program/serve.py"]
"""
INSTANCES = 4
#: Virtual seconds: time enough for an alarm of one minute.
BAKE = 180
#: Each stage of a rollout that bakes, by the share of the traffic that the new fleet has in it.
ROLLOUTS: dict[str, tuple[dict[str, Any], list[float]]] = {
    "all at once": (AllAtOnce(termination_wait=BAKE), [1]),
    "canary": (Canary(size="25%", wait_interval=BAKE, termination_wait=BAKE), [0.25, 1]),
    "linear": (Linear(step_size="50%", wait_interval=BAKE, termination_wait=BAKE), [0.5, 1]),
    "rolling": (Rolling(maximum_batch_size=2, wait_interval=BAKE), [0.5, 1]),
}
#: A good answer takes a few milliseconds, a slow one this many seconds; the alarm stands between, also on a busy machine.
SLOW, THRESHOLD_MICROSECONDS = "1.5", 1_000_000
#: Calls of a sample; 120 tell a quarter from a half.
SAMPLE, SLOW_SAMPLE = 120, 24


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("app")
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "serve.py").write_bytes(SERVING.read_bytes())
    return folder


@pytest.fixture
def aws(docker_client: Any, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS in virtual time, whose containers are Docker's."""
    return _emptied(local_server("docker", clock="virtual"), monkeypatch)


@pytest.fixture
def image(aws: LocalAws, dag: DAG, project: Path, debian_base_image: str) -> str:
    return run_task(
        BuildImageOperator(
            task_id=task_id("image"),
            directory=str(project),
            repository_name="rollouts",
            build_args={"BASE": debian_base_image},
            builder="docker",
        )
    ).value


def config_of(image: str, instances: int = INSTANCES, **environment: str) -> str:
    """Make the model and the endpoint config of a version."""
    model = run_task(
        CreateModelOperator(
            task_id=task_id("model"),
            model_name="churn",
            containers=[ContainerDefinition(image=image, environment=environment)],
            execution_role=ROLE,
        )
    ).value
    return run_task(
        CreateEndpointConfigOperator(
            task_id=task_id("config"),
            endpoint_config_name="churn",
            production_variants=[
                InstanceProductionVariant(
                    model_name=model,
                    variant_name="main",
                    initial_instance_count=instances,
                    container_startup_health_check_timeout=60,
                )
            ],
        )
    ).value


@pytest.fixture
def serving(aws: LocalAws, image: str) -> str:
    """The endpoint, on a config whose model answers with version 1."""
    config = config_of(image, VERSION="1")
    with aws.passing_time(speed=1):
        deployed = outcome(deploy(config, timeout=300))
    assert deployed.error is None
    return config


# Callers


@dataclass
class Traffic:
    """Calls an endpoint without a pause, and counts what it answers; a call that fails is not made again.

    :param answers: By version.
    :param errors: What went wrong.
    """

    aws: LocalAws
    answers: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._client = boto3.client(
            "sagemaker-runtime",
            endpoint_url=self.aws.endpoint_url,
            region_name=self.aws.region_name,
            aws_access_key_id=self.aws.access_key,
            aws_secret_access_key=self.aws.secret_key,
            config=Config(retries={"total_max_attempts": 1}, proxies={}, max_pool_connections=8),
        )

    def call(self) -> str:
        """Call once, and return the version that answered."""
        answer = self._client.invoke_endpoint(EndpointName="churn", Body=b"1", ContentType="text/csv")
        assert answer["InvokedProductionVariant"] == "main"
        version: str = json.loads(answer["Body"].read())["version"]
        return version

    def sample(self, calls: int = SAMPLE) -> Counter[str]:
        """Count the versions that answer so many calls."""
        with ThreadPoolExecutor(4) as threads:
            return Counter(threads.map(lambda _: self.call(), range(calls)))

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Let two callers call all the time."""
        ended = threading.Event()

        def call() -> None:
            while not ended.is_set():
                try:
                    self.answers[self.call()] += 1
                except Exception as error:
                    self.errors.append(repr(error))

        with ThreadPoolExecutor(2) as threads:
            callers = [threads.submit(call) for _ in range(2)]
            try:
                yield
            finally:
                ended.set()
            for caller in callers:
                caller.result()


@contextmanager
def in_the_background(task: Callable[[], Outcome]) -> Iterator[Future[Outcome]]:
    with ThreadPoolExecutor(1) as thread:
        yield thread.submit(task)


def is_likely(found: Counter[str], share: float) -> bool:
    """Tell whether version 2 may have this share: unlikely is what happens less than once in ten million samples."""
    hits, calls = found["2"], found.total()
    if share in (0, 1):
        return hits == calls * share
    chances = [comb(calls, k) * share**k * (1 - share) ** (calls - k) for k in range(calls + 1)]
    return min(sum(chances[: hits + 1]), sum(chances[hits:])) > 1e-7


# Stages


def described(aws: LocalAws) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("sagemaker").describe_endpoint(EndpointName="churn")
    return found


def updating(aws: LocalAws, run: Future[Outcome]) -> None:
    """Wait until the update has begun; it cannot end before time passes."""

    def found() -> bool:
        assert not run.done(), run.result()
        return bool(described(aws)["EndpointStatus"] == "Updating")

    wait_until(found, seconds=120)


def baking(aws: LocalAws) -> None:
    """Wait until the new fleet's containers have come up and the stage bakes; no time passes."""

    def bakes() -> bool:
        pending = described(aws).get("PendingDeploymentSummary") or {}
        return any(
            stage["Status"] == "Baking"
            for variant in pending.get("ProductionVariants") or []
            for stage in variant.get("VariantStatus") or []
        )

    aws.advance(0)
    wait_until(bakes, seconds=120)


def alarms(aws: LocalAws) -> list[str]:
    found = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="rollout/")["MetricAlarms"]
    return [alarm["AlarmName"] for alarm in found]


def latency() -> NewFleetAlarm:
    return NewFleetAlarm(
        variant_name="main",
        metric=EndpointMetric.model_latency(period=60),
        threshold=THRESHOLD_MICROSECONDS,
        evaluation_periods=1,
    )


def test_a_sample_tells_a_quarter_from_a_half_and_a_half_from_all() -> None:
    assert is_likely(Counter({"1": 88, "2": 32}), 0.25)
    assert not is_likely(Counter({"1": 60, "2": 60}), 0.25)
    assert not is_likely(Counter({"1": 90, "2": 30}), 0.5)
    assert not is_likely(Counter({"1": 1, "2": 119}), 1)


@pytest.mark.parametrize("kind", ROLLOUTS)
def test_a_good_model_takes_over_by_its_shares_and_no_call_fails(
    aws: LocalAws, image: str, serving: str, kind: str
) -> None:
    rollout, shares = ROLLOUTS[kind]
    new = config_of(image, VERSION="2")
    traffic = Traffic(aws)
    with (
        traffic.going_on(),
        in_the_background(
            lambda: outcome(deploy(new, timeout=300, rollout=rollout, new_fleet_alarms=[latency()]))
        ) as run,
    ):
        updating(aws, run)
        assert len(alarms(aws)) == 1
        for share in shares:
            baking(aws)
            found = traffic.sample()
            assert found.total() == SAMPLE
            assert set(found) <= {"1", "2"}
            assert is_likely(found, share), (share, found)
            assert described(aws)["EndpointStatus"] == "Updating"
            aws.advance(BAKE)
        end = run.result()

    assert end.error is None
    assert end.details["action"] == "update"
    assert end.details["endpoint_config_name"] == new
    assert settled(aws)["EndpointConfigName"] == new
    assert traffic.errors == []
    assert traffic.answers["1"] or kind == "all at once"
    assert traffic.sample() == {"2": SAMPLE}
    assert alarms(aws) == []


@pytest.mark.parametrize("kind", ROLLOUTS)
def test_a_slow_model_is_taken_back_by_the_alarm_on_its_own_latency(
    aws: LocalAws, image: str, serving: str, kind: str
) -> None:
    rollout, shares = ROLLOUTS[kind]
    new = config_of(image, VERSION="2", SECONDS=SLOW)
    traffic = Traffic(aws)
    task = deploy(new, timeout=300, rollout=rollout, new_fleet_alarms=[latency()], deferrable=True)
    with in_the_background(lambda: outcome(task)) as run:
        updating(aws, run)
        [alarm] = alarms(aws)
        baking(aws)
        # Slow as it is, it answers: nothing but its latency tells that it is bad.
        found = traffic.sample(SLOW_SAMPLE)
        assert is_likely(found, shares[0]), found
        aws.advance(60)
        aws.advance(60)
        end = run.result()

    assert type(end.error) is DeploymentRolledBackError
    told = str(end.error)
    assert told.startswith(f"SageMaker rolled endpoint churn back: it serves {serving}, not {new}")
    assert alarm in told
    assert end.details["endpoint_config_name"] == serving
    assert traffic.sample() == {"1": SAMPLE}
    assert alarms(aws) == []


@pytest.mark.parametrize("kind", ROLLOUTS)
def test_a_model_that_crashes_never_gets_a_call(aws: LocalAws, image: str, serving: str, kind: str) -> None:
    rollout, _ = ROLLOUTS[kind]
    new = config_of(image, VERSION="2", CRASH="1")
    traffic = Traffic(aws)
    with (
        traffic.going_on(),
        in_the_background(
            lambda: outcome(deploy(new, timeout=300, rollout=rollout, new_fleet_alarms=[latency()]))
        ) as run,
    ):
        end = run.result()

    assert type(end.error) is DeploymentRolledBackError
    assert "this container crashes at its start" in str(end.error)
    assert (settled(aws)["EndpointConfigName"], traffic.errors) == (serving, [])
    assert set(traffic.answers) == {"1"}
    assert alarms(aws) == []


@pytest.mark.parametrize("instances", [1, 2])
@pytest.mark.parametrize("kind", ROLLOUTS)
def test_a_wrong_answer_goes_back_at_once_although_its_alarm_is_on_and_one_instance_has_no_canary(
    aws: LocalAws, image: str, kind: str, instances: int
) -> None:
    rollout, _ = ROLLOUTS[kind]
    old, new = config_of(image, instances, VERSION="1"), config_of(image, 2, VERSION="2")
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="wrong-answers",
        Namespace="Churn",
        MetricName="WrongAnswers",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="wrong-answers", StateValue="OK", StateReason="no answer yet")
    if kind == "rolling":
        rollout = Rolling(maximum_batch_size=1, wait_interval=BAKE)

    def goes_off(**_: Any) -> None:
        cloudwatch.set_alarm_state(AlarmName="wrong-answers", StateValue="ALARM", StateReason="wrong answers")

    runtime = SageMakerRuntimeHook().conn
    with aws.passing_time(speed=300), event_hook(runtime, "after-call.*.InvokeEndpoint", goes_off):
        assert outcome(deploy(old, timeout=600)).error is None
        task = deploy(
            new,
            timeout=600,
            rollout=rollout,
            auto_rollback_alarms=["wrong-answers"],
            smoke_test=SmokeTest(body="1", content_type="text/csv", expect='"version": "1"'),
            on_smoke_failure="rollback",
        )
        end = outcome(task)

    assert type(end.error) is SmokeTestFailedError
    assert str(end.error).startswith("Endpoint churn answered ")
    assert str(end.error).endswith(
        f"The response came from {new}. The endpoint was rolled back, and serves {old}."
    )
    assert end.details["endpoint_config_name"] == settled(aws)["EndpointConfigName"] == old
    assert Traffic(aws).sample(SLOW_SAMPLE) == {"1": SLOW_SAMPLE}

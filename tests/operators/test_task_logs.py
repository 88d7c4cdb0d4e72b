"""The log of a deployment in each kind of rollout, sync and deferred, against ``logs/*.txt``.

``SM_HOSTING_WRITE_LOGS=1`` writes these files: look at the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    AllAtOnce,
    Canary,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeleteEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    Linear,
    Rolling,
    ShiftTrafficOperator,
)
from airflow_sm_hosting.exceptions import DeploymentFailedError, DeploymentRolledBackError
from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    _emptied,
    answered_with,
    deploy,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    outcome,
    sagemaker_client,
    task_id,
)
from tests.operators.task_log import TaskLog, normalised, task_log

LOGS = Path(__file__).parent / "logs"
ROOT = Path(__file__).parent.parent.parent
ALARM = "churn-latency"
BAKE = 120

both = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS whose time passes with each look at an endpoint in transition, so that each stage is met."""
    aws = _emptied(local_server(transition_seconds=30, clock="virtual"), monkeypatch)
    sagemaker_client()  # What Airflow says at the first use of a connection is no part of these logs.
    return aws


@contextmanager
def time_passing(aws: LocalAws, seen: Callable[[dict[str, Any]], None]) -> Iterator[None]:
    """Let 20 seconds pass after each look at an endpoint in transition."""

    def passed(parsed: dict[str, Any], **_: Any) -> None:
        if parsed.get("EndpointStatus") not in (None, "InService", "Failed"):
            aws.advance(20)
            seen(parsed)

    with event_hook(sagemaker_client(), "after-call.*.DescribeEndpoint", passed):
        yield


def make_alarm(aws: LocalAws) -> None:
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=ALARM,
        Namespace="Churn",
        MetricName="Latency",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="ignore",
    )
    set_alarm(aws, "OK")


def set_alarm(aws: LocalAws, state: str) -> None:
    aws.client("cloudwatch").set_alarm_state(AlarmName=ALARM, StateValue=state, StateReason="a test says so")


def is_baking(parsed: dict[str, Any]) -> bool:
    variants = (parsed.get("PendingDeploymentSummary") or {}).get("ProductionVariants") or []
    return any(one["VariantStatus"][-1]["Status"] == "Baking" for one in variants)


def alarm_while_baking(aws: LocalAws) -> Callable[[dict[str, Any]], None]:
    """Return what sets the alarm off when a bake is seen the second time."""
    seen: list[bool] = []

    def goes_off(parsed: dict[str, Any]) -> None:
        seen.append(is_baking(parsed))
        if sum(seen) >= 2:
            set_alarm(aws, "ALARM")

    return goes_off


def nothing(parsed: dict[str, Any]) -> None:
    """Do nothing when an endpoint in transition was seen."""


#: What each rollout is, by the name of its file.
ROLLOUTS = {
    "all at once": AllAtOnce(termination_wait=BAKE, auto_rollback_alarms=[ALARM]),
    "canary": Canary(size=1, wait_interval=BAKE, termination_wait=BAKE, auto_rollback_alarms=[ALARM]),
    "linear": Linear(
        step_size="50%", wait_interval=BAKE, termination_wait=BAKE, auto_rollback_alarms=[ALARM]
    ),
    "rolling": Rolling(maximum_batch_size=2, wait_interval=BAKE, auto_rollback_alarms=[ALARM]),
    "without a rollout": None,
}


def hold(log: TaskLog, name: str) -> None:
    """Hold a log against its file, and against what every log holds to."""
    path = LOGS / f"{name.replace(' ', '_')}.txt"
    if os.environ.get("SM_HOSTING_WRITE_LOGS"):
        path.write_text(log.text)
    assert log.text == path.read_text()
    lines = log.text.splitlines()
    assert len(set(lines)) == len(lines)


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    """Two configs of four instances, and an alarm that is OK."""
    make_model(aws)
    make_alarm(aws)
    for name in ("churn-1", "churn-2"):
        make_config(aws, name, InitialInstanceCount=4)
    return aws


@both
@pytest.mark.parametrize("kind", ROLLOUTS)
def test_the_log_of_a_rollout_tells_each_stage(
    configs: LocalAws, dag: DAG, kind: str, deferrable: bool
) -> None:
    make_endpoint(configs, "churn-1")
    with task_log() as log, time_passing(configs, nothing):
        end = outcome(deploy("churn-2", rollout=ROLLOUTS[kind], deferrable=deferrable))
    assert end.error is None
    hold(log, kind)


@both
def test_the_log_of_a_first_deployment(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    with task_log() as log, time_passing(configs, nothing):
        end = outcome(deploy("churn-1", rollout=ROLLOUTS["canary"], deferrable=deferrable))
    assert end.error is None
    hold(log, "first deployment")


@both
def test_the_log_of_an_endpoint_that_is_unchanged(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "churn-1")
    with task_log() as log, time_passing(configs, nothing):
        end = outcome(deploy("churn-1", rollout=ROLLOUTS["canary"], deferrable=deferrable))
    assert end.error is None
    hold(log, "unchanged")


@both
def test_the_log_of_a_deployment_that_an_alarm_rolls_back(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(configs, "churn-1")

    with task_log() as log, time_passing(configs, alarm_while_baking(configs)):
        end = outcome(deploy("churn-2", rollout=ROLLOUTS["canary"], deferrable=deferrable))
    assert type(end.error) is DeploymentRolledBackError
    assert errors(log)[-1] == (
        f"Rollback alarm: The deployment was rolled back: the CloudWatch alarm(s) {ALARM} went into ALARM. churn-1 serves."
    )
    hold(log, "rolled back by an alarm")


@both
def test_the_log_of_a_deployment_that_is_rolled_back_silently(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    make_endpoint(configs, "churn-1")

    def without_reason(parsed: dict[str, Any]) -> None:
        parsed.pop("FailureReason", None)

    with (
        task_log() as log,
        time_passing(configs, alarm_while_baking(configs)),
        answered_with(sagemaker_client(), "DescribeEndpoint", without_reason),
    ):
        end = outcome(deploy("churn-2", rollout=ROLLOUTS["canary"], deferrable=deferrable))
    assert type(end.error) is DeploymentRolledBackError
    assert errors(log)[-1] == "Endpoint churn went back: it serves churn-1, not churn-2 as requested."
    hold(log, "rolled back silently")


@both
def test_the_log_of_a_first_deployment_that_fails(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_config(configs, "churn-3", make_broken_model(configs))
    with task_log() as log, time_passing(configs, nothing):
        end = outcome(deploy("churn-3", deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    hold(log, "failed")


def errors(log: TaskLog) -> list[str]:
    """Return the lines at ERROR."""
    return [line.removeprefix("ERROR   ") for line in log.lines if line.startswith("ERROR")]


@both
@pytest.mark.slow
def test_the_logs_of_a_whole_chain(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    """From a model to the end of its endpoint: each task in a log of its own."""
    scaling = InvocationsScaling(max_requests_per_second=10)
    variant = InstanceProductionVariant(
        variant_name="main", model_name="model", instance_type="ml.m5.large", initial_instance_count=2
    )
    on = {"endpoint_name": "churn", "variant_name": "main"}
    tasks = [
        CreateModelOperator(
            task_id=task_id(),
            model_name="churn",
            containers=[ContainerDefinition(image=IMAGE)],
            execution_role=ROLE,
        ),
        CreateEndpointConfigOperator(
            task_id=task_id(), endpoint_config_name="config", production_variants=[variant]
        ),
        deploy("churn-1", deferrable=deferrable),
        ConfigureAutoscalingOperator(
            task_id=task_id(), min_capacity=2, max_capacity=4, policies=[scaling], **on
        ),
        CreateLatencyAlarmOperator(task_id=task_id(), threshold=1000, evaluation_periods=1, **on),
        deploy("churn-2", deferrable=deferrable, rollout=ROLLOUTS["canary"]),
        ShiftTrafficOperator(
            task_id=task_id(),
            endpoint_name="churn",
            weights={"main": 2},
            deferrable=deferrable,
            poll_interval=0.1,
        ),
        DeleteEndpointOperator(task_id=task_id(), endpoint_name="churn", delete_endpoint_config=True),
    ]
    with task_log() as log, time_passing(configs, nothing):
        for number, task in enumerate(tasks, 1):
            log.lines.append(f"-- {number}. {task.task_type}")
            assert outcome(task).error is None
    hold(log, "whole chain")


def test_the_log_in_the_guide_has_the_lines_of_these_files() -> None:
    page = (ROOT / "docs" / "troubleshooting.md").read_text()
    shown = re.findall(r"(?m)^\d\d:\d\d:\d\d (\w+ +.*)$", page.partition("## The log of a deployment")[2])
    lines = {
        re.sub("; N s so far, time-out in N s$", "", " ".join(normalised(line).split())) for line in shown
    }
    held = [(LOGS / f"{name}.txt").read_text() for name in ("canary", "rolled_back_by_an_alarm")]
    assert len(shown) > 12
    assert lines == {" ".join(line.split()) for text in held for line in text.splitlines()}

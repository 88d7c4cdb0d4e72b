"""Reads beside the endpoint have minutes; SIGTERM ends a task at once, whatever it is doing."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from botocore.exceptions import EndpointConnectionError

from airflow_sm_hosting import (
    CreateModelOperator,
    DeleteEndpointOperator,
    DeployEndpointOperator,
    EndpointInServiceSensor,
    UploadModelDataOperator,
)
from airflow_sm_hosting.deployer import observer
from airflow_sm_hosting.exceptions import DeploymentRolledBackError, SideReadError
from airflow_sm_hosting.guarded_task import TaskKilledError
from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, CloudWatchHook, ModelDataHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answering,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    task_id,
)

# What is not ended would go on for minutes or hours.
pytestmark = pytest.mark.timeout(30)

THROTTLED = refusal("ThrottlingException", "Rate exceeded")
UNREACHABLE = EndpointConnectionError(endpoint_url="https://aws")


def deploy(config: str = "second", **options: Any) -> DeployEndpointOperator:
    return DeployEndpointOperator(
        task_id=task_id(),
        endpoint_name="churn",
        endpoint_config_name=config,
        **{"poll_interval": 0.1, "timeout": 3600, **options},
    )


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    """An endpoint on its first config; the second is there."""
    make_model(aws)
    make_endpoint(aws, make_config(aws, "first"))
    make_config(aws, "second")
    return aws


SIDE_READS = pytest.mark.parametrize(
    ("client", "operation", "options", "words"),
    [
        (sagemaker_client, "ListTags", {}, "tags of arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"),
        (
            lambda: ApplicationAutoScalingHook().conn,
            "DescribeScalableTargets",
            {},
            "scalable targets of churn",
        ),
        (lambda: CloudWatchHook().conn, "DescribeAlarms", {"auto_rollback_alarms": ["a"]}, "alarms of a "),
        (sagemaker_client, "DescribeEndpointConfig", {}, "endpoint config of "),
    ],
    ids=["tags", "scaling", "alarms", "config"],
)


@SIDE_READS
@pytest.mark.parametrize("fault", [THROTTLED, UNREACHABLE], ids=["throttled", "unreachable"])
def test_a_side_read_does_not_use_the_deployments_hours(
    endpoint: LocalAws,
    dag: DAG,
    monkeypatch: pytest.MonkeyPatch,
    client: Callable[[], Any],
    operation: str,
    options: dict[str, Any],
    words: str,
    fault: Any,
) -> None:
    monkeypatch.setattr(observer, "SIDE_READ_PATIENCE", 0.5)
    with answering(client(), operation, *[fault] * 50):
        end = outcome(deploy(**options))
    assert isinstance(end.error, SideReadError), end.error
    for said in (words, "run the task again", "Rate exceeded" if fault is THROTTLED else "https://aws"):
        assert said in str(end.error)


@SIDE_READS
def test_a_side_read_has_some_patience(
    endpoint: LocalAws,
    dag: DAG,
    client: Callable[[], Any],
    operation: str,
    options: dict[str, Any],
    words: str,
) -> None:
    CloudWatchHook().conn.put_metric_alarm(
        AlarmName="a",
        Namespace="n",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    with answering(client(), operation, THROTTLED, UNREACHABLE) as left:
        end = outcome(deploy(**options))
    assert left == []
    # An alarm that goes off too late for the rollout is another error, of a plan that has read it.
    assert end.error is None or "alarm a cannot go off in time" in str(end.error)


def test_a_deletion_has_the_same_patience(
    endpoint: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = DeleteEndpointOperator(task_id=task_id(), endpoint_name="churn", poll_interval=0.1)
    monkeypatch.setattr(observer, "SIDE_READ_PATIENCE", 0.5)
    with answering(sagemaker_client(), "ListTags", *[THROTTLED] * 50):
        assert isinstance(outcome(task).error, SideReadError)


def test_patience_ends_with_the_time_budget(endpoint: LocalAws, dag: DAG) -> None:
    with answering(sagemaker_client(), "ListTags", *[THROTTLED] * 50):
        assert isinstance(outcome(deploy(timeout=1)).error, SideReadError)


def test_a_failed_deployment_is_told_although_tags_cannot_be_read_after_it(
    endpoint: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observer, "SIDE_READ_PATIENCE", 0.2)
    config = make_config(endpoint, "broken", make_broken_model(endpoint, "broken-model"))
    begun: list[int] = []

    def fail(**_: Any) -> Any:
        return THROTTLED if begun else None

    with (
        event_hook(sagemaker_client(), "after-call.*.UpdateEndpoint", lambda **_: begun.append(1)),
        event_hook(CloudWatchHook().conn, "before-call.*.DescribeAlarms", fail),
    ):
        end = outcome(deploy(config))
    assert isinstance(end.error, DeploymentRolledBackError), end.error


# SIGTERM


@contextmanager
def terminated(task: Any, after: float) -> Iterator[None]:
    """Send SIGTERM to this process, whose handler is as Airflow's (airflow/sdk/execution_time/task_runner.py, ``_on_term``)."""
    before = signal.signal(signal.SIGTERM, lambda *_: task.on_kill())
    timer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGTERM))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGTERM, before)


def kill(task: Any, *, after: float = 0.7) -> None:
    """Run a task, and end it with a signal; what goes on after it meets the tests' time limit."""
    with terminated(task, after), pytest.raises(TaskKilledError, match="was killed"):
        run_task(task)


@pytest.mark.parametrize(
    "operation", ["DescribeEndpoint", "ListTags", "UpdateEndpoint", "DescribeScalableTargets"]
)
def test_a_throttled_deployment_ends_at_once(endpoint: LocalAws, dag: DAG, operation: str) -> None:
    client = ApplicationAutoScalingHook().conn if "Scalable" in operation else sagemaker_client()
    with answering(client, operation, *[THROTTLED] * 50):
        kill(deploy())


@pytest.mark.parametrize("fault", [THROTTLED, UNREACHABLE], ids=["throttled", "unreachable"])
def test_a_throttled_wait_ends_at_once(endpoint: LocalAws, dag: DAG, fault: Any) -> None:
    task = EndpointInServiceSensor(task_id=task_id(), endpoint_name="churn", poke_interval=60, timeout=3600)
    with answering(sagemaker_client(), "DescribeEndpoint", *[fault] * 50):
        kill(task)


@pytest.mark.parametrize("kind", ["deployment", "deletion", "sensor"])
def test_a_wait_ends_at_once(endpoint: LocalAws, dag: DAG, kind: str) -> None:
    endpoint.set_endpoint_status("churn", "SystemUpdating")
    tasks: dict[str, Any] = {
        "deployment": lambda: deploy(poll_interval=600),
        "deletion": lambda: DeleteEndpointOperator(
            task_id=task_id(), endpoint_name="churn", poll_interval=600, timeout=3600
        ),
        "sensor": lambda: EndpointInServiceSensor(
            task_id=task_id(), endpoint_name="churn", poke_interval=600, timeout=3600
        ),
    }
    kill(tasks[kind]())


def test_a_call_without_an_answer_ends_at_once(
    endpoint: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    """botocore turns every ``Exception`` in a request into an error of the connection, after which it tries again."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        connection = endpoint.connection()
        connection["extra"]["endpoint_url"] = url
        monkeypatch.setenv("AIRFLOW_CONN_SILENT", json.dumps(connection))
        kill(deploy(aws_conn_id="silent"))


def test_the_wait_for_a_new_role_ends_at_once(aws: LocalAws, dag: DAG) -> None:
    task = CreateModelOperator(
        task_id=task_id(), model_name="m", execution_role=ROLE, containers=[{"Image": IMAGE}]
    )
    refused = refusal("ValidationException", "Could not assume role R")
    with answering(sagemaker_client(), "CreateModel", *[refused] * 50):
        kill(task)


def test_an_upload_ends_at_once(aws: LocalAws, dag: DAG, tmp_path: Path) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    (tmp_path / "weights").write_bytes(b"1")
    task = UploadModelDataOperator(task_id=task_id(), path=str(tmp_path), bucket_name="models")
    slow = lambda **_: time.sleep(2)  # noqa: E731 - in a thread of s3transfer
    with event_hook(ModelDataHook().conn, "before-call.*.PutObject", slow):
        kill(task)


def test_a_killed_task_can_be_run_again(endpoint: LocalAws, dag: DAG) -> None:
    endpoint.set_endpoint_status("churn", "SystemUpdating")
    kill(deploy(poll_interval=600))
    endpoint.set_endpoint_status("churn", "InService")
    assert run_task(deploy()).details["endpoint_config_name"] == "second"


def test_a_task_that_does_not_run_is_not_killed(endpoint: LocalAws, dag: DAG) -> None:
    """Airflow calls ``on_kill`` after a timeout, too, when the method has ended."""
    task = deploy()
    task.on_kill()
    run_task(task)
    task.on_kill()

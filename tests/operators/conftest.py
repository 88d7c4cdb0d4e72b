"""Operators run as Airflow runs them (rendered, deferred, resumed), against the local AWS, without an Airflow database."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.exceptions import TaskDeferred

from airflow_sm_hosting.local import LocalAws

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
#: An image that is not looked into, as no container runs.
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference@sha256:" + "a" * 64


@dataclass
class Ran:
    """What a task did.

    :param value: Its return value.
    :param xcoms: What it pushed beside that.
    :param deferrals: How often it was deferred.
    """

    value: Any = None
    xcoms: dict[str, Any] = field(default_factory=dict)
    deferrals: int = 0

    @property
    def details(self) -> dict[str, Any]:
        return self.xcoms["details"]

    def xcom_push(self, key: str, value: Any) -> None:
        json.dumps(value)  # only plain JSON travels
        self.xcoms[key] = value


def run_task(task: Any, *, run_after: datetime | None = None, ran: Ran | None = None, **context: Any) -> Ran:
    """Render, execute, and go through every deferral, as worker and triggerer do."""
    ran = ran if ran is not None else Ran()
    run = SimpleNamespace(run_after=run_after or datetime.now(UTC), run_id="manual", dag_id="test")
    full: Any = {"ti": ran, "dag_run": run, "params": {}, **context}
    task.render_template_fields(full)
    step: Callable[[], Any] = lambda: task.execute(full)  # noqa: E731
    while True:
        try:
            ran.value = step()
        except TaskDeferred as deferred:
            ran.deferrals += 1
            step = _resumed(task, full, deferred)
            continue
        return ran


def _resumed(task: Any, context: Any, deferred: TaskDeferred) -> Callable[[], Any]:
    path, arguments = deferred.trigger.serialize()
    again = type(deferred.trigger)(**json.loads(json.dumps(arguments)))
    assert path == f"{type(again).__module__}.{type(again).__qualname__}"

    async def first_event() -> Any:
        async for event in again.run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    event = json.loads(json.dumps(asyncio.run(first_event())))
    kwargs = json.loads(json.dumps(deferred.kwargs or {}))
    return lambda: task.resume_execution(deferred.method_name, {**kwargs, "event": event}, context)


@pytest.fixture(scope="session")
def shared_aws() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=0) as aws:
        yield aws


@pytest.fixture
def aws(shared_aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """An empty local AWS without containers, which the connection ``aws_default`` leads to."""
    shared_aws.reset()
    shared_aws.clear_requests()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(shared_aws.connection()))
    return shared_aws


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("test", schedule=None) as dag:
        yield dag


def operations(aws: LocalAws, *, mutating: bool | None = None) -> list[str]:
    """Return the operations that the local AWS was asked for, in order."""
    return [
        request["operation"] for request in aws.requests() if mutating in (None, request["mutating"])
    ]


def make_model(aws: LocalAws, name: str = "model") -> str:
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
    )
    return name


def make_config(aws: LocalAws, name: str, model: str = "model", **variant: Any) -> str:
    members = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **variant}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{"VariantName": "main", "ModelName": model, **members}],
    )
    return name

"""Operators run as Airflow runs them (rendered, deferred, resumed), against the local AWS, without an Airflow database."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG, Asset
from airflow.sdk.definitions.asset import AssetUniqueKey
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor
from botocore.exceptions import ClientError

from airflow_sm_hosting import DeployEndpointOperator
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.local.conftest import Deployer
from tests.local_servers import local_server

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


def triggering_events(asset: Asset, *extras: dict[str, Any]) -> TriggeringAssetEventsAccessor:
    """Return events of an asset as a run that they started has them."""
    events = [SimpleNamespace(extra=extra) for extra in extras]
    return TriggeringAssetEventsAccessor({AssetUniqueKey.from_asset(asset): events})


def run_task(
    task: Any,
    *,
    run_after: datetime | None = None,
    ran: Ran | None = None,
    deferred: Callable[[], object] = lambda: None,
    **context: Any,
) -> Ran:
    """Render, execute, and go through every deferral, as worker and triggerer do.

    :param deferred: Called before each deferral.
    """
    ran = ran if ran is not None else Ran()
    run = SimpleNamespace(run_after=run_after or datetime.now(UTC), run_id="manual", dag_id="test")
    full: Any = {"ti": ran, "dag_run": run, "params": {}, **context}
    task.render_template_fields(full)
    step: Callable[[], Any] = lambda: task.execute(full)  # noqa: E731
    while True:
        try:
            ran.value = step()
        except TaskDeferred as deferral:
            ran.deferrals += 1
            deferred()
            step = _resumed(task, full, deferral)
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


def _emptied(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    aws.reset()
    aws.clear_requests()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    return aws


@contextmanager
def _quick(aws: LocalAws) -> Iterator[LocalAws]:
    """Let the operators' calls that change an endpoint return when it has changed: no first look comes too early by chance.

    A wait sleeps a second between two looks; what is met on its way is tested with ``slow_aws``.
    """
    names: list[str] = []

    def asked(params: dict[str, Any], **_: Any) -> None:
        names.append(params["EndpointName"])

    def asked_of_component(params: dict[str, Any], **_: Any) -> None:
        names.append(params["InferenceComponentName"])

    def answered(**_: Any) -> None:
        with suppress(ClientError):  # deleted
            settled(aws, names[-1])

    def answered_of_component(**_: Any) -> None:
        with suppress(ClientError):  # deleted
            settled_component(aws, names[-1])

    client = sagemaker_client()
    with ExitStack() as hooks:
        for operation in (
            "CreateEndpoint",
            "UpdateEndpoint",
            "UpdateEndpointWeightsAndCapacities",
            "DeleteEndpoint",
        ):
            hooks.enter_context(event_hook(client, f"provide-client-params.*.{operation}", asked))
            hooks.enter_context(event_hook(client, f"after-call.*.{operation}", answered))
        for operation in (
            "CreateInferenceComponent",
            "UpdateInferenceComponent",
            "UpdateInferenceComponentRuntimeConfig",
            "DeleteInferenceComponent",
        ):
            hooks.enter_context(
                event_hook(client, f"provide-client-params.*.{operation}", asked_of_component)
            )
            hooks.enter_context(event_hook(client, f"after-call.*.{operation}", answered_of_component))
        yield aws


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """An empty local AWS without containers, which the connection ``aws_default`` leads to."""
    with _quick(_emptied(local_server(), monkeypatch)) as aws:
        yield aws


@pytest.fixture
def virtual_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """One like it whose time flies: the hours of a rollout pass as soon as one looks whether it is over."""
    with _quick(_emptied(local_server(clock="virtual"), monkeypatch)) as aws:
        yield aws


@pytest.fixture
def slow_aws(monkeypatch: pytest.MonkeyPatch, short_pauses: None) -> LocalAws:
    """One whose endpoints take 0.8 seconds to change, so that a deployment can be met while it is going on."""
    return _emptied(local_server(transition_seconds=0.8), monkeypatch)


@pytest.fixture
def process_aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """One whose containers really run, as Python processes."""
    with _quick(_emptied(local_server("process"), monkeypatch)) as aws:
        yield aws


@pytest.fixture
def dag() -> Iterator[DAG]:
    with DAG("test", schedule=None) as dag:
        yield dag


def operations(aws: LocalAws, *, mutating: bool | None = None) -> list[str]:
    """Return the operations that the local AWS was asked for, in order."""
    return [request["operation"] for request in aws.requests() if mutating in (None, request["mutating"])]


def make_model(aws: LocalAws, name: str = "model", **container: str) -> str:
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer={"Image": IMAGE, **container}, ExecutionRoleArn=ROLE
    )
    return name


def make_config(aws: LocalAws, name: str, model: str = "model", **variant: Any) -> str:
    members = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **variant}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{"VariantName": "main", "ModelName": model, **members}],
    )
    return name


def make_endpoint(aws: LocalAws, config: str, name: str = "churn", *, tags: dict[str, str] = OURS) -> str:
    """Make an endpoint, ours by default, and wait until it is no longer on its way."""
    aws.client("sagemaker").create_endpoint(
        EndpointName=name,
        EndpointConfigName=config,
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    settled(aws, name)
    return name


def settled(aws: LocalAws, name: str = "churn") -> dict[str, Any]:
    """Return the description of an endpoint once it is in transition no more."""
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = aws.client("sagemaker").describe_endpoint(EndpointName=name)
        if found["EndpointStatus"] in ("InService", "Failed"):
            return found
        if aws.clock == "virtual":
            aws.advance(60)
            continue
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def settled_component(aws: LocalAws, name: str = "churn") -> dict[str, Any]:
    """Return the description of an inference component once it is in transition no more."""
    deadline = time.monotonic() + 60
    while True:
        found: dict[str, Any] = aws.client("sagemaker").describe_inference_component(
            InferenceComponentName=name
        )
        if found["InferenceComponentStatus"] in ("InService", "Failed"):
            return found
        if aws.clock == "virtual":
            aws.advance(60)
            continue
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def tags_of(aws: LocalAws, arn: str) -> dict[str, str]:
    found = aws.client("sagemaker").list_tags(ResourceArn=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


def make_broken_model(aws: LocalAws, name: str = "broken") -> str:
    """Make a model whose image is deleted afterwards, which SageMaker accepts: no endpoint comes into service on it."""
    image = Deployer(aws).push_image({}, repository=_repository(aws), tag=name)
    aws.client("sagemaker").create_model(
        ModelName=name, PrimaryContainer={"Image": image}, ExecutionRoleArn=ROLE
    )
    aws.client("ecr").batch_delete_image(repositoryName="broken", imageIds=[{"imageTag": name}])
    return name


def _repository(aws: LocalAws, name: str = "broken") -> str:
    ecr = aws.client("ecr")
    if name not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
        ecr.create_repository(repositoryName=name)
    return name


@dataclass
class Outcome:
    """How a task ended: what must be the same in both kinds of wait.

    :param ran: What it did.
    :param error: What it raised.
    """

    ran: Ran
    error: BaseException | None = None

    @property
    def value(self) -> Any:
        return self.ran.value

    @property
    def details(self) -> dict[str, Any]:
        """The details without the seconds, which must be there."""
        details = dict(self.ran.details)
        assert isinstance(details.pop("seconds"), float)
        return details


def outcome(task: Any, **context: Any) -> Outcome:
    """Run a task as :func:`run_task` does, and return how it ended."""
    ran = Ran()
    try:
        run_task(task, ran=ran, **context)
    except Exception as error:
        return Outcome(ran, error)
    return Outcome(ran)


_NUMBERS = itertools.count(1)


def task_id(prefix: str = "task") -> str:
    return f"{prefix}_{next(_NUMBERS)}"


def deploy(config: Any, **given: Any) -> DeployEndpointOperator:
    """Return a task that deploys a config to the endpoint "churn"."""
    return DeployEndpointOperator(
        **{
            "task_id": task_id("deploy"),
            "endpoint_name": "churn",
            "endpoint_config_name": config,
            "poll_interval": 0.1,
            "timeout": 120,
            **given,
        }
    )


@contextmanager
def event_hook(client: Any, event: str, handler: Callable[..., Any]) -> Iterator[None]:
    """Hook into what a client does: the only way to have the local AWS throttle, refuse or fail when a test wants it."""
    client.meta.events.register_first(event, handler)
    try:
        yield
    finally:
        client.meta.events.unregister(event, handler)


def refusal(code: str, message: str = "no", status: int = 400) -> Any:
    """Return what a client gets when AWS refuses (botocore's own retries done)."""
    parsed = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0},
    }
    return SimpleNamespace(status_code=status, headers={}, content=b""), parsed


@contextmanager
def answering(client: Any, operation: str, *answers: Any) -> Iterator[list[Any]]:
    """Have AWS give these answers to an operation, one a call: a refusal, an exception, or None for its own answer."""
    left = list(answers)

    def answer(**_: Any) -> Any:
        found = left.pop(0) if left else None
        if isinstance(found, Exception):
            raise found
        return found

    with event_hook(client, f"before-call.*.{operation}", answer):
        yield left


@contextmanager
def sent(client: Any, operation: str) -> Iterator[list[dict[str, Any]]]:
    """Collect the parameters of every call of an operation."""
    collected: list[dict[str, Any]] = []

    def collect(params: dict[str, Any], **_: Any) -> None:
        collected.append(dict(params))

    with event_hook(client, f"provide-client-params.*.{operation}", collect):
        yield collected


def answered_with(
    client: Any, operation: str, change: Callable[[dict[str, Any]], Any]
) -> AbstractContextManager[None]:
    """Have AWS answer an operation with something changed: statuses that the local AWS does not reach."""

    def changed(parsed: dict[str, Any], **_: Any) -> None:
        if "Error" not in parsed:
            change(parsed)

    return event_hook(client, f"after-call.*.{operation}", changed)


def sagemaker_client() -> Any:
    """Return the client that the operators use under ``aws_default``."""
    from airflow_sm_hosting.hooks import SageMakerHostingHook

    return SageMakerHostingHook().conn


def autoscaling_client() -> Any:
    """Return the client of Application Auto Scaling that the operators use under ``aws_default``."""
    from airflow_sm_hosting.hooks import ApplicationAutoScalingHook

    return ApplicationAutoScalingHook().conn

"""What a waiter says at the end of a story: ours, boto3's, and the Amazon provider's operator and sensor."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from itertools import chain, repeat
from types import SimpleNamespace
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, WaiterError

from airflow_sm_hosting.deployment.evidence import READS_LAG, Evidence
from airflow_sm_hosting.deployment.verdict import after_look, judge, moment
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor
from tests.deployment.sequences import BEFORE, ENDPOINT, WANTED, Look, Story

POLL_INTERVAL = 30.0
#: Polls that take longer than reads may lag.
LOOKS_THAT_AGREE = int(READS_LAG / POLL_INTERVAL) + 1
#: How often a waiter may look again at what does not change any more before it is said to wait for ever.
PATIENCE = 3


class Said(NamedTuple):
    """How a wait ended: ``success``, ``failure``, or ``waits`` while nothing changes any more; and after how many looks."""

    what: str
    looks: int


Waiter = Callable[[Story], Said]


def judged(story: Story, said: Said) -> str:
    """Return what is to be said of a waiter at a story: ``right``, or what is wrong."""
    if said.what == "waits":
        return "right" if not story.tells else "waits for ever"
    if said.what == "success" and not story.serves:
        return "false success"
    if said.what == "failure" and story.serves:
        return "false failure"
    if said.what == "success" and said.looks < len(story.looks):
        return "success too early"
    return "right"


def _looks(story: Story) -> Iterator[Look]:
    return chain(story.looks, repeat(story.looks[-1], PATIENCE))


# Ours


def told(story: Story, condition: WaitCondition) -> Said:
    """Tell a story to a wait of ours, which polls every 30 s, and goes on while reads may lag."""
    found = Evidence()
    for number, look in enumerate(chain(story.looks, repeat(story.looks[-1], LOOKS_THAT_AGREE)), 1):
        found = found.after(look, POLL_INTERVAL * number)
        condition = after_look(condition, look)
        outcome = judge(condition, look).outcome
        is_proven = found.proves(condition, outcome, look, POLL_INTERVAL * number)
        if outcome is not Outcome.PENDING and is_proven:
            return Said("success" if outcome is Outcome.DEPLOYED else "failure", number)
    return Said("waits", 0)


def our_operator(story: Story) -> Said:
    """Wait as ``DeployEndpointOperator`` does, in the worker and in the triggerer."""
    return told(
        story,
        WaitCondition(
            WaitFor.DEPLOYED,
            ENDPOINT,
            WANTED,
            modified_before=moment(BEFORE) if story.kind.startswith("update") else None,
            begun=story.kind.startswith("join"),
        ),
    )


def our_sensor(story: Story) -> Said:
    """Wait as ``EndpointInServiceSensor`` with the config does."""
    return told(story, WaitCondition(WaitFor.IN_SERVICE, ENDPOINT, WANTED))


# The others. AWS stands here as a script behind a real client: nothing real can act out all orders of statuses.


_END: Any = object()


class _EndOfStoryError(BaseException):
    """Nobody catches it."""


class _Script:
    """Answers a client's calls from a story."""

    def tell(self, story: Story) -> None:
        """Begin a story."""
        self.left = _looks(story)
        self.asked = 0
        self.ended = False

    def __call__(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        answered = {"ResponseMetadata": {"HTTPStatusCode": 200}}
        if operation == "DescribeEndpoint" and not self.ended:
            self.asked += 1
            look = next(self.left, _END)
        elif operation == "DescribeEndpoint":
            look = {"EndpointName": ENDPOINT, "EndpointConfigName": WANTED}  # of no use any more
        else:
            # The operator asks what it has deployed once it has waited.
            self.ended = self.ended or operation == "DescribeEndpointConfig"
            return answered
        if look is _END:
            raise _EndOfStoryError
        if look is None:
            message = f'Could not find endpoint "{request["EndpointName"]}".'
            raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, operation)
        return {**look, **answered}


@cache
def _client() -> tuple[Any, _Script]:
    import boto3

    client, script = boto3.client("sagemaker", region_name="us-east-1"), _Script()
    client._make_api_call = script  # type: ignore[attr-defined]
    return client, script


class _Nothing:
    """Takes what is logged."""

    def __getattr__(self, level: str) -> Callable[..., None]:
        return lambda *_, **__: None


def _prepared(task: Any) -> Any:
    """Return a task of the Amazon provider that asks the script, and logs nothing: each is run some thousand times."""
    task.__dict__["hook"] = _hook()  # a cached property
    task.__dict__["_cached_logger"] = _Nothing()
    return task


def _hook() -> Any:
    from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook

    hook = SageMakerHook(aws_conn_id=None, region_name="us-east-1")
    hook.__dict__["conn"] = _client()[0]  # a cached property
    return hook


def _said(story: Story, wait: Callable[[], Any], errors: tuple[type[Exception], ...]) -> Said:
    """Tell a story to who waits."""
    script = _client()[1]
    script.tell(story)
    try:
        wait()
    except _EndOfStoryError:
        return Said("waits", 0)
    except errors:
        return Said("failure", script.asked)
    return Said("success", script.asked)


def boto3_waiter(story: Story) -> Said:
    """Wait as ``client.get_waiter("endpoint_in_service")`` does."""
    waiter = _client()[0].get_waiter("endpoint_in_service")

    config = {"Delay": 0, "MaxAttempts": 1000}
    return _said(story, lambda: waiter.wait(EndpointName=ENDPOINT, WaiterConfig=config), (WaiterError,))


@cache
def _operator(operation: str, deferrable: bool) -> Any:
    from airflow.providers.amazon.aws.operators.sagemaker import SageMakerEndpointOperator

    return _prepared(
        SageMakerEndpointOperator(
            task_id="deploy",
            config={"EndpointName": ENDPOINT, "EndpointConfigName": WANTED},
            operation=operation,
            check_interval=0,
            deferrable=deferrable,
        )
    )


def amazon_operator(story: Story) -> Said:
    """Run ``SageMakerEndpointOperator``, which waits in the worker; it cannot join, so it has just begun what is joined."""
    from airflow.providers.common.compat.sdk import AirflowException

    task = _operator("create" if "creat" in story.kind else "update", deferrable=False)

    return _said(story, lambda: task.execute({}), (WaiterError, ClientError, AirflowException))


def amazon_deferred(story: Story) -> Said:
    """Run it with ``deferrable=True``, and its trigger.

    The trigger wants aiobotocore, whose versions do not go with boto3's of today: its client is botocore's here, awaited. The
    waiter's rules are the same file in both.
    """
    from airflow.providers.common.compat.sdk import AirflowException, TaskDeferred

    task = _operator("create" if "creat" in story.kind else "update", deferrable=True)

    def run() -> None:
        try:
            task.execute({})
        except TaskDeferred as deferred:
            deferred.trigger.hook = _async_hook
            event = asyncio.run(_first_event(deferred.trigger))
            _client()[1].ended = True
            task.execute_complete({}, event)
            return
        raise AssertionError("it did not defer")

    return _said(story, run, (ClientError, AirflowException))


async def _first_event(trigger: Any) -> dict[str, Any]:
    async for event in trigger.run():
        return dict(event.payload)
    raise AssertionError("the trigger ended without an event")


def _async_hook() -> Any:
    # It logs every look.
    logging.getLogger("airflow.providers.amazon.aws.utils.waiter_with_logging").setLevel(logging.CRITICAL)

    def get_waiter(name: str, **_: Any) -> Any:
        waiter = _client()[0].get_waiter(name)

        async def wait(**arguments: Any) -> None:
            waiter.wait(**arguments)

        return SimpleNamespace(wait=wait)

    @asynccontextmanager
    async def connected() -> Any:
        yield _client()[0]

    async def get_async_conn() -> Any:
        return connected()

    return SimpleNamespace(get_async_conn=get_async_conn, get_waiter=get_waiter)


@cache
def _sensor() -> Any:
    from airflow.providers.amazon.aws.sensors.sagemaker import SageMakerEndpointSensor

    return _prepared(SageMakerEndpointSensor(task_id="wait", endpoint_name=ENDPOINT))


def amazon_sensor(story: Story) -> Said:
    """Poke with ``SageMakerEndpointSensor`` until it is satisfied."""
    from airflow.providers.common.compat.sdk import AirflowException

    sensor = _sensor()

    def poke() -> None:
        while not sensor.poke({}):
            pass

    # KeyError: a failure without a reason.
    return _said(story, poke, (ClientError, AirflowException, KeyError))


OURS: dict[str, Waiter] = {
    "`DeployEndpointOperator`, in the worker and deferred": our_operator,
    "`EndpointInServiceSensor` with `endpoint_config_name`": our_sensor,
}
OTHERS: dict[str, Waiter] = {
    "boto3's waiter `endpoint_in_service`": boto3_waiter,
    "Amazon provider, `SageMakerEndpointOperator`": amazon_operator,
    "Amazon provider, `SageMakerEndpointOperator(deferrable=True)`": amazon_deferred,
    "Amazon provider, `SageMakerEndpointSensor`": amazon_sensor,
}

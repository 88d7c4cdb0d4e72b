"""Random histories of tasks that wait for an endpoint, each held to what was true.

``python -m tests.crashes.random_histories SEED COUNT`` runs histories with the seeds from SEED on, and prints how they ended and what was
wrong. A task runs as an operator, deferred, or as a sensor; it is killed at random calls and tried again, its trigger moves to another
triggerer, and AWS is :class:`RandomAws`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import selectors
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, TaskDeferred
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.endpoint import Endpoint

from airflow_sm_hosting import DeployEndpointOperator, EndpointInServiceSensor
from airflow_sm_hosting.deployer import adapters, observer
from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    SideReadError,
)
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.triggers import endpoint as endpoint_trigger, poller
from tests.crashes.random_aws import BROKEN, START, WANTED, KilledError, RandomAws

READS_LAG = evidence.READS_LAG
POLL = 30.0
#: What a task takes at most from its last look to its end, in seconds, if nothing disturbs it.
LAST_CALLS = 40.0
MOST_TRIES = 4


@dataclass
class Instance:
    """The task instance of a try.

    :param try_number: Which try it is.
    """

    try_number: int
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        """Keep an XCom."""
        self.pushed[key] = value


@dataclass(frozen=True)
class Ending:
    """How a try ended.

    :param name: The name of the ending.
    :param wrong: What is false in it; empty for a true one.
    """

    name: str
    wrong: str = ""


class Aws(Protocol):
    """What answers all requests, in a time of its own: the seconds since the epoch, and since its start."""

    @property
    def now(self) -> float: ...

    elapsed: float

    def pass_by(self, seconds: float) -> None: ...
    def send(self, request: AWSPreparedRequest) -> AWSResponse: ...


@contextmanager
def virtual_time(current: Callable[[], Aws]) -> Iterator[None]:
    """Have this process tell the time by the present AWS, and send it all requests.

    :param current: Returns it.
    """

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.fromtimestamp(current().now, tz or UTC)

    def select(
        selector: Any, timeout: float | None = None, real: Any = selectors.DefaultSelector.select
    ) -> Any:
        if ready := real(selector, 0):
            return ready
        assert timeout is not None, "the event loop waits for something that never comes"
        current().pass_by(timeout)
        return []

    def inline(function: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any) -> Any:
            return function(*args)

        return call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "READS_LAG", READS_LAG)
        patch.setattr(time, "sleep", lambda seconds: current().pass_by(seconds))
        patch.setattr(time, "time", lambda: current().now)
        patch.setattr(time, "monotonic", lambda: current().elapsed)
        patch.setattr(selectors.DefaultSelector, "select", select)
        patch.setattr(Endpoint, "_send", lambda self, request: current().send(request))
        for module in (poller, endpoint_trigger):
            patch.setattr(module, "in_thread", inline)
        for module in (observer, adapters):
            patch.setattr(module, "datetime", Now)
        patch.setenv("AWS_ACCESS_KEY_ID", "AKIA0")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "no-real-secret")
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        yield


class History:
    """One history.

    :param seed: Of all that is random in it.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(f"task {seed}")
        self.aws = RandomAws(random.Random(f"aws {seed}"))
        self.kind = self._random.choice(("operator", "operator", "deferred", "deferred", "sensor"))
        self.kind += self._random.choice(("", " deferred")) if self.kind == "sensor" else ""
        self.timeout = self._random.choice((1800.0, 7200.0, 7200.0))
        self.endings: list[Ending] = []

    def run(self) -> list[Ending]:
        """Run the tries; return how each ended."""
        self.aws.hand_out_key()
        random.seed(self.seed)
        if self.kind.startswith("sensor"):
            self.aws._later(self._random.random() * 600, self._deploy)
        for number in range(1, MOST_TRIES + 1):
            is_last = number == MOST_TRIES
            if not is_last and self._random.random() < 0.4:
                self.aws.killed_at = self.aws.calls + self._random.randrange(1, 15)
            ending = self._try(number)
            self.aws.killed_at = None
            if ending is None:
                self.aws.pass_by(self._random.random() * 300)
                continue
            self.endings.append(ending)
            if ending.wrong or ending.name.startswith(
                ("update", "create", "join", "unchanged", "in service")
            ):
                break
            if self._random.random() < 0.5:
                break
            self.aws.pass_by(self._random.random() * 300)
        return self.endings

    def _deploy(self) -> None:
        if self.aws.present.status in ("InService", None) and not self.aws.present.pending:
            self.aws.deploy(WANTED, by_task=False)

    def _task(self) -> Any:
        options: dict[str, Any] = {
            "task_id": "task",
            "endpoint_name": "churn",
            "endpoint_config_name": WANTED,
            "aws_conn_id": None,
            "region_name": "us-east-1",
            "timeout": self.timeout,
            "deferrable": self.kind.endswith("deferred"),
        }
        if self.kind.startswith("sensor"):
            return EndpointInServiceSensor(**options, poke_interval=POLL)
        return DeployEndpointOperator(**options, poll_interval=POLL)

    def _try(self, number: int) -> Ending | None:
        """Run one try; return how it ended, None if it was killed."""
        instance, began, answered_before = Instance(number), self.aws.now, self.aws.answered
        context = {
            "ti": instance,
            "dag_run": SimpleNamespace(run_after=datetime.fromtimestamp(START, UTC), run_id="run"),
        }
        try:
            self._execute(self._task(), context)
        except KilledError:
            return None
        except Exception as error:
            return self._failed(error, began, answered_before)
        action = instance.pushed.get("details", {}).get("action", "in service")
        return Ending(action, self._false_success())

    def _execute(self, task: Any, context: Any) -> None:
        method: str = "execute"
        event: dict[str, Any] = {}
        while True:
            try:
                if self.kind == "sensor":
                    self._poke(task, context)
                else:
                    getattr(task, method)(context, **event)
            except TaskDeferred as deferred:
                method, event = deferred.method_name, {"event": self._event(deferred.trigger)}
                task = self._task()  # another worker goes on
            else:
                return

    def _poke(self, sensor: Any, context: Any) -> None:
        deadline = time.time() + self.timeout
        while not sensor.poke(context):
            if time.time() > deadline:
                raise AirflowSensorTimeout("timed out")
            time.sleep(POLL)

    def _event(self, trigger: Any) -> Any:
        """Wait in a triggerer, and in others after it."""
        killed_at, self.aws.killed_at = self.aws.killed_at, None
        while True:
            path, arguments = trigger.serialize()
            assert path.endswith(".EndpointTrigger")
            seconds = None if self._random.random() < 0.7 else self._random.random() * 400
            try:
                event = asyncio.run(_first_event(type(trigger)(**arguments), seconds))
            except TimeoutError:
                self.aws.pass_by(self._random.random() * 60)
                continue
            if killed_at is not None:
                self.aws.killed_at = self.aws.calls + self._random.randrange(1, 9)
            return event

    # The truth.

    def _false_success(self) -> str:
        aws, end = self.aws, self.aws.now
        begin = end - aws.lag - aws.disturbed() - LAST_CALLS
        found = aws.between(begin, end)
        if not any(state.serves(WANTED) for state in found):
            return f"false success: {aws.present}"
        changed_by_others = any(begin < at and not ours for at, _, ours in aws.accepted)
        if (
            not changed_by_others
            and not aws.present.serves(WANTED)
            and aws.present.status not in ("Deleting", None)
        ):
            return f"false success, as it went on: {aws.present}"
        return ""

    def _failed(self, error: Exception, began: float, answered_before: int) -> Ending:
        aws, end, name = self.aws, self.aws.now, type(error).__name__
        if "ExpiredToken" in str(error) and aws.answered == answered_before:
            # A worker that has not got the new credentials yet, at its first call.
            return Ending("credentials refused")
        window = aws.lag + aws.disturbed() + LAST_CALLS
        seen = aws.between(began - aws.lag, end)
        serves_all_the_time = all(state.serves(WANTED) for state in aws.between(end - window, end))
        others = [config for at, config, ours in aws.accepted if not ours]
        match error:
            case DeploymentRolledBackError():
                is_true = any(state.rolled_back == WANTED for state in aws.states)
                is_true |= bool(others) and ("another update" in str(error) or "Another tool" in str(error))
                # It was to be, and another update has brought the former config back since.
                is_true |= any(state.status == "UpdateRollbackFailed" for state in aws.states)
            case DeploymentTimeoutError() | AirflowSensorTimeout():
                window += 2 * READS_LAG + 2 * POLL
                serves_all_the_time = all(state.serves(WANTED) for state in aws.between(end - window, end))
                is_true = end >= began + self.timeout - 1
            case DeploymentFailedError():
                is_true = any(state.status in {*BROKEN, "Deleting", None} for state in seen) or bool(others)
                is_true &= "could not be described" not in str(error)
            case SideReadError():
                is_true = aws.disturbed() > 0
            case ConflictError():
                is_true = any(state.status in BROKEN for state in seen) or bool(others)
            case _:
                is_true = False
        if serves_all_the_time and not isinstance(error, SideReadError | ConflictError):
            is_true = False
        return Ending(name, "" if is_true else f"false failure: {name}: {error} ({aws.present})")


async def _first_event(trigger: Any, seconds: float | None) -> Any:
    async with asyncio.timeout(seconds):
        async for event in trigger.run():
            return event.payload
    raise AssertionError("the trigger ended without an event")


def run_histories(first_seed: int, count: int) -> tuple[Counter[str], list[str]]:
    """Run histories; return the number of each ending, and what was wrong.

    :param first_seed: The seed of the first; each further one has the next.
    :param count: How many.
    """
    endings: Counter[str] = Counter()
    wrong: list[str] = []
    present: list[RandomAws] = []
    logging.disable(logging.CRITICAL)
    try:
        with virtual_time(lambda: present[-1]):
            present.append(RandomAws(random.Random(0)))
            for seed in range(first_seed, first_seed + count):
                history = History(seed)
                present[:] = [history.aws]
                for ending in history.run():
                    endings[f"{history.kind}: {ending.name}"] += 1
                    if ending.wrong:
                        wrong.append(f"seed {seed}, {history.kind}: {ending.wrong}")
                if not history.endings:
                    endings[f"{history.kind}: killed"] += 1
                if history.aws.was_rotated:
                    # The next one begins with the first credentials, and at the first moment. A session takes 80 ms.
                    clients._SESSIONS.clear()
                    clients._CLIENTS.clear()
    finally:
        logging.disable(logging.NOTSET)
    return endings, wrong


def main() -> int:
    first_seed, count = map(int, sys.argv[1:])
    endings, wrong = run_histories(first_seed, count)
    sys.stdout.write(f"seeds {first_seed} to {first_seed + count - 1}\n")
    for name, number in sorted(endings.items()):
        sys.stdout.write(f"{number:6} {name}\n")
    sys.stdout.write("\n".join([f"{len(wrong)} wrong", *wrong[:40]]) + "\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())

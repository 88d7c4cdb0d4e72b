"""Runs of tasks that are held at any of their AWS calls for as long as a test wants, while others go on; and the time that they all have."""

from __future__ import annotations

import json
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, tzinfo
from email.utils import formatdate
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_hosting.deployer import adapters, observer
from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, SageMakerHostingHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import Outcome, Ran, event_hook, run_task

#: A run that goes on at more points than this waits for something that does not come.
MOST_POINTS = 300
#: What a run takes from one point to the next at most, in seconds of this computer.
LONGEST_STEP = 60.0
#: After so many looks one after the other a triggerer looks in vain: it sleeps, and the time that all share does not pass by itself.
SAME_LOOKS = 4
#: Calls that change nothing: after such a call, and before the one that follows it, is one point.
READS = ("Describe", "List")
DEPLOYING_CALLS = ("CreateEndpoint", "UpdateEndpoint")


class SharedTime:
    """One time for the local AWS, whose clock is virtual, and for the tasks: it passes only while somebody sleeps.

    :param aws: Whose time it is.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._aws = aws
        self.now = aws.advance(0)

    def pass_by(self, seconds: float = 0.0) -> None:
        """Let time pass, and what comes due in AWS happen."""
        self.now = self._aws.advance(max(0.0, seconds))

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Have this process tell the time by it."""
        shared = self

        class Now(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return shared.now.astimezone(tz or UTC)

        monkeypatch.setattr(time, "sleep", self.pass_by)
        monkeypatch.setattr(time, "time", lambda: shared.now.timestamp())
        monkeypatch.setattr(
            "tenacity.time", SimpleNamespace(monotonic=lambda: shared.now.timestamp(), sleep=self.pass_by)
        )
        for module in (observer, adapters):
            monkeypatch.setattr(module, "datetime", Now)


class KilledError(BaseException):
    """The worker is killed: nothing in the task may catch it."""


class HeldRun:
    """A run of a task that stops at every AWS call: before it is sent and, if it changes something, after it was answered.

    It has a connection of its own, and so clients of its own: calls of the triggerer's threads are known by that, too.

    :param name: Of the run and of its connection.
    :param task: The task, with the connection :func:`connection_id` of that name.
    :param due: The ``run_after`` of its DAG run.
    :param pass_time: Lets end what goes on in AWS: called when the task is given to the triggerer, and when that looks in vain.
    :param taken: Called with this run and the config when AWS has taken a deployment from it.
    :param try_number: Which try it is.
    """

    def __init__(
        self,
        name: str,
        task: Any,
        due: datetime,
        pass_time: Callable[[], object],
        taken: Callable[[HeldRun, str], object],
        *,
        try_number: int = 1,
    ) -> None:
        self.name = name
        #: Where it has stopped, in order: ``before UpdateEndpoint``, ``after UpdateEndpoint``.
        self.points: list[str] = []
        self.outcome: Outcome | None = None
        self.killed = self._abandoned = False
        self._ran = Ran()
        self._ran.try_number = try_number  # type: ignore[attr-defined]
        self._task, self._due, self._pass_time = task, due, pass_time
        self._taken = taken
        self._reached: queue.Queue[str | None] = queue.Queue()
        self._let_go = threading.Semaphore(0)
        self._asked_for = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def ended(self) -> bool:
        """Whether the task has ended, or was killed."""
        return self.outcome is not None or (self.killed and not self._thread.is_alive())

    def step(self) -> str | None:
        """Go on to the next point; return it, or None at the end."""
        if self.ended:
            return None
        if self.points[-SAME_LOOKS:] == SAME_LOOKS * ["before DescribeEndpoint"]:
            self._pass_time()
        if self._thread.ident:
            self._let_go.release()
        else:
            self._thread.start()
        point = self._reached.get(timeout=LONGEST_STEP)
        if point is None:
            self._thread.join()
            return None
        self.points.append(point)
        assert len(self.points) <= MOST_POINTS, f"{self.name} waits: {self.points[-10:]}"
        return point

    def go_to(self, number: int) -> bool:
        """Go on to the point of this number, from 1; return False when it ends before."""
        while len(self.points) < number:
            if self.step() is None:
                return False
        return True

    def go_on_to(self, point: str) -> None:
        """Go on to the next point of this kind."""
        while (reached := self.step()) != point:
            assert reached, f"{self.name} ended without {point}: {self.points}"

    def end(self) -> Outcome:
        """Go on to the end."""
        while self.step():
            pass
        assert self.outcome
        return self.outcome

    def kill(self) -> None:
        """Kill it where it is held."""
        self.killed = True
        assert self.step() is None

    @contextmanager
    def connected(self, aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[HeldRun]:
        """Make its connection, and hold it at its calls while the block runs."""
        connection = aws.connection()
        connection["extra"]["config_kwargs"] = {"user_agent_extra": self.name}
        monkeypatch.setenv(f"AIRFLOW_CONN_{connection_id(self.name).upper()}", json.dumps(connection))
        with ExitStack() as hooks:
            for hook in (SageMakerHostingHook, ApplicationAutoScalingHook):
                client = hook(aws_conn_id=connection_id(self.name)).conn
                hooks.enter_context(event_hook(client, "before-call", self._before))
                hooks.enter_context(event_hook(client, "after-call", self._after))
            try:
                yield self
            finally:
                if self._thread.ident and not self.ended:
                    self._give_up()

    def _give_up(self) -> None:
        """End the thread of a run that a test leaves where it is held."""
        self._abandoned = True
        for _ in range(100):
            self._let_go.release()
            self._thread.join(0.1)
            if not self._thread.is_alive():
                break

    def _run(self) -> None:
        try:
            run_task(self._task, run_after=self._due, ran=self._ran, deferred=self._pass_time)
        except KilledError:
            pass
        except Exception as error:
            self.outcome = Outcome(self._ran, error)
        else:
            self.outcome = Outcome(self._ran)
        self._reached.put(None)

    def _before(self, model: Any, params: dict[str, Any], **_: Any) -> None:
        if self.ended:
            return  # a later try has the same connection
        if model.name in DEPLOYING_CALLS:
            self._asked_for = str(json.loads(params["body"])["EndpointConfigName"])
        self._hold(f"before {model.name}")

    def _after(self, model: Any, parsed: dict[str, Any], **_: Any) -> None:
        # The local AWS dates its answers by this computer's clock.
        parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = formatdate(time.time(), usegmt=True)
        if self.ended or "Error" in parsed or model.name.startswith(READS):
            return
        if model.name in DEPLOYING_CALLS:
            self._taken(self, self._asked_for)
        self._hold(f"after {model.name}")

    def _hold(self, point: str) -> None:
        if not self._abandoned and not self.killed:
            self._reached.put(point)
            self._let_go.acquire()
        if self.killed:
            raise KilledError(point)
        if self._abandoned:
            raise RuntimeError(point)


def connection_id(name: str) -> str:
    return f"aws_{name}"

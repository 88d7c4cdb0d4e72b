"""A worker process, forked from this warm one, that runs tasks and may be killed before or after any of its AWS calls."""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, cast

from airflow.sdk import DAG

from airflow_sm_hosting.hooks import clients
from tests.crashes.tasks import Job
from tests.operators.conftest import Ran, run_task

When = Literal["before", "after"]


def run_here(jobs: Sequence[Job], values: Mapping[str, Any], due: datetime) -> dict[str, Any]:
    """Run tasks in this process; what they import and make is there in every worker that is forked from it.

    :param values: The return values of the tasks before these.
    :param due: The ``run_after`` of their DAG run.
    :returns: The return values of all of them.
    """
    done = dict(values)
    for job in jobs:
        with DAG("test", schedule=None):
            task = job.build(done)
        done[job.name] = run_task(task, run_after=due).value
    return done


@dataclass(frozen=True)
class Kill:
    """When the worker is killed.

    :param operation: An AWS operation, or a request to the registry.
    :param number: Its how many-th call in this worker, from 1.
    :param when: Before it is sent, or after it was answered.
    """

    operation: str
    number: int
    when: When


@dataclass
class Shift:
    """What a worker did before it ended.

    :param calls: The AWS calls that it began, in order.
    :param values: The return values of the tasks that succeeded.
    :param xcoms: What they pushed beside that.
    :param errors: The traceback of a task that failed; nothing was run after it.
    :param killed: Whether the worker was killed.
    """

    calls: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    xcoms: dict[str, dict[str, Any]] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    killed: bool = False


class Worker:
    """Forks workers. The clients are made here, and used there only: two processes on one connection would read each other's answers.

    :param log_file: Where the last worker's output is.
    :param deferred: Called when a task has been given to the triggerer.
    """

    def __init__(self, log_file: Path, deferred: Callable[[], object] = lambda: None) -> None:
        self.log_file = log_file
        self._deferred = deferred

    def run(
        self, jobs: Sequence[Job], values: Mapping[str, Any], due: datetime, kill: Kill | None = None
    ) -> Shift:
        """Run tasks one after another in a process of its own, until one fails, or it is killed.

        :param values: The return values of the tasks before these.
        :param due: The ``run_after`` of their DAG run.
        :param kill: When the worker is killed; None for never.
        """
        for client in clients._CLIENTS.values():
            client.close()  # keep no connection open that the worker would inherit
        gc.freeze()
        reading, writing = os.pipe()
        pid = os.fork()
        if not pid:
            os.close(reading)
            _Inside(writing, self.log_file, self._deferred, kill).work(jobs, dict(values), due)
        gc.unfreeze()
        os.close(writing)
        shift = Shift()
        with os.fdopen(reading) as told:
            for line in told:
                _take(shift, json.loads(line))
        _, status = os.waitpid(pid, 0)
        shift.killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        assert shift.killed or status == 0, (
            f"the worker ended with {status}: {self.log_file.read_text()[-2000:]}"
        )
        return shift


def _take(shift: Shift, told: dict[str, Any]) -> None:
    match told:
        case {"call": call}:
            shift.calls.append(call)
        case {"done": name, "value": value, "xcoms": xcoms}:
            shift.values[name], shift.xcoms[name] = value, xcoms
        case {"error": error}:
            shift.errors.append(error)


class _Inside:
    """The worker, seen from inside: it tells its parent what it does in lines of JSON, and never returns."""

    def __init__(
        self, writing: int, log_file: Path, deferred: Callable[[], object], kill: Kill | None
    ) -> None:
        self._writing = writing
        self._log_file = log_file
        self._deferred = deferred
        self._kill = kill
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def work(self, jobs: Sequence[Job], values: dict[str, Any], due: datetime) -> None:
        code = 1
        try:
            self._take_over()
            known = len(clients._CLIENTS)
            for job in jobs:
                self._run(job, values, due)
            assert len(clients._CLIENTS) == known, "a client was made whose calls nobody counted"
            code = 0
        except _TaskFailedError:
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _run(self, job: Job, values: dict[str, Any], due: datetime) -> None:
        ran = Ran()
        ran.try_number = job.try_number  # type: ignore[attr-defined]
        try:
            with DAG("test", schedule=None):
                task = job.build(values)
            run_task(task, run_after=due, ran=ran, deferred=self._deferred)
        except Exception as error:
            self._tell(
                error=f"{job.name}, try {job.try_number}: {''.join(traceback.format_exception(error))}"
            )
            raise _TaskFailedError from error
        values[job.name] = ran.value
        self._tell(done=job.name, value=ran.value, xcoms=ran.xcoms)

    def _take_over(self) -> None:
        log = os.open(self._log_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        # What a killed worker leaves behind is left in the test's own folder.
        tempfile.tempdir = str(self._log_file.parent)
        sys.stdout = sys.stderr = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - as long as the process
        # The parent's clients, under this process's id: making them takes longer than all the rest.
        for cache in (clients._SESSIONS, clients._CLIENTS):
            own: dict[Any, Any] = cast("dict[Any, Any]", cache)
            for (connection, *rest), made in list(own.items()):
                own[((os.getpid(), *connection[1:]), *rest)] = made
        for client in {id(client): client for client in clients._CLIENTS.values()}.values():
            client.meta.events.register_first("before-call", self._before)
            client.meta.events.register_last("after-call", self._after)
        self._count_requests_to_the_registry()

    def _count_requests_to_the_registry(self) -> None:
        """Registries are not spoken to by botocore."""
        from requests.adapters import HTTPAdapter

        send = HTTPAdapter.send

        def counted(adapter: Any, request: Any, **options: Any) -> Any:
            name = f"{request.method} registry"
            number = self._begin(name)
            response = send(adapter, request, **options)
            self._kill_at(Kill(name, number, "after"))
            return response

        HTTPAdapter.send = counted  # type: ignore[assignment, method-assign]

    def _before(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        context["number"] = self._begin(model.name)

    def _after(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        self._kill_at(Kill(model.name, context["number"], "after"))

    def _begin(self, name: str) -> int:
        with self._lock:
            self._calls[name] += 1
            number = self._calls[name]
            self._tell(call=name)
        self._kill_at(Kill(name, number, "before"))
        return number

    def _kill_at(self, here: Kill) -> None:
        if here == self._kill:
            os.kill(os.getpid(), signal.SIGKILL)

    def _tell(self, **what: Any) -> None:
        os.write(self._writing, json.dumps(what).encode() + b"\n")


class _TaskFailedError(Exception):
    """A task failed, which was told."""

"""The clients of the endpoint, and the time that passes meanwhile."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from airflow_sm_hosting.local.client.control import Control

#: Between two requests, in seconds of the virtual clock.
INTERVAL = 10
#: How long that takes, in seconds of the computer's: 100 times as fast in a hurry, else 20 times.
HURRIED, UNHURRIED = 0.1, 0.5


class Traffic:
    """Asks an endpoint every ten seconds of a virtual clock, and advances that clock; a context manager.

    :param aws: The local AWS, with a virtual clock.
    :param endpoint: The name of the endpoint.
    """

    def __init__(self, aws: Control, endpoint: str) -> None:
        self._aws = aws
        self._runtime = aws.client("sagemaker-runtime")
        self._endpoint = endpoint
        self._body: str | None = None
        self._pause = UNHURRIED
        self._ended = threading.Event()
        self._passed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._trouble: Exception | None = None
        #: Pairs of the computer's time, in seconds since the epoch, and the virtual clock's.
        self.times: list[tuple[float, datetime]] = []
        #: Numbers of requests that were answered, and the errors of those that were not.
        self.answered = 0
        self.errors: list[str] = []

    def ask_about(self, rows: list[list[float]]) -> None:
        """Begin to ask about these rows; before, only the time passes."""
        self._body = json.dumps({"instances": rows})

    def hurry(self, hurried: bool) -> None:
        """Let the time pass faster, or not any more."""
        self._pause = HURRIED if hurried else UNHURRIED

    def hurry_during(self, task_id: str) -> Callable[[str], None]:
        """Return what hurries while a task runs, if it is told which task starts."""
        return lambda started: self.hurry(started == task_id)

    def wait(self, minutes: float) -> None:
        """Wait until so many minutes have passed on the virtual clock."""
        with self._passed:
            until = self.times[-1][1].timestamp() + minutes * 60
            self._passed.wait_for(
                lambda: self._trouble or self._ended.is_set() or self.times[-1][1].timestamp() >= until
            )
        self._raise_trouble()

    def virtual(self, at: float) -> datetime:
        """Return what the virtual clock showed at a time of the computer's, in seconds since the epoch."""
        with self._passed:
            return next((virtual for real, virtual in self.times if real >= at), self.times[-1][1])

    def __enter__(self) -> Self:
        self.times.append((time.time(), self._aws.now()))
        self._thread.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        if exc_value is None:
            self._raise_trouble()

    def _raise_trouble(self) -> None:
        if self._trouble:
            raise self._trouble

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                began = time.monotonic()
                if self._body is not None:
                    self._ask(self._body)
                now = self._aws.advance(INTERVAL)
                with self._passed:
                    self.times.append((time.time(), now))
                    self._passed.notify_all()
                self._ended.wait(self._pause - (time.monotonic() - began))
        except Exception as error:
            with self._passed:
                self._trouble = error
                self._passed.notify_all()

    def _ask(self, body: str) -> None:
        from botocore.exceptions import ClientError

        try:
            answer: Any = self._runtime.invoke_endpoint(
                EndpointName=self._endpoint, ContentType="application/json", Body=body
            )
            answer["Body"].read()
        except ClientError as error:
            self.errors.append(str(error))
        else:
            self.answered += 1

"""What a task logs, in order: Airflow's own loggers and those of the standard library, at INFO and above, as Airflow's UI shows them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any

import structlog

#: Loggers of the tests' own calls and of the local AWS, which are no part of a task.
_OTHERS = ("airflow_sm_hosting.local", "werkzeug", "asyncio", "hypothesis")
#: What Airflow says of a task that a test executes.
_NO_TASK_RUNNER = "cannot be called outside of the Task Runner!"


class TaskLog(logging.Handler):
    """Collects lines such as ``INFO The deployment has begun``."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Take a line of the standard library's loggers."""
        if not record.name.startswith(_OTHERS):
            self.lines.append(f"{record.levelname:7} {record.getMessage()}")

    def __call__(self, logger: Any, method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Take a line of Airflow's loggers: a processor of structlog, the last one."""
        text, args = str(event["event"]), event.get("positional_args")
        if not text.endswith(_NO_TASK_RUNNER):
            self.lines.append(f"{method.upper():7} {text % args if args else text}")
        raise structlog.DropEvent

    @property
    def text(self) -> str:
        """The lines, without what differs from run to run: durations, digests and names of tasks."""
        return "".join(f"{normalised(line)}\n" for line in self.lines)


def normalised(line: str) -> str:
    """Return a line without durations, digests, ARNs' ids and times."""
    line = re.sub(r"\b(\d+ h )?(\d+ m )?\d+ s\b", "N s", line)
    line = re.sub(r"\b(\d+ h \d+ m)\b", "N s", line)
    line = re.sub(r"\b[0-9a-f]{10,64}\b", "<digest>", line)
    return re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)?", "<time>", line)


@contextmanager
def task_log() -> Iterator[TaskLog]:
    """Collect what is logged meanwhile."""
    found, root = TaskLog(), logging.getLogger()
    processors = structlog.get_config()["processors"]
    before, level = list(processors), root.level
    processors[:] = [found]
    root.addHandler(found)
    root.setLevel(logging.INFO)
    try:
        yield found
    finally:
        processors[:] = before
        root.removeHandler(found)
        root.setLevel(level)

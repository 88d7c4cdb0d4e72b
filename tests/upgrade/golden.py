"""The golden files: what 0.1.0 left, and how it went on from there itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from datetime import datetime
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.providers.common.compat.sdk import TaskDeferred

from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import Ran
from tests.upgrade.world import read, seen_by_users

FOLDER = Path(__file__).parent / "golden"


def load(kind: str, name: str) -> dict[str, Any]:
    """Return a golden file: of the kind ``waits``, ``kills`` or ``states``."""
    found: dict[str, Any] = json.loads((FOLDER / kind / f"{name}.json").read_text())
    return found


class Run:
    """A task, as worker and triggerer run it, one wait after another.

    :param task: The task.
    :param due: The ``run_after`` of its DAG run.
    :param try_number: Which try this is.
    """

    def __init__(self, task: Any, due: datetime, try_number: int = 1) -> None:
        self.task = task
        self.ran = Ran()
        self.ran.try_number = try_number  # type: ignore[attr-defined]
        run = SimpleNamespace(run_after=due, run_id="manual", dag_id="test")
        self.context: Any = {"ti": self.ran, "dag_run": run, "params": {}}
        task.render_template_fields(self.context)

    def execute(self) -> TaskDeferred | BaseException | None:
        """Execute it; return its wait, or what it raised."""
        return self._step(lambda: self.task.execute(self.context))

    def resume(
        self, method: str, kwargs: Mapping[str, Any] | None, event: Mapping[str, Any]
    ) -> TaskDeferred | BaseException | None:
        """Give it the event of its wait; return its next wait, or what it raised."""
        plain = json.loads(json.dumps({**(kwargs or {}), "event": event}))
        return self._step(lambda: self.task.resume_execution(method, plain, self.context))

    def finish(self, step: TaskDeferred | BaseException | None) -> BaseException | None:
        """Go through all waits that are left; return what it raised in the end."""
        while isinstance(step, TaskDeferred):
            event = first_event(*step.trigger.serialize())
            step = self.resume(step.method_name, step.kwargs, event)
        return step

    def end(self, aws: LocalAws, error: BaseException | None) -> dict[str, Any]:
        """Return how it ended: what the task told, and what a user sees at AWS."""
        details = {
            name: value for name, value in self.ran.xcoms.get("details", {}).items() if name != "seconds"
        }
        return {
            "value": self.ran.value,
            "error": error and type(error).__name__,
            "details": details,
            "seen": seen_by_users(read(aws)),
        }

    def _step(self, step: Callable[[], Any]) -> TaskDeferred | BaseException | None:
        try:
            self.ran.value = step()
        except (Exception, TaskDeferred) as deferred_or_error:
            return deferred_or_error
        return None


def first_event(path: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Make a trigger as the triggerer does, from its class path and arguments, and return the payload of its first event."""
    module, _, name = path.rpartition(".")
    trigger = getattr(import_module(module), name)(**json.loads(json.dumps(kwargs)))

    async def run() -> Any:
        async for event in trigger.run():
            return event.payload
        raise AssertionError("the trigger ended without an event")

    payload: dict[str, Any] = json.loads(json.dumps(asyncio.run(run())))
    return payload


def moved(written: Mapping[str, Any], seconds: float) -> dict[str, Any]:
    """Return a trigger's arguments, or an event's payload, as it would be had it been written so much later."""
    found = deepcopy(dict(written))
    progress = (found.get("carried") or {}).get("progress")
    for times in (found, progress or {}):
        for member in ("deadline", "started_at"):
            if member in times:
                times[member] += seconds
    return found

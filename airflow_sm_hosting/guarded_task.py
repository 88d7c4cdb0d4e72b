"""A task whose errors show no secret and link to the documentation, and that ends at once when it is killed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from airflow_sm_hosting.exceptions import SageMakerHostingError

log = logging.getLogger(__name__)

#: The methods of a task that Airflow calls: at first, and after a deferral.
ENTRY_POINTS = ("execute", "execute_complete")
#: Entry of a task's ``__dict__`` while one of them runs.
_RUNNING = "_is_running"


class TaskKilledError(BaseException):
    """Somebody ended the task. Not an ``Exception``, as ``AirflowTaskTimeout``: nothing that handles errors may go on after it."""


class GuardedTask:
    """An operator or sensor: what it raises is masked and links to the documentation, and SIGTERM ends it in whatever state it is."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ENTRY_POINTS:
            if name in vars(cls):
                setattr(cls, name, _guarded(vars(cls)[name]))

    def hidden_values(self) -> Iterable[str]:
        """Return the secret values among the task's parameters."""
        return ()

    def on_kill(self) -> None:
        """End the task: Airflow's handler of SIGTERM calls this, and then lets the task go on, and sleep for hours (task_runner.py).

        :raises TaskKilledError: While the task runs.
        """
        # Once: what cleans up after it is not interrupted.
        if self.__dict__.pop(_RUNNING, False):
            raise TaskKilledError("The task was killed (SIGTERM).")


def _guarded(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(self: GuardedTask, *args: Any, **kwargs: Any) -> Any:
        is_outermost = _RUNNING not in self.__dict__
        # Not by setattr: Airflow does more than set.
        self.__dict__[_RUNNING] = True
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            # Not at the top: every DAG file imports this module, and those patterns are compiled in milliseconds.
            from airflow_sm_hosting.spec.masking import mask_error

            mask_error(error, self.hidden_values())
            if is_outermost and isinstance(error, SageMakerHostingError):
                # Airflow's UI shows an error without its notes.
                log.error("How to resolve it: %s", error.docs_url)
            raise
        finally:
            if is_outermost:
                self.__dict__.pop(_RUNNING, None)

    return run

"""A task whose errors show no secret and are told in one line, and that ends at once when it is killed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

#: The methods of a task that Airflow calls: at first, and after a deferral.
ENTRY_POINTS = ("execute", "execute_complete")
#: Entry of a task's ``__dict__`` while one of them runs.
_RUNNING = "_is_running"


class TaskKilledError(BaseException):
    """Somebody ended the task. Not an ``Exception``, as ``AirflowTaskTimeout``: nothing that handles errors may go on after it."""


class GuardedTask:
    """An operator or sensor: what it raises is masked and told in its log, and SIGTERM ends it in whatever state it is."""

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
            if not is_outermost:
                raise
            from airflow_sm_hosting.error_log import log_error, shorten_traceback

            log_error(error)
            shorten_traceback(error)
            raise
        finally:
            if is_outermost:
                self.__dict__.pop(_RUNNING, None)

    return run

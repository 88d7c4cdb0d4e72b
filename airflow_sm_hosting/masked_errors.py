"""Errors of tasks show no secret: each method that Airflow calls masks what it raises."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any

from airflow_sm_hosting.spec.masking import mask_error

#: The methods of a task that Airflow calls: at first, and after a deferral.
ENTRY_POINTS = ("execute", "execute_complete")


class MasksErrors:
    """An operator or sensor whose errors, and those that they come from, show no hidden value and no presigned URL."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in ENTRY_POINTS:
            if name in vars(cls):
                setattr(cls, name, _masking(vars(cls)[name]))

    def hidden_values(self) -> Iterable[str]:
        """Return the secret values among the task's parameters."""
        return ()


def _masking(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def run(self: MasksErrors, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except Exception as error:
            mask_error(error, self.hidden_values())
            raise

    return run

"""Attributes of a task that change a value when it is set."""

from __future__ import annotations

from typing import Any


class StoredAttribute:
    """Base of such attributes: stores the value in the instance's ``__dict__``, where Airflow looks for it."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            return instance.__dict__[self._name]
        except KeyError:
            raise AttributeError(self._name) from None

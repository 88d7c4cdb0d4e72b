"""Environment values that must not be shown."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.spec.rules import is_rendered_later

SHOWN = "***"


class Hidden:
    """A value that shows itself as ``***`` wherever Airflow serialises, renders or logs it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value."""
        return self._value

    def serialize(self) -> str:
        """Return what rendered fields and the serialised DAG show (Airflow calls this)."""
        return SHOWN

    def __repr__(self) -> str:
        return SHOWN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


class HidesEnvironments:
    """A template field whose containers' environment values are hidden as soon as they are known.

    Airflow renders a template field by setting it, for mapped tasks too, so the descriptor sees every value before anything shows it.
    Values that Airflow fills in later are left to be rendered first.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}_hidden"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        try:
            return getattr(instance, self._name)
        except AttributeError:
            raise AttributeError(self._name.removeprefix("_").removesuffix("_hidden")) from None

    def __set__(self, instance: Any, value: Any) -> None:
        object.__setattr__(instance, self._name, hide_environments(value))


def hide_environments(containers: Any) -> Any:
    """Return containers with the values of their environments hidden; what is not known yet stays as it is."""
    if isinstance(containers, list | tuple):
        return [hide_environments(container) for container in containers]
    if isinstance(containers, dict) and isinstance(containers.get("Environment"), dict):
        environment = {
            key: Hidden(str(value)) if _is_plain(value) else value
            for key, value in containers["Environment"].items()
        }
        return {**containers, "Environment": environment}
    return containers


def reveal_environments(value: Any) -> Any:
    """Return a copy of a rendered value with everything hidden in it revealed, for the AWS request."""
    if isinstance(value, Hidden):
        return value.reveal()
    if isinstance(value, dict):
        return {key: reveal_environments(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal_environments(item) for item in value]
    return value


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not is_rendered_later(value)

"""Environment values that must not be shown."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.spec.attributes import StoredAttribute
from airflow_sm_hosting.spec.checks import is_rendered_later

SHOWN = "***"


class Hidden:
    """A value that shows itself as ``***`` wherever Airflow serialises, renders or logs it."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def reveal(self) -> Any:
        """Return the value."""
        return self._value

    def serialize(self) -> str:
        """Return the text for rendered fields and the serialised DAG (Airflow calls this)."""
        return SHOWN

    def __repr__(self) -> str:
        return SHOWN

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hidden) and other._value == self._value

    def __hash__(self) -> int:
        return hash(SHOWN)


class HidesValues(StoredAttribute):
    """A template field that hides the values of a dict after rendering; see :class:`HidesEnvironments`."""

    def __set__(self, instance: Any, value: Any) -> None:
        rendered = self._name in instance.__dict__
        instance.__dict__[self._name] = hide_values(value, rendered=True) if rendered else value


class HidesEnvironments(StoredAttribute):
    """A template field that hides all environment values of its containers after rendering.

    The constructor sets the field first; Airflow sets it again with the rendered value, for mapped tasks too, before the value is shown.
    The constructor's value is stored unchanged: Airflow recognises values from upstream, which it must not render, by identity.
    """

    def __set__(self, instance: Any, value: Any) -> None:
        rendered = self._name in instance.__dict__
        instance.__dict__[self._name] = hide_environments(value, rendered=True) if rendered else value


class HidesSpecifications(StoredAttribute):
    """A template field that hides the environment values of inference components' containers; see :class:`HidesEnvironments`."""

    def __set__(self, instance: Any, value: Any) -> None:
        rendered = self._name in instance.__dict__
        instance.__dict__[self._name] = hide_specifications(value, rendered=True) if rendered else value


def hide_specifications(specifications: Any, *, rendered: bool = False) -> Any:
    """Return specifications of inference components, or one, with the values of their containers' environments hidden.

    :param specifications: The specifications.
    :param rendered: Whether all values are known; otherwise values that Airflow renders later stay unchanged.
    """
    if isinstance(specifications, list | tuple):
        return [hide_specifications(one, rendered=rendered) for one in specifications]
    if not isinstance(specifications, dict) or not isinstance(specifications.get("Container"), dict):
        return specifications
    return {
        **specifications,
        "Container": hide_environments(specifications["Container"], rendered=rendered),
    }


def specification_values(specifications: Any) -> set[str]:
    """Return the values of the environments of inference components' containers: what must not be shown."""
    several = specifications if isinstance(specifications, list | tuple) else [specifications]
    return environment_values([one.get("Container") for one in several if isinstance(one, dict)])


def hide_environments(containers: Any, *, rendered: bool = False) -> Any:
    """Return containers with the values of their environments hidden.

    :param containers: Containers, or one.
    :param rendered: Whether all values are known; otherwise values that Airflow renders later stay unchanged.
    """
    if isinstance(containers, list | tuple):
        return [hide_environments(container, rendered=rendered) for container in containers]
    if not isinstance(containers, dict) or not containers.get("Environment"):
        return containers
    return {**containers, "Environment": hide_values(containers["Environment"], rendered=rendered)}


def hide_values(values: Any, *, rendered: bool = False) -> Any:
    """Return a dict with its values hidden, anything else hidden as a whole.

    :param values: The dict.
    :param rendered: Whether all values are known; otherwise values that Airflow renders later stay unchanged.
    """
    if not isinstance(values, dict):
        later = values is None or isinstance(values, Hidden) or (not rendered and is_rendered_later(values))
        return values if later else Hidden(values)
    return {
        key: value
        if isinstance(value, Hidden) or (not rendered and is_rendered_later(value))
        else Hidden(str(value) if isinstance(value, str | int | float) else value)
        for key, value in values.items()
    }


def reveal_environments(value: Any) -> Any:
    """Return a copy of a rendered value with its hidden values revealed, for the AWS request."""
    if isinstance(value, Hidden):
        return value.reveal()
    if isinstance(value, dict):
        return {key: reveal_environments(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal_environments(item) for item in value]
    return value


def environment_values(containers: Any) -> set[str]:
    """Return the values of the environments of containers, or of one: what must not be shown."""
    if isinstance(containers, list | tuple):
        return {value for container in containers for value in environment_values(container)}
    return hidden_values(containers.get("Environment") if isinstance(containers, dict) else None)


def hidden_values(values: Any) -> set[str]:
    """Return the values of a dict, hidden or not, as texts that must not be shown."""
    revealed = reveal_environments(values)
    return {str(value) for value in revealed.values()} if isinstance(revealed, dict) else set()

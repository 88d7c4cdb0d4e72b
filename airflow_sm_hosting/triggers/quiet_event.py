"""The event of a trigger: Airflow logs it as it is, so that its payload is shown by what came of the wait alone."""

from __future__ import annotations

from typing import Any

from airflow.triggers.base import TriggerEvent


class _QuietPayload(dict[str, Any]):
    """A payload that is shown as one word; its members are those of any dict."""

    def __init__(self, payload: dict[str, Any], shown: str) -> None:
        super().__init__(payload)
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def quiet_event(payload: dict[str, Any], shown: str) -> TriggerEvent:
    """Return an event whose line in the log ("Trigger fired event") is short.

    :param payload: The payload, plain JSON.
    :param shown: What the line shows of it.
    """
    return TriggerEvent(_QuietPayload(payload, shown))

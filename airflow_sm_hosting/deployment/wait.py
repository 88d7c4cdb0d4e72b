"""A wait as plain data: what it is for, and how it ended. It travels with a deferred task.

The members and their names are those of version 0.1.0. A member that a later version added is written only where it is set, and one that
this version does not know is ignored: tasks may wait while the package is upgraded.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any


class WaitFor(StrEnum):
    """What a wait is for."""

    #: The deployment that was started or joined has ended.
    DEPLOYED = "deployed"
    #: The endpoint is in service, whoever deploys it.
    IN_SERVICE = "in_service"
    #: Whatever goes on at the endpoint has ended.
    SETTLED = "settled"
    #: The endpoint that was deleted is gone.
    GONE = "gone"
    #: The endpoint's variants have certain instance counts.
    COUNTED = "counted"


class Outcome(StrEnum):
    """How a wait stands."""

    PENDING = "pending"
    #: What was waited for has come about.
    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    #: The time budget ended first.
    TIMED_OUT = "timed_out"
    #: AWS refused to describe the endpoint, and waiting does not change that.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class WaitCondition:
    """What ends a wait.

    :param until: What is waited for.
    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that is to serve; None for any.
    :param modified_before: ``LastModifiedTime`` before the call, in ISO format; None for a new or a joined endpoint.
    :param begun: Whether the deployment was seen to begin. Right after UpdateEndpoint a describe may still answer the state before it,
        which is no rollback.
    :param instance_counts: Instance counts by variant, for :attr:`WaitFor.COUNTED`.
    :param give_up_at: When this wait ends at the latest, in seconds since the epoch, before the task's own deadline; None for that one.
    """

    until: WaitFor
    endpoint_name: str
    endpoint_config_name: str | None = None
    modified_before: str | None = None
    begun: bool = False
    instance_counts: Mapping[str, int] = field(default_factory=dict)
    give_up_at: float | None = None

    def serialize(self) -> dict[str, Any]:
        """Return the condition as plain JSON."""
        written: dict[str, Any] = {
            "until": str(self.until),
            "endpoint_name": self.endpoint_name,
            "endpoint_config_name": self.endpoint_config_name,
            "modified_before": self.modified_before,
            "begun": self.begun,
            "instance_counts": dict(self.instance_counts),
        }
        return written if self.give_up_at is None else {**written, "give_up_at": self.give_up_at}

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> WaitCondition:
        """Return the condition that :meth:`serialize`, of this version or another, wrote."""
        known = known_fields(cls, data)
        return cls(**{**known, "until": WaitFor(known["until"])})


@dataclass(frozen=True)
class WaitResult:
    """How a wait ended, in plain values: the payload of the trigger's event.

    :param outcome: An :class:`Outcome` that is not pending.
    :param message: A sentence for the log or the error, the same for both kinds of wait.
    :param described: Of the last description: EndpointArn, EndpointConfigName, FailureReason and LastModifiedTime (ISO format).
    """

    outcome: str
    message: str
    described: Mapping[str, str] = field(default_factory=dict)

    def serialize(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        return {"outcome": self.outcome, "message": self.message, "described": dict(self.described)}

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> WaitResult:
        """Return the result that :meth:`serialize`, of this version or another, wrote."""
        return cls(**known_fields(cls, data))


def known_fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of plain data that a dataclass has; another version may have written others.

    :param cls: The dataclass.
    :param data: What was read.
    """
    names = {one.name for one in fields(cls)}
    return {name: value for name, value in data.items() if name in names}

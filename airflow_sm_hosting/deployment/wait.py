"""A wait as plain data: its condition and its result. Both are saved while a task is deferred.

The members and their names are those of version 0.1.0. Members added later are written only if they are set, and unknown members are
ignored: tasks may wait while the package is upgraded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.status import Kind


class WaitFor(StrEnum):
    """The goal of a wait."""

    #: The started or joined deployment has ended.
    DEPLOYED = "deployed"
    #: The endpoint is in service; anybody may deploy it.
    IN_SERVICE = "in_service"
    #: No change of the endpoint is in progress any more.
    SETTLED = "settled"
    #: The deleted endpoint is gone.
    GONE = "gone"
    #: The endpoint's variants have the given instance counts and weights.
    COUNTED = "counted"
    #: The endpoint is not as the last deployment left it.
    DRIFTED = "drifted"


class Outcome(StrEnum):
    """The state of a wait."""

    PENDING = "pending"
    #: The goal is reached.
    DEPLOYED = "deployed"
    ROLLED_BACK = "rolled_back"
    FAILED = "failed"
    #: The time budget ended first.
    TIMED_OUT = "timed_out"
    #: AWS refused to describe the endpoint, and waiting does not help.
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class WaitCondition:
    """The condition that ends a wait.

    :param until: The goal.
    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that should serve; None for any.
    :param modified_before: ``LastModifiedTime`` before the call, in ISO format; None for a new or a joined endpoint.
    :param begun: Whether a description has shown that the deployment began. Right after UpdateEndpoint, a describe call may still answer
        the state before, which is not a rollback.
    :param instance_counts: Instance counts by variant, for :attr:`WaitFor.COUNTED`.
    :param not_before: ``LastModifiedTime`` of the awaited deployment's first state at the earliest, in ISO format: an older description shows
        a state from before it. None if that is not known.
    :param weights: Weights by variant, for :attr:`WaitFor.COUNTED`; given if the traffic was shifted.
    :param rollout: The ``DeploymentConfig`` of the deployment, for :attr:`WaitFor.DEPLOYED`; None if it has no stages to tell of.
    :param created_at: ``CreationTime`` of the endpoint whose end is awaited (:attr:`WaitFor.GONE`), in ISO format; None if that is not known.
    :param give_up_at: Latest end of this wait, in seconds since the epoch, before the task's own deadline; None for the deadline.
    :param kind: The kind of the resource: ``endpoint_name`` is its name, ``endpoint_config_name`` that of what it should serve.
    :param specifications: The specifications of an inference component that should serve, in comparable form; none for any.
    """

    until: WaitFor
    endpoint_name: str
    endpoint_config_name: str | None = None
    modified_before: str | None = None
    begun: bool = False
    instance_counts: Mapping[str, int] = field(default_factory=dict)
    give_up_at: float | None = None
    not_before: str | None = None
    created_at: str | None = None
    kind: Kind = Kind.ENDPOINT
    specifications: tuple[Mapping[str, Any], ...] = ()
    weights: Mapping[str, float] = field(default_factory=dict)
    rollout: Mapping[str, Any] | None = None

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
        later = {
            "give_up_at": self.give_up_at,
            "not_before": self.not_before,
            "created_at": self.created_at,
            "kind": None if self.kind is Kind.ENDPOINT else str(self.kind),
            "specifications": [dict(one) for one in self.specifications] or None,
            "weights": dict(self.weights) or None,
            "rollout": dict(self.rollout) if self.rollout else None,
        }
        return {**written, **{member: value for member, value in later.items() if value is not None}}

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> WaitCondition:
        """Read the output of :meth:`serialize`, of this version or another, as a condition."""
        known = known_fields(cls, data)
        return cls(
            **{
                **known,
                "until": WaitFor(known["until"]),
                "kind": Kind(known.get("kind") or Kind.ENDPOINT),
                "specifications": tuple(known.get("specifications") or ()),
            }
        )


@dataclass(frozen=True)
class WaitResult:
    """The result of a wait in plain values: the payload of the trigger's event.

    :param outcome: An :class:`Outcome` that is not pending.
    :param message: A sentence for the log or the error, the same for both kinds of wait.
    :param described: From the last description: EndpointName, EndpointArn, EndpointConfigName, FailureReason and LastModifiedTime (ISO format).
    :param timings: Name and seconds of each stage that the wait has seen, in order.
    """

    outcome: str
    message: str
    described: Mapping[str, str] = field(default_factory=dict)
    timings: Sequence[Sequence[Any]] = ()

    def serialize(self) -> dict[str, Any]:
        """Return the result as plain JSON."""
        written = {"outcome": self.outcome, "message": self.message, "described": dict(self.described)}
        # Only if there are some: versions before have none.
        return {**written, "timings": [list(one) for one in self.timings]} if self.timings else written

    @classmethod
    def deserialize(cls, data: Mapping[str, Any]) -> WaitResult:
        """Read the output of :meth:`serialize`, of this version or another, as a result."""
        return cls(**known_fields(cls, data))


def known_fields(cls: type, data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members of plain data that a dataclass has; another version may have written more.

    :param cls: The dataclass.
    :param data: The data.
    """
    names = {one.name for one in fields(cls)}
    return {name: value for name, value in data.items() if name in names}

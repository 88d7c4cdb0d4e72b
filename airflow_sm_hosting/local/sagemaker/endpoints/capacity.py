"""The instances that AWS has: any number, unless the capacity is limited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

# aws/deep-learning-containers#6711 and many others quote it; the second half is told since 2026.
_INSUFFICIENT = (
    "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a different "
    "ML instance type or after some time. Consider configuring InstancePools in your EndpointConfig with multiple instance types for "
    "priority-based fallback to alternate instance types."
)


class InsufficientCapacity(Exception):
    """There are not enough instances; the message is a ``FailureReason``."""


class Shortages(Protocol):
    """Source of simulated capacity shortages: :class:`airflow_sm_hosting.local.server.faults.Faults`."""

    def most_instances(self, instance_type: str) -> int | None:
        """Return how many instances of a type one request can take, None if there is no shortage."""

    def refused(self, instance_type: str) -> None:
        """Record that a request was refused for a shortage of a type."""


class Capacity:
    """The remaining capacity, by instance type. Every instance of an endpoint is taken from it.

    Capacity that an endpoint releases is not available again.

    :param shortages: Source of more shortages.
    :param failure: The ``FailureReason`` of a shortage.
    """

    def __init__(self, shortages: Shortages | None = None, failure: str = _INSUFFICIENT) -> None:
        self._shortages = shortages
        self._failure = failure
        self._left: dict[str, int] = {}

    def limit(self, instance_type: str, instances: int) -> None:
        """Limit the remaining capacity of an instance type."""
        self._left[instance_type] = instances

    def take(self, instance_types: Sequence[str], instances: int) -> str | None:
        """Take instances of the first type that has enough of them, and return that type.

        :param instance_types: In order of preference; none for a serverless variant.
        :param instances: How many.
        :raises InsufficientCapacity: No type has enough.
        """
        if instances <= 0 or not instance_types:
            return None
        for instance_type in instance_types:
            left = self._left.get(instance_type)
            if self._is_short(instance_type, instances):
                continue
            if left is None or left >= instances:
                if left is not None:
                    self._left[instance_type] = left - instances
                return instance_type
        raise InsufficientCapacity(self._failure)

    def _is_short(self, instance_type: str, instances: int) -> bool:
        if self._shortages is None:
            return False
        most = self._shortages.most_instances(instance_type)
        if most is None or instances <= most:
            return False
        self._shortages.refused(instance_type)
        return True

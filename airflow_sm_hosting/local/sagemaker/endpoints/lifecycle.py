"""The status of an endpoint or an inference component, and when and why it changed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta

from airflow_sm_hosting.local.clock import Clock

LOG = logging.getLogger(__name__)

# DescribeEndpoint's FailureReason has at most 1024 characters.
_MAX_REASON = 1024


class Lifecycle:
    """Status, times and failure of one resource.

    :param kind: ``endpoint`` or ``inference component``, for the log.
    :param name: The resource's name.
    :param clock: The clock.
    :param statuses: The resource's own words for statuses of an endpoint.
    """

    def __init__(self, kind: str, name: str, clock: Clock, statuses: Mapping[str, str] | None = None) -> None:
        self._kind = kind
        self._name = name
        self._clock = clock
        self._statuses = statuses or {}
        self.status = "Creating"
        self.failure_reason: str | None = None
        self.created = self.modified = clock.now()
        #: Called after each change of the status.
        self.on_change: Callable[[], None] = lambda: None

    def move_to(self, status: str) -> None:
        """Change the status."""
        status = self._statuses.get(status, status)
        LOG.info("%s %s: %s -> %s", self._kind, self._name, self.status, status)
        self.status = status
        # Never the same twice, though a virtual clock stands still: a caller that polls sees by it that something changed.
        self.modified = max(self._clock.now(), self.modified + timedelta(milliseconds=1))
        self.on_change()

    def fail(self, reason: str) -> None:
        """Record why something went wrong."""
        self.failure_reason = reason[:_MAX_REASON]
        LOG.warning("%s %s: %s", self._kind, self._name, self.failure_reason)

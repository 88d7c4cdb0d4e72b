"""The request log: service, operation and result of each request, never its content."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from airflow_sm_hosting.local.clock import Clock

# A day of polling; the oldest entries go first.
_MAX_ENTRIES = 100_000


# Requests that differ in number and time only share what they have in common; so many of these are remembered.
_MAX_SHARED = 10_000


class _Answered(NamedTuple):
    """A request without its number and time."""

    service: str
    operation: str
    mutating: bool
    status: int
    error: str | None
    resource: str | None
    faults: tuple[str, ...]


class RequestLog:
    """The requests since the start or the last ``clear``, in the order of their answers.

    Bodies, environments and query strings are never kept.

    :param clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Side by side, as a dict for each request would take ten times the memory.
        self._answered: deque[_Answered] = deque(maxlen=_MAX_ENTRIES)
        self._times: deque[datetime] = deque(maxlen=_MAX_ENTRIES)
        self._shared: dict[_Answered, _Answered] = {}
        self._last_number = 0
        self._lock = threading.Lock()

    def add(
        self,
        *,
        service: str,
        operation: str,
        mutating: bool,
        status: int,
        error: str | None,
        resource: str | None,
        faults: Sequence[str] = (),
    ) -> None:
        """Add one answered request.

        :param faults: The kinds of the faults that hit it.
        """
        answered = _Answered(service, operation, mutating, status, error, resource, tuple(faults))
        with self._lock:
            if len(self._shared) >= _MAX_SHARED:
                self._shared.clear()
            self._answered.append(self._shared.setdefault(answered, answered))
            self._times.append(self._clock.now())
            self._last_number += 1

    def entries(self) -> list[dict[str, Any]]:
        """Return the entries, oldest first."""
        with self._lock:
            found, last = list(zip(self._times, self._answered, strict=True)), self._last_number
        first = last - len(found) + 1
        return [
            {
                "number": number,
                "time": time.isoformat(),
                **answered._asdict(),
                "faults": list(answered.faults),
            }
            for number, (time, answered) in enumerate(found, first)
        ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many requests of each operation there are, of the ``mutating`` and of the ``reading`` ones."""
        with self._lock:
            found = Counter((one.mutating, one.operation) for one in self._answered)
        return {
            member: {operation: n for (changes, operation), n in found.items() if changes is mutating}
            for member, mutating in (("mutating", True), ("reading", False))
        }

    def clear(self) -> None:
        """Forget the entries; the numbers continue."""
        with self._lock:
            self._answered.clear()
            self._times.clear()
            self._shared.clear()

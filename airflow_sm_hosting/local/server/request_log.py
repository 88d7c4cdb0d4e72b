"""What was asked of the server: who did what, never with which content."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

from airflow_sm_hosting.local.clock import Clock

# A day of polling; the oldest entries go first.
_MAX_ENTRIES = 100_000


class RequestLog:
    """The requests since the start or the last ``clear``, in the order of their answers.

    Bodies, environments and query strings are never kept.

    :param clock: What tells their times.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: deque[dict[str, Any]] = deque(maxlen=_MAX_ENTRIES)
        self._numbers = itertools.count(1)
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
        """Note one answered request.

        :param faults: The kinds of the faults that hit it.
        """
        with self._lock:
            self._entries.append(
                {
                    "number": next(self._numbers),
                    "time": self._clock.now().isoformat(),
                    "service": service,
                    "operation": operation,
                    "mutating": mutating,
                    "status": status,
                    "error": error,
                    "resource": resource,
                    "faults": list(faults),
                }
            )

    def entries(self) -> list[dict[str, Any]]:
        """Return the entries, oldest first."""
        with self._lock:
            return list(self._entries)

    def counts(self) -> dict[str, dict[str, int]]:
        """Return how many requests of each operation there are, of the ``mutating`` and of the ``reading`` ones."""
        with self._lock:
            found = Counter((entry["mutating"], entry["operation"]) for entry in self._entries)
        return {
            member: {operation: n for (changes, operation), n in found.items() if changes is mutating}
            for member, mutating in (("mutating", True), ("reading", False))
        }

    def clear(self) -> None:
        """Forget the entries; numbers go on."""
        with self._lock:
            self._entries.clear()

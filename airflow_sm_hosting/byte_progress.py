"""How far a transfer is, in the task's log."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

#: Seconds until the first line, and between lines.
FIRST, EVERY = 10.0, 30.0


class Log(Protocol):
    """The methods of a logger that are used here."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """Log a line, with its arguments apart."""


class ByteProgress:
    """Logs a line after ten seconds and then every thirty, and one at the end; several threads may add to it.

    :param log: Logger of the task; None logs nothing.
    :param title: What is done to what, e.g. ``Uploading s3://…``.
    :param total: Bytes in all.
    :param clock: Returns seconds.
    """

    def __init__(
        self, log: Log | None, title: str, total: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._title = title
        self._total = total
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._next = self._began + FIRST
        self._done = 0

    def expect(self, count: int) -> None:
        """Add to the bytes in all, where they are not known at first.

        :param count: The bytes.
        """
        with self._lock:
            self._total += count

    def add(self, count: int) -> None:
        """Count bytes; fewer than none where some are sent again.

        :param count: The bytes.
        """
        with self._lock:
            self._done += count
            now = self._clock()
            if self._log is None or now < self._next:
                return
            self._next = now + EVERY
            done, seconds = min(self._done, self._total), now - self._began
        rate = max(done, 0) / seconds
        left = f"{_duration((self._total - done) / rate)} left" if rate else "not begun"
        percent = 100 * done / self._total if self._total else 100
        self._log.info(
            "%s: %s of %s (%.0f %%), %s/s, %s",
            *(self._title, size_of(done), size_of(self._total), percent, size_of(rate), left),
        )

    def end(self) -> None:
        """Log that it is done: size, time and rate."""
        if self._log is None:
            return
        seconds = self._clock() - self._began
        rate = size_of(self._total / seconds) if seconds else "∞ MB"
        self._log.info(
            "%s: done, %s in %s (%s/s)", self._title, size_of(self._total), _duration(seconds), rate
        )


def size_of(count: float) -> str:
    """Return bytes in words, as S3 and networks count them: 1 MB is a million.

    :param count: The bytes.
    """
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min {rest} s"

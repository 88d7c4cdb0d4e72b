"""Clocks: the computer's, and a virtual one that stands still until it is advanced.

The local AWS takes the time from a clock. It never blocks a thread to wait for a time: it has the clock call a function then.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

LOG = logging.getLogger(__name__)

NAMES = ("real", "virtual")


class Timer:
    """A function that is to be called later, once."""

    __slots__ = ("_function",)

    def __init__(self, function: Callable[[], object]) -> None:
        self._function: Callable[[], object] | None = function

    def cancel(self) -> None:
        """Do not call it; after it was called, this does nothing."""
        self._function = None

    def call(self) -> None:
        """Call it, unless it was cancelled; what it raises is logged."""
        function, self._function = self._function, None
        if function is None:
            return
        try:
            function()
        except Exception:
            LOG.exception("%r failed", function)


class _Timers:
    """Timers by due time; of the same time, the older first."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._numbers = itertools.count()

    def add(self, due: float, timer: Timer) -> None:
        heapq.heappush(self._heap, (due, next(self._numbers), timer))

    def next_due(self) -> float | None:
        return self._heap[0][0] if self._heap else None

    def pop(self) -> Timer:
        return heapq.heappop(self._heap)[2]

    def clear(self) -> None:
        for _, _, timer in self._heap:
            timer.cancel()
        self._heap.clear()


class Clock(ABC):
    """Clock: the current time, and timers.

    :cvar name: ``real`` or ``virtual``.
    """

    name: str

    @abstractmethod
    def now(self) -> datetime:
        """Return the time, in UTC, to the millisecond as AWS has it."""

    @abstractmethod
    def call_later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a function after this number of seconds of the clock (0 and less: at once), on a thread of the clock."""

    @abstractmethod
    def run(self, function: Callable[[], object]) -> None:
        """Run work of unknown length in the background, such as starting a container.

        It must not wait for the clock: a virtual one waits for it.
        """

    @abstractmethod
    def clear(self) -> None:
        """Forget all timers."""

    @abstractmethod
    def close(self) -> None:
        """Stop calling functions."""


class RealClock(Clock):
    """The computer's clock."""

    name = "real"

    def __init__(self) -> None:
        self._timers = _Timers()
        self._changed = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None

    def now(self) -> datetime:
        """Return the computer's time."""
        return to_millisecond(datetime.now(UTC))

    def call_later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a function after this number of seconds, on its own thread."""
        timer = Timer(function)
        with self._changed:
            self._timers.add(time.monotonic() + seconds, timer)
            if self._thread is None:
                self._thread = threading.Thread(target=self._call_due, name="clock", daemon=True)
                self._thread.start()
            self._changed.notify()
        return timer

    def run(self, function: Callable[[], object]) -> None:
        """Call a function now, on its own thread."""
        threading.Thread(target=Timer(function).call, name="work", daemon=True).start()

    def clear(self) -> None:
        """Forget all timers."""
        with self._changed:
            self._timers.clear()

    def close(self) -> None:
        """End the thread that calls."""
        with self._changed:
            self._closed = True
            self._changed.notify()

    def _call_due(self) -> None:
        with self._changed:
            while not self._closed:
                due = self._timers.next_due()
                left = None if due is None else due - time.monotonic()
                if left is None or left > 0:
                    self._changed.wait(left)
                else:
                    self.run(self._timers.pop().call)


class VirtualClock(Clock):
    """A clock that only :meth:`advance` moves.

    :param start: Its first time; default: the last full hour, so that the periods of metrics lie the same in every run.
    """

    name = "virtual"

    def __init__(self, start: datetime | None = None) -> None:
        self._start = start or datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        # Whole microseconds: sums of them are exact.
        self._passed = 0
        self._timers = _Timers()
        self._changed = threading.Condition()
        self._working = 0
        self._advancing = threading.RLock()
        self._closed = False

    def now(self) -> datetime:
        """Return the time to which it was advanced."""
        return to_millisecond(self._start + timedelta(microseconds=self._passed))

    def call_later(self, seconds: float, function: Callable[[], object]) -> Timer:
        """Call a function when the clock has been advanced so far, on the thread that advances it."""
        timer = Timer(function)
        if seconds <= 0:
            self.run(timer.call)
        else:
            with self._changed:
                self._timers.add(self._passed + _microseconds(seconds), timer)
        return timer

    def run(self, function: Callable[[], object]) -> None:
        """Call a function now, on its own thread; no virtual time passes until it has ended."""
        with self._changed:
            self._working += 1
        threading.Thread(target=self._work, args=(Timer(function),), name="work", daemon=True).start()

    def advance(self, seconds: float) -> None:
        """Advance the time, and call what comes due on the way, in order of time.

        Before each call, and at the end, it waits until the work in the background has ended. 0 waits for that work only.
        """
        with self._advancing:
            end = self._passed + _microseconds(seconds)
            while (timer := self._next(end)) is not None:
                timer.call()

    def clear(self) -> None:
        """Forget all timers, and advance to the next full hour."""
        with self._advancing, self._changed:
            self._timers.clear()
            now = self._start + timedelta(microseconds=self._passed)
            past_the_hour = timedelta(minutes=now.minute, seconds=now.second, microseconds=now.microsecond)
            self._passed += -past_the_hour % timedelta(hours=1) // timedelta(microseconds=1)

    def resume_from(self, now: datetime) -> None:
        """Set the time of a restored state, unless it is past; no timer is called."""
        with self._advancing, self._changed:
            self._passed = max(self._passed, (now - self._start) // timedelta(microseconds=1))

    def close(self) -> None:
        """Stop calling functions."""
        with self._changed:
            self._closed = True
            self._timers.clear()
            self._changed.notify_all()

    def _next(self, end: int) -> Timer | None:
        """Move on to the next timer that is due until ``end`` and return it, or move to ``end``."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or not self._working)
            due = self._timers.next_due()
            if due is None or due > end:
                self._passed = end
                return None
            self._passed = int(due)
            return self._timers.pop()

    def _work(self, work: Timer) -> None:
        try:
            work.call()
        finally:
            with self._changed:
                self._working -= 1
                self._changed.notify_all()


def make_clock(name: str) -> Clock:
    """Return a clock by its name.

    :raises ValueError: There is no such clock.
    """
    if name not in NAMES:
        raise ValueError(f"There is no clock {name!r}; allowed: {' and '.join(NAMES)}.")
    return RealClock() if name == "real" else VirtualClock()


def _microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)


def to_millisecond(at: datetime) -> datetime:
    """Cut a time to the millisecond."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000)

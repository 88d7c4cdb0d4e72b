"""Decide when the poller may call AWS, and which operation: arithmetic only; the caller passes in times and random numbers."""

from __future__ import annotations

from collections.abc import Mapping

#: Pause in seconds after the first refused or failed call of a series; each further one doubles it, up to the maximum.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0

#: Factor of the rate after a fault, share of the full rate that a success restores, and minimum share of the full rate.
SLOWER, FASTER, SLOWEST = 0.5, 0.05, 0.05

#: An interval is shortened by up to this share, so that pollers which began together do not stay in step.
JITTER = 0.1

ROUNDING = 1e-6


class TokenBucket:
    """Limits the rate of one operation.

    In any period there are at most ``burst + rate * seconds`` calls. A fault (throttling, the service, the connection) halves the rate and
    pauses the next call, longer each time; successes restore the rate.

    :param rate: Sustained calls a second.
    :param burst: Calls allowed at once after a pause, 1 or more.
    :param now: The time, in seconds of a clock that never goes back.
    """

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self.full_rate = rate
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._counted_at = now
        self._closed_until = now
        self._faults = 0

    @property
    def faults(self) -> int:
        """The number of failed calls since the last success."""
        return self._faults

    @property
    def rate(self) -> float:
        """The calls a second that are allowed now."""
        return self._rate

    def wait(self, now: float) -> float:
        """Return the seconds until a call is allowed, 0 if one is allowed now."""
        self._count(now)
        missing = 1.0 - self._tokens
        # n times 1/n of a token may be slightly less than one.
        return max(0.0, self._closed_until - now, missing / self._rate if missing > ROUNDING else 0.0)

    def take(self, now: float, calls: float = 1.0) -> None:
        """Count calls, also calls made without asking: the bucket may go below zero."""
        self._count(now)
        self._tokens -= calls

    def succeeded(self) -> None:
        """Note that AWS answered."""
        self._faults = 0
        self._rate = min(self.full_rate, self._rate + FASTER * self.full_rate)

    def failed(self, now: float, chance: float) -> None:
        """Note that AWS refused temporarily, or did not answer.

        :param chance: A random number from 0 to 1: the pause is between half of it and all of it.
        """
        self._count(now)
        self._faults += 1
        self._rate = max(SLOWEST * self.full_rate, SLOWER * self._rate)
        pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(self._faults - 1, 30))
        self._closed_until = max(self._closed_until, now + pause * (1 + chance) / 2)

    def _count(self, now: float) -> None:
        earned = max(0.0, now - self._counted_at) * self._rate
        self._tokens = min(self._burst, self._tokens + earned)
        self._counted_at = max(now, self._counted_at)


def jittered(interval: float, chance: float) -> float:
    """Return an interval shortened by a random part, never lengthened: a wait is polled at least as often as requested.

    :param interval: Seconds.
    :param chance: A random number from 0 to 1.
    """
    return interval * (1.0 - JITTER * chance)


def sweep_period(
    intervals: Mapping[float, int], pages: int, *, lists_per_second: float, describes_per_second: float
) -> float | None:
    """Return the interval for listing all endpoints, in seconds; None to describe each awaited endpoint instead.

    A sweep (all pages of a list) every T seconds serves all endpoints with a poll interval of T seconds or more; the others are described.
    Of all T, and no sweep, the function chooses the fewest calls that the rates allow, and a sweep only if it is cheaper than describing;
    if the rates allow none, the one that exceeds them least.

    :param intervals: The number of endpoints by poll interval in seconds.
    :param pages: The number of calls of a sweep.
    :param lists_per_second: Allowed ListEndpoints calls a second, 0 for none.
    :param describes_per_second: Allowed DescribeEndpoint calls a second.
    """
    described = sum(count / interval for interval, count in intervals.items())
    best: float | None = None
    best_cost = (round(max(1.0, described / describes_per_second), 6), round(described, 6))
    if not lists_per_second:
        return best
    for period in sorted(intervals, reverse=True):
        described -= intervals[period] / period
        left = described if any(interval < period for interval in intervals) else 0.0
        listed = pages / period
        excess = max(1.0, listed / lists_per_second, left / describes_per_second)
        cost = (round(excess, 6), round(listed + left, 6))
        if cost < best_cost:
            best, best_cost = period, cost
    return best

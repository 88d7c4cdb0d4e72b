"""When the poller may ask AWS, and what: arithmetic only; clocks and chance come from the caller."""

from __future__ import annotations

from collections.abc import Mapping

#: Seconds that the first refused or failed call of a row makes the next ones wait; each further one twice that, up to the longest.
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 60.0

#: What a fault leaves of the rate, what a success gives back of the full one, and below which part of it the rate never falls.
SLOWER, FASTER, SLOWEST = 0.5, 0.05, 0.05

#: An interval is shortened by up to this part, so that pollers that began together do not stay in step.
JITTER = 0.1

ROUNDING = 1e-6


class TokenBucket:
    """Limits how often one operation is called.

    Calls are at most ``burst + rate * seconds`` in any time. A fault (throttling, the service, the connection) halves the rate and makes
    the next call wait, for longer each time; successes bring the rate back.

    :param rate: Calls a second that are allowed for long.
    :param burst: Calls that are allowed at once after a time without any, 1 or more.
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
        """How many calls failed since one succeeded."""
        return self._faults

    @property
    def rate(self) -> float:
        """Calls a second that are allowed for now."""
        return self._rate

    def wait(self, now: float) -> float:
        """Return the seconds until a call is allowed, 0 if it is."""
        self._count(now)
        missing = 1.0 - self._tokens
        # n times 1/n of a token may be a hair less than one.
        return max(0.0, self._closed_until - now, missing / self._rate if missing > ROUNDING else 0.0)

    def take(self, now: float, calls: float = 1.0) -> None:
        """Count calls, also ones that were made without asking: the bucket may owe."""
        self._count(now)
        self._tokens -= calls

    def succeeded(self) -> None:
        """Note that AWS answered."""
        self._faults = 0
        self._rate = min(self.full_rate, self._rate + FASTER * self.full_rate)

    def failed(self, now: float, chance: float) -> None:
        """Note that AWS refused for now, or did not answer.

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
    """Return an interval made shorter by chance, never longer: a wait is looked at no less often than it asks.

    :param interval: Seconds.
    :param chance: A random number from 0 to 1.
    """
    return interval * (1.0 - JITTER * chance)


def sweep_period(
    intervals: Mapping[float, int], pages: int, *, lists_per_second: float, describes_per_second: float
) -> float | None:
    """Return how often to list all endpoints, in seconds; None to describe each one that is waited for instead.

    A sweep every T seconds serves all that want a look every T seconds or less often; the rest is described. Of all T, and none, the one
    with the fewest calls that the rates allow is taken, a sweep only if it is cheaper than describing; if they allow none, the one that
    exceeds them least.

    :param intervals: How many endpoints want a look every so many seconds, by the seconds.
    :param pages: How many calls a sweep takes.
    :param lists_per_second: How many ListEndpoints are allowed, 0 for none.
    :param describes_per_second: How many DescribeEndpoint are allowed.
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

"""The rate limits of all waits of a triggerer: Airflow's options, and the limiters that enforce them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.triggers.pace import TokenBucket

#: Calls a second: all operations, and ListEndpoints. AWS publishes neither rate (assumed: 10 in total are fine); the nearest known rate is
#: ListTrainingJobs with 2 a second (aws-solutions/deepracer-on-aws 87).
CALLS_PER_SECOND, LISTS_PER_SECOND = 9.0, 1.0

HIGHEST_RATE = 1000.0


class RateLimits:
    """The rates of all pollers of an event loop: one for each operation, Region and owner of credentials."""

    def __init__(self) -> None:
        self.calls_per_second = _rate("calls_per_second", CALLS_PER_SECOND, 0.1)
        self.lists_per_second = _rate("lists_per_second", LISTS_PER_SECOND, 0.0)
        self._buckets: dict[Hashable, tuple[TokenBucket, TokenBucket]] = {}
        self._of_operations: dict[Hashable, TokenBucket] = {}

    def of(self, account: Hashable) -> tuple[TokenBucket, TokenBucket]:
        """Return the limiters of DescribeEndpoint and of ListEndpoints; a list also counts as a describe."""
        if account not in self._buckets:
            now = asyncio.get_running_loop().time()
            # No bursts: in any second there are no more calls than the rate.
            self._buckets[account] = (
                TokenBucket(self.calls_per_second, 1.0, now),
                TokenBucket(self.lists_per_second, 1.0, now),
            )
        return self._buckets[account]

    def of_operation(self, operation: str, account: Hashable) -> TokenBucket:
        """Return the limiter of an operation; AWS counts each operation by itself (assumed)."""
        key = (operation, account)
        if key not in self._of_operations:
            now = asyncio.get_running_loop().time()
            self._of_operations[key] = TokenBucket(self.calls_per_second, 1.0, now)
        return self._of_operations[key]


def _rate(option: str, default: float, low: float) -> float:
    rate: float = conf.getfloat("sm_hosting", option, fallback=default)
    if not low <= rate <= HIGHEST_RATE:
        raise InvalidSpecError(
            f"Airflow option [sm_hosting] {option} is {rate}; allowed: {low:g} to {HIGHEST_RATE:g} calls a second."
        )
    return rate

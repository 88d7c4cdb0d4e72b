"""How often AWS may be asked by all waits of a triggerer: Airflow's options, and what keeps them."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.triggers.pace import TokenBucket

#: Calls a second, in all and of ListEndpoints. AWS publishes neither rate (assumed: 10 of all are fine); the nearest that is known is
#: ListTrainingJobs with 2 a second (aws-solutions/deepracer-on-aws 87).
CALLS_PER_SECOND, LISTS_PER_SECOND = 9.0, 1.0

HIGHEST_RATE = 1000.0


class RateLimits:
    """The rates of all pollers of an event loop: one for each operation, Region and owner of credentials."""

    def __init__(self) -> None:
        self.calls_per_second = _rate("calls_per_second", CALLS_PER_SECOND, 0.1)
        self.lists_per_second = _rate("lists_per_second", LISTS_PER_SECOND, 0.0)
        self._buckets: dict[Hashable, tuple[TokenBucket, TokenBucket]] = {}

    def of(self, account: Hashable) -> tuple[TokenBucket, TokenBucket]:
        """Return what limits DescribeEndpoint, and what limits ListEndpoints; a list counts as a describe, too."""
        if account not in self._buckets:
            now = asyncio.get_running_loop().time()
            # No bursts: at any moment, no more calls than the rate were made in the second before.
            self._buckets[account] = (
                TokenBucket(self.calls_per_second, 1.0, now),
                TokenBucket(self.lists_per_second, 1.0, now),
            )
        return self._buckets[account]


def _rate(option: str, default: float, low: float) -> float:
    rate: float = conf.getfloat("sm_hosting", option, fallback=default)
    if not low <= rate <= HIGHEST_RATE:
        raise InvalidSpecError(
            f"Airflow option [sm_hosting] {option} is {rate}; allowed: {low:g} to {HIGHEST_RATE:g} calls a second."
        )
    return rate

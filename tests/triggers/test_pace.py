"""When AWS may be asked, and what: arithmetic, held against brute force."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.triggers.pace import JITTER, LONGEST_PAUSE, TokenBucket, jittered, sweep_period

RATES = st.floats(0.1, 100)
CHANCE = st.floats(0, 1)


@given(RATES, st.integers(1, 5), st.lists(st.floats(0, 3), min_size=1, max_size=30))
def test_no_time_has_more_calls_than_the_rate_and_one_burst(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """A caller that asks at any moments, and obeys."""
    bucket, now, taken = TokenBucket(rate, burst, 0.0), 0.0, []
    for pause in pauses:
        now += pause
        now += bucket.wait(now)
        assert bucket.wait(now) == 0, "who waited need not wait again"
        bucket.take(now)
        taken.append(now)
    for first in range(len(taken)):
        for last in range(first, len(taken)):
            calls = last - first + 1
            assert calls <= burst + rate * (taken[last] - taken[first]) + 1e-3


@given(RATES, st.integers(1, 20))
def test_calls_made_without_asking_are_paid_back(rate: float, extra: int) -> None:
    bucket = TokenBucket(rate, 1, 0.0)
    bucket.take(0.0, 1 + extra)
    assert bucket.wait(0.0) == pytest.approx((1 + extra) / rate)


@given(RATES, st.lists(CHANCE, min_size=1, max_size=50))
def test_each_fault_in_a_row_makes_the_pause_longer_up_to_a_minute(rate: float, chances: list[float]) -> None:
    bucket, now, least = TokenBucket(rate, 1, 0.0), 0.0, 0.25
    for chance in chances:
        bucket.failed(now, chance)
        pause = bucket.wait(now)
        assert least - 1e-6 <= pause <= max(LONGEST_PAUSE, 1 / bucket.rate) + 1e-6
        assert bucket.rate >= 0.05 * rate * (1 - 1e-9), "it goes on asking"
        least = min(LONGEST_PAUSE / 2, least * 2)
        now += pause


def test_successes_bring_the_rate_back_and_end_the_row_of_faults() -> None:
    bucket = TokenBucket(8, 1, 0.0)
    for _ in range(10):
        bucket.failed(0.0, 1.0)
    assert bucket.rate == pytest.approx(0.4)
    for _ in range(19):
        bucket.succeeded()
        assert bucket.rate <= 8
    assert bucket.rate == 8
    bucket.failed(1000.0, 1.0)
    assert bucket.wait(1000.0) == 0.5


def test_a_clock_that_stands_still_earns_nothing_and_one_that_jumps_no_more_than_a_burst() -> None:
    bucket = TokenBucket(1, 2, 0.0)
    bucket.take(0.0, 2)
    assert [bucket.wait(0.0) for _ in range(3)] == [1.0] * 3
    bucket.take(1e9, 2)
    assert bucket.wait(1e9) == 1.0


@given(st.floats(0.1, 1e6), CHANCE)
def test_chance_never_makes_an_interval_longer(interval: float, chance: float) -> None:
    assert interval * (1 - JITTER) <= jittered(interval, chance) <= interval


def calls(period: float | None, intervals: dict[float, int], pages: int) -> tuple[float, float]:
    """Return ListEndpoints and DescribeEndpoint calls a second when sweeps come every so many seconds."""
    if period is None:
        return 0.0, sum(count / interval for interval, count in intervals.items())
    return pages / period, sum(count / interval for interval, count in intervals.items() if interval < period)


INTERVALS = st.dictionaries(st.sampled_from([0.1, 1.0, 5.0, 10.0, 30.0, 60.0, 600.0]), st.integers(1, 2000))


@given(INTERVALS, st.integers(1, 100), st.sampled_from([0.5, 1.0, 5.0]), st.sampled_from([1.0, 9.0, 100.0]))
def test_what_is_chosen_is_the_cheapest_that_the_rates_allow(
    intervals: dict[float, int], pages: int, lists: float, describes: float
) -> None:
    chosen = sweep_period(intervals, pages, lists_per_second=lists, describes_per_second=describes)
    assert chosen is None or chosen in intervals

    def cost(period: float | None) -> tuple[float, float]:
        listed, described = calls(period, intervals, pages)
        return round(max(1.0, listed / lists, described / describes), 6), round(listed + described, 6)

    least = min(cost(period) for period in [None, *intervals])
    assert cost(chosen) == pytest.approx(least, abs=1e-5)


@pytest.mark.parametrize("interval", [0.5, 1, 10, 30, 600])
@pytest.mark.parametrize("pages", [1, 2, 3, 10, 50])
def test_with_one_interval_it_is_describes_up_to_as_many_as_pages(interval: float, pages: int) -> None:
    for waits in range(1, 120):
        chosen = sweep_period(
            {interval: waits}, pages, lists_per_second=math.inf, describes_per_second=math.inf
        )
        assert chosen == (None if waits <= pages else interval)


def test_a_sweep_that_the_rate_does_not_allow_is_not_chosen_where_describes_keep_the_interval() -> None:
    rates = {"lists_per_second": 1.0, "describes_per_second": 9.0}
    assert sweep_period({5.0: 20}, 10, **rates) is None
    assert sweep_period({10.0: 20}, 10, **rates) == 10.0
    # Neither keeps it: what exceeds its rate least.
    assert sweep_period({5.0: 1000}, 10, **rates) == 5.0


def test_without_the_permission_to_list_all_is_described() -> None:
    assert sweep_period({30.0: 1000}, 1, lists_per_second=0.0, describes_per_second=9.0) is None


def test_nobody_waits() -> None:
    assert sweep_period({}, 1, lists_per_second=1.0, describes_per_second=9.0) is None

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting.local.cloudwatch import metrics
from airflow_sm_hosting.local.cloudwatch.metrics import Distribution, MetricStore, metric_of

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATENCY = metric_of("AWS/SageMaker", "ModelLatency", {"EndpointName": "e", "VariantName": "v"})


def distribution(*values: Any) -> Any:
    made = Distribution()
    for value in values:
        made.add(value)
    return made


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("SampleCount", 10.0),
        ("Average", 5.5),
        ("Sum", 55.0),
        ("Minimum", 1.0),
        ("Maximum", 10.0),
        ("p50", 5.0),
        ("p90", 9.0),
        ("p99", 10.0),
        ("p99.9", 10.0),
        ("p0", 1.0),
        ("p100", 10.0),
        # Without the highest tenth, and between two shares.
        ("tm90", 5.0),
        ("TM(10%:90%)", 5.5),
        ("tm(:50%)", 3.0),
        ("TM(50%:)", 8.0),
        ("tc90", 9.0),
        ("ts90", 45.0),
        ("IQM", 5.5),
        # The outermost are counted as the last that remain: 2,2,3,…,9,9.
        ("WM(10%:90%)", 5.5),
        ("wm80", 5.2),
        # Between values: the lower bound is excluded, the upper one included.
        ("TM(2:4)", 3.5),
        ("TC(2:4)", 2.0),
        ("TS(2:)", 52.0),
        ("PR(:3)", 30.0),
        ("PR(3:5)", 20.0),
    ],
)
def test_statistics(statistic: str, value: float) -> None:
    assert distribution(*map(float, range(1, 11))).statistic(statistic) == pytest.approx(value)


@pytest.mark.parametrize(
    "name", ["p", "p101", "p-1", "x90", "tm", "TM(:)", "PR(a:b)", "average", "", "tm100.5"]
)
def test_what_is_no_statistic(name: str) -> None:
    assert not metrics.is_statistic(name)
    with pytest.raises(ValueError, match=f"^{re.escape(name)}$"):
        distribution(1.0).statistic(name)


def test_values_count_as_often_as_they_are_given() -> None:
    made = Distribution()
    made.add(1.0, 98)
    made.add(100.0, 2)
    assert [made.statistic(name) for name in ("SampleCount", "p98", "p99", "Average")] == [100, 1, 100, 2.98]


def test_a_statistic_set_has_no_percentiles_unless_it_is_of_one_value() -> None:
    known = Distribution()
    known.add_set(count=3, total=9, minimum=3, maximum=3)
    assert known.statistic("p50") == 3
    known.add_set(count=2, total=10, minimum=1, maximum=9)
    assert known.statistic("p50") is None
    assert [known.statistic(name) for name in ("Sum", "SampleCount", "Minimum", "Maximum")] == [19, 5, 1, 9]


def test_many_different_values_keep_three_digits_and_their_exact_sum() -> None:
    made = distribution(*(index + 0.123 for index in range(20_000)))
    assert made.statistic("Sum") == pytest.approx(sum(index + 0.123 for index in range(20_000)))
    assert made.statistic("Maximum") == 19_999.123
    assert made.statistic("p50") == pytest.approx(10_000, rel=0.005)
    assert len(made._values) < 5_000


@pytest.fixture
def store() -> Any:
    return MetricStore()


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def sums(store: Any, metric: Any, start: Any, period: int, number: int, **more: Any) -> Any:
    found = store.statistics(metric, ["Sum"], start, period, number, **more)
    return [one and one["Sum"] for one in found]


def test_windows_lie_from_their_start_on_and_are_none_where_nothing_was_measured(store: Any) -> None:
    for seconds in (0, 59, 60, 200):
        store.put(LATENCY, 1.0, at=at(seconds))
    start = START.timestamp()
    assert sums(store, LATENCY, start, 60, 5) == [2, 1, None, 1, None]
    assert sums(store, LATENCY, start + 60, 120, 2) == [1, 1]
    assert sums(store, metric_of("AWS/SageMaker", "ModelLatency"), start, 60, 1) == [None]


def test_standard_resolution_is_a_minute_and_high_resolution_a_second(store: Any) -> None:
    fine = metric_of("N", "fine")
    store.put(LATENCY, 1.0, at=at(15))
    store.put(fine, 1.0, at=at(15), resolution=1)
    start = START.timestamp()
    # "does not have sub-minute resolution … does not receive data": API_PutMetricAlarm.html, Period
    assert sums(store, LATENCY, start + 10, 10, 2) == [None, None]
    assert sums(store, fine, start + 10, 10, 2) == [1, None]


def test_units_are_apart_until_all_are_asked_for(store: Any) -> None:
    store.put(LATENCY, 1.0, at=START, unit="Seconds")
    store.put(LATENCY, 2.0, at=START, unit="Microseconds")
    start = START.timestamp()
    assert sums(store, LATENCY, start, 60, 1, unit="Seconds") == [1]
    assert sums(store, LATENCY, start, 60, 1, unit="Bytes") == [None]
    assert sums(store, LATENCY, start, 60, 1) == [3]


def test_percentiles_are_of_all_that_lies_in_a_window(store: Any) -> None:
    for minute, value in enumerate((1.0, 2.0, 3.0, 100.0)):
        store.put(LATENCY, value, at=at(60 * minute))
    (found,) = store.statistics(LATENCY, ["p75", "p99", "Average"], START.timestamp(), 300, 1)
    assert found == {"p75": 3.0, "p99": 100.0, "Average": 26.5}


def test_data_may_come_late_and_in_any_order(store: Any) -> None:
    for seconds in (120, 0, 60, 3600, 60):
        store.put(LATENCY, 1.0, at=at(seconds))
    assert sums(store, LATENCY, START.timestamp(), 60, 3) == [1, 2, 1]


def test_old_data_are_forgotten_and_old_seconds_become_minutes(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_AGGREGATED_ABOVE", 300)
    fine = metric_of("N", "fine")
    for second in range(300):
        store.put(fine, 1.0, at=at(second), resolution=1)
    (stream,) = store._streams[fine].values()
    assert len(stream.times) == 300
    # Three hours later the seconds are minutes, and the newest stay seconds.
    for second in range(3 * 3600 + 300, 3 * 3600 + 310):
        store.put(fine, 1.0, at=at(second), resolution=1)
    assert len(stream.times) == 5 + 10
    assert sums(store, fine, START.timestamp(), 60, 5) == [60] * 5
    store.put(fine, 1.0, at=at(16 * 86_400))
    assert len(stream.times) == 1


def test_what_is_known_tells_the_newest_time(store: Any) -> None:
    store.put(LATENCY, 1.0, at=at(61))
    store.put(LATENCY, 1.0, at=at(0))
    assert store.known() == [(LATENCY, at(60))]

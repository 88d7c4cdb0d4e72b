"""The time span of which a metric's values are asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting import EndpointMetric
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.metric import completed_metric
from airflow_sm_hosting.spec.metric_window import metric_window


def metric(period: int = 60) -> dict[str, Any]:
    return completed_metric(EndpointMetric.invocations(period=period), "churn", "main")


def test_it_is_the_last_hour_and_begins_with_a_whole_period() -> None:
    start, end = metric_window(metric(300))
    assert start.timestamp() % 300 == 0
    assert timedelta(hours=1) <= end - start < timedelta(hours=1, seconds=300)
    assert abs(datetime.now(UTC) - end) < timedelta(minutes=1)


@pytest.mark.parametrize("lookback", [600, "600", timedelta(minutes=10)])
def test_how_far_back_may_be_said_in_seconds(lookback: Any) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    assert metric_window(metric(), lookback=lookback, end=end) == (end - timedelta(minutes=10), end)


def test_or_by_its_start_in_iso_8601() -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0)
    start = end - timedelta(minutes=30)
    assert metric_window(metric(), start=start.isoformat(), end=end.isoformat()) == (start, end)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": datetime.now(UTC), "lookback": 60}, "start and lookback are both given"),
        ({"lookback": 0}, "lookback"),
        ({"start": "yesterday"}, "start is 'yesterday'"),
        ({"end": datetime(2026, 11, 23)}, "a datetime with a time zone"),
        ({"end": 5}, "a datetime with a time zone"),
        ({"start": datetime.now(UTC) + timedelta(days=1)}, "a time before end"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_time_span_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        metric_window(metric(), **options)


@pytest.mark.parametrize(
    ("period", "kept", "allowed"),
    [(10, timedelta(hours=3), 60), (60, timedelta(days=15), 300), (300, timedelta(days=63), 3600)],
)
def test_data_of_short_periods_are_kept_for_a_while_only(period: int, kept: timedelta, allowed: int) -> None:
    metric_window(metric(period), lookback=kept - timedelta(minutes=10))
    with pytest.raises(InvalidSpecError, match=rf"period is {period}; allowed: a multiple of {allowed},"):
        metric_window(metric(period), lookback=kept + timedelta(minutes=10))

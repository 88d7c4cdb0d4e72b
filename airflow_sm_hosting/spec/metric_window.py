"""The time span of a query for a metric's values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import invalid
from airflow_sm_hosting.spec.metric import endpoint_metrics
from airflow_sm_hosting.spec.rendered import as_seconds

DEFAULT_LOOKBACK = 3600

#: Retention of data by period (GetMetricData): less than a minute, less than five minutes, less than an hour.
RETENTION = (
    (60, timedelta(hours=3), "a multiple of 60"),
    (300, timedelta(days=15), "a multiple of 300"),
    (3600, timedelta(days=63), "a multiple of 3600"),
)


def metric_window(
    metric: dict[str, Any], *, lookback: Any = None, start: Any = None, end: Any = None
) -> tuple[datetime, datetime]:
    """Return start, rounded down to a whole period, and end, after checking that CloudWatch still keeps data of this period.

    :param metric: A completed metric.
    :param lookback: Seconds or a timedelta before the end, more than 0.
    :param start: A datetime with a time zone, or the same in ISO 8601; in place of ``lookback``.
    :param end: The same (default: now).
    :raises InvalidSpecError: When there can be no data.
    """
    now = datetime.now(UTC)
    ends = now if end is None else _point_in_time("end", end)
    if start is not None and lookback is not None:
        raise InvalidSpecError("start and lookback are both given; allowed: one of them.")
    if start is not None:
        begins = _point_in_time("start", start)
    else:
        begins = ends - timedelta(
            seconds=as_seconds("lookback", DEFAULT_LOOKBACK if lookback is None else lookback, 1)
        )
    if begins >= ends:
        raise invalid("start", begins.isoformat(), f"a time before end, {ends.isoformat()}")
    for one in endpoint_metrics(metric):
        for period, kept, allowed in RETENTION:
            if one["Period"] % period and now - begins > kept:
                raise invalid(
                    "period",
                    one["Period"],
                    f"{allowed}, as CloudWatch keeps data of shorter periods for only "
                    f"{kept.total_seconds() / 3600:g} hours, and start is {begins.isoformat()}",
                )
    # On the clock, as alarms are evaluated: otherwise periods are counted from the start (GetMetricData, StartTime).
    period = max(one["Period"] for one in endpoint_metrics(metric))
    return datetime.fromtimestamp(begins.timestamp() // period * period, UTC), ends


def _point_in_time(where: str, value: Any) -> datetime:
    allowed = "a datetime with a time zone, or a string in ISO 8601, e.g. '2026-11-23T04:00:00+00:00'"
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise invalid(where, value, allowed) from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise invalid(where, value, allowed)
    return value

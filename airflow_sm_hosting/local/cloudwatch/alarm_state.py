"""The state of an alarm by its data points, and CloudWatch's sentences about it.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.local.cloudwatch.metrics import percentile_of

COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}


@dataclass(frozen=True)
class Point:
    """A data point of an alarm.

    :param time: When its period begins, in seconds since the epoch.
    :param value: The statistic, or the result of the expression.
    :param samples: How many values it is made from; None for an expression.
    """

    time: int
    value: float
    samples: float | None = None


def alarm_state(
    points: Sequence[bool | None], *, periods: int, to_alarm: int, missing: str, before: str
) -> str:
    """Return the state of an alarm by its data points.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html

    :param points: Whether each of the evaluation range breaches, the newest last; None where there are no data.
    :param periods: ``EvaluationPeriods``: how many of them are evaluated.
    :param to_alarm: ``DatapointsToAlarm``: how many of those must breach.
    :param missing: ``TreatMissingData``.
    :param before: The state before.
    """
    real = [point for point in points if point is not None]
    if len(real) >= periods:
        # Missing ones are passed over as long as there are enough real ones farther back.
        return "ALARM" if sum(real[-periods:]) >= to_alarm else "OK"
    breaching, absent = sum(real), periods - len(real)
    if breaching >= to_alarm or (missing == "breaching" and breaching + absent >= to_alarm):
        return "ALARM"
    if missing in ("breaching", "notBreaching") or not all(real):
        return "OK"
    if missing == "ignore":
        return before
    # Only breaching ones, and too few. Where the oldest is old enough, it is not a premature alarm any more.
    oldest = next((index for index, point in enumerate(points) if point), len(points))
    return "ALARM" if len(points) - oldest >= to_alarm else "INSUFFICIENT_DATA"


def is_low_sample(statistic: str, samples: float) -> bool:
    """Return whether there are too few samples for a percentile to say something.

    "Between 0.5 and 1.00, fewer than 10/(1-percentile) data points; between 0 and 0.5, fewer than 10/percentile":
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
    """
    percentile = percentile_of(statistic)
    if percentile is None:
        return False
    rare = 100 - percentile if percentile > 50 else percentile
    return rare <= 0 or samples < 1000 / rare


def reason(
    request: Mapping[str, Any],
    state: str,
    real: Sequence[Point],
    periods: int,
    to_alarm: int,
    threshold: float,
) -> str:
    """Return the ``StateReason`` of a state.

    :param request: The alarm, as PutMetricAlarm takes it.
    :param state: The new state.
    :param real: The data points that were evaluated, the newest last.
    """
    if state == "INSUFFICIENT_DATA":
        absent = periods - len(real)
        return f"Insufficient Data: {_datapoints(absent)} {'was' if absent == 1 else 'were'} unknown."
    treatment = request.get("TreatMissingData")
    if not real:
        missing = f"{periods} missing {_datapoints(periods).partition(' ')[2]}"
        treated = "Breaching" if treatment == "breaching" else "NonBreaching"
        return (
            f"Threshold Crossed: no datapoints were received for {periods} period{'' if periods == 1 else 's'} and "
            f"{missing} {'was' if periods == 1 else 'were'} treated as [{treated}]."
        )
    compare, words = COMPARISONS[request["ComparisonOperator"]]
    decisive = [point for point in real if compare(point.value, threshold) == (state == "ALARM")] or list(
        real
    )
    shown = ", ".join(f"{point.value} ({_day(point.time)})" for point in decisive)
    if "DatapointsToAlarm" not in request:
        # A validated snapshot of 2023 by localstack/localstack; for more than one datapoint, AWS's user guide quotes "2 datapoints [...] were".
        return (
            f"Threshold Crossed: {_datapoints(len(decisive))} [{shown}] {'was' if len(decisive) == 1 else 'were'} "
            f"{'' if state == 'ALARM' else 'not '}{words} the threshold ({threshold})."
        )
    other = "ALARM" if state == "OK" else "OK"
    needed = to_alarm if state == "ALARM" else periods - to_alarm + 1
    return (
        f"Threshold Crossed: {len(decisive)} out of the last {periods} datapoints [{shown}] "
        f"{'was' if len(decisive) == 1 else 'were'} {'' if state == 'ALARM' else 'not '}{words} the threshold ({threshold}) "
        f"(minimum {_datapoints(needed)} for {other} -> {state} transition)."
    )


def reason_data(
    request: Mapping[str, Any],
    period: int,
    real: Sequence[Point],
    at: datetime,
    threshold: float,
    missing: Sequence[int] = (),
) -> dict[str, Any]:
    """Return the ``StateReasonData`` of a state.

    :param missing: When the periods begin that were evaluated without data; they are shown by that alone where no period has data
        (localstack/localstack's validated snapshot of 2023).
    """
    data: dict[str, Any] = {
        "version": "1.0",
        "queryDate": zulu(at),
        "period": period,
        "recentDatapoints": [point.value for point in real],
        "threshold": threshold,
        "evaluatedDatapoints": [
            {
                "timestamp": zulu(datetime.fromtimestamp(point.time, UTC)),
                **({} if point.samples is None else {"sampleCount": point.samples}),
                "value": point.value,
            }
            for point in reversed(real)
        ]
        or [{"timestamp": zulu(datetime.fromtimestamp(time, UTC))} for time in reversed(missing)],
    }
    if real:
        data["startDate"] = zulu(datetime.fromtimestamp(real[0].time, UTC))
    if statistic := request.get("Statistic") or request.get("ExtendedStatistic"):
        data["statistic"] = statistic
    if unit := request.get("Unit"):
        data["unit"] = unit
    return data


def _datapoints(number: int) -> str:
    return f"{number} datapoint{'' if number == 1 else 's'}"


def _day(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%d/%m/%y %H:%M:%S")


def zulu(at: datetime) -> str:
    """Return a time as messages of CloudWatch have it: ``2026-01-31T08:00:00.000+0000``."""
    return at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+0000"

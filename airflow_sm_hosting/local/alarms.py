"""CloudWatch alarms: checked when they are put, and evaluated on the metrics of real invocations.

The rules: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html and
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html.
"""

from __future__ import annotations

import json
import logging
import operator
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import TYPE_CHECKING, Any

from moto.cloudwatch.exceptions import InvalidParameterCombination, InvalidParameterValue, ValidationError
from moto.cloudwatch.models import CloudWatchBackend, MetricAggregatedDatum, MetricDatum, MetricDatumBase

from airflow_sm_hosting.local import moto_backends

if TYPE_CHECKING:
    from moto.cloudwatch.models import Alarm

LOG = logging.getLogger(__name__)

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "GreaterThanOrEqualToThreshold": operator.ge,
    "GreaterThanThreshold": operator.gt,
    "LessThanThreshold": operator.lt,
    "LessThanOrEqualToThreshold": operator.le,
}
# High-resolution periods; above them multiples of a minute.
_SHORT_PERIODS = (10, 20, 30)
# "The number of evaluation periods multiplied by the length of each … cannot exceed 86,400 seconds" for periods below
# an hour, seven days otherwise.
_DAY, _WEEK = 86_400, 604_800
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")


def check_alarms_of_moto() -> None:
    """Make moto refuse what CloudWatch refuses, and start alarms in INSUFFICIENT_DATA, in this process."""
    put = CloudWatchBackend.put_metric_alarm

    @wraps(put)
    def checked_put(self: CloudWatchBackend, **alarm: Any) -> Alarm:
        # A composite alarm comes here too; its rule is not evaluated.
        if not alarm.get("rule"):
            check_alarm(alarm)
        before = self.alarms.get(alarm["name"])
        made = put(self, **alarm)
        if before is None:
            made.state_value = "INSUFFICIENT_DATA"
        else:
            # "An update overwrites the previous configuration and keeps the state": API_PutMetricAlarm.html
            made.state_value = before.state_value
            made.state_reason, made.state_reason_data = before.state_reason, before.state_reason_data
            made.state_updated_timestamp = before.state_updated_timestamp
            made.history = before.history
        return made

    if not hasattr(put, "__wrapped__"):
        CloudWatchBackend.put_metric_alarm = checked_put  # type: ignore[method-assign,assignment]


def check_alarm(alarm: dict[str, Any]) -> None:
    """Refuse what CloudWatch refuses of a PutMetricAlarm request.

    :param alarm: The arguments of moto's ``put_metric_alarm``.
    """
    statistics = [alarm.get("statistic"), alarm.get("extended_statistic")]
    if not alarm.get("metric_data_queries"):
        if all(statistics):
            raise InvalidParameterCombination(
                "Parameters Statistic and ExtendedStatistic cannot be used together."
            )
        if not any(statistics):
            raise ValidationError(
                "At least one of the parameters Statistic, ExtendedStatistic must be specified."
            )
        if not alarm.get("metric_name") or not alarm.get("namespace"):
            raise ValidationError("MetricName and Namespace must be specified for an alarm on a metric.")
        _check_period(alarm)
    periods = int(alarm["evaluation_periods"])
    if periods < 1:
        raise ValidationError("EvaluationPeriods must be greater than or equal to 1.")
    if (datapoints := alarm.get("datapoints_to_alarm")) and int(datapoints) > periods:
        raise ValidationError(
            f"DatapointsToAlarm ({datapoints}) must be less than or equal to EvaluationPeriods ({periods})."
        )
    if (treatment := alarm.get("treat_missing_data")) and treatment not in _TREATMENTS:
        raise InvalidParameterValue(
            f"The value {treatment} is not supported for TreatMissingData parameter. Supported values are "
            f"[{', '.join(_TREATMENTS)}]."
        )


def _check_period(alarm: dict[str, Any]) -> None:
    period = int(alarm.get("period") or 0)
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        raise ValidationError("Metric alarm Period must be 10, 20, 30 or a multiple of 60.")
    span = period * int(alarm["evaluation_periods"])
    if span > (_WEEK if period >= 3600 else _DAY):
        raise ValidationError(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."
        )


class AlarmClock:
    """Evaluates all alarms every few seconds, in the background.

    :param interval: Seconds between evaluations.
    """

    def __init__(self, interval: float = 1.0) -> None:
        self._interval = interval
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stopped.set()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval):
            for region in moto_backends.cloudwatch_regions():
                for alarm in moto_backends.alarms(region):
                    try:
                        evaluate(alarm, region, datetime.now(UTC))
                    except Exception:
                        LOG.exception("the alarm %s cannot be evaluated", alarm.name)


def evaluate(alarm: Alarm, region: str, at: datetime) -> None:
    """Evaluate one alarm on moto's metric data, and change its state if it has another.

    Alarms on metric math are left in the state that they have.
    """
    if alarm.metric_data_queries or alarm.rule or alarm.comparison_operator not in _COMPARISONS:
        return
    period, periods = int(alarm.period), int(alarm.evaluation_periods)
    # Periods lie on the clock; the running one counts as soon as it has data, as CloudWatch shows it.
    end = datetime.fromtimestamp((at.timestamp() // period + 1) * period, UTC)
    points = _points(alarm, region, end, period, periods)
    state = alarm_state(
        points,
        breaches=lambda value: _COMPARISONS[alarm.comparison_operator](value, float(alarm.threshold)),
        to_alarm=int(alarm.datapoints_to_alarm or periods),
        missing=alarm.treat_missing_data or "missing",
        before=alarm.state_value,
    )
    if state != alarm.state_value:
        shown = [point for point in points if point is not None]
        reason = f"Threshold Crossed: {len(shown)} of the last {periods} datapoints {shown} (threshold {alarm.threshold})."
        LOG.info("alarm %s: %s -> %s", alarm.name, alarm.state_value, state)
        alarm.update_state(
            reason, json.dumps({"recentDatapoints": shown, "threshold": float(alarm.threshold)}), state
        )


def alarm_state(
    points: Sequence[float | None],
    *,
    breaches: Callable[[float], bool],
    to_alarm: int,
    missing: str,
    before: str,
) -> str:
    """Return the state that the datapoints say.

    :param points: The evaluation periods, newest first; None where there are no data.
    :param breaches: Whether a value breaches the threshold.
    :param to_alarm: How many of them must breach (M of N).
    :param missing: ``TreatMissingData``.
    :param before: The state before.
    """
    breaching = sum(point is not None and breaches(point) for point in points)
    absent = sum(point is None for point in points)
    if breaching >= to_alarm:
        return "ALARM"
    if absent == len(points) and missing in ("missing", "ignore"):
        return "INSUFFICIENT_DATA" if missing == "missing" else before
    if missing == "breaching" and breaching + absent >= to_alarm:
        return "ALARM"
    if missing == "ignore" and absent and before != "INSUFFICIENT_DATA":
        return before
    if missing == "missing" and before == "ALARM" and breaching and breaching + absent >= to_alarm:
        # Not enough of them are there to say that it is over.
        return before
    return "OK"


def _points(alarm: Alarm, region: str, end: datetime, period: int, periods: int) -> list[float | None]:
    dimensions = {str(dimension.name): str(dimension.value) for dimension in alarm.dimensions}
    # One period more: while the running one is empty, the one before it is the newest.
    start = end - timedelta(seconds=period * (periods + 1))
    buckets: list[list[MetricDatumBase]] = [[] for _ in range(periods + 1)]
    for at, datum in moto_backends.metric_values(
        region, alarm.namespace, alarm.metric_name, dimensions, start
    ):
        index = int((end - at).total_seconds() // period)
        if 0 <= index <= periods and (not alarm.unit or datum.unit in (None, "None", alarm.unit)):
            buckets[index].append(datum)
    newest = 0 if buckets[0] else 1
    chosen = alarm.statistic or alarm.extended_statistic or ""
    return [statistic(chosen, data) if data else None for data in buckets[newest : newest + periods]]


def statistic(name: str, data: Sequence[MetricDatumBase]) -> float:
    """Return a statistic (``Average``, ``Sum``, …, or a percentile: ``p99``) of metric data."""
    single = [float(datum.value) for datum in data if isinstance(datum, MetricDatum)]
    sets = [datum for datum in data if isinstance(datum, MetricAggregatedDatum)]
    count = len(single) + sum(datum.sample_count for datum in sets)
    total = sum(single) + sum(datum.sum for datum in sets)
    match name:
        case "Sum":
            return float(total)
        case "SampleCount":
            return float(count)
        case "Minimum":
            return float(min([*single, *(datum.min for datum in sets)]))
        case "Maximum":
            return float(max([*single, *(datum.max for datum in sets)]))
        case _ if name.startswith("p"):
            ordered = sorted([*single, *(datum.max for datum in sets)])
            return float(ordered[min(int(len(ordered) * float(name[1:]) / 100), len(ordered) - 1)])
    return float(total / count)

"""What CloudWatch refuses of an alarm.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.cloudwatch.metrics import is_extended_statistic, is_statistic
from airflow_sm_hosting.local.wire.errors import AwsError

# High-resolution periods; above them multiples of a minute.
_SHORT_PERIODS = (10, 20, 30)
# "Period multiplied by EvaluationPeriods can't be more than 604,800 seconds", for periods below an hour 86,400.
_DAY, _WEEK = 86_400, 604_800
_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")


def check_metric_alarm(request: Mapping[str, Any]) -> None:
    """Refuse what CloudWatch refuses of a PutMetricAlarm request.

    :raises AwsError: The refusal.
    """
    if "EvaluationCriteria" in request:
        return
    queries = request.get("Metrics")
    if queries:
        _check_queries(request, queries)
    else:
        _check_single_metric(request)
    for member in ("EvaluationPeriods", "ComparisonOperator"):
        if request.get(member) is None:
            raise AwsError("ValidationError", f"{member} must be specified.")
    periods = int(request["EvaluationPeriods"])
    if (datapoints := request.get("DatapointsToAlarm")) and int(datapoints) > periods:
        raise AwsError(
            "ValidationError",
            f"DatapointsToAlarm ({datapoints}) must be less than or equal to EvaluationPeriods ({periods}).",
        )
    if request.get("Threshold") is None and not request.get("ThresholdMetricId"):
        raise AwsError("ValidationError", "Threshold must be specified.")
    treatment = request.get("TreatMissingData")
    if treatment and treatment not in _TREATMENTS:
        raise AwsError(
            "InvalidParameterValue",
            f"The value {treatment} is not supported for TreatMissingData parameter. Supported values are "
            f"[{', '.join(_TREATMENTS)}].",
        )
    low = request.get("EvaluateLowSampleCountPercentile")
    if low and low not in ("evaluate", "ignore"):
        raise AwsError(
            "ValidationError",
            f"Option {low} is not supported. Supported options for parameter EvaluateLowSampleCountPercentile are "
            "evaluate and ignore.",
        )


def _check_single_metric(request: Mapping[str, Any]) -> None:
    statistic, extended = request.get("Statistic"), request.get("ExtendedStatistic")
    if statistic and extended:
        raise AwsError(
            "InvalidParameterCombination",
            "Parameters Statistic and ExtendedStatistic cannot be used together.",
        )
    if not statistic and not extended:
        raise AwsError(
            "ValidationError",
            "At least one of the parameters Statistic, ExtendedStatistic must be specified.",
        )
    if extended and not is_extended_statistic(extended):
        raise AwsError(
            "InvalidParameterValue",
            f"The value {extended} for parameter ExtendedStatistic is not supported.",
        )
    if not request.get("MetricName") or not request.get("Namespace"):
        raise AwsError(
            "ValidationError", "MetricName and Namespace must be specified for an alarm on a metric."
        )
    _check_period(int(request.get("Period") or 0), request)


def _check_queries(request: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> None:
    single = ("Namespace", "MetricName", "Dimensions", "Period", "Unit", "Statistic", "ExtendedStatistic")
    if both := [member for member in single if request.get(member)]:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameters Metrics and {both[0]} cannot be used together.",
        )
    ids = [query["Id"] for query in queries]
    if len(set(ids)) < len(ids):
        raise AwsError("ValidationError", "The values for parameter id in Metrics must be unique.")
    if sum(query.get("ReturnData", True) for query in queries) != 1 and not request.get("ThresholdMetricId"):
        raise AwsError("ValidationError", "Exactly one element of the metrics list should return data.")
    periods = set()
    for query in queries:
        if ("MetricStat" in query) == ("Expression" in query):
            raise AwsError(
                "ValidationError", "Each element of Metrics must have either MetricStat or Expression."
            )
        if stat := query.get("MetricStat"):
            periods.add(int(stat["Period"]))
            if not is_statistic(stat["Stat"]):
                raise AwsError("ValidationError", f"The value {stat['Stat']} for Stat is not supported.")
    if len(periods) > 1:
        # "Each metric must be using the same period": using-metric-math.html#metric-math-alarms
        raise AwsError("ValidationError", "All metrics of an alarm on an expression must have one period.")
    for period in periods:
        _check_period(period, request)


def _check_period(period: int, request: Mapping[str, Any]) -> None:
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        raise AwsError("ValidationError", "Metric alarm Period must be 10, 20, 30 or a multiple of 60.")
    span = period * int(request.get("EvaluationPeriods") or 1)
    if span > (_WEEK if period >= 3600 else _DAY):
        raise AwsError(
            "ValidationError",
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        )

"""CloudWatch's operations on metrics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_sm_hosting.local.cloudwatch import metric_math
from airflow_sm_hosting.local.cloudwatch.metric_queries import math_data, queried_metric
from airflow_sm_hosting.local.cloudwatch.metrics import (
    STATISTICS,
    Metric,
    MetricStore,
    is_statistic,
    metric_of,
)
from airflow_sm_hosting.local.cloudwatch.region import (
    RegionalCloudWatch,
    RegionalOperations,
    aware,
    cloudwatch_page,
)
from airflow_sm_hosting.local.wire.errors import AwsError

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
_MAX_DATAPOINTS = 1_440
# API_ListMetrics.html: 500 a page, "metrics that have received new data in the past two weeks".
_METRICS_A_PAGE = 500
_LISTED_FOR = timedelta(days=14)
_SHORT_PERIODS = (1, 5, 10, 20, 30)


def _put_metric_data(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    now = region.clock.now()
    data = request.get("MetricData", [])
    for number, datum in enumerate(data, 1):
        _check_datum(f"MetricData.member.{number}", datum)
    for datum in data:
        metric = metric_of(request["Namespace"], datum["MetricName"], datum.get("Dimensions", ()))
        common = {
            "at": aware(datum.get("Timestamp") or now),
            "unit": datum.get("Unit", "None"),
            "resolution": int(datum.get("StorageResolution", 60)),
        }
        if values := datum.get("Values"):
            for value, count in zip(values, datum.get("Counts") or [1.0] * len(values), strict=True):
                region.metrics.put(metric, float(value), count=float(count), **common)
        elif known := datum.get("StatisticValues"):
            region.metrics.put_set(
                metric,
                count=float(known["SampleCount"]),
                total=float(known["Sum"]),
                minimum=float(known["Minimum"]),
                maximum=float(known["Maximum"]),
                **common,
            )
        else:
            region.metrics.put(metric, float(datum.get("Value", 0)), **common)
    return {}


def _check_datum(where: str, datum: Mapping[str, Any]) -> None:
    """Refuse what API_MetricDatum.html refuses."""
    values = datum.get("Values") or []
    given = [name for name in ("Value", "Values", "StatisticValues") if datum.get(name) is not None]
    if len(given) > 1:
        raise AwsError(
            "InvalidParameterCombination",
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and you have specified "
            "both.",
        )
    if datum.get("Counts") and len(datum["Counts"]) != len(values):
        raise AwsError(
            "InvalidParameterValue",
            f"The parameters {where}.Values and {where}.Counts must be of the same size.",
        )
    if datum.get("StorageResolution", 60) not in (1, 60):
        raise AwsError(
            "InvalidParameterValue", f"The value for parameter {where}.StorageResolution must be 1 or 60."
        )


def check_numbers(request: Mapping[str, Any]) -> None:
    """Refuse values of PutMetricData that are no numbers: by the model alone, they would be no values.

    Sentence: getmoto/moto, tests/test_cloudwatch/test_cloudwatch.py.
    """
    for number, datum in enumerate(request.get("MetricData") or (), 1):
        for value in (datum.get("Value"), *(datum.get("Values") or ())):
            if isinstance(value, float) and not math.isfinite(value):
                word = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
                raise AwsError(
                    "InvalidParameterValue",
                    f"The value {word} for parameter MetricData.member.{number}.Value is invalid.",
                )


def _get_metric_statistics(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    plain, extended = request.get("Statistics") or [], request.get("ExtendedStatistics") or []
    if not plain and not extended:
        raise AwsError("InvalidParameterCombination", "Must specify either Statistics or ExtendedStatistics")
    for statistic in extended:
        if statistic in STATISTICS or not is_statistic(statistic):
            raise AwsError(
                "InvalidParameterValue",
                f"The value {statistic} for parameter ExtendedStatistics.member.1 is invalid.",
            )
    period = int(request["Period"])
    _check_period("Period", period)
    start, number = _span(request, period)
    if _whole_seconds(request["StartTime"]) >= _whole_seconds(request["EndTime"]):
        raise AwsError(
            "InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime."
        )
    if number > _MAX_DATAPOINTS:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {number} datapoints, which exceeds the limit of {_MAX_DATAPOINTS}. You may reduce "
            "the datapoints requested by increasing Period, or decreasing the time range.",
        )
    metric = metric_of(request["Namespace"], request["MetricName"], request.get("Dimensions") or ())
    points = []
    # Without a unit, there is one datapoint for each unit: localstack/localstack's validated snapshot of 2024.
    units = (
        [request["Unit"]]
        if request.get("Unit")
        else region.metrics.units(metric, start, start + period * number)
    )
    for unit in units:
        windows = region.metrics.statistics(metric, [*plain, *extended], start, period, number, unit=unit)
        for index, found in enumerate(windows):
            if found is None:
                continue
            point: dict[str, Any] = {
                "Timestamp": datetime.fromtimestamp(start + index * period, UTC),
                "Unit": unit,
                **{name: found[name] for name in plain},
            }
            if values := {name: found[name] for name in extended if found[name] is not None}:
                point["ExtendedStatistics"] = values
            points.append(point)
    return {"Label": request["MetricName"], "Datapoints": points}


def _get_metric_data(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    queries = request["MetricDataQueries"]
    _check_data_queries(queries)
    start, end = _whole_seconds(request["StartTime"]), _whole_seconds(request["EndTime"])
    if start > end:
        raise AwsError("ValidationError", "The parameter EndTime must be greater than StartTime.")
    if start == end:
        raise AwsError("ValidationError", "The parameter StartTime must not equal parameter EndTime.")
    descending = request.get("ScanBy", "TimestampDescending") == "TimestampDescending"
    results = []
    for query in queries:
        if query.get("ReturnData", True):
            results += _results(region.metrics, query, queries, request, descending)
    return {"MetricDataResults": results, "Messages": []}


def _check_data_queries(queries: Sequence[Mapping[str, Any]]) -> None:
    ids = [query["Id"] for query in queries]
    if len(set(ids)) < len(ids):
        raise AwsError("ValidationError", "The values for parameter id in MetricDataQueries are not unique.")
    for number, query in enumerate(queries, 1):
        where = f"MetricDataQueries.member.{number}"
        if "MetricStat" not in query and "Expression" not in query:
            raise AwsError("ValidationError", f"The parameter {where}.MetricStat is required.\n")
        if stat := query.get("MetricStat"):
            _check_period(f"{where}.MetricStat.Period", int(stat["Period"]))
            if not is_statistic(stat["Stat"]):
                raise AwsError(
                    "ValidationError",
                    f"The value {stat['Stat']} for parameter {where}.MetricStat.Stat is invalid.",
                )


def _results(
    metrics: MetricStore,
    query: Mapping[str, Any],
    queries: Sequence[Mapping[str, Any]],
    request: Mapping[str, Any],
    descending: bool,
) -> list[dict[str, Any]]:
    """Return the result of one query; an expression may have several."""
    # "For an expression, the period is the largest of the metrics' periods" where it has none of its own (assumed).
    used = [query] if "MetricStat" in query else queries
    period = int(
        query.get("Period")
        or max((int(q["MetricStat"]["Period"]) for q in used if "MetricStat" in q), default=60)
    )
    start, number = _span(request, period)
    label = query.get("Label") or _label(query, queries)
    units = _units(metrics, query, start, start + period * number)
    messages = {}
    if len(units) > 1:
        # A validated snapshot of 2023 by localstack/localstack has the sentence, and the data of the first of these units.
        value = f"Multiple units returned: '[{', '.join(units)}]'"
        messages = {"Messages": [{"Code": "MultipleUnits", "Value": value}]}
    try:
        found = metric_math.evaluate_id(query["Id"], math_data(metrics, queries, start, period, number))
    except metric_math.ExpressionError as error:
        raise AwsError("ValidationError", f"Error in expression '{query['Id']}': {error}") from error
    return [
        {
            "Id": query["Id"],
            "Label": label,
            "Timestamps": [datetime.fromtimestamp(t, UTC) for t in sorted(series, reverse=descending)],
            "Values": [series[time] for time in sorted(series, reverse=descending)],
            "StatusCode": "Complete",
            **messages,
        }
        for series in (found if isinstance(found, list) else [found])
    ]


def _units(metrics: MetricStore, query: Mapping[str, Any], start: int, end: int) -> list[str]:
    """Return the units of a query that names none; none for an expression."""
    stat = query.get("MetricStat")
    return metrics.units(queried_metric(stat), start, end) if stat and not stat.get("Unit") else []


def _label(query: Mapping[str, Any], queries: Sequence[Mapping[str, Any]]) -> str:
    """Return the label of a query that has none: the name of its metric, and in what the returned queries of the request differ.

    localstack/localstack's validated snapshot of 2023, test_label_generation: units do not count.
    """
    stat = query.get("MetricStat")
    if not stat:
        return str(query["Id"])
    all_stats = [one["MetricStat"] for one in queries if "MetricStat" in one and one.get("ReturnData", True)]
    parts = [stat["Metric"].get("MetricName", query["Id"])]
    parts += [stat[member] for member in ("Stat", "Period") if len({one[member] for one in all_stats}) > 1]
    return " ".join(str(part) for part in parts)


def _check_period(where: str, period: int) -> None:
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        raise AwsError(
            "InvalidParameterValue",
            f"The parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.",
        )


def _whole_seconds(time: datetime) -> int:
    """Return a time as CloudWatch compares it (getmoto/moto, tests/test_cloudwatch/test_cloudwatch.py)."""
    return int(aware(time).timestamp())


def _span(request: Mapping[str, Any], period: int) -> tuple[int, int]:
    """Return when the first period of a request begins, in seconds since the epoch, and how many there are."""
    start, end = aware(request["StartTime"]), aware(request["EndTime"])
    # "Start time less than 15 days ago - Round down to the nearest whole minute", of shorter periods to one of those.
    rounded = int(start.timestamp()) // min(period, 60) * min(period, 60)
    return rounded, max(1, math.ceil((end.timestamp() - rounded) / period))


def _list_metrics(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    now = region.clock.now()
    recent = timedelta(hours=3) if request.get("RecentlyActive") == "PT3H" else _LISTED_FOR
    found = [
        metric
        for metric, newest in region.metrics.known()
        if now - newest <= recent
        and request.get("Namespace") in (None, metric.namespace)
        and request.get("MetricName") in (None, metric.name)
        and _has_dimensions(metric, request.get("Dimensions") or ())
    ]
    shown, token = cloudwatch_page(found, request.get("NextToken"), _METRICS_A_PAGE)
    metrics = [
        {
            "Namespace": metric.namespace,
            "MetricName": metric.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
        }
        for metric in shown
    ]
    return {"Metrics": metrics, **token}


def _has_dimensions(metric: Metric, wanted: Sequence[Mapping[str, str]]) -> bool:
    has = dict(metric.dimensions)
    return all(one["Name"] in has and one.get("Value") in (None, has[one["Name"]]) for one in wanted)


METRIC_OPERATIONS: RegionalOperations = {
    "PutMetricData": _put_metric_data,
    "GetMetricData": _get_metric_data,
    "GetMetricStatistics": _get_metric_statistics,
    "ListMetrics": _list_metrics,
}

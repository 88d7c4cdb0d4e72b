"""CloudWatch's metrics and alarms: its operations, in place of moto's, which neither evaluates alarms nor finds data fast.

Dashboards, insight rules and the protocols themselves stay moto's.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_sm_hosting.local.clock import Clock, Timer
from airflow_sm_hosting.local.cloudwatch import metric_math
from airflow_sm_hosting.local.cloudwatch.alarms import Alarm, Alarms, math_data
from airflow_sm_hosting.local.cloudwatch.metrics import (
    STATISTICS,
    Metric,
    Metrics,
    is_statistic,
    metric_of,
)
from airflow_sm_hosting.local.wire.protocol import AwsError
from airflow_sm_hosting.local.wire.validation import check_request

LOG = logging.getLogger(__name__)

# https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricStatistics.html
_MAX_DATAPOINTS = 1_440
# API_ListMetrics.html: 500 a page, "metrics that have received new data in the past two weeks".
_METRICS_A_PAGE = 500
_LISTED_FOR = timedelta(days=14)
_SHORT_PERIODS = (1, 5, 10, 20, 30)


class RegionalCloudWatch:
    """Metrics and alarms of one Region.

    :param region: The Region.
    :param clock: What tells the time.
    """

    def __init__(self, region: str, clock: Clock) -> None:
        self.clock = clock
        self.metrics = Metrics()
        self.alarms = Alarms(region, clock, self.metrics)
        self.tags: dict[str, dict[str, str]] = {}


class CloudWatch:
    """CloudWatch of all Regions.

    :param clock: What tells the time; alarms are evaluated on its full minutes and ten seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._regions: dict[str, RegionalCloudWatch] = {}
        self._timer: Timer | None = None
        self._evaluated = 0.0
        self._each_minute: list[Callable[[], object]] = []
        self._operations: dict[str, Callable[[RegionalCloudWatch, dict[str, Any]], dict[str, Any]]] = {
            "PutMetricData": _put_metric_data,
            "GetMetricData": _get_metric_data,
            "GetMetricStatistics": _get_metric_statistics,
            "ListMetrics": _list_metrics,
            "PutMetricAlarm": self._put_metric_alarm,
            "PutCompositeAlarm": _put_composite_alarm,
            "DescribeAlarms": _describe_alarms,
            "DescribeAlarmsForMetric": _describe_alarms_for_metric,
            "DescribeAlarmHistory": _describe_alarm_history,
            "DeleteAlarms": _delete_alarms,
            "SetAlarmState": _set_alarm_state,
            "EnableAlarmActions": _enable_alarm_actions,
            "DisableAlarmActions": _disable_alarm_actions,
            "TagResource": _tag_resource,
            "UntagResource": _untag_resource,
            "ListTagsForResource": _list_tags_for_resource,
        }

    @property
    def operations(self) -> list[str]:
        """The operations that are answered here."""
        return list(self._operations)

    def region(self, name: str) -> RegionalCloudWatch:
        """Return metrics and alarms of a Region."""
        with self._lock:
            if name not in self._regions:
                self._regions[name] = RegionalCloudWatch(name, self._clock)
            return self._regions[name]

    def answer(self, operation: str, request: Mapping[str, Any], region: str) -> dict[str, Any]:
        """Answer an operation.

        :param request: Its members; times are datetimes.
        :raises AwsError: The refusal.
        """
        try:
            check_request("cloudwatch", operation, request)
        except AwsError as refusal:
            # The query services call it so.
            raise AwsError(
                refusal.code.replace("ValidationException", "ValidationError"), refusal.message
            ) from (refusal)
        return self._operations[operation](self.region(region), dict(request))

    def start(self) -> None:
        """Begin to evaluate alarms on the clock."""
        self._arm()

    def each_minute(self, function: Callable[[], object]) -> None:
        """Call a function on every full minute, before alarms are evaluated."""
        self._each_minute.append(function)

    def dump(self) -> dict[str, Any]:
        """Return what is kept over a restart: alarms and tags; :meth:`metrics` are kept elsewhere."""
        with self._lock:
            regions = dict(self._regions)
        return {name: {"alarms": one.alarms.dump(), "tags": one.tags} for name, one in regions.items()}

    def metrics(self) -> dict[str, Metrics]:
        """Return the metrics of each Region."""
        with self._lock:
            return {name: one.metrics for name, one in self._regions.items()}

    def load(self, kept: Mapping[str, Any]) -> None:
        """Have again what was kept."""
        for name, one in kept.items():
            region = self.region(name)
            region.alarms.load(one["alarms"])
            region.tags.update(one["tags"])

    def reset(self) -> None:
        """Forget all metrics and alarms, and begin again."""
        with self._lock:
            self._regions.clear()
            self._evaluated = 0.0
        self._arm()

    def _arm(self) -> None:
        """Set the timer to the next full minute or, where an alarm has a short period, ten seconds."""
        with self._lock:
            short = any(region.alarms.has_short_periods() for region in self._regions.values())
            if self._timer:
                self._timer.cancel()
            now = self._clock.now().timestamp()
            step = 10 if short else 60
            due = now - now % step + step
            if due <= self._evaluated:
                # The timer of the computer's clock was a little early.
                due += step
            self._timer = self._clock.call_later(due - now, lambda: self._evaluate(due))

    def _evaluate(self, due: float) -> None:
        self._evaluated = due
        try:
            if int(due) % 60 == 0:
                for function in self._each_minute:
                    try:
                        function()
                    except Exception:
                        LOG.exception("%r failed", function)
            for region in list(self._regions.values()):
                region.alarms.evaluate(datetime.fromtimestamp(int(due), UTC))
        finally:
            self._arm()

    def _put_metric_alarm(self, region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
        _keep_tags(region, region.alarms.put_metric_alarm(request), request)
        self._arm()
        return {}


# Metrics


def _put_metric_data(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    now = region.clock.now()
    data = request.get("MetricData", [])
    for number, datum in enumerate(data, 1):
        _check_datum(f"MetricData.member.{number}", datum)
    for datum in data:
        metric = metric_of(request["Namespace"], datum["MetricName"], datum.get("Dimensions", ()))
        common = {
            "at": _aware(datum.get("Timestamp") or now),
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
    for value in (*values, *([datum["Value"]] if "Value" in datum else ())):
        if not math.isfinite(float(value)):
            raise AwsError(
                "InvalidParameterValue", f"The value {value} for parameter {where}.Value is invalid."
            )
    if datum.get("StorageResolution", 60) not in (1, 60):
        raise AwsError(
            "InvalidParameterValue", f"The value for parameter {where}.StorageResolution must be 1 or 60."
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
    if number > _MAX_DATAPOINTS:
        raise AwsError(
            "InvalidParameterCombination",
            f"You have requested up to {number} datapoints, which exceeds the limit of {_MAX_DATAPOINTS}. You may reduce "
            "the datapoints requested by increasing Period, or decreasing the time range.",
        )
    metric = metric_of(request["Namespace"], request["MetricName"], request.get("Dimensions") or ())
    unit = request.get("Unit")
    points = []
    windows = region.metrics.statistics(metric, [*plain, *extended], start, period, number, unit=unit)
    for index, found in enumerate(windows):
        if found is None:
            continue
        point: dict[str, Any] = {
            "Timestamp": datetime.fromtimestamp(start + index * period, UTC),
            "Unit": unit or region.metrics.unit(metric),
            **{name: found[name] for name in plain},
        }
        if values := {name: found[name] for name in extended if found[name] is not None}:
            point["ExtendedStatistics"] = values
        points.append(point)
    return {"Label": request["MetricName"], "Datapoints": points}


def _get_metric_data(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    queries = request["MetricDataQueries"]
    _check_data_queries(queries)
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
    metrics: Metrics,
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
    label = query.get("Label") or _label(query)
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
        }
        for series in (found if isinstance(found, list) else [found])
    ]


def _label(query: Mapping[str, Any]) -> str:
    stat = query.get("MetricStat")
    return str(stat["Metric"].get("MetricName", query["Id"]) if stat else query["Id"])


def _check_period(where: str, period: int) -> None:
    if period not in _SHORT_PERIODS and (period < 60 or period % 60):
        raise AwsError(
            "InvalidParameterValue",
            f"The parameter {where} must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}.",
        )


def _span(request: Mapping[str, Any], period: int) -> tuple[int, int]:
    """Return when the first period of a request begins, in seconds since the epoch, and how many there are."""
    start, end = _aware(request["StartTime"]), _aware(request["EndTime"])
    if start >= end:
        raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
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
    page, token = _page(found, request.get("NextToken"), _METRICS_A_PAGE)
    metrics = [
        {
            "Namespace": metric.namespace,
            "MetricName": metric.name,
            "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
        }
        for metric in page
    ]
    return {"Metrics": metrics, **token}


def _has_dimensions(metric: Metric, wanted: Sequence[Mapping[str, str]]) -> bool:
    has = dict(metric.dimensions)
    return all(one["Name"] in has and one.get("Value") in (None, has[one["Name"]]) for one in wanted)


# Alarms


def _put_composite_alarm(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    _keep_tags(region, region.alarms.put_composite_alarm(request), request)
    return {}


def _keep_tags(region: RegionalCloudWatch, alarm: Alarm, request: Mapping[str, Any]) -> None:
    # "If you are using this operation to update an existing alarm, any tags you specify … are ignored"
    region.tags.setdefault(alarm.arn, {tag["Key"]: tag["Value"] for tag in request.get("Tags") or ()})


def _describe_alarms(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix")
    if names and prefix:
        raise AwsError("ValidationError", "AlarmNamePrefix and AlarmNames cannot be used together.")
    # "If you omit this parameter, only metric alarms are returned", but for names, which find both kinds.
    kinds = request.get("AlarmTypes") or (["MetricAlarm", "CompositeAlarm"] if names else ["MetricAlarm"])
    action = request.get("ActionPrefix")
    found = [
        alarm
        for alarm in region.alarms.all()
        if alarm.kind in kinds
        and (not names or alarm.name in names)
        and alarm.name.startswith(prefix or "")
        and request.get("StateValue") in (None, alarm.state)
        and (
            not action
            or any(one.startswith(action) for state in ("OK", "ALARM", "") for one in alarm.actions(state))
        )
    ]
    page, token = _page(
        found, request.get("NextToken"), int(request.get("MaxRecords") or 50 if not names else 100)
    )
    return {
        f"{kind}s": [alarm.description() for alarm in page if alarm.kind == kind]
        for kind in ("MetricAlarm", "CompositeAlarm")
    } | token


def _describe_alarms_for_metric(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    metric = metric_of(request["Namespace"], request["MetricName"], request.get("Dimensions") or ())
    return {
        "MetricAlarms": [
            alarm.description()
            for alarm in region.alarms.all()
            if "MetricName" in alarm.request
            and metric
            == metric_of(
                alarm.request["Namespace"], alarm.request["MetricName"], alarm.request.get("Dimensions") or ()
            )
            and all(
                request.get(member) in (None, alarm.request.get(member))
                for member in ("Statistic", "ExtendedStatistic", "Period", "Unit")
            )
        ]
    }


def _describe_alarm_history(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    kinds = request.get("AlarmTypes") or (
        ["MetricAlarm", "CompositeAlarm"] if request.get("AlarmName") else ["MetricAlarm"]
    )
    start, end = request.get("StartDate"), request.get("EndDate")
    items = [
        item
        for alarm in region.alarms.all()
        if request.get("AlarmName") in (None, alarm.name) and alarm.kind in kinds
        for item in list(alarm.history)
        if request.get("HistoryItemType") in (None, item["HistoryItemType"])
        and (start is None or item["Timestamp"] >= _aware(start))
        and (end is None or item["Timestamp"] <= _aware(end))
    ]
    items.sort(key=lambda item: item["Timestamp"])
    if request.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        items.reverse()
    page, token = _page(items, request.get("NextToken"), int(request.get("MaxRecords") or 100))
    return {"AlarmHistoryItems": page, **token}


def _delete_alarms(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    arns = {alarm.arn for alarm in region.alarms.all() if alarm.name in request["AlarmNames"]}
    region.alarms.delete(request["AlarmNames"])
    for arn in arns:
        region.tags.pop(arn, None)
    return {}


def _set_alarm_state(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    data = request.get("StateReasonData")
    try:
        parsed = json.loads(data) if data else None
    except ValueError as error:
        raise AwsError("InvalidFormat", "StateReasonData is not JSON.") from error
    region.alarms.set_state(request["AlarmName"], request["StateValue"], request["StateReason"], parsed)
    return {}


def _enable_alarm_actions(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    region.alarms.enable_actions(request["AlarmNames"], True)
    return {}


def _disable_alarm_actions(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    region.alarms.enable_actions(request["AlarmNames"], False)
    return {}


# Tags


def _tags_of(region: RegionalCloudWatch, arn: str) -> dict[str, str]:
    if region.alarms.state(arn) is None or ":alarm:" not in arn:
        raise AwsError("ResourceNotFoundException", f"The resource {arn} does not exist.", status=404)
    return region.tags.setdefault(arn, {})


def _tag_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    _tags_of(region, request["ResourceARN"]).update({tag["Key"]: tag["Value"] for tag in request["Tags"]})
    return {}


def _untag_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    tags = _tags_of(region, request["ResourceARN"])
    for key in request["TagKeys"]:
        tags.pop(key, None)
    return {}


def _list_tags_for_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    tags = _tags_of(region, request["ResourceARN"])
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _page(rows: Sequence[Any], token: str | None, size: int) -> tuple[list[Any], dict[str, str]]:
    try:
        start = int(base64.urlsafe_b64decode(token)) if token else 0
    except ValueError as error:
        raise AwsError("InvalidNextToken", "The NextToken is not valid.") from error
    end = start + size
    more = {"NextToken": base64.urlsafe_b64encode(str(end).encode()).decode()} if end < len(rows) else {}
    return list(rows[start:end]), more

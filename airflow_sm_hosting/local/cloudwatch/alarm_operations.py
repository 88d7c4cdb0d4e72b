"""CloudWatch's operations on alarms and their tags."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.cloudwatch.alarm import Alarm
from airflow_sm_hosting.local.cloudwatch.metrics import metric_of
from airflow_sm_hosting.local.cloudwatch.region import (
    RegionalCloudWatch,
    RegionalOperations,
    aware,
    cloudwatch_page,
)
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.tagging import tags_as_dict, tags_as_list


def _put_metric_alarm(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    _keep_tags(region, region.alarms.put_metric_alarm(request), request)
    return {}


def _put_composite_alarm(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    _keep_tags(region, region.alarms.put_composite_alarm(request), request)
    return {}


def _keep_tags(region: RegionalCloudWatch, alarm: Alarm, request: Mapping[str, Any]) -> None:
    # "If you are using this operation to update an existing alarm, any tags you specify … are ignored"
    if alarm.arn not in region.tags:
        region.tags.add(alarm.arn, tags_as_dict(request.get("Tags")))


def _describe_alarms(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    names, prefix = request.get("AlarmNames"), request.get("AlarmNamePrefix")
    if names and prefix:
        raise AwsError("ValidationError", "AlarmNamePrefix and AlarmNames cannot be used together.")
    # "If you omit this parameter, only metric alarms are returned, even if composite alarms … exist": API_DescribeAlarms.html
    kinds = request.get("AlarmTypes") or ["MetricAlarm"]
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
    shown, token = cloudwatch_page(
        found, request.get("NextToken"), int(request.get("MaxRecords") or 50 if not names else 100)
    )
    return {
        f"{kind}s": [alarm.description() for alarm in shown if alarm.kind == kind]
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
    # "If you omit this parameter, only metric alarms are returned": API_DescribeAlarmHistory.html
    kinds = request.get("AlarmTypes") or ["MetricAlarm"]
    start, end = request.get("StartDate"), request.get("EndDate")
    items = [
        item
        for alarm in region.alarms.all()
        if request.get("AlarmName") in (None, alarm.name) and alarm.kind in kinds
        for item in list(alarm.history)
        if request.get("HistoryItemType") in (None, item["HistoryItemType"])
        and (start is None or item["Timestamp"] >= aware(start))
        and (end is None or item["Timestamp"] <= aware(end))
    ]
    items.sort(key=lambda item: item["Timestamp"])
    if request.get("ScanBy", "TimestampDescending") == "TimestampDescending":
        items.reverse()
    shown, token = cloudwatch_page(items, request.get("NextToken"), int(request.get("MaxRecords") or 100))
    return {"AlarmHistoryItems": shown, **token}


def _delete_alarms(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    arns = {alarm.arn for alarm in region.alarms.all() if alarm.name in request["AlarmNames"]}
    region.alarms.delete(request["AlarmNames"])
    for arn in arns:
        region.tags.forget(arn)
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


def _tagged(region: RegionalCloudWatch, request: Mapping[str, Any]) -> str:
    arn = str(request["ResourceARN"])
    if region.alarms.state(arn) is None or ":alarm:" not in arn:
        raise AwsError("ResourceNotFoundException", f"The resource {arn} does not exist.", status=404)
    return arn


def _tag_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    region.tags.add(_tagged(region, request), tags_as_dict(request["Tags"]))
    return {}


def _untag_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    region.tags.remove(_tagged(region, request), request["TagKeys"])
    return {}


def _list_tags_for_resource(region: RegionalCloudWatch, request: dict[str, Any]) -> dict[str, Any]:
    return {"Tags": tags_as_list(region.tags.of(_tagged(region, request)))}


ALARM_OPERATIONS: RegionalOperations = {
    "PutMetricAlarm": _put_metric_alarm,
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

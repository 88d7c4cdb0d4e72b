"""The notification of an alarm, in the shape that subscribers of CloudWatch parse."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from botocore.loaders import Loader

from airflow_sm_hosting.local.cloudwatch.alarm import Alarm
from airflow_sm_hosting.local.cloudwatch.alarm_state import zulu
from airflow_sm_hosting.local.cloudwatch.metrics import STATISTICS
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID


def alarm_message(alarm: Alarm, region: str, before: str) -> tuple[str, str]:
    """Return subject and message of an alarm's notification, in the shape that subscribers of CloudWatch parse."""
    place = region_description(region)
    message: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": alarm.request.get("AlarmDescription"),
        "AWSAccountId": ACCOUNT_ID,
        "AlarmConfigurationUpdatedTimestamp": zulu(alarm.configured),
        "NewStateValue": alarm.state,
        "NewStateReason": alarm.reason,
        "StateChangeTime": zulu(alarm.transitioned),
        "Region": place,
        "AlarmArn": alarm.arn,
        "OldStateValue": before,
        **{name: alarm.request.get(name, []) for name in ("OKActions", "AlarmActions")},
        "InsufficientDataActions": alarm.request.get("InsufficientDataActions", []),
    }
    request = alarm.request
    if alarm.kind == "CompositeAlarm":
        message["AlarmRule"] = request["AlarmRule"]
        message["TriggeringChildren"] = (alarm.reason_data or {}).get("triggeringAlarms", [])
    else:
        trigger: dict[str, Any] = {
            "Period": alarm.period,
            **{
                name: request.get(name)
                for name in ("EvaluationPeriods", "DatapointsToAlarm", "ComparisonOperator", "Threshold")
                if name in request
            },
            "TreatMissingData": request.get("TreatMissingData", ""),
            "EvaluateLowSampleCountPercentile": request.get("EvaluateLowSampleCountPercentile", ""),
        }
        if "Metrics" in request:
            trigger["Metrics"] = request["Metrics"]
        else:
            simple = request.get("Statistic") in STATISTICS
            trigger |= {
                "MetricName": request.get("MetricName"),
                "Namespace": request.get("Namespace"),
                "StatisticType": "Statistic" if simple else "ExtendedStatistic",
                "Statistic": request["Statistic"].upper() if simple else request.get("ExtendedStatistic"),
                "Unit": request.get("Unit"),
                "Dimensions": [
                    {"value": dimension["Value"], "name": dimension["Name"]}
                    for dimension in request.get("Dimensions", ())
                ],
            }
        message["Trigger"] = trigger
    return f'{alarm.state}: "{alarm.name}" in {place}'[:99], json.dumps(message)


@cache
def region_description(region: str) -> str:
    """Return ``US East (N. Virginia)`` for ``us-east-1``, as messages of CloudWatch name Regions."""
    for partition in Loader().load_data("endpoints")["partitions"]:
        if region in partition["regions"]:
            return str(partition["regions"][region]["description"])
    return region

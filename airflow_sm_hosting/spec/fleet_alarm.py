"""Alarms that are made for one deployment: they watch the new fleet alone, and go when the deployment has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.spec.metric import alarm_request, check_window
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rules import (
    as_integer,
    check_integer,
    check_name,
    check_one_of,
    invalid,
    is_rendered_later,
    present,
)

_COMPARISONS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)


class NewFleetAlarm(Reference):
    """An alarm on the new fleet of one deployment, by the dimension ``EndpointConfigName``; it rolls back, and is deleted after.

    Such metrics exist only once the new fleet has traffic, so missing data is never breaching.

    :param variant_name: The production variant. (templated)
    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric`. (templated)
    :param threshold: The threshold in the metric's own unit (latencies: microseconds), or a timedelta for durations. (templated)
    :param evaluation_periods: Periods that are looked at, 1 or more (default: 1). (templated)
    :param datapoints_to_alarm: How many of them must breach, 1 to ``evaluation_periods`` (default: all). (templated)
    :param comparison_operator: As in :class:`~airflow_sm_hosting.CreateEndpointAlarmOperator`
        (default: ``GreaterThanOrEqualToThreshold``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """

    def __init__(
        self,
        *,
        variant_name: Any,
        metric: Any,
        threshold: float | timedelta | Any,
        evaluation_periods: Any = 1,
        datapoints_to_alarm: Any = None,
        comparison_operator: Any = "GreaterThanOrEqualToThreshold",
    ) -> None:
        where = "NewFleetAlarm"
        check_name(f"{where}: variant_name", variant_name)
        if not is_rendered_later(metric) and kind_of(metric) != "EndpointMetric":
            raise invalid(
                f"{where}: metric", metric, "an EndpointMetric, e.g. EndpointMetric.model_latency()"
            )
        check_integer(f"{where}: evaluation_periods", evaluation_periods, 1)
        if datapoints_to_alarm is not None:
            check_integer(f"{where}: datapoints_to_alarm", datapoints_to_alarm, 1)
        check_one_of(f"{where}: comparison_operator", comparison_operator, _COMPARISONS)
        super().__init__(
            "NewFleetAlarm",
            VariantName=variant_name,
            Metric=metric,
            Threshold=threshold,
            EvaluationPeriods=evaluation_periods,
            DatapointsToAlarm=datapoints_to_alarm,
            ComparisonOperator=comparison_operator,
        )


def alarm_prefix(endpoint_name: str, endpoint_config_name: str) -> str:
    """Return what the names of a deployment's alarms begin with: two names of 63 characters leave room for the rest of 255."""
    return f"rollout/{endpoint_name}/{endpoint_config_name}/"


def fleet_alarm_request(
    alarm: Mapping[str, Any], index: int, *, endpoint_name: str, endpoint_config_name: str
) -> dict[str, Any]:
    """Return a rendered alarm as PutMetricAlarm takes it.

    :param alarm: A rendered :class:`NewFleetAlarm`.
    :param index: Its place in the list, which makes its name unique.
    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config of the new fleet.
    :raises InvalidSpecError: For an alarm that could never go off.
    """
    variant = str(alarm["VariantName"])
    periods = as_integer("NewFleetAlarm: evaluation_periods", alarm["EvaluationPeriods"], 1)
    points = alarm.get("DatapointsToAlarm")
    if points is not None:
        points = as_integer("NewFleetAlarm: datapoints_to_alarm", points, 1)
    request = alarm_request(
        alarm["Metric"], endpoint_name=endpoint_name, variant_name=variant, threshold=alarm["Threshold"]
    )
    check_window(request["Period"], periods, points, where="NewFleetAlarm")
    return present(
        **{
            **request,
            "AlarmName": f"{alarm_prefix(endpoint_name, endpoint_config_name)}{variant}-{request['MetricName']}-{index}",
            "AlarmDescription": f"Rolls back the deployment of {endpoint_config_name}; deleted when that has ended.",
            "Dimensions": [
                *request["Dimensions"],
                {"Name": "EndpointConfigName", "Value": endpoint_config_name},
            ],
            "EvaluationPeriods": periods,
            "DatapointsToAlarm": points,
            "ComparisonOperator": alarm["ComparisonOperator"],
            # Developer guide, "deployment-guardrails-configuration": there are no data before the new fleet has traffic.
            "TreatMissingData": "notBreaching",
        }
    )

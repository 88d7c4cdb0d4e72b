"""Alarms for one deployment: they watch only the new fleet, and are deleted when the deployment has ended."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.spec.alarm import ComparisonOperator, alarm_request, check_alarm
from airflow_sm_hosting.spec.checks import check_name
from airflow_sm_hosting.spec.metric import EndpointMetric, MetricMath, completed_metric
from airflow_sm_hosting.spec.reference import Reference, present
from airflow_sm_hosting.spec.rendered import as_integer
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedFloat, TemplatedInt, TemplatedStr

#: There are no data before the new fleet has traffic (developer guide, "deployment-guardrails-configuration").
MISSING_DATA = "notBreaching"

#: The additional dimension of the new fleet's metrics, beside EndpointName and VariantName (developer guide, "monitoring-cloudwatch").
FLEET = "EndpointConfigName"


class NewFleetAlarm(Reference):
    """An alarm on the new fleet of one deployment, by the dimension ``EndpointConfigName``; it rolls back, and is deleted after.

    Such metrics exist only once the new fleet has traffic, so missing data is never breaching.

    :param variant_name: The production variant. (templated)
    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric` or a :class:`~airflow_sm_hosting.MetricMath`. (templated)
    :param threshold: The threshold in the metric's own unit (latencies: microseconds), or a timedelta for durations. (templated)
    :param evaluation_periods: Number of periods to evaluate, 1 or more (default: 1). (templated)
    :param datapoints_to_alarm: How many of them must breach, 1 to ``evaluation_periods`` (default: all). (templated)
    :param comparison_operator: As in :class:`~airflow_sm_hosting.CreateEndpointAlarmOperator`
        (default: ``GreaterThanOrEqualToThreshold``). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-configuration.html
    """

    def __init__(
        self,
        *,
        variant_name: TemplatedStr,
        metric: EndpointMetric | MetricMath | RenderedLater,
        threshold: timedelta | TemplatedFloat,
        evaluation_periods: TemplatedInt = 1,
        datapoints_to_alarm: TemplatedInt | None = None,
        comparison_operator: ComparisonOperator | TemplatedStr = "GreaterThanOrEqualToThreshold",
    ) -> None:
        check_name("NewFleetAlarm: variant_name", variant_name)
        check_alarm(
            "NewFleetAlarm",
            metric=metric,
            threshold=threshold,
            evaluation_periods=evaluation_periods,
            comparison_operator=comparison_operator,
            datapoints_to_alarm=datapoints_to_alarm,
            treat_missing_data=MISSING_DATA,
        )
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
    """Return the prefix of a deployment's alarm names: two names of 63 characters leave room for the rest of 255."""
    return f"rollout/{endpoint_name}/{endpoint_config_name}/"


def fleet_alarm_request(
    alarm: Mapping[str, Any],
    index: int,
    *,
    endpoint_name: str,
    endpoint_config_name: str,
    dimensions: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """Return a rendered alarm as PutMetricAlarm takes it.

    :param alarm: A rendered :class:`NewFleetAlarm`.
    :param index: Its place in the list, which makes its name unique.
    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config of the new fleet.
    :param dimensions: Both names, spelled as AWS describes them: the case of a dimension counts (default: as they are given).
    :raises InvalidSpecError: For an alarm that could never go off.
    """
    where, variant = "NewFleetAlarm", str(alarm["VariantName"])
    check_name(f"{where}: variant_name", variant)
    points = alarm.get("DatapointsToAlarm")
    described_endpoint, described_config = dimensions or (endpoint_name, endpoint_config_name)
    metric = completed_metric(alarm["Metric"], described_endpoint, variant, where=f"{where}: metric")
    conditions = {
        "evaluation_periods": as_integer(f"{where}: evaluation_periods", alarm["EvaluationPeriods"], 1),
        "datapoints_to_alarm": None
        if points is None
        else as_integer(f"{where}: datapoints_to_alarm", points, 1),
        "comparison_operator": alarm["ComparisonOperator"],
        "treat_missing_data": MISSING_DATA,
    }
    check_alarm(where, metric=metric, threshold=alarm["Threshold"], **conditions)
    request = alarm_request(_of_fleet(metric, described_config), threshold=alarm["Threshold"])
    name = metric.get("MetricName", "expression")
    return present(
        **request,
        AlarmName=f"{alarm_prefix(endpoint_name, endpoint_config_name)}{variant}-{name}-{index}",
        AlarmDescription=f"Rolls back the deployment of {endpoint_config_name}; deleted when the deployment has ended.",
        EvaluationPeriods=conditions["evaluation_periods"],
        DatapointsToAlarm=conditions["datapoints_to_alarm"],
        ComparisonOperator=conditions["comparison_operator"],
        TreatMissingData=conditions["treat_missing_data"],
    )


def _of_fleet(metric: dict[str, Any], endpoint_config_name: str) -> dict[str, Any]:
    """Return a completed metric, or expression, that covers only the new fleet."""
    if "Metrics" in metric:
        inner = {name: _of_fleet(one, endpoint_config_name) for name, one in metric["Metrics"].items()}
        return {**metric, "Metrics": inner}
    return {**metric, "Dimensions": {**metric["Dimensions"], FLEET: endpoint_config_name}}

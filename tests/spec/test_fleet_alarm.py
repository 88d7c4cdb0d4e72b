"""Alarms on the new fleet of one deployment."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import EndpointMetric, MetricMath, NewFleetAlarm
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.fleet_alarm import fleet_alarm_request

NAMES = {"endpoint_name": "churn", "endpoint_config_name": "churn-2"}


def alarm(**options: Any) -> NewFleetAlarm:
    known = {"variant_name": "main", "metric": EndpointMetric.model_latency(), "threshold": 500_000}
    return NewFleetAlarm(**{**known, **options})


def test_it_watches_the_fleet_of_the_config_alone_and_takes_missing_data_for_good() -> None:
    request = fleet_alarm_request(alarm(), 3, **NAMES)
    dimensions = {one["Name"]: one["Value"] for one in request["Dimensions"]}
    assert dimensions == {"EndpointName": "churn", "VariantName": "main", "EndpointConfigName": "churn-2"}
    assert request["AlarmName"] == "rollout/churn/churn-2/main-ModelLatency-3"
    assert request["TreatMissingData"] == "notBreaching"
    assert (request["Threshold"], request["EvaluationPeriods"]) == (500_000, 1)
    assert "DatapointsToAlarm" not in request


def test_every_metric_of_an_expression_is_of_the_fleet() -> None:
    rate = MetricMath(
        expression="100 * errors / all",
        metrics={"errors": EndpointMetric.invocation_5xx_errors(), "all": EndpointMetric.invocations()},
    )
    request = fleet_alarm_request(alarm(metric=rate, threshold=1), 0, **NAMES)
    watched = [one["MetricStat"]["Metric"]["Dimensions"] for one in request["Metrics"] if "MetricStat" in one]
    assert len(watched) == 2
    assert all({"Name": "EndpointConfigName", "Value": "churn-2"} in dimensions for dimensions in watched)
    assert request["AlarmName"].endswith("main-expression-0")


def test_rendered_values_become_what_they_stand_for() -> None:
    given = alarm(evaluation_periods="{{ 3 }}", datapoints_to_alarm="{{ 2 }}", threshold="{{ 1 }}")
    rendered = {**given, "EvaluationPeriods": "3", "DatapointsToAlarm": "2", "Threshold": "500000"}
    request = fleet_alarm_request(rendered, 0, **NAMES)
    assert (request["EvaluationPeriods"], request["DatapointsToAlarm"], request["Threshold"]) == (
        3,
        2,
        500_000,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant_name": "no_name"}, "NewFleetAlarm: variant_name"),
        ({"evaluation_periods": 0}, "evaluation_periods"),
        ({"evaluation_periods": 1, "datapoints_to_alarm": 2}, "datapoints_to_alarm"),
        ({"comparison_operator": "Above"}, "comparison_operator"),
    ],
    ids=str,
)
def test_what_can_never_work_is_refused_where_it_is_written(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        alarm(**options)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"VariantName": "no_name"}, "NewFleetAlarm: variant_name"),
        ({"EvaluationPeriods": "none"}, "evaluation_periods"),
        ({"DatapointsToAlarm": "0"}, "datapoints_to_alarm"),
    ],
    ids=str,
)
def test_and_where_it_is_rendered(members: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        fleet_alarm_request({**alarm(), **members}, 0, **NAMES)

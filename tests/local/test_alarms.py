from __future__ import annotations

import pytest

from airflow_sm_hosting.local.alarms import alarm_state
from tests.local.conftest import wait_until
from tests.local.test_control_plane import refusal_of

NAMESPACE = "AWS/SageMaker"


@pytest.fixture
def cloudwatch(deployer):
    return deployer.aws.client("cloudwatch")


def alarm(**more):
    merged = {
        "AlarmName": "slow",
        "Namespace": NAMESPACE,
        "MetricName": "ModelLatency",
        "Statistic": "Average",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1000.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **more,
    }
    return {key: value for key, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    "part",
    [
        {"DatapointsToAlarm": 2},
        {"ExtendedStatistic": "p99"},
        {"Statistic": None},
        {"Period": 7},
        {"Period": 90},
        {"Period": 60, "EvaluationPeriods": 1441},
        {"TreatMissingData": "whatever"},
        {"MetricName": None},
    ],
)
def test_put_metric_alarm_refuses(cloudwatch, part):
    code, _ = refusal_of(cloudwatch.put_metric_alarm, **alarm(**part))
    assert code in ("ValidationError", "InvalidParameterValue", "InvalidParameterCombination")
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def state(cloudwatch, name="slow"):
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found["StateValue"]


def test_an_alarm_begins_without_data_and_follows_its_metric(cloudwatch):
    cloudwatch.put_metric_alarm(**alarm())
    assert state(cloudwatch) == "INSUFFICIENT_DATA"

    def put(value):
        cloudwatch.put_metric_data(
            Namespace=NAMESPACE, MetricData=[{"MetricName": "ModelLatency", "Value": value}]
        )

    put(10.0)
    wait_until(lambda: state(cloudwatch) == "OK")
    put(1_000_000.0)
    wait_until(lambda: state(cloudwatch) == "ALARM")
    # Putting it again keeps the state.
    cloudwatch.put_metric_alarm(**alarm(AlarmDescription="new"))
    assert state(cloudwatch) == "ALARM"


def test_percentiles_dimensions_and_units_are_looked_at(cloudwatch):
    here = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]
    for name, part in (
        ("p99", {"Statistic": None, "ExtendedStatistic": "p99"}),
        ("p10", {"Statistic": None, "ExtendedStatistic": "p10"}),
        ("other-unit", {"Unit": "Seconds"}),
    ):
        cloudwatch.put_metric_alarm(**alarm(AlarmName=name, Dimensions=here, **part))
    cloudwatch.put_metric_alarm(**alarm(AlarmName="elsewhere"))
    cloudwatch.put_metric_data(
        Namespace=NAMESPACE,
        MetricData=[
            {"MetricName": "ModelLatency", "Value": value, "Dimensions": here, "Unit": "Microseconds"}
            for value in (1.0, 1.0, 5000.0)
        ],
    )
    wait_until(lambda: state(cloudwatch, "p99") == "ALARM")
    wait_until(lambda: state(cloudwatch, "p10") == "OK")
    assert state(cloudwatch, "elsewhere") == "INSUFFICIENT_DATA"
    assert state(cloudwatch, "other-unit") == "INSUFFICIENT_DATA"


def told(points, *, to_alarm=2, missing="missing", before="OK"):
    return alarm_state(
        points, breaches=lambda value: value > 10, to_alarm=to_alarm, missing=missing, before=before
    )


def test_the_state_is_that_of_the_datapoints():
    assert told([20, 20, 1]) == "ALARM"
    assert told([20, 1, 1]) == "OK"
    assert told([None, None, None]) == "INSUFFICIENT_DATA"
    assert told([None, None, None], missing="ignore", before="ALARM") == "ALARM"
    assert told([None, None, None], missing="breaching") == "ALARM"
    assert told([None, None, None], missing="notBreaching", before="ALARM") == "OK"
    assert told([20, None, None], missing="breaching") == "ALARM"
    assert told([20, None, 1], missing="notBreaching") == "OK"
    assert told([1, None, None], before="INSUFFICIENT_DATA") == "OK"
    assert told([20, None, None], missing="ignore", before="ALARM") == "ALARM"

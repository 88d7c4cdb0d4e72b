"""Metrics and the numbers of an alarm."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import EndpointMetric
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks.requests import prepared
from airflow_sm_hosting.spec.metric import (
    DAY,
    WEEK,
    alarm_request,
    check_period,
    check_statistic,
    check_window,
    threshold_value,
)
from airflow_sm_hosting.spec.reference import MARK

NAMES = {"endpoint_name": "churn", "variant_name": "main"}
INVOCATIONS, UTILIZATION = "AWS/SageMaker", "/aws/sagemaker/Endpoints"
#: The CDK's table of helpers (reference/cdk_library.md, 5).
HELPERS = [
    ("invocations", INVOCATIONS, "Invocations", "Sum"),
    ("invocations_per_instance", INVOCATIONS, "InvocationsPerInstance", "Sum"),
    ("model_latency", INVOCATIONS, "ModelLatency", "Average"),
    ("overhead_latency", INVOCATIONS, "OverheadLatency", "Average"),
    ("invocation_4xx_errors", INVOCATIONS, "Invocation4XXErrors", "Sum"),
    ("invocation_5xx_errors", INVOCATIONS, "Invocation5XXErrors", "Sum"),
    ("cpu_utilization", UTILIZATION, "CPUUtilization", "Average"),
    ("memory_utilization", UTILIZATION, "MemoryUtilization", "Average"),
    ("disk_utilization", UTILIZATION, "DiskUtilization", "Average"),
    ("gpu_utilization", UTILIZATION, "GPUUtilization", "Average"),
    ("gpu_memory_utilization", UTILIZATION, "GPUMemoryUtilization", "Average"),
]


@pytest.mark.parametrize(
    ("helper", "namespace", "name", "statistic"), HELPERS, ids=[helper[0] for helper in HELPERS]
)
def test_each_metric_is_the_cdks(helper: str, namespace: str, name: str, statistic: str) -> None:
    metric = getattr(EndpointMetric, helper)()
    assert metric == {
        MARK: "EndpointMetric",
        "Namespace": namespace,
        "MetricName": name,
        "Period": 300,
        "Statistic": statistic,
    }
    assert alarm_request(metric, **NAMES, threshold=1) == {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [
            {"Name": "EndpointName", "Value": "churn"},
            {"Name": "VariantName", "Value": "main"},
        ],
        "Period": 300,
        "Statistic": statistic,
        "Threshold": 1.0,
    }
    # Every default can be replaced.
    other = getattr(EndpointMetric, helper)(period=timedelta(minutes=1), statistic="p99", unit="None")
    assert (other["Period"], other["Statistic"], other["Unit"]) == (60, "p99", "None")


def test_any_other_metric_is_a_sum_by_default() -> None:
    metric = EndpointMetric.custom("Team", "Rows", label="rows")
    assert (metric["Namespace"], metric["MetricName"], metric["Statistic"]) == ("Team", "Rows", "Sum")
    assert metric["Label"] == "rows"


def test_given_dimensions_take_the_place_of_both() -> None:
    metric = EndpointMetric.custom("Team", "Rows", dimensions={"EndpointName": "churn"})
    dimensions = alarm_request(metric, **NAMES, threshold=1)["Dimensions"]
    assert dimensions == [{"Name": "EndpointName", "Value": "churn"}]


@pytest.mark.parametrize(
    "period", [10, 20, 30, 60, 120, 300, DAY, timedelta(seconds=10), timedelta(days=1)], ids=str
)
def test_periods_that_cloudwatch_takes_are_taken(period: Any) -> None:
    check_period("p", period)


@pytest.mark.parametrize(
    "period",
    [0, 1, 5, 9, 11, 15, 40, 59, 61, 90, -60, DAY + 60, 60.0, "60", True, None, timedelta(seconds=61)],
    ids=str,
)
def test_periods_that_cloudwatch_refuses_are_refused(period: Any) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"p is .*10, 20 or 30 seconds, or a multiple of 60 up to 86400"
    ):
        check_period("p", period)


def test_a_period_is_never_rounded() -> None:
    with pytest.raises(InvalidSpecError, match=r"EndpointMetric: period"):
        EndpointMetric.invocations(period=timedelta(seconds=60, milliseconds=900))


@pytest.mark.parametrize(
    "statistic",
    ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "p99", "p99.9", "p0", "p100", "tm90", "iqm", "TM(10%:90%)", "PR(:300)"],
)  # fmt: skip
def test_statistics_that_cloudwatch_takes_are_taken(statistic: str) -> None:
    check_statistic("s", statistic)
    request = alarm_request(EndpointMetric.model_latency(statistic=statistic), **NAMES, threshold=1)
    kind = "Statistic" if statistic[0] in "SAM" and statistic[1].islower() else "ExtendedStatistic"
    assert request[kind] == statistic
    assert len({"Statistic", "ExtendedStatistic"} & set(request)) == 1


@pytest.mark.parametrize("statistic", ["average", "Mean", "p101", "p", "99", "", None, 99, "p99 "], ids=repr)
def test_statistics_that_cloudwatch_refuses_are_refused(statistic: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"EndpointMetric: statistic is .*'p99'"):
        EndpointMetric.model_latency(statistic=statistic)


@pytest.mark.parametrize(
    ("metric", "threshold", "value"),
    [
        ("ModelLatency", 100_000, 100_000),
        ("ModelLatency", timedelta(milliseconds=100), 100_000),
        ("OverheadLatency", timedelta(seconds=2), 2_000_000),
        ("ApproximateAgeOfOldestRequest", timedelta(minutes=1), 60),
        ("TimeInBacklog", timedelta(seconds=1), 1000),
        ("Invocations", "12.5", 12.5),
        ("Invocations", 0, 0),
        ("Invocations", -3, -3),
    ],
    ids=str,
)
def test_a_threshold_is_in_the_metrics_own_unit(metric: str, threshold: Any, value: float) -> None:
    assert threshold_value(metric, threshold) == value
    assert isinstance(threshold_value(metric, threshold), float)


@pytest.mark.parametrize("threshold", ["", "fast", None, [1]], ids=repr)
def test_a_threshold_that_is_no_number_is_refused(threshold: Any) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"threshold is .*a number in the metric's own unit, or a timedelta"
    ):
        threshold_value("Invocations", threshold)


def test_a_duration_on_a_metric_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match=r"threshold .*Invocations is no duration"):
        threshold_value("Invocations", timedelta(seconds=1))


@pytest.mark.parametrize("threshold", ["nan", float("nan"), float("inf"), True], ids=repr)
def test_a_threshold_that_is_no_finite_number_is_refused(threshold: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"threshold is"):
        threshold_value("Invocations", threshold)


@pytest.mark.parametrize(
    ("period", "periods"),
    [(10, DAY // 10), (60, 1440), (300, 288), (3540, 24), (3600, 168), (DAY, 7)],
)
def test_the_longest_windows_are_taken(period: int, periods: int) -> None:
    check_window(period, periods, periods)


@pytest.mark.parametrize(
    ("period", "periods", "limit"), [(60, 1441, DAY), (300, 289, DAY), (3600, 169, WEEK), (DAY, 8, WEEK)]
)
def test_longer_windows_are_refused(period: int, periods: int, limit: int) -> None:
    with pytest.raises(
        InvalidSpecError, match=f"evaluation_periods × period is {periods} × {period} s.*allowed: {limit} s"
    ):
        check_window(period, periods, None)


def test_an_alarm_that_could_never_fire_is_refused() -> None:
    check_window(300, 3, 3)
    with pytest.raises(
        InvalidSpecError, match=r"datapoints_to_alarm is 4 of 3 evaluation_periods.*never fire"
    ):
        check_window(300, 3, 4)


def test_jinja_and_xcom_args_pass_untouched_and_are_checked_once_rendered() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    metric = EndpointMetric(output, "{{ x }}", period="{{ x }}", statistic=output, dimensions={"A": output})
    assert metric["Namespace"] is output
    assert metric["Period"] == "{{ x }}"
    rendered = {**EndpointMetric.invocations(), "Period": "60"}
    assert alarm_request(rendered, **NAMES, threshold="5")["Period"] == 60
    with pytest.raises(InvalidSpecError, match=r"EndpointMetric: period is 61"):
        alarm_request({**rendered, "Period": "61"}, **NAMES, threshold=1)
    with pytest.raises(InvalidSpecError, match=r"EndpointMetric: statistic is 'Mean'"):
        alarm_request({**rendered, "Statistic": "Mean"}, **NAMES, threshold=1)


@pytest.mark.parametrize("helper", [helper[0] for helper in HELPERS])
def test_every_alarm_is_one_that_cloudwatchs_model_takes(helper: str) -> None:
    metric = alarm_request(getattr(EndpointMetric, helper)(), **NAMES, threshold=1)
    prepared(
        "cloudwatch",
        "PutMetricAlarm",
        {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            **metric,
        },
    )

"""When an alarm fires: thresholds, windows, and what could never be."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting import EndpointMetric, MetricMath
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.alarm import (
    DAY,
    check_actions,
    check_alarm,
    check_alarm_members,
    check_alarm_name,
    check_description,
    check_window,
    default_alarm_name,
    doubts,
    literal_default_name,
    literal_name,
    threshold_value,
)
from airflow_sm_hosting.spec.metric import WEEK, completed_metric

ENDPOINT_ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
SAGEMAKER = "AWS/SageMaker"


def alarm(metric: Any = None, **options: Any) -> None:
    check_alarm(
        "Op",
        **{
            "metric": metric or EndpointMetric.model_latency(),
            "threshold": 1,
            "evaluation_periods": 3,
            "comparison_operator": "GreaterThanOrEqualToThreshold",
            **options,
        },
    )


@pytest.mark.parametrize(
    ("metric", "threshold", "value"),
    [
        ("ModelLatency", 100_000, 100_000),
        ("ModelLatency", timedelta(milliseconds=100), 100_000),
        ("OverheadLatency", timedelta(seconds=2), 2_000_000),
        ("ModelSetupTime", timedelta(seconds=1), 1_000_000),
        ("ContainerLatency", timedelta(milliseconds=1), 1000),
        ("ModelLoadingTime", timedelta(milliseconds=1), 1000),
        ("ApproximateAgeOfOldestRequest", timedelta(minutes=1), 60),
        ("ApproximateAgeOfOldestRequest", timedelta(milliseconds=1500), 1.5),
        ("TimeInBacklog", timedelta(seconds=1), 1000),
        ("TotalProcessingTime", timedelta(seconds=1), 1000),
        ("Invocations", "12.5", 12.5),
        ("Invocations", 0, 0),
        ("Invocations", -3, -3),
    ],
    ids=str,
)
def test_a_threshold_is_in_the_metrics_own_unit(metric: str, threshold: Any, value: float) -> None:
    found = threshold_value({"MetricName": metric}, threshold)
    assert found == value
    assert isinstance(found, float)


@given(st.integers(min_value=0, max_value=10**12))
def test_whole_microseconds_stay_whole(microseconds: int) -> None:
    found = threshold_value({"MetricName": "ModelLatency"}, timedelta(microseconds=microseconds))
    assert found == microseconds
    assert found.is_integer()


@pytest.mark.parametrize(
    "threshold", ["", "fast", None, [1], "nan", float("nan"), float("inf"), "-inf", True], ids=repr
)
def test_a_threshold_that_is_no_finite_number_is_refused(threshold: Any) -> None:
    with pytest.raises(
        InvalidSpecError, match=r"Op: threshold is .*a number in the metric's own unit, or a timedelta"
    ):
        alarm(threshold=threshold)


@pytest.mark.parametrize(
    ("metric", "what"),
    [
        (EndpointMetric.invocations(), "Invocations is not a duration"),
        (EndpointMetric.error_rate(), "the result of an expression is not a duration"),
    ],
)
def test_a_duration_on_a_metric_that_is_none_is_refused(metric: Any, what: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"Op: threshold is .*{what}"):
        alarm(metric, threshold=timedelta(seconds=1))


@pytest.mark.parametrize(
    ("period", "periods"),
    [(10, DAY // 10), (60, 1440), (300, 288), (3540, 24), (3600, 168), (DAY, 7), (WEEK, 1)],
)
def test_the_longest_windows_are_taken(period: int, periods: int) -> None:
    check_window(period, periods, periods)


@pytest.mark.parametrize(
    ("period", "periods", "limit"),
    [(60, 1441, DAY), (300, 289, DAY), (3540, 25, DAY), (3600, 169, WEEK), (DAY, 8, WEEK)],
)
@pytest.mark.parametrize("form", ["plain", "labelled", "expression"])
def test_longer_windows_are_refused(period: int, periods: int, limit: int, form: str) -> None:
    metric = {
        "plain": lambda: EndpointMetric.invocations(period=period),
        "labelled": lambda: EndpointMetric.invocations(period=period, label="x"),
        "expression": lambda: MetricMath(
            expression="a", metrics={"a": EndpointMetric.invocations()}, period=period
        ),
    }[form]()
    with pytest.raises(
        InvalidSpecError, match=f"evaluation_periods × period is {periods} × {period} s.*allowed: {limit} s"
    ):
        alarm(metric, evaluation_periods=periods)


BAD_NUMBERS: dict[str, tuple[dict[str, Any], str]] = {
    "no periods": ({"evaluation_periods": 0}, "Op: evaluation_periods is 0; allowed: a whole number, 1 or more"),
    "a fraction of periods": ({"evaluation_periods": 1.5}, "evaluation_periods is 1.5"),
    "True periods": ({"evaluation_periods": True}, "evaluation_periods is True"),
    "periods that are missing": ({"evaluation_periods": None}, "evaluation_periods is None"),
    "no datapoints": ({"datapoints_to_alarm": 0}, "datapoints_to_alarm is 0"),
    "True datapoints": ({"datapoints_to_alarm": True}, "datapoints_to_alarm is True"),
    "4 of 3": ({"datapoints_to_alarm": 4}, "datapoints_to_alarm is 4 of 3 evaluation_periods, so the alarm can never go off"),
    "an unknown operator": ({"comparison_operator": "GreaterThan"}, "comparison_operator is 'GreaterThan'.*Did you mean 'GreaterThanThreshold'"),
    "an operator of bands": ({"comparison_operator": "GreaterThanUpperThreshold"}, "comparison_operator is 'GreaterThanUpperThreshold'"),
    "no operator": ({"comparison_operator": None}, "comparison_operator is None"),
    "an unknown treatment": ({"treat_missing_data": "notbreaching"}, "treat_missing_data is 'notbreaching'.*Did you mean 'notBreaching'"),
    "few samples of an average": ({"evaluate_low_sample_count_percentile": "ignore"}, "evaluate_low_sample_count_percentile is 'ignore'; allowed: only with a percentile"),
    "few samples otherwise": (
        {"metric": EndpointMetric.model_latency(statistic="p99"), "evaluate_low_sample_count_percentile": "Ignore"},
        "evaluate_low_sample_count_percentile is 'Ignore'; allowed: 'evaluate', 'ignore'",
    ),
    "no metric": ({"metric": "ModelLatency"}, "Op: metric is 'ModelLatency'; allowed: an EndpointMetric"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), BAD_NUMBERS.values(), ids=BAD_NUMBERS)
def test_an_alarm_that_cannot_be_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        alarm(**options)


@pytest.mark.parametrize("value", ["evaluate", "ignore"])
def test_few_samples_of_a_percentile_are_told_what_to_do(value: str) -> None:
    alarm(EndpointMetric.model_latency(statistic="p99.9"), evaluate_low_sample_count_percentile=value)
    alarm(
        MetricMath(expression="a", metrics={"a": EndpointMetric.model_latency(statistic="p50")}),
        evaluate_low_sample_count_percentile=value,
    )


AT_LEAST, OVER, UNDER, AT_MOST = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)


def backlog(statistic: str = "Average") -> EndpointMetric:
    return EndpointMetric.custom(SAGEMAKER, "HasBacklogWithoutCapacity", statistic=statistic)


@pytest.mark.parametrize(
    ("metric", "comparison_operator", "threshold", "fires"),
    [
        (EndpointMetric.memory_utilization(), AT_LEAST, 100, True),
        (EndpointMetric.memory_utilization(), AT_LEAST, 100.1, False),
        (EndpointMetric.disk_utilization(), OVER, 99.9, True),
        (EndpointMetric.disk_utilization(), OVER, 100, False),
        (EndpointMetric.disk_utilization(statistic="p99"), OVER, 100, False),
        (EndpointMetric.disk_utilization(statistic="Maximum"), OVER, 100, False),
        (EndpointMetric.memory_utilization(statistic="Sum"), OVER, 100, True),
        (EndpointMetric.memory_utilization(statistic="ts99"), OVER, 100, True),
        (EndpointMetric.cpu_utilization(), OVER, 100, True),  # 100 a core
        (EndpointMetric.gpu_memory_utilization(), OVER, 700, True),  # 100 a GPU
        (EndpointMetric.invocation_5xx_errors(statistic="Average"), OVER, 0.05, True),
        (EndpointMetric.invocation_5xx_errors(statistic="Average"), AT_LEAST, 5, False),  # 5 %, it was meant
        (EndpointMetric.invocation_5xx_errors(), AT_LEAST, 5, True),
        (EndpointMetric.model_latency(statistic="PR(:100)"), OVER, 100, False),
        (EndpointMetric.invocations(), AT_MOST, 0, True),
        (EndpointMetric.invocations(), UNDER, 0, False),
        (EndpointMetric.invocations(), AT_MOST, -1, False),
        (EndpointMetric.invocations(), UNDER, 1, True),
        (backlog(), OVER, 1, False),
        (backlog(), AT_LEAST, 1, True),
        (backlog(), OVER, 0, True),
        (backlog(statistic="Maximum"), AT_LEAST, 2, False),
        (backlog(statistic="Minimum"), UNDER, 0, False),
        (backlog(statistic="p90"), OVER, 1, False),
        (backlog(statistic="Sum"), OVER, 1, True),
        (EndpointMetric.custom("Team", "HasBacklogWithoutCapacity"), OVER, 1, True),
        (EndpointMetric.custom("Team", "Balance"), UNDER, -5, True),
        (EndpointMetric.error_rate(), OVER, 100, True),  # an expression is not looked into
    ],
)
def test_a_threshold_that_nothing_crosses_is_refused(
    metric: Any, comparison_operator: str, threshold: float, fires: bool
) -> None:
    options = {"comparison_operator": comparison_operator, "threshold": threshold}
    if fires:
        alarm(metric, **options)
        return
    with pytest.raises(InvalidSpecError, match=r"Op: threshold is .*the alarm can never go off"):
        alarm(metric, **options)
    # Missing data fire it then.
    alarm(metric, **options, treat_missing_data="breaching")
    alarm(metric, **{**options, "threshold": "{{ x }}"})
    alarm(metric, **{**options, "comparison_operator": "{{ x }}"})


TOPIC = "arn:aws:sns:us-east-1:123456789012:oncall"
POLICY = (
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:1:resource/sagemaker/endpoint/e/variant/v:p"
)


def test_actions_are_five_arns_at_most() -> None:
    check_actions("a", [TOPIC] * 5)
    check_actions("a", (TOPIC, "arn:aws-cn:lambda:cn-north-1:123456789012:function:f:1"))
    check_actions("a", ["arn:aws:automate:us-east-1:ec2:stop", POLICY, "{{ x }}"])
    check_actions("a", [f"{POLICY} with spaces"])  # PutScalingPolicy allows them in the policy's name
    check_actions("a", ["arn:aws:ssm-incidents::123456789012:responseplan/p"], composite=True)
    check_actions("a", None)
    check_actions("a", "{{ x }}")


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (TOPIC, "a is 'arn:aws:sns.*; allowed: a list of at most 5 ARNs"),
        ([TOPIC] * 6, "a has 6 actions; allowed: 5 at most"),
        (["oncall"], r"a\[0\] is 'oncall'; allowed: an ARN"),
        ([TOPIC, None], r"a\[1\] is None"),
        ([TOPIC, ""], r"a\[1\] is ''"),
        (["arn:aws:sns"], r"a\[0\] is 'arn:aws:sns'"),
        ([f"{TOPIC}{'x' * 1000}"], r"a\[0\] is .*1041 characters"),
        (5, "a is 5; allowed: a list"),
        ({"arn": TOPIC}, "a is a dict with arn"),
    ],
)
def test_other_actions_are_refused(actions: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_actions("a", actions)


@pytest.mark.parametrize("action", [POLICY, "arn:aws:automate:us-east-1:ec2:stop"])
def test_a_composite_alarm_scales_nothing(action: str) -> None:
    with pytest.raises(InvalidSpecError, match="a composite alarm has no EC2 or scaling actions"):
        check_actions("a", [action], composite=True)


@pytest.mark.parametrize("name", ["", " ", "a\nb", "x" * 256, 5, None])
def test_names_that_cloudwatch_refuses_are_refused(name: Any) -> None:
    with pytest.raises(InvalidSpecError, match=r"n is .*1 to 255 characters"):
        check_alarm_name("n", name)


def test_names_and_descriptions_at_their_limits_are_taken() -> None:
    check_alarm_name("n", "x" * 255)
    check_alarm_name("n", "Zu langsam: churn/main (p99)")
    check_description("d", "x" * 1024)
    check_description("d", "")
    with pytest.raises(InvalidSpecError, match=r"d is .*1024 characters at most"):
        check_description("d", "x" * 1025)


def test_the_default_name_is_that_of_the_metric_or_the_label_of_an_expression() -> None:
    assert default_alarm_name(EndpointMetric.model_latency(label="x"), "churn", "main") == (
        "churn-main-ModelLatency"
    )
    assert default_alarm_name(EndpointMetric.error_rate(), "churn", "main") == "churn-main-ErrorRate"


@pytest.mark.parametrize(
    ("metric", "doubt"),
    [
        (EndpointMetric.custom(SAGEMAKER, "Invocations4XXErrors"), "has no metric 'Invocations4XXErrors'.*nearest: Invocation4XXErrors"),
        (EndpointMetric.invocations(statistic="p99"), "For Invocations, AWS documents only the statistic Sum; p99"),
        (EndpointMetric.model_latency(period=10), "ModelLatency is published once a minute"),
        (EndpointMetric.model_latency(), None),
        (EndpointMetric.invocations(statistic="SampleCount"), None),
        (EndpointMetric.custom("Team", "Invocations4XXErrors", period=10), None),
        (EndpointMetric.error_rate(), None),
    ],
)  # fmt: skip
def test_what_is_unusual_is_told_and_not_refused(metric: Any, doubt: str | None) -> None:
    told = doubts(completed_metric(metric, "churn", "main"))
    assert len(told) == (0 if doubt is None else 1)
    assert all(re.search(str(doubt), one) for one in told)


@pytest.mark.parametrize(
    ("metric", "endpoint", "variant", "name"),
    [
        (EndpointMetric.model_latency(), "churn", "main", "churn-main-ModelLatency"),
        (EndpointMetric.model_latency(), ENDPOINT_ARN, "main", "churn-main-ModelLatency"),
        (MetricMath(expression="a", metrics={"a": EndpointMetric.invocations()}, label="busy"), "churn", "main", "churn-main-busy"),
        (MetricMath(expression="a", metrics={"a": EndpointMetric.invocations()}), "churn", "main", None),
        (EndpointMetric.model_latency(), "{{ params.endpoint }}", "main", None),
        (EndpointMetric.model_latency(), "churn", "{{ params.variant }}", None),
        (EndpointMetric.model_latency(), print, "main", None),
        ("{{ params.metric }}", "churn", "main", None),
    ],
    ids=range(8),
)  # fmt: skip
def test_the_default_name_is_told_as_far_as_it_is_written(
    metric: Any, endpoint: Any, variant: Any, name: str | None
) -> None:
    assert literal_default_name(metric, endpoint, variant) == name


def test_a_name_is_literal_or_not_known() -> None:
    assert literal_name("slow") == "slow"
    assert [literal_name(name) for name in (None, "{{ params.name }}", print)] == [None] * 3


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Threshold": 1}, "Threshold is given in AWS's spelling; allowed: threshold=…"),
        ({"EvaluationWindw": {}}, "Did you mean 'EvaluationWindow'"),
        ({"EvaluationInterval": 60}, "PromQL"),
        ({"ThresholdMetricId": "m1"}, "anomaly detection"),
    ],
)
def test_members_that_do_not_go_with_a_threshold_are_refused(members: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        check_alarm_members("extra_members", members)


def test_other_members_are_taken() -> None:
    check_alarm_members("extra_members", {"EvaluationWindow": {"SlidingWindow": {}}})
    check_alarm_members("extra_members", "{{ params.x }}")

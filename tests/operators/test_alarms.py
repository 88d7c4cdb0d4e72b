"""The alarm operators: units, windows, and writing only what differs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import CreateEndpointAlarmOperator, CreateLatencyAlarmOperator, EndpointMetric
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import operations, outcome, run_task, task_id

TOPIC = "arn:aws:sns:us-east-1:123456789012:oncall"


def latency(**options: Any) -> CreateLatencyAlarmOperator:
    return CreateLatencyAlarmOperator(
        **{
            "task_id": task_id("alarm"),
            "endpoint_name": "churn",
            "variant_name": "main",
            "threshold": 100_000,
            "evaluation_periods": 3,
            **options,
        }
    )


def alarm(**options: Any) -> CreateEndpointAlarmOperator:
    return CreateEndpointAlarmOperator(
        **{
            "task_id": task_id("alarm"),
            "endpoint_name": "churn",
            "variant_name": "main",
            "metric": EndpointMetric.invocation_5xx_errors(),
            "threshold": 0.1,
            "evaluation_periods": 2,
            **options,
        }
    )


def described(aws: LocalAws, name: str) -> dict[str, Any]:
    [found] = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


def test_an_alarm_is_made_and_a_rerun_changes_nothing(aws: LocalAws, dag: DAG) -> None:
    ran = run_task(latency(alarm_actions=[TOPIC], datapoints_to_alarm=2, treat_missing_data="notBreaching"))
    assert ran.value == "churn-main-ModelLatency"
    assert ran.details == {"written": True, "threshold": 100_000.0}
    assert ran.xcoms["alarm_link"] == (
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#alarmsV2:alarm/churn-main-ModelLatency"
    )
    found = described(aws, ran.value)
    assert found["Threshold"] == 100_000
    assert (found["Namespace"], found["Statistic"], found["Period"]) == ("AWS/SageMaker", "Average", 300)
    assert {d["Name"]: d["Value"] for d in found["Dimensions"]} == {
        "EndpointName": "churn",
        "VariantName": "main",
    }
    tags = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert OURS.items() <= {tag["Key"]: tag["Value"] for tag in tags}.items()

    aws.clear_requests()
    again = run_task(latency(alarm_actions=[TOPIC], datapoints_to_alarm=2, treat_missing_data="notBreaching"))
    assert (again.value, again.details["written"]) == (ran.value, False)
    assert operations(aws) == ["DescribeAlarms", "ListTagsForResource"]


def test_a_duration_is_in_microseconds(aws: LocalAws, dag: DAG) -> None:
    first = run_task(latency(threshold=timedelta(milliseconds=100)))
    assert first.details["threshold"] == 100_000
    assert run_task(latency(threshold="{{ 100 * 1000 }}")).details["written"] is False


def test_a_change_is_written_once(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency()).value
    aws.clear_requests()
    assert run_task(latency(threshold=200_000)).details["written"] is True
    assert operations(aws, mutating=True) == ["PutMetricAlarm"]
    assert described(aws, name)["Threshold"] == 200_000


def test_statistics_and_tags_change_too(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(tags={"team": "a"})).value
    run_task(latency(statistic="p99", tags={"team": "b"}))
    found = described(aws, name)
    assert found["ExtendedStatistic"] == "p99"
    tags = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert {"Key": "team", "Value": "b"} in tags


def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    name = run_task(
        alarm(
            threshold="{{ 0.5 }}",
            evaluation_periods="{{ 2 }}",
            datapoints_to_alarm="{{ 1 }}",
            actions_enabled="{{ false }}",
        )
    ).value
    found = described(aws, name)
    assert (found["Threshold"], found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (0.5, 2, 1)
    assert found["ActionsEnabled"] is False


@pytest.mark.parametrize(
    "bad",
    [
        {"threshold": "{{ 'slow' }}"},
        {"evaluation_periods": "{{ 'two' }}"},
        {"evaluation_periods": "{{ 400 }}"},
        {"datapoints_to_alarm": "{{ 3 }}"},
        {"actions_enabled": "{{ 'maybe' }}"},
        {"comparison_operator": "{{ 'GreaterThan' }}"},
        {"treat_missing_data": "{{ 'whatever' }}"},
        {"alarm_actions": "{{ 'arn:aws:sns:us-east-1:123456789012:x' }}"},
        {"alarm_actions": [f"{TOPIC}{{{{ {n} }}}}" for n in range(6)]},
        {"tags": "{{ 'x' }}"},
        {"endpoint_name": "{{ none }}"},
        {"variant_name": "{{ 'a_b' }}"},
    ],
)
def test_what_can_never_work_is_an_error_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    end = outcome(alarm(**bad))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert operations(aws) == []


def test_bad_literals_break_the_dag_file(dag: DAG) -> None:
    for bad in (
        {"threshold": timedelta(seconds=1)},
        {"evaluation_periods": 0},
        {"datapoints_to_alarm": 3},
        {"evaluation_periods": 289},
        {"metric": "Invocations"},
        {"comparison_operator": "GreaterThan"},
    ):
        with pytest.raises(InvalidSpecError):
            alarm(**bad)

"""The alarm operators: units, windows, what the endpoint publishes, and writing only what differs."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    CreateEndpointAlarmOperator,
    CreateLatencyAlarmOperator,
    DeployEndpointOperator,
    EndpointMetric,
    MetricMath,
)
from airflow_sm_hosting.deployment.difference import differences, unwanted
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks import CloudWatchHook
from airflow_sm_hosting.hooks.parameters import AwsParameters
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.tags import OURS
from tests.botocore_versions import requires_botocore_1_44
from tests.operators.conftest import (
    Ran,
    answered_with,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    sagemaker_client,
    sent,
    task_id,
)

ENDPOINT_ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
TOPIC = "arn:aws:sns:us-east-1:123456789012:oncall"


def latency(**options: Any) -> CreateLatencyAlarmOperator:
    return CreateLatencyAlarmOperator(
        **{
            "task_id": task_id("alarm"),
            "dag": DAG("test", schedule=None),  # another run of the DAG
            "endpoint_name": "churn",
            "variant_name": "main",
            "threshold": 100_000,
            "evaluation_periods": 3,
            "check_endpoint": False,
            **options,
        }
    )


def alarm(**options: Any) -> CreateEndpointAlarmOperator:
    return CreateEndpointAlarmOperator(
        **{
            "task_id": task_id("alarm"),
            "dag": DAG("test", schedule=None),  # another run of the DAG
            "endpoint_name": "churn",
            "variant_name": "main",
            "metric": EndpointMetric.invocation_5xx_errors(),
            "threshold": 0.1,
            "evaluation_periods": 2,
            "check_endpoint": False,
            **options,
        }
    )


def described(aws: LocalAws, name: str) -> dict[str, Any]:
    [found] = aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return found


def alarm_tags(aws: LocalAws, name: str) -> dict[str, str]:
    arn = described(aws, name)["AlarmArn"]
    found = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=arn)["Tags"]
    return {tag["Key"]: tag["Value"] for tag in found}


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    """An endpoint ``churn`` with the variant ``main`` on an instance without a GPU."""
    make_model(aws)
    make_endpoint(aws, make_config(aws, "config"))
    aws.clear_requests()
    return aws


def test_an_alarm_is_made_and_a_rerun_changes_nothing(endpoint: LocalAws, dag: DAG) -> None:
    options = {
        "alarm_actions": [TOPIC],
        "datapoints_to_alarm": 2,
        "treat_missing_data": "notBreaching",
        "check_endpoint": True,
    }
    ran = run_task(latency(**options))
    assert ran.value == "churn-main-ModelLatency"
    assert ran.details == {"written": True, "threshold": 100_000.0}
    page = f"{endpoint.endpoint_url}/_sm_hosting/ui"
    assert ran.xcoms["alarm_link"] == f"{page}/alarms/churn-main-ModelLatency?region=us-east-1"
    assert operations(endpoint) == ["DescribeEndpoint", "DescribeAlarms", "PutMetricAlarm"]
    found = described(endpoint, ran.value)
    assert found["Threshold"] == 100_000
    assert (found["Namespace"], found["Statistic"], found["Period"]) == ("AWS/SageMaker", "Average", 300)
    assert {d["Name"]: d["Value"] for d in found["Dimensions"]} == {
        "EndpointName": "churn",
        "VariantName": "main",
    }
    assert OURS.items() <= alarm_tags(endpoint, ran.value).items()

    endpoint.clear_requests()
    again = run_task(latency(**options))
    assert (again.value, again.details["written"]) == (ran.value, False)
    assert operations(endpoint) == ["DescribeEndpoint", "DescribeAlarms", "ListTagsForResource"]


def test_the_request_is_the_cdks(aws: LocalAws, dag: DAG) -> None:
    with sent(CloudWatchHook().conn, "PutMetricAlarm") as requests:
        run_task(latency(alarm_name="slow", task_id="alarm"))
    [request] = requests
    tags = {tag["Key"]: tag["Value"] for tag in request.pop("Tags")}
    assert tags == {**OURS, "sm-hosting:task": "test/alarm"}
    assert request == {
        "AlarmName": "slow",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "Dimensions": [
            {"Name": "EndpointName", "Value": "churn"},
            {"Name": "VariantName", "Value": "main"},
        ],
        "EvaluationPeriods": 3,
        "MetricName": "ModelLatency",
        "Namespace": "AWS/SageMaker",
        "Period": 300,
        "Statistic": "Average",
        "Threshold": 100_000,
    }


#: Every option of an alarm, and what of it is described.
OPTIONS: dict[str, Any] = {
    "metric": EndpointMetric.model_latency(statistic="p99", period=timedelta(minutes=2), unit="Microseconds"),
    "datapoints_to_alarm": 1,
    "treat_missing_data": "ignore",
    "evaluate_low_sample_count_percentile": "ignore",
    "comparison_operator": "LessThanThreshold",
    "alarm_actions": [TOPIC],
    "ok_actions": [TOPIC, f"{TOPIC}-2"],
    "insufficient_data_actions": (f"{TOPIC}-3",),
    "actions_enabled": False,
    "alarm_description": "Too fast.",
}
MEMBERS: dict[str, Any] = {
    "MetricName": "ModelLatency",
    "ExtendedStatistic": "p99",
    "Period": 120,
    "Unit": "Microseconds",
    "EvaluationPeriods": 2,
    "DatapointsToAlarm": 1,
    "TreatMissingData": "ignore",
    "EvaluateLowSampleCountPercentile": "ignore",
    "ComparisonOperator": "LessThanThreshold",
    "AlarmActions": [TOPIC],
    "OKActions": [TOPIC, f"{TOPIC}-2"],
    "InsufficientDataActions": [f"{TOPIC}-3"],
    "ActionsEnabled": False,
    "AlarmDescription": "Too fast.",
}


def test_every_option_is_written_is_not_written_again_and_is_taken_back(aws: LocalAws, dag: DAG) -> None:
    given = {"alarm_name": "a", **OPTIONS}
    run_task(alarm(**given))
    found = described(aws, "a")
    assert {name: found[name] for name in MEMBERS} == MEMBERS

    aws.clear_requests()
    assert run_task(alarm(**given)).details["written"] is False
    assert operations(aws, mutating=True) == []

    assert run_task(alarm(alarm_name="a")).details["written"] is True
    without = described(aws, "a")
    left = {name for name, value in MEMBERS.items() if without.get(name) == value}
    assert left == {"EvaluationPeriods"}


@pytest.mark.parametrize("option", [name for name in OPTIONS if name != "metric"])
def test_each_option_by_itself_is_a_difference(option: str) -> None:
    with DAG("test", schedule=None):
        every = {"alarm_name": "a", **OPTIONS}
        asked = alarm(**every)._request()
        other = alarm(**{name: value for name, value in every.items() if name != option})._request()
    members = input_shape("cloudwatch", "PutMetricAlarm").members
    assert differences(asked, other) + unwanted(asked, other, members)
    assert differences(other, asked) + unwanted(other, asked, members)


def test_a_duration_is_in_microseconds(aws: LocalAws, dag: DAG) -> None:
    first = run_task(latency(threshold=timedelta(milliseconds=100)))
    assert first.details["threshold"] == 100_000
    assert run_task(latency(threshold="{{ 100 * 1000 }}")).details["written"] is False


def test_a_change_is_written_once(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(task_id="alarm")).value
    aws.clear_requests()
    with DAG("test", schedule=None):
        assert run_task(latency(threshold=200_000, task_id="alarm")).details["written"] is True
    assert operations(aws, mutating=True) == ["PutMetricAlarm"]
    assert described(aws, name)["Threshold"] == 200_000


def test_statistics_and_tags_change_too(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(tags={"team": "a"}, task_id="alarm")).value
    with DAG("test", schedule=None):
        run_task(latency(statistic="p99", tags={"team": "b"}, task_id="alarm"))
    assert described(aws, name)["ExtendedStatistic"] == "p99"
    assert alarm_tags(aws, name)["team"] == "b"


def test_missing_tags_are_added_without_putting_the_alarm(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(tags={"team": "a"})).value
    arn = described(aws, name)["AlarmArn"]
    aws.client("cloudwatch").tag_resource(ResourceARN=arn, Tags=[{"Key": "other", "Value": "x"}])
    aws.clear_requests()
    run_task(latency(tags={"team": "b"}))
    assert operations(aws, mutating=True) == ["TagResource"]
    tags = alarm_tags(aws, name)
    assert (tags["team"], tags["other"]) == ("b", "x")


def test_rendered_strings_are_typed_back(aws: LocalAws, dag: DAG) -> None:
    name = run_task(
        alarm(
            metric={**EndpointMetric.invocations(), "Period": "{{ 60 }}"},
            threshold="{{ 0.5 }}",
            evaluation_periods="{{ 2 }}",
            datapoints_to_alarm="{{ 1 }}",
            actions_enabled="{{ false }}",
            check_endpoint="{{ false }}",
            adopt="{{ true }}",
            alarm_actions=[f"{TOPIC}-{{{{ 1 }}}}"],
        )
    ).value
    found = described(aws, name)
    assert (found["Threshold"], found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (0.5, 2, 1)
    assert found["ActionsEnabled"] is False
    assert found["Period"] == 60
    assert found["AlarmActions"] == [f"{TOPIC}-1"]


# Expressions, labels


@pytest.mark.parametrize(
    ("metric", "name"),
    [
        (EndpointMetric.error_rate(client_errors=True, period=60), "churn-main-ErrorRate"),
        (EndpointMetric.model_latency(label="how long it takes"), "churn-main-ModelLatency"),
        (
            MetricMath(
                expression="IF(n > 10, rate, 0)",
                label="busy error rate",
                metrics={
                    "n": EndpointMetric.invocations(),
                    "rate": EndpointMetric.invocation_5xx_errors(statistic="Average"),
                },
            ),
            "churn-main-busy error rate",
        ),
    ],
)
def test_alarms_in_the_form_of_the_metrics_array_are_left_alone_in_a_rerun(
    aws: LocalAws, dag: DAG, metric: Any, name: str
) -> None:
    ran = run_task(alarm(metric=metric, threshold=5))
    assert ran.value == name
    found = described(aws, name)
    assert "MetricName" not in found
    assert [query["ReturnData"] for query in found["Metrics"]].count(True) == 1

    aws.clear_requests()

    def turned_round(parsed: dict[str, Any]) -> None:
        parsed["MetricAlarms"][0]["Metrics"].reverse()

    # CloudWatch does not promise the order.
    with answered_with(CloudWatchHook().conn, "DescribeAlarms", turned_round):
        assert run_task(alarm(metric=metric, threshold=5)).details["written"] is False
    assert operations(aws, mutating=True) == []


def test_an_expression_that_changes_is_written(aws: LocalAws, dag: DAG) -> None:
    run_task(alarm(metric=EndpointMetric.error_rate(), threshold=5, alarm_name="rate"))
    rate = EndpointMetric.error_rate(client_errors=True)
    assert run_task(alarm(metric=rate, threshold=5, alarm_name="rate")).details["written"] is True
    assert len(described(aws, "rate")["Metrics"]) == 4
    # From an expression to a metric, and back.
    assert run_task(alarm(threshold=5, alarm_name="rate")).details["written"] is True
    assert described(aws, "rate")["MetricName"] == "Invocation5XXErrors"
    assert run_task(alarm(metric=rate, threshold=5, alarm_name="rate")).details["written"] is True


def test_an_expression_without_a_name_is_refused(dag: DAG) -> None:
    rate = MetricMath(expression="a", metrics={"a": EndpointMetric.invocations()})
    with pytest.raises(InvalidSpecError, match=r"CreateEndpointAlarmOperator: alarm_name is missing"):
        alarm(metric=rate)
    alarm(metric=rate, alarm_name="a")


# Whose it is


def test_two_tasks_do_not_overwrite_each_others_alarm(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(task_id="average")).value
    aws.clear_requests()
    end = outcome(latency(task_id="p99", statistic="p99"))
    assert isinstance(end.error, ConflictError)
    assert "written by another task, test/average" in str(end.error)
    assert operations(aws, mutating=True) == []
    assert "Statistic" in described(aws, name)
    # Each with a name of its own.
    run_task(latency(task_id="named", statistic="p99", alarm_name="churn-p99"))
    assert described(aws, "churn-p99")["ExtendedStatistic"] == "p99"


def test_two_tasks_of_a_dag_with_one_alarm_are_an_error_where_they_are_written() -> None:
    for first, second, name in (
        ({"alarm_name": "slow"}, {"alarm_name": "slow", "threshold": 5}, "'slow'"),
        ({}, {"endpoint_name": ENDPOINT_ARN}, "'churn-main-ModelLatency', the default name,"),
        ({"alarm_name": "churn-main-ModelLatency"}, {}, "'churn-main-ModelLatency', the default name,"),
        ({"alarm_name": "a", "region_name": "eu-west-1"}, {"alarm_name": "a", "region_name": "eu-west-1"}, "'a'"),
    ):  # fmt: skip
        with DAG("alarms", schedule=None) as dag:
            latency(task_id="one", dag=dag, **first)
            with pytest.raises(InvalidSpecError, match=f"alarm_name is {name} ?in the tasks one and two"):
                latency(task_id="two", dag=dag, **second)


def test_two_alarms_on_one_output_without_names_are_an_error_where_they_are_written() -> None:
    with DAG("alarms", schedule=None) as dag:
        deployed = DeployEndpointOperator(
            task_id="deploy", endpoint_name="churn", endpoint_config_name="churn"
        ).output
        latency(task_id="one", dag=dag, endpoint_name=deployed)
        latency(task_id="other_variant", dag=dag, endpoint_name=deployed, variant_name="canary")
        latency(task_id="named", dag=dag, endpoint_name=deployed, alarm_name="slow")
        with pytest.raises(
            InvalidSpecError, match=r"the default name, in the tasks one and two.*Give alarm_name="
        ):
            latency(task_id="two", dag=dag, endpoint_name=deployed, statistic="p99")


def test_alarms_that_may_differ_are_no_error() -> None:
    with DAG("alarms", schedule=None) as dag:
        for options in (
            {"alarm_name": "slow"},
            {"alarm_name": "slow", "region_name": "eu-west-1"},
            {"alarm_name": "slow", "aws_conn_id": "other"},
            {"alarm_name": "{{ task.task_id }}"},
            {"alarm_name": "{{ task.task_id }}"},
            {"endpoint_name": "{{ params.endpoint }}"},
            {"endpoint_name": "{{ params.endpoint }}"},
            {"alarm_name": None, "variant_name": "other"},
        ):
            latency(dag=dag, **options)
    latency(dag=DAG("alarms", schedule=None), alarm_name="slow")  # the file is parsed again


def test_a_mapped_tasks_instances_are_told_apart(aws: LocalAws, dag: DAG) -> None:
    class Mapped(Ran):
        map_index = 1

    run_task(latency(task_id="mapped"), ran=Mapped())
    end = outcome(latency(task_id="other", threshold=5))
    assert "test/mapped/1" in str(end.error)


def test_a_renamed_task_takes_its_alarm_over_by_name(aws: LocalAws, dag: DAG) -> None:
    name = run_task(latency(task_id="before")).value
    ran = run_task(latency(task_id="after", threshold=5, alarm_name=name))
    assert ran.details["written"] is True
    assert alarm_tags(aws, name)["sm-hosting:task"] == "test/after"


def test_an_alarm_of_others_is_taken_over_only_when_asked(aws: LocalAws, dag: DAG) -> None:
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="a", Namespace="N", MetricName="M", Statistic="Sum", Period=60, EvaluationPeriods=1,
        Threshold=1, ComparisonOperator="GreaterThanThreshold", Tags=[{"Key": "team", "Value": "b"}],
    )  # fmt: skip
    aws.clear_requests()
    end = outcome(alarm(alarm_name="a"))
    assert isinstance(end.error, ConflictError)
    assert operations(aws, mutating=True) == []

    assert run_task(alarm(alarm_name="a", adopt=True, task_id="adopter")).details["written"] is True
    assert alarm_tags(aws, "a") == {**OURS, "sm-hosting:task": "test/adopter", "team": "b"}


# What the endpoint publishes


def test_an_alarm_needs_its_endpoint_and_variant(endpoint: LocalAws, dag: DAG) -> None:
    end = outcome(latency(endpoint_name="other", check_endpoint=True))
    assert isinstance(end.error, NotFoundError)
    assert "check_endpoint=False" in str(end.error)
    end = outcome(latency(variant_name="canary", check_endpoint=True))
    assert isinstance(end.error, NotFoundError)
    assert "it has: main" in str(end.error)
    assert operations(endpoint) == ["DescribeEndpoint", "DescribeEndpoint"]


def test_an_alarm_may_be_made_before_its_endpoint(aws: LocalAws, dag: DAG) -> None:
    run_task(latency())
    assert operations(aws) == ["DescribeAlarms", "PutMetricAlarm"]


def test_an_endpoint_of_another_account_is_not_looked_up(aws: LocalAws, dag: DAG) -> None:
    metric = EndpointMetric.model_latency(account_id="210987654321")
    run_task(alarm(metric=metric, check_endpoint=True))
    assert operations(aws) == ["DescribeAlarms", "PutMetricAlarm"]


def test_an_alarm_on_what_a_serverless_endpoint_does_not_publish_is_refused(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="config",
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": "model",
                "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1},
            }
        ],
    )
    make_endpoint(aws, "config")
    aws.clear_requests()
    end = outcome(alarm(metric=EndpointMetric.invocations_per_instance(), check_endpoint=True))
    assert isinstance(end.error, InvalidSpecError)
    assert "does not publish for the serverless endpoint 'churn'" in str(end.error)
    assert operations(aws) == ["DescribeEndpoint"]
    run_task(alarm(metric=EndpointMetric.memory_utilization(), threshold=90, check_endpoint=True))


def test_an_alarm_on_what_an_asynchronous_endpoint_does_not_publish_is_refused(
    endpoint: LocalAws, dag: DAG
) -> None:
    def asynchronous(parsed: dict[str, Any]) -> None:
        parsed["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": "s3://bucket/"}}

    # Asked of SageMaker's answer: the local AWS serves no asynchronous endpoint.
    with answered_with(sagemaker_client(), "DescribeEndpoint", asynchronous):
        end = outcome(alarm(metric=EndpointMetric.error_rate(), threshold=5, check_endpoint=True))
        assert "metric is Invocations" in str(end.error)
        backlog = EndpointMetric.custom("AWS/SageMaker", "ApproximateBacklogSize", statistic="Average")
        name = run_task(alarm(metric=backlog, threshold=5, check_endpoint=True)).value
    assert described(endpoint, name)["Dimensions"] == [{"Name": "EndpointName", "Value": "churn"}]


def test_a_gpu_metric_of_an_instance_without_one_is_a_warning_once(
    endpoint: LocalAws, dag: DAG, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"metric": EndpointMetric.gpu_utilization(), "threshold": 90, "check_endpoint": True}
    run_task(alarm(**options))
    told = caplog.text + "".join(capsys.readouterr())
    assert "ml.m5.large, which has no GPU" in told
    endpoint.clear_requests()
    run_task(alarm(**options))
    assert operations(endpoint) == ["DescribeEndpoint", "DescribeAlarms", "ListTagsForResource"]


# What is refused, and when

LITERALS: dict[str, tuple[dict[str, Any], str]] = {
    "a duration on a count": ({"threshold": timedelta(seconds=1)}, "threshold is .*Invocation5XXErrors is not a duration"),
    "no threshold": ({"threshold": None}, "threshold is None; allowed: a number"),
    "a threshold of True": ({"threshold": True}, "threshold is True"),
    "a threshold that nothing crosses": (
        {"metric": EndpointMetric.disk_utilization(), "threshold": 101},
        "threshold is 101 with GreaterThanOrEqualToThreshold, so the alarm can never go off",
    ),
    "no periods": ({"evaluation_periods": 0}, "evaluation_periods is 0"),
    "True periods": ({"evaluation_periods": True}, "evaluation_periods is True"),
    "more than a day": ({"evaluation_periods": 289}, "evaluation_periods × period is 289 × 300 s"),
    "3 of 2": ({"datapoints_to_alarm": 3}, "datapoints_to_alarm is 3 of 2 evaluation_periods"),
    "a metric that is none": ({"metric": "Invocations"}, "metric is 'Invocations'; allowed: an EndpointMetric"),
    "an operator that is none": ({"comparison_operator": "GreaterThan"}, "comparison_operator is 'GreaterThan'"),
    "a treatment that is none": ({"treat_missing_data": "whatever"}, "treat_missing_data is 'whatever'"),
    "few samples of a sum": ({"evaluate_low_sample_count_percentile": "ignore"}, "only with a percentile such as 'p99'"),
    "a string of actions": ({"alarm_actions": TOPIC}, "alarm_actions is 'arn:aws:sns.*a list of at most 5 ARNs"),
    "6 actions": ({"ok_actions": [TOPIC] * 6}, "ok_actions has 6 actions; allowed: 5 at most"),
    "an action that is no ARN": ({"insufficient_data_actions": ["oncall"]}, r"insufficient_data_actions\[0\] is 'oncall'"),
    "actions enabled by a word": ({"actions_enabled": "False"}, "actions_enabled is 'False'; allowed: True or False"),
    "a name of 256": ({"alarm_name": "x" * 256}, "alarm_name is .*1 to 255 characters"),
    "a blank name": ({"alarm_name": ""}, "alarm_name is ''"),
    "a description of 1025": ({"alarm_description": "x" * 1025}, "alarm_description is .*1024 characters"),
    "tags that are none": ({"tags": 5}, "tags is a int; allowed: a dict"),
    "49 tags": ({"tags": {f"k{n}": "v" for n in range(49)}}, "tags has 49 tags; allowed: 48 at most"),
    "a tag of ours": ({"tags": {"sm-hosting:task": "x"}}, "a key of .*tags is 'sm-hosting:task'"),
    "an endpoint with an underscore": ({"endpoint_name": "my_endpoint"}, "endpoint_name is 'my_endpoint'"),
    "a variant with an underscore": ({"variant_name": "a_b"}, "variant_name is 'a_b'"),
    "a check by a word": ({"check_endpoint": "no"}, "check_endpoint is 'no'; allowed: True or False"),
    "adoption by a word": ({"adopt": "yes"}, "adopt is 'yes'; allowed: True or False"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), LITERALS.values(), ids=LITERALS)
def test_bad_literals_break_the_dag_file(dag: DAG, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"CreateEndpointAlarmOperator: .*{message}|{message}"):
        alarm(**options)


#: The same, known only once it is rendered; Jinja makes strings of them.
RENDERED: dict[str, tuple[dict[str, Any], str]] = {
    "a threshold that is none": ({"threshold": "{{ 'slow' }}"}, "threshold is 'slow'"),
    "no threshold": ({"threshold": "{{ none }}"}, "threshold is 'None'"),
    "a threshold that nothing crosses": (
        {"metric": EndpointMetric.disk_utilization(), "threshold": "{{ 101 }}"},
        "threshold is 101 with .*can never go off",
    ),
    "periods that are none": ({"evaluation_periods": "{{ 'two' }}"}, "evaluation_periods is 'two'"),
    "more than a day": ({"evaluation_periods": "{{ 400 }}"}, "evaluation_periods × period is 400 × 300 s"),
    "3 of 2": ({"datapoints_to_alarm": "{{ 3 }}"}, "datapoints_to_alarm is 3 of 2"),
    "a metric's name": ({"metric": EndpointMetric.custom("Team", "{{ '' }}")}, "metric_name is ''"),
    "a metric's period": ({"metric": EndpointMetric.invocations(period="{{ 61 }}")}, "period is 61"),
    "a metric's unit": ({"metric": EndpointMetric.invocations(unit="{{ 'Percent' }}")}, "unit is 'Percent'"),
    "a metric's statistic": ({"metric": EndpointMetric.invocations(statistic="{{ 'Mean' }}")}, "statistic is 'Mean'"),
    "a metric's dimension": (
        {"metric": EndpointMetric.custom("Team", "Rows", dimensions={"A": "{{ '' }}"})},
        r"dimensions\['A'\] is ''",
    ),
    "an expression": (
        {"metric": MetricMath(expression="{{ 'b' }}", metrics={"a": EndpointMetric.invocations()}, label="x")},
        "Unknown: b",
    ),
    "a metric": ({"metric": "{{ 'Invocations' }}"}, "metric is 'Invocations'; allowed: an EndpointMetric"),
    "actions enabled": ({"actions_enabled": "{{ 'maybe' }}"}, "actions_enabled is 'maybe'"),
    "an operator": ({"comparison_operator": "{{ 'GreaterThan' }}"}, "comparison_operator is 'GreaterThan'"),
    "a treatment": ({"treat_missing_data": "{{ 'whatever' }}"}, "treat_missing_data is 'whatever'"),
    "few samples": (
        {
            "evaluate_low_sample_count_percentile": "{{ 'Ignore' }}",
            "metric": EndpointMetric.model_latency(statistic="p99"),
        },
        "evaluate_low_sample_count_percentile is 'Ignore'",
    ),
    "a string of actions": ({"alarm_actions": "{{ 'arn:aws:sns:us-east-1:123456789012:x' }}"}, "alarm_actions is a str"),
    "an action": ({"alarm_actions": ["{{ 'oncall' }}"]}, r"alarm_actions\[0\] is 'oncall'"),
    "tags": ({"tags": "{{ 'x' }}"}, "tags is a str"),
    "an endpoint": ({"endpoint_name": "{{ none }}"}, "endpoint_name is None"),
    "a variant": ({"variant_name": "{{ 'a_b' }}"}, "variant_name is 'a_b'"),
    "a name": ({"alarm_name": "{{ 'x' * 256 }}"}, "alarm_name is .*1 to 255"),
    "a name of None": ({"alarm_name": "{{ none }}"}, "alarm_name is 'None'; allowed: a string"),
    "a description": ({"alarm_description": "{{ 'x' * 1025 }}"}, "alarm_description is .*1024"),
    "a check": ({"check_endpoint": "{{ 'no' }}"}, "check_endpoint is 'no'"),
    "adoption": ({"adopt": "{{ 'yes' }}"}, "adopt is 'yes'"),
}  # fmt: skip


@pytest.fixture
def no_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in which it is a failure to make a hook, and so to call AWS."""

    def refuse(_: Any) -> Any:
        raise AssertionError("a hook was made")

    monkeypatch.setattr(AwsParameters, "_hook_parameters", refuse)


@pytest.mark.usefixtures("no_aws")
@pytest.mark.parametrize(("options", "message"), RENDERED.values(), ids=RENDERED)
def test_what_can_never_work_is_an_error_before_the_first_call(
    dag: DAG, options: dict[str, Any], message: str
) -> None:
    end = outcome(alarm(**options))
    assert isinstance(end.error, InvalidSpecError), end.error
    assert re.search(message, str(end.error))


@pytest.mark.usefixtures("no_aws")
def test_six_actions_from_upstream_are_an_error_before_the_first_call() -> None:
    with DAG("test", schedule=None, render_template_as_native_obj=True) as dag:
        end = outcome(alarm(dag=dag, alarm_actions=f"{{{{ ['{TOPIC}'] * 6 }}}}"))
    assert isinstance(end.error, InvalidSpecError)
    assert "alarm_actions has 6 actions; allowed: 5 at most" in str(end.error)


def test_nothing_but_plain_json_is_kept_in_a_metric(dag: DAG) -> None:
    json.dumps(alarm(metric=EndpointMetric.error_rate(period=timedelta(minutes=1)), threshold=5).metric)


# Members in AWS's spelling.


@requires_botocore_1_44
def test_further_members_are_sent_in_aws_s_spelling_and_a_rerun_changes_nothing(
    endpoint: LocalAws, dag: DAG
) -> None:
    extra = {"WarmUpConfiguration": {"WarmUpPeriodDurationInMinutes": "{{ 10 }}"}}
    with sent(CloudWatchHook(aws_conn_id="aws_default").conn, "PutMetricAlarm") as calls:
        ran = run_task(alarm(extra_members=extra))
    assert [call["WarmUpConfiguration"] for call in calls] == [{"WarmUpPeriodDurationInMinutes": 10}]
    found = described(endpoint, ran.value)
    assert found["WarmUpConfiguration"]["WarmUpPeriodDurationInMinutes"] == 10
    endpoint.clear_requests()
    assert run_task(alarm(extra_members=extra)).details["written"] is False
    assert operations(endpoint, mutating=True) == []


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"Threshold": 1}, "Threshold is given in AWS's spelling; allowed: threshold=…"),
        ({"Dimensions": []}, "allowed: metric=…"),
        ({"EvaluationWindw": {}}, "Did you mean 'EvaluationWindow'"),
        ({"EvaluationCriteria": {}}, "PromQL"),
        ({"ThresholdMetricId": "m1"}, "anomaly detection"),
        ([], "a dict in the AWS shape"),
    ],
)
def test_further_members_that_do_not_go_with_a_threshold_are_refused(members: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        alarm(extra_members=members)

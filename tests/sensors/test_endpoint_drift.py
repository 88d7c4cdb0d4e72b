"""EndpointDriftSensor, in the worker and in the triggerer."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException, TaskDeferred
from airflow.sdk import DAG

from airflow_sm_hosting import ConfigureAutoscalingOperator, EndpointDriftSensor
from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.exceptions import DeploymentFailedError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    answered_with,
    answering,
    deploy,
    make_config,
    make_model,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    settled,
    task_id,
)


@pytest.fixture(
    params=[
        pytest.param(False, marks=pytest.mark.slow, id="sync"),
        pytest.param(True, marks=pytest.mark.slow, id="deferrable"),
    ]
)
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let answers that agree for a moment prove what takes 90 s in AWS."""
    monkeypatch.setattr(evidence, "READS_LAG", 0.2)


@pytest.fixture
def deployed(aws: LocalAws, dag: DAG) -> LocalAws:
    make_model(aws)
    for name in ("c1", "c2"):
        make_config(aws, name)
    run_task(deploy("c1"))
    aws.clear_requests()
    return aws


def sensor(**options: Any) -> EndpointDriftSensor:
    return EndpointDriftSensor(
        **{
            "task_id": task_id("drift"),
            "endpoint_name": "churn",
            "poke_interval": 0.1,
            "timeout": 30,
            **options,
        }
    )


def change(aws: LocalAws, config: str = "c2") -> None:
    """Deploy another config, as somebody does in the console."""
    aws.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName=config)
    settled(aws)


def found(task: EndpointDriftSensor) -> dict[str, Any]:
    ran = run_task(task)
    return dict(ran.value)


def test_another_config_is_drift_with_a_description(deployed: LocalAws, deferrable: bool) -> None:
    change(deployed)
    assert found(sensor(deferrable=deferrable)) == {
        "endpoint_name": "churn",
        "endpoint_config_name": "c1",
        "drift": ["it serves c2, not c1"],
    }


def test_drift_is_waited_for(deployed: LocalAws, deferrable: bool) -> None:
    looks: list[bool] = []

    def changed(_: dict[str, Any]) -> None:
        looks.append(True)
        if len(looks) == 3:
            deployed.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName="c2")

    with answered_with(sagemaker_client(), "DescribeEndpoint", changed):
        assert found(sensor(deferrable=deferrable))["drift"] == ["it serves c2, not c1"]
    assert len(looks) > 3


def test_a_deployment_of_ours_meanwhile_is_no_drift(deployed: LocalAws, deferrable: bool) -> None:
    looks: list[bool] = []

    def redeployed(_: dict[str, Any]) -> None:
        looks.append(True)
        if len(looks) == 3:
            run_task(deploy("c2"))

    with answered_with(sagemaker_client(), "DescribeEndpoint", redeployed):
        end = outcome(sensor(deferrable=deferrable, timeout=1.5))
    assert isinstance(end.error, AirflowSensorTimeout)
    assert deployed.client("sagemaker").describe_endpoint(EndpointName="churn")["EndpointConfigName"] == "c2"


def test_no_drift_is_a_timeout_or_a_skip(deployed: LocalAws, deferrable: bool) -> None:
    assert isinstance(outcome(sensor(deferrable=deferrable, timeout=0.3)).error, AirflowSensorTimeout)
    skipped = outcome(sensor(deferrable=deferrable, timeout=0.3, soft_fail=True))
    assert isinstance(skipped.error, AirflowSkipException)
    assert operations(deployed, mutating=True) == []


def test_one_look_finds_drift_or_nothing(deployed: LocalAws, deferrable: bool) -> None:
    look: dict[str, Any] = {"deferrable": deferrable, "timeout": 0, "poke_interval": 60, "soft_fail": True}
    assert isinstance(outcome(sensor(**look)).error, AirflowSkipException)
    change(deployed)
    assert found(sensor(**{**look, "poke_interval": 0.1}))["drift"] == ["it serves c2, not c1"]


def test_one_stale_answer_is_no_drift(deployed: LocalAws, deferrable: bool) -> None:
    """An answer of before the deployment shows another config."""
    answers = iter([True])

    def stale(answer: dict[str, Any]) -> None:
        if next(answers, False):
            answer["EndpointConfigName"] = "c0"

    with answered_with(sagemaker_client(), "DescribeEndpoint", stale):
        assert isinstance(outcome(sensor(deferrable=deferrable, timeout=1.5)).error, AirflowSensorTimeout)


def test_an_endpoint_that_was_deleted_has_drifted(deployed: LocalAws, deferrable: bool) -> None:
    deployed.client("sagemaker").delete_endpoint(EndpointName="churn")
    assert found(sensor(deferrable=deferrable))["drift"] == ["it does not exist"]


def test_an_endpoint_that_others_have_made_anew_has_drifted(deployed: LocalAws, deferrable: bool) -> None:
    client = deployed.client("sagemaker")
    arn = client.describe_endpoint(EndpointName="churn")["EndpointArn"]
    keys = [tag["Key"] for tag in client.list_tags(ResourceArn=arn)["Tags"]]
    client.delete_tags(ResourceArn=arn, TagKeys=keys)
    [sentence] = found(sensor(deferrable=deferrable))["drift"]
    assert "its tags record no deployment of this package" in sentence
    assert isinstance(
        outcome(sensor(deferrable=deferrable, endpoint_config_name="c1", timeout=0.5)).error,
        AirflowSensorTimeout,
    )


def test_counts_scaling_and_alarms_are_compared_where_asked(deployed: LocalAws, deferrable: bool) -> None:
    run_task(
        ConfigureAutoscalingOperator(
            task_id=task_id("scale"), endpoint_name="churn", variant_name="main", max_capacity=4
        )
    )
    place = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/churn/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    given: dict[str, Any] = {
        "deferrable": deferrable,
        "scaled_variants": ["main"],
        "alarms": ["{{ 'slow' }}"],
        "instance_counts": {"main": "{{ 3 }}"},
    }
    deployed.client("application-autoscaling").register_scalable_target(**place, MaxCapacity=9)
    assert found(sensor(**given))["drift"] == [
        "main has DesiredInstanceCount 1, not 3",
        "variant main scales between 1 and 9, not 1 and 4",
        "alarm slow does not exist",
    ]


def test_what_only_side_reads_show_is_found_while_it_waits(deployed: LocalAws, deferrable: bool) -> None:
    deployed.client("cloudwatch").put_metric_alarm(
        AlarmName="slow",
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Statistic="Average",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    looks: list[bool] = []

    def switched_off(_: dict[str, Any]) -> None:
        looks.append(True)
        if len(looks) == 3:
            deployed.client("cloudwatch").disable_alarm_actions(AlarmNames=["slow"])

    with answered_with(sagemaker_client(), "DescribeEndpoint", switched_off):
        told = found(sensor(deferrable=deferrable, alarms=["slow"]))
    assert told["drift"] == ["the actions of alarm slow are switched off"]


def test_a_look_costs_two_reads_and_one_where_the_config_is_given(deployed: LocalAws, dag: DAG) -> None:
    assert not sensor().poke({})
    assert operations(deployed) == ["DescribeEndpoint", "ListTags"]


def test_a_rescheduled_sensor_proves_drift_within_one_poke(deployed: LocalAws, dag: DAG) -> None:
    change(deployed)
    told: Any = sensor(mode="reschedule").poke({})
    assert told.is_done
    assert told.xcom_value["drift"] == ["it serves c2, not c1"]


def test_throttling_shows_no_drift(deployed: LocalAws, deferrable: bool) -> None:
    change(deployed)
    refused = [refusal("ThrottlingException", "Rate exceeded")] * 2
    with answering(sagemaker_client(), "DescribeEndpoint", *refused):
        assert found(sensor(deferrable=deferrable))["drift"]


def test_a_denied_look_is_an_error(deployed: LocalAws, deferrable: bool) -> None:
    denied = refusal("AccessDeniedException", "not authorized to perform: sagemaker:DescribeEndpoint")
    with answering(sagemaker_client(), "DescribeEndpoint", *[None] * deferrable, denied):
        error = outcome(sensor(deferrable=deferrable)).error
    assert error is not None
    assert "not authorized" in str(error)
    assert isinstance(error, DeploymentFailedError) or not deferrable


def test_the_deferred_wait_says_what_it_is_about(deployed: LocalAws, dag: DAG) -> None:
    task = sensor(deferrable=True, endpoint_config_name="c1", weights={"main": 1})
    with pytest.raises(TaskDeferred) as deferred:
        run_without_trigger(task)
    awaited = deferred.value.trigger.serialize()[1]["awaited"]
    assert (awaited["until"], awaited["endpoint_config_name"], awaited["weights"]) == (
        "drifted",
        "c1",
        {"main": 1.0},
    )


def run_without_trigger(task: Any) -> None:
    from types import SimpleNamespace

    ti = SimpleNamespace(xcom_push=lambda key, value: None)
    task.execute({"ti": ti})


@pytest.mark.parametrize(
    "options",
    [
        {"endpoint_name": "a b"},
        {"weights": {"main": -1}},
        {"weights": 5},
        {"instance_counts": {"main": 1.5}},
    ],
)
def test_what_can_never_work_is_an_error_at_parse(options: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        sensor(**options)

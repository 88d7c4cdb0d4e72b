"""Alarms and policies on metrics that their kind of endpoint does not publish: a warning at parse, an error where a rollout is guarded."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    AsyncInference,
    Canary,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    EndpointMetric,
    InstanceProductionVariant,
    InvocationsScaling,
    NewFleetAlarm,
    ServerlessProductionVariant,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import IMAGE, make_endpoint, make_model, operations, outcome, task_id

ASYNC = AsyncInference(s3_output_path="s3://bucket/answers")


@pytest.fixture(autouse=True)
def in_a_dag() -> Iterator[None]:
    with DAG("test", schedule=None):
        yield


def config(kind: str, **options: Any) -> Any:
    """Return the output of a task that makes a config of a kind."""
    variant: dict[str, Any]
    if kind == "serverless":
        variant = ServerlessProductionVariant(
            model_name="m", variant_name="main", max_concurrency=5, memory_size_in_mb=1024
        )
    else:
        variant = InstanceProductionVariant(model_name=options.get("model", "m"), variant_name="main")
    return CreateEndpointConfigOperator(
        task_id="config",
        endpoint_config_name="churn",
        production_variants=[variant],
        async_inference_config=ASYNC if kind == "asynchronous" else None,
    ).output


def deploy(endpoint_config: Any, **options: Any) -> DeployEndpointOperator:
    return DeployEndpointOperator(
        task_id=task_id("deploy"), endpoint_name="churn", endpoint_config_name=endpoint_config, **options
    )


def alarm(endpoint: Any, metric: Any) -> CreateEndpointAlarmOperator:
    return CreateEndpointAlarmOperator(
        task_id=task_id("alarm"),
        endpoint_name=endpoint,
        variant_name="main",
        metric=metric,
        threshold=1,
        evaluation_periods=1,
    )


@pytest.mark.parametrize(
    ("kind", "metric", "told"),
    [
        ("asynchronous", EndpointMetric.invocations(), "CreateEndpointAlarmOperator: metric: SageMaker does not publish Invocations for an asynchronous endpoint"),
        ("serverless", EndpointMetric.cpu_utilization(), "CPUUtilization for a serverless endpoint"),
        ("real-time", EndpointMetric.custom("AWS/SageMaker", "ApproximateBacklogSize"), "ApproximateBacklogSize for a real-time endpoint"),
        ("real-time", EndpointMetric.custom("AWS/SageMaker", "ModelCacheHit"), None),
        ("asynchronous", EndpointMetric.model_latency(), None),
    ],
)  # fmt: skip
def test_an_alarm_on_such_a_metric_is_a_warning_at_parse(kind: str, metric: Any, told: str | None) -> None:
    endpoint = deploy(config(kind)).output
    if told is None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            alarm(endpoint, metric)
        return
    with pytest.warns(UserWarning, match=told):
        alarm(endpoint, metric)


def test_metrics_of_many_models_where_a_task_makes_one_with_one() -> None:
    model = CreateModelOperator(
        task_id="model", model_name="churn", containers=[ContainerDefinition(image=IMAGE)]
    )
    endpoint = deploy(config("real-time", model=model.output)).output
    with pytest.warns(UserWarning, match="ModelCacheHit for a single-model real-time endpoint"):
        alarm(endpoint, EndpointMetric.custom("AWS/SageMaker", "ModelCacheHit"))


def test_a_policy_on_such_a_metric_is_a_warning_at_parse() -> None:
    endpoint = deploy(config("asynchronous")).output
    with pytest.warns(
        UserWarning, match="SageMakerVariantInvocationsPerInstance watches InvocationsPerInstance"
    ):
        ConfigureAutoscalingOperator(
            task_id="scale",
            endpoint_name=endpoint,
            variant_name="main",
            max_capacity=4,
            policies=[InvocationsScaling(max_requests_per_second=5)],
        )


def test_an_endpoint_that_no_task_makes_is_not_known() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        alarm("churn", EndpointMetric.invocations())
        alarm(deploy("churn-3f2a90c1b7").output, EndpointMetric.invocations())


def guard(metric: Any) -> NewFleetAlarm:
    return NewFleetAlarm(variant_name="main", metric=metric, threshold=1)


@pytest.mark.filterwarnings("ignore:.*SageMaker does not publish")
def test_what_guards_a_rollout_is_an_error_at_parse() -> None:
    calm = config("serverless")
    with pytest.raises(
        InvalidSpecError, match=r"new_fleet_alarms\[1\]: SageMaker does not publish CPUUtil.*could never roll"
    ):
        deploy(
            calm,
            new_fleet_alarms=[guard(EndpointMetric.model_latency()), guard(EndpointMetric.cpu_utilization())],
        )
    cpu = alarm("churn", EndpointMetric.cpu_utilization()).output
    with pytest.raises(
        InvalidSpecError, match="auto_rollback_alarms: SageMaker does not publish CPUUtilization"
    ):
        deploy(calm, auto_rollback_alarms=[cpu])
    with pytest.raises(InvalidSpecError, match="rollout: SageMaker does not publish CPUUtilization"):
        deploy(calm, rollout=Canary(size="10%", wait_interval=60, auto_rollback_alarms=[cpu]))
    elsewhere = alarm("other", EndpointMetric.cpu_utilization()).output
    deploy(calm, auto_rollback_alarms=[elsewhere, "slow"])


@pytest.mark.slow
def test_what_guards_a_rollout_is_an_error_before_the_update(aws: LocalAws) -> None:
    """The alarm was made by others: what it watches is known when the task runs."""
    make_model(aws)
    sagemaker = aws.client("sagemaker")
    for name in ("old", "new"):
        sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": "model",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 2,
                }
            ],
            AsyncInferenceConfig=ASYNC,
        )
    make_endpoint(aws, "old", "churn")
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="busy",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Statistic="Sum",
        Dimensions=[{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}],
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    aws.clear_requests()
    task = deploy(
        "new", rollout=Canary(size="50%", wait_interval=120, auto_rollback_alarms=["busy"]), adopt=True
    )
    end = outcome(task)
    assert isinstance(end.error, InvalidSpecError), end.error
    assert "alarm busy can never go off: SageMaker does not publish Invocations for an asynchronous" in str(
        end.error
    )
    assert "UpdateEndpoint" not in operations(aws)

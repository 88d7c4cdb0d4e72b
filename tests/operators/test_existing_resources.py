"""Models, endpoint configs and endpoints that something else made, given by ARN to every operator and the sensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    DeleteEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ModelHostingTaskGroup,
    RemoveAutoscalingOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.sensors import EndpointInServiceSensor
from tests.operators.conftest import (
    deploy,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)

ACCOUNT = "123456789012"


def arn(
    kind: str, name: str, *, region: str = "us-east-1", account: str = ACCOUNT, partition: str = "aws"
) -> str:
    return f"arn:{partition}:sagemaker:{region}:{account}:{kind}/{name}"


@pytest.fixture
def existing(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A model, two configs and an endpoint that our operators did not make, and no account that was asked for before."""
    make_model(aws)
    make_config(aws, "first")
    make_config(aws, "second", InitialInstanceCount=2)
    make_endpoint(aws, "first", tags={})
    aws.clear_requests()
    monkeypatch.setattr(clients, "_IDENTITIES", {})
    return aws


def variant(model: Any, **options: Any) -> Any:
    return InstanceProductionVariant(
        model_name=model, variant_name="main", instance_type="ml.m5.large", **options
    )


def config(*variants: Any, **options: Any) -> Any:
    return CreateEndpointConfigOperator(
        task_id=task_id(), endpoint_config_name="churn", production_variants=list(variants), **options
    )


def invoke(endpoint: str) -> Any:
    return InvokeEndpointOperator(task_id=task_id(), endpoint_name=endpoint, body="x")


def delete(endpoint: str) -> Any:
    return DeleteEndpointOperator(task_id=task_id(), endpoint_name=endpoint, adopt=True, poll_interval=0.1)


def sensor(endpoint: str, to: str | None = None, **options: Any) -> Any:
    return EndpointInServiceSensor(
        task_id=task_id(), endpoint_name=endpoint, endpoint_config_name=to, poke_interval=0.1, **options
    )


TASKS: dict[str, Callable[[str], Any]] = {
    "model of a variant": lambda given: config(variant(given)),
    "deploy": lambda given: deploy("second", endpoint_name=given, adopt=True),
    "alarm": lambda given: CreateLatencyAlarmOperator(
        task_id=task_id(), endpoint_name=given, variant_name="main", threshold=1, evaluation_periods=1
    ),
    "scale": lambda given: ConfigureAutoscalingOperator(
        task_id=task_id(), endpoint_name=given, variant_name="main", max_capacity=2
    ),
    "scale no more": lambda given: RemoveAutoscalingOperator(
        task_id=task_id(), endpoint_name=given, variant_name="main"
    ),
    "deploy to": lambda given: deploy(given, adopt=True),
    "invoke": lambda given: invoke(given),
    "delete": lambda given: delete(given),
    "sensor": lambda given: sensor(given),
    "sensor of a config": lambda given: sensor("churn", given),
}
KINDS = {
    "model of a variant": "model",
    "deploy to": "endpoint-config",
    "sensor of a config": "endpoint-config",
}


def test_a_model_is_the_same_by_name_and_by_arn(existing: LocalAws, dag: DAG) -> None:
    by_name = run_task(config(variant("model"))).value
    assert "GetCallerIdentity" not in operations(existing)
    by_arn = run_task(config(variant("{{ given }}")), given=arn("model", "model")).value
    assert by_arn == by_name
    found = existing.client("sagemaker").describe_endpoint_config(EndpointConfigName=by_arn)
    assert found["ProductionVariants"][0]["ModelName"] == "model"


def test_models_of_shadows_and_pools_are_taken_by_arn_too(existing: LocalAws, dag: DAG) -> None:
    pool = {"InstanceType": "ml.m5.large", "Priority": 1, "ModelNameOverride": arn("model", "model")}
    pooled = InstanceProductionVariant(
        model_name=arn("model", "model"), variant_name="main", instance_type=None, InstancePools=[pool]
    )
    shadow = {**variant(arn("model", "model")), "VariantName": "shadow"}
    name = run_task(config(pooled, shadow_production_variants=[shadow])).value
    found = existing.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
    assert found["ProductionVariants"][0]["InstancePools"][0]["ModelNameOverride"] == "model"
    assert found["ShadowProductionVariants"][0]["ModelName"] == "model"
    assert operations(existing).count("GetCallerIdentity") == 1
    assert pool["ModelNameOverride"] == arn("model", "model")  # what was given is not changed


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_an_endpoint_and_its_config_are_deployed_by_arn(
    existing: LocalAws, dag: DAG, deferrable: bool
) -> None:
    task = deploy(
        arn("endpoint-config", "second"),
        endpoint_name=arn("endpoint", "churn"),
        adopt=True,
        deferrable=deferrable,
    )
    ran = run_task(task)
    assert ran.value == "churn"
    assert ran.details["endpoint_config_name"] == "second"
    assert "/endpoints/churn" in ran.xcoms["endpoint_link"]
    assert operations(existing).count("GetCallerIdentity") == 1
    found = existing.client("sagemaker").describe_endpoint(EndpointName="churn")
    assert found["EndpointConfigName"] == "second"
    existing.clear_requests()
    assert (
        run_task(deploy("second", endpoint_name=arn("endpoint", "churn"), adopt=True)).details["action"]
        == "unchanged"
    )
    assert operations(existing, mutating=True) == []


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_the_sensor_takes_arns(existing: LocalAws, dag: DAG, deferrable: bool) -> None:
    task = sensor(arn("endpoint", "churn"), arn("endpoint-config", "first"), deferrable=deferrable)
    ran = run_task(task)
    assert "/endpoints/churn" in ran.xcoms["endpoint_link"]
    assert operations(existing).count("GetCallerIdentity") == 1


def test_an_endpoint_is_deleted_by_arn(existing: LocalAws, dag: DAG) -> None:
    run_task(delete(arn("endpoint", "churn")))
    assert existing.client("sagemaker").list_endpoints()["Endpoints"] == []


def test_an_endpoint_is_invoked_by_arn(existing: LocalAws, dag: DAG) -> None:
    """No container runs here: that the runtime was asked for this endpoint shows in its refusal."""
    end = outcome(invoke(arn("endpoint", "churn")))
    assert "Endpoint churn did not answer" in str(end.error)
    # It was refused, maybe because of the case of the name: that is looked up.
    assert operations(existing) == ["GetCallerIdentity", "InvokeEndpoint", "DescribeEndpoint"]


def test_an_endpoint_is_scaled_and_watched_by_arn(existing: LocalAws, dag: DAG) -> None:
    given = arn("endpoint", "churn")
    assert run_task(TASKS["scale no more"](given)).value == "endpoint/churn/variant/main"
    assert run_task(TASKS["scale"](given)).value == "endpoint/churn/variant/main"
    assert run_task(TASKS["alarm"](given)).value.startswith("churn-main-")


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize(
    ("place", "words", "asked"),
    [
        ({"region": "eu-west-1"}, "in Region eu-west-1, but the connection uses Region us-east-1", []),
        ({"partition": "aws-cn"}, "in partition aws-cn, but the connection uses partition aws", []),
        (
            {"account": "210987654321"},
            f"in account 210987654321, but the connection uses account {ACCOUNT}",
            ["GetCallerIdentity"],
        ),
    ],
    ids=["region", "partition", "account"],
)  # fmt: skip
def test_what_lies_elsewhere_is_an_error_that_names_both(
    existing: LocalAws, dag: DAG, task: str, place: dict[str, str], words: str, asked: list[str]
) -> None:
    kind = KINDS.get(task, "endpoint")
    end = outcome(TASKS[task](arn(kind, "churn", **place)))
    assert type(end.error) is InvalidSpecError
    assert words in str(end.error)
    assert operations(existing) == asked


@pytest.mark.parametrize("task", TASKS)
def test_names_need_no_account(existing: LocalAws, dag: DAG, task: str) -> None:
    names = {
        "model": "model",
        "endpoint-config": "second" if task == "deploy to" else "first",
        "endpoint": "churn",
    }
    kind = KINDS.get(task, "endpoint")
    outcome(TASKS[task](names[kind]))
    assert operations(existing)
    assert "GetCallerIdentity" not in operations(existing)


def test_the_task_group_takes_arns() -> None:
    with DAG("group", schedule=None) as dag:
        ModelHostingTaskGroup(
            endpoint_name=arn("endpoint", "churn"),
            models={},
            production_variants=[variant(arn("model", "model"))],
        )
    made: Any = dag.get_task("model_hosting.create_endpoint_config")
    assert made.endpoint_config_name == "churn"
    assert made.production_variants[0]["ModelName"] == arn("model", "model")
    with (
        DAG("other", schedule=None),
        pytest.raises(InvalidSpecError, match="ModelHostingTaskGroup: endpoint_name is"),
    ):
        ModelHostingTaskGroup(
            endpoint_name=arn("model", "churn"), models={}, production_variants=[variant("model")]
        )

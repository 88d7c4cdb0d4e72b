"""What was asked is what is there: specs that hypothesis makes, asked for through the operators, are read back from AWS's descriptions.

``SM_HOSTING_READBACK_EXAMPLES=1000`` makes it thorough: so many random examples a test, in place of a few that are always the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import DAG
from hypothesis import HealthCheck, Phase, given, settings

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    policies,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.local.conftest import Deployer
from tests.operators.conftest import (
    Ran,
    autoscaling_client,
    make_config,
    make_endpoint,
    make_model,
    run_task,
    tags_of,
    task_id,
)
from tests.readback import asks, reader
from tests.readback.asks import Ask

EXAMPLES = int(os.environ.get("SM_HOSTING_READBACK_EXAMPLES", "0"))


def examples(quickly: int) -> settings:
    """Return the settings of a test with so many examples, or with as many as the environment says."""
    return settings(
        max_examples=EXAMPLES or quickly,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        # Making a failure smaller takes hundreds of examples more.
        phases=list(Phase) if EXAMPLES else [Phase.generate],
        # The local AWS is emptied once a test; an example begins with taking away what it would meet.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
        ],
    )


INITIAL = 3


def run(operator: Callable[..., Any], **parameters: Any) -> Ran:
    return run_task(operator(task_id=task_id("readback"), **parameters))


def tags_without_ours(found: dict[str, str]) -> dict[str, str]:
    assert OURS.items() <= found.items()
    return {key: value for key, value in found.items() if not key.startswith("sm-hosting:")}


@pytest.fixture
def pushed(aws: LocalAws) -> str:
    """Return the digest of the image that the containers name by its tag."""
    aws.client("ecr").create_repository(repositoryName=asks.REPOSITORY)
    Deployer(aws).push_image({}, repository=asks.REPOSITORY, tag=asks.TAG)
    found = aws.client("ecr").describe_images(repositoryName=asks.REPOSITORY)["imageDetails"]
    return str(found[0]["imageDigest"])


@pytest.fixture
def artifacts(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket=asks.BUCKET)
    for key in (asks.OBJECT, asks.CONTENT_OBJECT, f"{asks.PREFIX}/weights"):
        s3.put_object(Bucket=asks.BUCKET, Key=key, Body=b"weights")
    aws.client("iam").create_role(
        RoleName=asks.ROLE_NAME, AssumeRolePolicyDocument=json.dumps(policies.trust())
    )


@pytest.fixture
def models(aws: LocalAws) -> None:
    for name in asks.MODELS:
        make_model(aws, name)


@pytest.fixture
def endpoint(aws: LocalAws) -> str:
    make_model(aws)
    # A type with GPUs: all metrics are published.
    make_config(aws, "c1", InstanceType="ml.g5.xlarge", InitialInstanceCount=INITIAL)
    return make_endpoint(aws, "c1")


def test_models(aws: LocalAws, dag: DAG, pushed: str, artifacts: None) -> None:
    sagemaker = aws.client("sagemaker")
    registry = aws.endpoint_url.removeprefix("http://")

    @examples(quickly=6)
    @given(asks.models(registry, pushed))
    def is_there(ask: Ask) -> None:
        ran = run(CreateModelOperator, **ask.given)
        found = sagemaker.describe_model(ModelName=ran.value)
        assert reader.read_model(found) == ask.meaning
        assert ran.value.startswith(ask.given["model_name"])
        assert tags_without_ours(tags_of(aws, found["ModelArn"])).items() >= (ask.given["tags"] or {}).items()

    is_there()


def test_endpoint_configs(aws: LocalAws, dag: DAG, models: None) -> None:
    sagemaker = aws.client("sagemaker")

    @examples(quickly=8)
    @given(asks.endpoint_configs())
    def is_there(ask: Ask) -> None:
        ran = run(CreateEndpointConfigOperator, **ask.given)
        found = sagemaker.describe_endpoint_config(EndpointConfigName=ran.value)
        assert reader.read_endpoint_config(found) == ask.meaning
        tags = tags_without_ours(tags_of(aws, found["EndpointConfigArn"]))
        assert tags.items() >= (ask.given["tags"] or {}).items()

    is_there()


def test_endpoints(aws: LocalAws, dag: DAG, models: None) -> None:
    """Two asks of one endpoint: it is made, and becomes what the second says."""
    sagemaker = aws.client("sagemaker")

    @examples(quickly=4)
    @given(asks.names, asks.deployments())
    def is_there(name: str, asked: list[tuple[Ask, dict[str, str]]]) -> None:
        for left in sagemaker.list_endpoints()["Endpoints"]:
            sagemaker.delete_endpoint(EndpointName=left["EndpointName"])
        expected: dict[str, str] = {}
        for ask, tags in asked:
            config = run(CreateEndpointConfigOperator, **ask.given).value
            deployed = run(
                DeployEndpointOperator,
                endpoint_name=name,
                endpoint_config_name=config,
                tags=tags,
                poll_interval=0.1,
            )
            expected |= tags
            found = sagemaker.describe_endpoint(EndpointName=deployed.value)
            assert (found["EndpointName"], found["EndpointConfigName"]) == (name, config)
            assert found["EndpointStatus"] == "InService"
            assert [running(one) for one in found["ProductionVariants"]] == [
                wanted(one) for one in ask.meaning["production_variants"]
            ]
            assert tags_without_ours(tags_of(aws, found["EndpointArn"])) == expected

    is_there()


def running(variant: dict[str, Any]) -> tuple[Any, ...]:
    serverless = variant.get("DesiredServerlessConfig") or variant.get("CurrentServerlessConfig")
    count = None if serverless else variant["DesiredInstanceCount"]
    return variant["VariantName"], variant["DesiredWeight"], variant["CurrentWeight"], count


def wanted(variant: dict[str, Any]) -> tuple[Any, ...]:
    weight = variant["InitialVariantWeight"]
    return variant["VariantName"], weight, weight, variant.get("InitialInstanceCount")


def test_autoscaling(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    """Two asks of one variant: what the first asked for and the second does not is gone."""
    client = autoscaling_client()
    place = {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/churn/variant/main"}

    @examples(quickly=5)
    @given(asks.one_or_two(asks.scalings(INITIAL)))
    def is_there(asked: list[Ask]) -> None:
        for target in client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
            client.deregister_scalable_target(**place, ScalableDimension=target["ScalableDimension"])
        for ask in asked:
            run(ConfigureAutoscalingOperator, endpoint_name="churn", variant_name="main", **ask.given)
            [target] = client.describe_scalable_targets(
                ServiceNamespace="sagemaker", ResourceIds=[place["ResourceId"]]
            )["ScalableTargets"]
            policies = client.describe_scaling_policies(**place)["ScalingPolicies"]
            actions = client.describe_scheduled_actions(**place)["ScheduledActions"]
            assert {
                "min_capacity": target["MinCapacity"],
                "max_capacity": target["MaxCapacity"],
                "policies": by_name("PolicyName", map(reader.read_policy, policies)),
                "scheduled_actions": by_name(
                    "ScheduledActionName", map(reader.read_scheduled_action, actions)
                ),
            } == {
                **ask.meaning,
                "policies": by_name("PolicyName", ask.meaning["policies"]),
                "scheduled_actions": by_name("ScheduledActionName", ask.meaning["scheduled_actions"]),
            }

    is_there()


def by_name(member: str, items: Any) -> list[dict[str, Any]]:
    return sorted(items, key=lambda item: item[member])


def test_alarms(aws: LocalAws, dag: DAG, endpoint: str) -> None:
    """Two asks of one alarm: it becomes what the second says, and keeps nothing of the first."""
    client = aws.client("cloudwatch")

    @examples(quickly=6)
    @given(asks.one_or_two(asks.alarms("churn", "main")))
    def is_there(asked: list[Ask]) -> None:
        name = task_id("alarm")  # of its own, as no example begins with what another left
        tags: dict[str, str] = {}
        for ask in asked:
            # Two tasks of one DAG may not write one alarm.
            with DAG(task_id("dag"), schedule=None):
                run(
                    CreateEndpointAlarmOperator,
                    endpoint_name="churn",
                    variant_name="main",
                    alarm_name=name,
                    **ask.given,
                )
            [found] = client.describe_alarms(AlarmNames=[name])["MetricAlarms"]
            assert reader.read_alarm(found) == {"alarm_name": name, **ask.meaning}
            tags |= ask.given.get("tags", {})
            listed = client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
            assert tags_without_ours({tag["Key"]: tag["Value"] for tag in listed}) == tags

    is_there()

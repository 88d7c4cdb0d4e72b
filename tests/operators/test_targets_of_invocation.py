"""Invocations of one part of an endpoint: a component, an adapter, a model of many, a container of several (the process engine)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import DeployEndpointOperator, InvokeEndpointOperator, SmokeTest
from airflow_sm_hosting.exceptions import ConflictError, InvocationError
from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import ROLE, Deployer, tar_bytes, wait_until
from tests.local_servers import local_server
from tests.operators.conftest import answered_with, event_hook, outcome, run_task, sagemaker_client, task_id

NEEDS = {"MinMemoryRequiredInMb": 128, "NumberOfCpuCoresRequired": 0.25}
SECRET = "correct-horse-battery"


@pytest.fixture(scope="module")
def serving() -> LocalAws:
    """A local AWS with an endpoint of each kind."""
    aws = local_server("process")
    aws.reset()
    deployer = Deployer(aws)
    image = deployer.push_image()
    sagemaker = aws.client("sagemaker")
    aws.client("s3").create_bucket(Bucket="parts")
    for key in ("many/a.tar.gz", "many/b.tar.gz", "adapter.tar.gz"):
        aws.client("s3").put_object(Bucket="parts", Key=key, Body=tar_bytes({"weights": key.encode()}))
    many = deployer.model(Image=image, Mode="MultiModel", ModelDataUrl="s3://parts/many/")
    sagemaker.create_model(
        ModelName="direct",
        ExecutionRoleArn=ROLE,
        Containers=[
            {"Image": image, "ContainerHostname": name, "Environment": {"VERSION": name}}
            for name in ("one", "two")
        ],
        InferenceExecutionConfig={"Mode": "Direct"},
    )
    host = {"VariantName": "main", "InstanceType": "ml.m5.xlarge", "InitialInstanceCount": 1}
    configs = {
        "many": deployer.config(deployer.variant(many)),
        "direct": deployer.config(deployer.variant("direct")),
        "host": deployer.config(host, ExecutionRoleArn=ROLE),
    }
    for name, config in configs.items():
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    for name in configs:
        deployer.settled(name)
    base = deployer.model(Image=image, Environment={"VERSION": "base", "PASSWORD": SECRET})
    sagemaker.create_inference_component(
        InferenceComponentName="base",
        EndpointName="host",
        VariantName="main",
        Specification={"ModelName": base, "ComputeResourceRequirements": NEEDS},
        RuntimeConfig={"CopyCount": 1},
    )
    settled_component(aws, "base")
    sagemaker.create_inference_component(
        InferenceComponentName="adapter",
        EndpointName="host",
        Specification={
            "BaseInferenceComponentName": "base",
            "Container": {"ArtifactUrl": "s3://parts/adapter.tar.gz"},
        },
    )
    settled_component(aws, "adapter")
    return aws


def settled_component(aws: LocalAws, name: str) -> None:
    def is_settled() -> bool:
        told = aws.client("sagemaker").describe_inference_component(InferenceComponentName=name)
        assert told["InferenceComponentStatus"] != "Failed", told["FailureReason"]
        return str(told["InferenceComponentStatus"]) == "InService"

    wait_until(is_settled)


@pytest.fixture(autouse=True)
def aws(serving: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(serving.connection()))
    serving.clear_requests()
    return serving


def invoke(endpoint: str, **options: Any) -> InvokeEndpointOperator:
    given = {"task_id": task_id("invoke"), "endpoint_name": endpoint, "body": "x", "push_response": True}
    return InvokeEndpointOperator(**{**given, **options})


#: A request to each part, and what its answer has.
PARTS = [
    ("many", {"target_model": "a.tar.gz"}, "many/a.tar.gz"),
    ("many", {"target_model": "b.tar.gz"}, "many/b.tar.gz"),
    ("direct", {"target_container_hostname": "one"}, '"version": "one"'),
    ("direct", {"target_container_hostname": "two"}, '"version": "two"'),
    ("host", {"inference_component_name": "base"}, '"version": "base"'),
    ("host", {"inference_component_name": "adapter"}, "adapter.tar.gz"),
    ("host", {"inference_component_name": "base", "kind": "streamed"}, '"version": "base"'),
]


@pytest.mark.parametrize(("endpoint", "target", "expect"), PARTS, ids=str)
def test_each_part_is_asked(dag: DAG, endpoint: str, target: dict[str, Any], expect: str) -> None:
    assert run_task(invoke(endpoint, expect=expect, **target)).value == endpoint


@pytest.mark.parametrize("endpoint", ["many", "direct", "host"])
def test_a_request_without_a_target_is_refused_by_sagemaker(dag: DAG, endpoint: str) -> None:
    end = outcome(invoke(endpoint))
    assert isinstance(end.error, InvocationError)
    assert (end.error.code, end.error.refused) == ("ValidationError", True)


# The container serves the last model that it has loaded.
@pytest.mark.parametrize(("endpoint", "target", "expect"), PARTS[1:], ids=str)
def test_the_smoke_test_of_a_deployment_asks_each_part(
    dag: DAG, endpoint: str, target: dict[str, Any], expect: str
) -> None:
    assert run_task(deployment(endpoint, SmokeTest(body="x", expect=expect, **target))).value == endpoint


@pytest.mark.parametrize("endpoint", ["many", "direct", "host"])
def test_a_smoke_test_without_a_target_is_refused_before_any_change(dag: DAG, endpoint: str) -> None:
    with pytest.raises(ConflictError, match=f"Endpoint {endpoint}: smoke_test cannot test config"):
        run_task(deployment(endpoint, SmokeTest(body="x")))


def deployment(name: str, test: Any) -> DeployEndpointOperator:
    """Return a task that deploys what the endpoint serves already, and tests it."""
    config = sagemaker_client().describe_endpoint(EndpointName=name)["EndpointConfigName"]
    return DeployEndpointOperator(
        task_id=task_id("deploy"),
        endpoint_name=name,
        endpoint_config_name=config,
        adopt=True,
        poll_interval=0.1,
        timeout=60,
        smoke_test=test,
    )


@pytest.mark.parametrize("component", ["base", "adapter"])
def test_the_environment_of_a_component_is_masked(dag: DAG, component: str) -> None:
    """The container answers what it was sent; here it was sent its secret."""
    end = outcome(
        invoke("host", inference_component_name=component, body=f"my {SECRET}", expect="something else")
    )
    assert isinstance(end.error, InvocationError)
    assert '"body": "my ***"' in str(end.error)
    assert SECRET not in str(end.error)


def test_a_component_at_zero_is_awaited(aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_sm_hosting.deployer import invocation

    monkeypatch.setattr(invocation, "LONGEST_PAUSE", 0.2)
    sagemaker = aws.client("sagemaker")

    def scale(copies: int) -> None:
        sagemaker.update_inference_component_runtime_config(
            InferenceComponentName="base", DesiredRuntimeConfig={"CopyCount": copies}
        )

    scale(0)
    settled_component(aws, "base")
    task = {"inference_component_name": "base", "expect": '"version": "base"'}
    with pytest.raises(InvocationError, match=r"has no capacity .* Give wait_for_capacity=…"):
        run_task(invoke("host", **task))
    refused: list[int] = []

    def wake(parsed: dict[str, Any], **_: Any) -> None:
        if "Error" in parsed and not refused:
            refused.append(1)
            scale(1)

    with event_hook(SageMakerRuntimeHook().conn, "after-call.*.InvokeEndpoint", wake):
        assert run_task(invoke("host", wait_for_capacity=60, **task)).value == "host"
    assert refused
    settled_component(aws, "base")


@pytest.mark.slow
def test_an_asynchronous_endpoint_without_instances_is_explained(
    serving: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The request stays in the queue, and the answer never comes."""
    deployer = Deployer(serving)
    serving.client("s3").create_bucket(Bucket="nothing")
    base = serving.client("sagemaker").describe_inference_component(InferenceComponentName="base")
    model = base["Specification"]["ModelName"]
    config = deployer.config(
        deployer.variant(model),
        AsyncInferenceConfig={
            "OutputConfig": {"S3OutputPath": "s3://nothing", "S3FailurePath": "s3://nothing"}
        },
    )
    endpoint = deployer.endpoint(config)

    def at_zero(described: dict[str, Any]) -> None:
        for variant in described.get("ProductionVariants", []):
            variant["CurrentInstanceCount"] = 0

    def lost(parsed: dict[str, Any], **_: Any) -> None:
        parsed["OutputLocation"] = "s3://nothing/never"

    with (
        answered_with(sagemaker_client(), "DescribeEndpoint", at_zero),
        event_hook(SageMakerRuntimeHook().conn, "after-call.*.InvokeEndpointAsync", lost),
    ):
        end = outcome(invoke(endpoint, poll_interval=0.1, timeout=1, wait_for_capacity=0.2))
    assert isinstance(end.error, InvocationError)
    assert end.error.refused
    assert "has not answered within 1.2 s" in str(end.error)
    assert "The endpoint has no instances: something must scale it out" in str(end.error)

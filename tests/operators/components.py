"""Inference components on the local AWS: their host, and the tasks that deploy them."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting import DeployInferenceComponentOperator, InferenceComponentSpecification
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS, tag_list
from tests.operators.conftest import ROLE, make_endpoint, make_model, settled_component, task_id

NEEDS = {"MinMemoryRequiredInMb": 256}


def make_host(aws: LocalAws, name: str = "host", **variant: Any) -> str:
    """Make an endpoint for inference components, with room for several copies."""
    members = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, **variant}
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName=name,
        ProductionVariants=[{"VariantName": "main", **members}],
        ExecutionRoleArn=ROLE,
    )
    return make_endpoint(aws, name, name)


def specification(model: str = "model", **members: Any) -> InferenceComponentSpecification:
    return InferenceComponentSpecification(**{"model_name": model, "requirements": NEEDS, **members})


def deploy_component(model: str = "model", **given: Any) -> DeployInferenceComponentOperator:
    """Return a task that deploys a model to the component "churn" on the endpoint "host"."""
    return DeployInferenceComponentOperator(
        **{
            "task_id": task_id("deploy"),
            "inference_component_name": "churn",
            "endpoint_name": "host",
            "variant_name": "main",
            "specification": None if "specifications" in given else specification(model),
            "poll_interval": 0.1,
            "timeout": 120,
            **given,
        }
    )


def make_component(
    aws: LocalAws, model: str = "model", name: str = "churn", *, copies: int = 1, tags: dict[str, str] = OURS
) -> str:
    """Make a component, ours by default, and wait until it is no longer on its way."""
    aws.client("sagemaker").create_inference_component(
        InferenceComponentName=name,
        EndpointName="host",
        VariantName="main",
        Specification=dict(specification(model)),
        RuntimeConfig={"CopyCount": copies},
        Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
    )
    settled_component(aws, name)
    return name


def make_models(aws: LocalAws, *names: str, tags: dict[str, str] | None = None) -> None:
    client = aws.client("sagemaker")
    for name in names:
        make_model(aws, name)
        if tags:
            arn = client.describe_model(ModelName=name)["ModelArn"]
            client.add_tags(ResourceArn=arn, Tags=tag_list(tags))

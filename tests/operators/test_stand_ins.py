"""Operators deploy AWS's own images on the local AWS: what a DAG says stays, and a stand-in answers."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
)
from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.operators.conftest import ROLE, outcome, run_task, task_id

pytestmark = pytest.mark.slow

TGI = ("huggingface-pytorch-tgi-inference", "2.7.0-tgi3.3.6-gpu-py311-cu124-ubuntu22.04")


def model(image: Any) -> CreateModelOperator:
    return CreateModelOperator(
        task_id=task_id("model"),
        model_name="llm",
        containers=[ContainerDefinition(image=image, environment={"HF_MODEL_ID": "team/model"})],
        execution_role=ROLE,
    )


@pytest.mark.parametrize("as_text", [False, True])
def test_a_deep_learning_container_is_resolved_deployed_and_tested(
    process_aws: LocalAws, dag: DAG, as_text: bool
) -> None:
    repository, tag = TGI
    registry = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    image = f"{registry}/{repository}:{tag}" if as_text else ContainerImage.from_dlc(repository, tag)
    name = run_task(model(image)).value
    described = process_aws.client("sagemaker").describe_model(ModelName=name)
    pinned = described["PrimaryContainer"]["Image"]
    assert pinned.startswith(f"{registry}/{repository}@sha256:")
    # The same tag is the same content.
    assert run_task(model(image)).value == name
    config = run_task(
        CreateEndpointConfigOperator(
            task_id=task_id("config"),
            endpoint_config_name="llm",
            production_variants=[
                InstanceProductionVariant(variant_name="main", model_name=name, instance_type="ml.g5.xlarge")
            ],
        )
    ).value
    # An image that was asked for by digest, and another one that runs, would be a failure.
    ran = run_task(
        DeployEndpointOperator(
            task_id=task_id("deploy"), endpoint_name="llm", endpoint_config_name=config, poll_interval=1
        )
    )
    assert ran.details["endpoint_config_name"] == config
    invoked = run_task(
        InvokeEndpointOperator(
            task_id=task_id("smoke"),
            endpoint_name="llm",
            body=json.dumps({"inputs": "Hello"}),
            content_type="application/json",
            push_response=True,
        )
    )
    assert "Stand-in says:" in json.dumps(invoked.details)


def test_an_image_of_aws_in_the_wrong_region_is_not_found(process_aws: LocalAws, dag: DAG) -> None:
    end = outcome(model(ContainerImage.from_dlc(*TGI, account_id="871362719292")))
    assert isinstance(end.error, NotFoundError)
    assert f"ECR has no image {TGI[0]}:{TGI[1]} in us-east-1 (registry 871362719292)" in str(end.error)


def test_an_image_of_the_local_registry_has_its_own_digest(process_aws: LocalAws, dag: DAG) -> None:
    deployer = Deployer(process_aws)
    process_aws.client("ecr").create_repository(repositoryName=TGI[0])
    deployer.push_image(repository=TGI[0], tag=TGI[1])
    (details,) = process_aws.client("ecr").describe_images(repositoryName=TGI[0])["imageDetails"]
    name = run_task(model(ContainerImage.from_dlc(*TGI))).value
    described = process_aws.client("sagemaker").describe_model(ModelName=name)
    assert described["PrimaryContainer"]["Image"].endswith(f"{TGI[0]}@{details['imageDigest']}")
    endpoint = deployer.endpoint(deployer.config(deployer.variant(name)))
    assert "body" in deployer.invoke(endpoint)

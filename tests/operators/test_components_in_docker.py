"""Inference components whose containers run in a Docker engine: created, updated, rolled back, with an adapter, and deleted."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting import (
    DeleteInferenceComponentOperator,
    Expectation,
    InferenceComponentSpecification,
    RollbackInferenceComponentOperator,
    SmokeTest,
)
from airflow_sm_hosting.exceptions import DeploymentRolledBackError
from tests.local.conftest import Deployer, docker_deployer, tar_bytes
from tests.local.engines.images import build_and_push
from tests.operators.components import NEEDS, deploy_component, make_host
from tests.operators.conftest import outcome, task_id

__all__ = ["docker_deployer"]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("dag")]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])
def test_the_life_of_a_component(
    docker_deployer: Deployer,
    docker_client: Any,
    debian_base_image: str,
    monkeypatch: pytest.MonkeyPatch,
    deferrable: bool,
) -> None:
    deployer = docker_deployer
    aws = deployer.aws
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    image = build_and_push(docker_client, deployer, debian_base_image)
    host, component = deployer.name("host"), deployer.name("component")
    make_host(aws, host)
    models = {
        version: deployer.model(Image=image, Environment={"VERSION": version, **more})
        for version, more in {"1": {}, "2": {}, "3": {"CRASH": "1"}}.items()
    }

    def deploy(version: str, **options: Any) -> Any:
        return outcome(
            deploy_component(
                inference_component_name=component,
                endpoint_name=host,
                specification=InferenceComponentSpecification(model_name=models[version], requirements=NEEDS),
                smoke_test=SmokeTest(body={}, expect=Expectation(subset={"version": version})),
                deferrable=deferrable,
                **options,
            )
        )

    assert deploy("1").details["action"] == "create"
    aws.clear_requests()
    assert deploy("1").details["action"] == "unchanged"
    assert aws.request_counts(mutating=True).keys() <= {"InvokeEndpoint"}
    assert deploy("2").details["action"] == "update"
    failed = deploy("3")
    assert isinstance(failed.error, DeploymentRolledBackError), failed.error
    back = outcome(
        RollbackInferenceComponentOperator(
            task_id=task_id("back"),
            inference_component_name=component,
            poll_interval=0.1,
            deferrable=deferrable,
        )
    )
    assert back.error is None, back.error
    answer = deployer.runtime.invoke_endpoint(
        EndpointName=host, InferenceComponentName=component, Body=b"{}", ContentType="application/json"
    )
    assert json.loads(answer["Body"].read())["version"] == "1"
    adapter = outcome(
        deploy_component(
            inference_component_name=f"{component}-fr",
            endpoint_name=host,
            variant_name=None,
            specification=InferenceComponentSpecification(
                base_inference_component_name=component,
                artifact_url=deployer.upload(tar_bytes({"weights": b"fr"})),
            ),
            deferrable=deferrable,
        )
    )
    assert adapter.error is None, adapter.error
    answer = deployer.runtime.invoke_endpoint(
        EndpointName=host,
        InferenceComponentName=f"{component}-fr",
        Body=b"{}",
        ContentType="application/json",
    )
    assert json.loads(answer["Body"].read())["adapter"] == "fr"
    deleted = outcome(
        DeleteInferenceComponentOperator(
            task_id=task_id("delete"), inference_component_name=component, poll_interval=0.1
        )
    )
    assert deleted.error is None, deleted.error
    left = deployer.sagemaker.list_inference_components(EndpointNameEquals=host)["InferenceComponents"]
    assert left == []

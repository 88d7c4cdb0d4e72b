"""Every kind of request to containers of a Docker engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import Expectation, InvokeEndpointOperator
from tests.local.conftest import Deployer, docker_deployer
from tests.local.engines.images import build_and_push
from tests.operators.conftest import run_task, task_id

__all__ = ["docker_deployer"]

pytestmark = pytest.mark.engine


def test_every_kind_of_request(
    docker_deployer: Deployer,
    docker_client: Any,
    debian_base_image: str,
    dag: DAG,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deployer = docker_deployer
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(deployer.aws.connection()))
    model = deployer.model(
        Image=build_and_push(docker_client, deployer, debian_base_image), Environment={"VERSION": "docker"}
    )
    deployer.aws.client("s3").create_bucket(Bucket="docker-answers")
    outputs = {"S3OutputPath": "s3://docker-answers/out", "S3FailurePath": "s3://docker-answers/failed"}
    now = deployer.endpoint(deployer.config(deployer.variant(model)))
    later = deployer.endpoint(
        deployer.config(deployer.variant(model), AsyncInferenceConfig={"OutputConfig": outputs})
    )
    asked: list[dict[str, Any]] = [
        {"endpoint_name": now, "custom_attributes": "a=1"},
        {"endpoint_name": now, "kind": "streamed"},
        {"endpoint_name": later, "deferrable": True},
        {"endpoint_name": later, "input_prefix": "s3://docker-answers/in/"},
    ]
    for options in asked:
        ran = run_task(
            InvokeEndpointOperator(
                task_id=task_id("invoke"),
                body={"x": 1},
                expect=Expectation(subset={"version": "docker", "body": '{"x": 1}'}),
                poll_interval=0.1,
                **options,
            )
        )
        assert ran.value == options["endpoint_name"]

"""Reasons of failed endpoints that the package explains (``cause-…``) are those that the local AWS gives, in AWS's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting.deployment.remedies import Cause, cause_of
from airflow_sm_hosting.local.engines.engine import ContainerError
from tests.local.data_plane import Answer, Asked, DataPlane
from tests.local.recordings.facts import BY_ID
from tests.local.recordings.test_sagemaker import push_manifest
from tests.local.rules.cloud import Cloud


def ok(_: Asked) -> Answer:
    return Answer(b"{}")


def reason_of(plane: DataPlane, container: dict[str, Any], **variant: Any) -> str:
    """Return the FailureReason of a new endpoint."""
    model = plane.deployer.model(**container)
    endpoint = plane.deployer.name("endpoint")
    config = plane.deployer.config(plane.deployer.variant(model, VariantName="v1", **variant))
    plane.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    plane.settled()
    found = plane.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert found["EndpointStatus"] == "Failed"
    return str(found["FailureReason"])


def recorded(id: str, url: str = "") -> str:
    return BY_ID[id].answer.replace("s3://b/model.tar.gz", url)


def test_archive_that_is_none(plane: DataPlane) -> None:
    url = f"s3://{plane.bucket(**{'model.tar.gz': b'no archive'})}/model.tar.gz"
    reason = reason_of(plane, plane.container(ok, ModelDataUrl=url))
    assert reason.startswith(recorded("cause-data-extract", url))
    assert cause_of(reason) is Cause.MODEL_DATA


def test_data_that_is_gone(plane: DataPlane) -> None:
    bucket = plane.bucket(**{"model.tar.gz": b"x"})
    container = plane.container(ok, ModelDataUrl=f"s3://{bucket}/model.tar.gz")
    model = plane.deployer.model(**container)
    plane.client("s3").delete_object(Bucket=bucket, Key="model.tar.gz")
    config = plane.deployer.config(plane.deployer.variant(model))
    endpoint = plane.deployer.name("endpoint")
    plane.sagemaker.create_endpoint(EndpointName=endpoint, EndpointConfigName=config)
    plane.settled()
    reason = plane.sagemaker.describe_endpoint(EndpointName=endpoint)["FailureReason"]
    assert reason == recorded("cause-data-download", f"s3://{bucket}/model.tar.gz")


def test_container_that_cannot_be_started(plane: DataPlane, monkeypatch: pytest.MonkeyPatch) -> None:
    def start(plan: Any) -> Any:
        raise ContainerError('exec: "serve": executable file not found in $PATH')

    monkeypatch.setattr(plane.engine, "start", start)
    reason = reason_of(plane, plane.container(ok))
    assert reason.startswith(recorded("cause-start"))
    assert "executable file not found" in reason
    assert cause_of(reason) is Cause.START


def test_image_of_a_serverless_endpoint(cloud: Cloud) -> None:
    """The size is what the manifest says, as in ECR."""
    docker = "application/vnd.docker.distribution.manifest.v2+json"
    image = push_manifest(cloud, docker, size=13_279_248_421)
    variant = cloud.serverless()
    variant["ModelName"] = cloud.model(container={"Image": image})
    name = cloud.begin_endpoint(cloud.config(variant))
    cloud.advance(5)
    assert cloud.describe(name)["FailureReason"] == recorded("cause-serverless-size")


def test_role_that_is_gone(cloud: Cloud) -> None:
    """A role that is deleted after CreateModel is the reason of the next endpoint; one that serves goes on."""
    iam = cloud.client("iam")
    principal = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [principal]})
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    cloud.sagemaker.create_model(
        ModelName="m",
        ExecutionRoleArn=role,
        PrimaryContainer={"Image": "763104351884.dkr.ecr.us-east-1.amazonaws.com/x:1"},
    )
    config = cloud.config(cloud.variant(ModelName="m"))
    serving = cloud.endpoint(config)
    iam.delete_role(RoleName="r")
    name = cloud.begin_endpoint(config)
    cloud.advance(5)
    assert cloud.describe(name)["FailureReason"] == recorded("cause-role")
    assert cloud.status(serving) == "InService"
    cloud.update(serving, cloud.config(cloud.variant(ModelName="m")))
    cloud.advance(5)
    found = cloud.describe(serving)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", config)
    assert found["FailureReason"] == recorded("cause-role")

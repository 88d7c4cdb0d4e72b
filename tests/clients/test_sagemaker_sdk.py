"""The SageMaker Python SDK, the last version 2 and version 3, unmodified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import environment, run_client, without_ours
from tests.local.conftest import ROLE, Deployer, tar_bytes

# The first run installs them, which takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# Version 3 is whole: sagemaker-core with the resource classes, sagemaker-serve with the model builder, and the others.
VERSIONS = {"2": ("sagemaker-sdk2", "sagemaker<3"), "3": ("sagemaker-sdk", "sagemaker>=3")}
# Its documented settings. It sends what it is used for to AWS, which is no part of this.
SETTINGS = """
SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""


def run(version: str, script: str, deployer: Deployer, folder: Path, role: str) -> dict[str, Any]:
    """Run a script with the SDK, and return its result: an endpoint was created and updated."""
    settings = folder / "config.yaml"
    settings.write_text(SETTINGS)
    result: dict[str, Any] = run_client(
        environment(*VERSIONS[version]),
        script,
        deployer.push_image(),
        deployer.upload(tar_bytes({"weights": b"1"})),
        role,
        env=without_ours(deployer.aws, SAGEMAKER_USER_CONFIG_OVERRIDE=str(settings)),
    )
    assert [answer["version"] for answer in result["answers"]] == ["1", "2"]
    assert result["answers"][0]["model"] == {"weights": "1"}
    return result


def test_the_models_of_version_2(deployer: Deployer, tmp_path: Path) -> None:
    result = run("2", "sagemaker2_models", deployer, tmp_path, ROLE)
    assert result["later"] == {"serverless": "3", "asynchronous": "4", "several": {"weights": "1"}}
    assert "ValidationException" in result["refusal"]
    assert result["left"] == []


def test_the_resource_classes_of_version_3(deployer: Deployer, tmp_path: Path) -> None:
    result = run("3", "sagemaker3_resources", deployer, tmp_path, ROLE)
    assert result["listed"] == ["e"]
    assert (result["before"], result["left"]) == ([1, 2, 2], [0, 0, 0])


def test_the_model_builder_of_version_3(deployer: Deployer, tmp_path: Path) -> None:
    """It looks whether the role exists, may log in to ECR, and is trusted by SageMaker."""
    iam = deployer.aws.client("iam")
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    may = {"Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*"}
    documents = [
        json.dumps({"Version": "2012-10-17", "Statement": [statement]}) for statement in (trust, may)
    ]
    role = iam.create_role(RoleName="serving", AssumeRolePolicyDocument=documents[0])["Role"]["Arn"]
    iam.put_role_policy(RoleName="serving", PolicyName="ecr", PolicyDocument=documents[1])
    result = run("3", "sagemaker3_model_builder", deployer, tmp_path, role)
    assert result["refusal"].startswith(f"RoleValidationError: IAM role '{role}-absent' cannot be used")
    assert deployer.sagemaker.list_models()["Models"] == []

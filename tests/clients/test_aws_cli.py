"""The AWS CLI, unmodified."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.clients.environments import environment, without_ours
from tests.local.conftest import ROLE, Deployer

# The first run installs it.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_the_aws_command_line(deployer: Deployer, tmp_path: Path) -> None:
    programs = environment("awscli", "awscli>=1.44")

    def run(*arguments: Any, code: int = 0) -> Any:
        command = [str(programs / "python"), str(programs / "aws"), *arguments]
        done = subprocess.run(
            command, env=without_ours(deployer.aws), capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout + done.stderr

    def sagemaker(*arguments: Any, code: int = 0) -> Any:
        return run("sagemaker", *arguments, code=code)

    assert "models" in run("s3", "mb", "s3://models")
    container = f"Image={deployer.push_image()},Environment={{VERSION=1}}"
    model = (
        "create-model",
        "--model-name",
        "m",
        "--execution-role-arn",
        ROLE,
        "--primary-container",
        container,
    )
    assert sagemaker(*model)["ModelArn"].endswith(":model/m")
    # What it does with a refusal.
    assert "(ValidationException)" in sagemaker(*model, code=255)
    variant = "VariantName=main,ModelName=m,InstanceType=ml.m5.large,InitialInstanceCount=1"
    for name in ("c", "d"):
        sagemaker("create-endpoint-config", "--endpoint-config-name", name, "--production-variants", variant)
    sagemaker("create-endpoint", "--endpoint-name", "e", "--endpoint-config-name", "c")
    sagemaker("wait", "endpoint-in-service", "--endpoint-name", "e")
    sagemaker("update-endpoint", "--endpoint-name", "e", "--endpoint-config-name", "d")
    sagemaker("wait", "endpoint-in-service", "--endpoint-name", "e")
    assert sagemaker("describe-endpoint", "--endpoint-name", "e")["EndpointConfigName"] == "d"
    assert [one["EndpointName"] for one in sagemaker("list-endpoints")["Endpoints"]] == ["e"]
    invoke = (
        "sagemaker-runtime",
        "invoke-endpoint",
        "--endpoint-name",
        "e",
        "--content-type",
        "text/csv",
        "--body",
        "1,2",
    )
    assert run(*invoke, str(tmp_path / "answer"))
    assert json.loads((tmp_path / "answer").read_text())["body"] == "1,2"
    assert run("cloudwatch", "describe-alarms")["MetricAlarms"] == []
    sagemaker("create-model-package-group", "--model-package-group-name", "g")
    containers = ("--inference-specification", f"Containers=[{{{container}}}]")
    registered = sagemaker("create-model-package", "--model-package-group-name", "g", *containers)
    arn = registered["ModelPackageArn"]
    named = ("create-model", "--model-name", "p", "--execution-role-arn", ROLE)
    of_package = (*named, "--primary-container", f"ModelPackageName={arn}")
    assert "is not Approved" in sagemaker(*of_package, code=255)
    sagemaker("update-model-package", "--model-package-arn", arn, "--model-approval-status", "Approved")
    assert sagemaker(*of_package)["ModelArn"].endswith(":model/p")
    newest = ("list-model-packages", "--model-package-group-name", "g", "--sort-order", "Descending")
    assert sagemaker(*newest)["ModelPackageSummaryList"][0]["ModelPackageArn"] == arn
    sagemaker("delete-endpoint", "--endpoint-name", "e")
    sagemaker("wait", "endpoint-deleted", "--endpoint-name", "e")
    assert "Could not find endpoint" in sagemaker("describe-endpoint", "--endpoint-name", "e", code=255)

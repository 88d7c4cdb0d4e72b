"""Clients that know nothing of this package, in virtual environments of their own, unmodified."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

from tests.local.conftest import FOREIGN_IMAGE, ROLE, tar_bytes

# The first run installs them, which takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

SDK_SCRIPT = """
import json, sys
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

image, data, role = sys.argv[1:]

def config(version):
    Model.create(
        model_name=f"m{version}",
        execution_role_arn=role,
        primary_container=ContainerDefinition(image=image, model_data_url=data, environment={"VERSION": version}),
    )
    variant = ProductionVariant(
        variant_name="main", model_name=f"m{version}", initial_instance_count=1, instance_type="ml.m5.large"
    )
    return EndpointConfig.create(endpoint_config_name=f"c{version}", production_variants=[variant])

def answer(endpoint):
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())

endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name=config("1"))
endpoint.wait_for_status("InService", poll=1)
answers = [answer(endpoint)]
endpoint.endpoint_config_name = config("2").endpoint_config_name
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
listed = [one.endpoint_name for one in Endpoint.get_all()]
endpoint.delete()
endpoint.wait_for_delete(poll=1)
print("RESULT" + json.dumps({"answers": answers, "listed": listed, "left": len(list(Endpoint.get_all()))}))
"""


def environment(name: str, *requirements: str) -> Path:
    """Return the folder of the programs of a virtual environment that has some packages, made once."""
    folder = user_cache_path("sm-hosting-tests", ensure_exists=True) / name
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
            done = subprocess.run([*pip, *requirements], capture_output=True, text=True, check=False)
            if done.returncode:
                pytest.skip(f"{requirements} cannot be installed: {done.stderr[-300:]}")
            (folder / "complete").touch()
    return folder / "bin"


def without_ours(aws) -> dict[str, str]:
    """Return an environment that leads to the local AWS, and has nothing else of AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": "/nonexistent", **aws.environment()}


def test_the_sagemaker_python_sdk(process_deployer):
    # The resource classes of version 3 are in the package sagemaker-core.
    programs = environment("sagemaker-sdk-3", "sagemaker-core>=2", "boto3")
    deployer = process_deployer
    arguments = [deployer.push_image(), deployer.upload(tar_bytes({"weights": b"1"})), ROLE]
    done = subprocess.run(
        [str(programs / "python"), "-c", SDK_SCRIPT, *arguments],
        env=without_ours(deployer.aws),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    said = json.loads(done.stdout.rpartition("RESULT")[2])
    assert [answer["version"] for answer in said["answers"]] == ["1", "2"]
    assert said["answers"][0]["model"] == {"weights": "1"}
    assert "e" in said["listed"]
    assert "e" not in [one["EndpointName"] for one in deployer.sagemaker.list_endpoints()["Endpoints"]]


def test_the_aws_command_line(aws):
    programs = environment("awscli-1", "awscli>=1.44")

    def run(*arguments, code=0):
        command = [str(programs / "python"), str(programs / "aws"), *arguments]
        done = subprocess.run(command, env=without_ours(aws), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout + done.stderr

    def sagemaker(*arguments, code=0):
        return run("sagemaker", *arguments, code=code)

    assert "models" in run("s3", "mb", "s3://models")
    container = f"Image={FOREIGN_IMAGE}"
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
    assert run("cloudwatch", "describe-alarms")["MetricAlarms"] == []
    sagemaker("delete-endpoint", "--endpoint-name", "e")
    sagemaker("wait", "endpoint-deleted", "--endpoint-name", "e")
    assert "Could not find endpoint" in sagemaker("describe-endpoint", "--endpoint-name", "e", code=255)

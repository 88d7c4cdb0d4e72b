"""Clients that know nothing of this package, in virtual environments of their own, unmodified."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.client.environments import environment, run_script, without_ours
from tests.local.conftest import FOREIGN_IMAGE, ROLE, Deployer, tar_bytes

# The first run installs them, which takes minutes.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# The whole SDK of version 3: sagemaker-core with the resource classes, sagemaker-serve with the model builder, and the others.
SDK = ("sagemaker-sdk", "sagemaker>=3")
# Its documented settings. It sends what it is used for to AWS, which is no part of this.
SDK_SETTINGS = """
SchemaVersion: "1.0"
SageMaker: {PythonSDK: {Modules: {TelemetryOptOut: true}}}
"""

RESOURCES_SCRIPT = """
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

def left():
    return [len(list(kind.get_all())) for kind in (Endpoint, EndpointConfig, Model)]

endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name=config("1"))
endpoint.wait_for_status("InService", poll=1)
answers = [answer(endpoint)]
endpoint.endpoint_config_name = config("2").endpoint_config_name
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
before = left()
listed = [one.endpoint_name for one in Endpoint.get_all()]
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for version in "12":
    EndpointConfig.get(f"c{version}").delete()
    Model.get(f"m{version}").delete()
print("RESULT" + json.dumps({"answers": answers, "listed": listed, "before": before, "left": left()}))
"""

# deploy(update_endpoint=True) is not in it: in 3.27 it calls Session.create_endpoint_config with arguments that this does not take.
BUILDER_SCRIPT = """
import json, sys
from sagemaker.core.resources import EndpointConfig
from sagemaker.serve import ModelBuilder

image, data, role = sys.argv[1:]

def build(version):
    builder = ModelBuilder(
        image_uri=image,
        s3_model_data_url=data,
        env_vars={"VERSION": version},
        role_arn=role,
        instance_type="ml.m5.large",
    )
    return builder, builder.build(model_name=f"m{version}")

def answer(endpoint):
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())

builder, first = build("1")
endpoint = builder.deploy(endpoint_name="e", initial_instance_count=1)
answers = [answer(endpoint)]

_, second = build("2")
variant = EndpointConfig.get("e").production_variants[0]
variant.model_name = second.model_name
endpoint.endpoint_config_name = EndpointConfig.create(
    endpoint_config_name="e-2", production_variants=[variant]
).endpoint_config_name
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
endpoint.delete()
endpoint.wait_for_delete(poll=1)
for one in (EndpointConfig.get("e"), EndpointConfig.get("e-2"), first, second):
    one.delete()

role = role + "-absent"
try:
    build("3")
except Exception as error:
    refusal = f"{type(error).__name__}: {error}"
print("RESULT" + json.dumps({"answers": answers, "refusal": refusal}))
"""

REGISTRY_SCRIPT = """
import json, sys
import boto3
from sagemaker.core.resources import Endpoint, EndpointConfig, Model, ModelPackage, ModelPackageGroup
from sagemaker.core.shapes import ContainerDefinition, ProductionVariant

image, data, role = sys.argv[1:]
ModelPackageGroup.create(model_package_group_name="churn")

def register(version):
    # Not ModelPackage.create(), which reads a name in the answer: CreateModelPackage has none in botocore's model.
    container = {"Image": image, "ModelDataUrl": data, "Environment": {"VERSION": version}}
    return boto3.client("sagemaker").create_model_package(
        ModelPackageGroupName="churn",
        InferenceSpecification={"Containers": [container]},
        ModelApprovalStatus="PendingManualApproval",
    )["ModelPackageArn"]

def deploy(arn, version):
    container = ContainerDefinition(model_package_name=arn)
    Model.create(model_name=f"m{version}", execution_role_arn=role, primary_container=container)
    variant = ProductionVariant(
        variant_name="main", model_name=f"m{version}", initial_instance_count=1, instance_type="ml.m5.large"
    )
    EndpointConfig.create(endpoint_config_name=f"c{version}", production_variants=[variant])

def answer(endpoint):
    return json.loads(endpoint.invoke(body=b"1,2", content_type="text/csv").body.read())

first, second = register("1"), register("2")
try:
    deploy(first, "1")
except Exception as error:
    refusal = str(error)
for arn in (first, second):
    package = ModelPackage.get(model_package_name=arn)
    # DescribeModelPackage has no name for a versioned package, which update() asks with: examples of AWS set it, too.
    package.model_package_name = arn
    package.update(model_approval_status="Approved")
deploy(first, "1")
deploy(second, "2")
endpoint = Endpoint.create(endpoint_name="e", endpoint_config_name="c1")
endpoint.wait_for_status("InService", poll=1)
answers = [answer(endpoint)]
endpoint.endpoint_config_name = "c2"
endpoint.update()
endpoint.wait_for_status("InService", poll=1)
answers.append(answer(endpoint))
listed = [one.model_package_version for one in ModelPackage.get_all(model_package_group_name="churn")]
endpoint.delete()
endpoint.wait_for_delete(poll=1)
print("RESULT" + json.dumps({"answers": answers, "refusal": refusal, "listed": listed}))
"""

# Version 2 of the SDK, which most examples of the model registry are written for.
SDK2 = ("sagemaker-sdk2", "sagemaker<3")
REGISTRY_SCRIPT_2 = """
import json, sys
import boto3
from sagemaker import Model, ModelPackage, Session
from sagemaker.predictor import Predictor

image, data, role = sys.argv[1:]
session = Session(boto3.Session())

def register(version):
    model = Model(
        image_uri=image, model_data=data, role=role, env={"VERSION": version}, sagemaker_session=session
    )
    return model.register(
        content_types=["text/csv"],
        response_types=["application/json"],
        inference_instances=["ml.m5.large"],
        transform_instances=["ml.m5.large"],
        model_package_group_name="churn",
        approval_status="PendingManualApproval",
    ).model_package_arn

def deploy(arn, version):
    model = ModelPackage(role=role, model_package_arn=arn, sagemaker_session=session, name=f"m{version}")
    model.deploy(initial_instance_count=1, instance_type="ml.m5.large", endpoint_name=f"e{version}")
    return json.loads(Predictor(f"e{version}", sagemaker_session=session).predict(b"1,2"))

client = session.sagemaker_client
arns = [register("1"), register("2")]
try:
    client.create_model(
        ModelName="m0", ExecutionRoleArn=role, PrimaryContainer={"ModelPackageName": arns[0]}
    )
except Exception as error:
    refusal = str(error)
# It approves what it deploys.
answers = [deploy(arn, version) for arn, version in zip(arns, "12")]
listed = [
    one["ModelPackageVersion"]
    for one in client.list_model_packages(ModelPackageGroupName="churn")["ModelPackageSummaryList"]
]
for version in "12":
    client.delete_endpoint(EndpointName=f"e{version}")
print("RESULT" + json.dumps({"answers": answers, "refusal": refusal, "listed": listed}))
"""


def sdk(
    deployer: Deployer, folder: Path, script: str, role: str, version: tuple[str, str] = SDK
) -> dict[str, Any]:
    """Run a script with the SageMaker Python SDK, and return its result."""
    programs = environment(*version)
    settings = folder / "config.yaml"
    settings.write_text(SDK_SETTINGS)
    said = run_script(
        programs / "python",
        script,
        deployer.push_image(),
        deployer.upload(tar_bytes({"weights": b"1"})),
        role,
        env=without_ours(deployer.aws, SAGEMAKER_USER_CONFIG_OVERRIDE=str(settings)),
    )
    result: dict[str, Any] = json.loads(said.rpartition("RESULT")[2])
    assert [answer["version"] for answer in result["answers"]] == ["1", "2"]
    assert result["answers"][0]["model"] == {"weights": "1"}
    return result


@pytest.fixture
def deployer(process_deployer: Deployer) -> Deployer:
    """An empty local AWS whose containers are Python processes."""
    process_deployer.aws.reset()
    return process_deployer


def test_the_resource_classes_of_the_sagemaker_python_sdk(deployer: Deployer, tmp_path: Path) -> None:
    result = sdk(deployer, tmp_path, RESOURCES_SCRIPT, ROLE)
    assert result["listed"] == ["e"]
    assert (result["before"], result["left"]) == ([1, 2, 2], [0, 0, 0])


def test_the_model_builder_of_the_sagemaker_python_sdk(deployer: Deployer, tmp_path: Path) -> None:
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
    result = sdk(deployer, tmp_path, BUILDER_SCRIPT, role)
    assert result["refusal"].startswith(f"RoleValidationError: IAM role '{role}-absent' cannot be used")
    assert deployer.sagemaker.list_models()["Models"] == []


@pytest.mark.parametrize(
    ("version", "script"), [(SDK, REGISTRY_SCRIPT), (SDK2, REGISTRY_SCRIPT_2)], ids=["3", "2"]
)
def test_the_sagemaker_python_sdk_registers_approves_and_deploys(
    deployer: Deployer, tmp_path: Path, version: tuple[str, str], script: str
) -> None:
    result = sdk(deployer, tmp_path, script, ROLE, version)
    assert "is not Approved: its approval status is PendingManualApproval" in result["refusal"]
    assert sorted(result["listed"]) == [1, 2]


def test_the_aws_command_line(aws: LocalAws) -> None:
    programs = environment("awscli", "awscli>=1.44")

    def run(*arguments: Any, code: int = 0) -> Any:
        command = [str(programs / "python"), str(programs / "aws"), *arguments]
        done = subprocess.run(command, env=without_ours(aws), capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout + done.stderr

    def sagemaker(*arguments: Any, code: int = 0) -> Any:
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

"""The CDK's own command deploys, updates and destroys the stack of its README in the local AWS, and operators take its endpoint over."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG
from filelock import FileLock
from platformdirs import user_cache_path

from airflow_sm_hosting import (
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
)
from airflow_sm_hosting.local import LocalAws
from tests.clients.environments import without_ours
from tests.conftest import REQUIRE_ENGINE
from tests.local.cloudformation.stacks import Stacks
from tests.local.conftest import SERVING, tar_bytes
from tests.operators.conftest import run_task

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]

APP = Path(__file__).with_name("cdk")
ACCOUNT, REGION = "123456789012", "us-east-1"
STACK = "Hosting"
Cdk = Callable[..., str]


def missing(what: str) -> None:
    """Skip, or fail under ``SM_HOSTING_REQUIRE_ENGINE``."""
    if os.environ.get(REQUIRE_ENGINE):
        pytest.fail(f"{REQUIRE_ENGINE} is set, and {what}")
    pytest.skip(what)


@pytest.fixture(scope="module")
def node_modules() -> Path:
    """Return the CDK's command and libraries, installed once and kept over runs."""
    npm = shutil.which("npm")
    if npm is None:
        missing("npm is not installed")
    declared = (APP / "package.json").read_bytes()
    digest = hashlib.sha256(declared).hexdigest()[:10]
    folder = user_cache_path("sm-hosting-tests", ensure_exists=True) / f"cdk-{digest}"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            (folder / "package.json").write_bytes(declared)
            command = [str(npm), "install", "--no-audit", "--no-fund", "--prefix", str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                missing(f"the CDK cannot be installed: {done.stderr[-300:]}")
            (folder / "complete").touch()
    return folder / "node_modules"


@pytest.fixture(scope="module")
def aws(docker_client: Any) -> Iterator[LocalAws]:
    with LocalAws(engine="docker", transition_seconds=0) as local:
        yield local


@pytest.fixture(scope="module")
def cdk(
    aws: LocalAws, node_modules: Path, debian_base_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cdk]:
    """Return the CDK's command, in an account that is bootstrapped."""
    folder = tmp_path_factory.mktemp("cdk")
    shutil.copytree(APP, folder / "app")
    (folder / "app" / "node_modules").symlink_to(node_modules)
    image = folder / "assets" / "image"
    image.mkdir(parents=True)
    (image / "Dockerfile").write_text(
        f'FROM {debian_base_image}\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n'
    )
    (image / "serve.py").write_bytes(SERVING.read_bytes())
    (folder / "assets" / "model.tar.gz").write_bytes(tar_bytes({"weights": b"1"}))

    def run(*arguments: str, **environment: str) -> str:
        env = without_ours(
            aws,
            CDK_DEFAULT_ACCOUNT=ACCOUNT,
            CDK_DEFAULT_REGION=REGION,
            ASSETS=str(folder / "assets"),
            DOCKER_CONFIG=str(folder / "docker"),
            **environment,
        )
        env["HOME"] = str(folder)
        program = str(node_modules / "aws-cdk" / "bin" / "cdk")
        command = ["node", program, *arguments, "--ci", "--no-notices"]
        done = subprocess.run(
            command, cwd=folder / "app", env=env, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    before = docker_assets()
    run("bootstrap", f"aws://{ACCOUNT}/{REGION}", VERSION="0")
    yield run
    for asset in docker_assets() - before:
        subprocess.run(["docker", "rmi", "--force", asset], capture_output=True, check=False)


def docker_assets() -> set[str]:
    """Return the images that the CDK has built and pushed, here and elsewhere."""
    listed = subprocess.run(
        ["docker", "images", "--format", "{{.Repository}}:{{.Tag}}"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {one for one in listed.stdout.split() if one.startswith("cdkasset-") or "/cdk-hnb659fds" in one}


def deploy(cdk: Cdk, **environment: str) -> str:
    return cdk("deploy", STACK, "--require-approval", "never", **environment)


def asked(aws: LocalAws, endpoint: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(
        aws.client("sagemaker-runtime").invoke_endpoint(EndpointName=endpoint, Body=b"x")["Body"].read()
    )
    return answer


def test_the_stack_is_deployed_updated_and_destroyed(aws: LocalAws, cdk: Cdk) -> None:
    stacks = Stacks(aws)
    sagemaker = aws.client("sagemaker")
    deploy(cdk, VERSION="1")
    endpoint = stacks.outputs(STACK)["EndpointName"]
    assert asked(aws, endpoint)["version"] == "1"
    assert asked(aws, endpoint)["model"] == {"weights": "1"}
    arn = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointArn"]
    assert {"Key": "team", "Value": "churn"} in sagemaker.list_tags(ResourceArn=arn)["Tags"]
    (target,) = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert (target["ResourceId"], target["MaxCapacity"]) == (f"endpoint/{endpoint}/variant/my-variant", 3)
    before = stacks.physical_ids(STACK)

    deploy(cdk, VERSION="2", THRESHOLD="5")
    after = stacks.physical_ids(STACK)
    replaced = {name for name in before if before[name] != after[name]}
    assert replaced == {"PrimaryContainerModel389512BE", "EndpointConfigFD7B6F91"}
    assert asked(aws, endpoint)["version"] == "2"
    assert (
        len(sagemaker.list_models()["Models"])
        == len(sagemaker.list_endpoint_configs()["EndpointConfigs"])
        == 1
    )
    alarm = after["ModelLatencyAlarm96AC7D24"]
    (described,) = aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
    assert described["Threshold"] == 5

    aws.clear_requests()
    deploy(cdk, VERSION="2", THRESHOLD="5")
    assert "ExecuteChangeSet" not in aws.request_counts(mutating=True)

    cdk("destroy", STACK, "--force", VERSION="2")
    assert sagemaker.list_endpoints()["Endpoints"] == []
    assert sagemaker.list_models()["Models"] == []
    assert aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm])["MetricAlarms"] == []


def test_a_broken_version_is_rolled_back(aws: LocalAws, cdk: Cdk) -> None:
    """The container of the new model does not start: SageMaker goes back, and the stack with it."""
    stacks = Stacks(aws)
    deploy(cdk, VERSION="1")
    before = stacks.physical_ids(STACK)
    with pytest.raises(
        AssertionError, match=r"did not pass the ping health check|CannotStartContainer|serves"
    ):
        deploy(cdk, VERSION="2", CRASH="1")
    assert stacks.described(STACK)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.physical_ids(STACK) == before
    assert asked(aws, stacks.outputs(STACK)["EndpointName"])["version"] == "1"
    assert len(aws.client("sagemaker").list_models()["Models"]) == 1
    cdk("destroy", STACK, "--force", VERSION="1")


def test_operators_take_the_endpoint_over_and_the_stack_goes(
    aws: LocalAws, cdk: Cdk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/migration.md: retain what the stack has, deploy with ``adopt=True``, and delete the stack."""
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    stacks = Stacks(aws)
    deploy(cdk, VERSION="1")
    outputs = stacks.outputs(STACK)
    endpoint = outputs["EndpointName"]
    served = aws.client("sagemaker").describe_endpoint(EndpointName=endpoint)
    config = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=served["EndpointConfigName"])
    model_name = config["ProductionVariants"][0]["ModelName"]
    container = aws.client("sagemaker").describe_model(ModelName=model_name)["PrimaryContainer"]
    (policy,) = aws.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    deploy(cdk, VERSION="1", RETAIN="1")

    with DAG("migration", schedule=None):
        model = run_task(
            CreateModelOperator(
                task_id="model",
                model_name="churn",
                containers=[
                    ContainerDefinition(
                        image=container["Image"],
                        model_data=container["ModelDataUrl"],
                        environment={"VERSION": "3"},
                    )
                ],
                execution_role=outputs["RoleArn"],
            )
        ).value
        new_config = run_task(
            CreateEndpointConfigOperator(
                task_id="config",
                endpoint_config_name="churn",
                production_variants=[
                    InstanceProductionVariant(
                        variant_name="my-variant", model_name=model, instance_type="ml.m5.large"
                    )
                ],
            )
        ).value
        deployed = run_task(
            DeployEndpointOperator(
                task_id="deploy",
                endpoint_name=endpoint,
                endpoint_config_name=new_config,
                adopt=True,
                poll_interval=0.1,
            )
        )
        run_task(
            ConfigureAutoscalingOperator(
                task_id="scaling",
                endpoint_name=endpoint,
                variant_name="my-variant",
                max_capacity=4,
                policies=[InvocationsScaling(max_requests_per_second=30, policy_name=policy["PolicyName"])],
                adopt=True,
            )
        )
    assert deployed.details["action"] == "update"
    assert asked(aws, endpoint)["version"] == "3"

    cdk("destroy", STACK, "--force", VERSION="1")
    assert asked(aws, endpoint)["version"] == "3"
    (target,) = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")[
        "ScalableTargets"
    ]
    assert target["MaxCapacity"] == 4
    aws.client("sagemaker").delete_endpoint(EndpointName=endpoint)

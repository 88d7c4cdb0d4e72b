"""The documented policy of each operator is enough, and none of its permissions is too many.

Each operator runs through all its paths (first run, changed, unchanged) under an IAM user that has exactly the documented policy, and the
local AWS enforces IAM. Then each permission is taken away by itself, and the path that needs it is refused. ``-s`` prints the table.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import itertools
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from airflow.sdk import DAG
from botocore.exceptions import ClientError

from airflow_sm_hosting import (
    AlarmRule,
    ApproveModelOperator,
    BuildImageOperator,
    Canary,
    CheckContainerOperator,
    CleanUpHostingOperator,
    ComputeRequirements,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    ContainerImage,
    CopyImageOperator,
    CopyModelDataOperator,
    CreateCompositeAlarmOperator,
    CreateEndpointAlarmOperator,
    CreateEndpointConfigOperator,
    CreateEndpointDashboardOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeleteEndpointOperator,
    DeleteInferenceComponentOperator,
    DeployEndpointOperator,
    DeployInferenceComponentOperator,
    EndpointDriftSensor,
    EndpointInServiceSensor,
    EndpointMetric,
    EnsureExecutionRoleOperator,
    GrantAccessOperator,
    InferenceComponentInServiceSensor,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    InvocationsScaling,
    InvokeEndpointOperator,
    ModelData,
    ModelPackage,
    ModelPackageApprovedSensor,
    NewFleetAlarm,
    PlanDeploymentOperator,
    PlanInferenceComponentOperator,
    PromoteShadowOperator,
    RegisterModelOperator,
    RemoveAutoscalingOperator,
    ReportShadowOperator,
    RepositorySettings,
    RollbackEndpointOperator,
    RollbackInferenceComponentOperator,
    Rolling,
    ScaleFromZero,
    ScheduledScaling,
    ShiftTrafficOperator,
    SmokeTest,
    UploadModelDataOperator,
    get_metric,
    policies,
)
from airflow_sm_hosting.artifacts import checksums, transfer
from airflow_sm_hosting.artifacts.packing import content_sha256, pack
from airflow_sm_hosting.deployment import evidence, package_event
from airflow_sm_hosting.exceptions import (
    ContainerCheckError,
    DeploymentRolledBackError,
    ImageBuildError,
    InvocationError,
    ModelDataError,
    ModelPackageError,
    NotFoundError,
    SmokeTestFailedError,
)
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.provider_info import get_provider_info
from airflow_sm_hosting.spec.scaling_rules import COPY_COUNT, INSTANCE_COUNT
from airflow_sm_hosting.spec.tags import OURS, SCALING_POLICIES, WAKES, digest, tag_list
from airflow_sm_hosting.triggers import package_events
from tests.iam.conftest import Worker
from tests.local.conftest import Deployer, tar_bytes
from tests.local_servers import local_server
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    Ran,
    _quick,
    answering,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    refusal,
    run_task,
    sagemaker_client,
    settled,
    settled_component,
    task_id,
)

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
SERVERLESS = {"MemorySizeInMB": 2048, "MaxConcurrency": 1}
SCALING_ROLE = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
ROLE_ARN = "arn:aws:iam::123456789012:role/{}"

_NUMBERS = itertools.count(1)


class Scene:
    """What one run of a path is about: names of its own, and what must be there before it.

    :param aws: The local AWS; its own key is root.
    :param folder: An empty folder.
    """

    def __init__(self, aws: LocalAws, folder: Path) -> None:
        number = next(_NUMBERS)
        self.aws = aws
        self.root = aws.client("sagemaker")
        self.folder = folder / str(number)
        self.folder.mkdir()
        self.model, self.config, self.endpoint = (
            f"{kind}{number}" for kind in ("model", "config", "endpoint")
        )
        self.alarm, self.role, self.repository = (
            f"{kind}{number}" for kind in ("alarm", "role", "repository")
        )
        self.copy = f"copy{number}"
        self.component = f"component{number}"
        self.prefix = f"prefix{number}"
        self.group, self.queue = f"group{number}", f"queue{number}"
        self._endpoints: list[str] = []

    def names(self) -> dict[str, Any]:
        """Return what the policy is about: this run's own resources, and no others."""
        return {
            "endpoints": [self.endpoint, f"{self.endpoint}-?"],
            "endpoint_configs": [f"{self.config}*"],
            "models": [f"{self.model}*"],
            "inference_components": [f"{self.component}*"],
            "alarms": [f"{self.alarm}*"],
            "repositories": [self.repository, self.copy],
            "model_data": [f"s3://models/{self.prefix}/"],
            "execution_roles": [self.role],
            "build_projects": [f"project-{self.repository}"],
            "build_roles": [self.role],
            "build_contexts": [f"s3://models/{self.prefix}/"],
            "async_inputs": [f"s3://models/{self.prefix}/in/"],
            "async_outputs": [f"s3://models/{self.prefix}/out/"],
            "captured_data": [f"s3://models/{self.prefix}/captured/"],
            "model_package_groups": [self.group],
            "queues": [self.queue],
            "kms_key_ids": [KEY],
            "volume_kms_key_ids": [KEY],
            "region_name": self.aws.region_name,
            "account_id": self.aws.account_id,
        }

    def run(self, operator: type, **options: Any) -> Ran:
        # Each in a DAG of its own, as two tasks of one DAG must not make one alarm.
        return run_task(operator(task_id=task_id(), dag=DAG(task_id("dag"), schedule=None), **options))

    # What root makes

    def make_config(self, suffix: str = "", **variant: Any) -> str:
        return make_config(
            self.aws, f"{self.config}{suffix}", make_model(self.aws, f"{self.model}{suffix}"), **variant
        )

    def make_endpoint(self, config: str | None = None, suffix: str = "") -> str:
        name = f"{self.endpoint}{suffix}"
        self._endpoints.append(name)
        return make_endpoint(self.aws, config or self.make_config(), name)

    def make_asynchronous_endpoint(self) -> str:
        """Make an asynchronous endpoint, of whose requests each fails: no containers run."""
        make_model(self.aws, self.model)
        out = f"s3://models/{self.prefix}/out"
        self.root.create_endpoint_config(
            EndpointConfigName=self.config,
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": self.model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
            AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": out, "S3FailurePath": out}},
        )
        return self.make_endpoint(self.config)

    def make_shadowed_endpoint(self) -> str:
        """Make an endpoint with a shadow variant, which captures data."""
        make_model(self.aws, self.model)
        variants = [
            {
                "VariantName": name,
                "ModelName": self.model,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
            for name in ("main", "shadow")
        ]
        self.root.create_endpoint_config(
            EndpointConfigName=self.config,
            ProductionVariants=variants[:1],
            ShadowProductionVariants=variants[1:],
            DataCaptureConfig={
                "EnableCapture": True,
                "InitialSamplingPercentage": 100,
                "DestinationS3Uri": f"s3://models/{self.prefix}/captured",
                "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
            },
        )
        return self.make_endpoint(self.config)

    def scale(self, variant: str = "main") -> None:
        iam = self.aws.client("iam")
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            # AWS makes it with the account's first target; the local AWS only if it looks for permissions, and not of root.
            iam.create_role(
                RoleName=SCALING_ROLE,
                Path="/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/",
                AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
            )
        self.aws.client("application-autoscaling").register_scalable_target(
            **self.place(variant), MinCapacity=1, MaxCapacity=4, Tags=OURS
        )

    def place(self, variant: str = "main") -> dict[str, Any]:
        return {
            "ServiceNamespace": "sagemaker",
            "ResourceId": f"endpoint/{self.endpoint}/variant/{variant}",
            "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
        }

    def scale_in_every_way(self) -> None:
        """Scale the endpoint by a policy that an alarm of the user's names, and by the clock."""
        self.scale()
        scaling = self.aws.client("application-autoscaling")
        put = scaling.put_scaling_policy(
            **self.place(),
            PolicyName="steps",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
            },
        )
        scaling.put_scheduled_action(
            **self.place(),
            ScheduledActionName="night",
            Schedule="cron(0 22 * * ? *)",
            ScalableTargetAction={"MinCapacity": 1},
        )
        self.make_alarm(AlarmActions=[put["PolicyARN"]])

    def make_alarm(self, **members: Any) -> str:
        dimensions = {"EndpointName": self.endpoint, "VariantName": "main"}
        self.aws.client("cloudwatch").put_metric_alarm(
            AlarmName=self.alarm,
            Namespace="AWS/SageMaker",
            MetricName="Invocations",
            Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
            **members,
        )
        return self.alarm

    def make_logs(self) -> None:
        """Write what a container of the endpoint would have written."""
        logs = self.aws.client("logs")
        group = {"logGroupName": f"/aws/sagemaker/Endpoints/{self.endpoint}"}
        logs.create_log_group(**group)
        logs.create_log_stream(**group, logStreamName="main/i-1")

    # Inference components

    def make_host(self) -> str:
        """Make an endpoint for inference components."""
        make_model(self.aws, self.model)
        self.root.create_endpoint_config(
            EndpointConfigName=self.config,
            ExecutionRoleArn=ROLE,
            ProductionVariants=[
                {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
            ],
        )
        return self.make_endpoint(self.config)

    def make_component(self, suffix: str = "", **specification: Any) -> str:
        """Make a component of ours, of a model unless a specification is given."""
        name = f"{self.component}{suffix}"
        given = {"ModelName": self.model, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}}
        copies = {} if specification else {"VariantName": "main", "RuntimeConfig": {"CopyCount": 1}}
        self.root.create_inference_component(
            InferenceComponentName=name,
            EndpointName=self.endpoint,
            Specification=specification or given,
            Tags=tag_list(OURS),
            **copies,
        )
        settled_component(self.aws, name)
        return name

    def make_adapter(self) -> str:
        """Make an adapter on the component."""
        url = f"s3://models/{self.put_object('adapter.tar.gz')}"
        return self.make_component(
            "-adapter", BaseInferenceComponentName=self.component, Container={"ArtifactUrl": url}
        )

    def scale_copies(self) -> None:
        self.aws.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId=f"inference-component/{self.component}",
            ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
            MinCapacity=1,
            MaxCapacity=4,
            Tags=OURS,
        )

    def wake(self, resource_id: str, dimension: str) -> None:
        """Scale something from zero: a target, a step policy and its alarm, all of ours."""
        scaling = self.aws.client("application-autoscaling")
        place = {"ServiceNamespace": "sagemaker", "ResourceId": resource_id, "ScalableDimension": dimension}
        policies_of_ours = {SCALING_POLICIES: digest("wake")}
        scaling.register_scalable_target(
            **place, MinCapacity=0, MaxCapacity=4, Tags={**OURS, **policies_of_ours}
        )
        arn = scaling.put_scaling_policy(
            **place,
            PolicyName="wake",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}],
            },
        )["PolicyARN"]
        self.make_alarm(AlarmActions=[arn], Tags=tag_list({**OURS, WAKES: resource_id}))

    def make_component_logs(self) -> None:
        """Write what a container of the component would have written."""
        logs = self.aws.client("logs")
        group = {"logGroupName": f"/aws/sagemaker/InferenceComponents/{self.component}"}
        logs.create_log_group(**group)
        logs.create_log_stream(**group, logStreamName="main/i-1")

    def make_role(self, *services: str) -> str:
        """Make a role that these services may assume."""
        statements = [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
            for service in services
        ]
        self.aws.client("iam").create_role(
            RoleName=self.role,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
            Tags=[{"Key": key, "Value": value} for key, value in OURS.items()],
        )
        return ROLE_ARN.format(self.role)

    def put_object(self, name: str) -> str:
        self.aws.client("s3").put_object(Bucket="models", Key=f"{self.prefix}/{name}", Body=b"1")
        return f"{self.prefix}/{name}"

    def close(self) -> None:
        """Take everything away that is looked at when another scene is cleaned up."""
        for adapters in (True, False):
            # The bases of adapters after them.
            for row in self.root.list_inference_components(MaxResults=100)["InferenceComponents"]:
                name = row["InferenceComponentName"]
                with suppress(self.root.exceptions.ClientError):
                    found = settled_component(self.aws, name)
                    if adapters == ("BaseInferenceComponentName" in found.get("Specification", {})):
                        self.root.delete_inference_component(InferenceComponentName=name)
                        gone_component(self.aws, name)
        for name in self._endpoints:
            with suppress(self.root.exceptions.ClientError):
                self.root.delete_endpoint(EndpointName=name)
        for config in self.root.list_endpoint_configs(MaxResults=100)["EndpointConfigs"]:
            self.root.delete_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        for model in self.root.list_models(MaxResults=100)["Models"]:
            self.root.delete_model(ModelName=model["ModelName"])


def gone_component(aws: LocalAws, name: str) -> None:
    """Wait until a component is gone."""
    with suppress(ClientError):
        while True:
            aws.client("sagemaker").describe_inference_component(InferenceComponentName=name)
            time.sleep(0.02)


PathOf = Callable[[Scene], None]
#: What an operator may come upon, by its name.
PATHS: dict[str, list[PathOf]] = defaultdict(list)


def path_of(*operators: str) -> Callable[[PathOf], PathOf]:
    """Mark a function as a path of these operators."""

    def mark(path: PathOf) -> PathOf:
        for operator in operators:
            PATHS[operator].append(path)
        return path

    return mark


# Images and artifacts


@path_of("BuildImageOperator")
def an_image_that_is_not_there(scene: Scene) -> None:
    # Another content each time: what the registry has is not pushed again.
    (scene.folder / "serve.py").write_text(scene.repository)
    dockerfile = 'FROM scratch\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n'
    (scene.folder / "Dockerfile").write_text(dockerfile)
    options: dict[str, Any] = {
        "directory": str(scene.folder),
        "repository_name": scene.repository,
        "builder": "assembler",
    }
    scene.run(BuildImageOperator, **options)
    assert not scene.run(BuildImageOperator, **options, image_tag="latest").details["built"]


@path_of("BuildImageOperator")
def an_image_on_a_base_of_the_same_registry(scene: Scene) -> None:
    base = Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="base")
    (scene.folder / "Dockerfile").write_text(f"FROM {base}\n")
    scene.run(
        BuildImageOperator,
        directory=str(scene.folder),
        repository_name=scene.repository,
        builder="assembler",
    )


@path_of("BuildImageOperator")
def an_image_in_a_repository_with_settings(scene: Scene) -> None:
    (scene.folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    options: dict[str, Any] = {
        "directory": str(scene.folder),
        "repository_name": scene.repository,
        "builder": "assembler",
    }
    settings: dict[str, Any] = {
        "kms_key_id": KEY,
        "expire_untagged_after": timedelta(days=14),
        "pull_principals": ["111122223333"],
    }
    scene.run(BuildImageOperator, **options, repository_settings=RepositorySettings(**settings))
    settings |= {"scan_on_push": True, "immutable_tags": True}
    scene.run(BuildImageOperator, **options, repository_settings=RepositorySettings(**settings))


@path_of("CopyImageOperator")
def an_image_that_is_copied(scene: Scene) -> None:
    image = Deployer(scene.aws).push_image(
        {"f": scene.repository.encode()}, repository=make_repository(scene), tag="v1"
    )
    options: dict[str, Any] = {"image": image, "repository_name": scene.copy}
    settings: dict[str, Any] = {
        "kms_key_id": KEY,
        "expire_untagged_after": timedelta(days=14),
        "pull_principals": ["111122223333"],
    }
    scene.run(CopyImageOperator, **options, repository_settings=RepositorySettings(**settings))
    settings |= {"scan_on_push": True, "immutable_tags": True}
    scene.run(
        CopyImageOperator, **options, image_tag="v1", repository_settings=RepositorySettings(**settings)
    )


def codebuild(scene: Scene, *, kms_key_id: str | None = None, **settings: Any) -> dict[str, Any]:
    """Return the options of a build by CodeBuild; there is no engine, so that it ends as a fault, which is all that IAM has to know."""
    (scene.folder / "Dockerfile").write_text(f"FROM scratch\nLABEL of={scene.repository}\n")
    return {
        "directory": str(scene.folder),
        "repository_name": scene.repository,
        "builder": "codebuild",
        "deferrable": False,
        "poll_interval": 0.1,
        "codebuild": {
            "service_role": scene.role,
            "bucket_name": "models",
            "key_prefix": scene.prefix,
            "project_name": f"project-{scene.repository}",
            **({"kms_key_id": kms_key_id} if kms_key_id else {}),
            **settings,
        },
    }


@path_of("BuildImageOperator")
def an_image_by_codebuild(scene: Scene) -> None:
    scene.make_role()
    for compute_type in ("BUILD_GENERAL1_SMALL", "BUILD_GENERAL1_LARGE"):
        options = codebuild(scene, kms_key_id=KEY, compute_type=compute_type)
        with pytest.raises(ImageBuildError, match="engine 'none'"):
            scene.run(BuildImageOperator, **options)


@path_of("BuildImageOperator")
def a_context_in_parts_that_is_resumed(scene: Scene) -> None:
    from airflow_sm_hosting.hooks import ModelDataHook

    scene.make_role()
    big_artifact(scene)
    with (
        event_hook(
            ModelDataHook().conn,
            "before-call.*.CompleteMultipartUpload",
            lambda **_: refusal("InternalError"),
        ),
        pytest.raises(ModelDataError),
    ):
        scene.run(BuildImageOperator, **codebuild(scene))
    with pytest.raises(ImageBuildError, match="engine 'none'"):
        scene.run(BuildImageOperator, **codebuild(scene))


@path_of("BuildImageOperator")
def a_context_whose_upload_was_killed(scene: Scene) -> None:
    scene.make_role()
    big_artifact(scene)
    options = codebuild(scene)
    with BuildContext(scene.folder).tar() as tar:
        key = f"{scene.prefix}/{hashlib.sha256(tar.read()).hexdigest()}.tar.gz"
    scene.aws.client("s3").create_multipart_upload(Bucket="models", Key=key)
    with pytest.raises(ImageBuildError, match="engine 'none'"):
        scene.run(BuildImageOperator, **options)


@path_of("ImageBuildTrigger")
def a_trigger_of_a_build(scene: Scene) -> None:
    from airflow_sm_hosting.triggers.image_build import ImageBuildTrigger

    root = scene.aws.client("codebuild")
    name = f"project-{scene.repository}"
    root.create_project(
        name=name,
        source={
            "type": "NO_SOURCE",
            "buildspec": '{"version": 0.2, "phases": {"build": {"commands": ["true"]}}}',
        },
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE_ARN.format(scene.role),
    )
    build_id = root.start_build(projectName=name)["build"]["id"]

    async def event() -> Any:
        trigger = ImageBuildTrigger(build_id=build_id, poll_interval=0.1, carried={"a": 1})
        return await anext(aiter(trigger.run()))

    payload = asyncio.run(event()).payload
    assert payload == {"build_id": build_id, "carried": {"a": 1}, "error": None}


@path_of("CheckContainerOperator")
def a_container_of_ecr_and_an_artifact_of_s3(scene: Scene) -> None:
    # Another content each time: the engine does not pull a layer that it has.
    Deployer(scene.aws).push_image(
        {"unique": scene.repository.encode()}, repository=make_repository(scene), tag="1"
    )
    scene.aws.client("s3").put_object(
        Bucket="models",
        Key=f"{scene.prefix}/a.tar.gz",
        Body=tar_bytes({"model.json": b"{}"}),
        ServerSideEncryption="aws:kms",
        SSEKMSKeyId=KEY,
    )
    # Its entry point is not in it: the check ends where the container would start.
    with pytest.raises(ContainerCheckError, match="the program of the entry point is not in the image"):
        scene.run(
            CheckContainerOperator,
            image=ContainerImage.from_ecr_repository(scene.repository, "1"),
            model_data=f"s3://models/{scene.prefix}/a.tar.gz",
        )


@path_of("CheckContainerOperator")
def an_artifact_to_check_that_is_not_there(scene: Scene) -> None:
    with pytest.raises(NotFoundError):
        scene.run(CheckContainerOperator, image="churn:1", model_data=f"s3://models/{scene.prefix}/a.tar.gz")


def artifact_to_copy(scene: Scene, size: int = 1) -> dict[str, Any]:
    """Have root put an archive into S3, and return the options of its copy."""
    (scene.folder / "weights").write_bytes(random.randbytes(size))
    archive = pack(scene.folder, workdir=scene.folder.parent).made().path.read_bytes()
    key = f"{scene.prefix}/theirs/model.tar.gz"
    scene.aws.client("s3").put_object(Bucket="models", Key=key, Body=archive)
    return {"model_data": f"s3://models/{key}", "bucket_name": "models", "key_prefix": scene.prefix}


@path_of("CopyModelDataOperator")
def an_artifact_that_is_copied(scene: Scene) -> None:
    options = artifact_to_copy(scene) | {"kms_key_id": KEY}
    assert scene.run(CopyModelDataOperator, **options).details["copied"]
    assert not scene.run(CopyModelDataOperator, **options, tags={"team": "churn"}).details["copied"]


@path_of("CopyModelDataOperator")
def an_artifact_that_is_copied_with_tags(scene: Scene) -> None:
    assert scene.run(CopyModelDataOperator, **artifact_to_copy(scene), tags={"a": "b"}).details["copied"]


@path_of("CopyModelDataOperator")
def an_artifact_whose_copy_in_parts_was_killed(scene: Scene) -> None:
    options = artifact_to_copy(scene, 6 * 1024 * 1024)
    body = scene.aws.client("s3").get_object(Bucket="models", Key=f"{scene.prefix}/theirs/model.tar.gz")
    key = f"{scene.prefix}/{hashlib.sha256(body['Body'].read()).hexdigest()}.tar.gz"
    scene.aws.client("s3").create_multipart_upload(Bucket="models", Key=key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(transfer, "LARGEST_COPY", 1)
        assert scene.run(CopyModelDataOperator, **options).details["copied"]


@path_of("UploadModelDataOperator")
def an_artifact_that_is_not_there(scene: Scene) -> None:
    (scene.folder / "weights").write_text("1")
    options = {
        "path": str(scene.folder),
        "bucket_name": "models",
        "key_prefix": scene.prefix,
        "kms_key_id": KEY,
    }
    assert scene.run(UploadModelDataOperator, **options).details["uploaded"]
    assert not scene.run(UploadModelDataOperator, **options).details["uploaded"]


@path_of("UploadModelDataOperator")
def an_artifact_that_gets_tags_later(scene: Scene) -> None:
    (scene.folder / "weights").write_text("1")
    options = {"path": str(scene.folder), "bucket_name": "models", "key_prefix": scene.prefix}
    assert scene.run(UploadModelDataOperator, **options).details["uploaded"]
    assert not scene.run(UploadModelDataOperator, tags={"team": "churn"}, **options).details["uploaded"]


@path_of("UploadModelDataOperator")
def an_artifact_in_parts(scene: Scene) -> None:
    big_artifact(scene)
    scene.run(
        UploadModelDataOperator,
        path=str(scene.folder),
        bucket_name="models",
        key_prefix=scene.prefix,
        kms_key_id=KEY,
    )


@path_of("UploadModelDataOperator")
def an_upload_in_parts_that_is_resumed(scene: Scene) -> None:
    from airflow_sm_hosting.hooks import ModelDataHook

    big_artifact(scene)
    options = {"path": str(scene.folder), "bucket_name": "models", "key_prefix": scene.prefix}
    with (
        event_hook(
            ModelDataHook().conn,
            "before-call.*.CompleteMultipartUpload",
            lambda **_: refusal("InternalError"),
        ),
        pytest.raises(ModelDataError),
    ):
        scene.run(UploadModelDataOperator, **options)
    scene.run(UploadModelDataOperator, **options)


@path_of("UploadModelDataOperator")
def an_artifact_whose_upload_was_killed(scene: Scene) -> None:
    big_artifact(scene)
    key = f"{scene.prefix}/{content_sha256(scene.folder)}.tar.gz"
    scene.aws.client("s3").create_multipart_upload(Bucket="models", Key=key)
    scene.run(UploadModelDataOperator, path=str(scene.folder), bucket_name="models", key_prefix=scene.prefix)


def big_artifact(scene: Scene) -> None:
    (scene.folder / "weights").write_bytes(random.randbytes(6 * 1024 * 1024))


# Models and configs


@path_of("CreateModelOperator")
def a_model_and_its_tags_later(scene: Scene) -> None:
    scene.make_role("sagemaker.amazonaws.com")
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    scene.put_object("prefix/a")
    data = [
        ModelData.from_bucket("models", scene.put_object("model.tar.gz")),
        ModelData.from_prefix("models", f"{scene.prefix}/prefix"),
    ]
    image = ContainerImage.from_ecr_repository(scene.repository, "1")
    options: dict[str, Any] = {
        "model_name": scene.model,
        "containers": [ContainerDefinition(image=image, model_data=one) for one in data],
        "execution_role": scene.role,
    }
    assert scene.run(CreateModelOperator, **options).details["created"]
    assert not scene.run(CreateModelOperator, **options, tags={"a": "b"}).details["created"]


def make_repository(scene: Scene) -> str:
    scene.aws.client("ecr").create_repository(repositoryName=scene.repository)
    return scene.repository


@path_of("GrantAccessOperator")
def access_for_another_account(scene: Scene) -> None:
    scene.root.create_model_package_group(ModelPackageGroupName=scene.group)
    options: dict[str, Any] = {
        "principals": ["444455556666"],
        "repository_name": make_repository(scene),
        "model_data": [f"s3://models/{scene.prefix}/"],
        "model_package_group_name": scene.group,
    }
    assert len(scene.run(GrantAccessOperator, **options).details["changed"]) == 3
    assert not scene.run(GrantAccessOperator, **options).details["changed"]


# The model registry


def make_version(scene: Scene, status: str = "Approved") -> str:
    """Make the scene's group with a version, and return the version's ARN."""
    with suppress(scene.root.exceptions.ClientError):
        scene.root.create_model_package_group(ModelPackageGroupName=scene.group)
    made = scene.root.create_model_package(
        ModelPackageGroupName=scene.group,
        ModelApprovalStatus=status,
        InferenceSpecification={"Containers": [{"Image": IMAGE}]},
    )
    return str(made["ModelPackageArn"])


@path_of("CreateModelOperator")
def a_model_of_the_latest_approved_version(scene: Scene) -> None:
    make_version(scene)
    container = ContainerDefinition(model_package=ModelPackage.latest_approved(scene.group))
    scene.run(CreateModelOperator, model_name=scene.model, containers=[container])


@path_of("RegisterModelOperator")
def a_version_of_a_new_group_and_its_tags_later(scene: Scene) -> None:
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    scene.put_object("prefix/a")
    data = [
        ModelData.from_bucket("models", scene.put_object("model.tar.gz")),
        ModelData.from_prefix("models", f"{scene.prefix}/prefix"),
    ]
    image = ContainerImage.from_ecr_repository(scene.repository, "1")
    options: dict[str, Any] = {
        "model_package_group_name": scene.group,
        "containers": [ContainerDefinition(image=image, model_data=one) for one in data],
        "create_group": True,
    }
    assert scene.run(RegisterModelOperator, **options).details["created"]
    assert not scene.run(RegisterModelOperator, **options, tags={"a": "b"}).details["created"]


@path_of("ApproveModelOperator")
def a_version_that_is_approved(scene: Scene) -> None:
    arn = make_version(scene, "PendingManualApproval")
    for changed in (True, False):
        ran = scene.run(ApproveModelOperator, model_package=arn)
        assert ran.details["changed"] == changed


@path_of("ModelPackageApprovedSensor")
def a_sensor_of_an_approval(scene: Scene) -> None:
    scene.run(
        ModelPackageApprovedSensor,
        model_package=make_version(scene),
        poke_interval=0.1,
        timeout=10,
        deferrable=False,
    )


@path_of("ModelPackageTrigger")
def a_trigger_of_an_approval(scene: Scene) -> None:
    from airflow_sm_hosting.triggers.model_package import ModelPackageTrigger

    trigger = ModelPackageTrigger(model_package=make_version(scene), poll_interval=0.1)

    async def first() -> Any:
        return (await anext(aiter(trigger.run()))).payload

    event = asyncio.run(first())
    if event["error"]:
        raise ModelPackageError(event["error"])


@path_of("ModelPackageEventTrigger")
def a_watcher_of_approvals(scene: Scene) -> None:
    sqs = scene.aws.client("sqs")
    url = sqs.create_queue(QueueName=scene.queue)["QueueUrl"]
    detail = {
        "ModelPackageArn": make_version(scene),
        "ModelPackageGroupName": scene.group,
        "ModelApprovalStatus": "Approved",
        "ModelPackageStatus": "Completed",
    }
    event = {"source": "aws.sagemaker", "detail-type": package_event.DETAIL_TYPE, "detail": detail}
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def left() -> int:
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=counts)["Attributes"]
        return sum(map(int, found.values()))

    async def watch() -> None:
        trigger = package_events.ModelPackageEventTrigger(queue=scene.queue, poll_interval=0.05)
        async with asyncio.timeout(5):
            events = aiter(trigger.run())
            assert (await anext(events)).payload["arn"] == detail["ModelPackageArn"]
            going_on = asyncio.ensure_future(anext(events))
            while left():
                await asyncio.sleep(0.05)
            going_on.cancel()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(package_events, "SAVED_AFTER", 0.0)
        asyncio.run(watch())


@path_of("CreateEndpointConfigOperator")
def a_config_and_its_tags_later(scene: Scene) -> None:
    model = make_model(scene.aws, scene.model)
    options: dict[str, Any] = {
        "endpoint_config_name": scene.config,
        "production_variants": [InstanceProductionVariant(model_name=model, variant_name="main")],
    }
    assert scene.run(CreateEndpointConfigOperator, **options).details["created"]
    assert not scene.run(CreateEndpointConfigOperator, **options, tags={"a": "b"}).details["created"]


# Endpoints


def deploy(scene: Scene, config: str | None, operator: type = DeployEndpointOperator, **options: Any) -> str:
    scene._endpoints.append(scene.endpoint)
    ran = scene.run(
        operator,
        endpoint_name=scene.endpoint,
        endpoint_config_name=config,
        poll_interval=0.1,
        **options,
    )
    return str(ran.details["action"])


@path_of("DeployEndpointOperator")
def an_endpoint_that_is_not_there(scene: Scene) -> None:
    config = scene.make_config()
    assert deploy(scene, config) == "create"
    assert deploy(scene, config) == "unchanged"


@path_of("DeployEndpointOperator")
def an_endpoint_on_an_encrypted_volume(scene: Scene) -> None:
    variant = {
        "VariantName": "main",
        "ModelName": make_model(scene.aws, scene.model),
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    scene.root.create_endpoint_config(
        EndpointConfigName=scene.config, KmsKeyId=KEY, ProductionVariants=[variant]
    )
    assert deploy(scene, scene.config) == "create"


@path_of("DeployEndpointOperator")
def an_endpoint_that_does_not_answer(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config())
    # It has got through IAM when it hears that there are no containers here.
    with pytest.raises(SmokeTestFailedError, match="engine 'none'"):
        deploy(scene, scene.config, smoke_test=SmokeTest(body={}))


@path_of("DeployEndpointOperator")
def an_endpoint_that_does_not_stream(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config())
    with pytest.raises(SmokeTestFailedError, match="engine 'none'"):
        deploy(scene, scene.config, smoke_test=SmokeTest(body={}, kind="streamed"))


@path_of("DeployEndpointOperator")
def an_asynchronous_endpoint_that_does_not_answer(scene: Scene) -> None:
    scene.make_asynchronous_endpoint()
    inputs = f"s3://models/{scene.prefix}/in/"
    test = SmokeTest(body={}, input_prefix=inputs, poll_interval=0.1, timeout=20)
    with pytest.raises(SmokeTestFailedError, match="engine 'none'"):
        deploy(scene, scene.config, smoke_test=test)


@path_of("DeployEndpointOperator")
def a_component_that_answers_with_an_error(scene: Scene) -> None:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

    scene.root.create_endpoint_config(
        EndpointConfigName=scene.config,
        ExecutionRoleArn=ROLE,
        ProductionVariants=[
            {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    scene.make_endpoint(scene.config)
    ill = refusal("ModelError", "the model is ill", 424)
    with (
        answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", ill),
        pytest.raises(SmokeTestFailedError, match=r"did not answer: ModelError: .*not shown"),
    ):
        deploy(
            scene,
            scene.config,
            smoke_test=SmokeTest(body={}, inference_component_name=f"{scene.component}-base"),
        )


@path_of("DeployEndpointOperator")
def an_update_beside_autoscaling(scene: Scene) -> None:
    model = make_model(scene.aws, scene.model)
    for suffix, count in (("1", 1), ("2", 2)):
        scene.root.create_endpoint_config(
            EndpointConfigName=f"{scene.config}-{suffix}",
            ProductionVariants=[
                {
                    "VariantName": variant,
                    "ModelName": model,
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": count,
                }
                for variant in ("scaled", "fixed")
            ],
        )
    scene.make_endpoint(f"{scene.config}-1")
    scene.scale("scaled")
    assert deploy(scene, f"{scene.config}-2", tags={"a": "b"}) == "update"
    described = settled(scene.aws, scene.endpoint)["ProductionVariants"]
    assert {one["VariantName"]: one["DesiredInstanceCount"] for one in described} == {"scaled": 1, "fixed": 2}


@path_of("DeployEndpointOperator")
def an_update_that_scaling_is_in_the_way_of(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config("-1"))
    scene.scale_in_every_way()
    assert deploy(scene, scene.make_config("-2", InstanceType="ml.c5.large")) == "update"


@path_of("DeployEndpointOperator")
def a_failed_endpoint_that_is_scaled(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config("-1"))
    scene.scale()
    scene.aws.set_endpoint_status(scene.endpoint, "Failed")
    assert deploy(scene, scene.make_config("-2")) == "replace"


@path_of("DeployEndpointOperator")
def alarms_made_for_an_update_that_is_refused(scene: Scene) -> None:
    """What an update prepares is taken back when it is refused: so they go at once, where a rollout would bake for minutes."""
    scene.make_endpoint(scene.make_config("-1", InitialInstanceCount=2))
    alarm = NewFleetAlarm(variant_name="main", metric=EndpointMetric.model_latency(period=60), threshold=1000)
    options: dict[str, Any] = {
        "rollout": Canary(size=1, wait_interval=60),
        "auto_rollback_alarms": [scene.make_alarm()],
        "new_fleet_alarms": [alarm],
    }
    config = scene.make_config("-2", InitialInstanceCount=2)
    refused = refusal("ValidationException", "not this one")
    with (
        answering(sagemaker_client(), "UpdateEndpoint", refused),
        pytest.raises(ClientError, match="not this"),
    ):
        deploy(scene, config, **options)


@path_of("DeployEndpointOperator")
def an_update_that_fails(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config("-1"))
    scene.make_logs()
    broken = make_broken_model(scene.aws, f"{scene.model}-2")
    with pytest.raises(DeploymentRolledBackError):
        deploy(scene, make_config(scene.aws, f"{scene.config}-2", broken))


@path_of("RollbackEndpointOperator")
def a_rollback(scene: Scene) -> None:
    for suffix in ("-1", "-2"):
        deploy(scene, scene.make_config(suffix))
    assert deploy(scene, None, RollbackEndpointOperator) == "rollback"
    assert settled(scene.aws, scene.endpoint)["EndpointConfigName"] == f"{scene.config}-1"


@path_of("PlanDeploymentOperator")
def a_plan(scene: Scene) -> None:
    scene.make_endpoint(scene.make_config("-1", InitialInstanceCount=2))
    scene.scale_in_every_way()
    ran = scene.run(
        PlanDeploymentOperator,
        endpoint_name=scene.endpoint,
        endpoint_config_name=scene.make_config("-2", InstanceType="ml.c5.large", InitialInstanceCount=2),
        rollout=Canary(size=1, wait_interval=60),
        auto_rollback_alarms=[scene.alarm],
    )
    assert "DeregisterScalableTarget" in str(ran.details["calls"]), ran.details


@path_of("DeleteEndpointOperator")
def an_endpoint_and_all_that_it_is_made_of(scene: Scene) -> None:
    # Of somebody else, who may need the same config or model.
    scene.make_endpoint(make_config(scene.aws, "needed", make_model(scene.aws, "needed")), "other")
    scene.make_endpoint()
    scene.scale()
    scene.make_alarm(Tags=tag_list(OURS))
    scene.run(
        DeleteEndpointOperator,
        endpoint_name=scene.endpoint,
        delete_endpoint_config=True,
        delete_models=True,
        poll_interval=0.1,
    )
    with pytest.raises(scene.root.exceptions.ClientError, match="Could not find model"):
        scene.root.describe_model(ModelName=scene.model)


@path_of("CreateEndpointConfigOperator")
def a_config_with_a_role(scene: Scene) -> None:
    scene.make_role("sagemaker.amazonaws.com")
    scene.run(
        CreateEndpointConfigOperator,
        endpoint_config_name=scene.config,
        production_variants=[InstanceProductionVariant(variant_name="main", instance_type="ml.m5.large")],
        execution_role=scene.role,
    )


# Inference components


def deploy_component(scene: Scene, model: str | None = None, **options: Any) -> str:
    specification = InferenceComponentSpecification(
        model_name=model or scene.model, requirements={"MinMemoryRequiredInMb": 128}
    )
    ran = scene.run(
        DeployInferenceComponentOperator,
        inference_component_name=scene.component,
        endpoint_name=scene.endpoint,
        variant_name="main",
        specification=specification,
        poll_interval=0.1,
        **options,
    )
    return str(ran.details["action"])


@path_of("DeployInferenceComponentOperator")
def a_component_that_is_not_there(scene: Scene) -> None:
    scene.make_host()
    assert deploy_component(scene) == "create"
    assert deploy_component(scene) == "unchanged"


@path_of("DeployInferenceComponentOperator")
def a_component_of_an_image_by_tag(scene: Scene) -> None:
    scene.make_host()
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    image = ContainerImage.from_ecr_repository(scene.repository, "1")
    specification = InferenceComponentSpecification(
        image=image, requirements=ComputeRequirements(min_memory_in_mb=128)
    )
    ran = scene.run(
        DeployInferenceComponentOperator,
        inference_component_name=scene.component,
        endpoint_name=scene.endpoint,
        variant_name="main",
        specification=specification,
        poll_interval=0.1,
    )
    assert ran.details["action"] == "create"


@path_of("DeployInferenceComponentOperator")
def copies_that_differ(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    assert deploy_component(scene, copy_count=2) == "update"


@path_of("DeployInferenceComponentOperator")
def a_component_that_many_runs_have_updated(scene: Scene) -> None:
    scene.make_host()
    other = make_model(scene.aws, f"{scene.model}-2")
    deploy_component(scene)
    for model in (other, scene.model) * 3:
        assert deploy_component(scene, model) == "update"


@path_of("DeployInferenceComponentOperator")
def a_component_that_has_failed(scene: Scene) -> None:
    scene.make_host()
    broken = make_broken_model(scene.aws, f"{scene.model}-2")
    scene.root.create_inference_component(
        InferenceComponentName=scene.component,
        EndpointName=scene.endpoint,
        VariantName="main",
        Specification={"ModelName": broken, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128}},
        RuntimeConfig={"CopyCount": 1},
        Tags=tag_list(OURS),
    )
    assert settled_component(scene.aws, scene.component)["InferenceComponentStatus"] == "Failed"
    assert deploy_component(scene) == "replace"


@path_of("DeployInferenceComponentOperator")
def a_rolling_update_that_is_refused(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    options: dict[str, Any] = {
        "rollout": Rolling(maximum_batch_size=1, wait_interval=60),
        "auto_rollback_alarms": [scene.make_alarm()],
    }
    refused = refusal("ValidationException", "not this one")
    with (
        answering(sagemaker_client(), "UpdateInferenceComponent", refused),
        pytest.raises(ClientError, match="not this"),
    ):
        deploy_component(scene, make_model(scene.aws, f"{scene.model}-2"), **options)


@path_of("DeployInferenceComponentOperator")
def a_component_whose_update_fails(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.make_component_logs()
    with pytest.raises(DeploymentRolledBackError):
        deploy_component(scene, make_broken_model(scene.aws, f"{scene.model}-2"))


@path_of("DeployInferenceComponentOperator")
def a_component_that_does_not_answer(scene: Scene) -> None:
    scene.make_host()
    with pytest.raises(SmokeTestFailedError, match="engine 'none'"):
        deploy_component(scene, smoke_test=SmokeTest(body={}))


@path_of("DeployInferenceComponentOperator")
def a_component_that_does_not_stream(scene: Scene) -> None:
    scene.make_host()
    with pytest.raises(SmokeTestFailedError, match="engine 'none'"):
        deploy_component(scene, smoke_test=SmokeTest(body={}, kind="streamed"))


@path_of("RollbackInferenceComponentOperator")
def a_rollback_of_a_component(scene: Scene) -> None:
    scene.make_host()
    deploy_component(scene)
    assert deploy_component(scene, make_model(scene.aws, f"{scene.model}-2")) == "update"
    ran = scene.run(
        RollbackInferenceComponentOperator, inference_component_name=scene.component, poll_interval=0.1
    )
    assert ran.details["action"] == "rollback"


def plan_component(scene: Scene, **options: Any) -> str:
    of_model = InferenceComponentSpecification(
        model_name=f"{scene.model}-2", requirements={"MinMemoryRequiredInMb": 128}
    )
    ran = scene.run(
        PlanInferenceComponentOperator,
        inference_component_name=scene.component,
        endpoint_name=scene.endpoint,
        variant_name="main",
        **{"specification": of_model, **options},
    )
    return str(ran.details["action"])


@path_of("PlanInferenceComponentOperator")
def plans_of_a_component(scene: Scene) -> None:
    scene.make_host()
    assert plan_component(scene) == "create"
    scene.make_component()
    alarm, rollout = scene.make_alarm(), Rolling(maximum_batch_size=1, wait_interval=60)
    options: dict[str, Any] = {"rollout": rollout, "auto_rollback_alarms": [alarm], "copy_count": 2}
    assert plan_component(scene, **options) == "update"
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag="1")
    of_image = InferenceComponentSpecification(
        image=ContainerImage.from_ecr_repository(scene.repository, "1"),
        requirements=ComputeRequirements(min_memory_in_mb=128),
    )
    assert plan_component(scene, specification=of_image) == "update"


@path_of("DeleteInferenceComponentOperator")
def a_component_and_its_adapter(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.make_adapter()
    scene.scale_copies()
    # Of somebody else: it may be an adapter on this one.
    scene.root.create_inference_component(
        InferenceComponentName=f"beside-{scene.component}",
        EndpointName=scene.endpoint,
        VariantName="main",
        Specification={
            "ModelName": scene.model,
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        },
        RuntimeConfig={"CopyCount": 1},
    )
    settled_component(scene.aws, f"beside-{scene.component}")
    options = {"inference_component_name": scene.component, "poll_interval": 0.1}
    scene.run(DeleteInferenceComponentOperator, **options)
    scene.run(DeleteInferenceComponentOperator, **options)
    rows = scene.root.list_inference_components(EndpointNameEquals=scene.endpoint)["InferenceComponents"]
    assert [row["InferenceComponentName"] for row in rows] == [f"beside-{scene.component}"]


@path_of("DeleteEndpointOperator")
def an_endpoint_with_its_components(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.make_adapter()
    scene.scale_copies()
    scene.run(
        DeleteEndpointOperator,
        endpoint_name=scene.endpoint,
        delete_inference_components=True,
        delete_models=True,
        poll_interval=0.1,
    )
    with pytest.raises(scene.root.exceptions.ClientError, match="Could not find"):
        scene.root.describe_endpoint(EndpointName=scene.endpoint)


@path_of("CleanUpHostingOperator")
def what_a_component_needs(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    ran = scene.run(CleanUpHostingOperator, older_than=0)
    assert ran.details["models"] == []


@path_of("InferenceComponentInServiceSensor")
def a_sensor_of_a_component(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.run(
        InferenceComponentInServiceSensor,
        inference_component_name=scene.component,
        poke_interval=0.1,
        deferrable=False,
    )


@path_of("CleanUpHostingOperator")
def what_no_endpoint_needs(scene: Scene) -> None:
    scene.make_endpoint(make_config(scene.aws, "needed", make_model(scene.aws, "needed")))
    scene.root.create_model(
        ModelName=scene.model, PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE, Tags=tag_list(OURS)
    )
    variant = {"VariantName": "main", "ModelName": scene.model, "ServerlessConfig": SERVERLESS}
    scene.root.create_endpoint_config(
        EndpointConfigName=scene.config, ProductionVariants=[variant], Tags=tag_list(OURS)
    )
    tag, digest = f"sm-hosting-{'a' * 32}", "b" * 64
    Deployer(scene.aws).push_image({}, repository=make_repository(scene), tag=tag)
    artifact = f"{scene.prefix}/{digest}.tar.gz"
    scene.aws.client("s3").put_object(Bucket="models", Key=artifact, Body=b"1", Metadata={"sha256": digest})
    upload = scene.aws.client("s3").create_multipart_upload(Bucket="models", Key=artifact)["UploadId"]
    make_version(scene)
    ran = scene.run(
        CleanUpHostingOperator,
        older_than=0,
        repository_names=[scene.repository],
        model_data_prefixes=[f"s3://models/{scene.prefix}/"],
        dry_run=False,
    )
    assert ran.details == {
        "dry_run": False,
        "configs": [scene.config],
        "models": [scene.model],
        "images": [f"{scene.repository}:{tag}"],
        "artifacts": [f"s3://models/{artifact}"],
        "uploads": [f"s3://models/{artifact}?uploadId={upload}"],
    }
    assert "Uploads" not in scene.aws.client("s3").list_multipart_uploads(Bucket="models")


@path_of("InvokeEndpointOperator")
def an_invocation(scene: Scene) -> None:
    scene.make_endpoint()
    # It has got through IAM when it hears that there are no containers here.
    with pytest.raises(InvocationError, match="engine 'none'"):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={})


@path_of("InvokeEndpointOperator")
def an_invocation_of_a_variant_that_is_not_there(scene: Scene) -> None:
    scene.make_endpoint()
    with pytest.raises((InvocationError, NotFoundError)):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={}, target_variant="other")


@path_of("InvokeEndpointOperator")
def an_invocation_that_a_container_answers_with_an_error(scene: Scene) -> None:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

    scene.make_endpoint()
    ill = refusal("ModelError", "the model is ill", 424)
    with (
        answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", ill),
        pytest.raises(InvocationError, match=r"did not answer: ModelError: .*(is ill|not shown)"),
    ):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={})


@path_of("InvokeEndpointOperator")
def a_streamed_invocation(scene: Scene) -> None:
    scene.make_endpoint()
    with pytest.raises(InvocationError, match="engine 'none'"):
        scene.run(InvokeEndpointOperator, endpoint_name=scene.endpoint, body={}, kind="streamed")


@path_of("InvokeEndpointOperator")
def an_asynchronous_invocation(scene: Scene) -> None:
    scene.make_asynchronous_endpoint()
    with pytest.raises(InvocationError, match="engine 'none'"):
        scene.run(
            InvokeEndpointOperator,
            endpoint_name=scene.endpoint,
            body={},
            input_prefix=f"s3://models/{scene.prefix}/in/",
            poll_interval=0.1,
            timeout=20,
        )


@path_of("InvokeEndpointOperator")
def an_invocation_of_a_component_that_answers_with_an_error(scene: Scene) -> None:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

    scene.make_endpoint()
    ill = refusal("ModelError", "the model is ill", 424)
    with (
        answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", ill),
        pytest.raises(InvocationError, match=r"did not answer: ModelError: .*not shown"),
    ):
        scene.run(
            InvokeEndpointOperator,
            endpoint_name=scene.endpoint,
            body={},
            inference_component_name=f"{scene.component}-base",
        )


@path_of("PromoteShadowOperator")
def a_shadow_that_is_promoted(scene: Scene) -> None:
    scene.make_shadowed_endpoint()
    promote: dict[str, Any] = {"endpoint_name": scene.endpoint, "poll_interval": 0.1}
    assert scene.run(PromoteShadowOperator, **promote).details["action"] == "update"
    assert scene.run(PromoteShadowOperator, **promote).details["action"] == "unchanged"


@path_of("ReportShadowOperator")
def a_report_on_a_shadow(scene: Scene) -> None:
    scene.make_shadowed_endpoint()
    key = f"{scene.prefix}/captured/{scene.endpoint}/main/{datetime.now(UTC):%Y/%m/%d/%H}/1.jsonl"
    scene.aws.client("s3").put_object(Bucket="models", Key=key, Body=b"")
    assert scene.run(ReportShadowOperator, endpoint_name=scene.endpoint).details["compared"] == 0


@path_of("ShiftTrafficOperator")
def a_shift_of_traffic(scene: Scene) -> None:
    scene.make_endpoint()
    ran = scene.run(
        ShiftTrafficOperator,
        endpoint_name=scene.endpoint,
        weights={"main": 2},
        instance_counts={"main": 2},
        poll_interval=0.1,
    )
    assert ran.details["action"] == "shift"


@path_of("AsyncAnswerTrigger")
def an_asynchronous_answer_in_the_triggerer(scene: Scene) -> None:
    from airflow_sm_hosting.triggers.async_answer import AsyncAnswerTrigger

    key = f"{scene.prefix}/out/answer"

    async def first_event() -> dict[str, Any]:
        pending = [{"output": f"s3://models/{key}", "failure": None}]
        trigger = AsyncAnswerTrigger(pending=pending, deadline=time.time() + 20, poll_interval=0.1)
        events = trigger.run()
        waiting = asyncio.ensure_future(anext(events))
        # There is nothing at the first look, which is when S3 looks for this permission.
        while not waiting.done():
            if any(one["action"] == "s3:ListBucket" for one in scene.aws.iam_decisions()):
                scene.aws.client("s3").put_object(Bucket="models", Key=key, Body=b"")
                break
            await asyncio.sleep(0.05)
        event = await waiting
        return dict(event.payload)

    assert asyncio.run(first_event())["error"] is None


@path_of("EndpointDriftSensor")
def a_sensor_of_drift(scene: Scene) -> None:
    """What was asked for is not there, so that drift is found; AWS is given no time to show an earlier state."""
    scene.make_endpoint()
    scene.scale()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evidence, "READS_LAG", -1.0)
        ran = scene.run(
            EndpointDriftSensor,
            endpoint_name=scene.endpoint,
            scaled_variants=["main"],
            alarms=[scene.alarm],
            poke_interval=0.1,
            deferrable=False,
        )
    assert f"alarm {scene.alarm} does not exist" in ran.value["drift"]


@path_of("EndpointInServiceSensor")
def a_sensor(scene: Scene) -> None:
    scene.make_endpoint()
    scene.run(EndpointInServiceSensor, endpoint_name=scene.endpoint, poke_interval=0.1, deferrable=False)


@path_of("EndpointTrigger")
def triggers_of_one_triggerer(scene: Scene) -> None:
    config = scene.make_config()
    watch(scene, [scene.make_endpoint(config, suffix) for suffix in ("", "-2", "-3", "-4")])


@path_of("EndpointTrigger")
def triggers_that_wait_for_components(scene: Scene) -> None:
    scene.make_host()
    watch(
        scene, [scene.make_component(suffix) for suffix in ("", "-2", "-3", "-4")], kind="inference component"
    )


def watch(scene: Scene, names: list[str], **condition: str) -> None:
    """Wait for all of them with one triggerer."""
    from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

    async def sighting(name: str) -> dict[str, Any]:
        now = time.time()
        trigger = EndpointTrigger(
            awaited={"until": "in_service", "endpoint_name": name, **condition},
            deadline=now + 60,
            started_at=now,
            # So seldom that a list for all of them is the way with the fewest calls.
            poll_interval=1,
        )
        event = await anext(aiter(trigger.run()))
        found: dict[str, Any] = event.payload["sighting"]
        return found

    async def together() -> list[dict[str, Any]]:
        return await asyncio.gather(*map(sighting, names))

    ends = asyncio.run(together())
    assert [end["outcome"] for end in ends] == ["deployed"] * len(names), ends


# Autoscaling and alarms


def configure(scene: Scene, **options: Any) -> Ran:
    return scene.run(
        ConfigureAutoscalingOperator,
        endpoint_name=scene.endpoint,
        variant_name="main",
        max_capacity=4,
        **options,
    )


@path_of("ConfigureAutoscalingOperator")
def scaling_that_comes_and_goes(scene: Scene) -> None:
    iam = scene.aws.client("iam")
    with suppress(iam.exceptions.NoSuchEntityException):
        iam.delete_role(RoleName=SCALING_ROLE)
    scene.make_endpoint()
    action = ScheduledScaling(scheduled_action_name="night", schedule="cron(0 22 * * ? *)", min_capacity=1)
    configure(scene, policies=[InvocationsScaling(max_requests_per_second=10)], scheduled_actions=[action])
    configure(scene)


@path_of("ConfigureAutoscalingOperator")
def scaling_that_one_tag_does_not_hold(scene: Scene) -> None:
    scene.make_endpoint()
    many = [
        ScheduledScaling(scheduled_action_name=f"night-{number}", schedule="rate(1 day)", min_capacity=1)
        for number in range(29)
    ]
    configure(scene, scheduled_actions=many)
    configure(scene)


@path_of("ConfigureAutoscalingOperator")
def scaling_of_copies(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.run(
        ConfigureAutoscalingOperator,
        inference_component_name=scene.component,
        max_capacity=4,
        policies=[InvocationsScaling(max_requests_per_second=10)],
    )


def from_zero(scene: Scene, operator: type, **options: Any) -> Ran:
    return scene.run(operator, **options, from_zero=ScaleFromZero(target_value=5, alarm_name=scene.alarm))


@path_of("ConfigureAutoscalingOperator")
def scaling_from_zero_that_comes_and_goes(scene: Scene) -> None:
    scene.make_asynchronous_endpoint()
    of = {"endpoint_name": scene.endpoint, "variant_name": "main", "max_capacity": 4}
    for _ in range(2):
        from_zero(scene, ConfigureAutoscalingOperator, **of)
    scene.run(ConfigureAutoscalingOperator, **of, min_capacity=0)
    assert not scene.aws.client("cloudwatch").describe_alarms(AlarmNames=[scene.alarm])["MetricAlarms"]


@path_of("ConfigureAutoscalingOperator")
def copies_from_zero(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    from_zero(scene, ConfigureAutoscalingOperator, inference_component_name=scene.component, max_capacity=4)


@path_of("RemoveAutoscalingOperator")
def scaling_from_zero_that_goes(scene: Scene) -> None:
    scene.make_asynchronous_endpoint()
    scene.wake(f"endpoint/{scene.endpoint}/variant/main", INSTANCE_COUNT)
    scene.run(RemoveAutoscalingOperator, endpoint_name=scene.endpoint, variant_name="main")
    assert not scene.aws.client("cloudwatch").describe_alarms(AlarmNames=[scene.alarm])["MetricAlarms"]


@path_of("DeleteInferenceComponentOperator")
def a_component_that_is_woken_from_zero(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.wake(f"inference-component/{scene.component}", COPY_COUNT)
    scene.run(DeleteInferenceComponentOperator, inference_component_name=scene.component, poll_interval=0.1)


@path_of("RemoveAutoscalingOperator")
def scaling_that_goes(scene: Scene) -> None:
    scene.make_endpoint()
    scene.scale()
    options = {"endpoint_name": scene.endpoint, "variant_name": "main"}
    scene.run(RemoveAutoscalingOperator, **options)
    scene.run(RemoveAutoscalingOperator, **options)


@path_of("RemoveAutoscalingOperator")
def copies_that_are_not_scaled(scene: Scene) -> None:
    scene.make_host()
    scene.make_component()
    scene.run(RemoveAutoscalingOperator, inference_component_name=scene.component)


@path_of("CreateEndpointAlarmOperator")
def an_alarm_and_its_tags_later(scene: Scene) -> None:
    # A metric that is looked for on the instance type.
    alarm(scene, CreateEndpointAlarmOperator, metric=EndpointMetric.gpu_utilization(), threshold=90)


@path_of("CreateLatencyAlarmOperator")
def an_alarm_on_latency_and_its_tags_later(scene: Scene) -> None:
    alarm(scene, CreateLatencyAlarmOperator, threshold=100_000)


@path_of("CreateEndpointAlarmOperator")
def an_alarm_on_a_component(scene: Scene) -> None:
    alarm_on_component(scene, CreateEndpointAlarmOperator, metric=EndpointMetric.invocations(), threshold=5)


@path_of("CreateLatencyAlarmOperator")
def an_alarm_on_the_latency_of_a_component(scene: Scene) -> None:
    alarm_on_component(scene, CreateLatencyAlarmOperator, threshold=100_000)


def alarm_on_component(scene: Scene, operator: type, **options: Any) -> None:
    scene.make_host()
    scene.make_component()
    named = {"inference_component_name": scene.component, "alarm_name": scene.alarm}
    scene.run(operator, evaluation_periods=1, **named, **options)


def alarm(scene: Scene, operator: type, **options: Any) -> None:
    if scene.endpoint not in scene._endpoints:
        scene.make_endpoint(scene.make_config(InstanceType="ml.g5.xlarge"))
    options = {
        "endpoint_name": scene.endpoint,
        "variant_name": "main",
        "evaluation_periods": 1,
        "alarm_name": scene.alarm,
        **options,
    }
    scene.run(operator, **options)
    scene.run(operator, **options, tags={"a": "b"})


@path_of("CreateCompositeAlarmOperator")
def a_composite_alarm_and_its_tags_later(scene: Scene) -> None:
    rule = AlarmRule.alarm(scene.make_alarm())
    options: dict[str, Any] = {"alarm_name": f"{scene.alarm}-composite", "alarm_rule": rule}
    scene.run(CreateCompositeAlarmOperator, **options)
    scene.run(CreateCompositeAlarmOperator, **options, tags={"a": "b"})


@path_of("CreateEndpointDashboardOperator")
def a_dashboard_with_an_alarm_of_a_scaled_endpoint(scene: Scene) -> None:
    options: dict[str, Any] = {
        "endpoint_name": scene.make_endpoint(),
        "alarm_names": [scene.make_alarm()],
    }
    assert scene.run(CreateEndpointDashboardOperator, **options).details["written"]
    assert not scene.run(CreateEndpointDashboardOperator, **options).details["written"]


@path_of("get_metric")
def the_values_of_a_metric(scene: Scene) -> None:
    assert get_metric(EndpointMetric.invocations(), endpoint_name="e", variant_name="main", lookback=60) == []


# Roles


@path_of("EnsureExecutionRoleOperator")
def a_role_that_is_not_there(scene: Scene) -> None:
    options: dict[str, Any] = {"role_name": scene.role, "model_data": ["s3://models/churn/"]}
    assert scene.run(EnsureExecutionRoleOperator, **options).details["created"]
    assert scene.run(EnsureExecutionRoleOperator, **options).details["written"] == []


@path_of("EnsureExecutionRoleOperator")
def a_role_that_lacks_something(scene: Scene) -> None:
    scene.make_role()
    scene.run(
        EnsureExecutionRoleOperator,
        role_name=scene.role,
        model_data=["s3://models/churn/"],
        permissions_boundary="arn:aws:iam::123456789012:policy/bound",
        tags={"a": "b"},
    )


# The proof


class Ended(NamedTuple):
    """How a path ended under a policy.

    :param error: What it raised.
    :param asked: The actions that were looked for.
    :param denied: Those that were not allowed.
    """

    error: BaseException | None
    asked: set[str]
    denied: set[str]


class Proof:
    """Runs paths under a worker that has exactly a policy.

    :param aws: The local AWS.
    :param worker: The user that the tasks run as.
    :param folder: A folder for what they need.
    """

    def __init__(self, aws: LocalAws, worker: Worker, folder: Path) -> None:
        self.aws = aws
        self._worker = worker
        self._folder = folder
        self._used_by: dict[str, dict[str, PathOf]] = {}

    def used_by(self, operator: str) -> dict[str, PathOf]:
        """Run all paths of an operator under its documented policy; return the actions that were looked for, and in which path first."""
        if operator not in self._used_by:
            found: dict[str, PathOf] = {}
            for path in PATHS[operator]:
                ended = self.run(operator, path)
                assert ended.denied == set(), f"{path.__name__}: {ended.error}"
                if ended.error:
                    raise ended.error
                for action in ended.asked:
                    found.setdefault(action, path)
            self._used_by[operator] = found
        return self._used_by[operator]

    def run(self, operator: str, path: PathOf, *, without: str | None = None, on: str | None = None) -> Ended:
        """Run a path under the documented policy of an operator, less one of its actions, on all resources or on one kind of them."""
        scene = Scene(self.aws, self._folder)
        if without and on:
            rows = [
                row._replace(actions=tuple(set(row.actions) - {without})) if row.on == on else row
                for row in policies.PERMISSIONS[operator]
            ]
            with pytest.MonkeyPatch.context() as patch:
                patch.setitem(policies.PERMISSIONS, operator, tuple(rows))
                document = policies.worker([operator], **scene.names())
            without = None
        else:
            document = policies.worker([operator], **scene.names())
        for statement in document["Statement"]:
            statement["Action"] = [action for action in statement["Action"] if action != without]
        document["Statement"] = [statement for statement in document["Statement"] if statement["Action"]]
        self._worker.allow(*([document] if document["Statement"] else []))
        self.aws.enforce_iam()
        error: BaseException | None = None
        try:
            path(scene)
        except (Exception, pytest.fail.Exception) as raised:
            error = raised
        decisions = self.aws.iam_decisions()
        self.aws.enforce_iam(False)
        scene.close()
        return Ended(
            error,
            {one["action"] for one in decisions},
            {one["action"] for one in decisions if not one["allowed"]},
        )


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    aws = local_server()
    aws.reset()
    aws.client("s3").create_bucket(Bucket="models")
    worker = Worker(aws)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(worker.connection()))
        # Parts of 5 MiB, S3's least. What cannot be resumed is a killed task's.
        part = 5 * 1024 * 1024
        patch.setattr(transfer, "THRESHOLD", part)
        patch.setattr(checksums, "PART_SIZE", part)
        patch.setattr(transfer, "IDLE", timedelta())
        with _quick(aws):
            yield Proof(aws, worker, tmp_path_factory.mktemp("paths"))


def test_every_operator_sensor_and_trigger_has_its_permissions_and_its_paths() -> None:
    info = get_provider_info()
    named = {
        name
        for kind in ("operators", "sensors", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
        for name, found in vars(importlib.import_module(module)).items()
        if isinstance(found, type)
        and found.__module__ == module
        and name.endswith(("Operator", "Sensor", "Trigger"))
    }
    assert named | {"get_metric"} == set(policies.PERMISSIONS)
    assert set(PATHS) == {name for name, needed in policies.PERMISSIONS.items() if needed}


def documented(operator: str) -> dict[str, bool]:
    """Return the documented actions, and whether the task does without each."""
    return {
        action: permission.optional
        for permission in policies.PERMISSIONS[operator]
        for action in permission.actions
    }


#: Operators of the same code, and so of the same permissions, as another one's.
SAME = {"RollbackEndpointOperator": "DeployEndpointOperator"}

#: Operators that do a part of what another one does.
LESS = {"RollbackInferenceComponentOperator": "DeployInferenceComponentOperator"}

#: Operators that do what another one does, and more.
MORE = {"PromoteShadowOperator": "DeployEndpointOperator"}


#: Operators that pull images with an engine.
WITH_ENGINE = ("CheckContainerOperator",)


def operators(*left_out: str) -> list[Any]:
    """Return the operators of the table; what needs an engine is marked."""
    return [
        pytest.param(name, marks=pytest.mark.engine) if name in WITH_ENGINE else name
        for name in policies.PERMISSIONS
        if name not in left_out
    ]


@pytest.mark.parametrize("operator", operators())
def test_the_documented_policy_is_enough_and_all_of_it_is_looked_for(proof: Proof, operator: str) -> None:
    # Taken from the local AWS's own record.
    asked = set(proof.used_by(operator))
    if operator in SAME:
        assert policies.PERMISSIONS[operator] is policies.PERMISSIONS[SAME[operator]]
        assert asked < set(documented(operator))
    elif operator in LESS:
        assert set(policies.PERMISSIONS[operator]) < set(policies.PERMISSIONS[LESS[operator]])
        assert asked < set(documented(operator))
    elif operator in MORE:
        its_own = set(documented(operator)) - set(documented(MORE[operator]))
        assert set(policies.PERMISSIONS[MORE[operator]]) < set(policies.PERMISSIONS[operator])
        assert its_own <= asked < set(documented(operator))
    else:
        assert asked == set(documented(operator))
    print(f"\n{operator}: all {len(documented(operator))} permissions together are enough")


@pytest.mark.parametrize("operator", operators(*SAME, *LESS))
def test_without_any_one_permission_the_task_fails(proof: Proof, operator: str) -> None:
    print(f"\n{operator}")
    for action, optional in documented(operator).items():
        if operator in MORE and action in documented(MORE[operator]):
            continue  # needed by the same code
        path = proof.used_by(operator)[action]
        ended = proof.run(operator, path, without=action)
        assert action in ended.denied, ended
        assert (ended.error is None) == optional, (action, ended.error)
        print(f"  {action}: {'optional' if optional else 'necessary'} ({path.__name__})")


def test_each_action_on_several_kinds_of_resources_is_needed_on_each(proof: Proof) -> None:
    for operator, permissions in policies.PERMISSIONS.items():
        if operator in (*SAME, *LESS, *MORE):
            continue
        kinds: dict[str, list[str]] = defaultdict(list)
        for permission in permissions:
            for action in permission.actions:
                kinds[action].append(permission.on)
        for action, several in kinds.items():
            for kind in several if len(several) > 1 else ():
                if f"every-{kind}" in several:
                    continue  # another case needs it on all of them
                needed_by = next(
                    (
                        path.__name__
                        for path in PATHS[operator]
                        if action in proof.run(operator, path, without=action, on=kind).denied
                    ),
                    None,
                )
                assert needed_by, f"{operator} does without {action} on {kind}"
                print(f"  {operator}: {action} on {kind}: necessary ({needed_by})")

"""The examples of the CDK library's guide, written as DAGs.

Each function is called inside a DAG. What an example takes for granted (``repo:tag``, ``my-bucket``) is made by ``surroundings``.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow_sm_hosting import (
    BuildImageOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    ContainerImage,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    EndpointMetric,
    EnsureExecutionRoleOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    ModelData,
    ModelHostingTaskGroup,
    ServerlessProductionVariant,
    UploadModelDataOperator,
)

#: What the examples find in AWS.
REPOSITORY, TAG = "repo", "tag"
DLC_REPOSITORY = "huggingface-pytorch-training"
DLC_TAG = "1.13.1-transformers4.26.0-gpu-py39-cu117-ubuntu20.04"
OBJECTS = (("my-bucket", "model.tar.gz"), ("bucket-of-mine", "path/to/artifact/file.tar.gz"))
ASSETS_BUCKET = "assets"

VARIANT = "my-variant"


def execution_role(name: str = "Model", **needs: Any) -> Any:
    """Return the output of a task that makes a role with what a model needs."""
    return EnsureExecutionRoleOperator(task_id=f"role_of_{name}", role_name=name, **needs).output


def model_of_the_repository(name: str = "Model", *, task_id: str = "model", role: str = "Model") -> Any:
    """Return the output of a task that makes the model which most examples begin with."""
    return CreateModelOperator(
        task_id=task_id,
        model_name=name,
        containers=[ContainerDefinition(image=ContainerImage.from_ecr_repository(REPOSITORY, TAG))],
        execution_role=execution_role(role, repositories=[REPOSITORY]),
    ).output


def endpoint_of(*variants: Any) -> Any:
    """Return the output of the task that deploys a config with these variants."""
    config = CreateEndpointConfigOperator(
        task_id="endpoint_config", endpoint_config_name="EndpointConfig", production_variants=list(variants)
    )
    return DeployEndpointOperator(
        task_id="endpoint",
        endpoint_name="Endpoint",
        endpoint_config_name=config.output,
        poll_interval=0.1,
    ).output


def container_of_assets(project: Path, number: str = "1") -> ContainerDefinition:
    """Return a container whose image is built and whose artifact is packed by tasks of their own."""
    image = BuildImageOperator(
        task_id=f"image_{number}", directory=str(project / f"image{number}"), repository_name="assets"
    )
    artifact = UploadModelDataOperator(
        task_id=f"artifact_{number}", path=str(project / f"artifact{number}"), bucket_name=ASSETS_BUCKET
    )
    return ContainerDefinition(image=image.output, model_data=artifact.output)


def needs_of(*containers: ContainerDefinition) -> dict[str, Any]:
    """Return what a role must let a model of these containers read."""
    return {
        "repositories": [container["Image"] for container in containers],
        "model_data": [container["ModelDataUrl"] for container in containers],
    }


def single_container(project: Path) -> None:
    container = container_of_assets(project)
    CreateModelOperator(
        task_id="model",
        model_name="PrimaryContainerModel",
        containers=[container],
        execution_role=execution_role("PrimaryContainerModel", **needs_of(container)),
    )


def inference_pipeline(project: Path) -> None:
    containers = [container_of_assets(project, number) for number in ("1", "2", "3")]
    CreateModelOperator(
        task_id="model",
        model_name="InferencePipelineModel",
        containers=containers,
        execution_role=execution_role("InferencePipelineModel", **needs_of(*containers)),
    )


def ecr_image(project: Path) -> None:
    model_of_the_repository()


def dlc_image(project: Path) -> None:
    CreateModelOperator(
        task_id="model",
        model_name="Model",
        containers=[ContainerDefinition(image=ContainerImage.from_dlc(DLC_REPOSITORY, DLC_TAG))],
        execution_role=execution_role(
            repositories=[f"763104351884.dkr.ecr.us-east-1.amazonaws.com/{DLC_REPOSITORY}"]
        ),
    )


def s3_model_data(project: Path) -> None:
    bucket, key = OBJECTS[1]
    CreateModelOperator(
        task_id="model",
        model_name="Model",
        containers=[
            ContainerDefinition(
                image=ContainerImage.from_ecr_repository(REPOSITORY, TAG),
                model_data=ModelData.from_bucket(bucket, key),
            )
        ],
        execution_role=execution_role(repositories=[REPOSITORY], model_data=[f"s3://{bucket}/{key}"]),
    )


def network_isolation(project: Path) -> None:
    bucket, key = OBJECTS[0]
    CreateModelOperator(
        task_id="model",
        model_name="ContainerModel",
        containers=[
            ContainerDefinition(
                image=ContainerImage.from_ecr_repository(REPOSITORY, TAG),
                model_data=ModelData.from_bucket(bucket, key),
            )
        ],
        enable_network_isolation=True,
        execution_role=execution_role(
            "ContainerModel", repositories=[REPOSITORY], model_data=[f"s3://{bucket}/{key}"]
        ),
    )


def endpoint_config_two_variants(project: Path) -> None:
    model_a = model_of_the_repository("ModelA", task_id="model_a", role="ModelA")
    model_b = model_of_the_repository("ModelB", task_id="model_b", role="ModelB")
    CreateEndpointConfigOperator(
        task_id="endpoint_config",
        endpoint_config_name="EndpointConfig",
        production_variants=[
            InstanceProductionVariant(model_name=model_a, variant_name="modelA", initial_variant_weight=2.0),
            InstanceProductionVariant(
                model_name=model_b, variant_name="variantB", initial_variant_weight=1.0
            ),
        ],
    )


def startup_timeout(project: Path) -> None:
    CreateEndpointConfigOperator(
        task_id="endpoint_config",
        endpoint_config_name="EndpointConfig",
        production_variants=[
            InstanceProductionVariant(
                model_name=model_of_the_repository(),
                variant_name=VARIANT,
                container_startup_health_check_timeout=timedelta(minutes=5),
            )
        ],
    )


def endpoint(project: Path) -> None:
    endpoint_of(InstanceProductionVariant(model_name=model_of_the_repository(), variant_name=VARIANT))


def serverless(project: Path) -> None:
    endpoint_of(
        ServerlessProductionVariant(
            model_name=model_of_the_repository(),
            variant_name="serverlessVariant",
            max_concurrency=10,
            memory_size_in_mb=2048,
            provisioned_concurrency=5,
        )
    )


def autoscaling(project: Path) -> None:
    deployed = endpoint_of(
        InstanceProductionVariant(
            model_name=model_of_the_repository(), variant_name=VARIANT, instance_type="ml.m5.large"
        )
    )
    ConfigureAutoscalingOperator(
        task_id="instance_count",
        endpoint_name=deployed,
        variant_name=VARIANT,
        max_capacity=3,
        policies=[InvocationsScaling(max_requests_per_second=30)],
    )


def metrics_alarm(project: Path) -> None:
    deployed = endpoint_of(
        InstanceProductionVariant(model_name=model_of_the_repository(), variant_name=VARIANT)
    )
    CreateLatencyAlarmOperator(
        task_id="model_latency_alarm",
        endpoint_name=deployed,
        variant_name=VARIANT,
        threshold=100000,
        evaluation_periods=3,
    )


def full_stack(project: Path) -> None:
    container = container_of_assets(project)
    model = CreateModelOperator(
        task_id="model",
        model_name="PrimaryContainerModel",
        containers=[container],
        execution_role=execution_role("PrimaryContainerModel", **needs_of(container)),
    )
    deployed = endpoint_of(
        InstanceProductionVariant(model_name=model.output, variant_name=VARIANT, instance_type="ml.m5.large")
    )
    ConfigureAutoscalingOperator(
        task_id="instance_count",
        endpoint_name=deployed,
        variant_name=VARIANT,
        max_capacity=3,
        policies=[InvocationsScaling(max_requests_per_second=30)],
    )
    CreateLatencyAlarmOperator(
        task_id="model_latency_alarm",
        endpoint_name=deployed,
        variant_name=VARIANT,
        threshold=timedelta(milliseconds=100),
        evaluation_periods=3,
    )


def full_stack_as_task_group(project: Path) -> None:
    ModelHostingTaskGroup(
        group_id="hosting",
        endpoint_name="Endpoint",
        repository_name="assets",
        bucket_name=ASSETS_BUCKET,
        key_prefix="primary",
        models={
            "PrimaryContainerModel": [
                ContainerDefinition(
                    image=ContainerImage.from_asset(project / "image1"),
                    model_data=ModelData.from_asset(project / "artifact1"),
                )
            ]
        },
        execution_role=execution_role(
            "PrimaryContainerModel", repositories=["assets"], model_data=[f"s3://{ASSETS_BUCKET}/primary/"]
        ),
        production_variants=[
            InstanceProductionVariant(
                model_name="PrimaryContainerModel", variant_name=VARIANT, instance_type="ml.m5.large"
            )
        ],
        scaling={VARIANT: {"max_capacity": 3, "policies": [InvocationsScaling(max_requests_per_second=30)]}},
        alarms=[
            {
                "variant_name": VARIANT,
                "metric": EndpointMetric.model_latency(),
                "threshold": 100000,
                "evaluation_periods": 3,
            }
        ],
        deploy_options={"poll_interval": 0.1},
    )


#: Each example, and the file of the calls that it comes to.
EXAMPLES: dict[str, tuple[Callable[[Path], None], str]] = {
    "single container": (single_container, "single_container"),
    "inference pipeline": (inference_pipeline, "inference_pipeline"),
    "ECR image": (ecr_image, "ecr_image"),
    "DLC image": (dlc_image, "dlc_image"),
    "S3 model data": (s3_model_data, "s3_model_data"),
    "network isolation": (network_isolation, "network_isolation"),
    "endpoint config with two variants": (endpoint_config_two_variants, "endpoint_config_two_variants"),
    "startup timeout": (startup_timeout, "startup_timeout"),
    "endpoint": (endpoint, "endpoint"),
    "serverless": (serverless, "serverless"),
    "autoscaling": (autoscaling, "autoscaling"),
    "metrics alarm": (metrics_alarm, "metrics_alarm"),
    "full stack": (full_stack, "full_stack"),
    "full stack as a task group": (full_stack_as_task_group, "full_stack"),
}

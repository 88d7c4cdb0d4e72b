"""The tasks of the chain, in a form in which workers and a DAG file have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow_sm_hosting import (
    BuildImageOperator,
    CleanUpHostingOperator,
    ConfigureAutoscalingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateLatencyAlarmOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvocationsScaling,
    RollbackEndpointOperator,
    ScheduledScaling,
    StepScaling,
    UploadModelDataOperator,
)

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
#: An image that is not looked into, as no container runs.
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference@sha256:" + "a" * 64

FIRST_RUN = datetime(2026, 11, 23, tzinfo=UTC)
SECOND_RUN, THIRD_RUN = FIRST_RUN + timedelta(hours=1), FIRST_RUN + timedelta(hours=2)

#: The seconds that an endpoint takes to change, and that a wait sleeps.
TRANSITION = 1
QUICK = {"poll_interval": TRANSITION, "timeout": 120}


@dataclass(frozen=True)
class Job:
    """A task to run.

    :param name: Its task id.
    :param build: Makes its operator, from the return values of the tasks before it.
    :param try_number: Which try this is.
    """

    name: str
    build: Callable[[Mapping[str, Any]], Any]
    try_number: int = 1


def make_project(folder: Path) -> Path:
    """The files that are deployed: the code, and two trainings of a model."""
    for name, content in {
        "app/Dockerfile": 'FROM scratch\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n',
        "app/serve.py": "pass",
        "old/weights": "1",
        "new/weights": "2",
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return folder


def chain(
    project: Path,
    version: str,
    *,
    instance_type: str = "ml.m5.large",
    unscaled: int = 1,
    deferrable: bool = False,
) -> list[Job]:
    """Return the seven tasks of one run.

    :param version: The folder of the model's training.
    :param instance_type: Of the variant that the chain scales, and of the one beside it, which it does not know of.
    :param unscaled: Instances of the variant that is not scaled.
    """

    def image(done: Mapping[str, Any]) -> Any:
        return BuildImageOperator(
            task_id="image", directory=str(project / "app"), repository_name="churn", builder="assembler"
        )

    def artifact(done: Mapping[str, Any]) -> Any:
        path = str(project / version)
        return UploadModelDataOperator(
            task_id="artifact", path=path, bucket_name="models", key_prefix="churn"
        )

    def model(done: Mapping[str, Any]) -> Any:
        container = ContainerDefinition(image=done["image"], model_data=done["artifact"])
        return CreateModelOperator(
            task_id="model", model_name="churn", containers=[container], execution_role=ROLE
        )

    def config(done: Mapping[str, Any]) -> Any:
        variants = [
            InstanceProductionVariant(
                model_name=done["model"], variant_name="main", instance_type=instance_type
            ),
            InstanceProductionVariant(
                model_name=done["model"], variant_name="beside", instance_type=instance_type
            ),
            InstanceProductionVariant(
                model_name=done["model"],
                variant_name="unscaled",
                instance_type="ml.m5.large",
                initial_instance_count=unscaled,
            ),
        ]
        return CreateEndpointConfigOperator(
            task_id="config", endpoint_config_name="churn", production_variants=variants
        )

    def deploy(done: Mapping[str, Any]) -> Any:
        return DeployEndpointOperator(
            task_id="deploy",
            endpoint_name="churn",
            endpoint_config_name=done["config"],
            deferrable=deferrable,
            **QUICK,
        )

    def scaling(done: Mapping[str, Any]) -> Any:
        return ConfigureAutoscalingOperator(
            task_id="scaling",
            endpoint_name=done["deploy"],
            variant_name="main",
            max_capacity=4,
            policies=[
                InvocationsScaling(max_requests_per_second=10),
                StepScaling(step_adjustments=[{"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}]),
            ],
            scheduled_actions=[
                ScheduledScaling(
                    scheduled_action_name="new-year", schedule="at(2040-01-01T00:00:00)", min_capacity=2
                )
            ],
        )

    def alarm(done: Mapping[str, Any]) -> Any:
        return CreateLatencyAlarmOperator(
            task_id="alarm",
            endpoint_name=done["deploy"],
            variant_name="main",
            threshold=100_000,
            evaluation_periods=3,
        )

    return [Job(task.__name__, task) for task in (image, artifact, model, config, deploy, scaling, alarm)]


def rollback(*, deferrable: bool) -> Job:
    return Job(
        "rollback",
        lambda done: RollbackEndpointOperator(
            task_id="rollback", endpoint_name="churn", deferrable=deferrable, **QUICK
        ),
    )


def clean_up(*, dry_run: bool = True) -> Job:
    """Return the task that says what no endpoint needs, were there no way back."""
    return Job(
        "clean_up",
        lambda done: CleanUpHostingOperator(
            task_id="clean_up",
            keep=0,
            older_than=0,
            repository_names=["churn"],
            model_data_prefixes=["s3://models/churn/"],
            dry_run=dry_run,
        ),
    )

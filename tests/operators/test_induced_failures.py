"""One induced failure for each class of error: its reason is the last line at ERROR, on which Airflow opens a task's log."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    BuildImageOperator,
    Canary,
    CheckContainerOperator,
    ContainerDefinition,
    CreateModelOperator,
    InvokeEndpointOperator,
    ModelData,
    ModelPackage,
    SmokeTest,
    UploadModelDataOperator,
    exceptions,
)
from airflow_sm_hosting.deployer import observer
from airflow_sm_hosting.error_log import LONGEST_HEADLINE
from airflow_sm_hosting.exceptions import DeploymentError, SageMakerHostingError
from airflow_sm_hosting.hooks import CloudWatchHook, ModelDataHook, SageMakerRuntimeHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answered_with,
    answering,
    deploy,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    outcome,
    refusal,
    sagemaker_client,
    task_id,
)
from tests.operators.task_log import task_log

#: Classes above others; what is raised is one of those below them.
ABOVE = {SageMakerHostingError, DeploymentError}


@dataclass
class World:
    """What a failure is induced in.

    :param aws: The local AWS.
    :param folder: An empty folder.
    """

    aws: LocalAws
    folder: Path


#: What makes a task that fails, and what has AWS answer so that it does.
Case = Callable[[World], tuple[Any, AbstractContextManager[Any]]]


def invalid_spec(world: World) -> Any:
    return deploy("{{ 'c_1' }}"), nullcontext()


def conflict(world: World) -> Any:
    make_endpoint(world.aws, "c1", tags={})
    return deploy("c2"), nullcontext()


def alarm_going_off(world: World) -> Any:
    make_endpoint(world.aws, "c1")
    cloudwatch = world.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="slow",
        Namespace="Churn",
        MetricName="Latency",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName="slow", StateValue="ALARM", StateReason="a test says so")
    rollout = Canary(size=1, wait_interval=300, auto_rollback_alarms=["slow"])
    return deploy("c2", rollout=rollout), nullcontext()


def not_found(world: World) -> Any:
    return deploy("nowhere"), nullcontext()


def model_package(world: World) -> Any:
    sagemaker = world.aws.client("sagemaker")
    sagemaker.create_model_package_group(ModelPackageGroupName="churn")
    made = sagemaker.create_model_package(
        ModelPackageGroupName="churn",
        ModelApprovalStatus="Rejected",
        InferenceSpecification={"Containers": [{"Image": IMAGE}]},
    )
    container = ContainerDefinition(model_package=ModelPackage.version(made["ModelPackageArn"]))
    return create_model(container), nullcontext()


def access(world: World) -> Any:
    world.aws.client("s3").create_bucket(Bucket="models")
    container = ContainerDefinition(image=IMAGE, model_data=ModelData.from_bucket("models", "a.tar.gz"))
    denied = [refusal("403", "Forbidden", 403)] * 5
    return create_model(container), answering(ModelDataHook().conn, "HeadObject", *denied)


def connection_not_found(world: World) -> Any:
    return deploy("c1", aws_conn_id="nowhere"), nullcontext()


def image_build(world: World) -> Any:
    (world.folder / "Dockerfile").write_text("FROM scratch\nCOPY gone /\n")
    build = BuildImageOperator(
        task_id=task_id(), directory=str(world.folder), repository_name="churn", builder="assembler"
    )
    return build, nullcontext()


@contextmanager
def without_engine() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        yield


def container_check(world: World) -> Any:
    return CheckContainerOperator(task_id=task_id(), image="churn:latest"), without_engine()


def model_data(world: World) -> Any:
    world.aws.client("s3").create_bucket(Bucket="models")
    (world.folder / "weights").write_text("1")
    upload = UploadModelDataOperator(task_id=task_id(), path=str(world.folder), bucket_name="models")
    denied = refusal("AccessDenied", "not authorized to perform s3:PutObject", 403)
    return upload, answering(ModelDataHook().conn, "PutObject", denied)


def rolled_back(world: World) -> Any:
    make_config(world.aws, "bad", make_broken_model(world.aws))
    make_endpoint(world.aws, "c1")
    return deploy("bad"), nullcontext()


def failed(world: World) -> Any:
    make_config(world.aws, "bad", make_broken_model(world.aws))
    return deploy("bad"), nullcontext()


def timed_out(world: World) -> Any:
    make_endpoint(world.aws, "c1")

    def goes_on(found: dict[str, Any]) -> None:
        found["EndpointStatus"] = "Updating"

    return deploy("c2", timeout=1), answered_with(sagemaker_client(), "DescribeEndpoint", goes_on)


def smoke_test_failed(world: World) -> Any:
    make_endpoint(world.aws, "c1")
    wrong = [refusal("ModelError", "it broke", 424)] * 20
    test = SmokeTest(body="1", content_type="text/csv")
    return deploy("c2", smoke_test=test), answering(SageMakerRuntimeHook().conn, "InvokeEndpoint", *wrong)


def invocation(world: World) -> Any:
    return InvokeEndpointOperator(task_id=task_id(), endpoint_name="nowhere", body="1"), nullcontext()


@contextmanager
def throttled_alarms() -> Iterator[None]:
    faults = [refusal("ThrottlingException", "Rate exceeded")] * 50
    with pytest.MonkeyPatch.context() as patch, answering(CloudWatchHook().conn, "DescribeAlarms", *faults):
        patch.setattr(observer, "SIDE_READ_PATIENCE", 0.5)
        yield


def side_read(world: World) -> Any:
    make_endpoint(world.aws, "c1")
    rollout = Canary(size=1, wait_interval=300, auto_rollback_alarms=["slow"])
    return deploy("c2", rollout=rollout), throttled_alarms()


#: The failure by its class, and what the last line says of it.
FAILURES: dict[str, tuple[Case, str]] = {
    "InvalidSpecError": (invalid_spec, "endpoint_config_name is 'c_1'"),
    "ConflictError": (conflict, "endpoint churn exists without this package's tags"),
    "AlarmGoingOffError": (alarm_going_off, "alarm slow is already in ALARM"),
    "NotFoundError": (not_found, "nowhere"),
    "ModelPackageError": (model_package, "is Rejected"),
    "AccessError": (access, "s3://models/a.tar.gz"),
    "ConnectionNotFoundError": (connection_not_found, "The Airflow connection 'nowhere' does not exist."),
    "ImageBuildError": (image_build, "gone"),
    "ContainerCheckError": (container_check, "No Docker Engine answers"),
    "ModelDataError": (model_data, "S3 denied PutObject"),
    "DeploymentRolledBackError": (rolled_back, "Access to the image: "),
    "DeploymentFailedError": (failed, "Access to the image: "),
    "DeploymentTimeoutError": (timed_out, "the time budget ended"),
    "SmokeTestFailedError": (smoke_test_failed, "it broke"),
    "InvocationError": (invocation, "nowhere"),
    "SideReadError": (side_read, "alarms of slow"),
}


def test_each_class_of_error_has_a_failure() -> None:
    found = {
        kind.__name__
        for _, kind in inspect.getmembers(exceptions, inspect.isclass)
        if issubclass(kind, SageMakerHostingError) and kind not in ABOVE
    }
    assert set(FAILURES) == found


@pytest.mark.parametrize("kind", FAILURES)
def test_the_reason_of_a_failure_is_the_last_error_in_the_log(
    aws: LocalAws, dag: DAG, tmp_path: Path, short_pauses: None, kind: str
) -> None:
    sagemaker_client()  # What Airflow says at the first use of a connection is no part of these logs.
    make_model(aws)
    for name in ("c1", "c2"):
        make_config(aws, name, InitialInstanceCount=2)
    case, words = FAILURES[kind]
    task, faults = case(World(aws, tmp_path))
    with task_log() as log, faults:
        end = outcome(task)
    assert isinstance(end.error, getattr(exceptions, kind)), end.error
    errors = [line.removeprefix("ERROR").strip() for line in log.lines if line.startswith("ERROR")]
    assert words in errors[-1]
    assert len(errors[-1]) <= LONGEST_HEADLINE
    assert errors[-2] == f"How to resolve it: {end.error.docs_url}"
    assert len(set(log.lines)) == len(log.lines)


def create_model(container: ContainerDefinition) -> CreateModelOperator:
    return CreateModelOperator(
        task_id=task_id(), model_name="churn", containers=[container], execution_role=ROLE
    )

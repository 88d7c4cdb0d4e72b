"""The same for inference components: the worker is killed before and after every AWS call of a deployment and of a deletion."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import (
    DeleteInferenceComponentOperator,
    DeployInferenceComponentOperator,
    InferenceComponentSpecification,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS, tag_list
from tests.crashes import test_crash_points as endpoints
from tests.crashes.before import Before
from tests.crashes.tasks import FIRST_RUN, QUICK, ROLE, SECOND_RUN, Job
from tests.crashes.test_crash_points import Scenario, aws, pass_time, project, settle
from tests.crashes.worker import Worker, run_here
from tests.operators.conftest import make_broken_model, make_model

__all__ = ["aws", "project"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

NEEDS = {"MinMemoryRequiredInMb": 256}


def specification(model: str) -> InferenceComponentSpecification:
    return InferenceComponentSpecification(model_name=model, requirements=NEEDS)


def deploy(
    model: str = "new", name: str = "churn", *, copies: int | None = None, deferrable: bool = False
) -> Job:
    """Return the task that deploys a model to a component."""

    def build(done: Mapping[str, Any]) -> Any:
        return DeployInferenceComponentOperator(
            task_id="deploy",
            inference_component_name=name,
            endpoint_name="host",
            variant_name="main",
            specification=specification(model),
            copy_count=copies,
            deferrable=deferrable,
            **QUICK,
        )

    return Job("deploy", build)


def deploy_adapter(*, deferrable: bool = False) -> Job:
    def build(done: Mapping[str, Any]) -> Any:
        return DeployInferenceComponentOperator(
            task_id="deploy",
            inference_component_name="adapter",
            endpoint_name="host",
            specification=InferenceComponentSpecification(
                base_inference_component_name="churn", artifact_url="s3://models/adapter.tar.gz"
            ),
            deferrable=deferrable,
            **QUICK,
        )

    return Job("deploy", build)


def delete() -> Job:
    def build(done: Mapping[str, Any]) -> Any:
        return DeleteInferenceComponentOperator(task_id="delete", inference_component_name="churn", **QUICK)

    return Job("delete", build)


# What is there before the run.


def host(before: Before) -> dict[str, Any]:
    """An endpoint for components, and two models."""
    before.nothing()
    cloud = before.aws
    for model in ("old", "new"):
        make_model(cloud, model)
    client = cloud.client("sagemaker")
    client.create_endpoint_config(
        EndpointConfigName="host",
        ExecutionRoleArn=ROLE,
        ProductionVariants=[
            {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    client.create_endpoint(EndpointName="host", EndpointConfigName="host", Tags=tag_list(OURS))
    settle(cloud)
    return {}


def old_serves(before: Before) -> dict[str, Any]:
    host(before)
    run_here([deploy("old")], {}, FIRST_RUN)
    return {}


def failed(before: Before) -> dict[str, Any]:
    """The component could not be created."""
    host(before)
    before.aws.client("sagemaker").create_inference_component(
        InferenceComponentName="churn",
        EndpointName="host",
        VariantName="main",
        Specification=dict(specification(make_broken_model(before.aws))),
        RuntimeConfig={"CopyCount": 1},
        Tags=tag_list(OURS),
    )
    settle(before.aws)
    return {}


def adapter_file(before: Before) -> dict[str, Any]:
    old_serves(before)
    before.aws.client("s3").put_object(Bucket="models", Key="adapter.tar.gz", Body=b"adapter")
    return {}


def scaled_with_an_adapter(before: Before) -> dict[str, Any]:
    adapter_file(before)
    run_here([deploy_adapter()], {}, FIRST_RUN)
    before.aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="inference-component/churn",
        ScalableDimension="sagemaker:inference-component:DesiredCopyCount",
        MinCapacity=1,
        MaxCapacity=4,
    )
    return {}


def scenario(before: Any, job: Any, due: datetime, *must_call: str) -> Scenario:
    return Scenario(before, lambda project, deferrable: [job(deferrable)], due, must_call)


SCENARIOS = {
    "a first component": scenario(
        host, lambda deferrable: deploy(deferrable=deferrable), FIRST_RUN, "CreateInferenceComponent"
    ),
    "an update and its copies": scenario(
        old_serves,
        lambda deferrable: deploy(copies=2, deferrable=deferrable),
        SECOND_RUN,
        "UpdateInferenceComponent",
        "UpdateInferenceComponentRuntimeConfig",
        "AddTags",
    ),
    "a replaced component": scenario(
        failed,
        lambda deferrable: deploy(deferrable=deferrable),
        SECOND_RUN,
        "DeleteInferenceComponent",
        "CreateInferenceComponent",
    ),
    "an adapter": scenario(
        adapter_file,
        lambda deferrable: deploy_adapter(deferrable=deferrable),
        SECOND_RUN,
        "CreateInferenceComponent",
    ),
    "a deletion": scenario(
        scaled_with_an_adapter,
        lambda deferrable: delete(),
        SECOND_RUN,
        "DeregisterScalableTarget",
        "DeleteInferenceComponent",
    ),
}


@pytest.fixture
def worker(aws: LocalAws, project: Path, tmp_path: Path) -> Worker:
    """Workers that are forked from a process that has imported everything, and has all clients."""
    worker = Worker(tmp_path / "worker.log", deferred=lambda: pass_time(aws))
    scaled_with_an_adapter(Before(aws, project))
    run_here([deploy("new", copies=2), delete()], {}, SECOND_RUN)
    return worker


@pytest.mark.parametrize(
    ("name", "deferrable"),
    [*((name, False) for name in SCENARIOS), ("an update and its copies", True)],
)
def test_a_worker_that_is_killed_at_any_call(
    aws: LocalAws,
    project: Path,
    worker: Worker,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    deferrable: bool,
) -> None:
    monkeypatch.setattr(endpoints, "SCENARIOS", SCENARIOS)
    endpoints.test_a_worker_that_is_killed_at_any_call(aws, project, worker, capsys, name, deferrable)

"""DAGs run task by task as they are written, and every call that they make of AWS, as it was sent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import Ran, aws, dag, event_hook, run_task
from tests.parity.comparison import Call, Context, Names, Registry, readable

__all__ = ["aws", "dag"]

#: The services whose calls the CDK's stack comes to, and what the local AWS's log calls them.
SERVICES = {
    "iam": "iam",
    "sagemaker": "sagemaker",
    "application-autoscaling": "application-autoscaling",
    "cloudwatch": "monitoring",
}
#: What builds and uploads assets; the CDK does it outside of the stack (cdk-assets), before it is deployed.
ASSET_SERVICES = ("ecr", "s3", "registry")


class _TaskInstance(Ran):
    """A task instance that finds what the tasks before it pushed."""

    def __init__(self, before: dict[str, Ran]) -> None:
        super().__init__()
        self._before = before

    def xcom_pull(self, *, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        ran = self._before[task_ids]
        return ran.value if key == "return_value" else ran.xcoms[key]


def run_dag(dag: DAG) -> dict[str, Ran]:
    """Run the tasks in the order in which they are written, which is one that their dependencies allow."""
    ran: dict[str, Ran] = {}
    for task in dag.tasks:
        assert task.upstream_task_ids <= set(ran), f"{task.task_id} is written before what it needs"
        ran[task.task_id] = run_task(task, ran=_TaskInstance(ran))
    return ran


@contextmanager
def calls_made(aws: LocalAws) -> Iterator[list[Call]]:
    """Collect the calls that change something, in order; none that reached the server may be missing."""
    collected: list[Call] = []

    def collector(service: str) -> Callable[..., None]:
        def collect(params: dict[str, Any], model: Any, **_: Any) -> None:
            if not model.name.startswith(("Describe", "Get", "List")):
                collected.append(readable(f"{service}:{model.name}", params))

        return collect

    aws.clear_requests()
    with ExitStack() as hooks:
        for service in SERVICES:
            client = SharedClients(client_type=service).conn
            hooks.enter_context(event_hook(client, "before-parameter-build", collector(service)))
        yield collected
    reached = Counter(
        (request["service"], request["operation"])
        for request in aws.requests()
        if request["mutating"] and request["service"] not in ASSET_SERVICES
    )
    services = [
        (SERVICES[service], name) for service, name in (call.operation.split(":") for call in collected)
    ]
    assert Counter(services) == reached, "what was collected is not what reached the server"


@pytest.fixture
def context(aws: LocalAws) -> Context:
    """Return what the calls of one example are judged by."""
    ecr = aws.client("ecr")

    def tags_of(repository: str, digest: str) -> list[str]:
        found = ecr.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}])
        return list(found["imageDetails"][0].get("imageTags", []))

    return Context(Names(), Registry(aws.endpoint_url.removeprefix("http://"), tags_of))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a folder with the folders to build and the artifacts to pack that the examples name."""
    for number in ("1", "2", "3"):
        image, artifact = tmp_path / f"image{number}", tmp_path / f"artifact{number}"
        image.mkdir()
        artifact.mkdir()
        (image / "Dockerfile").write_text(
            # Without the label SageMaker takes no image of ours into a pipeline (developer guide, "inference-pipeline-real-time").
            "FROM scratch\nLABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n"
            'COPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n'
        )
        (image / "serve.py").write_text(f"# {number}")
        (artifact / "weights").write_text(number)
    return tmp_path

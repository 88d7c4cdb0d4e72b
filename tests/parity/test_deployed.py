"""The examples of the guide that make an endpoint are deployed with real containers, and answer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator, DeleteEndpointOperator
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import SERVING
from tests.operators.conftest import run_task
from tests.parity.conftest import run_dag
from tests.parity.examples import (
    ASSETS_BUCKET,
    EXAMPLES,
    REPOSITORY,
    TAG,
    VARIANT,
)

pytestmark = pytest.mark.engine

#: The examples that make an endpoint, and the variant that answers.
DEPLOYED = {
    "endpoint": VARIANT,
    "serverless": "serverlessVariant",
    "autoscaling": VARIANT,
    "metrics alarm": VARIANT,
    "full stack": VARIANT,
    "full stack as a task group": VARIANT,
}


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, debian_base_image: str) -> Path:
    """Return a folder with an image that serves, and an artifact."""
    folder = tmp_path_factory.mktemp("serving")
    image, artifact = folder / "image1", folder / "artifact1"
    image.mkdir()
    artifact.mkdir()
    (image / "Dockerfile").write_text(
        f'FROM {debian_base_image}\nCOPY serve.py /\nENTRYPOINT ["python3", "/serve.py"]\n'
    )
    (image / "serve.py").write_bytes(SERVING.read_bytes())
    (artifact / "weights").write_text("1")
    return folder


@pytest.fixture(scope="module")
def surroundings(docker_client: Any, serving: Path) -> Iterator[LocalAws]:
    """Return a local AWS with a Docker engine, and with ``repo:tag`` in it."""
    with LocalAws(engine="docker", transition_seconds=0) as local, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(local.connection()))
        local.client("s3").create_bucket(Bucket=ASSETS_BUCKET)
        with DAG("surroundings", schedule=None):
            image = BuildImageOperator(
                task_id="repo",
                directory=str(serving / "image1"),
                repository_name=REPOSITORY,
                image_tag=TAG,
                builder="docker",
            )
        run_task(image)
        yield local


@pytest.fixture
def empty(surroundings: LocalAws) -> Iterator[LocalAws]:
    """Return it without endpoints."""
    yield surroundings
    with DAG("take_away", schedule=None):
        run_task(DeleteEndpointOperator(task_id="delete", endpoint_name="Endpoint", poll_interval=0.1))


@pytest.mark.parametrize(("example", "variant"), DEPLOYED.items(), ids=DEPLOYED)
def test_the_endpoint_of_an_example_answers(
    empty: LocalAws, dag: DAG, serving: Path, example: str, variant: str
) -> None:
    write: Callable[[Path], None]
    write, _ = EXAMPLES[example]
    write(serving)
    run_dag(dag)
    answer = empty.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="Endpoint", ContentType="text/csv", Body=b"1,2"
    )
    body = json.loads(answer["Body"].read())
    assert answer["InvokedProductionVariant"] == variant
    assert body["body"] == "1,2"
    assert body["model"] == ({"weights": "1"} if example.startswith("full stack") else {})


def test_every_example_that_makes_an_endpoint_is_deployed() -> None:
    expected = Path(__file__).with_name("expected")
    with_endpoint = {
        example
        for example, (_, name) in EXAMPLES.items()
        if 'CreateEndpoint"' in (expected / f"{name}.json").read_text()
    }
    assert with_endpoint == set(DEPLOYED)

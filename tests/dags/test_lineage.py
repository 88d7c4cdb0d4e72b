"""The events of OpenLineage that the example DAGs write with Airflow's OpenLineage provider: inputs and outputs of each task."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.dags.test_run import BUCKET, ENDPOINT, WITHOUT_ENGINE, Chain, value

pytestmark = [pytest.mark.airflow_db, pytest.mark.timeout(900)]

HERE = "sagemaker://us-east-1"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    if find_spec("airflow.providers.openlineage") is None:
        # On the CI, a missing provider is a failure.
        (pytest.fail if os.environ.get("SM_HOSTING_REQUIRE_ENGINE") else pytest.skip)(
            "needs apache-airflow-providers-openlineage"
        )
    home = tmp_path_factory.mktemp("lineage")
    transport = {"type": "file", "log_file_path": str(home / "events.jsonl"), "append": True}
    options = {
        **WITHOUT_ENGINE,
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    }
    with LocalAws(engine="process", transition_seconds=0) as aws:
        yield Chain(aws, home, options)


class Event:
    """An event of a task: its type, and what it names.

    :param document: The event as OpenLineage writes it.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.kind = document["eventType"]
        self.task = document["job"]["name"].partition(".")[2]
        self.inputs = [(one["namespace"], one["name"]) for one in document["inputs"]]
        self.outputs = [(one["namespace"], one["name"]) for one in document["outputs"]]
        self.versions = {
            one["name"]: one["facets"]["version"]["datasetVersion"]
            for one in (*document["inputs"], *document["outputs"])
            if "version" in one.get("facets", {})
        }
        self.error = document["run"]["facets"].get("errorMessage", {}).get("message", "")


def events(chain: Chain) -> list[Event]:
    """Return the events of the tasks of the deploying DAG, and forget them."""
    path = chain.home / "events.jsonl"
    documents = [json.loads(line) for line in path.read_text().splitlines()]
    path.unlink()
    return [Event(one) for one in documents if one["job"]["name"].startswith("retrain_and_deploy.")]


def of(found: list[Event], kind: str, task: str) -> Event:
    return next(event for event in found if (event.kind, event.task) == (kind, task))


def test_each_task_names_what_it_read_and_made_and_a_failing_deployment_too(
    chain: Chain, tmp_path: Path
) -> None:
    ran = chain.run()
    assert ran["state"] == "success", ran["log"][-5000:]
    found = events(chain)

    registry, _, path = value(ran, "build_image").partition("/")
    repository, _, digest = path.partition("@")
    image = (f"docker://{registry}", repository)
    built = of(found, "COMPLETE", "build_image")
    assert (built.inputs, built.outputs, built.versions) == ([], [image], {repository: digest})

    artifact = (f"s3://{BUCKET}", value(ran, "upload_model_data").removeprefix(f"s3://{BUCKET}/"))
    folder = ("file", ran["choose_model"]["xcoms"]["path"])
    started = of(found, "START", "upload_model_data")
    assert (started.inputs, started.outputs) == ([folder], [])
    uploaded = of(found, "COMPLETE", "upload_model_data")
    assert (uploaded.inputs, uploaded.outputs) == ([folder], [artifact])

    model = (HERE, f"model/{value(ran, 'create_model')}")
    created = of(found, "COMPLETE", "create_model")
    assert (created.inputs, created.outputs) == ([image, artifact], [model])
    assert created.versions == {repository: digest}

    config = (HERE, f"endpoint-config/{value(ran, 'create_endpoint_config')}")
    configured = of(found, "COMPLETE", "create_endpoint_config")
    assert (configured.inputs, configured.outputs) == ([model], [config])

    endpoint = (HERE, f"endpoint/{ENDPOINT}")
    deploying = of(found, "START", "deploy_endpoint")
    assert (deploying.inputs, deploying.outputs) == ([config], [endpoint])
    deployed = of(found, "COMPLETE", "deploy_endpoint")
    assert (deployed.inputs[0], deployed.outputs) == (config, [endpoint])
    assert image in deployed.inputs

    # What only looks at the endpoint changes nothing.
    assert of(found, "COMPLETE", "plan").outputs == []

    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("no model at all")
    broken = chain.run(model_path=str(tmp_path / "model"))
    assert broken["state"] == "failed"
    found = events(chain)
    failed = of(found, "FAIL", "deploy_endpoint")
    wanted = (HERE, f"endpoint-config/{value(broken, 'create_endpoint_config')}")
    # The image and artifact that serve again are not what this deployment has read.
    assert (failed.inputs, failed.outputs) == ([wanted], [endpoint])
    assert "did not pass the ping health check" in failed.error

"""The examples of A/B and shadow tests run through Airflow, against the local AWS with containers that really run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer

pytestmark = [pytest.mark.airflow_db, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
DAGS = ROOT / "dags"

RUN = """
import json, sys
from datetime import timedelta
from pathlib import Path
try:
    from airflow.dag_processing.dagbag import DagBag
except ImportError:  # Airflow 3.1
    from airflow.models.dagbag import DagBag
folder, dag_id, conf = sys.argv[1:]
sys.path.append(folder)
bag = DagBag(f"{folder}/{dag_id}.py", bundle_path=Path(folder), safe_mode=False)
for task in bag.dags[dag_id].tasks:
    if hasattr(task, "time_to_wait"):
        task.time_to_wait = timedelta(milliseconds=10)  # nobody waits for the pause of a test
run = bag.dags[dag_id].test(logical_date=None, run_conf=json.loads(conf))
print("RUN" + json.dumps({"state": str(run.state), **{ti.task_id: str(ti.state) for ti in run.get_task_instances()}}))
"""


class Examples:
    """Runs the example DAGs, in a process and with a database of their own."""

    def __init__(self, aws: LocalAws, home: Path) -> None:
        self.aws = aws
        self.deployer = Deployer(aws)
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
        }
        self._ask([str(Path(sys.executable).parent / "airflow"), "db", "migrate"])
        image = self.deployer.push_image()
        for version in ("old", "new"):
            aws.client("sagemaker").create_model(
                ModelName=version,
                ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
                PrimaryContainer={"Image": image, "Environment": {"VERSION": version}},
            )
        aws.client("s3").create_bucket(Bucket="examples")

    def run(self, dag_id: str, **conf: Any) -> dict[str, str]:
        """Run a DAG; return its state and those of its tasks."""
        options = {"endpoint_name": dag_id.replace("_", "-"), "poll_interval": 0.5, **conf}
        shown = self._ask([sys.executable, "-c", RUN, str(DAGS), dag_id, json.dumps(options)])
        found = [line for line in shown.splitlines() if line.startswith("RUN")]
        assert found, shown[-5000:]
        return dict(json.loads(found[-1].removeprefix("RUN")))

    def _ask(self, command: list[str]) -> str:
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout

    def version(self, endpoint: str) -> str:
        return str(self.deployer.invoke(endpoint)["version"])


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        yield Examples(aws, tmp_path_factory.mktemp("examples"))


def test_the_challenger_wins_and_serves_alone(examples: Examples) -> None:
    # The latencies of two equal containers differ by chance.
    states = examples.run("ab_test", champion_model="old", challenger_model="new", slower=1000)
    assert states.pop("undo") == "skipped"
    assert set(states.values()) == {"success"}
    (variant,) = examples.deployer.describe("ab-test")["ProductionVariants"]
    assert (variant["VariantName"], examples.version("ab-test")) == ("challenger", "new")


def test_the_shadow_is_promoted(examples: Examples) -> None:
    states = examples.run(
        "shadow_test",
        production_model="old",
        shadow_model="new",
        captured="s3://examples/captured",
        least_agreement=0,
    )
    assert set(states.values()) == {"success"}
    assert examples.version("shadow-test") == "new"
    described = examples.deployer.describe("shadow-test")
    assert not described.get("ShadowProductionVariants")

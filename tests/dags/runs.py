"""Runs of example DAGs in a process and with a database of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer

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
    if isinstance(getattr(task, "poll_interval", None), (int, float)):
        task.poll_interval = 0.2
run = bag.dags[dag_id].test(logical_date=None, run_conf=json.loads(conf))
states = {ti.task_id if ti.map_index < 0 else f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}
print("RUN" + json.dumps({"state": str(run.state), **states}))
"""


class Examples:
    """Runs the example DAGs.

    :param aws: The local AWS.
    :param home: A folder for Airflow.
    :param folder: The folder of the DAG files.
    :param connections: Further environment variables, such as those of connections.
    """

    def __init__(self, aws: LocalAws, home: Path, folder: Path = DAGS, **connections: str) -> None:
        self.aws = aws
        #: The folder of the DAGs: a copy, to which a test adds what stands beside them.
        self.dags = home / "dags"
        shutil.copytree(folder, self.dags)
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            **connections,
        }
        self._ask([str(Path(sys.executable).parent / "airflow"), "db", "migrate"])

    def run(self, dag_id: str, **conf: Any) -> dict[str, str]:
        """Run a DAG; return its state and those of its tasks."""
        options = {"endpoint_name": dag_id.replace("_", "-"), "poll_interval": 0.5, **conf}
        shown = self._ask([sys.executable, "-c", RUN, str(self.dags), dag_id, json.dumps(options)])
        found = [line for line in shown.splitlines() if line.startswith("RUN")]
        assert found, shown[-5000:]
        print(shown)  # pytest shows it of a test that fails
        return dict(json.loads(found[-1].removeprefix("RUN")))

    def _ask(self, command: list[str]) -> str:
        return subprocess.run(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ).stdout


def make_models(aws: LocalAws) -> None:
    """Make the models "old" and "new", whose containers tell their name, and the bucket "examples"."""
    image = Deployer(aws).push_image()
    for version in ("old", "new"):
        aws.client("sagemaker").create_model(
            ModelName=version,
            ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
            PrimaryContainer={"Image": image, "Environment": {"VERSION": version}},
        )
    aws.client("s3").create_bucket(Bucket="examples")

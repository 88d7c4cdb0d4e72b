"""The example DAGs under Airflow's own scheduler, API server, DAG processor and triggerer (``airflow standalone``)."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from airflow_sm_hosting.local import LocalAws

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Airflow:
    """A running ``airflow standalone``, spoken to over its REST API."""

    def __init__(self, home: Path, aws: LocalAws) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.log = home / "standalone.log"
        environment = {
            **os.environ,
            # standalone starts "airflow" by name
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            "MODEL_STORE": str(home / "models"),
            "SM_HOSTING_ALLOW_MISSING_BASE": "1",
            "AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "airflow"), "standalone"],
                env=environment,
                stdout=log,
                stderr=log,
                # Its children ignore the parent's signals: the whole group is ended.
                start_new_session=True,
            )

    def api(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(method, f"{self.url}/api/v2/{path}", timeout=30, **options)
        answer.raise_for_status()
        return answer.json()

    def until(self, what: str, condition: Callable[[], Any], *, seconds: float = 240) -> Any:
        """Poll until the condition gives something, and return that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-5000:]
            try:
                if found := condition():
                    return found
            except requests.RequestException:
                pass  # it is still starting
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.log.read_text()[-8000:]}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(15)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(engine="process", transition_seconds=0.5) as aws:
        aws.client("s3").create_bucket(Bucket="sm-hosting-models")
        aws.client("iam").create_role(RoleName="SageMakerHostingRole", AssumeRolePolicyDocument="{}")
        yield aws


@pytest.fixture(scope="module")
def airflow(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    airflow = Airflow(tmp_path_factory.mktemp("standalone"), aws)
    try:
        yield airflow
    finally:
        airflow.stop()


def test_the_training_s_asset_event_starts_the_deployment_which_succeeds(
    airflow: Airflow, aws: LocalAws
) -> None:
    def parsed() -> bool:
        return {"train_model", "retrain_and_deploy"} <= {
            dag["dag_id"] for dag in airflow.api("GET", "dags?paused=true")["dags"]
        }

    airflow.until("the DAGs are parsed", parsed)
    assert airflow.api("GET", "importErrors")["total_entries"] == 0
    for dag_id in ("retrain_and_deploy", "train_model"):
        airflow.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})
    airflow.api("POST", "dags/train_model/dagRuns", json={"logical_date": None, "conf": {"seed": 3}})

    def ended() -> Any:
        runs = airflow.api("GET", "dags/retrain_and_deploy/dagRuns")["dag_runs"]
        return next((run for run in runs if run["state"] in ("success", "failed")), None)

    run = airflow.until("a deployment ends", ended)
    tasks = airflow.api("GET", f"dags/retrain_and_deploy/dagRuns/{run['dag_run_id']}/taskInstances")
    states = {task["task_id"]: task["state"] for task in tasks["task_instances"]}
    assert run["state"] == "success", states
    assert run["run_type"] == "asset_triggered"
    assert set(states.values()) == {"success"}
    assert len(states) == 9

    described = aws.client("sagemaker").describe_endpoint(EndpointName="breast-cancer")
    assert described["EndpointStatus"] == "InService"

    def xcom(task_id: str, key: str) -> Any:
        place = (
            f"dags/retrain_and_deploy/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/xcomEntries/{key}"
        )
        return airflow.api("GET", place, params={"deserialize": "false", "stringify": "false"})["value"]

    details = xcom("deploy_endpoint", "details")
    assert details["action"] == "create"
    assert details["endpoint_config_name"] == described["EndpointConfigName"]

    links = airflow.api(
        "GET", f"dags/retrain_and_deploy/dagRuns/{run['dag_run_id']}/taskInstances/deploy_endpoint/links"
    )["extra_links"]
    assert links["Endpoint"].endswith("#/endpoints/breast-cancer")
    assert "log-groups" in links["Endpoint logs"]

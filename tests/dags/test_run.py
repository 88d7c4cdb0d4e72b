"""The example DAGs run through Airflow against the local AWS, as ``make demo`` runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.datasets import load_breast_cancer

from airflow_sm_hosting import policies
from airflow_sm_hosting.local import LocalAws

pytestmark = [pytest.mark.airflow_db, pytest.mark.timeout(900)]

ROOT = Path(__file__).parent.parent.parent
RUN_DAGS = ROOT / "demo" / "run_dags.py"
ROLE = "SageMakerHostingRole"
BUCKET = "sm-hosting-models"
ENDPOINT = "breast-cancer"
WITHOUT_ENGINE = {"AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler", "SM_HOSTING_ALLOW_MISSING_BASE": "1"}


class Chain:
    """The two DAGs, run with ``dag.test(logical_date=None)`` in a process and with a database of their own."""

    def __init__(self, aws: LocalAws, home: Path, engine_options: dict[str, str]) -> None:
        self.aws = aws
        self.home = home
        self.environment = {
            **os.environ,
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            "MODEL_STORE": str(home / "models"),
            **engine_options,
        }
        aws.client("s3").create_bucket(Bucket=BUCKET)
        aws.client("iam").create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(policies.trust()))
        subprocess.run(
            [str(Path(sys.executable).parent / "airflow"), "db", "migrate"],
            env=self.environment,
            check=True,
            capture_output=True,
        )

    def run(self, *, seed: int = 7, **deploy: Any) -> dict[str, Any]:
        """Train and deploy; return the tasks of the deploying DAG by id, and ``log`` beside them."""
        report = self.home / "report.json"
        report.unlink(missing_ok=True)
        conf = {"poll_interval": 1, **deploy}
        done = subprocess.run(
            [
                *(sys.executable, str(RUN_DAGS), "--report", str(report)),
                *("--train", json.dumps({"seed": seed}), "--deploy", json.dumps(conf)),
            ],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert report.exists(), done.stdout[-5000:]
        found = json.loads(report.read_text())
        assert "retrain_and_deploy" in found, done.stdout[-5000:]
        deployed = found["retrain_and_deploy"]
        return {
            **{task["task_id"]: task for task in deployed["tasks"]},
            "state": deployed["state"],
            "log": done.stdout,
        }

    def ask(self) -> dict[str, Any]:
        """Ask the endpoint about three rows of the data set."""
        rows = load_breast_cancer().data[20:23].tolist()
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT,
            ContentType="application/json",
            Body=json.dumps({"instances": rows, "probabilities": True}),
        )
        return json.loads(answer["Body"].read())


@pytest.fixture(scope="module", params=["process", pytest.param("docker", marks=pytest.mark.engine)])
def chain(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chain]:
    options = WITHOUT_ENGINE
    if request.param == "docker":
        options = {"AIRFLOW_VAR_BASE_IMAGE": request.getfixturevalue("debian_base_image")}
    with LocalAws(engine=request.param, transition_seconds=0) as aws:
        yield Chain(aws, tmp_path_factory.mktemp(request.param), options)


@pytest.fixture(scope="module")
def first(chain: Chain) -> dict[str, Any]:
    ran = chain.run()
    assert ran["state"] == "success", ran["log"][-5000:]
    return ran


def value(ran: dict[str, Any], task_id: str) -> str:
    return str(ran[task_id]["xcoms"]["return_value"])


def details(ran: dict[str, Any], task_id: str) -> dict[str, Any]:
    return dict(ran[task_id]["xcoms"]["details"])


def mutating(aws: LocalAws) -> list[str]:
    return [request["operation"] for request in aws.requests() if request["mutating"]]


def test_the_first_run_ends_at_an_answering_endpoint(chain: Chain, first: dict[str, Any]) -> None:
    assert details(first, "deploy_endpoint")["action"] == "create"
    assert details(first, "smoke_test")["variant"] == "main"
    assert set(chain.ask()["labels"]) <= {"malignant", "benign"}
    assert "@sha256:" in value(first, "build_image")


def test_a_second_run_changes_nothing(chain: Chain, first: dict[str, Any]) -> None:
    chain.aws.clear_requests()
    again = chain.run()
    assert again["state"] == "success"
    assert mutating(chain.aws) == []
    chain_calls = [r for r in chain.aws.requests() if r["service"] != "sagemaker-runtime"]
    # The budget of seven tasks is 16; the plan describes the endpoint once more.
    assert len(chain_calls) <= 17, [r["operation"] for r in chain_calls]
    assert details(again, "deploy_endpoint")["action"] == "unchanged"
    for task_id in ("build_image", "upload_model_data", "create_model", "create_endpoint_config"):
        assert value(again, task_id) == value(first, task_id)


def test_a_changed_training_updates_the_same_endpoint_and_keeps_the_old_model(
    chain: Chain, first: dict[str, Any]
) -> None:
    before = chain.ask()
    changed = chain.run(seed=11)
    assert changed["state"] == "success", changed["log"][-5000:]
    told = details(changed, "deploy_endpoint")
    assert told["action"] == "update"
    assert told["previous_endpoint_config_name"] == value(first, "create_endpoint_config")
    for task_id in ("upload_model_data", "create_model", "create_endpoint_config"):
        assert value(changed, task_id) != value(first, task_id)
    assert value(changed, "build_image") == value(first, "build_image")
    assert chain.ask()["probabilities"] != before["probabilities"]
    sagemaker = chain.aws.client("sagemaker")
    models = {model["ModelName"] for model in sagemaker.list_models()["Models"]}
    assert {value(first, "create_model"), value(changed, "create_model")} <= models


def test_a_model_whose_container_crashes_fails_the_run_and_the_old_one_goes_on_answering(
    chain: Chain, first: dict[str, Any], tmp_path: Path
) -> None:
    before = chain.ask()
    serving = chain.aws.client("sagemaker").describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.json").write_text("no model at all")
    broken = chain.run(model_path=str(tmp_path / "model"))
    assert broken["state"] == "failed"
    assert broken["deploy_endpoint"]["state"] == "failed"
    assert f"it serves {serving}, not " in broken["log"]
    assert "did not pass the ping health check" in broken["log"]
    assert broken["smoke_test"]["state"] == "upstream_failed"
    assert chain.ask() == before

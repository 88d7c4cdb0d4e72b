"""A release whose plan a person approves, under Airflow's own scheduler and API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import make_model
from tests.standalone import DEFERRED_TRANSITION, Airflow

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

DAG_FILE = """
from airflow.sdk import DAG, Param
from airflow_sm_hosting import InstanceProductionVariant, ModelHostingTaskGroup

with DAG("release", schedule=None, params={"weight": Param(1, type="number")}):
    ModelHostingTaskGroup(
        endpoint_name="churn",
        production_variants=[
            InstanceProductionVariant(
                variant_name="main", model_name="model", initial_variant_weight="{{ params.weight }}"
            )
        ],
        approval=True,
        deploy_options={"poll_interval": 1, "deferrable": True},
    )
"""


@pytest.fixture
def aws() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=DEFERRED_TRANSITION) as aws:
        make_model(aws)
        yield aws


@pytest.fixture
def airflow(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("approval")
    dags = home / "dags"
    dags.mkdir()
    (dags / "release.py").write_text(DAG_FILE)
    airflow = Airflow(home, dags, {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection())})
    try:
        yield airflow
    finally:
        airflow.stop()


def started(airflow: Airflow, weight: float) -> dict[str, Any]:
    run: dict[str, Any] = airflow.api(
        "POST", "dags/release/dagRuns", json={"logical_date": None, "conf": {"weight": weight}}
    )
    return run


def question(airflow: Airflow, run: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """Wait until the plan is shown to a person; return the address of the question, and the question."""
    place = f"dags/release/dagRuns/{run['dag_run_id']}/taskInstances/model_hosting.approve/-1/hitlDetails"

    def asked() -> Any:
        try:
            return airflow.api("GET", place)
        except requests.HTTPError:
            return None

    found: dict[str, Any] = airflow.until("a person is asked", asked)
    airflow.until_released("release", "model_hosting.approve", run["dag_run_id"])
    return place, found


def end_of(airflow: Airflow, run: dict[str, Any]) -> dict[str, str]:
    """Wait until a run has ended; return the states of its tasks."""
    place = f"dags/release/dagRuns/{run['dag_run_id']}"
    airflow.until(f"{place} ends", lambda: airflow.api("GET", place)["state"] in ("success", "failed"))
    return {name.split(".")[-1]: one["state"] for name, one in airflow.task_instances(run).items()}


def test_a_person_approves_or_rejects_and_is_not_asked_about_nothing(airflow: Airflow, aws: LocalAws) -> None:
    airflow.unpause("release")
    sagemaker = aws.client("sagemaker")

    run = started(airflow, 1)
    place, asked = question(airflow, run)
    assert asked["subject"] == "Deploy to endpoint churn?"
    assert "## churn: create" in asked["body"]
    assert "### Risks" in asked["body"]
    airflow.api("PATCH", place, json={"chosen_options": ["Approve"], "params_input": {}})
    assert set(end_of(airflow, run).values()) == {"success"}
    details = airflow.xcom(run, "model_hosting.deploy_endpoint", "details")
    assert details["action"] == "create"
    assert details["approved_by"]
    first = sagemaker.describe_endpoint(EndpointName="churn")["EndpointConfigName"]

    same = started(airflow, 1)
    assert set(end_of(airflow, same).values()) == {"success"}
    assert airflow.xcom(same, "model_hosting.approve", "details")["asked"] is False

    other = started(airflow, 2)
    place, asked = question(airflow, other)
    assert "| **Traffic** | `main: weight` | `1.0` | `2.0` |" in asked["body"]
    airflow.api("PATCH", place, json={"chosen_options": ["Reject"], "params_input": {}})
    states = end_of(airflow, other)
    assert (states["approve"], states["deploy_endpoint"]) == ("success", "skipped")
    assert sagemaker.describe_endpoint(EndpointName="churn")["EndpointConfigName"] == first

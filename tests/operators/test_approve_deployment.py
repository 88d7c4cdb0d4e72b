"""A person approves a plan, and exactly this plan is carried out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import ApproveDeploymentOperator, PlanDeploymentOperator
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    Ran,
    deploy,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)

ANN = {"id": "1", "name": "ann"}
AT = datetime(2026, 11, 30, 10, tzinfo=UTC)


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    for name in ("c1", "c2", "c3"):
        make_config(aws, name, InitialVariantWeight=float(name[1]))
    return aws


def planned(config: str) -> dict[str, Any]:
    task = PlanDeploymentOperator(
        task_id=task_id(), endpoint_name="churn", endpoint_config_name=config, poll_interval=0.1
    )
    return run_task(task).details


def approval(plan: dict[str, Any], option: str = "Approve") -> dict[str, Any]:
    """Return what the approving task tells after the answer of a person. Asking needs a scheduler: see tests/dags/test_approval.py."""
    task = ApproveDeploymentOperator(task_id=task_id("approve"), plan=plan, body="the plan")
    ran = Ran()
    context: Any = {"ti": ran, "task": task}
    event = {
        "chosen_options": [option],
        "params_input": {},
        "responded_by_user": ANN,
        "responded_at": AT,
    }
    task.execute_complete(context, event)
    return ran.xcoms.get("details", {})


def test_what_was_approved_is_deployed_and_tells_who_approved(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    approved = approval(planned("c2"))
    assert approved["approved_by"] == "ann"

    end = outcome(deploy("c2", approval=approved))

    assert end.error is None
    assert (end.ran.details["approved_by"], end.ran.details["approved_at"]) == ("ann", AT.isoformat())
    again = outcome(deploy("c2", approval=approved))
    assert (again.error, again.ran.details["action"]) == (None, "unchanged")


def test_a_deployment_by_somebody_else_meanwhile_is_not_overwritten(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    approved = approval(planned("c2"))
    assert outcome(deploy("c3")).error is None
    configs.clear_requests()

    end = outcome(deploy("c2", approval=approved))

    assert isinstance(end.error, ConflictError)
    assert "serves config c3; when the plan was made, it served config c1" in str(end.error)
    assert operations(configs, mutating=True) == []


def test_nobody_is_asked_about_a_plan_without_changes(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    task = ApproveDeploymentOperator(task_id=task_id("approve"), plan=planned("c1"))

    end = outcome(task)

    assert end.error is None
    assert end.ran.details == {
        "serving": "c1",
        "target": "c1",
        "asked": False,
        "approved_by": None,
        "approved_at": None,
    }
    done = outcome(deploy("c1", approval=end.ran.details))
    assert done.error is None
    assert "approved_by" not in done.ran.details


def test_nobody_is_asked_about_a_refusal_and_the_deployment_tells_it(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1", tags={})
    plan = planned("c2")

    end = outcome(ApproveDeploymentOperator(task_id=task_id("approve"), plan=plan))

    assert (end.error, end.ran.details["asked"]) == (None, False)
    refused = outcome(deploy("c2", approval=end.ran.details)).error
    assert "adopt=True" in str(refused)


@pytest.mark.parametrize("plan", ["a text", {"action": "update"}, [1]])
def test_what_is_no_plan_is_an_error_of_the_dag_file(plan: Any) -> None:
    with pytest.raises(InvalidSpecError, match="allowed: the details of a PlanDeploymentOperator"):
        ApproveDeploymentOperator(task_id="approve", plan=plan)


def test_the_answer_of_a_default_names_nobody(configs: LocalAws, dag: DAG) -> None:
    task = ApproveDeploymentOperator(task_id=task_id("approve"), plan=planned("c1"))
    ran = Ran()
    context: Any = {"ti": ran, "task": task}
    task.execute_complete(
        context,
        {"chosen_options": ["Approve"], "params_input": {}, "responded_by_user": None, "responded_at": AT},
    )
    assert (ran.details["asked"], ran.details["approved_by"]) == (True, None)


def test_a_rejected_plan_tells_no_approval(configs: LocalAws, dag: DAG) -> None:
    assert approval(planned("c1"), "Reject") == {}


def test_a_switch_of_the_form_says_that_nobody_is_asked(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "c1")
    task = ApproveDeploymentOperator(
        task_id=task_id("approve"), plan=planned("c2"), required="{{ params.approval }}"
    )

    end = outcome(task, params={"approval": False})

    assert (end.error, end.ran.details["asked"]) == (None, False)
    assert outcome(deploy("c2", approval=end.ran.details)).error is None

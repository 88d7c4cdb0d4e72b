"""The operator of dashboards: it shows what serves, and writes only what differs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import CreateEndpointDashboardOperator, CreateLatencyAlarmOperator
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    deploy,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_config(aws, "c2", InitialVariantWeight=2.0)
    make_endpoint(aws, "c1")
    return aws


def dashboard(**options: Any) -> CreateEndpointDashboardOperator:
    return CreateEndpointDashboardOperator(
        **{"task_id": task_id("dashboard"), "endpoint_name": "churn", **options}
    )


def body(aws: LocalAws, name: str = "sagemaker-churn") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(
        aws.client("cloudwatch").get_dashboard(DashboardName=name)["DashboardBody"]
    )
    return found


def test_a_dashboard_is_made_and_a_rerun_changes_nothing(endpoint: LocalAws, dag: DAG) -> None:
    alarm = run_task(
        CreateLatencyAlarmOperator(
            task_id=task_id("alarm"),
            endpoint_name="churn",
            variant_name="main",
            threshold=1000,
            evaluation_periods=1,
        )
    ).value

    ran = run_task(dashboard(alarm_names=[alarm]))

    assert (ran.value, ran.details) == ("sagemaker-churn", {"written": True, "marks": 1})
    assert ran.xcoms["dashboard_link"].endswith("/ui/dashboards/sagemaker-churn?region=us-east-1")
    [shown] = [one for one in body(endpoint)["widgets"] if one["type"] == "alarm"]
    assert shown["properties"]["alarms"][0].endswith(f":alarm:{alarm}")
    endpoint.clear_requests()
    again = run_task(dashboard(alarm_names=[alarm]))
    assert again.details == {"written": False, "marks": 1}
    assert operations(endpoint, mutating=True) == []


def test_a_deployment_is_marked(endpoint: LocalAws, dag: DAG) -> None:
    run_task(dashboard())
    assert outcome(deploy("c2")).error is None

    assert run_task(dashboard()).details == {"written": True, "marks": 2}
    [marks] = {
        json.dumps([one["label"] for one in widget["properties"]["annotations"]["vertical"]])
        for widget in body(endpoint)["widgets"]
        if widget["type"] == "metric"
    }
    assert json.loads(marks) == ["deployed c1", "deployed c2"]


def test_the_range_of_scaling_is_shown(endpoint: LocalAws, dag: DAG) -> None:
    endpoint.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/churn/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=4,
    )
    run_task(dashboard(dashboard_name="mine"))
    [lines] = [
        one["properties"]["annotations"]["horizontal"]
        for one in body(endpoint, "mine")["widgets"]
        if "horizontal" in one["properties"].get("annotations", {})
    ]
    assert [one["value"] for one in lines] == [1, 4]


def test_a_dashboard_of_others_stays_as_it_is(endpoint: LocalAws, dag: DAG) -> None:
    theirs = json.dumps({"widgets": []})
    endpoint.client("cloudwatch").put_dashboard(DashboardName="sagemaker-churn", DashboardBody=theirs)

    assert isinstance(outcome(dashboard()).error, ConflictError)
    assert body(endpoint) == {"widgets": []}
    assert outcome(dashboard(adopt=True)).error is None
    assert len(body(endpoint)["widgets"]) > 3


def test_what_is_not_there_is_named(endpoint: LocalAws, dag: DAG) -> None:
    assert "'nowhere'" in str(outcome(dashboard(endpoint_name="nowhere")).error)
    missing = outcome(dashboard(alarm_names=["quiet", "loud"])).error
    assert isinstance(missing, NotFoundError)
    assert "quiet, loud" in str(missing)


@pytest.mark.parametrize("wrong", [{"dashboard_name": "a b"}, {"period": 30}, {"dashboard_name": ""}])
def test_bad_input_is_an_error_of_the_dag_file(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        dashboard(**wrong)

"""Deployments of each outcome: recorded by real tasks, shown by the page and the tab.

The configs exist: the test makes them in the local AWS.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_sm_hosting import Canary, DeployEndpointOperator, PlanDeploymentOperator, ShiftTrafficOperator

with DAG(
    dag_id="deploy_now",
    schedule=None,
    params={"endpoint": Param("churn", type="string"), "config": Param("c1", type="string")},
):
    PlanDeploymentOperator(
        task_id="plan", endpoint_name="{{ params.endpoint }}", endpoint_config_name="{{ params.config }}"
    ) >> DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="{{ params.endpoint }}",
        endpoint_config_name="{{ params.config }}",
        poll_interval=0.5,
        deferrable=False,
        retries=0,
    )

with DAG(
    dag_id="deploy_canary",
    schedule=None,
    params={"endpoint": Param("churn", type="string"), "config": Param("c1", type="string")},
):
    DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="{{ params.endpoint }}",
        endpoint_config_name="{{ params.config }}",
        rollout=Canary(size="50%", wait_interval=timedelta(seconds=60)),
        poll_interval=1,
        deferrable=True,
        retries=0,
    )

with DAG(
    dag_id="shift",
    schedule=None,
    params={"endpoint": Param("two", type="string")},
):
    ShiftTrafficOperator(
        task_id="shift",
        endpoint_name="{{ params.endpoint }}",
        weights={"blue": 70, "green": 30},
        poll_interval=0.5,
    )

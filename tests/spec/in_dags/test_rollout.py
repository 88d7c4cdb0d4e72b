"""What a rollout takes from Jinja and from upstream tasks."""

from __future__ import annotations

import pytest
from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import AllAtOnce, Canary, Linear, Rolling


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    canary = Canary(
        size="{{ x }}",
        wait_interval=output,
        termination_wait="{{ x }}",
        maximum_execution_timeout=output,
        auto_rollback_alarms=["{{ x }}", output],
    )
    policy = canary["BlueGreenUpdatePolicy"]
    assert policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] is output
    assert policy["MaximumExecutionTimeoutInSeconds"] is output
    assert canary["AutoRollbackConfiguration"]["Alarms"][1]["AlarmName"] is output
    Linear(step_size=output, wait_interval="{{ x }}")
    Rolling(maximum_batch_size="{{ x }}", wait_interval=output, rollback_maximum_batch_size=output)


@pytest.mark.parametrize("late", ["{{ params.alarms }}", "output"])
def test_all_alarm_names_at_once_may_come_from_upstream(late: str) -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    AllAtOnce(auto_rollback_alarms=output if late == "output" else late)

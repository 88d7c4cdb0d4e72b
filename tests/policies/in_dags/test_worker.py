"""The policy of the worker: for operators that are given as classes and as tasks."""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_sm_hosting import DeployEndpointOperator, InvokeEndpointOperator, policies
from tests.policies.test_worker import HERE, actions


def test_operators_are_named_in_any_form() -> None:
    class MyInvocation(InvokeEndpointOperator):
        """One of the user's own."""

    with DAG("test", schedule=None):
        task = InvokeEndpointOperator(task_id="smoke", endpoint_name="churn", body={})
    expected = policies.worker(["InvokeEndpointOperator"], **HERE)
    for form in (InvokeEndpointOperator, task, MyInvocation):
        assert policies.worker([form], **HERE) == expected
    both = policies.worker([DeployEndpointOperator, task], **HERE)
    assert actions(both) > actions(expected)

"""Deployments that tell by mail how they ended, in the worker and deferred; and a run that misses its deadline.

The configs exist: the test makes them in the local AWS.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import DAG, Param
from airflow.sdk.definitions.deadline import (  # type: ignore[attr-defined]  # as Airflow 3.1 has them
    AsyncCallback,
    DeadlineAlert,
    DeadlineReference,
)

from airflow_sm_hosting import DeployEndpointOperator

MAIL = SmtpNotifier(
    to="team@example.com",
    subject="{{ macros.sm_hosting.deployment_message().splitlines()[0] }}",
    html_content="<pre>{{ macros.sm_hosting.deployment_message() | e }}</pre>",
)
ENDINGS = ("on_success_callback", "on_failure_callback", "on_retry_callback", "on_skipped_callback")

for deferrable in (False, True):
    with DAG(
        "deferred" if deferrable else "in_the_worker",
        schedule=None,
        params={"endpoint": Param("churn", type="string"), "config": Param("c1", type="string")},
        default_args=dict.fromkeys(ENDINGS, MAIL),
    ):
        DeployEndpointOperator(
            task_id="deploy",
            endpoint_name="{{ params.endpoint }}",
            endpoint_config_name="{{ params.config }}",
            deferrable=deferrable,
            poll_interval=0.5,
        )

with DAG(
    "late",
    schedule=None,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(seconds=1),
        callback=AsyncCallback(
            SmtpNotifier,
            kwargs={
                "to": "team@example.com",
                "subject": "{{ dag_run.dag_id }} is late",
                "html_content": "{{ dag_run.dag_run_id }}",
            },
        ),
    ),
    params={"endpoint": Param("late", type="string"), "config": Param("c1", type="string")},
):
    DeployEndpointOperator(
        task_id="deploy",
        endpoint_name="{{ params.endpoint }}",
        endpoint_config_name="{{ params.config }}",
        poll_interval=0.5,
    )

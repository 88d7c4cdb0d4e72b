"""Roll an endpoint back to the config that served before: the page "Endpoints" links to the form of this DAG.

A rollback is urgent: a run that has not ended after half an hour is told in the log of the triggerer (docs/events.md has how it is mailed).

Start it from Airflow's UI (or ``airflow dags trigger rollback_endpoint --conf '{"endpoint_name": "churn"}'``).
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

# From 3.2 on, airflow.sdk has these three, too.
from airflow.sdk.definitions.deadline import AsyncCallback, DeadlineAlert, DeadlineReference

from airflow_sm_hosting import RollbackEndpointOperator
from airflow_sm_hosting.notifications import log_missed_deadline

with DAG(
    dag_id="rollback_endpoint",
    schedule=None,
    tags=["sagemaker", "rollback"],
    doc_md=__doc__,
    deadline=DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT,
        interval=timedelta(minutes=30),
        callback=AsyncCallback(log_missed_deadline),
    ),
    params={
        "endpoint_name": Param(
            type="string",
            minLength=1,
            maxLength=63,
            pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$",
            errorMessage="Only letters, digits and inner hyphens",
            title="Endpoint",
            description="The name of the endpoint to roll back.",
        ),
        "endpoint_config_name": Param(
            None,
            type=["null", "string"],
            maxLength=63,
            title="Back to",
            description="An endpoint config that still exists. Empty: the one that served before.",
        ),
        "region_name": Param(
            None,
            type=["null", "string"],
            title="Region",
            description="An AWS Region. Empty: the Region of the connection.",
        ),
    },
) as dag:
    RollbackEndpointOperator(
        task_id="rollback",
        endpoint_name="{{ params.endpoint_name }}",
        endpoint_config_name="{{ params.endpoint_config_name }}",
        region_name="{{ params.region_name }}",
        deferrable=True,
        poll_interval=timedelta(seconds=15),
        retries=1,
    )

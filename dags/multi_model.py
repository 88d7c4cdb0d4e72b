"""Serve the models of many tenants from one endpoint: a multi-model endpoint.

Each tenant's model is a folder in ``tenants`` beside this file. All artifacts are under one prefix of the bucket, and the container loads the
one that a request names (``TargetModel``). A tenant more, or a tenant's new model, is an upload: the endpoint stays as it is.
"""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    ModelHostingTaskGroup,
    UploadModelDataOperator,
)

TENANTS = ("acme", "globex")
# The registry of the framework images has an account of its own in each Region: this is that of us-east-1.
SERVING = ContainerImage.from_dlc("sagemaker-xgboost", "1.7-1", account_id="683313688378")


def target_of(uri: str) -> str:
    """Return what a request calls a model: its key below the prefix."""
    return uri.partition("/tenants/")[2]


with DAG(
    "multi_model",
    description="Serve the models of many tenants from one endpoint.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "endpoint_name": Param("tenants", type="string", title="Endpoint"),
        "bucket_name": Param("sm-hosting-models", type="string", title="Bucket of the artifacts"),
        "execution_role": Param("SageMakerHostingRole", type="string", title="Execution role"),
        "poll_interval": Param(30, type="number", minimum=0.1, title="Seconds between two polls"),
    },
):
    uploads = UploadModelDataOperator.partial(
        task_id="upload_model_data", bucket_name="{{ params.bucket_name }}"
    ).expand_kwargs([{"path": f"tenants/{name}", "key_prefix": f"tenants/{name}"} for name in TENANTS])
    tenants = ModelHostingTaskGroup(
        group_id="endpoint",
        endpoint_name="{{ params.endpoint_name }}",
        models={
            "tenants": [
                ContainerDefinition(
                    image=SERVING, model_data="s3://{{ params.bucket_name }}/tenants/", mode="MultiModel"
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(model_name="tenants", variant_name="main", instance_type="ml.m5.large")
        ],
        execution_role="{{ params.execution_role }}",
        deploy_options={"poll_interval": "{{ params.poll_interval }}"},
    )
    uploads >> tenants
    tenants >> InvokeEndpointOperator.partial(
        task_id="ask", endpoint_name="{{ params.endpoint_name }}", body="1.0,2.0", content_type="text/csv"
    ).expand(target_model=uploads.output.map(target_of))

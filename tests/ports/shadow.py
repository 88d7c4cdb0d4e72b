"""The latest approved version in the shadow of the one that serves, a report of both, and the shadow's promotion."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG, Param

from airflow_sm_hosting import (
    ContainerDefinition,
    DataCapture,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
    PromoteShadowOperator,
    ReportShadowOperator,
)


def variant(name: str, model: str) -> InstanceProductionVariant:
    return InstanceProductionVariant(variant_name=name, model_name=model, instance_type="ml.m5.large")


with DAG(
    "shadow",
    schedule=None,
    start_date=datetime(2026, 1, 1),
    params={"serving": Param("1", type="string", title="Version that serves")},
):
    test = ModelHostingTaskGroup(
        group_id="test",
        endpoint_name="risk",
        models={
            "risk": [ContainerDefinition(model_package=ModelPackage.version("risk/{{ params.serving }}"))],
            "risk-next": [ContainerDefinition(model_package=ModelPackage.latest_approved("risk"))],
        },
        production_variants=[variant("production", "risk")],
        shadow_production_variants=[variant("shadow", "risk-next")],
        endpoint_config_options={
            "data_capture_config": DataCapture(
                destination_s3_uri="s3://risk-data/captured",
                initial_sampling_percentage=100,
                csv_content_types=["text/csv"],
            )
        },
        execution_role="SageMakerHostingRole",
        smoke_test={"body": "1,2,3", "content_type": "text/csv"},
    )
    (
        test
        >> ReportShadowOperator(task_id="report", endpoint_name="risk")
        >> PromoteShadowOperator(task_id="promote", endpoint_name="risk")
    )

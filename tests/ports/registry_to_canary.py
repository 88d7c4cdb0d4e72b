"""The latest approved version of a model: first on staging, where it is asked, then on production, where a canary goes first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from airflow.sdk import DAG

from airflow_sm_hosting import (
    Canary,
    ContainerDefinition,
    DataCapture,
    EndpointMetric,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
)

CANARY = Canary(size="10%", wait_interval=300, termination_wait=120, maximum_execution_timeout=1800)
ERRORS = {
    "variant_name": "main",
    "metric": EndpointMetric.invocation_5xx_errors(period=60),
    "threshold": 1,
    "evaluation_periods": 1,
    "alarm_name": "abalone-production-5xx",
}


def deploy(stage: str, captured: int, **options: Any) -> ModelHostingTaskGroup:
    return ModelHostingTaskGroup(
        group_id=stage,
        endpoint_name=f"abalone-{stage}",
        models={
            f"abalone-{stage}": [ContainerDefinition(model_package=ModelPackage.latest_approved("abalone"))]
        },
        production_variants=[
            InstanceProductionVariant(
                model_name=f"abalone-{stage}",
                variant_name="main",
                instance_type="ml.m5.large",
                initial_instance_count=3,
            )
        ],
        endpoint_config_options={
            "data_capture_config": DataCapture(
                destination_s3_uri=f"s3://abalone-data/captured-{stage}",
                initial_sampling_percentage=captured,
                csv_content_types=["text/csv"],
            )
        },
        execution_role="SageMakerHostingRole",
        smoke_test={"body": "0.455,0.365,0.095", "content_type": "text/csv"},
        tags={"stage": stage},
        **options,
    )


with DAG("registry_to_canary", schedule=None, start_date=datetime(2026, 1, 1)):
    deploy("staging", 100) >> deploy(
        "production", 80, rollback_alarms=[ERRORS], deploy_options={"rollout": CANARY}
    )

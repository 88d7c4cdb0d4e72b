"""Many models of scikit-learn behind one endpoint, read from S3 with each request, and not cached."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    MultiModel,
)

IMAGE = ContainerImage.from_dlc("sagemaker-scikit-learn", "1.0-1-cpu-py3", account_id="683313688378")
SETTINGS = {
    "SAGEMAKER_CONTAINER_LOG_LEVEL": "20",
    "SAGEMAKER_PROGRAM": "score.py",
    "SAGEMAKER_REGION": "us-east-1",
    "SAGEMAKER_SUBMIT_DIRECTORY": "s3://forecasts/source/sourcedir.tar.gz",
}

with DAG("multi_model", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="forecasts",
        endpoint_name="forecasts",
        models={
            "forecasts": [
                ContainerDefinition(
                    image=IMAGE,
                    model_data="s3://forecasts/models/",
                    mode="MultiModel",
                    multi_model=MultiModel(model_cache_setting="Disabled"),
                    environment=SETTINGS,
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(
                model_name="forecasts",
                variant_name="main",
                instance_type="ml.c5.xlarge",
                initial_instance_count=2,
            )
        ],
        execution_role="SageMakerHostingRole",
        smoke_test={"body": "1.0,2.0", "content_type": "text/csv", "target_model": "north.tar.gz"},
    )

"""A model of the Hugging Face hub on a serverless endpoint."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    ModelHostingTaskGroup,
    ServerlessProductionVariant,
)

IMAGE = ContainerImage.from_dlc(
    "huggingface-pytorch-inference", "1.9.1-transformers4.12.3-cpu-py38-ubuntu20.04"
)
SETTINGS = {
    "HF_MODEL_ID": "distilbert-base-uncased-finetuned-sst-2-english",
    "HF_TASK": "text-classification",
    "MMS_DEFAULT_WORKERS_PER_MODEL": "1",
}

with DAG("serverless", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="reviews",
        endpoint_name="reviews",
        models={"reviews": [ContainerDefinition(image=IMAGE, environment=SETTINGS)]},
        production_variants=[
            ServerlessProductionVariant(
                model_name="reviews", variant_name="reviews", max_concurrency=8, memory_size_in_mb=6144
            )
        ],
        execution_role="SageMakerHostingRole",
        smoke_test={"body": {"inputs": "I would buy it again."}},
    )

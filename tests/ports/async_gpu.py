"""An asynchronous endpoint on GPUs: answers to S3 and SNS, instances by the backlog, none when there is none."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    AsyncInference,
    ContainerDefinition,
    ContainerImage,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ScaleFromZero,
)

BUCKET = "pictures"
TOPICS = "arn:aws:sns:us-east-1:123456789012:pictures"

with DAG("async_gpu", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="pictures",
        endpoint_name="pictures",
        models={
            "pictures": [
                ContainerDefinition(
                    image=ContainerImage.from_ecr_repository("pictures", "latest"),
                    model_data=f"s3://{BUCKET}/data/model.tar.gz",
                    environment={"S3_BUCKET_NAME": BUCKET, "SERVICE_TYPE": "pictures"},
                )
            ]
        },
        production_variants=[
            InstanceProductionVariant(
                model_name="pictures", variant_name="prod", instance_type="ml.g5.2xlarge"
            )
        ],
        endpoint_config_options={
            "async_inference_config": AsyncInference(
                s3_output_path=f"s3://{BUCKET}/answers/",
                success_topic=f"{TOPICS}-done",
                error_topic=f"{TOPICS}-failed",
                max_concurrent_invocations_per_instance=1,
            )
        },
        scaling={
            "prod": {
                "max_capacity": 3,
                "from_zero": ScaleFromZero(target_value=3, scale_in_cooldown=180, scale_out_cooldown=60),
            }
        },
        execution_role="SageMakerHostingRole",
        smoke_test={"body": {"prompt": "a lighthouse"}},
    )

"""An approved model in a VPC: disks and captured data encrypted with a key of ours, under a role that may no more than that."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    DataCapture,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
    VpcConfig,
)

KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
NETWORK = {
    "subnets": ["subnet-0aaaaaaaaaaaaaaaa", "subnet-0bbbbbbbbbbbbbbbb"],
    "security_group_ids": ["sg-0ccccccccccccccccc"],
}

with DAG("vpc_and_kms", schedule=None, start_date=datetime(2026, 1, 1)):
    ModelHostingTaskGroup(
        group_id="claims",
        endpoint_name="claims",
        models={"claims": [ContainerDefinition(model_package=ModelPackage.latest_approved("claims"))]},
        production_variants=[
            InstanceProductionVariant(model_name="claims", variant_name="main", instance_type="ml.m5.large")
        ],
        model_options={"vpc_config": VpcConfig(**NETWORK), "enable_network_isolation": True},
        endpoint_config_options={
            "kms_key_id": KEY,
            "data_capture_config": DataCapture(
                destination_s3_uri="s3://claims-data/captured",
                initial_sampling_percentage=50,
                kms_key_id=KEY,
                csv_content_types=["text/csv"],
                json_content_types=["application/json"],
            ),
        },
        execution_role="claims-hosting",
        role_options={
            **NETWORK,
            "repositories": ["claims"],
            "model_data": ["s3://claims-data/models/"],
            "kms_key_ids": [KEY],
            "output_data": ["s3://claims-data/captured"],
            "output_kms_key_ids": [KEY],
            "volume_kms_key_ids": [KEY],
        },
        tags={"project": "claims"},
    )

"""A model approved in the account of experiments, deployed to the VPC of the account of production."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    CopyImageOperator,
    CopyModelDataOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
    VpcConfig,
)

EXPERIMENTS, PRODUCTION = "aws_experiments", "aws_production"
APPROVED = "ti.xcom_pull(task_ids='approved', key='details')['model_packages'][0]"
NETWORK = {"subnets": ["subnet-0aaaaaaaaaaaaaaaa"], "security_group_ids": ["sg-0bbbbbbbbbbbbbbbb"]}
KEY = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"

with DAG("multi_account", schedule=None, start_date=datetime(2026, 1, 1)):
    approved = CreateModelOperator(
        task_id="approved",
        model_name="fraud",
        containers=[ContainerDefinition(model_package=ModelPackage.latest_approved("fraud"))],
        execution_role="SageMakerHostingRole",
        aws_conn_id=EXPERIMENTS,
    )
    copies = {"aws_conn_id": PRODUCTION, "source_aws_conn_id": EXPERIMENTS}
    image = CopyImageOperator(
        task_id="image", image=f"{{{{ {APPROVED}['images'][0] }}}}", repository_name="fraud", **copies
    )
    artifact = CopyModelDataOperator(
        task_id="artifact",
        model_data=f"{{{{ {APPROVED}['model_data'][0] }}}}",
        bucket_name="production-models",
        key_prefix="fraud",
        kms_key_id=KEY,
        **copies,
    )
    approved >> [image, artifact]
    ModelHostingTaskGroup(
        group_id="endpoint",
        endpoint_name="fraud",
        models={"fraud": [ContainerDefinition(image=image.output, model_data=artifact.output)]},
        production_variants=[
            InstanceProductionVariant(model_name="fraud", variant_name="main", instance_type="ml.m5.large")
        ],
        model_options={"vpc_config": VpcConfig(**NETWORK)},
        execution_role="fraud-hosting",
        role_options={
            **NETWORK,
            "repositories": ["fraud"],
            "model_data": ["s3://production-models/fraud/"],
            "kms_key_ids": [KEY],
        },
        smoke_test={"body": "1,2,3", "content_type": "text/csv"},
        aws_conn_id=PRODUCTION,
    )

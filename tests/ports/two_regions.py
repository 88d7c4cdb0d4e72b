"""The latest approved version of a model in two Regions: where it was trained, then in the other with copies of image and artifact."""

from __future__ import annotations

from datetime import datetime

from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    CopyImageOperator,
    CopyModelDataOperator,
    CreateModelOperator,
    DataCapture,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
    deploy_in_waves,
)

HOME, OTHER = "us-east-1", "eu-west-1"
APPROVED = "ti.xcom_pull(task_ids='approved', key='details')['model_packages'][0]"


def deploy(region: str) -> None:
    model = approved.output
    if region != HOME:
        image = CopyImageOperator(
            task_id="image",
            image=f"{{{{ {APPROVED}['images'][0] }}}}",
            repository_name="churn",
            region_name=region,
        )
        artifact = CopyModelDataOperator(
            task_id="artifact",
            model_data=f"{{{{ {APPROVED}['model_data'][0] }}}}",
            bucket_name=f"churn-{region}",
            region_name=region,
        )
        model = CreateModelOperator(
            task_id="model",
            model_name="churn",
            containers=[ContainerDefinition(image=image.output, model_data=artifact.output)],
            execution_role="SageMakerHostingRole",
            region_name=region,
        ).output
    ModelHostingTaskGroup(
        group_id="endpoint",
        endpoint_name="churn",
        production_variants=[
            InstanceProductionVariant(model_name=model, variant_name="main", instance_type="ml.m5.large")
        ],
        endpoint_config_options={
            "data_capture_config": DataCapture(
                destination_s3_uri=f"s3://churn-{region}/captured", initial_sampling_percentage=100
            )
        },
        smoke_test={"body": "1,2,3", "content_type": "text/csv"},
        region_name=region,
    )


with DAG("two_regions", schedule=None, start_date=datetime(2026, 1, 1)):
    approved = CreateModelOperator(
        task_id="approved",
        model_name="churn",
        containers=[ContainerDefinition(model_package=ModelPackage.latest_approved("churn"))],
        execution_role="SageMakerHostingRole",
        region_name=HOME,
    )
    approved >> deploy_in_waves([[HOME], [OTHER]], deploy)

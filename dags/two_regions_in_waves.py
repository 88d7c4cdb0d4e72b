"""Deploy a model to two Regions, one after the other, with a pause and a test between.

The image and the artifact are made in one Region, and copied to each. If anything fails in the first Region, or its test after the pause,
nothing is changed in the second one. Clear the failed task to go on.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import DAG, Param

from airflow_sm_hosting import (
    ContainerDefinition,
    CopyImageOperator,
    CopyModelDataOperator,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    DeployEndpointOperator,
    InstanceProductionVariant,
    InvokeEndpointOperator,
    deploy_in_waves,
)

WAVES = [["us-east-1"], ["eu-west-1"]]


def deploy(region: str) -> None:
    """Make the tasks of a Region."""
    image = CopyImageOperator(
        task_id="copy_image",
        image="{{ params.image }}",
        repository_name="{{ params.name }}",
        region_name=region,
    )
    model_data = CopyModelDataOperator(
        task_id="copy_model_data",
        model_data="{{ params.model_data }}",
        bucket_name=f"{{{{ params.bucket }}}}-{region}",
        key_prefix="{{ params.name }}",
        region_name=region,
    )
    model = CreateModelOperator(
        task_id="create_model",
        model_name="{{ params.name }}",
        containers=[ContainerDefinition(image=image.output, model_data=model_data.output)],
        execution_role="{{ params.execution_role }}",
        region_name=region,
    )
    config = CreateEndpointConfigOperator(
        task_id="create_endpoint_config",
        endpoint_config_name="{{ params.name }}",
        production_variants=[
            InstanceProductionVariant(
                variant_name="main", model_name=model.output, instance_type="{{ params.instance_type }}"
            )
        ],
        region_name=region,
    )
    DeployEndpointOperator(
        task_id="deploy_endpoint",
        endpoint_name="{{ params.name }}",
        endpoint_config_name=config.output,
        poll_interval="{{ params.poll_interval }}",
        region_name=region,
    )


def verify(region: str) -> None:
    """Ask a Region's endpoint after the pause."""
    InvokeEndpointOperator(
        task_id="ask",
        endpoint_name="{{ params.name }}",
        requests_file="sample_requests.jsonl",
        region_name=region,
    )


with DAG(
    "two_regions_in_waves",
    description="Deploy a model to two Regions, one after the other, with a pause and a test between.",
    doc_md=__doc__,
    schedule=None,
    start_date=datetime(2026, 1, 1),
    max_active_runs=1,
    tags=["sm-hosting", "example"],
    params={
        "name": Param("two-regions", type="string", title="Name of repository, model and endpoint"),
        "image": Param(
            "123456789012.dkr.ecr.us-east-1.amazonaws.com/two-regions:latest", type="string", title="Image"
        ),
        "model_data": Param(
            "s3://sm-hosting-models/model.tar.gz", type="string", title="Artifact, in any Region"
        ),
        "bucket": Param("sm-hosting-models", type="string", title="Buckets, without -<Region> at their end"),
        "execution_role": Param("SageMakerExecutionRole", type="string", title="Role of the models"),
        "instance_type": Param("ml.m5.large", type="string", title="Instance type"),
        "poll_interval": Param(10, type="number", minimum=0.1, title="Seconds between two polls"),
    },
) as dag:
    deploy_in_waves(WAVES, deploy, verify=verify, bake=timedelta(minutes=10))

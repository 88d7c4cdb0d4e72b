"""What a production variant takes from Jinja and from upstream tasks."""

from __future__ import annotations

import copy

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import InstanceProductionVariant, ServerlessProductionVariant


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    options = {
        "instance_type": "{{ params.type }}",
        "initial_instance_count": "{{ params.count }}",
        "initial_variant_weight": output,
        "container_startup_health_check_timeout": "{{ params.timeout }}",
        "model_data_download_timeout": output,
        "volume_size_in_gb": "{{ params.size }}",
    }
    before = copy.copy(options)
    variant = InstanceProductionVariant(model_name=output, variant_name="{{ params.name }}", **options)
    assert options == before
    assert variant["ModelName"] is output
    assert variant["InitialVariantWeight"] is output
    assert variant["ModelDataDownloadTimeoutInSeconds"] is output
    assert variant["ContainerStartupHealthCheckTimeoutInSeconds"] == "{{ params.timeout }}"
    serverless = ServerlessProductionVariant(
        model_name=output,
        variant_name="{{ x }}",
        max_concurrency=output,
        memory_size_in_mb="{{ x }}",
        provisioned_concurrency=output,
    )
    assert serverless["ServerlessConfig"]["MaxConcurrency"] is output
    assert serverless["ServerlessConfig"]["ProvisionedConcurrency"] is output

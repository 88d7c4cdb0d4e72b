"""What a container takes from Jinja and from upstream tasks."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import ContainerDefinition, ContainerImage, ModelData


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    container = ContainerDefinition(
        image=output,
        model_data="{{ params.artifact }}",
        environment={"{{ params.key }}": "{{ params.value }}", "UPSTREAM": output},
        container_hostname="{{ params.host }}",
        mode="{{ params.mode }}",
    )
    assert container["Image"] is output
    assert container["Environment"]["UPSTREAM"] is output
    assert container["ModelDataUrl"] == "{{ params.artifact }}"
    assert ContainerDefinition(image="{{ x }}", environment="{{ x }}")["Environment"] == "{{ x }}"


def test_references_pass_what_is_rendered_later() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    assert ModelData.from_asset(output)["Path"] is output
    assert ModelData.from_bucket(output, "{{ params.key }}")["Bucket"] is output
    assert ContainerImage.from_asset(output)["Directory"] is output
    assert ContainerImage.from_ecr_repository(output, output)["Tag"] is output

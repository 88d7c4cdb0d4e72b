"""What a model takes from Jinja and from upstream tasks."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting.spec.model import check_model
from tests.spec.test_model import container


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    check_model(
        containers=output, subnets=output, security_group_ids=["sg"], inference_execution_mode="{{ x }}"
    )
    check_model(containers="{{ params.containers }}", subnets="{{ x }}")
    check_model(
        containers=[output, container(container_hostname="{{ x }}"), container(container_hostname="{{ x }}")]
    )
    check_model(containers=[container(image=output, model_data=output, environment=output)])

"""What an endpoint config takes from Jinja and from upstream tasks."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config
from tests.spec.test_endpoint_config import variant


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    check_endpoint_config(production_variants=output, shadow_production_variants="{{ x }}")
    check_endpoint_config(production_variants=[output, variant("{{ x }}"), variant("{{ x }}")])

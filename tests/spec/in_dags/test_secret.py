"""Hidden values that Airflow renders."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting.spec.secret import (
    Hidden,
    hide_environments,
)
from tests.spec.test_secret import SECRET


def test_what_is_rendered_later_stays_to_be_rendered() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    environment = {"JINJA": "{{ var.value.key }}", "UPSTREAM": output, "PLAIN": SECRET}
    hidden = hide_environments([{"Environment": environment}])[0]["Environment"]
    assert hidden["JINJA"] == "{{ var.value.key }}"
    assert hidden["UPSTREAM"] is output
    assert hidden["PLAIN"] == Hidden(SECRET)
    assert hide_environments(output) is output
    assert hide_environments("{{ params.containers }}") == "{{ params.containers }}"

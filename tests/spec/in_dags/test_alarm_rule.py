"""Alarms of a rule that upstream tasks name."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import AlarmRule
from airflow_sm_hosting.spec.alarm_rule import check_rule


def test_names_may_come_later() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    rule = AlarmRule.any_of(output, AlarmRule.not_("{{ x }}"))
    assert rule["Operands"][0] is output
    check_rule("r", rule)
    check_rule("r", output)
    check_rule("r", "{{ rule }}")

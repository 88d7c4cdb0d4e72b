"""What Airflow fills in later is not checked before."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, literal
from airflow.sdk.bases.operator import BaseOperator

from tests.spec.test_literal_and_rendered_values import CHECKS


def late_values() -> list[Any]:
    """What is no text with Jinja: an XComArg, a DAG param, a literal."""
    with DAG("late", schedule=None, params={"x": 1}) as dag:
        output = BaseOperator(task_id="upstream").output
        return [output, output["key"], dag.param("x"), literal("text")]


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS.keys())
@pytest.mark.parametrize("value", late_values(), ids=lambda value: type(value).__name__)
def test_what_airflow_fills_in_later_passes_every_check(check: Any, value: Any) -> None:
    check(value)

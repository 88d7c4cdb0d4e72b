"""What a metric takes from Jinja and from upstream tasks."""

from __future__ import annotations

from airflow.sdk import DAG
from airflow.sdk.bases.operator import BaseOperator

from airflow_sm_hosting import EndpointMetric, MetricMath
from airflow_sm_hosting.spec.metric import (
    check_metric,
)


def test_jinja_and_xcom_args_pass_untouched() -> None:
    with DAG("d", schedule=None):
        output = BaseOperator(task_id="upstream").output
    metric = EndpointMetric(
        output, "{{ x }}", period="{{ x }}", statistic=output, dimensions={"A": output}, unit="{{ x }}",
        label=output, account_id="{{ x }}",
    )  # fmt: skip
    assert metric["Namespace"] is output
    assert metric["Period"] == "{{ x }}"
    math = MetricMath(
        expression="{{ x }}", metrics={"a": output, "b": metric}, label=output, period="{{ x }}"
    )
    assert math["Metrics"]["a"] is output
    check_metric(output)

"""The values of a metric, for tasks of one's own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters


class _MetricReader(AwsParameters):
    def __init__(
        self,
        aws_conn_id: str | None,
        region_name: str | None,
        verify: bool | str | None,
        botocore_config: dict[str, Any] | None,
    ) -> None:
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config


def get_metric(
    metric: dict[str, Any],
    *,
    endpoint_name: str,
    variant_name: str,
    lookback: float | timedelta | None = None,
    start: datetime | str | None = None,
    end: datetime | str | None = None,
    aws_conn_id: str | None = DEFAULT_CONNECTION,
    region_name: str | None = None,
    verify: bool | str | None = None,
    botocore_config: dict[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return the values of a metric, oldest first, as plain JSON; for use inside a ``@task`` (``cloudwatch:GetMetricData``).

    .. code-block:: python

        @task
        def errors() -> list:
            return get_metric(EndpointMetric.error_rate(), endpoint_name="churn", variant_name="main", lookback=900)

    :param metric: An :class:`~airflow_sm_hosting.EndpointMetric` or a :class:`~airflow_sm_hosting.MetricMath`.
    :param endpoint_name: Value of the dimension EndpointName, in its exact case.
    :param variant_name: Value of the dimension VariantName.
    :param lookback: Seconds or a timedelta before ``end``, more than 0 (default: an hour, where ``start`` is not given).
    :param start: A datetime with a time zone, or the same in ISO 8601; rounded down to a whole period.
    :param end: The same, exclusive (default: now).
    :param aws_conn_id: The Airflow connection used for AWS credentials (default: ``aws_default``), as of the operators.
    :param region_name: AWS Region (default: the connection's).
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle (default: the connection's).
    :param botocore_config: Configuration of the botocore clients as a dict (default: the connection's ``config_kwargs``).
    :raises InvalidSpecError: For what CloudWatch would refuse or has no data of, before the first AWS call.
    :return: ``[{"timestamp": "2026-11-23T04:00:00+00:00", "value": 0.5}, …]``; periods without data are absent.
    """
    hook = _MetricReader(aws_conn_id, region_name, verify, botocore_config).cloudwatch_hook
    points = hook.get_metric(metric, endpoint_name, variant_name, lookback=lookback, start=start, end=end)
    return [{"timestamp": at.isoformat(), "value": value} for at, value in points]

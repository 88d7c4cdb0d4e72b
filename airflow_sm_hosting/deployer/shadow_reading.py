"""Read what CloudWatch and captured data have of a production variant and its shadow."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.shadow import Captured, VariantMetrics, capture_prefixes
from airflow_sm_hosting.spec.metric import EndpointMetric
from airflow_sm_hosting.spec.s3_location import S3Location

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


def variant_metrics(
    aws: AwsParameters, endpoint_name: str, variant: str, start: datetime, end: datetime
) -> VariantMetrics:
    """Return the metrics of a variant (``cloudwatch:GetMetricData``).

    :param aws: Makes the hooks.
    :param endpoint_name: The endpoint, in its exact case.
    :param variant: The variant.
    :param start: The beginning.
    :param end: The end.
    """
    metrics = {
        "invocations": EndpointMetric.invocations(),
        "latency": EndpointMetric.model_latency(statistic="Sum"),
        "longest": EndpointMetric.model_latency(statistic="Maximum"),
        "4xx": EndpointMetric.invocation_4xx_errors(),
        "5xx": EndpointMetric.invocation_5xx_errors(),
    }
    hook = aws.cloudwatch_hook
    sums: dict[str, float | None] = {}
    for name, metric in metrics.items():
        values = [value for _, value in hook.get_metric(metric, endpoint_name, variant, start=start, end=end)]
        sums[name] = (max if name == "longest" else sum)(values) if values else None
    return VariantMetrics.of(sums)


def captured_answers(
    aws: AwsParameters,
    config: Mapping[str, Any],
    endpoint_name: str,
    variant: str,
    *,
    start: datetime,
    end: datetime,
    most: int,
) -> Captured | None:
    """Return the captured answers of a variant (``s3:ListBucket``, ``s3:GetObject``); None if the config captures no data.

    :param aws: Makes the hooks.
    :param config: The described endpoint config.
    :param endpoint_name: The endpoint, in its exact case.
    :param variant: The variant.
    :param start: The beginning.
    :param end: The end.
    :param most: Files to read at most; of more, the newest.
    """
    capture = config.get("DataCaptureConfig") or {}
    place = S3Location.parse(str(capture.get("DestinationS3Uri", "")))
    if not capture.get("EnableCapture", bool(capture)) or place is None:
        return None
    hook = aws.model_data_hook
    prefixes = capture_prefixes(
        place.key, endpoint_name, variant, start.astimezone(UTC), end.astimezone(UTC) + timedelta(minutes=1)
    )
    keys = [found["Key"] for prefix in prefixes for found in hook.objects(place.bucket, prefix)]
    if len(keys) > most:
        log.warning("%d files of variant %s are captured; the newest %d are read", len(keys), variant, most)
    captured = Captured()
    for key in keys[-most:]:
        body = hook.conn.get_object(Bucket=place.bucket, Key=key)["Body"]
        captured.add(body.read().decode().splitlines())
    return captured

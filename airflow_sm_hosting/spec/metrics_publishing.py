"""Which metrics an endpoint publishes, and how often."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.spec.checks import check_boolean
from airflow_sm_hosting.spec.shape import Shape, WholeOf
from airflow_sm_hosting.spec.templated import TemplatedBool, TemplatedSeconds

FREQUENCIES = (10, 30, 60, 120, 180, 240, 300)  # MetricsConfig, MetricPublishFrequencyInSeconds documentation

#: All limits: botocore, MetricsConfig.
METRICS = Shape(
    "MetricsConfig",
    {
        "enable_enhanced_metrics": ("EnableEnhancedMetrics", check_boolean),
        "enable_detailed_observability": ("EnableDetailedObservability", check_boolean),
        "publish_frequency": ("MetricPublishFrequencyInSeconds", WholeOf(FREQUENCIES)),
    },
)


class Metrics(dict[str, Any]):
    """Which metrics an endpoint publishes, in the shape of ``MetricsConfig``.

    :param enable_enhanced_metrics: Whether there are metrics for each instance and container (default: AWS's, False). (templated)
    :param enable_detailed_observability: Whether the metrics of containers, GPUs and placement are published, which costs money
        (default: AWS's). (templated)
    :param publish_frequency: Seconds or a timedelta between two values: 10, 30, 60, 120, 180, 240 or 300 (default: AWS's, 60). Metrics of
        invocations follow it only with ``enable_enhanced_metrics``. (templated)
    :param members: Further members of the AWS shape as they are.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_MetricsConfig.html
    """

    def __init__(
        self,
        *,
        enable_enhanced_metrics: TemplatedBool | None = None,
        enable_detailed_observability: TemplatedBool | None = None,
        publish_frequency: TemplatedSeconds | None = None,
        **members: Any,
    ) -> None:
        super().__init__(METRICS.made(type(self).__name__, locals(), members))

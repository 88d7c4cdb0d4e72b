"""CloudWatch metrics of a production variant, and the alarms on them."""

from __future__ import annotations

import contextlib
import math
import re
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.reference import Reference
from airflow_sm_hosting.spec.rules import check_text, invalid, is_rendered_later, seconds

INVOCATION_METRICS = "AWS/SageMaker"
UTILIZATION_METRICS = "/aws/sagemaker/Endpoints"

#: Units in which SageMaker publishes durations (developer guide, "Monitor Amazon SageMaker AI with Amazon CloudWatch").
DURATION_UNITS = {
    "ModelLatency": timedelta(microseconds=1),
    "OverheadLatency": timedelta(microseconds=1),
    "ModelSetupTime": timedelta(microseconds=1),
    "ContainerLatency": timedelta(microseconds=1),
    "ApproximateAgeOfOldestRequest": timedelta(seconds=1),
    "TimeInBacklog": timedelta(milliseconds=1),
    "TotalProcessingTime": timedelta(milliseconds=1),
    "RequestDownloadLatency": timedelta(microseconds=1),
    "ResponseUploadLatency": timedelta(microseconds=1),
}

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
#: PutMetricAlarm, ExtendedStatistic.
EXTENDED_STATISTIC_PATTERN = (
    r"(p|tm|tc|ts|wm)(100|\d{1,2})(\.\d{0,10})?|iqm|(PR|TC|TM|TS|WM)\((\d+(\.\d*)?%?)?:(\d+(\.\d*)?%?)?\)"
)
COMPARISON_OPERATORS = (
    "GreaterThanOrEqualToThreshold",
    "GreaterThanThreshold",
    "LessThanThreshold",
    "LessThanOrEqualToThreshold",
)
MISSING_DATA_TREATMENTS = ("breaching", "notBreaching", "ignore", "missing")
DAY = 24 * 3600
WEEK = 7 * DAY


class EndpointMetric(Reference):
    """A metric of a production variant; the dimensions EndpointName and VariantName are filled in by the task.

    :param namespace: CloudWatch namespace. (templated)
    :param metric_name: Name of the metric. (templated)
    :param period: Seconds or a timedelta: 10, 20, 30, or a multiple of 60 (default: 300).
    :param statistic: ``Average``, ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount``, or an extended one such as ``p99``.
    :param dimensions: Dimensions in place of EndpointName and VariantName (default: those two). (templated)
    :param unit: Only data of this unit (default: any).
    :param label: A label for dashboards.
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    def __init__(
        self,
        namespace: Any,
        metric_name: Any,
        *,
        period: Any = 300,
        statistic: Any = "Sum",
        dimensions: dict[str, Any] | None = None,
        unit: str | None = None,
        label: str | None = None,
    ) -> None:
        check_period("EndpointMetric: period", period)
        check_statistic("EndpointMetric: statistic", statistic)
        super().__init__(
            "EndpointMetric",
            Namespace=namespace,
            MetricName=metric_name,
            Period=seconds(period),
            Statistic=statistic,
            Dimensions=dimensions,
            Unit=unit,
            Label=label,
        )

    @classmethod
    def custom(cls, namespace: Any, metric_name: Any, **options: Any) -> EndpointMetric:
        """Return any metric by its namespace and name (default statistic: Sum)."""
        return cls(namespace, metric_name, **options)

    @classmethod
    def invocations(cls, **options: Any) -> EndpointMetric:
        """Return the number of InvokeEndpoint requests (Sum)."""
        return cls(INVOCATION_METRICS, "Invocations", **options)

    @classmethod
    def invocations_per_instance(cls, **options: Any) -> EndpointMetric:
        """Return the number of requests divided by the number of instances (Sum)."""
        return cls(INVOCATION_METRICS, "InvocationsPerInstance", **options)

    @classmethod
    def model_latency(cls, **options: Any) -> EndpointMetric:
        """Return the time that the model takes to answer, in microseconds (Average)."""
        return cls(INVOCATION_METRICS, "ModelLatency", **{"statistic": "Average", **options})

    @classmethod
    def overhead_latency(cls, **options: Any) -> EndpointMetric:
        """Return the time that SageMaker adds to the model's, in microseconds (Average)."""
        return cls(INVOCATION_METRICS, "OverheadLatency", **{"statistic": "Average", **options})

    @classmethod
    def invocation_4xx_errors(cls, **options: Any) -> EndpointMetric:
        """Return the number of requests answered with a 4xx status (Sum; Average is their rate)."""
        return cls(INVOCATION_METRICS, "Invocation4XXErrors", **options)

    @classmethod
    def invocation_5xx_errors(cls, **options: Any) -> EndpointMetric:
        """Return the number of requests answered with a 5xx status (Sum; Average is their rate)."""
        return cls(INVOCATION_METRICS, "Invocation5XXErrors", **options)

    @classmethod
    def cpu_utilization(cls, **options: Any) -> EndpointMetric:
        """Return the CPU utilisation in percent of one core: 0 to 100 times the number of cores (Average)."""
        return cls(UTILIZATION_METRICS, "CPUUtilization", **{"statistic": "Average", **options})

    @classmethod
    def memory_utilization(cls, **options: Any) -> EndpointMetric:
        """Return the memory utilisation in percent (Average)."""
        return cls(UTILIZATION_METRICS, "MemoryUtilization", **{"statistic": "Average", **options})

    @classmethod
    def disk_utilization(cls, **options: Any) -> EndpointMetric:
        """Return the disk utilisation in percent (Average)."""
        return cls(UTILIZATION_METRICS, "DiskUtilization", **{"statistic": "Average", **options})

    @classmethod
    def gpu_utilization(cls, **options: Any) -> EndpointMetric:
        """Return the GPU utilisation in percent of one GPU: 0 to 100 times the number of GPUs (Average)."""
        return cls(UTILIZATION_METRICS, "GPUUtilization", **{"statistic": "Average", **options})

    @classmethod
    def gpu_memory_utilization(cls, **options: Any) -> EndpointMetric:
        """Return the GPU memory utilisation in percent of one GPU (Average)."""
        return cls(UTILIZATION_METRICS, "GPUMemoryUtilization", **{"statistic": "Average", **options})


def alarm_request(
    metric: dict[str, Any], *, endpoint_name: str, variant_name: str, threshold: Any
) -> dict[str, Any]:
    """Return the metric's part of PutMetricAlarm, of a rendered metric.

    :param metric: A rendered :class:`EndpointMetric`.
    :param endpoint_name: Value of the dimension EndpointName.
    :param variant_name: Value of the dimension VariantName.
    :param threshold: A number in the metric's own unit, or a timedelta.
    """
    statistic = metric["Statistic"]
    check_statistic("EndpointMetric: statistic", statistic)
    period = _whole_number(metric["Period"])
    check_period("EndpointMetric: period", period)
    dimensions = metric.get("Dimensions")
    if dimensions is None:
        dimensions = {"EndpointName": endpoint_name, "VariantName": variant_name}
    return {
        "Namespace": metric["Namespace"],
        "MetricName": metric["MetricName"],
        "Dimensions": [{"Name": name, "Value": str(value)} for name, value in dimensions.items()],
        "Period": period,
        ("Statistic" if statistic in STATISTICS else "ExtendedStatistic"): statistic,
        **({"Unit": metric["Unit"]} if metric.get("Unit") else {}),
        "Threshold": threshold_value(metric["MetricName"], threshold),
    }


def threshold_value(metric_name: str, threshold: Any) -> float:
    """Return a threshold in the metric's own unit.

    :raises InvalidSpecError: For a timedelta on a metric that is no duration, and for what is no number.
    """
    if isinstance(threshold, timedelta):
        if metric_name not in DURATION_UNITS:
            raise invalid(
                "threshold",
                threshold,
                f"a number, as {metric_name} is no duration (durations: {', '.join(DURATION_UNITS)})",
            )
        return threshold / DURATION_UNITS[metric_name]
    if isinstance(threshold, str):
        with contextlib.suppress(ValueError):
            threshold = float(threshold)
    number = isinstance(threshold, int | float) and not isinstance(threshold, bool)
    if not number or not math.isfinite(threshold):
        raise invalid("threshold", threshold, "a number in the metric's own unit, or a timedelta")
    return float(threshold)


def check_window(
    period: int, evaluation_periods: int, datapoints_to_alarm: int | None, *, where: str = "alarm"
) -> None:
    """Check the numbers of an alarm together, as PutMetricAlarm documents them.

    The window (periods times evaluation periods) is a day at most, or seven days with periods of an hour or more.
    """
    limit = WEEK if period >= 3600 else DAY
    if period * evaluation_periods > limit:
        raise InvalidSpecError(
            f"{where}: evaluation_periods × period is {evaluation_periods} × {period} s = {evaluation_periods * period} s; "
            f"allowed: {limit} s at most for this period (PutMetricAlarm)."
        )
    if datapoints_to_alarm is not None and datapoints_to_alarm > evaluation_periods:
        raise InvalidSpecError(
            f"{where}: datapoints_to_alarm is {datapoints_to_alarm} of {evaluation_periods} evaluation_periods: "
            "the alarm could never fire; allowed: evaluation_periods at most."
        )


def check_period(where: str, period: Any) -> None:
    """Check an alarm's period: 10, 20, 30, or a multiple of 60, a day at most."""
    if is_rendered_later(period):
        return
    whole = not isinstance(period, timedelta) or not period % timedelta(seconds=1)
    number = seconds(period) if whole else None
    allowed = (
        isinstance(number, int)
        and not isinstance(number, bool)
        and (number in (10, 20, 30) or (number > 0 and number % 60 == 0 and number <= DAY))
    )
    if not allowed:
        raise invalid(where, period, f"10, 20 or 30 seconds, or a multiple of 60 up to {DAY}")


def check_statistic(where: str, statistic: Any) -> None:
    """Check a statistic: one of the five, or an extended one."""
    if is_rendered_later(statistic) or statistic in STATISTICS:
        return
    check_text(
        where,
        statistic,
        pattern=EXTENDED_STATISTIC_PATTERN,
        allowed=f"{', '.join(STATISTICS)}, or an extended one such as 'p99', 'tm90', 'iqm'",
    )


def _whole_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d+", value) else value

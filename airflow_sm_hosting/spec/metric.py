"""CloudWatch metrics of endpoints: the ten common metrics, any other metric, and metric-math expressions.

The published metrics, with their units, dimensions and kinds of endpoint, come from the developer guide's pages
"Amazon SageMaker AI metrics in Amazon CloudWatch" (monitoring-cloudwatch), "Alarms and logs for tracking metrics from serverless
endpoints" (serverless-endpoints-monitoring) and "… from asynchronous endpoints" (async-inference-monitor).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, TypeAlias, TypedDict, Unpack

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.checks import check_one_of, check_text, invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import Reference, kind_of
from airflow_sm_hosting.spec.rendered import seconds
from airflow_sm_hosting.spec.templated import RenderedLater, TemplatedSeconds, TemplatedStr

INVOCATION_METRICS = "AWS/SageMaker"
UTILIZATION_METRICS = "/aws/sagemaker/Endpoints"
COMPONENT_METRICS = "/aws/sagemaker/InferenceComponents"

#: The metrics in this namespace: percent of what a copy reserves.
COMPONENT_UTILIZATION = (
    "CPUUtilizationNormalized",
    "MemoryUtilizationNormalized",
    "GPUUtilizationNormalized",
    "GPUMemoryUtilizationNormalized",
)

#: The pages do not document the unit.
ANY_UNIT = ""

#: The kinds of endpoint that publish different metrics.
INSTANCE, SERVERLESS, ASYNCHRONOUS = "real-time", "serverless", "asynchronous"

#: By namespace and metric: its unit, and the kinds of endpoint that publish it. The pages of serverless and asynchronous endpoints call
#: their lists exhaustive; the latter's is of the namespace AWS/SageMaker, and names the instances' metrics beside it.
PUBLISHED: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    **{
        (INVOCATION_METRICS, name): (unit, kinds)
        for unit, kinds, names in (
            ("None", (INSTANCE, SERVERLESS, ASYNCHRONOUS), "Invocation4XXErrors Invocation5XXErrors"),
            ("None", (INSTANCE, SERVERLESS), "Invocations"),
            ("None", (INSTANCE,), "InvocationsPerInstance ModelCacheHit"),
            ("Microseconds", (INSTANCE, SERVERLESS, ASYNCHRONOUS), "ModelLatency"),
            ("Microseconds", (INSTANCE, SERVERLESS), "OverheadLatency"),
            ("Microseconds", (SERVERLESS,), "ModelSetupTime"),
            (
                "Microseconds",
                (INSTANCE,),
                "ModelLoadingWaitTime ModelUnloadingTime ModelDownloadingTime ModelLoadingTime",
            ),
            (
                "None",
                (SERVERLESS,),
                "ServerlessConcurrentExecutionsUtilization",
            ),
            (
                ANY_UNIT,
                (SERVERLESS,),
                "ServerlessProvisionedConcurrencyUtilization ServerlessProvisionedConcurrencyExecutions "
                "ServerlessProvisionedConcurrencyInvocations ServerlessProvisionedConcurrencySpilloverInvocations",
            ),
            (
                "Count",
                (ASYNCHRONOUS,),
                "ApproximateBacklogSize ApproximateBacklogSizePerInstance HasBacklogWithoutCapacity "
                "RequestDownloadFailures ResponseUploadFailures NotificationFailures ExpiredRequests InvocationFailures",
            ),
            ("Seconds", (ASYNCHRONOUS,), "ApproximateAgeOfOldestRequest"),
            ("Microseconds", (ASYNCHRONOUS,), "RequestDownloadLatency ResponseUploadLatency"),
            ("Milliseconds", (ASYNCHRONOUS,), "TimeInBacklog TotalProcessingTime"),
        )
        for name in names.split()
    },
    **{
        (UTILIZATION_METRICS, name): ("Percent", kinds)
        for name, kinds in (
            ("CPUUtilization", (INSTANCE, ASYNCHRONOUS)),
            ("MemoryUtilization", (INSTANCE, SERVERLESS, ASYNCHRONOUS)),
            ("DiskUtilization", (INSTANCE, ASYNCHRONOUS)),
            ("GPUUtilization", (INSTANCE, ASYNCHRONOUS)),
            ("GPUMemoryUtilization", (INSTANCE, ASYNCHRONOUS)),
        )
    },
}

#: The metrics of an asynchronous endpoint's queue have the dimension EndpointName only (async-inference-monitor).
QUEUE_METRICS = (
    "ApproximateBacklogSize",
    "ApproximateBacklogSizePerInstance",
    "ApproximateAgeOfOldestRequest",
    "HasBacklogWithoutCapacity",
)

#: Units in which SageMaker publishes durations (monitoring-cloudwatch, async-inference-monitor, multi-container-metrics).
DURATION_UNITS = {
    **{
        name: {
            "Microseconds": timedelta(microseconds=1),
            "Milliseconds": timedelta(milliseconds=1),
            "Seconds": timedelta(seconds=1),
        }[unit]
        for (_, name), (unit, _) in PUBLISHED.items()
        if unit.endswith("econds")
    },
    "ContainerLatency": timedelta(microseconds=1),
}

#: The largest value of a single observation (monitoring-cloudwatch): percentages of a whole, and the 0 or 1 that each request sends. A CPU
#: or GPU utilisation is 100 times the number of cores or GPUs at most, which differs by instance type. HasBacklogWithoutCapacity is 1 while
#: requests wait and no instance runs, and 0 otherwise (async-inference-monitor, async-inference-autoscale).
LARGEST_VALUES = {
    "MemoryUtilization": 100.0,
    "DiskUtilization": 100.0,
    "Invocation4XXErrors": 1.0,
    "Invocation5XXErrors": 1.0,
    "ModelCacheHit": 1.0,
    "HasBacklogWithoutCapacity": 1.0,
}

STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
#: PutMetricAlarm, ExtendedStatistic; CloudWatch user guide, "CloudWatch statistics definitions".
EXTENDED_STATISTIC_PATTERN = (
    r"(p|tm|tc|ts|wm)(100(\.0{0,10})?|\d{1,2}(\.\d{0,10})?)|iqm|IQM"
    r"|(PR|TC|TM|TS|WM)\((\d+(\.\d*)?%?)?:(\d+(\.\d*)?%?)?\)"
)
#: botocore, StandardUnit.
UNITS = (
    "Seconds Microseconds Milliseconds Bytes Kilobytes Megabytes Gigabytes Terabytes Bits Kilobits Megabits Gigabits Terabits Percent "
    "Count Bytes/Second Kilobytes/Second Megabytes/Second Gigabytes/Second Terabytes/Second Bits/Second Kilobits/Second "
    "Megabits/Second Gigabits/Second Terabits/Second Count/Second None"
).split()
WEEK = 7 * 24 * 3600

#: MetricDataQuery, Id.
ID_PATTERN = r"[a-z][A-Za-z0-9_]*"
#: CloudWatch user guide, "Limits that apply to alarms based on metric math expressions"; MetricDataQuery for the expressions.
MAX_METRICS = 10
MAX_EXPRESSIONS = 10
MAX_EXPRESSION_LENGTH = 2048  # botocore, MetricExpression


Dimensions: TypeAlias = Mapping[str, TemplatedStr] | RenderedLater


class CommonOptions(TypedDict, total=False):
    """The options that all metrics of an expression may share."""

    period: TemplatedSeconds
    dimensions: Dimensions | None
    account_id: TemplatedStr | None


class MetricOptions(CommonOptions, total=False):
    """The keyword parameters of :class:`EndpointMetric`, which its makers take."""

    statistic: TemplatedStr
    unit: TemplatedStr | None
    label: TemplatedStr | None


class EndpointMetric(Reference):
    """A metric of a production variant; the dimensions EndpointName and VariantName are filled in by the task.

    An alarm watches metrics of its own Region: that of the operator. A metric of another account is named by ``account_id``.

    :param namespace: CloudWatch namespace, 1 to 255 characters. (templated)
    :param metric_name: Name of the metric, 1 to 255 characters. (templated)
    :param period: Seconds or a timedelta: 10, 20, 30, or a multiple of 60 up to seven days (default: 300). SageMaker publishes once a
        minute unless the endpoint config says otherwise. (templated)
    :param statistic: ``Average``, ``Sum``, ``Minimum``, ``Maximum``, ``SampleCount``, or an extended one such as ``p99``, ``tm90`` or
        ``IQM``. (templated)
    :param dimensions: 1 to 30 dimensions in place of EndpointName and VariantName, values of 1 to 255 characters (default: those two;
        EndpointName alone for the metrics of an asynchronous endpoint's queue). (templated)
    :param unit: Only data with this unit, one of CloudWatch's (default: any). SageMaker publishes a metric in one unit; another unit is an
        error, as the alarm would never see data. (templated)
    :param label: A label; an alarm then has the ``Metrics`` array form, as in the CDK. (templated)
    :param account_id: Account of the metric, 12 digits (default: the alarm's); it has to share its metrics (PutMetricAlarm, "Cross-account
        alarms"). (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html
    """

    def __init__(
        self,
        namespace: TemplatedStr,
        metric_name: TemplatedStr,
        *,
        period: TemplatedSeconds = 300,
        statistic: TemplatedStr = "Sum",
        dimensions: Dimensions | None = None,
        unit: TemplatedStr | None = None,
        label: TemplatedStr | None = None,
        account_id: TemplatedStr | None = None,
    ) -> None:
        # Check before the conversion to whole seconds, so that no fraction is cut off.
        check_period("EndpointMetric: period", period)
        super().__init__(
            "EndpointMetric",
            Namespace=namespace,
            MetricName=metric_name,
            Period=seconds(period),
            Statistic=statistic,
            Dimensions=dimensions,
            Unit=unit,
            Label=label,
            AccountId=account_id,
        )
        check_metric(self)

    @classmethod
    def custom(
        cls, namespace: TemplatedStr, metric_name: TemplatedStr, **options: Unpack[MetricOptions]
    ) -> EndpointMetric:
        """Return any metric by its namespace and name (default statistic: Sum)."""
        return cls(namespace, metric_name, **options)

    @classmethod
    def invocations(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the number of InvokeEndpoint requests (Sum)."""
        return cls(INVOCATION_METRICS, "Invocations", **options)

    @classmethod
    def invocations_per_instance(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the number of requests divided by the number of instances (Sum)."""
        return cls(INVOCATION_METRICS, "InvocationsPerInstance", **options)

    @classmethod
    def model_latency(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the time that the model takes to answer, in microseconds (Average)."""
        return cls(INVOCATION_METRICS, "ModelLatency", **_averaged(options))

    @classmethod
    def overhead_latency(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the time that SageMaker adds to the model's, in microseconds (Average)."""
        return cls(INVOCATION_METRICS, "OverheadLatency", **_averaged(options))

    @classmethod
    def invocation_4xx_errors(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the number of requests answered with a 4xx status (Sum; Average is their rate, 0 to 1)."""
        return cls(INVOCATION_METRICS, "Invocation4XXErrors", **options)

    @classmethod
    def invocation_5xx_errors(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the number of requests answered with a 5xx status (Sum; Average is their rate, 0 to 1)."""
        return cls(INVOCATION_METRICS, "Invocation5XXErrors", **options)

    @classmethod
    def cpu_utilization(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the CPU utilisation in percent of one core: 0 to 100 times the number of cores (Average)."""
        return cls(UTILIZATION_METRICS, "CPUUtilization", **_averaged(options))

    @classmethod
    def memory_utilization(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the memory utilisation in percent (Average)."""
        return cls(UTILIZATION_METRICS, "MemoryUtilization", **_averaged(options))

    @classmethod
    def disk_utilization(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the disk utilisation in percent (Average)."""
        return cls(UTILIZATION_METRICS, "DiskUtilization", **_averaged(options))

    @classmethod
    def gpu_utilization(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the GPU utilisation in percent of one GPU: 0 to 100 times the number of GPUs (Average)."""
        return cls(UTILIZATION_METRICS, "GPUUtilization", **_averaged(options))

    @classmethod
    def gpu_memory_utilization(cls, **options: Unpack[MetricOptions]) -> EndpointMetric:
        """Return the GPU memory utilisation in percent of one GPU: 0 to 100 times the number of GPUs (Average)."""
        return cls(UTILIZATION_METRICS, "GPUMemoryUtilization", **_averaged(options))

    @classmethod
    def error_rate(
        cls,
        *,
        server_errors: bool = True,
        client_errors: bool = False,
        label: TemplatedStr = "ErrorRate",
        **options: Unpack[CommonOptions],
    ) -> MetricMath:
        """Return the percentage of requests that were answered with an error: 0 to 100.

        :param server_errors: Whether 5xx answers count (default: True).
        :param client_errors: Whether 4xx answers count (default: False).
        :param label: The label, which is part of the alarm's default name.
        :param options: Options of the metrics: ``period``, ``dimensions``, ``account_id``.
        """
        errors = {
            **({"server_errors": cls.invocation_5xx_errors(**options)} if server_errors else {}),
            **({"client_errors": cls.invocation_4xx_errors(**options)} if client_errors else {}),
        }
        if not errors:
            raise InvalidSpecError(
                "EndpointMetric.error_rate: server_errors and client_errors are both False; allowed: one of them True."
            )
        return MetricMath(
            expression=f"100 * ({' + '.join(errors)}) / invocations",
            metrics={**errors, "invocations": cls.invocations(**options)},
            label=label,
        )


def _averaged(options: MetricOptions) -> MetricOptions:
    return {"statistic": "Average", **options}


class MetricMath(Reference):
    """An expression over metrics, e.g. a rate of errors; usable wherever an :class:`EndpointMetric` is.

    :param expression: A CloudWatch metric-math expression over the ids, 1 to 2048 characters; its result is one time series, so SEARCH
        and SELECT are refused. (templated)
    :param metrics: By id (a lower-case letter, then letters, digits and underscores), each an :class:`EndpointMetric` or a
        :class:`MetricMath` in turn; 1 to 10 metrics in all. Each id is used in the expression.
    :param label: A label. Without one the alarm needs an ``alarm_name``, as an expression has no name. (templated)
    :param period: Seconds or a timedelta, in place of the metrics' own. Without it they must be equal. (templated)
    :raises InvalidSpecError: When a literal value can never work.

    .. seealso:: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
    """

    def __init__(
        self,
        *,
        expression: TemplatedStr,
        metrics: Mapping[str, EndpointMetric | MetricMath | RenderedLater],
        label: TemplatedStr | None = None,
        period: TemplatedSeconds | None = None,
    ) -> None:
        if period is not None:
            check_period("MetricMath: period", period)
        super().__init__(
            "MetricMath", Expression=expression, Metrics=metrics, Label=label, Period=seconds(period)
        )
        check_metric(self)


def check_metric(metric: Any, where: str | None = None) -> None:
    """Check a metric, or an expression over metrics, as far as it is literal.

    :param metric: An :class:`EndpointMetric` or a :class:`MetricMath`, rendered or not.
    :param where: The field, for the error message.
    """
    if is_rendered_later(metric):
        return
    match kind_of(metric):
        case "EndpointMetric":
            _check_endpoint_metric(metric)
        case "MetricMath":
            _check_metric_math(metric)
        case _:
            raise invalid(
                where or "metric",
                metric,
                "an EndpointMetric such as EndpointMetric.invocations(), or a MetricMath",
            )


def with_period(metric: dict[str, Any], period: Any) -> dict[str, Any]:
    """Return a metric, and all metrics in it, with another period."""
    inner = metric.get("Metrics")
    if inner is None:
        return {**metric, "Period": period}
    return {**metric, "Metrics": {name: with_period(one, period) for name, one in inner.items()}}


def endpoint_metrics(metric: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the metric itself, or the metrics of an expression."""
    if is_rendered_later(metric):
        return
    if kind_of(metric) == "MetricMath":
        for one in metric["Metrics"].values():
            if metric.get("Period") is not None and not is_rendered_later(one):
                yield from endpoint_metrics(with_period(one, metric["Period"]))
            else:
                yield from endpoint_metrics(one)
    else:
        yield metric


def completed_metric(
    metric: dict[str, Any],
    endpoint_name: str,
    variant_name: str,
    *,
    where: str = "metric",
    described: bool = False,
    component: str | None = None,
) -> dict[str, Any]:
    """Return a rendered metric, checked, with its dimensions, and with numbers instead of the strings from Jinja.

    :param metric: A rendered :class:`EndpointMetric` or :class:`MetricMath`.
    :param endpoint_name: Value of the dimension EndpointName.
    :param variant_name: Value of the dimension VariantName.
    :param where: The field that holds it.
    :param component: The inference component, in place of endpoint and variant.
    :param described: Whether DescribeEndpoint returned the endpoint's name; then a given dimension gets it, too, if only the case differs.
    """
    if kind_of(metric) == "MetricMath":
        inner = metric.get("Metrics")
        if isinstance(inner, dict):
            metric = {
                **metric,
                "Metrics": {
                    name: completed_metric(
                        one,
                        endpoint_name,
                        variant_name,
                        where=f"MetricMath: metrics[{name!r}]",
                        described=described,
                        component=component,
                    )
                    for name, one in inner.items()
                },
            }
    elif kind_of(metric) == "EndpointMetric":
        dimensions = metric.get("Dimensions")
        if component is not None:
            _check_of_component(where, metric)
            dimensions = dimensions or {"InferenceComponentName": component}
        elif dimensions is None:
            dimensions = {"EndpointName": endpoint_name, "VariantName": variant_name}
            if metric.get("MetricName") in QUEUE_METRICS and metric.get("Namespace") == INVOCATION_METRICS:
                del dimensions["VariantName"]
        elif described and str(dimensions.get("EndpointName")).lower() == endpoint_name.lower():
            dimensions = {**dimensions, "EndpointName": endpoint_name}
        metric = {**metric, "Dimensions": dimensions}
    if isinstance(metric, dict) and metric.get("Period") is not None:
        metric = {**metric, "Period": _whole_number(metric["Period"])}
    check_metric(metric, where)
    return metric


def _check_of_component(where: str, metric: Mapping[str, Any]) -> None:
    """Refuse a metric that SageMaker publishes of variants only (monitoring-cloudwatch)."""
    name, namespace = metric.get("MetricName"), metric.get("Namespace")
    normalized = f"{name}Normalized"
    if namespace == UTILIZATION_METRICS:
        allowed = (
            f"EndpointMetric.custom({COMPONENT_METRICS!r}, {normalized!r})"
            if normalized in COMPONENT_UTILIZATION
            else f"the metrics of {COMPONENT_METRICS}: {', '.join(COMPONENT_UTILIZATION)}"
        )
        raise invalid(f"{where}: namespace", namespace, f"of an inference component {allowed}")
    if namespace == INVOCATION_METRICS and name == "InvocationsPerInstance":
        raise invalid(
            f"{where}: metric_name", name, "of an inference component EndpointMetric.custom"
            f"({INVOCATION_METRICS!r}, 'InvocationsPerCopy')",
        )  # fmt: skip


def single_metric(metric: dict[str, Any]) -> dict[str, Any]:
    """Return a completed metric as PutMetricAlarm takes one: Namespace, MetricName and so on."""
    statistic = metric["Statistic"]
    return {
        "Namespace": metric["Namespace"],
        "MetricName": metric["MetricName"],
        "Dimensions": _dimension_list(metric["Dimensions"]),
        "Period": metric["Period"],
        ("Statistic" if statistic in STATISTICS else "ExtendedStatistic"): statistic,
        **({"Unit": metric["Unit"]} if metric.get("Unit") is not None else {}),
    }


def metric_queries(metric: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a completed metric as MetricDataQueries, as GetMetricData and PutMetricAlarm's ``Metrics`` take them.

    Exactly one of them, the last, returns data.
    """
    if kind_of(metric) == "MetricMath":
        queries: dict[str, dict[str, Any]] = {}
        _collect_queries(metric, queries)
        # The id that the CDK uses, unless the user has given it to another metric.
        number = next(n for n in range(1, len(queries) + 2) if f"expr_{n}" not in queries)
        return [*queries.values(), _expression_query(f"expr_{number}", metric, returns=True)]
    return [_metric_query("m1", metric, returns=True)]


def _collect_queries(math: dict[str, Any], queries: dict[str, dict[str, Any]]) -> None:
    for name, metric in math["Metrics"].items():
        if math.get("Period") is not None:
            metric = with_period(metric, math["Period"])
        if kind_of(metric) == "MetricMath":
            _collect_queries(metric, queries)
            query = _expression_query(name, metric, returns=False)
        else:
            query = _metric_query(name, metric, returns=False)
        if queries.setdefault(name, query) != query:
            raise InvalidSpecError(
                f"MetricMath: metrics has the ID {name!r} for two different metrics; allowed: one ID per "
                "metric."
            )


def _metric_query(name: str, metric: dict[str, Any], *, returns: bool) -> dict[str, Any]:
    return {
        "Id": name,
        **_present(metric, "Label", "AccountId"),
        "MetricStat": {
            "Metric": {
                "Namespace": metric["Namespace"],
                "MetricName": metric["MetricName"],
                "Dimensions": _dimension_list(metric["Dimensions"]),
            },
            "Period": metric["Period"],
            "Stat": metric["Statistic"],
            **_present(metric, "Unit"),
        },
        "ReturnData": returns,
    }


def _expression_query(name: str, math: dict[str, Any], *, returns: bool) -> dict[str, Any]:
    return {
        "Id": name,
        "Expression": math["Expression"],
        **_present(math, "Label"),
        "ReturnData": returns,
    }


def _present(metric: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: metric[name] for name in names if metric.get(name) is not None}


def _dimension_list(dimensions: dict[str, Any]) -> list[dict[str, str]]:
    return [{"Name": name, "Value": str(value)} for name, value in dimensions.items()]


def _check_endpoint_metric(metric: dict[str, Any]) -> None:
    where = "EndpointMetric"
    namespace: Any = metric.get("Namespace")
    name: Any = metric.get("MetricName")
    # Namespace and MetricName of botocore's model; PutMetricData: no control characters.
    check_text(
        f"{where}: namespace", namespace, pattern=r"[^:\x00-\x1f][^\x00-\x1f]*", max_length=255,
        allowed="a string of 1 to 255 characters that does not begin with a colon",
    )  # fmt: skip
    check_text(
        f"{where}: metric_name", name, pattern=r"[^\x00-\x1f]+", max_length=255,
        allowed="a string of 1 to 255 characters",
    )  # fmt: skip
    check_period(f"{where}: period", metric.get("Period"))
    check_statistic(f"{where}: statistic", metric.get("Statistic"))
    dimensions, unit = metric.get("Dimensions"), metric.get("Unit")
    if dimensions is not None:
        _check_dimensions(f"{where}: dimensions", dimensions)
    if unit is not None:
        check_one_of(f"{where}: unit", unit, UNITS)
    _check_label(where, metric.get("Label"))
    if metric.get("AccountId") is not None:
        check_text(
            f"{where}: account_id", metric["AccountId"], pattern=r"\d{12}", allowed="an account of 12 digits"
        )
    if not is_rendered_later(namespace) and not is_rendered_later(name):
        _check_as_published(where, namespace, name, dimensions, unit)


def _check_as_published(where: str, namespace: str, name: str, dimensions: Any, unit: Any) -> None:
    """Refuse a metric that SageMaker never publishes: an alarm on it would never see data."""
    if (namespace, name) not in PUBLISHED:
        for other in (INVOCATION_METRICS, UTILIZATION_METRICS):
            if namespace in (INVOCATION_METRICS, UTILIZATION_METRICS) and (other, name) in PUBLISHED:
                raise invalid(
                    f"{where}: namespace",
                    namespace,
                    f"{other!r}, the namespace in which SageMaker publishes {name}",
                )
        return
    published, _ = PUBLISHED[namespace, name]
    # Two versions of async-inference-monitor disagree about TimeInBacklog.
    taken = (published, "Microseconds") if name == "TimeInBacklog" else (published,)
    if published and unit is not None and not is_rendered_later(unit) and unit not in taken:
        raise invalid(
            f"{where}: unit", unit,
            f"{published!r}, the unit in which SageMaker publishes {name}, or none; with another unit there "
                "is never data",
        )  # fmt: skip
    if not isinstance(dimensions, dict) or any(is_rendered_later(key) for key in dimensions):
        return
    if name in QUEUE_METRICS:
        right, needed = "VariantName" not in dimensions and "EndpointName" in dimensions, "EndpointName alone"
    else:
        # Metrics of an inference component have its name (monitoring-cloudwatch); further dimensions narrow: EndpointConfigName,
        # ContainerName and others.
        right = {"EndpointName", "VariantName"} <= set(dimensions) or "InferenceComponentName" in dimensions
        needed = "EndpointName and VariantName (or InferenceComponentName), and optionally others"
    if not right:
        raise invalid(
            f"{where}: dimensions", sorted(dimensions), f"{needed}, as SageMaker publishes {name} with them"
        )


def _check_dimensions(where: str, dimensions: Any) -> None:
    """Check dimensions: 1 to 30 (PutMetricAlarm), values of 1 to 255 characters, as the CDK has it (botocore's model: 1024)."""
    if is_rendered_later(dimensions):
        return
    if not isinstance(dimensions, dict) or not 1 <= len(dimensions) <= 30:
        raise invalid(
            where, dimensions, "a dict of 1 to 30 dimensions, or None for EndpointName and VariantName"
        )
    for name, value in dimensions.items():
        check_text(
            f"a name of {where}", name, pattern=r"(?!:)[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*", max_length=255,
            allowed="1 to 255 ASCII characters, not beginning with a colon",
        )  # fmt: skip
        number = isinstance(value, int | float) and not isinstance(value, bool)
        check_text(
            f"{where}[{name!r}]", str(value) if number else value,
            pattern=r"[\x20-\x7e]*[\x21-\x7e][\x20-\x7e]*", max_length=255, allowed="1 to 255 ASCII characters",
        )  # fmt: skip


def _check_label(where: str, label: Any) -> None:
    if label is not None:
        check_text(f"{where}: label", label, pattern=r"(?s).+", allowed="a string that is not empty")


def _check_metric_math(math: dict[str, Any]) -> None:
    where = "MetricMath"
    metrics = math.get("Metrics")
    _check_label(where, math.get("Label"))
    if math.get("Period") is not None:
        check_period(f"{where}: period", math["Period"])
    if not isinstance(metrics, dict) or not metrics:
        raise invalid(f"{where}: metrics", metrics, f"a dict of 1 to {MAX_METRICS} metrics by ID")
    for name, metric in metrics.items():
        check_text(
            f"an id of {where}: metrics", name, pattern=ID_PATTERN, max_length=255,
            allowed="a lower-case letter, then letters, digits and underscores, 255 at most",
        )  # fmt: skip
        check_metric(metric, f"{where}: metrics[{name!r}]")
    _check_expression(f"{where}: expression", math.get("Expression"), metrics)
    _check_numbers(where, math)
    periods = {
        metric["Period"] for metric in endpoint_metrics(math) if not is_rendered_later(metric["Period"])
    }
    if len(periods) > 1:
        # Assumed: an alarm is evaluated once a period, and the CDK gives all metrics of an expression one.
        raise invalid(
            f"{where}: metrics", f"of the periods {', '.join(map(str, sorted(periods)))}",
            "metrics with the same period; give the expression a period= to set it for all",
        )  # fmt: skip


def _check_numbers(where: str, math: dict[str, Any]) -> None:
    """Check the number of metrics and expressions, nested ones included: at most 10 each (MetricDataQuery)."""
    metrics, expressions = 0, 1
    left = list(math["Metrics"].values())
    while left:
        one = left.pop()
        if kind_of(one) == "MetricMath":
            expressions += 1
            left += one["Metrics"].values()
        else:
            metrics += 1
    for found, most, what in (
        (metrics, MAX_METRICS, "metrics"),
        (expressions, MAX_EXPRESSIONS, "expressions"),
    ):
        if found > most:
            raise InvalidSpecError(
                f"{where}: metrics has {found} {what}; allowed: {most} at most in one alarm."
            )


def _check_expression(where: str, expression: Any, metrics: dict[str, Any]) -> None:
    if is_rendered_later(expression):
        return
    check_text(
        where, expression, pattern=r"(?s).*\S.*", max_length=MAX_EXPRESSION_LENGTH,
        allowed=f"a metric-math expression of 1 to {MAX_EXPRESSION_LENGTH} characters",
    )  # fmt: skip
    plain = re.sub(r"\"[^\"]*\"|'[^']*'", " ", expression)
    if several := re.search(r"\b(SEARCH|SELECT)\b", plain):
        raise invalid(
            where, expression,
            f"an expression whose result is one time series; {several[0]} returns several, which an alarm "
                "cannot watch",
        )  # fmt: skip
    depth = 0
    for character in plain:
        depth += (character in "([") - (character in ")]")
        if depth < 0:
            break
    if depth:
        raise invalid(where, expression, "balanced parentheses and brackets")
    used = set(re.findall(rf"\b{ID_PATTERN}\b", plain))
    if unknown := sorted(used - set(metrics)):
        raise invalid(
            where, expression, f"the IDs of metrics: {', '.join(metrics)}",
            hint=f"Unknown: {', '.join(unknown)}. Functions are written in upper case.",
        )  # fmt: skip
    # METRICS() is all of them.
    unused = [] if re.search(r"\bMETRICS\b", plain) else sorted(set(metrics) - used)
    if unused:
        raise invalid(
            f"{where.removesuffix('expression')}metrics", sorted(metrics),
            f"IDs that the expression uses; {expression!r} does not use {', '.join(unused)}",
        )  # fmt: skip


def check_period(where: str, period: Any) -> None:
    """Check the period of an alarm: 10, 20, 30, or a multiple of 60, seven days at most (PutMetricAlarm).

    The CDK's metrics also take 1 and 5, which PutMetricAlarm refuses.
    """
    if is_rendered_later(period):
        return
    whole = not isinstance(period, timedelta) or not period % timedelta(seconds=1)
    number = seconds(period) if whole else None
    allowed = (
        isinstance(number, int)
        and not isinstance(number, bool)
        and (number in (10, 20, 30) or (number > 0 and number % 60 == 0 and number <= WEEK))
    )
    if not allowed:
        raise invalid(where, period, f"10, 20 or 30 seconds, or a multiple of 60 up to {WEEK}")


def check_statistic(where: str, statistic: Any) -> None:
    """Check a statistic: one of the five, or an extended one."""
    if is_rendered_later(statistic) or statistic in STATISTICS:
        return
    check_text(
        where,
        statistic,
        pattern=EXTENDED_STATISTIC_PATTERN,
        allowed=f"{', '.join(STATISTICS)}, or an extended one such as 'p99', 'tm90', 'IQM'",
    )


def is_percentile(statistic: Any) -> bool:
    """Return whether a statistic is a percentile: ``p99``."""
    return isinstance(statistic, str) and bool(re.fullmatch(r"p\d.*", statistic))


def _whole_number(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch(r"\d+", value) else value

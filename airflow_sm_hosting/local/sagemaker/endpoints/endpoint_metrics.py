"""The metrics that SageMaker publishes of its endpoints.

https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html: latencies are in microseconds, errors are 0 or 1 a
request. They are there at once, where AWS takes a minute.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudwatch.metrics import MetricStore, metric_of
from airflow_sm_hosting.local.engines.engine import RunningContainer, Usage

NAMESPACE = "AWS/SageMaker"
UTILIZATION_NAMESPACE = "/aws/sagemaker/Endpoints"
COMPONENT_UTILIZATION_NAMESPACE = "/aws/sagemaker/InferenceComponents"

# Minimum seconds of the computer's time between two measurements of a container.
_MEASURED_FOR = 1.0
#: Seconds between two zeros of a metric of high resolution, as the alarms of its policies have periods of 10 seconds (assumed):
#: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-policy.html.
_FINE = 10

_Values = Iterable[tuple[str, float, str]]


class MeasuredVariant(Protocol):
    """An invoked variant."""

    config: Mapping[str, Any]
    config_name: str
    instance_count: int | None

    @property
    def name(self) -> str:
        """Its name."""


class MeasuredContainer(Protocol):
    """A container of a variant."""

    running: RunningContainer


class MeasuredFleet(MeasuredVariant, Protocol):
    """A variant that has containers."""

    @property
    def containers(self) -> Sequence[MeasuredContainer]:
        """Its containers."""


@dataclass
class Invocation:
    """An invocation in progress.

    :param began: When the request arrived, by ``time.perf_counter``.
    :param component: The inference component that is invoked.
    :param asynchronous: Whether the endpoint is asynchronous.
    :param status: The HTTP status of the model's answer, set when it has come; 0 for none in time. None publishes nothing.
    """

    began: float
    component: str | None = None
    asynchronous: bool = False
    model_began: float = field(default_factory=time.perf_counter)
    status: int | None = None


class EndpointMetrics:
    """Publishes metrics of the endpoints of one Region.

    :param metrics: Takes the metrics.
    :param clock: The clock.
    """

    def __init__(self, metrics: MetricStore, clock: Clock) -> None:
        self._metrics = metrics
        self._clock = clock
        self._lock = threading.Lock()
        self._in_flight: Counter[tuple[str, str, str]] = Counter()
        self._usages: WeakKeyDictionary[RunningContainer, tuple[float, Usage | None]] = WeakKeyDictionary()

    @contextmanager
    def invocation(
        self,
        endpoint_name: str,
        variant: MeasuredVariant,
        began: float,
        *,
        component: str | None = None,
        asynchronous: bool = False,
    ) -> Iterator[Invocation]:
        """Measure what a model is asked, and publish it at the end if its ``status`` is set.

        :param began: When the request arrived, by ``time.perf_counter``.
        :param component: The inference component that is invoked; the variant's count is then that of its copies.
        :param asynchronous: Whether the endpoint is asynchronous.
        """
        key = _key(endpoint_name, variant, component)
        with self._lock:
            self._in_flight[key] += 1
            at_once = self._in_flight[key]
        invocation = Invocation(began, component, asynchronous)
        try:
            yield invocation
        finally:
            with self._lock:
                self._in_flight[key] -= 1
                if not self._in_flight[key]:
                    del self._in_flight[key]
            if invocation.status is not None:
                self._publish(endpoint_name, variant, invocation, at_once)

    def in_flight(self, endpoint_name: str, variant: MeasuredVariant) -> int:
        """Return how many invocations a variant is being asked."""
        with self._lock:
            return self._in_flight[_key(endpoint_name, variant, None)]

    def publish_container(
        self, where: Mapping[str, str], container_name: str, began: float, status: int
    ) -> None:
        """Publish what one of several containers of a variant answered.

        https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html

        :param where: The dimensions of the variant.
        :param began: When the container was asked, by ``time.perf_counter``.
        """
        latency = (time.perf_counter() - began) * 1e6
        values = [("Invocations", 1.0, "None"), ("ContainerLatency", latency, "Microseconds")]
        self.publish({**where, "ContainerName": container_name}, [*values, *error_values(status)])

    def publish(
        self,
        dimensions: Mapping[str, str],
        values: _Values,
        *,
        namespace: str = NAMESPACE,
        resolution: int = 60,
    ) -> None:
        """Publish values, each ``(name, value, unit)``, as of now."""
        self._metrics.put_all(namespace, dimensions, values, at=self._clock.now(), resolution=resolution)

    def publish_idle(self, endpoint_name: str, variant_name: str) -> None:
        """Publish that a scaled variant had no invocation in the last minute.

        "If a variant's traffic becomes zero, SageMaker automatically scales in … In this case, SageMaker emits metrics with a
        value of zero": endpoint-auto-scaling-edit.html. That it does so for scaled variants only is assumed.
        """
        where = {"EndpointName": endpoint_name, "VariantName": variant_name}
        self._publish_zeros("InvocationsPerInstance", where)
        self._publish_zeros("ConcurrentRequestsPerModel", where, _FINE)

    def publish_idle_component(self, name: str) -> None:
        """Publish that a scaled inference component had no invocation in the last minute (assumed to be as with variants)."""
        where = {"InferenceComponentName": name}
        self._publish_zeros("InvocationsPerCopy", where)
        self._publish_zeros("ConcurrentRequestsPerCopy", where, _FINE)

    def _publish_zeros(self, name: str, dimensions: Mapping[str, str], period: int = 60) -> None:
        """Publish a zero for each period of the last minute that has no value."""
        minute = int(self._clock.now().timestamp()) // 60 * 60 - 60
        metric = metric_of(NAMESPACE, name, dimensions)
        found = self._metrics.statistics(metric, ["Sum"], minute, period, 60 // period)
        for number, value in enumerate(found):
            if value is None:
                at = datetime.fromtimestamp(minute + number * period, UTC)
                self._metrics.put(metric, 0.0, at=at, resolution=1 if period < 60 else 60)

    def publish_usage(self, serving: Iterable[tuple[str, MeasuredFleet]]) -> None:
        """Publish what the containers used in the last minute: CPU (100 is one), memory and disk, all in percent.

        One set of containers stands for all instances of a variant, so its share is that of each of them.

        :param serving: The variants that have containers, each after the name of its endpoint.
        """
        minute = int(self._clock.now().timestamp()) // 60 * 60 - 60
        for endpoint_name, variant in serving:
            usages = list(
                filter(None, (self._usage(container.running) for container in list(variant.containers)))
            )
            if not usages:
                continue
            values = {"MemoryUtilization": sum(usage.memory for usage in usages)}
            if "ServerlessConfig" not in variant.config:
                values["CPUUtilization"] = sum(usage.cpu for usage in usages)
                disks = [usage.disk for usage in usages if usage.disk is not None]
                if disks:
                    values["DiskUtilization"] = max(disks)
            where = {"EndpointName": endpoint_name, "VariantName": variant.name}
            for name, value in values.items():
                metric = metric_of(UTILIZATION_NAMESPACE, name, where)
                self._metrics.put_at(metric, value, minute, unit="Percent")

    def publish_component_usage(self, serving: Iterable[tuple[str, MeasuredFleet]]) -> None:
        """Publish what the copies of inference components used in the last minute, in percent of what they asked for.

        "If you set the NumberOfCpuCoresRequired parameter … the metric presents the utilization over the reservation. Otherwise
        … over the limit" and "The value ranges between 0%–100%": monitoring-cloudwatch.html, inference component metrics.
        The limit is this computer's here. One container stands for all copies, so there is one value.

        :param serving: What has copies, each after the name of its inference component.
        """
        minute = int(self._clock.now().timestamp()) // 60 * 60 - 60
        for name, variant in serving:
            usages = list(
                filter(None, (self._usage(container.running) for container in list(variant.containers)))
            )
            if not usages:
                continue
            needs = variant.config.get("ComputeResourceRequirements", {})
            cores = needs.get("NumberOfCpuCoresRequired") or os.cpu_count() or 1
            values = {"CPUUtilizationNormalized": min(sum(usage.cpu for usage in usages) / cores, 100.0)}
            if reserved := needs.get("MinMemoryRequiredInMb"):
                used = sum(usage.memory_mb for usage in usages)
                values["MemoryUtilizationNormalized"] = 100 * used / reserved
            for metric_name, value in values.items():
                where = {"InferenceComponentName": name}
                metric = metric_of(COMPONENT_UTILIZATION_NAMESPACE, metric_name, where)
                self._metrics.put_at(metric, value, minute, unit="Percent")

    def _usage(self, container: RunningContainer) -> Usage | None:
        """Measure a container, or return its last measurement if it is recent: hours of virtual time pass in seconds."""
        with self._lock:
            at, usage = self._usages.get(container, (0.0, None))
        if time.monotonic() - at < _MEASURED_FOR:
            return usage
        usage = container.usage()
        with self._lock:
            self._usages[container] = (time.monotonic(), usage)
        return usage

    def _publish(
        self, endpoint_name: str, variant: MeasuredVariant, invocation: Invocation, at_once: int
    ) -> None:
        latency = (time.perf_counter() - invocation.model_began) * 1e6
        errors = error_values(invocation.status or 0)
        where = {"EndpointName": endpoint_name, "VariantName": variant.name}
        if invocation.asynchronous:
            # "Any metric not listed below is not published": async-inference-monitor.html
            self.publish(where, [("ModelLatency", latency, "Microseconds"), *errors[:2]])
            return
        values = [
            ("Invocations", 1.0, "None"),
            ("ModelLatency", latency, "Microseconds"),
            ("OverheadLatency", (invocation.model_began - invocation.began) * 1e6, "Microseconds"),
            *errors,
        ]
        serverless = variant.config.get("ServerlessConfig")
        if serverless is not None:
            # A deployment's alarms may look at the new fleet only: deployment-guardrails-configuration.html
            self._publish_of_fleet(where, variant, [*values, *serverless_values(serverless, at_once)], [])
            return
        count = max(variant.instance_count or 1, 1)
        # "1/numberOfInstances is sent as the value on each request"; at once are those of one model, that is of one instance
        # (assumed).
        share, most = 1.0 / count, at_once / count
        if invocation.component is None:
            per_instance = [*values, ("InvocationsPerInstance", share, "None")]
            self._publish_of_fleet(
                where, variant, per_instance, [("ConcurrentRequestsPerModel", most, "None")]
            )
            return
        self._publish_of_fleet(where, variant, values, [])
        # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, inference component metrics
        of_component = {"InferenceComponentName": invocation.component}
        self.publish(of_component, [*values, ("InvocationsPerCopy", share, "None")])
        self.publish(of_component, [("ConcurrentRequestsPerCopy", most, "None")], resolution=1)

    def _publish_of_fleet(
        self, where: Mapping[str, str], variant: MeasuredVariant, values: _Values, fine: _Values
    ) -> None:
        """Publish values of a variant, and of the one fleet of it."""
        for dimensions in (where, {**where, "EndpointConfigName": variant.config_name}):
            self.publish(dimensions, values)
            self.publish(dimensions, fine, resolution=1)


def _key(endpoint_name: str, variant: MeasuredVariant, component: str | None) -> tuple[str, str, str]:
    """Return the key by which invocations in flight are counted."""
    return (endpoint_name, variant.config_name, component or variant.name)


def error_values(status: int) -> list[tuple[str, float, str]]:
    """Return the metrics for the HTTP status of a model's answer; 0 means no answer in time."""
    return [
        ("Invocation4XXErrors", float(400 <= status < 500), "None"),
        ("Invocation5XXErrors", float(status >= 500 or status == 0), "None"),
        ("InvocationModelErrors", float(not 200 <= status < 300), "None"),
    ]


def serverless_values(serverless: Mapping[str, Any], at_once: int) -> list[tuple[str, float, str]]:
    """Return the metrics of a serverless variant for one of so many concurrent invocations.

    https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-monitoring.html
    """
    values = [
        ("ServerlessConcurrentExecutionsUtilization", at_once / serverless["MaxConcurrency"], "None"),
    ]
    provisioned = serverless.get("ProvisionedConcurrency")
    if provisioned:
        spilled = at_once > provisioned
        values += [
            ("ServerlessProvisionedConcurrencyExecutions", float(min(at_once, provisioned)), "Count"),
            ("ServerlessProvisionedConcurrencyUtilization", min(at_once / provisioned, 1.0), "None"),
            ("ServerlessProvisionedConcurrencyInvocations", float(not spilled), "Count"),
            ("ServerlessProvisionedConcurrencySpilloverInvocations", float(spilled), "Count"),
        ]
    return values

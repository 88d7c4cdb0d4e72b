"""Check that the alarms of a rollout can work: they exist, are not in ALARM, and can trip within the bake time.

With an alarm that cannot trip during the bake time, every rollout is a success. AWS's own pages show one: two periods of 600 s with
a bake time of 600 s (developer guide, "deployment-guardrails-configuration" and "-canary").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from airflow_sm_hosting.spec.published import COMPONENT, is_published, sentence

#: The dimension of metrics that cover one fleet only (developer guide, "monitoring-cloudwatch").
FLEET = "EndpointConfigName"


def bake(deployment_config: Mapping[str, Any]) -> tuple[int, str]:
    """Return how many seconds a rollout watches its alarms while the new fleet receives traffic, and the sum in words.

    :param deployment_config: A completed ``DeploymentConfig``.
    """
    blue_green = deployment_config.get("BlueGreenUpdatePolicy") or {}
    rolling = deployment_config.get("RollingUpdatePolicy") or {}
    routing = blue_green.get("TrafficRoutingConfiguration") or rolling
    wait = int(routing.get("WaitIntervalInSeconds") or 0)
    times = 0
    if rolling:
        times = _steps(rolling.get("MaximumBatchSize"))
    elif routing.get("Type") == "CANARY":
        times = 1
    elif routing.get("Type") == "LINEAR":
        times = _steps(routing.get("LinearStepSize"))
    end = int(blue_green.get("TerminationWaitInSeconds") or 0)
    parts = [
        *([f"{times} × {wait} s of bake time"] if times else []),
        *([] if rolling else [f"{end} s before the old fleet ends"]),
    ]
    return times * wait + end, " + ".join(parts)


def going_off(described: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return a sentence for every alarm that is already in ALARM: it would roll back the deployment at once."""
    return [
        f"alarm {alarm['AlarmName']} is already in ALARM ({alarm.get('StateReason') or 'no reason given'})"
        for alarm in described
        if alarm.get("StateValue") == "ALARM"
    ]


def problems(
    names: Iterable[str],
    described: Iterable[Mapping[str, Any]],
    deployment_config: Mapping[str, Any],
    *,
    endpoint_name: str = "",
    kinds: Mapping[str, str] | None = None,
) -> list[str]:
    """Return a sentence for every alarm that cannot work in any deployment of this kind.

    :param names: The alarms that the rollout names.
    :param described: DescribeAlarms' answer for them, with composite alarms.
    :param deployment_config: A completed ``DeploymentConfig``.
    :param endpoint_name: The endpoint.
    :param kinds: The kind of endpoint of each of its variants, as far as they are known (default: none is).
    """
    by_name = {alarm["AlarmName"]: alarm for alarm in described}
    seconds, sum_in_words = bake(deployment_config)
    found = []
    for name in names:
        alarm = by_name.get(name)
        if alarm is None:
            found.append(f"alarm {name} does not exist")
            continue
        found += [
            f"alarm {name} can never go off: {wrong}"
            for wrong in _not_published(alarm, endpoint_name, kinds or {})
        ]
        needed = seconds_to_trip(alarm)
        if needed is not None and needed[0] > seconds:
            found.append(
                f"alarm {name} cannot go off in time: it needs {needed[1]} = {needed[0]} s of breaching data, and the rollout gives it "
                f"{sum_in_words} = {seconds} s"
            )
        if alarm.get("TreatMissingData") == "breaching" and FLEET in _dimensions(alarm):
            found.append(
                f"alarm {name} watches only one fleet (dimension {FLEET}) and treats missing data as "
                "breaching, so it goes off before the new fleet has any traffic; allowed: notBreaching"
            )
    return found


def seconds_to_trip(alarm: Mapping[str, Any]) -> tuple[int, str] | None:
    """Return how long a metric must breach until the alarm goes off, and the product in words; None for a composite alarm."""
    if "AlarmRule" in alarm:
        return None
    periods = [query["MetricStat"]["Period"] for query in alarm.get("Metrics") or [] if "MetricStat" in query]
    period = alarm.get("Period") or max(periods, default=0)
    points = alarm.get("DatapointsToAlarm") or alarm["EvaluationPeriods"]
    return int(period) * int(points), f"{points} × {period} s"


def _not_published(alarm: Mapping[str, Any], endpoint_name: str, kinds: Mapping[str, str]) -> Iterator[str]:
    """Yield a sentence for each metric of a described alarm that nothing publishes.

    The case of endpoint names does not count here: an alarm in another case than DescribeEndpoint's is an error of its own.
    """
    queries = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics") or [] if "MetricStat" in query]
    for metric in queries or [alarm]:
        namespace, name = metric.get("Namespace"), metric.get("MetricName")
        dimensions = {one["Name"]: one["Value"] for one in metric.get("Dimensions") or []}
        kind = kinds.get(dimensions.get("VariantName", ""))
        if "VariantName" not in dimensions and len(set(kinds.values())) == 1:
            kind = next(iter(kinds.values()))  # a metric of the endpoint, as those of a queue
        if "InferenceComponentName" in dimensions:
            kind = COMPONENT
        elif dimensions.get("EndpointName", "").lower() != endpoint_name.lower():
            continue
        if kind and namespace and name and not is_published(namespace, name, kind):
            yield sentence(name, kind)


def _dimensions(alarm: Mapping[str, Any]) -> set[str]:
    lists = [alarm.get("Dimensions") or []]
    lists += [
        query["MetricStat"]["Metric"].get("Dimensions") or []
        for query in alarm.get("Metrics") or []
        if "MetricStat" in query
    ]
    return {dimension["Name"] for dimensions in lists for dimension in dimensions}


def _steps(size: Mapping[str, Any] | None) -> int:
    """Return the number of steps of a size; for a number of instances, whose share is not known here, the minimum: two."""
    if not size or size.get("Type") != "CAPACITY_PERCENT":
        return 2
    return -(-100 // max(1, int(size["Value"])))

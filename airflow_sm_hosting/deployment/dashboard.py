"""A CloudWatch dashboard of an endpoint: its widgets, and the marks of its deployments.

The members of the body are those of "Dashboard body structure and syntax" (CloudWatch API reference).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.deployment.status import is_serverless
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.metric import (
    ASYNCHRONOUS,
    INSTANCE,
    INVOCATION_METRICS,
    PUBLISHED,
    SERVERLESS,
    UTILIZATION_METRICS,
)

#: Width of the grid, and height of a widget, in its units.
WIDTH, HEIGHT = 24, 6

#: Number of widgets in a row.
IN_ROW = 3

#: Number of marks that a dashboard keeps: the newest.
MOST_MARKS = 50

#: How the text of each of our dashboards ends: it tells whose a dashboard is, as dashboards of older accounts have no tags.
SIGNATURE = "Made by airflow_sm_hosting."

#: Alarms that one widget may have (alarm widget properties).
MOST_ALARMS = 100


@dataclass(frozen=True)
class Line:
    """A line of a graph for each variant.

    :param namespace: The namespace of the metric.
    :param metric: The metric.
    :param stat: The statistic.
    :param label: What it is called beside the variant's name.
    """

    namespace: str
    metric: str
    stat: str
    label: str


#: The graphs: title, unit of the left axis, and lines.
GRAPHS: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    ("Invocations", "requests", (Line(INVOCATION_METRICS, "Invocations", "Sum", "invocations"),)),
    (
        "Model latency",
        "microseconds",
        (
            Line(INVOCATION_METRICS, "ModelLatency", "p50", "p50"),
            Line(INVOCATION_METRICS, "ModelLatency", "p99", "p99"),
        ),
    ),
    (
        "Overhead latency",
        "microseconds",
        (Line(INVOCATION_METRICS, "OverheadLatency", "p99", "p99"),),
    ),
    (
        "Errors",
        "requests",
        (
            Line(INVOCATION_METRICS, "Invocation5XXErrors", "Sum", "5XX"),
            Line(INVOCATION_METRICS, "Invocation4XXErrors", "Sum", "4XX"),
        ),
    ),
    (
        "Load of an instance",
        "requests",
        (Line(INVOCATION_METRICS, "InvocationsPerInstance", "Sum", "invocations per instance"),),
    ),
    (
        "CPU and memory",
        "percent",
        (
            Line(UTILIZATION_METRICS, "CPUUtilization", "Average", "CPU"),
            Line(UTILIZATION_METRICS, "MemoryUtilization", "Average", "memory"),
        ),
    ),
    (
        "Concurrency",
        "share",
        (Line(INVOCATION_METRICS, "ServerlessConcurrentExecutionsUtilization", "Maximum", "used"),),
    ),
)

#: The graphs of the queue of an asynchronous endpoint; these metrics have no variant.
QUEUE_GRAPHS: tuple[tuple[str, str, tuple[Line, ...]], ...] = (
    (
        "Queue",
        "requests",
        (
            Line(INVOCATION_METRICS, "ApproximateBacklogSize", "Maximum", "waiting"),
            Line(INVOCATION_METRICS, "InvocationFailures", "Sum", "failed"),
        ),
    ),
    (
        "Time in the queue",
        "milliseconds",
        (Line(INVOCATION_METRICS, "TimeInBacklog", "p99", "p99"),),
    ),
)


@dataclass(frozen=True)
class Mark:
    """A deployment in the graphs.

    :param at: When AWS changed the endpoint, in ISO format.
    :param config: The config that serves since.
    """

    at: str
    config: str


def dashboard_body(
    described: Mapping[str, Any],
    config: Mapping[str, Any],
    *,
    region: str,
    period: int,
    alarm_arns: Sequence[str] = (),
    scaling: Mapping[str, tuple[int, int]] | None = None,
    marks: Sequence[Mark] = (),
) -> dict[str, Any]:
    """Return the body of an endpoint's dashboard.

    :param described: DescribeEndpoint's answer.
    :param config: DescribeEndpointConfig's answer for the config that serves.
    :param region: The Region of the metrics.
    :param period: Seconds of a point.
    :param alarm_arns: The alarms to show.
    :param scaling: The fewest and most instances of each variant that is scaled.
    :param marks: The deployments, oldest first.
    """
    endpoint, kind = described["EndpointName"], kind_of(config)
    variants = [one["VariantName"] for one in described.get("ProductionVariants") or []]
    vertical = [{"label": f"deployed {mark.config}", "value": mark.at} for mark in marks]
    graphs = []
    for title, unit, lines in GRAPHS:
        published = [line for line in lines if kind in PUBLISHED[line.namespace, line.metric][1]]
        metrics = [_metric(line, endpoint, variant) for line in published for variant in variants]
        if metrics:
            graphs.append(_graph(title, unit, metrics, region, period, vertical))
    for title, unit, lines in QUEUE_GRAPHS if kind == ASYNCHRONOUS else ():
        metrics = [_metric(line, endpoint, None) for line in lines]
        graphs.append(_graph(title, unit, metrics, region, period, vertical))
    ranges = scaling or {}
    scaled = [_scaling(name, endpoint, *ranges[name]) for name in variants if name in ranges]
    if scaled:
        graphs.append(
            {
                **_graph(
                    "Instances (invocations divided by those of an instance)",
                    "instances",
                    [metric for metrics, _ in scaled for metric in metrics],
                    region,
                    period,
                    vertical,
                    horizontal=[line for _, lines in scaled for line in lines],
                )
            }
        )
    text = f"# {endpoint}\n\nServes **{described['EndpointConfigName']}**. {SIGNATURE}"
    widgets = [{"type": "text", "width": WIDTH, "height": 2, "properties": {"markdown": text}}]
    if alarm_arns:
        widgets.append(
            {
                "type": "alarm",
                "width": WIDTH,
                "height": 3,
                "properties": {"title": "Alarms", "alarms": list(alarm_arns[:MOST_ALARMS])},
            }
        )
    return {"widgets": _placed(widgets, graphs)}


def kind_of(config: Mapping[str, Any]) -> str:
    """Return the kind of the endpoint of a config, which decides on its metrics."""
    if config.get("AsyncInferenceConfig"):
        return ASYNCHRONOUS
    return SERVERLESS if is_serverless(config.get("ProductionVariants") or []) else INSTANCE


def mark_of(described: Mapping[str, Any]) -> Mark:
    """Return the mark of the deployment that serves."""
    changed: datetime = described["LastModifiedTime"]
    return Mark(
        changed.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        described["EndpointConfigName"],
    )


def marks_of(body: Mapping[str, Any], newest: Mark) -> list[Mark]:
    """Return the marks of an existing dashboard, with the newest deployment if it serves another config than the last mark.

    :param body: The body; empty for no dashboard.
    :param newest: The deployment that serves.
    """
    found = {
        Mark(str(one["value"]), str(one["label"]).removeprefix("deployed "))
        for widget in body.get("widgets") or []
        for one in ((widget.get("properties") or {}).get("annotations") or {}).get("vertical") or []
        if str(one.get("label", "")).startswith("deployed ") and "value" in one
    }
    marks = sorted(found, key=lambda mark: mark.at)
    if not marks or marks[-1].config != newest.config:
        marks.append(newest)
    return marks[-MOST_MARKS:]


def check_owner(name: str, body: str | None, *, adopt: bool) -> None:
    """Check that a dashboard may be overwritten.

    :param name: The dashboard.
    :param body: Its body; None if it does not exist.
    :param adopt: Whether a dashboard that others made may be overwritten.
    :raises ConflictError: When others made it.
    """
    if body is None or SIGNATURE in body or adopt:
        return
    raise ConflictError(
        f"The dashboard {name!r} exists, and was not made by this package. Give another dashboard_name, or adopt=True to overwrite it."
    )


def parsed(body: str | None) -> dict[str, Any]:
    """Return a body as data; empty if there is none, or none that can be read."""
    try:
        found = json.loads(body or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _graph(
    title: str,
    unit: str,
    metrics: list[Any],
    region: str,
    period: int,
    vertical: list[dict[str, str]],
    horizontal: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    annotations = {
        **({"vertical": vertical} if vertical else {}),
        **({"horizontal": horizontal} if horizontal else {}),
    }
    return {
        "type": "metric",
        "width": WIDTH // IN_ROW,
        "height": HEIGHT,
        "properties": {
            "title": title,
            "view": "timeSeries",
            "region": region,
            "period": period,
            "metrics": metrics,
            "yAxis": {"left": {"label": unit, "showUnits": False, "min": 0}},
            **({"annotations": annotations} if annotations else {}),
        },
    }


def _metric(line: Line, endpoint: str, variant: str | None, **options: Any) -> list[Any]:
    dimensions = ["EndpointName", endpoint, *(["VariantName", variant] if variant else [])]
    label = f"{variant} {line.label}" if variant else line.label
    return [line.namespace, line.metric, *dimensions, {"stat": line.stat, "label": label, **options}]


def _scaling(
    variant: str, endpoint: str, fewest: int, most: int
) -> tuple[list[list[Any]], list[dict[str, Any]]]:
    """Return the metrics that estimate a variant's instances, and its range."""
    all_, each = f"all_{_identifier(variant)}", f"each_{_identifier(variant)}"
    lines = {
        all_: Line(INVOCATION_METRICS, "Invocations", "Sum", "invocations"),
        each: Line(INVOCATION_METRICS, "InvocationsPerInstance", "Sum", "per instance"),
    }
    return [
        [{"expression": f"{all_}/{each}", "label": variant, "id": f"count_{_identifier(variant)}"}],
        *(_metric(line, endpoint, variant, id=name, visible=False) for name, line in lines.items()),
    ], [
        {"label": f"{variant}: fewest", "value": fewest},
        {"label": f"{variant}: most", "value": most},
    ]


def _identifier(variant: str) -> str:
    """Return a part of an id of metric math: letters, digits and underscores, and no two variants alike."""
    return "".join(char if char.isascii() and char.isalnum() else f"_{ord(char)}_" for char in variant)


def _placed(full: Iterable[dict[str, Any]], graphs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the widgets with their places: those of full width first, then the graphs in rows."""
    placed, y = [], 0
    for widget in full:
        placed.append({"x": 0, "y": y, **widget})
        y += widget["height"]
    for number, graph in enumerate(graphs):
        row, column = divmod(number, IN_ROW)
        placed.append({"x": column * WIDTH // IN_ROW, "y": y + row * HEIGHT, **graph})
    return placed

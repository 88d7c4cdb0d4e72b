"""The plot of a story in the terminal: traffic and latency by model, with the events of the deployments marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from airflow_sm_hosting.local.client.control import Control

VARIANT = "main"
WIDEST, HEIGHT, TICKS = 140, 16, 8
#: Columns left of the lines, for the names of the models.
LEGEND = 22


@dataclass(frozen=True)
class Mark:
    """An event of a deployment.

    :param at: When, by the clock of AWS.
    :param what: What happened.
    """

    at: datetime
    what: str


@dataclass(frozen=True)
class Line:
    """The values of a metric for one model.

    :param label: The model.
    :param at: When, by the clock of AWS.
    :param values: The values then.
    """

    label: str
    at: Sequence[datetime]
    values: Sequence[float]


def marks_of(
    timeline: Sequence[Mapping[str, Any]], model: str, clock: Callable[[float], datetime]
) -> list[Mark]:
    """Return the events that the timeline of a deployment tells.

    :param timeline: The XCom ``timeline`` of the task; its last entry shows the end.
    :param model: The name of the model in the story.
    :param clock: Turns seconds since the epoch, when the task saw it, into the time of AWS.
    """
    marks = []
    for before, entry in pairwise([None, *timeline]):
        what = _event(before, entry or {}, is_last=entry is timeline[-1])
        if entry and what:
            # When a stage began, AWS says itself.
            began = [fleet["since"] for fleet in entry["coming"] if fleet.get("since")]
            at = datetime.fromtimestamp(max(began), UTC) if began else clock(entry["at"])
            marks.append(Mark(at, f"{model}: {what}"))
    return marks


def _event(before: Mapping[str, Any] | None, entry: Mapping[str, Any], *, is_last: bool) -> str | None:
    status = entry.get("status")
    if status == "Updating" and entry.get("moved"):
        return f"{entry['moved']} % of the traffic"
    if status != "InService" or not is_last:
        return None
    if before is None or before["status"] == "Creating" or before["pending"] is None:
        return "in service"
    # A deployment that is rolled back leaves the former config.
    return "all of the traffic" if entry["config"] == before["pending"] else "rolled back by an alarm"


def plotted(
    aws: Control, endpoint: str, configs: Mapping[str, str], marks: Sequence[Mark], width: int
) -> str:
    """Return the plot.

    :param aws: The local AWS, whose CloudWatch has the metrics.
    :param endpoint: The name of the endpoint.
    :param configs: The endpoint configs that were deployed, each with the name of its model.
    :param marks: The events.
    :param width: The width of the terminal.
    """
    traffic = read(aws, endpoint, configs, "Invocations", "Sum", marks[0].at)
    latency = read(aws, endpoint, configs, "ModelLatency", "Average", marks[0].at)
    latency = [Line(line.label, line.at, [value / 1000 for value in line.values]) for line in latency]
    numbered = [f"  {number}  {mark.at:%H:%M} {mark.what}" for number, mark in enumerate(marks, 1)]
    width = min(width, WIDEST)
    return "\n".join(
        [
            draw("Requests a minute, by model (UTC, the clock of the local AWS)", traffic, marks, width),
            draw("Latency of the model, milliseconds, mean of a minute", latency, marks, width),
            *numbered,
        ]
    )


def read(
    aws: Control, endpoint: str, configs: Mapping[str, str], metric: str, statistic: str, since: datetime
) -> list[Line]:
    """Return a metric of each deployed config, minute by minute (GetMetricData)."""
    names = list(configs)
    queries = [
        {
            "Id": f"m{number}",
            "Label": configs[name],
            "MetricStat": {
                "Metric": {
                    "Namespace": "AWS/SageMaker",
                    "MetricName": metric,
                    "Dimensions": [
                        {"Name": "EndpointName", "Value": endpoint},
                        {"Name": "VariantName", "Value": VARIANT},
                        {"Name": "EndpointConfigName", "Value": name},
                    ],
                },
                "Period": 60,
                "Stat": statistic,
            },
        }
        for number, name in enumerate(names)
    ]
    answer = aws.client("cloudwatch").get_metric_data(
        MetricDataQueries=queries,
        StartTime=since - timedelta(minutes=1),
        EndTime=aws.now(),
        ScanBy="TimestampAscending",
    )
    return [
        Line(result["Label"], result["Timestamps"], result["Values"])
        for result in answer["MetricDataResults"]
    ]


def draw(title: str, lines: Sequence[Line], marks: Sequence[Mark], width: int) -> str:
    """Return one plot, without colours.

    :param title: What it shows.
    :param lines: The lines.
    :param marks: The events: numbered vertical lines.
    :param width: Its width.
    """
    import plotext

    figure = plotext.figure
    figure.clear()
    plotext.terminal.limit(False, False)
    figure.plot_size(width, HEIGHT)
    figure.title(title)
    start = marks[0].at

    def minutes(at: datetime) -> float:
        return (at - start).total_seconds() / 60

    for line in lines:
        signal = figure.signal([minutes(at) for at in line.at], list(line.values), marker="braille")
        signal.lines(True)
        signal.label(line.label)
        figure.draw(signal)
    most = max((value for line in lines for value in line.values), default=1)
    figure.ruler("y", "left").lim(0, most * 1.2)
    last = max((minutes(at) for line in lines for at in line.at), default=1)
    figure.ruler("x", "lower").lim(-last * LEGEND / (width - LEGEND), last)
    ticks = [last * number / TICKS for number in range(TICKS + 1)]
    figure.ruler("x", "lower").ticks(ticks, [f"{start + timedelta(minutes=tick):%H:%M}" for tick in ticks])
    for number, mark in enumerate(marks, 1):
        figure.line(minutes(mark.at), "vertical")
        figure.draw(figure.text(minutes(mark.at), most * 1.15, str(number)))
    return str(figure.build().string(colorless=True))

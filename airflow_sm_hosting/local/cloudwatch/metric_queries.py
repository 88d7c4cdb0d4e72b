"""``MetricDataQueries``: the data that their expressions are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.cloudwatch import metric_math
from airflow_sm_hosting.local.cloudwatch.metrics import Metric, MetricStore, metric_of


def queried_metric(stat: Mapping[str, Any]) -> Metric:
    """Return the metric of a ``MetricStat``."""
    metric = stat["Metric"]
    return metric_of(metric.get("Namespace", ""), metric.get("MetricName", ""), metric.get("Dimensions", ()))


def math_data(
    metrics: MetricStore, queries: Sequence[Mapping[str, Any]], start: int, period: int, number: int
) -> metric_math.Data:
    """Return what the expressions among some ``MetricDataQueries`` are evaluated on."""
    found: dict[str, metric_math.Series] = {}
    for query in queries:
        if stat := query.get("MetricStat"):
            metric = queried_metric(stat)
            # Without a unit, the data are those of the first one: see GetMetricData. That expressions and alarms are alike is assumed.
            units = (
                [stat["Unit"]] if stat.get("Unit") else metrics.units(metric, start, start + period * number)
            )
            unit = next(iter(units), None)
            windows = metrics.statistics(metric, [stat["Stat"]], start, period, number, unit=unit)
            found[query["Id"]] = {
                start + index * period: value
                for index, window in enumerate(windows)
                if window is not None and (value := window[stat["Stat"]]) is not None
            }
    return metric_math.Data(
        times=[start + index * period for index in range(number)],
        period=period,
        metrics=found,
        expressions={query["Id"]: query["Expression"] for query in queries if "Expression" in query},
    )

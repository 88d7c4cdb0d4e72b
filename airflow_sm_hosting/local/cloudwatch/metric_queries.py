"""``MetricDataQueries``: the data that their expressions are evaluated on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.local.cloudwatch import metric_math
from airflow_sm_hosting.local.cloudwatch.metrics import Metrics, metric_of


def math_data(
    metrics: Metrics, queries: Sequence[Mapping[str, Any]], start: int, period: int, number: int
) -> metric_math.Data:
    """Return what the expressions among some ``MetricDataQueries`` are evaluated on."""
    found: dict[str, metric_math.Series] = {}
    for query in queries:
        if stat := query.get("MetricStat"):
            metric = metric_of(
                stat["Metric"].get("Namespace", ""),
                stat["Metric"].get("MetricName", ""),
                stat["Metric"].get("Dimensions", ()),
            )
            windows = metrics.statistics(metric, [stat["Stat"]], start, period, number, unit=stat.get("Unit"))
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

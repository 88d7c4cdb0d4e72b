from __future__ import annotations

import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local.cloudwatch.metrics import MetricStore, metric_of
from airflow_sm_hosting.local.cloudwatch.metrics_file import MetricsFile, VersionError
from tests.local.region import START

METRIC = metric_of("N", "M", {"b": "2", "a": "1"})
OTHER = metric_of("N", "other")
NAMES = ("SampleCount", "Sum", "Minimum", "Maximum", "p50", "p99")


def at(seconds: float) -> Any:
    return START + timedelta(seconds=seconds)


def told(
    metrics: Any,
    metric: Any = METRIC,
    *,
    first: int = 0,
    period: int = 60,
    number: int = 3,
    names: Any = NAMES,
    unit: Any = None,
) -> Any:
    return metrics.statistics(metric, names, START.timestamp() + first, period, number, unit=unit)


@pytest.fixture
def path(tmp_path: Path) -> Any:
    return tmp_path / "metrics.sqlite"


def read(path: Path) -> Any:
    """Return what another process would find, by Region."""
    found: dict[str, MetricStore] = {}
    file = MetricsFile(path)
    file.load(lambda region: found.setdefault(region, MetricStore()))
    file.close()
    return found


def rows(path: Path, table: str = "data") -> Any:
    with sqlite3.connect(path) as database:
        return database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_all_that_was_written_is_read(path: Path) -> None:
    here, there = MetricStore(), MetricStore()
    for value in (1.0, 2.5, 2.5, 100.0):
        here.put(METRIC, value, at=at(0), unit="Seconds")
    here.put(METRIC, 7.0, at=at(61), unit="Seconds", resolution=1)
    here.put(METRIC, 5.0, at=at(62), unit="Count", resolution=1)
    here.put_set(METRIC, count=4, total=10, minimum=1, maximum=4, at=at(120), unit="Seconds")
    there.put(OTHER, 3.0, at=at(0))
    file = MetricsFile(path)
    file.write({"us-east-1": here, "eu-west-1": there, "empty": MetricStore()})
    file.close()
    assert path.stat().st_mode & 0o077 == 0

    found = read(path)
    assert found.keys() == {"us-east-1", "eu-west-1"}
    assert told(found["us-east-1"]) == told(here)
    assert told(found["us-east-1"])[2]["p50"] is None
    assert told(found["us-east-1"], period=1, first=61) == told(here, period=1, first=61)
    assert told(found["us-east-1"], unit="Count") == told(here, unit="Count")
    assert found["us-east-1"].known() == here.known()
    assert told(found["eu-west-1"], OTHER) == told(there, OTHER)
    assert told(found["eu-west-1"]) == [None, None, None]


def test_only_what_changed_is_written(path: Path) -> None:
    metrics = MetricStore()
    for minute in range(500):
        metrics.put(METRIC, 1.0, at=at(60 * minute))
        metrics.put(OTHER, 1.0, at=at(60 * minute))
    file = MetricsFile(path)

    def written() -> Any:
        before = file._database.total_changes
        file.write({"r": metrics})
        return file._database.total_changes - before

    assert written() >= 1000
    assert written() == 0
    metrics.put(METRIC, 2.0, at=at(60 * 400))
    metrics.put(METRIC, 2.0, at=at(60 * 500))
    # The minute that was there is replaced, which counts twice.
    assert written() <= 3
    file.close()
    assert told(read(path)["r"], first=60 * 400, number=1) == told(metrics, first=60 * 400, number=1)
    assert rows(path) == 1001


def test_what_is_forgotten_and_what_is_aggregated_is_so_in_the_file(path: Path) -> None:
    metrics = MetricStore()
    file = MetricsFile(path)
    metrics.put(METRIC, 1.0, at=at(0))
    metrics.put(OTHER, 1.0, at=at(0), resolution=1)
    file.write({"r": metrics})
    metrics.put(METRIC, 2.0, at=at(16 * 86_400))
    for second in range(1, 20_003):
        metrics.put(OTHER, 1.0, at=at(second), resolution=1)
    file.write({"r": metrics})
    file.close()
    found = read(path)["r"]
    assert told(found, number=1, names=["Sum"]) == [None]
    whole = {"first": 0, "period": 60, "number": 400, "names": ["Sum", "p50"]}
    assert told(found, OTHER, **whole) == told(metrics, OTHER, **whole)
    assert rows(path) < 12_000


def test_metrics_that_begin_anew_replace_what_was_there(path: Path) -> None:
    first, second = MetricStore(), MetricStore()
    first.put(METRIC, 1.0, at=at(0))
    file = MetricsFile(path)
    file.write({"r": first, "gone": first})
    second.put(METRIC, 2.0, at=at(60))
    file.write({"r": second})
    file.close()
    found = read(path)
    assert found.keys() == {"r"}
    assert told(found["r"]) == told(second)


def test_what_was_read_is_not_written_again(path: Path) -> None:
    metrics = MetricStore()
    metrics.put(METRIC, 1.0, at=at(0))
    file = MetricsFile(path)
    file.write({"r": metrics})
    file.close()
    found = MetricStore()
    file = MetricsFile(path)
    file.load(lambda region: found)
    file.write({"r": found})
    assert file._database.total_changes == 0
    found.put(METRIC, 1.0, at=at(1))
    file.write({"r": found})
    file.close()
    assert told(read(path)["r"], names=["Sum"]) == [{"Sum": 2.0}, None, None]


def test_what_could_not_be_written_is_written_the_next_time(path: Path) -> None:
    metrics = MetricStore()
    file = MetricsFile(path)
    file.write({"r": metrics})
    metrics.put(METRIC, 1.0, at=at(0))
    metrics.put(OTHER, 1.0, at=at(0))
    with sqlite3.connect(path, timeout=0) as other:
        other.execute("BEGIN EXCLUSIVE")
        file._database.execute("PRAGMA busy_timeout = 0")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            file.write({"r": metrics})
    file.write({"r": metrics})
    file.close()
    assert told(read(path)["r"]) == told(metrics)


def test_a_file_of_another_version_is_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(VersionError, match=r"metrics\.sqlite has the version 99, not 1"):
        MetricsFile(path)

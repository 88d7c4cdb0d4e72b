"""Data of metrics on disk: only changes are written, as years of minutes are too much to be written each time."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Mapping
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.cloudwatch.metrics import (
    Changes,
    Distribution,
    MetricStore,
    metric_of,
)

VERSION = 1

# Distributions are packed (Distribution.packed); all else can be read with any SQLite.
_TABLES = """
CREATE TABLE series (
    id INTEGER PRIMARY KEY, region TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, dimensions TEXT NOT NULL,
    unit TEXT NOT NULL, UNIQUE (region, namespace, name, dimensions, unit)
);
CREATE TABLE data (
    series INTEGER NOT NULL REFERENCES series, time INTEGER NOT NULL, count REAL NOT NULL, total REAL NOT NULL,
    minimum REAL NOT NULL, maximum REAL NOT NULL, packed BLOB, PRIMARY KEY (series, time)
) WITHOUT ROWID;
"""


class VersionError(ValueError):
    """The file has another version; the message says which."""


class MetricsFile:
    """A file that keeps the data of all metrics, one transaction at a time.

    :param path: The file; created if it does not exist.
    :raises VersionError: It was written by another version.
    :raises sqlite3.Error: It cannot be read.
    """

    def __init__(self, path: Path) -> None:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        # One thread at a time uses it: the one that starts, then the one that writes, then the one that ends.
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._begin(path)
        except BaseException:
            self._database.close()
            raise
        # What was read from or written to the file, by Region; another object has nothing in it yet.
        self._known: dict[str, MetricStore] = {}

    def _begin(self, path: Path) -> None:
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if version == 0 and not self._database.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._database.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
        elif version != VERSION:
            raise VersionError(f"{path} has the version {version}, not {VERSION}.")

    def load(self, of_region: Callable[[str], MetricStore]) -> None:
        """Restore the saved data of metrics.

        :param of_region: Returns the metrics of a Region.
        """
        series = self._database.execute("SELECT id, region, namespace, name, dimensions, unit FROM series")
        metrics = {
            id: (of_region(region), metric_of(namespace, name, json.loads(dimensions)), unit, region)
            for id, region, namespace, name, dimensions, unit in series
        }
        for id, rows in groupby(
            self._database.execute("SELECT * FROM data ORDER BY series, time"), itemgetter(0)
        ):
            into, metric, unit, region = metrics[id]
            into.load(metric, unit, ((time, Distribution.unpacked(*packed)) for _, time, *packed in rows))
            self._known[region] = into

    def write(self, metrics: Mapping[str, MetricStore]) -> None:
        """Write what changed.

        :param metrics: All that there are, by Region.
        """
        known, self._known = self._known, {}
        # Where this fails, nothing is known any more, and all is written the next time.
        with self._database:
            self._database.execute("BEGIN")
            for region in [region for region in known if known[region] is not metrics.get(region)]:
                self._forget(region)
            for region, one in metrics.items():
                for changes in one.changes(everything=known.get(region) is not one):
                    self._write(region, changes)
        self._known = dict(metrics)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _forget(self, region: str) -> None:
        self._database.execute(
            "DELETE FROM data WHERE series IN (SELECT id FROM series WHERE region = ?)", (region,)
        )
        self._database.execute("DELETE FROM series WHERE region = ?", (region,))

    def _write(self, region: str, changes: Changes) -> None:
        metric = changes.metric
        key: tuple[Any, ...] = (region, metric.namespace, metric.name, json.dumps(dict(metric.dimensions)))
        key = (*key, changes.unit)
        self._database.execute(
            "INSERT OR IGNORE INTO series (region, namespace, name, dimensions, unit) VALUES (?, ?, ?, ?, ?)",
            key,
        )
        (series,) = self._database.execute(
            "SELECT id FROM series WHERE region = ? AND namespace = ? AND name = ? AND dimensions = ? AND unit = ?",
            key,
        ).fetchone()
        if changes.is_complete:
            self._database.execute("DELETE FROM data WHERE series = ?", (series,))
        else:
            self._database.execute("DELETE FROM data WHERE series = ? AND time < ?", (series, changes.oldest))
        self._database.executemany(
            "INSERT OR REPLACE INTO data VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(series, time, *packed) for time, packed in changes.distributions.items()],
        )

"""The page "Endpoints" with 1,000 endpoints and 20,000 entries of history: API calls, API time, first paint.

Starts Airflow (``airflow standalone``, SQLite), writes the rows that real deployments would have left, and opens the page in Chromium
(Playwright): ``python benchmarks/endpoints_page.py [endpoints] [entries]``.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.standalone import Airflow
from tests.ui.browser import chromium, opened

ENDPOINTS, ENTRIES = 1_000, 20_000


def record(endpoint: int, entry: int) -> dict[str, Any]:
    """Return a record as a deployment leaves it."""
    return {
        "version": 1,
        "kind": "endpoint",
        "name": f"endpoint-{endpoint:04}",
        "region": "eu-west-1",
        "action": "update",
        "outcome": "succeeded",
        "status": "InService",
        "endpoint_config_name": f"endpoint-{endpoint:04}-{entry:010x}",
        "previous_endpoint_config_name": f"endpoint-{endpoint:04}-{entry - 1:010x}",
        "rollback_to": f"endpoint-{endpoint:04}-{entry - 1:010x}",
        "variants": [
            {
                "name": name,
                "weight": weight,
                "current": 2,
                "desired": 2,
                "instance_type": "ml.m5.xlarge",
                "min_capacity": 1,
                "max_capacity": 8,
                "image": "123456789012.dkr.ecr.eu-west-1.amazonaws.com/serving@sha256:" + f"{entry:064x}",
                "artifact": f"s3://models/endpoint-{endpoint:04}/{entry:010x}/model.tar.gz",
            }
            for name, weight in (("main", 0.9), ("next", 0.1))
        ],
        "alarms": [{"name": f"endpoint-{endpoint:04}-latency", "state": "OK"}],
        "seconds": 412.5,
        "run_type": "asset_triggered",
    }


def write_rows(database: Path, endpoints: int, entries: int) -> None:
    """Write assets and their events, oldest first."""
    began = time.time() - entries * 60
    with sqlite3.connect(database, timeout=60) as connection:
        moment = time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(began))
        connection.executemany(
            'INSERT INTO asset (id, name, uri, "group", extra, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
            [
                (
                    100_000 + index,
                    f"eu-west-1/endpoint-{index:04}",
                    f"sagemaker://eu-west-1/endpoint/endpoint-{index:04}",
                    "asset",
                    "{}",
                    moment,
                    moment,
                )
                for index in range(endpoints)
            ],
        )
        connection.executemany(
            "INSERT INTO asset_event (asset_id, extra, source_task_id, source_dag_id, source_run_id, source_map_index, timestamp) "
            "VALUES (?, ?, 'deploy', 'deploy', ?, -1, ?)",
            [
                (
                    100_000 + entry % endpoints,
                    json.dumps(record(entry % endpoints, entry)),
                    f"run-{entry}",
                    time.strftime("%Y-%m-%d %H:%M:%S.000000", time.gmtime(began + entry * 60)),
                )
                for entry in range(entries)
            ],
        )


class Calls:
    """The API calls of a page: how many, and how long each took."""

    def __init__(self, page: Any) -> None:
        self.seconds: list[float] = []
        page.on("requestfinished", self._took)

    def _took(self, request: Any) -> None:
        asks = ("/api/v2/assets", "/api/v2/dags/~/dagRuns/~/taskInstances?operator", "/xcomEntries/")
        if any(part in request.url for part in asks):
            self.seconds.append(request.timing["responseEnd"] / 1000)

    def taken(self) -> str:
        """Return a line about the calls since the last time."""
        found, self.seconds = self.seconds, []
        if not found:
            return "no call"
        return f"{len(found)} calls, median {statistics.median(found):.3f} s, slowest {max(found):.3f} s, sum {sum(found):.2f} s"


def measure(url: str, endpoints: int) -> None:
    """Open the page, a row and a filter, and print what they cost."""
    with chromium() as browser, opened(browser, base_url=url) as page:
        page.goto("/")
        page.wait_for_load_state("networkidle")
        calls = Calls(page)
        began = time.perf_counter()
        page.goto("/plugin/sm-endpoints")
        page.locator("[data-endpoint]").first.wait_for()
        print(f"first rows after {time.perf_counter() - began:.2f} s")
        page.locator("[data-endpoint] .smh-bar").nth(20).wait_for()
        page.locator("h1 small").get_by_text(f"{endpoints:,}").wait_for()
        print(f"all endpoints known, visible ones complete after {time.perf_counter() - began:.2f} s")
        print(f"the page: {calls.taken()}")
        began = time.perf_counter()
        page.locator("button.smh-row").first.click()
        page.locator("table.smh-table").last.wait_for()
        print(f"a row opened in {time.perf_counter() - began:.2f} s: {calls.taken()}")
        began = time.perf_counter()
        page.get_by_label("Filter endpoints").fill(f"endpoint-{endpoints - 1:04}")
        page.locator(f"[data-endpoint=endpoint-{endpoints - 1:04}] .smh-bar").first.wait_for()
        print(f"filtered in {time.perf_counter() - began:.2f} s: {calls.taken()}")


def main(endpoints: int = ENDPOINTS, entries: int = ENTRIES) -> None:
    """Start Airflow, write the rows, and measure."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "dags").mkdir()
        # Airflow shows no events of a DAG that it does not know.
        (home / "dags/deploy.py").write_text(
            "from airflow.sdk import DAG\ndag = DAG('deploy', schedule=None)\n"
        )
        airflow = Airflow(home, home / "dags", {"AIRFLOW__CORE__LOAD_EXAMPLES": "False"})
        try:
            airflow.unpause("deploy")
            write_rows(home / "airflow.db", endpoints, entries)
            measure(airflow.url, endpoints)
        finally:
            airflow.stop()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

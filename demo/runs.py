"""The runs of the example DAGs through Airflow, in a home and with a database of the demo's own."""

from __future__ import annotations

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.client.control import Control
from demo.home import REPOSITORY, Home
from demo.telling import console, say

ENDPOINT = "breast-cancer"
#: Images are put together without an engine, and one whose base cannot be pulled works only with the process engine.
WITHOUT_ENGINE = {"AIRFLOW__SM_HOSTING__IMAGE_BUILDER": "assembler", "SM_HOSTING_ALLOW_MISSING_BASE": "1"}


def airflow_environment(home: Home, aws: Control, engine: str, base: str) -> dict[str, str]:
    """Return the environment in which Airflow runs, and write it down for ``make ui``."""
    ours = {
        "AIRFLOW_HOME": str(home.airflow),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home.airflow / 'airflow.db'}",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        # A scheduler leaves the runs of paused DAGs alone: nothing runs in the UI unless a person wants it.
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
        "MODEL_STORE": str(home.models),
        "AIRFLOW_VAR_BASE_IMAGE": base,
        **(WITHOUT_ENGINE if engine == "process" else {}),
    }
    home.environment.touch(mode=0o600)
    home.environment.write_text(json.dumps(ours, indent=1))
    return {**without_foreign_settings(), **ours}


def without_foreign_settings() -> dict[str, str]:
    """Return the shell's environment without its own Airflow's and AWS's: the demo must touch neither."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "AWS_"))}


def migrate_database(home: Home, environment: dict[str, str]) -> None:
    """Make Airflow's metadata database, or bring it up to date."""
    airflow = Path(sys.executable).parent / "airflow"
    with console.status("Preparing Airflow's database"), home.log.open("ab") as log:
        subprocess.run([str(airflow), "db", "migrate"], env=environment, stdout=log, stderr=log, check=True)


def run_dags(
    home: Home,
    environment: dict[str, str],
    *,
    train: dict[str, Any] | None,
    deploy: dict[str, Any],
    may_fail: bool = False,
    on_task: Callable[[str], None] = lambda task_id: None,
) -> dict[str, Any] | None:
    """Train and deploy through Airflow, showing which task runs; return what was done, None if a run failed.

    :param home: The demo's.
    :param environment: Airflow's.
    :param train: The conf of ``train_model``; None trains nothing.
    :param deploy: The conf of ``retrain_and_deploy``.
    :param may_fail: Return also what a failed run of ``retrain_and_deploy`` did.
    :param on_task: Is called with the id of each task that starts.
    """
    # Dated, so that earlier runs stay for the UI.
    command = [
        *(sys.executable, str(REPOSITORY / "demo" / "run_dags.py"), "--dated"),
        *("--report", str(home.report)),
    ]
    if train is not None:
        command += ["--train", json.dumps(train)]
    command += ["--deploy", json.dumps({"poll_interval": 1, "endpoint_name": ENDPOINT, **deploy})]
    home.report.unlink(missing_ok=True)
    with (
        console.status("Starting Airflow") as status,
        home.log.open("a") as log,
        subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process,
    ):
        for line in process.stdout or ():
            log.write(line)
            if found := re.search(r"\[DAG TEST\] starting task_id=(\w+)", line):
                say(f"  {datetime.now():%H:%M:%S} {found[1]}")
                status.update(f"Running {found[1]}")
                on_task(found[1])
    report: dict[str, Any] = json.loads(home.report.read_text()) if home.report.exists() else {}
    if process.returncode and not (may_fail and "retrain_and_deploy" in report):
        say(f"[red]Airflow's run failed[/]; the end of {home.log}:")
        console.print(
            "".join(home.log.read_text().splitlines(keepends=True)[-40:]), markup=False, soft_wrap=True
        )
        return None
    return report


def deployed(report: dict[str, Any]) -> dict[str, Any]:
    """Return the tasks of the run of ``retrain_and_deploy``, by id."""
    return {task["task_id"]: task for task in report["retrain_and_deploy"]["tasks"]}


def announced_model(home: Home) -> dict[str, Any]:
    """Return what the newest asset event of ``train_model`` tells: path, accuracy and sample rows."""
    with closing(sqlite3.connect(home.airflow / "airflow.db")) as database:
        (extra,) = database.execute(
            "select extra from asset_event where source_dag_id = 'train_model' order by id desc limit 1"
        ).fetchone()
    announced: dict[str, Any] = json.loads(extra)
    return announced

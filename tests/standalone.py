"""Airflow's own scheduler, API server, DAG processor and triggerer (``airflow standalone``), as an object that tests speak to.

With another command, one part of it, such as a further API server on the same database.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import requests

BIN = Path(sys.executable).parent

#: The seconds that an endpoint takes to change where a task is deferred. Much longer than a turn of the scheduler: Airflow fails the try of a
#: task that is resumed before the scheduler has seen that its first process ended (apache/airflow#72716).
DEFERRED_TRANSITION = 8.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Airflow:
    """A running ``airflow standalone``, spoken to over its REST API.

    :param home: An existing folder, which becomes its home.
    :param dags: The folder of the DAG files.
    :param environment: Environment variables beside those that it needs to be one of its own.
    :param command: The command of ``airflow`` that is started.
    :param user: Name and password of the user who asks the API (default: nobody logs in, and everybody is an administrator).
    """

    def __init__(
        self,
        home: Path,
        dags: Path,
        environment: Mapping[str, str],
        *,
        command: str = "standalone",
        user: tuple[str, str] | None = None,
    ) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._headers: dict[str, str] = {}
        self._user = user
        self.home = home
        self.log = home / f"{command}.log"
        full = {
            **os.environ,
            # standalone starts "airflow" by name
            "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(dags),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": str(user is None),
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": self.url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            **environment,
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(BIN / "airflow"), command],
                env=full,
                stdout=log,
                stderr=log,
                # Its children ignore the parent's signals: the whole group is ended.
                start_new_session=True,
            )

    def api(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(
            method, f"{self.url}/api/v2/{path}", timeout=30, headers=self._headers, **options
        )
        if answer.status_code == 401 and not self._headers:
            # Airflow 3.1 asks for a token, also where everybody is an administrator.
            self._headers = {"Authorization": f"Bearer {self.token(self._user)}"}
            return self.api(method, path, **options)
        answer.raise_for_status()
        return answer.json()

    def token(self, user: tuple[str, str] | None) -> str:
        """Log a user in, and return the token of the session; None: where everybody is an administrator."""
        url = f"{self.url}/auth/token"
        if user is None:
            answer = requests.get(url, timeout=30)
        else:
            answer = requests.post(url, timeout=30, json={"username": user[0], "password": user[1]})
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def until(self, what: str, condition: Callable[[], Any], *, seconds: float = 240) -> Any:
        """Poll until the condition gives something, and return that."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()[-5000:]
            try:
                if found := condition():
                    return found
            except requests.RequestException:
                pass  # it is still starting
            time.sleep(0.5)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.log.read_text()[-8000:]}")

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(15)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(15)

    def unpause(self, *dag_ids: str) -> None:
        """Wait until DAGs are parsed, and unpause them."""

        def parsed() -> bool:
            return set(dag_ids) <= {dag["dag_id"] for dag in self.api("GET", "dags?paused=true")["dags"]}

        self.until("the DAGs are parsed", parsed)
        assert self.api("GET", "importErrors")["total_entries"] == 0
        for dag_id in dag_ids:
            self.api("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def until_released(self, dag_id: str, task_id: str, run_id: str) -> None:
        """Wait until the scheduler has seen that the first process of a waiting task ended.

        Airflow fails the try of a task that is resumed before (apache/airflow#72716); a person is never as quick as a test.
        """
        seen = f"state success for task instance TaskInstanceKey(dag_id={dag_id!r}, task_id={task_id!r}, run_id={run_id!r}"
        self.until(f"{task_id} has left its worker", lambda: seen in self.log.read_text(errors="replace"))

    def ended_run(self, dag_id: str) -> Any:
        """Wait until a DAG run has ended, and return it."""

        def ended() -> Any:
            runs = self.api("GET", f"dags/{dag_id}/dagRuns")["dag_runs"]
            return next((run for run in runs if run["state"] in ("success", "failed")), None)

        return self.until(f"a run of {dag_id} ends", ended)

    def task_instances(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Return the task instances of a run, by task id."""
        found = self.api("GET", f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances")
        return {task["task_id"]: task for task in found["task_instances"]}

    def xcom(self, run: Mapping[str, Any], task_id: str, key: str = "return_value") -> Any:
        """Return what a task of a run pushed."""
        place = f"dags/{run['dag_id']}/dagRuns/{run['dag_run_id']}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", place, params={"deserialize": "false", "stringify": "false"})["value"]

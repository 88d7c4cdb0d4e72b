"""DAGs of the chain whose task processes kill themselves at AWS calls, as ``KILLS`` in the environment says.

The test copies this file into a folder of DAGs.
"""

from __future__ import annotations

import json
import os
import signal
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from tests.crashes.tasks import IMAGE, chain

#: By DAG id, then by task id: when, and at which operation.
KILLS: dict[str, dict[str, list[str]]] = json.loads(os.environ["KILLS"])
PROJECT = Path(os.environ["PROJECT"])
#: The folder where each kill leaves a file, as no task is to be killed twice.
KILLED = Path(os.environ["KILLED"])


def kill_at_calls() -> None:
    """Have a task's process killed before or after its first call of an operation; a process runs one task."""
    from botocore.client import BaseClient

    call = BaseClient._make_api_call  # type: ignore[attr-defined]

    def killing(client: Any, operation: str, request: Any) -> Any:
        kill_at("before", operation)
        answer = call(client, operation, request)
        kill_at("after", operation)
        return answer

    BaseClient._make_api_call = killing  # type: ignore[attr-defined]


def kill_at(when: str, operation: str) -> None:
    dag_id, task_id = (os.environ.get(f"AIRFLOW_CTX_{what}_ID", "") for what in ("DAG", "TASK"))
    if KILLS.get(dag_id, {}).get(task_id) == [when, operation]:
        with suppress(FileExistsError):
            (KILLED / f"{dag_id}.{task_id}").touch(exist_ok=False)
            os.kill(os.getpid(), signal.SIGKILL)


kill_at_calls()

for dag_id in KILLS:
    with DAG(
        dag_id,
        schedule=None,
        # Each has an AWS of its own, so that what is there in the end can be compared.
        default_args={"aws_conn_id": dag_id, "retries": 2, "retry_delay": timedelta(0)},
    ):
        done: dict[str, Any] = {"image": IMAGE}
        deferrable = dag_id in os.environ["DEFERRABLE"].split()
        for job in chain(PROJECT, "new", instance_type="ml.c5.large", unscaled=2, deferrable=deferrable)[1:]:
            done[job.name] = job.build(done).output

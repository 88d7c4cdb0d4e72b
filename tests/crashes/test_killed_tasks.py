"""Task processes are killed under Airflow's own scheduler, at some of the points of ``test_crash_points.py``."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import RUN, digest
from tests.crashes.before import Before
from tests.crashes.tasks import SECOND_RUN, make_project
from tests.crashes.world import differing, world
from tests.operators.conftest import _emptied
from tests.standalone import DEFERRED_TRANSITION, Airflow

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent

#: The DAG whose deployment waits in the triggerer.
DEFERRABLE = "resumed"

#: By DAG: in which tasks the process is killed once, when, and at which operation.
KILLS: dict[str, dict[str, tuple[str, str]]] = {
    "undisturbed": {},
    "prepared": {
        "artifact": ("after", "PutObject"),
        "config": ("before", "CreateEndpointConfig"),
        # What claims the scaling.
        "deploy": ("after", "AddTags"),
    },
    "detached": {
        "model": ("after", "CreateModel"),
        "config": ("after", "CreateEndpointConfig"),
        "deploy": ("after", "DeregisterScalableTarget"),
    },
    "updated": {
        "deploy": ("after", "UpdateEndpoint"),
        "alarm": ("before", "PutMetricAlarm"),
    },
    # The process that goes on after the wait in the triggerer.
    DEFERRABLE: {"deploy": ("before", "RegisterScalableTarget")},
}

#: The seconds that an endpoint takes to change.
TRANSITION = 0.5


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, LocalAws]]:
    """An AWS for each DAG, with an endpoint that is scaled and has to be updated to another instance type."""
    project = make_project(tmp_path_factory.mktemp("before"))
    with ExitStack() as stack, pytest.MonkeyPatch.context() as monkeypatch:
        servers = {}
        for dag_id in KILLS:
            seconds = DEFERRED_TRANSITION if dag_id == DEFERRABLE else TRANSITION
            aws = stack.enter_context(LocalAws(engine="none", transition_seconds=seconds))
            Before(_emptied(aws, monkeypatch), project).old()
            servers[dag_id] = aws
        yield servers


@pytest.fixture(scope="module")
def airflow(servers: dict[str, LocalAws], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    home = tmp_path_factory.mktemp("standalone")
    dags = home / "dags"
    dags.mkdir()
    shutil.copy(Path(__file__).parent / "killed_dags.py", dags)
    (home / "killed").mkdir()
    environment = {
        "PYTHONPATH": str(ROOT),
        "KILLED": str(home / "killed"),
        "KILLS": json.dumps(KILLS),
        "DEFERRABLE": DEFERRABLE,
        "PROJECT": str(make_project(home)),
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(aws.connection()) for name, aws in servers.items()},
    }
    airflow = Airflow(home, dags, environment)
    try:
        yield airflow
    finally:
        airflow.stop()


def test_killed_tasks_are_tried_again_and_end_where_an_undisturbed_run_ends(
    airflow: Airflow, servers: dict[str, LocalAws], capsys: pytest.CaptureFixture[str]
) -> None:
    airflow.unpause(*KILLS)
    for dag_id in KILLS:
        run = {"logical_date": None, "run_after": SECOND_RUN.isoformat(), "dag_run_id": "second"}
        airflow.api("POST", f"dags/{dag_id}/dagRuns", json=run)

    ends: dict[str, Any] = {}
    for dag_id, kills in KILLS.items():
        run = airflow.ended_run(dag_id)
        tasks = airflow.task_instances(run)
        assert run["state"] == "success", {name: task["state"] for name, task in tasks.items()}
        # Airflow itself may have failed a try of the one that was resumed.
        assert {name for name, task in tasks.items() if task["try_number"] > 1} >= kills.keys()
        values = {name: airflow.xcom(run, name) for name in tasks}
        end = {"values": values, "world": world(servers[dag_id])}
        # An alarm's tag names the task that made it, and an endpoint's tags the task of the run that deployed it.
        told = json.dumps(end).replace(f'"{dag_id}/alarm"', '"the DAG/alarm"')
        own = f"{RUN}{digest(f'{dag_id}/deploy/second/-1')}"
        assert own in told
        ends[dag_id] = json.loads(told.replace(own, f"{RUN}of the task"))

    for dag_id, end in ends.items():
        assert not list(differing(dag_id, end, ends["undisturbed"]))
    killed = {path.name for path in (airflow.home / "killed").iterdir()}
    assert killed == {f"{dag_id}.{task_id}" for dag_id, kills in KILLS.items() for task_id in kills}
    with capsys.disabled():
        print(f"\nunder a scheduler: killed at {len(killed)} points")

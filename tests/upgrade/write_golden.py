"""Writes the golden files: ``python -m tests.upgrade.write_golden``.

They were written by commit 73bd076, the code of 0.1.0, and show what that release really left: they are never written anew by a newer
one. To run this again, check that commit out, and this folder with it; times and the marks of copies differ then, all else is the same.

A worker that is killed is a call of AWS that raises what nothing catches; a triggerer is ``asyncio.run``, as in the other tests. Time at
the local AWS is virtual: an hour's rollout ends when one looks again.
"""

from __future__ import annotations

import tests.conftest  # isort: skip  # noqa: F401  # it sets Airflow's environment, before anything imports Airflow

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import TaskDeferred
from airflow.sdk import DAG

from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import _emptied
from tests.upgrade.golden import FOLDER, Run, first_event
from tests.upgrade.scenarios import DUE, KILLS, STATES, WAITS, Before, Scenario, killed_at
from tests.upgrade.world import OTHERS, TRANSITION, make_configs, read, time_passes

COMMIT = "73bd076"


def main() -> None:
    root = Path(__file__).parents[2]
    changed = subprocess.run(
        ["git", "diff", "--quiet", COMMIT, "--", "airflow_sm_hosting"], cwd=root, check=False
    )
    if changed.returncode:
        sys.exit(f"Golden files are what {COMMIT} leaves, and airflow_sm_hosting/ differs from it.")
    shutil.rmtree(FOLDER, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        for name, scenario in WAITS.items():
            write("waits", name, waits(empty(patch), scenario))
        for name, scenario in KILLS.items():
            write("kills", name, kill(empty(patch), scenario))
        for name, before in STATES.items():
            write("states", name, state(empty(patch), before))


def waits(aws: LocalAws, scenario: Scenario) -> dict[str, Any]:
    """Run a task to its end; return all its waits, and how it ended."""
    found = []
    make_before(aws, scenario.before)
    with DAG("test", schedule=None):
        run = Run(scenario.task(), DUE)
        with time_passes(aws):
            step = run.execute()
        while isinstance(step, TaskDeferred):
            written_at, trigger = time.time(), step.trigger.serialize()
            world = read(aws)
            with time_passes(aws, scenario.meanwhile):
                event = first_event(*trigger)
            found.append(
                {
                    "trigger": trigger[0],
                    "kwargs": trigger[1],
                    "method": step.method_name,
                    "method_kwargs": step.kwargs,
                    "written_at": written_at,
                    "aws": world,
                    "event": event,
                    "aws_at_the_event": read(aws),
                }
            )
            with time_passes(aws):
                step = run.resume(step.method_name, step.kwargs, event)
        return {"waits": found, "end": run.end(aws, step), "message": step and str(step)}


def kill(aws: LocalAws, scenario: Scenario) -> dict[str, Any]:
    """Kill a task's first try; return what it left, and how its second try ended."""
    assert scenario.killed
    make_before(aws, scenario.before)
    before = read(aws)
    with DAG("test", schedule=None):
        with killed_at(scenario.killed), time_passes(aws):
            step = Run(scenario.task(), DUE).execute()
            if step is not None:
                raise step
        left = read(aws)
    with DAG("test", schedule=None):
        run = Run(scenario.task(), DUE, try_number=2)
        with time_passes(aws):
            step = run.execute()
    return {
        "killed": str(scenario.killed),
        "scaling_before": before["scaling"],
        "aws": left,
        "end": run.end(aws, step),
        "message": step and str(step),
    }


def state(aws: LocalAws, before: Before) -> dict[str, Any]:
    make_before(aws, before)
    return {"aws": read(aws)}


def make_before(aws: LocalAws, before: Before) -> None:
    with time_passes(aws):
        before(aws)


def empty(patch: pytest.MonkeyPatch) -> LocalAws:
    aws = _emptied(local_server(transition_seconds=TRANSITION, clock="virtual"), patch)
    make_configs(aws, *OTHERS)
    return aws


def write(kind: str, name: str, found: dict[str, Any]) -> None:
    path = FOLDER / kind / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"written_by": COMMIT, **found}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n")
    print(path.relative_to(FOLDER), found.get("end", {}).get("error") or "", found.get("message") or "")


if __name__ == "__main__":
    main()

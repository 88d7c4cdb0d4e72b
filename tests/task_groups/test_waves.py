"""Waves: which task waits for which, and what becomes of the tasks after a failure."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup

from airflow_sm_hosting import deploy_in_waves
from airflow_sm_hosting.exceptions import InvalidSpecError
from tests.dags.runs import RUN

WAVES = [["eu-west-1"], ["us-east-1", "us-west-2"]]


def laid_out(waves: Any = WAVES, deploy: Any = None, **options: Any) -> DAG:
    def two_tasks(place: Any) -> None:
        EmptyOperator(task_id="copy") >> EmptyOperator(task_id="deploy")

    with DAG("waves", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
        before, after = EmptyOperator(task_id="before"), EmptyOperator(task_id="after")
        before >> deploy_in_waves(waves, deploy or two_tasks, **options) >> after
    return dag


def upstream(dag: DAG, task_id: str) -> set[str]:
    return {one.removeprefix("waves.") for one in dag.get_task(task_id).upstream_task_ids}


def test_a_wave_waits_for_all_tasks_of_the_one_before() -> None:
    dag = laid_out()
    assert upstream(dag, "waves.wave_1.eu_west_1.copy") == {"before"}
    first = {"wave_1.eu_west_1.copy", "wave_1.eu_west_1.deploy"}
    assert upstream(dag, "waves.wave_1.all_succeeded") == first
    for region in ("us_east_1", "us_west_2"):
        assert upstream(dag, f"waves.wave_2.{region}.copy") == {"wave_1.all_succeeded"}
        assert upstream(dag, f"waves.wave_2.{region}.deploy") == {f"wave_2.{region}.copy"}
    assert len(upstream(dag, "waves.wave_2.all_succeeded")) == 4
    assert upstream(dag, "after") == {"wave_2.all_succeeded"}
    gates = [dag.get_task(f"waves.wave_{number}.all_succeeded") for number in (1, 2)]
    assert [one.trigger_rule for one in gates] == ["all_success"] * 2


def test_a_wave_bakes_and_is_verified_before_the_next_one() -> None:
    def verify(place: Any) -> None:
        EmptyOperator(task_id="ask")

    dag = laid_out(bake=timedelta(minutes=30), verify=verify)
    assert upstream(dag, "waves.wave_1.bake") == {"wave_1.all_succeeded"}
    assert upstream(dag, "waves.wave_1.verify_eu_west_1.ask") == {"wave_1.bake"}
    assert upstream(dag, "waves.wave_1.all_verified") == {"wave_1.verify_eu_west_1.ask"}
    assert upstream(dag, "waves.wave_2.us_east_1.copy") == {"wave_1.all_verified"}
    assert upstream(dag, "after") == {"wave_2.all_verified"}
    bake: Any = dag.get_task("waves.wave_2.bake")
    assert (bake.time_to_wait, bake.deferrable) == (timedelta(minutes=30), True)


def test_nothing_bakes_after_the_last_wave_if_nothing_follows() -> None:
    dag = laid_out(bake=60, deferrable=False)
    assert dag.has_task("waves.wave_1.bake")
    assert not dag.has_task("waves.wave_2.bake")
    bake: Any = dag.get_task("waves.wave_1.bake")
    assert (bake.time_to_wait, bake.deferrable) == (timedelta(seconds=60), False)


def test_what_runs_only_after_a_failure_is_not_waited_for() -> None:
    def deploy(place: Any) -> None:
        shift = EmptyOperator(task_id="shift")
        shift >> EmptyOperator(task_id="undo", trigger_rule="one_failed")
        shift >> EmptyOperator(task_id="end").as_teardown(setups=shift)

    with pytest.warns(UserWarning, match="undo may also run if the wave before failed") as warned:
        dag = laid_out(deploy=deploy)
    assert not [one for one in warned if "eu_west_1" in str(one.message) or ".end " in str(one.message)]
    assert upstream(dag, "waves.wave_1.all_succeeded") == {"wave_1.eu_west_1.shift"}
    assert upstream(dag, "waves.wave_2.us_east_1.shift") == {"wave_1.all_succeeded"}


def test_a_region_may_be_deployed_in_two_accounts() -> None:
    seen: list[Any] = []

    def deploy(place: Any) -> None:
        seen.append(place)
        EmptyOperator(task_id="deploy")

    places = [{"region_name": "eu-west-1", "aws_conn_id": f"{name}-account"} for name in ("staging", "live")]
    dag = laid_out([[place] for place in places], deploy)
    assert seen == places
    assert upstream(dag, "waves.wave_2.live_account_eu_west_1.deploy") == {"wave_1.all_succeeded"}


def test_a_group_of_a_region_is_waited_for_as_a_whole() -> None:
    def deploy(place: Any) -> None:
        with TaskGroup("inner"):
            EmptyOperator(task_id="a")
            EmptyOperator(task_id="b")

    dag = laid_out([["eu-west-1"], ["us-east-1"]], deploy)
    assert upstream(dag, "waves.wave_1.all_succeeded") == {f"wave_1.eu_west_1.inner.{one}" for one in "ab"}
    for one in "ab":
        assert upstream(dag, f"waves.wave_2.us_east_1.inner.{one}") == {"wave_1.all_succeeded"}


@pytest.mark.parametrize(
    ("waves", "words"),
    [
        ([], "a list of one wave or more"),
        ("eu-west-1", "a list of one wave or more"),
        (["eu-west-1"], r"Write a wave of one Region as \['eu-west-1'\]"),
        ([["eu-west-1"], []], r"waves\[1\] is empty"),
        ([["eu-west-1", "eu-west-1"]], r"waves\[0\]\[1\] is 'eu-west-1', and so is .*waves\[0\]\[0\]"),
        ([["eu-west-1"], ["eu-west-1"]], r"waves\[1\]\[0\] is 'eu-west-1', and so is .*waves\[0\]\[0\]"),
        ([["Ireland"]], "allowed: a Region, e.g. 'eu-west-1'"),
        ([["{{ params.region }}"]], "laid out while its file is parsed"),
        ([[{"aws_conn_id": "a"}]], "a dict of AWS parameters with region_name"),
        ([[5]], "a Region, e.g. 'eu-west-1'"),
    ],
)
def test_waves_that_can_never_work_are_errors_at_parse(waves: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        laid_out(waves)


def always(place: Any) -> None:
    EmptyOperator(task_id="deploy", trigger_rule="all_done")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"deploy": lambda place: None}, "no task was made for 'eu-west-1'"),
        ({"deploy": always}, "would run after a failed wave, too"),
        ({"bake": 0}, "of more than 0"),
        ({"bake": "1h"}, "seconds, or a timedelta"),
        ({"bake": True}, "seconds, or a timedelta"),
        ({"trigger_rule": "all_done"}, "'all_success' or 'none_failed'"),
    ],
)
def test_a_layout_that_would_not_stop_is_an_error_at_parse(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        laid_out(**options)


DAG_FILE = """
import json, os
from datetime import datetime
from airflow.sdk import DAG, task
from airflow.sdk.exceptions import AirflowSkipException
from airflow_sm_hosting import deploy_in_waves
ends = json.loads(os.environ["ENDS"])
def deploy(region):
    @task
    def deploy_endpoint():
        if ends.get(region) == "failed":
            raise ValueError(region)
        if ends.get(region) == "skipped":
            raise AirflowSkipException(region)
    @task
    def undo():
        pass
    deployed = deploy_endpoint()
    deployed >> undo().as_teardown(setups=deployed)
with DAG("waves", schedule=None, start_date=datetime(2026, 1, 1)) as dag:
    deploy_in_waves([["eu-west-1", "eu-west-2"], ["us-east-1"], ["us-west-2"]], deploy, bake=0.01)
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("waves")
    (folder / "waves.py").write_text(DAG_FILE)
    run([str(Path(sys.executable).parent / "airflow"), "db", "migrate"], folder)
    return folder


def run(command: list[str], home: Path, **ends: str) -> str:
    environment = {
        **os.environ,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home),
        "ENDS": json.dumps(ends),
    }
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ).stdout


@pytest.mark.airflow_db
@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("ends", "second", "third"),
    [
        ({}, "success", "success"),
        ({"eu-west-2": "failed"}, "upstream_failed", "upstream_failed"),
        ({"us-east-1": "failed"}, "failed", "upstream_failed"),
        ({"eu-west-1": "skipped"}, "skipped", "skipped"),
    ],
)
def test_the_waves_after_a_failure_do_not_run(
    home: Path, ends: dict[str, str], second: str, third: str
) -> None:
    shown = run([sys.executable, "-c", RUN, str(home), "waves", "{}"], home, **ends)
    lines = [line for line in shown.splitlines() if line.startswith("RUN")]
    assert lines, shown[-5000:]
    found = json.loads(lines[-1].removeprefix("RUN"))
    states = {name.split(".")[2]: state for name, state in found.items() if "deploy_endpoint" in name}
    assert (states["us_east_1"], states["us_west_2"]) == (second, third), shown[-3000:]
    assert states["eu_west_1"] == ends.get("eu-west-1", "success").replace("failed", "failed")

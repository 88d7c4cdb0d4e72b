"""What follows a deployment, under Airflow's own scheduler: mails of a real notifier, the DAG that follows, missed deadlines."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import DAGS
from tests.smtp_server import MailServer, mail_server, text_of
from tests.standalone import DEFERRED_TRANSITION, Airflow
from tests.ui.world import World, make_configs

pytestmark = [pytest.mark.scheduler, pytest.mark.timeout(600)]

FILES = Path(__file__).parent / "files"
FOLLOW, ROLL_BACK = "follow_deployments", "rollback_endpoint"


@pytest.fixture(scope="module")
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture(scope="module")
def ran(mails: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    home = tmp_path_factory.mktemp("events")
    dags = home / "dags"
    dags.mkdir()
    for file in (FILES / "notified.py", DAGS / f"{FOLLOW}.py"):
        (dags / file.name).write_text(file.read_text())
    # The example, whose deadline ends while the test waits.
    example = (DAGS / f"{ROLL_BACK}.py").read_text()
    assert "timedelta(minutes=30)" in example
    (dags / f"{ROLL_BACK}.py").write_text(example.replace("timedelta(minutes=30)", "timedelta(seconds=1)"))
    with LocalAws(engine="none", transition_seconds=DEFERRED_TRANSITION) as aws:
        make_configs(aws)
        environment = {
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection()),
            "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(mails.connection),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        airflow = Airflow(home, dags, environment)
        try:
            airflow.unpause("in_the_worker", "deferred", "late", FOLLOW, ROLL_BACK)
            yield World(aws, airflow)
        finally:
            airflow.stop()


def mail_of(mails: MailServer, ran: World, run: Any) -> list[str]:
    """Return the lines of the mail that the deployment of a run has sent: the one with the link to its tab."""
    link = tab(ran, run)

    def arrived() -> Any:
        found = [text_of(mail).splitlines() for mail in mails.mails if link in text_of(mail)]
        return found[0] if found else None

    return list(ran.airflow.until(f"a mail about {link}", arrived))


def tab(ran: World, run: Any, task_id: str = "deploy") -> str:
    run_id = quote(run["dag_run_id"])
    return f"{ran.airflow.url}/dags/{run['dag_id']}/runs/{run_id}/tasks/{task_id}/plugin/sm-deployment"


def without_seconds(line: str) -> str:
    """Return a line without the time that it took, which must be there."""
    told, after, seconds = line.rpartition(", after ")
    assert after
    assert seconds.endswith(" s")
    return told


@pytest.mark.parametrize("dag_id", ["in_the_worker", "deferred"])
def test_a_notifier_mails_how_each_deployment_ended(mails: MailServer, ran: World, dag_id: str) -> None:
    endpoint = dag_id.replace("_", "-")
    told = {}
    for config in ("c1", "c2", "bad"):
        run = ran.run(dag_id, endpoint=endpoint, config=config)
        told[config] = mail_of(mails, ran, run)
        assert told[config][-1] == tab(ran, run)
    title = f"Endpoint {endpoint} in us-east-1: "
    assert told["c1"][0] == f"{title}created"
    assert without_seconds(told["c1"][1]) == "serves c1"
    assert told["c2"][0] == f"{title}updated"
    assert without_seconds(told["c2"][1]) == "c1 → c2"
    assert told["bad"][0] == f"{title}rolled back"
    assert without_seconds(told["bad"][1]) == "wanted bad, serves c2"
    assert told["bad"][2].startswith(f"Reason: SageMaker rolled endpoint {endpoint} back")
    subjects = [mail["Subject"] for mail in mails.mails]
    assert {f"{title}{ending}" for ending in ("created", "updated", "rolled back")} <= set(subjects)


def test_a_deployment_that_is_refused_is_mailed_with_its_reason(mails: MailServer, ran: World) -> None:
    run = ran.run("in_the_worker", endpoint="in-the-worker", config="there-is-none")
    assert run["state"] == "failed"
    title, *rest = mail_of(mails, ran, run)
    assert title == "Endpoint in-the-worker in us-east-1: failed"
    assert any(line.startswith("Reason: ") and "there-is-none" in line for line in rest)


def test_a_deployment_starts_the_dag_that_follows_and_tells_what_changed(ran: World) -> None:
    run = ran.run("in_the_worker", endpoint="followed", config="ab")
    change = {"endpoint": "us-east-1/followed", "action": "create", "from": None, "to": "ab"}

    def followed() -> Any:
        for one in ran.airflow.api("GET", f"dags/{FOLLOW}/dagRuns")["dag_runs"]:
            if one["state"] == "success" and change in ran.airflow.xcom(one, "tell"):
                return one
        return None

    following = ran.airflow.until("the DAG that follows has told the change", followed)
    assert following["run_type"] == "asset_triggered"
    place = f"dags/{FOLLOW}/dagRuns/{following['dag_run_id']}/taskInstances/tell/logs/1"
    log = json.dumps(ran.airflow.api("GET", place), ensure_ascii=False)
    assert "Endpoint followed in us-east-1: created" in log
    assert tab(ran, run) in log


def test_a_run_that_misses_its_deadline_is_mailed_while_it_goes_on(mails: MailServer, ran: World) -> None:
    run_id = ran.start("late", endpoint="late")
    ran.airflow.until("the mail", lambda: any(mail["Subject"] == "late is late" for mail in mails.mails))
    (mail,) = [mail for mail in mails.mails if mail["Subject"] == "late is late"]
    assert text_of(mail) == run_id
    assert ran.ended("late", run_id)["state"] == "success"


def test_a_rollback_that_takes_too_long_is_told_in_the_triggerers_log(ran: World) -> None:
    ran.run("in_the_worker", endpoint="back", config="c1")
    ran.run("in_the_worker", endpoint="back", config="c2")
    run = ran.run(ROLL_BACK, endpoint_name="back")
    assert run["state"] == "success"
    told = f"Run {run['dag_run_id']} of DAG {ROLL_BACK} was to end by "
    ran.airflow.until("the log", lambda: told in ran.airflow.log.read_text(errors="replace"))

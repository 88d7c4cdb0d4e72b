"""The message of a task's callback: of its record, of its exception alone, and where Airflow gives a callback less."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from jinja2 import Environment

from airflow_sm_hosting import deployment_message
from airflow_sm_hosting.deployment.message import record_message
from airflow_sm_hosting.notifications import event_message, log_missed_deadline
from tests.dags.runs import ROOT

PAGE = (ROOT / "docs/events.md").read_text()
RECORD = {
    "name": "churn",
    "region": "us-east-1",
    "outcome": "succeeded",
    "action": "update",
    "endpoint_config_name": "c2",
    "previous_endpoint_config_name": "c1",
}
TOLD = "Endpoint churn in us-east-1: updated\nc1 → c2"


class Instance:
    """A task instance as callbacks have it.

    :param record: What its task has pushed as ``record``; an exception is raised.
    """

    task_id = "deploy"
    map_index = 2
    log_url = "https://airflow.example.com/dags/d/runs/r%2B1/tasks/deploy/mapped/2?try_number=1"

    def __init__(self, record: Any) -> None:
        self.record = record

    def xcom_pull(self, *, task_ids: str, key: str, map_indexes: int) -> Any:
        assert (task_ids, key, map_indexes) == ("deploy", "record", 2)
        if isinstance(self.record, Exception):
            raise self.record
        return self.record


LINK = "https://airflow.example.com/dags/d/runs/r%2B1/tasks/deploy/mapped/2/plugin/sm-deployment"


def test_a_task_with_a_record_is_told_with_the_link_to_its_tab() -> None:
    assert deployment_message({"ti": Instance(RECORD)}) == f"{TOLD}\n{LINK}"


def test_a_template_needs_no_argument() -> None:
    template = Environment(autoescape=True).from_string("{{ macros.deployment_message() }}")
    macros = SimpleNamespace(deployment_message=deployment_message)
    assert template.render(macros=macros, ti=Instance(RECORD)) == f"{TOLD}\n{LINK}"


@pytest.mark.parametrize("record", [None, "not a record", RuntimeError("no access")])
def test_a_task_without_a_record_is_told_with_its_exception(record: Any) -> None:
    task = SimpleNamespace(endpoint_name="churn", task_id="deploy")
    context = {"ti": Instance(record), "task": task, "exception": ValueError("no\nrole")}
    assert deployment_message(context) == f"Endpoint churn: failed\nReason: no role\n{LINK}"


def test_an_exception_is_told_without_signatures_of_urls() -> None:
    url = "https://models.s3.amazonaws.com/model.tar.gz?X-Amz-Credential=AKIA&X-Amz-Signature=0a1b2c3d"
    told = deployment_message({"ti": Instance(None), "exception": ValueError(f"cannot read {url}")})
    assert "cannot read https://models.s3.amazonaws.com/model.tar.gz" in told
    assert "0a1b2c3d" not in told


def test_what_fails_after_the_deployment_is_told_beside_it() -> None:
    context = {"ti": Instance(RECORD), "exception": ValueError("too late")}
    assert deployment_message(context) == f"{TOLD}\nReason: too late\n{LINK}"


def test_a_context_without_a_task_instance_gives_a_message(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    assert deployment_message({}) == "Endpoint (name not known): no deployment is recorded"
    assert "The record of the deployment cannot be read: KeyError" in caplog.text


def event(**source: Any) -> Any:
    members = {
        "source_dag_id": "d",
        "source_run_id": "r+1",
        "source_task_id": "deploy",
        "source_map_index": -1,
    }
    return SimpleNamespace(extra=RECORD, **{**members, **source})


@pytest.mark.parametrize(
    ("source", "link"),
    [
        ({}, "https://example.com/af/dags/d/runs/r%2B1/tasks/deploy/plugin/sm-deployment"),
        ({"source_map_index": 2}, "https://example.com/af/dags/d/runs/r%2B1/tasks/deploy/mapped/2/plugin/sm-deployment"),
        # Made by a person, over the API.
        ({"source_dag_id": None}, None),
    ],
)  # fmt: skip
def test_an_event_is_told_with_the_link_to_the_tab_of_its_task(
    monkeypatch: pytest.MonkeyPatch, source: dict[str, Any], link: str | None
) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://example.com/af/")
    assert event_message(event(**source)) == "\n".join([TOLD, *([link] if link else [])])


def test_a_missed_deadline_is_logged_also_without_a_context(caplog: pytest.LogCaptureFixture) -> None:
    context = {"dag_run": {"dag_id": "d", "dag_run_id": "r"}, "deadline": {"deadline_time": "noon"}}
    asyncio.run(log_missed_deadline(context=context))
    asyncio.run(log_missed_deadline())
    assert [record.getMessage() for record in caplog.records] == [
        "Run r of DAG d was to end by noon, and has not ended. It goes on.",
        "Run None of DAG None was to end by None, and has not ended. It goes on.",
    ]


# docs/events.md


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
def test_the_code_of_the_page_is_a_dag_file_that_can_be_parsed(block: str) -> None:
    exec(compile(block, "docs/events.md", "exec"), {})  # an error in it is the failure
    assert "with DAG(" in block


def test_the_notifier_and_the_deadline_of_the_page_are_those_that_are_tested() -> None:
    tested = (Path(__file__).parent / "dags/files/notified.py").read_text()
    (mail,) = re.findall(r"MAIL = SmtpNotifier\(.*?\n\)", PAGE, re.DOTALL)
    assert mail in tested
    for line in re.findall(r'^ {12}("\w+": .*)$', PAGE, re.MULTILINE):
        assert line in tested


def test_the_message_of_the_page_is_one_that_is_made() -> None:
    (shown,) = re.findall(r"```text\n(.*?)\n```", PAGE, re.DOTALL)
    *_, link = shown.splitlines()
    record = {
        "name": "churn",
        "region": "us-east-1",
        "outcome": "rolled_back",
        "requested_endpoint_config_name": "c3",
        "endpoint_config_name": "c2",
        "status": "InService",
        "seconds": 252,
        "failure": "SageMaker rolled endpoint churn back: it serves c2, not c3. …",
        "triggered_by": "ada",
    }
    assert record_message(record, link=link) == shown

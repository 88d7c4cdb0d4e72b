"""What a person is told about a deployment: one test of the text for each ending."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.message import LONGEST_REASON, record_message
from airflow_sm_hosting.deployment.record import DeploymentOutcome, deployment_record

LINK = "https://airflow.example.com/dags/deploy"
CHURN = {"name": "churn", "region": "eu-west-1"}


def record(outcome: DeploymentOutcome, **members: Any) -> dict[str, Any]:
    """Return a record as a task makes it."""
    failure = members.pop("failure", None)
    return deployment_record({**CHURN, **members}, outcome=outcome, failure=failure)


SUCCEEDED, UNCHANGED = DeploymentOutcome.SUCCEEDED, DeploymentOutcome.UNCHANGED
UPDATE = {"action": "update", "serving": "c2", "target": "c2", "previous_endpoint_config_name": "c1"}
BACK = {**UPDATE, "serving": "c1", "status": "InService", "seconds": 75}


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (
            record(SUCCEEDED, **UPDATE, seconds=252.4, triggered_by="ada", approved_by="uli"),
            "Endpoint churn in eu-west-1: updated\nc1 → c2, after 4 min 12 s\nStarted by ada, approved by uli",
        ),
        (
            record(SUCCEEDED, action="create", serving="c1", target="c1", seconds=4000, approved_by="uli"),
            "Endpoint churn in eu-west-1: created\nserves c1, after 1 h 6 min\nApproved by uli",
        ),
        (
            record(SUCCEEDED, action="rollback", serving="c1", target="c1", previous_endpoint_config_name="c2"),
            "Endpoint churn in eu-west-1: rolled back on request\nc2 → c1",
        ),
        (
            record(SUCCEEDED, action="shift", serving="c1", seconds=7),
            "Endpoint churn in eu-west-1: traffic shifted\nserves c1, after 7 s",
        ),
        (record(SUCCEEDED, action="delete", status="Deleted"), "Endpoint churn in eu-west-1: deleted"),
        (record(SUCCEEDED, action="new in a later version"), "Endpoint churn in eu-west-1: deployed"),
        (record(UNCHANGED, serving="c1", target="c1"), "Endpoint churn in eu-west-1: unchanged\nserves c1"),
        (
            record(DeploymentOutcome.SKIPPED, serving="c3", target="c2"),
            "Endpoint churn in eu-west-1: skipped, a newer run has deployed\nwanted c2, serves c3",
        ),
        (
            record(DeploymentOutcome.ROLLED_BACK, **BACK, failure="SageMaker rolled\n  it back."),
            "Endpoint churn in eu-west-1: rolled back\nwanted c2, serves c1, after 1 min 15 s\n"
            "Reason: SageMaker rolled it back.",
        ),
        (
            record(DeploymentOutcome.FAILED, action="create", target="c1", serving="c1", status="Failed"),
            "Endpoint churn in eu-west-1: failed\nnothing serves",
        ),
        (
            record(DeploymentOutcome.TIMED_OUT, **{**UPDATE, "serving": None}, failure="Too long."),
            "Endpoint churn in eu-west-1: not finished in time\nwanted c2, nothing serves\nReason: Too long.",
        ),
        (record(DeploymentOutcome.FAILED, failure="no"), "Endpoint churn in eu-west-1: failed\nReason: no"),
        (
            record(SUCCEEDED, name="llm", kind="inference component", endpoint_name="gpu", action="update"),
            "Inference component llm on gpu in eu-west-1: updated",
        ),
        ({}, "Endpoint (name not known): no outcome"),
    ],
    ids=lambda value: value.split("\n")[0] if isinstance(value, str) else "",
)  # fmt: skip
def test_a_message_tells_what_outcome_change_reason_and_author(made: dict[str, Any], text: str) -> None:
    assert record_message(made) == text


def test_a_message_ends_with_the_link() -> None:
    assert record_message(record(SUCCEEDED, **UPDATE), link=LINK).splitlines()[-1] == LINK


def test_a_long_reason_is_cut() -> None:
    lines = record_message(record(DeploymentOutcome.FAILED, failure="x" * 1000), link=LINK).splitlines()
    assert lines[-2] == f"Reason: {'x' * (LONGEST_REASON - 2)} …"
    assert lines[-1] == LINK

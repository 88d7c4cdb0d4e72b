"""What is told of a container that failed: its own last lines, while another fleet goes on writing, and nobody's environment."""

from __future__ import annotations

import base64
import json
import shlex
import time
from typing import Any
from urllib.parse import quote, quote_plus

import pytest

from airflow_sm_hosting import DeployEndpointOperator
from airflow_sm_hosting.deployer.failure_report import failure_report
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import IMAGE, ROLE, make_config

GROUP = "/aws/sagemaker/Endpoints/churn"
OLD_SECRET, NEW_SECRET = "secret-of-the-old-model", "secret-of-the-new-model"


def write(aws: LocalAws, stream: str, *lines: str) -> None:
    logs = aws.client("logs")
    if stream not in [
        found["logStreamName"] for found in logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    ]:
        logs.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    now = int(time.time() * 1000)
    logs.put_log_events(
        logGroupName=GROUP,
        logStreamName=stream,
        logEvents=[{"timestamp": now, "message": line} for line in lines],
    )


@pytest.fixture
def written(aws: LocalAws) -> LocalAws:
    """Two configs with a secret each; the old one's container writes on after the new one's has crashed."""
    for name, secret in (("old", OLD_SECRET), ("new", NEW_SECRET)):
        container = {"Image": IMAGE, "Environment": {"PASSWORD": secret}}
        aws.client("sagemaker").create_model(
            ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE
        )
        make_config(aws, f"config-{name}", name)
    aws.client("logs").create_log_group(logGroupName=GROUP)
    write(aws, "main/i-old", "started")
    time.sleep(0.002)  # creationTime has milliseconds
    write(aws, "main/i-new", f"it is {NEW_SECRET}, not {OLD_SECRET}", "Traceback: no module named torch")
    write(aws, "main/i-old", f"answered with {OLD_SECRET}")
    return aws


def report(*configs: str, since: float | None = None) -> str:
    task: Any = DeployEndpointOperator(
        task_id="deploy", endpoint_name="churn", endpoint_config_name="config-new"
    )
    return failure_report(task, "churn", configs, None, since=since)


def test_the_lines_are_of_the_container_that_was_started_last(written: LocalAws) -> None:
    told = report("config-new", "config-old")
    assert "The last lines of main/i-new:" in told
    assert "no module named torch" in told
    assert "answered" not in told


def test_where_no_container_was_started_nobody_s_lines_are_told(written: LocalAws) -> None:
    """A deployment that finds no instances, or no image: the old fleet's lines are not its own."""
    assert "i-new" in report("config-new", "config-old", since=time.time() - 60)
    assert report("config-new", "config-old", since=time.time() + 60) == ""


def test_no_value_of_either_environment_is_told(written: LocalAws) -> None:
    told = report("config-new", "config-old")
    assert "it is ***, not ***" in told
    assert OLD_SECRET not in told
    assert NEW_SECRET not in told


PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANSECRET1\nAoIBAQDSECRET2\n-----END PRIVATE KEY-----"
PASSWORD = 'pa"ss\\word-SECRET3'


@pytest.mark.parametrize(
    "lines",
    [
        PEM.splitlines(),
        [f"2026-01-01 00:00:00 INFO {line}" for line in PEM.splitlines()],
        [PEM],
        [json.dumps({"password": PASSWORD}), json.dumps(PEM), json.dumps(json.dumps({"key": PEM}))],
        [repr(PASSWORD), repr({"key": PEM}), shlex.quote(PASSWORD)],
        [f"GET /?key={quote(PEM)}", f"GET /?password={quote_plus(PASSWORD)}"],
        [base64.b64encode(PEM.encode()).decode(), base64.b64encode(f"user:{PASSWORD}".encode()).decode()],
        base64.encodebytes(PEM.encode()).decode().splitlines(),
    ],
    ids=["lines", "lines of a log", "one event", "JSON", "quoted", "URL", "base64", "base64 in lines"],
)
def test_no_value_is_told_in_any_form(aws: LocalAws, lines: list[str]) -> None:
    container = {"Image": IMAGE, "Environment": {"KEY": PEM, "PASSWORD": PASSWORD}}
    aws.client("sagemaker").create_model(ModelName="new", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    make_config(aws, "config-new", "new")
    aws.client("logs").create_log_group(logGroupName=GROUP)
    write(aws, "main/i-new", *lines, "no module named torch")
    told = report("config-new")
    assert "no module named torch" in told
    assert "***" in told
    left = told.partition("The last lines of main/i-new:")[2]
    assert "SECRET" not in left
    assert not any(
        base64.b64encode(secret.encode()).decode().strip("=")[4:-4] in left for secret in (PEM, PASSWORD)
    )
    assert quote(PASSWORD) not in left


def test_no_line_is_told_when_the_values_are_not_known(written: LocalAws) -> None:
    """A container may go on after its model was deleted."""
    written.client("sagemaker").delete_model(ModelName="old")
    assert report("config-new", "config-old") == ""
    written.client("sagemaker").delete_endpoint_config(EndpointConfigName="config-old")
    assert report("config-new", "config-old") == ""
    assert "i-new" in report("config-new")


def test_a_line_is_told_up_to_a_length(written: LocalAws) -> None:
    write(written, "main/i-new", "x" * 100_000)
    assert len(report("config-new")) < 3000
    write(written, "main/i-new", "\n".join(f"line {number}" for number in range(1000)))
    told = report("config-new")
    assert "line 999" in told
    assert "line 900" not in told

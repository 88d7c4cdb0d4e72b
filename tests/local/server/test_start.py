"""What a server does not do, so that it starts soon, forgets soon, and stays small: counts of imports, folders and bytes."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from typing import Any

import boto3
import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.clock import RealClock
from airflow_sm_hosting.local.server.request_log import RequestLog
from tests.local.conftest import Deployer

# What a start does without. moto.ec2 alone has half a second of instance types and Regions; moto loads a service with its first request.
LATE = (
    *("airflow.models", "airflow.sdk", "numpy"),
    *("moto.ec2", "moto.ssm", "moto.secretsmanager", "moto.sns", "moto.sqs", "moto.awslambda", "moto.sagemaker"),
)  # fmt: skip
START = """
import os, sys, tempfile
os.environ["MOTO_DISABLE_GLOBAL_CORS"] = "true"
from airflow_sm_hosting.local.server.application import LocalAwsApp
from airflow_sm_hosting.local.server import http_server, state
app = LocalAwsApp(access_key="key", region="us-east-1", engine=sys.argv[1], transition_seconds=0)
app.start(1)
app.close()
print("\\n".join(sorted(sys.modules)))
"""


def imported_at_start(engine: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", START, engine], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("engine", ["none", "process", pytest.param("docker", marks=pytest.mark.engine)])
def test_a_start_imports_no_service_that_nobody_has_asked_for(engine: str) -> None:
    found = imported_at_start(engine)
    assert {
        name for name in found if name in LATE or name.startswith(tuple(f"{one}." for one in LATE))
    } == set()
    assert ("docker" in found) == (engine == "docker")


def test_services_that_are_imported_late_work(aws: LocalAws) -> None:
    aws.client("ssm").put_parameter(Name="p", Value="v", Type="String")
    assert aws.client("ssm").get_parameter(Name="p")["Parameter"]["Value"] == "v"


def test_without_containers_there_are_no_folders_to_remove(
    deployer: Deployer, aws: LocalAws, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with LocalAws(engine="none", transition_seconds=0) as own:
        other = Deployer(own)
        config = other.config()
        for _ in range(5):
            assert other.describe(other.endpoint(config))["EndpointStatus"] == "InService"
        assert [path.name for path in tmp_path.rglob("fleet-*")] == []


def test_a_request_that_is_logged_takes_few_bytes() -> None:
    log = RequestLog(RealClock())

    def add(index: int) -> None:
        log.add(
            service="sagemaker-runtime",
            operation="InvokeEndpoint",
            mutating=False,
            status=200,
            error=None,
            # A string of its own, as each request brings.
            resource=f"endpoint/{index % 3}",
        )

    add(0)
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for index in range(10_000):
        add(index)
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (after - before) / 10_000 < 100
    entries = log.entries()
    assert [entry["number"] for entry in entries] == list(range(1, 10_002))
    assert entries[-1]["resource"] == "endpoint/0"


def test_the_request_log_numbers_on_after_it_was_cleared_and_when_it_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow_sm_hosting.local.server import request_log

    monkeypatch.setattr(request_log, "_MAX_ENTRIES", 3)
    monkeypatch.setattr(request_log, "_MAX_SHARED", 2)
    log = RequestLog(RealClock())

    def add(name: str) -> None:
        log.add(
            service="s3",
            operation=name,
            mutating=True,
            status=200,
            error=None,
            resource=None,
            faults=["drop"],
        )

    for name in "abcd":
        add(name)
    found = [(entry["number"], entry["operation"]) for entry in log.entries()]
    assert found == [(2, "b"), (3, "c"), (4, "d")]
    assert log.entries()[0]["faults"] == ["drop"]
    assert log.counts()["mutating"] == {"b": 1, "c": 1, "d": 1}
    log.clear()
    assert log.entries() == []
    add("e")
    assert [entry["number"] for entry in log.entries()] == [5]


def test_waiters_of_boto3_are_shortened_by_a_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As docs/local-aws.md says."""
    folder = tmp_path / "sagemaker" / "2017-07-24"
    folder.mkdir(parents=True)
    (folder / "waiters-2.sdk-extras.json").write_text(
        '{"version": 1.0, "merge": {"waiters": {"EndpointInService": {"delay": 1}, "EndpointDeleted": {"delay": 1}}}}'
    )
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))
    assert (_delay("endpoint_in_service"), _delay("endpoint_deleted")) == (1, 1)
    monkeypatch.delenv("AWS_DATA_PATH")
    assert (_delay("endpoint_in_service"), _delay("endpoint_deleted")) == (30, 30)


def _delay(waiter: str) -> int:
    client: Any = boto3.Session().client("sagemaker", region_name="us-east-1")
    return int(client.get_waiter(waiter).config.delay)

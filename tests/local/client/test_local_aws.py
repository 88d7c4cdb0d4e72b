from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from tests.local.conftest import Deployer, wait_until


def test_the_environment_is_enough_for_boto3(aws: LocalAws) -> None:
    script = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    said = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, **aws.environment()},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert said.strip() == aws.account_id


def test_it_ends_with_the_process_that_started_it() -> None:
    script = (
        "import sys, time; from airflow_sm_hosting.local import LocalAws\n"
        "aws = LocalAws(engine='none'); aws.start()\n"
        "print(aws._process.pid, flush=True); time.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    server = int(parent.stdout.readline())
    os.kill(server, 0)
    parent.send_signal(signal.SIGKILL)
    parent.wait()

    def is_gone() -> Any:
        try:
            os.kill(server, 0)
        except ProcessLookupError:
            return True
        with open(f"/proc/{server}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"

    wait_until(is_gone, seconds=20)


def test_it_can_be_started_again_and_two_do_not_disturb_each_other(deployer: Deployer) -> None:
    model = deployer.model()
    with LocalAws(engine="none", transition_seconds=0) as other:
        assert other.endpoint_url != deployer.aws.endpoint_url
        assert other.client("sagemaker").list_models()["Models"] == []
    other.start()
    assert other.client("sagemaker").list_models()["Models"] == []
    other.stop()
    assert [m["ModelName"] for m in deployer.sagemaker.list_models()["Models"]] == [model]


def test_what_prevents_the_start_is_told(aws: LocalAws) -> None:
    port = int(aws.endpoint_url.rpartition(":")[2])
    with pytest.raises(LocalAwsError, match=f"in use|{port}"):
        LocalAws(engine="none", port=port).start()


def test_auto_takes_the_process_engine_where_no_docker_answers_and_says_so(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent/docker.sock")
    with LocalAws(engine="auto") as aws:
        assert aws.engine == "process"
    assert "NO ISOLATION" in caplog.text
    with pytest.raises(LocalAwsError, match="No Docker engine answers"):
        LocalAws(engine="docker").start()


def test_connections_are_kept_alive(aws: LocalAws) -> None:
    import http.client

    connection = http.client.HTTPConnection(aws.endpoint_url.removeprefix("http://"))
    # A refused upload does not break the next request on the connection.
    connection.request("PUT", "/bucket/key", body=b"x" * 1_000_000)
    assert (connection.getresponse().read(), connection.sock is not None)[1]
    connection.request("GET", "/_sm_hosting/health")
    first = connection.sock
    assert json.loads(connection.getresponse().read())["engine"] == "none"
    connection.request("GET", "/_sm_hosting/health")
    connection.getresponse().read()
    assert connection.sock is first

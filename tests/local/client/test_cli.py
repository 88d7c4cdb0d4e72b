from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from airflow_sm_hosting.local.client.daemon import Daemon
from tests.local.conftest import Deployer, wait_until


@pytest.fixture
def port() -> Any:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return the environment of a command with a state folder of its own."""
    return {**os.environ, "SM_HOSTING_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def run(environment: dict[str, str], port: int) -> Iterator[Any]:
    """Run the command, and stop what it has started."""

    def run(*arguments: Any, code: int = 0, stdin: Any = None, **more: Any) -> Any:
        command = [sys.executable, "-m", "airflow_sm_hosting.cli", "local", *arguments, "--port", str(port)]
        done = subprocess.run(
            command, env=environment | more, input=stdin, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    yield run
    run("down")


def test_up_status_connection_and_down(run: Any, port: int, tmp_path: Path) -> None:
    assert "No local AWS runs" in run("status", code=3)
    assert "sm-hosting local up" in run("connection", code=3)
    said = run("up", "--detach", "--engine", "none", "--region", "eu-west-1", "--transition-seconds", "0")
    assert f"http://127.0.0.1:{port} (engine none)" in said
    assert "airflow connections add aws_default" in said
    assert "export AWS_ENDPOINT_URL=" in said

    connection = json.loads(run("connection"))
    assert connection["conn_type"] == "aws"
    assert connection["extra"] == {"region_name": "eu-west-1", "endpoint_url": f"http://127.0.0.1:{port}"}
    sagemaker = boto3.Session(
        aws_access_key_id=connection["login"],
        aws_secret_access_key=connection["password"],
        region_name="eu-west-1",
    ).client("sagemaker", endpoint_url=connection["extra"]["endpoint_url"])
    assert sagemaker.list_endpoints()["Endpoints"] == []

    status = json.loads(run("status", "--json"))
    assert (status["running"], status["engine"], status["port"]) == (True, "none", port)
    (state,) = (tmp_path / "state").glob("*.json")
    assert stat.S_IMODE(state.stat().st_mode) == 0o600

    again = run("up", "--detach", "--engine", "none")
    assert "is already running" in again
    assert connection["login"] in again
    assert json.loads(run("status", "--json"))["pid"] == status["pid"]

    assert "has ended" in run("down")
    assert "No local AWS runs" in run("status", code=3)
    assert "No local AWS runs" in run("down")
    assert json.loads(run("status", "--json", code=3)) == {"running": False, "port": port}


def test_the_environment_can_be_sourced_and_the_access_key_kept(run: Any) -> None:
    run("up", "--detach", "--engine", "none", "--access-key", "LOCALKEY0123456789AB")
    exports = run("connection", "--format", "env")
    script = f'{exports}\nprintf %s "$AWS_ACCESS_KEY_ID"; printf \'\\n%s\' "$AIRFLOW_CONN_AWS_DEFAULT"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    key, connection = said.split("\n")
    assert key == "LOCALKEY0123456789AB"
    assert json.loads(connection)["login"] == key


def test_it_is_driven_from_the_command_line(run: Any, port: int) -> None:
    assert "sm-hosting local up" in run("reset", code=3)
    run(
        "up",
        "--detach",
        "--engine",
        "none",
        "--clock",
        "virtual",
        "--access-key",
        "-",
        stdin="LOCALFROMSTDIN\n",
    )
    aws = Daemon(port, 0, "LOCALFROMSTDIN", "none", "us-east-1").control()
    began = aws.now()
    assert run("advance", "8h").strip() == (began + timedelta(hours=8)).isoformat()
    assert "not a duration" in run("advance", "soon", code=2)

    told = json.loads(run("fault", "throttle", "--operation", "Create*", "--count", "1", "--seconds", "10m"))
    assert (told["kind"], told["operation"], told["count"], told["seconds"]) == (
        "throttle",
        "Create*",
        1,
        600,
    )
    assert json.loads(run("fault", "list")) == told
    assert "must be a whole number" in run("fault", "throttle", "--count", "0", code=1)
    assert "No running container matches" in run("fault", "crash", "--endpoint", "e", code=1)
    run("fault", "clear", told["id"])
    assert run("fault", "list") == ""

    aws.client("s3").create_bucket(Bucket="bucket")
    assert "is empty" in run("reset")
    assert aws.client("s3").list_buckets()["Buckets"] == []


def test_logs_are_printed_and_followed(run: Any, environment: dict[str, str], port: int) -> None:
    run("up", "--detach", "--engine", "none", SM_HOSTING_LOCAL_ACCESS_KEY="LOCALFROMVARIABLE")
    logs = Daemon(port, 0, "LOCALFROMVARIABLE", "none", "us-east-1").control().client("logs")
    assert "No container of endpoint e has written any logs" in run("logs", "e", code=1)
    group = "/aws/sagemaker/Endpoints/e"
    logs.create_log_group(logGroupName=group)
    now = int(time.time() * 1000)

    def write(stream: Any, *messages: Any) -> None:
        events = [{"timestamp": now + at, "message": message} for at, message in messages]
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)

    for stream in ("a/i-1", "b/i-2"):
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    write("a/i-1", (0, "first"), (20, "third"))
    write("b/i-2", (10, "second"))
    assert run("logs", "e").splitlines() == ["a/i-1  first", "b/i-2  second", "a/i-1  third"]
    assert run("logs", "e", "--variant", "b").splitlines() == ["b/i-2  second"]
    assert "No container of variant c of endpoint e" in run("logs", "e", "--variant", "c", code=1)

    command = [
        sys.executable,
        "-m",
        "airflow_sm_hosting.cli",
        "local",
        "logs",
        "e",
        "-f",
        "--port",
        str(port),
    ]
    follower = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        # A suite that was started in the background ignores Ctrl-C, and so would what it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert [follower.stdout.readline() for _ in range(3)][-1] == "a/i-1  third\n"
        logs.create_log_stream(logGroupName=group, logStreamName="a/i-3")
        write("a/i-3", (30, "started anew"))
        assert follower.stdout.readline() == "a/i-3  started anew\n"
    finally:
        follower.send_signal(signal.SIGINT)
        follower.communicate(timeout=30)
    assert follower.returncode == 0


def test_the_access_key_can_be_kept_in_a_file(run: Any, tmp_path: Path) -> None:
    assert "cannot be read" in run("up", "--access-key", f"@{tmp_path / 'none'}", code=1)
    file = tmp_path / "key"
    file.write_text("a key\n")
    assert "letters, digits and punctuation" in run("up", "--access-key", f"@{file}", code=1)
    file.write_text("LOCALFROMFILE\n")
    run("up", "--detach", "--engine", "none", "--access-key", f"@{file}")
    assert json.loads(run("connection"))["login"] == "LOCALFROMFILE"


def test_it_stays_in_the_foreground_until_ctrl_c(run: Any, environment: dict[str, str], port: int) -> None:
    command = [sys.executable, "-m", "airflow_sm_hosting.cli", "local", "up", "--engine", "none"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "Press Ctrl-C to stop it" in process.stdout.readline()
    wait_until(lambda: json.loads(run_status(environment, port))["running"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert "No local AWS runs" in run("status", code=3)


def run_status(environment: dict[str, str], port: int) -> Any:
    command = [
        sys.executable,
        "-m",
        "airflow_sm_hosting.cli",
        "local",
        "status",
        "--json",
        "--port",
        str(port),
    ]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("given", ["my-image", "=my-image", "pytorch-inference:*="])
def test_a_malformed_stand_in_is_an_error(run: Any, given: str) -> None:
    said = run("up", "--detach", "--engine", "none", "--stand-in", given, code=2)
    assert f"{given!r} is not PATTERN=IMAGE" in said


def test_stand_ins_are_chosen_on_the_command_line(run: Any, environment: dict[str, str], port: int) -> None:
    run(
        "up",
        "--detach",
        "--engine",
        "process",
        "--transition-seconds",
        "0",
        "--no-stand-ins",
        "--stand-in",
        "vllm:*=team/repo-1",
    )
    found = Daemon(
        **json.loads((Path(environment["SM_HOSTING_STATE_DIR"]) / f"local-{port}.json").read_text())
    )
    deployer = Deployer(found.control())
    deployer.push_image()
    registry = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    mapped = deployer.endpoint(deployer.config(deployer.variant(deployer.model(Image=f"{registry}/vllm:1"))))
    assert deployer.describe(mapped)["EndpointStatus"] == "InService"
    absent = deployer.endpoint(
        deployer.config(deployer.variant(deployer.model(Image=f"{registry}/sglang:1")))
    )
    assert "make sure all images" in deployer.describe(absent)["FailureReason"]


def test_a_taken_port_is_an_error(run: Any, port: int) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert "ended with exit code" in run("up", "--detach", "--engine", "none", code=1)


def test_without_the_extra_it_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib.util

    from airflow_sm_hosting import cli

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "moto" else find(name))
    assert cli.main(["local", "status"]) == 1
    assert "pip install 'airflow-provider-sm-hosting[local]'" in capsys.readouterr().err

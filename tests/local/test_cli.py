from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys

import boto3
import pytest

from tests.local.conftest import wait_until


@pytest.fixture
def port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def run(tmp_path, port):
    """Run the command with a state folder of its own, and stop what it has started."""
    environment = {**os.environ, "SM_HOSTING_STATE_DIR": str(tmp_path / "state")}

    def run(*arguments, code=0):
        command = [sys.executable, "-m", "airflow_sm_hosting.cli", "local", *arguments, "--port", str(port)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        return done.stdout + done.stderr

    run.environment = environment
    yield run
    run("down")


def test_up_status_connection_and_down(run, port, tmp_path):
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
    assert "is running already" in again
    assert connection["login"] in again
    assert json.loads(run("status", "--json"))["pid"] == status["pid"]

    assert "has ended" in run("down")
    assert "No local AWS runs" in run("status", code=3)
    assert "No local AWS runs" in run("down")
    assert json.loads(run("status", "--json", code=3)) == {"running": False, "port": port}


def test_the_environment_can_be_sourced_and_the_access_key_kept(run):
    run("up", "--detach", "--engine", "none", "--access-key", "LOCALKEY0123456789AB")
    exports = run("connection", "--format", "env")
    script = f'{exports}\nprintf %s "$AWS_ACCESS_KEY_ID"; printf \'\\n%s\' "$AIRFLOW_CONN_AWS_DEFAULT"'
    said = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout
    key, connection = said.split("\n")
    assert key == "LOCALKEY0123456789AB"
    assert json.loads(connection)["login"] == key


def test_it_stays_in_the_foreground_until_ctrl_c(run, port):
    command = [sys.executable, "-m", "airflow_sm_hosting.cli", "local", "up", "--engine", "none"]
    process = subprocess.Popen(
        [*command, "--port", str(port)],
        env=run.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "Ctrl-C ends it" in process.stdout.readline()
    wait_until(lambda: json.loads(run_status(run, port))["running"])
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert "No local AWS runs" in run("status", code=3)


def run_status(run, port):
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
    return subprocess.run(command, env=run.environment, capture_output=True, text=True, check=False).stdout


def test_a_taken_port_is_an_error(run, port):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert "ended with exit code" in run("up", "--detach", "--engine", "none", code=1)


def test_without_the_extra_it_says_how_to_get_it(monkeypatch, capsys):
    import importlib.util

    from airflow_sm_hosting import cli

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "moto" else find(name))
    assert cli.main(["local", "status"]) == 1
    assert "pip install 'airflow-provider-sm-hosting[local]'" in capsys.readouterr().err

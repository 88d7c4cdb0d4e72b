"""``sm-hosting local status`` and ``down`` find every server of the user, and stop nothing else."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from click.testing import CliRunner, Result

from airflow_sm_hosting.cli.application import sm_hosting
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.client.servers import is_server, running_servers
from tests.cli.conftest import in_a_process
from tests.local.conftest import wait_until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run ``sm-hosting local`` with a state folder of its own; it sees only the servers of this test.

    Others run on this computer while the tests do, which "down --all" would stop.
    """
    monkeypatch.setenv("SM_HOSTING_STATE_DIR", str(tmp_path / "mine"))
    every = psutil.process_iter

    def is_of_this_test(process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            places = (process.environ().get("SM_HOSTING_STATE_DIR", ""), process.cwd())
            return any(place.startswith(str(tmp_path)) for place in places)
        return False

    def of_this_test(attributes: Any) -> Iterator[psutil.Process]:
        return (process for process in every(attributes) if is_of_this_test(process))

    monkeypatch.setattr(psutil, "process_iter", of_this_test)

    def local(*arguments: Any, code: int = 0) -> Result:
        result = CliRunner().invoke(sm_hosting, ["local", *map(str, arguments)])
        assert result.exit_code == code, (result.output, result.exc_info)
        return result

    yield local
    for server in running_servers():
        if server.program is None:
            server.stop()


def up(port: int, state: Path, *arguments: str, **given: Any) -> dict[str, Any]:
    done = in_a_process(
        *("local", "up", "--detach", "--engine", "none", "--json", "--port", str(port)),
        *arguments,
        env={"SM_HOSTING_STATE_DIR": str(state)},
        **given,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_servers_of_any_port_and_state_folder_are_found_and_stopped(
    local: Callable[..., Result], tmp_path: Path
) -> None:
    assert local("status", "--all", code=3).stdout == "No local AWS runs.\n"
    # The second as the demo starts it: with a state folder relative to where it is started.
    first = up(free_port(), tmp_path / "mine")
    second = up(free_port(), Path("other"), cwd=tmp_path)
    foreground = subprocess.Popen(
        [sys.executable, "-m", "airflow_sm_hosting.cli", "local", "up", "--engine", "none", "--port", "0"],
        env={**os.environ, "SM_HOSTING_STATE_DIR": str(tmp_path / "third")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: len(running_servers()) == 3)
        found = {one["pid"]: one for one in json.loads(local("status", "--all", "--json").stdout)}
        assert set(found) == {first["pid"], second["pid"], foreground.pid}
        assert found[second["pid"]]["state_dir"] == str(tmp_path / "other")
        assert found[first["pid"]]["engine"] == "none"
        assert f"http://127.0.0.1:{second['port']} (engine none" in local("status", "--all").stdout

        said = local("down", "--all", "--json").stdout
        assert {one["pid"] for one in json.loads(said)["stopped"]} == set(found)
        foreground.wait(30)
        assert running_servers() == []
        assert list(tmp_path.rglob("local-*.json")) == []
        assert local("down", "--all").stdout == "No local AWS runs.\n"
    finally:
        foreground.kill()
        foreground.wait()


def test_a_server_that_another_folder_knows_is_found_by_its_port(
    local: Callable[..., Result], tmp_path: Path
) -> None:
    port = free_port()
    other = up(port, tmp_path / "other")
    assert json.loads(local("status", "--port", port, "--json").stdout)["pid"] == other["pid"]
    assert f"http://127.0.0.1:{port}" in local("status", "--port", free_port(), code=3).stdout
    assert "is empty" in local("reset", "--port", port).stdout
    assert (
        json.loads(local("connection", "--port", port).stdout)["extra"]["endpoint_url"]
        == other["endpoint_url"]
    )
    assert "has ended" in local("down", "--port", port).stdout
    assert not psutil.pid_exists(other["pid"]) or psutil.Process(other["pid"]).status() == "zombie"


def test_what_is_done_to_a_server_is_json_too(local: Callable[..., Result], tmp_path: Path) -> None:
    port = free_port()
    up(port, tmp_path / "mine", "--clock", "virtual")

    def said(*arguments: str) -> Any:
        return json.loads(local(*arguments, "--port", str(port), "--json").stdout)

    fault = said("fault", "throttle", "--operation", "Create*")
    assert said("fault", "list") == fault
    assert said("fault", "clear", fault["id"]) == {"cleared": fault["id"]}
    assert said("fault", "clear") == {"cleared": "all"}
    assert said("advance", "1h")["now"].endswith("+00:00")
    assert said("reset") == {"reset": True, "port": port}
    assert said("connection")["conn_type"] == "aws"
    assert said("connection", "--format", "env")["AWS_ENDPOINT_URL"] == f"http://127.0.0.1:{port}"
    assert said("up")["port"] == port
    clients._CLIENTS.clear()
    clients._SESSIONS.clear()
    # The commands of endpoints find it there, with its key.
    found = CliRunner().invoke(sm_hosting, ["endpoint", "list", "--local", "--port", str(port), "--json"])
    assert (found.stdout, found.exit_code) == ("[]\n", 0)
    clients._CLIENTS.clear()
    clients._SESSIONS.clear()


def test_the_server_of_a_program_is_shown_and_stays(local: Callable[..., Result]) -> None:
    with LocalAws(engine="none") as aws:
        port = int(aws.endpoint_url.rpartition(":")[2])
        (found,) = json.loads(local("status", "--all", "--json").stdout)
        assert (found["port"], found["program_pid"]) == (port, os.getpid())
        assert local("down", "--all").stdout == "No local AWS runs.\n"
        assert f"part of process {os.getpid()}" in local("reset", "--port", port, code=3).stderr
        assert f"part of process {os.getpid()}" in local("down", "--port", port, code=1).stderr
        assert aws.health()["pid"] == found["pid"]


def test_what_only_looks_like_a_server_is_left_alone(local: Callable[..., Result], tmp_path: Path) -> None:
    """A process with the command line of a server that listens, but does not answer as one."""
    script = (
        "import http.server, sys\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler)\n"
        "print(server.server_port, flush=True)\nserver.serve_forever()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, "airflow_sm_hosting.local.server"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(process.stdout.readline())
        assert local("status", "--all", code=3).stdout == "No local AWS runs.\n"
        assert local("down", "--port", port).stdout == f"No local AWS runs on port {port}.\n"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python -m airflow_sm_hosting.local.server --port 1", True),
        ("python /venv/bin/sm-hosting local up", True),
        ("python -m airflow_sm_hosting.cli local up --detach", True),
        ("python /venv/bin/sm-hosting local logs up", False),
        ("vim airflow_sm_hosting/local/server", False),
        ("grep -r sm-hosting local up", True),
        ("bash -c echo local up", False),
        ("", False),
    ],
)
def test_command_lines(command: str, expected: bool) -> None:
    """Only a hint: the server must also answer with its own process id."""
    assert is_server(command.split()) is expected

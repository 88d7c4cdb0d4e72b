"""The demo of the README: its commands run to an endpoint that answers, on any port, beside one another and beside Airflow's UI."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from airflow_sm_hosting.local.client.control import Control
from airflow_sm_hosting.local.client.daemon import Daemon, health_of
from demo.down import ours
from demo.plot import marks_of
from tests.standalone import free_port

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
FOLDED_OR_CUT = re.compile(r"(?<!=)…|\x1b\[")


@dataclass
class Clone:
    """A folder with what the demo needs, where it keeps all that it makes."""

    folder: Path

    def start(self, module: str, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", f"demo.{module}", *options],
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, module: str, *options: str) -> str:
        return told_by(self.start(module, *options))

    def demo(self, port: int, *options: str) -> subprocess.Popen[str]:
        return self.start("demo", "--engine", "process", "--port", str(port), *options)

    def home(self, port: int) -> Path:
        return self.folder / ".demo" / str(port)

    def aws(self, port: int) -> Control:
        found = Daemon.find(port, self.home(port) / "local-aws")
        assert found is not None
        return found.control()


def told_by(process: subprocess.Popen[str]) -> str:
    told, _ = process.communicate()
    assert process.returncode == 0, told[-5000:]
    return told


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clone]:
    folder = tmp_path_factory.mktemp("clone")
    for name in ("demo", "dags"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    found = Clone(folder)
    try:
        yield found
    finally:
        found.run("down")


@pytest.fixture(scope="module")
def two(clone: Clone) -> dict[int, str]:
    """What two demos of one clone told, which ran at once, by port."""
    ports = (free_port(), free_port())
    running = {port: clone.demo(port) for port in ports}
    return {port: told_by(process) for port, process in running.items()}


def test_two_demos_at_once_each_end_at_an_endpoint_of_their_own(two: dict[int, str], clone: Clone) -> None:
    for port, told in two.items():
        assert "Predictions for rows that the model has not seen" in told
        assert f"make demo-down PORT={port}" in told
        assert "Nothing changed" not in told
        other = next(one for one in two if one != port)
        assert str(other) not in told
        assert (clone.home(port) / "airflow" / "airflow.db").exists()
        described = clone.aws(port).client("sagemaker").describe_endpoint(EndpointName="breast-cancer")
        assert described["EndpointStatus"] == "InService"


def test_tables_in_a_pipe_have_whole_cells_and_no_colours(two: dict[int, str]) -> None:
    for port, told in two.items():
        assert not FOLDED_OR_CUT.search(told)
        assert re.search(rf"127\.0\.0\.1:{port}/breast-cancer@sha256:[0-9a-f]{{64}} +built and pushed", told)
        assert re.search(r"s3://sm-hosting-models/breast-cancer/[0-9a-f]{64}\.tar\.gz +uploaded", told)
        assert re.search(
            r"^Predictions for rows .*\(accuracy on all such rows: 0\.\d+\)$", told, re.MULTILINE
        )


def test_the_ui_says_when_it_is_ready_and_a_second_demo_beside_it_runs_once_and_changes_nothing(
    two: dict[int, str], clone: Clone
) -> None:
    port, ui_port = next(iter(two)), free_port()
    ui = clone.start("ui", "--port", str(port), "--ui-port", str(ui_port))
    try:
        assert ui.stdout is not None
        shown = next((line for line in ui.stdout if "ready" in line), "")
        url = f"http://127.0.0.1:{ui_port}"
        assert shown == (
            f"Airflow's UI is ready: {url}/plugin/sm-endpoints (page Endpoints), {url}/dags/retrain_and_deploy (the DAG that "
            "deploys breast-cancer); no user and no password are needed. Press Ctrl-C to stop it.\n"
        )
        api = Api(url)
        health = api.ask("GET", "monitor/health")
        assert {part["status"] for part in health.values()} == {"healthy"}
        routes = [
            view["url_route"]
            for plugin in api.ask("GET", "plugins")["plugins"]
            for view in plugin["react_apps"]
        ]
        assert "sm-endpoints" in routes

        # A scheduler would run a DAG that is not paused for the asset event of the demo's training, and the demo's own run.
        api.ask("PATCH", "dags/retrain_and_deploy", json={"is_paused": False})
        before = runs_of(api)
        assert "Nothing changed" in told_by(clone.demo(port))
        parsed = datetime.now(UTC)
        wait_for_scheduler(api, after=parsed)
        after = runs_of(api)
        assert after == [*before, ("manual", "success")], "earlier runs stay, and one is new"
        assert api.ask("GET", "dags/retrain_and_deploy")["is_paused"] is False

        everything = processes_of(clone.home(port) / "airflow")
        assert len(everything) >= 4
    finally:
        ui.send_signal(signal.SIGINT)
    ending, _ = ui.communicate(timeout=60)
    assert (ui.returncode, ending) == (0, "Airflow has ended.\n")
    assert processes_of(clone.home(port) / "airflow") == []


def test_demo_down_stops_one_demo_or_all_of_the_clone_and_nothing_else(
    two: dict[int, str], clone: Clone, tmp_path: Path
) -> None:
    first, second = two
    foreign = free_port()
    sm_hosting = str(Path(sys.executable).parent / "sm-hosting")
    elsewhere = {**os.environ, "SM_HOSTING_STATE_DIR": str(tmp_path)}
    subprocess.run(
        [sm_hosting, "local", "up", "--detach", "--engine", "none", "--port", str(foreign)],
        env=elsewhere,
        check=True,
        capture_output=True,
    )
    try:
        nothing = "No local AWS of a demo of this clone runs"
        assert clone.run("down", "--port", str(foreign)) == f"{nothing} on port {foreign}.\n"
        assert clone.run("down", "--port", str(first)) == f"The local AWS on port {first} has ended.\n"
        assert health_of(first) is None
        assert health_of(second) is not None
        assert clone.run("down") == f"The local AWS on port {second} has ended.\n"
        assert health_of(second) is None
        assert clone.run("down") == f"{nothing}.\n"
        assert health_of(foreign) is not None
    finally:
        subprocess.run(
            [sm_hosting, "local", "down", "--port", str(foreign)],
            env=elsewhere,
            check=True,
            capture_output=True,
        )


@pytest.mark.timeout(900)
def test_the_full_story_has_four_endings_and_a_plot_of_them(clone: Clone) -> None:
    port = free_port()
    told = told_by(clone.demo(port, "--story", "full"))
    endings = [line for line in told.splitlines() if line.startswith("  → ")]
    assert len(endings) == 4, told
    created = re.search(r"breast-cancer is in service on (breast-cancer-\w+), with 2 instances", endings[0])
    assert created is not None
    assert endings[1] == "  → Nothing changed: 0 API calls changed something."
    shifted = re.search(r"in steps \(50 %, 100 %\); breast-cancer serves (breast-cancer-\w+) ", endings[2])
    assert shifted is not None
    better = shifted[1]
    assert better != created[1]
    assert f"Rolled back: breast-cancer still serves {better}, the better model; 8 of 8 answers" in endings[3]
    assert re.search(
        "deploy_endpoint failed: SageMaker rolled .* breast-cancer-main-ModelLatency went into ALARM", told
    )
    marks = re.findall(r"^  \d  \d\d:\d\d (.*)$", told, re.MULTILINE)
    assert marks == [
        "first model: in service",
        "the same again: nothing changed",
        "better model: 50 % of the traffic",
        "better model: all of the traffic",
        "slow model: 50 % of the traffic",
        "slow model: rolled back by an alarm",
    ]
    assert "Requests a minute, by model" in told
    assert "Latency of the model, milliseconds" in told
    assert not FOLDED_OR_CUT.search(told)
    assert re.search(r"The clients asked \d{3,} times; 0 requests failed\.", told)

    # What the story tells is what the local AWS says.
    aws = clone.aws(port)
    described = aws.client("sagemaker").describe_endpoint(EndpointName="breast-cancer")
    assert (described["EndpointStatus"], described["EndpointConfigName"]) == ("InService", better)
    # A demo after it, on its virtual clock, ends as well.
    assert "The endpoint stays in service." in told_by(clone.demo(port))


def test_the_marks_of_a_plot_are_what_a_timeline_tells() -> None:
    def clock(at: float) -> datetime:
        return datetime.fromtimestamp(at, UTC) + timedelta(hours=1)

    def entry(at: float, status: str, config: str, pending: str | None = None, **more: Any) -> dict[str, Any]:
        return {"at": at, "status": status, "config": config, "pending": pending, "coming": [], **more}

    update = [
        entry(0, "InService", "old"),
        entry(1, "Updating", "old", "new", moved=0),
        entry(2, "Updating", "old", "new", moved=50, coming=[{"name": "main", "since": 7200.0}]),
    ]

    def told(timeline: list[dict[str, Any]]) -> list[tuple[str, str]]:
        return [(f"{mark.at:%H:%M}", mark.what) for mark in marks_of(timeline, "m", clock)]

    half = ("02:00", "m: 50 % of the traffic")
    assert told([*update, entry(60, "InService", "new")]) == [half, ("01:01", "m: all of the traffic")]
    rolled_back = ("01:01", "m: rolled back by an alarm")
    assert told([*update, entry(60, "InService", "old")]) == [half, rolled_back]
    seen = entry(30, "RollingBack", "old", "new", moved=0)
    assert told([*update, seen, entry(60, "InService", "old")]) == [half, rolled_back]
    created = [entry(0, "Creating", "new", "new", moved=0), entry(60, "InService", "new")]
    assert told(created) == [("01:01", "m: in service")]
    assert told([]) == []


def test_servers_of_other_clones_and_of_users_are_not_ours(tmp_path: Path) -> None:
    demos = tmp_path / "clone" / ".demo"
    places = {
        1: demos / "1" / "local-aws",
        2: demos / "2" / "local-aws",
        3: tmp_path / "clone" / ".demo2" / "3",
        4: tmp_path,
    }
    servers = [{"port": port, "state_dir": str(place)} for port, place in places.items()]
    assert [server["port"] for server in ours(servers, demos, None)] == [1, 2]
    assert [server["port"] for server in ours(servers, demos, 2)] == [2]
    assert ours(servers, demos, 4) == []


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("demo", "-m demo.demo --seed 7 --engine auto --story short"),
        ("demo PORT=4801 STORY=full", "-m demo.demo --seed 7 --engine auto --story full --port 4801"),
        ("demo-down", "-m demo.down"),
        ("demo-down PORT=4801", "-m demo.down --port 4801"),
        ("ui PORT=4801 UI_PORT=4803", "-m demo.ui --port 4801 --ui-port 4803"),
    ],
)
def test_make_passes_the_port_on(command: str, expected: str) -> None:
    # The tests themselves may be run by make, which tells its own make so.
    ours = ("PORT", "UI_PORT", "STORY", "MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run(
        ["make", "-n", *command.split()],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1].split("python ", 1)[1].strip() == expected


class Api:
    """Airflow's REST API, as an object that a test asks."""

    def __init__(self, url: str) -> None:
        self._url = url
        # Airflow 3.1 asks for a token, also where everybody is an administrator.
        token = requests.get(f"{url}/auth/token", timeout=30).json()["access_token"]
        self._headers = {"Authorization": f"Bearer {token}"}

    def ask(self, method: str, path: str, **options: Any) -> Any:
        answer = requests.request(
            method, f"{self._url}/api/v2/{path}", headers=self._headers, timeout=30, **options
        )
        answer.raise_for_status()
        return answer.json()


def runs_of(api: Api) -> list[tuple[str, str]]:
    """Return kind and state of the runs of the deploying DAG, the oldest first."""
    found = api.ask("GET", "dags/retrain_and_deploy/dagRuns", params={"order_by": "id"})["dag_runs"]
    return [(run["run_type"], run["state"]) for run in found]


def wait_for_scheduler(api: Api, after: datetime) -> None:
    """Wait until the scheduler has been through its loop after a time: it makes runs of asset events there."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        beat = api.ask("GET", "monitor/health")["scheduler"]["latest_scheduler_heartbeat"]
        if datetime.fromisoformat(beat) > after + timedelta(seconds=2):
            return
        time.sleep(0.5)
    raise AssertionError("the scheduler does not report")


def processes_of(airflow_home: Path) -> list[int]:
    """Return the processes of an Airflow home, as their environment tells."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("AIRFLOW_HOME") == str(airflow_home):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found

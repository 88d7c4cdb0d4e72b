"""Airflow's UI on what the demo made, with scheduler, DAG processor and triggerer (``make ui``), until Ctrl-C."""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import psutil

from demo.home import DEFAULT_PORT, Home, demos
from demo.local_aws import control_of, passing_time
from demo.runs import ENDPOINT, without_foreign_settings
from demo.telling import say

DEFAULT_UI_PORT = 8080
#: As ``airflow standalone`` has them, but without servers of log files: those would listen on all addresses of this computer.
COMPONENTS = {
    "API server": ("api-server", "--workers", "1"),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "DAG processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
}
START_SECONDS, STOP_SECONDS = 300, 8


def main() -> int:
    """Run it until Ctrl-C, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, help="of the demo's local AWS")
    parser.add_argument(
        "--ui-port",
        type=int,
        help=f"of the UI (default: {DEFAULT_UI_PORT}, or a free one if that is taken)",
    )
    options = parser.parse_args()
    home = chosen(options.port, demos())
    port = options.ui_port or free_port(DEFAULT_UI_PORT)
    if not is_free(port):
        sys.exit(f"Port {port} is taken. Give another one: make ui UI_PORT=…")
    aws = control_of(home)
    if aws is None:
        say(
            f"The local AWS of the demo does not run, so that tasks would fail: 'make demo{home.make_option}' starts it."
        )
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _as_ctrl_c)
    say("Starting Airflow; it takes half a minute.")
    environment = environment_of(json.loads(home.environment.read_text()), port)
    try:
        with components(home, environment) as running, passing_time(aws) if aws else nullcontext():
            wait_until_ready(running, f"http://127.0.0.1:{port}", home)
            say(ready_line(f"http://127.0.0.1:{port}"))
            watch(running, home)
    except KeyboardInterrupt:
        pass
    say("Airflow has ended.")
    return 0


def chosen(port: int | None, known: list[Home]) -> Home:
    """Return the demo that is meant: that of the port; without one that of the default port, or the only one.

    :param port: The port that was given.
    :param known: The demos that ran so far.
    """
    wanted = Home(port or DEFAULT_PORT)
    if wanted in known:
        return wanted
    if port is None and len(known) == 1:
        return known[0]
    others = f" Demos ran on port {', '.join(str(home.port) for home in known)}." if known else ""
    sys.exit(f"No demo ran on port {wanted.port}: run 'make demo{wanted.make_option}' first.{others}")


def environment_of(noted: Mapping[str, str], port: int) -> dict[str, str]:
    """Return the environment of Airflow's processes.

    :param noted: What the demo wrote down.
    :param port: The port of the UI.
    """
    url = f"http://127.0.0.1:{port}"
    return {
        **without_foreign_settings(),
        **noted,
        "AIRFLOW__CORE__PARALLELISM": "4",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
    }


def ready_line(url: str) -> str:
    """Return the line that says where the UI is."""
    return (
        f"Airflow's UI is ready: {url}/plugin/sm-endpoints (page Endpoints), {url}/dags/retrain_and_deploy (the DAG that "
        f"deploys {ENDPOINT}); no user and no password are needed. Press Ctrl-C to stop it."
    )


@contextmanager
def components(home: Home, environment: dict[str, str]) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run Airflow's processes while the block runs; none of them outlives it."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    airflow = Path(sys.executable).parent / "airflow"
    try:
        with home.ui_log.open("wb") as log:
            for name, command in COMPONENTS.items():
                running[name] = subprocess.Popen(
                    [str(airflow), *command],
                    env=environment,
                    stdout=log,
                    stderr=log,
                    # Ctrl-C in the terminal is for this process, which ends them in order.
                    start_new_session=True,
                )
        yield running
    finally:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        end(running)


def end(running: Mapping[str, subprocess.Popen[bytes]]) -> None:
    """End processes with all that they have started; a task runs in a process group of its own."""
    everything: list[psutil.Process] = []
    for process in running.values():
        try:
            leader = psutil.Process(process.pid)
            everything += [leader, *leader.children(recursive=True)]
        except psutil.NoSuchProcess:
            continue
    for process in running.values():
        process.terminate()
    _, left = psutil.wait_procs(everything, timeout=STOP_SECONDS)
    for one in left:
        try:
            # What it has started since.
            left_children = one.children(recursive=True)
            one.kill()
        except psutil.NoSuchProcess:
            continue
        for child in left_children:
            try:
                child.kill()
            except psutil.NoSuchProcess:
                continue
    for process in running.values():
        process.wait()


def wait_until_ready(running: Mapping[str, subprocess.Popen[bytes]], url: str, home: Home) -> None:
    """Wait until the UI answers and scheduler, DAG processor and triggerer have reported since they were started."""
    started, deadline = time.time(), time.monotonic() + START_SECONDS
    while not is_ready(url, started):
        check_running(running, home)
        if time.monotonic() > deadline:
            fail(f"Airflow is not ready after {START_SECONDS} s", home)
        time.sleep(0.5)


def is_ready(url: str, since: float) -> bool:
    """Return whether all parts of Airflow have reported.

    :param url: The UI's.
    :param since: When they were started, in seconds since the epoch.
    """
    import requests

    with requests.Session() as session:
        session.trust_env = False  # no proxy of the shell's
        try:
            answer = session.get(f"{url}/api/v2/monitor/health", timeout=10)
            page = session.get(url, timeout=10)
        except requests.RequestException:
            return False
    if not (answer.ok and page.ok):
        return False
    health: dict[str, Any] = answer.json()
    reports = [
        health[name].get(f"latest_{name}_heartbeat") for name in ("scheduler", "dag_processor", "triggerer")
    ]
    return all(report and datetime.fromisoformat(report).timestamp() >= since for report in reports)


def watch(running: Mapping[str, subprocess.Popen[bytes]], home: Home) -> NoReturn:
    """Wait until Ctrl-C, or until a process ends by itself."""
    while True:
        check_running(running, home)
        time.sleep(1)


def check_running(running: Mapping[str, subprocess.Popen[bytes]], home: Home) -> None:
    """End with an error if one of the processes has ended."""
    for name, process in running.items():
        if process.poll() is not None:
            fail(f"Airflow's {name} has ended with exit code {process.returncode}", home)


def fail(what: str, home: Home) -> NoReturn:
    """End with an error, and show the end of the log."""
    end_of_log = "\n".join(home.ui_log.read_text(errors="replace").splitlines()[-20:])
    sys.exit(f"{end_of_log}\n{what}; the log is {home.ui_log}.")


def is_free(port: int) -> bool:
    """Return whether a port of this computer can be listened on."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(wanted: int) -> int:
    """Return a port that is free: the wanted one if it is."""
    if is_free(wanted):
        return wanted
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())

"""All local AWS servers of this user: on any port, with any state folder, whoever started them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil

from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.client.daemon import (
    BUSY,
    STATE_DIR_VARIABLE,
    default_folder,
    forget,
    health_of,
)

_STOP_SECONDS = 45


@dataclass(frozen=True)
class Server:
    """A server that runs.

    :param port: Its TCP port.
    :param pid: Its process.
    :param started_at: When the process began, in seconds since the epoch.
    :param engine: The name of its engine; None if it is too busy to answer.
    :param region_name: Its default Region; None if it is too busy to answer.
    :param state_dir: The state folder of the command that started it.
    :param program: The process whose end ends it, e.g. a test; None for a server that outlives its command.
    """

    port: int
    pid: int
    started_at: float
    engine: str | None
    region_name: str | None
    state_dir: Path
    program: int | None

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """End it, and wait until it is gone with all its containers.

        :raises LocalAwsError: It does not end.
        """
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            if process.create_time() != self.started_at:
                return  # it has ended, and another process has its id
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except psutil.TimeoutExpired as error:
                raise LocalAwsError(f"The process {self.pid} does not stop.") from error
        forget(self.port, self.state_dir)


def is_server(command: Sequence[str]) -> bool:
    """Return whether a process with this command line may be a server.

    :param command: The command line.
    """
    words = list(command)
    if "airflow_sm_hosting.local.server" in words:
        return True
    is_ours = any(Path(word).name == "sm-hosting" or word == "airflow_sm_hosting.cli" for word in words[:4])
    return is_ours and any(pair == ("local", "up") for pair in pairwise(words))


def running_servers() -> list[Server]:
    """Return the servers of this user, by port.

    A server is one whose command line is that of a server, that listens on a port of 127.0.0.1, and that answers there with its own
    process id; or that is too busy to answer.
    """
    return sorted(_found(), key=lambda server: server.port)


def _found() -> Iterator[Server]:
    for process in psutil.process_iter(["cmdline", "uids"]):
        uids, command = process.info["uids"], process.info["cmdline"] or []
        if uids is None or uids.real != os.getuid() or not is_server(command):
            continue
        with suppress(psutil.Error, OSError):
            for port in _ports(process):
                health = health_of(port)
                if health and (health == BUSY or health.get("pid") == process.pid):
                    yield _server(process, port, health, command)


def _ports(process: psutil.Process) -> list[int]:
    listening = [
        one for one in process.net_connections("tcp") if one.status == psutil.CONN_LISTEN and one.laddr
    ]
    return sorted({int(one.laddr.port) for one in listening if one.laddr.ip == "127.0.0.1"})


def _server(process: psutil.Process, port: int, health: dict[str, Any], command: Sequence[str]) -> Server:
    return Server(
        port=port,
        pid=process.pid,
        started_at=process.create_time(),
        engine=health.get("engine"),
        region_name=health.get("region"),
        state_dir=_state_dir(process),
        program=process.ppid() if "--until-stdin-closes" in command else None,
    )


def _state_dir(process: psutil.Process) -> Path:
    named = process.environ().get(STATE_DIR_VARIABLE)
    # A relative folder is that of where the command was started.
    return Path(process.cwd()) / named if named else default_folder()

"""A server that outlives the command that started it: one a port."""

from __future__ import annotations

import http.client
import json
import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from filelock import FileLock
from platformdirs import user_state_path
from tenacity import RetryError, Retrying, retry_if_result, stop_after_delay, wait_fixed

from airflow_sm_hosting.local.client.control import Control, LocalAwsError

#: Names the folder of the notes on running servers.
STATE_DIR_VARIABLE = "SM_HOSTING_STATE_DIR"

_STOP_SECONDS = 45


@dataclass(frozen=True)
class Daemon:
    """A local AWS that was started from the command line.

    :param port: Its TCP port.
    :param pid: Its process.
    :param access_key: The access key that it asks for.
    :param engine: The name of its engine.
    :param region_name: Its default Region.
    """

    port: int
    pid: int
    access_key: str
    engine: str
    region_name: str

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    def control(self) -> Control:
        """Return its control."""
        return Control(self.endpoint_url, self.access_key, self.region_name)

    def save(self) -> None:
        """Save it, readable by this user only: whoever has the key can control the server."""
        path = _state_file(self.port)
        new = path.with_suffix(".new")
        new.unlink(missing_ok=True)
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(asdict(self), file)
        # At once: nobody ever reads half of it.
        new.replace(path)

    @classmethod
    def find(cls, port: int, folder: Path | None = None) -> Self | None:
        """Return the one that runs on a port, or None; what a killed one left is removed.

        :param port: The port.
        :param folder: The state folder (default: this process's).
        """
        path = _state_file(port, folder)
        if not path.exists():
            return None
        noted = cls(**json.loads(path.read_text()))
        health = health_of(port)
        # Another process may have taken the port, and another one the process id.
        if health and health.get("pid") == noted.pid:
            return noted
        if health == BUSY and _is_alive(noted.pid):
            # Its note is the only way to it.
            return noted
        path.unlink(missing_ok=True)
        return None

    def stop(self) -> None:
        """End it, and wait until it is gone with all its containers.

        :raises LocalAwsError: It does not end.
        """
        os.kill(self.pid, signal.SIGTERM)
        until_gone = Retrying(
            retry=retry_if_result(bool), wait=wait_fixed(0.05), stop=stop_after_delay(_STOP_SECONDS)
        )
        try:
            until_gone(_is_alive, self.pid)
        except RetryError as error:
            raise LocalAwsError(f"The process {self.pid} does not stop.") from error
        forget(self.port)


#: What a server's health is that takes the connection and does not answer in time.
BUSY: dict[str, Any] = {"busy": True}


def health_of(port: int) -> dict[str, Any] | None:
    """Return what the server on a port says of itself, :data:`BUSY`, or None where none of ours answers."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_sm_hosting/health", timeout=5) as response:
            health = json.loads(response.read())
    except TimeoutError:
        return BUSY
    except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
        return BUSY if isinstance(getattr(error, "reason", None), TimeoutError) else None
    return health if isinstance(health, dict) else None


@contextmanager
def exclusive(port: int) -> Iterator[None]:
    """Allow one command at a time to start or stop the server of a port."""
    with FileLock(_state_file(port).with_suffix(".lock"), mode=0o600):
        yield


def forget(port: int, folder: Path | None = None) -> None:
    """Remove the note of the server on a port, which has ended.

    :param port: The port.
    :param folder: The state folder (default: this process's).
    """
    _state_file(port, folder).unlink(missing_ok=True)


def log_file(port: int) -> Path:
    """Return where a detached server logs to."""
    return _state_file(port).with_suffix(".log")


def default_folder() -> Path:
    """Return the state folder of processes whose environment names none."""
    return Path(user_state_path("sm-hosting", appauthor=False))


def _state_file(port: int, folder: Path | None = None) -> Path:
    named = os.environ.get(STATE_DIR_VARIABLE)
    folder = folder or (Path(named) if named else default_folder())
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder / f"local-{port}.json"


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    # A zombie is gone; its parent, maybe this very process, has not looked yet.
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True

"""Run the command of a builder: its lines in the task's log, its credentials where no other user can read them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tempfile
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images.builders import Log
from airflow_sm_hosting.images.recipe import Login

_LAST_LINES = 20
#: Seconds that a command has to clean up after SIGTERM: Airflow kills the task itself after five.
_GRACE = 3


def run_command(
    arguments: Sequence[str],
    *,
    failed: str,
    log: Log,
    mask: Callable[[str], str],
    environment: Mapping[str, str],
    folder: Path,
) -> None:
    """Run a command to its end, without a shell; each line that it prints goes to the log.

    It ends with the task: when the task is killed or fails, the command and its children get SIGTERM, and SIGKILL three seconds later.

    :param arguments: the program and its arguments
    :param failed: what the error says first
    :param log: logger of the task
    :param mask: removes secrets from a line
    :param environment: variables in addition to the worker's
    :param folder: where it runs
    :raises ImageBuildError: it cannot be started, or fails; with its last 20 lines
    """
    last: deque[str] = deque(maxlen=_LAST_LINES)
    try:
        process = subprocess.Popen(
            list(arguments),
            env={**os.environ, **environment},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise ImageBuildError(f"{failed}: {arguments[0]} cannot be started ({error})") from error
    try:
        for line in process.stdout or ():
            shown = mask(line.decode(errors="replace").rstrip())
            if shown:
                last.append(shown)
                log.info("%s", shown)
        status = process.wait()
    finally:
        _end(process)
    if status:
        lines = "\n".join(last)
        raise ImageBuildError(
            f"{failed}: {arguments[0]} ended with exit status {status}\nThe last lines of the log:\n{lines}"
        )


def answer_of(arguments: Sequence[str]) -> str:
    """Return what a command prints that only asks for something.

    :raises ImageBuildError: it is not installed, or fails
    """
    try:
        answer = subprocess.run(
            list(arguments), capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL, timeout=60
        )
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        raise ImageBuildError(f"{' '.join(arguments)} fails ({said[-1] if said else error})") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ImageBuildError(f"{arguments[0]} cannot be run ({error})") from error
    return answer.stdout.strip()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if process.stdout is not None:
        process.stdout.close()


def auth_entries(logins: Mapping[str, Login]) -> dict[str, dict[str, str]]:
    """Return the member ``auths`` of a file of credentials, as Docker's and the containers tools' are."""
    return {
        host: {"auth": b64encode(f"{login.username}:{login.password}".encode()).decode()}
        for host, login in logins.items()
    }


def with_logins(config: Mapping[str, Any], logins: Mapping[str, Login]) -> dict[str, Any]:
    """Return the user's configuration with the credentials of a build.

    Those of the build replace what ``docker login`` has written: of ECR that is a token, which expires. A helper of the user's stays.

    :param config: of Docker, or of the containers tools
    :param logins: of the build, by host
    """
    helpers, auths = config.get("credHelpers") or {}, config.get("auths") or {}
    new = {host: login for host, login in logins.items() if not helpers.get(host)}
    # An empty helper means this file, which a store of credentials hides otherwise; buildah has no stores.
    instead = dict.fromkeys(new, "") if config.get("credsStore") else {}
    return {**config, "auths": {**auths, **auth_entries(new)}, "credHelpers": {**helpers, **instead}}


@contextmanager
def in_memory(content: Mapping[str, object]) -> Iterator[str]:
    """Yield the path of a file with JSON that is never on a disk; elsewhere than on Linux a temporary file that only this user may read.

    Children of this process can open it, without inheriting a descriptor.
    """
    data = json.dumps(content).encode()
    if not hasattr(os, "memfd_create"):
        with tempfile.NamedTemporaryFile() as file:
            file.write(data)
            file.flush()
            yield file.name
        return
    descriptor = os.memfd_create("sm-hosting-credentials")
    try:
        os.write(descriptor, data)
        yield f"/proc/{os.getpid()}/fd/{descriptor}"
    finally:
        os.close(descriptor)

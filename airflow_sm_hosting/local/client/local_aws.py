"""A server as an object: started, used, stopped."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from airflow_sm_hosting.local.access_key import ACCESS_KEY_VARIABLE, new_access_key
from airflow_sm_hosting.local.client.control import Control, LocalAwsError

LOG = logging.getLogger(__name__)

# How much of the log is shown when the server cannot be started.
_SHOWN_LOG = 4000
_STOP_SECONDS = 40


def start_server(
    *,
    port: int,
    engine: str,
    access_key: str,
    region_name: str,
    transition_seconds: float,
    log_file: Path,
    detached: bool,
    clock: str = "real",
    consistency_seconds: float = 0.0,
    state: str | Path | None = None,
    stand_ins: bool = True,
    stand_in_images: Mapping[str, str] | None = None,
    stand_in_startup_seconds: float = 0.0,
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start the server's process, and return it with what it says when it is ready.

    :param stand_ins: Whether AWS's own images are stood in for.
    :param stand_in_images: Images that run in place of others, by the name or pattern of those.
    :param detached: Whether it outlives this process.
    :raises LocalAwsError: It ended instead; the message has the end of its log.
    """
    command = [
        *(sys.executable, "-m", "airflow_sm_hosting.local.server"),
        *("--port", str(port), "--engine", engine, "--region", region_name),
        *("--transition-seconds", str(transition_seconds), "--clock", clock),
        *("--consistency-seconds", str(consistency_seconds)),
        *(("--state", str(state)) if state else ()),
        *("--stand-ins" if stand_ins else "--no-stand-ins",),
        *(f"--stand-in={pattern}={image}" for pattern, image in (stand_in_images or {}).items()),
        *("--stand-in-startup-seconds", str(stand_in_startup_seconds)),
    ]
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            command if detached else [*command, "--until-stdin-closes"],
            stdin=subprocess.DEVNULL if detached else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env={**_without_aws(os.environ), ACCESS_KEY_VARIABLE: access_key},
            # A Ctrl-C in the terminal is for who started it, who then ends it in order.
            start_new_session=True,
        )
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    with process.stdout as said:
        line = said.readline()
    if not line:
        code = process.wait()
        tail = log_file.read_bytes()[-_SHOWN_LOG:].decode("utf-8", "replace")
        raise LocalAwsError(
            f"The local AWS ended with exit code {code} instead of starting. Its log:\n{tail}"
        )
    return process, json.loads(line)


def _without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    # What the server starts must not see the developer's real AWS.
    return {name: value for name, value in environment.items() if not name.startswith("AWS_")}


class LocalAws(Control):
    """SageMaker hosting, S3, ECR and the rest of AWS on this computer, as a context manager.

    .. code-block:: python

        with LocalAws(engine="none") as aws:
            aws.client("sagemaker").list_endpoints()

    It runs in its own process, which ends with this one.

    :param port: TCP port, 0 for a free one.
    :param engine: The engine for the containers of endpoints: ``docker``; ``process`` (Python entry points as plain
        processes, no isolation); ``none`` (endpoints cannot be invoked); ``auto`` (docker where it answers, else
        process).
    :param access_key: The access key that requests must be signed with. Default: a random one.
    :param region_name: The Region that clients use by default. The server answers for all.
    :param transition_seconds: How long an endpoint is at least Creating, Updating or Deleting.
    :param clock: The clock: ``real``, or ``virtual``, which stands still between calls of :meth:`advance`: then an 8-hour
        rollout takes a moment.
    :param consistency_seconds: How long a model, an endpoint config or an endpoint that was just created cannot be found,
        as reads of AWS are eventually consistent.
    :param state: A folder for the saved state, which the next server with that folder restores. Default: none.
    :param stand_ins: Whether a stand-in runs in place of each of AWS's own serving images, or images of yours that run in place of
        others, by the name or pattern of those: ``{"pytorch-inference:*": "my-image"}``.
    :param stand_in_startup_seconds: How long a stand-in takes to start, as if it loaded a model.
    :param log_file: Where the server logs to. Default: a temporary file, kept while it runs.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        engine: str = "auto",
        access_key: str | None = None,
        region_name: str = "us-east-1",
        transition_seconds: float = 0.5,
        clock: str = "real",
        consistency_seconds: float = 0.0,
        state: str | Path | None = None,
        stand_ins: bool | Mapping[str, str] = True,
        stand_in_startup_seconds: float = 0.0,
        log_file: str | Path | None = None,
    ) -> None:
        super().__init__(f"http://127.0.0.1:{port}", access_key or new_access_key(), region_name)
        self.account_id = "123456789012"
        self.engine = engine
        self._port = port
        self._transition_seconds = transition_seconds
        self.clock = clock
        self._consistency_seconds = consistency_seconds
        self._state = state
        self._stand_ins = stand_ins
        self._stand_in_startup_seconds = stand_in_startup_seconds
        self._log_file = Path(log_file) if log_file else None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it."""
        self.stop()

    def start(self) -> None:
        """Start the server and wait until it answers.

        :raises LocalAwsError: It does not.
        """
        if self._process:
            return
        log_file = self._log_file
        if log_file is None:
            handle, name = tempfile.mkstemp(prefix="sm-hosting-", suffix=".log")
            os.close(handle)
            log_file = Path(name)
        try:
            self._process, ready = start_server(
                port=self._port,
                engine=self.engine,
                access_key=self.access_key,
                region_name=self.region_name,
                transition_seconds=self._transition_seconds,
                clock=self.clock,
                consistency_seconds=self._consistency_seconds,
                state=self._state,
                stand_ins=self._stand_ins is not False,
                stand_in_images={} if isinstance(self._stand_ins, bool) else self._stand_ins,
                stand_in_startup_seconds=self._stand_in_startup_seconds,
                log_file=log_file,
                detached=False,
            )
        finally:
            if self._log_file is None:
                # The server has it open; when it ends, nothing is left.
                log_file.unlink()
        self.engine = ready["engine"]
        if self.engine == "process":
            from airflow_sm_hosting.local.engines.choice import NO_ISOLATION

            LOG.warning(NO_ISOLATION)
        self.endpoint_url = f"http://127.0.0.1:{ready['port']}"
        self.account_id = self.health()["account_id"]

    def stop(self) -> None:
        """Stop the server and all containers of its endpoints."""
        if self._process is None:
            return
        process, self._process = self._process, None
        self._clients.clear()
        if process.stdin:
            process.stdin.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

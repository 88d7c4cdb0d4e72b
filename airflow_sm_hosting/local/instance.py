"""The local AWS as an object: started, asked, stopped."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from airflow_sm_hosting.exceptions import SageMakerHostingError
from airflow_sm_hosting.local.server import ACCESS_KEY_VARIABLE, new_access_key

LOG = logging.getLogger(__name__)

# How much of the log is shown when the server cannot be started.
_SHOWN_LOG = 4000
_STOP_SECONDS = 40
# Containers that start on the way take real time.
_ADVANCE_SECONDS = 900


class LocalAwsError(SageMakerHostingError):
    """The local AWS cannot be started, or does not answer."""


def secret_key_of(access_key: str) -> str:
    """Return the secret key that goes with an access key.

    The server cannot tell it from another, and does not look: the access key is what it asks for. It is not a word,
    since Airflow masks every occurrence of a connection's password in its logs.
    """
    return hashlib.sha256(f"sm-hosting {access_key}".encode()).hexdigest()[:40]


def connection_of(endpoint_url: str, access_key: str, region_name: str) -> dict[str, Any]:
    """Return the Airflow connection to a local AWS, as JSON takes it."""
    return {
        "conn_type": "aws",
        "login": access_key,
        "password": secret_key_of(access_key),
        "extra": {"region_name": region_name, "endpoint_url": endpoint_url},
    }


def environment_of(endpoint_url: str, access_key: str, region_name: str) -> dict[str, str]:
    """Return the environment in which every AWS client talks to a local AWS, a proxy of the shell's notwithstanding."""
    direct = os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or ""
    without_proxy = ",".join(dict.fromkeys([*filter(None, direct.split(",")), "127.0.0.1", "localhost"]))
    return {
        "NO_PROXY": without_proxy,
        "no_proxy": without_proxy,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key_of(access_key),
        "AWS_DEFAULT_REGION": region_name,
        "AWS_ENDPOINT_URL": endpoint_url,
        "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(connection_of(endpoint_url, access_key, region_name)),
    }


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
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Start the server's process, and return it with what it says when it is ready.

    :param detached: Whether it outlives this process.
    :raises LocalAwsError: It ended instead; the message has the end of its log.
    """
    command = [
        *(sys.executable, "-m", "airflow_sm_hosting.local.server"),
        *("--port", str(port), "--engine", engine, "--region", region_name),
        *("--transition-seconds", str(transition_seconds), "--clock", clock),
        *("--consistency-seconds", str(consistency_seconds)),
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


class LocalAws:
    """SageMaker hosting, S3, ECR and the rest of AWS on this computer, as a context manager.

    .. code-block:: python

        with LocalAws(engine="none") as aws:
            aws.client("sagemaker").list_endpoints()

    It runs in a process of its own, which ends with this one.

    :param port: TCP port, 0 for a free one.
    :param engine: What runs the containers of endpoints: ``docker``; ``process`` (Python entry points as plain
        processes, no isolation); ``none`` (endpoints cannot be invoked); ``auto`` (docker where it answers, else
        process).
    :param access_key: The access key that requests must be signed with. Default: a random one.
    :param region_name: The Region that clients use by default. The server answers for all.
    :param transition_seconds: How long an endpoint is at least Creating, Updating or Deleting.
    :param clock: What tells the time: ``real``, or ``virtual``, which stands still but for :meth:`advance`: then an 8-hour
        rollout takes a moment.
    :param consistency_seconds: How long a model, an endpoint config or an endpoint that was just created cannot be found,
        as reads of AWS are eventually consistent.
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
        log_file: str | Path | None = None,
    ) -> None:
        self.access_key = access_key or new_access_key()
        self.secret_key = secret_key_of(self.access_key)
        self.region_name = region_name
        self.account_id = "123456789012"
        self.engine = engine
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self._port = port
        self._transition_seconds = transition_seconds
        self.clock = clock
        self._consistency_seconds = consistency_seconds
        self._log_file = Path(log_file) if log_file else None
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[str, Any] = {}

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
        self.account_id = self._own("GET", "health")["account_id"]

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

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection (type ``aws``) to this server."""
        return connection_of(self.endpoint_url, self.access_key, self.region_name)

    def environment(self) -> dict[str, str]:
        """Return the environment in which boto3, the AWS CLI and Airflow's ``aws_default`` use this server."""
        return environment_of(self.endpoint_url, self.access_key, self.region_name)

    def requests(self) -> list[dict[str, Any]]:
        """Return the request log: ``number, time, service, operation, mutating, status, error, resource`` of each."""
        entries: list[dict[str, Any]] = self._own("GET", "requests")
        return entries

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._own("DELETE", "requests")

    def enforce_iam(self, enforced: bool = True) -> None:
        """Allow requests of IAM users and assumed roles only what their policies allow, or (False) everything again.

        Off at the start and after a reset. This server's own access key is the root user's and always allowed.
        """
        self._own("PUT" if enforced else "DELETE", "iam-enforcement")

    def iam_decisions(self) -> list[dict[str, Any]]:
        """Return which permissions were looked for since IAM is enforced: ``identity, action, resource, allowed`` of each."""
        decisions: list[dict[str, Any]] = self._own("GET", "iam-enforcement")["decisions"]
        return decisions

    def reset(self) -> None:
        """Forget everything that was created, and stop all containers."""
        self._own("POST", "reset")

    def now(self) -> datetime:
        """Return the time of the server's clock."""
        return datetime.fromisoformat(self._own("GET", "clock")["now"])

    def advance(self, seconds: float | timedelta) -> datetime:
        """Move a virtual clock on; all that comes due on the way has happened when this returns.

        :param seconds: How far; 0 waits only for what is going on, such as containers that start.
        :returns: The new time.
        :raises LocalAwsError: The clock is real, or ``seconds`` is negative.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        told = self._own("POST", "clock/advance", {"seconds": seconds}, timeout=_ADVANCE_SECONDS)
        return datetime.fromisoformat(told["now"])

    def set_endpoint_status(self, name: str, status: str, seconds: float | None = None) -> None:
        """Give an endpoint a status that AWS gives by itself: ``SystemUpdating`` (maintenance) or ``OutOfService``.

        :param name: The endpoint's name.
        :param status: ``SystemUpdating``, ``OutOfService``, or ``InService`` to end it.
        :param seconds: After so long it is InService again; None for not by itself.
        :raises LocalAwsError: There is no such endpoint, or it is in transition.
        """
        body = {"EndpointName": name, "Status": status, "Seconds": seconds, "Region": self.region_name}
        self._own("POST", "endpoint-status", body)

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service, made once.

        :param service: boto3's name: ``sagemaker``, ``sagemaker-runtime``, ``s3``, ``ecr``, …
        """
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            self._clients[service] = boto3.Session(
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                region_name=self.region_name,
            ).client(service, endpoint_url=self.endpoint_url, config=Config(proxies={}))
        return self._clients[service]

    def _own(self, method: str, what: str, body: Any = None, *, timeout: float = 60) -> Any:
        request = urllib.request.Request(  # noqa: S310 - http to 127.0.0.1
            f"{self.endpoint_url}/_sm_hosting/{what}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"X-Access-Key": self.access_key},
        )
        # Proxies of the environment are not for this computer.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=timeout) as response:
                answer = response.read()
        except urllib.error.HTTPError as error:
            raise LocalAwsError(_message_of(error)) from error
        return json.loads(answer) if answer else None


def _message_of(error: urllib.error.HTTPError) -> str:
    with error:
        body = error.read()
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error}: {body[:200]!r}"

"""The control of a running server, through its admin API."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from airflow_sm_hosting.exceptions import SageMakerHostingError

# Containers that start on the way take real time.
_ADVANCE_SECONDS = 900

#: The quotas of a new account, as plantonhq/planton measured them in 2026: nearly all have to be raised first.
NEW_ACCOUNT_QUOTAS: Mapping[str, int] = {
    "ml.* for endpoint usage": 0,
    "ml.t2.* for endpoint usage": 2,
    "ml.m6g.large for endpoint usage": 2,
    "Maximum number of serverless endpoints": 5,
    "Maximum total concurrency that can be allocated across all serverless endpoints": 10,
    "Memory size in MB per serverless endpoint": 3072,
}

#: Real seconds between two advances of a clock that advances by itself.
TICK = 0.05


class LocalAwsError(SageMakerHostingError):
    """The local AWS cannot be started, does not answer, or refuses."""


def secret_key_of(access_key: str) -> str:
    """Return the secret key that goes with an access key.

    The server does not check it; it checks the access key. It is not a word,
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


class StandingFault:
    """A fault that was begun; as a context manager it ends with the block.

    :param control: The server.
    :param description: The fault as the server describes it.
    """

    def __init__(self, control: Control, description: Mapping[str, Any]) -> None:
        self._control = control
        #: Its id.
        self.id = str(description["id"])

    @property
    def hits(self) -> int:
        """How often it has hit."""
        return next((int(one["hits"]) for one in self._control.faults() if one["id"] == self.id), 0)

    def end(self) -> None:
        """End it."""
        self._control.end_faults(self.id)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        self.end()


class Control:
    """A running local AWS.

    :param endpoint_url: Where it listens.
    :param access_key: The access key that it asks for.
    :param region_name: The Region of :meth:`client` and of endpoints that are named.
    """

    def __init__(self, endpoint_url: str, access_key: str, region_name: str) -> None:
        self.endpoint_url = endpoint_url
        self.access_key = access_key
        self.secret_key = secret_key_of(access_key)
        self.region_name = region_name
        self._clients: dict[str, Any] = {}

    def connection(self) -> dict[str, Any]:
        """Return the Airflow connection (type ``aws``) to this server."""
        return connection_of(self.endpoint_url, self.access_key, self.region_name)

    def environment(self) -> dict[str, str]:
        """Return the environment in which boto3, the AWS CLI and Airflow's ``aws_default`` use this server."""
        return environment_of(self.endpoint_url, self.access_key, self.region_name)

    def health(self) -> dict[str, Any]:
        """Return ``version, engine, pid, region, account_id``."""
        health: dict[str, Any] = self._ask_admin_api("GET", "health")
        return health

    def requests(self) -> list[dict[str, Any]]:
        """Return the request log: ``number, time, service, operation, mutating, status, error, resource, faults`` of each."""
        entries: list[dict[str, Any]] = self._ask_admin_api("GET", "requests")
        return entries

    def request_counts(self, *, mutating: bool | None = None) -> dict[str, int]:
        """Return how many requests of each operation are in the request log.

        :param mutating: Only those that create, change or delete something, or only those that do not.
        """
        counts: dict[str, dict[str, int]] = self._ask_admin_api("GET", "requests/counts")
        members = ("mutating", "reading") if mutating is None else ("mutating" if mutating else "reading",)
        return {operation: n for member in members for operation, n in counts[member].items()}

    def clear_requests(self) -> None:
        """Empty the request log."""
        self._ask_admin_api("DELETE", "requests")

    def enforce_iam(self, enforced: bool = True) -> None:
        """Allow requests of IAM users and assumed roles only what their policies allow, or (False) everything again.

        Off at the start and after a reset. This server's own access key is the root user's and always allowed.
        """
        self._ask_admin_api("PUT" if enforced else "DELETE", "iam-enforcement")

    def iam_decisions(self) -> list[dict[str, Any]]:
        """Return which permissions were looked for since IAM is enforced: ``identity, action, resource, allowed`` of each."""
        decisions: list[dict[str, Any]] = self._ask_admin_api("GET", "iam-enforcement")["decisions"]
        return decisions

    def reset(self) -> None:
        """Forget everything that was created, stop all containers, and end all faults."""
        self._ask_admin_api("POST", "reset")

    def now(self) -> datetime:
        """Return the time of the server's clock."""
        return datetime.fromisoformat(self._ask_admin_api("GET", "clock")["now"])

    def advance(self, seconds: float | timedelta) -> datetime:
        """Move a virtual clock on; all that comes due on the way has happened when this returns.

        :param seconds: How far; 0 waits only for what is going on, such as containers that start.
        :returns: The new time.
        :raises LocalAwsError: The clock is real, or ``seconds`` is negative.
        """
        if isinstance(seconds, timedelta):
            seconds = seconds.total_seconds()
        answer = self._ask_admin_api("POST", "clock/advance", {"seconds": seconds}, timeout=_ADVANCE_SECONDS)
        return datetime.fromisoformat(answer["now"])

    @contextmanager
    def passing_time(self, speed: float = 60.0) -> Iterator[None]:
        """Have a virtual clock advance by itself while the block runs, so that what waits in it, such as a DAG, sees the time pass.

        :param speed: How much faster than real time it goes, more than 0 (default: a minute a second).
        :raises LocalAwsError: The clock is real.
        """
        ended = threading.Event()
        trouble: list[Exception] = []

        def advance() -> None:
            while not ended.wait(TICK):
                try:
                    self.advance(TICK * speed)
                except Exception as error:
                    trouble.append(error)
                    return

        self.advance(0)
        thread = threading.Thread(target=advance, name="passing-time", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
        if trouble:
            raise trouble[0]

    def set_endpoint_status(self, name: str, status: str, seconds: float | None = None) -> None:
        """Give an endpoint a status that AWS gives by itself.

        :param name: The endpoint's name.
        :param status: ``SystemUpdating`` (maintenance), ``OutOfService``, ``Failed``, ``UpdateRollbackFailed``, or ``InService`` to end it.
        :param seconds: After so long it is InService again; None for not by itself.
        :raises LocalAwsError: There is no such endpoint, it is in transition, or a rollback of it did fail.
        """
        body = {"EndpointName": name, "Status": status, "Seconds": seconds, "Region": self.region_name}
        self._ask_admin_api("POST", "endpoint-status", body)

    def set_quotas(self, quotas: Mapping[str, int]) -> None:
        """Set the account's quotas, in place of those before; without one, there is no limit.

        .. code-block:: python

            aws.set_quotas({"ml.g5.* for endpoint usage": 1, "ml.m5.large for endpoint usage": 4})
            aws.set_quotas(NEW_ACCOUNT_QUOTAS)

        A request that exceeds one is refused with ``ResourceLimitExceeded``. Without any at the start and after a reset.

        :param quotas: Their names in Service Quotas, which may have the wildcards ``*`` and ``?``; the longest that matches counts.
        :raises LocalAwsError: A value is no whole number from 0.
        """
        self._ask_admin_api("PUT", "quotas", dict(quotas))

    def fault(self, kind: str, **members: Any) -> StandingFault:
        """Begin a fault.

        .. code-block:: python

            aws.fault("throttle", operation="CreateEndpoint", count=2)
            aws.fault("throttle", service="sagemaker", rate=5)  # 5 a second of each operation go through
            aws.fault("delay", operation="Describe*", delay=0.5)
            aws.fault("error", operation="CreateModel", code="ResourceLimitExceeded", count=1)
            aws.fault("drop", operation="CreateEndpoint", when="after", count=1)
            aws.fault("capacity", instance_type="ml.g5.*")
            aws.fault("crash", endpoint="churn")
            with aws.fault("crash", endpoint="churn", variant="new", when="start"):
                ...

        :param kind: ``throttle``, ``delay``, ``error``, ``drop``, ``capacity`` or ``crash``.
        :param members: ``count`` (how often it hits; default: always) and ``seconds`` (how long, by the server's clock), and
            those of its kind, see :class:`airflow_sm_hosting.local.server.faults.Fault`. Names may have the wildcards ``*`` and ``?``.
        :returns: The fault: ``hits``, ``end()``, and a context manager.
        :raises LocalAwsError: There is no such fault, or (``crash``) no such container.
        """
        return StandingFault(self, self.begin_fault(kind, **members))

    def begin_fault(self, kind: str, **members: Any) -> dict[str, Any]:
        """Begin a fault as :meth:`fault` does, and return its description: the given options, ``id``, ``hits``, ``over``."""
        answer: dict[str, Any] = self._ask_admin_api("POST", "faults", {"kind": kind, **members})
        return answer

    def faults(self) -> list[dict[str, Any]]:
        """Return all faults: the given options, ``id``, ``hits``, ``over``."""
        found: list[dict[str, Any]] = self._ask_admin_api("GET", "faults")
        return found

    def end_faults(self, id: str | None = None) -> None:
        """End a fault, or all.

        :raises LocalAwsError: There is none of that id.
        """
        self._ask_admin_api("DELETE", "faults" if id is None else f"faults/{urllib.parse.quote(id, safe='')}")

    def client(self, service: str) -> Any:
        """Return a boto3 client of a service, made once.

        :param service: boto3's name: ``sagemaker``, ``sagemaker-runtime``, ``s3``, ``ecr``, …
        """
        if service not in self._clients:
            import boto3
            from botocore.config import Config

            # The name is known only here, and the types of boto3 are by name.
            make: Callable[..., Any] = boto3.Session(
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
                region_name=self.region_name,
            ).client
            self._clients[service] = make(service, endpoint_url=self.endpoint_url, config=Config(proxies={}))
        return self._clients[service]

    def _ask_admin_api(self, method: str, what: str, body: Any = None, *, timeout: float = 60) -> Any:
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
        except OSError as error:
            raise LocalAwsError(f"The local AWS at {self.endpoint_url} does not answer: {error}") from error
        return json.loads(answer) if answer else None


def _message_of(error: urllib.error.HTTPError) -> str:
    with error:
        body = error.read()
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return f"{error}: {body[:200]!r}"

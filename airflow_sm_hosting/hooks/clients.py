"""AWS clients, made once per process, connection and Region."""

from __future__ import annotations

import gc
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import boto3
from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook
from airflow.providers.amazon.aws.utils.connection_wrapper import AwsConnectionWrapper
from airflow.providers.common.compat.sdk import AirflowNotFoundException
from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.exceptions import ConnectionNotFoundError
from airflow_sm_hosting.hooks.credentials import RenewableCredentials, renew_when_refused
from airflow_sm_hosting.service_model.loader import use_service_loader
from airflow_sm_hosting.spec.arn import principal_of

_SESSIONS: dict[tuple[Hashable, ...], boto3.session.Session] = {}
_CLIENTS: dict[tuple[Hashable, ...], Any] = {}
_IDENTITIES: dict[Hashable, tuple[str, str]] = {}
_LOCK = threading.RLock()


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Parse botocore's models with the garbage collector off: it would walk Airflow's heap repeatedly (100 of 170 ms)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _DebugLog(logging.LoggerAdapter[logging.Logger]):
    """Logs at DEBUG what is said at INFO; warnings and errors stay."""

    def info(self, msg: object, *args: object, **kwargs: Any) -> None:
        """Log at DEBUG."""
        self.debug(msg, *args, **kwargs)


_LOG = _DebugLog(logging.getLogger("airflow_sm_hosting.connection"), {})


class QuietConnection(AwsConnectionWrapper):
    """The same wrapper with its log at DEBUG: each hook makes one, in each process and after each deferral."""

    @property
    def log(self) -> Any:
        """Return the logger. The level of the provider's own one can be set by Airflow's configuration alone."""
        return _LOG


class SharedClients(AwsBaseHook):
    """An AwsBaseHook that shares equal sessions and clients with all hooks of the process.

    A second session and client cost 80 to 100 ms. The key of a shared client is the content of the connection, so a connection whose
    credentials were changed in Airflow gets a new client. Credentials that change without the connection (a shared file, SSO, the base of
    an assumed role) are read again when AWS refuses the old ones.

    :param aws_conn_id: The Airflow connection (default: ``aws_default``). None, and an ``aws_default`` that does not exist, mean the
        ambient credentials of the worker; any other id that does not exist is an error.
    :param region_name: The Region (default: the connection's).
    :param verify: Whether TLS certificates are verified, or the path of a CA bundle (default: the connection's).
    :param config: botocore's configuration as a dict or ``Config``; it replaces the connection's.
    :raises ConnectionNotFoundError: At the first use, when the connection was named and does not exist.
    """

    #: Whether the default connection was looked up and does not exist.
    _lacks_default = False

    @cached_property
    def conn_config(self) -> AwsConnectionWrapper:
        """Return the connection, wrapped as the Amazon provider wraps it."""
        connection = None
        if self.aws_conn_id:
            try:
                connection = self.get_connection(self.aws_conn_id)
            except AirflowNotFoundException:
                if self.aws_conn_id != self.default_conn_name:
                    raise ConnectionNotFoundError(
                        f"The Airflow connection {self.aws_conn_id!r} does not exist. Create it (type 'aws'), or give "
                        "aws_conn_id=None to use the worker's own AWS credentials."
                    ) from None
                self._lacks_default = True
        # Hashed, so that no credential stays readable in a module's global for longer than the client needs it.
        uri = connection.get_uri() if connection else ""
        self._connection_fingerprint = hashlib.sha256(uri.encode()).hexdigest()
        return QuietConnection(
            conn=connection, region_name=self._region_name, botocore_config=self._config, verify=self._verify
        )

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> boto3.session.Session:
        """Return the session of this connection and Region, shared in the process."""
        key = (self._connection_key(), region_name)
        with _LOCK:
            if key not in _SESSIONS:
                if self._lacks_default and not any(found[0] == key[0] for found in _SESSIONS):
                    self.log.info(
                        "No Airflow connection %r: using the worker's own AWS credentials.", self.aws_conn_id
                    )
                make = partial(super().get_session, region_name=region_name, deferrable=deferrable)
                session = make()
                use_service_loader(session._session)
                # botocore has no public way to give a session credentials of an own class.
                session._session._credentials = RenewableCredentials(  # type: ignore[attr-defined]
                    lambda: make().get_credentials(), session.get_credentials()
                )
                _SESSIONS[key] = session
            return _SESSIONS[key]

    @property
    def local_aws(self) -> str | None:
        """The address of the server on this computer that the connection leads to, as the local AWS; None for AWS itself."""
        url = urlsplit(self.conn.meta.endpoint_url)
        host = url.hostname or ""
        is_here = (
            host == "localhost" or host.endswith(".localhost") or host == "::1" or host.startswith("127.")
        )
        return f"{url.scheme}://{url.netloc}" if is_here else None

    def client(self, service: str) -> Any:
        """Return the client of a service under this hook's connection, shared in the process."""
        key = (self._connection_key(), self.region_name, service)
        with _LOCK:
            if key not in _CLIENTS:
                # The service's name is known only at run time, and the types of boto3 depend on it.
                session = self.get_session(region_name=self.region_name)
                make: Callable[..., Any] = session.client
                with garbage_collection_paused():
                    client = make(
                        service_name=service,
                        endpoint_url=self.conn_config.get_service_endpoint_url(service_name=service),
                        config=self._get_config(None),
                        verify=self.verify,
                    )
                credentials = session.get_credentials()
                if isinstance(credentials, RenewableCredentials):
                    renew_when_refused(client, credentials)
                _CLIENTS[key] = client
            return _CLIENTS[key]

    def look_up_again(self) -> None:
        """Look up the connection at the next use, and make a new session for it: its credentials are read anew from wherever they come."""
        key = self._connection_key()
        with _LOCK:
            for shared in (_SESSIONS, _CLIENTS):
                for found in [found for found in shared if found[0] == key]:
                    del shared[found]
            _IDENTITIES.pop(key, None)
        for looked_up in ("conn_config", "conn"):
            self.__dict__.pop(looked_up, None)

    @cached_property
    def conn(self) -> Any:
        """Return the client of this hook's own service; each hook declares its type."""
        return self.client(self.service_name)

    @property
    def account_id(self) -> str:
        """Return the account of the credentials (``sts:GetCallerIdentity``), with one call per process and connection."""
        return self._identity()[0]

    @property
    def worker(self) -> str:
        """Return who calls, for the errors of refused calls: ``the worker (role Airflow of account 123456789012)``."""
        try:
            account, arn = self._identity()
        except (BotoCoreError, ClientError):
            return "the worker"
        kind, name = principal_of(arn)
        return f"the worker ({kind} {name} of account {account})"

    def _identity(self) -> tuple[str, str]:
        key = self._connection_key()
        if key not in _IDENTITIES:
            answer = self.client("sts").get_caller_identity()
            _IDENTITIES[key] = str(answer["Account"]), str(answer["Arn"])
        return _IDENTITIES[key]

    @property
    def conn_dns_suffix(self) -> str:
        """Return the domain of the Region's partition: ``amazonaws.com``, or ``amazonaws.com.cn`` in China."""
        loader = self.get_session(region_name=self.region_name)._session.get_component("data_loader")
        partitions = loader.load_data("partitions")["partitions"]
        return next(
            str(found["outputs"]["dnsSuffix"]) for found in partitions if found["id"] == self.conn_partition
        )

    def _get_caller(self, target_function_name: str = "execute") -> str:
        """Add the caller to the user agent without a walk through the stack (38 ms a client)."""
        return type(self).__name__

    def _connection_key(self) -> Hashable:
        wrapper = self.conn_config
        config = wrapper.botocore_config
        given = config._user_provided_options if config else {}  # type: ignore[attr-defined]
        options = repr(sorted(given.items(), key=str)) if config else ""
        return (os.getpid(), self._connection_fingerprint, str(wrapper.verify), options)

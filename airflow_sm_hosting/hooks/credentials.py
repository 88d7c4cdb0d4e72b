"""Credentials that change under a running process: read again when AWS refuses the old ones."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import NoCredentialsError

from airflow_sm_hosting.hooks.errors import REFUSED_CREDENTIALS

log = logging.getLogger(__name__)

#: Minimum time between two attempts to read credentials again, in seconds: refused ones may stay refused, and STS has rates, too.
RENEWED_AFTER = 30.0
#: Key in a request's context: which credentials have signed it.
_SIGNED_BY = "sm_hosting_credentials"


class RenewableCredentials(Credentials):
    """Credentials of a session that are read again when AWS refuses them, or when they cannot be refreshed.

    botocore reads a shared credentials file, an SSO token and the base of an assumed role once per session. So only a new session sees
    what was rotated (AWS CLI user guide, "cli-configure-files"; SDKs and tools reference guide, "feature-process-credentials").
    All clients of a session share these credentials: one renewal is for all of them.

    :param read: Makes a new session and returns its credentials; None if there are none.
    :param first: The credentials of the present session.
    """

    def __init__(self, read: Callable[[], Credentials | None], first: Credentials | None) -> None:
        self._read = read
        self._current = first
        self._lock = threading.Lock()
        self._renewed_at = -RENEWED_AFTER
        self.generation = 0

    def renew(self, generation: int) -> bool:
        """Read the credentials again; return whether there are others than those of a generation."""
        with self._lock:
            if generation != self.generation:
                return True  # another thread was first
            now = time.monotonic()
            if now - self._renewed_at < RENEWED_AFTER:
                return False
            self._renewed_at = now
            try:
                found = self._read()
                if found is None or _keys(found) == self._keys_now():
                    return False
            except Exception as error:
                log.warning("The AWS credentials could not be read again: %s", error)
                return False
            self._current = found
            self.generation += 1
            log.info("The AWS credentials were read again, and have changed.")
            return True

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Return the credentials to sign with (botocore calls this for each request)."""
        generation = self.generation
        try:
            if self._current is None:
                raise NoCredentialsError
            return self._current.get_frozen_credentials()
        except Exception:
            # The token of SSO has expired, or the base of an assumed role.
            if not self.renew(generation) or self._current is None:
                raise
            return self._current.get_frozen_credentials()

    def _keys_now(self) -> tuple[Any, ...] | None:
        try:
            return _keys(self._current) if self._current else None
        except Exception:
            return None

    def __getattr__(self, name: str) -> Any:
        """Return ``access_key``, ``secret_key``, ``token``, … of the present credentials."""
        if name.startswith("_"):
            raise AttributeError(name)
        if self._current is not None and name in ReadOnlyCredentials._fields:
            # Not of the credentials themselves: those of an assumed role may fail to refresh here.
            return getattr(self.get_frozen_credentials(), name)
        return getattr(self._current, name, None)


def renew_when_refused(client: Any, credentials: RenewableCredentials) -> None:
    """Have a client read its credentials again, and repeat the request, when AWS refuses them."""

    def sign(request: Any, **_: Any) -> None:
        request.context[_SIGNED_BY] = credentials.generation

    def retry(response: Any, operation: Any, request_dict: dict[str, Any], **_: Any) -> int | None:
        code = response[1].get("Error", {}).get("Code") if response is not None else None
        # The answer to a HEAD has no body: ExpiredToken of S3 is a bare 400.
        unnamed = code == "400" and operation.http["method"] == "HEAD"
        if code not in REFUSED_CREDENTIALS and not unnamed:
            return None
        generation = request_dict["context"].get(_SIGNED_BY, credentials.generation)
        return 0 if credentials.renew(generation) else None

    client.meta.events.register_first("before-sign", sign)
    client.meta.events.register_first("needs-retry", retry)


def _keys(credentials: Credentials) -> tuple[Any, ...]:
    frozen = credentials.get_frozen_credentials()
    return frozen.access_key, frozen.secret_key, frozen.token

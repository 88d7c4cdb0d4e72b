"""Look at many things of a kind with one call, for the worker and for the triggerer's poller: what passes ends no wait."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.hooks.errors import are_credentials_refused, is_passing

if TYPE_CHECKING:
    from airflow_sm_hosting.images.builders import Log

#: How long credentials that have worked may be refused until new ones are there, in seconds; and the time between two lookups.
ROTATION_AWAITED, CONNECTION_KEPT = 600.0, 60.0


class BatchPolls(ABC):
    """Looks at things of a kind.

    :param make_hook: makes the hook
    :param log: takes what goes wrong
    """

    def __init__(self, make_hook: Callable[[], Any], log: Log) -> None:
        self._make_hook = make_hook
        self._hook: Any = None
        self._log = log
        self._refused_since = math.inf
        self._looked_up_at = -math.inf

    #: The API operation, for the log.
    operation: str

    @abstractmethod
    def ask(self, ids: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]]:
        """Return things by id; those that do not exist are absent."""

    @abstractmethod
    def refused(self, error: Exception) -> Exception:
        """Return the error of a call that AWS refuses for good."""

    @property
    def hook(self) -> Any:
        """The hook, made at the first use: that looks up the connection."""
        if self._hook is None:
            self._hook = self._make_hook()
        return self._hook

    @property
    def account(self) -> tuple[str, str]:
        """The owner of the rate limits: the credentials, and the Region."""
        hook = self.hook
        credentials = hook.get_session(region_name=hook.region_name).get_credentials()
        return ((credentials.access_key if credentials else None) or "", hook.conn.meta.region_name)

    def look(self, ids: Sequence[Any]) -> Mapping[Any, Mapping[str, Any]] | None:
        """Return things by id; None when AWS did not answer this time.

        :raises SageMakerHostingError: AWS refuses the call for good.
        """
        try:
            found = self.ask(ids)
        except Exception as error:
            if is_passing(error):
                self._log.info("%s failed (%s); retrying", self.operation, error)
                return None
            if not are_credentials_refused(error) or not self._may_be_rotated():
                raise self.refused(error) from error
            self._log.info("AWS refuses the credentials (%s); retrying with those found then", error)
            return None
        self._refused_since = math.inf
        return found

    def _may_be_rotated(self) -> bool:
        """Look up the connection again, and return whether refused credentials may still be rotated."""
        now = time.monotonic()
        self._refused_since = min(self._refused_since, now)
        if now - self._looked_up_at >= CONNECTION_KEPT:
            self._looked_up_at = now
            self.hook.look_up_again()
        return now - self._refused_since <= ROTATION_AWAITED

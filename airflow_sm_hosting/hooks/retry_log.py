"""Log why a call is tried again: each reason once."""

from __future__ import annotations

import logging

from tenacity import RetryCallState


class RetryLog:
    """What tenacity calls before each pause: ``before_sleep``. The same reason in a row is logged once at INFO, then at DEBUG.

    :param log: Where to.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._told = ""

    def __call__(self, state: RetryCallState) -> None:
        """Log the error of a try."""
        error = state.outcome.exception() if state.outcome else None
        reason = f"{type(error).__name__}: {error}".rstrip(".")
        level = logging.DEBUG if reason == self._told else logging.INFO
        self._told = reason
        pause = state.next_action.sleep if state.next_action else 0.0
        self._log.log(level, "%s. Trying again in %.0f s.", reason, pause)

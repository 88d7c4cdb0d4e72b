"""The exit codes of the command line, and the errors that have them."""

from __future__ import annotations

import signal
from typing import IO, Any

import click

DONE, FAILED, WRONG_USAGE, NOT_RUNNING = 0, 1, 2, 3
#: Ctrl-C, as shells count it.
INTERRUPTED = 128 + signal.SIGINT


class FailedError(click.ClickException):
    """What the command was asked for has failed."""

    exit_code = FAILED

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message."""
        click.echo(self.message, file=file, err=file is None)


class NotRunningError(FailedError):
    """No local AWS runs on the port."""

    exit_code = NOT_RUNNING


class WrongUsageError(FailedError):
    """A value can never work."""

    exit_code = WRONG_USAGE

"""What the commands print: tables and colours for people, plain text in pipes, JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

#: The width of tables in a pipe: nothing is cut for a terminal that is not there.
PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """Return a console: no colours, no progress and a fixed width in a pipe; no colours and no progress with ``NO_COLOR``.

    :param stderr: Whether it is standard error.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=is_terminal and not os.environ.get("NO_COLOR"),
        width=shutil.get_terminal_size().columns if is_terminal else PIPE_WIDTH,
        highlight=False,
    )


def print_json(value: Any) -> None:
    """Print a value as JSON, one line; times are in ISO format."""
    click.echo(json.dumps(value, default=_as_text))


def _as_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

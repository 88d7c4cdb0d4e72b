"""What the commands print: tables and colours for people, plain text in pipes, JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

#: The width of tables in a pipe: nothing is cut for a terminal that is not there.
PIPE_WIDTH = 160


def console(*, stderr: bool = False) -> Console:
    """Return a console: no colours, no control characters and a fixed width in a pipe; no colours with ``NO_COLOR``."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    is_terminal = stream.isatty()
    return Console(
        file=stream,
        force_terminal=is_terminal,
        no_color=bool(os.environ.get("NO_COLOR")) or None,
        width=None if is_terminal else PIPE_WIDTH,
        highlight=False,
        soft_wrap=False,
    )


def print_json(value: Any) -> None:
    """Print a value as JSON, one line; times are in ISO format."""
    click.echo(json.dumps(value, default=_as_text))


def _as_text(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)

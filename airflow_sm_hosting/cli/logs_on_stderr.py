"""The logs of the hooks while a command runs: Airflow writes them to standard output, which belongs to the command's answer."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout

import click

#: What would be on standard error in every command: the hooks tell where they find credentials.
LEVEL = logging.WARNING


class _StderrHandler(logging.Handler):
    """Writes to what standard error is at that moment: while a spinner turns, lines go above it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        click.echo(self.format(record), err=True)


@contextmanager
def logs_on_stderr() -> Iterator[None]:
    """Write warnings and errors of the hooks to standard error, and nothing else, as long as the block runs."""
    with redirect_stdout(sys.stderr), _no_info():
        import airflow  # noqa: F401 - it configures logging when it is imported
        import structlog
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    handler = _StderrHandler()
    handler.setLevel(LEVEL)
    handler.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    # Airflow's loggers are those of structlog; so they are those of the standard library.
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root.handlers, root.level = [handler], LEVEL
    try:
        yield
    finally:
        root.handlers, root.level = handlers, level
        structlog.configure(**before)


@contextmanager
def _no_info() -> Iterator[None]:
    """Discard what is logged below WARNING: importing Airflow 3.1 imports alembic, which logs each of its plugins."""
    before = logging.root.manager.disable
    logging.disable(logging.INFO)
    try:
        yield
    finally:
        logging.disable(before)

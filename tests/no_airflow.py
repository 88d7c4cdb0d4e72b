"""A pytest plugin for ``make test-unit``: importing Airflow, starting a process and opening a connection are errors.

What is pure stays quick, and is proven to be pure. Tests of it that need Airflow stand in ``in_dags`` folders and files.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

#: Audit events (docs.python.org/3/library/audit_events.html), and what a test does that causes one.
REFUSED = {
    "subprocess.Popen": "starts a process",
    "os.fork": "starts a process",
    "os.posix_spawn": "starts a process",
    "socket.connect": "opens a connection",
}


def _refuse(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "import" and arguments[0].partition(".")[0] == "airflow":
        what = "imports Airflow"
    elif event in REFUSED:
        what = REFUSED[event]
    else:
        return
    # Not an Exception: no "except" of the tested code hides it.
    pytest.fail(
        f"a unit test {what} ({arguments[0]}); tests that need this stand in 'in_dags', or where no unit tests are"
    )


def pytest_configure() -> None:
    """Refuse from here on; an audit hook stays as long as the process."""
    sys.addaudithook(_refuse)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the folders and files of the tests that need Airflow."""
    return True if "in_dags" in collection_path.stem else None

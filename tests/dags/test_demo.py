"""The demo of the README: its command runs to an endpoint that answers, and run again changes nothing."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standalone import BIN, free_port

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A folder with what the demo needs, where it keeps all that it makes, and a port."""
    port = free_port()
    for name in ("demo", "dags"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    try:
        yield tmp_path, port
    finally:
        subprocess.run(
            [str(BIN / "sm-hosting"), "local", "down", "--port", str(port)],
            env={**os.environ, "SM_HOSTING_STATE_DIR": str(tmp_path / ".demo" / "local-aws")},
            check=True,
            capture_output=True,
        )


def demo(folder: Path, port: int) -> str:
    done = subprocess.run(
        [sys.executable, str(folder / "demo" / "demo.py"), "--engine", "process", "--port", str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-5000:]
    return done.stdout


def test_the_demo_ends_at_an_answering_endpoint_and_again_changes_nothing(clone: tuple[Path, int]) -> None:
    folder, port = clone
    told = demo(folder, port)
    assert "Predictions for rows that the model has not seen" in " ".join(told.split())
    assert f"make demo-down PORT={port}" in told
    assert "Nothing changed" not in told
    again = demo(folder, port)
    assert "Nothing changed" in again

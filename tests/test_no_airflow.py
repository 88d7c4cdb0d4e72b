"""``make test-unit`` runs without Airflow: the plugin that holds that bites."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PURE = "from airflow_sm_hosting import policies\nfrom airflow_sm_hosting.fields import Fields\n"


def unit_run(folder: Path, text: str, name: str = "test_one.py") -> subprocess.CompletedProcess[str]:
    (folder / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "tests.no_airflow",
        "-p",
        "no:cacheprovider",
        str(folder),
    ]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import airflow.sdk\ndef test_one(): pass", "imports Airflow"),
        (
            "def test_one():\n    try:\n        import airflow\n    except Exception:\n        pass",
            "imports Airflow",
        ),
        ("from airflow_sm_hosting import CreateModelOperator\ndef test_one(): pass", "imports Airflow"),
        (
            "def test_one():\n    from tests.local_servers import local_server\n    local_server()",
            "a unit test",
        ),
    ],
    ids=["a module", "a test", "an operator", "a local server"],
)
def test_what_is_no_unit_test_fails(tmp_path: Path, text: str, message: str) -> None:
    found = unit_run(tmp_path, text)
    assert found.returncode in (1, 2), found.stdout
    assert message in found.stdout


def test_what_is_pure_passes_and_what_needs_airflow_is_left_out(tmp_path: Path) -> None:
    assert unit_run(tmp_path, PURE + "def test_one(): pass").returncode == 0
    (tmp_path / "test_one.py").unlink()
    left_out = unit_run(tmp_path, "import airflow.sdk", name="test_one_in_dags.py")
    assert left_out.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, left_out.stdout

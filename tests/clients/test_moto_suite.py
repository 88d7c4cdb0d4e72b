"""moto's own tests of what the local AWS answers in its place, against the local AWS: each failure is classified, and none is new.

They are in the source distribution of the installed version, which is downloaded. What moto answers itself is in them, too.
"""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from importlib.metadata import version
from pathlib import Path

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.clients.environments import SCRIPTS, environment
from tests.clients.moto_failures import FAILURES, page

# The first run downloads them.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PAGE = Path(__file__).parents[2] / "docs" / "moto-suite.md"
SUITES = ("sagemaker", "sagemakerruntime", "applicationautoscaling", "cloudwatch")


def moto_tests(programs: Path, folder: Path) -> Path:
    """Download the source distribution of the installed moto, and return its folder."""
    download = ("download", "--quiet", "--no-deps", "--no-binary", "moto", "--dest", str(folder))
    command = [str(programs / "python"), "-m", "pip", *download, f"moto=={version('moto')}"]
    subprocess.run(command, check=True, capture_output=True)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as members:
        members.extractall(folder, filter="data")
    return folder / archive.name.removesuffix(".tar.gz")


def test_every_failure_is_classified(tmp_path: Path) -> None:
    programs = environment(
        "moto-suite", f"moto[all]=={version('moto')}", "pytest", "freezegun", "requests", "pip"
    )
    tests = moto_tests(programs, tmp_path)
    outcomes = tmp_path / "outcomes.json"
    # moto's tests sign with this key.
    with LocalAws(engine="none", access_key="FOOBARKEY", transition_seconds=0) as aws:
        environ = {
            **{name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ},
            "HOME": "/nonexistent",
            "PYTHONPATH": str(SCRIPTS),
            "AWS_DEFAULT_REGION": "us-east-1",
            "TEST_SERVER_MODE": "true",
            "TEST_SERVER_MODE_ENDPOINT": aws.endpoint_url,
            "MOTO_CALL_RESET_API": "false",
            "ACCESS_KEY": aws.access_key,
            "OUTCOMES": str(outcomes),
        }
        command = [
            str(programs / "python"),
            "-m",
            "pytest",
            "-q",
            "-p",
            "moto_plugin",
            "-p",
            "no:cacheprovider",
        ]
        said = subprocess.run(
            [*command, *(f"tests/test_{suite}" for suite in SUITES)],
            cwd=tests,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
    assert outcomes.exists(), said.stdout[-2000:] + said.stderr[-2000:]
    ended = json.loads(outcomes.read_text())
    failed = {
        name.removeprefix("tests/"): one["why"] for name, one in ended.items() if one["outcome"] == "failed"
    }
    unknown = {name: why for name, why in failed.items() if name not in FAILURES}
    assert not unknown
    assert not FAILURES.keys() - failed.keys(), "these pass now"
    counts = {
        outcome: sum(one["outcome"] == outcome for one in ended.values())
        for outcome in ("passed", "failed", "skipped")
    }
    written = page(version("moto"), counts)
    if os.environ.get("SM_HOSTING_WRITE_PAGES"):
        PAGE.write_text(written)
    assert PAGE.read_text() == written

"""mypy and pyright find the mistakes in uses of the public classes, and have nothing against what is right."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import runpy
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import REQUIRE_ENGINE

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FILES = sorted(
    str(path.relative_to(ROOT)) for path in HERE.glob("*_*.py") if not path.name.startswith("test_")
)

#: Each with a file of mistakes and one of right uses.
PARTS = ["spec", "hooks", "operators"]

Found = dict[str, dict[int, str]]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, timeout=280, check=False
    )


@cache
def mypy() -> Found:
    """What mypy says of the files, by file and line, with the settings of ``make types``."""
    done = run("mypy", "--follow-imports=silent", "--no-error-summary", "--no-pretty", *FILES)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    found: Found = {}
    for file, line, text in re.findall(r"^(.+?):(\d+)(?::\d+)?: error: (.*)$", done.stdout, re.MULTILINE):
        found.setdefault(file, {})[int(line)] = text
    return found


@cache
def pyright() -> Found:
    """What pyright says of the files, by file and line."""
    if importlib.util.find_spec("pyright") is None:
        unavailable("pyright is not installed: it is in the group dev of pyproject.toml")
    done = run("pyright", "--pythonpath", sys.executable, "--level", "error", "--outputjson", *FILES)
    if not done.stdout.lstrip().startswith("{"):
        # Its program comes from the registry npm at the first run.
        unavailable(f"pyright cannot run: {(done.stderr or done.stdout)[-500:]}")
    report = json.loads(done.stdout)
    assert report["summary"]["filesAnalyzed"] == len(FILES), done.stdout
    found: Found = {}
    for one in report["generalDiagnostics"]:
        file = str(Path(one["file"]).relative_to(ROOT))
        found.setdefault(file, {})[one["range"]["start"]["line"] + 1] = one["message"]
    return found


def unavailable(why: str) -> None:
    """Skip the test, or fail it where nothing may be left out."""
    if os.environ.get(REQUIRE_ENGINE):
        pytest.fail(f"{REQUIRE_ENGINE} is set, and {why}")
    pytest.skip(why)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])
def test_each_mistake_is_found_and_nothing_else(checker: type, part: str) -> None:
    wrong, right = (f"{HERE.relative_to(ROOT)}/{part}_{kind}.py" for kind in ("wrong", "right"))
    lines = (ROOT / wrong).read_text().splitlines()
    expected = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    assert len(expected) > 10
    found = checker()
    assert found.get(right, {}) == {}
    assert {line: text for line, text in found.get(wrong, {}).items() if line not in expected} == {}
    assert {lines[line - 1] for line in expected - set(found.get(wrong, {}))} == set()


@pytest.mark.parametrize("part", ["spec", "operators"])
def test_what_is_right_for_the_checkers_is_right_when_it_runs(part: str) -> None:
    runpy.run_path(str(HERE / f"{part}_right.py"))

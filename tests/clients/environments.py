"""Virtual environments of clients that know nothing of this package, made once and kept over runs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from platformdirs import user_cache_path

from airflow_sm_hosting.local import LocalAws
from tests.conftest import REQUIRE_ENGINE

SCRIPTS = Path(__file__).with_name("scripts")


def environment(name: str, *requirements: str, python: str = sys.executable) -> Path:
    """Return the folder of the programs of a virtual environment that has some packages; what is asked for is in its folder's name.

    What cannot be installed skips the test, or fails it under ``SM_HOSTING_REQUIRE_ENGINE``.

    :param python: The Python to use.
    """
    version = sys.version if python == sys.executable else python
    asked = hashlib.sha256("\n".join((version, *requirements)).encode()).hexdigest()[:10]
    folder = user_cache_path("sm-hosting-tests", ensure_exists=True) / f"{name}-{asked}"
    with FileLock(folder.with_suffix(".lock")):
        if not (folder / "complete").exists():
            _install(folder, requirements, python)
            (folder / "complete").touch()
    return folder / "bin"


def interpreter(version: str) -> str:
    """Return the path of a Python of a version, such as ``3.12``; one that is not installed skips or fails the test."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for found in (shutil.which(f"python{version}"), *sorted(pyenv.glob(f"{version}.*/bin/python"))):
        asked = [str(found), "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
        if (
            found
            and subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == version
        ):
            return str(found)
    if os.environ.get(REQUIRE_ENGINE):
        pytest.fail(f"{REQUIRE_ENGINE} is set, and Python {version} is not installed")
    pytest.skip(f"Python {version} is not installed")


def _install(folder: Path, requirements: tuple[str, ...], interpreter: str) -> None:
    """Make a virtual environment: with uv where it is there, as pip takes minutes to choose versions."""
    shutil.rmtree(folder, ignore_errors=True)
    python = str(folder / "bin" / "python")
    tools = Path(__file__).parents[2] / ".venv-tools" / "bin"
    if uv := shutil.which("uv", path=f"{tools}{os.pathsep}{os.environ['PATH']}"):
        make = [uv, "venv", "--quiet", "--python", interpreter, str(folder)]
        install = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python, *requirements]
    else:
        make = [interpreter, "-m", "venv", str(folder)]
        install = [python, "-m", "pip", "install", "--quiet", *requirements]
    for command in (make, install):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            said = f"{', '.join(requirements)} cannot be installed: {done.stderr[-300:]}"
            if os.environ.get(REQUIRE_ENGINE):
                pytest.fail(f"{REQUIRE_ENGINE} is set, and {said}")
            pytest.skip(said)


def without_ours(aws: LocalAws, **more: Any) -> dict[str, str]:
    """Return an environment that leads to the local AWS, and has nothing else of AWS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, "HOME": "/nonexistent", **aws.environment(), **more}


def run_script(python: Path, script: str, *arguments: str, env: dict[str, str]) -> str:
    """Run a Python script in another environment to its end, and return what it wrote."""
    return _output([str(python), "-c", script, *arguments], env)


def run_client(programs: Path, name: str, *arguments: str, env: dict[str, str]) -> Any:
    """Run a script of ``scripts/`` in another environment, and return its result."""
    said = _output([str(programs / "python"), str(SCRIPTS / f"{name}.py"), *arguments], env)
    return json.loads(said.rpartition("RESULT")[2])


def _output(command: list[str], env: dict[str, str]) -> str:
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout

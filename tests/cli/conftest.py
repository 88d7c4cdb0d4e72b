"""The command line, in this process and in processes of its own, against the local AWS."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from click.testing import CliRunner, Result

from airflow_sm_hosting.cli.application import sm_hosting
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import aws, dag, deploy, make_config, make_model, outcome

__all__ = ["aws", "dag"]

Run = Callable[..., Result]


@pytest.fixture
def run(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command in this process, with the local AWS in the environment."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)

    def run(*arguments: Any, code: int = 0, **given: Any) -> Result:
        # Clients are shared in a process, and commands have one each.
        clients._CLIENTS.clear()
        clients._SESSIONS.clear()
        result = CliRunner().invoke(sm_hosting, [str(one) for one in arguments], **given)
        assert result.exit_code == code, (result.output, result.exc_info)
        return result

    yield run
    clients._CLIENTS.clear()
    clients._SESSIONS.clear()


@pytest.fixture
def deployed(aws: LocalAws, dag: DAG) -> LocalAws:
    """An endpoint "churn" that serves config "b", and served "a" before."""
    make_model(aws)
    for name in ("a", "b"):
        make_config(aws, name)
        assert outcome(deploy(name)).error is None
    return aws


def in_a_process(
    *arguments: str, aws: LocalAws | None = None, **given: Any
) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    environment = {**os.environ, **(aws.environment() if aws else {}), **given.pop("env", {})}
    return subprocess.run(
        [sys.executable, "-m", "airflow_sm_hosting.cli", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **{"stdin": subprocess.DEVNULL, **given},
    )

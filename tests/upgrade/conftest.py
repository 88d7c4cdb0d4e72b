"""Where golden files are resumed."""

from __future__ import annotations

import time

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, dag
from tests.upgrade.world import TRANSITION, make_configs

__all__ = ["aws", "dag"]

#: No pause of a task is longer, in seconds: nothing passes in it.
SHORTEST_PAUSE = 0.01


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """A local AWS with endpoint configs, whose time passes only when a test says so."""
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(min(seconds, SHORTEST_PAUSE)))
    aws = _emptied(local_server(transition_seconds=TRANSITION, clock="virtual"), monkeypatch)
    make_configs(aws)
    return aws

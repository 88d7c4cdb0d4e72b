"""Where golden files are resumed."""

from __future__ import annotations

import time

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, dag
from tests.upgrade.world import TRANSITION

__all__ = ["aws", "dag"]

#: No pause of a task is longer, in seconds: nothing passes in it.
SHORTEST_PAUSE = 0.01


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """An empty local AWS, whose time passes only when a test says so."""
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__CALLS_PER_SECOND", "1000")
    pause = time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: pause(min(seconds, SHORTEST_PAUSE)))
    return _emptied(local_server(transition_seconds=TRANSITION, clock="virtual"), monkeypatch)

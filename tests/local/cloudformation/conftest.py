from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.cloudformation.stacks import Stacks


@pytest.fixture(scope="session")
def stack_server() -> Iterator[LocalAws]:
    """A local AWS for all tests of stacks."""
    with LocalAws(engine="none", transition_seconds=0) as aws:
        yield aws


@pytest.fixture
def stacks(stack_server: LocalAws) -> Stacks:
    """No stacks, and nothing else."""
    stack_server.reset()
    return Stacks(stack_server)

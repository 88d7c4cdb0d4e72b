"""Clients that others wrote, against a local AWS with containers that are Python processes."""

from __future__ import annotations

import pytest

from tests.local.conftest import Deployer
from tests.local_servers import local_server


@pytest.fixture
def deployer() -> Deployer:
    """An empty local AWS."""
    aws = local_server("process")
    aws.reset()
    return Deployer(aws)

"""Local AWS servers that all tests of the operators, sensors, triggers and hooks share: each one is started once."""

from __future__ import annotations

import atexit
from functools import cache

from airflow_sm_hosting.local import LocalAws


@cache
def local_server(engine: str = "none", transition_seconds: float = 0, clock: str = "real") -> LocalAws:
    """Return a running local AWS of that kind."""
    aws = LocalAws(engine=engine, transition_seconds=transition_seconds, clock=clock)
    aws.start()
    atexit.register(aws.stop)
    return aws

"""Lines in moto's CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from moto.logs.models import logs_backends

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID


def has_group(region: str, group: str) -> bool:
    """Return whether a log group exists."""
    return group in logs_backends[ACCOUNT_ID][region].groups


def put_lines(region: str, group: str, stream: str, lines: Sequence[str]) -> None:
    """Write lines to a CloudWatch Logs stream, created if it does not exist."""
    backend = logs_backends[ACCOUNT_ID][region]
    backend.ensure_log_group(group)
    backend.ensure_log_stream(group, stream)
    time_ms = int(time.time() * 1000)
    backend.put_log_events(group, stream, [{"timestamp": time_ms, "message": line} for line in lines])

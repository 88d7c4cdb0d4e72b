"""Metrics, alarms and tags of one Region, with what all operations on them share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudwatch.alarms import Alarms
from airflow_sm_hosting.local.cloudwatch.metrics import MetricStore
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.paging import page
from airflow_sm_hosting.local.wire.tagging import TagStore

Row = TypeVar("Row")

_INVALID_TOKEN = AwsError("InvalidNextToken", "Request parameter NextToken is invalid")


class RegionalCloudWatch:
    """Metrics and alarms of one Region.

    :param region: The Region.
    :param clock: The clock.
    """

    def __init__(self, region: str, clock: Clock) -> None:
        self.clock = clock
        self.metrics = MetricStore()
        self.alarms = Alarms(region, clock, self.metrics)
        self.tags = TagStore()


#: Operations by name: each takes the Region and the members of a request, and returns those of the answer.
RegionalOperations = Mapping[str, Callable[[RegionalCloudWatch, dict[str, Any]], dict[str, Any]]]


def cloudwatch_page(rows: Sequence[Row], token: str | None, size: int) -> tuple[list[Row], dict[str, str]]:
    """Return one page of rows, and the member ``NextToken`` of the answer where there are more."""
    return page(rows, token, size, invalid=_INVALID_TOKEN)


def aware(at: datetime) -> datetime:
    """Return a time with its zone; CloudWatch takes one without as UTC."""
    return at if at.tzinfo else at.replace(tzinfo=UTC)

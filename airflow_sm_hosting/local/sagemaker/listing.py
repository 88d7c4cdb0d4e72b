"""What all List operations of SageMaker have in common: filters, order, pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.local.wire.paging import page

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html: default 10, maximum 100.
_DEFAULT_PAGE = 10


def listed(
    result: str,
    rows: Iterable[dict[str, Any]],
    request: Mapping[str, Any],
    *,
    name: str,
    status: str | None = None,
) -> dict[str, Any]:
    """Return the answer to a List request: one page of the rows that match it, in its order.

    :param result: The answer's member for the rows.
    :param rows: The summaries, in any order.
    :param request: The List request.
    :param name: The row's member for ``NameContains`` and ``SortBy=Name``.
    :param status: The row's member for ``StatusEquals`` and ``SortBy=Status``.
    """
    found = [row for row in rows if _matches(row, request, name, status)]
    key = {"Name": name, "Status": status or name}.get(request.get("SortBy", "CreationTime"), "CreationTime")
    # Newest first by default; names break ties, so that pages never overlap.
    descending = request.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda row: (row[key], row[name]), reverse=descending)
    return one_page(result, found, request)


def one_page(result: str, rows: Sequence[dict[str, Any]], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to a List request: one page of rows that are in order.

    :param result: The answer's member for the rows.
    """
    shown, token = page(rows, request.get("NextToken"), request.get("MaxResults", _DEFAULT_PAGE))
    return {result: shown, **token}


def in_period(row: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Return whether the times of a row are in the periods that a List request gives."""
    for member in ("CreationTime", "LastModifiedTime"):
        before, after = request.get(f"{member}Before"), request.get(f"{member}After")
        if before is not None and row[member] >= _time(before):
            return False
        if after is not None and row[member] <= _time(after):
            return False
    return True


def _matches(row: dict[str, Any], request: Mapping[str, Any], name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in row[name].lower():
        return False
    if status and "StatusEquals" in request and row[status] != request["StatusEquals"]:
        return False
    return in_period(row, request)


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)

"""What all List operations of SageMaker have in common: filters, order, pages."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_sm_hosting.local.wire.protocol import AwsError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ListEndpoints.html: default 10, maximum 100.
_DEFAULT_PAGE = 10


def page(
    rows: Iterable[dict[str, Any]],
    request: Mapping[str, Any],
    *,
    name: str,
    status: str | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of rows, and the token of the next one.

    :param rows: The summaries, in any order.
    :param request: The List request.
    :param name: The member that ``NameContains`` and ``SortBy=Name`` look at.
    :param status: The member that ``StatusEquals`` and ``SortBy=Status`` look at.
    """
    found = [row for row in rows if _matches(row, request, name, status)]
    key = {"Name": name, "Status": status or name}.get(request.get("SortBy", "CreationTime"), "CreationTime")
    # Newest first by default; names break ties, so that pages never overlap.
    descending = request.get("SortOrder", "Descending") == "Descending"
    found.sort(key=lambda row: (row[key], row[name]), reverse=descending)
    start = _offset(request.get("NextToken"))
    end = start + request.get("MaxResults", _DEFAULT_PAGE)
    return found[start:end], _token(end) if end < len(found) else None


def _matches(row: dict[str, Any], request: Mapping[str, Any], name: str, status: str | None) -> bool:
    if request.get("NameContains", "").lower() not in row[name].lower():
        return False
    if status and "StatusEquals" in request and row[status] != request["StatusEquals"]:
        return False
    for member in ("CreationTime", "LastModifiedTime"):
        before, after = request.get(f"{member}Before"), request.get(f"{member}After")
        if before is not None and row[member] >= _time(before):
            return False
        if after is not None and row[member] <= _time(after):
            return False
    return True


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"from-{offset}".encode()).decode()


def _offset(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(base64.urlsafe_b64decode(token).decode().removeprefix("from-"))
    except ValueError as error:
        raise AwsError("ValidationException", "Invalid pagination token") from error

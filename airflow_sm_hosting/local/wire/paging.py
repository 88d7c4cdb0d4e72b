"""Pages of long answers, and the tokens that lead from one page to the next."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, TypeVar

from airflow_sm_hosting.local.wire.errors import AwsError

Row = TypeVar("Row")

_INVALID_TOKEN = AwsError("ValidationException", "Invalid pagination token")


def page(
    rows: Sequence[Row], token: str | None, size: int, *, invalid: AwsError = _INVALID_TOKEN
) -> tuple[list[Row], dict[str, Any]]:
    """Return one page of rows, and the member ``NextToken`` of the answer where there are more.

    :param rows: All rows, in order.
    :param token: The request's ``NextToken``.
    :param size: How many rows a page has at most.
    :param invalid: The refusal of a token that no answer contained.
    :raises AwsError: The token is invalid.
    """
    start = _offset(token, invalid)
    end = start + size
    return list(rows[start:end]), {"NextToken": _token(end)} if end < len(rows) else {}


def _token(offset: int) -> str:
    return base64.urlsafe_b64encode(f"from-{offset}".encode()).decode()


def _offset(token: str | None, invalid: AwsError) -> int:
    if not token:
        return 0
    try:
        offset = int(base64.urlsafe_b64decode(token).decode().removeprefix("from-"))
    except ValueError:
        offset = -1
    if offset < 0:
        # A fresh one: an error that is raised twice would carry the traceback of both.
        raise AwsError(invalid.code, invalid.message, status=invalid.status)
    return offset

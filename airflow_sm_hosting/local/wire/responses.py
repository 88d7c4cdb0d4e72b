"""Answers in the JSON protocols."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from werkzeug.wrappers import Response


def json_response(body: Any, *, status: int = 200) -> Response:
    """Return an answer in the JSON 1.1 protocol."""
    return Response(
        json.dumps(body, default=_json_value), status=status, content_type="application/x-amz-json-1.1"
    )


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        # JSON 1.1 has timestamps as seconds since the epoch.
        return value.timestamp()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON")

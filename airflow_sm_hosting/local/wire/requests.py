"""What every AWS request has: the credential that signed it, and its body."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.wire.errors import AwsError

_SIGV4_HEADER = re.compile(r"Credential=([^/,\s]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_SIGV4_QUERY = re.compile(r"([^/]+)/\d{8}/([^/]+)/([^/]+)/aws4_request")
_SIGV2_HEADER = re.compile(r"AWS ([^:\s]+):")


@dataclass(frozen=True)
class Credential:
    """Who signed a request, and for which Region and service."""

    access_key: str
    region: str | None
    service: str | None


def credential(request: Request) -> Credential | None:
    """Return the credential of a signed or presigned request, or None for an anonymous one."""
    authorization = request.headers.get("Authorization", "")
    if match := _SIGV4_HEADER.search(authorization):
        return Credential(*match.groups())
    if match := _SIGV4_QUERY.fullmatch(request.args.get("X-Amz-Credential", "")):
        return Credential(*match.groups())
    # Signature version 2: old S3 clients and presigned URLs of Regions that still take them.
    if match := _SIGV2_HEADER.match(authorization):
        return Credential(match[1], None, "s3")
    if key := request.args.get("AWSAccessKeyId"):
        return Credential(key, None, "s3")
    return None


def read_body(request: Request) -> bytes | None:
    """Return the body of a request if it was read and kept, else None."""
    data: bytes | None = request.__dict__.get("_cached_data")
    return data


def keep_body(request: Request, data: bytes) -> None:
    """Keep the body of a request, as it is for all that read it."""
    request.__dict__["_cached_data"] = data


def form_members(request: Request) -> dict[str, str]:
    """Return the members of a request in the query protocol; the body is kept in memory."""
    if request.mimetype != "application/x-www-form-urlencoded":
        return {}
    data = request.get_data(cache=True).decode("utf-8", "replace")
    return {name: values[0] for name, values in parse_qs(data, keep_blank_values=True).items()}


def json_body(request: Request) -> dict[str, Any]:
    """Return the members of a request in a JSON protocol; the body is kept in memory.

    :raises AwsError: The body is not a JSON object.
    """
    try:
        body = json.loads(request.get_data(cache=True) or b"{}")
    except (ValueError, RecursionError) as error:
        raise AwsError("SerializationException", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    return body

"""What of an HTTP request is refused before its key is looked at: its framing, and a host that is not this computer."""

from __future__ import annotations

import re
from collections.abc import Sequence

from airflow_sm_hosting.local.wire.errors import AwsError

#: Where the HTTP server puts the refusal of a request that it cannot hand on, for the handlers to answer.
REFUSAL = "sm_hosting.refusal"
#: Head of a request, with its query string. S3 takes 8 KB of headers; tokens and presigned URLs of others are longer.
MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200

# "localhost." and all names below it are this computer's: RFC 6761, section 6.3.
_LOOPBACK = re.compile(
    r"(?:127(?:\.\d{1,3}){3}|\[::1\]|(?:[a-z0-9_-][a-z0-9._-]*\.)?localhost\.?)(?::\d{1,5})?", re.IGNORECASE
)
# The statuses of h11 beside 400: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html has the code for the first.
_CODES = {431: ("RequestHeaderSectionTooLarge", 400), 501: ("NotImplemented", 501)}


def unreadable(reason: str, status: int = 400) -> AwsError:
    """Return the refusal of a request that is not HTTP/1.1, or ambiguous.

    :param reason: What is wrong with it; nothing of its body or query string.
    :param status: The HTTP status that the protocol has for it.
    """
    code, status = _CODES.get(status, ("InvalidRequest", status))
    return AwsError(code, f"The HTTP request cannot be read: {reason}.", status=status)


def framing_refusal(method: bytes, version: bytes, head: Sequence[tuple[bytes, bytes]]) -> AwsError | None:
    """Return the refusal of a request whose head is well-formed, but which is read differently by others; None for a good one.

    :param method: Its method.
    :param version: Its HTTP version: ``1.1``.
    :param head: Name, in lower case, and value of all its headers, and its target, which has no name.
    """
    names = {name for name, _ in head}
    if version not in (b"1.0", b"1.1"):
        return unreadable("the HTTP version is neither 1.0 nor 1.1", 505)
    if method in (b"CONNECT", b"TRACE"):
        return unreadable("this is no proxy", 405)
    if len(head) > MAX_HEADERS or sum(len(name) + len(value) for name, value in head) > MAX_HEAD_BYTES:
        return unreadable(f"it has more than {MAX_HEADERS} headers or {MAX_HEAD_BYTES} bytes of them", 431)
    # RFC 9112, section 6.1: "ought to be handled as an error", since it may be an attempt of request smuggling.
    if b"content-length" in names and b"transfer-encoding" in names:
        return unreadable("it has both Content-Length and Transfer-Encoding")
    if b"transfer-encoding" in names and version == b"1.0":
        return unreadable("HTTP/1.0 has no Transfer-Encoding")
    return None


def host_refusal(host: str | None) -> AwsError | None:
    """Return the refusal of a request that was sent to another host, or None.

    A page in a browser can have a name of its own lead to 127.0.0.1 (DNS rebinding), but cannot change the header Host.

    :param host: The header; None for HTTP/1.0 without one, which no browser sends.
    """
    if host is None or _LOOPBACK.fullmatch(host):
        return None
    message = (
        "The header Host must name this computer (127.0.0.1, localhost or a name below it), not another host."
    )
    return AwsError("InvalidRequest", message, status=421)

"""A container's answer as a stream of events, as InvokeEndpointWithResponseStream gives it.

The format: https://smithy.io/2.0/aws/amazon-eventstream.html. botocore reads it and does not write it.
"""

from __future__ import annotations

import json
import struct
import time
import zlib
from collections.abc import Callable, Iterator, Mapping

import urllib3

from airflow_sm_hosting.local.wire.errors import AwsError

CONTENT_TYPE = "application/vnd.amazon.eventstream"

# Larger pieces are cut: a message has 16 MB at most.
_PIECE = 1024 * 1024
_STRING = 7


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """Return one message: lengths and their checksum, headers, payload, checksum of all."""
    encoded = b"".join(
        struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value
        for name, value in ((name.encode(), value.encode()) for name, value in headers.items())
    )
    prelude = struct.pack("!II", 16 + len(encoded) + len(payload), len(encoded))
    checked = prelude + struct.pack("!I", zlib.crc32(prelude)) + encoded + payload
    return checked + struct.pack("!I", zlib.crc32(checked))


def payload_part(data: bytes) -> bytes:
    """Return a part of a container's answer as a message."""
    headers = {
        ":message-type": "event",
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
    }
    return message(headers, data)


def model_stream_error(error: AwsError) -> bytes:
    """Return what broke the stream as a message, the last one."""
    headers = {
        ":message-type": "exception",
        ":exception-type": "ModelStreamError",
        ":content-type": "application/json",
    }
    body = {"Message": error.message, **error.details}
    return message(headers, json.dumps(body).encode())


def messages(
    answer: urllib3.BaseHTTPResponse,
    container_name: str,
    timeout_seconds: float,
    failed: Callable[[], object],
) -> Iterator[bytes]:
    """Yield a container's answer as messages, each piece as it comes.

    :param answer: The answer, its body not read.
    :param timeout_seconds: How long all of it may take.
    :param failed: Called when the stream breaks.
    """
    deadline = time.monotonic() + timeout_seconds
    try:
        for piece in _pieces(answer):
            for start in range(0, len(piece), _PIECE):
                yield payload_part(piece[start : start + _PIECE])
            if time.monotonic() > deadline:
                raise _too_long(container_name)
    except AwsError as error:
        failed()
        yield model_stream_error(error)
    except urllib3.exceptions.ReadTimeoutError:
        failed()
        yield model_stream_error(_too_long(container_name))
    except (urllib3.exceptions.HTTPError, OSError):
        failed()
        # The codes: ModelStreamError of botocore's model; the sentences are assumed.
        broken = f"The connection to the container {container_name} broke before the answer was complete."
        yield model_stream_error(AwsError("ModelStreamError", broken, details={"ErrorCode": "StreamBroken"}))


def _pieces(answer: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
    if getattr(answer, "chunked", False):
        yield from answer.read_chunked()
        return
    while piece := answer.read1(64 * 1024):
        yield piece


def _too_long(container_name: str) -> AwsError:
    return AwsError(
        "ModelStreamError",
        f"The container {container_name} did not finish its answer in time.",
        details={"ErrorCode": "ModelInvocationTimeExceeded"},
    )

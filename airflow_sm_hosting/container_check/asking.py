"""One HTTP request to a container, and what came back."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping

import urllib3

from airflow_sm_hosting.container_check.observation import Exchange, Silence

_BLOCK = 64 * 1024
_CONNECT_SECONDS = 2.0


def call_container(
    url: str,
    method: str,
    path: str,
    *,
    seconds: float,
    most_bytes: int = _BLOCK,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Exchange:
    """Send a request to a container, and return what came back.

    :param url: Where the container is reached: ``http://host:port``.
    :param method: The method.
    :param path: The path.
    :param seconds: How long the whole answer may take.
    :param most_bytes: The most bytes of an answer.
    :param body: The body.
    :param headers: The headers.
    """
    started = time.monotonic()
    received = bytearray()

    def exchange(answer: urllib3.BaseHTTPResponse | None = None, silence: Silence | None = None) -> Exchange:
        return Exchange(
            method=method,
            path=path,
            seconds=time.monotonic() - started,
            status=answer.status if answer and silence is None else None,
            silence=silence,
            content_type=answer.headers.get("Content-Type") if answer else None,
            location=answer.headers.get("Location") if answer else None,
            body=bytes(received[:most_bytes]),
            is_too_large=len(received) > most_bytes,
        )

    # Neither a redirect nor a second try: SageMaker's client sees the first answer. A new connection each time, as the container may be
    # about to close a kept one.
    http_pool = urllib3.connection_from_url(url, retries=False)
    try:
        answer = http_pool.request(
            method,
            path,
            body=body,
            headers={**(headers or {}), "Connection": "close"},
            timeout=urllib3.Timeout(connect=min(seconds, _CONNECT_SECONDS), read=seconds),
            redirect=False,
            preload_content=False,
        )
        for block in answer.stream(_BLOCK, decode_content=False):
            received += block
            if len(received) > most_bytes:
                break
            if time.monotonic() - started > seconds:
                return exchange(answer, Silence.TIMEOUT)
        return exchange(answer)
    except urllib3.exceptions.HTTPError as error:
        return exchange(silence=_silence(error))
    finally:
        http_pool.close()


def _silence(error: urllib3.exceptions.HTTPError) -> Silence:
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return Silence.UNREACHABLE
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return Silence.TIMEOUT
    cause = error.args[-1] if error.args else None
    if isinstance(cause, http.client.BadStatusLine) and not isinstance(cause, http.client.RemoteDisconnected):
        return Silence.NOT_HTTP
    return Silence.CLOSED

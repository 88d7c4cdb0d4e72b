"""A client that sends the bytes it is given, be they HTTP or not."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import h11

from airflow_sm_hosting.local import LocalAws

_SECONDS = 20


@dataclass(frozen=True)
class Answer:
    """An answer of the server."""

    status: int
    headers: dict[str, str]
    body: bytes


def address(aws: LocalAws) -> tuple[str, int]:
    host, _, port = aws.endpoint_url.removeprefix("http://").partition(":")
    return host, int(port)


def signed(aws: LocalAws, service: str = "s3", region: str = "us-east-1", key: str | None = None) -> str:
    """Return the header that signs a request, as far as the server looks at it."""
    key = key or aws.environment()["AWS_ACCESS_KEY_ID"]
    scope = f"{key}/20260101/{region}/{service}/aws4_request"
    return f"Authorization: AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"


def request(
    first: str, *headers: str, body: bytes = b"", host: str = "127.0.0.1", length: bool = True
) -> bytes:
    lines = [f"{first} HTTP/1.1", f"Host: {host}", *headers]
    if length and body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def exchange(aws: LocalAws, data: bytes, *, methods: Iterable[str] = ("GET",)) -> list[Answer]:
    """Send bytes, and return all answers until the server closes the connection, or those of ``methods``.

    The client's side is closed when the bytes are sent, so that the server never waits for more.
    """
    with socket.create_connection(address(aws), timeout=_SECONDS) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except (BrokenPipeError, ConnectionResetError):
            pass
        received = b""
        while piece := connection.recv(65536):
            received += piece
    return list(answers(received, methods))


def answers(received: bytes, methods: Iterable[str]) -> Iterable[Answer]:
    """Parse answers, one for each method; what is not an answer is an error."""
    for method in methods:
        if not received:
            return
        client = h11.Connection(h11.CLIENT)
        client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
        client.send(h11.EndOfMessage())
        client.receive_data(received)
        client.receive_data(b"")
        body, status, headers = b"", 0, dict[str, str]()
        while not isinstance(event := client.next_event(), h11.EndOfMessage):
            assert event is not h11.NEED_DATA, received[:200]
            assert not isinstance(event, h11.ConnectionClosed), received[:200]
            if isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body += event.data
        received = client.trailing_data[0]
        yield Answer(status, headers, body)

"""One request, against servers that answer in every wrong way."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from airflow_sm_hosting.container_check.asking import call_container
from airflow_sm_hosting.container_check.observation import Silence

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/csv\r\n\r\n1\n"


def drip(connection: socket.socket) -> None:
    """Send a body that never ends, a few bytes at a time."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 70_000)
        time.sleep(0.1)


def read_request(connection: socket.socket) -> bytes:
    """Read the head of a request, and as much of a body as it says."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += connection.recv(65536)
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"Content-Length: (\d+)", head)
    while length and len(body) < int(length[1]):
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


@contextmanager
def server(*answers: bytes | Callable[[socket.socket], None]) -> Iterator[tuple[str, list[bytes]]]:
    """Yield the URL of a server that gives these answers, one a connection, and the list of the requests that it got."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for answer in answers:
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with connection:
                        requests.append(read_request(connection))
                        if callable(answer):
                            answer(connection)
                        else:
                            connection.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests


def test_an_answer_is_returned_as_it_came() -> None:
    with server(OK) as (url, requests):
        found = call_container(
            url, "POST", "/invocations", seconds=5, body=b"{}", headers={"Accept": "text/csv"}
        )
    assert (found.status, found.body, found.content_type, found.silence) == (200, b"1\n", "text/csv", None)
    assert (found.method, found.path, found.is_success) == ("POST", "/invocations", True)
    request = requests[0].decode()
    assert request.startswith("POST /invocations HTTP/1.1\r\n")
    assert "Accept: text/csv\r\n" in request
    assert request.endswith("\r\n\r\n{}")


def test_a_redirect_is_not_followed() -> None:
    with server(b"HTTP/1.1 302 Found\r\nLocation: /health\r\nContent-Length: 0\r\n\r\n", OK) as (
        url,
        requests,
    ):
        found = call_container(url, "GET", "/ping", seconds=5)
    assert (found.status, found.location, len(requests)) == (302, "/health", 1)


@pytest.mark.parametrize(
    ("answer", "silence"),
    [
        (b"", Silence.CLOSED),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", Silence.CLOSED),
        (b"hello\r\n", Silence.NOT_HTTP),
        (lambda connection: time.sleep(1), Silence.TIMEOUT),
        (drip, Silence.TIMEOUT),
    ],
    ids=["closed", "cut", "no HTTP", "silent", "without end"],
)
def test_no_whole_answer_has_its_reason(answer: bytes, silence: Silence) -> None:
    with server(answer) as (url, requests):
        found = call_container(url, "GET", "/ping", seconds=0.3, most_bytes=10**9)
    assert (found.status, found.silence) == (None, silence)
    assert not found.is_success
    assert len(requests) == 1  # no second try


def test_where_nothing_listens_there_is_no_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    assert call_container(url, "GET", "/ping", seconds=1).silence is Silence.UNREACHABLE


def test_a_large_answer_is_cut_at_the_limit() -> None:
    body = b"x" * 1_000_000
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body) as (url, _):
        found = call_container(url, "POST", "/invocations", seconds=5, most_bytes=1000)
    assert (found.status, len(found.body), found.is_too_large) == (200, 1000, True)
    with server(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + body) as (url, _):
        found = call_container(url, "POST", "/invocations", seconds=5, most_bytes=1_000_000)
    assert (len(found.body), found.is_too_large) == (1_000_000, False)


def test_a_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(OK) as (url, _):
        assert call_container(url, "GET", "/ping", seconds=5).status == 200

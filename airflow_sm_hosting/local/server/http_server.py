"""The HTTP/1.1 server: werkzeug's threads and sockets, with h11 for the protocol and connections kept alive.

A body is not read before the application asks for it, and what is not HTTP/1.1 reaches the application, too, so that it is
answered and logged as every other request.
"""

from __future__ import annotations

import http.client
import io
import logging
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

import h11
from werkzeug.serving import BaseWSGIServer, ThreadedWSGIServer

from airflow_sm_hosting.local.moto_bridge.application import RequestHandler
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.framing import MAX_HEAD_BYTES, REFUSAL, framing_refusal, unreadable

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

LOG = logging.getLogger(__name__)

_READ_BYTES = 256 * 1024
# Small requests come as one piece, and larger pieces cost more memory than they save.
_READ_HEAD_BYTES = 16 * 1024
# What is left of a refused upload is read up to here and so long, so that the client sees the refusal; then the connection is cut.
_DRAIN_BYTES = 64 * 1024**2
_DRAIN_SECONDS = 5.0
# More connections at once are refused: each is a thread.
_MAX_CONNECTIONS = 512
_BUSY = b"HTTP/1.1 503 Slow Down\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NOT_IN_A_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")


class ConnectionHandler(RequestHandler):
    """One connection, and the requests that come through it.

    boto3, docker and Airflow make hundreds of small calls: a new connection and thread for each costs more than the call.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    #: A connection that idles this long, and an answer that is not taken for so long, is closed.
    timeout = 120.0
    #: So long the head of a request may take.
    head_seconds = 30.0
    #: So long a body may stand still.
    body_seconds = 30.0
    #: A body that took longer than that may have no less than so many bytes a second, on average.
    body_bytes_per_second = 1024

    def setup(self) -> None:
        """Prepare the connection."""
        super().setup()
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD_BYTES)
        self._body: _Body | None = None
        self._is_last = False

    def handle(self) -> None:
        """Answer requests until one side has enough."""
        try:
            while self._handle_one():
                self._http.start_next_cycle()
        except OSError:
            # The client has gone, or takes nothing.
            return

    def _handle_one(self) -> bool:
        """Answer one request, and return whether the connection is at the start of the next."""
        self._body = None
        try:
            request = self._read_head()
        except (h11.RemoteProtocolError, TimeoutError) as error:
            self._answer(self._environ_of_nothing(_refusal_of(error)))
            self._linger()
            return False
        if request is None:
            return False
        self._body = _Body(self._read_body)
        self._answer(self._environ(request))
        return self._is_at_the_next()

    # Reading

    def _read_head(self) -> h11.Request | None:
        """Return the next request, or None where there is none."""
        until: float | None = None
        while (event := self._http.next_event()) is h11.NEED_DATA:
            if until is None and self._http.trailing_data[0]:
                until = time.monotonic() + self.head_seconds
            try:
                self._receive(self.timeout if until is None else until - time.monotonic(), _READ_HEAD_BYTES)
            except TimeoutError:
                if until is None:
                    return None
                raise
        return event if isinstance(event, h11.Request) else None

    def _read_body(self, began: float, received: int) -> h11.Data | None:
        """Return the next bytes of a body, None at its end.

        :param began: When the first of it was asked for.
        :param received: How many bytes of it have come.
        :raises AwsError: It is malformed, incomplete or too slow.
        """
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                if self._http.they_are_waiting_for_100_continue:
                    self.connection.sendall(
                        self._http.send(h11.InformationalResponse(status_code=100, headers=[]))
                    )
                left = began + self.body_seconds + received / self.body_bytes_per_second - time.monotonic()
                self._receive(min(left, self.body_seconds), _READ_BYTES)
        except (h11.RemoteProtocolError, TimeoutError) as error:
            raise _refusal_of(error) from error
        return event if isinstance(event, h11.Data) else None

    def _receive(self, seconds: float, most: int) -> None:
        if seconds <= 0:
            raise TimeoutError
        self.connection.settimeout(seconds)
        self._http.receive_data(self.connection.recv(most))

    # The application

    def _environ(self, request: h11.Request) -> WSGIEnvironment:
        head = [(b"", request.target), *request.headers]
        self.headers = http.client.HTTPMessage()
        for name, value in request.headers.raw_items():
            self.headers.add_header(name.decode("ascii"), value.decode("latin-1"))
        self.command = request.method.decode("ascii")
        self.request_version = f"HTTP/{request.http_version.decode('ascii')}"
        # As the standard library's server does it: else the first part of the path is taken for a host.
        self.path = re.sub(r"\A/+", "/", request.target.decode("ascii"))
        refusal = framing_refusal(request.method, request.http_version, head)
        try:
            environ = self.make_environ()
        except ValueError:
            return self._environ_of_nothing(unreadable("its target is no URL"))
        # Whoever needs to know where the body ends is told so by the body.
        environ["wsgi.input"] = io.BufferedReader(self._body)
        environ["wsgi.input_terminated"] = True
        if refusal:
            environ[REFUSAL] = refusal
            self._is_last = True
        return environ

    def _environ_of_nothing(self, refusal: AwsError) -> WSGIEnvironment:
        """Return a request that stands for one that cannot be read, the last one of the connection."""
        self._is_last = True
        self.headers = http.client.HTTPMessage()
        self.command, self.path, self.request_version = "GET", "/", "HTTP/1.1"
        environ = self.make_environ()
        environ["wsgi.input"] = io.BytesIO()
        environ[REFUSAL] = refusal
        return environ

    def _answer(self, environ: WSGIEnvironment) -> None:
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            started[:] = [status, headers]
            return None

        try:
            chunks = self.server.app(environ, start_response)
            try:
                self._send(started, chunks)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()
        except (ConnectionError, TimeoutError):
            raise
        except Exception:
            # The application answers errors by itself; what comes here broke in the middle of an answer.
            LOG.exception("%s %s: the connection was interrupted", self.command, self.path.partition("?")[0])
            raise ConnectionAbortedError from None

    # Answering

    def _send(self, started: list[Any], chunks: Iterable[bytes]) -> None:
        iterator = iter(chunks)
        first = next(iterator, b"")
        status, headers = started
        code, _, reason = status.partition(" ")
        sent = [("Server", self.version_string()), ("Date", self.date_time_string())]
        sent += [(name, value) for name, value in headers if _is_ours_to_send(name)]
        # Where the next request would begin is not known then.
        self._is_last |= self._http.their_state is h11.ERROR or self._http.they_are_waiting_for_100_continue
        if self._is_last:
            sent.append(("Connection", "close"))
        self.connection.settimeout(self.timeout)
        response = h11.Response(
            status_code=int(code),
            headers=[(name.encode("ascii"), _header_value(value)) for name, value in sent],
            reason=_header_value(reason),
        )
        # The head goes with the first of the body: a packet of its own costs as much as a small answer.
        unsent = self._http.send(response)
        if self.command != "HEAD" and code not in ("204", "304"):
            for data in chain((first,), iterator):
                if data:
                    self.connection.sendall(unsent + self._http.send(h11.Data(data=data)))
                    unsent = b""
        self.connection.sendall(unsent + self._http.send(h11.EndOfMessage()))

    def _is_at_the_next(self) -> bool:
        """Read what is left of the body, and return whether another request may follow."""
        body = self._body
        if self._is_last or body is None or body.broken:
            self._linger()
            return False
        left, until = _DRAIN_BYTES, time.monotonic() + _DRAIN_SECONDS
        try:
            while left > 0 and time.monotonic() < until and (data := body.read(_READ_BYTES)):
                left -= len(data)
        except AwsError:
            return False
        return (self._http.our_state, self._http.their_state) == (h11.DONE, h11.DONE)

    def _linger(self) -> None:
        """Close so that the client sees the answer: what it still sends would reset the connection else."""
        until, left = time.monotonic() + _DRAIN_SECONDS, _DRAIN_BYTES
        self.connection.shutdown(socket.SHUT_WR)
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            self.connection.settimeout(seconds)
            if not (data := self.connection.recv(_READ_BYTES)):
                return
            left -= len(data)

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of an answer by the clock of the local AWS, as AWS dates its answers by its own."""
        clock = getattr(self.server.app, "clock", None)
        if timestamp is None and clock is not None:
            timestamp = clock.now().timestamp()
        return super().date_time_string(timestamp)

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write the server's own messages to the log."""
        LOG.info(message, *args)


class _Body(io.RawIOBase):
    """The body of a request, which is read from the connection when it is asked for.

    :param read: Returns the next of its bytes, None at the end.
    """

    def __init__(self, read: Callable[[float, int], h11.Data | None]) -> None:
        self._read = read
        self._began: float | None = None
        self._received = 0
        self._left = memoryview(b"")
        self._ended = False
        #: Whether there is no way to know where it ends.
        self.broken = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self._began is None:
            self._began = time.monotonic()
        while not self._left and not self._ended:
            try:
                data = self._read(self._began, self._received)
            except BaseException:
                self.broken = True
                raise
            self._ended = data is None
            self._left = memoryview(bytes(data.data) if data else b"")
            self._received += len(self._left)
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


class HttpServer(ThreadedWSGIServer):
    """A server on the loopback interface, with a thread for each connection, and a limit of them.

    :param port: TCP port, 0 for a free one.
    :param app: The WSGI application.
    """

    def __init__(self, port: int, app: WSGIApplication) -> None:
        super().__init__("127.0.0.1", port, app, ConnectionHandler)
        self._free = threading.Semaphore(
            min(_MAX_CONNECTIONS, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)
        )

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in a thread of its own."""
        if not self._free.acquire(blocking=False):
            LOG.warning("too many connections at once: one is refused")
            request.setblocking(False)
            try:
                request.send(_BUSY)
            except OSError:
                LOG.debug("it has gone", exc_info=True)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._free.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


def make_http_server(port: int, app: WSGIApplication) -> BaseWSGIServer:
    """Return a server that listens on the loopback interface only.

    :param port: TCP port, 0 for a free one.
    :param app: The WSGI application.
    """
    return HttpServer(port, app)


def _refusal_of(error: h11.RemoteProtocolError | TimeoutError) -> AwsError:
    """Return the refusal of what cannot be read; h11's sentences may quote it, so that they are not repeated."""
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html has both codes.
    if isinstance(error, TimeoutError):
        message = (
            "Your socket connection to the server was not read from or written to within the timeout period."
        )
        return AwsError("RequestTimeout", message, status=400)
    if "peer" in str(error) and "closed connection" in str(error):
        message = "The connection was closed before the request was complete."
        return AwsError("IncompleteBody", message, status=400)
    return unreadable("its framing is malformed", error.error_status_hint)


def _is_ours_to_send(name: str) -> bool:
    # Which of them a connection needs is known to h11.
    return name.lower() not in ("date", "server", "connection", "transfer-encoding")


def _header_value(value: str) -> bytes:
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError:
        data = value.encode()
    return _NOT_IN_A_HEADER.sub(b"", data).strip()

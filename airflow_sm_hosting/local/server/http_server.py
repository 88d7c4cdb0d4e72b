"""The HTTP/1.1 server: werkzeug's, threaded, with connections kept alive."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any

from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.wsgi import LimitedStream

from airflow_sm_hosting.local.moto_bridge.application import RequestHandler

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LOG = logging.getLogger(__name__)

# What is left of a refused upload is read up to here, so that the client sees the refusal; beyond it the
# connection is cut.
_DRAIN_BYTES = 64 * 1024**2


class KeepAliveRequestHandler(RequestHandler):
    """Werkzeug's handler closes every connection, since it cannot know where a body ends; this one does know.

    boto3, docker and Airflow make hundreds of small calls: a new connection and thread for each costs more
    than the call.
    """

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # A connection that idles this long is closed, and its thread ends.
    timeout = 120

    def run_wsgi(self) -> None:
        """Answer one request, and leave the connection at the start of the next."""
        environ = self.make_environ()
        raw = environ["wsgi.input"]
        if not environ.get("wsgi.input_terminated"):
            raw = LimitedStream(raw, int(environ.get("CONTENT_LENGTH") or 0))
        body = environ["wsgi.input"] = io.BufferedReader(raw, 1024 * 1024)
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
            self._drain(body)
        except (ConnectionError, TimeoutError):
            self.close_connection = True
        except Exception:
            # The front application answers errors by itself; what comes here broke in the middle of an answer.
            LOG.exception("%s %s: the connection was interrupted", self.command, self.path.partition("?")[0])
            self.close_connection = True
        finally:
            # A BufferedReader that is collected closes what is below it: the connection's own file.
            body.detach()

    def _send(self, started: list[Any], chunks: Iterable[bytes]) -> None:
        iterator = iter(chunks)
        first = next(iterator, b"")
        status, headers = started
        code, _, reason = status.partition(" ")
        names = {name.lower() for name, _ in headers}
        bodyless = self.command == "HEAD" or code.startswith("1") or code in ("204", "304")
        chunked = not bodyless and "content-length" not in names
        self.send_response(int(code), reason)
        for name, value in headers:
            if name.lower() not in ("date", "server", "connection"):
                self.send_header(name, value)
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if bodyless:
            return
        for data in chain((first,), iterator):
            if data:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _drain(self, body: io.BufferedReader) -> None:
        left = _DRAIN_BYTES
        while left > 0 and (data := body.read(1024 * 1024)):
            left -= len(data)
        if left <= 0:
            self.close_connection = True

    def date_time_string(self, timestamp: float | None = None) -> str:
        """Return the time of an answer by the clock of the local AWS, as AWS dates its answers by its own."""
        clock = getattr(self.server.app, "clock", None)
        if timestamp is None and clock is not None:
            timestamp = clock.now().timestamp()
        return super().date_time_string(timestamp)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing: the request log has it, without query strings that may be signatures."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Write the server's own messages to the log."""
        LOG.info(message, *args)


def make_http_server(port: int, app: WSGIApplication) -> BaseWSGIServer:
    """Return a server that listens on the loopback interface only.

    :param port: TCP port, 0 for a free one.
    :param app: The WSGI application.
    """
    return make_server("127.0.0.1", port, app, threaded=True, request_handler=KeepAliveRequestHandler)

"""A mail server for tests, which keeps what it is sent: as much of SMTP as ``smtplib`` and ``aiosmtplib`` speak without TLS."""

from __future__ import annotations

import email
import email.policy
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 ready")
        while line := self.rfile.readline():
            command = line[:4].decode().upper()
            if command == "DATA":
                self._say("354 go on")
                self.server.keep(b"".join(iter(self.rfile.readline, b".\r\n")))  # type: ignore[attr-defined]
            self._say("221 bye" if command == "QUIT" else "250 ok")
            if command == "QUIT":
                return

    def _say(self, answer: str) -> None:
        self.wfile.write(f"{answer}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """The server.

    Its ``mails`` are those that have arrived, in order.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self.mails: list[EmailMessage] = []

    def keep(self, data: bytes) -> None:
        # SMTP doubles a dot at the beginning of a line.
        undoubled = data.replace(b"\r\n..", b"\r\n.")
        self.mails.append(email.message_from_bytes(undoubled, policy=email.policy.default))

    @property
    def connection(self) -> dict[str, object]:
        """The Airflow connection that leads to it."""
        return {
            "conn_type": "smtp",
            "host": "127.0.0.1",
            "port": self.server_address[1],
            "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"},
        }


def text_of(mail: EmailMessage) -> str:
    """Return the text of a mail, without the markup around it."""
    body = mail.get_body(("html", "plain"))
    assert body is not None
    return str(body.get_content()).strip().removeprefix("<pre>").removesuffix("</pre>")


@contextmanager
def mail_server() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

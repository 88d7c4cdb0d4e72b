"""The container that is invoked in every way: it says what it was asked, streams, keeps sessions, loads models late, and tells its secret."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.answer(200, b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        text = body.decode()
        if text == "stream":
            self.stream()
        elif text == "break":
            self.stream(breaks=True)
        elif text == "fail":
            self.answer(500, f"the password is {os.environ.get('PASSWORD')}".encode())
        elif text == "slow":
            time.sleep(0.2)
            self.answer(200, b"{}")
        else:
            asked = {
                name[len("X-Amzn-SageMaker-") :]: value
                for name, value in self.headers.items()
                if name.lower().startswith("x-amzn-")
            }
            told = {
                "body": text,
                "asked": asked,
                "version": os.environ.get("VERSION"),
                "secret": os.environ.get("PASSWORD"),
                "type": self.headers.get("Content-Type"),
            }
            headers = {}
            if self.headers.get("X-Amzn-SageMaker-Session-Id") == "NEW_SESSION":
                headers["X-Amzn-SageMaker-New-Session-Id"] = "abc; Expires=2030-01-01T00:00:00Z"
            elif text == "close":
                headers["X-Amzn-SageMaker-Closed-Session-Id"] = self.headers["X-Amzn-SageMaker-Session-Id"]
            self.answer(200, json.dumps(told).encode(), headers)

    def stream(self, *, breaks: bool = False) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        # The second character is cut in two.
        for part in (b"a\xc3", b"\xa4b", b"\nc"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        if breaks:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# The process engine says where, and means this computer only.
host = "127.0.0.1" if "SM_MODEL_DIR" in os.environ else "0.0.0.0"
ThreadingHTTPServer((host, int(os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080))), Handler).serve_forever()

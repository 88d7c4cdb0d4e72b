"""A container that serves as SageMaker asks, but for the fault in the variable FAULT."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULT = os.environ.get("FAULT", "")
PORT = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))
MODELS: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pings = 0

    def do_GET(self) -> None:
        if self.path.startswith("/models"):
            return self.models("GET")
        Handler.pings += 1
        match FAULT:
            case "ping-slow":
                time.sleep(3)
            case "ping-404":
                return self.answer(404)
            case "ping-500":
                print("the model cannot be loaded: ModuleNotFoundError: No module named 'torch'", flush=True)
                return self.answer(500)
            case "ping-redirect":
                return self.answer(302, location="/health")
            case "ping-once":
                return self.answer(200 if Handler.pings == 1 else 503)
            case "ping-after-request" if os.path.exists("/tmp/broken"):
                return self.answer(503)
        return self.answer(200 if self.path == "/ping" else 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path.startswith("/models") and not self.path.endswith("/invoke"):
            return self.models("POST", body)
        match FAULT:
            case "no-invocations":
                return self.answer(404)
            case "invocation-error":
                print("Traceback: ValueError: could not convert string to float", flush=True)
                return self.answer(500, b'{"error": "ValueError"}')
            case "invocation-slow":
                time.sleep(3)
            case "invocation-huge":
                return self.answer(200, b"x" * (26 * 1024 * 1024))
            case "invocation-large":
                return self.answer(200, b"x" * (7 * 1024 * 1024))
            case "dies-in-request":
                os._exit(3)
            case "eats-memory":
                print(len(bytearray(300 * 1024 * 1024)), flush=True)
            case "ping-after-request":
                open("/tmp/broken", "w").close()
            case "no-content-type":
                return self.answer(200, body, content_type=None)
        return self.answer(200, json.dumps({"got": body.decode()}).encode())

    def do_DELETE(self) -> None:
        self.models("DELETE")

    def models(self, method: str, body: bytes = b"") -> None:
        name = self.path.removeprefix("/models").strip("/")
        if FAULT == "no-models":
            return self.answer(404)
        if method == "POST":
            model = json.loads(body)
            assert os.listdir(model["url"])
            MODELS.add(model["model_name"])
            return self.answer(200)
        if method == "DELETE":
            return self.answer(200)
        return self.answer(200 if not name or name in MODELS else 404, b'{"models": []}')

    def answer(
        self,
        status: int,
        body: bytes = b"",
        *,
        content_type: str | None = "application/json",
        location: str | None = None,
    ) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        if location:
            self.send_header("Location", location)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    if FAULT != "ignores-sigterm":
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    match FAULT:
        case "rejects-serve" if "serve" in sys.argv[1:]:
            sys.exit(f"server.py: error: unrecognized arguments: {sys.argv[1]}")
        case "crash":
            __import__("no_such_module")
        case "ends":
            print("the server runs in the background", flush=True)
            return
        case "no-server":
            time.sleep(600)
        case "not-http":
            with socket.create_server(("0.0.0.0", PORT)) as server:
                while True:
                    connection, _ = server.accept()
                    connection.recv(1000)
                    connection.sendall(b"hello\r\n")
                    connection.close()
        case "needs-model":
            open("/opt/ml/model/model.json").close()
        case "writes-to-model":
            open("/opt/ml/model/cache", "w").close()
        case "writes-to-program":
            open("/opt/program/cache", "w").close()
        case "needs-network":
            socket.create_connection((os.environ["PEER"], 8080), timeout=1).close()
        case "eats-memory-at-start":
            print(len(bytearray(300 * 1024 * 1024)), flush=True)
        case "needs-root":
            open("/etc/only-root").close()
    host = "127.0.0.1" if FAULT == "loopback" else "0.0.0.0"
    port = 5000 if FAULT == "port" else 8080 if FAULT == "ignores-bind-to-port" else PORT
    if secret := os.environ.get("SECRET"):
        print(f"the key is {secret}", flush=True)
    ThreadingHTTPServer((host, port), Handler).serve_forever()


if __name__ == "__main__":
    main()

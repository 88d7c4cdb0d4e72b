"""The container that the tests deploy: it tells what it was started with, and fails as it is told to."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

if sys.argv[1:] != ["serve"]:
    raise SystemExit(f"started with {sys.argv[1:]}, not with 'serve'")
if os.environ.get("CRASH"):
    print("the password is", os.environ.get("PASSWORD"), flush=True)
    raise RuntimeError("this container crashes at its start")

MODEL = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    adapters: dict[str, str] = {}
    url: str

    def do_GET(self) -> None:
        self.answer(int(os.environ.get("PING_STATUS", "200")), b"", "text/plain")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        print("asked", flush=True)
        if self.path.startswith("/models"):
            self.multi_model(body)
            return
        if self.path == "/adapters":
            # github.com/aws/model-hosting-container-standards, sagemaker/lora
            told = json.loads(body)
            self.adapters[told["name"]] = (Path(told["src"]) / "weights").read_text()
            self.answer(200, b"", "text/plain")
            return
        if body == b"fail":
            self.answer(503, b"the model is ill", "text/plain")
            return
        if body == b"slow":
            time.sleep(0.3)
        time.sleep(float(os.environ.get("SECONDS", "0")))
        answer = {
            "version": os.environ.get("VERSION"),
            "body": body.decode(),
            "content_type": self.headers.get("Content-Type"),
            "accept": self.headers.get("Accept"),
            "custom": self.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            "model": {
                str(p.relative_to(MODEL)): p.read_text() for p in sorted(MODEL.rglob("*")) if p.is_file()
            },
            "aws": [name for name in os.environ if name.startswith("AWS_")],
        }
        if name := self.headers.get("X-Amzn-SageMaker-Adapter-Identifier"):
            answer["adapter"] = self.adapters[name]
        self.answer(200, json.dumps(answer).encode(), "application/json")

    def multi_model(self, body: bytes) -> None:
        """One model at a time: mms-container-apis.html."""
        if self.path == "/models":
            Handler.url = json.loads(body)["url"]
            self.answer(200, b"{}", "application/json")
            return
        files = {path.name: path.read_text() for path in Path(self.url).iterdir()}
        self.answer(200, json.dumps({"url": self.url, "files": files}).encode(), "application/json")

    def answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Amzn-SageMaker-Custom-Attributes", "seen")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        print("answered", self.path, flush=True)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# The process engine says where, and means this computer only.
host = "127.0.0.1" if "SM_MODEL_DIR" in os.environ else "0.0.0.0"
ThreadingHTTPServer((host, int(os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080))), Handler).serve_forever()

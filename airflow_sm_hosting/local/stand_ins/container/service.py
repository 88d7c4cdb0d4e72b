"""The HTTP side of a stand-in: pings, invocations, multi-model and adapter requests.

https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html, mms-container-apis.html beside it, and
https://github.com/aws/model-hosting-container-standards for adapters.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

from airflow_sm_hosting.local.stand_ins.container.contracts import Contract
from airflow_sm_hosting.local.stand_ins.container.exchange import (
    Question,
    RefusedQuestion,
    Reply,
    Setting,
    json_reply,
)

_ADAPTER_HEADER = "x-amzn-sagemaker-adapter-identifier"


class StandInService:
    """What one stand-in answers.

    :param contract: The contract of its family.
    :param setting: What it was started with.
    :param startup_seconds: How long its pings fail after the start, as if a model was being loaded.
    """

    def __init__(self, contract: Contract, setting: Setting, startup_seconds: float = 0.0) -> None:
        self._contract = contract
        self._setting = setting
        self._ready_at = time.monotonic() + startup_seconds
        self._is_multi_model = setting.get("SAGEMAKER_MULTI_MODEL").lower() == "true"
        self._lacks = "" if self._is_multi_model else contract.lacks(setting)
        self._models: dict[str, str] = {}
        self._adapters: dict[str, str] = {}
        self._invocations = 0
        self._lock = threading.Lock()

    def get(self, path: str) -> Reply:
        """Answer a GET."""
        if path == "/ping":
            return self._ping()
        if path == "/execution-parameters":
            return json_reply(
                {"MaxConcurrentTransforms": 1, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": 6}
            )
        if path == "/metrics":
            text = (
                f"# TYPE stand_in_invocations_total counter\nstand_in_invocations_total {self._invocations}\n"
            )
            return Reply(text.encode(), "text/plain; version=0.0.4")
        if self._is_multi_model and path == "/models":
            return json_reply({"models": [_described(*one) for one in sorted(self._models.items())]})
        if self._is_multi_model and path.startswith("/models/"):
            name = path.removeprefix("/models/")
            return json_reply(_described(name, self._models[name])) if name in self._models else _absent(name)
        return _absent(path)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer a POST.

        :param headers: By their names in small letters.
        """
        if path == "/invocations":
            return self._invoke(body, headers)
        if path == "/adapters" and self._contract.takes_adapters:
            return self._load("name", "src", self._adapters, body)
        if self._is_multi_model and path == "/models":
            return self._load("model_name", "url", self._models, body)
        if self._is_multi_model and path.startswith("/models/") and path.endswith("/invoke"):
            name = path.removeprefix("/models/").removesuffix("/invoke")
            return self._invoke(body, headers, name) if name in self._models else _absent(name)
        return _absent(path)

    def delete(self, path: str) -> Reply:
        """Answer a DELETE."""
        for prefix, held in (("/adapters/", self._adapters), ("/models/", self._models)):
            if path.startswith(prefix):
                with self._lock:
                    return _absent(path) if held.pop(path.removeprefix(prefix), None) is None else Reply()
        return _absent(path)

    def _ping(self) -> Reply:
        if self._lacks:
            return json_reply({"error": self._lacks}, 500)
        if time.monotonic() < self._ready_at:
            return json_reply({"status": "the stand-in loads its model: stand_in_startup_seconds"}, 503)
        return Reply(self._contract.ping)

    def _load(self, key: str, place: str, held: dict[str, str], body: bytes) -> Reply:
        try:
            told = json.loads(body)
            name, where = str(told[key]), str(told[place])
        except (ValueError, KeyError, TypeError):
            return json_reply({"error": f"the body must have {key} and {place}"}, 400)
        with self._lock:
            if name in held:
                return json_reply({"error": f"{name} is loaded already"}, 409)
            held[name] = where
        return json_reply({"status": f"{name} is loaded"})

    def _invoke(self, body: bytes, headers: Mapping[str, str], model: str = "") -> Reply:
        self._invocations += 1
        adapter = headers.get(_ADAPTER_HEADER) or ""
        if adapter and adapter not in self._adapters:
            return json_reply({"error": f"The adapter {adapter} is not loaded"}, 404)
        content_type, parameters = _media_type(headers.get("content-type") or "")
        accept, _ = _media_type((headers.get("accept") or "").partition(",")[0])
        question = Question(
            body,
            content_type,
            "" if accept == "*/*" else accept,
            self._setting,
            adapter or model,
            tuple(self._adapters),
            parameters,
        )
        try:
            return self._contract.answer(question)
        except RefusedQuestion as refusal:
            return refusal.reply


def _described(name: str, url: str) -> dict[str, str]:
    return {"modelName": name, "modelUrl": url}


def _absent(what: str) -> Reply:
    return json_reply({"error": f"there is no {what}"}, 404)


def _media_type(text: str) -> tuple[str, dict[str, str]]:
    """Return a content type without its parameters, in small letters, and the parameters."""
    name, *rest = text.split(";")
    pairs = [part.partition("=") for part in rest]
    return name.strip().lower(), {key.strip().lower(): value.strip(' "') for key, _, value in pairs}


def handler_of(service: StandInService) -> type[BaseHTTPRequestHandler]:
    """Return the handler of HTTP requests of a service."""

    class StandInHandler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body leave together: wbufsize of socketserver.StreamRequestHandler.
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._send(service.get(self.path.partition("?")[0]))

        def do_DELETE(self) -> None:
            self._send(service.delete(self.path.partition("?")[0]))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = service.post(self.path.partition("?")[0], body, headers)
            # Not the others: the local AWS keeps all lines in memory.
            if reply.status >= 400:
                print(f"POST {self.path}: {reply.status} {reply.body[:500].decode()}", flush=True)
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.content_type)
            if reply.parts is None:
                if reply.status != 204:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)
                return
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in reply.parts:
                self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing of pings."""

    return StandInHandler

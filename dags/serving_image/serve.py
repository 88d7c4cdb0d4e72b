"""Serve a logistic regression as SageMaker asks of a container: /ping and /invocations on port 8080.

Nothing but Python's standard library, so the image is built in seconds.
"""

from __future__ import annotations

import json
import math
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODEL_FILE = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model")) / "model.json"
PORT = int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080"))


class LogisticRegressions:
    """The model that train_model.py wrote: standardised features; members with one weight for each, and an intercept."""

    def __init__(self, model: dict) -> None:
        self.features: list[str] = model["features"]
        self.labels: list[str] = model["labels"]
        self._mean, self._scale = model["mean"], model["scale"]
        self._members = [(member["weights"], member["intercept"]) for member in model["members"]]

    def probability(self, row: list[float]) -> float:
        """Return the probability of the second label, the mean of all members."""
        if len(row) != len(self.features):
            raise ValueError(f"a row has {len(row)} features; expected {len(self.features)}")
        columns = zip(row, self._mean, self._scale, strict=True)
        standardised = [(x - mean) / scale for x, mean, scale in columns]
        scores = [
            intercept + sum(x * weight for x, weight in zip(standardised, weights, strict=True))
            for weights, intercept in self._members
        ]
        return sum(map(_logistic, scores)) / len(scores)


def _logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score)) if score >= 0 else 1 - 1 / (1 + math.exp(score))


class Handler(BaseHTTPRequestHandler):
    """Answers SageMaker."""

    protocol_version = "HTTP/1.1"
    model: LogisticRegressions

    def do_GET(self) -> None:
        self._answer(200 if self.path == "/ping" else 404, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/invocations":
            self._answer(404, {})
            return
        try:
            request = json.loads(body)
            probabilities = [self.model.probability(row) for row in request["instances"]]
        except (ValueError, KeyError, TypeError) as error:
            self._answer(400, {"error": f"{type(error).__name__}: {error}"})
            return
        answer: dict = {"labels": [self.model.labels[p >= 0.5] for p in probabilities]}
        if request.get("probabilities"):
            answer["probabilities"] = [round(p, 6) for p in probabilities]
        self._answer(200, answer)

    def _answer(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        if self.path != "/ping":
            super().log_request(code, size)


if __name__ == "__main__":
    # SageMaker ends a container with SIGTERM, and kills it after 30 seconds; as process 1 nothing ends it by default.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    Handler.model = LogisticRegressions(json.loads(MODEL_FILE.read_text()))
    print(f"Serving {MODEL_FILE} on port {PORT}", flush=True)
    # SageMaker reaches the container through its network interface, so all of the container's are listened on.
    host = (
        "127.0.0.1" if "SAGEMAKER_BIND_TO_PORT" in os.environ and "SM_MODEL_DIR" in os.environ else "0.0.0.0"
    )
    ThreadingHTTPServer((host, PORT), Handler).serve_forever()

"""What the local AWS costs: its start, a life cycle, five hundred endpoints, invocations.

``python benchmarks/local_aws.py [--engine docker|process] [--rounds N]``. Exit code 1 where a budget is exceeded. With the
docker engine, the container's image is made from ``--image``, one with Python (default: one made of Debian's packages).
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import json
import statistics
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import docker
import psutil
import urllib3
from rich.console import Console
from rich.table import Table

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
FOREIGN_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
SERVER = """
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.answer(b"")
    def do_POST(self):
        self.answer(self.rfile.read(int(self.headers["Content-Length"])))
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_):
        pass
address = "127.0.0.1" if "SAGEMAKER_BIND_TO_PORT" in os.environ else "0.0.0.0"
ThreadingHTTPServer((address, int(os.environ.get("SAGEMAKER_BIND_TO_PORT", 8080))), Handler).serve_forever()
"""


class Results:
    """Rows of what was measured, beside its budget."""

    def __init__(self) -> None:
        self.table = Table("what", "measured", "budget", box=None)
        self.exceeded = False

    def add(
        self, what: str, value: float, unit: str, budget: float | None = None, *, least: bool = False
    ) -> None:
        """Note a figure.

        :param budget: What it may be at most, or at ``least``.
        """
        good = budget is None or (value >= budget if least else value <= budget)
        self.exceeded |= not good
        told = "" if budget is None else f"{'≥' if least else '≤'} {budget:g} {unit}"
        self.table.add_row(what, f"{value:.4g} {unit}", told + ("" if good else "  EXCEEDED"))


def timed(call: Callable[[], Any]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def measure_start(results: Results, rounds: int) -> None:
    """Start it again and again."""
    wall, cpu, memory = [], [], []
    for _ in range(rounds):
        aws = LocalAws(engine="none")
        wall.append(timed(aws.start))
        process = psutil.Process(aws.health()["pid"])
        cpu.append(sum(process.cpu_times()[:2]))
        memory.append(process.memory_info().rss / 1e6)
        aws.stop()
    # What else the computer does counts in the median, and not in the best.
    results.add(f"start to ready, best of {rounds}", min(wall), "s", 1.0)
    results.add("start to ready, median", statistics.median(wall), "s")
    results.add("CPU time until then, median", statistics.median(cpu), "s")
    results.add("memory when ready", statistics.median(memory), "MB", 120)


def measure_endpoints(results: Results, number: int) -> None:
    """Create endpoints without containers, and ask for them."""
    with LocalAws(engine="none", transition_seconds=0) as aws:
        sagemaker = aws.client("sagemaker")
        sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": FOREIGN_IMAGE}
        )
        create_config(sagemaker, "c", "m")

        def cycle(name: str) -> None:
            sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="c")
            while sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] != "InService":
                pass

        names = [f"e{index}" for index in range(number)]
        cycles = [timed(partial(cycle, name)) for name in names]
        results.add("create to InService, median", statistics.median(cycles) * 1000, "ms", 50)
        results.add(
            "create to InService, 99th percentile", statistics.quantiles(cycles, n=100)[-1] * 1000, "ms"
        )
        describes = [timed(partial(sagemaker.describe_endpoint, EndpointName=name)) for name in names]
        results.add(f"describe one of {number}, median", statistics.median(describes) * 1000, "ms")
        pages = sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 100})
        found: list[int] = []
        seconds = timed(lambda: found.append(sum(len(page["Endpoints"]) for page in pages)))
        if found != [number]:
            raise SystemExit(f"{found[0]} endpoints are listed, not {number}")
        results.add(f"list {number} endpoints", seconds * 1000, "ms")
        memory = psutil.Process(aws.health()["pid"]).memory_info().rss / 1e6
        results.add(f"memory with {number} endpoints", memory, "MB")
        results.add("reset", timed(aws.reset) * 1000, "ms", 100)


def measure_invocations(results: Results, engine: str, image: str | None, seconds: float) -> None:
    """Invoke an endpoint of one container as fast as it goes."""
    with LocalAws(engine=engine, transition_seconds=0) as aws:
        sagemaker, runtime = aws.client("sagemaker"), aws.client("sagemaker-runtime")
        reference = push_with_docker(aws, image) if engine == "docker" else push_by_hand(aws)
        sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": reference})
        create_config(sagemaker, "c", "m")
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
        sagemaker.get_waiter("endpoint_in_service").wait(EndpointName="e", WaiterConfig={"Delay": 1})
        latencies: list[float] = []

        def invoke(until: float) -> None:
            while time.perf_counter() < until:
                latencies.append(
                    timed(lambda: runtime.invoke_endpoint(EndpointName="e", Body=b"1,2")["Body"].read())
                )

        for threads in (1, 4):
            latencies.clear()
            until = time.perf_counter() + seconds
            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(invoke, [until] * threads))
            budget = 100 if threads > 1 else None
            name = f"invocations through {engine}, {threads} callers"
            results.add(name, len(latencies) / seconds, "/s", budget, least=True)
            results.add(f"{name}, median", statistics.median(latencies) * 1000, "ms")


def create_config(sagemaker: Any, name: str, model: str) -> None:
    """Create an endpoint config of one variant."""
    variant = {
        "VariantName": "main",
        "ModelName": model,
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])


def push_with_docker(aws: LocalAws, image: str | None) -> str:
    """Build and push an image with the Docker engine, and return its name."""
    client = docker.from_env()
    image = image or ensure_debian_python_base(client)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "serve.py").write_text(SERVER)
        (Path(folder) / "Dockerfile").write_text(
            f'FROM {image}\nCOPY serve.py /serve.py\nENTRYPOINT ["python3", "/serve.py"]\n'
        )
        host = aws.endpoint_url.removeprefix("http://")
        name = f"{host}/team/repo"
        built, _ = client.images.build(path=folder, tag=f"{name}:latest", rm=True, forcerm=True)
    repository = aws.client("ecr").create_repository(repositoryName="team/repo")["repository"]
    login = {"username": "AWS", "password": registry_password(aws)}
    for event in client.images.push(
        repository["repositoryUri"], tag="latest", auth_config=login, stream=True, decode=True
    ):
        if "error" in event:
            raise SystemExit(event["error"])
    client.images.remove(str(built.id), force=True)
    return f"{name}:latest"


def push_by_hand(aws: LocalAws) -> str:
    """Push an image of one file, and return its name."""
    aws.client("ecr").create_repository(repositoryName="team/repo")
    http = urllib3.PoolManager(headers=urllib3.make_headers(basic_auth=f"AWS:{registry_password(aws)}"))
    base = f"{aws.endpoint_url}/v2/team/repo"

    def push(data: bytes) -> dict[str, Any]:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        http.request("POST", f"{base}/blobs/uploads/?digest={digest}", body=data)
        return {"digest": digest, "size": len(data)}

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        member = tarfile.TarInfo("serve.py")
        member.size = len(SERVER.encode())
        tar.addfile(member, io.BytesIO(SERVER.encode()))
    config = {"architecture": "amd64", "os": "linux", "config": {"Entrypoint": ["python3", "/serve.py"]}}
    docker_type = "application/vnd.docker"
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{docker_type}.distribution.manifest.v2+json",
        "config": {
            "mediaType": f"{docker_type}.container.image.v1+json",
            **push(json.dumps(config).encode()),
        },
        "layers": [
            {
                "mediaType": f"{docker_type}.image.rootfs.diff.tar.gzip",
                **push(gzip.compress(buffer.getvalue())),
            }
        ],
    }
    put = http.request(
        "PUT",
        f"{base}/manifests/latest",
        json=manifest,
        headers={**http.headers, "Content-Type": str(manifest["mediaType"])},
    )
    if put.status != 201:
        raise SystemExit(put.data.decode())
    return f"{aws.endpoint_url.removeprefix('http://')}/team/repo:latest"


def registry_password(aws: LocalAws) -> str:
    """Return the registry's password."""
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    return base64.b64decode(token).decode().partition(":")[2]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engine", choices=("docker", "process"), default="docker")
    parser.add_argument("--image")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    results = Results()
    measure_start(results, options.rounds)
    measure_endpoints(results, options.endpoints)
    measure_invocations(results, options.engine, options.image, options.seconds)
    Console(width=120).print(results.table)
    sys.exit(results.exceeded)


if __name__ == "__main__":
    main()

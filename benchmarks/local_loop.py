"""What a developer waits for, again and again, with the local AWS: its start, an endpoint, a reset; and whether it grows.

``python benchmarks/local_loop.py [--engines none,process,docker] [--rounds N]``. Exit code 1 where a budget is exceeded. Endpoints are of an
image of AWS that a stand-in answers for, so that no image is built here. The start is that of the command, ``sm-hosting local up --detach``.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table
from tenacity import Retrying, retry_if_result, wait_fixed

from airflow_sm_hosting.local import LocalAws

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/djl-inference:0.36.0-lmi28.0.0-cu130"
#: Seconds, milliseconds, MB. A container of Docker alone takes a third of a second to be created and started where this was written.
START, IN_SERVICE, IN_SERVICE_OF_DOCKER, RESET, GROWTH = 1.0, 300, 600, 100, 3


class Figures:
    """Rows of what was measured, beside its budget."""

    def __init__(self) -> None:
        self.table = Table("what", "measured", "budget", box=None)
        self.exceeded = False

    def add(self, what: str, value: float, unit: str, budget: float) -> None:
        """Note a figure, and what it may be at most."""
        self.exceeded |= value > budget
        over = "  EXCEEDED" if value > budget else ""
        self.table.add_row(what, f"{value:.4g} {unit}", f"≤ {budget:g} {unit}{over}")


def best(rounds: int, call: Callable[[], float]) -> float:
    """Return the least of some measurements: what else the computer does only adds to them."""
    return min(call() for _ in range(rounds))


def start_seconds(engine: str) -> float:
    """Return how long ``sm-hosting local up --detach`` takes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "airflow_sm_hosting.cli", "local"]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "SM_HOSTING_STATE_DIR": folder}
        run = partial(subprocess.run, env=environment, check=True, stdout=subprocess.DEVNULL)
        began = time.perf_counter()
        run([*command, "up", "--detach", "--engine", engine, "--port", port])
        seconds = time.perf_counter() - began
        run([*command, "down", "--port", port])
    return seconds


def prepare(aws: LocalAws) -> Any:
    """Create a model and an endpoint config, and return the client."""
    sagemaker = aws.client("sagemaker")
    container = {"Image": IMAGE, "Environment": {"HF_MODEL_ID": "team/model"}}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {
        "VariantName": "main",
        "ModelName": "m",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    return sagemaker


def in_service(sagemaker: Any, name: str) -> float:
    """Create an endpoint, and return the milliseconds until it is in service."""
    until = Retrying(retry=retry_if_result(lambda status: status == "Creating"), wait=wait_fixed(0.02))
    began = time.perf_counter()
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName="c")
    status = until(lambda: sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"])
    milliseconds = (time.perf_counter() - began) * 1000
    if status != "InService":
        raise SystemExit(f"the endpoint is {status}")
    return milliseconds


def measure_endpoints(figures: Figures, engine: str, rounds: int) -> None:
    """Create endpoints; the first one also makes the image of the stand-ins."""
    budget = IN_SERVICE_OF_DOCKER if engine == "docker" else IN_SERVICE
    with LocalAws(engine=engine, transition_seconds=0) as aws:
        sagemaker = prepare(aws)
        in_service(sagemaker, "first")
        names = iter(f"e{index}" for index in range(rounds))
        found = best(rounds, lambda: in_service(sagemaker, next(names)))
        figures.add(f"create to InService, {engine}", found, "ms", budget)


def measure_reset(figures: Figures, rounds: int, number: int) -> None:
    """Forget hundreds of endpoints."""

    def reset() -> float:
        sagemaker = prepare(aws)
        for index in range(number):
            sagemaker.create_endpoint(EndpointName=f"e{index}", EndpointConfigName="c")
        in_service(sagemaker, "last")
        began = time.perf_counter()
        aws.reset()
        return (time.perf_counter() - began) * 1000

    with LocalAws(engine="none", transition_seconds=0) as aws:
        figures.add(f"reset of {number} endpoints", best(rounds, reset), "ms", RESET)


def measure_growth(figures: Figures, number: int) -> None:
    """Invoke an endpoint thousands of times; what is imported by the first ones does not count."""
    with LocalAws(engine="process", transition_seconds=0) as aws:
        in_service(prepare(aws), "e")
        runtime, process = aws.client("sagemaker-runtime"), psutil.Process(aws.health()["pid"])

        def invoke(_: int) -> None:
            answer = runtime.invoke_endpoint(
                EndpointName="e", ContentType="application/json", Body=b'{"inputs": "Hello"}'
            )
            answer["Body"].read()

        def memory() -> float:
            return sum(one.memory_info().rss for one in (process, *process.children(recursive=True))) / 1e6

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(invoke, range(number // 10)))
            before = memory()
            list(threads.map(invoke, range(number)))
            figures.add(f"growth in {number} invocations", memory() - before, "MB", GROWTH)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--engines", default="none,process,docker")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--endpoints", type=int, default=500)
    parser.add_argument("--invocations", type=int, default=10_000)
    options = parser.parse_args()
    figures = Figures()
    for engine in options.engines.split(","):
        figures.add(
            f"up to ready, {engine}", best(options.rounds, partial(start_seconds, engine)), "s", START
        )
    for engine in options.engines.split(","):
        measure_endpoints(figures, engine, options.rounds)
    measure_reset(figures, options.rounds, options.endpoints)
    measure_growth(figures, options.invocations)
    Console(width=120).print(figures.table)
    sys.exit(figures.exceeded)


if __name__ == "__main__":
    main()

"""What a thousand waits cost a triggerer: ours beside the Amazon provider's ``SageMakerTrigger``, one after the other in one run.

``python benchmarks/waiting.py`` (about 12 minutes; ``--help`` for shorter ones). Each side has a process of its own with one event loop, in
which it waits for as many endpoints of a local AWS. A front before that server holds every endpoint in Creating, and then puts one after
the other into service, evenly over some minutes; for the last part it refuses all but 10 calls a second. Calls are counted at the
server. What is imported before the first trigger is not measured, nor are the status lines that each wait logs (0.1 ms each, Airflow's;
``--log-lines`` has them written), on either side.

The Amazon provider's triggers need aiobotocore, which holds botocore back: ``uv`` makes them an environment of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

ENDPOINT = "endpoint-{:04}"
CAP = 10
#: Seconds between two beats, and two samples. Both cost CPU themselves, on either side.
HEARTBEAT, SAMPLE = 0.05, 0.25


# The waiting side: nothing of this package or of the benchmark is imported on the Amazon provider's.


def trigger_of(side: str, name: str, interval: float) -> Any:
    """Return a trigger that waits for an endpoint."""
    if side == "peer":
        from airflow.providers.amazon.aws.triggers.sagemaker import SageMakerTrigger

        return SageMakerTrigger(
            job_name=name, job_type="endpoint", waiter_delay=int(interval), waiter_max_attempts=100_000
        )
    from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

    now = time.time()
    awaited = {"until": "deployed", "endpoint_name": name, "endpoint_config_name": "config"}
    return EndpointTrigger(awaited=awaited, deadline=now + 36_000, started_at=now, poll_interval=interval)


def import_what_waits(side: str) -> None:
    """Import what a triggerer has imported that runs such triggers."""
    import airflow.providers.amazon.aws.triggers.sagemaker  # noqa: F401  # brings boto3 and the provider's hooks
    import airflow.sdk.execution_time.supervisor  # noqa: F401  # the triggerer's own
    import boto3  # noqa: F401

    if side == "peer":
        import aiobotocore.session  # noqa: F401
    else:
        import airflow_sm_hosting.deployer.endpoint_calls  # noqa: F401
        import airflow_sm_hosting.deployer.waiting  # noqa: F401
        import airflow_sm_hosting.hooks.sagemaker  # noqa: F401
        import airflow_sm_hosting.triggers.endpoint  # noqa: F401


def memory() -> int:
    """Return the resident bytes of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def wait(side: str, count: int, interval: float) -> None:
    """Wait for all endpoints; print what was measured as JSON."""
    import_what_waits(side)
    from airflow.sdk.log import configure_logging

    # Formatted as in a triggerer, where INFO lines go to the supervisor as JSON.
    output = Path(os.devnull).open("wb")  # noqa: SIM115  # until the process ends
    configure_logging(json_output=True, output=output, log_level=os.environ["LOG_LEVEL"])
    gc.collect()
    found: dict[str, Any] = {"ended": {}, "samples": [], "stall": 0.0, "bad": []}

    async def one(name: str) -> None:
        async for event in trigger_of(side, name, interval).run():
            found["ended"][name] = time.time()
            outcome = event.payload.get("status") or event.payload["sighting"]["outcome"]
            if outcome not in ("success", "deployed"):
                found["bad"].append(event.payload)

    async def heart() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(HEARTBEAT)
            found["stall"] = max(found["stall"], time.perf_counter() - began - HEARTBEAT)

    async def sampler() -> None:
        while True:
            found["samples"].append((time.time(), time.process_time(), memory()))
            await asyncio.sleep(SAMPLE)

    async def everything() -> None:
        beside = [asyncio.create_task(heart()), asyncio.create_task(sampler())]
        await asyncio.sleep(3 * SAMPLE)
        found["began"] = (time.time(), time.process_time(), memory())
        waits = []
        for number in range(count):
            waits.append(asyncio.create_task(one(ENDPOINT.format(number))))
            await asyncio.sleep(0)  # as TriggerRunner.create_triggers does
        await asyncio.gather(*waits)
        for task in beside:
            task.cancel()

    asyncio.run(everything())
    say(found)


# The server side: the local AWS, and a front that decides when an endpoint is in service and how many calls are allowed.


class Front:
    """A proxy before the local AWS.

    :param upstream: Where the local AWS listens.
    """

    def __init__(self, upstream: str) -> None:
        import urllib3

        self._pool = urllib3.PoolManager(maxsize=16, retries=False)
        self._upstream = upstream
        self._lock = threading.Lock()
        self.in_service: dict[str, float] = {}
        self.cap: int | None = None
        self.refused = 0
        self._last: deque[float] = deque()

    def answer(self, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer a request."""
        if not self._is_allowed():
            error = {"__type": "ThrottlingException", "message": "Rate exceeded"}
            return 400, {"x-amzn-ErrorType": "ThrottlingException"}, json.dumps(error).encode()
        response = self._pool.request("POST", f"{self._upstream}/", body=body, headers=headers)
        answer = json.loads(response.data or b"{}")
        for row in answer.get("Endpoints", [answer]):
            if "EndpointStatus" in row:
                at = self.in_service.get(row["EndpointName"], float("inf"))
                if at > time.time():
                    row["EndpointStatus"] = "Creating"
                else:
                    row["LastModifiedTime"] = at
        kept = {name: value for name, value in response.headers.items() if name.lower().startswith("x-amzn")}
        return response.status, kept, json.dumps(answer).encode()

    def _is_allowed(self) -> bool:
        """Allow no more than the cap in any second, strictly."""
        with self._lock:
            now = time.monotonic()
            while self._last and self._last[0] <= now - 1:
                self._last.popleft()
            if self.cap is not None and len(self._last) >= self.cap:
                self.refused += 1
                return False
            self._last.append(now)
            return True


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the front."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    front: Front

    def do_POST(self) -> None:
        """Answer an AWS request."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("host", "content-length", "connection")
        }
        status, more, answer = self.front.answer(headers, body)
        self.send_response(status)
        for name, value in {
            **more,
            "Content-Type": "application/x-amz-json-1.1",
            "Content-Length": str(len(answer)),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: Any) -> None:
        """Log nothing."""


class Server(ThreadingHTTPServer):
    """A thread a connection."""

    daemon_threads = True
    request_queue_size = 2048


def serve(count: int) -> None:
    """Serve; obey one command a line, in JSON, and answer each with a line."""
    from airflow_sm_hosting.local import LocalAws

    with LocalAws(engine="none", transition_seconds=0) as aws:
        client = aws.client("sagemaker")
        image = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference@sha256:" + "a" * 64
        client.create_model(
            ModelName="model",
            PrimaryContainer={"Image": image},
            ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
        )
        variant = {
            "VariantName": "main",
            "ModelName": "model",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        client.create_endpoint_config(EndpointConfigName="config", ProductionVariants=[variant])
        for number in range(count):
            client.create_endpoint(EndpointName=ENDPOINT.format(number), EndpointConfigName="config")
        front = Front(aws.endpoint_url)
        server = Server(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"front": front}))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        connection = aws.connection()
        connection["extra"]["endpoint_url"] = f"http://127.0.0.1:{server.server_port}"
        say(connection)
        for line in sys.stdin:
            command = json.loads(line)
            match command["do"]:
                case "clear":
                    aws.clear_requests()
                    say(None)
                case "requests":
                    say(
                        [
                            (request["operation"], request["resource"], request["time"])
                            for request in aws.requests()
                        ]
                    )
                case "cap":
                    front.cap, front.refused = command["cap"], 0
                    say(None)
                case "refused":
                    say(front.refused)
                case "settle":
                    front.in_service = schedule(count, command["seconds"])
                    say(front.in_service)


def schedule(count: int, seconds: float) -> dict[str, float]:
    """Return when each endpoint comes into service: evenly, and evenly within each hundred, which a page shows together."""
    pages = -(-count // 100)
    order = sorted(range(count), key=lambda number: (number % 100, number * 7 // 100 % pages))
    now = time.time()
    return {ENDPOINT.format(number): now + seconds * place / count for place, number in enumerate(order)}


def say(what: Any) -> None:
    """Answer a command."""
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


# The run.


class Scene:
    """A server with its endpoints.

    :param count: How many.
    :param log_level: Of what waits for them.
    """

    def __init__(self, count: int, log_level: str) -> None:
        self.count = count
        self.log_level = log_level
        self._process = subprocess.Popen(
            [sys.executable, __file__, "serve", str(count)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.connection = self._read()

    def __enter__(self) -> Scene:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def ask(self, do: str, **more: Any) -> Any:
        """Give a command, and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, **more}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def waiting(self, side: str, interval: float, home: str) -> subprocess.Popen[str]:
        """Start the process that waits."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))},
            "AIRFLOW_HOME": f"{home}/{side}",
            "LOG_LEVEL": self.log_level,
            "AIRFLOW_CONN_AWS_DEFAULT": json.dumps(self.connection),
            "NO_PROXY": "127.0.0.1",
        }
        python = [sys.executable]
        if side == "peer":
            amazon = version("apache-airflow-providers-amazon")
            python = [
                *("uv", "run", "--no-project", "--compile-bytecode", "--python", sys.executable),
                *("--with", f"apache-airflow=={version('apache-airflow')}"),
                *("--with", f"apache-airflow-providers-amazon[aiobotocore]=={amazon}", "python"),
            ]
        command = [*python, __file__, "wait", side, str(self.count), str(interval)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)

    def looked_at(self, side: str) -> float | None:
        """Return when every endpoint had been looked at once, or None if that has not been so far."""
        import datetime

        seen: set[str] = set()
        pages = 0
        for operation, resource, at in self.ask("requests"):
            pages += operation == "ListEndpoints"
            if operation == "DescribeEndpoint":
                seen.add(resource)
            if len(seen) >= self.count or (side == "ours" and pages * 100 >= self.count):
                return datetime.datetime.fromisoformat(at).timestamp()
        return None

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


def run(side: str, scene: Scene, interval: float, settle: float, home: str, say: Any) -> dict[str, float]:
    """Wait for all endpoints of a scene, and return the figures."""
    scene.ask("clear")
    process = scene.waiting(side, interval, home)
    while (started_at := scene.looked_at(side)) is None:
        assert process.poll() is None, "the waiting process ended"
        time.sleep(1)
    time.sleep(1)  # a sample after the last first look
    say(f"{side}: every endpoint was looked at; counting calls over two intervals")
    scene.ask("clear")
    time.sleep(2 * interval)
    pending = scene.ask("requests")
    say(f"{side}: {len(pending)} calls; now the endpoints come into service, over {settle:.0f} s")
    scene.ask("clear")
    in_service = scene.ask("settle", seconds=settle)
    output, _ = process.communicate(timeout=settle + 20 * interval + 300)
    found = json.loads(output.splitlines()[-1])
    assert not found["bad"], found["bad"][:3]
    import datetime

    last = [
        name
        for operation, name, at in scene.ask("requests")
        if operation == "DescribeEndpoint"
        and datetime.datetime.fromisoformat(at).timestamp() >= in_service[name]
    ]
    delays = sorted(found["ended"][name] - at for name, at in in_service.items())
    began_at, cpu_before, memory_before = found["began"]
    started = next(sample for sample in found["samples"] if sample[0] >= started_at)
    settled_at = min(in_service.values())
    most = max(used for at, _, used in found["samples"] if at < settled_at)
    backlog = max(
        sum(at <= moment for at in in_service.values()) - sum(at <= moment for at in found["ended"].values())
        for moment in in_service.values()
    )
    return {
        "calls an interval": len(pending) / 2,
        "describes a finished wait": len(last) / scene.count,
        "KB a wait": (most - memory_before) / 1024 / scene.count,
        "CPU s to start": started[1] - cpu_before,
        "s to start": started_at - began_at,
        "longest stall ms": found["stall"] * 1000,
        "median delay s": statistics.median(delays),
        "p99 delay s": delays[int(0.99 * len(delays))],
        "most not told": backlog,
    }


def main() -> None:
    """Run both sides, then ours under a cap, and print."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--waits", type=int, default=1000)
    parser.add_argument("--interval", type=float, default=30, help="seconds between two looks (default: 30)")
    parser.add_argument(
        "--settle", type=float, default=300, help="seconds until all are in service (default: 300)"
    )
    parser.add_argument("--without-peer", action="store_true")
    parser.add_argument("--log-lines", action="store_true", help="have both sides write their status lines")
    options = parser.parse_args()
    level = "INFO" if options.log_lines else "WARNING"
    console = Console()
    half = options.interval / 2
    with tempfile.TemporaryDirectory() as home:
        sides = {}
        for side in ("ours",) if options.without_peer else ("ours", "peer"):
            with Scene(options.waits, level) as scene:
                settle = options.settle if side == "ours" else min(options.settle, 2 * options.interval)
                sides[side] = run(side, scene, options.interval, settle, home, console.print)
        with Scene(200, level) as scene:
            scene.ask("cap", cap=CAP)
            capped = run("ours", scene, 5, 20, home, console.print)
            refused = scene.ask("refused")
    ours, peer = sides["ours"], sides.get("peer")

    table = Table("", "ours", "Amazon provider", "of the peer's", "budget", box=None)
    budgets = {
        "calls an interval": "0.02",
        "CPU s to start": "0.005",
        "KB a wait": "30 KB",
        "longest stall ms": "150 ms",
    }
    budgets |= {"describes a finished wait": "1", "median delay s": f"{1.05 * half:.2f} s"}
    for name, value in ours.items():
        theirs = f"{peer[name]:.2f}" if peer else ""
        ratio = f"{value / peer[name]:.4f}" if peer and peer[name] else ""
        table.add_row(name, f"{value:.2f}", theirs, ratio, budgets.get(name, ""))
    console.print(table)
    bound = 5 + capped["most not told"] / CAP
    console.print(
        f"At most {CAP} calls a second, 200 waits, every 5 s: {refused} refused (budget 0), p99 delay "
        f"{capped['p99 delay s']:.1f} s (budget {bound:.1f} s: the interval, and {capped['most not told']:.0f} "
        f"pending describes at {CAP} a second)"
    )


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve", count]:
            serve(int(count))
        case ["wait", side, count, interval]:
            wait(side, int(count), float(interval))
        case _:
            main()

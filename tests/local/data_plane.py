"""A local AWS in this process, in virtual time, whose containers are functions of the tests: asked over HTTP, started at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config
from moto.cloudwatch import urls

from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.engines.engine import ContainerSpec, Engine, RunningContainer
from airflow_sm_hosting.local.server.application import LocalAwsApp
from airflow_sm_hosting.local.server.http_server import make_http_server
from tests.local.conftest import Deployer, wait_until
from tests.local.region import REGION, START


@dataclass
class Asked:
    """What a container is asked."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    plan: ContainerSpec


@dataclass
class Answer:
    """What it answers; a body of several pieces is sent piece by piece, and one that raises breaks the connection."""

    body: bytes | Iterator[bytes] = b""
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)


Model = Callable[[Asked], Answer]


class Function(RunningContainer):
    """A container that is a function."""

    def __init__(self, plan: ContainerSpec, model: Model) -> None:
        self.resolved_image = plan.image
        self._ended: int | None = None

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.path == "/ping":
                    given = Answer()
                else:
                    given = model(Asked(self.command, self.path, self.headers, body, plan))
                whole = isinstance(given.body, bytes)
                self.send_response(given.status)
                for name, value in {"Content-Type": given.content_type, **given.headers}.items():
                    self.send_header(name, value)
                self.send_header(
                    *(("Content-Length", str(len(given.body))) if whole else ("Transfer-Encoding", "chunked"))
                )
                self.end_headers()
                if isinstance(given.body, bytes):
                    self.wfile.write(given.body)
                    return
                self.close_connection = True
                try:
                    for piece in given.body:
                        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.write(b"0\r\n\r\n")
                except BrokenStream:
                    pass

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def exit_code(self) -> int | None:
        return self._ended

    def kill(self) -> None:
        self.stop()

    def stop(self, grace: float = 0) -> None:
        if self._ended is None:
            self._ended = 0
            self._server.shutdown()
            self._server.server_close()


class BrokenStream(Exception):
    """Raised by a model to break its answer off."""


class Functions(Engine):
    """Starts the function that the container's environment names as ``MODEL``."""

    name = "functions"

    def __init__(self) -> None:
        self.models: dict[str, Model] = {}
        self.plans: list[ContainerSpec] = []

    def start(self, plan: ContainerSpec) -> RunningContainer:
        self.plans.append(plan)
        return Function(plan, self.models[plan.environment["MODEL"]])


class DataPlane:
    """A local AWS in this process."""

    access_key = "test"

    def __init__(self) -> None:
        self.clock = VirtualClock(START)
        self.engine = Functions()
        self.app = LocalAwsApp(
            access_key=self.access_key,
            region=REGION,
            engine=self.engine,
            transition_seconds=0,
            clock=self.clock,
        )
        self._server = make_http_server(0, self.app)
        self.endpoint_url = f"http://127.0.0.1:{self._server.server_port}"
        self.app.start(self._server.server_port)
        self._clients: dict[str, Any] = {}
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.deployer = Deployer(self)
        self.sagemaker, self.runtime = self.client("sagemaker"), self.client("sagemaker-runtime")

    def client(self, service: Any) -> Any:
        if service not in self._clients:
            self._clients[service] = boto3.Session(self.access_key, "secret", region_name=REGION).client(
                service,
                endpoint_url=self.endpoint_url,
                config=Config(proxies={}, retries={"max_attempts": 1}),
            )
        return self._clients[service]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.app.close()

    def reset(self) -> None:
        self.app.reset()
        self.engine.models.clear()
        self.engine.plans.clear()

    @property
    def hosting(self) -> Any:
        return self.app.region(REGION)

    # Short words

    def container(self, model: Model, **more: Any) -> dict[str, Any]:
        """Return the definition of a container that is a function."""
        name = f"model-{len(self.engine.models)}"
        self.engine.models[name] = model
        return {"Image": "elsewhere/image:1", "Environment": {"MODEL": name}, **more}

    def serving(self, model: Model, variant: Mapping[str, Any] | None = None, **config: Any) -> str:
        """Deploy a function, and return the endpoint's name."""
        name = self.deployer.model(**self.container(model))
        return self.deployer.endpoint(
            self.deployer.config(self.deployer.variant(name, **(variant or {})), **config)
        )

    def serving_several(self, *containers: Mapping[str, Any], **model: Any) -> str:
        """Deploy a model of several containers, and return the endpoint's name."""
        name = self.deployer.name("several")
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=_ROLE, Containers=list(containers), **model
        )
        return self.deployer.endpoint(self.deployer.config(self.deployer.variant(name)))

    def invoke(self, endpoint: str, body: bytes = b"1,2", **more: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(EndpointName=endpoint, Body=body, **more)
        return {**answer, "Body": answer["Body"].read()}

    def bucket(self, **objects: bytes) -> str:
        name = self.deployer.name("bucket")
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name)
        for key, data in objects.items():
            s3.put_object(Bucket=name, Key=key, Body=data)
        return name

    def object(self, uri: str) -> bytes | None:
        """Return what is in S3, None for nothing."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        keys = {row["Key"] for row in self.client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())}
        return self.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read() if key in keys else None

    def objects(self, bucket: str) -> dict[str, bytes]:
        rows = self.client("s3").list_objects_v2(Bucket=bucket).get("Contents", ())
        return {row["Key"]: self.object(f"s3://{bucket}/{row['Key']}") or b"" for row in rows}

    def metric(
        self, name: str, statistic: str = "Sum", namespace: str = "AWS/SageMaker", **where: str
    ) -> float | None:
        """Return a statistic of a metric over the last two hours, None where there is none."""
        found = self.client("cloudwatch").get_metric_statistics(
            Namespace=namespace,
            MetricName=name,
            Dimensions=[{"Name": key, "Value": value} for key, value in where.items()],
            StartTime=START.timestamp() - 7200 + (self.clock.now() - START).total_seconds(),
            EndTime=self.clock.now().timestamp() + 60,
            Period=7260 // 60 * 60,
            Statistics=[statistic],
        )["Datapoints"]
        return sum(point[statistic] for point in found) if found else None

    def settled(self) -> None:
        """Wait until nothing is worked on in the background."""
        self.clock.advance(0)


_ROLE = "arn:aws:iam::123456789012:role/sagemaker"


@contextmanager
def data_plane() -> Iterator[DataPlane]:
    """Have a local AWS in this process, and moto as it was afterwards."""
    before = dict(urls.url_paths)
    made = DataPlane()
    try:
        yield made
    finally:
        made.close()
        urls.url_paths.clear()
        urls.url_paths.update(before)


def echo(asked: Asked) -> Answer:
    """Answer with what was asked."""
    return Answer(asked.body, content_type=asked.headers.get("Content-Type") or "text/plain")


def slow(seconds: float) -> Model:
    def model(asked: Asked) -> Answer:
        time.sleep(seconds)
        return echo(asked)

    return model


__all__ = ["Answer", "Asked", "BrokenStream", "DataPlane", "data_plane", "echo", "slow", "wait_until"]

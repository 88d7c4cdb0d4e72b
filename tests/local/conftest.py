from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws

if TYPE_CHECKING:
    from tests.local.region import Region

ROLE = "arn:aws:iam::123456789012:role/sagemaker"
# An image that nobody here can look into: enough where no container runs.
FOREIGN_IMAGE = "763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-inference:2.6.0-cpu-py312"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
SERVING = Path(__file__).with_name("serving.py")
# What an image says that it can: multi-container-troubleshooting.html, build-multi-model-build-container.html
CAPABILITIES = {
    f"com.amazonaws.sagemaker.capabilities.{name}": "true" for name in ("accept-bind-to-port", "multi-models")
}


def wait_until(condition: Callable[[], Any], *, seconds: float = 60) -> Any:
    """Return the first true value of ``condition``."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return value


def tar_bytes(members: dict[str, bytes | tarfile.TarInfo], *, compressed: bool = True) -> bytes:
    """Return a tar of files, or of members of any other kind."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in members.items():
            if isinstance(content, tarfile.TarInfo):
                tar.addfile(content)
                continue
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(content), 0o755
            tar.addfile(info, io.BytesIO(content))
    # Without the time, so that the same files are the same bytes.
    return gzip.compress(buffer.getvalue(), mtime=0) if compressed else buffer.getvalue()


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def refusal_of(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Return the code and the message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


class Deployer:
    """Short words for what the tests do again and again."""

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        self.runtime = aws.client("sagemaker-runtime")
        self._numbers = iter(range(1, 10_000))
        self.http = urllib3.PoolManager(retries=False)

    def name(self, prefix: str) -> str:
        return f"{prefix}-{next(self._numbers)}"

    # Images

    def registry_login(self) -> dict[str, str]:
        token = self.aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
        return {"Authorization": f"Basic {token}"}

    def repository(self, **options: Any) -> str:
        name = self.name("team/repo")
        self.aws.client("ecr").create_repository(repositoryName=name, **options)
        return name

    def push_blob(self, repository: str, data: bytes) -> str:
        login = self.registry_login()
        url = f"{self.aws.endpoint_url}/v2/{repository}/blobs/uploads/"
        upload = self.http.request("POST", url, headers=login)
        assert upload.status == 202, upload.data
        place = f"{self.aws.endpoint_url}{upload.headers['Location']}?digest={digest_of(data)}"
        done = self.http.request("PUT", place, body=data, headers=login)
        assert done.status == 201, done.data
        return digest_of(data)

    def push_image(
        self,
        files: dict[str, bytes] | None = None,
        *,
        config: dict[str, Any] | None = None,
        tag: str = "latest",
        repository: str | None = None,
        media_type: str = DOCKER_MANIFEST,
        layers: list[bytes] | None = None,
    ) -> str:
        """Push an image of a few files, and return its URI by tag."""
        repository = repository or self.repository()
        files = files if files is not None else {"opt/program/serve.py": SERVING.read_bytes()}
        config = config or {"Entrypoint": ["python3", "/opt/program/serve.py"], "Labels": CAPABILITIES}
        layers = layers or [tar_bytes(files)]
        described = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": config,
                "rootfs": {"type": "layers", "diff_ids": [digest_of(gzip.decompress(x)) for x in layers]},
            }
        ).encode()
        oci = media_type == OCI_MANIFEST
        manifest = json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": media_type,
                "config": {
                    "mediaType": "application/vnd.oci.image.config.v1+json"
                    if oci
                    else "application/vnd.docker.container.image.v1+json",
                    "size": len(described),
                    "digest": self.push_blob(repository, described),
                },
                "layers": [
                    {
                        "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"
                        if oci
                        else "application/vnd.docker.image.rootfs.diff.tar.gzip",
                        "size": len(layer),
                        "digest": self.push_blob(repository, layer),
                    }
                    for layer in layers
                ],
            }
        ).encode()
        put = self.http.request(
            "PUT",
            f"{self.aws.endpoint_url}/v2/{repository}/manifests/{tag}",
            body=manifest,
            headers={**self.registry_login(), "Content-Type": media_type},
        )
        assert put.status == 201, put.data
        assert put.headers["Docker-Content-Digest"] == digest_of(manifest)
        return f"{self.aws.endpoint_url.removeprefix('http://')}/{repository}:{tag}"

    # Models, configs, endpoints

    def upload(self, data: bytes, key: str = "model.tar.gz") -> str:
        bucket = self.name("bucket")
        s3 = self.aws.client("s3")
        s3.create_bucket(Bucket=bucket)
        s3.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    def model(self, **container: Any) -> str:
        name = self.name("model")
        self.sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer={"Image": FOREIGN_IMAGE, **container}
        )
        return name

    def variant(self, model: str | None = None, name: str = "main", **more: Any) -> dict[str, Any]:
        return {
            "VariantName": name,
            "ModelName": model or self.model(),
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "ContainerStartupHealthCheckTimeoutInSeconds": 60,
            **more,
        }

    def config(self, *variants: dict[str, Any], **more: Any) -> str:
        name = self.name("config")
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name, ProductionVariants=list(variants) or [self.variant()], **more
        )
        return name

    def endpoint(self, config: str | None = None, *, wait: bool = True, **more: Any) -> str:
        name = self.name("endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config or self.config(), **more)
        if wait:
            self.settled(name)
        return name

    def describe(self, endpoint: str) -> dict[str, Any]:
        return self.sagemaker.describe_endpoint(EndpointName=endpoint)

    def settled(self, endpoint: str) -> dict[str, Any]:
        """Return the description of an endpoint once it is in transition no more."""

        def ended() -> dict[str, Any] | None:
            found = self.describe(endpoint)
            return found if found["EndpointStatus"] in ("InService", "Failed") else None

        return wait_until(ended)

    def invoke(self, endpoint: str, body: bytes = b"1,2", **more: Any) -> dict[str, Any]:
        answer = self.runtime.invoke_endpoint(
            EndpointName=endpoint, Body=body, **{"ContentType": "text/csv", **more}
        )
        return {**json.loads(answer["Body"].read()), "variant": answer["InvokedProductionVariant"]}

    def log(self, endpoint: str) -> str:
        """Return all that the containers of an endpoint wrote."""
        logs, group = self.aws.client("logs"), f"/aws/sagemaker/Endpoints/{endpoint}"
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        events = [
            event["message"]
            for stream in streams
            for event in logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )["events"]
        ]
        return "\n".join(events)


@pytest.fixture(scope="session")
def _none_server() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=0) as aws:
        yield aws


@pytest.fixture
def aws(_none_server: LocalAws) -> LocalAws:
    """A local AWS that runs no containers, empty."""
    _none_server.reset()
    return _none_server


@pytest.fixture(scope="session")
def _virtual_server() -> Iterator[LocalAws]:
    with LocalAws(engine="none", transition_seconds=0, clock="virtual") as aws:
        yield aws


@pytest.fixture
def virtual_aws(_virtual_server: LocalAws) -> LocalAws:
    """A local AWS that runs no containers, empty, whose time is advanced; it begins on a full hour."""
    _virtual_server.reset()
    return _virtual_server


@pytest.fixture
def deployer(aws: LocalAws) -> Deployer:
    return Deployer(aws)


@pytest.fixture(scope="session")
def process_deployer() -> Iterator[Deployer]:
    """A local AWS whose containers are Python processes."""
    with LocalAws(engine="process", transition_seconds=0) as aws:
        yield Deployer(aws)


@pytest.fixture(scope="session")
def virtual_process_deployer() -> Iterator[Deployer]:
    """A local AWS whose containers are Python processes, and whose time is advanced by the tests."""
    with LocalAws(engine="process", transition_seconds=0, clock="virtual") as aws:
        yield Deployer(aws)


@pytest.fixture(scope="session")
def docker_deployer(docker_client: Any) -> Iterator[Deployer]:
    """A local AWS whose containers are Docker's."""
    with LocalAws(engine="docker", transition_seconds=0) as aws:
        yield Deployer(aws)


def login_of(aws: LocalAws) -> tuple[str, str]:
    """Return user and password of the registry."""
    token = aws.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return user, password


@pytest.fixture
def make_region(tmp_path: Path) -> Iterator[Callable[..., Region]]:
    """Make :class:`tests.local.region.Region`s: SageMaker hosting in this process, in virtual time."""
    # With moto, which other tests do without.
    from tests.local.region import Region

    made: list[Region] = []

    def make(**more: Any) -> Region:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Region(folder, **more))
        return made[-1]

    yield make
    for region in made:
        region.hosting.endpoints.stop_all(0)
        region.clock.close()


@pytest.fixture
def region(make_region: Callable[..., Region]) -> Region:
    return make_region()

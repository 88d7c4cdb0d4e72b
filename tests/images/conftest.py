from __future__ import annotations

import io
import json
import os
import shutil
import socket
import struct
import subprocess
import tarfile
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest
import requests

from airflow_sm_hosting.images.builders import Destination
from airflow_sm_hosting.images.manifests import digest_of
from airflow_sm_hosting.images.registry import RegistryClient, RegistryError

USERNAME = "AWS"
PASSWORD = "registry-password"
PASSWORD_HASH = "$2b$04$MkqixG1eJiBQdqBn2NIYWuoKGUqxujnCngNh0wJFj/5OvT/xC/MaS"


def _missing(what: str) -> None:
    if os.environ.get("SM_HOSTING_REQUIRE_ENGINE") == "1":
        pytest.fail(f"{what}, and SM_HOSTING_REQUIRE_ENGINE=1 asks for it")
    pytest.skip(what)


class RecordingLog:
    """A logger whose lines can be read."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []

    def info(self, msg: object, /, *args: object) -> None:
        self.lines.append(str(msg) % args if args else str(msg))

    def warning(self, msg: object, /, *args: object) -> None:
        self.info(msg, *args)
        self.warnings.append(self.lines[-1])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def log() -> RecordingLog:
    return RecordingLog()


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a folder to build: ``write({"Dockerfile": "FROM scratch"})``; an ``x `` before a name: executable."""

    def write_folder(files: dict[str, str | bytes], name: str = "context") -> Path:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        for key, content in files.items():
            path = folder / key.removeprefix("x ")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
            if key.startswith("x "):
                path.chmod(0o755)
        return folder

    return write_folder


@dataclass(frozen=True)
class Registry:
    host: str

    def destination(self, repository: str | None = None, tag: str = "v1") -> Destination:
        name = repository or f"test/{uuid.uuid4().hex[:12]}"
        return Destination(f"{self.host}/{name}", tag, USERNAME, PASSWORD)

    def client(self) -> RegistryClient:
        return RegistryClient(self.host, username=USERNAME, password=PASSWORD)


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Return a real image registry with Basic authentication, as ECR has it (Debian's docker-registry)."""
    program = shutil.which("docker-registry")
    if program is None:
        _missing("docker-registry is not installed (apt-get install docker-registry)")
    folder = tmp_path_factory.mktemp("registry")
    (folder / "htpasswd").write_text(f"{USERNAME}:{PASSWORD_HASH}\n")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    configuration = {
        "version": "0.1",
        "log": {"level": "info", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
        "http": {"addr": host},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    errors = (folder / "log").open("wb")
    process = subprocess.Popen(
        [str(program), "serve", str(folder / "config.yml")], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    try:
        assert process.stderr is not None
        said = b""
        for line in process.stderr:
            said += line
            if b"listening on" in line:
                break
        else:
            pytest.fail(f"docker-registry did not start:\n{said.decode()}")
        # Somebody has to read on: with the pipe full, the registry would stand still.
        threading.Thread(target=shutil.copyfileobj, args=(process.stderr, errors), daemon=True).start()
        yield Registry(host)
    finally:
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    try:
        client = docker.from_env(timeout=60)
        client.ping()
    except (docker.errors.DockerException, requests.RequestException) as error:
        _missing(f"no Docker Engine answers ({error})")
    if client.version()["Arch"] != "amd64":
        _missing("the Docker Engine is not of the architecture amd64, which the test program is for")
    yield client
    client.close()


@pytest.fixture(scope="session")
def run_container(engine: docker.DockerClient) -> Callable[..., bytes]:
    """Return a function that runs an image and returns what it printed."""

    def run(image: str, *command: str) -> bytes:
        container = engine.containers.create(image, list(command) or None)
        try:
            container.start()
            assert container.wait()["StatusCode"] == 0, container.logs()
            # containers.run() follows the log while the container ends, and sometimes gets nothing of it.
            output: bytes = container.logs()
            return output
        finally:
            container.remove(force=True)

    return run


@pytest.fixture(scope="session")
def cat() -> bytes:
    """Return a program that prints the file that it is given: Linux, x86-64, static, 4 KiB at most."""
    code = bytes.fromhex(
        "488b7c2410 31f6 b802000000 0f05"  # open(argv[1], O_RDONLY)
        "89c7 4881ec00100000 4889e6 ba00100000 31c0 0f05"  # read(fd, stack, 4096)
        "89c2 bf01000000 4889e6 b801000000 0f05"  # write(1, stack, count)
        "b83c000000 31ff 0f05"  # exit(0)
    )
    base, headers = 0x400000, 64 + 56
    size = headers + len(code)
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, base + headers, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    program = struct.pack("<IIQQQQQQ", 1, 5, 0, base, base, size, size, 0x1000)
    return identity + header + program + code


@pytest.fixture(scope="session")
def base_image(engine: docker.DockerClient, registry: Registry, cat: bytes) -> Iterator[str]:
    """Return an image in the registry with what breaks careless builders: /bin is a link, /tmp has its own mode."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, mode in (("usr", 0o755), ("usr/bin", 0o755), ("tmp", 0o1777), ("opt/model", 0o750)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.uid = tarfile.DIRTYPE, mode, 1000 if name == "opt/model" else 0
            tar.addfile(info)
        program = tarfile.TarInfo("usr/bin/cat")
        program.mode, program.size = 0o755, len(cat)
        tar.addfile(program, io.BytesIO(cat))
        link = tarfile.TarInfo("bin")
        link.type, link.linkname = tarfile.SYMTYPE, "usr/bin"
        tar.addfile(link)
    name = f"{registry.host}/base/cat"
    engine.api.import_image_from_data(
        archive.getvalue(), repository=name, tag="1", changes=["ENV BASE=yes", 'CMD ["base"]']
    )
    for event in engine.api.push(
        name, tag="1", stream=True, decode=True, auth_config={"username": USERNAME, "password": PASSWORD}
    ):
        assert "error" not in event, event
    yield f"{name}:1"
    with suppress(docker.errors.ImageNotFound):
        engine.images.remove(f"{name}:1", force=True)


def manifest_digest(client: RegistryClient, repository: str, reference: str) -> str | None:
    """Return the digest of a manifest; None if there is no such."""
    try:
        return digest_of(client.get_manifest(repository, reference)[1])
    except RegistryError as error:
        if error.status != 404:
            raise
        return None

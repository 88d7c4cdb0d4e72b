"""The container of a build of CodeBuild: an image that stands in for AWS's own, with the Docker client, on this computer's engine.

AWS's build images are gigabytes in a registry of AWS. This one is made from Debian's packages: a shell, Python, the Docker client, and a
command ``aws`` of which there is only what an image build needs (:mod:`airflow_sm_hosting.local.engines.aws_command`).
"""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, BuildError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.local.engines import aws_command
from airflow_sm_hosting.local.engines.base_image import (
    download_packages,
    ensure_debian_python_base,
    known_packages,
    unpack,
)
from airflow_sm_hosting.local.engines.engine import BuildContainer, ContainerError

_SOCKET = "/var/run/docker.sock"
_LOCK = threading.Lock()


class DockerBuildContainer(BuildContainer):
    """A container of the Docker engine in which commands are run.

    :param container: It runs, and does nothing by itself.
    """

    def __init__(self, container: Container) -> None:
        self._container = container

    def run(
        self, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> int:
        """Run a command; one whose container was stopped ended with 137, as a killed process does."""
        api: Any = self._container.client.api  # type: ignore[union-attr]  # it has one
        try:
            started = api.exec_create(self._container.id, list(command), environment=dict(environment))
            rest = b""
            for data in api.exec_start(started["Id"], stream=True):
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    on_line(line.decode("utf-8", "replace").rstrip("\r"))
            if rest:
                on_line(rest.decode("utf-8", "replace"))
            code = api.exec_inspect(started["Id"])["ExitCode"]
        except APIError:
            return 137
        return 137 if code is None else int(code)

    def stop(self) -> None:
        """Kill and remove the container."""
        with suppress(NotFound, APIError):
            self._container.remove(force=True, v=True)


def start_build_container(
    client: docker.DockerClient, labels: Mapping[str, str], *, privileged: bool
) -> BuildContainer:
    """Start a container of the stand-in image.

    It has the network of this computer, where the local AWS and its registry listen. A privileged one has the engine's socket in place of
    a Docker daemon of its own: such a build may do what whoever starts the local AWS may do with Docker.

    :param client: A client of an engine on this computer.
    :param labels: Of the container.
    :param privileged: Whether it reaches the engine: in AWS, only a privileged one can run a Docker daemon
        (https://docs.aws.amazon.com/codebuild/latest/userguide/sample-docker.html).
    :raises ContainerError: It cannot be started.
    """
    if not client.api.base_url.startswith("http+docker://"):
        raise ContainerError(
            "Builds need a Docker engine on this computer, behind a Unix socket, and DOCKER_HOST leads to another one."
        )
    try:
        with _LOCK:
            image = ensure_build_image(client)
        container = client.containers.run(
            image,
            ["tail", "-f", "/dev/null"],
            detach=True,
            labels=dict(labels),
            network_mode="host",
            volumes={_socket_of(client): {"bind": _SOCKET, "mode": "rw"}} if privileged else {},
        )
    except (DockerException, ImageBuildError, OSError) as error:
        raise ContainerError(f"The container of the build cannot be started: {error}") from error
    return DockerBuildContainer(container)


def ensure_build_image(client: docker.DockerClient) -> str:
    """Make the stand-in image, unless the engine has it, and return its tag.

    :raises ImageBuildError: It cannot be made.
    """
    command = b"#!/usr/bin/python3\n" + Path(aws_command.__file__).read_bytes()
    tag = f"sm-hosting-codebuild:{hashlib.sha256(command).hexdigest()[:12]}"
    with suppress(ImageNotFound):
        client.images.get(tag)
        return tag
    base = ensure_debian_python_base(client)
    with tempfile.TemporaryDirectory(prefix="sm-hosting-codebuild-") as name:
        root = Path(name) / "root"
        root.mkdir()
        for package in _download_docker_client(Path(name)):
            unpack(package, root)
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            _add(
                tar, "Dockerfile", f"FROM {base}\nCOPY bin/ /usr/local/bin/\nCOPY cli/ /usr/libexec/docker/\n"
            )
            _add(tar, "bin/aws", command)
            tar.add(root / "usr/bin/docker", "bin/docker")
            plugins = root / "usr/libexec/docker"
            plugins.mkdir(parents=True, exist_ok=True)
            tar.add(plugins, "cli")
        context.seek(0)
        try:
            client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
        except BuildError as error:
            raise ImageBuildError(f"The image for builds cannot be made: {error}") from error
    return tag


def _download_docker_client(folder: Path) -> list[Path]:
    """Download the Docker client: a package of its own in newer Debian, with BuildKit in another one."""
    known = known_packages("docker-")
    wanted = [name for name in ("docker-cli", "docker-buildx") if name in known]
    packages = folder / "packages"
    packages.mkdir()
    return download_packages(wanted if "docker-cli" in wanted else ["docker.io"], packages)


def _socket_of(client: docker.DockerClient) -> str:
    """Return the path of the engine's socket on this computer."""
    adapter: Any = client.api.get_adapter(client.api.base_url)
    return str(getattr(adapter, "socket_path", _SOCKET))


def _add(tar: tarfile.TarFile, name: str, content: bytes | str) -> None:
    data = content.encode() if isinstance(content, str) else content
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o755
    tar.addfile(member, io.BytesIO(data))

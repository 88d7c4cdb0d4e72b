"""The docker engine: containers through the Docker Engine API, as SageMaker runs them."""

from __future__ import annotations

import logging
import platform
import shutil
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.models.containers import Container

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.build_container import start_build_container
from airflow_sm_hosting.local.engines.engine import (
    STOP_GRACE_SECONDS,
    BuildContainer,
    ContainerError,
    ContainerSpec,
    Engine,
    MissingImageError,
    RunningContainer,
    Usage,
)
from airflow_sm_hosting.local.engines.stand_in_program import ensure_stand_in_image
from airflow_sm_hosting.local.work_dir import is_free

LOG = logging.getLogger(__name__)

# Says which server a container belongs to, where that server runs, and the lock that it holds while it lives.
INSTANCE_LABEL = "sm-hosting.local"
HOST_LABEL = "sm-hosting.local.host"
LOCK_LABEL = "sm-hosting.local.lock"

_PROBE_SECONDS = 5


def docker_client(timeout: int = 120) -> docker.DockerClient:
    """Return a client of the Docker engine that the environment names.

    :raises DockerException: None answers.
    """
    # An engine that hangs must not hang the start.
    probe = docker.from_env(timeout=_PROBE_SECONDS)
    probe.ping()
    probe.close()
    return docker.from_env(timeout=timeout, max_pool_size=100)


class DockerContainer(RunningContainer):
    """A container of the Docker engine.

    :param port: Where it listens.
    :param network: The network that it is asked through, where that is not a published port.
    """

    def __init__(
        self,
        container: Container,
        resolved_image: str,
        on_line: Callable[[str], None],
        port: int,
        network: str | None,
    ) -> None:
        self.resolved_image = resolved_image
        self._container = container
        self._ended: int | None = None
        self._measured_at = time.monotonic()
        self._cpu_seconds = 0.0
        self._disk: Path | None = None
        self.url = self._address(port, network)
        self._reader = threading.Thread(target=_follow_log, args=(container, on_line), daemon=True)
        self._reader.start()

    def _address(self, port: int, network: str | None) -> str | None:
        self._container.reload()
        if network:
            address = self._container.attrs["NetworkSettings"]["Networks"][network]["IPAddress"]
            return f"http://{address}:{port}" if address else None
        bindings = self._container.ports.get(f"{port}/tcp")
        return f"http://127.0.0.1:{bindings[0]['HostPort']}" if bindings else None

    def take_model(self, name: str, folder: Path) -> str:
        """Copy a model in, and remove it from here."""
        path = f"/opt/ml/models/{name}/model"
        _copy_in(self._container, folder, path)
        shutil.rmtree(folder)
        return path

    def exit_code(self) -> int | None:
        """Return the exit code of the container, or None while it runs."""
        if self._ended is None:
            try:
                self._container.reload()
            except NotFound:
                self._ended = 137
            else:
                if self._container.status in ("exited", "dead"):
                    self._ended = int(self._container.attrs["State"]["ExitCode"])
                    # What it said last must be in the log when the endpoint's failure points there.
                    self._reader.join(timeout=2)
        return self._ended

    def usage(self) -> Usage | None:
        """Return what the container uses, of what its engine lets it."""
        client = self._container.client
        try:
            stats: Any = self._container.stats(stream=False, one_shot=True)
            if self._disk is None and client:
                self._disk = Path(client.info()["DockerRootDir"])
            cpu, memory = stats["cpu_stats"]["cpu_usage"]["total_usage"] / 1e9, stats["memory_stats"]
            # The cache of files is not the container's: as `docker stats` counts.
            held = memory["usage"] - memory["stats"].get("inactive_file", 0)
            limit = memory["limit"]
        except (DockerException, OSError, KeyError):
            # It has just ended.
            return None
        now = time.monotonic()
        used, passed = cpu - self._cpu_seconds, now - self._measured_at
        self._cpu_seconds, self._measured_at = cpu, now
        disk = shutil.disk_usage(self._disk) if self._disk and self._disk.is_dir() else None
        return Usage(
            max(0.0, 100 * used / passed),
            100 * held / limit,
            100 * disk.used / disk.total if disk else None,
            held / 2**20,
        )

    def kill(self) -> None:
        """Kill the container, and let it lie."""
        # It may have ended by itself.
        with suppress(APIError):
            self._container.kill()

    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """Stop and remove the container."""
        with suppress(NotFound):
            if grace:
                with suppress(APIError):
                    self._container.stop(timeout=int(grace))
            self._container.remove(force=True, v=True)
        self._reader.join(timeout=2)


class DockerEngine(Engine):
    """Runs containers with Docker.

    Containers are labelled with the server that they belong to. A server that was killed leaves its own behind: the
    next one that starts takes away those whose server's lock is free.

    :param registry: Where the images are.
    :param client: A client of the engine.
    :param lock_file: The lock that the server holds while it lives.
    """

    name = "docker"

    def __init__(self, registry: Registry, client: docker.DockerClient, lock_file: Path) -> None:
        self._registry = registry
        self._client = client
        self._pulled: set[str] = set()
        self._lock_file = lock_file
        self._labels = {
            INSTANCE_LABEL: lock_file.stem,
            HOST_LABEL: platform.node(),
            LOCK_LABEL: str(lock_file),
        }
        self._isolated: str | None = None
        self._isolating = threading.Lock()
        self._sweep()

    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Create a container, put the model in, and start it."""
        reference, resolved = self._pull(spec)
        network = self._isolated_network(spec) if spec.network_isolation else None
        try:
            container = self._client.containers.create(
                reference,
                command=["serve"],
                environment=dict(spec.environment),
                labels={**self._labels, "sm-hosting.local.name": spec.name},
                # An empty port is a free one; the type stubs have only numbers.
                ports={f"{spec.port}/tcp": ("127.0.0.1", None)},  # type: ignore[dict-item]
                mem_limit=f"{spec.memory_mb}m" if spec.memory_mb else None,
                network=network,
            )
        except APIError as error:
            raise ContainerError(
                f"The container of {spec.image} cannot be created: {error.explanation}"
            ) from error
        try:
            # A stand-in does without an empty folder, and to copy takes longer than its program to start.
            if not spec.stand_in or any(spec.model_folder.iterdir()):
                _copy_in(container, spec.model_folder, "/opt/ml/model")
            container.start()
        except (DockerException, OSError) as error:
            with suppress(DockerException):
                container.remove(force=True, v=True)
            reason = error.explanation if isinstance(error, APIError) else error
            raise ContainerError(f"The container of {spec.image} cannot be started: {reason}") from error
        return DockerContainer(container, resolved, spec.on_line, spec.port, network)

    def has_image(self, reference: str) -> bool:
        """Return whether the engine has an image."""
        try:
            self._client.images.get(reference)
        except DockerException:
            return False
        return True

    def start_build(self, name: str, *, privileged: bool) -> BuildContainer:
        """Start a container of the stand-in image that reaches this server and, if privileged, this engine."""
        labels = {**self._labels, "sm-hosting.local.name": name}
        return start_build_container(self._client, labels, privileged=privileged)

    def close(self) -> None:
        """Remove all containers of this server, and the names of the images that it pulled."""
        self._remove_containers({"label": f"{INSTANCE_LABEL}={self._labels[INSTANCE_LABEL]}"})
        if self._isolated:
            with suppress(DockerException):
                self._client.networks.get(self._isolated).remove()
        for reference in self._pulled:
            with suppress(DockerException):
                self._client.images.remove(reference)
        self._client.close()

    def _pull(self, spec: ContainerSpec) -> tuple[str, str]:
        """Return the reference to run, and the one by digest to show."""
        if spec.stored:
            reference = f"{self._registry.host}/{spec.stored.repository}@{spec.stored.digest}"
            login = {"username": "AWS", "password": self._registry.password}
            try:
                self._client.images.pull(reference, auth_config=login)
            except DockerException as error:
                raise ContainerError(f"The image {spec.image} cannot be pulled: {error}") from error
            self._pulled.add(reference)
            return reference, reference
        if spec.stand_in:
            try:
                return ensure_stand_in_image(self._client), spec.image
            except (ImageBuildError, DockerException, OSError) as error:
                raise ContainerError(f"The stand-in for {spec.image} cannot be started: {error}") from error
        # An image of another registry, such as AWS's Deep Learning Containers: the engine may have it, or may get it.
        try:
            image = self._client.images.get(spec.image)
        except ImageNotFound:
            try:
                image = self._client.images.pull(spec.image)
            except DockerException as error:
                raise MissingImageError(f"The image {spec.image} cannot be pulled: {error}.") from error
        digests = image.attrs.get("RepoDigests") or [spec.image]
        return spec.image, digests[0]

    def _isolated_network(self, spec: ContainerSpec) -> str | None:
        """Return the network from which only this computer can be reached, or None where containers could not be asked through it.

        No port of it can be published, so its containers are asked at their own addresses, which only the computer that the
        engine runs on can do.
        """
        if platform.system() != "Linux" or not self._is_on_this_kernel():
            LOG.warning(
                "%s has a network, although its model has EnableNetworkIsolation: containers of an engine on "
                "another computer or in a virtual machine cannot be reached without one.",
                spec.name,
            )
            return None
        with self._isolating:
            if self._isolated is None:
                name = self._labels[INSTANCE_LABEL]
                apart = {"com.docker.network.bridge.enable_icc": "false"}
                self._client.networks.create(name, internal=True, options=apart, labels=self._labels)
                self._isolated = name
        return self._isolated

    def _is_on_this_kernel(self) -> bool:
        # The socket of Docker Desktop is on this computer, its containers are in a virtual machine.
        local = self._client.api.base_url.startswith("http+docker://")
        return local and self._client.info().get("KernelVersion") == platform.release()

    def _sweep(self) -> None:
        """Remove the containers of servers of this computer that are gone."""
        for container in self._client.containers.list(
            all=True, ignore_removed=True, filters={"label": f"{HOST_LABEL}={platform.node()}"}
        ):
            if self._is_left(container.labels):
                LOG.info("removing the container %s: its server is no longer running", container.name)
                with suppress(DockerException):
                    container.remove(force=True, v=True)
                    image = container.attrs["Config"]["Image"]
                    if image.startswith("127.0.0.1:") and "@" in image:
                        # The name under which its server pulled it; nobody can pull from there again.
                        self._client.images.remove(image)
        for network in self._client.networks.list(filters={"label": f"{HOST_LABEL}={platform.node()}"}):
            if self._is_left(network.attrs.get("Labels") or {}):
                with suppress(DockerException):
                    network.remove()

    def _is_left(self, labels: Mapping[str, str]) -> bool:
        lock_file = Path(labels.get(LOCK_LABEL, ""))
        return lock_file != self._lock_file and is_free(lock_file)

    def _remove_containers(self, filters: dict[str, Any]) -> None:
        for container in self._client.containers.list(all=True, ignore_removed=True, filters=filters):
            with suppress(DockerException):
                container.remove(force=True, v=True)


def _copy_in(container: Container, folder: Path, path: str) -> None:
    """Copy a folder into a container; a bind mount would not work with a remote engine."""
    with tempfile.TemporaryFile(dir=folder.parent) as file:
        with tarfile.open(fileobj=file, mode="w") as tar:
            tar.add(folder, arcname=path.lstrip("/"), filter=_readable)
        file.seek(0)
        container.put_archive("/", file)


def _readable(member: tarfile.TarInfo) -> tarfile.TarInfo:
    # The container's user is not ours.
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    member.mode |= 0o755 if member.isdir() else 0o644
    return member


def _follow_log(container: Container, on_line: Callable[[str], None]) -> None:
    rest = b""
    with suppress(DockerException, OSError):
        for data in container.logs(stream=True, follow=True):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                on_line(line.decode("utf-8", "replace").rstrip("\r"))
    if rest:
        on_line(rest.decode("utf-8", "replace"))

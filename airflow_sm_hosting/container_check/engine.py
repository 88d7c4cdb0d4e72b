"""The Docker Engine of a check: images, containers, volumes and networks, all removed at the end."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import docker
import requests
from docker.errors import APIError, DockerException, ImageNotFound
from docker.models.containers import Container
from docker.types import LogConfig, Mount
from docker.utils import parse_repository_tag

from airflow_sm_hosting.container_check.contract import COMMAND
from airflow_sm_hosting.container_check.observation import Image
from airflow_sm_hosting.exceptions import ContainerCheckError
from airflow_sm_hosting.images.recipe import Login
from airflow_sm_hosting.images.registry import is_loopback
from airflow_sm_hosting.work_folder import is_in_use

log = logging.getLogger(__name__)

#: Label: the folder of the check that something belongs to; it is locked as long as the check lives.
FOLDER_LABEL = "sm-hosting.check"
#: Label: the computer of the check.
HOST_LABEL = "sm-hosting.check.host"

#: What the SDK calls a local socket or named pipe; over SSH an engine is "ssh".
_LOCAL = ("localhost", "localnpipe")
_PROBE_SECONDS = 5
_CALL_SECONDS = 120
#: So that a container that writes without end does not fill the disk.
_LOG = LogConfig(type=LogConfig.types.JSON, config={"max-size": "10m", "max-file": "1"})


class CheckEngine:
    """A Docker Engine; as a context manager it removes at the end what was made with it, and at the start what killed checks left.

    :param client: A client of the engine.
    :param folder: The check's folder, which is locked as long as the check lives.
    """

    def __init__(self, client: docker.DockerClient, folder: Path) -> None:
        self.client = client
        self._labels = {FOLDER_LABEL: str(folder), HOST_LABEL: platform.node()}
        self._pulled: list[str] = []
        self._network: str | None = None

    @classmethod
    def connect(cls, folder: Path) -> CheckEngine:
        """Return the engine of the environment.

        :param folder: The check's folder.
        :raises ContainerCheckError: None answers, or its containers cannot be reached from here.
        """
        try:
            # An engine that hangs must not hang the check.
            probe = docker.from_env(timeout=_PROBE_SECONDS)
            probe.ping()
            probe.close()
            client = docker.from_env(timeout=_CALL_SECONDS)
        except (DockerException, requests.RequestException) as error:
            raise ContainerCheckError(
                f"No Docker Engine answers ({(str(error).splitlines() or [type(error).__name__])[0]}). The check runs the container, so it "
                "needs one on this computer: start it, or set DOCKER_HOST, or let a worker with an engine run this task (queue=…)."
            ) from error
        url = urlsplit(client.api.base_url)
        if not (is_loopback(url.netloc) or url.netloc in _LOCAL):
            client.close()
            raise ContainerCheckError(
                f"The Docker Engine at {url.netloc} is on another computer. The check publishes ports on the loopback interface only, "
                "which cannot be reached from here: run it where the engine is."
            )
        return cls(client, folder)

    def __enter__(self) -> CheckEngine:
        self._sweep()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._remove(self._labels[FOLDER_LABEL])
        for reference in self._pulled:
            with suppress(DockerException):
                self.client.images.remove(reference)
        self.client.close()

    # Images

    def image(self, reference: str, platform_name: str, login: Login | None) -> Image:
        """Return an image; pull it if the engine does not have it, and then remove it at the end.

        :param reference: Its name.
        :param platform_name: Which of several platforms to pull.
        :param login: Credentials of its registry (default: those of the engine's configuration).
        :raises DockerException: It cannot be had.
        """
        try:
            found = self.client.images.get(reference)
        except ImageNotFound:
            log.info("Pulling %s", reference)
            try:
                self._pull(reference, platform_name, login)
            except DockerException:
                # It may be for another platform only, which the check tells.
                self._pull(reference, None, login)
            self._pulled.append(reference)
            found = self.client.images.get(reference)
        config = found.attrs.get("Config") or {}
        entrypoint = config.get("Entrypoint") or ()
        return Image(
            reference=reference,
            platform=f"{found.attrs['Os']}/{found.attrs['Architecture']}",
            size=int(found.attrs.get("Size") or 0),
            entrypoint=(entrypoint,) if isinstance(entrypoint, str) else tuple(entrypoint),
            labels=config.get("Labels") or {},
            user=config.get("User") or "",
        )

    def _pull(self, reference: str, platform_name: str | None, login: Login | None) -> None:
        repository, tag = parse_repository_tag(reference)
        credentials = {"username": login.username, "password": login.password} if login else None
        events = self.client.api.pull(
            repository,
            tag=tag or "latest",
            stream=True,
            decode=True,
            auth_config=credentials,
            platform=platform_name,
        )
        for event in events:
            # The SDK raises nothing for it.
            if "error" in event:
                raise DockerException(str(event["error"]))

    # Model data

    def model_volume(self, image: str, archive: Path, path: str) -> Mount:
        """Unpack an archive into a new volume, in the engine and below the volume's folder only, and return its read-only mount.

        A container that is never started takes it in: no folder of this computer is mounted, and the engine may be in a virtual machine.

        :param image: Any image.
        :param archive: A ``.tar.gz``.
        :param path: Where containers see it.
        :raises APIError: The engine cannot unpack it.
        """
        volume = self.client.volumes.create(labels=self._labels)
        writable = Mount(target=path, source=volume.name, type="volume", no_copy=True)
        loader = self.client.containers.create(
            image, command=[COMMAND], labels=self._labels, mounts=[writable]
        )
        with archive.open("rb") as content:
            loader.put_archive(path, content)
        # With the volumes that the image itself declares; a named one stays.
        loader.remove(force=True, v=True)
        return Mount(target=path, source=volume.name, type="volume", no_copy=True, read_only=True)

    # Containers

    def create(
        self,
        image: str,
        *,
        environment: Mapping[str, str],
        port: int,
        memory_mb: int | None,
        model: Mount | None,
        is_isolated: bool = False,
        is_read_only: bool = False,
        user: str | None = None,
    ) -> Container:
        """Return a new container, as ``docker run image serve`` would make it, that is not started.

        :param image: The image.
        :param environment: Its environment.
        :param port: Where it listens; it is published on the loopback interface.
        :param memory_mb: The memory that it may use, without swap.
        :param model: The mount of the model data.
        :param is_isolated: Whether it reaches nothing but this computer.
        :param is_read_only: Whether it may write below /tmp only.
        :param user: The user that it runs as.
        :raises APIError: The engine refuses.
        """
        options: dict[str, Any] = {}
        if memory_mb:
            options |= {"mem_limit": f"{memory_mb}m", "memswap_limit": f"{memory_mb}m"}
        if is_read_only:
            options |= {"read_only": True, "tmpfs": {"/tmp": "mode=1777"}}  # noqa: S108 - the container's
        if user:
            options["user"] = user
        if is_isolated:
            options["network"] = self._isolated_network()
        return self.client.containers.create(
            image,
            command=[COMMAND],
            environment=dict(environment),
            labels=self._labels,
            # An empty port is a free one; the type stubs have only numbers.
            ports={f"{port}/tcp": ("127.0.0.1", None)},  # type: ignore[dict-item]
            mounts=[model] if model else [],
            log_config=_LOG,
            **options,
        )

    def can_isolate(self) -> bool:
        """Return whether a container in a network of its own can be reached: no port of it can be published."""
        return platform.system() == "Linux" and self.is_on_this_kernel()

    def is_on_this_kernel(self) -> bool:
        """Return whether containers run on this computer's own kernel, not in a virtual machine."""
        is_socket = self.client.api.base_url == "http+docker://localhost"
        return is_socket and self.client.info().get("KernelVersion") == platform.release()

    def _isolated_network(self) -> str:
        if self._network is None:
            name = Path(self._labels[FOLDER_LABEL]).name
            self.client.networks.create(name, internal=True, labels=self._labels)
            self._network = name
        return self._network

    # The end

    def _sweep(self) -> None:
        """Remove what killed checks of this computer left."""
        for folder in self._left():
            log.info("Removing the containers of the check in %s, which was killed", folder)
            self._remove(folder)

    def _left(self) -> set[str]:
        filters: dict[str, Any] = {"label": f"{HOST_LABEL}={platform.node()}"}
        own = self._labels[FOLDER_LABEL]
        labels = [
            *(
                one.labels
                for one in self.client.containers.list(all=True, ignore_removed=True, filters=filters)
            ),
            *(one.attrs.get("Labels") or {} for one in self.client.volumes.list(filters=filters)),
            *(one.attrs.get("Labels") or {} for one in self.client.networks.list(filters=filters)),
        ]
        folders = {found.get(FOLDER_LABEL, "") for found in labels} - {"", own}
        return {folder for folder in folders if not is_in_use(Path(folder))}

    def _remove(self, folder: str) -> None:
        """Remove what belongs to the check in a folder."""
        filters: dict[str, Any] = {"label": f"{FOLDER_LABEL}={folder}"}
        for container in self.client.containers.list(all=True, ignore_removed=True, filters=filters):
            with suppress(DockerException):
                container.remove(force=True, v=True)
        for volume in self.client.volumes.list(filters=filters):
            with suppress(DockerException):
                volume.remove(force=True)
        for network in self.client.networks.list(filters=filters):
            with suppress(DockerException):
                network.remove()


def said(error: DockerException) -> str:
    """Return the engine's own sentence; the rest of an error is its address and the request."""
    return str(error.explanation or error).strip() if isinstance(error, APIError) else str(error).strip()

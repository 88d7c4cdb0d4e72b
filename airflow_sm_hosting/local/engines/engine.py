"""What runs the containers of endpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from airflow_sm_hosting.local.ecr.registry import StoredImage

# SageMaker sends SIGKILL 30 seconds after SIGTERM:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
STOP_GRACE_SECONDS = 30.0


class ContainerError(Exception):
    """A container cannot be started; the message says why, for the endpoint's ``FailureReason``."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container to run, as ``docker run image serve``.

    :param name: What people know it by: ``<endpoint>/<variant>/<container>``.
    :param image: The image reference of the request.
    :param stored: The image in this server's registry, None for one that is elsewhere.
    :param environment: The container's environment; never logged.
    :param model_folder: Its ``/opt/ml/model``.
    :param network_isolation: Whether it is without a network of its own: it is asked, but reaches nothing.
    :param on_line: Takes each line that it writes.
    :param port: Where it listens.
    :param memory_mb: The memory that it may use, in MB; None for as much as there is.
    """

    name: str
    image: str
    stored: StoredImage | None
    environment: Mapping[str, str] = field(repr=False)
    model_folder: Path
    network_isolation: bool
    on_line: Callable[[str], None]
    port: int = 8080
    memory_mb: int | None = None


@dataclass(frozen=True)
class Usage:
    """What a container uses.

    :param cpu: Percent of one CPU: 200 for two of them.
    :param memory: Percent of the memory that it may use.
    :param disk: Percent of the disk that is used, by whom ever; None where that cannot be told.
    :param memory_mb: The memory in MB.
    """

    cpu: float
    memory: float
    disk: float | None
    memory_mb: float = 0.0


class RunningContainer(ABC):
    """A container that was started."""

    #: Where it listens, ``http://127.0.0.1:port``; None if nothing can be asked of it.
    url: str | None
    #: The image that runs, by digest.
    resolved_image: str

    @abstractmethod
    def exit_code(self) -> int | None:
        """Return the exit code of a container that ended, or None while it runs."""

    def usage(self) -> Usage | None:
        """Return what it has used since this was asked last, None where that cannot be told."""
        return None

    def take_model(self, name: str, folder: Path) -> str:
        """Put one more model into a container of many while it runs, and return the path at which it sees it.

        :param name: The model's name, one that is good for a folder.
        :param folder: What the model is made of.
        """
        return str(folder)

    @abstractmethod
    def kill(self) -> None:
        """End it as a crash does: at once, and what it held stays."""

    @abstractmethod
    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """End it: SIGTERM, after ``grace`` seconds SIGKILL; what it held is freed."""


class Engine(ABC):
    """Runs containers.

    :cvar name: Its name on the command line.
    """

    name: str

    @abstractmethod
    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Start a container.

        :raises ContainerError: It cannot be started.
        """

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Free what the engine itself holds."""

"""The interface of an engine, which runs the containers of endpoints."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from airflow_sm_hosting.local.ecr.registry import StoredImage

# SageMaker sends SIGKILL 30 seconds after SIGTERM:
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html
STOP_GRACE_SECONDS = 30.0


class ContainerError(Exception):
    """A container cannot be started; the message says why, for the endpoint's ``FailureReason``."""


class MissingImageError(ContainerError):
    """The image of a container does not exist, or cannot be pulled."""


@dataclass(frozen=True)
class ContainerSpec:
    """One container to run, as ``docker run image serve``.

    :param name: Its name for people: ``<endpoint>/<variant>/<container>``.
    :param image: The image reference of the request.
    :param stored: The image in this server's registry, None for one that is elsewhere.
    :param environment: The container's environment; never logged.
    :param model_folder: Its ``/opt/ml/model``.
    :param network_isolation: Whether it has no network: it can be invoked, but reaches nothing.
    :param on_line: Takes each line that it writes.
    :param port: Where it listens.
    :param memory_mb: The memory that it may use, in MB; None for as much as there is.
    :param stand_in: Whether the program of the stand-ins runs in place of the image; the environment has the family.
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
    stand_in: bool = False


@dataclass(frozen=True)
class Usage:
    """What a container uses.

    :param cpu: Percent of one CPU: 200 for two of them.
    :param memory: Percent of the memory that it may use.
    :param disk: Percent of the disk that is used, by all; None where that is unknown.
    :param memory_mb: The memory in MB.
    """

    cpu: float
    memory: float
    disk: float | None
    memory_mb: float = 0.0


class RunningContainer(ABC):
    """A started container."""

    #: Where it listens, ``http://127.0.0.1:port``; None if nothing can be asked of it.
    url: str | None
    #: The image that runs, by digest.
    resolved_image: str

    @abstractmethod
    def exit_code(self) -> int | None:
        """Return the exit code of a container that ended, or None while it runs."""

    def usage(self) -> Usage | None:
        """Return what it used since the last call, None where that is unknown."""
        return None

    def take_model(self, name: str, folder: Path) -> str:
        """Copy one more model into a running multi-model container, and return the path at which the container sees it.

        :param name: The model's name, valid as the name of a folder.
        :param folder: The model's files.
        """
        return str(folder)

    @abstractmethod
    def kill(self) -> None:
        """End it as a crash does: at once, and its resources stay."""

    @abstractmethod
    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """End it: SIGTERM, after ``grace`` seconds SIGKILL; its resources are freed."""


class BuildContainer(ABC):
    """A started container in which a build of CodeBuild runs its commands."""

    @abstractmethod
    def run(
        self, command: Sequence[str], environment: Mapping[str, str], on_line: Callable[[str], None]
    ) -> int:
        """Run a command, and return its exit code.

        :param environment: Environment variables, beside those of the container; never logged.
        :param on_line: Takes each line that it writes.
        """

    @abstractmethod
    def stop(self) -> None:
        """End it at once, whatever runs in it; its resources are freed."""


class Engine(ABC):
    """Runs containers.

    :cvar name: Its name on the command line.
    """

    name: str

    @abstractmethod
    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Start a container.

        :raises MissingImageError: There is no such image.
        :raises ContainerError: It cannot be started.
        """

    def has_image(self, reference: str) -> bool:
        """Return whether this engine itself has an image of another registry than this server's."""
        return False

    def start_build(self, name: str, *, privileged: bool) -> BuildContainer:
        """Start a container for a build of CodeBuild: the image of AWS is stood in for.

        :param name: The build's name for people.
        :param privileged: Whether it reaches a Docker daemon.
        :raises ContainerError: It cannot be started, or this engine runs no builds.
        """
        raise ContainerError(
            f"The local AWS runs with engine '{self.name}', and builds need a Docker engine: start it with engine 'docker'."
        )

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Free what the engine itself holds."""

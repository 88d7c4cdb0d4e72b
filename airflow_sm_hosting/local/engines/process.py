"""The process engine: an image's Python entry point as a process of this computer. No isolation at all.

For computers with no container engine. The image comes from this server's registry, its layers are unpacked into a
folder, and its Python entry point runs with this interpreter, as this user, with this computer's files and network.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from airflow_sm_hosting.local.archives import ArchiveError, Budget, apply_layer
from airflow_sm_hosting.local.ecr.registry import Registry, StoredImage
from airflow_sm_hosting.local.engines import reaper
from airflow_sm_hosting.local.engines.engine import (
    STOP_GRACE_SECONDS,
    ContainerError,
    ContainerSpec,
    Engine,
    MissingImageError,
    RunningContainer,
    Usage,
)
from airflow_sm_hosting.local.engines.stand_in_program import stand_in_command
from airflow_sm_hosting.local.work_dir import WorkDir

_PYTHON = re.compile(r"python(\d(\.\d+)?)?")
# Options of the interpreter that take the next argument.
_OPTIONS_WITH_VALUE = ("-W", "-X", "--check-hash-based-pycs")


class PythonProcess(RunningContainer):
    """A container's entry point, as its own process group."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        port: int,
        root: Path,
        resolved_image: str,
        reader: threading.Thread,
        on_end: Callable[[], None],
    ) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.resolved_image = resolved_image
        self._process = process
        self._root = root
        self._reader = reader
        self._on_end = on_end
        self._measured: Any = None
        self._measured_at = time.monotonic()
        self._cpu_seconds = 0.0

    def exit_code(self) -> int | None:
        """Return the exit code of the entry point, or None while it runs."""
        code = self._process.poll()
        if code is not None:
            # What it said last must be in the log when the endpoint's failure points there.
            self._reader.join(timeout=2)
        return code

    def usage(self) -> Usage | None:
        """Return what the process and its children use, of this computer's memory and disk."""
        # A dependency of Airflow itself.
        import psutil

        try:
            process = self._measured or psutil.Process(self._process.pid)
            everyone = [process, *process.children(recursive=True)]
            cpu = sum(sum(one.cpu_times()[:2]) for one in everyone)
            memory = sum(one.memory_percent() for one in everyone)
            memory_mb = sum(one.memory_info().rss for one in everyone) / 2**20
        except psutil.Error:
            return None
        self._measured, now = process, time.monotonic()
        used, passed = cpu - self._cpu_seconds, now - self._measured_at
        self._cpu_seconds, self._measured_at = cpu, now
        disk = psutil.disk_usage(str(self._root)).percent
        return Usage(max(0.0, 100 * used / passed), memory, disk, memory_mb)

    def kill(self) -> None:
        """Kill the process and all that it started."""
        self._signal(signal.SIGKILL)

    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """End the process and all that it started."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._on_end()
        self._reader.join(timeout=2)
        shutil.rmtree(self._root, ignore_errors=True)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@dataclass(frozen=True)
class _Program:
    """What is started in place of a container."""

    command: list[str]
    folder: Path
    environment: dict[str, str]
    resolved_image: str


class ProcessEngine(Engine):
    """Runs Python entry points as processes.

    :param registry: Where the images are.
    :param work_dir: Has the folder for the images' files.
    """

    name = "process"

    def __init__(self, registry: Registry, work_dir: WorkDir) -> None:
        self._registry = registry
        self._work_dir = work_dir
        self._folder = work_dir.folder
        self._reaper: subprocess.Popen[str] | None = None
        self._running: set[PythonProcess] = set()
        self._closed = False
        self._lock = threading.Lock()

    def close(self) -> None:
        """Kill the processes that still run, such as those that did not end when they were stopped."""
        with self._lock:
            self._closed = True
            running, self._running = self._running, set()
        for container in running:
            container.stop(grace=0)
        if self._reaper and self._reaper.stdin:
            self._reaper.stdin.close()
            self._reaper.wait()

    def _tell_reaper(self, message: str) -> None:
        """Tell the reaper, which kills processes when this one is killed; it starts with the first of them."""
        with self._lock:
            if self._reaper is None:
                script = Path(reaper.__file__)
                place = (str(self._work_dir.folder), str(self._work_dir.lock_file))
                self._reaper = subprocess.Popen(
                    [sys.executable, "-I", "-S", str(script), *place],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    cwd="/",
                    env={},
                    # What is sent to the server's group is not for it.
                    start_new_session=True,
                    text=True,
                )
            assert self._reaper.stdin is not None  # noqa: S101 - a pipe was asked for
            with contextlib.suppress(ValueError, OSError):
                self._reaper.stdin.write(f"{message}\n")
                self._reaper.stdin.flush()

    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Unpack the image and start its entry point, or start a stand-in."""
        if spec.stored is None and not spec.stand_in:
            raise MissingImageError(
                f"The image {spec.image} is not in the local registry ({self._registry.host}), and the "
                "process engine can run only images from there. Push it there, or use the docker engine."
            )
        root = Path(tempfile.mkdtemp(prefix="image-", dir=self._folder))
        try:
            port = _free_port()
            program = self._program(spec, root, port)
            process = subprocess.Popen(
                program.command,
                cwd=program.folder,
                env=program.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except BaseException:
            shutil.rmtree(root, ignore_errors=True)
            raise
        self._tell_reaper(f"+{process.pid}")
        assert process.stdout is not None  # noqa: S101 - a pipe was asked for
        reader = threading.Thread(target=_read_lines, args=(process.stdout, spec.on_line), daemon=True)
        reader.start()
        container = PythonProcess(
            process, port, root, program.resolved_image, reader, lambda: self._tell_reaper(f"-{process.pid}")
        )
        with self._lock:
            self._running = {other for other in self._running if other.exit_code() is None} | {container}
            closed = self._closed
        if closed:
            container.stop(grace=0)
        return container

    def _program(self, spec: ContainerSpec, root: Path, port: int) -> _Program:
        if spec.stored is None:
            command, more = stand_in_command()
            environment = {**_environment({}, root, spec, port), **more}
            return _Program(command, root, environment, spec.image)
        config = self._unpack(spec.stored, root)
        return _Program(
            python_command(config, root, spec.image),
            _working_folder(config, root),
            _environment(config, root, spec, port),
            f"{self._registry.host}/{spec.stored.repository}@{spec.stored.digest}",
        )

    def _unpack(self, image: StoredImage, root: Path) -> Mapping[str, Any]:
        manifest = image.manifest
        if "manifests" in manifest:
            manifest = self._linux_manifest(image)
        budget = Budget.of_disk(root)
        try:
            for layer in manifest["layers"]:
                with self._registry.blob_path(layer["digest"]).open("rb") as file:
                    apply_layer(file, root, budget=budget)
        except (ArchiveError, OSError, KeyError) as error:
            raise ContainerError(
                f"The image {image.repository}@{image.digest} cannot be unpacked: {error}"
            ) from error
        config: Mapping[str, Any] = self._registry.blob_json(manifest["config"]["digest"]).get("config") or {}
        return config

    def _linux_manifest(self, image: StoredImage) -> dict[str, Any]:
        children = image.manifest["manifests"]
        child = next((c for c in children if c.get("platform", {}).get("os") == "linux"), children[0])
        stored = self._registry.find(f"{self._registry.host}/{image.repository}@{child['digest']}")
        if stored is None:
            raise ContainerError(f"The image {image.repository}@{image.digest} has no manifest for Linux")
        return stored.manifest


def python_command(config: Mapping[str, Any], root: Path, image: str) -> list[str]:
    """Return the command that runs an image's entry point with this interpreter, as ``docker run image serve`` does.

    Absolute paths of the entry point are the image's, and are mapped into the folder that it is unpacked in.

    :param config: The image's configuration: ``Entrypoint``, ``WorkingDir``, ``Env``.
    :param root: Where the image is unpacked.
    :param image: Its name, for the message.
    :raises ContainerError: The entry point is not Python.
    """
    arguments: Sequence[str] = [*(config.get("Entrypoint") or ()), "serve"]
    program, rest = arguments[0], list(arguments[1:])
    if program == "/usr/bin/env" and rest and _PYTHON.fullmatch(rest[0]):
        program, rest = rest[0], rest[1:]
    if _PYTHON.fullmatch(Path(program).name):
        return [sys.executable, *_mapped_script(rest, root)]
    script = _find_program(program, config, root)
    if script and _is_python_script(script):
        return [sys.executable, str(script), *rest]
    shown = " ".join(config.get("Entrypoint") or ["serve"])
    raise ContainerError(
        f"The entry point of the image {image} is not Python ({shown}): the process engine of the local AWS "
        "runs only Python entry points. Use the docker engine."
    )


def _mapped_script(arguments: list[str], root: Path) -> list[str]:
    """Map the script of a Python command line into the image's folder; options and the rest stay."""
    mapped = list(arguments)
    index = 0
    while index < len(mapped):
        argument = mapped[index]
        if argument in ("-m", "-c"):
            break
        if argument in _OPTIONS_WITH_VALUE:
            index += 2
            continue
        if not argument.startswith("-"):
            if argument.startswith("/"):
                mapped[index] = str(root / argument.lstrip("/"))
            break
        index += 1
    return mapped


def _find_program(program: str, config: Mapping[str, Any], root: Path) -> Path | None:
    if program.startswith("/"):
        found = root / program.lstrip("/")
    elif "/" in program:
        found = _working_folder(config, root) / program
    else:
        path = _image_environment(config).get(
            "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        )
        folders = [root / folder.lstrip("/") for folder in path.split(":")]
        found = next((folder / program for folder in folders if (folder / program).is_file()), root / program)
    inside = found.resolve().is_relative_to(root.resolve())
    return found if inside and found.is_file() else None


def _is_python_script(path: Path) -> bool:
    if path.suffix == ".py":
        return True
    with path.open("rb") as file:
        return bool(re.match(rb"#!.*\bpython(\d(\.\d+)?)?\b", file.readline(256)))


def _working_folder(config: Mapping[str, Any], root: Path) -> Path:
    folder = root / (config.get("WorkingDir") or "/").lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _image_environment(config: Mapping[str, Any]) -> dict[str, str]:
    return dict(entry.split("=", 1) for entry in config.get("Env") or () if "=" in entry)


def _environment(config: Mapping[str, Any], root: Path, spec: ContainerSpec, port: int) -> dict[str, str]:
    """Return the whole environment: nothing of this process's own, so no AWS credentials, goes in."""
    image = _image_environment(config)
    python_path = [
        str(root / entry.lstrip("/")) if entry.startswith("/") else entry
        for entry in image.get("PYTHONPATH", "").split(":")
        if entry
    ]
    return {
        "LANG": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
        "PYTHONUNBUFFERED": "1",
        **image,
        **spec.environment,
        "PATH": os.defpath,
        "HOME": str(root),
        **({"PYTHONPATH": ":".join(python_path)} if python_path else {}),
        "SM_MODEL_DIR": str(spec.model_folder),
        "SAGEMAKER_BIND_TO_PORT": str(port),
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _read_lines(pipe: IO[bytes], on_line: Callable[[str], None]) -> None:
    with pipe:
        for line in pipe:
            on_line(line.decode("utf-8", "replace").rstrip("\n"))

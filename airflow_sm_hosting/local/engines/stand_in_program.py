"""The program of the stand-ins for an engine to run: its command, and the Docker image that has it."""

from __future__ import annotations

import hashlib
import io
import logging
import sys
import tarfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.local.stand_ins import container

if TYPE_CHECKING:
    import docker

LOG = logging.getLogger(__name__)

_PROGRAM = container.__name__
# Where the package is imported from.
_ROOT = Path(container.__file__).parents[len(_PROGRAM.split("."))]
# What is pulled where no base image can be made of Debian's packages.
_OTHER_BASE = "python:3.12-slim"
_IN_IMAGE = "/opt/stand-in"
_LOCK = threading.Lock()


def stand_in_command() -> tuple[list[str], dict[str, str]]:
    """Return the command that runs a stand-in on this computer, and its environment.

    Without the packages that are installed beside it: it needs none, and starts in half the time.
    """
    return [sys.executable, "-S", "-m", _PROGRAM, "serve"], {"PYTHONPATH": str(_ROOT)}


def ensure_stand_in_image(client: docker.DockerClient) -> str:
    """Make the Docker image of the stand-ins, unless the engine has it, and return its tag.

    :raises ImageBuildError: It cannot be made.
    """
    from docker.errors import DockerException, ImageNotFound

    files = _files()
    content = repr((sorted(files.items()), _dockerfile("")))
    tag = f"sm-hosting-stand-in:{hashlib.sha256(content.encode()).hexdigest()[:12]}"
    with _LOCK:
        with suppress(ImageNotFound):
            client.images.get(tag)
            return tag
        LOG.info("making the image of the stand-ins, once: %s", tag)
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for name, data in {**files, "Dockerfile": _dockerfile(_base(client)).encode()}.items():
                member = tarfile.TarInfo(name)
                member.size, member.mode = len(data), 0o644
                tar.addfile(member, io.BytesIO(data))
        context.seek(0)
        try:
            client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)
        except DockerException as error:
            raise ImageBuildError(f"The image of the stand-ins cannot be made: {error}") from error
    return tag


def _base(client: docker.DockerClient) -> str:
    """Return a base image with Python: of Debian's packages, which needs no registry, or else a public one."""
    from docker.errors import DockerException

    from airflow_sm_hosting.local.engines.base_image import ensure_debian_python_base

    try:
        return ensure_debian_python_base(client)
    except ImageBuildError as error:
        try:
            client.images.pull(_OTHER_BASE)
        except DockerException as other:
            raise ImageBuildError(f"{error} {_OTHER_BASE} cannot be pulled, either: {other}") from other
        return _OTHER_BASE


def _dockerfile(base: str) -> str:
    return (
        f"FROM {base}\nCOPY program/ {_IN_IMAGE}/\n"
        f"ENV PYTHONPATH={_IN_IMAGE} SM_HOSTING_STAND_IN_ADDRESS=0.0.0.0 PYTHONUNBUFFERED=1\n"
        # Debian's packages come without compiled modules: to compile them at each start would take a quarter of a second.
        f'RUN ["python3", "-S", "-c", "import {_PROGRAM}.__main__"]\n'
        f'ENTRYPOINT ["python3", "-S", "-m", "{_PROGRAM}"]\n'
    )


def _files() -> dict[str, bytes]:
    """Return the program's files by path; the packages around it are empty."""
    folder = Path(container.__file__).parent
    files = {f"program/{path.relative_to(_ROOT)}": path.read_bytes() for path in sorted(folder.glob("*.py"))}
    for package in folder.relative_to(_ROOT).parents:
        if package.name:
            files[f"program/{package}/__init__.py"] = b""
    return files

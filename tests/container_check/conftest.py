from __future__ import annotations

import io
import itertools
import os
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import DockerException

from airflow_sm_hosting.artifacts.packing import pack
from airflow_sm_hosting.container_check.checking import check_container
from airflow_sm_hosting.container_check.report import Report
from airflow_sm_hosting.container_check.wanted import Wanted
from airflow_sm_hosting.work_folder import work_folder

SERVING = Path(__file__).with_name("serving.py")
BIND = "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true"
MULTI_MODEL = "LABEL com.amazonaws.sagemaker.capabilities.multi-models=true"
ENTRYPOINT = 'ENTRYPOINT ["python3", "-u", "/opt/program/serving.py"]'

Build = Callable[..., str]


def context_of(files: dict[str, bytes]) -> io.BytesIO:
    """Return a build context; what begins with #! is executable, unless its name says otherwise."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o755 if data.startswith(b"#!") and "plain" not in name else 0o644
            tar.addfile(info, io.BytesIO(data))
    context.seek(0)
    return context


@pytest.fixture(scope="session")
def build(docker_client: docker.DockerClient, debian_base_image: str) -> Iterator[Build]:
    """Build an image from the base, the serving script and further lines of a Dockerfile; all are removed at the end."""
    built: list[str] = []
    numbers = itertools.count()

    def build(*lines: str, files: dict[str, bytes] | None = None, base: str = debian_base_image) -> str:
        tag = f"sm-hosting-check-test-{os.getpid()}:{next(numbers)}"
        copy = ["COPY serving.py /opt/program/serving.py"] if base == debian_base_image else []
        dockerfile = "\n".join([f"FROM {base}", *copy, *lines])
        content = {"Dockerfile": dockerfile.encode(), "serving.py": SERVING.read_bytes(), **(files or {})}
        docker_client.images.build(
            fileobj=context_of(content), custom_context=True, tag=tag, rm=True, forcerm=True
        )
        built.append(tag)
        return tag

    yield build
    for tag in built:
        with suppress(DockerException):
            docker_client.images.remove(tag, force=True)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder with a model."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    return folder


def check(
    image: str, *, model: Path | None = None, environment: dict[str, str] | None = None, **wanted: Any
) -> Report:
    """Check a container with short limits."""
    limits = {"startup_seconds": 10.0, "invocation_seconds": 10.0, "stop_seconds": 5.0}
    with work_folder() as folder:
        return check_container(
            image,
            Wanted(**{**limits, "has_model_data": model is not None, **wanted}),
            folder=folder,
            archive=pack(model, workdir=folder).path if model else None,
            environment=environment,
        )

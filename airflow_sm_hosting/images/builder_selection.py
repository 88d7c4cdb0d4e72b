"""Selects the builder of an image: the Docker Engine, or the assembler, which needs none."""

from __future__ import annotations

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.builders import ImageBuilder, Log
from airflow_sm_hosting.images.docker_builder import DockerBuilder

BUILDERS = ("auto", "docker", "assembler")


def select_builder(name: str, *, log: Log) -> ImageBuilder:
    """Return a builder.

    :param name: ``docker``: the Docker Engine. ``assembler``: no engine, for Dockerfiles without RUN.
        ``auto``: the engine if one answers, else the assembler.
    :param log: logger of the task
    :raises InvalidSpecError: there is no such builder
    :raises ImageBuildError: the Docker Engine was requested, and does not answer
    """
    if name not in BUILDERS:
        raise InvalidSpecError(f"There is no image builder {name!r}; allowed: {', '.join(BUILDERS)}")
    if name == "assembler":
        return ImageAssembler()
    try:
        return DockerBuilder.connect()
    except ImageBuildError as error:
        if name == "docker":
            raise
        log.warning("%s; the assembler is used instead, which supports everything except RUN", error)
        return ImageAssembler()

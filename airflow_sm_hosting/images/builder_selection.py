"""Selects the builder of an image by its name, or the first that works here and can do what the build needs."""

from __future__ import annotations

from collections.abc import Callable

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images.assembler import ImageAssembler
from airflow_sm_hosting.images.buildah_builder import BuildahBuilder
from airflow_sm_hosting.images.builders import ImageBuilder, Log
from airflow_sm_hosting.images.buildx_builder import BuildxBuilder
from airflow_sm_hosting.images.docker_builder import DockerBuilder
from airflow_sm_hosting.images.recipe import BuildRecipe

AUTO = "auto"
#: By name, in the order in which ``auto`` tries them.
_CONNECT: dict[str, Callable[[], ImageBuilder]] = {
    "docker": DockerBuilder.connect,
    "buildx": BuildxBuilder.connect,
    "buildah": BuildahBuilder.connect,
    "assembler": ImageAssembler,
}
BUILDERS = (AUTO, *_CONNECT)


def select_builder(name: str, recipe: BuildRecipe, *, log: Log) -> ImageBuilder:
    """Return a builder.

    :param name: ``docker``: the Docker Engine. ``buildx``: ``docker buildx``. ``buildah``: buildah, without a daemon. ``assembler``: no
        engine, for Dockerfiles without RUN. ``auto``: the first of these that works here and can do what the build needs.
    :param recipe: the build
    :param log: logger of the task
    :raises InvalidSpecError: there is no such builder, or it cannot do what the build needs
    :raises ImageBuildError: it does not work here; for ``auto``: none does
    """
    if name not in BUILDERS:
        raise InvalidSpecError(f"There is no image builder {name!r}; allowed: {', '.join(BUILDERS)}")
    if name != AUTO:
        builder = _CONNECT[name]()
        if lacking := builder.lacks(recipe):
            able = [other for other in ("buildx", "buildah") if other != name]
            raise InvalidSpecError(
                f"The builder {name!r} does not support {lacking}; use {' or '.join(able)}"
            )
        return builder
    reasons = []
    for other, connect in _CONNECT.items():
        try:
            builder = connect()
        except ImageBuildError as error:
            reasons.append(f"{other}: {error}")
            continue
        if lacking := builder.lacks(recipe):
            reasons.append(f"{other}: it does not support {lacking}")
            continue
        if reasons and other == "assembler":
            log.warning(
                "The assembler is used, which supports everything except RUN. The other builders cannot be: %s",
                "; ".join(reasons),
            )
        elif reasons:
            log.info("The builder is %s (%s)", other, "; ".join(reasons))
        return builder
    raise ImageBuildError(f"No builder can build {recipe.context.directory} here: {'; '.join(reasons)}")

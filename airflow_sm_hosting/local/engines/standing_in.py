"""An engine that runs something else in place of images that this computer does not have: the user's choice, or a stand-in."""

from __future__ import annotations

import logging
from dataclasses import replace

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import (
    BuildContainer,
    ContainerSpec,
    Engine,
    MissingImageError,
    RunningContainer,
)
from airflow_sm_hosting.local.stand_ins.choice import StandIns, stand_in_manifest, without_tag
from airflow_sm_hosting.local.stand_ins.families import aws_image, local_name

LOG = logging.getLogger(__name__)


class StandingInEngine(Engine):
    """Runs containers with another engine. An image that this server's registry or the engine has is preferred.

    :param engine: The engine.
    :param registry: Where the images are.
    :param stand_ins: What runs in place of other images.
    """

    def __init__(self, engine: Engine, registry: Registry, stand_ins: StandIns) -> None:
        self.name = engine.name
        self._engine = engine
        self._registry = registry
        self._stand_ins = stand_ins

    def start(self, spec: ContainerSpec) -> RunningContainer:
        """Start a container of the image, or of what stands in for it.

        :raises MissingImageError: There is neither; the log says what would help.
        """
        try:
            found = self._found(spec)
            running = self._engine.start(found)
        except MissingImageError as error:
            # AWS's words, which the endpoint's FailureReason has, do not tell what to do here.
            _say(spec, f"{error} {self._way_out(spec.image)}")
            raise
        if found is not spec:
            running.resolved_image = _resolved(spec.image, found)
        return running

    def start_build(self, name: str, *, privileged: bool) -> BuildContainer:
        """Start a container for a build."""
        return self._engine.start_build(name, privileged=privileged)

    def close(self) -> None:
        """Free what the engine holds."""
        self._engine.close()

    def _found(self, spec: ContainerSpec) -> ContainerSpec:
        if spec.stored or self._engine.has_image(spec.image):
            return spec
        # A task has asked ECR for the digest of the tag, which is not the one that the engine knows.
        tagged = self._stand_ins.tagged(spec.image)
        if tagged != spec.image and self._engine.has_image(tagged):
            return replace(spec, image=tagged)
        found = self._stand_ins.replacement(spec.image, self._registry.find, self._registry.host)
        if found and found.family:
            _say(
                spec,
                f"A STAND-IN (family {found.family.name}) runs in place of {spec.image}: its answers are made up, and no model is "
                "loaded. --no-stand-ins switches stand-ins off.",
            )
            return replace(spec, stand_in=True, environment=self._environment(spec, found.family.name))
        if found:
            why = "as --stand-in says" if found.is_chosen else "as it is in the local registry"
            _say(spec, f"The image {found.image} runs in place of {spec.image}, {why}.")
            return replace(spec, image=found.image, stored=found.stored)
        return self._existing(spec)

    @staticmethod
    def _existing(spec: ContainerSpec) -> ContainerSpec:
        """Return a container of an image of others, which the engine may be able to pull.

        :raises MissingImageError: There is no such image.
        """
        found = aws_image(spec.image)
        if found and found.wrong:
            raise MissingImageError(f"The image {spec.image} does not exist: {found.wrong}.")
        return spec

    def _environment(self, spec: ContainerSpec, family: str) -> dict[str, str]:
        return {
            "SM_HOSTING_STAND_IN_STARTUP_SECONDS": str(self._stand_ins.startup_seconds),
            **({"SM_HOSTING_STAND_IN_OFFLINE": "true"} if spec.network_isolation else {}),
            **spec.environment,
            "SM_HOSTING_STAND_IN_FAMILY": family,
            "SM_HOSTING_STAND_IN_IMAGE": spec.image,
        }

    def _way_out(self, image: str) -> str:
        """Return the command that would make an image work."""
        found = aws_image(image)
        if found and not found.wrong and not self._stand_ins.enabled:
            return "A stand-in would run in its place without --no-stand-ins: sm-hosting local up --stand-ins"
        name = local_name(image)
        return (
            "To run an image of yours in its place, push it to the local registry, under the name "
            f"{self._registry.host}/{name}, or under any name, and start the local AWS with: "
            f"sm-hosting local up --stand-in '{name}=NAME'"
        )


def _resolved(image: str, found: ContainerSpec) -> str:
    """Return the name by digest that is shown: the image's own, with the digest that it was asked for with, or that of what runs."""
    digest = image.partition("@")[2] or (found.stored.digest if found.stored else stand_in_manifest(image)[1])
    return f"{without_tag(image)}@{digest}"


def _say(spec: ContainerSpec, line: str) -> None:
    """Write a line to the server's log and to the container's."""
    LOG.warning("%s: %s", spec.name, line)
    spec.on_line(f"[local AWS] {line}")

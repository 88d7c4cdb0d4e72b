"""The description of a build, for all builders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.dockerfile import image_references


@dataclass(frozen=True)
class Login:
    """Credentials of a registry.

    :param username: for ECR ``AWS``
    :param password: never logged or shown
    """

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class BuildRecipe:
    """A build.

    :param context: the folder, with its Dockerfile
    :param build_args: values of the Dockerfile's ARG instructions. They may be secrets: no builder logs them.
    :param target: stage to stop at, in a Dockerfile of several
    :param platform: what the image must run on; SageMaker's Graviton instances need ``linux/arm64``
    :param labels: of the image, besides those of the Dockerfile
    :param cache_from: images to take layers from
    :param logins: for the registries that the Dockerfile reads from, by their host
    """

    context: BuildContext
    build_args: Mapping[str, str] = field(default_factory=dict, repr=False)
    target: str | None = None
    platform: str = "linux/amd64"
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)

    def registries(self) -> set[str]:
        """Return the hosts of the registries that the Dockerfile reads from, as far as its variables are known."""
        found = image_references(self.context.read_dockerfile(), self.build_args)
        hosts = {name.partition("/")[0] for name in (*found, *self.cache_from) if "/" in name}
        return {host for host in hosts if set(".:") & set(host) or host == "localhost"}

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything that determines the image (``cache_from`` only affects the speed)."""
        return self.context.fingerprint(
            build_args=self.build_args, target=self.target, platform=self.platform, labels=self.labels
        )

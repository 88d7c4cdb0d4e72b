"""The description of a build, for all builders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.dockerfile import image_references, platform_arguments
from airflow_sm_hosting.images.registry import RegistryClient


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
    :param cache_to: images to keep the layers in, for other workers' ``cache_from``
    :param secrets: values by the id by which ``RUN --mount=type=secret`` mounts them; no builder logs them, and no layer has them
    :param build_contexts: by the name that ``FROM`` and ``COPY --from`` use: a folder, or the reference of an image
    :param bases: digests of the images that the Dockerfile reads from, by their references. With them, a moved base is another image.
    :param logins: for the registries that the Dockerfile reads from, by their host
    """

    context: BuildContext
    build_args: Mapping[str, str] = field(default_factory=dict, repr=False)
    target: str | None = None
    platform: str = "linux/amd64"
    labels: Mapping[str, str] = field(default_factory=dict)
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    build_contexts: Mapping[str, BuildContext | str] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    logins: Mapping[str, Login] = field(default_factory=dict, repr=False)

    def images(self) -> list[str]:
        """Return the references of the images that are read, as far as the Dockerfile's variables are known."""
        variables = {**platform_arguments(self.platform), **self.build_args}
        read = image_references(self.context.read_dockerfile(), variables)
        contexts = [place for place in self.build_contexts.values() if isinstance(place, str)]
        return [*(name for name in read if name not in self.build_contexts), *contexts]

    def registries(self) -> set[str]:
        """Return the hosts of the registries that the build uses, as far as its variables are known."""
        hosts = {registry_host(name) for name in (*self.images(), *self.cache_from, *self.cache_to)}
        return {host for host in hosts if host is not None}

    def registry(self, host: str) -> RegistryClient:
        """Return a client of a registry, with its credentials where they are known; the caller closes it.

        :param host: its ``host[:port]``
        """
        login = self.logins.get(host)
        return RegistryClient(
            host,
            username=login.username if login else None,
            password=login.password if login else None,
        )

    def fingerprint(self) -> str:
        """Return the SHA-256, in hex, of everything that determines the image.

        The caches only affect the speed, and a secret is no part of an image: of it, the id counts.
        """
        contexts = {
            name: place if isinstance(place, str) else place.fingerprint()
            for name, place in self.build_contexts.items()
        }
        return self.context.fingerprint(
            build_args=self.build_args,
            target=self.target,
            platform=self.platform,
            labels=self.labels,
            extra=(
                *(f"secret {name}" for name in sorted(self.secrets)),
                *(f"context {name} {contexts[name]}" for name in sorted(contexts)),
                *(f"base {name} {self.bases[name]}" for name in sorted(self.bases)),
            ),
        )


def registry_host(reference: str) -> str | None:
    """Return the registry's ``host[:port]`` in the reference of an image; None for Docker Hub's short names."""
    host, slash, _ = reference.partition("/")
    return host if slash and (set(".:") & set(host) or host == "localhost") else None

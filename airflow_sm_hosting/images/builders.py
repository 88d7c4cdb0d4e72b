"""Shared parts of the image builders: the destination, and the manifest that SageMaker accepts."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, Protocol

from airflow_sm_hosting.exceptions import ImageBuildError, InvalidSpecError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.images.registry import RegistryClient, RegistryError, is_loopback


class Log(Protocol):
    """The methods of a logger that are used here."""

    def info(self, msg: Any, /, *args: Any) -> Any:
        """Log a line, with its arguments apart."""

    def warning(self, msg: Any, /, *args: Any) -> Any:
        """Log a line that someone should act on, with its arguments apart."""


@dataclass(frozen=True)
class Destination:
    """The destination of a push.

    :param repository_uri: ``host[:port]/repository``, as ECR's ``repositoryUri``
    :param tag: the tag of the image
    :param username: for the registry; ``AWS`` for ECR
    :param password: for the registry; never logged or shown
    :raises InvalidSpecError: ``repository_uri`` names no registry
    """

    repository_uri: str
    tag: str
    username: str
    password: str = field(repr=False)

    def __post_init__(self) -> None:
        host, _, repository = self.repository_uri.partition("/")
        if not repository or not (set(".:") & set(host) or host == "localhost"):
            raise InvalidSpecError(
                f"{self.repository_uri!r} is not a repository URI; expected <registry host>/<repository name>"
            )

    @property
    def host(self) -> str:
        """The registry's ``host[:port]``."""
        return self.repository_uri.partition("/")[0]

    @property
    def repository(self) -> str:
        """The repository's name within the registry."""
        return self.repository_uri.partition("/")[2]

    @property
    def insecure(self) -> bool:
        """Whether the registry is spoken to over plain HTTP: on this machine only."""
        return is_loopback(self.host)

    def registry(self) -> RegistryClient:
        """Return a client of the registry; the caller closes it."""
        return RegistryClient(self.host, username=self.username, password=self.password)


@dataclass(frozen=True)
class PushedImage:
    """An image in its repository.

    :param digest: of the manifest that SageMaker takes, for ``…/repository@<digest>``
    :param media_type: of that manifest
    :param size: bytes that a host pulls: configuration and layers, compressed
    """

    digest: str
    media_type: str
    size: int


class ImageBuilder(Protocol):
    """Builds and pushes images."""

    @property
    def name(self) -> str:
        """The value of ``builder=``."""

    def lacks(self, recipe: BuildRecipe) -> str | None:
        """Return what the build needs that this builder cannot do, as a part of a sentence; None for nothing."""

    def build_and_push(self, recipe: BuildRecipe, destination: Destination, log: Log) -> PushedImage:
        """Build the image, push it, and make sure that SageMaker takes it.

        :raises ImageBuildError: the image could not be built or pushed, or SageMaker could never run it
        """


_NOT_FOUND = 404
#: The image of a FROM line, and the names of the variables in it.
_FROM = re.compile(r"^\s*FROM\s.*$", re.IGNORECASE | re.MULTILINE)
_VARIABLE_NAME = re.compile(r"\$\{?(\w+)")


def secrets_of(recipe: BuildRecipe, destination: Destination | None = None) -> set[str]:
    """Return what no line of the log may show.

    Every build argument may be a secret, but for one in a FROM line: that is the name of an image, which errors have to name.

    :param recipe: the build
    :param destination: the destination of the push (default: none)
    """
    public = {
        name
        for line in _FROM.findall(recipe.context.read_dockerfile())
        for name in _VARIABLE_NAME.findall(line)
    }
    values = {value for name, value in recipe.build_args.items() if name not in public}
    passwords = {login.password for login in recipe.logins.values()}
    if destination is not None:
        passwords.add(destination.password)
    return (values | passwords | set(recipe.secrets.values())) - {""}


def log_pushed(destination: Destination, pushed: PushedImage, log: Log) -> None:
    """Log the last line of a build."""
    log.info("Pushed %s@%s (%.1f MB)", destination.repository_uri, pushed.digest, pushed.size / 1e6)


def settle_manifest(
    registry: RegistryClient, destination: Destination, reference: str, *, platform: str, log: Log
) -> PushedImage:
    """Make sure that the pushed image has a manifest that SageMaker takes, and return it.

    :param registry: client of the destination's registry
    :param destination: the destination of the push
    :param reference: digest of what was pushed, or its tag
    :param platform: to pick from a list of manifests
    :param log: logger of the task
    :raises ImageBuildError: there is no such manifest, and none can be made
    """
    repository = destination.repository
    media_type, content = registry.get_manifest(repository, reference)
    if manifests.is_index(media_type):
        reference = manifests.select_platform(json.loads(content), platform)
        log.info("The image is a manifest list; using the manifest for %s, %s", platform, reference)
        media_type, content = registry.get_manifest(repository, reference)
        rewritten = True
    else:
        rewritten = False
    manifest = json.loads(content)
    if media_type != manifests.DOCKER_MANIFEST:
        manifest = manifests.to_docker(manifest)
        content = manifests.to_bytes(manifest)
        rewritten = True
        log.info(
            "SageMaker rejects manifests of the type %s; pushing the same image with a Docker manifest",
            media_type,
        )
    elif "layers" not in manifest:
        manifest = manifests.to_docker(manifest)  # raises an error with the reason
    if rewritten:
        _put(registry, destination, content, log)
    config = json.loads(registry.get_blob(repository, manifest["config"]["digest"]))
    if "architecture" in config:
        check_platform(
            platform,
            os_name=config.get("os", "linux"),
            architecture=config["architecture"],
            what=f"The image {destination.repository_uri}:{destination.tag}",
        )
    return PushedImage(
        digest=manifests.digest_of(content),
        media_type=manifests.DOCKER_MANIFEST,
        size=manifests.image_size(manifest),
    )


def _put(registry: RegistryClient, destination: Destination, content: bytes, log: Log) -> None:
    repository = destination.repository
    try:
        registry.put_manifest(repository, destination.tag, content, manifests.DOCKER_MANIFEST)
    except RegistryError as error:
        if not error.tag_is_immutable:
            raise
        # The tag of the push keeps naming the other manifest. An image without a tag would be deleted by many a life cycle.
        tag = manifests.docker_tag(destination.tag)
        digest = manifests.digest_of(content)
        if _digest_of_tag(registry, repository, tag) != digest:
            registry.put_manifest(repository, tag, content, manifests.DOCKER_MANIFEST)
        log.info(
            "Tags of %s are immutable: the manifest that SageMaker takes has the tag %s",
            destination.repository_uri,
            tag,
        )


def _digest_of_tag(registry: RegistryClient, repository: str, tag: str) -> str | None:
    try:
        return manifests.digest_of(registry.get_manifest(repository, tag)[1])
    except RegistryError as error:
        if error.status != _NOT_FOUND:
            raise
        return None


def check_platform(platform: str, *, os_name: str, architecture: str, what: str) -> None:
    """Check the platform of an image that was built.

    On an instance of another architecture the container ends with "exec format error", which SageMaker reports as a
    failed ping after many minutes (https://github.com/apache/airflow/pull/27899).

    :raises ImageBuildError: they differ
    """
    wanted = "/".join(platform.split("/")[:2])
    found = f"{os_name}/{architecture}"
    if wanted != found:
        raise ImageBuildError(
            f"{what} is for {found}, but {platform} was requested; on a SageMaker instance it would fail with "
            "'exec format error'. Use a base image of that platform and an engine that can build for it (on "
            "another architecture: with QEMU's binfmt handlers), or give platform="
        )

"""The digests of the images that a Dockerfile reads from."""

from __future__ import annotations

import json
import logging
from contextlib import suppress

import docker.auth
import docker.errors

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.builders import Log
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.images.registry import DOCKER_HUB, RegistryClient, RegistryError, parse_image_name

#: What a registry answers for an image that it does not have, and for one that it does not show without other credentials.
_NOT_THERE, _DENIED = frozenset({400, 404}), frozenset({401, 403})


def resolve_bases(recipe: BuildRecipe, log: Log) -> dict[str, str]:
    """Return the current digest of each image that is read, by its reference; one GET a tag.

    An image that is named by its digest needs no call. Left out, with a warning, is an image that its registry does not have: the
    engine may have it by itself.

    :param recipe: the build, with the credentials of its registries; those of ``docker login`` are used, too
    :param log: logger of the task
    :raises RegistryError: a registry cannot be reached
    :raises ImageBuildError: a registry wants other credentials
    """
    found = {}
    for name in recipe.images():
        host, repository, reference = parse_image_name(name)
        if reference.startswith("sha256:"):
            continue
        try:
            with _client(host, recipe) as registry:
                media_type, content = registry.get_manifest(repository, reference)
        except RegistryError as error:
            if error.status in _DENIED:
                raise ImageBuildError(
                    f"resolve_base: the registry does not show the base image {name} without other credentials ({error}). Log the worker in, "
                    "or let the task's role read it"
                ) from error
            if error.status not in _NOT_THERE:
                raise
            log.warning(
                "The digest of the base image %s cannot be read, so its name alone counts: %s", name, error
            )
            continue
        digest = manifests.digest_of(content)
        if manifests.is_index(media_type):
            # Only a change of this platform's image is one; a stage may be for another one (FROM --platform), and then any change is.
            with suppress(ImageBuildError):
                digest = manifests.select_platform(json.loads(content), recipe.platform)
        found[name] = digest
        log.info("The base image %s is %s", name, digest)
    return found


def _client(host: str, recipe: BuildRecipe) -> RegistryClient:
    return recipe.registry(host) if host in recipe.logins else registry_of_worker(host)


def registry_of_worker(host: str) -> RegistryClient:
    """Return a client of a registry, with the credentials by which somebody has logged the worker in (``docker login``), else with none.

    :param host: its ``host[:port]``
    """
    named = docker.auth.INDEX_NAME if host == DOCKER_HUB else host
    try:
        known = docker.auth.load_config().resolve_authconfig(named) or {}
    except docker.errors.DockerException as error:
        # A helper that is not installed, as in a container with the configuration of a desktop.
        logging.getLogger(__name__).info(
            "The credentials of docker login for %s cannot be read: %s", host, error
        )
        known = {}
    return RegistryClient(host, username=known.get("username"), password=known.get("password"))

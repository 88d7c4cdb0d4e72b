"""The digests of the images that a Dockerfile reads from."""

from __future__ import annotations

import json

import docker.auth

from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.builders import Log
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.images.registry import DOCKER_HUB, RegistryClient, RegistryError, parse_image_name

#: What a registry answers for an image that it does not have, or does not show without credentials.
_NOT_SHOWN = frozenset({400, 401, 403, 404})


def resolve_bases(recipe: BuildRecipe, log: Log) -> dict[str, str]:
    """Return the current digest of each image that is read, by its reference; one GET a tag.

    An image that is named by its digest needs no call. Left out, with a warning, is an image that its registry does not show: the
    engine may have it by itself.

    :param recipe: the build, with the credentials of its registries; those of ``docker login`` are used, too
    :param log: logger of the task
    :raises RegistryError: a registry cannot be reached
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
            if error.status not in _NOT_SHOWN:
                raise
            log.info(
                "The digest of the base image %s cannot be read, so its name alone counts: %s", name, error
            )
            continue
        digest = manifests.digest_of(content)
        if manifests.is_index(media_type):
            # Only a change of this platform's image is one.
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
    known = docker.auth.load_config().resolve_authconfig(named) or {}
    return RegistryClient(host, username=known.get("username"), password=known.get("password"))

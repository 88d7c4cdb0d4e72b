"""The manifest of an image in its registry, and whether SageMaker takes it."""

from __future__ import annotations

import json
from typing import Any

import docker.auth

from airflow_sm_hosting.container_check.observation import Manifest
from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.recipe import Login
from airflow_sm_hosting.images.registry import RegistryClient, RegistryError


def manifest_of(reference: str, login: Login | None) -> Manifest | None:
    """Return the manifest of an image; None if its name has no registry.

    :param reference: ``host/repository:tag`` or ``host/repository@digest``.
    :param login: Credentials of the registry (default: those of Docker's configuration, or none).
    """
    name, _, digest = reference.partition("@")
    host, slash, repository = name.partition("/")
    if not slash or not (set(".:") & set(host) or host == "localhost"):
        return None
    repository, _, tag = repository.partition(":")
    login = login or _configured_login(host)
    with RegistryClient(
        host, username=login.username if login else None, password=login.password if login else None
    ) as registry:
        try:
            media_type, content = registry.get_manifest(repository, digest or tag or "latest")
        except RegistryError as error:
            return Manifest("", str(error))
    return judged_manifest(media_type, json.loads(content))


def judged_manifest(media_type: str, content: dict[str, Any]) -> Manifest:
    """Return a manifest with the reason why SageMaker refuses it, if it does.

    :param media_type: Its media type.
    :param content: The manifest.
    """
    if media_type == manifests.DOCKER_MANIFEST:
        return Manifest(media_type)
    if media_type == manifests.DOCKER_MANIFEST_LIST:
        return Manifest(
            media_type,
            f"it is a list of manifests ({media_type}); that CreateModel takes one is not documented",
            is_certain=False,
        )
    # aws/amazon-sagemaker-feedback#180, mlflow/mlflow#13834, moby/buildkit#5480
    problem = f"CreateModel refuses manifests of the type {media_type}"
    if not manifests.is_index(media_type):
        try:
            manifests.to_docker(content)
        except ImageBuildError as error:
            problem += f", and this one cannot be converted: {error}"
    return Manifest(media_type, problem)


def _configured_login(host: str) -> Login | None:
    found = docker.auth.resolve_authconfig(docker.auth.load_config(), host) or {}
    username, password = (
        found.get("username") or found.get("Username"),
        found.get("password") or found.get("Password"),
    )
    return Login(username, password) if username and password else None

"""Copy an image from registry to registry, without an engine."""

from __future__ import annotations

import json

from airflow_sm_hosting.byte_progress import ByteProgress
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.builders import Destination, Log, PushedImage, log_pushed
from airflow_sm_hosting.images.registry import RegistryClient
from airflow_sm_hosting.work_folder import work_folder


def read_manifest(
    source: RegistryClient, repository: str, reference: str, *, platform: str, log: Log
) -> bytes:
    """Return the Docker manifest of an image: its own, so that the copy has the same digest, or, of another type, one that is made of it.

    :param source: client of the registry that has the image
    :param repository: the repository there
    :param reference: tag or digest
    :param platform: to pick from a list of manifests
    :param log: logger of the task
    :raises ImageBuildError: the registry refused, or SageMaker could never take the image
    """
    media_type, content = source.get_manifest(repository, reference)
    if manifests.is_index(media_type):
        chosen = manifests.select_platform(json.loads(content), platform)
        media_type, content = source.get_manifest(repository, chosen)
    manifest = json.loads(content)
    if media_type == manifests.DOCKER_MANIFEST and "layers" in manifest:
        return content
    log.info("SageMaker rejects manifests of the type %s; the copy gets a Docker manifest", media_type)
    return manifests.to_bytes(manifests.to_docker(manifest))


def copy_image(
    source: RegistryClient, repository: str, content: bytes, destination: Destination, *, log: Log
) -> int:
    """Copy an image, and return the number of bytes that were sent: of layers that are not there.

    :param source: client of the registry that has the image
    :param repository: the repository there
    :param content: its manifest, of :func:`read_manifest`
    :param destination: where to; its tag is put last
    :param log: logger of the task
    :raises ImageBuildError: a registry refused
    """
    manifest = json.loads(content)
    sent = 0
    with work_folder() as folder, destination.registry() as target:
        for blob in (*manifest["layers"], manifest["config"]):
            digest = blob["digest"]
            if target.has_blob(destination.repository, digest):
                log.info("%s already exists", digest)
                continue
            path = folder / "blob"
            pulling, pushing = (
                ByteProgress(log, f"{verb} {digest}", blob["size"]) for verb in ("Pulling", "Pushing")
            )
            source.download_blob(repository, digest, path, pulling)
            target.upload_blob(destination.repository, digest, path, pushing)
            sent += path.stat().st_size
            log.info("%s: copied %.1f MB", digest, blob["size"] / 1e6)
        digest = target.put_manifest(
            destination.repository, destination.tag, content, manifests.DOCKER_MANIFEST
        )
    log_pushed(
        destination, PushedImage(digest, manifests.DOCKER_MANIFEST, manifests.image_size(manifest)), log
    )
    return sent

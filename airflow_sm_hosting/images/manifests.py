"""Image manifests, in Docker's form and in OCI's. Pure: nothing here talks to a registry.

SageMaker takes Docker's form only; CreateModel refuses OCI's with "Unsupported manifest media type"
(https://github.com/aws/amazon-sagemaker-feedback/issues/180). Docker 29, buildx, buildah and podman push OCI's.
The two differ in the names of media types, so no layer has to be built or pushed again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.exceptions import ImageBuildError

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_MANIFEST_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"

ALL_MANIFESTS = (DOCKER_MANIFEST, DOCKER_MANIFEST_LIST, OCI_MANIFEST, OCI_INDEX)

_LAYERS = {
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip": DOCKER_LAYER,
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip": "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
}


def digest_of(content: bytes) -> str:
    """Return the digest that a registry knows the content by."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def docker_tag(tag: str) -> str:
    """Return the tag of an image's Docker manifest, where the image was pushed with another one to a repository of immutable tags.

    :param tag: of the push
    """
    return f"{tag}-docker"


def to_bytes(manifest: Mapping[str, Any]) -> bytes:
    """Return the manifest as it is sent, the same bytes for the same manifest."""
    return json.dumps(manifest, separators=(",", ":"), sort_keys=True).encode()


def is_index(media_type: str) -> bool:
    """Return whether it is a list of manifests, one a platform."""
    return media_type in {DOCKER_MANIFEST_LIST, OCI_INDEX}


def select_platform(index: Mapping[str, Any], platform: str) -> str:
    """Return the digest of the platform's manifest.

    :param index: a manifest list or an OCI index
    :param platform: ``os/architecture`` or ``os/architecture/variant``
    :raises ImageBuildError: there is none for the platform; the message lists what there is
    """
    offered: list[str] = []
    for entry in index.get("manifests", []):
        found = entry.get("platform") or {}
        name = "/".join(found[part] for part in ("os", "architecture", "variant") if found.get(part))
        # BuildKit's attestations stand in the index as a platform "unknown/unknown".
        if not name or name.startswith("unknown/"):
            continue
        if f"{name}/".startswith(f"{platform}/"):
            return str(entry["digest"])
        offered.append(name)
    raise ImageBuildError(
        f"The image has no manifest for the platform {platform}; it has {', '.join(sorted(offered)) or 'none'}"
    )


def to_docker(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return an image manifest with Docker's media types; one that has them comes back as it is.

    :param manifest: of one image, not a list
    :raises ImageBuildError: a layer has a form that Docker's manifests do not know
    """
    if manifest.get("schemaVersion") != 2 or "config" not in manifest or "layers" not in manifest:
        raise ImageBuildError("The registry has no image manifest of schema version 2 for the pushed image")
    if manifest.get("mediaType") == DOCKER_MANIFEST:
        return dict(manifest)
    # OCI allows an image manifest without mediaType; annotations, subject and artifactType are OCI's alone.
    return {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": _descriptor(manifest["config"], _config_type(manifest["config"]["mediaType"])),
        "layers": [_descriptor(layer, _layer_type(layer["mediaType"])) for layer in manifest["layers"]],
    }


def image_size(manifest: Mapping[str, Any]) -> int:
    """Return the bytes that a host pulls: configuration and layers, compressed."""
    return int(manifest["config"]["size"]) + sum(int(layer["size"]) for layer in manifest["layers"])


def _descriptor(descriptor: Mapping[str, Any], media_type: str) -> dict[str, Any]:
    kept = {key: descriptor[key] for key in ("size", "digest", "urls") if key in descriptor}
    return {"mediaType": media_type, **kept}


def _config_type(media_type: str) -> str:
    if media_type not in {OCI_CONFIG, DOCKER_CONFIG}:
        raise ImageBuildError(
            f"The pushed artifact is not a container image: its configuration is {media_type}"
        )
    return DOCKER_CONFIG


def _layer_type(media_type: str) -> str:
    if media_type.startswith("application/vnd.docker.image.rootfs."):
        return media_type
    if media_type in _LAYERS:
        return _LAYERS[media_type]
    if media_type.endswith("+zstd"):
        raise ImageBuildError(
            "A layer is compressed with zstd, which SageMaker cannot pull; build with gzip layers: --compression gzip "
            "(buildx: --output type=image,compression=gzip,force-compression=true,oci-mediatypes=false)"
        )
    raise ImageBuildError(f"A layer has the media type {media_type}, which Docker manifests do not support")

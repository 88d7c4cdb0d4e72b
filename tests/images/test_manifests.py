from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.exceptions import ImageBuildError
from airflow_sm_hosting.images import manifests

LAYER = "application/vnd.oci.image.layer.v1.tar"


def _oci(*layers: str, **more: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "config": {"mediaType": manifests.OCI_CONFIG, "digest": "sha256:c", "size": 5},
        "layers": [
            {"mediaType": layer, "digest": f"sha256:{number}", "size": 10, "annotations": {"a": "b"}}
            for number, layer in enumerate(layers)
        ],
        **more,
    }


def test_ocis_media_types_become_dockers() -> None:
    given = _oci(f"{LAYER}+gzip", LAYER, mediaType=manifests.OCI_MANIFEST, annotations={"x": "y"})
    before = repr(given)
    docker = manifests.to_docker(given)
    assert docker == {
        "schemaVersion": 2,
        "mediaType": manifests.DOCKER_MANIFEST,
        "config": {"mediaType": manifests.DOCKER_CONFIG, "digest": "sha256:c", "size": 5},
        "layers": [
            {"mediaType": manifests.DOCKER_LAYER, "digest": "sha256:0", "size": 10},
            {"mediaType": "application/vnd.docker.image.rootfs.diff.tar", "digest": "sha256:1", "size": 10},
        ],
    }
    assert manifests.image_size(docker) == 25
    assert repr(given) == before
    assert manifests.to_docker(docker) == docker


def test_the_media_type_may_be_left_out() -> None:
    assert manifests.to_docker(_oci())["mediaType"] == manifests.DOCKER_MANIFEST


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        (_oci(f"{LAYER}+zstd"), "--compression gzip"),
        (_oci("application/vnd.in-toto+json"), "in-toto"),
        ({"schemaVersion": 1}, "schema version 2"),
        (
            {**_oci(), "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json"}},
            "not a container image",
        ),
    ],
)
def test_what_cannot_be_converted_is_refused(manifest: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageBuildError, match=message):
        manifests.to_docker(manifest)


INDEX = {
    "manifests": [
        {"digest": "sha256:att", "platform": {"os": "unknown", "architecture": "unknown"}},
        {"digest": "sha256:arm", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        {"digest": "sha256:amd", "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": "sha256:none"},
    ]
}


@pytest.mark.parametrize(
    ("platform", "digest"),
    [("linux/amd64", "sha256:amd"), ("linux/arm64", "sha256:arm"), ("linux/arm64/v8", "sha256:arm")],
)
def test_the_platforms_manifest_is_picked(platform: str, digest: str) -> None:
    assert manifests.select_platform(INDEX, platform) == digest


def test_a_missing_platform_is_told_with_what_there_is() -> None:
    with pytest.raises(ImageBuildError, match=r"(?m)linux/arm; it has linux/amd64, linux/arm64/v8$"):
        manifests.select_platform(INDEX, "linux/arm")

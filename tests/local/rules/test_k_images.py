"""Images and model data: ECR and S3"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
import urllib3

from tests.local.rules.cloud import Cloud, refused

TYPE = "application/vnd.docker.distribution.manifest.v2+json"
HTTP = urllib3.PoolManager(retries=False, timeout=5)


def login(cloud: Cloud) -> tuple[str, dict[str, str]]:
    token = cloud.client("ecr").get_authorization_token()["authorizationData"][0]
    return token["proxyEndpoint"], {"Authorization": f"Basic {token['authorizationToken']}"}


def push(cloud: Cloud, tag: str = "1", body: bytes = b"{}", **repository: str) -> tuple[str, str]:
    """Push an image of no layers to ``team/repo``; return its manifest and the digest that the registry tells."""
    if repository:
        cloud.client("ecr").create_repository(repositoryName="team/repo", **repository)
    url, headers = login(cloud)
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    answer = HTTP.request(
        "POST", f"{url}/v2/team/repo/blobs/uploads/?digest={digest}", body=body, headers=headers
    )
    assert answer.status == 201, answer.data
    config = {
        "mediaType": "application/vnd.docker.container.image.v1+json",
        "size": len(body),
        "digest": digest,
    }
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": config, "layers": []})
    answer = HTTP.request(
        "PUT", f"{url}/v2/team/repo/manifests/{tag}", body=manifest, headers={**headers, "Content-Type": TYPE}
    )
    assert answer.status == 201, answer.data
    return manifest, answer.headers["Docker-Content-Digest"]


MUTABLE = {"imageTagMutability": "MUTABLE"}


def test_login_lasts_twelve_hours(cloud: Cloud) -> None:
    """A login token is valid for twelve hours.

    Source: ecr:API_GetAuthorizationToken.html
    """
    token = cloud.client("ecr").get_authorization_token()["authorizationData"][0]
    left = token["expiresAt"] - datetime.now(UTC)
    assert timedelta(hours=11) < left <= timedelta(hours=12)


def test_images_are_pushed(cloud: Cloud) -> None:
    """An image can be pushed to the registry that the login names, and its digest is that of its manifest.

    Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
    """
    manifest, digest = push(cloud, **MUTABLE)
    assert digest == f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
    (found,) = cloud.client("ecr").describe_images(repositoryName="team/repo")["imageDetails"]
    assert (found["imageDigest"], found["imageTags"]) == (digest, ["1"])


def test_push_needs_a_repository(cloud: Cloud) -> None:
    """A push to a repository that does not exist is rejected.

    Source: ecr-guide:docker-push-ecr-image.html
    """
    url, headers = login(cloud)
    answer = HTTP.request("POST", f"{url}/v2/absent/blobs/uploads/", headers=headers)
    assert answer.status == 404
    assert json.loads(answer.data)["errors"][0]["code"] == "NAME_UNKNOWN"


def test_push_needs_a_login(cloud: Cloud) -> None:
    """A push with a wrong password is rejected.

    Source: ecr-guide:registry_auth.html
    """
    cloud.client("ecr").create_repository(repositoryName="team/repo")
    url, _ = login(cloud)
    headers = urllib3.make_headers(basic_auth="AWS:wrong")
    assert HTTP.request("POST", f"{url}/v2/team/repo/blobs/uploads/", headers=headers).status == 401


def test_immutable_tags(cloud: Cloud) -> None:
    """An immutable tag does not move to another image.

    Source: ecr-guide:image-tag-mutability.html
    """
    push(cloud, imageTagMutability="IMMUTABLE")
    with pytest.raises(AssertionError, match="immutable"):
        push(cloud, body=b'{"other": 1}')


def test_tags_move(cloud: Cloud) -> None:
    """A mutable tag moves to the image that was pushed last; the other image stays, untagged.

    Source: ecr-guide:image-tag-mutability.html
    """
    push(cloud, **MUTABLE)
    _, digest = push(cloud, body=b'{"other": 1}')
    found = cloud.client("ecr").describe_images(repositoryName="team/repo")["imageDetails"]
    assert {image["imageDigest"]: image.get("imageTags") for image in found}[digest] == ["1"]
    assert len(found) == 2


def test_manifests_are_got(cloud: Cloud) -> None:
    """BatchGetImage returns the pushed manifest, byte for byte.

    Source: ecr:API_BatchGetImage.html
    """
    manifest, _ = push(cloud, **MUTABLE)
    (image,) = cloud.client("ecr").batch_get_image(repositoryName="team/repo", imageIds=[{"imageTag": "1"}])[
        "images"
    ]
    assert image["imageManifest"] == manifest


def test_layers_are_pushed_first(cloud: Cloud) -> None:
    """A manifest whose layers were not pushed is rejected.

    Source: ecr:API_PutImage.html
    """
    cloud.client("ecr").create_repository(repositoryName="team/repo")
    config = {"mediaType": "x", "size": 2, "digest": "sha256:" + "0" * 64}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": TYPE, "config": config, "layers": []})
    with refused(code="LayersNotFoundException"):
        cloud.client("ecr").put_image(repositoryName="team/repo", imageManifest=manifest, imageTag="1")


def test_absent_repository(cloud: Cloud) -> None:
    """An absent repository is a RepositoryNotFoundException.

    Source: ecr:API_DescribeRepositories.html
    """
    with refused("absent", code="RepositoryNotFoundException"):
        cloud.client("ecr").describe_repositories(repositoryNames=["absent"])


def test_conditional_writes(cloud: Cloud) -> None:
    """S3 rejects requests to overwrite an object with IfNoneMatch.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
    """
    bucket, key = cloud.upload().removeprefix("s3://").split("/")
    with refused(code="PreconditionFailed"):
        cloud.client("s3").put_object(Bucket=bucket, Key=key, Body=b"other", IfNoneMatch="*")

from __future__ import annotations

import json
from typing import Any

import botocore.exceptions
import pytest

from tests.local.conftest import DOCKER_MANIFEST, Deployer, digest_of, login_of


@pytest.fixture
def http(deployer: Deployer) -> Any:
    """Ask the registry over HTTP."""

    def ask(method: str, path: str, *, login: bool = True, **more: Any) -> Any:
        headers = {**(deployer.registry_login() if login else {}), **more.pop("headers", {})}
        url = path if path.startswith("http") else f"{deployer.aws.endpoint_url}{path}"
        return deployer.http.request(method, url, headers=headers, **more)

    return ask


def codes(answer: Any) -> Any:
    return [error["code"] for error in json.loads(answer.data)["errors"]]


def test_the_login_is_ecrs_and_nothing_else(deployer: Deployer, http: Any) -> None:
    data = deployer.aws.client("ecr").get_authorization_token()["authorizationData"][0]
    assert data["proxyEndpoint"] == deployer.aws.endpoint_url
    assert login_of(deployer.aws)[0] == "AWS"
    assert http("GET", "/v2/").status == 200
    for headers in ({}, {"Authorization": "Basic QVdTOndyb25n"}):
        answer = http("GET", "/v2/", login=False, headers=headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        assert codes(answer) == ["UNAUTHORIZED"]


def test_repository_uris_lead_to_this_registry(deployer: Deployer) -> None:
    ecr = deployer.aws.client("ecr")
    host = deployer.aws.endpoint_url.removeprefix("http://")
    created = ecr.create_repository(repositoryName="a/b")["repository"]
    (described,) = ecr.describe_repositories(repositoryNames=["a/b"])["repositories"]
    assert created["repositoryUri"] == described["repositoryUri"] == f"{host}/a/b"


def test_what_is_pushed_is_in_ecr_and_can_be_pulled(deployer: Deployer, http: Any) -> None:
    ecr = deployer.aws.client("ecr")
    uri = deployer.push_image(tag="v1")
    repository = uri.partition("/")[2].partition(":")[0]
    by_tag = http("GET", f"/v2/{repository}/manifests/v1")
    digest = by_tag.headers["Docker-Content-Digest"]
    assert digest == digest_of(by_tag.data)
    assert by_tag.headers["Content-Type"] == DOCKER_MANIFEST
    head = http("HEAD", f"/v2/{repository}/manifests/{digest}")
    assert head.headers["Content-Length"] == str(len(by_tag.data))
    manifest = json.loads(by_tag.data)
    (layer,) = manifest["layers"]
    blob = http("GET", f"/v2/{repository}/blobs/{layer['digest']}")
    assert (digest_of(blob.data), len(blob.data)) == (layer["digest"], layer["size"])
    assert json.loads(http("GET", f"/v2/{repository}/tags/list").data)["tags"] == ["v1"]

    for image_id in ({"imageTag": "v1"}, {"imageDigest": digest}):
        (details,) = ecr.describe_images(repositoryName=repository, imageIds=[image_id])["imageDetails"]
        assert details["imageDigest"] == digest
        assert details["imageTags"] == ["v1"]
        assert details["imageManifestMediaType"] == DOCKER_MANIFEST
        assert details["imageSizeInBytes"] == layer["size"]
        (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[image_id])["images"]
        assert image["imageManifest"].encode() == by_tag.data
        assert image["imageId"]["imageDigest"] == digest
    assert ecr.list_images(repositoryName=repository)["imageIds"] == [
        {"imageDigest": digest, "imageTag": "v1"}
    ]
    (available,) = ecr.batch_check_layer_availability(
        repositoryName=repository, layerDigests=[layer["digest"]]
    )["layers"]
    assert (available["layerAvailability"], available["layerSize"]) == ("AVAILABLE", layer["size"])


def test_blobs_come_in_chunks_as_docker_sends_them(deployer: Deployer, http: Any) -> None:
    repository = deployer.repository()
    data = bytes(range(256)) * 4096
    place = http("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
    # An iterator: Transfer-Encoding chunked.
    patched = http("PATCH", place, body=iter([data[:1000], data[1000:500_000]]))
    assert (patched.status, patched.headers["Range"]) == (202, "0-499999")
    assert http("GET", place).headers["Range"] == "0-499999"
    gap = http("PATCH", place, body=b"x", headers={"Content-Range": "700000-700000"})
    assert gap.status == 416
    more = http("PATCH", place, body=data[500_000:], headers={"Content-Range": f"500000-{len(data) - 1}"})
    assert more.status == 202
    done = http("PUT", f"{place}?digest={digest_of(data)}")
    assert (done.status, done.headers["Docker-Content-Digest"]) == (201, digest_of(data))
    assert http("GET", done.headers["Location"]).data == data


def test_blobs_come_in_one_request_or_are_mounted(deployer: Deployer, http: Any) -> None:
    first, second = deployer.repository(), deployer.repository()
    done = http("POST", f"/v2/{first}/blobs/uploads/?digest={digest_of(b'abc')}", body=b"abc")
    assert done.status == 201
    mounted = http("POST", f"/v2/{second}/blobs/uploads/?mount={digest_of(b'abc')}&from={first}")
    assert mounted.status == 201
    assert http("HEAD", mounted.headers["Location"]).headers["Content-Length"] == "3"
    unknown = http("POST", f"/v2/{second}/blobs/uploads/?mount={digest_of(b'other')}&from={first}")
    assert unknown.status == 202


def test_wrong_digests_unknown_parts_and_unknown_things_are_refused(deployer: Deployer, http: Any) -> None:
    repository = deployer.repository()
    place = http("POST", f"/v2/{repository}/blobs/uploads/").headers["Location"]
    wrong = http("PUT", f"{place}?digest={digest_of(b'b')}", body=b"a")
    assert (wrong.status, codes(wrong)) == (400, ["DIGEST_INVALID"])
    assert http("PUT", f"{place}?digest={digest_of(b'a')}", body=b"a").status == 404
    part = {"digest": digest_of(b"never pushed"), "size": 1, "mediaType": "x"}
    manifest = json.dumps({"schemaVersion": 2, "config": part, "layers": []})
    headers = {"Content-Type": DOCKER_MANIFEST}
    answer = http("PUT", f"/v2/{repository}/manifests/v1", body=manifest, headers=headers)
    assert (answer.status, codes(answer)) == (404, ["MANIFEST_BLOB_UNKNOWN"])
    assert codes(http("PUT", f"/v2/{repository}/manifests/v1", body=b"{", headers=headers)) == [
        "MANIFEST_INVALID"
    ]
    assert codes(http("GET", f"/v2/{repository}/manifests/absent")) == ["MANIFEST_UNKNOWN"]
    assert codes(http("GET", f"/v2/{repository}/blobs/{digest_of(b'zzz')}")) == ["BLOB_UNKNOWN"]
    assert http("GET", f"/v2/{repository}/blobs/sha256:../../x").status == 404


def test_a_tag_moves_and_the_image_before_stays_by_its_digest(deployer: Deployer, http: Any) -> None:
    ecr = deployer.aws.client("ecr")
    repository = deployer.repository()
    for number in (b"1", b"2"):
        deployer.push_image({"file": number}, tag="latest", repository=repository)
    deployer.push_image({"file": b"2"}, tag="again", repository=repository)
    details = ecr.describe_images(repositoryName=repository)["imageDetails"]
    assert [sorted(image.get("imageTags", [])) for image in details] == [[], ["again", "latest"]]
    assert http("GET", f"/v2/{repository}/manifests/{details[0]['imageDigest']}").status == 200


def test_the_same_image_may_be_pushed_again_under_an_immutable_tag(deployer: Deployer) -> None:
    repository = deployer.repository(imageTagMutability="IMMUTABLE")
    deployer.push_image({"file": b"1"}, tag="v1", repository=repository)
    deployer.push_image({"file": b"1"}, tag="v1", repository=repository)


def test_put_image_makes_a_manifest_pullable(deployer: Deployer, http: Any) -> None:
    ecr = deployer.aws.client("ecr")
    uri = deployer.push_image(tag="v1")
    repository = uri.partition("/")[2].partition(":")[0]
    (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    other = json.dumps(json.loads(image["imageManifest"]), indent=4)
    put = ecr.put_image(
        repositoryName=repository,
        imageManifest=other,
        imageTag="v2",
        imageManifestMediaType=DOCKER_MANIFEST,
    )
    assert put["image"]["imageId"] == {"imageDigest": digest_of(other.encode()), "imageTag": "v2"}
    assert http("GET", f"/v2/{repository}/manifests/v2").data.decode() == other
    with pytest.raises(botocore.exceptions.ClientError, match="ImageAlreadyExistsException"):
        ecr.put_image(repositoryName=repository, imageManifest=other, imageTag="v2")
    with pytest.raises(botocore.exceptions.ClientError, match="RepositoryNotFoundException"):
        ecr.put_image(repositoryName="absent", imageTag="v3", imageManifest=other)


def test_pushes_are_in_the_request_log_without_the_login(deployer: Deployer) -> None:
    deployer.push_image(tag="v1")
    entries = [entry for entry in deployer.aws.requests() if entry["service"] == "registry"]
    assert [entry["operation"] for entry in entries] == [
        "StartBlobUpload",
        "CompleteBlobUpload",
        "StartBlobUpload",
        "CompleteBlobUpload",
        "PutManifest",
    ]
    assert all(entry["mutating"] and entry["resource"].startswith("team/repo") for entry in entries)

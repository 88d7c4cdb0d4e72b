"""Image URIs and S3 URLs taken apart, and completed."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import ContainerImage, ModelData
from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks import EcrRepositoryHook, ModelDataHook
from airflow_sm_hosting.hooks.references import ImageName, ReferenceResolver, s3_place
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.operators.conftest import operations

DIGEST = "sha256:" + "a" * 64
ACCOUNT = "123456789012"


@pytest.fixture
def resolver(aws: LocalAws) -> ReferenceResolver:
    return ReferenceResolver(
        ecr=lambda region: EcrRepositoryHook(region_name=region),
        s3=lambda: ModelDataHook(),
        region=lambda: "us-east-1",
    )


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        ("repo", ("", "repo", None, None)),
        ("team/repo:1", ("", "team/repo", "1", None)),
        ("localhost/repo", ("localhost", "repo", None, None)),
        ("localhost:5000/team/repo:1", ("localhost:5000", "team/repo", "1", None)),
        (f"127.0.0.1:5000/repo@{DIGEST}", ("127.0.0.1:5000", "repo", None, DIGEST)),
        (f"host.example/a/b:1@{DIGEST}", ("host.example", "a/b", "1", DIGEST)),
        (
            f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a:b",
            (f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com", "a", "b", None),
        ),
    ],
)
def test_image_uris(uri: str, parts: tuple[Any, ...]) -> None:
    name = ImageName.parse(uri)
    assert (name.host, name.repository, name.tag, name.digest) == parts


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://bucket/key", ("bucket", "key")),
        ("s3://bucket/a/b c%20d.tar.gz", ("bucket", "a/b c%20d.tar.gz")),
        ("s3://bucket/a#b?c", ("bucket", "a#b?c")),
        ("s3://bucket/", ("bucket", "")),
        ("https://bucket.s3.amazonaws.com/a/b", ("bucket", "a/b")),
        ("https://bucket.with.dots.s3.eu-west-1.amazonaws.com/a%20b", ("bucket.with.dots", "a b")),
        ("https://s3.eu-west-1.amazonaws.com/bucket/a/b", ("bucket", "a/b")),
        ("https://s3-eu-west-1.amazonaws.com/bucket/a", ("bucket", "a")),
        ("https://bucket.s3.cn-north-1.amazonaws.com.cn/a", ("bucket", "a")),
        ("https://example.com/model.tar.gz", None),
    ],
)
def test_s3_urls(url: str, place: tuple[str, str] | None) -> None:
    assert s3_place(url) == place


@pytest.mark.parametrize("uri", [f"host.example/a/b@{DIGEST}", "docker.io/library/nginx:1"])
def test_what_is_pinned_or_elsewhere_is_sent_as_it_is(
    aws: LocalAws, resolver: ReferenceResolver, uri: str
) -> None:
    assert resolver.image(uri) == uri
    assert operations(aws) == []


def test_an_ecr_tag_is_asked_for_in_its_own_region_and_registry(
    aws: LocalAws, resolver: ReferenceResolver
) -> None:
    with pytest.raises(NotFoundError, match=rf"ECR has no image a/b:1 in eu-west-1 \(registry {ACCOUNT}\)"):
        resolver.image(f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com/a/b:1")


def test_a_digest_in_ecr_needs_no_look_at_the_image(aws: LocalAws, resolver: ReferenceResolver) -> None:
    aws.client("ecr").create_repository(repositoryName="a/b")
    aws.clear_requests()
    host = aws.endpoint_url.removeprefix("http://")
    assert resolver.image(ContainerImage.from_ecr_repository("a/b", digest=DIGEST)) == f"{host}/a/b@{DIGEST}"
    assert operations(aws) == ["DescribeRepositories"]
    with_account = ContainerImage.from_ecr_repository(
        "a/b", digest=DIGEST, registry_id=ACCOUNT, region_name="cn-north-1"
    )
    assert resolver.image(with_account) == f"{ACCOUNT}.dkr.ecr.cn-north-1.amazonaws.com.cn/a/b@{DIGEST}"


def test_a_tag_is_resolved_to_the_digest(aws: LocalAws, resolver: ReferenceResolver) -> None:
    deployer = Deployer(aws)
    aws.client("ecr").create_repository(repositoryName="a/b")
    uri = deployer.push_image({"x": b"1"}, repository="a/b", tag="1")
    resolved = resolver.image(uri)
    assert resolved.startswith(uri.removesuffix(":1") + "@sha256:")
    assert resolver.image(ContainerImage.from_ecr_repository("a/b", "1")) == resolved
    with pytest.raises(NotFoundError, match="a/b:2"):
        resolver.image(ContainerImage.from_ecr_repository("a/b", "2"))


@pytest.mark.parametrize("image", [ContainerImage.from_asset("folder"), 7, None, ""])
def test_what_is_no_image(resolver: ReferenceResolver, image: Any) -> None:
    with pytest.raises(InvalidSpecError):
        resolver.image(image)


def test_a_prefix_ends_with_a_slash_and_is_known_by_its_listing(
    aws: LocalAws, resolver: ReferenceResolver
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    for n in range(3):
        s3.put_object(Bucket="models", Key=f"churn/{n}", Body=b"x")
    s3.put_object(Bucket="models", Key="churn-2/0", Body=b"not below it")
    members, resolved = resolver.model_data(ModelData.from_prefix("models", "/churn"))
    assert members["ModelDataSource"]["S3DataSource"]["S3Uri"] == "s3://models/churn/"
    assert resolver.model_data("s3://models/churn/") == (members, resolved)
    s3.put_object(Bucket="models", Key="churn-2/0", Body=b"changed")
    assert resolver.model_data("s3://models/churn/")[1] == resolved
    s3.delete_object(Bucket="models", Key="churn/2")
    assert resolver.model_data("s3://models/churn/")[1] != resolved


def test_a_version_tells_more_than_an_etag(aws: LocalAws, resolver: ReferenceResolver) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=b"x")
    assert set(resolver.model_data("s3://models/m.tar.gz")[1]) == {"ETag"}
    s3.put_bucket_versioning(Bucket="models", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="models", Key="m.tar.gz", Body=b"x")
    assert set(resolver.model_data("s3://models/m.tar.gz")[1]) == {"VersionId"}


def test_a_content_addressed_key_needs_no_call(aws: LocalAws, resolver: ReferenceResolver) -> None:
    url = f"s3://models/x/{'0' * 64}.tar.gz"
    assert resolver.model_data(url) == ({"ModelDataUrl": url}, {})
    assert operations(aws) == []

"""References to images and model data: their parts are checked in the same way as literals and as rendered values."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_sm_hosting import ContainerDefinition, ContainerImage, ModelData
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.reference_parts import rendered_reference

DIGEST = "sha256:" + "0" * 64
MAKE: dict[str, Any] = {
    "ecr": lambda **options: ContainerImage.from_ecr_repository(
        **{"repository_name": "churn", "tag": "1", **options}
    ),
    "dlc": lambda **options: ContainerImage.from_dlc(**{"repository_name": "pytorch", "tag": "2", **options}),
    "object": lambda **options: ModelData.from_bucket(
        **{"bucket_name": "models", "object_key": "m", **options}
    ),
    "prefix": lambda **options: ModelData.from_prefix(**{"bucket_name": "models", "prefix": "m/", **options}),
}
WRONG = [
    ("ecr", "repository_name", "RepositoryName", "Churn!"),
    ("ecr", "repository_name", "RepositoryName", "churn:1"),
    ("ecr", "repository_name", "RepositoryName", "c" * 257),
    ("ecr", "tag", "Tag", "a/b"),
    ("ecr", "tag", "Tag", DIGEST),
    ("ecr", "tag", "Tag", "x" * 129),
    ("ecr", "tag", "Tag", 1.1),
    ("ecr", "digest", "Digest", "sha256:abc"),
    ("ecr", "digest", "Digest", "md5:" + "0" * 64),
    ("ecr", "digest", "Digest", DIGEST.upper()),
    ("ecr", "registry_id", "RegistryId", "12345"),
    ("ecr", "registry_id", "RegistryId", "123456789012 "),
    ("ecr", "registry_id", "RegistryId", "arn:aws:iam::123456789012:root"),
    ("ecr", "region_name", "RegionName", "Ireland"),
    ("ecr", "region_name", "RegionName", "eu-west-1a"),
    ("ecr", "region_name", "RegionName", "eu_west_1"),
    ("dlc", "repository_name", "RepositoryName", "pytorch inference"),
    ("dlc", "tag", "Tag", "2.6.0+cpu"),
    ("dlc", "account_id", "AccountId", "1234-5678-9012"),
    ("object", "bucket_name", "Bucket", "no bucket"),
    ("object", "bucket_name", "Bucket", "s3://models"),
    ("object", "object_key", "Key", "/model.tar.gz"),
    ("object", "object_key", "Key", "folder/"),
    ("object", "object_key", "Key", 5),
    ("prefix", "bucket_name", "Bucket", "models/llm"),
    ("prefix", "prefix", "Prefix", 5),
]


@pytest.mark.parametrize(("kind", "parameter", "member", "value"), WRONG)
def test_a_rendered_part_is_refused_in_the_words_of_the_literal(
    kind: str, parameter: str, member: str, value: Any
) -> None:
    with pytest.raises(InvalidSpecError) as literal:
        MAKE[kind](**{parameter: value})
    reference = {**MAKE[kind](**{parameter: "{{ params.x }}"}), member: value}
    with pytest.raises(InvalidSpecError) as rendered:
        rendered_reference("containers[0].Image", reference)
    assert str(rendered.value) == f"containers[0].Image, {literal.value}"
    assert f": {parameter} is {value!r}"[:60] in str(rendered.value)


@pytest.mark.parametrize(
    ("kind", "parameter", "member", "value"),
    [
        ("ecr", "repository_name", "RepositoryName", "team/churn"),
        ("ecr", "digest", "Digest", DIGEST),
        ("ecr", "registry_id", "RegistryId", "012345678901"),
        ("dlc", "account_id", "AccountId", "763104351884"),
        ("object", "object_key", "Key", "a b/m.tar.gz"),
        ("prefix", "prefix", "Prefix", "llm"),
    ],
)
def test_a_right_rendered_reference_stays_as_it_is(
    kind: str, parameter: str, member: str, value: str
) -> None:
    reference = {**MAKE[kind](**{parameter: "{{ params.x }}"}), member: value}
    assert (
        rendered_reference("containers[0].Image", reference) == reference == MAKE[kind](**{parameter: value})
    )


@pytest.mark.parametrize("nothing", [None, "None", "", " "], ids=repr)
def test_a_part_that_rendered_to_nothing_is_left_out_where_it_has_a_default(nothing: Any) -> None:
    options = {"registry_id": "{{ params.x }}", "region_name": "{{ params.x }}"}
    image = {**MAKE["ecr"](**options), "RegistryId": nothing, "RegionName": nothing}
    assert rendered_reference("i", image) == MAKE["ecr"]()
    account = {**MAKE["dlc"](account_id="{{ params.x }}"), "AccountId": nothing}
    assert rendered_reference("i", account) == MAKE["dlc"]()
    prefix = rendered_reference("m", {**MAKE["prefix"](prefix="{{ params.x }}"), "Prefix": nothing})
    assert (kind_of(prefix), prefix.get("Prefix")) == ("S3Prefix", None)


@pytest.mark.parametrize("nothing", [None, "None", ""], ids=repr)
@pytest.mark.parametrize(
    ("kind", "parameter", "member"),
    [
        ("ecr", "repository_name", "RepositoryName"),
        ("ecr", "tag", "Tag"),
        ("ecr", "digest", "Digest"),
        ("dlc", "tag", "Tag"),
        ("object", "bucket_name", "Bucket"),
        ("object", "object_key", "Key"),
        ("prefix", "bucket_name", "Bucket"),
    ],
)
def test_a_part_without_a_default_that_rendered_to_nothing_is_an_error(
    kind: str, parameter: str, member: str, nothing: Any
) -> None:
    reference = {**MAKE[kind](**{parameter: "{{ params.x }}"}), member: nothing}
    with pytest.raises(InvalidSpecError, match=f": {parameter} is .*return nothing"):
        rendered_reference("i", reference)


def test_an_account_that_native_rendering_made_a_number_is_an_account() -> None:
    reference = {**MAKE["ecr"](registry_id="{{ params.x }}"), "RegistryId": 123456789012}
    assert rendered_reference("i", reference) == MAKE["ecr"](registry_id="123456789012")
    with pytest.raises(InvalidSpecError, match="registry_id is '12345'"):
        rendered_reference("i", {**reference, "RegistryId": 12345})


def test_what_is_no_reference_to_an_image_or_model_data_stays_as_it_is() -> None:
    asset = ContainerImage.from_asset("serving")
    others: list[Any] = ["churn:1", None, {"S3DataSource": {}}, asset]
    for value in others:
        assert rendered_reference("i", value) is value


@pytest.mark.parametrize("url", ["s3://no bucket/m.tar.gz", "s3://models!/m", "s3://" + "b" * 256 + "/m"])
def test_a_url_of_a_bucket_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"model_data: the bucket is .*; allowed: a bucket name"):
        ContainerDefinition(image="churn:1", model_data=url)


@pytest.mark.parametrize("url", ["s3://b/m", "s3://arn:aws:s3:us-east-1:123456789012:accesspoint/a/m"])
def test_buckets_and_access_points_are_taken(url: str) -> None:
    assert ContainerDefinition(image="churn:1", model_data=url)["ModelDataUrl"] == url


HOST = "123456789012.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (f"{HOST}/churn", "the repository's name alone, 'churn', without the registry's host"),
        (f"{HOST}/team/churn", "'team/churn'"),
        (f"{HOST}/churn:1", "'churn'"),
        (f"{HOST}/churn@{DIGEST}", "'churn'"),
        (f"https://{HOST}/churn", "'churn'"),
        (f"{HOST}.cn/churn", "'churn'"),
        ("123456789012.dkr-ecr.us-east-1.on.aws/churn", "'churn'"),
        ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com/churn", "'churn'"),
        (HOST, "not the host of the registry"),
        (f"{HOST}/", "not the host of the registry"),
        ("localhost:5000/churn", "without registry host and tag"),
    ],
)
@pytest.mark.parametrize(
    "make",
    [
        lambda name: ContainerImage.from_ecr_repository(name),
        lambda name: ContainerImage.from_dlc(name, "1"),
        lambda name: ContainerImage.from_asset("serving", repository_name=name),
        lambda name: rendered_reference("i", {"SmHostingReference": "EcrImage", "RepositoryName": name}),
    ],
    ids=["ecr", "dlc", "asset", "rendered"],
)
def test_a_repository_with_the_registrys_host_is_refused(make: Any, value: str, told: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"repository_name is .*{re.escape(told)}"):
        make(value)


@pytest.mark.parametrize(
    "name", ["my.team/churn", "public.ecr.aws/docker/library/python", "ecr/churn", "dkr.ecr"]
)
def test_dots_in_a_repository_name_are_taken(name: str) -> None:
    assert ContainerImage.from_ecr_repository(name)["RepositoryName"] == name
    assert ContainerImage.from_ecr_repository(HOST + "/{{ params.name }}")

"""Containers, images and model data: AWS's shape, and what is refused when written."""

from __future__ import annotations

import copy
import json
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import ContainerDefinition, ContainerImage, ModelData
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.dlc import ACCOUNT_BY_REGION, dlc_account, is_of_aws
from airflow_sm_hosting.spec.reference import MARK, Reference, kind_of
from tests.botocore_versions import requires_botocore_1_44

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/churn:1"
SECRET = "hunter2-and-more"


def test_a_container_is_a_dict_in_the_shape_of_create_model() -> None:
    container = ContainerDefinition(
        image=IMAGE,
        model_data="s3://models/churn/model.tar.gz",
        environment={"WORKERS": "2"},
        container_hostname="churn",
        mode="SingleModel",
        ImageConfig={"RepositoryAccessMode": "Vpc"},
    )
    assert container == {
        "Image": IMAGE,
        "ModelDataUrl": "s3://models/churn/model.tar.gz",
        "Environment": {"WORKERS": "2"},
        "ContainerHostname": "churn",
        "Mode": "SingleModel",
        "ImageConfig": {"RepositoryAccessMode": "Vpc"},
    }
    assert set(container) <= set(input_shape("sagemaker", "CreateModel").members["PrimaryContainer"].members)  # type: ignore[attr-defined]


def test_what_is_not_given_is_absent() -> None:
    assert ContainerDefinition(image=IMAGE) == {"Image": IMAGE}
    assert ContainerDefinition(image=IMAGE, environment={}) == {"Image": IMAGE, "Environment": {}}


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda c: pickle.loads(pickle.dumps(c))])
@pytest.mark.parametrize(
    "spec",
    [
        ContainerDefinition(image=IMAGE, environment={"A": "b"}),
        ContainerImage.from_ecr_repository("churn", "v1"),
        ModelData.from_prefix("models", "churn/"),
    ],
    ids=["container", "image", "model data"],
)
def test_a_spec_object_is_copied_and_pickled_like_a_dict(spec: dict[str, Any], again: Any) -> None:
    assert again(spec) == spec
    assert type(again(spec)) is type(spec)
    assert json.loads(json.dumps(spec)) == spec


def test_nothing_that_was_given_is_changed() -> None:
    environment = {"WORKERS": "2"}
    members = {"ImageConfig": {"RepositoryAccessMode": "Vpc"}}
    before = copy.deepcopy((environment, members))
    container = ContainerDefinition(image=IMAGE, environment=environment, **members)
    container["Mode"] = "MultiModel"
    assert (environment, members) == before


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("image", "", "an image URI of 1 to 255 characters without spaces"),
        ("image", "a b", "an image URI of 1 to 255 characters without spaces"),
        ("image", "a\n", "an image URI"),
        ("image", "i" * 256, "an image URI of 1 to 255 characters"),
        ("image", None, "a BuildImageOperator's output, or a ContainerImage"),
        ("image", 5, "an image URI"),
        ("image", {"Repository": "churn"}, "an image URI, a BuildImageOperator's output, or a ContainerImage"),
        ("image", ModelData.from_bucket("models", "a.tar.gz"), "or a ContainerImage"),
        ("model_data", "", "an s3:// or https:// URL"),
        ("model_data", "model.tar.gz", "an s3:// or https:// URL of 1024 characters at most"),
        ("model_data", "file:///model.tar.gz", "an s3:// or https:// URL"),
        ("model_data", "s3://b/" + "k" * 1018, "an s3:// or https:// URL of 1024 characters"),
        ("model_data", 5, "an s3:// or https:// URL"),
        ("model_data", ContainerImage.from_asset("app"), "or a ModelData"),
        ("container_hostname", "a_b", "1 to 63 letters, digits and hyphens"),
        ("container_hostname", "", "1 to 63 letters"),
        ("mode", "Multi", "'SingleModel', 'MultiModel'. Did you mean 'MultiModel'?"),
        ("environment", {"1": "x"}, "not beginning with a digit"),
        ("environment", "A=b", "a dict of strings to strings"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_a_bad_literal_is_refused_by_field(field: str, value: Any, allowed: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        ContainerDefinition(**{"image": IMAGE, field: value})
    assert f"ContainerDefinition: {field}" in str(caught.value)
    assert allowed in str(caught.value)


def test_the_longest_image_and_url_are_taken() -> None:
    container = ContainerDefinition(image="i" * 255, model_data="s3://b/" + "k" * 1017)
    assert len(container["ModelDataUrl"]) == 1024


def test_a_misspelt_parameter_is_no_member_of_the_aws_shape() -> None:
    with pytest.raises(
        InvalidSpecError,
        match=r"ContainerDefinition has no parameter 'enviroment'; give members of the AWS shape",
    ) as caught:
        ContainerDefinition(image=IMAGE, enviroment={"PASSWORD": SECRET})
    assert SECRET not in str(caught.value)


def test_environment_values_are_in_no_message() -> None:
    for environment in ({"1": SECRET}, {"A": SECRET * 100}, {"A": [SECRET]}, SECRET):
        with pytest.raises(InvalidSpecError) as caught:
            ContainerDefinition(image=IMAGE, environment=environment)
        assert SECRET not in str(caught.value)


# Images


def test_an_asset_says_what_to_build() -> None:
    image = ContainerImage.from_asset(
        Path("serving"),
        dockerfile="docker/Dockerfile",
        build_args={"BASE": "python:3.12"},
        target="serve",
        platform="linux/arm64",
        labels={"team": "ml"},
        cache_from=["churn:latest"],
        repository_name="churn",
    )
    assert kind_of(image) == "ImageAsset"
    assert image == {
        MARK: "ImageAsset",
        "Directory": "serving",
        "Dockerfile": "docker/Dockerfile",
        "BuildArgs": {"BASE": "python:3.12"},
        "Target": "serve",
        "Platform": "linux/arm64",
        "Labels": {"team": "ml"},
        "CacheFrom": ["churn:latest"],
        "RepositoryName": "churn",
    }
    assert ContainerImage.from_asset("serving") == {
        MARK: "ImageAsset",
        "Directory": "serving",
        "Dockerfile": "Dockerfile",
        "Platform": "linux/amd64",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"platform": "linux/arm"}, "platform is 'linux/arm'; allowed: 'linux/amd64', 'linux/arm64'"),
        ({"directory": ""}, "directory is ''; allowed: a folder with a Dockerfile"),
    ],
    ids=["platform", "directory"],
)
def test_a_bad_asset_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=f"ContainerImage.from_asset: {message}"):
        ContainerImage.from_asset(**{"directory": "app", **options})


def test_an_ecr_image_has_a_tag_or_a_digest() -> None:
    digest = "sha256:" + "0a" * 32
    assert ContainerImage.from_ecr_repository("team/churn") == {
        MARK: "EcrImage",
        "RepositoryName": "team/churn",
        "Tag": "latest",
    }
    pinned = ContainerImage.from_ecr_repository(
        "churn", digest=digest, registry_id="123456789012", region_name="eu-west-1"
    )
    assert pinned == {
        MARK: "EcrImage",
        "RepositoryName": "churn",
        "Digest": digest,
        "RegistryId": "123456789012",
        "RegionName": "eu-west-1",
    }


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"repository_name": ""}, "repository_name"),
        ({"repository_name": "Churn"}, "repository_name"),
        ({"repository_name": "churn:1"}, "repository_name"),
        ({"repository_name": "c" * 257}, "repository_name"),
        ({"repository_name": "host.com/churn/"}, "repository_name"),
        ({"tag": ""}, "tag"),
        ({"tag": "t" * 129}, "tag"),
        ({"tag": "-t"}, "tag"),
        ({"tag": "sha256:" + "0" * 64}, "give a digest as digest="),
        ({"digest": "sha256:" + "0" * 63}, "digest"),
        ({"digest": "sha256:" + "A" * 64}, "digest"),
        ({"digest": "0" * 64}, "digest"),
        ({"registry_id": "12345678901"}, "registry_id"),
        ({"registry_id": 123456789012}, "an account of 12 digits, as a string"),
    ],
    ids=str,
)
def test_a_bad_ecr_image_is_refused(options: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpecError, match=r"ContainerImage.from_ecr_repository: ") as caught:
        ContainerImage.from_ecr_repository(**{"repository_name": "churn", **options})
    assert field in str(caught.value)


def test_edges_of_ecr_names_are_taken() -> None:
    ContainerImage.from_ecr_repository("c" * 256, "t" * 128)
    ContainerImage.from_ecr_repository("a/b_c/d-e.f", "_")
    ContainerImage.from_ecr_repository("{{ params.repository }}", "{{ params.tag }}")


@requires_botocore_1_44
@pytest.mark.parametrize("name", ["my--team/churn", "my__team/churn", "a.b_c-d/e", "0/1/2", "a--b"])
def test_a_repository_name_that_ecr_takes_is_taken(name: str) -> None:
    pattern = input_shape("ecr", "BatchGetImage").members["repositoryName"].metadata["pattern"]
    assert re.fullmatch(pattern, name)
    assert ContainerImage.from_ecr_repository(name)["RepositoryName"] == name
    assert ContainerImage.from_dlc(name, "1")["RepositoryName"] == name


def test_a_deep_learning_container_knows_its_registry() -> None:
    image = ContainerImage.from_dlc("pytorch-inference", "2.6.0-cpu", account_id="763104351884")
    assert image == {
        MARK: "DlcImage",
        "RepositoryName": "pytorch-inference",
        "Tag": "2.6.0-cpu",
        "AccountId": "763104351884",
    }
    with pytest.raises(InvalidSpecError, match=r"ContainerImage.from_dlc: account_id is '1'"):
        ContainerImage.from_dlc("pytorch-inference", "1", account_id="1")
    with pytest.raises(InvalidSpecError, match=r"ContainerImage.from_dlc: tag is 'a b'"):
        ContainerImage.from_dlc("pytorch-inference", "a b")
    with pytest.raises(InvalidSpecError, match=r"ContainerImage.from_dlc: repository_name"):
        ContainerImage.from_dlc("Pytorch", "1")


def test_accounts_of_deep_learning_containers_are_the_cdks() -> None:
    assert dlc_account("us-east-1") == "763104351884"
    assert dlc_account("cn-north-1") == "727897471807"
    assert all(len(account) == 12 and account.isdigit() for account in ACCOUNT_BY_REGION.values())
    assert len(ACCOUNT_BY_REGION) == 32


def test_an_unknown_region_is_told_the_way_out() -> None:
    with pytest.raises(InvalidSpecError, match=r"'us-gov-west-1' is not known.*account_id="):
        dlc_account("us-gov-west-1")


# Model data


def test_model_data_says_where_it_lies() -> None:
    assert ModelData.from_asset(Path("model")) == {MARK: "ModelDataAsset", "Path": "model"}
    uncompressed = {MARK: "ModelDataAsset", "Path": "model", "Uncompressed": True}
    assert ModelData.from_asset("model", uncompressed=True) == uncompressed
    assert ModelData.from_bucket("models", "churn/model.tar.gz") == {
        MARK: "S3Object",
        "Bucket": "models",
        "Key": "churn/model.tar.gz",
    }
    assert ModelData.from_prefix("models", "churn/") == {
        MARK: "S3Prefix",
        "Bucket": "models",
        "Prefix": "churn/",
    }


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ModelData.from_bucket("b", "k.tar.gz"), "ModelData.from_bucket: bucket_name is 'b'"),
        (lambda: ModelData.from_bucket("a/b", "k"), "ModelData.from_bucket: bucket_name"),
        (lambda: ModelData.from_bucket("models", ""), "ModelData.from_bucket: object_key is ''"),
        (lambda: ModelData.from_bucket("models", "/k"), "without a leading '/'"),
        (lambda: ModelData.from_bucket("models", "//"), "ModelData.from_bucket: object_key"),
        (lambda: ModelData.from_bucket("models", None), "ModelData.from_bucket: object_key is None"),
        (lambda: ModelData.from_prefix("b", "p/"), "ModelData.from_prefix: bucket_name is 'b'"),
        (lambda: ModelData.from_prefix("models", 5), "ModelData.from_prefix: prefix is 5"),
        (lambda: ModelData.from_asset(""), "ModelData.from_asset: path is ''"),
    ],
    ids=range(9),
)
def test_bad_model_data_is_refused(make: Any, message: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        make()
    assert message in str(caught.value)


def test_a_plain_dict_is_no_reference() -> None:
    assert kind_of({"Image": IMAGE}) is None
    assert kind_of("EcrImage") is None
    assert kind_of(dict(Reference("EcrImage", Tag="1"))) == "EcrImage"


@pytest.mark.parametrize("account", ["763104351884", "683313688378", "141502667606", "626614931356"])
def test_registries_of_aws_are_known(account: str) -> None:
    assert is_of_aws(account)
    assert not is_of_aws("123456789012")

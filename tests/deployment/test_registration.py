"""What is the content of a registration, and by what it is found again."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_sm_hosting.deployment.registration import (
    client_token,
    fingerprint,
    has_fingerprint,
    inference_specification,
    source_of,
    with_same_containers,
)
from airflow_sm_hosting.spec.tags import CONTENT_DIGEST

CONTAINER = {"Image": "i@sha256:1", "ModelDataUrl": "s3://models/m.tar.gz"}


def request(**members: Any) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": "churn",
        "InferenceSpecification": {"Containers": [CONTAINER]},
        "ModelApprovalStatus": "Approved",
        "MetadataProperties": {"GeneratedBy": "run 1"},
        **members,
    }


def test_a_specification_has_only_what_is_given() -> None:
    assert inference_specification(containers=[CONTAINER]) == {"Containers": [CONTAINER]}
    assert inference_specification(
        containers=[CONTAINER],
        content_types=["a"],
        response_types=["b"],
        instance_types=["c"],
        transform_instance_types=["d"],
    ) == {
        "Containers": [CONTAINER],
        "SupportedContentTypes": ["a"],
        "SupportedResponseMIMETypes": ["b"],
        "SupportedRealtimeInferenceInstanceTypes": ["c"],
        "SupportedTransformInstanceTypes": ["d"],
    }


@pytest.mark.parametrize(
    "change",
    [
        {"ModelApprovalStatus": "Rejected"},
        {"MetadataProperties": {"GeneratedBy": "run 2"}},
        {"CustomerMetadataProperties": {"accuracy": "1"}},
        {"ModelPackageDescription": "x"},
        {"ModelPackageGroupName": "other"},
    ],
)
def test_what_is_said_about_a_version_is_no_content(change: dict[str, Any]) -> None:
    assert fingerprint(request(**change), [{}]) == fingerprint(request(), [{}])


def test_what_it_consists_of_is_content() -> None:
    other = {"Containers": [{**CONTAINER, "Environment": {"A": "b"}}]}
    more = [{"Name": "gpu", "Containers": [CONTAINER]}]
    digests = [
        fingerprint(request(), [{}]),
        fingerprint(request(), [{"ETag": "1"}]),
        fingerprint(request(InferenceSpecification=other), [{}]),
        fingerprint(request(AdditionalInferenceSpecifications=more), [{}]),
    ]
    assert len(set(digests)) == 4
    # The form must not change: a version would be registered twice.
    assert digests[0] == GOLDEN


GOLDEN = "85a257c84a3dc7d3edd27d439734e94ce9a44d4a3c3e9a42eecbd3ed5e50f30e"


def test_a_token_is_of_a_group_and_a_content() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model-package-group/churn"
    token = client_token("churn", "a" * 64)
    assert re.fullmatch(r"[a-zA-Z0-9-]{36}", token)  # botocore, ClientToken
    assert client_token(arn, "a" * 64) == token
    assert len({token, client_token("other", "a" * 64), client_token("churn", "b" * 64)}) == 3


def test_the_source_is_the_same_in_each_try() -> None:
    ids = {"dag_id": "train", "run_id": "manual__1", "task_id": "register"}
    url = "http://airflow/dags/train/runs/manual__1/tasks/register"
    assert source_of(**ids, url=None) == "Airflow: DAG train, run manual__1, task register"
    assert source_of(**ids, url=f"{url}?try_number=1") == source_of(**ids, url=f"{url}?try_number=2")
    assert source_of(**ids, url=url).endswith(f", {url}")
    assert len(source_of(**{**ids, "dag_id": "d" * 2000}, url=url)) == 1024


def described(version: int | None, *containers: dict[str, Any]) -> dict[str, Any]:
    return {"ModelPackageVersion": version, "InferenceSpecification": {"Containers": list(containers)}}


def test_versions_with_other_containers_are_not_described() -> None:
    added = {**CONTAINER, "ImageDigest": "sha256:1", "ModelDataETag": "1"}
    packages = [
        described(2, CONTAINER),
        described(10, added),
        described(3, {**CONTAINER, "Image": "j"}),
        described(4, {**CONTAINER, "ModelDataUrl": "s3://models/n.tar.gz"}),
        described(5, CONTAINER, CONTAINER),
        {"ModelPackageVersion": 6},
    ]
    found = with_same_containers(request(), packages)
    assert [package["ModelPackageVersion"] for package in found] == [10, 2]


def test_model_data_below_a_prefix_is_told_apart() -> None:
    def container(uri: str) -> dict[str, Any]:
        return {"Image": "i", "ModelDataSource": {"S3DataSource": {"S3Uri": uri}}}

    wanted = request(InferenceSpecification={"Containers": [container("s3://models/a/")]})
    packages = [described(None, container("s3://models/a/")), described(2, container("s3://models/b/"))]
    assert with_same_containers(wanted, packages) == packages[:1]


def test_a_version_is_known_by_its_fingerprint() -> None:
    package = {"CustomerMetadataProperties": {CONTENT_DIGEST: "d"}, "ModelPackageStatus": "Completed"}
    assert has_fingerprint(package, "d")
    assert not has_fingerprint(package, "e")
    assert not has_fingerprint({}, "d")
    assert not has_fingerprint({**package, "ModelPackageStatus": "Deleting"}, "d")

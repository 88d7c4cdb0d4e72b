"""Which versions of a model package group can be deployed, and what is told of the others."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.model_package import (
    can_be_deployed,
    check_can_be_deployed,
    content_of,
    nothing_approved,
    package_summary,
    specification_of,
)
from airflow_sm_hosting.exceptions import ModelPackageError

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"
CONTAINER = {"Image": "i", "ModelDataUrl": "s3://models/m.tar.gz", "Environment": {"TOKEN": "s3cr3t"}}


def package(**members: Any) -> dict[str, Any]:
    return {
        "ModelPackageArn": ARN,
        "ModelPackageGroupName": "churn",
        "ModelPackageVersion": 3,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "Approved",
        "InferenceSpecification": {"Containers": [CONTAINER]},
        **members,
    }


def test_an_approved_and_completed_version_can_be_deployed() -> None:
    check_can_be_deployed("model_package", package(), None)
    assert can_be_deployed(package())


def test_an_unversioned_package_needs_no_approval() -> None:
    unversioned = package()
    del unversioned["ModelApprovalStatus"]
    check_can_be_deployed("model_package", unversioned, None)


@pytest.mark.parametrize("approval", ["Rejected", "PendingManualApproval"])
def test_one_that_is_not_approved_is_refused_with_the_reason(approval: str) -> None:
    found = package(ModelApprovalStatus=approval, ApprovalDescription="accuracy fell")
    assert not can_be_deployed(found)
    with pytest.raises(
        ModelPackageError, match=rf"churn/3 is {approval} \(accuracy fell\); allowed: Approved"
    ):
        check_can_be_deployed("model_package", found, None)
    with pytest.raises(ModelPackageError, match=rf"churn/3 is {approval}; allowed: Approved"):
        check_can_be_deployed("model_package", package(ModelApprovalStatus=approval), None)


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (None, r"has the status Failed; allowed: Completed"),
        (
            {
                "ValidationStatuses": [{"Name": "batch", "Status": "Failed", "FailureReason": "no answer"}],
                "ImageScanStatuses": [{"Name": "scan", "Status": "Completed"}],
            },
            r"has the status Failed \(batch: no answer\); allowed: Completed",
        ),
    ],
)
def test_an_approved_one_that_failed_is_refused_with_the_reason(details: Any, words: str) -> None:
    found = package(ModelPackageStatus="Failed", ModelPackageStatusDetails=details)
    assert not can_be_deployed(found)
    with pytest.raises(ModelPackageError, match=words):
        check_can_be_deployed("model_package", found, None)


def test_one_without_containers_cannot_be_deployed() -> None:
    """As MLflow registers a model whose inference specification was not logged."""
    with pytest.raises(ModelPackageError, match="has no inference specification with containers"):
        check_can_be_deployed("model_package", package(InferenceSpecification=None), None)
    more = [{"Name": "gpu", "Containers": [CONTAINER]}]
    with pytest.raises(
        ModelPackageError, match=r"no inference specification 'cpu' with containers.*It has: gpu\."
    ):
        check_can_be_deployed("model_package", package(AdditionalInferenceSpecifications=more), "cpu")
    check_can_be_deployed("model_package", package(AdditionalInferenceSpecifications=more), "gpu")


def test_the_content_is_that_of_the_selected_specification() -> None:
    more = [{"Name": "gpu", "Containers": [{**CONTAINER, "Image": "j"}]}]
    found = package(AdditionalInferenceSpecifications=more)
    contents = {content_of(specification_of(found, name)) for name in (None, "gpu")}
    assert len(contents) == 2
    assert content_of({"SupportedContentTypes": ["a"], "Containers": [CONTAINER]}) in contents
    assert content_of({}) == content_of({"Containers": []})


def test_what_is_told_has_no_values_of_environments() -> None:
    source = {"Image": "j", "ModelDataSource": {"S3DataSource": {"S3Uri": "s3://models/m/"}}}
    told = package_summary(package(), {"Containers": [CONTAINER, source, {"Image": "k"}]})
    assert told == {
        "arn": ARN,
        "group": "churn",
        "version": 3,
        "approval_status": "Approved",
        "approval_description": None,
        "images": ["i", "j", "k"],
        "model_data": ["s3://models/m.tar.gz", "s3://models/m/", None],
    }


def test_a_group_without_an_approved_version_tells_what_it_has() -> None:
    rows = [
        {"ModelPackageVersion": number, "ModelApprovalStatus": "Rejected", "ModelPackageStatus": "Completed"}
        for number in (7, 6, 5, 4, 3, 2)
    ]
    text = nothing_approved("churn", "eu-west-1", rows)
    assert (
        "churn in eu-west-1 has no version that can be deployed. Found: version 7: Rejected, Completed; "
        in text
    )
    assert "version 3: Rejected, Completed; …. Allowed" in text
    assert "version 2" not in text
    assert "version 6" in nothing_approved("churn", "eu-west-1", rows[1:])
    assert "Found: no versions." in nothing_approved("churn", "eu-west-1", [])

"""What is to be done to approve or reject a version, and how a wait for an approval ends: tables over what SageMaker describes."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from airflow_sm_hosting.deployment.approval import (
    approval_request,
    approval_result,
    decided_by,
    status_line,
)
from airflow_sm_hosting.exceptions import ConflictError, ModelPackageError

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"
STATUSES = ("PendingManualApproval", "Approved", "Rejected")


def package(
    approval: str | None = "PendingManualApproval", status: str = "Completed", **members: Any
) -> dict[str, Any]:
    found = {"ModelPackageArn": ARN, "ModelPackageStatus": status, **members}
    return found if approval is None else {**found, "ModelApprovalStatus": approval}


@pytest.mark.parametrize(
    ("found", "wanted", "overrule"), list(product(STATUSES, ("Approved", "Rejected"), (False, True)))
)
def test_every_decision(found: str, wanted: str, overrule: bool) -> None:
    before = package(found, ApprovalDescription="reason")
    if found not in ("PendingManualApproval", wanted) and not overrule:
        with pytest.raises(
            ConflictError, match=rf"is {found} \(reason\), by somebody else; requested: {wanted}"
        ):
            approval_request(before, wanted, None, overrule=overrule)
        return
    for description in (None, "reason", "other"):
        expected: dict[str, Any] = {}
        if found != wanted:
            expected["ModelApprovalStatus"] = wanted
        if description == "other":
            expected["ApprovalDescription"] = description
        request = approval_request(before, wanted, description, overrule=overrule)
        assert request == ({"ModelPackageArn": ARN, **expected} if expected else {})


def test_a_conflict_without_a_reason_names_who_decided() -> None:
    found = package("Rejected", LastModifiedBy={"UserProfileName": "ada"})
    with pytest.raises(ConflictError, match="is Rejected, by ada; requested: Approved"):
        approval_request(found, "Approved", None, overrule=False)


@pytest.mark.parametrize("status", ["Pending", "InProgress", "Failed", "Deleting"])
def test_only_a_completed_version_is_approved(status: str) -> None:
    found = package(status=status)
    with pytest.raises(
        ModelPackageError, match=f"has the status {status}; allowed for an approval: Completed"
    ):
        approval_request(found, "Approved", None, overrule=True)
    assert approval_request(found, "Rejected", None, overrule=False)["ModelApprovalStatus"] == "Rejected"


def test_an_unversioned_package_has_no_approval() -> None:
    with pytest.raises(ModelPackageError, match="is not a version of a group"):
        approval_request(package(None), "Approved", None, overrule=True)


@pytest.mark.parametrize(
    ("who", "name"),
    [
        (None, "somebody else"),
        ({}, "somebody else"),
        ({"UserProfileName": "ada"}, "ada"),
        (
            {"IamIdentity": {"Arn": "arn:aws:sts::123456789012:assumed-role/r/s"}},
            "arn:aws:sts::123456789012:assumed-role/r/s",
        ),
    ],
)
def test_who_decided(who: Any, name: str) -> None:
    assert decided_by({"LastModifiedBy": who}) == name


@pytest.mark.parametrize(
    ("approval", "status"),
    list(product(STATUSES, ("Pending", "InProgress", "Completed", "Failed", "Deleting"))),
)
def test_every_end_of_a_wait(approval: str, status: str) -> None:
    result = approval_result(package(approval, status))
    if status == "Failed":
        assert result is not None
        assert (result.is_approved, "has the status Failed" in result.message) == (False, True)
    elif approval == "Rejected":
        assert result is not None
        assert (result.is_approved, result.message) == (
            False,
            f"Model package {ARN} is Rejected, by somebody else.",
        )
    elif (approval, status) == ("Approved", "Completed"):
        assert result is not None
        assert (result.is_approved, result.message) == (True, f"Model package {ARN} is Approved")
    else:
        assert result is None


def test_a_version_that_does_not_exist_yet_is_waited_for() -> None:
    assert approval_result(None) is None
    assert status_line(None) == "does not exist yet"


def test_the_reason_of_a_decision_is_told() -> None:
    result = approval_result(package("Rejected", ApprovalDescription="accuracy fell"))
    assert result is not None
    assert "is Rejected (accuracy fell), by" in result.message
    assert status_line(package("Rejected")) == "Rejected, Completed"

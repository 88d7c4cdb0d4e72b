"""Model packages as SageMaker describes them: which one can be deployed, and what a model of it consists of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from airflow_sm_hosting.exceptions import ModelPackageError

#: ModelApprovalStatus and ModelPackageStatus of a version that can be deployed (botocore; DescribeModelPackage documentation).
APPROVED, REJECTED, PENDING = "Approved", "Rejected", "PendingManualApproval"
COMPLETED, FAILED = "Completed", "Failed"

#: Versions that a message lists at most.
_LISTED = 5


def can_be_deployed(package: Mapping[str, Any]) -> bool:
    """Return whether a version, as it is described or listed, is Approved and Completed: it may be approved and have failed."""
    return is_approved(package) and package.get("ModelPackageStatus") == COMPLETED


def is_approved(package: Mapping[str, Any]) -> bool:
    """Return whether a package is approved; an unversioned one has no approval, and needs none."""
    return bool(package.get("ModelApprovalStatus", APPROVED) == APPROVED)


def check_can_be_deployed(where: str, package: Mapping[str, Any], specification_name: str | None) -> None:
    """Check that a model can be made of a package.

    :param where: The field, for messages.
    :param package: The package as DescribeModelPackage describes it.
    :param specification_name: Name of an additional inference specification (default: the package's own).
    :raises ModelPackageError: When SageMaker would refuse it.
    """
    name = f"{where}: model package {package['ModelPackageArn']}"
    if package.get("ModelPackageStatus") != COMPLETED:
        reasons = _reasons(package)
        raise ModelPackageError(
            f"{name} has the status {package.get('ModelPackageStatus')}{reasons}; allowed: {COMPLETED}."
        )
    if not is_approved(package):
        told = package.get("ApprovalDescription")
        raise ModelPackageError(
            f"{name} is {package.get('ModelApprovalStatus')}{f' ({told})' if told else ''}; allowed: {APPROVED}. Approve it with "
            "ApproveModelOperator, or in SageMaker Studio."
        )
    if not specification_of(package, specification_name).get("Containers"):
        names = [one["Name"] for one in package.get("AdditionalInferenceSpecifications") or []]
        raise ModelPackageError(
            f"{name} has no inference specification{f' {specification_name!r}' if specification_name else ''} with containers, so it "
            f"cannot be deployed. It has: {', '.join(names) if names else 'no additional ones'}."
        )


def specification_of(package: Mapping[str, Any], specification_name: str | None) -> Mapping[str, Any]:
    """Return an inference specification of a package: its own, or an additional one by name; empty if there is none."""
    if specification_name is None:
        return package.get("InferenceSpecification") or {}
    additional = package.get("AdditionalInferenceSpecifications") or []
    return next((one for one in additional if one["Name"] == specification_name), {})


def content_of(specification: Mapping[str, Any]) -> str:
    """Return the SHA-256 of the containers of an inference specification: an update of the package may change them."""
    text = json.dumps(specification.get("Containers") or [], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def package_summary(package: Mapping[str, Any], specification: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a task tells of a package that it has resolved: plain JSON, without values of environments."""
    containers: Sequence[Mapping[str, Any]] = specification.get("Containers") or []
    return {
        "arn": package["ModelPackageArn"],
        "group": package.get("ModelPackageGroupName"),
        "version": package.get("ModelPackageVersion"),
        "approval_status": package.get("ModelApprovalStatus"),
        "approval_description": package.get("ApprovalDescription"),
        "images": [container.get("Image") for container in containers],
        "model_data": [_place_of_data(container) for container in containers],
    }


def nothing_approved(group: str, region: str, found: Iterable[Mapping[str, Any]]) -> str:
    """Return the message that a group has no version that can be deployed.

    :param group: Name or ARN of the group.
    :param region: The Region in which it was looked up.
    :param found: Versions that it has, the newest first.
    """
    versions = [
        f"version {one.get('ModelPackageVersion')}: {one.get('ModelApprovalStatus')}, {one.get('ModelPackageStatus')}"
        for one in found
    ]
    listed = "; ".join(versions[:_LISTED]) + ("; …" if len(versions) > _LISTED else "")
    return (
        f"Model package group {group} in {region} has no version that can be deployed. Found: {listed or 'no versions'}. Allowed: a "
        f"version that is {APPROVED} and {COMPLETED}. Approve one with ApproveModelOperator, or in SageMaker Studio."
    )


def _place_of_data(container: Mapping[str, Any]) -> str | None:
    source = (container.get("ModelDataSource") or {}).get("S3DataSource") or {}
    found = container.get("ModelDataUrl") or source.get("S3Uri")
    return None if found is None else str(found)


def _reasons(package: Mapping[str, Any]) -> str:
    """Return why a package failed, as its details tell it."""
    details = package.get("ModelPackageStatusDetails") or {}
    told = [
        f"{item.get('Name')}: {item['FailureReason']}"
        for kind in ("ValidationStatuses", "ImageScanStatuses")
        for item in details.get(kind) or []
        if item.get("FailureReason")
    ]
    return f" ({'; '.join(told)})" if told else ""

"""Approving and rejecting a version: what is to be done, and how a wait for an approval ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.model_package import APPROVED, COMPLETED, FAILED, PENDING, REJECTED
from airflow_sm_hosting.exceptions import ConflictError, ModelPackageError


def approval_request(
    package: Mapping[str, Any], status: str, description: str | None, *, overrule: bool
) -> dict[str, Any]:
    """Return the UpdateModelPackage request that decides on a version; empty when it is decided so already.

    A description alone does not send the status again: every update is an event, and consumers of approvals tell them by the changed fields.

    :param package: The version as DescribeModelPackage describes it.
    :param status: ``Approved`` or ``Rejected``.
    :param description: The reason (default: it stays as it is).
    :param overrule: Whether the opposite decision may be replaced.
    :raises ModelPackageError: When it cannot be decided on.
    :raises ConflictError: When it is decided the other way, and ``overrule`` is False.
    """
    arn, found = package["ModelPackageArn"], package.get("ModelApprovalStatus")
    if found is None:
        raise ModelPackageError(
            f"Model package {arn} is not a version of a group, so it has no approval status; allowed: a version."
        )
    if status == APPROVED and package.get("ModelPackageStatus") != COMPLETED:
        raise ModelPackageError(
            f"Model package {arn} has the status {package.get('ModelPackageStatus')}; allowed for an approval: {COMPLETED}. A version "
            f"that is not {COMPLETED} cannot be deployed."
        )
    if found not in (status, PENDING) and not overrule:
        told = package.get("ApprovalDescription")
        raise ConflictError(
            f"Model package {arn} is {found}{f' ({told})' if told else ''}, by {decided_by(package)}; requested: {status}. "
            "overrule=True replaces this decision."
        )
    changed: dict[str, Any] = {}
    if found != status:
        changed["ModelApprovalStatus"] = status
    if description is not None and package.get("ApprovalDescription") != description:
        changed["ApprovalDescription"] = description
    return {"ModelPackageArn": arn, **changed} if changed else {}


def decided_by(package: Mapping[str, Any]) -> str:
    """Return who changed a package last, as far as SageMaker tells it (LastModifiedBy: a user profile, or an IAM identity)."""
    who = package.get("LastModifiedBy") or {}
    identity = who.get("IamIdentity") or {}
    return str(who.get("UserProfileName") or identity.get("Arn") or "somebody else")


@dataclass(frozen=True)
class ApprovalResult:
    """How a wait for an approval ended.

    :param is_approved: Whether the version is approved and complete.
    :param message: What is told.
    """

    is_approved: bool
    message: str


def approval_result(package: Mapping[str, Any] | None) -> ApprovalResult | None:
    """Return how the wait for a version's approval has ended; None while it goes on.

    A version that does not exist yet is waited for, as an approval may be awaited before it is registered.

    :param package: As DescribeModelPackage or BatchDescribeModelPackage describes it; None when it does not exist.
    """
    if package is None:
        return None
    name = f"Model package {package['ModelPackageArn']}"
    told = package.get("ApprovalDescription")
    reason = f" ({told})" if told else ""
    if package.get("ModelPackageStatus") == FAILED:
        return ApprovalResult(False, f"{name} has the status {FAILED}, so it cannot be deployed.")
    if package.get("ModelApprovalStatus") == REJECTED:
        return ApprovalResult(False, f"{name} is {REJECTED}{reason}, by {decided_by(package)}.")
    if package.get("ModelApprovalStatus") == APPROVED and package.get("ModelPackageStatus") == COMPLETED:
        return ApprovalResult(True, f"{name} is {APPROVED}{reason}")
    return None


def status_line(package: Mapping[str, Any] | None) -> str:
    """Return the state of a version for the log."""
    if package is None:
        return "does not exist yet"
    return f"{package.get('ModelApprovalStatus')}, {package.get('ModelPackageStatus')}"

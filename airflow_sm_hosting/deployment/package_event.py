"""Events of the model registry in EventBridge: which ones are a decision on a version.

https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-model-package
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

SOURCE, DETAIL_TYPE = "aws.sagemaker", "SageMaker Model Package State Change"
#: Members of an event that tell who announced it, if a topic stands between the rule and the queue (SNS, "message and JSON formats").
_SNS_MEMBERS = {"Type", "Message", "TopicArn"}


@dataclass(frozen=True)
class PackageEvent:
    """An event of a version.

    :param arn: The version's ARN.
    :param group: Name of its group.
    :param version: Its number.
    :param approval_status: ``Approved``, ``Rejected`` or ``PendingManualApproval``.
    :param package_status: ``Completed``, ``Failed``, …
    :param approval_description: The reason of the decision.
    :param modified_at: When the version was changed, in ISO 8601.
    :param updated: The members that the change was of; none for a registration.
    """

    arn: str
    group: str
    version: int | None
    approval_status: str | None
    package_status: str | None
    approval_description: str | None
    modified_at: str
    updated: tuple[str, ...]

    def is_decision(self, groups: Collection[str], statuses: Collection[str]) -> bool:
        """Return whether it is a decision on a version that can be acted on.

        Every later edit of an approved version is an event with ``Approved``, too: only the changed members tell a decision, or a
        registration that is approved from the start.

        :param groups: Names of groups; empty for all.
        :param statuses: Approval statuses.
        """
        is_new = not self.updated or "ModelApprovalStatus" in self.updated
        return (
            is_new
            and self.package_status == "Completed"
            and self.approval_status in statuses
            and (not groups or self.group in groups)
        )

    def payload(self) -> dict[str, Any]:
        """Return what the started run gets, as plain JSON."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("package_status", "updated")
        }


def parse_event(body: str) -> PackageEvent | None:
    """Return the event in the body of a message; None when it is none of a version.

    :param body: An event of EventBridge, also in an envelope of SNS.
    """
    event = _as_object(body)
    if event is not None and event.keys() >= _SNS_MEMBERS:
        event = _as_object(event["Message"])
    if event is None or (event.get("source"), event.get("detail-type")) != (SOURCE, DETAIL_TYPE):
        return None
    detail = event.get("detail")
    if not isinstance(detail, dict) or not all(
        isinstance(detail.get(member), str) for member in ("ModelPackageArn", "ModelPackageGroupName")
    ):
        return None
    updated = detail.get("UpdatedModelPackageFields")
    return PackageEvent(
        arn=detail["ModelPackageArn"],
        group=detail["ModelPackageGroupName"],
        version=_as_version(detail.get("ModelPackageVersion")),
        approval_status=detail.get("ModelApprovalStatus"),
        package_status=detail.get("ModelPackageStatus"),
        approval_description=detail.get("ApprovalDescription"),
        modified_at=str(detail.get("LastModifiedTime") or event.get("time") or ""),
        updated=tuple(map(str, updated)) if isinstance(updated, list) else (),
    )


def _as_object(text: Any) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (TypeError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _as_version(value: Any) -> int | None:
    # A number in today's events; AWS's older examples have it as a string.
    return int(value) if isinstance(value, int | str) and str(value).isdecimal() else None

"""One model package, and what describes it: answers, summaries, the detail of its events."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

#: The kind in the ARN of a package, versioned or not.
PACKAGE_KIND = "model-package"
# "group/3", "name", or an ARN that ends so; the group of a version is found by its own name (VersionedArnOrName of botocore's model).
_REFERENCE = re.compile(r"(?:(?P<arn>arn:.+:model-package)/)?(?P<name>[^/:]+)(?:/(?P<version>\d+))?", re.I)
# ModelPackageSummary and BatchDescribeModelPackageSummary of botocore's model.
_SUMMARY = (
    *("ModelPackageName", "ModelPackageGroupName", "ModelPackageVersion", "ModelPackageArn"),
    *("ModelPackageDescription", "CreationTime", "ModelPackageStatus", "ModelApprovalStatus"),
    *("ModelLifeCycle", "ModelPackageRegistrationType"),
)
_BATCH_SUMMARY = (*(name for name in _SUMMARY if name != "ModelLifeCycle"), "InferenceSpecification")
# What is not told in events. The example of the page has neither description nor card; the first may hold anything, the second is large.
_NOT_TOLD = ("ModelCard", "CreatedBy", "LastModifiedBy", "SecurityConfig")


@dataclass
class StoredPackage:
    """A model package.

    :param members: The members of DescribeModelPackage.
    :param token: The ``ClientToken`` that it was created with.
    :param request: What was asked for with that token.
    """

    members: dict[str, Any]
    token: str | None = None
    request: dict[str, Any] = field(default_factory=dict)

    @property
    def arn(self) -> str:
        """The ARN, which ends with the name, or with the group and the version."""
        return str(self.members["ModelPackageArn"])

    @property
    def version(self) -> int | None:
        """The version in its group; None for an unversioned package."""
        return self.members.get("ModelPackageVersion")

    @property
    def name(self) -> str:
        """The name: its own, or that of its group."""
        return str(self.members.get("ModelPackageGroupName") or self.members["ModelPackageName"])

    @property
    def created(self) -> datetime:
        """When it was created."""
        created: datetime = self.members["CreationTime"]
        return created

    def summary(self) -> dict[str, Any]:
        """Return its entry in ListModelPackages."""
        return _some(self.members, _SUMMARY)

    def batch_summary(self) -> dict[str, Any]:
        """Return its entry in BatchDescribeModelPackage."""
        return _some(self.members, _BATCH_SUMMARY)

    def event(self, updated: Iterable[str]) -> dict[str, Any]:
        """Return the ``detail`` of an event about it.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-model-package has the members,
        but for ``UpdatedModelPackageFields``: consumers that act on approvals read it to tell an approval from another edit
        (mlflow and SageMaker Unified Studio examples of AWS).

        :param updated: The members that an update changed; none for a creation.
        """
        detail = {name: value for name, value in self.members.items() if name not in _NOT_TOLD}
        changed = list(updated)
        if changed:
            detail["UpdatedModelPackageFields"] = changed
        return {name: _told(value) for name, value in detail.items()}

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        return asdict(self)


@dataclass(frozen=True)
class PackageReference:
    """What a request names a package with.

    :param name: The package's own name, or its group's.
    :param version: The version in the group; None for an unversioned package.
    :param owner: The ARN up to the kind, None for a package of the caller's own account and Region.
    """

    name: str
    version: int | None
    owner: str | None

    @property
    def place(self) -> str:
        """What the ARN ends with."""
        return self.name if self.version is None else f"{self.name}/{self.version}"


def parse_reference(text: str) -> PackageReference:
    """Return what ``name``, ``group/3`` or an ARN refers to."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        # An ARN of another kind: there is no package of that name.
        return PackageReference(text, None, None)
    return PackageReference(match["name"], int(match["version"]) if match["version"] else None, match["arn"])


def _some(members: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: members[name] for name in names if name in members}


def _told(value: Any) -> Any:
    # "2021-02-24T17:00:14Z" in the example of the page.
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, datetime) else value

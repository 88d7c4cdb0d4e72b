"""Model package groups: the operations on them and on their policies."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.local.sagemaker.by_name import ByName
from airflow_sm_hosting.local.sagemaker.listing import listed
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.packages.package import StoredPackage
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.tagging import tags_as_dict

#: The kind in the ARN of a group.
GROUP_KIND = "model-package-group"
_SUMMARY = (
    *("ModelPackageGroupName", "ModelPackageGroupArn", "ModelPackageGroupDescription"),
    *("CreationTime", "ModelPackageGroupStatus", "ManagedConfiguration"),
)


@dataclass
class PackageGroup:
    """A model package group.

    :param members: The members of DescribeModelPackageGroup.
    :param policy: Its resource policy.
    :param last_version: The last version that was given. It is not given again, also when it was deleted (assumed).
    :param versions: The packages by version.
    """

    members: dict[str, Any]
    policy: str | None = None
    last_version: int = 0
    versions: dict[int, StoredPackage] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The name."""
        return str(self.members["ModelPackageGroupName"])

    @property
    def arn(self) -> str:
        """The ARN."""
        return str(self.members["ModelPackageGroupArn"])


class PackageGroups:
    """The model package groups of one Region.

    The sentences of refusals are those that AWS's own handlers of CloudFormation expect
    (aws-cloudformation/aws-cloudformation-resource-providers-sagemaker, modelpackagegroup).

    :param store: Has the tags and the clock.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._groups: ByName[PackageGroup] = ByName()

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the Region's lock held."""
        return {
            "CreateModelPackageGroup": self._create,
            "DescribeModelPackageGroup": self._describe,
            "ListModelPackageGroups": self._list,
            "DeleteModelPackageGroup": self._delete,
            "PutModelPackageGroupPolicy": self._put_policy,
            "GetModelPackageGroupPolicy": self._get_policy,
            "DeleteModelPackageGroupPolicy": self._delete_policy,
        }

    def all(self) -> list[PackageGroup]:
        """Return the groups that can be found."""
        return [one for one in self._groups.values() if self._store.is_visible(one.members["CreationTime"])]

    def find(self, name_or_arn: str) -> PackageGroup | None:
        """Return the group of a name or an ARN; None where there is none in this account and Region."""
        prefix, _, name = name_or_arn.rpartition("/")
        if prefix and prefix.lower() != self._store.plain_arn(GROUP_KIND):
            return None
        found = self._groups.get(name)
        return found if found and self._store.is_visible(found.members["CreationTime"]) else None

    def existing(self, name_or_arn: str) -> PackageGroup:
        """Return the group of a name or an ARN.

        :raises AwsError: There is none.
        """
        found = self.find(name_or_arn)
        if found is None:
            refuse(f"ModelPackageGroup {self._arn(name_or_arn)} does not exist.")
        return found

    # Saved state, with the lock held

    def dump(self) -> list[dict[str, Any]]:
        """Return what is saved."""
        return [
            {
                **{"members": group.members, "policy": group.policy, "last_version": group.last_version},
                "versions": [package.dump() for package in group.versions.values()],
            }
            for group in self._groups.values()
        ]

    def load(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Restore saved groups with their versions."""
        for one in saved:
            packages = [StoredPackage(**package) for package in one["versions"]]
            versions = {package.version: package for package in packages if package.version is not None}
            group = PackageGroup(one["members"], one["policy"], one["last_version"], versions)
            self._groups[group.name] = group

    # Operations

    def _create(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["ModelPackageGroupName"]
        arn = self._arn(name)
        if name in self._groups:
            # So it begins in apache/airflow, providers/amazon, hooks/sagemaker.py, too.
            refuse(f"Model Package Group already exists: {arn}")
        self._store.tags.add(arn, tags_as_dict(request.pop("Tags", [])))
        self._groups[name] = PackageGroup(
            {
                **request,
                "ModelPackageGroupArn": arn,
                "CreationTime": self._store.clock.now(),
                # Who asks is not known here.
                "CreatedBy": {},
                "ModelPackageGroupStatus": "Completed",
            }
        )
        return {"ModelPackageGroupArn": arn}

    def _describe(self, request: dict[str, Any]) -> dict[str, Any]:
        return self.existing(request["ModelPackageGroupName"]).members

    def _list(self, request: dict[str, Any]) -> dict[str, Any]:
        # Nothing is shared with this account: there is only one.
        groups = [] if request.get("CrossAccountFilterOption") == "CrossAccount" else self.all()
        rows = (
            {member: group.members[member] for member in _SUMMARY if member in group.members}
            for group in groups
        )
        # API_ListModelPackageGroups.html: "The default is Ascending."
        asked = {"SortOrder": "Ascending", **request}
        return listed("ModelPackageGroupSummaryList", rows, asked, name="ModelPackageGroupName")

    def _delete(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self.existing(request["ModelPackageGroupName"])
        if group.versions:
            # The only error of the operation in botocore's model; that it is this one, and its text, are assumed.
            raise AwsError(
                "ConflictException",
                f"Model Package Group {group.arn} cannot be deleted: it still has model packages.",
            )
        self._store.tags.forget(group.arn)
        del self._groups[group.name]
        return {}

    def _put_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._of_policy(request)
        try:
            is_object = isinstance(json.loads(request["ResourcePolicy"]), dict)
        except ValueError:
            is_object = False
        if not is_object:
            # Assumed.
            refuse("Invalid resource policy: it is not a JSON object.")
        # "replaces": https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html
        group.policy = request["ResourcePolicy"]
        return {"ModelPackageGroupArn": group.arn}

    def _get_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._of_policy(request)
        if group.policy is None:
            refuse(f"Cannot find resource policy for: {group.arn}")
        return {"ResourcePolicy": group.policy}

    def _delete_policy(self, request: dict[str, Any]) -> dict[str, Any]:
        group = self._of_policy(request)
        if group.policy is None:
            refuse(f"Cannot find resource policy for: {group.arn}")
        group.policy = None
        return {}

    def _of_policy(self, request: Mapping[str, Any]) -> PackageGroup:
        group = self.find(request["ModelPackageGroupName"])
        if group is None:
            refuse(f"Cannot find Model Package Group: {self._arn(request['ModelPackageGroupName'])}")
        return group

    def _arn(self, name_or_arn: str) -> str:
        return name_or_arn if "/" in name_or_arn else f"{self._store.plain_arn(GROUP_KIND)}/{name_or_arn}"

"""Resources that give access: IAM roles, inline policies, and policies of buckets.

In place of moto's, which keep neither managed policies nor changes. Which properties need replacement:
https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-iam-role.html and those beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from airflow_sm_hosting.local.cloudformation.client import ServiceCall, absent_or
from airflow_sm_hosting.local.cloudformation.resource_type import (
    RANDOM_LENGTH,
    ResourceType,
    WantedResource,
    changed_tags,
    undone_on_failure,
)
from airflow_sm_hosting.local.moto_bridge import identities
from airflow_sm_hosting.local.wire.tagging import tags_as_list

_LONGEST_ROLE_NAME = 64


class RoleType(ResourceType):
    """``AWS::IAM::Role``; ``Ref`` is its name."""

    type_name = "AWS::IAM::Role"
    name_property = "RoleName"
    create_only = frozenset({"RoleName", "Path"})
    allowed = frozenset(
        {
            *("AssumeRolePolicyDocument", "Description", "ManagedPolicyArns", "MaxSessionDuration", "Path"),
            *("PermissionsBoundary", "Policies", "RoleName"),
        }
    )
    required = ("AssumeRolePolicyDocument",)

    def generated_name(self, stack_name: str, logical_id: str) -> str:
        """Return a name of at most 64 characters; that both parts are shortened is assumed."""
        room = _LONGEST_ROLE_NAME - len("--") - RANDOM_LENGTH
        stack = stack_name[: max(room - len(logical_id), room // 2)]
        return super().generated_name(stack, logical_id[: room - len(stack)])

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create it, with its policies."""
        members: dict[str, Any] = {
            "RoleName": wanted.name,
            "AssumeRolePolicyDocument": _document(wanted.properties["AssumeRolePolicyDocument"]),
        }
        for name in ("Description", "Path", "PermissionsBoundary"):
            if name in wanted.properties:
                members[name] = wanted.properties[name]
        if "MaxSessionDuration" in wanted.properties:
            members["MaxSessionDuration"] = int(wanted.properties["MaxSessionDuration"])
        if wanted.tags:
            members["Tags"] = tags_as_list(wanted.tags)
        call("iam", "CreateRole", **members)
        with undone_on_failure(lambda: self.delete(call, wanted.name, wanted)):
            self._put_policies(call, WantedResource(wanted.logical_id, wanted.name, {}), wanted)
        return wanted.name

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Change its trust, its policies, its other settings and its tags."""
        role = {"RoleName": physical_id}
        before, after = old.properties, new.properties
        if before["AssumeRolePolicyDocument"] != after["AssumeRolePolicyDocument"]:
            document = _document(after["AssumeRolePolicyDocument"])
            call("iam", "UpdateAssumeRolePolicy", **role, PolicyDocument=document)
        settings = ("Description", "MaxSessionDuration")
        if any(before.get(name) != after.get(name) for name in settings):
            duration = int(after.get("MaxSessionDuration", 3600))
            description = str(after.get("Description", ""))
            call("iam", "UpdateRole", **role, Description=description, MaxSessionDuration=duration)
        boundary = after.get("PermissionsBoundary")
        if before.get("PermissionsBoundary") != boundary:
            if boundary:
                call("iam", "PutRolePermissionsBoundary", **role, PermissionsBoundary=boundary)
            else:
                call("iam", "DeleteRolePermissionsBoundary", **role)
        self._put_policies(call, old, new)
        added, removed = changed_tags(old, new)
        if added:
            call("iam", "TagRole", **role, Tags=tags_as_list(added))
        if removed:
            call("iam", "UntagRole", **role, TagKeys=removed)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it, with the policies that it was given here."""
        if absent_or(lambda: call("iam", "GetRole", RoleName=physical_id)) is None:
            return
        self._put_policies(call, wanted, WantedResource(wanted.logical_id, wanted.name, {}))
        call("iam", "DeleteRole", RoleName=physical_id)

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its ARN or id."""
        return call("iam", "GetRole", RoleName=physical_id)["Role"][{"Arn": "Arn", "RoleId": "RoleId"}[name]]

    def _put_policies(self, call: ServiceCall, old: WantedResource, new: WantedResource) -> None:
        role = {"RoleName": new.name}
        before, after = (one.properties.get("ManagedPolicyArns") or () for one in (old, new))
        for arn in after:
            if arn not in before:
                identities.make_aws_policy(arn)
                call("iam", "AttachRolePolicy", **role, PolicyArn=arn)
        for arn in before:
            if arn not in after:
                absent_or(lambda arn=arn: call("iam", "DetachRolePolicy", **role, PolicyArn=arn))  # type: ignore[misc]
        inline, wanted = _inline(old), _inline(new)
        for name, document in wanted.items():
            if inline.get(name) != document:
                call("iam", "PutRolePolicy", **role, PolicyName=name, PolicyDocument=document)
        for name in inline.keys() - wanted.keys():
            absent_or(lambda name=name: call("iam", "DeleteRolePolicy", **role, PolicyName=name))  # type: ignore[misc]


class InlinePolicyType(ResourceType):
    """``AWS::IAM::Policy``: the inline policy of roles, users and groups."""

    type_name = "AWS::IAM::Policy"
    allowed = frozenset({"Groups", "PolicyDocument", "PolicyName", "Roles", "Users"})
    required = ("PolicyDocument", "PolicyName")
    is_taggable = False

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Put it to all that it names."""
        for kind, name in _holders(wanted):
            self._put(call, kind, name, wanted)
        return wanted.name

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Put it to all that it names, and delete it of those that it does not name any more."""
        for kind, name in _holders(new):
            self._put(call, kind, name, new)
        renamed = old.properties["PolicyName"] != new.properties["PolicyName"]
        for kind, name in _holders(old):
            if renamed or (kind, name) not in set(_holders(new)):
                self._remove(call, kind, name, old)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it of all that it names."""
        for kind, name in _holders(wanted):
            self._remove(call, kind, name, wanted)

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its id."""
        if name != "Id":
            raise KeyError(name)
        return physical_id

    def _put(self, call: ServiceCall, kind: str, name: str, wanted: WantedResource) -> None:
        policy = {
            "PolicyName": wanted.properties["PolicyName"],
            "PolicyDocument": _document(wanted.properties["PolicyDocument"]),
        }
        call("iam", f"Put{kind}Policy", **{f"{kind}Name": name}, **policy)

    def _remove(self, call: ServiceCall, kind: str, name: str, wanted: WantedResource) -> None:
        policy = {f"{kind}Name": name, "PolicyName": wanted.properties["PolicyName"]}
        absent_or(lambda: call("iam", f"Delete{kind}Policy", **policy))


class ManagedPolicyType(ResourceType):
    """``AWS::IAM::ManagedPolicy``; ``Ref`` is its ARN."""

    type_name = "AWS::IAM::ManagedPolicy"
    name_property = "ManagedPolicyName"
    create_only = frozenset({"Description", "ManagedPolicyName", "Path"})
    allowed = frozenset({*create_only, "Groups", "PolicyDocument", "Roles", "Users"})
    required = ("PolicyDocument",)
    is_taggable = False

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Create it, and attach it to all that it names."""
        more = {
            name: wanted.properties[name] for name in ("Description", "Path") if name in wanted.properties
        }
        document = _document(wanted.properties["PolicyDocument"])
        made = call("iam", "CreatePolicy", PolicyName=wanted.name, PolicyDocument=document, **more)
        arn = str(made["Policy"]["Arn"])
        with undone_on_failure(lambda: self.delete(call, arn, wanted)):
            for kind, name in _holders(wanted):
                call("iam", f"Attach{kind}Policy", **{f"{kind}Name": name}, PolicyArn=arn)
        return arn

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Give it another document, and attach it to all that it names, and to no one else."""
        if old.properties["PolicyDocument"] != new.properties["PolicyDocument"]:
            document = _document(new.properties["PolicyDocument"])
            self._delete_old_versions(call, physical_id)
            call(
                *("iam", "CreatePolicyVersion"),
                PolicyArn=physical_id,
                PolicyDocument=document,
                SetAsDefault=True,
            )
        before, after = dict.fromkeys(_holders(old)), dict.fromkeys(_holders(new))
        for kind, name in after.keys() - before.keys():
            call("iam", f"Attach{kind}Policy", **{f"{kind}Name": name}, PolicyArn=physical_id)
        for kind, name in before.keys() - after.keys():
            self._detach(call, kind, name, physical_id)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Detach and delete it."""
        if absent_or(lambda: call("iam", "GetPolicy", PolicyArn=physical_id)) is None:
            return
        for kind, name in _holders(wanted):
            self._detach(call, kind, name, physical_id)
        self._delete_old_versions(call, physical_id)
        call("iam", "DeletePolicy", PolicyArn=physical_id)

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return its ARN or id."""
        member = {"PolicyArn": "Arn", "PolicyId": "PolicyId"}[name]
        return call("iam", "GetPolicy", PolicyArn=physical_id)["Policy"][member]

    def _detach(self, call: ServiceCall, kind: str, name: str, arn: str) -> None:
        absent_or(lambda: call("iam", f"Detach{kind}Policy", **{f"{kind}Name": name}, PolicyArn=arn))

    def _delete_old_versions(self, call: ServiceCall, arn: str) -> None:
        # A policy can have five: API_CreatePolicyVersion.
        for version in call("iam", "ListPolicyVersions", PolicyArn=arn)["Versions"]:
            if not version["IsDefaultVersion"]:
                call("iam", "DeletePolicyVersion", PolicyArn=arn, VersionId=version["VersionId"])


class BucketPolicyType(ResourceType):
    """``AWS::S3::BucketPolicy``; ``Ref`` is the bucket."""

    type_name = "AWS::S3::BucketPolicy"
    create_only = frozenset({"Bucket"})
    allowed = frozenset({"Bucket", "PolicyDocument"})
    required = ("Bucket", "PolicyDocument")
    is_taggable = False

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Put it."""
        bucket = str(wanted.properties["Bucket"])
        call("s3", "PutBucketPolicy", Bucket=bucket, Policy=_document(wanted.properties["PolicyDocument"]))
        return bucket

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Put it again."""
        self.create(call, new)

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Delete it."""
        absent_or(lambda: call("s3", "DeleteBucketPolicy", Bucket=physical_id))

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return nothing: it has no attributes."""
        raise KeyError(name)


def _document(policy: Any) -> str:
    return policy if isinstance(policy, str) else json.dumps(policy)


def _inline(wanted: WantedResource) -> dict[str, str]:
    policies: list[Mapping[str, Any]] = wanted.properties.get("Policies") or []
    return {one["PolicyName"]: _document(one["PolicyDocument"]) for one in policies}


def _holders(wanted: WantedResource) -> Iterator[tuple[str, str]]:
    for kind in ("Role", "User", "Group"):
        for name in wanted.properties.get(f"{kind}s") or ():
            yield kind, str(name)

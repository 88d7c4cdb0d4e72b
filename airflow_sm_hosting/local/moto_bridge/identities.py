"""moto's IAM and STS objects, beside its HTTP interface; held by ``tests/iam/test_enforcement.py``, too."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend, Role, User


@dataclass(frozen=True)
class Identity:
    """Who signed a request.

    :param arn: The user's or the session's ARN, as refusals show it.
    :param policies: Documents of its identity-based policies.
    :param boundary: Documents of its permissions boundary, or None.
    """

    arn: str
    policies: list[Mapping[str, Any]]
    boundary: list[Mapping[str, Any]] | None = None


def identity_of_key(access_key: str) -> Identity | None:
    """Return the owner of an access key that this server's IAM or STS issued; None for an unknown key."""
    for user in _users():
        if _has_key(user, access_key):
            return _identity_of_user(user)
    session = sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key)
    if session is None:
        return None
    assumed = role(session.role_arn.rpartition("/")[2])
    return identity_of_role(assumed, session.arn) if assumed else Identity(session.arn, [])


def identity_of_arn(arn: str) -> Identity | None:
    """Return the user, the group or the role of an ARN, as :func:`identity_of_key` does; None if there is none."""
    if found := role_of_arn(arn):
        return identity_of_role(found, arn)
    for user in _users():
        if user.arn == arn:
            return _identity_of_user(user)
    group = next((group for iam in _iams() for group in iam.list_groups() if group.arn == arn), None)
    return Identity(arn, _documents(group)) if group else None


def identity_of_role(found: Role, arn: str) -> Identity:
    """Return what a role may do, under the ARN of who has assumed it."""
    bounding = found.permissions_boundary_arn
    return Identity(arn, _documents(found), _managed([bounding]) if bounding else None)


def is_users_key(access_key: str) -> bool:
    """Return whether an access key is an active one of an IAM user."""
    return any(_has_key(user, access_key) for user in _users())


def role(name: str) -> Role | None:
    """Return the role of a name."""
    return next((found for found in _roles() if found.name == name), None)


def role_of_arn(arn: str) -> Role | None:
    """Return the role of an ARN."""
    return next((found for found in _roles() if found.arn == arn), None)


def trust_policy(found: Role) -> dict[str, Any]:
    """Return a role's trust policy."""
    document: dict[str, Any] = json.loads(found.assume_role_policy_document)
    return document


def has_policy(arn: str) -> bool:
    """Return whether there is a managed policy of an ARN."""
    return any(arn in iam.managed_policies for iam in _iams())


def make_service_linked_role(service: str, name: str) -> None:
    """Make a service-linked role, which moto names otherwise."""
    make_role(service, name, path=f"/aws-service-role/{service}/", linked_service=service)


def make_role(service: str, name: str, *, path: str = "/", linked_service: str | None = None) -> None:
    """Make a role that a service may assume."""
    principal = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    _iam().create_role(
        name,
        json.dumps({"Version": "2012-10-17", "Statement": [principal]}),
        path,
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
        linked_service=linked_service,
    )


def _has_key(user: User, access_key: str) -> bool:
    return any(key.access_key_id == access_key and key.status == "Active" for key in user.access_keys)


def _identity_of_user(user: User) -> Identity:
    groups = _iam().get_groups_for_user(user.name)
    return Identity(user.arn, [document for held in (user, *groups) for document in _documents(held)])


def _iam() -> IAMBackend:
    return iam_backends[ACCOUNT_ID]["aws"]


def _iams() -> list[IAMBackend]:
    """Return the IAM of each partition that was used."""
    return list(iam_backends[ACCOUNT_ID].values())


def _users() -> list[User]:
    return [user for iam in _iams() for user in iam.list_users("/", None, None)]


def _roles() -> list[Role]:
    return [role for iam in _iams() for role in iam.get_roles()]


def _documents(held: Any) -> list[Mapping[str, Any]]:
    """Return the documents of the inline and the attached policies of a user, a group or a role."""
    return [json.loads(text) for text in held.policies.values()] + _managed(held.managed_policies)


def _managed(arns: Iterable[str]) -> list[Mapping[str, Any]]:
    versions = (version for arn in arns for version in _iam().get_policy(arn).versions)
    return [json.loads(version.document) for version in versions if version.is_default]


def session_key(role_arn: str, session_name: str, region: str) -> str:
    """Assume a role, as a service does, and return the access key of the session; the role need not exist."""
    session = sts_backends[ACCOUNT_ID]["aws"].assume_role(
        region_name=region,
        role_session_name=session_name,
        role_arn=role_arn,
        policy="",
        duration=3600,
        external_id="",
    )
    return session.access_key_id


def is_issued_key(access_key: str) -> bool:
    """Return whether an access key comes from this server's own STS: sessions of assumed roles."""
    return sts_backends[ACCOUNT_ID]["aws"].get_assumed_role_from_access_key(access_key) is not None


def make_aws_policy(arn: str) -> None:
    """Make a managed policy of AWS, such as ``AdministratorAccess``, unless it is there; nothing where AWS has none of that ARN.

    moto has them all, and loads none by default.
    """
    from moto.iam.aws_managed_policies import aws_managed_policies_data
    from moto.iam.models import AWSManagedPolicy

    if ":iam::aws:policy/" not in arn or has_policy(arn):
        return
    name = arn.rpartition("/")[2]
    data = json.loads(aws_managed_policies_data).get(name)
    if data is not None:
        made = AWSManagedPolicy.from_data(name, ACCOUNT_ID, _iam().region_name, data)
        _iam().managed_policies[made.arn] = made

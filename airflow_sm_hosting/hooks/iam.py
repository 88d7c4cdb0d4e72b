"""IAM: roles and the policies in them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from botocore.exceptions import ClientError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential,
    wait_exponential_jitter,
    wait_random,
)

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code, is_role_refused
from airflow_sm_hosting.hooks.retry_log import RetryLog
from airflow_sm_hosting.policies.role import Role

if TYPE_CHECKING:
    from types_boto3_iam.client import IAMClient
    from types_boto3_iam.type_defs import PolicyDocumentDictTypeDef, RoleTypeDef

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

#: Temporary errors: a role just created and not visible yet, and a concurrent change by somebody else
#: (https://docs.aws.amazon.com/IAM/latest/APIReference/API_PutRolePolicy.html and the other operations' errors).
PASSING = ("NoSuchEntity", "ConcurrentModification")
#: Seconds after which such an error counts as permanent.
PASSES_AFTER = 30


#: Seconds after which a refused role counts as permanently refused: other services saw changes of roles within a minute
#: (pulumi/pulumi-aws#2411).
ROLE_SEEN_AFTER = 60


def until_role_is_seen(call: Callable[[], Any]) -> Any:
    """Call SageMaker or CodeBuild with a role, and retry while the service cannot use the role yet.

    IAM's changes reach other services later, and no call shows when
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency). They give the
    same error for a permanently wrong role, so the error is raised only after a minute.
    """
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, Exception) and is_role_refused(error)),
        wait=wait_exponential_jitter(max=10),
        stop=stop_after_delay(ROLE_SEEN_AFTER),
        before_sleep=RetryLog(log),
        reraise=True,
    )
    return retrying(call)


class IamHook(SharedClients):
    """Interact with the roles of AWS IAM.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("iam") <IAM.Client>`: a resource that does not exist is None.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: IAMClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "iam"})

    def role(self, name: str) -> RoleTypeDef | None:
        """Return a role (``iam:GetRole``), or None when it does not exist."""
        return self._or_none(lambda: self.conn.get_role(RoleName=name)["Role"])

    def inline_policy(self, role_name: str, policy_name: str) -> PolicyDocumentDictTypeDef | None:
        """Return an inline policy of a role (``iam:GetRolePolicy``), or None."""
        found = self._or_none(
            lambda: self.conn.get_role_policy(RoleName=role_name, PolicyName=policy_name)["PolicyDocument"]
        )
        # botocore has decoded the document.
        return cast("PolicyDocumentDictTypeDef | None", found)

    def policy_names(self, role_name: str) -> list[str]:
        """Return the names of a role's inline policies (``iam:ListRolePolicies``)."""
        pages = self.conn.get_paginator("list_role_policies").paginate(RoleName=role_name)
        return [name for page in pages for name in page["PolicyNames"]]

    def attached_policies(self, role_name: str) -> list[str]:
        """Return the ARNs of the managed policies attached to a role (``iam:ListAttachedRolePolicies``)."""
        pages = self.conn.get_paginator("list_attached_role_policies").paginate(RoleName=role_name)
        return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]

    def described(self, role: Mapping[str, Any], policy_name: str) -> Role:
        """Return a role from GetRole, with one inline policy by name (``iam:GetRolePolicy``)."""
        return Role(
            policy=self.inline_policy(role["RoleName"], policy_name),
            tags={tag["Key"]: tag["Value"] for tag in role.get("Tags", [])},
            permissions_boundary=(role.get("PermissionsBoundary") or {}).get("PermissionsBoundaryArn"),
            trust_policy=role["AssumeRolePolicyDocument"],
        )

    def until_seen(self, call: Callable[[], Any]) -> Any:
        """Retry a call while IAM does not see a just created role, or somebody else changes it."""
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, ClientError) and error_code(error) in PASSING
            ),
            wait=wait_exponential(multiplier=0.25, max=5) + wait_random(0, 0.25),
            stop=stop_after_delay(PASSES_AFTER),
            reraise=True,
        )
        return retrying(call)

    @staticmethod
    def _or_none(call: Callable[[], Answer]) -> Answer | None:
        try:
            return call()
        except ClientError as error:
            if error_code(error) != "NoSuchEntity":
                raise
            return None

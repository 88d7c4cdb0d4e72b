"""IAM enforced: who asks, whether its policies allow it, and the refusal in the words of the service.

Off by default. The server's own access key is the account's root user and always allowed, so tests set up with it
and run what they are about under the key of an IAM user or an assumed role.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from airflow_sm_hosting.local.iam.permissions import (
    SCALING_ROLE,
    SCALING_SERVICE,
    RequestContext,
    RequiredPermission,
    required_permissions,
    validated_permissions,
)
from airflow_sm_hosting.local.iam.policy_evaluation import Effect, NotEvaluatedError, evaluate_policies
from airflow_sm_hosting.local.moto_bridge import identities
from airflow_sm_hosting.local.moto_bridge.identities import Identity
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.refusals import access_denied

# The newest; a day of polling.
_MAX_DECISIONS = 100_000


class Access:
    """Whether requests are allowed.

    :param root_key: The access key that is always allowed.
    """

    def __init__(self, root_key: str) -> None:
        self._root_key = root_key
        self.enforced = False
        self._decisions: deque[dict[str, Any]] = deque(maxlen=_MAX_DECISIONS)
        self._lock = threading.Lock()

    def enforce(self, enforced: bool) -> None:
        """Switch enforcement on or off; former decisions are forgotten."""
        with self._lock:
            self.enforced = enforced
            self._decisions.clear()

    def decisions(self) -> list[dict[str, Any]]:
        """Return the decisions since it was switched on, oldest first: ``identity, action, resource, allowed`` of each."""
        with self._lock:
            return list(self._decisions)

    def knows(self, access_key: str) -> bool:
        """Return whether an access key is the root's, or was issued by this server's IAM or STS."""
        return (
            access_key == self._root_key
            or identities.is_issued_key(access_key)
            or identities.is_users_key(access_key)
        )

    def refusal(self, access_key: str, asked: RequestContext) -> AwsError | None:
        """Return the refusal of a request, or None where it is allowed.

        :param access_key: The access key that signed it.
        """
        if not self.enforced or access_key == self._root_key:
            return None
        identity = identities.identity_of_key(access_key)
        if identity is None:
            return None
        try:
            for needed in required_permissions(asked):
                effect = self._decide(identity, needed)
                if effect is not Effect.ALLOWED:
                    return access_denied(
                        asked.request, asked.service, needed.refusal or _sentence(identity, needed, effect)
                    )
            validated = validated_permissions(asked)
            missing = [one for one in validated if self._decide(identity, one) is not Effect.ALLOWED]
        except NotEvaluatedError as error:
            return access_denied(asked.request, asked.service, str(error))
        if missing:
            return _not_validated(identity, missing)
        if any(one.action == "iam:CreateServiceLinkedRole" for one in validated):
            identities.make_service_linked_role(SCALING_SERVICE, SCALING_ROLE)
        return None

    def _decide(self, identity: Identity, needed: RequiredPermission) -> Effect:
        effect = evaluate_policies(
            identity.policies, needed.action, needed.resource, needed.context, boundary=identity.boundary
        )
        with self._lock:
            self._decisions.append(
                {
                    "identity": identity.arn,
                    "action": needed.action,
                    "resource": needed.resource,
                    "allowed": effect is Effect.ALLOWED,
                }
            )
        return effect


def _sentence(identity: Identity, needed: RequiredPermission, effect: Effect) -> str:
    # https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    why = (
        "with an explicit deny in an identity-based policy"
        if effect is Effect.DENIED
        else f"because no identity-based policy allows the {needed.action} action"
    )
    return f"User: {identity.arn} is not authorized to perform: {needed.action} on resource: {needed.resource} {why}"


def _not_validated(identity: Identity, missing: list[RequiredPermission]) -> AwsError:
    # The code and that it lists what is missing: security_iam_permission_validation.html; the words are assumed.
    listed = ", ".join(f"{one.action} on resource: {one.resource}" for one in missing)
    return AwsError("ValidationException", f"User: {identity.arn} is not authorized to perform: {listed}")

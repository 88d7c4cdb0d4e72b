"""What IAM refuses in other words than moto."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.moto_bridge import identities
from airflow_sm_hosting.local.wire.errors import AwsError

# Validated snapshots of 2025 by localstack/localstack, of CreateRole and DeletePolicy; that the other operations are alike is assumed.
_DOCUMENTS = ("AssumeRolePolicyDocument", "PolicyDocument")
_ON_POLICIES = ("DeletePolicy", "GetPolicy")


def check_iam_request(operation: str, members: Mapping[str, Any]) -> None:
    """Refuse a policy that is no JSON, and a policy that is not there.

    :raises AwsError: The refusal.
    """
    for name in _DOCUMENTS:
        if name in members and not _is_json(str(members[name])):
            raise AwsError("MalformedPolicyDocument", "This policy contains invalid Json")
    arn = str(members.get("PolicyArn", ""))
    if operation in _ON_POLICIES and arn.startswith("arn:") and not identities.has_policy(arn):
        raise AwsError("NoSuchEntity", f"Policy {arn} was not found.", status=404)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

"""The IAM hook: what is absent is None, and what passes is waited for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting import policies
from airflow_sm_hosting.hooks import IamHook
from airflow_sm_hosting.hooks.errors import is_role_refused
from airflow_sm_hosting.hooks.iam import until_role_is_seen
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import IMAGE, ROLE, answering, refusal, sagemaker_client

#: As public issues quote them.
REFUSED = (
    "Could not assume role arn:aws:iam::123456789012:role/sagemaker. Please ensure that the role exists and allows principal "
    "'sagemaker.amazonaws.com' to assume the role.",
    'Could not access model data at s3://models/churn/. Please ensure that the role "arn:aws:iam::123456789012:role/sagemaker" exists and '
    'that its trust relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". Also ensure '
    'that the role has "s3:GetObject" permissions and that the object is located in us-east-1.',
)


def error(code: str, message: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "CreateModel")


@pytest.mark.parametrize("message", REFUSED)
def test_a_role_that_sagemaker_cannot_use_is_told_from_other_refusals(message: str) -> None:
    assert is_role_refused(error("ValidationException", message))
    assert is_role_refused(error("InvalidInputException", message))
    assert not is_role_refused(error("AccessDeniedException", message))
    assert not is_role_refused(error("ValidationException", "Could not find model"))
    assert not is_role_refused(ValueError(message))


@pytest.mark.usefixtures("short_pauses")
@pytest.mark.parametrize("message", REFUSED)
def test_a_model_is_made_once_its_role_is_seen(aws: LocalAws, message: str) -> None:
    client = sagemaker_client()
    with answering(client, "CreateModel", refusal("ValidationException", message)) as left:
        until_role_is_seen(
            lambda: client.create_model(
                ModelName="churn", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
            )
        )
    assert left == []
    assert client.describe_model(ModelName="churn")


def test_other_refusals_are_not_waited_for(aws: LocalAws) -> None:
    with pytest.raises(ClientError, match="Could not find model"):
        until_role_is_seen(lambda: sagemaker_client().describe_model(ModelName="absent"))


def test_what_is_absent_is_none(aws: LocalAws) -> None:
    hook = IamHook()
    assert hook.role("absent") is None
    hook.conn.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(policies.trust()))
    assert hook.inline_policy("r", "absent") is None
    assert (hook.policy_names("r"), hook.attached_policies("r")) == ([], [])


def test_a_refusal_is_not_absence(aws: LocalAws) -> None:
    hook = IamHook()
    with answering(hook.conn, "GetRole", refusal("AccessDenied", status=403)), pytest.raises(ClientError):
        hook.role("r")


def test_a_role_is_described_as_far_as_it_is_ours(aws: LocalAws) -> None:
    hook, document = IamHook(), policies.execution_role()
    trust: dict[str, Any] = policies.trust()
    hook.conn.create_role(
        RoleName="r", AssumeRolePolicyDocument=json.dumps(trust), Tags=[{"Key": "a", "Value": "b"}]
    )
    hook.conn.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=json.dumps(document))
    role = hook.role("r")
    assert role
    assert hook.described(role, "p") == (document, {"a": "b"}, None, trust)

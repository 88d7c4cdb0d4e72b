"""The service role of CodeBuild projects: what a build may do, and what not."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import policies
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.iam.policy_evaluation import Effect, evaluate_policies, trusts

HERE = {"region_name": "eu-west-1", "account_id": "111122223333"}
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
ECR, LOGS = "arn:aws:ecr:eu-west-1:111122223333:repository", "arn:aws:logs:eu-west-1:111122223333:log-group"


def role(**more: Any) -> dict[str, Any]:
    given = {"repositories": ["churn"], "build_contexts": ["s3://builds/sm-hosting-builds"], **HERE, **more}
    return policies.build_role(**given)


def allowed(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return evaluate_policies([document], action, resource, keys) is Effect.ALLOWED


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


def test_codebuild_and_nobody_else_may_assume_the_role() -> None:
    assert trusts(policies.build_trust(), "codebuild.amazonaws.com")
    assert not trusts(policies.build_trust(), "sagemaker.amazonaws.com")


def test_a_build_reads_its_context_pushes_and_writes_its_log() -> None:
    document = role()
    for action, resource, other in (
        (
            "s3:GetObject",
            "arn:aws:s3:::builds/sm-hosting-builds/a.tar.gz",
            "arn:aws:s3:::builds/other/a.tar.gz",
        ),
        ("ecr:PutImage", f"{ECR}/churn", f"{ECR}/other"),
        ("ecr:GetDownloadUrlForLayer", f"{ECR}/churn", f"{ECR}/other"),
        (
            "logs:PutLogEvents",
            f"{LOGS}:/aws/codebuild/sm-hosting-amd64:log-stream:1",
            f"{LOGS}:/aws/codebuild/other:log-stream:1",
        ),
    ):
        assert allowed(document, action, resource)
        assert not allowed(document, action, other)
    assert not any(
        action.startswith(("kms:", "ec2:", "secretsmanager:", "ssm:")) for action in actions(document)
    )


def test_base_images_are_pulled_and_not_pushed() -> None:
    base = "arn:aws:ecr:eu-west-1:763104351884:repository/pytorch-inference"
    document = role(base_repositories=[base])
    assert allowed(document, "ecr:BatchGetImage", base)
    assert not allowed(document, "ecr:PutImage", base)


def test_log_groups_are_those_of_the_projects() -> None:
    document = role(build_projects=["team"])
    assert allowed(document, "logs:CreateLogGroup", f"{LOGS}:/aws/codebuild/team")
    assert allowed(document, "logs:PutLogEvents", f"{LOGS}:/aws/codebuild/team:log-stream:1")
    assert not allowed(document, "logs:PutLogEvents", f"{LOGS}:/aws/codebuild/team-2:log-stream:1")


def test_secrets_parameters_keys_and_networks_are_granted_on_request() -> None:
    arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:pip-AbCdEf"
    document = role(secrets=["pip", arn], parameters=["/team/token"], kms_key_ids=[KEY], subnets=["subnet-1"])
    assert allowed(document, "secretsmanager:GetSecretValue", arn)
    assert not allowed(document, "secretsmanager:GetSecretValue", arn.replace("pip", "other"))
    assert allowed(document, "ssm:GetParameters", "arn:aws:ssm:eu-west-1:111122223333:parameter/team/token")
    assert allowed(document, "kms:Decrypt", f"arn:aws:kms:eu-west-1:111122223333:key/{KEY}")
    permission = "ec2:CreateNetworkInterfacePermission"
    interface = "arn:aws:ec2:eu-west-1:111122223333:network-interface/eni-1"
    subnet = "arn:aws:ec2:eu-west-1:111122223333:subnet/subnet-1"
    context = {"ec2__AuthorizedService": "codebuild.amazonaws.com", "ec2__Subnet": subnet}
    assert allowed(document, permission, interface, **context)
    assert not allowed(
        document, permission, interface, **{**context, "ec2__Subnet": subnet.replace("1", "2")}
    )
    assert allowed(document, "ec2:CreateNetworkInterface", "*")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"build_contexts": ["s3://builds"]}, "build_contexts"),
        ({"repositories": ["A"]}, "repositories"),
        ({"build_projects": ["a.b"]}, "build_projects is 'a.b'; allowed: names or ARNs of CodeBuild projects"),
        ({"parameters": ["a b"]}, "parameters"),
        ({"secrets": [1]}, "secrets"),
        ({"parameters": [1]}, "parameters"),
    ],
)  # fmt: skip
def test_bad_input_is_named(more: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        role(**more)

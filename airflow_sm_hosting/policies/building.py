"""The service role of CodeBuild projects that build images: its trust policy, and the permissions that a build needs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_sm_hosting.policies.document import VERSION, allow, document
from airflow_sm_hosting.policies.execution import PULL, VPC_DESCRIBE
from airflow_sm_hosting.policies.resources import (
    ANY,
    build_log_arns,
    key_arns,
    named_arns,
    place,
    repository_arns,
    s3_places,
)
from airflow_sm_hosting.spec.rendered import as_list

#: The service that assumes the role; the same in all partitions.
CODEBUILD = "codebuild.amazonaws.com"

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-push-iam.html
PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:BatchGetImage",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:PutImage",
    "ecr:UploadLayerPart",
)


def build_trust() -> dict[str, Any]:
    """Return the trust policy that lets CodeBuild assume a role.

    .. seealso:: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html
    """
    return {
        "Version": VERSION,
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": CODEBUILD}, "Action": "sts:AssumeRole"},
        ],
    }


def build_role(
    *,
    repositories: Iterable[Any],
    build_contexts: Iterable[Any],
    build_projects: Iterable[str] = ("sm-hosting-*",),
    base_repositories: Iterable[Any] = (),
    kms_key_ids: Iterable[str] = (),
    secrets: Iterable[str] = (),
    parameters: Iterable[str] = (),
    subnets: Iterable[str] = (),
    region_name: str = ANY,
    account_id: str = ANY,
    partition: str | None = None,
) -> dict[str, Any]:
    """Return the least-privilege policy of the service role of ``BuildImageOperator(builder="codebuild")``.

    .. seealso:: https://docs.aws.amazon.com/codebuild/latest/userguide/setting-up-service-role.html

    :param repositories: ECR repositories that images are pushed to: names, ARNs or image URIs.
    :param build_contexts: ``s3://`` URLs of the prefixes of build contexts: ``s3://<bucket_name>/<key_prefix>/``.
    :param build_projects: Names or ARNs of the projects, ``*`` as a wildcard (default: ``sm-hosting-*``).
    :param base_repositories: ECR repositories of base images, also of other accounts.
    :param kms_key_ids: Keys that build contexts are encrypted with, as ids or ARNs.
    :param secrets: Secrets Manager secrets that builds read, as ARNs (or names, ``-??????`` is added).
    :param parameters: Parameters of Parameter Store that builds read, as names or ARNs.
    :param subnets: The builds' subnets, for builds in a VPC.
    :param region_name: Region of resources given by name (default: any).
    :param account_id: Account of resources given by name (default: any).
    :param partition: ``aws``, ``aws-cn``, ``aws-us-gov``, … (default: the Region's).
    :raises InvalidSpecError: A name, ARN or URL is malformed.
    """
    at = place(region_name, account_id, partition)
    pushed = repository_arns("repositories", repositories, at)
    pulled = [*pushed, *repository_arns("base_repositories", base_repositories, at)]
    contexts = [
        f"arn:{at.partition}:s3:::{bucket}/{key}{ANY if key.endswith('/') else ''}"
        for bucket, key in s3_places("build_contexts", build_contexts, prefixes=True)
    ]
    secret_names = [
        f"{one}-??????" if isinstance(one, str) and not one.startswith("arn:") else one
        for one in as_list("secrets", secrets)
    ]
    secret_arns = named_arns(
        "secrets",
        secret_names,
        at,
        service="secretsmanager",
        resource="secret:{}",
        pattern=r"[\w/+=.@*?-]{1,519}",
        noun="secrets",
    )
    parameter_arns = named_arns(
        "parameters",
        # In its ARN, a parameter's name has no slash at its beginning.
        [one.lstrip("/") if isinstance(one, str) else one for one in as_list("parameters", parameters)],
        at,
        service="ssm",
        resource="parameter/{}",
        pattern=r"[\w./*?-]{1,1011}",
        noun="parameters",
    )
    needed = [
        (
            ("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
            build_log_arns("build_projects", build_projects, at),
        ),
        (("ecr:GetAuthorizationToken",), [ANY]),
        (PUSH, pushed),
        (PULL, pulled),
        (("s3:GetObject",), contexts),
        (("kms:Decrypt",), key_arns("kms_key_ids", kms_key_ids, at)),
        (("secretsmanager:GetSecretValue",), secret_arns),
        # build-spec-ref.html, env/parameter-store
        (("ssm:GetParameters",), parameter_arns),
    ]
    given = [allow(actions, arns) for actions, arns in needed if arns]
    subnet_arns = named_arns(
        "subnets",
        subnets,
        at,
        service="ec2",
        resource="subnet/{}",
        pattern=r"subnet-[0-9a-z]+|\*",
        noun="subnets",
    )
    if subnet_arns:
        # auth-and-access-control-iam-identity-based-access-control.html, "Allow CodeBuild access to AWS services required to create a VPC
        # network interface".
        given += [
            allow([*VPC_DESCRIBE, "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface"], [ANY]),
            allow(
                ["ec2:CreateNetworkInterfacePermission"],
                [at.arn("ec2", "network-interface/*")],
                {
                    "StringEquals": {"ec2:AuthorizedService": CODEBUILD},
                    "ArnEquals": {"ec2:Subnet": subnet_arns},
                },
            ),
        ]
    return document(given)

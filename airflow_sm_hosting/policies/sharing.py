"""Policies of resources that another account uses: a bucket of model data, a KMS key, a model package group.

That of an ECR repository is :func:`~airflow_sm_hosting.policies.execution.image_pull`. A policy of a resource is half of what a principal of
another account needs; its own account must allow it the same (IAM user guide, "Cross-account policy evaluation logic").
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.policies.document import VERSION
from airflow_sm_hosting.policies.execution import check_some, principal_arn, reading
from airflow_sm_hosting.policies.resources import group_arns, package_arns, place, s3_places
from airflow_sm_hosting.spec.checks import check_boolean, invalid
from airflow_sm_hosting.spec.rendered import as_list

#: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html: on the group, and on its versions.
GROUP_ACTIONS = ("sagemaker:DescribeModelPackageGroup",)
VERSION_ACTIONS = (
    "sagemaker:CreateModel",
    "sagemaker:DescribeModelPackage",
    "sagemaker:ListModelPackages",
    "sagemaker:UpdateModelPackage",
)


def model_data_read(
    *, principals: Iterable[str], model_data: Iterable[Any], partition: str = "aws"
) -> dict[str, Any]:
    """Return the policy of a bucket that allows others to read model data in it; attach it with PutBucketPolicy.

    .. seealso:: https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-walkthroughs-managing-access-example2.html

    :param principals: The principals that read: ARNs of execution roles, or accounts of 12 digits (whose own policies then decide).
    :param model_data: ``s3://`` or ``https://`` URLs of prefixes (ending ``/``) or objects of one bucket, or
        :class:`~airflow_sm_hosting.ModelData`. An object stands for the prefix that it lies in.
    :param partition: Partition of the bucket, and of accounts given by number (default: ``aws``).
    :raises InvalidSpecError: A principal or a URL is malformed, there is none, or the URLs are of several buckets.
    """
    at = place(partition=partition)
    urls = as_list("model_data", model_data)
    check_some("model_data", urls, "URLs of prefixes or objects of one bucket")
    buckets = {bucket for bucket, _ in s3_places("model_data", urls)}
    if len(buckets) > 1:
        raise InvalidSpecError(
            f"model_data is in the buckets {', '.join(sorted(buckets))}; allowed: one bucket, whose policy this is."
        )
    return _shared(principals, reading(urls, at), partition)


def key_use(*, principals: Iterable[str], grants: bool = False, partition: str = "aws") -> dict[str, Any]:
    """Return the statements that a KMS key's policy needs so that others decrypt with it; add them to the key's policy (PutKeyPolicy).

    Never replace a key's policy by these alone: nobody could manage the key any more.

    .. seealso:: https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-modifying-external-accounts.html

    :param principals: The principals that decrypt: ARNs of roles, or accounts of 12 digits (whose own policies then decide).
    :param grants: Whether they also let AWS services use the key, as an endpoint config with ``kms_key_id`` needs (default: False).
    :param partition: Partition of accounts given by number (default: ``aws``).
    :raises InvalidSpecError: A principal is malformed, or there is none.
    """
    check_boolean("grants", grants)
    # In the policy of a key, "*" is this key (developerguide/key-policy-overview.html).
    statements: list[dict[str, Any]] = [
        {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:DescribeKey"], "Resource": "*"}
    ]
    if grants:
        statements.append(
            {
                "Effect": "Allow",
                "Action": ["kms:CreateGrant"],
                "Resource": "*",
                "Condition": {"Bool": {"kms:GrantIsForAWSResource": "true"}},
            }
        )
    return _shared(principals, statements, partition)


def package_group_use(
    *, principals: Iterable[str], model_package_group: str, partition: str = "aws"
) -> dict[str, Any]:
    """Return the policy of a model package group whose versions others deploy and approve; attach it with PutModelPackageGroupPolicy.

    .. seealso:: https://docs.aws.amazon.com/sagemaker/latest/dg/model-registry-deploy.html

    :param principals: The principals: ARNs of roles, or accounts of 12 digits (whose own policies then decide).
    :param model_package_group: ARN of the group.
    :param partition: Partition of accounts given by number (default: ``aws``).
    :raises InvalidSpecError: A principal or the ARN is malformed, or there is none.
    """
    at = place(partition=partition)
    if not str(model_package_group).startswith("arn:"):
        raise invalid("model_package_group", model_package_group, "the ARN of a model package group")
    groups = [model_package_group]
    statements = [
        {
            "Effect": "Allow",
            "Action": list(GROUP_ACTIONS),
            "Resource": group_arns("model_package_group", groups, at),
        },
        {
            "Effect": "Allow",
            "Action": list(VERSION_ACTIONS),
            "Resource": package_arns("model_package_group", groups, at),
        },
    ]
    return _shared(principals, statements, partition)


def _shared(
    principals: Iterable[str], statements: Iterable[dict[str, Any]], partition: str
) -> dict[str, Any]:
    """Return a policy of a resource: statements for principals."""
    place(partition=partition)
    arns = sorted({principal_arn(one, partition) for one in as_list("principals", principals)})
    check_some("principals", arns, "ARNs of roles or accounts")
    return {
        "Version": VERSION,
        "Statement": [{**statement, "Principal": {"AWS": arns}} for statement in statements],
    }

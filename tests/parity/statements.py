"""Whether one IAM policy grants less than another, as far as the policies of an execution role go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

from moto.iam.aws_managed_policies import aws_managed_policies_data

Grant = tuple[str, str]


#: Actions for which IAM knows no resource (Service Authorization Reference).
WITHOUT_RESOURCE = {
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "logs:DescribeLogGroups",
    "ec2:DescribeDhcpOptions",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcEndpoints",
    "ec2:DescribeVpcs",
}


def narrower(policy: Any, inline: Any) -> bool:
    """Tell whether a policy grants less than an inline policy and AmazonSageMakerFullAccess grant together.

    :param policy: The policy that is to be narrower. A condition in it only takes away, so conditions are not looked at.
    :param inline: The CDK's inline policy.
    """
    ours, theirs = list(_grants(policy)), [*_grants(inline), *_full_access()]
    if not ours or not all(any(_covers(their, our) for their in theirs) for our in ours):
        return False
    if any(
        "*" in action or (resource == "*" and action not in WITHOUT_RESOURCE) for action, resource in ours
    ):
        return False
    buckets = [resource for _, resource in _grants(inline) if resource.startswith("arn:aws:s3:::")]
    others = [("s3:GetObject", f"{bucket.removesuffix('/*')}/of-another-model") for bucket in buckets]
    return not any(_covers(our, other) for our in ours for other in others)


def _grants(policy: Any) -> Iterator[Grant]:
    for statement in policy["Statement"]:
        if statement["Effect"] != "Allow":
            continue
        for action in _listed(statement["Action"]):
            for resource in _listed(statement["Resource"]):
                yield action, resource


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _covers(wide: Grant, narrow: Grant) -> bool:
    """Tell whether every request that the second grants is granted by the first.

    The second's own wildcards are met as characters, which no pattern but an equal one or a wildcard covers: on the safe side.
    """
    return fnmatchcase(narrow[0].lower(), wide[0].lower()) and fnmatchcase(narrow[1], wide[1])


@cache
def _full_access() -> tuple[Grant, ...]:
    """Return what AWS's managed policy grants without a condition."""
    document = json.loads(aws_managed_policies_data)["AmazonSageMakerFullAccess"]["Document"]
    unconditional = [each for each in document["Statement"] if "Resource" in each and "Condition" not in each]
    return tuple(_grants({"Statement": unconditional}))

"""The account of this server, its Regions, and ARNs of what it has."""

from __future__ import annotations

from functools import cache

import botocore.session
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.utilities.utils import get_partition

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID


def partition_name(region: str) -> str:
    """Return the partition of a Region: ``aws``, ``aws-cn``, ``aws-us-gov`` or another."""
    return str(get_partition(region))


def regional_arn(service: str, region: str, resource: str, *, account: str = ACCOUNT_ID) -> str:
    """Return the ARN of a resource of a Region, in the Region's partition."""
    return f"arn:{partition_name(region)}:{service}:{region}:{account}:{resource}"


def global_arn(service: str, region: str, resource: str, *, account: str = ACCOUNT_ID) -> str:
    """Return the ARN of a resource of a service without Regions, in the partition of a Region."""
    return f"arn:{partition_name(region)}:{service}::{account}:{resource}"


def is_region(name: str) -> bool:
    """Return whether there is a Region of that name: one that botocore knows, in any partition."""
    return name in _regions()


@cache
def _regions() -> frozenset[str]:
    session = botocore.session.Session()
    # EC2 is in every Region.
    return frozenset(
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    )

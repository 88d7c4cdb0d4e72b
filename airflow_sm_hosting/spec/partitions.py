"""The partitions of AWS: how their Regions are named, and their domains."""

from __future__ import annotations

#: Partitions other than ``aws``, by the prefix of their Regions (botocore, partitions.json).
PARTITIONS = {
    "cn-": "aws-cn",
    "us-gov-": "aws-us-gov",
    "us-iso-": "aws-iso",
    "us-isob-": "aws-iso-b",
    "us-isof-": "aws-iso-f",
    "eu-isoe-": "aws-iso-e",
    "eusc-": "aws-eusc",
}
#: A Region's name: ``eu-west-1``, ``us-gov-east-1``, ``eusc-de-east-1``.
REGION = r"[a-z]{2,4}(?:-[a-z]+)+-\d+"
#: The domains of the partitions (botocore, partitions.json: dnsSuffix).
DNS_SUFFIX = r"(?:amazonaws\.com(?:\.cn)?|amazonaws\.eu|c2s\.ic\.gov|sc2s\.sgov\.gov|csp\.hci\.ic\.gov|cloud\.adc-e\.uk)"


def partition_of(region_name: str) -> str:
    """Return the partition of a Region."""
    return next((name for start, name in PARTITIONS.items() if region_name.startswith(start)), "aws")

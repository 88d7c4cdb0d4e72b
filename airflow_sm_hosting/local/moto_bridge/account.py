"""The account of this server, and the Regions that it has."""

from __future__ import annotations

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.ecr.models import ecr_backends

ACCOUNT_ID: str = DEFAULT_ACCOUNT_ID


def is_region(name: str) -> bool:
    """Return whether there is a Region of that name, in any partition that botocore knows."""
    return name in ecr_backends[ACCOUNT_ID].regions

"""What the name of an instance type says of its processor."""

from __future__ import annotations

import re
from typing import Any

#: Family, generation, and the options, of which ``g`` is Graviton (EC2 user guide, "Amazon EC2 instance type naming conventions").
_GRAVITON = re.compile(r"ml\.[a-z]+\d+g[a-z]*\.")


def platform_of(instance_type: Any) -> str | None:
    """Return the platform of an instance's containers: ``linux/arm64`` for Graviton, else ``linux/amd64``; None if it is no instance type.

    .. seealso:: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instance-types.html#instance-type-names

    :param instance_type: Such as ``ml.c7g.large``.
    """
    if not isinstance(instance_type, str) or not instance_type.startswith("ml."):
        return None
    return "linux/arm64" if _GRAVITON.match(instance_type) else "linux/amd64"

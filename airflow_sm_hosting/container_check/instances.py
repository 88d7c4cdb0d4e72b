"""The memory of SageMaker's instance types.

.. seealso:: https://aws.amazon.com/ec2/instance-types/ and https://aws.amazon.com/sagemaker/ai/pricing/
"""

from __future__ import annotations

import re

#: GiB of memory a vCPU, of the families whose sizes all have the same ratio.
_GIB_A_VCPU: dict[str, float] = {
    **dict.fromkeys(("c5", "c5d", "c6g", "c6gd", "c6gn", "c6i", "c6in", "c7g", "c7i", "c8g"), 2),
    **dict.fromkeys(("m5", "m5d", "m6g", "m6gd", "m6i", "m7i", "m8g"), 4),
    **dict.fromkeys(("r5", "r5d", "r6g", "r6gd", "r6i", "r7gd", "r7i", "r8g"), 8),
}
_G5: dict[str, float] = {
    "xlarge": 16,
    "2xlarge": 32,
    "4xlarge": 64,
    "8xlarge": 128,
    "12xlarge": 192,
    "16xlarge": 256,
    "24xlarge": 384,
    "48xlarge": 768,
}
#: GiB of memory by size, of the other families.
_GIB: dict[str, dict[str, float]] = {
    "t2": {"medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32},
    "c4": {"large": 3.75, "xlarge": 7.5, "2xlarge": 15, "4xlarge": 30, "8xlarge": 60},
    "m4": {"xlarge": 16, "2xlarge": 32, "4xlarge": 64, "10xlarge": 160, "16xlarge": 256},
    "g4dn": {
        "xlarge": 16,
        "2xlarge": 32,
        "4xlarge": 64,
        "8xlarge": 128,
        "12xlarge": 192,
        "16xlarge": 256,
    },
    "g5": _G5,
    "g6": _G5,
    "p3": {"2xlarge": 61, "8xlarge": 244, "16xlarge": 488},
    "inf1": {"xlarge": 8, "2xlarge": 16, "6xlarge": 48, "24xlarge": 192},
    "inf2": {"xlarge": 16, "8xlarge": 128, "24xlarge": 384, "48xlarge": 768},
}
_SMALL_SIZES = {"medium": 1, "large": 2, "xlarge": 4}
_MULTIPLE = re.compile(r"(\d+)xlarge")


def memory_mb_of(instance_type: str) -> int | None:
    """Return the memory of an instance type in MB; None for a type that the table does not have.

    The operating system and SageMaker's own processes use a part of it: AWS does not document how much.

    :param instance_type: E.g. ``ml.m5.large``.
    """
    _, family, size = instance_type.split(".")
    if family in _GIB:
        gib = _GIB[family].get(size)
    else:
        vcpus = _vcpus(size)
        ratio = _GIB_A_VCPU.get(family)
        gib = ratio * vcpus if ratio and vcpus else None
    return int(gib * 1024) if gib else None


def _vcpus(size: str) -> int | None:
    multiple = _MULTIPLE.fullmatch(size)
    return 4 * int(multiple[1]) if multiple else _SMALL_SIZES.get(size)

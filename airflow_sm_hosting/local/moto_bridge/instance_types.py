"""The hardware of instance types, from moto's EC2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any


@dataclass(frozen=True)
class Hardware:
    """What an instance has.

    :param memory_mb: Memory in MiB.
    :param accelerators: GPUs, or chips of AWS.
    """

    memory_mb: int
    accelerators: int


@cache
def hardware_of(instance_type: str) -> Hardware | None:
    """Return the hardware of ``ml.g5.xlarge``; None for a type that EC2 does not have."""
    # A few megabytes that most servers never need.
    from moto.ec2.models.instance_types import INSTANCE_TYPES

    found: dict[str, Any] | None = INSTANCE_TYPES.get(instance_type.removeprefix("ml."))
    if found is None:
        return None
    devices = [
        *found.get("GpuInfo", {}).get("Gpus", ()),
        *(found.get("NeuronInfo") or {}).get("NeuronDevices", ()),
    ]
    return Hardware(found["MemoryInfo"]["SizeInMiB"], sum(int(device["Count"]) for device in devices))

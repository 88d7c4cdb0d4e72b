"""Whether the copies of inference components fit on instances: by memory and accelerators, as their requirements reserve them.

https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_InferenceComponentComputeResourceRequirements.html. Cores are not
counted, and how AWS places copies is assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from airflow_sm_hosting.local.moto_bridge.instance_types import Hardware, hardware_of

# Far less of an instance's memory can be reserved than it has: on ml.g5.xlarge (16 GiB) 1024 MB can, 4096 MB cannot, as Hugging Face's
# skill hf-cloud-sagemaker-production-defaults has measured. Of other types, all memory is assumed.
_MOST_RESERVED_MB = {"ml.g5.xlarge": 4095}


def instances_needed(requirements: Iterable[tuple[Mapping[str, Any], int]], instance_type: str) -> int | None:
    """Return how many instances copies need, None if one of them is too large for an instance.

    :param requirements: ``ComputeResourceRequirements``, each with the number of copies.
    :param instance_type: The type of the instances. One whose hardware is not known has room for all.
    """
    hardware = hardware_of(instance_type)
    wanted = [(_memory(needs), _accelerators(needs)) for needs, count in requirements for _ in range(count)]
    if hardware is None:
        return min(1, len(wanted))
    hardware = replace(hardware, memory_mb=_MOST_RESERVED_MB.get(instance_type, hardware.memory_mb))
    instances: list[Hardware] = []
    # The largest first, each on the first instance that has room.
    for memory, accelerators in sorted(wanted, reverse=True):
        if memory > hardware.memory_mb or accelerators > hardware.accelerators:
            return None
        places = (
            index
            for index, left in enumerate(instances)
            if memory <= left.memory_mb and accelerators <= left.accelerators
        )
        index = next(places, len(instances))
        if index == len(instances):
            instances.append(hardware)
        left = instances[index]
        instances[index] = replace(
            left, memory_mb=int(left.memory_mb - memory), accelerators=int(left.accelerators - accelerators)
        )
    return len(instances)


def _memory(needs: Mapping[str, Any]) -> float:
    return float(needs.get("MinMemoryRequiredInMb", 0))


def _accelerators(needs: Mapping[str, Any]) -> float:
    return float(needs.get("NumberOfAcceleratorDevicesRequired", 0))

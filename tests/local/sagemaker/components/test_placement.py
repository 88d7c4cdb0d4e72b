"""Whether copies fit on instances."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.local.moto_bridge.instance_types import hardware_of
from airflow_sm_hosting.local.sagemaker.components.placement import instances_needed

TYPE = "ml.g5.12xlarge"


def needs(memory: int = 1024, accelerators: int = 0) -> dict[str, Any]:
    return {
        "MinMemoryRequiredInMb": memory,
        **({"NumberOfAcceleratorDevicesRequired": accelerators} if accelerators else {}),
    }


def test_the_hardware_is_that_of_ec2() -> None:
    found = hardware_of(TYPE)
    assert found
    assert (found.memory_mb, found.accelerators) == (192 * 1024, 4)
    neuron = hardware_of("ml.inf2.xlarge")
    assert neuron
    assert neuron.accelerators == 1
    plain = hardware_of("ml.m5.large")
    assert plain
    assert plain.accelerators == 0


@pytest.mark.parametrize(
    ("requirements", "instance_type", "instances"),
    [
        ([], "ml.m5.large", 0),
        ([(needs(4096), 2)], "ml.m5.large", 1),
        ([(needs(4096), 3)], "ml.m5.large", 2),
        ([(needs(8193), 1)], "ml.m5.large", None),
        ([(needs(128, 1), 1)], "ml.m5.large", None),
        ([(needs(128, 3), 1), (needs(128, 1), 1)], TYPE, 1),
        ([(needs(128, 3), 2), (needs(128, 1), 2)], TYPE, 2),
        ([(needs(4096), 1)], "ml.g5.xlarge", None),
        ([(needs(1_000_000, 99), 5)], "ml.p6e-gb200.36xlarge", 1),
    ],
)
def test_how_many_instances_copies_need(
    requirements: list[tuple[dict[str, Any], int]], instance_type: str, instances: int | None
) -> None:
    assert instances_needed(requirements, instance_type) == instances


@given(
    st.lists(
        st.tuples(st.builds(needs, st.integers(128, 220_000), st.integers(0, 5)), st.integers(0, 4)),
        max_size=6,
    )
)
def test_no_instance_has_more_than_fits(requirements: list[tuple[dict[str, Any], int]]) -> None:
    found = instances_needed(requirements, TYPE)
    wanted = [one for one, count in requirements for _ in range(count)]
    hardware = hardware_of(TYPE)
    assert hardware
    memory = [one["MinMemoryRequiredInMb"] for one in wanted]
    accelerators = [one.get("NumberOfAcceleratorDevicesRequired", 0) for one in wanted]
    too_large = any(one > hardware.memory_mb for one in memory) or any(
        one > hardware.accelerators for one in accelerators
    )
    if too_large:
        assert found is None
        return
    assert found is not None
    least = max(
        math.ceil(sum(memory) / hardware.memory_mb), math.ceil(sum(accelerators) / hardware.accelerators)
    )
    assert least <= found <= len(wanted)

"""The descriptions of structures, each imported when a request has the structure: all of them would cost every parse a millisecond."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_sm_hosting.spec.shape import Shape

#: By structure of botocore's model: the module in this folder, and the name there.
_PLACES = {
    "AsyncInferenceConfig": ("async_inference", "ASYNC_INFERENCE"),
    "CrossRegionTrafficConfig": ("cross_region_traffic", "CROSS_REGION_TRAFFIC"),
    "DataCaptureConfig": ("data_capture", "DATA_CAPTURE"),
    "ExplainerConfig": ("explainer", "EXPLAINER"),
    "ImageConfig": ("container_access", "IMAGE_ACCESS"),
    "InstancePool": ("instance_capacity", "INSTANCE_POOL"),
    "MetricsConfig": ("metrics_publishing", "METRICS"),
    "MultiModelConfig": ("container_access", "MULTI_MODEL"),
    "ProductionVariantCapacityReservationConfig": ("instance_capacity", "CAPACITY_RESERVATION"),
    "ProductionVariantManagedInstanceScaling": ("instance_capacity", "MANAGED_SCALING"),
    "ProductionVariantRoutingConfig": ("routing", "ROUTING"),
    "VpcConfig": ("vpc", "VPC"),
}


def described_shape(structure: str) -> Shape:
    """Return the description of a structure."""
    module, name = _PLACES[structure]
    shape: Shape = getattr(import_module(f"airflow_sm_hosting.spec.{module}"), name)
    return shape


def check_described(where: str, value: Any, structure: str) -> None:
    """Check a structure in the AWS shape, if there is one.

    :param where: What it is called in messages.
    :param value: The structure, or None.
    :param structure: Its name in botocore's model.
    :raises InvalidSpecError: When AWS would refuse it.
    """
    if value is not None:
        described_shape(structure).check(where, value)

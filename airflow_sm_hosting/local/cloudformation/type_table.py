"""Which types of resources there are: those of this package, those of moto, and those that only mark something."""

from __future__ import annotations

from typing import Any

from airflow_sm_hosting.local.cloudformation.access_types import (
    BucketPolicyType,
    InlinePolicyType,
    ManagedPolicyType,
    RoleType,
)
from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.cloudformation.moto_types import MotoType
from airflow_sm_hosting.local.cloudformation.resource_type import ResourceType, WantedResource, generated_name
from airflow_sm_hosting.local.cloudformation.sagemaker_types import (
    EndpointConfigType,
    EndpointType,
    InferenceComponentType,
    ModelPackageGroupType,
    ModelType,
)
from airflow_sm_hosting.local.cloudformation.scaling_types import (
    AlarmType,
    CompositeAlarmType,
    ScalableTargetType,
    ScalingPolicyType,
)
from airflow_sm_hosting.local.moto_bridge import stack_resources


class _MarkType(ResourceType):
    """A type that does nothing: what the CDK counts its users with, and the place that a wait condition waits at."""

    is_taggable = False

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Return a name."""
        return wanted.name

    def update(self, call: ServiceCall, physical_id: str, old: WantedResource, new: WantedResource) -> None:
        """Do nothing."""

    def delete(self, call: ServiceCall, physical_id: str, wanted: WantedResource) -> None:
        """Do nothing."""

    def attribute(self, call: ServiceCall, physical_id: str, wanted: WantedResource, name: str) -> Any:
        """Return nothing: it has no attributes."""
        raise KeyError(name)


class CdkMetadataType(_MarkType):
    """``AWS::CDK::Metadata``."""

    type_name = "AWS::CDK::Metadata"


class WaitHandleType(_MarkType):
    """``AWS::CloudFormation::WaitConditionHandle``; the CDK puts one into a stack that is empty otherwise."""

    type_name = "AWS::CloudFormation::WaitConditionHandle"

    def create(self, call: ServiceCall, wanted: WantedResource) -> str:
        """Return a URL that nobody answers: there are no wait conditions here."""
        return f"https://127.0.0.1/{generated_name('wait', wanted.logical_id)}"


OWN_TYPES: dict[str, ResourceType] = {
    one.type_name: one
    for one in (
        *(ModelType(), EndpointConfigType(), EndpointType(), InferenceComponentType()),
        *(ModelPackageGroupType(), ScalableTargetType(), ScalingPolicyType(), AlarmType()),
        *(CompositeAlarmType(), RoleType(), InlinePolicyType(), ManagedPolicyType(), BucketPolicyType()),
        *(CdkMetadataType(), WaitHandleType()),
    )
}


def resource_type(type_name: str, region: str, stack_id: str) -> ResourceType | None:
    """Return a type by its name, None where the local AWS has none."""
    if type_name in OWN_TYPES:
        return OWN_TYPES[type_name]
    if stack_resources.is_known(type_name):
        return MotoType(type_name, region, stack_id)
    return None

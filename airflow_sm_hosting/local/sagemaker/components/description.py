"""What SageMaker tells of every inference component, with copies of its own or not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet
from airflow_sm_hosting.local.sagemaker.endpoints.lifecycle import Lifecycle


class Describable(Protocol):
    """An inference component."""

    name: str
    arn: str
    lifecycle: Lifecycle

    @property
    def host(self) -> HostedEndpoint:
        """The endpoint."""

    @property
    def variant_name(self) -> str:
        """The variant of the endpoint."""


def summary(component: Describable) -> dict[str, Any]:
    """Return the row of ListInferenceComponents."""
    return {
        "InferenceComponentName": component.name,
        "InferenceComponentArn": component.arn,
        "EndpointName": component.host.name,
        "EndpointArn": component.host.arn,
        "VariantName": component.variant_name,
        "CreationTime": component.lifecycle.created,
        "LastModifiedTime": component.lifecycle.modified,
        "InferenceComponentStatus": component.lifecycle.status,
    }


def description(component: Describable, config: Mapping[str, Any], fleet: Fleet | None) -> dict[str, Any]:
    """Return DescribeInferenceComponent's answer but for the copies.

    :param config: Has ``Specification`` or ``Specifications``.
    :param fleet: The fleet, whose images are shown.
    """
    shown = summary(component)
    if component.lifecycle.failure_reason:
        shown["FailureReason"] = component.lifecycle.failure_reason
    if "Specification" in config:
        shown["Specification"] = _specification(config["Specification"], fleet)
    if "Specifications" in config:
        shown["Specifications"] = [_specification(one, fleet) for one in config["Specifications"]]
    return shown


def _specification(specification: Mapping[str, Any], fleet: Fleet | None) -> dict[str, Any]:
    shown = dict(specification)
    if "Container" in specification:
        container = dict(specification["Container"])
        image = container.pop("Image", None)
        deployed = fleet.variants[0].deployed_images if fleet else []
        if image:
            container["DeployedImage"] = deployed[0] if deployed else {"SpecifiedImage": image}
        shown["Container"] = container
    return shown

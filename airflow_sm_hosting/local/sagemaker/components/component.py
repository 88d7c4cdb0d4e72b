"""One inference component: its state, and what DescribeInferenceComponent tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import Endpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, VariantFleet

# It has fewer statuses than an endpoint has.
_STATUS = {"RollingBack": "Updating", "UpdateRollbackFailed": "Failed"}


class Component(Endpoint):
    """One inference component: lives as an endpoint with one variant does, whose instances are the copies.

    :param name: Its name.
    :param arn: Its ARN.
    :param config: What it is created with, in the form of an endpoint config.
    :param clock: What tells the time.
    :param host: The endpoint whose instances it is on.
    """

    def __init__(self, name: str, arn: str, config: Mapping[str, Any], clock: Clock, host: Endpoint) -> None:
        super().__init__(name, arn, config, clock)
        self.host = host
        self.variant_name: str = config["ProductionVariants"][0]["VariantName"]

    @property
    def holder(self) -> Component:
        """Whose containers answer: its own, or those of an adapter's base."""
        return self

    @property
    def copies(self) -> VariantFleet | None:
        """What serves, counted in copies."""
        return self.fleet.variants[0] if self.fleet else None

    def move_to(self, status: str) -> None:
        """Change the status."""
        super().move_to(_STATUS.get(status, status))

    def describe(self) -> dict[str, Any]:
        """Return DescribeInferenceComponent's answer."""
        fleet = self.fleet or (self.pending.fleet if self.pending else None)
        # Of one that could not be created, what was wanted.
        config = self.config or self._wanted
        description: dict[str, Any] = {**self.summary()}
        if self.failure_reason:
            description["FailureReason"] = self.failure_reason
        for member in ("Specification", "Specifications"):
            if member in config:
                described = [_described(one, fleet) for one in specifications(config)]
                description[member] = described if member == "Specifications" else described[0]
        new = self.pending.fleet.variants[0] if self.pending else None
        now = [variant for variant in (self.copies, new) if variant]
        description["RuntimeConfig"] = {
            "DesiredCopyCount": now[-1].desired_instance_count if now else 0,
            "CurrentCopyCount": sum(variant.instance_count or 0 for variant in now),
        }
        if self.last_deployment_config:
            description["LastDeploymentConfig"] = self.last_deployment_config
        return description

    def summary(self) -> dict[str, Any]:
        """Return the row of ListInferenceComponents."""
        return {
            "InferenceComponentName": self.name,
            "InferenceComponentArn": self.arn,
            "EndpointName": self.host.name,
            "EndpointArn": self.host.arn,
            "VariantName": self.variant_name,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            "InferenceComponentStatus": self.status,
        }

    def wants(self, config: Mapping[str, Any]) -> None:
        """Take note of what is being deployed."""
        self._wanted = config


def specifications(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the specifications of a request, be they one or several."""
    if "Specifications" in request:
        return list(request["Specifications"])
    return [request["Specification"]]


def _described(specification: Mapping[str, Any], fleet: Fleet | None) -> dict[str, Any]:
    """Return what DescribeInferenceComponent tells of a specification."""
    described = dict(specification)
    if "Container" in specification:
        container = dict(specification["Container"])
        image = container.pop("Image", None)
        deployed = fleet.variants[0].deployed_images if fleet else []
        if image:
            container["DeployedImage"] = deployed[0] if deployed else {"SpecifiedImage": image}
        described["Container"] = container
    return described

"""An adapter: an inference component that tailors the answers of another one, and is loaded by its containers.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html. The sentences of the refusals are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker import rules
from airflow_sm_hosting.local.sagemaker.components.component import Component
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import Endpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, VariantFleet

# What is the base's: "Omit this parameter if your request is meant to create an adapter" says
# API_InferenceComponentSpecification.html of the requirements; of the others it is assumed.
_OF_BASE = (
    "ComputeResourceRequirements",
    "ModelName",
    "StartupParameters",
    "DataCacheConfig",
    "SchedulingConfig",
)


class Adapter(Component):
    """One adapter inference component.

    :param name: Its name.
    :param arn: Its ARN.
    :param specification: What it is created with.
    :param clock: What tells the time.
    :param base: The inference component whose containers load it.
    """

    def __init__(
        self, name: str, arn: str, specification: Mapping[str, Any], clock: Clock, base: Component
    ) -> None:
        self.base = base
        config = self.config_of(specification)
        super().__init__(name, arn, config, clock, base.host)
        self.wants(config)

    def config_of(self, specification: Mapping[str, Any]) -> dict[str, Any]:
        """Return a specification in the form of an endpoint config."""
        return {
            "EndpointConfigName": self.base.host.config_name,
            "ProductionVariants": [{"VariantName": self.base.variant_name}],
            "Specification": dict(specification),
        }

    @property
    def holder(self) -> Component:
        """The base."""
        return self.base

    @property
    def copies(self) -> VariantFleet | None:
        """The base's."""
        return self.base.copies

    def traffic(self) -> list[tuple[Fleet, VariantFleet, float]]:
        """Return how the base's traffic is split."""
        return self.base.traffic()

    def traffic_to(self, variant_name: str) -> list[tuple[Fleet, VariantFleet, float]]:
        """Return how the base's traffic to a variant is split."""
        return self.base.traffic_to(variant_name)

    def describe(self) -> dict[str, Any]:
        """Return DescribeInferenceComponent's answer; that it has no RuntimeConfig is assumed."""
        description = super().describe()
        del description["RuntimeConfig"]
        return description

    def dump(self) -> dict[str, Any]:
        """Return what it takes to have it again."""
        return {
            "name": self.name,
            "base": self.base.name,
            "failed": self.status == "Failed",
            "config": self.config or self._wanted,
            "failure_reason": self.failure_reason,
            "created": self.created,
        }


def check_adapter(base: Component, host: Endpoint, request: Mapping[str, Any]) -> None:
    """Refuse what cannot be an adapter of a base.

    :param host: The endpoint that the request names.
    :param request: ``CreateInferenceComponent``'s, or as much of it as an update has.
    """
    specification = request["Specification"]
    if isinstance(base, Adapter):
        rules.refuse(f'The base "{base.arn}" is an adapter inference component itself.')
    if base.host is not host:
        rules.refuse(f'The base "{base.arn}" is not on the endpoint "{host.arn}".')
    if base.status != "InService":
        # "You've deployed this inference component to a SageMaker AI endpoint": realtime-endpoints-adapt.html
        rules.refuse(f'The base "{base.arn}" is not in service (status {base.status}).')
    if request.get("VariantName", base.variant_name) != base.variant_name:
        rules.refuse(f'The base "{base.arn}" is on the variant {base.variant_name}.')
    for member in _OF_BASE:
        if member in specification:
            rules.refuse(f"{member} must not be specified for an adapter inference component.")
    container = specification.get("Container", {})
    if "ArtifactUrl" not in container:
        rules.refuse("Container.ArtifactUrl must be specified for an adapter inference component.")
    for member in ("Image", "Environment"):
        if member in container:
            rules.refuse(f"Container.{member} must not be specified for an adapter inference component.")

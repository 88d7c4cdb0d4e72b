"""An adapter: an inference component that the containers of another one load. It has no fleet.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html. The sentences of the refusals are assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker.components.component import Component, component_lifecycle
from airflow_sm_hosting.local.sagemaker.components.description import description, summary
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.refusal import refuse

# These are the base's: "Omit this parameter if your request is meant to create an adapter" says
# API_InferenceComponentSpecification.html of the requirements; of the others it is assumed.
_OF_BASE = (
    "ComputeResourceRequirements",
    "ModelName",
    "StartupParameters",
    "DataCacheConfig",
    "SchedulingConfig",
)


class Adapter:
    """One adapter inference component.

    :param name: Its name.
    :param arn: Its ARN.
    :param specification: What it is created with.
    :param clock: The clock.
    :param base: The inference component whose containers load it.
    """

    def __init__(
        self, name: str, arn: str, specification: Mapping[str, Any], clock: Clock, base: Component
    ) -> None:
        self.name = name
        self.arn = arn
        self.base = base
        self.lifecycle = component_lifecycle(name, clock)
        #: What is being loaded, or was loaded last.
        self.desired_specification = specification
        #: What the containers load; None as long as it was not loaded once.
        self.specification: Mapping[str, Any] | None = None

    @property
    def status(self) -> str:
        """The ``InferenceComponentStatus``."""
        return self.lifecycle.status

    @property
    def host(self) -> HostedEndpoint:
        """The base's endpoint."""
        return self.base.host

    @property
    def variant_name(self) -> str:
        """The base's variant."""
        return self.base.variant_name

    def describe(self) -> dict[str, Any]:
        """Return DescribeInferenceComponent's answer; that it has no RuntimeConfig is assumed."""
        return description(self, {"Specification": self._shown}, None)

    def summary(self) -> dict[str, Any]:
        """Return the row of ListInferenceComponents."""
        return summary(self)

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        return {
            "name": self.name,
            "host": self.host.name,
            "variant": self.variant_name,
            "base": self.base.name,
            "failed": self.status == "Failed",
            "config": {"Specification": self._shown},
            "failure_reason": self.lifecycle.failure_reason,
            "created": self.lifecycle.created,
        }

    @property
    def _shown(self) -> dict[str, Any]:
        return dict(self.specification or self.desired_specification)


class AdapterLoader(Protocol):
    """Has containers load adapters: the runtime, which talks to containers. The Region answers for it."""

    def load_adapter(self, adapter: Adapter, specification: Mapping[str, Any]) -> None:
        """Have the containers of an adapter's base load it; without containers there is nothing to do.

        :param specification: What it is created or updated with.
        :raises AwsError: They do not load it.
        """

    def unload_adapter(self, adapter: Adapter) -> None:
        """Have the containers of an adapter's base unload it."""


def check_adapter(base: Component, host: HostedEndpoint, request: Mapping[str, Any]) -> None:
    """Refuse what cannot be an adapter of a base.

    :param host: The endpoint that the request names.
    :param request: ``CreateInferenceComponent``'s, or as much of it as an update has.
    """
    specification = request["Specification"]
    if base.host is not host:
        refuse(f'The base "{base.arn}" is not on the endpoint "{host.arn}".')
    if base.status != "InService":
        # "You've deployed this inference component to a SageMaker AI endpoint": realtime-endpoints-adapt.html
        refuse(f'The base "{base.arn}" is not in service (status {base.status}).')
    if request.get("VariantName", base.variant_name) != base.variant_name:
        refuse(f'The base "{base.arn}" is on the variant {base.variant_name}.')
    for member in _OF_BASE:
        if member in specification:
            refuse(f"{member} must not be specified for an adapter inference component.")
    container = specification.get("Container", {})
    if "ArtifactUrl" not in container:
        refuse("Container.ArtifactUrl must be specified for an adapter inference component.")
    for member in ("Image", "Environment"):
        if member in container:
            refuse(f"Container.{member} must not be specified for an adapter inference component.")

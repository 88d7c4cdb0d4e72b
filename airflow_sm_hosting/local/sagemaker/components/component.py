"""One inference component with its own copies, and its description."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker.components.description import description, summary
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.lifecycle import Lifecycle
from airflow_sm_hosting.local.sagemaker.endpoints.serving import Serving
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet

KIND = "inference-component"
# It has fewer statuses than an endpoint has.
_STATUSES = {"RollingBack": "Updating", "UpdateRollbackFailed": "Failed"}


class Component:
    """One inference component. It has a fleet of one variant, whose instances are the copies.

    :param name: Its name.
    :param arn: Its ARN.
    :param config: What it is created with, in the form of an endpoint config.
    :param clock: The clock.
    :param host: The endpoint that has its instances.
    """

    def __init__(
        self, name: str, arn: str, config: Mapping[str, Any], clock: Clock, host: HostedEndpoint
    ) -> None:
        self.name = name
        self.arn = arn
        self.host = host
        self.variant_name: str = config["ProductionVariants"][0]["VariantName"]
        self.lifecycle = component_lifecycle(name, clock)
        self.serving = Serving(self.lifecycle, config)
        #: What is being deployed, or was deployed last.
        self.desired_config = config

    @property
    def status(self) -> str:
        """The ``InferenceComponentStatus``."""
        return self.lifecycle.status

    @property
    def copies(self) -> VariantFleet | None:
        """The variant in service, whose instance counts are the copies."""
        return self.serving.fleet.variants[0] if self.serving.fleet else None

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        return {
            "name": self.name,
            "host": self.host.name,
            "variant": self.variant_name,
            **self.serving.dump(),
        }

    def describe(self) -> dict[str, Any]:
        """Return DescribeInferenceComponent's answer."""
        pending = self.serving.pending
        fleet = self.serving.fleet or (pending.fleet if pending else None)
        # Of one that could not be created: what was asked for.
        config = self.serving.config or self.desired_config
        described = description(self, config, fleet)
        new = pending.fleet.variants[0] if pending else None
        variants = [variant for variant in (self.copies, new) if variant]
        described["RuntimeConfig"] = {
            "DesiredCopyCount": variants[-1].desired_instance_count if variants else 0,
            "CurrentCopyCount": sum(variant.instance_count or 0 for variant in variants),
        }
        if self.serving.last_deployment_config:
            described["LastDeploymentConfig"] = self.serving.last_deployment_config
        return described

    def summary(self) -> dict[str, Any]:
        """Return the row of ListInferenceComponents."""
        return summary(self)


def component_lifecycle(name: str, clock: Clock) -> Lifecycle:
    """Return the lifecycle of a new inference component."""
    return Lifecycle("inference component", name, clock, _STATUSES)


def specifications(request: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the specifications of a request, be they one or several."""
    if "Specifications" in request:
        return list(request["Specifications"])
    return [request["Specification"]]

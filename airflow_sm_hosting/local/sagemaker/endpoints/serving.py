"""What serves an endpoint or an inference component: its fleet, and the deployments that replace the fleet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airflow_sm_hosting.local.sagemaker.endpoints.deployment import FleetDeployment
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet
from airflow_sm_hosting.local.sagemaker.endpoints.lifecycle import Lifecycle
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet

#: A part of the traffic: the fleet, its variant, and the share.
TrafficShare = tuple[Fleet, VariantFleet, float]


class Serving:
    """The fleet in service and the deployments in progress. Deployments report to it.

    :param lifecycle: The status that follows the deployments.
    :param config: The endpoint config that is deployed first.
    """

    def __init__(self, lifecycle: Lifecycle, config: Mapping[str, Any]) -> None:
        self._lifecycle = lifecycle
        #: The name of the endpoint config in service.
        self.config_name = str(config["EndpointConfigName"])
        #: The endpoint config in service; empty as long as nothing serves.
        self.config: Mapping[str, Any] = {}
        #: The fleet in service; None while it is created, and after the creation failed.
        self.fleet: Fleet | None = None
        #: The deployment in progress.
        self.pending: FleetDeployment | None = None
        #: A deployment whose rollback failed: its fleet serves, too.
        self.stranded: FleetDeployment | None = None
        self.last_deployment_config: Mapping[str, Any] | None = None
        #: Called after each change of the status of the variants that are deployed in the place of others.
        self.on_progress: Callable[[], None] = lambda: None

    def fleets(self) -> list[Fleet]:
        """Return all fleets that exist."""
        return [*([self.fleet] if self.fleet else []), *(one.fleet for one in self._deployments())]

    def configs(self) -> list[Mapping[str, Any]]:
        """Return the endpoint configs of all fleets; the one in service first."""
        return [self.config, *(one.config for one in self._deployments())]

    def stop(self) -> list[Fleet]:
        """Stop the deployment in progress, and return the fleets, which the caller stops."""
        if self.pending:
            self.pending.abandon()
        return self.fleets()

    def dump(self) -> dict[str, Any]:
        """Return what is saved: enough to serve again what serves, or what is to serve first."""
        fleet = self.fleet or (self.pending.fleet if self.pending else None)
        variants = fleet.all_variants if fleet else []
        failure = self._lifecycle.failure_reason
        if self.fleet and self.pending:
            failure = "The update was interrupted: the local AWS ended."
        return {
            "failed": fleet is None,
            "config": self.config or (self.pending.config if self.pending else self.config),
            "config_name": self.config_name,
            "models": dict(fleet.models) if fleet else {},
            "weights": {variant.name: variant.desired_weight for variant in variants},
            "instance_counts": {
                variant.name: variant.desired_instance_count
                for variant in variants
                if variant.desired_instance_count is not None
            },
            "serverless_configs": {
                variant.name: variant.desired_serverless_config
                for variant in variants
                if variant.desired_serverless_config
            },
            "failure_reason": failure,
            "last_deployment_config": self.last_deployment_config,
            "created": self._lifecycle.created,
        }

    # Traffic

    def traffic(self) -> list[TrafficShare]:
        """Return how traffic is split: the share of each production variant of each fleet, 1 in all."""
        if self.fleet is None:
            return []
        split = [(self.fleet, variant, share) for variant, share in _shares(self.fleet)]
        for deployment in self._deployments():
            if step := deployment.step:
                split = [
                    *(
                        (fleet, variant, share * (1 - step.share(variant.name)))
                        for fleet, variant, share in split
                    ),
                    *(
                        (deployment.fleet, variant, share * step.share(variant.name))
                        for variant, share in _shares(deployment.fleet)
                    ),
                ]
        return split

    def traffic_to(self, variant_name: str) -> list[TrafficShare]:
        """Return how the traffic of one production variant, whatever its weight, is split between the fleets."""
        if self.fleet is None:
            return []
        split = [(self.fleet, variant, 1.0) for variant in self.fleet.variants]
        for deployment in self._deployments():
            if deployment.step:
                share = deployment.step.share(variant_name)
                split = [
                    *((fleet, variant, part * (1 - share)) for fleet, variant, part in split),
                    *((deployment.fleet, variant, share) for variant in deployment.fleet.variants),
                ]
        return [part for part in split if part[1].name == variant_name]

    # What a deployment reports

    def progressed(self, deployment: FleetDeployment) -> None:
        """Tell that the status of the new variants changed."""
        if self.fleet is not None and self.pending is deployment:
            self.on_progress()

    def rolling_back(self, deployment: FleetDeployment) -> None:
        """Show that the new fleet is rolled back."""
        # "RollingBack" on an update of the config: hashicorp/terraform-provider-aws#49020
        self._lifecycle.move_to("RollingBack")

    def deployed(self, deployment: FleetDeployment) -> None:
        """Put the new fleet into service."""
        retired = [self.fleet, self.stranded and self.stranded.fleet]
        self.fleet, self.config = deployment.fleet, deployment.config
        self.config_name = deployment.config["EndpointConfigName"]
        self.pending = self.stranded = None
        self._lifecycle.move_to("InService")
        for fleet in retired:
            if fleet:
                fleet.retire()

    def rolled_back(self, deployment: FleetDeployment) -> None:
        """Go on with the old fleet.

        A failed update leaves the old fleet and config in service, with the reason (ACK's controller tests).
        """
        self.pending = None
        self._lifecycle.fail(deployment.failure or "")
        if self.fleet is None:
            self._lifecycle.move_to("Failed")
        else:
            self._lifecycle.move_to("UpdateRollbackFailed" if self.stranded else "InService")
        deployment.fleet.retire()

    def rollback_failed(self, deployment: FleetDeployment) -> None:
        """Go on with both fleets as the traffic is split between them now."""
        self.pending, self.stranded = None, deployment
        self._lifecycle.fail(deployment.failure or "")
        self._lifecycle.move_to("UpdateRollbackFailed")

    def _deployments(self) -> list[FleetDeployment]:
        return [deployment for deployment in (self.stranded, self.pending) if deployment]


def _shares(fleet: Fleet) -> list[tuple[VariantFleet, float]]:
    """Return each production variant's share by its weight; of no weight at all the first has all (assumed)."""
    # A fleet without traffic, yet or any more, is asked for the shares that it would have.
    weights = [variant.weight for variant in fleet.variants]
    total = sum(weights)
    if not total:
        return [(variant, float(index == 0)) for index, variant in enumerate(fleet.variants)]
    return [(variant, weight / total) for variant, weight in zip(fleet.variants, weights, strict=True)]

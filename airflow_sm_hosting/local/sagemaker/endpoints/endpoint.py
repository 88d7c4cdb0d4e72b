"""One endpoint: its state, and what DescribeEndpoint tells of it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Deployment
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, VariantFleet, variant_summary

LOG = logging.getLogger(__name__)

# DescribeEndpoint's FailureReason has at most 1024 characters.
_MAX_REASON = 1024
# Members of the endpoint config that DescribeEndpoint shows.
_TOLD = ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig", "CrossRegionTrafficConfig")
# What the variants say while the endpoint has that status and no deployment.
_VARIANT_STATUS = {"Updating": "Updating", "RollingBack": "Updating", "Deleting": "Deleting"}


class Endpoint:
    """One endpoint.

    :param name: Its name, in the caller's case.
    :param arn: Its ARN.
    :param config: The endpoint config that it is created with.
    :param clock: What tells the time.
    """

    def __init__(self, name: str, arn: str, config: Mapping[str, Any], clock: Clock) -> None:
        self.name = name
        self.arn = arn
        self.status = "Creating"
        #: The endpoint config that serves.
        self.config_name = str(config["EndpointConfigName"])
        #: The same; empty as long as nothing serves.
        self.config: Mapping[str, Any] = {}
        #: What serves; None while it is created, and after that failed.
        self.fleet: Fleet | None = None
        #: The deployment in progress.
        self.pending: Deployment | None = None
        #: The deployment whose rollback failed: it serves, too.
        self.stranded: Deployment | None = None
        self.failure_reason: str | None = None
        self.last_deployment_config: Mapping[str, Any] | None = None
        self._clock = clock
        self.created = self.modified = clock.now()

    def move_to(self, status: str) -> None:
        """Change the status."""
        LOG.info("endpoint %s: %s -> %s", self.name, self.status, status)
        self.status = status
        # Never the same twice, though a virtual clock stands still: who watches an endpoint sees by it that something changed.
        self.modified = max(self._clock.now(), self.modified + timedelta(milliseconds=1))

    def fail(self, reason: str) -> None:
        """Note why something went wrong."""
        self.failure_reason = reason[:_MAX_REASON]
        LOG.warning("endpoint %s: %s", self.name, self.failure_reason)

    def fleets(self) -> list[Fleet]:
        """Return all fleets that there are."""
        deployments = [deployment for deployment in (self.stranded, self.pending) if deployment]
        return [*([self.fleet] if self.fleet else []), *(deployment.fleet for deployment in deployments)]

    # What is kept over a restart

    def dump(self) -> dict[str, Any]:
        """Return what it takes to serve again what serves, or what is to serve first."""
        fleet = self.fleet or (self.pending.fleet if self.pending else None)
        variants = fleet.all_variants if fleet else []
        failure = self.failure_reason
        if self.fleet and self.pending:
            failure = "The update was interrupted: the local AWS ended."
        return {
            "name": self.name,
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
            "created": self.created,
        }

    # Traffic

    def traffic(self) -> list[tuple[Fleet, VariantFleet, float]]:
        """Return how traffic is split: the share of each production variant of each fleet, 1 in all."""
        if self.fleet is None:
            return []
        split = [(self.fleet, variant, share) for variant, share in _shares(self.fleet)]
        for deployment in (self.stranded, self.pending):
            if deployment and deployment.step:
                step = deployment.step
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

    def traffic_to(self, variant_name: str) -> list[tuple[Fleet, VariantFleet, float]]:
        """Return how the traffic of one production variant, whatever its weight, is split between the fleets."""
        if self.fleet is None:
            return []
        split = [(self.fleet, variant, 1.0) for variant in self.fleet.variants]
        for deployment in (self.stranded, self.pending):
            if deployment and deployment.step:
                share = deployment.step.share(variant_name)
                split = [
                    *((fleet, variant, part * (1 - share)) for fleet, variant, part in split),
                    *((deployment.fleet, variant, share) for variant in deployment.fleet.variants),
                ]
        return [part for part in split if part[1].name == variant_name]

    # How a deployment goes: what it asks of its owner

    def rolling_back(self, deployment: Deployment) -> None:
        """Take note that the new fleet is taken back."""
        # "RollingBack" on an update of the config: hashicorp/terraform-provider-aws#49020
        self.move_to("RollingBack")

    def deployed(self, deployment: Deployment) -> None:
        """Take over the new fleet."""
        retired = [self.fleet, self.stranded and self.stranded.fleet]
        self.fleet, self.config = deployment.fleet, deployment.config
        self.config_name = deployment.config["EndpointConfigName"]
        self.pending = self.stranded = None
        self.move_to("InService")
        for fleet in retired:
            if fleet:
                fleet.retire()

    def rolled_back(self, deployment: Deployment) -> None:
        """Go on with what was before.

        A failed update leaves the old fleet and config in service, with the reason (ACK's controller tests).
        """
        self.pending = None
        self.fail(deployment.failure or "")
        if self.fleet is None:
            self.move_to("Failed")
        else:
            self.move_to("UpdateRollbackFailed" if self.stranded else "InService")
        deployment.fleet.retire()

    def rollback_failed(self, deployment: Deployment) -> None:
        """Go on with both fleets as the traffic is split between them now."""
        self.pending, self.stranded = None, deployment
        self.fail(deployment.failure or "")
        self.move_to("UpdateRollbackFailed")

    # What is told

    def describe(self) -> dict[str, Any]:
        """Return DescribeEndpoint's answer."""
        description: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": self.config_name,
            "EndpointStatus": self.status,
            "CreationTime": self.created,
            "LastModifiedTime": self.modified,
            **{member: self.config[member] for member in _TOLD if member in self.config},
        }
        if self.fleet:
            description["ProductionVariants"] = self._told(self.fleet.variants)
            if self.fleet.shadow_variants:
                description["ShadowProductionVariants"] = self._told(self.fleet.shadow_variants)
        if capture := self.config.get("DataCaptureConfig"):
            description["DataCaptureConfig"] = {
                "EnableCapture": capture.get("EnableCapture", False),
                "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        if self.failure_reason:
            description["FailureReason"] = self.failure_reason
        if self.last_deployment_config:
            description["LastDeploymentConfig"] = self.last_deployment_config
        if self.pending:
            description["PendingDeploymentSummary"] = self.pending.summary()
        return description

    def _told(self, variants: list[VariantFleet]) -> list[dict[str, Any]]:
        status = None if self.pending else _VARIANT_STATUS.get(self.status)
        told = {"Status": status, "StartTime": self.modified} if status else None
        return [variant_summary(variant, pending=False, status=told) for variant in variants]


def _shares(fleet: Fleet) -> list[tuple[VariantFleet, float]]:
    """Return each production variant's share by its weight; of no weight at all the first has all (assumed)."""
    # A fleet that has no traffic yet, or no more, is asked for what it would have.
    weights = [variant.weight for variant in fleet.variants]
    total = sum(weights)
    if not total:
        return [(variant, float(index == 0)) for index, variant in enumerate(fleet.variants)]
    return [(variant, weight / total) for variant, weight in zip(fleet.variants, weights, strict=True)]

"""One endpoint, and its description in DescribeEndpoint."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.sagemaker.endpoints.lifecycle import Lifecycle
from airflow_sm_hosting.local.sagemaker.endpoints.serving import Serving
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet, variant_summary

# Members of the endpoint config that DescribeEndpoint shows.
_SHOWN = ("AsyncInferenceConfig", "ExplainerConfig", "MetricsConfig", "CrossRegionTrafficConfig")
# Members of a variant in events.
_TOLD = ("VariantName", "CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount")
# The status of the variants while the endpoint has that status and no deployment.
_VARIANT_STATUS = {"Updating": "Updating", "RollingBack": "Updating", "Deleting": "Deleting"}


class HostedEndpoint:
    """One endpoint.

    :param name: Its name, in the caller's case.
    :param arn: Its ARN.
    :param config: The endpoint config that it is created with.
    :param clock: The clock.
    """

    def __init__(self, name: str, arn: str, config: Mapping[str, Any], clock: Clock) -> None:
        self.name = name
        self.arn = arn
        self.lifecycle = Lifecycle("endpoint", name, clock)
        self.serving = Serving(self.lifecycle, config)

    @property
    def status(self) -> str:
        """The ``EndpointStatus``."""
        return self.lifecycle.status

    @property
    def config(self) -> Mapping[str, Any]:
        """The endpoint config in service; empty as long as nothing serves."""
        return self.serving.config

    @property
    def is_asynchronous(self) -> bool:
        """Whether requests wait in a queue."""
        return "AsyncInferenceConfig" in self.config

    def dump(self) -> dict[str, Any]:
        """Return what is saved."""
        return {"name": self.name, **self.serving.dump()}

    def describe(self) -> dict[str, Any]:
        """Return DescribeEndpoint's answer."""
        lifecycle, serving = self.lifecycle, self.serving
        description: dict[str, Any] = {
            "EndpointName": self.name,
            "EndpointArn": self.arn,
            "EndpointConfigName": serving.config_name,
            "EndpointStatus": lifecycle.status,
            "CreationTime": lifecycle.created,
            "LastModifiedTime": lifecycle.modified,
            **{member: self.config[member] for member in _SHOWN if member in self.config},
        }
        if serving.fleet:
            description["ProductionVariants"] = self._summaries(serving.fleet.variants)
            if serving.fleet.shadow_variants:
                description["ShadowProductionVariants"] = self._summaries(serving.fleet.shadow_variants)
        if capture := self.config.get("DataCaptureConfig"):
            description["DataCaptureConfig"] = {
                "EnableCapture": capture.get("EnableCapture", False),
                "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        if lifecycle.failure_reason:
            description["FailureReason"] = lifecycle.failure_reason
        if serving.last_deployment_config:
            description["LastDeploymentConfig"] = serving.last_deployment_config
        if serving.pending:
            description["PendingDeploymentSummary"] = serving.pending.summary()
        return description

    def event(self) -> dict[str, Any]:
        """Return the ``detail`` of an event about its status: statuses in capitals, times in milliseconds, no tags (as logged in 2022)."""
        found = self.describe()
        return {
            **{name: found[name] for name in ("EndpointName", "EndpointArn", "EndpointConfigName")},
            "ProductionVariants": _told(found, _TOLD),
            "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", self.status).upper(),
            **{name: _milliseconds(found[name]) for name in ("CreationTime", "LastModifiedTime")},
            "Tags": {},
        }

    def deployment_event(self) -> dict[str, Any]:
        """Return the ``detail`` of an event about a deployment, or about new capacity.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-deployment-state
        """
        found = self.describe()
        detail = {**self.event(), "ProductionVariants": _told(found, (*_TOLD, "VariantStatus"))}
        if pending := found.get("PendingDeploymentSummary"):
            detail["PendingDeploymentSummary"] = {
                "EndpointConfigName": pending["EndpointConfigName"],
                "StartTime": _milliseconds(pending["StartTime"]),
                "ProductionVariants": _told(pending, (*_TOLD, "VariantStatus")),
            }
        return detail

    def _summaries(self, variants: list[VariantFleet]) -> list[dict[str, Any]]:
        status = None if self.serving.pending else _VARIANT_STATUS.get(self.status)
        shown = {"Status": status, "StartTime": self.lifecycle.modified} if status else None
        return [variant_summary(variant, pending=False, status=shown) for variant in variants]


def _told(description: Mapping[str, Any], members: Sequence[str]) -> list[dict[str, Any]]:
    """Return the production variants of a description as events have them."""
    rows = [
        {name: row[name] for name in members if name in row}
        for row in description.get("ProductionVariants", ())
    ]
    for row in rows:
        if "VariantStatus" in row:
            row["VariantStatus"] = [
                {**one, "StartTime": _milliseconds(one["StartTime"])} for one in row["VariantStatus"]
            ]
    return rows


def _milliseconds(time: datetime) -> int:
    return int(time.timestamp() * 1000)

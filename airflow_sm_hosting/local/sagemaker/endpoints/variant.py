"""One production variant of a fleet: its containers, and its description in DescribeEndpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.engines.engine import RunningContainer


@dataclass
class ServingContainer:
    """A container of a variant.

    :param name: ``primary``, its ``ContainerHostname``, or its place in the pipeline.
    :param running: What the engine started.
    :param start: Starts another one like it.
    :param definition: The ``ContainerDefinition`` that it is started from.
    :param models_folder: Where the models of a container of many are put together, before it takes them.
    """

    name: str
    running: RunningContainer
    start: Callable[[], RunningContainer]
    definition: Mapping[str, Any]
    models_folder: Path


@dataclass
class VariantFleet:
    """The containers of one production variant, with its weight and capacity.

    One set of containers stands for all instances of a variant: a developer's computer does not run them all. The counts are
    shown, and metrics are divided by them.

    :param config: The variant of the endpoint config.
    :param config_name: The name of the endpoint config.
    :param desired_weight: The desired weight.
    :param desired_instance_count: The desired instance count; None for a serverless variant.
    :param model: The model that it serves, as CreateModel was called; empty for a variant of inference components.
    :param weight: Its weight now: none before its fleet has traffic.
    :param instance_count: Its instances that take traffic now; None for a serverless variant.
    """

    config: Mapping[str, Any]
    config_name: str
    desired_weight: float
    desired_instance_count: int | None
    model: Mapping[str, Any] = field(default_factory=dict)
    weight: float = 0.0
    instance_count: int | None = None
    containers: list[ServingContainer] = field(default_factory=list)
    deployed_images: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.instance_count = None if self.desired_instance_count is None else 0
        self.serverless_config: dict[str, Any] = dict(self.config.get("ServerlessConfig", {}))
        self.desired_serverless_config = dict(self.serverless_config)
        #: The instance type that it has, of those that the config allows.
        self.instance_type: str | None = None

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.config["VariantName"])

    @property
    def instance_types(self) -> list[str]:
        """The instance types that it may run on, in order of preference."""
        if pools := self.config.get("InstancePools"):
            return [pool["InstanceType"] for pool in sorted(pools, key=lambda pool: pool["Priority"])]
        return [self.config["InstanceType"]] if "InstanceType" in self.config else []

    def set_desired(self, change: Mapping[str, Any]) -> None:
        """Record a ``DesiredWeightAndCapacity``; :meth:`apply_desired` does it."""
        self.desired_weight = float(change.get("DesiredWeight", self.desired_weight))
        if self.instance_count is not None:
            self.desired_instance_count = change.get("DesiredInstanceCount", self.desired_instance_count)
        self.desired_serverless_config |= change.get("ServerlessUpdateConfig", {})

    def apply_desired(self) -> None:
        """Take the desired weight and capacity."""
        self.weight, self.instance_count = self.desired_weight, self.desired_instance_count
        self.serverless_config = dict(self.desired_serverless_config)

    def discard_desired(self) -> None:
        """Keep the current weight and capacity."""
        self.desired_weight, self.desired_instance_count = self.weight, self.instance_count
        self.desired_serverless_config = dict(self.serverless_config)


def variant_summary(
    variant: VariantFleet, *, pending: bool, status: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return a variant as DescribeEndpoint shows it.

    :param variant: The variant.
    :param pending: Whether it is one of a deployment in progress.
    :param status: Its ``VariantStatus`` while the endpoint is in transition.
    """
    summary: dict[str, Any] = {"VariantName": variant.name}
    if variant.deployed_images:
        summary["DeployedImages"] = list(variant.deployed_images)
    summary["CurrentWeight"] = variant.weight
    summary["DesiredWeight"] = variant.desired_weight
    if variant.instance_count is None:
        if not pending:
            summary["CurrentServerlessConfig"] = variant.serverless_config
        if pending or variant.desired_serverless_config != variant.serverless_config:
            # A recorded DescribeEndpoint of a serverless endpoint in service has no desired one (2024); that there is one as long as
            # it differs is assumed.
            summary["DesiredServerlessConfig"] = variant.desired_serverless_config
        summary["CurrentInstanceCount"] = 0
    else:
        summary["CurrentInstanceCount"] = variant.instance_count
        summary["DesiredInstanceCount"] = variant.desired_instance_count
    if "InstancePools" in variant.config:
        summary["InstancePools"] = [
            {
                "InstanceType": instance_type,
                "CurrentInstanceCount": (variant.instance_count or 0)
                if instance_type == variant.instance_type
                else 0,
            }
            for instance_type in variant.instance_types
        ]
    shown = ("InstanceType", "AcceleratorType") if pending else ()
    for name in (*shown, "ManagedInstanceScaling", "RoutingConfig"):
        if name in variant.config:
            summary[name] = variant.config[name]
    if status:
        summary["VariantStatus"] = [dict(status)]
    return summary

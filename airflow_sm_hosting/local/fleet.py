"""Fleets: the containers that serve one endpoint config, from their start to their end."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import urllib3
from tenacity import (
    RetryError,
    Retrying,
    retry_if_result,
    sleep_using_event,
    stop_after_delay,
    wait_exponential,
)

from airflow_sm_hosting.local import model_data, moto_backends
from airflow_sm_hosting.local.engines import (
    STOP_GRACE_SECONDS,
    ContainerError,
    ContainerPlan,
    Engine,
    RunningContainer,
)
from airflow_sm_hosting.local.protocol import now
from airflow_sm_hosting.local.registry import Registry

# "To pass health checks, a container must reply with an HTTP 200 within 2 seconds":
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html#your-algorithms-inference-algo-ping-requests
_PING_TIMEOUT = urllib3.Timeout(connect=0.25, read=2.0)
# The budget where the variant names none (same page, 2023 guide: 4 minutes).
_STARTUP_SECONDS = 240

_PING_FAILED = (
    "The {container} container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


class FleetError(Exception):
    """A fleet cannot come into service; the message is the endpoint's ``FailureReason``."""


class Abandoned(Exception):
    """A fleet is not wanted any more while it starts."""


@dataclass
class ServingContainer:
    """A container of a variant.

    :param name: ``primary``, its ``ContainerHostname``, or its place in the pipeline.
    :param running: What the engine started.
    :param log_stream: Where its lines are in CloudWatch Logs.
    """

    name: str
    running: RunningContainer
    log_stream: str


@dataclass
class VariantFleet:
    """The containers of one production variant, and what DescribeEndpoint tells of it.

    One set of containers stands for all of a variant's instances: the counts are told and divided by, a developer's
    computer does not run them.

    :param config: The variant of the endpoint config.
    :param weight: Its weight now.
    :param instance_count: Its instances now; None for a serverless variant.
    """

    config: Mapping[str, Any]
    weight: float
    instance_count: int | None
    containers: list[ServingContainer] = field(default_factory=list)
    deployed_images: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._wanted: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.config["VariantName"])

    @property
    def desired_weight(self) -> float:
        """The weight that it is about to have."""
        return float(self._wanted.get("DesiredWeight", self.weight))

    @property
    def desired_instance_count(self) -> int | None:
        """The instances that it is about to have."""
        count: int | None = self._wanted.get("DesiredInstanceCount", self.instance_count)
        return count

    @property
    def desired_serverless_config(self) -> dict[str, Any]:
        """The concurrency that it is about to have."""
        return {**self.config.get("ServerlessConfig", {}), **self._wanted.get("ServerlessUpdateConfig", {})}

    def want(self, change: Mapping[str, Any]) -> None:
        """Take a ``DesiredWeightAndCapacity``, to be done later."""
        self._wanted = dict(change)

    def become_what_is_wanted(self) -> None:
        """Do what was wanted last."""
        self.weight, self.instance_count = self.desired_weight, self.desired_instance_count
        if "ServerlessConfig" in self.config:
            self.config = {**self.config, "ServerlessConfig": self.desired_serverless_config}
        self._wanted = {}


@dataclass(frozen=True)
class FleetPlan:
    """What a fleet is made from.

    :param endpoint_name: The endpoint's name.
    :param region: Its Region.
    :param variants: The variants of the endpoint config, shadow ones too.
    :param models: The models that they name, as CreateModel was called.
    :param weights: Weights that are kept from the fleet before, by variant name.
    :param instance_counts: Instance counts that are kept, by variant name.
    """

    endpoint_name: str
    region: str
    variants: Sequence[Mapping[str, Any]]
    models: Mapping[str, Mapping[str, Any]]
    weights: Mapping[str, float] = field(default_factory=dict)
    instance_counts: Mapping[str, int] = field(default_factory=dict)


class Fleet:
    """All variants of one endpoint config, started together.

    :param plan: What it is made from.
    :param engine: What runs its containers.
    :param registry: Where its images are.
    :param folder: An existing folder for model data.
    """

    def __init__(self, plan: FleetPlan, engine: Engine, registry: Registry, folder: Path) -> None:
        self._plan = plan
        self._engine = engine
        self._registry = registry
        self._folder = Path(tempfile.mkdtemp(prefix="fleet-", dir=folder))
        self._abandoned = threading.Event()
        # Pings only; invocations have their own connections.
        self._http = urllib3.PoolManager(retries=False, timeout=_PING_TIMEOUT)
        self.variants = [_new_variant(config, plan) for config in plan.variants]

    def start(self) -> None:
        """Start all containers, and return when every one of them answers its ping.

        :raises FleetError: One of them does not.
        :raises Abandoned: :meth:`stop` was called meanwhile.
        """
        with ThreadPoolExecutor(max_workers=max(1, len(self.variants))) as threads:
            starts = [threads.submit(self._start_variant, variant) for variant in self.variants]
            errors = [start.exception() for start in starts]
        for error in errors:
            if isinstance(error, ContainerError | model_data.ModelDataError):
                raise FleetError(str(error)) from error
            if error:
                raise error

    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """Stop all containers and remove the model data."""
        self._abandoned.set()
        running = [container.running for variant in self.variants for container in variant.containers]
        if len(running) == 1:
            running[0].stop(grace)
        elif running:
            with ThreadPoolExecutor(max_workers=len(running)) as threads:
                list(threads.map(lambda container: container.stop(grace), running))
        shutil.rmtree(self._folder, ignore_errors=True)

    def stop_in_background(self) -> None:
        """Stop all containers; they have 30 seconds to end, which nobody waits for."""
        threading.Thread(target=self.stop, name="stop-fleet", daemon=True).start()

    @property
    def variants_by_name(self) -> dict[str, VariantFleet]:
        """The variants, by name."""
        return {variant.name: variant for variant in self.variants}

    def _start_variant(self, variant: VariantFleet) -> None:
        model_name = variant.config.get("ModelName")
        if model_name is None:
            # An endpoint for inference components: instances with nothing on them yet.
            return
        model = self._plan.models[model_name]
        definitions = model.get("Containers") or [model["PrimaryContainer"]]
        instance = f"i-{uuid4().hex[:17]}"
        for index, definition in enumerate(definitions):
            container = self._start_container(variant, model, definition, index, len(definitions), instance)
            variant.containers.append(container)
            if self._abandoned.is_set():
                raise Abandoned
        for container in variant.containers:
            self._wait_for_ping(variant, container)

    def _start_container(
        self,
        variant: VariantFleet,
        model: Mapping[str, Any],
        definition: Mapping[str, Any],
        index: int,
        of: int,
        instance: str,
    ) -> ServingContainer:
        name = definition.get("ContainerHostname") or ("primary" if of == 1 else f"container-{index + 1}")
        # https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
        stream = f"{variant.name}/{instance}" + ("" if of == 1 else f"/{name}")
        group = f"/aws/sagemaker/Endpoints/{self._plan.endpoint_name}"
        folder = Path(tempfile.mkdtemp(prefix="model-", dir=self._folder)) / "model"
        folder.mkdir()
        source = model_data.model_source(definition)
        if source and source.kind != "on_demand" and self._engine.name != "none":
            model_data.fetch(source, folder)
        image = definition.get("Image", "")
        stored = self._registry.find(image)
        if stored is None and self._registry.is_ours(image):
            # Deleting an image that a model names is accepted, and bites here.
            raise FleetError(f"Requested image {image} not found.")
        running = self._engine.start(
            ContainerPlan(
                name=f"{self._plan.endpoint_name}/{variant.name}/{name}",
                image=image,
                stored=stored,
                environment=definition.get("Environment", {}),
                model_folder=folder,
                network_isolation=bool(model.get("EnableNetworkIsolation")),
                on_line=lambda line: moto_backends.put_log_lines(self._plan.region, group, stream, [line]),
            )
        )
        variant.deployed_images.append(
            {"SpecifiedImage": image, "ResolvedImage": running.resolved_image, "ResolutionTime": now()}
        )
        return ServingContainer(name, running, stream)

    def _wait_for_ping(self, variant: VariantFleet, container: ServingContainer) -> None:
        seconds = variant.config.get("ContainerStartupHealthCheckTimeoutInSeconds", _STARTUP_SECONDS)
        pings = Retrying(
            retry=retry_if_result(lambda passed: not passed),
            wait=wait_exponential(multiplier=0.02, max=1),
            stop=stop_after_delay(seconds),
            sleep=sleep_using_event(self._abandoned),
        )
        failed = _PING_FAILED.format(container=container.name, variant=variant.name)
        try:
            pings(self._ping, container, failed)
        except RetryError as error:
            raise FleetError(failed) from error

    def _ping(self, container: ServingContainer, failed: str) -> bool:
        if self._abandoned.is_set():
            raise Abandoned
        if container.running.exit_code() is not None:
            # AWS restarts it for up to half an hour (aws/amazon-sagemaker-examples 3432); nobody wants to wait for that here.
            raise FleetError(failed)
        if container.running.url is None:
            return self._engine.name == "none"
        try:
            return self._http.request("GET", f"{container.running.url}/ping").status == 200
        except urllib3.exceptions.HTTPError:
            return False


def _new_variant(config: Mapping[str, Any], plan: FleetPlan) -> VariantFleet:
    name = config["VariantName"]
    count = (
        None
        if "ServerlessConfig" in config
        else plan.instance_counts.get(name, config.get("InitialInstanceCount", 1))
    )
    # Unset, the weight is 1.0: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    return VariantFleet(config, plan.weights.get(name, config.get("InitialVariantWeight", 1.0)), count)


def variant_summary(
    variant: VariantFleet, *, pending: bool, status: str | None = None, status_since: datetime | None = None
) -> dict[str, Any]:
    """Return what DescribeEndpoint tells of a variant.

    :param variant: The variant.
    :param pending: Whether it is one of a deployment in progress: then nothing of it is current yet.
    :param status: Its ``VariantStatus`` while the endpoint is in transition.
    :param status_since: When that began.
    """
    summary: dict[str, Any] = {"VariantName": variant.name}
    if variant.deployed_images:
        summary["DeployedImages"] = list(variant.deployed_images)
    summary["CurrentWeight"] = 0.0 if pending else variant.weight
    summary["DesiredWeight"] = variant.desired_weight
    if variant.instance_count is None:
        summary["DesiredServerlessConfig"] = variant.desired_serverless_config
        if not pending:
            summary["CurrentServerlessConfig"] = variant.config["ServerlessConfig"]
        summary["CurrentInstanceCount"] = 0
    else:
        summary["CurrentInstanceCount"] = 0 if pending else variant.instance_count
        summary["DesiredInstanceCount"] = variant.desired_instance_count
    if pending and "InstanceType" in variant.config:
        summary["InstanceType"] = variant.config["InstanceType"]
    for name in ("ManagedInstanceScaling", "RoutingConfig"):
        if name in variant.config:
            summary[name] = variant.config[name]
    if status:
        summary["VariantStatus"] = [{"Status": status, "StartTime": status_since}]
    return summary

"""Fleets: the containers that serve one endpoint config, from their start to their end."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
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

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import (
    STOP_GRACE_SECONDS,
    ContainerError,
    ContainerPlan,
    Engine,
    RunningContainer,
)
from airflow_sm_hosting.local.moto_bridge import logs
from airflow_sm_hosting.local.sagemaker import model_data

LOG = logging.getLogger(__name__)

# "To pass health checks, a container must reply with an HTTP 200 within 2 seconds":
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html#your-algorithms-inference-algo-ping-requests
_PING_TIMEOUT = urllib3.Timeout(connect=0.25, read=2.0)
# The budget where the variant names none (same page, 2023 guide: 4 minutes).
_STARTUP_SECONDS = 240
# What is in flight when a fleet has lost its traffic may end: an invocation takes 60 seconds at most.
_DRAIN_SECONDS = 65.0

# Where a container listens, and where those of a model of several do: each has its port and some more to itself. Which
# ports AWS takes is not told.
_PORT, _FIRST_PORT, _PORTS = 8080, 14_000, 100

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
    :param start: Starts another one like it.
    :param definition: The ``ContainerDefinition`` that it is started from.
    :param models_folder: Where the models of a container of many are put together, before it takes them.
    """

    name: str
    running: RunningContainer
    log_stream: str
    start: Callable[[], RunningContainer]
    definition: Mapping[str, Any]
    models_folder: Path


@dataclass
class VariantFleet:
    """The containers of one production variant, and what DescribeEndpoint tells of it.

    One set of containers stands for all of a variant's instances: the counts are told and divided by, a developer's
    computer does not run them.

    :param config: The variant of the endpoint config.
    :param config_name: The name of the endpoint config.
    :param desired_weight: The weight that it is to have.
    :param desired_instance_count: The instances that it is to have; None for a serverless variant.
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
        #: Of the instance types that the config allows, the one that it has.
        self.instance_type: str | None = None

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.config["VariantName"])

    @property
    def instance_types(self) -> list[str]:
        """The instance types that it may run on, in the order of preference."""
        if pools := self.config.get("InstancePools"):
            return [pool["InstanceType"] for pool in sorted(pools, key=lambda pool: pool["Priority"])]
        return [self.config["InstanceType"]] if "InstanceType" in self.config else []

    def want(self, change: Mapping[str, Any]) -> None:
        """Take a ``DesiredWeightAndCapacity``, to be done later."""
        self.desired_weight = float(change.get("DesiredWeight", self.desired_weight))
        if self.instance_count is not None:
            self.desired_instance_count = change.get("DesiredInstanceCount", self.desired_instance_count)
        self.desired_serverless_config |= change.get("ServerlessUpdateConfig", {})

    def become_what_is_wanted(self) -> None:
        """Do what was wanted last."""
        self.weight, self.instance_count = self.desired_weight, self.desired_instance_count
        self.serverless_config = dict(self.desired_serverless_config)

    def stay_what_it_is(self) -> None:
        """Forget what was wanted last."""
        self.desired_weight, self.desired_instance_count = self.weight, self.instance_count
        self.desired_serverless_config = dict(self.serverless_config)


@dataclass(frozen=True)
class FleetPlan:
    """What a fleet is made from.

    :param endpoint_name: The endpoint's name.
    :param region: Its Region.
    :param config_name: The endpoint config's name.
    :param variants: The variants of the endpoint config, shadow ones too.
    :param shadows: The names of the shadow ones.
    :param models: The models that they name, as CreateModel was called.
    :param log_group: The log group of its containers. Default: the endpoint's.
    :param weights: Weights that are kept from the fleet before, by variant name.
    :param instance_counts: Instance counts that are kept, by variant name.
    """

    endpoint_name: str
    region: str
    config_name: str
    variants: Sequence[Mapping[str, Any]]
    shadows: frozenset[str]
    models: Mapping[str, Mapping[str, Any]]
    log_group: str = ""
    weights: Mapping[str, float] = field(default_factory=dict)
    instance_counts: Mapping[str, int] = field(default_factory=dict)


class Fleet:
    """All variants of one endpoint config, started together.

    :param plan: What it is made from.
    :param engine: What runs its containers.
    :param registry: Where its images are.
    :param folder: An existing folder for model data.
    :param clock: What tells the time.
    """

    def __init__(
        self, plan: FleetPlan, engine: Engine, registry: Registry, folder: Path, clock: Clock
    ) -> None:
        self._plan = plan
        self._clock = clock
        self._engine = engine
        self._registry = registry
        self._folder = Path(tempfile.mkdtemp(prefix="fleet-", dir=folder))
        self._abandoned = threading.Event()
        self._in_flight = 0
        self._idle = threading.Condition()
        self._restarting = threading.Lock()
        # Pings only; invocations have their own connections.
        self._http = urllib3.PoolManager(retries=False, timeout=_PING_TIMEOUT)
        self.config_name = plan.config_name
        every = [_new_variant(config, plan) for config in plan.variants]
        #: The production variants.
        self.variants = [variant for variant in every if variant.name not in plan.shadows]
        #: The shadow variants, which are sent copies and whose answers nobody gets.
        self.shadow_variants = [variant for variant in every if variant.name in plan.shadows]

    def start(self) -> None:
        """Start all containers, and return when every one of them answers its ping.

        :raises FleetError: One of them does not.
        :raises Abandoned: :meth:`stop` was called meanwhile.
        """
        variants = self.all_variants
        with ThreadPoolExecutor(max_workers=max(1, len(variants))) as threads:
            starts = [threads.submit(self._start_variant, variant) for variant in variants]
            errors = [start.exception() for start in starts]
        for error in errors:
            if isinstance(error, ContainerError | model_data.ModelDataError):
                raise FleetError(str(error)) from error
            if error:
                raise error

    def stop(self, grace: float = STOP_GRACE_SECONDS) -> None:
        """Stop all containers and remove the model data."""
        self._abandoned.set()
        running = [container.running for variant in self.all_variants for container in variant.containers]
        if len(running) == 1:
            running[0].stop(grace)
        elif running:
            with ThreadPoolExecutor(max_workers=len(running)) as threads:
                list(threads.map(lambda container: container.stop(grace), running))
        shutil.rmtree(self._folder, ignore_errors=True)

    def retire(self) -> None:
        """Stop all containers when what is in flight has ended; nobody waits for it."""
        threading.Thread(target=self._retire, name="retire-fleet", daemon=True).start()

    def _retire(self) -> None:
        with self._idle:
            self._idle.wait_for(lambda: self._abandoned.is_set() or not self._in_flight, _DRAIN_SECONDS)
        self.stop()

    def enter(self) -> None:
        """Begin an invocation: the containers are there until :meth:`leave`."""
        with self._idle:
            self._in_flight += 1

    def leave(self) -> None:
        """End an invocation."""
        with self._idle:
            self._in_flight -= 1
            self._idle.notify_all()

    def replace_dead(self) -> None:
        """Start anew what has ended by itself, as the service does; return when it answers again.

        Meanwhile, what is sent to it fails.
        """
        if not self._restarting.acquire(blocking=False):
            return
        try:
            for variant in self.all_variants:
                for container in variant.containers:
                    if container.running.exit_code() is not None and not self._abandoned.is_set():
                        self._replace(variant, container)
        except (Abandoned, FleetError, ContainerError, model_data.ModelDataError):
            # It is tried again with the next look.
            LOG.exception("endpoint %s: a dead container cannot be replaced", self._plan.endpoint_name)
        finally:
            self._restarting.release()

    def _replace(self, variant: VariantFleet, dead: ServingContainer) -> None:
        LOG.warning(
            "endpoint %s: the container %s of variant %s ended (exit code %s) and is started anew",
            *(self._plan.endpoint_name, dead.name, variant.name, dead.running.exit_code()),
        )
        fresh = replace(dead, running=dead.start())
        try:
            if self._abandoned.is_set():
                raise Abandoned
            self._wait_for_ping(variant, fresh)
        except BaseException:
            fresh.running.stop(0)
            raise
        variant.containers = [fresh if container is dead else container for container in variant.containers]
        dead.running.stop(0)
        if self._abandoned.is_set():
            # stop() may have looked at the containers just before.
            fresh.running.stop()

    @property
    def models(self) -> Mapping[str, Mapping[str, Any]]:
        """The models that it serves, by name."""
        return self._plan.models

    @property
    def all_variants(self) -> list[VariantFleet]:
        """The production variants and the shadow variants."""
        return [*self.variants, *self.shadow_variants]

    @property
    def instances(self) -> dict[str, int | None]:
        """The instances that each production variant is to have."""
        return {variant.name: variant.desired_instance_count for variant in self.variants}

    def become_what_is_wanted(self) -> None:
        """Let all variants have their weights and instances."""
        for variant in self.all_variants:
            variant.become_what_is_wanted()

    @property
    def variants_by_name(self) -> dict[str, VariantFleet]:
        """The variants, by name."""
        return {variant.name: variant for variant in self.variants}

    def _start_variant(self, variant: VariantFleet) -> None:
        if not variant.model:
            # An endpoint for inference components: instances with nothing on them yet.
            return
        definitions = variant.model.get("Containers") or [variant.model["PrimaryContainer"]]
        instance = f"i-{uuid4().hex[:17]}"
        for index, definition in enumerate(definitions):
            container = self._start_container(variant, definition, index, len(definitions), instance)
            variant.containers.append(container)
            if self._abandoned.is_set():
                raise Abandoned
        for container in variant.containers:
            self._wait_for_ping(variant, container)

    def _start_container(
        self,
        variant: VariantFleet,
        definition: Mapping[str, Any],
        index: int,
        of: int,
        instance: str,
    ) -> ServingContainer:
        name = definition.get("ContainerHostname") or ("primary" if of == 1 else f"container-{index + 1}")
        # https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html
        stream = f"{variant.name}/{instance}" + ("" if of == 1 else f"/{name}")
        group = self._plan.log_group or f"/aws/sagemaker/Endpoints/{self._plan.endpoint_name}"
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
        port = _PORT if of == 1 else _FIRST_PORT + index * _PORTS
        plan = ContainerPlan(
            name=f"{self._plan.endpoint_name}/{variant.name}/{name}",
            image=image,
            stored=stored,
            environment={**definition.get("Environment", {}), **_contract(definition, port, of)},
            model_folder=folder,
            network_isolation=bool(variant.model.get("EnableNetworkIsolation")),
            on_line=lambda line: logs.put_lines(self._plan.region, group, stream, [line]),
            port=port,
            memory_mb=variant.config.get("ServerlessConfig", {}).get("MemorySizeInMB"),
        )
        running = self._engine.start(plan)
        resolved = running.resolved_image
        variant.deployed_images.append(
            {"SpecifiedImage": image, "ResolvedImage": resolved, "ResolutionTime": self._clock.now()}
        )
        return ServingContainer(
            name, running, stream, lambda: self._engine.start(plan), definition, folder.parent / "models"
        )

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


def _contract(definition: Mapping[str, Any], port: int, of: int) -> dict[str, str]:
    """Return the environment by which a container knows how it is used."""
    environment = {}
    if definition.get("Mode") == "MultiModel":
        # https://docs.aws.amazon.com/sagemaker/latest/dg/build-multi-model-build-container.html
        environment["SAGEMAKER_MULTI_MODEL"] = "true"
    if of > 1:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html
        environment["SAGEMAKER_BIND_TO_PORT"] = str(port)
        environment["SAGEMAKER_SAFE_PORT_RANGE"] = f"{port + 1}-{port + _PORTS - 1}"
    return environment


def _new_variant(config: Mapping[str, Any], plan: FleetPlan) -> VariantFleet:
    name = config["VariantName"]
    count = (
        None
        if "ServerlessConfig" in config
        else plan.instance_counts.get(name, config.get("InitialInstanceCount", 1))
    )
    # Unset, the weight is 1.0: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    weight = plan.weights.get(name, config.get("InitialVariantWeight", 1.0))
    return VariantFleet(
        config, plan.config_name, weight, count, plan.models.get(config.get("ModelName", ""), {})
    )


def variant_summary(
    variant: VariantFleet, *, pending: bool, status: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return what DescribeEndpoint tells of a variant.

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
        summary["DesiredServerlessConfig"] = variant.desired_serverless_config
        if not pending:
            summary["CurrentServerlessConfig"] = variant.serverless_config
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
    told = ("InstanceType", "AcceleratorType") if pending else ()
    for name in (*told, "ManagedInstanceScaling", "RoutingConfig"):
        if name in variant.config:
            summary[name] = variant.config[name]
    if status:
        summary["VariantStatus"] = [dict(status)]
    return summary

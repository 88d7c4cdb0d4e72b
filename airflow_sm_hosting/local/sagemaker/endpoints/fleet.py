"""Fleets: the containers that serve one endpoint config, from start to stop."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping, Sequence
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
    ContainerSpec,
    Engine,
    MissingImageError,
)
from airflow_sm_hosting.local.moto_bridge import logs
from airflow_sm_hosting.local.sagemaker import model_data
from airflow_sm_hosting.local.sagemaker.endpoints.variant import ServingContainer, VariantFleet
from airflow_sm_hosting.local.sagemaker.store import served_containers

LOG = logging.getLogger(__name__)

# "To pass health checks, a container must reply with an HTTP 200 within 2 seconds":
# https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html#your-algorithms-inference-algo-ping-requests
_PING_TIMEOUT = urllib3.Timeout(connect=0.25, read=2.0)
# The budget where the variant names none (same page, 2023 guide: 4 minutes).
_STARTUP_SECONDS = 240
# Invocations in flight may end when a fleet has lost its traffic: one takes 60 seconds at most.
_DRAIN_SECONDS = 65.0

# The port of a single container, and the first port and number of ports of each of several. Which ports AWS takes is not
# documented.
_PORT, _FIRST_PORT, _PORTS = 8080, 14_000, 100

# What AWS was recorded to say; the engine's own reason, which AWS never tells, follows in brackets.
_NOT_STARTED = (
    "CannotStartContainerError. Please ensure the model container for variant {variant} starts correctly when invoked with "
    "'docker run <image> serve'"
)
_NO_IMAGE = (
    "Please make sure all images included in the model for the production variant {variant} exist, and that the execution role used "
    "to create the model has permissions to access them."
)
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-invoke.html: 3 minutes for download, start and ping; and the limit
# of the image's size. aws-solutions-library-samples/qnabot-on-aws#691 and plantonhq/planton have the sentences.
_SERVERLESS_STARTUP_SECONDS, _SERVERLESS_IMAGE = 180, 10 * 1024**3
_SERVERLESS_SLOW = (
    "Unable to successfully stand up your model within the allotted {seconds} second timeout. Please ensure that downloading your model "
    "artifacts, starting your model container and passing the ping health checks can be completed within {seconds} seconds."
)

_PING_FAILED = (
    "The {container} container for production variant {variant} did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)


class FleetError(Exception):
    """A fleet cannot come into service; the message is the endpoint's ``FailureReason``."""


class Abandoned(Exception):
    """The fleet was stopped while it started."""


@dataclass(frozen=True)
class FleetSpec:
    """The description of a fleet.

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

    :param spec: Its description.
    :param engine: Runs its containers.
    :param registry: Has its images.
    :param folder: An existing folder for model data.
    :param clock: The clock.
    """

    def __init__(
        self, spec: FleetSpec, engine: Engine, registry: Registry, folder: Path, clock: Clock
    ) -> None:
        self._spec = spec
        self._clock = clock
        self._engine = engine
        self._registry = registry
        # Made when a container needs it: one that does not run needs none, and hundreds of folders take long to remove.
        self._folder = folder / f"fleet-{uuid4().hex}"
        self._abandoned = threading.Event()
        self._in_flight = 0
        self._idle = threading.Condition()
        self._restarting = threading.Lock()
        # Pings only; invocations have their own connections.
        self._http = urllib3.PoolManager(retries=False, timeout=_PING_TIMEOUT)
        # Images are resolved within a second of the call, not when containers start: recorded, 2025.
        self._resolved_at = clock.now()
        self.config_name = spec.config_name
        every = [_new_variant(config, spec) for config in spec.variants]
        #: The production variants.
        self.variants = [variant for variant in every if variant.name not in spec.shadows]
        #: The shadow variants, which are sent copies and whose answers nobody gets.
        self.shadow_variants = [variant for variant in every if variant.name in spec.shadows]

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
            if isinstance(error, model_data.ModelFetchError):
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
        """Stop all containers when the invocations in flight have ended; return at once."""
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
        """Replace containers that have ended by themselves, as the service does; return when the new ones answer.

        Meanwhile, requests to them fail.
        """
        if not self._restarting.acquire(blocking=False):
            return
        try:
            for variant in self.all_variants:
                for container in variant.containers:
                    if container.running.exit_code() is not None and not self._abandoned.is_set():
                        self._replace(variant, container)
        except (Abandoned, FleetError, ContainerError, model_data.ModelFetchError):
            # The next poll tries again.
            LOG.exception("endpoint %s: a dead container cannot be replaced", self._spec.endpoint_name)
        finally:
            self._restarting.release()

    def _replace(self, variant: VariantFleet, dead: ServingContainer) -> None:
        LOG.warning(
            "endpoint %s: the container %s of variant %s ended (exit code %s) and is replaced",
            *(self._spec.endpoint_name, dead.name, variant.name, dead.running.exit_code()),
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
        return self._spec.models

    @property
    def all_variants(self) -> list[VariantFleet]:
        """The production variants and the shadow variants."""
        return [*self.variants, *self.shadow_variants]

    @property
    def instances(self) -> dict[str, int | None]:
        """The desired instance count of each production variant."""
        return {variant.name: variant.desired_instance_count for variant in self.variants}

    def apply_desired(self) -> None:
        """Give all variants their desired weights and capacities."""
        for variant in self.all_variants:
            variant.apply_desired()

    @property
    def variants_by_name(self) -> dict[str, VariantFleet]:
        """The variants, by name."""
        return {variant.name: variant for variant in self.variants}

    def _start_variant(self, variant: VariantFleet) -> None:
        if not variant.model:
            # An endpoint for inference components: instances with nothing on them yet.
            return
        definitions = served_containers(variant.model)
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
        group = self._spec.log_group or f"/aws/sagemaker/Endpoints/{self._spec.endpoint_name}"
        if self._abandoned.is_set():
            raise Abandoned
        folder = self._folder / f"model-{uuid4().hex}" / "model"
        if self._engine.name != "none":
            folder.mkdir(parents=True)
            source = model_data.model_source(definition)
            if source and source.kind != "on_demand":
                model_data.fetch(source, folder, f"container_{index + 1}")
        image = definition.get("Image", "")
        stored = self._registry.find(image)
        if stored is None and self._registry.is_ours(image):
            # Deleting an image that a model names is accepted, and bites here.
            raise FleetError(_NO_IMAGE.format(variant=variant.name))
        serverless = "ServerlessConfig" in variant.config
        if serverless and stored and (size := self._registry.size(stored.manifest)) > _SERVERLESS_IMAGE:
            raise FleetError(f"Image size {size} is greater than supported size {_SERVERLESS_IMAGE}")
        port = _PORT if of == 1 else _FIRST_PORT + index * _PORTS
        container = ContainerSpec(
            name=f"{self._spec.endpoint_name}/{variant.name}/{name}",
            image=image,
            stored=stored,
            environment={**definition.get("Environment", {}), **_contract(definition, port, of)},
            model_folder=folder,
            network_isolation=bool(variant.model.get("EnableNetworkIsolation")),
            on_line=lambda line: logs.put_lines(self._spec.region, group, stream, [line]),
            port=port,
            memory_mb=variant.config.get("ServerlessConfig", {}).get("MemorySizeInMB"),
        )
        try:
            running = self._engine.start(container)
        except MissingImageError as error:
            raise FleetError(_NO_IMAGE.format(variant=variant.name)) from error
        except ContainerError as error:
            raise FleetError(f"{_NOT_STARTED.format(variant=variant.name)} ({error})") from error
        resolved = running.resolved_image
        variant.deployed_images.append(
            {"SpecifiedImage": image, "ResolvedImage": resolved, "ResolutionTime": self._resolved_at}
        )
        return ServingContainer(
            name, running, lambda: self._engine.start(container), definition, folder.parent / "models"
        )

    def _wait_for_ping(self, variant: VariantFleet, container: ServingContainer) -> None:
        serverless = "ServerlessConfig" in variant.config
        budget = _SERVERLESS_STARTUP_SECONDS if serverless else _STARTUP_SECONDS
        seconds = variant.config.get("ContainerStartupHealthCheckTimeoutInSeconds", budget)
        pings = Retrying(
            retry=retry_if_result(lambda passed: not passed),
            # Doubled, the last wait could be as long as the start.
            wait=wait_exponential(multiplier=0.02, exp_base=1.2, max=1),
            stop=stop_after_delay(seconds),
            sleep=sleep_using_event(self._abandoned),
        )
        failed = _PING_FAILED.format(container=container.name, variant=variant.name)
        try:
            pings(self._ping, container, failed)
        except RetryError as error:
            raise FleetError(_SERVERLESS_SLOW.format(seconds=seconds) if serverless else failed) from error

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


def _new_variant(config: Mapping[str, Any], spec: FleetSpec) -> VariantFleet:
    name = config["VariantName"]
    count = (
        None
        if "ServerlessConfig" in config
        else spec.instance_counts.get(name, config.get("InitialInstanceCount", 1))
    )
    # Unset, the weight is 1.0: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_ProductionVariant.html
    weight = spec.weights.get(name, config.get("InitialVariantWeight", 1.0))
    return VariantFleet(
        config, spec.config_name, weight, count, spec.models.get(config.get("ModelName", ""), {})
    )


class FleetFactory:
    """Makes the fleets of one Region.

    :param engine: Runs their containers.
    :param registry: Has their images.
    :param folder: An existing folder for model data.
    :param clock: The clock.
    """

    def __init__(self, engine: Engine, registry: Registry, folder: Path, clock: Clock) -> None:
        self._engine = engine
        self._registry = registry
        self._folder = folder
        self._clock = clock
        #: Whether containers run, and so can end.
        self.has_containers = engine.name != "none"

    def make(self, spec: FleetSpec) -> Fleet:
        """Return a fleet that is not started."""
        return Fleet(spec, self._engine, self._registry, self._folder, self._clock)

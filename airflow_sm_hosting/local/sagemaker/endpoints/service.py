"""The endpoints of a Region: the operations on them."""

from __future__ import annotations

import builtins
import logging
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.sagemaker import rules
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import Capacity, InsufficientCapacity, Shortages
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Deployment
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import Endpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, FleetPlan, VariantFleet
from airflow_sm_hosting.local.sagemaker.endpoints.rollout import Rollout, plan
from airflow_sm_hosting.local.sagemaker.listing import page

if TYPE_CHECKING:
    from airflow_sm_hosting.local.sagemaker.hosting import Hosting

LOG = logging.getLogger(__name__)

# A container of that endpoint status answers: the old fleet goes on through an update.
SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
# Statuses that an endpoint can be given from outside, for tests of what happens then.
GIVEN = ("SystemUpdating", "OutOfService", "InService", "Failed", "UpdateRollbackFailed")
# How often it is looked whether a container has ended by itself.
_LOOK_SECONDS = 10.0


class Endpoints:
    """The endpoints of one Region.

    :param hosting: Models and configs.
    :param lock: Guards all state of the Region.
    :param engine: What runs containers.
    :param registry: Where images are.
    :param folder: An existing folder for model data.
    :param transition_seconds: How long a transition takes at least.
    :param clock: What tells the time.
    :param shortages: What says that instances are short.
    """

    def __init__(
        self,
        hosting: Hosting,
        lock: threading.RLock,
        engine: Engine,
        registry: Registry,
        folder: Path,
        transition_seconds: float,
        clock: Clock,
        shortages: Shortages | None = None,
    ) -> None:
        self._clock = clock
        self._hosting = hosting
        self._lock = lock
        self._engine = engine
        self._registry = registry
        self._folder = folder
        self._transition_seconds = transition_seconds
        #: Where the instances of all endpoints come from.
        self.capacity = Capacity(shortages)
        # By name in lower case: "The name is case-insensitive in CreateEndpoint" (API_CreateEndpoint.html), and that the
        # other operations find it as well is assumed from its ARN, which is in lower case.
        self._endpoints: dict[str, Endpoint] = {}
        self._random = random.SystemRandom()
        self._looking = False

    # Operations, called with the lock held

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = request["EndpointName"]
        arn = self._hosting.arn("endpoint", name)
        if name.lower() in self._endpoints:
            rules.refuse(f'Cannot create already existing endpoint "{arn}".')
        config = self._hosting.config(request["EndpointConfigName"])
        fleet = self._new_fleet(name, config)
        endpoint = Endpoint(name, arn, config, self._clock)
        # CreateEndpoint stores it, and UpdateEndpoint can use it again with RetainDeploymentConfig:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html
        endpoint.last_deployment_config = request.get("DeploymentConfig")
        self._endpoints[name.lower()] = endpoint
        self._hosting.set_tags(arn, request.get("Tags", []))
        self._deploy(endpoint, config, fleet, plan(None, {}, fleet.instances))
        return {"EndpointArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        return self._endpoint(request["EndpointName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListEndpoints."""
        rows = (
            {
                "EndpointName": endpoint.name,
                "EndpointArn": endpoint.arn,
                "CreationTime": endpoint.created,
                "LastModifiedTime": endpoint.modified,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in self._endpoints.values()
            if self._hosting.is_visible(endpoint.created)
        )
        found, token = page(rows, request, name="EndpointName", status="EndpointStatus")
        return {"Endpoints": found, **({"NextToken": token} if token else {})}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        # What is left after a failed rollback is remedied by another update (deployment-guardrails-rolling.html).
        self._check_settled(endpoint, "UpdateRollbackFailed", "OutOfService")
        # hashicorp/terraform-provider-aws#40048: the old config is read again.
        old = self._hosting.config(endpoint.config_name)
        new = self._hosting.config(request["EndpointConfigName"])
        self._check_scaled_variants(endpoint, old, new)
        self._hosting.components.check_host(endpoint, new)
        if any("ServerlessConfig" in v for v in new["ProductionVariants"]) and not any(
            "ServerlessConfig" in v for v in old["ProductionVariants"]
        ):
            # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-update.html
            rules.refuse(
                "An endpoint with instance-backed variants cannot be updated to a serverless variant."
            )
        deployment_config = request.get("DeploymentConfig")
        if deployment_config is None and request.get("RetainDeploymentConfig"):
            deployment_config = endpoint.last_deployment_config
        fleet = self._new_fleet(endpoint.name, new, retained=self._retained(endpoint, request))
        rules.check_deployment_config(deployment_config, old, new, fleet.instances)
        excluded = rules.has_no_guardrails(old, self._models(old)) or rules.has_no_guardrails(
            new, self._models(new)
        )
        # "your endpoint will fall back to … all at once traffic shifting and no final baking period":
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        before = {v.name: v.instance_count for v in endpoint.fleet.variants} if endpoint.fleet else {}
        rollout = plan(None if excluded else deployment_config, before, fleet.instances)
        endpoint.failure_reason = None
        endpoint.last_deployment_config = deployment_config
        endpoint.move_to("Updating")
        self._deploy(endpoint, new, fleet, rollout)
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        endpoint = self._endpoint(request["EndpointName"])
        self._want(endpoint, request["DesiredWeightsAndCapacities"])
        return {"EndpointArn": endpoint.arn}

    def _want(self, endpoint: Endpoint, wanted: Sequence[Mapping[str, Any]]) -> None:
        self._check_settled(endpoint)
        assert endpoint.fleet is not None  # noqa: S101 - what is InService has a fleet
        fleet = endpoint.fleet
        changed: dict[str, VariantFleet] = {}
        for change in wanted:
            name = change["VariantName"]
            if name in changed:
                rules.refuse("Each variant can be named only once in DesiredWeightsAndCapacities.")
            variant = next((v for v in fleet.all_variants if v.name == name), None)
            if variant is None:
                rules.refuse(f'Could not find variant "{name}" of endpoint "{endpoint.arn}".')
            rules.check_desired(change, variant.config, endpoint.config)
            changed[name] = variant
        for change in wanted:
            changed[change["VariantName"]].want(change)
        endpoint.move_to("Updating")
        failure: str | None = None
        try:
            for variant in changed.values():
                more = (variant.desired_instance_count or 0) - (variant.instance_count or 0)
                self.capacity.take(variant.instance_types, more)
        except InsufficientCapacity as shortage:
            failure = str(shortage)
        self._after_transition(endpoint, "Updating", lambda: self._end_wanting(endpoint, fleet, failure))

    def _end_wanting(self, endpoint: Endpoint, fleet: Fleet, failure: str | None) -> None:
        if failure is None:
            fleet.become_what_is_wanted()
            endpoint.move_to("InService")
            return
        # "fails to scale up or down or change its variant weight and is in the process of rolling back to its previous
        # configuration": API_DescribeEndpoint.html
        endpoint.fail(failure)
        for variant in fleet.all_variants:
            variant.stay_what_it_is()
        endpoint.move_to("RollingBack")
        self._after_transition(endpoint, "RollingBack", lambda: endpoint.move_to("InService"))

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        # "DeleteEndpoint is the only operation that can be performed on a failed endpoint": API_DescribeEndpoint.html
        self._check_settled(endpoint, "Failed", "UpdateRollbackFailed", "OutOfService")
        self._hosting.components.check_host(endpoint, None)
        endpoint.move_to("Deleting")
        self._after_transition(endpoint, "Deleting", lambda: self._delete(endpoint))
        return {}

    # For the runtime and the scaling

    def find(self, name: str) -> Endpoint | None:
        """Return the endpoint of exactly that name: "the case … must be matched in InvokeEndpoint" (API_CreateEndpoint.html)."""
        endpoint = self._endpoints.get(name.lower())
        return endpoint if endpoint and endpoint.name == name else None

    def existing(self, name: str) -> Endpoint:
        """Return the endpoint of a name, in whichever case.

        :raises AwsError: There is none.
        """
        with self._lock:
            return self._endpoint(name)

    def all(self) -> builtins.list[Endpoint]:
        """Return all endpoints."""
        with self._lock:
            return builtins.list(self._endpoints.values())

    @contextmanager
    def route(
        self, endpoint: Endpoint, variant_name: str | None = None
    ) -> Iterator[tuple[Fleet, VariantFleet] | None]:
        """Choose what answers an invocation, by weights and shares; its containers are there until this is left.

        :param variant_name: The ``TargetVariant``.
        :returns: None where there is no such variant.
        """
        with self._lock:
            split = endpoint.traffic_to(variant_name) if variant_name else endpoint.traffic()
            chosen = self._random.choices(split, [share for _, _, share in split])[0] if split else None
            if chosen:
                chosen[0].enter()
        try:
            yield chosen[:2] if chosen else None
        finally:
            if chosen:
                chosen[0].leave()

    def look_after(self, fleet: Fleet) -> None:
        """Start anew what has ended by itself in a fleet, in the background."""
        self._clock.run(fleet.replace_dead)

    def set_desired(
        self,
        endpoint_name: str,
        variant_name: str,
        *,
        instance_count: int | None = None,
        provisioned_concurrency: int | None = None,
    ) -> None:
        """Scale a variant, as Application Auto Scaling does: the endpoint is Updating, and then InService again.

        :raises AwsError: The endpoint is not InService, or there is no such variant.
        """
        change: dict[str, Any] = {"VariantName": variant_name}
        if instance_count is not None:
            change["DesiredInstanceCount"] = instance_count
        if provisioned_concurrency is not None:
            change["ServerlessUpdateConfig"] = {"ProvisionedConcurrency": provisioned_concurrency}
        with self._lock:
            self._want(self._endpoint(endpoint_name), [change])

    def set_status(self, name: str, status: str, seconds: float | None = None) -> None:
        """Give an endpoint a status that AWS gives by itself, for tests of what happens then.

        ``SystemUpdating`` is AWS's own maintenance. It reads config and models again; where they were deleted, the endpoint
        goes on as it is with a ``FailureReason`` (ministryofjustice/analytical-platform#10195).

        :param status: ``SystemUpdating``, ``OutOfService``, ``InService``, ``Failed`` or ``UpdateRollbackFailed``, which has no second
            fleet here.
        :param seconds: After so long it is InService again; None for never.
        :raises AwsError: There is no such endpoint, it is in transition, or a rollback of it did fail.
        """
        if status not in GIVEN:
            rules.refuse(f"The status of an endpoint can be set to {', '.join(GIVEN)}, not to {status}.")
        with self._lock:
            endpoint = self._endpoint(name)
            # Two fleets serve where a rollback did fail; an update or a deletion ends that.
            if endpoint.status not in GIVEN or endpoint.stranded:
                rules.refuse(f"The endpoint {endpoint.name} is {endpoint.status}.")
            endpoint.move_to(status)
            if seconds is not None:
                self._after_transition(endpoint, status, lambda: self._end_given(endpoint, status), seconds)

    def _end_given(self, endpoint: Endpoint, status: str) -> None:
        if status == "SystemUpdating" and (lost := self._lost(endpoint)):
            endpoint.fail(lost)
        endpoint.move_to("InService")

    def _lost(self, endpoint: Endpoint) -> str | None:
        """Return what AWS would miss if it had to make the endpoint's fleet again."""
        if endpoint.config_name not in self._hosting.configs:
            return f'Could not find endpoint configuration "{self._hosting.arn("endpoint-config", endpoint.config_name)}".'
        missing = [name for name in _model_names(endpoint.config) if name not in self._hosting.models]
        return f'Could not find model "{self._hosting.arn("model", missing[0])}".' if missing else None

    def variant_config(self, endpoint_name: str, variant_name: str) -> Mapping[str, Any] | None:
        """Return the config of a variant that serves or is about to, or None where there is none."""
        with self._lock:
            endpoint = self._endpoints.get(endpoint_name.lower())
            if endpoint is None:
                return None
            config = endpoint.config or (endpoint.pending.config if endpoint.pending else {})
            return next(
                (v for v in config.get("ProductionVariants", ()) if v["VariantName"] == variant_name), None
            )

    def serving(self) -> builtins.list[tuple[str, VariantFleet]]:
        """Return all variants that have containers, each after the name of its endpoint."""
        with self._lock:
            return [
                (endpoint.name, variant)
                for endpoint in self._endpoints.values()
                for fleet in endpoint.fleets()
                for variant in fleet.all_variants
                if variant.containers
            ]

    def crash(self, is_meant: Callable[[str, str, str], bool]) -> int:
        """End containers as a crash does, and return how many.

        :param is_meant: Tells by endpoint, variant and container which.
        """
        meant = [
            container
            for endpoint_name, variant in self.serving()
            for container in variant.containers
            if is_meant(endpoint_name, variant.name, container.name)
        ]
        for container in meant:
            container.running.kill()
        return len(meant)

    def stop_all(self, grace: float) -> None:
        """Stop all fleets and forget all endpoints."""
        with self._lock:
            endpoints = builtins.list(self._endpoints.values())
            self._endpoints.clear()
            for endpoint in endpoints:
                if endpoint.pending:
                    endpoint.pending.abandon()
        fleets = [fleet for endpoint in endpoints for fleet in endpoint.fleets()]
        with ThreadPoolExecutor(max_workers=16) as threads:
            builtins.list(threads.map(lambda fleet: fleet.stop(grace), fleets))

    # What is kept over a restart, with the lock held

    def dump(self) -> builtins.list[dict[str, Any]]:
        """Return what is kept of all endpoints; what is being deleted is not."""
        return [endpoint.dump() for endpoint in self._endpoints.values() if endpoint.status != "Deleting"]

    def load(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Have again what was kept: containers are started, and until they answer an endpoint is Creating."""
        for one in kept:
            config = one["config"] or {"EndpointConfigName": one["config_name"]}
            endpoint = Endpoint(one["name"], self._hosting.arn("endpoint", one["name"]), config, self._clock)
            endpoint.created = one["created"]
            endpoint.failure_reason = one["failure_reason"]
            endpoint.last_deployment_config = one["last_deployment_config"]
            self._endpoints[endpoint.name.lower()] = endpoint
            if one["failed"]:
                endpoint.move_to("Failed")
                continue
            endpoint.config = config
            retained = {"weights": one["weights"], "instance_counts": one["instance_counts"]}
            fleet = self._fleet(endpoint.name, config, one["models"], retained)
            for variant in fleet.all_variants:
                variant.desired_serverless_config |= one["serverless_configs"].get(variant.name, {})
            self._deploy(endpoint, config, fleet, plan(None, {}, fleet.instances))

    # Checks

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self._endpoints.get(name.lower())
        if endpoint is None or not self._hosting.is_visible(endpoint.created):
            # aws/amazon-sagemaker-operator-for-k8s looks for this text.
            rules.refuse(f'Could not find endpoint "{self._hosting.arn("endpoint", name)}".')
        return endpoint

    def _check_settled(self, endpoint: Endpoint, *allowed: str) -> None:
        if endpoint.status in ("InService", *allowed):
            return
        if endpoint.status == "Failed":
            # The sentence is assumed.
            rules.refuse(f'Cannot update endpoint "{endpoint.arn}" in status Failed. Delete it.')
        # The same text for updates and deletes (amazon-sagemaker-operator-for-k8s).
        rules.refuse(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _check_scaled_variants(
        self, endpoint: Endpoint, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling.html; the sentences are assumed.
        wanted = {variant["VariantName"]: variant for variant in new["ProductionVariants"]}
        for variant in old["ProductionVariants"]:
            name = variant["VariantName"]
            if not self._hosting.scaling.is_registered(f"endpoint/{endpoint.name}/variant/{name}"):
                continue
            if name not in wanted:
                rules.refuse(
                    f"The variant {name} cannot be removed from the endpoint while it is registered as a scalable "
                    "target. Deregister it first."
                )
            if variant.get("InstanceType") != wanted[name].get("InstanceType"):
                rules.refuse(
                    f"The instance type of variant {name} cannot be changed while it is registered as a scalable "
                    "target. Deregister it first."
                )

    # Transitions

    def _models(self, config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        return {
            name: self._hosting.models[name] for name in _model_names(config) if name in self._hosting.models
        }

    def _new_fleet(
        self, endpoint_name: str, config: Mapping[str, Any], retained: Mapping[str, Any] | None = None
    ) -> Fleet:
        models = self._models(config)
        for name in _model_names(config):
            if name not in models:
                # Deleting a model that a config names is accepted, and bites here.
                rules.refuse(f'Could not find model "{self._hosting.arn("model", name)}".')
        return self._fleet(endpoint_name, config, models, retained or {})

    def _fleet(
        self,
        endpoint_name: str,
        config: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
        retained: Mapping[str, Any],
    ) -> Fleet:
        shadows = config.get("ShadowProductionVariants", ())
        fleet_plan = FleetPlan(
            endpoint_name=endpoint_name,
            region=self._hosting.region,
            config_name=config["EndpointConfigName"],
            variants=[*config["ProductionVariants"], *shadows],
            shadows=frozenset(variant["VariantName"] for variant in shadows),
            models=models,
            **retained,
        )
        return Fleet(fleet_plan, self._engine, self._registry, self._folder, self._clock)

    def _retained(self, endpoint: Endpoint, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return weights and counts that the new fleet takes over: API_UpdateEndpoint.html, RetainAllVariantProperties."""
        if not request.get("RetainAllVariantProperties") or endpoint.fleet is None:
            return {}
        excluded = {
            item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", ())
        }
        retained: dict[str, Any] = {}
        if "DesiredWeight" not in excluded:
            retained["weights"] = {variant.name: variant.weight for variant in endpoint.fleet.variants}
        if "DesiredInstanceCount" not in excluded:
            retained["instance_counts"] = {
                variant.name: variant.instance_count
                for variant in endpoint.fleet.variants
                if variant.instance_count is not None
            }
        return retained

    def _deploy(self, endpoint: Endpoint, config: Mapping[str, Any], fleet: Fleet, rollout: Rollout) -> None:
        endpoint.pending = Deployment(
            config,
            fleet,
            endpoint.fleet,
            rollout,
            owner=endpoint,
            clock=self._clock,
            lock=self._lock,
            capacity=self.capacity,
            alarm_state=self._hosting.alarm_state,
            transition_seconds=self._transition_seconds,
        )
        endpoint.pending.begin()
        self._look()

    def _look(self) -> None:
        """Look every few seconds whether a container has ended by itself, as long as there are endpoints."""
        if self._looking or self._engine.name == "none":
            return
        self._looking = True

        def look() -> None:
            with self._lock:
                self._looking = False
                fleets = [endpoint.fleet for endpoint in self._endpoints.values() if endpoint.fleet]
                fleets += self._hosting.components.fleets()
                if self._endpoints:
                    self._look()
            for fleet in fleets:
                fleet.replace_dead()

        self._clock.call_later(_LOOK_SECONDS, look)

    def _delete(self, endpoint: Endpoint) -> None:
        del self._endpoints[endpoint.name.lower()]
        self._hosting.forget_tags(endpoint.arn)
        # The service deregisters what is scaled (awslabs/stable-diffusion-aws-extension 161 quotes its permission error).
        self._hosting.scaling.forget(f"endpoint/{endpoint.name}/variant/")
        for fleet in endpoint.fleets():
            fleet.retire()

    def _after_transition(
        self, endpoint: Endpoint, status: str, function: Callable[[], None], seconds: float | None = None
    ) -> None:
        """Go on with an endpoint after a while, if it has that status still."""
        since = endpoint.modified

        def go_on() -> None:
            with self._lock:
                current = self._endpoints.get(endpoint.name.lower()) is endpoint
                if current and (endpoint.status, endpoint.modified) == (status, since):
                    function()

        self._clock.call_later(self._transition_seconds if seconds is None else seconds, go_on)


def _model_names(config: Mapping[str, Any]) -> builtins.list[str]:
    variants = (*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ()))
    return builtins.list(
        dict.fromkeys(variant["ModelName"] for variant in variants if "ModelName" in variant)
    )

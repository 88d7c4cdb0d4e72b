"""The endpoints of a Region, and the operations on them."""

from __future__ import annotations

import builtins
import logging
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Protocol

from airflow_sm_hosting.local.moto_bridge import events
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import InsufficientCapacity
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Conditions, FleetDeployment
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, FleetFactory, FleetSpec
from airflow_sm_hosting.local.sagemaker.endpoints.quota_usage import check_more_instances, check_new_fleet
from airflow_sm_hosting.local.sagemaker.endpoints.rollout import Rollout, rollout_of
from airflow_sm_hosting.local.sagemaker.endpoints.serving import Serving
from airflow_sm_hosting.local.sagemaker.endpoints.update_rules import (
    check_deployment_config,
    check_desired,
    check_rolling_instances,
    has_no_guardrails,
)
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet
from airflow_sm_hosting.local.sagemaker.listing import listed
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.quotas import Quotas
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.tagging import tags_as_dict

LOG = logging.getLogger(__name__)

# Containers answer at these statuses of an endpoint: the old fleet serves through an update.
SERVING = ("InService", "Updating", "SystemUpdating", "RollingBack", "UpdateRollbackFailed")
# Statuses that a test can set, as AWS would.
SETTABLE = ("SystemUpdating", "OutOfService", "InService", "Failed", "UpdateRollbackFailed")
# How often containers are checked for having ended by themselves.
_POLL_SECONDS = 10.0


class EndpointUsers(Protocol):
    """What uses endpoints: inference components and scalable targets. The Region answers for them."""

    def check_endpoint_change(self, endpoint: HostedEndpoint, new_config: Mapping[str, Any] | None) -> None:
        """Refuse a change that inference components on the endpoint do not allow.

        :param new_config: The endpoint config of an update; None for a deletion.
        :raises AwsError: The refusal.
        """

    def component_fleets(self) -> builtins.list[Fleet]:
        """Return the fleets of all inference components."""

    def is_assumable(self, role_arn: str) -> bool:
        """Return whether SageMaker can assume a role."""

    def is_scalable_target(self, resource_id: str) -> bool:
        """Return whether a resource is a scalable target, of any dimension."""

    def deregister(self, resource_id: str) -> None:
        """Deregister the scalable targets of a deleted resource."""


class Endpoints:
    """The endpoints of one Region.

    :param store: Has models, endpoint configs and the lock.
    :param fleets: Makes fleets.
    :param conditions: What deployments depend on.
    :param users: What uses endpoints.
    :param quotas: The account's quotas.
    """

    def __init__(
        self,
        store: Store,
        fleets: FleetFactory,
        conditions: Conditions,
        users: EndpointUsers,
        quotas: Quotas,
    ) -> None:
        self._store = store
        self._fleets = fleets
        self._conditions = conditions
        self._users = users
        self._quotas = quotas
        self._clock = store.clock
        self._lock = store.lock
        #: Has the instances of all endpoints.
        self.capacity = conditions.capacity
        # By name in lower case: "The name is case-insensitive in CreateEndpoint" (API_CreateEndpoint.html), and that the
        # other operations find it as well is assumed from its ARN, which is in lower case.
        self._endpoints: dict[str, HostedEndpoint] = {}
        self._random = random.SystemRandom()
        self._polling = False

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the lock held."""
        return {
            "CreateEndpoint": self.create,
            "DescribeEndpoint": self.describe,
            "ListEndpoints": self.list,
            "UpdateEndpoint": self.update,
            "UpdateEndpointWeightsAndCapacities": self.update_weights_and_capacities,
            "DeleteEndpoint": self.delete,
        }

    # Operations, called with the lock held

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = request["EndpointName"]
        arn = self._store.arn("endpoint", name)
        if name.lower() in self._endpoints:
            refuse(f'Cannot create already existing endpoint "{arn}".')
        config = self._store.config(request["EndpointConfigName"])
        fleet = self._new_fleet(name, config)
        check_rolling_instances(request.get("DeploymentConfig"), fleet.instances)
        check_new_fleet(self._quotas, self._endpoints.values(), fleet, {})
        endpoint = HostedEndpoint(name, arn, config, self._clock)
        self._announce_changes(endpoint)
        # CreateEndpoint stores it, and UpdateEndpoint can use it again with RetainDeploymentConfig:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-blue-green-canary.html
        endpoint.serving.last_deployment_config = request.get("DeploymentConfig")
        self._endpoints[name.lower()] = endpoint
        self._store.tags.add(arn, tags_as_dict(request.get("Tags")))
        self._deploy(
            endpoint, config, fleet, rollout_of(None, {}, fleet.instances), self._role_failure(fleet)
        )
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
                "CreationTime": endpoint.lifecycle.created,
                "LastModifiedTime": endpoint.lifecycle.modified,
                "EndpointStatus": endpoint.status,
            }
            for endpoint in self._endpoints.values()
            if self._store.is_visible(endpoint.lifecycle.created)
        )
        return listed("Endpoints", rows, request, name="EndpointName", status="EndpointStatus")

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        # What is left after a failed rollback is remedied by another update (deployment-guardrails-rolling.html).
        self._check_settled(endpoint, "UpdateRollbackFailed", "OutOfService")
        # hashicorp/terraform-provider-aws#40048: the old config is read again.
        old = self._store.config(endpoint.serving.config_name)
        new = self._store.config(request["EndpointConfigName"])
        self._check_scaled_variants(endpoint, old, new)
        self._users.check_endpoint_change(endpoint, new)
        if any("ServerlessConfig" in v for v in new["ProductionVariants"]) and not any(
            "ServerlessConfig" in v for v in old["ProductionVariants"]
        ):
            # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-update.html
            refuse("An endpoint with instance-backed variants cannot be updated to a serverless variant.")
        deployment_config = request.get("DeploymentConfig")
        if deployment_config is None and request.get("RetainDeploymentConfig"):
            deployment_config = endpoint.serving.last_deployment_config
        fleet = self._new_fleet(endpoint.name, new, retained=self._retained(endpoint, request))
        check_rolling_instances(deployment_config, fleet.instances)
        check_deployment_config(deployment_config, old, new, fleet.instances)
        excluded = has_no_guardrails(old, self._models(old)) or has_no_guardrails(new, self._models(new))
        # "your endpoint will fall back to … all at once traffic shifting and no final baking period":
        # https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        before = (
            {v.name: v.instance_count for v in endpoint.serving.fleet.variants}
            if endpoint.serving.fleet
            else {}
        )
        rollout = rollout_of(None if excluded else deployment_config, before, fleet.instances)
        first = rollout.steps[0].new if rollout.rolling else {}
        check_new_fleet(self._quotas, self._endpoints.values(), fleet, first, endpoint)
        endpoint.lifecycle.failure_reason = None
        endpoint.serving.last_deployment_config = deployment_config
        endpoint.lifecycle.move_to("Updating")
        self._deploy(endpoint, new, fleet, rollout, self._role_failure(fleet))
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        endpoint = self._endpoint(request["EndpointName"])
        self._set_desired(endpoint, request["DesiredWeightsAndCapacities"])
        return {"EndpointArn": endpoint.arn}

    def _set_desired(self, endpoint: HostedEndpoint, desired: Sequence[Mapping[str, Any]]) -> None:
        self._check_settled(endpoint)
        assert endpoint.serving.fleet is not None  # noqa: S101 - what is InService has a fleet
        fleet = endpoint.serving.fleet
        changed: dict[str, VariantFleet] = {}
        for change in desired:
            name = change["VariantName"]
            if name in changed:
                refuse("Each variant can be named only once in DesiredWeightsAndCapacities.")
            variant = next((v for v in fleet.all_variants if v.name == name), None)
            if variant is None:
                refuse(f'Could not find variant "{name}" of endpoint "{endpoint.arn}".')
            check_desired(change, variant.config, endpoint.config)
            if count := change.get("DesiredInstanceCount"):
                check_more_instances(self._quotas, self._endpoints.values(), variant, count)
            changed[name] = variant
        for change in desired:
            changed[change["VariantName"]].set_desired(change)
        endpoint.lifecycle.move_to("Updating")
        if any("DesiredInstanceCount" in change for change in desired):
            # "updated with new capacity on an existing endpoint configuration", on the same page.
            endpoint.serving.on_progress()
        failure: str | None = None
        try:
            for variant in changed.values():
                more = (variant.desired_instance_count or 0) - (variant.instance_count or 0)
                self.capacity.take(variant.instance_types, more)
        except InsufficientCapacity as shortage:
            failure = str(shortage)
        self._after_transition(endpoint, "Updating", lambda: self._apply_desired(endpoint, fleet, failure))

    def _apply_desired(self, endpoint: HostedEndpoint, fleet: Fleet, failure: str | None) -> None:
        if failure is None:
            fleet.apply_desired()
            endpoint.lifecycle.move_to("InService")
            return
        # "fails to scale up or down or change its variant weight and is in the process of rolling back to its previous
        # configuration": API_DescribeEndpoint.html
        endpoint.lifecycle.fail(failure)
        for variant in fleet.all_variants:
            variant.discard_desired()
        endpoint.lifecycle.move_to("RollingBack")
        self._after_transition(endpoint, "RollingBack", lambda: endpoint.lifecycle.move_to("InService"))

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        # "DeleteEndpoint is the only operation that can be performed on a failed endpoint": API_DescribeEndpoint.html
        self._check_settled(endpoint, "Failed", "UpdateRollbackFailed", "OutOfService")
        self._users.check_endpoint_change(endpoint, None)
        endpoint.lifecycle.move_to("Deleting")
        self._after_transition(endpoint, "Deleting", lambda: self._delete(endpoint))
        return {}

    # For the runtime, components and scaling

    def find(self, name: str) -> HostedEndpoint | None:
        """Return the endpoint of exactly that name: "the case … must be matched in InvokeEndpoint" (API_CreateEndpoint.html)."""
        endpoint = self._endpoints.get(name.lower())
        return endpoint if endpoint and endpoint.name == name else None

    def visible(self, name: str) -> HostedEndpoint | None:
        """Return the endpoint of a name, in whichever case, or None where it cannot be found (yet)."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
            return endpoint if endpoint and self._store.is_visible(endpoint.lifecycle.created) else None

    def existing(self, name: str) -> HostedEndpoint:
        """Return the endpoint of a name, in whichever case.

        :raises AwsError: There is none.
        """
        with self._lock:
            return self._endpoint(name)

    def all(self) -> builtins.list[HostedEndpoint]:
        """Return all endpoints."""
        with self._lock:
            return builtins.list(self._endpoints.values())

    @contextmanager
    def route(
        self, serving: Serving, variant_name: str | None = None
    ) -> Iterator[tuple[Fleet, VariantFleet] | None]:
        """Choose what answers an invocation, by weights and shares; its containers run until this is left.

        :param serving: What serves the endpoint or the inference component.
        :param variant_name: The ``TargetVariant``.
        :returns: None if there is no such variant.
        """
        with self._lock:
            split = serving.traffic_to(variant_name) if variant_name else serving.traffic()
            chosen = self._random.choices(split, [share for _, _, share in split])[0] if split else None
            if chosen:
                chosen[0].enter()
        try:
            yield chosen[:2] if chosen else None
        finally:
            if chosen:
                chosen[0].leave()

    def replace_dead(self, fleet: Fleet) -> None:
        """Replace containers of a fleet that have ended by themselves, in the background."""
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
            self._set_desired(self._endpoint(endpoint_name), [change])

    def set_status(self, name: str, status: str, seconds: float | None = None) -> None:
        """Set a status that AWS sets by itself, for tests of what happens then.

        ``SystemUpdating`` is AWS's own maintenance. It reads config and models again; where they were deleted, the endpoint
        goes on as it is with a ``FailureReason`` (ministryofjustice/analytical-platform#10195).

        :param status: ``SystemUpdating``, ``OutOfService``, ``InService``, ``Failed`` or ``UpdateRollbackFailed``, which has no second
            fleet here.
        :param seconds: After so long it is InService again; None for never.
        :raises AwsError: There is no such endpoint, it is in transition, or a rollback of it did fail.
        """
        if status not in SETTABLE:
            refuse(f"The status of an endpoint can be set to {', '.join(SETTABLE)}, not to {status}.")
        with self._lock:
            endpoint = self._endpoint(name)
            # Two fleets serve where a rollback did fail; an update or a deletion ends that.
            if endpoint.status not in SETTABLE or endpoint.serving.stranded:
                refuse(f"The endpoint {endpoint.name} is {endpoint.status}.")
            endpoint.lifecycle.move_to(status)
            if seconds is not None:
                self._after_transition(
                    endpoint, status, lambda: self._end_set_status(endpoint, status), seconds
                )

    def _end_set_status(self, endpoint: HostedEndpoint, status: str) -> None:
        if status == "SystemUpdating" and (missing := self._missing(endpoint)):
            endpoint.lifecycle.fail(missing)
        endpoint.lifecycle.move_to("InService")

    def _missing(self, endpoint: HostedEndpoint) -> str | None:
        """Return what is missing to make the endpoint's fleet again, or None."""
        if endpoint.serving.config_name not in self._store.configs:
            return f'Could not find endpoint configuration "{self._store.arn("endpoint-config", endpoint.serving.config_name)}".'
        missing = [name for name in _model_names(endpoint.config) if name not in self._store.models]
        return f'Could not find model "{self._store.arn("model", missing[0])}".' if missing else None

    def variant_config(self, endpoint_name: str, variant_name: str) -> Mapping[str, Any] | None:
        """Return the config of a variant that serves or is about to, or None if there is none."""
        with self._lock:
            endpoint = self._endpoints.get(endpoint_name.lower())
            if endpoint is None:
                return None
            config = endpoint.config or (endpoint.serving.pending.config if endpoint.serving.pending else {})
            return next(
                (v for v in config.get("ProductionVariants", ()) if v["VariantName"] == variant_name), None
            )

    def serving(self) -> builtins.list[tuple[str, VariantFleet]]:
        """Return all variants that have containers, each after the name of its endpoint."""
        with self._lock:
            return [
                (endpoint.name, variant)
                for endpoint in self._endpoints.values()
                for fleet in endpoint.serving.fleets()
                for variant in fleet.all_variants
                if variant.containers
            ]

    def crash(self, is_meant: Callable[[str, str, str], bool]) -> int:
        """End containers as a crash does, and return how many.

        :param is_meant: Tells by endpoint, variant and container name whether to end one.
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
            fleets = [fleet for endpoint in endpoints for fleet in endpoint.serving.stop()]
        with ThreadPoolExecutor(max_workers=16) as threads:
            builtins.list(threads.map(lambda fleet: fleet.stop(grace), fleets))

    # Saved state, with the lock held

    def dump(self) -> builtins.list[dict[str, Any]]:
        """Return what is saved of all endpoints but those that are being deleted."""
        return [endpoint.dump() for endpoint in self._endpoints.values() if endpoint.status != "Deleting"]

    def load(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Restore saved endpoints: containers are started, and until they answer an endpoint is Creating."""
        for one in saved:
            config = one["config"] or {"EndpointConfigName": one["config_name"]}
            endpoint = HostedEndpoint(
                one["name"], self._store.arn("endpoint", one["name"]), config, self._clock
            )
            self._announce_changes(endpoint)
            endpoint.lifecycle.created = one["created"]
            endpoint.lifecycle.failure_reason = one["failure_reason"]
            endpoint.serving.last_deployment_config = one["last_deployment_config"]
            self._endpoints[endpoint.name.lower()] = endpoint
            if one["failed"]:
                endpoint.lifecycle.move_to("Failed")
                continue
            endpoint.serving.config = config
            retained = {"weights": one["weights"], "instance_counts": one["instance_counts"]}
            fleet = self._fleet(endpoint.name, config, one["models"], retained)
            for variant in fleet.all_variants:
                variant.desired_serverless_config |= one["serverless_configs"].get(variant.name, {})
            self._deploy(endpoint, config, fleet, rollout_of(None, {}, fleet.instances))

    # Checks

    def _endpoint(self, name: str) -> HostedEndpoint:
        endpoint = self.visible(name)
        if endpoint is None:
            # aws/amazon-sagemaker-operator-for-k8s looks for this text.
            refuse(f'Could not find endpoint "{self._store.arn("endpoint", name)}".')
        return endpoint

    def _check_settled(self, endpoint: HostedEndpoint, *allowed: str) -> None:
        if endpoint.status in ("InService", *allowed):
            return
        if endpoint.status == "Failed":
            # The sentence is assumed.
            refuse(f'Cannot update endpoint "{endpoint.arn}" in status Failed. Delete it.')
        # The same text for updates and deletes (amazon-sagemaker-operator-for-k8s).
        refuse(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _check_scaled_variants(
        self, endpoint: HostedEndpoint, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling.html; the sentences are assumed.
        new_variants = {variant["VariantName"]: variant for variant in new["ProductionVariants"]}
        for variant in old["ProductionVariants"]:
            name = variant["VariantName"]
            if not self._users.is_scalable_target(f"endpoint/{endpoint.name}/variant/{name}"):
                continue
            if name not in new_variants:
                refuse(
                    f"The variant {name} cannot be removed from the endpoint while it is registered as a scalable "
                    "target. Deregister it first."
                )
            if variant.get("InstanceType") != new_variants[name].get("InstanceType"):
                refuse(
                    f"The instance type of variant {name} cannot be changed while it is registered as a scalable "
                    "target. Deregister it first."
                )

    # Transitions

    def _models(self, config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        return {name: self._store.models[name] for name in _model_names(config) if name in self._store.models}

    def _new_fleet(
        self, endpoint_name: str, config: Mapping[str, Any], retained: Mapping[str, Any] | None = None
    ) -> Fleet:
        models = self._models(config)
        for name in _model_names(config):
            if name not in models:
                # Deleting a model that a config names is accepted, and bites here.
                refuse(f'Could not find model "{self._store.arn("model", name)}".')
        return self._fleet(endpoint_name, config, models, retained or {})

    def _fleet(
        self,
        endpoint_name: str,
        config: Mapping[str, Any],
        models: Mapping[str, Mapping[str, Any]],
        retained: Mapping[str, Any],
    ) -> Fleet:
        shadows = config.get("ShadowProductionVariants", ())
        spec = FleetSpec(
            endpoint_name=endpoint_name,
            region=self._store.region,
            config_name=config["EndpointConfigName"],
            variants=[*config["ProductionVariants"], *shadows],
            shadows=frozenset(variant["VariantName"] for variant in shadows),
            models=models,
            **retained,
        )
        return self._fleets.make(spec)

    def _retained(self, endpoint: HostedEndpoint, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return weights and counts that the new fleet takes over: API_UpdateEndpoint.html, RetainAllVariantProperties."""
        if not request.get("RetainAllVariantProperties") or endpoint.serving.fleet is None:
            return {}
        excluded = {
            item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", ())
        }
        retained: dict[str, Any] = {}
        if "DesiredWeight" not in excluded:
            retained["weights"] = {
                variant.name: variant.weight for variant in endpoint.serving.fleet.variants
            }
        if "DesiredInstanceCount" not in excluded:
            retained["instance_counts"] = {
                variant.name: variant.instance_count
                for variant in endpoint.serving.fleet.variants
                if variant.instance_count is not None
            }
        return retained

    def _role_failure(self, fleet: Fleet) -> str | None:
        """Return why a new fleet cannot start: a role that was deleted or changed after CreateModel. What runs is not asked again."""
        roles = (str(model.get("ExecutionRoleArn", "")) for model in fleet.models.values())
        gone = next((role for role in roles if role and not self._users.is_assumable(role)), None)
        # As users quote it of failed endpoints.
        return gone and (
            f"Could not assume role {gone}. Please ensure that the role exists and allows principal 'sagemaker.amazonaws.com' to assume "
            "the role."
        )

    def _deploy(
        self,
        endpoint: HostedEndpoint,
        config: Mapping[str, Any],
        fleet: Fleet,
        rollout: Rollout,
        failure: str | None = None,
    ) -> None:
        serving = endpoint.serving
        serving.pending = FleetDeployment(
            config, fleet, serving.fleet, rollout, owner=serving, conditions=self._conditions
        )
        serving.pending.begin(failure)
        self._poll()

    def _announce_changes(self, endpoint: HostedEndpoint) -> None:
        """Send events to EventBridge whenever the status changes, and whenever a deployment in the place of another one progresses.

        https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html#eventbridge-endpoint
        """

        def progress() -> None:
            pending = endpoint.serving.pending
            # "may not work for all endpoints", with a link to the exclusions of guardrails.
            if pending is None or not has_no_guardrails(pending.config, pending.fleet.models):
                self._announce(
                    endpoint, "SageMaker Endpoint Deployment State Change", endpoint.deployment_event()
                )

        def change() -> None:
            self._announce(endpoint, "SageMaker Endpoint State Change", endpoint.event())

        endpoint.lifecycle.on_change = change
        endpoint.serving.on_progress = progress

    def _announce(self, endpoint: HostedEndpoint, kind: str, detail: Mapping[str, Any]) -> None:
        try:
            events.put_event(
                self._store.region, "aws.sagemaker", kind, endpoint.arn, detail, self._clock.now()
            )
        except Exception:
            LOG.exception("the event of endpoint %s cannot be sent", endpoint.name)

    def _poll(self) -> None:
        """Check every few seconds whether a container has ended by itself, as long as there are endpoints."""
        if self._polling or not self._fleets.has_containers:
            return
        self._polling = True

        def poll() -> None:
            with self._lock:
                self._polling = False
                fleets = [
                    endpoint.serving.fleet for endpoint in self._endpoints.values() if endpoint.serving.fleet
                ]
                fleets += self._users.component_fleets()
                if self._endpoints:
                    self._poll()
            for fleet in fleets:
                fleet.replace_dead()

        self._clock.call_later(_POLL_SECONDS, poll)

    def _delete(self, endpoint: HostedEndpoint) -> None:
        del self._endpoints[endpoint.name.lower()]
        self._store.tags.forget(endpoint.arn)
        # The service deregisters what is scaled (awslabs/stable-diffusion-aws-extension 161 quotes its permission error).
        self._users.deregister(f"endpoint/{endpoint.name}/variant/")
        for fleet in endpoint.serving.fleets():
            fleet.retire()

    def _after_transition(
        self,
        endpoint: HostedEndpoint,
        status: str,
        function: Callable[[], None],
        seconds: float | None = None,
    ) -> None:
        """Call a function after a while, if the endpoint still has the status."""
        since = endpoint.lifecycle.modified

        def end() -> None:
            with self._lock:
                current = self._endpoints.get(endpoint.name.lower()) is endpoint
                if current and (endpoint.status, endpoint.lifecycle.modified) == (status, since):
                    function()

        self._clock.call_later(self._conditions.transition_seconds if seconds is None else seconds, end)


def _model_names(config: Mapping[str, Any]) -> builtins.list[str]:
    variants = (*config.get("ProductionVariants", ()), *config.get("ShadowProductionVariants", ()))
    return builtins.list(
        dict.fromkeys(variant["ModelName"] for variant in variants if "ModelName" in variant)
    )

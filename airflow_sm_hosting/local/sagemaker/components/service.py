"""Inference components: models that share the instances of an endpoint.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html. What the service refuses beyond its model is
assumed where no source is named. One container stands for all copies of a component, as it does for all instances of a variant.
"""

from __future__ import annotations

import builtins
import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Protocol

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.sagemaker.by_name import ByName
from airflow_sm_hosting.local.sagemaker.components.adapter import Adapter, AdapterLoader, check_adapter
from airflow_sm_hosting.local.sagemaker.components.component import KIND, Component, specifications
from airflow_sm_hosting.local.sagemaker.components.component_rules import check_specifications
from airflow_sm_hosting.local.sagemaker.components.placement import instances_needed
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import InsufficientCapacity
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Conditions, FleetDeployment
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, FleetFactory, FleetSpec
from airflow_sm_hosting.local.sagemaker.endpoints.rollout import rollout_of
from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.endpoints.update_rules import check_deployment_config
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet
from airflow_sm_hosting.local.sagemaker.listing import listed
from airflow_sm_hosting.local.sagemaker.model_rules import check_create_model
from airflow_sm_hosting.local.sagemaker.operations import Operations
from airflow_sm_hosting.local.sagemaker.refusal import refuse
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.tagging import tags_as_dict

# A component that is updated continues to serve.
_SERVING = ("InService", "Updating")
#: The ``FailureReason`` of copies that do not fit: quoted by Hugging Face's skill hf-cloud-sagemaker-production-defaults. That AWS
#: says the same where it has no more instances is assumed.
NO_ROOM = "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference component."
_INSTANCES = ("InstanceType", "InstancePools")


@dataclass(frozen=True)
class InvokedComponent:
    """The inference component that an invocation names.

    :param name: Its name.
    :param holder: The component whose containers answer: itself, or the base of an adapter.
    :param adapter: The adapter, if it is one.
    """

    name: str
    holder: Component
    adapter: Adapter | None = None


class ComponentUsers(AdapterLoader, Protocol):
    """What uses inference components: the runtime and scalable targets. The Region answers for them."""

    def deregister(self, resource_id: str) -> None:
        """Deregister the scalable target of a deleted component."""


class Components:
    """The inference components of one Region.

    :param store: Has models and the lock.
    :param endpoints: The endpoints that have the instances.
    :param registry: Has the images.
    :param fleets: Makes fleets.
    :param conditions: What deployments depend on.
    :param metrics: Takes the metrics of refused invocations.
    :param users: What uses components.
    """

    def __init__(
        self,
        store: Store,
        endpoints: Endpoints,
        registry: Registry,
        fleets: FleetFactory,
        conditions: Conditions,
        metrics: EndpointMetrics,
        users: ComponentUsers,
    ) -> None:
        self._store = store
        self._endpoints = endpoints
        self._registry = registry
        self._fleets = fleets
        self._conditions = conditions
        self._metrics = metrics
        self._users = users
        self._clock = store.clock
        self._lock = store.lock
        self._components: ByName[Component] = ByName()
        self._adapters: ByName[Adapter] = ByName()

    @property
    def operations(self) -> Operations:
        """The operations by name, called with the lock held."""
        return {
            "CreateInferenceComponent": self.create,
            "DescribeInferenceComponent": self.describe,
            "ListInferenceComponents": self.list,
            "UpdateInferenceComponent": self.update,
            "UpdateInferenceComponentRuntimeConfig": self.update_runtime_config,
            "DeleteInferenceComponent": self.delete,
        }

    # Operations, called with the lock held

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateInferenceComponent."""
        name = request["InferenceComponentName"]
        arn = self._store.arn(KIND, name)
        if any(name.lower() == one.name.lower() for one in self._all()):
            refuse(f'Cannot create already existing inference component "{arn}".')
        host = self._endpoints.existing(request["EndpointName"])
        if host.status != "InService":
            refuse(f'Endpoint "{host.arn}" is not in service (status {host.status}).')
        if _base_name(request):
            return self._create_adapter(name, arn, host, request)
        variant = _host_variant(host, request)
        if "RuntimeConfig" not in request:
            refuse("RuntimeConfig must be specified.")
        if not request["RuntimeConfig"]["CopyCount"]:
            # Only a component that exists can be scaled to zero: stdapi-ai/stdapi.ai#43 has the recorded answer.
            refuse("Inference components copy count an integer larger than 0")
        self._check_specifications(request)
        config, fleet = self._new(host, variant, name, request, request["RuntimeConfig"]["CopyCount"])
        component = Component(name, arn, config, self._clock, host)
        self._components[name] = component
        self._store.tags.add(arn, tags_as_dict(request.get("Tags")))
        self._deploy(component, config, fleet, None)
        return {"InferenceComponentArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeInferenceComponent."""
        return self._found(request["InferenceComponentName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListInferenceComponents."""
        rows = (
            component.summary()
            for component in self._all()
            if self._store.is_visible(component.lifecycle.created)
            and request.get("EndpointNameEquals", component.host.name) == component.host.name
            and request.get("VariantNameEquals", component.variant_name) == component.variant_name
        )
        return listed(
            "InferenceComponents",
            rows,
            request,
            name="InferenceComponentName",
            status="InferenceComponentStatus",
        )

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateInferenceComponent."""
        name = request["InferenceComponentName"]
        self._settled(name)
        if adapter := self._adapters.get(name):
            return self._update_adapter(adapter, request)
        component = self._components[name]
        copies = request.get("RuntimeConfig", {}).get("CopyCount")
        if "Specification" not in request and "Specifications" not in request:
            if copies is None:
                refuse("Specification, Specifications or RuntimeConfig must be specified.")
            self._set_desired_copies(component, copies)
            return {"InferenceComponentArn": component.arn}
        self._check_specifications(request)
        assert component.copies is not None  # noqa: S101 - what is InService has a fleet
        desired = component.copies.desired_instance_count if copies is None else copies
        variant = _host_variant(component.host, {"VariantName": component.variant_name})
        config, fleet = self._new(component.host, variant, component.name, request, desired or 0)
        deployment = _as_of_endpoints(request.get("DeploymentConfig"))
        check_deployment_config(deployment, component.serving.config, config, fleet.instances)
        component.lifecycle.failure_reason = None
        component.serving.last_deployment_config = request.get("DeploymentConfig")
        component.lifecycle.move_to("Updating")
        self._deploy(component, config, fleet, deployment)
        return {"InferenceComponentArn": component.arn}

    def update_runtime_config(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateInferenceComponentRuntimeConfig."""
        name = request["InferenceComponentName"]
        self._settled(name)
        if adapter := self._adapters.get(name):
            # Assumed, as it "uses the compute resources of the base": realtime-endpoints-adapt.html
            refuse(f'"{adapter.arn}" is an adapter: its copies are those of "{adapter.base.arn}".')
        component = self._components[name]
        self._set_desired_copies(component, request["DesiredRuntimeConfig"]["CopyCount"])
        return {"InferenceComponentArn": component.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteInferenceComponent."""
        # One that is being created cannot be deleted: aws/amazon-sagemaker-examples#3432.
        name = request["InferenceComponentName"]
        component = self._settled(name, "Failed", verb="delete")
        if any(adapter.base is component for adapter in self._adapters.values()):
            # Assumed: no source says what becomes of adapters whose base goes.
            refuse(
                f'Cannot delete inference component "{component.arn}" with adapter inference components. Delete them first.'
            )
        component.lifecycle.move_to("Deleting")
        self._after_transition(component, lambda: self._delete(name))
        return {}

    # For others

    def invoked(self, name: str, host: HostedEndpoint) -> InvokedComponent:
        """Return the component of an endpoint that an invocation names.

        :raises AwsError: There is none, or it cannot serve.
        """
        with self._lock:
            adapter = self._adapters.get(name)
            holder = adapter.base if adapter else self._components.get(name)
            if holder is None or holder.host is not host:
                raise AwsError(
                    "ValidationError", f"Inference component {name} of endpoint {host.name} not found."
                )
            for one in (adapter, holder):
                if one and (one.status not in _SERVING or holder.copies is None):
                    raise AwsError(
                        "ValidationError",
                        f"Inference component {one.name} is not in service (status {one.status}).",
                    )
            assert holder.copies is not None  # noqa: S101 - it was checked
            if not holder.copies.instance_count and holder.serving.pending is None:
                # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html: the metric by whose
                # alarm it is scaled out again.
                where = {"InferenceComponentName": holder.name}
                self._metrics.publish(where, [("NoCapacityInvocationFailures", 1.0, "Count")])
                raise AwsError(
                    "ValidationError",
                    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if "
                    "configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.",
                )
            # Metrics name the endpoint config that serves now.
            holder.copies.config_name = host.serving.config_name
            return InvokedComponent(name, holder, adapter)

    def check_host(self, host: HostedEndpoint, new_config: Mapping[str, Any] | None) -> None:
        """Refuse to delete an endpoint that has components, or to update it to a config without their variants.

        :param new_config: The endpoint config of an update; None for a deletion.
        :raises AwsError: The refusal.
        """
        left = [component for component in self._all() if component.host is host]
        if new_config is None:
            if left:
                # gruntwork-io/cloud-nuke#1142
                refuse(
                    "Cannot delete endpoint with inference component associated. Please delete inference component and try it again."
                )
            return
        hosting = {v["VariantName"] for v in new_config["ProductionVariants"] if "ModelName" not in v}
        for component in left:
            if component.variant_name not in hosting:
                refuse(
                    f'The variant {component.variant_name} hosts the inference component "{component.arn}" and cannot be '
                    "removed from the endpoint."
                )

    def fleets(self) -> builtins.list[Fleet]:
        """Return all fleets."""
        return [fleet for component in self._components.values() for fleet in component.serving.fleets()]

    def serving(self) -> builtins.list[tuple[str, VariantFleet]]:
        """Return what has copies with containers, each after the name of its component."""
        with self._lock:
            return [
                (component.name, component.copies)
                for component in self._components.values()
                if component.copies and component.copies.containers and component.copies.instance_count
            ]

    def set_copies(self, name: str, copies: int) -> None:
        """Scale a component, as Application Auto Scaling does.

        :raises AwsError: It is not InService, or does not exist.
        """
        with self._lock:
            self._settled(name)
            self._set_desired_copies(self._components[name], copies)

    def find(self, name: str) -> Component | None:
        """Return a component with its own copies, or None if there is none."""
        with self._lock:
            return self._components.get(name)

    def dump(self) -> builtins.list[dict[str, Any]]:
        """Return what is saved of all components but those that are being deleted. With the lock held."""
        return [component.dump() for component in self._all() if component.status != "Deleting"]

    def load(self, saved: Sequence[Mapping[str, Any]]) -> None:
        """Restore saved components, on restored endpoints: containers are started, of models that are read again."""
        # Adapters after their bases.
        for one in sorted(saved, key=lambda one: "base" in one):
            name = one["name"]
            if "base" in one:
                self._restore_adapter(one)
                continue
            host = self._endpoints.existing(one["host"])
            host_variant = _host_variant(host, {"VariantName": one["variant"]})
            config = one["config"] or {"ProductionVariants": [{"VariantName": one["variant"]}]}
            config = {"EndpointConfigName": host.serving.config_name, **config}
            component = Component(name, self._store.arn(KIND, name), config, self._clock, host)
            component.lifecycle.created = one["created"]
            component.lifecycle.failure_reason = one["failure_reason"]
            component.desired_config = config
            self._components[name] = component
            if one["failed"]:
                component.lifecycle.move_to("Failed")
                continue
            copies = one["instance_counts"][one["variant"]]
            try:
                config, fleet = self._new(host, host_variant, name, config, copies)
            except AwsError as error:
                component.lifecycle.fail(error.message)
                component.lifecycle.move_to("Failed")
                continue
            self._deploy(component, config, fleet, None)

    def stop_all(self, grace: float) -> None:
        """Stop all containers and forget all components."""
        with self._lock:
            fleets = [fleet for component in self._components.values() for fleet in component.serving.stop()]
            self._components.clear()
            self._adapters.clear()
        with ThreadPoolExecutor(max_workers=16) as threads:
            builtins.list(threads.map(lambda fleet: fleet.stop(grace), fleets))

    # Checks

    def _all(self) -> builtins.list[Component | Adapter]:
        return [*self._components.values(), *self._adapters.values()]

    def _found(self, name: str) -> Component | Adapter:
        component = self._components.get(name) or self._adapters.get(name)
        if component is None or not self._store.is_visible(component.lifecycle.created):
            refuse(f'Could not find inference component "{self._store.arn(KIND, name)}".')
        return component

    def _settled(self, name: str, *allowed: str, verb: str = "update") -> Component | Adapter:
        component = self._found(name)
        if component.status not in ("InService", *allowed):
            # Measured for the states of a creation and of a change of copies by Hugging Face's skill
            # hf-cloud-sagemaker-production-defaults; the other states and the ARN in the sentence are assumed.
            refuse(
                f'Cannot {verb} inference component "{component.arn}" while it is in state {_state(component)}.'
            )
        return component

    def _check_specifications(self, request: Mapping[str, Any]) -> None:
        check_specifications(request)
        for specification in specifications(request):
            self._model(specification)

    def _model(self, specification: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the model of a specification as CreateModel would be called for it."""
        if name := specification.get("ModelName"):
            return copy.deepcopy(self._store.model(name))
        given = specification["Container"]
        container = {name: given[name] for name in ("Image", "Environment") if name in given}
        if "ArtifactUrl" in given:
            container["ModelDataUrl"] = given["ArtifactUrl"]
        model = {"PrimaryContainer": container}
        check_create_model(model, self._registry, self._store.region)
        return model

    # Adapters: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html

    def _create_adapter(
        self, name: str, arn: str, host: HostedEndpoint, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        if "Specifications" in request:
            refuse("Exactly one of Specification and Specifications must be specified.")
        specification = request["Specification"]
        base_name = specification["BaseInferenceComponentName"]
        base = self._found(base_name)
        if base_name in self._adapters:
            refuse(f'The base "{base.arn}" is an adapter inference component itself.')
        check_adapter(self._components[base_name], host, request)
        adapter = Adapter(name, arn, specification, self._clock, self._components[base_name])
        self._adapters[name] = adapter
        self._store.tags.add(arn, tags_as_dict(request.get("Tags")))
        self._load_artifact(adapter, specification)
        return {"InferenceComponentArn": arn}

    def _update_adapter(self, adapter: Adapter, request: Mapping[str, Any]) -> dict[str, Any]:
        given = request.get("Specification", {})
        if "RuntimeConfig" in request or "DeploymentConfig" in request or not given:
            # Assumed: it has no copies itself.
            refuse(f'Of the adapter "{adapter.arn}" only Specification can be updated.')
        specification = {"BaseInferenceComponentName": adapter.base.name, **given}
        if specification["BaseInferenceComponentName"] != adapter.base.name:
            refuse(f'The base of the adapter "{adapter.arn}" cannot be changed.')
        check_adapter(adapter.base, adapter.host, {"Specification": specification})
        adapter.lifecycle.failure_reason = None
        adapter.lifecycle.move_to("Updating")
        self._load_artifact(adapter, specification)
        return {"InferenceComponentArn": adapter.arn}

    def _load_artifact(self, adapter: Adapter, specification: Mapping[str, Any]) -> None:
        """Have the base's containers load an adapter, which takes its real time, without the lock."""
        adapter.desired_specification = specification
        due = self._clock.now() + timedelta(seconds=self._conditions.transition_seconds)
        status, since = adapter.status, adapter.lifecycle.modified

        def load() -> None:
            failure: str | None = None
            try:
                self._users.load_adapter(adapter, specification)
            except AwsError as error:
                failure = error.message
            self._clock.call_later((due - self._clock.now()).total_seconds(), lambda: end(failure))

        def end(failure: str | None) -> None:
            with self._lock:
                current = self._adapters.get(adapter.name) is adapter
                if not current or (adapter.status, adapter.lifecycle.modified) != (status, since):
                    return
                if failure is None:
                    adapter.specification = specification
                else:
                    adapter.lifecycle.fail(failure)
                adapter.lifecycle.move_to("InService" if adapter.specification else "Failed")

        self._clock.run(load)

    def _restore_adapter(self, one: Mapping[str, Any]) -> None:
        base = self._components[one["base"]]
        specification = one["config"]["Specification"]
        adapter = Adapter(one["name"], self._store.arn(KIND, one["name"]), specification, self._clock, base)
        adapter.lifecycle.created = one["created"]
        adapter.lifecycle.failure_reason = one["failure_reason"]
        self._adapters[adapter.name] = adapter
        if not one["failed"]:
            # The containers load it with the first invocation.
            adapter.specification = specification
        adapter.lifecycle.move_to("Failed" if one["failed"] else "InService")

    # Transitions

    def _new(
        self,
        host: HostedEndpoint,
        host_variant: Mapping[str, Any],
        name: str,
        request: Mapping[str, Any],
        copies: int,
    ) -> tuple[dict[str, Any], Fleet]:
        """Return the desired configuration, in the form of an endpoint config, and its fleet."""
        specification = _chosen(specifications(request), host_variant)
        isolated = host.config.get("EnableNetworkIsolation", False)
        model = {"EnableNetworkIsolation": isolated, **self._model(specification)}
        variant = {
            "VariantName": host_variant["VariantName"],
            "ModelName": name,
            "InitialInstanceCount": copies,
            # What its copies run on, and need of it.
            **{member: host_variant[member] for member in _INSTANCES if member in host_variant},
            "ComputeResourceRequirements": specification["ComputeResourceRequirements"],
            **specification.get("StartupParameters", {}),
        }
        config = {
            "EndpointConfigName": host.serving.config_name,
            "ProductionVariants": [variant],
            **{
                member: request[member] for member in ("Specification", "Specifications") if member in request
            },
        }
        spec = FleetSpec(
            endpoint_name=host.name,
            region=self._store.region,
            config_name=host.serving.config_name,
            variants=[variant],
            shadows=frozenset(),
            models={name: model},
            log_group=f"/aws/sagemaker/InferenceComponents/{name}",
        )
        return config, self._fleets.make(spec)

    def _deploy(
        self,
        component: Component,
        config: Mapping[str, Any],
        fleet: Fleet,
        deployment_config: Mapping[str, Any] | None,
    ) -> None:
        component.desired_config = config
        serving = component.serving
        before = serving.fleet.instances if serving.fleet else {}
        rollout = rollout_of(deployment_config, before, fleet.instances)
        serving.pending = FleetDeployment(
            config, fleet, serving.fleet, rollout, owner=serving, conditions=self._conditions
        )
        serving.pending.begin(None if self._has_room(component.host, component.variant_name) else NO_ROOM)
        self._fit_instances(component.host, component.variant_name)

    def _set_desired_copies(self, component: Component, copies: int) -> None:
        fleet = component.serving.fleet
        assert fleet is not None  # noqa: S101 - what is InService has a fleet
        copy_fleet = fleet.variants[0]
        component.lifecycle.failure_reason = None
        component.lifecycle.move_to("Updating")
        failure: str | None = None
        try:
            self._conditions.capacity.take(
                copy_fleet.instance_types, copies - (copy_fleet.instance_count or 0)
            )
        except InsufficientCapacity as shortage:
            failure = str(shortage)
        copy_fleet.set_desired({"DesiredInstanceCount": copies})
        if not self._has_room(component.host, component.variant_name):
            failure = failure or NO_ROOM
        if failure is None:
            self._fit_instances(component.host, component.variant_name)

        def end() -> None:
            if failure is None:
                fleet.apply_desired()
            else:
                # As with the instances of a variant (assumed): it keeps the copies that it has.
                component.lifecycle.fail(failure)
                fleet.variants[0].discard_desired()
            component.lifecycle.move_to("InService")

        self._after_transition(component, end)

    def _has_room(self, host: HostedEndpoint, variant_name: str) -> bool:
        """Return whether all copies on a variant fit on the instances that it has, or may have with managed instance scaling."""
        variant = host.serving.fleet.variants_by_name.get(variant_name) if host.serving.fleet else None
        if variant is None:
            return True
        scaling = variant.config.get("ManagedInstanceScaling", {})
        most = variant.instance_count or 0
        if scaling.get("Status") == "ENABLED":
            most = max(most, scaling.get("MaxInstanceCount", sys.maxsize))
        needed = self._instances_needed(host, variant)
        return needed is not None and needed <= most

    def _instances_needed(self, host: HostedEndpoint, variant: VariantFleet) -> int | None:
        """Return how many instances the copies on a variant need; None if one of them is too large for an instance."""
        requirements = []
        for component in self._components.values():
            if component.host is not host or component.variant_name != variant.name:
                continue
            pending = component.serving.pending
            for fleet in component.serving.fleets():
                copies = fleet.variants[0].desired_instance_count or 0
                if pending and fleet is pending.fleet:
                    # Old and new copies stand beside each other for a while.
                    copies = 0 if pending.is_short else pending.first_instances.get(variant.name) or 0
                requirements.append((fleet.variants[0].config["ComputeResourceRequirements"], copies))
        instance_type = variant.instance_type or next(iter(variant.instance_types), "")
        return instances_needed(requirements, instance_type)

    def _fit_instances(self, host: HostedEndpoint, variant_name: str) -> None:
        """Scale a variant with managed instance scaling to zero while no copies are desired, and to one for the first copy.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
        """
        variant = host.serving.fleet.variants_by_name.get(variant_name) if host.serving.fleet else None
        scaling = variant.config.get("ManagedInstanceScaling", {}) if variant else {}
        if variant is None or scaling.get("Status") != "ENABLED":
            return
        needed = self._instances_needed(host, variant) or 0
        least, now = scaling.get("MinInstanceCount", 1), variant.instance_count or 0
        count = max(now, least, needed) if needed else min(now, least)
        variant.instance_count = variant.desired_instance_count = count

    def _delete(self, name: str) -> None:
        component = self._found(name)
        self._store.tags.forget(component.arn)
        # As with the variants of an endpoint (assumed).
        self._users.deregister(f"{KIND}/{component.name}")
        if adapter := self._adapters.pop(name, None):
            self._clock.run(partial(self._users.unload_adapter, adapter))
        elif removed := self._components.pop(name):
            self._fit_instances(removed.host, removed.variant_name)
            for fleet in removed.serving.fleets():
                fleet.retire()

    def _after_transition(self, component: Component | Adapter, function: Callable[[], None]) -> None:
        """Call a function after a while, if the component is as it was."""
        status, since = component.status, component.lifecycle.modified

        def end() -> None:
            with self._lock:
                current = component in self._all()
                if current and (component.status, component.lifecycle.modified) == (status, since):
                    function()

        self._clock.call_later(self._conditions.transition_seconds, end)


def _state(component: Component | Adapter) -> str:
    """Return the state that refusals name: that of a change of copies alone is not that of an update."""
    if (
        component.status == "Updating"
        and isinstance(component, Component)
        and component.serving.pending is None
    ):
        return "UPDATE_RC_IN_PROGRESS"
    begun = {"Creating": "CREATE", "Updating": "UPDATE", "Deleting": "DELETE"}.get(component.status)
    return f"{begun}_IN_PROGRESS" if begun else component.status.upper()


def _host_variant(host: HostedEndpoint, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variant of an endpoint on whose instances a component is to be."""
    variants: Any = host.config["ProductionVariants"]
    if any("ModelName" in variant for variant in variants):
        # hashicorp/terraform-provider-aws#40644
        refuse(
            "Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference "
            "components."
        )
    name = request.get("VariantName")
    if name is None:
        refuse("VariantName must be specified.")
    found = next((variant for variant in variants if variant["VariantName"] == name), None)
    if found is None:
        refuse(f'Could not find variant "{name}" of endpoint "{host.arn}".')
    return dict(found)


def _base_name(request: Mapping[str, Any]) -> str | None:
    """Return the name of the base where an adapter is asked for."""
    name: str | None = request.get("Specification", {}).get("BaseInferenceComponentName")
    return name


def _chosen(specifications: list[Mapping[str, Any]], host_variant: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the specification for the instances of a variant."""
    types = [pool["InstanceType"] for pool in host_variant.get("InstancePools", ())]
    types.append(host_variant.get("InstanceType"))
    matching = (one for one in specifications if one.get("InstanceType") in types)
    return next(matching, specifications[0])


def _as_of_endpoints(deployment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Return an ``InferenceComponentDeploymentConfig`` as a ``DeploymentConfig``: copies are its instances."""
    if deployment is None:
        return None
    policy = dict(deployment["RollingUpdatePolicy"])
    for member in ("MaximumBatchSize", "RollbackMaximumBatchSize"):
        if policy.get(member, {}).get("Type") == "COPY_COUNT":
            policy[member] = {**policy[member], "Type": "INSTANCE_COUNT"}
    return {**deployment, "RollingUpdatePolicy": policy}

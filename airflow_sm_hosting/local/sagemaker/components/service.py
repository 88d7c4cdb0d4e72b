"""Inference components: models that share the instances of an endpoint.

https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-deploy-models.html. What the service refuses beyond its model is
assumed where no source is named. One container stands for all copies of a component, as it does for all instances of a variant;
whether copies fit on the instances is not looked at, but for what a fault says.
"""

from __future__ import annotations

import builtins
import re
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.sagemaker import rules
from airflow_sm_hosting.local.sagemaker.components.adapter import Adapter, check_adapter
from airflow_sm_hosting.local.sagemaker.components.component import Component, specifications
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import Capacity, InsufficientCapacity, Shortages
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Deployment
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import Endpoint
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, FleetPlan, VariantFleet
from airflow_sm_hosting.local.sagemaker.endpoints.rollout import plan
from airflow_sm_hosting.local.sagemaker.listing import page
from airflow_sm_hosting.local.wire.protocol import AwsError

if TYPE_CHECKING:
    from airflow_sm_hosting.local.sagemaker.hosting import Hosting

KIND = "inference-component"
# A component that is updated goes on to serve.
_SERVING = ("InService", "Updating")
# Quoted by Hugging Face's skill hf-cloud-sagemaker-production-defaults, of copies that do not fit; that AWS says the same where
# more instances cannot be had is assumed.
_NO_ROOM = "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference component."
_INSTANCES = ("InstanceType", "InstancePools")
_RESOURCE_ID = re.compile(rf"{KIND}/([^/]+)")


class Components:
    """The inference components of one Region.

    :param hosting: Models and endpoints.
    :param lock: Guards all state of the Region.
    :param engine: What runs containers.
    :param registry: Where images are.
    :param folder: An existing folder for model data.
    :param transition_seconds: How long a transition takes at least.
    :param clock: What tells the time.
    :param shortages: What says that instances are short. Default: they never are.
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
        self._hosting = hosting
        self._lock = lock
        self._engine = engine
        self._registry = registry
        self._folder = folder
        self._transition_seconds = transition_seconds
        self._clock = clock
        self._components: dict[str, Component] = {}
        # The instances of the endpoint have been had: what is short is room on them, or more of them to make room. That
        # a copy takes as much as an instance has is assumed.
        self._capacity = Capacity(shortages, _NO_ROOM)

    # Operations, called with the lock held

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateInferenceComponent."""
        name = request["InferenceComponentName"]
        arn = self._hosting.arn(KIND, name)
        if name.lower() in map(str.lower, self._components):
            rules.refuse(f'Cannot create already existing inference component "{arn}".')
        host = self._hosting.endpoints.existing(request["EndpointName"])
        if host.status != "InService":
            rules.refuse(f'Endpoint "{host.arn}" is not in service (status {host.status}).')
        if _base_name(request):
            return self._create_adapter(name, arn, host, request)
        variant = _host_variant(host, request)
        if "RuntimeConfig" not in request:
            rules.refuse("RuntimeConfig must be specified.")
        self._check_specifications(request)
        config, fleet = self._new(host, variant, name, request, request["RuntimeConfig"]["CopyCount"])
        component = Component(name, arn, config, self._clock, host)
        self._components[name] = component
        self._hosting.set_tags(arn, request.get("Tags", []))
        self._deploy(component, config, fleet, None)
        return {"InferenceComponentArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeInferenceComponent."""
        return self._component(request["InferenceComponentName"]).describe()

    def list(self, request: dict[str, Any]) -> dict[str, Any]:
        """ListInferenceComponents."""
        rows = (
            component.summary()
            for component in self._components.values()
            if self._hosting.is_visible(component.created)
            and request.get("EndpointNameEquals", component.host.name) == component.host.name
            and request.get("VariantNameEquals", component.variant_name) == component.variant_name
        )
        found, token = page(rows, request, name="InferenceComponentName", status="InferenceComponentStatus")
        return {"InferenceComponents": found, **({"NextToken": token} if token else {})}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateInferenceComponent."""
        component = self._settled(request["InferenceComponentName"])
        if isinstance(component, Adapter):
            return self._update_adapter(component, request)
        copies = request.get("RuntimeConfig", {}).get("CopyCount")
        if "Specification" not in request and "Specifications" not in request:
            if copies is None:
                rules.refuse("Specification, Specifications or RuntimeConfig must be specified.")
            self._want_copies(component, copies)
            return {"InferenceComponentArn": component.arn}
        self._check_specifications(request)
        assert component.copies is not None  # noqa: S101 - what is InService has a fleet
        wanted = component.copies.desired_instance_count if copies is None else copies
        variant = _host_variant(component.host, {"VariantName": component.variant_name})
        config, fleet = self._new(component.host, variant, component.name, request, wanted or 0)
        deployment = _as_of_endpoints(request.get("DeploymentConfig"))
        rules.check_deployment_config(deployment, component.config, config, fleet.instances)
        component.failure_reason = None
        component.last_deployment_config = request.get("DeploymentConfig")
        component.move_to("Updating")
        self._deploy(component, config, fleet, deployment)
        return {"InferenceComponentArn": component.arn}

    def update_runtime_config(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateInferenceComponentRuntimeConfig."""
        component = self._settled(request["InferenceComponentName"])
        if isinstance(component, Adapter):
            # Assumed, as it "uses the compute resources of the base": realtime-endpoints-adapt.html
            rules.refuse(f'"{component.arn}" is an adapter: its copies are those of "{component.base.arn}".')
        self._want_copies(component, request["DesiredRuntimeConfig"]["CopyCount"])
        return {"InferenceComponentArn": component.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteInferenceComponent."""
        # One that is being created cannot be deleted: aws/amazon-sagemaker-examples#3432.
        component = self._settled(request["InferenceComponentName"], "Failed")
        if self._adapters_of(component):
            # Assumed: no source says what becomes of adapters whose base goes.
            rules.refuse(
                f'Cannot delete inference component "{component.arn}" with adapter inference components. Delete them first.'
            )
        component.move_to("Deleting")
        self._after_transition(component, lambda: self._delete(component))
        return {}

    # For others

    def invoked(self, name: str, host: Endpoint) -> Component:
        """Return the component of an endpoint that an invocation names.

        :raises AwsError: There is none, or it cannot serve.
        """
        with self._lock:
            component = self._components.get(name)
            if component is None or component.host is not host:
                raise AwsError(
                    "ValidationError", f"Inference component {name} of endpoint {host.name} not found."
                )
            holder = component.holder
            for one in (component, holder):
                if one.status not in _SERVING or one.copies is None:
                    raise AwsError(
                        "ValidationError",
                        f"Inference component {one.name} is not in service (status {one.status}).",
                    )
            assert holder.copies is not None  # noqa: S101 - it was looked at
            if not holder.copies.instance_count and holder.pending is None:
                # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html: the metric by whose
                # alarm it is scaled out again.
                where = {"InferenceComponentName": holder.name}
                values = [("NoCapacityInvocationFailures", 1.0, "Count")]
                self._hosting.endpoint_metrics.publish(where, values)
                raise AwsError(
                    "ValidationError",
                    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if "
                    "configured) or try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API.",
                )
            # Metrics name the endpoint config that serves now.
            holder.copies.config_name = host.config_name
            return component

    def check_host(self, host: Endpoint, new_config: Mapping[str, Any] | None) -> None:
        """Refuse that an endpoint is deleted, or updated to a config without their variants, as long as components are on it.

        :param new_config: The endpoint config that is to serve; None where the endpoint is to be deleted.
        """
        left = [component for component in self._components.values() if component.host is host]
        if new_config is None:
            if left:
                # aws/amazon-sagemaker-feedback#49; the sentence is assumed.
                rules.refuse(
                    f'Cannot delete endpoint "{host.arn}" with inference components. Delete them first.'
                )
            return
        kept = {v["VariantName"] for v in new_config["ProductionVariants"] if "ModelName" not in v}
        for component in left:
            if component.variant_name not in kept:
                rules.refuse(
                    f'The variant {component.variant_name} hosts the inference component "{component.arn}" and cannot be '
                    "removed from the endpoint."
                )

    def fleets(self) -> builtins.list[Fleet]:
        """Return all fleets that there are."""
        return [fleet for component in self._components.values() for fleet in component.fleets()]

    def serving(self) -> builtins.list[tuple[str, VariantFleet]]:
        """Return what has copies with containers, each after the name of its component; adapters have none."""
        with self._lock:
            return [
                (component.name, component.copies)
                for component in self._components.values()
                if not isinstance(component, Adapter)
                and component.copies
                and component.copies.containers
                and component.copies.instance_count
            ]

    def set_copies(self, name: str, copies: int) -> None:
        """Scale a component, as Application Auto Scaling does.

        :raises AwsError: It is not InService, or does not exist.
        """
        with self._lock:
            self._want_copies(self._settled(name), copies)

    def find(self, name: str) -> Component | None:
        """Return a component, or None where there is none."""
        with self._lock:
            return self._components.get(name)

    def dump(self) -> builtins.list[dict[str, Any]]:
        """Return what is kept of all components over a restart; what is being deleted is not. With the lock held."""
        return [
            {
                **component.dump(),
                "host": component.host.name,
                "variant": component.variant_name,
            }
            for component in self._components.values()
            if component.status != "Deleting"
        ]

    def load(self, kept: Sequence[Mapping[str, Any]]) -> None:
        """Have again what was kept, on endpoints that are there: containers are started, of models that are read again."""
        # Adapters after their bases.
        for one in sorted(kept, key=lambda one: "base" in one):
            name = one["name"]
            if "base" in one:
                self._load_adapter(one)
                continue
            host = self._hosting.endpoints.existing(one["host"])
            host_variant = _host_variant(host, {"VariantName": one["variant"]})
            config = one["config"] or {"ProductionVariants": [{"VariantName": one["variant"]}]}
            config = {"EndpointConfigName": host.config_name, **config}
            component = Component(name, self._hosting.arn(KIND, name), config, self._clock, host)
            component.created = one["created"]
            component.failure_reason = one["failure_reason"]
            component.wants(config)
            self._components[name] = component
            if one["failed"]:
                component.move_to("Failed")
                continue
            copies = one["instance_counts"][one["variant"]]
            try:
                config, fleet = self._new(host, host_variant, name, config, copies)
            except AwsError as error:
                component.fail(error.message)
                component.move_to("Failed")
                continue
            self._deploy(component, config, fleet, None)

    def stop_all(self, grace: float) -> None:
        """Stop all containers and forget all components."""
        with self._lock:
            fleets = self.fleets()
            for component in self._components.values():
                if component.pending:
                    component.pending.abandon()
            self._components.clear()
        with ThreadPoolExecutor(max_workers=16) as threads:
            builtins.list(threads.map(lambda fleet: fleet.stop(grace), fleets))

    # Checks

    def _component(self, name: str) -> Component:
        component = self._components.get(name)
        if component is None or not self._hosting.is_visible(component.created):
            rules.refuse(f'Could not find inference component "{self._hosting.arn(KIND, name)}".')
        return component

    def _settled(self, name: str, *allowed: str) -> Component:
        component = self._component(name)
        if component.status not in ("InService", *allowed):
            if component.status == "Failed":
                rules.refuse(
                    f'Cannot update inference component "{component.arn}" in status Failed. Delete it.'
                )
            rules.refuse(f'Cannot update in-progress inference component "{component.arn}".')
        return component

    def _check_specifications(self, request: Mapping[str, Any]) -> None:
        # API_CreateInferenceComponent.html: "either this parameter or the singular Specification parameter, but not both".
        if ("Specification" in request) == ("Specifications" in request):
            rules.refuse("Exactly one of Specification and Specifications must be specified.")
        found = specifications(request)
        types = [one.get("InstanceType") for one in found]
        if len(types) > 1 and (None in types or len(set(types)) < len(types)):
            # API_InferenceComponentSpecification.html: "Required when using … multiple entries."
            rules.refuse("Each of several Specifications must have an InstanceType of its own.")
        for specification in found:
            if "BaseInferenceComponentName" in specification:
                # Assumed, for what is none yet, and for one of several specifications.
                rules.refuse("BaseInferenceComponentName can be specified only for an adapter.")
            if ("ModelName" in specification) == ("Container" in specification):
                rules.refuse("Exactly one of ModelName and Container must be specified for a specification.")
            # API_InferenceComponentSpecification.html: to be omitted for adapters only.
            needs = specification.get("ComputeResourceRequirements")
            if needs is None:
                rules.refuse("ComputeResourceRequirements must be specified.")
            most = needs.get("MaxMemoryRequiredInMb")
            if most is not None and most < needs["MinMemoryRequiredInMb"]:
                rules.refuse("MaxMemoryRequiredInMb must not be less than MinMemoryRequiredInMb.")
            self._model(specification)

    def _model(self, specification: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the model of a specification as CreateModel would be called for it."""
        if name := specification.get("ModelName"):
            return self._hosting.answer("DescribeModel", {"ModelName": name})
        given = specification["Container"]
        container = {name: given[name] for name in ("Image", "Environment") if name in given}
        if "ArtifactUrl" in given:
            container["ModelDataUrl"] = given["ArtifactUrl"]
        model = {"PrimaryContainer": container}
        rules.check_model(model, self._registry)
        return model

    # Adapters: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-adapt.html

    def _create_adapter(
        self, name: str, arn: str, host: Endpoint, request: Mapping[str, Any]
    ) -> dict[str, Any]:
        if "Specifications" in request:
            rules.refuse("Exactly one of Specification and Specifications must be specified.")
        specification = request["Specification"]
        base = self._component(specification["BaseInferenceComponentName"])
        check_adapter(base, host, request)
        adapter = Adapter(name, arn, specification, self._clock, base)
        self._components[name] = adapter
        self._hosting.set_tags(arn, request.get("Tags", []))
        self._load_artifact(adapter, adapter.config_of(specification))
        return {"InferenceComponentArn": arn}

    def _update_adapter(self, adapter: Adapter, request: Mapping[str, Any]) -> dict[str, Any]:
        given = request.get("Specification", {})
        if "RuntimeConfig" in request or "DeploymentConfig" in request or not given:
            # Assumed: it has no copies of its own.
            rules.refuse(f'Of the adapter "{adapter.arn}" only Specification can be updated.')
        specification = {"BaseInferenceComponentName": adapter.base.name, **given}
        if specification["BaseInferenceComponentName"] != adapter.base.name:
            rules.refuse(f'The base of the adapter "{adapter.arn}" cannot be changed.')
        check_adapter(adapter.base, adapter.host, {"Specification": specification})
        adapter.failure_reason = None
        adapter.move_to("Updating")
        self._load_artifact(adapter, adapter.config_of(specification))
        return {"InferenceComponentArn": adapter.arn}

    def _load_artifact(self, adapter: Adapter, config: Mapping[str, Any]) -> None:
        """Have the base's containers load an adapter, which takes its real time, without the lock."""
        status, since = adapter.status, adapter.modified
        due = self._clock.now() + timedelta(seconds=self._transition_seconds)

        def load() -> None:
            failure: str | None = None
            try:
                self._hosting.runtime.load_adapter(adapter, config)
            except AwsError as error:
                failure = error.message
            self._clock.call_later((due - self._clock.now()).total_seconds(), lambda: end(failure))

        def end(failure: str | None) -> None:
            with self._lock:
                current = self._components.get(adapter.name) is adapter
                if not current or (adapter.status, adapter.modified) != (status, since):
                    return
                if failure is None:
                    adapter.config = config
                else:
                    adapter.fail(failure)
                adapter.move_to("InService" if adapter.config else "Failed")

        self._clock.run(load)

    def _load_adapter(self, one: Mapping[str, Any]) -> None:
        base = self._components[one["base"]]
        specification = one["config"]["Specification"]
        adapter = Adapter(one["name"], self._hosting.arn(KIND, one["name"]), specification, self._clock, base)
        adapter.created, adapter.failure_reason = one["created"], one["failure_reason"]
        self._components[adapter.name] = adapter
        if not one["failed"]:
            # The containers learn of it with the first invocation.
            adapter.config = adapter.config_of(specification)
        adapter.move_to("Failed" if one["failed"] else "InService")

    def _adapters_of(self, component: Component) -> builtins.list[Adapter]:
        every = self._components.values()
        return [one for one in every if isinstance(one, Adapter) and one.base is component]

    # Transitions

    def _new(
        self,
        host: Endpoint,
        host_variant: Mapping[str, Any],
        name: str,
        request: Mapping[str, Any],
        copies: int,
    ) -> tuple[dict[str, Any], Fleet]:
        """Return what is to serve, in the form of an endpoint config, and the fleet of it."""
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
            "EndpointConfigName": host.config_name,
            "ProductionVariants": [variant],
            **{
                member: request[member] for member in ("Specification", "Specifications") if member in request
            },
        }
        fleet_plan = FleetPlan(
            endpoint_name=host.name,
            region=self._hosting.region,
            config_name=host.config_name,
            variants=[variant],
            shadows=frozenset(),
            models={name: model},
            log_group=f"/aws/sagemaker/InferenceComponents/{name}",
        )
        return config, Fleet(fleet_plan, self._engine, self._registry, self._folder, self._clock)

    def _deploy(
        self,
        component: Component,
        config: Mapping[str, Any],
        fleet: Fleet,
        deployment: Mapping[str, Any] | None,
    ) -> None:
        component.wants(config)
        before = component.fleet.instances if component.fleet else {}
        component.pending = Deployment(
            config,
            fleet,
            component.fleet,
            plan(deployment, before, fleet.instances),
            owner=component,
            clock=self._clock,
            lock=self._lock,
            capacity=self._capacity,
            alarm_state=self._hosting.alarm_state,
            transition_seconds=self._transition_seconds,
        )
        component.pending.begin()
        self._fit_instances(component.host, component.variant_name)

    def _want_copies(self, component: Component, copies: int) -> None:
        fleet = component.fleet
        assert fleet is not None  # noqa: S101 - what is InService has a fleet
        copy_fleet = fleet.variants[0]
        component.failure_reason = None
        component.move_to("Updating")
        failure: str | None = None
        try:
            self._capacity.take(copy_fleet.instance_types, copies - (copy_fleet.instance_count or 0))
        except InsufficientCapacity as shortage:
            failure = str(shortage)
        copy_fleet.want({"DesiredInstanceCount": copies})
        if failure is None:
            self._fit_instances(component.host, component.variant_name)

        def end() -> None:
            if failure is None:
                fleet.become_what_is_wanted()
            else:
                # As with the instances of a variant (assumed): it goes on with the copies that it has.
                component.fail(failure)
                fleet.variants[0].stay_what_it_is()
            component.move_to("InService")

        self._after_transition(component, end)

    def _fit_instances(self, host: Endpoint, variant_name: str) -> None:
        """Let a variant that scales its instances by itself have none while no copies are wanted, and one again for the first.

        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html
        """
        variant = host.fleet.variants_by_name.get(variant_name) if host.fleet else None
        scaling = variant.config.get("ManagedInstanceScaling", {}) if variant else {}
        if variant is None or scaling.get("Status") != "ENABLED":
            return
        wanted = sum(
            fleet.variants[0].desired_instance_count or 0
            for component in self._components.values()
            if component.host is host and component.variant_name == variant_name
            for fleet in component.fleets()
            if not (component.pending and component.pending.is_short and fleet is component.pending.fleet)
        )
        least, now = scaling.get("MinInstanceCount", 1), variant.instance_count or 0
        count = max(now, least, 1) if wanted else min(now, least)
        variant.instance_count = variant.desired_instance_count = count

    def _delete(self, component: Component) -> None:
        del self._components[component.name]
        self._hosting.forget_tags(component.arn)
        # As with the variants of an endpoint (assumed).
        self._hosting.scaling.forget(f"{KIND}/{component.name}")
        self._fit_instances(component.host, component.variant_name)
        if isinstance(component, Adapter):
            self._clock.run(partial(self._hosting.runtime.unload_adapter, component))
        for fleet in component.fleets():
            fleet.retire()

    def _after_transition(self, component: Component, function: Any) -> None:
        """Go on with a component after a while, if it is as it was."""
        status, since = component.status, component.modified

        def go_on() -> None:
            with self._lock:
                current = self._components.get(component.name) is component
                if current and (component.status, component.modified) == (status, since):
                    function()

        self._clock.call_later(self._transition_seconds, go_on)


class ComponentCopies:
    """The copies of an inference component, for Application Auto Scaling.

    :param components: The components.
    """

    noun = "desired copy count"

    def __init__(self, components: Components) -> None:
        self._components = components

    def check(self, resource_id: str, minimum: int) -> None:
        """Refuse components that are not there; none at all is a minimum, too."""
        if self._find(resource_id) is None:
            # The resource must exist; the sentence is assumed.
            raise AwsError("ValidationException", f"Could not find the scalable resource {resource_id}.")

    def capacity(self, resource_id: str) -> int | None:
        """Return the copies now."""
        component = self._find(resource_id)
        return component.copies.instance_count if component and component.copies else None

    def is_active(self, resource_id: str) -> bool:
        """Tell whether the copies can be changed now."""
        component = self._find(resource_id)
        return component is not None and component.status == "InService"

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to start or stop copies."""
        self._components.set_copies(resource_id.partition("/")[2], capacity)

    def _find(self, resource_id: str) -> Component | None:
        match = _RESOURCE_ID.fullmatch(resource_id)
        found = self._components.find(match[1]) if match else None
        # The copies of an adapter are its base's.
        return None if isinstance(found, Adapter) else found


def _host_variant(host: Endpoint, request: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the variant of an endpoint on whose instances a component is to be."""
    variants: Any = host.config["ProductionVariants"]
    if any("ModelName" in variant for variant in variants):
        # hashicorp/terraform-provider-aws#40644
        rules.refuse(
            "Inference Components are not supported in this Endpoint. Please make sure this endpoint can deploy inference "
            "components."
        )
    name = request.get("VariantName")
    if name is None:
        rules.refuse("VariantName must be specified.")
    found = next((variant for variant in variants if variant["VariantName"] == name), None)
    if found is None:
        rules.refuse(f'Could not find variant "{name}" of endpoint "{host.arn}".')
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

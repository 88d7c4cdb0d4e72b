"""One Region: SageMaker hosting, its runtime, its scaling, CodeBuild and CloudFormation, put together."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from airflow_sm_hosting.local.autoscaling.dimensions import (
    CONCURRENCY,
    COPIES,
    INSTANCES,
    ComponentCopies,
    VariantConcurrency,
    VariantInstances,
)
from airflow_sm_hosting.local.autoscaling.service import AutoScaling
from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.cloudformation.client import ServiceCall, no_services
from airflow_sm_hosting.local.cloudformation.service import CloudFormation
from airflow_sm_hosting.local.cloudwatch.region import RegionalCloudWatch
from airflow_sm_hosting.local.codebuild.service import CodeBuild
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.runtime.backlog import Backlog
from airflow_sm_hosting.local.runtime.service import Runtime
from airflow_sm_hosting.local.sagemaker.components.adapter import Adapter
from airflow_sm_hosting.local.sagemaker.components.service import NO_ROOM, Components
from airflow_sm_hosting.local.sagemaker.endpoint_configs import EndpointConfigs
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import Capacity, Shortages
from airflow_sm_hosting.local.sagemaker.endpoints.deployment import Conditions
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet, FleetFactory
from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.models import Models
from airflow_sm_hosting.local.sagemaker.operations import SageMaker
from airflow_sm_hosting.local.sagemaker.packages.groups import PackageGroups
from airflow_sm_hosting.local.sagemaker.packages.service import Packages
from airflow_sm_hosting.local.sagemaker.quotas import Quotas
from airflow_sm_hosting.local.sagemaker.search.service import Search
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.tagging.service import Tagging


class Region:
    """SageMaker hosting in one Region.

    It answers what endpoints, inference components and IAM ask of their neighbours, so that none of them knows the others.

    :param name: The Region's name.
    :param engine: Runs containers.
    :param registry: Has the images.
    :param folder: An existing folder for model data.
    :param transition_seconds: How long a transition of an endpoint takes at least.
    :param clock: The clock.
    :param consistency_seconds: How long a created resource cannot be found yet.
    :param cloudwatch: The Region's metrics and alarms. Default: its own, which nothing evaluates.
    :param alarm_state: Returns the state of an alarm by its name, None if there is no such alarm. Default: that of
        ``cloudwatch``.
    :param shortages: Source of simulated capacity shortages. Default: there are none.
    :param backlog: Saves asynchronous requests over a restart. Default: nothing does.
    :param quotas: The account's quotas. Default: there are none.
    :param is_assumable: Tells by its ARN whether SageMaker can assume a role. Default: any role.
    :param call: Calls the services of the Region, for stacks. Default: there are none.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        registry: Registry,
        folder: Path,
        transition_seconds: float,
        clock: Clock,
        consistency_seconds: float = 0.0,
        cloudwatch: RegionalCloudWatch | None = None,
        alarm_state: Callable[[str], str | None] | None = None,
        shortages: Shortages | None = None,
        backlog: Backlog | None = None,
        quotas: Quotas | None = None,
        is_assumable: Callable[[str], bool] | None = None,
        call: ServiceCall = no_services,
    ) -> None:
        self._is_assumable = is_assumable or (lambda _: True)
        cloudwatch = cloudwatch or RegionalCloudWatch(name, clock)
        self.endpoint_metrics = EndpointMetrics(cloudwatch.metrics, clock)
        self._store = store = Store(name, clock, consistency_seconds)
        fleets = FleetFactory(engine, registry, folder, clock)

        def conditions(capacity: Capacity) -> Conditions:
            return Conditions(
                clock, store.lock, capacity, alarm_state or cloudwatch.alarms.state, transition_seconds
            )

        self.endpoints = Endpoints(store, fleets, conditions(Capacity(shortages)), self, quotas or Quotas())
        # The endpoint has its instances already: what is short is room on them, or more of them to make room. That a copy
        # takes a whole instance is assumed.
        self.components = Components(
            store,
            self.endpoints,
            registry,
            fleets,
            conditions(Capacity(shortages, NO_ROOM)),
            self.endpoint_metrics,
            self,
        )
        self.runtime = Runtime(name, clock, self.endpoints, self.components, self.endpoint_metrics, backlog)
        self.scaling = AutoScaling(
            name,
            store.lock,
            cloudwatch.alarms,
            clock,
            {
                INSTANCES: VariantInstances(store, self.endpoints),
                CONCURRENCY: VariantConcurrency(store, self.endpoints),
                COPIES: ComponentCopies(self.components),
            },
        )
        self.codebuild = CodeBuild(name, engine, clock, lambda: f"http://{registry.host}")
        self.cloudformation = CloudFormation(name, clock, call)
        self.tagging = Tagging(name, store.lock, (store.tags, cloudwatch.tags, self.scaling.tags))
        self.package_groups = PackageGroups(store)
        self.packages = Packages(store, self.package_groups, registry)
        models = Models(store, registry, self._is_assumable, self.packages)
        search = Search(store, self.endpoints, models, self.package_groups, self.packages)
        self.sagemaker = SageMaker(
            store,
            models.operations,
            EndpointConfigs(store).operations,
            self.endpoints.operations,
            self.components.operations,
            self.package_groups.operations,
            self.packages.operations,
            search.operations,
            tag_owner=self.packages.tag_owner,
            is_searched=search.answers,
        )

    def stop_all(self, grace: float) -> None:
        """Stop all containers, and forget all stacks, endpoints, inference components and builds."""
        self.cloudformation.close()
        self.runtime.close()
        self.components.stop_all(grace)
        self.endpoints.stop_all(grace)
        self.codebuild.stop_all()

    # Saved state

    def dump(self) -> dict[str, Any]:
        """Return what is saved over a restart."""
        # Without the lock: CloudFormation calls the other services while it holds its own.
        stacks = self.cloudformation.dump()
        with self._store.lock:
            # A copy: what is shared with the Region changes while it is written.
            return copy.deepcopy(
                {
                    **self._store.dump(),
                    "package_groups": self.package_groups.dump(),
                    "packages": self.packages.dump(),
                    "endpoints": self.endpoints.dump(),
                    "components": self.components.dump(),
                    "scaling": self.scaling.dump(),
                    "codebuild": self.codebuild.dump(),
                    "cloudformation": stacks,
                }
            )

    def load(self, saved: Mapping[str, Any]) -> None:
        """Restore saved state."""
        with self._store.lock:
            self._store.load(saved)
            # Not in the state of version 0.2.
            self.package_groups.load(saved.get("package_groups", ()))
            self.packages.load(saved.get("packages", ()))
            self.endpoints.load(saved["endpoints"])
            self.components.load(saved["components"])
            self.scaling.load(saved["scaling"])
            if "codebuild" in saved:  # not in the state of version 0.2
                self.codebuild.load(saved["codebuild"])
            if "cloudformation" in saved:
                self.cloudformation.load(saved["cloudformation"])

    # For endpoints

    def check_endpoint_change(self, endpoint: HostedEndpoint, new_config: Mapping[str, Any] | None) -> None:
        """Refuse a change that inference components on the endpoint do not allow."""
        self.components.check_host(endpoint, new_config)

    def component_fleets(self) -> list[Fleet]:
        """Return the fleets of all inference components."""
        return self.components.fleets()

    def is_assumable(self, role_arn: str) -> bool:
        """Return whether SageMaker can assume a role."""
        return self._is_assumable(role_arn)

    def is_scalable_target(self, resource_id: str) -> bool:
        """Return whether a resource is a scalable target, of any dimension."""
        return self.scaling.is_registered(resource_id)

    def deregister(self, resource_id: str) -> None:
        """Deregister the scalable targets of a deleted resource."""
        self.scaling.forget(resource_id)

    # For inference components

    def load_adapter(self, adapter: Adapter, specification: Mapping[str, Any]) -> None:
        """Have the containers of an adapter's base load it."""
        self.runtime.load_adapter(adapter, specification)

    def unload_adapter(self, adapter: Adapter) -> None:
        """Have the containers of an adapter's base unload it."""
        self.runtime.unload_adapter(adapter)

    # For IAM

    def endpoint_config_name(self, endpoint_name: str) -> str | None:
        """Return the name of the endpoint config in service, None if there is no such endpoint."""
        endpoint = self.endpoints.find(endpoint_name)
        return endpoint.serving.config_name if endpoint else None

    def endpoint_config(self, name: str) -> Mapping[str, Any] | None:
        """Return an endpoint config, None if there is none."""
        return self._store.configs.get(name)

    def is_scaled(self, endpoint_name: str) -> bool:
        """Return whether a variant of an endpoint is a scalable target."""
        return self.scaling.is_scaled(endpoint_name)

    def scalable_target_tags(self, arn: str) -> Mapping[str, str]:
        """Return the tags of a scalable target; none if there is no such target."""
        return self.scaling.tags_of(arn)

"""Endpoints: their life from Creating to gone, with blue/green updates that fall back to the old fleet."""

from __future__ import annotations

import builtins
import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.local import moto_backends, rules
from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.engines import Engine
from airflow_sm_hosting.local.fleet import Abandoned, Fleet, FleetError, FleetPlan, variant_summary
from airflow_sm_hosting.local.listing import page
from airflow_sm_hosting.local.protocol import now
from airflow_sm_hosting.local.registry import Registry

if TYPE_CHECKING:
    from airflow_sm_hosting.local.hosting import Hosting

LOG = logging.getLogger(__name__)

# DescribeEndpoint's FailureReason has at most 1024 characters.
_MAX_REASON = 1024


@dataclass
class Endpoint:
    """One endpoint.

    :param name: Its name, in the caller's case.
    :param arn: Its ARN.
    :param config_name: The endpoint config that serves.
    :param status: ``EndpointStatus``.
    :param fleet: What serves; None while it is created, and after that failed.
    :param pending: The deployment in progress.
    """

    name: str
    arn: str
    config_name: str
    status: str
    created: datetime
    modified: datetime
    fleet: Fleet | None = None
    config: Mapping[str, Any] = field(default_factory=dict)
    pending: Deployment | None = None
    failure_reason: str | None = None
    last_deployment_config: Mapping[str, Any] | None = None

    def move_to(self, status: str) -> None:
        """Change the status."""
        LOG.info("endpoint %s: %s -> %s", self.name, self.status, status)
        self.status = status
        self.modified = now()


@dataclass
class Deployment:
    """A new fleet on its way into service.

    :param config: The endpoint config that is deployed.
    :param fleet: The fleet that is started.
    """

    config: Mapping[str, Any]
    fleet: Fleet
    started: datetime = field(default_factory=now)

    def summary(self) -> dict[str, Any]:
        """Return DescribeEndpoint's ``PendingDeploymentSummary``."""
        shadows = {variant["VariantName"] for variant in self.config.get("ShadowProductionVariants", ())}
        rows = [
            variant_summary(variant, pending=True, status="Creating", status_since=self.started)
            for variant in self.fleet.variants
        ]
        summary = {
            "EndpointConfigName": self.config["EndpointConfigName"],
            "ProductionVariants": [row for row in rows if row["VariantName"] not in shadows],
            "StartTime": self.started,
        }
        if shadows:
            summary["ShadowProductionVariants"] = [row for row in rows if row["VariantName"] in shadows]
        return summary


class Endpoints:
    """The endpoints of one Region.

    :param hosting: Models and configs.
    :param lock: Guards all state of the Region.
    :param engine: What runs containers.
    :param registry: Where images are.
    :param folder: An existing folder for model data.
    :param transition_seconds: How long a transition takes at least.
    :param clock: What tells the time.
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
    ) -> None:
        self._clock = clock
        self._hosting = hosting
        self._lock = lock
        self._engine = engine
        self._registry = registry
        self._folder = folder
        self._transition_seconds = transition_seconds
        self._endpoints: dict[str, Endpoint] = {}

    # Operations, called with the lock held

    def create(self, request: dict[str, Any]) -> dict[str, Any]:
        """CreateEndpoint."""
        name = request["EndpointName"]
        arn = self._hosting.arn("endpoint", name)
        # "The name is case-insensitive in CreateEndpoint": API_CreateEndpoint.html
        if name.lower() in (existing.lower() for existing in self._endpoints):
            rules.refuse(f'Cannot create already existing endpoint "{arn}".')
        config = self._hosting.config(request["EndpointConfigName"])
        fleet = self._new_fleet(name, config)
        time_now = now()
        endpoint = Endpoint(
            name=name,
            arn=arn,
            config_name=config["EndpointConfigName"],
            status="Creating",
            created=time_now,
            modified=time_now,
            pending=Deployment(config, fleet),
            # CreateEndpoint stores it and has no deployment to apply it to (assumed).
            last_deployment_config=request.get("DeploymentConfig"),
        )
        self._endpoints[name] = endpoint
        self._hosting.set_tags(arn, request.get("Tags", []))
        self._in_background(endpoint, lambda: self._deploy(endpoint))
        return {"EndpointArn": arn}

    def describe(self, request: dict[str, Any]) -> dict[str, Any]:
        """DescribeEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        description: dict[str, Any] = {
            "EndpointName": endpoint.name,
            "EndpointArn": endpoint.arn,
            "EndpointConfigName": endpoint.config_name,
            "EndpointStatus": endpoint.status,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
        }
        if endpoint.fleet:
            status = "Updating" if endpoint.status == "Updating" and not endpoint.pending else None
            shadows = {v["VariantName"] for v in endpoint.config.get("ShadowProductionVariants", ())}
            rows = [
                variant_summary(variant, pending=False, status=status, status_since=endpoint.modified)
                for variant in endpoint.fleet.variants
            ]
            description["ProductionVariants"] = [row for row in rows if row["VariantName"] not in shadows]
            if shadows:
                description["ShadowProductionVariants"] = [
                    row for row in rows if row["VariantName"] in shadows
                ]
        for member in (
            "AsyncInferenceConfig",
            "ExplainerConfig",
            "MetricsConfig",
            "CrossRegionTrafficConfig",
        ):
            if member in endpoint.config:
                description[member] = endpoint.config[member]
        if capture := endpoint.config.get("DataCaptureConfig"):
            description["DataCaptureConfig"] = {
                "EnableCapture": capture.get("EnableCapture", False),
                "CaptureStatus": "Started" if capture.get("EnableCapture") else "Stopped",
                "CurrentSamplingPercentage": capture["InitialSamplingPercentage"],
                "DestinationS3Uri": capture["DestinationS3Uri"],
                "KmsKeyId": capture.get("KmsKeyId", ""),
            }
        if endpoint.failure_reason:
            description["FailureReason"] = endpoint.failure_reason
        if endpoint.last_deployment_config:
            description["LastDeploymentConfig"] = endpoint.last_deployment_config
        if endpoint.pending:
            description["PendingDeploymentSummary"] = endpoint.pending.summary()
        return description

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
        )
        found, token = page(rows, request, name="EndpointName", status="EndpointStatus")
        return {"Endpoints": found, **({"NextToken": token} if token else {})}

    def update(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpoint: blue/green, all at once."""
        endpoint = self._endpoint(request["EndpointName"])
        self._check_settled(endpoint)
        # hashicorp/terraform-provider-aws#40048: the old config is read again.
        old = self._hosting.config(endpoint.config_name)
        new = self._hosting.config(request["EndpointConfigName"])
        self._check_scaled_variants(endpoint, old, new)
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
        rules.check_deployment_config(deployment_config, old["ProductionVariants"], new["ProductionVariants"])
        fleet = self._new_fleet(endpoint.name, new, retained=self._retained(endpoint, request))
        endpoint.pending = Deployment(new, fleet)
        endpoint.failure_reason = None
        endpoint.last_deployment_config = deployment_config
        endpoint.move_to("Updating")
        self._in_background(endpoint, lambda: self._deploy(endpoint))
        return {"EndpointArn": endpoint.arn}

    def update_weights_and_capacities(self, request: dict[str, Any]) -> dict[str, Any]:
        """UpdateEndpointWeightsAndCapacities."""
        endpoint = self._endpoint(request["EndpointName"])
        self._check_settled(endpoint)
        wanted = request["DesiredWeightsAndCapacities"]
        names = [change["VariantName"] for change in wanted]
        if len(set(names)) < len(names):
            rules.refuse("Each variant can be named only once in DesiredWeightsAndCapacities.")
        assert endpoint.fleet is not None  # noqa: S101 - what is InService has a fleet
        for change in wanted:
            variant = endpoint.fleet.variants_by_name.get(change["VariantName"])
            if variant is None:
                rules.refuse(
                    f'Could not find variant "{change["VariantName"]}" of endpoint "{endpoint.arn}".'
                )
            if variant.instance_count is None and "DesiredInstanceCount" in change:
                rules.refuse("DesiredInstanceCount cannot be specified for serverless variants.")
        for change in wanted:
            endpoint.fleet.variants_by_name[change["VariantName"]].want(change)
        endpoint.failure_reason = None
        endpoint.move_to("Updating")
        self._in_background(endpoint, lambda: self._apply_weights(endpoint))
        return {"EndpointArn": endpoint.arn}

    def delete(self, request: dict[str, Any]) -> dict[str, Any]:
        """DeleteEndpoint."""
        endpoint = self._endpoint(request["EndpointName"])
        if endpoint.status != "Failed":
            # A failed endpoint can be deleted, and nothing else.
            self._check_settled(endpoint)
        endpoint.move_to("Deleting")
        self._in_background(endpoint, lambda: self._delete(endpoint))
        return {}

    # For the runtime and the scaling

    def find(self, name: str) -> Endpoint | None:
        """Return the endpoint of exactly that name."""
        return self._endpoints.get(name)

    def variant_config(self, endpoint_name: str, variant_name: str) -> Mapping[str, Any] | None:
        """Return the config of a variant that serves or is about to, or None where there is none."""
        with self._lock:
            endpoint = self._endpoints.get(endpoint_name)
            if endpoint is None:
                return None
            config = endpoint.config or (endpoint.pending.config if endpoint.pending else {})
            return next(
                (v for v in config.get("ProductionVariants", ()) if v["VariantName"] == variant_name), None
            )

    def stop_all(self, grace: float) -> None:
        """Stop all fleets and forget all endpoints."""
        with self._lock:
            endpoints = builtins.list(self._endpoints.values())
            self._endpoints.clear()
        fleets = [fleet for e in endpoints for fleet in (e.fleet, e.pending and e.pending.fleet) if fleet]
        with ThreadPoolExecutor(max_workers=16) as threads:
            builtins.list(threads.map(lambda fleet: fleet.stop(grace), fleets))

    # Checks

    def _endpoint(self, name: str) -> Endpoint:
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            # aws/amazon-sagemaker-operator-for-k8s looks for this text.
            rules.refuse(f'Could not find endpoint "{self._hosting.arn("endpoint", name)}".')
        return endpoint

    def _check_settled(self, endpoint: Endpoint) -> None:
        if endpoint.status == "Failed":
            # "DeleteEndpoint is the only operation that can be performed on a failed endpoint":
            # API_DescribeEndpoint.html; the sentence is assumed.
            rules.refuse(f'Cannot update endpoint "{endpoint.arn}" in status Failed. Delete it.')
        if endpoint.status != "InService":
            # The same text for updates and deletes (amazon-sagemaker-operator-for-k8s).
            rules.refuse(f'Cannot update in-progress endpoint "{endpoint.arn}".')

    def _check_scaled_variants(
        self, endpoint: Endpoint, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> None:
        # https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling.html; the sentences are assumed.
        scaled = {target.resource_id for target in moto_backends.scalable_targets(self._hosting.region)}
        wanted = {variant["VariantName"]: variant for variant in new["ProductionVariants"]}
        for variant in old["ProductionVariants"]:
            name = variant["VariantName"]
            if f"endpoint/{endpoint.name}/variant/{name}" not in scaled:
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

    def _new_fleet(
        self, endpoint_name: str, config: Mapping[str, Any], retained: Mapping[str, Any] | None = None
    ) -> Fleet:
        variants = [*config["ProductionVariants"], *config.get("ShadowProductionVariants", ())]
        models = {}
        for name in {variant["ModelName"] for variant in variants if "ModelName" in variant}:
            if name not in self._hosting.models:
                # Deleting a model that a config names is accepted, and bites here.
                rules.refuse(f'Could not find model "{self._hosting.arn("model", name)}".')
            models[name] = self._hosting.models[name]
        plan = FleetPlan(endpoint_name, self._hosting.region, variants, models, **(retained or {}))
        return Fleet(plan, self._engine, self._registry, self._folder)

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

    def _deploy(self, endpoint: Endpoint) -> None:
        """Start the pending fleet, and put it into service or fall back to what was."""
        assert endpoint.pending is not None  # noqa: S101 - set by the operation that started this
        deployment = endpoint.pending
        began = time.monotonic()
        failure: str | None = None
        try:
            deployment.fleet.start()
        except Abandoned:
            deployment.fleet.stop_in_background()
            return
        except FleetError as error:
            failure = str(error)
        except Exception as error:
            LOG.exception("endpoint %s: the new fleet cannot be started", endpoint.name)
            failure = f"Request to service failed: {error}"
        self._wait_out(began)
        with self._lock:
            if self._endpoints.get(endpoint.name) is not endpoint:
                deployment.fleet.stop_in_background()
                return
            endpoint.pending = None
            if failure:
                endpoint.failure_reason = failure[:_MAX_REASON]
                LOG.warning("endpoint %s: %s", endpoint.name, endpoint.failure_reason)
                # A failed update leaves the old fleet and config in service, with the reason (ACK's controller tests).
                endpoint.move_to("InService" if endpoint.fleet else "Failed")
                retired: Fleet | None = deployment.fleet
            else:
                retired, endpoint.fleet = endpoint.fleet, deployment.fleet
                endpoint.config = deployment.config
                endpoint.config_name = deployment.config["EndpointConfigName"]
                endpoint.move_to("InService")
        if retired:
            retired.stop_in_background()

    def _apply_weights(self, endpoint: Endpoint) -> None:
        self._wait_out(time.monotonic())
        with self._lock:
            if self._endpoints.get(endpoint.name) is not endpoint or endpoint.fleet is None:
                return
            for variant in endpoint.fleet.variants:
                variant.become_what_is_wanted()
            endpoint.move_to("InService")

    def _delete(self, endpoint: Endpoint) -> None:
        self._wait_out(time.monotonic())
        with self._lock:
            if self._endpoints.pop(endpoint.name, None) is None:
                return
            self._hosting.forget_tags(endpoint.arn)
        # The service deregisters what is scaled (awslabs/stable-diffusion-aws-extension 161 quotes its permission error).
        for target in moto_backends.scalable_targets(self._hosting.region):
            if target.resource_id.startswith(f"endpoint/{endpoint.name}/variant/"):
                moto_backends.forget_scaling(self._hosting.region, target.resource_id)
        if endpoint.fleet:
            endpoint.fleet.stop_in_background()

    def _wait_out(self, began: float) -> None:
        time.sleep(max(0.0, began + self._transition_seconds - time.monotonic()))

    def _in_background(self, endpoint: Endpoint, transition: Callable[[], None]) -> None:
        threading.Thread(target=transition, name=f"endpoint-{endpoint.name}", daemon=True).start()

"""What Application Auto Scaling can scale of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from airflow_sm_hosting.local.sagemaker.components.component import KIND, Component
from airflow_sm_hosting.local.sagemaker.components.service import Components
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet
from airflow_sm_hosting.local.sagemaker.store import Store
from airflow_sm_hosting.local.wire.errors import AwsError

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
_COMPONENT = re.compile(rf"{KIND}/([^/]+)")
# "t2.medium … cannot be registered": aws-controllers-k8s/community#1633
_BURSTABLE = re.compile(r"ml\.t\d")


class Dimension(Protocol):
    """What can be scaled."""

    noun: str

    def check(self, resource_id: str, minimum: int) -> None:
        """Refuse what cannot be registered.

        :raises AwsError: Why.
        """

    def capacity(self, resource_id: str) -> int | None:
        """Return the capacity now, None where the resource is gone."""

    def is_active(self, resource_id: str) -> bool:
        """Return whether the capacity can be changed now."""

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to change the capacity.

        :raises AwsError: The refusal.
        """


class _Variants:
    """What variants of endpoints have in common."""

    def __init__(self, store: Store, endpoints: Endpoints) -> None:
        self._store = store
        self._endpoints = endpoints

    def is_active(self, resource_id: str) -> bool:
        endpoint = self._endpoint(resource_id)
        return endpoint is not None and endpoint.status == "InService"

    def _endpoint(self, resource_id: str) -> HostedEndpoint | None:
        return self._endpoints.visible(endpoint_and_variant(resource_id)[0])

    def _variant(self, resource_id: str) -> VariantFleet | None:
        endpoint = self._endpoint(resource_id)
        fleet = endpoint.serving.fleet if endpoint else None
        return fleet.variants_by_name.get(endpoint_and_variant(resource_id)[1]) if fleet else None

    def _config(self, resource_id: str) -> Mapping[str, Any]:
        endpoint, variant = endpoint_and_variant(resource_id)
        config = self._endpoints.variant_config(endpoint, variant)
        if config is None:
            # The resource must exist; the sentence is assumed.
            raise AwsError(
                "ValidationException",
                f'Could not find variant "{variant}" of endpoint "{self._store.arn("endpoint", endpoint)}".',
            )
        return config


class VariantInstances(_Variants):
    """The instances of a variant."""

    noun = "desired instance count"

    def check(self, resource_id: str, minimum: int) -> None:
        """Refuse variants that are not there, serverless, or of a burstable type, and no instance for a real-time one."""
        config = self._config(resource_id)
        instance_type = config.get("InstanceType", "")
        if "ServerlessConfig" in config:
            # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html (assumed sentence)
            raise AwsError(
                "ValidationException",
                "A serverless variant can be scaled by its provisioned concurrency only.",
            )
        if _BURSTABLE.match(instance_type):
            raise AwsError(
                "ValidationException",
                f"You cannot register a variant with {instance_type} instance type as a scalable target. Burstable instance "
                "types are not supported for automatic scaling.",
            )
        endpoint = self._endpoint(resource_id)
        if minimum == 0 and "ModelName" in config and not (endpoint and endpoint.is_asynchronous):
            # "Minimum instance count is required to be 1 or higher" (endpoint-auto-scaling-edit.html), but for asynchronous
            # endpoints (async-inference-autoscale.html) and those of inference components
            # (endpoint-auto-scaling-zero-instances.html); the sentence is assumed.
            raise AwsError(
                "ValidationException",
                "MinCapacity must be 1 or more: only asynchronous endpoints and endpoints for inference components can be "
                "scaled to zero instances.",
            )

    def capacity(self, resource_id: str) -> int | None:
        """Return the instances now."""
        variant = self._variant(resource_id)
        return variant.instance_count or 0 if variant else None

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to start or stop instances."""
        self._endpoints.set_desired(*endpoint_and_variant(resource_id), instance_count=capacity)


class VariantConcurrency(_Variants):
    """The provisioned concurrency of a serverless variant."""

    noun = "desired provisioned concurrency"

    def check(self, resource_id: str, minimum: int) -> None:
        """Refuse variants that are not there or have no provisioned concurrency, which is then at least 1."""
        config = self._config(resource_id)
        if "ProvisionedConcurrency" not in config.get("ServerlessConfig", {}):
            # https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints-autoscale.html: only with provisioned
            # concurrency (assumed sentence).
            raise AwsError("ValidationException", "The variant has no provisioned concurrency to scale.")
        if minimum < 1:
            raise AwsError(
                "ValidationException", "MinCapacity must be 1 or more for provisioned concurrency."
            )

    def capacity(self, resource_id: str) -> int | None:
        """Return the provisioned concurrency now."""
        variant = self._variant(resource_id)
        return variant.serverless_config.get("ProvisionedConcurrency") if variant else None

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to change the provisioned concurrency."""
        self._endpoints.set_desired(*endpoint_and_variant(resource_id), provisioned_concurrency=capacity)


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
        """Return whether the copies can be changed now."""
        component = self._find(resource_id)
        return component is not None and component.status == "InService"

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to start or stop copies."""
        self._components.set_copies(resource_id.partition("/")[2], capacity)

    def _find(self, resource_id: str) -> Component | None:
        # The copies of an adapter are its base's, so an adapter is not found.
        match = _COMPONENT.fullmatch(resource_id)
        return self._components.find(match[1]) if match else None


def endpoint_and_variant(resource_id: str) -> tuple[str, str]:
    """Return endpoint and variant of ``endpoint/<name>/variant/<name>``."""
    match = VARIANT.fullmatch(resource_id)
    assert match  # noqa: S101 - what is registered has this form
    return match[1], match[2]

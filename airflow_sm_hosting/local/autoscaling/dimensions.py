"""What Application Auto Scaling can scale of SageMaker."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from airflow_sm_hosting.local.wire.protocol import AwsError

if TYPE_CHECKING:
    from airflow_sm_hosting.local.sagemaker.hosting import Hosting

INSTANCES = "sagemaker:variant:DesiredInstanceCount"
CONCURRENCY = "sagemaker:variant:DesiredProvisionedConcurrency"
COPIES = "sagemaker:inference-component:DesiredCopyCount"
VARIANT = re.compile(r"endpoint/([^/]+)/variant/([^/]+)")
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
        """Tell whether the capacity can be changed now."""

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to change the capacity.

        :raises AwsError: The refusal.
        """


class _Variants:
    """What variants of endpoints have in common."""

    def __init__(self, hosting: Hosting) -> None:
        self._hosting = hosting

    def is_active(self, resource_id: str) -> bool:
        endpoint = self._endpoint(resource_id)
        return bool(endpoint) and endpoint["EndpointStatus"] == "InService"

    def _endpoint(self, resource_id: str) -> dict[str, Any]:
        name = names(resource_id)[0]
        try:
            return self._hosting.answer("DescribeEndpoint", {"EndpointName": name})
        except AwsError:
            return {}

    def _variant(self, resource_id: str) -> dict[str, Any]:
        endpoint = self._endpoint(resource_id)
        wanted = names(resource_id)[1]
        return next(
            (one for one in endpoint.get("ProductionVariants", ()) if one["VariantName"] == wanted), {}
        )

    def _config(self, resource_id: str) -> Mapping[str, Any]:
        endpoint, variant = names(resource_id)
        config = self._hosting.endpoints.variant_config(endpoint, variant)
        if config is None:
            # The resource must exist; the sentence is assumed.
            raise AwsError(
                "ValidationException",
                f'Could not find variant "{variant}" of endpoint "{self._hosting.arn("endpoint", endpoint)}".',
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
        if (
            minimum == 0
            and "ModelName" in config
            and "AsyncInferenceConfig" not in self._endpoint(resource_id)
        ):
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
        return self._variant(resource_id).get("CurrentInstanceCount")

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to start or stop instances."""
        self._hosting.endpoints.set_desired(*names(resource_id), instance_count=capacity)


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
        now: dict[str, int] = self._variant(resource_id).get("CurrentServerlessConfig", {})
        return now.get("ProvisionedConcurrency")

    def change(self, resource_id: str, capacity: int) -> None:
        """Begin to change the provisioned concurrency."""
        self._hosting.endpoints.set_desired(*names(resource_id), provisioned_concurrency=capacity)


def names(resource_id: str) -> tuple[str, str]:
    """Return endpoint and variant of ``endpoint/<name>/variant/<name>``."""
    match = VARIANT.fullmatch(resource_id)
    assert match  # noqa: S101 - what is registered has this form
    return match[1], match[2]

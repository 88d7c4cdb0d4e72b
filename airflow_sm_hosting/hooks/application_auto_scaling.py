"""Application Auto Scaling: scalable targets, policies and scheduled actions of production variants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code

NAMESPACE = "sagemaker"
INSTANCE_COUNT = "sagemaker:variant:DesiredInstanceCount"


def variant_resource_id(endpoint_name: str, variant_name: str) -> str:
    """Return the resource id of a production variant (RegisterScalableTarget, ResourceId)."""
    return f"endpoint/{endpoint_name}/variant/{variant_name}"


class ApplicationAutoScalingHook(SharedClients):
    """Interact with Application Auto Scaling for SageMaker.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("application-autoscaling")
    <ApplicationAutoScaling.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "application-autoscaling"})

    def scalable_targets(self, resource_ids: list[str]) -> list[dict[str, Any]]:
        """Return the scalable targets among resources (``application-autoscaling:DescribeScalableTargets``)."""
        return self._all("describe_scalable_targets", "ScalableTargets", ResourceIds=resource_ids)

    def scaling_policies(self, resource_id: str) -> list[dict[str, Any]]:
        """Return a resource's policies (``application-autoscaling:DescribeScalingPolicies``)."""
        return self._all("describe_scaling_policies", "ScalingPolicies", ResourceId=resource_id)

    def scheduled_actions(self, resource_id: str) -> list[dict[str, Any]]:
        """Return a resource's scheduled actions (``application-autoscaling:DescribeScheduledActions``)."""
        return self._all("describe_scheduled_actions", "ScheduledActions", ResourceId=resource_id)

    def until_registered(self, call: Callable[[], Any]) -> Any:
        """Make a call again while the service is changing the same target, or does not see it yet.

        ConcurrentUpdateException and ObjectNotFoundException right after registering are both passing
        (RegisterScalableTarget and PutScalingPolicy documentation).
        """
        passing = ("ConcurrentUpdateException", "ObjectNotFoundException", "InternalServiceException")
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, ClientError) and error_code(error) in passing
            ),
            wait=wait_exponential_jitter(initial=1, max=5),
            stop=stop_after_delay(20),
            reraise=True,
        )
        return retrying(call)

    def _all(self, operation: str, member: str, **request: Any) -> list[dict[str, Any]]:
        pages = self.conn.get_paginator(operation).paginate(ServiceNamespace=NAMESPACE, **request)
        return [found for page in pages for found in page[member]]

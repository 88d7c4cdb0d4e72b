"""Application Auto Scaling: scalable targets, policies and scheduled actions of production variants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from botocore import xform_name
from botocore.exceptions import ClientError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code

if TYPE_CHECKING:
    from types_boto3_application_autoscaling.client import ApplicationAutoScalingClient
    from types_boto3_application_autoscaling.type_defs import (
        ScalableTargetTypeDef,
        ScalingPolicyTypeDef,
        ScheduledActionTypeDef,
    )

NAMESPACE = "sagemaker"
#: Another call is changing the same target, or the service has a fault: both are temporary (common errors of the changing operations).
_BUSY = ("ConcurrentUpdateException", "InternalServiceException")


class ApplicationAutoScalingHook(SharedClients):
    """Interact with Application Auto Scaling for SageMaker.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("application-autoscaling")
    <ApplicationAutoScaling.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: ApplicationAutoScalingClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "application-autoscaling"})

    def scalable_targets(
        self, resource_ids: list[str], scalable_dimension: str | None = None
    ) -> list[ScalableTargetTypeDef]:
        """Return the scalable targets among resources (``application-autoscaling:DescribeScalableTargets``)."""
        return self._all(
            "describe_scalable_targets",
            "ScalableTargets",
            scalable_dimension,
            ResourceIds=resource_ids,
        )

    def scaling_policies(
        self, resource_id: str, scalable_dimension: str | None = None
    ) -> list[ScalingPolicyTypeDef]:
        """Return a resource's policies (``application-autoscaling:DescribeScalingPolicies``)."""
        return self._all(
            "describe_scaling_policies", "ScalingPolicies", scalable_dimension, ResourceId=resource_id
        )

    def scheduled_actions(
        self, resource_id: str, scalable_dimension: str | None = None
    ) -> list[ScheduledActionTypeDef]:
        """Return a resource's scheduled actions (``application-autoscaling:DescribeScheduledActions``)."""
        return self._all(
            "describe_scheduled_actions", "ScheduledActions", scalable_dimension, ResourceId=resource_id
        )

    def target_tags(self, target: Mapping[str, Any]) -> dict[str, str]:
        """Return the tags of a described scalable target (``application-autoscaling:ListTagsForResource``)."""
        arn = target.get("ScalableTargetARN")
        if not arn:
            return {}
        try:
            return dict(self.conn.list_tags_for_resource(ResourceARN=arn)["Tags"])
        except ClientError as error:
            if error_code(error) != "ResourceNotFoundException":
                raise
            return {}  # the target is gone meanwhile

    def change(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Call an operation that changes a target, its tags, policies or scheduled actions; deleting something already gone is not an error.

        :param operation: The API operation, e.g. ``PutScalingPolicy``.
        :param request: Its request.
        :return: The answer; empty when the resource to delete is already gone.
        """
        call = partial(getattr(self.conn, xform_name(operation)), **request)
        if not operation.startswith(("Delete", "Deregister")):
            answered: dict[str, Any] = self.until_registered(call)
            return answered
        try:
            answered = self._patiently(call, _BUSY)
        except ClientError as error:
            if error_code(error) != "ObjectNotFoundException":
                raise
            self.log.info("%s: already deleted", operation)
            return {}
        return answered

    def until_registered(self, call: Callable[[], Any]) -> Any:
        """Retry a call while the service is changing the same target, or does not see it yet.

        ConcurrentUpdateException and ObjectNotFoundException right after registering are both temporary
        (RegisterScalableTarget and PutScalingPolicy documentation).
        """
        return self._patiently(call, (*_BUSY, "ObjectNotFoundException"))

    def _patiently(self, call: Callable[[], Any], passing: tuple[str, ...]) -> Any:
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: isinstance(error, ClientError) and error_code(error) in passing
            ),
            wait=wait_exponential_jitter(max=5),
            stop=stop_after_delay(20),
            reraise=True,
        )
        return retrying(call)

    def _all(self, operation: str, member: str, scalable_dimension: str | None, **request: Any) -> list[Any]:
        if scalable_dimension:
            request["ScalableDimension"] = scalable_dimension
        # The operation's name is known only at run time, and the types depend on it.
        client: Any = self.conn
        pages = client.get_paginator(operation).paginate(ServiceNamespace=NAMESPACE, **request)
        return [found for page in pages for found in page[member]]

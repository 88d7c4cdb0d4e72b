"""Delete an endpoint, and on request its config and models."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Boolean, Resource, Seconds
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.recorded import RecordedTask
from airflow_sm_hosting.spec.arn import ENDPOINT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.deletion import MadeOf
    from airflow_sm_hosting.fields import Late

#: The key under which a try saves the configs and models to delete after the endpoint.
STATE_KEY = "sm_hosting_made_of"


class DeleteEndpointFields(AwsFields):
    """The parameters of :class:`DeleteEndpointOperator`."""

    endpoint_name = Resource(ENDPOINT)
    delete_endpoint_config = Boolean(default=False)
    delete_models = Boolean(default=False)
    delete_inference_components = Boolean(default=False)
    adopt = Boolean(default=False)
    poll_interval = Seconds(low=0.1, default=10, templated=False)
    timeout = Seconds(low=1, default=3600)


class DeleteEndpointOperator(RecordedTask, SageMakerHostingBaseOperator):
    """Delete an endpoint, and on request its config and models; a missing resource is not an error.

    Waits first until no change is in progress, as SageMaker refuses to delete meanwhile, and deletes in the order that AWS documents:
    the endpoint, after its end the config, then the models (``sagemaker:DeleteEndpoint``, ``DeleteEndpointConfig``,
    ``DeleteModel``). Its scalable targets are deregistered before, and our alarms on it are deleted after. Resources that another
    endpoint needs are kept, with a warning. An endpoint with inference components is refused, or they are deleted first.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#deleteendpointoperator
        AWS: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-delete-resources.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param delete_endpoint_config: Whether to delete its endpoint config too (default: False). (templated)
    :param delete_models: Whether to delete the models of this config too (default: False). (templated)
    :param delete_inference_components: Whether to delete its inference components first, adapters before their bases; without it, an
        endpoint that has some is an error (default: False). (templated)
    :param adopt: Whether the task may delete an endpoint or components without this package's tags (default: False). (templated)
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 10).
    :param timeout: Time budget in seconds, or as a timedelta, 1 or more (default: 3600). (templated)
    :raises ConflictError: When the endpoint is not ours, or has inference components.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises DeploymentFailedError: When the endpoint cannot be described, e.g. because a permission is missing.
    """

    fields = DeleteEndpointFields
    template_fields: Sequence[str] = DeleteEndpointFields.template_fields()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        delete_endpoint_config: bool | Late = False,
        delete_models: bool | Late = False,
        delete_inference_components: bool | Late = False,
        adopt: bool | Late = False,
        poll_interval: float | timedelta = 10,
        timeout: float | timedelta | Late = 3600,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.delete_endpoint_config = delete_endpoint_config
        self.delete_models = delete_models
        self.delete_inference_components = delete_inference_components
        self.adopt = adopt
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> None:
        """Check the parameters, then observe, plan, apply and wait until the endpoint is deleted."""
        from airflow_sm_hosting.deployer.deletion import EndpointDeleter
        from airflow_sm_hosting.deployment.deletion import Deletion

        given = DeleteEndpointFields.of(self)
        deletion = Deletion(
            given.endpoint_name,
            with_config=given.delete_endpoint_config,
            with_models=given.delete_models,
            adopt=given.adopt,
            with_components=given.delete_inference_components,
        )
        self.check_arns("endpoint_name")
        deleter = EndpointDeleter(
            deletion,
            self,
            poll_interval=given.poll_interval,
            timeout=given.timeout,
            remember=lambda made_of: self._remember(context, made_of),
        )
        self.note_deployment(region=self.sagemaker_hook.conn_region_name, action="delete")
        deleter.delete(self._remembered(context))
        self.note_deployment(
            status="Deleted",
            action="delete" if deleter.has_deleted else "unchanged",
            seconds=round(time.time() - self.deployment_notes["started_at"], 1),
        )

    def recorded_name(self) -> dict[str, Any]:
        """Return the endpoint's name."""
        return {"name": self.resource_name("endpoint_name", ENDPOINT)}

    def _remember(self, context: Context, made_of: MadeOf) -> None:
        """Save the configs and models to delete after the endpoint, for the next try (Airflow 3.3 and newer)."""
        store: Any = context.get("task_state_store")
        if store is not None:
            store.set(STATE_KEY, {config: list(models) for config, models in made_of.items()})

    def _remembered(self, context: Context) -> MadeOf:
        store: Any = context.get("task_state_store")
        found = store.get(STATE_KEY) if store is not None else None
        return dict(found or {})

"""Roll an endpoint back to the config that served before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.fields import Resource, optional
from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointFields, DeployEndpointOperator
from airflow_sm_hosting.spec.arn import ENDPOINT_CONFIG

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class RollbackEndpointFields(DeployEndpointFields):
    """The parameters of :class:`RollbackEndpointOperator`."""

    endpoint_config_name = optional(Resource(ENDPOINT_CONFIG))


class RollbackEndpointOperator(DeployEndpointOperator):
    """Roll an endpoint back to the config that served before, or to a given one, in one update (``sagemaker:UpdateEndpoint``).

    SageMaker does not store which config served before; :class:`~airflow_sm_hosting.DeployEndpointOperator` writes it into the endpoint's
    tags. A DAG run rolls back only once, even if its task runs again; a later DAG run rolls back further.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#rollbackendpointoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param endpoint_config_name: The rollback target (default: the config that served before, from the endpoint's tags). (templated)
    :param kwargs: ``rollout``, ``auto_rollback_alarms``, ``retain_variant_properties``, ``adopt``, ``allow_older``, ``strict``,
        ``wait_for_alarms``, ``tags``, ``wait_for_completion``, ``deferrable``, ``poll_interval``, ``timeout`` and ``smoke_test``, as
        :class:`~airflow_sm_hosting.DeployEndpointOperator` has them.
    :raises NotFoundError: When the endpoint does not exist, no previous config is known, or that config was deleted.
    :raises DeploymentRolledBackError: When SageMaker undid the update.
    :raises DeploymentFailedError: When the endpoint does not serve the rollback target.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises ConflictError: When the endpoint is not ours, or cannot be updated to that config.
    :return: The endpoint's name; ``details`` as of DeployEndpointOperator, with the action ``rollback``.
    """

    fields = RollbackEndpointFields
    rolls_back = True

    def __init__(
        self, *, endpoint_name: Late, endpoint_config_name: Late | None = None, **kwargs: Any
    ) -> None:
        super().__init__(
            endpoint_name=endpoint_name,
            endpoint_config_name=endpoint_config_name,  # type: ignore[arg-type]  # none: the one before
            **kwargs,
        )

    def execute(self, context: Context) -> str:
        """Roll back; an endpoint that does not exist is an error, also with a given config."""
        wanted = self._wanted(context)
        self._check_before_asking(wanted)
        name = wanted.endpoint_name
        if wanted.endpoint_config_name and self.sagemaker_hook.describe_endpoint(name) is None:
            raise NotFoundError(f"There is no endpoint {name!r}.")
        return super().execute(context)

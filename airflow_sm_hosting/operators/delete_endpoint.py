"""Delete an endpoint, and what it was made of if asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.status import is_transitional
from airflow_sm_hosting.exceptions import ConflictError, DeploymentTimeoutError
from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.rules import as_boolean, as_seconds, as_string, check_name, check_number
from airflow_sm_hosting.spec.tags import is_ours

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook


class DeleteEndpointOperator(SageMakerHostingBaseOperator):
    """Delete an endpoint, and if asked its config and models; what does not exist is no error.

    Waits out what is in progress first, as SageMaker refuses to delete meanwhile, and deletes in the order that AWS documents: the
    endpoint, its end awaited, then the config, then the models (``sagemaker:DeleteEndpoint``, ``DeleteEndpointConfig``,
    ``DeleteModel``). Scalable targets go with the endpoint.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:DeleteEndpointOperator`, and
        https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-delete-resources.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param delete_endpoint_config: Whether the config that it is on is deleted too (default: False). (templated)
    :param delete_models: Whether that config's models are deleted too (default: False). (templated)
    :param adopt: Whether an endpoint that our tags do not mark as ours may be deleted (default: False). (templated)
    :param poll_interval: Seconds between two looks, 1 or more (default: 10).
    :param timeout: Time budget in seconds (default: 3600). (templated)
    :raises ConflictError: When the endpoint is not ours.
    :raises DeploymentTimeoutError: When the time budget ended first.
    """

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "endpoint_name",
        "delete_endpoint_config",
        "delete_models",
        "adopt",
        "timeout",
    )

    def __init__(
        self,
        *,
        endpoint_name: str,
        delete_endpoint_config: bool | str = False,
        delete_models: bool | str = False,
        adopt: bool | str = False,
        poll_interval: float = 10,
        timeout: float | str = 3600,
        **kwargs: Any,
    ) -> None:
        check_name("DeleteEndpointOperator: endpoint_name", endpoint_name)
        check_number("DeleteEndpointOperator: poll_interval", poll_interval, low=1)
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.delete_endpoint_config = delete_endpoint_config
        self.delete_models = delete_models
        self.adopt = adopt
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> None:
        """Find out what it is made of, delete it, wait for its end, then delete the rest."""
        name = as_string("endpoint_name", self.endpoint_name)
        with_config = as_boolean("delete_endpoint_config", self.delete_endpoint_config)
        with_models = as_boolean("delete_models", self.delete_models)
        started = time.time()
        deadline = started + as_seconds("timeout", self.timeout, 1)
        hook = self.sagemaker_hook

        described = hook.describe_endpoint(name)
        if described is None:
            self.log.info("There is no endpoint %s; nothing to do", name)
            return
        if not as_boolean("adopt", self.adopt) and not is_ours(hook.tags(described["EndpointArn"])):
            raise ConflictError(
                f"Endpoint {name} is not marked as ours by its tags, so something else made it; adopt=True deletes it all the same."
            )
        if is_transitional(described):
            self._wait(hook, name, started, deadline)
            described = hook.describe_endpoint(name) or described
        config_name = described.get("EndpointConfigName")
        config = hook.describe_endpoint_config(config_name) if config_name else None

        hook.delete_endpoint(name)
        self.log.info("Deleting endpoint %s", name)
        self._wait(hook, name, started, deadline)
        if with_config and config_name and hook.delete_endpoint_config(config_name):
            self.log.info("Deleted endpoint config %s", config_name)
        variants = [
            *(config or {}).get("ProductionVariants", []),
            *(config or {}).get("ShadowProductionVariants", []),
        ]
        for model in sorted({variant["ModelName"] for variant in variants if variant.get("ModelName")}):
            if with_models and hook.delete_model(model):
                self.log.info("Deleted model %s", model)

    def _wait(self, hook: SageMakerHostingHook, name: str, started: float, deadline: float) -> None:
        from airflow_sm_hosting.deployment.awaited import Awaited, Until
        from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch

        watch = EndpointWatch(
            hook, Awaited(Until.SETTLED, name), deadline=deadline, started_at=started, tell=self.log.info
        )
        while (sighting := watch.look()) is None:
            time.sleep(watch.pause(self.poll_interval))
        if sighting.outcome != "deployed":
            raise DeploymentTimeoutError(sighting.message)

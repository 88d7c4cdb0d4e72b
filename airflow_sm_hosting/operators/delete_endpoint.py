"""Delete an endpoint, and what it was made of if asked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.status import is_transitional
from airflow_sm_hosting.exceptions import ConflictError, DeploymentFailedError, DeploymentTimeoutError
from airflow_sm_hosting.fields import Boolean, Resource, Seconds
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.tags import is_ours

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.awaited import Until
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

#: Under which a try writes down what is to be deleted after the endpoint.
STATE_KEY = "sm_hosting_made_of"

#: DeleteAlarms, AlarmNames.
MAX_ALARMS_A_CALL = 100


def is_of_scaling(alarm: dict[str, Any]) -> bool:
    """Tell whether Application Auto Scaling made an alarm (user guide, "target-tracking-scaling-policy-overview": their names)."""
    return str(alarm["AlarmName"]).startswith("TargetTracking-")


class DeleteEndpointFields(AwsFields):
    """What :class:`DeleteEndpointOperator` takes."""

    endpoint_name = Resource(ENDPOINT)
    delete_endpoint_config = Boolean(default=False)
    delete_models = Boolean(default=False)
    adopt = Boolean(default=False)
    poll_interval = Seconds(low=0.1, default=10, templated=False)
    timeout = Seconds(low=1, default=3600)


class DeleteEndpointOperator(SageMakerHostingBaseOperator):
    """Delete an endpoint, and if asked its config and models; what does not exist is no error.

    Waits out what is in progress first, as SageMaker refuses to delete meanwhile, and deletes in the order that AWS documents: the
    endpoint, its end awaited, then the config, then the models (``sagemaker:DeleteEndpoint``, ``DeleteEndpointConfig``,
    ``DeleteModel``). Its scalable targets are deregistered before, and alarms of ours on it deleted after. What another endpoint needs is
    kept, with a warning.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:DeleteEndpointOperator`, and
        https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-delete-resources.html

    :param endpoint_name: Name of the endpoint, or its ARN. (templated)
    :param delete_endpoint_config: Whether the config that it is on is deleted too (default: False). (templated)
    :param delete_models: Whether that config's models are deleted too (default: False). (templated)
    :param adopt: Whether an endpoint that our tags do not mark as ours may be deleted (default: False). (templated)
    :param poll_interval: Seconds, or a timedelta, between two looks, 0.1 or more (default: 10).
    :param timeout: Time budget in seconds, or as a timedelta, 1 or more (default: 3600). (templated)
    :raises ConflictError: When the endpoint is not ours.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises DeploymentFailedError: When the endpoint cannot be described, e.g. for want of a permission.
    """

    fields = DeleteEndpointFields
    template_fields: Sequence[str] = DeleteEndpointFields.template_fields()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        delete_endpoint_config: bool | Late = False,
        delete_models: bool | Late = False,
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
        self.adopt = adopt
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> None:
        """Find out what it is made of, delete it, wait for its end, then delete the rest."""
        from airflow_sm_hosting.deployment.awaited import Until

        given = DeleteEndpointFields.of(self)
        name, adopt = given.endpoint_name, given.adopt
        with_config, with_models = given.delete_endpoint_config, given.delete_models
        started = time.time()
        deadline = started + given.timeout
        self.check_arns("endpoint_name")
        hook = self.sagemaker_hook

        described = hook.describe_endpoint(name)
        if described is None:
            self.log.info("There is no endpoint %s", name)
            made_of = self._remembered(context)
        else:
            if not adopt and not is_ours(hook.tags(described["EndpointArn"])):
                raise ConflictError(
                    f"Endpoint {name} is not marked as ours by its tags, so something else made it; adopt=True deletes it all the same."
                )
            if is_transitional(described):
                self._wait(hook, Until.SETTLED, name, started, deadline)
                described = hook.describe_endpoint(name) or described
            made_of = self._made_of(hook, described)
            self._remember(context, made_of)
            self._take_scaling_off(described)
            hook.delete_endpoint(name)
            self.log.info("Deleting endpoint %s", name)
            self._wait(hook, Until.GONE, name, started, deadline)

        self._delete_alarms(name)
        needed = hook.needed_by_endpoints() if made_of and (with_config or with_models) else {}
        for config, models in made_of.items():
            if with_config and config in needed:
                self.log.warning("Endpoint config %s is kept: another endpoint is on it", config)
            elif with_config and hook.delete_endpoint_config(config):
                self.log.info("Deleted endpoint config %s", config)
            still_needed = {model for others in needed.values() for model in others}
            for model in models:
                if with_models and model in still_needed:
                    self.log.warning("Model %s is kept: another endpoint is made of it", model)
                elif with_models and hook.delete_model(model):
                    self.log.info("Deleted model %s", model)

    def _take_scaling_off(self, described: dict[str, Any]) -> None:
        """Deregister the variants that are scalable targets: DeleteEndpoint does it only where the caller may."""
        from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id
        from airflow_sm_hosting.hooks.scaling_transfer import place_of

        name = described["EndpointName"]
        variants = [variant["VariantName"] for variant in described.get("ProductionVariants") or []]
        if not variants:
            return
        hook = self.auto_scaling_hook
        for target in hook.scalable_targets([variant_resource_id(name, variant) for variant in variants]):
            hook.change("DeregisterScalableTarget", place_of(target))
            self.log.info("Took the scaling off %s", target["ResourceId"])

    def _delete_alarms(self, name: str) -> None:
        """Delete the metric alarms of ours on the endpoint, also after an earlier try has deleted it."""
        hook = self.cloudwatch_hook
        # The alarms of target tracking are AWS's own, and go with the scaling.
        found = [alarm for alarm in hook.alarms_on_endpoint(name) if not is_of_scaling(alarm)]
        ours = [alarm["AlarmName"] for alarm in found if is_ours(hook.tags(alarm["AlarmArn"]))]
        for start in range(0, len(ours), MAX_ALARMS_A_CALL):
            hook.conn.delete_alarms(AlarmNames=ours[start : start + MAX_ALARMS_A_CALL])
        if ours:
            self.log.info("Deleted alarms %s", ", ".join(ours))

    @staticmethod
    def _made_of(hook: SageMakerHostingHook, described: dict[str, Any]) -> dict[str, list[str]]:
        """Return the models of the endpoint's config, by the config's name."""
        config = described.get("EndpointConfigName")
        return {config: hook.models_of_config(config)} if config else {}

    def _remember(self, context: Context, made_of: dict[str, list[str]]) -> None:
        """Write down what is to be deleted after the endpoint, where the next try finds it (Airflow 3.3 and newer)."""
        store: Any = context.get("task_state_store")
        if store is not None:
            store.set(STATE_KEY, made_of)

    def _remembered(self, context: Context) -> dict[str, list[str]]:
        store: Any = context.get("task_state_store")
        found = store.get(STATE_KEY) if store is not None else None
        return dict(found or {})

    def _wait(
        self, hook: SageMakerHostingHook, until: Until, name: str, started: float, deadline: float
    ) -> None:
        from airflow_sm_hosting.deployment.awaited import Awaited
        from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch

        watch = EndpointWatch(
            hook, Awaited(until, name), deadline=deadline, started_at=started, tell=self.log.info
        )
        while (sighting := watch.look()) is None:
            time.sleep(watch.pause(DeleteEndpointFields.of(self).poll_interval))
        if sighting.outcome == "timed_out":
            raise DeploymentTimeoutError(sighting.message)
        if sighting.outcome != "deployed":
            raise DeploymentFailedError(sighting.message)

"""Remove autoscaling from a production variant, or from the copies of an inference component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Boolean, Choice, Field, Resource, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.configure_autoscaling import check_scaled, component_resource_id
from airflow_sm_hosting.spec.arn import ENDPOINT, INFERENCE_COMPONENT
from airflow_sm_hosting.spec.checks import check_name
from airflow_sm_hosting.spec.scaling_rules import SCALABLE_DIMENSIONS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.operators.configure_autoscaling import ScalableDimension


class RemoveAutoscalingFields(AwsFields):
    """The parameters of :class:`RemoveAutoscalingOperator`."""

    endpoint_name = optional(Resource(ENDPOINT))
    variant_name: Field[str | None] = optional(Text(check_name))
    inference_component_name = optional(Resource(INFERENCE_COMPONENT))
    scalable_dimension = optional(Choice(SCALABLE_DIMENSIONS))
    adopt = Boolean(default=False)

    def check_together(self, where: str) -> None:
        """Check what is scaled."""
        check_scaled(
            where,
            endpoint_name=self.endpoint_name,
            variant_name=self.variant_name,
            inference_component_name=self.inference_component_name,
            scalable_dimension=self.scalable_dimension,
        )


class RemoveAutoscalingOperator(SageMakerHostingBaseOperator):
    """Deregister a production variant, or an inference component, as a scalable target (``DeregisterScalableTarget``).

    AWS deletes its policies, with the alarms of target tracking, and its scheduled actions. The alarm of a
    :class:`~airflow_sm_hosting.ScaleFromZero` is deleted before; your own alarms on a step policy stay.
    The variant keeps its instances, the component its copies. What is not a scalable target stays unchanged.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#removeautoscalingoperator
        API: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html

    :param endpoint_name: Name or ARN of the endpoint, which need not exist; with ``variant_name``. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param inference_component_name: In place of both, name or ARN of the inference component, which need not exist. (templated)
    :param scalable_dimension: ``sagemaker:variant:DesiredInstanceCount``, ``sagemaker:variant:DesiredProvisionedConcurrency`` or
        ``sagemaker:inference-component:DesiredCopyCount`` (default: whatever is scaled). (templated)
    :param adopt: Whether the task may remove a scalable target that is not ours, or has policies or scheduled actions that are not ours
        (default: False). (templated)
    :raises InvalidSpecError: Before the first AWS call, for an invalid name.
    :raises ConflictError: When the task would remove something that is not ours.
    :return: The scalable target's resource id, ``endpoint/<endpoint>/variant/<variant>`` or ``inference-component/<name>``.
    """

    fields = RemoveAutoscalingFields
    template_fields: Sequence[str] = RemoveAutoscalingFields.template_fields()

    def __init__(
        self,
        *,
        endpoint_name: Late | None = None,
        variant_name: Late | None = None,
        inference_component_name: Late | None = None,
        scalable_dimension: ScalableDimension | Late | None = None,
        adopt: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.inference_component_name = inference_component_name
        self.scalable_dimension = scalable_dimension
        self.adopt = adopt

    def execute(self, context: Context) -> str:
        """Read the existing scaling, and deregister the scalable target."""
        from airflow_sm_hosting.deployer.adapters import StepRunner
        from airflow_sm_hosting.deployer.waking_alarms import alarms_that_wake
        from airflow_sm_hosting.deployment.scaling import ObservedScaling, plan_removal
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id
        from airflow_sm_hosting.deployment.waking_alarm import delete_steps

        given = RemoveAutoscalingFields.of(self)
        dimension, adopt = given.scalable_dimension, given.adopt
        endpoint, variant, component = (
            given.endpoint_name or "",
            given.variant_name or "",
            given.inference_component_name,
        )
        resource_id = (
            component_resource_id(component) if component else variant_resource_id(endpoint, variant)
        )
        self.check_arns("inference_component_name" if component else "endpoint_name")

        hook = self.auto_scaling_hook
        removed: list[str] = []
        targets = hook.scalable_targets([resource_id], dimension)
        if not targets and not component and (name := self.name_in_its_case(endpoint)):
            self.log.info("Endpoint %s is %s", endpoint, name)
            resource_id = variant_resource_id(name, variant)
            targets = hook.scalable_targets([resource_id], dimension)
        if not targets and component and (name := self.component_in_its_case(component)):
            self.log.info("Inference component %s is %s", component, name)
            resource_id = component_resource_id(name)
            targets = hook.scalable_targets([resource_id], dimension)
        for target in targets:
            of = target["ScalableDimension"]
            found = ObservedScaling(
                target, hook.scaling_policies(resource_id, of), hook.scheduled_actions(resource_id, of)
            )
            step, things = plan_removal(found, hook.target_tags(target), adopt=adopt)
            # Before the target: without it, the alarms of its policies are not found.
            alarms = [alarm.name for alarm in alarms_that_wake(self, resource_id, found.policies)]
            runner = StepRunner(self)
            for call in [*delete_steps(alarms), step]:
                runner.apply(call)
            removed += [*things, *(f"alarm {name}" for name in alarms)]
        if not removed:
            self.log.info("%s is not a scalable target; nothing to do", resource_id)
        self.push_details(context, {"removed": removed})
        return resource_id

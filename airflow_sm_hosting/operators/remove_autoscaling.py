"""Remove autoscaling from a production variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Boolean, Choice, Resource, Text, optional
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT
from airflow_sm_hosting.spec.checks import check_name
from airflow_sm_hosting.spec.scaling_rules import SCALABLE_DIMENSIONS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.operators.configure_autoscaling import ScalableDimension


class RemoveAutoscalingFields(AwsFields):
    """The parameters of :class:`RemoveAutoscalingOperator`."""

    endpoint_name = Resource(ENDPOINT)
    variant_name = Text(check_name)
    scalable_dimension = optional(Choice(SCALABLE_DIMENSIONS))
    adopt = Boolean(default=False)


class RemoveAutoscalingOperator(SageMakerHostingBaseOperator):
    """Deregister a production variant as a scalable target (``application-autoscaling:DeregisterScalableTarget``).

    AWS deletes its policies, with the alarms of target tracking, and its scheduled actions; your own alarms on a step policy stay.
    The variant keeps its instances. A variant that is not a scalable target stays unchanged.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#removeautoscalingoperator
        API: https://docs.aws.amazon.com/autoscaling/application/APIReference/API_DeregisterScalableTarget.html

    :param endpoint_name: Name or ARN of the endpoint, which need not exist. (templated)
    :param variant_name: Name of the production variant. (templated)
    :param scalable_dimension: ``sagemaker:variant:DesiredInstanceCount`` or ``sagemaker:variant:DesiredProvisionedConcurrency`` (default:
        whatever is scaled). (templated)
    :param adopt: Whether the task may remove a scalable target that is not ours, or has policies or scheduled actions that are not ours
        (default: False). (templated)
    :raises InvalidSpecError: Before the first AWS call, for an invalid name.
    :raises ConflictError: When the task would remove something that is not ours.
    :return: The scalable target's resource id, ``endpoint/<endpoint>/variant/<variant>``.
    """

    fields = RemoveAutoscalingFields
    template_fields: Sequence[str] = RemoveAutoscalingFields.template_fields()

    def __init__(
        self,
        *,
        endpoint_name: Late,
        variant_name: Late,
        scalable_dimension: ScalableDimension | Late | None = None,
        adopt: bool | Late = False,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.variant_name = variant_name
        self.scalable_dimension = scalable_dimension
        self.adopt = adopt

    def execute(self, context: Context) -> str:
        """Read the existing scaling, and deregister the scalable target."""
        from airflow_sm_hosting.deployer.adapters import StepRunner
        from airflow_sm_hosting.deployment.scaling import ObservedScaling, plan_removal
        from airflow_sm_hosting.deployment.scaling_snapshot import variant_resource_id

        given = RemoveAutoscalingFields.of(self)
        dimension, adopt = given.scalable_dimension, given.adopt
        resource_id = variant_resource_id(given.endpoint_name, given.variant_name)
        self.check_arns("endpoint_name")

        hook = self.auto_scaling_hook
        removed: list[str] = []
        targets = hook.scalable_targets([resource_id], dimension)
        if not targets and (name := self.name_in_its_case(given.endpoint_name)):
            self.log.info("Endpoint %s is %s", given.endpoint_name, name)
            resource_id = variant_resource_id(name, given.variant_name)
            targets = hook.scalable_targets([resource_id], dimension)
        for target in targets:
            of = target["ScalableDimension"]
            found = ObservedScaling(
                target, hook.scaling_policies(resource_id, of), hook.scheduled_actions(resource_id, of)
            )
            step, things = plan_removal(found, hook.target_tags(target), adopt=adopt)
            StepRunner(self).apply(step)
            removed += things
        if not removed:
            self.log.info("%s is not a scalable target; nothing to do", resource_id)
        self.push_details(context, {"removed": removed})
        return resource_id

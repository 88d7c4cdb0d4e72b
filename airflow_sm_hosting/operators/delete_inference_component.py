"""Delete an inference component, after its adapters."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.fields import Boolean, Resource, Seconds
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import INFERENCE_COMPONENT

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class DeleteInferenceComponentFields(AwsFields):
    """The parameters of :class:`DeleteInferenceComponentOperator`."""

    inference_component_name = Resource(INFERENCE_COMPONENT)
    delete_adapters = Boolean(default=True)
    adopt = Boolean(default=False)
    poll_interval = Seconds(low=0.1, default=10, templated=False)
    timeout = Seconds(low=1, default=3600)


class DeleteInferenceComponentOperator(SageMakerHostingBaseOperator):
    """Delete an inference component; one that does not exist is not an error (``sagemaker:DeleteInferenceComponent``).

    Waits first until no change is in progress, as SageMaker refuses to delete meanwhile. The scalable target of its copies is
    deregistered, its adapters are deleted and waited for, then the component itself. The endpoint stays.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#deleteinferencecomponentoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DeleteInferenceComponent.html

    :param inference_component_name: Name of the component, or its ARN. (templated)
    :param delete_adapters: Whether to delete the adapters on it first; without it, a component that has some is an error
        (default: True). (templated)
    :param adopt: Whether the task may delete components without this package's tags (default: False). (templated)
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 10).
    :param timeout: Time budget in seconds, or as a timedelta, 1 or more (default: 3600). (templated)
    :raises ConflictError: When the component or an adapter is not ours, or has adapters that are not to be deleted.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises DeploymentFailedError: When the component cannot be described, e.g. because a permission is missing.
    """

    fields = DeleteInferenceComponentFields
    template_fields: Sequence[str] = DeleteInferenceComponentFields.template_fields()

    def __init__(
        self,
        *,
        inference_component_name: Late,
        delete_adapters: bool | Late = True,
        adopt: bool | Late = False,
        poll_interval: float | timedelta = 10,
        timeout: float | timedelta | Late = 3600,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.inference_component_name = inference_component_name
        self.delete_adapters = delete_adapters
        self.adopt = adopt
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> None:
        """Check the parameters, then observe, plan, apply and wait until the component is deleted."""
        from airflow_sm_hosting.deployer.deletion import ComponentDeleter
        from airflow_sm_hosting.deployment.component_deletion import ComponentDeletion

        given = DeleteInferenceComponentFields.of(self)
        self.check_arns("inference_component_name")
        deletion = ComponentDeletion(
            given.inference_component_name, with_adapters=given.delete_adapters, adopt=given.adopt
        )
        deleter = ComponentDeleter(deletion, self, poll_interval=given.poll_interval, timeout=given.timeout)
        deleter.delete()

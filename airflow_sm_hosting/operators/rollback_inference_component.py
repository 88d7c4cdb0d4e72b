"""Roll an inference component back to the specification that served before."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import NotFoundError
from airflow_sm_hosting.operators.deploy_endpoint import DEFAULT_POLL_INTERVAL
from airflow_sm_hosting.operators.deploying_component import (
    ComponentDeployingOperator,
    ComponentDeploymentFields,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.component import WantedComponent
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.spec.rollout import Rolling


class RollbackInferenceComponentOperator(ComponentDeployingOperator):
    """Roll an inference component back to the specification that served before (``sagemaker:UpdateInferenceComponent``).

    SageMaker does not store it; :class:`~airflow_sm_hosting.DeployInferenceComponentOperator` writes it into the component's tags, unless it
    has an environment, whose values may be secrets. A DAG run rolls back only once, even if its task runs again; a later DAG run rolls back
    further. The number of copies stays.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#rollbackinferencecomponentoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateInferenceComponent.html

    :param inference_component_name: Name of the component, or its ARN. (templated)
    :param rollout: :class:`~airflow_sm_hosting.Rolling`, in copies or percent (default: all copies at once, beside the old
        ones). (templated)
    :param auto_rollback_alarms: Names of CloudWatch alarms that undo the rollback, in addition to those of ``rollout``; at most
        10. (templated)
    :param adopt: Whether the task may change a component without this package's tags (default: False). (templated)
    :param allow_older: Whether this run rolls back even if a newer run has already deployed (default: False). (templated)
    :param wait_for_alarms: Whether the task waits, in the worker and within its time budget, for alarms that are in ALARM before
        the update (default: False: ``AlarmGoingOffError``). (templated)
    :param tags: Tags, as a dict, which are reconciled. (templated)
    :param deferrable: Whether the task waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 30). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta (default: derived from the rollout and AWS's limits). (templated)
    :raises NotFoundError: When the component does not exist, or no previous specification is known.
    :raises DeploymentRolledBackError: When SageMaker undid the update.
    :raises DeploymentFailedError: When the component does not serve the rollback target.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises ConflictError: When the component is not ours.
    :return: The component's name; ``details`` as of DeployInferenceComponentOperator, with the action ``rollback``.
    """

    fields: ClassVar[type[ComponentDeploymentFields]] = ComponentDeploymentFields
    template_fields: Sequence[str] = ComponentDeploymentFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = (
        ComponentDeploymentFields.template_fields_renderers()
    )

    def __init__(
        self,
        *,
        inference_component_name: Late,
        rollout: Rolling | Mapping[str, Any] | Late | None = None,
        auto_rollback_alarms: Sequence[Late] | Late | None = None,
        adopt: bool | Late = False,
        allow_older: bool | Late = False,
        wait_for_alarms: bool | Late = False,
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | Late = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta | Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.inference_component_name = inference_component_name
        self.rollout = rollout
        self.auto_rollback_alarms = auto_rollback_alarms
        self.adopt = adopt
        self.allow_older = allow_older
        self.wait_for_alarms = wait_for_alarms
        self.tags = tags
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self._found: WantedComponent | None = None

    def execute(self, context: Context) -> str:
        """Find the specification before, and deploy it."""
        from airflow_sm_hosting.deployment.progress import Progress

        self._deployment_config()  # checks the rollout, before the first call
        self.check_arns("inference_component_name")
        self._found = self._before(context, None)
        wanted = self._wanted(context)
        self._check_before_asking(wanted)
        now = time.time()
        progress = Progress(started_at=now, deadline=now + self._budget(), rolling_back=True)
        return self._deploy(context, self._deployer(wanted, progress))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait, with the same target."""
        self._found = self._before(context, event["carried"]["progress"]["target"])
        return super().execute_complete(context, event)

    def _component(self) -> WantedComponent:
        if self._found is None:
            raise AssertionError("the target is not known yet")
        return self._found

    def _before(self, context: Context, target: str | None) -> WantedComponent:
        """Return the component with the specification that served before.

        :param target: The name of the specification, if it is known.
        """
        from airflow_sm_hosting.deployment.component import WantedComponent, described_component
        from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags
        from airflow_sm_hosting.deployment.planning import find_before
        from airflow_sm_hosting.deployment.specification_tags import stored_specifications
        from airflow_sm_hosting.deployment.status import Kind

        name, hook = self.fields.of(self).inference_component_name, self.sagemaker_hook
        answer = hook.describe_inference_component(name)
        described = described_component(answer) if answer else None
        tags = hook.tags(described["EndpointArn"]) if described else {}
        if target is None:
            known = EndpointTags.read(tags)
            target = find_before(described, known, name, self._run_after(context), Kind.COMPONENT)
        found = stored_specifications(tags, target)
        if described is None or found is None:
            raise NotFoundError(
                f"Inference component {name} served {target} before, but the specification is not in its tags, as it has an environment "
                "or is too large: deploy it (DeployInferenceComponentOperator).",
                is_proven=True,
            )
        return WantedComponent(
            endpoint_name=described["HostName"],
            variant_name=described["HostVariant"],
            specifications=found,
            is_list=len(found) > 1,
        )

"""Plan the deployment of an inference component without changing anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.operators.deploy_inference_component import DeployInferenceComponentOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class PlanInferenceComponentOperator(DeployInferenceComponentOperator):
    """Plan as :class:`~airflow_sm_hosting.DeployInferenceComponentOperator` does, and return the plan without changing anything.

    The plan is valid for AWS's current description; the deployment plans again when it runs.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#planinferencecomponentoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeInferenceComponent.html

    :param inference_component_name: Name of the component. (templated)
    :param endpoint_name: The endpoint on whose instances it runs. (templated)
    :param kwargs: The other parameters of :class:`~airflow_sm_hosting.DeployInferenceComponentOperator`, for the planned deployment.
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :raises NotFoundError: When the endpoint, the base or an image does not exist.
    :return: The plan as Markdown, for the body of an approval; ``details`` (XCom) have it as JSON: action, reason,
        inference_component_name, serving, target, changes, calls, two_fleets, copies, alarms.
    """

    leaves_record = False

    def __init__(self, *, inference_component_name: Late, endpoint_name: Late, **kwargs: Any) -> None:
        super().__init__(
            inference_component_name=inference_component_name, endpoint_name=endpoint_name, **kwargs
        )

    def execute(self, context: Context) -> str:
        """Observe, plan, and simulate the deployment."""
        from airflow_sm_hosting.deployment.progress import Progress

        self._resolved = None
        self._check_before_asking(self._wanted(context))
        self.check_arns("inference_component_name", "endpoint_name")
        self._resolved = self._resolve()
        wanted = self._wanted(context)
        self._persist_links(context, self.sagemaker_hook)
        now = time.time()
        plan = self._deployer(wanted, Progress(started_at=now, deadline=now)).preview()
        self.push_details(context, plan.as_json())
        text = plan.as_markdown()
        self.log.info("%s", text)
        return text

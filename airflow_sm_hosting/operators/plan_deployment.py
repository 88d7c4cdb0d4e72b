"""Plan a deployment without changing anything."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.operators.deploy_endpoint import DeployEndpointOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late


class PlanDeploymentOperator(DeployEndpointOperator):
    """Plan as :class:`~airflow_sm_hosting.DeployEndpointOperator` does, and return the plan without changing anything.

    The plan is valid for AWS's current description; the deployment plans again when it runs.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#plandeploymentoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_DescribeEndpoint.html

    :param endpoint_name: Name of the endpoint. (templated)
    :param endpoint_config_name: The endpoint config to deploy. (templated)
    :param kwargs: The other parameters of :class:`~airflow_sm_hosting.DeployEndpointOperator`, for the planned deployment.
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :raises NotFoundError: When the endpoint config does not exist.
    :return: The plan as Markdown, for the body of an approval; ``details`` (XCom) have it as JSON: action, reason, endpoint_name, serving,
        target, changes, calls, two_fleets, variants, alarms, fallbacks.
    """

    leaves_record = False

    def __init__(self, *, endpoint_name: Late, endpoint_config_name: Late, **kwargs: Any) -> None:
        super().__init__(endpoint_name=endpoint_name, endpoint_config_name=endpoint_config_name, **kwargs)

    def execute(self, context: Context) -> str:
        """Observe, plan, and simulate the deployment."""
        from airflow_sm_hosting.deployment.progress import Progress

        wanted = self._wanted(context)
        self._check_before_asking(wanted)
        self.check_arns("endpoint_name", "endpoint_config_name")
        self._persist_links(context, self.sagemaker_hook)
        now = time.time()
        plan = self._deployer(wanted, Progress(started_at=now, deadline=now)).preview()
        self.push_details(context, plan.as_json())
        text = plan.as_markdown()
        self.log.info("%s", text)
        return text

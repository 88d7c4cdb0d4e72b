"""Ask a person to approve the plan of a deployment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator

from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.fields import Boolean
from airflow_sm_hosting.spec.checks import is_rendered_later

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.fields import Late

_REQUIRED = Boolean(default=True)

#: How long an approval is awaited by default: then the task fails, and nothing is deployed.
APPROVAL_AWAITED = timedelta(days=1)


class ApproveDeploymentOperator(ApprovalOperator):
    """Show a plan to a person, and wait until it is approved or rejected.

    Nobody is asked if the plan changes nothing, or if the deployment would be refused: the task succeeds at once, and the deployment tells the
    reason. A rejected plan skips the deployment. A plan on which nobody decides in time fails the task, and nothing is deployed.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#approvedeploymentoperator

    :param plan: The ``details`` of :class:`~airflow_sm_hosting.PlanDeploymentOperator`: ``plan.output["details"]``. (templated)
    :param required: Whether a person has to approve; with False each plan counts as approved, for a switch in the trigger form
        (default: True). (templated)
    :param subject: The question (default: ``Deploy to endpoint …?``). (templated)
    :param body: What is shown below it, as Markdown: ``plan.output`` (default: nothing). (templated)
    :param response_timeout: How long a decision is awaited, as a timedelta; None for ever (default: one day).
    :param kwargs: The other parameters of Airflow's ``ApprovalOperator``: ``assigned_users``, ``notifiers``, ``fail_on_reject``.
    :raises InvalidSpecError: When ``plan`` is no plan.
    :return: What Airflow's ``ApprovalOperator`` returns; ``details`` (XCom), for ``approval`` of
        :class:`~airflow_sm_hosting.DeployEndpointOperator`: serving, target, asked, approved_by, approved_at.
    """

    template_fields: Sequence[str] = (*ApprovalOperator.template_fields, "plan", "required")

    def __init__(
        self,
        *,
        plan: Mapping[str, Any] | Late,
        required: bool | Late = True,
        subject: str | None = None,
        body: Late | None = None,
        response_timeout: timedelta | None = APPROVAL_AWAITED,
        **kwargs: Any,
    ) -> None:
        if not is_rendered_later(plan):
            _check(plan)
        super().__init__(subject=subject or "", body=body, response_timeout=response_timeout, **kwargs)
        self.plan = plan
        self.required = required

    def execute(self, context: Context) -> Any:
        """Ask, unless there is nothing to decide."""
        from airflow_sm_hosting.deployment.approved_plan import approval_of, is_asked

        plan = _check(self.plan)
        if is_asked(plan) and self._is_required():
            self.subject = self.subject or f"Deploy to endpoint {plan.get('endpoint_name')}?"
            return super().execute(context)
        why = "no approval is required" if is_asked(plan) else f"the plan is {plan['action']}"
        self.log.info("Nobody is asked, as %s: %s", why, plan.get("reason"))
        context["ti"].xcom_push(key="details", value=approval_of(plan, asked=False))
        return {"chosen_options": [self.APPROVE], "params_input": {}}

    def _is_required(self) -> bool:
        return _REQUIRED.value("ApproveDeploymentOperator: required", self.required)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Note who decided, then continue or skip."""
        from airflow_sm_hosting.deployment.approved_plan import approval_of

        if "error" not in event and self.APPROVE in event["chosen_options"]:
            user, at = event.get("responded_by_user") or {}, event.get("responded_at")
            by = user.get("name") or user.get("id")
            self.log.info("Approved by %s", by or "nobody: a default of this task")
            approval = approval_of(_check(self.plan), asked=True, by=by, at=at.isoformat() if at else None)
            context["ti"].xcom_push(key="details", value=approval)
        return super().execute_complete(context, event)


def _check(plan: Any) -> Mapping[str, Any]:
    """Return a plan.

    :raises InvalidSpecError: When it is none.
    """
    if not isinstance(plan, Mapping) or not {"action", "serving", "target"} <= set(plan):
        found = sorted(map(str, plan)) if isinstance(plan, Mapping) else type(plan).__name__
        raise InvalidSpecError(
            f"ApproveDeploymentOperator: plan is {found}; allowed: the details of a PlanDeploymentOperator, plan.output['details']."
        )
    return plan

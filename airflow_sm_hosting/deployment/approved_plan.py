"""A plan that a person has approved: when to ask, and whether a deployment is still the approved one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.status import Described
from airflow_sm_hosting.deployment.wanted import Wanted

#: Actions of a plan that a person decides on. Nothing is to decide where nothing changes, or where the deployment would be refused.
ASKED = (Action.CREATE, Action.UPDATE, Action.REPLACE, Action.WAIT)


def is_asked(plan: Mapping[str, Any]) -> bool:
    """Return whether a person decides on a plan.

    :param plan: The ``details`` of PlanDeploymentOperator.
    """
    return plan.get("action") in ASKED


def approval_of(
    plan: Mapping[str, Any], *, asked: bool, by: str | None = None, at: str | None = None
) -> dict[str, Any]:
    """Return an approval as plain JSON, for DeployEndpointOperator.

    :param plan: The ``details`` of PlanDeploymentOperator.
    :param asked: Whether a person was asked.
    :param by: Who approved.
    :param at: When, in ISO format.
    """
    return {
        "serving": plan.get("serving"),
        "target": plan.get("target"),
        "asked": asked,
        "approved_by": by,
        "approved_at": at,
    }


def approval_problem(described: Described | None, wanted: Wanted, action: Action) -> str | None:
    """Return why a deployment is not the approved one; None if it is, or if no approval is needed.

    What serves must be what served when the plan was made, or what this deployment itself has brought: a try that was killed is no change
    by somebody else.

    :param described: DescribeEndpoint's answer; None if the endpoint does not exist.
    :param wanted: The requested deployment, with the approval.
    :param action: What the deployment would do.
    """
    if wanted.approval is None or action not in (Action.CREATE, Action.UPDATE, Action.REPLACE):
        return None
    requested = wanted.endpoint_config_name
    if requested is not None and requested != wanted.approval.get("target"):
        return f"the approved plan of endpoint {wanted.endpoint_name} is for config {wanted.approval.get('target')}, requested is {requested}"
    serving = described.get("EndpointConfigName") if described else None
    planned = wanted.approval.get("serving")
    if serving in (planned, wanted.approval.get("target"), *wanted.fallbacks):
        return None
    return (
        f"endpoint {wanted.endpoint_name} {f'serves config {serving}' if serving else 'does not exist'}; when the plan was made, it "
        f"{f'served config {planned}' if planned else 'did not exist'}. Plan again, and let the new plan be approved"
    )

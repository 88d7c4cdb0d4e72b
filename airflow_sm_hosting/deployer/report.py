"""The report of an ended deployment: its details, and the error if it failed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.component import COPIES, WantedComponent
from airflow_sm_hosting.deployment.planning import End, Ending
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.remedies import cause_of
from airflow_sm_hosting.deployment.status import Described, instance_counts
from airflow_sm_hosting.deployment.wait import Outcome, WaitResult
from airflow_sm_hosting.exceptions import (
    DeploymentError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    SmokeTestFailedError,
)

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

#: The errors of waits without success, by outcome.
ERRORS: dict[str, type[DeploymentError]] = {
    Outcome.ROLLED_BACK: DeploymentRolledBackError,
    Outcome.FAILED: DeploymentFailedError,
    Outcome.TIMED_OUT: DeploymentTimeoutError,
    Outcome.UNKNOWN: DeploymentFailedError,
}


def details_of(
    progress: Progress,
    serving: str | None,
    endpoint_arn: str | None,
    approval: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the details: the action and the serving config; without waiting, the config that AWS was asked to deploy.

    :param progress: The progress of the deployment.
    :param serving: The config.
    :param endpoint_arn: The endpoint.
    :param approval: The approval of its plan.
    """
    approved = {name: (approval or {}).get(name) for name in ("approved_by", "approved_at")}
    return {
        "action": str(progress.action or "wait"),
        "endpoint_config_name": serving,
        "previous_endpoint_config_name": progress.previous_endpoint_config_name,
        "endpoint_arn": endpoint_arn,
        "seconds": round(time.time() - progress.started_at, 1),
        **{name: value for name, value in approved.items() if value},
    }


def component_details(
    progress: Progress, end: End, described: Described | None, endpoint_name: str
) -> dict[str, Any]:
    """Return the details of an inference component's deployment, with the specification that serves.

    :param progress: The progress of the deployment.
    :param end: Its end.
    :param described: The last description of the component.
    :param endpoint_name: Its endpoint.
    """
    shown = described or {}
    specifications = [_without_environment(one) for one in shown.get("Specifications") or ()]
    return {
        "action": str(progress.action or "wait"),
        "endpoint_name": endpoint_name,
        "specification_name": end.serving,
        "previous_specification_name": progress.previous_endpoint_config_name,
        "specification": specifications[0] if len(specifications) == 1 else None,
        "specifications": specifications if len(specifications) > 1 else None,
        "copy_count": instance_counts(shown).get(COPIES),
        "inference_component_arn": end.endpoint_arn,
        "seconds": round(time.time() - progress.started_at, 1),
    }


def _without_environment(specification: Mapping[str, Any]) -> dict[str, Any]:
    container = specification.get("Container")
    if not isinstance(container, Mapping) or "Environment" not in container:
        return dict(specification)
    return {**specification, "Container": {**container, "Environment": "***"}}


def error_of(
    end: End,
    progress: Progress,
    aws: AwsParameters,
    endpoint_name: str,
    details: dict[str, Any],
    component: WantedComponent | None = None,
) -> DeploymentError:
    """Return the error of a failed deployment; its message contains the remedy and the container's last log lines.

    :param end: The end of the deployment.
    :param progress: Its progress.
    :param aws: Makes the hooks.
    :param endpoint_name: The endpoint.
    :param details: Its details.
    :param component: The inference component; None for an endpoint.
    """
    if end.ending is Ending.WRONG_ANSWER:
        return SmokeTestFailedError(f"{end.message} {end.note}".strip(), details=details)
    result = progress.result or WaitResult(str(Outcome.UNKNOWN), end.message)
    reason = result.described.get("FailureReason")
    parts = [end.message]
    if result.outcome in (Outcome.ROLLED_BACK, Outcome.FAILED):
        from airflow_sm_hosting.deployer.failure_report import component_failure_report, failure_report

        target = str(progress.target)
        # Lines of containers older than this deployment are not its own; the beginning of a joined deployment is unknown.
        since = None if progress.action == "join" else progress.started_at
        if component:
            wanted = component.specifications
            parts.append(component_failure_report(aws, endpoint_name, wanted, reason, since=since))
        else:
            configs = {target, end.serving or target}
            parts.append(failure_report(aws, endpoint_name, configs, reason, since=since))
    parts.append(end.note)
    cause = cause_of(reason)
    return ERRORS[result.outcome](
        " ".join(part for part in parts if part),
        details=details,
        cause=str(cause) if cause else None,
        reason=reason,
    )

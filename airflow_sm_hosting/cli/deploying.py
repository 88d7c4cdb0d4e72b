"""Plan and carry out a deployment from the command line, with the engine of the operators."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployer.deployment import EndpointDeployer
from airflow_sm_hosting.deployer.report import details_of, error_of
from airflow_sm_hosting.deployer.waiting import PollingWait
from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.planning import End, Ending
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.service_model.request import validated_request

if TYPE_CHECKING:
    from airflow_sm_hosting.cli.connection import ShellAws
    from airflow_sm_hosting.deployment.deployment_plan import DeploymentPlan

#: Plans that change nothing since the deployment would be refused, or would fail.
REFUSALS = (Action.REFUSE, Action.FAIL, Action.OVERTAKEN)


def wanted_deployment(
    endpoint_name: str,
    endpoint_config_name: str | None,
    *,
    deployment_config: Mapping[str, Any] | None,
    adopt: bool,
) -> Wanted:
    """Return a deployment that is due now, of this command alone.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config; in a rollback, None for the one that served before.
    :param deployment_config: ``DeploymentConfig`` of UpdateEndpoint, or None for AWS's default.
    :param adopt: Whether it may change an endpoint that is not ours.
    :raises InvalidSpecError: When AWS would refuse the request.
    """
    request = {"EndpointName": endpoint_name, "EndpointConfigName": endpoint_config_name or "before"}
    validated_request("sagemaker", "UpdateEndpoint", {**request, "DeploymentConfig": deployment_config})
    return Wanted(
        endpoint_name=endpoint_name,
        endpoint_config_name=endpoint_config_name,
        deployment_config=deployment_config,
        adopt=adopt,
        run_after=datetime.now(UTC).isoformat(timespec="milliseconds"),
        task=secrets.token_hex(4),
    )


def planned(aws: ShellAws, wanted: Wanted, *, rolls_back: bool) -> DeploymentPlan:
    """Return the plan of a deployment, without changing anything.

    :param aws: Makes the hooks.
    :param wanted: The deployment.
    :param rolls_back: Whether it is a rollback.
    """
    now = time.time()
    progress = Progress(started_at=now, deadline=now, rolling_back=rolls_back)
    return EndpointDeployer(wanted, aws, progress).preview()


def carry_out(
    aws: ShellAws,
    wanted: Wanted,
    *,
    rolls_back: bool,
    timeout: float,
    poll_seconds: float,
    log_status: Callable[[str], None],
) -> dict[str, Any]:
    """Deploy and wait for the outcome; return the details, as those of the operators.

    :param aws: Makes the hooks.
    :param wanted: The deployment.
    :param rolls_back: Whether it is a rollback.
    :param timeout: The time budget in seconds.
    :param poll_seconds: Seconds between two polls.
    :param log_status: Takes a line for a person watching.
    :raises DeploymentError: When the endpoint does not serve the config in the end.
    :raises ConflictError: When the endpoint cannot be updated to it.
    """
    now = time.time()
    progress = Progress(started_at=now, deadline=now + timeout, rolling_back=rolls_back)
    deployer = EndpointDeployer(wanted, aws, progress)
    while not isinstance(reached := deployer.advance(), End):
        wait = PollingWait(
            aws.sagemaker_hook,
            reached,
            deadline=progress.deadline,
            started_at=progress.started_at,
            log_status=log_status,
        )
        while (result := wait.poll()) is None:
            time.sleep(wait.pause(poll_seconds))
        deployer.progress = deployer.progress.after_wait(reached.until, result)
    details = details_of(deployer.progress, reached.serving, reached.endpoint_arn)
    if reached.ending == Ending.SUCCEEDED:
        return details
    if reached.ending == Ending.SKIPPED:
        raise ConflictError(reached.message)
    raise error_of(reached, deployer.progress, aws, wanted.endpoint_name, details)

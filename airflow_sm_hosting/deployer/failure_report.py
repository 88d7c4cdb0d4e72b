"""Report on a failed deployment beyond its FailureReason: the remedy, and the last log lines of the container."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.deployer.environments import values_of_component, values_of_configs
from airflow_sm_hosting.deployment.remedies import advice, hint_of_log

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


def failure_report(
    aws: AwsParameters,
    endpoint_name: str,
    endpoint_config_names: Iterable[str],
    reason: str | None,
    *,
    since: float | None = None,
) -> str:
    """Return the text to append to the message of a failed deployment; it may be empty.

    The values of the containers' environments are hidden, also in the containers' own log lines.

    :param aws: Makes the hooks.
    :param endpoint_name: The endpoint.
    :param endpoint_config_names: The configs whose containers may have written log lines: the deployed and the serving config.
    :param reason: SageMaker's FailureReason.
    :param since: When the deployment began, in seconds since the epoch; None for a joined deployment.
    """

    def read() -> tuple[str, list[str]]:
        hidden = values_of_configs(aws.sagemaker_hook.conn, endpoint_config_names)
        return aws.endpoint_logs_hook.last_lines(endpoint_name, hidden, since=since)

    return _report(reason, read)


def component_failure_report(
    aws: AwsParameters,
    name: str,
    specifications: Iterable[Mapping[str, Any]],
    reason: str | None,
    *,
    since: float | None = None,
) -> str:
    """Return the same for an inference component, whose containers write to a log group of its own.

    :param aws: Makes the hooks.
    :param name: The inference component.
    :param specifications: The wanted specifications, whose containers may have written log lines.
    :param reason: SageMaker's FailureReason.
    :param since: When the deployment began, in seconds since the epoch; None for a joined deployment.
    """

    def read() -> tuple[str, list[str]]:
        from airflow_sm_hosting.hooks.endpoint_logs import COMPONENT_LOG_GROUP

        hidden = values_of_component(aws.sagemaker_hook.conn, name, specifications)
        return aws.endpoint_logs_hook.last_lines(name, hidden, since=since, log_group=COMPONENT_LOG_GROUP)

    return _report(reason, read)


def _report(reason: str | None, read: Callable[[], tuple[str, list[str]]]) -> str:
    parts = [advice(reason)]
    try:
        stream, lines = read()
    except (ClientError, BotoCoreError) as error:
        # The values to hide are unknown, so no line is shown.
        log.info("The last log lines of the containers are not shown: %s", error)
        stream, lines = "", []
    if lines:
        parts.append(hint_of_log(lines))
        parts.append(f"The last lines of {stream}:\n" + "\n".join(f"  {line}" for line in lines))
    return " ".join(part for part in parts if part)

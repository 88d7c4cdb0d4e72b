"""Report on a failed deployment beyond its FailureReason: the remedy, and the last log lines of the container."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.deployer.environments import values_of_configs
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
    parts = [advice(reason)]
    try:
        hidden = values_of_configs(aws.sagemaker_hook.conn, endpoint_config_names)
        stream, lines = aws.endpoint_logs_hook.last_lines(endpoint_name, hidden, since=since)
    except (ClientError, BotoCoreError) as error:
        # The values to hide are unknown, so no line is shown.
        log.info("The last log lines of the containers are not shown: %s", error)
        stream, lines = "", []
    if lines:
        parts.append(hint_of_log(lines))
        parts.append(f"The last lines of {stream}:\n" + "\n".join(f"  {line}" for line in lines))
    return " ".join(part for part in parts if part)

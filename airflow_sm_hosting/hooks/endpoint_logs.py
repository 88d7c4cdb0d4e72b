"""The last log lines of an endpoint's containers, for the report of a failure."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.hooks.errors import error_code
from airflow_sm_hosting.spec.masking import masked

if TYPE_CHECKING:
    from types_boto3_logs.client import CloudWatchLogsClient


#: Log group of the containers' output (developer guide, "logging-cloudwatch").
LOG_GROUP = "/aws/sagemaker/Endpoints/{endpoint_name}"
#: The log group of an inference component: the group of its endpoint has none of its lines (aws-samples/sagemaker-genai-hosting-examples).
COMPONENT_LOG_GROUP = "/aws/sagemaker/InferenceComponents/{endpoint_name}"
LINES = 15
#: Page size of DescribeLogStreams.
MOST_STREAMS = 50
#: Maximum of lines in an error, as an event may have many, and of characters of each.
MOST_LINES, LONGEST_LINE = 60, 2000
#: Maximum difference between this clock and AWS's, in seconds.
CLOCKS_APART = 5.0


class EndpointLogsHook(SharedClients):
    """Interact with Amazon CloudWatch Logs for endpoints.

    Provide thin wrapper around :external+boto3:py:class:`boto3.client("logs") <CloudWatchLogs.Client>`.

    .. seealso:: :class:`airflow_sm_hosting.hooks.clients.SharedClients` for the parameters.
    """

    conn: CloudWatchLogsClient

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "client_type": "logs"})

    def last_lines(
        self,
        endpoint_name: str,
        hidden: Collection[str] = (),
        *,
        since: float | None = None,
        log_group: str = LOG_GROUP,
    ) -> tuple[str, list[str]]:
        """Return the name of an endpoint's newest log stream, ``<variant>/<instance>…``, and its last lines.

        The newest stream belongs to the new fleet. An old fleet that still serves may write later lines, but its streams began earlier.
        Uses ``logs:DescribeLogStreams`` and ``logs:GetLogEvents``. Lines that cannot be read are left out: the report is best effort.

        :param endpoint_name: The endpoint.
        :param since: When the deployment began, in seconds since the epoch, if known: streams of earlier containers are
            left out.
        :param hidden: Values to mask: those of the containers' environments.
        :param log_group: The log group, with the name's place in it: inference components have another one.
        """
        group = log_group.format(endpoint_name=endpoint_name)
        try:
            streams = self.conn.describe_log_streams(
                logGroupName=group, orderBy="LastEventTime", descending=True, limit=MOST_STREAMS
            )["logStreams"]
            if since is not None:
                streams = [found for found in streams if _made(found) >= since - CLOCKS_APART]
            if not streams:
                return "", []
            stream = max(streams, key=_made)["logStreamName"]
            events = self.conn.get_log_events(
                logGroupName=group, logStreamName=stream, limit=LINES, startFromHead=False
            )["events"]
        except ClientError as error:
            # Containers that never started have no log.
            level = logging.DEBUG if error_code(error) == "ResourceNotFoundException" else logging.INFO
            self.log.log(level, "The endpoint's log cannot be read: %s", error)
            return "", []
        # All lines at once: a value may have several lines.
        text = masked("\n".join(event["message"].rstrip() for event in events), hidden)
        return stream, [line[:LONGEST_LINE].rstrip() for line in text.split("\n")[-MOST_LINES:]]


def _made(stream: Mapping[str, Any]) -> float:
    return float(stream.get("creationTime", 0)) / 1000

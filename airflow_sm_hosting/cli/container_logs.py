"""The log lines of an endpoint's containers, from CloudWatch Logs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from airflow_sm_hosting.exceptions import NotFoundError

if TYPE_CHECKING:
    from types_boto3_logs.client import CloudWatchLogsClient

#: Log group of the containers' output (developer guide, "logging-cloudwatch").
LOG_GROUP = "/aws/sagemaker/Endpoints/{endpoint_name}"


class LogLine(NamedTuple):
    """A line of a container.

    :param timestamp: When it was written, in milliseconds since the epoch.
    :param stream: Its log stream: ``<variant>/<instance>[/<container>]``.
    :param message: The line.
    """

    timestamp: int
    stream: str
    message: str

    def as_json(self) -> str:
        """Return the line as JSON."""
        at = datetime.fromtimestamp(self.timestamp / 1000, UTC).isoformat(timespec="milliseconds")
        return json.dumps({"time": at, "stream": self.stream, "message": self.message})


def print_logs(
    logs: CloudWatchLogsClient,
    endpoint_name: str,
    *,
    variant: str | None,
    follow: bool,
    as_json: bool,
    since: float | None = None,
    poll_seconds: float = 0.3,
) -> None:
    """Print the lines of an endpoint's containers; Ctrl-C ends it.

    :param logs: The client of CloudWatch Logs.
    :param endpoint_name: The endpoint.
    :param variant: Only lines of this variant.
    :param follow: Whether to wait for more lines, and for an endpoint that does not exist yet.
    :param as_json: Whether to print each line as JSON.
    :param since: Only lines since then, in seconds since the epoch.
    :param poll_seconds: Seconds between two looks for more lines.
    :raises NotFoundError: When no container of such an endpoint has written anything.
    """
    lines = container_logs(
        logs, endpoint_name, variant=variant, follow=follow, since=since, poll_seconds=poll_seconds
    )
    try:
        for line in lines:
            click.echo(line.as_json() if as_json else f"{line.stream}  {line.message}")
    except KeyboardInterrupt:
        if not follow:
            raise


def container_logs(
    logs: CloudWatchLogsClient,
    endpoint_name: str,
    *,
    variant: str | None = None,
    follow: bool = False,
    since: float | None = None,
    poll_seconds: float = 0.3,
) -> Iterator[LogLine]:
    """Return the lines of an endpoint's containers, in the order of time; the parameters are those of :func:`print_logs`."""
    group = LOG_GROUP.format(endpoint_name=endpoint_name)
    tokens: dict[str, str] = {}
    while True:
        # Replaced containers have streams of their own.
        streams = _streams(logs, group, variant)
        if not streams and not follow:
            of = f"variant {variant} of endpoint {endpoint_name}" if variant else f"endpoint {endpoint_name}"
            raise NotFoundError(f"No container of {of} has written any logs.")
        lines: list[LogLine] = []
        for stream in streams:
            found, tokens[stream] = _new_lines(logs, group, stream, tokens.get(stream), since)
            lines += found
        # The sort is stable: of the same millisecond, lines of a stream stay in their order.
        yield from sorted(lines, key=lambda line: line.timestamp)
        if not follow:
            return
        time.sleep(poll_seconds)


def _streams(logs: CloudWatchLogsClient, group: str, variant: str | None) -> list[str]:
    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)
    try:
        names = [str(stream["logStreamName"]) for page in pages for stream in page["logStreams"]]
    except logs.exceptions.ResourceNotFoundException:
        return []
    return [name for name in names if variant is None or name.partition("/")[0] == variant]


def _new_lines(
    logs: CloudWatchLogsClient, group: str, stream: str, token: str | None, since: float | None
) -> tuple[list[LogLine], str]:
    """Return the lines after a token, and the token after them."""
    request: dict[str, Any] = {"logGroupName": group, "logStreamName": stream, "startFromHead": True}
    if since is not None:
        request["startTime"] = int(since * 1000)
    lines: list[LogLine] = []
    while True:
        if token:
            request["nextToken"] = token
        page = logs.get_log_events(**request)
        lines += [LogLine(event["timestamp"], stream, event["message"]) for event in page["events"]]
        if page["nextForwardToken"] == token:
            # "If you have reached the end of the stream, it returns the same token you passed in": API_GetLogEvents.html
            return lines, str(token)
        token = page["nextForwardToken"]

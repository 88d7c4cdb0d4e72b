"""The log lines of an endpoint's containers, from CloudWatch Logs."""

from __future__ import annotations

import time
from collections.abc import Iterator

from airflow_sm_hosting.local.client.control import Control, LocalAwsError

_POLL_SECONDS = 0.3


def container_logs(
    control: Control, endpoint: str, *, variant: str | None = None, follow: bool = False
) -> Iterator[str]:
    """Return the lines of an endpoint's containers, in the order of time, each after its log stream.

    :param control: The local AWS.
    :param endpoint: The endpoint's name.
    :param variant: Only of this variant.
    :param follow: Whether to wait for more lines, and for an endpoint that does not exist yet.
    :raises LocalAwsError: No container of such an endpoint has written anything.
    """
    logs = control.client("logs")
    group = f"/aws/sagemaker/Endpoints/{endpoint}"
    tokens: dict[str, str] = {}
    while True:
        # Replaced containers have streams of their own.
        streams = _streams(logs, group, variant)
        if not streams and not follow:
            of = f"variant {variant} of endpoint {endpoint}" if variant else f"endpoint {endpoint}"
            raise LocalAwsError(f"No container of {of} has written any logs.")
        lines: list[tuple[int, str]] = []
        for stream in streams:
            events, tokens[stream] = _new_events(logs, group, stream, tokens.get(stream))
            lines += [(at, f"{stream}  {message}") for at, message in events]
        # The sort is stable: of the same millisecond, lines of a stream stay in their order.
        for _, line in sorted(lines, key=lambda line: line[0]):
            yield line
        if not follow:
            return
        time.sleep(_POLL_SECONDS)


def _streams(logs: object, group: str, variant: str | None) -> list[str]:
    from botocore.exceptions import ClientError

    pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group)  # type: ignore[attr-defined]
    try:
        names = [str(stream["logStreamName"]) for page in pages for stream in page["logStreams"]]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return []
        raise LocalAwsError(str(error)) from error
    # <variant>/<instance>[/<container>]
    return [name for name in names if variant is None or name.partition("/")[0] == variant]


def _new_events(
    logs: object, group: str, stream: str, token: str | None
) -> tuple[list[tuple[int, str]], str]:
    """Return the events after a token, and the token after them."""
    events: list[tuple[int, str]] = []
    while True:
        page = logs.get_log_events(  # type: ignore[attr-defined]
            logGroupName=group,
            logStreamName=stream,
            startFromHead=True,
            **({"nextToken": token} if token else {}),
        )
        events += [(event["timestamp"], event["message"]) for event in page["events"]]
        if page["nextForwardToken"] == token:
            # "If you have reached the end of the stream, it returns the same token you passed in": API_GetLogEvents.html
            return events, str(token)
        token = page["nextForwardToken"]

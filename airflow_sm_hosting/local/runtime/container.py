"""Requests to a container, and the error of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import urllib3

from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID, regional_arn
from airflow_sm_hosting.local.runtime.request import refusal
from airflow_sm_hosting.local.sagemaker.endpoints.variant import ServingContainer
from airflow_sm_hosting.local.wire.errors import AwsError

# What of a container's error is quoted: botocore's model has at most 2048 characters for a message.
_MAX_QUOTED = 1024


@dataclass(frozen=True)
class Caller:
    """The invocation on whose behalf a container is asked.

    :param endpoint_name: The endpoint.
    :param region: Its Region.
    :param log_group: Where the container's lines are.
    :param timeout_seconds: How long an answer may take.
    """

    endpoint_name: str
    region: str
    log_group: str
    timeout_seconds: float


@dataclass(frozen=True)
class ModelAnswer:
    """What a model answered.

    :param data: The body.
    :param content_type: Its content type.
    """

    data: bytes
    content_type: str


class ModelError(AwsError):
    """A container answered with an error, or not at all.

    :param status: The HTTP status of its answer; 0 for none in time.
    :param body: Its answer.
    """

    def __init__(self, container_name: str, caller: Caller, status: int, body: bytes) -> None:
        quoted = body[:_MAX_QUOTED].decode("utf-8", "replace")
        region, group = caller.region, caller.log_group
        console = f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}"
        who = "client" if 400 <= status < 500 else "server"
        super().__init__(
            "ModelError",
            # Quotation marks and line ends of the container are not escaped: shashankprasanna/torchserve-examples#3
            f'Received {who} error ({status}) from {container_name} with message "{quoted}". See '
            f"{console}#logEventViewer:group={quote(group)} in account {ACCOUNT_ID} for more information.",
            status=424,
            details={
                "OriginalStatusCode": status,
                "OriginalMessage": quoted,
                "LogStreamArn": regional_arn("logs", region, f"log-group:{group}"),
            },
        )
        self.original_status = status
        self.body = body

    @property
    def was_silent(self) -> bool:
        """Whether the container did not answer at all; it may have ended."""
        return isinstance(self.__cause__, urllib3.exceptions.HTTPError)


def ask(
    container: ServingContainer,
    caller: Caller,
    path: str,
    *,
    method: str = "POST",
    body: bytes = b"",
    headers: Mapping[str, str] | None = None,
    whole: bool = True,
) -> urllib3.BaseHTTPResponse:
    """Send a request to a container, and return its answer, whatever the status.

    :param whole: Whether the answer's body is read at once; otherwise it is for the caller to read, and to release.
    :raises ModelError: It does not answer.
    :raises AwsError: There is no container.
    """
    if container.running.url is None:
        raise refusal(
            f"Endpoint {caller.endpoint_name} cannot be invoked: this local AWS runs with the engine 'none', which starts "
            "no containers."
        )
    # A pool would hand out a connection that the container is just closing, as it was asked to, now and then.
    http = urllib3.connection_from_url(container.running.url, retries=False)
    try:
        return http.request(
            method,
            path,
            body=body,
            # A kept connection costs 40 ms an invocation with Python's http.server, which sends head and body apart (Nagle's
            # algorithm waits for an acknowledgement that the kernel delays); a new one costs 0.2 ms.
            headers={**(headers or {}), "Connection": "close"},
            timeout=urllib3.Timeout(connect=2, read=caller.timeout_seconds),
            preload_content=whole,
        )
    except urllib3.exceptions.ReadTimeoutError as error:
        message = (
            "Your invocation timed out while waiting for a response from container "
            f"{container.name}. Review the latency metrics for each container in Amazon CloudWatch, resolve the "
            "issue, and try again."
        )
        raise ModelError(container.name, caller, 0, message.encode()) from error
    except urllib3.exceptions.HTTPError as error:
        message = f"The container {container.name} does not answer: {type(error).__name__}"
        raise ModelError(container.name, caller, 503, message.encode()) from error
    finally:
        if whole:
            http.close()


def is_good(answer: urllib3.BaseHTTPResponse) -> bool:
    """Return whether an answer is a success."""
    return 200 <= answer.status < 300


def good(
    answer: urllib3.BaseHTTPResponse, container: ServingContainer, caller: Caller
) -> urllib3.BaseHTTPResponse:
    """Return a successful answer.

    :raises ModelError: Its status is an error.
    """
    if is_good(answer):
        return answer
    raise ModelError(container.name, caller, answer.status, answer.data)

"""Requests to the runtime: read from HTTP, and validated against botocore's model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from werkzeug.wrappers import Request

from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.validation import check_request
from airflow_sm_hosting.service_model.coercion import scalar
from airflow_sm_hosting.service_model.shapes import input_shape

SERVICE = "sagemaker-runtime"

# Which header of the container's request has which member: API_runtime_InvokeEndpoint.html ("SageMaker strips all POST headers
# except those supported by the API") and mms-container-apis.html.
_TO_CONTAINER = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
    "EnableExplanations": "X-Amzn-SageMaker-Enable-Explanations",
}


def refusal(message: str) -> AwsError:
    """Return a refusal of the runtime, whose code is not the control plane's."""
    return AwsError("ValidationError", message)


def read_invocation(request: Request, operation: str, endpoint_name: str) -> dict[str, Any]:
    """Return the members of a request, ``Body`` among them unless it is empty and need not be there.

    :raises AwsError: It breaks the model.
    """
    asked: dict[str, Any] = {"EndpointName": endpoint_name}
    for name, header, type_name in _headers(operation):
        if (value := request.headers.get(header)) is not None:
            asked[name] = scalar(type_name, value)
    try:
        # Without the body: what is wrong with it must not be quoted.
        check_request(SERVICE, operation, {**asked, "Body": b""})
    except AwsError as error:
        raise refusal(error.message) from error
    body = _body(request, _max_body(operation))
    if body or operation != "InvokeEndpointAsync":
        asked["Body"] = body
    return asked


def container_headers(asked: Mapping[str, Any]) -> dict[str, str]:
    """Return the headers with which a container is asked."""
    return {header: asked[name] for name, header in _TO_CONTAINER.items() if name in asked}


@cache
def _headers(operation: str) -> tuple[tuple[str, str, str], ...]:
    """Return name, header and type of each member that is a header."""
    return tuple(_members_in_headers(operation))


@cache
def _max_body(operation: str) -> int:
    return int(input_shape(SERVICE, operation).members["Body"].metadata["max"])


def _members_in_headers(operation: str) -> Iterator[tuple[str, str, str]]:
    for name, member in input_shape(SERVICE, operation).members.items():
        if member.serialization.get("location") == "header":
            yield name, member.serialization["name"], member.type_name


def _body(request: Request, most: int) -> bytes:
    if (request.content_length or 0) <= most:
        body = request.stream.read(most + 1)
        if len(body) <= most:
            return body
    # Not more of it is read than allowed.
    raise refusal(
        "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than "
        f"or equal to {most}"
    )

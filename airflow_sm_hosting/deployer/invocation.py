"""Invoke an endpoint once: in real time, as a stream, or asynchronously."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_exponential_jitter
from urllib3.exceptions import HTTPError

from airflow_sm_hosting.deployer.environments import masked_answer
from airflow_sm_hosting.exceptions import InvalidSpecError, InvocationError
from airflow_sm_hosting.hooks.errors import error_code, error_message
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.smoke_test import ASYNCHRONOUS, OPERATIONS, STREAMED

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

#: Maximum size of a request (InvokeEndpoint, Body).
MAX_BODY_BYTES = 6_291_456
SERVICE = "sagemaker-runtime"
#: Errors that contain what the container answered: of a request, and in a stream (botocore, sagemaker-runtime).
CONTAINER_FAILED = {"ModelError", "ModelStreamError"}
#: A model of a multi-model endpoint is being loaded (InvokeEndpoint, ModelNotReadyException).
NOT_READY = "ModelNotReadyException"
#: Errors that a model causes.
_ERRORS_OF_MODELS = {*CONTAINER_FAILED, NOT_READY}
#: What a component without copies answers ("Inference Component has no capacity to process this request. …", ValidationError):
#: https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-auto-scaling-zero-instances.html; requests to it are not queued.
_NO_CAPACITY = "has no capacity to process this request"
#: Maximum length of an answer, or of a container's error, in a message.
MAX_TOLD_CHARACTERS = 500
#: Maximum pause between two requests to an endpoint without capacity, in seconds.
LONGEST_PAUSE = 15


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer.

    :param content: The body.
    :param content_type: Its MIME type; None if it is not known, as of an asynchronous answer.
    :param variant: The production variant that answered; None if it is not known.
    :param milliseconds: How long the whole answer took; None for an asynchronous one.
    :param first_part_ms: How long the first part of a stream took; None otherwise.
    :param session: The id of the session that was opened, with its end; None otherwise.
    :param closed_session: The id of the session that was closed; None otherwise.
    :param custom_attributes: Those that the container returned.
    :param output_location: Where the answer is in S3; None otherwise.
    """

    content: bytes
    content_type: str | None = None
    variant: str | None = None
    milliseconds: float | None = None
    first_part_ms: float | None = None
    session: str | None = None
    closed_session: str | None = None
    custom_attributes: str | None = None
    output_location: str | None = None

    @property
    def text(self) -> str:
        """The body as text."""
        return self.content.decode(errors="replace")

    def json(self) -> Any:
        """Return the value of a body that is JSON.

        :raises ValueError: When it is not.
        """
        return json.loads(self.content)


class Accepted(NamedTuple):
    """An asynchronous request that the endpoint has accepted.

    :param output: Where its answer will be in S3.
    :param failure: Where its failure will be; None if the endpoint config names no such place.
    """

    output: str
    failure: str | None


def encoded(body: Any, where: str = "body") -> bytes:
    """Return a request's body: a string or bytes as they are, anything else as JSON.

    :raises InvalidSpecError: When it is larger than InvokeEndpoint accepts.
    """
    content = (
        body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    )
    if len(content) > MAX_BODY_BYTES:
        raise InvalidSpecError(f"{where} has {len(content)} bytes; allowed: at most {MAX_BODY_BYTES}.")
    return content


def checked_request(kind: str, endpoint_name: str, members: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request without its body, validated by the service's model, before the first one is sent.

    :param kind: The kind of request.
    :param endpoint_name: The endpoint.
    :param members: The other members.
    :raises InvalidSpecError: When AWS would refuse it.
    """
    shape = input_shape(SERVICE, OPERATIONS[kind])
    body = {"Body": b""} if "Body" in shape.required_members else {}
    request = validated_request(SERVICE, OPERATIONS[kind], {"EndpointName": endpoint_name, **members, **body})
    request.pop("Body", None)
    return request


def takes_async_body(size: int) -> bool:
    """Return whether the installed botocore sends a body of this size to InvokeEndpointAsync: older ones know ``InputLocation`` only."""
    member = input_shape(SERVICE, OPERATIONS[ASYNCHRONOUS]).members.get("Body")
    return member is not None and size <= member.metadata["max"]


def invoke(
    hook: SageMakerRuntimeHook,
    kind: str,
    request: Mapping[str, Any],
    *,
    wait_for_capacity: float = 0,
    log: Callable[..., object],
) -> Answer | Accepted:
    """Send a request; while the endpoint has no capacity, again (``sagemaker:InvokeEndpoint``, ``sagemaker:InvokeEndpointAsync``).

    :param hook: The hook of the runtime.
    :param kind: The kind of request.
    :param request: The request.
    :param wait_for_capacity: Seconds to repeat it for.
    :param log: Takes a line for a person watching.
    :raises InvocationError: When the endpoint does not answer.
    """

    def told(state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        log("%s Asking again after %.0f s of %.0f s", error, state.seconds_since_start, wait_for_capacity)

    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, InvocationError) and error.no_capacity),
        wait=wait_exponential_jitter(max=LONGEST_PAUSE),
        stop=stop_after_delay(wait_for_capacity),
        before_sleep=told,
        reraise=True,
    )
    answer: Answer | Accepted = retrying(_invoke_once, hook, kind, request, waits=wait_for_capacity > 0)
    return answer


def _invoke_once(
    hook: SageMakerRuntimeHook, kind: str, request: Mapping[str, Any], *, waits: bool
) -> Answer | Accepted:
    name = request["EndpointName"]
    try:
        return _SENDERS[kind](hook, request)
    except ClientError as error:
        raise _failure(hook, request, error, waits=waits) from None
    except (BotoCoreError, HTTPError) as error:  # botocore reads a stream with urllib3 itself
        raise InvocationError(f"Endpoint {name} did not answer: {error}") from None


def _in_real_time(hook: SageMakerRuntimeHook, request: Mapping[str, Any]) -> Answer:
    began = time.perf_counter()
    answer = hook.conn.invoke_endpoint(**request)
    content = answer["Body"].read()
    return Answer(
        content,
        answer.get("ContentType"),
        answer.get("InvokedProductionVariant"),
        milliseconds=_since(began),
        session=answer.get("NewSessionId"),
        closed_session=answer.get("ClosedSessionId"),
        custom_attributes=answer.get("CustomAttributes"),
    )


def _as_a_stream(hook: SageMakerRuntimeHook, request: Mapping[str, Any]) -> Answer:
    began, first = time.perf_counter(), None
    answer = hook.conn.invoke_endpoint_with_response_stream(**request)
    # A part may end within a line or a character. An error event is raised by botocore.
    parts = []
    for event in answer["Body"]:
        if "PayloadPart" in event:
            first = _since(began) if first is None else first
            parts.append(event["PayloadPart"]["Bytes"])
    return Answer(
        b"".join(parts),
        answer.get("ContentType"),
        answer.get("InvokedProductionVariant"),
        milliseconds=_since(began),
        first_part_ms=first,
        custom_attributes=answer.get("CustomAttributes"),
    )


def _asynchronously(hook: SageMakerRuntimeHook, request: Mapping[str, Any]) -> Accepted:
    answer = hook.conn.invoke_endpoint_async(**request)
    output = answer.get("OutputLocation")
    if not output:
        raise InvocationError(
            f"Endpoint {request['EndpointName']} accepted the request, and will write its answer nowhere: the endpoint config has no "
            "S3OutputPath.",
            refused=True,
        )
    return Accepted(output, answer.get("FailureLocation"))


_SENDERS: Mapping[str, Callable[[SageMakerRuntimeHook, Mapping[str, Any]], Answer | Accepted]] = {
    "real-time": _in_real_time,
    STREAMED: _as_a_stream,
    ASYNCHRONOUS: _asynchronously,
}


def _since(began: float) -> float:
    return (time.perf_counter() - began) * 1000


def _failure(
    hook: SageMakerRuntimeHook, request: Mapping[str, Any], error: ClientError, *, waits: bool
) -> InvocationError:
    code, text, name = error_code(error), error_message(error), request["EndpointName"]
    no_capacity = code == NOT_READY or (code == "ValidationError" and _NO_CAPACITY in text)
    if code in CONTAINER_FAILED:
        text = masked_answer(
            hook.client("sagemaker"),
            name,
            text,
            lambda shown: shown[:MAX_TOLD_CHARACTERS],
            component=request.get("InferenceComponentName"),
        )
    hint = "" if not no_capacity or waits else " Give wait_for_capacity=… to repeat the request for a while."
    return InvocationError(
        f"Endpoint {name} did not answer: {code}: {text}{hint}",
        code=code,
        refused=_is_refused(error) or no_capacity,
        no_capacity=no_capacity,
    )


def _is_refused(error: ClientError) -> bool:
    """Return whether SageMaker refused the request itself: a client error, but not of the model (API_runtime_InvokeEndpoint, Errors)."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    return 400 <= status < 500 and error_code(error) not in _ERRORS_OF_MODELS

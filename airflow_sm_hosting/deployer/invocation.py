"""Invoke an endpoint once, and compare its answer with the expected one."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from airflow_sm_hosting.deployer.environments import masked_answer
from airflow_sm_hosting.exceptions import InvalidSpecError, InvocationError
from airflow_sm_hosting.hooks.errors import error_code, error_message
from airflow_sm_hosting.spec.reference import present

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerRuntimeHook

#: Maximum size of a request (InvokeEndpoint, Body).
MAX_BODY_BYTES = 6_291_456
#: The container answered with an error, and AWS's message contains its answer (InvokeEndpoint, ModelError).
CONTAINER_FAILED = "ModelError"
#: Errors that a model causes.
_ERRORS_OF_MODELS = {CONTAINER_FAILED, "ModelNotReadyException"}
#: Maximum length of an answer, or of a container's error, in a message.
MAX_TOLD_CHARACTERS = 500


@dataclass(frozen=True)
class Answer:
    """An endpoint's answer.

    :param content: The body.
    :param content_type: Its MIME type.
    :param variant: The production variant that answered.
    """

    content: bytes
    content_type: str | None
    variant: str | None


def encoded(body: Any) -> bytes:
    """Return a request's body: a string or bytes as they are, anything else as JSON.

    :raises InvalidSpecError: When it is larger than InvokeEndpoint accepts.
    """
    content = (
        body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    )
    if len(content) > MAX_BODY_BYTES:
        raise InvalidSpecError(f"body has {len(content)} bytes; allowed: at most {MAX_BODY_BYTES}.")
    return content


def invoke(
    hook: SageMakerRuntimeHook,
    endpoint_name: str,
    body: Any,
    *,
    content_type: str | None = None,
    accept: str | None = None,
    target_variant: str | None = None,
) -> Answer:
    """Invoke the endpoint once (``sagemaker:InvokeEndpoint``).

    :raises InvocationError: When the endpoint does not answer.
    """
    request = present(
        EndpointName=endpoint_name,
        Body=encoded(body),
        ContentType=content_type,
        Accept=accept,
        TargetVariant=target_variant,
    )
    try:
        answer = hook.conn.invoke_endpoint(**request)
        content = answer["Body"].read()
    except ClientError as error:
        text = error_message(error)
        if error_code(error) == CONTAINER_FAILED:
            text = masked_answer(
                hook.client("sagemaker"), endpoint_name, text, lambda shown: shown[:MAX_TOLD_CHARACTERS]
            )
        raise InvocationError(
            f"Endpoint {endpoint_name} did not answer: {error_code(error)}: {text}",
            code=error_code(error),
            refused=_is_refused(error),
        ) from None
    except BotoCoreError as error:
        raise InvocationError(f"Endpoint {endpoint_name} did not answer: {error}") from None
    return Answer(content, answer.get("ContentType"), answer.get("InvokedProductionVariant"))


def _is_refused(error: ClientError) -> bool:
    """Return whether SageMaker refused the request itself: a client error, but not of the model (API_runtime_InvokeEndpoint, Errors)."""
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    return 400 <= status < 500 and error_code(error) not in _ERRORS_OF_MODELS


def compare(hook: SageMakerRuntimeHook, endpoint_name: str, content: bytes, expect: Any) -> None:
    """Compare an answer with the expected one. In the error, the values of the container's environment are masked in the answer.

    :param hook: The hook that has asked.
    :param endpoint_name: The endpoint.
    :param content: The answer.
    :param expect: A string that the answer must contain, any other value that it must equal as JSON, or None for any answer.
    :raises InvocationError: When the answer differs.
    """
    if expect is None:
        return
    text = content.decode(errors="replace")
    if isinstance(expect, str):
        right, wanted = expect in text, f"a response that contains {expect!r}"
    else:
        try:
            right = json.loads(text) == expect
        except ValueError:
            right = False
        wanted = f"the JSON {json.dumps(expect)}"
    if not right:
        told = masked_answer(
            hook.client("sagemaker"), endpoint_name, text, lambda shown: repr(shown[:MAX_TOLD_CHARACTERS])
        )
        raise InvocationError(
            f"Endpoint {endpoint_name} answered {told}; expected: {wanted[:MAX_TOLD_CHARACTERS]}."
        )

"""SageMaker's runtime: invocations, routed to the containers of an endpoint."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from urllib.parse import quote

import urllib3
from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.endpoint import Endpoint
from airflow_sm_hosting.local.endpoints import SERVING
from airflow_sm_hosting.local.fleet import ServingContainer, VariantFleet
from airflow_sm_hosting.local.hosting import Hosting
from airflow_sm_hosting.local.moto_backends import ACCOUNT_ID
from airflow_sm_hosting.local.protocol import AwsError

# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
_MAX_BODY = 6_291_456
_TIMEOUT_SECONDS = 60.0
# What of a container's error is quoted.
_MAX_QUOTED = 1024
# Headers that a container sees of the caller's, and the caller of the container's.
_PASSED_ON = ("content-type", "accept", "x-amzn-", "x-amz-sagemaker-")
_PASSED_BACK = ("content-type", "x-amzn-sagemaker-", "x-amzn-data-")


class Runtime:
    """Answers ``POST /endpoints/{name}/invocations``."""

    def invoke(self, request: Request, endpoint_name: str, hosting: Hosting) -> Response:
        """Answer InvokeEndpoint.

        :raises AwsError: The refusal, or ``ModelError`` for what went wrong in the container.
        """
        began = time.perf_counter()
        body = _body(request)
        endpoint = hosting.endpoints.find(endpoint_name)
        if endpoint is None:
            raise _refusal(f"Endpoint {endpoint_name} of account {ACCOUNT_ID} not found.")
        if endpoint.status not in SERVING:
            raise _refusal(
                f"Endpoint {endpoint_name} of account {ACCOUNT_ID} is not in service (status {endpoint.status})."
            )
        target = request.headers.get("X-Amzn-SageMaker-Target-Variant")
        with hosting.endpoints.route(endpoint, target) as chosen:
            if chosen is None:
                raise _refusal(f"Variant {target} of endpoint {endpoint.name} not found.")
            fleet, variant = chosen
            if not variant.containers:
                raise _refusal(
                    f"An inference component must be named to invoke variant {variant.name} of endpoint {endpoint_name}."
                )
            with hosting.endpoint_metrics.invocation(endpoint.name, variant, began) as invocation:
                try:
                    answer = self._through(variant, request, body, endpoint, hosting)
                    invocation.status = 200
                except AwsError as error:
                    if error.code == "ModelError":
                        invocation.status = int(error.details["OriginalStatusCode"])
                        if isinstance(error.__cause__, urllib3.exceptions.HTTPError):
                            # It does not answer: maybe it has ended.
                            hosting.endpoints.look_after(fleet)
                    raise
        headers = {
            name: value for name, value in answer.headers.items() if name.lower().startswith(_PASSED_BACK)
        }
        headers["x-Amzn-Invoked-Production-Variant"] = variant.name
        return Response(answer.data, headers=headers)

    def _through(
        self, variant: VariantFleet, request: Request, body: bytes, endpoint: Endpoint, hosting: Hosting
    ) -> urllib3.BaseHTTPResponse:
        """Send the body through the containers of the variant, each one's answer to the next."""
        headers = {
            name: value for name, value in request.headers.items() if name.lower().startswith(_PASSED_ON)
        }
        # A kept connection costs 40 ms an invocation with Python's http.server, which sends head and body apart
        # (Nagle's algorithm waits for an acknowledgement that the kernel delays); a new one costs 0.2 ms.
        headers["Connection"] = "close"
        answer: urllib3.BaseHTTPResponse | None = None
        for container in variant.containers:
            answer = self._ask(container, headers, body, endpoint, hosting)
            body = answer.data
            headers["Content-Type"] = answer.headers.get("Content-Type", headers.get("Content-Type", ""))
        assert answer is not None  # noqa: S101 - the caller has seen that there are containers
        return answer

    def _ask(
        self,
        container: ServingContainer,
        headers: Mapping[str, str],
        body: bytes,
        endpoint: Endpoint,
        hosting: Hosting,
    ) -> urllib3.BaseHTTPResponse:
        if container.running.url is None:
            raise _refusal(
                f"Endpoint {endpoint.name} cannot be invoked: this local AWS runs with the engine 'none', which starts "
                "no containers."
            )
        try:
            # A pool would hand out a connection that the container is just closing, as it was asked to, now and then.
            with urllib3.connection_from_url(container.running.url, retries=False) as http:
                answer = http.request(
                    "POST",
                    "/invocations",
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=2, read=_TIMEOUT_SECONDS),
                )
        except urllib3.exceptions.ReadTimeoutError as error:
            message = (
                "Your invocation timed out while waiting for a response from container "
                f"{container.name}. Review the latency metrics for each container in Amazon CloudWatch, resolve the "
                "issue, and try again."
            )
            raise _model_error(container, endpoint, hosting, 0, message) from error
        except urllib3.exceptions.HTTPError as error:
            message = f"The container {container.name} does not answer: {type(error).__name__}"
            raise _model_error(container, endpoint, hosting, 503, message) from error
        if not 200 <= answer.status < 300:
            quoted = answer.data[:_MAX_QUOTED].decode("utf-8", "replace")
            raise _model_error(container, endpoint, hosting, answer.status, quoted)
        return answer


def _body(request: Request) -> bytes:
    if (request.content_length or 0) <= _MAX_BODY:
        body = request.stream.read(_MAX_BODY + 1)
        if len(body) <= _MAX_BODY:
            return body
    # Not more of it is read than allowed.
    raise AwsError(
        "ValidationError",
        "1 validation error detected: Value at 'body' failed to satisfy constraint: Member must have length less than "
        f"or equal to {_MAX_BODY}",
    )


def _refusal(message: str) -> AwsError:
    # The runtime's code is not the control plane's.
    return AwsError("ValidationError", message)


def _model_error(
    container: ServingContainer, endpoint: Endpoint, hosting: Hosting, status: int, quoted: str
) -> AwsError:
    group = f"/aws/sagemaker/Endpoints/{endpoint.name}"
    arn = f"arn:aws:logs:{hosting.region}:{ACCOUNT_ID}:log-group:{group}"
    console = f"https://{hosting.region}.console.aws.amazon.com/cloudwatch/home?region={hosting.region}"
    who = "client" if 400 <= status < 500 else "server"
    return AwsError(
        "ModelError",
        f"Received {who} error ({status}) from {container.name} with message {json.dumps(quoted)}. See "
        f"{console}#logEventViewer:group={quote(group)} in account {ACCOUNT_ID} for more information.",
        status=424,
        details={"OriginalStatusCode": status, "OriginalMessage": quoted, "LogStreamArn": arn},
    )

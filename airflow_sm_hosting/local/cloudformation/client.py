"""Calls of the server's own services: the same operations that a client calls, without the network."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.wire.errors import AwsError


class ServiceCall(Protocol):
    """Calls an operation of a service in the Region of a stack."""

    def __call__(self, service: str, operation: str, /, **members: Any) -> dict[str, Any]:
        """Return the members of the answer.

        :raises AwsError: The service refuses.
        """


def no_services(service: str, operation: str, /, **members: Any) -> dict[str, Any]:
    """Refuse: for a Region that is used without a server."""
    raise AwsError("NotImplemented", f"There is no {service} here to {operation}.", status=501)


class ServiceClients:
    """Clients of boto3 whose requests are answered in this process.

    :param answer: Answers a request.
    :param access_key: The key that they sign with.
    """

    def __init__(self, answer: Callable[[Request], Response], access_key: str) -> None:
        self._answer = answer
        self._access_key = access_key
        self._lock = threading.Lock()
        self._clients: dict[tuple[str, str], Any] = {}

    def of_region(self, region: str) -> ServiceCall:
        """Return what calls the services of a Region."""

        def call(service: str, operation: str, /, **members: Any) -> dict[str, Any]:
            client = self._client(service, region)
            try:
                answer: dict[str, Any] = client._make_api_call(operation, members)
            except ClientError as error:
                said = error.response["Error"]
                status = error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
                raise AwsError(said["Code"], said["Message"], status=status) from error
            except (BotoCoreError, ValueError, TypeError, AttributeError) as error:
                # What the model of the service has no shape for: botocore cannot write it.
                raise AwsError("ValidationException", str(error)) from error
            answer.pop("ResponseMetadata", None)
            return answer

        return call

    def _client(self, service: str, region: str) -> Any:
        with self._lock:
            if (service, region) not in self._clients:
                session: Any = boto3.session.Session()
                client = session.client(
                    service,
                    region_name=region,
                    endpoint_url="http://127.0.0.1",
                    aws_access_key_id=self._access_key,
                    aws_secret_access_key="unchecked",  # noqa: S106 - nobody checks it
                    config=Config(
                        # The service itself refuses, in its own words.
                        parameter_validation=False,
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                        retries={"mode": "standard", "total_max_attempts": 5},
                        s3={"addressing_style": "path"},
                    ),
                )
                client.meta.events.register("before-send", self._send)
                self._clients[service, region] = client
            return self._clients[service, region]

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        url = urlsplit(request.url)
        sent: Any = request.body
        body: bytes = sent.encode() if isinstance(sent, str) else sent or b""
        headers = Headers([(name, _text(value)) for name, value in request.headers.items()])
        headers["Content-Length"] = str(len(body))
        builder = EnvironBuilder(
            method=request.method,
            path=url.path or "/",
            query_string=url.query,
            headers=headers,
            data=body,
        )
        environ = builder.get_environ()
        environ["REQUEST_URI"] = environ["RAW_URI"] = request.url.removeprefix(f"{url.scheme}://{url.netloc}")
        response = self._answer(Request(environ, populate_request=False))
        answered: Any = response.headers
        return AWSResponse(request.url, response.status_code, answered, _Content(response.get_data()))


class _Content(io.BytesIO):
    """The content of an answer, as botocore reads it from urllib3."""

    def stream(self, **_: Any) -> Iterator[bytes]:
        while data := self.read():
            yield data


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def names_absent(error: AwsError) -> bool:
    """Return whether a refusal says that the resource does not exist."""
    words = ("Could not find", "does not exist", "NotFound", "NoSuch", "cannot be found", "No scaling policy")
    return any(word in f"{error.code}: {error.message}" for word in words)


def absent_or(call: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the answer of a call, None where it says that the resource does not exist."""
    try:
        return call()
    except AwsError as error:
        if names_absent(error):
            return None
        raise

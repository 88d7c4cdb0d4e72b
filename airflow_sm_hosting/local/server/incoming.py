"""One request to the server, and what the handlers find out about it."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.ecr.registry_api import registry_operation
from airflow_sm_hosting.local.wire.bodies import copy_body, gunzipped, most_bytes, too_large
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.framing import REFUSAL, host_refusal
from airflow_sm_hosting.local.wire.operations import invocation, named_resource, operation_name
from airflow_sm_hosting.local.wire.refusals import REGISTRY, refusal_response
from airflow_sm_hosting.local.wire.requests import Credential, credential, json_body, keep_body

# A larger body of S3 is on disk.
_IN_MEMORY_BYTES = 1024 * 1024
# Services whose requests have a JSON body that names the resource.
_WITH_RESOURCE = ("sagemaker", "ecr", "application-autoscaling", "codebuild")


class IncomingRequest:
    """A request.

    :param request: The HTTP request.
    :param default_region: The Region of a request that is signed for none.
    """

    def __init__(self, request: Request, default_region: str) -> None:
        self.request = request
        self._default_region = default_region
        #: The name of the resource; known after :meth:`find_resource`.
        self.resource: str | None = None
        #: The kinds of the faults that hit it.
        self.faults: tuple[str, ...] = ()
        #: The error code of the refusal, if it was refused here.
        self.error: str | None = None

    @cached_property
    def refusal(self) -> AwsError | None:
        """Why it is refused whoever asks: its framing or its host."""
        refusal: AwsError | None = self.request.environ.get(REFUSAL)
        if refusal is None:
            refusal = host_refusal(self.request.environ.get("HTTP_HOST"))
        return refusal

    @cached_property
    def credential(self) -> Credential | None:
        """Who signed it, None for an anonymous request and one to the container registry."""
        return credential(self.request)

    @cached_property
    def is_for_registry(self) -> bool:
        """Whether it is for the container registry, which has its own login."""
        path = self.request.path
        return (path == "/v2" or path.startswith("/v2/")) and self.credential is None

    @cached_property
    def signed_for(self) -> str:
        """The service that it is signed for, or ``registry``."""
        if self.is_for_registry:
            return REGISTRY
        return (self.credential and self.credential.service) or "s3"

    @cached_property
    def region(self) -> str:
        """The Region."""
        return (self.credential and self.credential.region) or self._default_region

    @cached_property
    def is_invocation(self) -> bool:
        """Whether it is for the SageMaker runtime, which is signed for as SageMaker."""
        return self.signed_for == "sagemaker" and invocation(self.request) is not None

    @cached_property
    def service(self) -> str:
        """The service that answers it."""
        return "sagemaker-runtime" if self.is_invocation else self.signed_for

    @cached_property
    def operation(self) -> str:
        """The operation; of the query protocol, known when the body was read."""
        if self.refusal:
            return "Malformed"
        if self.is_for_registry:
            return registry_operation(self.request)[0]
        invoked = invocation(self.request) if self.is_invocation else None
        return invoked[0] if invoked else operation_name(self.request, self.signed_for)

    @contextmanager
    def body_read(self) -> Iterator[None]:
        """Read the body: only for requests with a known key. Those of the registry and of the runtime read their own.

        What is not sent as one piece becomes one, since moto does not look further than its ``Content-Length``.

        :raises AwsError: It is malformed, incomplete or too large.
        """
        if self.is_for_registry or self.is_invocation:
            yield
            return
        environ, service = self.request.environ, self.service
        most = most_bytes(service, self.operation if service == "s3" else None)
        refusal = too_large(service, most)
        if int(environ.get("CONTENT_LENGTH") or 0) > most:
            raise refusal
        environ.pop("HTTP_TRANSFER_ENCODING", None)
        if service != "s3":
            self.keep_small_body(most, refusal)
            yield
            return
        with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES) as body:
            size = copy_body(environ["wsgi.input"], body, most, refusal)
            body.seek(0)
            environ["wsgi.input"], environ["CONTENT_LENGTH"] = body, str(size)
            yield

    def keep_small_body(self, most: int, refusal: AwsError) -> None:
        """Read the body into memory, inflated if SDKs have compressed it.

        :param most: How many bytes it may have.
        :param refusal: Raised where it has more.
        :raises AwsError: It is malformed or incomplete, too.
        """
        environ = self.request.environ
        read = io.BytesIO()
        copy_body(environ["wsgi.input"], read, most, refusal)
        data = read.getvalue()
        if environ.get("HTTP_CONTENT_ENCODING", "").strip().lower() == "gzip":
            data = gunzipped(data, most, refusal)
            del environ["HTTP_CONTENT_ENCODING"]
        keep_body(self.request, data)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = io.BytesIO(data), str(len(data))

    def find_resource(self) -> None:
        """Find the name of the resource, which may be in the body."""
        request = self.request
        if self.is_for_registry:
            self.resource = registry_operation(request)[1]
        elif invoked := (invocation(request) if self.is_invocation else None):
            self.resource = invoked[1]
        elif self.service == "s3":
            self.resource = request.path.strip("/") or None
        elif self.service in _WITH_RESOURCE:
            try:
                self.resource = named_resource(json_body(request))
            except AwsError:
                # The service refuses it.
                self.resource = None

    def refuse(self, error: AwsError) -> Response:
        """Return a refusal in the protocol of the request."""
        self.error = error.code
        return refusal_response(self.request, self.refusing_service, error)

    @property
    def refusing_service(self) -> str | None:
        """The service in whose protocol it is refused; None for an anonymous request."""
        return None if self.credential is None and not self.is_for_registry else self.service


#: Calls the handlers that follow, and returns their answer.
Following = Callable[[], Response]

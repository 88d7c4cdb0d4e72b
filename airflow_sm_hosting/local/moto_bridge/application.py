"""moto's server: all AWS services but those of this package, as one WSGI application."""

from __future__ import annotations

import io
import logging
from typing import Any

from moto.backends import list_of_moto_modules
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.requests import read_body

LOG = logging.getLogger(__name__)

#: What reads a request for moto: it tells moto the path as it was sent.
RequestHandler = MotoRequestHandler

# Two requests at once have met in an object of moto's, which has few locks: the same request may succeed when it is sent again.
_RACES = ("changed size during iteration", "operation on closed file", "mutated during iteration")
_NO_ROUTE = b"<!doctype html>"


class _Dispatcher(DomainDispatcherApplication):
    """Finds the service of a request."""

    def get_backend_for_host(self, host: str | None) -> Any:
        """Return moto's name of the service.

        :raises NotImplementedError: moto does not have it, which it only prints.
        """
        known = (
            host is None
            or host == "moto_api"
            or host in list_of_moto_modules()
            or any(pattern.match(f"http://{host}") for _, pattern in self.backend_url_patterns)
        )
        if not known:
            raise NotImplementedError(host)
        return super().get_backend_for_host(host)


class MotoApplication:
    """All services of moto.

    Operations that this package answers must be replaced before.
    """

    def __init__(self) -> None:
        self._app = _Dispatcher(create_backend_app)

    def answer(self, request: Request) -> Response:
        """Answer a request, the body of which may have been read."""
        environ = request.environ
        if data := read_body(request):
            environ = {**environ, "wsgi.input": io.BytesIO(data)}
        try:
            response = Response.from_app(self._app, environ)
        except (AwsError, NotImplementedError, ConnectionError):
            raise
        except Exception as error:
            if any(sentence in str(error) for sentence in _RACES):
                raise
            # moto checks few requests before it works with them. No retry helps, so it is not a 500.
            LOG.warning("moto failed at a request", exc_info=True)
            message = f"moto, which answers for this service here, cannot process this request ({type(error).__name__})."
            raise AwsError("InvalidRequest", message) from error
        if response.status_code in (404, 405) and response.get_data().startswith(_NO_ROUTE):
            # Flask answers for a path or a method that moto does not have, in HTML.
            message = f"The local AWS has no {request.method} {request.path}."
            raise AwsError("UnknownOperationException", message, status=response.status_code)
        return response

    def reset(self) -> None:
        """Forget everything in all services."""
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/moto-api/reset",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "0",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(b""),
        }
        Response.from_app(self._app, environ).close()

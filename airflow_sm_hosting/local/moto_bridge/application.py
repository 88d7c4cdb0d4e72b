"""moto's server: all AWS services but those of this package, as one WSGI application."""

from __future__ import annotations

import io
from typing import Any

from moto.backends import list_of_moto_modules
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.wrappers import Request, Response

#: What reads a request for moto: it tells moto the path as it was sent.
RequestHandler = MotoRequestHandler


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
        if data := request.__dict__.get("_cached_data"):
            environ = {**environ, "wsgi.input": io.BytesIO(data)}
        return Response.from_app(self._app, environ)

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

"""The page of the local AWS in a browser, ``/_sm_hosting/ui``: the login, the page's files, and what the page asks for.

Who has not logged in with the server's access key sees nothing but the login. Other web sites can neither read nor change anything: requests
for another host are refused before (DNS rebinding), the cookie is not sent with requests of other sites (SameSite=Strict), and what changes
something needs a header that a form cannot send.
"""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from werkzeug.http import dump_cookie
from werkzeug.wrappers import Response

from airflow_sm_hosting.local.cloudformation.client import ServiceCall
from airflow_sm_hosting.local.server.faults import Faults
from airflow_sm_hosting.local.server.incoming import Following, IncomingRequest
from airflow_sm_hosting.local.server.request_log import RequestLog
from airflow_sm_hosting.local.wire.bodies import ADMIN_BYTES, too_large
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.requests import json_body

PREFIX = "/_sm_hosting/ui"
COOKIE = "sm_hosting_page"
#: The header of the page's own requests; another site's form cannot send it.
OWN_HEADER = "X-Sm-Hosting-Page"
#: Number of logins that are kept: the newest.
MOST_SESSIONS = 20

STATIC = Path(__file__).parent / "page_files"
TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}

SECURITY = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

#: The operations that the page may call: none of them changes anything.
READING = {
    "sagemaker": {
        "ListEndpoints",
        "DescribeEndpoint",
        "DescribeEndpointConfig",
        "DescribeModel",
        "ListInferenceComponents",
        "DescribeInferenceComponent",
        "ListTags",
    },
    "cloudwatch": {"DescribeAlarms", "GetMetricData", "GetDashboard"},
    "application-autoscaling": {
        "DescribeScalableTargets",
        "DescribeScalingActivities",
        "DescribeScalingPolicies",
    },
    "logs": {"DescribeLogStreams", "GetLogEvents"},
    "ecr": {"DescribeRepositories", "DescribeImages"},
    "s3": {"HeadObject"},
}


class LocalPage:
    """Answers the requests of the page; others are for the handlers that follow.

    :param access_key: The access key of the server.
    :param region: The server's default Region.
    :param engine: The name of the engine.
    :param requests: The request log.
    :param faults: The faults.
    :param calls: Returns what calls the services of a Region.
    """

    def __init__(
        self,
        *,
        access_key: str,
        region: str,
        engine: str,
        requests: RequestLog,
        faults: Faults,
        calls: Callable[[str], ServiceCall],
    ) -> None:
        self._access_key = access_key
        self._region = region
        self._engine = engine
        self._requests = requests
        self._faults = faults
        self._calls = calls
        self._sessions: list[str] = []

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer a request of the page."""
        path = asked.request.path
        if asked.refusal or not (path == PREFIX or path.startswith(f"{PREFIX}/")):
            return following()
        try:
            response = self._answer(asked, path.removeprefix(PREFIX).strip("/"))
        except AwsError as error:
            response = _json({"error": error.code, "message": error.message}, error.status)
        except (TypeError, ValueError, OverflowError) as error:
            response = _json({"error": "ValidationException", "message": str(error)}, 400)
        response.headers.update(SECURITY)
        return response

    def _answer(self, asked: IncomingRequest, path: str) -> Response:
        method = asked.request.method
        if method == "GET" and path.startswith("static/"):
            return _file(path.removeprefix("static/"))
        if (method, path) == ("POST", "login"):
            return self._log_in(asked)
        is_known = asked.request.cookies.get(_cookie_of(asked), "") in self._sessions
        if path.startswith("api/"):
            self._check_own(asked, is_known=is_known)
            return self._data(asked, method, path.removeprefix("api/"))
        if method != "GET":
            raise AwsError(
                "UnknownOperationException", f"{method} {asked.request.path} is unknown.", status=404
            )
        return _file("page.html" if is_known else "login.html")

    def _log_in(self, asked: IncomingRequest) -> Response:
        _check_origin(asked)
        asked.keep_small_body(ADMIN_BYTES, too_large(None, ADMIN_BYTES))
        given = str(json_body(asked.request).get("key", ""))
        if not hmac.compare_digest(given.encode(), self._access_key.encode()):
            return _json(
                {"error": "AccessDenied", "message": "This is not the access key of this server."}, 403
            )
        session = secrets.token_urlsafe(32)
        self._sessions = [*self._sessions, session][-MOST_SESSIONS:]
        response = _json({}, 200)
        cookie = dump_cookie(_cookie_of(asked), session, path=PREFIX, httponly=True, samesite="Strict")
        response.headers.add("Set-Cookie", cookie)
        return response

    def _check_own(self, asked: IncomingRequest, *, is_known: bool) -> None:
        if not is_known:
            raise AwsError("AccessDenied", "Log in first.", status=401)
        if asked.request.headers.get(OWN_HEADER) != "1":
            raise AwsError("AccessDenied", f"The header {OWN_HEADER} is missing.", status=403)
        _check_origin(asked)

    def _data(self, asked: IncomingRequest, method: str, path: str) -> Response:
        asked.keep_small_body(ADMIN_BYTES, too_large(None, ADMIN_BYTES))
        match (method, path):
            case ("GET", "server"):
                return _json({"region": self._region, "engine": self._engine})
            case ("GET", "requests"):
                return _json({"requests": self._requests.entries()[-500:]})
            case ("GET", "faults"):
                return _json({"faults": self._faults.described()})
            case ("POST", "faults"):
                return _json(self._faults.add(json_body(asked.request)))
            case ("DELETE", "faults"):
                self._faults.clear()
                return _json({})
            case ("POST", "call"):
                return _json(self._call(json_body(asked.request)))
        raise AwsError("UnknownOperationException", f"{method} {path} is unknown.", status=404)

    def _call(self, wanted: Mapping[str, Any]) -> dict[str, Any]:
        service, operation = str(wanted.get("service")), str(wanted.get("operation"))
        if operation not in READING.get(service, ()):
            raise AwsError("AccessDenied", f"The page does not call {service}:{operation}.", status=403)
        members = wanted.get("members") or {}
        if not isinstance(members, dict):
            raise AwsError("ValidationException", "members must be an object.")
        answer = self._calls(str(wanted.get("region") or self._region))(service, operation, **members)
        return {name: _without_environment(value) for name, value in answer.items()}


def _cookie_of(asked: IncomingRequest) -> str:
    """Return the name of this server's cookie: browsers share cookies between the ports of a host."""
    return f"{COOKIE}_{asked.request.environ.get('HTTP_HOST', '').rpartition(':')[2]}"


def _check_origin(asked: IncomingRequest) -> None:
    """Refuse what another site sends; a browser says whose page sent a request."""
    origin = asked.request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != asked.request.environ.get("HTTP_HOST"):
        raise AwsError("AccessDenied", "Another site sent this request.", status=403)


def _file(name: str) -> Response:
    """Return a file of the page; the names are those of the folder, so no path leads out of it."""
    found = {path.name: path for path in STATIC.iterdir()}.get(name)
    if found is None:
        return _json({"error": "NotFound", "message": f"There is no file {name}."}, 404)
    return Response(found.read_bytes(), content_type=f"{TYPES[found.suffix]}; charset=utf-8")


def _json(value: Any, status: int = 200) -> Response:
    return Response(json.dumps(value, default=_plain), status=status, content_type="application/json")


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _without_environment(value: Any) -> Any:
    """Return an answer without the values of containers' environments: they may be secrets, and the page may be on a shared screen."""
    if isinstance(value, Mapping):
        return {
            name: dict.fromkeys(found, "***")
            if name == "Environment" and isinstance(found, Mapping)
            else _without_environment(found)
            for name, found in value.items()
        }
    return [_without_environment(one) for one in value] if isinstance(value, list) else value

"""The whole local AWS as one WSGI application: which request goes where."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from airflow_sm_hosting import __version__
from airflow_sm_hosting.local.clock import Clock, RealClock, VirtualClock
from airflow_sm_hosting.local.cloudwatch.service import CloudWatch
from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.ecr.service import Ecr
from airflow_sm_hosting.local.engines.choice import make_engine
from airflow_sm_hosting.local.engines.crashing import CrashingEngine
from airflow_sm_hosting.local.engines.engine import Engine
from airflow_sm_hosting.local.iam import policy_simulation
from airflow_sm_hosting.local.iam.access import Access
from airflow_sm_hosting.local.iam.permissions import Call
from airflow_sm_hosting.local.moto_bridge import operations
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.moto_bridge.application import MotoApplication
from airflow_sm_hosting.local.server.faults import Faults, Hit, fault_of
from airflow_sm_hosting.local.server.region import Region
from airflow_sm_hosting.local.server.regions import Regions
from airflow_sm_hosting.local.server.request_log import RequestLog
from airflow_sm_hosting.local.server.state import State
from airflow_sm_hosting.local.wire.protocol import (
    AwsError,
    changes_something,
    credential,
    error_code,
    error_response,
    json_response,
    operation_name,
    refusal_response,
    unknown_key_response,
)
from airflow_sm_hosting.local.work_dir import Workplace, sweep

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)

_RUNTIME = re.compile(r"/endpoints/(?P<endpoint>[^/]+)/(?P<path>[a-z-]+)")
_RUNTIME_OPERATIONS = {
    "invocations": "InvokeEndpoint",
    "async-invocations": "InvokeEndpointAsync",
    "invocations-response-stream": "InvokeEndpointWithResponseStream",
}
# Which member of a request names what it is about, for the request log.
_RESOURCE_MEMBERS = (
    "InferenceComponentName",
    "EndpointName",
    "EndpointConfigName",
    "ModelName",
    "ResourceArn",
    "ResourceId",
    "repositoryName",
    "logGroupName",
)
# Containers have this long to end when everything ends.
_STOP_SECONDS = 1.0


class LocalAwsApp:
    """SageMaker hosting, a container registry and the checks of other services, in front of moto.

    :param access_key: The key that every AWS request must be signed with.
    :param region: The default Region.
    :param engine: ``auto``, ``docker``, ``process`` or ``none``, or an engine.
    :param transition_seconds: How long a transition of an endpoint takes at least.
    :param clock: What tells the time. Default: the computer's.
    :param consistency_seconds: How long what was created cannot be found yet.
    :param state: What keeps the state over a restart; None for nothing.
    """

    def __init__(
        self,
        *,
        access_key: str,
        region: str,
        engine: str | Engine,
        transition_seconds: float,
        clock: Clock | None = None,
        consistency_seconds: float = 0.0,
        state: State | None = None,
    ) -> None:
        self._state = state
        self._consistency_seconds = consistency_seconds
        self.clock = clock or RealClock()
        self._moto = MotoApplication()
        self._cloudwatch = CloudWatch(self.clock)
        operations.replace_operations("cloudwatch", self._cloudwatch.operations, self._cloudwatch.answer)
        operations.replace_operations("iam", policy_simulation.OPERATIONS, policy_simulation.answer)
        self._access_key = access_key
        self._access = Access(access_key)
        self._region = region
        self._transition_seconds = transition_seconds
        sweep()
        self._workplace = Workplace()
        self._folder = self._workplace.folder
        self._registry = Registry(state.registry_folder if state else self._folder, region)
        self._ecr = Ecr(self._registry, self._moto.answer)
        self._requests = RequestLog(self.clock)
        self._faults = Faults(self.clock)
        self._regions = Regions(self._make_region, self.clock)
        try:
            if isinstance(engine, str):
                engine = make_engine(engine, self._registry, self._workplace)
            self.engine: Engine = CrashingEngine(engine, self._faults)
        except BaseException:
            self._workplace.close()
            raise

    def start(self, port: int) -> None:
        """Begin to work, known by this port."""
        self._registry.port = port
        if self._state:
            kept = self._state.load()
            self._state.load_metrics(lambda region: self._cloudwatch.region(region).metrics)
            self._load(kept)
            self._state.load_requests(
                lambda name, request, body: self.region(request["region"]).runtime.requeue(
                    name, request, body
                )
            )
            self._state.begin(self._dump, self._cloudwatch.metrics)
        self._cloudwatch.each_minute(self._regions.publish_metrics)
        self._cloudwatch.start()

    def close(self) -> None:
        """Stop all containers and remove all files, but the state."""
        if self._state:
            self._state.close()
        self._regions.stop_all(grace=_STOP_SECONDS)
        self.clock.close()
        self.engine.close()
        self._workplace.close()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request, and note it in the request log."""
        request = Request(environ, populate_request=False)
        if request.path.startswith("/_sm_hosting/"):
            return self._own(request)(environ, start_response)
        if (request.path == "/v2" or request.path.startswith("/v2/")) and not credential(request):
            service, (operation, resource) = "registry", self._registry.operation(request)
            answer: Callable[[], Response] = lambda: self._registry.answer(request)  # noqa: E731
        else:
            service, operation, resource, answer = self._aws(request)
        error: str | None = None
        hit = self._faults.hit(service, operation, resource)
        try:
            response = self._refusal(request, service, operation) or self._hit(hit, request, service, answer)
        except ConnectionAbortedError:
            # The server closes the connection then.
            self._note(request, service, operation, resource, 0, "ConnectionAborted", hit)
            raise
        except AwsError as refusal:
            response, error = error_response(refusal), refusal.code
        except NotImplementedError:
            # moto's word for it. No retry helps, so it is not a 500.
            message = f"The local AWS does not have {service}:{operation}."
            response = refusal_response(request, service, AwsError("NotImplemented", message, status=501))
        except Exception:
            LOG.exception("%s %s failed", service, operation)
            failure = AwsError("InternalFailure", "The local AWS failed; see its log.", status=500)
            response = refusal_response(request, service, failure)
        if response.status_code >= 400 and error is None and request.method != "HEAD":
            error = error_code(response.get_data())
        self._note(request, service, operation, resource, response.status_code, error, hit)
        if self._state and request.method not in ("GET", "HEAD") and service != "sagemaker-runtime":
            # Invocations leave metrics and lines, which can wait for the next look: writing would slow them down.
            self._state.changed()
        return response(environ, start_response)

    def _dump(self) -> dict[str, Any]:
        """Return what is kept over a restart, of what is ours."""
        return {
            "now": self.clock.now(),
            "registry": self._registry.dump(),
            "cloudwatch": self._cloudwatch.dump(),
            "regions": self._regions.dump(),
        }

    def _load(self, kept: dict[str, Any] | None) -> None:
        if kept is None:
            return
        if isinstance(self.clock, VirtualClock):
            self.clock.go_on_from(kept["now"])
        self._registry.load(kept["registry"])
        self._cloudwatch.load(kept["cloudwatch"])
        self._regions.load(kept["regions"])

    def _hit(self, hit: Hit, request: Request, service: str, answer: Callable[[], Response]) -> Response:
        """Answer a request, or do what faults do to it."""
        if hit.delay:
            time.sleep(hit.delay)
        if hit.error:
            return refusal_response(request, service, hit.error)
        if hit.drop == "before":
            raise ConnectionAbortedError
        response = answer()
        if hit.drop:
            response.close()
            raise ConnectionAbortedError
        return response

    def _note(
        self,
        request: Request,
        service: str,
        operation: str,
        resource: str | None,
        status: int,
        error: str | None,
        hit: Hit,
    ) -> None:
        self._requests.add(
            service=service,
            operation=operation,
            mutating=changes_something(operation, request.method),
            status=status,
            error=error,
            resource=resource,
            faults=hit.kinds,
        )

    # AWS

    def _aws(self, request: Request) -> tuple[str, str, str | None, Callable[[], Response]]:
        """Return service, operation and resource of an AWS request, and what answers it."""
        who = credential(request)
        service = (who and who.service) or "s3"
        operation = operation_name(request, service)
        if who is None or not self._knows(who.access_key):
            return (
                service,
                operation,
                None,
                lambda: unknown_key_response(request, who.service if who else None),
            )
        region = who.region or self._region
        if service == "sagemaker":
            return self._sagemaker(request, operation, region)
        if service in ("ecr", "application-autoscaling"):
            body = _json_body(request)
            resource = _resource(body)
            if service == "ecr":
                return (
                    service,
                    operation,
                    resource,
                    lambda: self._ecr.answer(request, operation, body, region, who.access_key),
                )
            scaling = self.region(region).scaling
            return (
                service,
                operation,
                resource,
                lambda: (
                    json_response(scaling.answer(operation, body))
                    if scaling.answers(body)
                    else self._moto.answer(request)
                ),
            )
        resource = request.path.strip("/") or None if service == "s3" else None
        return service, operation, resource, lambda: self._moto.answer(request)

    def _sagemaker(
        self, request: Request, operation: str, region: str
    ) -> tuple[str, str, str | None, Callable[[], Response]]:
        asked = self.region(region)
        if (match := _RUNTIME.fullmatch(request.path)) and match["path"] in _RUNTIME_OPERATIONS:
            name, invoke = match["endpoint"], _RUNTIME_OPERATIONS[match["path"]]
            return "sagemaker-runtime", invoke, name, lambda: asked.runtime.answer(invoke, request, name)
        body = _json_body(request)
        if asked.sagemaker.answers(operation, body):
            return (
                "sagemaker",
                operation,
                _resource(body),
                lambda: json_response(asked.sagemaker.answer(operation, body)),
            )
        return "sagemaker", operation, _resource(body), lambda: self._moto.answer(request)

    def region(self, name: str) -> Region:
        """Return a Region."""
        return self._regions.of(name)

    def _make_region(self, name: str) -> Region:
        self._registry.know_region(name)
        return Region(
            name,
            self.engine,
            self._registry,
            self._folder,
            self._transition_seconds,
            self.clock,
            self._consistency_seconds,
            self._cloudwatch.region(name),
            shortages=self._faults,
            backlog=self._state.backlog if self._state else None,
        )

    def _knows(self, access_key: str) -> bool:
        return self._access.knows(access_key)

    def _refusal(self, request: Request, service: str, operation: str) -> Response | None:
        """Return the refusal of a request that IAM does not allow; None for one that is allowed, or is refused elsewhere."""
        if not self._access.enforced:
            return None
        who = credential(request)
        access_key = who.access_key if who else self._registry.login_key(request)
        if access_key is None or not self._knows(access_key):
            return None
        # The runtime is signed for as SageMaker; the registry is not signed for.
        signed_for = (who.service or "s3") if who else service
        region = (who and who.region) or self._region
        call = Call(signed_for, operation, region, request, self.region(region))
        return self._access.refusal(access_key, call)

    # Our own interface

    def _own(self, request: Request) -> Response:
        """Answer a request to ``/_sm_hosting/…``."""
        route = (request.method, request.path)
        if route == ("GET", "/_sm_hosting/health"):
            return json_response(
                {
                    "version": __version__,
                    "engine": self.engine.name,
                    "pid": os.getpid(),
                    "region": self._region,
                    "account_id": ACCOUNT_ID,
                }
            )
        if request.headers.get("X-Access-Key") != self._access_key:
            return error_response(
                AwsError(
                    "UnrecognizedClientException", "The header X-Access-Key is missing or wrong.", status=403
                )
            )
        match route:
            case ("GET", "/_sm_hosting/requests"):
                return json_response(self._requests.entries())
            case ("GET", "/_sm_hosting/requests/counts"):
                return json_response(self._requests.counts())
            case ("GET", "/_sm_hosting/faults"):
                return json_response(self._faults.described())
            case ("POST", "/_sm_hosting/faults"):
                return self._refusable(lambda: self._begin_fault(_json_body(request)))
            case ("DELETE", "/_sm_hosting/faults"):
                self._faults.clear()
                return Response(status=204)
            case ("DELETE", path) if path.startswith("/_sm_hosting/faults/"):
                return self._refusable(lambda: self._faults.remove(path.rpartition("/")[2]))
            case ("DELETE", "/_sm_hosting/requests"):
                self._requests.clear()
                return Response(status=204)
            case ("GET", "/_sm_hosting/iam-enforcement"):
                return json_response(
                    {"enforced": self._access.enforced, "decisions": self._access.decisions()}
                )
            case ("PUT" | "DELETE" as method, "/_sm_hosting/iam-enforcement"):
                self._access.enforce(method == "PUT")
                return Response(status=204)
            case ("POST", "/_sm_hosting/reset"):
                self.reset()
                return Response(status=204)
            case ("POST", "/_sm_hosting/endpoint-status"):
                return self._refusable(lambda: self._set_endpoint_status(_json_body(request)))
            case ("GET", "/_sm_hosting/clock"):
                return json_response(self._time())
            case ("POST", "/_sm_hosting/clock/advance"):
                return self._refusable(lambda: self._advance(_json_body(request)))
        return error_response(
            AwsError("UnknownOperationException", f"{' '.join(route)} is unknown.", status=404)
        )

    def _time(self) -> dict[str, Any]:
        return {"clock": self.clock.name, "now": self.clock.now().isoformat()}

    def _refusable(self, answer: Callable[[], Any]) -> Response:
        try:
            return json_response(answer())
        except AwsError as refusal:
            return error_response(refusal)

    def _set_endpoint_status(self, body: dict[str, Any]) -> dict[str, Any]:
        name, status, seconds = (body.get(member) for member in ("EndpointName", "Status", "Seconds"))
        region = self.region(body.get("Region") or self._region)
        region.endpoints.set_status(str(name), str(status), None if seconds is None else float(seconds))
        return {}

    def _begin_fault(self, body: dict[str, Any]) -> dict[str, Any]:
        if body.get("kind") != "crash" or body.get("when", "now") != "now":
            return self._faults.add(body)
        fault = fault_of(body, id="crash", now=self.clock.now())
        hits = self._regions.crash(
            lambda endpoint, variant, container: fault.is_about(
                endpoint=endpoint, variant=variant, container=container
            )
        )
        if not hits:
            raise AwsError("ResourceNotFoundException", "No container that runs is meant.", status=404)
        return {**fault.described(hits), "over": True}

    def _advance(self, body: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(self.clock, VirtualClock):
            raise AwsError("ValidationException", "Only a virtual clock can be advanced; this one is real.")
        seconds = body.get("seconds")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
            raise AwsError("ValidationException", f"seconds must be a number from 0, not {seconds!r}.")
        self.clock.advance(seconds)
        return self._time()

    def reset(self) -> None:
        """Forget everything, as after a start."""
        self._regions.stop_all(grace=0)
        self._moto.reset()
        self._registry.clear()
        self._requests.clear()
        self._access.enforce(False)
        self._faults.clear()
        self.clock.clear()
        self._cloudwatch.reset()
        if self._state:
            self._state.backlog.clear()
            self._state.changed()


def _json_body(request: Request) -> dict[str, Any]:
    try:
        body = json.loads(request.get_data(cache=True) or b"{}")
    except ValueError as error:
        raise AwsError("SerializationException", "The body is not JSON.") from error
    if not isinstance(body, dict):
        raise AwsError("SerializationException", "The body is not a JSON object.")
    return body


def _resource(body: dict[str, Any]) -> str | None:
    found = next((body[member] for member in _RESOURCE_MEMBERS if member in body), None)
    return found if isinstance(found, str) else None

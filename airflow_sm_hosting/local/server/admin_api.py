"""The server's own interface, ``/_sm_hosting/…``: what AWS itself does not offer."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from werkzeug.wrappers import Response

from airflow_sm_hosting import __version__
from airflow_sm_hosting.local.clock import Clock, VirtualClock
from airflow_sm_hosting.local.iam.access import Access
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.sagemaker.quotas import Quotas
from airflow_sm_hosting.local.server.faults import Faults, fault_of
from airflow_sm_hosting.local.server.incoming import Following, IncomingRequest
from airflow_sm_hosting.local.server.regions import Regions
from airflow_sm_hosting.local.server.request_log import RequestLog
from airflow_sm_hosting.local.wire.bodies import ADMIN_BYTES, too_large
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.refusals import json_refusal
from airflow_sm_hosting.local.wire.requests import json_body
from airflow_sm_hosting.local.wire.responses import json_response

_PREFIX = "/_sm_hosting/"


class AdminApi:
    """Answers requests to the admin API. They are not in the request log.

    :param access_key: The access key that every request but one for the health must have.
    :param region: The server's default Region.
    :param engine: The name of the engine.
    :param clock: The clock.
    :param access: Enforces IAM.
    :param faults: The faults.
    :param quotas: The account's quotas.
    :param requests: The request log.
    :param regions: The Regions.
    :param reset: Forgets everything.
    """

    def __init__(
        self,
        *,
        access_key: str,
        region: str,
        engine: str,
        clock: Clock,
        access: Access,
        faults: Faults,
        quotas: Quotas,
        requests: RequestLog,
        regions: Regions,
        reset: Callable[[], None],
    ) -> None:
        self._access_key = access_key
        self._region = region
        self._engine = engine
        self._clock = clock
        self._access = access
        self._faults = faults
        self._quotas = quotas
        self._regions = regions
        #: The answers by method and path; None is an answer without a body.
        self._routes: dict[tuple[str, str], Callable[[IncomingRequest], Any]] = {
            ("GET", "requests"): lambda asked: requests.entries(),
            ("GET", "requests/counts"): lambda asked: requests.counts(),
            ("DELETE", "requests"): lambda asked: requests.clear(),
            ("GET", "faults"): lambda asked: faults.described(),
            ("POST", "faults"): self._begin_fault,
            ("DELETE", "faults"): lambda asked: faults.clear(),
            ("GET", "quotas"): lambda asked: quotas.values,
            ("PUT", "quotas"): self._set_quotas,
            ("GET", "iam-enforcement"): lambda asked: {
                "enforced": access.enforced,
                "decisions": access.decisions(),
            },
            ("PUT", "iam-enforcement"): lambda asked: access.enforce(True),
            ("DELETE", "iam-enforcement"): lambda asked: access.enforce(False),
            ("POST", "reset"): lambda asked: reset(),
            ("POST", "endpoint-status"): self._set_endpoint_status,
            ("GET", "clock"): lambda asked: self._time(),
            ("POST", "clock/advance"): self._advance,
        }

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer a request to the admin API; others are for the handlers that follow."""
        if asked.refusal or not asked.request.path.startswith(_PREFIX):
            return following()
        try:
            answer = self._answer(asked)
        except AwsError as error:
            return json_refusal(error)
        except (TypeError, ValueError, OverflowError) as error:
            return json_refusal(AwsError("ValidationException", f"A member has a wrong value: {error}"))
        return Response(status=204) if answer is None else json_response(answer)

    def _answer(self, asked: IncomingRequest) -> Any:
        method, path = asked.request.method, asked.request.path.removeprefix(_PREFIX)
        if (method, path) == ("GET", "health"):
            return self._health()
        if asked.request.headers.get("X-Access-Key") != self._access_key:
            raise AwsError(
                "UnrecognizedClientException", "The header X-Access-Key is missing or wrong.", status=403
            )
        if method == "DELETE" and path.startswith("faults/"):
            self._faults.remove(path.rpartition("/")[2])
            return None
        if (method, path) not in self._routes:
            raise AwsError(
                "UnknownOperationException", f"{method} {asked.request.path} is unknown.", status=404
            )
        asked.keep_small_body(ADMIN_BYTES, too_large(None, ADMIN_BYTES))
        return self._routes[method, path](asked)

    def _health(self) -> dict[str, Any]:
        return {
            "version": __version__,
            "engine": self._engine,
            "pid": os.getpid(),
            "region": self._region,
            "account_id": ACCOUNT_ID,
        }

    def _time(self) -> dict[str, Any]:
        return {"clock": self._clock.name, "now": self._clock.now().isoformat()}

    def _advance(self, asked: IncomingRequest) -> dict[str, Any]:
        seconds = json_body(asked.request).get("seconds")
        if not isinstance(self._clock, VirtualClock):
            raise AwsError("ValidationException", "Only a virtual clock can be advanced; this one is real.")
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
            raise AwsError("ValidationException", f"seconds must be a number from 0, not {seconds!r}.")
        self._clock.advance(seconds)
        return self._time()

    def _set_endpoint_status(self, asked: IncomingRequest) -> dict[str, Any]:
        members = json_body(asked.request)
        name, status, seconds = (members.get(member) for member in ("EndpointName", "Status", "Seconds"))
        region = self._regions.of(members.get("Region") or self._region)
        region.endpoints.set_status(str(name), str(status), None if seconds is None else float(seconds))
        return {}

    def _set_quotas(self, asked: IncomingRequest) -> dict[str, int]:
        values = json_body(asked.request)
        for name, value in values.items():
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise AwsError("ValidationException", f"{name} must be a whole number from 0, not {value!r}.")
        self._quotas.set(values)
        return self._quotas.values

    def _begin_fault(self, asked: IncomingRequest) -> dict[str, Any]:
        members = json_body(asked.request)
        if members.get("kind") != "crash" or members.get("when", "now") != "now":
            return self._faults.add(members)
        fault = fault_of(members, id="crash", now=self._clock.now())
        hits = self._regions.crash(
            lambda endpoint, variant, container: fault.is_about(
                endpoint=endpoint, variant=variant, container=container
            )
        )
        if not hits:
            raise AwsError("ResourceNotFoundException", "No running container matches.", status=404)
        return {**fault.described(hits), "over": True}

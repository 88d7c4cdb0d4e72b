"""The handlers that every request passes, each a layer around those that follow; :mod:`.application` has their order."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Protocol

from werkzeug.wrappers import Response

from airflow_sm_hosting.local.ecr.registry import Registry
from airflow_sm_hosting.local.iam.access import Access
from airflow_sm_hosting.local.iam.permissions import RequestContext
from airflow_sm_hosting.local.moto_bridge.account import is_region
from airflow_sm_hosting.local.server.faults import Faults
from airflow_sm_hosting.local.server.incoming import Following, IncomingRequest
from airflow_sm_hosting.local.server.regions import Regions
from airflow_sm_hosting.local.server.request_log import RequestLog
from airflow_sm_hosting.local.server.state import State
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.operations import changes_something
from airflow_sm_hosting.local.wire.refusals import refusal_code, unknown_key, unknown_region

LOG = logging.getLogger(__name__)


class Handler(Protocol):
    """One layer."""

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer a request, or return the answer of the handlers that follow."""


def run_handlers(handlers: Sequence[Handler], asked: IncomingRequest) -> Response:
    """Return the answer of handlers, the first of them outermost."""
    first, *others = handlers
    return first(asked, lambda: run_handlers(others, asked))


class LogRequests:
    """Adds every request to the request log when it is answered.

    :param log: The request log.
    """

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer and log."""
        try:
            response = following()
        except ConnectionAbortedError:
            self._add(asked, 0, "ConnectionAborted")
            raise
        error = asked.error
        if error is None and response.status_code >= 400 and asked.request.method != "HEAD":
            error = refusal_code(response.get_data())
        self._add(asked, response.status_code, error)
        return response

    def _add(self, asked: IncomingRequest, status: int, error: str | None) -> None:
        self._log.add(
            service=asked.service,
            operation=asked.operation,
            mutating=changes_something(asked.operation, asked.request.method),
            status=status,
            error=error,
            resource=asked.resource,
            faults=asked.faults,
        )


class SaveState:
    """Has the state saved soon after a request that may have changed it.

    :param state: The saved state; None where nothing is saved.
    """

    def __init__(self, state: State | None) -> None:
        self._state = state

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, and mark the state as changed."""
        try:
            return following()
        finally:
            # Invocations leave metrics and log lines, which can wait for the next poll: writing would slow them down.
            if (
                self._state
                and asked.request.method not in ("GET", "HEAD")
                and asked.service != "sagemaker-runtime"
            ):
                self._state.changed()


class WriteRefusals:
    """Turns exceptions into refusals in the protocol of the request."""

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse."""
        try:
            return following()
        except ConnectionAbortedError:
            # The server closes the connection then.
            raise
        except AwsError as error:
            return asked.refuse(error)
        except NotImplementedError:
            # moto raises it for an operation that it does not have. No retry helps, so it is not a 500.
            message = f"The local AWS does not have {asked.service}:{asked.operation}."
            return asked.refuse(AwsError("NotImplemented", message, status=501))
        except Exception:
            LOG.exception("%s %s failed", asked.service, asked.operation)
            return asked.refuse(AwsError("InternalFailure", "The local AWS failed; see its log.", status=500))


class RefuseUnreadable:
    """Refuses what is not HTTP/1.1, and what another host was asked for."""

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse."""
        return asked.refuse(asked.refusal) if asked.refusal else following()


class CheckKey:
    """Refuses access keys that are neither the server's own nor issued by its IAM or STS, and Regions that there are not.

    :param access: Knows the keys.
    """

    def __init__(self, access: Access) -> None:
        self._access = access

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse the key."""
        who = asked.credential
        # The container registry checks its own login.
        if not asked.is_for_registry and (who is None or not self._access.knows(who.access_key)):
            return asked.refuse(unknown_key(asked.request, asked.refusing_service))
        if who and who.region and not is_region(who.region):
            return asked.refuse(unknown_region(asked.request, asked.refusing_service))
        return following()


class ReadBody:
    """Reads the bodies of requests with a known key, as far as the service takes them."""

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse the body."""
        with asked.body_read():
            asked.find_resource()
            return following()


class CheckPermissions:
    """Refuses what the policies of an IAM identity do not allow, while IAM is enforced.

    :param access: Decides.
    :param registry: Knows who has logged in to it.
    :param regions: Have the resources that permissions depend on.
    """

    def __init__(self, access: Access, registry: Registry, regions: Regions) -> None:
        self._access = access
        self._registry = registry
        self._regions = regions

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or refuse."""
        if self._access.enforced and (error := self._refusal(asked)):
            return asked.refuse(error)
        return following()

    def _refusal(self, asked: IncomingRequest) -> AwsError | None:
        if asked.credential:
            access_key: str | None = asked.credential.access_key
        else:
            access_key = self._registry.login_key(asked.request)
        if access_key is None or not self._access.knows(access_key):
            # The registry refuses the login.
            return None
        context = RequestContext(
            asked.signed_for,
            asked.operation,
            asked.region,
            asked.resource,
            asked.request,
            self._regions.of(asked.region),
        )
        return self._access.refusal(access_key, context)


class InjectFaults:
    """Delays, refuses or drops requests that faults hit.

    :param faults: The faults.
    """

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def __call__(self, asked: IncomingRequest, following: Following) -> Response:
        """Answer, or do what the faults say."""
        hit = self._faults.hit(asked.service, asked.operation, asked.resource)
        asked.faults = hit.kinds
        if hit.delay:
            time.sleep(hit.delay)
        if hit.error:
            return asked.refuse(hit.error)
        if hit.drop == "before":
            raise ConnectionAbortedError
        response = following()
        if hit.drop:
            response.close()
            raise ConnectionAbortedError
        return response

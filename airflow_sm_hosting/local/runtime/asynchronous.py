"""Asynchronous endpoints: requests wait in a queue, and answers are put into S3.

https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference.html
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary

from werkzeug.wrappers import Response

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge import s3, topics
from airflow_sm_hosting.local.runtime.backlog import Backlog
from airflow_sm_hosting.local.runtime.container import ModelAnswer, ModelError
from airflow_sm_hosting.local.runtime.request import refusal
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics
from airflow_sm_hosting.local.sagemaker.endpoints.service import Endpoints
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet
from airflow_sm_hosting.local.sagemaker.model_data import location_of
from airflow_sm_hosting.local.wire.errors import AwsError
from airflow_sm_hosting.local.wire.responses import json_response

LOG = logging.getLogger(__name__)

# Defaults: API_runtime_InvokeEndpointAsync.html.
_TTL_SECONDS, _TIMEOUT_SECONDS = 21_600, 900
# "If no value is provided, SageMaker chooses an optimal value" (API_AsyncInferenceClientConfig.html); which is assumed.
_CONCURRENCY = 4
# "included only if the response size is less than or equal to 128 KB": API_AsyncInferenceNotificationConfig.html
_MAX_NOTIFIED = 128 * 1024
# "payload sizes (up to 1GB)"
_MAX_INPUT = 1024**3
# How often a queue is polled for instances and for expired requests.
_POLL_SECONDS = 1.0


@dataclass
class _Request:
    """A request that waits or is in progress."""

    asked: Mapping[str, Any]
    inference_id: str
    output: str | None
    failure: str | None
    received: datetime
    #: Its name in the backlog, if there is one.
    saved_as: str | None = None
    received_at: float = field(default_factory=time.perf_counter)

    def expires(self) -> datetime:
        return self.received + timedelta(seconds=self.asked.get("RequestTTLSeconds", _TTL_SECONDS))


@dataclass
class _Queue:
    """The requests of one endpoint."""

    waiting: deque[_Request] = field(default_factory=deque)
    in_progress: set[str] = field(default_factory=set)
    #: When those in progress were received.
    since: dict[str, datetime] = field(default_factory=dict)
    polls: bool = False


class Failure(Exception):
    """A request failed; the message says why.

    :param metric: The metric that counts it.
    :param body: What the model answered, if it did.
    """

    def __init__(self, message: str, metric: str | None = None, body: bytes | None = None) -> None:
        super().__init__(message)
        self.metric = metric
        self.body = body


class AsyncRequests:
    """The queues of a Region's asynchronous endpoints.

    :param region: The Region's name.
    :param clock: The clock.
    :param endpoints: The endpoints.
    :param metrics: Takes the metrics.
    :param ask_model: Asks the endpoint's model: takes the endpoint, the request's members (``Body`` among them), how long it may
        take, and a function that is given the variant that is asked.
    :param backlog: Saves requests over a restart. None: nothing does.
    """

    def __init__(
        self,
        region: str,
        clock: Clock,
        endpoints: Endpoints,
        metrics: EndpointMetrics,
        ask_model: Callable[
            [HostedEndpoint, Mapping[str, Any], float, Callable[[VariantFleet], None]], ModelAnswer
        ],
        backlog: Backlog | None,
    ) -> None:
        self._region = region
        self._clock = clock
        self._endpoints = endpoints
        self._metrics = metrics
        self._ask_model = ask_model
        self._backlog = backlog
        self._lock = threading.Lock()
        self._closed = False
        self._queues: WeakKeyDictionary[HostedEndpoint, _Queue] = WeakKeyDictionary()

    def take(self, endpoint: HostedEndpoint, asked: Mapping[str, Any]) -> Response:
        """Answer InvokeEndpointAsync.

        :raises AwsError: The refusal.
        """
        # The sentences are assumed; that both or neither are refused at once: sagemaker-genai-hosting-examples#208.
        if "Body" in asked and "InputLocation" in asked:
            raise refusal("Only one of Body and InputLocation can be specified.")
        if "Body" not in asked and "InputLocation" not in asked:
            raise refusal("Either Body or InputLocation must be specified.")
        inference_id = asked.get("InferenceId") or str(uuid4())
        output = endpoint.config["AsyncInferenceConfig"]["OutputConfig"]
        name, extension = str(uuid4()), asked.get("S3OutputPathExtension")
        request = _Request(
            asked,
            inference_id,
            _location(output.get("S3OutputPath"), extension, asked.get("Filename") or f"{name}.out"),
            _location(output.get("S3FailurePath"), None, f"{name}-error.out"),
            self._clock.now(),
        )
        if self._backlog:
            request.saved_as = self._backlog.put(self._dumped(endpoint, request), asked.get("Body"))
        with self._lock:
            self._queues.setdefault(endpoint, _Queue()).waiting.append(request)
        self._process(endpoint)
        response = json_response({"InferenceId": inference_id}, status=202)
        if request.output:
            response.headers["X-Amzn-SageMaker-OutputLocation"] = request.output
        if request.failure:
            response.headers["X-Amzn-SageMaker-FailureLocation"] = request.failure
        return response

    # Saved requests

    def _dumped(self, endpoint: HostedEndpoint, request: _Request) -> dict[str, Any]:
        return {
            "region": self._region,
            "endpoint": endpoint.name,
            # An endpoint of the same name that was created later is another one.
            "endpoint_created": endpoint.lifecycle.created.isoformat(),
            "asked": {name: value for name, value in request.asked.items() if name != "Body"},
            "inference_id": request.inference_id,
            "output": request.output,
            "failure": request.failure,
            "received": request.received.isoformat(),
        }

    def requeue(self, name: str, saved: Mapping[str, Any], body: bytes | None) -> None:
        """Requeue a request that was accepted before a restart, also one that was being processed then.

        So a model may be asked twice. That AWS promises no more either is assumed: no source says that it is asked once.
        """
        endpoint = self._endpoints.find(saved["endpoint"])
        if endpoint is None or endpoint.lifecycle.created.isoformat() != saved["endpoint_created"]:
            self._forget(name)
            return
        request = _Request(
            {**saved["asked"], **({} if body is None else {"Body": body})},
            saved["inference_id"],
            saved["output"],
            saved["failure"],
            datetime.fromisoformat(saved["received"]),
            name,
        )
        with self._lock:
            queue = self._queues.setdefault(endpoint, _Queue())
            queue.waiting = deque(sorted([*queue.waiting, request], key=lambda one: one.received))
        self._process(endpoint)

    def close(self) -> None:
        """Drop the results of requests in progress: their containers end, and the next server asks again."""
        self._closed = True

    def _forget(self, name: str | None) -> None:
        if name is not None and self._backlog:
            self._backlog.finish(name)

    def publish(self, endpoints: list[HostedEndpoint]) -> None:
        """Publish the backlog of asynchronous endpoints.

        https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-monitor.html

        ``ApproximateBacklogSizePerInstance`` is not published without instances, as a division by none (assumed).
        """
        now = self._clock.now()
        for endpoint in endpoints:
            with self._lock:
                queue = self._queues.setdefault(endpoint, _Queue())
                size = len(queue.waiting) + len(queue.in_progress)
                came = [
                    *queue.since.values(),
                    *(request.received for request in list(queue.waiting)[:1]),
                ]
            instances = _instances(endpoint)
            values = [
                ("ApproximateBacklogSize", float(size), "Count"),
                # "1 when there are requests in the queue but zero instances": async-inference-autoscale.html
                ("HasBacklogWithoutCapacity", float(size > 0 and not instances), "Count"),
            ]
            if instances:
                values.append(("ApproximateBacklogSizePerInstance", size / instances, "Count"))
            if came:
                age = (now - min(came)).total_seconds()
                values.append(("ApproximateAgeOfOldestRequest", age, "Seconds"))
            self._metrics.publish({"EndpointName": endpoint.name}, values)

    # The queue

    def _process(self, endpoint: HostedEndpoint) -> None:
        """Start as many requests as there is capacity for, and fail those that are expired."""
        ready, expired = [], []
        now = self._clock.now()
        with self._lock:
            queue = self._queues.get(endpoint)
            if queue is None or self._closed:
                return
            if self._endpoints.find(endpoint.name) is not endpoint:
                # It was deleted, and its queue with it.
                for request in queue.waiting:
                    self._forget(request.saved_as)
                queue.waiting.clear()
                return
            # After a restart, nothing starts or expires before the endpoint has a fleet again.
            starts = endpoint.serving.fleet is None and endpoint.serving.pending is not None
            expired = [request for request in queue.waiting if not starts and request.expires() <= now]
            if expired:
                queue.waiting = deque(request for request in queue.waiting if request.expires() > now)
            room = 0 if starts else _instances(endpoint) * _concurrency(endpoint) - len(queue.in_progress)
            while queue.waiting and room > 0:
                request = queue.waiting.popleft()
                queue.in_progress.add(request.inference_id)
                queue.since[request.inference_id] = request.received
                ready.append(request)
                room -= 1
            poll = bool(queue.waiting) and not queue.polls
            queue.polls = queue.polls or poll
        for request in expired:
            error = Failure("The request was not processed before its RequestTTLSeconds.", "ExpiredRequests")
            self._fail(endpoint, request, None, error)
            self._forget(request.saved_as)
        for request in ready:
            self._clock.run(lambda request=request: self._work(endpoint, request))  # type: ignore[misc]
        if poll:
            self._clock.call_later(_POLL_SECONDS, lambda: self._poll(endpoint))

    def _poll(self, endpoint: HostedEndpoint) -> None:
        with self._lock:
            queue = self._queues.get(endpoint)
            if queue is None:
                return
            queue.polls = False
        self._process(endpoint)

    def _work(self, endpoint: HostedEndpoint, request: _Request) -> None:
        asked_variant: list[VariantFleet] = []
        waited = self._clock.now() - request.received
        values = [("TimeInBacklog", waited.total_seconds() * 1000, "Milliseconds")]
        try:
            body = self._input(request, values)
            timeout = request.asked.get("InvocationTimeoutSeconds", _TIMEOUT_SECONDS)
            try:
                answer = self._ask_model(
                    endpoint, {**request.asked, "Body": body}, timeout, asked_variant.append
                )
            except ModelError as error:
                raise Failure(error.message, body=error.body) from error
            except AwsError as error:
                raise Failure(error.message) from error
            if self._closed:
                return
            self._put_output(request, answer.data, values)
        except Failure as error:
            if self._closed:
                return
            self._fail(endpoint, request, next(iter(asked_variant), None), error, values)
        else:
            self._publish(
                endpoint, asked_variant[0], request, [*values, ("InvocationsProcessed", 1.0, "Count")]
            )
            self._notify(endpoint, request, asked_variant[0], answer)
        finally:
            if not self._closed:
                self._forget(request.saved_as)
            with self._lock:
                if queue := self._queues.get(endpoint):
                    queue.in_progress.discard(request.inference_id)
                    queue.since.pop(request.inference_id, None)
            self._process(endpoint)

    def _input(self, request: _Request, values: list[tuple[str, float, str]]) -> bytes:
        if "Body" in request.asked:
            return bytes(request.asked["Body"])
        began = time.perf_counter()
        uri = request.asked["InputLocation"]
        body = s3.read(*location_of(uri))
        if body is None:
            raise Failure(f"The input {uri} cannot be downloaded.", "RequestDownloadFailures")
        if len(body) > _MAX_INPUT:
            raise Failure(f"The input {uri} is larger than 1 GB.", "RequestDownloadFailures")
        values.append(("RequestDownloadLatency", (time.perf_counter() - began) * 1e6, "Microseconds"))
        return body

    def _put_output(self, request: _Request, data: bytes, values: list[tuple[str, float, str]]) -> None:
        if request.output is None:
            return
        began = time.perf_counter()
        if not s3.write(*location_of(request.output), data):
            raise Failure(f"The output cannot be uploaded to {request.output}.", "ResponseUploadFailures")
        values.append(("ResponseUploadLatency", (time.perf_counter() - began) * 1e6, "Microseconds"))

    def _fail(
        self,
        endpoint: HostedEndpoint,
        request: _Request,
        variant: VariantFleet | None,
        error: Failure,
        values: list[tuple[str, float, str]] | None = None,
    ) -> None:
        LOG.warning("endpoint %s: the request %s failed: %s", endpoint.name, request.inference_id, error)
        counted = [("InvocationFailures", 1.0, "Count"), ("InvocationsProcessed", 1.0, "Count")]
        if error.metric:
            counted.append((error.metric, 1.0, "Count"))
        variant = variant or (endpoint.serving.fleet.variants[0] if endpoint.serving.fleet else None)
        if variant:
            self._publish(endpoint, variant, request, [*(values or ()), *counted])
        if request.failure:
            data = str(error).encode() if error.body is None else error.body
            s3.write(*location_of(request.failure), data)
        if variant:
            self._notify(endpoint, request, variant, error)

    def _publish(
        self,
        endpoint: HostedEndpoint,
        variant: VariantFleet,
        request: _Request,
        values: list[tuple[str, float, str]],
    ) -> None:
        passed = (self._clock.now() - request.received).total_seconds()
        # A virtual clock stands still while a container works.
        took = max(passed, time.perf_counter() - request.received_at)
        where = {"EndpointName": endpoint.name, "VariantName": variant.name}
        values = [*values, ("TotalProcessingTime", took * 1000, "Milliseconds")]
        self._metrics.publish(where, values)

    def _notify(
        self,
        endpoint: HostedEndpoint,
        request: _Request,
        variant: VariantFleet,
        outcome: ModelAnswer | Failure,
    ) -> None:
        """Publish the outcome to the SNS topic that the endpoint config names."""
        output = endpoint.config["AsyncInferenceConfig"]["OutputConfig"]
        config = output.get("NotificationConfig", {})
        topic = config.get("ErrorTopic" if isinstance(outcome, Failure) else "SuccessTopic")
        if not topic:
            return
        kind = "ERROR" if isinstance(outcome, Failure) else "SUCCESS"
        included = f"{kind}_NOTIFICATION_TOPIC" in config.get("IncludeInferenceResponseIn", ())
        message = notification(self._region, endpoint.name, request, outcome, self._clock.now(), included)
        try:
            topics.publish(topic, "", json.dumps(message))
        except Exception:
            LOG.exception("endpoint %s: cannot publish to %s", endpoint.name, topic)
            where = {"EndpointName": endpoint.name, "VariantName": variant.name}
            self._metrics.publish(where, [("NotificationFailures", 1.0, "Count")])


def notification(
    region: str,
    endpoint_name: str,
    request: Any,
    outcome: ModelAnswer | Failure,
    now: datetime,
    included: bool,
) -> dict[str, Any]:
    """Return the SNS message about a request.

    https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html

    :param included: Whether the answer itself is in it; under which name is assumed.
    """
    asked = request.asked
    parameters = {
        name: asked[member]
        for name, member in (
            ("contentType", "ContentType"),
            ("accept", "Accept"),
            ("customAttributes", "CustomAttributes"),
            ("inputLocation", "InputLocation"),
        )
        if member in asked
    }
    message: dict[str, Any] = {
        "awsRegion": region,
        "eventTime": _timestamp(now),
        "receivedTime": _timestamp(request.received),
        "invocationStatus": "Failed" if isinstance(outcome, Failure) else "Completed",
        "requestParameters": {**parameters, "endpointName": endpoint_name},
        "inferenceId": request.inference_id,
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }
    data: bytes | None
    if isinstance(outcome, Failure):
        message["failureReason"] = str(outcome)
        shown = {"failureLocation": request.failure}
        data = outcome.body
    else:
        shown = {"contentType": outcome.content_type, "outputLocation": request.output}
        data = outcome.data
    message["responseParameters"] = {name: value for name, value in shown.items() if value}
    if included and data is not None and len(data) <= _MAX_NOTIFIED:
        message["responseBody"] = {"content": base64.b64encode(data).decode(), "encoding": "BASE64"}
    return message


def _location(path: str | None, extension: str | None, name: str) -> str | None:
    if not path:
        return None
    return "/".join([path.rstrip("/"), *([extension.strip("/")] if extension else []), name])


def _instances(endpoint: HostedEndpoint) -> int:
    return sum(
        variant.instance_count or 0 for fleet in endpoint.serving.fleets() for variant in fleet.variants
    )


def _concurrency(endpoint: HostedEndpoint) -> int:
    # An endpoint that failed has no config.
    client = endpoint.config.get("AsyncInferenceConfig", {}).get("ClientConfig", {})
    return int(client.get("MaxConcurrentInvocationsPerInstance", _CONCURRENCY))


def _timestamp(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"

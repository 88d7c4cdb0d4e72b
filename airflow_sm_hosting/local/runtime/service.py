"""SageMaker's runtime, the data plane: invocations, routed to the containers of an endpoint."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import urllib3
from werkzeug.wrappers import Request, Response

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.runtime import adapters, multi_model, streaming
from airflow_sm_hosting.local.runtime.adapters import Adapters
from airflow_sm_hosting.local.runtime.asynchronous import AsyncRequests
from airflow_sm_hosting.local.runtime.backlog import Backlog
from airflow_sm_hosting.local.runtime.capture import Capture
from airflow_sm_hosting.local.runtime.container import Caller, ModelAnswer, ModelError, ask, good
from airflow_sm_hosting.local.runtime.multi_model import HeldModels
from airflow_sm_hosting.local.runtime.request import container_headers, read_invocation, refusal
from airflow_sm_hosting.local.sagemaker.components.adapter import Adapter
from airflow_sm_hosting.local.sagemaker.components.component import Component
from airflow_sm_hosting.local.sagemaker.components.service import Components, InvokedComponent
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint import HostedEndpoint
from airflow_sm_hosting.local.sagemaker.endpoints.endpoint_metrics import EndpointMetrics, Invocation
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Fleet
from airflow_sm_hosting.local.sagemaker.endpoints.service import SERVING, Endpoints
from airflow_sm_hosting.local.sagemaker.endpoints.variant import ServingContainer, VariantFleet
from airflow_sm_hosting.local.wire.errors import AwsError

# "A customer's model containers must respond to requests within 60 seconds": API_runtime_InvokeEndpoint.html. A stream has as
# long for each piece, and this for all of them (assumed).
TIMEOUT_SECONDS, _STREAM_SECONDS = 60.0, 480.0
# https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html: "The maximum … payload … is 4 MB".
_MAX_SERVERLESS = 4 * 1024 * 1024
# Headers of the container that the caller sees.
_PASSED_BACK = ("content-type", "x-amzn-sagemaker-", "x-amzn-data-")
_LOGS_ENDPOINT, _LOGS_COMPONENT = "/aws/sagemaker/Endpoints", "/aws/sagemaker/InferenceComponents"


@dataclass(frozen=True)
class Route:
    """The containers that answer an invocation.

    :param endpoint: The endpoint.
    :param fleet: The fleet of the containers.
    :param variant: The variant of that fleet.
    :param containers: The containers, each of which is given the answer of the one before.
    :param component: The inference component whose containers they are.
    """

    endpoint: HostedEndpoint
    fleet: Fleet
    variant: VariantFleet
    containers: Sequence[ServingContainer]
    component: InvokedComponent | None = None

    @property
    def config(self) -> Mapping[str, Any]:
        """The endpoint config of the fleet."""
        configs = self.endpoint.serving.configs()
        name = self.variant.config_name
        return next((one for one in configs if one.get("EndpointConfigName") == name), self.endpoint.config)


class Runtime:
    """The runtime of one Region.

    :param region: The Region's name.
    :param clock: The clock.
    :param endpoints: The endpoints.
    :param components: The inference components.
    :param metrics: Takes the metrics of invocations.
    :param backlog: Saves asynchronous requests over a restart. Default: nothing does.
    :param timeout_seconds: How long a container may take to answer.
    """

    def __init__(
        self,
        region: str,
        clock: Clock,
        endpoints: Endpoints,
        components: Components,
        metrics: EndpointMetrics,
        backlog: Backlog | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._region = region
        self._clock = clock
        self._endpoints = endpoints
        self._components = components
        self._metrics = metrics
        self._timeout = timeout_seconds
        self._random = random.SystemRandom()
        self._capture = Capture(clock)
        self._models = HeldModels()
        self._adapters = Adapters()
        self._async = AsyncRequests(region, clock, endpoints, metrics, self._answer_async, backlog)
        self._operations: dict[str, Callable[[HostedEndpoint, dict[str, Any], float], Response]] = {
            "InvokeEndpoint": self._invoke,
            "InvokeEndpointAsync": self._invoke_async,
            "InvokeEndpointWithResponseStream": self._invoke_with_response_stream,
        }

    def answer(self, operation: str, request: Request, endpoint_name: str) -> Response:
        """Answer an invocation.

        :param operation: ``InvokeEndpoint``, ``InvokeEndpointAsync`` or ``InvokeEndpointWithResponseStream``.
        :raises AwsError: The refusal, or :class:`ModelError` for what went wrong in the container.
        """
        began = time.perf_counter()
        asked = read_invocation(request, operation, endpoint_name)
        endpoint = self._endpoints.find(endpoint_name)
        if endpoint is None:
            raise refusal(f"Endpoint {endpoint_name} of account {ACCOUNT_ID} not found.")
        if endpoint.status not in SERVING:
            raise refusal(
                f"Endpoint {endpoint_name} of account {ACCOUNT_ID} is not in service (status {endpoint.status})."
            )
        is_async = endpoint.is_asynchronous
        if is_async != (operation == "InvokeEndpointAsync"):
            # Clients search for "does not support this inference type"; the front of the sentence is assumed.
            raise refusal(f"Endpoint {endpoint_name} does not support this inference type.")
        return self._operations[operation](endpoint, asked, began)

    def load_adapter(self, adapter: Adapter, specification: Mapping[str, Any]) -> None:
        """Have the containers of an adapter's base load it; without containers there is nothing to do.

        :param specification: What it is created or updated with.
        :raises AwsError: They do not load it.
        """
        caller = self._caller(adapter.host, adapter.base, self._timeout)
        for container in _containers_of(adapter.base):
            self._adapters.load(container, caller, adapter.name, specification)

    def unload_adapter(self, adapter: Adapter) -> None:
        """Have the containers of an adapter's base unload it."""
        caller = self._caller(adapter.host, adapter.base, self._timeout)
        for container in _containers_of(adapter.base):
            self._adapters.unload(container, caller, adapter.name)

    def requeue(self, name: str, request: Mapping[str, Any], body: bytes | None) -> None:
        """Requeue an accepted asynchronous request after a restart."""
        self._async.requeue(name, request, body)

    def close(self) -> None:
        """Record no more results of asynchronous requests: their containers end."""
        self._async.close()

    def each_minute(self) -> None:
        """Publish what no invocation publishes, and write what was captured."""
        endpoints = self._endpoints.all()
        self._async.publish([one for one in endpoints if one.status in SERVING and one.is_asynchronous])
        for endpoint in endpoints:
            for variant in (v for fleet in endpoint.serving.fleets() for v in fleet.variants):
                loaded = [self._models.loaded_count(c) for c in variant.containers if multi_model.has_many(c)]
                if loaded:
                    # https://docs.aws.amazon.com/sagemaker/latest/dg/monitoring-cloudwatch.html, multi-model endpoints
                    where = {"EndpointName": endpoint.name, "VariantName": variant.name}
                    values = [("LoadedModelCount", float(sum(loaded)), "None")]
                    self._metrics.publish(where, values, namespace=_LOGS_ENDPOINT)
        self._capture.flush()

    # Operations

    def _invoke(self, endpoint: HostedEndpoint, asked: dict[str, Any], began: float) -> Response:
        with self._route(endpoint, asked) as route:
            self._mirror(route, asked)
            with self._measured(route, began):
                answer = self._through(route, asked, self._timeout)
            self._note(route, asked, answer)
        return Response(answer.data, headers=_headers_back(answer, route))

    def _invoke_async(self, endpoint: HostedEndpoint, asked: dict[str, Any], _began: float) -> Response:
        return self._async.take(endpoint, asked)

    def _invoke_with_response_stream(
        self, endpoint: HostedEndpoint, asked: dict[str, Any], began: float
    ) -> Response:
        with ExitStack() as stack:
            route = stack.enter_context(self._route(endpoint, asked))
            self._mirror(route, asked)
            invocation = stack.enter_context(self._measured(route, began))
            answer = self._through(route, asked, self._timeout, whole=False)
            stack.callback(answer.close)

            def failed() -> None:
                invocation.status = 0

            name = route.containers[-1].name
            parts = streaming.messages(answer, name, max(self._timeout, _STREAM_SECONDS), failed)
            response = Response(parts, content_type=streaming.CONTENT_TYPE)
            for header, value in _headers_back(answer, route).items():
                if header.lower() != "content-type":
                    response.headers[header] = value
            response.headers["X-Amzn-SageMaker-Content-Type"] = _content_type(answer)
            # The containers are there, and the time is measured, until the stream has ended.
            response.call_on_close(stack.pop_all().close)
            return response

    def _answer_async(
        self,
        endpoint: HostedEndpoint,
        asked: Mapping[str, Any],
        timeout: float,
        chosen: Callable[[VariantFleet], None],
    ) -> ModelAnswer:
        with self._route(endpoint, asked) as route:
            chosen(route.variant)
            with self._measured(route, time.perf_counter()):
                answer = self._through(route, asked, timeout)
            self._note(route, asked, answer)
        return ModelAnswer(answer.data, _content_type(answer))

    # Who answers

    @contextmanager
    def _route(self, endpoint: HostedEndpoint, asked: Mapping[str, Any]) -> Iterator[Route]:
        """Choose what answers; it is there until this is left.

        :raises AwsError: Nothing does.
        """
        component = self._component(endpoint, asked)
        target = asked.get("TargetVariant")
        serving = component.holder.serving if component else endpoint.serving
        with self._endpoints.route(serving, target) as chosen:
            if chosen is None:
                raise refusal(f"Variant {target} of endpoint {endpoint.name} not found.")
            fleet, variant = chosen
            containers = _containers(endpoint, variant, asked)
            self._check(endpoint, variant, containers, asked)
            yield Route(endpoint, fleet, variant, containers, component)

    def _component(self, endpoint: HostedEndpoint, asked: Mapping[str, Any]) -> InvokedComponent | None:
        name = asked.get("InferenceComponentName")
        hosts_components = all("ModelName" not in v for v in endpoint.config.get("ProductionVariants", ()))
        if name is None and hosts_components:
            # aws-samples/amazon-kendra-langchain-extensions#64
            raise refusal(
                "Inference Component Name header is required for endpoints to which you plan to deploy inference components. "
                "Please include Inference Component Name header or consider using SageMaker models."
            )
        if name is None:
            return None
        if not hosts_components:
            # As users have quoted it.
            raise refusal(
                "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference "
                "components. Please remove the Inference Component Name header and try again."
            )
        return self._components.invoked(name, endpoint)

    def _check(
        self,
        endpoint: HostedEndpoint,
        variant: VariantFleet,
        containers: Sequence[ServingContainer],
        asked: Mapping[str, Any],
    ) -> None:
        """Refuse what this variant cannot be asked.

        :raises AwsError: The refusal.
        """
        has_many = any(multi_model.has_many(container) for container in containers)
        if "TargetModel" in asked and not has_many:
            # aws/amazon-sagemaker-examples#1026
            raise refusal(
                f"Endpoint {endpoint.name} is not a multi-model endpoint and does not support target model header."
            )
        if has_many and "TargetModel" not in asked:
            # aws/sagemaker-tensorflow-serving-container#166
            raise refusal(f"Request {uuid4()} is missing a target model header.")
        serverless = variant.config.get("ServerlessConfig")
        if serverless is None:
            return
        if len(asked["Body"]) > _MAX_SERVERLESS:
            # aws/sagemaker-python-sdk#4271
            raise refusal(f"Request {uuid4()} has oversize body.")
        concurrency = variant.serverless_config.get("MaxConcurrency", serverless["MaxConcurrency"])
        if self._metrics.in_flight(endpoint.name, variant) >= concurrency:
            # "If your endpoint is invoked beyond the max concurrency, requests are throttled": serverless-endpoints.html
            raise AwsError("ThrottlingException", "Rate exceeded", status=429)

    # How it is asked

    @contextmanager
    def _measured(self, route: Route, began: float) -> Iterator[Invocation]:
        """Publish the metrics of an invocation, and replace a container that does not answer."""
        component = route.component
        with self._metrics.invocation(
            route.endpoint.name,
            route.variant,
            began,
            component=component.name if component else None,
            asynchronous=route.endpoint.is_asynchronous,
        ) as invocation:
            try:
                yield invocation
            except ModelError as error:
                invocation.status = error.original_status
                if error.was_silent:
                    self._endpoints.replace_dead(route.fleet)
                raise
            if invocation.status is None:
                invocation.status = 200

    def _through(
        self, route: Route, asked: Mapping[str, Any], timeout: float, *, whole: bool = True
    ) -> urllib3.BaseHTTPResponse:
        """Send the body through the containers, each one's answer to the next.

        :param whole: Whether the last answer is read at once.
        """
        component = route.component
        adapter = component.adapter if component else None
        caller = self._caller(route.endpoint, component.holder if component else None, timeout)
        where = {"EndpointName": route.endpoint.name, "VariantName": route.variant.name}
        headers = container_headers(asked)
        if adapter:
            headers[adapters.HEADER] = adapter.name
        body: bytes = asked["Body"]
        several = len(route.variant.containers) > 1

        def publish(values: list[tuple[str, float, str]]) -> None:
            self._metrics.publish(where, values)

        answer: urllib3.BaseHTTPResponse | None = None
        for container in route.containers:
            is_last = container is route.containers[-1]
            if adapter and adapter.specification:
                self._adapters.load(container, caller, adapter.name, adapter.specification)
            began = time.perf_counter()
            if multi_model.has_many(container):
                target = asked["TargetModel"]
                answer = self._models.ask(
                    *(container, caller, target, publish),
                    body=body,
                    headers=headers,
                    whole=whole or not is_last,
                )
            else:
                answer = ask(
                    container, caller, "/invocations", body=body, headers=headers, whole=whole or not is_last
                )
            if several:
                # https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-metrics.html
                self._metrics.publish_container(where, container.name, began, answer.status)
            good(answer, container, caller)
            if not is_last:
                body = answer.data
                headers["Content-Type"] = _content_type(answer)
        assert answer is not None  # noqa: S101 - a route has containers
        return answer

    def _caller(self, endpoint: HostedEndpoint, holder: Component | None, timeout: float) -> Caller:
        group = f"{_LOGS_COMPONENT}/{holder.name}" if holder else f"{_LOGS_ENDPOINT}/{endpoint.name}"
        return Caller(endpoint.name, self._region, group, timeout)

    def _mirror(self, route: Route, asked: Mapping[str, Any]) -> None:
        """Send copies to shadow variants: their answers are dropped, their metrics are kept.

        The shadow variant's weight is the share of the production variant's requests that it is sent (assumed from
        https://docs.aws.amazon.com/sagemaker/latest/dg/model-shadow-deployment.html: the weights of both set the percentage).
        """
        for shadow in route.fleet.shadow_variants:
            weight = route.variant.weight or 1.0
            if not shadow.containers or self._random.random() >= shadow.weight / weight:
                continue
            route.fleet.enter()
            copy = Route(route.endpoint, route.fleet, shadow, shadow.containers)
            self._clock.run(lambda copy=copy: self._ask_shadow(copy, asked))  # type: ignore[misc]

    def _ask_shadow(self, route: Route, asked: Mapping[str, Any]) -> None:
        try:
            with self._measured(route, time.perf_counter()):
                answer = self._through(route, asked, self._timeout)
            self._note(route, asked, answer)
        except AwsError:
            # Nobody waits for it; its metrics have it.
            pass
        finally:
            route.fleet.leave()

    def _note(self, route: Route, asked: Mapping[str, Any], answer: urllib3.BaseHTTPResponse) -> None:
        """Capture what was answered; what went wrong is not captured, nor are streams (assumed)."""
        self._capture.note(
            route.config, route.endpoint.name, route.variant.name, asked, _content_type(answer), answer.data
        )


def _containers(
    endpoint: HostedEndpoint, variant: VariantFleet, asked: Mapping[str, Any]
) -> Sequence[ServingContainer]:
    """Return the containers of a variant that are asked: all, or the one that is named in Direct mode.

    https://docs.aws.amazon.com/sagemaker/latest/dg/multi-container-direct.html says what is refused; the sentences are assumed.
    """
    hostname = asked.get("TargetContainerHostname")
    is_direct = variant.model.get("InferenceExecutionConfig", {}).get("Mode") == "Direct"
    if not is_direct:
        if hostname is not None:
            raise refusal(
                f"Endpoint {endpoint.name} is not configured for direct invocation and does not support target container "
                "hostname header."
            )
        return variant.containers
    if hostname is None:
        raise refusal(
            f"Endpoint {endpoint.name} is configured for direct invocation: the request is missing a target container hostname "
            "header."
        )
    found = [container for container in variant.containers if container.name == hostname]
    if not found:
        raise refusal(f"Container {hostname} of endpoint {endpoint.name} not found.")
    return found


def _containers_of(component: Component) -> list[ServingContainer]:
    return [
        container
        for fleet in component.serving.fleets()
        for variant in fleet.variants
        for container in list(variant.containers)
        if container.running.url is not None
    ]


def _content_type(answer: urllib3.BaseHTTPResponse) -> str:
    return str(answer.headers.get("Content-Type", ""))


def _headers_back(answer: urllib3.BaseHTTPResponse, route: Route) -> dict[str, str]:
    headers = {name: value for name, value in answer.headers.items() if name.lower().startswith(_PASSED_BACK)}
    headers["x-Amzn-Invoked-Production-Variant"] = route.variant.name
    return headers

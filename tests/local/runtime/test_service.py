"""InvokeEndpoint and InvokeEndpointWithResponseStream: who answers, what goes through, what is refused.

The containers are functions of these tests (``data_plane.py``), the client is boto3.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer
from botocore.exceptions import ClientError, EventStreamError

from airflow_sm_hosting.local.runtime import streaming
from airflow_sm_hosting.local.server.handlers import SaveState
from tests.local.data_plane import Answer, Asked, BrokenStream, DataPlane, data_plane, echo, slow, wait_until


@pytest.fixture(scope="module")
def plane_() -> Iterator[DataPlane]:
    with data_plane() as plane:
        yield plane


@pytest.fixture
def plane(plane_: DataPlane) -> DataPlane:
    plane_.reset()
    return plane_


def refusal(call: Callable[..., Any], *args: Any, **more: Any) -> Any:
    with pytest.raises(ClientError) as caught:
        call(*args, **more)
    return caught.value


class Recorder:
    """A model that keeps what it was asked."""

    def __init__(self, answer: Any = None) -> None:
        self.asked: list[Asked] = []
        self.answer = answer or echo

    def __call__(self, asked: Asked) -> Any:
        self.asked.append(asked)
        return self.answer(asked)


# InvokeEndpoint


def test_headers_go_to_the_container_and_back(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpoint.html: the members that are headers; what the API does not name is stripped."""
    model = Recorder(
        lambda asked: Answer(
            b"{}", headers={"X-Amzn-SageMaker-Custom-Attributes": "seen", "X-Secret": "not passed on"}
        )
    )
    endpoint = plane.serving(model)
    answer = plane.invoke(
        endpoint,
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="trace=7",
        InferenceId="42",
    )
    (asked,) = model.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/invocations", b"1,2")
    assert asked.headers["Content-Type"] == "text/csv"
    assert asked.headers["Accept"] == "application/json"
    assert asked.headers["X-Amzn-SageMaker-Custom-Attributes"] == "trace=7"
    assert asked.headers["X-Amzn-SageMaker-Inference-Id"] == "42"
    assert "Authorization" not in asked.headers
    assert answer["CustomAttributes"] == "seen"
    assert answer["InvokedProductionVariant"] == "main"
    assert answer["ContentType"] == "application/json"
    assert "x-secret" not in answer["ResponseMetadata"]["HTTPHeaders"]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        # aws/amazon-sagemaker-examples#1026
        (
            {"TargetModel": "a.tar.gz"},
            "Endpoint {} is not a multi-model endpoint and does not support target model header.",
        ),
        # multi-container-direct.html: "Specify a value … to an endpoint that is not configured for direct invocation"
        ({"TargetContainerHostname": "first"}, "Endpoint {} is not configured for direct invocation"),
        # The sentence is assumed.
        ({"InferenceComponentName": "c"}, "Inference Component Name header is not allowed"),
        ({"TargetVariant": "red"}, "Variant red of endpoint {} not found."),
        # botocore's TargetVariantHeader
        (
            {"TargetVariant": "a_b"},
            "1 validation error detected: Value 'a_b' at 'targetVariant' failed to satisfy constraint: Member must satisfy",
        ),
        (
            {"InferenceId": "i" * 65},
            "at 'inferenceId' failed to satisfy constraint: Member must have length less",
        ),
    ],
)
def test_what_a_plain_endpoint_refuses(plane: DataPlane, members: dict[str, Any], message: str) -> None:
    endpoint = plane.serving(echo)
    error = refusal(plane.invoke, endpoint, **members).response
    assert error["Error"]["Code"] == "ValidationError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert message.format(endpoint) in error["Error"]["Message"]


def test_an_endpoint_that_is_not_there_or_not_in_service(plane: DataPlane) -> None:
    """sagemaker_api.md A1, aws/amazon-sagemaker-examples#293: "Endpoint X of account N not found."."""
    assert "Endpoint nobody of account 123456789012 not found." in str(refusal(plane.invoke, "nobody"))
    endpoint = plane.serving(echo)
    plane.hosting.endpoints.set_status(endpoint, "OutOfService")
    assert "is not in service" in str(refusal(plane.invoke, endpoint))


def test_the_largest_body_goes_through_and_a_larger_one_is_refused(plane: DataPlane) -> None:
    """botocore, BodyBlob: at most 6,291,456 bytes."""
    endpoint = plane.serving(lambda asked: Answer(str(len(asked.body)).encode()))
    assert plane.invoke(endpoint, bytes(6_291_456))["Body"] == b"6291456"
    error = refusal(plane.invoke, endpoint, bytes(6_291_457))
    assert error.response["Error"]["Code"] == "ValidationError"
    assert (
        "at 'body' failed to satisfy constraint: Member must have length less than or equal to 6291456"
        in str(error)
    )


def test_a_container_that_takes_too_long_is_a_model_error(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpoint.html: containers must respond within 60 seconds; here within 0.1."""
    endpoint = plane.serving(slow(0.5))
    plane.hosting.runtime._timeout = 0.1
    error = refusal(plane.invoke, endpoint).response
    assert error["Error"]["Code"] == "ModelError"
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["OriginalStatusCode"] == 0
    assert "timed out while waiting for a response from container primary" in error["OriginalMessage"]
    assert error["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{endpoint}")
    where = {"EndpointName": endpoint, "VariantName": "main"}
    assert plane.metric("Invocation5XXErrors", **where) == 1


def test_an_error_of_the_container_is_quoted_with_its_status(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpoint.html, ModelError: 424 with OriginalStatusCode, OriginalMessage, LogStreamArn."""
    endpoint = plane.serving(lambda asked: Answer(b"no such column", status=415))
    error = refusal(plane.invoke, endpoint).response
    assert (error["OriginalStatusCode"], error["OriginalMessage"]) == (415, "no such column")
    where = {"EndpointName": endpoint, "VariantName": "main"}
    assert plane.metric("Invocation4XXErrors", **where) == 1
    assert plane.metric("Invocation5XXErrors", **where) == 0
    assert (
        'Received client error (415) from primary with message "no such column"' in error["Error"]["Message"]
    )


# Several containers


def test_containers_of_a_pipeline_have_ports_of_their_own_and_metrics_of_their_own(plane: DataPlane) -> None:
    """multi-container-direct.html: SAGEMAKER_BIND_TO_PORT, SAGEMAKER_SAFE_PORT_RANGE; multi-container-metrics.html."""
    first = Recorder(lambda asked: Answer(asked.body + b"1", content_type="text/x-first"))
    second = Recorder(lambda asked: Answer(asked.body + b"2", content_type="text/x-second"))
    endpoint = plane.serving_several(plane.container(first), plane.container(second))
    answer = plane.invoke(endpoint, b"0", ContentType="text/csv")
    assert (answer["Body"], answer["ContentType"]) == (b"012", "text/x-second")
    assert second.asked[0].headers["Content-Type"] == "text/x-first"
    ports = [int(plan.environment["SAGEMAKER_BIND_TO_PORT"]) for plan in plane.engine.plans]
    assert len(set(ports)) == 2
    assert ports == [plan.port for plan in plane.engine.plans]
    ranges = [plan.environment["SAGEMAKER_SAFE_PORT_RANGE"].split("-") for plan in plane.engine.plans]
    for low, high in ranges:
        assert int(low) < int(high)
        assert not any(int(low) <= port <= int(high) for port in ports)
    for name in ("container-1", "container-2"):
        where = {"EndpointName": endpoint, "VariantName": "main", "ContainerName": name}
        assert plane.metric("Invocations", **where) == 1
        assert (plane.metric("ContainerLatency", **where) or 0) > 0


def test_one_container_alone_listens_on_8080_and_is_not_told_where(plane: DataPlane) -> None:
    """your-algorithms-inference-code.html: port 8080."""
    plane.serving(echo)
    (plan,) = plane.engine.plans
    assert plan.port == 8080
    assert not [name for name in plan.environment if name.startswith("SAGEMAKER_")]


def test_direct_mode_asks_the_container_that_is_named(plane: DataPlane) -> None:
    """multi-container-direct.html: only the named one processes the request; three validation errors."""
    containers = [
        plane.container(lambda asked, name=name: Answer(name.encode()), ContainerHostname=name)
        for name in ("one", "two")
    ]
    endpoint = plane.serving_several(*containers, InferenceExecutionConfig={"Mode": "Direct"})
    assert plane.invoke(endpoint, TargetContainerHostname="two")["Body"] == b"two"
    assert plane.invoke(endpoint, TargetContainerHostname="one")["Body"] == b"one"
    for members in ({}, {"TargetContainerHostname": "three"}):
        assert refusal(plane.invoke, endpoint, **members).response["Error"]["Code"] == "ValidationError"


# Serverless


def test_a_serverless_variant_has_its_memory_and_takes_less(plane: DataPlane) -> None:
    """serverless-endpoints.html: 4 MB of payload; ProductionVariantServerlessConfig: MemorySizeInMB."""
    variant = plane.deployer.variant(plane.deployer.model(**plane.container(echo)))
    serverless = {key: variant[key] for key in ("VariantName", "ModelName")}
    config = plane.deployer.config(
        {**serverless, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 1}}
    )
    endpoint = plane.deployer.endpoint(config)
    assert plane.engine.plans[-1].memory_mb == 2048
    assert len(plane.invoke(endpoint, bytes(4 * 1024**2))["Body"]) == 4 * 1024**2
    assert "oversize body" in str(refusal(plane.invoke, endpoint, bytes(4 * 1024**2 + 1)))


def test_more_at_once_than_the_max_concurrency_is_throttled(plane: DataPlane) -> None:
    """serverless-endpoints.html: beyond MaxConcurrency requests are throttled."""
    begun, go_on = threading.Event(), threading.Event()

    def model(asked: Asked) -> Any:
        begun.set()
        assert go_on.wait(10)
        return echo(asked)

    variant = plane.deployer.variant(plane.deployer.model(**plane.container(model)))
    serverless = {key: variant[key] for key in ("VariantName", "ModelName")}
    config = plane.deployer.config(
        {**serverless, "ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 1}}
    )
    endpoint = plane.deployer.endpoint(config)
    answers = []
    first = threading.Thread(target=lambda: answers.append(plane.invoke(endpoint)))
    first.start()
    assert begun.wait(10)
    try:
        error = refusal(plane.invoke, endpoint).response
    finally:
        go_on.set()
        first.join()
    assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (
        "ThrottlingException",
        429,
    )
    assert len(answers) == 1
    assert plane.invoke(endpoint)["Body"] == b"1,2"


# Shadow variants


def shadowed(plane: DataPlane, production: Any, shadow: Any, weight: Any) -> Any:
    models = [plane.deployer.model(**plane.container(model)) for model in (production, shadow)]
    config = plane.deployer.config(
        plane.deployer.variant(models[0]),
        ShadowProductionVariants=[
            plane.deployer.variant(models[1], name="shadow", InitialVariantWeight=weight)
        ],
    )
    return plane.deployer.endpoint(config)


def test_a_shadow_variant_is_sent_copies_and_its_answers_are_dropped(plane: DataPlane) -> None:
    """API_CreateEndpointConfig.html, ShadowProductionVariants: traffic is replicated; model-shadow-deployment.html."""
    shadow = Recorder(lambda asked: Answer(b"broken", status=500))
    endpoint = shadowed(plane, echo, shadow, 1.0)
    for _ in range(3):
        answer = plane.invoke(endpoint, b"x")
        assert (answer["Body"], answer["InvokedProductionVariant"]) == (b"x", "main")
    plane.settled()
    assert [asked.body for asked in shadow.asked] == [b"x"] * 3
    counted = {"EndpointName": endpoint, "VariantName": "shadow"}
    assert plane.metric("Invocations", **counted) == 3
    assert plane.metric("Invocation5XXErrors", **counted) == 3
    assert plane.metric("Invocation5XXErrors", EndpointName=endpoint, VariantName="main") == 0
    # It is not one that can be asked for.
    assert "not found" in str(refusal(plane.invoke, endpoint, TargetVariant="shadow"))


def test_a_shadow_variant_is_sent_the_share_that_its_weight_says(plane: DataPlane) -> None:
    """The weight is the share of the production variant's requests (assumed)."""
    shadow = Recorder()
    endpoint = shadowed(plane, echo, shadow, 0.0)
    for _ in range(5):
        plane.invoke(endpoint)
    plane.settled()
    assert shadow.asked == []


# Streams


def parts(answer: Any) -> Any:
    return [event["PayloadPart"]["Bytes"] for event in answer["Body"]]


def stream(plane: DataPlane, endpoint: str, **more: Any) -> Any:
    return plane.runtime.invoke_endpoint_with_response_stream(EndpointName=endpoint, Body=b"q", **more)


def test_each_piece_of_a_stream_comes_when_the_container_yields_it(plane: DataPlane) -> None:
    """API_runtime_InvokeEndpointWithResponseStream.html: PayloadPart events."""
    received = threading.Semaphore(0)

    def pieces() -> Iterator[Any]:
        for piece in (b"one", b"two", b"three"):
            yield piece
            # The next one is not made before the client has this one.
            assert received.acquire(timeout=10)

    endpoint = plane.serving(lambda asked: Answer(pieces(), content_type="text/event-stream"))
    answer = stream(plane, endpoint, ContentType="application/json", Accept="text/event-stream")
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/event-stream", "main")
    got = []
    for event in answer["Body"]:
        got.append(event["PayloadPart"]["Bytes"])
        received.release()
    assert got == [b"one", b"two", b"three"]
    where = {"EndpointName": endpoint, "VariantName": "main"}
    assert wait_until(lambda: plane.metric("Invocations", **where)) == 1
    assert plane.metric("Invocation5XXErrors", **where) == 0


def test_an_answer_that_is_no_stream_is_one_of_few_parts(plane: DataPlane) -> None:
    endpoint = plane.serving(lambda asked: Answer(bytes(100_000)))
    assert b"".join(parts(stream(plane, endpoint))) == bytes(100_000)


def test_a_stream_that_breaks_ends_with_a_model_stream_error(plane: DataPlane) -> None:
    """botocore, ModelStreamError: ErrorCode StreamBroken."""

    def pieces() -> Iterator[Any]:
        yield b"one"
        raise BrokenStream

    endpoint = plane.serving(lambda asked: Answer(pieces()))
    events = iter(stream(plane, endpoint)["Body"])
    assert next(events)["PayloadPart"]["Bytes"] == b"one"
    with pytest.raises(EventStreamError) as caught:
        next(events)
    assert caught.value.response["Error"]["Code"] == "ModelStreamError"
    assert wait_until(
        lambda: plane.metric("Invocation5XXErrors", EndpointName=endpoint, VariantName="main") == 1
    )


def test_a_stream_that_pauses_too_long_ends_with_a_model_stream_error(plane: DataPlane) -> None:
    """botocore, ModelStreamError: ErrorCode ModelInvocationTimeExceeded."""
    go_on = threading.Event()

    def pieces() -> Iterator[Any]:
        yield b"one"
        go_on.wait(10)

    endpoint = plane.serving(lambda asked: Answer(pieces()))
    plane.hosting.runtime._timeout = 0.2
    try:
        with pytest.raises(EventStreamError, match="in time"):
            parts(stream(plane, endpoint))
    finally:
        go_on.set()


def test_a_stream_that_never_ends_is_ended() -> None:
    """How long all of it may take is assumed."""

    class Endless:
        chunked = False

        def read1(self, amount: int) -> Any:
            return b"."

    failures = []
    *parts, last = streaming.messages(Endless(), "primary", 0.0, lambda: failures.append(1))
    assert len(parts) == 1
    buffer = EventStreamBuffer()
    buffer.add_data(last)
    (told,) = buffer
    assert told.headers[":exception-type"] == "ModelStreamError"
    assert b"ModelInvocationTimeExceeded" in told.payload
    assert failures == [1]


def test_an_error_before_the_stream_is_a_model_error(plane: DataPlane) -> None:
    endpoint = plane.serving(lambda asked: Answer(b"ill", status=503))
    error = refusal(stream, plane, endpoint).response
    assert (error["Error"]["Code"], error["OriginalStatusCode"], error["OriginalMessage"]) == (
        "ModelError",
        503,
        "ill",
    )


def test_messages_are_what_botocore_reads() -> None:
    """https://smithy.io/2.0/aws/amazon-eventstream.html."""
    written = streaming.message({":event-type": "PayloadPart", "é": "ü"}, b"\x00\xff" * 1000)
    buffer = EventStreamBuffer()
    buffer.add_data(written + streaming.payload_part(b""))
    messages: list[Any] = list(buffer)
    first, second = messages
    assert first.headers == {":event-type": "PayloadPart", "é": "ü"}
    assert first.payload == b"\x00\xff" * 1000
    assert second.payload == b""
    assert int.from_bytes(written[-4:], "big") == zlib.crc32(written[:-4])


def test_an_invocation_does_not_have_the_state_written(
    plane: DataPlane, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves is written every few seconds: writing after each would slow invocations down."""

    class State:
        changes = 0

        def changed(self) -> None:
            self.changes += 1

    endpoint = plane.serving(echo)
    state = State()
    (handler,) = (one for one in plane.app._handlers if isinstance(one, SaveState))
    monkeypatch.setattr(handler, "_state", state)
    plane.invoke(endpoint)
    assert state.changes == 0
    plane.deployer.model()
    assert state.changes == 1

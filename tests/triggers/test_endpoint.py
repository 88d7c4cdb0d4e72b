"""EndpointTrigger: what travels, and one event however the wait ends."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from airflow_sm_hosting.deployer.waiting import PollingWait
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from tests.operators.conftest import (
    answering,
    event_hook,
    make_config,
    make_endpoint,
    make_model,
    operations,
    refusal,
    sagemaker_client,
)


def trigger(until: WaitFor = WaitFor.IN_SERVICE, *, seconds: float = 30, **options: Any) -> EndpointTrigger:
    now = time.time()
    return EndpointTrigger(
        awaited=WaitCondition(until, "churn", options.pop("config", None)).serialize(),
        deadline=now + seconds,
        started_at=now,
        poll_interval=1,
        **options,
    )


def events(one: EndpointTrigger) -> list[dict[str, Any]]:
    async def collect() -> list[dict[str, Any]]:
        return [event.payload async for event in one.run()]

    return asyncio.run(collect())


def ended(one: EndpointTrigger) -> dict[str, Any]:
    [payload] = events(one)
    return payload["sighting"]


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_endpoint(aws, "c1")
    aws.clear_requests()
    return aws


@pytest.mark.parametrize(
    "options",
    [
        {},
        {
            "aws_conn_id": None,
            "region_name": "eu-west-1",
            "verify": False,
            "botocore_config": {"retries": {"max_attempts": 1}},
        },
        {"aws_conn_id": "other", "verify": "/etc/ca.pem", "carried": {"action": "create"}},
    ],
)
def test_it_is_made_again_from_what_it_serialises(options: dict[str, Any]) -> None:
    one = trigger(WaitFor.DEPLOYED, config="c1", **options)
    path, kwargs = one.serialize()
    assert path == "airflow_sm_hosting.triggers.endpoint.EndpointTrigger"
    again = EndpointTrigger(**json.loads(json.dumps(kwargs)))
    assert again.serialize() == one.serialize()
    for name, value in options.items():
        assert getattr(again, name) == value


@pytest.mark.parametrize("until", list(WaitFor))
def test_what_is_awaited_survives(until: WaitFor) -> None:
    awaited = WaitCondition(until, "churn", "c1", "2026-01-01T00:00:00+00:00", True, {"main": 2})
    assert WaitCondition.deserialize(json.loads(json.dumps(awaited.serialize()))) == awaited


def test_one_event_of_plain_json(endpoint: LocalAws) -> None:
    [payload] = events(trigger(carried={"action": "update"}))
    assert payload == json.loads(json.dumps(payload))
    assert payload["carried"] == {"action": "update"}
    assert payload["sighting"]["outcome"] == "deployed"
    assert payload["sighting"]["message"] == "Endpoint churn is in service on c1."
    assert operations(endpoint) == ["DescribeEndpoint"]


def test_a_deadline_that_passed_is_told_after_a_look(endpoint: LocalAws) -> None:
    """The triggerer was down while the endpoint came into service: that is a success."""
    assert ended(trigger(seconds=-100))["outcome"] == "deployed"
    assert ended(trigger(config="c2", seconds=-100))["outcome"] == "timed_out"


def test_a_connection_that_does_not_exist_is_an_event(aws: LocalAws) -> None:
    sighting = ended(trigger(aws_conn_id="nowhere"))
    assert sighting["outcome"] == "unknown"
    assert "The Airflow connection 'nowhere' does not exist" in sighting["message"]


def test_it_polls_in_the_region_of_the_operator(endpoint: LocalAws) -> None:
    # The endpoint is in us-east-1.
    assert ended(trigger(region_name="eu-west-1", seconds=-1))["outcome"] == "timed_out"


def test_a_poll_does_not_block_the_event_loop(endpoint: LocalAws) -> None:
    """One look takes a while; the loop goes on meanwhile."""
    beats = 0

    def slow(**_: Any) -> None:
        time.sleep(0.2)  # AWS takes its time

    async def run() -> None:
        nonlocal beats

        async def beat() -> None:
            nonlocal beats
            while True:
                await asyncio.sleep(0.01)
                beats += 1

        heart = asyncio.create_task(beat())
        async for _ in trigger().run():
            pass
        heart.cancel()

    with event_hook(sagemaker_client(), "before-call.*.DescribeEndpoint", slow):
        asyncio.run(run())
    assert beats >= 5


@pytest.mark.parametrize(
    "fault",
    [
        refusal("ThrottlingException"),
        refusal("Throttling"),
        refusal("TooManyRequestsException"),
        refusal("RequestLimitExceeded", status=503),
        refusal("InternalFailure", status=500),
        refusal("ServiceUnavailable", status=503),
        EndpointConnectionError(endpoint_url="https://api"),
        ReadTimeoutError(endpoint_url="https://api"),
        ConnectionClosedError(endpoint_url="https://api"),
    ],
    ids=lambda fault: fault[1]["Error"]["Code"] if isinstance(fault, tuple) else type(fault).__name__,
)
def test_what_passes_does_not_end_a_wait(endpoint: LocalAws, fault: Any) -> None:
    watch = _watch()
    with answering(sagemaker_client(), "DescribeEndpoint", fault):
        assert watch.poll() is None
        sighting = watch.poll()
    assert sighting is not None
    assert sighting.outcome == "deployed"


@pytest.mark.parametrize(
    "fault",
    [refusal("AccessDeniedException"), refusal("ExpiredTokenException"), NoCredentialsError()],
    ids=["denied", "expired", "none"],
)
def test_what_waiting_does_not_mend_ends_a_wait(endpoint: LocalAws, fault: Any) -> None:
    with answering(sagemaker_client(), "DescribeEndpoint", fault):
        sighting = _watch().poll()
    assert sighting is not None
    assert sighting.outcome == "unknown"


def _watch() -> PollingWait:
    from airflow_sm_hosting.hooks import SageMakerHostingHook

    now = time.time()
    return PollingWait(
        SageMakerHostingHook(),
        WaitCondition(WaitFor.IN_SERVICE, "churn"),
        deadline=now + 30,
        started_at=now,
        log_status=lambda line: None,
    )

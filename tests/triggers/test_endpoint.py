"""EndpointTrigger: what travels, and one event however the wait ends."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
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
from airflow_sm_hosting.hooks import SageMakerHostingHook
from airflow_sm_hosting.hooks.clients import SharedClients
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


def test_what_waiting_does_not_mend_ends_a_wait(endpoint: LocalAws) -> None:
    with answering(sagemaker_client(), "DescribeEndpoint", refusal("AccessDeniedException")):
        sighting = _watch().poll()
    assert sighting is not None
    assert sighting.outcome == "unknown"


REFUSED = pytest.mark.parametrize(
    "fault",
    [refusal("ExpiredTokenException"), refusal("UnrecognizedClientException"), NoCredentialsError()],
    ids=["expired", "unknown", "none"],
)


@REFUSED
def test_refused_credentials_are_looked_up_again(endpoint: LocalAws, fault: Any) -> None:
    with answering(sagemaker_client(), "DescribeEndpoint", fault) as left:
        sighting = _watch().poll()
    assert left == []
    assert sighting is not None
    assert sighting.outcome == "deployed"


@REFUSED
def test_credentials_that_stay_refused_end_a_wait(endpoint: LocalAws, fault: Any) -> None:
    """Of a wrong connection: nobody waits for its rotation."""
    watch = _watch()
    with everywhere(watch, fault):
        sighting = watch.poll()
    assert sighting is not None
    assert sighting.outcome == "unknown"


@REFUSED
@pytest.mark.slow
def test_credentials_that_have_worked_may_be_rotated_late(
    endpoint: LocalAws, fault: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = _watch()
    endpoint.set_endpoint_status("churn", "SystemUpdating")
    assert watch.poll() is None
    with everywhere(watch, fault):
        assert watch.poll() is None
        assert watch.poll() is None
    assert watch.poll() is None
    with everywhere(watch, fault):
        assert watch.poll() is None
        monkeypatch.setattr("airflow_sm_hosting.deployer.waiting.ROTATION_AWAITED", -1.0)
        sighting = watch.poll()
    assert sighting is not None
    assert sighting.outcome == "unknown"


@contextmanager
def everywhere(watch: PollingWait, fault: Any) -> Iterator[None]:
    """Refuse to describe for every client, also for those that are made later."""

    def refuse(**_: Any) -> Any:
        if isinstance(fault, Exception):
            raise fault
        return fault

    make = SharedClients.client

    def made(hook: SharedClients, service: str) -> Any:
        client = make(hook, service)
        client.meta.events.register_first("before-call.*.DescribeEndpoint", refuse, unique_id="everywhere")
        return client

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SharedClients, "client", made)
        watch._hook.look_up_again()
        yield
    watch._hook.look_up_again()


def _watch() -> PollingWait:
    now = time.time()
    return PollingWait(
        SageMakerHostingHook(),
        WaitCondition(WaitFor.IN_SERVICE, "churn"),
        deadline=now + 30,
        started_at=now,
        log_status=lambda line: None,
    )

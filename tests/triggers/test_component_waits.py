"""Waits for inference components: one poller for all of a triggerer, which lists them, and judges as in the worker."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_sm_hosting.deployment.status import Kind
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from airflow_sm_hosting.triggers.poller import ComponentPoller, EndpointPoller, pollers
from tests.operators.components import make_component, make_host
from tests.operators.conftest import answering, make_model, operations, refusal, sagemaker_client

NUMBER = 12


def trigger(name: str, until: WaitFor = WaitFor.IN_SERVICE, seconds: float = 30) -> EndpointTrigger:
    now = time.time()
    made = EndpointTrigger(
        awaited=WaitCondition(until, name, kind=Kind.COMPONENT).serialize(),
        deadline=now + seconds,
        started_at=now,
        poll_interval=1,
    )
    path, arguments = made.serialize()
    assert path == "airflow_sm_hosting.triggers.endpoint.EndpointTrigger"
    return EndpointTrigger(**json.loads(json.dumps(arguments)))


async def event(one: EndpointTrigger) -> dict[str, Any]:
    found: dict[str, Any] = (await anext(aiter(one.run()))).payload["sighting"]
    return found


@pytest.mark.slow
def test_many_waits_are_listed_and_each_is_described_once(aws: LocalAws) -> None:
    make_model(aws)
    make_host(aws, InstanceType="ml.m5.4xlarge")
    names = [make_component(aws, name=f"churn-{number}") for number in range(NUMBER)]
    aws.clear_requests()

    async def together() -> list[dict[str, Any]]:
        return await asyncio.gather(*(event(trigger(name)) for name in names))

    ends = asyncio.run(together())
    assert [end["outcome"] for end in ends] == ["deployed"] * NUMBER
    calls = Counter(operations(aws))
    assert calls["DescribeInferenceComponent"] == NUMBER
    assert calls["ListInferenceComponents"]
    assert not {"DescribeEndpoint", "ListEndpoints"} & set(calls)


def test_endpoints_and_components_have_a_poller_each(aws: LocalAws) -> None:
    make_model(aws)
    host = make_host(aws)
    make_component(aws)
    kinds: set[type] = set()

    async def both() -> None:
        now = time.time()
        of_endpoint = EndpointTrigger(
            awaited=WaitCondition(WaitFor.IN_SERVICE, host).serialize(),
            deadline=now + 30,
            started_at=now,
            poll_interval=1,
        )
        waits = asyncio.gather(event(of_endpoint), event(trigger("churn")))
        await asyncio.sleep(0)
        while not waits.done():
            kinds.update(type(one) for one in pollers()._running.values())
            await asyncio.sleep(0)
        assert [end["outcome"] for end in waits.result()] == ["deployed", "deployed"]

    asyncio.run(both())
    assert kinds == {EndpointPoller, ComponentPoller}


def test_a_component_that_is_gone_ends_a_wait_for_its_end(aws: LocalAws) -> None:
    found = asyncio.run(event(trigger("churn", WaitFor.GONE)))
    assert (found["outcome"], found["message"]) == ("deployed", "Inference component churn is deleted.")


def test_a_permanent_error_names_the_component(aws: LocalAws) -> None:
    denied = refusal("AccessDeniedException", "not allowed")
    with answering(sagemaker_client(), "DescribeInferenceComponent", *[denied] * 3):
        found = asyncio.run(event(trigger("churn")))
    assert found["outcome"] == "unknown"
    assert found["message"].startswith("Inference component churn could not be described")


def test_a_killed_wait_says_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    for until in (WaitFor.SETTLED, WaitFor.DEPLOYED):
        one = trigger("churn", until)
        logger = SimpleNamespace(warning=lambda line, *values: told.append(line % values))
        monkeypatch.setattr(EndpointTrigger, "log", logger)
        asyncio.run(one.on_kill())
    text = " ".join(told)
    assert "waited for inference component churn was killed" in text
    assert "change of the inference component continues" in text
    assert "deploy the previous specification after" in text

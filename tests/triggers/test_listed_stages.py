"""Waits that are listed together are told of every stage of their rollouts, and lists stay cheap."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from tests.crashes.random_aws import START, answer_to, operation_of, time_of
from tests.crashes.random_histories import virtual_time

#: Phase, capacity with traffic, and begin in seconds, of a canary of 10 instances.
STAGES = (
    ("Creating", "", 0),
    ("Baking", "canary capacity of 1", 300),
    ("Baking", "full capacity of 10", 900),
)
ENDS = 1500
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "WaitIntervalInSeconds": 600,
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 10},
        }
    }
}


class Rollouts:
    """AWS with endpoints that are updated by a canary, all at once."""

    def __init__(self, endpoints: int) -> None:
        self.elapsed = 0.0
        self.names = [f"e{number}" for number in range(endpoints)]
        self.calls: Counter[str] = Counter()

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return START + self.elapsed

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.elapsed += max(0.0, seconds)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request."""
        self.pass_by(0.02)
        operation = operation_of(request)
        self.calls[operation] += 1
        if operation == "ListEndpoints":
            rows = [{**self._row(name), "CreationTime": START - 9000} for name in self.names]
            return answer_to(request, 200, {"Endpoints": rows}, self.now)
        name = json.loads(request.body or b"{}")["EndpointName"]
        return answer_to(request, 200, self._described(name), self.now)

    def _row(self, name: str) -> dict[str, Any]:
        ended = self.elapsed >= ENDS
        return {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
            "EndpointStatus": "InService" if ended else "Updating",
            "LastModifiedTime": START + ENDS if ended else START,
        }

    def _described(self, name: str) -> dict[str, Any]:
        row = {**self._row(name), "EndpointConfigName": "new" if self.elapsed >= ENDS else "old"}
        if self.elapsed >= ENDS:
            return row
        phase, capacity, began = [stage for stage in STAGES if stage[2] <= self.elapsed][-1]
        message = (
            f"Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on {capacity} instance(s)."
        )
        status = {"Status": phase, "StartTime": START + began}
        variant = {
            "VariantName": "main",
            "CurrentInstanceCount": 10,
            "DesiredInstanceCount": 10,
            "VariantStatus": [{**status, "StatusMessage": message} if capacity else status],
        }
        pending = {"EndpointConfigName": "new", "ProductionVariants": [variant]}
        return {**row, "PendingDeploymentSummary": pending, "LastDeploymentConfig": CANARY}


async def waited(name: str) -> None:
    condition = WaitCondition(
        WaitFor.DEPLOYED,
        name,
        "new",
        modified_before=moment(time_of(START - 9000)),
        not_before=moment(time_of(START - 1)),
        rollout=CANARY,
    )
    trigger = EndpointTrigger(
        awaited=condition.serialize(),
        deadline=START + 7200,
        started_at=START,
        poll_interval=30,
        aws_conn_id=None,
        region_name="us-east-1",
    )
    [payload] = [event.payload async for event in trigger.run()]
    assert payload["sighting"]["outcome"] == "deployed"


def run_waits(count: int, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], Counter[str]]:
    """Return how often each stage line was logged, and how often each operation was called."""
    aws = Rollouts(count)
    lines: list[str] = []
    monkeypatch.setattr(EndpointTrigger, "logger", lambda self: logging.getLogger("waits"))
    monkeypatch.setattr(logging.getLogger("waits"), "info", lines.append)

    async def all_waited() -> None:
        await asyncio.gather(*(waited(name) for name in aws.names))

    with virtual_time(lambda: aws):
        clients._SESSIONS.clear()
        clients._CLIENTS.clear()
        asyncio.run(all_waited())
    stages = [line for line in lines if " so far" not in line]
    return Counter(re.sub(r", [^,]* left", "", line) for line in stages), aws.calls


def test_waits_that_are_listed_tell_the_stages_of_one_that_is_described_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    alone, calls_alone = run_waits(1, monkeypatch)
    assert alone == {
        "starting: 10 of 10 instances of new in service, old serves": 1,
        "canary 1 of 2: 10 % of traffic on new (10 of 10 instances), baking": 1,
        "canary 2 of 2: 100 % of traffic on new (10 of 10 instances), baking": 1,
    }
    assert set(calls_alone) == {"DescribeEndpoint"}

    together, calls = run_waits(20, monkeypatch)
    assert together == dict.fromkeys(alone, 20)
    # Some descriptions for each rollout (its begin, the ends of its bakes, a slow pace), in place of one a poll interval.
    assert calls["ListEndpoints"] + calls["DescribeEndpoint"] < 20 * calls_alone["DescribeEndpoint"] / 4

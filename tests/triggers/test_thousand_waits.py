"""A thousand deferred waits in one triggerer, while AWS throttles and its reads lag: each ends as its endpoint did, and not much later."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.hooks import clients
from airflow_sm_hosting.triggers.endpoint import EndpointTrigger
from tests.crashes.random_aws import START, answer_to, operation_of, time_of
from tests.crashes.random_histories import virtual_time

WAITS = 1000
LAG = 60.0
#: The deployments end within this time, in seconds.
LONGEST = 1800.0
#: The calls a second that AWS answers; the others are throttled.
RATE = 10.0
#: For so long AWS refuses nine of ten calls, whatever their rate.
THROTTLED = (600.0, 900.0)
PAGE = 100
OUTCOMES = {"InService new": "deployed", "InService old": "rolled_back", "Failed old": "failed"}


class ManyEndpoints:
    """AWS with a thousand endpoints that are being updated from ``old`` to ``new``."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self.elapsed = 0.0
        self.ends = {f"e{number:04}": 60.0 + self._random.random() * LONGEST for number in range(WAITS)}
        self.found = {name: self._random.choice([*["InService new"] * 6, *OUTCOMES]) for name in self.ends}
        self.throttled = self.answered = 0
        self._tokens, self._counted_at = RATE, 0.0

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return START + self.elapsed

    def pass_by(self, seconds: float) -> None:
        """Let time pass."""
        self.elapsed += max(0.0, seconds)

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request, or throttle it."""
        self.pass_by(0.02)
        self._tokens = min(RATE, self._tokens + (self.elapsed - self._counted_at) * RATE)
        self._counted_at = self.elapsed
        begin, end = THROTTLED
        if self._tokens < 1 or (begin < self.elapsed < end and self._random.random() < 0.9):
            self.throttled += 1
            return answer_to(
                request, 400, {"__type": "ThrottlingException", "message": "Rate exceeded"}, self.now
            )
        self._tokens -= 1
        self.answered += 1
        body = json.loads(request.body or b"{}")
        if operation_of(request) == "ListEndpoints":
            names, first = list(self.ends), int(body.get("NextToken", 0))
            rows = [self._shown(name) for name in names[first : first + PAGE]]
            answer: dict[str, Any] = {"Endpoints": [{**row, "CreationTime": START - 9000} for row in rows]}
            if first + PAGE < len(names):
                answer["NextToken"] = str(first + PAGE)
            return answer_to(request, 200, answer, self.now)
        return answer_to(request, 200, self._shown(body["EndpointName"]), self.now)

    def _shown(self, name: str) -> dict[str, Any]:
        at, end = self.elapsed - self._random.random() * LAG, self.ends[name]
        shown: dict[str, Any] = {
            "EndpointName": name,
            "EndpointArn": f"arn:aws:sagemaker:us-east-1:123456789012:endpoint/{name}",
        }
        if at < 0:
            return {
                **shown,
                "EndpointStatus": "InService",
                "EndpointConfigName": "old",
                "LastModifiedTime": START - 9000,
            }
        if at < end:
            pending = {"PendingDeploymentSummary": {"EndpointConfigName": "new"}}
            return {
                **shown,
                "EndpointStatus": "Updating",
                "EndpointConfigName": "old",
                "LastModifiedTime": START,
                **pending,
            }
        status, config = self.found[name].split()
        return {
            **shown,
            "EndpointStatus": status,
            "EndpointConfigName": config,
            "LastModifiedTime": START + end,
        }


async def waited(aws: ManyEndpoints, name: str) -> tuple[str, float]:
    """Return the outcome of a wait, and how late it came."""
    condition = WaitCondition(
        WaitFor.DEPLOYED,
        name,
        "new",
        modified_before=moment(time_of(START - 9000)),
        not_before=moment(time_of(START - 1)),
    )
    trigger = EndpointTrigger(
        awaited=condition.serialize(),
        deadline=START + 4 * LONGEST,
        started_at=START,
        poll_interval=30,
        aws_conn_id=None,
        region_name="us-east-1",
    )
    [payload] = [event.payload async for event in trigger.run()]
    return payload["sighting"]["outcome"], aws.elapsed - aws.ends[name]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_each_of_a_thousand_waits_ends_rightly_and_soon(seed: int) -> None:
    aws = ManyEndpoints(seed)

    async def all_waited() -> list[tuple[str, float]]:
        return await asyncio.gather(*(waited(aws, name) for name in aws.ends))

    with virtual_time(lambda: aws):
        clients._SESSIONS.clear()
        clients._CLIENTS.clear()
        ended = asyncio.run(all_waited())
    assert [outcome for outcome, _ in ended] == [OUTCOMES[found] for found in aws.found.values()]
    late = sorted(seconds for _, seconds in ended)
    print(
        f"seed {seed}: {WAITS} waits, {aws.answered} calls answered, {aws.throttled} throttled; seconds late: "
        f"median {late[WAITS // 2]:.0f}, 99 of 100 {late[WAITS * 99 // 100]:.0f}, most {late[-1]:.0f}"
    )
    # A poll and the lag of the read, in which the list and the description may both show the state before; and the throttled time.
    assert late[WAITS // 2] <= 30 + LAG + 60
    assert late[-1] <= THROTTLED[1] - THROTTLED[0] + 2 * (30 + LAG) + 60

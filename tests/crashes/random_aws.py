"""SageMaker hosting of one endpoint, made of plain data, in a time of its own: its reads lag, its answers get lost, and others change it.

The local AWS answers at once and from the present state, and takes milliseconds a call. Here AWS stands below botocore, which signs, retries
and parses as ever, and thousands of histories of hours each can be run. All that is random comes from one generator.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from operator import itemgetter
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from airflow_sm_hosting.spec.tags import OURS

ACCOUNT = "123456789012"
ARN = f"arn:aws:sagemaker:us-east-1:{ACCOUNT}:endpoint/churn"
START = datetime(2026, 11, 1, tzinfo=UTC).timestamp()
OLD, WANTED, OTHER = "old-0123456789", "wanted-0123456789", "other-0123456789"
CONFIGS = (OLD, WANTED, OTHER)
#: Reads show a state of this many seconds ago at the earliest.
LAGS = (0.0, 5.0, 60.0)
OUTAGE = 600.0
FIRST_KEY = "AKIA0"
TRANSITIONAL = frozenset({"Creating", "Updating", "RollingBack", "SystemUpdating", "Deleting"})
BROKEN = frozenset({"Failed", "OutOfService", "UpdateRollbackFailed"})
READS = ("Describe", "List", "Get")


class KilledError(BaseException):
    """The worker is killed: nothing in the task may catch it."""


@dataclass(frozen=True)
class State:
    """What is true of the endpoint from a moment on.

    :param since: The moment, in seconds since the epoch.
    :param status: The endpoint's status; None for no endpoint.
    :param live: The config that serves.
    :param pending: The config of the deployment in progress.
    :param created: When the endpoint was created.
    :param tags: Its tags.
    :param reason: The FailureReason.
    :param rolled_back: The config from which SageMaker has just gone back.
    """

    since: float
    status: str | None = None
    live: str | None = None
    pending: str | None = None
    created: float = 0.0
    reason: str | None = None
    rolled_back: str | None = None

    def serves(self, config: str) -> bool:
        """Return whether the endpoint is in service on a config, with nothing pending."""
        return self.status == "InService" and self.live == config and self.pending is None


@dataclass
class RandomAws:
    """AWS.

    :param random: The generator.
    """

    random: random.Random
    #: The seconds since the start.
    elapsed: float = 0.0
    states: list[State] = field(default_factory=list)
    #: What comes due: the moment, and what happens then.
    due: list[tuple[float, Callable[[], None]]] = field(default_factory=list)
    #: Tags from a moment on.
    tags: list[tuple[float, dict[str, str]]] = field(default_factory=lambda: [(START, {})])
    configs_since: float = START
    #: Periods in which AWS throttles, or does not answer at all.
    throttled: list[tuple[float, float]] = field(default_factory=list)
    outages: list[tuple[float, float]] = field(default_factory=list)
    key: str = FIRST_KEY
    #: The number of the call during which the worker is killed; None for never.
    killed_at: int | None = None
    calls: int = 0
    answered: int = 0
    #: Deployments that AWS has accepted: the moment, the config, and whether the task asked for it.
    accepted: list[tuple[float, str, bool]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pick = self.random.random
        self.lag = self.random.choice(LAGS)
        self.lost = self.random.choice((0.0, 0.0, 0.03, 0.1))
        self.longest = self.random.choice((10.0, 90.0, 600.0))
        self.states = [State(START - 9000.0)]
        if pick() < 0.75:
            self._set(status="InService", live=OLD, created=START - 8000.0, at=START - 8000.0)
            self.tags = [(START - 8000.0, dict(OURS))]
        if pick() < 0.3:
            self.configs_since = START - 1.0
        else:
            self.configs_since = START - 9000.0
        for _ in range(self.random.choice((0, 0, 0, 1, 2))):
            begin = START + pick() * 1200
            self.throttled.append((begin, begin + self.random.choice((20.0, 120.0, 300.0))))
        if pick() < 0.2:
            begin = START + pick() * 1200
            self.outages.append((begin, begin + OUTAGE))
        if pick() < 0.2:
            self._later(pick() * 1500, self._rotate)
        for _ in range(self.random.choice((0, 0, 0, 0, 1, 1, 2))):
            self._later(pick() * 1500, self._others_change)

    # Time.

    @property
    def now(self) -> float:
        """The time, in seconds since the epoch."""
        return START + self.elapsed

    def pass_by(self, seconds: float) -> None:
        """Let time pass, and what comes due happen in its order."""
        end = self.elapsed + max(0.0, seconds)
        while self.due and (one := min(self.due, key=itemgetter(0)))[0] <= end:
            self.due.remove(one)
            self.elapsed = max(self.elapsed, one[0])
            one[1]()
        self.elapsed = end

    def _later(self, seconds: float, happens: Callable[[], None]) -> None:
        self.due.append((self.elapsed + seconds, happens))

    @property
    def present(self) -> State:
        """What is true now."""
        return self.states[-1]

    def between(self, begin: float, end: float) -> list[State]:
        """Return what was true at some moment of a period."""
        following = [*self.states[1:], State(float("inf"))]
        return [
            one
            for one, after in zip(self.states, following, strict=True)
            if one.since <= end and after.since > begin
        ]

    def disturbed(self) -> float:
        """Return for how long calls were refused or not answered, in seconds."""
        return sum(end - begin for begin, end in (*self.throttled, *self.outages) if begin < self.now)

    def _set(self, *, at: float | None = None, **members: Any) -> None:
        created = members.pop("created", self.present.created if self.present.status else self.now)
        self.states.append(State(self.now if at is None else at, created=created, **members))

    # What happens.

    def deploy(self, config: str, *, by_task: bool) -> None:
        """Begin a deployment, as UpdateEndpoint and CreateEndpoint do."""
        self.accepted.append((self.now, config, by_task))
        before, pick = self.present, self.random.random()
        if before.status is None:
            self._set(status="Creating", live=config, pending=config, created=self.now)
            after = {"status": "Failed", "live": config, "reason": "no ping"} if pick < 0.12 else None
            self._ends(after or {"status": "InService", "live": config})
            return
        self._set(status="Updating", live=before.live, pending=config)
        back: dict[str, Any] = {"status": "InService", "live": before.live, "rolled_back": config}
        if self.random.random() < 0.5:
            back["reason"] = "an alarm went off"
        if pick < 0.15:
            self._ends({"status": "RollingBack", "live": before.live, "pending": before.live}, back)
        elif pick < 0.25:
            self._ends(back)
        elif pick < 0.28:
            self._ends({"status": "UpdateRollbackFailed", "live": before.live, "reason": "no capacity"})
        elif pick < 0.30:
            self._ends({"status": "Failed", "live": before.live, "reason": "no capacity"})
        elif pick < 0.40:
            self._ends({"status": "InService", "live": config, "pending": config}, back)
        elif pick < 0.5:
            self._ends(
                {"status": "InService", "live": config, "pending": config},
                {"status": "InService", "live": config},
            )
        else:
            self._ends({"status": "InService", "live": config})

    def delete(self) -> None:
        """Begin to delete the endpoint."""
        self._set(status="Deleting", live=self.present.live)
        self._later(self._duration(), self._gone)

    def _gone(self) -> None:
        self.states.append(State(self.now))
        self.tags.append((self.now, {}))

    def _ends(self, *then: dict[str, Any]) -> None:
        """Have the endpoint go through states, one after the other."""
        if then:
            began = self.present

            def goes_on() -> None:
                if self.present is began:
                    self._set(**then[0])
                    self._ends(*then[1:])

            self._later(self._duration(), goes_on)

    def _duration(self) -> float:
        return 1.0 + self.random.random() * self.longest

    def _others_change(self) -> None:
        """Another tool changes the endpoint, if AWS lets it."""
        status, pick = self.present.status, self.random.random()
        if status in TRANSITIONAL or self.present.pending:
            self._later(self.random.random() * 60, self._others_change)
        elif status is None:
            self.tags.append((self.now, {}))
            self.deploy(OTHER, by_task=False)
        elif status in ("Failed", "OutOfService") or pick < 0.2:
            self.delete()
        else:
            self.deploy(self.random.choice(CONFIGS), by_task=False)

    def _rotate(self) -> None:
        self.key = f"AKIA{self.random.randrange(1, 9999)}"
        self._later(self.random.choice((0.0, 0.0, 5.0, 120.0)), self.hand_out_key)

    @property
    def was_rotated(self) -> bool:
        """Return whether AWS takes other credentials than at first."""
        return self.key != FIRST_KEY

    def hand_out_key(self) -> None:
        """Have the worker's environment show the present key."""
        os.environ["AWS_ACCESS_KEY_ID"] = self.key

    # Answers.

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        """Answer a request, or lose it or its answer."""
        operation = operation_of(request)
        body, is_read = json.loads(request.body or b"{}"), operation.startswith(READS)
        self.calls += 1
        self.pass_by(0.05 + self.random.random() * self.random.choice((0.1, 0.1, 0.5, 3.0)))
        if self.killed_at == self.calls and self.random.random() < 0.5:
            raise KilledError
        if any(begin <= self.now < end for begin, end in self.outages):
            if self.random.random() < 0.5:
                raise ConnectTimeoutError(endpoint_url=request.url)
            return self._answer(request, 503, {"message": "Service unavailable"})
        if self.random.random() < self.lost / 2:
            raise ConnectTimeoutError(endpoint_url=request.url)
        if any(begin <= self.now < end for begin, end in self.throttled) and self.random.random() < 0.9:
            return self._refusal(request, "ThrottlingException", "Rate exceeded")
        if f"Credential={self.key}/" not in _text(request.headers["Authorization"]):
            return self._refusal(request, "ExpiredTokenException", "The security token included is expired")
        answer = getattr(self, f"_{operation}", self._unknown)(body)
        self.answered += 1
        if self.killed_at is not None and self.killed_at <= self.calls and not is_read:
            raise KilledError
        if self.random.random() < self.lost / 2:
            raise ReadTimeoutError(endpoint_url=request.url)
        if isinstance(answer, str):
            return self._refusal(request, "ValidationException", answer)
        return self._answer(request, 200, answer)

    def _answer(self, request: AWSPreparedRequest, status: int, body: dict[str, Any]) -> AWSResponse:
        return answer_to(request, status, body, self.now)

    def _refusal(self, request: AWSPreparedRequest, code: str, message: str) -> AWSResponse:
        return self._answer(request, 400, {"__type": code, "message": message})

    def _unknown(self, body: dict[str, Any]) -> str:
        return f"Unexpected request: {body}"

    def _seen_at(self) -> float:
        return self.now - self.random.random() * self.lag

    def _shown(self) -> State:
        """Return the state that a read shows, which may be an earlier one."""
        at = self._seen_at()
        return next(one for one in reversed(self.states) if one.since <= at)

    # The operations, each by AWS's name.

    def _DescribeEndpoint(self, body: dict[str, Any]) -> Any:
        state = self._shown()
        if state.status is None:
            return f'Could not find endpoint "{ARN}".'
        answer: dict[str, Any] = {
            "EndpointName": "churn",
            "EndpointArn": ARN,
            "EndpointConfigName": state.live,
            "EndpointStatus": state.status,
            "CreationTime": state.created,
            "LastModifiedTime": state.since,
            "ProductionVariants": [
                {
                    "VariantName": "main",
                    "CurrentWeight": 1.0,
                    "DesiredWeight": 1.0,
                    "CurrentInstanceCount": 1,
                    "DesiredInstanceCount": 1,
                }
            ],
        }
        if state.pending:
            answer["PendingDeploymentSummary"] = {"EndpointConfigName": state.pending}
        if state.reason:
            answer["FailureReason"] = state.reason
        return answer

    def _ListEndpoints(self, body: dict[str, Any]) -> Any:
        state = self._shown()
        if state.status is None:
            return {"Endpoints": []}
        row = {
            "EndpointName": "churn",
            "EndpointArn": ARN,
            "EndpointStatus": state.status,
            "CreationTime": state.created,
            "LastModifiedTime": state.since,
        }
        return {"Endpoints": [row]}

    def _DescribeEndpointConfig(self, body: dict[str, Any]) -> Any:
        name = body["EndpointConfigName"]
        if self._seen_at() < self.configs_since:
            return f'Could not find endpoint configuration "{name}".'
        variant = {
            "VariantName": "main",
            "ModelName": "model",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        return {
            "EndpointConfigName": name,
            "EndpointConfigArn": ARN.replace("endpoint/churn", f"endpoint-config/{name}"),
            "ProductionVariants": [{**variant, "InitialVariantWeight": 1.0}],
            "CreationTime": self.configs_since,
        }

    def _ListTags(self, body: dict[str, Any]) -> Any:
        if "endpoint-config" in body["ResourceArn"]:
            return {"Tags": []}
        if self.present.status is None:
            return f'Could not find endpoint "{ARN}".'
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags[-1][1].items()]}

    def _AddTags(self, body: dict[str, Any]) -> Any:
        if self.present.status is None:
            return f'Could not find endpoint "{ARN}".'
        added = {tag["Key"]: tag["Value"] for tag in body["Tags"]}
        self.tags.append((self.now, {**self.tags[-1][1], **added}))
        return {"Tags": body["Tags"]}

    def _DeleteTags(self, body: dict[str, Any]) -> Any:
        kept = {key: value for key, value in self.tags[-1][1].items() if key not in body["TagKeys"]}
        self.tags.append((self.now, kept))
        return {}

    def _CreateEndpoint(self, body: dict[str, Any]) -> Any:
        if self.present.status is not None:
            return f'Cannot create already existing endpoint "{ARN}".'
        if self._seen_at() < self.configs_since:
            return "Could not find endpoint configuration."
        self.tags.append((self.now, {tag["Key"]: tag["Value"] for tag in body["Tags"]}))
        self.deploy(body["EndpointConfigName"], by_task=True)
        return {"EndpointArn": ARN}

    def _UpdateEndpoint(self, body: dict[str, Any]) -> Any:
        if self.present.status is None:
            return f'Could not find endpoint "{ARN}".'
        if self.present.status in TRANSITIONAL or self.present.pending:
            return f'Cannot update in-progress endpoint "{ARN}".'
        if self.present.status in ("Failed", "OutOfService"):
            return f"Cannot update endpoint with status {self.present.status}."
        if self._seen_at() < self.configs_since:
            return "Could not find endpoint configuration."
        self.deploy(body["EndpointConfigName"], by_task=True)
        return {"EndpointArn": ARN}

    def _DeleteEndpoint(self, body: dict[str, Any]) -> Any:
        if self.present.status is None:
            return f'Could not find endpoint "{ARN}".'
        if self.present.status in TRANSITIONAL:
            return f'Cannot update in-progress endpoint "{ARN}".'
        self.delete()
        return {}

    def _DescribeScalableTargets(self, body: dict[str, Any]) -> Any:
        return {"ScalableTargets": []}

    def _FilterLogEvents(self, body: dict[str, Any]) -> Any:
        return {"events": []}

    def _DescribeLogStreams(self, body: dict[str, Any]) -> Any:
        return {"logStreams": []}


def operation_of(request: AWSPreparedRequest) -> str:
    """Return the operation of a request in a JSON protocol."""
    return _text(request.headers["X-Amz-Target"]).rpartition(".")[2]


def answer_to(request: AWSPreparedRequest, status: int, body: dict[str, Any], now: float) -> AWSResponse:
    """Return an answer in a JSON protocol.

    :param request: The request.
    :param status: The status of HTTP.
    :param body: The content.
    :param now: The time, in seconds since the epoch.
    """
    headers = {"Date": formatdate(now, usegmt=True), "Content-Type": "application/x-amz-json-1.1"}
    response = AWSResponse(request.url, status, headers, None)
    response._content = json.dumps(body).encode()  # type: ignore[attr-defined]  # else it is read from a connection
    return response


def time_of(seconds: float) -> datetime:
    """Return a time, given in seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC)


def _text(header: str | bytes) -> str:
    return header if isinstance(header, str) else header.decode()

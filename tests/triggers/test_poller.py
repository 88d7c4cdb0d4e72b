"""All waits of a triggerer that use one connection: few calls, and each wait ends as if it were alone."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import re
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from airflow_sm_hosting.deployer.endpoint_calls import requests_of
from airflow_sm_hosting.deployer.waiting import PollingWait
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks import SageMakerHostingHook
from airflow_sm_hosting.hooks.clients import SharedClients
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers import pace, poller
from airflow_sm_hosting.triggers.endpoint import GOES_ON, EndpointTrigger
from tests.local_servers import local_server
from tests.operators.conftest import (
    _emptied,
    answered_with,
    answering,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    refusal,
    sagemaker_client,
    settled,
)

NAMES = [f"e{number:02}" for number in range(12)]


def trigger(
    name: str = "churn", until: WaitFor = WaitFor.IN_SERVICE, *, seconds: float = 30, **options: Any
) -> EndpointTrigger:
    now = time.time()
    awaited = WaitCondition(until, name, options.pop("config", None), **options.pop("awaited", {}))
    return EndpointTrigger(
        awaited=awaited.serialize(),
        deadline=now + seconds,
        started_at=now,
        **{"poll_interval": 0.2, **options},
    )


async def ended(one: EndpointTrigger) -> dict[str, Any]:
    [payload] = [event.payload async for event in one.run()]
    return payload["sighting"]


async def all_ended(triggers: list[EndpointTrigger]) -> list[dict[str, Any]]:
    return await asyncio.gather(*map(ended, triggers))


async def until_true(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def quick_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Far above what AWS is asked at, and short pauses: the arithmetic is tested on its own."""
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__CALLS_PER_SECOND", "500")
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__LISTS_PER_SECOND", "100")
    monkeypatch.setattr(pace, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(poller, "GATHERED", 0.0)
    monkeypatch.setattr(poller, "MISSED_SWEEPS", 100)  # a busy computer is no reason to describe
    monkeypatch.setattr(poller, "BACKUP_INTERVAL", 1e6)  # the first one comes after a random part of it


@pytest.fixture(scope="module")
def scene() -> Iterator[LocalAws]:
    """Endpoints that no wait changes, made once."""
    with pytest.MonkeyPatch.context() as patch:
        aws = _emptied(local_server(), patch)
        make_model(aws)
        make_config(aws, "c1")
        make_config(aws, "c2")
        make_config(aws, "bad", make_broken_model(aws))
        make_endpoint(aws, "c1")
        make_endpoint(aws, "bad", "broken")
        for name in NAMES:
            make_endpoint(aws, "c1", name)
        yield aws


@pytest.fixture
def endpoints(scene: LocalAws) -> LocalAws:
    scene.clear_requests()
    return scene


@contextmanager
def held(
    status: str = "Creating", operations: tuple[str, ...] = ("ListEndpoints", "DescribeEndpoint")
) -> Iterator[dict[str, str]]:
    """Show endpoints in a status while they are in the dict that this gives: no endpoint of the local AWS takes that long."""
    held_ones = dict.fromkeys(NAMES, status)

    def change(answer: dict[str, Any]) -> None:
        for found in answer.get("Endpoints", [answer]):
            found["EndpointStatus"] = held_ones.get(found["EndpointName"], found["EndpointStatus"])

    with ExitStack() as hooks:
        for operation in operations:
            hooks.enter_context(answered_with(sagemaker_client(), operation, change))
        yield held_ones


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count calls by operation, and describes by endpoint, as they are made."""
    calls: Counter[str] = Counter()

    def count(params: dict[str, Any], model: Any, **_: Any) -> None:
        calls[model.name] += 1
        calls[params.get("EndpointName", "")] += 1

    with event_hook(sagemaker_client(), "provide-client-params.*", count):
        yield calls


@contextmanager
def pages_of(size: int) -> Iterator[None]:
    """Make pages smaller, so that a few endpoints take several."""

    def smaller(params: dict[str, Any], **_: Any) -> None:
        params["MaxResults"] = size

    with event_hook(sagemaker_client(), "provide-client-params.*.ListEndpoints", smaller):
        yield


# How many calls.


def test_many_waits_are_listed_and_each_is_described_once_when_it_ends(endpoints: LocalAws) -> None:
    async def run() -> list[dict[str, Any]]:
        with held() as pending, counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name) for name in NAMES]))
            await until_true(lambda: calls["ListEndpoints"] >= 4)
            assert calls["DescribeEndpoint"] == 0, "while all are in transition, lists are enough"
            pending.clear()
            return await waits

    sightings = asyncio.run(run())
    assert [one["outcome"] for one in sightings] == ["deployed"] * 12
    described = Counter(
        request["resource"] for request in endpoints.requests() if request["operation"] == "DescribeEndpoint"
    )
    assert described == dict.fromkeys(NAMES, 1)


def test_one_wait_is_described(endpoints: LocalAws) -> None:
    asyncio.run(all_ended([trigger(NAMES[0])]))
    assert operations(endpoints) == ["DescribeEndpoint"]


def test_waits_for_one_endpoint_share_its_description(endpoints: LocalAws) -> None:
    sightings = asyncio.run(all_ended([trigger(NAMES[0]) for _ in range(20)]))
    assert len(sightings) == 20
    assert operations(endpoints) == ["DescribeEndpoint"]


def test_a_sweep_that_is_dearer_than_describing_is_given_up(endpoints: LocalAws) -> None:
    """Three waits, twelve pages."""

    async def run() -> None:
        with held() as pending, pages_of(1), counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name) for name in NAMES[:3]]))
            await until_true(lambda: all(calls[name] >= 3 for name in NAMES[:3]))
            assert calls["ListEndpoints"] < 3
            pending.clear()
            await waits

    asyncio.run(run())


def test_a_sweep_ends_when_all_that_are_waited_for_were_seen(endpoints: LocalAws) -> None:
    """The newest endpoints come first."""

    async def run() -> None:
        with held() as pending, pages_of(3), counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name) for name in NAMES[-3:]]))
            await until_true(lambda: calls["ListEndpoints"] >= 5)
            pending.clear()
            await waits

    tokens: list[bool] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        tokens.append("NextToken" in params)

    with event_hook(sagemaker_client(), "provide-client-params.*.ListEndpoints", note):
        asyncio.run(run())
    assert not any(tokens), "the second page was never asked for"


def test_pages_are_spread_over_the_interval(endpoints: LocalAws) -> None:
    asked: list[float] = []

    def note(**_: Any) -> None:
        asked.append(time.monotonic())

    async def run() -> None:
        with (
            held() as pending,
            pages_of(4),
            event_hook(sagemaker_client(), "before-call.*.ListEndpoints", note),
        ):
            waits = asyncio.ensure_future(all_ended([trigger(name, poll_interval=0.6) for name in NAMES]))
            await until_true(lambda: len(asked) >= 7)
            pending.clear()
            await waits

    asyncio.run(run())
    first_sweep, later = asked[:3], asked[3:7]
    assert first_sweep[2] - first_sweep[0] < later[2] - later[0], "the first look is not put off"
    assert all(after - before > 0.12 for before, after in itertools.pairwise(later)), (
        "a third of the interval"
    )


def test_each_wait_keeps_its_own_interval(endpoints: LocalAws) -> None:
    """One wait has little patience, eleven have much: a sweep of two pages for the one would be dearer than describing it."""

    async def run() -> None:
        with held(), pages_of(7), counted() as calls:
            waits = asyncio.ensure_future(
                all_ended([trigger(name, poll_interval=0.1 if name == "e03" else 60) for name in NAMES])
            )
            await until_true(lambda: calls["e03"] >= 5)
            assert calls["DescribeEndpoint"] == calls["e03"]
            assert calls["ListEndpoints"] == 2
            waits.cancel()

    asyncio.run(run())


def test_a_wait_that_comes_later_is_looked_at_at_once(endpoints: LocalAws) -> None:
    async def run() -> None:
        with held() as pending, counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name, poll_interval=60) for name in NAMES]))
            await until_true(lambda: calls["ListEndpoints"] == 1)
            del pending["e05"]
            assert (await ended(trigger("e05", poll_interval=60)))["outcome"] == "deployed"
            waits.cancel()

    asyncio.run(asyncio.wait_for(run(), 10))


def test_a_wait_that_comes_while_its_page_is_on_its_way_is_looked_at_at_once(endpoints: LocalAws) -> None:
    """The page was asked for before the wait was there, so it tells it nothing."""
    answered = threading.Event()

    async def run() -> None:
        with (
            held(operations=("ListEndpoints",)),
            answered_with(sagemaker_client(), "ListEndpoints", lambda _: answered.wait(20)),
            counted() as calls,
        ):
            waits = asyncio.ensure_future(all_ended([trigger(name, poll_interval=60) for name in NAMES]))
            await until_true(lambda: calls["ListEndpoints"] == 1)
            late = asyncio.ensure_future(ended(trigger("e05", poll_interval=60)))
            for _ in range(10):
                await asyncio.sleep(0)  # it joins
            assert calls["DescribeEndpoint"] == 0
            answered.set()
            assert (await late)["outcome"] == "deployed"
            assert calls["DescribeEndpoint"] == 1
            waits.cancel()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_a_wait_that_comes_during_a_description_gets_one_of_its_own(endpoints: LocalAws) -> None:
    """What was asked for before an operator's call is no answer to the wait that follows the call."""
    answered = threading.Event()

    async def run() -> None:
        with (
            answered_with(sagemaker_client(), "DescribeEndpoint", lambda _: answered.wait(20)),
            counted() as calls,
        ):
            first = asyncio.ensure_future(ended(trigger("e05")))
            await until_true(lambda: calls["e05"] == 1)
            late = asyncio.ensure_future(ended(trigger("e05", poll_interval=60)))
            for _ in range(10):
                await asyncio.sleep(0)  # it joins
            answered.set()
            assert [(await wait)["outcome"] for wait in (first, late)] == ["deployed"] * 2
            assert calls["e05"] == 2

    asyncio.run(asyncio.wait_for(run(), 20))


def test_the_connection_is_looked_up_once(endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    lookups = []
    real = SharedClients.get_connection
    monkeypatch.setattr(
        SharedClients,
        "get_connection",
        lambda self, name: lookups.append(name) or real(name),  # type: ignore[func-returns-value]
    )
    asyncio.run(all_ended([trigger(name) for name in NAMES]))
    assert lookups == ["aws_default"]


def test_other_aws_parameters_have_another_poller(endpoints: LocalAws) -> None:
    """In the other Region is no endpoint."""

    async def run() -> Sequence[dict[str, Any]]:
        return await asyncio.gather(
            ended(trigger("e00")), ended(trigger("e00", region_name="eu-west-1", seconds=0.5))
        )

    assert [one["outcome"] for one in asyncio.run(run())] == ["deployed", "timed_out"]


def test_rates_are_options_of_airflow(endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__LISTS_PER_SECOND", "0")
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__CALLS_PER_SECOND", "40")
    began = time.monotonic()
    asyncio.run(all_ended([trigger(name) for name in NAMES]))
    assert operations(endpoints) == ["DescribeEndpoint"] * 12
    assert time.monotonic() - began > 11 / 40


@pytest.mark.parametrize(
    ("option", "value"), [("CALLS_PER_SECOND", "0"), ("LISTS_PER_SECOND", "-1"), ("LISTS_PER_SECOND", "nan")]
)
def test_a_rate_that_cannot_be_ends_the_wait_with_what_is_allowed(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch, option: str, value: str
) -> None:
    monkeypatch.setenv(f"AIRFLOW__SM_HOSTING__{option}", value)
    sighting = asyncio.run(ended(trigger()))
    assert sighting["outcome"] == "unknown"
    assert InvalidSpecError.__name__ in sighting["message"]
    assert f"[sm_hosting] {option.lower()}" in sighting["message"]
    assert operations(endpoints) == []


# Coming and going.


def test_the_poller_outlives_the_first_trigger(endpoints: LocalAws) -> None:
    async def run() -> list[dict[str, Any]]:
        with held() as pending, counted() as calls:
            first, *others = [asyncio.ensure_future(ended(trigger(name))) for name in NAMES]
            await until_true(lambda: calls["ListEndpoints"] >= 1)
            first.cancel()
            with pytest.raises(asyncio.CancelledError):
                await first
            before = calls["ListEndpoints"]
            await until_true(lambda: calls["ListEndpoints"] > before)
            pending.clear()
            return await asyncio.gather(*others)

    assert [one["outcome"] for one in asyncio.run(run())] == ["deployed"] * 11


def test_the_first_trigger_may_go_before_there_is_a_connection(endpoints: LocalAws) -> None:
    async def run() -> dict[str, Any]:
        first, second = (asyncio.ensure_future(ended(trigger(name))) for name in NAMES[:2])
        await asyncio.sleep(0)
        first.cancel()
        return await second

    assert asyncio.run(run())["outcome"] == "deployed"


def test_nobody_is_asked_when_nobody_waits_any_more(endpoints: LocalAws) -> None:
    async def run() -> None:
        with held(), counted() as calls:
            waits = [asyncio.ensure_future(ended(trigger(name, poll_interval=0.1))) for name in NAMES]
            await until_true(lambda: calls["ListEndpoints"] >= 2)
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)
            await until_true(
                lambda: not [task for task in asyncio.all_tasks() if task.get_name() == "endpoint-poller"]
            )
            before = calls.total()
            await asyncio.sleep(0.5)  # several intervals: that nothing happens has no event to wait for
            assert calls.total() == before
        assert (await ended(trigger(NAMES[0])))["outcome"] == "deployed", "the next one makes a new poller"

    asyncio.run(run())


def test_a_wait_goes_on_in_another_triggerer(endpoints: LocalAws) -> None:
    """Its loop ends with all that is in it; the trigger is made again from what it serialises."""
    first = trigger(NAMES[0], seconds=20)

    async def interrupted() -> None:
        with counted() as calls:
            wait = asyncio.ensure_future(ended(first))
            await until_true(lambda: calls["DescribeEndpoint"] >= 2)
            wait.cancel()

    with held():
        asyncio.run(interrupted())
    _, kwargs = first.serialize()
    assert asyncio.run(ended(EndpointTrigger(**kwargs)))["outcome"] == "deployed"


def test_each_wait_tells_its_own_log(endpoints: LocalAws) -> None:
    """The triggerer says by a context variable whose log a line goes to."""
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
    told: list[tuple[str, str]] = []
    polled: list[str] = []

    def hook() -> SageMakerHostingHook:
        polled.append(whose.get())
        return SageMakerHostingHook()

    async def one(name: str) -> None:
        whose.set(name)
        await poller.wait_for_endpoint(
            hook,
            {},
            awaited=WaitCondition(WaitFor.IN_SERVICE, name).serialize(),
            deadline=time.time() + 30,
            started_at=time.time(),
            poll_interval=0.1,
            log_status=lambda line: told.append((whose.get(), line.split()[1].rstrip(":"))),
        )

    async def run() -> None:
        with held() as pending:
            waits = asyncio.gather(*map(one, NAMES))
            await until_true(lambda: len(told) >= 12)
            pending.clear()
            await waits

    asyncio.run(run())
    assert set(told) == {(name, name) for name in NAMES}
    assert polled == ["nobody"], "what the poller does by itself is not in the first trigger's log"


def test_what_is_wrong_in_the_poller_ends_its_waits(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller.EndpointPoller, "_take_rows", lambda *_: 1 / 0)
    sightings = asyncio.run(asyncio.wait_for(all_ended([trigger(name) for name in NAMES]), 20))
    assert {one["outcome"] for one in sightings} == {"unknown"}


# What AWS refuses.


def test_without_the_permission_to_list_endpoints_are_described(
    endpoints: LocalAws, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> list[dict[str, Any]]:
        with held() as pending, counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name) for name in NAMES]))
            await until_true(lambda: all(calls[name] >= 3 for name in NAMES))
            assert calls["ListEndpoints"] == 1
            pending.clear()
            return await waits

    with answering(sagemaker_client(), "ListEndpoints", *[refusal("AccessDeniedException")] * 100):
        assert [one["outcome"] for one in asyncio.run(run())] == ["deployed"] * 12
    told = [record.getMessage() for record in caplog.records if "cannot be listed" in record.getMessage()]
    assert len(told) == 1
    assert "Allow sagemaker:ListEndpoints" in told[0]


FAULTS = [
    refusal("ThrottlingException"),
    refusal("InternalFailure", status=500),
    EndpointConnectionError(endpoint_url="https://api"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=["throttled", "broken", "unreachable"])
def test_what_passes_ends_no_wait(endpoints: LocalAws, fault: Any) -> None:
    client = sagemaker_client()
    with (
        answering(client, "ListEndpoints", *[fault] * 3) as lists,
        answering(client, "DescribeEndpoint", *[fault] * 3) as describes,
        counted() as calls,
    ):
        sightings = asyncio.run(all_ended([trigger(name) for name in NAMES]))
    assert [one["outcome"] for one in sightings] == ["deployed"] * 12
    assert lists == describes == []
    assert calls["DescribeEndpoint"] == 12 + 3, "no call is made again in vain"


def test_lists_that_are_throttled_for_long_are_done_without(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "MISSED_SWEEPS", 3)
    with answering(sagemaker_client(), "ListEndpoints", *[refusal("ThrottlingException")] * 1000) as left:
        sightings = asyncio.run(all_ended([trigger(name) for name in NAMES]))
    assert [one["outcome"] for one in sightings] == ["deployed"] * 12
    assert len(left) > 900, "the calls become fewer"


def test_while_all_is_throttled_each_wait_ends_at_its_own_deadline(endpoints: LocalAws) -> None:
    """And no sooner."""
    moments: dict[str, float] = {}

    async def one(name: str, seconds: float) -> dict[str, Any]:
        began = time.time()
        sighting = await ended(trigger(name, seconds=seconds))
        moments[name] = time.time() - began
        return sighting

    async def run() -> Sequence[dict[str, Any]]:
        return await asyncio.gather(one("e00", 0.4), one("e01", 0.8), one("e02", -5), one("e03", 1.2))

    client = sagemaker_client()
    throttled = [refusal("ThrottlingException")] * 1000
    pace.LONGEST_PAUSE, longest = 0.05, pace.LONGEST_PAUSE
    try:
        with (
            answering(client, "ListEndpoints", *throttled),
            answering(client, "DescribeEndpoint", *throttled),
        ):
            sightings = asyncio.run(run())
    finally:
        pace.LONGEST_PAUSE = longest
    assert [one["outcome"] for one in sightings] == ["timed_out"] * 4
    assert all("ThrottlingException" in one["message"] for one in sightings)
    assert moments["e02"] < moments["e00"] < moments["e01"] < moments["e03"]
    assert [moments[name] >= seconds for name, seconds in (("e00", 0.4), ("e01", 0.8), ("e03", 1.2))] == [
        True
    ] * 3


def test_one_endpoint_that_may_not_be_described_ends_one_wait(endpoints: LocalAws) -> None:
    asked: list[str] = []

    def note(params: dict[str, Any], **_: Any) -> None:
        asked.append(params["EndpointName"])

    def deny(**_: Any) -> Any:
        return refusal("AccessDeniedException", "You may not") if asked[-1] == "e04" else None

    client = sagemaker_client()
    with (
        event_hook(client, "provide-client-params.*.DescribeEndpoint", note),
        event_hook(client, "before-call.*.DescribeEndpoint", deny),
    ):
        # One call at a time, so that the last name asked for is the one that is answered.
        poller.DESCRIBES_AT_ONCE, at_once = 1, poller.DESCRIBES_AT_ONCE
        try:
            sightings = asyncio.run(all_ended([trigger(name) for name in NAMES]))
        finally:
            poller.DESCRIBES_AT_ONCE = at_once
    outcomes = dict(zip(NAMES, (one["outcome"] for one in sightings), strict=True))
    assert outcomes.pop("e04") == "unknown"
    assert set(outcomes.values()) == {"deployed"}
    assert "You may not" in sightings[4]["message"]


def test_changed_credentials_are_looked_up_when_the_old_ones_are_refused(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "CONNECTION_KEPT", 0.0)
    expired = refusal("ExpiredTokenException", "The security token included in the request is expired")
    with answering(sagemaker_client(), "DescribeEndpoint", expired) as left:
        assert asyncio.run(ended(trigger("e00")))["outcome"] == "deployed"
    assert left == []


def test_credentials_that_stay_refused_end_the_wait_after_one_more_call(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "CONNECTION_KEPT", 0.0)
    # By the server: a lookup makes a new session with new clients.
    with endpoints.fault(
        "error", operation="DescribeEndpoint", code="ExpiredTokenException", status=400
    ) as fault:
        sighting = asyncio.run(ended(trigger("e00")))
        hits = fault.hits
    assert sighting["outcome"] == "unknown"
    assert "ExpiredTokenException" in sighting["message"]
    assert hits == 2


def test_a_connection_that_cannot_be_looked_up_for_now_is_tried_again(endpoints: LocalAws) -> None:
    """Credentials may come from a call of their own, to STS."""
    attempts: list[int] = []

    def hook() -> SageMakerHostingHook:
        attempts.append(1)
        if len(attempts) < 4:
            raise EndpointConnectionError(endpoint_url="https://sts")
        return SageMakerHostingHook()

    sighting = asyncio.run(waited(hook))
    assert sighting.outcome == "deployed"
    assert len(attempts) == 4


def test_a_connection_that_cannot_be_looked_up_ends_no_wait_before_its_deadline(endpoints: LocalAws) -> None:
    def hook() -> SageMakerHostingHook:
        raise EndpointConnectionError(endpoint_url="https://sts")

    began = time.time()
    sighting = asyncio.run(waited(hook, seconds=0.5))
    assert sighting.outcome == "timed_out"
    assert time.time() - began >= 0.5


async def waited(hook: Callable[[], SageMakerHostingHook], seconds: float = 30) -> WaitResult:
    now = time.time()
    return await poller.wait_for_endpoint(
        hook,
        {},
        awaited=WaitCondition(WaitFor.IN_SERVICE, "e00").serialize(),
        deadline=now + seconds,
        started_at=now,
        poll_interval=0.1,
        log_status=lambda line: None,
    )


def test_calls_that_botocore_repeats_by_itself_are_counted() -> None:
    answer: Any = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"RetryAttempts": 4}}
    assert requests_of(ClientError(answer, "ListEndpoints")) == 5
    assert requests_of(EndpointConnectionError(endpoint_url="https://api")) == 1


# Lists that lag.


def test_a_list_that_says_too_early_that_all_is_done_is_not_believed(endpoints: LocalAws) -> None:
    """It shows all in service, while they are created: what is described counts."""

    async def run() -> None:
        with held(operations=("DescribeEndpoint",)) as pending, counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name) for name in NAMES]))
            await until_true(lambda: all(calls[name] >= 2 for name in NAMES))
            assert not waits.done()
            pending.clear()
            assert {one["outcome"] for one in await waits} == {"deployed"}

    asyncio.run(run())


def test_a_list_that_lags_for_ever_puts_an_end_off_but_hides_none(
    endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(poller, "BACKUP_INTERVAL", 0.5)
    monkeypatch.setattr(poller, "BACKUP_PART", 1000.0)
    with held(operations=("ListEndpoints",)):
        sightings = asyncio.run(all_ended([trigger(name) for name in NAMES]))
    assert {one["outcome"] for one in sightings} == {"deployed"}


def test_the_last_look_at_the_deadline_is_a_description(endpoints: LocalAws) -> None:
    with held(operations=("ListEndpoints",)):
        sightings = asyncio.run(all_ended([trigger(name, seconds=0.7) for name in NAMES]))
    assert {one["outcome"] for one in sightings} == {"deployed"}


def test_backup_describes_are_few(endpoints: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """As many as a quarter of the pages at most, however soon they may come."""
    monkeypatch.setattr(poller, "BACKUP_INTERVAL", 0.0)

    async def run() -> None:
        with held() as pending, counted() as calls:
            waits = asyncio.ensure_future(all_ended([trigger(name, poll_interval=0.05) for name in NAMES]))
            await until_true(lambda: calls["ListEndpoints"] >= 40)
            # The first round is spread by chance over the time that all of it takes, 48 sweeps.
            assert 2 <= calls["DescribeEndpoint"] <= 24
            pending.clear()
            await waits

    asyncio.run(run())


def test_names_are_found_whatever_their_case(endpoints: LocalAws) -> None:
    """CreateEndpoint takes names without regard to case; a list shows the one that was given then."""
    for name in ("Alpha", "Beta", "Gamma"):
        make_endpoint(endpoints, "c1", name)

    async def run() -> None:
        with held(operations=("ListEndpoints",)) as pending, counted() as calls:
            pending |= dict.fromkeys(("Alpha", "Beta", "Gamma"), "Creating")
            waits = asyncio.gather(*(ended(trigger(name)) for name in ("alpha", "beta", "gamma")))
            await until_true(lambda: calls["ListEndpoints"] >= 4)
            assert calls["DescribeEndpoint"] == 0
            waits.cancel()

    asyncio.run(run())


# The same as the sync wait.


def sync(awaited: WaitCondition, seconds: float) -> WaitResult:
    now = time.time()
    watch = PollingWait(
        SageMakerHostingHook(), awaited, deadline=now + seconds, started_at=now, log_status=lambda line: None
    )
    while (sighting := watch.poll()) is None:
        time.sleep(watch.pause(0.1))
    return sighting


def alone(awaited: WaitCondition, seconds: float) -> WaitResult:
    return WaitResult(**asyncio.run(_deferred(awaited, seconds)))


def among_others(awaited: WaitCondition, seconds: float) -> WaitResult:
    """So many that they are listed."""

    async def run() -> dict[str, Any]:
        others = [asyncio.ensure_future(ended(trigger(name))) for name in NAMES]
        sighting = await _deferred(awaited, seconds)
        for other in others:
            other.cancel()
        return sighting

    with held():
        return WaitResult(**asyncio.run(run()))


def _deferred(awaited: WaitCondition, seconds: float) -> Awaitable[dict[str, Any]]:
    now = time.time()
    return ended(
        EndpointTrigger(
            awaited=awaited.serialize(), deadline=now + seconds, started_at=now, poll_interval=0.1
        )
    )


@pytest.fixture(scope="module")
def expected() -> dict[str, WaitResult]:
    """How the sync wait ended, by scene."""
    return {}


BEFORE = {"modified_before": "2020-01-01T00:00:00+00:00"}
SCENES: dict[str, tuple[WaitCondition, float]] = {
    "in service": (WaitCondition(WaitFor.IN_SERVICE, "churn"), 30),
    "on the config": (WaitCondition(WaitFor.IN_SERVICE, "churn", "c1"), 30),
    "on another config": (WaitCondition(WaitFor.IN_SERVICE, "churn", "c2"), 0.3),
    "deployed": (WaitCondition(WaitFor.DEPLOYED, "churn", "c1", **BEFORE), 30),
    "rolled back": (WaitCondition(WaitFor.DEPLOYED, "churn", "c2", **BEFORE), 30),
    "joined and gone": (WaitCondition(WaitFor.DEPLOYED, "absent", "c1", begun=True), 30),
    "not there": (WaitCondition(WaitFor.DEPLOYED, "absent", "c1"), 0.3),
    "failed": (WaitCondition(WaitFor.DEPLOYED, "broken", "bad"), 30),
    "failed, watched": (WaitCondition(WaitFor.IN_SERVICE, "broken"), 30),
    "settled": (WaitCondition(WaitFor.SETTLED, "broken"), 30),
    "gone": (WaitCondition(WaitFor.GONE, "absent"), 30),
    "not gone": (WaitCondition(WaitFor.GONE, "churn"), 0.3),
    "counted": (WaitCondition(WaitFor.COUNTED, "churn", "c1", instance_counts={"main": 1}), 30),
    "not counted": (WaitCondition(WaitFor.COUNTED, "churn", "c1", instance_counts={"main": 7}), 0.3),
}


@pytest.mark.parametrize("way", [alone, among_others], ids=["alone", "among others"])
@pytest.mark.parametrize("what", SCENES)
def test_a_deferred_wait_ends_as_the_sync_one(
    scene: LocalAws,
    expected: dict[str, WaitResult],
    what: str,
    way: Callable[[WaitCondition, float], WaitResult],
) -> None:
    if what not in expected:
        expected[what] = sync(*SCENES[what])
    assert without_seconds(way(*SCENES[what])) == without_seconds(expected[what])


def without_seconds(sighting: WaitResult) -> tuple[Any, ...]:
    return (sighting.outcome, re.sub(r"after \d+ s", "after N s", sighting.message), sighting.described)


@pytest.mark.parametrize("others", [0, 5])
def test_an_endpoint_that_is_deleted_meanwhile(endpoints: LocalAws, others: int) -> None:
    make_endpoint(endpoints, "c1", "doomed")
    names = ["doomed", *NAMES[:others]]

    async def run() -> list[dict[str, Any]]:
        with held() as pending, counted() as calls:
            pending["doomed"] = "Creating"
            waits = asyncio.ensure_future(
                all_ended([trigger(name, WaitFor.DEPLOYED, config="c1") for name in names])
            )
            await until_true(lambda: calls["ListEndpoints"] + calls["DescribeEndpoint"] >= 3)
            endpoints.client("sagemaker").delete_endpoint(EndpointName="doomed")
            await until_true(lambda: "doomed" not in listed(endpoints))
            pending.clear()
            return await waits

    first, *rest = asyncio.run(run())
    assert (first["outcome"], first["message"]) == (
        "failed",
        "Endpoint doomed is gone: it was deleted while c1 was being deployed.",
    )
    assert [one["outcome"] for one in rest] == ["deployed"] * others


def listed(aws: LocalAws) -> set[str]:
    return {
        one["EndpointName"] for one in aws.client("sagemaker").list_endpoints(MaxResults=100)["Endpoints"]
    }


def test_updates_are_seen_from_their_beginning_to_their_end(slow_aws: LocalAws) -> None:
    """The local AWS really updates, so fast that some statuses are met by lists only."""
    make_model(slow_aws)
    make_config(slow_aws, "c1")
    make_config(slow_aws, "c2")
    make_config(slow_aws, "bad", make_broken_model(slow_aws))
    client = slow_aws.client("sagemaker")
    configs = {**dict.fromkeys(NAMES[:6], "c2"), "e01": "bad"}
    for name in configs:
        client.create_endpoint(EndpointName=name, EndpointConfigName="c1")
    before = {name: moment(settled(slow_aws, name)["LastModifiedTime"]) for name in configs}

    async def run() -> list[dict[str, Any]]:
        with counted() as calls:
            waits = asyncio.ensure_future(
                all_ended(
                    [
                        trigger(
                            name, WaitFor.DEPLOYED, config=config, awaited={"modified_before": before[name]}
                        )
                        for name, config in configs.items()
                    ]
                )
            )
            # They look before anything has begun.
            await until_true(lambda: all(calls[name] >= 1 for name in configs))
            assert not waits.done()
            for name, config in configs.items():
                client.update_endpoint(EndpointName=name, EndpointConfigName=config)
            return await waits

    sightings = asyncio.run(run())
    outcomes = dict(zip(configs, (one["outcome"] for one in sightings), strict=True))
    assert outcomes.pop("e01") == "rolled_back"
    assert set(outcomes.values()) == {"deployed"}


# Killed.


@pytest.mark.parametrize("until", list(WaitFor))
def test_a_killed_task_says_what_goes_on(monkeypatch: pytest.MonkeyPatch, until: WaitFor) -> None:
    lines: list[str] = []
    one = trigger(until=until, carried={"progress": {"previous_endpoint_config_name": "churn-old"}})
    told = SimpleNamespace(warning=lambda line, *args: lines.append(line % args))
    monkeypatch.setattr(one, "_log", told)  # Airflow's own would write to standard output
    asyncio.run(one.on_kill())
    assert until in GOES_ON
    assert len(lines) == 1
    assert lines[0].startswith("The task that waited for endpoint churn was killed. ")
    assert ("churn-old" in lines[0]) is (until is WaitFor.DEPLOYED)

"""ModelPackageEventTrigger: which messages of a queue start a run, and when each is deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import Any

import pytest
from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger

from airflow_sm_hosting import ModelPackageEventTrigger
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.hooks import QueueHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers import package_events
from tests.operators.conftest import IMAGE, answering, event_hook, refusal

QUEUE = "approvals"


class Registry:
    """Groups whose events come to a queue, as a rule of EventBridge sends them.

    :param aws: The local AWS.
    """

    def __init__(self, aws: LocalAws) -> None:
        self._sagemaker, self.sqs = aws.client("sagemaker"), aws.client("sqs")
        self.url = self.sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        events = aws.client("events")
        pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}
        events.put_rule(Name="approvals", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="approvals", Targets=[{"Id": "q", "Arn": arn["Attributes"]["QueueArn"]}])
        for group in ("churn", "other"):
            self._sagemaker.create_model_package_group(ModelPackageGroupName=group)

    def register(self, status: str = "PendingManualApproval", group: str = "churn") -> str:
        made = self._sagemaker.create_model_package(
            ModelPackageGroupName=group,
            ModelApprovalStatus=status,
            InferenceSpecification={"Containers": [{"Image": IMAGE}]},
        )
        return str(made["ModelPackageArn"])

    def update(self, arn: str, **members: Any) -> None:
        self._sagemaker.update_model_package(ModelPackageArn=arn, **members)

    def decide(self, arn: str, status: str = "Approved", description: str = "") -> None:
        self.update(arn, ModelApprovalStatus=status, ApprovalDescription=description)

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def left(self) -> int:
        """Return how many messages there are, received ones among them."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.02)


@pytest.fixture
def registry(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setattr(package_events, "SAVED_AFTER", 0.0)
    monkeypatch.setattr(package_events, "WAIT", 0)
    return Registry(aws)


def trigger(**options: Any) -> ModelPackageEventTrigger:
    return ModelPackageEventTrigger(**{"queue": QUEUE, "poll_interval": 0.05, **options})


@asynccontextmanager
async def watching(given: ModelPackageEventTrigger) -> AsyncIterator[list[dict[str, Any]]]:
    """Collect the payloads of a trigger that runs as in a triggerer."""
    payloads: list[dict[str, Any]] = []

    async def run() -> None:
        async for event in given.run():
            payloads.append(json.loads(json.dumps(event.payload)))

    task = asyncio.ensure_future(run())
    try:
        yield payloads
        assert not task.done(), "the watch ended"
    finally:
        task.cancel()
        await asyncio.wait([task])


def watched(
    registry: Registry,
    until: Callable[[list[dict[str, Any]]], bool],
    *,
    during: AbstractContextManager[Any] | None = None,
    **options: Any,
) -> list[dict[str, Any]]:
    """Return the payloads that came until a condition held."""

    async def watch() -> list[dict[str, Any]]:
        async with watching(trigger(**options)) as payloads:
            await registry.until(lambda: until(payloads))
        return payloads

    with during or nullcontext():
        return asyncio.run(watch())


def test_an_approval_is_an_event_and_its_message_is_deleted(registry: Registry) -> None:
    arn = registry.register()
    registry.decide(arn, description="by the board")
    (payload,) = watched(registry, lambda found: bool(found) and not registry.left())
    modified_at = payload.pop("modified_at")
    assert payload == {
        "arn": arn,
        "group": "churn",
        "version": 1,
        "approval_status": "Approved",
        "approval_description": "by the board",
    }
    assert modified_at.endswith("Z")


def test_registrations_and_edits_are_no_decisions(registry: Registry) -> None:
    arn = registry.register()
    registry.decide(arn)
    registry.update(arn, CustomerMetadataProperties={"deployed": "yes"})
    registry.update(arn, ModelLifeCycle={"Stage": "Production", "StageStatus": "Active"})
    rejected = registry.register()
    registry.decide(rejected, "Rejected")
    found = watched(registry, lambda _: not registry.left())
    assert [payload["arn"] for payload in found] == [arn]


def test_a_version_that_is_registered_as_approved_is_a_decision(registry: Registry) -> None:
    arn = registry.register("Approved")
    (payload,) = watched(registry, lambda _: not registry.left())
    assert payload["arn"] == arn


def test_only_the_groups_and_statuses_that_were_asked_for_start_a_run(registry: Registry) -> None:
    arns = [registry.register(group=group) for group in ("churn", "other", "churn")]
    for arn, status in zip(arns, ("Approved", "Approved", "Rejected"), strict=True):
        registry.decide(arn, status)
    found = watched(
        registry,
        lambda _: not registry.left(),
        groups=["churn"],
        approval_statuses=["Approved", "Rejected"],
    )
    assert sorted(payload["arn"] for payload in found) == [arns[0], arns[2]]


def test_a_message_is_deleted_only_after_its_event_was_yielded(registry: Registry) -> None:
    registry.register("Approved")

    async def stop_at_the_event() -> None:
        events = aiter(trigger().run())
        await anext(events)
        # As a triggerer that ends before it has saved the event.
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(stop_at_the_event())
    assert registry.left() == 1


def test_what_is_no_event_of_a_package_is_left_in_the_queue_and_told_once(
    registry: Registry, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    registry.sqs.set_queue_attributes(QueueUrl=registry.url, Attributes={"VisibilityTimeout": "0"})
    for body in ("s3cr3t", json.dumps({"source": "aws.s3"}), json.dumps(["a"])):
        registry.send(body)
    polls: list[int] = []
    with caplog.at_level("WARNING"):
        found = watched(
            registry,
            lambda _: len(polls) >= 3,
            during=event_hook(QueueHook().conn, "after-call.*.ReceiveMessage", lambda **_: polls.append(1)),
        )
    assert (found, registry.left()) == ([], 3)
    told = caplog.text + capsys.readouterr().out
    assert told.count("is no event of a model package") == 3
    assert "s3cr3t" not in told


def test_many_approvals_are_many_events(registry: Registry) -> None:
    arns = {registry.register("Approved") for _ in range(23)}
    found = watched(registry, lambda _: not registry.left())
    assert {payload["arn"] for payload in found} == arns


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("ReceiveMessage", refusal("ThrottlingException", "slow down")),
        ("ReceiveMessage", refusal("AccessDeniedException", "not you")),
        ("ReceiveMessage", refusal("ExpiredToken", "too old")),
        ("GetQueueUrl", refusal("AWS.SimpleQueueService.NonExistentQueue", "no such queue")),
        ("DeleteMessageBatch", refusal("InternalError", "broken", 500)),
    ],
    ids=["throttled", "denied", "expired", "absent", "not deleted"],
)
def test_nothing_that_goes_wrong_ends_the_watch(
    registry: Registry, monkeypatch: pytest.MonkeyPatch, operation: str, answer: Any
) -> None:
    monkeypatch.setattr("airflow_sm_hosting.triggers.pace.FIRST_PAUSE", 0.01)
    registry.sqs.set_queue_attributes(QueueUrl=registry.url, Attributes={"VisibilityTimeout": "1"})
    arn = registry.register("Approved")
    found = watched(
        registry,
        lambda payloads: bool(payloads) and not registry.left(),
        during=answering(QueueHook().conn, operation, answer),
    )
    # A message whose deletion failed comes again.
    assert {payload["arn"] for payload in found} == {arn}


def test_a_queue_is_given_by_name_or_by_url(registry: Registry) -> None:
    for queue in (QUEUE, registry.url):
        arn = registry.register("Approved")
        (payload,) = watched(registry, lambda _: not registry.left(), queue=queue)
        assert payload["arn"] == arn


# As Airflow has it


def test_an_assets_watcher_takes_it_and_it_comes_back_from_what_it_serialises() -> None:
    given = trigger(groups=["churn"], aws_conn_id="mine", region_name="eu-west-1")
    assert isinstance(given, BaseEventTrigger)
    assert Asset("approved", watchers=[AssetWatcher(name="w", trigger=given)]).watchers[0].trigger is given
    path, arguments = given.serialize()
    assert path == "airflow_sm_hosting.triggers.package_events.ModelPackageEventTrigger"
    assert arguments == {
        "queue": QUEUE,
        "groups": ["churn"],
        "approval_statuses": ["Approved"],
        "poll_interval": 0.05,
        "aws_conn_id": "mine",
        "region_name": "eu-west-1",
        "verify": None,
        "botocore_config": None,
    }
    again = ModelPackageEventTrigger(**json.loads(json.dumps(arguments)))
    assert again.serialize() == given.serialize()
    # Airflow tells watchers apart by this.
    assert BaseEventTrigger.hash(*again.serialize()) == BaseEventTrigger.hash(path, arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"queue": ""}, "queue is ''"),
        ({"groups": "churn"}, "groups is 'churn'; allowed: a list"),
        ({"groups": ["a/1"]}, "groups is 'a/1'"),
        ({"approval_statuses": []}, "approval_statuses is empty"),
        ({"approval_statuses": ["approved"]}, "Did you mean 'Approved'"),
    ],
)
def test_what_can_never_work_is_refused_when_it_is_written(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        trigger(**options)

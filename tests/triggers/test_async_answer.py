"""Deferred waits for asynchronous answers: one poller, and S3 as the local AWS has it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from airflow_sm_hosting.hooks import ModelDataHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.async_answer import AsyncAnswerTrigger
from tests.operators.conftest import answering, operations, refusal

BUCKET = "answers"


@pytest.fixture
def bucket(aws: LocalAws) -> LocalAws:
    aws.client("s3").create_bucket(Bucket=BUCKET)
    aws.clear_requests()
    return aws


def put(aws: LocalAws, key: str) -> None:
    aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=b"")


def trigger(*names: str, **options: Any) -> AsyncAnswerTrigger:
    pending = [
        {"output": f"s3://{BUCKET}/{name}", "failure": f"s3://{BUCKET}/{name}-failed"} for name in names
    ]
    return AsyncAnswerTrigger(
        **{
            "pending": pending,
            "deadline": time.time() + 30,
            "poll_interval": 0.1,
            "carried": {"a": 1},
            **options,
        }
    )


async def event_of(one: AsyncAnswerTrigger) -> dict[str, Any]:
    async for event in one.run():
        return dict(event.payload)
    raise AssertionError("no event")


def test_what_travels_makes_the_same_trigger() -> None:
    path, arguments = trigger("a", region_name="us-east-1").serialize()
    assert path == "airflow_sm_hosting.triggers.async_answer.AsyncAnswerTrigger"
    arguments = json.loads(json.dumps(arguments))
    assert AsyncAnswerTrigger(**arguments, of_a_later_version=1).serialize() == (path, arguments)


def test_waits_end_by_themselves_when_an_answer_or_a_failure_is_there(bucket: LocalAws) -> None:
    async def scene() -> list[str]:
        ended: list[str] = []

        async def wait(name: str, *keys: str) -> None:
            event = await event_of(trigger(*keys))
            assert event == {"carried": {"a": 1}, "error": None}
            ended.append(name)

        waits = [
            asyncio.ensure_future(wait(name, *keys))
            for name, keys in {"one": ["a"], "both": ["a", "b"], "failed": ["c"]}.items()
        ]
        for key, names in (("a", ["one"]), ("c-failed", ["one", "failed"]), ("b", ["one", "failed", "both"])):
            put(bucket, key)
            while len(ended) < len(names):
                await asyncio.sleep(0.02)
            assert ended == names
        await asyncio.gather(*waits)
        return ended

    assert asyncio.run(scene()) == ["one", "failed", "both"]


def test_the_same_request_is_looked_for_once_a_turn(bucket: LocalAws) -> None:
    put(bucket, "a")

    async def scene() -> None:
        await asyncio.gather(*(event_of(trigger("a", poll_interval=1)) for _ in range(20)))

    asyncio.run(scene())
    # Some may join after the first turn.
    assert operations(bucket).count("HeadObject") <= 2


def test_a_deadline_ends_the_wait_without_an_error(bucket: LocalAws) -> None:
    assert asyncio.run(event_of(trigger("a", deadline=time.time() + 0.5)))["error"] is None
    assert asyncio.run(event_of(trigger("a", deadline=time.time() - 5)))["error"] is None
    assert set(operations(bucket)) == {"HeadObject"}


def test_throttling_ends_no_wait_and_a_refusal_its_own_only(bucket: LocalAws) -> None:
    put(bucket, "a")
    with answering(ModelDataHook().conn, "HeadObject", refusal("SlowDown", "", 503)):
        assert asyncio.run(event_of(trigger("a")))["error"] is None

    def refused(params: dict[str, Any], **_: Any) -> Any:
        return refusal("403", "Forbidden", 403) if "/b" in params["url_path"] else None

    client = ModelDataHook().conn
    client.meta.events.register_first("before-call.s3.HeadObject", refused)

    async def scene() -> tuple[dict[str, Any], dict[str, Any]]:
        return await asyncio.gather(event_of(trigger("a")), event_of(trigger("b")))

    try:
        good, bad = asyncio.run(scene())
    finally:
        client.meta.events.unregister("before-call.s3.HeadObject", refused)
    assert good["error"] is None
    assert f"may not read s3://{BUCKET}/b" in bad["error"]


def test_a_connection_that_does_not_exist_ends_the_wait() -> None:
    event = asyncio.run(event_of(trigger("a", aws_conn_id="gone")))
    assert "The Airflow connection 'gone' does not exist" in event["error"]


def test_a_kill_says_that_the_endpoint_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(trigger("a", "b").on_kill())
    shown = capsys.readouterr()
    assert "waited for 2 asynchronous answers was killed" in shown.out + shown.err

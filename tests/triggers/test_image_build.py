"""ImageBuildTrigger: what travels, one event however the wait ends, and one call for all builds of a connection."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.deployer import image_build
from airflow_sm_hosting.hooks import CodeBuildHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.image_build import ImageBuildTrigger
from tests.operators.conftest import answering, refusal


class Service:
    """Stands in for BatchGetBuilds, as the local AWS without an engine has no builds in progress.

    :param monkeypatch: Puts it in place.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls: list[list[str]] = []
        self.statuses: dict[str, str] = {}
        self.looked = asyncio.Event()
        monkeypatch.setattr(CodeBuildHook, "builds", lambda _, ids: self.builds(ids))

    def builds(self, ids: Sequence[str]) -> dict[str, Any]:
        self.calls.append(list(ids))
        return {
            one: {"id": one, "buildStatus": self.statuses[one], "currentPhase": "BUILD"}
            for one in ids
            if one in self.statuses
        }

    def add(self, count: int) -> list[str]:
        ids = [f"project:{number}" for number in range(len(self.statuses), len(self.statuses) + count)]
        self.statuses.update(dict.fromkeys(ids, "IN_PROGRESS"))
        return ids

    async def until_calls(self, count: int) -> None:
        """Wait until so many calls were made."""
        async with asyncio.timeout(30):
            while len(self.calls) < count:
                await asyncio.sleep(0.01)


@pytest.fixture(autouse=True)
def no_lag_of_builds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_build, "UNSEEN_AWAITED", 0.0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch, aws: LocalAws) -> Service:
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__CALLS_PER_SECOND", "1000")
    return Service(monkeypatch)


def trigger(build_id: str, **options: Any) -> ImageBuildTrigger:
    return ImageBuildTrigger(**{"build_id": build_id, "poll_interval": 0.2, "carried": {"a": 1}, **options})


async def event(one: ImageBuildTrigger) -> dict[str, Any]:
    [payload] = [event.payload async for event in one.run()]
    return dict(payload)


def test_what_travels_makes_the_same_trigger() -> None:
    one = trigger("p:1", aws_conn_id="a", region_name="eu-west-1", verify=False, botocore_config={"b": 1})
    path, arguments = one.serialize()
    assert path == "airflow_sm_hosting.triggers.image_build.ImageBuildTrigger"
    assert ImageBuildTrigger(**arguments, of_a_later_version=1).serialize() == (path, arguments)


def test_all_builds_of_a_connection_are_in_one_call(service: Service) -> None:
    ids = service.add(250)

    async def together() -> list[dict[str, Any]]:
        waits = [asyncio.create_task(event(trigger(one))) for one in ids]
        await service.until_calls(3)
        # Of the first round: each build once, a hundred a call.
        assert sorted(map(len, service.calls[:3])) == [50, 100, 100]
        assert sorted(one for call in service.calls[:3] for one in call) == sorted(ids)
        service.statuses.update(dict.fromkeys(ids, "SUCCEEDED"))
        return await asyncio.gather(*waits)

    ends = asyncio.run(together())
    assert [end["build_id"] for end in ends] == ids
    assert {end["error"] for end in ends} == {None}
    assert ends[0]["carried"] == {"a": 1}


def test_the_same_build_is_asked_for_once(service: Service) -> None:
    [one] = service.add(1)

    async def together() -> list[dict[str, Any]]:
        waits = [asyncio.create_task(event(trigger(one))) for _ in range(5)]
        await service.until_calls(1)
        assert service.calls[0] == [one]
        service.statuses[one] = "FAILED"
        return await asyncio.gather(*waits)

    assert len(asyncio.run(together())) == 5


def test_nothing_is_asked_after_the_last_wait(service: Service) -> None:
    first, second = service.add(2)

    async def one_after_the_other() -> None:
        service.statuses[first] = "SUCCEEDED"
        await event(trigger(first))
        count = len(service.calls)
        wait = asyncio.create_task(event(trigger(second)))
        await service.until_calls(count + 2)
        wait.cancel()
        with pytest.raises(asyncio.CancelledError):
            await wait
        names = {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.sleep(0)
        assert [call for call in service.calls[count:] if call != [second]] == []
        left = [
            task
            for task in asyncio.all_tasks()
            if task.get_name() == "build-poller" and not task.cancelling()
        ]
        assert left == [], names

    asyncio.run(one_after_the_other())


def test_connections_are_asked_apart(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = service.add(2)
    service.statuses.update({one: "SUCCEEDED", other: "SUCCEEDED"})

    async def together() -> None:
        await asyncio.gather(event(trigger(one)), event(trigger(other, region_name="eu-west-1")))

    asyncio.run(together())
    assert sorted(service.calls) == [[one], [other]]


def test_a_build_that_does_not_exist_ends_its_own_wait_only(service: Service) -> None:
    [one] = service.add(1)

    async def together() -> tuple[dict[str, Any], dict[str, Any]]:
        there = asyncio.create_task(event(trigger(one)))
        gone = await event(trigger("project:gone"))
        assert not there.done()
        service.statuses[one] = "SUCCEEDED"
        return gone, await there

    gone, there = asyncio.run(together())
    assert "no build project:gone" in gone["error"]
    assert there["error"] is None


def test_a_build_that_is_not_found_yet_is_awaited(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_build, "UNSEEN_AWAITED", 60.0)

    async def seen_later() -> dict[str, Any]:
        wait = asyncio.create_task(event(trigger("project:0")))
        await service.until_calls(2)
        assert not wait.done()
        service.statuses["project:0"] = "SUCCEEDED"
        return await wait

    assert asyncio.run(seen_later())["error"] is None


def test_a_refusal_of_one_project_ends_the_waits_for_its_builds_only(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = service.add(2)

    def refused(ids: Sequence[str]) -> dict[str, Any]:
        if other in ids:
            service.calls.append(list(ids))
            raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "BatchGetBuilds")
        return Service.builds(service, ids)

    monkeypatch.setattr(service, "builds", refused)

    async def together() -> tuple[dict[str, Any], dict[str, Any]]:
        wait = asyncio.create_task(event(trigger(one)))
        denied = await event(trigger(other))
        assert not wait.done()
        service.statuses[one] = "SUCCEEDED"
        return await wait, denied

    there, denied = asyncio.run(together())
    assert there["error"] is None
    assert "AccessDeniedException" in denied["error"]


def test_throttling_ends_no_wait_and_a_refusal_does(aws: LocalAws) -> None:
    client = CodeBuildHook().conn
    throttled = [refusal("ThrottlingException")] * 2
    with answering(client, "BatchGetBuilds", *throttled) as left:
        end = asyncio.run(event(trigger("project:gone")))
    assert (left, "no build" in end["error"]) == ([], True)
    with answering(client, "BatchGetBuilds", refusal("AccessDeniedException", "not allowed")):
        end = asyncio.run(event(trigger("project:gone")))
    assert "AccessDeniedException" in end["error"]


def test_a_connection_that_does_not_exist_ends_the_wait() -> None:
    end = asyncio.run(event(trigger("p:1", aws_conn_id="absent")))
    assert "'absent' does not exist" in end["error"]


def test_a_kill_says_that_the_build_continues(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(trigger("p:1").on_kill())
    shown = capsys.readouterr()
    assert "the build continues" in shown.out + shown.err

"""The XCom that a trigger writes while its task is deferred."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from airflow_sm_hosting.triggers import timeline
from airflow_sm_hosting.triggers.timeline import Timeline

TASK = {"dag_id": "d", "task_id": "t", "run_id": "r", "map_index": -1}


def described(status: str) -> dict[str, Any]:
    return {"EndpointName": "churn", "EndpointStatus": status, "EndpointConfigName": "c1"}


class Written:
    """Takes the XComs, as Airflow would."""

    def __init__(self) -> None:
        self.values: list[list[str]] = []
        self.news = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, key: str, value: Any, task_instance: Mapping[str, Any]) -> None:
        assert (key, task_instance) == ("timeline", TASK)
        self.news.set()
        await self.gate.wait()
        self.values.append([entry["status"] for entry in value])

    async def next(self) -> None:
        await asyncio.wait_for(self.news.wait(), 10)
        self.news.clear()
        await asyncio.sleep(0)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeline, "WRITE_INTERVAL", 0.0)


def run(monkeypatch: pytest.MonkeyPatch, story: Any) -> None:
    async def whole() -> None:
        written = Written()
        monkeypatch.setattr(timeline, "write_xcom", written)
        await asyncio.wait_for(story(written), 20)

    asyncio.run(whole())


def test_a_change_is_written_and_a_repetition_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(written: Written) -> None:
        async with Timeline(TASK, {}) as watched:
            watched.observe(described("Creating"))
            await written.next()
            watched.observe(described("Creating"))
            watched.observe(described("InService"))
            await written.next()
        assert written.values == [["Creating"], ["Creating", "InService"]]
        assert watched.observed["status"] == "InService"

    run(monkeypatch, story)


def test_it_goes_on_from_what_the_task_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(written: Written) -> None:
        async with Timeline(TASK, {"timeline": [{"at": 1.0, "status": "Updating"}]}) as watched:
            watched.observe(described("InService"))
            await written.next()
        assert written.values == [["Updating", "InService"]]

    run(monkeypatch, story)


def test_a_write_in_progress_ends_before_the_task_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(written: Written) -> None:
        written.gate.clear()
        async with Timeline(TASK, {}) as watched:
            watched.observe(described("Creating"))
            await written.next()
            asyncio.get_running_loop().call_soon(written.gate.set)
        assert written.values == [["Creating"]]

    run(monkeypatch, story)


def test_an_xcom_that_cannot_be_written_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story(written: Written) -> None:
        async def refused(*_: Any) -> None:
            written.news.set()
            raise OSError("no connection")

        monkeypatch.setattr(timeline, "write_xcom", refused)
        async with Timeline(TASK, {}) as watched:
            for status in ("Creating", "InService"):
                watched.observe(described(status))
                await written.next()
        assert [entry["status"] for entry in watched.entries] == ["Creating", "InService"]

    run(monkeypatch, story)


@pytest.mark.parametrize("notes", [None, {}])
def test_without_a_task_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, notes: dict[str, Any] | None
) -> None:
    async def story(written: Written) -> None:
        async with Timeline(None, notes) as watched:
            watched.observe(described("Creating"))
            await asyncio.sleep(0)
        assert written.values == []
        assert bool(watched.observed) == (notes is not None)

    run(monkeypatch, story)

"""The live timeline of a deferred task: an XCom that the trigger writes when the status changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.record import merged, observed_members
from airflow_sm_hosting.deployment.timeline import entry_of, with_entry

if TYPE_CHECKING:
    from airflow_sm_hosting.deployment.status import Described

log = logging.getLogger(__name__)

#: The key of the XCom.
KEY = "timeline"

#: Minimum time between two writes, and the time that the last one has at the end, in seconds.
WRITE_INTERVAL, LAST_WRITE = 1.0, 10.0


class Timeline:
    """Collects what a wait observes, and writes it in a coroutine of its own: the shared poller never waits for Airflow.

    :param task_instance: dag_id, task_id, run_id and map_index of the task; None writes nothing.
    :param notes: What the task has noted of its deployment; None for a task that notes nothing.
    """

    def __init__(self, task_instance: Mapping[str, Any] | None, notes: Mapping[str, Any] | None) -> None:
        self._task_instance = task_instance
        self._is_noted = notes is not None
        self.entries: list[Mapping[str, Any]] = list((notes or {}).get(KEY) or ())
        self._is_new = asyncio.Event()
        #: What the wait has observed, for the task that goes on.
        self.observed: dict[str, Any] = {}
        self._writer: asyncio.Task[None] | None = None
        self._write: asyncio.Task[None] | None = None

    def observe(self, described: Described | None) -> None:
        """Add a description, if it shows something new."""
        if not self._is_noted:
            return
        seen = {name: value for name, value in observed_members(described, {}).items() if value}
        after = with_entry(self.entries, entry_of(described, time.time()))
        self.observed = {**merged(self.observed, seen), KEY: after}
        if after != self.entries:
            self.entries = after
            self._is_new.set()

    async def __aenter__(self) -> Timeline:
        if self._task_instance is not None:
            self._writer = asyncio.create_task(self._keep_writing())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is None:
            return
        self._writer.cancel()
        if self._write is not None and not self._write.done():
            await asyncio.wait([self._write], timeout=LAST_WRITE)

    async def _keep_writing(self) -> None:
        while True:
            await self._is_new.wait()
            self._is_new.clear()
            self._write = asyncio.create_task(self._write_entries(self.entries))
            # A write that is cancelled halfway would leave its answer to the next request of the triggerer.
            await asyncio.shield(self._write)
            await asyncio.sleep(WRITE_INTERVAL)

    async def _write_entries(self, entries: list[Mapping[str, Any]]) -> None:
        try:
            await write_xcom(KEY, entries, self._task_instance or {})
        except Exception as error:
            # What the tab shows is stale, and nothing else.
            log.debug("XCom %s could not be written: %s", KEY, error)


async def write_xcom(key: str, value: Any, task_instance: Mapping[str, Any]) -> None:
    """Write an XCom of a deferred task, from the triggerer's event loop.

    :param key: Its key.
    :param value: Its value, as plain JSON.
    :param task_instance: dag_id, task_id, run_id and map_index.
    """
    from airflow.sdk.execution_time.xcom import XCom

    if hasattr(XCom, "aset"):  # Airflow 3.3
        await XCom.aset(key=key, value=value, **task_instance)
        return
    # Never XCom.set, in a thread or not: on 3.1 that ends the whole triggerer.
    from airflow.sdk.execution_time.comms import SetXCom
    from airflow.sdk.execution_time.task_runner import SUPERVISOR_COMMS

    serialized = XCom.serialize_value(value, key=key, **task_instance)
    await SUPERVISOR_COMMS.asend(SetXCom(key=key, value=serialized, **task_instance))

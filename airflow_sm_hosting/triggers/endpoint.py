"""Waits for an endpoint in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters

T = TypeVar("T")

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch, Sighting


def in_thread(function: Callable[[], T]) -> Callable[[], Awaitable[T]]:
    """Return the function as one that runs in a thread and leaves the event loop free.

    Not ``asyncio.to_thread``: a connection that is looked up in the thread goes through the triggerer's event loop, and Airflow 3.1 finds
    that loop through asgiref only.
    """
    from asgiref.sync import sync_to_async

    return sync_to_async(function, thread_sensitive=False)


class EndpointTrigger(AwsParameters, BaseTrigger):
    """Wait until an endpoint is as awaited, polling with boto3 in a thread.

    Yields one event: how the wait ended (a :class:`airflow_sm_hosting.hooks.endpoint_watch.Sighting`, also for an error that waiting does
    not mend), and what the task gave to be carried.

    :param awaited: What is waited for, as ``Awaited.serialize`` writes it.
    :param deadline: When the time budget ends, in seconds since the epoch.
    :param started_at: When the wait began, in seconds since the epoch.
    :param poll_interval: Seconds between two looks.
    :param carried: What the task wants back with the event. It travels here and not in ``defer(kwargs=…)``, which ``dag.test()`` drops
        (Airflow 3.3.2, airflow/sdk/definitions/dag.py, ``_run_task``).
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS Region.
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: Configuration of the botocore clients.
    """

    def __init__(
        self,
        *,
        awaited: dict[str, Any],
        deadline: float,
        started_at: float,
        poll_interval: float,
        carried: dict[str, Any] | None = None,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.awaited = awaited
        self.deadline = deadline
        self.started_at = started_at
        self.poll_interval = poll_interval
        self.carried = carried
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that make this trigger again."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "awaited": self.awaited,
                "deadline": self.deadline,
                "started_at": self.started_at,
                "poll_interval": self.poll_interval,
                "carried": self.carried,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look, sleep, look again."""
        sighting = await self._wait()
        yield TriggerEvent({"sighting": sighting.serialize(), "carried": self.carried})

    async def _wait(self) -> Sighting:
        from airflow_sm_hosting.hooks.endpoint_watch import sighting_of_error

        try:
            watch = await in_thread(self._watch)()
        except Exception as error:
            return sighting_of_error(error, self.awaited["endpoint_name"])
        look = in_thread(watch.look)
        while (sighting := await look()) is None:
            await asyncio.sleep(watch.pause(self.poll_interval))
        return sighting

    def _watch(self) -> EndpointWatch:
        from airflow_sm_hosting.deployment.awaited import Awaited
        from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch

        return EndpointWatch(
            self.sagemaker_hook,
            Awaited.deserialize(self.awaited),
            deadline=self.deadline,
            started_at=self.started_at,
            tell=self.log.info,
        )

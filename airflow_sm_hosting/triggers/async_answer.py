"""Waits for the answers of an asynchronous endpoint in the triggerer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_sm_hosting.hooks.parameters import DEFAULT_CONNECTION, AwsParameters
from airflow_sm_hosting.triggers.batch_poller import BatchPoller, BatchWaiter, wait_in_batch
from airflow_sm_hosting.triggers.pace import TokenBucket
from airflow_sm_hosting.triggers.quiet_event import quiet_event

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.batch_polls import BatchPolls
    from airflow_sm_hosting.hooks.s3 import ModelDataHook

log = logging.getLogger(__name__)

#: Requests that one turn looks for, one after the other: S3 takes one object a call.
REQUESTS_OF_A_TURN = 10


class AsyncAnswerTrigger(AwsParameters, BaseTrigger):
    """Wait until asynchronous requests have an answer or a failure in S3; all triggers that use the same connection share one poller.

    Yields one event: ``carried``, the values that the task saved in the trigger, and ``error``, why the answers could not be looked for, or
    None. The answers are read by the task, also when the deadline has passed.

    :param pending: The requests: dicts with ``output`` and ``failure``, the S3 URLs of each.
    :param deadline: When the wait ends at the latest, in seconds since the epoch (default: never).
    :param poll_interval: Maximum seconds between two looks (default: 10), as far as the option ``[sm_hosting] calls_per_second`` allows.
    :param carried: Values that the task gets back with the event.
    :param aws_conn_id: The Airflow connection used for AWS credentials.
    :param region_name: AWS Region.
    :param verify: Whether to verify TLS certificates, or the path of a CA bundle.
    :param botocore_config: Configuration of the botocore clients.
    :param unknown: Arguments that another version of the package has written; they are ignored.
    """

    def __init__(
        self,
        *,
        pending: Sequence[Mapping[str, Any]],
        deadline: float | None = None,
        poll_interval: float = 10,
        carried: dict[str, Any] | None = None,
        aws_conn_id: str | None = DEFAULT_CONNECTION,
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **unknown: Any,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.pending = [dict(one) for one in pending]
        self.deadline = deadline
        self.poll_interval = poll_interval
        self.carried = carried
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments that recreate this trigger."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "pending": self.pending,
                "deadline": self.deadline,
                "poll_interval": self.poll_interval,
                "carried": self.carried,
                **self.aws_parameters,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, together with all other triggers that use the same connection."""
        error: str | None = None
        try:
            seconds = None if self.deadline is None else max(0.0, self.deadline - time.time())
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._wait()
        except Exception as raised:
            from airflow_sm_hosting.spec.masking import without_signatures

            error = without_signatures(str(raised))
        yield quiet_event({"carried": self.carried, "error": error}, error or "the answer is there")

    async def on_kill(self) -> None:
        """Log what continues when a user ends the deferred task (called from Airflow 3.3 on); nothing is changed."""
        self.log.warning(
            "The task that waited for %d asynchronous answers was killed; the endpoint still writes them.",
            len(self.pending),
        )

    async def _wait(self) -> None:
        waits = (
            wait_in_batch(
                AnswerPoller,
                lambda: self.model_data_hook,
                self.aws_parameters,
                id_=(str(one["output"]), one.get("failure")),
                poll_interval=self.poll_interval,
                log_status=self.log.info,
            )
            for one in self.pending
        )
        try:
            async with asyncio.TaskGroup() as group:
                for wait in waits:
                    group.create_task(wait)
        except ExceptionGroup as errors:
            raise errors.exceptions[0] from None


class AnswerPoller(BatchPoller):
    """Looks for asynchronous answers and failures (HeadObject); an id is the URLs of both."""

    name = "answer-poller"
    ids_of_a_call = REQUESTS_OF_A_TURN

    def make_polls(self, make_hook: Callable[[], ModelDataHook]) -> BatchPolls:
        """Return what looks into S3."""
        from airflow_sm_hosting.deployer.async_answers import AnswerPolls

        return AnswerPolls(make_hook, log)

    def bucket(self, account: Hashable) -> TokenBucket:
        """Return the limiter of the looks."""
        return self._limits.of_operation("HeadObject", account)

    def observe(self, waiter: BatchWaiter, found: Mapping[Any, Mapping[str, Any]], waited: float) -> None:
        """End the wait if one of both is there."""
        if waiter.id_ in found:
            waiter.end()

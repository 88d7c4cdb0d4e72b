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
from airflow_sm_hosting.triggers.batch_poller import BatchPoller, BatchWaiter
from airflow_sm_hosting.triggers.pace import TokenBucket
from airflow_sm_hosting.triggers.poller import pollers
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.async_answers import AnswerPolls
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
        yield TriggerEvent({"carried": self.carried, "error": error})

    async def on_kill(self) -> None:
        """Log what continues when a user ends the deferred task (called from Airflow 3.3 on); nothing is changed."""
        self.log.warning(
            "The task that waited for %d asynchronous answers was killed; the endpoint still writes them.",
            len(self.pending),
        )

    async def _wait(self) -> None:
        poller = pollers().of(AnswerPoller, lambda: self.model_data_hook, self.aws_parameters)
        keys = [(str(one["output"]), one.get("failure")) for one in self.pending]
        waiters = [AnswerWaiter(key, self.poll_interval) for key in keys]
        for waiter in waiters:
            poller.join(waiter)
        try:
            await asyncio.gather(*(waiter.ended for waiter in waiters))
        finally:
            for waiter in waiters:
                poller.leave(waiter)


class AnswerWaiter(BatchWaiter[tuple[str, str | None]]):
    """One wait for an answer: the S3 URLs of the answer and of the failure."""

    def observe(self, found: Any, now: float) -> None:
        """End the wait if one of both is there."""
        if self.key in found:
            self.end()


class AnswerPoller(BatchPoller["ModelDataHook"]):
    """Looks for all awaited answers of one connection."""

    keys_of_a_call = REQUESTS_OF_A_TURN
    name = "answer-poller"

    @staticmethod
    def make_polls(make_hook: Callable[[], ModelDataHook]) -> AnswerPolls:
        """Return what looks into S3."""
        from airflow_sm_hosting.deployer.async_answers import AnswerPolls

        return AnswerPolls(make_hook, log.info)

    @staticmethod
    def bucket(limits: RateLimits, account: Hashable) -> TokenBucket:
        """Return the limiter of the looks."""
        return limits.of_answers(account)

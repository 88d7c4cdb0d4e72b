"""One poller for all things of a kind that a triggerer waits for under the same connection: one call looks at several of them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_sm_hosting.triggers.pace import TokenBucket, jittered
from airflow_sm_hosting.triggers.poller import GATHERED, in_thread, nap, pollers
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.batch_polls import BatchPolls

log = logging.getLogger(__name__)

#: Ids of one call: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html, and API_BatchDescribeModelPackage.html
#: of SageMaker.
IDS_OF_A_CALL = 100


async def wait_in_batch(
    kind: type[BatchPoller],
    make_hook: Callable[[], Any],
    aws_parameters: Mapping[str, Any],
    *,
    id_: Hashable,
    poll_interval: float,
    log_status: Callable[[str], None],
) -> None:
    """Wait in the poller of the connection until something has ended.

    :param kind: The poller of things of its kind.
    :param make_hook: Makes the hook from the AWS parameters.
    :param aws_parameters: The four AWS parameters. Waits of a kind with equal parameters share a poller.
    :param id_: What is waited for.
    :param poll_interval: Maximum seconds between two looks, as far as the rates allow.
    :param log_status: Takes a status line; called in the caller's context, so that the line goes to the caller's log.
    :raises SageMakerHostingError: It cannot be looked at.
    """
    poller = pollers().of(kind, make_hook, aws_parameters)
    context = contextvars.copy_context()
    waiter = BatchWaiter(id_, poll_interval, lambda line: context.run(log_status, line))
    poller.join(waiter)
    try:
        await waiter.ended
    finally:
        poller.leave(waiter)


class BatchWaiter:
    """One wait at a poller.

    :param id_: What is waited for.
    :param interval: Maximum seconds between two looks.
    :param log_status: Takes a status line.
    """

    __slots__ = ("due", "ended", "id_", "interval", "joined_at", "log_status", "status")

    def __init__(self, id_: Hashable, interval: float, log_status: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.id_ = id_
        self.interval = interval
        self.log_status = log_status
        self.status = ""
        self.joined_at = self.due = loop.time()
        self.ended: asyncio.Future[None] = loop.create_future()

    def show(self, status: str) -> None:
        """Log a status if it is new."""
        if self.status != status:
            self.status = status
            self.log_status(status)

    def end(self) -> None:
        """End the wait. A cancelled trigger has also cancelled its future."""
        if not self.ended.done():
            self.ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.ended.done():
            self.ended.set_exception(error)


class BatchPoller(ABC):
    """Looks at all awaited things of one connection, until there are no more waits.

    A call takes several of them as easily as one: as soon as one of them is due, all are looked at.

    :param make_hook: Makes the hook of the connection.
    :param limits: The rates of all pollers of this event loop.
    :param on_end: Called with this poller after the last wait has ended, or when the poller failed.
    """

    name: ClassVar[str]

    #: How many ids a call takes.
    ids_of_a_call: ClassVar[int] = IDS_OF_A_CALL

    def __init__(
        self,
        make_hook: Callable[[], Any],
        limits: RateLimits,
        on_end: Callable[[BatchPoller], None],
    ) -> None:
        self._make_hook = make_hook
        self._limits = limits
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._waiters: list[BatchWaiter] = []
        self._has_joined = asyncio.Event()
        # In its own context, as the first trigger's context, with its log, ends with that trigger.
        self._task = self._loop.create_task(self._run(), name=self.name, context=contextvars.Context())

    @abstractmethod
    def make_polls(self, make_hook: Callable[[], Any]) -> BatchPolls:
        """Return what looks; called in a thread, as its imports are slow."""

    @abstractmethod
    def bucket(self, account: Hashable) -> TokenBucket:
        """Return the limiter of the call."""

    @abstractmethod
    def observe(self, waiter: BatchWaiter, found: Mapping[Any, Mapping[str, Any]], waited: float) -> None:
        """Process an answer for a wait: show a new status, and end the wait if it is over.

        :param waiter: The wait.
        :param found: Things by id.
        :param waited: Seconds since the wait began.
        """

    def join(self, waiter: BatchWaiter) -> None:
        """Look at something for a wait."""
        self._waiters.append(waiter)
        self._has_joined.set()

    def leave(self, waiter: BatchWaiter) -> None:
        """Look at it no longer."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters:
            self._on_end(self)
            self._task.cancel()

    async def _run(self) -> None:
        try:
            polls: BatchPolls = await in_thread(self.make_polls)(self._make_hook)
            bucket = self.bucket(await self._account(polls))
            while True:
                self._has_joined.clear()
                pause = min((waiter.due for waiter in self._waiters), default=math.inf) - self._loop.time()
                if pause > 0:
                    await nap(self._has_joined, pause)
                    continue
                # Those that come at the same time are in the same call.
                await asyncio.sleep(min(GATHERED, *(waiter.interval for waiter in self._waiters)))
                waiters, size = list(self._waiters), self.ids_of_a_call
                for some in (waiters[start : start + size] for start in range(0, len(waiters), size)):
                    await self._take_turn(bucket)
                    await self._look(polls, some, bucket)
        except Exception as error:
            self._on_end(self)
            for waiter in self._waiters:
                waiter.fail(error)

    async def _account(self, polls: BatchPolls) -> Hashable:
        """Look up the connection, and retry temporary errors; a permanent error ends the waits."""
        from airflow_sm_hosting.hooks.errors import is_passing

        trouble = TokenBucket(1.0, 1.0, self._loop.time())
        while True:
            try:
                return await in_thread(lambda: polls.account)()
            except Exception as error:
                if not is_passing(error):
                    raise
                now = self._loop.time()
                trouble.failed(now, random.random())  # noqa: S311
                await asyncio.sleep(trouble.wait(now))

    async def _look(self, polls: BatchPolls, waiters: list[BatchWaiter], bucket: TokenBucket) -> None:
        """Look at what some waits are for; of a call that AWS refuses for good, at each by itself."""
        now = self._loop.time()
        ids = list(dict.fromkeys(waiter.id_ for waiter in waiters))
        try:
            found = await in_thread(polls.look)(ids)
        except Exception as error:
            if len(ids) > 1:
                # It may be for one of them: permissions are on projects and groups.
                for id_ in ids:
                    await self._take_turn(bucket)
                    await self._look(polls, [one for one in waiters if one.id_ == id_], bucket)
                return
            for waiter in waiters:
                waiter.fail(error)
            return
        if found is None:
            bucket.failed(self._loop.time(), random.random())  # noqa: S311 - spreads calls
        else:
            bucket.succeeded()
        for waiter in waiters:
            waiter.due = now + jittered(waiter.interval, random.random())  # noqa: S311
            if found is not None:
                self._observe(waiter, found, now)

    def _observe(self, waiter: BatchWaiter, found: Mapping[Any, Mapping[str, Any]], now: float) -> None:
        try:
            self.observe(waiter, found, now - waiter.joined_at)
        except Exception as error:
            waiter.fail(error)

    async def _take_turn(self, bucket: TokenBucket) -> None:
        """Wait until the rate allows a call, and count it."""
        while (left := bucket.wait(self._loop.time())) > 0:
            await asyncio.sleep(left)
        bucket.take(self._loop.time())


class BuildPoller(BatchPoller):
    """Looks at builds of CodeBuild (BatchGetBuilds)."""

    name = "build-poller"

    def make_polls(self, make_hook: Callable[[], Any]) -> BatchPolls:
        """Return what looks at builds."""
        from airflow_sm_hosting.deployer.image_build import BuildPolls

        return BuildPolls(make_hook, log)

    def bucket(self, account: Hashable) -> TokenBucket:
        """Return the limiter of BatchGetBuilds."""
        return self._limits.of_operation("BatchGetBuilds", account)

    def observe(self, waiter: BatchWaiter, found: Mapping[Any, Mapping[str, Any]], waited: float) -> None:
        """End the wait if the build has ended."""
        from airflow_sm_hosting.deployer.image_build import existing
        from airflow_sm_hosting.images.codebuild.outcome import is_complete, status_line

        build = existing(found, str(waiter.id_), waited=waited)
        if build is None:
            return
        waiter.show(f"Build {waiter.id_}: {status_line(build)}")
        if is_complete(build):
            waiter.end()


class ApprovalPoller(BatchPoller):
    """Looks at versions of the model registry (BatchDescribeModelPackage)."""

    name = "approval-poller"

    def make_polls(self, make_hook: Callable[[], Any]) -> BatchPolls:
        """Return what looks at versions."""
        from airflow_sm_hosting.deployer.model_packages import PackagePolls

        return PackagePolls(make_hook, log)

    def bucket(self, account: Hashable) -> TokenBucket:
        """Return the limiter of BatchDescribeModelPackage."""
        return self._limits.of_operation("BatchDescribeModelPackage", account)

    def observe(self, waiter: BatchWaiter, found: Mapping[Any, Mapping[str, Any]], waited: float) -> None:
        """End the wait if the version is approved, or cannot be any more."""
        from airflow_sm_hosting.deployment.approval import approval_result, status_line

        package = found.get(waiter.id_)
        waiter.show(f"Model package {waiter.id_}: {status_line(package)}")
        if approval_result(package) is not None:
            waiter.end()

"""One poller for all builds that a triggerer waits for under the same connection: one BatchGetBuilds for up to 100 of them."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
import random
from collections.abc import Callable, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.triggers.pace import TokenBucket, jittered
from airflow_sm_hosting.triggers.poller import GATHERED, in_thread, nap, pollers
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.image_build import BuildPolls
    from airflow_sm_hosting.hooks.codebuild import CodeBuildHook

log = logging.getLogger(__name__)

#: https://docs.aws.amazon.com/codebuild/latest/APIReference/API_BatchGetBuilds.html
IDS_OF_A_CALL = 100


async def wait_for_build(
    make_hook: Callable[[], CodeBuildHook],
    aws_parameters: Mapping[str, Any],
    *,
    build_id: str,
    poll_interval: float,
    log_status: Callable[[str], None],
) -> None:
    """Wait in the poller of the connection until a build has ended.

    :param make_hook: Makes the hook from the AWS parameters.
    :param aws_parameters: The four AWS parameters. Waits with equal parameters share a poller.
    :param build_id: The build.
    :param poll_interval: Maximum seconds between two looks, as far as the rates allow.
    :param log_status: Takes a status line; called in the caller's context, so that the line goes to the caller's log.
    :raises ImageBuildError: There is no such build.
    """
    poller = pollers().of(BuildPoller, make_hook, aws_parameters)
    context = contextvars.copy_context()
    waiter = BuildWaiter(build_id, poll_interval, lambda line: context.run(log_status, line))
    poller.join(waiter)
    try:
        await waiter.ended
    finally:
        poller.leave(waiter)


class BuildWaiter:
    """One wait at a poller.

    :param build_id: The build.
    :param interval: Maximum seconds between two looks.
    :param log_status: Takes a status line.
    """

    __slots__ = ("build_id", "due", "ended", "interval", "joined_at", "log_status", "status")

    def __init__(self, build_id: str, interval: float, log_status: Callable[[str], None]) -> None:
        loop = asyncio.get_running_loop()
        self.build_id = build_id
        self.interval = interval
        self.log_status = log_status
        self.status = ""
        self.joined_at = self.due = loop.time()
        self.ended: asyncio.Future[None] = loop.create_future()

    def observe(self, found: Mapping[str, Mapping[str, Any]], now: float) -> None:
        """Process an answer: log a new status, and end the wait if the build has ended.

        :param found: Builds by id.
        :param now: The time of the call.
        """
        from airflow_sm_hosting.deployer.image_build import existing
        from airflow_sm_hosting.images.codebuild.outcome import is_complete, status_line

        try:
            build = existing(found, self.build_id, waited=now - self.joined_at)
        except Exception as error:
            self.fail(error)
            return
        # A cancelled trigger has also cancelled its future.
        if build is None or self.ended.done():
            return
        if self.status != status_line(build):
            self.status = status_line(build)
            self.log_status(f"Build {self.build_id}: {self.status}")
        if is_complete(build):
            self.ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.ended.done():
            self.ended.set_exception(error)


class BuildPoller:
    """Looks at all awaited builds of one connection, until there are no more waits.

    A call takes 100 builds as easily as one: as soon as one of them is due, all are looked at.

    :param make_hook: Makes the hook of the connection.
    :param limits: The rates of all pollers of this event loop.
    :param on_end: Called with this poller after the last wait has ended, or when the poller failed.
    """

    def __init__(
        self,
        make_hook: Callable[[], CodeBuildHook],
        limits: RateLimits,
        on_end: Callable[[BuildPoller], None],
    ) -> None:
        self._make_hook = make_hook
        self._limits = limits
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._waiters: list[BuildWaiter] = []
        self._has_joined = asyncio.Event()
        # In its own context, as the first trigger's context, with its log, ends with that trigger.
        self._task = self._loop.create_task(self._run(), name="build-poller", context=contextvars.Context())

    def join(self, waiter: BuildWaiter) -> None:
        """Look at a build for a wait."""
        self._waiters.append(waiter)
        self._has_joined.set()

    def leave(self, waiter: BuildWaiter) -> None:
        """Look at a build no longer."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters:
            self._on_end(self)
            self._task.cancel()

    async def _run(self) -> None:
        try:
            # In a thread, as the import of botocore is slow.
            polls: BuildPolls = await in_thread(_make_polls)(self._make_hook)
            bucket = self._limits.of_builds(await self._account(polls))
            while True:
                self._has_joined.clear()
                pause = min((waiter.due for waiter in self._waiters), default=math.inf) - self._loop.time()
                if pause > 0:
                    await nap(self._has_joined, pause)
                    continue
                # Those that come at the same time are in the same call.
                await asyncio.sleep(min(GATHERED, *(waiter.interval for waiter in self._waiters)))
                waiters = list(self._waiters)
                for some in (
                    waiters[start : start + IDS_OF_A_CALL] for start in range(0, len(waiters), IDS_OF_A_CALL)
                ):
                    await self._take_turn(bucket)
                    await self._look(polls, some, bucket)
        except Exception as error:
            self._on_end(self)
            for waiter in self._waiters:
                waiter.fail(error)

    async def _account(self, polls: BuildPolls) -> Hashable:
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

    async def _look(self, polls: BuildPolls, waiters: list[BuildWaiter], bucket: TokenBucket) -> None:
        """Look at the builds of some waits; of a call that AWS refuses for good, at each build by itself."""
        now = self._loop.time()
        ids = list(dict.fromkeys(waiter.build_id for waiter in waiters))
        try:
            found = await in_thread(polls.look)(ids)
        except Exception as error:
            if len(ids) > 1:
                # It may be for one of them: permissions are on projects.
                for build_id in ids:
                    await self._take_turn(bucket)
                    await self._look(polls, [one for one in waiters if one.build_id == build_id], bucket)
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
                waiter.observe(found, now)

    async def _take_turn(self, bucket: TokenBucket) -> None:
        """Wait until the rate allows a call, and count it."""
        while (left := bucket.wait(self._loop.time())) > 0:
            await asyncio.sleep(left)
        bucket.take(self._loop.time())


def _make_polls(make_hook: Callable[[], CodeBuildHook]) -> BuildPolls:
    from airflow_sm_hosting.deployer.image_build import BuildPolls

    return BuildPolls(make_hook, log)

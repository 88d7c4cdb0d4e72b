"""One poller for all waits of a kind under the same connection: one call looks at several at once."""

from __future__ import annotations

import asyncio
import contextvars
import math
import random
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from airflow_sm_hosting.triggers.pace import TokenBucket, jittered
from airflow_sm_hosting.triggers.poller import GATHERED, in_thread, nap
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:

    class Polls(Protocol):
        """Calls AWS, in a thread."""

        @property
        def account(self) -> Hashable:
            """The owner of the rate limits."""

        def look(self, keys: Sequence[Any]) -> Any:
            """Return what is there of these keys; None when AWS did not answer this time. It raises permanent errors."""


K = TypeVar("K", bound=Hashable)
H = TypeVar("H")


class BatchWaiter(Generic[K]):
    """One wait at a poller.

    :param key: What is awaited.
    :param interval: Maximum seconds between two looks.
    """

    def __init__(self, key: K, interval: float) -> None:
        loop = asyncio.get_running_loop()
        self.key = key
        self.interval = interval
        self.joined_at = self.due = loop.time()
        self.ended: asyncio.Future[None] = loop.create_future()

    def observe(self, found: Any, now: float) -> None:
        """Process an answer, and end the wait if what is awaited is there.

        :param found: What a look has returned.
        :param now: The time of the call.
        """
        raise NotImplementedError

    def end(self) -> None:
        """End the wait."""
        if not self.ended.done():  # a cancelled trigger has also cancelled its future
            self.ended.set_result(None)

    def fail(self, error: Exception) -> None:
        """End the wait with an error."""
        if not self.ended.done():
            self.ended.set_exception(error)


class BatchPoller(Generic[H]):
    """Looks at all that is awaited under one connection, until there are no more waits.

    A call looks at several as easily as at one: as soon as one of them is due, all are looked at.

    :param make_hook: Makes the hook of the connection.
    :param limits: The rates of all pollers of this event loop.
    :param on_end: Called with this poller after the last wait has ended, or when the poller failed.
    """

    #: How many keys a call takes.
    keys_of_a_call: int
    #: Name of the poller's task.
    name: str

    def __init__(self, make_hook: Callable[[], H], limits: RateLimits, on_end: Callable[[Any], None]) -> None:
        self._make_hook = make_hook
        self._limits = limits
        self._on_end = on_end
        self._loop = asyncio.get_running_loop()
        self._waiters: list[BatchWaiter[Any]] = []
        self._has_joined = asyncio.Event()
        # In its own context, as the first trigger's context, with its log, ends with that trigger.
        self._task = self._loop.create_task(self._run(), name=self.name, context=contextvars.Context())

    @staticmethod
    def make_polls(make_hook: Callable[[], H]) -> Polls:
        """Return what calls AWS. This runs in a thread, as the import of botocore is slow."""
        raise NotImplementedError

    @staticmethod
    def bucket(limits: RateLimits, account: Hashable) -> TokenBucket:
        """Return the limiter of the calls."""
        raise NotImplementedError

    def join(self, waiter: BatchWaiter[Any]) -> None:
        """Look for a wait."""
        self._waiters.append(waiter)
        self._has_joined.set()

    def leave(self, waiter: BatchWaiter[Any]) -> None:
        """Look no longer."""
        if waiter in self._waiters:
            self._waiters.remove(waiter)
        if not self._waiters:
            self._on_end(self)
            self._task.cancel()

    async def _run(self) -> None:
        try:
            polls: Polls = await in_thread(self.make_polls)(self._make_hook)
            bucket = self.bucket(self._limits, await self._account(polls))
            while True:
                self._has_joined.clear()
                pause = min((waiter.due for waiter in self._waiters), default=math.inf) - self._loop.time()
                if pause > 0:
                    await nap(self._has_joined, pause)
                    continue
                # Those that come at the same time are in the same call.
                await asyncio.sleep(min(GATHERED, *(waiter.interval for waiter in self._waiters)))
                waiters, size = list(self._waiters), self.keys_of_a_call
                for some in (waiters[start : start + size] for start in range(0, len(waiters), size)):
                    await self._take_turn(bucket)
                    await self._look(polls, some, bucket)
        except Exception as error:
            self._on_end(self)
            for waiter in self._waiters:
                waiter.fail(error)

    async def _account(self, polls: Polls) -> Hashable:
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

    async def _look(self, polls: Polls, waiters: list[BatchWaiter[Any]], bucket: TokenBucket) -> None:
        """Look for some waits; of a call that AWS refuses for good, for each by itself."""
        now = self._loop.time()
        keys = list(dict.fromkeys(waiter.key for waiter in waiters))
        try:
            found = await in_thread(polls.look)(keys)
        except Exception as error:
            if len(keys) > 1:
                # It may be for one of them: permissions are on resources.
                for key in keys:
                    await self._take_turn(bucket)
                    await self._look(polls, [one for one in waiters if one.key == key], bucket)
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

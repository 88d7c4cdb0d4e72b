"""One poller for all waits of a triggerer that use the same connection: it lists endpoints, or describes them, whichever is cheaper."""

from __future__ import annotations

import asyncio
import contextvars
import heapq
import itertools
import json
import logging
import math
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, cast
from weakref import WeakKeyDictionary

from airflow_sm_hosting.triggers.pace import TokenBucket, jittered, sweep_period
from airflow_sm_hosting.triggers.rate_limits import RateLimits

if TYPE_CHECKING:
    from airflow_sm_hosting.deployer.endpoint_calls import EndpointCalls, Page
    from airflow_sm_hosting.deployer.waiting import EndpointWait
    from airflow_sm_hosting.deployment.status import Described
    from airflow_sm_hosting.deployment.wait import WaitResult
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

    See = Callable[[EndpointWait], WaitResult | None]

T = TypeVar("T")
#: A hook, and a kind of poller.
H = TypeVar("H")
P = TypeVar("P")
log = logging.getLogger(__name__)

#: An endpoint that lists show in transition is also described, as lists may lag: after this many seconds at the earliest, and so rarely
#: that these describe calls add at most this share to the calls of the sweeps.
BACKUP_INTERVAL, BACKUP_PART = 300.0, 0.25

#: An endpoint whose traffic moves in stages is described after this many seconds at the earliest, though lists show it in transition.
STAGE_INTERVAL = 60.0

#: After this many missed sweeps, an endpoint is described instead.
MISSED_SWEEPS = 3

#: Maximum time between two pages of a sweep, in seconds: AWS does not document the lifetime of a NextToken.
LONGEST_SPACING = 10.0

#: How long the number of pages of the last sweep stays valid, in seconds.
PAGES_BELIEVED = 900.0

#: Time until the next try after AWS refused ListEndpoints permanently, in seconds.
LISTS_REFUSED = 3600.0

#: Minimum time between two lookups of a connection whose credentials AWS refuses, in seconds.
CONNECTION_KEPT = 60.0

#: Maximum number of waits that join in one turn of the event loop.
LET_IN_AT_ONCE = 20

#: When many waits need their first poll, a sweep begins this many seconds later, to include waits that come at the same time.
GATHERED = 0.5

#: Maximum number of concurrent describe calls; each takes a thread.
DESCRIBES_AT_ONCE = 3

#: The kind of a condition that waits for an inference component (``deployment/status.py``, which the triggerer imports in a thread).
COMPONENT = "inference component"

#: The last poll of an endpoint is this long after its deadline, in seconds: the event loop uses another clock.
CLOCKS_APART = 0.001


def in_thread(function: Callable[..., T]) -> Callable[..., Awaitable[T]]:
    """Return a function that runs in a thread and does not block the event loop.

    Not ``asyncio.to_thread``: the lookup of a connection in the thread uses the triggerer's event loop, and Airflow 3.1 finds that loop
    only through asgiref.
    """
    from asgiref.sync import sync_to_async

    return sync_to_async(function, thread_sensitive=False)


async def wait_for_endpoint(
    make_hook: Callable[[], SageMakerHostingHook],
    aws_parameters: Mapping[str, Any],
    *,
    awaited: Mapping[str, Any],
    deadline: float,
    started_at: float,
    poll_interval: float,
    log_status: Callable[[str], None],
    observe_status: Callable[[Described | None], None] = lambda described: None,
) -> WaitResult:
    """Wait in the poller of the connection, which all its waits share, and return the result of this wait.

    :param make_hook: Makes the hook from the AWS parameters.
    :param aws_parameters: The four AWS parameters. Waits with equal parameters share a poller.
    :param awaited: The condition that ends the wait, as ``WaitCondition.serialize`` writes it.
    :param deadline: When the time budget ends, in seconds since the epoch.
    :param started_at: When the wait began, in seconds since the epoch.
    :param poll_interval: Maximum seconds between two polls, as far as the rates allow.
    :param log_status: Takes a status line; called in the caller's context, so that the line goes to the caller's log.
    :param observe_status: Takes each description, in the event loop (default: nothing takes it).
    """
    kind = ComponentPoller if awaited.get("kind") == COMPONENT else EndpointPoller
    poller = pollers().of(kind, make_hook, aws_parameters)
    with poller.used():
        # A few in each turn of the event loop, so that a thousand at once do not block it.
        async with poller.door:
            from airflow_sm_hosting.deployer.waiting import EndpointWait
            from airflow_sm_hosting.deployment.wait import WaitCondition

            context = contextvars.copy_context()
            condition = WaitCondition.deserialize(awaited)
            deadline = min(deadline, condition.give_up_at or deadline)
            wait = EndpointWait(
                condition,
                deadline=deadline,
                started_at=started_at,
                log_status=lambda line: context.run(log_status, line),
                observe_status=observe_status,
            )
            waiter = Waiter(wait, deadline, poll_interval)
            endpoint = poller.join(condition.endpoint_name, waiter)
        try:
            return await waiter.ended
        finally:
            poller.leave(endpoint, waiter)


class Waiter:
    """One wait at a poller.

    :param wait: The wait, which judges observations.
    :param deadline: When its time budget ends, in seconds since the epoch.
    :param interval: Maximum seconds between two polls.
    """

    __slots__ = ("deadline", "ended", "interval", "joined_at", "wait")

    def __init__(self, wait: EndpointWait, deadline: float, interval: float) -> None:
        loop = asyncio.get_running_loop()
        self.wait = wait
        self.deadline = deadline
        self.interval = interval
        self.joined_at = loop.time()
        self.ended: asyncio.Future[WaitResult] = loop.create_future()


class WatchedEndpoint:
    """An endpoint with at least one wait; times are those of the event loop.

    :param name: Its name, as given by the waits.
    :param now: The time.
    """

    __slots__ = (
        "backup_part",
        "described_at",
        "due",
        "in_flight",
        "interval",
        "joined_at",
        "looked_at",
        "name",
        "pause",
        "waiters",
        "wanted_since",
        "was_refused",
    )

    def __init__(self, name: str, now: float) -> None:
        self.name = name
        self.waiters: list[Waiter] = []
        self.interval = math.inf
        self.pause = math.inf
        self.joined_at = now
        self.looked_at: float | None = None
        self.described_at = now
        #: Share of the time between two backup describe calls that passes before the next one; random for the first one.
        self.backup_part = random.random()  # noqa: S311
        #: Since when a description is needed: a new wait has joined, or a row has shown a change that needs a description.
        self.wanted_since = math.inf
        self.in_flight = False
        #: Whether the credentials were renewed for the last call.
        self.was_refused = False
        self.due = math.inf


class EndpointPoller:
    """Polls all awaited endpoints of one connection, until there are no more waits.

    Two loops run concurrently: one lists, one describes, each limited by the rate of its operation. After every call the poller decides
    again what is due, and which of the two is cheaper.

    :param make_hook: Makes the hook of the connection.
    :param limits: The rates of all pollers of this event loop.
    :param on_end: Called with this poller after the last wait has ended, or when the poller failed.
    """

    #: The operation that lists, and what it lists.
    listing = "ListEndpoints"
    noun = "Endpoints"

    def __init__(
        self,
        make_hook: Callable[[], SageMakerHostingHook],
        limits: RateLimits,
        on_end: Callable[[EndpointPoller], None],
    ) -> None:
        self._make_hook = make_hook
        self._limits = limits
        self._on_end = on_end
        self._failure: Exception | None = None
        self._loop = asyncio.get_running_loop()
        #: Closed until the modules that judge are imported; then a few waits at a time join.
        self.door = asyncio.Semaphore(0)
        self._users = 0
        self._endpoints: dict[str, WatchedEndpoint] = {}
        self._intervals: Counter[float] = Counter()
        self._unseen = 0
        # Describing.
        self._describes_in_flight = 0
        self._due: list[tuple[float, int, WatchedEndpoint]] = []
        self._order = itertools.count()
        self._something_is_due = asyncio.Event()
        # Listing.
        self._pages = 1
        self._pages_counted_at = -math.inf
        self._period: float | None = None
        self._plan_is_old = True
        self._swept_at = -math.inf
        self._sweep_part = 1.0
        self._lists_allowed_at = -math.inf
        self._refusal_was_told = False
        self._sweep_is_due = asyncio.Event()
        # Asking.
        self._calls: EndpointCalls
        self._connected_at = -math.inf
        self._connecting = asyncio.Lock()
        self._describes: TokenBucket
        self._lists: TokenBucket
        # In its own context, as the first trigger's context, with its log, ends with that trigger.
        self._task = self._loop.create_task(
            self._run(), name="endpoint-poller", context=contextvars.Context()
        )

    @staticmethod
    def make_calls(make_hook: Callable[[], SageMakerHostingHook]) -> EndpointCalls:
        """Return the calls of a connection."""
        from airflow_sm_hosting.deployer.endpoint_calls import EndpointCalls

        return EndpointCalls(make_hook())

    # Who waits.

    @contextmanager
    def used(self) -> Iterator[None]:
        """Keep the poller while the block runs."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._on_end(self)
                self._task.cancel()

    def join(self, name: str, waiter: Waiter) -> WatchedEndpoint:
        """Watch an endpoint for a wait."""
        if self._failure:
            raise self._failure
        endpoint = self._endpoints.get(name)
        if endpoint is None:
            endpoint = self._endpoints[name] = WatchedEndpoint(name, waiter.joined_at)
            self._unseen += 1
        endpoint.waiters.append(waiter)
        self._count_intervals(endpoint)
        # A new wait is polled now, also if others already wait for the same endpoint.
        if endpoint.looked_at is not None:
            endpoint.wanted_since = min(endpoint.wanted_since, waiter.joined_at)
        self._schedule(endpoint)
        return endpoint

    def leave(self, endpoint: WatchedEndpoint, waiter: Waiter) -> None:
        """Stop watching an endpoint for a wait."""
        if waiter not in endpoint.waiters:
            return
        endpoint.waiters.remove(waiter)
        self._count_intervals(endpoint)
        if not endpoint.waiters:
            del self._endpoints[endpoint.name]
            endpoint.due = math.inf
            self._unseen -= endpoint.looked_at is None

    def _count_intervals(self, endpoint: WatchedEndpoint) -> None:
        interval = min((waiter.interval for waiter in endpoint.waiters), default=math.inf)
        if interval == endpoint.interval:
            return
        if endpoint.interval != math.inf:
            self._intervals[endpoint.interval] -= 1
            if not self._intervals[endpoint.interval]:
                del self._intervals[endpoint.interval]
        if interval != math.inf:
            self._intervals[interval] += 1
        endpoint.interval = interval
        endpoint.pause = jittered(interval, random.random())  # noqa: S311 - spreads calls
        self._plan_is_old = True
        self._sweep_is_due.set()
        self._something_is_due.set()

    # The task.

    async def _run(self) -> None:
        try:
            # In a thread, as the import of botocore is slow.
            await in_thread(_import_what_judges)()
            for _ in range(LET_IN_AT_ONCE):
                self.door.release()
            await self._connect_first()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._keep_listing())
                await self._keep_describing(tasks)
        except Exception as error:
            log.exception("The endpoint poller failed")
            self._failure = error
            self._on_end(self)
            self.door.release()
            for endpoint in self._endpoints.values():
                for waiter in endpoint.waiters:
                    if not waiter.ended.done():
                        waiter.ended.set_exception(error)

    async def _connect_first(self) -> None:
        """Look up the connection, and retry temporary errors; a permanent error ends the waits."""
        trouble = TokenBucket(1.0, 1.0, self._loop.time())
        while True:
            try:
                await self._connect()
            except Exception as error:
                now = self._loop.time()
                trouble.failed(now, random.random())  # noqa: S311
                for endpoint in list(self._endpoints.values()):
                    self._inform_waiters(endpoint, now, _failing(error))
                await asyncio.sleep(trouble.wait(now))
            else:
                return

    async def _connect(self) -> None:
        self._calls = await in_thread(partial(self.make_calls, self._make_hook))()
        self._describes, self._lists = self._limits.of((self._calls.account, self.listing))
        self._connected_at = self._loop.time()
        # New credentials may have permissions that the old ones lacked.
        self._lists_allowed_at = -math.inf
        self._plan_is_old = True
        self._sweep_is_due.set()

    # What to do, and when.

    def _plan(self) -> None:
        """Decide whether to list, and how often."""
        self._plan_is_old = False
        allowed = self._loop.time() >= self._lists_allowed_at
        period = sweep_period(
            self._intervals,
            self._pages,
            lists_per_second=self._limits.lists_per_second if allowed else 0.0,
            describes_per_second=self._limits.calls_per_second,
        )
        if period == self._period:
            return
        self._period = period
        self._sweep_is_due.set()
        now = self._loop.time()
        for endpoint in self._endpoints.values():
            endpoint.due = self._due_at(endpoint, now)
        self._due = [
            (endpoint.due, next(self._order), endpoint)
            for endpoint in self._endpoints.values()
            if endpoint.due < math.inf
        ]
        heapq.heapify(self._due)
        self._something_is_due.set()

    def _is_hurried(self) -> bool:
        """Return whether a sweep is cheaper for the waits that need their first poll."""
        return self._period is not None and self._unseen > self._pages

    def _due_at(self, endpoint: WatchedEndpoint, now: float) -> float:
        """Return when to describe an endpoint."""
        if endpoint.in_flight or not endpoint.waiters:
            return math.inf
        wanted = endpoint.wanted_since
        if endpoint.looked_at is None and not self._is_hurried():
            wanted = endpoint.joined_at
        looked_at = endpoint.joined_at if endpoint.looked_at is None else endpoint.looked_at
        if self._period is None or endpoint.interval < self._period:
            due = looked_at + endpoint.pause
        else:
            sweep = max(self._period, self._pages / self._limits.lists_per_second)
            backup = max(BACKUP_INTERVAL, len(self._endpoints) * sweep / (self._pages * BACKUP_PART))
            due = min(
                endpoint.described_at + endpoint.backup_part * backup,
                looked_at + MISSED_SWEEPS * sweep,
                self._stage_due(endpoint, sweep, now),
            )
        # A wait ends with a poll at its deadline.
        first, *others = endpoint.waiters
        deadline = min(waiter.deadline for waiter in endpoint.waiters) if others else first.deadline
        left = deadline - time.time()
        return min(wanted, due, now + left + CLOCKS_APART)

    def _stage_due(self, endpoint: WatchedEndpoint, sweep: float, now: float) -> float:
        """Return when to describe a listed endpoint for its stages, which rows do not show.

        At the end of a bake; and at a slow pace, so that these describe calls add at most as many calls as the sweeps.
        """
        if not any(waiter.wait.has_stages for waiter in endpoint.waiters):
            return math.inf
        pace = max(STAGE_INTERVAL, len(self._endpoints) * sweep / self._pages)
        ends = min(waiter.wait.look_at for waiter in endpoint.waiters)
        return min(endpoint.described_at + pace, now + ends - time.time())

    def _schedule(self, endpoint: WatchedEndpoint) -> None:
        """Queue an endpoint; one that is queued too early is queued again when its turn comes."""
        due = self._due_at(endpoint, self._loop.time())
        if due < endpoint.due:
            endpoint.due = due
            heapq.heappush(self._due, (due, next(self._order), endpoint))
            if self._due[0][2] is endpoint:
                self._something_is_due.set()

    def _next_due(self) -> WatchedEndpoint | None:
        """Return the endpoint to describe first."""
        while self._due:
            due, _, endpoint = self._due[0]
            if due == endpoint.due:
                return endpoint
            heapq.heappop(self._due)
        return None

    # Describing.

    async def _keep_describing(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            self._something_is_due.clear()
            if self._plan_is_old:
                self._plan()
            endpoint = self._next_due()
            now = self._loop.time()
            if endpoint is None or self._describes_in_flight == DESCRIBES_AT_ONCE:
                await self._something_is_due.wait()
                continue
            pause = max(endpoint.due - now, self._describes.wait(now))
            if pause > 0:
                await nap(self._something_is_due, pause)
                continue
            heapq.heappop(self._due)
            endpoint.due = math.inf
            if self._due_at(endpoint, now) > now:
                self._schedule(endpoint)
                continue
            self._describes.take(now)
            self._describes_in_flight += 1
            endpoint.in_flight = True
            tasks.create_task(self._describe(endpoint))

    async def _describe(self, endpoint: WatchedEndpoint) -> None:
        asked_at = self._loop.time()
        try:
            answer = await in_thread(self._calls.describe)(endpoint.name)
            self._note_success(self._describes, answer.requests)
            endpoint.was_refused = False
            states = await self._alarm_states(endpoint, answer.value)
            see: See = lambda wait: wait.observe(answer.value, states)  # noqa: E731
        except Exception as error:
            self._note_failure(self._describes, error)
            is_repeated = endpoint.was_refused
            endpoint.was_refused = not is_repeated and await self._has_new_credentials(error, asked_at)
            see = _again if endpoint.was_refused else _failing(error)
        self._describes_in_flight -= 1
        self._something_is_due.set()
        endpoint.in_flight = False
        came_later = self._inform_waiters(endpoint, asked_at, see)
        endpoint.wanted_since = asked_at if came_later or see is _again else math.inf
        endpoint.described_at, endpoint.backup_part = asked_at, 1.0
        self._was_seen(endpoint, asked_at)

    async def _alarm_states(self, endpoint: WatchedEndpoint, described: Described | None) -> dict[str, str]:
        """Return the states of the alarms that the waits are about to tell of."""
        names = {name for waiter in endpoint.waiters for name in waiter.wait.alarms_to_show(described)}
        return await in_thread(self._calls.alarm_states)(sorted(names)) if names else {}

    def _inform_waiters(self, endpoint: WatchedEndpoint, asked_at: float, see: See) -> bool:
        """Pass an answer to all waits that had joined before the call; return whether another wait has joined since."""
        came_later = False
        for waiter in list(endpoint.waiters):
            if waiter.joined_at > asked_at:
                came_later = True
            elif (result := see(waiter.wait)) is not None:
                self.leave(endpoint, waiter)
                # A cancelled trigger has also cancelled its future.
                if not waiter.ended.done():
                    waiter.ended.set_result(result)
        return came_later

    def _was_seen(self, endpoint: WatchedEndpoint, at: float) -> None:
        self._unseen -= endpoint.looked_at is None and bool(endpoint.waiters)
        endpoint.looked_at = at
        endpoint.pause = jittered(endpoint.interval, random.random())  # noqa: S311
        self._schedule(endpoint)

    async def _has_new_credentials(self, error: Exception, asked_at: float) -> bool:
        """Look up the connection again after AWS refused a call; return whether to retry the call."""
        from airflow_sm_hosting.hooks.errors import is_passing

        if is_passing(error):
            return False
        async with self._connecting:
            if self._connected_at > asked_at:
                return True
            if asked_at - self._connected_at < CONNECTION_KEPT:
                return False
            try:
                await in_thread(self._calls.look_up_again)()
                await self._connect()
            except Exception:
                log.warning("The AWS connection could not be looked up again", exc_info=True)
                self._connected_at = asked_at
                return False
            return True

    def _note_success(self, bucket: TokenBucket, requests: int) -> None:
        bucket.take(self._loop.time(), requests - 1)
        bucket.succeeded()

    def _note_failure(self, bucket: TokenBucket, error: Exception) -> None:
        from airflow_sm_hosting.deployer.endpoint_calls import requests_of
        from airflow_sm_hosting.hooks.errors import is_passing

        now = self._loop.time()
        bucket.take(now, requests_of(error) - 1)
        if is_passing(error):
            bucket.failed(now, random.random())  # noqa: S311

    # Listing.

    async def _keep_listing(self) -> None:
        while True:
            self._sweep_is_due.clear()
            now = self._loop.time()
            if self._period is None and now >= self._pages_counted_at + PAGES_BELIEVED:
                # Endpoints of others may be gone meanwhile; a sweep that becomes too expensive stops itself.
                self._pages = 1
            self._plan()
            pause = self._until_sweep(now)
            if pause > 0:
                await nap(self._sweep_is_due, pause)
                continue
            if self._is_hurried():
                await asyncio.sleep(GATHERED)
            await self._sweep()

    def _until_sweep(self, now: float) -> float:
        if now < self._lists_allowed_at:
            return self._lists_allowed_at - now
        if self._period is None:
            return math.inf if self._pages == 1 else self._pages_counted_at + PAGES_BELIEVED - now
        return 0.0 if self._is_hurried() else self._swept_at + self._sweep_part * self._period - now

    async def _sweep(self) -> None:
        """List endpoints page by page, spread over the interval, until all awaited endpoints were seen, or describing is cheaper."""
        self._swept_at = began = self._loop.time()
        self._sweep_part = jittered(1.0, random.random())  # noqa: S311
        left = {name.lower(): name for name in self._endpoints}
        token: str | None = None
        for pages in itertools.count(1):
            if self._period is None:
                return
            answer = await self._list(token)
            if answer is None:
                return
            asked_at, page = answer
            self._take_rows(page, asked_at, left)
            token = page.next_token
            done = token is None or not any(name in self._endpoints for name in left.values())
            self._pages = pages if done else max(self._pages, pages + 1)
            self._pages_counted_at = asked_at
            if done:
                break
            self._plan()
            await self._space_pages(asked_at)
        if token is None:
            for name in left.values():
                if endpoint := self._endpoints.get(name):
                    self._take_row(endpoint, None, began)
        self._plan()

    async def _space_pages(self, last: float) -> None:
        while self._period is not None and not self._is_hurried():
            self._sweep_is_due.clear()
            pause = last + min(self._period / self._pages, LONGEST_SPACING) - self._loop.time()
            if pause <= 0:
                return
            await nap(self._sweep_is_due, pause)

    async def _list(self, token: str | None) -> tuple[float, Page] | None:
        """Return a page and the time of its request; None when AWS refuses permanently."""
        from airflow_sm_hosting.hooks.errors import is_passing

        while True:
            while (pause := self._lists.wait(self._loop.time())) > 0:
                await asyncio.sleep(pause)
            asked_at = self._loop.time()
            self._lists.take(asked_at)
            # A list counts against the rate of describe calls, but does not wait for it.
            self._describes.take(asked_at)
            try:
                answer = await in_thread(self._calls.page)(token)
            except Exception as error:
                self._note_failure(self._lists, error)
                if is_passing(error):
                    log.info("%s failed (%s); retrying", self.listing, error)
                    continue
                self._stop_listing(error)
                return None
            self._note_success(self._lists, answer.requests)
            return asked_at, answer.value

    def _stop_listing(self, error: Exception) -> None:
        from airflow_sm_hosting.hooks.errors import is_denied

        if not self._refusal_was_told:
            way_out = (
                f" Allow sagemaker:{self.listing} to reduce the number of calls." if is_denied(error) else ""
            )
            log.warning(
                "%s cannot be listed; each is described instead.%s (%s)",
                self.noun,
                way_out,
                error,
            )
            self._refusal_was_told = True
        self._lists_allowed_at = self._loop.time() + LISTS_REFUSED
        self._plan()

    def _take_rows(self, page: Page, asked_at: float, left: dict[str, str]) -> None:
        for row in page.rows:
            # Names are unique regardless of case (CreateEndpoint).
            lower = row["EndpointName"].lower()
            name = left.pop(lower, row["EndpointName"])
            if endpoint := self._endpoints.get(name):
                self._take_row(endpoint, row, asked_at)

    def _take_row(self, endpoint: WatchedEndpoint, row: Described | None, asked_at: float) -> None:
        looking = [waiter.wait for waiter in endpoint.waiters if waiter.joined_at <= asked_at]
        if not looking:
            return
        # A wait that joined during the request has not seen a page yet.
        is_wanted = len(looking) < len(endpoint.waiters)
        for wait in looking:
            is_wanted |= wait.observe_row(row)
        if is_wanted:
            endpoint.wanted_since = min(endpoint.wanted_since, asked_at - self._age(row))
        self._was_seen(endpoint, asked_at)

    def _age(self, row: Described | None) -> float:
        """Return the time since an endpoint's last change in a row: the longest waiting endpoint is described first."""
        if row is None:
            return 0.0
        age: float = time.time() - row["LastModifiedTime"].timestamp()
        return min(max(0.0, age), self._period or 0.0)


class ComponentPoller(EndpointPoller):
    """The same for inference components: DescribeInferenceComponent and ListInferenceComponents."""

    listing = "ListInferenceComponents"
    noun = "Inference components"

    @staticmethod
    def make_calls(make_hook: Callable[[], SageMakerHostingHook]) -> EndpointCalls:
        """Return the calls of a connection."""
        from airflow_sm_hosting.deployer.endpoint_calls import ComponentCalls

        return ComponentCalls(make_hook())


class Pollers:
    """The pollers of an event loop, by their AWS parameters."""

    def __init__(self) -> None:
        self._limits = RateLimits()
        self._running: dict[tuple[type[Any], str], Any] = {}

    def of(
        self,
        kind: Callable[[Callable[[], H], RateLimits, Callable[[P], None]], P],
        make_hook: Callable[[], H],
        aws_parameters: Mapping[str, Any],
    ) -> P:
        """Return the poller of a kind with these AWS parameters, made if there is none.

        :param kind: The class of the poller.
        """
        key = (cast("type[P]", kind), _in_json(aws_parameters))
        if key not in self._running:
            self._running[key] = kind(make_hook, self._limits, partial(self._forget, key))
        return cast("P", self._running[key])

    def _forget(self, key: tuple[type[Any], str], poller: object) -> None:
        if self._running.get(key) is poller:
            del self._running[key]


_in_json = json.JSONEncoder(sort_keys=True, default=str).encode

_POLLERS: WeakKeyDictionary[asyncio.AbstractEventLoop, Pollers] = WeakKeyDictionary()


def pollers() -> Pollers:
    """Return the pollers of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _POLLERS:
        _POLLERS[loop] = Pollers()
    return _POLLERS[loop]


def _again(wait: EndpointWait) -> None:
    """Discard the result: the call is repeated."""


def _failing(error: Exception) -> See:
    return lambda wait: wait.fail_to_observe(error)


def _import_what_judges() -> None:
    import airflow_sm_hosting.deployer.waiting  # noqa: F401


async def nap(event: asyncio.Event, seconds: float) -> None:
    """Wait for the event, for a number of seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None if seconds == math.inf else seconds):
            await event.wait()

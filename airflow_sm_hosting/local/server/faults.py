"""Faults: simulated failures, for tests of how callers handle them.

This module decides which requests and containers a fault hits, from the time and from former hits. :class:`.handlers.InjectFaults` and
:class:`airflow_sm_hosting.local.engines.crashing.CrashingEngine` carry it out.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

from airflow_sm_hosting.local.clock import Clock
from airflow_sm_hosting.local.wire.errors import AwsError

#: The kinds of faults, and which members each can have beside those of all.
KINDS: dict[str, tuple[str, ...]] = {
    # Requests
    "throttle": ("service", "operation", "resource", "rate"),
    "delay": ("service", "operation", "resource", "delay"),
    "error": ("service", "operation", "resource", "code", "message", "status"),
    "drop": ("service", "operation", "resource", "when"),
    # What endpoints run on
    "capacity": ("instance_type", "instances"),
    "crash": ("endpoint", "variant", "container", "when"),
}
_ALL = ("count", "seconds")
_WHEN = {"drop": ("before", "after"), "crash": ("now", "start")}
_NUMBERS = {
    "count": (1, 1_000_000_000, int),
    "seconds": (0.001, 1e9, float),
    "rate": (0.001, 1e6, float),
    "delay": (0.0, 3600.0, float),
    "status": (400, 599, int),
    "instances": (0, 1_000_000, int),
}

# Each service has its own word for throttling. The others: https://docs.aws.amazon.com/awssupport/latest/APIReference/CommonErrors.html
_THROTTLED = {
    # https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    "s3": AwsError("SlowDown", "Please reduce your request rate.", status=503),
    # Both names are in botocore's data (_retry.json); that the services of the query protocol have this one is assumed.
    "monitoring": AwsError("Throttling", "Rate exceeded"),
    "iam": AwsError("Throttling", "Rate exceeded"),
    "sts": AwsError("Throttling", "Rate exceeded"),
    "sns": AwsError("Throttling", "Rate exceeded"),
}
# As SDKs see it of SageMaker: sagemaker-python-sdk#645
_THROTTLING = AwsError("ThrottlingException", "Rate exceeded")


@dataclass(frozen=True)
class Fault:
    """One fault. Names may have the wildcards ``*``, ``?`` and ``[…]``; None matches all.

    :param id: Its id.
    :param kind: One of :data:`KINDS`.
    :param begins: Its first time.
    :param seconds: How long it lasts; None: until it is removed.
    :param count: How often it hits; None: always.
    :param service: The service that a request is signed for: ``sagemaker``, ``s3``, ``monitoring`` (CloudWatch), …
    :param operation: The operation: ``CreateEndpoint``.
    :param resource: What a request is about, as the request log names it.
    :param rate: Of a ``throttle``: how many requests a second of each operation go through; None for none.
    :param delay: Of a ``delay``: seconds of real time, whichever the clock.
    :param code: Of an ``error``: its code.
    :param message: Of an ``error``: its sentence.
    :param status: Of an ``error``: its HTTP status.
    :param when: Of a ``drop``: the connection is cut ``before`` or ``after`` the service acts; of a ``crash``: containers
        that run end ``now``, or those that are started end at their ``start``.
    :param instance_type: Of a ``capacity``: which instances are short.
    :param instances: Of a ``capacity``: at most so many are given at once, or so many copies of inference components on them.
    :param endpoint: Of a ``crash``: the endpoint.
    :param variant: Of a ``crash``: the variant.
    :param container: Of a ``crash``: ``primary``, or the container's hostname.
    """

    id: str
    kind: str
    begins: datetime
    seconds: float | None = None
    count: int | None = None
    service: str | None = None
    operation: str | None = None
    resource: str | None = None
    rate: float | None = None
    delay: float = 1.0
    code: str = "InternalFailure"
    message: str = "The request processing has failed because of an unknown error, exception or failure."
    status: int = 500
    when: str = ""
    instance_type: str | None = None
    instances: int = 0
    endpoint: str | None = None
    variant: str | None = None
    container: str | None = None

    def is_over(self, now: datetime, hits: int) -> bool:
        """Return whether it is over."""
        if self.count is not None and hits >= self.count:
            return True
        return self.seconds is not None and now >= self.begins + timedelta(seconds=self.seconds)

    def is_about(self, **names: str | None) -> bool:
        """Return whether it concerns what has these names."""
        return all(_matches(getattr(self, member), name) for member, name in names.items())

    def described(self, hits: int) -> dict[str, Any]:
        """Return the fault as the admin API shows it.

        :param hits: How often it has hit.
        """
        members = ("kind", *_ALL, *KINDS[self.kind])
        shown = {member: getattr(self, member) for member in members}
        return {
            "id": self.id,
            "hits": hits,
            **{name: value for name, value in shown.items() if value is not None},
        }


def fault_of(request: Mapping[str, Any], *, id: str, now: datetime) -> Fault:
    """Return the fault that a request describes.

    :raises AwsError: It describes none, with the reason.
    """
    kind = request.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise _invalid(f"kind must be one of {', '.join(KINDS)}, not {kind!r}.")
    given = {name: value for name, value in request.items() if name != "kind" and value is not None}
    known = (*_ALL, *KINDS[kind])
    for name, value in given.items():
        if name not in known:
            raise _invalid(f"A fault of the kind {kind} has no {name}; allowed: {', '.join(known)}.")
        _check(kind, name, value)
    if kind == "crash" and "endpoint" not in given:
        raise _invalid("A fault of the kind crash needs an endpoint ('*' for all).")
    if kind == "error":
        # An unknown failure is the service's, what has a name is the caller's.
        given.setdefault("status", 400 if "code" in given else 500)
    if kind in _WHEN:
        given.setdefault("when", "after" if kind == "drop" else "now")
    if kind == "crash" and given["when"] == "now" and (set(given) & set(_ALL)):
        raise _invalid("A fault of the kind crash with when='now' cannot have count or seconds.")
    return Fault(id, kind, now, **given)


def _check(kind: str, name: str, value: Any) -> None:
    if name in _NUMBERS:
        low, high, type_ = _NUMBERS[name]
        is_number = isinstance(value, int if type_ is int else int | float) and not isinstance(value, bool)
        if not is_number or not low <= value <= high:
            what = "a whole number" if type_ is int else "a number"
            raise _invalid(f"{name} must be {what} from {low:g} to {high:g}, not {value!r}.")
    elif name == "when":
        if value not in _WHEN[kind]:
            raise _invalid(
                f"when must be {' or '.join(_WHEN[kind])} for a fault of the kind {kind}, not {value!r}."
            )
    elif not isinstance(value, str) or not value:
        raise _invalid(f"{name} must be a non-empty string, not {value!r}.")


def _invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


@dataclass(frozen=True)
class Hit:
    """What happens to a request.

    :param kinds: Of which kinds the faults are that hit it.
    :param delay: How many seconds it waits first.
    :param error: What it is refused with, without the service having acted.
    :param drop: ``before`` or ``after``: when its connection is cut.
    """

    kinds: tuple[str, ...] = ()
    delay: float = 0.0
    error: AwsError | None = None
    drop: str | None = None


@dataclass
class _ActiveFault:
    fault: Fault
    hits: int = 0
    # Of a throttle with a rate: what is left in each operation's bucket, and since when.
    buckets: dict[str, tuple[float, datetime]] = field(default_factory=dict)


class Faults:
    """All faults.

    :param clock: The clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: dict[str, _ActiveFault] = {}
        self._numbers = itertools.count(1)

    def add(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Begin a fault, and return its description.

        :raises AwsError: The request describes no fault.
        """
        with self._lock:
            fault = fault_of(request, id=f"fault-{next(self._numbers)}", now=self._clock.now())
            self._standing[fault.id] = _ActiveFault(fault)
        return self._description(fault.id)

    def described(self) -> list[dict[str, Any]]:
        """Return the descriptions of all faults, also of those that are over, the oldest first."""
        return [self._description(id) for id in list(self._standing)]

    def remove(self, id: str) -> None:
        """End a fault.

        :raises AwsError: There is none of that id.
        """
        with self._lock:
            if self._standing.pop(id, None) is None:
                raise AwsError("ResourceNotFoundException", f"There is no fault {id!r}.", status=404)

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._standing.clear()

    # What is hit

    def hit(self, service: str, operation: str, resource: str | None) -> Hit:
        """Return what happens to a request; of several refusals and drops, that of the oldest fault counts."""
        kinds: list[str] = []
        delay, error, drop = 0.0, None, None
        with self._lock:
            if not self._standing:
                return Hit()
            for one in self._of("throttle", "delay", "error", "drop"):
                fault = one.fault
                if not fault.is_about(service=service, operation=operation, resource=resource):
                    continue
                if fault.kind == "delay":
                    delay += fault.delay
                elif error or drop:
                    # What is refused already is not hit once more.
                    continue
                elif fault.kind == "throttle":
                    if fault.rate is not None and self._goes_through(
                        one, f"{service} {operation}", fault.rate
                    ):
                        continue
                    error = _THROTTLED.get(service, _THROTTLING)
                elif fault.kind == "error":
                    error = AwsError(fault.code, fault.message, status=fault.status)
                else:
                    drop = fault.when
                one.hits += 1
                kinds.append(fault.kind)
        return Hit(tuple(kinds), delay, error, drop)

    def most_instances(self, instance_type: str) -> int | None:
        """Return how many instances of a type one request can take, None if there is no shortage."""
        with self._lock:
            found = [one for one in self._of("capacity") if one.fault.is_about(instance_type=instance_type)]
            return min((one.fault.instances for one in found), default=None)

    def refused(self, instance_type: str) -> None:
        """Record that a request was refused for a shortage of a type."""
        with self._lock:
            for one in self._of("capacity"):
                if one.fault.is_about(instance_type=instance_type):
                    one.hits += 1

    def crashes(self, endpoint: str, variant: str, container: str) -> bool:
        """Return whether a container ends as soon as it is started."""
        with self._lock:
            for one in self._of("crash"):
                if one.fault.is_about(endpoint=endpoint, variant=variant, container=container):
                    one.hits += 1
                    return True
        return False

    def _description(self, id: str) -> dict[str, Any]:
        one = self._standing[id]
        return {**one.fault.described(one.hits), "over": one.fault.is_over(self._clock.now(), one.hits)}

    def _of(self, *kinds: str) -> list[_ActiveFault]:
        now = self._clock.now()
        return [
            one
            for one in self._standing.values()
            if one.fault.kind in kinds and not one.fault.is_over(now, one.hits)
        ]

    def _goes_through(self, one: _ActiveFault, operation: str, rate: float) -> bool:
        """Take a request out of its operation's bucket, which holds a second's worth, and at least one."""
        now, size = self._clock.now(), max(1.0, rate)
        left, since = one.buckets.get(operation, (size, now))
        left = min(size, left + rate * (now - since).total_seconds())
        goes = left >= 1
        one.buckets[operation] = (left - 1 if goes else left, now)
        return goes


def _matches(pattern: str | None, name: str | None) -> bool:
    return pattern is None or fnmatchcase(name or "", pattern)

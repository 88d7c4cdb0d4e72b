"""Looking at an endpoint until a wait ends: the one poll function of the sync wait, the trigger and the sensor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.awaited import Awaited
from airflow_sm_hosting.deployment.verdict import Outcome
from airflow_sm_hosting.hooks.errors import is_passing

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

#: A status that does not change is told again after this many seconds.
REPEAT_STATUS_AFTER = 300.0

#: Members of DescribeEndpoint that a wait's end tells.
IDENTITY = ("EndpointArn", "EndpointConfigName", "FailureReason")


@dataclass(frozen=True)
class Sighting:
    """How a wait ended, in plain values: the payload of the trigger's event.

    :param outcome: An :class:`Outcome` that is not pending.
    :param message: What to tell: the same words for both kinds of wait.
    :param described: What identifies the endpoint in its last description: EndpointArn and EndpointConfigName.
    """

    outcome: str
    message: str
    described: dict[str, str] = field(default_factory=dict)

    def serialize(self) -> dict[str, Any]:
        """Return the sighting as plain JSON."""
        return asdict(self)


def sighting_of_error(error: Exception, endpoint_name: str) -> Sighting:
    """Return the end of a wait that could not look: a missing permission, a connection that does not exist."""
    return Sighting(
        outcome=str(Outcome.UNKNOWN),
        message=f"Endpoint {endpoint_name} could not be described: {type(error).__name__}: {error}",
    )


class EndpointWatch:
    """Looks at an endpoint until a wait ends or its deadline passes.

    Throttling, and faults of the service or the connection, never end a wait before its deadline.

    :param hook: Asks SageMaker.
    :param awaited: What is waited for.
    :param deadline: When the time budget ends, in seconds since the epoch: it survives deferral and a restart of the triggerer.
    :param started_at: When the wait began, in seconds since the epoch.
    :param tell: Takes a status line for a person watching.
    """

    def __init__(
        self,
        hook: SageMakerHostingHook,
        awaited: Awaited,
        *,
        deadline: float,
        started_at: float,
        tell: Callable[[str], None],
    ) -> None:
        self._hook = hook
        self._awaited = awaited
        self._deadline = deadline
        self._started_at = started_at
        self._tell = tell
        self._told = ("", 0.0)
        self._identity: dict[str, str] = {}

    def look(self) -> Sighting | None:
        """Describe the endpoint once; return how the wait ended, or None while it goes on."""
        name = self._awaited.endpoint_name
        try:
            described = self._hook.describe_endpoint(name)
        except Exception as error:
            if not is_passing(error):
                return sighting_of_error(error, name)
            return self._unless_too_late(f"could not be described ({error}); asking again")
        self._awaited = self._awaited.after(described)
        self._identity = {
            member: described[member] for member in IDENTITY if described and member in described
        }
        verdict = self._awaited.judge(described)
        if verdict.outcome is Outcome.PENDING:
            return self._unless_too_late(verdict.message)
        return Sighting(str(verdict.outcome), verdict.message, self._identity)

    def pause(self, poll_interval: float) -> float:
        """Return how many seconds to wait before the next look: not beyond the deadline."""
        return max(0.0, min(poll_interval, self._deadline - time.time()))

    def _unless_too_late(self, status: str) -> Sighting | None:
        now = time.time()
        elapsed = now - self._started_at
        if now >= self._deadline:
            return Sighting(
                outcome=str(Outcome.TIMED_OUT),
                message=f"Endpoint {self._awaited.endpoint_name}: the time budget ended after {elapsed:.0f} s "
                f"({status}). Nothing was stopped: what goes on in AWS goes on, and the next try joins it.",
                described=self._identity,
            )
        told, when = self._told
        if status != told or now - when >= REPEAT_STATUS_AFTER:
            self._told = (status, now)
            self._tell(f"Endpoint {self._awaited.endpoint_name} after {elapsed:.0f} s: {status}")
        return None

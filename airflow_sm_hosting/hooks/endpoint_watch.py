"""Looking at an endpoint until a wait ends: the one judgement of the sync wait, the trigger's poller and the sensor."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.deployment.awaited import Awaited, Until
from airflow_sm_hosting.deployment.status import Described, is_transitional
from airflow_sm_hosting.deployment.verdict import Outcome, moment
from airflow_sm_hosting.hooks.errors import is_passing

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

#: A status that does not change is told again after this many seconds.
REPEAT_STATUS_AFTER = 300.0

#: Seconds after which a description is taken as newer than a list that was seen before (assumed: AWS gives no bound).
CONSISTENT_AFTER = 60.0

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


class EndpointWait:
    """What one wait has seen, has told, and how it ends. It asks nobody: what AWS answered is brought to it.

    Throttling, and faults of the service or the connection, never end a wait before its deadline.

    :param awaited: What is waited for.
    :param deadline: When the time budget ends, in seconds since the epoch: it survives deferral and a restart of the triggerer.
    :param started_at: When the wait began, in seconds since the epoch.
    :param tell: Takes a status line for a person watching.
    """

    def __init__(
        self, awaited: Awaited, *, deadline: float, started_at: float, tell: Callable[[str], None]
    ) -> None:
        self._awaited = awaited
        self._deadline = deadline
        self._started_at = started_at
        self._tell = tell
        self._told = ("", "", 0.0)
        self._identity: dict[str, str] = {}
        self._listed: tuple[datetime, float] | None = None
        self._known: tuple[str, str | None] | None = None
        self._as_before_since: float | None = None

    def saw(self, described: Described | None) -> Sighting | None:
        """Take DescribeEndpoint's answer, None for no such endpoint; return how the wait ended, or None while it goes on."""
        self._awaited = self._awaited.after(described)
        self._identity = {
            member: described[member] for member in IDENTITY if described and member in described
        }
        verdict = self._awaited.judge(described)
        if verdict.outcome is Outcome.PENDING:
            self._known = None if is_transitional(described) else _shown(described)
            return self._unless_too_late(verdict.message, described)
        if verdict.outcome is not Outcome.DEPLOYED and self._is_outdated(described):
            return self._unless_too_late("described as it was before; asking again")
        return Sighting(str(verdict.outcome), verdict.message, self._identity)

    def saw_listed(self, row: Described | None) -> bool:
        """Take ListEndpoints' row, None where a complete list has none; return whether the endpoint must be described now.

        A row does not name the config, so a wait never ends by it: it shows that something still goes on, or that a description is due.

        :param row: The row; its members are some of DescribeEndpoint's.
        """
        if row is None:
            self._listed = None
        else:
            changed = row["LastModifiedTime"]
            if self._listed is None or self._listed[0] != changed:
                self._listed = (changed, time.monotonic())
            if self._is_news(changed, row):
                self._awaited = self._awaited.after(row)
            # In transition, judging takes no more than the status; and what is listed is not gone.
            telling = is_transitional(row) or self._awaited.until is Until.GONE
            if telling and self._awaited.judge(row).outcome is Outcome.PENDING:
                self._mention(row["EndpointStatus"], row)
                return False
        # The sensor waits for others: while nothing changes for weeks, another description tells nothing.
        return self._awaited.until is not Until.IN_SERVICE or _shown(row) != self._known

    def could_not_look(self, error: Exception) -> Sighting | None:
        """Take a call that failed; return how the wait ended, or None while it goes on."""
        if not is_passing(error):
            return sighting_of_error(error, self._awaited.endpoint_name)
        return self._unless_too_late(f"could not be described ({error}); asking again")

    def _is_news(self, changed: datetime, row: Described) -> bool:
        """Tell whether a row is of the deployment that is waited for: lists lag, and may show how an earlier one began."""
        before = self._awaited.modified_before
        if before is None:
            return True
        began = datetime.fromisoformat(before)
        return changed > began or (changed == began and is_transitional(row))

    def _is_outdated(self, described: Described | None) -> bool:
        """Tell whether a description is older than what was seen before it: no failure is told from it before the deadline."""
        if time.time() >= self._deadline:
            return False
        return self._is_older_than_the_list(described) or self._is_as_before(described)

    def _is_older_than_the_list(self, described: Described | None) -> bool:
        if self._listed is None:
            return False
        changed, seen_at = self._listed
        if time.monotonic() - seen_at > CONSISTENT_AFTER:
            return False
        return described is None or described.get("LastModifiedTime", changed) < changed

    def _is_as_before(self, described: Described | None) -> bool:
        """Tell whether a deployment that was seen to begin is described as if it had not, as describes may lag, too."""
        before = self._awaited.modified_before
        if described is None or before is None or moment(described.get("LastModifiedTime")) != before:
            self._as_before_since = None
            return False
        if self._as_before_since is None:
            self._as_before_since = time.monotonic()
        return time.monotonic() - self._as_before_since <= CONSISTENT_AFTER

    def _unless_too_late(self, status: str, described: Described | None = None) -> Sighting | None:
        now = time.time()
        if now >= self._deadline:
            return Sighting(
                outcome=str(Outcome.TIMED_OUT),
                message=f"Endpoint {self._awaited.endpoint_name}: the time budget ended after {now - self._started_at:.0f} s "
                f"({status}). Nothing was stopped: what goes on in AWS goes on, and the next try joins it.",
                described=self._identity,
            )
        self._mention(status, described, in_full=True)
        return None

    def _mention(self, line: str, described: Described | None, *, in_full: bool = False) -> None:
        """Tell a status line if it is news: a row's, which is short, only when the status is another one than was told last."""
        now = time.time()
        told_line, told_status, when = self._told
        status = described["EndpointStatus"] if described else ""
        is_news = line != told_line if in_full else status != told_status
        if is_news or now - when >= REPEAT_STATUS_AFTER:
            self._told = (line, status, now)
            self._tell(f"Endpoint {self._awaited.endpoint_name} after {now - self._started_at:.0f} s: {line}")


class EndpointWatch(EndpointWait):
    """Looks at an endpoint until a wait ends or its deadline passes.

    :param hook: Asks SageMaker.
    :param awaited: What is waited for.
    :param deadline: When the time budget ends, in seconds since the epoch.
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
        super().__init__(awaited, deadline=deadline, started_at=started_at, tell=tell)
        self._hook = hook

    def look(self) -> Sighting | None:
        """Describe the endpoint once; return how the wait ended, or None while it goes on."""
        try:
            described = self._hook.describe_endpoint(self._awaited.endpoint_name)
        except Exception as error:
            return self.could_not_look(error)
        return self.saw(described)

    def pause(self, poll_interval: float) -> float:
        """Return how many seconds to wait before the next look: not beyond the deadline."""
        return max(0.0, min(poll_interval, self._deadline - time.time()))


def _shown(described: Described | None) -> tuple[str, str | None]:
    """Return what a row and a description both tell, to see whether anything changed."""
    if described is None:
        return ("", None)
    return (described["EndpointStatus"], moment(described.get("LastModifiedTime")))

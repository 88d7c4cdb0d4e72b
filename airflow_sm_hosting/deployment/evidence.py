"""Decide whether AWS's answers prove a verdict: reads are eventually consistent, so an answer may be stale, out of order or missing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from airflow_sm_hosting.deployment.status import Described, pending_config, same_name
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor

#: How long reads may lag behind writes, in seconds: equal answers for longer than this are the present state. SageMaker reads with eventual
#: consistency (API_CreateEndpoint); AWS documents no bound, so this one is assumed.
READS_LAG = 90.0


@dataclass(frozen=True)
class Evidence:
    """The answers so far, as far as they prove something.

    :param newest: The latest ``LastModifiedTime`` among them.
    :param answer: The last answer, without what changes while the state stays the same.
    :param since: When the first of the last, equal answers came, in seconds of a clock that never goes back.
    :param pending: The config of the last deployment that was seen in progress.
    :param pending_changed: The ``LastModifiedTime`` of the answer that showed it.
    """

    newest: datetime | None = None
    answer: tuple[Any, ...] | None = None
    since: float = 0.0
    pending: str | None = None
    pending_changed: datetime | None = None

    def after(self, described: Described | None, now: float) -> Evidence:
        """Return the evidence after another description.

        :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
        :param now: The time, in seconds of a clock that never goes back.
        """
        shown = described or {}
        answer = (
            shown.get("EndpointStatus"),
            shown.get("EndpointConfigName"),
            shown.get("LastModifiedTime"),
        )
        since = self.since if answer == self.answer else now
        changed = shown.get("LastModifiedTime")
        found = replace(self, newest=latest(self.newest, changed), answer=answer, since=since)
        pending = pending_config(shown) if shown.get("EndpointStatus") else None
        return replace(found, pending=pending, pending_changed=changed) if pending else found

    def with_newer(self, changed: datetime) -> Evidence:
        """Return the evidence after a list showed the time of the endpoint's last change."""
        return replace(self, newest=latest(self.newest, changed))

    def agrees(self, now: float) -> bool:
        """Return whether the answers have agreed for longer than reads may lag."""
        return self.answer is not None and now - self.since > READS_LAG

    def is_outdated(self, described: Described | None, now: float) -> bool:
        """Return whether an earlier answer was newer than this one, which :meth:`after` has already got."""
        if self.newest is None or self.agrees(now):
            return False
        if described is None:
            return True
        changed = described.get("LastModifiedTime")
        return changed is not None and changed < self.newest

    def proves(
        self, condition: WaitCondition, outcome: Outcome, described: Described | None, now: float
    ) -> bool:
        """Return whether the outcome of a description is proven: it is newer than the task's own call, or the answers agree for long.

        :param condition: The condition of the wait.
        :param outcome: What the description means for the wait, if it shows the present state.
        :param described: The description, which :meth:`after` has already got.
        :param now: The time, in seconds of a clock that never goes back.
        """
        if self.agrees(now) or not _may_be_outdated(condition, outcome):
            return True
        changed = (described or {}).get("LastModifiedTime")
        if changed is None or self.is_outdated(described, now):
            return False
        before, since = condition.modified_before, condition.not_before
        if before is None and since is None:
            return False
        if before is not None and changed <= datetime.fromisoformat(before):
            return False
        if since is None or changed >= datetime.fromisoformat(since):
            return True
        return outcome is Outcome.DEPLOYED and self._saw_end(condition, changed)

    def _saw_end(self, condition: WaitCondition, changed: datetime) -> bool:
        """Return whether this task's update was seen in progress before the endpoint changed again.

        It proves a success without the time of AWS's answer to the update, which a proxy on the way may have dated by its own clock.

        :param changed: ``LastModifiedTime`` of the description that shows the success.
        """
        if condition.modified_before is None or self.pending_changed is None:
            return False
        return (
            same_name(self.pending, condition.endpoint_config_name)
            and datetime.fromisoformat(condition.modified_before) < self.pending_changed < changed
        )


def _may_be_outdated(condition: WaitCondition, outcome: Outcome) -> bool:
    """Return whether an earlier state may have the same outcome: any failure, drift, and the success of a change with a known beginning."""
    if outcome is Outcome.DEPLOYED:
        if condition.until is WaitFor.DRIFTED:
            # Right after a deployment, the state before it looks like drift.
            return True
        return condition.until is WaitFor.DEPLOYED and condition.not_before is not None
    return outcome is not Outcome.PENDING


def latest(*times: datetime | None) -> datetime | None:
    """Return the latest of the known times."""
    return max((one for one in times if one is not None), default=None)

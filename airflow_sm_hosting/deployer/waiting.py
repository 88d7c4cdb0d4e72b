"""Wait for an endpoint: the worker, the triggerer's poller and the sensor judge it in the same way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from airflow_sm_hosting.deployer.alarm_states import alarm_states_of
from airflow_sm_hosting.deployer.stage_log import StageLog, next_look
from airflow_sm_hosting.deployment.component import as_compared, described_component
from airflow_sm_hosting.deployment.evidence import Evidence
from airflow_sm_hosting.deployment.rollout_stage import rollout_stage
from airflow_sm_hosting.deployment.status import Described, Kind, is_transitional, status_line
from airflow_sm_hosting.deployment.verdict import after_look, judge, moment
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.hooks.errors import are_credentials_refused, is_passing
from airflow_sm_hosting.spec.masking import without_signatures

if TYPE_CHECKING:
    from airflow_sm_hosting.deployment.rollout_stage import RolloutStage
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

#: Minimum time between two lookups of a connection whose credentials AWS refuses, in seconds.
CONNECTION_KEPT = 60.0

#: How long credentials that have worked may be refused until new ones are there, in seconds: what rotates them may come a little late.
ROTATION_AWAITED = 600.0

#: Maximum time between two polls while an end is not proven, in seconds.
DOUBT_INTERVAL = 30.0

#: Waits of sensors, for what others do.
_FOR_OTHERS = (WaitFor.IN_SERVICE, WaitFor.DRIFTED)

#: Members of DescribeEndpoint in a wait's result.
IDENTITY = ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason", "LastModifiedTime")


def result_of_error(error: Exception, endpoint_name: str, kind: Kind = Kind.ENDPOINT) -> WaitResult:
    """Return the result of a wait that could not poll: a missing permission, a connection that does not exist."""
    return WaitResult(
        outcome=str(Outcome.UNKNOWN),
        message=f"{kind.noun} {endpoint_name} could not be described: {type(error).__name__}: {without_signatures(str(error))}",
    )


class EndpointWait:
    """One wait: its observations, its log and its result. It makes no calls: the caller passes AWS's answers.

    Throttling, and faults of the service or the connection, never end a wait before its deadline.

    :param condition: The condition that ends the wait.
    :param deadline: When the time budget ends, in seconds since the epoch: it survives deferral and a restart of the triggerer.
    :param started_at: When the wait began, in seconds since the epoch.
    :param log_status: Takes a status line for a person watching.
    :param observe_status: Takes each description (default: nothing takes it).
    """

    def __init__(
        self,
        condition: WaitCondition,
        *,
        deadline: float,
        started_at: float,
        log_status: Callable[[str], None],
        observe_status: Callable[[Described | None], None] = lambda described: None,
    ) -> None:
        self._condition = condition
        self._deadline = min(deadline, condition.give_up_at or deadline)
        self._started_at = started_at
        self._log = StageLog(log_status, started_at=started_at, deadline=self._deadline)
        self._observe_status = observe_status
        self._told_status = ""
        #: Status and ``LastModifiedTime`` of the last answer that showed the endpoint.
        self._last: tuple[str, datetime] | None = None
        self._identity: dict[str, str] = {}
        self._evidence = Evidence()
        #: Whether the last description showed an end that is not proven yet.
        self.is_in_doubt = False
        self._known: tuple[str, str | None] | None = None
        self._was_described = False
        self._refused_since: float | None = None
        #: When a description is due, as a stage ends then, in seconds since the epoch.
        self.look_at = math.inf

    @property
    def has_stages(self) -> bool:
        """Whether the deployment moves traffic in stages, which only descriptions show."""
        return self._condition.rollout is not None

    def alarms_to_show(self, described: Described | None) -> tuple[str, ...]:
        """Return the alarms whose states the line about this description shows; none if no line is due."""
        stage = rollout_stage(described, self._condition.rollout)
        return stage.alarms if stage and stage.shows_alarms and self._log.is_news(stage) else ()

    def observe(
        self, described: Described | None, alarm_states: Mapping[str, str] | None = None
    ) -> WaitResult | None:
        """Process DescribeEndpoint's answer (None if the endpoint does not exist); return the result, or None while the wait continues.

        :param described: The answer.
        :param alarm_states: The states of alarms by name, for the log.
        """
        self._was_described, self._refused_since = True, None
        self._observe_status(described)
        described = as_compared(
            described, self._condition.specifications, self._condition.endpoint_config_name
        )
        if described and "LastModifiedTime" in described:
            self._last = described["EndpointStatus"], described["LastModifiedTime"]
        stage = rollout_stage(described, self._condition.rollout)
        self.look_at = next_look(stage, time.time())
        self._condition = after_look(self._condition, described)
        self._identity = identity(described)
        now = time.monotonic()
        self._evidence = self._evidence.after(described, now)
        verdict = judge(self._condition, described)
        self.is_in_doubt = False
        if verdict.outcome is Outcome.PENDING:
            self._known = None if is_transitional(described) else _shown(described)
            return self._unless_too_late(verdict.message, stage, alarm_states)
        if not self._evidence.proves(self._condition, verdict.outcome, described, now):
            self._known, self.is_in_doubt = None, True
            return self._unless_too_late(
                f"{status_line(described)}; this may be an earlier state, as reads of AWS may lag: polling again"
            )
        return WaitResult(str(verdict.outcome), verdict.message, self._identity, self._log.timings())

    def observe_row(self, row: Described | None) -> bool:
        """Process a row of ListEndpoints (None if a complete list has none); return whether the endpoint must be described now.

        A row does not contain the config, so it never ends a wait: it shows that a change is in progress, or that a description is due.

        :param row: The row, with some of the members of DescribeEndpoint.
        """
        if row is not None:
            changed = row["LastModifiedTime"]
            self._evidence = self._evidence.with_newer(changed)
            if self._is_news(changed, row):
                self._condition = after_look(self._condition, row)
            # In transition, the status is enough for the verdict; and a listed endpoint is not gone.
            telling = is_transitional(row) or self._condition.until is WaitFor.GONE
            if telling and judge(self._condition, row).outcome is Outcome.PENDING:
                return self._tell_row(row)
        # The sensor waits for others: while the row does not change, a new description shows nothing new.
        return self._condition.until not in _FOR_OTHERS or _shown(row) != self._known

    def fail_to_observe(self, error: Exception) -> WaitResult | None:
        """Process a failed call; return the result, or None while the wait continues."""
        self.look_at = math.inf
        if are_credentials_refused(error) and self._may_be_rotated():
            return self._unless_too_late(
                f"the credentials are refused ({error}); polling again with those found then"
            )
        if not is_passing(error):
            return result_of_error(error, self._condition.endpoint_name, self._condition.kind)
        return self._unless_too_late(f"could not be described ({error}); polling again")

    def _may_be_rotated(self) -> bool:
        """Return whether refused credentials may be rotated a moment later: they have worked, and have been refused for minutes only."""
        if self._refused_since is None:
            self._refused_since = time.monotonic()
        # A deployment has described the endpoint before it waits; and a wait that has gone on for a while has got answers, from another
        # triggerer if not here.
        goes_on = time.time() - self._started_at > CONNECTION_KEPT
        has_worked = self._was_described or goes_on or self._condition.until not in _FOR_OTHERS
        return has_worked and time.monotonic() - self._refused_since <= ROTATION_AWAITED

    def _is_news(self, changed: datetime, row: Described) -> bool:
        """Return whether a row belongs to the awaited deployment: lists lag, and may show the beginning of an earlier deployment."""
        before = self._condition.modified_before
        if before is None:
            return True
        began = datetime.fromisoformat(before)
        return changed > began or (changed == began and is_transitional(row))

    def _unless_too_late(
        self,
        status: str,
        stage: RolloutStage | None = None,
        alarm_states: Mapping[str, str] | None = None,
    ) -> WaitResult | None:
        now = time.time()
        if now >= self._deadline:
            return WaitResult(
                outcome=str(Outcome.TIMED_OUT),
                message=f"{self._condition.kind.noun} {self._condition.endpoint_name}: the time budget ended after "
                f"{now - self._started_at:.0f} s ({status}). Nothing was stopped: any operation in progress "
                "continues in AWS, and the next try joins it.",
                described=self._identity,
                timings=self._log.timings(),
            )
        if stage is None:
            self._log.show_status(self._named(status))
        else:
            self._told_status = stage.status
            self._log.show(stage, alarm_states)
        return None

    def _tell_row(self, row: Described) -> bool:
        """Log the status in a row of an endpoint in transition; return whether it must be described, as a row has no stage."""
        status, changed = str(row["EndpointStatus"]), row["LastModifiedTime"]
        before, is_older = self._last, self._last is not None and changed < self._last[1]
        if not is_older:
            self._last = status, changed
        is_news = self.has_stages if before is None else not is_older and before != self._last
        if is_news and self._condition.until is WaitFor.DEPLOYED:
            return True
        if status != self._told_status:
            self._told_status = status
            self._log.show_status(self._named(status))
        elif not self._log.show_unchanged():
            self._log.show_status(self._named(status))
        return False

    def _named(self, status: str) -> str:
        return f"{self._condition.kind.noun} {self._condition.endpoint_name}: {status}"


class PollingWait(EndpointWait):
    """A wait that describes the endpoint itself, until it ends or its deadline passes.

    :param hook: The SageMaker hook.
    :param condition: The condition that ends the wait.
    :param deadline: When the time budget ends, in seconds since the epoch.
    :param started_at: When the wait began, in seconds since the epoch.
    :param log_status: Takes a status line for a person watching.
    :param observe_status: Takes each description (default: nothing takes it).
    """

    def __init__(
        self,
        hook: SageMakerHostingHook,
        condition: WaitCondition,
        *,
        deadline: float,
        started_at: float,
        log_status: Callable[[str], None],
        observe_status: Callable[[Described | None], None] = lambda described: None,
    ) -> None:
        super().__init__(
            condition,
            deadline=deadline,
            started_at=started_at,
            log_status=log_status,
            observe_status=observe_status,
        )
        self._hook = hook
        self._looked_up_at = -math.inf

    def poll(self) -> WaitResult | None:
        """Describe the endpoint once; return the result, or None while the wait continues."""
        try:
            described = self._describe()
        except Exception as error:
            return self.fail_to_observe(error)
        states = alarm_states_of(self._hook, self.alarms_to_show(described))
        return self.observe(described, states)

    def _describe(self) -> Described | None:
        """Describe the endpoint; if AWS refuses the credentials, look up the connection again: it may have others after hours."""
        try:
            return self._described()
        except Exception as error:
            now = time.monotonic()
            if not are_credentials_refused(error) or now - self._looked_up_at < CONNECTION_KEPT:
                raise
            self._looked_up_at = now
            self._hook.look_up_again()
            return self._described()

    def _described(self) -> Described | None:
        name = self._condition.endpoint_name
        if self._condition.kind is Kind.COMPONENT:
            answer = self._hook.describe_inference_component(name)
            return described_component(answer) if answer else None
        return self._hook.describe_endpoint(name)

    def pause(self, poll_interval: float) -> float:
        """Return the seconds until the next poll, not beyond the deadline."""
        interval = min(poll_interval, DOUBT_INTERVAL) if self.is_in_doubt else poll_interval
        interval = min(interval, self.look_at - time.time())
        return max(0.0, min(interval, self._deadline - time.time()))


def identity(described: Described | None) -> dict[str, str]:
    """Return the members of a description that a wait's result keeps, as plain JSON."""
    return {
        member: str(moment(described[member])) for member in IDENTITY if described and member in described
    }


def _shown(described: Described | None) -> tuple[str, str | None]:
    """Return the members that rows and descriptions share, to detect changes."""
    if described is None:
        return ("", None)
    return (described["EndpointStatus"], moment(described.get("LastModifiedTime")))

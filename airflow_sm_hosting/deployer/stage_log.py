"""Tell a person in the log how a wait goes on: one line a stage, heartbeats between, and how long each stage took."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping

from airflow_sm_hosting.deployment.rollout_stage import (
    RolloutStage,
    heartbeat_line,
    heartbeat_pause,
    progress_text,
    stage_line,
)

#: A description is due this many seconds after the end of a bake, and again after so many seconds if it still goes on.
LOOK_AFTER_BAKE, LOOK_AGAIN = 1.0, 15.0


class StageLog:
    """The log of one wait.

    :param log_status: Takes a line.
    :param started_at: When the wait began, in seconds since the epoch.
    :param deadline: When its time budget ends, in seconds since the epoch.
    """

    def __init__(
        self,
        log_status: Callable[[str], None],
        *,
        started_at: float,
        deadline: float,
    ) -> None:
        self._log_status = log_status
        self._started_at = started_at
        self._deadline = deadline
        self._status = ""
        self._logged_at = 0.0
        self._heartbeats = 0
        self._begun: list[tuple[str, float]] = []
        #: The stage that was seen last; None before the first one.
        self.stage: RolloutStage | None = None

    def is_news(self, stage: RolloutStage) -> bool:
        """Return whether a line is due: of another stage than the last one, or a heartbeat."""
        return self._is_new(stage) or self._is_heartbeat_due()

    def show(self, stage: RolloutStage, alarm_states: Mapping[str, str] | None = None) -> None:
        """Take an observation of a stage, and log it if a line is due.

        :param stage: The stage.
        :param alarm_states: The states of its alarms by name, as far as they are known.
        """
        now = time.time()
        if self._is_new(stage):
            self._begin(stage, now)
            self._status = ""
            self._log(stage_line(stage, now, alarm_states))
        elif not stage.is_same(self.stage):
            return  # an earlier state: reads of AWS may lag
        elif self._is_heartbeat_due():
            self._heartbeat(self._heartbeat_line(stage, now, alarm_states))
        self.stage = stage

    def show_status(self, status: str) -> None:
        """Take a status in words, where AWS shows no stage, and log it if a line is due.

        :param status: The status; equal ones within a stage are logged once, and then as heartbeats.
        """
        if status != self._status:
            self._status = status
            self._log(status)
        elif self._is_heartbeat_due():
            self._heartbeat(f"{status}; {self._progress(time.time())}")

    def show_unchanged(self) -> bool:
        """Log a heartbeat of the stage that was seen last, if one is due; return False if there was no stage."""
        if self.stage is None:
            return False
        if self._is_heartbeat_due():
            self._heartbeat(self._heartbeat_line(self.stage, time.time(), None))
        return True

    def timings(self) -> tuple[tuple[str, float], ...]:
        """Return name and seconds of each stage until now, in order."""
        ends = [*(began for _, began in self._begun[1:]), time.time()]
        return tuple(
            (name, round(max(0.0, end - began), 1))
            for (name, began), end in zip(self._begun, ends, strict=False)
        )

    def _is_new(self, stage: RolloutStage) -> bool:
        """Return whether a stage is another one than the last, and not one before it."""
        last = self.stage
        is_before = last is not None and (stage.since or math.inf) < (last.since or -math.inf)
        return not stage.is_same(last) and not is_before

    def _begin(self, stage: RolloutStage, now: float) -> None:
        """Note when a stage began: by AWS's clock, as far as that agrees with ours."""
        earliest = self._begun[-1][1] if self._begun else self._started_at
        since = stage.since if stage.since is not None else now
        self._begun.append((stage.name, min(max(since, earliest), now)))

    def _log(self, line: str) -> None:
        self._heartbeats, self._logged_at = 0, time.time()
        self._log_status(line)

    def _heartbeat(self, line: str) -> None:
        self._heartbeats += 1
        self._logged_at = time.time()
        self._log_status(line)

    def _is_heartbeat_due(self) -> bool:
        return time.time() - self._logged_at >= heartbeat_pause(self._heartbeats)

    def _heartbeat_line(self, stage: RolloutStage, now: float, states: Mapping[str, str] | None) -> str:
        return heartbeat_line(
            stage, now, elapsed=now - self._started_at, left=self._deadline - now, alarm_states=states
        )

    def _progress(self, now: float) -> str:
        return progress_text(now - self._started_at, self._deadline - now)


def next_look(stage: RolloutStage | None, now: float) -> float:
    """Return when a description is due because a bake ends then, in seconds since the epoch; never for other stages.

    :param stage: The stage that a description has shown just now.
    :param now: The time, in seconds since the epoch.
    """
    if stage is None or stage.ends_at is None:
        return math.inf
    return max(stage.ends_at + LOOK_AFTER_BAKE, now + LOOK_AGAIN)

"""One build: its description, as it goes through its phases."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local.engines.engine import BuildContainer
from airflow_sm_hosting.local.moto_bridge import logs

#: The log group of a project's builds; the stream is the build's id without the project
#: (CodeBuild user guide, "change-project-console.logs": AWS's defaults).
LOG_GROUP = "/aws/codebuild/{project}"


class HostedBuild:
    """A build.

    :param description: As BatchGetBuilds shows it.
    :param region: The Region's name.
    :param now: Returns the time.
    """

    def __init__(self, description: dict[str, Any], region: str, now: Callable[[], datetime]) -> None:
        self.description = description
        self._region = region
        self._now = now
        self._lock = threading.Lock()
        self._container: BuildContainer | None = None
        self._is_forgotten = False
        #: ``STOPPED`` or ``TIMED_OUT`` of a build that was ended from outside.
        self.ended_by: str | None = None

    @property
    def id(self) -> str:
        """``<project>:<uuid>``."""
        return str(self.description["id"])

    @property
    def is_complete(self) -> bool:
        """Whether it has ended."""
        return bool(self.description["buildComplete"])

    # Its phases

    def enter(self, phase: str) -> None:
        """Begin a phase."""
        entry = {"phaseType": phase, "startTime": self._now()}
        phases = [*self.description["phases"], entry]
        self._describe(phases=phases, currentPhase=phase)

    def leave(self, status: str, code: str = "", message: str = "") -> None:
        """End the phase that goes on.

        :param status: Of the phase.
        :param code: Status code of its context.
        :param message: Of its context.
        """
        *before, phase = self.description["phases"]
        now = self._now()
        ended = {
            **phase,
            "phaseStatus": status,
            "endTime": now,
            "durationInSeconds": int((now - phase["startTime"]).total_seconds()),
            "contexts": [{"statusCode": code, "message": message}],
        }
        self._describe(phases=[*before, ended])

    def end(self, status: str) -> None:
        """End the build."""
        self.enter("COMPLETED")
        self._describe(endTime=self._now(), buildComplete=True, buildStatus=status)

    def _describe(self, **members: Any) -> None:
        # In its place, not in it: others read it meanwhile.
        self.description = {**self.description, **members}

    # Its log

    def say(self, lines: Sequence[str]) -> None:
        """Write lines to its log, unless it was forgotten."""
        if self._is_forgotten:
            return
        place = self.description["logs"]
        logs.put_lines(self._region, place["groupName"], place["streamName"], lines)

    def note(self, text: str) -> None:
        """Write a line of CodeBuild's own."""
        self.say([f"[Container] {self._now():%Y/%m/%d %H:%M:%S.%f} {text}"])

    # Its container

    def hold(self, container: BuildContainer) -> None:
        """Take the container that it runs in."""
        with self._lock:
            self._container = container
            late = self.ended_by is not None
        if late:
            container.stop()

    def stop(self, status: str) -> None:
        """End it from outside; its runner writes down the end.

        :param status: ``STOPPED`` or ``TIMED_OUT``.
        """
        with self._lock:
            if self.is_complete or self.ended_by:
                return
            self.ended_by = status
            container = self._container
        if container:
            container.stop()

    def forget(self) -> None:
        """End it, and write nothing more: the log belongs to what comes next."""
        self._is_forgotten = True
        self.stop("STOPPED")

    def release(self) -> None:
        """Remove the container."""
        with self._lock:
            container, self._container = self._container, None
        if container:
            container.stop()


def merged_environment(project: Mapping[str, Any], request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the environment of a build: the project's, with what StartBuild overrides."""
    environment = dict(project["environment"])
    for member, override in (
        ("type", "environmentTypeOverride"),
        ("image", "imageOverride"),
        ("computeType", "computeTypeOverride"),
        ("privilegedMode", "privilegedModeOverride"),
    ):
        if override in request:
            environment[member] = request[override]
    variables = {one["name"]: one for one in environment["environmentVariables"]}
    variables |= {
        one["name"]: {"type": "PLAINTEXT", **one} for one in request.get("environmentVariablesOverride", ())
    }
    environment["environmentVariables"] = list(variables.values())
    return environment

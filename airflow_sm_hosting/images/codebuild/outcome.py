"""The end of a build: what CodeBuild tells about it, in one text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

#: Lines of the log in an error.
LAST_LINES = 20

#: What ended a build, by its status (botocore, codebuild: StatusType), beside FAILED.
_ENDS = {
    "FAULT": "CodeBuild itself failed",
    "TIMED_OUT": "it took longer than its timeout",
    "STOPPED": "somebody stopped it",
}


def is_complete(build: Mapping[str, Any]) -> bool:
    """Return whether a build has ended."""
    return bool(build.get("buildComplete")) or build.get("buildStatus", "IN_PROGRESS") != "IN_PROGRESS"


def is_successful(build: Mapping[str, Any]) -> bool:
    """Return whether a build has ended well."""
    return bool(build.get("buildStatus") == "SUCCEEDED")


def status_line(build: Mapping[str, Any]) -> str:
    """Return how far a build is, for a person who waits for it."""
    status, phase = build.get("buildStatus", "IN_PROGRESS"), build.get("currentPhase")
    return f"{status} ({phase})" if phase and phase != "COMPLETED" else str(status)


def failure(build: Mapping[str, Any], last_lines: Iterable[str]) -> str:
    """Return why a build failed: its status, the contexts of the phases that failed, and the last lines of its log."""
    status = str(build.get("buildStatus"))
    end = f" ({_ENDS[status]})" if status in _ENDS else ""
    reasons = "; ".join(_reasons(build.get("phases") or ()))
    lines = "\n".join(last_lines)
    text = f"The build {build['id']} ended with {status}{end}" + (f": {reasons}" if reasons else "")
    return f"{text}\nThe last lines of the log:\n{lines}" if lines else text


def log_of(build: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the log group and stream of a build; None while it has none."""
    logs = build.get("logs") or {}
    group, stream = logs.get("groupName"), logs.get("streamName")
    return (group, stream) if group and stream else None


def _reasons(phases: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    for phase in phases:
        if phase.get("phaseStatus") in (None, "SUCCEEDED", "IN_PROGRESS"):
            continue
        for context in phase.get("contexts") or ():
            code, message = context.get("statusCode"), context.get("message")
            if code or message:
                yield f"phase {phase['phaseType']}: " + ": ".join(filter(None, (code, message)))

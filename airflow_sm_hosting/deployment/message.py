"""What a person is told about a deployment that has ended: a few lines of plain text, made of its record."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: What is said of an outcome, and of an action that succeeded.
OUTCOMES = {
    "unchanged": "unchanged",
    "skipped": "skipped, a newer run has deployed",
    "rolled_back": "rolled back",
    "timed_out": "not finished in time",
    "failed": "failed",
}
ACTIONS = {
    "create": "created",
    "update": "updated",
    "replace": "replaced",
    "rollback": "rolled back on request",
    "shift": "traffic shifted",
    "delete": "deleted",
    "join": "updated",
}

#: Maximum number of characters of a reason: chats cut long messages.
LONGEST_REASON = 600


def record_message(record: Mapping[str, Any], *, link: str | None = None) -> str:
    """Return what to tell about a deployment: what, outcome, from → to, reason, by whom, link.

    :param record: The record: XCom ``record`` of a task, or ``extra`` of an asset event.
    :param link: The address of the task instance (default: none is told).
    """
    lines = [_title(record), _change(record), _reason(record), _author(record), link]
    return "\n".join(line for line in lines if line)


def _title(record: Mapping[str, Any]) -> str:
    kind = str(record.get("kind") or "endpoint").capitalize()
    name, region, endpoint = record.get("name"), record.get("region"), record.get("endpoint_name")
    place = " ".join(part for part in (endpoint and f"on {endpoint}", region and f"in {region}") if part)
    action, outcome = str(record.get("action")), str(record.get("outcome") or "no outcome")
    ending = ACTIONS.get(action, "deployed") if outcome == "succeeded" else OUTCOMES.get(outcome, outcome)
    what = " ".join(part for part in (kind, name or "(name not known)", place) if part)
    return f"{what}: {ending}"


def _change(record: Mapping[str, Any]) -> str | None:
    """Return the configs before and after; after a failure, what was wanted and what serves."""
    before, serves = record.get("previous_endpoint_config_name"), record.get("endpoint_config_name")
    wanted = record.get("requested_endpoint_config_name") or serves
    seconds = record.get("seconds")
    parts = []
    if record.get("action") != "delete" and wanted:
        if record.get("outcome") in ("succeeded", "unchanged"):
            parts.append(f"{before} → {wanted}" if before and before != wanted else f"serves {wanted}")
        else:
            status = record.get("status")
            parts += [f"wanted {wanted}"] if wanted != serves else []
            parts.append("nothing serves" if status == "Failed" or not serves else f"serves {serves}")
    if isinstance(seconds, int | float):
        parts.append(f"after {_duration(seconds)}")
    return ", ".join(parts) or None


def _reason(record: Mapping[str, Any]) -> str | None:
    failure = " ".join(str(record.get("failure") or "").split())
    if not failure:
        return None
    return f"Reason: {failure if len(failure) <= LONGEST_REASON else failure[: LONGEST_REASON - 2] + ' …'}"


def _author(record: Mapping[str, Any]) -> str | None:
    people = [
        f"started by {record['triggered_by']}" if record.get("triggered_by") else "",
        f"approved by {record['approved_by']}" if record.get("approved_by") else "",
    ]
    told = ", ".join(part for part in people if part)
    return told[:1].upper() + told[1:] or None


def _duration(seconds: float) -> str:
    whole = max(0, round(seconds))
    hours, minutes = whole // 3600, whole % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"

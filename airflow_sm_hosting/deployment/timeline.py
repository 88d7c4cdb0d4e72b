"""The timeline of a deployment: an entry for each change of what AWS describes, as plain JSON for the tab of a task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow_sm_hosting.deployment.status import Described, pending_config

#: Maximum number of entries; the first one and the newest ones are kept.
MOST_ENTRIES = 100

_BAKING = re.compile(r"Baking for (\d+) seconds")

Entry = Mapping[str, Any]


def entry_of(described: Described | None, at: float) -> dict[str, Any]:
    """Return the entry of a description.

    :param described: DescribeEndpoint's answer; None for an endpoint that does not exist.
    :param at: The time, in seconds since the epoch.
    """
    if described is None:
        return {"at": at, "status": "does not exist"}
    pending = described.get("PendingDeploymentSummary") or {}
    coming = pending.get("ProductionVariants") or ()
    entry = {
        "at": at,
        "status": described["EndpointStatus"],
        "config": described.get("EndpointConfigName"),
        "pending": pending_config(described),
        "serving": [_fleet(variant) for variant in described.get("ProductionVariants") or ()],
        "coming": [_fleet(variant) for variant in coming],
    }
    if coming:
        entry["moved"] = _moved_percent(coming)
    if baked := next(filter(None, map(_bake_seconds, coming)), None):
        entry["bake_seconds"] = baked
    return entry


def with_entry(timeline: Sequence[Entry], entry: Entry) -> list[Entry]:
    """Return the timeline with an entry, or unchanged if the entry shows nothing new.

    :param timeline: The entries so far, oldest first.
    :param entry: The entry.
    """
    if timeline and _shown(timeline[-1]) == _shown(entry):
        return list(timeline)
    longer = [*timeline, entry]
    return longer if len(longer) <= MOST_ENTRIES else [longer[0], *longer[2:]]


def _shown(entry: Entry) -> dict[str, Any]:
    return {name: value for name, value in entry.items() if name != "at"}


def _moved_percent(coming: Sequence[Mapping[str, Any]]) -> int:
    """Return the part of the traffic that new variants have.

    AWS does not describe it: traffic moves with capacity, which is measured in instances (blue/green deployment guardrails).
    """
    shares = []
    for variant in coming:
        current, desired = variant.get("CurrentInstanceCount"), variant.get("DesiredInstanceCount")
        is_on = bool(variant.get("CurrentWeight"))
        shares.append(
            min(1.0, current / desired) if is_on and current is not None and desired else float(is_on)
        )
    return round(100 * sum(shares) / len(shares))


def _bake_seconds(variant: Mapping[str, Any]) -> int | None:
    """Return for how long a variant bakes, as its status message says (automating-sagemaker-with-eventbridge)."""
    messages = [str(stage.get("StatusMessage", "")) for stage in variant.get("VariantStatus") or ()]
    found = next(filter(None, map(_BAKING.search, messages)), None)
    return int(found[1]) if found else None


def _fleet(variant: Mapping[str, Any]) -> dict[str, Any]:
    stages = [stage["Status"] for stage in variant.get("VariantStatus") or ()]
    shown = {
        "name": variant["VariantName"],
        "weight": variant.get("CurrentWeight"),
        "current": variant.get("CurrentInstanceCount"),
        "desired": variant.get("DesiredInstanceCount"),
        "instance_type": variant.get("InstanceType"),
        "stage": "/".join(stages) or None,
        "since": _moment(variant),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _moment(variant: Mapping[str, Any]) -> float | None:
    """Return when the newest stage of a variant began, in seconds since the epoch."""
    began = [
        stage["StartTime"].timestamp()
        for stage in variant.get("VariantStatus") or ()
        if stage.get("StartTime")
    ]
    return max(began, default=None)

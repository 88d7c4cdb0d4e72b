"""The stage of a deployment in progress, as DescribeEndpoint shows it, and the log lines about it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_sm_hosting.deployment.status import (
    Described,
    Kind,
    is_transitional,
    pending_config,
    same_name,
)

#: Statuses of the new variants (``ProductionVariantStatus``), the earliest first: the slowest variant is the stage of all.
_PHASES = ("Creating", "Updating", "ActivatingTraffic", "Baking", "Deleting")
BAKING = "Baking"
ROLLING_BACK = "RollingBack"

#: ``StatusMessage`` of a variant that bakes, in the words of the event in the developer guide ("automating-sagemaker-with-eventbridge").
_BAKING_MESSAGE = re.compile(
    r"Baking for (?P<seconds>\d+) seconds.*? on (?P<part>\w+) capacity(?: of (?P<instances>\d+) instance)?"
)

#: The first heartbeat of a stage comes after so many seconds; each pause doubles, up to the longest.
FIRST_HEARTBEAT, LONGEST_HEARTBEAT = 60.0, 300.0


@dataclass(frozen=True)
class RolloutStage:
    """A stage of a deployment, or of another change of an endpoint or inference component.

    :param name: What the stage is called in the log and in the timings, e.g. ``canary 1 of 2``.
    :param status: The endpoint's status.
    :param phase: The status of the new variants; empty where AWS shows none.
    :param config: The config that is being deployed; the serving one for other changes.
    :param serving: The config that serves until the deployment has ended.
    :param instances: The instances, or copies, that are there now; None for serverless variants.
    :param desired: The instances, or copies, that there will be; None for serverless variants.
    :param traffic: The share of the traffic on ``config`` in percent; None where it is not known.
    :param since: When it began by AWS's clock, in seconds since the epoch; None where AWS does not show it.
    :param bake_seconds: How long it bakes; None where AWS does not show it.
    :param alarms: The names of the alarms that roll the deployment back.
    :param unit: ``instances`` or ``copies``.
    """

    name: str
    status: str
    phase: str = ""
    config: str | None = None
    serving: str | None = None
    instances: int | None = None
    desired: int | None = None
    traffic: int | None = None
    since: float | None = None
    bake_seconds: int | None = None
    alarms: tuple[str, ...] = ()
    unit: str = "instances"

    @property
    def is_baking(self) -> bool:
        """Whether alarms are watched before the next step."""
        return self.phase == BAKING

    @property
    def shows_alarms(self) -> bool:
        """Whether its line has the states of alarms: they are watched, or may be the reason of a rollback."""
        return bool(self.alarms) and (self.is_baking or self.status == ROLLING_BACK)

    @property
    def ends_at(self) -> float | None:
        """When the bake ends, in seconds since the epoch; None for other stages."""
        if not self.is_baking or self.since is None or self.bake_seconds is None:
            return None
        return self.since + self.bake_seconds

    def is_same(self, other: RolloutStage | None) -> bool:
        """Return whether another observation shows the same stage; the number of instances may differ."""
        return other is not None and (self.name, self.status, self.phase, self.config, self.traffic) == (
            other.name,
            other.status,
            other.phase,
            other.config,
            other.traffic,
        )

    def seconds_left(self, now: float) -> float | None:
        """Return the seconds that it still bakes; None for other stages.

        :param now: The time, in seconds since the epoch. AWS has another clock.
        """
        if self.ends_at is None or self.bake_seconds is None:
            return None
        return min(max(0.0, self.ends_at - now), float(self.bake_seconds))


def rollout_stage(
    described: Described | None, rollout: Mapping[str, Any] | None = None
) -> RolloutStage | None:
    """Return the stage that a description shows; None when no change is in progress.

    :param described: DescribeEndpoint's answer, or an inference component in its members.
    :param rollout: The ``DeploymentConfig`` of the update, where the description has none.
    """
    if described is None or not is_transitional(described):
        return None
    status, live = str(described["EndpointStatus"]), described.get("EndpointConfigName")
    pending = pending_config(described)
    summary = described.get("PendingDeploymentSummary") or described
    variants: Sequence[Mapping[str, Any]] = summary.get("ProductionVariants") or []
    instances, desired = _sum(variants, "CurrentInstanceCount"), _sum(variants, "DesiredInstanceCount")
    phase, since, baking = _phase(variants)
    # "lastDeploymentConfig" stands beside the pending deployment in the event of the developer guide.
    config = described.get("LastDeploymentConfig") or rollout or {}
    return RolloutStage(
        name=_name(status, phase, variants, config),
        status=status,
        phase=phase,
        config=pending or live,
        serving=live if pending and not same_name(pending, live) else None,
        instances=instances if desired is not None else None,
        desired=desired if instances is not None else None,
        traffic=round(100 * _share(variants)) if phase == BAKING else None,
        since=since,
        bake_seconds=int(baking["seconds"]) if baking else None,
        alarms=_alarms(config) if phase or status == ROLLING_BACK else (),
        unit="copies" if described.get("Kind") == Kind.COMPONENT else "instances",
    )


def stage_line(stage: RolloutStage, now: float, alarm_states: Mapping[str, str] | None = None) -> str:
    """Return the log line about a stage.

    :param stage: The stage.
    :param now: The time, in seconds since the epoch.
    :param alarm_states: The states of alarms by name, as far as they are known.
    """
    of = f"{stage.instances} of {stage.desired} {stage.unit}" if stage.desired is not None else ""
    on = f"on {stage.config}" + (f" ({of})" if of else "")
    states = alarm_states or {}
    match stage.status, stage.phase:
        case "RollingBack", _:
            parts = [f"traffic returns to {stage.serving}" if stage.serving else f"{on} is given up"]
        case _, "Baking":
            share = "traffic" if stage.traffic is None else f"{stage.traffic} % of traffic"
            left = stage.seconds_left(now)
            parts = [f"{share} {on}", "baking", *([f"{duration(left)} left"] if left is not None else [])]
        case _, "ActivatingTraffic":
            parts = [on.removeprefix("on ")]
        case "Deleting", _:
            parts = [f"{of} of {stage.config} left" if of else f"the instances of {stage.config} end"]
        case status, _ if status not in ("Creating", "Updating"):
            parts = [on.removeprefix("on ")]
        case _:
            parts = [f"{of} of {stage.config} in service" if of else f"{stage.config} is prepared"]
            if stage.serving:
                parts.append(f"{stage.serving} serves")
    if stage.is_baking:
        parts += _alarm_texts(stage.alarms, states)
    elif stage.shows_alarms:
        parts += [f"alarm {name} ALARM" for name in stage.alarms if states.get(name) == "ALARM"]
    return f"{stage.name}: {', '.join(parts)}"


def heartbeat_line(
    stage: RolloutStage,
    now: float,
    *,
    elapsed: float,
    left: float,
    alarm_states: Mapping[str, str] | None = None,
) -> str:
    """Return the log line about a stage that goes on.

    :param stage: The stage.
    :param now: The time, in seconds since the epoch.
    :param elapsed: The seconds since the wait began.
    :param left: The seconds until the time budget ends.
    :param alarm_states: The states of alarms by name, as far as they are known.
    """
    return f"{stage_line(stage, now, alarm_states)}; {progress_text(elapsed, left)}"


def progress_text(elapsed: float, left: float) -> str:
    """Return how long a wait has taken, and when it gives up.

    :param elapsed: The seconds since the wait began.
    :param left: The seconds until the time budget ends; infinite for a wait without one.
    """
    text = f"{duration(elapsed)} so far"
    return text if math.isinf(left) else f"{text}, time-out in {duration(left)}"


def heartbeat_pause(told: int) -> float:
    """Return the seconds until the next heartbeat of a stage.

    :param told: How many heartbeats of the stage have been logged.
    """
    return float(min(FIRST_HEARTBEAT * 2.0 ** min(told, 10), LONGEST_HEARTBEAT))


def summary_line(message: str, elapsed: float, timings: Iterable[Sequence[Any]]) -> str:
    """Return the log line about the end of a wait: what came of it, how long it took, and how long each stage.

    :param message: What came of it.
    :param elapsed: The seconds since the deployment began.
    :param timings: Name and seconds of each stage, in order.
    """
    stages = timings_text((str(name), float(seconds)) for name, seconds in timings)
    return f"{message} It took {duration(elapsed)}{f': {stages}' if stages else ''}."


def timings_text(timings: Iterable[tuple[str, float]]) -> str:
    """Return the durations of stages in words; stages of one name are added up.

    :param timings: Name and seconds of each stage, in order.
    """
    total: dict[str, float] = {}
    for name, seconds in timings:
        total[name] = total.get(name, 0.0) + seconds
    return ", ".join(f"{name} {duration(seconds)}" for name, seconds in total.items())


def duration(seconds: float) -> str:
    """Return a duration in words: ``45 s``, ``3 m 20 s``, ``1 h 5 m``."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} m {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} m"


def _phase(variants: Sequence[Mapping[str, Any]]) -> tuple[str, float | None, re.Match[str] | None]:
    """Return the status of the variant that is furthest behind, its beginning, and what it says about its bake."""
    found = [(stage, variant) for variant in variants for stage in (variant.get("VariantStatus") or ())[-1:]]
    if not found:
        return "", None, None
    slowest, variant = min(
        found, key=lambda one: _PHASES.index(one[0]["Status"]) if one[0]["Status"] in _PHASES else -1
    )
    since = slowest.get("StartTime")
    return str(slowest["Status"]), since.timestamp() if since else None, _baking(variant)


def _baking(variant: Mapping[str, Any]) -> re.Match[str] | None:
    stage = (variant.get("VariantStatus") or [{}])[-1]
    return _BAKING_MESSAGE.search(stage.get("StatusMessage") or "") if stage.get("Status") == BAKING else None


def _name(status: str, phase: str, variants: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", status).lower()
    if status != "Updating":
        return words
    match phase:
        case "Baking":
            return _step_name(variants, config)
        case "ActivatingTraffic":
            return "turning on traffic"
        case "Creating":
            is_next = bool(_sum(variants, "CurrentInstanceCount")) and "RollingUpdatePolicy" in config
            return "next batch" if is_next else "starting"
    return words


def _step_name(variants: Sequence[Mapping[str, Any]], config: Mapping[str, Any]) -> str:
    """Return the name of the step that bakes, with its number where the rollout has several."""
    routing = (config.get("BlueGreenUpdatePolicy") or {}).get("TrafficRoutingConfiguration") or {}
    if "CanarySize" in routing:
        return f"canary {2 if _share(variants) == 1.0 else 1} of 2"
    rolling = (config.get("RollingUpdatePolicy") or {}).get("MaximumBatchSize")
    size = rolling or routing.get("LinearStepSize")
    steps = [_step(one, size) for one in variants if one.get("DesiredInstanceCount")] if size else []
    if not steps:
        return "all at once"
    number, count = max(steps, key=lambda step: step[1])
    return f"{'rolling batch' if rolling else 'linear step'} {number} of {count}"


def _step(variant: Mapping[str, Any], size: Mapping[str, Any]) -> tuple[int, int]:
    """Return the number of the step that a variant has reached, and of how many."""
    total, value = int(variant["DesiredInstanceCount"]), int(size["Value"])
    # How a part of an instance is rounded is assumed, as on the local AWS.
    each = min(value, total) if size["Type"] == "INSTANCE_COUNT" else max(1, total * value // 100)
    count = -(-total // each)
    return max(1, min(count, -(-_active(variant) // each))), count


def _active(variant: Mapping[str, Any]) -> int:
    """Return the instances of a variant that have traffic."""
    total, baking = int(variant.get("DesiredInstanceCount") or 0), _baking(variant)
    if baking and baking["part"] == "full":
        return total
    if baking and baking["instances"]:
        return min(total, int(baking["instances"]))
    return int(variant.get("CurrentInstanceCount") or 0)


def _share(variants: Sequence[Mapping[str, Any]]) -> float:
    """Return the share of the traffic that the new instances have: it is spread over instances."""
    total = _sum(variants, "DesiredInstanceCount")
    return sum(map(_active, variants)) / total if total else 1.0


def _sum(variants: Sequence[Mapping[str, Any]], member: str) -> int | None:
    found = [variant[member] for variant in variants if variant.get(member) is not None]
    return sum(found) if found else None


def _alarms(config: Mapping[str, Any]) -> tuple[str, ...]:
    alarms = (config.get("AutoRollbackConfiguration") or {}).get("Alarms") or ()
    return tuple(str(alarm["AlarmName"]) for alarm in alarms)


def _alarm_texts(names: Sequence[str], states: Mapping[str, str]) -> list[str]:
    """Return the alarms in words; of many that are OK only the number."""
    shown = [name for name in names if states.get(name) != "OK"] if len(names) > 2 else list(names)
    texts = [f"alarm {name} {states[name]}" if name in states else f"alarm {name}" for name in shown]
    if quiet := len(names) - len(shown):
        texts.append(f"{quiet} {'alarms' if quiet > 1 else 'alarm'} OK")
    return texts

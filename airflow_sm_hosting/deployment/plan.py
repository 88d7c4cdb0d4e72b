"""A deployment before it is done: the decision, what would change, and which calls would change it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.difference import differences
from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, tag_keys

#: Members of Describe answers that say which resource it is, not what it is.
_IDENTITY = {
    "EndpointConfigName",
    "EndpointConfigArn",
    "ModelName",
    "ModelArn",
    "CreationTime",
}


@dataclass(frozen=True)
class Update:
    """What an update takes.

    :param request: UpdateEndpoint's.
    :param tags: Tags to write before it.
    :param scaled: The variants that are scalable targets, or were until a deployment took that off.
    :param snapshot: Scaling to take off before it, and to put back after.
    :param counts: Instance counts to set after it, by variant.
    """

    request: Mapping[str, Any]
    tags: Mapping[str, str]
    scaled: Collection[str]
    snapshot: Snapshot
    counts: Mapping[str, int]


@dataclass(frozen=True)
class Plan:
    """What a deployment would do.

    :param decision: The decision, with its reason.
    :param endpoint_name: The endpoint.
    :param serving: The config that serves now.
    :param target: The config that would serve.
    :param changes: What would be different, a line a member.
    :param calls: The operations that would change something, in order.
    :param two_fleets: Whether an old and a new fleet would share the traffic for a while.
    """

    decision: Decision
    endpoint_name: str
    serving: str | None
    target: str
    changes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    two_fleets: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        return {
            "action": str(self.decision.action),
            "reason": self.decision.reason,
            "endpoint_name": self.endpoint_name,
            "serving": self.serving,
            "target": self.target,
            "changes": self.changes,
            "calls": self.calls,
            "two_fleets": self.two_fleets,
        }

    def as_markdown(self) -> str:
        """Return the plan for a person who is to approve it."""
        lines = [
            f"## {self.endpoint_name}: {self.decision.action}",
            "",
            f"{self.decision.reason[:1].upper()}{self.decision.reason[1:]}.",
            "",
            f"- serves now: {_code(self.serving)}",
            f"- would serve: {_code(self.target if self.decision.action != Action.REFUSE else self.serving)}",
            f"- two fleets share the traffic meanwhile: {'yes' if self.two_fleets else 'no'}",
        ]
        for title, items in (
            ("What would change", self.changes),
            ("Calls that change something", self.calls),
        ):
            if items:
                lines += ["", f"### {title}", "", *(f"- {_code(item)}" for item in items)]
        return "\n".join(lines) + "\n"


def update_calls(update: Update, tags: Mapping[str, str], fleet_alarms: Collection[Any]) -> list[str]:
    """Return the operations of an update that change something, in order, until it is taken.

    :param update: What it takes.
    :param tags: The endpoint's tags now.
    :param fleet_alarms: Alarms to be made for it.
    """
    return [
        # The scaling is claimed first.
        *(["AddTags"] if update.snapshot else []),
        *tag_calls(tags, update.tags),
        *["PutMetricAlarm"] * len(fleet_alarms),
        # What others had written down is in this update's copy.
        *(["DeleteTags"] if update.snapshot and tag_keys(tags) else []),
        *["DeregisterScalableTarget"] * len(update.snapshot),
        "UpdateEndpoint",
    ]


def tag_calls(tags: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Return the operation that sets the tags which are missing or different, if any are."""
    return ["AddTags"] if any(tags.get(key) != value for key, value in wanted.items()) else []


def count_calls(counts: Mapping[str, int]) -> list[str]:
    """Return the operations that set instance counts after an update, and forget that they were to be set."""
    return ["UpdateEndpointWeightsAndCapacities", "DeleteTags"] * len(counts)


def scaling_calls(scaling: Mapping[str, Any], repointed: int) -> list[str]:
    """Return the operations that put the scaling of one variant back.

    :param scaling: What was taken off.
    :param repointed: How many alarms name a policy of it.
    """
    return [
        "RegisterScalableTarget",
        *["PutScalingPolicy"] * len(scaling["policies"]),
        *["PutScheduledAction"] * len(scaling["actions"]),
        *["PutMetricAlarm"] * repointed,
    ]


def has_two_fleets(deployment_config: Mapping[str, Any] | None) -> bool:
    """Tell whether a rollout leaves an old and a new fleet sharing the traffic: any but all at once without a bake."""
    policy = (deployment_config or {}).get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    stepwise = routing.get("Type") in ("CANARY", "LINEAR") or "RollingUpdatePolicy" in (
        deployment_config or {}
    )
    return stepwise or bool(policy.get("TerminationWaitInSeconds"))


def config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return where an endpoint config differs from another, both as they are described; variants are told apart by name."""
    old, new = _by_variant(before), _by_variant(after)
    lines = [f"variant {name} goes" for name in old if name not in new]
    lines += [f"variant {name} comes" for name in new if name not in old]
    for name in new:
        if name in old:
            lines += [f"{name}: {line}" for line in _changes(old[name], new[name])]
    rest = [
        {key: value for key, value in config.items() if key != "ProductionVariants"}
        for config in (before, after)
    ]
    return lines + _changes(*rest)


def model_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return where a model differs from another, both as they are described; values of environments are not shown."""
    return _changes(before, after)


def changed_models(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield variant, old model and new model of the variants that get another model."""
    old, new = _by_variant(before), _by_variant(after)
    for name in new:
        models = old.get(name, {}).get("ModelName"), new[name].get("ModelName")
        if None not in models and models[0] != models[1]:
            yield name, str(models[0]), str(models[1])


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    old, new = (
        {key: value for key, value in resource.items() if key not in _IDENTITY or "VariantName" in resource}
        for resource in (before, after)
    )
    lines = [line.replace(", wanted ", ", becomes ") for line in differences(new, old)]
    return lines + [f"{key} goes" for key in old if key not in new]


def _by_variant(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {variant["VariantName"]: variant for variant in config.get("ProductionVariants") or []}


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "nothing"

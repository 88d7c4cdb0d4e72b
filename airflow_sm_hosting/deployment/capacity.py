"""(scalable targets, what serves, what comes) -> what an update keeps of the variants' instance counts and weights.

``RetainAllVariantProperties`` is one flag for the whole endpoint; by default every update resets counts and weights to the config's
initial ones and so undoes what autoscaling did (UpdateEndpoint; developer guide, "endpoint-scaling").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Retain = bool | Literal["auto"]


@dataclass(frozen=True)
class Retention:
    """What an update keeps.

    :param flags: Members of UpdateEndpoint.
    :param counts: Instance counts, by variant, to set after it: those of unscaled variants, which the flag keeps too.
    """

    flags: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


def retention(
    retain: Retain,
    *,
    scaled: Collection[str],
    current: Mapping[str, int],
    wanted: Iterable[Mapping[str, Any]],
) -> Retention:
    """Decide what an update keeps.

    :param retain: The operator's parameter: True keeps all, False nothing, "auto" the counts of scaled variants.
    :param scaled: Names of the variants that are scalable targets.
    :param current: Desired instance counts of the endpoint's variants.
    :param wanted: The variants of the new config.
    """
    if retain is True:
        return Retention({"RetainAllVariantProperties": True})
    if retain is False or not scaled:
        return Retention()
    counts = {
        variant["VariantName"]: variant["InitialInstanceCount"]
        for variant in wanted
        if variant["VariantName"] not in scaled
        and variant.get("InitialInstanceCount") is not None
        and current.get(variant["VariantName"]) not in (None, variant["InitialInstanceCount"])
    }
    flags = {
        "RetainAllVariantProperties": True,
        "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
    }
    return Retention(flags, counts)


def new_fleet(
    kept: Retention, *, current: Mapping[str, int], wanted: Iterable[Mapping[str, Any]]
) -> dict[str, int]:
    """Return with how many instances an update makes each variant of the new fleet, by which the steps of a rollout are measured.

    :param kept: What the update keeps.
    :param current: Desired instance counts of the endpoint's variants.
    :param wanted: The variants of the new config.
    """
    before = current if kept.flags.get("RetainAllVariantProperties") else {}
    counts = {
        variant["VariantName"]: before.get(variant["VariantName"], variant.get("InitialInstanceCount"))
        for variant in wanted
    }
    return {name: count for name, count in counts.items() if count is not None}


def blocked_by_scaling(
    serving: Iterable[Mapping[str, Any]], wanted: Iterable[Mapping[str, Any]], scaled: Collection[str]
) -> set[str]:
    """Return the scaled variants for which UpdateEndpoint refuses the new config: their instance type changes, or they go.

    :param serving: The variants of the config that serves.
    :param wanted: The variants of the new config.
    :param scaled: Names of the variants that are scalable targets.
    """
    before = {variant["VariantName"]: variant.get("InstanceType") for variant in serving}
    after = {variant["VariantName"]: variant.get("InstanceType") for variant in wanted}
    return {name for name in scaled if name not in after or (name in before and before[name] != after[name])}

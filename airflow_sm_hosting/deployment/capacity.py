"""Decide which instance counts and weights of the variants an update retains.

``RetainAllVariantProperties`` is one flag for the whole endpoint. By default every update resets counts and weights to the initial
values of the config, and so undoes the changes of autoscaling (UpdateEndpoint; developer guide, "endpoint-scaling").
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Retain = bool | Literal["auto"]


@dataclass(frozen=True)
class Retention:
    """The variant properties that an update retains.

    :param flags: Members of UpdateEndpoint.
    :param counts: Instance counts to set after the update, by variant: counts of unscaled variants, which the flag retains too.
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
    """Decide which variant properties an update retains.

    :param retain: The operator's parameter: True retains all, False nothing, "auto" the counts of scaled variants.
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
    """Return the instance count of each variant of the new fleet. The steps of a rollout are shares of these counts.

    :param kept: The variant properties that the update retains.
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
    """Return the scaled variants for which UpdateEndpoint refuses the new config: their instance type changes, or they are removed.

    :param serving: The variants of the serving config.
    :param wanted: The variants of the new config.
    :param scaled: Names of the variants that are scalable targets.
    """
    before = {variant["VariantName"]: variant.get("InstanceType") for variant in serving}
    after = {variant["VariantName"]: variant.get("InstanceType") for variant in wanted}
    return {name for name in scaled if name not in after or (name in before and before[name] != after[name])}

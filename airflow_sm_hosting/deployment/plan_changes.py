"""What a deployment changes, in the groups in which a person decides."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_sm_hosting.deployment.difference import find_differences
from airflow_sm_hosting.deployment.observation import Observation


class Group(StrEnum):
    """What a person decides on, in the order in which a plan shows it."""

    MODEL = "Model"
    IMAGE = "Image"
    ARTIFACT = "Artifact"
    CAPACITY = "Capacity"
    TRAFFIC = "Traffic"
    ALARMS = "Alarms"
    SCALING = "Scaling"
    #: Data capture, encryption, asynchronous inference, explainers: the rest of an endpoint config.
    CONFIG = "Config"


@dataclass(frozen=True)
class Change:
    """One difference between what serves now and what would serve.

    :param group: Its group.
    :param what: The changed member, with its variant.
    :param before: Its value now.
    :param after: Its value afterwards.
    :param line: The change in words.
    :param stays: Whether the value stays although the new config has another one.
    """

    group: Group
    what: str
    before: str
    after: str
    line: str
    stays: bool = False


#: The groups by name of a member; of several known names in a path, the outermost decides.
_GROUPS = {
    "Image": Group.IMAGE,
    "ImageConfig": Group.IMAGE,
    "InferenceAmiVersion": Group.IMAGE,
    "ArtifactUrl": Group.ARTIFACT,
    "ModelDataUrl": Group.ARTIFACT,
    "ModelDataSource": Group.ARTIFACT,
    "AdditionalModelDataSources": Group.ARTIFACT,
    "AcceleratorType": Group.CAPACITY,
    "ComputeResourceRequirements": Group.CAPACITY,
    "CapacityReservationConfig": Group.CAPACITY,
    "InitialInstanceCount": Group.CAPACITY,
    "InstancePools": Group.CAPACITY,
    "InstanceType": Group.CAPACITY,
    "ManagedInstanceScaling": Group.CAPACITY,
    "ServerlessConfig": Group.CAPACITY,
    "VolumeSizeInGB": Group.CAPACITY,
    "InitialVariantWeight": Group.TRAFFIC,
    "RoutingConfig": Group.TRAFFIC,
    "ShadowProductionVariants": Group.TRAFFIC,
    "AsyncInferenceConfig": Group.CONFIG,
    "DataCaptureConfig": Group.CONFIG,
    "ExplainerConfig": Group.CONFIG,
    "KmsKeyId": Group.CONFIG,
    "MetricsConfig": Group.CONFIG,
}

#: Members of a variant in a config that only its first deployment takes as they are, with the member of a serving variant for each
#: (ProductionVariant, ProductionVariantSummary).
_LIVE = {
    "InitialInstanceCount": ("DesiredInstanceCount", "instance count", Group.CAPACITY),
    "InitialVariantWeight": ("DesiredWeight", "weight", Group.TRAFFIC),
}

#: Members of Describe answers that identify the resource and are no part of its content.
_IDENTITY = {
    "EndpointConfigName",
    "EndpointConfigArn",
    "ModelName",
    "ModelArn",
    "CreationTime",
}


def config_and_model_changes(observed: Observation, serving: str, target: str) -> list[Change]:
    """Return the differences between the serving and the new config, and between their models.

    :param observed: Has the descriptions of both, or a :class:`FactNeededError` names the missing one.
    :param serving: The config that serves.
    :param target: The new config.
    """
    before, after = observed.config(serving) or {}, observed.config(target) or {}
    changes = config_changes(before, after)
    for variant, old, new in changed_models(before, after):
        changes += _changes(
            observed.model(old) or {}, observed.model(new) or {}, f"{variant}: model ", Group.MODEL
        )
    return changes


def config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return the differences between two described endpoint configs; variants are matched by name."""
    old, new = _by_variant(before), _by_variant(after)
    changes = [
        Change(Group.TRAFFIC, f"variant {name}", "serves", "none", f"variant {name} is removed")
        for name in old
        if name not in new
    ]
    changes += [
        Change(Group.TRAFFIC, f"variant {name}", "none", "serves", f"variant {name} is added")
        for name in new
        if name not in old
    ]
    for name in new:
        if name in old:
            changes += _changes(old[name], new[name], f"{name}: ", Group.MODEL)
    old_rest, new_rest = (
        {key: value for key, value in config.items() if key != "ProductionVariants"}
        for config in (before, after)
    )
    return changes + _changes(old_rest, new_rest, "", Group.CONFIG)


def changed_models(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield variant, old model and new model of each variant whose model changes."""
    old, new = _by_variant(before), _by_variant(after)
    for name in new:
        models = old.get(name, {}).get("ModelName"), new[name].get("ModelName")
        if None not in models and models[0] != models[1]:
            yield name, str(models[0]), str(models[1])


def with_live_properties(
    changes: Iterable[Change],
    before: Iterable[Mapping[str, Any]],
    after: Iterable[Mapping[str, Any]],
    initial: Iterable[Mapping[str, Any]],
) -> list[Change]:
    """Return the changes with what becomes of counts and weights, in place of the initial ones in the configs.

    An update may retain them, and autoscaling may have changed them.

    :param changes: The changes between the configs.
    :param before: The variants that serve.
    :param after: The variants afterwards.
    :param initial: The variants of the new config.
    """
    old, new = ({one["VariantName"]: one for one in variants} for variants in (before, after))
    found = [change for change in changes if not any(change.what.endswith(f": {member}") for member in _LIVE)]
    for variant in initial:
        name = variant["VariantName"]
        for member, (live, noun, group) in _LIVE.items():
            was, will_be = old.get(name, {}).get(live), new.get(name, {}).get(live)
            shown = group, f"{name}: {noun}", str(was), str(will_be)
            if was is not None and will_be is not None and was != will_be:
                found.append(Change(*shown, f"{name}: {noun} is {was}, becomes {will_be}"))
            elif was is not None and variant.get(member) not in (None, will_be):
                line = f"{name}: {noun} stays {will_be}, which the update retains; the config has {variant[member]}"
                found.append(Change(*shown, line, stays=True))
    return found


def change_of_line(line: str) -> Change:
    """Return the change that a line of an inference component's comparison describes."""
    line = line.replace(", requested ", ", becomes ")
    found = re.fullmatch(r"(?P<what>.+?) is (?P<before>.*), becomes (?P<after>.*)", line, re.DOTALL)
    if not found:
        what = line.removesuffix(" differs")
        return Change(_group_of(what, Group.MODEL), what, "", "differs" if what != line else "", line)
    return Change(_group_of(found["what"], Group.MODEL), found["what"], found["before"], found["after"], line)


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str, otherwise: Group
) -> list[Change]:
    old, new = (
        {key: value for key, value in resource.items() if key not in _IDENTITY or "VariantName" in resource}
        for resource in (before, after)
    )
    found = [
        Change(
            _group_of(one.path, otherwise),
            f"{prefix}{one.path}",
            one.described,
            one.requested,
            f"{prefix}{one.line}".replace(", requested ", ", becomes "),
        )
        for one in find_differences(new, old)
    ]
    return found + [
        Change(_group_of(key, otherwise), f"{prefix}{key}", "set", "none", f"{prefix}{key} goes")
        for key in old
        if key not in new
    ]


def _group_of(path: str, otherwise: Group) -> Group:
    """Return the group of a member; that of the outermost known name, as members of data capture are no images."""
    return next((_GROUPS[name] for name in re.findall(r"\w+", path) if name in _GROUPS), otherwise)


def _by_variant(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {variant["VariantName"]: variant for variant in config.get("ProductionVariants") or []}

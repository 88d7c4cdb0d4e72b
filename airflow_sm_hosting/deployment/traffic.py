"""Plan a shift of traffic between the production variants of an endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.status import BROKEN, DELETING, Described, is_serverless, is_transitional
from airflow_sm_hosting.deployment.steps import AddTags, Step, UpdateEndpointWeightsAndCapacities, Wait
from airflow_sm_hosting.deployment.verdict import is_same_share, moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.tags import SHIFTED, is_ours, tag_list

#: The members of ProductionVariantServerlessUpdateConfig.
CONCURRENCY = ("MaxConcurrency", "ProvisionedConcurrency")


@dataclass(frozen=True)
class Shift:
    """A requested shift of traffic.

    :param endpoint_name: The endpoint.
    :param weights: Weights by variant.
    :param instance_counts: Instance counts by variant.
    :param serverless_updates: ``ServerlessUpdateConfig`` by serverless variant.
    :param adopt: Whether the task may change an endpoint that is not ours.
    :param task: Id of this task of this run, in 8 letters or digits, the same for all its tries.
    """

    endpoint_name: str
    weights: Mapping[str, float] = field(default_factory=dict)
    instance_counts: Mapping[str, int] = field(default_factory=dict)
    serverless_updates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    adopt: bool = False
    task: str = "0"


@dataclass(frozen=True)
class Traffic:
    """Weights, instance counts and concurrency of variants.

    :param weights: By variant.
    :param instance_counts: By variant.
    :param serverless_updates: Concurrency by serverless variant.
    """

    weights: Mapping[str, float] = field(default_factory=dict)
    instance_counts: Mapping[str, int] = field(default_factory=dict)
    serverless_updates: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def as_json(self) -> dict[str, dict[str, Any]]:
        """Return all as plain JSON; the concurrency only if there is any."""
        concurrency = {name: dict(update) for name, update in self.serverless_updates.items()}
        return {
            "weights": dict(self.weights),
            "instance_counts": dict(self.instance_counts),
            **({"serverless_updates": concurrency} if concurrency else {}),
        }


@dataclass(frozen=True)
class ShiftPlan:
    """The next part of a shift.

    :param steps: The next steps, up to the next wait; none: the endpoint has the traffic that is wanted.
    :param before: What the variants of the shift had before it; None while another change is in progress.
    """

    steps: tuple[Step, ...] = ()
    before: Traffic | None = None


def plan_shift(observed: Observation, shift: Shift) -> ShiftPlan | Fact:
    """Return the next steps of a shift, or the fact that is needed for them.

    SageMaker refuses a change while another one is in progress (UpdateEndpointWeightsAndCapacities, DescribeEndpoint): it is awaited.

    :param observed: The observation of the endpoint.
    :param shift: The requested shift.
    :raises NotFoundError: When the endpoint, or a variant, does not exist.
    :raises ConflictError: When the endpoint is not ours, cannot be changed, or the count of a variant is not the task's to set.
    :raises InvalidSpecError: When no variant would get traffic.
    """
    try:
        return _plan(observed, shift)
    except FactNeededError as lacking:
        return lacking.fact


def _plan(observed: Observation, shift: Shift) -> ShiftPlan:
    described, name = observed.endpoint, shift.endpoint_name
    if described is None:
        raise NotFoundError(f"There is no endpoint {name!r}.")
    if not shift.adopt and not is_ours(dict(observed.tags)):
        raise ConflictError(
            f"Endpoint {name} does not have this package's tags, so something else created it; adopt=True shifts its traffic anyway."
        )
    if described["EndpointStatus"] in (*BROKEN, DELETING):
        raise ConflictError(
            f"Endpoint {name} is {described['EndpointStatus']}: its traffic cannot be shifted. Deploy it first."
        )
    if is_transitional(described):
        return ShiftPlan((Wait(WaitCondition(WaitFor.SETTLED, name)),))
    variants = _variants(described, shift)
    changes = _changes(variants, shift)
    if not changes:
        return ShiftPlan(before=_kept(observed, shift) or _traffic(variants, shift))
    _check_some_traffic(described, shift)
    _check_counts(observed, variants, changes, name)
    before = _traffic(variants, shift)
    return ShiftPlan(_steps(described, shift, changes, before), before)


def _variants(described: Described, shift: Shift) -> dict[str, Mapping[str, Any]]:
    """Return the described variants of the shift, by name."""
    found = {one["VariantName"]: one for one in described.get("ProductionVariants") or []}
    wanted = sorted({*shift.weights, *shift.instance_counts, *shift.serverless_updates})
    if missing := [name for name in wanted if name not in found]:
        raise NotFoundError(
            f"Endpoint {shift.endpoint_name} has no production variant {', '.join(missing)}; it has: {', '.join(found) or 'none'}."
        )
    return {name: found[name] for name in wanted}


def _changes(variants: Mapping[str, Mapping[str, Any]], shift: Shift) -> dict[str, dict[str, Any]]:
    """Return the members of the request by variant, of what is not as wanted."""
    changes: dict[str, dict[str, Any]] = {}
    wanted = {"DesiredWeight": shift.weights, "DesiredInstanceCount": shift.instance_counts}
    for member, values in wanted.items():
        for name, value in values.items():
            if not is_same_share(variants[name].get(member), value):
                changes.setdefault(name, {})[member] = value
    for name, update in shift.serverless_updates.items():
        if not is_serverless([variants[name]]):
            raise ConflictError(
                f"Variant {name} of endpoint {shift.endpoint_name} runs on instances, and has no concurrency to set; allowed: its "
                "instance_counts."
            )
        now = _concurrency(variants[name])
        if any(now.get(member) != value for member, value in update.items()):
            changes.setdefault(name, {})["ServerlessUpdateConfig"] = dict(update)
    return changes


def _concurrency(variant: Mapping[str, Any]) -> dict[str, int]:
    """Return the concurrency of a described serverless variant; the desired config is described only while it differs."""
    config = variant.get("DesiredServerlessConfig") or variant.get("CurrentServerlessConfig") or {}
    return {member: config[member] for member in CONCURRENCY if config.get(member) is not None}


def _traffic(variants: Mapping[str, Mapping[str, Any]], shift: Shift) -> Traffic:
    """Return what the described variants of a shift have of what it sets."""
    return Traffic(
        {name: float(variants[name].get("DesiredWeight") or 0.0) for name in shift.weights},
        {
            name: int(variants[name]["DesiredInstanceCount"])
            for name in shift.instance_counts
            if variants[name].get("DesiredInstanceCount") is not None
        },
        {name: _concurrency(variants[name]) for name in shift.serverless_updates},
    )


def _kept(observed: Observation, shift: Shift) -> Traffic | None:
    """Return what the variants had before an earlier try of this task shifted the traffic; None if none has."""
    weights: dict[str, float] = {}
    counts: dict[str, int] = {}
    concurrency: dict[str, dict[str, int]] = {}
    for key, value in observed.tags.items():
        task, _, rest = value.partition(" ")
        if key.startswith(SHIFTED) and task == shift.task:
            weight, _, count = rest.partition(" ")
            name = key.removeprefix(SHIFTED)
            if name in shift.weights:
                weights[name] = float(weight)
            if name in shift.serverless_updates and "/" in count:
                numbers = zip(CONCURRENCY, count.split("/"), strict=True)
                concurrency[name] = {member: int(number) for member, number in numbers if number}
            elif name in shift.instance_counts and count:
                counts[name] = int(count)
    return Traffic(weights, counts, concurrency) if weights or counts or concurrency else None


def _check_some_traffic(described: Described, shift: Shift) -> None:
    """Check that some variant has a weight afterwards; that SageMaker refuses or drops requests otherwise is assumed."""
    weights = {
        one["VariantName"]: one.get("DesiredWeight") or 0.0
        for one in described.get("ProductionVariants") or []
    }
    if not any({**weights, **shift.weights}.values()):
        raise InvalidSpecError(
            f"Endpoint {shift.endpoint_name}: all weights would be 0; allowed: one variant at least with a weight above 0."
        )


def _check_counts(
    observed: Observation,
    variants: Mapping[str, Mapping[str, Any]],
    changes: Mapping[str, Mapping[str, Any]],
    endpoint: str,
) -> None:
    """Check that the counts are the task's to set: serverless variants have none, and those of scaled variants are autoscaling's."""
    counted = [name for name, change in changes.items() if "DesiredInstanceCount" in change]
    for name in counted:
        if is_serverless([variants[name]]):
            raise ConflictError(f"Variant {name} of endpoint {endpoint} is serverless, and has no instances.")
    if not counted:
        return
    scaled = observed.scalable_targets
    for name in counted:
        if name in scaled:
            low, high = scaled[name].get("MinCapacity"), scaled[name].get("MaxCapacity")
            raise ConflictError(
                f"Variant {name} of endpoint {endpoint} is scaled by Application Auto Scaling, from {low} to {high} instances, which would "
                "change the count again. Set its capacities with ConfigureAutoscalingOperator."
            )


def _steps(
    described: Described, shift: Shift, changes: Mapping[str, dict[str, Any]], before: Traffic
) -> tuple[Step, ...]:
    name = described["EndpointName"]
    kept = {
        f"{SHIFTED}{variant}": f"{shift.task} {float(one.get('DesiredWeight') or 0.0)!r} {_capacity(one, shift)}".strip()
        for one in described["ProductionVariants"]
        if (variant := one["VariantName"])
        in {*before.weights, *before.instance_counts, *before.serverless_updates}
    }
    call = UpdateEndpointWeightsAndCapacities(
        {
            "EndpointName": name,
            "DesiredWeightsAndCapacities": [
                {"VariantName": one, **members} for one, members in changes.items()
            ],
        },
        f"variants {', '.join(changes)}",
        "; ".join(_in_words(one, members) for one, members in changes.items()),
    )
    # The weights of all variants of the shift are awaited, also of one of which only the count changes.
    present = {
        one["VariantName"]: float(one.get("DesiredWeight") or 0.0)
        for one in described["ProductionVariants"]
        if one["VariantName"] in changes
    }
    condition = WaitCondition(
        WaitFor.COUNTED,
        shift.endpoint_name,
        described.get("EndpointConfigName"),
        modified_before=moment(described.get("LastModifiedTime")),
        instance_counts=dict(shift.instance_counts),
        weights={**present, **shift.weights},
    )
    tags = AddTags({"ResourceArn": described["EndpointArn"], "Tags": tag_list(kept)}, "tags of the shift")
    return (tags, call, Wait(condition))


def _capacity(variant: Mapping[str, Any], shift: Shift) -> str:
    """Return what a tag says of a variant's capacity before the shift: instances, or maximum and provisioned concurrency."""
    if variant["VariantName"] not in shift.serverless_updates:
        return str(variant.get("DesiredInstanceCount", ""))
    now = _concurrency(variant)
    return "/".join(str(now.get(member, "")) for member in CONCURRENCY)


def _in_words(variant: str, members: Mapping[str, Any]) -> str:
    parts = [
        *([f"weight {members['DesiredWeight']:g}"] if "DesiredWeight" in members else []),
        *([f"{members['DesiredInstanceCount']} instances"] if "DesiredInstanceCount" in members else []),
        *(f"{member} {value}" for member, value in members.get("ServerlessUpdateConfig", {}).items()),
    ]
    return f"{variant} gets {' and '.join(parts)}"

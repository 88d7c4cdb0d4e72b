"""Plan the calls that turn the existing scaling into the requested scaling, in order.

The order makes a kill between two calls harmless: a policy or action is marked as ours before it is put, and until after it is deleted.
So the next run finds what is left to finish, and nothing that others made counts as ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.difference import ABSENT, differences, unwanted
from airflow_sm_hosting.deployment.scaling_snapshot import place_of
from airflow_sm_hosting.deployment.steps import (
    DeleteScalingPolicy,
    DeleteScheduledAction,
    DeregisterScalableTarget,
    PutScalingPolicy,
    PutScheduledAction,
    RegisterScalableTarget,
    ScalingCall,
    TagScalableTarget,
    UntagScalableTarget,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.spec.patterns import MAX_TAGS
from airflow_sm_hosting.spec.scaling_rules import (
    ACTION_MEMBERS,
    MAX_POLICIES,
    MAX_SCHEDULED_ACTIONS,
    POLICY_MEMBERS,
    tracked_metric,
)
from airflow_sm_hosting.spec.tags import (
    CAPACITIES,
    OURS,
    SCALING_POLICIES,
    SCHEDULED_ACTIONS,
    digest,
    digest_tag_keys,
    digest_tags,
    digests_in,
    is_ours,
)

Item = Mapping[str, Any]

#: Members that AWS may describe although the request did not contain them (PutScheduledAction, API_StepScalingPolicyConfiguration; for the
#: same cooldowns of SageMaker's targets see "Define a scaling policy" in the developer guide).
_DEFAULTS = {"Timezone": "UTC", "Cooldown": 300, "ScaleInCooldown": 300, "ScaleOutCooldown": 300}


def _reset(found: Item) -> dict[str, Any]:
    """Return the members that reset an existing value: PutScheduledAction keeps the time zone if the request has none."""
    return {"Timezone": _DEFAULTS["Timezone"]} if found.get("Timezone") else {}


@dataclass(frozen=True)
class WantedScaling:
    """The requested scaling, validated.

    :param place: ``ServiceNamespace``, ``ResourceId`` and ``ScalableDimension``.
    :param minimum: Minimum capacity.
    :param maximum: Maximum capacity.
    :param suspended_state: The three switches, or None to leave them as they are.
    :param policies: Requests of PutScalingPolicy, without the place.
    :param actions: Requests of PutScheduledAction, without the place.
    :param tags: The user's tags of the target.
    """

    place: Mapping[str, str]
    minimum: int
    maximum: int
    suspended_state: Item | None = None
    policies: Sequence[Item] = ()
    actions: Sequence[Item] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def capacities(self) -> dict[str, int]:
        """The capacities, as members of a request."""
        return {"MinCapacity": self.minimum, "MaxCapacity": self.maximum}

    @property
    def owner_tags(self) -> dict[str, str]:
        """The tags of a target in the requested state, without the tags that name the owners of its policies and actions."""
        return {**OURS, CAPACITIES: f"{self.minimum}-{self.maximum}"}


@dataclass(frozen=True)
class ObservedScaling:
    """The existing scaling.

    :param target: The scalable target, or None.
    :param policies: All its policies, also those of others.
    :param actions: All its scheduled actions, also those of others.
    """

    target: Item | None = None
    policies: Sequence[Item] = ()
    actions: Sequence[Item] = ()


@dataclass(frozen=True)
class ScalingPlan:
    """The plan for a scalable target.

    :param steps: The calls, in order.
    :param foreign: Policies and actions that stay untouched: neither requested nor ours.
    """

    steps: list[ScalingCall] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Kind:
    """Policies or scheduled actions.

    :param word: The noun for messages.
    :param name: The member with the name.
    :param put: The step that puts one.
    :param delete: The step that deletes one.
    :param members: The members of a request.
    :param most: The maximum number for a target.
    :param tag: The key of the tags that list ours.
    """

    word: str
    name: str
    put: type[ScalingCall]
    delete: type[ScalingCall]
    members: Mapping[str, Any]
    most: int
    tag: str


POLICIES = _Kind(
    "policy",
    "PolicyName",
    PutScalingPolicy,
    DeleteScalingPolicy,
    POLICY_MEMBERS,
    MAX_POLICIES,
    SCALING_POLICIES,
)
ACTIONS = _Kind(
    "scheduled action",
    "ScheduledActionName",
    PutScheduledAction,
    DeleteScheduledAction,
    ACTION_MEMBERS,
    MAX_SCHEDULED_ACTIONS,
    SCHEDULED_ACTIONS,
)


class _Share:
    """The policies or actions to put, to delete and to leave alone.

    :param known: Digests of the names that are ours.
    """

    def __init__(
        self,
        kind: _Kind,
        asked: Iterable[Item],
        found: Iterable[Item],
        *,
        known: set[str],
        adopt: bool,
    ) -> None:
        self.kind = kind
        self.known = known
        self.asked = {item[kind.name]: item for item in asked}
        self.found = {item[kind.name]: item for item in found}
        self.changes = {
            name: lines
            for name, item in self.asked.items()
            if (lines := _changes(item, self.found.get(name), kind.members))
        }
        unasked = [name for name in self.found if name not in self.asked]
        self.deleted = [name for name in unasked if digest(name) in known]
        self.foreign = [name for name in unasked if digest(name) not in known]
        self.owned = {
            digest(name) for name in self.asked if adopt or name not in self.found or digest(name) in known
        }

    def conflicts(self) -> list[str]:
        """Return the conflicts between the request and the policies or actions of others."""
        kind = self.kind
        problems = [
            (
                f"{kind.word} {name!r} exists, differs, and was not created by this package (adopt=True "
                "overwrites it)"
            )
            for name in self.changes
            if name in self.found and digest(name) not in self.owned
        ]
        for name in self.foreign:
            metric = tracked_metric(self.found[name])
            if metric and any(tracked_metric(self.asked[put]) == metric for put in self.changes):
                problems.append(
                    f"{kind.word} {name!r} was not created by this package, and uses the metric of a given "
                    "policy; AWS allows one target-tracking policy per metric (delete it, or give your "
                    "policy this name and adopt=True)"
                )
        number = len(self.asked) + len(self.foreign)
        if number > kind.most and self.changes:
            problems.append(
                f"there would be {number}, of which this package did not create {len(self.foreign)}; AWS "
                f"allows {kind.most}"
            )
        return problems

    def in_the_way(self) -> list[str]:
        """Return the names to delete before any put: those that track the same metric under another name, or exceed the maximum."""
        crowded = len({*self.found, *self.asked}) > self.kind.most
        return [
            name
            for name, item in self.found.items()
            if digest(name) in self.known | self.owned
            and (
                (crowded and name in self.deleted)
                or ((metric := tracked_metric(item)) and self._puts_elsewhere(metric, name))
            )
        ]

    def _puts_elsewhere(self, metric: str, name: str) -> bool:
        return any(put != name and tracked_metric(self.asked[put]) == metric for put in self.changes)

    def puts(self, place: Item) -> list[ScalingCall]:
        return [
            self.kind.put(
                {**place, **_reset(self.found.get(name, {})), **self.asked[name]},
                f"{self.kind.word} {name}",
                "; ".join(lines),
            )
            for name, lines in self.changes.items()
        ]

    def deletes(self, place: Item, names: Iterable[str]) -> list[ScalingCall]:
        return [
            self.kind.delete(
                {**place, self.kind.name: name},
                f"{self.kind.word} {name}",
                "it is replaced" if name in self.asked else "it is no longer given",
            )
            for name in names
        ]


def tags_matter(asked: WantedScaling, found: ObservedScaling) -> bool:
    """Return whether the plan depends on the owner tags: something differs from the request, or was not requested."""
    if found.target is None:
        return False
    if asked.tags:
        return True
    if any(found.target.get(member) != value for member, value in asked.capacities.items()):
        return True
    for kind, wanted, there in _kinds(asked, found):
        names = {item[kind.name] for item in wanted}
        if any(item[kind.name] not in names for item in there):
            return True
    return bool(plan_scaling(asked, found, _all_owner_tags(asked), adopt=False).steps)


def plan_scaling(
    asked: WantedScaling, found: ObservedScaling, tags: Mapping[str, str], *, adopt: bool
) -> ScalingPlan:
    """Plan the changes of a scalable target.

    :param asked: The requested scaling.
    :param found: The existing scaling.
    :param tags: Tags of the target; not needed when :func:`tags_matter` returns False.
    :param adopt: Whether the task may change a target, policy or action that is not ours; it is then managed by this package.
    :raises ConflictError: When the plan would change something that is not ours.
    """
    ours = is_ours(dict(tags))
    shares = [
        _Share(
            kind,
            wanted,
            there,
            known=digests_in(kind.tag, tags) if ours else set(),
            adopt=adopt or found.target is None,
        )
        for kind, wanted, there in _kinds(asked, found)
    ]
    if found.target is None:
        new_tags = {**asked.tags, **_all_owner_tags(asked)}
        _check_number_of_tags(asked, new_tags)
        return ScalingPlan(
            [_register(asked, {"Tags": new_tags}, ABSENT)]
            + [step for share in shares for step in share.puts(asked.place)]
        )
    gone = {name for share in shares if share.kind is ACTIONS for name in share.deleted}
    foreign = [f"{share.kind.word} {name}" for share in shares for name in share.foreign]
    register = _changed_target(asked, found, tags, gone)
    before = [step for share in shares for step in share.deletes(asked.place, share.in_the_way())]
    puts = [step for share in shares for step in share.puts(asked.place)]
    after = [
        step
        for share in shares
        for step in share.deletes(
            asked.place, [name for name in share.deleted if name not in share.in_the_way()]
        )
    ]
    writes = [*register, *before, *puts, *after]
    if not ours and not adopt:
        needed = [f"{step.what}: {step.why}" for step in writes]
        needed += [f"tag {key} is missing" for key, value in asked.tags.items() if tags.get(key) != value]
        if needed:
            raise ConflictError(
                f"Scalable target {asked.place['ResourceId']} exists without this package's tags, and it must "
                f"be changed ({'; '.join(needed)}). adopt=True takes it over."
            )
        return ScalingPlan([], foreign)
    problems = [problem for share in shares for problem in share.conflicts()]
    if problems:
        raise ConflictError(f"Scalable target {asked.place['ResourceId']}: {'; '.join(problems)}.")
    claim = {**OURS, **_owner_tags(shares, lambda share: share.known | share.owned)}
    if register:
        # The previous request is void, also if this run ends before it can save the new one.
        claim[CAPACITIES] = "changing"
    kept = {**asked.tags, **asked.owner_tags, **_owner_tags(shares, lambda share: share.owned)}
    steps = [
        *_tag(found.target, tags, claim),
        *writes,
        *_tag(found.target, {**tags, **claim}, kept),
        *_untag(found.target, {**tags, **claim}, kept, shares),
    ]
    if not writes and _same_tags(asked, tags, kept, shares):
        return ScalingPlan([], foreign)
    _check_number_of_tags(asked, {**tags, **claim, **kept})
    return ScalingPlan(steps, foreign)


def plan_removal(
    observed: ObservedScaling, tags: Mapping[str, str], *, adopt: bool
) -> tuple[DeregisterScalableTarget, list[str]]:
    """Return the step that deregisters a scalable target, and the names of all that it deletes: target, policies, scheduled actions.

    :param observed: The existing scaling; its target must exist.
    :param tags: The target's tags.
    :param adopt: Whether the task may remove it although it, its policies or its actions are not ours.
    :raises ConflictError: When the task must not remove it.
    """
    target = observed.target or {}
    resource_id = target["ResourceId"]
    things, foreign = ["scalable target"], []
    for kind, items in ((POLICIES, observed.policies), (ACTIONS, observed.actions)):
        known = digests_in(kind.tag, tags)
        for item in items:
            things.append(f"{kind.word} {item[kind.name]}")
            if digest(item[kind.name]) not in known:
                foreign.append(things[-1])
    if not adopt and not is_ours(dict(tags)):
        raise ConflictError(
            f"Scalable target {resource_id} does not have this package's tags. adopt=True removes it with all "
            f"that belongs to it ({', '.join(things)})."
        )
    if not adopt and foreign:
        raise ConflictError(
            f"Scalable target {resource_id} has policies or scheduled actions that this package did not "
            f"create and that would be deleted with it: {', '.join(foreign)}. Delete them first, or give "
            "adopt=True."
        )
    step = DeregisterScalableTarget(place_of(target), resource_id, f"deleted with it: {', '.join(things)}")
    return step, things


def _kinds(
    asked: WantedScaling, found: ObservedScaling
) -> tuple[tuple[_Kind, Sequence[Item], Sequence[Item]], ...]:
    return (
        (POLICIES, asked.policies, found.policies),
        (ACTIONS, asked.actions, found.actions),
    )


def _all_owner_tags(asked: WantedScaling) -> dict[str, str]:
    """Return the tags of a target on which everything requested is ours."""
    tags = asked.owner_tags
    for kind, wanted in ((POLICIES, asked.policies), (ACTIONS, asked.actions)):
        tags |= digest_tags(kind.tag, (digest(item[kind.name]) for item in wanted))
    return tags


def _owner_tags(shares: Iterable[_Share], of: Any) -> dict[str, str]:
    tags: dict[str, str] = {}
    for share in shares:
        tags |= digest_tags(share.kind.tag, of(share))
    return tags


def _tag(target: Item, tags: Mapping[str, str], wanted: Mapping[str, str]) -> list[ScalingCall]:
    missing = {key: value for key, value in wanted.items() if tags.get(key) != value}
    request = {"ResourceARN": target.get("ScalableTargetARN"), "Tags": missing}
    return [TagScalableTarget(request, "tags", "marked")] if missing else []


def _untag(
    target: Item, tags: Mapping[str, str], kept: Mapping[str, str], shares: Iterable[_Share]
) -> list[ScalingCall]:
    keys = [key for share in shares for key in digest_tag_keys(share.kind.tag, tags) if key not in kept]
    request = {"ResourceARN": target.get("ScalableTargetARN"), "TagKeys": sorted(keys)}
    return [UntagScalableTarget(request, "tags", "marked")] if keys else []


def _check_number_of_tags(asked: WantedScaling, tags: Mapping[str, str]) -> None:
    """Check that the tags fit on a scalable target, before the first of several calls (TagResource: 50 tags at most).

    :raises InvalidSpecError: When there are too many of the user's tags.
    """
    if asked.tags and len(tags) > MAX_TAGS:
        raise InvalidSpecError(
            f"tags has {len(asked.tags)} tags, and with {len(tags) - len(asked.tags)} others, such as those that list policies and "
            f"scheduled actions, scalable target {asked.place['ResourceId']} would have {len(tags)}; allowed: {MAX_TAGS}."
        )


def _same_tags(
    asked: WantedScaling, tags: Mapping[str, str], kept: Mapping[str, str], shares: Iterable[_Share]
) -> bool:
    keys = {
        *asked.tags,
        *OURS,
        CAPACITIES,
        *(key for share in shares for key in digest_tag_keys(share.kind.tag, {**tags, **kept})),
    }
    return all(tags.get(key) == kept.get(key) for key in keys)


def _register(asked: WantedScaling, more: Item, why: Iterable[str]) -> ScalingCall:
    request = {
        **asked.place,
        **asked.capacities,
        **({"SuspendedState": dict(asked.suspended_state)} if asked.suspended_state else {}),
        **more,
    }
    return RegisterScalableTarget(request, "scalable target", "; ".join(why))


def _changed_target(
    asked: WantedScaling, found: ObservedScaling, tags: Mapping[str, str], gone: set[str]
) -> list[ScalingCall]:
    """Return the call that changes the target, with the members that differ: other members stay (RegisterScalableTarget).

    A scheduled action sets the target's own capacities. A capacity that equals the value of a remaining action is correct, unless the
    request has changed.
    """
    target = found.target or {}
    set_by_actions = [
        action.get("ScalableTargetAction") or {}
        for action in found.actions
        if action["ScheduledActionName"] not in gone
    ]
    as_before = tags.get(CAPACITIES) == asked.owner_tags[CAPACITIES]
    changed: dict[str, Any] = {
        member: value
        for member, value in asked.capacities.items()
        if target.get(member) != value
        and not (
            as_before
            and target.get(member) in [action[member] for action in set_by_actions if member in action]
        )
    }
    after = {**target, **changed}
    if changed and after["MinCapacity"] > after["MaxCapacity"]:
        changed = asked.capacities  # the other capacity, set by an action, does not fit
    lines = differences(changed, {member: target.get(member) for member in changed})
    if asked.suspended_state is not None:
        described = dict.fromkeys(asked.suspended_state, False) | dict(target.get("SuspendedState") or {})
        suspended = differences(asked.suspended_state, described, "SuspendedState")
        if suspended:
            changed["SuspendedState"] = dict(asked.suspended_state)
            lines += suspended
    if not changed:
        return []
    return [RegisterScalableTarget({**asked.place, **changed}, "scalable target", "; ".join(lines))]


def _changes(wanted: Item, there: Item | None, members: Mapping[str, Any]) -> list[str]:
    """Return the changes by a put: requested members that differ, and existing members that are no longer requested."""
    if there is None:
        return ABSENT
    described = _without_defaults(there, wanted)
    return differences(wanted, described) + unwanted(wanted, described, members)


def _without_defaults(described: Any, wanted: Any) -> Any:
    """Return the description without the documented defaults that AWS adds for members that were not requested."""
    if not isinstance(described, Mapping) or not isinstance(wanted, Mapping):
        return described
    return {
        name: _without_defaults(value, wanted.get(name))
        for name, value in described.items()
        if name in wanted or _DEFAULTS.get(name, ...) != value
    }

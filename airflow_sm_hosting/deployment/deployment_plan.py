"""The plan of a deployment, for a person who approves it: what changes, how long it takes, and its risks."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from itertools import takewhile
from typing import Any

from airflow_sm_hosting.deployment.component import COPIES
from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.observation import FactNeededError
from airflow_sm_hosting.deployment.plan_changes import (
    Change,
    Group,
    change_of_line,
    config_and_model_changes,
    with_live_properties,
)
from airflow_sm_hosting.deployment.rollback_alarms import bake
from airflow_sm_hosting.deployment.scaling_snapshot import variant_of
from airflow_sm_hosting.deployment.simulation import Fetch, Simulation
from airflow_sm_hosting.deployment.status import Described, Kind, instance_counts
from airflow_sm_hosting.deployment.steps import (
    DeregisterScalableTarget,
    Step,
    UpdateEndpoint,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
)
from airflow_sm_hosting.deployment.wanted import Wanted

#: Actions that ask AWS to deploy.
DEPLOYS = (Action.CREATE, Action.UPDATE, Action.REPLACE)

#: Longest value in a table, in characters: a row has two of them, and a person approves both on one screen.
_CELL = 48
#: Up to this length, in characters, a value is shown from its beginning.
_SHORT = 32


@dataclass(frozen=True)
class DeploymentPlan:
    """The plan of a deployment, for a person.

    :param decision: The decision, with its reason.
    :param endpoint_name: The endpoint.
    :param serving: The config that serves now.
    :param target: The config that would serve.
    :param table: The differences, with their groups.
    :param calls: The operations that would change resources, in order.
    :param two_fleets: Whether an old and a new fleet would share the traffic for a while.
    :param rollout_seconds: How long AWS would watch the new fleet, in seconds: the minimum duration of the rollout, and for how long two
        fleets run. The start of the instances comes on top.
    :param variants: The variants afterwards: name, instance count and weight, where they have them.
    :param alarms: The alarms that would roll the deployment back.
    :param fallbacks: The configs that would be deployed instead, in order, if AWS had no capacity.
    :param risks: What could go wrong, in sentences.
    :param kind: The kind of the resource: of an inference component, ``endpoint_name`` is its name.
    :param copies: The copies of an inference component afterwards.
    """

    decision: Decision
    endpoint_name: str
    serving: str | None
    target: str
    table: Sequence[Change] = ()
    calls: list[str] = field(default_factory=list)
    two_fleets: bool = False
    rollout_seconds: int = 0
    variants: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)
    risks: list[str] = field(default_factory=list)
    kind: Kind = Kind.ENDPOINT
    copies: int | None = None

    @property
    def changes(self) -> list[str]:
        """The differences, one line a member."""
        return [change.line for change in self.table]

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        of_component = self.kind is Kind.COMPONENT
        return {
            "action": str(self.decision.action),
            "reason": self.decision.reason,
            "inference_component_name" if of_component else "endpoint_name": self.endpoint_name,
            "serving": self.serving,
            "target": self.target,
            "changes": self.changes,
            "table": [
                {name: value for name, value in asdict(change).items() if name != "line"}
                for change in self._in_groups()
            ],
            "calls": self.calls,
            "two_fleets": self.two_fleets,
            "rollout_seconds": self.rollout_seconds,
            **({"copies": self.copies} if of_component else {"variants": self.variants}),
            "alarms": self.alarms,
            **({} if of_component else {"fallbacks": self.fallbacks}),
            "risks": self.risks,
        }

    def as_markdown(self) -> str:
        """Return the plan as Markdown, for a person to approve."""
        stays = self.decision.action in (Action.REFUSE, Action.FAIL)
        lines = [
            f"## {self.endpoint_name}: {self.decision.action}",
            "",
            f"{self.decision.reason[:1].upper()}{self.decision.reason[1:]}.".replace("..", "."),
            "",
            f"- serves now: {_code(self.serving)}",
            f"- would serve: {_code(self.serving if stays else self.target)}",
        ]
        if self.decision.action in DEPLOYS:
            lines.append(f"- rollout: {self._rollout()}")
        if self.copies is not None:
            lines.append(f"- copies afterwards: {self.copies}")
        if self.alarms:
            lines.append(f"- alarms that roll it back: {', '.join(map(_code, self.alarms))}")
        if self.fallbacks:
            lines.append(f"- if AWS has no capacity, instead: {', '.join(map(_code, self.fallbacks))}")
        if self.risks:
            lines += ["", "### Risks", "", *(f"- {risk}" for risk in self.risks)]
        changed = [change for change in self._in_groups() if not change.stays]
        if changed:
            lines += ["", "### Changes", "", *_table(changed)]
        for title, items in (
            ("Stays, although the config differs", [one.line for one in self.table if one.stays]),
            ("Variants afterwards", [_variant_in_words(one) for one in self.variants]),
            ("Write calls", self.calls),
        ):
            if items:
                lines += ["", f"### {title}", "", *(f"- {_code(item)}" for item in items)]
        return "\n".join(lines) + "\n"

    def _in_groups(self) -> list[Change]:
        order = list(Group)
        return sorted(self.table, key=lambda change: order.index(change.group))

    def _rollout(self) -> str:
        if self.decision.action is not Action.UPDATE:
            return "a new fleet; nothing serves before it is in service"
        if not self.two_fleets:
            return "all traffic moves at once, when the new fleet is in service; the old fleet ends then"
        if not self.rollout_seconds:
            return "step by step; an old and a new fleet share the traffic meanwhile"
        return (
            f"at least {timedelta(seconds=self.rollout_seconds)}, and the start of the new instances; for that time two fleets run and are "
            "paid for"
        )


def deployment_plan(
    simulated: Simulation, before: Described | None, wanted: Wanted, fetch: Fetch
) -> DeploymentPlan:
    """Return a simulated deployment as a plan for a person.

    :param simulated: The deployment.
    :param before: DescribeEndpoint's answer before it.
    :param wanted: The requested deployment.
    :param fetch: Reads a fact from AWS.
    """
    if wanted.component:
        return _component_plan(simulated, before)
    observed, target = simulated.observed, simulated.target
    serving = (before or {}).get("EndpointConfigName")
    old = (before or {}).get("ProductionVariants") or []
    after = (observed.endpoint or {}).get("ProductionVariants") or []
    table: list[Change] = []
    while serving and serving != target:
        try:
            table = config_and_model_changes(observed, serving, target)
            if simulated.decision.action is Action.UPDATE:
                table = with_live_properties(table, old, after, observed.variants_of(target))
            break
        except FactNeededError as lacking:
            observed = observed.learned(lacking.fact, fetch(lacking.fact, observed))
    update = next((step for step in simulated.steps if isinstance(step, UpdateEndpoint)), None)
    deployment_config = (update.request if update else {}).get("DeploymentConfig") or {}
    alarms = deployment_config.get("AutoRollbackConfiguration") or {}
    names = [alarm["AlarmName"] for alarm in alarms.get("Alarms") or []]
    is_changed = simulated.decision.action in DEPLOYS
    return DeploymentPlan(
        decision=simulated.decision,
        endpoint_name=observed.endpoint_name,
        serving=serving,
        target=target,
        table=[*table, *_scaling_changes(simulated.steps)],
        calls=simulated.calls,
        two_fleets=bool(update) and has_two_fleets(deployment_config),
        rollout_seconds=bake(deployment_config)[0],
        variants=[_live_properties(one) for one in after] if is_changed else [],
        alarms=names,
        fallbacks=[name for name in wanted.fallbacks if name != target] if update else [],
        risks=list(_risks(simulated.decision.action, wanted, deployment_config, names, old, after)),
    )


def _component_plan(simulated: Simulation, before: Described | None) -> DeploymentPlan:
    """Return the plan of an inference component: what differs is known, as contents are compared."""
    update = next((step for step in simulated.steps if isinstance(step, UpdateInferenceComponent)), None)
    deployment_config = (update.request if update else {}).get("DeploymentConfig") or {}
    alarms = deployment_config.get("AutoRollbackConfiguration") or {}
    names = [alarm["AlarmName"] for alarm in alarms.get("Alarms") or []]
    decision = simulated.decision
    copies = next(
        (step for step in simulated.steps if isinstance(step, UpdateInferenceComponentRuntimeConfig)), None
    )
    if copies and decision.action is Action.UNCHANGED:
        decision = Decision(Action.UPDATE, f"{decision.reason}; {copies.why}")
    return DeploymentPlan(
        decision=decision,
        endpoint_name=simulated.observed.endpoint_name,
        serving=(before or {}).get("EndpointConfigName"),
        target=simulated.target,
        table=[change_of_line(line) for line in (before or {}).get("Differences") or ()],
        calls=simulated.calls,
        # New copies stand beside the old ones until all are replaced (InferenceComponentRollingUpdatePolicy).
        two_fleets=update is not None,
        rollout_seconds=bake(deployment_config)[0],
        alarms=names,
        risks=[] if names or update is None else [NO_ALARM],
        kind=Kind.COMPONENT,
        copies=instance_counts(simulated.observed.endpoint or {}).get(COPIES),
    )


def has_two_fleets(deployment_config: Mapping[str, Any] | None) -> bool:
    """Return whether an old and a new fleet share the traffic during a rollout: always, except all at once without a bake time."""
    policy = (deployment_config or {}).get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    stepwise = routing.get("Type") in ("CANARY", "LINEAR") or "RollingUpdatePolicy" in (
        deployment_config or {}
    )
    return stepwise or bool(policy.get("TerminationWaitInSeconds"))


NO_ALARM = "No alarm rolls the deployment back: SageMaker notices only that containers do not start."


def _risks(
    action: Action,
    wanted: Wanted,
    deployment_config: Mapping[str, Any],
    alarms: Sequence[str],
    before: Sequence[Mapping[str, Any]],
    after: Sequence[Mapping[str, Any]],
) -> Iterator[str]:
    """Yield what could go wrong in a deployment."""
    if action not in DEPLOYS:
        return
    if action is Action.REPLACE:
        yield "The failed endpoint is deleted and created again: it does not answer meanwhile."
    if action is Action.UPDATE:
        if not alarms:
            yield NO_ALARM
        if not has_two_fleets(deployment_config):
            yield "All traffic moves at once, and nothing is watched afterwards."
    else:
        yield "Nothing served before, so there is no config to roll back to."
    if not wanted.smoke_test:
        yield "No smoke test asks the endpoint in this task."
    was = instance_counts({"ProductionVariants": before})
    will_be = instance_counts({"ProductionVariants": after})
    for name, count in will_be.items():
        if name in was and count < was[name]:
            yield f"Variant {name} has fewer instances afterwards: {count} instead of {was[name]}."
    # Developer guide, "Best practices for deploying models": two instances or more, in several Availability Zones.
    alone = [name for name, count in will_be.items() if count == 1]
    if alone:
        yield f"One instance alone, in one Availability Zone: {', '.join(alone)}."


def _scaling_changes(steps: Iterable[Step]) -> list[Change]:
    """Return the variants whose scaling an update removes for a while."""
    return [
        Change(
            Group.SCALING,
            f"{variant}: scaling",
            "on",
            "removed during the update",
            f"{variant}: scaling is removed during the update, and restored after it if the variant remains",
        )
        for step in steps
        if isinstance(step, DeregisterScalableTarget)
        for _, variant in (variant_of(step.request["ResourceId"]),)
    ]


def _live_properties(variant: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "variant_name": "VariantName",
        "instance_count": "DesiredInstanceCount",
        "weight": "DesiredWeight",
    }
    return {name: variant[member] for name, member in members.items() if variant.get(member) is not None}


def _variant_in_words(variant: Mapping[str, Any]) -> str:
    number = variant.get("instance_count")
    count = "" if number is None else f", {number} instance{'' if number == 1 else 's'}"
    return f"{variant['variant_name']}{count}, weight {variant.get('weight')}"


def _table(changes: Iterable[Change]) -> Iterator[str]:
    """Yield the lines of a Markdown table, the group only in the first row of each."""
    yield "| | what | now | afterwards |"
    yield "|---|---|---|---|"
    last = None
    for change in changes:
        group = f"**{change.group}**" if change.group is not last else ""
        last = change.group
        before, after = _from_difference(_without_quotes(change.before), _without_quotes(change.after))
        yield f"| {group} | {_cell(change.what, 2 * _CELL)} | {_cell(before)} | {_cell(after)} |"


def _without_quotes(value: str) -> str:
    """Return a value without the quotes of a Python string."""
    if value[:1] in "'\"" and value[-1:] == value[:1]:
        try:
            return str(literal_eval(value))
        except (SyntaxError, ValueError):
            pass  # two strings with something between them
    return value


def _from_difference(before: str, after: str) -> tuple[str, str]:
    """Return two values without the folders that they share, if they are long: their difference is what a person must see."""
    old, new = before.split("/"), after.split("/")
    shared = len(list(takewhile(lambda pair: pair[0] == pair[1], zip(old[:-1], new[:-1], strict=False))))
    if max(len(before), len(after)) <= _SHORT or not shared:
        return before, after
    while shared > 1 and max(len("/".join(parts[shared - 1 :])) for parts in (old, new)) <= _SHORT:
        shared -= 1  # a folder says what its content is
    return "/".join(["…", *old[shared:]]), "/".join(["…", *new[shared:]])


def _cell(text: str, limit: int = _CELL) -> str:
    """Return a value as code in a table: nothing in it is Markdown or ends the cell."""
    text = " ".join(text.split()).replace("`", "'").replace("|", "\\|")
    if len(text) > limit:
        text = f"{text[: limit - 1].rstrip(chr(92))}…"
    return _code(text) if text else ""


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "nothing"

"""Simulate a deployment step by step, and summarise the result for a person.

There is no second list of calls: the function that plans a real deployment also plans the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_sm_hosting.deployment.component import COPIES
from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.difference import differences
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.planning import Ending, Plan, plan
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.status import Described, Kind, instance_counts
from airflow_sm_hosting.deployment.steps import (
    Call,
    Step,
    UpdateEndpoint,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
    Wait,
)
from airflow_sm_hosting.deployment.wait import WaitFor
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError

Fetch = Callable[[Fact, Observation], Any]

#: Members of Describe answers that identify the resource and are no part of its content.
_IDENTITY = {
    "EndpointConfigName",
    "EndpointConfigArn",
    "ModelName",
    "ModelArn",
    "CreationTime",
}


@dataclass(frozen=True)
class Simulation:
    """A deployment simulated until its end, or until it waits for others.

    :param decision: The first decision.
    :param target: The config that would serve.
    :param steps: Its steps, in order.
    :param observed: The observation at its end.
    """

    decision: Decision
    target: str
    steps: tuple[Step, ...]
    observed: Observation

    @property
    def calls(self) -> list[str]:
        """The operations that change resources, in order."""
        return [step.operation for step in self.steps if isinstance(step, Call)]


def simulate(observed: Observation, wanted: Wanted, progress: Progress, fetch: Fetch) -> Simulation:
    """Simulate a successful deployment without changing anything.

    A refusal is a plan, too: its decision contains the reason.

    :param observed: The observation of the endpoint.
    :param wanted: The requested deployment.
    :param progress: The progress of the deployment.
    :param fetch: Reads a fact from AWS.
    """
    observed = replace(observed, simulated=True)
    first: Decision | None = None
    steps: list[Step] = []

    def fetched(find: Callable[[Observation], Any]) -> Any:
        nonlocal observed
        while True:
            try:
                found = find(observed)
            except FactNeededError as lacking:
                found = lacking.fact
            if not isinstance(found, Fact):
                return found
            observed = observed.learned(found, fetch(found, observed))

    while True:
        try:
            planned: Plan = fetched(lambda known: plan(known, wanted, progress))  # noqa: B023
        except (ConflictError, InvalidSpecError) as error:
            target = progress.target or wanted.endpoint_config_name or ""
            return Simulation(Decision(Action.REFUSE, str(error)), target, (), observed)
        first = first or planned.decision
        progress = planned.progress
        if planned.end and planned.end.ending is Ending.ALARMS_ON:
            first = Decision(Action.WAIT, planned.end.message)
            break
        if planned.end and planned.end.ending is Ending.TRY_AGAIN:
            observed = replace(observed, now=planned.end.until or observed.now)
            continue
        if planned.end or (first and first.action is Action.FAIL):
            break
        for step in planned.steps:
            arn = (observed.endpoint or {}).get("EndpointArn")
            observed = fetched(lambda known: step.effect(known))  # noqa: B023
            is_update = isinstance(step, UpdateEndpoint | UpdateInferenceComponent)
            answer = {"taken_at": int(observed.now.timestamp())} if is_update else None
            progress = progress.after_step(step, arn, answer)
            steps.append(step)
            if isinstance(step, Wait):
                if step.condition.until is WaitFor.SETTLED:
                    break
                progress = progress.after_wait(step.condition.until, step.simulated_result(observed))
        else:
            continue
        break
    decision = first or Decision(Action.UNCHANGED, "")
    return Simulation(decision, str(progress.target), tuple(steps), observed)


@dataclass(frozen=True)
class DeploymentPlan:
    """The plan of a deployment, for a person.

    :param decision: The decision, with its reason.
    :param endpoint_name: The endpoint.
    :param serving: The config that serves now.
    :param target: The config that would serve.
    :param changes: The differences, one line a member.
    :param calls: The operations that would change resources, in order.
    :param two_fleets: Whether an old and a new fleet would share the traffic for a while.
    :param variants: The variants afterwards: name, instance count and weight, where they have them.
    :param alarms: The alarms that would roll the deployment back.
    :param fallbacks: The configs that would be deployed instead, in order, if AWS had no capacity.
    :param kind: The kind of the resource: of an inference component, ``endpoint_name`` is its name.
    :param copies: The copies of an inference component afterwards.
    """

    decision: Decision
    endpoint_name: str
    serving: str | None
    target: str
    changes: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    two_fleets: bool = False
    variants: list[dict[str, Any]] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)
    kind: Kind = Kind.ENDPOINT
    copies: int | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the plan as plain JSON."""
        if self.kind is Kind.COMPONENT:
            return {
                "action": str(self.decision.action),
                "reason": self.decision.reason,
                "inference_component_name": self.endpoint_name,
                "serving": self.serving,
                "target": self.target,
                "changes": self.changes,
                "calls": self.calls,
                "two_fleets": self.two_fleets,
                "copies": self.copies,
                "alarms": self.alarms,
            }
        return {
            "action": str(self.decision.action),
            "reason": self.decision.reason,
            "endpoint_name": self.endpoint_name,
            "serving": self.serving,
            "target": self.target,
            "changes": self.changes,
            "calls": self.calls,
            "two_fleets": self.two_fleets,
            "variants": self.variants,
            "alarms": self.alarms,
            "fallbacks": self.fallbacks,
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
            f"- two fleets share the traffic meanwhile: {'yes' if self.two_fleets else 'no'}",
        ]
        if self.copies is not None:
            lines.append(f"- copies afterwards: {self.copies}")
        if self.alarms:
            lines.append(f"- alarms that roll it back: {', '.join(map(_code, self.alarms))}")
        if self.fallbacks:
            lines.append(f"- if AWS has no capacity, instead: {', '.join(map(_code, self.fallbacks))}")
        for title, items in (
            ("Changes", self.changes),
            ("Variants afterwards", [_variant_in_words(one) for one in self.variants]),
            ("Write calls", self.calls),
        ):
            if items:
                lines += ["", f"### {title}", "", *(f"- {_code(item)}" for item in items)]
        return "\n".join(lines) + "\n"


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
    after = (observed.endpoint or {}).get("ProductionVariants") or []
    changes: list[str] = []
    while serving and serving != target:
        try:
            changes = _config_and_model_changes(observed, serving, target)
            if simulated.decision.action is Action.UPDATE:
                initial = observed.variants_of(target)
                changes = _with_live_properties(
                    changes, (before or {}).get("ProductionVariants") or [], after, initial
                )
            break
        except FactNeededError as lacking:
            observed = observed.learned(lacking.fact, fetch(lacking.fact, observed))
    update = next((step for step in simulated.steps if isinstance(step, UpdateEndpoint)), None)
    request = update.request if update else {}
    alarms = (request.get("DeploymentConfig") or {}).get("AutoRollbackConfiguration") or {}
    is_changed = simulated.decision.action in (Action.CREATE, Action.UPDATE, Action.REPLACE)
    return DeploymentPlan(
        decision=simulated.decision,
        endpoint_name=observed.endpoint_name,
        serving=serving,
        target=target,
        changes=changes,
        calls=simulated.calls,
        two_fleets=bool(update) and has_two_fleets(request.get("DeploymentConfig")),
        variants=[_live_properties(one) for one in after] if is_changed else [],
        alarms=[alarm["AlarmName"] for alarm in alarms.get("Alarms") or []],
        fallbacks=[name for name in wanted.fallbacks if name != target] if update else [],
    )


def _component_plan(simulated: Simulation, before: Described | None) -> DeploymentPlan:
    """Return the plan of an inference component: what differs is known, as contents are compared."""
    update = next((step for step in simulated.steps if isinstance(step, UpdateInferenceComponent)), None)
    deployment_config = (update.request if update else {}).get("DeploymentConfig") or {}
    alarms = deployment_config.get("AutoRollbackConfiguration") or {}
    differences_now = (before or {}).get("Differences") or ()
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
        changes=[line.replace(", requested ", ", becomes ") for line in differences_now],
        calls=simulated.calls,
        # New copies stand beside the old ones until all are replaced (InferenceComponentRollingUpdatePolicy).
        two_fleets=update is not None,
        alarms=[alarm["AlarmName"] for alarm in alarms.get("Alarms") or []],
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


#: Members of a variant in a config that only its first deployment takes as they are, with the member of a serving variant for each
#: (ProductionVariant, ProductionVariantSummary).
_LIVE = {
    "InitialInstanceCount": ("DesiredInstanceCount", "instance count"),
    "InitialVariantWeight": ("DesiredWeight", "weight"),
}


def _with_live_properties(
    changes: Iterable[str],
    before: Iterable[Mapping[str, Any]],
    after: Iterable[Mapping[str, Any]],
    initial: Iterable[Mapping[str, Any]],
) -> list[str]:
    """Return the changes with what becomes of counts and weights, in place of the initial ones in the configs.

    An update may retain them, and autoscaling may have changed them.
    """
    old, new = ({one["VariantName"]: one for one in variants} for variants in (before, after))
    lines = [line for line in changes if not any(f": {member} " in line for member in _LIVE)]
    for variant in initial:
        name = variant["VariantName"]
        for member, (live, noun) in _LIVE.items():
            was, will_be = old.get(name, {}).get(live), new.get(name, {}).get(live)
            if was is not None and will_be is not None and was != will_be:
                lines.append(f"{name}: {noun} is {was}, becomes {will_be}")
            elif was is not None and variant.get(member) not in (None, will_be):
                lines.append(
                    f"{name}: {noun} stays {will_be}, which the update retains; the config has {variant[member]}"
                )
    return lines


def _live_properties(variant: Mapping[str, Any]) -> dict[str, Any]:
    members = {
        "variant_name": "VariantName",
        "instance_count": "DesiredInstanceCount",
        "weight": "DesiredWeight",
    }
    return {name: variant[member] for name, member in members.items() if variant.get(member) is not None}


def _variant_in_words(variant: Mapping[str, Any]) -> str:
    count = f", {variant['instance_count']} instances" if "instance_count" in variant else ""
    return f"{variant['variant_name']}{count}, weight {variant.get('weight')}"


def _config_and_model_changes(observed: Observation, serving: str, target: str) -> list[str]:
    """Return the differences between the serving and the new config, and between their models."""
    before, after = observed.config(serving) or {}, observed.config(target) or {}
    changes = config_changes(before, after)
    for variant, old, new in changed_models(before, after):
        lines = model_changes(observed.model(old) or {}, observed.model(new) or {})
        changes += [f"{variant}: model {line}" for line in lines]
    return changes


def config_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the differences between two described endpoint configs; variants are matched by name."""
    old, new = _by_variant(before), _by_variant(after)
    lines = [f"variant {name} is removed" for name in old if name not in new]
    lines += [f"variant {name} is added" for name in new if name not in old]
    for name in new:
        if name in old:
            lines += [f"{name}: {line}" for line in _changes(old[name], new[name])]
    rest = [
        {key: value for key, value in config.items() if key != "ProductionVariants"}
        for config in (before, after)
    ]
    return lines + _changes(*rest)


def model_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the differences between two described models; values of environments are not shown."""
    return _changes(before, after)


def changed_models(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield variant, old model and new model of each variant whose model changes."""
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
    lines = [line.replace(", requested ", ", becomes ") for line in differences(new, old)]
    return lines + [f"{key} goes" for key in old if key not in new]


def _by_variant(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {variant["VariantName"]: variant for variant in config.get("ProductionVariants") or []}


def _code(text: str | None) -> str:
    return f"`{text}`" if text else "nothing"

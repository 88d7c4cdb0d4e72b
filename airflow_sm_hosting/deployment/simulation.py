"""Simulate a deployment step by step, and summarise the result for a person.

There is no second list of calls: the function that plans a real deployment also plans the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.difference import differences
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.planning import Ending, Plan, plan
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.steps import Call, Step, UpdateEndpoint, Wait
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
        if planned.end and planned.end.ending is Ending.TRY_AGAIN:
            observed = replace(observed, now=planned.end.until or observed.now)
            continue
        if planned.end or (first and first.action is Action.FAIL):
            break
        for step in planned.steps:
            arn = (observed.endpoint or {}).get("EndpointArn")
            observed = fetched(lambda known: step.effect(known))  # noqa: B023
            answer = {"taken_at": int(observed.now.timestamp())} if isinstance(step, UpdateEndpoint) else None
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
        for title, items in (
            ("Changes", self.changes),
            ("Write calls", self.calls),
        ):
            if items:
                lines += ["", f"### {title}", "", *(f"- {_code(item)}" for item in items)]
        return "\n".join(lines) + "\n"


def deployment_plan(simulated: Simulation, serving: str | None, fetch: Fetch) -> DeploymentPlan:
    """Return a simulated deployment as a plan for a person.

    :param simulated: The deployment.
    :param serving: The config that serves now.
    :param fetch: Reads a fact from AWS.
    """
    observed, target = simulated.observed, simulated.target
    changes: list[str] = []
    while serving and serving != target:
        try:
            changes = _config_and_model_changes(observed, serving, target)
            break
        except FactNeededError as lacking:
            observed = observed.learned(lacking.fact, fetch(lacking.fact, observed))
    update = next((step for step in simulated.steps if isinstance(step, UpdateEndpoint)), None)
    return DeploymentPlan(
        decision=simulated.decision,
        endpoint_name=observed.endpoint_name,
        serving=serving,
        target=target,
        changes=changes,
        calls=simulated.calls,
        two_fleets=bool(update)
        and has_two_fleets((update.request if update else {}).get("DeploymentConfig")),
    )


def has_two_fleets(deployment_config: Mapping[str, Any] | None) -> bool:
    """Return whether an old and a new fleet share the traffic during a rollout: always, except all at once without a bake time."""
    policy = (deployment_config or {}).get("BlueGreenUpdatePolicy") or {}
    routing = policy.get("TrafficRoutingConfiguration") or {}
    stepwise = routing.get("Type") in ("CANARY", "LINEAR") or "RollingUpdatePolicy" in (
        deployment_config or {}
    )
    return stepwise or bool(policy.get("TerminationWaitInSeconds"))


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

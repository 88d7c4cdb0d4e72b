"""Simulate a deployment step by step.

There is no second list of calls: the function that plans a real deployment also plans the simulated one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.planning import Ending, Plan, plan
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.steps import (
    Call,
    Step,
    UpdateEndpoint,
    UpdateInferenceComponent,
    Wait,
)
from airflow_sm_hosting.deployment.wait import WaitFor
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError

Fetch = Callable[[Fact, Observation], Any]


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

"""(DeploymentConfig, instances before, instances after) -> the steps in which traffic moves to the new fleet.

Pure: :mod:`airflow_sm_hosting.local.sagemaker.endpoints.deployment` takes the steps.

https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Instances by variant; None for a serverless one.
Instances = Mapping[str, int | None]

# Percent of the capacity, from … to …: API_TrafficRoutingConfig.html, deployment-guardrails-blue-green-linear.html and
# API_RollingUpdatePolicy.html.
SIZE_LIMITS = {"CanarySize": (0, 50), "LinearStepSize": (10, 50), "MaximumBatchSize": (5, 50)}


@dataclass(frozen=True)
class TrafficStep:
    """One shift of traffic, and the wait after it.

    :param new: Instances of the new fleet that take traffic then, by variant.
    :param old: Instances of the old fleet that are there meanwhile, by variant.
    :param shares: The share of each variant's traffic that goes to the new fleet.
    :param bake_seconds: How long alarms are watched before the next step.
    :param bake_name: The member of the policy that says so.
    :param phase: How the capacity that takes traffic is called: ``canary``, ``linear``, ``rolling`` or ``full``.
    """

    new: Instances
    old: Instances
    shares: Mapping[str, float]
    bake_seconds: int = 0
    bake_name: str = "WaitIntervalInSeconds"
    phase: str = "full"

    def share(self, variant: str) -> float:
        """Return the new fleet's share of a variant's traffic; what only the old fleet has gets none with the last step."""
        return self.shares.get(variant, 1.0)

    def message(self, variant: str) -> str:
        """Return the ``StatusMessage`` of a variant while it bakes."""
        # In the words of the event that automating-sagemaker-with-eventbridge.html shows.
        instances = self.new.get(variant)
        on = f"{self.phase} capacity" + (f" of {instances} instance(s)" if instances is not None else "")
        return f"Baking for {self.bake_seconds} seconds ({self.bake_name}) with traffic enabled on {on}."


@dataclass(frozen=True)
class Rollout:
    """The whole course of a deployment.

    :param steps: From no traffic to all traffic.
    :param alarm_names: CloudWatch alarms that roll it back.
    :param limit_seconds: After so long it is rolled back; None for no limit.
    :param rolling: Whether instances are replaced batch by batch, so that a rollback needs new old ones.
    :param rollback_size: The batches in which they come back; None for all at once.
    :param guarded: Whether the caller has given a policy that is followed.
    """

    steps: tuple[TrafficStep, ...]
    alarm_names: tuple[str, ...] = ()
    limit_seconds: int | None = None
    rolling: bool = False
    rollback_size: Mapping[str, Any] | None = None
    guarded: bool = False


def rollout_of(deployment: Mapping[str, Any] | None, old: Instances, new: Instances) -> Rollout:
    """Return how a new fleet comes into service.

    :param deployment: ``DeploymentConfig``, held against the rules before; None for the default: all traffic at once.
    :param old: Instances of the fleet that serves.
    :param new: Instances that the new one is to have.
    """
    deployment = deployment or {}
    alarms = tuple(
        alarm["AlarmName"] for alarm in deployment.get("AutoRollbackConfiguration", {}).get("Alarms", ())
    )
    if rolling := deployment.get("RollingUpdatePolicy"):
        return Rollout(
            _rolling(rolling, old, new),
            alarms,
            rolling.get("MaximumExecutionTimeoutInSeconds"),
            rolling=True,
            rollback_size=rolling.get("RollbackMaximumBatchSize"),
            guarded=True,
        )
    policy = deployment.get("BlueGreenUpdatePolicy", {})
    return Rollout(
        _blue_green(policy, old, new),
        alarms,
        policy.get("MaximumExecutionTimeoutInSeconds"),
        guarded=bool(deployment),
    )


def instances(size: Mapping[str, Any], total: int) -> int:
    """Return how many instances a ``CapacitySize`` is, of so many.

    At least one, and never more than the share allows: the event of automating-sagemaker-with-eventbridge.html has one of
    three; how a part of an instance is rounded is assumed.
    """
    if size["Type"] == "INSTANCE_COUNT":
        return min(int(size["Value"]), total)
    return max(1, total * int(size["Value"]) // 100)


def rollback_steps(
    rollout: Rollout, at: TrafficStep | None, old: Instances, new: Instances
) -> Sequence[TrafficStep]:
    """Return the steps back to the old fleet.

    Blue/green: all traffic returns at once, as the old fleet still runs. Rolling: in batches of
    ``RollbackMaximumBatchSize``, "default … 100% of total capacity" (API_RollingUpdatePolicy.html).

    :param at: The step that was reached; None if none was.
    :param old: Instances of the old fleet before the deployment.
    :param new: Instances that the new fleet was to have.
    """
    end = TrafficStep(dict.fromkeys(new, 0), old, dict.fromkeys({*old, *new}, 0.0))
    if not rollout.rolling or rollout.rollback_size is None or at is None:
        return [end]
    size = rollout.rollback_size
    steps: list[TrafficStep] = []
    there = {name: count or 0 for name, count in at.old.items()}
    while True:
        there = {
            name: min(total or 0, there.get(name, 0) + instances(size, total or 1))
            for name, total in old.items()
        }
        if all(there[name] == (total or 0) for name, total in old.items()):
            return [*steps, end]
        left = {
            name: min(
                at.new.get(name) or 0, (total or 0) * ((old[name] or 1) - there[name]) // (old[name] or 1)
            )
            for name, total in new.items()
        }
        steps.append(TrafficStep(left, there, {name: left[name] / (new[name] or 1) for name in new}))


def _blue_green(policy: Mapping[str, Any], old: Instances, new: Instances) -> tuple[TrafficStep, ...]:
    # WaitIntervalInSeconds is "between incremental steps" (API_TrafficRoutingConfig.html), the final baking period is
    # TerminationWaitInSeconds: so it is in the all-at-once example of the guide, which has no other wait, and so the waits
    # of its canary example fit into its MaximumExecutionTimeoutInSeconds.
    routing = policy.get("TrafficRoutingConfiguration", {})
    wait, final = int(routing.get("WaitIntervalInSeconds", 0)), int(policy.get("TerminationWaitInSeconds", 0))
    last = TrafficStep(new, old, dict.fromkeys(new, 1.0), final, "TerminationWaitInSeconds")
    match routing.get("Type"):
        case "CANARY":
            return (_part(routing["CanarySize"], 1, old, new, wait, "canary"), last)
        case "LINEAR":
            size = routing["LinearStepSize"]
            parts = (_part(size, number, old, new, wait, "linear") for number in range(1, _count(size, new)))
            return (*parts, last)
    return (last,)


def _rolling(policy: Mapping[str, Any], old: Instances, new: Instances) -> tuple[TrafficStep, ...]:
    size, wait = policy["MaximumBatchSize"], int(policy["WaitIntervalInSeconds"])
    steps = []
    done: Instances = dict.fromkeys(new, 0)
    for number in range(1, _count(size, new) + 1):
        # Old instances end after the bake of the batch that replaces them: deployment-guardrails-rolling.html
        there = {
            name: -(-(total or 0) * ((new.get(name) or 1) - (done.get(name) or 0)) // (new.get(name) or 1))
            for name, total in old.items()
        }
        step = _part(size, number, there, new, wait, "rolling")
        steps.append(step)
        done = step.new
    return tuple(steps)


def _part(
    size: Mapping[str, Any], times: int, old: Instances, new: Instances, wait: int, phase: str
) -> TrafficStep:
    active = {
        name: None if total is None else min(total, times * instances(size, total))
        for name, total in new.items()
    }
    # Traffic is spread over instances: so many of them, so much of it.
    shares = {name: (active[name] or 0) / total if total else 1.0 for name, total in new.items()}
    return TrafficStep(active, old, shares, wait, phase=phase)


def _count(size: Mapping[str, Any], new: Instances) -> int:
    return max((-(-total // instances(size, total)) for total in new.values() if total), default=1)

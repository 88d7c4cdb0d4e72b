"""A deployment: a new fleet is started, takes traffic step by step, and goes into service or is rolled back."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Protocol

from airflow_sm_hosting.local.clock import Clock, Timer
from airflow_sm_hosting.local.sagemaker.endpoints.capacity import Capacity, InsufficientCapacity
from airflow_sm_hosting.local.sagemaker.endpoints.fleet import Abandoned, Fleet, FleetError
from airflow_sm_hosting.local.sagemaker.endpoints.rollout import Rollout, TrafficStep, rollback_steps
from airflow_sm_hosting.local.sagemaker.endpoints.variant import VariantFleet, variant_summary

LOG = logging.getLogger(__name__)

# How often a deployment polls its alarms.
_ALARM_SECONDS = 1.0
#: Seconds between two tries to get instances that are short.
_CAPACITY_SECONDS = 30.0


@dataclass(frozen=True)
class Conditions:
    """What all deployments of a Region depend on.

    :param clock: The clock.
    :param lock: Guards the state of the Region.
    :param capacity: Has the instances.
    :param alarm_state: Returns the state of an alarm, None if there is no such alarm.
    :param transition_seconds: How long capacity takes to come and go, and traffic to be turned on.
    """

    clock: Clock
    lock: threading.RLock
    capacity: Capacity
    alarm_state: Callable[[str], str | None]
    transition_seconds: float


class Owner(Protocol):
    """What a deployment reports to; called with the lock held."""

    def progressed(self, deployment: FleetDeployment) -> None:
        """Tell that the status of the new variants changed."""

    def rolling_back(self, deployment: FleetDeployment) -> None:
        """Show that the new fleet is rolled back."""

    def deployed(self, deployment: FleetDeployment) -> None:
        """Put the new fleet into service."""

    def rolled_back(self, deployment: FleetDeployment) -> None:
        """Go on with the old fleet; the new one is not used any more."""

    def rollback_failed(self, deployment: FleetDeployment) -> None:
        """Go on with both fleets as the traffic is split between them now."""


class FleetDeployment:
    """A new fleet on its way into service, or out of it again.

    :param config: The endpoint config that is deployed.
    :param fleet: Its fleet.
    :param old: The fleet that serves; None for a new endpoint.
    :param rollout: The steps.
    :param owner: What the deployment reports to.
    :param conditions: What it depends on.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        fleet: Fleet,
        old: Fleet | None,
        rollout: Rollout,
        *,
        owner: Owner,
        conditions: Conditions,
    ) -> None:
        self.config = config
        self.fleet = fleet
        self.started = conditions.clock.now()
        #: Why it is rolled back, once it is.
        self.failure: str | None = None
        #: Whether capacity is short: the new fleet waits for more, or will be rolled back.
        self.is_short = False
        #: The step that splits the traffic now; None as long as the new fleet has none.
        self.step: TrafficStep | None = None
        self._old = old
        self._old_instances = {v.name: v.instance_count for v in old.variants} if old else {}
        self._rollout = rollout
        self._owner = owner
        self._clock = conditions.clock
        self._lock = conditions.lock
        self._capacity = conditions.capacity
        self._alarm_state = conditions.alarm_state
        self._transition_seconds = conditions.transition_seconds
        self._timers: list[Timer] = []
        self._ended = False
        self._stage = ("Creating", self.started)

    @property
    def first_instances(self) -> Mapping[str, int | None]:
        """The instances of each new variant that come beside the old ones: all, or a batch."""
        return self._rollout.steps[0].new if self._rollout.rolling else self.fleet.instances

    # From the outside, with the lock held

    def begin(self, failure: str | None = None) -> None:
        """Start the new fleet; the rollout follows.

        :param failure: Why the new fleet cannot start: then it is rolled back.
        """
        self._owner.progressed(self)
        if failure:
            self.is_short = True
            self._later(self._transition_seconds, partial(self.roll_back, failure))
            return
        if limit := self._rollout.limit_seconds:
            self._later(limit, lambda: self.roll_back(_timed_out(limit)))
        first = self._rollout.steps[0].new if self._rollout.rolling else self.fleet.instances
        desired = [
            (variant, first.get(variant.name, variant.desired_instance_count) or 0)
            for variant in self.fleet.all_variants
        ]
        self._get_instances(desired, self.started, self._start)

    def abandon(self) -> None:
        """Stop the deployment; the caller stops the fleet."""
        self._ended = True
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def roll_back(self, failure: str) -> None:
        """Roll the new fleet back.

        :param failure: Why.
        """
        self._cancel_timers()
        self.failure = failure
        if self._old is None:
            self._ended = True
            self._owner.rolled_back(self)
            return
        self._enter("Deleting")
        self._owner.rolling_back(self)
        steps = rollback_steps(self._rollout, self.step, self._old_instances, self.fleet.instances)
        if not self._rollout.rolling:
            # The old fleet still runs: traffic is back at once.
            self._split(steps[-1])
        self._later(self._transition_seconds, lambda: self._go_back(steps))

    def summary(self) -> dict[str, Any]:
        """Return DescribeEndpoint's ``PendingDeploymentSummary``."""
        status, since = self._stage
        rows = {}
        for variant in self.fleet.all_variants:
            shown: dict[str, Any] = {"Status": status, "StartTime": since}
            if status == "Baking" and self.step:
                shown["StatusMessage"] = self.step.message(variant.name)
            rows[variant.name] = variant_summary(variant, pending=True, status=shown)
        summary: dict[str, Any] = {
            "EndpointConfigName": self.config["EndpointConfigName"],
            "ProductionVariants": [rows[variant.name] for variant in self.fleet.variants],
            "StartTime": self.started,
        }
        if self.fleet.shadow_variants:
            summary["ShadowProductionVariants"] = [rows[v.name] for v in self.fleet.shadow_variants]
        return summary

    # Into service

    def _get_instances(
        self, desired: Sequence[tuple[VariantFleet, int]], since: datetime, then: Callable[[], None]
    ) -> None:
        """Take instances for variants; while there are too few, try again as long as a variant waits for them.

        "When SageMaker encounters an insufficient capacity error while provisioning instances, it retries with the next
        instance pool (if configured) or waits until the timeout expires": ProductionVariant,
        VariantInstanceProvisionTimeoutInSeconds. How often it tries, and that it gives up at once without one, is assumed.
        """
        missing = []
        waited = (self._clock.now() - since).total_seconds()
        for variant, instances in desired:
            try:
                given = self._capacity.take(variant.instance_types, instances)
            except InsufficientCapacity as shortage:
                self.is_short = True
                if waited >= variant.config.get("VariantInstanceProvisionTimeoutInSeconds", 0):
                    self._later(self._transition_seconds, partial(self.roll_back, str(shortage)))
                    return
                missing.append((variant, instances))
            else:
                variant.instance_type = variant.instance_type or given
        self.is_short = bool(missing)
        if missing:
            self._later(_CAPACITY_SECONDS, lambda: self._get_instances(missing, since, then))
        else:
            then()

    def _start(self) -> None:
        due = self._clock.now() + timedelta(seconds=self._transition_seconds)
        self._clock.run(lambda: self._provision(due))

    def _provision(self, due: datetime) -> None:
        """Start the containers, which takes its real time, without the lock."""
        failure: str | None = None
        try:
            self.fleet.start()
        except Abandoned:
            self.fleet.stop()
            return
        except FleetError as error:
            failure = str(error)
        except Exception as error:
            LOG.exception("cannot start the fleet of %s", self.config["EndpointConfigName"])
            failure = f"Request to service failed: {error}"
        with self._lock:
            if self._ended or self.failure:
                return
            then = (lambda: self.roll_back(failure)) if failure else (lambda: self._turn_on(0))
            self._later((due - self._clock.now()).total_seconds(), then)

    def _turn_on(self, number: int) -> None:
        """Give the new fleet the traffic of a step, and bake it."""
        self._enter("ActivatingTraffic")
        if self._rollout.guarded:
            self._later(self._transition_seconds, lambda: self._bake(number))
        else:
            self._bake(number)

    def _bake(self, number: int) -> None:
        step = self._rollout.steps[number]
        self._split(step)
        if firing := self._firing():
            # "if your old fleet trips the alarm during the deployment, SageMaker terminates your deployment":
            # deployment-guardrails-configuration.md
            self.roll_back(_alarmed(firing))
            return
        if not step.bake_seconds:
            self._next(number)
            return
        self._enter("Baking")
        self._later(step.bake_seconds, lambda: self._next(number))
        if number == 0 and self._rollout.alarm_names:
            self._later(_ALARM_SECONDS, self._poll_alarms)

    def _poll_alarms(self) -> None:
        """Poll the alarms while it bakes: "the alarms are active during the baking period"."""
        if self._stage[0] == "Baking" and (firing := self._firing()):
            self.roll_back(_alarmed(firing))
        else:
            self._later(_ALARM_SECONDS, self._poll_alarms)

    def _next(self, number: int) -> None:
        if firing := self._firing():
            self.roll_back(_alarmed(firing))
            return
        following = number + 1
        if following == len(self._rollout.steps):
            self._ended = True
            self._cancel_timers()
            self.fleet.apply_desired()
            self._owner.deployed(self)
        elif self._rollout.rolling:
            self._next_batch(following)
        else:
            self._turn_on(following)

    def _next_batch(self, number: int) -> None:
        """Release a batch of old instances, and take a batch of new ones in their place."""
        step, before = self._rollout.steps[number], self._rollout.steps[number - 1]
        _set_instances(self._old, step.old)
        self._enter("Creating")
        more = [
            (variant, (step.new.get(variant.name) or 0) - (before.new.get(variant.name) or 0))
            for variant in self.fleet.variants
        ]
        then = partial(self._later, self._transition_seconds, partial(self._turn_on, number))
        self._get_instances(more, self._clock.now(), then)

    # Out of service

    def _go_back(self, steps: Sequence[TrafficStep]) -> None:
        step = steps[0]
        try:
            self._take_old(step)
        except InsufficientCapacity as shortage:
            self.failure = f"{self.failure} The rollback failed: {shortage}"
            self._ended = True
            self._owner.rollback_failed(self)
            return
        self._split(step)
        if len(steps) > 1:
            self._later(self._transition_seconds, lambda: self._go_back(steps[1:]))
            return
        self._ended = True
        self._owner.rolled_back(self)

    def _take_old(self, step: TrafficStep) -> None:
        for variant in self._old.variants if self._old else ():
            more = (step.old.get(variant.name) or 0) - (variant.instance_count or 0)
            self._capacity.take(variant.instance_types, more)

    # Both

    def _split(self, step: TrafficStep) -> None:
        """Split traffic and capacity between the fleets as the step says."""
        self.step = step
        for variant in self.fleet.all_variants:
            share = step.share(variant.name)
            variant.weight = variant.desired_weight if share else 0.0
            if variant.instance_count is not None:
                variant.instance_count = step.new.get(variant.name, variant.desired_instance_count)
            else:
                variant.serverless_config = dict(variant.desired_serverless_config)
        _set_instances(self._old, step.old)

    def _firing(self) -> list[str]:
        # A name that no alarm has can never fire (assumed: nothing says that such a deployment is refused).
        return [name for name in self._rollout.alarm_names if self._alarm_state(name) == "ALARM"]

    def _enter(self, status: str) -> None:
        self._stage = (status, self._clock.now())
        self._owner.progressed(self)

    def _later(self, seconds: float, function: Callable[[], None]) -> None:
        def with_lock() -> None:
            with self._lock:
                if timer in self._timers:
                    self._timers.remove(timer)
                    function()

        # The timer may come due before this has noted it, but not before the lock is free.
        with self._lock:
            timer = self._clock.call_later(seconds, with_lock)
            self._timers.append(timer)

    def _cancel_timers(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()


def _set_instances(fleet: Fleet | None, instances: Mapping[str, int | None]) -> None:
    for variant in fleet.variants if fleet else ():
        if variant.instance_count is not None:
            variant.instance_count = instances.get(variant.name)


# The sentences are assumed; no source has AWS's own.


def _alarmed(names: Sequence[str]) -> str:
    return f"The deployment was rolled back: the CloudWatch alarm(s) {', '.join(names)} went into ALARM."


def _timed_out(seconds: int) -> str:
    return (
        f"The deployment was rolled back: it took longer than MaximumExecutionTimeoutInSeconds ({seconds})."
    )

"""Shift the traffic of an endpoint: observe, plan, apply up to the next wait, and repeat."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from tenacity import (
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployer.adapters import ConcurrentUpdateError, StepRunner
from airflow_sm_hosting.deployer.observer import Observer, OutdatedAnswerError
from airflow_sm_hosting.deployment.observation import Fact, Observation
from airflow_sm_hosting.deployment.status import Described
from airflow_sm_hosting.deployment.steps import Step, UpdateEndpointWeightsAndCapacities, Wait
from airflow_sm_hosting.deployment.traffic import Shift, ShiftPlan, Traffic, plan_shift
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.exceptions import (
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
)
from airflow_sm_hosting.hooks.errors import error_message, is_in_progress, is_passing
from airflow_sm_hosting.hooks.retry_log import RetryLog

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)

#: Maximum pause between two tries, in seconds.
LONGEST_PAUSE = 15


class TrafficShifter:
    """Carries out a shift of traffic, one wait after the other.

    :param shift: The requested shift.
    :param aws: Makes the hooks.
    :param deadline: When the time budget ends, in seconds since the epoch.
    :param before: What the variants had before this task shifted the traffic; None if it has not yet.
    """

    def __init__(
        self, shift: Shift, aws: AwsParameters, *, deadline: float, before: Traffic | None = None
    ) -> None:
        self.shift = shift
        self._deadline = deadline
        self._observer = Observer(aws, deadline=deadline)
        self._runner = StepRunner(aws, self._observer)
        self.before = before
        #: Whether this task has changed the endpoint.
        self.has_shifted = before is not None
        #: What AWS has answered so far, the newest answers.
        self.known: dict[Fact, Any] = {}

    def advance(self) -> WaitCondition | None:
        """Observe, plan and apply, until the next wait; return its condition, or None when the endpoint has the traffic that is wanted.

        :raises NotFoundError: When the endpoint, or a variant, does not exist.
        :raises ConflictError: When the endpoint cannot be changed.
        """
        retrying = Retrying(
            retry=retry_if_exception(
                lambda error: (
                    isinstance(error, ConcurrentUpdateError | OutdatedAnswerError)
                    or (isinstance(error, Exception) and is_passing(error))
                )
            ),
            wait=wait_exponential_jitter(max=LONGEST_PAUSE),
            stop=stop_after_delay(max(0.0, self._deadline - time.time())),
            before_sleep=RetryLog(log),
            reraise=True,
        )
        try:
            condition: WaitCondition | None = retrying(self._advance)
        except (ConcurrentUpdateError, OutdatedAnswerError) as error:
            raise DeploymentTimeoutError(
                f"Endpoint {self.shift.endpoint_name}: the time budget ended, and another change of it is still in progress ({error}). "
                "Its traffic was not shifted."
            ) from error
        return condition

    def take_description(self) -> Described | None:
        """Return what AWS has described since the last call of this method; None if it was not asked."""
        found, self._observer.described = self._observer.described, None
        return found

    def _advance(self) -> WaitCondition | None:
        observed, planned = self._plan()
        if any(self._is_again(step) for step in planned.steps):
            raise DeploymentRolledBackError(
                f"Endpoint {self.shift.endpoint_name} has not the concurrency that was set; SageMaker took the change back, or something "
                "else changed it.",
                details={"before": self.before.as_json()} if self.before else {},
            )
        for step in self._runner.validated(planned.steps):
            if isinstance(step, Wait):
                return step.condition
            try:
                self._runner.apply(step, observed)
            except ClientError as error:
                if not is_in_progress(error):
                    raise
                raise ConcurrentUpdateError(error_message(error)) from error
            if isinstance(step, UpdateEndpointWeightsAndCapacities):
                self.before, self.has_shifted = planned.before, True
        self.before = self.before or planned.before
        return None

    def after_wait(self, condition: WaitCondition, result: WaitResult) -> bool:
        """Process the result of a wait; return whether the shift has ended.

        :raises DeploymentTimeoutError: When the time budget ended first.
        :raises DeploymentRolledBackError: When SageMaker took the change back.
        :raises DeploymentFailedError: When the endpoint failed, or cannot be described.
        """
        details: dict[str, Any] = {"before": self.before.as_json()} if self.before else {}
        match result.outcome:
            case Outcome.DEPLOYED:
                self._observer.forget_endpoint()
                # The wait does not see the concurrency of serverless variants: the next observation does.
                return condition.until is WaitFor.COUNTED and not self.shift.serverless_updates
            case Outcome.TIMED_OUT:
                raise DeploymentTimeoutError(result.message, details=details)
            case Outcome.ROLLED_BACK:
                raise DeploymentRolledBackError(result.message, details=details)
            case _:
                raise DeploymentFailedError(result.message, details=details)

    def _is_again(self, step: Step) -> bool:
        """Return whether a step would set once more what this task has set."""
        return (
            self.has_shifted
            and bool(self.shift.serverless_updates)
            and isinstance(step, UpdateEndpointWeightsAndCapacities)
        )

    def _plan(self) -> tuple[Observation, ShiftPlan]:
        observed = self._observer.observation(self.shift.endpoint_name)
        while isinstance(planned := plan_shift(observed, self.shift), Fact):
            observed = observed.learned(planned, self._observer.fetch(planned, observed))
        self.known.update(observed.facts)
        return observed, planned

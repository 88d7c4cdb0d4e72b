"""Deploy an endpoint config to an endpoint: observe, plan, apply up to the next wait, and repeat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployer.adapters import ConcurrentUpdateError, StepRunner
from airflow_sm_hosting.deployer.observer import Observer, OutdatedAnswerError
from airflow_sm_hosting.deployer.waiting import ROTATION_AWAITED
from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.deployment.decision import Decision
from airflow_sm_hosting.deployment.deployment_plan import DeploymentPlan, deployment_plan
from airflow_sm_hosting.deployment.finishing import finishing_steps
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.planning import (
    SCALING_RESTORED_BY_RETRY,
    End,
    Ending,
    Plan,
    failed_end,
    plan,
    unfinished_rollback,
)
from airflow_sm_hosting.deployment.progress import Progress, Stage
from airflow_sm_hosting.deployment.simulation import Simulation, simulate
from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
from airflow_sm_hosting.deployment.status import Described, same_name
from airflow_sm_hosting.deployment.steps import Step, UpdateEndpoint, UpdateInferenceComponent, Wait
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitResult
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import AlarmGoingOffError, NotFoundError, SideReadError
from airflow_sm_hosting.hooks.errors import (
    are_credentials_refused,
    error_message,
    is_absent,
    is_in_progress,
    is_passing,
)
from airflow_sm_hosting.hooks.retry_log import RetryLog

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


class EndpointDeployer:
    """Carries out a deployment, one wait after the other.

    :param wanted: The requested deployment.
    :param aws: Makes the hooks.
    :param progress: The progress of the deployment; the attribute is kept up to date.
    :param check_answer: Invokes the endpoint of the given name and returns the failure of its answer; None when the answer is right.
    """

    def __init__(
        self,
        wanted: Wanted,
        aws: AwsParameters,
        progress: Progress,
        check_answer: Callable[[str], AnswerFailure | None] | None = None,
    ) -> None:
        self._wanted = wanted
        component = wanted.component
        self._observer = Observer(
            aws,
            deadline=progress.deadline,
            kind=wanted.kind,
            specifications=component.comparable if component else (),
        )
        self._runner = StepRunner(aws, self._observer, check_answer)
        self.progress = progress
        #: The last error of a delay, and when the first of the last, equal ones came, in seconds of a clock that never goes back.
        self._delayed = ("", 0.0)
        #: The last decision and warning in the log.
        self._decided: Decision | None = None
        self._warned = ""
        #: The endpoint's ARN, once it is known.
        self.endpoint_arn: str | None = None
        if progress.result and self._is_own(progress.result):
            self.endpoint_arn = progress.result.described.get("EndpointArn")
        #: The last description of the endpoint or inference component.
        self.described: Described | None = None
        #: What AWS has answered so far, the newest answers.
        self.known: dict[Fact, Any] = {}

    def advance(self) -> WaitCondition | End:
        """Observe, plan and apply, until the next wait or the end of the deployment.

        Temporary errors (throttling, another run's change) are retried until the deadline. Planning again after a call that took effect
        is safe.

        :return: The condition to wait for, or the end.
        """
        failed = self.progress.result if self.progress.stage is Stage.RECOVER else None
        self._delayed = ("", 0.0)
        if self.progress.result and self._is_own(self.progress.result):
            self._observer.know_change(self.progress.result.described.get("LastModifiedTime"))
        try:
            reached: WaitCondition | End = self._through_delays()(self._advance_or_find_deleted)
        except (
            ClientError,
            BotoCoreError,
            ConcurrentUpdateError,
            OutdatedAnswerError,
            SideReadError,
        ) as error:
            if self.progress.smoke_failure:
                # The wrong answer is the cause: report it first.
                log.exception("The rollback after the smoke test failed")
                return unfinished_rollback(self.progress, None, f"{type(error).__name__}: {error}.")
            is_in_the_way = bool(self.progress.unfinished) or isinstance(error, OutdatedAnswerError)
            if failed is None or self.progress.stage is not Stage.RECOVER or not is_in_the_way:
                raise
            # The deployment has failed: report that first.
            log.exception("The cleanup of the endpoint failed")
            note = SCALING_RESTORED_BY_RETRY if self.progress.unfinished else ""
            return failed_end(failed, f"{note} ({type(error).__name__}: {error})".strip())
        return reached

    def take_description(self) -> Described | None:
        """Return what AWS has described since the last call of this method; None if it was not asked."""
        found, self._observer.described = self._observer.described, None
        return found

    def _is_own(self, result: WaitResult) -> bool:
        """Return whether a wait was for the deployed resource, not for the endpoint or the base of an inference component."""
        arn = result.described.get("EndpointArn")
        if self._wanted.component is None or arn is None:
            return True
        kind, _, name = arn.rpartition(":")[2].partition("/")
        return kind == "inference-component" and same_name(name, self._wanted.endpoint_name)

    def _advance_or_find_deleted(self) -> WaitCondition | End:
        """Advance; if AWS does not find a resource between two calls, find out whether the endpoint was deleted."""
        try:
            return self._patiently()(self._advance)
        except ClientError as error:
            if is_absent(error) and self._patiently()(self._is_gone):
                return self._deleted_end(error)
            raise

    def _is_gone(self) -> bool:
        observed = self._observer.observation(self._wanted.endpoint_name)
        return self._observer.fetch(observed.endpoint_fact, observed) is None

    def _deleted_end(self, error: ClientError) -> End:
        """Return the end of a deployment whose endpoint was deleted between two calls."""
        message = (
            f"{self._wanted.kind.noun} {self._wanted.endpoint_name} was deleted while this task deployed to it "
            f"({error.operation_name}: {error_message(error).rstrip('.')}). Another try starts anew."
        )
        result = WaitResult(str(Outcome.UNKNOWN), message)
        self.progress = replace(self.progress, result=result)
        return failed_end(result)

    def preview(self) -> DeploymentPlan:
        """Return the plan of the deployment without changing anything."""
        observed = self._observe_endpoint()
        simulated = simulate(observed, self._wanted, self.progress, self._observer.fetch)
        return deployment_plan(simulated, observed.endpoint, self._wanted, self._observer.fetch)

    def simulate(self) -> Simulation:
        """Simulate the deployment until its end without changing anything."""
        return simulate(self._observe_endpoint(), self._wanted, self.progress, self._observer.fetch)

    def _observe_endpoint(self) -> Observation:
        observed = self._observer.observation(self._wanted.endpoint_name)
        endpoint = self._observer.fetch(observed.endpoint_fact, observed)
        return observed.learned(observed.endpoint_fact, endpoint)

    def _advance(self) -> WaitCondition | End:
        observed = self._observer.observation(self._wanted.endpoint_name)
        while True:
            observed, planned = self._plan(observed)
            self.progress = planned.progress
            self._tell(planned)
            if planned.end and planned.end.ending is Ending.TRY_AGAIN:
                raise ConcurrentUpdateError(planned.end.message)
            if planned.end and planned.end.ending is Ending.ALARMS_ON:
                raise AlarmWaitedForError(planned.end.message)
            self._arn(observed)
            if planned.end:
                return planned.end
            for step in self._runner.validated(planned.steps):
                if isinstance(step, Wait):
                    self._arn(observed)
                    return step.condition
                observed = self._apply(step, observed)

    def _tell(self, planned: Plan) -> None:
        """Log the decision and the warning of a plan, if they are others than the last ones: a retry plans the same again."""
        if planned.warning and planned.warning != self._warned:
            self._warned = planned.warning
            log.warning("%s", planned.warning)
        if planned.decision and planned.decision != self._decided:
            self._decided = planned.decision
            log.info("%s: %s", planned.decision.action, planned.decision.reason)

    def _plan(self, observed: Observation) -> tuple[Observation, Plan]:
        """Plan, and fetch the facts that the plan needs; return the observation with these facts, and the plan."""
        while True:
            planned = plan(observed, self._wanted, self.progress)
            if not isinstance(planned, Fact):
                return observed, planned
            observed = observed.learned(planned, self._observer.fetch(planned, observed))

    def _apply(self, step: Step, observed: Observation) -> Observation:
        """Apply a step; return the observation after it."""
        try:
            answer = self._runner.apply(step, observed)
        except (ClientError, BotoCoreError) as error:
            if is_passing(error):
                raise
            if isinstance(step, UpdateEndpoint | UpdateInferenceComponent):
                # No deployment has begun, so no later end of one triggers the cleanup.
                self._finish()
            raise
        observed_after = step.effect(observed, answer)
        self.progress = self.progress.after_step(step, self._arn(observed), answer)
        self._arn(observed_after)
        return observed_after

    def _arn(self, observed: Observation) -> str | None:
        """Return the endpoint's ARN, and remember it."""
        found = observed.facts.get(observed.endpoint_fact) or {}
        self.described = found or self.described
        self.known.update(observed.facts)
        self.endpoint_arn = found.get("EndpointArn") or self.endpoint_arn
        return self.endpoint_arn

    def _finish(self) -> None:
        """Clean up after a refused update."""
        self._patiently()(self._finish_once)

    def _finish_once(self) -> None:
        observed = self._observer.observation(self._wanted.endpoint_name)
        while True:
            try:
                steps = finishing_steps(observed, self._wanted, self.progress)
            except FactNeededError as lacking:
                observed = observed.learned(lacking.fact, self._observer.fetch(lacking.fact, observed))
                continue
            if not steps:
                return
            for step in self._runner.validated(tuple(steps)):
                observed = self._apply(step, observed)

    def _through_delays(self) -> Retrying:
        """Return a decorator that retries while AWS may not yet show a new resource, or credentials that have worked may be rotated."""
        return Retrying(
            retry=retry_if_exception(lambda error: self._delay_of(error) > 0),
            wait=wait_exponential_jitter(max=15),
            stop=self._has_taken_too_long,
            before_sleep=RetryLog(log),
            reraise=True,
        )

    def _has_taken_too_long(self, state: RetryCallState) -> bool:
        """Return whether the same error has come, one time after the other, for longer than a delay takes."""
        error, now = state.outcome.exception() if state.outcome else None, time.monotonic()
        if self._delayed[0] != str(error):
            self._delayed = str(error), now
        return now - self._delayed[1] >= self._delay_of(error) or not self._time_left()

    def _delay_of(self, error: BaseException | None) -> float:
        """Return for how long an error may be due to a delay, in seconds."""
        is_missing = isinstance(error, NotFoundError) and not error.is_proven
        if is_missing or (isinstance(error, ClientError) and is_absent(error)):
            return evidence.READS_LAG
        has_worked = self.progress.result is not None or self._observer.has_described
        if isinstance(error, Exception) and are_credentials_refused(error) and has_worked:
            return ROTATION_AWAITED
        return 0.0

    def _time_left(self) -> float:
        return max(0.0, self.progress.deadline - time.time())

    def _patiently(self) -> Retrying:
        """Return a decorator that retries a call on temporary errors until the deadline."""
        return Retrying(
            retry=retry_if_exception(_is_passing),
            wait=wait_exponential_jitter(max=30),
            stop=stop_after_delay(self._time_left()),
            before_sleep=RetryLog(log),
            reraise=True,
        )


class AlarmWaitedForError(AlarmGoingOffError):
    """An alarm is in ALARM, and the task waits until it is not."""


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, ClientError) and is_in_progress(error):
        return True
    if isinstance(error, ConcurrentUpdateError | AlarmWaitedForError | OutdatedAnswerError):
        return True
    return isinstance(error, Exception) and is_passing(error)

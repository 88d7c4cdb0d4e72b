"""Brings an endpoint to an endpoint config: observe, plan, apply up to the next wait; and again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployer.adapters import ConcurrentUpdateError, StepRunner
from airflow_sm_hosting.deployer.observer import Observer
from airflow_sm_hosting.deployment.finishing import finishing_steps
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.planning import (
    SCALING_RESTORED_BY_RETRY,
    End,
    Ending,
    Plan,
    failed_end,
    plan,
)
from airflow_sm_hosting.deployment.progress import Progress, Stage
from airflow_sm_hosting.deployment.simulation import DeploymentPlan, Simulation, deployment_plan, simulate
from airflow_sm_hosting.deployment.steps import Step, UpdateEndpoint, Wait
from airflow_sm_hosting.deployment.wait import WaitCondition
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.hooks.errors import is_in_progress, is_passing

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


class EndpointDeployer:
    """Carries out a deployment up to its next wait, as often as it takes.

    :param wanted: What is asked for.
    :param aws: Makes the hooks.
    :param progress: How far the deployment has come; the attribute is kept up to date.
    :param check_answer: Asks the endpoint, and returns what is wrong with its answer; None when nothing is.
    """

    def __init__(
        self,
        wanted: Wanted,
        aws: AwsParameters,
        progress: Progress,
        check_answer: Callable[[], str | None] | None = None,
    ) -> None:
        self._wanted = wanted
        self._observer = Observer(aws)
        self._runner = StepRunner(aws, self._observer, check_answer)
        self.progress = progress
        #: The endpoint's ARN, once it is known.
        self.endpoint_arn: str | None = (progress.result.described if progress.result else {}).get(
            "EndpointArn"
        )

    def advance(self) -> WaitCondition | End:
        """Observe, plan and apply, until there is something to wait for, or the deployment has ended.

        What is passing (throttling, another run's change) is waited out, until the deadline: a plan that is made again after a call that
        took effect does no harm.

        :return: What to wait for, or the end.
        """
        failed = self.progress.result if self.progress.stage is Stage.RECOVER else None
        try:
            reached: WaitCondition | End = self._patiently()(self._advance)
        except (ClientError, BotoCoreError, ConcurrentUpdateError) as error:
            if failed is None or self.progress.stage is not Stage.RECOVER or not self.progress.unfinished:
                raise
            # The deployment has failed: that is the first thing to report.
            log.exception("The endpoint could not be put in order")
            return failed_end(failed, f"{SCALING_RESTORED_BY_RETRY} ({type(error).__name__}: {error})")
        return reached

    def preview(self) -> DeploymentPlan:
        """Return what the deployment would do; nothing is changed."""
        observed = self._observe_endpoint()
        serving = (observed.endpoint or {}).get("EndpointConfigName")
        simulated = simulate(observed, self._wanted, self.progress, self._observer.fetch)
        return deployment_plan(simulated, serving, self._observer.fetch)

    def simulate(self) -> Simulation:
        """Simulate the deployment until its end; nothing is changed."""
        return simulate(self._observe_endpoint(), self._wanted, self.progress, self._observer.fetch)

    def _observe_endpoint(self) -> Observation:
        observed = self._observer.observation(self._wanted.endpoint_name)
        endpoint = self._observer.fetch(observed.endpoint_fact, observed)
        return observed.learned(observed.endpoint_fact, endpoint)

    def _advance(self) -> WaitCondition | End:
        observed = self._observer.observation(self._wanted.endpoint_name)
        decided = None
        while True:
            observed, planned = self._plan(observed)
            self.progress = planned.progress
            if planned.warning:
                log.warning("%s", planned.warning)
            if planned.decision and planned.decision != decided:
                decided = planned.decision
                log.info("%s: %s", decided.action, decided.reason)
            if planned.end and planned.end.ending is Ending.TRY_AGAIN:
                raise ConcurrentUpdateError(planned.end.message)
            if planned.end:
                return planned.end
            for step in self._runner.validated(planned.steps):
                if isinstance(step, Wait):
                    self._arn(observed)
                    return step.condition
                observed = self._apply(step, observed)

    def _plan(self, observed: Observation) -> tuple[Observation, Plan]:
        """Plan, and fetch what the plan needs; return the observation with that, and the plan."""
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
            if isinstance(step, UpdateEndpoint):
                # Nothing will end that could put right what was prepared.
                self._finish()
            raise
        observed_after = step.effect(observed, answer)
        self.progress = self.progress.after_step(step, self._arn(observed), answer)
        self._arn(observed_after)
        return observed_after

    def _arn(self, observed: Observation) -> str | None:
        """Return the endpoint's ARN, and remember it."""
        found = observed.facts.get(observed.endpoint_fact) or {}
        self.endpoint_arn = found.get("EndpointArn") or self.endpoint_arn
        return self.endpoint_arn

    def _finish(self) -> None:
        """Leave the endpoint in order after a refused update."""
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

    def _patiently(self) -> Retrying:
        """Return what makes a call again, until the deadline, while something passing stands in its way."""
        return Retrying(
            retry=retry_if_exception(_is_passing),
            wait=wait_exponential_jitter(max=30),
            stop=stop_after_delay(max(0.0, self.progress.deadline - time.time())),
            before_sleep=before_sleep_log(log, logging.INFO),
            reraise=True,
        )


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, ClientError) and is_in_progress(error):
        return True
    return isinstance(error, ConcurrentUpdateError) or (isinstance(error, Exception) and is_passing(error))

"""Delete an endpoint, its config and its models: observe, plan, apply, wait, and repeat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from airflow_sm_hosting.deployer.adapters import StepRunner
from airflow_sm_hosting.deployer.observer import Observer
from airflow_sm_hosting.deployer.waiting import PollingWait
from airflow_sm_hosting.deployment.deletion import Deletion, DeletionPlan, MadeOf, plan_deletion
from airflow_sm_hosting.deployment.observation import Fact, Observation
from airflow_sm_hosting.deployment.steps import Wait
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition
from airflow_sm_hosting.exceptions import DeploymentFailedError, DeploymentTimeoutError

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


class EndpointDeleter:
    """Deletes an endpoint.

    :param deletion: The requested deletion.
    :param aws: Makes the hooks.
    :param poll_interval: Seconds between two polls.
    :param timeout: Time budget in seconds.
    :param remember: Saves the endpoint's configs and models for the next try.
    """

    def __init__(
        self,
        deletion: Deletion,
        aws: AwsParameters,
        *,
        poll_interval: float,
        timeout: float,
        remember: Callable[[MadeOf], None],
    ) -> None:
        self._deletion = deletion
        self._aws = aws
        self._started_at = time.time()
        self._deadline = self._started_at + timeout
        self._observer = Observer(aws, deadline=self._deadline)
        self._runner = StepRunner(aws, self._observer)
        self._poll_interval = poll_interval
        self._remember = remember

    def delete(self, made_of: MadeOf) -> None:
        """Delete the endpoint.

        :param made_of: The configs and models that an earlier try has saved.
        :raises ConflictError: When the endpoint is not ours.
        :raises DeploymentTimeoutError: When the time budget ended first.
        :raises DeploymentFailedError: When the endpoint cannot be described.
        """
        while True:
            observed, planned = self._plan(made_of)
            if planned.made_of is not None:
                made_of = planned.made_of
                self._remember(made_of)
            for sentence in planned.kept:
                log.warning("%s", sentence)
            for step in self._runner.validated(planned.steps):
                if isinstance(step, Wait):
                    self._wait(step.condition)
                    # The next description may be of an earlier state, which does no harm here, and the endpoint may be gone.
                    self._observer.forget_endpoint()
                else:
                    self._runner.apply(step, observed)
            if planned.is_last:
                return

    def _plan(self, made_of: MadeOf) -> tuple[Observation, DeletionPlan]:
        observed = self._observer.observation(self._deletion.endpoint_name)
        while isinstance(planned := plan_deletion(observed, self._deletion, made_of), Fact):
            observed = observed.learned(planned, self._observer.fetch(planned, observed))
        return observed, planned

    def _wait(self, condition: WaitCondition) -> None:
        wait = PollingWait(
            self._aws.sagemaker_hook,
            condition,
            deadline=self._deadline,
            started_at=self._started_at,
            log_status=log.info,
        )
        while (result := wait.poll()) is None:
            time.sleep(wait.pause(self._poll_interval))
        if result.outcome == Outcome.TIMED_OUT:
            raise DeploymentTimeoutError(result.message)
        if result.outcome != Outcome.DEPLOYED:
            raise DeploymentFailedError(result.message)

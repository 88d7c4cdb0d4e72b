"""Delete an endpoint, its config and its models, or an inference component: observe, plan, apply, wait, and repeat."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from tenacity import (
    Retrying,
    retry_if_exception_type,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployer.adapters import ConcurrentUpdateError, StepRunner
from airflow_sm_hosting.deployer.observer import Observer
from airflow_sm_hosting.deployer.waiting import PollingWait
from airflow_sm_hosting.deployment.component_deletion import ComponentDeletion, plan_component_deletion
from airflow_sm_hosting.deployment.deletion import Deletion, DeletionPlan, MadeOf, plan_deletion
from airflow_sm_hosting.deployment.observation import Fact, Observation
from airflow_sm_hosting.deployment.status import Kind
from airflow_sm_hosting.deployment.steps import DeleteEndpoint, Step, Wait
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition
from airflow_sm_hosting.exceptions import DeploymentFailedError, DeploymentTimeoutError
from airflow_sm_hosting.hooks.retry_log import RetryLog

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

log = logging.getLogger(__name__)


class _Deleter:
    """Applies the steps of a deletion.

    :param aws: Makes the hooks.
    :param poll_interval: Seconds between two polls.
    :param timeout: Time budget in seconds.
    :param kind: The kind of the resource.
    """

    def __init__(
        self, aws: AwsParameters, *, poll_interval: float, timeout: float, kind: Kind = Kind.ENDPOINT
    ) -> None:
        self._aws = aws
        self._started_at = time.time()
        self._deadline = self._started_at + timeout
        self._observer = Observer(aws, deadline=self._deadline, kind=kind)
        self._runner = StepRunner(aws, self._observer)
        self._poll_interval = poll_interval

    def _apply(self, steps: tuple[Step, ...], observed: Observation) -> None:
        for step in self._runner.validated(steps):
            if isinstance(step, Wait):
                self._wait(step.condition)
                # The next description may be of an earlier state, which does no harm here, and the resource may be gone.
                self._observer.forget_endpoint()
            else:
                self._runner.apply(step, observed)

    def _patiently(self) -> Retrying:
        """Return a decorator that plans again when something else changes an inference component meanwhile, e.g. autoscaling."""
        return Retrying(
            retry=retry_if_exception_type(ConcurrentUpdateError),
            wait=wait_exponential_jitter(max=15),
            stop=stop_after_delay(max(0.0, self._deadline - time.time())),
            before_sleep=RetryLog(log),
            reraise=True,
        )

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


class EndpointDeleter(_Deleter):
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
        super().__init__(aws, poll_interval=poll_interval, timeout=timeout)
        self._deletion = deletion
        self._remember = remember
        #: Whether this task has deleted something.
        self.has_deleted = False

    def delete(self, made_of: MadeOf) -> None:
        """Delete the endpoint.

        :param made_of: The configs and models that an earlier try has saved.
        :raises ConflictError: When the endpoint is not ours, or has inference components.
        :raises DeploymentTimeoutError: When the time budget ended first.
        :raises DeploymentFailedError: When the endpoint cannot be described.
        """
        is_last = False
        while not is_last:
            made_of, is_last = self._patiently()(self._advance, made_of)

    def _advance(self, made_of: MadeOf) -> tuple[MadeOf, bool]:
        observed, planned = self._plan(made_of)
        if planned.made_of is not None:
            made_of = planned.made_of
            self._remember(made_of)
        for sentence in planned.kept:
            log.warning("%s", sentence)
        self._apply(planned.steps, observed)
        self.has_deleted |= any(isinstance(step, DeleteEndpoint) for step in planned.steps)
        return made_of, planned.is_last

    def _plan(self, made_of: MadeOf) -> tuple[Observation, DeletionPlan]:
        observed = self._observer.observation(self._deletion.endpoint_name)
        while isinstance(planned := plan_deletion(observed, self._deletion, made_of), Fact):
            observed = observed.learned(planned, self._observer.fetch(planned, observed))
        return observed, planned


class ComponentDeleter(_Deleter):
    """Deletes an inference component, with its adapters.

    :param deletion: The requested deletion.
    :param aws: Makes the hooks.
    :param poll_interval: Seconds between two polls.
    :param timeout: Time budget in seconds.
    """

    def __init__(
        self, deletion: ComponentDeletion, aws: AwsParameters, *, poll_interval: float, timeout: float
    ) -> None:
        super().__init__(aws, poll_interval=poll_interval, timeout=timeout, kind=Kind.COMPONENT)
        self._deletion = deletion

    def delete(self) -> None:
        """Delete the component.

        :raises ConflictError: When the component is not ours, or has adapters that are not to be deleted.
        :raises DeploymentTimeoutError: When the time budget ended first.
        :raises DeploymentFailedError: When the component cannot be described.
        """
        while self._patiently()(self._advance):
            pass

    def _advance(self) -> bool:
        """Apply the next steps; return whether there were any."""
        observed = self._observer.observation(self._deletion.name)
        while isinstance(planned := plan_component_deletion(observed, self._deletion), Fact):
            observed = observed.learned(planned, self._observer.fetch(planned, observed))
        self._apply(planned.steps, observed)
        return bool(planned.steps)

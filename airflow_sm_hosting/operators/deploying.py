"""What the operators share that deploy an endpoint or an inference component: they observe, plan, apply and wait."""

from __future__ import annotations

import time
from datetime import UTC
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow_sm_hosting.exceptions import AccessError, InvocationError, NotFoundError
from airflow_sm_hosting.fields import Field
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.operators.recorded import RecordedTask, task_instance_key
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.smoke_test import rendered_test

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.deployment import EndpointDeployer
    from airflow_sm_hosting.deployer.smoke_testing import SmokeTester
    from airflow_sm_hosting.deployment.planning import End
    from airflow_sm_hosting.deployment.progress import Progress
    from airflow_sm_hosting.deployment.smoke_test import AnswerFailure
    from airflow_sm_hosting.deployment.wait import WaitCondition, WaitResult
    from airflow_sm_hosting.deployment.wanted import Wanted
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook


#: What the log says of a wait without success, by its outcome.
ENDED = {
    "rolled_back": "The deployment was rolled back.",
    "failed": "The deployment failed.",
    "timed_out": "The deployment has not ended.",
    "unknown": "The deployment cannot be watched any more.",
}


class OneSmokeTest(Field[dict[str, Any]]):
    """A :class:`~airflow_sm_hosting.SmokeTest`."""

    def check(self, where: str, value: Any) -> None:
        """Check the kind of a literal value."""
        if not is_rendered_later(value) and kind_of(value) != "SmokeTest":
            raise invalid(where, type(value).__name__, "a SmokeTest")

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the test, its members checked."""
        self.check(where, given)
        return rendered_test(f"{where}: ", given)


class DeployingOperator(RecordedTask, SageMakerHostingBaseOperator):
    """Base of the operators that deploy, and wait in the worker or in the triggerer."""

    #: Whether the task waits for the outcome, and where.
    wait_for_completion: bool
    deferrable: bool

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Continue after the deferred wait."""
        from airflow_sm_hosting.deployment.progress import Progress
        from airflow_sm_hosting.deployment.wait import WaitFor, WaitResult

        carried, now = event["carried"], time.time()
        result = WaitResult.deserialize(event["sighting"])
        progress = Progress.deserialize(carried["progress"], started_at=now, deadline=now + self._budget())
        progress = progress.after_wait(WaitFor(carried["until"]), result)
        self._log_end(result, progress)
        self.note_wait(context, event)
        return self._deploy(context, self._deployer(self._wanted(context), progress))

    def _deploy(self, context: Context, deployer: EndpointDeployer) -> str:
        """Observe, plan, apply and wait until the deployment has ended; then report."""
        from airflow_sm_hosting.deployment.planning import End, handed_over

        hook = self.sagemaker_hook
        self._persist_links(context, hook)
        self.note_deployment(region=hook.conn_region_name)
        while not isinstance(reached := self._advance(context, deployer), End):
            if not self.wait_for_completion and reached.until == "deployed":
                reached = handed_over(deployer.progress, deployer.endpoint_arn)
                break
            result = self._wait(context, reached, deployer.progress)
            deployer.progress = deployer.progress.after_wait(reached.until, result)
        return self._report(context, deployer, reached)

    def _advance(self, context: Context, deployer: EndpointDeployer) -> WaitCondition | End:
        """Observe, plan and apply until the next wait or the end; note what is known by then, also if this fails."""
        from airflow_sm_hosting.deployment.observation import Fact, FactKind
        from airflow_sm_hosting.deployment.record import observed_members, tag_members

        try:
            return deployer.advance()
        finally:
            progress, described = deployer.progress, deployer.take_description()
            tags = deployer.known.get(Fact(FactKind.TAGS, (str(deployer.endpoint_arn),)))
            self.note_deployment(
                **observed_members(described, deployer.known, self._alarm_names()),
                **tag_members(tags),
                action=None if progress.action is None else str(progress.action),
                target=progress.target,
                previous_endpoint_config_name=progress.previous_endpoint_config_name,
                started_at=progress.started_at,
                seconds=round(time.time() - progress.started_at, 1),
            )
            if described:
                self.observe_status(context, described)

    def _wait(self, context: Context, condition: WaitCondition, progress: Progress) -> WaitResult:
        """Wait in this process, or defer the wait to the triggerer and never return."""
        from airflow_sm_hosting.deployer.waiting import PollingWait

        interval = self._interval()
        if self.deferrable:
            from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

            self.defer(
                trigger=EndpointTrigger(
                    awaited=condition.serialize(),
                    deadline=progress.deadline,
                    started_at=progress.started_at,
                    poll_interval=interval,
                    carried={
                        "progress": progress.serialize(),
                        "until": str(condition.until),
                        "notes": self.deployment_notes,
                        **self._carried(),
                    },
                    watched_by=task_instance_key(context),
                    **self.aws_parameters,
                ),
                method_name="execute_complete",
            )
        wait = PollingWait(
            self.sagemaker_hook,
            condition,
            deadline=progress.deadline,
            started_at=progress.started_at,
            log_status=self.log.info,
            observe_status=partial(self.observe_status, context),
        )
        while (result := wait.poll()) is None:
            time.sleep(wait.pause(interval))
        self._log_end(result, progress)
        return result

    def _carried(self) -> dict[str, Any]:
        """Return further values that a deferred task gets back."""
        return {}

    def _log_end(self, result: WaitResult, progress: Progress) -> None:
        """Log the end of a wait, with the time of each stage. The reason of a failure is in the error, or in the warning of what follows."""
        from airflow_sm_hosting.deployment.rollout_stage import summary_line
        from airflow_sm_hosting.deployment.wait import Outcome

        is_success = result.outcome == Outcome.DEPLOYED
        if is_success or result.timings:
            message = result.message if is_success else ENDED[result.outcome]
            self.log.info("%s", summary_line(message, time.time() - progress.started_at, result.timings))

    def _answer_failure(self, name: str) -> AnswerFailure | None:
        """Run the smoke test; return the failure of the answers, None when they are right.

        :param name: The endpoint or inference component, spelled as AWS describes it.
        """
        from airflow_sm_hosting.deployment.smoke_test import AnswerFailure

        try:
            answers = self._smoke_tester(name).run()
        except InvocationError as error:
            return AnswerFailure(str(error), refused=error.refused)
        except (NotFoundError, AccessError) as error:
            return AnswerFailure(str(error), refused=True)
        variants = {answer.variant for answer in answers if answer.variant}
        self.log.info(
            "The smoke test succeeded%s", f" on variant {', '.join(sorted(variants))}" if variants else ""
        )
        return None

    def _task(self, context: Context) -> str:
        """Return a digest that identifies this task of this run; all its tries share it."""
        from airflow_sm_hosting.spec.tags import digest

        run, instance = (
            getattr(context.get("dag_run"), "run_id", ""),
            getattr(context["ti"], "map_index", -1),
        )
        return digest(f"{self.dag_id}/{self.task_id}/{run}/{instance}")

    @staticmethod
    def _run_after(context: Context) -> str | None:
        """Return the due time of the DAG run in ISO format: a run started by an asset event has no logical date."""
        due = getattr(context.get("dag_run"), "run_after", None)
        return due.astimezone(UTC).isoformat(timespec="milliseconds") if due else None

    # What each operator has of its own.

    def _wanted(self, context: Context) -> Wanted:
        """Return the requested deployment, rendered and validated."""
        raise NotImplementedError

    def _deployer(self, wanted: Wanted, progress: Progress) -> EndpointDeployer:
        """Return what carries it out."""
        raise NotImplementedError

    def _smoke_tester(self, name: str) -> SmokeTester:
        """Return what runs the smoke test on the endpoint or inference component of this name."""
        raise NotImplementedError

    def _alarm_names(self) -> list[str]:
        """Return the names of the alarms that can roll the deployment back."""
        rollback = (self._deployment_config() or {}).get("AutoRollbackConfiguration") or {}
        return [alarm["AlarmName"] for alarm in rollback.get("Alarms") or ()]

    def _deployment_config(self) -> dict[str, Any] | None:
        """Return the request's DeploymentConfig."""
        raise NotImplementedError

    def _interval(self) -> float:
        """Return the seconds between two polls."""
        raise NotImplementedError

    def _budget(self) -> float:
        """Return the time budget of one try in seconds."""
        raise NotImplementedError

    def _report(self, context: Context, deployer: EndpointDeployer, end: End) -> str:
        """Push the details; return the name, or raise the deployment's error."""
        raise NotImplementedError

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        """Push the addresses of the links."""
        raise NotImplementedError

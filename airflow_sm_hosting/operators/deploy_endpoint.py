"""Deploy an endpoint config to an endpoint, and tell the truth about what serves then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NoReturn

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only

from airflow_sm_hosting.exceptions import (
    DeploymentError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    InvalidSpecError,
    InvocationError,
    SmokeTestFailedError,
)
from airflow_sm_hosting.fields import (
    Boolean,
    Choice,
    Field,
    ListOf,
    Resource,
    Seconds,
    Structure,
    Tags,
    optional,
)
from airflow_sm_hosting.hooks.parameters import AwsFields
from airflow_sm_hosting.links import EndpointLink, EndpointLogsLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT, ENDPOINT_CONFIG, check_resource, resource_name
from airflow_sm_hosting.spec.checks import invalid, is_rendered_later
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rollout import auto_rollback, check_alarm_names, completed, longest_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployment.awaited import Awaited, Until
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.endpoint_deployment import Deployment, EndpointDeployer, Progress
    from airflow_sm_hosting.hooks.endpoint_watch import Sighting
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook
    from airflow_sm_hosting.spec.fleet_alarm import NewFleetAlarm
    from airflow_sm_hosting.spec.rollout import AllAtOnce, Canary, Linear, Rolling
    from airflow_sm_hosting.spec.smoke_test import SmokeTest

DEFAULT_POLL_INTERVAL = 30
SHORTEST_POLL_INTERVAL = 0.1
MAX_TIMEOUT = 14 * 24 * 3600

#: The parts of a derived time budget, in seconds: AWS's greatest values of ModelDataDownloadTimeoutInSeconds and
#: ContainerStartupHealthCheckTimeoutInSeconds (ProductionVariant), half an hour to find instances, and an hour to shift traffic
#: where the rollout says nothing.
DOWNLOAD_SECONDS, STARTUP_SECONDS, PROVISION_SECONDS, SHIFT_SECONDS = 3600, 3600, 1800, 3600

ON_SMOKE_FAILURE: tuple[Literal["fail", "rollback"], ...] = ("fail", "rollback")
RETAIN: tuple[bool | Literal["auto"], ...] = ("auto", True, False)

IS_PUT_BACK_LATER = "Scaling that was taken off for the update is written down in the endpoint's tags; the next try puts it back."

#: What a wait that ended otherwise than in success raises, by its outcome.
ERRORS: dict[str, type[DeploymentError]] = {
    "rolled_back": DeploymentRolledBackError,
    "failed": DeploymentFailedError,
    "timed_out": DeploymentTimeoutError,
    "unknown": DeploymentFailedError,
}


class EndpointConfigNames(ListOf):
    """Endpoint configs by name or ARN; the value is their names."""

    def check(self, where: str, value: Any) -> None:
        """Check literal names and ARNs."""
        super().check(where, value)
        for name in () if is_rendered_later(value) else value:
            check_resource(where, name, ENDPOINT_CONFIG)

    def value(self, where: str, given: Any) -> list[Any]:
        """Return the names."""
        return [resource_name(where, name, ENDPOINT_CONFIG) for name in super().value(where, given)]


class OneSmokeTest(Field[dict[str, Any]]):
    """A :class:`~airflow_sm_hosting.SmokeTest`."""

    def check(self, where: str, value: Any) -> None:
        """Check the kind of a literal value."""
        if not is_rendered_later(value) and kind_of(value) != "SmokeTest":
            raise invalid(where, type(value).__name__, "a SmokeTest")

    def value(self, where: str, given: Any) -> dict[str, Any]:
        """Return the test."""
        self.check(where, given)
        return dict(given)


class DeployEndpointFields(AwsFields):
    """What :class:`DeployEndpointOperator` takes."""

    endpoint_name = Resource(ENDPOINT)
    endpoint_config_name: Field[str] | Field[str | None] = Resource(ENDPOINT_CONFIG)
    rollout = optional(
        Structure(words="AllAtOnce, Canary, Linear, Rolling, or a dict in the shape of DeploymentConfig")
    )
    auto_rollback_alarms = ListOf(check=check_alarm_names)
    new_fleet_alarms = ListOf(json=True)
    retain_variant_properties = Choice(RETAIN, default="auto")
    replace_failed_endpoint = Boolean(default=True)
    adopt = Boolean(default=False)
    allow_older = Boolean(default=False)
    fallback_endpoint_config_names = EndpointConfigNames()
    smoke_test = optional(OneSmokeTest(json=True))
    on_smoke_failure = Choice(ON_SMOKE_FAILURE, default="fail")
    tags = Tags()
    wait_for_completion = Boolean(default=True, templated=False)
    deferrable = Boolean(default=False, templated=False)
    poll_interval = Seconds(low=SHORTEST_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL)
    timeout = optional(Seconds(low=1, high=MAX_TIMEOUT))

    def check_together(self, where: str) -> None:
        """Check that a rollback after a smoke test has a smoke test, while the DAG file is parsed."""
        if not self.rendered and self.on_smoke_failure == "rollback" and self.smoke_test is None:
            raise InvalidSpecError(
                f"{where}on_smoke_failure is 'rollback', and there is no smoke_test that could fail; allowed: with smoke_test=."
            )


class DeployEndpointOperator(SageMakerHostingBaseOperator):
    """Bring an endpoint to an endpoint config: create it, update it, join a deployment that is on its way, or do nothing.

    Success means that the endpoint is ``InService`` on the config that was asked for, with no deployment pending. An endpoint that
    SageMaker rolled back is a failure that names the config which really serves, and the reason. A run that a newer one has
    overtaken is skipped, and what is downstream of it with it. A task that is killed leaves the deployment going on in
    AWS, and its next try joins it.

    .. seealso::
        For more information on how to use this operator, take a look at the guide:
        :ref:`howto/operator:DeployEndpointOperator`, and the API:
        https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html

    :param endpoint_name: Name of the endpoint, or the ARN of one that exists. (templated)
    :param endpoint_config_name: The endpoint config that is to serve, by name or ARN. (templated)
    :param rollout: How traffic moves in an update: :class:`~airflow_sm_hosting.AllAtOnce`, :class:`~airflow_sm_hosting.Canary`,
        :class:`~airflow_sm_hosting.Linear`, :class:`~airflow_sm_hosting.Rolling`, or a ``DeploymentConfig`` of the AWS shape
        (default: AWS's, all at once). (templated)
    :param auto_rollback_alarms: Names of CloudWatch alarms that roll back an update, beside those of ``rollout``; 10 at most. They must
        exist, not be going off, and be able to go off while the rollout bakes. (templated)
    :param new_fleet_alarms: :class:`~airflow_sm_hosting.NewFleetAlarm` that watch the new fleet alone; they are made for an update,
        roll it back, and are deleted after it (default: none). (templated)
    :param retain_variant_properties: ``"auto"`` (default): instance counts of variants that are scalable targets are kept over an
        update, all else becomes what the new config says; True keeps all counts and weights, False none. (templated)
    :param replace_failed_endpoint: Whether an endpoint in status Failed is deleted and created anew (default: True). (templated)
    :param adopt: Whether an endpoint that our tags do not mark as ours may be changed (default: False). (templated)
    :param allow_older: Whether this run deploys although a newer run has deployed already (default: False). (templated)
    :param fallback_endpoint_config_names: Configs to deploy instead, in this order, where AWS has no capacity (for instance of another
        instance type); ``details`` say which one serves (default: none). (templated)
    :param smoke_test: A :class:`~airflow_sm_hosting.SmokeTest` that the endpoint must answer rightly once it is deployed
        (default: none). (templated)
    :param on_smoke_failure: ``"fail"`` (default) leaves serving what was deployed; ``"rollback"`` goes back to the config before. The
        task fails in both cases. (templated)
    :param tags: Tags, as a dict; on an endpoint that exists they are reconciled, other people's tags are left alone. (templated)
    :param wait_for_completion: Whether the task waits for the outcome (default: True). With False, success means only that AWS took the
        request: nothing is verified, and scaling that was taken off is put back by the next run that waits.
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two looks, 0.1 or more (default: 30; AWS's own canaries were throttled at 5). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta, the sync wait's and the deferred one's alike
        (default: derived from the rollout and AWS's limits of startup and download). (templated)
    :raises DeploymentRolledBackError: When SageMaker went back to the former config.
    :raises DeploymentFailedError: When the endpoint does not serve what was asked for.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises SmokeTestFailedError: When the endpoint does not answer as it should.
    :raises ConflictError: When the endpoint is not ours, or cannot be updated to this config.
    :raises InvalidSpecError: For bad input, before the first AWS call.
    :return: The endpoint's name; ``details`` (XCom): action, endpoint_config_name, previous_endpoint_config_name, endpoint_arn, seconds.
    """

    fields: ClassVar[type[DeployEndpointFields]] = DeployEndpointFields
    template_fields: Sequence[str] = DeployEndpointFields.template_fields()
    template_fields_renderers: ClassVar[dict[str, str]] = DeployEndpointFields.template_fields_renderers()
    operator_extra_links = (EndpointLink(), EndpointLogsLink())

    #: Whether the target is a config that served before.
    rolls_back = False

    def __init__(
        self,
        *,
        endpoint_name: Late,
        endpoint_config_name: Late,
        rollout: AllAtOnce | Canary | Linear | Rolling | Mapping[str, Any] | Late | None = None,
        auto_rollback_alarms: Sequence[Late] | Late | None = None,
        new_fleet_alarms: Sequence[NewFleetAlarm | Late] | Late | None = None,
        retain_variant_properties: bool | Literal["auto"] | Late = "auto",
        replace_failed_endpoint: bool | Late = True,
        adopt: bool | Late = False,
        allow_older: bool | Late = False,
        fallback_endpoint_config_names: Sequence[Late] | Late | None = None,
        smoke_test: SmokeTest | Late | None = None,
        on_smoke_failure: Literal["fail", "rollback"] | Late = "fail",
        tags: Mapping[str, Any] | Sequence[Mapping[str, Any]] | Late | None = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | Late = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta | Late | None = None,
        **kwargs: Any,
    ) -> None:
        self.check_literals(locals())
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = endpoint_config_name
        self.rollout = rollout
        self.auto_rollback_alarms = auto_rollback_alarms
        self.new_fleet_alarms = new_fleet_alarms
        self.retain_variant_properties = retain_variant_properties
        self.replace_failed_endpoint = replace_failed_endpoint
        self.adopt = adopt
        self.allow_older = allow_older
        self.fallback_endpoint_config_names = fallback_endpoint_config_names
        self.smoke_test = smoke_test
        self.on_smoke_failure = on_smoke_failure
        self.tags = tags
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> str:
        """Describe, decide, act, wait, verify; again if something else was in the way."""
        from airflow_sm_hosting.hooks.endpoint_deployment import Progress

        self._check_before_asking(self._deployment(context))
        self.check_arns("endpoint_name", "endpoint_config_name")
        now = time.time()
        progress = Progress(started_at=now, deadline=now + self._budget(), rolling_back=self.rolls_back)
        return self._proceed(context, progress)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Go on where the deferred wait ended."""
        from airflow_sm_hosting.deployment.awaited import Until
        from airflow_sm_hosting.hooks.endpoint_deployment import Progress
        from airflow_sm_hosting.hooks.endpoint_watch import Sighting

        carried = event["carried"]
        return self._go_on(
            context,
            Progress(**carried["progress"]),
            Until(carried["until"]),
            Sighting(**event["sighting"]),
        )

    def on_kill(self) -> None:
        """Say what goes on in AWS: there is no operation that stops a deployment in progress."""
        self.log.warning(
            "This task was killed; what it began at endpoint %s goes on in AWS. Run it again to join that deployment, or deploy "
            "another endpoint config once it has ended.",
            self.endpoint_name,
        )

    def _proceed(self, context: Context, progress: Progress) -> str:
        """Take a step; then wait for its end, or be done."""
        self._persist_links(context, self.sagemaker_hook)
        deployer = self._deployer(context)
        step = deployer.step(progress)
        found = step.described or {}
        if step.decision.action == "overtaken":
            # Scaling that this run took off in vain.
            deployer.finish(progress)
            self._skip(context, progress, found, step.decision.reason)
        if step.awaited is None:
            return self._verify(context, progress, found)
        if not self.wait_for_completion and step.awaited.until == "deployed":
            return self._succeed(context, progress, found)
        return self._go_on(context, progress, step.awaited.until, self._wait(step.awaited, progress))

    def _go_on(self, context: Context, progress: Progress, until: Until, sighting: Sighting) -> str:
        """Judge how a wait ended, and do what is left to do."""
        if sighting.outcome != "deployed":
            return self._fall_back_or_fail(context, progress, sighting)
        self.log.info("%s", sighting.message)
        if until in ("settled", "gone"):
            return self._proceed(context, progress)
        deployer = self._deployer(context)
        if until == "counted":
            deployer.count_was_set(progress, sighting.described["EndpointArn"])
        if progress.counts:
            awaited = deployer.set_next_count(progress)
            return self._go_on(context, progress, awaited.until, self._wait(awaited, progress))
        return self._verify(context, progress, sighting.described)

    def _verify(self, context: Context, progress: Progress, found: Mapping[str, Any]) -> str:
        """Ask what was deployed for an answer, if that is wanted; roll back where it is wrong and that is wanted."""
        given = self.fields.of(self)
        if progress.smoke_failure is None and given.smoke_test is not None:
            failure = self._smoke_failure(given.smoke_test)
            if failure and given.on_smoke_failure == "rollback" and progress.previous_endpoint_config_name:
                self.log.error("%s Going back to %s", failure, progress.previous_endpoint_config_name)
                progress.smoke_failure = f"{failure} It was {progress.target} that answered."
                progress.target, progress.rolling_back = progress.previous_endpoint_config_name, True
                return self._proceed(context, progress)
            if failure:
                self._deployer(context).finish(progress)
                self._fail_smoke(context, progress, found, f"{failure} {progress.target} goes on serving.")
        self._deployer(context).finish(progress)
        if progress.smoke_failure:
            told = f"{progress.smoke_failure} The endpoint was rolled back, and serves {progress.target}."
            self._fail_smoke(context, progress, found, told)
        return self._succeed(context, progress, found)

    def _smoke_failure(self, test: Mapping[str, Any]) -> str | None:
        """Return what is wrong with the endpoint's answer; None when nothing is."""
        from airflow_sm_hosting.hooks.invocation import compare, invoke

        name = self.resource_name("endpoint_name", ENDPOINT)
        try:
            answer = invoke(
                self.runtime_hook,
                name,
                test["Body"],
                content_type=test.get("ContentType"),
                accept=test.get("Accept"),
                target_variant=test.get("TargetVariant"),
            )
            compare(name, answer.content, test.get("Expect"))
        except InvocationError as error:
            return str(error)
        self.log.info("The smoke test was answered rightly by variant %s", answer.variant)
        return None

    def _fall_back_or_fail(self, context: Context, progress: Progress, sighting: Sighting) -> str:
        """Deploy the next config where AWS has no capacity for this one; else leave the endpoint in order, and fail."""
        from airflow_sm_hosting.deployment.remedies import Cause, cause_of

        reason = sighting.described.get("FailureReason")
        ended = sighting.outcome in ("rolled_back", "failed")
        deployer = self._deployer(context)
        if ended and (overtaken := deployer.overtaken(progress)):
            deployer.finish(progress)
            self._skip(context, progress, sighting.described, overtaken)
        if ended and cause_of(reason) is Cause.CAPACITY and not progress.rolling_back:
            progress.without_capacity.append(str(progress.target))
            names = self.fields.of(self).fallback_endpoint_config_names
            left = [name for name in names if name not in progress.without_capacity]
            if left:
                self.log.warning("%s Deploying %s instead", sighting.message, left[0])
                progress.target = left[0]
                return self._proceed(context, progress)
        notes = []
        if ended:
            from airflow_sm_hosting.hooks.failure_report import failure_report

            name = self.resource_name("endpoint_name", ENDPOINT)
            configs = {
                str(progress.target),
                sighting.described.get("EndpointConfigName") or str(progress.target),
            }
            joined = progress.action == "join"
            since = None if joined else progress.started_at
            notes.append(failure_report(self, name, configs, reason, since=since))
        if progress.unfinished:
            notes.append(self._put_in_order(context, progress) if ended else IS_PUT_BACK_LATER)
        return self._fail(context, progress, sighting, " ".join(note for note in notes if note))

    def _put_in_order(self, context: Context, progress: Progress) -> str:
        """Put back the scaling, and delete the alarms made for the deployment; return what to say if that cannot be done."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._deployer(context).finish(progress)
        except (ClientError, BotoCoreError) as error:
            self.log.exception("The endpoint could not be put in order")
            return f"{IS_PUT_BACK_LATER} ({type(error).__name__}: {error})"
        return ""

    def _wait(self, awaited: Awaited, progress: Progress) -> Sighting:
        """Wait in this process, or give it to the triggerer and never return."""
        from dataclasses import asdict

        from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch

        interval = self.fields.of(self).poll_interval
        if self.deferrable:
            from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

            self.defer(
                trigger=EndpointTrigger(
                    awaited=awaited.serialize(),
                    deadline=progress.deadline,
                    started_at=progress.started_at,
                    poll_interval=interval,
                    carried={"progress": asdict(progress), "until": str(awaited.until)},
                    **self.aws_parameters,
                ),
                method_name="execute_complete",
            )
        watch = EndpointWatch(
            self.sagemaker_hook,
            awaited,
            deadline=progress.deadline,
            started_at=progress.started_at,
            tell=self.log.info,
        )
        while (sighting := watch.look()) is None:
            time.sleep(watch.pause(interval))
        return sighting

    # What the parameters come to.

    def _deployer(self, context: Context) -> EndpointDeployer:
        from airflow_sm_hosting.hooks.endpoint_deployment import EndpointDeployer

        return EndpointDeployer(self._deployment(context), self)

    def _deployment(self, context: Context) -> Deployment:
        from airflow_sm_hosting.hooks.endpoint_deployment import Deployment

        given = self.fields.of(self)
        # A run that an asset event started has no logical date; when it was due is there in every kind of run.
        due = getattr(context.get("dag_run"), "run_after", None)
        return Deployment(
            endpoint_name=given.endpoint_name,
            endpoint_config_name=given.endpoint_config_name,
            fallbacks=given.fallback_endpoint_config_names,
            deployment_config=self._deployment_config(),
            fleet_alarms=given.new_fleet_alarms,
            retain=given.retain_variant_properties,
            replace_failed_endpoint=given.replace_failed_endpoint,
            adopt=given.adopt,
            allow_older=given.allow_older,
            tags=given.tags,
            run_after=due.astimezone(UTC).isoformat(timespec="milliseconds") if due else None,
            retried=getattr(context["ti"], "try_number", 1) > 1,
            task=self._task(context),
        )

    def _task(self, context: Context) -> str:
        """Return what tells this task of this run from all others; its tries have it in common."""
        from airflow_sm_hosting.spec.tags import digest

        run, instance = (
            getattr(context.get("dag_run"), "run_id", ""),
            getattr(context["ti"], "map_index", -1),
        )
        return digest(f"{self.dag_id}/{self.task_id}/{run}/{instance}")

    def _check_before_asking(self, deployment: Deployment) -> None:
        """Hold the update that may come against the service's model, before the first call."""
        from airflow_sm_hosting.hooks.requests import prepared
        from airflow_sm_hosting.hooks.sagemaker import tag_list
        from airflow_sm_hosting.spec.fleet_alarm import fleet_alarm_request

        for index, alarm in enumerate(deployment.fleet_alarms):
            fleet_alarm_request(alarm, index, endpoint_name="endpoint", endpoint_config_name="config")
        names = {
            "EndpointName": deployment.endpoint_name,
            "EndpointConfigName": deployment.endpoint_config_name or "before",
        }
        prepared("sagemaker", "CreateEndpoint", {**names, "Tags": tag_list(deployment.tags)})
        prepared("sagemaker", "UpdateEndpoint", {**names, "DeploymentConfig": deployment.deployment_config})

    def _deployment_config(self) -> dict[str, Any] | None:
        given = self.fields.of(self)
        config, alarms = completed(given.rollout or {}), given.auto_rollback_alarms
        if alarms:
            named = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
            names = [*(alarm["AlarmName"] for alarm in named), *alarms]
            config |= auto_rollback("DeployEndpointOperator", list(dict.fromkeys(names)))
            # AutoRollbackConfiguration alone is no DeploymentConfig: it goes with AWS's default strategy.
            if not {"BlueGreenUpdatePolicy", "RollingUpdatePolicy"} & set(config):
                routing = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}
                config["BlueGreenUpdatePolicy"] = {"TrafficRoutingConfiguration": routing}
        return config or None

    def _budget(self) -> float:
        given = self.fields.of(self)
        if given.timeout is not None:
            return given.timeout
        shift = longest_seconds(self._deployment_config())
        one = (shift or SHIFT_SECONDS) + DOWNLOAD_SECONDS + STARTUP_SECONDS + PROVISION_SECONDS
        # A fallback is a deployment of its own, and so is a rollback after the smoke test.
        fallbacks = given.fallback_endpoint_config_names
        return one * (1 + len(fallbacks) + (given.on_smoke_failure == "rollback"))

    # Telling.

    def _succeed(self, context: Context, progress: Progress, found: Mapping[str, Any]) -> str:
        self._tell(context, progress, found, progress.target)
        return self.resource_name("endpoint_name", ENDPOINT)

    def _skip(self, context: Context, progress: Progress, found: Mapping[str, Any], reason: str) -> NoReturn:
        from airflow.providers.common.compat.sdk import AirflowSkipException  # moved between 3.1 and 3.2

        self._tell(context, progress, found, found.get("EndpointConfigName"))
        raise AirflowSkipException(reason)

    def _fail(self, context: Context, progress: Progress, sighting: Sighting, note: str) -> NoReturn:
        serving = sighting.described.get("EndpointConfigName")
        details = self._tell(context, progress, sighting.described, serving)
        from airflow_sm_hosting.deployment.remedies import cause_of

        cause = cause_of(sighting.described.get("FailureReason"))
        raise ERRORS[sighting.outcome](
            f"{sighting.message} {note}".strip(), details=details, cause=str(cause) if cause else None
        )

    def _fail_smoke(
        self, context: Context, progress: Progress, found: Mapping[str, Any], message: str
    ) -> NoReturn:
        details = self._tell(context, progress, found, progress.target)
        raise SmokeTestFailedError(message, details=details)

    def _tell(
        self,
        context: Context,
        progress: Progress,
        found: Mapping[str, Any],
        endpoint_config_name: str | None,
    ) -> dict[str, Any]:
        """Push what was done, and which config serves, or was handed to AWS where nobody waits."""
        details = {
            "action": str(progress.action or "wait"),
            "endpoint_config_name": endpoint_config_name,
            "previous_endpoint_config_name": progress.previous_endpoint_config_name,
            "endpoint_arn": found.get("EndpointArn"),
            "seconds": round(time.time() - progress.started_at, 1),
        }
        self.tell_details(context, details)
        return details

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        for link in self.operator_extra_links:
            link.persist(
                context,
                partition=hook.conn_partition,
                region=hook.conn_region_name,
                endpoint_name=self.resource_name("endpoint_name", ENDPOINT),
            )

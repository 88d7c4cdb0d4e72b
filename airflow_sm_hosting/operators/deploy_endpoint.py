"""Deploy an endpoint config to an endpoint, and tell the truth about what serves then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only

from airflow_sm_hosting.exceptions import InvalidSpecError, InvocationError
from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.links import EndpointLink, EndpointLogsLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.arn import ENDPOINT, ENDPOINT_CONFIG, check_resource, resource_name
from airflow_sm_hosting.spec.reference import kind_of
from airflow_sm_hosting.spec.rollout import auto_rollback, completed, longest_seconds
from airflow_sm_hosting.spec.rules import (
    as_boolean,
    as_list,
    as_seconds,
    as_tags,
    check_number,
    check_one_of,
    check_tags,
    invalid,
    is_rendered_later,
)

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.deployment import EndpointDeployer
    from airflow_sm_hosting.deployment.planning import End
    from airflow_sm_hosting.deployment.progress import Progress
    from airflow_sm_hosting.deployment.wait import WaitCondition, WaitResult
    from airflow_sm_hosting.deployment.wanted import Wanted
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

DEFAULT_POLL_INTERVAL = 30
SHORTEST_POLL_INTERVAL = 0.1
MAX_TIMEOUT = 14 * 24 * 3600

#: The parts of a derived time budget, in seconds: AWS's greatest values of ModelDataDownloadTimeoutInSeconds and
#: ContainerStartupHealthCheckTimeoutInSeconds (ProductionVariant), half an hour to find instances, and an hour to shift traffic
#: where the rollout says nothing.
DOWNLOAD_SECONDS, STARTUP_SECONDS, PROVISION_SECONDS, SHIFT_SECONDS = 3600, 3600, 1800, 3600

ON_SMOKE_FAILURE = ("fail", "rollback")


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

    template_fields: Sequence[str] = (
        *AWS_FIELDS,
        "endpoint_name",
        "endpoint_config_name",
        "rollout",
        "auto_rollback_alarms",
        "new_fleet_alarms",
        "retain_variant_properties",
        "replace_failed_endpoint",
        "adopt",
        "allow_older",
        "fallback_endpoint_config_names",
        "smoke_test",
        "on_smoke_failure",
        "tags",
        "poll_interval",
        "timeout",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {
        "rollout": "json",
        "new_fleet_alarms": "json",
        "smoke_test": "json",
        "tags": "json",
    }
    operator_extra_links = (EndpointLink(), EndpointLogsLink())

    #: Whether the target is a config that served before.
    rolls_back = False

    def __init__(
        self,
        *,
        endpoint_name: str,
        endpoint_config_name: str,
        rollout: Any = None,
        auto_rollback_alarms: Any = None,
        new_fleet_alarms: Any = None,
        retain_variant_properties: bool | Literal["auto"] | str = "auto",
        replace_failed_endpoint: bool | str = True,
        adopt: bool | str = False,
        allow_older: bool | str = False,
        fallback_endpoint_config_names: Any = None,
        smoke_test: Any = None,
        on_smoke_failure: str = "fail",
        tags: Any = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | str = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta | str | None = None,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_resource(f"{where}: endpoint_name", endpoint_name, ENDPOINT)
        if endpoint_config_name is not None or not self.rolls_back:
            check_resource(f"{where}: endpoint_config_name", endpoint_config_name, ENDPOINT_CONFIG)
        auto_rollback(where, auto_rollback_alarms)
        check_tags(f"{where}: tags", tags)
        check_one_of(f"{where}: retain_variant_properties", retain_variant_properties, ("auto", True, False))
        if rollout is not None and not is_rendered_later(rollout) and not isinstance(rollout, dict):
            raise InvalidSpecError(
                f"{where}: rollout is a {type(rollout).__name__}; allowed: AllAtOnce, Canary, Linear, Rolling, or a dict in the "
                "shape of DeploymentConfig."
            )
        check_one_of(f"{where}: on_smoke_failure", on_smoke_failure, ON_SMOKE_FAILURE)
        if (
            smoke_test is not None
            and not is_rendered_later(smoke_test)
            and kind_of(smoke_test) != "SmokeTest"
        ):
            raise invalid(f"{where}: smoke_test", type(smoke_test).__name__, "a SmokeTest")
        for name, value, noun in (
            ("new_fleet_alarms", new_fleet_alarms, "NewFleetAlarms"),
            ("fallback_endpoint_config_names", fallback_endpoint_config_names, "endpoint config names"),
        ):
            if value is not None and not is_rendered_later(value) and not isinstance(value, list | tuple):
                raise InvalidSpecError(
                    f"{where}: {name} is a {type(value).__name__}; allowed: a list of {noun}."
                )
        for name in fallback_endpoint_config_names or ():
            if not is_rendered_later(fallback_endpoint_config_names):
                check_resource(f"{where}: fallback_endpoint_config_names", name, ENDPOINT_CONFIG)
        if isinstance(poll_interval, int | float):
            check_number(f"{where}: poll_interval", poll_interval, low=SHORTEST_POLL_INTERVAL)
        if isinstance(timeout, int | float | timedelta):
            as_seconds(f"{where}: timeout", timeout, 1, MAX_TIMEOUT)
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
        """Check, then observe, plan and apply, and wait as often as it takes."""
        from airflow_sm_hosting.deployment.progress import Progress

        wanted = self._wanted(context)
        self._check_before_asking(wanted)
        self.check_arns("endpoint_name", "endpoint_config_name")
        now = time.time()
        progress = Progress(started_at=now, deadline=now + self._budget(), rolling_back=self.rolls_back)
        return self._deploy(context, self._deployer(wanted, progress))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Go on where the deferred wait ended."""
        from airflow_sm_hosting.deployment.progress import Progress
        from airflow_sm_hosting.deployment.wait import WaitFor, WaitResult

        carried, now = event["carried"], time.time()
        result = WaitResult.deserialize(event["sighting"])
        progress = Progress.deserialize(carried["progress"], started_at=now, deadline=now + self._budget())
        progress = progress.after_wait(WaitFor(carried["until"]), result)
        self.log.info("%s", result.message)
        return self._deploy(context, self._deployer(self._wanted(context), progress))

    def on_kill(self) -> None:
        """Say what goes on in AWS: there is no operation that stops a deployment in progress."""
        self.log.warning(
            "This task was killed; what it began at endpoint %s goes on in AWS. Run it again to join that deployment, or deploy "
            "another endpoint config once it has ended.",
            self.endpoint_name,
        )

    def _deploy(self, context: Context, deployer: EndpointDeployer) -> str:
        """Observe, plan and apply up to the next wait, while there is one; then report."""
        from airflow_sm_hosting.deployment.planning import End, handed_over

        self._persist_links(context, self.sagemaker_hook)
        while not isinstance(reached := deployer.advance(), End):
            if not self.wait_for_completion and reached.until == "deployed":
                reached = handed_over(deployer.progress, deployer.endpoint_arn)
                break
            result = self._wait(reached, deployer.progress)
            deployer.progress = deployer.progress.after_wait(reached.until, result)
        return self._report(context, deployer.progress, reached)

    def _wait(self, condition: WaitCondition, progress: Progress) -> WaitResult:
        """Wait in this process, or give the wait to the triggerer and never return."""
        from airflow_sm_hosting.deployer.waiting import PollingWait

        interval = as_seconds("poll_interval", self.poll_interval, SHORTEST_POLL_INTERVAL)
        if self.deferrable:
            from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

            self.defer(
                trigger=EndpointTrigger(
                    awaited=condition.serialize(),
                    deadline=progress.deadline,
                    started_at=progress.started_at,
                    poll_interval=interval,
                    carried={"progress": progress.serialize(), "until": str(condition.until)},
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
        )
        while (result := wait.poll()) is None:
            time.sleep(wait.pause(interval))
        self.log.info("%s", result.message)
        return result

    def _answer_failure(self) -> str | None:
        """Return what is wrong with the endpoint's answer; None when nothing is."""
        from airflow_sm_hosting.deployer.invocation import compare, invoke

        test, name = self.smoke_test, self.resource_name("endpoint_name", ENDPOINT)
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

    def _report(self, context: Context, progress: Progress, end: End) -> str:
        """Push the details; return the endpoint's name, or raise what the deployment ended with."""
        from airflow_sm_hosting.deployer.report import details_of, error_of

        name = self.resource_name("endpoint_name", ENDPOINT)
        details = details_of(progress, end.serving, end.endpoint_arn)
        self.tell_details(context, details)
        if end.ending == "succeeded":
            return name
        if end.ending == "skipped":
            from airflow.providers.common.compat.sdk import AirflowSkipException  # moved between 3.1 and 3.2

            raise AirflowSkipException(end.message)
        raise error_of(end, progress, self, name, details)

    # What the parameters come to.

    def _deployer(self, wanted: Wanted, progress: Progress) -> EndpointDeployer:
        from airflow_sm_hosting.deployer.deployment import EndpointDeployer

        return EndpointDeployer(wanted, self, progress, self._answer_failure)

    def _fallbacks(self) -> list[str]:
        field = "fallback_endpoint_config_names"
        return [resource_name(field, name, ENDPOINT_CONFIG) for name in as_list(field, getattr(self, field))]

    def _wanted(self, context: Context) -> Wanted:
        from airflow_sm_hosting.deployment.wanted import Wanted

        retain = self.retain_variant_properties
        # A run that an asset event started has no logical date; when it was due is there in every kind of run.
        due = getattr(context.get("dag_run"), "run_after", None)
        return Wanted(
            endpoint_name=self.resource_name("endpoint_name", ENDPOINT),
            endpoint_config_name=self._wanted_config(),
            fallbacks=self._fallbacks(),
            deployment_config=self._deployment_config(),
            fleet_alarms=as_list("new_fleet_alarms", self.new_fleet_alarms),
            retain="auto" if retain == "auto" else as_boolean("retain_variant_properties", retain),
            replace_failed_endpoint=as_boolean("replace_failed_endpoint", self.replace_failed_endpoint),
            adopt=as_boolean("adopt", self.adopt),
            allow_older=as_boolean("allow_older", self.allow_older),
            tags=as_tags("tags", self.tags),
            run_after=due.astimezone(UTC).isoformat(timespec="milliseconds") if due else None,
            retried=getattr(context["ti"], "try_number", 1) > 1,
            task=self._task(context),
            smoke_test=self.smoke_test not in (None, "", "None"),
            rolls_back_wrong_answers=self.on_smoke_failure == "rollback",
        )

    def _task(self, context: Context) -> str:
        """Return what tells this task of this run from all others; its tries have it in common."""
        from airflow_sm_hosting.spec.tags import digest

        run, instance = (
            getattr(context.get("dag_run"), "run_id", ""),
            getattr(context["ti"], "map_index", -1),
        )
        return digest(f"{self.dag_id}/{self.task_id}/{run}/{instance}")

    def _wanted_config(self) -> str | None:
        return self.resource_name("endpoint_config_name", ENDPOINT_CONFIG)

    def _check_before_asking(self, wanted: Wanted) -> None:
        """Validate the requests that may come, before the first call."""
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.fleet_alarm import fleet_alarm_request
        from airflow_sm_hosting.spec.tags import tag_list

        as_seconds("poll_interval", self.poll_interval, SHORTEST_POLL_INTERVAL)
        check_one_of("on_smoke_failure", self.on_smoke_failure, ON_SMOKE_FAILURE)
        for index, alarm in enumerate(wanted.fleet_alarms):
            fleet_alarm_request(alarm, index, endpoint_name="endpoint", endpoint_config_name="config")
        names = {
            "EndpointName": wanted.endpoint_name,
            "EndpointConfigName": wanted.endpoint_config_name or "before",
        }
        validated_request("sagemaker", "CreateEndpoint", {**names, "Tags": tag_list(wanted.tags)})
        validated_request(
            "sagemaker", "UpdateEndpoint", {**names, "DeploymentConfig": wanted.deployment_config}
        )

    def _deployment_config(self) -> dict[str, Any] | None:
        config = completed(self.rollout or {})
        alarms = as_list("auto_rollback_alarms", self.auto_rollback_alarms)
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
        if self.timeout not in (None, "", "None"):
            return as_seconds("timeout", self.timeout, 1, MAX_TIMEOUT)
        shift = longest_seconds(self._deployment_config())
        one = (shift or SHIFT_SECONDS) + DOWNLOAD_SECONDS + STARTUP_SECONDS + PROVISION_SECONDS
        # A fallback is a deployment of its own, and so is a rollback after the smoke test.
        return one * (1 + len(self._fallbacks()) + (self.on_smoke_failure == "rollback"))

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        for link in self.operator_extra_links:
            link.persist(
                context,
                partition=hook.conn_partition,
                region=hook.conn_region_name,
                endpoint_name=self.resource_name("endpoint_name", ENDPOINT),
            )

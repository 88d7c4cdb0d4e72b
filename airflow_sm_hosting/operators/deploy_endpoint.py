"""Deploy an endpoint config to an endpoint, and verify that it serves."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from airflow.configuration import conf  # only in airflow.sdk 3.2 and newer

from airflow_sm_hosting.exceptions import InvalidSpecError
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
from airflow_sm_hosting.operators.deploying import DeployingOperator, OneSmokeTest
from airflow_sm_hosting.operators.known_kind import kind_of_variant, metric_of_alarm
from airflow_sm_hosting.spec.arn import ENDPOINT, ENDPOINT_CONFIG, check_resource, resource_name
from airflow_sm_hosting.spec.checks import is_rendered_later
from airflow_sm_hosting.spec.published import not_published
from airflow_sm_hosting.spec.rollout import auto_rollback, check_alarm_names, completed, longest_seconds

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.deployer.deployment import EndpointDeployer
    from airflow_sm_hosting.deployer.smoke_testing import SmokeTester
    from airflow_sm_hosting.deployment.planning import End
    from airflow_sm_hosting.deployment.progress import Progress
    from airflow_sm_hosting.deployment.wanted import Wanted
    from airflow_sm_hosting.fields import Late
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook
    from airflow_sm_hosting.spec.fleet_alarm import NewFleetAlarm
    from airflow_sm_hosting.spec.rollout import AllAtOnce, Canary, Linear, Rolling
    from airflow_sm_hosting.spec.smoke_test import SmokeTest

DEFAULT_POLL_INTERVAL = 30
SHORTEST_POLL_INTERVAL = 0.1
MAX_TIMEOUT = 14 * 24 * 3600

#: The parts of a derived time budget, in seconds: AWS's maxima of ModelDataDownloadTimeoutInSeconds and
#: ContainerStartupHealthCheckTimeoutInSeconds (ProductionVariant), half an hour to find instances, and an hour to shift traffic
#: if the rollout has no maximum duration.
DOWNLOAD_SECONDS, STARTUP_SECONDS, PROVISION_SECONDS, SHIFT_SECONDS = 3600, 3600, 1800, 3600

ON_SMOKE_FAILURE: tuple[Literal["fail", "rollback"], ...] = ("fail", "rollback")
RETAIN: tuple[bool | Literal["auto"], ...] = ("auto", True, False)


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


class DeployEndpointFields(AwsFields):
    """The parameters of :class:`DeployEndpointOperator`."""

    endpoint_name = Resource(ENDPOINT)
    endpoint_config_name: Field[str] | Field[str | None] = Resource(ENDPOINT_CONFIG)
    rollout = optional(
        Structure(
            words="AllAtOnce, Canary, Linear, Rolling, or a dict in the shape of DeploymentConfig",
            of="DeploymentConfig",
        )
    )
    auto_rollback_alarms = ListOf(check=check_alarm_names)
    new_fleet_alarms = ListOf(json=True)
    retain_variant_properties = Choice(RETAIN, default="auto")
    replace_failed_endpoint = Boolean(default=True)
    adopt = Boolean(default=False)
    allow_older = Boolean(default=False)
    strict = Boolean(default=True)
    wait_for_alarms = Boolean(default=False)
    fallback_endpoint_config_names = EndpointConfigNames()
    smoke_test = optional(OneSmokeTest(json=True))
    on_smoke_failure = Choice(ON_SMOKE_FAILURE, default="fail")
    approval = optional(Structure(words="the details of an ApproveDeploymentOperator"))
    tags = Tags()
    wait_for_completion = Boolean(default=True, templated=False)
    deferrable = Boolean(default=False, templated=False)
    poll_interval = Seconds(low=SHORTEST_POLL_INTERVAL, default=DEFAULT_POLL_INTERVAL)
    timeout = optional(Seconds(low=1, high=MAX_TIMEOUT))

    def check_together(self, where: str) -> None:
        """Check that a rollback after a smoke test has a smoke test, while the DAG file is parsed."""
        if not self.rendered and self.on_smoke_failure == "rollback" and self.smoke_test is None:
            raise InvalidSpecError(
                f"{where}on_smoke_failure is 'rollback', but there is no smoke_test; allowed: with "
                "smoke_test=."
            )


class DeployEndpointOperator(DeployingOperator):
    """Deploy an endpoint config to an endpoint: create it, update it, join a deployment in progress, or do nothing.

    Success means that the endpoint is ``InService`` on the requested config, with no deployment pending. If SageMaker rolled the
    endpoint back, the task fails, and the error names the serving config and the reason. If a newer run has already deployed, the
    task and its downstream tasks are skipped. If the task is killed, the deployment continues in AWS, and the next try joins it.

    .. seealso::
        Guide: https://github.com/airflow-sm-hosting/airflow-provider-sm-hosting/blob/main/docs/operators.md#deployendpointoperator
        API: https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_UpdateEndpoint.html

    :param endpoint_name: Name of the endpoint, or the ARN of an existing one. (templated)
    :param endpoint_config_name: The endpoint config to deploy, by name or ARN. (templated)
    :param rollout: How traffic moves in an update: :class:`~airflow_sm_hosting.AllAtOnce`, :class:`~airflow_sm_hosting.Canary`,
        :class:`~airflow_sm_hosting.Linear`, :class:`~airflow_sm_hosting.Rolling`, or a ``DeploymentConfig`` of the AWS shape
        (default: AWS's, all at once). (templated)
    :param auto_rollback_alarms: Names of CloudWatch alarms that roll back an update, in addition to those of ``rollout``; at most 10.
        They must exist, must not be in ALARM, and must be able to go off during the bake time. (templated)
    :param new_fleet_alarms: :class:`~airflow_sm_hosting.NewFleetAlarm` that watch only the new fleet; they are made for an update,
        can roll it back, and are deleted after it (default: none). (templated)
    :param retain_variant_properties: ``"auto"`` (default) retains the instance counts of variants that are scalable targets in an
        update, and takes all other properties from the new config; True retains all counts and weights, False none. (templated)
    :param replace_failed_endpoint: Whether to delete an endpoint in status Failed and create it again (default: True). (templated)
    :param adopt: Whether the task may change an endpoint without this package's tags (default: False). (templated)
    :param allow_older: Whether this run deploys even if a newer run has already deployed (default: False). (templated)
    :param strict: Whether a rollout is an error that SageMaker is only assumed to refuse (a canary, linear or rolling update of one
        instance; default: True). False leaves the decision to AWS. (templated)
    :param wait_for_alarms: Whether the task waits, in the worker and within its time budget, for rollback alarms that are in ALARM before
        the update (default: False: ``AlarmGoingOffError``). (templated)
    :param fallback_endpoint_config_names: Configs to deploy instead, in this order, if AWS has no capacity (for instance with another
        instance type); ``details`` name the serving config (default: none). (templated)
    :param smoke_test: A :class:`~airflow_sm_hosting.SmokeTest` to run after the deployment
        (default: none). (templated)
    :param on_smoke_failure: ``"fail"`` (default) leaves the new config serving; ``"rollback"`` rolls back to the previous config. The
        task fails in both cases. (templated)
    :param approval: The approved plan, ``approve.output["details"]`` of an :class:`~airflow_sm_hosting.ApproveDeploymentOperator`: the task
        fails before any change if another config serves than when the plan was made, and ``details`` name who approved
        (default: no approval is needed). (templated)
    :param tags: Tags, as a dict; on an existing endpoint they are reconciled, other people's tags stay unchanged. (templated)
    :param wait_for_completion: Whether the task waits for the outcome (default: True). With False, success means only that AWS accepted
        the request: nothing is verified, and the next run that waits restores removed scaling.
    :param deferrable: Whether the task waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two polls, 0.1 or more (default: 30; AWS's own canaries were throttled
        at 5). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta, for the sync and the deferred wait
        (default: derived from the rollout and AWS's limits of startup and download). (templated)
    :raises DeploymentRolledBackError: When SageMaker rolled back to the previous config.
    :raises DeploymentFailedError: When the endpoint does not serve the requested config.
    :raises DeploymentTimeoutError: When the time budget ended first.
    :raises SmokeTestFailedError: When the smoke test fails.
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
        strict: bool | Late = True,
        wait_for_alarms: bool | Late = False,
        fallback_endpoint_config_names: Sequence[Late] | Late | None = None,
        smoke_test: SmokeTest | Late | None = None,
        on_smoke_failure: Literal["fail", "rollback"] | Late = "fail",
        approval: Mapping[str, Any] | Late | None = None,
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
        self.strict = strict
        self.wait_for_alarms = wait_for_alarms
        self.fallback_endpoint_config_names = fallback_endpoint_config_names
        self.smoke_test = smoke_test
        self.on_smoke_failure = on_smoke_failure
        self.approval = approval
        self.tags = tags
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout
        self._check_metrics_of_alarms()

    def _check_metrics_of_alarms(self) -> None:
        """Check that what guards the rollout is published, as far as the config and the alarms are made by tasks of the DAG.

        :raises InvalidSpecError: When an alarm can never go off: each rollout would be a success.
        """
        guards = [
            (f"new_fleet_alarms[{index}]", alarm.get("Metric"), alarm.get("VariantName"))
            for index, alarm in enumerate(_literal_list(self.new_fleet_alarms))
            if isinstance(alarm, Mapping)
        ]
        named = [("auto_rollback_alarms", _literal_list(self.auto_rollback_alarms))]
        rollback = (
            self.rollout.get("AutoRollbackConfiguration") if isinstance(self.rollout, Mapping) else None
        )
        if isinstance(rollback, Mapping):
            in_rollout = _literal_list(rollback.get("Alarms"))
            named.append(
                ("rollout", [one.get("AlarmName") for one in in_rollout if isinstance(one, Mapping)])
            )
        for where, alarms in named:
            for alarm in alarms:
                known = metric_of_alarm(alarm)
                if known is not None and known[1] in (self.endpoint_name, None):
                    guards.append((where, known[0], known[2]))
        for where, metric, variant in guards:
            for wrong in not_published(metric, kind_of_variant(self.endpoint_config_name, variant)):
                raise InvalidSpecError(
                    f"{type(self).__name__}: {where}: {wrong}. The alarm could never roll the deployment back."
                )

    def execute(self, context: Context) -> str:
        """Check the parameters, then observe, plan, apply and wait until the deployment has ended."""
        from airflow_sm_hosting.deployment.progress import Progress

        wanted = self._wanted(context)
        self._check_before_asking(wanted)
        self.check_arns("endpoint_name", "endpoint_config_name")
        now = time.time()
        progress = Progress(started_at=now, deadline=now + self._budget(), rolling_back=self.rolls_back)
        return self._deploy(context, self._deployer(wanted, progress))

    def on_kill(self) -> None:
        """Log what continues in AWS: no operation stops a deployment in progress."""
        self.log.warning(
            "This task was killed; its deployment of endpoint %s continues in AWS. Run the task again to "
            "join the deployment, or deploy another endpoint config after it has ended.",
            self.endpoint_name,
        )
        super().on_kill()

    def recorded_name(self) -> dict[str, Any]:
        """Return the endpoint's name."""
        return {"name": self.resource_name("endpoint_name", ENDPOINT)}

    def _report(self, context: Context, deployer: EndpointDeployer, end: End) -> str:
        """Push the details; return the endpoint's name, or raise the deployment's error."""
        from airflow_sm_hosting.deployer.report import details_of, error_of

        progress = deployer.progress
        given = self.fields.of(self)
        name = given.endpoint_name
        details = details_of(progress, end.serving, end.endpoint_arn, given.approval)
        self.note_deployment(approved_by=details.get("approved_by"))
        self.push_details(context, details)
        if end.ending == "succeeded":
            return name
        if end.ending == "skipped":
            from airflow.providers.common.compat.sdk import AirflowSkipException  # moved between 3.1 and 3.2

            raise AirflowSkipException(end.message)
        raise error_of(end, progress, self, name, details)

    def _smoke_tester(self, name: str) -> SmokeTester:
        from airflow_sm_hosting.deployer.smoke_testing import SmokeTester

        test = self.fields.of(self).smoke_test or {}
        return SmokeTester(self, name, test, path_of=self.path_beside_dag, log=self.log)

    # Values derived from the parameters.

    def _deployer(self, wanted: Wanted, progress: Progress) -> EndpointDeployer:
        from airflow_sm_hosting.deployer.deployment import EndpointDeployer

        return EndpointDeployer(wanted, self, progress, self._answer_failure)

    def _wanted(self, context: Context) -> Wanted:
        from airflow_sm_hosting.deployment.wanted import Wanted

        given = self.fields.of(self)
        return Wanted(
            endpoint_name=given.endpoint_name,
            endpoint_config_name=given.endpoint_config_name,
            fallbacks=given.fallback_endpoint_config_names,
            deployment_config=self._deployment_config(),
            fleet_alarms=given.new_fleet_alarms,
            retain=given.retain_variant_properties,
            replace_failed_endpoint=given.replace_failed_endpoint,
            adopt=given.adopt,
            allow_older=given.allow_older,
            strict=given.strict,
            wait_for_alarms=given.wait_for_alarms,
            tags=given.tags,
            run_after=self._run_after(context),
            retried=getattr(context["ti"], "try_number", 1) > 1,
            task=self._task(context),
            smoke_test=given.smoke_test is not None,
            smoke_request=given.smoke_test or {},
            rolls_back_wrong_answers=given.on_smoke_failure == "rollback",
            approval=given.approval,
        )

    def _check_before_asking(self, wanted: Wanted) -> None:
        """Validate the possible requests before the first call."""
        from airflow_sm_hosting.service_model.request import validated_request
        from airflow_sm_hosting.spec.fleet_alarm import fleet_alarm_request
        from airflow_sm_hosting.spec.tags import tag_list

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
        if wanted.smoke_test:
            self._smoke_tester(wanted.endpoint_name)

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

    def _interval(self) -> float:
        return self.fields.of(self).poll_interval

    def _budget(self) -> float:
        given = self.fields.of(self)
        if given.timeout is not None:
            return given.timeout
        shift = longest_seconds(self._deployment_config())
        one = (shift or SHIFT_SECONDS) + DOWNLOAD_SECONDS + STARTUP_SECONDS + PROVISION_SECONDS
        # A fallback is a separate deployment, and so is a rollback after the smoke test.
        fallbacks = given.fallback_endpoint_config_names
        return one * (1 + len(fallbacks) + (given.on_smoke_failure == "rollback"))

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        for link in self.operator_extra_links:
            link.persist_for(context, hook, endpoint_name=self.resource_name("endpoint_name", ENDPOINT))


def _literal_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else ()

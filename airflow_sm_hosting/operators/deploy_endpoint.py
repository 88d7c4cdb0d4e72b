"""Deploy an endpoint config to an endpoint, and tell the truth about what serves then."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.configuration import conf  # in airflow.sdk from 3.2 on only
from airflow.sdk.exceptions import AirflowSkipException

from airflow_sm_hosting.deployment.awaited import Awaited, Until, instance_counts
from airflow_sm_hosting.deployment.capacity import Retain, retention
from airflow_sm_hosting.deployment.decision import Action, Decision, Wanted, decide
from airflow_sm_hosting.deployment.status import is_serverless
from airflow_sm_hosting.deployment.verdict import Outcome, moment
from airflow_sm_hosting.exceptions import (
    ConflictError,
    DeploymentError,
    DeploymentFailedError,
    DeploymentRolledBackError,
    DeploymentTimeoutError,
    InvalidSpecError,
    NotFoundError,
)
from airflow_sm_hosting.hooks.parameters import AWS_FIELDS
from airflow_sm_hosting.links import EndpointLink, EndpointLogsLink
from airflow_sm_hosting.operators.base import SageMakerHostingBaseOperator
from airflow_sm_hosting.spec.rollout import auto_rollback, longest_seconds
from airflow_sm_hosting.spec.rules import (
    as_boolean,
    as_list,
    as_number,
    as_seconds,
    as_string,
    as_tags,
    check_name,
    check_number,
    check_one_of,
    check_seconds,
    is_rendered_later,
)
from airflow_sm_hosting.spec.tags import OURS, PREVIOUS_ENDPOINT_CONFIG, RUN_AFTER, is_ours

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_sm_hosting.hooks.endpoint_watch import Sighting
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

DEFAULT_POLL_INTERVAL = 30
MAX_TIMEOUT = 14 * 24 * 3600

#: The parts of a derived time budget, in seconds: AWS's greatest values of ModelDataDownloadTimeoutInSeconds and
#: ContainerStartupHealthCheckTimeoutInSeconds (ProductionVariant), half an hour to find instances, and an hour to shift traffic
#: where the rollout says nothing.
DOWNLOAD_SECONDS, STARTUP_SECONDS, PROVISION_SECONDS, SHIFT_SECONDS = 3600, 3600, 1800, 3600

_ERRORS: dict[str, type[DeploymentError]] = {
    Outcome.ROLLED_BACK: DeploymentRolledBackError,
    Outcome.FAILED: DeploymentFailedError,
    Outcome.TIMED_OUT: DeploymentTimeoutError,
    Outcome.UNKNOWN: DeploymentFailedError,
}


@dataclass
class Progress:
    """How far a deployment has come, in plain values that travel with a deferred task.

    :param started_at: When this try began, in seconds since the epoch.
    :param deadline: When its time budget ends, in seconds since the epoch.
    :param action: What it did to the endpoint.
    :param previous_endpoint_config_name: The config that served before.
    :param counts: Instance counts to set after the update, by variant.
    """

    started_at: float
    deadline: float
    action: str | None = None
    previous_endpoint_config_name: str | None = None
    counts: dict[str, int] = field(default_factory=dict)


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

    :param endpoint_name: Name of the endpoint. (templated)
    :param endpoint_config_name: The endpoint config that is to serve. (templated)
    :param rollout: How traffic moves in an update: :class:`~airflow_sm_hosting.AllAtOnce`, :class:`~airflow_sm_hosting.Canary`,
        :class:`~airflow_sm_hosting.Linear`, :class:`~airflow_sm_hosting.Rolling`, or a ``DeploymentConfig`` of the AWS shape
        (default: AWS's, all at once). (templated)
    :param auto_rollback_alarms: Names of CloudWatch alarms that roll back an update, beside those of ``rollout``; 10 at most. (templated)
    :param retain_variant_properties: ``"auto"`` (default): instance counts of variants that are scalable targets are kept over an
        update, all else becomes what the new config says; True keeps all counts and weights, False none. (templated)
    :param replace_failed_endpoint: Whether an endpoint in status Failed is deleted and created anew (default: True). (templated)
    :param adopt: Whether an endpoint that our tags do not mark as ours may be changed (default: False). (templated)
    :param allow_older: Whether this run deploys although a newer run has deployed already (default: False). (templated)
    :param tags: Tags, as a dict; on an endpoint that exists they are reconciled, other people's tags are left alone. (templated)
    :param wait_for_completion: Whether the task waits for the outcome (default: True). With False, success means only that AWS took the
        request.
    :param deferrable: Whether it waits in the triggerer (default: ``[operators] default_deferrable``).
    :param poll_interval: Seconds, or a timedelta, between two looks, 1 second or more (default: 30). (templated)
    :param timeout: Time budget of one try, in seconds or as a timedelta, the sync wait's and the deferred one's alike
        (default: derived from the rollout and AWS's limits of startup and download). (templated)
    :raises DeploymentRolledBackError: When SageMaker went back to the former config.
    :raises DeploymentFailedError: When the endpoint does not serve what was asked for.
    :raises DeploymentTimeoutError: When the time budget ended first.
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
        "retain_variant_properties",
        "replace_failed_endpoint",
        "adopt",
        "allow_older",
        "tags",
        "poll_interval",
        "timeout",
    )
    template_fields_renderers: ClassVar[dict[str, str]] = {"rollout": "json", "tags": "json"}
    operator_extra_links = (EndpointLink(), EndpointLogsLink())

    def __init__(
        self,
        *,
        endpoint_name: str,
        endpoint_config_name: str,
        rollout: Any = None,
        auto_rollback_alarms: Any = None,
        retain_variant_properties: Retain | str = "auto",
        replace_failed_endpoint: bool | str = True,
        adopt: bool | str = False,
        allow_older: bool | str = False,
        tags: Any = None,
        wait_for_completion: bool = True,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poll_interval: float | timedelta | str = DEFAULT_POLL_INTERVAL,
        timeout: float | timedelta | str | None = None,
        **kwargs: Any,
    ) -> None:
        where = type(self).__name__
        check_name(f"{where}: endpoint_name", endpoint_name)
        check_name(f"{where}: endpoint_config_name", endpoint_config_name)
        check_one_of(f"{where}: retain_variant_properties", retain_variant_properties, ("auto", True, False))
        if rollout is not None and not is_rendered_later(rollout) and not isinstance(rollout, dict):
            raise InvalidSpecError(
                f"{where}: rollout is a {type(rollout).__name__}; allowed: AllAtOnce, Canary, Linear, Rolling, or a dict in the "
                "shape of DeploymentConfig."
            )
        if isinstance(poll_interval, int | float):
            check_number(f"{where}: poll_interval", poll_interval, low=1)
        if isinstance(timeout, int | timedelta):
            check_seconds(f"{where}: timeout", timeout, 1, MAX_TIMEOUT)
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = endpoint_config_name
        self.rollout = rollout
        self.auto_rollback_alarms = auto_rollback_alarms
        self.retain_variant_properties = retain_variant_properties
        self.replace_failed_endpoint = replace_failed_endpoint
        self.adopt = adopt
        self.allow_older = allow_older
        self.tags = tags
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval = poll_interval
        self.timeout = timeout

    def execute(self, context: Context) -> str:
        """Describe, decide, act, wait; again if something else was in the way."""
        check_name("endpoint_name", as_string("endpoint_name", self.endpoint_name))
        check_name("endpoint_config_name", as_string("endpoint_config_name", self.endpoint_config_name))
        now = time.time()
        return self._proceed(context, Progress(started_at=now, deadline=now + self._budget()))

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:
        """Go on where the deferred wait ended."""
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

    # The story: decide and act, wait, go on.

    def _proceed(self, context: Context, progress: Progress) -> str:
        hook = self.sagemaker_hook
        self._persist_links(context, hook)
        described = hook.describe_endpoint(self.endpoint_name)
        found = hook.tags(described["EndpointArn"]) if described else {}
        decision = decide(described, self._wanted(context, described, found))
        self.log.info("%s: %s", decision.action, decision.reason)
        awaited = self._act(context, hook, decision, described, found, progress)
        if awaited is None:
            return self._succeed(context, progress, described or {})
        if not self.wait_for_completion and awaited.until is Until.DEPLOYED:
            return self._succeed(context, progress, described or {})
        return self._go_on(context, progress, awaited.until, self._wait(awaited, progress))

    def _go_on(self, context: Context, progress: Progress, until: Until, sighting: Sighting) -> str:
        if sighting.outcome != Outcome.DEPLOYED:
            self._fail(context, progress, sighting)
        self.log.info("%s", sighting.message)
        if until is Until.SETTLED:
            return self._proceed(context, progress)
        if progress.counts:
            awaited = self._set_next_count(progress)
            return self._go_on(context, progress, awaited.until, self._wait(awaited, progress))
        return self._succeed(context, progress, asdict(sighting))

    def _wait(self, awaited: Awaited, progress: Progress) -> Sighting:
        """Wait in this process, or give it to the triggerer and never return."""
        from airflow_sm_hosting.hooks.endpoint_watch import EndpointWatch

        interval = as_seconds("poll_interval", self.poll_interval, 1)
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

    # Acting on a decision.

    def _act(
        self,
        context: Context,
        hook: SageMakerHostingHook,
        decision: Decision,
        described: Mapping[str, Any] | None,
        found_tags: Mapping[str, str],
        progress: Progress,
    ) -> Awaited | None:
        """Do what was decided; return what to wait for, or None when there is nothing to wait for."""
        settled = Awaited(Until.SETTLED, self.endpoint_name)
        match decision.action:
            case Action.WAIT:
                return settled
            case Action.REFUSE:
                raise ConflictError(decision.reason)
            case Action.OVERTAKEN:
                self._tell(context, progress, Action.OVERTAKEN, described or {})
                raise AirflowSkipException(decision.reason)
            case Action.UNCHANGED:
                progress.action = progress.action or Action.UNCHANGED
                self._reconcile_tags(hook, described or {}, found_tags)
                return None
            case Action.REPLACE:
                progress.action = Action.REPLACE
                hook.delete_endpoint(self.endpoint_name)
                return settled
            case Action.JOIN:
                progress.action = progress.action or Action.JOIN
                progress.previous_endpoint_config_name = self._other_config(
                    (described or {}).get("EndpointConfigName")
                )
                return Awaited(Until.DEPLOYED, self.endpoint_name, self.endpoint_config_name, begun=True)
            case Action.CREATE:
                return self._create(context, hook, progress) or settled
            case Action.UPDATE:
                return self._update(context, hook, described or {}, dict(found_tags), progress) or settled

    def _create(self, context: Context, hook: SageMakerHostingHook, progress: Progress) -> Awaited | None:
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import already_exists
        from airflow_sm_hosting.hooks.requests import prepared
        from airflow_sm_hosting.hooks.sagemaker import tag_list

        tags = {**as_tags("tags", self.tags), **OURS, **self._run_after(context)}
        request = prepared(
            "sagemaker",
            "CreateEndpoint",
            {
                "EndpointName": self.endpoint_name,
                "EndpointConfigName": self.endpoint_config_name,
                "Tags": tag_list(tags),
            },
        )
        try:
            hook.until_consistent(lambda: hook.conn.create_endpoint(**request))
        except ClientError as error:
            if not already_exists(error):
                raise
            self.log.info("Another run was quicker to create endpoint %s", self.endpoint_name)
            return None
        progress.action = progress.action or Action.CREATE
        return Awaited(Until.DEPLOYED, self.endpoint_name, self.endpoint_config_name)

    def _update(
        self,
        context: Context,
        hook: SageMakerHostingHook,
        described: Mapping[str, Any],
        found_tags: dict[str, str],
        progress: Progress,
    ) -> Awaited | None:
        from botocore.exceptions import ClientError

        from airflow_sm_hosting.hooks.errors import is_in_progress
        from airflow_sm_hosting.hooks.requests import prepared

        config = hook.describe_endpoint_config(self.endpoint_config_name)
        if config is None:
            raise NotFoundError(f"There is no endpoint config {self.endpoint_config_name!r}.")
        # The describe above is also what tells a serverless config from one on instances.
        again = decide(
            described,
            self._wanted(
                context, described, found_tags, serverless=is_serverless(config["ProductionVariants"])
            ),
        )
        if again.action is Action.REFUSE:
            raise ConflictError(again.reason)
        kept = retention(
            self._retain(),
            scaled=self._scaled_variants(described),
            current=instance_counts(described),
            wanted=config["ProductionVariants"],
        )
        request = prepared(
            "sagemaker",
            "UpdateEndpoint",
            {
                "EndpointName": described["EndpointName"],
                "EndpointConfigName": self.endpoint_config_name,
                "DeploymentConfig": self._deployment_config(),
                **kept.flags,
            },
        )
        previous = described["EndpointConfigName"]
        # Written before the update: whatever happens to this task then, a rollback finds where to go.
        marks = {**OURS, PREVIOUS_ENDPOINT_CONFIG: previous, **self._run_after(context)}
        hook.reconcile_tags(described["EndpointArn"], found_tags, {**as_tags("tags", self.tags), **marks})
        try:
            hook.conn.update_endpoint(**request)
        except ClientError as error:
            if not is_in_progress(error):
                raise
            self.log.info("Another run was quicker to update endpoint %s; waiting for it", self.endpoint_name)
            return None
        progress.action = Action.UPDATE
        progress.previous_endpoint_config_name = self._other_config(previous)
        progress.counts = dict(kept.counts)
        return Awaited(
            Until.DEPLOYED,
            self.endpoint_name,
            self.endpoint_config_name,
            modified_before=moment(described.get("LastModifiedTime")),
        )

    def _set_next_count(self, progress: Progress) -> Awaited:
        """Set the instance count of one unscaled variant, which the update kept (one variant a call)."""
        variant, count = progress.counts.popitem()
        self.log.info("Setting variant %s to its %d instances of the new config", variant, count)
        self.sagemaker_hook.conn.update_endpoint_weights_and_capacities(
            EndpointName=self.endpoint_name,
            DesiredWeightsAndCapacities=[{"VariantName": variant, "DesiredInstanceCount": count}],
        )
        return Awaited(
            Until.COUNTED,
            self.endpoint_name,
            self.endpoint_config_name,
            instance_counts={variant: count},
        )

    # What the parameters come to.

    def _wanted(
        self,
        context: Context,
        described: Mapping[str, Any] | None,
        found_tags: Mapping[str, str],
        *,
        serverless: bool | None = None,
    ) -> Wanted:
        return Wanted(
            endpoint_config_name=self.endpoint_config_name,
            serverless=serverless,
            owned=is_ours(dict(found_tags)) if described else None,
            adopt=as_boolean("adopt", self.adopt),
            replace_failed_endpoint=as_boolean("replace_failed_endpoint", self.replace_failed_endpoint),
            overtaken_by=self._overtaken_by(context, found_tags),
        )

    def _overtaken_by(self, context: Context, found_tags: Mapping[str, str]) -> str | None:
        theirs, ours = found_tags.get(RUN_AFTER), self._run_after(context).get(RUN_AFTER)
        if as_boolean("allow_older", self.allow_older) or not theirs or not ours:
            return None
        return theirs if datetime.fromisoformat(theirs) > datetime.fromisoformat(ours) else None

    @staticmethod
    def _run_after(context: Context) -> dict[str, str]:
        """Return the tag that says when this DAG run was due; it has no logical date when an asset event started it."""
        run = context.get("dag_run")
        due = getattr(run, "run_after", None)
        return {RUN_AFTER: due.astimezone(UTC).isoformat(timespec="milliseconds")} if due else {}

    def _retain(self) -> Retain:
        value = self.retain_variant_properties
        return "auto" if value == "auto" else as_boolean("retain_variant_properties", value)

    def _scaled_variants(self, described: Mapping[str, Any]) -> set[str]:
        if self._retain() != "auto":
            return set()
        from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id

        by_resource = {
            variant_resource_id(described["EndpointName"], variant["VariantName"]): variant["VariantName"]
            for variant in described.get("ProductionVariants") or []
        }
        targets = self.auto_scaling_hook.scalable_targets(list(by_resource)) if by_resource else []
        return {by_resource[target["ResourceId"]] for target in targets}

    def _deployment_config(self) -> dict[str, Any] | None:
        config = dict(self.rollout or {})
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
        shift = longest_seconds(self.rollout if isinstance(self.rollout, dict) else None)
        return (shift or SHIFT_SECONDS) + DOWNLOAD_SECONDS + STARTUP_SECONDS + PROVISION_SECONDS

    def _other_config(self, name: str | None) -> str | None:
        return name if name != self.endpoint_config_name else None

    def _reconcile_tags(
        self, hook: SageMakerHostingHook, described: Mapping[str, Any], found: Mapping[str, str]
    ) -> None:
        wanted = as_tags("tags", self.tags)
        if as_boolean("adopt", self.adopt):
            wanted |= OURS
        if wanted and (is_ours(dict(found)) or as_boolean("adopt", self.adopt)):
            hook.reconcile_tags(described["EndpointArn"], found, wanted)

    # Telling.

    def _succeed(self, context: Context, progress: Progress, found: Mapping[str, Any]) -> str:
        self._tell(context, progress, progress.action or Action.UNCHANGED, found)
        return self.endpoint_name

    def _fail(self, context: Context, progress: Progress, sighting: Sighting) -> NoReturn:
        details = self._tell(context, progress, progress.action, asdict(sighting))
        raise _ERRORS[sighting.outcome](sighting.message, details=details)

    def _tell(
        self, context: Context, progress: Progress, action: str | None, found: Mapping[str, Any]
    ) -> dict[str, Any]:
        details = {
            "action": str(action) if action else None,
            "endpoint_config_name": found.get("endpoint_config_name")
            or found.get("EndpointConfigName")
            or self.endpoint_config_name,
            "previous_endpoint_config_name": progress.previous_endpoint_config_name,
            "endpoint_arn": found.get("endpoint_arn") or found.get("EndpointArn"),
            "seconds": round(as_number("seconds", time.time() - progress.started_at), 1),
        }
        self.tell_details(context, details)
        return details

    def _persist_links(self, context: Context, hook: SageMakerHostingHook) -> None:
        for link in self.operator_extra_links:
            link.persist(
                context,
                partition=hook.conn_partition,
                region=hook.conn_region_name,
                endpoint_name=self.endpoint_name,
            )

"""Bringing an endpoint to an endpoint config: describe, decide, and do what was decided."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from tenacity import (
    Retrying,
    before_sleep_log,
    retry_if_exception,
    stop_after_delay,
    wait_exponential_jitter,
)

from airflow_sm_hosting.deployment.awaited import Awaited, Until, instance_counts
from airflow_sm_hosting.deployment.capacity import Retain, retention
from airflow_sm_hosting.deployment.decision import Action, Decision, Wanted, decide
from airflow_sm_hosting.deployment.status import Described, is_serverless
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.exceptions import ConflictError, NotFoundError, SageMakerHostingError
from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id
from airflow_sm_hosting.hooks.errors import (
    already_exists,
    error_message,
    is_absent,
    is_in_progress,
    is_passing,
)
from airflow_sm_hosting.hooks.requests import prepared
from airflow_sm_hosting.hooks.sagemaker import tag_list
from airflow_sm_hosting.spec.tags import (
    OURS,
    PENDING_COUNT,
    PREVIOUS_ENDPOINT_CONFIG,
    RUN_AFTER,
    is_ours,
)

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.application_auto_scaling import ApplicationAutoScalingHook
    from airflow_sm_hosting.hooks.sagemaker import SageMakerHostingHook

log = logging.getLogger(__name__)


class AnotherRunWasQuickerError(SageMakerHostingError):
    """Something else changed the endpoint between the describe and the call that followed: describe and decide again."""


@dataclass(frozen=True)
class Deployment:
    """What is asked for: the operator's parameters, rendered and checked.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that is to serve.
    :param deployment_config: ``DeploymentConfig`` of UpdateEndpoint, or None for AWS's default.
    :param retain: What an update keeps of instance counts and weights.
    :param replace_failed_endpoint: Whether a failed endpoint is deleted and made anew.
    :param adopt: Whether an endpoint that is not ours may be changed.
    :param allow_older: Whether a newer run's deployment may be undone.
    :param tags: Tags to set beside ours.
    :param run_after: When the DAG run was due, in ISO format.
    """

    endpoint_name: str
    endpoint_config_name: str
    deployment_config: Mapping[str, Any] | None = None
    retain: Retain = "auto"
    replace_failed_endpoint: bool = True
    adopt: bool = False
    allow_older: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    run_after: str | None = None


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


@dataclass(frozen=True)
class Step:
    """What was decided and done.

    :param decision: The decision, with its reason.
    :param described: What DescribeEndpoint had answered; None for an endpoint that did not exist.
    :param awaited: What to wait for; None when there is nothing to wait for.
    """

    decision: Decision
    described: Described | None
    awaited: Awaited | None


class EndpointDeployer:
    """Takes the steps of one deployment; between them, somebody waits.

    :param deployment: What is asked for.
    :param hook: Asks SageMaker.
    :param auto_scaling_hook: Makes the hook that asks Application Auto Scaling.
    """

    def __init__(
        self,
        deployment: Deployment,
        hook: SageMakerHostingHook,
        auto_scaling_hook: Callable[[], ApplicationAutoScalingHook],
    ) -> None:
        self._wanted = deployment
        self._hook = hook
        self._auto_scaling_hook = auto_scaling_hook

    def step(self, progress: Progress) -> Step:
        """Describe the endpoint, decide, and do it.

        :param progress: Is brought up to date with what was done.
        :raises ConflictError: When the decision is to refuse.
        """
        # A step that is taken again describes and decides again, so a fault after a call that took effect does no harm.
        taken: Step = _patiently(progress)(self._step, progress)
        return taken

    def _step(self, progress: Progress) -> Step:
        described = self._hook.describe_endpoint(self._wanted.endpoint_name)
        tags = self._hook.tags(described["EndpointArn"]) if described else {}
        decision = decide(described, self._as_wanted(described, tags))
        log.info("%s: %s", decision.action, decision.reason)
        return Step(decision, described, self._act(decision, described or {}, tags, progress))

    def set_next_count(self, progress: Progress) -> Awaited:
        """Set the instance count of one unscaled variant, which the update kept (one variant a call)."""
        variant, count = next(iter(progress.counts.items()))
        log.info("Setting variant %s to the %d instances of the new config", variant, count)
        # Autoscaling often makes an endpoint Updating right after an update.
        _patiently(progress)(
            self._hook.conn.update_endpoint_weights_and_capacities,
            EndpointName=self._wanted.endpoint_name,
            DesiredWeightsAndCapacities=[{"VariantName": variant, "DesiredInstanceCount": count}],
        )
        return self._awaited(Until.COUNTED, instance_counts={variant: count})

    def count_was_set(self, progress: Progress, endpoint_arn: str) -> None:
        """Forget the count that was waited for."""
        variant = next(iter(progress.counts))
        _patiently(progress)(
            self._hook.conn.delete_tags,
            ResourceArn=endpoint_arn,
            TagKeys=[f"{PENDING_COUNT}{variant}"],
        )
        del progress.counts[variant]

    def _act(
        self, decision: Decision, described: Described, tags: Mapping[str, str], progress: Progress
    ) -> Awaited | None:
        """Do what was decided; return what to wait for, or None when there is nothing to wait for."""
        name = self._wanted.endpoint_name
        settled = Awaited(Until.SETTLED, name)
        match decision.action:
            case Action.WAIT:
                return settled
            case Action.REFUSE:
                raise ConflictError(decision.reason)
            case Action.OVERTAKEN:
                progress.action = Action.OVERTAKEN
                return None
            case Action.UNCHANGED:
                progress.action = progress.action or Action.UNCHANGED
                self._reconcile_tags(described, tags)
                progress.counts = self._pending_counts(tags)
                return self._awaited(Until.DEPLOYED, begun=True) if progress.counts else None
            case Action.REPLACE:
                progress.action = Action.REPLACE
                self._hook.delete_endpoint(name)
                return Awaited(Until.GONE, name)
            case Action.JOIN:
                progress.action = progress.action or Action.JOIN
                progress.previous_endpoint_config_name = self._other(described.get("EndpointConfigName"))
                progress.counts = self._pending_counts(tags)
                self._mark_run(described["EndpointArn"], tags)
                return self._awaited(Until.DEPLOYED, begun=True)
            case Action.CREATE:
                return self._create(progress)
            case Action.UPDATE:
                return self._update(described, tags, progress)

    def _create(self, progress: Progress) -> Awaited:
        """Create the endpoint.

        :raises AnotherRunWasQuickerError: When it exists meanwhile.
        """
        wanted = self._wanted
        request = prepared(
            "sagemaker",
            "CreateEndpoint",
            {
                "EndpointName": wanted.endpoint_name,
                "EndpointConfigName": wanted.endpoint_config_name,
                "Tags": tag_list({**wanted.tags, **OURS, **self._run_after()}),
            },
        )
        try:
            self._hook.until_consistent(lambda: self._hook.conn.create_endpoint(**request))
        except ClientError as error:
            if is_absent(error):
                raise NotFoundError(f"CreateEndpoint: {error_message(error)}") from None
            if not already_exists(error):
                raise
            raise AnotherRunWasQuickerError(error_message(error)) from error
        progress.action = progress.action or Action.CREATE
        return self._awaited(Until.DEPLOYED)

    def _update(self, described: Described, tags: Mapping[str, str], progress: Progress) -> Awaited | None:
        """Update the endpoint.

        :raises AnotherRunWasQuickerError: When something else is in progress meanwhile.
        """
        wanted = self._wanted
        config = self._hook.describe_endpoint_config(wanted.endpoint_config_name)
        if config is None:
            raise NotFoundError(f"There is no endpoint config {wanted.endpoint_config_name!r}.")
        variants = config["ProductionVariants"]
        # Decided again, now that it is known whether the config is serverless: what UpdateEndpoint would refuse is refused before it.
        again = decide(described, self._as_wanted(described, tags, serverless=is_serverless(variants)))
        if again.action is Action.REFUSE:
            raise ConflictError(again.reason)
        scaled = self._scaled_variants(described)
        if scaled:
            self._check_scaled(described, scaled, variants)
        kept = retention(
            wanted.retain,
            scaled=scaled,
            current=instance_counts(described),
            wanted=variants,
        )
        request = prepared(
            "sagemaker",
            "UpdateEndpoint",
            {
                "EndpointName": described["EndpointName"],
                "EndpointConfigName": wanted.endpoint_config_name,
                "DeploymentConfig": wanted.deployment_config,
                **kept.flags,
            },
        )
        previous = described["EndpointConfigName"]
        # Written before the update: whatever happens to this task then, a rollback finds where to go.
        marks = {**OURS, PREVIOUS_ENDPOINT_CONFIG: previous}
        marks |= {
            f"{PENDING_COUNT}{variant}": f"{wanted.endpoint_config_name}:{count}"
            for variant, count in kept.counts.items()
        }
        self._hook.reconcile_tags(described["EndpointArn"], tags, {**wanted.tags, **marks})
        try:
            self._hook.conn.update_endpoint(**request)
        except ClientError as error:
            if not is_in_progress(error):
                raise
            raise AnotherRunWasQuickerError(error_message(error)) from error
        # Not before the update was taken: until then no older run was overtaken.
        self._mark_run(described["EndpointArn"], tags)
        progress.action = Action.UPDATE
        progress.previous_endpoint_config_name = self._other(previous)
        progress.counts = dict(kept.counts)
        return self._awaited(Until.DEPLOYED, modified_before=moment(described.get("LastModifiedTime")))

    def _mark_run(self, arn: str, tags: Mapping[str, str]) -> None:
        """Write down when this run was due, unless a newer one is written down."""
        theirs, ours = tags.get(RUN_AFTER), self._wanted.run_after
        if ours and (not theirs or self._wanted.allow_older or moment_of(theirs) < moment_of(ours)):
            self._hook.reconcile_tags(arn, tags, {RUN_AFTER: ours})

    def _pending_counts(self, tags: Mapping[str, str]) -> dict[str, int]:
        """Return the instance counts of this config that an earlier try was to set and did not."""
        counts = {}
        for key, value in tags.items():
            config, _, count = value.rpartition(":")
            ours = key.startswith(PENDING_COUNT) and config == self._wanted.endpoint_config_name
            if ours and count.isdecimal():
                counts[key.removeprefix(PENDING_COUNT)] = int(count)
        return counts

    def _as_wanted(
        self, described: Described | None, tags: Mapping[str, str], *, serverless: bool | None = None
    ) -> Wanted:
        return Wanted(
            endpoint_config_name=self._wanted.endpoint_config_name,
            serverless=serverless,
            owned=is_ours(dict(tags)) if described else None,
            adopt=self._wanted.adopt,
            replace_failed_endpoint=self._wanted.replace_failed_endpoint,
            overtaken_by=self._overtaken_by(tags),
        )

    def _overtaken_by(self, tags: Mapping[str, str]) -> str | None:
        theirs, ours = tags.get(RUN_AFTER), self._wanted.run_after
        if self._wanted.allow_older or not theirs or not ours:
            return None
        return theirs if moment_of(theirs) > moment_of(ours) else None

    def _run_after(self) -> dict[str, str]:
        return {RUN_AFTER: self._wanted.run_after} if self._wanted.run_after else {}

    def _scaled_variants(self, described: Described) -> set[str]:
        if self._wanted.retain != "auto":
            return set()
        by_resource = {
            variant_resource_id(described["EndpointName"], variant["VariantName"]): variant["VariantName"]
            for variant in described.get("ProductionVariants") or []
        }
        targets = self._auto_scaling_hook().scalable_targets(list(by_resource)) if by_resource else []
        return {by_resource[target["ResourceId"]] for target in targets}

    def _check_scaled(
        self, described: Described, scaled: set[str], variants: list[Mapping[str, Any]]
    ) -> None:
        """Refuse what UpdateEndpoint refuses: a scalable target that changes its instance type, or goes.

        Developer guide, "endpoint-scaling", on updating and deleting endpoints that are scaled.
        """
        live = self._hook.describe_endpoint_config(described["EndpointConfigName"]) or {}
        before = {
            item["VariantName"]: item.get("InstanceType") for item in live.get("ProductionVariants", [])
        }
        after = {item["VariantName"]: item.get("InstanceType") for item in variants}
        for variant in sorted(scaled):
            changed = after.get(variant) not in (None, before.get(variant, after.get(variant)))
            if variant in after and not changed:
                continue
            how = f"changes from {before.get(variant)} to {after[variant]}" if changed else "goes"
            raise ConflictError(
                f"Variant {variant} of endpoint {described['EndpointName']} is a scalable target and {how} in "
                f"{self._wanted.endpoint_config_name}, which UpdateEndpoint refuses: deregister the scalable target, deploy, and "
                "configure autoscaling again."
            )

    def _reconcile_tags(self, described: Described, tags: Mapping[str, str]) -> None:
        wanted = {**self._wanted.tags, **(OURS if self._wanted.adopt else {})}
        if wanted and (self._wanted.adopt or is_ours(dict(tags))):
            self._hook.reconcile_tags(described["EndpointArn"], tags, wanted)

    def _awaited(self, until: Until, **what: Any) -> Awaited:
        return Awaited(until, self._wanted.endpoint_name, self._wanted.endpoint_config_name, **what)

    def _other(self, name: str | None) -> str | None:
        return name if name != self._wanted.endpoint_config_name else None


def moment_of(run_after: str) -> datetime:
    """Return the moment that a tag tells."""
    return datetime.fromisoformat(run_after)


def _patiently(progress: Progress) -> Retrying:
    """Return what makes a call again, until the deadline, while something passing stands in its way."""

    def passing(error: BaseException) -> bool:
        if isinstance(error, ClientError) and is_in_progress(error):
            return True
        return isinstance(error, AnotherRunWasQuickerError) or (
            isinstance(error, Exception) and is_passing(error)
        )

    return Retrying(
        retry=retry_if_exception(passing),
        wait=wait_exponential_jitter(initial=1, max=30),
        stop=stop_after_delay(max(0.0, progress.deadline - time.time())),
        before_sleep=before_sleep_log(log, logging.INFO),
        reraise=True,
    )

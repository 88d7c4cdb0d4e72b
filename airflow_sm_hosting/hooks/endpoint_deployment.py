"""Bringing an endpoint to an endpoint config: describe, decide, and do what was decided."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
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
from airflow_sm_hosting.deployment.capacity import Retain, blocked_by_scaling, new_fleet, retention
from airflow_sm_hosting.deployment.decision import Action, Decision, Wanted, decide
from airflow_sm_hosting.deployment.feasibility import rollout_problem
from airflow_sm_hosting.deployment.history import after_rollback, after_update, rollback_target, written
from airflow_sm_hosting.deployment.marks import Marks, RolledBack, claimed, counts_to_set, leftovers
from airflow_sm_hosting.deployment.plan import (
    Plan,
    Update,
    changed_models,
    config_changes,
    count_calls,
    has_two_fleets,
    model_changes,
    scaling_calls,
    tag_calls,
    update_calls,
)
from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, as_tags, merged, restorable, tag_keys
from airflow_sm_hosting.deployment.status import Described, is_serverless, is_transitional, pending_config
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.exceptions import (
    ConflictError,
    InvalidSpecError,
    NotFoundError,
    SageMakerHostingError,
)
from airflow_sm_hosting.hooks.application_auto_scaling import variant_resource_id
from airflow_sm_hosting.hooks.errors import (
    already_exists,
    error_code,
    error_message,
    is_absent,
    is_in_progress,
    is_passing,
    is_unregistered,
)
from airflow_sm_hosting.hooks.rollout_alarms import RolloutAlarms
from airflow_sm_hosting.hooks.sagemaker import tag_list
from airflow_sm_hosting.hooks.scaling_transfer import ScalingTransfer
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    DETACHING,
    FALLBACK_FOR,
    OURS,
    PENDING_COUNT,
    PREVIOUS_ENDPOINT_CONFIGS,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN_AFTER,
    is_ours,
)

if TYPE_CHECKING:
    from airflow_sm_hosting.hooks.parameters import AwsParameters

#: The action of a deployment that goes back to a config that served before.
ROLLBACK = "rollback"

#: For so long another run lets this one take the scaling off: longer than the few calls from the claim to the update take.
DETACHING_LASTS = timedelta(seconds=60)

#: The value of a tag whose key says all.
MADE = "made"

log = logging.getLogger(__name__)


class AnotherRunWasQuickerError(SageMakerHostingError):
    """Something else changed the endpoint between the describe and the call that followed: describe and decide again."""


@dataclass(frozen=True)
class Deployment:
    """What is asked for: the operator's parameters, rendered and checked.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that is to serve; of a rollback, None for the one before.
    :param fallbacks: Configs to deploy in its place, in order, where AWS has no capacity for it.
    :param deployment_config: ``DeploymentConfig`` of UpdateEndpoint, or None for AWS's default.
    :param fleet_alarms: Alarms to make for this deployment, on the new fleet only.
    :param retain: What an update keeps of instance counts and weights.
    :param replace_failed_endpoint: Whether a failed endpoint is deleted and made anew.
    :param adopt: Whether an endpoint that is not ours may be changed.
    :param allow_older: Whether a newer run's deployment may be undone.
    :param tags: Tags to set beside ours.
    :param run_after: When the DAG run was due, in ISO format.
    :param retried: Whether an earlier try may have been killed half-way.
    :param task: Tells this task of this run from all others, in 8 letters or digits; its tries have it in common.
    """

    endpoint_name: str
    endpoint_config_name: str | None
    fallbacks: Sequence[str] = ()
    deployment_config: Mapping[str, Any] | None = None
    fleet_alarms: Sequence[Mapping[str, Any]] = ()
    retain: Retain = "auto"
    replace_failed_endpoint: bool = True
    adopt: bool = False
    allow_older: bool = False
    tags: Mapping[str, str] = field(default_factory=dict)
    run_after: str | None = None
    retried: bool = False
    task: str = "0"


@dataclass
class Progress:
    """How far a deployment has come, in plain values that travel with a deferred task.

    :param started_at: When this try began, in seconds since the epoch.
    :param deadline: When its time budget ends, in seconds since the epoch.
    :param target: The config that is on its way: the wanted one, a fallback, or the one to roll back to; None until it is known.
    :param action: What was done to the endpoint.
    :param previous_endpoint_config_name: The config that served before.
    :param counts: Instance counts to set after the update, by variant.
    :param rolling_back: Whether the target is a config to go back to.
    :param unfinished: The tags that tell what this deployment has to put right once it has ended: scaling that was taken off, alarms that
        were made. What other runs write down meanwhile is theirs.
    :param without_capacity: Configs for which AWS had no instances.
    :param smoke_failure: What was wrong with the answer of a config that was rolled back for it.
    """

    started_at: float
    deadline: float
    target: str | None = None
    action: str | None = None
    previous_endpoint_config_name: str | None = None
    counts: dict[str, int] = field(default_factory=dict)
    rolling_back: bool = False
    unfinished: list[str] = field(default_factory=list)
    without_capacity: list[str] = field(default_factory=list)
    smoke_failure: str | None = None


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
    :param aws: Makes the hooks.
    """

    def __init__(self, deployment: Deployment, aws: AwsParameters) -> None:
        self._wanted = deployment
        self._aws = aws
        self._hook = aws.sagemaker_hook

    def step(self, progress: Progress) -> Step:
        """Describe the endpoint, decide, and do it.

        :param progress: Is brought up to date with what was done.
        :raises ConflictError: When the decision is to refuse.
        """
        # A step that is taken again describes and decides again, so a fault after a call that took effect does no harm.
        taken: Step = _patiently(progress)(self._step, progress)
        return taken

    def plan(self, progress: Progress) -> Plan:
        """Return what :meth:`step` would do; nothing is changed.

        A refusal is a plan too: it says what stands in the way.
        """
        name = self._wanted.endpoint_name
        described = self._hook.describe_endpoint(name)
        tags = self._hook.tags(described["EndpointArn"]) if described else {}
        marks = Marks.read(tags, _on_its_way_to(described))
        target = progress.target = progress.target or self._target(described, marks)
        decision = decide(described, self._as_wanted(marks, progress))
        calls: list[str] = []
        update = None
        try:
            if decision.action is Action.UPDATE and described:
                update = self._planned_update(described, tags, marks, progress)
            calls = self._calls(decision.action, described or {}, tags, marks, progress, update)
        except (ConflictError, InvalidSpecError) as error:
            decision, update = Decision(Action.REFUSE, str(error)), None
        live = (described or {}).get("EndpointConfigName")
        return Plan(
            decision=decision,
            endpoint_name=name,
            serving=live,
            target=target,
            changes=self._changes(live, target) if live and live != target else [],
            calls=calls,
            two_fleets=bool(update)
            and has_two_fleets((update.request if update else {}).get("DeploymentConfig")),
        )

    def _calls(
        self,
        action: Action,
        described: Described,
        tags: Mapping[str, str],
        marks: Marks,
        progress: Progress,
        update: Update | None,
    ) -> list[str]:
        """Return the operations that change something, in order, until nothing is left to do: for a deployment that succeeds."""
        target = str(progress.target)
        run = {} if progress.rolling_back else self._run_tags(marks, target)
        counts = count_calls(marks.counts_for(target))
        match action:
            case Action.UPDATE if update:
                after = {**tags, **update.tags}
                taken = self._tags_when_taken(update, marks, progress)
                return [
                    *update_calls(update, tags, self._wanted.fleet_alarms),
                    *tag_calls(after, taken),
                    *count_calls(update.counts),
                    *self._last_calls({**after, **taken}, target, anew=True),
                ]
            case Action.UNCHANGED:
                done = marks.run_after is not None and marks.run_after == self._wanted.run_after
                return [
                    *(tag_calls(tags, run) if done else []),
                    *tag_calls(tags, self._wanted_tags(tags)),
                    *counts,
                    *self._last_calls(tags, target),
                ]
            case Action.JOIN:
                return [*tag_calls(tags, run), *counts, *self._last_calls(tags, target)]
            case Action.CREATE:
                kept = self._kept_for_replacement(target) if self._wanted.retried else {}
                return ["CreateEndpoint", *self._last_calls(kept, target, anew=True, created=True)]
            case Action.REPLACE:
                kept, keep = self._kept_for_replacement(target), self._to_keep(described, tags, marks)
                return [
                    *tag_calls(kept, keep),
                    "DeleteEndpoint",
                    "CreateEndpoint",
                    *self._last_calls({**kept, **keep}, target, anew=True, created=True),
                ]
        return []

    def _last_calls(
        self, tags: Mapping[str, str], target: str, *, anew: bool = False, created: bool = False
    ) -> list[str]:
        """Return what :meth:`finish` calls to change something.

        :param tags: The endpoint's tags by then.
        :param target: The config that it is on by then.
        :param anew: Whether scaling policies and alarms are made anew for this deployment.
        :param created: Whether the endpoint is, of what the config's tags hold.
        """
        marks, name, calls = Marks.read(tags), self._wanted.endpoint_name, []
        if marks.snapshot:
            config = self._hook.describe_endpoint_config(target) or {}
            for scaling in restorable(marks.snapshot, config.get("ProductionVariants") or []).values():
                calls += scaling_calls(scaling, len(self._scaling.alarms_to_repoint(scaling, anew=anew)))
        for made_for in marks.rollout_alarms:
            if (anew and self._wanted.fleet_alarms and made_for == target) or self._alarms.names(
                name, made_for
            ):
                calls.append("DeleteAlarms")
        if leftovers(tags):
            if created or self._kept_for_replacement(target):
                calls.append("DeleteTags")
            calls.append("DeleteTags")
        return calls

    def _changes(self, serving: str, target: str) -> list[str]:
        """Return where the config that comes differs from the one that serves, and its models from theirs."""
        before, after = (self._hook.describe_endpoint_config(name) or {} for name in (serving, target))
        changes = config_changes(before, after)
        for variant, old, new in changed_models(before, after):
            models = [self._hook.describe_model(name) or {} for name in (old, new)]
            changes += [f"{variant}: model {line}" for line in model_changes(*models)]
        return changes

    def _step(self, progress: Progress, *, claimed: bool = False) -> Step:
        """Take a step.

        :param progress: Is brought up to date with what was done.
        :param claimed: Whether the scaling was claimed just before.
        :raises AnotherRunWasQuickerError: When something else is changing the endpoint.
        """
        described = self._hook.describe_endpoint(self._wanted.endpoint_name)
        tags = self._hook.tags(described["EndpointArn"]) if described else {}
        marks = Marks.read(tags, _on_its_way_to(described))
        progress.target = progress.target or self._target(described, marks)
        decision = decide(described, self._as_wanted(marks, progress))
        update = None
        if described and decision.action in (Action.UPDATE, Action.UNCHANGED, Action.REPLACE):
            until = marks.detached_by_another(self._wanted.task, datetime.now(UTC))
            if until:
                raise AnotherRunWasQuickerError(
                    f"Another run is taking the scaling off endpoint {described['EndpointName']}; it is let until {until:%X} UTC"
                )
        if described and decision.action is not Action.UPDATE and marks.is_detached_by(self._wanted.task):
            # Claimed by a try, or a turn, that got no further: nobody is to wait for it.
            self._hook.reconcile_tags(described["EndpointArn"], tags, {DETACHING: ""})
        if described and decision.action is Action.UPDATE:
            update = self._planned_update(described, tags, marks, progress)
            if update.snapshot and not claimed:
                self._hook.reconcile_tags(described["EndpointArn"], tags, self._claim())
                return self._step(progress, claimed=True)
        log.info("%s: %s", decision.action, decision.reason)
        return Step(decision, described, self._act(decision, described or {}, tags, marks, progress, update))

    def overtaken(self, progress: Progress) -> str | None:
        """Return why the endpoint is left to a newer run that has deployed it meanwhile; None when there is none.

        A wait that looks seldom may miss the end of its own deployment, and find the next one's: that is no rollback.
        """
        reason: str | None = _patiently(progress)(self._overtaken, progress)
        return reason

    def _overtaken(self, progress: Progress) -> str | None:
        described = self._hook.describe_endpoint(self._wanted.endpoint_name)
        tags = self._hook.tags(described["EndpointArn"]) if described else {}
        decision = decide(described, self._as_wanted(Marks.read(tags, _on_its_way_to(described)), progress))
        if decision.action is not Action.OVERTAKEN:
            return None
        progress.action = Action.OVERTAKEN
        return decision.reason

    # Where to.

    def _target(self, described: Described | None, marks: Marks) -> str:
        """Return the config to bring about: the wanted one, or the fallback that stands in its place already."""
        wanted = self._wanted.endpoint_config_name
        if wanted is None:
            return self._before(described, marks)
        on_its_way = _on_its_way_to(described)
        if on_its_way in self._wanted.fallbacks and marks.fallback_for == wanted:
            log.info("%s stands in the place of %s, for which AWS had no capacity", on_its_way, wanted)
            return str(on_its_way)
        return wanted

    def _before(self, described: Described | None, marks: Marks) -> str:
        """Return the config to roll back to.

        :raises NotFoundError: When none is known.
        """
        name, last = self._wanted.endpoint_name, marks.rolled_back
        if described is None:
            raise NotFoundError(f"There is no endpoint {name!r}.")
        if last and last.run_after == self._wanted.run_after:
            log.info("This DAG run has rolled back from %s to %s already", last.source, last.target)
            return last.target
        serving = described.get("EndpointConfigName")
        target = rollback_target(marks.history, serving=serving)
        if target is None:
            raise NotFoundError(
                f"Endpoint {name} serves {serving}, and its tags name no config that served before: name one (endpoint_config_name=…)."
            )
        return target

    # After an update has ended.

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
        return self._awaited(Until.COUNTED, progress, instance_counts={variant: count})

    def count_was_set(self, progress: Progress, endpoint_arn: str) -> None:
        """Forget the count that was waited for."""
        variant = next(iter(progress.counts))
        _patiently(progress)(
            self._hook.conn.delete_tags,
            ResourceArn=endpoint_arn,
            TagKeys=[f"{PENDING_COUNT}{variant}"],
        )
        del progress.counts[variant]

    def finish(self, progress: Progress) -> None:
        """Put back the scaling that was taken off, and delete the alarms that were made for the deployment; twice does no harm."""
        if progress.unfinished:
            _patiently(progress)(self._finish, progress.unfinished)
            progress.unfinished = []

    def _finish(self, keys: Collection[str]) -> None:
        name = self._wanted.endpoint_name
        described = self._hook.describe_endpoint(name)
        if described is None:
            return
        tags = self._hook.tags(described["EndpointArn"])
        marks = Marks.read({key: tags[key] for key in keys if key in tags})
        done = set(leftovers({key: tags[key] for key in keys if key in tags}))
        if set(tag_keys(tags)) - done and is_transitional(described):
            log.info("Another deployment of endpoint %s puts its scaling back when it has ended", name)
            done -= set(tag_keys(tags))
        elif marks.snapshot:
            try:
                self._scaling.put_back(marks.snapshot, described.get("ProductionVariants") or [])
            except ClientError as error:
                if not is_unregistered(error):
                    raise
                raise AnotherRunWasQuickerError(error_message(error)) from error
        for config in marks.rollout_alarms:
            self._alarms.delete(name, config)
        if Marks.read(tags).detached_by_another(self._wanted.task, datetime.now(UTC)):
            done.discard(DETACHING)
        if done:
            self._forget_kept(described["EndpointConfigName"])
            self._hook.conn.delete_tags(ResourceArn=described["EndpointArn"], TagKeys=sorted(done))

    # Doing.

    def _act(
        self,
        decision: Decision,
        described: Described,
        tags: Mapping[str, str],
        marks: Marks,
        progress: Progress,
        update: Update | None,
    ) -> Awaited | None:
        """Do what was decided; return what to wait for, or None when there is nothing to wait for."""
        name, target = self._wanted.endpoint_name, str(progress.target)
        if decision.action in (Action.UNCHANGED, Action.JOIN, Action.UPDATE):
            if progress.action == Action.REPLACE:
                # Another run made the endpoint anew, after this one had deleted it.
                kept = self._kept_for_replacement(target)
                self._hook.reconcile_tags(described["EndpointArn"], tags, kept)
                tags = {**tags, **kept}
            # Whoever left something to be put right: it is done with this deployment's own.
            progress.unfinished = sorted({*progress.unfinished, *leftovers(tags)})
        match decision.action:
            case Action.WAIT:
                return Awaited(Until.SETTLED, name)
            case Action.REFUSE:
                raise ConflictError(decision.reason)
            case Action.OVERTAKEN:
                progress.action = Action.OVERTAKEN
                return None
            case Action.UNCHANGED:
                progress.action = progress.action or Action.UNCHANGED
                self._take_over(described, tags, marks, progress)
                self._hook.reconcile_tags(described["EndpointArn"], tags, self._wanted_tags(tags))
                progress.counts = marks.counts_for(target)
                return self._awaited(Until.DEPLOYED, progress, begun=True) if progress.counts else None
            case Action.REPLACE:
                progress.action = Action.REPLACE
                self._keep_for_replacement(described, tags, marks, target)
                self._hook.delete_endpoint(name)
                return Awaited(Until.GONE, name)
            case Action.JOIN:
                progress.action = progress.action or Action.JOIN
                progress.previous_endpoint_config_name = _other(described.get("EndpointConfigName"), target)
                progress.counts = marks.counts_for(target)
                if not progress.rolling_back:
                    self._mark_run(described["EndpointArn"], tags, marks, target)
                return self._awaited(Until.DEPLOYED, progress, begun=True)
            case Action.CREATE:
                return self._create(progress)
            case Action.UPDATE if update:
                return self._update(described, tags, marks, progress, update)
        raise AssertionError(decision)

    def _take_over(
        self, described: Described, tags: Mapping[str, str], marks: Marks, progress: Progress
    ) -> None:
        """Go on from what an earlier try of this run has deployed, if it has."""
        ours, last, target = self._wanted.run_after, marks.rolled_back, str(progress.target)
        if ours is None:
            return
        if progress.rolling_back and last and last.run_after == ours:
            progress.previous_endpoint_config_name = _other(last.source, target)
        elif not progress.rolling_back and marks.run_after == ours:
            progress.previous_endpoint_config_name = rollback_target(marks.history, serving=target)
            self._mark_run(described["EndpointArn"], tags, marks, target)

    def _create(self, progress: Progress) -> Awaited:
        """Create the endpoint.

        :raises AnotherRunWasQuickerError: When it exists meanwhile.
        """
        wanted, target = self._wanted, str(progress.target)
        kept = (
            self._kept_for_replacement(target) if wanted.retried or progress.action == Action.REPLACE else {}
        )
        marks = {
            **OURS,
            **self._run_after(),
            **self._deploying(target),
            **self._fallback_mark(target),
            **kept,
        }
        request = validated_request(
            "sagemaker",
            "CreateEndpoint",
            {
                "EndpointName": wanted.endpoint_name,
                "EndpointConfigName": target,
                "Tags": tag_list({**wanted.tags, **marks}),
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
        progress.unfinished = sorted({*progress.unfinished, *kept})
        return self._awaited(Until.DEPLOYED, progress)

    def _update(
        self,
        described: Described,
        tags: Mapping[str, str],
        marks: Marks,
        progress: Progress,
        update: Update,
    ) -> Awaited | None:
        """Update the endpoint.

        :raises AnotherRunWasQuickerError: When something else is in progress meanwhile.
        """
        wanted, target, arn = self._wanted, str(progress.target), described["EndpointArn"]
        # Written before the update: whatever happens to this task then, the next try and a rollback find what they need.
        self._write_down(arn, tags, update)
        progress.unfinished = sorted({*progress.unfinished, *leftovers({**tags, **update.tags})})
        if wanted.fleet_alarms:
            self._alarms.make(described["EndpointName"], target, wanted.fleet_alarms)
        if update.snapshot:
            self._take_scaling_off(arn, tags, update)
        try:
            self._hook.conn.update_endpoint(**update.request)
        except ClientError as error:
            if is_in_progress(error) or (
                not is_passing(error) and self._is_scaled_meanwhile(described, update)
            ):
                raise AnotherRunWasQuickerError(error_message(error)) from error
            if not is_passing(error):
                # Nothing will end that could put right what was prepared.
                self.finish(progress)
            raise
        # Not before the update was taken: until then no older run was overtaken. A rollback stands behind the run that it undoes.
        self._hook.reconcile_tags(
            arn, {**tags, **update.tags}, self._tags_when_taken(update, marks, progress)
        )
        progress.action = ROLLBACK if progress.rolling_back else Action.UPDATE
        progress.previous_endpoint_config_name = _other(described["EndpointConfigName"], target)
        progress.counts = dict(update.counts)
        return self._awaited(
            Until.DEPLOYED, progress, modified_before=moment(described.get("LastModifiedTime"))
        )

    def _tags_when_taken(self, update: Update, marks: Marks, progress: Progress) -> dict[str, str]:
        """Return the tags to write once the update was taken: from then on, AWS itself keeps other runs off."""
        run = {} if progress.rolling_back else self._run_tags(marks, str(progress.target))
        return {**run, **({DETACHING: ""} if update.snapshot else {})}

    def _write_down(self, endpoint_arn: str, tags: Mapping[str, str], update: Update) -> None:
        """Write the update's tags.

        :raises AnotherRunWasQuickerError: When there is no room for them, as other runs have written down the scaling, too.
        """
        try:
            self._hook.reconcile_tags(endpoint_arn, tags, update.tags)
        except ClientError as error:
            if error_code(error) != "ResourceLimitExceeded" or not self._copies_beside(endpoint_arn, tags):
                raise
            raise AnotherRunWasQuickerError(error_message(error)) from error

    def _take_scaling_off(self, endpoint_arn: str, tags: Mapping[str, str], update: Update) -> None:
        """Take the scaling off, if no other run is about to, and what is needed to put it back is written down.

        :raises AnotherRunWasQuickerError: When another run claims it, or has written it down meanwhile, or the claim has run out.
        """
        mine = tag_keys(update.tags)
        now = self._hook.tags_with(endpoint_arn, mine)
        others = set(tag_keys(now)) - set(mine)
        claims = Marks.read(now).is_detached_by(self._wanted.task, datetime.now(UTC))
        if not claims or not set(mine) <= set(now) or not others <= set(tags):
            # Two that read after they wrote cannot both miss the other.
            self._hook.conn.delete_tags(ResourceArn=endpoint_arn, TagKeys=mine)
            raise AnotherRunWasQuickerError("Another run takes the scaling off")
        if others:
            # This copy holds what they held.
            self._hook.conn.delete_tags(ResourceArn=endpoint_arn, TagKeys=sorted(others))
        self._scaling.take_off(update.snapshot)

    def _copies_beside(self, endpoint_arn: str, tags: Mapping[str, str]) -> bool:
        """Tell whether other runs have written down the scaling since the tags were read."""
        return not set(tag_keys(self._hook.tags(endpoint_arn))) <= set(tags)

    def _is_scaled_meanwhile(self, described: Described, update: Update) -> bool:
        """Tell whether variants are scalable targets again, or newly: another run has put its scaling back."""
        scaled = self._scaled_variants(described)
        return bool(scaled & set(update.snapshot) or scaled - set(update.scaled))

    def _claim(self) -> dict[str, str]:
        return claimed(self._wanted.task, datetime.now(UTC) + DETACHING_LASTS)

    def _planned_update(
        self, described: Described, endpoint_tags: Mapping[str, str], marks: Marks, progress: Progress
    ) -> Update:
        """Return what an update takes; nothing is changed for it.

        :raises ConflictError: When it would be refused.
        :raises InvalidSpecError: When its rollout could not do what it is for.
        """
        wanted, target = self._wanted, str(progress.target)
        config = self._hook.describe_endpoint_config(target)
        if config is None:
            raise NotFoundError(f"There is no endpoint config {target!r}.")
        variants = config["ProductionVariants"]
        # Decided again, now that it is known whether the config is serverless: what UpdateEndpoint would refuse is refused before it.
        again = decide(described, self._as_wanted(marks, progress, serverless=is_serverless(variants)))
        if again.action is Action.REFUSE:
            raise ConflictError(again.reason)
        counts = instance_counts(described)
        scaled = self._scaled_variants(described) | set(marks.snapshot)
        kept = retention(wanted.retain, scaled=scaled, current=counts, wanted=variants)
        fleet = new_fleet(kept, current=counts, wanted=variants)
        deployment_config = self._checked_rollout(described, variants, fleet, target)
        request = validated_request(
            "sagemaker",
            "UpdateEndpoint",
            {
                "EndpointName": described["EndpointName"],
                "EndpointConfigName": target,
                "DeploymentConfig": deployment_config,
                **kept.flags,
            },
        )
        snapshot = self._snapshot_of_blocked(described, scaled, variants, marks)
        tags = {
            **wanted.tags,
            **OURS,
            **self._history_marks(described, marks, progress),
            **counts_to_set(endpoint_tags, target, kept.counts),
            **(as_tags(snapshot, _new_copy()) if snapshot else {}),
            **({f"{ROLLOUT_ALARMS}{target}": MADE} if wanted.fleet_alarms else {}),
        }
        return Update(request, tags, scaled, snapshot, kept.counts)

    # Rollouts.

    def _checked_rollout(
        self,
        described: Described,
        variants: list[Mapping[str, Any]],
        counts: Mapping[str, int],
        target: str,
    ) -> Mapping[str, Any] | None:
        """Return the deployment config of the update, with the alarms that are made for it.

        :raises ConflictError: When SageMaker could not roll out this way, or an alarm could not do its work.
        """
        wanted = self._wanted.deployment_config
        if wanted is None and not self._wanted.fleet_alarms:
            return None
        live = self._hook.describe_endpoint_config(described["EndpointConfigName"]) or {}
        problem = rollout_problem(
            wanted,
            serving=live.get("ProductionVariants") or described.get("ProductionVariants") or [],
            wanted=variants,
            counts=counts,
        )
        if problem:
            raise ConflictError(f"Endpoint {described['EndpointName']}: {problem}.")
        return self._alarms.checked(
            wanted or {}, described["EndpointName"], target, self._wanted.fleet_alarms
        )

    # Scaling.

    def _scaled_variants(self, described: Described) -> set[str]:
        by_resource = {
            variant_resource_id(described["EndpointName"], variant["VariantName"]): variant["VariantName"]
            for variant in described.get("ProductionVariants") or []
        }
        targets = self._aws.auto_scaling_hook.scalable_targets(list(by_resource)) if by_resource else []
        return {by_resource[target["ResourceId"]] for target in targets}

    def _snapshot_of_blocked(
        self,
        described: Described,
        scaled: set[str],
        variants: list[Mapping[str, Any]],
        marks: Marks,
    ) -> Snapshot:
        """Return the scaling that has to be taken off: of variants that change their instance type, or go.

        UpdateEndpoint refuses both for scalable targets (developer guide, "endpoint-scaling", on updating scaled endpoints).
        """
        if not scaled:
            return {}
        live = self._hook.describe_endpoint_config(described["EndpointConfigName"]) or {}
        blocked = blocked_by_scaling(live.get("ProductionVariants") or [], variants, scaled)
        for variant in sorted(blocked):
            log.info(
                "Variant %s changes its instance type, or goes: its scaling is taken off for the update",
                variant,
            )
        # What was written down may be of a run that was killed while it took the scaling off, or put it back.
        read = self._scaling.read(described["EndpointName"], blocked) if blocked else {}
        return merged(marks.snapshot, read)

    def _keep_for_replacement(
        self, described: Described, tags: Mapping[str, str], marks: Marks, target: str
    ) -> None:
        """Write down the scaling of an endpoint that is deleted (which deregisters its targets), where its successor finds it.

        Its own tags go with it, so the tags of the config that it is to be made of hold it meanwhile.
        """
        keep = self._to_keep(described, tags, marks)
        if not keep:
            return
        config = self._hook.describe_endpoint_config(target)
        if config is None:
            raise NotFoundError(f"There is no endpoint config {target!r}.")
        self._hook.reconcile_tags(config["EndpointConfigArn"], {}, keep)

    def _to_keep(self, described: Described, tags: Mapping[str, str], marks: Marks) -> dict[str, str]:
        """Return the tags that tell what is to be put right once an endpoint that is to be deleted was made anew."""
        scaled = self._scaled_variants(described)
        snapshot = merged(marks.snapshot, self._scaling.read(described["EndpointName"], scaled))
        alarms = {key: tags[key] for key in tags if key.startswith(ROLLOUT_ALARMS)}
        return {**alarms, **(as_tags(snapshot, _new_copy()) if snapshot else {})}

    def _kept_for_replacement(self, target: str) -> dict[str, str]:
        """Return the tags that the config holds for an endpoint that was deleted to be made anew."""
        config = self._hook.describe_endpoint_config(target)
        if config is None:
            return {}
        tags = self._hook.tags(config["EndpointConfigArn"])
        return {key: tags[key] for key in leftovers(tags)}

    def _forget_kept(self, target: str) -> None:
        """Delete what the config holds, if it was made for an endpoint in its place."""
        config = self._hook.describe_endpoint_config(target)
        keys = leftovers(self._hook.tags(config["EndpointConfigArn"])) if config else []
        if config and keys:
            self._hook.conn.delete_tags(ResourceArn=config["EndpointConfigArn"], TagKeys=keys)

    @property
    def _scaling(self) -> ScalingTransfer:
        return ScalingTransfer(self._aws.auto_scaling_hook, lambda: self._aws.cloudwatch_hook)

    @property
    def _alarms(self) -> RolloutAlarms:
        return RolloutAlarms(self._aws.cloudwatch_hook)

    # Tags.

    def _history_marks(self, described: Described, marks: Marks, progress: Progress) -> dict[str, str]:
        serving, target = described["EndpointConfigName"], str(progress.target)
        if not progress.rolling_back:
            return {
                **self._deploying(target),
                PREVIOUS_ENDPOINT_CONFIGS: written(
                    after_update(marks.history, serving=serving, wanted=target)
                ),
                **self._fallback_mark(target, marks),
            }
        when = self._wanted.run_after
        done = {ROLLED_BACK: RolledBack(when, serving, target).written()} if when else {}
        return {PREVIOUS_ENDPOINT_CONFIGS: written(after_rollback(marks.history, target=target)), **done}

    def _fallback_mark(self, target: str, marks: Marks | None = None) -> dict[str, str]:
        wanted = self._wanted.endpoint_config_name or ""
        if target in self._wanted.fallbacks and target != wanted:
            return {FALLBACK_FOR: wanted}
        # An empty value says that what serves now stands for itself.
        return {FALLBACK_FOR: ""} if marks and marks.fallback_for else {}

    def _mark_run(self, arn: str, tags: Mapping[str, str], marks: Marks, target: str) -> None:
        """Write down when this run was due, unless a newer one is written down."""
        self._hook.reconcile_tags(arn, tags, self._run_tags(marks, target))

    def _run_tags(self, marks: Marks, target: str) -> dict[str, str]:
        if self._wanted.allow_older or not marks.newer_than(self._wanted.run_after):
            return {**self._run_after(), **self._deploying(target)}
        return {}

    def _run_after(self) -> dict[str, str]:
        return {RUN_AFTER: self._wanted.run_after} if self._wanted.run_after else {}

    def _deploying(self, target: str) -> dict[str, str]:
        return {DEPLOYING: f"{self._wanted.run_after} {target}"} if self._wanted.run_after else {}

    def _wanted_tags(self, tags: Mapping[str, str]) -> dict[str, str]:
        """Return the tags that an endpoint gets which serves what is wanted already; none for one that is not ours."""
        if not self._wanted.adopt and not is_ours(dict(tags)):
            return {}
        return {**self._wanted.tags, **(OURS if self._wanted.adopt else {})}

    def _as_wanted(self, marks: Marks, progress: Progress, *, serverless: bool | None = None) -> Wanted:
        wanted = self._wanted
        return Wanted(
            endpoint_config_name=str(progress.target),
            serverless=serverless,
            owned=marks.ours,
            adopt=wanted.adopt,
            replace_failed_endpoint=wanted.replace_failed_endpoint,
            overtaken_by=None if wanted.allow_older else marks.newer_than(wanted.run_after),
        )

    def _awaited(self, until: Until, progress: Progress, **what: Any) -> Awaited:
        return Awaited(until, self._wanted.endpoint_name, progress.target, **what)


def _new_copy() -> str:
    return secrets.token_hex(4)


def _on_its_way_to(described: Described | None) -> str | None:
    """Return the config that an endpoint is on its way to, else the one that it is on."""
    return (pending_config(described) or described.get("EndpointConfigName")) if described else None


def _other(name: str | None, target: str) -> str | None:
    return name if name != target else None


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

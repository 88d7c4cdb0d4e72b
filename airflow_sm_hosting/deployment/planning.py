"""Plan a deployment: from the observation, the request and the progress to the next steps, or to the end.

The same function plans a first try, a retry after a kill, the steps after a wait, a rollback, and the plan for a person. It also
checks the verdict: an endpoint counts as unchanged or deployed only if the verdict says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, assert_never

from airflow_sm_hosting.deployment.approved_plan import approval_problem
from airflow_sm_hosting.deployment.component import COPIES
from airflow_sm_hosting.deployment.decision import Action, Decision, decide
from airflow_sm_hosting.deployment.endpoint_tags import (
    EndpointTags,
    Run,
    RunState,
    moment_of,
    tags_to_delete,
)
from airflow_sm_hosting.deployment.finishing import finishing_steps
from airflow_sm_hosting.deployment.history import rollback_target, written
from airflow_sm_hosting.deployment.hosting_place import place_problem, wait_for_place
from airflow_sm_hosting.deployment.observation import Fact, FactKind, FactNeededError, Observation
from airflow_sm_hosting.deployment.progress import Progress, Stage
from airflow_sm_hosting.deployment.remedies import Cause, cause_of
from airflow_sm_hosting.deployment.smoke_test import smoke_test_problem
from airflow_sm_hosting.deployment.specification_tags import specifications_to_forget
from airflow_sm_hosting.deployment.status import (
    CREATING,
    Described,
    Kind,
    instance_counts,
    is_transitional,
    on_its_way_to,
    same_name,
)
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    CheckAnswer,
    CreateEndpoint,
    CreateInferenceComponent,
    DeleteEndpoint,
    DeleteInferenceComponent,
    DeleteTags,
    ObserveAgain,
    Step,
    UpdateEndpointWeightsAndCapacities,
    UpdateInferenceComponentRuntimeConfig,
    Wait,
)
from airflow_sm_hosting.deployment.updating import (
    fallback_tag,
    first_update_problem,
    kept_for_replacement,
    lost_copies,
    missing_tags,
    release_of_claim,
    run_tags,
    tags_to_keep,
    update_steps,
)
from airflow_sm_hosting.deployment.verdict import judge, moment
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import (
    AlarmGoingOffError,
    ConflictError,
    InvalidSpecError,
    NotFoundError,
    SageMakerHostingError,
)
from airflow_sm_hosting.spec.naming import is_content_name
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    OURS,
    PENDING_COUNT,
    RUN_AFTER,
    UNVERIFIED,
    is_ours,
    tag_list,
)

#: How long after a change of the endpoint its answer may be written (assumed).
ANSWERED_AFTER = timedelta(seconds=1)

#: An older run whose update reached AWS after a newer run's restores the newer config; the newer run waits for that, in seconds.
OLDER_RUN_RESTORES = 120.0

SCALING_RESTORED_BY_RETRY = (
    "The scaling that was removed for the update is saved in the endpoint's tags; the next try restores it."
)


class Ending(StrEnum):
    """How a deployment ends."""

    SUCCEEDED = "succeeded"
    #: A newer run has deployed.
    SKIPPED = "skipped"
    FAILED = "failed"
    #: The smoke test received a wrong answer.
    WRONG_ANSWER = "wrong answer"
    #: Another run blocks this one for a moment: observe and plan again.
    TRY_AGAIN = "try again"
    #: An alarm is in ALARM, and is to be waited for: observe and plan again.
    ALARMS_ON = "alarms on"


@dataclass(frozen=True)
class End:
    """The end of a deployment.

    :param ending: How it ends.
    :param message: A sentence for the log or the error.
    :param serving: The serving config at the end.
    :param endpoint_arn: The endpoint.
    :param until: The time until which another run blocks this one.
    :param note: A sentence on remaining work, to append to the reason.
    """

    ending: Ending
    message: str = ""
    serving: str | None = None
    endpoint_arn: str | None = None
    until: datetime | None = None
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """The next part of a deployment.

    :param steps: The next steps, up to the next wait; there may be none.
    :param progress: The progress before these steps.
    :param decision: The decision, if one was made.
    :param end: The end of the deployment, when no work is left.
    :param warning: A problem that does not stop the deployment.
    """

    steps: tuple[Step, ...]
    progress: Progress
    decision: Decision | None = None
    end: End | None = None
    warning: str = ""


def plan(observed: Observation, wanted: Wanted, progress: Progress) -> Plan | Fact:
    """Return the next plan, or the missing fact to fetch first.

    :param observed: The observation of the endpoint.
    :param wanted: The requested deployment.
    :param progress: The progress of the deployment.
    :raises ConflictError: When the deployment is refused.
    :raises InvalidSpecError: When its rollout alarms cannot work.
    :raises AlarmGoingOffError: When an alarm is in ALARM and would roll the deployment back at once.
    :raises NotFoundError: When a resource that it names does not exist.
    """
    try:
        if progress.smoke_failure is None:
            return _plan(observed, wanted, progress)
        try:
            return _plan(observed, wanted, progress)
        except (ConflictError, InvalidSpecError, NotFoundError) as error:
            return _cannot_roll_back(observed, wanted, progress, error)
    except FactNeededError as lacking:
        return lacking.fact


def _plan(observed: Observation, wanted: Wanted, progress: Progress) -> Plan:
    match progress.stage:
        case Stage.DEPLOY:
            return _deploy(observed, wanted, progress)
        case Stage.COMPLETE:
            return _complete(observed, wanted, progress)
        case Stage.RECOVER:
            return _recover(observed, wanted, progress)
        case _:
            assert_never(progress.stage)


# Bring the endpoint to the target.


def _deploy(observed: Observation, wanted: Wanted, progress: Progress) -> Plan:
    described, tags = observed.endpoint, observed.tags
    known = EndpointTags.read(tags, on_its_way_to(described))
    progress = replace(progress, target=progress.target or _find_target(described, known, wanted))
    newer = _overwritten_run(described, wanted, progress, known)
    if newer:
        return _restore(observed, wanted, progress, known, newer)
    decision = _decide(described, wanted, progress, known)
    action = decision.action
    if action is Action.REFUSE:
        raise ConflictError(decision.reason)
    problem = approval_problem(described, wanted, action)
    if problem:
        raise ConflictError(f"{problem}.")
    if wanted.component and action is not Action.OVERTAKEN:
        problem = place_problem(described, wanted.component)
        if problem:
            raise ConflictError(problem)
    if wanted.component and action in (Action.CREATE, Action.UPDATE, Action.REPLACE):
        condition = wait_for_place(observed, wanted.component, action)
        if condition:
            return Plan(
                (Wait(condition),),
                progress,
                Decision(Action.WAIT, f"{condition.kind} {condition.endpoint_name} is not ready yet"),
            )
    if described and action in (Action.UPDATE, Action.UNCHANGED, Action.REPLACE):
        until = known.detached_by_another(wanted.task, observed.now)
        if until:
            message = f"Another run removes the scaling of endpoint {described['EndpointName']}; its claim ends at {until:%X} UTC"
            return Plan((), progress, decision, End(Ending.TRY_AGAIN, message, until=until))
    if action in (Action.UNCHANGED, Action.JOIN, Action.UPDATE):
        # This deployment also does the cleanup that other runs left.
        progress = _responsible_for(progress, tags)
    if action in (Action.CREATE, Action.UPDATE, Action.UNCHANGED, Action.JOIN, Action.REPLACE):
        _check_smoke_test(observed, wanted, progress)
    if action is Action.UNCHANGED:
        _check_config_is_the_deployed_one(observed, str(progress.target))
    match action:
        case Action.CREATE:
            return _create(observed, wanted, progress, known, decision)
        case Action.UPDATE:
            return _update(observed, wanted, progress, known, decision)
        case Action.JOIN:
            return _join(observed, wanted, progress, known, decision)
        case Action.UNCHANGED:
            return _unchanged(observed, wanted, progress, known, decision)
        case Action.REPLACE:
            return _replace(observed, wanted, progress, known, decision)
        case Action.OVERTAKEN:
            return _overtaken(observed, wanted, progress, known, decision)
    return _wait_for_others(observed, wanted, progress, known, decision)


def _decide(described: Described | None, wanted: Wanted, progress: Progress, known: EndpointTags) -> Decision:
    run_after = progress.restores_run or wanted.run_after
    return decide(
        described,
        str(progress.target),
        owned=known.ours,
        adopt=wanted.adopt,
        replace_failed_endpoint=wanted.replace_failed_endpoint,
        overtaken_by=None if wanted.allow_older else known.newer_than(run_after),
        kind=wanted.kind,
    )


def _check_smoke_test(observed: Observation, wanted: Wanted, progress: Progress) -> None:
    """Refuse a smoke test that this kind of endpoint does not answer, before anything changes."""
    if not wanted.smoke_test or progress.smoke_failure is not None or progress.restores_run:
        return
    if wanted.component:
        return  # a component has one kind of endpoint, and is its own target
    problem = smoke_test_problem(observed, str(progress.target), wanted.smoke_request)
    if problem:
        raise ConflictError(
            f"Endpoint {wanted.endpoint_name}: smoke_test cannot test config {progress.target}: {problem}. Correct smoke_test, or "
            "deploy without it, and invoke the endpoint in a task of its own."
        )


def _check_config_is_the_deployed_one(observed: Observation, target: str) -> None:
    """Refuse a config that was deleted and created again under its name after the endpoint had been deployed with it.

    SageMaker keeps serving what the deleted config said. A name with a content digest always means the same content.
    """
    described = observed.endpoint or {}
    if observed.kind is Kind.COMPONENT or is_content_name(target):
        return
    created = (observed.config(target) or {}).get("CreationTime")
    changed = described.get("LastModifiedTime")
    if created and changed and created > changed:
        raise ConflictError(
            f"Endpoint {described['EndpointName']} serves config {target} as it was at {changed:%Y-%m-%d %H:%M:%S}. The config was deleted, "
            f"and created again at {created:%Y-%m-%d %H:%M:%S}, so the endpoint may serve other models. Deploy the config under another "
            "name: unique_name=True of CreateEndpointConfigOperator derives the name from the content."
        )


def _find_target(described: Described | None, known: EndpointTags, wanted: Wanted) -> str:
    """Return the config to deploy: the wanted one, or the fallback that already replaces it."""
    asked = wanted.endpoint_config_name
    if asked is None:
        return _find_config_before(described, known, wanted)
    on_its_way = on_its_way_to(described)
    return str(on_its_way) if on_its_way in wanted.fallbacks and known.fallback_for == asked else asked


def _find_config_before(described: Described | None, known: EndpointTags, wanted: Wanted) -> str:
    """Return the config to roll back to."""
    return find_before(described, known, wanted.endpoint_name, wanted.run_after, wanted.kind)


def find_before(
    described: Described | None, known: EndpointTags, name: str, run_after: str | None, kind: Kind
) -> str:
    """Return the name of the config, or of the specification, to roll back to.

    :param described: The endpoint, or the inference component.
    :param known: The state in its tags.
    :param name: Its name.
    :param run_after: The due time of the DAG run.
    :param kind: The kind of the resource.
    :raises NotFoundError: When it does not exist, or no previous one is known.
    """
    last = known.rolled_back
    if described is None:
        raise NotFoundError(f"There is no {kind} {name!r}.")
    if last and last.run_after == run_after:
        return last.target  # this DAG run has rolled back already
    serving = described.get("EndpointConfigName")
    target = rollback_target(known.history, serving=serving, unverified=known.unverified)
    if target is None:
        others = ", ".join(one for one in known.history if one != serving)
        word = kind.content
        found = f"no previous {word} that was verified (only {others})" if others else f"no previous {word}"
        way_out = "give one (endpoint_config_name=…)" if kind is Kind.ENDPOINT else "deploy one"
        raise NotFoundError(
            f"{kind.noun} {name} serves {serving}, and its tags name {found}: {way_out}.",
            is_proven=True,
        )
    return target


def _overwritten_run(
    described: Described | None, wanted: Wanted, progress: Progress, known: EndpointTags
) -> Run | None:
    """Return the newer run whose deployment this task's update has overwritten, as it reached AWS after that run's update.

    UpdateEndpoint has no compare-and-swap: a process may be suspended between its last observation and its call, for longer than a
    deployment takes.
    """
    newest, own = known.newest_deployed(), known.run_of(wanted.task)
    if described is None or newest is None or wanted.run_after is None or wanted.allow_older:
        return None
    ours = same_name(on_its_way_to(described), progress.target)
    ours = ours and not same_name(progress.target, newest.endpoint_config_name)
    if (
        not ours
        or newest.task == wanted.task
        or newest.due <= moment_of(progress.restores_run or wanted.run_after)
    ):
        return None
    if progress.updated_at is not None:
        return newest if newest.moment <= progress.updated_at else None
    # An earlier try was killed before it could check: it had claimed the endpoint, and its config is on the endpoint.
    claimed = own is not None and own.state is RunState.CLAIMED
    return newest if claimed and own and same_name(own.endpoint_config_name, progress.target) else None


def _restore(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, newer: Run
) -> Plan:
    described = observed.endpoint or {}
    reason = (
        f"this run's update reached AWS after that of a newer run, due {newer.run_after}; the newer run's "
        f"config {newer.endpoint_config_name} is restored"
    )
    restoring = replace(
        progress,
        target=newer.endpoint_config_name,
        restores_run=newer.run_after,
        rolling_back=False,
        counts={},
        action=str(Action.OVERTAKEN),
        updated_at=None,
    )
    decision = Decision(Action.OVERTAKEN, reason)
    steps: list[Step] = [*_writing_again(observed, wanted, known)]
    if is_transitional(described):
        steps.append(Wait(_condition(WaitFor.SETTLED, wanted)))
    else:
        steps.append(ObserveAgain())
    return Plan(tuple(steps), restoring, decision)


def _writing_again(observed: Observation, wanted: Wanted, known: EndpointTags) -> list[AddTags]:
    """Return the step that saves the scaling removed by this task again, if another run has deleted the saved copy."""
    lost, arn = lost_copies(observed, wanted, known), (observed.endpoint or {})["EndpointArn"]
    return missing_tags(arn, {}, lost, "another run has restored the scaling before this task removed it")


def _create(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    target = str(progress.target)
    kept: Mapping[str, str] = {}
    if wanted.retried or progress.action == Action.REPLACE:
        kept = kept_for_replacement(observed, target, tags_to_delete)
    run: dict[str, str] = {}
    if wanted.run_after:
        now = int(observed.now.timestamp())
        run = {
            RUN_AFTER: wanted.run_after,
            DEPLOYING: f"{wanted.run_after} {target}",
            **Run(wanted.task, wanted.run_after, RunState.DEPLOYED, now, target).as_tag(),
        }
    unverified = known.marked_unverified(target) if wanted.smoke_test else {}
    tags = {**wanted.tags, **OURS, **run, **fallback_tag(wanted, target), **unverified, **kept}
    if wanted.component:
        create_component = CreateInferenceComponent(
            {**wanted.component.creation(wanted.endpoint_name), "Tags": tag_list(tags)},
            f"inference component {wanted.endpoint_name}",
            f"with {target} on endpoint {wanted.component.endpoint_name}",
        )
        return Plan((create_component,), progress, decision)
    request = {
        "EndpointName": wanted.endpoint_name,
        "EndpointConfigName": target,
        "Tags": tag_list(tags),
    }
    create = CreateEndpoint(request, f"endpoint {wanted.endpoint_name}", f"on {target}")
    warning = first_update_problem(observed, wanted, target)
    return Plan((create,), _responsible_for(progress, kept), decision, warning=warning)


def _update(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    try:
        steps = _taking_replacement_over(observed, progress) or update_steps(
            observed, wanted, progress, known
        )
    except AlarmGoingOffError as error:
        if not wanted.wait_for_alarms:
            raise
        return Plan((), progress, decision, End(Ending.ALARMS_ON, str(error)))
    return Plan(tuple(steps), progress, decision)


def _join(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    """Wait for the deployment to the target that is in progress: another run's, or this task's own, which has just begun."""
    described, target = observed.endpoint or {}, str(progress.target)
    arn, own = described["EndpointArn"], observed.own_change
    live = described.get("EndpointConfigName")
    before = live if not same_name(live, target) else None
    if own is None and progress.previous_endpoint_config_name:
        # An older run has restored this task's own deployment.
        before = progress.previous_endpoint_config_name
    progress = replace(
        progress,
        action=progress.action or str(Action.JOIN),
        previous_endpoint_config_name=before,
        counts=known.counts_for(target),
    )
    tags = {
        **({} if own else _kept_from_replacement(observed, progress)),
        **run_tags(observed, wanted, progress, known),
        **release_of_claim(known, wanted),
    }
    steps: list[Step] = [
        *_writing_again(observed, wanted, known),
        *missing_tags(arn, observed.tags, tags, "this run deploys the endpoint"),
    ]
    old = known.runs_to_forget(wanted.task)
    if wanted.component:
        old += specifications_to_forget(observed.tags, (target, *known.history))
    if own == "updated" and old:
        steps.append(
            DeleteTags(
                {"ResourceArn": arn, "TagKeys": old}, "entries of old runs", "newer entries replace them"
            )
        )
    condition = _condition(
        WaitFor.DEPLOYED,
        wanted,
        target,
        modified_before=observed.modified_before if own else None,
        begun=own is None,
        not_before=_first_moment(observed) if own else moment(described.get("LastModifiedTime")),
        rollout=wanted.deployment_config if _has_stages(described, wanted) else None,
    )
    return Plan((*steps, Wait(condition)), progress, None if own else decision)


def _has_stages(described: Described, wanted: Wanted) -> bool:
    """Return whether traffic moves in the stages of a rollout: a new endpoint and a component have none."""
    return wanted.component is None and described["EndpointStatus"] != CREATING


def _first_moment(observed: Observation) -> str | None:
    """Return the earliest ``LastModifiedTime`` of a state after this task's own change, in ISO format.

    AWS's answer has its time in whole seconds, and is written after the change. That both come from one clock is assumed: otherwise the
    wait takes longer, as its verdict needs answers that agree.
    """
    if observed.changed_at is None:
        return None
    return moment(datetime.fromtimestamp(observed.changed_at, UTC) - ANSWERED_AFTER)


def _unchanged(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    """Verify the serving config as if it had just been deployed."""
    described, target = observed.endpoint or {}, str(progress.target)
    arn = described["EndpointArn"]
    condition = _condition(WaitFor.DEPLOYED, wanted, target, begun=True)
    verdict = judge(condition, described)
    if verdict.outcome is Outcome.PENDING:
        # An inference component whose copies are not all in service.
        return Plan((Wait(condition),), progress, decision)
    verified = replace(
        _taken_over(progress, wanted, known), action=progress.action or str(Action.UNCHANGED)
    ).after_wait(WaitFor.DEPLOYED, WaitResult(str(verdict.outcome), verdict.message, _identity(described)))
    if verdict.outcome is not Outcome.DEPLOYED:
        return Plan((), verified, Decision(Action.FAIL, verdict.message))
    deployed_by_us = wanted.run_after is not None and known.run_after == wanted.run_after
    run = run_tags(observed, wanted, progress, known) if deployed_by_us or progress.restores_run else {}
    # An earlier try was killed after its update. An older run may update the endpoint before it can read that this one has
    # deployed; so write first, and look afterwards.
    claim = missing_tags(arn, observed.tags, run, "the endpoint serves what this run deployed")
    if claim:
        return Plan((*claim, ObserveAgain()), progress, decision)
    tags = {
        **_kept_from_replacement(observed, verified),
        **run,
        **(known.undone(not_on=target) if progress.rolling_back else {}),
        **release_of_claim(known, wanted),
        **_wanted_tags(observed.tags, wanted),
    }
    steps = missing_tags(arn, observed.tags, tags, "the endpoint serves what this run deploys")
    return Plan(tuple(steps), replace(verified, counts=known.counts_for(target)), decision)


def _replace(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    """Delete a failed endpoint, to create it again. Its tags are deleted with it, so their content is saved in the tags of the config."""
    target = str(progress.target)
    steps: list[Step] = []
    keep = tags_to_keep(observed, known)
    if keep:
        config = observed.config(target)
        if config is None:
            raise NotFoundError(f"There is no endpoint config {target!r}.")
        arn = config["EndpointConfigArn"]
        steps += missing_tags(arn, {}, keep, "the endpoint that is created again needs it")
    why = f"it is Failed, and is created again with {wanted.kind.content} {target}"
    if wanted.component:
        name = wanted.endpoint_name
        delete_component = DeleteInferenceComponent(
            {"InferenceComponentName": name}, f"inference component {name}", why
        )
        return Plan((delete_component,), progress, decision)
    delete = DeleteEndpoint({"EndpointName": wanted.endpoint_name}, f"endpoint {wanted.endpoint_name}", why)
    return Plan((*steps, delete), progress, decision)


def _overtaken(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    described = observed.endpoint or {}
    newer = next((run for run in known.runs if run.run_after == known.run_after), None)
    is_shown = newer is None or same_name(newer.endpoint_config_name, on_its_way_to(described))
    if not is_shown and progress.action != Action.OVERTAKEN:
        # The endpoint may have been described before the newer run deployed it, and its tags read afterwards.
        return Plan((ObserveAgain(),), replace(progress, action=str(Action.OVERTAKEN)))
    progress = replace(progress, action=str(Action.OVERTAKEN))
    steps = finishing_steps(
        observed, wanted, progress
    )  # restore the scaling that this run removed for nothing
    if steps:
        return Plan(tuple(steps), progress, decision)
    end = End(
        Ending.SKIPPED, decision.reason, described.get("EndpointConfigName"), described.get("EndpointArn")
    )
    return Plan((), progress, decision, end)


def _wait_for_others(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags, decision: Decision
) -> Plan:
    described = observed.endpoint or {}
    until = WaitFor.GONE if observed.own_change == "deleted" else WaitFor.SETTLED
    tags = release_of_claim(known, wanted)
    steps: list[AddTags] = []
    if observed.own_change is None:
        steps = missing_tags(
            described["EndpointArn"], observed.tags, tags, "this task must wait for another deployment"
        )
    created = moment(described.get("CreationTime")) if until is WaitFor.GONE else None
    wait = Wait(_condition(until, wanted, created_at=created))
    return Plan((*steps, wait), progress, None if observed.own_change else decision)


def _condition(until: WaitFor, wanted: Wanted, target: str | None = None, **members: Any) -> WaitCondition:
    """Return the condition of a wait for the endpoint or inference component."""
    component = wanted.component
    compared = component is not None and target == component.name
    return WaitCondition(
        until,
        wanted.endpoint_name,
        target,
        kind=wanted.kind,
        specifications=component.comparable if component and compared else (),
        **members,
    )


def _responsible_for(progress: Progress, tags: Mapping[str, str]) -> Progress:
    """Return the progress of a deployment that also does the cleanup named by these tags."""
    return replace(progress, unfinished=tuple(sorted({*progress.unfinished, *tags_to_delete(tags)})))


def _taking_replacement_over(observed: Observation, progress: Progress) -> list[Step]:
    """Return the step that copies the tags saved in the config to an endpoint that this run deleted and another run created again."""
    kept = _kept_from_replacement(observed, progress)
    arn = (observed.endpoint or {})["EndpointArn"]
    return [*missing_tags(arn, observed.tags, kept, "another run created the endpoint again")]


def _kept_from_replacement(observed: Observation, progress: Progress) -> dict[str, str]:
    if progress.action != Action.REPLACE:
        return {}
    return kept_for_replacement(observed, str(progress.target), tags_to_delete)


def _taken_over(progress: Progress, wanted: Wanted, known: EndpointTags) -> Progress:
    """Continue from the deployment of an earlier try of this run, if there is one."""
    ours, last, target = wanted.run_after, known.rolled_back, str(progress.target)
    before = progress.previous_endpoint_config_name
    if ours is not None and progress.rolling_back and last and last.run_after == ours:
        before = last.source if not same_name(last.source, target) else None
    elif ours is not None and not progress.rolling_back and known.run_after == ours:
        before = rollback_target(known.history, serving=target)
    return replace(progress, previous_endpoint_config_name=before)


def _wanted_tags(tags: Mapping[str, str], wanted: Wanted) -> dict[str, str]:
    """Return the tags to set on an endpoint that already serves the wanted config; none for an endpoint that is not ours."""
    if not wanted.adopt and not is_ours(dict(tags)):
        return {}
    return {**wanted.tags, **(OURS if wanted.adopt else {})}


def _identity(described: Described) -> dict[str, str]:
    members = ("EndpointName", "EndpointArn", "EndpointConfigName", "FailureReason", "LastModifiedTime")
    return {member: str(moment(described[member])) for member in members if described.get(member) is not None}


# The target is deployed.


def _complete(observed: Observation, wanted: Wanted, progress: Progress) -> Plan:
    """Set the retained counts, check the endpoint's answer, and clean up."""
    result = progress.result or WaitResult("", "")
    arn, target = result.described.get("EndpointArn"), str(progress.target)
    if wanted.component:
        copies = _copies_plan(observed, wanted, progress)
        if copies:
            return copies
    elif progress.counts:
        return _set_counts(observed, wanted, progress, str(arn))
    if wanted.smoke_test and progress.smoke_failure is None and not progress.restores_run:
        if progress.answer_failure is None:
            name = result.described.get("EndpointName", wanted.endpoint_name)
            return Plan((CheckAnswer(name), ObserveAgain()), progress)
        if progress.answer_failure and wanted.rolls_back_wrong_answers and not progress.answer_refused:
            back = _config_to_go_back_to(observed, progress)
            if back:
                return _roll_back(progress, back)
        steps = _marking(observed, progress)
        if steps:
            return Plan(tuple(steps), progress)
    steps = finishing_steps(observed, wanted, progress)
    if steps:
        return Plan(tuple(steps), progress)
    ending, message = Ending.SUCCEEDED, result.message
    if progress.restores_run:
        ending, message = Ending.SKIPPED, f"{_restored_config_message(progress)} was restored and serves"
    elif progress.smoke_failure:
        ending = Ending.WRONG_ANSWER
        message = f"{progress.smoke_failure} The endpoint was rolled back, and serves {target}."
    elif progress.answer_failure:
        verdict = (
            "The request was refused, which is no verdict on the model. " if progress.answer_refused else ""
        )
        ending = Ending.WRONG_ANSWER
        message = f"{progress.answer_failure} {verdict}{target} continues to serve."
    return Plan((), progress, end=End(ending, message, target, arn))


def _config_to_go_back_to(observed: Observation, progress: Progress) -> str | None:
    """Return the config to restore after a wrong answer: the one before, if it was good, else the last good one."""
    before = progress.previous_endpoint_config_name
    if before is None:
        return None
    known = EndpointTags.read(observed.tags)
    return rollback_target([before, *known.history], serving=progress.target, unverified=known.unverified)


def _marking(observed: Observation, progress: Progress) -> list[Step]:
    """Return the step that notes in the endpoint's tags whether the smoke test has verified the config."""
    known, described, target = EndpointTags.read(observed.tags), observed.endpoint, str(progress.target)
    if described is None or not known.ours or progress.answer_refused:
        return []
    arn, is_marked = described["EndpointArn"], target in known.unverified
    if progress.answer_failure:
        failed = {} if is_marked else known.marked_unverified(target)
        return [*missing_tags(arn, observed.tags, failed, "its answer was wrong")]
    if not is_marked:
        return []
    others = known.marked_unverified(target)[UNVERIFIED].split()[1:]
    if others:
        return [*missing_tags(arn, observed.tags, {UNVERIFIED: written(others)}, "its answer was right")]
    return [
        DeleteTags({"ResourceArn": arn, "TagKeys": [UNVERIFIED]}, f"tag {UNVERIFIED}", "its answer was right")
    ]


def _set_counts(observed: Observation, wanted: Wanted, progress: Progress, arn: str) -> Plan:
    """Set the retained instance counts of unscaled variants: one variant a call, as each call puts the endpoint into Updating."""
    variant, count = next(iter(progress.counts.items()))
    if progress.waited_for is WaitFor.COUNTED:
        forget = DeleteTags(
            {"ResourceArn": arn, "TagKeys": [f"{PENDING_COUNT}{variant}"]},
            f"tag {PENDING_COUNT}{variant}",
            "the count is set",
        )
        return Plan((forget,), replace(progress, waited_for=None))
    # Another run may have deployed since the wait ended, and the counts belong to this run's config.
    changed = (progress.result or WaitResult("", "")).described.get("LastModifiedTime")
    deployed = _condition(WaitFor.DEPLOYED, wanted, progress.target, begun=True, not_before=changed)
    if judge(deployed, observed.endpoint).outcome is not Outcome.DEPLOYED:
        # One description proves no failure: the wait asks for more.
        return Plan((Wait(deployed),), progress)
    call = UpdateEndpointWeightsAndCapacities(
        {
            "EndpointName": wanted.endpoint_name,
            "DesiredWeightsAndCapacities": [{"VariantName": variant, "DesiredInstanceCount": count}],
        },
        f"variant {variant}",
        f"the new config has {count} instances of it",
    )
    condition = WaitCondition(
        WaitFor.COUNTED,
        wanted.endpoint_name,
        progress.target,
        modified_before=moment((observed.endpoint or {}).get("LastModifiedTime")),
        instance_counts={variant: count},
    )
    return Plan((call, Wait(condition)), progress)


def _copies_plan(observed: Observation, wanted: Wanted, progress: Progress) -> Plan | None:
    """Set the requested number of copies, unless autoscaling or a newer run has set it; None when nothing is to be done.

    One change at a time: a change of the copies alone blocks updates, and the other way round.
    """
    described, component = observed.endpoint, wanted.component
    count = component.copy_count if component else None
    if described is None or component is None or count is None or component.base or progress.restores_run:
        return None
    found = instance_counts(described).get(COPIES)
    if found == count and not is_transitional(described):
        return None
    # The resource IDs of scalable targets are compared exactly, names of components not.
    if observed.get(Fact(FactKind.SCALING, (described["EndpointName"], COPIES))) is not None:
        return None
    if is_transitional(described):
        return Plan((Wait(_condition(WaitFor.SETTLED, wanted)),), progress)
    if progress.action in (None, Action.UNCHANGED, Action.JOIN, Action.WAIT):
        # Nothing else was to be changed, so nothing else has looked whose component this is.
        known = EndpointTags.read(observed.tags, on_its_way_to(described))
        if not known.ours and not wanted.adopt:
            raise ConflictError(
                f"inference component {wanted.endpoint_name} has {found} copies, requested {count}, and exists without this package's "
                "tags, so something else created it; adopt=True sets them"
            )
        if known.newer_than(wanted.run_after) and not wanted.allow_older:
            return None
    call = UpdateInferenceComponentRuntimeConfig(
        {
            "InferenceComponentName": described["EndpointName"],
            "DesiredRuntimeConfig": {"CopyCount": count},
        },
        f"inference component {wanted.endpoint_name}",
        f"it has {found} copies, requested {count}",
    )
    condition = _condition(
        WaitFor.COUNTED,
        wanted,
        progress.target,
        modified_before=moment(described.get("LastModifiedTime")),
        instance_counts={COPIES: count},
    )
    return Plan((call, Wait(condition)), progress)


def _roll_back(progress: Progress, back: str) -> Plan:
    failure = f"{progress.answer_failure} The response came from {progress.target}."
    going_back = replace(
        progress,
        stage=Stage.DEPLOY,
        target=back,
        rolling_back=True,
        smoke_failure=failure,
        answer_failure=None,
        result=None,
        waited_for=None,
        updated_at=None,
    )
    return Plan((ObserveAgain(),), going_back, warning=f"{progress.answer_failure} Rolling back to {back}")


def _cannot_roll_back(
    observed: Observation, wanted: Wanted, progress: Progress, error: SageMakerHostingError
) -> Plan:
    """Clean up, and end with the wrong answer and the reason why the endpoint stays on its config."""
    steps = finishing_steps(observed, wanted, progress)
    if steps:
        return Plan(tuple(steps), progress)
    return Plan((), progress, end=unfinished_rollback(progress, observed.endpoint, str(error)))


def unfinished_rollback(progress: Progress, described: Described | None, reason: str) -> End:
    """Return the end of a deployment with a wrong answer whose rollback did not succeed.

    :param progress: The progress of the deployment.
    :param described: DescribeEndpoint's answer.
    :param reason: Why the rollback did not succeed.
    """
    serving, arn = (described or {}).get("EndpointConfigName"), (described or {}).get("EndpointArn")
    now = f" {serving} serves." if serving else ""
    message = f"{progress.smoke_failure} Rolling back to {progress.target} failed: {reason}{now}"
    return End(Ending.WRONG_ANSWER, message, serving, arn)


# A wait did not end in success.


def _recover(observed: Observation, wanted: Wanted, progress: Progress) -> Plan:
    """Find out why a wait did not end in success: another run, no capacity, or a failure. Then clean up."""
    result = progress.result or WaitResult("", "")
    again = replace(progress, stage=Stage.DEPLOY, result=None, waited_for=None)
    if result.outcome not in (Outcome.ROLLED_BACK, Outcome.FAILED):
        if progress.waited_for_older and observed.now.timestamp() < progress.deadline:
            warning = f"The older run did not restore {progress.target} within {OLDER_RUN_RESTORES:.0f} s. Deploying it again"
            return Plan(
                (ObserveAgain(),), replace(again, waited_for_older=False, updated_at=None), warning=warning
            )
        note = SCALING_RESTORED_BY_RETRY if progress.unfinished else ""
        return Plan((), progress, end=failed_end(result, note, progress))
    described = observed.endpoint
    known = EndpointTags.read(observed.tags, on_its_way_to(described))
    # A wait with a long poll interval may miss the end of its own deployment and see the next one's: that is not a rollback.
    decision = _decide(described, wanted, progress, known)
    if decision.action is Action.OVERTAKEN:
        return _overtaken(observed, wanted, progress, known, decision)
    if result.outcome == Outcome.ROLLED_BACK and decision.action in (Action.UNCHANGED, Action.JOIN):
        # The wait saw the older run's config, and meanwhile that run has restored this run's config.
        return Plan((), again)
    older = known.older_run_on((described or {}).get("EndpointConfigName"), wanted.run_after)
    if described and older and _undid(older, progress, result):
        return _wait_for_older(observed, described, wanted, again)
    if cause_of(result.described.get("FailureReason")) is Cause.CAPACITY and not progress.rolling_back:
        without = (*progress.without_capacity, str(progress.target))
        left = [name for name in wanted.fallbacks if name not in without]
        if left:
            fallback = replace(again, target=left[0], without_capacity=without, updated_at=None)
            warning = f"{result.message} Deploying {left[0]} instead"
            return Plan((ObserveAgain(),), fallback, warning=warning)
    steps: list[Step] = [*finishing_steps(observed, wanted, progress)]
    own = known.run_of(wanted.task)
    if described and own and own.state is RunState.DEPLOYED:
        undone = known.undone(task=wanted.task)
        steps = [*missing_tags(described["EndpointArn"], observed.tags, undone, "it does not serve"), *steps]
    if steps:
        return Plan(tuple(steps), progress)
    progress = replace(progress, result=_replaced(result, wanted.kind, progress) or result)
    return Plan((), progress, end=failed_end(progress.result or result, progress=progress))


def _replaced(result: WaitResult, kind: Kind, progress: Progress) -> WaitResult | None:
    """Return the result in other words if the endpoint serves a config to which SageMaker cannot have gone back: another update did it."""
    live, target = result.described.get("EndpointConfigName"), progress.target
    before = progress.previous_endpoint_config_name
    is_known = before is not None or progress.action == Action.CREATE
    if result.outcome != Outcome.ROLLED_BACK or not is_known or same_name(live, before):
        return None
    served = f"served {before} before" if before else "did not exist before"
    message = f"The {kind} {served}, should serve {target}, and serves {live}. "
    if reason := result.described.get("FailureReason"):
        # Another tool has deployed before this task's update, and SageMaker has gone back to that; or after it.
        message += f"Another tool has deployed {live}, before or after this task's update. SageMaker's last reason: {reason}"
    else:
        message += f"Another tool has deployed {live} after this task's update."
    return replace(result, outcome=str(Outcome.FAILED), message=message)


def _undid(older: Run, progress: Progress, result: WaitResult) -> bool:
    """Return whether an older run's update, and not a rollback by SageMaker, replaced this run's config."""
    return (
        result.outcome == Outcome.ROLLED_BACK
        and older.endpoint_config_name not in (progress.previous_endpoint_config_name, progress.target)
        and not progress.waited_for_older
        and not progress.rolling_back
    )


def _wait_for_older(observed: Observation, described: Described, wanted: Wanted, progress: Progress) -> Plan:
    condition = _condition(
        WaitFor.DEPLOYED,
        wanted,
        progress.target,
        # The current description is the state before the config is restored.
        modified_before=moment(described.get("LastModifiedTime")),
        give_up_at=observed.now.timestamp() + OLDER_RUN_RESTORES,
    )
    reason = (
        f"an older run's update reached AWS after this run's update, and the {wanted.kind} is on "
        f"{described.get('EndpointConfigName')}; the older run restores {progress.target}"
    )
    waiting = replace(progress, waited_for_older=True)
    return Plan((Wait(condition),), waiting, Decision(Action.WAIT, reason))


def handed_over(progress: Progress, endpoint_arn: str | None) -> End:
    """Return the end of a deployment that AWS has accepted and the task does not wait for.

    :param progress: The progress of the deployment.
    :param endpoint_arn: The endpoint.
    """
    if progress.restores_run:
        message = f"{_restored_config_message(progress)} is restored"
        return End(Ending.SKIPPED, message, progress.target, endpoint_arn)
    return End(Ending.SUCCEEDED, "", progress.target, endpoint_arn)


def _restored_config_message(progress: Progress) -> str:
    return (
        f"This run's update reached AWS after that of a newer run, due {progress.restores_run}; {progress.target}, which that one "
        "deployed,"
    )


def failed_end(result: WaitResult, note: str = "", progress: Progress | None = None) -> End:
    """Return the end of a deployment whose wait did not end in success.

    :param result: The result of the wait.
    :param note: A sentence on remaining work.
    :param progress: The progress of the deployment.
    """
    if progress and progress.smoke_failure:
        return replace(unfinished_rollback(progress, result.described, result.message), note=note)
    serving, arn = result.described.get("EndpointConfigName"), result.described.get("EndpointArn")
    return End(Ending.FAILED, result.message, serving, arn, note=note)

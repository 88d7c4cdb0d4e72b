"""Plan the steps of an update, and the tags before and after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_sm_hosting.deployment.alarm import kind_of_endpoint, variants_of
from airflow_sm_hosting.deployment.capacity import blocked_by_scaling, new_fleet, retention
from airflow_sm_hosting.deployment.decision import Action, decide
from airflow_sm_hosting.deployment.endpoint_tags import (
    EndpointTags,
    RolledBack,
    Run,
    RunState,
    detaching_claim,
    pending_count_tags,
)
from airflow_sm_hosting.deployment.feasibility import rollout_problem
from airflow_sm_hosting.deployment.history import after_rollback, after_update, with_overlooked, written
from airflow_sm_hosting.deployment.observation import FactKind, Observation
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.rollback_alarms import going_off, problems
from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, as_tags, merged, place_of, tag_keys
from airflow_sm_hosting.deployment.specification_tags import (
    request_members,
    specifications_as_tags,
    stored_specifications,
)
from airflow_sm_hosting.deployment.status import Described, Kind, instance_counts, is_serverless
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    ConfirmDetaching,
    DeleteTags,
    DeregisterScalableTarget,
    ObserveAgain,
    PutMetricAlarm,
    Step,
    UpdateEndpoint,
    UpdateInferenceComponent,
    tags_in_words,
)
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import AlarmGoingOffError, ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.fleet_alarm import fleet_alarm_request
from airflow_sm_hosting.spec.metric import SERVERLESS
from airflow_sm_hosting.spec.published import kinds_of_config
from airflow_sm_hosting.spec.rollout import MAX_ALARMS
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    DETACHING,
    FALLBACK_FOR,
    OURS,
    PREVIOUS_ENDPOINT_CONFIGS,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN_AFTER,
    tag_list,
)

#: How long other runs wait while this one removes the scaling: longer than the few calls from the claim to the update take.
DETACHING_LASTS = timedelta(seconds=60)

#: Minimum remaining time of an existing claim of this task; otherwise the task claims again.
CLAIM_LEFT = timedelta(seconds=30)

#: The value of a tag that only needs its key.
MADE = "made"


def missing_tags(arn: str, found: Mapping[str, str], wanted: Mapping[str, str], why: str) -> list[AddTags]:
    """Return the step that sets missing or different tags; empty when all tags are set.

    :param arn: The resource.
    :param found: Its tags.
    :param wanted: The wanted tags.
    :param why: The reason.
    """
    missing = {key: value for key, value in wanted.items() if found.get(key) != value}
    if not missing:
        return []
    request = {"ResourceArn": arn, "Tags": tag_list(missing)}
    return [AddTags(request, tags_in_words(missing), why)]


def update_steps(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags
) -> list[Step]:
    """Return the steps of an update, until AWS has accepted it.

    :param observed: The observation of the endpoint, which exists.
    :param wanted: The requested deployment.
    :param progress: The progress; its target is known.
    :param known: The state in the endpoint's tags.
    :raises ConflictError: When SageMaker would refuse the update, or roll out in another way.
    :raises InvalidSpecError: When its rollout alarms cannot work.
    :raises AlarmGoingOffError: When an alarm is in ALARM and would roll the deployment back at once.
    :raises NotFoundError: When the config does not exist.
    """
    if wanted.component:
        return _component_update_steps(observed, wanted, progress, known)
    described, target = observed.endpoint or {}, str(progress.target)
    arn, tags = described["EndpointArn"], observed.tags
    config = observed.config(target)
    if config is None:
        raise NotFoundError(f"There is no endpoint config {target!r}.")
    variants = config["ProductionVariants"]
    # Decide again, now with the kind of the config (serverless or not): refuse here what UpdateEndpoint would refuse.
    again = decide(described, target, owned=True, serverless=is_serverless(variants))
    if again.action is Action.REFUSE:
        raise ConflictError(again.reason)

    counts = instance_counts(described)
    scaled = observed.scaled_variants | set(known.snapshot)
    kept = retention(wanted.retain, scaled=scaled, current=counts, wanted=variants)
    fleet = new_fleet(kept, current=counts, wanted=variants)
    # A newer run's config, and the config before a wrong answer, is restored at once. This run's rollout was meant for another config: its
    # alarms may be in ALARM because of that one, and the restored fleet may be too small for its steps.
    restores = progress.restores_run is not None
    at_once = restores or progress.smoke_failure is not None
    dimensions = described["EndpointName"], config.get("EndpointConfigName", target)
    fleet_alarms = [] if at_once else _fleet_alarm_requests(wanted, target, dimensions)
    deployment_config = None if at_once else _checked_rollout(observed, wanted, variants, fleet, fleet_alarms)
    snapshot = _snapshot_of_blocked(observed, scaled, variants, known)
    if snapshot and not _claims(known, wanted, observed):
        until = observed.now + DETACHING_LASTS
        claim = missing_tags(
            arn, tags, detaching_claim(wanted.task, until), "this task removes the scaling for the update"
        )
        return [*claim, ObserveAgain()]

    copies = as_tags(snapshot, observed.copy) if snapshot else {}
    record = {
        **({} if restores else wanted.tags),
        **OURS,
        **_record(described, wanted, progress, known),
        **pending_count_tags(tags, target, kept.counts),
        **copies,
        **({f"{ROLLOUT_ALARMS}{target}": MADE} if fleet_alarms else {}),
    }
    request = {
        "EndpointName": described["EndpointName"],
        "EndpointConfigName": target,
        **({"DeploymentConfig": deployment_config} if deployment_config else {}),
        **kept.flags,
    }
    return [
        # Before the update, so that the next try and a rollback find what they need even if this task is killed.
        *missing_tags(arn, tags, record, "a later try or a rollback needs it"),
        *(
            PutMetricAlarm(
                {**alarm, "Tags": tag_list(OURS)},
                f"alarm {alarm['AlarmName']}",
                "it watches this deployment",
                rollout_of=target,
            )
            for alarm in fleet_alarms
        ),
        *_detaching(arn, wanted, tags, snapshot, copies),
        UpdateEndpoint(
            request,
            f"endpoint {described['EndpointName']}",
            f"from {described.get('EndpointConfigName')} to {target}",
            modified_before=moment(described.get("LastModifiedTime")),
            scaled=frozenset(scaled),
            detached=frozenset(snapshot),
            copies=copies,
        ),
        # UpdateEndpoint is unconditional: a concurrent update by a newer run is visible only now.
        ObserveAgain((FactKind.TAGS,)),
    ]


def _component_update_steps(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags
) -> list[Step]:
    """Return the steps of an update of an inference component, until AWS has accepted it.

    The number of copies is not part of the request: it would overwrite that of autoscaling. The whole specification is sent, as every
    example of AWS does; that members left out would be kept is not documented.

    :raises ConflictError: When the specification to restore is not known.
    """
    described, target = observed.endpoint or {}, str(progress.target)
    members, stored = _specification_of(observed, wanted, target)
    restores = progress.restores_run is not None
    at_once = restores or progress.smoke_failure is not None
    asked = None if at_once else wanted.deployment_config
    deployment_config = with_alarms(observed, asked, ()) if asked else None
    record = {
        **({} if restores else wanted.tags),
        **OURS,
        **_record(described, wanted, progress, known),
        # For a rollback, and for a run that restores this one's.
        **specifications_as_tags(described.get("Specifications") or ()),
        **stored,
    }
    request = {
        "InferenceComponentName": described["EndpointName"],
        **members,
        **({"DeploymentConfig": deployment_config} if deployment_config else {}),
    }
    return [
        *missing_tags(described["EndpointArn"], observed.tags, record, "a later try or a rollback needs it"),
        UpdateInferenceComponent(
            request,
            f"inference component {described['EndpointName']}",
            f"from {described.get('EndpointConfigName')} to {target}"
            + "".join(f"; {line}" for line in described.get("Differences") or ()),
            modified_before=moment(described.get("LastModifiedTime")),
        ),
        # UpdateInferenceComponent is unconditional: a concurrent update by a newer run is visible only now.
        ObserveAgain((FactKind.TAGS,)),
    ]


def _specification_of(
    observed: Observation, wanted: Wanted, target: str
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the members of a request with the target's specification, and the tags that store it.

    :raises ConflictError: When it is another run's, and not stored.
    """
    component = wanted.component
    if component is not None and component.name == target:
        return component.members, specifications_as_tags(component.comparable)
    found = stored_specifications(observed.tags, target)
    if found is None:
        raise ConflictError(
            f"Inference component {wanted.endpoint_name} should serve {target} again, but the specification is not in its tags, as it "
            "has an environment or is too large: run the task again that deployed it."
        )
    return request_members(found), {}


def run_tags(
    observed: Observation, wanted: Wanted, progress: Progress, known: EndpointTags
) -> dict[str, str]:
    """Return the tags that name the run which deployed the target, to write after AWS has accepted the update.

    Not earlier: until then no older run is overtaken. A rollback writes none: it ranks behind the run that it undoes.
    """
    target = str(progress.target)
    if progress.restores_run:
        # Only now: until AWS has accepted the update, a retry after a kill must find the claim.
        return {
            **_last_run(progress.restores_run, target),
            **_overlooked(known, wanted, target),
            **known.undone(task=wanted.task),
        }
    if wanted.run_after is None or progress.rolling_back:
        return {}
    if known.newer_than(wanted.run_after) and not wanted.allow_older:
        return {}
    own = known.run_of(wanted.task)
    last = _last_run(wanted.run_after, target)
    if own is None and last.items() <= observed.tags.items():
        return {}  # version 0.1.0 has deployed it
    if own and own.state is RunState.DEPLOYED and own.endpoint_config_name == target:
        return last
    taken_at = progress.updated_at or int(observed.now.timestamp())
    last |= _overlooked(known, wanted, target)
    return {**last, **Run(wanted.task, wanted.run_after, RunState.DEPLOYED, taken_at, target).as_tag()}


def fallback_tag(wanted: Wanted, target: str, known: EndpointTags | None = None) -> dict[str, str]:
    """Return the tag that names the config which a deployed fallback replaces."""
    asked = wanted.endpoint_config_name or ""
    if target in wanted.fallbacks and target != asked:
        return {FALLBACK_FOR: asked}
    # An empty value means that the serving config is not a fallback.
    return {FALLBACK_FOR: ""} if known and known.fallback_for else {}


def kept_for_replacement(observed: Observation, target: str, keys: Any) -> dict[str, str]:
    """Return the tags saved in a config for an endpoint that was deleted to be created again.

    :param observed: The observation of the endpoint.
    :param target: The config.
    :param keys: Selects their keys among all tags.
    """
    config = observed.config(target) if observed.kind is Kind.ENDPOINT else None
    if config is None:
        return {}
    tags = observed.tags_of(config["EndpointConfigArn"])
    return {key: tags[key] for key in keys(tags)}


def tags_to_keep(observed: Observation, known: EndpointTags) -> dict[str, str]:
    """Return the tags that name the cleanup after a failed endpoint was deleted and created again."""
    if observed.kind is not Kind.ENDPOINT:
        return {}
    tags = observed.tags
    snapshot = merged(known.snapshot, observed.scaling(observed.scaled_variants))
    alarms = {key: tags[key] for key in tags if key.startswith(ROLLOUT_ALARMS)}
    return {**alarms, **(as_tags(snapshot, observed.copy) if snapshot else {})}


def lost_copies(observed: Observation, wanted: Wanted, known: EndpointTags) -> dict[str, str]:
    """Return the tags with the scaling removed by this task, to write again.

    A run that deployed between this task's claim and its update took these copies over, and deleted them after it restored the scaling;
    then this task removed the scaling. A comparison does not show the loss: just-written tags count as present (see ``Observer``).
    """
    return dict(observed.copies) if known.deployed_since_claim(wanted.task) else {}


def _overlooked(known: EndpointTags, wanted: Wanted, target: str) -> dict[str, str]:
    """Return the tag with the corrected history, if other runs have deployed since this task's claim."""
    since = known.deployed_since_claim(wanted.task)
    history = with_overlooked(known.history, since, serving=target)
    return {PREVIOUS_ENDPOINT_CONFIGS: written(history)} if since else {}


def _changed_at(described: Described) -> int:
    """Return the time of an endpoint's last change, by AWS's clock, in seconds since the epoch."""
    changed = described.get("LastModifiedTime")
    return int(changed.timestamp()) if isinstance(changed, datetime) else 0


def _last_run(run_after: str, target: str) -> dict[str, str]:
    return {RUN_AFTER: run_after, DEPLOYING: f"{run_after} {target}"}


def _record(described: Described, wanted: Wanted, progress: Progress, known: EndpointTags) -> dict[str, str]:
    """Return the tags that describe this update and name its rollback target."""
    serving, target = described["EndpointConfigName"] or "nothing", str(progress.target)
    if progress.restores_run:
        return {DEPLOYING: f"{progress.restores_run} {target}", **_overlooked(known, wanted, target)}
    if progress.rolling_back:
        when = wanted.run_after
        done = {ROLLED_BACK: RolledBack(when, serving, target).written()} if when else {}
        return {
            PREVIOUS_ENDPOINT_CONFIGS: written(after_rollback(known.history, target=target)),
            **done,
            **known.undone(not_on=target),
            **(known.marked_unverified(serving) if progress.smoke_failure else {}),
        }
    claim: dict[str, str] = {}
    if wanted.run_after:
        claim = {
            DEPLOYING: f"{wanted.run_after} {target}",
            **(known.undone(newer_than=wanted.run_after) if wanted.allow_older else {}),
            **Run(wanted.task, wanted.run_after, RunState.CLAIMED, _changed_at(described), target).as_tag(),
        }
    return {
        **claim,
        PREVIOUS_ENDPOINT_CONFIGS: written(after_update(known.history, serving=serving, wanted=target)),
        **(known.marked_unverified(target) if wanted.smoke_test else {}),
        **fallback_tag(wanted, target, known),
    }


# Rollouts.


def _fleet_alarm_requests(
    wanted: Wanted, target: str, dimensions: tuple[str, str] | None = None
) -> list[dict[str, Any]]:
    names = {"endpoint_name": wanted.endpoint_name, "endpoint_config_name": target}
    return [
        fleet_alarm_request(alarm, index, **names, dimensions=dimensions)
        for index, alarm in enumerate(wanted.fleet_alarms)
    ]


def _checked_rollout(
    observed: Observation,
    wanted: Wanted,
    variants: Sequence[Mapping[str, Any]],
    counts: Mapping[str, int],
    fleet_alarms: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Return the deployment config of the update, with the alarms made for it."""
    asked = wanted.deployment_config
    if asked is None and not fleet_alarms:
        return None
    described = observed.endpoint or {}
    serving = (
        observed.variants_of(described["EndpointConfigName"]) or described.get("ProductionVariants") or []
    )
    problem = rollout_problem(asked, serving=serving, wanted=variants, counts=counts, strict=wanted.strict)
    if problem:
        initial = _initial_counts(variants)
        fits = rollout_problem(asked, serving=serving, wanted=variants, counts=initial, strict=wanted.strict)
        way_out = (
            ". The update would retain the instance counts; retain_variant_properties=False takes them from the config"
            if fits is None
            else ""
        )
        raise ConflictError(f"Endpoint {described['EndpointName']}: {problem}{way_out}.")
    return with_alarms(observed, asked or {}, fleet_alarms)


def first_update_problem(observed: Observation, wanted: Wanted, target: str) -> str:
    """Return a warning that no update of a new endpoint can use the requested rollout; empty if one can, or none is requested.

    CreateEndpoint takes no rollout, so the mistake would show months later, at the first update.

    :param observed: The observation of the endpoint.
    :param wanted: The requested deployment.
    :param target: The config with which the endpoint is created.
    """
    asked, fleet_alarms = wanted.deployment_config or {}, _fleet_alarm_requests(wanted, target)
    config = observed.config(target) if asked or fleet_alarms else None
    if config is None:
        return ""
    variants = config["ProductionVariants"]
    problem = rollout_problem(
        asked, serving=variants, wanted=variants, counts=_initial_counts(variants), strict=wanted.strict
    )
    named = [
        alarm["AlarmName"] for alarm in (asked.get("AutoRollbackConfiguration") or {}).get("Alarms") or []
    ]
    described = list(observed.alarms(named).values()) if named else []
    names = [*named, *(alarm["AlarmName"] for alarm in fleet_alarms)]
    kinds = kinds_of_config(variants, config.get("AsyncInferenceConfig"))
    cannot = problems(
        names, [*described, *fleet_alarms], asked, endpoint_name=wanted.endpoint_name, kinds=kinds
    )
    found = [*([problem] if problem else []), *cannot]
    if not found:
        return ""
    return f"Endpoint {wanted.endpoint_name} is created without a rollout, but its updates will fail: {'; '.join(found)}"


def _initial_counts(variants: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    counts = {variant["VariantName"]: variant.get("InitialInstanceCount") for variant in variants}
    return {name: count for name, count in counts.items() if count is not None}


def with_alarms(
    observed: Observation,
    deployment_config: Mapping[str, Any],
    fleet_alarms: Sequence[Mapping[str, Any]],
) -> dict[str, Any] | None:
    """Return a deployment config with the alarms that it names and those made for it, after checking that all can work.

    :param observed: The observation of the endpoint, or of the inference component.
    :param deployment_config: The deployment config.
    :param fleet_alarms: The alarms made for the deployment.
    :raises InvalidSpecError: When an alarm cannot work.
    :raises AlarmGoingOffError: When an alarm is in ALARM and would roll the deployment back at once.
    """
    rollback = deployment_config.get("AutoRollbackConfiguration") or {}
    named = [alarm["AlarmName"] for alarm in rollback.get("Alarms") or []]
    names = [*named, *(alarm["AlarmName"] for alarm in fleet_alarms)]
    if not names:
        return dict(deployment_config) or None
    name, noun = observed.endpoint_name, observed.kind.noun
    if len(names) > MAX_ALARMS:
        raise InvalidSpecError(
            f"{noun} {name}: the rollout has {len(names)} alarms; allowed: at most {MAX_ALARMS} "
            "(AutoRollbackConfig)."
        )
    described = list(observed.alarms(named).values()) if named else []
    found = problems(
        names,
        [*described, *fleet_alarms],
        deployment_config,
        endpoint_name=name,
        kinds=_kinds_of_variants(observed),
    )
    if found:
        raise InvalidSpecError(f"{noun} {name} is not updated: {'; '.join(found)}.")
    off = going_off(described)
    if off:
        raise AlarmGoingOffError(
            f"{noun} {name} is not updated: {'; '.join(off)}, which would roll the deployment back at "
            "once. Deploy without that alarm, or wait until it is OK; wait_for_alarms=True lets the task wait."
        )
    return {
        **deployment_config,
        "AutoRollbackConfiguration": {**rollback, "Alarms": [{"AlarmName": name} for name in names]},
    }


def _kinds_of_variants(observed: Observation) -> dict[str, str]:
    """Return the kind of endpoint of each variant that serves; none of an inference component.

    None of a serverless variant, either: the update may bring it to instances, which publish other metrics.
    """
    if observed.kind is not Kind.ENDPOINT or observed.endpoint is None:
        return {}
    endpoint = observed.endpoint
    kinds = {name: kind_of_endpoint(endpoint, variant) for name, variant in variants_of(endpoint).items()}
    return {name: kind for name, kind in kinds.items() if kind != SERVERLESS}


# Scaling.


def _snapshot_of_blocked(
    observed: Observation,
    scaled: set[str],
    variants: Sequence[Mapping[str, Any]],
    known: EndpointTags,
) -> Snapshot:
    """Return the scaling to remove: that of variants whose instance type changes, or that are removed.

    UpdateEndpoint refuses both for scalable targets (developer guide, "endpoint-scaling", on updating scaled endpoints).
    """
    if not scaled:
        return {}
    serving = observed.variants_of((observed.endpoint or {})["EndpointConfigName"])
    blocked = blocked_by_scaling(serving, variants, scaled)
    # The saved copy may belong to a run that was killed while it removed or restored the scaling.
    return merged(known.snapshot, observed.scaling(blocked) if blocked else {})


def _claims(known: EndpointTags, wanted: Wanted, observed: Observation) -> bool:
    """Return whether this task has claimed the endpoint's scaling for long enough."""
    return known.is_detached_by(wanted.task, observed.now + CLAIM_LEFT)


def _detaching(
    arn: str,
    wanted: Wanted,
    tags: Mapping[str, str],
    snapshot: Snapshot,
    copies: Mapping[str, str],
) -> list[Step]:
    """Return the steps that save the scaling and then remove it."""
    if not snapshot:
        return []
    # This update's copy includes the copies of other runs.
    others = tag_keys(tags)
    return [
        ConfirmDetaching(arn, wanted.task, copies=tuple(tag_keys(copies)), known=tuple(others)),
        *(
            [
                DeleteTags(
                    {"ResourceArn": arn, "TagKeys": others},
                    "older copies of the saved scaling",
                    "it is saved again",
                )
            ]
            if others
            else []
        ),
        *(
            DeregisterScalableTarget(
                place_of(scaling["target"]),
                f"scaling of variant {variant}",
                "the variant's instance type changes, or the variant is removed; the scaling is restored "
                "when the update has ended",
            )
            for variant, scaling in snapshot.items()
        ),
    ]


def release_of_claim(known: EndpointTags, wanted: Wanted) -> dict[str, str]:
    """Return the tag that ends this task's claim of the scaling, if it has one, so that no other run waits for it."""
    return {DETACHING: ""} if known.is_detached_by(wanted.task) else {}

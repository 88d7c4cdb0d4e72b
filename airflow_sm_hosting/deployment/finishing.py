"""Plan the cleanup after a deployment: restore the removed scaling, delete the alarms made for the deployment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, tags_to_delete
from airflow_sm_hosting.deployment.observation import Observation
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, repointed, restorable, tag_keys
from airflow_sm_hosting.deployment.status import is_transitional
from airflow_sm_hosting.deployment.steps import (
    DeleteAlarms,
    DeleteTags,
    PutCompositeAlarm,
    PutMetricAlarm,
    PutScalingPolicy,
    PutScheduledAction,
    RegisterScalableTarget,
    Step,
    tags_in_words,
)
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.spec.tags import DETACHING

ALARM_ACTIONS = ("AlarmActions", "OKActions", "InsufficientDataActions")


def finishing_steps(observed: Observation, wanted: Wanted, progress: Progress) -> list[Step]:
    """Return the next cleanup steps after a deployment has ended; none when nothing is left. The steps are idempotent.

    :param observed: The observation of the endpoint.
    :param wanted: The requested deployment.
    :param progress: The progress, with the keys of the tags that name the cleanup.
    """
    described = observed.endpoint if progress.unfinished else None
    if described is None:
        return []
    tags, arn = observed.tags, described["EndpointArn"]
    own = {key: tags[key] for key in progress.unfinished if key in tags}
    known = EndpointTags.read(own)
    done = set(tags_to_delete(own))
    if set(tag_keys(tags)) - done and is_transitional(described):
        # Another deployment of the endpoint restores the scaling when it has ended.
        done -= set(tag_keys(tags))
    elif known.snapshot:
        steps = _restoring(observed, known.snapshot, described.get("ProductionVariants") or [])
        if steps:
            return steps
    alarms: list[Step] = []
    for config in known.rollout_alarms:
        if names := observed.rollout_alarms(config):
            alarms.append(
                DeleteAlarms(
                    {"AlarmNames": names}, f"alarms {', '.join(names)}", "their deployment has ended"
                )
            )
    if EndpointTags.read(tags).detached_by_another(wanted.task, observed.now):
        done.discard(DETACHING)
    if not done:
        return alarms
    return [
        *alarms,
        *_forgetting_replacement(observed, described["EndpointConfigName"]),
        DeleteTags(
            {"ResourceArn": arn, "TagKeys": sorted(done)},
            tags_in_words(done),
            "they are no longer needed",
        ),
    ]


def _restoring(
    observed: Observation, snapshot: Snapshot, variants: Iterable[Mapping[str, Any]]
) -> list[Step]:
    """Return the steps that restore the scaling of the variants that can have it, and set the policies' new ARNs in alarms."""
    steps: list[Step] = []
    new_arns: dict[str, str] = {}
    for variant, scaling in restorable(snapshot, variants).items():
        restored = observed.restored.get(variant)
        names = {policy["PolicyName"] for policy in scaling["policies"]}
        if restored is None or not names <= set(restored):
            steps += _restoring_variant(variant, scaling)
            continue
        new_arns |= {
            old: restored[name]
            for old, name in scaling["arns"].items()
            if name in restored and restored[name] != old
        }
    return steps or _repointing(observed, new_arns)


def _restoring_variant(variant: str, scaling: Mapping[str, Any]) -> list[Step]:
    why = "it was removed for the update"
    return [
        RegisterScalableTarget(scaling["target"], f"scaling of variant {variant}", why, may_exist=True),
        *(
            PutScalingPolicy(policy, f"policy {policy['PolicyName']} of variant {variant}", why)
            for policy in scaling["policies"]
        ),
        *(
            PutScheduledAction(
                action, f"scheduled action {action['ScheduledActionName']} of variant {variant}", why
            )
            for action in scaling["actions"]
        ),
    ]


def _repointing(observed: Observation, new_arns: Mapping[str, str]) -> list[Step]:
    """Return the steps that update alarms whose actions contain a policy's old ARN."""
    alarms = {alarm["AlarmName"]: alarm for old in new_arns for alarm in observed.alarms_with_action(old)}
    steps: list[Step] = []
    for name, alarm in alarms.items():
        actions = {member: repointed(alarm.get(member) or [], new_arns) for member in ALARM_ACTIONS}
        put = PutCompositeAlarm if "AlarmRule" in alarm else PutMetricAlarm
        steps.append(
            put(
                {**alarm, **actions}, f"alarm {name}", "its action names the policy's new ARN", described=True
            )
        )
    return steps


def _forgetting_replacement(observed: Observation, config_name: str) -> list[Step]:
    """Return the step that deletes the saved tags of a config, if an endpoint was created again from it."""
    config = observed.config(config_name)
    if config is None:
        return []
    arn = config["EndpointConfigArn"]
    keys = tags_to_delete(observed.tags_of(arn))
    return (
        [
            DeleteTags(
                {"ResourceArn": arn, "TagKeys": keys}, f"tags of {config_name}", "the endpoint has them now"
            )
        ]
        if keys
        else []
    )

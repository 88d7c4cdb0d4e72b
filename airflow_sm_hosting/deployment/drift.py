"""Compare what serves with what the last deployment recorded in the endpoint's tags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, RunState, moment_of
from airflow_sm_hosting.deployment.observation import Fact, FactNeededError, Observation
from airflow_sm_hosting.deployment.status import on_its_way_to, same_name
from airflow_sm_hosting.deployment.verdict import described_drift
from airflow_sm_hosting.spec.tags import (
    CAPACITIES,
    DEPLOYING,
    FALLBACK_FOR,
    SCALING_POLICIES,
    SCHEDULED_ACTIONS,
    digest,
    digests_in,
)


@dataclass(frozen=True)
class Expected:
    """What an endpoint should be like.

    :param endpoint_name: The endpoint.
    :param endpoint_config_name: The config that should serve; None for the one that the endpoint's tags record.
    :param weights: Weights by variant, as far as they are compared.
    :param instance_counts: Instance counts by variant, as far as they are compared.
    :param scaled_variants: The variants that should be scaled as the tags of their scalable targets record.
    :param alarms: Alarms that should exist, with their actions switched on.
    """

    endpoint_name: str
    endpoint_config_name: str | None = None
    weights: Mapping[str, float] = field(default_factory=dict)
    instance_counts: Mapping[str, int] = field(default_factory=dict)
    scaled_variants: tuple[str, ...] = ()
    alarms: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drift:
    """How an endpoint differs from what was deployed.

    :param endpoint_config_name: The config that should serve; None if it is not known, as the endpoint is gone or is not ours any more.
    :param found: A sentence for each difference; none if there is no drift.
    """

    endpoint_config_name: str | None
    found: tuple[str, ...]


def drift_of(observed: Observation, expected: Expected) -> Drift | Fact:
    """Return how an endpoint differs from what was deployed, or the fact that is needed for that.

    :param observed: The observation of the endpoint.
    :param expected: What it should be like.
    """
    try:
        config = expected_config(observed, expected)
        return Drift(config, tuple(_found(observed, expected, config)))
    except FactNeededError as lacking:
        return lacking.fact


def expected_config(observed: Observation, expected: Expected) -> str | None:
    """Return the config that should serve: the given one, or that of the last deployment or rollback that the endpoint's tags record.

    That a fallback serves in its place, for want of capacity, is no drift.
    """
    described = observed.endpoint
    if described is None:
        return expected.endpoint_config_name
    config = expected.endpoint_config_name or _recorded(observed.tags, on_its_way_to(described))
    live = described.get("EndpointConfigName")
    if config and not same_name(config, live) and same_name(observed.tags.get(FALLBACK_FOR), config):
        return live
    return config


def _recorded(tags: Mapping[str, str], live: str | None) -> str | None:
    """Return the config of the newest deployment or rollback in tags; a claim counts if its config is there."""
    state = EndpointTags.read(tags, live)
    moments = [
        (moment_of(run.run_after), run.moment, run.endpoint_config_name)
        for run in state.runs
        if run.state is RunState.DEPLOYED
        or (run.state is RunState.CLAIMED and same_name(run.endpoint_config_name, live))
    ]
    newest = max(moments, default=None)
    rollback = state.rolled_back
    if rollback and (newest is None or moment_of(rollback.run_after) >= newest[0]):
        return rollback.target
    if newest:
        return newest[2]
    # Version 0.1.0 recorded no more than this.
    return tags.get(DEPLOYING, "").partition(" ")[2] or None


def _found(observed: Observation, expected: Expected, config: str | None) -> Iterator[str]:
    described = observed.endpoint
    yield from described_drift(described, config, expected.weights, expected.instance_counts)
    if described is None:
        return
    if config is None:
        yield "its tags record no deployment of this package: something else has created it, or has removed them"
    for variant in expected.scaled_variants:
        yield from _scaling_drift(variant, observed.get(observed.scaling_fact(variant)))
    alarms = observed.alarms(expected.alarms) if expected.alarms else {}
    for name in expected.alarms:
        if name not in alarms:
            yield f"alarm {name} does not exist"
        elif not alarms[name].get("ActionsEnabled", True):
            yield f"the actions of alarm {name} are switched off"


def _scaling_drift(variant: str, scaling: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield the differences between a variant's scaling and what the tags of its scalable target record."""
    if scaling is None:
        yield f"variant {variant} is not scaled"
        return
    target, tags = scaling["target"], scaling["target"].get("Tags") or {}
    if CAPACITIES not in tags:
        yield f"the scalable target of variant {variant} is not marked as ConfigureAutoscalingOperator marks it"
        return
    found = f"{target['MinCapacity']}-{target['MaxCapacity']}"
    # Scheduled actions change the capacities.
    if not scaling["actions"] and tags[CAPACITIES] not in (found, "changing"):
        yield f"variant {variant} scales between {found.replace('-', ' and ')}, not {tags[CAPACITIES].replace('-', ' and ')}"
    for key, noun, names in (
        (SCALING_POLICIES, "scaling policies", {one["PolicyName"] for one in scaling["policies"]}),
        (SCHEDULED_ACTIONS, "scheduled actions", {one["ScheduledActionName"] for one in scaling["actions"]}),
    ):
        missing = digests_in(key, tags) - {digest(name) for name in names}
        if missing:
            yield f"variant {variant} lacks {len(missing)} of its {noun}; it has: {', '.join(sorted(names)) or 'none'}"

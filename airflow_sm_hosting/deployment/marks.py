"""What an endpoint's tags tell of its deployments, and what they are to tell: SageMaker itself remembers none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from airflow_sm_hosting.deployment.history import remembered
from airflow_sm_hosting.deployment.scaling_snapshot import Snapshot, from_tags, tag_keys
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    DETACHING,
    FALLBACK_FOR,
    PENDING_COUNT,
    PREVIOUS_ENDPOINT_CONFIGS,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN_AFTER,
    is_ours,
)


@dataclass(frozen=True)
class RolledBack:
    """The last rollback.

    :param run_after: When the DAG run was due that did it.
    :param source: The config that served before.
    :param target: The config that it went back to.
    """

    run_after: str
    source: str
    target: str

    def written(self) -> str:
        """Return the tag's value."""
        return f"{self.run_after} {self.source} {self.target}"


@dataclass(frozen=True)
class Marks:
    """What the tags of one endpoint tell.

    :param ours: Whether the endpoint is marked as ours.
    :param run_after: When the DAG run was due that deployed last.
    :param history: The configs that served before, newest first.
    :param fallback_for: The config in whose place a fallback was deployed.
    :param rolled_back: The last rollback.
    :param rollout_alarms: The configs for whose deployments alarms were made.
    :param snapshot: The scaling that was taken off and not put back yet.
    :param counts: Instance counts still to be set: by variant, for which config.
    :param detaching: Whose task takes the scaling off, and until when others let it.
    """

    ours: bool = False
    run_after: str | None = None
    history: list[str] = field(default_factory=list)
    fallback_for: str | None = None
    rolled_back: RolledBack | None = None
    rollout_alarms: list[str] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=dict)
    counts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    detaching: tuple[str, datetime] | None = None

    @classmethod
    def read(cls, tags: Mapping[str, str], endpoint_config_name: str | None = None) -> Marks:
        """Return what tags tell.

        :param tags: The endpoint's tags.
        :param endpoint_config_name: The config that it is on its way to, else the one that it is on: an update to another one, which
            the tags say was to be made, was not.
        """
        rolled_back = tags.get(ROLLED_BACK, "").split()
        counts = {}
        for key, value in tags.items():
            config, _, count = value.rpartition(":")
            if key.startswith(PENDING_COUNT) and count.isdecimal():
                counts[key.removeprefix(PENDING_COUNT)] = (config, int(count))
        return cls(
            ours=is_ours(dict(tags)),
            run_after=_last_run(tags, endpoint_config_name),
            history=remembered(tags.get(PREVIOUS_ENDPOINT_CONFIGS)),
            fallback_for=tags.get(FALLBACK_FOR),
            rolled_back=RolledBack(*rolled_back) if len(rolled_back) == 3 else None,
            rollout_alarms=sorted(_after(ROLLOUT_ALARMS, tags)),
            snapshot=from_tags(tags),
            counts=counts,
            detaching=_claim(tags.get(DETACHING, "")),
        )

    def detached_by_another(self, task: str, now: datetime) -> datetime | None:
        """Return until when another task is let take the scaling off, if one is.

        :param task: Whose claim does not count.
        :param now: The time.
        """
        if self.detaching is None or self.detaching[0] == task or self.detaching[1] <= now:
            return None
        return self.detaching[1]

    def is_detached_by(self, task: str, now: datetime | None = None) -> bool:
        """Tell whether a task claims the endpoint's scaling.

        :param task: Which.
        :param now: The time, if a claim that has run out is not to count.
        """
        return (
            self.detaching is not None
            and self.detaching[0] == task
            and (now is None or self.detaching[1] > now)
        )

    def counts_for(self, endpoint_config_name: str) -> dict[str, int]:
        """Return the instance counts still to be set after the update to a config."""
        return {
            name: count for name, (config, count) in self.counts.items() if config == endpoint_config_name
        }

    def newer_than(self, run_after: str | None) -> str | None:
        """Return when the run was due that deployed last, if that is later than a run's own."""
        if not self.run_after or not run_after or moment_of(self.run_after) <= moment_of(run_after):
            return None
        return self.run_after


def claimed(task: str, until: datetime) -> dict[str, str]:
    """Return the tag by which a task claims the endpoint's scaling."""
    return {DETACHING: f"{task} {until.isoformat()}"}


def counts_to_set(tags: Mapping[str, str], target: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the tags that tell which instance counts are to be set after an update; what others left is made void.

    :param tags: The endpoint's tags.
    :param target: The config that it is updated to.
    :param counts: By variant.
    """
    left = {key: "" for key in tags if key.startswith(PENDING_COUNT) and tags[key]}
    return {**left, **{f"{PENDING_COUNT}{variant}": f"{target}:{count}" for variant, count in counts.items()}}


def leftovers(tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags that are to go once a deployment has ended, as what they tell of is put right then."""
    alarms = [key for key in tags if key.startswith(ROLLOUT_ALARMS)]
    void = [key for key in tags if key.startswith(PENDING_COUNT) and not tags[key]]
    return sorted([*tag_keys(tags), *alarms, *void, *([DETACHING] if DETACHING in tags else [])])


def _after(prefix: str, tags: Iterable[str]) -> list[str]:
    return [key.removeprefix(prefix) for key in tags if key.startswith(prefix)]


def _claim(value: str) -> tuple[str, datetime] | None:
    task, _, until = value.partition(" ")
    return (task, moment_of(until)) if until else None


def _last_run(tags: Mapping[str, str], endpoint_config_name: str | None) -> str | None:
    """Return when the run was due that deployed last: also when it died before it could write so after its update."""
    run_after, _, config = tags.get(DEPLOYING, "").partition(" ")
    return run_after if config and config == endpoint_config_name else tags.get(RUN_AFTER)


def moment_of(run_after: str) -> datetime:
    """Return the moment that a tag tells."""
    return datetime.fromisoformat(run_after)

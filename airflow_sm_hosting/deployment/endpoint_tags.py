"""What an endpoint's tags say about its deployments, and what they are to say: SageMaker itself remembers none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

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
    RUN,
    RUN_AFTER,
    is_ours,
)

#: So many entries of runs stay, beside the newest that has deployed and a task's own: a resource has 50 tags at most (AddTags).
MOST_RUNS = 4


class RunState(StrEnum):
    """How far a run has come."""

    #: Its tags are written, its update is to follow.
    CLAIMED = "claimed"
    #: AWS has taken its update.
    DEPLOYED = "deployed"
    #: A rollback has undone it, an older run that may has, or a newer run's config was restored over it: it orders no runs any more.
    UNDONE = "undone"


@dataclass(frozen=True)
class Run:
    """What one task of one DAG run has deployed, or is about to.

    :param task: The task's digest.
    :param run_after: When the DAG run was due.
    :param state: How far it has come.
    :param moment: When AWS took its update, in seconds since the epoch; of a claim, when the endpoint that it saw was changed last.
    :param endpoint_config_name: The config.
    """

    task: str
    run_after: str
    state: RunState
    moment: int
    endpoint_config_name: str

    def as_tag(self) -> dict[str, str]:
        """Return the tag that says so."""
        return {
            f"{RUN}{self.task}": f"{self.run_after} {self.state} {self.moment} {self.endpoint_config_name}"
        }

    @property
    def due(self) -> datetime:
        """The moment at which the run was due."""
        return moment_of(self.run_after)


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
class EndpointTags:
    """What the tags of one endpoint say.

    :param ours: Whether the endpoint is marked as ours.
    :param run_after: When the newest DAG run was due that has deployed it.
    :param history: The configs that served before, newest first.
    :param fallback_for: The config in whose place a fallback was deployed.
    :param rolled_back: The last rollback.
    :param rollout_alarms: The configs for whose deployments alarms were made.
    :param snapshot: The scaling that was taken off and not put back yet.
    :param counts: Instance counts still to be set: by variant, for which config.
    :param detaching: Whose task takes the scaling off, and until when others let it.
    :param runs: What each run has deployed, or is about to.
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
    runs: tuple[Run, ...] = ()

    @classmethod
    def read(cls, tags: Mapping[str, str], endpoint_config_name: str | None = None) -> EndpointTags:
        """Return what tags say.

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
        runs = tuple(_runs(tags))
        return cls(
            ours=is_ours(dict(tags)),
            run_after=_last_run(tags, runs, endpoint_config_name),
            history=remembered(tags.get(PREVIOUS_ENDPOINT_CONFIGS)),
            fallback_for=tags.get(FALLBACK_FOR),
            rolled_back=RolledBack(*rolled_back) if len(rolled_back) == 3 else None,
            rollout_alarms=sorted(_after(ROLLOUT_ALARMS, tags)),
            snapshot=from_tags(tags),
            counts=counts,
            detaching=_detaching_claim(tags.get(DETACHING, "")),
            runs=runs,
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
        """Return when the newest run was due that has deployed, if that is later than a run's own."""
        if not self.run_after or not run_after or moment_of(self.run_after) <= moment_of(run_after):
            return None
        return self.run_after

    def run_of(self, task: str) -> Run | None:
        """Return what a task has deployed, or is about to."""
        return next((run for run in self.runs if run.task == task), None)

    def newest_deployed(self) -> Run | None:
        """Return the newest run that has deployed and was not undone."""
        deployed = [run for run in self.runs if run.state is RunState.DEPLOYED]
        return max(deployed, key=lambda run: run.due, default=None)

    def older_run_on(self, endpoint_config_name: str | None, run_after: str | None) -> Run | None:
        """Return an older run that has deployed a config, or is about to.

        :param endpoint_config_name: The config.
        :param run_after: When the newer run was due.
        """
        if run_after is None:
            return None
        return next(
            (
                run
                for run in self.runs
                if run.endpoint_config_name == endpoint_config_name and run.due < moment_of(run_after)
            ),
            None,
        )

    def deployed_since_claim(self, task: str) -> list[str]:
        """Return the configs that other runs have deployed since a task looked at the endpoint to update it, newest first.

        :param task: Which; it has claimed, and may have been held since.
        """
        own = self.run_of(task)
        if own is None or own.state is not RunState.CLAIMED:
            return []
        since = [
            run
            for run in self.runs
            if run.task != task and run.state is RunState.DEPLOYED and run.moment > own.moment
        ]
        since.sort(key=lambda run: run.moment, reverse=True)
        return [run.endpoint_config_name for run in since]

    def undone(
        self, *, not_on: str | None = None, newer_than: str | None = None, task: str | None = None
    ) -> dict[str, str]:
        """Return the tags that mark runs as undone.

        :param not_on: Those that have deployed another config than this one.
        :param newer_than: Those that were due later.
        :param task: The one of this task.
        """
        tags: dict[str, str] = {}
        for run in self.runs:
            newer = newer_than is not None and run.due > moment_of(newer_than)
            left = not_on not in (None, run.endpoint_config_name) and run.state is RunState.DEPLOYED
            if run.state is not RunState.UNDONE and (left or newer or run.task == task):
                tags |= replace(run, state=RunState.UNDONE).as_tag()
        return tags

    def runs_to_forget(self, task: str) -> list[str]:
        """Return the keys of the oldest runs, once there are too many: never the newest that has deployed, nor a task's own.

        :param task: Whose entry stays.
        """
        if len(self.runs) <= MOST_RUNS:
            return []
        newest = self.newest_deployed()
        last = max(self.runs, key=lambda run: run.due)
        return sorted(
            f"{RUN}{run.task}" for run in self.runs if run.task != task and run not in (newest, last)
        )


def detaching_claim(task: str, until: datetime) -> dict[str, str]:
    """Return the tag by which a task claims the endpoint's scaling."""
    return {DETACHING: f"{task} {until.isoformat()}"}


def pending_count_tags(tags: Mapping[str, str], target: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the tags that tell which instance counts are to be set after an update; those of another update become void.

    :param tags: The endpoint's tags.
    :param target: The config that it is updated to.
    :param counts: By variant.
    """
    left = {key: "" for key in tags if key.startswith(PENDING_COUNT) and tags[key]}
    return {**left, **{f"{PENDING_COUNT}{variant}": f"{target}:{count}" for variant, count in counts.items()}}


def tags_to_delete(tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags to delete once a deployment has ended, and what they tell of is put right."""
    alarms = [key for key in tags if key.startswith(ROLLOUT_ALARMS)]
    void = [key for key in tags if key.startswith(PENDING_COUNT) and not tags[key]]
    return sorted([*tag_keys(tags), *alarms, *void, *([DETACHING] if DETACHING in tags else [])])


def moment_of(run_after: str) -> datetime:
    """Return the moment that a tag tells."""
    return datetime.fromisoformat(run_after)


def _is_moment(text: str) -> bool:
    """Tell whether a tag tells a moment: one that somebody else wrote may tell anything."""
    try:
        return moment_of(text).tzinfo is not None
    except ValueError:
        return False


def _after(prefix: str, tags: Iterable[str]) -> list[str]:
    return [key.removeprefix(prefix) for key in tags if key.startswith(prefix)]


def _runs(tags: Mapping[str, str]) -> Iterable[Run]:
    for key, value in tags.items():
        if not key.startswith(RUN):
            continue
        try:
            run_after, state, moment, config = value.split(" ")
            run = Run(key.removeprefix(RUN), run_after, RunState(state), int(moment), config)
        except ValueError:
            continue  # of a later version, or somebody's own
        if _is_moment(run_after):
            yield run


def _detaching_claim(value: str) -> tuple[str, datetime] | None:
    task, _, until = value.partition(" ")
    return (task, moment_of(until)) if _is_moment(until) else None


def _last_run(tags: Mapping[str, str], runs: Iterable[Run], endpoint_config_name: str | None) -> str | None:
    """Return when the newest run was due that has deployed: also when it died before it could write so after its update."""
    run_after, _, config = tags.get(DEPLOYING, "").partition(" ")
    known = [tags[RUN_AFTER]] if _is_moment(tags.get(RUN_AFTER, "")) else []
    if config and config == endpoint_config_name and _is_moment(run_after):
        # What 0.1.0 wrote of an update counts before the run that had deployed before it.
        known = [run_after]
    known += [
        run.run_after
        for run in runs
        if run.state is RunState.DEPLOYED
        or (run.state is RunState.CLAIMED and run.endpoint_config_name == endpoint_config_name)
    ]
    return max(known, key=moment_of, default=None)

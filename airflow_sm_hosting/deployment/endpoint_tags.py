"""The deployment state in an endpoint's tags: SageMaker itself stores none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from airflow_sm_hosting.deployment.history import remembered, written
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
    UNVERIFIED,
    is_ours,
)

#: Number of run entries to keep, beside the newest deployed run and the task's own: a resource has at most 50 tags (AddTags).
MOST_RUNS = 4


class RunState(StrEnum):
    """The state of a run's deployment."""

    #: The run has written its tags and has not yet called UpdateEndpoint.
    CLAIMED = "claimed"
    #: AWS has accepted the update of the run.
    DEPLOYED = "deployed"
    #: Undone by a rollback, by an older run with allow_older, or by restoring a newer run's config: it no longer affects the order of runs.
    UNDONE = "undone"


@dataclass(frozen=True)
class Run:
    """The config that one task of one DAG run has deployed, or will deploy.

    :param task: The task's digest.
    :param run_after: The due time of the DAG run.
    :param state: The state of its deployment.
    :param moment: When AWS accepted the update, in seconds since the epoch; for a claim, the last change of the endpoint that it saw.
    :param endpoint_config_name: The config.
    """

    task: str
    run_after: str
    state: RunState
    moment: int
    endpoint_config_name: str

    def as_tag(self) -> dict[str, str]:
        """Return the entry as a tag."""
        return {
            f"{RUN}{self.task}": f"{self.run_after} {self.state} {self.moment} {self.endpoint_config_name}"
        }

    @property
    def due(self) -> datetime:
        """The due time of the run."""
        return moment_of(self.run_after)


@dataclass(frozen=True)
class RolledBack:
    """The last rollback.

    :param run_after: The due time of the DAG run that rolled back.
    :param source: The config that served before.
    :param target: The config that the rollback restored.
    """

    run_after: str
    source: str
    target: str

    def written(self) -> str:
        """Return the tag's value."""
        return f"{self.run_after} {self.source} {self.target}"


@dataclass(frozen=True)
class EndpointTags:
    """The deployment state in the tags of one endpoint.

    :param ours: Whether the endpoint is marked as ours.
    :param run_after: The due time of the newest DAG run that has deployed the endpoint.
    :param history: The configs that served before, newest first.
    :param unverified: The configs whose verification failed or has not ended, newest first.
    :param fallback_for: The config that a deployed fallback replaces.
    :param rolled_back: The last rollback.
    :param rollout_alarms: The configs whose deployments have alarms of their own.
    :param snapshot: The scaling that was removed and is not restored yet.
    :param counts: Instance counts that are still to be set: by variant, for one config.
    :param detaching: The task that removes the scaling, and the time until which other tasks wait for it.
    :param runs: The config that each run has deployed, or will deploy.
    """

    ours: bool = False
    run_after: str | None = None
    history: list[str] = field(default_factory=list)
    unverified: list[str] = field(default_factory=list)
    fallback_for: str | None = None
    rolled_back: RolledBack | None = None
    rollout_alarms: list[str] = field(default_factory=list)
    snapshot: Snapshot = field(default_factory=dict)
    counts: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    detaching: tuple[str, datetime] | None = None
    runs: tuple[Run, ...] = ()

    @classmethod
    def read(cls, tags: Mapping[str, str], endpoint_config_name: str | None = None) -> EndpointTags:
        """Read the state from tags.

        :param tags: The endpoint's tags.
        :param endpoint_config_name: The config of the deployment in progress, else the serving config. If the tags announce an
            update to another config, that update did not happen.
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
            unverified=remembered(tags.get(UNVERIFIED)),
            fallback_for=tags.get(FALLBACK_FOR),
            rolled_back=RolledBack(*rolled_back) if len(rolled_back) == 3 else None,
            rollout_alarms=sorted(_after(ROLLOUT_ALARMS, tags)),
            snapshot=from_tags(tags),
            counts=counts,
            detaching=_detaching_claim(tags.get(DETACHING, "")),
            runs=runs,
        )

    def detached_by_another(self, task: str, now: datetime) -> datetime | None:
        """Return the time until which another task has claimed the scaling; None without such a claim.

        :param task: The task whose own claim is ignored.
        :param now: The time.
        """
        if self.detaching is None or self.detaching[0] == task or self.detaching[1] <= now:
            return None
        return self.detaching[1]

    def is_detached_by(self, task: str, now: datetime | None = None) -> bool:
        """Return whether a task claims the endpoint's scaling.

        :param task: The task.
        :param now: The time, to ignore an expired claim.
        """
        return (
            self.detaching is not None
            and self.detaching[0] == task
            and (now is None or self.detaching[1] > now)
        )

    def counts_for(self, endpoint_config_name: str) -> dict[str, int]:
        """Return the instance counts that are still to be set after the update to a config."""
        return {
            name: count for name, (config, count) in self.counts.items() if config == endpoint_config_name
        }

    def marked_unverified(self, endpoint_config_name: str) -> dict[str, str]:
        """Return the tag that marks a config as not verified."""
        others = [name for name in self.unverified if name != endpoint_config_name]
        return {UNVERIFIED: written([endpoint_config_name, *others])}

    def newer_than(self, run_after: str | None) -> str | None:
        """Return the due time of the newest deployed run, if it is later than the given run's."""
        if not self.run_after or not run_after or moment_of(self.run_after) <= moment_of(run_after):
            return None
        return self.run_after

    def run_of(self, task: str) -> Run | None:
        """Return the entry of a task."""
        return next((run for run in self.runs if run.task == task), None)

    def newest_deployed(self) -> Run | None:
        """Return the newest run that has deployed and is not undone."""
        deployed = [run for run in self.runs if run.state is RunState.DEPLOYED]
        return max(deployed, key=lambda run: run.due, default=None)

    def older_run_on(self, endpoint_config_name: str | None, run_after: str | None) -> Run | None:
        """Return an older run that has deployed a config, or will deploy it.

        :param endpoint_config_name: The config.
        :param run_after: The due time of the newer run.
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
        """Return the configs that other runs have deployed since a task observed the endpoint for its update, newest first.

        :param task: The task; it has claimed the endpoint, and may have been suspended since.
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

        :param not_on: Mark the runs that have deployed another config than this one.
        :param newer_than: Mark the runs with a later due time.
        :param task: Mark the run of this task.
        """
        tags: dict[str, str] = {}
        for run in self.runs:
            newer = newer_than is not None and run.due > moment_of(newer_than)
            left = not_on not in (None, run.endpoint_config_name) and run.state is RunState.DEPLOYED
            if run.state is not RunState.UNDONE and (left or newer or run.task == task):
                tags |= replace(run, state=RunState.UNDONE).as_tag()
        return tags

    def runs_to_forget(self, task: str) -> list[str]:
        """Return the keys of the oldest runs beyond the limit, but never the newest deployed run nor the task's own.

        :param task: The task whose entry stays.
        """
        if len(self.runs) <= MOST_RUNS:
            return []
        newest = self.newest_deployed()
        last = max(self.runs, key=lambda run: run.due)
        return sorted(
            f"{RUN}{run.task}" for run in self.runs if run.task != task and run not in (newest, last)
        )


def detaching_claim(task: str, until: datetime) -> dict[str, str]:
    """Return the tag with which a task claims the endpoint's scaling."""
    return {DETACHING: f"{task} {until.isoformat()}"}


def pending_count_tags(tags: Mapping[str, str], target: str, counts: Mapping[str, int]) -> dict[str, str]:
    """Return the tags with the instance counts to set after an update; the counts of another update become void.

    :param tags: The endpoint's tags.
    :param target: The config of the update.
    :param counts: Instance counts by variant.
    """
    left = {key: "" for key in tags if key.startswith(PENDING_COUNT) and tags[key]}
    return {**left, **{f"{PENDING_COUNT}{variant}": f"{target}:{count}" for variant, count in counts.items()}}


def tags_to_delete(tags: Mapping[str, str]) -> list[str]:
    """Return the keys of the tags to delete after a deployment has ended and its cleanup is done."""
    alarms = [key for key in tags if key.startswith(ROLLOUT_ALARMS)]
    void = [key for key in tags if key.startswith(PENDING_COUNT) and not tags[key]]
    return sorted([*tag_keys(tags), *alarms, *void, *([DETACHING] if DETACHING in tags else [])])


def moment_of(run_after: str) -> datetime:
    """Return the time in a tag."""
    return datetime.fromisoformat(run_after)


def _is_moment(text: str) -> bool:
    """Return whether a tag contains a valid time: somebody else may have written any text."""
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
            continue  # written by a later version, or by somebody else
        if _is_moment(run_after):
            yield run


def _detaching_claim(value: str) -> tuple[str, datetime] | None:
    task, _, until = value.partition(" ")
    return (task, moment_of(until)) if _is_moment(until) else None


def _last_run(tags: Mapping[str, str], runs: Iterable[Run], endpoint_config_name: str | None) -> str | None:
    """Return the due time of the newest deployed run, also if it died after its update and before it wrote its tags."""
    run_after, _, config = tags.get(DEPLOYING, "").partition(" ")
    known = [tags[RUN_AFTER]] if _is_moment(tags.get(RUN_AFTER, "")) else []
    if config and config == endpoint_config_name and _is_moment(run_after):
        # The update that version 0.1.0 wrote takes precedence over the run that had deployed before it.
        known = [run_after]
    known += [
        run.run_after
        for run in runs
        if run.state is RunState.DEPLOYED
        or (run.state is RunState.CLAIMED and run.endpoint_config_name == endpoint_config_name)
    ]
    return max(known, key=moment_of, default=None)

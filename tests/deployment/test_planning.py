"""What is planned: over all statuses, tags and options, and for several runs that go on in any order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given, settings, strategies as st

from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, Run, RunState, detaching_claim
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.planning import End, Ending, Plan, handed_over, plan
from airflow_sm_hosting.deployment.progress import Progress, Stage
from airflow_sm_hosting.deployment.scaling_snapshot import as_tags, tag_keys
from airflow_sm_hosting.deployment.status import is_transitional, on_its_way_to
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    Call,
    CheckAnswer,
    CreateEndpoint,
    DeleteEndpoint,
    DeleteTags,
    ObserveAgain,
    PutMetricAlarm,
    RegisterScalableTarget,
    UpdateEndpoint,
    UpdateEndpointWeightsAndCapacities,
    Wait,
    tags_in_words,
)
from airflow_sm_hosting.deployment.verdict import after_look, judge
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.exceptions import AlarmGoingOffError, ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.tags import (
    DEPLOYING,
    FALLBACK_FOR,
    OURS,
    PENDING_COUNT,
    PREVIOUS_ENDPOINT_CONFIGS,
    ROLLED_BACK,
    ROLLOUT_ALARMS,
    RUN_AFTER,
    UNVERIFIED,
)
from tests.deployment.test_decision import STATUSES
from tests.deployment.worlds import (
    ARN,
    EARLY,
    LATE,
    MIDDLE,
    NOW,
    SCALING,
    RefusedError,
    World,
    endpoint,
    nothing_known,
    planned,
    progress,
    tags_set,
    wanted,
)

DOCUMENTED = (ConflictError, InvalidSpecError, AlarmGoingOffError, NotFoundError)
CANARY = {
    "BlueGreenUpdatePolicy": {
        "TrafficRoutingConfiguration": {
            "Type": "CANARY",
            "WaitIntervalInSeconds": 0,
            "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": 50},
        }
    }
}
RUN = Run("task", MIDDLE, RunState.CLAIMED, 0, "b")
SECONDS = int(NOW.timestamp())


# Over all statuses, tags and options.

ENDPOINTS: list[dict[str, Any] | None] = [
    None,
    *(
        endpoint(status, live, pending, **({} if status != "Failed" else {"FailureReason": "capacity"}))
        for status, live, pending in product(STATUSES, ("a", "b"), (None, "b", "c"))
    ),
]
TAGS: dict[str, Mapping[str, str]] = {
    "not ours": {},
    "ours": OURS,
    "of 0.1.0": {**OURS, RUN_AFTER: EARLY, DEPLOYING: f"{MIDDLE} b", PREVIOUS_ENDPOINT_CONFIGS: "a c"},
    "claimed": {**OURS, RUN_AFTER: EARLY, **RUN.as_tag()},
    "claimed before a newer run": {
        **OURS,
        RUN_AFTER: LATE,
        **RUN.as_tag(),
        **Run("newer", LATE, RunState.DEPLOYED, SECONDS, "c").as_tag(),
    },
    "an older run": {**OURS, **Run("older", EARLY, RunState.DEPLOYED, SECONDS, "a").as_tag()},
    "rolled back": {**OURS, RUN_AFTER: LATE, ROLLED_BACK: f"{MIDDLE} a b", PREVIOUS_ENDPOINT_CONFIGS: "c"},
    "left over": {
        **OURS,
        f"{PENDING_COUNT}main": "b:2",
        f"{ROLLOUT_ALARMS}b": "made",
        **as_tags({"main": SCALING}, "abcd0123"),
        **detaching_claim("other", NOW + timedelta(seconds=9)),
    },
}
OPTIONS: list[dict[str, Any]] = [
    {"adopt": adopt, "allow_older": allow_older, "replace_failed_endpoint": replace_failed, **more}
    for adopt, allow_older, replace_failed, more in product(
        (False, True),
        (False, True),
        (False, True),
        (
            {"run_after": MIDDLE},
            {"run_after": None, "retried": True},
            {"run_after": MIDDLE, "retried": True, "endpoint_config_name": None},
            {"run_after": MIDDLE, "fallbacks": ("c",), "smoke_test": True, "rolls_back_wrong_answers": True},
        ),
    )
]


def results() -> Iterator[WaitResult]:
    for outcome in Outcome:
        if outcome is not Outcome.PENDING:
            yield WaitResult(str(outcome), "told", {"EndpointArn": ARN, "EndpointConfigName": "a"})


#: How far a deployment is when it is brought to its target; and once a wait has ended.
BEGINNINGS = [
    progress(),
    progress(updated_at=SECONDS, target="b", action="update", unfinished=(f"{ROLLOUT_ALARMS}b",)),
    progress(restores_run=LATE, target="c", action="overtaken"),
    progress(action="replace", target="b"),
]
AFTER_WAITS = [
    progress(target="b", action="update", counts=counts, waited_for_older=waited).after_wait(until, result)
    for until, result, counts, waited in product(
        (WaitFor.DEPLOYED, WaitFor.COUNTED), results(), ({}, {"main": 2}), (False, True)
    )
]
#: What the options decide is decided before the first wait.
CASES = [*product(OPTIONS, BEGINNINGS), *product(OPTIONS[:4], AFTER_WAITS)]


def check(found: Plan, world: World, asked: Wanted, before: Progress) -> None:
    """Hold what is to be true of every plan."""
    waits = [number for number, step in enumerate(found.steps) if isinstance(step, Wait)]
    assert waits in ([], [len(found.steps) - 1])
    assert found.end is None or not found.steps
    # A plan leads further: it does something, it ends, or something else is planned next.
    assert found.steps or found.end or found.progress != before
    changing = [
        step for step in found.steps if isinstance(step, CreateEndpoint | UpdateEndpoint | DeleteEndpoint)
    ]
    assert len(changing) <= 1
    for step in changing:
        known = EndpointTags.read(world.tags, on_its_way_to(world.endpoint))
        if not isinstance(step, CreateEndpoint):
            assert not is_transitional(world.endpoint)
            assert known.ours or asked.adopt
            assert asked.allow_older or found.progress.restores_run or not known.newer_than(asked.run_after)
        assert isinstance(step, CreateEndpoint) is (world.endpoint is None)
        if isinstance(step, UpdateEndpoint):
            # What the tags say then decides whether this run was overtaken.
            assert isinstance(found.steps[-1], ObserveAgain)
            assert all(isinstance(one, Call) for one in found.steps[:-1])


@pytest.mark.exhaustive
@pytest.mark.parametrize("scaling", [None, SCALING], ids=["not scaled", "scaled"])
@pytest.mark.parametrize("tags", TAGS)
def test_every_observation_leads_to_a_plan_or_a_documented_error(
    tags: str, scaling: Mapping[str, Any] | None
) -> None:
    found: Counter[str] = Counter()
    types = {"a": "ml.m5.large", "b": "ml.c5.large" if scaling else "ml.m5.large", "c": "ml.m5.large"}
    for described, (options, before) in product(ENDPOINTS, CASES):
        world = World(described, TAGS[tags], types, scaling)
        asked = wanted(**options)
        start = replace(before, rolling_back=asked.endpoint_config_name is None)
        try:
            made, _ = planned(world, asked, start)
        except DOCUMENTED as error:
            found[type(error).__name__] += 1
        else:
            check(made, world, asked, start)
            found["plan"] += 1
    assert found["plan"] > sum(found.values()) / 2


def test_a_missing_config_is_told_before_anything_is_done() -> None:
    world = World(endpoint("InService"), configs={"a": "ml.m5.large"})
    with pytest.raises(NotFoundError, match="no endpoint config 'b'"):
        planned(world, wanted(run_after=MIDDLE), progress())


# Runs that deploy one endpoint.


class Engine:
    """A run that goes on in small steps: a fact, a call or a look of a wait at a time.

    :param world: What all runs share.
    :param asked: What this one wants.
    """

    def __init__(self, world: World, asked: Wanted, start: Progress | None = None) -> None:
        self.world, self.asked = world, asked
        self.progress = start or progress(started_at=world.now.timestamp(), deadline=NOW.timestamp() + 10**6)
        self.end: End | None = None
        self._going = self._go()

    def step(self) -> None:
        if self.end is None:
            next(self._going, None)

    def kill(self) -> None:
        """Lose what is in memory, and try again."""
        if self.end is None:
            self.asked = replace(self.asked, retried=True)
            self.progress = progress(started_at=self.world.now.timestamp(), deadline=self.progress.deadline)
            self._going = self._go()

    def _go(self) -> Iterator[None]:
        while self.end is None:
            try:
                condition = yield from self._advance()
            except RefusedError:
                yield
                continue
            if condition:
                result = yield from self._wait(condition)
                self.progress = self.progress.after_wait(condition.until, result)

    def _advance(self) -> Generator[None, None, WaitCondition | None]:
        observed = nothing_known(now=self.world.now)
        while True:
            found = plan(observed, self.asked, self.progress)
            if isinstance(found, Fact):
                observed = observed.learned(found, self.world.fetch(found))
                yield
                continue
            self.progress = found.progress
            if found.end:
                assert found.end.ending is not Ending.TRY_AGAIN
                self.end = found.end
                return None
            for step in found.steps:
                if isinstance(step, Wait):
                    return step.condition
                answer = self.world.apply(step, self.asked.task)
                observed = step.effect(observed, answer)
                self.progress = self.progress.after_step(step, ARN, answer)
                yield

    def _wait(self, condition: WaitCondition) -> Generator[None, None, WaitResult]:
        while True:
            condition = after_look(condition, self.world.endpoint)
            verdict = judge(condition, self.world.endpoint)
            outcome, described = verdict.outcome, self.world.endpoint or {}
            if outcome is Outcome.PENDING and self.world.now.timestamp() >= (
                condition.give_up_at or self.progress.deadline
            ):
                outcome = Outcome.TIMED_OUT
            if outcome is not Outcome.PENDING:
                told: dict[str, str] = {
                    name: str(described[name])
                    for name in ("EndpointArn", "EndpointConfigName")
                    if name in described
                }
                return WaitResult(str(outcome), verdict.message, told)
            yield


def run_all(engines: list[Engine], *, most: int = 2000) -> None:
    """Let all runs go on in turn until they have ended."""
    for _ in range(most):
        if all(engine.end for engine in engines):
            return
        for engine in engines:
            engine.step()
        engines[0].world.pass_by(seconds=20)
    raise AssertionError(f"a run does not end: {[engine.progress for engine in engines if not engine.end]}")


DUE = {"a": EARLY, "b": MIDDLE, "c": LATE}
#: Which run goes on, for how many steps, how many seconds pass then, and whether it is killed then.
SCHEDULES = st.lists(
    st.tuples(
        st.integers(0, 2), st.integers(1, 12), st.sampled_from([0, 1, 400]), st.sampled_from([0, 0, 0, 1])
    ),
    max_size=25,
)


def three_runs(exists: bool) -> tuple[World, list[Engine]]:
    world = World(
        endpoint("InService", "before") if exists else None,
        configs=dict.fromkeys((*DUE, "before"), "ml.m5.large"),
    )
    return world, [
        Engine(world, wanted(endpoint_config_name=config, run_after=run_after, task=f"of-{config}"))
        for config, run_after in DUE.items()
    ]


#: The older run is held, the newer one is killed once its update has ended, and both go on.
KILLED_AFTER_ITS_UPDATE = st.tuples(
    st.integers(1, 8),
    st.integers(3, 9),
    st.lists(st.tuples(st.sampled_from([0, 2]), st.integers(1, 3), st.just(0), st.just(0)), max_size=12),
).map(lambda drawn: [(0, drawn[0], 0, 0), (2, drawn[1], 400, 1), *drawn[2]])


@settings(max_examples=200, deadline=None)
@given(schedule=SCHEDULES | KILLED_AFTER_ITS_UPDATE, exists=st.booleans())
@example(schedule=[(0, 4, 0, 0), (2, 6, 400, 1)], exists=True)
@example(schedule=[(0, 4, 0, 0), (2, 8, 400, 1), (2, 3, 1, 0), (0, 1, 0, 0), (0, 3, 1, 0)], exists=True)
def test_in_whatever_order_three_runs_go_on_each_ends_and_the_newest_serves(
    schedule: list[tuple[int, int, int, int]], exists: bool
) -> None:
    """More than one may be held at a time, and killed and tried again."""
    world, engines = three_runs(exists)
    for number, steps, seconds, kill in schedule:
        for _ in range(steps):
            engines[number].step()
        world.pass_by(seconds=seconds)
        if kill:
            engines[number].kill()

    run_all(engines)
    world.pass_by(hours=1)

    assert world.endpoint
    assert (world.endpoint["EndpointStatus"], world.endpoint["EndpointConfigName"]) == ("InService", "c")
    assert engines[2].end
    assert engines[2].end.ending is Ending.SUCCEEDED
    assert {engine.end.ending for engine in engines if engine.end} <= {Ending.SUCCEEDED, Ending.SKIPPED}


# What a run does that was held, step by step.


def newer_run(state: RunState = RunState.DEPLOYED, moment: int = SECONDS) -> dict[str, str]:
    return {**OURS, RUN_AFTER: LATE, **Run("newer", LATE, state, moment, "c").as_tag()}


def test_a_run_that_is_overtaken_looks_once_more_when_the_endpoint_was_described_before_its_tags() -> None:
    world = World(endpoint("InService", "a"), newer_run())

    first, _ = planned(world, wanted(run_after=MIDDLE), progress())
    world.endpoint = endpoint("InService", "c")
    second, _ = planned(world, wanted(run_after=MIDDLE), first.progress)

    assert (first.steps, first.end) == ((ObserveAgain(),), None)
    assert second.end
    assert (second.end.ending, second.end.serving) == (Ending.SKIPPED, "c")


@pytest.mark.parametrize("shown", ["c", "C"])
def test_one_that_is_shown_the_newer_config_does_not_observe_again(shown: str) -> None:
    world = World(endpoint("InService", shown), newer_run())
    found, _ = planned(world, wanted(run_after=MIDDLE), progress())
    assert found.end


def test_a_claim_tells_when_the_endpoint_was_changed_last() -> None:
    found, _ = planned(World(endpoint("InService", "a")), wanted(run_after=MIDDLE), progress())
    own = EndpointTags.read(tags_set(found)).run_of("task")
    assert own == Run("task", MIDDLE, RunState.CLAIMED, SECONDS - 30 * 60, "b")


def held_run(**given: Any) -> tuple[World, Observation, Progress]:
    """Return a run whose update was just taken, after it had been held since it claimed."""
    claim = Run("task", MIDDLE, RunState.CLAIMED, SECONDS - 600, "b").as_tag()
    others = Run("other", EARLY, RunState.DEPLOYED, SECONDS - 300, "c").as_tag()
    tags = {**OURS, **claim, **others, PREVIOUS_ENDPOINT_CONFIGS: "a", **given.pop("tags", {})}
    observed = nothing_known(own_change="updated", modified_before=NOW.isoformat(), **given)
    world = World(endpoint("Updating", "c", "b"), tags)
    return world, observed, progress(target="b", action="update", updated_at=SECONDS)


def test_the_history_has_what_served_while_a_run_was_held_before_its_update() -> None:
    world, observed, held = held_run()
    found, _ = planned(world, wanted(run_after=MIDDLE), held, observed)
    assert tags_set(found)[PREVIOUS_ENDPOINT_CONFIGS] == "c a"


def test_scaling_that_a_held_run_took_off_again_is_written_down_again() -> None:
    copies = as_tags({"main": SCALING}, "0123abcd")
    world, observed, held = held_run(copies=copies)
    found, _ = planned(world, wanted(run_after=MIDDLE), held, observed)
    assert copies.items() <= tags_set(found).items()
    assert found.steps[0].tags == copies  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["b", "B"])
@pytest.mark.parametrize("status", ["Updating", "InService"])
def test_a_run_whose_update_was_late_restores_the_newer_config(status: str, name: str) -> None:
    """Its scaling is written down again at once, and that it is undone only when AWS has taken the newer config again."""
    copies = as_tags({"main": SCALING}, "0123abcd")
    world, observed, late = held_run(copies=copies, tags=newer_run(moment=SECONDS - 60))
    world.endpoint = endpoint(status, name, name if status == "Updating" else None)
    asked = wanted(run_after=MIDDLE)

    noticed, _ = planned(world, asked, late, observed)
    world.endpoint = endpoint("InService", "b")
    restoring, _ = planned(world, asked, noticed.progress)
    world.endpoint = endpoint("Updating", "b", "c")
    after, _ = planned(world, asked, noticed.progress, nothing_known(own_change="updated"))

    assert tags_set(noticed) == copies
    assert (noticed.progress.target, noticed.progress.restores_run) == ("c", LATE)
    [update] = [step for step in restoring.steps if isinstance(step, UpdateEndpoint)]
    assert update.request["EndpointConfigName"] == "c"
    assert EndpointTags.read({**world.tags, **tags_set(restoring)}).run_of("task").state is RunState.CLAIMED
    assert EndpointTags.read({**world.tags, **tags_set(after)}).run_of("task").state is RunState.UNDONE


@pytest.mark.parametrize(
    ("described", "action"),
    [(endpoint("InService", "b"), Action.UNCHANGED), (endpoint("Updating", "c", "b"), Action.JOIN)],
)
def test_a_newer_run_whose_config_was_restored_meanwhile_has_deployed_it(
    described: dict[str, Any], action: Action
) -> None:
    result = WaitResult(str(Outcome.ROLLED_BACK), "it serves c", {"EndpointConfigName": "c"})
    before = progress(target="b", action="update", previous_endpoint_config_name="a")
    own = Run("task", LATE, RunState.DEPLOYED, SECONDS, "b").as_tag()
    world = World(described, {**OURS, **own, RUN_AFTER: LATE, PREVIOUS_ENDPOINT_CONFIGS: "a"})

    first, known = planned(world, wanted(run_after=LATE), before.after_wait(WaitFor.DEPLOYED, result))
    second, _ = planned(world, wanted(run_after=LATE), first.progress, known)

    assert (first.steps, first.end, first.progress.stage) == ((), None, Stage.DEPLOY)
    assert second.decision
    assert second.decision.action is action
    assert (second.progress.action, second.progress.previous_endpoint_config_name) == ("update", "a")


@pytest.mark.parametrize(
    ("before", "action", "live", "outcome"),
    [
        ("a", "update", "a", "rolled_back"),
        ("A", "update", "a", "rolled_back"),
        ("a", "update", "c", "failed"),
        (None, "create", "c", "failed"),
        # What served before a joined deployment is not known.
        (None, "join", "c", "rolled_back"),
    ],
)
def test_another_update_is_not_called_a_rollback(
    before: str | None, action: str, live: str, outcome: str
) -> None:
    """SageMaker goes back to what served before, and to nothing else."""
    result = WaitResult(str(Outcome.ROLLED_BACK), "It went back.", {"EndpointConfigName": live})
    deployed = progress(target="b", action=action, previous_endpoint_config_name=before)
    made, _ = planned(
        World(endpoint("InService", live)), wanted(), deployed.after_wait(WaitFor.DEPLOYED, result)
    )
    assert made.end
    assert made.progress.result
    assert made.progress.result.outcome == outcome
    assert ("Another tool has deployed" in made.end.message) is (outcome == "failed")


def test_the_reason_of_a_rollback_to_another_tools_config_is_told() -> None:
    """Another tool may have deployed between this task's last look and its update, which was then rolled back to that."""
    described = {"EndpointConfigName": "c", "FailureReason": "It did not pass the ping health check."}
    result = WaitResult(str(Outcome.ROLLED_BACK), "SageMaker rolled it back.", described)
    deployed = progress(target="b", action="update", previous_endpoint_config_name="a")
    made, _ = planned(
        World(endpoint("InService", "c")), wanted(), deployed.after_wait(WaitFor.DEPLOYED, result)
    )
    assert made.end
    assert made.end.message == (
        "The endpoint served a before, should serve b, and serves c. Another tool has deployed c, before or after this task's update. "
        "SageMaker's last reason: It did not pass the ping health check."
    )


def test_a_rollback_marks_all_runs_as_undone_that_deployed_another_config() -> None:
    """Also where the config serves already: an older run that is tried again would restore what was rolled back."""
    world = World(
        endpoint("InService", "c"),
        {
            **newer_run(),
            **Run("middle", MIDDLE, RunState.DEPLOYED, SECONDS, "b").as_tag(),
            **Run("early", EARLY, RunState.DEPLOYED, SECONDS, "a").as_tag(),
        },
    )
    for serving in ("c", "a"):
        world.endpoint = endpoint("InService", serving)
        found, _ = planned(
            world, wanted(endpoint_config_name="a", run_after=LATE), progress(rolling_back=True)
        )
        states = {run.task: run.state for run in EndpointTags.read({**world.tags, **tags_set(found)}).runs}
        assert states == {"newer": RunState.UNDONE, "middle": RunState.UNDONE, "early": RunState.DEPLOYED}


def test_counts_are_not_set_on_another_runs_config() -> None:
    """They are once an update has ended; if AWS changes something meanwhile, they wait."""
    result = WaitResult(str(Outcome.DEPLOYED), "", {"EndpointArn": ARN})
    deployed = progress(target="b", action="update", counts={"main": 2}).after_wait(WaitFor.DEPLOYED, result)
    world = World(endpoint("InService", "b"), newer_run())

    counting, _ = planned(world, wanted(run_after=MIDDLE), deployed)
    world.endpoint = endpoint("SystemUpdating", "b")
    waiting, _ = planned(world, wanted(run_after=MIDDLE), deployed)
    world.endpoint = endpoint("InService", "c")
    looking, known = planned(world, wanted(run_after=MIDDLE), deployed)
    overtaken = looking.progress.after_wait(
        WaitFor.DEPLOYED, WaitResult(str(Outcome.ROLLED_BACK), "", {"EndpointConfigName": "c"})
    )
    ended, _ = planned(world, wanted(run_after=MIDDLE), overtaken, known)

    assert isinstance(counting.steps[0], UpdateEndpointWeightsAndCapacities)
    assert [type(step) for step in waiting.steps] == [Wait]
    assert [type(step) for step in looking.steps] == [Wait]  # one description proves nothing
    assert ended.end
    assert ended.end.ending is Ending.SKIPPED


def test_a_restored_config_that_nobody_waits_for_is_no_success() -> None:
    assert handed_over(progress(target="b"), ARN) == End(Ending.SUCCEEDED, "", "b", ARN)
    restored = handed_over(progress(target="c", restores_run=LATE), ARN)
    assert (restored.ending, restored.serving) == (Ending.SKIPPED, "c")
    assert "is restored" in restored.message


def test_a_run_that_has_restored_a_newer_runs_config_is_skipped() -> None:
    """The smoke test is not for that config."""
    result = WaitResult(str(Outcome.DEPLOYED), "Endpoint churn serves c.", {"EndpointArn": ARN})
    restored = progress(target="c", restores_run=LATE, action="overtaken")
    asked = wanted(run_after=MIDDLE, smoke_test=True)

    found, _ = planned(
        World(endpoint("InService", "c")), asked, restored.after_wait(WaitFor.DEPLOYED, result)
    )

    assert found.end
    assert (found.end.ending, found.end.serving, found.end.endpoint_arn) == (Ending.SKIPPED, "c", ARN)
    assert (
        f"a newer run, due {LATE}; c, which that one deployed, was restored and serves" in found.end.message
    )


def test_a_line_of_the_log_names_a_few_tags_and_counts_the_rest() -> None:
    assert tags_in_words({"b": "1", "a": "2"}) == "tags a, b"
    assert tags_in_words(["e", "d", "c", "b", "a"]) == "tags a, b, c and 2 more"


def test_entries_of_old_runs_go_when_an_update_was_taken() -> None:
    others = [Run(f"old{number}", EARLY, RunState.UNDONE, SECONDS, "a") for number in range(4)]
    own = Run("task", MIDDLE, RunState.CLAIMED, SECONDS, "b")
    tags = {**OURS, **{key: value for run in (*others, own) for key, value in run.as_tag().items()}}
    world, before = World(endpoint("Updating", "a", "b"), tags), progress(target="b", action="update")

    taken, _ = planned(world, wanted(run_after=MIDDLE), before, nothing_known(own_change="updated"))
    joined, _ = planned(world, wanted(run_after=MIDDLE), before)

    [forget] = [step for step in taken.steps if isinstance(step, DeleteTags)]
    assert forget.request == {
        "ResourceArn": ARN,
        "TagKeys": [f"sm-hosting:run:old{number}" for number in range(4)],
    }
    assert not [step for step in joined.steps if isinstance(step, DeleteTags)]


def test_a_config_that_serves_with_another_image_than_was_asked_for_is_a_failure() -> None:
    image = {"SpecifiedImage": "churn@sha256:1", "ResolvedImage": "churn@sha256:2"}
    variants = [{"VariantName": "main", "DesiredInstanceCount": 1, "DeployedImages": [image]}]
    world = World(endpoint("InService", "b", ProductionVariants=variants))

    judged, observed = planned(world, wanted(run_after=MIDDLE), progress())
    ended, _ = planned(world, wanted(run_after=MIDDLE), judged.progress, observed)

    assert judged.decision
    assert (judged.steps, judged.end, judged.decision.action) == ((), None, Action.FAIL)
    assert ended.end
    assert (ended.end.ending, ended.end.serving, ended.end.endpoint_arn) == (Ending.FAILED, "b", ARN)
    assert "variant main runs churn@sha256:2, not the requested churn@sha256:1" in ended.end.message


def test_a_failed_endpoint_stays_when_there_is_no_config_to_keep_its_tags() -> None:
    """DeleteEndpoint deletes them, and a later try would find neither scaling nor alarms."""
    world = World(endpoint("Failed", "b"), {**OURS, f"{ROLLOUT_ALARMS}b": "made"}, configs={})
    with pytest.raises(NotFoundError, match="no endpoint config 'b'"):
        planned(world, wanted(run_after=MIDDLE), progress())


def test_a_run_that_was_overtaken_restores_the_scaling_that_it_took_off_before_it_is_skipped() -> None:
    copies = as_tags({"main": SCALING}, "0123abcd")
    world = World(endpoint("InService", "c"), {**newer_run(), **copies})
    before = progress(target="b", unfinished=tuple(copies))

    restoring, observed = planned(world, wanted(run_after=MIDDLE), before)
    for step in restoring.steps:
        observed = step.effect(observed, world.apply(step, "task"))
    forgetting, observed = planned(world, wanted(run_after=MIDDLE), restoring.progress, observed)
    for step in forgetting.steps:
        observed = step.effect(observed, world.apply(step, "task"))
    ended, _ = planned(world, wanted(run_after=MIDDLE), forgetting.progress, observed)

    assert (restoring.end, forgetting.end) == (None, None)
    assert world.scaling == SCALING
    assert not set(copies) & set(world.tags)
    assert ended.end
    assert (ended.end.ending, ended.end.serving) == (Ending.SKIPPED, "c")


# The smoke test.


@pytest.mark.parametrize(
    ("live", "wrong", "rolls_back", "ending", "message"),
    [
        ("a", {}, True, Ending.SUCCEEDED, "Endpoint churn serves b."),
        ("a", {"b": "It says 500."}, False, Ending.WRONG_ANSWER, "It says 500. b continues to serve."),
        (
            "a",
            {"b": "It says 500."},
            True,
            Ending.WRONG_ANSWER,
            "It says 500. The response came from b. The endpoint was rolled back, and serves a.",
        ),
        # Nothing served before.
        (None, {"b": "It says 500."}, True, Ending.WRONG_ANSWER, "It says 500. b continues to serve."),
        # The answer of the config before is not asked for.
        (
            "a",
            {"a": "It says 400.", "b": "It says 500."},
            True,
            Ending.WRONG_ANSWER,
            "It says 500. The response came from b. The endpoint was rolled back, and serves a.",
        ),
    ],
    ids=["right", "wrong", "wrong, rolls back", "wrong, nothing before", "wrong before, too"],
)
def test_a_wrong_answer_ends_a_run_and_rolls_the_endpoint_back_where_that_is_wanted(
    live: str | None, wrong: dict[str, str], rolls_back: bool, ending: Ending, message: str
) -> None:
    world = World(endpoint("InService", live) if live else None, wrong_answers=wrong)
    asked = wanted(run_after=MIDDLE, smoke_test=True, rolls_back_wrong_answers=rolls_back)
    engine = Engine(world, asked)

    run_all([engine])

    assert engine.end
    assert (engine.end.ending, engine.end.message) == (ending, message)
    assert world.endpoint
    assert world.endpoint["EndpointConfigName"] == engine.end.serving
    went_back = engine.end.serving == "a"
    assert [config for _, config in world.accepted] == (["b", "a"] if went_back else ["b"])
    # A run that was undone does not keep an older one from deploying.
    own = EndpointTags.read(world.tags).run_of("task")
    assert own
    assert own.state is (RunState.UNDONE if went_back else RunState.DEPLOYED)


def test_the_smoke_test_invokes_the_endpoint_by_the_name_that_aws_describes() -> None:
    result = WaitResult(str(Outcome.DEPLOYED), "", {"EndpointArn": ARN, "EndpointName": "Churn"})
    deployed = progress(target="b", action="update").after_wait(WaitFor.DEPLOYED, result)
    checking, _ = planned(World(endpoint("InService", "b")), wanted(smoke_test=True), deployed)
    assert checking.steps == (CheckAnswer("Churn"), ObserveAgain())


def test_a_rollback_after_a_wrong_answer_is_a_deployment_of_its_own_and_a_warning() -> None:
    world, result = World(endpoint("InService", "b")), WaitResult(str(Outcome.DEPLOYED), "")
    before = progress(
        target="b", action="update", previous_endpoint_config_name="a", updated_at=SECONDS
    ).after_wait(WaitFor.DEPLOYED, result)
    asked = wanted(run_after=MIDDLE, smoke_test=True, rolls_back_wrong_answers=True)

    checking, _ = planned(world, asked, before)
    back, _ = planned(world, asked, replace(before, answer_failure="It says 500."))

    assert checking.steps == (CheckAnswer("churn"), ObserveAgain())
    assert (back.steps, back.warning) == ((ObserveAgain(),), "It says 500. Rolling back to a")
    assert (back.progress.target, back.progress.rolling_back) == ("a", True)
    assert (back.progress.stage, back.progress.updated_at) == (Stage.DEPLOY, None)


@pytest.mark.parametrize(
    "asked",
    [
        {"deployment_config": {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "bad-answers"}]}}},
        {"deployment_config": CANARY},
        {"fleet_alarms": [{"Metric": "never read"}]},
    ],
    ids=["an alarm that went off", "a canary of one instance", "an alarm on the new fleet"],
)
def test_a_rollback_after_a_wrong_answer_is_all_at_once_and_without_alarms(asked: dict[str, Any]) -> None:
    off = {"bad-answers": {"AlarmName": "bad-answers", "StateValue": "ALARM"}}
    world = World(endpoint("InService", "b"), alarms=off)
    back = progress(target="a", rolling_back=True, smoke_failure="It says 500.")

    made, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True, **asked), back)

    (update,) = (step for step in made.steps if isinstance(step, UpdateEndpoint))
    assert update.request["EndpointConfigName"] == "a"
    assert "DeploymentConfig" not in update.request
    assert not [step for step in made.steps if isinstance(step, PutMetricAlarm)]


@pytest.mark.parametrize(
    ("world", "reason"),
    [
        (World(endpoint("InService", "b"), configs={"b": "ml.m5.large"}), "There is no endpoint config 'a'."),
        (
            World(endpoint("OutOfService", "b")),
            "endpoint churn is OutOfService (no reason given); AWS does not",
        ),
    ],
    ids=["deleted", "out of service"],
)
def test_a_rollback_that_is_not_possible_ends_with_the_wrong_answer_first(world: World, reason: str) -> None:
    back = progress(target="a", rolling_back=True, smoke_failure="It says 500.")

    made, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True), back)

    assert made.end
    assert (made.end.ending, made.end.serving) == (Ending.WRONG_ANSWER, "b")
    assert made.end.message.startswith(f"It says 500. Rolling back to a failed: {reason}")
    assert made.end.message.endswith(" b serves.")


def test_a_rollback_that_is_not_possible_cleans_up_first() -> None:
    tags = {**OURS, **as_tags({"main": SCALING}, "abcd0123")}
    world = World(endpoint("InService", "b"), tags, configs={"b": "ml.m5.large"})
    back = progress(
        target="a", rolling_back=True, smoke_failure="It says 500.", unfinished=tuple(tag_keys(tags))
    )

    made, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True), back)

    assert made.end is None
    assert isinstance(made.steps[0], RegisterScalableTarget)


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.FAILED, Outcome.TIMED_OUT])
def test_a_rollback_that_fails_ends_with_the_wrong_answer_first(outcome: Outcome) -> None:
    described = {"EndpointArn": ARN, "EndpointConfigName": "b"}
    result = WaitResult(str(outcome), "It did not work.", described)
    back = progress(target="a", rolling_back=True, smoke_failure="It says 500.").after_wait(
        WaitFor.DEPLOYED, result
    )

    made, _ = planned(World(endpoint("InService", "b")), wanted(run_after=MIDDLE, smoke_test=True), back)

    assert made.end
    assert made.end.ending is Ending.WRONG_ANSWER
    assert made.end.message == "It says 500. Rolling back to a failed: It did not work. b serves."


def after_smoke_test(failure: str, *, refused: bool = False, before: str | None = "a") -> Progress:
    """Return the progress after the smoke test of ``b``."""
    result = WaitResult(str(Outcome.DEPLOYED), "Endpoint churn serves b.", {"EndpointArn": ARN})
    deployed = progress(target="b", action="update", previous_endpoint_config_name=before)
    deployed = deployed.after_wait(WaitFor.DEPLOYED, result)
    return replace(deployed, answer_failure=failure, answer_refused=refused)


def test_a_request_that_sagemaker_refuses_is_no_verdict() -> None:
    world = World(endpoint("InService", "b"), {**OURS, UNVERIFIED: "b"})
    asked = wanted(run_after=MIDDLE, smoke_test=True, rolls_back_wrong_answers=True)

    made, _ = planned(world, asked, after_smoke_test("It is refused.", refused=True))

    assert made.end
    assert (made.steps, made.end.ending, made.end.serving) == ((), Ending.WRONG_ANSWER, "b")
    assert made.end.message == (
        "It is refused. The request was refused, which is no verdict on the model. b continues to serve."
    )


@pytest.mark.parametrize(
    ("failure", "unverified", "wrote"),
    [
        ("", "b", None),
        ("", "b c", "c"),
        ("", "c", "c"),
        ("It says 500.", "b c", "b c"),
        ("It says 500.", "c", "b c"),
        ("It says 500.", "", "b"),
    ],
)
def test_the_tags_name_the_configs_that_were_not_verified(
    failure: str, unverified: str, wrote: str | None
) -> None:
    tags = {**OURS, **({UNVERIFIED: unverified} if unverified else {})}
    world = World(endpoint("InService", "b"), tags)

    made, observed = planned(world, wanted(run_after=MIDDLE, smoke_test=True), after_smoke_test(failure))
    for step in made.steps:
        observed = step.effect(observed, world.apply(step, "task"))
    ended, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True), made.progress, observed)

    assert world.tags.get(UNVERIFIED) == wrote
    assert ended.end


def test_the_tags_of_an_endpoint_that_is_not_ours_stay() -> None:
    world = World(endpoint("InService", "b"), {})
    made, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True), after_smoke_test("It says 500."))
    assert (made.steps, made.end is not None) == ((), True)


@pytest.mark.parametrize(
    ("unverified", "history", "back"),
    [("b", "a", "a"), ("b a", "a c", "c"), ("b a", "a", None), ("b", "", "a")],
)
def test_a_wrong_answer_rolls_back_to_the_last_good_config(
    unverified: str, history: str, back: str | None
) -> None:
    tags = {**OURS, UNVERIFIED: unverified, PREVIOUS_ENDPOINT_CONFIGS: history}
    world = World(endpoint("InService", "b"), tags)
    asked = wanted(run_after=MIDDLE, smoke_test=True, rolls_back_wrong_answers=True)

    made, _ = planned(world, asked, after_smoke_test("It says 500."))

    assert (made.progress.target if made.progress.rolling_back else None) == back


def test_a_rollback_task_goes_to_the_last_good_config_or_says_that_there_is_none() -> None:
    asked = wanted(endpoint_config_name=None, run_after=LATE)
    tags = {**OURS, PREVIOUS_ENDPOINT_CONFIGS: "b a", UNVERIFIED: "b"}
    good, _ = planned(World(endpoint("InService", "c"), tags), asked, progress(rolling_back=True))
    assert good.progress.target == "a"

    with pytest.raises(NotFoundError, match=r"no previous config that was verified \(only b, a\): give one"):
        planned(
            World(endpoint("InService", "c"), {**tags, UNVERIFIED: "b a"}), asked, progress(rolling_back=True)
        )


def test_a_rollback_that_was_rolled_back_is_not_skipped_by_the_next_one() -> None:
    world = World(endpoint("InService", "c"), {**OURS, PREVIOUS_ENDPOINT_CONFIGS: "b a"})
    asked = wanted(endpoint_config_name=None, run_after=MIDDLE)
    first, observed = planned(world, asked, progress(rolling_back=True))
    for step in first.steps:
        observed = step.effect(observed, world.apply(step, "task"))
    # SageMaker rolls it back: c serves again.
    world.endpoint = endpoint("InService", "c", FailureReason="the alarm went off")

    again, _ = planned(world, replace(asked, run_after=LATE), progress(rolling_back=True))

    assert first.progress.target == again.progress.target == "b"


@pytest.mark.parametrize("live", [None, "a", "b"], ids=["create", "update", "unchanged"])
def test_a_smoke_test_that_this_kind_of_endpoint_does_not_answer_is_refused_before_any_change(
    live: str | None,
) -> None:
    world = World(
        endpoint("InService", live) if live else None, config={"AsyncInferenceConfig": {"OutputConfig": {}}}
    )
    now = {"Kind": "real-time"}
    with pytest.raises(ConflictError, match="smoke_test cannot test config b: an asynchronous endpoint"):
        planned(world, wanted(run_after=MIDDLE, smoke_test=True, smoke_request=now), progress())
    for fits in ({"smoke_test": True}, {}):
        made, _ = planned(world, wanted(run_after=MIDDLE, **fits), progress())
    assert made.decision


@pytest.mark.parametrize("live", [None, "a"], ids=["create", "update"])
def test_a_config_counts_as_unverified_until_its_smoke_test(live: str | None) -> None:
    world = World(endpoint("InService", live) if live else None)
    made, _ = planned(world, wanted(run_after=MIDDLE, smoke_test=True), progress())
    written = [
        step.tags if isinstance(step, AddTags) else {tag["Key"]: tag["Value"] for tag in step.request["Tags"]}
        for step in made.steps
        if isinstance(step, AddTags | CreateEndpoint)
    ]
    assert written[0][UNVERIFIED] == "b"


# A wait that did not end in success.


def rolled_back(reason: str = "", target: str = "b", **given: Any) -> Progress:
    """Return the progress of a deployment that SageMaker rolled back to ``a``."""
    described = {"EndpointArn": ARN, "EndpointConfigName": "a", "FailureReason": reason}
    result = WaitResult(str(Outcome.ROLLED_BACK), f"{target} was rolled back.", described)
    return progress(target=target, action="update", **given).after_wait(WaitFor.DEPLOYED, result)


NO_CAPACITY = "Insufficient capacity for instance type ml.g5.2xlarge"


def test_a_config_without_capacity_gives_way_to_one_fallback_after_the_other() -> None:
    world = World(endpoint("InService", "a"), configs=dict.fromkeys("abcd", "ml.m5.large"))
    asked = wanted(run_after=MIDDLE, fallbacks=("c", "d"))

    first, _ = planned(world, asked, rolled_back(NO_CAPACITY, updated_at=SECONDS))
    second, _ = planned(world, asked, rolled_back(NO_CAPACITY, "c", without_capacity=("b",)))
    last, _ = planned(world, asked, rolled_back(NO_CAPACITY, "d", without_capacity=("b", "c")))
    updating, _ = planned(world, asked, first.progress)

    assert (first.steps, first.warning) == ((ObserveAgain(),), "b was rolled back. Deploying c instead")
    assert (first.progress.target, first.progress.without_capacity) == ("c", ("b",))
    assert (first.progress.stage, first.progress.updated_at) == (Stage.DEPLOY, None)
    assert (second.progress.target, second.progress.without_capacity) == ("d", ("b", "c"))
    assert last.end == End(Ending.FAILED, "d was rolled back.", "a", ARN)
    [update] = [step for step in updating.steps if isinstance(step, UpdateEndpoint)]
    assert update.request["EndpointConfigName"] == "c"
    assert tags_set(updating)[FALLBACK_FOR] == "b"


@pytest.mark.parametrize(
    ("reason", "rolling_back"),
    [("did not pass the ping health check", False), ("", False), (NO_CAPACITY, True)],
    ids=["another reason", "no reason", "a rollback"],
)
def test_a_fallback_is_for_want_of_capacity_alone(reason: str, rolling_back: bool) -> None:
    before = rolled_back(reason, rolling_back=rolling_back)
    found, _ = planned(World(endpoint("InService", "a")), wanted(run_after=MIDDLE, fallbacks=("c",)), before)
    assert found.end == End(Ending.FAILED, "b was rolled back.", "a", ARN)


def test_a_run_that_was_rolled_back_counts_as_undone_and_leaves_no_alarms() -> None:
    own = Run("task", MIDDLE, RunState.DEPLOYED, SECONDS, "b").as_tag()
    alarms = {f"rollout/churn/{config}/main-0": {"AlarmName": config} for config in ("b", "c")}
    world = World(endpoint("InService", "a"), {**OURS, **own, f"{ROLLOUT_ALARMS}b": "made"}, alarms=alarms)
    before = rolled_back(unfinished=(f"{ROLLOUT_ALARMS}b",))

    undoing, observed = planned(world, wanted(run_after=MIDDLE), before)
    for step in undoing.steps:
        observed = step.effect(observed, world.apply(step, "task"))
    ended, _ = planned(world, wanted(run_after=MIDDLE), undoing.progress, observed)

    assert EndpointTags.read(world.tags).run_of("task") == Run("task", MIDDLE, RunState.UNDONE, SECONDS, "b")
    assert list(world.alarms) == ["rollout/churn/c/main-0"]
    assert f"{ROLLOUT_ALARMS}b" not in world.tags
    assert (undoing.end, ended.end) == (None, End(Ending.FAILED, "b was rolled back.", "a", ARN))


@pytest.mark.parametrize("live", ["b", "B"])
def test_a_config_created_again_after_the_deployment_is_refused(live: str) -> None:
    changed = NOW - timedelta(hours=1)
    for created, refused in [
        (changed - timedelta(seconds=1), False),
        (changed, False),
        (changed + timedelta(milliseconds=1), True),
    ]:
        world = World(endpoint("InService", live, LastModifiedTime=changed), config={"CreationTime": created})
        if refused:
            with pytest.raises(ConflictError, match="Endpoint churn serves config b as it was at"):
                planned(world, wanted(run_after=MIDDLE), progress())
        else:
            found, _ = planned(world, wanted(run_after=MIDDLE), progress())
            assert found.decision
            assert found.decision.action is Action.UNCHANGED


def test_a_config_named_after_its_content_is_not_described() -> None:
    name = "churn-0123456789"
    world = World(endpoint("InService", name))
    found, observed = planned(world, wanted(run_after=MIDDLE, endpoint_config_name=name), progress())
    assert found.decision
    assert found.decision.action is Action.UNCHANGED
    assert FactKind.ENDPOINT_CONFIG not in {fact.kind for fact in observed.facts}

"""No false success and no false failure, over every legal order of statuses of an inference component.

As in ``test_sequences.py``; here the answers are those of DescribeInferenceComponent, which does not say what a component is being updated
to, shows a rollback as InService, and keeps the reason of an earlier failure. The sources:

* API: DescribeInferenceComponent, in the words of botocore's service model.
* ACK: aws-controllers-k8s/sagemaker-controller, its end-to-end test of inference components: an update that fails ends InService with a
  FailureReason, which stays after a later good update.
* HF: Hugging Face's skill hf-cloud-sagemaker-production-defaults: a change of the copies alone makes the component busy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.deployment.component import (
    as_compared,
    comparable,
    described_component,
    specification_name,
)
from airflow_sm_hosting.deployment.status import Kind
from airflow_sm_hosting.deployment.verdict import moment
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.service_model.shapes import service_model
from tests.deployment.sequences import GONE, Look, State, Story
from tests.deployment.waiters import Said, Waiter, judged, told

DOCUMENT = Path(__file__).parents[2] / "docs" / "truth.md"
NAME = "churn"
BEFORE = datetime(2026, 5, 1, 12, tzinfo=UTC)
WANTED, OLD, ANOTHER = "new", "old", "another"
REASONS = {"absent": None, "sticky": "The container of the update before did not start.", "fresh": "No room."}
SETTLED = frozenset({"serves", "failed", "gone"})
#: The length of the orders.
STATES = 4

#: Status, model, and the number of copies in service of one; None for no component.
Shown = tuple[str, str | None, int]


def requested(model: str) -> dict[str, Any]:
    return {"ModelName": model, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024}}


SPECIFICATIONS = comparable([requested(WANTED)])
WANTED_NAME = specification_name(SPECIFICATIONS)


def next_states(state: State) -> Iterator[State]:
    """Yield what may come after a state."""
    doing, live, target = state
    match doing:
        case "creates":
            yield State("serves", live)  # API: Creating, InService
            yield State("failed", live)  # API: Failed
        case "serves":
            for model in (WANTED, OLD, ANOTHER):
                if model != live:
                    yield State("updates", live, model)  # somebody else's update
            yield State("scales", live)  # HF: Updating, by autoscaling, too
            yield State("is deleted", live)  # API: Deleting
        case "updates":
            yield State("serves", target)  # API: InService
            yield State("serves", live)  # ACK: rolled back, InService
            yield State("starts copies", live, target)  # assumed: InService before the last copy is
            yield State("failed", live)  # API: Failed
        case "starts copies":
            yield State("serves", target)
        case "scales":
            yield State("serves", live)
        case "failed":
            yield State("is deleted", live)
        case "is deleted":
            yield GONE


def shown(state: State) -> list[Shown | None]:
    """Return the ways in which AWS may show a state; which specification an update shows is not documented, so either may."""
    doing, live, target = state
    match doing:
        case "gone":
            return [None]
        case "creates":
            return [("Creating", live, 0), ("Creating", None, 0)]
        case "serves":
            return [("InService", live, 1)]
        case "updates":
            return [("Updating", live, 1), ("Updating", target, 1), ("Updating", live, 0)]
        case "starts copies":
            return [("InService", target, 0)]
        case "scales":
            return [("Updating", live, 1)]
        case "failed":
            return [("Failed", live, 0)]
        case "is deleted":
            return [("Deleting", live, 1)]
    raise AssertionError(state)


BEGINNINGS: dict[str, tuple[Shown | None, State]] = {
    "create": (None, State("creates", WANTED)),
    "update": (("InService", OLD, 1), State("updates", OLD, WANTED)),
    "join of a creation": (None, State("creates", WANTED)),
}


def answer(look: Shown | None, modified: datetime, reason: str | None) -> Look:
    """Return DescribeInferenceComponent's answer, as our wait takes it."""
    if look is None:
        return None
    status, model, copies = look
    found: dict[str, Any] = {
        "InferenceComponentName": NAME,
        "InferenceComponentArn": f"arn:aws:sagemaker:us-east-1:123456789012:inference-component/{NAME}",
        "EndpointName": "host",
        "VariantName": "main",
        "InferenceComponentStatus": status,
        "LastModifiedTime": modified,
        "RuntimeConfig": {"DesiredCopyCount": 1, "CurrentCopyCount": copies},
    }
    if model is not None:
        found["Specification"] = requested(model)
    if reason is not None:
        found["FailureReason"] = reason
    described = as_compared(described_component(found), SPECIFICATIONS, WANTED_NAME)
    assert described is not None
    return dict(described)


def walks(first: State) -> Iterator[tuple[State, ...]]:
    """Yield every legal order that begins with a state and ends where nothing goes on any more."""
    paths: list[tuple[State, ...]] = [(first,)]
    while paths:
        path = paths.pop()
        if path[-1].doing in SETTLED:
            yield path
        if len(path) < STATES:
            paths.extend((*path, state) for state in next_states(path[-1]))


def stories() -> Iterator[Story]:
    """Yield every sequence of looks: each passing state is looked at or not, and shown in each of its ways."""
    for kind, (before, first) in BEGINNINGS.items():
        for path in walks(first):
            passing = [place for place, state in enumerate(path[:-1]) if state.doing not in SETTLED]
            for chosen in product([False, True], repeat=len(passing)):
                places = [place for place, looked in zip(passing, chosen, strict=True) if looked]
                places.append(len(path) - 1)
                for looks in product(*(shown(path[place]) for place in places)):
                    yield from _told(kind, before, places, looks, path[-1])


def _told(
    kind: str, before: Shown | None, places: list[int], looks: tuple[Shown | None, ...], last: State
) -> Iterator[Story]:
    outdated = (0,) if kind.startswith("join") else (0, 1, 2)
    for reason, at_end, ahead in product(("absent", "sticky"), REASONS, outdated):
        answers = [answer(before, BEFORE, REASONS[reason])] * ahead
        for number, (place, look) in enumerate(zip(places, looks, strict=True), 1):
            why = REASONS[at_end if number == len(looks) else reason]
            answers.append(answer(look, BEFORE + timedelta(minutes=1 + place), why))
        yield Story(kind, tuple(answers), ahead, last == State("serves", WANTED))


def condition(story: Story) -> WaitCondition:
    return WaitCondition(
        WaitFor.DEPLOYED,
        NAME,
        WANTED_NAME,
        modified_before=moment(BEFORE) if story.kind == "update" else None,
        begun=story.kind.startswith("join"),
        kind=Kind.COMPONENT,
        specifications=SPECIFICATIONS,
    )


def our_operator(story: Story) -> Said:
    """Wait as ``DeployInferenceComponentOperator`` does, in the worker and in the triggerer."""
    return told(story, condition(story))


def by_status(story: Story) -> Said:
    """Wait for InService, as scripts and the SageMaker SDK do."""
    for number, look in enumerate(story.looks, 1):
        status = look["EndpointStatus"] if look else None
        if status in ("InService", "Failed"):
            return Said("success" if status == "InService" else "failure", number)
    return Said("waits", 0)


def by_reason(story: Story) -> Said:
    """Wait for InService without a FailureReason."""
    for number, look in enumerate(story.looks, 1):
        if look and look["EndpointStatus"] == "InService":
            return Said("failure" if look.get("FailureReason") else "success", number)
        if look and look["EndpointStatus"] == "Failed":
            return Said("failure", number)
    return Said("waits", 0)


def counts(waiter: Waiter, all_stories: list[Story]) -> Counter[str]:
    return Counter(judged(story, waiter(story)) for story in all_stories)


def test_the_states_are_shown_in_every_status_that_there_is() -> None:
    reached = {GONE, *(first for _, first in BEGINNINGS.values())}
    while new := {after for state in reached for after in next_states(state)} - reached:
        reached |= new
    looks = {look for state in reached for look in shown(state) if look}
    shape = service_model("sagemaker").operation_model("DescribeInferenceComponent").output_shape
    assert {status for status, _, _ in looks} == set(shape.members["InferenceComponentStatus"].enum)


#: Whose counts docs/truth.md has.
WAITERS: dict[str, Waiter] = {
    "`DeployInferenceComponentOperator`, in the worker and deferred": our_operator,
    "until `InService` or `Failed`": by_status,
    "the same, and a FailureReason is a failure": by_reason,
}
WRONG = ("false success", "false failure", "waits for ever", "success too early")


@pytest.mark.exhaustive
def test_every_sequence_is_told_as_it_ends_and_the_document_has_the_counts() -> None:
    all_stories = list(stories())
    for name, waiter in WAITERS.items():
        found = counts(waiter, all_stories)
        if waiter is our_operator:
            assert set(found) == {"right"}
        cells = [name, f"{len(all_stories):,}", *(f"{found[what]:,}" for what in WRONG)]
        row = f"| {' | '.join(cells)} |"
        print(row)
        assert row in DOCUMENT.read_text(), f"docs/truth.md must have:\n\n{row}"


@pytest.mark.exhaustive
def test_the_stories_bite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wait with one rule less is wrong."""

    def takes_any_specification(story: Story) -> Said:
        return told(story, WaitCondition(WaitFor.IN_SERVICE, NAME, kind=Kind.COMPONENT))

    def forgets_when_it_began(story: Story) -> Said:
        return told(story, replace(condition(story), modified_before=None, begun=True))

    all_stories = list(stories())
    assert counts(takes_any_specification, all_stories)["false success"]
    monkeypatch.setattr(evidence, "READS_LAG", -1.0)  # every answer is proof
    assert counts(forgets_when_it_began, all_stories)["false failure"]

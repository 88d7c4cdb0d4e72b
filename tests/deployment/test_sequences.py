"""No false success and no false failure, over every legal order of statuses: ours, and beside it what others say of the same.

AWS is a script here: no real part can act out all orders. ``sequences.py`` has the legal orders and where they are written down,
``waiters.py`` has who waits, and docs/truth.md has what came out, which the last two tests hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.deployment import evidence
from airflow_sm_hosting.deployment.wait import WaitCondition, WaitFor
from airflow_sm_hosting.service_model.shapes import service_model
from tests.deployment.sequences import (
    ANOTHER,
    BEFORE,
    BEGINNINGS,
    ENDPOINT,
    FRESH_REASON,
    GONE,
    OLD,
    STALE_REASON,
    WANTED,
    Look,
    Story,
    described,
    next_states,
    shown,
    stories,
)
from tests.deployment.waiters import OTHERS, OURS, Said, Waiter, judged, our_operator, told

README = Path(__file__).parents[2] / "README.md"
DOCUMENT = README.parent / "docs" / "truth.md"
#: The length of the orders that docs/truth.md counts.
STATES = 4


def wrong(waiter: Waiter, told: Iterable[Story]) -> list[tuple[str, Story]]:
    return [(found, story) for story in told if (found := judged(story, waiter(story))) != "right"]


def test_the_states_are_shown_in_every_status_that_there_is() -> None:
    reached = {GONE, *(first for _, first in BEGINNINGS.values())}
    while new := {after for state in reached for after in next_states(state)} - reached:
        reached |= new
    looks = {look for state in reached for look in shown(state) if look}
    operation = service_model("sagemaker").operation_model("DescribeEndpoint")
    assert {status for status, _, _ in looks} == set(operation.output_shape.members["EndpointStatus"].enum)
    for status in ("Updating", "RollingBack", "InService"):
        assert {live for found, live, _ in looks if found == status} == {WANTED, OLD, ANOTHER}
        assert {going for found, _, going in looks if found == status} == {None, WANTED, OLD, ANOTHER}


def test_a_sample_of_the_stories_is_told_as_it_ends() -> None:
    """Every fourth story of up to three states; all of up to four are below."""
    sample = list(islice(stories(3), 0, None, 4))
    assert len(sample) > 5000
    assert wrong(our_operator, sample) == []


def test_the_stories_bite(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same wait with one rule less is wrong."""

    def forgets_when_it_began(story: Story) -> Said:
        return told(story, WaitCondition(WaitFor.DEPLOYED, ENDPOINT, WANTED, begun=True))

    def takes_any_config(story: Story) -> Said:
        return told(story, WaitCondition(WaitFor.IN_SERVICE, ENDPOINT))

    found = Counter(what for what, _ in wrong(takes_any_config, stories(2)))
    assert found["false success"]
    monkeypatch.setattr(evidence, "READS_LAG", -1.0)  # every answer is proof
    found = Counter(what for what, _ in wrong(forgets_when_it_began, stories(2)))
    assert set(found) == {"false failure"}


# By name.


def story(
    kind: str, *looks: Any, outdated: int = 0, reason: str | None = None, serves: bool = False
) -> Story:
    """Write a story down: each look a status, a config and a pending one; the reason stands in the last look."""
    before = BEGINNINGS[kind][0]
    answers: list[Look] = [described(before, BEFORE, None)] * outdated
    for number, look in enumerate(looks, 1):
        why = reason if number == len(looks) else None
        answers.append(described(look and (*look, None)[:3], BEFORE + timedelta(minutes=number), why))
    return Story(kind, tuple(answers), outdated, serves)


UPDATING = ("Updating", OLD, WANTED)
DONE, BACK = ("InService", WANTED), ("InService", OLD)
NAMED = {
    "created": story("create", ("Creating", WANTED), DONE, serves=True),
    "created; not visible at the first poll (assumed)": story(
        "create", ("Creating", WANTED), DONE, outdated=1, serves=True
    ),
    "the creation failed": story("create", ("Creating", WANTED), ("Failed", WANTED), reason=FRESH_REASON),
    "updated": story("update", UPDATING, DONE, serves=True),
    "updated; the reason of an earlier failure stays": story(
        "update", UPDATING, DONE, reason=STALE_REASON, serves=True
    ),
    "updated; the first poll is outdated (assumed)": story(
        "update", UPDATING, DONE, outdated=1, serves=True
    ),
    "updated during maintenance by AWS": story(
        "update", UPDATING, ("SystemUpdating", WANTED), DONE, serves=True
    ),
    "rolled back, with a reason": story(
        "update", UPDATING, ("RollingBack", OLD), BACK, reason=FRESH_REASON
    ),
    "rolled back, without a reason (terraform-provider-aws 46663)": story("update", UPDATING, BACK),
    "rolled back, with an empty reason (terraform-provider-aws 49020)": story(
        "update", UPDATING, BACK, reason=""
    ),
    "rolled back; the first poll is outdated (assumed)": story("update", UPDATING, BACK, outdated=1),
    "rolled back in the bake time, while it was InService (assumed)": story(
        "update", UPDATING, ("InService", WANTED, WANTED), BACK, reason=FRESH_REASON
    ),
    "UpdateRollbackFailed": story("update", UPDATING, ("UpdateRollbackFailed", OLD), reason=FRESH_REASON),
    "OutOfService": story("update", UPDATING, ("OutOfService", OLD)),
    "somebody deploys a third config after it": story(
        "update", UPDATING, ("Updating", WANTED, ANOTHER), ("InService", ANOTHER)
    ),
    "deleted by somebody else": story("update", UPDATING, ("Deleting", OLD), None),
}  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_what_the_reference_names_is_told_as_it_ends(name: str) -> None:
    assert judged(NAMED[name], our_operator(NAMED[name])) == "right"


# docs/truth.md

#: What a cell of the document says.
CELLS = {
    "right": "{}",
    "false success": "**success**",
    "false failure": "**failure**",
    "waits for ever": "**waits for ever**",
    "success too early": "**success** too early",
}


def table(header: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    lines = [list(header), ["---"] * len(list(header)), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def table_of_names() -> str:
    waiters = {"ours": our_operator, **OTHERS}
    rows = []
    for name, named in NAMED.items():
        cells = []
        for waiter in waiters.values():
            said = waiter(named)
            cells.append(CELLS[judged(named, said)].format(said.what))
        rows.append([name, "serves" if named.serves else "does not", *cells])
    return table(["what happens", "the wanted config", *waiters], rows)


def alike(story: Story) -> Any:
    """Return what the others look at: statuses and reasons. Stories that differ in nothing else are told them once."""
    looks = tuple(look and (look["EndpointStatus"], look.get("FailureReason")) for look in story.looks)
    return "creat" in story.kind, looks


def once(waiter: Waiter, key: Callable[[Story], Any]) -> Waiter:
    known: dict[Any, Said] = {}

    def waited(story: Story) -> Said:
        return known.get(key(story)) or known.setdefault(key(story), waiter(story))

    return waited


def table_of_counts(told: list[Story]) -> str:
    rows = []
    for name, waiter in {**OURS, **{name: once(other, alike) for name, other in OTHERS.items()}}.items():
        for outdated in (False, True):
            of = [story for story in told if bool(story.outdated) is outdated]
            found = Counter(what for what, _ in wrong(waiter, of))
            looks = "some outdated" if outdated else "all up to date"
            rows.append([name, looks, f"{len(of):,}", *(f"{found[what]:,}" for what in list(CELLS)[1:])])
    plural = ["false successes", "false failures", "waits for ever", "successes too early"]
    return table(["waiter", "polls", "sequences", *plural], rows)


@pytest.mark.slow
def test_the_document_has_what_each_says_of_the_named_sequences() -> None:
    made = table_of_names()
    assert made in DOCUMENT.read_text(), f"docs/truth.md must have:\n\n{made}"


@pytest.mark.slow
def test_every_sequence_and_the_document_has_the_counts() -> None:
    told = list(stories(STATES))
    assert wrong(our_operator, told) == []

    made = table_of_counts(told)

    assert made in DOCUMENT.read_text(), f"docs/truth.md must have:\n\n{made}"
    for document, words in ((DOCUMENT, "sequences"), (README, "orders of statuses")):
        assert f"{len(told):,} {words}" in document.read_text()
    # That the others look at nothing but statuses and reasons.
    for waiter in OTHERS.values():
        remembered = once(waiter, alike)
        for one in (*told[::997], *told[::1009]):
            assert remembered(one) == waiter(one), one

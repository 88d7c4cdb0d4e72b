"""Where a rollback goes."""

from __future__ import annotations

from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.history import (
    MAX_LENGTH,
    after_rollback,
    after_update,
    remembered,
    rollback_target,
    with_overlooked,
    written,
)

NAMES = st.lists(st.from_regex(r"[a-zA-Z0-9](-?[a-zA-Z0-9]){0,30}", fullmatch=True), unique=True, max_size=8)


@given(NAMES)
def test_the_newest_configs_are_remembered_as_many_as_a_tag_has_room_for(history: list[str]) -> None:
    text = written(history)

    assert len(text) <= MAX_LENGTH
    found = remembered(text)
    assert found == history[: len(found)]
    assert len(found) == len(history) or len(text) + 1 + len(history[len(found)]) > MAX_LENGTH


def test_four_of_the_longest_names_fit() -> None:
    history = [letter * 63 for letter in "abcde"]

    assert remembered(written(history)) == history[:4]


def test_an_absent_tag_remembers_nothing() -> None:
    assert remembered(None) == remembered("") == []


def test_what_serves_comes_first_and_what_comes_is_no_place_to_go_back_to() -> None:
    assert after_update(["b", "a"], serving="c", wanted="d") == ["c", "b", "a"]
    assert after_update(["b", "a"], serving="c", wanted="a") == ["c", "b"]
    # A try that is made again writes the same.
    assert after_update(["c", "b"], serving="c", wanted="d") == ["c", "b"]


def test_a_rollback_goes_to_what_served_before() -> None:
    assert rollback_target(["b", "a"], serving="c") == "b"


def test_after_a_rollback_of_sagemaker_s_own_it_goes_one_further() -> None:
    assert rollback_target(["b", "a"], serving="b") == "a"


def test_a_rollback_skips_what_was_never_verified() -> None:
    assert rollback_target(["c", "b", "a"], serving="d", unverified=["c"]) == "b"
    assert rollback_target(["c", "b"], serving="d", unverified=["b", "c"]) is None


def test_with_nothing_remembered_there_is_nowhere_to_go() -> None:
    assert rollback_target([], serving="a") is None
    assert rollback_target(["a"], serving="a") is None


def test_a_rollback_drops_the_newer_configs_and_keeps_its_target() -> None:
    history = after_update(["a"], serving="b", wanted="c")
    target = rollback_target(history, serving="c")

    assert target == "b"
    # If SageMaker rolls the rollback back, the next one has the same target.
    assert after_rollback(history, target=target) == ["b", "a"]
    assert rollback_target(["b", "a"], serving="c") == "b"
    assert rollback_target(["b", "a"], serving="b") == "a"
    assert after_rollback(["a"], target="elsewhere") == []


@given(NAMES, NAMES)
def test_what_served_since_a_history_was_written_comes_first_and_what_serves_is_not_in_it(
    history: list[str], overlooked: list[str]
) -> None:
    found = with_overlooked(history, overlooked, serving="serving")
    assert found[: len(overlooked)] == overlooked
    assert found[len(overlooked) :] == [name for name in history if name not in overlooked]
    assert with_overlooked(["serving", "a"], ["b", "serving"], serving="serving") == ["b", "a"]

"""The tags that carry what must be found again."""

from __future__ import annotations

from hypothesis import given, strategies as st

from airflow_sm_hosting.spec.scaling_rules import MAX_POLICIES, MAX_SCHEDULED_ACTIONS
from airflow_sm_hosting.spec.tags import (
    OURS,
    SCALING_POLICIES,
    SCHEDULED_ACTIONS,
    digest,
    digest_tag_keys,
    digest_tags,
    digests_in,
)


@given(names=st.sets(st.text(min_size=1, max_size=256), max_size=2 * MAX_SCHEDULED_ACTIONS))
def test_what_is_marked_is_found_again(names: set[str]) -> None:
    digests = {digest(name) for name in names}
    tags = {**OURS, "theirs": "0123abcd", **digest_tags(SCHEDULED_ACTIONS, digests)}
    assert digests_in(SCHEDULED_ACTIONS, tags) == digests
    assert digests_in(SCALING_POLICIES, tags) == set()
    assert all(len(value) <= 256 for value in tags.values())


def test_twice_as_many_as_a_target_can_have_fit_into_its_50_tags() -> None:
    # While one set is exchanged for another, both are marked.
    tags = dict(OURS)
    for key, most in ((SCALING_POLICIES, MAX_POLICIES), (SCHEDULED_ACTIONS, MAX_SCHEDULED_ACTIONS)):
        tags |= digest_tags(key, (digest(str(number)) for number in range(2 * most)))
    assert len(tags) == 1 + 4 + 15


def test_the_keys_are_those_of_one_kind_alone() -> None:
    tags = {
        "sm-hosting:policies": "",
        "sm-hosting:policies-2": "",
        "sm-hosting:policies-12": "",
        "sm-hosting:policies-x": "",
        "sm-hosting:policies-02": "",
        "sm-hosting:policies2": "",
    }
    assert digest_tag_keys(SCALING_POLICIES, tags) == list(tags)[:3]


def test_what_somebody_has_written_into_a_tag_does_not_count() -> None:
    assert digests_in(SCALING_POLICIES, {SCALING_POLICIES: "0123abcd  none 0123ABCD 0123abcd0"}) == {
        "0123abcd"
    }


def test_the_form_is_held_as_what_exists_is_marked_so() -> None:
    assert digest("churn-main-invocations") == "26bc0ab2"
    assert digest_tags(SCALING_POLICIES, ["b" * 8, "a" * 8]) == {"sm-hosting:policies": "aaaaaaaa bbbbbbbb"}

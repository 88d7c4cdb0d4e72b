"""What an update keeps of instance counts and weights."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.capacity import Retention, new_fleet, retention

KEEP = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
}
NEW_CONFIG = [
    {"VariantName": "main", "InitialInstanceCount": 2},
    {"VariantName": "dark", "InitialInstanceCount": 1},
]


def kept(
    retain: Any = "auto", *, scaled: Any = (), current: Any = None, wanted: Any = NEW_CONFIG
) -> Retention:
    return retention(retain, scaled=scaled, current=current or {"main": 7, "dark": 3}, wanted=wanted)


def test_all_is_kept_when_asked() -> None:
    assert kept(True, scaled={"main"}) == Retention({"RetainAllVariantProperties": True})


def test_nothing_is_kept_when_asked() -> None:
    assert kept(False, scaled={"main"}) == Retention()


def test_without_autoscaling_everything_becomes_what_the_new_config_says() -> None:
    assert kept() == Retention()


def test_counts_of_scaled_variants_are_kept_and_the_others_set_after() -> None:
    assert kept(scaled={"main"}) == Retention(KEEP, {"dark": 1})
    assert kept(scaled={"dark"}) == Retention(KEEP, {"main": 2})
    assert kept(scaled={"main", "dark"}) == Retention(KEEP, {})


def test_weights_become_what_the_new_config_says() -> None:
    assert kept(scaled={"main"}).flags["ExcludeRetainedVariantProperties"] == [
        {"VariantPropertyType": "DesiredWeight"}
    ]


def test_a_count_that_is_right_already_is_not_set() -> None:
    assert kept(scaled={"main"}, current={"main": 7, "dark": 1}).counts == {}


def test_a_new_variant_begins_as_its_config_says() -> None:
    assert kept(scaled={"main"}, current={"main": 7}).counts == {}


def test_a_current_count_of_0_is_a_count() -> None:
    assert kept(scaled={"main"}, current={"main": 7, "dark": 0}).counts == {"dark": 1}


def test_a_variant_without_instances_has_none_to_set() -> None:
    wanted = [
        {"VariantName": "main", "ServerlessConfig": {}},
        {"VariantName": "dark", "InitialInstanceCount": 1},
    ]
    assert kept(scaled={"dark"}, wanted=wanted).counts == {}


@pytest.mark.parametrize("retain", [True, False, "auto"])
def test_nothing_that_was_given_is_changed(retain: Any) -> None:
    current = {"main": 7, "dark": 3}
    kept(retain, scaled={"main"}, current=current)
    assert current == {"main": 7, "dark": 3}


@pytest.mark.parametrize(
    ("retain", "scaled", "expected"),
    [
        (True, set(), {"main": 7, "dark": 3, "new": 4}),
        ("auto", {"main"}, {"main": 7, "dark": 3, "new": 4}),
        ("auto", set(), {"main": 2, "dark": 1, "new": 4}),
        (False, {"main"}, {"main": 2, "dark": 1, "new": 4}),
    ],
)
def test_a_new_fleet_is_as_large_as_the_config_says_or_as_what_is_kept(
    retain: Any, scaled: set[str], expected: dict[str, int]
) -> None:
    wanted = [
        *NEW_CONFIG,
        {"VariantName": "new", "InitialInstanceCount": 4},
        {"VariantName": "serverless", "ServerlessConfig": {}},
    ]
    current = {"main": 7, "dark": 3, "gone": 1}
    assert new_fleet(kept(retain, scaled=scaled), current=current, wanted=wanted) == expected

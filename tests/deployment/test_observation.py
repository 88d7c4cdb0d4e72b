"""What is known of an endpoint: filled as far as a plan needs it, changed by steps, and forgotten."""

from __future__ import annotations

import pytest

from airflow_sm_hosting.deployment.observation import Fact, FactKind, FactNeededError, Observation
from tests.deployment.worlds import ARN, endpoint, nothing_known

TAGS = Fact(FactKind.TAGS, (ARN,))


def test_a_fact_that_is_not_known_is_named() -> None:
    with pytest.raises(FactNeededError, match="endpoint of churn") as lacking:
        _ = nothing_known().tags
    assert lacking.value.fact == Fact(FactKind.ENDPOINT, ("churn",))


def test_a_change_of_what_is_not_known_waits_until_it_is_fetched_and_a_simulated_one_needs_it_first() -> None:
    def changed(observed: Observation) -> Observation:
        return observed.changed(TAGS, lambda tags: {**tags, "team": "churn"})

    known = nothing_known().learned(TAGS, {"stage": "live"})

    assert changed(known).tags_of(ARN) == {"stage": "live", "team": "churn"}
    assert changed(nothing_known()) == nothing_known()
    with pytest.raises(FactNeededError):
        changed(nothing_known(simulated=True))
    assert known.tags_of(ARN) == {"stage": "live"}


def test_facts_are_forgotten_by_kind_or_all() -> None:
    observed = nothing_known().learned(TAGS, {})
    observed = observed.learned(observed.endpoint_fact, endpoint("InService"))
    assert set(observed.forgotten(FactKind.TAGS).facts) == {observed.endpoint_fact}
    assert not observed.forgotten().facts


@pytest.mark.parametrize("described", [None, endpoint("Failed", ProductionVariants=None)])
def test_an_endpoint_without_variants_has_no_scalable_targets_and_none_are_asked_for(
    described: dict[str, object] | None,
) -> None:
    observed = nothing_known()
    observed = observed.learned(observed.endpoint_fact, described)
    assert (observed.scalable_targets, observed.scaled_variants) == ({}, set())
    with_variants = observed.learned(observed.endpoint_fact, endpoint("Failed"))
    with pytest.raises(FactNeededError, match="scalable targets of churn, main"):
        _ = with_variants.scalable_targets

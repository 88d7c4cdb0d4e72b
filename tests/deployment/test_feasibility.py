"""Rollouts that SageMaker refuses, or would silently do otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import AllAtOnce, Canary, Linear, Rolling
from airflow_sm_hosting.deployment.feasibility import rollout_problem

CANARY = Canary(size="10%", wait_interval=60)
LINEAR = Linear(step_size="10%", wait_interval=60)
ROLLING = Rolling(maximum_batch_size="10%", wait_interval=60)


def variant(name: str = "main", **members: Any) -> dict[str, Any]:
    return {"VariantName": name, "InstanceType": "ml.m5.large", **members}


def problem(
    rollout: Any, *, serving: Any = None, wanted: Any = None, counts: Any = None, strict: bool = True
) -> str | None:
    return rollout_problem(
        rollout,
        serving=serving or [variant()],
        wanted=wanted or [variant()],
        counts={"main": 4} if counts is None else counts,
        strict=strict,
    )


@pytest.mark.parametrize("rollout", [None, {}, AllAtOnce(), CANARY, LINEAR, ROLLING])
def test_nothing_stands_in_the_way_of_an_ordinary_endpoint(rollout: Any) -> None:
    assert problem(rollout) is None


@pytest.mark.parametrize("rollout", [CANARY, LINEAR, ROLLING])
def test_the_variants_must_have_the_same_names(rollout: Any) -> None:
    assert "the endpoint has main, the new config has main, second" in str(
        problem(rollout, wanted=[variant(), variant("second")])
    )
    assert problem(AllAtOnce(), wanted=[variant(), variant("second")]) is None


def test_a_rolling_update_is_for_one_variant_on_instances() -> None:
    two = [variant(), variant("second")]
    serverless = [{"VariantName": "main", "ServerlessConfig": {"MaxConcurrency": 1}}]

    assert "one variant" in str(problem(ROLLING, serving=two, wanted=two))
    assert problem(CANARY, serving=two, wanted=two) is None
    assert "not supported for serverless" in str(problem(ROLLING, serving=serverless, wanted=serverless))


@pytest.mark.parametrize("rollout", [CANARY, LINEAR, ROLLING])
def test_what_would_silently_be_all_at_once_is_told(rollout: Any) -> None:
    found = problem(rollout, wanted=[variant(InstanceType="ml.inf1.xlarge")])

    assert "silently shift all traffic at once, without a bake time" in str(found)
    assert problem(rollout, wanted=[variant(InstanceType="ml.inf2.xlarge")]) is None


@pytest.mark.parametrize("rollout", [CANARY, LINEAR, ROLLING])
def test_a_single_instance_has_no_half(rollout: Any) -> None:
    assert "variant main has one" in str(problem(rollout, counts={"main": 1}))
    assert problem(rollout, counts={"main": 1}, strict=False) is None


@pytest.mark.parametrize(
    ("size", "count", "refused"), [(1, 2, False), (2, 4, False), (2, 3, True), (5, 4, True)]
)
def test_a_step_takes_half_of_the_instances_at_most(size: int, count: int, refused: bool) -> None:
    rollout = Canary(size=size, wait_interval=60)

    assert (problem(rollout, counts={"main": count}) is not None) == refused

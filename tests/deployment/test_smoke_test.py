"""Which endpoints a smoke test can be sent to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.observation import FactNeededError
from airflow_sm_hosting.deployment.smoke_test import smoke_test_problem
from tests.deployment.worlds import World, nothing_known

PLAIN = {"ModelName": "model", "PrimaryContainer": {"Image": "image"}}


def problem(world: World, config: str = "a") -> str | None:
    observed = nothing_known()
    while True:
        try:
            return smoke_test_problem(observed, config)
        except FactNeededError as lacking:
            observed = observed.learned(lacking.fact, world.fetch(lacking.fact))


@pytest.mark.parametrize(
    ("config", "model", "found"),
    [
        ({}, PLAIN, None),
        ({}, {"ModelName": "model", "Containers": [{"Image": "a"}, {"Image": "b"}]}, None),
        ({}, {**PLAIN, "InferenceExecutionConfig": {"Mode": "Serial"}}, None),
        ({}, None, None),
        (
            {"AsyncInferenceConfig": {"OutputConfig": {}}},
            PLAIN,
            "an asynchronous endpoint is not invoked with InvokeEndpoint",
        ),
        (
            {},
            {"ModelName": "model", "PrimaryContainer": {"Image": "image", "Mode": "MultiModel"}},
            "model model of variant main is a multi-model one, and the request has no target model",
        ),
        (
            {},
            {"ModelName": "model", "Containers": [{"Image": "a"}, {"Image": "b", "Mode": "MultiModel"}]},
            "model model of variant main is a multi-model one, and the request has no target model",
        ),
        (
            {},
            {"Containers": [{"Image": "a"}], "InferenceExecutionConfig": {"Mode": "Direct"}},
            "the containers of model model of variant main are invoked directly, and the request names none",
        ),
        (
            {"ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}]},
            PLAIN,
            "variant main has inference components, and the request names none",
        ),
        (
            {"ProductionVariants": [{"VariantName": "a", "ModelName": "model"}, {"VariantName": "b"}]},
            PLAIN,
            "variant b has inference components, and the request names none",
        ),
    ],
)
def test_kinds_of_endpoints(config: dict[str, Any], model: dict[str, Any] | None, found: str | None) -> None:
    world = World(config=config, models={"model": model} if model else {})
    assert problem(world) == found


def test_a_config_that_does_not_exist_is_the_deployments_problem() -> None:
    assert problem(World(), "gone") is None

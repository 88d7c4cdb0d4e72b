"""Which endpoints a smoke test can be sent to."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment import smoke_test
from airflow_sm_hosting.deployment.observation import FactNeededError
from airflow_sm_hosting.deployment.smoke_test import request_members, smoke_test_problem
from airflow_sm_hosting.spec.smoke_test import known_kind
from tests.deployment.worlds import World, nothing_known

PLAIN = {"ModelName": "model", "PrimaryContainer": {"Image": "image"}}


def problem(world: World, config: str = "a", test: dict[str, Any] | None = None) -> str | None:
    observed = nothing_known()
    while True:
        try:
            return smoke_test_problem(observed, config, test)
        except FactNeededError as lacking:
            observed = observed.learned(lacking.fact, world.fetch(lacking.fact))


@pytest.mark.parametrize(
    ("config", "model", "found"),
    [
        ({}, PLAIN, None),
        ({}, {"ModelName": "model", "Containers": [{"Image": "a"}, {"Image": "b"}]}, None),
        ({}, {**PLAIN, "InferenceExecutionConfig": {"Mode": "Serial"}}, None),
        ({}, None, None),
        ({"AsyncInferenceConfig": {"OutputConfig": {}}}, PLAIN, None),
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


MANY = {"ModelName": "model", "PrimaryContainer": {"Image": "image", "Mode": "MultiModel"}}
DIRECT = {"Containers": [{"Image": "a"}], "InferenceExecutionConfig": {"Mode": "Direct"}}
ASYNCHRONOUS: dict[str, Any] = {"AsyncInferenceConfig": {"OutputConfig": {}}}
COMPONENTS = {"ProductionVariants": [{"VariantName": "main", "InstanceType": "ml.m5.large"}]}
TWO = {
    "ProductionVariants": [
        {"VariantName": "main", "ModelName": "model"},
        {"VariantName": "hosts", "InstanceType": "ml.m5.large"},
    ]
}


@pytest.mark.parametrize(
    ("config", "model", "test", "found"),
    [
        ({}, MANY, {"TargetModel": "a.tar.gz"}, None),
        ({}, PLAIN, {"TargetModel": "a.tar.gz"}, "model model of variant main is no multi-model one"),
        ({}, DIRECT, {"TargetContainerHostname": "a"}, None),
        ({}, PLAIN, {"TargetContainerHostname": "a"}, "are not invoked directly"),
        ({}, None, {"TargetModel": "a", "TargetContainerHostname": "a"}, None),
        (COMPONENTS, None, {"InferenceComponentName": "base"}, None),
        ({}, PLAIN, {"InferenceComponentName": "base"}, "has a model of its own and no inference components"),
        ({}, PLAIN, {"TargetVariant": "other"}, "there is no variant other, only main"),
        (TWO, PLAIN, {"TargetVariant": "main"}, None),
        (TWO, PLAIN, {"TargetVariant": "hosts"}, "variant hosts has inference components"),
        (ASYNCHRONOUS, PLAIN, {"Kind": "real-time"}, "takes no request of kind 'real-time'"),
        (ASYNCHRONOUS, PLAIN, {"Kind": "streamed"}, "takes no request of kind 'streamed'"),
        (ASYNCHRONOUS, PLAIN, {"Kind": "asynchronous"}, None),
        (ASYNCHRONOUS, PLAIN, {"InputLocation": "s3://a/b"}, None),
        (ASYNCHRONOUS, PLAIN, {"TargetVariant": "main"}, "an asynchronous request has no TargetVariant"),
        ({}, PLAIN, {"Kind": "asynchronous"}, "the endpoint is not asynchronous"),
        ({}, PLAIN, {"InputPrefix": "s3://a/b"}, "the endpoint is not asynchronous"),
        ({}, PLAIN, {"Kind": "streamed"}, None),
    ],
)
def test_requests_of_each_kind(
    config: dict[str, Any], model: dict[str, Any] | None, test: dict[str, Any], found: str | None
) -> None:
    shown = problem(World(config=config, models={"model": model} if model else {}), test=test)
    assert (found is None) == (shown is None), shown
    assert found is None or found in str(shown)


@pytest.mark.parametrize(
    ("test", "kind", "may_be_asynchronous"),
    [
        ({}, None, True),
        ({"TargetModel": "a"}, None, False),
        ({"Kind": "auto"}, None, True),
        ({"Kind": "streamed"}, "streamed", False),
        ({"Filename": "a"}, "asynchronous", False),
        ({"InputPrefix": "s3://a/"}, "asynchronous", False),
    ],
)
def test_the_kind_that_a_test_says(test: dict[str, Any], kind: str | None, may_be_asynchronous: bool) -> None:
    assert known_kind(test) == kind
    assert smoke_test.may_be_asynchronous(test) is may_be_asynchronous


def test_the_rows_of_a_csv_file_are_sent_as_csv() -> None:
    test = {"ContentType": "application/json", "RequestsFile": "a.CSV", "Accept": "x", "Timeout": 3}
    assert request_members(test, "real-time") == {"ContentType": "text/csv", "Accept": "x"}
    assert request_members({**test, "ContentType": "text/x"}, "streamed")["ContentType"] == "text/x"
    assert request_members({**test, "RequestsFile": "a.jsonl"}, "asynchronous") == {
        "ContentType": "application/json",
        "Accept": "x",
    }

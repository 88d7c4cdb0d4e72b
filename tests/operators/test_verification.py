"""After the switch: the smoke test, the images that run, and the fallback where AWS has no capacity."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import SmokeTest
from airflow_sm_hosting.exceptions import (
    DeploymentFailedError,
    DeploymentRolledBackError,
    InvalidSpecError,
    SmokeTestFailedError,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.retries import why_hopeless
from airflow_sm_hosting.spec.tags import FALLBACK_FOR
from tests.local.conftest import Deployer
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answered_with,
    deploy,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    sagemaker_client,
    settled,
    tags_of,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
NO_CAPACITY = "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error."


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


# The smoke test.


@pytest.fixture
def versions(process_aws: LocalAws) -> LocalAws:
    """Configs ``one`` and ``two``, whose containers tell their version."""
    image = Deployer(process_aws).push_image()
    for name, version in (("one", "1"), ("two", "2")):
        process_aws.client("sagemaker").create_model(
            ModelName=name,
            PrimaryContainer={"Image": image, "Environment": {"VERSION": version}},
            ExecutionRoleArn=ROLE,
        )
        make_config(process_aws, name, name)
    return process_aws


def expecting(version: str) -> SmokeTest:
    return SmokeTest(body={"x": 1}, expect=f'"version": "{version}"')


def test_a_right_answer_is_a_success(versions: LocalAws, dag: DAG, deferrable: bool) -> None:
    end = outcome(deploy("one", smoke_test=expecting("1"), deferrable=deferrable))

    assert (end.error, end.details["action"]) == (None, "create")


def test_a_wrong_answer_fails_and_leaves_serving_what_was_deployed(versions: LocalAws, dag: DAG) -> None:
    assert outcome(deploy("one")).error is None

    end = outcome(deploy("two", smoke_test=expecting("1")))

    assert isinstance(end.error, SmokeTestFailedError)
    assert "expected: a response that contains" in str(end.error)
    assert "two continues to serve" in str(end.error)
    assert end.details["endpoint_config_name"] == settled(versions)["EndpointConfigName"] == "two"
    assert why_hopeless(end.error)


def test_a_wrong_answer_rolls_back_where_that_is_wanted(
    versions: LocalAws, dag: DAG, deferrable: bool
) -> None:
    assert outcome(deploy("one")).error is None

    task = deploy("two", smoke_test=expecting("1"), on_smoke_failure="rollback", deferrable=deferrable)
    end = outcome(task)

    assert isinstance(end.error, SmokeTestFailedError)
    assert "The endpoint was rolled back, and serves one." in str(end.error)
    assert end.details["endpoint_config_name"] == settled(versions)["EndpointConfigName"] == "one"
    assert (end.details["action"], end.ran.deferrals) == ("rollback", 2 * int(deferrable))


def test_a_new_endpoint_has_nothing_to_roll_back_to(versions: LocalAws, dag: DAG) -> None:
    end = outcome(deploy("one", smoke_test=expecting("2"), on_smoke_failure="rollback"))

    assert isinstance(end.error, SmokeTestFailedError)
    assert "one continues to serve" in str(end.error)


def test_an_unchanged_endpoint_is_asked_too(versions: LocalAws, dag: DAG) -> None:
    """An earlier try may have died between the deployment and the test."""
    assert outcome(deploy("one")).error is None
    versions.clear_requests()

    assert outcome(deploy("one", smoke_test=expecting("1"))).error is None
    assert "InvokeEndpoint" in operations(versions)
    assert isinstance(outcome(deploy("one", smoke_test=expecting("2"))).error, SmokeTestFailedError)


@pytest.mark.parametrize(
    "bad",
    [
        {"smoke_test": "ping"},
        {"smoke_test": {"Body": 1}},
        {"on_smoke_failure": "retry"},
        {"fallback_endpoint_config_names": "other"},
        {"fallback_endpoint_config_names": ["a_b"]},
        {"new_fleet_alarms": "latency"},
    ],
    ids=repr,
)
def test_bad_literals_break_the_dag_file(dag: DAG, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        deploy("one", **bad)


@pytest.mark.parametrize(
    "bad", [{"body": None}, {"body": b"x"}, {"body": "x", "target_variant": "a_b"}], ids=repr
)
def test_a_smoke_test_is_checked_where_it_is_written(bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        SmokeTest(**bad)


# The images that run.


def test_another_image_than_the_one_asked_for_is_a_failure(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_model(aws)
    make_config(aws, "c1")
    other = IMAGE.replace("a" * 64, "b" * 64)

    def resolved_to_another(parsed: dict[str, Any]) -> None:
        for variant in parsed.get("ProductionVariants", []):
            for image in variant.get("DeployedImages", []):
                image["ResolvedImage"] = other

    with answered_with(sagemaker_client(), "DescribeEndpoint", resolved_to_another):
        end = outcome(deploy("c1", deferrable=deferrable))

    assert isinstance(end.error, DeploymentFailedError)
    assert f"variant main runs {other}, not the requested {IMAGE}" in str(end.error)


# The fallback.


def short_of(config: str) -> Any:
    """Have AWS give lack of capacity as the reason why a config could not be deployed."""

    def change(parsed: dict[str, Any]) -> None:
        if parsed.get("FailureReason"):
            parsed["FailureReason"] = NO_CAPACITY

    return answered_with(sagemaker_client(), "DescribeEndpoint", change)


@pytest.fixture
def capacity(aws: LocalAws) -> LocalAws:
    """Configs ``c1`` and ``small``, and ``large``, which cannot be deployed."""
    make_model(aws)
    for name in ("c1", "small"):
        make_config(aws, name)
    make_config(aws, "large", make_broken_model(aws))
    return aws


def test_without_capacity_the_next_config_is_deployed(capacity: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(capacity, "c1")

    with short_of("large"):
        end = outcome(deploy("large", fallback_endpoint_config_names=["small"], deferrable=deferrable))

    assert (end.error, end.details["endpoint_config_name"]) == (None, "small")
    assert settled(capacity)["EndpointConfigName"] == "small"
    assert tags_of(capacity, ARN)[FALLBACK_FOR] == "large"


def test_a_new_endpoint_falls_back_too(capacity: LocalAws, dag: DAG) -> None:
    with short_of("large"):
        end = outcome(deploy("large", fallback_endpoint_config_names=["small"]))

    assert (end.error, end.details["action"], end.details["endpoint_config_name"]) == (
        None,
        "replace",
        "small",
    )


def test_a_rerun_leaves_the_fallback_serving(capacity: LocalAws, dag: DAG) -> None:
    make_endpoint(capacity, "c1")
    with short_of("large"):
        outcome(deploy("large", fallback_endpoint_config_names=["small"]))
    capacity.clear_requests()

    end = outcome(deploy("large", fallback_endpoint_config_names=["small"]))

    assert (end.error, end.details["action"], end.details["endpoint_config_name"]) == (
        None,
        "unchanged",
        "small",
    )
    assert operations(capacity, mutating=True) == []


def test_what_stands_for_itself_is_no_fallback_any_more(capacity: LocalAws, dag: DAG) -> None:
    make_endpoint(capacity, "c1")
    with short_of("large"):
        outcome(deploy("large", fallback_endpoint_config_names=["small"]))

    assert outcome(deploy("c1")).error is None
    assert tags_of(capacity, ARN)[FALLBACK_FOR] == ""


def test_without_any_capacity_the_failure_says_what_to_do(capacity: LocalAws, dag: DAG) -> None:
    make_endpoint(capacity, "c1")
    make_config(capacity, "larger", "broken")

    with short_of("large"):
        end = outcome(deploy("large", fallback_endpoint_config_names=["larger"]))

    assert isinstance(end.error, DeploymentRolledBackError)
    assert "AWS has no capacity for this instance type now" in str(end.error)
    assert why_hopeless(end.error) is None  # time mends it
    assert settled(capacity)["EndpointConfigName"] == "c1"


def test_another_failure_does_not_fall_back(capacity: LocalAws, dag: DAG) -> None:
    make_endpoint(capacity, "c1")

    end = outcome(deploy("large", fallback_endpoint_config_names=["small"]))

    assert isinstance(end.error, DeploymentRolledBackError)
    assert "SageMaker rolled endpoint churn back: it serves c1, not large" in str(end.error)

"""Going back to the config that served before, in one step and once a DAG run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_sm_hosting import RollbackEndpointOperator
from airflow_sm_hosting.exceptions import ConflictError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS, PREVIOUS_ENDPOINT_CONFIGS
from tests.operators.conftest import (
    answering,
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
    task_id,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    for name in ("a", "b", "c"):
        make_config(aws, name)
    return aws


def options(**given: Any) -> dict[str, Any]:
    return {"task_id": task_id(), "endpoint_name": "churn", "poll_interval": 0.1, "timeout": 60, **given}


def rollback(**given: Any) -> RollbackEndpointOperator:
    return RollbackEndpointOperator(**options(**given))


def deploy_all(*names: str, run_after: datetime = NOW) -> None:
    for name in names:
        assert outcome(deploy(name), run_after=run_after).error is None


def serving(aws: LocalAws) -> str:
    return str(settled(aws)["EndpointConfigName"])


def test_it_goes_back_to_what_served_before_with_two_mutating_calls(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    deploy_all("a", "b", "c")
    configs.clear_requests()

    end = outcome(rollback(deferrable=deferrable), run_after=NOW)

    assert (end.error, end.value, serving(configs)) == (None, "churn", "b")
    assert end.details == {
        "action": "rollback",
        "endpoint_config_name": "b",
        "previous_endpoint_config_name": "c",
        "endpoint_arn": ARN,
    }
    assert operations(configs, mutating=True) == ["AddTags", "UpdateEndpoint"]
    # The target stays in the history: SageMaker may roll the rollback back.
    assert tags_of(configs, ARN)[PREVIOUS_ENDPOINT_CONFIGS] == "b a"


def test_the_same_run_rolls_back_once_and_a_later_one_further(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a", "b", "c")
    assert outcome(rollback(), run_after=NOW).error is None
    configs.clear_requests()

    again = outcome(rollback(), run_after=NOW)
    assert (again.error, again.details["action"], serving(configs)) == (None, "unchanged", "b")
    assert operations(configs, mutating=True) == []

    assert outcome(rollback(), run_after=NOW + timedelta(hours=1)).error is None
    assert serving(configs) == "a"


def test_a_rollback_that_died_before_the_update_is_done_by_the_next_try(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a", "b", "c")
    died = RuntimeError("the worker died")
    with answering(sagemaker_client(), "UpdateEndpoint", died):
        assert outcome(rollback(), run_after=NOW).error is died

    assert outcome(rollback(), run_after=NOW).error is None
    assert serving(configs) == "b"


def test_it_goes_to_a_named_config(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    deploy_all("a", "b", "c")

    end = outcome(rollback(endpoint_config_name="a", deferrable=deferrable), run_after=NOW)

    assert (end.error, end.details["action"], serving(configs)) == (None, "rollback", "a")


def test_after_a_rollback_of_sagemaker_s_own_it_goes_to_what_served_before_that(
    configs: LocalAws, dag: DAG
) -> None:
    deploy_all("a", "b")
    make_config(configs, "bad", make_broken_model(configs))
    assert outcome(deploy("bad"), run_after=NOW).error is not None
    assert serving(configs) == "b"

    assert outcome(rollback(), run_after=NOW).error is None
    assert serving(configs) == "a"


def test_with_nothing_before_it_says_so(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a")
    configs.clear_requests()

    error = outcome(rollback(), run_after=NOW).error

    assert isinstance(error, NotFoundError)
    assert "Endpoint churn serves a, and its tags name no previous config" in str(error)
    assert operations(configs, mutating=True) == []


@pytest.mark.parametrize("named", [{}, {"endpoint_config_name": "a"}], ids=["before", "named"])
def test_without_an_endpoint_it_says_so(configs: LocalAws, dag: DAG, named: dict[str, str]) -> None:
    error = outcome(rollback(**named), run_after=NOW).error

    assert isinstance(error, NotFoundError)
    assert "There is no endpoint 'churn'" in str(error)


@pytest.mark.slow
def test_a_config_that_was_deleted_is_named(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a", "b")
    configs.client("sagemaker").delete_endpoint_config(EndpointConfigName="a")
    configs.clear_requests()

    error = outcome(rollback(), run_after=NOW).error

    assert isinstance(error, NotFoundError)
    assert "There is no endpoint config 'a'" in str(error)
    assert operations(configs, mutating=True) == []


def test_an_endpoint_that_is_not_ours_is_left_alone(configs: LocalAws, dag: DAG) -> None:
    make_endpoint(configs, "b", tags={PREVIOUS_ENDPOINT_CONFIGS: "a"})
    assert isinstance(outcome(rollback(), run_after=NOW).error, ConflictError)

    assert outcome(rollback(adopt=True), run_after=NOW).error is None
    assert serving(configs) == "a"
    assert OURS.items() <= tags_of(configs, ARN).items()


def test_a_rollback_of_an_older_run_is_skipped(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a", "b")

    end = outcome(rollback(), run_after=NOW - timedelta(hours=1))

    assert isinstance(end.error, AirflowSkipException)
    assert serving(configs) == "b"


def test_an_older_run_does_not_undo_a_rollback(configs: LocalAws, dag: DAG) -> None:
    deploy_all("a", "b", run_after=NOW)
    assert outcome(rollback(), run_after=NOW).error is None

    end = outcome(deploy("c"), run_after=NOW - timedelta(hours=1))

    assert isinstance(end.error, AirflowSkipException)
    assert serving(configs) == "a"

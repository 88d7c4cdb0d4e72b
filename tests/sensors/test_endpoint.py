"""EndpointInServiceSensor, in the worker and in the triggerer."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout, AirflowSkipException
from airflow.sdk import DAG

from airflow_sm_hosting import EndpointInServiceSensor
from airflow_sm_hosting.exceptions import ConnectionNotFoundError, DeploymentFailedError, InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.retries import RETRIES
from tests.operators.conftest import (
    answered_with,
    answering,
    event_hook,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    refusal,
    sagemaker_client,
    task_id,
)


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


def sensor(**options: Any) -> EndpointInServiceSensor:
    return EndpointInServiceSensor(
        **{
            "task_id": task_id("wait"),
            "endpoint_name": "churn",
            "poke_interval": 0.1,
            "timeout": 30,
            **options,
        }
    )


@pytest.fixture
def configs(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_config(aws, "c2")
    return aws


@pytest.mark.parametrize("config", [None, "c1", "{{ 'c1' }}", "{{ none }}"])
def test_an_endpoint_in_service_ends_the_wait(
    configs: LocalAws, dag: DAG, deferrable: bool, config: str | None
) -> None:
    make_endpoint(configs, "c1")
    configs.clear_requests()
    end = outcome(sensor(deferrable=deferrable, endpoint_config_name=config))
    assert end.error is None
    assert operations(configs) == ["DescribeEndpoint"]
    assert end.ran.xcoms["endpoint_link"].endswith("/ui/endpoints/churn?region=us-east-1")


def test_an_endpoint_that_does_not_exist_yet_is_waited_for(
    configs: LocalAws, dag: DAG, deferrable: bool
) -> None:
    looks = iter(range(100))

    def made(**_: Any) -> None:
        if next(looks) == 1:
            make_endpoint(configs, "c1")

    with event_hook(sagemaker_client(), "before-call.*.DescribeEndpoint", made):
        end = outcome(sensor(deferrable=deferrable))
    assert end.error is None


def test_another_config_is_waited_for(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1")
    first_look = threading.Event()

    def update(_: dict[str, Any]) -> None:
        if not first_look.is_set():
            first_look.set()
            configs.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName="c2")

    with answered_with(sagemaker_client(), "DescribeEndpoint", update):
        end = outcome(sensor(deferrable=deferrable, endpoint_config_name="c2"))
    assert end.error is None
    assert first_look.is_set()


@pytest.mark.slow
def test_a_pending_deployment_is_waited_out(slow_aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_model(slow_aws)
    make_config(slow_aws, "c1")
    make_config(slow_aws, "c2")
    make_endpoint(slow_aws, "c1")
    slow_aws.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName="c2")
    assert outcome(sensor(deferrable=deferrable)).error is None
    found = slow_aws.client("sagemaker").describe_endpoint(EndpointName="churn")
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "c2")


def test_a_failed_endpoint_is_an_error_with_its_reason(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_config(aws, "bad", make_broken_model(aws))
    make_endpoint(aws, "bad")
    end = outcome(sensor(deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error).startswith("Endpoint churn is Failed on bad: Please make sure all images ")


def test_a_rescheduled_sensor_proves_a_failure_within_one_poke(aws: LocalAws, dag: DAG) -> None:
    """Each poke is a process of its own, which has no earlier answers."""
    make_config(aws, "bad", make_broken_model(aws))
    make_endpoint(aws, "bad")
    with pytest.raises(DeploymentFailedError, match="Endpoint churn is Failed on bad"):
        sensor(mode="reschedule").poke({})
    assert not sensor(mode="reschedule", endpoint_name="other").poke({})


@pytest.mark.parametrize("status", ["OutOfService", "UpdateRollbackFailed", "Failed"])
def test_broken_endpoints_are_errors_also_without_a_reason(
    configs: LocalAws, dag: DAG, deferrable: bool, status: str
) -> None:
    """Statuses that the local AWS has no way into."""
    make_endpoint(configs, "c1")
    change = lambda found: found.update(EndpointStatus=status)  # noqa: E731
    with answered_with(sagemaker_client(), "DescribeEndpoint", change):
        end = outcome(sensor(deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error) == f"Endpoint churn is {status} on c1: no reason given"


def test_the_time_budget_ends_the_wait_as_with_every_sensor(
    aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    assert type(outcome(sensor(deferrable=deferrable, timeout=1)).error) is AirflowSensorTimeout


def test_soft_fail_skips(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    end = outcome(sensor(deferrable=deferrable, timeout=1, soft_fail=True))
    assert type(end.error) is AirflowSkipException


def test_a_throttled_look_does_not_end_the_wait(configs: LocalAws, dag: DAG, deferrable: bool) -> None:
    make_endpoint(configs, "c1")
    with answering(sagemaker_client(), "DescribeEndpoint", refusal("ThrottlingException")) as left:
        assert outcome(sensor(deferrable=deferrable)).error is None
    assert left == []


def test_a_missing_permission_ends_both_waits_alike(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    with answering(sagemaker_client(), "DescribeEndpoint", refusal("AccessDeniedException", "You may not")):
        end = outcome(sensor(deferrable=deferrable))
    assert type(end.error) is DeploymentFailedError
    assert str(end.error) == (
        "Endpoint churn could not be described: ClientError: An error occurred (AccessDeniedException) when calling the "
        "DescribeEndpoint operation: You may not"
    )


def test_a_connection_that_does_not_exist_is_an_error(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    end = outcome(sensor(deferrable=deferrable, aws_conn_id="nowhere"))
    assert type(end.error) is ConnectionNotFoundError
    assert operations(aws) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"endpoint_name": "{{ none }}"},
        {"endpoint_name": "{{ 'a_b' }}"},
        {"endpoint_config_name": "{{ 'a_b' }}"},
    ],
)
def test_what_can_never_be_is_an_error_and_not_waited_for(
    aws: LocalAws, dag: DAG, deferrable: bool, bad: dict[str, Any]
) -> None:
    end = outcome(sensor(deferrable=deferrable, timeout=1, **bad))
    assert isinstance(end.error, InvalidSpecError), repr(end.error)
    assert operations(aws) == []


def test_what_another_try_would_meet_again_is_not_tried_again() -> None:
    """Airflow 3.3 and newer asks; older versions try everything again."""
    assert sensor().retry_policy is RETRIES  # type: ignore[comparison-overlap]

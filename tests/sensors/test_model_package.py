"""ModelPackageApprovedSensor, in the worker and in the triggerer."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSensorTimeout
from airflow.sdk import DAG

from airflow_sm_hosting import ModelPackageApprovedSensor
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelPackageError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers.model_package import ModelPackageTrigger
from tests.operators.conftest import (
    IMAGE,
    answered_with,
    answering,
    event_hook,
    operations,
    outcome,
    refusal,
    sagemaker_client,
    task_id,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/churn/1"


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def group(aws: LocalAws) -> LocalAws:
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="churn")
    return aws


def register(aws: LocalAws, status: str = "PendingManualApproval") -> str:
    made = aws.client("sagemaker").create_model_package(
        ModelPackageGroupName="churn",
        ModelApprovalStatus=status,
        InferenceSpecification={"Containers": [{"Image": IMAGE}]},
    )
    return str(made["ModelPackageArn"])


def decide(aws: LocalAws, arn: str, status: str, description: str = "") -> None:
    aws.client("sagemaker").update_model_package(
        ModelPackageArn=arn, ModelApprovalStatus=status, ApprovalDescription=description
    )


def sensor(package: Any = ARN, **options: Any) -> ModelPackageApprovedSensor:
    return ModelPackageApprovedSensor(
        **{
            "task_id": task_id("wait"),
            "model_package": package,
            "poke_interval": 0.1,
            "timeout": 30,
            **options,
        }
    )


@pytest.mark.parametrize("package", [ARN, "churn/1", "{{ 'churn' }}/1"])
def test_an_approved_version_ends_the_wait(group: LocalAws, dag: DAG, deferrable: bool, package: str) -> None:
    register(group, "Approved")
    assert outcome(sensor(package, deferrable=deferrable)).error is None


@pytest.mark.parametrize("status", ["Approved", "Rejected"])
def test_a_decision_is_waited_for(group: LocalAws, dag: DAG, deferrable: bool, status: str) -> None:
    arn = register(group)
    looks: list[str] = []

    def looked(model: Any, **_: Any) -> None:
        looks.append(model.name)
        if len(looks) == 3:
            decide(group, arn, status, "by the board")

    with event_hook(sagemaker_client(), "before-call.*.*", looked):
        end = outcome(sensor(deferrable=deferrable))
    assert len(looks) >= 3
    if status == "Approved":
        assert end.error is None
    else:
        assert type(end.error) is ModelPackageError
        assert f"{arn} is Rejected (by the board)" in str(end.error)


def test_a_version_that_does_not_exist_yet_is_waited_for(group: LocalAws, dag: DAG, deferrable: bool) -> None:
    looks: list[int] = []

    def looked(**_: Any) -> None:
        looks.append(1)
        if len(looks) == 2:
            register(group, "Approved")

    with event_hook(sagemaker_client(), "before-call.*.*", looked):
        assert outcome(sensor(deferrable=deferrable)).error is None


def test_throttling_is_no_error(group: LocalAws, dag: DAG, deferrable: bool) -> None:
    register(group, "Approved")
    throttled = refusal("ThrottlingException", "slow down")
    operation = "BatchDescribeModelPackage" if deferrable else "DescribeModelPackage"
    with answering(sagemaker_client(), operation, throttled):
        assert outcome(sensor(deferrable=deferrable)).error is None


def test_a_refusal_is_told(group: LocalAws, dag: DAG, deferrable: bool) -> None:
    denied = refusal("AccessDeniedException", "not you")
    operation = "BatchDescribeModelPackage" if deferrable else "DescribeModelPackage"
    with answering(sagemaker_client(), operation, denied):
        end = outcome(sensor(deferrable=deferrable))
    assert "not you" in str(end.error)


def test_one_of_many_that_is_refused_ends_its_own_wait_only(group: LocalAws) -> None:
    arns = [register(group, "Approved") for _ in range(3)]

    def refuse(answer: dict[str, Any]) -> None:
        if answer["ModelPackageSummaries"].pop(arns[1], None):
            why = {"ErrorCode": "AccessDeniedException", "ErrorResponse": "not you"}
            answer["BatchDescribeModelPackageErrorMap"] = {arns[1]: why}

    async def wait() -> list[Any]:
        async def one(arn: str) -> Any:
            trigger = ModelPackageTrigger(model_package=arn, poll_interval=0.1)
            return (await anext(aiter(trigger.run()))).payload["error"]

        return await asyncio.gather(*map(one, arns))

    with answered_with(sagemaker_client(), "BatchDescribeModelPackage", refuse):
        errors = asyncio.run(wait())
    assert (errors[0], errors[2]) == (None, None)
    assert "not you" in errors[1]


def test_a_wait_ends_with_its_time(group: LocalAws, dag: DAG, deferrable: bool) -> None:
    register(group)
    error = outcome(sensor(deferrable=deferrable, timeout=0.2)).error
    assert type(error) is AirflowSensorTimeout
    if deferrable:
        assert "not approved within 0.2 s: PendingManualApproval, Completed" in str(error)


def test_a_decision_that_is_taken_back_after_the_wait_is_waited_for_again(group: LocalAws, dag: DAG) -> None:
    arn = register(group, "Approved")
    client = sagemaker_client()
    looks: list[str] = []

    def looked(model: Any, **_: Any) -> None:
        looks.append(model.name)
        if len(looks) == 2:  # of the task, after the trigger has seen the approval
            decide(group, arn, "PendingManualApproval")
        elif len(looks) == 3:
            decide(group, arn, "Approved")

    with (
        event_hook(client, "before-call.*.DescribeModelPackage", looked),
        event_hook(client, "before-call.*.BatchDescribeModelPackage", looked),
    ):
        end = outcome(sensor(deferrable=True))
    assert end.error is None
    assert (end.ran.deferrals, looks) == (2, ["BatchDescribeModelPackage", "DescribeModelPackage"] * 2)


@pytest.mark.parametrize("package", ["churn", "churn/0", "{{ 'churn' }}"])
def test_what_is_no_version_is_refused(aws: LocalAws, dag: DAG, package: str) -> None:
    with pytest.raises(InvalidSpecError, match="model_package is 'churn"):
        raise outcome(sensor(package)).error or AssertionError
    assert operations(aws) == []


def test_all_waits_of_a_connection_are_looked_at_with_one_call(
    group: LocalAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__SM_HOSTING__CALLS_PER_SECOND", "1000")
    arns = [register(group, "Approved") for _ in range(120)]
    group.clear_requests()

    async def wait() -> list[Any]:
        async def one(arn: str) -> Any:
            trigger = ModelPackageTrigger(model_package=arn, poll_interval=5)
            return (await anext(aiter(trigger.run()))).payload

        return await asyncio.gather(*map(one, arns))

    events = asyncio.run(wait())
    assert events == [{"model_package": arn, "deadline": None, "error": None} for arn in arns]
    assert operations(group) == ["BatchDescribeModelPackage"] * 2


def test_a_triggers_arguments_come_back_from_what_it_serialises() -> None:
    given = {"model_package": ARN, "deadline": 2.0, "poll_interval": 5.0, "region_name": "eu-west-1"}
    path, arguments = ModelPackageTrigger(**given, other_version="x").serialize()
    assert path == "airflow_sm_hosting.triggers.model_package.ModelPackageTrigger"
    assert given.items() <= arguments.items()
    assert ModelPackageTrigger(**arguments).serialize() == (path, arguments)

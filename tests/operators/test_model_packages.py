"""Models of model packages: which version is taken, what is pinned, what is refused."""

from __future__ import annotations

import re
from typing import Any

import pytest
from airflow.sdk import DAG, Asset
from airflow.sdk.execution_time.context import TriggeringAssetEventsAccessor

from airflow_sm_hosting import (
    ContainerDefinition,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelHostingTaskGroup,
    ModelPackage,
    PlanDeploymentOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError, ModelPackageError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answered_with,
    deploy,
    make_config,
    operations,
    run_task,
    sagemaker_client,
    task_id,
    triggering_events,
)

FRONT = "arn:aws:sagemaker:us-east-1:123456789012:model-package"


def image(number: int) -> str:
    return IMAGE[:-4] + f"{number:04d}"


def register(aws: LocalAws, approval: str = "Approved", *, number: int = 1, group: str = "churn") -> str:
    """Register a version of a group, and return its ARN."""
    client = aws.client("sagemaker")
    if not client.list_model_package_groups(NameContains=group)["ModelPackageGroupSummaryList"]:
        client.create_model_package_group(ModelPackageGroupName=group)
    made = client.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=approval,
        InferenceSpecification={
            "Containers": [{"Image": image(number), "Environment": {"TOKEN": "s3cr3t-of-the-package"}}]
        },
    )
    return str(made["ModelPackageArn"])


def create(package: Any, **options: Any) -> CreateModelOperator:
    return CreateModelOperator(
        task_id=task_id("model"),
        model_name="churn",
        containers=[ContainerDefinition(model_package=package, **options)],
        execution_role=ROLE,
    )


def latest(group: str = "churn") -> CreateModelOperator:
    return create(ModelPackage.latest_approved(group))


def package_of(aws: LocalAws, model: str) -> str:
    described = aws.client("sagemaker").describe_model(ModelName=model)
    return str(described["PrimaryContainer"]["ModelPackageName"])


def test_the_latest_approved_version_is_taken_and_pinned(aws: LocalAws, dag: DAG) -> None:
    register(aws)
    second = register(aws, number=2)
    register(aws, "PendingManualApproval", number=3)
    register(aws, "Rejected", number=4)
    ran = run_task(latest())
    assert package_of(aws, ran.value) == second
    assert ran.details["model_packages"] == [
        {
            "arn": second,
            "group": "churn",
            "version": 2,
            "approval_status": "Approved",
            "approval_description": None,
            "images": [image(2)],
            "model_data": [None],
        }
    ]
    assert "s3cr3t" not in str(ran.xcoms)


def test_a_newly_approved_version_is_a_new_model_and_the_old_one_stays(aws: LocalAws, dag: DAG) -> None:
    register(aws)
    second = register(aws, "PendingManualApproval", number=2)
    first = run_task(latest()).value
    aws.clear_requests()
    assert run_task(latest()).value == first
    assert operations(aws) == ["ListModelPackages", "DescribeModelPackage", "DescribeModel"]
    aws.client("sagemaker").update_model_package(ModelPackageArn=second, ModelApprovalStatus="Approved")
    again = run_task(latest()).value
    assert again != first
    assert (package_of(aws, first), package_of(aws, again)) == (f"{FRONT}/churn/1", second)


def test_versions_are_numbers(aws: LocalAws, dag: DAG) -> None:
    for number in range(1, 12):
        register(aws, number=number)
    assert package_of(aws, run_task(latest()).value) == f"{FRONT}/churn/11"


def test_an_older_version_that_is_approved_later_does_not_count(aws: LocalAws, dag: DAG) -> None:
    older, newer = register(aws, "PendingManualApproval"), register(aws, number=2)
    aws.client("sagemaker").update_model_package(ModelPackageArn=older, ModelApprovalStatus="Approved")
    assert package_of(aws, run_task(latest()).value) == newer


def test_empty_pages_are_read_on(aws: LocalAws, dag: DAG) -> None:
    wanted = register(aws)
    asked: list[Any] = []

    def empty(answer: dict[str, Any]) -> None:
        asked.append(answer)
        if len(asked) < 3:
            answer.update(ModelPackageSummaryList=[], NextToken=f"page-{len(asked)}")

    client = sagemaker_client()

    def without_token(params: dict[str, Any], **_: Any) -> None:
        params.pop("NextToken", None)  # the token is the test's

    client.meta.events.register_first("provide-client-params.*.ListModelPackages", without_token)
    try:
        with answered_with(client, "ListModelPackages", empty):
            assert package_of(aws, run_task(latest()).value) == wanted
    finally:
        client.meta.events.unregister("provide-client-params.*.ListModelPackages", without_token)
    assert len(asked) == 3


def test_an_approved_version_that_failed_is_passed_over(aws: LocalAws, dag: DAG) -> None:
    register(aws)
    failed = register(aws, number=2)

    def fail(answer: dict[str, Any]) -> None:
        for row in answer["ModelPackageSummaryList"]:
            if row["ModelPackageArn"] == failed:
                row["ModelPackageStatus"] = "Failed"

    with answered_with(sagemaker_client(), "ListModelPackages", fail):
        assert package_of(aws, run_task(latest()).value) == f"{FRONT}/churn/1"


def test_a_version_that_is_rejected_while_it_is_looked_up_is_passed_over(aws: LocalAws, dag: DAG) -> None:
    first, second = register(aws), register(aws, number=2)
    third = register(aws, number=3)

    def reject(answer: dict[str, Any]) -> None:
        root = aws.client("sagemaker")
        root.update_model_package(ModelPackageArn=second, ModelApprovalStatus="Rejected")
        root.delete_model_package(ModelPackageName=third)

    with answered_with(sagemaker_client(), "ListModelPackages", reject):
        assert package_of(aws, run_task(latest()).value) == first


def test_a_group_without_an_approved_version_is_an_error_that_tells_what_it_has(
    aws: LocalAws, dag: DAG
) -> None:
    register(aws, "Rejected")
    register(aws, "PendingManualApproval")
    words = (
        "churn in us-east-1 has no version that can be deployed. Found: version 2: PendingManualApproval, Completed; "
        "version 1: Rejected, Completed. Allowed"
    )
    with pytest.raises(NotFoundError, match=re.escape(words)):
        run_task(latest())
    assert "CreateModel" not in operations(aws)


def test_a_group_that_does_not_exist_is_named(aws: LocalAws, dag: DAG) -> None:
    with pytest.raises(NotFoundError, match="There is no model package group gone in us-east-1"):
        run_task(latest("gone"))
    other = "arn:aws:sagemaker:us-east-1:999999999999:model-package-group/churn"
    with pytest.raises(NotFoundError, match=r"There is no model package group arn:.*:999999999999:"):
        run_task(latest(other))


def test_the_same_version_is_the_same_model_however_it_is_named(aws: LocalAws, dag: DAG) -> None:
    arn = register(aws)
    packages = [
        ModelPackage.version(arn),
        ModelPackage.version("churn/1"),
        ModelPackage.version("{{ 'churn' }}/1"),
        ModelPackage.latest_approved("churn"),
        ModelPackage.latest_approved("arn:aws:sagemaker:us-east-1:123456789012:model-package-group/churn"),
    ]
    assert len({run_task(create(package)).value for package in packages}) == 1


def test_a_package_whose_specification_is_changed_is_a_new_model(aws: LocalAws, dag: DAG) -> None:
    arn = register(aws)
    first = run_task(create(ModelPackage.version(arn))).value
    client = aws.client("sagemaker")
    client.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"a": "b"})
    assert run_task(create(ModelPackage.version(arn))).value == first
    client.update_model_package(
        ModelPackageArn=arn, InferenceSpecification={"Containers": [{"Image": image(9)}]}
    )
    assert run_task(create(ModelPackage.version(arn))).value != first


def test_an_additional_specification_is_another_model(aws: LocalAws, dag: DAG) -> None:
    arn = register(aws)
    aws.client("sagemaker").update_model_package(
        ModelPackageArn=arn,
        AdditionalInferenceSpecificationsToAdd=[{"Name": "gpu", "Containers": [{"Image": image(7)}]}],
    )
    own = run_task(create(ModelPackage.version(arn)))
    gpu = run_task(create(ModelPackage.version(arn), InferenceSpecificationName="gpu"))
    assert own.value != gpu.value
    assert gpu.details["model_packages"][0]["images"] == [image(7)]
    with pytest.raises(ModelPackageError, match=r"no inference specification 'cpu' .*It has: gpu\."):
        run_task(create(ModelPackage.version(arn), InferenceSpecificationName="cpu"))


@pytest.mark.parametrize("approval", ["Rejected", "PendingManualApproval"])
def test_a_version_that_is_not_approved_is_refused_before_anything_is_created(
    aws: LocalAws, dag: DAG, approval: str
) -> None:
    arn = register(aws, approval)
    with pytest.raises(ModelPackageError, match=f"{arn} is {approval}; allowed: Approved"):
        run_task(create(ModelPackage.version(arn)))
    assert operations(aws)[-1] == "DescribeModelPackage"


def test_a_version_that_does_not_exist_is_named(aws: LocalAws, dag: DAG) -> None:
    with pytest.raises(NotFoundError, match="there is no model package churn/1 in us-east-1"):
        run_task(create(ModelPackage.version("churn/1")))


def test_a_name_in_place_of_a_reference_is_sent_unchanged(aws: LocalAws, dag: DAG) -> None:
    arn = register(aws)
    aws.clear_requests()
    ran = run_task(create(arn))
    assert operations(aws) == ["DescribeModel", "CreateModel"]
    assert "model_packages" not in ran.details
    # Its name is that of version 0.1.0.
    assert (
        run_task(
            CreateModelOperator(
                task_id=task_id(),
                model_name="churn",
                containers=[{"ModelPackageName": arn}],
                execution_role=ROLE,
            )
        ).value
        == ran.value
    )


# The version of an event

APPROVED = Asset("approved")


def triggered_by(*payloads: dict[str, str]) -> TriggeringAssetEventsAccessor:
    return triggering_events(APPROVED, *({"from_trigger": True, "payload": one} for one in payloads))


def test_the_version_of_the_event_is_taken_though_a_newer_one_is_approved(aws: LocalAws, dag: DAG) -> None:
    arn = register(aws)
    register(aws, number=2)
    events = triggered_by({"arn": arn, "modified_at": "2026-11-30T10:00:00Z"})
    ran = run_task(create(ModelPackage.from_event(APPROVED)), triggering_asset_events=events)
    assert package_of(aws, ran.value) == arn
    assert "ListModelPackages" not in operations(aws)


def test_a_run_without_an_event_takes_the_latest_of_the_group_if_one_is_given(
    aws: LocalAws, dag: DAG
) -> None:
    register(aws)
    newest = register(aws, number=2)
    ran = run_task(create(ModelPackage.from_event(APPROVED, group="churn")), triggering_asset_events={})
    assert package_of(aws, ran.value) == newest
    with pytest.raises(InvalidSpecError, match="no event of a model package started this run"):
        run_task(create(ModelPackage.from_event(APPROVED)), triggering_asset_events={})


def test_a_task_group_deploys_a_package(aws: LocalAws) -> None:
    arn = register(aws)
    with DAG("test", schedule=None) as dag:
        ModelHostingTaskGroup(
            endpoint_name="churn",
            models={"churn": [ContainerDefinition(model_package=ModelPackage.latest_approved("churn"))]},
            production_variants=[
                InstanceProductionVariant(
                    model_name="churn", variant_name="main", instance_type="ml.m5.large"
                )
            ],
            execution_role=ROLE,
            # There is no image to check before the package is resolved.
            check_container=True,
        )
    (create_model,) = (task for task in dag.tasks if isinstance(task, CreateModelOperator))
    assert not [task.task_id for task in dag.tasks if "check" in task.task_id]
    assert package_of(aws, run_task(create_model).value) == arn


# The plan


def test_a_plan_shows_the_package_that_is_deployed(aws: LocalAws, dag: DAG) -> None:
    old, new = register(aws), register(aws, number=2)
    names = [run_task(create(ModelPackage.version(arn))).value for arn in (old, new)]
    configs = [make_config(aws, f"churn-{number}", model) for number, model in enumerate(names)]
    run_task(deploy(configs[0]))
    plan = run_task(
        PlanDeploymentOperator(
            task_id=task_id("plan"), endpoint_name="churn", endpoint_config_name=configs[1]
        )
    )
    assert "| `…/churn/1` | `…/churn/2` |" in plan.value

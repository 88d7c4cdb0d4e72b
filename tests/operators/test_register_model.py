"""RegisterModelOperator and ApproveModelOperator: one version for one content, and decisions that are not taken twice."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ApproveModelOperator,
    ContainerDefinition,
    CreateModelOperator,
    ModelData,
    ModelPackage,
    RegisterModelOperator,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, ModelPackageError, NotFoundError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import CONTENT_DIGEST, OURS
from tests.local.conftest import Deployer
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    Ran,
    answered_with,
    answering,
    event_hook,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    tags_of,
    task_id,
)

FRONT = "arn:aws:sagemaker:us-east-1:123456789012"
SECRET = "s3cr3t-in-the-environment"


def register(**options: Any) -> RegisterModelOperator:
    return RegisterModelOperator(
        **{
            "task_id": "register",
            "dag": DAG(task_id("dag"), schedule=None),
            "model_package_group_name": "churn",
            "containers": [ContainerDefinition(image=IMAGE, environment={"TOKEN": SECRET})],
            "create_group": True,
            **options,
        }
    )


def run(task: Any, run_id: str = "manual", **context: Any) -> Ran:
    return run_task(task, dag_run=SimpleNamespace(run_id=run_id, dag_id="train"), **context)


def versions(aws: LocalAws, group: str = "churn") -> list[str]:
    rows = aws.client("sagemaker").list_model_packages(ModelPackageGroupName=group)["ModelPackageSummaryList"]
    return [row["ModelPackageArn"] for row in rows]


def described(aws: LocalAws, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("sagemaker").describe_model_package(ModelPackageName=arn)
    return found


def test_a_version_is_registered_with_its_source(aws: LocalAws) -> None:
    ran = run(
        register(
            description="of November",
            content_types=["application/json"],
            response_types=["application/json"],
            instance_types=["ml.m5.large"],
            metadata={"accuracy": 0.94, "rows": "{{ 1000 }}"},
            model_metrics={
                "ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://m/q"}}
            },
            commit_id="abc123",
            source_repository="https://example.com/train.git",
            tags={"team": "a"},
        )
    )
    assert ran.value == f"{FRONT}:model-package/churn/1"
    assert ran.details == {
        "model_package_arn": ran.value,
        "version": 1,
        "created": True,
        "group_created": True,
        "approval_status": "PendingManualApproval",
        "images": [IMAGE],
    }
    found = described(aws, ran.value)
    assert found["ModelApprovalStatus"] == "PendingManualApproval"
    assert found["ModelPackageDescription"] == "of November"
    assert found["MetadataProperties"] == {
        "CommitId": "abc123",
        "Repository": "https://example.com/train.git",
        "GeneratedBy": "Airflow: DAG train, run manual, task register",
    }
    properties = found["CustomerMetadataProperties"]
    assert re.fullmatch(r"[0-9a-f]{64}", properties.pop(CONTENT_DIGEST))
    assert properties == {"accuracy": "0.94", "rows": "1000"}
    specification = found["InferenceSpecification"]
    assert specification["Containers"][0]["Environment"] == {"TOKEN": SECRET}
    assert specification["SupportedRealtimeInferenceInstanceTypes"] == ["ml.m5.large"]
    assert tags_of(aws, f"{FRONT}:model-package-group/churn") == {**OURS, "team": "a"}
    assert SECRET not in str(ran.xcoms)


def test_a_run_again_finds_its_version_and_changes_nothing(aws: LocalAws) -> None:
    first = run(register())
    aws.clear_requests()
    again = run(register(approval_status="Approved", metadata={"other": "1"}, description="x"), "another run")
    assert (again.value, again.details["created"]) == (first.value, False)
    assert again.details["approval_status"] == "PendingManualApproval"
    assert operations(aws, mutating=True) == []
    assert operations(aws) == [
        "DescribeModelPackageGroup",
        "ListModelPackages",
        "BatchDescribeModelPackage",
        "DescribeModelPackage",
    ]


@pytest.mark.parametrize(
    "change",
    [
        {"containers": [ContainerDefinition(image=IMAGE, environment={"TOKEN": "other"})]},
        {"containers": [ContainerDefinition(image=IMAGE[:-1] + "b", environment={"TOKEN": SECRET})]},
        {"instance_types": ["ml.g5.xlarge"]},
        {"content_types": ["text/csv"]},
    ],
)
def test_another_content_is_another_version(aws: LocalAws, change: dict[str, Any]) -> None:
    first = run(register()).value
    second = run(register(**change)).value
    assert versions(aws) == [first, second]
    # Each is found again, whichever is the newest.
    assert (run(register()).value, run(register(**change)).value) == (first, second)
    assert len(versions(aws)) == 2


def test_a_moved_tag_and_an_overwritten_artifact_are_other_versions(aws: LocalAws) -> None:
    deployer = Deployer(aws)
    aws.client("ecr").create_repository(repositoryName="churn")
    aws.client("s3").create_bucket(Bucket="models")

    def version(image: bytes, data: bytes) -> str:
        uri = deployer.push_image({"a": image}, repository="churn", tag="latest")
        aws.client("s3").put_object(Bucket="models", Key="m.tar.gz", Body=data)
        container = ContainerDefinition(image=uri, model_data=ModelData.from_bucket("models", "m.tar.gz"))
        return str(run(register(containers=[container])).value)

    contents = [(b"1", b"1"), (b"2", b"1"), (b"2", b"2")]
    assert len({version(*content) for content in contents}) == len(versions(aws)) == 3
    assert version(*contents[-1]) == versions(aws)[-1]
    image = described(aws, versions(aws)[-1])["InferenceSpecification"]["Containers"][0]["Image"]
    assert "@sha256:" in image


def test_the_same_content_that_somebody_else_registered_is_not_ours(aws: LocalAws) -> None:
    client = aws.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="churn")
    theirs = client.create_model_package(
        ModelPackageGroupName="churn",
        InferenceSpecification={"Containers": [{"Image": IMAGE, "Environment": {"TOKEN": SECRET}}]},
    )["ModelPackageArn"]
    assert run(register()).value != theirs


def test_an_approval_that_a_version_does_not_have_is_told(
    aws: LocalAws, capfd: pytest.CaptureFixture[str]
) -> None:
    run(register())
    assert "ApproveModelOperator" not in capfd.readouterr().out
    ran = run(register(approval_status="Approved"))
    assert ran.details["approval_status"] == "PendingManualApproval"
    assert "It is PendingManualApproval, not Approved" in capfd.readouterr().out


def test_two_groups_have_each_their_version(aws: LocalAws) -> None:
    first = run(register()).value
    second = run(register(model_package_group_name="other")).value
    assert (first.rpartition("/")[0], second.rpartition("/")[0]) == (
        f"{FRONT}:model-package/churn",
        f"{FRONT}:model-package/other",
    )


@pytest.mark.slow
def test_a_version_is_found_beyond_a_hundred_newer_ones(aws: LocalAws) -> None:
    first = run(register()).value
    client = aws.client("sagemaker")
    for _ in range(101):
        client.create_model_package(
            ModelPackageGroupName="churn", InferenceSpecification={"Containers": [{"Image": IMAGE}]}
        )
    aws.clear_requests()
    assert run(register()).value == first
    assert operations(aws).count("ListModelPackages") == 2


def test_a_call_that_was_sent_and_not_answered_makes_one_version(aws: LocalAws) -> None:
    """As of a worker that is killed, and of a listing that does not show the version yet."""

    def lose(**_: Any) -> None:
        raise ConnectionError("the answer is lost")

    client = sagemaker_client()
    with event_hook(client, "after-call.*.CreateModelPackage", lose), pytest.raises(ConnectionError):
        run(register())
    assert len(versions(aws)) == 1
    with answered_with(client, "ListModelPackages", lambda answer: answer.update(ModelPackageSummaryList=[])):
        again = run(register())
    assert (len(versions(aws)), again.value) == (1, versions(aws)[0])


def test_a_version_of_another_run_that_is_not_listed_yet_is_waited_for(
    aws: LocalAws, short_pauses: None
) -> None:
    first = run(register(), "one").value
    answers: list[Any] = []

    def hide(answer: dict[str, Any]) -> None:
        answers.append(answer)
        if len(answers) < 4:
            answer.update(ModelPackageSummaryList=[])

    with answered_with(sagemaker_client(), "ListModelPackages", hide):
        again = run(register(), "another")
    assert (again.value, again.details["created"], len(answers)) == (first, False, 4)


def test_two_runs_at_once_make_one_version(aws: LocalAws) -> None:
    made: list[str] = []

    def other_run(**_: Any) -> None:
        if not made:
            made.append("")
            made[0] = run(register(create_group=False), "the other run").value

    with event_hook(sagemaker_client(), "before-call.*.CreateModelPackage", other_run):
        mine = run(register())
    assert mine.value == made[0]
    assert (mine.details["created"], len(versions(aws))) == (False, 1)


def test_a_refusal_that_is_no_conflict_is_told(aws: LocalAws) -> None:
    with answering(sagemaker_client(), "CreateModelPackage", refusal("ResourceLimitExceeded", "too many")):
        assert "too many" in str(outcome(register()).error)


def test_a_conflict_that_left_no_version_is_told(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow_sm_hosting.hooks.model_registry.CONSISTENT_AFTER", 0)
    with answering(sagemaker_client(), "CreateModelPackage", refusal("ConflictException", "at once")):
        assert "at once" in str(outcome(register()).error)


# The group


def test_a_group_that_does_not_exist_is_an_error_unless_it_may_be_created(aws: LocalAws) -> None:
    for options in ({}, {"tags": {"a": "b"}}):
        error = outcome(register(create_group=False, **options)).error
        assert type(error) is NotFoundError
        assert "There is no model package group churn in us-east-1; create_group=True creates it" in str(
            error
        )
    assert operations(aws, mutating=True) == []


def test_a_group_that_another_task_creates_at_the_same_time_is_used(aws: LocalAws) -> None:
    def other(**_: Any) -> None:
        aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="churn")

    with event_hook(sagemaker_client(), "before-call.*.CreateModelPackageGroup", other):
        ran = run(register())
    assert (ran.details["created"], ran.details["group_created"]) == (True, False)


def test_a_new_group_that_is_not_seen_yet_is_waited_for(aws: LocalAws, short_pauses: None) -> None:
    unseen = refusal("ValidationException", "Model Package Group does not exist.")
    with answering(sagemaker_client(), "CreateModelPackage", unseen, unseen):
        assert run(register()).details["created"]


def test_tags_of_a_group_are_reconciled_and_others_left_alone(aws: LocalAws) -> None:
    run(register(tags={"team": "a"}))
    arn = f"{FRONT}:model-package-group/churn"
    aws.client("sagemaker").add_tags(ResourceArn=arn, Tags=[{"Key": "theirs", "Value": "1"}])
    aws.clear_requests()
    run(register(tags={"team": "b"}, create_group=False))
    assert operations(aws, mutating=True) == ["AddTags"]
    assert tags_of(aws, arn) == {**OURS, "team": "b", "theirs": "1"}
    aws.clear_requests()
    run(register(tags={"team": "b"}))
    assert operations(aws, mutating=True) == []


# What can never work


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"approval_status": "approved"}, "approval_status is 'approved'; allowed"),
        ({"containers": []}, "containers has 0 entries"),
        (
            {"containers": [ContainerDefinition(model_package="churn/1")]},
            "containers[0] has ModelPackageName, which a container of a model package does not have",
        ),
        ({"containers": [ContainerDefinition(image=IMAGE, mode="MultiModel")]}, "containers[0] has Mode"),
        ({"metadata": {"": "1"}}, "a key of RegisterModelOperator: metadata"),
        ({"metadata": {"a": {}}}, "metadata['a'] is a dict"),
        ({"request_members": {"Domains": "X"}}, "Did you mean 'Domain'?"),
        ({"request_members": {"ModelApprovalStatus": "Approved"}}, "allowed: approval_status"),
        ({"request_members": {"ClientToken": "x"}}, "this package makes the token"),
        ({"model_package_group_name": f"{FRONT}:model-package-group/churn"}, "create_group is True"),
        ({"model_package_group_name": "churn/1"}, "model_package_group_name is 'churn/1'"),
    ],
)
def test_what_can_never_work_is_refused_when_it_is_written(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=re.escape(words)):
        register(**options)


def test_what_is_rendered_is_checked_before_the_first_call(aws: LocalAws) -> None:
    for options in (
        {"approval_status": "{{ 'approved' }}"},
        {"content_types": ["{{ 'x' * 300 }}"]},
        {"metadata": {"accuracy": "{{ '' }}"}},
    ):
        error = outcome(register(**options)).error
        assert type(error) is InvalidSpecError, options
    assert operations(aws) == []


def test_values_of_environments_are_hidden(aws: LocalAws) -> None:
    task = register()
    assert SECRET not in json.dumps(task.containers, default=lambda one: one.serialize())
    assert task.hidden_values() == {SECRET}


# Approving


def approve(package: Any, **options: Any) -> ApproveModelOperator:
    return ApproveModelOperator(
        task_id=task_id("approve"), dag=DAG(task_id("dag"), schedule=None), model_package=package, **options
    )


def test_a_version_is_approved_once(aws: LocalAws) -> None:
    arn = run(register()).value
    ran = run(approve(arn, description="by the board"))
    assert ran.value == arn
    assert ran.details == {
        "model_package_arn": arn,
        "approval_status": "Approved",
        "previous_approval_status": "PendingManualApproval",
        "changed": True,
    }
    found = described(aws, arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Approved", "by the board")
    aws.clear_requests()
    for again in (approve("churn/1"), approve(arn, description="by the board")):
        assert run(again).details["changed"] is False
    assert operations(aws) == ["DescribeModelPackage"] * 2


def test_another_description_does_not_decide_again(aws: LocalAws) -> None:
    arn = run(register(approval_status="Approved")).value
    sent: list[dict[str, Any]] = []

    def collect(params: dict[str, Any], **_: Any) -> None:
        sent.append(dict(params))

    with event_hook(sagemaker_client(), "provide-client-params.*.UpdateModelPackage", collect):
        run(approve(arn, description="by the board"))
    assert sent == [{"ModelPackageArn": arn, "ApprovalDescription": "by the board"}]


@pytest.mark.parametrize(("before", "after"), [("Rejected", "Approved"), ("Approved", "Rejected")])
def test_the_opposite_decision_is_a_conflict_unless_it_is_overruled(
    aws: LocalAws, before: str, after: str
) -> None:
    arn = run(register(approval_status=before)).value
    error = outcome(approve(arn, approval_status=after)).error
    assert type(error) is ConflictError
    assert f"is {before}, by somebody else; requested: {after}. overrule=True" in str(error)
    assert described(aws, arn)["ModelApprovalStatus"] == before
    ran = run(approve(arn, approval_status=after, overrule=True))
    assert ran.details["previous_approval_status"] == before
    assert described(aws, arn)["ModelApprovalStatus"] == after


def test_a_version_that_is_not_complete_cannot_be_approved_but_rejected(aws: LocalAws) -> None:
    arn = run(register()).value
    with answered_with(
        sagemaker_client(), "DescribeModelPackage", lambda answer: answer.update(ModelPackageStatus="Failed")
    ):
        error = outcome(approve(arn)).error
        assert type(error) is ModelPackageError
        assert "has the status Failed; allowed for an approval: Completed" in str(error)
        run(approve(arn, approval_status="Rejected"))
    assert described(aws, arn)["ModelApprovalStatus"] == "Rejected"


def test_a_version_that_does_not_exist_cannot_be_approved(aws: LocalAws) -> None:
    error = outcome(approve("churn/1")).error
    assert type(error) is NotFoundError
    assert "There is no model package churn/1 in us-east-1" in str(error)


def test_somebody_else_who_approves_at_the_same_time_is_no_error(aws: LocalAws) -> None:
    arn = run(register()).value

    def approved_meanwhile(**_: Any) -> Any:
        aws.client("sagemaker").update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
        return refusal("ConflictException", "somebody else")

    with event_hook(sagemaker_client(), "before-call.*.UpdateModelPackage", approved_meanwhile):
        assert outcome(approve(arn)).error is None


def test_somebody_else_who_changes_it_at_the_same_time_is_an_error_that_can_be_tried_again(
    aws: LocalAws,
) -> None:
    arn = run(register()).value
    with answering(sagemaker_client(), "UpdateModelPackage", refusal("ConflictException", "somebody else")):
        assert "somebody else" in str(outcome(approve(arn)).error)
    run(approve(arn))
    assert described(aws, arn)["ModelApprovalStatus"] == "Approved"


def test_a_registered_and_approved_version_becomes_a_model(aws: LocalAws) -> None:
    arn = run(approve(run(register()).value)).value
    task = CreateModelOperator(
        task_id=task_id("model"),
        dag=DAG(task_id("dag"), schedule=None),
        model_name="churn",
        containers=[ContainerDefinition(model_package=ModelPackage.version(arn))],
        execution_role=ROLE,
    )
    name = run(task).value
    found = aws.client("sagemaker").describe_model(ModelName=name)
    assert found["PrimaryContainer"]["ModelPackageName"] == arn

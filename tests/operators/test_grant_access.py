"""GrantAccessOperator: our statement in the policies of others' resources, and nothing else of them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import GrantAccessOperator
from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks import ModelDataHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import answering, operations, outcome, refusal, run_task, task_id

OTHER = "444455556666"
ROLE = "arn:aws:iam::444455556666:role/execution"
RESOURCES: dict[str, Any] = {
    "repository_name": "churn",
    "model_data": ["s3://models/churn/"],
    "model_package_group_name": "churn",
}
NAMES = ["ECR repository churn", "bucket models", "model package group churn"]


def grant(**options: Any) -> GrantAccessOperator:
    return GrantAccessOperator(**{"task_id": task_id("grant"), "principals": [OTHER], **options})


@pytest.fixture(autouse=True)
def resources(aws: LocalAws) -> None:
    aws.client("ecr").create_repository(repositoryName="churn")
    aws.client("s3").create_bucket(Bucket="models")
    aws.client("sagemaker").create_model_package_group(ModelPackageGroupName="churn")
    aws.clear_requests()


def policies_of(aws: LocalAws) -> list[Any]:
    texts = (
        aws.client("ecr").get_repository_policy(repositoryName="churn")["policyText"],
        aws.client("s3").get_bucket_policy(Bucket="models")["Policy"],
        aws.client("sagemaker").get_model_package_group_policy(ModelPackageGroupName="churn")[
            "ResourcePolicy"
        ],
    )
    return [json.loads(text)["Statement"] for text in texts]


def test_each_resource_gets_our_statement_once(aws: LocalAws, dag: DAG) -> None:
    first = run_task(grant(**RESOURCES))
    assert (first.value, first.details) == ("SmHostingAccess", {"changed": NAMES, "unchanged": []})
    principal = {"AWS": [f"arn:aws:iam::{OTHER}:root"]}
    repository, bucket, group = policies_of(aws)
    assert [one["Action"] for one in repository] == [
        ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    ]
    assert [(one["Sid"], one["Action"], one["Resource"]) for one in bucket] == [
        ("SmHostingAccess", ["s3:GetObject"], ["arn:aws:s3:::models/churn/*"]),
        ("SmHostingAccess2", ["s3:ListBucket"], ["arn:aws:s3:::models"]),
    ]
    of_region = "arn:aws:sagemaker:us-east-1:123456789012"
    assert [one["Resource"] for one in group] == [
        [f"{of_region}:model-package-group/churn"],
        [f"{of_region}:model-package/churn/*"],
    ]
    assert all(one["Principal"] == principal for one in (*repository, *bucket, *group))
    aws.clear_requests()
    again = run_task(grant(**RESOURCES))
    assert again.details == {"changed": [], "unchanged": NAMES}
    assert operations(aws) == [
        "GetRepositoryPolicy",
        "GetBucketPolicy",
        "DescribeModelPackageGroup",
        "GetModelPackageGroupPolicy",
    ]


def test_statements_of_others_stay_and_ours_is_replaced(aws: LocalAws, dag: DAG) -> None:
    theirs = {"Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteObject"}
    without_id = {"Effect": "Deny", "Principal": "*", "Action": "s3:PutObjectAcl"}
    near = theirs | {"Sid": "SmHostingAccessOfOthers"}
    statements = [{**one, "Resource": "arn:aws:s3:::models/*"} for one in (theirs, without_id, near)]
    policy = {"Version": "2012-10-17", "Id": "theirs", "Statement": statements}
    s3 = aws.client("s3")
    s3.put_bucket_policy(Bucket="models", Policy=json.dumps(policy))
    for principals in ([OTHER], [OTHER, ROLE], [ROLE]):
        run_task(grant(principals=principals, model_data=["s3://models/churn/"]))
        found = json.loads(s3.get_bucket_policy(Bucket="models")["Policy"])
        assert found["Statement"][:3] == statements
        assert found["Id"] == "theirs"
        assert [one["Sid"] for one in found["Statement"][3:]] == ["SmHostingAccess", "SmHostingAccess2"]
        assert len(found["Statement"][3]["Principal"]["AWS"]) == len(principals)


def test_two_grants_with_ids_of_their_own_stand_beside_each_other(aws: LocalAws, dag: DAG) -> None:
    run_task(grant(repository_name="churn"))
    run_task(grant(repository_name="churn", principals=[ROLE], sid="Second"))
    run_task(grant(repository_name="churn", principals=[], service_accounts=[OTHER], sid="Third"))
    text = aws.client("ecr").get_repository_policy(repositoryName="churn")["policyText"]
    found = {one["Sid"]: one["Principal"] for one in json.loads(text)["Statement"]}
    assert found == {
        "SmHostingAccess": {"AWS": [f"arn:aws:iam::{OTHER}:root"]},
        "Second": {"AWS": [ROLE]},
        "Third": {"Service": "sagemaker.amazonaws.com"},
    }


def test_what_was_granted_before_a_run_died_is_not_granted_again(aws: LocalAws, dag: DAG) -> None:
    with answering(ModelDataHook().conn, "PutBucketPolicy", refusal("InternalError", status=500)):
        assert outcome(grant(**RESOURCES)).error is not None
    again = run_task(grant(**RESOURCES))
    assert again.details == {"changed": NAMES[1:], "unchanged": NAMES[:1]}


def test_a_policy_that_aws_rejects_is_an_error_that_names_the_principals(aws: LocalAws, dag: DAG) -> None:
    rejected = refusal("MalformedPolicy", "Invalid principal in policy")
    with answering(ModelDataHook().conn, "PutBucketPolicy", rejected):
        error = outcome(grant(principals=[ROLE], model_data=["s3://models/churn/"])).error
    assert isinstance(error, InvalidSpecError)
    assert "bucket models: Invalid principal in policy" in str(error)
    assert ROLE in str(error)


@pytest.mark.parametrize(
    "options",
    [
        {"repository_name": "none"},
        {"model_data": ["s3://no-such-bucket/churn/"]},
        {"model_package_group_name": "none"},
    ],
)
def test_what_does_not_exist_is_an_error(aws: LocalAws, dag: DAG, options: dict[str, Any]) -> None:
    assert isinstance(outcome(grant(**options)).error, NotFoundError)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing is given to grant access to"),
        ({"principals": [], "repository_name": "churn"}, "principals is empty"),
        ({"principals": ["*"], "repository_name": "churn"}, r"principals\[0\] is '\*'"),
        ({"principals": [444455556666], "repository_name": "churn"}, "as a string"),
        ({"service_accounts": [OTHER], "model_package_group_name": "c"}, "repository_name is not given"),
        ({"principals": [], "service_accounts": [OTHER], **RESOURCES}, "need principals"),
        ({"repository_name": "churn", "sid": "A1"}, "a letter at the end"),
        (
            {"model_package_group_name": "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/c"},
            "name of a group",
        ),
    ],
)
def test_a_grant_that_can_never_work_is_an_error_at_parse(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        grant(**options)


def test_rendered_principals_are_checked_before_the_first_call(aws: LocalAws, dag: DAG) -> None:
    error = outcome(grant(principals=["{{ '*' }}"], **RESOURCES)).error
    assert isinstance(error, InvalidSpecError)
    assert operations(aws) == []

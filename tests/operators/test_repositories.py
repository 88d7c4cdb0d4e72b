"""Settings of repositories, and images that are copied between them."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator, CopyImageOperator, RepositorySettings
from airflow_sm_hosting.exceptions import ConflictError, ImageBuildError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.images import manifests
from airflow_sm_hosting.images.registry import RegistryClient
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer, login_of
from tests.operators.conftest import operations, outcome, run_task, task_id

KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /\n")
    return tmp_path


def build(folder: Path, **options: Any) -> BuildImageOperator:
    return BuildImageOperator(
        **{
            "task_id": task_id("build"),
            "directory": str(folder),
            "repository_name": "churn",
            "builder": "assembler",
            **options,
        }
    )


def repository(aws: LocalAws) -> dict[str, Any]:
    found: dict[str, Any] = aws.client("ecr").describe_repositories(repositoryNames=["churn"])[
        "repositories"
    ][0]
    return found


# Settings


def test_a_new_repository_has_its_settings_and_a_rerun_changes_nothing(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    settings = RepositorySettings(
        scan_on_push=True,
        immutable_tags=True,
        kms_key_id=KEY,
        expire_untagged_after=timedelta(days=14),
        pull_principals=["111122223333", "arn:aws:iam::444455556666:role/execution"],
    )
    run_task(build(folder, repository_settings=settings))
    made, ecr = repository(aws), aws.client("ecr")
    assert made["imageScanningConfiguration"] == {"scanOnPush": True}
    assert made["imageTagMutability"] == "IMMUTABLE"
    assert made["encryptionConfiguration"]["encryptionType"] == "KMS"
    lifecycle = json.loads(ecr.get_lifecycle_policy(repositoryName="churn")["lifecyclePolicyText"])
    [rule] = lifecycle["rules"]
    assert rule["selection"] == {
        "tagStatus": "untagged",
        "countType": "sinceImagePushed",
        "countUnit": "days",
        "countNumber": 14,
    }
    [statement] = json.loads(ecr.get_repository_policy(repositoryName="churn")["policyText"])["Statement"]
    assert statement["Principal"]["AWS"] == [
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::444455556666:role/execution",
    ]
    assert statement["Action"] == [
        "ecr:BatchCheckLayerAvailability",
        "ecr:BatchGetImage",
        "ecr:GetDownloadUrlForLayer",
    ]
    aws.clear_requests()
    run_task(build(folder, repository_settings=settings))
    assert operations(aws, mutating=True) == []


def test_what_is_there_gets_the_settings_that_are_asked_for_and_keeps_the_others(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="churn", imageScanningConfiguration={"scanOnPush": True})
    theirs = {"Sid": "Theirs", "Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}
    policy = {"Version": "2012-10-17", "Statement": theirs}
    ecr.set_repository_policy(repositoryName="churn", policyText=json.dumps(policy))
    for principals in (["111122223333"], ["444455556666"]):
        run_task(
            build(
                folder,
                repository_settings=RepositorySettings(immutable_tags=True, pull_principals=principals),
            )
        )
        made = repository(aws)
        assert (made["imageTagMutability"], made["imageScanningConfiguration"]) == (
            "IMMUTABLE",
            {"scanOnPush": True},
        )
        statements = json.loads(ecr.get_repository_policy(repositoryName="churn")["policyText"])["Statement"]
        assert statements[0] == theirs
        assert [one["Principal"]["AWS"] for one in statements[1:]] == [[f"arn:aws:iam::{principals[0]}:root"]]
    run_task(build(folder, repository_settings=RepositorySettings(scan_on_push=False)))
    assert repository(aws)["imageScanningConfiguration"] == {"scanOnPush": False}


def test_rules_of_others_stay_in_the_life_cycle(aws: LocalAws, dag: DAG, folder: Path) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="churn")
    selection = {
        "tagStatus": "tagged",
        "tagPrefixList": ["prod"],
        "countType": "imageCountMoreThan",
        "countNumber": 50,
    }
    theirs = {"rulePriority": 1, "description": "keep", "selection": selection, "action": {"type": "expire"}}
    ecr.put_lifecycle_policy(repositoryName="churn", lifecyclePolicyText=json.dumps({"rules": [theirs]}))
    for days in (14, 7, 7):
        run_task(
            build(folder, repository_settings=RepositorySettings(expire_untagged_after=timedelta(days=days)))
        )
        rules = json.loads(ecr.get_lifecycle_policy(repositoryName="churn")["lifecyclePolicyText"])["rules"]
        assert rules[0] == theirs
        assert [(rule["rulePriority"], rule["selection"]["countNumber"]) for rule in rules[1:]] == [(2, days)]


def test_somebody_elses_rule_for_untagged_images_is_a_conflict(aws: LocalAws, dag: DAG, folder: Path) -> None:
    ecr = aws.client("ecr")
    ecr.create_repository(repositoryName="churn")
    selection = {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 5}
    theirs = {
        "rulePriority": 3,
        "description": "theirs",
        "selection": selection,
        "action": {"type": "expire"},
    }
    ecr.put_lifecycle_policy(repositoryName="churn", lifecyclePolicyText=json.dumps({"rules": [theirs]}))
    error = outcome(
        build(folder, repository_settings=RepositorySettings(expire_untagged_after=timedelta(days=7)))
    ).error
    assert isinstance(error, ConflictError)
    assert "a lifecycle rule for untagged images already (priority 3)" in str(error)


@pytest.mark.parametrize(
    "settings",
    [
        {"fooBar": 1},
        {"lifecyclePolicyText": "not json"},
        {"lifecyclePolicyText": {}},
        {"encryptionConfiguration": {"kmsKey": "x y"}},
    ],
)
def test_plain_settings_are_checked_before_the_first_call(
    aws: LocalAws, dag: DAG, folder: Path, settings: dict[str, Any]
) -> None:
    aws.clear_requests()
    for task in (build(folder), copy("example.com/a:1")):
        task.repository_settings = settings
        error = outcome(task).error
        assert isinstance(error, InvalidSpecError)
    assert operations(aws) == []


def test_another_encryption_is_no_silent_success(aws: LocalAws, dag: DAG, folder: Path) -> None:
    run_task(build(folder))
    error = outcome(build(folder, repository_settings=RepositorySettings(kms_key_id=KEY))).error
    assert isinstance(error, ConflictError)
    assert f"'churn' is encrypted with AES256, not with {KEY}, and ECR cannot change that" in str(error)


def test_rendered_principals_are_checked_before_the_first_call(aws: LocalAws, dag: DAG, folder: Path) -> None:
    settings = RepositorySettings(pull_principals=["{{ '*' }}"])
    aws.clear_requests()
    error = outcome(build(folder, repository_settings=settings)).error
    assert isinstance(error, InvalidSpecError)
    assert "repository_settings: pull_principals[0] is '*'" in str(error)
    assert operations(aws) == []


def test_with_immutable_tags_the_manifest_that_sagemaker_takes_has_a_tag_and_is_made_once(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    """An engine that pushes OCI manifests; an image without a tag would be deleted by many a life cycle."""
    settings = RepositorySettings(immutable_tags=True)
    first = run_task(build(folder))
    tag = first.details["tags"][0]
    user, password = login_of(aws)
    with closing(
        RegistryClient(aws.endpoint_url.removeprefix("http://"), username=user, password=password)
    ) as client:
        manifest = json.loads(client.get_manifest("churn", tag)[1])
        manifest["mediaType"] = manifests.OCI_MANIFEST
        manifest["config"]["mediaType"] = manifests.OCI_CONFIG
        for layer in manifest["layers"]:
            layer["mediaType"] = "application/vnd.oci.image.layer.v1.tar+gzip"
        aws.client("ecr").batch_delete_image(repositoryName="churn", imageIds=[{"imageTag": tag}])
        client.put_manifest("churn", tag, json.dumps(manifest).encode(), manifests.OCI_MANIFEST)
    ran = run_task(build(folder, repository_settings=settings))
    found = {
        image["imageDigest"]: image["imageTags"]
        for image in aws.client("ecr").describe_images(repositoryName="churn")["imageDetails"]
    }
    assert found[ran.value.partition("@")[2]] == [f"{tag}-docker"]
    assert sorted(tags for image in found.values() for tags in image) == [tag, f"{tag}-docker"]
    aws.clear_requests()
    again = run_task(build(folder, repository_settings=settings))
    assert again.value == ran.value
    assert operations(aws) == ["DescribeRepositories", "BatchGetImage"]


def test_a_tag_that_cannot_be_moved_is_an_error_with_the_way_out(
    aws: LocalAws, dag: DAG, folder: Path
) -> None:
    settings = RepositorySettings(immutable_tags=True)
    run_task(build(folder, repository_settings=settings, image_tag="live"))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY Dockerfile /other\n")
    error = outcome(build(folder, repository_settings=settings, image_tag="live")).error
    assert isinstance(error, ConflictError)
    assert "The tag 'live' of ECR repository 'churn' names another image" in str(error)


# Copies


def copy(image: str, **options: Any) -> CopyImageOperator:
    return CopyImageOperator(
        **{"task_id": task_id("copy"), "image": image, "repository_name": "churn", **options}
    )


@pytest.fixture
def image(aws: LocalAws) -> str:
    """An image in another repository, by its tag."""
    aws.client("ecr").create_repository(repositoryName="source")
    return Deployer(aws).push_image({"f": b"content", "g": b"more"}, repository="source", tag="v1")


def test_an_image_is_copied_once_with_its_digest(aws: LocalAws, dag: DAG, image: str) -> None:
    first = run_task(copy(image, image_tag="v1"))
    digest = first.value.partition("@")[2]
    host = aws.endpoint_url.removeprefix("http://")
    assert first.value == f"{host}/churn@{digest}"
    source = aws.client("ecr").describe_images(repositoryName="source")["imageDetails"][0]
    assert source["imageDigest"] == digest
    assert (first.details["copied"], first.details["bytes"] > 0) == (True, True)
    [copied] = aws.client("ecr").describe_images(repositoryName="churn")["imageDetails"]
    assert copied["imageDigest"] == digest
    assert sorted(copied["imageTags"]) == [f"sm-hosting-{digest[7:39]}", "v1"]

    aws.clear_requests()
    again = run_task(copy(f"{host}/source@{digest}", image_tag="v1"))
    assert (again.value, again.details["copied"], again.details["bytes"]) == (first.value, False, 0)
    assert operations(aws) == ["DescribeRepositories", "BatchGetImage", "BatchGetImage"]


def test_only_layers_that_are_not_there_are_sent(aws: LocalAws, dag: DAG, image: str) -> None:
    first = run_task(copy(image))
    aws.client("ecr").batch_delete_image(
        repositoryName="churn", imageIds=[{"imageDigest": first.value.partition("@")[2]}]
    )
    again = run_task(copy(image))
    assert (again.details["copied"], again.details["bytes"]) == (True, 0)
    assert again.value == first.value


def test_a_list_of_manifests_is_copied_as_the_one_of_the_platform(
    aws: LocalAws, dag: DAG, image: str
) -> None:
    host = aws.endpoint_url.removeprefix("http://")
    user, password = login_of(aws)
    with closing(RegistryClient(host, username=user, password=password)) as client:
        media_type, content = client.get_manifest("source", "v1")
        entry = {
            "mediaType": media_type,
            "digest": manifests.digest_of(content),
            "size": len(content),
            "platform": {"os": "linux", "architecture": "amd64"},
        }
        index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}
        client.put_manifest("source", "multi", json.dumps(index).encode(), manifests.OCI_INDEX)
    ran = run_task(copy(f"{host}/source:multi"))
    assert ran.value.partition("@")[2] == entry["digest"]
    error = outcome(copy(f"{host}/source:multi", platform="linux/arm64")).error
    assert isinstance(error, ImageBuildError)
    assert "linux/arm64" in str(error)


def test_a_list_of_manifests_that_is_there_already_is_no_success(aws: LocalAws, dag: DAG, image: str) -> None:
    """Somebody else may have pushed it; SageMaker takes one manifest, of Docker's type."""
    host = aws.endpoint_url.removeprefix("http://")
    user, password = login_of(aws)
    aws.client("ecr").create_repository(repositoryName="churn")
    run_task(copy(image))
    with closing(RegistryClient(host, username=user, password=password)) as client:
        media_type, content = client.get_manifest("source", "v1")
        entry = {
            "mediaType": media_type,
            "digest": manifests.digest_of(content),
            "size": len(content),
            "platform": {"os": "linux", "architecture": "amd64"},
        }
        index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": [entry]}
        body = json.dumps(index).encode()
        for repository in ("source", "churn"):
            client.put_manifest(repository, "multi", body, manifests.OCI_INDEX)
    ran = run_task(copy(f"{host}/source@{manifests.digest_of(body)}"))
    assert ran.value.partition("@")[2] == entry["digest"]


def test_what_is_not_there_is_an_error(aws: LocalAws, dag: DAG, image: str) -> None:
    host = aws.endpoint_url.removeprefix("http://")
    missing = outcome(copy(f"{host}/source:v9")).error
    assert isinstance(missing, ImageBuildError)
    assert "v9" in str(missing) or "source" in str(missing)
    absent = outcome(copy(image, repository_name="other", create_repository=False)).error
    assert isinstance(absent, NotFoundError)


@pytest.mark.parametrize("image", ["", "two words", None])
def test_an_image_that_is_none_is_refused_where_it_is_written(image: Any, dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match="image"):
        copy(image)


@pytest.mark.slow
def test_the_copy_serves_in_another_region(aws: LocalAws, dag: DAG, image: str) -> None:
    """SageMaker takes an image from its own Region only."""
    ran = run_task(copy(image, region_name="eu-west-1"))

    def there(service: str) -> Any:
        keys = {"aws_access_key_id": aws.access_key, "aws_secret_access_key": aws.secret_key}
        session = boto3.Session(region_name="eu-west-1", **keys)
        return session.client(service, endpoint_url=aws.endpoint_url)  # type: ignore[call-overload]

    [made] = there("ecr").describe_repositories()["repositories"]
    assert made["repositoryName"] == "churn"
    model = there("sagemaker").create_model(
        ModelName="churn",
        PrimaryContainer={"Image": ran.value},
        ExecutionRoleArn="arn:aws:iam::123456789012:role/sagemaker",
    )
    assert ":eu-west-1:" in model["ModelArn"]


def test_an_image_is_copied_between_repositories_of_one_name_in_two_regions(
    aws: LocalAws, dag: DAG, image: str
) -> None:
    first = run_task(copy(image, repository_name="source", region_name="eu-west-1"))
    digest = first.value.partition("@")[2]
    from airflow_sm_hosting.hooks.ecr import EcrRepositoryHook

    ecr = EcrRepositoryHook(region_name="eu-west-1").conn
    there = ecr.describe_images(repositoryName="source")["imageDetails"]
    assert ([one["imageDigest"] for one in there], first.details["copied"]) == ([digest], True)
    # Each layer was sent: that the other Region has it does not count.
    assert first.details["bytes"] > 0
    here = aws.client("ecr").describe_images(repositoryName="source")["imageDetails"]
    assert [one["imageTags"] for one in here] == [["v1"]]
    aws.clear_requests()
    again = run_task(copy(first.value, repository_name="source", region_name="eu-west-1"))
    assert (again.value, again.details["bytes"]) == (first.value, 0)
    assert operations(aws) == ["DescribeRepositories", "BatchGetImage"]


@pytest.mark.parametrize("operation", ["StartBlobUpload", "CompleteBlobUpload", "PutManifest"])
def test_a_copy_that_fails_at_a_call_is_completed_by_the_next_run(
    aws: LocalAws, dag: DAG, image: str, operation: str
) -> None:
    with aws.fault("error", service="registry", operation=operation, code="INTERNAL", status=400):
        error = outcome(copy(image)).error
    assert isinstance(error, ImageBuildError)
    ran = run_task(copy(image))
    [found] = aws.client("ecr").describe_images(repositoryName="churn")["imageDetails"]
    assert found["imageDigest"] == ran.value.partition("@")[2]

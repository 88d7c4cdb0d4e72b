"""What no endpoint needs is said, and deleted only when that is asked for."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    CleanUpHostingOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    UploadModelDataOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.local.conftest import Deployer
from tests.operators.components import deploy_component, make_host, make_models
from tests.operators.conftest import (
    ROLE,
    deploy,
    make_config,
    make_model,
    operations,
    outcome,
    run_task,
    task_id,
)


def clean_up(**given: Any) -> CleanUpHostingOperator:
    return CleanUpHostingOperator(**{"task_id": task_id(), "older_than": 0, "keep": 1, **given})


def deployed(aws: LocalAws, folder: Path, version: int) -> dict[str, str]:
    """Deploy a version as a DAG does, and return what was made for it."""
    source = folder / f"model-{version}"
    source.mkdir()
    (source / "weights").write_text(str(version))
    tag = "sm-hosting-" + hashlib.sha256(str(version).encode()).hexdigest()[:32]
    image = Deployer(aws).push_image({"version": bytes([version])}, repository="churn", tag=tag)
    data = run_task(
        UploadModelDataOperator(task_id=task_id(), path=str(source), bucket_name="models", key_prefix="churn")
    ).value
    model = run_task(
        CreateModelOperator(
            task_id=task_id(),
            model_name="churn",
            containers=[ContainerDefinition(image=image, model_data=data)],
            execution_role=ROLE,
        )
    ).value
    config = run_task(
        CreateEndpointConfigOperator(
            task_id=task_id(),
            endpoint_config_name="churn",
            production_variants=[
                InstanceProductionVariant(model_name=model, variant_name="main", instance_type="ml.m5.large")
            ],
        )
    ).value
    run_task(deploy(config))
    return {"config": config, "model": model, "data": data, "image": f"churn:{tag}"}


@pytest.fixture
def versions(aws: LocalAws, dag: DAG, tmp_path: Path) -> list[dict[str, str]]:
    """Three versions of one endpoint, the last one serving."""
    aws.client("ecr").create_repository(repositoryName="churn")
    aws.client("s3").create_bucket(Bucket="models")
    return [deployed(aws, tmp_path, version) for version in (1, 2, 3)]


PLACES = {"repository_names": ["churn"], "model_data_prefixes": ["s3://models/churn/"]}


def test_a_dry_run_says_what_no_endpoint_needs_and_deletes_nothing(
    aws: LocalAws, dag: DAG, versions: list[dict[str, str]]
) -> None:
    aws.clear_requests()

    end = outcome(clean_up(**PLACES))

    first = versions[0]
    assert end.ran.details == {
        "dry_run": True,
        "configs": [first["config"]],
        "models": [first["model"]],
        "images": [first["image"]],
        "artifacts": [first["data"]],
        "uploads": [],
    }
    assert "(dry run: nothing is deleted)" in end.value
    assert operations(aws, mutating=True) == []


def test_what_no_endpoint_needs_is_deleted_and_the_rest_is_not(
    aws: LocalAws, dag: DAG, versions: list[dict[str, str]]
) -> None:
    assert outcome(clean_up(**PLACES, dry_run=False)).error is None

    sagemaker = aws.client("sagemaker")
    assert {one["EndpointConfigName"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]} == {
        version["config"] for version in versions[1:]
    }
    assert {one["ModelName"] for one in sagemaker.list_models()["Models"]} == {
        version["model"] for version in versions[1:]
    }
    objects = aws.client("s3").list_objects_v2(Bucket="models")["Contents"]
    assert {f"s3://models/{one['Key']}" for one in objects} == {version["data"] for version in versions[1:]}
    images = aws.client("ecr").list_images(repositoryName="churn")["imageIds"]
    assert {f"churn:{one['imageTag']}" for one in images if "imageTag" in one} == {
        version["image"] for version in versions[1:]
    }
    aws.clear_requests()

    again = outcome(clean_up(**PLACES, dry_run="{{ 'False' }}"))
    assert again.value == "There are no unused resources.\n"
    assert operations(aws, mutating=True) == []


def test_what_is_young_and_what_is_not_ours_stays(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    make_config(aws, "foreign")
    assert outcome(clean_up()).ran.details["configs"] == []


def package(aws: LocalAws, used: dict[str, str], *, additional: bool = False) -> str:
    """Register what a model used as a version of a group."""
    client = aws.client("sagemaker")
    model = client.describe_model(ModelName=used["model"])["PrimaryContainer"]
    container = {"Image": model["Image"], "ModelDataUrl": model["ModelDataUrl"]}
    specification = {"Containers": [container]}
    if not client.list_model_package_groups()["ModelPackageGroupSummaryList"]:
        client.create_model_package_group(ModelPackageGroupName="churn")
    made = client.create_model_package(
        ModelPackageGroupName="churn",
        ModelApprovalStatus="Approved",
        **(
            {"AdditionalInferenceSpecifications": [{"Name": "own", **specification}]}
            if additional
            else {"InferenceSpecification": specification}
        ),
    )
    return str(made["ModelPackageArn"])


@pytest.mark.parametrize("additional", [False, True])
def test_what_a_model_package_uses_stays(
    aws: LocalAws, dag: DAG, versions: list[dict[str, str]], additional: bool
) -> None:
    """A version may be approved, and deployed, long after it was registered."""
    package(aws, versions[0], additional=additional)
    details = outcome(clean_up(**PLACES)).ran.details
    assert (details["models"], details["images"], details["artifacts"]) == ([versions[0]["model"]], [], [])


def test_a_model_of_a_package_keeps_what_the_package_uses(
    aws: LocalAws, dag: DAG, versions: list[dict[str, str]]
) -> None:
    """Also when the package is deleted: DescribeModel tells its name only."""
    client = aws.client("sagemaker")
    arn = package(aws, versions[0])
    client.create_model(
        ModelName="foreign", PrimaryContainer={"ModelPackageName": arn}, ExecutionRoleArn=ROLE
    )
    other = {"ModelPackageName": arn.replace("123456789012", "999999999999")}
    client.create_model(ModelName="of-another-account", PrimaryContainer=other, ExecutionRoleArn=ROLE)
    for deleted in (False, True):
        if deleted:
            client.delete_model_package(ModelPackageName=arn)
        details = outcome(clean_up(**PLACES)).ran.details
        assert details["models"] == [versions[0]["model"]]
        assert (details["images"], details["artifacts"]) == ([], [])
    client.delete_model(ModelName="foreign")
    details = outcome(clean_up(**PLACES)).ran.details
    assert (details["images"], details["artifacts"]) == ([versions[0]["image"]], [versions[0]["data"]])


def test_what_was_made_today_stays(aws: LocalAws, dag: DAG, versions: list[dict[str, str]]) -> None:
    assert outcome(clean_up(**PLACES, older_than=24 * 3600)).ran.details["configs"] == []


@pytest.mark.parametrize(
    "url",
    ["https://models.s3.us-east-1.amazonaws.com/{}", "https://s3.amazonaws.com/models/{}"],
    ids=["virtual-hosted", "path"],
)
@pytest.mark.parametrize("encode", [quote, quote_plus])
def test_an_artifact_that_a_model_names_by_an_encoded_url_is_needed(
    aws: LocalAws, dag: DAG, tmp_path: Path, url: str, encode: Any
) -> None:
    aws.client("s3").create_bucket(Bucket="models")
    (tmp_path / "weights").write_text("1")
    data = run_task(
        UploadModelDataOperator(
            task_id=task_id(), path=str(tmp_path), bucket_name="models", key_prefix="my churn+1"
        )
    ).value
    places = {"model_data_prefixes": ["s3://models/my churn+1/"]}
    assert outcome(clean_up(**places)).ran.details["artifacts"] == [data]
    key = data.removeprefix("s3://models/")

    make_model(aws, "foreign", ModelDataUrl=url.format(encode(key, safe="/")))

    assert outcome(clean_up(**places)).ran.details["artifacts"] == []


@pytest.mark.parametrize(
    "bad",
    [
        {"keep": 5},
        {"keep": -1},
        {"repository_names": "churn"},
        {"model_data_prefixes": "s3://models/"},
        {"model_data_prefixes": ["models/"]},
        {"older_than": -1},
        {"dry_run": "maybe"},
    ],
    ids=repr,
)
def test_bad_literals_break_the_dag_file(dag: DAG, bad: dict[str, Any]) -> None:
    with pytest.raises(InvalidSpecError):
        clean_up(**bad)


@pytest.mark.parametrize(
    "bad",
    [{"keep": "{{ 9 }}"}, {"dry_run": "{{ 'maybe' }}"}, {"model_data_prefixes": ["{{ 'models/' }}"]}],
    ids=repr,
)
def test_bad_rendered_values_are_errors_before_the_first_call(
    aws: LocalAws, dag: DAG, bad: dict[str, Any]
) -> None:
    assert isinstance(outcome(clean_up(**bad)).error, InvalidSpecError)
    assert operations(aws) == []


def test_models_that_components_serve_or_served_stay(aws: LocalAws, dag: DAG) -> None:
    make_models(aws, "m1", "m2", "m3", tags=OURS)
    make_host(aws)
    for model in ("m1", "m2"):
        assert outcome(deploy_component(model)).error is None
    assert run_task(clean_up(keep=1)).details["models"] == ["m3"]
    assert run_task(clean_up(keep=0)).details["models"] == ["m1", "m3"]
    assert run_task(clean_up(keep=0, dry_run=False)).details["models"] == ["m1", "m3"]
    assert [row["ModelName"] for row in aws.client("sagemaker").list_models()["Models"]] == ["m2"]

"""The names of OpenLineage datasets: those of images and artifacts, and what a record tells that a deployment read and made."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_sm_hosting import (
    DeployEndpointOperator,
    DeployInferenceComponentOperator,
    PlanDeploymentOperator,
    RollbackEndpointOperator,
    ShiftTrafficOperator,
    UploadModelDataOperator,
)
from airflow_sm_hosting.endpoint_asset import endpoint_uri
from airflow_sm_hosting.lineage import (
    LineageDataset,
    container_datasets,
    image_dataset,
    model_data_dataset,
    package_dataset,
    record_datasets,
)

HERE = "sagemaker://eu-west-1"
ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:" + "ab" * 32
ENDPOINT = LineageDataset(HERE, "endpoint/churn")


@pytest.mark.parametrize(
    ("uri", "dataset"),
    [
        (f"{ECR}/team/churn@{DIGEST}", LineageDataset(f"docker://{ECR}", "team/churn", DIGEST)),
        (f"{ECR}/churn:1.0", LineageDataset(f"docker://{ECR}", "churn", "1.0")),
        (f"{ECR}/churn:1.0@{DIGEST}", LineageDataset(f"docker://{ECR}", "churn", DIGEST)),
        (f"{ECR}/churn", LineageDataset(f"docker://{ECR}", "churn")),
        ("127.0.0.1:5000/churn:1", LineageDataset("docker://127.0.0.1:5000", "churn", "1")),
        ("python:3.12", None),
        ("library/python", None),
    ],
)
def test_an_image_is_its_repository_in_its_registry(uri: str, dataset: LineageDataset | None) -> None:
    assert image_dataset(uri) == dataset


@pytest.mark.parametrize(
    ("uri", "dataset"),
    [
        ("s3://models/churn/9f2c/model.tar.gz", LineageDataset("s3://models", "churn/9f2c/model.tar.gz")),
        ("s3://models/churn/9f2c/", LineageDataset("s3://models", "churn/9f2c")),
        ("s3://models", LineageDataset("s3://models", "/")),
        ("/data/model", LineageDataset("file", "/data/model")),
        ("https://example.com/model.tar.gz", None),
        ("s3://", None),
    ],
)
def test_an_artifact_is_its_key_in_its_bucket(uri: str, dataset: LineageDataset | None) -> None:
    assert model_data_dataset(uri) == dataset


def test_a_model_package_is_its_version_in_its_group() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"
    assert package_dataset(arn) == LineageDataset(HERE, "model-package/churn/3")
    assert package_dataset("churn") is None


def test_containers_name_images_artifacts_and_packages() -> None:
    containers: list[dict[str, Any]] = [
        {"Image": f"{ECR}/churn@{DIGEST}", "ModelDataUrl": "s3://models/a.tar.gz"},
        {"ModelDataSource": {"S3DataSource": {"S3Uri": "s3://models/b/"}}, "Image": "local"},
        {"ModelPackageName": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/churn/3"},
    ]
    assert [dataset.name for dataset in container_datasets(containers)] == [
        *("churn", "a.tar.gz", "b", "model-package/churn/3")
    ]


RECORD: dict[str, Any] = {
    "name": "churn",
    "region": "eu-west-1",
    "endpoint_config_name": "c2",
    "requested_endpoint_config_name": "c2",
    "variants": [{"name": "main", "image": f"{ECR}/churn@{DIGEST}", "artifact": "s3://models/a.tar.gz"}],
}


@pytest.mark.parametrize(
    ("changes", "inputs"),
    [
        ({}, ["endpoint-config/c2", "churn", "a.tar.gz"]),
        # Rolled back: what serves again is not what was asked for.
        ({"endpoint_config_name": "c1"}, ["endpoint-config/c2"]),
        ({"requested_endpoint_config_name": None}, ["endpoint-config/c2", "churn", "a.tar.gz"]),
        ({"variants": [{"name": "main"}]}, ["endpoint-config/c2"]),
        ({"variants": RECORD["variants"] * 2}, ["endpoint-config/c2", "churn", "a.tar.gz"]),
    ],
)
def test_a_deployment_reads_a_config_and_what_it_names_and_makes_an_endpoint(
    changes: dict[str, Any], inputs: list[str]
) -> None:
    read, made = record_datasets({**RECORD, **changes})
    assert [dataset.name for dataset in read] == inputs
    assert made == [ENDPOINT]


def test_a_component_changes_its_endpoint_and_has_no_config() -> None:
    component = {**RECORD, "kind": "inference component", "name": "llm", "endpoint_name": "churn"}
    read, made = record_datasets(component)
    assert [dataset.name for dataset in read] == ["churn", "a.tar.gz"]
    assert made == [ENDPOINT]


def test_a_record_that_names_no_endpoint_has_no_datasets() -> None:
    assert record_datasets({"outcome": "failed"}) == ([], [])


def test_an_endpoint_has_the_name_of_its_asset() -> None:
    assert f"{ENDPOINT.namespace}/{ENDPOINT.name}" == endpoint_uri("eu-west-1", "churn")


def test_what_a_task_names_before_it_runs(tmp_path: Any) -> None:
    given: dict[str, Any] = {"endpoint_name": "churn", "region_name": "eu-west-1"}
    with DAG("test", schedule=None):
        deploy = DeployEndpointOperator(task_id="deploy", endpoint_config_name="c2", **given)
        back = RollbackEndpointOperator(task_id="back", **given)
        plan = PlanDeploymentOperator(task_id="plan", endpoint_config_name="c2", **given)
        shift = ShiftTrafficOperator(task_id="shift", weights={"a": 1}, **given)
        upload = UploadModelDataOperator(task_id="upload", path=str(tmp_path), bucket_name="models")
    assert deploy.planned_lineage() == ([LineageDataset(HERE, "endpoint-config/c2")], [ENDPOINT])
    assert back.planned_lineage() == ([], [ENDPOINT])
    assert plan.planned_lineage() == ([], [])
    assert shift.planned_lineage() == ([], [ENDPOINT])
    assert upload.planned_lineage() == ([LineageDataset("file", str(tmp_path))], [])


def test_a_component_whose_endpoint_is_given_names_that_before_it_runs() -> None:
    with DAG("test", schedule=None):
        deploy = DeployInferenceComponentOperator(
            task_id="deploy",
            inference_component_name="llm",
            endpoint_name="churn",
            variant_name="main",
            region_name="eu-west-1",
            specification={"ModelName": "llm", "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 512}},
        )
    assert deploy.planned_lineage() == ([], [ENDPOINT])


def test_inlets_and_outlets_of_the_user_are_named_beside_the_tasks_own() -> None:
    pytest.importorskip("airflow.providers.openlineage", reason="needs Airflow's OpenLineage provider")
    with DAG("test", schedule=None):
        deploy = DeployEndpointOperator(
            task_id="deploy",
            endpoint_name="churn",
            endpoint_config_name="c2",
            region_name="eu-west-1",
            inlets=[Asset("s3://models/report.json")],
            outlets=[
                Asset("s3://models/deployed.json"),
                Asset("eu-west-1/churn", uri=endpoint_uri("eu-west-1", "churn")),
            ],
        )
    told = deploy.get_openlineage_facets_on_start()
    assert [one.name for one in told.inputs] == ["endpoint-config/c2", "report.json"]
    # The asset of the endpoint is the dataset that the task names itself.
    assert [one.name for one in told.outputs] == ["endpoint/churn", "deployed.json"]
    # It has failed before it knew anything.
    assert deploy.get_openlineage_facets_on_failure(None) == told

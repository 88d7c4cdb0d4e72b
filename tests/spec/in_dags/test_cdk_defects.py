"""Defects of the AWS CDK's SageMaker library (2.275.0-alpha.0) in models, images, data and variants: ours does right.

The numbers are those of ``docs/cdk-parity.md``; defects of autoscaling are shown in ``tests/parity/test_defects.py``.
"""

from __future__ import annotations

import tarfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    ContainerDefinition,
    ContainerImage,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelData,
    ModelHostingTaskGroup,
    UploadModelDataOperator,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec.checks import check_instance_type
from tests.local.conftest import Deployer
from tests.operators.conftest import ROLE, aws, dag, make_model, run_task, task_id

__all__ = ["aws", "dag"]  # fixtures

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "model.tar.gz"
    path.mkdir()
    (path / "weights").write_bytes(b"1")
    return path


def variant(name: str, **options: Any) -> InstanceProductionVariant:
    return InstanceProductionVariant(
        model_name="model", variant_name=name, instance_type="ml.m5.large", **options
    )


def config(aws: LocalAws, *variants: Any) -> list[dict[str, Any]]:
    """Make a config, and return its variants as AWS describes them."""
    make_model(aws)
    name = run_task(
        CreateEndpointConfigOperator(
            task_id=task_id(), endpoint_config_name="churn", production_variants=list(variants)
        )
    ).value
    found = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
    return list(found["ProductionVariants"])


def model(aws: LocalAws, *containers: Any) -> dict[str, Any]:
    """Make a model, and return it as AWS describes it."""
    name = run_task(
        CreateModelOperator(
            task_id=task_id(), model_name="churn", containers=list(containers), execution_role=ROLE
        )
    ).value
    return dict(aws.client("sagemaker").describe_model(ModelName=name))


def test_4_a_weight_of_0_is_no_1(aws: LocalAws, dag: DAG) -> None:
    weights = [0, 0.25, 1.5]
    found = config(
        aws, *(variant(f"v{n}", initial_variant_weight=weight) for n, weight in enumerate(weights))
    )
    assert [one["InitialVariantWeight"] for one in found] == weights


def test_6_an_image_by_digest_is_written_with_an_at_sign(aws: LocalAws, dag: DAG) -> None:
    image = ContainerImage.from_ecr_repository("churn", digest=DIGEST, registry_id="210987654321")
    found = model(aws, ContainerDefinition(image=image))
    assert (
        found["PrimaryContainer"]["Image"] == f"210987654321.dkr.ecr.us-east-1.amazonaws.com/churn@{DIGEST}"
    )
    with pytest.raises(InvalidSpecError, match="give a digest as digest="):
        ContainerImage.from_ecr_repository("churn", DIGEST)


def test_7_and_8_a_folder_called_tar_gz_is_a_real_one_and_keeps_its_suffix(
    aws: LocalAws, dag: DAG, folder: Path, tmp_path: Path
) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="models")
    uri = run_task(UploadModelDataOperator(task_id=task_id(), path=str(folder), bucket_name="models")).value
    assert uri.endswith(".tar.gz")
    archive = tmp_path / "downloaded.tar.gz"
    s3.download_file("models", uri.removeprefix("s3://models/"), str(archive))
    with tarfile.open(archive, "r:gz") as tar:
        assert [member.name.removeprefix("./") for member in tar if member.isfile()] == ["weights"]


def test_9_two_deep_learning_containers_make_one_pipeline(aws: LocalAws, dag: DAG) -> None:
    """AWS's registry is another account's; the local ECR answers for every account."""
    deployer = Deployer(aws)
    for repository in ("pytorch-inference", "xgboost-inference"):
        aws.client("ecr").create_repository(repositoryName=repository)
        deployer.push_image({"x": repository.encode()}, repository=repository, tag="1.0-cpu")
    images = [
        ContainerImage.from_dlc("pytorch-inference", "1.0-cpu"),
        ContainerImage.from_dlc("xgboost-inference", "1.0-cpu"),
        ContainerImage.from_dlc("pytorch-inference", "1.0-cpu"),
    ]
    found = model(aws, *(ContainerDefinition(image=image) for image in images))
    names = [one["Image"].partition("@")[0] for one in found["Containers"]]
    host = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
    assert names == [
        f"{host}/{name}" for name in ("pytorch-inference", "xgboost-inference", "pytorch-inference")
    ]


def test_9_two_assets_of_one_path_share_their_task() -> None:
    """In the CDK two ``fromAsset`` objects of one path collide."""
    with DAG("assets", schedule=None) as assets:
        ModelHostingTaskGroup(
            endpoint_name="churn",
            repository_name="churn",
            bucket_name="models",
            models={
                name: [
                    ContainerDefinition(
                        image=ContainerImage.from_asset("app"), model_data=ModelData.from_asset("model")
                    )
                ]
                for name in ("one", "two")
            },
            production_variants=[
                InstanceProductionVariant(model_name=name, variant_name=name, instance_type="ml.m5.large")
                for name in ("one", "two")
            ],
        )
    made = [name.partition(".")[2] for name in assets.task_ids]
    assert [name for name in made if "build" in name or "upload" in name] == [
        "build_image",
        "upload_model_data",
    ]


def test_10_names_are_names_and_variants_keep_their_order(aws: LocalAws, dag: DAG) -> None:
    names = ["10", "b", "2", "toString", "constructor", "1"]
    assert [one["VariantName"] for one in config(aws, *map(variant, names))] == names


@pytest.mark.parametrize("make", [variant, lambda name, **members: {"VariantName": name, **members}])
def test_13_accelerators_are_refused_with_the_reason(make: Any, dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match="AWS ended Elastic Inference"):
        CreateEndpointConfigOperator(
            task_id=task_id(),
            endpoint_config_name="churn",
            production_variants=[make("main", AcceleratorType="ml.eia2.medium")],
        )


def test_14_every_instance_type_of_the_api_is_known_and_new_ones_are_no_error() -> None:
    members = input_shape("sagemaker", "CreateEndpointConfig").members["ProductionVariants"].member.members  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in members["InstanceType"].enum:
            check_instance_type("instance_type", name)
    with pytest.warns(UserWarning, match="sent unchanged"):
        check_instance_type("instance_type", "ml.x99.large")

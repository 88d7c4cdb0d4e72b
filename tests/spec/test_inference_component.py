"""Specifications of inference components: AWS's shape, and both edges of every rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting import (
    ComputeRequirements,
    ContainerImage,
    InferenceComponentSpecification,
    InstanceProductionVariant,
    ModelData,
    Rolling,
    VpcConfig,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.service_model.shapes import input_shape
from airflow_sm_hosting.spec import inference_component as module
from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config
from airflow_sm_hosting.spec.inference_component import (
    check_specification,
    check_specification_list,
    component_deployment_config,
    rendered_specification,
)
from tests.botocore_versions import requires_botocore_1_44

NEEDS = ComputeRequirements(min_memory_in_mb=1024)
IMAGE = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:1"


def model(**options: Any) -> dict[str, Any]:
    return InferenceComponentSpecification(**{"model_name": "churn", "requirements": NEEDS, **options})


def accepted(specification: dict[str, Any]) -> None:
    """The service's model accepts a request with the specification."""
    request = {"InferenceComponentName": "a", "EndpointName": "b", "Specification": specification}
    validated_request("sagemaker", "CreateInferenceComponent", request)


@requires_botocore_1_44
def test_a_specification_of_a_model_is_a_dict_in_the_shape_of_aws() -> None:
    specification = InferenceComponentSpecification(
        model_name="churn",
        requirements=ComputeRequirements(
            min_memory_in_mb=1024,
            max_memory_in_mb=2048,
            cpu_cores=0.5,
            accelerators=1,
            accelerator_partition_type="mig-1g.10gb",
        ),
        instance_type="ml.g5.xlarge",
        container_startup_health_check_timeout=timedelta(minutes=10),
        model_data_download_timeout=1800,
        enable_caching=True,
        placement_strategy="SPREAD",
    )
    assert specification == {
        "ModelName": "churn",
        "InstanceType": "ml.g5.xlarge",
        "StartupParameters": {
            "ModelDataDownloadTimeoutInSeconds": 1800,
            "ContainerStartupHealthCheckTimeoutInSeconds": 600,
        },
        "ComputeResourceRequirements": {
            "MinMemoryRequiredInMb": 1024,
            "MaxMemoryRequiredInMb": 2048,
            "NumberOfCpuCoresRequired": 0.5,
            "NumberOfAcceleratorDevicesRequired": 1,
            "AcceleratorPartitionType": "mig-1g.10gb",
        },
        "DataCacheConfig": {"EnableCaching": True},
        "SchedulingConfig": {"PlacementStrategy": "SPREAD"},
    }
    accepted(specification)


def test_a_container_and_an_adapter_are_specifications_too() -> None:
    container = InferenceComponentSpecification(
        image=IMAGE,
        artifact_url="s3://bucket/model.tar.gz",
        environment={"WORKERS": "2"},
        requirements=NEEDS,
    )
    assert container["Container"] == {
        "Image": IMAGE,
        "ArtifactUrl": "s3://bucket/model.tar.gz",
        "Environment": {"WORKERS": "2"},
    }
    accepted(container)
    adapter = InferenceComponentSpecification(
        base_inference_component_name="base", artifact_url="s3://bucket/adapter.tar.gz"
    )
    assert adapter == {
        "BaseInferenceComponentName": "base",
        "Container": {"ArtifactUrl": "s3://bucket/adapter.tar.gz"},
    }
    accepted(adapter)


@requires_botocore_1_44
def test_every_member_of_the_service_has_a_parameter_or_is_taken_as_it_is() -> None:
    shape = input_shape("sagemaker", "CreateInferenceComponent").members["Specification"]
    assert set(shape.members) == set(module.SPECIFICATION_PARAMETERS)  # type: ignore[attr-defined]
    requirements = shape.members["ComputeResourceRequirements"]  # type: ignore[attr-defined]
    assert set(requirements.members) == set(module.REQUIREMENT_PARAMETERS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"model_name": None}, "neither model_name nor image"),
        ({"image": IMAGE}, "both model_name and a container"),
        ({"model_name": None, "artifact_url": "s3://b/a.tar.gz"}, "a container without image"),
        ({"requirements": None}, "no requirements"),
        ({"model_name": "-churn"}, "model_name|ModelName"),
        ({"model_name": None, "image": IMAGE, "artifact_url": "model.tar.gz"}, "an 's3://' URL"),
        ({"placement_strategy": "SPREAT"}, "SPREAD"),
        ({"enable_caching": 1}, "EnableCaching"),
        ({"instance_type": "g5.xlarge"}, "instance_type"),
        ({"container_startup_health_check_timeout": 59}, "60 to 3600"),
        ({"model_data_download_timeout": 3601}, "60 to 3600"),
        ({"requirements": {"MinMemoryRequiredInMb": 127}}, "128 or more"),
        ({"requirements": {"MinMemoryRequiredInMb": 256, "MaxMemoryRequiredInMb": 255}}, "256 or more"),
        ({"requirements": {**NEEDS, "NumberOfCpuCoresRequired": 0.2}}, "0.25 or more"),
        ({"requirements": {**NEEDS, "NumberOfAcceleratorDevicesRequired": 0}}, "1 or more"),
        ({"requirements": {**NEEDS, "AcceleratorPartitionType": "1g"}}, "mig-1g.10gb"),
        ({"StartupParameter": {}}, "Did you mean"),
        (
            {"model_name": None, "image": IMAGE, "artifact_url": ModelData.from_prefix("bucket", "models")},
            r"a reference .S3Prefix.; allowed: ModelData.from_bucket",
        ),
        ({"requirements": {**NEEDS, "NumberOfCpuCoresRequired": "{{ 1 }}"}, "image": IMAGE}, "both"),
    ],
)
def test_what_aws_would_refuse_is_an_error(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        model(**options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "without artifact_url"),
        ({"artifact_url": "s3://b/a.tar.gz", "requirements": NEEDS}, "ComputeResourceRequirements"),
        ({"artifact_url": "s3://b/a.tar.gz", "model_name": "churn"}, "ModelName"),
        ({"artifact_url": "s3://b/a.tar.gz", "environment": {"A": "1"}}, "Container.Environment"),
        ({"artifact_url": "s3://b/a.tar.gz", "image": IMAGE}, "Container.Image"),
    ],
)
def test_an_adapter_has_only_its_base_and_its_artifact(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        InferenceComponentSpecification(base_inference_component_name="base", **options)


def test_the_edges_of_requirements_are_taken() -> None:
    least = ComputeRequirements(min_memory_in_mb=128, max_memory_in_mb=128, cpu_cores=0.25, accelerators=1)
    accepted(model(requirements=least))
    for options in ({"min_memory_in_mb": 127}, {"min_memory_in_mb": 256, "max_memory_in_mb": 255}):
        with pytest.raises(InvalidSpecError):
            ComputeRequirements(**options)


def test_members_that_this_version_does_not_check_are_left_to_aws() -> None:
    given = {**model(), "StartupParameters": {"ModelDataDownloadTimeoutInSeconds": 60, "Another": 1}}
    assert rendered_specification("specification", given) == given
    container = {"Container": {"Image": IMAGE}, "ComputeResourceRequirements": NEEDS}
    assert rendered_specification("specification", container) == container
    with pytest.raises(InvalidSpecError, match="from 60 to 3600"):
        rendered_specification(
            "specification", {**model(), "StartupParameters": {"ModelDataDownloadTimeoutInSeconds": 1}}
        )


def test_all_problems_of_a_specification_are_told_at_once() -> None:
    with pytest.raises(InvalidSpecError) as error:
        model(placement_strategy="X", requirements={"MinMemoryRequiredInMb": 1})
    assert len(str(error.value).split("\n")) == 2


def test_values_of_the_environment_are_in_no_message() -> None:
    with pytest.raises(InvalidSpecError) as error:
        InferenceComponentSpecification(
            image="", environment={"TOKEN": "s3cr3t"}, requirements={"MinMemoryRequiredInMb": 1}
        )
    assert "s3cr3t" not in str(error.value)


def test_jinja_is_checked_after_rendering() -> None:
    specification = model(
        model_name="{{ params.model }}",
        requirements=ComputeRequirements(min_memory_in_mb="{{ params.memory }}"),
    )
    rendered = {
        **specification,
        "ModelName": "arn:aws:sagemaker:eu-west-1:111122223333:model/churn",
        "ComputeResourceRequirements": {"MinMemoryRequiredInMb": "1024"},
    }
    assert rendered_specification("specification", rendered)["ModelName"] == "churn"
    with pytest.raises(InvalidSpecError, match="128 or more"):
        rendered_specification(
            "specification", {**rendered, "ComputeResourceRequirements": {"MinMemoryRequiredInMb": "1"}}
        )


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "0 entries"),
        (
            [model(instance_type=f"ml.m5.{size}large") for size in ("", "x", "2x", "4x", "12x", "24x")],
            "6 entries",
        ),
        ([model(), model(instance_type="ml.m5.large")], "one without InstanceType"),
        ([model(instance_type="ml.m5.large")] * 2, "InstanceType"),
        (
            [
                InferenceComponentSpecification(
                    base_inference_component_name="b", artifact_url="s3://b/a.tar.gz"
                )
            ],
            "adapter",
        ),
        ("churn", "allowed: a list"),
        ([3], "is a int; allowed: a dict in the AWS shape"),
        ([None], "is a NoneType"),
    ],
)
def test_specifications_are_one_for_each_instance_type(given: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        check_specification_list("specifications", given)


def test_several_specifications_of_different_instance_types_are_taken() -> None:
    check_specification_list("specifications", [model()])
    check_specification_list(
        "specifications", [model(instance_type=f"ml.m5.{size}large") for size in ("", "x")]
    )
    check_specification_list("specifications", "{{ params.all }}")
    check_specification_list("specifications", [model(instance_type="ml.m5.large"), "{{ params.other }}"])


def test_a_rolling_update_counts_copies() -> None:
    assert component_deployment_config("rollout", Rolling(maximum_batch_size=1, wait_interval=60)) == {
        "RollingUpdatePolicy": {
            "MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1},
            "WaitIntervalInSeconds": 60,
        }
    }
    share = Rolling(maximum_batch_size="25%", wait_interval=0, rollback_maximum_batch_size=2)
    policy = component_deployment_config("rollout", share)["RollingUpdatePolicy"]
    assert policy["MaximumBatchSize"] == {"Type": "CAPACITY_PERCENT", "Value": 25}
    assert policy["RollbackMaximumBatchSize"] == {"Type": "COPY_COUNT", "Value": 2}
    with pytest.raises(InvalidSpecError, match="Rolling"):
        component_deployment_config("rollout", {"BlueGreenUpdatePolicy": {}})


# The endpoint config of a host.


def test_a_variant_for_inference_components_has_no_model() -> None:
    variant = InstanceProductionVariant(
        variant_name="main",
        instance_type="ml.g5.xlarge",
        ManagedInstanceScaling={"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2},
    )
    assert "ModelName" not in variant
    check_endpoint_config(
        production_variants=[variant],
        extra_members={"ExecutionRoleArn": "arn:aws:iam::111122223333:role/hosting"},
    )


VPC = VpcConfig(subnets=["subnet-1"], security_group_ids=["sg-1"])


def test_its_config_needs_an_execution_role() -> None:
    variant = InstanceProductionVariant(variant_name="main", instance_type="ml.g5.xlarge")
    for extra in (None, {}, {"EnableNetworkIsolation": True}):
        with pytest.raises(InvalidSpecError, match="execution_role=…"):
            check_endpoint_config(production_variants=[variant], extra_members=extra)
    check_endpoint_config(production_variants=[variant], extra_members="{{ params.extra }}")
    check_endpoint_config(production_variants=[variant], execution_role="hosting", vpc_config=VPC)
    with pytest.raises(InvalidSpecError, match="execution_role"):
        check_endpoint_config(production_variants=[variant], execution_role="a b")
    for parameter, member in (("execution_role", "ExecutionRoleArn"), ("vpc_config", "VpcConfig")):
        twice: dict[str, Any] = {parameter: {} if parameter == "vpc_config" else "hosting"}
        with pytest.raises(InvalidSpecError, match=f"{parameter} and extra_members"):
            check_endpoint_config(production_variants=[variant], extra_members={member: "a"}, **twice)


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"MinInstanceCount": -1}, "MinInstanceCount"),
        ({"MaxInstanceCount": 0}, "MaxInstanceCount"),
        ({"MinInstanceCount": 3, "MaxInstanceCount": 2}, "3 or more"),
        ("ENABLED", "dict"),
    ],
)
def test_managed_scaling_within_its_limits(scaling: Any, words: str) -> None:
    with pytest.raises(InvalidSpecError, match=words):
        InstanceProductionVariant(variant_name="main", ManagedInstanceScaling=scaling)


def test_one_end_of_managed_scaling_is_enough() -> None:
    InstanceProductionVariant(variant_name="main", ManagedInstanceScaling={"MinInstanceCount": 2})
    InstanceProductionVariant(variant_name="main", ManagedInstanceScaling={"MaxInstanceCount": 1})


def test_managed_scaling_is_for_variants_without_a_model() -> None:
    with pytest.raises(InvalidSpecError, match="ManagedInstanceScaling"):
        InstanceProductionVariant(
            model_name="churn", variant_name="main", ManagedInstanceScaling={"Status": "ENABLED"}
        )


def test_assets_are_for_a_task_group() -> None:
    needs = {"requirements": NEEDS}
    built = InferenceComponentSpecification(image=ContainerImage.from_asset("app"), **needs)
    with pytest.raises(
        InvalidSpecError, match=r"Image is a from_asset\(…\); allowed: the output of a BuildImageOperator"
    ):
        check_specification("specification", built)
    check_specification("specification", built, assets=True)

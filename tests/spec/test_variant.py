"""Production variants: AWS's shape, and both edges of every rule."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting import InstanceProductionVariant, ServerlessProductionVariant
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.service_model.shapes import input_shape

NAMES = {"model_name": "churn", "variant_name": "main"}
SERVERLESS = {**NAMES, "max_concurrency": 5, "memory_size_in_mb": 2048}


def test_an_instance_variant_has_the_cdks_defaults() -> None:
    assert InstanceProductionVariant(**NAMES) == {
        "ModelName": "churn",
        "VariantName": "main",
        "InstanceType": "ml.t2.medium",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
    }


def test_an_instance_variant_is_a_dict_in_the_shape_of_production_variant() -> None:
    variant = InstanceProductionVariant(
        **NAMES,
        instance_type="ml.g5.xlarge",
        initial_instance_count=3,
        initial_variant_weight=0.25,
        container_startup_health_check_timeout=timedelta(minutes=10),
        model_data_download_timeout=1800,
        volume_size_in_gb=64,
        RoutingConfig={"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    )
    assert variant == {
        "ModelName": "churn",
        "VariantName": "main",
        "InstanceType": "ml.g5.xlarge",
        "InitialInstanceCount": 3,
        "InitialVariantWeight": 0.25,
        "ContainerStartupHealthCheckTimeoutInSeconds": 600,
        "ModelDataDownloadTimeoutInSeconds": 1800,
        "VolumeSizeInGB": 64,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
    }
    shape = input_shape("sagemaker", "CreateEndpointConfig").members["ProductionVariants"].member  # type: ignore[attr-defined]
    assert set(variant) <= set(shape.members)


def test_a_weight_of_0_stays_0() -> None:
    assert InstanceProductionVariant(**NAMES, initial_variant_weight=0)["InitialVariantWeight"] == 0
    assert ServerlessProductionVariant(**SERVERLESS, initial_variant_weight=0)["InitialVariantWeight"] == 0


@pytest.mark.parametrize(
    ("field", "member", "edges", "beyond", "allowed"),
    [
        ("initial_instance_count", "InitialInstanceCount", [1, 10_000], [0, -1, 1.5, "1", True, None], "a whole number, 1 or more"),
        ("initial_variant_weight", "InitialVariantWeight", [0, 0.0, 1e6], [-0.1, "1", float("nan"), float("inf"), None, True], "0 or more"),
        ("container_startup_health_check_timeout", "ContainerStartupHealthCheckTimeoutInSeconds", [60, 3600], [59, 3601, 60.5, "60"], "from 60 to 3600"),
        ("model_data_download_timeout", "ModelDataDownloadTimeoutInSeconds", [60, 3600], [59, 3601, 0], "from 60 to 3600"),
        ("volume_size_in_gb", "VolumeSizeInGB", [1, 512], [0, 513, 1.0], "from 1 to 512"),
        ("variant_name", "VariantName", ["a", "a" * 63], ["", "a" * 64, "a_b", None], "1 to 63"),
        ("model_name", "ModelName", ["a", "a" * 63], ["", "a" * 64, "a_b"], "1 to 63"),
        ("instance_type", "InstanceType", ["ml.m5.large", "ml.p5.48xlarge"], ["m5.large", "", None], "ml.<family>.<size>"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_each_rule_of_an_instance_variant_holds_at_both_edges(
    field: str, member: str, edges: list[Any], beyond: list[Any], allowed: str
) -> None:
    for value in edges:
        assert InstanceProductionVariant(**{**NAMES, field: value})[member] == value
    for value in beyond:
        with pytest.raises(InvalidSpecError) as caught:
            InstanceProductionVariant(**{**NAMES, field: value})
        assert str(caught.value).startswith(f"InstanceProductionVariant: {field} is {value!r}"[:60])
        assert allowed in str(caught.value)


@pytest.mark.parametrize(
    ("field", "edges", "beyond", "allowed"),
    [
        ("max_concurrency", [1, 200], [0, 201, 1.0, "5", True, None], "a whole number from 1 to 200"),
        ("memory_size_in_mb", [1024, 2048, 3072, 4096, 5120, 6144], [0, 1000, 1025, 7168, "2048", None, 2048.5], "1024, 2048, 3072, 4096, 5120, 6144"),
        ("provisioned_concurrency", [1, 5], [0, 6, 200, 1.5], "a whole number from 1 to 5"),
        ("initial_variant_weight", [0, 2.5], [-1, "1"], "0 or more"),
        ("variant_name", ["v"], ["a_b"], "1 to 63"),
        ("model_name", ["m"], ["a_b"], "1 to 63"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)  # fmt: skip
def test_each_rule_of_a_serverless_variant_holds_at_both_edges(
    field: str, edges: list[Any], beyond: list[Any], allowed: str
) -> None:
    for value in edges:
        ServerlessProductionVariant(**{**SERVERLESS, field: value})
    for value in beyond:
        with pytest.raises(InvalidSpecError) as caught:
            ServerlessProductionVariant(**{**SERVERLESS, field: value})
        assert f"ServerlessProductionVariant: {field}" in str(caught.value)
        assert allowed in str(caught.value)


def test_a_serverless_variant_has_no_member_of_instances() -> None:
    assert ServerlessProductionVariant(**SERVERLESS, provisioned_concurrency=2) == {
        "ModelName": "churn",
        "VariantName": "main",
        "InitialVariantWeight": 1.0,
        "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 2},
    }


def test_provisioned_concurrency_beside_a_rendered_maximum_is_200_at_most() -> None:
    options = {**SERVERLESS, "max_concurrency": "{{ params.n }}"}
    ServerlessProductionVariant(**options, provisioned_concurrency=200)
    with pytest.raises(InvalidSpecError, match=r"from 1 to 200"):
        ServerlessProductionVariant(**options, provisioned_concurrency=201)


def test_elastic_inference_has_ended() -> None:
    with pytest.raises(
        InvalidSpecError, match=r"AcceleratorType is not supported: AWS ended Elastic Inference"
    ):
        InstanceProductionVariant(**NAMES, AcceleratorType="ml.eia2.medium")


def test_a_misspelt_parameter_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match=r"has no parameter 'instance_typ'"):
        InstanceProductionVariant(**NAMES, instance_typ="ml.m5.large")


def test_spec_objects_take_keywords_only() -> None:
    with pytest.raises(TypeError):
        InstanceProductionVariant("churn", "main")

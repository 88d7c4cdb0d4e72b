"""What AWS does not take together is told while the DAG file is parsed, with what belongs where."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting import (
    AsyncInference,
    CapacityReservation,
    ContainerDefinition,
    DataCapture,
    ImageAccess,
    InstancePool,
    InstanceProductionVariant,
    ManagedInstanceScaling,
    Metrics,
    MultiModel,
    Routing,
    ServerlessProductionVariant,
    VpcConfig,
)
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.spec.endpoint_config import check_endpoint_config
from airflow_sm_hosting.spec.model import check_model, model_request, not_for_serverless
from airflow_sm_hosting.spec.variant import check_variant

ASYNC = AsyncInference(s3_output_path="s3://bucket/answers")
CAPTURE = DataCapture(destination_s3_uri="s3://bucket/captured", initial_sampling_percentage=100)
VPC = VpcConfig(subnets=["subnet-1"], security_group_ids=["sg-1"])
ROUTERS = {"MaxInvocationsPerSecondPerInstance": 10, "MaxCrossRegionPercentPerEndpoint": 50}
SERVERLESS = ServerlessProductionVariant(
    model_name="churn", variant_name="main", max_concurrency=5, memory_size_in_mb=1024
)
RESERVED = CapacityReservation(
    ml_reservation_arn="arn:aws:sagemaker:eu-west-1:111122223333:training-plan/spring"
)
POOLS = [
    InstancePool(instance_type="ml.g5.xlarge", priority=1),
    InstancePool(instance_type="ml.g6.xlarge", priority=2),
]


def instance(name: str = "main", **options: Any) -> dict[str, Any]:
    return InstanceProductionVariant(**{"model_name": "churn", "variant_name": name, **options})


def test_objects_have_their_place_in_a_variant_and_a_config() -> None:
    variant = instance(
        instance_type=None,
        instance_pools=POOLS,
        instance_provision_timeout=600,
        routing=Routing(strategy="LEAST_OUTSTANDING_REQUESTS"),
        inference_ami_version="al2-ami-sagemaker-inference-gpu-3-1",
        enable_ssm_access=True,
    )
    assert variant == {
        "ModelName": "churn",
        "VariantName": "main",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1.0,
        "InstancePools": POOLS,
        "VariantInstanceProvisionTimeoutInSeconds": 600,
        "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
        "InferenceAmiVersion": "al2-ami-sagemaker-inference-gpu-3-1",
        "EnableSSMAccess": True,
    }
    check_endpoint_config(
        production_variants=[variant],
        async_inference_config=ASYNC,
        data_capture_config=CAPTURE,
        metrics_config=Metrics(publish_frequency=10),
    )
    managed = ManagedInstanceScaling(min_instance_count=0, max_instance_count=2)
    host = instance(model_name=None, managed_instance_scaling=managed, capacity_reservation=RESERVED)
    assert (host["ManagedInstanceScaling"], host["CapacityReservationConfig"]) == (managed, RESERVED)
    check_endpoint_config(
        production_variants=[host], execution_role="hosting", vpc_config=VPC, enable_network_isolation=True
    )


def test_objects_have_their_place_in_a_container() -> None:
    many = ContainerDefinition(
        image="i", model_data="s3://b/models/", multi_model=MultiModel(model_cache_setting="Disabled")
    )
    assert (many["Mode"], many["MultiModelConfig"]) == ("MultiModel", {"ModelCacheSetting": "Disabled"})
    private = ContainerDefinition(image="i", image_access=ImageAccess(repository_access_mode="Vpc"))
    assert private["ImageConfig"] == {"RepositoryAccessMode": "Vpc"}
    check_model(containers=[private], vpc_config=VPC)
    assert model_request(containers=[private], vpc_config=VPC)["VpcConfig"] == VPC
    assert not_for_serverless([], {"vpc_config": VPC}) == ["subnets (a VPC)"]


def test_a_member_with_a_parameter_may_be_given_in_aws_s_spelling() -> None:
    by_parameter = instance(routing=Routing(strategy="RANDOM"))
    assert instance(RoutingConfig={"RoutingStrategy": "RANDOM"}) == by_parameter
    with pytest.raises(InvalidSpecError, match="has routing and RoutingConfig; allowed: routing=…"):
        instance(routing=Routing(strategy="RANDOM"), RoutingConfig={"RoutingStrategy": "RANDOM"})
    both = instance(
        routing=Routing(strategy="RANDOM"),
        enable_ssm_access=True,
        CoreDumpConfig={"DestinationS3Uri": "s3://b/d"},
    )
    assert both["EnableSSMAccess"] is True
    with pytest.raises(InvalidSpecError, match="has multi_model and MultiModelConfig"):
        ContainerDefinition(image="i", multi_model=MultiModel(), MultiModelConfig={})
    with pytest.raises(InvalidSpecError, match="Did you mean 'routing'"):
        instance(routng={})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"managed_instance_scaling": ManagedInstanceScaling()}, "managed scaling only in a variant without a model"),
        ({"instance_pools": POOLS}, "None with InstancePools"),
        ({"instance_type": None, "instance_pools": POOLS, "capacity_reservation": RESERVED}, "a reservation with the InstanceType that is reserved"),
        ({"instance_type": None, "instance_pools": [POOLS[0], POOLS[0]]}, "has 'ml.g5.xlarge' twice"),
        ({"instance_type": None, "instance_pools": POOLS * 3}, "InstancePools is a list of 6; allowed: a list of 1 to 5"),
        ({"instance_type": None, "instance_pools": [{"InstanceType": "ml.g5.xlarge", "Prority": 1}]}, "Did you mean 'Priority'"),
        ({"instance_provision_timeout": 299}, "instance_provision_timeout is 299"),
        ({"inference_ami_version": "al2 ami"}, "inference_ami_version is 'al2 ami'"),
        ({"enable_ssm_access": "no"}, "enable_ssm_access is 'no'"),
        ({"routing": {"RoutingStrategie": "RANDOM"}}, "Did you mean 'RoutingStrategy'"),
        ({"routing": {}}, "RoutingConfig has no RoutingStrategy"),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_variant_that_aws_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        instance(**options)


def test_pools_with_an_instance_type_in_a_plain_dict() -> None:
    with pytest.raises(InvalidSpecError, match="has InstancePools and InstanceType; allowed: one of them"):
        check_variant("v", {"VariantName": "main", "InstanceType": "ml.m5.large", "InstancePools": POOLS})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"production_variants": [SERVERLESS], "async_inference_config": ASYNC}, "AsyncInferenceConfig is given with a serverless variant"),
        ({"production_variants": [SERVERLESS], "data_capture_config": CAPTURE}, "DataCaptureConfig is given with a serverless variant"),
        ({"production_variants": [SERVERLESS], "cross_region_traffic_config": ROUTERS}, "CrossRegionTrafficConfig is given with a serverless"),
        ({"production_variants": [SERVERLESS], "enable_network_isolation": True}, "EnableNetworkIsolation is given with a serverless"),
        ({"production_variants": [{**SERVERLESS, "CapacityReservationConfig": RESERVED}]}, "ServerlessConfig and CapacityReservationConfig"),
        ({"production_variants": [instance("a"), instance("b")], "async_inference_config": ASYNC}, "2 entries with AsyncInferenceConfig; allowed: one instance variant"),
        ({"production_variants": [instance("a")], "shadow_production_variants": [instance("b")], "async_inference_config": ASYNC}, "ShadowProductionVariants is given with AsyncInferenceConfig"),
        ({"production_variants": [instance()], "cross_region_traffic_config": ROUTERS, "async_inference_config": ASYNC}, "CrossRegionTrafficConfig is given with AsyncInferenceConfig"),
        ({"production_variants": [instance()], "shadow_production_variants": [{**SERVERLESS, "VariantName": "s"}]}, "a serverless variant; allowed: an instance variant"),
        ({"production_variants": [instance()], "shadow_production_variants": [instance("s", instance_type="ml.inf1.xlarge")]}, "other types than ml.inf1"),
        ({"production_variants": [instance()], "async_inference_config": {"OutputConfig": {"S3OutputPath": 5}}}, "async_inference_config.OutputConfig.S3OutputPath is 5"),
        ({"production_variants": [instance()], "extra_members": {"MetricsConfig": {"MetricPublishFrequencyInSeconds": 5}}}, "extra_members.MetricsConfig.MetricPublishFrequencyInSeconds is 5"),
        ({"production_variants": [instance()], "metrics_config": Metrics(), "extra_members": {"MetricsConfig": {}}}, "metrics_config and extra_members"),
        ({"production_variants": [instance()], "data_capture_config": CAPTURE, "extra_members": {"DataCaptureConfig": {}}}, "data_capture_config and extra_members"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_config_that_aws_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_endpoint_config(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"containers": [ContainerDefinition(image="i")], "vpc_config": VPC, "subnets": ["a"], "security_group_ids": ["b"]}, "vpc_config, or the two"),
        ({"containers": [ContainerDefinition(image="i", image_access=ImageAccess(repository_access_mode="Vpc"))]}, "the model has no VPC; allowed: with vpc_config"),
        ({"containers": [{"Image": "i", "Mode": "SingleModel", "MultiModelConfig": {}}]}, "'SingleModel'; allowed: only with 'MultiModel'"),
    ],
    ids=range(3),
)  # fmt: skip
def test_a_model_that_aws_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        check_model(**options)


def test_what_is_rendered_later_is_no_combination() -> None:
    later = "{{ params.x }}"
    check_endpoint_config(production_variants=[SERVERLESS], data_capture_config=later)
    check_endpoint_config(
        production_variants=[instance()], async_inference_config=ASYNC, cross_region_traffic_config=later
    )
    check_endpoint_config(production_variants=[instance(), instance("b")], shadow_production_variants=later)
    check_endpoint_config(
        production_variants=[instance()],
        shadow_production_variants=[instance("s", instance_type=later)],
    )

"""Endpoint configs."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.rules.cloud import IMAGE, ROLE, Cloud, refused

CAPTURE = {
    "EnableCapture": True,
    "InitialSamplingPercentage": 20,
    "DestinationS3Uri": "s3://bucket/captured",
    "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
}
ASYNC = {"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}}


def test_duplicate_config(cloud: Cloud) -> None:
    """An endpoint config name that is taken is rejected with "Cannot create already existing endpoint configuration".

    Source: recorded:config-taken; apache/airflow#7891; aws/sagemaker-python-sdk#2772
    """
    cloud.config(EndpointConfigName="c")
    with refused("Cannot create already existing endpoint configuration", ":endpoint-config/c"):
        cloud.config(EndpointConfigName="c")


def test_absent_config(cloud: Cloud) -> None:
    """An endpoint config that does not exist is reported as "Could not find endpoint configuration".

    Source: hashicorp/terraform-provider-aws#40048
    """
    with refused("Could not find endpoint configuration", ":endpoint-config/absent"):
        cloud.described_config("absent")


def test_absent_config_is_not_deleted(cloud: Cloud) -> None:
    """DeleteEndpointConfig of a config that does not exist is rejected.

    Source: hashicorp/terraform-provider-aws#40048
    """
    with refused("Could not find endpoint configuration"):
        cloud.sagemaker.delete_endpoint_config(EndpointConfigName="absent")


def test_model_of_a_config_exists(cloud: Cloud) -> None:
    """The models of an endpoint config must exist when it is created.

    Source: aws/amazon-sagemaker-operator-for-k8s
    """
    with refused("Could not find model"):
        cloud.config(cloud.variant(ModelName="absent"))


def test_variant_names_are_unique(cloud: Cloud) -> None:
    """Variants' names are unique within an endpoint config.

    Source: sagemaker:API_ProductionVariant.html
    """
    with refused("unique"):
        cloud.config(cloud.variant("a"), cloud.variant("a"))


def test_weight_default(cloud: Cloud) -> None:
    """The default weight is 1.0.

    Source: recorded:config-describe; sagemaker:API_ProductionVariant.html
    """
    (variant,) = cloud.described_config(cloud.config())["ProductionVariants"]
    assert variant["InitialVariantWeight"] == 1.0


def test_compute_is_given(cloud: Cloud) -> None:
    """A variant must have an instance type, or be serverless.

    Source: sagemaker:API_ProductionVariant.html
    """
    with refused("InstanceType", "ServerlessConfig"):
        cloud.config({"VariantName": "main", "ModelName": cloud.model()})


def test_instance_count_is_given(cloud: Cloud) -> None:
    """A variant with an instance type and a model must have an instance count.

    Source: sagemaker:API_ProductionVariant.html
    """
    with refused("InitialInstanceCount"):
        cloud.config({"VariantName": "main", "ModelName": cloud.model(), "InstanceType": "ml.m5.large"})


def test_one_shadow(cloud: Cloud) -> None:
    """With a shadow variant, there must be exactly one production variant and one shadow variant.

    Source: sagemaker:API_CreateEndpointConfig.html
    """
    a, b, c = (cloud.variant(name) for name in "abc")
    cloud.config(a, ShadowProductionVariants=[b])
    for production, shadows in (([a, b], [c]), ([a], [b, c])):
        with refused("shadow"):
            cloud.config(*production, ShadowProductionVariants=shadows)


def test_shadows_are_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns the shadow variants.

    Source: sagemaker:API_DescribeEndpointConfig.html
    """
    config = cloud.config(cloud.variant("a"), ShadowProductionVariants=[cloud.variant("b")])
    (shadow,) = cloud.described_config(config)["ShadowProductionVariants"]
    assert shadow["VariantName"] == "b"


def test_shadow_names_are_unique_too(cloud: Cloud) -> None:
    """A shadow variant must not have the name of the production variant.

    Source: sagemaker:API_ProductionVariant.html
    """
    with refused("unique"):
        cloud.config(cloud.variant("a"), ShadowProductionVariants=[cloud.variant("a")])


def test_capture_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns DataCaptureConfig.

    Source: sagemaker:API_DescribeEndpointConfig.html
    """
    found = cloud.described_config(cloud.config(DataCaptureConfig=CAPTURE))["DataCaptureConfig"]
    assert {name: found[name] for name in CAPTURE} == CAPTURE


def test_async_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns AsyncInferenceConfig.

    Source: sagemaker:API_DescribeEndpointConfig.html
    """
    assert cloud.described_config(cloud.config(AsyncInferenceConfig=ASYNC))["AsyncInferenceConfig"] == ASYNC


def test_explainer_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns ExplainerConfig.

    Source: sagemaker:API_DescribeEndpointConfig.html
    """
    explainer = {
        "ClarifyExplainerConfig": {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "1,2"}}},
    }
    assert cloud.described_config(cloud.config(ExplainerConfig=explainer))["ExplainerConfig"] == explainer


def test_key_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns KmsKeyId.

    Source: recorded:config-kms; sagemaker:API_DescribeEndpointConfig.html
    """
    assert cloud.described_config(cloud.config(KmsKeyId="alias/mine"))["KmsKeyId"] == "alias/mine"


def test_serverless_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns ServerlessConfig.

    Source: sagemaker:API_DescribeEndpointConfig.html
    """
    config = cloud.config(cloud.serverless(ProvisionedConcurrency=2))
    (variant,) = cloud.described_config(config)["ProductionVariants"]
    assert variant["ServerlessConfig"] == {
        "MemorySizeInMB": 2048,
        "MaxConcurrency": 5,
        "ProvisionedConcurrency": 2,
    }


def test_role_of_a_config_is_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns the role and network isolation of a config for inference components.

    Source: sagemaker:API_CreateEndpointConfig.html
    """
    found = cloud.described_config(cloud.component_config(EnableNetworkIsolation=True))
    assert (found["ExecutionRoleArn"], found["EnableNetworkIsolation"]) == (ROLE, True)


def test_variant_without_a_model_needs_a_role(cloud: Cloud) -> None:
    """A variant without a model needs the config's ExecutionRoleArn: it is for inference components.

    Source: recorded:config-component-role; sagemaker:API_CreateEndpointConfig.html
    """
    with refused("ModelName", "ExecutionRoleArn"):
        cloud.config({"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1})


def test_managed_scaling_is_for_components(cloud: Cloud) -> None:
    """ManagedInstanceScaling is rejected for a variant with a model.

    Source: hashicorp/terraform-provider-aws#45926
    """
    scaling = {"Status": "ENABLED", "MinInstanceCount": 1, "MaxInstanceCount": 2}
    with refused("ManagedInstanceScaling"):
        cloud.config(cloud.variant(ManagedInstanceScaling=scaling))


def test_serverless_memory_steps(cloud: Cloud) -> None:
    """A serverless variant's memory is a multiple of 1024 MB.

    Source: sagemaker:API_ProductionVariantServerlessConfig.html
    """
    with refused("MemorySizeInMB"):
        cloud.config(cloud.serverless(MemorySizeInMB=1500))


def test_serverless_provisioned_concurrency(cloud: Cloud) -> None:
    """ProvisionedConcurrency is at most MaxConcurrency.

    Source: sagemaker:API_ProductionVariantServerlessConfig.html
    """
    cloud.config(cloud.serverless(MaxConcurrency=3, ProvisionedConcurrency=3))
    with refused("ProvisionedConcurrency"):
        cloud.config(cloud.serverless(MaxConcurrency=3, ProvisionedConcurrency=4))


def test_serverless_has_no_instances(cloud: Cloud) -> None:
    """A serverless variant must not have an instance type or an instance count.

    Source: sagemaker:API_ProductionVariant.html
    """
    for more in ({"InstanceType": "ml.m5.large"}, {"InitialInstanceCount": 1}):
        with refused(next(iter(more)), "ServerlessConfig"):
            cloud.config(cloud.serverless(variant=more))


def test_serverless_has_one_variant(cloud: Cloud) -> None:
    """A serverless endpoint has one production variant.

    Source: guide:serverless-endpoints.html
    """
    with refused("serverless"):
        cloud.config(cloud.serverless("a"), cloud.serverless("b"))


def test_serverless_is_not_mixed(cloud: Cloud) -> None:
    """Serverless variants and variants with instances cannot be mixed.

    Source: guide:serverless-endpoints.html
    """
    with refused("serverless"):
        cloud.config(cloud.serverless("a"), cloud.variant("b"))


def test_serverless_captures_nothing(cloud: Cloud) -> None:
    """A serverless endpoint cannot have data capture.

    Source: guide:serverless-endpoints.html
    """
    with refused("DataCaptureConfig"):
        cloud.config(cloud.serverless(), DataCaptureConfig=CAPTURE)


def test_serverless_has_no_vpc(cloud: Cloud) -> None:
    """A serverless variant's model must not have a VPC.

    Source: guide:serverless-endpoints.html
    """
    model = cloud.model(VpcConfig={"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1"]})
    with refused("VpcConfig"):
        cloud.config({**cloud.serverless(), "ModelName": model})


def test_serverless_is_not_isolated(cloud: Cloud) -> None:
    """A serverless variant's model must not have network isolation.

    Source: guide:serverless-endpoints.html
    """
    with refused("network isolation"):
        cloud.config({**cloud.serverless(), "ModelName": cloud.model(EnableNetworkIsolation=True)})


def test_serverless_has_one_container(cloud: Cloud) -> None:
    """A serverless variant's model must not be a pipeline.

    Source: guide:serverless-endpoints.html
    """
    with refused("pipeline"):
        cloud.config({**cloud.serverless(), "ModelName": cloud.model(Containers=[{"Image": IMAGE}] * 2)})


def test_serverless_has_one_model(cloud: Cloud) -> None:
    """A serverless variant's model must not be a multi-model container.

    Source: guide:serverless-endpoints.html
    """
    model = cloud.model(container={"Image": IMAGE, "Mode": "MultiModel"})
    variant = {**cloud.serverless(), "ModelName": model}
    with refused("serverless"):
        cloud.config(variant)


def test_serverless_has_an_archive(cloud: Cloud) -> None:
    """A serverless variant's model must not have a ModelDataSource.

    Source: sagemaker:API_ContainerDefinition.html; botocore, ContainerDefinition.ModelDataSource
    """
    uri = cloud.upload("folder/weights").removesuffix("weights")
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Prefix", "CompressionType": "None"}}
    model = cloud.model(container={"Image": IMAGE, "ModelDataSource": source})
    with refused("ModelDataSource", "serverless"):
        cloud.config({**cloud.serverless(), "ModelName": model})


@pytest.mark.parametrize("kind", ["async", "inf1", "pipeline", "multi-model"])
def test_shadows_are_of_plain_endpoints(cloud: Cloud, kind: str) -> None:
    """Shadow variants are rejected for asynchronous endpoints, Inf1, several containers and several models.

    Source: guide:shadow-tests-exclusions.html
    """
    more: dict[str, Any] = {}
    model, instance_type = None, "ml.m5.large"
    if kind == "async":
        more["AsyncInferenceConfig"] = {"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}}
    elif kind == "inf1":
        instance_type = "ml.inf1.xlarge"
    elif kind == "pipeline":
        model = cloud.model(Containers=[{"Image": IMAGE}, {"Image": IMAGE}])
    else:
        model = cloud.model(container={"Image": IMAGE, "Mode": "MultiModel"})
    main, shadow = (
        cloud.variant(name, ModelName=model or cloud.model(), InstanceType=instance_type)
        for name in ("main", "shadow")
    )
    with refused("ShadowProductionVariants"):
        cloud.config(main, ShadowProductionVariants=[shadow], **more)


def test_config_in_use_is_deleted(cloud: Cloud) -> None:
    """DeleteEndpointConfig does not check whether the config is in use.

    Source: hashicorp/terraform-provider-aws#40048; sagemaker:API_DeleteEndpointConfig.html
    """
    config = cloud.config()
    endpoint = cloud.endpoint(config)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    with refused("Could not find"):
        cloud.described_config(config)
    assert cloud.describe(endpoint)["EndpointConfigName"] == config


def test_configs_are_listed(cloud: Cloud) -> None:
    """ListEndpointConfigs accepts NameContains, SortBy, SortOrder and MaxResults.

    Source: recorded:config-list; sagemaker:API_ListEndpointConfigs.html
    """
    model = cloud.model()
    for name in ("cat-2", "dog-1", "cat-1", "cat-3"):
        cloud.config(cloud.variant(ModelName=model), EndpointConfigName=name)
    found = cloud.sagemaker.list_endpoint_configs(
        NameContains="cat", SortBy="Name", SortOrder="Ascending", MaxResults=2
    )
    assert [config["EndpointConfigName"] for config in found["EndpointConfigs"]] == ["cat-1", "cat-2"]
    assert found["NextToken"]


def test_instance_pools_are_told(cloud: Cloud) -> None:
    """A variant may have several instance types with priorities instead of one.

    Source: aws/deep-learning-containers#6711; botocore, InstancePool
    """
    pools = [{"InstanceType": "ml.g5.xlarge", "Priority": 1}, {"InstanceType": "ml.g6.xlarge", "Priority": 2}]
    variant = {
        "VariantName": "main",
        "ModelName": cloud.model(),
        "InitialInstanceCount": 1,
        "InstancePools": pools,
    }
    (found,) = cloud.described_config(cloud.config(variant))["ProductionVariants"]
    assert found["InstancePools"] == pools


def test_timeouts_are_told(cloud: Cloud) -> None:
    """DescribeEndpointConfig returns the timeouts of a variant.

    Source: sagemaker:API_ProductionVariant.html
    """
    timeouts = {
        "ContainerStartupHealthCheckTimeoutInSeconds": 600,
        "ModelDataDownloadTimeoutInSeconds": 900,
    }
    (found,) = cloud.described_config(cloud.config(cloud.variant(**timeouts)))["ProductionVariants"]
    assert {name: found[name] for name in timeouts} == timeouts


def test_tags_of_a_new_config(cloud: Cloud) -> None:
    """Tags given to CreateEndpointConfig are listed.

    Source: sagemaker:API_ListTags.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    arn = cloud.described_config(cloud.config(Tags=tags))["EndpointConfigArn"]
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags


def pool(kind: str = "ml.m5.large", priority: int = 1) -> dict[str, Any]:
    return {"InstanceType": kind, "Priority": priority}


def test_pools_in_place_of_a_type(cloud: Cloud) -> None:
    """InstancePools and InstanceType exclude each other, and each type has one pool.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/realtime-endpoints-heterogeneous.html; that types are distinct is assumed
    """
    with refused("InstanceType", "InstancePools"):
        cloud.config(cloud.variant(InstancePools=[pool()]))
    variant = cloud.variant(InstancePools=[pool(), pool(priority=2)])
    del variant["InstanceType"]
    with refused("unique"):
        cloud.config(variant)


def test_pools_without_a_reservation(cloud: Cloud) -> None:
    """InstancePools have no CapacityReservationConfig.

    Source: assumed: a reservation is of one instance type
    """
    arn = "arn:aws:sagemaker:us-east-1:123456789012:training-plan/spring"
    variant = cloud.variant(InstancePools=[pool()], CapacityReservationConfig={"MlReservationArn": arn})
    del variant["InstanceType"]
    with refused("CapacityReservationConfig"):
        cloud.config(variant)


def test_numbers_of_prefix_aware_routing(cloud: Cloud) -> None:
    """PREFIX_AWARE needs PrefixLength and ConcurrencyThreshold, and no other strategy takes them.

    Source: botocore, PrefixAwareRoutingConfig
    """
    numbers = {"PrefixLength": 1024, "ConcurrencyThreshold": 1}
    cloud.config(
        cloud.variant(RoutingConfig={"RoutingStrategy": "PREFIX_AWARE", "PrefixAwareRoutingConfig": numbers})
    )
    for routing in (
        {"RoutingStrategy": "PREFIX_AWARE"},
        {"RoutingStrategy": "PREFIX_AWARE", "PrefixAwareRoutingConfig": {"PrefixLength": 1024}},
        {"RoutingStrategy": "RANDOM", "PrefixAwareRoutingConfig": numbers},
    ):
        with refused("PREFIX_AWARE"):
            cloud.config(cloud.variant(RoutingConfig=routing))


def test_limits_of_managed_scaling(cloud: Cloud) -> None:
    """MaxInstanceCount of managed scaling is not below MinInstanceCount, and IDLE_RELEASE has no step size.

    Source: botocore, ProductionVariantManagedInstanceScaling; that they are refused is assumed
    """
    variant = {"VariantName": "main", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    for scaling, word in (
        ({"MinInstanceCount": 2, "MaxInstanceCount": 1}, "MaxInstanceCount"),
        ({"ScaleInPolicy": {"Strategy": "IDLE_RELEASE", "MaximumStepSize": 1}}, "MaximumStepSize"),
    ):
        with refused(word):
            cloud.config({**variant, "ManagedInstanceScaling": scaling}, ExecutionRoleArn=ROLE)


def test_frequencies_of_metrics(cloud: Cloud) -> None:
    """MetricPublishFrequencyInSeconds is 10, 30, 60, 120, 180, 240 or 300.

    Source: botocore, MetricsConfig
    """
    cloud.config(MetricsConfig={"MetricPublishFrequencyInSeconds": 300})
    with refused("MetricPublishFrequencyInSeconds"):
        cloud.config(MetricsConfig={"MetricPublishFrequencyInSeconds": 20})


def test_members_of_an_explainer(cloud: Cloud) -> None:
    """An explainer has one baseline, an index or an attribute, as many feature types as headers, and a text among the types.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/clarify-online-explainability-create-endpoint.html; botocore, ClarifyInferenceConfig;
    that both of two alternatives are refused is assumed
    """
    one, other = {"ShapBaseline": "1,2"}, {"ShapBaselineUri": "s3://bucket/baseline"}

    def explained(baseline: dict[str, Any], **inference: Any) -> None:
        clarify: dict[str, Any] = {"ShapConfig": {"ShapBaselineConfig": baseline}}
        if inference:
            clarify["InferenceConfig"] = inference
        cloud.config(ExplainerConfig={"ClarifyExplainerConfig": clarify})

    explained(one)
    explained(other, FeatureHeaders=["a"], FeatureTypes=["text"])
    for baseline, inference, word in (
        ({}, {}, "ShapBaseline"),
        ({**one, **other}, {}, "ShapBaseline"),
        (one, {"ProbabilityIndex": 0, "ProbabilityAttribute": "p"}, "ProbabilityIndex"),
        (one, {"LabelIndex": 0, "LabelAttribute": "l"}, "LabelIndex"),
        (one, {"FeatureHeaders": ["a", "b"], "FeatureTypes": ["text"]}, "FeatureHeaders"),
        (one, {"FeatureTypes": ["numerical"]}, "text"),
    ):
        with refused(word):
            explained(baseline, **inference)


def test_async_has_one_variant(cloud: Cloud) -> None:
    """An asynchronous endpoint has one variant on instances.

    Source: aws/aws-cdk-rfcs#433; the wording is assumed
    """
    with refused("asynchronous"):
        cloud.config(cloud.variant("a"), cloud.variant("b"), AsyncInferenceConfig=ASYNC)
    with refused("AsyncInferenceConfig"):
        cloud.config(cloud.serverless(), AsyncInferenceConfig=ASYNC)


def test_serverless_configs_have_no_more(cloud: Cloud) -> None:
    """A serverless variant goes with no explainer, no VPC and no network isolation of the config.

    Source: https://docs.aws.amazon.com/sagemaker/latest/dg/serverless-endpoints.html; of explainers it is assumed
    """
    baseline = {"ShapConfig": {"ShapBaselineConfig": {"ShapBaseline": "1"}}}
    for more in (
        {"ExplainerConfig": {"ClarifyExplainerConfig": baseline}},
        {"VpcConfig": {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}},
        {"EnableNetworkIsolation": True},
    ):
        with refused(*more):
            cloud.config(cloud.serverless(), **more)

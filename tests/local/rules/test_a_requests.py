"""Requests: names, limits and error responses."""

from __future__ import annotations

import json

import pytest
from botocore.exceptions import ClientError

from tests.local.rules.cloud import IMAGE, Cloud, refused

LONGEST = "a" * 63


def test_endpoint_name_pattern(cloud: Cloud) -> None:
    """An endpoint's name contains only letters, digits and inner hyphens.

    Source: sagemaker:API_CreateEndpoint.html; botocore, CreateEndpointInput.EndpointName
    """
    config = cloud.config()
    for name in ("a_b", "-a", "a-", "a.b", "ä"):
        with refused("endpointName", "regular expression pattern"):
            cloud.begin_endpoint(config, EndpointName=name)


def test_endpoint_name_length(cloud: Cloud) -> None:
    """An endpoint's name has at most 63 characters.

    Source: sagemaker:API_CreateEndpoint.html; botocore, CreateEndpointInput.EndpointName
    """
    config = cloud.config()
    cloud.begin_endpoint(config, EndpointName=LONGEST)
    with refused("endpointName"):
        cloud.begin_endpoint(config, EndpointName=LONGEST + "a")


def test_config_name(cloud: Cloud) -> None:
    """An endpoint config's name has at most 63 letters, digits and inner hyphens.

    Source: sagemaker:API_CreateEndpointConfig.html; botocore, CreateEndpointConfigInput.EndpointConfigName
    """
    model = cloud.model()
    cloud.config(cloud.variant(ModelName=model), EndpointConfigName=LONGEST)
    for name in ("a_b", LONGEST + "a"):
        with refused("endpointConfigName"):
            cloud.config(cloud.variant(ModelName=model), EndpointConfigName=name)


def test_model_name(cloud: Cloud) -> None:
    """A model's name has at most 63 letters, digits and inner hyphens.

    Source: sagemaker:API_CreateModel.html; botocore, CreateModelInput.ModelName
    """
    cloud.model(LONGEST)
    for name in ("a_b", "a-", LONGEST + "a"):
        with refused("modelName"):
            cloud.model(name)


def test_variant_name(cloud: Cloud) -> None:
    """A variant's name has at most 63 letters, digits and inner hyphens.

    Source: sagemaker:API_ProductionVariant.html; botocore, ProductionVariant.VariantName
    """
    model = cloud.model()
    cloud.config(cloud.variant(LONGEST, ModelName=model))
    for name in ("a_b", LONGEST + "a"):
        with refused("productionVariants.1.member.variantName"):
            cloud.config(cloud.variant(name, ModelName=model))


def test_hostname_pattern(cloud: Cloud) -> None:
    """A container's hostname has at most 63 letters, digits and inner hyphens.

    Source: sagemaker:API_ContainerDefinition.html; botocore, ContainerDefinition.ContainerHostname
    """
    cloud.model(container={"Image": IMAGE, "ContainerHostname": "first"})
    with refused("primaryContainer.containerHostname"):
        cloud.model(container={"Image": IMAGE, "ContainerHostname": "a_b"})


def test_violation_sentence(cloud: Cloud) -> None:
    """A violation of the service's model is rejected with "1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy constraint: Member must …".

    Source: recorded:model-name-pattern; astronomer/astronomer-providers#1055; aws/sagemaker-python-sdk#101
    """
    with refused(
        "1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy constraint: Member must"
    ):
        cloud.model("a_b")


def test_violations_are_counted(cloud: Cloud) -> None:
    """Several violations are reported in one error, with their number.

    Source: aws/sagemaker-python-sdk#101
    """
    with refused("2 validation errors detected", "'modelName'", "'primaryContainer.containerHostname'"):
        cloud.model("a_b", container={"Image": IMAGE, "ContainerHostname": "c_d"})


def test_missing_member(cloud: Cloud) -> None:
    """A missing required member is reported as null.

    Source: botocore, CreateEndpointInput (required); the wording is assumed
    """
    with refused("null", "'endpointConfigName'"):
        cloud.sagemaker.create_endpoint(EndpointName="e")


def test_unknown_member(cloud: Cloud) -> None:
    """Members that the service does not know are ignored.

    Source: assumed: an SDK may be newer than the service
    """
    events = cloud.sagemaker.meta.events

    def more(params: dict, **_: object) -> None:
        params["body"] = params["body"].replace(b"{", b'{"Unheard": 1, ', 1)

    events.register("before-call.sagemaker.CreateModel", more)
    try:
        cloud.model("m")
    finally:
        events.unregister("before-call.sagemaker.CreateModel", more)
    assert cloud.described_model("m")["ModelName"] == "m"


def test_wrong_type(cloud: Cloud) -> None:
    """A value of the wrong type is a SerializationException.

    Source: https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
    """
    with refused(code="SerializationException"):
        cloud.config(cloud.variant(InitialInstanceCount="two"))


def test_weight_is_not_negative(cloud: Cloud) -> None:
    """A weight must be 0 or more.

    Source: botocore, ProductionVariant.InitialVariantWeight
    """
    model = cloud.model()
    cloud.config(cloud.variant(ModelName=model, InitialVariantWeight=0.0))
    with refused("initialVariantWeight"):
        cloud.config(cloud.variant(ModelName=model, InitialVariantWeight=-1.0))


def test_instance_count_is_positive(cloud: Cloud) -> None:
    """A variant starts with at least one instance.

    Source: botocore, ProductionVariant.InitialInstanceCount
    """
    with refused("initialInstanceCount"):
        cloud.config(cloud.variant(count=0))


def test_volume_size(cloud: Cloud) -> None:
    """A volume has 1 to 512 GB.

    Source: sagemaker:API_ProductionVariant.html; botocore, ProductionVariant.VolumeSizeInGB
    """
    model = cloud.model()
    cloud.config(cloud.variant(ModelName=model, VolumeSizeInGB=512))
    for size in (0, 513):
        with refused("volumeSizeInGB"):
            cloud.config(cloud.variant(ModelName=model, VolumeSizeInGB=size))


def test_startup_timeout(cloud: Cloud) -> None:
    """ContainerStartupHealthCheckTimeoutInSeconds is 60 to 3600.

    Source: sagemaker:API_ProductionVariant.html; botocore, ProductionVariant
    """
    model = cloud.model()
    cloud.config(cloud.variant(ModelName=model, ContainerStartupHealthCheckTimeoutInSeconds=3600))
    for seconds in (59, 3601):
        with refused("containerStartupHealthCheckTimeoutInSeconds"):
            cloud.config(cloud.variant(ModelName=model, ContainerStartupHealthCheckTimeoutInSeconds=seconds))


def test_download_timeout(cloud: Cloud) -> None:
    """ModelDataDownloadTimeoutInSeconds is 60 to 3600.

    Source: sagemaker:API_ProductionVariant.html; botocore, ProductionVariant
    """
    for seconds in (59, 3601):
        with refused("modelDataDownloadTimeoutInSeconds"):
            cloud.config(cloud.variant(ModelDataDownloadTimeoutInSeconds=seconds))


def test_known_instance_types(cloud: Cloud) -> None:
    """All instance types of the service's model are accepted, including ml.g5, ml.g6e, ml.m6i, ml.c7g, ml.inf2 and ml.p5.

    Source: botocore, ProductionVariantInstanceType (277 values)
    """
    model = cloud.model()
    for family in (
        "ml.g5.xlarge",
        "ml.g6e.xlarge",
        "ml.m6i.large",
        "ml.c7g.large",
        "ml.inf2.xlarge",
        "ml.p5.48xlarge",
    ):
        cloud.config(cloud.variant(ModelName=model, InstanceType=family))


def test_unknown_instance_type(cloud: Cloud) -> None:
    """An unknown instance type is rejected with the list of valid ones.

    Source: recorded:config-type-words; botocore, ProductionVariantInstanceType
    """
    with refused(
        "'ml.z9.tiny' at 'productionVariants.1.member.instanceType'", "enum value set", "ml.m5.large"
    ):
        cloud.config(cloud.variant(InstanceType="ml.z9.tiny"))


def test_ten_variants(cloud: Cloud) -> None:
    """An endpoint config has 1 to 10 production variants.

    Source: sagemaker:API_CreateEndpointConfig.html; botocore, ProductionVariantList
    """
    model = cloud.model()
    variants = [cloud.variant(f"v{number}", ModelName=model) for number in range(11)]
    cloud.config(*variants[:10])
    for wrong in ([], variants):
        with refused("productionVariants"):
            cloud.sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=wrong)


def test_fifteen_containers(cloud: Cloud) -> None:
    """A model has at most 15 containers.

    Source: sagemaker:API_CreateModel.html; botocore, ContainerDefinitionList
    """
    cloud.model(Containers=[{"Image": IMAGE}] * 15)
    with refused("containers"):
        cloud.model(Containers=[{"Image": IMAGE}] * 16)


def test_fifty_tags(cloud: Cloud) -> None:
    """A request has at most 50 tags.

    Source: sagemaker:API_AddTags.html; botocore, TagList
    """
    tags = [{"Key": f"k{number}", "Value": "v"} for number in range(51)]
    cloud.model(Tags=tags[:50])
    with refused("tags"):
        cloud.model(Tags=tags)


def test_environment_names(cloud: Cloud) -> None:
    """An environment key begins with a letter or an underscore, and contains no hyphens.

    Source: botocore, EnvironmentKey
    """
    cloud.model(container={"Image": IMAGE, "Environment": {"_OK1": ""}})
    for name in ("1A", "A-B", "A B"):
        with refused("environment"):
            cloud.model(container={"Image": IMAGE, "Environment": {name: "x"}})


def test_environment_entries(cloud: Cloud) -> None:
    """An environment has at most 100 entries, of at most 1024 characters each.

    Source: sagemaker:API_ContainerDefinition.html; botocore, EnvironmentMap
    """
    for wrong in ({f"K{number}": "" for number in range(101)}, {"K": "x" * 1025}):
        with refused("environment"):
            cloud.model(container={"Image": IMAGE, "Environment": wrong})


def test_environment_is_not_quoted(cloud: Cloud) -> None:
    """The error for an environment key does not repeat the environment's values.

    Source: assumed: it may have secrets
    """
    with pytest.raises(ClientError) as caught:
        cloud.model(container={"Image": IMAGE, "Environment": {"A-B": "hidden-value"}})
    assert caught.value.response["Error"]["Code"] == "ValidationException"
    assert "hidden-value" not in str(caught.value)


def test_image_length(cloud: Cloud) -> None:
    """An image's name has at most 255 characters and no spaces.

    Source: sagemaker:API_ContainerDefinition.html; botocore, ContainerImage
    """
    for image in (IMAGE + "x" * 200, "a b"):
        with refused("primaryContainer.image"):
            cloud.model(container={"Image": image})


def test_model_data_url(cloud: Cloud) -> None:
    """ModelDataUrl is an S3 or HTTPS URL.

    Source: botocore, Url
    """
    with refused("primaryContainer.modelDataUrl"):
        cloud.model(container={"Image": IMAGE, "ModelDataUrl": "file:///model.tar.gz"})


def test_five_more_model_data_sources(cloud: Cloud) -> None:
    """AdditionalModelDataSources has at most 5 entries.

    Source: botocore, AdditionalModelDataSources
    """
    source = {"CompressionType": "None", "S3DataType": "S3Prefix", "S3Uri": "s3://bucket/a/"}
    more = [{"ChannelName": f"c{n}", "S3DataSource": source} for n in range(6)]
    with refused("additionalModelDataSources"):
        cloud.model(container={"Image": IMAGE, "AdditionalModelDataSources": more})


def test_role_is_an_arn(cloud: Cloud) -> None:
    """The execution role is given by its ARN.

    Source: botocore, RoleArn
    """
    with refused("executionRoleArn"):
        cloud.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn="sagemaker-execution-role", PrimaryContainer={"Image": IMAGE}
        )


def test_page_size(cloud: Cloud) -> None:
    """A page has 1 to 100 entries.

    Source: botocore, MaxResults
    """
    for size in (0, 101):
        with refused("maxResults"):
            cloud.sagemaker.list_endpoints(MaxResults=size)


def test_serverless_memory_range(cloud: Cloud) -> None:
    """A serverless variant has 1024 to 6144 MB of memory.

    Source: sagemaker:API_ProductionVariantServerlessConfig.html; botocore, ServerlessMemorySizeInMB
    """
    cloud.config(cloud.serverless(MemorySizeInMB=6144))
    for size in (512, 7168):
        with refused("memorySizeInMB"):
            cloud.config(cloud.serverless(MemorySizeInMB=size))


def test_serverless_concurrency_range(cloud: Cloud) -> None:
    """A serverless variant has a MaxConcurrency of 1 to 200.

    Source: sagemaker:API_ProductionVariantServerlessConfig.html; botocore, ServerlessMaxConcurrency
    """
    for concurrency in (0, 201):
        with refused("maxConcurrency"):
            cloud.config(cloud.serverless(MaxConcurrency=concurrency))


def test_sampling_percentage(cloud: Cloud) -> None:
    """Data capture samples 0 to 100 percent.

    Source: botocore, SamplingPercentage
    """
    capture = {
        "InitialSamplingPercentage": 101,
        "DestinationS3Uri": "s3://bucket/",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    with refused("initialSamplingPercentage"):
        cloud.config(DataCaptureConfig=capture)


def test_arns_are_in_lower_case(cloud: Cloud) -> None:
    """The name in an ARN is in lower case.

    Source: assumed, because AWS shows ARNs of endpoints in lower case
    """
    cloud.model("MyModel")
    assert cloud.described_model("MyModel")["ModelArn"].endswith(":model/mymodel")
    assert cloud.described_model("MyModel")["ModelName"] == "MyModel"


def test_role_of_the_example_is_taken(cloud: Cloud) -> None:
    """A role with a path is accepted.

    Source: botocore, RoleArn
    """
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    made = cloud.client("iam").create_role(
        Path="/service-role/", RoleName="serving", AssumeRolePolicyDocument=document
    )
    role = made["Role"]["Arn"]
    assert role.endswith(":role/service-role/serving")
    cloud.sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE})
    assert cloud.described_model("m")["ExecutionRoleArn"] == role

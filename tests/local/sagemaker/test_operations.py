from __future__ import annotations

import datetime
from typing import Any

import botocore.exceptions
import pytest

from tests.botocore_versions import requires_botocore_1_44
from tests.local.conftest import FOREIGN_IMAGE, ROLE, Deployer, refusal_of, tar_bytes

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


@pytest.fixture
def sagemaker(deployer: Deployer) -> Any:
    return deployer.sagemaker


# Models


def test_a_model_is_described_as_it_was_created(deployer: Deployer, sagemaker: Any) -> None:
    data = deployer.upload(tar_bytes({"a": b"b"}))
    request = {
        "ModelName": "Churn-1",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {
            "Image": deployer.push_image(),
            "ModelDataUrl": data,
            "Environment": {"A": "1"},
            "Mode": "SingleModel",
        },
        "VpcConfig": {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]},
        "EnableNetworkIsolation": True,
        "InferenceExecutionConfig": {"Mode": "Serial"},
    }
    arn = sagemaker.create_model(**request, Tags=[{"Key": "team", "Value": "x"}])["ModelArn"]
    found = sagemaker.describe_model(ModelName="Churn-1")
    assert arn == found["ModelArn"] == f"{ARN}:model/churn-1"
    assert isinstance(found.pop("CreationTime"), datetime.datetime)
    del found["ResponseMetadata"], found["ModelArn"]
    assert found == request


def test_what_exists_already_cannot_be_created_again(deployer: Deployer, sagemaker: Any) -> None:
    model, config = deployer.model(), deployer.config()
    endpoint = deployer.endpoint(config)
    assert refusal_of(sagemaker.create_model, ModelName=model, PrimaryContainer={"Image": FOREIGN_IMAGE}) == (
        "ValidationException",
        f'Cannot create already existing model "{ARN}:model/{model}".',
    )
    assert refusal_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName=config,
        ProductionVariants=[deployer.variant(model)],
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/{config}".',
    )
    # Endpoint names are case-insensitive here.
    assert refusal_of(
        sagemaker.create_endpoint, EndpointName=endpoint.upper(), EndpointConfigName=config
    ) == ("ValidationException", f'Cannot create already existing endpoint "{ARN}:endpoint/{endpoint}".')


def test_models_and_configs_are_found_in_any_case_and_shown_in_their_own(
    deployer: Deployer, sagemaker: Any
) -> None:
    """What is there for Create is there for the others: assumed from ARNs, which are in lower case."""
    container = {"Image": FOREIGN_IMAGE}
    sagemaker.create_model(ModelName="Churn", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    assert sagemaker.describe_model(ModelName="churn")["ModelName"] == "Churn"
    sagemaker.create_endpoint_config(
        EndpointConfigName="Config", ProductionVariants=[deployer.variant("CHURN")]
    )
    assert sagemaker.describe_endpoint_config(EndpointConfigName="config")["EndpointConfigName"] == "Config"
    assert refusal_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName="CONFIG",
        ProductionVariants=[deployer.variant("churn")],
    ) == (
        "ValidationException",
        f'Cannot create already existing endpoint configuration "{ARN}:endpoint-config/config".',
    )
    endpoint = deployer.endpoint("config")
    assert deployer.describe(endpoint)["EndpointStatus"] == "InService"
    assert [model["ModelName"] for model in sagemaker.list_models()["Models"]] == ["Churn"]
    sagemaker.delete_endpoint_config(EndpointConfigName="cONFIG")
    sagemaker.delete_model(ModelName="cHURN")
    assert sagemaker.list_models()["Models"] == []


def test_input_is_refused_in_awss_words(sagemaker: Any, deployer: Deployer) -> None:
    assert refusal_of(sagemaker.create_model, ModelName="a_b", PrimaryContainer={"Image": FOREIGN_IMAGE}) == (
        "ValidationException",
        "1 validation error detected: Value 'a_b' at 'modelName' failed to satisfy constraint: Member must satisfy "
        r"regular expression pattern: ^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?",
    )
    code, message = refusal_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName="x" * 64,
        ProductionVariants=[
            deployer.variant(name="a"),
            deployer.variant(name="b_c", InstanceType="ml.mega.large"),
        ],
    )
    assert code == "ValidationException"
    assert message.startswith("4 validation errors detected: ")
    assert (
        "at 'endpointConfigName' failed to satisfy constraint: Member must have length less than" in message
    )
    assert "Value 'b_c' at 'productionVariants.2.member.variantName'" in message
    assert "Value 'ml.mega.large' at 'productionVariants.2.member.instanceType'" in message
    assert "Member must satisfy enum value set: [ml.t2.medium," in message


def container(**more: Any) -> Any:
    return {"Image": FOREIGN_IMAGE, **more}


@pytest.mark.parametrize(
    ("request_part", "text"),
    [
        ({"PrimaryContainer": {}}, "Either Image or ModelPackageName"),
        (
            {"PrimaryContainer": container(ModelDataUrl="s3://nowhere/model.tar.gz")},
            "Could not find model data at s3://nowhere/model.tar.gz.",
        ),
        (
            {"PrimaryContainer": container(Image="123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1")},
            "Requested image 123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1 not found.",
        ),
    ],
)
def test_create_model_refuses(sagemaker: Any, request_part: dict[str, Any], text: str) -> None:
    code, message = refusal_of(sagemaker.create_model, ModelName="m", **request_part)
    assert code == "ValidationException"
    assert text in message


@pytest.mark.parametrize(
    ("more", "label"),
    [
        # deepjavalibrary/djl-serving#708, multi-container-troubleshooting.html
        ({"Containers": 2}, "accept-bind-to-port"),
        # build-multi-model-build-container.html
        ({"Mode": "MultiModel"}, "multi-models"),
    ],
)
def test_an_image_must_say_what_it_can(
    deployer: Deployer, sagemaker: Any, more: dict[str, Any], label: str
) -> None:
    plain = deployer.push_image(config={"Entrypoint": ["serve"]})
    capable = deployer.push_image()

    def create(name: str, image: str) -> None:
        container = {"Image": image}
        if "Mode" in more:
            container |= {
                **more,
                "ModelDataUrl": deployer.upload(b"x", "models/a.tar.gz").removesuffix("a.tar.gz"),
            }
        containers = (
            {"Containers": [container] * 2} if "Containers" in more else {"PrimaryContainer": container}
        )
        sagemaker.create_model(ModelName=name, ExecutionRoleArn=ROLE, **containers)

    with pytest.raises(botocore.exceptions.ClientError) as caught:
        create("plain", plain)
    required = f"com.amazonaws.sagemaker.capabilities.{label}=true"
    assert caught.value.response["Error"]["Message"] == (
        f"Your Ecr Image {plain} does not contain required {required} Docker label(s)."
    )
    create("capable", capable)


def test_images_are_found_by_our_host_and_by_the_accounts_ecr_host_by_tag_and_by_digest(
    deployer: Deployer, sagemaker: Any
) -> None:
    uri = deployer.push_image(tag="v1")
    repository = uri.partition("/")[2].partition(":")[0]
    port = uri.partition("/")[0].partition(":")[2]
    (details,) = deployer.aws.client("ecr").describe_images(repositoryName=repository)["imageDetails"]
    host = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    for image in (
        uri,
        f"localhost:{port}/{repository}:v1",
        f"{host}/{repository}:v1",
        f"{host}/{repository}@{details['imageDigest']}",
    ):
        deployer.model(Image=image)


def test_managed_scaling_is_refused_in_awss_words(deployer: Deployer, sagemaker: Any) -> None:
    """hashicorp/terraform-provider-aws#45926."""
    assert refusal_of(
        sagemaker.create_endpoint_config,
        EndpointConfigName="c",
        ProductionVariants=[deployer.variant(ManagedInstanceScaling={"Status": "ENABLED"})],
    ) == (
        "ValidationException",
        "ManagedInstanceScaling is only supported for inference component endpoints.",
    )


@pytest.mark.parametrize("kind", ["shadow", "asynchronous"])
def test_an_endpoint_config_is_described_as_it_was_created(
    deployer: Deployer, sagemaker: Any, kind: str
) -> None:
    request = {
        "EndpointConfigName": "c",
        "ProductionVariants": [
            deployer.variant(
                InitialVariantWeight=0.5,
                VolumeSizeInGB=10,
                EnableSSMAccess=True,
                RoutingConfig={"RoutingStrategy": "RANDOM"},
            )
        ],
        "ShadowProductionVariants": [deployer.variant(name="shadow", InitialVariantWeight=1.0)],
        "KmsKeyId": "key",
        "DataCaptureConfig": {
            "EnableCapture": True,
            "InitialSamplingPercentage": 20,
            "DestinationS3Uri": "s3://bucket/capture",
            "CaptureOptions": [{"CaptureMode": "Input"}],
        },
        "AsyncInferenceConfig": {"OutputConfig": {"S3OutputPath": "s3://bucket/out"}},
        "MetricsConfig": {"EnableEnhancedMetrics": True, "MetricPublishFrequencyInSeconds": 10},
        "ExplainerConfig": {
            "ClarifyExplainerConfig": {
                "ShapConfig": {"ShapBaselineConfig": {"ShapBaselineUri": "s3://bucket/x"}}
            }
        },
    }
    # An asynchronous endpoint has no shadow variants.
    del request["AsyncInferenceConfig" if kind == "shadow" else "ShadowProductionVariants"]
    sagemaker.create_endpoint_config(**request)
    found = sagemaker.describe_endpoint_config(EndpointConfigName="c")
    for extra in ("ResponseMetadata", "CreationTime", "EndpointConfigArn"):
        del found[extra]
    assert found == request


# Tags


def test_tags_of_an_endpoint_are_added_overwritten_and_listed(deployer: Deployer, sagemaker: Any) -> None:
    arn = deployer.describe(deployer.endpoint(Tags=[{"Key": "a", "Value": "1"}]))["EndpointArn"]
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    pages = sagemaker.get_paginator("list_tags").paginate(ResourceArn=arn, PaginationConfig={"PageSize": 50})
    assert [tag for page in pages for tag in page["Tags"]] == [
        {"Key": "a", "Value": "2"},
        {"Key": "b", "Value": "3"},
    ]


# Lists


def test_lists_are_paged_newest_first(deployer: Deployer, sagemaker: Any) -> None:
    config = deployer.config()
    names = [deployer.endpoint(config) for _ in range(7)]
    first = sagemaker.list_endpoints(MaxResults=3)
    assert [row["EndpointName"] for row in first["Endpoints"]] == names[:-4:-1]
    pages = sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 3})
    assert [row["EndpointName"] for page in pages for row in page["Endpoints"]] == names[::-1]
    assert set(first["Endpoints"][0]) == {
        "EndpointName",
        "EndpointArn",
        "CreationTime",
        "LastModifiedTime",
        "EndpointStatus",
    }


@requires_botocore_1_44
def test_filters_mind_no_case_and_leave_out_the_time_itself(deployer: Deployer, sagemaker: Any) -> None:
    config = deployer.config()
    for name in ("churn-a", "churn-b", "spam-a"):
        sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        deployer.settled(name)

    def names(**filters: Any) -> Any:
        return {row["EndpointName"] for row in sagemaker.list_endpoints(**filters)["Endpoints"]}

    assert names(NameContains="Churn") == {"churn-a", "churn-b"}
    middle = deployer.describe("churn-b")["CreationTime"]
    assert names(CreationTimeAfter=middle) == {"spam-a"}
    assert names(CreationTimeBefore=middle) == {"churn-a"}


# Regions and the rest


def test_regions_are_apart(deployer: Deployer) -> None:
    import boto3

    deployer.model()
    other = boto3.Session(
        aws_access_key_id=deployer.aws.access_key, aws_secret_access_key="x", region_name="eu-west-1"
    ).client("sagemaker", endpoint_url=deployer.aws.endpoint_url)
    assert other.list_models()["Models"] == []
    other.create_model(ModelName="m", PrimaryContainer={"Image": FOREIGN_IMAGE})
    assert ":eu-west-1:" in other.describe_model(ModelName="m")["ModelArn"]


def test_the_rest_of_sagemaker_is_motos(sagemaker: Any) -> None:
    assert sagemaker.list_training_jobs()["TrainingJobSummaries"] == []


def test_reset_forgets_everything(deployer: Deployer) -> None:
    deployer.endpoint()
    deployer.aws.client("s3").create_bucket(Bucket="bucket-x")
    deployer.aws.reset()
    assert deployer.sagemaker.list_endpoints()["Endpoints"] == []
    assert deployer.sagemaker.list_models()["Models"] == []
    assert deployer.aws.client("s3").list_buckets()["Buckets"] == []

"""Models that are made of model packages, from the registration to an answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.local.conftest import FOREIGN_IMAGE, ROLE, Deployer, refusal_of, tar_bytes
from tests.local.region import Region

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def register(region: Region, *containers: dict[str, Any], **more: Any) -> str:
    """Register a version that is approved, in the group ``g``, and return its ARN."""
    if "g" not in [group.name for group in region.hosting.package_groups.all()]:
        region.ask("CreateModelPackageGroup", ModelPackageGroupName="g")
    request = {
        "InferenceSpecification": {"Containers": list(containers) or [{"Image": FOREIGN_IMAGE}]},
        "ModelApprovalStatus": "Approved",
        **more,
    }
    return str(region.ask("CreateModelPackage", ModelPackageGroupName="g", **request)["ModelPackageArn"])


def model(region: Region, package: str, name: str = "p", **beside: Any) -> dict[str, Any]:
    """Make a model of a package, and return its description."""
    container = {"ModelPackageName": package, **beside}
    region.ask("CreateModel", ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return region.ask("DescribeModel", ModelName=name)


def served(region: Region, name: str = "p") -> list[dict[str, Any]]:
    """Return the containers that an endpoint of a model runs."""
    variant = {**region.variant(), "ModelName": name}
    config = f"c-{name}"
    region.config(config, variant)
    region.ask("CreateEndpoint", EndpointName=f"e-{name}", EndpointConfigName=config)
    region.clock.advance(60)
    endpoint = region.hosting.endpoints.find(f"e-{name}")
    assert endpoint
    assert endpoint.status == "InService", endpoint.describe()
    assert endpoint.serving.fleet
    (serving,) = endpoint.serving.fleet.variants
    return [dict(container.definition) for container in serving.containers]


@pytest.mark.parametrize("name", ["g/1", "G/1", f"{ARN}:model-package/g/1"])
def test_a_model_has_the_container_of_its_package_and_shows_the_package(region: Region, name: str) -> None:
    register(
        region,
        {
            "Image": FOREIGN_IMAGE,
            # Of another registry: not looked up here.
            "ImageDigest": f"sha256:{'0' * 64}",
            "Environment": {"A": "1", "B": "2"},
            "Framework": "PYTORCH",
        },
    )
    described = model(region, name, Environment={"B": "3"})
    assert described["PrimaryContainer"] == {
        "ModelPackageName": name,
        "Environment": {"B": "3"},
        "Mode": "SingleModel",
    }
    assert "ContainersFromPackage" not in described
    assert served(region) == [{"Image": FOREIGN_IMAGE, "Environment": {"A": "1", "B": "3"}}]


def test_a_package_can_be_a_pipeline(region: Region) -> None:
    first = {"Image": FOREIGN_IMAGE, "ContainerHostname": "first"}
    second = {"Image": f"{FOREIGN_IMAGE}-2", "ContainerHostname": "second"}
    arn = register(region, first, second)
    region.ask("CreateModel", ModelName="p", ExecutionRoleArn=ROLE, Containers=[{"ModelPackageName": arn}])
    assert served(region) == [first, second]
    # A name of one container is none of a pipeline's.
    model(region, arn, "q", ContainerHostname="third")
    assert served(region, "q") == [first, second]
    # What is refused of several containers is refused here, too (multi-container-direct.html).
    nameless = register(region, {"Image": FOREIGN_IMAGE}, {"Image": FOREIGN_IMAGE})
    refusal = region.refusal(
        "CreateModel",
        ModelName="direct",
        Containers=[{"ModelPackageName": nameless}],
        InferenceExecutionConfig={"Mode": "Direct"},
    )
    assert "ContainerHostname is required" in refusal


def test_an_additional_specification_is_chosen_by_its_name(region: Region) -> None:
    neo = {"Name": "neo", "Containers": [{"Image": "neo:1"}]}
    arn = register(region, AdditionalInferenceSpecifications=[neo])
    model(region, arn, InferenceSpecificationName="neo")
    assert served(region) == [{"Image": "neo:1"}]
    absent = region.refusal(
        "CreateModel",
        ModelName="q",
        PrimaryContainer={"ModelPackageName": arn, "InferenceSpecificationName": "other"},
    )
    assert absent == f"Could not find inference specification other in model package {arn}."


def test_a_later_edit_of_the_package_does_not_change_the_model(region: Region) -> None:
    arn = register(region)
    model(region, arn)
    other = {"Containers": [{"Image": "other:1"}]}
    region.ask("UpdateModelPackage", ModelPackageArn=arn, InferenceSpecification=other)
    region.ask("DeleteModelPackage", ModelPackageName=arn)
    assert served(region) == [{"Image": FOREIGN_IMAGE}]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("PendingManualApproval", "is not Approved: its approval status is PendingManualApproval"),
        ("Rejected", "is not Approved: its approval status is Rejected"),
    ],
)
def test_a_version_must_be_approved(region: Region, status: str, words: str) -> None:
    """API_CreateModelPackage.html: "must be set to Approved to deploy the model"."""
    arn = register(region, ModelApprovalStatus=status)
    request = {"ModelName": "p", "ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": arn}}
    assert words in region.refusal("CreateModel", **request)
    region.ask("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Approved")
    region.ask("CreateModel", **request)
    # It was deployed: a rejection does not undo that.
    region.ask("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    assert served(region) == [{"Image": FOREIGN_IMAGE}]


def test_an_unversioned_package_needs_no_approval(region: Region) -> None:
    region.ask(
        "CreateModelPackage",
        ModelPackageName="alone",
        InferenceSpecification={
            "Containers": [{"Image": FOREIGN_IMAGE}],
            "SupportedTransformInstanceTypes": ["ml.m5.large"],
            "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
        },
    )
    model(region, "alone")
    assert served(region) == [{"Image": FOREIGN_IMAGE}]


@pytest.mark.parametrize(
    ("containers", "words"),
    [
        ([{"ModelPackageName": "g/9"}], f"ModelPackage {ARN}:model-package/g/9 does not exist."),
        ([{"ModelPackageName": "absent"}], f"ModelPackage {ARN}:model-package/absent does not exist."),
        (
            [{"ModelPackageName": f"{ARN.replace('us-east-1', 'eu-west-1')}:model-package/g/1"}],
            "does not exist.",
        ),
        # recorded: model-package-and-image
        ([{"ModelPackageName": "g/1", "Image": FOREIGN_IMAGE}], "Specify one of either Image and Model Data"),
        ([{"ModelPackageName": "g/1", "ModelDataUrl": "s3://a/b.tar.gz"}], "Specify one of either"),
        ([{"Image": FOREIGN_IMAGE, "InferenceSpecificationName": "a"}], "without ModelPackageName"),
        ([{"ModelPackageName": "g/1"}, {"Image": FOREIGN_IMAGE}], "must be the only container"),
        ([{"ModelPackageName": "g/2"}], "has no InferenceSpecification"),
        ([{"ModelPackageName": "g/3"}], "Could not find model data at s3://nowhere/model.tar.gz."),
        ([{"ModelPackageName": "g/4"}], "absent:1 not found."),
    ],
    ids=str,
)
def test_create_model_refuses(region: Region, containers: list[dict[str, Any]], words: str) -> None:
    register(region)
    arn = register(region)
    group = region.hosting.package_groups.existing("g")
    # As MLflow registers one.
    assert arn.endswith("g/2")
    del group.versions[2].members["InferenceSpecification"]
    register(region, {"Image": FOREIGN_IMAGE, "ModelDataUrl": "s3://nowhere/model.tar.gz"})
    register(region, {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1"})
    assert words in region.refusal("CreateModel", ModelName="p", Containers=containers)
    assert "Could not find model" in region.refusal("DescribeModel", ModelName="p")


def test_a_package_of_another_account_cannot_be_looked_into(region: Region) -> None:
    """AWS Marketplace, and groups that are shared: the model is made, as it always was."""
    theirs = "arn:aws:sagemaker:us-east-1:865070037744:model-package/sellers-model"
    assert model(region, theirs)["PrimaryContainer"]["ModelPackageName"] == theirs


def test_an_inference_component_runs_a_model_of_a_package(region: Region) -> None:
    model(region, register(region))
    host = {name: region.variant()[name] for name in ("VariantName", "InstanceType", "InitialInstanceCount")}
    region.config("hosting", host, ExecutionRoleArn=ROLE)
    region.ask("CreateEndpoint", EndpointName="h", EndpointConfigName="hosting")
    region.clock.advance(60)
    region.ask(
        "CreateInferenceComponent",
        InferenceComponentName="i",
        EndpointName="h",
        VariantName="main",
        Specification={
            "ModelName": "p",
            "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 128},
        },
        RuntimeConfig={"CopyCount": 1},
    )
    region.clock.advance(60)
    component = region.hosting.components.find("i")
    assert component
    assert component.serving.fleet
    (variant,) = component.serving.fleet.variants
    assert [dict(one.definition) for one in variant.containers] == [{"Image": FOREIGN_IMAGE}]


def test_an_endpoint_of_a_package_is_restored(make_region: Callable[..., Region]) -> None:
    region = make_region()
    model(region, register(region, {"Image": FOREIGN_IMAGE, "Environment": {"A": "1"}}))
    before = served(region)
    saved = region.hosting.dump()
    other = make_region()
    other.hosting.load(saved)
    other.clock.advance(60)
    endpoint = other.hosting.endpoints.find("e-p")
    assert endpoint
    assert endpoint.serving.fleet
    (variant,) = endpoint.serving.fleet.variants
    assert [dict(one.definition) for one in variant.containers] == before


# With containers


def test_a_version_is_registered_approved_and_deployed(process_deployer: Deployer) -> None:
    local, sagemaker = process_deployer, process_deployer.sagemaker
    image = local.push_image()
    data = local.upload(tar_bytes({"weights.txt": b"0.5"}))
    group = local.name("group")
    sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = {"Image": image, "ModelDataUrl": data, "Environment": {"VERSION": "1"}}
    arn = sagemaker.create_model_package(
        ModelPackageGroupName=group, InferenceSpecification={"Containers": [container]}
    )["ModelPackageArn"]
    # SageMaker finds out what image and artifact were registered.
    (found,) = sagemaker.describe_model_package(ModelPackageName=arn)["InferenceSpecification"]["Containers"]
    assert found["ImageDigest"].startswith("sha256:")
    s3 = local.aws.client("s3")
    bucket, _, key = data.removeprefix("s3://").partition("/")
    assert found["ModelDataETag"] == s3.head_object(Bucket=bucket, Key=key)["ETag"].strip('"')
    request = {
        "ModelName": local.name("model"),
        "ExecutionRoleArn": ROLE,
        "Containers": [{"ModelPackageName": arn, "Environment": {"VERSION": "2"}}],
    }
    assert "is not Approved" in refusal_of(sagemaker.create_model, **request)[1]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    # The tag moves on; what was approved is deployed (assumed).
    broken = {"Entrypoint": ["python3", "/opt/program/absent.py"]}
    repository = image.partition("/")[2].partition(":")[0]
    local.push_image(repository=repository, config=broken)
    sagemaker.create_model(**request)
    endpoint = local.endpoint(local.config(local.variant(request["ModelName"])))
    answer = local.invoke(endpoint)
    assert (answer["version"], answer["model"]) == ("2", {"weights.txt": "0.5"})

"""Models."""

from __future__ import annotations

import hashlib
import json

import pytest
import urllib3

from tests.local.rules.cloud import IMAGE, ROLE, Cloud, refused

OCI = "application/vnd.oci.image.manifest.v1+json"


def test_duplicate_model(cloud: Cloud) -> None:
    """A model name that is taken is rejected with "Cannot create already existing model".

    Source: recorded:model-taken; apache/airflow#33487; astronomer/astronomer-providers#1055
    """
    cloud.model("m")
    with refused("Cannot create already existing model", ":model/m"):
        cloud.model("m")


def test_models_are_immutable(cloud: Cloud) -> None:
    """A second CreateModel does not change the existing model.

    Source: sagemaker:API_CreateModel.html (there is no UpdateModel)
    """
    cloud.model("m")
    with pytest.raises(cloud.sagemaker.exceptions.ClientError):
        cloud.model("m", container={"Image": "other"})
    assert cloud.described_model("m")["PrimaryContainer"]["Image"] == IMAGE


def test_model_names_have_no_case(cloud: Cloud) -> None:
    """Two model names must not differ only in case.

    Source: assumed: their ARNs would be the same
    """
    cloud.model("m")
    with refused("Cannot create already existing model"):
        cloud.model("M")


def test_absent_model(cloud: Cloud) -> None:
    """A model that does not exist is reported as "Could not find model", with its ARN in double quotes.

    Source: aws/amazon-sagemaker-operator-for-k8s searches for this text
    """
    with refused('Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/absent"'):
        cloud.described_model("absent")


def test_absent_model_is_not_deleted(cloud: Cloud) -> None:
    """DeleteModel of a model that does not exist is rejected.

    Source: aws/amazon-sagemaker-operator-for-k8s
    """
    with refused("Could not find model"):
        cloud.sagemaker.delete_model(ModelName="absent")


def test_primary_container_or_containers(cloud: Cloud) -> None:
    """A model has a primary container or a list of them, not both.

    Source: sagemaker:API_CreateModel.html
    """
    with refused("PrimaryContainer", "Containers"):
        cloud.sagemaker.create_model(
            ModelName="m",
            ExecutionRoleArn=ROLE,
            PrimaryContainer={"Image": IMAGE},
            Containers=[{"Image": IMAGE}] * 2,
        )


def test_no_container(cloud: Cloud) -> None:
    """A model must have a container.

    Source: sagemaker:API_CreateModel.html
    """
    with refused("Either PrimaryContainer or Containers"):
        cloud.sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE)


def test_container_without_image(cloud: Cloud) -> None:
    """A container must have an image, or a model package with an image.

    Source: sagemaker:API_ContainerDefinition.html
    """
    with refused("Image", "ModelPackageName"):
        cloud.model(container={"Environment": {"A": "1"}})


def test_hostnames_of_all_or_none(cloud: Cloud) -> None:
    """If one container has a hostname, all must have one.

    Source: sagemaker:API_ContainerDefinition.html
    """
    cloud.model(Containers=[{"Image": IMAGE, "ContainerHostname": name} for name in "ab"])
    with refused("ContainerHostname"):
        cloud.model(Containers=[{"Image": IMAGE, "ContainerHostname": "a"}, {"Image": IMAGE}])


def test_hostnames_are_unique(cloud: Cloud) -> None:
    """Hostnames are unique within a model.

    Source: assumed: invocations name them
    """
    with refused("unique"):
        cloud.model(Containers=[{"Image": IMAGE, "ContainerHostname": "a"}] * 2)


def test_direct_mode_needs_hostnames(cloud: Cloud) -> None:
    """Containers that are invoked directly must have hostnames.

    Source: guide:multi-container-direct.html
    """
    with refused("ContainerHostname", "Direct"):
        cloud.model(Containers=[{"Image": IMAGE}] * 2, InferenceExecutionConfig={"Mode": "Direct"})


def test_environment_size(cloud: Cloud) -> None:
    """The environments of all containers have at most 32 KB in total.

    Source: sagemaker:API_ContainerDefinition.html
    """
    fits = {f"K{number:02}": "x" * 1021 for number in range(16)}
    cloud.model(Containers=[{"Image": IMAGE, "Environment": fits}] * 2)
    with refused("environment", "32"):
        cloud.model(
            Containers=[
                {"Image": IMAGE, "Environment": fits | {"A": "1"}},
                {"Image": IMAGE, "Environment": fits},
            ]
        )


def test_one_kind_of_model_data(cloud: Cloud) -> None:
    """A container has ModelDataUrl or ModelDataSource, not both.

    Source: sagemaker:API_ContainerDefinition.html
    """
    uri = cloud.upload()
    source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
    with refused("ModelDataUrl", "ModelDataSource"):
        cloud.model(container={"Image": IMAGE, "ModelDataUrl": uri, "ModelDataSource": source})


def test_model_data_exists(cloud: Cloud) -> None:
    """Model data that does not exist is rejected with "Could not find model data".

    Source: recorded:model-data-absent; astronomer/airflow-guides#404
    """
    uri = cloud.upload()
    cloud.model(container={"Image": IMAGE, "ModelDataUrl": uri})
    with refused("Could not find model data at", uri):
        cloud.model(container={"Image": IMAGE, "ModelDataUrl": f"{uri}.other"})


def test_prefix_ends_with_a_slash(cloud: Cloud) -> None:
    """A prefix of uncompressed model data ends with a slash.

    Source: sagemaker:API_S3ModelDataSource.html
    """
    uri = cloud.upload("folder/weights").removesuffix("weights")
    source = {"S3DataType": "S3Prefix", "CompressionType": "None"}
    cloud.model(container={"Image": IMAGE, "ModelDataSource": {"S3DataSource": {"S3Uri": uri, **source}}})
    with refused("slash"):
        cloud.model(
            container={
                "Image": IMAGE,
                "ModelDataSource": {"S3DataSource": {"S3Uri": uri.rstrip("/"), **source}},
            }
        )


def test_own_image_exists(cloud: Cloud) -> None:
    """An image of the account's own registry that does not exist is rejected.

    Source: guide:your-algorithms-containers-inference-private.html (where images may be); the wording is assumed
    """
    with refused("Requested image", "not found"):
        cloud.model(container={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/absent:1"})


def test_foreign_image_is_taken(cloud: Cloud) -> None:
    """An image of another account's registry is accepted.

    Source: AWS's Deep Learning Containers are in such registries
    """
    cloud.model("m", container={"Image": IMAGE})
    assert cloud.described_model("m")["PrimaryContainer"]["Image"] == IMAGE


def test_oci_manifests_are_refused(cloud: Cloud) -> None:
    """An image with an OCI manifest is rejected because of its media type.

    Source: recorded:model-manifest; aws/amazon-sagemaker-feedback#180; mlflow/mlflow#13834; moby/buildkit#5480
    """
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="team/repo")
    token = ecr.get_authorization_token()["authorizationData"][0]
    base = f"{token['proxyEndpoint']}/v2/team/repo"
    headers = {"Authorization": f"Basic {token['authorizationToken']}"}
    digest = f"sha256:{hashlib.sha256(b'{}').hexdigest()}"
    http = urllib3.PoolManager(retries=False, timeout=2)
    http.request("POST", f"{base}/blobs/uploads/?digest={digest}", body=b"{}", headers=headers)
    config = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2, "digest": digest}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI, "config": config, "layers": []})
    ecr.put_image(
        repositoryName="team/repo", imageManifest=manifest, imageManifestMediaType=OCI, imageTag="1"
    )
    with refused(f"Unsupported manifest media type {OCI}"):
        cloud.model(container={"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/repo:1"})


def test_network_isolation_is_told(cloud: Cloud) -> None:
    """DescribeModel returns EnableNetworkIsolation as it was requested.

    Source: sagemaker:API_DescribeModel.html
    """
    assert cloud.described_model(cloud.model(EnableNetworkIsolation=True))["EnableNetworkIsolation"] is True
    assert cloud.described_model(cloud.model())["EnableNetworkIsolation"] is False


def test_execution_mode_is_told(cloud: Cloud) -> None:
    """DescribeModel returns InferenceExecutionConfig.

    Source: sagemaker:API_DescribeModel.html
    """
    containers = [{"Image": IMAGE, "ContainerHostname": name} for name in "ab"]
    model = cloud.model(Containers=containers, InferenceExecutionConfig={"Mode": "Direct"})
    assert cloud.described_model(model)["InferenceExecutionConfig"] == {"Mode": "Direct"}


def test_vpc_is_told(cloud: Cloud) -> None:
    """DescribeModel returns VpcConfig.

    Source: sagemaker:API_DescribeModel.html
    """
    vpc = {"SecurityGroupIds": ["sg-1"], "Subnets": ["subnet-1", "subnet-2"]}
    assert cloud.described_model(cloud.model(VpcConfig=vpc))["VpcConfig"] == vpc


def test_what_a_model_has_not_is_not_told(cloud: Cloud) -> None:
    """DescribeModel has no empty Containers, PrimaryContainer or VpcConfig.

    Source: recorded:model-describe; sagemaker:API_DescribeModel.html: members that are absent
    """
    found = cloud.described_model(cloud.model())
    assert not {"Containers", "VpcConfig", "InferenceExecutionConfig"} & set(found)
    pipeline = cloud.described_model(cloud.model(Containers=[{"Image": IMAGE}] * 2))
    assert "PrimaryContainer" not in pipeline


def test_order_of_a_pipeline(cloud: Cloud) -> None:
    """The containers of a pipeline are returned in their order.

    Source: guide:inference-pipelines.html
    """
    containers = [{"Image": IMAGE, "ContainerHostname": name, "Environment": {"N": name}} for name in "cab"]
    found = cloud.described_model(cloud.model(Containers=containers))["Containers"]
    assert [container["ContainerHostname"] for container in found] == ["c", "a", "b"]


def test_model_in_use_is_deleted(cloud: Cloud) -> None:
    """DeleteModel does not check whether the model is in use.

    Source: hashicorp/terraform-provider-aws#40048; sagemaker:API_DeleteModel.html
    """
    model = cloud.model()
    endpoint = cloud.endpoint(cloud.config(cloud.variant(ModelName=model)))
    cloud.sagemaker.delete_model(ModelName=model)
    with refused("Could not find model"):
        cloud.described_model(model)
    assert cloud.status(endpoint) == "InService"


def test_deleted_name_is_free(cloud: Cloud) -> None:
    """The name of a deleted model can be used again.

    Source: sagemaker:API_DeleteModel.html
    """
    cloud.model("m")
    cloud.sagemaker.delete_model(ModelName="m")
    cloud.model("m", container={"Image": "other"})
    assert cloud.described_model("m")["PrimaryContainer"]["Image"] == "other"


def test_models_by_name(cloud: Cloud) -> None:
    """ListModels accepts NameContains.

    Source: sagemaker:API_ListModels.html
    """
    for name in ("cat-1", "dog-1", "cat-2"):
        cloud.model(name)
    found = cloud.sagemaker.list_models(NameContains="cat", SortBy="Name", SortOrder="Ascending")["Models"]
    assert [model["ModelName"] for model in found] == ["cat-1", "cat-2"]


def test_models_by_page(cloud: Cloud) -> None:
    """ListModels returns MaxResults entries per page, and a token for the next page.

    Source: sagemaker:API_ListModels.html
    """
    for name in "abcde":
        cloud.model(name)
    first = cloud.sagemaker.list_models(MaxResults=2, SortBy="Name", SortOrder="Ascending")
    assert [model["ModelName"] for model in first["Models"]] == ["a", "b"]
    more = cloud.sagemaker.list_models(
        MaxResults=100, SortBy="Name", SortOrder="Ascending", NextToken=first["NextToken"]
    )
    assert [model["ModelName"] for model in more["Models"]] == ["c", "d", "e"]
    assert "NextToken" not in more


def test_models_by_time(cloud: Cloud) -> None:
    """ListModels accepts CreationTimeAfter and CreationTimeBefore.

    Source: sagemaker:API_ListModels.html
    """
    cloud.model("old")
    cloud.tick()
    cloud.model("new")
    made = [cloud.described_model(name)["CreationTime"] for name in ("old", "new")]
    between = made[0] + (made[1] - made[0]) / 2
    found = cloud.sagemaker.list_models(CreationTimeAfter=between)["Models"]
    assert [model["ModelName"] for model in found] == ["new"]
    found = cloud.sagemaker.list_models(CreationTimeBefore=between)["Models"]
    assert [model["ModelName"] for model in found] == ["old"]


def test_newest_models_first(cloud: Cloud) -> None:
    """By default, lists are sorted by creation time, newest first.

    Source: sagemaker:API_ListModels.html: SortBy and SortOrder; that Descending is the default is botocore's documentation
    """
    cloud.model("a")
    cloud.tick()
    cloud.model("b")
    found = cloud.sagemaker.list_models()["Models"]
    assert [model["ModelName"] for model in found] == ["b", "a"]


def test_tags_of_a_new_model(cloud: Cloud) -> None:
    """Tags given to CreateModel are listed.

    Source: sagemaker:API_ListTags.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    arn = cloud.described_model(cloud.model(Tags=tags))["ModelArn"]
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags


def test_tags_are_overwritten(cloud: Cloud) -> None:
    """AddTags overwrites the value of an existing key, and returns all tags.

    Source: sagemaker:API_AddTags.html
    """
    arn = cloud.described_model(cloud.model(Tags=[{"Key": "a", "Value": "1"}]))["ModelArn"]
    answer = cloud.sagemaker.add_tags(
        ResourceArn=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    )
    assert {tag["Key"]: tag["Value"] for tag in answer["Tags"]} == {"a": "2", "b": "3"}


def test_tags_are_deleted(cloud: Cloud) -> None:
    """DeleteTags deletes the given keys, and ignores unknown keys.

    Source: recorded:tags-delete; sagemaker:API_DeleteTags.html
    """
    arn = cloud.described_model(cloud.model(Tags=[{"Key": name, "Value": "1"} for name in "ab"]))["ModelArn"]
    cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a", "absent"])
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "b", "Value": "1"}]


def test_tags_go_with_the_model(cloud: Cloud) -> None:
    """A model that is created again has none of the old model's tags.

    Source: assumed: tags belong to the resource
    """
    cloud.model("m", Tags=[{"Key": "a", "Value": "1"}])
    cloud.sagemaker.delete_model(ModelName="m")
    cloud.model("m")
    arn = cloud.described_model("m")["ModelArn"]
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == []


def test_tags_of_nothing(cloud: Cloud) -> None:
    """Tags of a resource that does not exist are rejected.

    Source: sagemaker:API_ListTags.html; the wording is assumed
    """
    with refused("Could not find"):
        cloud.sagemaker.list_tags(ResourceArn="arn:aws:sagemaker:us-east-1:123456789012:model/absent")


def test_fifty_tags_of_a_resource(cloud: Cloud) -> None:
    """A resource has at most 50 tags.

    Source: sagemaker:API_AddTags.html
    """
    arn = cloud.described_model(cloud.model(Tags=[{"Key": f"k{n}", "Value": "v"} for n in range(50)]))[
        "ModelArn"
    ]
    cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "k1", "Value": "w"}])
    with refused("50", code="ResourceLimitExceeded"):
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "v"}])


def test_private_registries(cloud: Cloud) -> None:
    """RepositoryAccessMode Vpc needs a VpcConfig; only it has credentials, from a Lambda function.

    Source: botocore, ImageConfig and RepositoryAuthConfig;
    https://docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-containers-inference-private.html
    """
    vpc = {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    function = "arn:aws:lambda:us-east-1:123456789012:function:credentials"
    private = {"RepositoryAccessMode": "Vpc"}
    auth = {"RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": function}}
    cloud.model(container={"Image": IMAGE, "ImageConfig": {**private, **auth}}, VpcConfig=vpc)
    with refused("VpcConfig"):
        cloud.model(container={"Image": IMAGE, "ImageConfig": private})
    with refused("RepositoryAuthConfig"):
        cloud.model(container={"Image": IMAGE, "ImageConfig": {"RepositoryAccessMode": "Platform", **auth}})
    wrong = {"RepositoryAuthConfig": {"RepositoryCredentialsProviderArn": "credentials"}}
    with refused("Lambda"):
        cloud.model(container={"Image": IMAGE, "ImageConfig": {**private, **wrong}}, VpcConfig=vpc)


def test_settings_of_many_models(cloud: Cloud) -> None:
    """MultiModelConfig is for containers with many models.

    Source: botocore, MultiModelConfig; that it is refused for one model is assumed
    """
    settings = {"ModelCacheSetting": "Disabled"}
    cloud.model(container={"Image": IMAGE, "Mode": "MultiModel", "MultiModelConfig": settings})
    with refused("MultiModelConfig"):
        cloud.model(container={"Image": IMAGE, "Mode": "SingleModel", "MultiModelConfig": settings})

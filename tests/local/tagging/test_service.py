"""The Resource Groups Tagging API sees what this package has and what moto has."""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.conftest import FOREIGN_IMAGE, Deployer, refusal_of

ARN = "arn:aws:sagemaker:us-east-1:123456789012"


def as_list(**tags: str) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture
def tagging(deployer: Deployer) -> Any:
    return deployer.aws.client("resourcegroupstaggingapi")


@pytest.fixture
def everything(deployer: Deployer) -> dict[str, str]:
    """One tagged resource of each kind, by ``service:type``."""
    aws, sagemaker = deployer.aws, deployer.sagemaker
    tags = as_list(team="x")
    container = {"Image": FOREIGN_IMAGE}
    arns = {}
    role = "arn:aws:iam::123456789012:role/sagemaker"
    arns["sagemaker:model"] = sagemaker.create_model(
        ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container, Tags=tags
    )["ModelArn"]
    variant = deployer.variant("m", InitialInstanceCount=2)
    arns["sagemaker:endpoint-config"] = sagemaker.create_endpoint_config(
        EndpointConfigName="c", ProductionVariants=[variant], Tags=tags
    )["EndpointConfigArn"]
    arns["sagemaker:endpoint"] = sagemaker.create_endpoint(
        EndpointName="e", EndpointConfigName="c", Tags=tags
    )["EndpointArn"]
    deployer.settled("e")
    of_components = {name: variant[name] for name in ("VariantName", "InstanceType", "InitialInstanceCount")}
    sagemaker.create_endpoint_config(
        EndpointConfigName="d", ProductionVariants=[of_components], ExecutionRoleArn=role
    )
    sagemaker.create_endpoint(EndpointName="f", EndpointConfigName="d")
    deployer.settled("f")
    requirements = {"MinMemoryRequiredInMb": 128}
    arns["sagemaker:inference-component"] = sagemaker.create_inference_component(
        InferenceComponentName="i",
        EndpointName="f",
        VariantName="main",
        Specification={"Container": container, "ComputeResourceRequirements": requirements},
        RuntimeConfig={"CopyCount": 1},
        Tags=tags,
    )["InferenceComponentArn"]
    arns["sagemaker:model-package-group"] = sagemaker.create_model_package_group(
        ModelPackageGroupName="Group", Tags=tags
    )["ModelPackageGroupArn"]
    types = {
        "SupportedTransformInstanceTypes": ["ml.m5.large"],
        "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
    }
    arns["sagemaker:model-package"] = sagemaker.create_model_package(
        ModelPackageName="Package", InferenceSpecification={"Containers": [container], **types}, Tags=tags
    )["ModelPackageArn"]
    cloudwatch = aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="a",
        Namespace="n",
        MetricName="m",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Sum",
        ComparisonOperator="GreaterThanThreshold",
        Tags=tags,
    )
    arns["cloudwatch:alarm"] = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a"
    arns["application-autoscaling:scalable-target"] = aws.client(
        "application-autoscaling"
    ).register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/e/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
        Tags={"team": "x"},
    )["ScalableTargetARN"]
    arns["ecr:repository"] = aws.client("ecr").create_repository(repositoryName="team/r", tags=tags)[
        "repository"
    ]["repositoryArn"]
    # Of moto, also a kind of SageMaker.
    aws.client("sqs").create_queue(QueueName="q", tags={"team": "x"})
    arns["sqs:queue"] = "arn:aws:sqs:us-east-1:123456789012:q"
    arns["sagemaker:training-job"] = sagemaker.create_training_job(
        TrainingJobName="t",
        AlgorithmSpecification={"TrainingImage": FOREIGN_IMAGE, "TrainingInputMode": "File"},
        RoleArn=role,
        OutputDataConfig={"S3OutputPath": "s3://a/b"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
        Tags=tags,
    )["TrainingJobArn"]
    return arns


def found(tagging: Any, **request: Any) -> dict[str, dict[str, str]]:
    """Return the tags of what is found, by ARN."""
    pages = tagging.get_paginator("get_resources").paginate(**request)
    rows = [row for page in pages for row in page["ResourceTagMappingList"]]
    by_arn = {row["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in row["Tags"]} for row in rows}
    assert len(by_arn) == len(rows)
    return by_arn


def test_all_kinds_are_found_together(everything: dict[str, str], tagging: Any) -> None:
    assert found(tagging) == {arn: {"team": "x"} for arn in everything.values()}
    for kind, arn in everything.items():
        assert set(found(tagging, ResourceTypeFilters=[kind])) == {arn}, kind
    of_sagemaker = {arn for kind, arn in everything.items() if kind.startswith("sagemaker:")}
    assert set(found(tagging, ResourceTypeFilters=["sagemaker"])) == of_sagemaker
    assert set(found(tagging, ResourceTypeFilters=["ecr", "sqs:queue"])) == {
        everything["ecr:repository"],
        everything["sqs:queue"],
    }


def test_resources_are_found_by_arn(everything: dict[str, str], tagging: Any) -> None:
    some = [everything["sagemaker:model"], everything["ecr:repository"]]
    rows = tagging.get_resources(ResourceARNList=[*some, f"{ARN}:model/absent"])["ResourceTagMappingList"]
    assert {row["ResourceARN"] for row in rows} == set(some)


def test_tags_are_changed_as_the_services_themselves_see_it(
    everything: dict[str, str], deployer: Deployer, tagging: Any
) -> None:
    # moto does not tag queues so.
    queue = everything.pop("sqs:queue")
    arns = list(everything.values())
    answer = tagging.tag_resources(ResourceARNList=arns, Tags={"team": "y", "cost": "1"})
    assert answer["FailedResourcesMap"] == {}
    assert found(tagging, TagFilters=[{"Key": "cost"}]) == {arn: {"team": "y", "cost": "1"} for arn in arns}
    sagemaker, aws = deployer.sagemaker, deployer.aws
    for kind, arn in everything.items():
        if kind.startswith("sagemaker:"):
            tags = sagemaker.list_tags(ResourceArn=arn)["Tags"]
            assert {tag["Key"]: tag["Value"] for tag in tags} == {"team": "y", "cost": "1"}, kind
    alarm = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=everything["cloudwatch:alarm"])
    assert sorted(tag["Value"] for tag in alarm["Tags"]) == ["1", "y"]
    target = everything["application-autoscaling:scalable-target"]
    scaling = aws.client("application-autoscaling").list_tags_for_resource(ResourceARN=target)
    assert scaling["Tags"] == {"team": "y", "cost": "1"}
    repository = aws.client("ecr").list_tags_for_resource(resourceArn=everything["ecr:repository"])
    assert sorted(tag["Value"] for tag in repository["tags"]) == ["1", "y"]
    answer = tagging.untag_resources(ResourceARNList=arns, TagKeys=["team", "absent"])
    assert answer["FailedResourcesMap"] == {}
    assert found(tagging) == {**{arn: {"cost": "1"} for arn in arns}, queue: {"team": "x"}}
    # And the other way round.
    sagemaker.add_tags(ResourceArn=everything["sagemaker:endpoint"], Tags=as_list(stage="prod"))
    assert set(found(tagging, TagFilters=[{"Key": "stage"}])) == {everything["sagemaker:endpoint"]}


def test_what_cannot_be_tagged_is_told_and_disturbs_nothing(
    everything: dict[str, str], deployer: Deployer, tagging: Any
) -> None:
    version = deployer.sagemaker.create_model_package(ModelPackageGroupName="Group")["ModelPackageArn"]
    absent = [
        f"{ARN}:model/absent",
        # Its tags are its group's.
        version,
        "arn:aws:ecr:us-east-1:123456789012:repository/absent",
        "arn:aws:nothing:us-east-1:123456789012:kind/name",
        "no-arn-at-all",
    ]
    request = {"ResourceARNList": [*absent, everything["sagemaker:model"]]}
    for answer in (
        tagging.tag_resources(**request, Tags={"a": "b"}),
        tagging.untag_resources(**request, TagKeys=["team"]),
    ):
        failed = answer["FailedResourcesMap"]
        assert set(failed) == set(absent)
        assert {one["ErrorCode"] for one in failed.values()} == {"InvalidParameterException"}
        assert {one["StatusCode"] for one in failed.values()} == {400}
    assert found(tagging)[everything["sagemaker:model"]] == {"a": "b"}
    of_queue = tagging.tag_resources(ResourceARNList=[everything["sqs:queue"]], Tags={"a": "b"})
    (failure,) = of_queue["FailedResourcesMap"].values()
    assert failure == {
        "StatusCode": 404,
        "ErrorCode": "InternalServiceException",
        "ErrorMessage": "Service not yet supported",
    }


def test_filters_by_tags(deployer: Deployer, tagging: Any) -> None:
    sqs = deployer.aws.client("sqs")
    for name, tags in (("a", {"team": "x"}), ("b", {"team": "y", "cost": ""}), ("c", {"cost": "1"})):
        sqs.create_queue(QueueName=name, tags=tags)

    def names(*filters: dict[str, Any]) -> list[str]:
        return [arn.rpartition(":")[2] for arn in found(tagging, TagFilters=list(filters))]

    assert names({"Key": "team"}) == ["a", "b"]
    assert names({"Key": "team", "Values": ["x"]}) == ["a"]
    assert names({"Key": "team", "Values": ["x", "y"]}) == ["a", "b"]
    assert names({"Key": "team", "Values": ["x", "y"]}, {"Key": "cost"}) == ["b"]
    assert names({"Key": "cost", "Values": [""]}) == ["b"]
    assert names({"Key": "absent"}) == []


@pytest.mark.parametrize(
    ("page", "sizes"),
    [
        ({}, [7]),
        ({"ResourcesPerPage": 3}, [3, 3, 1]),
        ({"ResourcesPerPage": 7}, [7]),
        # 20, 30 and 50 tags make a hundred, and the next resource has one.
        ({"TagsPerPage": 100}, [3, 2, 2]),
        ({"TagsPerPage": 100, "ResourcesPerPage": 2}, [2, 2, 2, 1]),
        ({"TagsPerPage": 500}, [7]),
    ],
    ids=str,
)
def test_pages_have_each_resource_once(
    deployer: Deployer, tagging: Any, page: dict[str, int], sizes: list[int]
) -> None:
    sqs = deployer.aws.client("sqs")
    counts = (20, 30, 50, 1, 50, 50, 50)
    for number, count in enumerate(counts):
        sqs.create_queue(QueueName=f"q{number}", tags={str(key): "v" for key in range(count)})
    seen: list[str] = []
    lengths = []
    token = ""
    while True:
        answer = tagging.get_resources(PaginationToken=token, **page)
        rows = answer["ResourceTagMappingList"]
        lengths.append(len(rows))
        seen += [row["ResourceARN"] for row in rows]
        token = answer["PaginationToken"]
        if not token:
            break
    assert (lengths, [arn[-2:] for arn in seen]) == (sizes, [f"q{number}" for number in range(7)])


def test_keys_and_values_are_listed_once(
    everything: dict[str, str], deployer: Deployer, tagging: Any
) -> None:
    deployer.sagemaker.add_tags(
        ResourceArn=everything["sagemaker:model"], Tags=as_list(team="y", stage="prod")
    )
    assert tagging.get_tag_keys()["TagKeys"] == ["stage", "team"]
    assert tagging.get_tag_values(Key="team")["TagValues"] == ["x", "y"]
    assert tagging.get_tag_values(Key="absent")["TagValues"] == []
    many = {f"k{number:03}": "v" for number in range(50)}
    for number in range(3):
        keys = {f"{number}{key}": value for key, value in many.items()}
        deployer.aws.client("sqs").create_queue(QueueName=f"q{number}", tags=keys)
    pages = list(tagging.get_paginator("get_tag_keys").paginate())
    keys_found = [key for page in pages for key in page["TagKeys"]]
    assert len(pages) > 1
    assert len(keys_found) == len(set(keys_found)) == 152


@pytest.mark.parametrize(
    ("request_part", "words"),
    [
        ({"ResourcesPerPage": 101}, "between 1 and 100"),
        ({"TagsPerPage": 150}, "increments of 100"),
        ({"ResourceARNList": [f"{ARN}:model/m"], "TagFilters": [{"Key": "a"}]}, "together with TagFilters"),
        ({"ResourceARNList": [f"{ARN}:model/m"], "ResourcesPerPage": 5}, "together with ResourcesPerPage"),
        ({"TagFilters": [{"Key": "a", "Values": [str(n) for n in range(21)]}]}, "20"),
        ({"ResourceARNList": ["x" * 1012]}, "Member must have length less than or equal to 1011"),
    ],
    ids=str,
)
def test_get_resources_refuses(tagging: Any, request_part: dict[str, Any], words: str) -> None:
    code, message = refusal_of(tagging.get_resources, **request_part)
    assert code == "InvalidParameterException"
    assert words in message


def test_other_refusals(tagging: Any) -> None:
    expired = refusal_of(tagging.get_resources, PaginationToken="x")
    assert expired[0] == "PaginationTokenExpiredException"
    assert refusal_of(tagging.get_resources, IncludeComplianceDetails=True)[0] == "NotImplemented"


def test_resources_are_those_of_the_region(everything: dict[str, str], deployer: Deployer) -> None:
    import boto3

    other = boto3.Session(
        region_name="eu-west-1", aws_access_key_id=deployer.aws.access_key, aws_secret_access_key="x"
    ).client("resourcegroupstaggingapi", endpoint_url=deployer.aws.endpoint_url)
    assert other.get_resources()["ResourceTagMappingList"] == []
    missing = other.tag_resources(ResourceARNList=[everything["sagemaker:model"]], Tags={"a": "b"})
    assert set(missing["FailedResourcesMap"]) == {everything["sagemaker:model"]}


def test_what_is_deleted_is_gone(everything: dict[str, str], deployer: Deployer, tagging: Any) -> None:
    deployer.sagemaker.delete_model(ModelName="m")
    deployer.sagemaker.delete_model_package_group(ModelPackageGroupName="Group")
    gone = {everything["sagemaker:model"], everything["sagemaker:model-package-group"]}
    assert set(found(tagging)) == set(everything.values()) - gone
    deployer.aws.reset()
    assert found(tagging) == {}

"""Model package groups and model packages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import FOREIGN_IMAGE, ROLE
from tests.local.region import START, Region

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
BOTH_LISTS = {
    "SupportedTransformInstanceTypes": ["ml.m5.large"],
    "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
}


def specification(image: str = FOREIGN_IMAGE, **more: Any) -> dict[str, Any]:
    return {"Containers": [{"Image": image}], **more}


def group(region: Region, name: str = "g", **more: Any) -> str:
    return str(
        region.ask("CreateModelPackageGroup", ModelPackageGroupName=name, **more)["ModelPackageGroupArn"]
    )


def version(region: Region, name: str = "g", **more: Any) -> str:
    request = {"InferenceSpecification": specification(), **more}
    return str(region.ask("CreateModelPackage", ModelPackageGroupName=name, **request)["ModelPackageArn"])


def described(region: Region, package: str) -> dict[str, Any]:
    return region.ask("DescribeModelPackage", ModelPackageName=package)


def listed(region: Region, **request: Any) -> list[str]:
    """Return what the ARNs in a list end with."""
    found = region.ask("ListModelPackages", **request)["ModelPackageSummaryList"]
    return [one["ModelPackageArn"].partition("model-package/")[2] for one in found]


def refused(region: Region, operation: str, **request: Any) -> tuple[str, int]:
    with pytest.raises(AwsError) as caught:
        region.ask(operation, **request)
    return caught.value.code, caught.value.status


# Groups


def test_a_group_is_described_as_it_was_created(region: Region) -> None:
    arn = group(region, "Churn", ModelPackageGroupDescription="of customers")
    assert arn == f"{ARN}:model-package-group/Churn"
    for name in ("Churn", arn):
        assert region.ask("DescribeModelPackageGroup", ModelPackageGroupName=name) == {
            "ModelPackageGroupName": "Churn",
            "ModelPackageGroupArn": arn,
            "ModelPackageGroupDescription": "of customers",
            "CreationTime": START,
            "CreatedBy": {},
            "ModelPackageGroupStatus": "Completed",
        }
    taken = region.refusal("CreateModelPackageGroup", ModelPackageGroupName="Churn")
    assert taken == f"Model Package Group already exists: {arn}"


@pytest.mark.parametrize("operation", ["DescribeModelPackageGroup", "DeleteModelPackageGroup"])
@pytest.mark.parametrize(
    ("name", "arn"),
    [
        ("absent", f"{ARN}:model-package-group/absent"),
        # Of another account, and of another Region.
        *([f"{ARN.replace('123456789012', '111111111111')}:model-package-group/g"] * 2,),
        *([f"{ARN.replace('us-east-1', 'eu-west-1')}:model-package-group/g"] * 2,),
    ],
)
def test_an_absent_group(region: Region, operation: str, name: str, arn: str) -> None:
    group(region)
    assert region.refusal(operation, ModelPackageGroupName=name) == f"ModelPackageGroup {arn} does not exist."


def test_groups_are_listed_oldest_first(region: Region) -> None:
    for name in ("b", "a", "C"):
        group(region, name)
        region.clock.advance(60)

    def names(**request: Any) -> list[str]:
        found = region.ask("ListModelPackageGroups", **request)["ModelPackageGroupSummaryList"]
        return [one["ModelPackageGroupName"] for one in found]

    assert names() == ["b", "a", "C"]
    assert names(SortOrder="Descending") == ["C", "a", "b"]
    assert names(SortBy="Name", NameContains="c") == ["C"]
    assert names(CreationTimeAfter=START.timestamp()) == ["a", "C"]
    assert names(CrossAccountFilterOption="CrossAccount") == []
    first = region.ask("ListModelPackageGroups", MaxResults=2)
    assert names(MaxResults=2, NextToken=first["NextToken"]) == ["C"]


def test_a_group_with_versions_is_not_deleted(region: Region) -> None:
    group(region)
    version(region)
    assert refused(region, "DeleteModelPackageGroup", ModelPackageGroupName="g") == ("ConflictException", 400)
    region.ask("DeleteModelPackage", ModelPackageName="g/1")
    region.ask("DeleteModelPackageGroup", ModelPackageGroupName="g")
    assert "does not exist" in region.refusal("DescribeModelPackageGroup", ModelPackageGroupName="g")


def test_the_policy_of_a_group_is_replaced_and_deleted(region: Region) -> None:
    arn = group(region)
    request = {"ModelPackageGroupName": "g"}
    for operation in ("GetModelPackageGroupPolicy", "DeleteModelPackageGroupPolicy"):
        assert region.refusal(operation, **request) == f"Cannot find resource policy for: {arn}"
        absent = region.refusal(operation, ModelPackageGroupName="x")
        assert absent == f"Cannot find Model Package Group: {ARN}:model-package-group/x"
    for policy in ('{"Version": "2012-10-17"}', "{}"):
        put = region.ask("PutModelPackageGroupPolicy", **request, ResourcePolicy=policy)
        assert put == {"ModelPackageGroupArn": arn}
        assert region.ask("GetModelPackageGroupPolicy", **request) == {"ResourcePolicy": policy}
    assert "policy" in region.refusal("PutModelPackageGroupPolicy", **request, ResourcePolicy="[]")
    region.ask("DeleteModelPackageGroupPolicy", **request)
    assert "Cannot find" in region.refusal("GetModelPackageGroupPolicy", **request)


# Packages


def test_versions_are_numbered_in_their_group(region: Region) -> None:
    group(region, "g")
    other = group(region, "Other")
    assert [version(region, "g"), version(region, "g"), version(region, other)] == [
        f"{ARN}:model-package/g/1",
        f"{ARN}:model-package/g/2",
        f"{ARN}:model-package/Other/1",
    ]
    region.ask("DeleteModelPackage", ModelPackageName="g/2")
    # Assumed: a number is not given twice.
    assert version(region, "g") == f"{ARN}:model-package/g/3"
    assert described(region, "g/3")["ModelPackageVersion"] == 3


def test_a_version_is_described_as_it_was_created(region: Region) -> None:
    group(region)
    more = {
        "ModelPackageDescription": "the first",
        "InferenceSpecification": specification(SupportedContentTypes=["text/csv"]),
        "ModelApprovalStatus": "Approved",
        "CustomerMetadataProperties": {"run": "7"},
        "ModelLifeCycle": {"Stage": "Staging", "StageStatus": "Active"},
        "SkipModelValidation": "All",
    }
    arn = version(region, **more)
    expected = {
        **more,
        "ModelPackageGroupName": "g",
        "ModelPackageVersion": 1,
        "ModelPackageArn": arn,
        "CreationTime": START,
        "LastModifiedTime": START,
        "ModelPackageStatus": "Completed",
        "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        "CertifyForMarketplace": False,
    }
    for name in (arn, "g/1", "G/1"):
        assert described(region, name) == expected
    assert described(region, version(region))["ModelApprovalStatus"] == "PendingManualApproval"


def test_an_unversioned_package_has_its_own_name(region: Region) -> None:
    request = {"ModelPackageName": "Alone", "InferenceSpecification": specification(**BOTH_LISTS)}
    arn = region.ask("CreateModelPackage", **request)["ModelPackageArn"]
    assert arn == f"{ARN}:model-package/Alone"
    found = described(region, "Alone")
    assert found["ModelPackageName"] == "Alone"
    assert {"ModelPackageVersion", "ModelApprovalStatus", "ModelPackageGroupName"}.isdisjoint(found)
    taken = region.refusal("CreateModelPackage", **request)
    assert taken == f"Model Package already exists: {arn}"
    region.ask("DeleteModelPackage", ModelPackageName=arn)
    assert region.refusal("DescribeModelPackage", ModelPackageName="Alone") == (
        f"ModelPackage {arn} does not exist."
    )


@pytest.mark.parametrize(
    ("request_part", "words"),
    [
        # getmoto/moto#7165
        (
            {"ModelPackageName": "p", "ModelPackageGroupName": "g"},
            "Both ModelPackageName and ModelPackageGroupName",
        ),
        ({}, "Missing ARN."),
        ({"ModelPackageGroupName": "absent"}, "Model Package Group does not exist."),
        # API_CreateModelPackage.html
        ({"ModelPackageGroupName": "g", "Tags": [{"Key": "a", "Value": "b"}]}, "tags of its group"),
        ({"ModelPackageGroupName": "g", "CertifyForMarketplace": True}, "CertifyForMarketplace"),
        ({"ModelPackageName": "p", "ModelApprovalStatus": "Approved"}, "ModelApprovalStatus"),
        # API_InferenceSpecification.html
        (
            {"ModelPackageName": "p", "InferenceSpecification": specification()},
            "SupportedTransformInstanceTypes",
        ),
        ({"ModelPackageName": "p", "InferenceSpecification": None}, "InferenceSpecification must be"),
        # API_AdditionalInferenceSpecificationDefinition.html
        (
            {
                "ModelPackageGroupName": "g",
                "AdditionalInferenceSpecifications": [{"Name": "a", **specification()}] * 2,
            },
            "must be unique",
        ),
        # botocore's model
        ({"ModelPackageGroupName": "a_b"}, "at 'modelPackageGroupName' failed to satisfy constraint"),
        ({"ModelPackageGroupName": "g", "ClientToken": "x" * 37}, "at 'clientToken'"),
    ],
    ids=str,
)
def test_create_model_package_refuses(region: Region, request_part: dict[str, Any], words: str) -> None:
    group(region)
    request = {"InferenceSpecification": specification(), **request_part}
    if request["InferenceSpecification"] is None:
        del request["InferenceSpecification"]
    assert words in region.refusal("CreateModelPackage", **request)
    assert listed(region, ModelPackageType="Both") == []


@pytest.mark.parametrize(
    "member",
    [
        {"ValidationSpecification": {"ValidationRole": ROLE, "ValidationProfiles": []}},
        {"SourceAlgorithmSpecification": {"SourceAlgorithms": [{"AlgorithmName": "a"}]}},
    ],
    ids=lambda member: next(iter(member)),
)
def test_what_nothing_here_does_is_refused_and_no_success(region: Region, member: dict[str, Any]) -> None:
    group(region)
    if "ValidationSpecification" in member:
        definition = {
            "MaxConcurrentTransforms": 1,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://a/b"}}
            },
            "TransformOutput": {"S3OutputPath": "s3://a/c"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }
        member["ValidationSpecification"]["ValidationProfiles"] = [
            {"ProfileName": "p", "TransformJobDefinition": definition}
        ]
    answer = refused(region, "CreateModelPackage", ModelPackageGroupName="g", **member)
    assert answer == ("NotImplemented", 501)


def test_a_client_token_makes_one_version(region: Region) -> None:
    group(region)
    tokened = {"ClientToken": "t-1", "ModelPackageDescription": "x"}
    assert version(region, **tokened) == version(region, **tokened)
    assert version(region) != version(region)
    other = {"ClientToken": "t-1", "ModelPackageDescription": "y", "ModelPackageGroupName": "g"}
    assert "ClientToken" in region.refusal("CreateModelPackage", **other)
    assert len(listed(region, ModelPackageGroupName="g")) == 3


def test_a_package_is_updated(region: Region) -> None:
    group(region)
    arn = version(region, CustomerMetadataProperties={"a": "1", "b": "2"})
    region.clock.advance(60)
    region.ask(
        "UpdateModelPackage",
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="by the board",
        CustomerMetadataProperties={"b": "3", "c": "4"},
        CustomerMetadataPropertiesToRemove=["a"],
        AdditionalInferenceSpecificationsToAdd=[{"Name": "neo", **specification("neo:1")}],
        ClientToken="t",
    )
    found = described(region, arn)
    assert (found["ModelApprovalStatus"], found["ApprovalDescription"]) == ("Approved", "by the board")
    assert found["CustomerMetadataProperties"] == {"b": "3", "c": "4"}
    assert found["AdditionalInferenceSpecifications"] == [{"Name": "neo", **specification("neo:1")}]
    assert found["CreationTime"] == START
    assert found["LastModifiedTime"] == START + timedelta(seconds=60)
    assert found["InferenceSpecification"] == specification()
    assert "ClientToken" not in found
    for status in ("Rejected", "Approved", "Rejected"):
        region.ask("UpdateModelPackage", ModelPackageArn=arn, ModelApprovalStatus=status)
        assert described(region, arn)["ModelApprovalStatus"] == status


def test_update_model_package_refuses(region: Region) -> None:
    group(region)
    arn = version(region, AdditionalInferenceSpecifications=[{"Name": "a", **specification()}])
    before = described(region, arn)

    def refusal(**request: Any) -> str:
        return region.refusal("UpdateModelPackage", ModelPackageArn=arn, **request)

    many = [{"Name": f"n{number}", **specification()} for number in range(15)]
    assert "at most 15" in refusal(AdditionalInferenceSpecificationsToAdd=many)
    assert "unique" in refusal(AdditionalInferenceSpecificationsToAdd=[{"Name": "a", **specification()}])
    half = {str(number): "x" for number in range(26)}
    region.ask("UpdateModelPackage", ModelPackageArn=arn, CustomerMetadataProperties=half)
    other_half = {f"o{number}": "x" for number in range(26)}
    assert "at most 50" in refusal(CustomerMetadataProperties=other_half)
    absent = region.refusal("UpdateModelPackage", ModelPackageArn=f"{arn}0", ModelApprovalStatus="Approved")
    assert absent == f"ModelPackage {arn}0 does not exist."
    assert {**described(region, arn), "CustomerMetadataProperties": None} == {
        **before,
        "CustomerMetadataProperties": None,
    }
    alone = region.ask(
        "CreateModelPackage", ModelPackageName="p", InferenceSpecification=specification(**BOTH_LISTS)
    )["ModelPackageArn"]
    assert "unversioned" in region.refusal(
        "UpdateModelPackage", ModelPackageArn=alone, ModelApprovalStatus="Approved"
    )


def test_metadata_alone_has_no_content_of_the_card(region: Region) -> None:
    group(region)
    card = {"ModelCardContent": "{}", "ModelCardStatus": "Draft"}
    arn = version(region, ModelCard=card)
    assert described(region, arn)["ModelCard"] == card
    found = region.ask("DescribeModelPackage", ModelPackageName=arn, IncludedData="MetadataOnly")
    assert found["ModelCard"] == {"ModelCardContent": "", "ModelCardStatus": "Draft"}
    assert described(region, arn)["ModelCard"] == card


def test_packages_are_listed_by_kind_group_and_approval(region: Region) -> None:
    group(region, "a")
    group(region, "b")
    version(region, "b", ModelApprovalStatus="Approved")
    region.clock.advance(1)
    region.ask(
        "CreateModelPackage", ModelPackageName="alone", InferenceSpecification=specification(**BOTH_LISTS)
    )
    region.clock.advance(1)
    version(region, "a")
    # API_ListModelPackages.html: unversioned, and oldest first, by default.
    assert listed(region) == ["alone"]
    assert listed(region, ModelPackageType="Versioned") == ["b/1", "a/1"]
    assert listed(region, ModelPackageType="Both") == ["b/1", "alone", "a/1"]
    assert listed(region, ModelPackageType="Both", SortOrder="Descending") == ["a/1", "alone", "b/1"]
    assert listed(region, ModelPackageType="Both", SortBy="Name") == ["a/1", "alone", "b/1"]
    assert listed(region, ModelPackageGroupName="a") == ["a/1"]
    assert listed(region, ModelPackageGroupName=f"{ARN}:model-package-group/b") == ["b/1"]
    assert listed(region, ModelPackageType="Both", ModelApprovalStatus="Approved") == ["b/1"]
    assert listed(region, ModelPackageType="Both", NameContains="LON") == ["alone"]
    assert listed(region, ModelPackageType="Both", CreationTimeAfter=START.timestamp()) == ["alone", "a/1"]
    absent = region.refusal("ListModelPackages", ModelPackageGroupName="absent")
    assert absent == f"ModelPackageGroup {ARN}:model-package-group/absent does not exist."


def test_a_summary_says_what_is_looked_for(region: Region) -> None:
    group(region)
    cycle = {"Stage": "Production", "StageStatus": "Active"}
    arn = version(region, ModelLifeCycle=cycle, ModelPackageRegistrationType="Registered")
    (found,) = region.ask("ListModelPackages", ModelPackageGroupName="g")["ModelPackageSummaryList"]
    assert found == {
        "ModelPackageGroupName": "g",
        "ModelPackageVersion": 1,
        "ModelPackageArn": arn,
        "CreationTime": START,
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": "PendingManualApproval",
        "ModelLifeCycle": cycle,
        "ModelPackageRegistrationType": "Registered",
    }


def test_versions_are_in_the_order_of_their_numbers(region: Region) -> None:
    """All are of the same moment here, as many are of one second: the number decides, and 10 comes after 9."""
    group(region)
    expected = [version(region).partition("model-package/")[2] for _ in range(12)]
    assert listed(region, ModelPackageGroupName="g", MaxResults=100) == expected
    for by in ("Name", "CreationTime"):
        found = listed(region, ModelPackageGroupName="g", MaxResults=100, SortBy=by, SortOrder="Descending")
        assert found == expected[::-1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 100), count=st.integers(0, 25), descending=st.booleans())
def test_pages_have_each_package_once(
    make_region: Callable[..., Region], size: int, count: int, descending: bool
) -> None:
    region = make_region()
    group(region)
    for _ in range(count):
        version(region)
    request = {
        "ModelPackageGroupName": "g",
        "MaxResults": size,
        "SortOrder": "Descending" if descending else "Ascending",
    }
    found: list[int] = []
    token: dict[str, Any] = {}
    while True:
        answer = region.ask("ListModelPackages", **request, **token)
        page = [one["ModelPackageVersion"] for one in answer["ModelPackageSummaryList"]]
        assert len(page) <= size
        found += page
        if "NextToken" not in answer:
            break
        assert len(page) == size
        token = {"NextToken": answer["NextToken"]}
    assert found == (list(range(count, 0, -1)) if descending else list(range(1, count + 1)))


def test_several_packages_are_described_at_once(region: Region) -> None:
    group(region)
    arn = version(region)
    alone = region.ask(
        "CreateModelPackage", ModelPackageName="p", InferenceSpecification=specification(**BOTH_LISTS)
    )["ModelPackageArn"]
    absent = f"{ARN}:model-package/g/9"
    found = region.ask("BatchDescribeModelPackage", ModelPackageArnList=[arn, absent, alone])
    assert found["ModelPackageSummaries"] == {
        arn: {
            "ModelPackageGroupName": "g",
            "ModelPackageVersion": 1,
            "ModelPackageArn": arn,
            "CreationTime": START,
            "InferenceSpecification": specification(),
            "ModelPackageStatus": "Completed",
            "ModelApprovalStatus": "PendingManualApproval",
        }
    }
    errors = found["BatchDescribeModelPackageErrorMap"]
    assert errors[absent]["ErrorResponse"] == f"ModelPackage {absent} does not exist."
    assert set(errors) == {absent, alone}


def test_a_new_package_cannot_be_found_at_once(make_region: Callable[..., Region]) -> None:
    region = make_region(consistency_seconds=5)
    region.clock.advance(5)
    group(region)
    assert "does not exist" in region.refusal("DescribeModelPackageGroup", ModelPackageGroupName="g")
    region.clock.advance(5)
    version(region)
    assert "does not exist" in region.refusal("DescribeModelPackage", ModelPackageName="g/1")
    assert listed(region, ModelPackageGroupName="g") == []
    region.clock.advance(5)
    assert listed(region, ModelPackageGroupName="g") == ["g/1"]


def test_a_package_is_a_copy_of_another_or_of_a_model(region: Region) -> None:
    group(region)
    arn = version(region)
    copied = region.ask("CreateModelPackage", ModelPackageGroupName="g", SourceUri=arn)["ModelPackageArn"]
    assert described(region, copied)["InferenceSpecification"] == specification()
    model = region.ask("DescribeModel", ModelName="m")["ModelArn"]
    of_model = region.ask("CreateModelPackage", ModelPackageGroupName="g", SourceUri=model)["ModelPackageArn"]
    assert described(region, of_model)["InferenceSpecification"] == specification()
    assert described(region, of_model)["SourceUri"] == model
    absent = region.refusal("CreateModelPackage", ModelPackageGroupName="g", SourceUri=f"{arn}0")
    assert "does not exist" in absent


# Tags


def tags(region: Region, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in region.ask("ListTags", ResourceArn=arn)["Tags"]}


def test_a_version_has_the_tags_of_its_group(region: Region) -> None:
    of_group = group(region, "Big", Tags=[{"Key": "team", "Value": "x"}])
    arn = version(region, "Big")
    assert tags(region, of_group) == tags(region, arn) == {"team": "x"}
    region.ask("AddTags", ResourceArn=of_group, Tags=[{"Key": "cost", "Value": "1"}])
    assert tags(region, arn) == {"team": "x", "cost": "1"}
    region.ask("DeleteTags", ResourceArn=of_group, TagKeys=["team"])
    assert tags(region, arn) == {"cost": "1"}
    for operation, more in (
        ("AddTags", {"Tags": [{"Key": "a", "Value": "b"}]}),
        ("DeleteTags", {"TagKeys": ["cost"]}),
    ):
        assert of_group in region.refusal(operation, ResourceArn=arn, **more)
    assert "Could not find resource" in region.refusal("ListTags", ResourceArn=f"{arn}0")


def test_an_unversioned_package_has_its_own_tags(region: Region) -> None:
    request = {"ModelPackageName": "P", "InferenceSpecification": specification(**BOTH_LISTS)}
    arn = region.ask("CreateModelPackage", **request, Tags=[{"Key": "a", "Value": "b"}])["ModelPackageArn"]
    region.ask("AddTags", ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    assert tags(region, arn) == {"a": "b", "c": "d"}
    region.ask("DeleteModelPackage", ModelPackageName="P")
    region.ask("CreateModelPackage", **request)
    assert tags(region, arn) == {}


# Saved state


def test_groups_and_packages_are_restored(make_region: Callable[..., Region]) -> None:
    region = make_region()
    group(region, "Big", Tags=[{"Key": "a", "Value": "b"}])
    region.ask("PutModelPackageGroupPolicy", ModelPackageGroupName="Big", ResourcePolicy="{}")
    version(region, "Big", ClientToken="t", ModelApprovalStatus="Approved")
    version(region, "Big")
    region.ask("DeleteModelPackage", ModelPackageName="Big/2")
    region.ask("CreateModelPackage", ModelPackageName="P", InferenceSpecification=specification(**BOTH_LISTS))
    region.ask(
        "CreateModel", ModelName="p", ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": "Big/1"}
    )
    saved = region.hosting.dump()
    other = make_region()
    other.ask("DeleteModel", ModelName="m")
    other.hosting.load(saved)
    for operation, request in (
        ("ListModelPackages", {"ModelPackageType": "Both"}),
        ("ListModelPackageGroups", {}),
        ("DescribeModelPackage", {"ModelPackageName": "big/1"}),
        ("DescribeModelPackage", {"ModelPackageName": "p"}),
        ("GetModelPackageGroupPolicy", {"ModelPackageGroupName": "Big"}),
        ("ListTags", {"ResourceArn": f"{ARN}:model-package/Big/1"}),
        ("DescribeModel", {"ModelName": "p"}),
    ):
        assert other.ask(operation, **request) == region.ask(operation, **request)
    assert (
        version(other, "Big", ClientToken="t", ModelApprovalStatus="Approved") == f"{ARN}:model-package/Big/1"
    )
    assert version(other, "Big") == f"{ARN}:model-package/Big/3"


def test_state_of_an_older_version_has_no_packages(make_region: Callable[..., Region]) -> None:
    region = make_region()
    saved = {k: v for k, v in region.hosting.dump().items() if k not in ("packages", "package_groups")}
    other = make_region()
    other.hosting.load(saved)
    assert listed(other, ModelPackageType="Both") == []

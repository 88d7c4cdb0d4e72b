"""Model packages and their groups."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.rules.cloud import IMAGE, ROLE, Cloud, refused

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
CONTAINERS = {"Containers": [{"Image": IMAGE}]}
TYPES = {
    "SupportedTransformInstanceTypes": ["ml.m5.large"],
    "SupportedRealtimeInferenceInstanceTypes": ["ml.m5.large"],
}


def group(cloud: Cloud, name: str = "g", **more: Any) -> str:
    return str(
        cloud.sagemaker.create_model_package_group(ModelPackageGroupName=name, **more)["ModelPackageGroupArn"]
    )


def version(cloud: Cloud, name: str = "g", **more: Any) -> str:
    request = {"InferenceSpecification": CONTAINERS, "ModelPackageGroupName": name, **more}
    return str(cloud.sagemaker.create_model_package(**request)["ModelPackageArn"])


def unversioned(cloud: Cloud, name: str = "p", **more: Any) -> str:
    request = {"ModelPackageName": name, "InferenceSpecification": {**CONTAINERS, **TYPES}, **more}
    return str(cloud.sagemaker.create_model_package(**request)["ModelPackageArn"])


def described(cloud: Cloud, package: str) -> dict[str, Any]:
    found: dict[str, Any] = cloud.sagemaker.describe_model_package(ModelPackageName=package)
    return found


def listed(cloud: Cloud, **request: Any) -> list[str]:
    found = cloud.sagemaker.list_model_packages(**request)["ModelPackageSummaryList"]
    return [one["ModelPackageArn"].partition("model-package/")[2] for one in found]


def approve(cloud: Cloud, arn: str, status: str = "Approved") -> None:
    cloud.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus=status)


def deploy(cloud: Cloud, package: str, **more: Any) -> str:
    return cloud.model("of-package", container={"ModelPackageName": package, **more})


def test_group_taken(cloud: Cloud) -> None:
    """A group name that is taken is rejected with "Model Package Group already exists:".

    Source: apache/airflow looks for this text at the beginning; aws-cloudformation/aws-cloudformation-resource-providers-sagemaker expects it
    """
    arn = group(cloud)
    with refused(f"Model Package Group already exists: {arn}"):
        group(cloud)


def test_group_absent(cloud: Cloud) -> None:
    """A group that does not exist is reported as "ModelPackageGroup … does not exist.", with its ARN.

    Source: aws-cloudformation/aws-cloudformation-resource-providers-sagemaker expects this text
    """
    with refused(f"ModelPackageGroup {ARN}:model-package-group/absent does not exist."):
        cloud.sagemaker.describe_model_package_group(ModelPackageGroupName="absent")


def test_group_by_arn(cloud: Cloud) -> None:
    """A group is described by its name or its ARN.

    Source: botocore, DescribeModelPackageGroupInput.ModelPackageGroupName (ArnOrName)
    """
    arn = group(cloud)
    for name in ("g", arn):
        found = cloud.sagemaker.describe_model_package_group(ModelPackageGroupName=name)
        assert found["ModelPackageGroupArn"] == arn


def test_group_with_versions(cloud: Cloud) -> None:
    """A group that has versions cannot be deleted: ConflictException.

    Source: assumed: the only error of DeleteModelPackageGroup in botocore's model
    """
    group(cloud)
    version(cloud)
    with refused(code="ConflictException"):
        cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="g")
    cloud.sagemaker.delete_model_package(ModelPackageName="g/1")
    cloud.sagemaker.delete_model_package_group(ModelPackageGroupName="g")


def test_groups_oldest_first(cloud: Cloud) -> None:
    """Groups are listed oldest first by default.

    Source: sagemaker:API_ListModelPackageGroups.html
    """
    for name in ("b", "a"):
        group(cloud, name)
        cloud.advance(60)
    found = cloud.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"]
    assert [one["ModelPackageGroupName"] for one in found] == ["b", "a"]


def test_policy_absent(cloud: Cloud) -> None:
    """A group without a policy is reported as "Cannot find resource policy for:", an absent group as "Cannot find Model Package Group:".

    Source: aws-cloudformation/aws-cloudformation-resource-providers-sagemaker and hashicorp/terraform-provider-aws look for these texts
    """
    arn = group(cloud)
    with refused(f"Cannot find resource policy for: {arn}"):
        cloud.sagemaker.get_model_package_group_policy(ModelPackageGroupName="g")
    with refused("Cannot find Model Package Group: "):
        cloud.sagemaker.get_model_package_group_policy(ModelPackageGroupName="absent")


def test_policy_replaced(cloud: Cloud) -> None:
    """PutModelPackageGroupPolicy replaces the policy of a group.

    Source: guide:model-registry-deploy.html
    """
    group(cloud)
    for policy in ('{"Version": "2012-10-17"}', "{}"):
        cloud.sagemaker.put_model_package_group_policy(ModelPackageGroupName="g", ResourcePolicy=policy)
        found = cloud.sagemaker.get_model_package_group_policy(ModelPackageGroupName="g")
        assert found["ResourcePolicy"] == policy


def test_versions_are_numbers(cloud: Cloud) -> None:
    """Versions of a group are numbered from 1.

    Source: guide:model-registry-version.html
    """
    group(cloud)
    assert [version(cloud), version(cloud)] == [f"{ARN}:model-package/g/{number}" for number in (1, 2)]
    assert described(cloud, f"{ARN}:model-package/g/2")["ModelPackageVersion"] == 2


def test_versions_are_not_reused(cloud: Cloud) -> None:
    """The number of a deleted version is not given again.

    Source: assumed: events and ARNs name versions by it
    """
    group(cloud)
    version(cloud)
    cloud.sagemaker.delete_model_package(ModelPackageName="g/1")
    assert version(cloud) == f"{ARN}:model-package/g/2"


def test_package_by_group_and_version(cloud: Cloud) -> None:
    """A version is named by its ARN, or by its group and its number.

    Source: botocore, DescribeModelPackageInput.ModelPackageName (VersionedArnOrName)
    """
    group(cloud)
    arn = version(cloud)
    assert described(cloud, "g/1")["ModelPackageArn"] == arn


def test_versions_have_no_name(cloud: Cloud) -> None:
    """DescribeModelPackage has no ModelPackageName for a version.

    Source: assumed: examples of AWS for MLflow work around it
    """
    group(cloud)
    found = described(cloud, version(cloud))
    assert found["ModelPackageGroupName"] == "g"
    assert "ModelPackageName" not in found


def test_pending_by_default(cloud: Cloud) -> None:
    """A version waits for approval if its registration does not say otherwise.

    Source: assumed: PendingManualApproval is what AWS's examples begin with
    """
    group(cloud)
    assert described(cloud, version(cloud))["ModelApprovalStatus"] == "PendingManualApproval"


def test_both_names(cloud: Cloud) -> None:
    """A package has a name or a group, not both.

    Source: getmoto/moto#7165
    """
    group(cloud)
    with refused("Both ModelPackageName and ModelPackageGroupName are provided in the input."):
        version(cloud, ModelPackageName="p")


def test_no_name(cloud: Cloud) -> None:
    """A package without a name and a group is rejected with "Missing ARN.".

    Source: getmoto/moto#7165
    """
    with refused("Missing ARN."):
        cloud.sagemaker.create_model_package(InferenceSpecification=CONTAINERS)


def test_package_taken(cloud: Cloud) -> None:
    """A name of an unversioned package that is taken is rejected with "Model Package already exists:".

    Source: aws-cloudformation/aws-cloudformation-resource-providers-sagemaker looks for this text
    """
    arn = unversioned(cloud)
    with refused(f"Model Package already exists: {arn}"):
        unversioned(cloud)


def test_package_absent(cloud: Cloud) -> None:
    """A package that does not exist is reported as "ModelPackage … does not exist.", with its ARN.

    Source: aws-cloudformation/aws-cloudformation-resource-providers-sagemaker expects this text
    """
    with refused(f"ModelPackage {ARN}:model-package/g/1 does not exist."):
        described(cloud, "g/1")


def test_group_of_version_must_exist(cloud: Cloud) -> None:
    """A version needs a group that exists.

    Source: sagemaker:API_CreateModelPackage.html; the text is moto's
    """
    with refused("Model Package Group does not exist."):
        version(cloud, "absent")


def test_tags_of_versions(cloud: Cloud) -> None:
    """A version cannot be registered with tags: it has those of its group.

    Source: sagemaker:API_CreateModelPackage.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    group(cloud, Tags=tags)
    with refused("tags"):
        version(cloud, Tags=tags)
    assert cloud.sagemaker.list_tags(ResourceArn=version(cloud))["Tags"] == tags


def test_tags_of_a_version_are_not_changed(cloud: Cloud) -> None:
    """Tags cannot be added to a version.

    Source: assumed: it has those of its group
    """
    group(cloud)
    with refused("tags"):
        cloud.sagemaker.add_tags(ResourceArn=version(cloud), Tags=[{"Key": "a", "Value": "b"}])


def test_instance_types_of_unversioned(cloud: Cloud) -> None:
    """An unversioned package must name instance types for transform jobs and for endpoints; a version need not.

    Source: sagemaker:API_InferenceSpecification.html
    """
    group(cloud)
    version(cloud)
    with refused("SupportedTransformInstanceTypes"):
        unversioned(cloud, InferenceSpecification=CONTAINERS)


def test_approval_of_unversioned(cloud: Cloud) -> None:
    """An unversioned package has no approval.

    Source: sagemaker:API_CreateModelPackage.html
    """
    with refused("ModelApprovalStatus"):
        unversioned(cloud, ModelApprovalStatus="Approved")
    assert "ModelApprovalStatus" not in described(cloud, unversioned(cloud))


def test_marketplace_of_versions(cloud: Cloud) -> None:
    """A version cannot be certified for the Marketplace.

    Source: sagemaker:API_CreateModelPackage.html
    """
    group(cloud)
    with refused("CertifyForMarketplace"):
        version(cloud, CertifyForMarketplace=True)


def test_names_of_specifications(cloud: Cloud) -> None:
    """Additional inference specifications have different names.

    Source: sagemaker:API_AdditionalInferenceSpecificationDefinition.html
    """
    group(cloud)
    with refused("unique"):
        version(cloud, AdditionalInferenceSpecifications=[{"Name": "a", **CONTAINERS}] * 2)


def test_number_of_specifications(cloud: Cloud) -> None:
    """A package has at most 15 additional inference specifications, also after updates.

    Source: sagemaker:API_UpdateModelPackage.html
    """
    group(cloud)
    ten = [{"Name": f"a{number}", **CONTAINERS} for number in range(10)]
    arn = version(cloud, AdditionalInferenceSpecifications=ten)
    more = [{"Name": f"b{number}", **CONTAINERS} for number in range(6)]
    with refused("15"):
        cloud.sagemaker.update_model_package(ModelPackageArn=arn, AdditionalInferenceSpecificationsToAdd=more)


def test_client_token(cloud: Cloud) -> None:
    """The same ClientToken registers one version.

    Source: sagemaker:API_CreateModelPackage.html
    """
    group(cloud)
    assert version(cloud, ClientToken="t") == version(cloud, ClientToken="t")
    assert listed(cloud, ModelPackageGroupName="g") == ["g/1"]


def test_same_content(cloud: Cloud) -> None:
    """The same content is registered again as another version.

    Source: sagemaker:API_CreateModelPackage.html (only a ClientToken makes it idempotent)
    """
    group(cloud)
    assert version(cloud, ClientToken="a") != version(cloud, ClientToken="b")


def test_framework_version(cloud: Cloud) -> None:
    """A framework version is one digit, a dot and more, of 3 to 10 characters.

    Source: botocore, ModelPackageFrameworkVersion
    """
    group(cloud)
    for given in ("1.4-2", "2.6.0"):
        version(cloud, InferenceSpecification={"Containers": [{"Image": IMAGE, "FrameworkVersion": given}]})
    with refused("frameworkVersion"):
        version(cloud, InferenceSpecification={"Containers": [{"Image": IMAGE, "FrameworkVersion": "24.05"}]})


def test_listed_kinds(cloud: Cloud) -> None:
    """Unversioned packages are listed by default; Versioned and Both list others.

    Source: sagemaker:API_ListModelPackages.html
    """
    group(cloud)
    version(cloud)
    cloud.advance(60)
    unversioned(cloud)
    assert listed(cloud) == ["p"]
    assert listed(cloud, ModelPackageType="Versioned") == ["g/1"]
    assert listed(cloud, ModelPackageType="Both") == ["g/1", "p"]


def test_listed_versions_of_a_group(cloud: Cloud) -> None:
    """A list of a group has its versions, also without a ModelPackageType.

    Source: assumed: examples of AWS list them so
    """
    group(cloud)
    version(cloud)
    assert listed(cloud, ModelPackageGroupName="g") == ["g/1"]


def test_oldest_first(cloud: Cloud) -> None:
    """Packages are listed oldest first by default.

    Source: sagemaker:API_ListModelPackages.html
    """
    group(cloud)
    for _ in range(2):
        version(cloud)
        cloud.advance(60)
    assert listed(cloud, ModelPackageGroupName="g") == ["g/1", "g/2"]
    assert listed(cloud, ModelPackageGroupName="g", SortOrder="Descending") == ["g/2", "g/1"]


def test_listed_by_approval(cloud: Cloud) -> None:
    """Packages are listed by their approval.

    Source: sagemaker:API_ListModelPackages.html
    """
    group(cloud)
    version(cloud)
    approve(cloud, version(cloud))
    request = {"ModelPackageGroupName": "g", "ModelPackageType": "Versioned"}
    assert listed(cloud, **request, ModelApprovalStatus="Approved") == ["g/2"]


def test_batch(cloud: Cloud) -> None:
    """BatchDescribeModelPackage returns a summary or an error for each ARN.

    Source: sagemaker:API_BatchDescribeModelPackage.html
    """
    group(cloud)
    arn = version(cloud)
    found = cloud.sagemaker.batch_describe_model_package(ModelPackageArnList=[arn, f"{arn}0"])
    assert set(found["ModelPackageSummaries"]) == {arn}
    assert set(found["BatchDescribeModelPackageErrorMap"]) == {f"{arn}0"}


def test_approval_can_be_taken_back(cloud: Cloud) -> None:
    """A version can be rejected after it was approved, and approved after it was rejected.

    Source: guide:model-registry-approve.html
    """
    group(cloud)
    arn = version(cloud)
    for status in ("Approved", "Rejected", "Approved"):
        approve(cloud, arn, status)
        assert described(cloud, arn)["ModelApprovalStatus"] == status


def test_properties_are_merged(cloud: Cloud) -> None:
    """An update adds customer metadata properties to those that are there, and removes those that it names.

    Source: sagemaker:API_UpdateModelPackage.html
    """
    group(cloud)
    arn = version(cloud, CustomerMetadataProperties={"a": "1", "b": "2"})
    cloud.sagemaker.update_model_package(
        ModelPackageArn=arn,
        CustomerMetadataProperties={"c": "3"},
        CustomerMetadataPropertiesToRemove=["a"],
    )
    assert described(cloud, arn)["CustomerMetadataProperties"] == {"b": "2", "c": "3"}


def test_only_approved_is_deployed(cloud: Cloud) -> None:
    """A version must be Approved when a model is made of it.

    Source: sagemaker:API_CreateModelPackage.html; the text is assumed
    """
    group(cloud)
    arn = version(cloud)
    with refused("Approved", "PendingManualApproval"):
        deploy(cloud, arn)
    approve(cloud, arn)
    deploy(cloud, arn)


def test_model_of_absent_package(cloud: Cloud) -> None:
    """A model cannot be made of a package that does not exist.

    Source: sagemaker:API_ContainerDefinition.html; the text is assumed to be that of DescribeModelPackage
    """
    with refused("does not exist"):
        deploy(cloud, f"{ARN}:model-package/g/1")


def test_data_and_package(cloud: Cloud) -> None:
    """A container with a model package has no model data of its own.

    Source: recorded:model-package-and-image
    """
    group(cloud)
    arn = version(cloud, ModelApprovalStatus="Approved")
    with refused("Specify one of either Image and Model Data URL or ModelPackageName"):
        deploy(cloud, arn, ModelDataUrl=cloud.upload())


def test_absent_specification(cloud: Cloud) -> None:
    """An additional inference specification is chosen by its name; one that does not exist is rejected.

    Source: sagemaker:API_ContainerDefinition.html; the text is assumed
    """
    group(cloud)
    neo = {"Name": "neo", **CONTAINERS}
    arn = version(cloud, ModelApprovalStatus="Approved", AdditionalInferenceSpecifications=[neo])
    with refused("other"):
        deploy(cloud, arn, InferenceSpecificationName="other")
    deploy(cloud, arn, InferenceSpecificationName="neo")


def test_package_among_containers(cloud: Cloud) -> None:
    """A package is the only container of its model.

    Source: assumed: it may be a pipeline of its own
    """
    group(cloud)
    arn = version(cloud, ModelApprovalStatus="Approved")
    with refused("only container"):
        cloud.sagemaker.create_model(
            ModelName="m", ExecutionRoleArn=ROLE, Containers=[{"ModelPackageName": arn}, {"Image": IMAGE}]
        )


def test_model_shows_package(cloud: Cloud) -> None:
    """DescribeModel shows the package of a model, and not what the package has.

    Source: assumed: it shows what CreateModel was given
    """
    group(cloud)
    arn = version(cloud, ModelApprovalStatus="Approved")
    found = cloud.described_model(deploy(cloud, arn))["PrimaryContainer"]
    assert found["ModelPackageName"] == arn
    assert "Image" not in found


def test_endpoint_of_package(cloud: Cloud) -> None:
    """An endpoint of a model of a package goes into service, and stays so when the package is deleted.

    Source: guide:model-registry-deploy.html; that it stays is assumed
    """
    group(cloud)
    model = deploy(cloud, version(cloud, ModelApprovalStatus="Approved"))
    name = cloud.endpoint(cloud.config(cloud.variant(ModelName=model)))
    cloud.sagemaker.delete_model_package(ModelPackageName="g/1")
    cloud.update(name, cloud.config(cloud.variant(ModelName=model)))
    cloud.advance(60)
    assert cloud.status(name) == "InService"


def test_validation_is_not_built(cloud: Cloud) -> None:
    """A package whose validation would run jobs is refused, as nothing runs them here.

    Source: assumed: a package that is Completed would have been validated
    """
    group(cloud)
    with pytest.raises(cloud.sagemaker.exceptions.ClientError) as caught:
        version(cloud, SourceAlgorithmSpecification={"SourceAlgorithms": [{"AlgorithmName": "a"}]})
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


def received(cloud: Cloud, kind: str, **detail: Any) -> Any:
    """Have a queue get events, and return what reads it."""
    sqs, events = cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": [kind], **({"detail": detail} if detail else {})}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])

    def read() -> list[dict[str, Any]]:
        found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        return [json.loads(message["Body"])["detail"] for message in found]

    return read


def test_events_of_packages(cloud: Cloud) -> None:
    """EventBridge gets an event when a package is created or updated.

    Source: guide:automating-sagemaker-with-eventbridge.html
    """
    read = received(cloud, "SageMaker Model Package State Change")
    group(cloud)
    arn = version(cloud)
    approve(cloud, arn)
    found = read()
    assert [one["ModelApprovalStatus"] for one in found] == ["PendingManualApproval", "Approved"]
    assert {(one["ModelPackageArn"], one["ModelPackageVersion"]) for one in found} == {(arn, 1)}


def test_events_tell_what_changed(cloud: Cloud) -> None:
    """An event of an update names the members that changed, so that an approval can be told from another edit.

    Source: assumed: examples of AWS for SageMaker Unified Studio read UpdatedModelPackageFields
    """
    read = received(
        cloud, "SageMaker Model Package State Change", UpdatedModelPackageFields=["ModelApprovalStatus"]
    )
    group(cloud)
    arn = version(cloud)
    approve(cloud, arn)
    cloud.sagemaker.update_model_package(ModelPackageArn=arn, CustomerMetadataProperties={"a": "b"})
    (event,) = read()
    assert event["UpdatedModelPackageFields"] == ["ModelApprovalStatus"]


def test_events_of_deployments(cloud: Cloud) -> None:
    """EventBridge gets an event when a deployment in the place of another one progresses.

    Source: guide:automating-sagemaker-with-eventbridge.html
    """
    read = received(cloud, "SageMaker Endpoint Deployment State Change")
    name = cloud.endpoint()
    cloud.update(name, cloud.config())
    cloud.advance(60)
    stages = [
        one["PendingDeploymentSummary"]["ProductionVariants"][0]["VariantStatus"][0]["Status"]
        for one in read()
    ]
    assert stages[0] == "Creating"
    assert "ActivatingTraffic" in stages

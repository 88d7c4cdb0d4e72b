"""Endpoints: lifecycle"""

from __future__ import annotations

import pytest
from botocore.exceptions import ClientError

from tests.local.rules.cloud import Cloud, refused


def test_creating_then_in_service(cloud: Cloud) -> None:
    """A new endpoint is Creating first, and InService later.

    Source: sagemaker:API_CreateEndpoint.html
    """
    name = cloud.begin_endpoint()
    assert cloud.status(name) == "Creating"
    cloud.advance(5)
    assert cloud.status(name) == "InService"


def test_config_of_an_endpoint_exists(cloud: Cloud) -> None:
    """CreateEndpoint with an endpoint config that does not exist is rejected, with its ARN in double quotes.

    Source: recorded:endpoint-config-absent; aws/amazon-sagemaker-operator-for-k8s searches for this text
    """
    arn = "arn:aws:sagemaker:us-east-1:123456789012:endpoint-config/absent"
    with refused(f'Could not find endpoint configuration "{arn}"'):
        cloud.begin_endpoint("absent")


def test_duplicate_endpoint(cloud: Cloud) -> None:
    """An endpoint name that is taken is rejected with "Cannot create already existing endpoint".

    Source: aws/sagemaker-python-sdk#101; astronomer/astronomer-providers#1055
    """
    config = cloud.config()
    cloud.begin_endpoint(config, EndpointName="e")
    with refused("Cannot create already existing endpoint", ":endpoint/e"):
        cloud.begin_endpoint(config, EndpointName="e")


def test_endpoint_names_have_no_case(cloud: Cloud) -> None:
    """Names of endpoints are case-insensitive in CreateEndpoint.

    Source: sagemaker:API_CreateEndpoint.html
    """
    config = cloud.config()
    cloud.begin_endpoint(config, EndpointName="Mine")
    with refused("Cannot create already existing endpoint"):
        cloud.begin_endpoint(config, EndpointName="mine")


def test_case_of_an_endpoint_name_is_kept(cloud: Cloud) -> None:
    """The case of an endpoint's name is preserved.

    Source: recorded:endpoint-arn-case; sagemaker:API_CreateEndpoint.html
    """
    cloud.endpoint(EndpointName="MyEndpoint")
    (found,) = cloud.sagemaker.list_endpoints()["Endpoints"]
    assert found["EndpointName"] == "MyEndpoint"


def test_endpoint_is_found_in_any_case(cloud: Cloud) -> None:
    """DescribeEndpoint finds an endpoint by its name in any case.

    Source: assumed from its ARN, which is in lower case
    """
    cloud.endpoint(EndpointName="MyEndpoint")
    assert cloud.describe("myendpoint")["EndpointName"] == "MyEndpoint"


def test_absent_endpoint(cloud: Cloud) -> None:
    """An endpoint that does not exist is reported as "Could not find endpoint".

    Source: recorded:endpoint-absent; aws/amazon-sagemaker-operator-for-k8s searches for this text
    """
    with refused("Could not find endpoint", "arn:aws:sagemaker:us-east-1:123456789012:endpoint/absent"):
        cloud.describe("absent")


def test_absent_endpoint_is_not_deleted(cloud: Cloud) -> None:
    """DeleteEndpoint of an endpoint that does not exist is rejected.

    Source: aws/amazon-sagemaker-operator-for-k8s
    """
    with refused("Could not find endpoint"):
        cloud.sagemaker.delete_endpoint(EndpointName="absent")


def test_model_bites_when_an_endpoint_is_created(cloud: Cloud) -> None:
    """CreateEndpoint is rejected if a model was deleted after its endpoint config was created.

    Source: hashicorp/terraform-provider-aws#40048
    """
    model = cloud.model()
    config = cloud.config(cloud.variant(ModelName=model))
    cloud.sagemaker.delete_model(ModelName=model)
    with refused("Could not find model"):
        cloud.begin_endpoint(config)


def updating(cloud: Cloud) -> str:
    """Return an endpoint that is Updating for as long as the clock stands still."""
    name = cloud.endpoint()
    cloud.update(name, cloud.config())
    assert cloud.status(name) == "Updating"
    return name


def test_no_update_while_creating(cloud: Cloud) -> None:
    """An endpoint that is Creating cannot be updated: "Cannot update in-progress endpoint".

    Source: aws/amazon-sagemaker-operator-for-k8s searches for this text; sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.begin_endpoint()
    with refused("Cannot update in-progress endpoint", f":endpoint/{name}"):
        cloud.update(name, cloud.config())


def test_no_delete_while_creating(cloud: Cloud) -> None:
    """An endpoint that is Creating cannot be deleted; the message is the same.

    Source: aws/amazon-sagemaker-operator-for-k8s searches for this text
    """
    name = cloud.begin_endpoint()
    with refused("Cannot update in-progress endpoint"):
        cloud.sagemaker.delete_endpoint(EndpointName=name)


def test_no_update_while_updating(cloud: Cloud) -> None:
    """An endpoint that is Updating cannot be updated again.

    Source: recorded:endpoint-update-updating; aws/amazon-sagemaker-operator-for-k8s
    """
    name = updating(cloud)
    with refused("Cannot update in-progress endpoint"):
        cloud.update(name, cloud.config())


def test_no_delete_while_updating(cloud: Cloud) -> None:
    """An endpoint that is Updating cannot be deleted.

    Source: aws/amazon-sagemaker-operator-for-k8s
    """
    name = updating(cloud)
    with refused("Cannot update in-progress endpoint"):
        cloud.sagemaker.delete_endpoint(EndpointName=name)


def test_no_weights_while_updating(cloud: Cloud) -> None:
    """The weights of an endpoint that is Updating cannot be changed.

    Source: sagemaker:API_DescribeEndpoint.html: Updating
    """
    name = updating(cloud)
    with refused("Cannot update in-progress endpoint"):
        cloud.want(name, DesiredWeight=2.0)


def test_capacity_is_told_later(cloud: Cloud) -> None:
    """Insufficient capacity is reported in FailureReason, not by an error of the call.

    Source: recorded:endpoint-capacity; aws/deep-learning-containers#6711
    """
    with cloud.aws.fault("capacity", instance_type="ml.m5.large"):
        name = cloud.begin_endpoint()
        cloud.advance(5)
    found = cloud.describe(name)
    assert found["EndpointStatus"] == "Failed"
    assert "InsufficientInstanceCapacity" in found["FailureReason"]


def test_ping_is_told(cloud: Cloud) -> None:
    """If a container does not pass its ping, the endpoint is Failed, with the variant's name and a reference to the logs.

    Source: aws/sagemaker-python-sdk#155; aws/amazon-sagemaker-examples#210
    """
    reason = cloud.describe(cloud.failed_endpoint())["FailureReason"]
    assert "production variant main did not pass the ping health check" in reason
    assert "CloudWatch logs" in reason


def test_failed_is_not_updated(cloud: Cloud) -> None:
    """A Failed endpoint cannot be updated.

    Source: sagemaker:API_DescribeEndpoint.html: "DeleteEndpoint is the only operation that can be performed"
    """
    name = cloud.failed_endpoint()
    with refused("Failed"):
        cloud.update(name, cloud.config())


def test_failed_gets_no_weights(cloud: Cloud) -> None:
    """The weights of a Failed endpoint cannot be changed.

    Source: sagemaker:API_DescribeEndpoint.html: "DeleteEndpoint is the only operation that can be performed"
    """
    name = cloud.failed_endpoint()
    with refused("Failed"):
        cloud.want(name, DesiredWeight=2.0)


def test_failed_is_deleted(cloud: Cloud) -> None:
    """A Failed endpoint can be deleted.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.failed_endpoint()
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(5)
    with refused("Could not find endpoint"):
        cloud.describe(name)


def test_failed_keeps_its_name(cloud: Cloud) -> None:
    """The name of a Failed endpoint is taken until it is deleted.

    Source: aws/sagemaker-python-sdk#101
    """
    name = cloud.failed_endpoint()
    with refused("Cannot create already existing endpoint"):
        cloud.begin_endpoint(EndpointName=name)


def test_failed_update_of_a_good_endpoint(cloud: Cloud) -> None:
    """A failed update does not make an endpoint Failed that was in service before.

    Source: sagemaker:API_DescribeEndpoint.html; hashicorp/terraform-provider-aws#39099
    """
    name = cloud.endpoint()
    with cloud.aws.fault("crash", endpoint=name, when="start"):
        cloud.update(name, cloud.config())
        cloud.advance(60)
    assert cloud.status(name) == "InService"


def test_deletion_takes_a_while(cloud: Cloud) -> None:
    """A deleted endpoint is Deleting first, and its name stays taken until the deletion ends.

    Source: hashicorp/terraform-provider-aws#40080
    """
    config = cloud.config()
    name = cloud.endpoint(config)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    assert cloud.status(name) == "Deleting"
    with refused("Cannot create already existing endpoint"):
        cloud.begin_endpoint(config, EndpointName=name)


def test_no_changes_while_deleting(cloud: Cloud) -> None:
    """An endpoint that is Deleting can be neither updated nor deleted again.

    Source: sagemaker:API_DescribeEndpoint.html; the wording is assumed
    """
    name, config = cloud.endpoint(), cloud.config()
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    with refused("in-progress"):
        cloud.update(name, config)
    with refused("in-progress"):
        cloud.sagemaker.delete_endpoint(EndpointName=name)


def test_deleted_endpoint_is_gone(cloud: Cloud) -> None:
    """A deleted endpoint is finally reported as "Could not find endpoint".

    Source: hashicorp/terraform-provider-aws#40080
    """
    name = cloud.endpoint()
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(5)
    with refused("Could not find endpoint"):
        cloud.describe(name)


def test_name_of_a_deleted_endpoint_is_free(cloud: Cloud) -> None:
    """The name of a deleted endpoint can be used again.

    Source: hashicorp/terraform-provider-aws#40080
    """
    config = cloud.config()
    name = cloud.endpoint(config)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(5)
    assert cloud.endpoint(config, EndpointName=name) == name


def test_endpoint_deletes_nothing_else(cloud: Cloud) -> None:
    """DeleteEndpoint deletes neither the config nor the model.

    Source: sagemaker:API_DeleteEndpoint.html
    """
    model = cloud.model()
    config = cloud.config(cloud.variant(ModelName=model))
    cloud.sagemaker.delete_endpoint(EndpointName=cloud.endpoint(config))
    cloud.advance(5)
    assert cloud.described_config(config)["EndpointConfigName"] == config
    assert cloud.described_model(model)["ModelName"] == model


def test_alarms_stay(cloud: Cloud) -> None:
    """DeleteEndpoint does not delete the caller's alarms.

    Source: sagemaker:API_DeleteEndpoint.html
    """
    cloud.alarm()
    cloud.sagemaker.delete_endpoint(EndpointName=cloud.endpoint())
    cloud.advance(5)
    assert cloud.described_alarm()["AlarmName"] == "alarm"


def test_maintenance_answers_no_changes(cloud: Cloud) -> None:
    """An endpoint that is SystemUpdating cannot be updated, deleted or scaled.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name, config = cloud.endpoint(), cloud.config()
    cloud.aws.set_endpoint_status(name, "SystemUpdating")
    assert cloud.status(name) == "SystemUpdating"
    with refused("in-progress"):
        cloud.update(name, config)
    with refused("in-progress"):
        cloud.want(name, DesiredInstanceCount=2)
    with refused("in-progress"):
        cloud.sagemaker.delete_endpoint(EndpointName=name)


def test_maintenance_reads_the_config_again(cloud: Cloud) -> None:
    """Maintenance of an endpoint whose config was deleted leaves it in service, with a FailureReason.

    Source: ministryofjustice/analytical-platform#10195
    """
    config = cloud.config()
    name = cloud.endpoint(config)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    cloud.aws.set_endpoint_status(name, "SystemUpdating", seconds=30)
    cloud.advance(31)
    found = cloud.describe(name)
    assert found["EndpointStatus"] == "InService"
    assert "Could not find endpoint configuration" in found["FailureReason"]


def test_variants_are_told(cloud: Cloud) -> None:
    """DescribeEndpoint returns each variant's current and desired weight and instances.

    Source: sagemaker:API_ProductionVariantSummary.html
    """
    a, b = cloud.variant("a", 2, InitialVariantWeight=3.0), cloud.variant("b")
    name = cloud.endpoint(cloud.config(a, b))
    members = ("CurrentWeight", "DesiredWeight", "CurrentInstanceCount", "DesiredInstanceCount")
    assert [cloud.live(name, "a")[member] for member in members] == [3.0, 3.0, 2, 2]
    assert [cloud.live(name, "b")[member] for member in members] == [1.0, 1.0, 1, 1]


def test_images_are_told(cloud: Cloud) -> None:
    """DescribeEndpoint returns each variant's images, as specified and as resolved, and the time of resolution.

    Source: sagemaker:API_DeployedImage.html
    """
    (image,) = cloud.live(cloud.endpoint())["DeployedImages"]
    assert set(image) == {"SpecifiedImage", "ResolvedImage", "ResolutionTime"}


def test_shadow_variants_are_told(cloud: Cloud) -> None:
    """DescribeEndpoint returns shadow variants separately.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    found = cloud.describe(cloud.endpoint(cloud.config(ShadowProductionVariants=[cloud.variant("b")])))
    assert [variant["VariantName"] for variant in found["ProductionVariants"]] == ["main"]
    assert [variant["VariantName"] for variant in found["ShadowProductionVariants"]] == ["b"]


def test_serverless_variants_are_told(cloud: Cloud) -> None:
    """DescribeEndpoint returns a serverless variant's current config, and the desired one while it is another.

    Source: recorded:endpoint-serverless; sagemaker:API_ProductionVariantSummary.html; when there is a desired one is assumed
    """
    name = cloud.endpoint(cloud.config(cloud.serverless(ProvisionedConcurrency=1)))
    wanted = {"MemorySizeInMB": 2048, "MaxConcurrency": 5, "ProvisionedConcurrency": 1}
    assert cloud.live(name)["CurrentServerlessConfig"] == wanted
    assert "DesiredServerlessConfig" not in cloud.live(name)
    cloud.want(name, ServerlessUpdateConfig={"ProvisionedConcurrency": 2})
    assert cloud.live(name)["DesiredServerlessConfig"] == {**wanted, "ProvisionedConcurrency": 2}


def test_capture_is_told_of_an_endpoint(cloud: Cloud) -> None:
    """DescribeEndpoint returns the capture status Started.

    Source: sagemaker:API_DataCaptureConfigSummary.html
    """
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 20,
        "DestinationS3Uri": "s3://bucket/captured",
        "CaptureOptions": [{"CaptureMode": "Input"}],
    }
    found = cloud.describe(cloud.endpoint(cloud.config(DataCaptureConfig=capture)))["DataCaptureConfig"]
    assert (found["CaptureStatus"], found["CurrentSamplingPercentage"]) == ("Started", 20)


def test_async_is_told_of_an_endpoint(cloud: Cloud) -> None:
    """DescribeEndpoint returns AsyncInferenceConfig.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    config = {"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}}
    found = cloud.describe(cloud.endpoint(cloud.config(AsyncInferenceConfig=config)))
    assert found["AsyncInferenceConfig"] == config


def test_modification_is_told(cloud: Cloud) -> None:
    """LastModifiedTime changes with every change of the endpoint.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.endpoint()
    before = cloud.describe(name)
    assert before["CreationTime"] <= before["LastModifiedTime"]
    cloud.tick()
    cloud.want(name, DesiredWeight=2.0)
    cloud.advance(5)
    after = cloud.describe(name)
    assert after["CreationTime"] == before["CreationTime"]
    assert after["LastModifiedTime"] > before["LastModifiedTime"]


def test_endpoints_by_status(cloud: Cloud) -> None:
    """ListEndpoints accepts StatusEquals.

    Source: sagemaker:API_ListEndpoints.html
    """
    for status, names in (("InService", [cloud.endpoint()]), ("Failed", []), ("Creating", [])):
        found = cloud.sagemaker.list_endpoints(StatusEquals=status)["Endpoints"]
        assert [endpoint["EndpointName"] for endpoint in found] == names


def test_endpoints_by_name(cloud: Cloud) -> None:
    """ListEndpoints accepts NameContains, SortBy=Name and SortOrder.

    Source: sagemaker:API_ListEndpoints.html
    """
    config = cloud.config()
    for name in ("cat-2", "dog", "cat-1"):
        cloud.begin_endpoint(config, EndpointName=name)
    for order, names in (("Ascending", ["cat-1", "cat-2"]), ("Descending", ["cat-2", "cat-1"])):
        found = cloud.sagemaker.list_endpoints(NameContains="cat", SortBy="Name", SortOrder=order)
        assert [endpoint["EndpointName"] for endpoint in found["Endpoints"]] == names


def test_endpoints_by_page(cloud: Cloud) -> None:
    """Pages of ListEndpoints neither repeat nor omit endpoints.

    Source: sagemaker:API_ListEndpoints.html
    """
    config = cloud.config()
    names = sorted(cloud.begin_endpoint(config) for _ in range(7))
    pages = cloud.sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 3})
    sizes, found = [], []
    for page in pages:
        sizes.append(len(page["Endpoints"]))
        found += [endpoint["EndpointName"] for endpoint in page["Endpoints"]]
    assert (sizes, sorted(found)) == ([3, 3, 1], names)


def test_endpoints_by_time(cloud: Cloud) -> None:
    """ListEndpoints accepts CreationTime and LastModifiedTime, Before and After.

    Source: sagemaker:API_ListEndpoints.html
    """
    config = cloud.config()
    old = cloud.endpoint(config)
    cloud.tick()
    new = cloud.endpoint(config)
    first, second = cloud.describe(old)["LastModifiedTime"], cloud.describe(new)["CreationTime"]
    between = first + (second - first) / 2

    def found(**which: object) -> list[str]:
        return [endpoint["EndpointName"] for endpoint in cloud.sagemaker.list_endpoints(**which)["Endpoints"]]

    assert (found(CreationTimeBefore=between), found(CreationTimeAfter=between)) == ([old], [new])
    assert (found(LastModifiedTimeBefore=between), found(LastModifiedTimeAfter=between)) == ([old], [new])


def test_tags_of_a_new_endpoint(cloud: Cloud) -> None:
    """Tags given to CreateEndpoint are listed.

    Source: sagemaker:API_ListTags.html
    """
    tags = [{"Key": "team", "Value": "x"}]
    arn = cloud.describe(cloud.endpoint(Tags=tags))["EndpointArn"]
    assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags


def test_waiter_fails_with_the_endpoint(cloud: Cloud) -> None:
    """boto3's waiter endpoint_in_service ends with an error when the endpoint is Failed.

    Source: botocore, waiters of sagemaker
    """
    name = cloud.failed_endpoint()
    with pytest.raises(Exception, match="terminal failure state"):
        cloud.sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 2}
        )


def test_waiter_of_deletion(cloud: Cloud) -> None:
    """boto3's waiter endpoint_deleted recognises the deletion by the ValidationException.

    Source: botocore, waiters of sagemaker
    """
    name = cloud.endpoint()
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(5)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 2}
    )
    with pytest.raises(ClientError):
        cloud.describe(name)

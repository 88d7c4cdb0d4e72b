"""The control plane of SageMaker answers as AWS was recorded to."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local.recordings.facts import Fact, asks
from tests.local.region import Region
from tests.local.rules.cloud import IMAGE, ROLE, Cloud, rolling
from tests.local.rules.test_j_components import create, describe
from tests.local.rules.test_k_images import HTTP, login, push

FRONT = "arn:aws:sagemaker:us-east-1:123456789012"


def refusal(call: Callable[..., Any], **request: Any) -> tuple[int, str, str]:
    """Return status, code and message of a refusal."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    answer = caught.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


def client_in(cloud: Cloud, region: str, service: str = "sagemaker") -> Any:
    """Return a client of another Region."""
    session = boto3.Session(cloud.aws.access_key, "x", region_name=region)
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=cloud.aws.endpoint_url,
        config=Config(parameter_validation=False, proxies={}, retries={"total_max_attempts": 1}),
    )


def model_request(name: str = "m", **more: Any) -> dict[str, Any]:
    return {
        "ModelName": name,
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": IMAGE},
        **more,
    }


# Models


@asks("model-describe")
def test_model(cloud: Cloud, fact: Fact) -> None:
    found = cloud.described_model(cloud.model())
    assert set(found) - {"ResponseMetadata"} == {
        *("ModelName", "PrimaryContainer", "ExecutionRoleArn", "CreationTime", "ModelArn"),
        "EnableNetworkIsolation",
    }
    assert found["EnableNetworkIsolation"] is False
    assert found["PrimaryContainer"] == {"Image": IMAGE, "Mode": "SingleModel", "Environment": {}}


@asks("model-taken")
def test_model_name_is_taken(cloud: Cloud, fact: Fact) -> None:
    cloud.model("m")
    assert refusal(cloud.sagemaker.create_model, **model_request()) == (
        *(400, "ValidationException"),
        f'Cannot create already existing model "{FRONT}:model/m".',
    )


@asks("model-name-pattern")
def test_model_name_with_a_dot(cloud: Cloud, fact: Fact) -> None:
    status, code, message = refusal(cloud.sagemaker.create_model, **model_request("a.b"))
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(
        "1 validation error detected: Value 'a.b' at 'modelName' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: ^[a-zA-Z0-9]([\-a-zA-Z0-9]*[a-zA-Z0-9])?"
    )


@pytest.mark.parametrize("exists", [False, True])
@asks("model-role-invalid")
def test_model_role(cloud: Cloud, fact: Fact, exists: bool) -> None:
    arn = "arn:aws:iam::123456789012:role/other"
    if exists:
        principal = {
            "Effect": "Allow",
            "Principal": {"Service": "ec2.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        trust = json.dumps({"Version": "2012-10-17", "Statement": [principal]})
        cloud.client("iam").create_role(RoleName="other", AssumeRolePolicyDocument=trust)
    assert refusal(cloud.sagemaker.create_model, **model_request(ExecutionRoleArn=arn)) == (
        *(400, "ValidationException"),
        f'The execution role ARN "{arn}" is invalid. Please ensure that the role exists and that its trust relationship policy '
        'allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com".',
    )


def test_the_role_of_a_first_model_is_there_and_can_be_deleted(cloud: Cloud) -> None:
    iam = cloud.client("iam")
    assert iam.get_role(RoleName="sagemaker")["Role"]["Arn"] == ROLE
    cloud.model("m")
    foreign = ROLE.replace("123456789012", "210987654321")
    assert (
        "is invalid"
        in refusal(cloud.sagemaker.create_model, **model_request("n", ExecutionRoleArn=foreign))[2]
    )
    iam.delete_role(RoleName="sagemaker")
    assert "is invalid" in refusal(cloud.sagemaker.create_model, **model_request("n"))[2]


@asks("model-data-absent")
def test_model_data_is_absent(cloud: Cloud, fact: Fact) -> None:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://nowhere/model.tar.gz"}
    status, code, message = refusal(cloud.sagemaker.create_model, **model_request(PrimaryContainer=container))
    assert (status, code) == (400, "ValidationException")
    assert message.startswith("Could not find model data at s3://nowhere/model.tar.gz")


@asks("model-manifest")
def test_oci_manifest(cloud: Cloud, fact: Fact) -> None:
    kind = "application/vnd.oci.image.manifest.v1+json"
    image = push_manifest(cloud, kind)
    assert refusal(cloud.sagemaker.create_model, **model_request(PrimaryContainer={"Image": image})) == (
        *(400, "ValidationException"),
        f"Unsupported manifest media type {kind} for image {image}. Ensure that valid manifest media type is used for "
        "specified image.",
    )


def push_manifest(cloud: Cloud, kind: str, *, size: int | None = None) -> str:
    """Push an image with a manifest of a kind, and return its URI.

    :param size: What the manifest says of the size of its only layer. Default: it has none.
    """
    push(cloud, imageTagMutability="MUTABLE")
    url, headers = login(cloud)
    manifest = cloud.client("ecr").batch_get_image(repositoryName="team/repo", imageIds=[{"imageTag": "1"}])[
        "images"
    ][0]["imageManifest"]
    members = {**json.loads(manifest), "mediaType": kind}
    if size is not None:
        layer = "application/vnd.docker.image.rootfs.diff.tar.gzip"
        members["layers"] = [{**members["config"], "mediaType": layer, "size": size}]
    body = json.dumps(members)
    answer = HTTP.request(
        "PUT", f"{url}/v2/team/repo/manifests/oci", body=body, headers={**headers, "Content-Type": kind}
    )
    assert answer.status == 201, answer.data
    uri = cloud.client("ecr").describe_repositories()["repositories"][0]["repositoryUri"]
    return f"{uri}:oci"


@asks("model-package-and-image")
def test_image_and_model_package(cloud: Cloud, fact: Fact) -> None:
    container = {
        "Image": IMAGE,
        "ModelPackageName": "arn:aws:sagemaker:us-east-1:123456789012:model-package/p/1",
    }
    assert refusal(cloud.sagemaker.create_model, **model_request(PrimaryContainer=container)) == (
        *(400, "ValidationException"),
        "Specify one of either Image and Model Data URL or ModelPackageName in container definition.",
    )


# Endpoint configs


@asks("config-describe")
def test_config(cloud: Cloud, fact: Fact) -> None:
    found = cloud.described_config(cloud.config())
    assert set(found) - {"ResponseMetadata"} == {
        *("EndpointConfigName", "EndpointConfigArn", "ProductionVariants", "CreationTime"),
    }
    (variant,) = found["ProductionVariants"]
    assert set(variant) == {
        *("VariantName", "ModelName", "InitialInstanceCount", "InstanceType", "InitialVariantWeight"),
    }
    assert variant["InitialVariantWeight"] == 1.0


@asks("config-kms")
def test_config_with_a_key(cloud: Cloud, fact: Fact) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0f5ab0a1-1111-2222-3333-444444444444"
    assert cloud.described_config(cloud.config(KmsKeyId=key))["KmsKeyId"] == key


@asks("config-list")
def test_configs(cloud: Cloud, fact: Fact) -> None:
    cloud.config()
    (row,) = cloud.sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert set(row) == {"EndpointConfigName", "EndpointConfigArn", "CreationTime"}


@asks("config-taken")
def test_config_name_is_taken(cloud: Cloud, fact: Fact) -> None:
    cloud.config(EndpointConfigName="c")
    variant = cloud.variant()
    assert refusal(
        cloud.sagemaker.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant]
    ) == (
        *(400, "ValidationException"),
        f'Cannot create already existing endpoint configuration "{FRONT}:endpoint-config/c".',
    )


@asks("config-type", "config-type-words")
def test_instance_type(cloud: Cloud, fact: Fact) -> None:
    kind = "ml.m7g.large" if fact.id == "config-type" else "local"
    variant = cloud.variant(InstanceType=kind)
    status, code, message = refusal(
        cloud.sagemaker.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant]
    )
    assert (status, code) == (400, "ValidationException")
    assert message.startswith(
        f"1 validation error detected: Value '{kind}' at 'productionVariants.1.member.instanceType' failed to satisfy "
        "constraint: Member must satisfy enum value set: ["
    )


@asks("config-component-role")
def test_component_config_without_a_role(cloud: Cloud, fact: Fact) -> None:
    variant = {"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    status, _, _ = refusal(
        cloud.sagemaker.create_endpoint_config, EndpointConfigName="c", ProductionVariants=[variant]
    )
    assert status == 400


@asks("config-scale-to-zero-region")
def test_scale_to_zero_is_not_in_every_region(cloud: Cloud, fact: Fact) -> None:
    scaling = {"Status": "ENABLED", "MinInstanceCount": 0, "MaxInstanceCount": 2}
    request = {
        "EndpointConfigName": "c",
        "ExecutionRoleArn": ROLE,
        "ProductionVariants": [
            {
                "VariantName": "main",
                "InstanceType": "ml.g5.xlarge",
                "InitialInstanceCount": 1,
                "ManagedInstanceScaling": scaling,
            }
        ],
    }
    cloud.sagemaker.create_endpoint_config(**request)
    status, _, message = refusal(client_in(cloud, "eu-west-3").create_endpoint_config, **request)
    assert status == 400
    assert message == "Min instance count needs to be greater than 0 for enabled managed instance scaling"


# Endpoints


@asks("endpoint-creating-frozen")
def test_creating(tmp_path: Path, fact: Fact) -> None:
    region = Region(tmp_path, transition_seconds=3600)
    region.config("c")
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    region.clock.advance(35 * 60)
    found = region.described
    assert found["EndpointStatus"] == "Creating"
    assert found["LastModifiedTime"].replace(microsecond=0) == found["CreationTime"].replace(microsecond=0)


@asks("endpoint-inservice")
def test_in_service(cloud: Cloud, fact: Fact) -> None:
    found = cloud.describe(cloud.endpoint())
    (variant,) = found["ProductionVariants"]
    assert set(variant) == {
        *("VariantName", "DeployedImages", "CurrentWeight", "DesiredWeight"),
        *("CurrentInstanceCount", "DesiredInstanceCount"),
    }
    assert not {"FailureReason", "PendingDeploymentSummary", "LastDeploymentConfig"} & set(found)


@asks("endpoint-image-resolved")
def test_images_are_resolved_at_once(tmp_path: Path, fact: Fact) -> None:
    region = Region(tmp_path, transition_seconds=200)
    region.hosting.endpoints.capacity.limit("ml.m5.large", 0)
    region.config("c", region.variant(VariantInstanceProvisionTimeoutInSeconds=300))
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    # The instances come two minutes late.
    region.clock.advance(119)
    region.hosting.endpoints.capacity.limit("ml.m5.large", 4)
    region.clock.advance(300)
    found = region.described
    assert found["EndpointStatus"] == "InService"
    (image,) = found["ProductionVariants"][0]["DeployedImages"]
    assert image["ResolutionTime"] - found["CreationTime"] <= timedelta(seconds=1)
    assert found["LastModifiedTime"] - found["CreationTime"] > timedelta(minutes=2)


@asks("endpoint-failed-words")
def test_failed_ping(cloud: Cloud, fact: Fact) -> None:
    assert cloud.describe(cloud.failed_endpoint())["FailureReason"] == (
        "The primary container for production variant main did not pass the ping health check. Please check CloudWatch logs for "
        "this endpoint."
    )


@asks("endpoint-arn-case")
def test_capitals(cloud: Cloud, fact: Fact) -> None:
    found = cloud.describe(cloud.endpoint(EndpointName="MyEndpoint"))
    assert found["EndpointName"] == "MyEndpoint"
    assert found["EndpointArn"] == f"{FRONT}:endpoint/myendpoint"


@asks("endpoint-absent")
def test_absent_endpoint(cloud: Cloud, fact: Fact) -> None:
    assert refusal(cloud.sagemaker.describe_endpoint, EndpointName="e") == (
        *(400, "ValidationException"),
        f'Could not find endpoint "{FRONT}:endpoint/e".',
    )


@asks("endpoint-config-absent")
def test_absent_config(cloud: Cloud, fact: Fact) -> None:
    assert refusal(cloud.sagemaker.create_endpoint, EndpointName="e", EndpointConfigName="c") == (
        *(400, "ValidationException"),
        f'Could not find endpoint configuration "{FRONT}:endpoint-config/c".',
    )


def updating(cloud: Cloud) -> tuple[str, str]:
    name, config = cloud.endpoint(EndpointName="e"), cloud.config()
    cloud.update(name, config)
    assert cloud.status(name) == "Updating"
    return name, config


@asks("endpoint-update-updating")
def test_update_while_updating(cloud: Cloud, fact: Fact) -> None:
    name, config = updating(cloud)
    assert refusal(cloud.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config) == (
        400,
        "ValidationException",
        f'Cannot update in-progress endpoint "{FRONT}:endpoint/e".',
    )


@asks("endpoint-weights-updating")
def test_weights_while_updating(cloud: Cloud, fact: Fact) -> None:
    name, _ = updating(cloud)
    desired = [{"VariantName": "main", "DesiredWeight": 1}]
    for _ in range(3):
        status, code, message = refusal(
            cloud.sagemaker.update_endpoint_weights_and_capacities,
            EndpointName=name,
            DesiredWeightsAndCapacities=desired,
        )
        assert (status, code) == (400, "ValidationException")
        assert message.startswith("Cannot update in-progress endpoint")


@asks("endpoint-serverless")
def test_serverless_in_service(cloud: Cloud, fact: Fact) -> None:
    found = cloud.live(cloud.endpoint(cloud.config(cloud.serverless())))
    assert set(found) == {
        *("VariantName", "DeployedImages", "CurrentWeight", "DesiredWeight", "CurrentInstanceCount"),
        "CurrentServerlessConfig",
    }
    assert found["CurrentInstanceCount"] == 0


@asks("endpoint-capacity", "endpoint-capacity-pools")
def test_no_instances(cloud: Cloud, fact: Fact) -> None:
    with cloud.aws.fault("capacity", instance_type="ml.m5.large"):
        name = cloud.begin_endpoint()
        cloud.advance(5)
    found = cloud.describe(name)
    assert found["EndpointStatus"] == "Failed"
    assert found["FailureReason"].startswith(
        "Unable to provision requested ML compute capacity due to InsufficientInstanceCapacity error. Please retry using a "
        "different ML instance type or after some time."
    )
    if fact.id == "endpoint-capacity-pools":
        assert (
            "after some time. Consider configuring InstancePools in your EndpointConfig with multiple instance types for "
            "priority-based fallback to " in found["FailureReason"]
        )


@asks("endpoint-quota")
def test_quota(cloud: Cloud, fact: Fact) -> None:
    cloud.aws.set_quotas({"ml.m5.large for endpoint usage": 2})
    cloud.endpoint(cloud.config(cloud.variant(count=1)))
    config = cloud.config(cloud.variant(count=2))
    assert refusal(cloud.sagemaker.create_endpoint, EndpointName="e", EndpointConfigName=config) == (
        *(400, "ResourceLimitExceeded"),
        "The account-level service limit 'ml.m5.large for endpoint usage' is 2 Instances, with current utilization of 1 "
        "Instances and a request delta of 2 Instances. Please use AWS Service Quotas to request an increase for this quota. If "
        "AWS Service Quotas is not available, contact AWS support to request an increase for this quota.",
    )
    assert cloud.sagemaker.list_endpoints(NameContains="e")["Endpoints"][0]["EndpointName"] != "e"


@asks("quota-defaults")
def test_new_account(cloud: Cloud, fact: Fact) -> None:
    from airflow_sm_hosting.local import NEW_ACCOUNT_QUOTAS

    cloud.aws.set_quotas(NEW_ACCOUNT_QUOTAS)
    cloud.endpoint(cloud.config(cloud.variant(InstanceType="ml.t2.medium", count=2)))
    for kind in ("ml.t2.medium", "ml.m5.large", "ml.g5.xlarge"):
        config = cloud.config(cloud.variant(InstanceType=kind))
        request = {"EndpointName": "e", "EndpointConfigName": config}
        assert refusal(cloud.sagemaker.create_endpoint, **request)[1] == "ResourceLimitExceeded"
    config = cloud.config(cloud.serverless(MaxConcurrency=11))
    request = {"EndpointName": "e", "EndpointConfigName": config}
    assert refusal(cloud.sagemaker.create_endpoint, **request)[1] == "ResourceLimitExceeded"
    for _ in range(5):
        cloud.endpoint(cloud.config(cloud.serverless(MaxConcurrency=2)))
    config = cloud.config(cloud.serverless(MaxConcurrency=1))
    request = {"EndpointName": "e", "EndpointConfigName": config}
    assert refusal(cloud.sagemaker.create_endpoint, **request)[1] == "ResourceLimitExceeded"


@asks("endpoint-throttled")
def test_throttled(cloud: Cloud, fact: Fact) -> None:
    config = cloud.config()
    with cloud.aws.fault("throttle", operation="CreateEndpoint", rate=1):
        cloud.begin_endpoint(config)
        assert refusal(cloud.sagemaker.create_endpoint, EndpointName="e", EndpointConfigName=config) == (
            *(400, "ThrottlingException"),
            "Rate exceeded",
        )


@asks("update-clears-reason")
def test_good_update_after_a_bad_one(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint()
    with cloud.aws.fault("crash", endpoint="*", when="start"):
        cloud.update(name, cloud.config())
        cloud.advance(10)
    assert "FailureReason" in cloud.describe(name)
    cloud.update(name, cloud.config())
    cloud.advance(10)
    found = cloud.describe(name)
    assert found["EndpointStatus"] == "InService"
    assert "FailureReason" not in found


@asks("rolling-single-update", "rolling-single-create")
def test_rolling_on_one_instance(cloud: Cloud, fact: Fact) -> None:
    config = cloud.config(cloud.variant(count=1))
    request: dict[str, Any] = {
        "EndpointName": "e",
        "EndpointConfigName": config,
        "DeploymentConfig": rolling(),
    }
    if fact.operation == "UpdateEndpoint":
        cloud.endpoint(cloud.config(cloud.variant(count=1)), EndpointName="e")
        call = cloud.sagemaker.update_endpoint
    else:
        call = cloud.sagemaker.create_endpoint
    assert refusal(call, **request) == (
        *(400, "ValidationException"),
        "Cannot update endpoint with single instance using RollingUpdatePolicy",
    )


@asks("tags-delete")
def test_delete_tags(cloud: Cloud, fact: Fact) -> None:
    arn = cloud.describe(cloud.endpoint(Tags=[{"Key": "a", "Value": "b"}]))["EndpointArn"]
    answer = cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["a"])
    assert answer.pop("ResponseMetadata")["HTTPStatusCode"] == 200
    assert answer == {}


# Permissions


def under_policies(cloud: Cloud, service: str, *statements: dict[str, Any]) -> tuple[Any, str]:
    """Return a client of a user who has only these statements, and the user's ARN; IAM is enforced from now on."""
    iam = cloud.client("iam")
    arn = iam.create_user(UserName="u")["User"]["Arn"]
    if statements:
        document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName="u", PolicyName="p", PolicyDocument=document)
    key = iam.create_access_key(UserName="u")["AccessKey"]
    cloud.aws.enforce_iam()
    session = boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=cloud.aws.endpoint_url,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
    ), arn


@asks("denied-sagemaker")
def test_not_allowed(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint(EndpointName="e")
    sagemaker, user = under_policies(cloud, "sagemaker")
    assert refusal(sagemaker.describe_endpoint, EndpointName=name) == (
        *(400, "AccessDeniedException"),
        f"User: {user} is not authorized to perform: sagemaker:DescribeEndpoint on resource: {FRONT}:endpoint/e because no "
        "identity-based policy allows the sagemaker:DescribeEndpoint action",
    )


@asks("denied-explicit")
def test_denied(cloud: Cloud, fact: Fact) -> None:
    statements = [
        {"Effect": effect, "Action": "sagemaker:*", "Resource": "*"} for effect in ("Allow", "Deny")
    ]
    sagemaker, _ = under_policies(cloud, "sagemaker", *statements)
    _, code, message = refusal(
        sagemaker.create_training_job,
        TrainingJobName="t",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        RoleArn=ROLE,
        OutputDataConfig={"S3OutputPath": "s3://b/"},
        ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        StoppingCondition={"MaxRuntimeInSeconds": 60},
    )
    assert code == "AccessDeniedException"
    assert f"on resource: {FRONT}:training-job/t with an explicit deny" in message


@asks("denied-invoke")
def test_invocation_is_not_allowed(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint(EndpointName="e")
    runtime, user = under_policies(cloud, "sagemaker-runtime")
    _, code, message = refusal(runtime.invoke_endpoint, EndpointName=name, Body=b"1")
    assert code == "AccessDeniedException"
    assert message == (
        f"User: {user} is not authorized to perform: sagemaker:InvokeEndpoint on resource: {FRONT}:endpoint/e because no "
        "identity-based policy allows the sagemaker:InvokeEndpoint action"
    )


@asks("delete-scaled-permission")
def test_scaled_endpoint_is_not_deleted_without_permission(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint(EndpointName="e")
    cloud.scaled(name)
    sagemaker, _ = under_policies(
        cloud, "sagemaker", {"Effect": "Allow", "Action": "sagemaker:*", "Resource": "*"}
    )
    _, _, message = refusal(sagemaker.delete_endpoint, EndpointName=name)
    assert message == (
        "An Application AutoScaling scalable target exists for a variant being deleted, and the IAM identity used to invoke "
        "DeleteEndpoint does not have application-autoscaling:DeregisterScalableTarget permission to deregister the scalable target."
    )
    assert cloud.status(name) == "InService"


# Inference components


@asks("component-no-room")
def test_room_for_copies(cloud: Cloud, fact: Fact) -> None:
    variant = {"VariantName": "main", "InstanceType": "ml.g5.xlarge", "InitialInstanceCount": 1}
    host = cloud.endpoint(cloud.config(variant, ExecutionRoleArn=ROLE))
    for name, memory, status in (("small", 1024, "InService"), ("large", 4096, "Failed")):
        needs = {"MinMemoryRequiredInMb": memory}
        create(cloud, host, name, Specification={"ComputeResourceRequirements": needs})
        cloud.advance(5)
        found = describe(cloud, name)
        assert found["InferenceComponentStatus"] == status
        if status == "Failed":
            assert found["FailureReason"] == (
                "There is not enough hardware resources on the instances for this endpoint to create a copy of the inference "
                "component."
            )
        cloud.sagemaker.delete_inference_component(InferenceComponentName=name)
        cloud.advance(5)


@asks("component-delete-busy")
def test_busy_component_is_not_deleted(cloud: Cloud, fact: Fact) -> None:
    create(cloud, cloud.endpoint(cloud.component_config()))
    delete = cloud.sagemaker.delete_inference_component
    for state in ("CREATE_IN_PROGRESS", "UPDATE_RC_IN_PROGRESS"):
        message = refusal(delete, InferenceComponentName="component")[2]
        assert message.startswith("Cannot delete inference component ")
        assert f" while it is in state {state}" in message
        cloud.advance(5)
        cloud.sagemaker.update_inference_component_runtime_config(
            InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 2}
        )


@asks("component-host-delete")
def test_host_is_not_deleted(cloud: Cloud, fact: Fact) -> None:
    host = cloud.endpoint(cloud.component_config())
    create(cloud, host)
    cloud.advance(5)
    assert refusal(cloud.sagemaker.delete_endpoint, EndpointName=host) == (
        *(400, "ValidationException"),
        "Cannot delete endpoint with inference component associated. Please delete inference component and try it again.",
    )


@asks("component-absent")
def test_absent_component(cloud: Cloud, fact: Fact) -> None:
    _, code, message = refusal(cloud.sagemaker.describe_inference_component, InferenceComponentName="absent")
    assert code == "ValidationException"
    assert message.startswith("Could not find inference component ")


@asks("component-list")
def test_components(cloud: Cloud, fact: Fact) -> None:
    create(cloud, cloud.endpoint(cloud.component_config()))
    (row,) = cloud.sagemaker.list_inference_components()["InferenceComponents"]
    assert {"CreationTime", "InferenceComponentArn", "InferenceComponentName", "EndpointArn"} <= set(row)


# Times, events and maintenance


@asks("times-inservice")
def test_how_long_a_transition_takes_is_a_setting(tmp_path: Path, fact: Fact) -> None:
    region = Region(tmp_path, transition_seconds=210)
    region.config("c")
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    region.clock.advance(209)
    assert region.status == "Creating"
    region.clock.advance(2)
    assert region.status == "InService"


@asks("times-capacity")
def test_how_long_instances_are_waited_for_is_a_setting(tmp_path: Path, fact: Fact) -> None:
    region = Region(tmp_path, transition_seconds=31 * 60)
    region.hosting.endpoints.capacity.limit("ml.m5.large", 0)
    region.config("c")
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    region.clock.advance(30 * 60)
    assert region.status == "Creating"
    region.clock.advance(2 * 60)
    assert region.status == "Failed"


@asks("health-not-patched")
def test_no_maintenance_without_config(cloud: Cloud, fact: Fact) -> None:
    config = cloud.config()
    name = cloud.endpoint(config)
    before = cloud.live(name)
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=config)
    cloud.aws.set_endpoint_status(name, "SystemUpdating", 1)
    cloud.advance(5)
    assert cloud.status(name) == "InService"
    assert cloud.live(name) == before
    assert cloud.client("health").describe_events()["events"]


@asks("event-states")
def test_state_change_events(cloud: Cloud, fact: Fact) -> None:
    sqs, events = cloud.client("sqs"), cloud.client("events")
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    events.put_rule(Name="r", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}])
    name = cloud.endpoint()
    cloud.update(name, cloud.config())
    cloud.advance(5)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(5)
    found = []
    while messages := sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(json.loads(message["Body"])["detail"])
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    assert {"IN_SERVICE", "UPDATING", "DELETING"} <= {one["EndpointStatus"] for one in found}
    assert all(isinstance(one["CreationTime"], int) and one["Tags"] == {} for one in found)

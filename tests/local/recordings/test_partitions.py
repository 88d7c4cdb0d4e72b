"""ARNs have the partition of the Region, and a Region that there is not is a refusal: rules behind several recorded answers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.local.recordings.test_sagemaker import client_in, model_request, refusal
from tests.local.rules.cloud import Cloud

PARTITIONS = {
    "us-east-1": "aws",
    "cn-northwest-1": "aws-cn",
    "us-gov-west-1": "aws-us-gov",
    "eusc-de-east-1": "aws-eusc",
}


def arns(found: Any) -> set[str]:
    """Return all ARNs in answers."""
    if isinstance(found, dict):
        return {arn for value in found.values() for arn in arns(value)}
    if isinstance(found, list):
        return {arn for value in found for arn in arns(value)}
    return {found} if isinstance(found, str) and found.startswith("arn:") else set()


@pytest.mark.parametrize(("region", "partition"), PARTITIONS.items())
def test_every_arn_is_of_the_partition(cloud: Cloud, region: str, partition: str) -> None:
    sagemaker, scaling = client_in(cloud, region), client_in(cloud, region, "application-autoscaling")
    cloudwatch, codebuild = client_in(cloud, region, "cloudwatch"), client_in(cloud, region, "codebuild")
    iam, s3, ecr = (client_in(cloud, region, service) for service in ("iam", "s3", "ecr"))
    principal = {
        "Effect": "Allow",
        "Principal": {"Service": "sagemaker.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [principal]})
    role = iam.create_role(RoleName="own", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    where = {"CreateBucketConfiguration": {"LocationConstraint": region}} if partition != "aws" else {}
    s3.create_bucket(Bucket=f"bucket-{region}", **where)
    s3.put_object(Bucket=f"bucket-{region}", Key="model.tar.gz", Body=b"x")
    container = {
        "Image": model_request()["PrimaryContainer"]["Image"],
        "ModelDataUrl": f"s3://bucket-{region}/model.tar.gz",
    }
    answers = [
        sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container),
        sagemaker.create_endpoint_config(
            EndpointConfigName="c",
            ProductionVariants=[
                {
                    "VariantName": "main",
                    "ModelName": "m",
                    "InstanceType": "ml.m5.large",
                    "InitialInstanceCount": 1,
                }
            ],
        ),
        sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c"),
        ecr.create_repository(repositoryName="r"),
        codebuild.create_project(
            name="project",
            serviceRole=role,
            source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
        ),
    ]
    cloud.advance(5)
    target = cloud.resource("e")
    scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)
    answers += [
        scaling.put_scaling_policy(
            **target,
            PolicyName="track",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 10.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            },
        ),
        scaling.describe_scalable_targets(ServiceNamespace="sagemaker"),
        scaling.describe_scaling_policies(ServiceNamespace="sagemaker"),
        cloudwatch.describe_alarms(),
        sagemaker.describe_endpoint(EndpointName="e"),
    ]
    found = arns(answers)
    assert len(found) >= 10
    assert {arn.split(":")[1] for arn in found} == {partition}
    assert refusal(sagemaker.describe_model, ModelName="absent")[2] == (
        f'Could not find model "arn:{partition}:sagemaker:{region}:123456789012:model/absent".'
    )


@pytest.mark.parametrize("region", ["mars-north-1", "us-east-9", "nowhere"])
@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "list_models", "InvalidSignatureException"),
        ("sagemaker", "list_training_jobs", "InvalidSignatureException"),
        ("ecr", "describe_repositories", "InvalidSignatureException"),
        ("logs", "describe_log_groups", "InvalidSignatureException"),
        ("sns", "list_topics", "SignatureDoesNotMatch"),
        ("s3", "list_buckets", "AuthorizationHeaderMalformed"),
    ],
)
def test_unknown_region_is_refused(
    cloud: Cloud, region: str, service: str, operation: str, code: str
) -> None:
    status, found, message = refusal(getattr(client_in(cloud, region, service), operation))
    assert (status < 500, found) == (True, code)
    assert "valid Region" in message


def test_service_that_the_local_aws_does_not_have_is_refused(cloud: Cloud) -> None:
    """Never an InternalFailure, which clients would try again."""
    status, code, message = refusal(cloud.client("health").describe_events)
    assert (status, code) == (501, "NotImplemented")
    assert "health" in message

"""All that there is at the local AWS, in a form in which two worlds can be held against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import tags_of

#: What the services make up anew for each resource; and the seconds at which a run deployed, in its tag.
MADE_UP = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<=scalable-target/)[0-9a-f]{32}"
    r"|(?<=claimed )\d+|(?<=deployed )\d+|(?<=undone )\d+"
)


def world(aws: LocalAws) -> dict[str, Any]:
    """Return everything, without times, metadata and made-up ids; a scaling policy's ARN stands as its name."""
    sagemaker = aws.client("sagemaker")
    scaling = aws.client("application-autoscaling")
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    alarms = aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
    found: dict[str, Any] = {
        "models": {
            row["ModelName"]: [
                sagemaker.describe_model(ModelName=row["ModelName"]),
                tags_of(aws, row["ModelArn"]),
            ]
            for row in sagemaker.list_models()["Models"]
        },
        "configs": {
            row["EndpointConfigName"]: [
                sagemaker.describe_endpoint_config(EndpointConfigName=row["EndpointConfigName"]),
                tags_of(aws, row["EndpointConfigArn"]),
            ]
            for row in sagemaker.list_endpoint_configs()["EndpointConfigs"]
        },
        "endpoints": {
            row["EndpointName"]: [
                sagemaker.describe_endpoint(EndpointName=row["EndpointName"]),
                tags_of(aws, row["EndpointArn"]),
            ]
            for row in sagemaker.list_endpoints()["Endpoints"]
        },
        "components": {
            row["InferenceComponentName"]: [
                sagemaker.describe_inference_component(InferenceComponentName=row["InferenceComponentName"]),
                tags_of(aws, row["InferenceComponentArn"]),
            ]
            for row in sagemaker.list_inference_components()["InferenceComponents"]
        },
        "targets": [
            [target, scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]]
            for target in targets
        ],
        "policies": sorted(policies, key=lambda policy: policy["PolicyName"]),
        "schedules": scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"],
        "alarms": {
            alarm["AlarmName"]: [
                alarm,
                aws.client("cloudwatch").list_tags_for_resource(ResourceARN=alarm["AlarmArn"])["Tags"],
            ]
            for alarm in alarms
        },
        "objects": [
            [item["Key"], item["Size"]]
            for item in aws.client("s3").list_objects_v2(Bucket="models").get("Contents", [])
        ],
        "parts": aws.client("s3").list_multipart_uploads(Bucket="models").get("Uploads", []),
        "images": [
            sorted(str(image) for image in aws.client("ecr").list_images(repositoryName=name)["imageIds"])
            for name in sorted(
                repository["repositoryName"]
                for repository in aws.client("ecr").describe_repositories()["repositories"]
            )
        ],
    }
    names = {policy["PolicyARN"]: f"policy {policy['PolicyName']}" for policy in policies}
    return dict(_told(found, names))


def _told(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {
            _told(name, names): _told(item, names)
            for name, item in value.items()
            if not isinstance(item, datetime) and name != "ResponseMetadata" and not name.startswith("State")
        }
    if isinstance(value, list):
        return [_told(item, names) for item in value]
    if isinstance(value, str):
        return MADE_UP.sub("…", names.get(value, value))
    return value


def differing(where: str, found: Any, wanted: Any) -> Iterator[str]:
    """Tell where what was found is not what was wanted."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            yield from differing(f"{where}/{name}", found.get(name), wanted.get(name))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for index, pair in enumerate(zip(found, wanted, strict=True)):
            yield from differing(f"{where}/{index}", *pair)
    elif found != wanted:
        yield f"{where} is {found}, not {wanted}"

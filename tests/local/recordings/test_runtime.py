"""The runtime answers as AWS was recorded to."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.data_plane import Answer, Asked, DataPlane, slow
from tests.local.recordings.facts import Fact, asks
from tests.local.recordings.test_sagemaker import refusal
from tests.local.rules.cloud import Cloud
from tests.local.rules.test_j_components import create, describe


@asks("invoke-absent")
def test_absent_endpoint(cloud: Cloud, fact: Fact) -> None:
    assert refusal(cloud.runtime.invoke_endpoint, EndpointName="e", Body=b"1") == (
        *(400, "ValidationError"),
        "Endpoint e of account 123456789012 not found.",
    )


@asks("invoke-component-not-allowed")
def test_component_of_an_endpoint_of_models(cloud: Cloud, fact: Fact) -> None:
    request = {"EndpointName": cloud.endpoint(), "InferenceComponentName": "c", "Body": b"1"}
    assert refusal(cloud.runtime.invoke_endpoint, **request) == (
        *(400, "ValidationError"),
        "Inference Component Name header is not allowed for endpoints to which you dont plan to deploy inference components. "
        "Please remove the Inference Component Name header and try again.",
    )


def at_zero(cloud: Cloud) -> str:
    """Return an endpoint with a component without copies."""
    host = cloud.endpoint(cloud.component_config())
    create(cloud, host)
    cloud.advance(5)
    cloud.sagemaker.update_inference_component_runtime_config(
        InferenceComponentName="component", DesiredRuntimeConfig={"CopyCount": 0}
    )
    cloud.advance(5)
    return host


NO_CAPACITY = (
    "Inference Component has no capacity to process this request. ApplicationAutoScaling may be in-progress (if configured) or "
    "try to increase the capacity by invoking UpdateInferenceComponentRuntimeConfig API."
)


@asks("invoke-no-copies")
def test_no_copies(cloud: Cloud, fact: Fact) -> None:
    request = {"EndpointName": at_zero(cloud), "InferenceComponentName": "component", "Body": b"1"}
    assert refusal(cloud.runtime.invoke_endpoint, **request) == (400, "ValidationError", NO_CAPACITY)


@asks("times-no-capacity-alarm")
def test_component_at_zero_wakes(cloud: Cloud, fact: Fact) -> None:
    host = at_zero(cloud)
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "inference-component/component",
        "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount",
    }
    cloud.scaling.register_scalable_target(**target, MinCapacity=0, MaxCapacity=2)
    step = {"MetricIntervalLowerBound": 0, "ScalingAdjustment": 1}
    policy = cloud.scaling.put_scaling_policy(
        **target,
        PolicyName="wake",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Maximum",
            "Cooldown": 60,
            "StepAdjustments": [step],
        },
    )["PolicyARN"]
    cloud.alarm(
        "zero",
        Namespace="AWS/SageMaker",
        MetricName="NoCapacityInvocationFailures",
        Dimensions=[{"Name": "InferenceComponentName", "Value": "component"}],
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=[policy],
    )
    request = {"EndpointName": host, "InferenceComponentName": "component", "Body": b"1"}
    assert refusal(cloud.runtime.invoke_endpoint, **request)[2] == NO_CAPACITY
    began = cloud.now()
    while cloud.cloudwatch.describe_alarms(AlarmNames=["zero"])["MetricAlarms"][0]["StateValue"] != "ALARM":
        assert cloud.now() - began < timedelta(seconds=90)
        cloud.advance(1)
    cloud.advance(102)
    assert describe(cloud)["RuntimeConfig"]["CurrentCopyCount"] == 1


@asks("invoke-oversize-serverless")
def test_serverless_body(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    body = b"x" * (4 * 1024 * 1024 + 1)
    _, code, message = refusal(cloud.runtime.invoke_endpoint, EndpointName=name, Body=body)
    assert code == "ValidationError"
    assert message.startswith("Request ")
    assert message.endswith(" has oversize body.")


ASYNCHRONOUS: dict[str, Any] = {"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}}


@asks("invoke-async-on-realtime")
def test_asynchronous_request_to_a_realtime_endpoint(cloud: Cloud, fact: Fact) -> None:
    request = {"EndpointName": cloud.endpoint(), "InputLocation": "s3://bucket/in"}
    assert (
        "does not support this inference type" in refusal(cloud.runtime.invoke_endpoint_async, **request)[2]
    )


@asks("invoke-sync-on-async")
def test_request_to_an_asynchronous_endpoint(cloud: Cloud, fact: Fact) -> None:
    name = cloud.endpoint(cloud.config(AsyncInferenceConfig=ASYNCHRONOUS))
    message = refusal(cloud.runtime.invoke_endpoint, EndpointName=name, Body=b"1")[2]
    assert "does not support this inference type" in message


def model_error(plane: DataPlane, endpoint: str) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        plane.invoke(endpoint)
    return caught.value.response  # type: ignore[return-value]


@asks("invoke-model-error", "invoke-model-error-raw")
def test_model_error(plane: DataPlane, fact: Fact) -> None:
    raw = json.dumps({"code": 400, "type": "X", "message": 'no "y"'}, indent=2)
    status, body, who = (
        (500, "out of memory", "server") if fact.id == "invoke-model-error" else (400, raw, "client")
    )

    def model(asked: Asked) -> Answer:
        return Answer(body.encode(), status=status)

    name = plane.serving(model)
    error = model_error(plane, name)
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert error["Error"]["Code"] == "ModelError"
    assert error["Error"]["Message"] == (
        f'Received {who} error ({status}) from primary with message "{body}". See https://us-east-1.console.aws.amazon.com/'
        f"cloudwatch/home?region=us-east-1#logEventViewer:group=/aws/sagemaker/Endpoints/{name} in account 123456789012 for more "
        "information."
    )


@asks("invoke-timeout")
def test_no_answer_in_time(plane: DataPlane, fact: Fact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plane.hosting.runtime, "_timeout", 0.05)
    message = model_error(plane, plane.serving(slow(0.3)))["Error"]["Message"]
    assert message.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a response from '
        "container primary. Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try "
        'again.".'
    )

"""Invocations: rejected requests"""

from __future__ import annotations

from tests.local.rules.cloud import Cloud, refused

LIMIT = 6_291_456


def test_absent_endpoint_is_not_invoked(cloud: Cloud) -> None:
    """InvokeEndpoint of an endpoint that does not exist is a ValidationError: "Endpoint … of account … not found."

    Source: recorded:invoke-absent; sagemaker:API_runtime_InvokeEndpoint.html
    """
    with refused("Endpoint absent of account 123456789012 not found.", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName="absent", Body=b"1")


def test_case_of_an_invocation(cloud: Cloud) -> None:
    """InvokeEndpoint matches the case of an endpoint's name.

    Source: sagemaker:API_CreateEndpoint.html
    """
    cloud.endpoint(EndpointName="Mine")
    with refused("not found", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName="mine", Body=b"1")


def test_no_invocation_while_creating(cloud: Cloud) -> None:
    """An endpoint that is Creating cannot be invoked.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.begin_endpoint()
    with refused("Creating", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1")


def test_failed_is_not_invoked(cloud: Cloud) -> None:
    """A Failed endpoint cannot be invoked.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    name = cloud.failed_endpoint()
    with refused("Failed", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1")


def test_target_variant_exists(cloud: Cloud) -> None:
    """A TargetVariant that the endpoint does not have is rejected.

    Source: sagemaker:API_runtime_InvokeEndpoint.html; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("absent", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1", TargetVariant="absent")


def test_largest_body(cloud: Cloud) -> None:
    """A body has at most 6291456 bytes.

    Source: botocore, BodyBlob
    """
    name = cloud.endpoint()
    with refused("body", str(LIMIT), code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"x" * (LIMIT + 1))


def test_target_model_of_one_model(cloud: Cloud) -> None:
    """An endpoint with a single model rejects TargetModel.

    Source: guide:invoke-multi-model-endpoint.html; aws/amazon-sagemaker-examples#1026
    """
    name = cloud.endpoint()
    with refused("not a multi-model endpoint", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1", TargetModel="a.tar.gz")


def test_component_of_a_plain_endpoint(cloud: Cloud) -> None:
    """An endpoint without inference components rejects InferenceComponentName.

    Source: recorded:invoke-component-not-allowed; sagemaker:API_runtime_InvokeEndpoint.html, from its counterpart
    """
    name = cloud.endpoint()
    with refused("Inference Component Name header is not allowed", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1", InferenceComponentName="c")


def test_component_is_named(cloud: Cloud) -> None:
    """Invoking an endpoint with inference components requires the name of one.

    Source: sagemaker:API_runtime_InvokeEndpoint.html; aws-samples/amazon-kendra-langchain-extensions#64
    """
    name = cloud.endpoint(cloud.component_config())
    with refused("Inference Component Name header is required", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1")


def test_asynchronous_endpoints_are_asked_so(cloud: Cloud) -> None:
    """An asynchronous endpoint rejects InvokeEndpoint.

    Source: recorded:invoke-sync-on-async; guide:async-inference.html
    """
    config = cloud.config(AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}})
    name = cloud.endpoint(config)
    with refused("does not support this inference type", code="ValidationError"):
        cloud.runtime.invoke_endpoint(EndpointName=name, Body=b"1")


def test_other_endpoints_are_not(cloud: Cloud) -> None:
    """An endpoint that is not asynchronous rejects InvokeEndpointAsync.

    Source: recorded:invoke-async-on-realtime; guide:async-inference.html
    """
    name = cloud.endpoint()
    with refused("does not support", code="ValidationError"):
        cloud.runtime.invoke_endpoint_async(EndpointName=name, InputLocation="s3://bucket/in")

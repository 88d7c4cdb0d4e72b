"""What is not built is refused, and never a false success: over all operations of SageMaker that botocore knows."""

from __future__ import annotations

import json
import re

import boto3
import pytest
import urllib3

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.service_model.shapes import service_model
from tests.local.conftest import refusal_of
from tests.local.region import Region

# Nouns of hosting in the names of operations. Batch transform, training, monitoring and model cards are none of it.
HOSTING = re.compile(
    r"^[A-Z][a-z]+(?:Global)?"
    r"(?:Endpoint|EndpointConfig|EndpointPolicy|EndpointWeightsAndCapacities|Model|ModelPackage|ModelPackageGroup|ModelPackageGroupPolicy"
    r"|InferenceComponent|InferenceComponentRuntimeConfig|InferenceRouter|InferenceGateway|InferenceExperiment"
    r"|InferenceRecommendationsJob|InferenceRecommendationsJobStep|OptimizationJob)s?$"
    r"|^BatchDescribeModelPackage$|^GetScalingConfigurationRecommendation$"
)
OPERATIONS = list(service_model("sagemaker").operation_names)
OF_HOSTING = [name for name in OPERATIONS if HOSTING.match(name)]


def of_moto() -> set[str]:
    """Return the operations that moto has."""
    from moto.core.utils import camelcase_to_underscores
    from moto.sagemaker.responses import SageMakerResponse

    return {name for name in OPERATIONS if hasattr(SageMakerResponse, camelcase_to_underscores(name))}


def ask(aws: LocalAws, operation: str) -> tuple[int, str]:
    """Send a request without members, and return status and error code."""
    credential = f"Credential={aws.access_key}/20260101/{aws.region_name}/sagemaker/aws4_request"
    headers = {
        "X-Amz-Target": f"SageMaker.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"AWS4-HMAC-SHA256 {credential}, SignedHeaders=host, Signature=0",
    }
    answer = urllib3.request("POST", aws.endpoint_url, headers=headers, body=b"{}")
    return answer.status, json.loads(answer.data).get("__type", "")


def test_the_table_has_the_operations_of_hosting() -> None:
    assert {
        *("CreateEndpoint", "ListEndpointConfigs", "PutEndpointPolicy", "UpdateEndpointWeightsAndCapacities"),
        *("CreateModel", "ListModelPackages", "GetModelPackageGroupPolicy", "CreateInferenceRouter"),
        *("ListInferenceComponents", "AddInferenceGateway", "CreateGlobalInferenceGateway"),
    } <= set(OF_HOSTING)
    assert not {
        "CreateModelCard",
        "ListModelCards",
        "CreateModelBiasJobDefinition",
        "ListModelMetadata",
    } & set(OF_HOSTING)


@pytest.mark.parametrize("operation", OF_HOSTING)
def test_moto_answers_nothing_of_hosting(region: Region, operation: str) -> None:
    assert region.hosting.sagemaker.answers(operation, {}) or operation not in of_moto()


@pytest.mark.parametrize(
    "kind",
    [
        *(
            "model",
            "endpoint",
            "endpoint-config",
            "inference-component",
            "model-package",
            "model-package-group",
        ),
    ],
)
@pytest.mark.parametrize("operation", ["AddTags", "ListTags", "DeleteTags"])
def test_moto_answers_no_tags_of_hosting(region: Region, operation: str, kind: str) -> None:
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/a"
    assert region.hosting.sagemaker.answers(operation, {"ResourceArn": arn})


@pytest.mark.parametrize("resource", ["Endpoint", "Model", "ModelPackage", "ModelPackageGroup", "Unknown"])
def test_moto_searches_nothing_of_hosting(region: Region, resource: str) -> None:
    assert region.hosting.sagemaker.answers("Search", {"Resource": resource})


def test_what_nobody_has_is_not_implemented(aws: LocalAws, region: Region) -> None:
    missing = [
        name
        for name in OPERATIONS
        if name not in of_moto() and not region.hosting.sagemaker.answers(name, {})
    ]
    assert {"PutEndpointPolicy", "CreateInferenceRouter", "CreateInferenceExperiment"} <= set(missing)
    others = {name: answer for name in missing if (answer := ask(aws, name)) != (501, "NotImplemented")}
    assert others == {}


def test_what_is_built_needs_its_members(aws: LocalAws, region: Region) -> None:
    """An operation without the members that it requires is refused as such, so that the test above tells the two apart."""
    built = [name for name in OF_HOSTING if region.hosting.sagemaker.answers(name, {})]
    required = [
        name
        for name in built
        if (shape := service_model("sagemaker").operation_model(name).input_shape) and shape.required_members
    ]
    assert len(required) > 25
    assert {ask(aws, name) for name in required} == {(400, "ValidationException")}


@pytest.mark.parametrize(
    ("service", "operation", "request_part"),
    [
        (
            "sagemaker-inference-router-runtime",
            "invoke_inference_router",
            {"InferenceRouterName": "r", "RoutingTargetName": "t"},
        ),
        ("sagemaker-gateway-runtime", "invoke_global_inference_gateway", {"GatewayId": "gw-0123456789"}),
    ],
)
def test_runtimes_that_are_not_built_are_refused(
    aws: LocalAws, service: str, operation: str, request_part: dict[str, str]
) -> None:
    if service not in boto3.Session().get_available_services():
        pytest.skip(f"this botocore does not know {service}")
    call = getattr(aws.client(service), operation)
    assert refusal_of(call, **request_part, ContentType="text/csv", Body=b"1")[0] == "NotImplemented"

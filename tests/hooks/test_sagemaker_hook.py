"""SageMakerHostingHook, and the peers' hooks, against the local AWS."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from airflow.providers.amazon.aws.hooks.ecr import EcrHook
from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.hooks.sagemaker import SageMakerHook
from botocore.exceptions import ClientError

from airflow_sm_hosting.exceptions import InvalidSpecError, NotFoundError
from airflow_sm_hosting.hooks import SageMakerHostingHook
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    IMAGE,
    ROLE,
    answering,
    make_config,
    make_endpoint,
    make_model,
    operations,
    refusal,
    sagemaker_client,
    settled,
)


@pytest.fixture
def endpoint(aws: LocalAws) -> LocalAws:
    make_model(aws)
    make_config(aws, "c1")
    make_endpoint(aws, "c1")
    aws.clear_requests()
    return aws


def test_what_does_not_exist_is_described_as_none_and_deleted_without_an_error(aws: LocalAws) -> None:
    hook = SageMakerHostingHook()
    for kind in ("model", "endpoint_config", "endpoint"):
        assert getattr(hook, f"describe_{kind}")("gone") is None
        assert getattr(hook, f"delete_{kind}")("gone") is False


def test_what_exists(endpoint: LocalAws) -> None:
    hook = SageMakerHostingHook()
    assert hook.describe_model("model")["PrimaryContainer"]["Image"] == IMAGE
    assert hook.describe_endpoint_config("c1")["EndpointConfigName"] == "c1"
    found = hook.describe_endpoint("churn")
    assert found is not None
    assert found["EndpointStatus"] == "InService"
    assert "ResponseMetadata" not in found
    assert hook.delete_endpoint("churn") is True


@pytest.mark.parametrize("operation", ["DescribeModel", "DescribeEndpoint"])
def test_another_fault_is_not_taken_for_absence(endpoint: LocalAws, operation: str) -> None:
    hook = SageMakerHostingHook()
    for code, message in (
        ("AccessDeniedException", "Could not find"),
        ("ValidationException", "1 validation error"),
    ):
        describe = hook.describe_model if operation == "DescribeModel" else hook.describe_endpoint
        with answering(sagemaker_client(), operation, refusal(code, message)), pytest.raises(ClientError):
            describe("model")


def test_tags_are_paged_and_reconciled(endpoint: LocalAws) -> None:
    hook = SageMakerHostingHook()
    arn = hook.describe_endpoint("churn")["EndpointArn"]
    many = [{"Key": f"k{n}", "Value": str(n)} for n in range(45)]
    endpoint.client("sagemaker").add_tags(ResourceArn=arn, Tags=many)
    found = hook.tags(arn)
    assert len(found) == 46
    endpoint.clear_requests()
    hook.reconcile_tags(arn, found, {"k1": "1", "k2": "2"})
    assert operations(endpoint) == []
    hook.reconcile_tags(arn, found, {"k1": "other"})
    assert hook.tags(arn) == {**found, "k1": "other"}


@pytest.mark.usefixtures("short_pauses")
def test_what_was_made_just_before_is_asked_for_again(endpoint: LocalAws) -> None:
    """CreateEndpoint reads its config with eventual consistency (CreateEndpoint documentation)."""
    hook = SageMakerHostingHook()
    absent = refusal("ValidationException", 'Could not find endpoint configuration "arn".')
    with answering(sagemaker_client(), "CreateEndpoint", absent) as left:
        hook.until_consistent(
            lambda: hook.conn.create_endpoint(EndpointName="other", EndpointConfigName="c1")
        )
    assert left == []
    assert settled(endpoint, "other")["EndpointStatus"] == "InService"


# The Amazon provider and boto3, unmodified.


@pytest.mark.slow
def test_the_peers_sagemaker_hook_deploys_and_deletes(aws: LocalAws) -> None:
    hook = SageMakerHook()
    hook.create_model({"ModelName": "model", "PrimaryContainer": {"Image": IMAGE}, "ExecutionRoleArn": ROLE})
    for name in ("c1", "c2"):
        hook.create_endpoint_config(
            {
                "EndpointConfigName": name,
                "ProductionVariants": [
                    {
                        "VariantName": "main",
                        "ModelName": "model",
                        "InstanceType": "ml.m5.large",
                        "InitialInstanceCount": 1,
                    }
                ],
            }
        )
    hook.create_endpoint({"EndpointName": "churn", "EndpointConfigName": "c1"}, wait_for_completion=False)
    settled(aws)
    hook.update_endpoint({"EndpointName": "churn", "EndpointConfigName": "c2"}, wait_for_completion=False)
    assert settled(aws)["EndpointConfigName"] == "c2"
    assert hook.describe_endpoint("churn")["EndpointStatus"] == "InService"
    assert hook.describe_model("model")["ModelName"] == "model"
    hook.delete_model("model")


@pytest.mark.slow
def test_the_peers_s3_and_ecr_hooks(aws: LocalAws) -> None:
    s3 = S3Hook()
    s3.create_bucket("models")
    s3.load_string("content", "key", "models")
    assert s3.read_key("key", "models") == "content"
    [credentials] = EcrHook().get_temporary_credentials()
    assert credentials.username == "AWS"
    assert credentials.password
    assert credentials.proxy_endpoint == aws.endpoint_url


@pytest.mark.slow
def test_boto3_by_itself(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    session: Any = boto3.Session()
    session.client("sagemaker").create_model(
        ModelName="model", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE
    )
    session.client("sagemaker").create_endpoint_config(
        EndpointConfigName="c1",
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": "model",
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    session.client("sagemaker").create_endpoint(EndpointName="churn", EndpointConfigName="c1")
    waiter = session.client("sagemaker").get_waiter("endpoint_in_service")
    waiter.wait(EndpointName="churn", WaiterConfig={"Delay": 0.05, "MaxAttempts": 200})
    assert session.client("s3").list_buckets()["Buckets"] == []
    assert session.client("sts").get_caller_identity()["Account"] == aws.account_id


def test_a_variant_is_found_by_name_or_the_names_that_there_are_told(endpoint: LocalAws) -> None:
    hook = SageMakerHostingHook()
    assert hook.find_production_variant("churn", "main")["CurrentInstanceCount"] == 1
    with pytest.raises(NotFoundError, match="Endpoint churn has no production variant 'other'; it has: main"):
        hook.find_production_variant("churn", "other")
    with pytest.raises(NotFoundError, match="There is no endpoint 'gone' in us-east-1"):
        hook.find_production_variant("gone", "main")


def test_an_operation_is_called_by_its_name_with_a_validated_request(aws: LocalAws) -> None:
    hook = SageMakerHostingHook()
    assert hook.call("ListEndpoints", MaxResults="5") == {"Endpoints": []}
    aws.clear_requests()
    for operation, members, words in (
        ("ListEndpoint", {}, "nearest: ListEndpoints"),
        ("list_endpoints", {}, "is not known to the installed botocore"),
        ("ListEndpoints", {"MaxResult": 5}, "MaxResult"),
        ("PutEndpointPolicy", {"EndpointName": "churn"}, "ResourcePolicy"),
        ("CreateInferenceRouter", {"InferenceRouterName": "r", "RoutingTargets": []}, "RoutingTargets"),
    ):
        with pytest.raises(InvalidSpecError, match=words):
            hook.call(operation, **members)
    assert aws.requests() == []


def test_what_the_local_aws_does_not_have_is_no_success(aws: LocalAws) -> None:
    hook = SageMakerHostingHook()
    with pytest.raises(ClientError, match="NotImplemented"):
        hook.call("PutEndpointPolicy", EndpointName="churn", ResourcePolicy="{}")

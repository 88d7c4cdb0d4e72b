from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer


def client(aws: LocalAws, service: Any, key: str = "AKIAIOSFODNN7EXAMPLE", **more: Any) -> Any:
    return boto3.Session(aws_access_key_id=key, aws_secret_access_key="x", region_name="us-east-1").client(
        service, endpoint_url=aws.endpoint_url, **more
    )


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("sagemaker", "list_endpoints", "UnrecognizedClientException"),
        ("ecr", "describe_repositories", "UnrecognizedClientException"),
        ("logs", "describe_log_groups", "UnrecognizedClientException"),
        ("cloudwatch", "describe_alarms", "UnrecognizedClientException"),
        ("sts", "get_caller_identity", "InvalidClientTokenId"),
        ("iam", "list_roles", "InvalidClientTokenId"),
        ("s3", "list_buckets", "InvalidAccessKeyId"),
    ],
)
def test_another_access_key_is_refused(aws: LocalAws, service: str, operation: str, code: str) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        getattr(client(aws, service), operation)()
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    (entry,) = aws.requests()
    assert (entry["status"], entry["error"]) == (403, code)


def test_another_access_key_cannot_invoke(aws: LocalAws) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="UnrecognizedClientException"):
        client(aws, "sagemaker-runtime").invoke_endpoint(EndpointName="e", Body=b"x")


def test_anonymous_requests_are_refused(aws: LocalAws) -> None:
    with pytest.raises(botocore.exceptions.ClientError, match="InvalidAccessKeyId"):
        client(aws, "s3", config=Config(signature_version=UNSIGNED)).list_objects_v2(Bucket="b")


def test_presigned_urls_work_with_our_key_only(aws: LocalAws) -> None:
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a b/c.txt", Body=b"hello")
    for signature in ("s3v4", "s3"):
        config = Config(signature_version=signature)
        url = client(aws, "s3", aws.access_key, config=config).generate_presigned_url(
            "get_object", {"Bucket": "bucket", "Key": "a b/c.txt"}
        )
        asked = urllib.request.Request(url, headers={"Origin": "https://evil.example"})
        with urllib.request.urlopen(asked) as response:
            assert response.read() == b"hello"
            assert "Access-Control-Allow-Origin" not in response.headers
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url.replace(aws.access_key, "OTHER"))


def test_sessions_of_assumed_roles_work(aws: LocalAws) -> None:
    role = aws.client("iam").create_role(RoleName="r", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    session = aws.client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    other = client(aws, "sagemaker", session["AccessKeyId"])
    assert other.list_models()["Models"] == []


def get(aws: LocalAws, path: str, method: str = "GET", **headers: Any) -> Any:
    request = urllib.request.Request(f"{aws.endpoint_url}{path}", method=method, headers=headers)
    with urllib.request.urlopen(request) as response:
        return json.loads(response.read() or b"null"), response.headers


def test_health_needs_no_key_and_nothing_else_is_open(aws: LocalAws) -> None:
    health, headers = get(aws, "/_sm_hosting/health", Origin="https://evil.example")
    assert (health["engine"], health["pid"]) == ("none", aws._process.pid)
    assert not [name for name in headers if name.lower().startswith("access-control")]
    for method, path in (
        ("GET", "/_sm_hosting/requests"),
        ("POST", "/_sm_hosting/reset"),
        ("GET", "/v2/"),
        ("POST", "/moto-api/reset"),
        ("GET", "/moto-api/data.json"),
        ("GET", "/bucket/key"),
    ):
        with pytest.raises(urllib.error.HTTPError) as caught:
            get(aws, path, method)
        assert caught.value.code in (401, 403), path


def test_the_request_log_tells_what_was_done_and_nothing_of_what_was_said(deployer: Deployer) -> None:
    aws = deployer.aws
    deployer.model(Environment={"TOKEN": "swordfish"})
    aws.client("s3").create_bucket(Bucket="bucket")
    aws.client("s3").put_object(Bucket="bucket", Key="k", Body=b"swordfish")
    aws.client("cloudwatch").describe_alarms()
    aws.client("sts").get_caller_identity()
    with pytest.raises(botocore.exceptions.ClientError):
        deployer.describe("absent")
    entries = aws.requests()
    assert [(e["service"], e["operation"], e["mutating"], e["status"]) for e in entries] == [
        ("sagemaker", "CreateModel", True, 200),
        ("s3", "CreateBucket", True, 200),
        ("s3", "PutObject", True, 200),
        ("monitoring", "DescribeAlarms", False, 200),
        ("sts", "GetCallerIdentity", False, 200),
        ("sagemaker", "DescribeEndpoint", False, 400),
    ]
    assert entries[0]["resource"].startswith("model-")
    assert entries[2]["resource"] == "bucket/k"
    assert entries[-1]["error"] == "ValidationException"
    assert [e["number"] for e in entries] == sorted({e["number"] for e in entries})
    assert "swordfish" not in json.dumps(entries)
    aws.clear_requests()
    assert aws.requests() == []

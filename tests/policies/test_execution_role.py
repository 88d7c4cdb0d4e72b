"""The documents for execution roles, callers and repositories: what they allow, and what they do not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_sm_hosting import ContainerImage, ModelData, policies
from airflow_sm_hosting.exceptions import InvalidSpecError
from airflow_sm_hosting.local.iam.policy_evaluation import Effect, evaluate_policies, trusts

HERE = {"region_name": "eu-west-1", "account_id": "111122223333"}
KEY = "1234abcd-12ab-34cd-56ef-1234567890ab"
REPOSITORY = "arn:aws:ecr:eu-west-1:111122223333:repository/churn"
PULL = {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}


def allowed(document: dict[str, Any], action: str, resource: str, **context: str) -> bool:
    keys = {key.replace("__", ":"): value for key, value in context.items()}
    return evaluate_policies([document], action, resource, keys) is Effect.ALLOWED


def resources(document: dict[str, Any], action: str) -> list[str]:
    return [
        arn
        for statement in document["Statement"]
        if action in statement["Action"]
        for arn in statement["Resource"]
    ]


def test_sagemaker_and_nobody_else_may_assume_the_role() -> None:
    document = policies.trust()
    assert trusts(document, "sagemaker.amazonaws.com")
    assert not trusts(document, "lambda.amazonaws.com")
    assert document["Statement"] == [
        {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ]


def test_model_data_is_read_below_its_own_prefix_only() -> None:
    document = policies.execution_role(model_data=["s3://models/churn/"])
    assert allowed(document, "s3:GetObject", "arn:aws:s3:::models/churn/2/model.tar.gz")
    assert not allowed(document, "s3:GetObject", "arn:aws:s3:::models/churn-secret/model.tar.gz")
    assert not allowed(document, "s3:GetObject", "arn:aws:s3:::models/other/model.tar.gz")
    assert allowed(document, "s3:ListBucket", "arn:aws:s3:::models", s3__prefix="churn/2/")
    assert not allowed(document, "s3:ListBucket", "arn:aws:s3:::models", s3__prefix="")
    assert not allowed(document, "s3:ListBucket", "arn:aws:s3:::models", s3__prefix="other/")
    assert not allowed(document, "s3:ListBucket", "arn:aws:s3:::models")
    assert not allowed(document, "s3:PutObject", "arn:aws:s3:::models/churn/2/model.tar.gz")


@pytest.mark.parametrize(
    ("given", "object_arn", "prefix"),
    [
        ("s3://models/churn/model.tar.gz", "models/churn/*", "churn/*"),
        ("s3://models/team/churn/1/model.tar.gz", "models/team/churn/1/*", "team/churn/1/*"),
        ("s3://models/model.tar.gz", "models/model.tar.gz", "model.tar.gz"),
        ("s3://models/churn/", "models/churn/*", "churn/*"),
        ("s3://models/churn/*", "models/churn/*", "churn/*"),
        (
            "https://models.s3.eu-west-1.amazonaws.com/churn/model.tar.gz",
            "models/churn/*",
            "churn/*",
        ),
        ("https://s3.eu-west-1.amazonaws.com/models/churn/", "models/churn/*", "churn/*"),
        (
            "https://models.s3.cn-north-1.amazonaws.com.cn/churn/m",
            "models/churn/*",
            "churn/*",
        ),
        ("https://models.s3.dualstack.eu-west-1.amazonaws.com/churn/m", "models/churn/*", "churn/*"),
        ("https://models.s3.amazonaws.com/a+b/c%2Bd/m", "models/a b/c+d/*", "a b/c+d/*"),
        ("s3://models/a+b/c%2Bd/m", "models/a+b/c%2Bd/*", "a+b/c%2Bd/*"),
        (ModelData.from_bucket("models", "churn/m.tar.gz"), "models/churn/*", "churn/*"),
        (ModelData.from_prefix("models", "churn"), "models/churn/*", "churn/*"),
    ],
)
def test_every_form_of_model_data(given: Any, object_arn: str, prefix: str) -> None:
    document = policies.execution_role(model_data=[given])
    assert resources(document, "s3:GetObject") == [f"arn:aws:s3:::{object_arn}"]
    (listing,) = [one for one in document["Statement"] if one["Action"] == ["s3:ListBucket"]]
    assert listing["Resource"] == ["arn:aws:s3:::models"]
    assert listing["Condition"] == {"StringLike": {"s3:prefix": [prefix]}}


@pytest.mark.parametrize(
    ("given", "arn"),
    [
        ("churn", REPOSITORY),
        (REPOSITORY, REPOSITORY),
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:1", REPOSITORY),
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com/churn:1@sha256:" + "a" * 64, REPOSITORY),
        (
            "999999999999.dkr.ecr-fips.us-gov-west-1.amazonaws.com/team/churn",
            "arn:aws-us-gov:ecr:us-gov-west-1:999999999999:repository/team/churn",
        ),
        (
            "999999999999.dkr.ecr.cn-north-1.amazonaws.com.cn/churn:1",
            "arn:aws-cn:ecr:cn-north-1:999999999999:repository/churn",
        ),
        ("127.0.0.1:4566/churn@sha256:" + "a" * 64, REPOSITORY),
        ("team/*", "arn:aws:ecr:eu-west-1:111122223333:repository/team/*"),
        (ContainerImage.from_ecr_repository("churn"), REPOSITORY),
        (
            ContainerImage.from_ecr_repository("churn", registry_id="999999999999", region_name="us-east-1"),
            "arn:aws:ecr:us-east-1:999999999999:repository/churn",
        ),
        (
            ContainerImage.from_dlc("pytorch-inference", "2.6.0"),
            "arn:aws:ecr:eu-west-1:763104351884:repository/pytorch-inference",
        ),
    ],
)
def test_every_form_of_a_repository(given: Any, arn: str) -> None:
    document = policies.execution_role(repositories=[given], **HERE)
    assert {action for action in PULL if resources(document, action) == [arn]} == PULL
    assert resources(document, "ecr:GetAuthorizationToken") == ["*"]
    assert not allowed(document, "ecr:PutImage", arn)


def test_the_artifact_of_the_next_model_needs_no_other_policy() -> None:
    first, second = (f"s3://models/churn/{digit * 64}.tar.gz" for digit in "ab")
    document = policies.execution_role(model_data=[first])
    assert document == policies.execution_role(model_data=[second])
    assert document == policies.execution_role(model_data=[first, second])


def test_logs_and_metrics_of_endpoints_are_all_that_every_role_has() -> None:
    document = policies.execution_role(**HERE)
    group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/Endpoints/churn"
    for action in ("CreateLogGroup", "CreateLogStream", "DescribeLogStreams", "PutLogEvents"):
        assert allowed(document, f"logs:{action}", group)
        assert allowed(document, f"logs:{action}", f"{group}:log-stream:main/i-1")
        assert not allowed(document, f"logs:{action}", group.replace("Endpoints", "TrainingJobs"))
    assert allowed(
        document, "cloudwatch:PutMetricData", "*", cloudwatch__namespace="/aws/sagemaker/Endpoints"
    )
    assert not allowed(document, "cloudwatch:PutMetricData", "*", cloudwatch__namespace="Billing")
    assert not allowed(document, "cloudwatch:PutMetricData", "*")
    actions = {action for statement in document["Statement"] for action in statement["Action"]}
    assert {action.partition(":")[0] for action in actions} == {"logs", "cloudwatch"}


def test_logs_of_named_endpoints_only() -> None:
    document = policies.execution_role(endpoints=["churn"], **HERE)
    group = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/Endpoints/churn"
    assert allowed(document, "logs:PutLogEvents", f"{group}:log-stream:main/i-1")
    assert allowed(document, "logs:CreateLogGroup", group)
    assert not allowed(document, "logs:PutLogEvents", f"{group}-2:log-stream:main/i-1")


@pytest.mark.parametrize(
    ("parameter", "given", "action", "arn"),
    [
        ("kms_key_ids", KEY, "kms:Decrypt", f"arn:aws:kms:eu-west-1:111122223333:key/{KEY}"),
        ("kms_key_ids", f"arn:aws:kms:us-east-1:999999999999:key/{KEY}", "kms:Decrypt", f"arn:aws:kms:us-east-1:999999999999:key/{KEY}"),
        ("output_kms_key_ids", KEY, "kms:GenerateDataKey", f"arn:aws:kms:eu-west-1:111122223333:key/{KEY}"),
        ("volume_kms_key_ids", KEY, "kms:CreateGrant", f"arn:aws:kms:eu-west-1:111122223333:key/{KEY}"),
        ("output_data", "s3://results/churn", "s3:PutObject", "arn:aws:s3:::results/churn/*"),
        ("output_data", "s3://results/churn/", "s3:AbortMultipartUpload", "arn:aws:s3:::results/churn/*"),
        ("topics", "errors", "sns:Publish", "arn:aws:sns:eu-west-1:111122223333:errors"),
        ("topics", "arn:aws:sns:us-east-1:999999999999:x", "sns:Publish", "arn:aws:sns:us-east-1:999999999999:x"),
        ("alarms", "churn latency", "cloudwatch:DescribeAlarms", "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:churn latency"),
        ("secrets", "api-key", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:eu-west-1:111122223333:secret:api-key-??????"),
    ],
)  # fmt: skip
def test_what_is_there_on_request_only(parameter: str, given: str, action: str, arn: str) -> None:
    assert resources(policies.execution_role(**{parameter: [given]}, **HERE), action) == [arn]
    assert resources(policies.execution_role(**HERE), action) == []


def test_network_interfaces_are_made_in_the_models_subnets_only() -> None:
    create, front = "ec2:CreateNetworkInterface", "arn:aws:ec2:eu-west-1:111122223333"
    document = policies.execution_role(subnets=["subnet-1"], security_group_ids=["sg-1"], **HERE)
    assert resources(document, create) == [
        f"{front}:network-interface/*",
        f"{front}:security-group/sg-1",
        f"{front}:subnet/subnet-1",
    ]
    assert allowed(document, "ec2:DescribeDhcpOptions", "*")
    assert f"{front}:subnet/*" in resources(policies.execution_role(vpc=True, **HERE), create)
    assert resources(policies.execution_role(**HERE), create) == []


def test_further_statements_are_added_as_they_are() -> None:
    statement = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}
    document = policies.execution_role(model_data=["s3://models/churn/"], statements=[statement])
    assert document["Statement"][-1] == statement
    assert not allowed(document, "s3:GetObject", "arn:aws:s3:::models/churn/m")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-west-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b"),
     ("eusc-de-east-1", "aws-eusc")],
)  # fmt: skip
def test_every_arn_is_of_the_partition(region: str, partition: str) -> None:
    document = policies.execution_role(
        model_data=["s3://models/churn/"],
        output_data=["s3://results/churn/"],
        repositories=["churn"],
        kms_key_ids=[KEY],
        topics=["t"],
        alarms=["a"],
        secrets=["s"],
        vpc=True,
        region_name=region,
        account_id="111122223333",
    )
    arns = {arn for one in document["Statement"] for arn in one["Resource"]} - {"*"}
    assert {arn.split(":")[1] for arn in arns} == {partition}
    worker = policies.worker(
        repositories=["churn"],
        model_data=["s3://models/churn/"],
        execution_roles=["r"],
        region_name=region,
    )
    arns = {arn for one in worker["Statement"] for arn in one["Resource"]} - {"*"}
    assert {arn.split(":")[1] for arn in arns} == {partition}


BAD: list[tuple[dict[str, Any], str]] = [
    ({"model_data": ["s3://models"]}, "model_data: 's3://models' is a whole bucket; allowed: an object, or a prefix"),
    ({"model_data": ["s3://models/"]}, "whole bucket"),
    ({"model_data": ["s3://models/*"]}, "whole bucket"),
    ({"model_data": [ModelData.from_prefix("models", "")]}, "whole bucket"),
    ({"output_data": ["s3://models/"]}, "output_data: .* whole bucket"),
    ({"model_data": "s3://models/churn/"}, "model_data is a str; allowed: a list"),
    ({"model_data": ["models/churn"]}, "model_data is 'models/churn'; allowed: s3:// or https:// URLs"),
    ({"model_data": ["https://example.com/x"]}, "allowed: s3:// or https:// URLs of S3"),
    ({"model_data": [5]}, "model_data is 5"),
    ({"model_data": ["https://models.s3.amazonaws.com/a/m?X-Amz-Signature=abc"]}, r"/m\?\*\*\*'.*without a query"),
    ({"model_data": [ModelData.from_asset("model")]}, "allowed: s3:// or https:// URLs"),
    ({"repositories": ["Churn"]}, "repositories is 'Churn'; allowed: names or ARNs of ECR repositories"),
    ({"repositories": ["ghcr.io/team/churn:1"]}, "images in other registries are not pulled with IAM permissions"),
    ({"repositories": ["arn:aws:s3:::models"]}, "allowed: an ARN of the form arn:<partition>:ecr:…:repository/"),
    ({"repositories": [ContainerImage.from_dlc("x", "1")], "region_name": "*"}, "needs region_name, or its account_id"),
    ({"repositories": [ContainerImage.from_asset("x")]}, "allowed: names or ARNs of ECR repositories"),
    ({"kms_key_ids": ["alias/models"]}, "in a policy, an alias does not refer to its key"),
    ({"kms_key_ids": ["arn:aws:kms:eu-west-1:111122223333:alias/x"]}, "does not refer to its key"),
    ({"kms_key_ids": ["models"]}, "kms_key_ids is 'models'; allowed: IDs or ARNs of KMS keys"),
    ({"endpoints": ["a_b"]}, "endpoints is 'a_b'; allowed: names or ARNs of SageMaker endpoints"),
    ({"endpoints": ["arn:aws:sagemaker:eu-west-1:111122223333:model/x"]}, "an ARN of the form arn:<partition>:sagemaker:…:endpoint/"),
    ({"metric_namespaces": [":x"]}, "metric_namespaces is ':x'"),
    ({"subnets": ["vpc-1"]}, "subnets is 'vpc-1'; allowed: names or ARNs of subnets"),
    ({"security_group_ids": ["sg"]}, "security_group_ids is 'sg'"),
    ({"vpc": "True"}, "vpc is 'True'; allowed: True or False"),
    ({"topics": ["a b"]}, "topics is 'a b'; allowed: names or ARNs of SNS topics"),
    ({"alarms": [""]}, "alarms is ''"),
    ({"secrets": ["a b"]}, "allowed: names or ARNs of secrets"),
    ({"statements": [{"Effect": "Allow", "Action": "*"}]}, r"statements\[0\] must have exactly one of Resource and NotResource"),
    ({"statements": [{"Effect": "allow"}]}, r"statements\[0\]: Effect is 'allow'"),
    ({"statements": [{"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}]}, "has a Principal"),
    ({"statements": ["x"]}, r"statements\[0\] is a str; allowed: a dict"),
    ({"region_name": "Ireland"}, "region_name is 'Ireland'; allowed: a Region such as"),
    ({"account_id": 111122223333}, "account_id is 111122223333; allowed: an account of 12 digits, as a string"),
    ({"partition": "aws-mars"}, "partition is 'aws-mars'; allowed: aws, aws-cn"),
    ({"partition": "aws-cn"}, "partition is 'aws-cn', but eu-west-1 is in 'aws'"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "message"), BAD)
def test_bad_input_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        policies.execution_role(**{**HERE, **given})


# invoke_endpoint


@pytest.mark.parametrize(
    ("options", "actions"),
    [
        ({}, ["sagemaker:InvokeEndpoint"]),
        ({"asynchronous": True}, ["sagemaker:InvokeEndpoint", "sagemaker:InvokeEndpointAsync"]),
        ({"streaming": True, "synchronous": False}, ["sagemaker:InvokeEndpointWithResponseStream"]),
    ],
)
def test_how_an_endpoint_may_be_invoked(options: dict[str, bool], actions: list[str]) -> None:
    document = policies.invoke_endpoint("churn", **options, **HERE)
    assert document["Statement"] == [
        {
            "Effect": "Allow",
            "Action": actions,
            "Resource": ["arn:aws:sagemaker:eu-west-1:111122223333:endpoint/churn"],
        }
    ]


def test_a_name_with_capitals_is_allowed_as_it_is_and_as_sagemaker_shows_it() -> None:
    arn = "arn:aws:sagemaker:eu-west-1:111122223333:endpoint/Churn"
    document = policies.invoke_endpoint(arn)
    assert resources(document, "sagemaker:InvokeEndpoint") == [arn, arn.replace("Churn", "churn")]


def test_nothing_to_invoke_and_no_way_to_do_it_are_errors() -> None:
    with pytest.raises(InvalidSpecError, match="endpoints: nothing is given"):
        policies.invoke_endpoint()
    with pytest.raises(InvalidSpecError, match="allowed: one of them True"):
        policies.invoke_endpoint("churn", synchronous=False)
    with pytest.raises(InvalidSpecError, match="endpoints is 'a_b'"):
        policies.invoke_endpoint("a_b")


# image_pull


def test_another_accounts_role_and_sagemaker_itself_may_pull() -> None:
    role = "arn:aws:iam::999999999999:role/sagemaker"
    document = policies.image_pull(
        principals=[role, "888888888888"], service_accounts=["999999999999"], partition="aws"
    )
    of_role, of_service = document["Statement"]
    assert of_role["Principal"] == {"AWS": ["arn:aws:iam::888888888888:root", role]}
    assert of_service["Principal"] == {"Service": "sagemaker.amazonaws.com"}
    assert of_service["Condition"] == {"StringEquals": {"aws:SourceAccount": ["999999999999"]}}
    for statement in document["Statement"]:
        assert set(statement["Action"]) == PULL
        assert "Resource" not in statement  # a repository policy is about its repository
    json.dumps(document)
    in_china = policies.image_pull(principals=["888888888888"], partition="aws-cn")
    assert in_china["Statement"][0]["Principal"] == {"AWS": ["arn:aws-cn:iam::888888888888:root"]}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "principals: nothing is given"),
        ({"principals": ["*"]}, r"principals is '\*'"),
        ({"principals": [888888888888]}, "principals is 888888888888"),
        ({"service_accounts": ["x"]}, "service_accounts is 'x'"),
        ({"principals": "888888888888"}, "principals is a str; allowed: a list"),
        ({"principals": ["888888888888"], "partition": "x"}, "partition is 'x'"),
    ],
)
def test_bad_principals_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSpecError, match=message):
        policies.image_pull(**given)


def test_only_services_may_pull() -> None:
    document = policies.image_pull(service_accounts=["123456789012"])
    assert ["AWS" in statement["Principal"] for statement in document["Statement"]] == [False]


def test_a_container_that_publishes_no_metrics_may_publish_none() -> None:
    assert "cloudwatch:PutMetricData" not in str(policies.execution_role(metric_namespaces=[]))
    assert "cloudwatch:PutMetricData" in str(policies.execution_role())


def test_model_data_that_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="model_data is 5"):
        policies.execution_role(model_data=[5])


def test_a_bucket_that_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidSpecError, match="model_data is "):
        policies.execution_role(model_data=[{**ModelData.from_bucket("models", "k"), "Bucket": "NO"}])

"""The local AWS refuses what IAM would refuse: action, resource and conditions, in the words of each service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from tests.iam.conftest import USER, Worker
from tests.local.conftest import Deployer
from tests.operators.conftest import IMAGE, ROLE, make_config, make_endpoint, make_model

FRONT = "arn:aws:sagemaker:us-east-1:123456789012"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "sagemaker.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)


def refused(call: Callable[[], Any]) -> dict[str, Any]:
    """Return code, message and status of a refusal."""
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return {**error["Error"], "status": error["ResponseMetadata"]["HTTPStatusCode"]}


def ask(
    worker: Worker, signed_for: str, path: str = "/", *, headers: dict[str, str], body: bytes
) -> urllib3.BaseHTTPResponse:
    """Send a request as no SDK would send it."""
    credential = f"{worker.key['AccessKeyId']}/20260101/us-east-1/{signed_for}/aws4_request"
    authorization = f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0"
    url = f"{worker.aws.endpoint_url}{path}"
    return urllib3.request("POST", url, headers={"Authorization": authorization, **headers}, body=body)


def test_nothing_is_enforced_until_it_is_asked_for(aws: LocalAws) -> None:
    worker = Worker(aws)
    assert worker.client("sagemaker").list_models()["Models"] == []
    aws.enforce_iam()
    assert refused(worker.client("sagemaker").list_models)["Code"] == "AccessDeniedException"
    aws.enforce_iam(False)
    assert worker.client("sagemaker").list_models()["Models"] == []


def test_the_servers_own_key_is_root(worker: Worker) -> None:
    assert worker.aws.client("sagemaker").list_models()["Models"] == []
    assert worker.aws.iam_decisions() == []


@pytest.mark.parametrize(
    ("service", "call", "action", "resource", "code", "status"),
    [
        ("sagemaker", lambda c: c.describe_model(ModelName="Churn"), "sagemaker:DescribeModel", f"{FRONT}:model/churn", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.list_endpoints(), "sagemaker:ListEndpoints", f"{FRONT}:endpoint/*", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.create_model_package(ModelPackageGroupName="G"), "sagemaker:CreateModelPackage", f"{FRONT}:model-package/G/*", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.create_model_package(ModelPackageName="p"), "sagemaker:CreateModelPackage", f"{FRONT}:model-package/p", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.describe_model_package(ModelPackageName="G/3"), "sagemaker:DescribeModelPackage", f"{FRONT}:model-package/G/3", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.update_model_package(ModelPackageArn=f"{FRONT}:model-package/G/3"), "sagemaker:UpdateModelPackage", f"{FRONT}:model-package/G/3", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.batch_describe_model_package(ModelPackageArnList=[f"{FRONT}:model-package/G/3"]), "sagemaker:BatchDescribeModelPackage", f"{FRONT}:model-package/G/3", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.list_model_packages(ModelPackageGroupName=f"{FRONT}:model-package-group/G"), "sagemaker:ListModelPackages", f"{FRONT}:model-package/G/*", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.list_model_packages(), "sagemaker:ListModelPackages", f"{FRONT}:model-package/*", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.list_model_package_groups(), "sagemaker:ListModelPackageGroups", f"{FRONT}:model-package-group/*", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.describe_model_package_group(ModelPackageGroupName="G"), "sagemaker:DescribeModelPackageGroup", f"{FRONT}:model-package-group/G", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.put_model_package_group_policy(ModelPackageGroupName="G", ResourcePolicy="{}"), "sagemaker:PutModelPackageGroupPolicy", f"{FRONT}:model-package-group/G", "AccessDeniedException", 400),
        ("sagemaker", lambda c: c.list_tags(ResourceArn=f"{FRONT}:model/m"), "sagemaker:ListTags", f"{FRONT}:model/m", "AccessDeniedException", 400),
        ("sagemaker-runtime", lambda c: c.invoke_endpoint(EndpointName="e", Body=b""), "sagemaker:InvokeEndpoint", f"{FRONT}:endpoint/e", "AccessDeniedException", 403),
        ("sagemaker-runtime", lambda c: c.invoke_endpoint_async(EndpointName="e", InputLocation="s3://a/b"), "sagemaker:InvokeEndpointAsync", f"{FRONT}:endpoint/e", "AccessDeniedException", 403),
        ("sagemaker-runtime", lambda c: c.invoke_endpoint_with_response_stream(EndpointName="e", Body=b""), "sagemaker:InvokeEndpointWithResponseStream", f"{FRONT}:endpoint/e", "AccessDeniedException", 403),
        ("ecr", lambda c: c.describe_repositories(repositoryNames=["team/r"]), "ecr:DescribeRepositories", "arn:aws:ecr:us-east-1:123456789012:repository/team/r", "AccessDeniedException", 400),
        ("ecr", lambda c: c.get_authorization_token(), "ecr:GetAuthorizationToken", "*", "AccessDeniedException", 400),
        ("application-autoscaling", lambda c: c.describe_scalable_targets(ServiceNamespace="sagemaker"), "application-autoscaling:DescribeScalableTargets", "*", "AccessDeniedException", 400),
        ("cloudwatch", lambda c: c.describe_alarms(AlarmNames=["a b"]), "cloudwatch:DescribeAlarms", "arn:aws:cloudwatch:us-east-1:123456789012:alarm:a b", "AccessDenied", 400),
        ("cloudwatch", lambda c: c.describe_alarms(AlarmNames=["a"], AlarmTypes=["CompositeAlarm"]), "cloudwatch:DescribeAlarms", "*", "AccessDenied", 400),
        ("iam", lambda c: c.get_role(RoleName="r"), "iam:GetRole", "arn:aws:iam::123456789012:role/r", "AccessDenied", 403),
        ("iam", lambda c: c.list_roles(), "iam:ListRoles", "*", "AccessDenied", 403),
        ("sts", lambda c: c.assume_role(RoleArn=ROLE, RoleSessionName="session"), "sts:AssumeRole", ROLE, "AccessDenied", 403),
        ("logs", lambda c: c.get_log_events(logGroupName="/g", logStreamName="s"), "logs:GetLogEvents", "arn:aws:logs:us-east-1:123456789012:log-group:/g:log-stream:s", "AccessDeniedException", 400),
        ("s3", lambda c: c.list_objects_v2(Bucket="models", Prefix="a/"), "s3:ListBucket", "arn:aws:s3:::models", "AccessDenied", 403),
        ("s3", lambda c: c.get_object(Bucket="models", Key="a b/c"), "s3:GetObject", "arn:aws:s3:::models/a b/c", "AccessDenied", 403),
        ("s3", lambda c: c.create_multipart_upload(Bucket="models", Key="k"), "s3:PutObject", "arn:aws:s3:::models/k", "AccessDenied", 403),
        ("s3", lambda c: c.list_buckets(), "s3:ListAllMyBuckets", "*", "AccessDenied", 403),
        ("resourcegroupstaggingapi", lambda c: c.get_resources(), "tag:GetResources", "*", "AccessDeniedException", 400),
        ("sqs", lambda c: c.get_queue_url(QueueName="q"), "sqs:GetQueueUrl", "arn:aws:sqs:us-east-1:123456789012:q", "AccessDeniedException", 400),
        ("sns", lambda c: c.list_topics(), "sns:ListTopics", "*", "AccessDenied", 403),
    ],
)  # fmt: skip
def test_each_service_refuses_in_its_own_words(
    worker: Worker,
    service: str,
    call: Callable[[Any], Any],
    action: str,
    resource: str,
    code: str,
    status: int,
) -> None:
    error = refused(lambda: call(worker.client(service)))
    assert error["Message"] == (
        f"User: {worker.arn} is not authorized to perform: {action} on resource: {resource} because no identity-based "
        f"policy allows the {action} action"
    )
    assert (error["Code"], error["status"]) == (code, status)
    assert worker.aws.iam_decisions() == [
        {"identity": worker.arn, "action": action, "resource": resource, "allowed": False}
    ]
    assert worker.aws.requests()[-1]["error"] == code


def test_a_head_request_is_refused_without_words(worker: Worker) -> None:
    error = refused(lambda: worker.client("s3").head_object(Bucket="models", Key="k"))
    assert (error["Code"], error["status"]) == ("403", 403)
    assert worker.denied() == ["s3:GetObject"]


def test_keys_that_are_inactive_or_deleted_are_unknown(worker: Worker) -> None:
    worker.allow_only("*")
    iam = worker.aws.client("iam")
    who = {"UserName": USER, "AccessKeyId": worker.key["AccessKeyId"]}
    assert worker.client("sagemaker").list_models()["Models"] == []
    iam.update_access_key(**who, Status="Inactive")
    assert refused(worker.client("sagemaker").list_models)["Code"] == "UnrecognizedClientException"
    iam.update_access_key(**who, Status="Active")
    assert worker.client("sagemaker").list_models()["Models"] == []
    iam.delete_access_key(**who)
    assert refused(worker.client("sagemaker").list_models)["Code"] == "UnrecognizedClientException"


def test_temporary_credentials_of_a_user_are_refused(worker: Worker) -> None:
    """The local AWS knows sessions of roles only."""
    worker.allow_only("*")
    session = worker.client("sts").get_session_token()["Credentials"]
    worker.key = {name: session[name] for name in ("AccessKeyId", "SecretAccessKey")}
    assert refused(worker.client("sagemaker").list_models)["Code"] == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("signed_for", "target"),
    [
        ("s3", "SageMaker.CreateModel"),
        ("ecr", "SageMaker.CreateModel"),
        ("sagemaker", "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories"),
        ("sagemaker", "Nonsense"),
        ("sagemaker", "SageMaker."),
        ("sagemaker", ""),
    ],
)
def test_a_signature_for_another_service_and_an_odd_target_allow_nothing(
    worker: Worker, signed_for: str, target: str
) -> None:
    worker.allow_only("sagemaker:List*")
    answer = ask(worker, signed_for, headers={"X-Amz-Target": target}, body=b"{}")
    assert answer.status in (400, 403)
    assert b"is not authorized to perform" in answer.data
    assert worker.aws.client("sagemaker").list_models()["Models"] == []


def test_a_refusal_in_cbor_is_one(worker: Worker) -> None:
    path = "/service/GraniteServiceVersion20100801/operation/DescribeAlarms"
    answer = ask(worker, "monitoring", path, headers={"Content-Type": "application/cbor"}, body=b"\xa0")
    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/cbor")
    assert b"AccessDenied" in answer.data
    assert b"cloudwatch:DescribeAlarms" in answer.data


@pytest.mark.parametrize("body", [b"{nope", b"[1]", b"[" * 100_000])
def test_a_body_that_cannot_be_read_allows_nothing(worker: Worker, body: bytes) -> None:
    headers = {"X-Amz-Target": "SageMaker.ListModels"}
    assert b"is not authorized to perform" in ask(worker, "sagemaker", headers=headers, body=body).data
    worker.allow_only("*")
    assert b"SerializationException" in ask(worker, "sagemaker", headers=headers, body=body).data


def test_who_one_is_may_always_be_asked(worker: Worker) -> None:
    assert worker.client("sts").get_caller_identity()["Arn"] == worker.arn


def test_the_resource_counts(worker: Worker) -> None:
    worker.allow_only("sagemaker:DescribeModel", f"{FRONT}:model/churn-*")
    for name, code in (("churn-1", "ValidationException"), ("other", "AccessDeniedException")):
        assert (
            refused(lambda name=name: worker.client("sagemaker").describe_model(ModelName=name))["Code"]
            == code
        )


def test_an_explicit_denial_says_so(worker: Worker) -> None:
    statements = [
        {"Effect": effect, "Action": "sagemaker:*", "Resource": resource}
        for effect, resource in (("Allow", "*"), ("Deny", f"{FRONT}:model/*"))
    ]
    worker.allow({"Version": "2012-10-17", "Statement": statements})
    message = refused(lambda: worker.client("sagemaker").describe_model(ModelName="m"))["Message"]
    assert message.endswith("with an explicit deny in an identity-based policy")


def test_what_is_not_evaluated_is_refused_and_said(worker: Worker) -> None:
    worker.allow_only("sagemaker:*", IpAddress=("aws:SourceIp", "10.0.0.0/8"))
    message = refused(lambda: worker.client("sagemaker").list_models())["Message"]
    assert "does not evaluate the condition operator IpAddress" in message


def test_creating_with_tags_needs_the_right_to_tag_and_passing_a_role_that_too(worker: Worker) -> None:
    request = {
        "ModelName": "churn",
        "PrimaryContainer": {"Image": IMAGE},
        "ExecutionRoleArn": ROLE,
        "Tags": [{"Key": "a", "Value": "b"}],
    }
    create = worker.client("sagemaker").create_model
    needed = ["sagemaker:CreateModel", "sagemaker:AddTags", "iam:PassRole"]
    for count in range(3):
        worker.allow_only(needed[:count])
        message = refused(lambda: create(**request))["Message"]
        assert (
            f"perform: {needed[count]} on resource: {FRONT + ':model/churn' if count < 2 else ROLE}"
            in message
        )
    worker.allow_only(needed)
    create(**request)
    condition = {"StringEquals": ("iam:PassedToService", "sagemaker.amazonaws.com")}
    worker.allow_only(needed, StringEquals=("iam:PassedToService", "lambda.amazonaws.com"))
    assert "CreateModel" in refused(lambda: create(**request))["Message"]  # it has no such key
    worker.allow(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": needed[:2], "Resource": "*"}]},
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": "iam:PassRole",
                    "Resource": ROLE,
                    "Condition": {op: {key: value} for op, (key, value) in condition.items()},
                }
            ],
        },
    )
    create(**{**request, "ModelName": "churn-2"})


def test_an_endpoint_is_created_and_updated_on_itself_and_on_its_config(worker: Worker) -> None:
    aws, client = worker.aws, worker.client("sagemaker")
    make_config(aws, "config", make_model(aws))
    create = lambda: client.create_endpoint(EndpointName="churn", EndpointConfigName="config")  # noqa: E731
    worker.allow_only("sagemaker:CreateEndpoint", f"{FRONT}:endpoint/churn")
    assert f"{FRONT}:endpoint-config/config" in refused(create)["Message"]
    worker.allow_only(
        "sagemaker:CreateEndpoint", [f"{FRONT}:endpoint/churn", f"{FRONT}:endpoint-config/config"]
    )
    create()


def test_an_encrypted_volume_needs_a_grant(worker: Worker) -> None:
    aws, client, key = worker.aws, worker.client("sagemaker"), "1234abcd-12ab-34cd-56ef-1234567890ab"
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="config",
        KmsKeyId=key,
        ProductionVariants=[
            {
                "VariantName": "main",
                "ModelName": make_model(aws),
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": 1,
            }
        ],
    )
    worker.allow_only("sagemaker:CreateEndpoint")
    message = refused(lambda: client.create_endpoint(EndpointName="churn", EndpointConfigName="config"))[
        "Message"
    ]
    assert f"kms:CreateGrant on resource: arn:aws:kms:us-east-1:123456789012:key/{key}" in message


def test_deleting_a_scaled_endpoint_needs_the_right_to_deregister(worker: Worker) -> None:
    aws = worker.aws
    make_endpoint(aws, make_config(aws, "config", make_model(aws)))
    aws.client("application-autoscaling").register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId="endpoint/churn/variant/main",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=2,
    )
    worker.allow_only("sagemaker:DeleteEndpoint")
    message = refused(lambda: worker.client("sagemaker").delete_endpoint(EndpointName="churn"))["Message"]
    assert "application-autoscaling:DeregisterScalableTarget" in message


def test_registering_a_scalable_target_looks_for_its_callers_permissions(worker: Worker) -> None:
    aws = worker.aws
    make_endpoint(aws, make_config(aws, "config", make_model(aws)))

    def register() -> Any:
        return worker.client("application-autoscaling").register_scalable_target(
            ServiceNamespace="sagemaker",
            ResourceId="endpoint/churn/variant/main",
            ScalableDimension="sagemaker:variant:DesiredInstanceCount",
            MinCapacity=1,
            MaxCapacity=2,
        )

    own = "application-autoscaling:RegisterScalableTarget"
    validated = [
        "sagemaker:DescribeEndpoint",
        "sagemaker:DescribeEndpointConfig",
        "sagemaker:UpdateEndpointWeightsAndCapacities",
        "cloudwatch:PutMetricAlarm",
        "cloudwatch:DescribeAlarms",
        "cloudwatch:DeleteAlarms",
        "iam:CreateServiceLinkedRole",
    ]
    worker.allow_only(own)
    error = refused(register)
    assert error["Code"] == "ValidationException"
    assert [action for action in validated if action in error["Message"]] == validated
    worker.allow_only([own, *validated], "*")
    register()
    role = "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    path = aws.client("iam").get_role(RoleName=role)["Role"]["Path"]
    assert path == "/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
    # The role is there now, and need not be made again.
    worker.allow_only([own, *validated[:-1]])
    register()


def test_a_missing_object_is_missing_only_for_who_may_list(worker: Worker) -> None:
    worker.aws.client("s3").create_bucket(Bucket="models")
    head = lambda: worker.client("s3").head_object(Bucket="models", Key="k")  # noqa: E731
    worker.allow_only("s3:GetObject", "arn:aws:s3:::models/*")
    assert refused(head)["Code"] == "403"
    worker.allow_only(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::models/*", "arn:aws:s3:::models"])
    assert refused(head)["Code"] == "404"


def test_a_bucket_is_listed_under_the_prefix_that_a_policy_names(worker: Worker) -> None:
    worker.aws.client("s3").create_bucket(Bucket="models")
    worker.allow_only("s3:ListBucket", StringLike=("s3:prefix", "churn/*"))
    listing = worker.client("s3").list_objects_v2
    assert listing(Bucket="models", Prefix="churn/1/")["KeyCount"] == 0
    for prefix in ({}, {"Prefix": ""}, {"Prefix": "other/"}):
        assert refused(lambda prefix=prefix: listing(Bucket="models", **prefix))["Code"] == "AccessDenied"


def test_an_object_that_a_key_encrypts_needs_the_key(worker: Worker) -> None:
    worker.aws.client("s3").create_bucket(Bucket="models")
    options = {"Bucket": "models", "Key": "k", "ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "my-key"}
    worker.allow_only("s3:PutObject")
    message = refused(lambda: worker.client("s3").put_object(Body=b"", **options))["Message"]
    assert "kms:GenerateDataKey on resource: arn:aws:kms:us-east-1:123456789012:key/my-key" in message
    worker.allow_only(["s3:PutObject", "kms:GenerateDataKey"])
    worker.client("s3").put_object(Body=b"", **options)
    assert "kms:Decrypt" in refused(lambda: worker.client("s3").create_multipart_upload(**options))["Message"]


def test_the_registry_knows_who_has_logged_in(worker: Worker) -> None:
    aws = worker.aws
    repository = aws.client("ecr").create_repository(repositoryName="churn")["repository"]["repositoryArn"]
    pushed = Deployer(aws).push_image({}, repository="churn")

    class AsWorker(Deployer):
        def registry_login(self) -> dict[str, str]:
            data = worker.client("ecr").get_authorization_token()["authorizationData"][0]
            return {"Authorization": f"Basic {data['authorizationToken']}"}

    pusher = AsWorker(aws)
    pull = lambda: pusher.http.request(  # noqa: E731
        "GET", f"{aws.endpoint_url}/v2/churn/manifests/latest", headers=pusher.registry_login()
    )
    worker.allow_only("ecr:GetAuthorizationToken")
    answer = pull()
    (error,) = json.loads(answer.data)["errors"]
    assert (answer.status, error["code"]) == (403, "DENIED")
    assert (
        f"{worker.arn} is not authorized to perform: ecr:BatchGetImage on resource: {repository}"
        in error["message"]
    )

    needed = [
        "ecr:GetAuthorizationToken",
        "ecr:InitiateLayerUpload",
        "ecr:CompleteLayerUpload",
        "ecr:PutImage",
    ]
    for missing in needed[1:]:
        worker.allow_only([action for action in needed if action != missing])
        with pytest.raises(AssertionError, match=missing):
            pusher.push_image({}, repository="churn", tag="second")
    worker.allow_only(needed)
    assert pusher.push_image({}, repository="churn", tag="second") == pushed.replace("latest", "second")


def test_a_forged_login_is_none(worker: Worker) -> None:
    import base64

    other = base64.b64encode(f"AWS:{worker.aws.access_key}.{'0' * 64}".encode()).decode()
    answer = Deployer(worker.aws).http.request(
        "GET", f"{worker.aws.endpoint_url}/v2/", headers={"Authorization": f"Basic {other}"}
    )
    assert answer.status == 401


# Asking beforehand


def allowing(action: str, resource: str = "*", effect: str = "Allow") -> str:
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_what_a_role_may_do_is_simulated(aws: LocalAws) -> None:
    iam = aws.client("iam")
    boundary = iam.create_policy(PolicyName="only-s3", PolicyDocument=allowing("s3:*"))["Policy"]["Arn"]
    role = iam.create_role(RoleName="serving", AssumeRolePolicyDocument=TRUST)["Role"]["Arn"]

    def simulated(arn: str = role, **more: Any) -> dict[str, str]:
        actions = ["s3:GetObject", "ecr:GetAuthorizationToken"]
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=arn, ActionNames=actions, **more
        )
        results = [result for page in pages for result in page["EvaluationResults"]]
        return {result["EvalActionName"]: result["EvalDecision"] for result in results}

    def answer(s3: str, ecr: str) -> dict[str, str]:
        return {"s3:GetObject": s3, "ecr:GetAuthorizationToken": ecr}

    assert simulated() == answer("implicitDeny", "implicitDeny")
    iam.put_role_policy(RoleName="serving", PolicyName="ecr", PolicyDocument=allowing("ecr:*"))
    iam.put_role_policy(
        RoleName="serving", PolicyName="s3", PolicyDocument=allowing("s3:*", "arn:aws:s3:::models/*")
    )
    # Without a resource, all resources are asked about.
    assert simulated() == answer("implicitDeny", "allowed")
    assert simulated(ResourceArns=["arn:aws:s3:::models/a"])["s3:GetObject"] == "allowed"
    denial = allowing("ecr:*", effect="Deny")
    assert simulated(PolicyInputList=[denial]) == answer("implicitDeny", "explicitDeny")
    iam.put_role_permissions_boundary(RoleName="serving", PermissionsBoundary=boundary)
    assert simulated() == answer("implicitDeny", "implicitDeny")
    error = refused(lambda: simulated(f"{role}-absent"))
    assert (error["Code"], error["status"]) == ("NoSuchEntity", 404)
    error = refused(lambda: simulated(ResourcePolicy=denial))
    assert (error["Code"], error["Message"]) == (
        "InvalidInput",
        "The local AWS does not simulate ResourcePolicy.",
    )


def test_users_and_groups_are_simulated_too(worker: Worker) -> None:
    iam = worker.aws.client("iam")
    group = iam.create_group(GroupName="workers")["Group"]["Arn"]
    iam.put_group_policy(GroupName="workers", PolicyName="lists", PolicyDocument=allowing("sagemaker:List*"))

    def decision(arn: str) -> str:
        answer = iam.simulate_principal_policy(PolicySourceArn=arn, ActionNames=["sagemaker:ListModels"])
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    assert (decision(group), decision(worker.arn)) == ("allowed", "implicitDeny")
    iam.add_user_to_group(GroupName="workers", UserName="worker")
    assert decision(worker.arn) == "allowed"


def test_what_the_local_aws_does_not_have_is_said_in_the_protocol_of_the_service(aws: LocalAws) -> None:
    iam = aws.client("iam")
    error = refused(lambda: iam.get_context_keys_for_principal_policy(PolicySourceArn=ROLE))
    assert (error["Code"], error["status"]) == ("NotImplemented", 501)


# Whose policies count


def test_managed_policies_groups_and_users(worker: Worker) -> None:
    iam = worker.aws.client("iam")
    document = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": "sagemaker:List*", "Resource": "*"}],
        }
    )
    listing = worker.client("sagemaker").list_models
    managed = iam.create_policy(PolicyName="lists", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_user_policy(UserName="worker", PolicyArn=managed)
    assert listing()["Models"] == []
    iam.detach_user_policy(UserName="worker", PolicyArn=managed)
    assert refused(listing)
    iam.create_group(GroupName="workers")
    iam.put_group_policy(GroupName="workers", PolicyName="lists", PolicyDocument=document)
    iam.add_user_to_group(GroupName="workers", UserName="worker")
    assert listing()["Models"] == []


def test_a_session_has_its_roles_policies_within_the_boundary(worker: Worker) -> None:
    iam = worker.aws.client("iam")

    def document(action: str) -> str:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    boundary = iam.create_policy(PolicyName="models", PolicyDocument=document("sagemaker:ListModels"))
    role = iam.create_role(
        RoleName="airflow",
        Path="/team/",
        AssumeRolePolicyDocument=TRUST,
        PermissionsBoundary=boundary["Policy"]["Arn"],
    )["Role"]["Arn"]
    iam.put_role_policy(RoleName="airflow", PolicyName="p", PolicyDocument=document("sagemaker:*"))
    session = worker.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="task")["Credentials"]
    worker.key = session
    client = worker.client("sagemaker")
    assert client.list_models()["Models"] == []
    message = refused(client.list_endpoints)["Message"]
    assert message.startswith("User: arn:aws:sts::123456789012:assumed-role/airflow/task is not authorized")


def test_who_registers_may_be_kept_from_approving(worker: Worker) -> None:
    """list_amazonsagemaker.html: sagemaker:ModelApprovalStatus."""
    sagemaker = worker.client("sagemaker")
    containers = {"Containers": [{"Image": IMAGE}]}
    group = {"ModelPackageGroupName": "G", "InferenceSpecification": containers}
    worker.allow_only("sagemaker:CreateModelPackageGroup", f"{FRONT}:model-package-group/G")
    sagemaker.create_model_package_group(ModelPackageGroupName="G")
    tagged = {"ModelPackageGroupName": "H", "Tags": [{"Key": "a", "Value": "b"}]}
    worker.allow_only("sagemaker:CreateModelPackageGroup", f"{FRONT}:model-package-group/H")
    refusal = refused(lambda: sagemaker.create_model_package_group(**tagged))
    assert f"sagemaker:AddTags on resource: {FRONT}:model-package-group/H" in refusal["Message"]
    worker.allow_only(
        ["sagemaker:CreateModelPackage", "sagemaker:UpdateModelPackage"],
        f"{FRONT}:model-package/G/*",
        StringEquals=("sagemaker:ModelApprovalStatus", "PendingManualApproval"),
    )
    pending = sagemaker.create_model_package(**group, ModelApprovalStatus="PendingManualApproval")
    arn = pending["ModelPackageArn"]
    for call in (
        lambda: sagemaker.create_model_package(**group, ModelApprovalStatus="Approved"),
        lambda: sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved"),
    ):
        assert refused(call)["Code"] == "AccessDeniedException"
    for key in ("sagemaker:ModelLifeCycle/stage", "sagemaker:ModelLifeCycle:stage"):
        worker.allow_only("sagemaker:UpdateModelPackage", "*", StringEquals=(key, "staging"))
        for stage, is_allowed in (("staging", True), ("production", False)):
            cycle = {"Stage": stage, "StageStatus": "pending"}
            change = {"ModelPackageArn": arn, "ModelLifeCycle": cycle}
            if is_allowed:
                sagemaker.update_model_package(**change)
            else:
                assert refused(lambda: sagemaker.update_model_package(**change))["Code"] == (  # noqa: B023
                    "AccessDeniedException"
                )


def test_tagging_needs_the_permissions_of_both_services(worker: Worker) -> None:
    """API_TagResources.html, API_UntagResources.html"""
    make_model(worker.aws, "m")
    arn = f"{FRONT}:model/m"
    tagging = worker.client("resourcegroupstaggingapi")
    worker.allow_only(["tag:TagResources", "tag:UntagResources"])
    refusal = refused(lambda: tagging.tag_resources(ResourceARNList=[arn], Tags={"a": "b"}))
    assert f"sagemaker:AddTags on resource: {arn}" in refusal["Message"]
    refusal = refused(lambda: tagging.untag_resources(ResourceARNList=[arn], TagKeys=["a"]))
    assert f"sagemaker:DeleteTags on resource: {arn}" in refusal["Message"]
    worker.allow_only(["tag:TagResources", "sagemaker:AddTags"])
    assert tagging.tag_resources(ResourceARNList=[arn], Tags={"a": "b"})["FailedResourcesMap"] == {}

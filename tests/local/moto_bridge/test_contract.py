"""Each of moto's internals that the local AWS touches, held by itself: what breaks here, breaks with a new moto."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.core.request import Request
from moto.s3.models import FakeBucket
from werkzeug.test import create_environ
from werkzeug.wrappers import Request as HttpRequest

from airflow_sm_hosting.local.cloudwatch.alarm_message import region_description
from airflow_sm_hosting.local.moto_bridge import (
    events,
    identities,
    logs,
    operations,
    pickles,
    repositories,
    s3 as objects,
    secrets,
    stack_resources,
    tagged,
    topics,
)
from airflow_sm_hosting.local.moto_bridge.account import ACCOUNT_ID
from airflow_sm_hosting.local.moto_bridge.application import MotoApplication, RequestHandler
from airflow_sm_hosting.local.wire.errors import AwsError

REGION = "eu-west-1"


@pytest.fixture(autouse=True)
def _moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with mock_aws():
        yield


def client(service: Any) -> Any:
    return boto3.client(service, region_name=REGION)


def test_s3_objects_are_read() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    for key in ("a/2", "a/1", "b"):
        s3.put_object(Bucket="bucket", Key=key, Body=key.encode())
    assert objects.read("bucket", "a/1") == b"a/1"
    assert objects.read("bucket", "absent") is None
    assert objects.read("absent", "absent") is None
    assert objects.exists("bucket", "b")
    assert objects.keys("bucket", "a/") == ["a/1", "a/2"]
    assert objects.keys("absent", "") == []


def test_s3_objects_are_written() -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    assert objects.write("bucket", "a?b", b"data")
    assert s3.get_object(Bucket="bucket", Key="a?b")["Body"].read() == b"data"
    assert not objects.write("absent", "a", b"")


def test_log_lines_are_written() -> None:
    for _ in range(2):
        logs.put_lines(REGION, "/group", "stream", ["one", "two"])
    events = client("logs").get_log_events(logGroupName="/group", logStreamName="stream")["events"]
    assert [event["message"] for event in events] == ["one", "two"] * 2


def test_operations_of_cloudwatch_are_answered_by_a_function() -> None:
    from moto.cloudwatch import urls

    before = dict(urls.url_paths)
    asked = []

    def answer(operation: str, request: dict[str, Any], region: str) -> Any:
        asked.append((operation, request, region))
        if operation == "DeleteAlarms":
            raise AwsError("ResourceNotFound", "There is none.")
        return {
            "MetricAlarms": [
                {
                    "AlarmName": "a",
                    "Threshold": 1.5,
                    "StateUpdatedTimestamp": datetime(2026, 1, 1, tzinfo=UTC),
                }
            ]
        }

    try:
        operations.replace_operations("cloudwatch", ["DescribeAlarms", "DeleteAlarms"], answer)
        (dispatch,) = urls.url_paths.values()
        bound: list[Any] = [dispatch, before["{0}/$"]]
        own, of_moto = (one.__self__ for one in bound)
        assert own is not of_moto
        # What is not replaced stays moto's.
        assert own.put_dashboard is of_moto.put_dashboard
        request = Request.from_primitives(
            "POST",
            "http://127.0.0.1/",
            {
                "X-Amz-Target": "GraniteServiceVersion20100801.DescribeAlarms",
                "Content-Type": "application/x-amz-json-1.0",
                "Authorization": f"AWS4-HMAC-SHA256 Credential=key/20260101/{REGION}/monitoring/aws4_request",
            },
            json.dumps({"AlarmNames": ["a"]}).encode(),
        )
        status, _, body = dispatch(request, request.raw_url, request.headers)
        assert (status, json.loads(body)["MetricAlarms"][0]["Threshold"]) == (200, 1.5)
        assert asked == [("DescribeAlarms", {"AlarmNames": ["a"]}, REGION)]
    finally:
        urls.url_paths.update(before)


def test_topics_are_published_to() -> None:
    sns, sqs = client("sns"), client("sqs")
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:q"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    topics.publish(topic, "subject", "message")
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert (body["Subject"], body["Message"]) == ("subject", "message")
    with pytest.raises(Exception, match="not exist"):
        topics.publish(f"{topic}-absent", "subject", "message")


def test_regions_have_names() -> None:
    """Of botocore, whose endpoints are no part of its interface."""
    assert region_description("us-east-1") == "US East (N. Virginia)"
    assert region_description("mars-1") == "mars-1"


def test_ecr_repositories_keep_images_that_we_make() -> None:
    client("ecr").create_repository(repositoryName="repo")
    repository = repositories.find_repository("repo", ["us-east-1", REGION])
    assert repository is not None
    assert (repository.name, repository.account_id, repository.is_tag_immutable()) == (
        "repo",
        ACCOUNT_ID,
        False,
    )
    image = repositories.add_image(repository, "{}", "media/type", "sha256:" + "0" * 64)
    image.update_tag("v1")
    image.update_tag("v2")
    image.remove_tag("v1")
    (found,) = client("ecr").describe_images(repositoryName="repo")["imageDetails"]
    assert (found["imageTags"], found["imageDigest"]) == (["v2"], "sha256:" + "0" * 64)
    assert repositories.find_repository("absent", [REGION]) is None


def test_keys_of_assumed_roles_are_known() -> None:
    role = client("iam").create_role(RoleName="role", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
    session = client("sts").assume_role(RoleArn=role, RoleSessionName="session")["Credentials"]
    assert identities.is_issued_key(session["AccessKeyId"])
    assert not identities.is_issued_key("OTHER")


def test_the_server_application_and_its_request_handler_are_where_we_take_them_from() -> None:
    assert hasattr(RequestHandler, "make_environ")
    application = MotoApplication()
    client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    authorization = f"AWS4-HMAC-SHA256 Credential=key/20260101/{REGION}/s3/aws4_request"
    environ = create_environ("/", "http://127.0.0.1", headers={"Authorization": authorization})
    request = HttpRequest(environ, populate_request=False)
    assert b"<Name>bucket</Name>" in application.answer(request).get_data()
    application.reset()
    assert objects.keys("bucket", "") == []
    assert b"<Name>bucket</Name>" not in application.answer(request).get_data()


def test_users_and_roles_have_keys_and_policies() -> None:
    iam = client("iam")
    document = json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    )
    iam.create_user(UserName="user")
    iam.put_user_policy(UserName="user", PolicyName="inline", PolicyDocument=document)
    key = iam.create_access_key(UserName="user")["AccessKey"]["AccessKeyId"]
    found = identities.identity_of_key(key)
    assert found is not None
    assert (found.arn, found.policies) == (f"arn:aws:iam::{ACCOUNT_ID}:user/user", [json.loads(document)])
    assert identities.is_users_key(key)
    iam.update_access_key(UserName="user", AccessKeyId=key, Status="Inactive")
    assert not identities.is_users_key(key)
    identities.make_service_linked_role("sagemaker.application-autoscaling.amazonaws.com", "Linked")
    role = identities.role("Linked")
    assert role is not None
    assert identities.trust_policy(role)["Statement"][0]["Effect"] == "Allow"
    assert identities.role_of_arn(role.arn) is role


def test_what_services_hold_is_the_same_after_a_round_trip(tmp_path: Path) -> None:
    from moto.core.base_backend import BackendDict

    blobs = pickles.Blobs(tmp_path)
    s3, sqs = client("s3"), client("sqs")
    s3.create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket="bucket", Key="key", Body=b"weights")
    # These have locks.
    client("ecr").create_repository(repositoryName="team/repo")
    queue = sqs.create_queue(QueueName="queue")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="message")
    # This one cannot be pickled.
    client("ssm").put_parameter(Name="name", Value="value", Type="String")

    kept, lost, names = pickles.dump(blobs)
    assert {"s3", "ecr", "sqs"} <= set(kept)
    assert set(lost) == {"ssm"}
    assert {path.name for path in tmp_path.iterdir()} == names
    assert b"weights" not in kept["s3"]

    BackendDict.reset()
    assert s3.list_buckets()["Buckets"] == []
    for service, data in kept.items():
        pickles.load(service, data, blobs)
    assert objects.read("bucket", "key") == b"weights"
    assert "team/repo" in repositories.ecr(REGION).repositories
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "message"

    s3.put_object(Bucket="bucket", Key="key", Body=b"other")
    _, _, names = pickles.dump(blobs)
    blobs.keep_only(names)
    assert [blobs.get(path.name) for path in tmp_path.iterdir()] == [b"other"]


def test_a_service_assumes_a_role() -> None:
    key = identities.session_key(f"arn:aws:iam::{ACCOUNT_ID}:role/builds", "AWSCodeBuild", REGION)
    assert identities.is_issued_key(key)
    found = identities.identity_of_key(key)
    assert found
    assert found.arn == f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/builds/AWSCodeBuild"


def test_secrets_and_parameters_are_read() -> None:
    client("secretsmanager").create_secret(Name="a", SecretString="1")
    client("secretsmanager").create_secret(Name="binary", SecretBinary=b"1")
    client("ssm").put_parameter(Name="/a/b", Value="2", Type="SecureString")
    assert secrets.secret_string(REGION, "a") == "1"
    assert secrets.secret_string(REGION, "binary") is None
    assert secrets.secret_string(REGION, "absent") is None
    assert secrets.parameter_value(REGION, "/a/b") == "2"
    assert secrets.parameter_value(REGION, "/absent") is None


#: Types of resources that people put beside a model, with what moto needs to create one.
MOTO_TYPES: dict[str, dict[str, Any]] = {
    "AWS::S3::Bucket": {},
    "AWS::ECR::Repository": {},
    "AWS::SNS::Topic": {},
    "AWS::SQS::Queue": {},
    "AWS::SSM::Parameter": {"Name": "/p", "Type": "String", "Value": "1"},
    "AWS::Logs::LogGroup": {},
    "AWS::EC2::VPC": {"CidrBlock": "10.0.0.0/16"},
    "AWS::IAM::User": {},
}


@pytest.mark.parametrize("type_name", MOTO_TYPES)
def test_resources_of_stacks_are_created_found_and_deleted(type_name: str) -> None:
    assert stack_resources.is_known(type_name)
    name = stack_resources.moto_name(type_name, "stack", "Logical").lower()
    properties = MOTO_TYPES[type_name]
    made = stack_resources.create_resource(type_name, name, properties, REGION, "Logical", "stack-id")
    physical_id = stack_resources.physical_id(made)
    # Found in moto's own state, so that a restart does not lose it.
    stack_resources.forget_all()
    found = stack_resources.find_resource(type_name, physical_id, REGION)
    assert found is made
    assert stack_resources.find_resource(type_name, "absent", REGION) is None
    stack_resources.delete_resource(type_name, found, properties, REGION)
    assert stack_resources.find_resource(type_name, physical_id, REGION) is None


def test_attributes_and_names_of_resources_are_motos() -> None:
    made = stack_resources.create_resource("AWS::S3::Bucket", "bucket", {}, REGION, "B", "id")
    assert stack_resources.attribute_of(made, "Arn") == "arn:aws:s3:::bucket"
    with pytest.raises(KeyError):
        stack_resources.attribute_of(made, "Colour")
    assert stack_resources.name_property("AWS::S3::Bucket") == "BucketName"
    assert stack_resources.name_property("AWS::EC2::VPC") is None
    assert stack_resources.can_update("AWS::S3::Bucket")
    assert not stack_resources.can_update("AWS::EC2::VPC")
    assert stack_resources.can_delete("AWS::EC2::VPC")
    assert not stack_resources.can_delete("AWS::IAM::ManagedPolicy")


@pytest.mark.parametrize(
    "type_name", ["AWS::CloudFormation::Stack", "Custom::Any", "?", "AWS::Nothing::AtAll"]
)
def test_what_needs_the_stacks_of_moto_is_unknown(type_name: str) -> None:
    assert not stack_resources.is_known(type_name)


def test_a_managed_policy_of_aws_is_made_when_it_is_needed() -> None:
    arn = "arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"
    assert not identities.has_policy(arn)
    identities.make_aws_policy(arn)
    identities.make_aws_policy(arn)
    iam = client("iam")
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
    assert document["Statement"]
    identities.make_aws_policy("arn:aws:iam::aws:policy/Absent")
    assert not identities.has_policy("arn:aws:iam::aws:policy/Absent")


def test_statements_with_conditions_do_not_close_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    # Restored after the test.
    monkeypatch.setattr(FakeBucket, "get_permission", FakeBucket.get_permission)
    objects.skip_conditional_statements()
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="bucket")
    statement = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::bucket/*"}
    without_tls = {**statement, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    policy = {"Version": "2012-10-17", "Statement": [without_tls]}
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps(policy))
    s3.put_object(Bucket="bucket", Key="a", Body=b"1")
    policy["Statement"] = [without_tls, statement]
    s3.put_bucket_policy(Bucket="bucket", Policy=json.dumps(policy))
    with pytest.raises(ClientError, match="403"):
        s3.put_object(Bucket="bucket", Key="a", Body=b"2")


def test_all_operations_of_cloudformation_are_answered_by_a_function() -> None:
    from moto.cloudformation import urls

    before = dict(urls.url_paths)
    asked = []

    def answer(operation: str, request: dict[str, Any], region: str) -> Any:
        asked.append((operation, request, region))
        tags = [{"Key": "a", "Value": "b"}]
        return {"Stacks": [{"StackName": "s", "StackStatus": "CREATE_COMPLETE", "Tags": tags}]}

    try:
        operations.replace_operations("cloudformation", ["DescribeStacks"], answer, all_of_them=True)
        request = Request.from_primitives(
            "POST",
            "http://127.0.0.1/",
            {
                "Content-Type": "application/x-www-form-urlencoded",
                "Authorization": f"AWS4-HMAC-SHA256 Credential=key/20260101/{REGION}/cloudformation/aws4_request",
            },
            b"Action=DescribeStacks&StackName=s&Version=2010-05-15",
        )
        status, _, body = urls.url_paths["{0}/$"](request, request.raw_url, request.headers)
        assert status == 200
        assert "<StackName>s</StackName>" in str(body)
        assert "<Key>a</Key>" in str(body)
        assert asked == [("DescribeStacks", {"StackName": "s"}, REGION)]
    finally:
        urls.url_paths.update(before)


# EventBridge

TIME = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def rule(name: str, *targets: dict[str, Any], pattern: dict[str, Any] | None = None, **more: Any) -> None:
    found = pattern if pattern is not None else {"source": ["aws.sagemaker"]}
    asked = {**({"EventPattern": json.dumps(found)} if found else {}), **more}
    client("events").put_rule(Name=name, **asked)
    numbered = [{"Id": str(number), **target} for number, target in enumerate(targets)]
    client("events").put_targets(Rule=name, Targets=numbered)


def queue(name: str, **attributes: str) -> str:
    client("sqs").create_queue(QueueName=name, Attributes=attributes)
    return f"arn:aws:sqs:{REGION}:123456789012:{name}"


def received(name: str) -> list[str]:
    url = client("sqs").get_queue_url(QueueName=name)["QueueUrl"]
    found = client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [message["Body"] for message in found.get("Messages", ())]


def send(**detail: Any) -> None:
    events.put_event(REGION, "aws.sagemaker", "Kind", "arn:resource", detail, TIME)


def test_a_queue_gets_the_whole_event() -> None:
    rule("r", {"Arn": queue("q")})
    send(Status="Approved", Fields=["A"])
    (body,) = received("q")
    event = json.loads(body)
    assert event.pop("id")
    assert event == {
        "version": "0",
        "detail-type": "Kind",
        "source": "aws.sagemaker",
        "account": "123456789012",
        "time": "2026-01-02T03:04:05Z",
        "region": REGION,
        "resources": ["arn:resource"],
        "detail": {"Status": "Approved", "Fields": ["A"]},
    }


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        ({"Status": ["Approved"]}, True),
        ({"Status": ["Rejected"]}, False),
        # A list matches if it has one of the values: eb-create-pattern.html, arrays.
        ({"Fields": ["ModelApprovalStatus"]}, True),
        ({"Fields": ["ModelCard"]}, False),
        ({"Nested": {"Version": [{"numeric": [">", 2]}]}}, True),
        ({"Nested": {"Version": [{"numeric": [">", 3]}]}}, False),
        ({"Absent": [{"exists": False}], "Status": [{"prefix": "App"}]}, True),
        ({"Status": [{"anything-but": ["Approved"]}]}, False),
        ({"$or": [{"Status": ["x"]}, {"Fields": ["ModelLifeCycle"]}]}, True),
    ],
    ids=str,
)
def test_patterns_match_on_the_detail(detail: dict[str, Any], expected: bool) -> None:
    rule("r", {"Arn": queue("q")}, pattern={"source": ["aws.sagemaker"], "detail": detail})
    send(Status="Approved", Fields=["ModelApprovalStatus", "ModelLifeCycle"], Nested={"Version": 3})
    assert bool(received("q")) is expected


def test_schedules_and_disabled_rules_get_nothing() -> None:
    rule("off", {"Arn": queue("off")}, State="DISABLED")
    rule("schedule", {"Arn": queue("schedule")}, pattern={}, ScheduleExpression="rate(1 day)")
    rule("on", {"Arn": queue("on")})
    send()
    assert (received("off"), received("schedule"), len(received("on"))) == ([], [], 1)


def test_a_target_gets_what_it_asks_for() -> None:
    transformer = {"InputPathsMap": {"s": "$.detail.Status"}, "InputTemplate": '{"it is": "<s>"}'}
    for name, asked in (
        ("whole", {"InputPath": "$"}),
        ("part", {"InputPath": "$.detail.Nested"}),
        ("constant", {"Input": '{"a": 1}'}),
        ("made", {"InputTransformer": transformer}),
    ):
        rule(name, {"Arn": queue(name), **asked})
    send(Status="Approved", Nested={"x": [1]})
    assert json.loads(received("whole")[0])["detail-type"] == "Kind"
    assert [json.loads(*received(name)) for name in ("part", "constant", "made")] == [
        {"x": [1]},
        {"a": 1},
        {"it is": "Approved"},
    ]


def test_log_groups_topics_and_fifo_queues_are_targets() -> None:
    client("logs").create_log_group(logGroupName="/aws/events/models")
    topic = client("sns").create_topic(Name="t")["TopicArn"]
    client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue("of-topic"))
    first = queue("q.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    group = f"arn:aws:logs:{REGION}:123456789012:log-group:/aws/events/models"
    rule("r", {"Arn": group}, {"Arn": topic}, {"Arn": first, "SqsParameters": {"MessageGroupId": "g"}})
    send(Status="Approved")
    streams = client("logs").describe_log_streams(logGroupName="/aws/events/models")["logStreams"]
    (line,) = client("logs").get_log_events(
        logGroupName="/aws/events/models", logStreamName=streams[0]["logStreamName"]
    )["events"]
    bodies = [line["message"], json.loads(*received("of-topic"))["Message"], *received("q.fifo")]
    assert [json.loads(body)["detail"] for body in bodies] == [{"Status": "Approved"}] * 3


def test_other_buses_are_targets() -> None:
    client("events").create_event_bus(Name="models")
    rule("to-bus", {"Arn": f"arn:aws:events:{REGION}:123456789012:event-bus/models"})
    client("events").put_rule(
        Name="of-bus", EventBusName="models", EventPattern=json.dumps({"source": ["aws.sagemaker"]})
    )
    # A bus does not forward what it got from another one: this would go on for ever.
    back = f"arn:aws:events:{REGION}:123456789012:event-bus/default"
    client("events").put_targets(
        Rule="of-bus",
        EventBusName="models",
        Targets=[{"Id": "1", "Arn": back}, {"Id": "2", "Arn": queue("q")}],
    )
    send(Status="Approved")
    assert [json.loads(body)["detail"] for body in received("q")] == [{"Status": "Approved"}]


def test_an_archive_keeps_events() -> None:
    bus = f"arn:aws:events:{REGION}:123456789012:event-bus/default"
    client("events").create_archive(
        ArchiveName="a", EventSourceArn=bus, EventPattern=json.dumps({"source": ["aws.sagemaker"]})
    )
    send()
    assert client("events").describe_archive(ArchiveName="a")["EventCount"] == 1


def test_a_target_that_cannot_be_reached_disturbs_no_other(caplog: pytest.LogCaptureFixture) -> None:
    absent = [
        f"arn:aws:lambda:{REGION}:123456789012:function:f",
        f"arn:aws:sqs:{REGION}:123456789012:absent",
        f"arn:aws:logs:{REGION}:123456789012:log-group:absent",
        f"arn:aws:sns:{REGION}:123456789012:absent",
    ]
    without = queue("w.fifo", FifoQueue="true")
    fifo = {"Arn": without, "SqsParameters": {"MessageGroupId": "g"}}
    rule("a", *({"Arn": arn} for arn in absent), fifo)
    rule("b", {"Arn": queue("q")})
    send()
    assert len(received("q")) == 1
    told = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert told == [f"an event cannot be delivered to {arn}" for arn in (*absent, without)]
    groups = client("logs").describe_log_groups()["logGroups"]
    assert groups == []


# Tags


def test_resources_of_moto_are_tagged() -> None:
    client("s3").create_bucket(Bucket="bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
    client("ecr").create_repository(repositoryName="team/r", tags=[{"Key": "a", "Value": "b"}])
    bucket = "arn:aws:s3:::bucket"
    repository = f"arn:aws:ecr:{REGION}:123456789012:repository/team/r"
    for arn in (bucket, repository):
        tagged.tag(REGION, arn, {"c": "d"})
    assert tagged.resources(REGION) == {bucket: {"c": "d"}, repository: {"a": "b", "c": "d"}}
    for arn in (bucket, repository):
        tagged.untag(REGION, arn, ["c", "absent"])
    assert tagged.resources(REGION)[repository] == {"a": "b"}
    assert client("ecr").list_tags_for_resource(resourceArn=repository)["tags"] == [
        {"Key": "a", "Value": "b"}
    ]
    for absent in (f"{repository}-2", "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/e"):
        with pytest.raises(AwsError, match=absent):
            tagged.tag(REGION, absent, {"c": "d"})


@pytest.mark.parametrize(
    ("arn", "kind"),
    [
        ("arn:aws:s3:::bucket", "s3:bucket"),
        ("arn:aws:sqs:eu-west-1:1:q", "sqs:queue"),
        ("arn:aws:cloudwatch:eu-west-1:1:alarm:a/b:c", "cloudwatch:alarm"),
        ("arn:aws:logs:eu-west-1:1:log-group:/aws/a", "logs:log-group"),
        ("arn:aws:sagemaker:eu-west-1:1:model-package/g/3", "sagemaker:model-package"),
        ("arn:aws:ecr:eu-west-1:1:repository/team/r", "ecr:repository"),
    ],
)
def test_the_kind_of_a_resource_is_that_of_its_arn(arn: str, kind: str) -> None:
    assert tagged.resource_kind(arn) == kind

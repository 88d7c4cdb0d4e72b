"""What a stack does with its resources: those of this package, of moto and of neither, in one template."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from tests.local.cloudformation.kinds import KINDS, RESOURCES, variant
from tests.local.cloudformation.stacks import CAPABILITIES, Stacks, text_of
from tests.local.conftest import FOREIGN_IMAGE, ROLE, refusal_of, wait_until

MODEL = RESOURCES["Model"]
CONFIG = RESOURCES["Config"]
ENDPOINT = {k: v for k, v in RESOURCES["Endpoint"].items() if k != "DependsOn"}
HOSTING = {"Model": MODEL, "Config": CONFIG, "Endpoint": ENDPOINT}
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
ROLE_OF_STACK = {
    "Type": "AWS::IAM::Role",
    "Properties": {
        "AssumeRolePolicyDocument": TRUST,
        "ManagedPolicyArns": ["arn:aws:iam::aws:policy/AmazonSageMakerFullAccess"],
    },
}


def template(resources: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Resources": resources, **more}


def names(aws: LocalAws, listing: str, rows: str, name: str) -> list[str]:
    client: Any = aws.client("sagemaker")
    return [one[name] for one in getattr(client, listing)()[rows]]


def models(aws: LocalAws) -> list[str]:
    return names(aws, "list_models", "Models", "ModelName")


def endpoints(aws: LocalAws) -> list[str]:
    return names(aws, "list_endpoints", "Endpoints", "EndpointName")


# Ours, moto's, and neither.

#: Resources of moto that people put beside a model, and how a client finds one.
OF_MOTO: dict[str, tuple[dict[str, Any], Callable[[LocalAws, str], Any]]] = {
    "role": (ROLE_OF_STACK, lambda aws, found: aws.client("iam").get_role(RoleName=found)),
    "bucket": ({"Type": "AWS::S3::Bucket"}, lambda aws, found: aws.client("s3").head_bucket(Bucket=found)),
    "repository": (
        {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "models"}},
        lambda aws, found: aws.client("ecr").describe_repositories(repositoryNames=[found]),
    ),
    "topic": (
        {"Type": "AWS::SNS::Topic"},
        lambda aws, found: aws.client("sns").get_topic_attributes(TopicArn=found),
    ),
    "queue": (
        {"Type": "AWS::SQS::Queue"},
        lambda aws, found: aws.client("sqs").get_queue_attributes(QueueUrl=found),
    ),
    "parameter": (
        {"Type": "AWS::SSM::Parameter", "Properties": {"Name": "/p", "Type": "String", "Value": "1"}},
        lambda aws, found: aws.client("ssm").get_parameter(Name=found),
    ),
    "log group": (
        {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/g"}},
        lambda aws, found: aws.client("logs").list_tags_log_group(logGroupName=found),
    ),
    "table": (
        {
            "Type": "AWS::DynamoDB::Table",
            "Properties": {
                "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                "BillingMode": "PAY_PER_REQUEST",
            },
        },
        lambda aws, found: aws.client("dynamodb").describe_table(TableName=found),
    ),
}
#: Types that AWS has and the local AWS does not: also those that moto would fake with stacks of its own, or only with containers.
UNKNOWN = [
    "AWS::SageMaker::Pipeline",
    "AWS::SageMaker::FeatureGroup",
    "AWS::CloudFormation::Stack",
    "AWS::CloudFormation::WaitCondition",
    "AWS::CloudFormation::CustomResource",
    "AWS::CodeBuild::Project",
    "Custom::S3AutoDeleteObjects",
    "AWS::Nothing::AtAll",
]


@pytest.mark.parametrize("kind", OF_MOTO)
def test_a_stack_with_ours_and_motos_has_both(stacks: Stacks, kind: str) -> None:
    declared, found = OF_MOTO[kind]
    assert stacks.create("s", template({"Other": declared, "Model": MODEL})) == "CREATE_COMPLETE"
    ids = stacks.physical_ids("s")
    found(stacks.aws, ids["Other"])
    assert [one.lower() for one in models(stacks.aws)] == [ids["Model"].rpartition("/")[2]]
    assert stacks.delete("s") == "DELETE_COMPLETE"
    with pytest.raises(ClientError):
        found(stacks.aws, ids["Other"])
    assert models(stacks.aws) == []


def tags_of(rows: list[dict[str, str]], key: str = "Key", value: str = "Value") -> dict[str, str]:
    return {one[key]: one[value] for one in rows}


#: How a client reads the tags of resources of moto that have those of the stack.
TAGGED: dict[str, Callable[[LocalAws, str], dict[str, str]]] = {
    "role": lambda aws, name: tags_of(aws.client("iam").list_role_tags(RoleName=name)["Tags"]),
    "bucket": lambda aws, name: tags_of(aws.client("s3").get_bucket_tagging(Bucket=name)["TagSet"]),
    "repository": lambda aws, name: tags_of(
        aws.client("ecr").list_tags_for_resource(
            resourceArn=f"arn:aws:ecr:us-east-1:123456789012:repository/{name}"
        )["tags"]
    ),
    "topic": lambda aws, arn: tags_of(aws.client("sns").list_tags_for_resource(ResourceArn=arn)["Tags"]),
    "queue": lambda aws, url: aws.client("sqs").list_queue_tags(QueueUrl=url)["Tags"],
    "parameter": lambda aws, name: tags_of(
        aws.client("ssm").list_tags_for_resource(ResourceType="Parameter", ResourceId=name)["TagList"]
    ),
    "log group": lambda aws, name: aws.client("logs").list_tags_log_group(logGroupName=name)["tags"],
    "table": lambda aws, name: tags_of(
        aws.client("dynamodb").list_tags_of_resource(
            ResourceArn=f"arn:aws:dynamodb:us-east-1:123456789012:table/{name}"
        )["Tags"]
    ),
}


@pytest.mark.parametrize("kind", TAGGED)
def test_the_tags_of_a_stack_reach_the_resources_of_moto(stacks: Stacks, kind: str) -> None:
    declared, _ = OF_MOTO[kind]
    given = [{"Key": "team", "Value": "churn"}]
    assert stacks.create("s", template({"Other": declared}), Tags=given) == "CREATE_COMPLETE", stacks.reasons(
        "s"
    )
    assert TAGGED[kind](stacks.aws, stacks.physical_ids("s")["Other"]) == {"team": "churn"}


def test_tags_may_be_a_map(stacks: Stacks) -> None:
    declared, _ = OF_MOTO["parameter"]
    own = {**declared, "Properties": {**declared["Properties"], "Tags": {"own": "1"}}}
    assert (
        stacks.create("s", template({"Other": own}), Tags=[{"Key": "team", "Value": "churn"}])
        == "CREATE_COMPLETE"
    )
    assert TAGGED["parameter"](stacks.aws, "/p") == {"team": "churn", "own": "1"}


@pytest.mark.parametrize("type_name", UNKNOWN)
@pytest.mark.parametrize("place", ["first", "last"])
def test_an_unknown_type_fails_the_stack_before_anything_is_created(
    stacks: Stacks, type_name: str, place: str
) -> None:
    unknown = {"Type": type_name, "Properties": {}}
    resources = {"Bucket": {"Type": "AWS::S3::Bucket"}, **HOSTING}
    resources = {"Unknown": unknown, **resources} if place == "first" else {**resources, "Unknown": unknown}
    assert stacks.create("s", template(resources)) == "ROLLBACK_COMPLETE"
    assert stacks.reasons("s") == f"The local AWS does not have the resource type {type_name}."
    assert stacks.physical_ids("s") == {}
    assert {name for name, _ in stacks.events("s")} == {"s", "Unknown"}
    assert models(stacks.aws) == endpoints(stacks.aws) == []


def test_an_unknown_type_in_an_update_leaves_the_stack_as_it_was(stacks: Stacks) -> None:
    stacks.create("s", template(HOSTING))
    before = stacks.physical_ids("s")
    changed = template({**HOSTING, "Unknown": {"Type": "AWS::SageMaker::Pipeline"}})
    assert stacks.update("s", changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.physical_ids("s") == before
    assert (
        stacks.update("s", template({**HOSTING, "Bucket": {"Type": "AWS::S3::Bucket"}})) == "UPDATE_COMPLETE"
    )


def test_the_role_of_a_stack_is_the_models_and_has_its_policies(stacks: Stacks) -> None:
    policy = {
        "Type": "AWS::IAM::Policy",
        "Properties": {
            "PolicyName": "read",
            "PolicyDocument": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
            },
            "Roles": [{"Ref": "Role"}],
        },
    }
    model = {
        "Type": "AWS::SageMaker::Model",
        "DependsOn": ["Policy"],
        "Properties": {**MODEL["Properties"], "ExecutionRoleArn": {"Fn::GetAtt": ["Role", "Arn"]}},
    }
    resources = {"Role": ROLE_OF_STACK, "Policy": policy, "Model": model}
    assert stacks.create("s", template(resources)) == "CREATE_COMPLETE", stacks.reasons("s")
    iam, role = stacks.aws.client("iam"), stacks.physical_ids("s")["Role"]
    (attached,) = iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    assert attached["PolicyName"] == "AmazonSageMakerFullAccess"
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == ["read"]
    changed = {**ROLE_OF_STACK["Properties"], "ManagedPolicyArns": [], "Description": "other"}
    resources["Role"] = {**ROLE_OF_STACK, "Properties": changed}
    assert stacks.update("s", template(resources)) == "UPDATE_COMPLETE", stacks.reasons("s")
    assert iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    assert iam.get_role(RoleName=role)["Role"]["Description"] == "other"
    assert stacks.delete("s") == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_role(RoleName=role)


def test_a_managed_policy_of_a_stack_is_attached_and_changed(stacks: Stacks) -> None:
    def policy(action: str, **more: Any) -> dict[str, Any]:
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        return {"Type": "AWS::IAM::ManagedPolicy", "Properties": {"PolicyDocument": document, **more}}

    iam = stacks.aws.client("iam")
    resources = {"Role": ROLE_OF_STACK, "Policy": policy("s3:GetObject", Roles=[{"Ref": "Role"}])}
    assert stacks.create("s", template(resources)) == "CREATE_COMPLETE", stacks.reasons("s")
    ids = stacks.physical_ids("s")
    attached = iam.list_attached_role_policies(RoleName=ids["Role"])["AttachedPolicies"]
    assert ids["Policy"] in [one["PolicyArn"] for one in attached]
    for action in ("s3:PutObject", "s3:DeleteObject"):
        resources["Policy"] = policy(action)
        assert stacks.update("s", template(resources)) == "UPDATE_COMPLETE", stacks.reasons("s")
        version = iam.get_policy(PolicyArn=ids["Policy"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=ids["Policy"], VersionId=version)["PolicyVersion"]
        assert found["Document"]["Statement"][0]["Action"] == action
    assert len(iam.list_attached_role_policies(RoleName=ids["Role"])["AttachedPolicies"]) == 1
    assert stacks.delete("s") == "DELETE_COMPLETE"
    with pytest.raises(ClientError, match="NoSuchEntity"):
        iam.get_policy(PolicyArn=ids["Policy"])


def test_what_exists_already_is_not_taken_over(stacks: Stacks) -> None:
    aws = stacks.aws
    alarm = {**RESOURCES["Alarm"]["Properties"], "AlarmName": "slow"}
    aws.client("cloudwatch").put_metric_alarm(**alarm)
    aws.client("sagemaker").create_model(
        ModelName="churn", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": FOREIGN_IMAGE}
    )
    taken = {
        "alarm": ({"Type": "AWS::CloudWatch::Alarm", "Properties": alarm}, "slow already exists"),
        "model": (
            {"Type": "AWS::SageMaker::Model", "Properties": {**MODEL["Properties"], "ModelName": "churn"}},
            "already existing model",
        ),
    }
    for name, (declared, reason) in taken.items():
        assert stacks.create(name, template({"Taken": declared})) == "ROLLBACK_COMPLETE"
        assert reason in stacks.reasons(name)
    assert models(aws) == ["churn"]
    assert len(aws.client("cloudwatch").describe_alarms(AlarmNames=["slow"])["MetricAlarms"]) == 1


# Time.


def test_requests_are_answered_at_once_and_the_endpoint_is_awaited() -> None:
    with LocalAws(engine="none", transition_seconds=300, clock="virtual") as aws:
        stacks = Stacks(aws)
        aws.client("cloudformation").create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))
        aws.advance(60)
        assert stacks.described("s")["StackStatus"] == "CREATE_IN_PROGRESS"
        resource = stacks.client.describe_stack_resource(StackName="s", LogicalResourceId="Endpoint")
        assert resource["StackResourceDetail"]["ResourceStatus"] == "CREATE_IN_PROGRESS"
        (name,) = endpoints(aws)
        assert aws.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointStatus"] == "Creating"
        aws.advance(300)
        found = stacks.described("s")
        assert found["StackStatus"] == "CREATE_COMPLETE"
        created = [
            one["Timestamp"] for one in stacks._events("s") if one["ResourceStatus"] == "CREATE_COMPLETE"
        ]
        assert timedelta(seconds=299) < created[-1] - found["CreationTime"] < timedelta(seconds=302)


def test_a_stack_that_is_deleted_while_it_is_created_goes_with_its_endpoint() -> None:
    with LocalAws(engine="none", transition_seconds=60, clock="virtual") as aws:
        stacks = Stacks(aws)
        stack_id = stacks.client.create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))[
            "StackId"
        ]
        aws.advance(5)
        stacks.client.delete_stack(StackName="s")
        aws.advance(300)
        assert stacks.described(stack_id)["StackStatus"] == "DELETE_COMPLETE"
        assert models(aws) == endpoints(aws) == []


def test_a_timeout_ends_the_creation() -> None:
    with LocalAws(engine="none", transition_seconds=600, clock="virtual") as aws:
        stacks = Stacks(aws)
        stacks.client.create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)), TimeoutInMinutes=1)
        aws.advance(120)
        assert stacks.described("s")["StackStatus"] == "ROLLBACK_IN_PROGRESS"
        assert "TimeoutInMinutes" in stacks.reasons("s")
        aws.advance(1800)
        assert stacks.described("s")["StackStatus"] == "ROLLBACK_COMPLETE"
        assert endpoints(aws) == []


# Failures.


def test_an_endpoint_that_fails_fails_the_stack_with_its_reason(stacks: Stacks) -> None:
    with stacks.aws.fault("capacity", instance_type="ml.m5.*"):
        assert stacks.create("s", template(HOSTING)) == "ROLLBACK_COMPLETE"
    assert "Unable to provision requested ML compute capacity" in stacks.reasons("s")
    assert models(stacks.aws) == endpoints(stacks.aws) == []


def test_an_update_that_sagemaker_rolls_back_is_rolled_back_with_its_reason() -> None:
    larger = {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {
            "ProductionVariants": [
                variant(ModelName={"Fn::GetAtt": ["Model", "ModelName"]}, InitialInstanceCount=4)
            ]
        },
    }
    with LocalAws(engine="none", transition_seconds=5, clock="virtual") as aws:
        stacks, sagemaker = Stacks(aws), aws.client("sagemaker")
        stacks.client.create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))
        aws.advance(60)
        before = stacks.physical_ids("s")
        (name,) = endpoints(aws)
        statuses: list[tuple[str, str]] = []
        with aws.fault("capacity", instance_type="ml.m5.*"):
            stacks.client.update_stack(
                StackName="s", TemplateBody=text_of(template({**HOSTING, "Config": larger}))
            )
            for _ in range(120):
                aws.advance(0.5)
                endpoint = sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
                statuses.append((endpoint, stacks.described("s")["StackStatus"]))
        # The stack waits for what SageMaker does by itself.
        assert {stack for endpoint, stack in statuses if endpoint == "RollingBack"} == {"UPDATE_IN_PROGRESS"}
        assert statuses[-1] == ("InService", "UPDATE_ROLLBACK_COMPLETE")
        assert "capacity" in stacks.reasons("s")
        assert stacks.physical_ids("s") == before
        assert len(sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 1


@pytest.mark.parametrize(
    ("given", "status", "left"),
    [
        ({}, "ROLLBACK_COMPLETE", 0),
        ({"OnFailure": "ROLLBACK"}, "ROLLBACK_COMPLETE", 0),
        ({"OnFailure": "DELETE"}, "DELETE_COMPLETE", 0),
        ({"OnFailure": "DO_NOTHING"}, "CREATE_FAILED", 1),
        ({"DisableRollback": True}, "CREATE_FAILED", 1),
    ],
)
def test_what_happens_on_failure_is_as_the_request_says(
    stacks: Stacks, given: dict[str, Any], status: str, left: int
) -> None:
    with stacks.aws.fault("error", operation="CreateEndpointConfig", code="ResourceLimitExceeded"):
        assert stacks.create("s", template(HOSTING), **given) == status
    assert len(models(stacks.aws)) == left
    assert endpoints(stacks.aws) == []


def test_a_stack_without_rollback_goes_on_where_it_failed(stacks: Stacks) -> None:
    with stacks.aws.fault("error", operation="CreateEndpoint", code="ResourceLimitExceeded"):
        assert stacks.create("s", template(HOSTING), DisableRollback=True) == "CREATE_FAILED"
    before = stacks.physical_ids("s")
    assert stacks.update("s", template(HOSTING)) == "UPDATE_COMPLETE", stacks.reasons("s")
    after = stacks.physical_ids("s")
    assert {**after, "Endpoint": ""} == {**before, "Endpoint": ""}
    assert len(endpoints(stacks.aws)) == 1


def test_a_rollback_that_fails_is_continued() -> None:
    """The old config is deleted while the endpoint is updated from it."""

    def serving(config: str, **more: Any) -> str:
        endpoint = {"Type": ENDPOINT["Type"], "Properties": {"EndpointConfigName": config}}
        return text_of(template({"Endpoint": endpoint, **more}))

    with LocalAws(engine="none", transition_seconds=60, clock="virtual") as aws:
        stacks, client = Stacks(aws), aws.client("sagemaker")
        client.create_model(ModelName="m", ExecutionRoleArn=ROLE, PrimaryContainer={"Image": FOREIGN_IMAGE})
        for config in ("old", "new"):
            client.create_endpoint_config(
                EndpointConfigName=config, ProductionVariants=[variant(ModelName="m")]
            )
        stacks.client.create_stack(StackName="s", TemplateBody=serving("old"))
        aws.advance(120)
        failing = {
            "Type": "AWS::SageMaker::Model",
            "DependsOn": "Endpoint",
            "Properties": {"ModelName": "m"},
        }
        stacks.client.update_stack(StackName="s", TemplateBody=serving("new", Failing=failing))
        aws.advance(10)
        client.delete_endpoint_config(EndpointConfigName="old")
        aws.advance(300)
        assert stacks.described("s")["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
        assert "Could not find endpoint configuration" in stacks.reasons("s")
        client.create_endpoint_config(EndpointConfigName="old", ProductionVariants=[variant(ModelName="m")])
        stacks.client.continue_update_rollback(StackName="s")
        aws.advance(300)
        assert stacks.described("s")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
        (name,) = endpoints(aws)
        assert client.describe_endpoint(EndpointName=name)["EndpointConfigName"] == "old"
        code, message = refusal_of(stacks.client.continue_update_rollback, StackName="s")
        assert (code, "can not continue" in message) == ("ValidationError", True)


def test_a_stack_that_cannot_delete_a_resource_says_so_and_can_be_deleted_later(stacks: Stacks) -> None:
    resources = {"Bucket": {"Type": "AWS::S3::Bucket"}, "Model": MODEL}
    stacks.create("s", template(resources))
    bucket = stacks.physical_ids("s")["Bucket"]
    stacks.aws.client("s3").put_object(Bucket=bucket, Key="k", Body=b"1")
    assert stacks.delete("s") == "DELETE_FAILED"
    assert list(stacks.physical_ids("s")) == ["Bucket"]
    assert models(stacks.aws) == []
    assert "[Bucket]" in stacks.described("s")["StackStatusReason"]
    assert stacks.delete("s", RetainResources=["Bucket"]) == "DELETE_COMPLETE"
    stacks.aws.client("s3").head_bucket(Bucket=bucket)


def test_what_a_resource_needs_is_kept_while_the_resource_cannot_be_deleted(stacks: Stacks) -> None:
    bucket = {"Type": "AWS::S3::Bucket", "DependsOn": "Model"}
    stacks.create("s", template({"Model": MODEL, "Bucket": bucket, "Alarm": RESOURCES["Alarm"]}))
    name = stacks.physical_ids("s")["Bucket"]
    stacks.aws.client("s3").put_object(Bucket=name, Key="k", Body=b"1")
    assert stacks.delete("s") == "DELETE_FAILED"
    assert set(stacks.physical_ids("s")) == {"Model", "Bucket"}
    assert len(models(stacks.aws)) == 1
    stacks.aws.client("s3").delete_object(Bucket=name, Key="k")
    assert stacks.delete("s") == "DELETE_COMPLETE"
    assert models(stacks.aws) == []


def test_a_custom_name_is_not_replaced(stacks: Stacks) -> None:
    named = {"Type": MODEL["Type"], "Properties": {**MODEL["Properties"], "ModelName": "churn"}}
    stacks.create("s", template({"Model": named}))
    named = {**named, "Properties": {**named["Properties"], "PrimaryContainer": {"Image": "other"}}}
    assert stacks.update("s", template({"Model": named})) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Rename churn and update the stack again" in stacks.reasons("s")


def test_the_type_of_a_resource_cannot_change(stacks: Stacks) -> None:
    stacks.create("s", template({"It": MODEL}))
    assert stacks.update("s", template({"It": {"Type": "AWS::S3::Bucket"}})) == "UPDATE_ROLLBACK_COMPLETE"
    assert "Update of resource type is not permitted" in stacks.reasons("s")


# What is kept.


@pytest.mark.parametrize("policy", ["Retain", "RetainExceptOnCreate"])
def test_a_retained_resource_outlives_its_stack(stacks: Stacks, policy: str) -> None:
    resources = {**HOSTING, "Model": {**MODEL, "DeletionPolicy": policy}}
    stacks.create("s", template(resources))
    stack_id = stacks.described("s")["StackId"]
    assert stacks.delete("s") == "DELETE_COMPLETE"
    assert ("Model", "DELETE_SKIPPED") in stacks.events(stack_id)
    assert len(models(stacks.aws)) == 1
    assert endpoints(stacks.aws) == []


@pytest.mark.parametrize(("policy", "left"), [("Retain", 1), ("RetainExceptOnCreate", 0)])
def test_a_creation_that_fails_keeps_what_is_retained(stacks: Stacks, policy: str, left: int) -> None:
    resources = {**HOSTING, "Model": {**MODEL, "DeletionPolicy": policy}}
    with stacks.aws.fault("error", operation="CreateEndpointConfig", code="ResourceLimitExceeded"):
        assert stacks.create("s", template(resources)) == "ROLLBACK_COMPLETE"
    assert len(models(stacks.aws)) == left


@pytest.mark.parametrize(("policy", "left"), [("Delete", 1), ("Retain", 2)])
def test_a_replaced_resource_is_kept_as_its_policy_says(stacks: Stacks, policy: str, left: int) -> None:
    declared = {**MODEL, "UpdateReplacePolicy": policy}
    stacks.create("s", template({"Model": declared}))
    other = {**declared, "Properties": {**MODEL["Properties"], "PrimaryContainer": {"Image": "other"}}}
    assert stacks.update("s", template({"Model": other})) == "UPDATE_COMPLETE"
    assert len(models(stacks.aws)) == left


def test_a_resource_that_leaves_the_template_is_deleted_unless_it_is_retained(stacks: Stacks) -> None:
    bucket = {"Type": "AWS::S3::Bucket"}
    alarm = {**RESOURCES["Alarm"], "DeletionPolicy": "Retain"}
    stacks.create("s", template({"Model": MODEL, "Bucket": bucket, "Alarm": alarm}))
    assert stacks.update("s", template({"Bucket": bucket})) == "UPDATE_COMPLETE"
    assert list(stacks.physical_ids("s")) == ["Bucket"]
    assert models(stacks.aws) == []
    assert len(stacks.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]) == 1


def test_a_secret_parameter_is_not_shown(stacks: Stacks) -> None:
    model = json.loads(json.dumps(MODEL))
    model["Properties"]["PrimaryContainer"]["Environment"] = {"PASSWORD": {"Ref": "Secret"}}
    declared = template({"Model": model}, Parameters={"Secret": {"Type": "String", "NoEcho": True}})
    given = [{"ParameterKey": "Secret", "ParameterValue": "hunter2"}]
    assert stacks.create("s", declared, Parameters=given) == "CREATE_COMPLETE"
    assert stacks.described("s")["Parameters"] == [{"ParameterKey": "Secret", "ParameterValue": "****"}]
    assert "hunter2" not in str(stacks._events("s"))
    (name,) = models(stacks.aws)
    found = stacks.aws.client("sagemaker").describe_model(ModelName=name)
    assert found["PrimaryContainer"]["Environment"] == {"PASSWORD": "hunter2"}


# Between stacks.


def test_exports_are_imported_and_protected(stacks: Stacks) -> None:
    exporting = template(
        {"Model": MODEL},
        Outputs={"Name": {"Value": {"Fn::GetAtt": ["Model", "ModelName"]}, "Export": {"Name": "model"}}},
    )
    importing = template(
        {
            "Config": {
                "Type": "AWS::SageMaker::EndpointConfig",
                "Properties": {"ProductionVariants": [variant(ModelName={"Fn::ImportValue": "model"})]},
            }
        }
    )
    assert stacks.create("absent", importing) == "ROLLBACK_COMPLETE"
    assert "No export named model found" in stacks.reasons("absent")
    stacks.create("a", exporting)
    assert stacks.create("b", importing) == "CREATE_COMPLETE", stacks.reasons("b")
    client = stacks.client
    (export,) = client.list_exports()["Exports"]
    assert (export["Name"], export["Value"]) == ("model", models(stacks.aws)[0])
    assert client.list_imports(ExportName="model")["Imports"] == ["b"]
    assert "in use by b" in refusal_of(client.delete_stack, StackName="a")[1]
    other = json.loads(json.dumps(exporting))
    other["Resources"]["Model"]["Properties"]["PrimaryContainer"]["Image"] = "other"
    # The model's name would be another one.
    assert stacks.update("a", other) == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.create("c", exporting) == "ROLLBACK_COMPLETE"
    assert "already exported by stack a" in str(stacks._events("c"))
    assert stacks.delete("b") == "DELETE_COMPLETE"
    assert stacks.delete("a") == "DELETE_COMPLETE"


def test_a_protected_stack_is_not_deleted(stacks: Stacks) -> None:
    stacks.create("s", template({"Model": MODEL}), EnableTerminationProtection=True)
    assert "TerminationProtection" in refusal_of(stacks.client.delete_stack, StackName="s")[1]
    stacks.client.update_termination_protection(StackName="s", EnableTerminationProtection=False)
    assert stacks.delete("s") == "DELETE_COMPLETE"


# Change sets.


def test_a_change_set_says_what_would_change_and_changes_nothing(stacks: Stacks) -> None:
    client, aws = stacks.client, stacks.aws
    stacks.create("s", template({**HOSTING, "Bucket": {"Type": "AWS::S3::Bucket"}}))
    other = {**MODEL, "Properties": {**MODEL["Properties"], "PrimaryContainer": {"Image": "other"}}}
    changed = template({**HOSTING, "Model": other, "Alarm": RESOURCES["Alarm"]})
    before = stacks.physical_ids("s")
    client.create_change_set(StackName="s", ChangeSetName="c", TemplateBody=text_of(changed))
    client.get_waiter("change_set_create_complete").wait(StackName="s", ChangeSetName="c")
    changes = client.describe_change_set(StackName="s", ChangeSetName="c")["Changes"]
    shown = {
        one["ResourceChange"]["LogicalResourceId"]: (
            one["ResourceChange"]["Action"],
            one["ResourceChange"].get("Replacement"),
        )
        for one in changes
    }
    assert shown == {
        "Model": ("Modify", "True"),
        "Config": ("Modify", "True"),
        "Endpoint": ("Modify", "False"),
        "Alarm": ("Add", None),
        "Bucket": ("Remove", None),
    }
    assert stacks.physical_ids("s") == before
    assert len(models(aws)) == 1
    client.execute_change_set(StackName="s", ChangeSetName="c")
    assert stacks.settled("s") == "UPDATE_COMPLETE"
    after = stacks.physical_ids("s")
    assert {name for name in before if after.get(name) != before[name]} == {"Model", "Config", "Bucket"}
    assert client.list_change_sets(StackName="s")["Summaries"] == []


def test_a_change_set_creates_a_stack(stacks: Stacks) -> None:
    client = stacks.client
    client.create_change_set(
        StackName="s", ChangeSetName="c", ChangeSetType="CREATE", TemplateBody=text_of(template(HOSTING))
    )
    assert stacks.described("s")["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert models(stacks.aws) == []
    client.execute_change_set(StackName="s", ChangeSetName="c")
    assert stacks.settled("s") == "CREATE_COMPLETE"
    client.create_change_set(StackName="s", ChangeSetName="same", TemplateBody=text_of(template(HOSTING)))
    found = client.describe_change_set(StackName="s", ChangeSetName="same")
    assert (found["Status"], found["ExecutionStatus"]) == ("FAILED", "UNAVAILABLE")
    assert "didn't contain changes" in found["StatusReason"]
    code, _ = refusal_of(client.execute_change_set, StackName="s", ChangeSetName="same")
    assert code == "InvalidChangeSetStatus"
    client.delete_change_set(StackName="s", ChangeSetName="same")
    assert (
        refusal_of(client.describe_change_set, StackName="s", ChangeSetName="same")[0] == "ChangeSetNotFound"
    )


# Refusals.


def test_requests_are_refused_as_by_aws(stacks: Stacks) -> None:
    client = stacks.client
    body = text_of(template({"Model": MODEL}))
    role = text_of(template({"Role": ROLE_OF_STACK}))
    stacks.create("s", body)
    unchanged = refusal_of(client.update_stack, StackName="s", TemplateBody=body)
    assert unchanged == ("ValidationError", "No updates are to be performed.")
    assert refusal_of(client.create_stack, StackName="s", TemplateBody=body)[0] == "AlreadyExistsException"
    assert refusal_of(client.describe_stacks, StackName="absent") == (
        "ValidationError",
        "Stack with id absent does not exist",
    )
    assert (
        refusal_of(client.create_stack, StackName="r", TemplateBody=role)[0]
        == "InsufficientCapabilitiesException"
    )
    assert refusal_of(client.create_stack, StackName="1", TemplateBody=body)[0] == "ValidationError"
    client.delete_stack(StackName="absent")
    for operation, request in (
        (client.list_stack_sets, {}),
        (client.create_stack_set, {"StackSetName": "x", "TemplateBody": body}),
        (client.cancel_update_stack, {"StackName": "s"}),
        (client.detect_stack_drift, {"StackName": "s"}),
        (client.set_stack_policy, {"StackName": "s", "StackPolicyBody": "{}"}),
    ):
        assert refusal_of(operation, **request)[0] == "NotImplemented"
    assert {one["StackName"] for one in client.describe_stacks()["Stacks"]} == {"s"}


def test_a_stack_in_progress_is_not_updated() -> None:
    with LocalAws(engine="none", transition_seconds=60, clock="virtual") as aws:
        client = aws.client("cloudformation")
        client.create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))
        aws.advance(5)
        _, message = refusal_of(
            client.update_stack, StackName="s", TemplateBody=text_of(template({"Model": MODEL}))
        )
        assert "is in CREATE_IN_PROGRESS state and can not be updated" in message


def test_a_template_is_read_from_s3_in_each_form_of_its_url(stacks: Stacks) -> None:
    s3 = stacks.aws.client("s3")
    s3.create_bucket(Bucket="templates")
    s3.put_object(Bucket="templates", Key="a/t.json", Body=text_of(template({"Model": MODEL})).encode())
    urls = [
        "https://s3.us-east-1.amazonaws.com/templates/a/t.json",
        "https://templates.s3.us-east-1.amazonaws.com/a/t.json",
        "https://templates.s3.amazonaws.com/a/t.json",
        f"{stacks.aws.endpoint_url}/templates/a/t.json",
    ]
    for number, url in enumerate(urls):
        created = stacks.client.create_stack(StackName=f"s{number}", TemplateURL=url)
        assert stacks.settled(created["StackId"]) == "CREATE_COMPLETE"
    found = stacks.client.get_template(StackName="s0")["TemplateBody"]
    assert found == template({"Model": MODEL})
    assert (
        "does not exist"
        in refusal_of(
            stacks.client.create_stack, StackName="x", TemplateURL="https://templates.s3.amazonaws.com/b"
        )[1]
    )


# The server.


def test_stacks_outlive_a_restart(tmp_path: Path) -> None:
    resources = {**HOSTING, "Role": ROLE_OF_STACK, "Topic": {"Type": "AWS::SNS::Topic"}}
    arn = {"Topic": {"Value": {"Fn::GetAtt": ["Topic", "TopicName"]}}}
    with LocalAws(engine="none", transition_seconds=0, state=tmp_path / "state") as aws:
        stacks = Stacks(aws)
        assert stacks.create("s", template(resources), Tags=[{"Key": "a", "Value": "b"}]) == "CREATE_COMPLETE"
        before, events = stacks.physical_ids("s"), stacks.events("s")
    with LocalAws(engine="none", transition_seconds=0, state=tmp_path / "state") as aws:
        stacks = Stacks(aws)
        assert stacks.physical_ids("s") == before
        assert stacks.events("s") == events
        wait_until(
            lambda: aws.client("sagemaker").list_endpoints()["Endpoints"][0]["EndpointStatus"] == "InService"
        )
        refused = refusal_of(
            stacks.client.update_stack,
            StackName="s",
            TemplateBody=text_of(template(resources)),
            Capabilities=CAPABILITIES,
        )
        assert refused[1] == "No updates are to be performed."
        # An attribute of a resource of moto's, which it finds again.
        assert stacks.update("s", template(resources, Outputs=arn)) == "UPDATE_COMPLETE", stacks.reasons("s")
        assert stacks.outputs("s")["Topic"] == before["Topic"].rpartition(":")[2]
        assert stacks.delete("s") == "DELETE_COMPLETE"
        assert endpoints(aws) == models(aws) == []
        assert aws.client("sns").list_topics()["Topics"] == []


def test_a_stack_in_progress_has_failed_after_a_restart(tmp_path: Path) -> None:
    with LocalAws(engine="none", transition_seconds=3600, clock="virtual", state=tmp_path / "state") as aws:
        aws.client("cloudformation").create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))
        aws.advance(10)
    with LocalAws(engine="none", transition_seconds=0, state=tmp_path / "state") as aws:
        stacks = Stacks(aws)
        found = stacks.described("s")
        assert (found["StackStatus"], found["StackStatusReason"]) == (
            "CREATE_FAILED",
            "The local AWS was restarted.",
        )
        assert stacks.delete("s") == "DELETE_COMPLETE", stacks.reasons(found["StackId"])
        assert endpoints(aws) == models(aws) == []


def test_a_reset_forgets_stacks_and_what_they_were_doing() -> None:
    with LocalAws(engine="none", transition_seconds=60, clock="virtual") as aws:
        client = aws.client("cloudformation")
        client.create_stack(StackName="s", TemplateBody=text_of(template(HOSTING)))
        aws.advance(5)
        aws.reset()
        aws.advance(600)
        assert client.describe_stacks()["Stacks"] == []
        assert client.list_stacks()["StackSummaries"] == []
        assert models(aws) == endpoints(aws) == []


def test_the_calls_of_a_stack_are_not_in_the_request_log(stacks: Stacks) -> None:
    stacks.aws.clear_requests()
    stacks.create("s", template(HOSTING))
    assert stacks.aws.request_counts(mutating=True) == {"CreateStack": 1}


def test_a_user_needs_only_the_permission_for_the_stack(stacks: Stacks) -> None:
    """The stack itself has all permissions: the local AWS does not assume its role."""
    aws = stacks.aws
    iam = aws.client("iam")
    iam.create_user(UserName="deployer")
    key = iam.create_access_key(UserName="deployer")["AccessKey"]
    client = boto3.client(
        "cloudformation",
        region_name="us-east-1",
        endpoint_url=aws.endpoint_url,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )
    aws.enforce_iam()
    body = text_of(template({"Model": MODEL}))
    assert refusal_of(client.create_stack, StackName="s", TemplateBody=body)[0] == "AccessDenied"
    statement = {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="deployer", PolicyName="p", PolicyDocument=document)
    client.create_stack(StackName="s", TemplateBody=body)
    assert stacks.settled("s") == "CREATE_COMPLETE"


def test_regions_have_stacks_of_their_own(stacks: Stacks) -> None:
    stacks.create("s", template({"Model": MODEL}))
    keys = stacks.aws.environment()
    other = boto3.client(
        "cloudformation",
        region_name="eu-west-1",
        endpoint_url=stacks.aws.endpoint_url,
        aws_access_key_id=keys["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=keys["AWS_SECRET_ACCESS_KEY"],
    )
    assert other.describe_stacks()["Stacks"] == []
    other.create_stack(StackName="s", TemplateBody=text_of(template({"Bucket": {"Type": "AWS::S3::Bucket"}})))
    wait_until(lambda: other.describe_stacks(StackName="s")["Stacks"][0]["StackStatus"] == "CREATE_COMPLETE")
    (bucket,) = other.describe_stack_resources(StackName="s")["StackResources"]
    located = stacks.aws.client("s3").get_bucket_location(Bucket=bucket["PhysicalResourceId"])
    assert located["LocationConstraint"] == "eu-west-1"


def test_the_table_has_every_type_of_this_package() -> None:
    assert {kind.type_name for kind in KINDS} == {
        *("AWS::SageMaker::Model", "AWS::SageMaker::EndpointConfig", "AWS::SageMaker::Endpoint"),
        *("AWS::SageMaker::InferenceComponent", "AWS::SageMaker::ModelPackageGroup"),
        *("AWS::ApplicationAutoScaling::ScalableTarget", "AWS::ApplicationAutoScaling::ScalingPolicy"),
        *("AWS::CloudWatch::Alarm", "AWS::CloudWatch::CompositeAlarm"),
    }

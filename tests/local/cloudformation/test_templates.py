"""Templates of the kinds that people publish, each with the end that it must have in the local AWS.

A template says by itself, in its metadata, how its stack ends.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.cloudformation.template import parse_template
from tests.local.cloudformation.kinds import KINDS
from tests.local.cloudformation.stacks import Stacks

TEMPLATES = sorted(Path(__file__).with_name("templates").glob("*.yaml"))
#: How a client finds a resource of moto by its physical id.
FOUND: dict[str, Callable[[LocalAws, str], Any]] = {
    "AWS::IAM::Role": lambda aws, name: aws.client("iam").get_role(RoleName=name),
    "AWS::S3::Bucket": lambda aws, name: aws.client("s3").head_bucket(Bucket=name),
    "AWS::SNS::Topic": lambda aws, arn: aws.client("sns").get_topic_attributes(TopicArn=arn),
    "AWS::SQS::Queue": lambda aws, url: aws.client("sqs").get_queue_attributes(QueueUrl=url),
    "AWS::SSM::Parameter": lambda aws, name: aws.client("ssm").get_parameter(Name=name),
    "AWS::EC2::VPC": lambda aws, name: aws.client("ec2").describe_vpcs(VpcIds=[name]),
    "AWS::EC2::Subnet": lambda aws, name: aws.client("ec2").describe_subnets(SubnetIds=[name]),
    "AWS::EC2::SecurityGroup": lambda aws, name: aws.client("ec2").describe_security_groups(GroupIds=[name]),
    "AWS::Events::Rule": lambda aws, name: aws.client("events").describe_rule(Name=name.rpartition("/")[2]),
    # The policy itself is in its roles.
    "AWS::IAM::Policy": lambda aws, name: name,
}


def resources_left(aws: LocalAws) -> list[str]:
    """Return the resources of hosting that are there."""
    sagemaker: Any = aws.client("sagemaker")
    rows = [
        *(one["ModelArn"] for one in sagemaker.list_models()["Models"]),
        *(one["EndpointConfigArn"] for one in sagemaker.list_endpoint_configs()["EndpointConfigs"]),
        *(one["EndpointArn"] for one in sagemaker.list_endpoints()["Endpoints"]),
    ]
    scaling = aws.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    alarms = aws.client("cloudwatch").describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    rows += [one["ResourceId"] for one in scaling["ScalableTargets"]]
    return rows + [one["AlarmName"] for kind in ("MetricAlarms", "CompositeAlarms") for one in alarms[kind]]


@pytest.mark.parametrize("path", TEMPLATES, ids=[path.stem for path in TEMPLATES])
def test_a_template_ends_as_it_says(stacks: Stacks, path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    template = parse_template(text)
    expected = template.metadata["Test"]
    given = [
        {"ParameterKey": name, "ParameterValue": value}
        for name, value in expected.get("Parameters", {}).items()
    ]
    end = stacks.create(path.stem.replace("_", "-"), text, Parameters=given)
    name = path.stem.replace("_", "-")
    assert end == expected["End"], stacks.reasons(name)
    if end != "CREATE_COMPLETE":
        assert re.search(expected["Reason"], stacks.reasons(name)), stacks.reasons(name)
        assert stacks.physical_ids(name) == {}
        assert resources_left(stacks.aws) == []
        return
    ids = stacks.physical_ids(name)
    found = {kind.type_name: kind.found for kind in KINDS} | FOUND
    for logical_id, physical_id in ids.items():
        described = found[template.resources[logical_id].type_name](stacks.aws, physical_id)
        assert described is not None, logical_id
        if "EndpointStatus" in described:
            assert described["EndpointStatus"] == "InService"
    stack_id = stacks.described(name)["StackId"]
    # The template alone, once more, changes nothing; without its resources, nothing of it is left.
    with pytest.raises(stacks.client.exceptions.ClientError, match="No updates"):
        stacks.update(name, text, Parameters=given)
    assert stacks.delete(name) == "DELETE_COMPLETE", stacks.reasons(stack_id)
    assert resources_left(stacks.aws) == []


def test_there_are_enough_of_them() -> None:
    assert len(TEMPLATES) >= 30

"""The types of resources of this package, each with what is changed of it and how a client finds it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import FOREIGN_IMAGE, ROLE

VARIANT_ID = {"Fn::Sub": "endpoint/${Endpoint.EndpointName}/variant/main"}
DIMENSION = "sagemaker:variant:DesiredInstanceCount"


def variant(**more: Any) -> dict[str, Any]:
    return {
        "VariantName": "main",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 1,
        **more,
    }


#: A resource of each type, and what they need.
RESOURCES: dict[str, dict[str, Any]] = {
    "Model": {
        "Type": "AWS::SageMaker::Model",
        "Properties": {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": FOREIGN_IMAGE}},
    },
    "Config": {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {"ProductionVariants": [variant(ModelName={"Fn::GetAtt": ["Model", "ModelName"]})]},
    },
    "OtherConfig": {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {
            "ProductionVariants": [
                variant(ModelName={"Fn::GetAtt": ["Model", "ModelName"]}, InitialInstanceCount=2)
            ]
        },
    },
    "Endpoint": {
        "Type": "AWS::SageMaker::Endpoint",
        "DependsOn": "OtherConfig",
        "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["Config", "EndpointConfigName"]}},
    },
    "HostConfig": {
        "Type": "AWS::SageMaker::EndpointConfig",
        "Properties": {"ExecutionRoleArn": ROLE, "ProductionVariants": [variant()]},
    },
    "Host": {
        "Type": "AWS::SageMaker::Endpoint",
        "Properties": {"EndpointConfigName": {"Fn::GetAtt": ["HostConfig", "EndpointConfigName"]}},
    },
    "Component": {
        "Type": "AWS::SageMaker::InferenceComponent",
        "Properties": {
            "EndpointName": {"Fn::GetAtt": ["Host", "EndpointName"]},
            "VariantName": "main",
            "Specification": {
                "ModelName": {"Fn::GetAtt": ["Model", "ModelName"]},
                "ComputeResourceRequirements": {"MinMemoryRequiredInMb": 1024},
            },
            "RuntimeConfig": {"CopyCount": 1},
        },
    },
    "Group": {
        "Type": "AWS::SageMaker::ModelPackageGroup",
        "Properties": {"ModelPackageGroupName": "churn", "ModelPackageGroupDescription": "First"},
    },
    "Target": {
        "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
        "Properties": {
            "ServiceNamespace": "sagemaker",
            "ScalableDimension": DIMENSION,
            "ResourceId": VARIANT_ID,
            "MinCapacity": 1,
            "MaxCapacity": 3,
        },
    },
    "Policy": {
        "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
        "Properties": {
            "PolicyName": "invocations",
            "PolicyType": "TargetTrackingScaling",
            "ScalingTargetId": {"Ref": "Target"},
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 900,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            },
        },
    },
    "Alarm": {
        "Type": "AWS::CloudWatch::Alarm",
        "Properties": {
            "Namespace": "AWS/SageMaker",
            "MetricName": "ModelLatency",
            "Statistic": "Average",
            "Period": 300,
            "EvaluationPeriods": 3,
            "Threshold": 100000,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        },
    },
    "Composite": {
        "Type": "AWS::CloudWatch::CompositeAlarm",
        "Properties": {"AlarmRule": {"Fn::Sub": "ALARM(${Alarm})"}},
    },
}


@dataclass(frozen=True)
class Kind:
    """A type, by the resource of it.

    :param logical_id: The resource of it.
    :param attributes: Its attributes, and what they are, of a description.
    :param found: Returns its description by physical id, None where there is none.
    :param changed: Properties that are changed in place.
    :param is_changed: Tells by the description whether they are.
    :param replaced: Properties that need replacement.
    :param needed: Other resources that it needs, beside those that it refers to.
    :param tags: Returns the tags by the description, None for a type without.
    """

    logical_id: str
    attributes: Mapping[str, Callable[[Mapping[str, Any]], str]]
    found: Callable[[LocalAws, str], Mapping[str, Any] | None]
    changed: Mapping[str, Any]
    is_changed: Callable[[Mapping[str, Any]], bool]
    replaced: Mapping[str, Any]
    needed: tuple[str, ...] = ()
    tags: Callable[[LocalAws, Mapping[str, Any]], dict[str, str]] | None = None
    system_tags: bool = field(default=False)

    @property
    def type_name(self) -> str:
        return str(RESOURCES[self.logical_id]["Type"])

    def template(self, changed: Mapping[str, Any] | None = None, **outputs: Any) -> dict[str, Any]:
        """Return a template with a resource of it and what it needs.

        :param changed: Properties other than those of the table.
        :param outputs: Values of outputs.
        """
        resources = {name: copy.deepcopy(RESOURCES[name]) for name in self._needed()}
        resources[self.logical_id]["Properties"].update(changed or {})
        for name in self._needed_by(resources[self.logical_id]):
            resources.setdefault(name, copy.deepcopy(RESOURCES[name]))
        declared = {name: {"Value": value} for name, value in outputs.items()}
        return {"Resources": resources, **({"Outputs": declared} if declared else {})}

    def _needed(self) -> set[str]:
        found, new = set(), {self.logical_id, *self.needed}
        while new:
            found |= new
            new = {other for name in new for other in self._needed_by(RESOURCES[name])} - found
        return found

    def _needed_by(self, resource: Mapping[str, Any]) -> set[str]:
        text = str(resource)
        named = {name for name in RESOURCES if f"'{name}'" in text or f"${{{name}" in text}
        return named - {self.logical_id}


def by_listing(listing: str, row: str, noun: str) -> Callable[[LocalAws, str], Mapping[str, Any] | None]:
    """Return what describes a resource of SageMaker by its ARN, which is in lower case, as its name is not."""

    def found(aws: LocalAws, arn: str) -> Mapping[str, Any] | None:
        client: Any = aws.client("sagemaker")
        for one in getattr(client, listing)(MaxResults=100)[row]:
            if one[f"{noun}Arn"] == arn:
                describe = "describe_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in noun).lstrip(
                    "_"
                )
                answer: Mapping[str, Any] = getattr(client, describe)(**{f"{noun}Name": one[f"{noun}Name"]})
                return answer
        return None

    return found


def target_found(aws: LocalAws, physical_id: str) -> Mapping[str, Any] | None:
    resource_id, dimension, namespace = physical_id.split("|")
    found = aws.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace=namespace, ResourceIds=[resource_id], ScalableDimension=dimension
    )["ScalableTargets"]
    return {**found[0], "Id": physical_id} if found else None


def policy_found(aws: LocalAws, arn: str) -> Mapping[str, Any] | None:
    policies = aws.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
    return next((one for one in policies["ScalingPolicies"] if one["PolicyARN"] == arn), None)


def alarm_found(kind: str) -> Callable[[LocalAws, str], Mapping[str, Any] | None]:
    def found(aws: LocalAws, name: str) -> Mapping[str, Any] | None:
        alarms: Any = aws.client("cloudwatch").describe_alarms(AlarmNames=[name], AlarmTypes=[kind])
        return next(iter(alarms[f"{kind}s"]), None)

    return found


def sagemaker_tags(member: str) -> Callable[[LocalAws, Mapping[str, Any]], dict[str, str]]:
    def tags(aws: LocalAws, found: Mapping[str, Any]) -> dict[str, str]:
        listed = aws.client("sagemaker").list_tags(ResourceArn=found[member])["Tags"]
        return {one["Key"]: one["Value"] for one in listed}

    return tags


def alarm_tags(aws: LocalAws, found: Mapping[str, Any]) -> dict[str, str]:
    listed = aws.client("cloudwatch").list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    return {one["Key"]: one["Value"] for one in listed}


def target_tags(aws: LocalAws, found: Mapping[str, Any]) -> dict[str, str]:
    client = aws.client("application-autoscaling")
    return client.list_tags_for_resource(ResourceARN=found["ScalableTargetARN"])["Tags"]


def member(name: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda found: str(found[name])


def tag(value: str) -> dict[str, Any]:
    return {"Tags": [{"Key": "team", "Value": value}]}


OTHER_IMAGE = {"PrimaryContainer": {"Image": f"{FOREIGN_IMAGE}-2"}}
KINDS = [
    Kind(
        "Model",
        {"ModelName": member("ModelName"), "ModelArn": member("ModelArn")},
        by_listing("list_models", "Models", "Model"),
        changed={},
        is_changed=lambda found: True,
        replaced=OTHER_IMAGE,
        tags=sagemaker_tags("ModelArn"),
        system_tags=True,
    ),
    Kind(
        "Config",
        {
            "EndpointConfigName": member("EndpointConfigName"),
            "EndpointConfigArn": member("EndpointConfigArn"),
        },
        by_listing("list_endpoint_configs", "EndpointConfigs", "EndpointConfig"),
        changed={},
        is_changed=lambda found: True,
        replaced={
            "ProductionVariants": [
                variant(ModelName={"Fn::GetAtt": ["Model", "ModelName"]}, InitialInstanceCount=3)
            ]
        },
        tags=sagemaker_tags("EndpointConfigArn"),
    ),
    Kind(
        "Endpoint",
        {"EndpointName": member("EndpointName"), "EndpointArn": member("EndpointArn")},
        by_listing("list_endpoints", "Endpoints", "Endpoint"),
        changed={"EndpointConfigName": {"Fn::GetAtt": ["OtherConfig", "EndpointConfigName"]}},
        is_changed=lambda found: found["ProductionVariants"][0]["CurrentInstanceCount"] == 2,
        replaced={"EndpointName": "another"},
        needed=("OtherConfig",),
        tags=sagemaker_tags("EndpointArn"),
    ),
    Kind(
        "Component",
        {
            "InferenceComponentName": member("InferenceComponentName"),
            "InferenceComponentArn": member("InferenceComponentArn"),
            "InferenceComponentStatus": member("InferenceComponentStatus"),
            "RuntimeConfig.CurrentCopyCount": lambda found: str(found["RuntimeConfig"]["CurrentCopyCount"]),
        },
        by_listing("list_inference_components", "InferenceComponents", "InferenceComponent"),
        changed={"RuntimeConfig": {"CopyCount": 2}},
        is_changed=lambda found: found["RuntimeConfig"]["CurrentCopyCount"] == 2,
        replaced={"InferenceComponentName": "another"},
        tags=sagemaker_tags("InferenceComponentArn"),
    ),
    Kind(
        "Group",
        {
            "ModelPackageGroupArn": member("ModelPackageGroupArn"),
            "ModelPackageGroupStatus": lambda found: "Completed",
        },
        by_listing("list_model_package_groups", "ModelPackageGroupSummaryList", "ModelPackageGroup"),
        changed={},
        is_changed=lambda found: True,
        replaced={"ModelPackageGroupName": "churn-2"},
    ),
    Kind(
        "Target",
        {"Id": member("Id")},
        target_found,
        changed={"MaxCapacity": 5},
        is_changed=lambda found: found["MaxCapacity"] == 5,
        replaced={"ResourceId": {"Fn::Sub": "endpoint/${Host.EndpointName}/variant/main"}},
        needed=("Host",),
        tags=target_tags,
    ),
    Kind(
        "Policy",
        {"Arn": member("PolicyARN")},
        policy_found,
        changed={
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 100,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
            }
        },
        is_changed=lambda found: found["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 100,
        replaced={"PolicyName": "another"},
    ),
    Kind(
        "Alarm",
        {"Arn": member("AlarmArn")},
        alarm_found("MetricAlarm"),
        changed={"Threshold": 5},
        is_changed=lambda found: found["Threshold"] == 5,
        replaced={"AlarmName": "another"},
        tags=alarm_tags,
        system_tags=True,
    ),
    Kind(
        "Composite",
        {"Arn": member("AlarmArn")},
        alarm_found("CompositeAlarm"),
        changed={"AlarmDescription": "Changed"},
        is_changed=lambda found: found.get("AlarmDescription") == "Changed",
        replaced={"AlarmName": "another-one"},
        tags=alarm_tags,
        system_tags=True,
    ),
]

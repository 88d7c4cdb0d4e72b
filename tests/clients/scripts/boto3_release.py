"""boto3 alone: a model, its endpoint, scaling, an alarm, a canary deployment, and the end of all."""

from __future__ import annotations

import json
import sys

import boto3

image, data, role = sys.argv[1:]
sagemaker, runtime, scaling, cloudwatch = (
    boto3.client(service)
    for service in ("sagemaker", "sagemaker-runtime", "application-autoscaling", "cloudwatch")
)
SOON = {"Delay": 1, "MaxAttempts": 120}
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/e/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def config(version: str) -> str:
    container = {"Image": image, "ModelDataUrl": data, "Environment": {"VERSION": version}}
    sagemaker.create_model(ModelName=f"m{version}", ExecutionRoleArn=role, PrimaryContainer=container)
    variant = {
        "VariantName": "main",
        "ModelName": f"m{version}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 2,
    }
    sagemaker.create_endpoint_config(EndpointConfigName=f"c{version}", ProductionVariants=[variant])
    return f"c{version}"


def settled(kind: str) -> None:
    sagemaker.get_waiter(f"endpoint_{kind}").wait(EndpointName="e", WaiterConfig=SOON)


def answer() -> dict:
    return json.load(runtime.invoke_endpoint(EndpointName="e", ContentType="text/csv", Body=b"1,2")["Body"])


sagemaker.create_endpoint(EndpointName="e", EndpointConfigName=config("1"))
settled("in_service")
answers = [answer()]
scaling.register_scalable_target(**TARGET, MinCapacity=2, MaxCapacity=3)
scaling.put_scaling_policy(
    **TARGET,
    PolicyName="invocations",
    PolicyType="TargetTrackingScaling",
    TargetTrackingScalingPolicyConfiguration={
        "TargetValue": 100.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    },
)
cloudwatch.put_metric_alarm(
    AlarmName="errors",
    Namespace="AWS/SageMaker",
    MetricName="Invocation5XXErrors",
    Dimensions=[{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "main"}],
    Statistic="Sum",
    Period=60,
    EvaluationPeriods=1,
    Threshold=1,
    ComparisonOperator="GreaterThanThreshold",
    TreatMissingData="notBreaching",
)
alarms = sorted(one["AlarmName"] for one in cloudwatch.describe_alarms()["MetricAlarms"])
sagemaker.update_endpoint(
    EndpointName="e",
    EndpointConfigName=config("2"),
    DeploymentConfig={
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": {
                "Type": "CANARY",
                "CanarySize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 0,
            },
            "TerminationWaitInSeconds": 0,
        },
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
    },
)
settled("in_service")
answers.append(answer())

scaling.deregister_scalable_target(**TARGET)
cloudwatch.delete_alarms(AlarmNames=["errors"])
sagemaker.delete_endpoint(EndpointName="e")
settled("deleted")
for version in "12":
    sagemaker.delete_endpoint_config(EndpointConfigName=f"c{version}")
    sagemaker.delete_model(ModelName=f"m{version}")
left = [
    *sagemaker.list_endpoint_configs()["EndpointConfigs"],
    *sagemaker.list_models()["Models"],
    *cloudwatch.describe_alarms()["MetricAlarms"],
]
print("RESULT" + json.dumps({"answers": answers, "alarms": alarms, "left": left}, default=str))

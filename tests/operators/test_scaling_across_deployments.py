"""Scaling that AWS wants off for an update comes back as it was, whatever happens in between."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG
from botocore.exceptions import ClientError

from airflow_sm_hosting.deployment.scaling_snapshot import SNAPSHOT_TAG
from airflow_sm_hosting.exceptions import DeploymentRolledBackError
from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, SageMakerHostingHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.operators.conftest import (
    Ran,
    answering,
    deploy,
    make_broken_model,
    make_config,
    make_endpoint,
    make_model,
    operations,
    outcome,
    refusal,
    run_task,
    sagemaker_client,
    settled,
    tags_of,
)

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SUSPENDED = {
    "DynamicScalingInSuspended": True,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": True,
}


@pytest.fixture(params=[False, True], ids=["sync", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


@pytest.fixture
def scaled(aws: LocalAws) -> LocalAws:
    """The endpoint ``churn`` on ``c1``, scaled in every way; ``c2`` has another instance type."""
    make_model(aws)
    make_config(aws, "c1", InitialInstanceCount=2)
    make_config(aws, "c2", InstanceType="ml.c5.large", InitialInstanceCount=2)
    make_config(aws, "bad", make_broken_model(aws), InstanceType="ml.c5.large", InitialInstanceCount=2)
    make_endpoint(aws, "c1")
    scaling = aws.client("application-autoscaling")
    scaling.register_scalable_target(
        **PLACE, MinCapacity=1, MaxCapacity=4, SuspendedState=SUSPENDED, Tags={**OURS, "team": "churn"}
    )
    scaling.put_scaling_policy(
        **PLACE,
        PolicyName="requests",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 900.0,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
            },
            "ScaleInCooldown": 0,
        },
    )
    scaling.put_scaling_policy(
        **PLACE,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    )
    scaling.put_scheduled_action(
        **PLACE,
        ScheduledActionName="night",
        Schedule="cron(0 22 * * ? *)",
        Timezone="Europe/Berlin",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 2},
    )
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="backlog",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[arns(aws)["steps"]],
    )
    aws.clear_requests()
    return aws


def arns(aws: LocalAws) -> dict[str, str]:
    found = aws.client("application-autoscaling").describe_scaling_policies(ServiceNamespace="sagemaker")
    return {policy["PolicyName"]: policy["PolicyARN"] for policy in found["ScalingPolicies"]}


def state(aws: LocalAws) -> dict[str, Any]:
    """Return all that there is of scaling, without what the service makes up anew."""
    scaling = aws.client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    made_up = ("CreationTime", "PolicyARN", "ScheduledActionARN", "Alarms", "ScalableTargetARN")

    def kept(items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{name: value for name, value in item.items() if name not in made_up} for item in items]

    return {
        "targets": kept(targets),
        "tags": [
            scaling.list_tags_for_resource(ResourceARN=target["ScalableTargetARN"])["Tags"]
            for target in targets
        ],
        "policies": sorted(
            kept(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]),
            key=lambda policy: policy["PolicyName"],
        ),
        "actions": kept(scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]),
    }


def action_of_the_alarm(aws: LocalAws) -> list[str]:
    [alarm] = aws.client("cloudwatch").describe_alarms(AlarmNames=["backlog"])["MetricAlarms"]
    return alarm["AlarmActions"]


def in_order(aws: LocalAws, before: dict[str, Any]) -> None:
    """Hold the scaling against what it was."""
    assert state(aws) == before
    assert action_of_the_alarm(aws) == [arns(aws)["steps"]]
    assert not [key for key in tags_of(aws, ARN) if key.startswith(SNAPSHOT_TAG)]


def test_aws_refuses_the_update_while_the_variant_is_scaled(scaled: LocalAws) -> None:
    with pytest.raises(ClientError, match="scalable target"):
        scaled.client("sagemaker").update_endpoint(EndpointName="churn", EndpointConfigName="c2")


def test_scaling_is_taken_off_for_the_update_and_put_back_as_it_was(
    scaled: LocalAws, dag: DAG, deferrable: bool
) -> None:
    before, old = state(scaled), arns(scaled)

    end = outcome(deploy("c2", deferrable=deferrable))

    assert (end.error, end.details["action"], settled(scaled)["EndpointConfigName"]) == (None, "update", "c2")
    assert arns(scaled)["steps"] != old["steps"]  # else nothing would have to be pointed anew
    in_order(scaled, before)
    asked = operations(scaled, mutating=True)
    assert asked.index("AddTags") < asked.index("DeregisterScalableTarget") < asked.index("UpdateEndpoint")
    assert asked.index("UpdateEndpoint") < asked.index("RegisterScalableTarget")


def test_the_instance_count_that_scaling_had_reached_is_kept(scaled: LocalAws, dag: DAG) -> None:
    scaled.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName="churn", DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 3}]
    )
    settled(scaled)

    assert outcome(deploy("c2")).error is None

    [variant] = settled(scaled)["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 3


def test_a_rerun_changes_nothing(scaled: LocalAws, dag: DAG) -> None:
    assert outcome(deploy("c2")).error is None
    scaled.clear_requests()

    assert outcome(deploy("c2")).details["action"] == "unchanged"
    assert operations(scaled, mutating=True) == []


def test_it_comes_back_after_an_update_that_was_rolled_back(
    scaled: LocalAws, dag: DAG, deferrable: bool
) -> None:
    before = state(scaled)

    end = outcome(deploy("bad", deferrable=deferrable))

    assert isinstance(end.error, DeploymentRolledBackError)
    in_order(scaled, before)


def test_it_comes_back_at_once_when_the_update_is_refused(scaled: LocalAws, dag: DAG) -> None:
    before = state(scaled)
    with answering(sagemaker_client(), "UpdateEndpoint", refusal("ValidationException", "not this one")):
        end = outcome(deploy("c2"))

    assert "not this one" in str(end.error)
    in_order(scaled, before)


@pytest.mark.slow
def test_a_try_after_a_crash_at_any_call_puts_it_back(scaled: LocalAws, dag: DAG) -> None:
    """After each call that changes something, and before it."""
    before = state(scaled)
    clients = {
        "sagemaker": sagemaker_client(),
        "scaling": ApplicationAutoScalingHook().conn,
    }
    died = RuntimeError("the worker died")
    crashes = [
        ("sagemaker", "UpdateEndpoint"),
        ("scaling", "DeregisterScalableTarget"),
        ("scaling", "RegisterScalableTarget"),
        ("scaling", "PutScalingPolicy"),
        ("scaling", "PutScheduledAction"),
        ("sagemaker", "DeleteTags"),
    ]
    configs = ["c2", "c1"]
    for index, (service, operation) in enumerate(crashes):
        config = configs[index % 2]
        task = deploy(config)
        with answering(clients[service], operation, died):
            assert outcome(task).error is died, operation

        assert outcome(task).error is None, operation
        assert settled(scaled)["EndpointConfigName"] == config
        in_order(scaled, before)


@pytest.mark.usefixtures("short_pauses")
def test_tags_that_show_up_late_are_waited_for(
    scaled: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written down must be seen before anything is taken off."""
    before, late = state(scaled), [2]
    fresh = SageMakerHostingHook.tags

    def lagging(hook: SageMakerHostingHook, arn: str) -> dict[str, str]:
        found = fresh(hook, arn)
        if any(key.startswith(SNAPSHOT_TAG) for key in found) and late[0]:
            late[0] -= 1
            return {key: value for key, value in found.items() if not key.startswith(SNAPSHOT_TAG)}
        return found

    monkeypatch.setattr(SageMakerHostingHook, "tags", lagging)

    assert outcome(deploy("c2")).error is None

    assert late == [0]
    assert operations(scaled).count("UpdateEndpoint") == 1
    in_order(scaled, before)


def test_the_scaling_of_a_variant_that_goes_goes_with_it(aws: LocalAws, dag: DAG) -> None:
    make_model(aws)
    two = [
        {
            "VariantName": name,
            "ModelName": "model",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
        }
        for name in ("main", "other")
    ]
    aws.client("sagemaker").create_endpoint_config(EndpointConfigName="two", ProductionVariants=two)
    make_config(aws, "one")
    make_endpoint(aws, "two")
    for name in ("main", "other"):
        aws.client("application-autoscaling").register_scalable_target(
            **{**PLACE, "ResourceId": f"endpoint/churn/variant/{name}"}, MinCapacity=1, MaxCapacity=2
        )

    assert outcome(deploy("one")).error is None

    [target] = state(aws)["targets"]
    assert target["ResourceId"] == PLACE["ResourceId"]
    assert not [key for key in tags_of(aws, ARN) if key.startswith(SNAPSHOT_TAG)]


def test_an_endpoint_that_is_replaced_gets_its_scaling_back(scaled: LocalAws, dag: DAG) -> None:
    before = state(scaled)
    scaled.set_endpoint_status("churn", "Failed")

    assert outcome(deploy("c2")).details["action"] == "replace"

    assert state(scaled) == before
    assert not [key for key in tags_of(scaled, ARN) if key.startswith(SNAPSHOT_TAG)]
    config = scaled.client("sagemaker").describe_endpoint_config(EndpointConfigName="c2")
    assert not [key for key in tags_of(scaled, config["EndpointConfigArn"]) if key.startswith(SNAPSHOT_TAG)]


def test_an_endpoint_that_is_replaced_by_a_serverless_one_leaves_its_scaling_behind(
    scaled: LocalAws, dag: DAG
) -> None:
    """Instances are no more, so there is nothing to scale them by."""
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 2}
    variant = {"VariantName": "main", "ModelName": "model", "ServerlessConfig": serverless}
    scaled.client("sagemaker").create_endpoint_config(EndpointConfigName="s", ProductionVariants=[variant])
    scaled.set_endpoint_status("churn", "Failed")

    end = outcome(deploy("s"))

    assert end.error is None
    assert end.details["action"] == "replace"
    assert state(scaled)["targets"] == []
    assert not [key for key in tags_of(scaled, ARN) if key.startswith(SNAPSHOT_TAG)]


def test_a_replacement_that_died_in_the_middle_is_finished_by_the_next_try(
    scaled: LocalAws, dag: DAG
) -> None:
    before = state(scaled)
    scaled.set_endpoint_status("churn", "Failed")
    died = RuntimeError("the worker died")
    with answering(sagemaker_client(), "CreateEndpoint", died):
        assert outcome(deploy("c2")).error is died

    ran = Ran()
    ran.try_number = 2  # type: ignore[attr-defined]
    run_task(deploy("c2"), ran=ran)

    assert ran.details["action"] == "create"
    assert state(scaled) == before

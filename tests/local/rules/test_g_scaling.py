"""Application Auto Scaling"""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.local.rules.cloud import Cloud, canary, refused

STEP = {
    "AdjustmentType": "ChangeInCapacity",
    "Cooldown": 0,
    "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}],
}


def names_of(alarms: list) -> list[str]:
    return [alarm["AlarmName"] for alarm in alarms]


def test_scaled_endpoint_exists(cloud: Cloud) -> None:
    """A variant of an endpoint that does not exist cannot be registered.

    Source: scaling:API_RegisterScalableTarget.html; the wording is assumed
    """
    with refused("Could not find"):
        cloud.scaled("absent")


def test_scaled_variant_exists(cloud: Cloud) -> None:
    """A variant that the endpoint does not have cannot be registered.

    Source: scaling:API_RegisterScalableTarget.html; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("Could not find variant"):
        cloud.scaled(name, "absent")


def test_burstable_types_are_not_scaled(cloud: Cloud) -> None:
    """A variant of a burstable type (t2) cannot be registered.

    Source: aws-controllers-k8s/community#1633
    """
    name = cloud.endpoint(cloud.config(cloud.variant(InstanceType="ml.t2.medium")))
    with refused("burstable"):
        cloud.scaled(name)


def test_minimum_is_not_above_maximum(cloud: Cloud) -> None:
    """MinCapacity is at most MaxCapacity.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    with refused("Maximum capacity cannot be less than minimum capacity"):
        cloud.scaled(name, MinCapacity=3, MaxCapacity=2)


def test_bounds_are_given_first(cloud: Cloud) -> None:
    """Both capacities are required to register a target.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    with refused("MinCapacity", "MaxCapacity"):
        cloud.scaling.register_scalable_target(**cloud.resource(name), MinCapacity=1)


def test_bounds_are_kept(cloud: Cloud) -> None:
    """Registering again changes only the given members.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name, MinCapacity=1, MaxCapacity=4)
    cloud.scaling.register_scalable_target(**target, MaxCapacity=6)
    (found,) = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 6)


def test_real_time_variants_keep_an_instance(cloud: Cloud) -> None:
    """A real-time variant cannot be registered with MinCapacity 0.

    Source: guide:endpoint-auto-scaling-edit.html; the wording is assumed
    """
    name = cloud.endpoint()
    with refused("MinCapacity"):
        cloud.scaled(name, MinCapacity=0)


def test_asynchronous_variants_may_have_none(cloud: Cloud) -> None:
    """An asynchronous variant can be registered with MinCapacity 0.

    Source: guide:async-inference-autoscale.html
    """
    config = cloud.config(AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out/"}})
    name = cloud.endpoint(config)
    cloud.scaled(name, MinCapacity=0)
    (found,) = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert found["MinCapacity"] == 0


def test_unknown_dimension(cloud: Cloud) -> None:
    """A scalable dimension that does not match the resource is rejected.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    target = {**cloud.resource(name), "ScalableDimension": "sagemaker:inference-component:DesiredCopyCount"}
    with refused():
        cloud.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=2)


def test_registration_pulls_up(cloud: Cloud) -> None:
    """Registering raises the capacity to MinCapacity.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    cloud.scaled(name, MinCapacity=3)
    cloud.advance(30)
    assert cloud.live(name)["CurrentInstanceCount"] == 3


def test_registration_pulls_down(cloud: Cloud) -> None:
    """Registering lowers the capacity to MaxCapacity.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant(count=5)))
    cloud.scaled(name, MaxCapacity=2)
    cloud.advance(30)
    assert cloud.live(name)["CurrentInstanceCount"] == 2


def test_targets_are_told(cloud: Cloud) -> None:
    """A target has a role, a creation time, an ARN and a SuspendedState.

    Source: scaling:API_ScalableTarget.html
    """
    cloud.scaled(cloud.endpoint())
    (found,) = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint" in found["RoleARN"]
    assert found["ScalableTargetARN"].startswith("arn:aws:application-autoscaling:")
    assert set(found["SuspendedState"].values()) == {False}
    assert found["CreationTime"]


def test_absent_target_is_not_deregistered(cloud: Cloud) -> None:
    """A target that is not registered cannot be deregistered.

    Source: scaling:API_DeregisterScalableTarget.html
    """
    name = cloud.endpoint()
    with refused(code="ObjectNotFoundException"):
        cloud.scaling.deregister_scalable_target(**cloud.resource(name))


def test_policy_of_an_absent_target(cloud: Cloud) -> None:
    """A policy needs a registered target.

    Source: scaling:API_PutScalingPolicy.html; ansible/ansible#40237
    """
    name = cloud.endpoint()
    with refused("No scalable target registered for service namespace", code="ObjectNotFoundException"):
        cloud.tracked(cloud.resource(name))


def test_absent_policy_is_not_deleted(cloud: Cloud) -> None:
    """A policy that does not exist cannot be deleted.

    Source: scaling:API_DeleteScalingPolicy.html
    """
    target = cloud.scaled(cloud.endpoint())
    with refused(code="ObjectNotFoundException"):
        cloud.scaling.delete_scaling_policy(**target, PolicyName="absent")


def test_tracking_makes_alarms(cloud: Cloud) -> None:
    """A target-tracking policy creates two alarms and returns them.

    Source: scaling:API_PutScalingPolicy.html; scaling-guide:application-auto-scaling-target-tracking.html
    """
    alarms = cloud.tracked(cloud.scaled(cloud.endpoint()))["Alarms"]
    assert len(alarms) == 2
    found = cloud.cloudwatch.describe_alarms(AlarmNames=names_of(alarms))["MetricAlarms"]
    assert sorted(names_of(found)) == sorted(names_of(alarms))


def test_alarms_of_tracking(cloud: Cloud) -> None:
    """The two alarms go off after three minutes above the target, and fifteen minutes below 90 % of it.

    Source: scaling-guide:application-auto-scaling-target-tracking.html; the numbers as AWS makes them (assumed)
    """
    alarms = cloud.tracked(cloud.scaled(cloud.endpoint()), TargetValue=100.0)["Alarms"]
    found = cloud.cloudwatch.describe_alarms(AlarmNames=names_of(alarms))["MetricAlarms"]
    assert sorted((alarm["EvaluationPeriods"], alarm["Threshold"]) for alarm in found) == [
        (3, 100.0),
        (15, 90.0),
    ]


def test_no_scaling_in(cloud: Cloud) -> None:
    """With DisableScaleIn, there is only the alarm for scaling out.

    Source: scaling:API_TargetTrackingScalingPolicyConfiguration.html
    """
    answer = cloud.tracked(cloud.scaled(cloud.endpoint()), DisableScaleIn=True)
    assert len(answer["Alarms"]) == 1


def test_alarms_go_with_the_policy(cloud: Cloud) -> None:
    """Deleting a target-tracking policy deletes its alarms.

    Source: scaling:API_DeleteScalingPolicy.html
    """
    target = cloud.scaled(cloud.endpoint())
    alarms = cloud.tracked(target)["Alarms"]
    assert len(cloud.cloudwatch.describe_alarms(AlarmNames=names_of(alarms))["MetricAlarms"]) == 2
    cloud.scaling.delete_scaling_policy(**target, PolicyName="track")
    assert cloud.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_label_is_empty(cloud: Cloud) -> None:
    """The predefined metrics of SageMaker have no ResourceLabel.

    Source: scaling:API_PredefinedMetricSpecification.html
    """
    target = cloud.scaled(cloud.endpoint())
    metric = {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance", "ResourceLabel": "x"}
    with refused("ResourceLabel"):
        cloud.tracked(target, PredefinedMetricSpecification=metric)


def test_metric_goes_with_the_dimension(cloud: Cloud) -> None:
    """A predefined metric of another scalable dimension is rejected.

    Source: guide:endpoint-auto-scaling-policy.html
    """
    target = cloud.scaled(cloud.endpoint())
    metric = {"PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"}
    with refused("SageMakerVariantProvisionedConcurrencyUtilization"):
        cloud.tracked(target, PredefinedMetricSpecification=metric)


def test_target_value_is_positive(cloud: Cloud) -> None:
    """A target value must be greater than 0.

    Source: scaling:API_TargetTrackingScalingPolicyConfiguration.html
    """
    target = cloud.scaled(cloud.endpoint())
    with refused("TargetValue"):
        cloud.tracked(target, TargetValue=0.0)


def test_exactly_one_metric_of_an_expression_returns_data(cloud: Cloud) -> None:
    """Of the Metrics of a target-tracking policy exactly one returns data.

    Source: scaling:API_TargetTrackingMetricDataQuery.html; the wording is assumed
    """
    target = cloud.scaled(cloud.endpoint())
    metric = {"Metric": {"Namespace": "Team", "MetricName": "Jobs"}, "Stat": "Sum"}
    queries = [{"Id": "jobs", "MetricStat": metric}, {"Id": "half", "Expression": "jobs / 2"}]
    with refused("ReturnData"):
        cloud.scaling.put_scaling_policy(
            **target,
            PolicyName="track",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 5.0,
                "CustomizedMetricSpecification": {"Metrics": queries},
            },
        )


def test_policy_type_stays(cloud: Cloud) -> None:
    """The type of a policy cannot be changed.

    Source: scaling:API_PutScalingPolicy.html; the wording is assumed
    """
    target = cloud.scaled(cloud.endpoint())
    cloud.tracked(target)
    with refused("cannot be changed"):
        cloud.scaling.put_scaling_policy(
            **target, PolicyName="track", PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
        )


def test_policies_are_told(cloud: Cloud) -> None:
    """DescribeScalingPolicies returns a policy's configuration and alarms.

    Source: scaling:API_DescribeScalingPolicies.html
    """
    target = cloud.scaled(cloud.endpoint())
    alarms = cloud.tracked(target, ScaleInCooldown=60)["Alarms"]
    (found,) = cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["TargetTrackingScalingPolicyConfiguration"]["ScaleInCooldown"] == 60
    assert (found["PolicyType"], found["Alarms"]) == ("TargetTrackingScaling", alarms)


def test_policy_name_length(cloud: Cloud) -> None:
    """A policy's name has at most 256 characters.

    Source: scaling:API_PutScalingPolicy.html; botocore, PolicyName
    """
    target = cloud.scaled(cloud.endpoint())
    with refused("policyName"):
        cloud.scaling.put_scaling_policy(
            **target, PolicyName="p" * 257, PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
        )


def test_steps_need_an_adjustment_type(cloud: Cloud) -> None:
    """A step-scaling policy requires an AdjustmentType and steps.

    Source: scaling:API_StepScalingPolicyConfiguration.html
    """
    target = cloud.scaled(cloud.endpoint())
    with refused():
        cloud.scaling.put_scaling_policy(
            **target,
            PolicyName="p",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration={"StepAdjustments": STEP["StepAdjustments"]},
        )


def test_steps_act(cloud: Cloud) -> None:
    """An alarm whose action is a step-scaling policy scales the variant.

    Source: scaling-guide:application-auto-scaling-step-scaling-policies.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name)
    policy = cloud.scaling.put_scaling_policy(
        **target, PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
    )
    cloud.alarm(AlarmActions=[policy["PolicyARN"]])
    cloud.put(5.0)
    cloud.advance(120)
    assert cloud.live(name)["CurrentInstanceCount"] >= 3


def test_tracking_acts(cloud: Cloud) -> None:
    """Target tracking scales out in proportion to its metric.

    Source: scaling-guide:application-auto-scaling-target-tracking.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name, MaxCapacity=10)
    custom = {"MetricName": "Errors", "Namespace": "Ours", "Statistic": "Average"}
    cloud.scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "CustomizedMetricSpecification": custom,
        },
    )
    for _ in range(4):
        cloud.put(50.0)
        cloud.advance(60)
    cloud.advance(30)
    assert cloud.live(name)["CurrentInstanceCount"] == 5


def test_tracking_keeps_within_its_bounds(cloud: Cloud) -> None:
    """Target tracking never scales beyond MaxCapacity.

    Source: scaling:API_RegisterScalableTarget.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name, MaxCapacity=2)
    custom = {"MetricName": "Errors", "Namespace": "Ours", "Statistic": "Average"}
    cloud.scaling.put_scaling_policy(
        **target,
        PolicyName="track",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "CustomizedMetricSpecification": custom,
        },
    )
    for _ in range(5):
        cloud.put(500.0)
        cloud.advance(60)
    assert cloud.live(name)["CurrentInstanceCount"] == 2


def test_suspended_scaling(cloud: Cloud) -> None:
    """A suspended target does not scale, and keeps its policies.

    Source: scaling:API_SuspendedState.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name, SuspendedState={"DynamicScalingOutSuspended": True})
    policy = cloud.scaling.put_scaling_policy(
        **target, PolicyName="p", PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
    )
    cloud.alarm(AlarmActions=[policy["PolicyARN"]])
    cloud.put(5.0)
    cloud.advance(70)
    assert (cloud.described_alarm()["StateValue"], cloud.live(name)["CurrentInstanceCount"]) == ("ALARM", 1)
    assert len(cloud.scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 1
    cloud.scaling.register_scalable_target(**target, SuspendedState={"DynamicScalingOutSuspended": False})
    cloud.put(5.0)
    cloud.advance(70)
    assert cloud.live(name)["CurrentInstanceCount"] >= 3


def test_deregistering_deletes_policies(cloud: Cloud) -> None:
    """Deregistering a target deletes its policies, their alarms and its scheduled actions.

    Source: scaling:API_DeregisterScalableTarget.html
    """
    target = cloud.scaled(cloud.endpoint())
    assert len(cloud.tracked(target)["Alarms"]) == 2
    cloud.scaling.put_scheduled_action(
        **target,
        ScheduledActionName="a",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 1},
    )
    cloud.scaling.deregister_scalable_target(**target)
    one = {"ServiceNamespace": "sagemaker"}
    assert cloud.scaling.describe_scaling_policies(**one)["ScalingPolicies"] == []
    assert cloud.scaling.describe_scheduled_actions(**one)["ScheduledActions"] == []
    assert cloud.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_deleting_the_endpoint_deregisters(cloud: Cloud) -> None:
    """DeleteEndpoint deregisters its variants.

    Source: awslabs/stable-diffusion-aws-extension#161
    """
    name = cloud.endpoint()
    cloud.scaled(name)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.advance(10)
    assert cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []


def test_scaled_type_stays(cloud: Cloud) -> None:
    """UpdateEndpoint is rejected when it changes the instance type of a registered variant.

    Source: guide:endpoint-scaling.html; hashicorp/terraform-provider-aws#48990
    """
    name = cloud.endpoint()
    cloud.scaled(name)
    with refused("scalable target"):
        cloud.update(name, cloud.config(cloud.variant(InstanceType="ml.c5.large")))


def test_scaled_variant_stays(cloud: Cloud) -> None:
    """UpdateEndpoint is rejected when it removes a registered variant.

    Source: guide:endpoint-scaling.html; hashicorp/terraform-provider-aws#48990
    """
    name = cloud.endpoint()
    cloud.scaled(name)
    with refused("scalable target"):
        cloud.update(name, cloud.config(cloud.variant("other")))


def test_model_of_a_scaled_variant_changes(cloud: Cloud) -> None:
    """UpdateEndpoint may change the model of a registered variant, which stays registered.

    Source: guide:endpoint-scaling.html
    """
    name, new = cloud.endpoint(), cloud.config()
    cloud.scaled(name)
    cloud.update(name, new)
    cloud.advance(60)
    assert cloud.describe(name)["EndpointConfigName"] == new
    assert len(cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1


def test_deregistered_variant_changes(cloud: Cloud) -> None:
    """After its target was deregistered, a variant's instance type can be changed.

    Source: guide:endpoint-scaling.html
    """
    name, new = cloud.endpoint(), cloud.config(cloud.variant(InstanceType="ml.c5.large"))
    cloud.scaling.deregister_scalable_target(**cloud.scaled(name))
    cloud.update(name, new)
    cloud.advance(60)
    assert cloud.describe(name)["EndpointConfigName"] == new


def test_no_scaling_while_updating(cloud: Cloud) -> None:
    """An endpoint that is Updating is not scaled.

    Source: guide:endpoint-scaling.html
    """
    old, new = (cloud.config(cloud.variant(count=2)) for _ in range(2))
    name = cloud.endpoint(old)
    target = cloud.scaled(name, MaxCapacity=8)
    cloud.update(name, new, canary(wait=600))
    cloud.advance(60)
    cloud.scaling.register_scalable_target(**target, MinCapacity=6)
    cloud.advance(60)
    assert (cloud.status(name), cloud.live(name)["CurrentInstanceCount"]) == ("Updating", 2)


def test_scheduled_action_has_a_bound(cloud: Cloud) -> None:
    """A scheduled action must set a minimum or a maximum.

    Source: aws-cloudformation/community-registry-extensions#255 quotes the sentence
    """
    target = cloud.scaled(cloud.endpoint())
    with refused("At least one of minimum capacity and maximum capacity should be provided"):
        cloud.scaling.put_scheduled_action(
            **target, ScheduledActionName="a", Schedule="rate(1 day)", ScalableTargetAction={}
        )


@pytest.mark.parametrize("schedule", ["tomorrow", "cron(1 2 3)", "rate(0 days)"])
def test_schedules_have_a_form(cloud: Cloud, schedule: str) -> None:
    """A schedule is at(…), rate(…) or cron(…) with six fields.

    Source: scaling:API_PutScheduledAction.html
    """
    target = cloud.scaled(cloud.endpoint())
    with refused():
        cloud.scaling.put_scheduled_action(
            **target, ScheduledActionName="a", Schedule=schedule, ScalableTargetAction={"MinCapacity": 1}
        )


def test_scheduled_action_acts(cloud: Cloud) -> None:
    """A scheduled action sets the minimum and maximum at its time, and the capacity follows.

    Source: scaling-guide:application-auto-scaling-scheduled-scaling.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name)
    at = (cloud.now() + timedelta(minutes=10)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    cloud.scaling.put_scheduled_action(
        **target, ScheduledActionName="a", Schedule=at, ScalableTargetAction={"MinCapacity": 3}
    )
    cloud.advance(590)
    assert cloud.live(name)["CurrentInstanceCount"] == 1
    cloud.advance(30)
    assert cloud.live(name)["CurrentInstanceCount"] == 3


def test_scheduled_action_in_its_time_zone(cloud: Cloud) -> None:
    """A schedule is in UTC unless it has a Timezone.

    Source: scaling:API_PutScheduledAction.html
    """
    name = cloud.endpoint()
    target = cloud.scaled(name)
    # Two hours behind UTC, all year.
    local = cloud.now() - timedelta(hours=2)
    at = (local + timedelta(minutes=10)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    cloud.scaling.put_scheduled_action(
        **target,
        ScheduledActionName="a",
        Schedule=at,
        Timezone="America/Noronha",
        ScalableTargetAction={"MinCapacity": 3},
    )
    cloud.advance(620)
    assert cloud.live(name)["CurrentInstanceCount"] == 3


def test_dimension_goes_with_a_resource(cloud: Cloud) -> None:
    """Describing by scalable dimension requires the resource, too.

    Source: scaling:API_DescribeScalingPolicies.html
    """
    with refused("ResourceId"):
        cloud.scaling.describe_scaling_policies(
            ServiceNamespace="sagemaker", ScalableDimension="sagemaker:variant:DesiredInstanceCount"
        )


def test_tags_of_a_target(cloud: Cloud) -> None:
    """Scalable targets have tags.

    Source: scaling:API_TagResource.html
    """
    cloud.scaled(cloud.endpoint(), Tags={"team": "x"})
    (found,) = cloud.scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    arn = found["ScalableTargetARN"]
    cloud.scaling.tag_resource(ResourceARN=arn, Tags={"who": "me"})
    cloud.scaling.untag_resource(ResourceARN=arn, TagKeys=["team"])
    assert cloud.scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"who": "me"}


def test_activities_are_told(cloud: Cloud) -> None:
    """DescribeScalingActivities returns what was scaled, and why.

    Source: recorded:scaling-activity-done; scaling:API_DescribeScalingActivities.html
    """
    cloud.scaled(cloud.endpoint(), MinCapacity=2)
    cloud.advance(30)
    (found,) = cloud.scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    assert (found["StatusCode"], found["Description"]) == (
        "Successful",
        "Setting desired instance count to 2.",
    )
    assert "minimum capacity was set to 2" in found["Cause"]


def test_concurrency_is_scaled(cloud: Cloud) -> None:
    """A serverless variant's provisioned concurrency can be scaled.

    Source: guide:serverless-endpoints-autoscale.html
    """
    name = cloud.endpoint(cloud.config(cloud.serverless(MaxConcurrency=9, ProvisionedConcurrency=1)))
    target = {**cloud.resource(name), "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    cloud.scaling.register_scalable_target(**target, MinCapacity=3, MaxCapacity=5)
    cloud.advance(30)
    assert cloud.live(name)["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 3


def test_instances_of_a_serverless_variant_are_not_scaled(cloud: Cloud) -> None:
    """A serverless variant cannot be scaled by instances.

    Source: guide:serverless-endpoints-autoscale.html; the wording is assumed
    """
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    with refused("serverless"):
        cloud.scaled(name)

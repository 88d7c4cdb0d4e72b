"""Application Auto Scaling: what is registered, what is refused and, in virtual time, what it does to endpoints."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local.cloudwatch.metrics import metric_of
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import Deployer, refusal_of
from tests.local.region import REGION, START, Region

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


@pytest.fixture
def scaling(deployer: Deployer) -> Any:
    return deployer.aws.client("application-autoscaling")


def of(endpoint: str, variant: str = "main") -> Any:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def register(scaling: Any, endpoint: str, **more: Any) -> None:
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=4, **more)


def test_burstable_types_are_refused_in_awss_words(deployer: Deployer, scaling: Any) -> None:
    """aws-controllers-k8s/community#1633."""
    burstable = deployer.endpoint(deployer.config(deployer.variant(InstanceType="ml.t2.medium")))
    code, message = refusal_of(
        scaling.register_scalable_target, **of(burstable), MinCapacity=1, MaxCapacity=2
    )
    assert code == "ValidationException"
    assert message.startswith(
        "You cannot register a variant with ml.t2.medium instance type as a scalable target."
    )


def test_a_bound_is_held_against_the_one_that_is_kept(deployer: Deployer, scaling: Any) -> None:
    endpoint = deployer.endpoint()
    register(scaling, endpoint)
    assert (
        refusal_of(scaling.register_scalable_target, **of(endpoint), MinCapacity=10)[0]
        == "ValidationException"
    )


def test_what_is_not_registered_is_not_found(deployer: Deployer, scaling: Any) -> None:
    endpoint = deployer.endpoint()
    for call, request in (
        (
            scaling.put_scheduled_action,
            {
                "ScheduledActionName": "s",
                "Schedule": "rate(1 day)",
                "ScalableTargetAction": {"MinCapacity": 2},
            },
        ),
        (scaling.delete_scaling_policy, {"PolicyName": "p"}),
    ):
        assert refusal_of(call, **of(endpoint), **request)[0] == "ObjectNotFoundException"


def put_policy(scaling: Any, endpoint: str) -> Any:
    return scaling.put_scaling_policy(
        **of(endpoint),
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKING,
    )


def test_a_target_tracking_policy_that_is_put_again_has_no_more_than_its_two_alarms(
    deployer: Deployer, scaling: Any
) -> None:
    endpoint = deployer.endpoint()
    register(scaling, endpoint)
    for _ in range(2):
        alarms = put_policy(scaling, endpoint)["Alarms"]
        found = deployer.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        assert {a["AlarmName"] for a in alarms} == {a["AlarmName"] for a in found}
        assert len(found) == 2


def test_policies_schedules_and_alarms_go_with_the_endpoint(deployer: Deployer, scaling: Any) -> None:
    endpoint = deployer.endpoint()
    register(scaling, endpoint)
    put_policy(scaling, endpoint)
    scaling.put_scheduled_action(
        **of(endpoint),
        ScheduledActionName="s",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 2},
    )
    deployer.sagemaker.delete_endpoint(EndpointName=endpoint)
    deployer.sagemaker.get_waiter("endpoint_deleted").wait(
        EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
    )
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"] == []
    assert deployer.aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_other_namespaces_are_motos(scaling: Any) -> None:
    assert scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"] == []


def test_the_tags_of_a_target_stay_until_it_goes(deployer: Deployer, scaling: Any) -> None:
    endpoint = deployer.endpoint()
    arn = scaling.register_scalable_target(
        **of(endpoint), MinCapacity=1, MaxCapacity=2, Tags={"managed-by": "us"}
    )["ScalableTargetARN"]
    # Registering again keeps the tags, and the ARN.
    assert scaling.register_scalable_target(**of(endpoint), MaxCapacity=3)["ScalableTargetARN"] == arn
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"managed-by": "us"}
    scaling.deregister_scalable_target(**of(endpoint))
    assert scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"] == []
    assert refusal_of(scaling.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"


def test_what_was_put_is_what_is_told(deployer: Deployer, scaling: Any) -> None:
    endpoint = deployer.endpoint()
    register(scaling, endpoint, SuspendedState={"DynamicScalingInSuspended": True})
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["ResourceId"] == of(endpoint)["ResourceId"]
    assert target["SuspendedState"] == {
        "DynamicScalingInSuspended": True,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    assert target["RoleARN"].endswith(
        ":role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/"
        "AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"
    )
    step = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        "Cooldown": 0,
    }
    arn = scaling.put_scaling_policy(
        **of(endpoint), PolicyName="step", PolicyType="StepScaling", StepScalingPolicyConfiguration=step
    )["PolicyARN"]
    assert put_policy(scaling, endpoint)["PolicyARN"] == put_policy(scaling, endpoint)["PolicyARN"] != arn
    found = scaling.describe_scaling_policies(
        ServiceNamespace="sagemaker", ResourceId=of(endpoint)["ResourceId"], PolicyNames=["step"]
    )["ScalingPolicies"]
    assert [(one["PolicyARN"], one["StepScalingPolicyConfiguration"], one["Alarms"]) for one in found] == [
        (arn, step, [])
    ]
    action = {
        "Schedule": "cron(0 8 ? * MON-FRI *)",
        "Timezone": "Europe/Berlin",
        "ScalableTargetAction": {"MinCapacity": 2, "MaxCapacity": 3},
        "EndTime": START + timedelta(days=3650),
    }
    scaling.put_scheduled_action(**of(endpoint), ScheduledActionName="morning", **action)
    # "Any parameters that you don't specify are not changed", but for the two times.
    scaling.put_scheduled_action(
        **of(endpoint), ScheduledActionName="morning", ScalableTargetAction={"MinCapacity": 3}
    )
    (told,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    assert {name: told.get(name) for name in action} == {
        **action,
        "ScalableTargetAction": {"MinCapacity": 3},
        "EndTime": None,
    }
    scaling.delete_scheduled_action(**of(endpoint), ScheduledActionName="morning")
    assert scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"] == []


# In virtual time, with the metrics of a script


class Scaled(Region):
    """An endpoint ``e`` whose variants are scaled, and whose load is a number of invocations a minute."""

    def __init__(self, folder: Path, *variants: Any, **more: Any) -> None:
        super().__init__(folder, transition_seconds=30, **more)
        self.scaling = self.hosting.scaling
        self.metrics = self.cloudwatch.region(REGION).metrics
        self.cloudwatch.each_minute(lambda: self.scaling.publish_idle(self.hosting.endpoint_metrics))
        self.cloudwatch.start()
        self.config("c", *variants or [self.variant(count=1)])
        self.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
        self.clock.advance(60)

    def auto(self, operation: str, variant: str = "main", **request: Any) -> Any:
        return self.scaling.answer(
            operation,
            {
                "ServiceNamespace": "sagemaker",
                "ResourceId": f"endpoint/e/variant/{variant}",
                "ScalableDimension": DIMENSION,
                **request,
            },
        )

    def register(self, low: int = 1, high: int = 8, **more: Any) -> None:
        self.auto("RegisterScalableTarget", MinCapacity=low, MaxCapacity=high, **more)

    def track(self, target: float = 100.0, name: str = "p", variant: str = "main", **more: Any) -> Any:
        return self.auto(
            "PutScalingPolicy",
            variant,
            PolicyName=name,
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={**TRACKING, "TargetValue": target, **more},
        )

    def count(self, variant: str = "main") -> Any:
        (found,) = [one for one in self.described["ProductionVariants"] if one["VariantName"] == variant]
        return found["CurrentInstanceCount"]

    def load(self, *invocations: Any, variant: str = "main") -> None:
        """Let minutes pass, each with so many invocations, spread over the instances that there are."""
        for number in invocations:
            if number:
                metric = metric_of(
                    "AWS/SageMaker", "InvocationsPerInstance", {"EndpointName": "e", "VariantName": variant}
                )
                self.metrics.put(metric, number / self.count(variant), at=self.clock.now())
            self.clock.advance(60)

    def activities(self, **request: Any) -> Any:
        found = self.scaling.answer(
            "DescribeScalingActivities", {"ServiceNamespace": "sagemaker", **request}
        )["ScalingActivities"]
        return list(reversed(found))

    def described_activities(self) -> Any:
        return [one["Description"] for one in self.activities()]


@pytest.fixture
def scaled(tmp_path: Path) -> Any:
    return Scaled(tmp_path)


def test_target_tracking_scales_out_fast_and_in_slowly(scaled: Any) -> None:
    scaled.register()
    scaled.track(ScaleOutCooldown=60, ScaleInCooldown=60)
    scaled.load(350, 350)
    assert scaled.count() == 1
    # Three minutes above the target: as many as bring the metric down to it, at once.
    scaled.load(350)
    assert scaled.status == "Updating"
    scaled.clock.advance(60)
    assert (scaled.status, scaled.count()) == ("InService", 4)
    (activity,) = scaled.activities()
    assert activity["Description"] == "Setting desired instance count to 4."
    assert activity["Cause"].startswith("monitor alarm TargetTracking-endpoint/e/variant/main-AlarmHigh-")
    assert activity["Cause"].endswith(" in state ALARM triggered policy p")
    assert activity["StatusCode"] == "Successful"
    assert activity["StatusMessage"] == (
        "Successfully set desired instance count to 4. Change successfully fulfilled by sagemaker."
    )
    assert timedelta(seconds=30) <= activity["EndTime"] - activity["StartTime"] <= timedelta(seconds=32)
    # At the target nothing happens; below 90 % of it, after a quarter of an hour.
    scaled.load(*[380] * 20)
    assert scaled.count() == 4
    scaled.load(*[120] * 14)
    assert scaled.count() == 4
    scaled.load(120, 120)
    assert scaled.count() == 2
    # Without any traffic down to the minimum.
    scaled.load(*[0] * 20)
    assert scaled.count() == 1
    assert scaled.described_activities() == [
        f"Setting desired instance count to {number}." for number in (4, 2, 1)
    ]


def test_bounds_hold(scaled: Any) -> None:
    scaled.register(low=2, high=3)
    # "it changes the resource's current capacity to a value that is inside of this range"
    scaled.clock.advance(60)
    assert scaled.count() == 2
    assert [one["Cause"] for one in scaled.activities()] == ["minimum capacity was set to 2"]
    scaled.track(ScaleOutCooldown=0)
    scaled.load(*[2000] * 6)
    assert scaled.count() == 3
    (reason,) = scaled.activities(IncludeNotScaledActivities=True)[-1]["NotScaledReasons"]
    assert reason == {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3, "CurrentCapacity": 3}
    assert "NotScaledReasons" not in scaled.activities()[-1]
    scaled.register(low=1, high=1)
    scaled.clock.advance(60)
    assert scaled.count() == 1
    assert scaled.activities()[-1]["Cause"] == "maximum capacity was set to 1"


def test_a_policy_may_only_scale_out(scaled: Any) -> None:
    scaled.register()
    scaled.track(DisableScaleIn=True)
    scaled.load(350, 350, 350, *[0] * 40)
    assert scaled.count() == 4


def test_two_variants_scale_independently(tmp_path: Path) -> None:
    region = Region.variant
    scaled = Scaled(tmp_path, region(None, "a", 1), region(None, "b", 1))
    for variant, high in (("a", 4), ("b", 2)):
        scaled.auto("RegisterScalableTarget", variant, MinCapacity=1, MaxCapacity=high)
        scaled.track(variant=variant)
    scaled.load(300, 300, 300, variant="a")
    scaled.clock.advance(120)
    assert (scaled.count("a"), scaled.count("b")) == (3, 1)
    scaled.load(*[1000] * 5, variant="b")
    assert scaled.count("b") == 2


def test_the_cooldown_of_a_scale_out_counts_from_the_capacity_before_it(scaled: Any) -> None:
    """ "the capacity added by the initiating scale-out activity is calculated as part of the desired capacity" """
    scaled.register(high=20)
    scaled.track()
    scaled.load(200, 200, 200, 200)
    assert scaled.count() == 2
    # Twice as much of a load on two instances asks for 2 from 1: that is there already, for five minutes.
    scaled.load(400, 400, 400)
    assert scaled.count() == 2
    # Much more: 5 from 1.
    scaled.load(1000, 1000)
    assert scaled.count() == 5
    # When it is over, from what there is.
    scaled.load(*[1000] * 8)
    assert scaled.count() == 10


def test_the_cooldown_of_a_scale_in_blocks_the_next_but_not_a_scale_out(scaled: Any) -> None:
    scaled.register(low=1)
    scaled.track(ScaleInCooldown=1200, ScaleOutCooldown=0)
    scaled.load(400, 400, 400, 400)
    assert scaled.count() == 4
    scaled.load(*[200] * 18)
    assert scaled.count() == 2
    scaled.load(*[10] * 17)
    assert scaled.count() == 2
    scaled.load(10, 10)
    assert scaled.count() == 1
    # Out again, in the middle of the cooldown.
    scaled.load(300, 300, 300, 300)
    assert scaled.count() == 3


def test_no_cooldown_is_none(scaled: Any) -> None:
    scaled.register(high=20)
    scaled.track(ScaleOutCooldown=0)
    scaled.load(200, 200, 200, 0)
    assert scaled.count() == 2
    scaled.load(400, 400, 400, 0)
    assert scaled.count() == 4


def test_several_policies_take_the_largest_capacity_and_scale_in_together(scaled: Any) -> None:
    scaled.register(high=20)
    scaled.track(name="small", target=100.0)
    scaled.track(name="large", target=50.0)
    scaled.load(300, 300, 300, 300)
    assert scaled.count() == 6
    assert scaled.activities()[-1]["Cause"].endswith("triggered policy large")
    # 40 an instance are little for one and enough for the other.
    scaled.load(*[280] * 30)
    assert scaled.count() == 6
    scaled.load(*[60] * 18)
    assert scaled.count() == 2


@pytest.mark.parametrize("direction", ["In", "Out"])
def test_what_is_suspended_is_not_done(scaled: Any, direction: str) -> None:
    scaled.register(SuspendedState={f"DynamicScaling{direction}Suspended": True})
    scaled.track(ScaleInCooldown=0)
    scaled.load(300, 300, 300, 300)
    assert scaled.count() == (1 if direction == "Out" else 3)
    scaled.load(*[10] * 20)
    assert scaled.count() == (1 if direction == "Out" else 3)
    # Resumed, it is done.
    scaled.register(SuspendedState={f"DynamicScaling{direction}Suspended": False})
    scaled.load(*[10 if direction == "In" else 300] * 20)
    assert scaled.count() == (1 if direction == "In" else 3)


def step_policy(scaled: Any, **more: Any) -> None:
    policy = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [
            {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 50.0, "ScalingAdjustment": 1},
            {"MetricIntervalLowerBound": 50.0, "ScalingAdjustment": 3},
        ],
        **more,
    }
    arn = scaled.auto(
        "PutScalingPolicy", PolicyName="step", PolicyType="StepScaling", StepScalingPolicyConfiguration=policy
    )["PolicyARN"]
    scaled.cloudwatch.answer(
        "PutMetricAlarm",
        {
            "AlarmName": "busy",
            "Namespace": "AWS/SageMaker",
            "MetricName": "InvocationsPerInstance",
            "Dimensions": [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "main"}],
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 100.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            "AlarmActions": [arn],
        },
        REGION,
    )


def test_step_scaling(scaled: Any) -> None:
    scaled.register()
    step_policy(scaled, Cooldown=120)
    scaled.load(99)
    assert scaled.count() == 1
    scaled.load(149, 0)
    assert scaled.count() == 2
    # Within the cooldown a larger step adds only what it is larger: 1 + 3.
    scaled.load(2 * 150, 0)
    assert scaled.count() == 4
    scaled.load(*[0] * 5)
    scaled.load(4 * 100, 0)
    assert scaled.count() == 5
    assert scaled.activities()[-1]["Cause"] == "monitor alarm busy in state ALARM triggered policy step"


def test_an_endpoint_in_transition_is_scaled_when_it_has_settled(scaled: Any) -> None:
    scaled.register()
    step_policy(scaled, Cooldown=0)
    scaled.clock.advance(50)
    load = metric_of("AWS/SageMaker", "InvocationsPerInstance", {"EndpointName": "e", "VariantName": "main"})
    scaled.metrics.put(load, 100.0, at=scaled.clock.now())
    scaled.config("next", scaled.variant(count=1))
    scaled.ask("UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    scaled.clock.advance(10)
    assert scaled.status == "Updating"
    scaled.metrics.put(load, 100.0, at=scaled.clock.now())
    (reason,) = scaled.activities(IncludeNotScaledActivities=True)[-1]["NotScaledReasons"]
    assert reason["Code"] == "TargetServicePutResourceAsUnscalable"
    assert scaled.described_activities() == []
    scaled.clock.advance(60)
    assert scaled.described_activities() == ["Setting desired instance count to 2."]


def schedule(scaled: Any, text: str, name: str = "s", **more: Any) -> None:
    scaled.auto("PutScheduledAction", ScheduledActionName=name, Schedule=text, **more)


def test_scheduled_actions_move_the_bounds(scaled: Any) -> None:
    scaled.register(low=1, high=2)
    now = scaled.clock.now()
    at = (now + timedelta(minutes=10)).strftime("at(%Y-%m-%dT%H:%M:%S)")
    schedule(scaled, at, ScalableTargetAction={"MinCapacity": 3, "MaxCapacity": 5})
    scaled.clock.advance(599)
    assert scaled.count() == 1
    scaled.clock.advance(61)
    assert scaled.count() == 3
    (target,) = scaled.scaling.answer("DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == (3, 5)
    assert scaled.activities()[-1]["Cause"] == "minimum capacity was set to 3"


def test_recurring_actions_in_a_time_zone(scaled: Any) -> None:
    scaled.register(low=1, high=8)
    schedule(
        scaled, "cron(0 8 ? * * *)", "open", Timezone="Asia/Tokyo", ScalableTargetAction={"MinCapacity": 4}
    )
    schedule(
        scaled,
        "cron(0 20 ? * * *)",
        "close",
        Timezone="Asia/Tokyo",
        ScalableTargetAction={"MinCapacity": 1, "MaxCapacity": 1},
    )
    # 8 in Tokyo is 23 in UTC, the day before; it began at midnight UTC, 9 in Tokyo.
    seen = []
    for _ in range(48):
        scaled.clock.advance(3600)
        seen.append(scaled.count())
    assert seen == [1] * 22 + [4] * 12 + [1] * 12 + [4] * 2


@pytest.mark.parametrize(
    ("change", "bounds"),
    [
        ({"MinCapacity": 3}, (3, 8)),
        ({"MinCapacity": 9}, (9, 9)),
        ({"MaxCapacity": 5}, (2, 5)),
        ({"MaxCapacity": 1}, (1, 1)),
        ({"MinCapacity": 4, "MaxCapacity": 4}, (4, 4)),
    ],
)
def test_a_bound_that_is_not_given_stays_where_it_can(
    scaled: Any, change: dict[str, Any], bounds: tuple[Any, ...]
) -> None:
    scaled.register(low=2, high=8)
    schedule(scaled, "rate(5 minutes)", ScalableTargetAction=change)
    scaled.clock.advance(300)
    (target,) = scaled.scaling.answer("DescribeScalableTargets", {"ServiceNamespace": "sagemaker"})[
        "ScalableTargets"
    ]
    assert (target["MinCapacity"], target["MaxCapacity"]) == bounds


def test_what_a_deployment_leaves_outside_of_the_bounds_is_brought_back_with_the_next_alarm(
    scaled: Any,
) -> None:
    scaled.register(low=2, high=8)
    scaled.track(name="a")
    scaled.track(name="b", target=1000.0)
    scaled.clock.advance(60)
    scaled.config("next", scaled.variant(count=1))
    scaled.ask("UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    scaled.clock.advance(60)
    assert scaled.count() == 1
    scaled.load(*[10] * 16)
    assert scaled.count() == 2
    assert scaled.activities()[-1]["Cause"] == "minimum capacity was set to 2"


def test_suspended_schedules_and_busy_endpoints(scaled: Any) -> None:
    scaled.register(low=1, high=8, SuspendedState={"ScheduledScalingSuspended": True})
    schedule(scaled, "rate(5 minutes)", ScalableTargetAction={"MinCapacity": 2})
    scaled.clock.advance(600)
    assert scaled.count() == 1
    scaled.register(low=1, high=8, SuspendedState={"ScheduledScalingSuspended": False})
    scaled.clock.advance(290)
    scaled.config("next", scaled.variant(count=1))
    scaled.ask("UpdateEndpoint", EndpointName="e", EndpointConfigName="next")
    # It is due in the middle of the update, and done a minute after.
    scaled.clock.advance(40)
    assert scaled.described_activities() == []
    scaled.clock.advance(120)
    assert scaled.count() == 2


@pytest.mark.parametrize(
    ("operation", "request_", "told"),
    [
        ("RegisterScalableTarget", {"MinCapacity": 0, "MaxCapacity": 1}, "MinCapacity must be 1 or more"),
        ("RegisterScalableTarget", {"MinCapacity": -1, "MaxCapacity": 1}, "0 or more"),
        ("RegisterScalableTarget", {"ScalableDimension": "ecs:service:DesiredCount"}, "Unsupported"),
        ("RegisterScalableTarget", {"ResourceId": "endpoint/e"}, "Unsupported"),
        (
            "RegisterScalableTarget",
            {
                "ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency",
                "MinCapacity": 1,
                "MaxCapacity": 2,
            },
            "no provisioned concurrency",
        ),
        ("PutScalingPolicy", {"PolicyName": "p", "PolicyType": "PredictiveScaling"}, "not supported"),
        ("PutScalingPolicy", {"PolicyName": "p", "PolicyType": "StepScaling"}, "is required"),
        (
            "PutScalingPolicy",
            {
                "PolicyName": "p",
                "PolicyType": "StepScaling",
                "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity"},
            },
            "At least one step",
        ),
        *(
            (
                "PutScalingPolicy",
                {
                    "PolicyName": "p",
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingScalingPolicyConfiguration": {**TRACKING, **more},
                },
                told,
            )
            for more, told in (
                ({"TargetValue": 0.0}, "greater than 0"),
                ({"ScaleInCooldown": -1}, "0 or more"),
                ({"PredefinedMetricSpecification": None}, "Exactly one"),
                (
                    {
                        "PredefinedMetricSpecification": {
                            "PredefinedMetricType": "ECSServiceAverageCPUUtilization"
                        }
                    },
                    "does not go with",
                ),
                (
                    {
                        "PredefinedMetricSpecification": {
                            "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance",
                            "ResourceLabel": "x",
                        }
                    },
                    "ResourceLabel",
                ),
            )
        ),
        ("PutScheduledAction", {"ScheduledActionName": "s", "Schedule": "rate(1 day)"}, "At least one of"),
        (
            "PutScheduledAction",
            {
                "ScheduledActionName": "s",
                "Schedule": "daily",
                "ScalableTargetAction": {"MinCapacity": 1},
            },
            "must be at",
        ),
        (
            "PutScheduledAction",
            {
                "ScheduledActionName": "s",
                "Schedule": "rate(1 day)",
                "ScalableTargetAction": {"MinCapacity": 3, "MaxCapacity": 2},
            },
            "cannot be less",
        ),
        ("DeleteScheduledAction", {"ScheduledActionName": "s"}, "No scheduled action found"),
        ("DescribeScalingPolicies", {"ResourceId": None}, "ResourceId must be specified"),
        ("GetPredictiveScalingForecast", {}, "validation error"),
    ],
)
def test_what_is_refused(scaled: Any, operation: Any, request_: Any, told: Any) -> None:
    scaled.register()
    with pytest.raises(AwsError, match=told):
        scaled.auto(operation, **request_)


def test_asynchronous_endpoints_may_have_no_instance(tmp_path: Path) -> None:
    scaled = Scaled(tmp_path)
    scaled.config(
        "async",
        scaled.variant(count=1),
        AsyncInferenceConfig={"OutputConfig": {"S3OutputPath": "s3://bucket/out"}},
    )
    scaled.ask("CreateEndpoint", EndpointName="later", EndpointConfigName="async")
    scaled.clock.advance(60)
    target = {"ResourceId": "endpoint/later/variant/main"}
    scaled.auto("RegisterScalableTarget", **target, MinCapacity=0, MaxCapacity=1)
    scaled.auto("RegisterScalableTarget", **target, MaxCapacity=0)
    scaled.clock.advance(60)
    (variant,) = scaled.ask("DescribeEndpoint", EndpointName="later")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 0


def test_provisioned_concurrency_is_scaled(tmp_path: Path) -> None:
    serverless = {"MemorySizeInMB": 2048, "MaxConcurrency": 20, "ProvisionedConcurrency": 2}
    scaled = Scaled(tmp_path, {"VariantName": "main", "ModelName": "m", "ServerlessConfig": serverless})
    dimension = {"ScalableDimension": "sagemaker:variant:DesiredProvisionedConcurrency"}
    scaled.auto("RegisterScalableTarget", **dimension, MinCapacity=1, MaxCapacity=10)
    with pytest.raises(AwsError, match="by its provisioned concurrency only"):
        scaled.register()
    scaled.auto(
        "PutScalingPolicy",
        **dimension,
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 0.5,
            "PredefinedMetricSpecification": {
                "PredefinedMetricType": "SageMakerVariantProvisionedConcurrencyUtilization"
            },
        },
    )
    metric = metric_of(
        "AWS/SageMaker",
        "ServerlessProvisionedConcurrencyUtilization",
        {"EndpointName": "e", "VariantName": "main"},
    )
    for _ in range(3):
        scaled.metrics.put(metric, 1.0, at=scaled.clock.now())
        scaled.clock.advance(60)
    scaled.clock.advance(30)
    (variant,) = scaled.described["ProductionVariants"]
    assert variant["CurrentServerlessConfig"]["ProvisionedConcurrency"] == 4
    assert scaled.described_activities() == ["Setting desired provisioned concurrency to 4."]


METRIC = {"Metric": {"Namespace": "N", "MetricName": "queued"}, "Stat": "Sum"}


@pytest.mark.parametrize(
    ("queries", "words"),
    [
        ([{"Id": "a", "MetricStat": METRIC}, {"Id": "a", "MetricStat": METRIC}], "must be unique"),
        ([{"Id": "a"}], "either MetricStat or Expression"),
        ([{"Id": "a", "MetricStat": METRIC}, {"Id": "b", "Expression": "a"}], "ReturnData"),
    ],
)
def test_math_that_cannot_be_evaluated_is_refused_and_leaves_nothing(
    scaled: Any, queries: list[dict[str, Any]], words: str
) -> None:
    scaled.register()
    with pytest.raises(AwsError, match=words):
        scaled.auto(
            "PutScalingPolicy",
            PolicyName="p",
            PolicyType="TargetTrackingScaling",
            TargetTrackingScalingPolicyConfiguration={
                "TargetValue": 10.0,
                "CustomizedMetricSpecification": {"Metrics": queries},
            },
        )
    assert scaled.auto("DescribeScalingPolicies")["ScalingPolicies"] == []


def test_a_custom_metric_with_math(scaled: Any) -> None:
    scaled.register()
    scaled.auto(
        "PutScalingPolicy",
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration={
            "TargetValue": 10.0,
            "CustomizedMetricSpecification": {
                "Metrics": [
                    {"Id": "load", "Expression": "queued / 2", "ReturnData": True},
                    {
                        "Id": "queued",
                        "MetricStat": {"Metric": {"Namespace": "N", "MetricName": "queued"}, "Stat": "Sum"},
                        "ReturnData": False,
                    },
                ]
            },
        },
    )
    for _ in range(4):
        scaled.metrics.put(metric_of("N", "queued"), 60.0, at=scaled.clock.now())
        scaled.clock.advance(60)
    assert scaled.count() == 3

from __future__ import annotations

import pytest

from tests.local.test_control_plane import refusal_of

DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TRACKING = {
    "TargetValue": 70.0,
    "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
}


@pytest.fixture
def scaling(deployer):
    return deployer.aws.client("application-autoscaling")


def of(endpoint, variant="main"):
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{variant}",
        "ScalableDimension": DIMENSION,
    }


def register(scaling, endpoint, **more):
    scaling.register_scalable_target(**of(endpoint), MinCapacity=1, MaxCapacity=4, **more)


def targets(scaling):
    return [
        t["ResourceId"]
        for t in scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    ]


def test_only_variants_that_exist_are_registered(deployer, scaling):
    endpoint = deployer.endpoint()
    for wanted in (of("absent"), of(endpoint, "absent")):
        code, message = refusal_of(scaling.register_scalable_target, **wanted, MinCapacity=1, MaxCapacity=2)
        assert code == "ValidationException"
        assert "Could not find variant" in message
    register(scaling, endpoint)
    assert targets(scaling) == [of(endpoint)["ResourceId"]]


def test_burstable_types_and_wrong_bounds_are_refused(deployer, scaling):
    burstable = deployer.endpoint(deployer.config(deployer.variant(InstanceType="ml.t2.medium")))
    code, message = refusal_of(
        scaling.register_scalable_target, **of(burstable), MinCapacity=1, MaxCapacity=2
    )
    assert code == "ValidationException"
    assert message.startswith(
        "You cannot register a variant with ml.t2.medium instance type as a scalable target."
    )
    endpoint = deployer.endpoint()
    for bounds in ({"MinCapacity": 3, "MaxCapacity": 2}, {"MaxCapacity": 2}):
        assert (
            refusal_of(scaling.register_scalable_target, **of(endpoint), **bounds)[0] == "ValidationException"
        )
    register(scaling, endpoint)
    # What is registered may be changed in part.
    scaling.register_scalable_target(**of(endpoint), MaxCapacity=9)
    assert (
        refusal_of(scaling.register_scalable_target, **of(endpoint), MinCapacity=10)[0]
        == "ValidationException"
    )


def test_what_is_not_registered_is_not_found(deployer, scaling):
    endpoint = deployer.endpoint()
    for call, request in (
        (
            scaling.put_scaling_policy,
            {
                "PolicyName": "p",
                "PolicyType": "TargetTrackingScaling",
                "TargetTrackingScalingPolicyConfiguration": TRACKING,
            },
        ),
        (
            scaling.put_scheduled_action,
            {
                "ScheduledActionName": "s",
                "Schedule": "rate(1 day)",
                "ScalableTargetAction": {"MinCapacity": 2},
            },
        ),
        (scaling.delete_scaling_policy, {"PolicyName": "p"}),
        (scaling.deregister_scalable_target, {}),
    ):
        assert refusal_of(call, **of(endpoint), **request)[0] == "ObjectNotFoundException"


def put_policy(scaling, endpoint):
    return scaling.put_scaling_policy(
        **of(endpoint),
        PolicyName="p",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=TRACKING,
    )


def test_a_target_tracking_policy_makes_its_two_alarms(deployer, scaling):
    endpoint = deployer.endpoint()
    register(scaling, endpoint)
    for _ in range(2):
        alarms = put_policy(scaling, endpoint)["Alarms"]
        found = deployer.aws.client("cloudwatch").describe_alarms()["MetricAlarms"]
        assert {a["AlarmName"] for a in alarms} == {a["AlarmName"] for a in found}
        assert sorted(a["Threshold"] for a in found) == [63.0, 70.0]
    (policy,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert len(policy["Alarms"]) == 2
    scaling.delete_scaling_policy(**of(endpoint), PolicyName="p")
    assert deployer.aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


@pytest.mark.parametrize("by", ["deregistering", "deleting the endpoint"])
def test_policies_schedules_and_alarms_go_with_the_target(deployer, scaling, by):
    endpoint = deployer.endpoint()
    register(scaling, endpoint)
    put_policy(scaling, endpoint)
    scaling.put_scheduled_action(
        **of(endpoint),
        ScheduledActionName="s",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 2},
    )
    if by == "deregistering":
        scaling.deregister_scalable_target(**of(endpoint))
    else:
        deployer.sagemaker.delete_endpoint(EndpointName=endpoint)
        deployer.sagemaker.get_waiter("endpoint_deleted").wait(
            EndpointName=endpoint, WaiterConfig={"Delay": 1, "MaxAttempts": 10}
        )
    assert targets(scaling) == []
    assert scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"] == []
    assert scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"] == []
    assert deployer.aws.client("cloudwatch").describe_alarms()["MetricAlarms"] == []


def test_updates_that_change_or_remove_a_scaled_variant_are_refused(deployer, scaling):
    model = deployer.model()
    endpoint = deployer.endpoint(deployer.config(deployer.variant(model)))
    other_type = deployer.config(deployer.variant(model, InstanceType="ml.c5.large"))
    other_name = deployer.config(deployer.variant(model, name="other"))
    other_model = deployer.config(deployer.variant(deployer.model()))
    register(scaling, endpoint)
    for config, text in ((other_type, "instance type"), (other_name, "cannot be removed")):
        code, message = refusal_of(
            deployer.sagemaker.update_endpoint, EndpointName=endpoint, EndpointConfigName=config
        )
        assert code == "ValidationException"
        assert text in message
    deployer.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=other_model)
    assert deployer.settled(endpoint)["EndpointConfigName"] == other_model


def test_other_namespaces_are_motos(scaling):
    assert scaling.describe_scalable_targets(ServiceNamespace="dynamodb")["ScalableTargets"] == []

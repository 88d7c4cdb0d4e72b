"""Deployment guardrails"""

from __future__ import annotations

import pytest

from tests.local.rules.cloud import Cloud, blue_green, canary, linear, refused, rolling, watching


def pair(cloud: Cloud, count: int = 4, **more: object) -> tuple[str, str]:
    """Return an endpoint in service, and a config to update it to."""
    model = cloud.model()
    old, new = (cloud.config(cloud.variant(count=count, ModelName=model, **more)) for _ in range(2))
    return cloud.endpoint(old), new


def counts(cloud: Cloud, name: str) -> tuple[int, int]:
    """Return the instances of the old and of the new fleet that take traffic."""
    found = cloud.describe(name)
    (old,) = found["ProductionVariants"]
    (new,) = found["PendingDeploymentSummary"]["ProductionVariants"]
    return old["CurrentInstanceCount"], new["CurrentInstanceCount"]


def ended(cloud: Cloud, name: str) -> tuple[str, str]:
    found = cloud.describe(name)
    return found["EndpointStatus"], found["EndpointConfigName"]


def test_one_policy(cloud: Cloud) -> None:
    """A deployment is either blue/green or rolling.

    Source: sagemaker:API_DeploymentConfig.html
    """
    name, new = pair(cloud)
    with refused("Only one"):
        cloud.update(name, new, canary() | rolling())


def test_canary_size(cloud: Cloud) -> None:
    """A canary is at most 50 % of the capacity.

    Source: sagemaker:API_TrafficRoutingConfig.html
    """
    name, new = pair(cloud)
    with refused("CanarySize", "50"):
        cloud.update(name, new, canary(51))
    cloud.update(name, new, canary(50))


def test_canary_size_in_instances(cloud: Cloud) -> None:
    """A canary size in instances is at most half of the instances.

    Source: sagemaker:API_TrafficRoutingConfig.html
    """
    name, new = pair(cloud, 4)
    size = {"Type": "INSTANCE_COUNT", "Value": 3}
    with refused("CanarySize", "50"):
        cloud.update(name, new, blue_green("CANARY", CanarySize=size))


def test_linear_step_size(cloud: Cloud) -> None:
    """A linear step is 10 to 50 % of the capacity.

    Source: guide:deployment-guardrails-blue-green-linear.html
    """
    name, new = pair(cloud, 10)
    for size in (9, 51):
        with refused("LinearStepSize", "10", "50"):
            cloud.update(name, new, linear(size))
    cloud.update(name, new, linear(10))


def test_batch_size(cloud: Cloud) -> None:
    """A rolling batch is 5 to 50 % of the capacity.

    Source: sagemaker:API_RollingUpdatePolicy.html
    """
    name, new = pair(cloud, 20)
    for size in (4, 51):
        with refused("MaximumBatchSize", "5", "50"):
            cloud.update(name, new, rolling(size))
    cloud.update(name, new, rolling(5))


def test_size_goes_with_its_type(cloud: Cloud) -> None:
    """A canary requires CanarySize, a linear deployment LinearStepSize; neither accepts the other's.

    Source: sagemaker:API_TrafficRoutingConfig.html
    """
    name, new = pair(cloud)
    half = {"Type": "CAPACITY_PERCENT", "Value": 50}
    for deployment, member in (
        (blue_green("CANARY"), "CanarySize"),
        (blue_green("LINEAR"), "LinearStepSize"),
        (blue_green("CANARY", CanarySize=half, LinearStepSize=half), "LinearStepSize"),
        (blue_green("ALL_AT_ONCE", CanarySize=half), "CanarySize"),
    ):
        with refused(member):
            cloud.update(name, new, deployment)


def test_one_instance_has_no_parts(cloud: Cloud) -> None:
    """A variant with one instance cannot have a canary or a step.

    Source: assumed: no part of it is 50 % or less
    """
    name, new = pair(cloud, 1)
    for deployment in (canary(), linear()):
        with refused("1 instance"):
            cloud.update(name, new, deployment)


@pytest.mark.parametrize("deployment", [canary(), linear(), rolling()], ids=["canary", "linear", "rolling"])
def test_same_variants(cloud: Cloud, deployment: dict) -> None:
    """Canary, linear and rolling deployments must keep the variants' names.

    Source: guide:deployment-guardrails-exclusions.html
    """
    name = cloud.endpoint(cloud.config(cloud.variant("a", 2)))
    with refused("variant names"):
        cloud.update(name, cloud.config(cloud.variant("b", 2)), deployment)


def test_rolling_has_one_variant(cloud: Cloud) -> None:
    """An endpoint with several variants cannot have a rolling deployment.

    Source: guide:deployment-guardrails-exclusions.html
    """
    model = cloud.model()
    old, new = (cloud.config(*(cloud.variant(name, 2, ModelName=model) for name in "ab")) for _ in range(2))
    name = cloud.endpoint(old)
    with refused("Rolling", "variants"):
        cloud.update(name, new, rolling())


def test_rolling_has_instances(cloud: Cloud) -> None:
    """A serverless endpoint cannot have a rolling deployment.

    Source: guide:deployment-guardrails-exclusions.html
    """
    name = cloud.endpoint(cloud.config(cloud.serverless()))
    with refused("Rolling", "serverless"):
        cloud.update(name, cloud.config(cloud.serverless()), rolling())


def test_wait_range(cloud: Cloud) -> None:
    """WaitIntervalInSeconds is 0 to 3600.

    Source: botocore, WaitIntervalInSeconds
    """
    name, new = pair(cloud)
    for wait in (-1, 3601):
        with refused("waitIntervalInSeconds"):
            cloud.update(name, new, canary(wait=wait))


def test_termination_range(cloud: Cloud) -> None:
    """TerminationWaitInSeconds is 0 to 3600.

    Source: botocore, TerminationWaitInSeconds
    """
    name, new = pair(cloud)
    with refused("terminationWaitInSeconds"):
        cloud.update(name, new, canary(termination=3601))


def test_limit_range(cloud: Cloud) -> None:
    """MaximumExecutionTimeoutInSeconds is 600 to 28800.

    Source: botocore, MaximumExecutionTimeoutInSeconds
    """
    name, new = pair(cloud)
    for limit in (599, 28_801):
        with refused("maximumExecutionTimeoutInSeconds"):
            cloud.update(name, new, canary(MaximumExecutionTimeoutInSeconds=limit))


def test_limit_is_more_than_the_waits(cloud: Cloud) -> None:
    """MaximumExecutionTimeoutInSeconds must be larger than the sum of both waits.

    Source: sagemaker:API_BlueGreenUpdatePolicy.html
    """
    name, new = pair(cloud)
    with refused("MaximumExecutionTimeoutInSeconds", "larger"):
        cloud.update(name, new, canary(wait=400, termination=200, MaximumExecutionTimeoutInSeconds=600))


def test_ten_alarms(cloud: Cloud) -> None:
    """A deployment watches 1 to 10 alarms.

    Source: botocore, AlarmList
    """
    name, new = pair(cloud)
    for alarms in ([], [f"a{number}" for number in range(11)]):
        with refused("alarms"):
            cloud.update(name, new, watching(canary(), *alarms))


def test_default_has_no_bake(cloud: Cloud) -> None:
    """Without a deployment config, all traffic moves at once, without a bake time.

    Source: sagemaker:API_UpdateEndpoint.html; guide:deployment-guardrails-blue-green-all-at-once.html
    """
    name, new = pair(cloud)
    cloud.update(name, new)
    cloud.advance(5)
    assert ended(cloud, name) == ("InService", new)


def test_canary_is_baked(cloud: Cloud) -> None:
    """A canary takes its share of the traffic, bakes for the wait interval, and then takes all traffic.

    Source: guide:deployment-guardrails-blue-green-canary.html
    """
    name, new = pair(cloud, 4)
    cloud.update(name, new, canary(25, wait=600))
    cloud.advance(300)
    assert counts(cloud, name) == (4, 1)
    cloud.advance(310)
    assert ended(cloud, name) == ("InService", new)


def test_linear_steps(cloud: Cloud) -> None:
    """A linear deployment shifts one step per wait interval.

    Source: guide:deployment-guardrails-blue-green-linear.html
    """
    name, new = pair(cloud, 4)
    cloud.update(name, new, linear(25, wait=100))
    seen = []
    for _ in range(3):
        cloud.advance(50)
        seen.append(counts(cloud, name)[1])
        cloud.advance(50)
    cloud.advance(60)
    assert (seen, ended(cloud, name)) == ([1, 2, 3], ("InService", new))


def test_both_fleets_stand(cloud: Cloud) -> None:
    """In a blue/green deployment, the whole old fleet runs until the end.

    Source: guide:deployment-guardrails-blue-green.html
    """
    name, new = pair(cloud, 4)
    cloud.update(name, new, canary(50, wait=600))
    cloud.advance(300)
    assert counts(cloud, name) == (4, 2)


def test_rolling_replaces(cloud: Cloud) -> None:
    """A rolling deployment terminates old instances as new ones are added.

    Source: guide:deployment-guardrails-rolling.html
    """
    name, new = pair(cloud, 4)
    cloud.update(name, new, rolling(50, wait=100))
    cloud.advance(50)
    assert counts(cloud, name) == (4, 2)
    cloud.advance(100)
    assert counts(cloud, name) == (2, 4)
    cloud.advance(100)
    assert ended(cloud, name) == ("InService", new)


def test_termination_wait(cloud: Cloud) -> None:
    """After all traffic has shifted, the old fleet runs for TerminationWaitInSeconds.

    Source: sagemaker:API_BlueGreenUpdatePolicy.html
    """
    name, new = pair(cloud)
    cloud.update(name, new, blue_green("ALL_AT_ONCE", termination=300))
    cloud.advance(200)
    assert (cloud.status(name), counts(cloud, name)) == ("Updating", (4, 4))
    cloud.advance(110)
    assert ended(cloud, name) == ("InService", new)


def test_bake_is_told(cloud: Cloud) -> None:
    """A baking variant shows the start time of the bake.

    Source: sagemaker:API_ProductionVariantStatus.html
    """
    name, new = pair(cloud)
    cloud.update(name, new, canary(wait=600))
    cloud.advance(60)
    (variant,) = cloud.describe(name)["PendingDeploymentSummary"]["ProductionVariants"]
    (stage,) = variant["VariantStatus"]
    assert stage["Status"] == "Baking"
    assert stage["StartTime"]


def test_alarm_takes_it_back(cloud: Cloud) -> None:
    """An alarm that goes off during the bake time rolls the deployment back to the old config.

    Source: guide:deployment-guardrails-configuration.html
    """
    name, new = pair(cloud)
    old = cloud.describe(name)["EndpointConfigName"]
    cloud.alarm()
    cloud.update(name, new, watching(canary(wait=600), "alarm"))
    cloud.advance(60)
    cloud.set_alarm("ALARM")
    cloud.advance(30)
    found = cloud.describe(name)
    assert ended(cloud, name) == ("InService", old)
    assert "alarm" in found["FailureReason"]


def test_firing_alarm_ends_a_deployment(cloud: Cloud) -> None:
    """An alarm that is already in ALARM when the bake time begins rolls the deployment back.

    Source: guide:deployment-guardrails-configuration.html
    """
    name, new = pair(cloud)
    old = cloud.describe(name)["EndpointConfigName"]
    # Data that are missing leave its state.
    cloud.alarm(TreatMissingData="ignore")
    cloud.set_alarm("ALARM")
    cloud.update(name, new, watching(canary(wait=600), "alarm"))
    cloud.advance(60)
    assert ended(cloud, name) == ("InService", old)


def test_other_states_do_not_matter(cloud: Cloud) -> None:
    """Alarms in OK and INSUFFICIENT_DATA let a deployment continue.

    Source: guide:deployment-guardrails-configuration.html
    """
    name, new = pair(cloud)
    cloud.alarm("fine", TreatMissingData="notBreaching")
    cloud.alarm("unknown")
    cloud.update(name, new, watching(canary(wait=300), "fine", "unknown"))
    cloud.advance(400)
    assert ended(cloud, name) == ("InService", new)


def test_alarms_without_a_bake(cloud: Cloud) -> None:
    """An alarm that goes off after the deployment has no effect.

    Source: guide:deployment-guardrails-configuration.html: alarms are watched during the bake
    """
    name, new = pair(cloud)
    cloud.alarm()
    cloud.update(name, new, watching(canary(wait=60), "alarm"))
    cloud.advance(120)
    cloud.set_alarm("ALARM")
    cloud.advance(60)
    assert ended(cloud, name) == ("InService", new)


def test_rollback_is_told(cloud: Cloud) -> None:
    """A deployment that is rolled back is RollingBack for a while.

    Source: hashicorp/terraform-provider-aws#49020
    """
    name, new = pair(cloud)
    cloud.alarm(TreatMissingData="ignore")
    cloud.update(
        name,
        new,
        watching(
            rolling(wait=600, RollbackMaximumBatchSize={"Type": "CAPACITY_PERCENT", "Value": 25}), "alarm"
        ),
    )
    cloud.advance(700)
    cloud.set_alarm("ALARM")
    seen = []
    for _ in range(10):
        cloud.advance(1)
        seen.append(cloud.status(name))
    assert sorted(set(seen), key=seen.index)[-2:] == ["RollingBack", "InService"]
    assert cloud.describe(name)["EndpointConfigName"] != new


def test_limit_takes_it_back(cloud: Cloud) -> None:
    """A deployment that takes longer than MaximumExecutionTimeoutInSeconds is rolled back.

    Source: sagemaker:API_BlueGreenUpdatePolicy.html
    """
    name, new = pair(cloud, 10)
    old = cloud.describe(name)["EndpointConfigName"]
    cloud.update(name, new, linear(10, wait=300, MaximumExecutionTimeoutInSeconds=600))
    cloud.advance(700)
    assert ended(cloud, name) == ("InService", old)


def stranded(cloud: Cloud) -> str:
    """Return an endpoint whose rolling deployment was to be taken back, without the instances for it."""
    name, new = pair(cloud)
    cloud.alarm(TreatMissingData="ignore")
    cloud.update(name, new, watching(rolling(50, wait=100), "alarm"))
    cloud.advance(150)
    assert counts(cloud, name) == (2, 4)
    with cloud.aws.fault("capacity"):
        cloud.set_alarm("ALARM")
        cloud.advance(10)
    return name


def test_rollback_that_fails(cloud: Cloud) -> None:
    """A rolling deployment that cannot get its old instances back ends as UpdateRollbackFailed.

    Source: sagemaker:API_DescribeEndpoint.html
    """
    assert cloud.status(stranded(cloud)) == "UpdateRollbackFailed"


def test_remedy_of_a_rollback_that_failed(cloud: Cloud) -> None:
    """Another update recovers an endpoint that is UpdateRollbackFailed.

    Source: guide:deployment-guardrails-rolling.html
    """
    name, new = stranded(cloud), cloud.config(cloud.variant(count=4))
    cloud.update(name, new)
    cloud.advance(60)
    assert ended(cloud, name) == ("InService", new)


def test_excluded_instance_types(cloud: Cloud) -> None:
    """Inf1 instances have no guardrails: all traffic moves at once, without a bake time.

    Source: guide:deployment-guardrails-exclusions.html
    """
    name, new = pair(cloud, 4, InstanceType="ml.inf1.xlarge")
    cloud.update(name, new, canary(wait=3600))
    cloud.advance(60)
    assert ended(cloud, name) == ("InService", new)


def test_eight_hours(cloud: Cloud) -> None:
    """A deployment may take eight hours.

    Source: botocore, MaximumExecutionTimeoutInSeconds
    """
    name, new = pair(cloud, 10)
    cloud.update(name, new, linear(10, wait=2900, MaximumExecutionTimeoutInSeconds=28_800))
    cloud.advance(25_000)
    assert cloud.status(name) == "Updating"
    cloud.advance(2_000)
    assert ended(cloud, name) == ("InService", new)

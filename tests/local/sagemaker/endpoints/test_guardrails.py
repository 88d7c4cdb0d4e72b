"""Deployment guardrails acted out, in virtual time: https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails.html"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting.local.sagemaker.endpoints.rollout import instances, rollback_steps, rollout_of
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local.conftest import ROLE, Deployer, wait_until
from tests.local.region import Region


def percent(value: int) -> dict[str, Any]:
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(
    kind: str, wait: int = 0, *, termination: int = 0, limit: int | None = None, **sizes: Any
) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "TrafficRoutingConfiguration": {"Type": kind, "WaitIntervalInSeconds": wait, **sizes},
        "TerminationWaitInSeconds": termination,
    }
    if limit:
        policy["MaximumExecutionTimeoutInSeconds"] = limit
    return {"BlueGreenUpdatePolicy": policy}


def rolling(size: dict[str, Any], wait: int = 0, **more: Any) -> dict[str, Any]:
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait, **more}}


def watched(deployment: dict[str, Any], *alarms: str) -> dict[str, Any]:
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}


# The steps: pure.


@pytest.mark.parametrize(
    ("size", "total", "expected"),
    [
        (percent(50), 1, 1),
        (percent(50), 2, 1),
        (percent(50), 3, 1),  # two would be more than half
        (percent(30), 3, 1),
        (percent(10), 20, 2),
        (percent(5), 10, 1),
        (count(2), 5, 2),
        (count(9), 5, 5),
    ],
)
def test_a_capacity_size_in_instances(size: dict[str, Any], total: int, expected: int) -> None:
    assert instances(size, total) == expected


@pytest.mark.parametrize(
    ("deployment", "total", "expected"),
    [
        (None, 4, [(4, 4, 1.0, 0)]),
        (blue_green("ALL_AT_ONCE"), 4, [(4, 4, 1.0, 0)]),
        (blue_green("ALL_AT_ONCE", 60, termination=30), 4, [(4, 4, 1.0, 30)]),
        (blue_green("CANARY", 60, CanarySize=percent(25)), 4, [(1, 4, 0.25, 60), (4, 4, 1.0, 0)]),
        (
            blue_green("CANARY", 600, termination=300, CanarySize=percent(30)),
            3,
            [(1, 3, 1 / 3, 600), (3, 3, 1.0, 300)],
        ),
        (
            blue_green("LINEAR", 9, LinearStepSize=percent(40)),
            5,
            [(2, 5, 0.4, 9), (4, 5, 0.8, 9), (5, 5, 1.0, 0)],
        ),
        (
            blue_green("LINEAR", 9, termination=8, LinearStepSize=count(1)),
            3,
            [(1, 3, 1 / 3, 9), (2, 3, 2 / 3, 9), (3, 3, 1.0, 8)],
        ),
        (rolling(percent(50), 9), 4, [(2, 4, 0.5, 9), (4, 2, 1.0, 9)]),
        (rolling(count(2), 9), 5, [(2, 5, 0.4, 9), (4, 3, 0.8, 9), (5, 1, 1.0, 9)]),
    ],
)
def test_the_steps_of_a_policy(deployment: Any, total: int, expected: list[Any]) -> None:
    steps = rollout_of(deployment, {"main": total}, {"main": total}).steps
    assert [(s.new["main"], s.old["main"], s.shares["main"], s.bake_seconds) for s in steps] == expected


def test_every_policy_ends_with_all_traffic_and_never_takes_any_back() -> None:
    policies = [
        *(blue_green("CANARY", CanarySize=percent(p)) for p in (1, 33, 50)),
        *(blue_green("LINEAR", LinearStepSize=percent(p)) for p in (10, 33, 50)),
        *(rolling(percent(p)) for p in (5, 33, 50)),
    ]
    for policy in policies:
        for total in range(2, 30):
            for before in (total, 1, 40):
                steps = rollout_of(policy, {"main": before}, {"main": total}).steps
                shares = [step.shares["main"] for step in steps]
                assert shares == sorted(shares)
                assert (shares[-1], steps[-1].new["main"]) == (1.0, total)
                # Half at most in one step, but for what is left after a canary or of an odd number.
                assert shares[0] <= 0.5
                olds = [step.old["main"] or 0 for step in steps]
                assert olds == sorted(olds, reverse=True)
                assert olds[0] == before


def test_each_variant_has_its_own_share_and_the_larger_ones_more_steps() -> None:
    steps = rollout_of(blue_green("LINEAR", LinearStepSize=count(1)), {}, {"a": 2, "b": 3}).steps
    assert [dict(step.new) for step in steps] == [{"a": 1, "b": 1}, {"a": 2, "b": 2}, {"a": 2, "b": 3}]
    assert steps[1].shares == {"a": 1.0, "b": 2 / 3}


@pytest.mark.parametrize(
    ("policy", "reached", "expected"),
    [
        (blue_green("CANARY", CanarySize=percent(25)), 0, [(0, 4)]),
        (rolling(percent(25)), None, [(0, 4)]),
        (rolling(percent(25)), 3, [(0, 4)]),
        # Reached: 4 new, 1 old.
        (rolling(percent(25), RollbackMaximumBatchSize=percent(25)), 3, [(2, 2), (1, 3), (0, 4)]),
        (rolling(percent(25), RollbackMaximumBatchSize=count(2)), 3, [(1, 3), (0, 4)]),
        (rolling(percent(25), RollbackMaximumBatchSize=percent(100)), 3, [(0, 4)]),
        # Reached: 1 new, 4 old.
        (rolling(percent(25), RollbackMaximumBatchSize=percent(25)), 0, [(0, 4)]),
    ],
)
def test_the_steps_back(policy: Any, reached: int | None, expected: list[Any]) -> None:
    rollout = rollout_of(policy, {"main": 4}, {"main": 4})
    at = None if reached is None else rollout.steps[reached]
    steps = rollback_steps(rollout, at, {"main": 4}, {"main": 4})
    assert [(step.new["main"], step.old["main"]) for step in steps] == expected
    assert [step.shares["main"] for step in steps] == [new / 4 for new, _ in expected]


# Acted out.


@pytest.mark.parametrize(
    ("deployment", "expected"),
    [
        (None, [(0, "InService", 1.0)]),
        (blue_green("ALL_AT_ONCE"), [(0, "InService", 1.0)]),
        (blue_green("ALL_AT_ONCE", 60), [(0, "InService", 1.0)]),
        (blue_green("ALL_AT_ONCE", 60, termination=30), [(0, "Updating", 1.0), (30, "InService", 1.0)]),
        (
            blue_green("CANARY", 60, termination=30, CanarySize=percent(25)),
            [(0, "Updating", 0.25), (60, "Updating", 1.0), (90, "InService", 1.0)],
        ),
        (
            blue_green("LINEAR", 60, termination=60, LinearStepSize=count(1)),
            [
                (0, "Updating", 0.25),
                (60, "Updating", 0.5),
                (120, "Updating", 0.75),
                (180, "Updating", 1.0),
                (240, "InService", 1.0),
            ],
        ),
        (
            rolling(percent(50), 60),
            [(0, "Updating", 0.5), (60, "Updating", 1.0), (120, "InService", 1.0)],
        ),
    ],
)
def test_how_traffic_moves(region: Region, deployment: Any, expected: list[Any]) -> None:
    region.serving()
    region.update(deployment)
    assert region.timeline(300) == expected
    found = region.described
    assert found["EndpointConfigName"] == "new"
    assert region.counts == (4, 0)
    assert "FailureReason" not in found
    assert "PendingDeploymentSummary" not in found


def test_a_canary_as_it_is_described(make_region: Callable[..., Region]) -> None:
    """The example of automating-sagemaker-with-eventbridge.html: three instances, one of them the canary."""
    region = make_region(transition_seconds=10)
    region.serving(region.variant(count=3))
    began = region.clock.now()
    region.update(blue_green("CANARY", 600, termination=600, limit=1800, CanarySize=percent(30)))
    found = region.described
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("Updating", "old")
    pending = found["PendingDeploymentSummary"]
    assert (pending["EndpointConfigName"], pending["StartTime"]) == ("new", began)
    assert region.stage == {"Status": "Creating", "StartTime": began}
    assert (region.counts, region.share) == ((3, 0), 0)

    region.clock.advance(10)
    assert region.stage == {"Status": "ActivatingTraffic", "StartTime": began + timedelta(seconds=10)}
    assert (region.counts, region.share) == ((3, 0), 0)

    region.clock.advance(10)
    assert region.stage == {
        "Status": "Baking",
        "StatusMessage": "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 "
        "instance(s).",
        "StartTime": began + timedelta(seconds=20),
    }
    (variant,) = region.described["PendingDeploymentSummary"]["ProductionVariants"]
    assert (variant["CurrentWeight"], variant["DesiredWeight"]) == (1.0, 1.0)
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (1, 3)
    assert variant["InstanceType"] == "ml.m5.large"
    assert region.counts == (3, 1)
    assert region.share == pytest.approx(1 / 3, abs=1e-6)
    assert "VariantStatus" not in region.described["ProductionVariants"][0]

    region.clock.advance(600 + 10)
    assert (
        region.stage["StatusMessage"]
        == "Baking for 600 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 3 instance(s)."
    )
    assert (region.counts, region.share) == ((3, 3), 1)
    region.clock.advance(599)
    assert region.status == "Updating"
    region.clock.advance(1)
    assert region.status == "InService"


def test_a_rolling_deployment_gives_old_instances_back_batch_by_batch(
    make_region: Callable[..., Region],
) -> None:
    region = make_region(transition_seconds=1)
    region.serving()
    region.update(rolling(count(1), 60))
    seen: list[Any] = []
    for _ in range(400):
        now = (region.counts, region.status)
        if not seen or seen[-1] != now:
            seen.append(now)
        region.clock.advance(1)
    assert seen == [
        ((4, 0), "Updating"),
        ((4, 1), "Updating"),
        ((3, 1), "Updating"),
        ((3, 2), "Updating"),
        ((2, 2), "Updating"),
        ((2, 3), "Updating"),
        ((1, 3), "Updating"),
        ((1, 4), "Updating"),
        ((4, 0), "InService"),
    ]


EIGHT_HOURS = watched(
    blue_green("LINEAR", 2800, termination=3000, limit=28_800, LinearStepSize=percent(10)), "alarm"
)


def test_eight_hours_take_no_time(region: Region) -> None:
    region.serving(region.variant(count=10))
    region.update(EIGHT_HOURS)
    began = time.process_time()
    region.clock.advance(9 * 2800 + 3000 - 1)
    assert (region.status, region.share) == ("Updating", 1)
    region.clock.advance(1)
    assert time.process_time() - began < 1  # with a look at the alarm each second
    assert (region.status, region.described["EndpointConfigName"]) == ("InService", "new")


def test_eight_hours_pass_the_same_each_time(make_region: Callable[..., Region]) -> None:
    timelines = []
    for _ in range(2):
        region = make_region(transition_seconds=2)
        region.serving(region.variant(count=10))
        region.update(EIGHT_HOURS)
        timelines.append(region.timeline(8 * 3600, step=100))
    assert timelines[0] == timelines[1]
    assert len(timelines[0]) == 12  # creating, ten steps, over


# Taken back.


@pytest.mark.parametrize(
    "deployment",
    [
        blue_green("ALL_AT_ONCE", termination=60),
        blue_green("CANARY", 60, CanarySize=percent(25)),
        blue_green("LINEAR", 60, LinearStepSize=percent(25)),
        rolling(percent(25), 60),
    ],
)
@pytest.mark.parametrize("after", [0, 1, 30, 59])
def test_an_alarm_takes_a_deployment_back(
    make_region: Callable[..., Region], deployment: Any, after: int
) -> None:
    region = make_region(transition_seconds=5)
    region.serving()
    region.alarms |= {"slow": "OK", "errors": "INSUFFICIENT_DATA"}
    region.update(watched(deployment, "errors", "slow"))
    region.clock.advance(10 + after)
    assert (region.status, region.stage["Status"]) == ("Updating", "Baking")
    assert region.share > 0
    region.alarms["slow"] = "ALARM"
    region.clock.advance(1)
    assert (region.status, region.stage["Status"]) == ("RollingBack", "Deleting")
    # Back at once where the old fleet stands yet.
    assert "RollingUpdatePolicy" in deployment or region.share == 0
    region.clock.advance(4)
    assert region.status == "RollingBack"
    region.clock.advance(1)
    found = region.described
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "old")
    assert "slow" in found["FailureReason"]
    assert "errors" not in found["FailureReason"]
    assert "PendingDeploymentSummary" not in found
    assert (region.counts, region.share) == ((4, 0), 0)
    # It stays so.
    region.clock.advance(9000)
    assert (region.described["EndpointConfigName"], region.status) == ("old", "InService")


def test_an_alarm_that_is_on_already_ends_the_deployment_with_its_first_traffic(region: Region) -> None:
    """ "if your old fleet trips the alarm during the deployment, SageMaker terminates your deployment" """
    region.serving()
    region.alarms["on"] = "ALARM"
    region.update(watched({}, "on"))
    assert (region.described["EndpointConfigName"], region.status) == ("old", "InService")
    assert "on" in region.described["FailureReason"]


def test_alarms_that_do_not_exist_and_those_that_are_not_watched_take_nothing_back(region: Region) -> None:
    region.serving()
    region.alarms["another"] = "ALARM"
    region.update(watched(blue_green("ALL_AT_ONCE", termination=60), "absent"))
    region.clock.advance(60)
    assert (region.described["EndpointConfigName"], region.status) == ("new", "InService")


def test_a_deployment_that_takes_too_long_is_taken_back(region: Region) -> None:
    region.serving()
    region.update(blue_green("LINEAR", 500, limit=900, LinearStepSize=percent(25)))
    region.clock.advance(899)
    assert region.status == "Updating"
    region.clock.advance(1)
    found = region.described
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", "old")
    assert "MaximumExecutionTimeoutInSeconds (900)" in found["FailureReason"]


def test_a_rolling_rollback_goes_in_its_own_batches(make_region: Callable[..., Region]) -> None:
    region = make_region(transition_seconds=1)
    region.serving()
    region.update(watched(rolling(count(1), 60, RollbackMaximumBatchSize=count(1)), "a"))
    region.clock.advance(4 * 62 - 30)
    assert region.counts == (1, 4)
    region.alarms["a"] = "ALARM"
    seen = []
    for _ in range(10):
        region.clock.advance(1)
        seen.append((*region.counts, region.share, region.status))
    assert seen[:5] == [
        (1, 4, 1.0, "RollingBack"),
        (2, 2, 0.5, "RollingBack"),
        (3, 1, 0.25, "RollingBack"),
        (4, 0, 0.0, "InService"),
        (4, 0, 0.0, "InService"),
    ]


def test_the_reason_of_a_failed_update_outlasts_a_scaling(region: Region) -> None:
    region.serving()
    region.alarms["a"] = "ALARM"
    region.update(watched({}, "a"))
    # Scaling does not touch it: a reason may be stale.
    region.ask(
        "UpdateEndpointWeightsAndCapacities",
        EndpointName="e",
        DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 5}],
    )
    region.clock.advance(0)
    assert "FailureReason" in region.described


# Without capacity.


def test_blue_green_needs_a_whole_fleet_more_and_rolling_a_batch(region: Region) -> None:
    region.serving()
    region.hosting.endpoints.capacity.limit("ml.m5.large", 3)
    region.update(blue_green("ALL_AT_ONCE"))
    assert (region.described["EndpointConfigName"], region.status) == ("old", "InService")
    assert "InsufficientInstanceCapacity" in region.described["FailureReason"]
    region.hosting.endpoints.capacity.limit("ml.m5.large", 4)
    region.update(rolling(count(1)))
    assert (region.described["EndpointConfigName"], region.status) == ("new", "InService")


def test_a_rolling_rollback_without_capacity_leaves_a_mix_that_another_update_mends(region: Region) -> None:
    region.serving()
    region.hosting.endpoints.capacity.limit("ml.m5.large", 2)
    region.update(watched(rolling(count(1), 60), "a"))
    region.clock.advance(61)
    assert region.counts == (3, 2)
    region.alarms["a"] = "ALARM"
    region.clock.advance(1)
    found = region.described
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("UpdateRollbackFailed", "old")
    assert "InsufficientInstanceCapacity" in found["FailureReason"]
    assert "PendingDeploymentSummary" not in found
    assert region.share == 0.5
    with pytest.raises(AwsError, match="is UpdateRollbackFailed"):
        region.hosting.endpoints.set_status("e", "InService")

    weights = [{"VariantName": "main", "DesiredWeight": 2.0}]
    message = region.refusal(
        "UpdateEndpointWeightsAndCapacities", EndpointName="e", DesiredWeightsAndCapacities=weights
    )
    assert message.startswith("Cannot update in-progress endpoint")

    # An update that fails as well leaves it as it is …
    region.update(config="new")
    assert (region.status, region.share) == ("UpdateRollbackFailed", 0.5)
    assert region.counts == (3, 0)
    # … and one that does not, mends it.
    region.hosting.endpoints.capacity.limit("ml.m5.large", 1000)
    region.update(config="new")
    assert (region.status, region.share, region.described["EndpointConfigName"]) == ("InService", 1, "new")


def test_scaling_out_without_capacity_rolls_back(make_region: Callable[..., Region]) -> None:
    region = make_region(transition_seconds=5)
    region.serving()
    region.hosting.endpoints.capacity.limit("ml.m5.large", 1)
    region.hosting.endpoints.set_desired("e", "main", instance_count=6)
    (variant,) = region.described["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (4, 6)
    region.clock.advance(5)
    assert region.status == "RollingBack"
    region.clock.advance(5)
    (variant,) = region.described["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], variant["DesiredInstanceCount"]) == (4, 4)
    assert region.status == "InService"
    assert "InsufficientInstanceCapacity" in region.described["FailureReason"]


def test_instance_pools_are_tried_by_priority(region: Region) -> None:
    pools = [
        {"InstanceType": "ml.g5.xlarge", "Priority": 2},
        {"InstanceType": "ml.g6.xlarge", "Priority": 1},
    ]
    variant = {"VariantName": "main", "ModelName": "m", "InitialInstanceCount": 2, "InstancePools": pools}
    region.config("c", variant)
    region.hosting.endpoints.capacity.limit("ml.g6.xlarge", 1)
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="c")
    region.clock.advance(0)
    assert region.described["ProductionVariants"][0]["InstancePools"] == [
        {"InstanceType": "ml.g6.xlarge", "CurrentInstanceCount": 0},
        {"InstanceType": "ml.g5.xlarge", "CurrentInstanceCount": 2},
    ]


# What is refused, and what falls back.


@pytest.mark.parametrize(
    ("deployment", "instances", "expected"),
    [
        (blue_green("CANARY"), 4, "CanarySize must be specified"),
        (
            blue_green("CANARY", CanarySize=percent(50), LinearStepSize=percent(50)),
            4,
            "LinearStepSize cannot be",
        ),
        (blue_green("LINEAR", LinearStepSize=percent(9)), 4, "LinearStepSize must be between 10% and 50%"),
        (blue_green("LINEAR", LinearStepSize=count(1)), 11, "LinearStepSize is 1 of the 11"),
        (blue_green("ALL_AT_ONCE", 500, termination=100, limit=600), 4, "MaximumExecutionTimeoutInSeconds"),
        ({**rolling(percent(50)), **blue_green("ALL_AT_ONCE")}, 4, "Only one of"),
    ],
)
def test_deployment_configs_that_are_refused(
    region: Region, deployment: Any, instances: int, expected: str
) -> None:
    region.serving(region.variant(count=instances))
    message = region.refusal(
        "UpdateEndpoint", EndpointName="e", EndpointConfigName="new", DeploymentConfig=deployment
    )
    assert expected in message
    assert region.status == "InService"


def test_other_variants_come_all_at_once_where_that_is_asked_for(region: Region) -> None:
    region.serving()
    region.config("other", region.variant("other"))
    assert "same variant names" in region.refusal(
        "UpdateEndpoint",
        EndpointName="e",
        EndpointConfigName="other",
        DeploymentConfig=blue_green("CANARY", CanarySize=percent(50)),
    )
    region.update(blue_green("ALL_AT_ONCE"), config="other")
    assert [v["VariantName"] for v in region.described["ProductionVariants"]] == ["other"]


def test_rolling_has_one_variant_and_no_serverless_ones(region: Region) -> None:
    region.serving(region.variant("a"), region.variant("b"))
    request = {"EndpointName": "e", "DeploymentConfig": rolling(percent(50))}
    assert "multiple production variants" in region.refusal(
        "UpdateEndpoint", EndpointConfigName="new", **request
    )
    serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": 5}
    for name in ("s1", "s2"):
        region.config(name, {"VariantName": "main", "ModelName": "m", "ServerlessConfig": serverless})
    region.ask("CreateEndpoint", EndpointName="s", EndpointConfigName="s1")
    region.clock.advance(0)
    request["EndpointName"] = "s"
    assert "serverless" in region.refusal("UpdateEndpoint", EndpointConfigName="s2", **request)


@pytest.mark.parametrize(
    "variant",
    [
        {"InstanceType": "ml.inf1.xlarge"},
        {"AcceleratorType": "ml.eia2.medium"},
        {"ServerlessConfig": {"MemorySizeInMB": 1024, "MaxConcurrency": 5}},
        {"ModelName": "bought"},
    ],
    ids=lambda variant: next(iter(variant)),
)
def test_features_without_guardrails_fall_back_to_all_at_once(region: Region, variant: Any) -> None:
    """https://docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html"""
    package = "arn:aws:sagemaker:us-east-1:865070037744:model-package/sellers-model"
    region.ask(
        "CreateModel",
        ModelName="bought",
        ExecutionRoleArn=ROLE,
        PrimaryContainer={"ModelPackageName": package},
    )
    full = {**region.variant(), **variant}
    if "ServerlessConfig" in variant:
        full = {name: full[name] for name in ("VariantName", "ModelName", "ServerlessConfig")}
    region.serving(full)
    region.update(blue_green("CANARY", 600, CanarySize=percent(25)))
    assert (region.described["EndpointConfigName"], region.status) == ("new", "InService")


def test_several_variants_are_shifted_together(region: Region) -> None:
    region.serving(
        region.variant("a", count=2, InitialVariantWeight=3.0), region.variant("b", InitialVariantWeight=1.0)
    )
    region.update(blue_green("CANARY", 60, CanarySize=count(1)))
    endpoint = region.hosting.endpoints.find("e")
    assert endpoint
    split = {(fleet.config_name, v.name): share for fleet, v, share in endpoint.serving.traffic()}
    assert split == {
        ("old", "a"): pytest.approx(0.75 * 0.5),
        ("new", "a"): pytest.approx(0.75 * 0.5),
        ("old", "b"): pytest.approx(0.25 * 0.75),
        ("new", "b"): pytest.approx(0.25 * 0.25),
    }
    to_b = {fleet.config_name: share for fleet, _, share in endpoint.serving.traffic_to("b")}
    assert to_b == {"old": 0.75, "new": 0.25}
    assert endpoint.serving.traffic_to("c") == []


def test_the_last_deployment_config_is_used_again(region: Region) -> None:
    region.config("old")
    region.config("new")
    deployment = blue_green("CANARY", 60, CanarySize=percent(25))
    region.ask("CreateEndpoint", EndpointName="e", EndpointConfigName="old", DeploymentConfig=deployment)
    region.clock.advance(0)
    assert region.status == "InService"
    region.update(RetainDeploymentConfig=True)
    assert (region.status, region.share) == ("Updating", 0.25)
    assert region.described["LastDeploymentConfig"] == deployment


def test_retained_counts_are_what_a_canary_is_measured_by(region: Region) -> None:
    region.serving()
    region.hosting.endpoints.set_desired("e", "main", instance_count=10)
    region.clock.advance(0)
    region.update(blue_green("CANARY", 60, CanarySize=percent(10)), RetainAllVariantProperties=True)
    assert (region.counts, region.share) == ((10, 1), 0.1)
    region.clock.advance(60)
    assert region.counts == (10, 0)


# Through the server, with containers.


@pytest.fixture(scope="module")
def virtual(virtual_process_deployer: Deployer) -> Deployer:
    return virtual_process_deployer


@pytest.fixture(scope="module")
def image(virtual: Deployer) -> str:
    return virtual.push_image()


def versioned(deployer: Deployer, image: str, version: str, count: int = 4) -> str:
    model = deployer.model(Image=image, Environment={"VERSION": version})
    return deployer.config(deployer.variant(model, InitialInstanceCount=count))


def put_alarm(deployer: Deployer, name: str, state: str) -> None:
    cloudwatch = deployer.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="Mine",
        MetricName="m",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="ignore",
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="the test says so")


def update(deployer: Deployer, endpoint: str, config: str, deployment: dict[str, Any]) -> None:
    deployer.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=config, DeploymentConfig=deployment
    )
    deployer.aws.advance(0)


def test_both_fleets_answer_by_their_shares_and_nothing_fails(virtual: Deployer, image: str) -> None:
    endpoint = virtual.endpoint(versioned(virtual, image, "old"), wait=False)
    virtual.aws.advance(0)
    new = versioned(virtual, image, "new")
    update(virtual, endpoint, new, blue_green("LINEAR", 60, termination=60, LinearStepSize=percent(50)))
    half = Counter(virtual.invoke(endpoint)["version"] for _ in range(60))
    assert set(half) == {"old", "new"}
    # Binomial with p = 1/2: outside of it once in ten million runs.
    assert 10 <= half["new"] <= 50
    targeted = Counter(virtual.invoke(endpoint, TargetVariant="main")["version"] for _ in range(60))
    assert set(targeted) == {"old", "new"}
    virtual.aws.advance(60)
    assert {virtual.invoke(endpoint)["version"] for _ in range(20)} == {"new"}
    virtual.aws.advance(60)
    assert virtual.describe(endpoint)["EndpointStatus"] == "InService"
    assert {virtual.invoke(endpoint)["version"] for _ in range(20)} == {"new"}


def test_no_invocation_fails_while_fleets_change(virtual: Deployer, image: str) -> None:
    """Four callers without a pause, through a canary, a rolling deployment, a rollback and a scaling."""
    endpoint = virtual.endpoint(versioned(virtual, image, "1"), wait=False)
    virtual.aws.advance(0)
    ended = threading.Event()
    answers: Counter[str] = Counter()

    def call() -> None:
        while not ended.is_set():
            answers[virtual.invoke(endpoint)["version"]] += 1

    def until_seen(version: str) -> None:
        before = answers[version]
        wait_until(lambda: answers[version] > before + 5)

    with ThreadPoolExecutor(4) as threads:
        callers = [threads.submit(call) for _ in range(4)]
        try:
            canary = blue_green("CANARY", 60, termination=60, CanarySize=percent(50))
            update(virtual, endpoint, versioned(virtual, image, "2"), canary)
            until_seen("2")
            for version in ("1", "2"):
                until_seen(version)
            virtual.aws.advance(120)
            until_seen("2")
            update(
                virtual,
                endpoint,
                versioned(virtual, image, "3"),
                rolling(percent(50), 60, MaximumExecutionTimeoutInSeconds=600),
            )
            until_seen("3")
            virtual.aws.advance(120)
            virtual.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=endpoint,
                DesiredWeightsAndCapacities=[{"VariantName": "main", "DesiredInstanceCount": 6}],
            )
            virtual.aws.advance(0)
            put_alarm(virtual, "on-for-good", "ALARM")
            update(virtual, endpoint, versioned(virtual, image, "4"), watched({}, "on-for-good"))
            until_seen("3")
            # The containers of the retired fleets are ended now, or about to be.
            until_seen("3")
        finally:
            ended.set()
        for caller in callers:
            caller.result()
    found = virtual.describe(endpoint)
    assert (found["EndpointStatus"], found["ProductionVariants"][0]["CurrentInstanceCount"]) == (
        "InService",
        6,
    )


def test_an_alarm_of_cloudwatch_takes_a_canary_back(virtual: Deployer, image: str) -> None:
    old = versioned(virtual, image, "old")
    endpoint = virtual.endpoint(old, wait=False)
    virtual.aws.advance(0)
    put_alarm(virtual, "too-slow", "OK")
    new = versioned(virtual, image, "new")
    canary = watched(blue_green("CANARY", 600, CanarySize=percent(25)), "too-slow")
    update(virtual, endpoint, new, canary)
    virtual.aws.advance(300)
    assert virtual.describe(endpoint)["EndpointStatus"] == "Updating"
    put_alarm(virtual, "too-slow", "ALARM")
    virtual.aws.advance(1)
    found = virtual.describe(endpoint)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", old)
    assert "too-slow" in found["FailureReason"]
    assert {virtual.invoke(endpoint)["version"] for _ in range(20)} == {"old"}


@pytest.mark.parametrize(("seconds", "config"), [("0.5", "old"), ("0", "new")])
def test_a_canary_is_judged_by_the_latency_of_its_own_traffic(
    virtual: Deployer, image: str, seconds: str, config: str
) -> None:
    """The alarm on the new fleet alone of deployment-guardrails-configuration.html."""
    configs = {"old": versioned(virtual, image, "old")}
    model = virtual.model(Image=image, Environment={"VERSION": "new", "SECONDS": seconds})
    configs["new"] = virtual.config(virtual.variant(model, InitialInstanceCount=4))
    endpoint = virtual.endpoint(configs["old"], wait=False)
    virtual.aws.advance(0)
    alarm = virtual.name("new-fleet-latency")
    dimensions = {"EndpointName": endpoint, "VariantName": "main", "EndpointConfigName": configs["new"]}
    virtual.aws.client("cloudwatch").put_metric_alarm(
        AlarmName=alarm,
        Namespace="AWS/SageMaker",
        MetricName="ModelLatency",
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        Statistic="Average",
        Period=300,
        EvaluationPeriods=2,
        Threshold=400_000,  # microseconds
        ComparisonOperator="GreaterThanThreshold",
        TreatMissingData="notBreaching",
    )
    canary = watched(blue_green("CANARY", 1200, termination=1200, CanarySize=percent(50)), alarm)
    update(virtual, endpoint, configs["new"], canary)
    statuses = set()
    for _ in range(8):
        # Half of it goes to the canary, and after 1200 seconds all of it: two periods will breach.
        for _ in range(5):
            virtual.invoke(endpoint)
        virtual.aws.advance(300)
        statuses.add(virtual.describe(endpoint)["EndpointStatus"])
    found = virtual.describe(endpoint)
    assert statuses == {"Updating", "InService"}
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", configs[config])
    assert (alarm in found.get("FailureReason", "")) == (config == "old")
    assert {virtual.invoke(endpoint)["version"] for _ in range(5)} == {config}

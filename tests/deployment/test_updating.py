"""The steps of an update: whether its rollout and its alarms can work, and the tags before and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_hosting import AllAtOnce, Canary, EndpointMetric, Linear, NewFleetAlarm, Rolling
from airflow_sm_hosting.deployment.planning import Ending, Plan
from airflow_sm_hosting.deployment.steps import CreateEndpoint, PutMetricAlarm, UpdateEndpoint
from airflow_sm_hosting.exceptions import AlarmGoingOffError, ConflictError, InvalidSpecError
from airflow_sm_hosting.spec.tags import DEPLOYING, OURS, ROLLOUT_ALARMS, RUN_AFTER
from tests.deployment.worlds import MIDDLE, SCALING, World, endpoint, planned, progress, tags_set, wanted

FLEET_ALARM = NewFleetAlarm(
    variant_name="main", metric=EndpointMetric.invocation_5xx_errors(period=60), threshold=1
)
FLEET_ALARM_NAME = "rollout/churn/b/main-Invocation5XXErrors-0"
#: All at once, with 300 s in which alarms can go off.
BAKE: Mapping[str, Any] = AllAtOnce(termination_wait=300)


def alarm(name: str = "latency", **members: Any) -> dict[str, Any]:
    return {"AlarmName": name, "Period": 60, "EvaluationPeriods": 3, "StateValue": "OK", **members}


def watched(*names: str, rollout: Mapping[str, Any] = BAKE) -> dict[str, Any]:
    """Return a rollout with alarms, as the operator completes it."""
    return {**rollout, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in names]}}


def updating(*alarms: Mapping[str, Any], **asked: Any) -> Plan:
    """Plan an update from ``a`` to ``b``."""
    world = World(endpoint("InService", "a"), alarms={one["AlarmName"]: one for one in alarms})
    found, _ = planned(world, wanted(run_after=MIDDLE, **asked), progress())
    return found


def rollout_of(found: Plan) -> Any:
    [update] = [step for step in found.steps if isinstance(step, UpdateEndpoint)]
    return update.request.get("DeploymentConfig")


@pytest.mark.parametrize(
    ("asked", "sent"), [(None, None), (BAKE, BAKE), (watched(), watched())], ids=["none", "bake", "no alarm"]
)
def test_a_rollout_without_alarms_is_sent_as_it_was_asked_for(asked: Any, sent: Any) -> None:
    assert rollout_of(updating(deployment_config=asked)) == sent


def test_alarms_that_can_go_off_in_time_are_sent_with_those_that_are_made_for_the_new_fleet() -> None:
    found = updating(alarm(), deployment_config=watched("latency"), fleet_alarms=[FLEET_ALARM])

    assert rollout_of(found) == watched("latency", FLEET_ALARM_NAME)
    [put] = [step for step in found.steps if isinstance(step, PutMetricAlarm)]
    assert (put.request["AlarmName"], put.rollout_of) == (FLEET_ALARM_NAME, "b")
    assert {"Name": "EndpointConfigName", "Value": "b"} in put.request["Dimensions"]
    # Written before the alarm is made, so that it is deleted even if this task is killed.
    assert tags_set(found)[f"{ROLLOUT_ALARMS}b"] == "made"


def test_alarms_for_the_new_fleet_watch_the_names_that_aws_describes() -> None:
    """The case of a dimension counts; that of an endpoint's and a config's name does not."""
    world = World(
        endpoint("InService", "a", EndpointName="Churn"),
        configs={"b": "ml.m5.large"},
        config={"EndpointConfigName": "B"},
    )
    asked = wanted(run_after=MIDDLE, deployment_config=BAKE, fleet_alarms=[FLEET_ALARM])
    found, _ = planned(world, asked, progress())
    [put] = [step for step in found.steps if isinstance(step, PutMetricAlarm)]
    watched_names = {one["Name"]: one["Value"] for one in put.request["Dimensions"]}
    assert (watched_names["EndpointName"], watched_names["EndpointConfigName"]) == ("Churn", "B")
    assert put.request["AlarmName"] == FLEET_ALARM_NAME


def test_alarms_for_the_new_fleet_alone_need_no_alarm_of_the_user() -> None:
    found = updating(deployment_config=BAKE, fleet_alarms=[FLEET_ALARM])
    assert rollout_of(found) == watched(FLEET_ALARM_NAME)


def test_a_rule_that_is_only_assumed_is_left_to_aws_where_that_is_wanted() -> None:
    canary = Canary(size="10%", wait_interval=60)
    assert rollout_of(updating(deployment_config=canary, strict=False)) == canary


def test_retained_counts_that_make_a_rollout_impossible_are_the_way_out() -> None:
    world = World(endpoint("InService", "a"), scaling=SCALING, variant={"InitialInstanceCount": 4})
    asked = wanted(run_after=MIDDLE, deployment_config=Canary(size="10%", wait_interval=60))

    with pytest.raises(
        ConflictError, match=r"(?m)retain_variant_properties=False takes them from the config\.$"
    ):
        planned(world, asked, progress())
    found, _ = planned(world, replace(asked, retain=False), progress())
    assert rollout_of(found)


@pytest.mark.parametrize(
    ("alarms", "asked", "warning"),
    [
        ([], {}, ""),
        ([], {"deployment_config": BAKE}, ""),
        ([alarm()], {"deployment_config": watched("latency")}, ""),
        # It may be over when the endpoint is updated for the first time.
        ([alarm(StateValue="ALARM")], {"deployment_config": watched("latency")}, ""),
        ([], {"deployment_config": watched("latency")}, "alarm latency does not exist"),
        (
            [],
            {"fleet_alarms": [FLEET_ALARM]},
            f"alarm {FLEET_ALARM_NAME} cannot go off in time: it needs 1 × 60 s = 60 s",
        ),
        (
            [],
            {"deployment_config": Canary(size="10%", wait_interval=60)},
            "variant main has one: use AllAtOnce",
        ),
        (
            [],
            {"deployment_config": Linear(step_size="50%", wait_interval=60)},
            "variant main has one: use AllAtOnce",
        ),
        (
            [],
            {"deployment_config": Rolling(maximum_batch_size=1, wait_interval=60)},
            "variant main has one: use AllAtOnce",
        ),
        ([], {"deployment_config": Canary(size="10%", wait_interval=60), "strict": False}, ""),
    ],
)
def test_a_rollout_that_no_update_can_use_is_a_warning_when_the_endpoint_is_created(
    alarms: list[Mapping[str, Any]], asked: dict[str, Any], warning: str
) -> None:
    world = World(None, alarms={one["AlarmName"]: one for one in alarms})
    found, _ = planned(world, wanted(run_after=MIDDLE, **asked), progress())

    assert [type(step) for step in found.steps] == [CreateEndpoint]
    if warning:
        assert found.warning.startswith(
            "Endpoint churn is created without a rollout, but its updates will fail: "
        )
    assert warning in found.warning
    assert bool(found.warning) is bool(warning)


def test_all_that_is_wrong_with_a_rollout_is_told_at_once() -> None:
    canary = Canary(size="10%", wait_interval=60, auto_rollback_alarms=["latency", "errors"])
    found, _ = planned(World(None), wanted(run_after=MIDDLE, deployment_config=canary), progress())
    for word in ("variant main has one", "alarm latency does not exist", "alarm errors does not exist"):
        assert word in found.warning


def test_a_config_that_does_not_exist_is_no_warning_but_the_error_of_the_call() -> None:
    found, _ = planned(World(None, configs={}), wanted(run_after=MIDDLE, deployment_config=BAKE), progress())
    assert found.warning == ""


def test_alarms_are_waited_for_where_that_is_wanted() -> None:
    off = alarm(StateValue="ALARM", StateReason="it is slow")
    found = updating(off, deployment_config=watched("latency"), wait_for_alarms=True)

    assert found.end
    assert (found.steps, found.end.ending) == ((), Ending.ALARMS_ON)
    assert "alarm latency is already in ALARM (it is slow)" in found.end.message


@pytest.mark.parametrize(
    ("alarms", "asked", "error", "message"),
    [
        (
            [],
            {"deployment_config": Canary(size="10%", wait_interval=60)},
            ConflictError,
            "Endpoint churn: a canary needs at least two instances, and variant main has one: use AllAtOnce, or request two instances "
            "(this package assumes the rule; strict=False leaves it to AWS).",
        ),
        (
            [],
            {"deployment_config": watched(*map(str, range(10))), "fleet_alarms": [FLEET_ALARM]},
            InvalidSpecError,
            "Endpoint churn: the rollout has 11 alarms; allowed: at most 10 (AutoRollbackConfig).",
        ),
        (
            [],
            {"deployment_config": watched("latency", "errors")},
            InvalidSpecError,
            "Endpoint churn is not updated: alarm latency does not exist; alarm errors does not exist.",
        ),
        (
            [],
            {"fleet_alarms": [FLEET_ALARM]},
            InvalidSpecError,
            f"Endpoint churn is not updated: alarm {FLEET_ALARM_NAME} cannot go off in time: it needs 1 × 60 s = 60 s of breaching data, "
            "and the rollout gives it 0 s before the old fleet ends = 0 s.",
        ),
        (
            [alarm(StateValue="ALARM", StateReason="it is slow")],
            {"deployment_config": watched("latency")},
            AlarmGoingOffError,
            "Endpoint churn is not updated: alarm latency is already in ALARM (it is slow), which would roll the deployment back at once. "
            "Deploy without that alarm, or wait until it is OK; wait_for_alarms=True lets the task wait.",
        ),
    ],
    ids=["refused", "too many alarms", "no such alarms", "too late", "going off"],
)
def test_a_rollout_that_cannot_work_is_told_before_anything_is_done(
    alarms: list[dict[str, Any]], asked: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        updating(*alarms, **asked)
    assert str(caught.value) == message


# Tags.


def test_a_run_that_version_0_1_0_deployed_is_not_written_down_again() -> None:
    tags = {**OURS, RUN_AFTER: MIDDLE, DEPLOYING: f"{MIDDLE} b"}
    same, _ = planned(World(endpoint("InService", "b"), tags), wanted(run_after=MIDDLE), progress())
    joined, _ = planned(World(endpoint("Updating", "a", "b"), tags), wanted(run_after=MIDDLE), progress())
    assert (tags_set(same), tags_set(joined)) == ({}, {})


@pytest.mark.parametrize(
    ("configs", "kept"), [({"b": "ml.m5.large"}, {f"{ROLLOUT_ALARMS}b": "made"}), ({}, {})]
)
def test_an_endpoint_that_is_created_anew_gets_the_tags_that_were_kept_in_its_config(
    configs: dict[str, str], kept: dict[str, str]
) -> None:
    """CreateEndpoint then tells that there is no such config."""
    world = World(None, configs=configs, config_tags={"team": "churn", f"{ROLLOUT_ALARMS}b": "made"})

    found, _ = planned(world, wanted(retried=True), progress())

    [create] = found.steps
    assert isinstance(create, CreateEndpoint)
    assert {tag["Key"]: tag["Value"] for tag in create.request["Tags"]} == {**OURS, **kept}
    assert found.progress.unfinished == tuple(kept)

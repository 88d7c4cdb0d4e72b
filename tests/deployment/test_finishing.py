"""The cleanup after a deployment: the scaling is restored, alarms name the new policies, and the deployment's own alarms go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from airflow_sm_hosting.deployment.endpoint_tags import detaching_claim
from airflow_sm_hosting.deployment.observation import Observation
from airflow_sm_hosting.deployment.planning import Ending
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.scaling_snapshot import as_tags
from airflow_sm_hosting.deployment.steps import Call
from airflow_sm_hosting.deployment.wait import Outcome, WaitFor, WaitResult
from airflow_sm_hosting.spec.tags import DETACHING, OURS, ROLLOUT_ALARMS
from tests.deployment.worlds import (
    ARN,
    NOW,
    SCALING,
    World,
    config_arn,
    endpoint,
    nothing_known,
    planned,
    progress,
    wanted,
)

PLACE = {name: SCALING["target"][name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
SCALED = {
    **SCALING,
    "policies": [{**PLACE, "PolicyName": "load"}],
    "actions": [{**PLACE, "ScheduledActionName": "night"}],
    "arns": {"arn:old:load": "load"},
}
OWN, OTHERS = as_tags({"main": SCALED}, "0123abcd"), as_tags({"main": SCALED}, "abcd0123")
ALARMS = f"{ROLLOUT_ALARMS}b"


def deployed(*unfinished: str) -> Progress:
    """Return the progress of a deployment that has ended in success."""
    result = WaitResult(str(Outcome.DEPLOYED), "", {"EndpointArn": ARN})
    return progress(target="b", unfinished=unfinished).after_wait(WaitFor.DEPLOYED, result)


def cleanup(world: World, before: Progress) -> list[tuple[str, Mapping[str, Any]]]:
    """Clean up, and return the calls of it."""
    calls: list[tuple[str, Mapping[str, Any]]] = []
    observed: Observation = nothing_known()
    for _ in range(5):
        found, observed = planned(world, wanted(), before, observed)
        if found.end:
            assert found.end.ending is Ending.SUCCEEDED
            return calls
        for step in found.steps:
            assert isinstance(step, Call)
            calls.append((step.operation, step.request))
            observed = step.effect(observed, world.apply(step, "task"))
    raise AssertionError("the cleanup does not end")


def alarm(name: str, *actions: str, **members: Any) -> dict[str, Any]:
    return {"AlarmName": name, "AlarmActions": list(actions), **members}


def test_scaling_that_was_taken_off_is_restored_and_alarms_name_the_new_policies() -> None:
    steps = alarm("steps", "arn:old:load", "arn:sns", OKActions=["arn:old:load"])
    both = alarm("both", "arn:old:load", AlarmRule="ALARM(steps)")
    others = alarm("others", "arn:sns")
    world = World(
        endpoint("InService", "b"),
        {**OURS, **OWN},
        alarms={one["AlarmName"]: one for one in (steps, both, others)},
    )

    calls = cleanup(world, deployed(*OWN))

    assert [name for name, _ in calls] == [
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "PutScheduledAction",
        "PutMetricAlarm",
        "PutCompositeAlarm",
        "DeleteTags",
    ]
    assert world.scaling == {**SCALED, "arns": {"arn:new:load": "load"}}
    assert world.alarms["steps"]["AlarmActions"] == ["arn:new:load", "arn:sns"]
    assert world.alarms["steps"]["OKActions"] == ["arn:new:load"]
    assert world.alarms["both"]["AlarmActions"] == ["arn:new:load"]
    assert world.alarms["others"] is others
    assert world.tags == OURS


def test_scaling_of_variants_that_are_gone_is_not_restored() -> None:
    world = World(endpoint("InService", "b", ProductionVariants=[{"VariantName": "new"}]), {**OURS, **OWN})
    assert cleanup(world, deployed(*OWN)) == [("DeleteTags", {"ResourceArn": ARN, "TagKeys": [*OWN]})]


def test_the_scaling_is_left_to_another_deployment_that_goes_on() -> None:
    """That one has a copy of its own, and restores the scaling when it has ended."""
    tags = {**OURS, **OWN, **OTHERS, ALARMS: "made"}
    world = World(endpoint("Updating", "b", "c"), tags)

    assert cleanup(world, deployed(*OWN, ALARMS)) == [
        ("DeleteTags", {"ResourceArn": ARN, "TagKeys": [ALARMS]})
    ]
    assert world.tags == {**OURS, **OWN, **OTHERS}


def test_a_copy_of_another_run_stays_when_this_one_has_restored_the_scaling() -> None:
    world = World(endpoint("InService", "b"), {**OURS, **OWN, **OTHERS})
    calls = cleanup(world, deployed(*OWN))
    assert calls[-1] == ("DeleteTags", {"ResourceArn": ARN, "TagKeys": [*OWN]})
    assert world.scaling is not None


def test_the_alarms_of_the_deployment_go_and_those_of_others_stay() -> None:
    own, others = "rollout/churn/b/main-0", "rollout/churn/c/main-0"
    world = World(
        endpoint("InService", "b"),
        {**OURS, ALARMS: "made"},
        alarms={name: alarm(name) for name in (own, others)},
    )

    calls = cleanup(world, deployed(ALARMS))

    assert calls == [
        ("DeleteAlarms", {"AlarmNames": [own]}),
        ("DeleteTags", {"ResourceArn": ARN, "TagKeys": [ALARMS]}),
    ]
    assert list(world.alarms) == [others]


@pytest.mark.parametrize(
    ("task", "seconds", "goes"),
    [("task", 30, True), ("other", -30, True), ("other", 30, False)],
    ids=["its own", "an expired one", "another's"],
)
def test_the_claim_of_another_run_stays(task: str, seconds: int, goes: bool) -> None:
    claim = detaching_claim(task, NOW + timedelta(seconds=seconds))
    world = World(endpoint("InService", "b"), {**OURS, **claim})
    calls = cleanup(world, deployed(DETACHING))
    assert calls == ([("DeleteTags", {"ResourceArn": ARN, "TagKeys": [DETACHING]})] if goes else [])


@pytest.mark.parametrize(("configs", "kept"), [({"b": "ml.m5.large"}, True), ({}, False)])
def test_what_was_kept_in_the_config_goes_where_there_is_such_a_config(
    configs: dict[str, str], kept: bool
) -> None:
    tags = {**OURS, ALARMS: "made"}
    world = World(endpoint("InService", "b"), tags, configs, config_tags=tags)

    found, _ = planned(world, wanted(), deployed(ALARMS))

    arns = [step.request["ResourceArn"] for step in found.steps if isinstance(step, Call)]
    assert arns == ([config_arn("b"), ARN] if kept else [ARN])


def test_nothing_is_left_to_do_for_an_endpoint_that_is_gone() -> None:
    assert cleanup(World(None), deployed(ALARMS)) == []

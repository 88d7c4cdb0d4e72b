"""What each step makes of an observation: a real one by AWS's answer, a simulated one by what AWS would do."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.steps import (
    DeleteAlarms,
    DeleteEndpoint,
    DeregisterScalableTarget,
    PutCompositeAlarm,
    PutMetricAlarm,
    PutScalingPolicy,
    PutScheduledAction,
    RegisterScalableTarget,
    Step,
)
from tests.deployment.worlds import SCALING, endpoint, nothing_known

TARGET = SCALING["target"]
PLACE = {name: TARGET[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
DIMENSION = PLACE["ScalableDimension"]
POLICY = {**PLACE, "PolicyName": "load", "PolicyType": "StepScaling"}
ACTION = {**PLACE, "ScheduledActionName": "night", "Schedule": "rate(1 day)"}
SCALED = {**SCALING, "policies": [POLICY], "arns": {"arn:load": "load"}}


def scaled(simulated: bool) -> Observation:
    """Return an endpoint in service whose variant is a scalable target with a policy."""
    observed = nothing_known(simulated=simulated)
    for fact, value in (
        (observed.endpoint_fact, endpoint("InService")),
        (Fact(FactKind.SCALABLE_TARGETS, ("churn", "main")), {"main": TARGET}),
        (observed.scaling_fact("main"), SCALED),
        (Fact(FactKind.POLICY_ARNS, ("churn", "main", DIMENSION)), {"load": "arn:load"}),
    ):
        observed = observed.learned(fact, value)
    return observed


def scaling_facts(observed: Observation) -> tuple[Any, Any, Any]:
    """Return the target, the whole scaling and the ARNs of the policies."""
    scaling = observed.scaling(["main"]).get("main")
    return observed.scalable_targets.get("main"), scaling, observed.policy_arns("main", DIMENSION)


WIDER = {**PLACE, "MaxCapacity": 9}
OTHER_POLICY = {**POLICY, "PolicyName": "other"}


@pytest.mark.parametrize(
    ("step", "answer", "simulated"),
    [
        (DeleteEndpoint({"EndpointName": "churn"}), {}, (None, None, {})),
        (DeregisterScalableTarget(PLACE), {}, (None, None, {})),
        (
            RegisterScalableTarget(WIDER),
            {},
            (WIDER, {**SCALED, "target": {**TARGET, **WIDER}}, {"load": "arn:load"}),
        ),
        (
            PutScalingPolicy(OTHER_POLICY),
            {"PolicyARN": "arn:other"},
            (
                TARGET,
                {**SCALED, "policies": [POLICY, OTHER_POLICY], "arns": {"arn:load": "load", "new:other": "other"}},
                {"load": "arn:load"},
            ),
        ),
        (PutScheduledAction(ACTION), {}, (TARGET, {**SCALED, "actions": [ACTION]}, {"load": "arn:load"})),
    ],
    ids=lambda given: getattr(given, "operation", None),
)  # fmt: skip
def test_a_simulated_call_changes_what_is_known_of_the_scaling_and_a_real_one_leaves_it(
    step: Step, answer: Any, simulated: tuple[Any, Any, Any]
) -> None:
    """A plan needs the scaling only before it is changed."""
    assert scaling_facts(step.effect(scaled(simulated=True))) == simulated
    assert scaling_facts(step.effect(scaled(simulated=False), answer)) == scaling_facts(scaled(False))


def test_scaling_of_another_endpoint_is_not_that_of_the_observed_one() -> None:
    observed = scaled(simulated=True)
    for resource_id in ("endpoint/other/variant/main", "inference-component/churn"):
        assert PutScheduledAction({**ACTION, "ResourceId": resource_id}).effect(observed) == observed


@pytest.mark.parametrize(
    ("simulated", "name", "answer", "arn"),
    [
        (False, "load", {"PolicyARN": "arn:answered"}, "arn:answered"),
        (True, "load", None, "arn:load"),
        (True, "other", None, "new:other"),
    ],
    ids=["answered", "there", "new"],
)
def test_what_is_restored_is_known_by_its_arn(simulated: bool, name: str, answer: Any, arn: str) -> None:
    put = PutScalingPolicy({**POLICY, "PolicyName": name})
    registered = RegisterScalableTarget(TARGET).effect(scaled(simulated), {})
    assert registered.restored == {"main": {}}
    assert put.effect(registered, answer).restored == {"main": {name: arn}}


# Alarms.

ROLLOUT = Fact(FactKind.ROLLOUT_ALARMS, ("churn", "b"))
ON_ENDPOINT = Fact(FactKind.ENDPOINT_ALARMS, ("churn",))
WITH_ACTION = Fact(FactKind.ALARMS_WITH_ACTION, ("arn:old",))


def alarms(observed: Observation) -> tuple[list[str], list[str], list[str]]:
    with_action = [alarm["AlarmName"] for alarm in observed.alarms_with_action("arn:old")]
    return observed.rollout_alarms("b"), observed.get(ON_ENDPOINT), with_action


@pytest.mark.parametrize(
    ("step", "known"),
    [
        (PutMetricAlarm({"AlarmName": "c"}, rollout_of="b"), (["a", "b", "c"], ["a", "d"], ["a", "e"])),
        (PutMetricAlarm({"AlarmName": "c"}, rollout_of="other"), (["a", "b"], ["a", "d"], ["a", "e"])),
        (PutMetricAlarm({"AlarmName": "a"}), (["a", "b"], ["a", "d"], ["e"])),
        (PutCompositeAlarm({"AlarmName": "e"}), (["a", "b"], ["a", "d"], ["a"])),
        (DeleteAlarms({"AlarmNames": ["a", "x"]}), (["b"], ["d"], ["a", "e"])),
    ],
    ids=["of this rollout", "of another", "new actions", "new actions of a composite one", "deleted"],
)
def test_alarms_come_and_go_and_do_not_name_an_old_policy_any_more(step: Step, known: Any) -> None:
    observed = nothing_known()
    for fact, value in (
        (ROLLOUT, ["a", "b"]),
        (ON_ENDPOINT, ["a", "d"]),
        (WITH_ACTION, [{"AlarmName": "a"}, {"AlarmName": "e"}]),
    ):
        observed = observed.learned(fact, value)
    assert alarms(step.effect(observed)) == known

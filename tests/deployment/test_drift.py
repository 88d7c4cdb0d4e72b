"""Drift: what serves, against what the last deployment recorded in the endpoint's tags."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.deployment.drift import Drift, Expected, drift_of
from airflow_sm_hosting.deployment.evidence import READS_LAG, Evidence
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.verdict import judge
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor
from airflow_sm_hosting.spec.tags import CAPACITIES, OURS, SCALING_POLICIES, SCHEDULED_ACTIONS, digest

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn"
FIRST, SECOND = "2026-01-01T00:00:00+00:00", "2026-02-01T00:00:00+00:00"
DEPLOYED = {**OURS, "sm-hosting:run:aaaaaaaa": f"{FIRST} deployed 5 c1"}


def endpoint(config: str = "c1", status: str = "InService", **members: Any) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointArn": ARN,
        "EndpointStatus": status,
        "EndpointConfigName": config,
        "ProductionVariants": [
            {
                "VariantName": "main",
                "DesiredWeight": 1.0,
                "DesiredInstanceCount": 2,
                "CurrentWeight": 1.0,
                "CurrentInstanceCount": 2,
            }
        ],
        **members,
    }


def drift(
    described: dict[str, Any] | None,
    tags: dict[str, str] = DEPLOYED,
    facts: dict[Fact, Any] | None = None,
    **expected: Any,
) -> Drift:
    """Return the drift; a fact that is not needed is not given."""
    known: dict[Fact, Any] = {
        Fact(FactKind.ENDPOINT, ("churn",)): described,
        Fact(FactKind.TAGS, (ARN,)): tags,
        **(facts or {}),
    }
    observed = Observation("churn", NOW, "copy")
    for _ in range(len(known) + 1):
        found = drift_of(observed, Expected("churn", **expected))
        if isinstance(found, Drift):
            return found
        observed = observed.learned(found, known[found])
    raise AssertionError


def test_what_was_deployed_and_serves_is_no_drift() -> None:
    assert drift(endpoint()) == Drift("c1", ())


def test_another_config_is_drift() -> None:
    assert drift(endpoint("c9")) == Drift("c1", ("it serves c9, not c1",))
    assert drift(endpoint("c9"), endpoint_config_name="C9") == Drift("C9", ())
    assert drift(endpoint("c1"), endpoint_config_name="c2").found == ("it serves c1, not c2",)


@pytest.mark.parametrize(
    ("tags", "config"),
    [
        ({"sm-hosting:run:bbbbbbbb": f"{SECOND} deployed 6 c2"}, "c2"),
        ({"sm-hosting:run:bbbbbbbb": f"{SECOND} undone 6 c2"}, "c1"),
        # Accepted by AWS, and the run died before it wrote so; or not even sent.
        ({"sm-hosting:run:bbbbbbbb": f"{SECOND} claimed 6 c2"}, "c2"),
        ({"sm-hosting:run:bbbbbbbb": f"{SECOND} claimed 6 c3"}, "c1"),
        ({"sm-hosting:rolled-back": f"{SECOND} c1 c0"}, "c0"),
        ({"sm-hosting:rolled-back": f"{FIRST} c1 c0"}, "c0"),
        (
            {
                "sm-hosting:rolled-back": f"{FIRST} c1 c0",
                "sm-hosting:run:bbbbbbbb": f"{SECOND} deployed 6 c2",
            },
            "c2",
        ),
    ],
)
def test_the_newest_deployment_or_rollback_counts(tags: dict[str, str], config: str) -> None:
    assert drift(endpoint("c2"), {**DEPLOYED, **tags}).endpoint_config_name == config


def test_what_version_0_1_0_recorded_counts() -> None:
    tags = {**OURS, "sm-hosting:deploying": f"{FIRST} c1"}
    assert drift(endpoint("c1"), tags) == Drift("c1", ())
    assert drift(endpoint("c2"), tags).found == ("it serves c2, not c1",)


def test_a_fallback_that_serves_is_no_drift() -> None:
    tags = {**DEPLOYED, "sm-hosting:fallback-for": "c1"}
    assert drift(endpoint("smaller"), tags) == Drift("smaller", ())


def test_an_endpoint_that_is_gone_or_not_ours_any_more_has_drifted() -> None:
    assert drift(None) == Drift(None, ("it does not exist",))
    assert drift(None, endpoint_config_name="c1") == Drift("c1", ("it does not exist",))
    found = drift(endpoint(), {"team": "other"})
    assert found.endpoint_config_name is None
    assert "its tags record no deployment of this package" in found.found[0]


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "UpdateRollbackFailed"])
def test_a_broken_endpoint_has_drifted(status: str) -> None:
    assert drift(endpoint(status=status)).found == (f"it is {status}: no reason given",)
    found = drift(endpoint("c2", status, FailureReason="no ping")).found
    assert found == (f"it is {status}: no ping", "it serves c2, not c1")


@pytest.mark.parametrize("status", ["Updating", "Creating", "RollingBack", "Deleting", "SystemUpdating"])
def test_an_endpoint_in_transition_has_not_drifted_yet(status: str) -> None:
    assert drift(endpoint("c2", status)).found == ()


def test_weights_and_counts_are_compared_where_asked() -> None:
    assert drift(endpoint(), weights={"main": 1}, instance_counts={"main": 2}).found == ()
    found = drift(endpoint(), weights={"main": 2}, instance_counts={"main": 3, "gone": 1}).found
    assert found == (
        "main has DesiredWeight 1.0, not 2",
        "main has DesiredInstanceCount 2, not 3",
        "gone has DesiredInstanceCount None, not 1",
    )


def scaling(
    tags: dict[str, str], policies: tuple[str, ...] = (), actions: tuple[str, ...] = ()
) -> dict[Fact, Any]:
    found = {
        "target": {"MinCapacity": 1, "MaxCapacity": 4, "Tags": tags},
        "policies": [{"PolicyName": name} for name in policies],
        "actions": [{"ScheduledActionName": name} for name in actions],
    }
    return {Fact(FactKind.SCALING, ("churn", "main")): found}


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (scaling({CAPACITIES: "1-4", SCALING_POLICIES: digest("p")}, ("p", "theirs")), ""),
        (scaling({CAPACITIES: "changing"}), ""),
        # A schedule has changed the capacities.
        (scaling({CAPACITIES: "2-8", SCHEDULED_ACTIONS: digest("night")}, (), ("night",)), ""),
        (scaling({CAPACITIES: "2-8"}), "variant main scales between 1 and 4, not 2 and 8"),
        (
            scaling({CAPACITIES: "1-4", SCALING_POLICIES: digest("p")}, ("theirs",)),
            "lacks 1 of its scaling policies; it has: theirs",
        ),
        (
            scaling({CAPACITIES: "1-4", SCHEDULED_ACTIONS: digest("night")}),
            "lacks 1 of its scheduled actions; it has: none",
        ),
        (scaling({}), "is not marked as ConfigureAutoscalingOperator marks it"),
        ({Fact(FactKind.SCALING, ("churn", "main")): None}, "variant main is not scaled"),
    ],
)
def test_scaling_is_as_it_was_recorded(facts: dict[Fact, Any], words: str) -> None:
    found = drift(endpoint(), facts=facts, scaled_variants=("main",)).found
    assert len(found) == bool(words)
    assert words in "".join(found)


def test_alarms_exist_and_act() -> None:
    names = ("a", "b", "c")
    alarms = {"a": {"ActionsEnabled": True}, "b": {"ActionsEnabled": False}}
    found = drift(endpoint(), facts={Fact(FactKind.ALARMS, names): alarms}, alarms=names).found
    assert found == ("the actions of alarm b are switched off", "alarm c does not exist")


def test_a_wait_for_drift_ends_when_it_is_proven() -> None:
    condition = WaitCondition(WaitFor.DRIFTED, "churn", "c1", instance_counts={"main": 2})
    assert WaitCondition.deserialize(condition.serialize()) == condition
    assert judge(condition, endpoint()).outcome is Outcome.PENDING
    verdict = judge(condition, endpoint("c2"))
    assert verdict.outcome is Outcome.DEPLOYED
    assert verdict.message == "Endpoint churn has drifted: it serves c2, not c1."
    assert "does not exist" in judge(condition, None).message
    evidence = Evidence()
    for now, proven in ((0.0, False), (READS_LAG, False), (READS_LAG + 1, True)):
        evidence = evidence.after(endpoint("c2"), now)
        assert evidence.proves(condition, verdict.outcome, endpoint("c2"), now) is proven

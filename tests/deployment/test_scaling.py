"""What is put, deleted and left alone: the calls are applied to a model of Application Auto Scaling, stopped at any of them, and taken up again."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.scaling import (
    ObservedScaling,
    WantedScaling,
    plan_removal,
    plan_scaling,
    tags_matter,
)
from airflow_sm_hosting.deployment.steps import ScalingCall, UntagScalableTarget
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError
from airflow_sm_hosting.spec.scaling_rules import tracked_metric
from airflow_sm_hosting.spec.tags import (
    CAPACITIES,
    OURS,
    SCALING_POLICIES,
    SCHEDULED_ACTIONS,
    digest,
    digest_tags,
    digests_in,
)

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
MARKS = {**OURS, CAPACITIES: "1-4"}
ARN = "arn:aws:application-autoscaling:us-east-1:123456789012:scalable-target/1"


def tracking(name: str, metric: str = "", target: float = 1.0) -> dict[str, Any]:
    return {
        "PolicyName": name,
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": target,
            "PredefinedMetricSpecification": {"PredefinedMetricType": metric or f"Metric{name}"},
        },
    }


def action(name: str, low: int | None = None, high: int | None = None) -> dict[str, Any]:
    capacities = {"MinCapacity": low, "MaxCapacity": high}
    return {
        "ScheduledActionName": name,
        "Schedule": "rate(1 day)",
        "ScalableTargetAction": {key: value for key, value in capacities.items() if value is not None},
    }


class Refused(Exception):
    """The service says no."""


class Service:
    """Application Auto Scaling with one scalable target, as far as it matters whose things are."""

    def __init__(self) -> None:
        self.target: dict[str, Any] | None = None
        self.tags: dict[str, str] = {}
        self.policies: dict[str, dict[str, Any]] = {}
        self.actions: dict[str, dict[str, Any]] = {}

    def found(self) -> ObservedScaling:
        return ObservedScaling(self.target, list(self.policies.values()), list(self.actions.values()))

    def apply(self, step: ScalingCall) -> None:
        request = {name: value for name, value in step.request.items() if name not in PLACE}
        match step.operation:
            case "RegisterScalableTarget":
                tags = request.pop("Tags", None)
                assert (tags is None) == (self.target is not None)
                self.tags |= tags or {}
                self.target = {"ScalableTargetARN": ARN, **(self.target or {}), **request}
                assert self.target["MinCapacity"] <= self.target["MaxCapacity"]
            case "TagResource":
                assert request["ResourceARN"] == ARN
                self.tags |= request["Tags"]
            case "UntagResource":
                for key in request["TagKeys"]:
                    del self.tags[key]
            case "PutScalingPolicy":
                others = [item for name, item in self.policies.items() if name != request["PolicyName"]]
                if len(others) >= 50 or tracked_metric(request) in map(tracked_metric, others):
                    raise Refused(step)
                self.policies[request["PolicyName"]] = request
            case "DeleteScalingPolicy":
                del self.policies[request["PolicyName"]]
            case "PutScheduledAction":
                self.actions[request["ScheduledActionName"]] = request
                if len(self.actions) > 200:
                    raise Refused(step)
            case "DeleteScheduledAction":
                del self.actions[request["ScheduledActionName"]]
        assert len(self.tags) <= 50
        assert all(len(value) <= 256 for value in self.tags.values())

    def run(
        self, asked: WantedScaling, *, adopt: bool = False, stop_after: int | None = None
    ) -> list[ScalingCall]:
        """Do what the task does; stop after so many calls."""
        found = self.found()
        tags = self.tags if tags_matter(asked, found) else {}
        steps = plan_scaling(asked, found, tags, adopt=adopt).steps
        for step in steps[:stop_after]:
            self.apply(step)
        return steps


def asked_for(
    *policies: dict[str, Any], actions: tuple[dict[str, Any], ...] = (), **options: Any
) -> WantedScaling:
    return WantedScaling(
        **{"place": PLACE, "minimum": 1, "maximum": 4, "policies": policies, "actions": actions, **options}
    )


def test_a_new_target_is_registered_with_its_marks_and_an_unchanged_rerun_does_nothing() -> None:
    service = Service()
    asked = asked_for(tracking("a"), actions=(action("x", 2),))
    assert [step.operation for step in service.run(asked)] == [
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "PutScheduledAction",
    ]
    assert service.tags == {
        **MARKS,
        SCALING_POLICIES: digest("a"),
        SCHEDULED_ACTIONS: digest("x"),
    }
    assert not tags_matter(asked, service.found())
    assert service.run(asked) == []


def test_names_are_marked_before_they_are_put_and_until_after_they_are_deleted() -> None:
    service = Service()
    service.run(asked_for(tracking("a")))
    steps = service.run(asked_for(tracking("b")))
    assert [step.operation for step in steps] == [
        "TagResource",
        "PutScalingPolicy",
        "DeleteScalingPolicy",
        "TagResource",
    ]
    assert steps[0].request["Tags"] == digest_tags(SCALING_POLICIES, [digest("a"), digest("b")])
    assert service.tags == {**MARKS, SCALING_POLICIES: digest("b")}
    last = service.run(asked_for())[-1]
    assert (type(last), last.request) == (
        UntagScalableTarget,
        {"ResourceARN": ARN, "TagKeys": [SCALING_POLICIES]},
    )
    assert service.tags == MARKS


def test_what_others_put_is_left_alone_and_named() -> None:
    service = Service()
    service.run(asked_for(tracking("a")))
    service.policies["theirs"] = tracking("theirs")
    service.actions["campaign"] = action("campaign", 3)
    asked = asked_for()
    decided = plan_scaling(asked, service.found(), service.tags, adopt=False)
    assert decided.foreign == ["policy theirs", "scheduled action campaign"]
    service.run(asked)
    assert (set(service.policies), set(service.actions)) == ({"theirs"}, {"campaign"})
    # It is looked at again in every run, and nothing is written.
    assert tags_matter(asked, service.found())
    assert service.run(asked) == []


def test_a_target_of_others_is_changed_only_when_adopted() -> None:
    service = Service()
    service.target = {"ScalableTargetARN": ARN, "MinCapacity": 1, "MaxCapacity": 4}
    service.policies["theirs"] = tracking("theirs")
    # As asked for already: nothing is to be written.
    assert service.run(asked_for(tracking("theirs"))) == []
    assert service.run(asked_for()) == []
    with pytest.raises(
        ConflictError, match=r"without this package's tags.*policy a: it does not exist.*adopt=True"
    ):
        service.run(asked_for(tracking("a")))
    assert service.policies == {"theirs": tracking("theirs")}

    service.run(asked_for(tracking("a"), maximum=8), adopt=True)
    assert service.target["MaxCapacity"] == 8
    assert set(service.policies) == {"theirs", "a"}
    assert service.tags == {**OURS, CAPACITIES: "1-8", SCALING_POLICIES: digest("a")}
    # Ours from then on, and what was theirs is still theirs.
    service.run(asked_for())
    assert set(service.policies) == {"theirs"}


def test_a_policy_of_others_of_the_same_name_is_overwritten_only_when_adopted() -> None:
    service = Service()
    service.run(asked_for())
    service.policies["a"] = tracking("a", target=5)
    with pytest.raises(
        ConflictError, match=r"policy 'a' exists, differs, and was not created by this package \(adopt=True"
    ):
        service.run(asked_for(tracking("a")))
    # An equal one stays theirs: it is not deleted later.
    service.run(asked_for(tracking("a", target=5), maximum=9))
    service.run(asked_for(maximum=9))
    assert "a" in service.policies
    service.run(asked_for(tracking("a")), adopt=True)
    assert service.policies == {"a": tracking("a")}
    service.run(asked_for())
    assert service.policies == {}


def test_a_policy_of_others_on_the_same_metric_is_a_conflict_before_anything_is_written() -> None:
    service = Service()
    service.run(asked_for())
    service.policies["theirs"] = tracking("theirs", "Metric")
    for adopt in (False, True):
        with pytest.raises(
            ConflictError, match="'theirs' was not created by this package, and uses the metric of a"
        ):
            service.run(asked_for(tracking("a", "Metric")), adopt=adopt)
    assert set(service.policies) == {"theirs"}


def test_a_renamed_policy_makes_way_as_aws_takes_one_for_each_metric() -> None:
    service = Service()
    service.run(asked_for(tracking("old", "M")))
    steps = service.run(asked_for(tracking("new", "M")))
    assert [step.operation for step in steps][1:3] == ["DeleteScalingPolicy", "PutScalingPolicy"]
    # Two that exchange their metrics.
    service.run(asked_for(tracking("a", "M"), tracking("b", "N")))
    service.run(asked_for(tracking("a", "N"), tracking("b", "M")))
    assert [tracked_metric(service.policies[name]) for name in "ab"] == ["N", "M"]


def test_as_many_as_aws_takes_are_exchanged_for_as_many_others() -> None:
    service = Service()
    for prefix in ("a", "b"):
        asked = asked_for(
            *(tracking(f"{prefix}{number}") for number in range(50)),
            actions=tuple(action(f"{prefix}{number}", 1) for number in range(200)),
        )
        service.run(asked)
        assert len(service.policies) == 50
        assert len(service.actions) == 200
        assert len(digests_in(SCHEDULED_ACTIONS, service.tags)) == 200
    service.run(asked_for())
    assert service.tags == MARKS
    service.policies = {str(number): tracking(str(number)) for number in range(50)}
    with pytest.raises(
        ConflictError, match="there would be 51, of which this package did not create 50; AWS allows 50"
    ):
        service.run(asked_for(tracking("a")))


def test_what_a_scheduled_action_has_set_is_left_until_the_next() -> None:
    service = Service()
    asked = asked_for(actions=(action("morning", 3, 8), action("evening", 1)))
    service.run(asked)
    assert service.target is not None
    service.target |= {"MinCapacity": 3, "MaxCapacity": 8}  # the morning's
    assert service.run(asked) == []
    service.target |= {"MinCapacity": 5}  # somebody's
    assert service.run(asked)[1].request == {**PLACE, "MinCapacity": 1}
    # An action that goes takes along what it has set.
    service.target |= {"MinCapacity": 3, "MaxCapacity": 8}
    service.run(asked_for(actions=(action("evening", 1),)))
    assert (service.target["MinCapacity"], service.target["MaxCapacity"]) == (1, 4)


def test_other_capacities_than_before_are_set_whatever_an_action_has_set() -> None:
    service = Service()
    actions = (action("morning", 2), action("evening", 1))
    service.run(asked_for(actions=actions))
    service.run(asked_for(actions=actions, minimum=2))
    assert service.target is not None
    assert service.target["MinCapacity"] == 2
    # Stopped before they were set: set by the next run.
    service.run(asked_for(actions=actions, minimum=1), stop_after=0)
    service.run(asked_for(actions=actions, minimum=1))
    assert service.target["MinCapacity"] == 1


def test_a_new_least_capacity_above_what_an_action_has_set_is_sent_with_the_greatest() -> None:
    service = Service()
    actions = (action("night", high=2),)
    service.run(asked_for(actions=actions))
    assert service.target is not None
    service.target["MaxCapacity"] = 2
    service.run(asked_for(actions=actions, minimum=3, maximum=6))
    assert (service.target["MinCapacity"], service.target["MaxCapacity"]) == (3, 6)


def test_a_least_capacity_that_is_set_right_is_sent_with_the_greatest_where_an_action_has_set_that() -> None:
    service = Service()
    asked = asked_for(actions=(action("night", high=2),), minimum=3, maximum=6)
    service.run(asked)
    assert service.target is not None
    service.target |= {"MinCapacity": 1, "MaxCapacity": 2}  # somebody's, and the night's
    assert service.run(asked)[1].request == {**PLACE, "MinCapacity": 3, "MaxCapacity": 6}


def test_only_what_differs_of_a_target_is_sent() -> None:
    service = Service()
    service.run(asked_for())
    steps = service.run(asked_for(maximum=6))
    assert [step.request for step in steps] == [
        {"ResourceARN": ARN, "Tags": {CAPACITIES: "changing"}},
        {**PLACE, "MaxCapacity": 6},
        {"ResourceARN": ARN, "Tags": {CAPACITIES: "1-6"}},
    ]
    off = {"DynamicScalingInSuspended": True, "DynamicScalingOutSuspended": False}
    _, step, _ = service.run(asked_for(maximum=6, suspended_state=off))
    assert step.request == {**PLACE, "SuspendedState": off}
    assert service.run(asked_for(maximum=6, suspended_state=off)) == []
    # Not asked for: somebody may have suspended it for a reason.
    assert service.run(asked_for(maximum=6)) == []


def test_a_switch_that_is_off_and_not_described_is_off() -> None:
    service = Service()
    service.run(asked_for())
    assert service.run(asked_for(suspended_state={"ScheduledScalingSuspended": False})) == []


@pytest.mark.parametrize(
    ("wanted", "described"),
    [
        (
            action("x", 1),
            {**action("x", 1), "Timezone": "UTC", "ScheduledActionARN": "arn", "CreationTime": 1},
        ),
        (tracking("a"), {**tracking("a"), "Alarms": [], "PolicyARN": "arn"}),
    ],
)
def test_what_aws_adds_is_no_difference(wanted: dict[str, Any], described: dict[str, Any]) -> None:
    service = Service()
    kind = "actions" if "Schedule" in wanted else "policies"
    asked = asked_for(**{kind: (wanted,)})
    service.run(asked)
    setattr(service, kind, {"x": described})
    assert service.run(asked) == []


def test_documented_defaults_are_no_difference_and_others_are() -> None:
    service = Service()
    asked = asked_for(tracking("a"))
    service.run(asked)
    configuration = service.policies["a"]["TargetTrackingScalingPolicyConfiguration"]
    service.policies["a"] = copy.deepcopy(service.policies["a"])
    configuration = service.policies["a"]["TargetTrackingScalingPolicyConfiguration"]
    configuration |= {"ScaleInCooldown": 300, "DisableScaleIn": False}
    assert service.run(asked) == []
    configuration["ScaleInCooldown"] = 60
    assert [step.operation for step in service.run(asked)] == ["PutScalingPolicy"]


# Any sequence, stopped anywhere.

_NAMES = st.sampled_from(["a", "b", "c"])
_METRICS = st.sampled_from(["M", "N", "O"])
_POLICIES = st.dictionaries(_NAMES, _METRICS, max_size=3).filter(
    lambda policies: len(set(policies.values())) == len(policies)
)
_ACTIONS = st.dictionaries(_NAMES, st.integers(1, 3), max_size=3)
_RUNS = st.tuples(
    _POLICIES, _ACTIONS, st.sampled_from([(1, 4), (2, 4), (2, 8)]), st.none() | st.integers(0, 12)
)


@given(runs=st.lists(_RUNS, min_size=1, max_size=6), foreign_after=st.integers(0, 5))
def test_any_sequence_stopped_anywhere_ends_as_asked_and_touches_nothing_of_others(
    runs: list[Any], foreign_after: int
) -> None:
    service = Service()
    theirs: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    for index, (policies, actions, (low, high), stop_after) in enumerate(runs):
        asked = asked_for(
            *(tracking(name, metric) for name, metric in policies.items()),
            actions=tuple(action(name, number) for name, number in actions.items()),
            minimum=low,
            maximum=high,
        )
        service.run(asked, stop_after=stop_after)
        if stop_after is not None:
            service.run(asked)
        assert service.target is not None
        assert (service.target["MinCapacity"], service.target["MaxCapacity"]) == (low, high)
        assert service.policies == {
            **{name: tracking(name, metric) for name, metric in policies.items()},
            **theirs[0],
        }
        assert service.actions == {
            **{name: action(name, number) for name, number in actions.items()},
            **theirs[1],
        }
        # What is marked is what is asked for; after a stop between deleting and unmarking, until the next change, more.
        assert digests_in(SCALING_POLICIES, service.tags) >= {digest(name) for name in policies}
        assert not digests_in(SCALING_POLICIES, service.tags) & {digest("theirs")}
        assert service.run(asked) == []
        if index == foreign_after:
            theirs = ({"theirs": tracking("theirs")}, {"theirs": action("theirs", 9)})
            service.policies |= theirs[0]
            service.actions |= theirs[1]


def test_removing_needs_all_to_be_ours() -> None:
    ours = {**OURS, **digest_tags(SCALING_POLICIES, [digest("a")])}
    target = {**PLACE, "ResourceId": "r", "ScalableTargetARN": ARN}
    found = ObservedScaling(target, [tracking("a")], [])
    step, things = plan_removal(found, ours, adopt=False)
    assert step.request == {**PLACE, "ResourceId": "r"}
    assert things == ["scalable target", "policy a"]
    with pytest.raises(
        ConflictError, match=r"r does not have this package's tags.*scalable target, policy a"
    ):
        plan_removal(found, {}, adopt=False)
    mixed = ObservedScaling(target, [tracking("a"), tracking("b")], [action("x", 1)])
    with pytest.raises(
        ConflictError,
        match=r"r has policies or scheduled actions that this package did not create.*: policy b, scheduled action x\.",
    ):
        plan_removal(mixed, ours, adopt=False)
    everything = ["scalable target", "policy a", "policy b", "scheduled action x"]
    assert plan_removal(mixed, {}, adopt=True)[1] == everything


# The user's tags


def test_a_new_target_has_the_users_tags_and_a_rerun_writes_nothing() -> None:
    service, asked = Service(), asked_for(tracking("a"), tags={"team": "churn"})
    assert [step.operation for step in service.run(asked)] == ["RegisterScalableTarget", "PutScalingPolicy"]
    assert service.tags == {**MARKS, SCALING_POLICIES: digest("a"), "team": "churn"}
    assert tags_matter(asked, service.found())
    assert service.run(asked) == []


@pytest.mark.parametrize("there", [{}, {"team": "other"}, {"owner": "someone"}], ids=str)
def test_missing_tags_are_added_and_other_peoples_stay(there: dict[str, str]) -> None:
    service, asked = Service(), asked_for(tracking("a"))
    service.run(asked)
    service.tags |= there
    [step] = service.run(asked_for(tracking("a"), tags={"team": "churn", "cost": "1"}))
    assert step.request["Tags"] == {"team": "churn", "cost": "1"}
    assert service.tags == {**MARKS, SCALING_POLICIES: digest("a"), **there, "team": "churn", "cost": "1"}


def test_a_tag_that_is_no_longer_given_stays() -> None:
    service = Service()
    service.run(asked_for(tags={"team": "churn"}))
    assert service.run(asked_for()) == []
    assert service.tags["team"] == "churn"


def test_a_target_of_others_is_tagged_only_when_adopted() -> None:
    service, asked = Service(), asked_for(tags={"team": "churn"})
    service.run(asked_for())
    service.tags = {"team": "theirs"}
    with pytest.raises(ConflictError, match=r"without this package's tags.*tag team is missing.*adopt=True"):
        service.run(asked)
    service.run(asked, adopt=True)
    assert service.tags == {**MARKS, "team": "churn"}
    service.tags = {"team": "churn"}
    assert service.run(asked) == []


@pytest.mark.parametrize("exists", [False, True])
def test_more_tags_than_a_target_takes_are_an_error_before_the_first_call(exists: bool) -> None:
    service = Service()
    if exists:
        service.run(asked_for(tracking("a")))
    before = dict(service.tags)
    asked = asked_for(tracking("a"), tags={f"k{number}": "v" for number in range(48)})
    with pytest.raises(
        InvalidSpecError, match=r"tags has 48 tags, and with 3 others.* would have 51; allowed: 50"
    ):
        service.run(asked)
    assert service.tags == before

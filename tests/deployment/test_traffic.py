"""Plans of shifts of traffic."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.steps import AddTags, UpdateEndpointWeightsAndCapacities, Wait
from airflow_sm_hosting.deployment.traffic import Shift, ShiftPlan, Traffic, plan_shift
from airflow_sm_hosting.deployment.verdict import judge
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.tags import OURS

ARN = "arn:aws:sagemaker:us-east-1:123456789012:endpoint/churn"
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def variant(name: str, weight: float = 1.0, count: int | None = 1, **more: Any) -> dict[str, Any]:
    counts = {} if count is None else {"DesiredInstanceCount": count, "CurrentInstanceCount": count}
    return {"VariantName": name, "DesiredWeight": weight, "CurrentWeight": weight, **counts, **more}


def endpoint(*variants: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointArn": ARN,
        "EndpointConfigName": "a",
        "EndpointStatus": "InService",
        "LastModifiedTime": NOW,
        "ProductionVariants": list(variants) or [variant("main"), variant("other", 0.0)],
        **more,
    }


def planned(
    described: dict[str, Any] | None,
    weights: dict[str, float] | None = None,
    counts: dict[str, int] | None = None,
    *,
    tags: dict[str, str] | None = None,
    targets: dict[str, Any] | None = None,
    **more: Any,
) -> ShiftPlan:
    """Plan with the facts that the plan asks for."""
    observed = Observation("churn", NOW, "0")
    shift = Shift("churn", weights or {}, counts or {}, **more)
    facts = {
        FactKind.ENDPOINT: described,
        FactKind.TAGS: OURS | (tags or {}) if tags is not None or not more.get("adopt") else {},
        FactKind.SCALABLE_TARGETS: targets or {},
    }
    while isinstance(found := plan_shift(observed, shift), Fact):
        observed = observed.learned(found, facts[found.kind])
    return found


def test_one_call_sets_only_what_differs() -> None:
    plan = planned(
        endpoint(variant("main", 1.0, 1), variant("other", 0.0, 2), variant("third", 0.5, 1)),
        {"main": 0.9, "other": 0.1, "third": 0.5},
        {"main": 1, "other": 3},
        task="abc",
    )
    tags, call, wait = plan.steps
    assert isinstance(call, UpdateEndpointWeightsAndCapacities)
    assert call.request == {
        "EndpointName": "churn",
        "DesiredWeightsAndCapacities": [
            {"VariantName": "main", "DesiredWeight": 0.9},
            {"VariantName": "other", "DesiredWeight": 0.1, "DesiredInstanceCount": 3},
        ],
    }
    assert call.why == "main gets weight 0.9; other gets weight 0.1 and 3 instances"
    assert plan.before == Traffic({"main": 1.0, "other": 0.0, "third": 0.5}, {"main": 1, "other": 2})
    assert isinstance(tags, AddTags)
    assert tags.tags == {
        "sm-hosting:shifted:main": "abc 1.0 1",
        "sm-hosting:shifted:other": "abc 0.0 2",
        "sm-hosting:shifted:third": "abc 0.5 1",
    }
    assert isinstance(wait, Wait)
    assert wait.condition == WaitCondition(
        WaitFor.COUNTED,
        "churn",
        "a",
        modified_before=NOW.isoformat(),
        instance_counts={"main": 1, "other": 3},
        weights={"main": 0.9, "other": 0.1, "third": 0.5},
    )


def test_an_endpoint_with_the_traffic_needs_nothing() -> None:
    plan = planned(endpoint(variant("main", 0.30000001192092896)), {"main": 0.3}, {"main": 1})
    assert plan == ShiftPlan(before=Traffic({"main": 0.30000001192092896}, {"main": 1}))


def test_what_was_before_is_read_from_the_tags_of_an_earlier_try_only() -> None:
    tags = {"sm-hosting:shifted:main": "abc 0.25 4", "sm-hosting:shifted:other": "xyz 1.0 1"}
    described = endpoint(variant("main", 1.0, 2), variant("other", 0.0, None))
    shift: dict[str, Any] = {"weights": {"main": 1, "other": 0}, "tags": tags}
    assert planned(described, **shift, task="abc").before == Traffic({"main": 0.25})
    assert planned(described, {"main": 1}, {"main": 2}, tags=tags, task="abc").before == Traffic(
        {"main": 0.25}, {"main": 4}
    )
    assert planned(described, **shift, task="new").before == Traffic({"main": 1.0, "other": 0.0})
    serverless = {"sm-hosting:shifted:other": "abc 1.0"}
    assert planned(described, {"other": 0}, tags=serverless, task="abc").before == Traffic({"other": 1.0})


def test_a_serverless_variant_has_a_weight_and_no_count() -> None:
    described = endpoint(
        variant("main"), variant("other", 0.0, None, CurrentServerlessConfig={"MaxConcurrency": 1})
    )
    plan = planned(described, {"other": 1})
    tags = plan.steps[0]
    assert isinstance(tags, AddTags)
    assert tags.tags == {"sm-hosting:shifted:other": "0 0.0"}
    with pytest.raises(ConflictError, match="Variant other of endpoint churn is serverless"):
        planned(described, None, {"other": 1})


@pytest.mark.parametrize("status", ["Updating", "Creating", "SystemUpdating", "RollingBack", "A new status"])
def test_another_change_is_awaited(status: str) -> None:
    plan = planned(endpoint(EndpointStatus=status), {"main": 1})
    assert plan == ShiftPlan((Wait(WaitCondition(WaitFor.SETTLED, "churn")),))


@pytest.mark.parametrize(
    ("described", "options", "error", "words"),
    [
        (None, {"weights": {"main": 1}}, NotFoundError, "There is no endpoint 'churn'"),
        (endpoint(EndpointStatus="Failed"), {"weights": {"main": 1}}, ConflictError, "churn is Failed"),
        (endpoint(EndpointStatus="Deleting"), {"weights": {"main": 1}}, ConflictError, "churn is Deleting"),
        (
            endpoint(),
            {"weights": {"main": 1, "gone": 1}},
            NotFoundError,
            "churn has no production variant gone; it has: main, other",
        ),
        (endpoint(ProductionVariants=None), {"weights": {"a": 1}}, NotFoundError, "it has: none"),
        (endpoint(), {"weights": {"main": 0}}, InvalidSpecError, "all weights would be 0"),
        (
            endpoint(),
            {"counts": {"main": 2}, "targets": {"main": {"MinCapacity": 1, "MaxCapacity": 4}}},
            ConflictError,
            "Variant main of endpoint churn is scaled by Application Auto Scaling, from 1 to 4 instances",
        ),
    ],
)
def test_what_cannot_be_shifted(
    described: dict[str, Any] | None, options: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        planned(described, **options)


def test_counts_beside_a_scaled_variant() -> None:
    plan = planned(endpoint(), {"main": 2}, {"main": 1, "other": 2}, targets={"main": {}})
    assert len(plan.steps) == 3


def test_an_endpoint_of_others_is_only_touched_if_it_is_adopted() -> None:
    with pytest.raises(ConflictError, match="does not have this package's tags"):
        planned(endpoint(), {"other": 1}, tags={"sm-hosting:managed-by": "somebody else"})
    assert planned(endpoint(), {"other": 1}, adopt=True).steps


# The wait


LATER = NOW + timedelta(minutes=1)
SHIFTED = WaitCondition(
    WaitFor.COUNTED,
    "churn",
    "a",
    modified_before=NOW.isoformat(),
    instance_counts={"main": 2},
    weights={"main": 0.3},
)


@pytest.mark.parametrize(
    ("described", "outcome", "words"),
    [
        (endpoint(variant("main", 0.3, 2), LastModifiedTime=LATER), Outcome.DEPLOYED, "has the traffic"),
        (endpoint(variant("main", 1.0, 1)), Outcome.PENDING, "not visible yet"),
        (
            endpoint(variant("main", 0.3, 2, CurrentWeight=1.0), LastModifiedTime=LATER),
            Outcome.PENDING,
            "not yet in effect: main has CurrentWeight 1.0, not 0.3",
        ),
        (
            endpoint(variant("main", 0.3, 2, CurrentInstanceCount=1), LastModifiedTime=LATER),
            Outcome.PENDING,
            "main has CurrentInstanceCount 1, not 2",
        ),
        (
            endpoint(variant("main", 0.3, 2), EndpointStatus="Updating", LastModifiedTime=LATER),
            Outcome.PENDING,
            "Updating",
        ),
        (
            endpoint(variant("main", 1.0, 1), LastModifiedTime=LATER),
            Outcome.ROLLED_BACK,
            "main has DesiredWeight 1.0, not 0.3; main has DesiredInstanceCount 1, not 2. .*gives no reason",
        ),
        (
            endpoint(variant("main", 1.0, 2), LastModifiedTime=LATER, FailureReason="No capacity."),
            Outcome.ROLLED_BACK,
            "Reason: No capacity.",
        ),
        (
            endpoint(variant("main", 0.3, 2), EndpointConfigName="b", LastModifiedTime=LATER),
            Outcome.ROLLED_BACK,
            "another deployment has replaced it",
        ),
        (
            endpoint(EndpointStatus="Failed", FailureReason="x", LastModifiedTime=LATER),
            Outcome.FAILED,
            "churn is Failed",
        ),
        (None, Outcome.PENDING, "does not exist yet"),
    ],
)
def test_how_a_shift_ends(described: dict[str, Any] | None, outcome: Outcome, words: str) -> None:
    verdict = judge(SHIFTED, described)
    assert verdict.outcome is outcome
    assert re.search(words, verdict.message), verdict.message


def test_the_condition_travels_with_its_weights() -> None:
    data = SHIFTED.serialize()
    assert data["weights"] == {"main": 0.3}
    assert WaitCondition.deserialize(data) == SHIFTED
    assert "weights" not in WaitCondition(WaitFor.COUNTED, "churn", instance_counts={"main": 1}).serialize()
    assert Traffic({"main": 1.0}, {"main": 2}).as_json() == {
        "weights": {"main": 1.0},
        "instance_counts": {"main": 2},
    }


def test_the_effect_of_the_call() -> None:
    observed = Observation("churn", NOW, "0").learned(Fact(FactKind.ENDPOINT, ("churn",)), endpoint())
    call = UpdateEndpointWeightsAndCapacities(
        {
            "EndpointName": "churn",
            "DesiredWeightsAndCapacities": [
                {"VariantName": "main", "DesiredWeight": 2.0},
                {"VariantName": "other", "DesiredInstanceCount": 3},
            ],
        }
    )
    main, other = (call.effect(observed).endpoint or {})["ProductionVariants"]
    assert (main["DesiredWeight"], main["DesiredInstanceCount"]) == (2.0, 1)
    assert (other["DesiredWeight"], other["DesiredInstanceCount"]) == (0.0, 3)


SHARES = st.dictionaries(
    st.sampled_from(["main", "other", "third"]), st.floats(0, 1000, width=32), min_size=1, max_size=3
)
COUNTS = st.dictionaries(st.sampled_from(["main", "other", "third"]), st.integers(0, 50), max_size=3)


@given(SHARES, COUNTS, st.lists(st.floats(0, 1000, width=32), min_size=3, max_size=3))
def test_after_its_call_a_shift_needs_nothing_and_its_undo_brings_back_what_was(
    weights: dict[str, float], counts: dict[str, int], before: list[float]
) -> None:
    names = ("main", "other", "third")
    described = endpoint(*(variant(name, weight, 2) for name, weight in zip(names, before, strict=True)))
    facts = {
        Fact(FactKind.ENDPOINT, ("churn",)): described,
        Fact(FactKind.TAGS, (ARN,)): OURS,
        Fact(FactKind.SCALABLE_TARGETS, ("churn", *names)): {},
    }
    observed = Observation("churn", NOW, "0", facts=facts)

    def shifted(observed: Observation, shift: Shift) -> tuple[Observation, ShiftPlan]:
        plan = plan_shift(observed, shift)
        assert isinstance(plan, ShiftPlan)
        for step in plan.steps:
            observed = step.effect(observed)
        return observed, plan

    if not any({**dict(zip(names, before, strict=True)), **weights}.values()) or not any(before):
        return
    after, plan = shifted(observed, Shift("churn", weights, counts))
    assert shifted(after, Shift("churn", weights, counts))[1].steps == ()
    assert plan.before is not None
    back, _ = shifted(after, Shift("churn", plan.before.weights, plan.before.instance_counts, task="undo"))
    assert (back.endpoint or {})["ProductionVariants"] == described["ProductionVariants"]


# Serverless variants.


def calm(most: int = 5, provisioned: int | None = 2, **more: Any) -> dict[str, Any]:
    config = {"MemorySizeInMB": 1024, "MaxConcurrency": most}
    if provisioned is not None:
        config["ProvisionedConcurrency"] = provisioned
    return variant("main", 1.0, 0, CurrentServerlessConfig=config, **more)


def test_the_concurrency_of_a_serverless_variant_is_set_and_what_was_is_kept() -> None:
    plan = planned(endpoint(calm()), serverless_updates={"main": {"MaxConcurrency": 20}}, task="abc")
    tags, call, _ = plan.steps
    assert isinstance(tags, AddTags)
    assert isinstance(call, UpdateEndpointWeightsAndCapacities)
    assert call.request["DesiredWeightsAndCapacities"] == [
        {"VariantName": "main", "ServerlessUpdateConfig": {"MaxConcurrency": 20}}
    ]
    assert "main gets MaxConcurrency 20" in call.why
    assert [tag["Value"] for tag in tags.request["Tags"]] == ["abc 1.0 5/2"]
    before = Traffic(serverless_updates={"main": {"MaxConcurrency": 5, "ProvisionedConcurrency": 2}})
    assert plan.before == before
    assert before.as_json()["serverless_updates"] == {
        "main": {"MaxConcurrency": 5, "ProvisionedConcurrency": 2}
    }


@pytest.mark.parametrize(
    ("kept", "before"),
    [("5/2", {"MaxConcurrency": 5, "ProvisionedConcurrency": 2}), ("5/", {"MaxConcurrency": 5})],
)
def test_a_retry_reads_the_concurrency_before_from_the_tags(kept: str, before: dict[str, int]) -> None:
    done = planned(endpoint(calm(20, None)), serverless_updates={"main": {"MaxConcurrency": 20}}, task="abc")
    assert done.steps == ()
    first = planned(endpoint(calm(5)), serverless_updates={"main": {"MaxConcurrency": 20}}, task="abc").steps[
        0
    ]
    assert isinstance(first, AddTags)
    (tag,) = first.request["Tags"]
    key = tag["Key"]
    again = planned(
        endpoint(calm(20, None)),
        serverless_updates={"main": {"MaxConcurrency": 20}},
        task="abc",
        tags={key: f"abc 1.0 {kept}"},
    )
    assert again.before == Traffic(serverless_updates={"main": before})


def test_a_desired_concurrency_counts_while_it_differs() -> None:
    desired = {"MemorySizeInMB": 1024, "MaxConcurrency": 20}
    plan = planned(
        endpoint(calm(5, DesiredServerlessConfig=desired)),
        serverless_updates={"main": {"MaxConcurrency": 20}},
    )
    assert plan.steps == ()


def test_a_variant_on_instances_has_no_concurrency_to_set() -> None:
    with pytest.raises(ConflictError, match="runs on instances"):
        planned(endpoint(), serverless_updates={"main": {"MaxConcurrency": 20}})

"""What is deleted with an endpoint, in which order, and what stays as another endpoint needs it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_sm_hosting.deployment.component import described_component
from airflow_sm_hosting.deployment.deletion import Deletion, DeletionPlan, plan_deletion
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.steps import Call, Wait
from airflow_sm_hosting.deployment.wait import WaitFor
from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.spec.tags import OURS

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/churn"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
ENDPOINT = {
    "EndpointName": "churn",
    "EndpointArn": ARN,
    "EndpointStatus": "InService",
    "EndpointConfigName": "c1",
    "ProductionVariants": [{"VariantName": "main"}],
}
CONFIG = {
    "ProductionVariants": [{"VariantName": "main", "ModelName": "m1"}, {"VariantName": "pools"}],
    "ShadowProductionVariants": [{"VariantName": "shadow", "ModelName": "m2"}],
}


def known(**facts: Any) -> dict[Fact, Any]:
    given: dict[str, Any] = {
        "endpoint": ENDPOINT, "tags": OURS, "config": CONFIG, "targets": {}, "alarms": [], "needed": {}, "components": [], "of_components": [], **facts,
    }  # fmt: skip
    return {
        Fact(FactKind.ENDPOINT, ("churn",)): given["endpoint"],
        Fact(FactKind.TAGS, (ARN,)): given["tags"],
        Fact(FactKind.ENDPOINT_CONFIG, ("c1",)): given["config"],
        Fact(FactKind.SCALABLE_TARGETS, ("churn", "main")): given["targets"],
        Fact(FactKind.ENDPOINT_ALARMS, ("churn",)): given["alarms"],
        Fact(FactKind.NEEDED_CONFIGS): given["needed"],
        Fact(FactKind.COMPONENTS, ("churn",)): given["components"],
        Fact(FactKind.MODELS_OF_COMPONENTS): given["of_components"],
        **{Fact(FactKind.COMPONENT, (one["EndpointName"],)): one for one in given["components"] if one},
        **{
            Fact(FactKind.SCALING, (one["EndpointName"], "copies")): None
            for one in given["components"]
            if one
        },
        **{Fact(FactKind.TAGS, (one["EndpointArn"],)): OURS for one in given["components"] if one},
    }


def planned(made_of: Any = None, facts: dict[str, Any] | None = None, **deletion: bool) -> DeletionPlan:
    observed = Observation("churn", datetime.now(UTC), "copy", known(**(facts or {})))
    found = plan_deletion(observed, Deletion("churn", **deletion), made_of)
    assert isinstance(found, DeletionPlan)
    return found


def calls(found: DeletionPlan) -> list[tuple[str, Any]]:
    return [(step.operation, dict(step.request)) for step in found.steps if isinstance(step, Call)]


def waits(found: DeletionPlan) -> list[WaitFor]:
    return [step.condition.until for step in found.steps if isinstance(step, Wait)]


def test_the_scaling_goes_first_then_the_endpoint_and_it_is_waited_for() -> None:
    found = planned(facts={"targets": {"main": {**TARGET, "MinCapacity": 1}}})
    assert calls(found) == [
        ("DeregisterScalableTarget", TARGET),
        ("DeleteEndpoint", {"EndpointName": "churn"}),
    ]
    assert waits(found) == [WaitFor.GONE]
    assert found.made_of == {"c1": ["m1", "m2"]}


@pytest.mark.parametrize("change", [{"ProductionVariants": []}, {"EndpointConfigName": None}])
def test_an_endpoint_that_never_came_up_may_have_no_variants_or_no_config(change: dict[str, Any]) -> None:
    found = planned(facts={"endpoint": {**ENDPOINT, **change}})
    assert [name for name, _ in calls(found)] == ["DeleteEndpoint"]


def test_a_config_that_is_gone_names_no_models() -> None:
    assert planned(facts={"config": None}).made_of == {"c1": []}


def test_what_is_in_progress_is_waited_for_first() -> None:
    found = planned(facts={"endpoint": {**ENDPOINT, "EndpointStatus": "Updating"}})
    assert (calls(found), waits(found)) == ([], [WaitFor.SETTLED])


def test_an_endpoint_of_others_is_deleted_only_where_that_is_wanted() -> None:
    with pytest.raises(ConflictError, match="does not have this package's tags"):
        planned(facts={"tags": {}})
    assert calls(planned(facts={"tags": {}}, adopt=True)) == [("DeleteEndpoint", {"EndpointName": "churn"})]


def test_what_is_not_known_is_asked_for_one_after_the_other() -> None:
    facts: dict[Fact, Any] = {}
    asked = []
    everything = known()
    while isinstance(
        found := plan_deletion(
            Observation("churn", datetime.now(UTC), "copy", facts), Deletion("churn"), None
        ),
        Fact,
    ):
        asked.append(found.kind)
        facts = {**facts, found: everything[found]}
    assert asked == [
        FactKind.ENDPOINT,
        FactKind.TAGS,
        FactKind.ENDPOINT_CONFIG,
        FactKind.COMPONENTS,
        FactKind.SCALABLE_TARGETS,
    ]


GONE: dict[str, Any] = {"endpoint": None}


def test_alarms_go_a_hundred_a_call() -> None:
    found = planned(facts={**GONE, "alarms": [f"a{number}" for number in range(150)]})
    assert [len(request["AlarmNames"]) for _, request in calls(found)] == [100, 50]


def test_config_and_models_stay_unless_they_are_to_go() -> None:
    made_of = {"c1": ["m1", "m2"]}
    assert calls(planned(made_of, GONE)) == []
    assert calls(planned({}, GONE, with_config=True, with_models=True)) == []
    assert calls(planned(made_of, GONE, with_config=True)) == [
        ("DeleteEndpointConfig", {"EndpointConfigName": "c1"})
    ]
    assert calls(planned(made_of, GONE, with_models=True)) == [
        ("DeleteModel", {"ModelName": "m1"}),
        ("DeleteModel", {"ModelName": "m2"}),
    ]


def test_what_another_endpoint_needs_is_kept_and_told() -> None:
    needed = {"c1": ["m1"]}
    found = planned({"c1": ["m1", "m2"]}, {**GONE, "needed": needed}, with_config=True, with_models=True)
    assert calls(found) == [("DeleteModel", {"ModelName": "m2"})]
    assert found.kept == [
        "Endpoint config c1 is kept: another endpoint uses it",
        "Model m1 is kept: another endpoint uses it",
    ]


def test_a_plan_without_a_wait_is_the_last() -> None:
    assert not planned().is_last
    assert planned({}, GONE).is_last


def test_what_another_endpoint_needs_in_another_case_is_kept() -> None:
    found = planned(
        {"C1": ["M1", "m2"]}, {**GONE, "needed": {"c1": ["m1", "M2"]}}, with_config=True, with_models=True
    )
    assert calls(found) == []
    assert len(found.kept) == 3


# Inference components.

COMPONENT = described_component(
    {
        "InferenceComponentName": "a",
        "InferenceComponentArn": "arn:a",
        "InferenceComponentStatus": "InService",
        "EndpointName": "churn",
        "Specification": {"ModelName": "m3"},
    }
)


def test_an_endpoint_with_components_is_refused_or_they_are_deleted_first() -> None:
    with pytest.raises(ConflictError, match="has the inference components a"):
        planned(facts={"components": [COMPONENT]})
    found = planned(facts={"components": [COMPONENT]}, with_components=True)
    assert calls(found) == [("DeleteInferenceComponent", {"InferenceComponentName": "a"})]
    assert waits(found) == [WaitFor.GONE]
    assert found.made_of == {"c1": ["m1", "m2", "m3"]}
    # The next part knows the models of components that are gone.
    assert planned(found.made_of, with_components=True).made_of == {"c1": ["m1", "m2", "m3"]}


@pytest.mark.parametrize(
    "variant",
    [
        {"VariantName": "main", "ModelName": "m1"},
        {"VariantName": "main", "ServerlessConfig": {"MemorySizeInMB": 1024}},
        {"VariantName": "main", "InstancePools": [{"ModelNameOverride": "m1"}]},
    ],
)
def test_an_endpoint_whose_variants_have_models_has_no_components(variant: dict[str, Any]) -> None:
    facts = known(config={"ProductionVariants": [variant]})
    del facts[Fact(FactKind.COMPONENTS, ("churn",))]
    observed = Observation("churn", datetime.now(UTC), "copy", facts)
    assert isinstance(plan_deletion(observed, Deletion("churn"), {}), DeletionPlan)


def test_a_model_that_a_component_uses_is_kept_also_where_that_is_not_known() -> None:
    gone = {"endpoint": None, "of_components": ["M1"]}
    found = planned({"c1": ["m1", "m2"]}, gone, with_models=True)
    assert calls(found) == [("DeleteModel", {"ModelName": "m2"})]
    assert found.kept == ["Model m1 is kept: an inference component uses it"]
    found = planned({"c1": ["m1"]}, {**gone, "of_components": None}, with_models=True)
    assert calls(found) == []
    assert "allow sagemaker:ListInferenceComponents" in found.kept[0]

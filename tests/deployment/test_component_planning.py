"""What is planned for an inference component: the same rules as for endpoints, and those of its place, its copies and its deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airflow_sm_hosting.deployment.component_deletion import (
    ComponentDeletion,
    ComponentDeletionPlan,
    plan_component_deletion,
)
from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.deployment_plan import deployment_plan
from airflow_sm_hosting.deployment.observation import Fact
from airflow_sm_hosting.deployment.planning import Ending, Plan
from airflow_sm_hosting.deployment.progress import Stage
from airflow_sm_hosting.deployment.simulation import simulate
from airflow_sm_hosting.deployment.status import Kind
from airflow_sm_hosting.deployment.steps import (
    AddTags,
    Call,
    CreateInferenceComponent,
    DeleteInferenceComponent,
    UpdateInferenceComponent,
    UpdateInferenceComponentRuntimeConfig,
    Wait,
)
from airflow_sm_hosting.deployment.wait import Outcome, WaitCondition, WaitFor, WaitResult
from airflow_sm_hosting.exceptions import AlarmGoingOffError, ConflictError, InvalidSpecError, NotFoundError
from airflow_sm_hosting.spec.tags import OURS, PREVIOUS_ENDPOINT_CONFIGS, RUN, RUN_AFTER
from tests.deployment.components import (
    Cloud,
    adapter,
    answer,
    host,
    name_of,
    planned,
    requested,
    wanted,
    wanted_component,
)
from tests.deployment.worlds import EARLY, LATE, nothing_known, progress, tags_set

NEW, OLD = name_of(requested()), name_of(requested("old"))
ADAPTER = wanted_component(adapter(), variant_name=None)


def steps_of(found: Plan) -> list[str]:
    return [type(step).__name__ for step in found.steps]


def waits(found: Plan) -> list[WaitCondition]:
    return [step.condition for step in found.steps if isinstance(step, Wait)]


def test_a_component_that_is_not_there_is_created_and_waited_for() -> None:
    found, observed = planned(Cloud(), wanted(run_after=LATE, tags={"a": "b"}), progress())
    [step] = found.steps
    assert isinstance(step, CreateInferenceComponent)
    assert found.decision
    assert found.decision.reason == (
        f"the inference component does not exist; it is created with specification {NEW}"
    )
    tags = {tag["Key"]: tag["Value"] for tag in step.request["Tags"]}
    assert {"a": "b", **OURS, RUN_AFTER: LATE}.items() <= tags.items()
    after = step.effect(observed, {"InferenceComponentArn": "arn:real", "taken_at": 1})
    assert after.own_change == "created"
    [condition] = waits(planned(Cloud(), wanted(run_after=LATE), found.progress, after)[0])
    assert (condition.until, condition.kind) == (WaitFor.DEPLOYED, Kind.COMPONENT)
    assert condition.specifications == wanted_component().comparable


def test_its_endpoint_must_be_in_service() -> None:
    with pytest.raises(NotFoundError, match="no endpoint 'host'"):
        planned(Cloud(host=None), wanted(), progress())
    with pytest.raises(ConflictError, match=r"endpoint host is Failed \(no ping\)"):
        planned(Cloud(host=host("Failed", FailureReason="no ping")), wanted(), progress())
    with pytest.raises(ConflictError, match="no reason given"):
        planned(Cloud(host=host("OutOfService")), wanted(), progress())
    found, _ = planned(Cloud(host=host("Updating")), wanted(), progress())
    assert waits(found) == [WaitCondition(WaitFor.SETTLED, "host")]
    assert found.decision
    assert found.decision.action is Action.WAIT


def test_an_update_does_not_wait_for_managed_scaling_of_the_instances() -> None:
    found, _ = planned(Cloud([answer()], host=host("Updating")), wanted(), progress())
    assert "UpdateInferenceComponent" in steps_of(found)


def test_the_base_of_an_adapter_must_be_in_service() -> None:
    with pytest.raises(NotFoundError, match="no base component 'base'"):
        planned(Cloud(), wanted(ADAPTER), progress())
    base = {"name": "base"}
    for reason in ("no ping", None):
        failed = answer(status="Failed", FailureReason=reason, **base)
        with pytest.raises(ConflictError, match="its base base is Failed"):
            planned(Cloud([failed]), wanted(ADAPTER), progress())
    found, _ = planned(Cloud([answer(status="Updating", **base)]), wanted(ADAPTER), progress())
    assert waits(found) == [WaitCondition(WaitFor.SETTLED, "base", kind=Kind.COMPONENT)]
    found, _ = planned(Cloud([answer(**base)]), wanted(ADAPTER), progress())
    assert steps_of(found) == ["CreateInferenceComponent"]


def test_another_specification_is_an_update_with_its_history() -> None:
    found, observed = planned(Cloud([answer()]), wanted(run_after=LATE), progress())
    assert steps_of(found) == ["AddTags", "UpdateInferenceComponent", "ObserveAgain"]
    tags = tags_set(found)
    assert tags[PREVIOUS_ENDPOINT_CONFIGS] == OLD
    assert tags[f"{RUN}task"].startswith(f"{LATE} claimed ")
    stored = [key for key in tags if key.startswith("sm-hosting:specification:")]
    assert len(stored) == 2
    update = found.steps[1]
    assert isinstance(update, UpdateInferenceComponent)
    assert update.request == {"InferenceComponentName": "churn", "Specification": requested()}
    assert "ModelName is 'old', requested 'new'" in update.why
    after = update.effect(observed, {"taken_at": 1})
    assert after.own_change == "updated"
    joined, _ = planned(Cloud(), wanted(), found.progress, after)
    [condition] = waits(joined)
    assert condition.modified_before == update.modified_before


def test_no_place_of_a_component_can_be_changed() -> None:
    for found, words in (
        (answer(EndpointName="other"), "is on endpoint other, not host"),
        (answer(VariantName="other"), "is on variant other, not main"),
        (answer(adapter(), copies=None), r"has the base base, not none \(it is no adapter\)"),
    ):
        with pytest.raises(ConflictError, match=words):
            planned(Cloud([found]), wanted(), progress())
    deleting = answer(status="Deleting", EndpointName="other")
    plan, _ = planned(Cloud([deleting]), wanted(), progress())
    assert [condition.until for condition in waits(plan)] == [WaitFor.SETTLED]


def test_what_serves_is_unchanged_and_copies_that_start_are_waited_for() -> None:
    found, _ = planned(Cloud([answer(requested())]), wanted(), progress())
    assert found.decision
    assert (found.decision.action, found.steps) == (Action.UNCHANGED, ())
    assert found.progress.stage is Stage.COMPLETE
    short, _ = planned(Cloud([answer(requested(), copies=(2, 1))]), wanted(), progress())
    [condition] = waits(short)
    assert (condition.until, condition.begun) == (WaitFor.DEPLOYED, True)


def test_a_failed_component_is_replaced_and_then_created() -> None:
    cloud = Cloud([answer(status="Failed")])
    found, observed = planned(cloud, wanted(), progress())
    [step] = found.steps
    assert isinstance(step, DeleteInferenceComponent)
    assert found.decision
    assert f"created again with specification {NEW}" in found.decision.reason
    after = step.effect(observed)
    gone, _ = planned(cloud, wanted(), found.progress.after_step(step), after)
    [condition] = waits(gone)
    assert (condition.until, condition.kind) == (WaitFor.GONE, Kind.COMPONENT)
    replaced = found.progress.after_step(step).after_wait(
        WaitFor.GONE, WaitResult(str(Outcome.DEPLOYED), "gone")
    )
    created, _ = planned(Cloud(), wanted(retried=True), replaced)
    assert steps_of(created) == ["CreateInferenceComponent"]
    assert (
        DeleteInferenceComponent({"InferenceComponentName": "a"}).effect(nothing_known()).own_change is None
    )


# Copies.


def completed() -> Any:
    result = WaitResult(str(Outcome.DEPLOYED), "serves", {"EndpointArn": "arn"})
    return replace(progress(target=NEW), stage=Stage.COMPLETE, result=result)


def after_deployment(cloud: Cloud, **given: Any) -> Plan:
    return planned(cloud, wanted(wanted_component(**given)), completed())[0]


def test_copies_that_differ_are_set_and_waited_for() -> None:
    found = after_deployment(Cloud([answer(requested())]), copy_count=3)
    call, wait = found.steps
    assert isinstance(call, UpdateInferenceComponentRuntimeConfig)
    assert call.request == {
        "InferenceComponentName": "churn",
        "DesiredRuntimeConfig": {"CopyCount": 3},
    }
    assert isinstance(wait, Wait)
    assert (wait.condition.until, wait.condition.instance_counts) == (WaitFor.COUNTED, {"copies": 3})


@pytest.mark.parametrize(
    ("cloud", "given"),
    [
        (Cloud([answer(requested())]), {}),
        (Cloud([answer(requested(), copies=(3, 3))]), {"copy_count": 3}),
        (Cloud([answer(requested())], scaled=True), {"copy_count": 3}),
        (Cloud(), {"copy_count": 3}),
    ],
    ids=["none given", "the same", "scaled", "gone"],
)
def test_copies_stay(cloud: Cloud, given: dict[str, Any]) -> None:
    found = after_deployment(cloud, **given)
    assert found.steps == ()
    assert found.end
    assert found.end.ending is Ending.SUCCEEDED


def test_copies_of_others_are_left_to_them_unless_they_are_adopted() -> None:
    cloud = Cloud([answer(requested())], tags={})
    with pytest.raises(
        ConflictError, match="has 1 copies, requested 3, and exists without this package's tags"
    ):
        after_deployment(cloud, copy_count=3)
    found, _ = planned(cloud, wanted(wanted_component(copy_count=3), adopt=True), completed())
    assert calls(found) == ["UpdateInferenceComponentRuntimeConfig"]


def test_copies_of_a_newer_run_stay_unless_an_older_one_is_allowed() -> None:
    cloud = Cloud([answer(requested())], tags={**OURS, RUN_AFTER: LATE})
    component = wanted_component(copy_count=3)
    found, _ = planned(cloud, wanted(component, run_after=EARLY), completed())
    assert "UpdateInferenceComponentRuntimeConfig" not in calls(found)
    found, _ = planned(cloud, wanted(component, run_after=EARLY, allow_older=True), completed())
    assert calls(found) == ["UpdateInferenceComponentRuntimeConfig"]


def test_copies_alone_are_an_update_too() -> None:
    told, _ = simulated(Cloud([answer(requested())]), component={"copy_count": 3})
    assert (told["action"], told["calls"]) == ("update", ["UpdateInferenceComponentRuntimeConfig"])
    assert "it has 1 copies, requested 3" in told["reason"]
    step = after_deployment(Cloud([answer(requested())]), copy_count=3).steps[0]
    assert progress(action="unchanged").after_step(step, "arn").action == "update"
    assert progress(action="create").after_step(step, "arn").action == "create"


def test_a_change_of_copies_by_others_is_waited_for() -> None:
    found = after_deployment(Cloud([answer(requested(), status="Updating")]), copy_count=3)
    assert [condition.until for condition in waits(found)] == [WaitFor.SETTLED]


# Rollouts, rollbacks and other runs.

ALARM = {
    "AlarmName": "errors",
    "Period": 60,
    "EvaluationPeriods": 1,
    "StateValue": "OK",
    "Dimensions": [],
}
ROLLOUT = {
    "RollingUpdatePolicy": {
        "MaximumBatchSize": {"Type": "COPY_COUNT", "Value": 1},
        "WaitIntervalInSeconds": 60,
    },
    "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "errors"}]},
}


def test_a_rollout_has_alarms_that_can_work() -> None:
    asked = wanted(deployment_config=ROLLOUT)
    found, _ = planned(Cloud([answer()], alarms={"errors": ALARM}), asked, progress())
    [update] = [step for step in found.steps if isinstance(step, UpdateInferenceComponent)]
    assert update.request["DeploymentConfig"] == ROLLOUT
    with pytest.raises(InvalidSpecError, match="Inference component churn is not updated: alarm errors does"):
        planned(Cloud([answer()]), asked, progress())
    off = {"errors": {**ALARM, "StateValue": "ALARM"}}
    with pytest.raises(AlarmGoingOffError, match="Inference component churn is not updated"):
        planned(Cloud([answer()], alarms=off), asked, progress())
    waiting, _ = planned(Cloud([answer()], alarms=off), replace(asked, wait_for_alarms=True), progress())
    assert waiting.end
    assert waiting.end.ending is Ending.ALARMS_ON


def test_another_runs_specification_is_restored_from_the_tags_or_refused() -> None:
    other = name_of(requested("other"))
    restoring = progress(target=other, restores_run=LATE)
    with pytest.raises(ConflictError, match="is not in its tags"):
        planned(Cloud([answer()]), wanted(run_after=EARLY, allow_older=True), restoring)
    from airflow_sm_hosting.deployment.component import comparable
    from airflow_sm_hosting.deployment.specification_tags import specifications_as_tags

    stored = {**OURS, **specifications_as_tags(comparable([requested("other")]))}
    asked = wanted(run_after=EARLY, allow_older=True, deployment_config=ROLLOUT)
    found, _ = planned(Cloud([answer()], tags=stored), asked, restoring)
    [update] = [step for step in found.steps if isinstance(step, UpdateInferenceComponent)]
    # At once: the rollout was meant for another specification.
    assert update.request == {"InferenceComponentName": "churn", "Specification": requested("other")}


def test_an_older_run_is_overtaken_also_where_the_place_differs() -> None:
    cloud = Cloud([answer(EndpointName="other")], tags={**OURS, RUN_AFTER: LATE})
    found, _ = planned(cloud, wanted(run_after=EARLY), progress())
    assert found.end
    assert found.end.ending is Ending.SKIPPED


def test_a_component_of_others_is_refused() -> None:
    with pytest.raises(ConflictError, match="inference component churn exists without"):
        planned(Cloud([answer()], tags={}), wanted(), progress())


def test_a_wait_that_saw_the_old_specification_is_a_failure() -> None:
    result = WaitResult(str(Outcome.ROLLED_BACK), "it went back", {"EndpointConfigName": OLD})
    failed = replace(
        progress(target=NEW, action="update", previous_endpoint_config_name=OLD),
        stage=Stage.RECOVER,
        result=result,
    )
    found, _ = planned(Cloud([answer()]), wanted(), failed)
    assert found.end
    assert (found.end.ending, found.end.message) == (Ending.FAILED, "it went back")
    third = replace(failed, result=replace(result, described={"EndpointConfigName": "third@1"}))
    found, _ = planned(Cloud([answer(requested("third"))]), wanted(), third)
    assert found.end
    assert found.end.message.startswith("The inference component served")


# Deletion.


def deleted(cloud: Cloud, **given: Any) -> ComponentDeletionPlan:
    observed = nothing_known(kind=Kind.COMPONENT)
    while isinstance(found := plan_component_deletion(observed, ComponentDeletion("churn", **given)), Fact):
        observed = observed.learned(found, cloud.fetch(found))
    return found


def calls(found: ComponentDeletionPlan) -> list[str]:
    return [step.operation for step in found.steps if isinstance(step, Call)]


def conditions(found: ComponentDeletionPlan) -> list[tuple[WaitFor, str]]:
    waits = [step.condition for step in found.steps if isinstance(step, Wait)]
    return [(condition.until, condition.endpoint_name) for condition in waits]


OF_CHURN = answer(adapter("churn"), name="adapter", copies=None)


def test_a_deletion_has_adapters_first_then_the_base() -> None:
    found = deleted(Cloud([answer(), OF_CHURN, answer(adapter("other"), name="b", copies=None)]))
    assert calls(found) == ["DeleteInferenceComponent"]
    assert conditions(found) == [(WaitFor.GONE, "adapter")]
    found = deleted(Cloud([answer()], scaled=True))
    assert calls(found) == ["DeregisterScalableTarget", "DeleteInferenceComponent"]
    assert conditions(found) == [(WaitFor.GONE, "churn")]
    assert deleted(Cloud()).steps == ()


def test_the_alarm_that_wakes_a_component_is_deleted_before_its_scaling() -> None:
    found = deleted(Cloud([answer()], scaled=True, waking=("churn-from-zero",)))
    assert calls(found) == ["DeleteAlarms", "DeregisterScalableTarget", "DeleteInferenceComponent"]


def test_a_deletion_waits_for_changes_and_does_not_delete_twice() -> None:
    assert conditions(deleted(Cloud([answer(status="Updating")]))) == [(WaitFor.SETTLED, "churn")]
    found = deleted(Cloud([answer(status="Deleting")]))
    assert (calls(found), conditions(found)) == ([], [(WaitFor.GONE, "churn")])


def test_a_deletion_refuses_what_is_not_ours_and_adapters_on_request() -> None:
    with pytest.raises(ConflictError, match="Inference component churn: without"):
        deleted(Cloud([answer()], tags={}))
    assert calls(deleted(Cloud([answer()], tags={}), adopt=True)) == ["DeleteInferenceComponent"]
    with pytest.raises(ConflictError, match="has the adapters adapter"):
        deleted(Cloud([answer(), OF_CHURN]), with_adapters=False)


def test_an_adapter_is_deleted_without_looking_for_others() -> None:
    found = deleted(Cloud([answer(adapter("base"), copies=None)]))
    assert calls(found) == ["DeleteInferenceComponent"]


# Plans for a person.


def simulated(cloud: Cloud, **given: Any) -> tuple[dict[str, Any], str]:
    asked = wanted(wanted_component(**given.pop("component", {})), **given)
    assert asked.component
    cloud.compared = asked.component.comparable
    observed = nothing_known(kind=Kind.COMPONENT)
    before = cloud.fetch(observed.endpoint_fact)
    observed = observed.learned(observed.endpoint_fact, before)
    made = simulate(observed, asked, progress(), cloud.fetch)
    found = deployment_plan(made, before, asked, cloud.fetch)
    return found.as_json(), found.as_markdown()


def test_a_plan_of_an_update_names_changes_calls_and_copies() -> None:
    told, text = simulated(
        Cloud([answer()], alarms={"errors": ALARM}),
        component={"copy_count": 2},
        deployment_config=ROLLOUT,
    )
    assert told == {
        "action": "update",
        "reason": f"inference component churn is InService on {OLD}; it is updated to {NEW}",
        "inference_component_name": "churn",
        "serving": OLD,
        "target": NEW,
        "changes": ["ModelName is 'old', becomes 'new'"],
        "calls": ["AddTags", "UpdateInferenceComponent", "UpdateInferenceComponentRuntimeConfig"],
        "table": [
            {"group": "Model", "what": "ModelName", "before": "'old'", "after": "'new'", "stays": False}
        ],
        "two_fleets": True,
        "rollout_seconds": 120,
        "copies": 2,
        "alarms": ["errors"],
        "risks": [],
    }
    assert "- copies afterwards: 2" in text


def test_a_plan_of_a_creation_and_of_an_adapter() -> None:
    told, _ = simulated(Cloud(), component={"copy_count": 0})
    assert told["calls"] == ["CreateInferenceComponent", "UpdateInferenceComponentRuntimeConfig"]
    assert (told["serving"], told["copies"], told["two_fleets"]) == (None, 0, False)
    told, text = simulated(
        Cloud([answer(name="base")]),
        component={"specifications": (adapter(),), "variant_name": None},
    )
    assert (told["calls"], told["copies"]) == (["CreateInferenceComponent"], None)
    assert "copies afterwards" not in text


def test_a_step_that_sets_tags_is_no_change_of_the_specification() -> None:
    asked = wanted(tags={"a": "b"})
    found, _ = planned(Cloud([answer(requested())]), asked, progress())
    [step] = found.steps
    assert isinstance(step, AddTags)
    assert tags_set(found) == {"a": "b"}


def test_a_smoke_test_is_of_the_component_itself() -> None:
    found, _ = planned(Cloud(), wanted(smoke_test=True), progress())
    assert [type(step).__name__ for step in found.steps][:1] == ["CreateInferenceComponent"]

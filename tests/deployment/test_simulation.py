"""A deployment that is simulated: what it would begin with, which calls it would make, and what would be so then."""

from __future__ import annotations

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.deployment_plan import DeploymentPlan, deployment_plan, has_two_fleets
from airflow_sm_hosting.deployment.endpoint_tags import detaching_claim
from airflow_sm_hosting.deployment.observation import Fact, FactKind, Observation
from airflow_sm_hosting.deployment.plan_changes import (
    Change,
    Group,
    change_of_line,
    changed_models,
    config_changes,
)
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.simulation import Simulation, simulate
from airflow_sm_hosting.deployment.wanted import Wanted
from airflow_sm_hosting.spec.fleet_alarm import NewFleetAlarm
from airflow_sm_hosting.spec.metric import EndpointMetric
from airflow_sm_hosting.spec.rollout import AllAtOnce, Canary, Linear, Rolling
from airflow_sm_hosting.spec.tags import DETACHING, OURS, PENDING_COUNT

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
PLACE = "arn:aws:sagemaker:eu-west-1:123456789012"
ARN = f"{PLACE}:endpoint/churn"
DUE = "2026-11-23T12:00:00+00:00"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
TARGET = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": DIMENSION,
    "MinCapacity": 1,
    "MaxCapacity": 4,
}
POLICY = {
    "PolicyName": "load",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0},
}
ACTION = {
    "ScheduledActionName": "night",
    "Schedule": "rate(1 day)",
    "ScalableTargetAction": {"MinCapacity": 1},
}
PLACED = {name: TARGET[name] for name in ("ServiceNamespace", "ResourceId", "ScalableDimension")}
SCALING = {
    "target": TARGET,
    "policies": [{**PLACED, **POLICY}],
    "actions": [{**PLACED, **ACTION}],
    "arns": {"arn:old": "load"},
    "tags": {},
}


def config(
    name: str, instance_type: str = "ml.m5.large", model: str = "m1", count: int = 1
) -> dict[str, Any]:
    return {
        "EndpointConfigName": name,
        "EndpointConfigArn": f"{PLACE}:endpoint-config/{name}",
        "ProductionVariants": [
            {
                "VariantName": "main",
                "ModelName": model,
                "InstanceType": instance_type,
                "InitialInstanceCount": count,
                "InitialVariantWeight": 1.0,
            }
        ],
    }


CONFIGS = {
    "a": config("a"),
    "b": config("b", model="m2", count=2),
    "typed": config("typed", "ml.c5.large"),
    "serverless": {
        **config("serverless"),
        "ProductionVariants": [
            {"VariantName": "main", "ModelName": "m1", "ServerlessConfig": {"MaxConcurrency": 5}}
        ],
    },
}
MODELS = {"m1": {"ModelName": "m1", "Image": "one"}, "m2": {"ModelName": "m2", "Image": "two"}}


def serving(name: str = "a", status: str = "InService", **members: Any) -> dict[str, Any]:
    return {
        "EndpointName": "churn",
        "EndpointArn": ARN,
        "EndpointConfigName": name,
        "EndpointStatus": status,
        "ProductionVariants": [{"VariantName": "main", "DesiredInstanceCount": 3, "DesiredWeight": 1.0}],
        "LastModifiedTime": NOW,
        **members,
    }


class Aws:
    """What AWS answers.

    :param endpoint: The endpoint; None for none.
    :param tags: Its tags.
    :param scaling: The scaling of its variant; None for no scalable target.
    :param alarm: The only alarm; its action is the policy of the scaling. None for none.
    """

    def __init__(
        self,
        endpoint: dict[str, Any] | None,
        tags: dict[str, str] = OURS,
        scaling: Any = None,
        alarm: dict[str, Any] | None = None,
    ) -> None:
        self.endpoint, self.tags, self.scaling, self.alarm = endpoint, tags, scaling, alarm

    def fetch(self, fact: Fact, observed: Observation) -> Any:
        match fact.kind:
            case FactKind.ENDPOINT:
                return deepcopy(self.endpoint)
            case FactKind.TAGS:
                return dict(self.tags) if fact.of == (ARN,) else {}
            case FactKind.ENDPOINT_CONFIG:
                return CONFIGS.get(fact.of[0])
            case FactKind.MODEL:
                return MODELS[fact.of[0]]
            case FactKind.SCALABLE_TARGETS:
                assert fact.of[1:], "without variants AWS answers the targets of all endpoints"
                return {"main": self.scaling["target"]} if self.scaling else {}
            case FactKind.SCALING:
                return deepcopy(self.scaling)
            case FactKind.POLICY_ARNS:
                return {name: arn for arn, name in self.scaling["arns"].items()}
            case FactKind.ALARMS:
                return {
                    name: self.alarm for name in fact.of if self.alarm and self.alarm["AlarmName"] == name
                }
            case FactKind.ALARMS_WITH_ACTION:
                return [self.alarm] if self.alarm else []
        return []


def simulated(aws: Aws, target: str, **wanted: Any) -> Simulation:
    asked = Wanted("churn", target, **{"run_after": DUE, "task": "task0001", **wanted})
    observed = Observation("churn", NOW, "copy0001")
    return simulate(observed, asked, Progress(started_at=0, deadline=1e12), aws.fetch)


def planned_for_people(aws: Aws, target: str, **wanted: Any) -> DeploymentPlan:
    before, asked = deepcopy(aws.endpoint), Wanted("churn", target, **{"run_after": DUE, **wanted})
    return deployment_plan(simulated(aws, target, **wanted), before, asked, aws.fetch)


def ends(found: Simulation) -> tuple[Any, ...]:
    described = found.observed.endpoint or {}
    variant = described["ProductionVariants"][0]
    return described["EndpointStatus"], described["EndpointConfigName"], variant.get("DesiredInstanceCount")


def test_an_endpoint_that_does_not_exist_is_created_with_its_tags() -> None:
    found = simulated(Aws(None), "a")
    assert (found.decision.action, found.calls, found.target) == (Action.CREATE, ["CreateEndpoint"], "a")
    assert ends(found) == ("InService", "a", 1)
    assert found.observed.endpoint is not None
    assert found.observed.endpoint["EndpointArn"] == ARN
    assert found.observed.tags.items() >= OURS.items()


def test_an_endpoint_on_the_config_is_left_alone() -> None:
    found = simulated(Aws(serving("a")), "a", run_after=None)
    assert (found.decision.action, found.calls) == (Action.UNCHANGED, [])
    assert ends(found) == ("InService", "a", 3)


def test_an_endpoint_on_another_config_is_updated_and_tagged() -> None:
    found = simulated(Aws(serving("a")), "b", tags={"team": "churn"})
    assert found.decision.action is Action.UPDATE
    assert "UpdateEndpoint" in found.calls
    assert ends(found)[:2] == ("InService", "b")
    assert found.observed.tags["team"] == "churn"


@pytest.mark.parametrize(("retain", "count"), [(True, 3), (False, 2)])
def test_instance_counts_are_kept_where_that_is_wanted(retain: bool, count: int) -> None:
    assert ends(simulated(Aws(serving("a")), "b", retain=retain))[2] == count


def test_scaling_is_off_while_another_instance_type_comes_and_the_same_after() -> None:
    found = simulated(Aws(serving("a"), scaling=SCALING), "typed")
    order = [name for name in found.calls if name != "AddTags"]
    assert order.index("DeregisterScalableTarget") < order.index("UpdateEndpoint")
    assert order.index("UpdateEndpoint") < order.index("RegisterScalableTarget")
    assert order.index("RegisterScalableTarget") < order.index("PutScalingPolicy")
    assert order[-1] == "DeleteTags"
    after = found.observed.scaling(["main"])["main"]
    assert after["target"] == TARGET
    assert [one["PolicyName"] for one in after["policies"]] == ["load"]
    assert [one["ScheduledActionName"] for one in after["actions"]] == ["night"]
    assert not [key for key in found.observed.tags if "scaling" in key]


def test_an_alarm_that_names_a_policy_is_put_once_after_the_policy() -> None:
    alarm = {"AlarmName": "busy", "AlarmActions": ["arn:old"]}
    found = simulated(Aws(serving("a"), scaling=SCALING, alarm=alarm), "typed")
    assert found.calls.count("PutMetricAlarm") == 1
    assert found.calls.index("PutScalingPolicy") < found.calls.index("PutMetricAlarm")


def test_alarms_for_the_new_fleet_are_there_while_it_comes() -> None:
    alarm = NewFleetAlarm(variant_name="main", metric=EndpointMetric.invocations(period=60), threshold=1)
    rollout = AllAtOnce(termination_wait=300)
    found = simulated(Aws(serving("a")), "b", fleet_alarms=[alarm], deployment_config=rollout)
    order = [name for name in found.calls if "Tags" not in name]
    assert order == ["PutMetricAlarm", "UpdateEndpoint", "DeleteAlarms"]
    assert found.observed.rollout_alarms("b") == []


def test_counts_that_an_earlier_try_left_are_set_one_variant_a_call() -> None:
    variants = [{"VariantName": name, "DesiredInstanceCount": 1} for name in ("main", "dark", "light")]
    counts = {f"{PENDING_COUNT}main": "a:4", f"{PENDING_COUNT}dark": "a:2", f"{PENDING_COUNT}light": "b:9"}
    found = simulated(Aws(serving("a", ProductionVariants=variants), {**OURS, **counts}), "a")
    assert (found.decision.action, found.calls) == (
        Action.UNCHANGED,
        ["UpdateEndpointWeightsAndCapacities", "DeleteTags"] * 2,
    )
    after = (found.observed.endpoint or {})["ProductionVariants"]
    assert [one["DesiredInstanceCount"] for one in after] == [4, 2, 1]
    assert not {f"{PENDING_COUNT}main", f"{PENDING_COUNT}dark"} & set(found.observed.tags)


def test_the_claim_of_another_run_is_waited_for_and_the_plan_goes_on() -> None:
    until = NOW + timedelta(seconds=40)
    found = simulated(Aws(serving("a"), {**OURS, **detaching_claim("other001", until)}), "b")
    assert found.decision.action is Action.UPDATE
    assert "UpdateEndpoint" in found.calls
    assert ends(found)[:2] == ("InService", "b")
    assert found.observed.now == until
    assert DETACHING not in found.observed.tags


def test_a_serverless_variant_is_described_by_its_concurrency() -> None:
    found = simulated(Aws(None), "serverless")
    assert (found.observed.endpoint or {})["ProductionVariants"] == [
        {"VariantName": "main", "DesiredWeight": 1.0, "CurrentServerlessConfig": {"MaxConcurrency": 5}}
    ]


def test_a_failed_endpoint_that_never_had_variants_is_replaced_too() -> None:
    failed = {name: value for name, value in serving("a", "Failed").items() if name != "ProductionVariants"}
    found = simulated(Aws(failed), "b")
    assert (found.decision.action, found.calls[:2]) == (Action.REPLACE, ["DeleteEndpoint", "CreateEndpoint"])


def test_a_failed_endpoint_is_deleted_and_created_anew() -> None:
    found = simulated(Aws(serving("a", "Failed"), scaling=SCALING), "b")
    assert found.decision.action is Action.REPLACE
    order = [name for name in found.calls if "Tags" not in name]
    assert order[:2] == ["DeleteEndpoint", "CreateEndpoint"]
    assert ends(found)[:2] == ("InService", "b")


def test_what_goes_on_is_waited_for_and_nothing_is_said_of_what_follows() -> None:
    found = simulated(Aws(serving("a", "SystemUpdating")), "b")
    assert (found.decision.action, found.calls) == (Action.WAIT, [])


def test_a_deployment_on_its_way_is_joined() -> None:
    pending = {"PendingDeploymentSummary": {"EndpointConfigName": "b"}}
    found = simulated(Aws(serving("a", "Updating", **pending)), "b")
    assert found.decision.action is Action.JOIN
    assert "UpdateEndpoint" not in found.calls
    assert ends(found)[:2] == ("InService", "b")


@pytest.mark.parametrize(
    ("aws", "wanted", "reason"),
    [
        (Aws(serving("a"), tags={}), {}, "without this package's tags"),
        (Aws(serving("a", "OutOfService")), {}, "OutOfService"),
        (Aws(serving("a", "Failed")), {"replace_failed_endpoint": False}, "replace_failed_endpoint"),
    ],
    ids=["of others", "out of service", "failed"],
)
def test_a_refusal_is_a_plan_without_steps(aws: Aws, wanted: dict[str, Any], reason: str) -> None:
    found = simulated(aws, "b", **wanted)
    assert (found.decision.action, found.steps, found.target) == (Action.REFUSE, (), "b")
    assert reason in found.decision.reason


def test_an_endpoint_of_instances_does_not_become_serverless() -> None:
    found = simulated(Aws(serving("a")), "serverless")
    assert (found.decision.action, found.calls) == (Action.REFUSE, [])


def test_what_is_not_the_approved_plan_is_refused() -> None:
    approval = {"serving": "typed", "target": "b"}
    found = simulated(Aws(serving("a")), "b", approval=approval)
    assert (found.decision.action, found.calls) == (Action.REFUSE, [])
    assert "serves config a; when the plan was made, it served config typed" in found.decision.reason
    assert simulated(Aws(serving("typed")), "b", approval=approval).decision.action is Action.UPDATE


def test_a_newer_run_is_left_alone() -> None:
    from airflow_sm_hosting.deployment.endpoint_tags import Run, RunState

    run = Run("other001", "2026-11-24T12:00:00+00:00", RunState.DEPLOYED, int(NOW.timestamp()), "a")
    found = simulated(Aws(serving("a"), tags={**OURS, **run.as_tag()}), "b")
    assert (found.decision.action, found.calls) == (Action.OVERTAKEN, [])


# For a person.


def test_a_plan_shows_what_changes_and_what_is_called() -> None:
    aws = Aws(serving("a"))
    plan = planned_for_people(aws, "b", fallbacks=("c", "b"))
    shown = plan.as_json()
    assert (shown["action"], shown["serving"], shown["target"]) == ("update", "a", "b")
    assert "UpdateEndpoint" in shown["calls"]
    assert "main: instance count is 3, becomes 2" in plan.changes
    assert (shown["alarms"], shown["fallbacks"]) == ([], ["c"])
    assert shown["variants"] == [{"variant_name": "main", "instance_count": 2, "weight": 1.0}]
    assert any(line.startswith("main: model Image") for line in plan.changes)
    text = plan.as_markdown()
    assert text.startswith("## churn: update\n")
    assert "- serves now: `a`\n- would serve: `b`\n" in text
    assert "### Changes\n\n| | what | now | afterwards |\n|---|---|---|---|\n" in text
    assert "| **Capacity** | `main: instance count` | `3` | `2` |" in text
    assert "- `UpdateEndpoint`" in text
    assert "- if AWS has no capacity, instead: `c`\n" in text
    assert "### Variants afterwards\n\n- `main, 2 instances, weight 1.0`\n" in text


def test_a_plan_names_what_is_retained_although_the_config_differs() -> None:
    """An approver of two instances must not read that there will be two where one stays."""
    plan = planned_for_people(Aws(serving("a"), scaling=SCALING), "b")
    assert "main: instance count stays 3, which the update retains; the config has 2" in plan.changes
    assert not [line for line in plan.changes if "Initial" in line]

    weighted = Aws(
        serving(
            "a", ProductionVariants=[{"VariantName": "main", "DesiredInstanceCount": 1, "DesiredWeight": 0.5}]
        )
    )
    assert "main: weight is 0.5, becomes 1.0" in planned_for_people(weighted, "b").changes
    kept = planned_for_people(weighted, "b", retain=True).changes
    assert "main: weight stays 0.5, which the update retains; the config has 1.0" in kept
    assert "main: instance count stays 1, which the update retains; the config has 2" in kept


def test_a_plan_for_a_new_endpoint_shows_its_variants() -> None:
    aws = Aws(None)
    plan = planned_for_people(aws, "b")
    assert plan.variants == [{"variant_name": "main", "instance_count": 2, "weight": 1.0}]
    serverless = planned_for_people(aws, "serverless")
    assert "- `main, weight " in serverless.as_markdown()


def test_a_plan_of_a_deployment_in_progress_shows_the_difference_of_the_configs() -> None:
    updating = serving("a", "Updating", PendingDeploymentSummary={"EndpointConfigName": "b"})
    plan = planned_for_people(Aws(updating), "b")
    assert plan.decision.action is Action.JOIN
    assert "main: InitialInstanceCount is 1, becomes 2" in plan.changes
    assert (plan.variants, plan.fallbacks) == ([], [])


def test_a_plan_names_the_alarms_that_roll_back() -> None:
    alarms = AllAtOnce(termination_wait=300, auto_rollback_alarms=["latency"])
    aws = Aws(
        serving("a"), alarm={"AlarmName": "latency", "Period": 60, "EvaluationPeriods": 1, "StateValue": "OK"}
    )
    plan = planned_for_people(aws, "b", deployment_config=alarms)
    assert plan.alarms == ["latency"]
    assert "- alarms that roll it back: `latency`\n" in plan.as_markdown()


def test_a_plan_waits_for_alarms_where_the_deployment_does() -> None:
    alarms = AllAtOnce(termination_wait=300, auto_rollback_alarms=["latency"])
    off = {"AlarmName": "latency", "Period": 60, "EvaluationPeriods": 1, "StateValue": "ALARM"}
    found = simulated(Aws(serving("a"), alarm=off), "b", deployment_config=alarms, wait_for_alarms=True)
    assert (found.decision.action, found.steps) == (Action.WAIT, ())
    assert "alarm latency is already in ALARM" in found.decision.reason


def test_a_plan_that_changes_nothing_has_no_lists() -> None:
    aws = Aws(serving("a"))
    plan = planned_for_people(aws, "a", run_after=None)
    assert (plan.changes, plan.calls, plan.two_fleets) == ([], [], False)
    assert "###" not in plan.as_markdown()


def test_what_is_refused_goes_on_serving_what_it_serves() -> None:
    plan = DeploymentPlan(Decision(Action.REFUSE, "it is not ours."), "churn", None, "b")
    text = plan.as_markdown()
    assert "It is not ours.\n" in text
    assert "- would serve: nothing" in text


@pytest.mark.parametrize(
    ("rollout", "two"),
    [
        (None, False),
        (AllAtOnce(), False),
        (AllAtOnce(termination_wait=60), True),
        (Canary(size=1, wait_interval=60), True),
        (Linear(step_size=1, wait_interval=60), True),
        (Rolling(maximum_batch_size=1, wait_interval=60), True),
    ],
)
def test_two_fleets_share_the_traffic_in_all_rollouts_but_all_at_once_without_a_bake(
    rollout: Any, two: bool
) -> None:
    assert has_two_fleets(rollout) is two
    aws = Aws(serving("a"))
    assert planned_for_people(aws, "b", deployment_config=rollout, run_after=None).two_fleets is two


def test_a_model_changes_where_a_variant_stays_and_names_another() -> None:
    def of(**models: str | None) -> dict[str, Any]:
        return {
            "ProductionVariants": [
                {"VariantName": name, **({"ModelName": model} if model else {})}
                for name, model in models.items()
            ]
        }

    before = of(same="m1", other="m1", gone="m1", without=None)
    after = of(same="m1", other="m2", new="m2", without="m2")
    assert list(changed_models(before, after)) == [("other", "m1", "m2")]


def test_variants_come_and_go_and_members_too() -> None:
    before = {**config("a"), "KmsKeyId": "key"}
    after = {**config("b"), "DataCaptureConfig": {"EnableCapture": True}}
    after["ProductionVariants"] = [{**after["ProductionVariants"][0], "VariantName": "other"}]
    lines = [change.line for change in config_changes(before, after)]
    assert lines[:2] == ["variant main is removed", "variant other is added"]
    assert lines[-1] == "KmsKeyId goes"
    assert any(line.startswith("DataCaptureConfig") for line in lines)


def test_changes_are_grouped_by_what_a_person_decides() -> None:
    before, after = config("a"), {**config("b", model="m2"), "DataCaptureConfig": {"EnableCapture": True}}
    after["ProductionVariants"] = [
        {
            **after["ProductionVariants"][0],
            "InstanceType": "ml.m5.xlarge",
            "RoutingConfig": {"RoutingStrategy": "RANDOM"},
        }
    ]
    groups = {change.what: change.group for change in config_changes(before, after)}
    assert groups["main: InstanceType"] is Group.CAPACITY
    assert groups["main: RoutingConfig"] is Group.TRAFFIC
    assert groups["main: ModelName"] is Group.MODEL
    assert groups["DataCaptureConfig"] is Group.CONFIG


@pytest.mark.parametrize(
    ("line", "group", "what", "before", "after"),
    [
        ("Container.Image is 'a', requested 'b'", Group.IMAGE, "Container.Image", "'a'", "'b'"),
        (
            "Container.ArtifactUrl is 'a', requested 'b'",
            Group.ARTIFACT,
            "Container.ArtifactUrl",
            "'a'",
            "'b'",
        ),
        ("Container.Environment.KEY differs", Group.MODEL, "Container.Environment.KEY", "", "differs"),
        ("X is 1, but not requested", Group.MODEL, "X is 1, but not requested", "", ""),
    ],
)
def test_a_line_of_a_component_is_a_change(
    line: str, group: Group, what: str, before: str, after: str
) -> None:
    change = change_of_line(line)
    assert (change.group, change.what, change.before, change.after) == (group, what, before, after)


def test_what_stays_is_no_change_but_is_told() -> None:
    plan = planned_for_people(Aws(serving("a"), scaling=SCALING), "b")
    [stays] = [row for row in plan.as_json()["table"] if row["stays"]]
    assert (stays["what"], stays["before"], stays["after"]) == ("main: instance count", "3", "3")
    text = plan.as_markdown()
    told = text[text.index("### Stays, although the config differs") :]
    assert "instance count stays 3" in told
    assert "instance count" not in text[: text.index("### Stays")].partition("### Changes")[2]


@pytest.mark.parametrize(
    ("rollout", "seconds", "told"),
    [
        (None, 0, "all traffic moves at once"),
        (Canary(size=1, wait_interval=60, termination_wait=240), 300, "at least 0:05:00"),
        (Rolling(maximum_batch_size=1, wait_interval=0), 0, "share the traffic meanwhile"),
    ],
)
def test_a_plan_tells_how_long_two_fleets_run(rollout: Any, seconds: int, told: str) -> None:
    plan = planned_for_people(Aws(serving("a")), "b", deployment_config=rollout, run_after=None)
    assert plan.rollout_seconds == seconds
    assert told in plan.as_markdown()


def test_a_plan_names_its_risks() -> None:
    plan = planned_for_people(Aws(serving("a")), "b")
    assert any("No alarm rolls the deployment back" in risk for risk in plan.risks)
    assert "All traffic moves at once, and nothing is watched afterwards." in plan.risks
    assert "No smoke test asks the endpoint in this task." in plan.risks
    assert "Variant main has fewer instances afterwards: 2 instead of 3." in plan.risks
    guarded = planned_for_people(
        Aws(
            serving("a"),
            alarm={"AlarmName": "latency", "Period": 60, "EvaluationPeriods": 1, "StateValue": "OK"},
        ),
        "b",
        deployment_config=AllAtOnce(termination_wait=300, auto_rollback_alarms=["latency"]),
        smoke_test=True,
    )
    assert guarded.risks == ["Variant main has fewer instances afterwards: 2 instead of 3."]
    assert planned_for_people(Aws(serving("a")), "a", run_after=None).risks == []
    new = planned_for_people(Aws(None), "a")
    assert "Nothing served before, so there is no config to roll back to." in new.risks
    assert "One instance alone, in one Availability Zone: main." in new.risks
    failed = planned_for_people(Aws(serving("a", "Failed")), "b")
    assert "The failed endpoint is deleted and created again: it does not answer meanwhile." in failed.risks


def test_a_value_in_a_table_is_no_markdown() -> None:
    plan = DeploymentPlan(
        Decision(Action.UPDATE, "changed"),
        "churn",
        "a",
        "b",
        table=[Change(Group.MODEL, "main: x", "a|b`c`\n# d", "e" * 500, "")],
    )
    [row] = [line for line in plan.as_markdown().splitlines() if "main: x" in line]
    assert "`a\\|b'c' # d`" in row
    assert len(row) < 300
    assert row.endswith("…` |")


@pytest.mark.parametrize(
    ("before", "after", "shown"),
    [
        ("'churn-1'", "'churn-2'", "`churn-1` | `churn-2`"),
        ("'ml.m5.large'", "2", "`ml.m5.large` | `2`"),
        ("'a' and 'b'", '"it\'s"', "`'a' and 'b'` | `it's`"),
        ("'s3://models/a'", "'s3://models/b'", "`s3://models/a` | `s3://models/b`"),
        (
            f"'s3://models/churn/{'0' * 40}/model.tar.gz'",
            f"'s3://models/churn/{'1' * 40}/model.tar.gz'",
            f"`…/{'0' * 40}/mode…` | `…/{'1' * 40}/mode…`",
        ),
        (f"'s3://models/{'a' * 40}'", f"'s3://models/{'a' * 40}/b'", f"`…/{'a' * 40}` | `…/{'a' * 40}/b`"),
        (
            "'arn:aws:sagemaker:us-east-1:123456789012:model-package/churn/1'",
            "'arn:aws:sagemaker:us-east-1:123456789012:model-package/churn/2'",
            "`…/churn/1` | `…/churn/2`",
        ),
        ("'x'", f"'{'y' * 50}'", f"`x` | `{'y' * 47}…`"),
    ],
)
def test_a_row_shows_where_two_values_differ(before: str, after: str, shown: str) -> None:
    changes = [Change(Group.MODEL, "main: x", before, after, "")]
    plan = DeploymentPlan(Decision(Action.UPDATE, "changed"), "churn", "a", "b", table=changes)
    assert f"| **Model** | `main: x` | {shown} |" in plan.as_markdown()


def test_scaling_that_an_update_removes_is_in_the_table() -> None:
    aws = Aws(serving("a"), scaling=SCALING)
    plan = planned_for_people(aws, "typed")
    [row] = [row for row in plan.as_json()["table"] if row["group"] == "Scaling"]
    assert (row["what"], row["after"]) == ("main: scaling", "removed during the update")

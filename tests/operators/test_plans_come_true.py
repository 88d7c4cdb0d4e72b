"""What a plan says happens, for random endpoints and random deployments.

Its action and its calls are what the deployment then does, and the state that it simulates for the end is what AWS then describes.
"""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    AllAtOnce,
    Canary,
    DeployEndpointOperator,
    EndpointMetric,
    Linear,
    NewFleetAlarm,
    PlanDeploymentOperator,
    Rolling,
)
from airflow_sm_hosting.deployer.observer import Observer
from airflow_sm_hosting.deployment.observation import FactNeededError, Observation
from airflow_sm_hosting.deployment.progress import Progress
from airflow_sm_hosting.deployment.scaling_snapshot import as_tags
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS, PENDING_COUNT, PREVIOUS_ENDPOINT_CONFIGS, RUN_AFTER
from tests.local_servers import local_server
from tests.operators.conftest import (
    Ran,
    _emptied,
    event_hook,
    make_model,
    operations,
    outcome,
    sagemaker_client,
    settled,
    tags_of,
    task_id,
)

CONFIGS = ("old", "third", "wanted")

DUE = datetime(2026, 11, 23, 12, tzinfo=UTC)
TYPES = ("ml.m5.large", "ml.c5.large")
#: Virtual seconds that pass before each look of a deployment but the first: more than any rollout here takes.
LATER = 900
STATUSES = {
    "absent": 2,
    "InService": 14,
    "Failed": 2,
    "OutOfService": 1,
    "SystemUpdating": 1,
    "Creating": 2,
    "Updating": 3,
    "Deleting": 1,
}


@dataclass
class Case:
    """An endpoint, and a deployment to it.

    :param status: The endpoint's.
    :param before: The variants of its config.
    :param counts: Instance counts that were set since.
    :param scaled: Names of the scaled variants, with how many policies and scheduled actions each has.
    :param tags: Its tags.
    :param left: Whether an earlier deployment had taken scaling off, and was killed.
    :param wanted: The variants of the config to deploy; None for the one that is there.
    :param target: Where an endpoint in transition goes: ``wanted``, or ``third``.
    :param asked: The other parameters of the deployment.
    """

    status: str
    before: list[dict[str, Any]]
    counts: dict[str, int]
    scaled: dict[str, tuple[int, int]]
    tags: dict[str, str]
    left: bool
    wanted: list[dict[str, Any]] | None
    target: str
    asked: dict[str, Any] = field(default_factory=dict)


def any_case(chance: random.Random) -> Case:
    before = any_variants(chance, ["main", "second"])
    names = [variant["VariantName"] for variant in before]
    on_instances = [name for name, found in zip(names, before, strict=True) if "InstanceType" in found]
    if chance.random() < 0.7:
        wanted = [changed(chance, variant) for variant in before]
    else:
        wanted = any_variants(chance, ["main", "other"])
    return Case(
        status=chance.choices(list(STATUSES), list(STATUSES.values()))[0],
        before=before,
        counts={name: chance.randint(1, 4) for name in on_instances if chance.random() < 0.3},
        scaled={
            name: (chance.randint(0, 2), chance.randint(0, 1))
            for name in on_instances
            if chance.random() < 0.35
        },
        tags=any_tags(chance) | pending_counts(chance, before, wanted),
        left=chance.random() < 0.1,
        wanted=None if chance.random() < 0.15 else wanted,
        target=chance.choice(["wanted", "third"]),
        asked={
            "retain_variant_properties": chance.choice(["auto", "auto", True, False]),
            "adopt": chance.random() < 0.2,
            "allow_older": chance.random() < 0.2,
            "replace_failed_endpoint": chance.random() < 0.8,
            "tags": chance.choice([None, {"team": "churn"}]),
            **any_rollout(chance, names),
        },
    )


def any_variants(chance: random.Random, names: list[str]) -> list[dict[str, Any]]:
    if chance.random() < 0.15:
        serverless = {"MemorySizeInMB": 1024, "MaxConcurrency": chance.randint(1, 5)}
        return [{"VariantName": names[0], "ServerlessConfig": serverless}]
    return [
        {
            "VariantName": name,
            "InstanceType": chance.choice(TYPES),
            "InitialInstanceCount": chance.randint(1, 4),
            "InitialVariantWeight": float(chance.randint(1, 3)),
        }
        for name in names[: chance.choice([1, 1, 2])]
    ]


def changed(chance: random.Random, variant: dict[str, Any]) -> dict[str, Any]:
    if "ServerlessConfig" in variant:
        return {**variant, "ServerlessConfig": {"MemorySizeInMB": 2048, "MaxConcurrency": 2}}
    return {
        **variant,
        **chance.choice([{}, {}, {"InstanceType": chance.choice(TYPES)}]),
        **chance.choice([{}, {"InitialInstanceCount": chance.randint(1, 4)}]),
    }


def any_tags(chance: random.Random) -> dict[str, str]:
    due = chance.choice([None, *[DUE - timedelta(hours=1)] * 3, DUE, DUE + timedelta(hours=1)])
    return {
        **chance.choice([OURS, OURS, OURS, OURS, {}]),
        **({RUN_AFTER: due.isoformat(timespec="milliseconds")} if due else {}),
        **chance.choice([{}, {PREVIOUS_ENDPOINT_CONFIGS: "before"}]),
        **chance.choice([{}, {"team": "churn"}, {"team": "fraud"}]),
    }


def pending_counts(
    chance: random.Random, before: list[dict[str, Any]], wanted: list[dict[str, Any]]
) -> dict[str, str]:
    """Return the counts that a deployment which was killed has left to be set."""
    config, variants = chance.choice([("old", before), ("wanted", wanted)])
    return {
        f"{PENDING_COUNT}{variant['VariantName']}": f"{config}:{variant['InitialInstanceCount']}"
        for variant in variants
        if "InstanceType" in variant and chance.random() < 0.15
    }


def any_rollout(chance: random.Random, names: list[str]) -> dict[str, Any]:
    size = chance.choice(["50%", "25%", 1])
    # Long enough for an alarm of one period of a minute.
    waits = {"wait_interval": chance.choice([0, 180])}
    rollout = chance.choice(
        [
            None,
            None,
            None,
            AllAtOnce(termination_wait=chance.choice([0, 180])),
            Canary(size=size, **waits),
            Linear(step_size=size, **waits),
            Rolling(maximum_batch_size=size, **waits),
        ]
    )
    alarm = NewFleetAlarm(
        variant_name=chance.choice(names),
        metric=EndpointMetric.model_latency(period=60),
        threshold=100_000,
        evaluation_periods=1,
    )
    return {"rollout": rollout, "new_fleet_alarms": [alarm] if rollout and chance.random() < 0.5 else None}


# Made real.


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """One in virtual time, whose endpoints stay in transition until time passes."""
    return _emptied(local_server(clock="virtual", transition_seconds=30), monkeypatch)


def build(aws: LocalAws, case: Case) -> None:
    """Bring the endpoint into its state, by what AWS is asked for."""
    make_model(aws)
    sagemaker = aws.client("sagemaker")
    for name, variants in {"old": case.before, "third": case.before, "wanted": case.wanted}.items():
        if variants:
            sagemaker.create_endpoint_config(
                EndpointConfigName=name,
                ProductionVariants=[{**variant, "ModelName": "model"} for variant in variants],
            )
    if case.status == "absent":
        return
    going = "wanted" if case.target == "wanted" and is_reachable(case) else "third"
    first = going if case.status == "Creating" else "old"
    arn = sagemaker.create_endpoint(
        EndpointName="churn",
        EndpointConfigName=first,
        Tags=[{"Key": key, "Value": value} for key, value in case.tags.items()],
    )["EndpointArn"]
    if case.status == "Creating":
        return
    settled(aws)
    set_up_scaling(aws, case, arn)
    match case.status:
        case "Failed" | "OutOfService":
            aws.set_endpoint_status("churn", case.status)
        case "SystemUpdating":
            aws.set_endpoint_status("churn", "SystemUpdating", seconds=60)
        case "Updating":
            scaling = aws.client("application-autoscaling")
            for target in scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]:
                scaling.deregister_scalable_target(**place(target["ResourceId"].split("/")[-1]))
            sagemaker.update_endpoint(EndpointName="churn", EndpointConfigName=going)
        case "Deleting":
            sagemaker.delete_endpoint(EndpointName="churn")


def is_reachable(case: Case) -> bool:
    """Tell whether AWS updates from the config that is there to the wanted one: not from instances to a serverless variant."""
    serverless = [
        any("ServerlessConfig" in one for one in found or []) for found in (case.before, case.wanted)
    ]
    return bool(case.wanted) and serverless != [False, True]


def watch(aws: LocalAws, name: str, policy_arn: str) -> None:
    """Make an alarm that calls a scaling policy by its ARN, which is another one once the policy was made anew."""
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        Namespace="Mine",
        MetricName="backlog",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[policy_arn],
    )


def set_up_scaling(aws: LocalAws, case: Case, endpoint_arn: str) -> None:
    sagemaker, scaling = aws.client("sagemaker"), aws.client("application-autoscaling")
    for name, count in case.counts.items():
        sagemaker.update_endpoint_weights_and_capacities(
            EndpointName="churn",
            DesiredWeightsAndCapacities=[{"VariantName": name, "DesiredInstanceCount": count}],
        )
        settled(aws)
    for name, (policies, actions) in case.scaled.items():
        if case.left and actions:
            sagemaker.add_tags(
                ResourceArn=endpoint_arn, Tags=as_list(as_tags({name: taken_off(name)}, "killed"))
            )
            continue
        scaling.register_scalable_target(**place(name), MinCapacity=1, MaxCapacity=4)
        for number in range(policies):
            arn = scaling.put_scaling_policy(**policy(name, number))["PolicyARN"]
            if actions:
                watch(aws, f"{name}-{number}", arn)
        for number in range(actions):
            scaling.put_scheduled_action(
                **place(name),
                ScheduledActionName=f"action-{number}",
                Schedule="at(2040-01-01T00:00:00)",
                ScalableTargetAction={"MinCapacity": 2},
            )


def taken_off(variant: str) -> dict[str, Any]:
    target = {**place(variant), "MinCapacity": 1, "MaxCapacity": 4}
    return {"target": target, "policies": [policy(variant, 0)], "actions": [], "arns": {}}


def place(variant: str) -> dict[str, Any]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/churn/variant/{variant}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def policy(variant: str, number: int) -> dict[str, Any]:
    steps = [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
    return {
        **place(variant),
        "PolicyName": f"policy-{number}",
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {"AdjustmentType": "ChangeInCapacity", "StepAdjustments": steps},
    }


def as_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


# Planned, and done.


@contextmanager
def time_passes(aws: LocalAws) -> Iterator[None]:
    """Let time pass before each look but the first, which must find what the plan found."""
    looks = 0

    def looking(**_: Any) -> None:
        nonlocal looks
        looks += 1
        if looks > 1:
            aws.advance(LATER)

    with event_hook(sagemaker_client(), "before-call.*.DescribeEndpoint", looking):
        yield


def before_the_second_look(aws: LocalAws) -> list[str]:
    """Return the calls that changed something before the second look."""
    asked = [request["operation"] for request in aws.requests()]
    looks = [number for number, operation in enumerate(asked) if operation == "DescribeEndpoint"]
    found = aws.requests()[: looks[1]] if len(looks) > 1 else aws.requests()
    return [request["operation"] for request in found if request["mutating"]]


def check(aws: LocalAws, case: Case) -> str:
    """Plan, deploy, and compare; return the action."""
    build(aws, case)
    given = {
        "endpoint_name": "churn",
        "endpoint_config_name": "wanted" if case.wanted else "old",
        "poll_interval": 0.1,
        "timeout": 60,
        **case.asked,
    }
    aws.clear_requests()
    planned = outcome(PlanDeploymentOperator(task_id=task_id(), **given), run_after=DUE)
    assert planned.error is None, planned.error
    assert operations(aws, mutating=True) == []
    plan = planned.ran.details

    task = DeployEndpointOperator(task_id=task_id(), **given)
    predicted = simulated(task)
    assert operations(aws, mutating=True) == []
    aws.clear_requests()
    with time_passes(aws):
        done = outcome(task, run_after=DUE)

    action, calls = plan["action"], operations(aws, mutating=True)
    if action == "wait":
        assert before_the_second_look(aws) == plan["calls"] == []
        return action
    if action in ("refuse", "overtaken"):
        assert str(done.error) == plan["reason"]
        assert calls == plan["calls"] == []
        return action
    assert done.error is None, done.error
    assert done.ran.details["action"] == action
    assert calls == plan["calls"]
    found = settled(aws)
    assert (found["EndpointStatus"], found["EndpointConfigName"]) == ("InService", plan["target"])
    assert predicted == described(aws, list(predicted["scaling"]))
    if action in ("create", "update", "replace"):
        # What an approver reads.
        assert {
            one["variant_name"]: (one.get("instance_count"), one.get("weight")) for one in plan["variants"]
        } == predicted["variants"]
    return action


# The state at the end, as it is simulated and as AWS describes it.


def simulated(task: DeployEndpointOperator) -> dict[str, Any]:
    """Simulate a deployment, without anything being changed; return the state at its end."""
    context: Any = {
        "ti": Ran(),
        "dag_run": SimpleNamespace(run_after=DUE, run_id="manual", dag_id="test"),
        "params": {},
    }
    now = time.time()
    wanted = task._wanted(context)
    deployer = task._deployer(wanted, Progress(started_at=now, deadline=now + 60))
    end = deployer.simulate().observed
    observer = Observer(task)

    def read(find: Callable[[Observation], Any]) -> Any:
        # What the deployment did not need to know, it does not change: it is what it is now.
        nonlocal end
        while True:
            try:
                return find(end)
            except FactNeededError as lacking:
                end = end.learned(lacking.fact, observer.fetch(lacking.fact, end))

    endpoint = end.endpoint or {}
    variants = {variant["VariantName"] for variant in endpoint.get("ProductionVariants") or []}
    scaling = {variant: read(lambda known: known.scaling([variant])) for variant in sorted(variants)}  # noqa: B023
    return state(
        endpoint,
        read(lambda known: known.tags),
        {variant: found.get(variant) for variant, found in scaling.items()},
        read(lambda known: [name for config in CONFIGS for name in known.rollout_alarms(config)]),
    )


def described(aws: LocalAws, variants: list[str]) -> dict[str, Any]:
    """Return the state that AWS describes."""
    endpoint = aws.client("sagemaker").describe_endpoint(EndpointName="churn")
    scaling, found = aws.client("application-autoscaling"), {}
    for variant in variants:
        at = {"ServiceNamespace": "sagemaker", "ResourceId": place(variant)["ResourceId"]}
        targets = scaling.describe_scalable_targets(
            ServiceNamespace="sagemaker", ResourceIds=[at["ResourceId"]]
        )["ScalableTargets"]
        found[variant] = targets and {
            "target": targets[0],
            "policies": scaling.describe_scaling_policies(**at)["ScalingPolicies"],
            "actions": scaling.describe_scheduled_actions(**at)["ScheduledActions"],
        }
    alarms = aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="rollout/")["MetricAlarms"]
    return state(
        endpoint, tags_of(aws, endpoint["EndpointArn"]), found, [alarm["AlarmName"] for alarm in alarms]
    )


def state(
    endpoint: Any, tags: dict[str, str], scaling: dict[str, Any], rollout_alarms: list[str]
) -> dict[str, Any]:
    return {
        "status": endpoint.get("EndpointStatus"),
        "config": endpoint.get("EndpointConfigName"),
        "variants": {
            variant["VariantName"]: (variant.get("DesiredInstanceCount"), variant.get("DesiredWeight"))
            for variant in endpoint.get("ProductionVariants") or []
        },
        # When AWS took the update is not known before.
        "tags": {key: re.sub(r" deployed \d+ ", " deployed … ", value) for key, value in tags.items()},
        "scaling": {
            variant: (
                found
                and {
                    "capacities": (found["target"]["MinCapacity"], found["target"]["MaxCapacity"]),
                    "policies": sorted(policy["PolicyName"] for policy in found["policies"]),
                    "actions": sorted(action["ScheduledActionName"] for action in found["actions"]),
                }
            )
            or None
            for variant, found in scaling.items()
        },
        "rollout alarms": sorted(rollout_alarms),
    }


def run(aws: LocalAws, seeds: range) -> Counter[str]:
    actions: Counter[str] = Counter()
    for seed in seeds:
        aws.reset()
        case = any_case(random.Random(seed))
        try:
            actions[check(aws, case)] += 1
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {case}\n{error}") from error
    return actions


@pytest.mark.slow
def test_some_plans_come_true(aws: LocalAws, dag: DAG) -> None:
    run(aws, range(12))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_thousand_plans_come_true(aws: LocalAws, dag: DAG, capsys: pytest.CaptureFixture[str]) -> None:
    actions = run(aws, range(1000))
    with capsys.disabled():
        print(f"\n1,000 plans that came true: {dict(actions.most_common())}")
    assert set(actions) == {
        "create",
        "update",
        "join",
        "unchanged",
        "replace",
        "wait",
        "refuse",
        "overtaken",
    }

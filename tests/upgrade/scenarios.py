"""What 0.1.0 did when the golden files were written: its tasks, what was there before, and where a worker was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal

from airflow.sdk import DAG

from airflow_sm_hosting import (
    AllAtOnce,
    DeployEndpointOperator,
    EndpointInServiceSensor,
    EndpointMetric,
    NewFleetAlarm,
    RollbackEndpointOperator,
    SmokeTest,
)
from airflow_sm_hosting.local import LocalAws
from tests.operators.conftest import (
    event_hook,
    make_endpoint,
    refusal,
    run_task,
    sagemaker_client,
    settled,
)
from tests.upgrade.world import LATER, NAME, make_scaling, policy_arns, time_stands_still

#: When the DAG run was due to which the tasks belong, and those before and after it.
DUE = datetime(2026, 11, 23, 12, tzinfo=UTC)
BEFORE, EARLIER, AFTER = DUE - timedelta(hours=2), DUE - timedelta(hours=1), DUE + timedelta(hours=1)

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{NAME}/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
SCALING: dict[str, Any] = {
    "targets": [
        {
            **PLACE,
            "MinCapacity": 1,
            "MaxCapacity": 4,
            "SuspendedState": {
                "DynamicScalingInSuspended": True,
                "DynamicScalingOutSuspended": False,
                "ScheduledScalingSuspended": True,
            },
            "Tags": {"team": "churn"},
        }
    ],
    "policies": [
        {
            **PLACE,
            "PolicyName": "requests",
            "PolicyType": "TargetTrackingScaling",
            "TargetTrackingScalingPolicyConfiguration": {
                "TargetValue": 900.0,
                "PredefinedMetricSpecification": {
                    "PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"
                },
                "ScaleInCooldown": 0,
            },
        },
        {
            **PLACE,
            "PolicyName": "steps",
            "PolicyType": "StepScaling",
            "StepScalingPolicyConfiguration": {
                "AdjustmentType": "ChangeInCapacity",
                "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
            },
        },
    ],
    "actions": [
        {
            **PLACE,
            "ScheduledActionName": "night",
            "Schedule": "cron(0 22 * * ? *)",
            "Timezone": "Europe/Berlin",
            "ScalableTargetAction": {"MinCapacity": 1, "MaxCapacity": 2},
        }
    ],
}

Before = Callable[[LocalAws], None]


@dataclass(frozen=True)
class Kill:
    """Where the worker is killed.

    :param operation: In this call.
    :param when: Before it is sent, or after it was answered.
    :param service: Whose client makes it: ``sagemaker``, ``scaling`` or ``cloudwatch``.
    """

    operation: str
    when: Literal["before", "after"] = "before"
    service: str = "sagemaker"

    def __str__(self) -> str:
        return f"{self.when} {self.operation}"


class WorkerDiedError(Exception):
    """Nothing that a task does follows it."""


@contextmanager
def killed_at(kill: Kill) -> Iterator[None]:
    """Let the worker die in the block, at the first such call."""
    from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, CloudWatchHook

    clients = {
        "sagemaker": sagemaker_client,
        "scaling": lambda: ApplicationAutoScalingHook().conn,
        "cloudwatch": lambda: CloudWatchHook().conn,
    }

    def die(**_: Any) -> None:
        raise WorkerDiedError(str(kill))

    died = False
    with event_hook(clients[kill.service](), f"{kill.when}-call.*.{kill.operation}", die):
        try:
            yield
        except WorkerDiedError:
            died = True
    assert died, f"there was no call {kill}"


@dataclass(frozen=True)
class Scenario:
    """A task of 0.1.0.

    :param task: Makes it; it is called ``deploy``, in the DAG ``test``.
    :param before: Makes what is there before it, with 0.1.0's own tasks where tags are wanted.
    :param meanwhile: What happens before the second look of its wait; time passes by default.
    :param killed: Where the first try is killed; None where the task waits in the triggerer.
    """

    task: Callable[[], Any]
    before: Before
    meanwhile: Callable[[LocalAws], Any] | None = None
    killed: Kill | None = None


# The tasks.


def options(**given: Any) -> dict[str, Any]:
    return {"task_id": "deploy", "endpoint_name": NAME, "poll_interval": 0.1, "timeout": 300, **given}


def deploy(config: str, **given: Any) -> Callable[[], DeployEndpointOperator]:
    return lambda: DeployEndpointOperator(**options(endpoint_config_name=config, **given))


def rollback(**given: Any) -> Callable[[], RollbackEndpointOperator]:
    return lambda: RollbackEndpointOperator(**options(**given))


def sensor(**given: Any) -> Callable[[], EndpointInServiceSensor]:
    return lambda: EndpointInServiceSensor(
        **{"task_id": "wait", "endpoint_name": NAME, "poke_interval": 0.1, "timeout": 300, **given}
    )


def watched(config: str, **given: Any) -> Callable[[], DeployEndpointOperator]:
    """Deploy with an alarm that is made for the deployment."""
    alarm = NewFleetAlarm(
        variant_name="main",
        metric=EndpointMetric.model_latency(period=60),
        threshold=100_000,
        evaluation_periods=1,
    )
    return deploy(config, rollout=AllAtOnce(termination_wait=180), new_fleet_alarms=[alarm], **given)


# What was there before.


def run_of_its_own(task: Callable[[], Any], due: datetime) -> None:
    """Run a task of another DAG."""
    with DAG("another", schedule=None):
        made = task()
    run_task(made, run_after=due)


def nothing(aws: LocalAws) -> None:
    pass


def served(*configs: str, scaled: bool = False) -> Before:
    """Return what deploys configs in turn, the last one in the run of ``EARLIER``."""

    def before(aws: LocalAws) -> None:
        for config, due in zip(configs, (EARLIER, BEFORE, BEFORE)[: len(configs)][::-1], strict=True):
            run_of_its_own(deploy(config), due)
        if scaled:
            scale(aws)

    return before


def scale(aws: LocalAws) -> None:
    """Scale the variant ``main`` in every way, and by an alarm of somebody else's."""
    make_scaling(aws, SCALING)
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="backlog",
        Namespace="Mine",
        MetricName="backlog",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[policy_arns(aws)["steps"]],
    )


def failed(aws: LocalAws) -> None:
    served("a", scaled=True)(aws)
    aws.set_endpoint_status(NAME, "Failed")


def failed_with_leftovers(aws: LocalAws) -> None:
    """An earlier deployment was killed when it had taken the scaling off, and made its alarm."""
    served("a", scaled=True)(aws)
    with killed_at(Kill("UpdateEndpoint")):
        run_of_its_own(watched("typed"), EARLIER)
    aws.set_endpoint_status(NAME, "Failed")


def in_maintenance(aws: LocalAws) -> None:
    served("a")(aws)
    aws.set_endpoint_status(NAME, "SystemUpdating", seconds=LATER / 2)


def on_its_way(aws: LocalAws) -> None:
    """Another task of the same run has begun the same deployment."""
    served("a")(aws)
    aws.client("sagemaker").update_endpoint(EndpointName=NAME, EndpointConfigName="b")


def not_ours(aws: LocalAws) -> None:
    make_endpoint(aws, "a", NAME, tags={})


def rolled_back(aws: LocalAws) -> None:
    served("a", "b", "c")(aws)
    run_of_its_own(rollback(), DUE)


def in_place_of_large(aws: LocalAws) -> None:
    served("a")(aws)
    run_of_its_own(deploy("large", fallback_endpoint_config_names=["b"]), DUE)


# What happens while a task waits.


def refused(aws: LocalAws) -> Any:
    return refusal("AccessDeniedException", "You may not")


def rollback_fails(aws: LocalAws) -> None:
    settled(aws)
    aws.set_endpoint_status(NAME, "UpdateRollbackFailed")


def deleted(aws: LocalAws) -> None:
    settled(aws)
    aws.client("sagemaker").delete_endpoint(EndpointName=NAME)
    aws.advance(LATER)


def a_newer_run_deploys(aws: LocalAws) -> None:
    """The tests have its tags from the golden file."""
    settled(aws)
    aws.client("sagemaker").update_endpoint(EndpointName=NAME, EndpointConfigName="c")
    settled(aws)


def a_newer_task_deploys(aws: LocalAws) -> None:
    settled(aws)
    run_of_its_own(deploy("c"), AFTER)


deferred = partial(deploy, deferrable=True)

#: Tasks that waited in the triggerer.
WAITS = {
    "create": Scenario(deferred("a"), nothing),
    "create-failed": Scenario(deferred("bad"), nothing),
    "update": Scenario(deferred("b"), served("a")),
    "update-rolled-back": Scenario(deferred("bad"), served("a")),
    "update-failed": Scenario(deferred("b"), served("a"), rollback_fails),
    "update-deleted": Scenario(deferred("b"), served("a"), deleted),
    "update-timed-out": Scenario(deferred("b", timeout=1), served("a"), time_stands_still),
    "update-unknown": Scenario(deferred("b"), served("a"), refused),
    "update-overtaken": Scenario(deferred("b"), served("a"), a_newer_task_deploys),
    "update-adopted": Scenario(deferred("b", adopt=True, tags={"team": "churn"}), not_ours),
    "join": Scenario(deferred("b"), on_its_way),
    "settled": Scenario(deferred("b"), in_maintenance),
    "counted": Scenario(deferred("pair-of-more"), served("pair", scaled=True)),
    "scaled": Scenario(deferred("typed"), served("a", scaled=True)),
    "scaled-rolled-back": Scenario(deferred("bad-typed"), served("a", scaled=True)),
    "scaled-timed-out": Scenario(deferred("typed", timeout=2), served("a", scaled=True), time_stands_still),
    "gone": Scenario(deferred("typed"), failed),
    "alarms": Scenario(watched("b", deferrable=True), served("a")),
    "rollback": Scenario(rollback(deferrable=True), served("a", "b", "c")),
    "rollback-scaled": Scenario(rollback(deferrable=True), served("typed", "a", scaled=True)),
    "smoke-rollback": Scenario(
        deferred("b", smoke_test=SmokeTest(body="1"), on_smoke_failure="rollback"), served("a")
    ),
    "fallback": Scenario(deferred("large", fallback_endpoint_config_names=["b"]), served("a")),
    "fallback-create": Scenario(deferred("large", fallback_endpoint_config_names=["b"]), nothing),
    "sensor": Scenario(sensor(deferrable=True), on_its_way),
    "sensor-config": Scenario(sensor(deferrable=True, endpoint_config_name="b"), on_its_way),
    "sensor-failed": Scenario(sensor(deferrable=True), on_its_way, rollback_fails),
    "sensor-timed-out": Scenario(sensor(deferrable=True, timeout=1), nothing, time_stands_still),
    "sensor-unknown": Scenario(sensor(deferrable=True), on_its_way, refused),
}

UPDATE = "UpdateEndpoint"
#: Tasks whose worker was killed.
KILLS = {
    "update-not-sent": Scenario(deploy("b"), served("a"), killed=Kill(UPDATE)),
    "update-sent": Scenario(deploy("b"), served("a"), killed=Kill(UPDATE, "after")),
    "create-sent": Scenario(deploy("a"), nothing, killed=Kill("CreateEndpoint", "after")),
    "scaling-written-down": Scenario(
        deploy("typed"),
        served("a", scaled=True),
        killed=Kill("DeregisterScalableTarget", "before", "scaling"),
    ),
    "scaling-off": Scenario(deploy("typed"), served("a", scaled=True), killed=Kill(UPDATE)),
    "scaling-off-update-sent": Scenario(
        deploy("typed"), served("a", scaled=True), killed=Kill(UPDATE, "after")
    ),
    "scaling-off-update-rolled-back": Scenario(
        deploy("bad-typed"),
        served("a", scaled=True),
        killed=Kill("RegisterScalableTarget", "before", "scaling"),
    ),
    "scaling-half-back": Scenario(
        deploy("typed"), served("a", scaled=True), killed=Kill("PutScheduledAction", "before", "scaling")
    ),
    "scaling-back-not-forgotten": Scenario(
        deploy("typed"), served("a", scaled=True), killed=Kill("DeleteTags")
    ),
    "counts-left": Scenario(
        deploy("pair-of-more"),
        served("pair", scaled=True),
        killed=Kill("UpdateEndpointWeightsAndCapacities"),
    ),
    "counts-set": Scenario(
        deploy("pair-of-more"),
        served("pair", scaled=True),
        killed=Kill("UpdateEndpointWeightsAndCapacities", "after"),
    ),
    "alarms-made": Scenario(watched("b"), served("a"), killed=Kill(UPDATE)),
    "alarms-made-update-sent": Scenario(watched("b"), served("a"), killed=Kill(UPDATE, "after")),
    "alarms-left": Scenario(watched("b"), served("a"), killed=Kill("DeleteAlarms", "before", "cloudwatch")),
    "rollback-not-sent": Scenario(rollback(), served("a", "b", "c"), killed=Kill(UPDATE)),
    "rollback-sent": Scenario(rollback(), served("a", "b", "c"), killed=Kill(UPDATE, "after")),
    "replaced-config-tagged": Scenario(deploy("typed"), failed, killed=Kill("DeleteEndpoint")),
    "replaced-deleting": Scenario(deploy("typed"), failed, killed=Kill("DeleteEndpoint", "after")),
    "replaced-deleted": Scenario(deploy("typed"), failed, killed=Kill("CreateEndpoint")),
    "replaced-created": Scenario(deploy("typed"), failed, killed=Kill("CreateEndpoint", "after")),
    "replaced-with-leftovers": Scenario(
        deploy("typed"), failed_with_leftovers, killed=Kill("CreateEndpoint")
    ),
}

#: Endpoints that nobody was at work on.
STATES: dict[str, Before] = {
    "history": served("a", "b", "c"),
    "rolled-back": rolled_back,
    "fallback-for": in_place_of_large,
}

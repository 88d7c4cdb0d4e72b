"""AWS throttles everything for half a minute in the middle of a deployment: it succeeds, and asks no more than once a second.

That a wait falls back to describes where ``sagemaker:ListEndpoints`` is not allowed is in ``tests/triggers/test_listed.py``.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.hooks import ApplicationAutoScalingHook, CloudWatchHook, SageMakerHostingHook
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import OURS
from tests.local_servers import local_server
from tests.operators.conftest import (
    _emptied,
    dag,
    deploy,
    event_hook,
    make_model,
    operations,
    outcome,
    settled,
    tags_of,
)

__all__ = ["dag"]

pytestmark = pytest.mark.slow

#: How much faster time passes for the code that is tested; the local AWS keeps real time.
FASTER = 20
THROTTLED_FOR = 30.0
SCALED = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
#: All operations of an update that must detach scaling, which also has an alarm to point anew and a count to set.
OPERATIONS = {
    "sagemaker": [
        "DescribeEndpoint",
        "ListTags",
        "DescribeEndpointConfig",
        "AddTags",
        "UpdateEndpoint",
        "UpdateEndpointWeightsAndCapacities",
        "DeleteTags",
    ],
    "application-autoscaling": [
        "DescribeScalableTargets",
        "DescribeScalingPolicies",
        "DescribeScheduledActions",
        "ListTagsForResource",
        "DeregisterScalableTarget",
        "RegisterScalableTarget",
        "PutScalingPolicy",
        "PutScheduledAction",
    ],
    "cloudwatch": ["DescribeAlarms", "PutMetricAlarm"],
}
HOOKS = {
    "sagemaker": SageMakerHostingHook,
    "application-autoscaling": ApplicationAutoScalingHook,
    "cloudwatch": CloudWatchHook,
}


@pytest.fixture
def fast_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let time pass FASTER in this process: sleeps, time budgets, and the waits of event loops."""
    sleep, select = time.sleep, selectors.DefaultSelector.select
    for name in ("time", "monotonic"):
        clock = getattr(time, name)
        began = clock()

        def told(clock: Any = clock, began: float = began) -> float:
            return began + (clock() - began) * FASTER

        monkeypatch.setattr(time, name, told)

    def selected(selector: Any, timeout: float | None = None) -> Any:
        return select(selector, timeout / FASTER if timeout and timeout > 0 else timeout)

    monkeypatch.setattr(time, "sleep", lambda seconds: sleep(seconds / FASTER))
    monkeypatch.setattr(selectors.DefaultSelector, "select", selected)


@pytest.fixture
def scaled(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """The endpoint ``churn`` on ``c1``, one variant of it scaled; ``c2`` has another instance type and another count."""
    aws = _emptied(local_server(transition_seconds=0.3), monkeypatch)
    make_model(aws)
    client = aws.client("sagemaker")
    for name, instance_type, count in (("c1", "ml.m5.large", 1), ("c2", "ml.c5.large", 2)):
        members = {"ModelName": "model", "InstanceType": instance_type}
        client.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {"VariantName": "main", "InitialInstanceCount": 1, **members},
                {"VariantName": "unscaled", "InitialInstanceCount": count, **members},
            ],
        )
    client.create_endpoint(
        EndpointName="churn",
        EndpointConfigName="c1",
        Tags=[{"Key": key, "Value": value} for key, value in OURS.items()],
    )
    settled(aws)
    scaling = aws.client("application-autoscaling")
    scaling.register_scalable_target(**SCALED, MinCapacity=1, MaxCapacity=4)
    policy = scaling.put_scaling_policy(
        **SCALED,
        PolicyName="steps",
        PolicyType="StepScaling",
        StepScalingPolicyConfiguration={
            "AdjustmentType": "ChangeInCapacity",
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    )
    scaling.put_scheduled_action(
        **SCALED,
        ScheduledActionName="new-year",
        Schedule="at(2040-01-01T00:00:00)",
        ScalableTargetAction={"MinCapacity": 2},
    )
    aws.client("cloudwatch").put_metric_alarm(
        AlarmName="backlog",
        Namespace="AWS/SageMaker",
        MetricName="Invocations",
        Dimensions=[{"Name": "EndpointName", "Value": "churn"}, {"Name": "VariantName", "Value": "main"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
        AlarmActions=[policy["PolicyARN"]],
    )
    aws.clear_requests()
    return aws


@pytest.fixture
def throttled_from(scaled: LocalAws) -> Iterator[Any]:
    """Returns what throttles everything from the first call of an operation on, before it or after it."""

    def throttle(service: str, operation: str, when: str) -> Any:
        begun: list[Any] = []

        def begin(**_: Any) -> None:
            if not begun:
                begun.append(scaled.fault("throttle", seconds=THROTTLED_FOR / FASTER))

        return event_hook(HOOKS[service]().conn, f"{when}-call.*.{operation}", begin)

    yield throttle
    scaled.end_faults()


CASES = [
    *((False, service, operation, "before") for service in OPERATIONS for operation in OPERATIONS[service]),
    # What comes after it is the wait.
    *((deferrable, "sagemaker", "UpdateEndpoint", "after") for deferrable in (False, True)),
    # Deferred, the rest is the same code.
    (True, "sagemaker", "UpdateEndpoint", "before"),
    (True, "sagemaker", "UpdateEndpointWeightsAndCapacities", "after"),
    (True, "application-autoscaling", "RegisterScalableTarget", "before"),
]


@pytest.mark.parametrize(
    ("deferrable", "service", "operation", "when"),
    CASES,
    ids=[f"{'deferrable' if case[0] else 'sync'}-{case[3]}-{case[2]}" for case in CASES],
)
def test_a_deployment_outlasts_throttling_from_any_call_on(
    scaled: LocalAws,
    dag: DAG,
    fast_time: None,
    throttled_from: Any,
    deferrable: bool,
    service: str,
    operation: str,
    when: str,
) -> None:
    with throttled_from(service, operation, when):
        end = outcome(deploy("c2", deferrable=deferrable, poll_interval=5, timeout=3600))

    assert (end.error, end.value) == (None, "churn")
    throttled = [request for request in scaled.requests() if "throttle" in request["faults"]]
    assert 0 < len(throttled) <= THROTTLED_FOR, [request["operation"] for request in throttled]
    endpoint = settled(scaled)
    assert endpoint["EndpointConfigName"] == "c2"
    assert [variant["DesiredInstanceCount"] for variant in endpoint["ProductionVariants"]] == [1, 2]
    scaling = scaled.client("application-autoscaling")
    [policy] = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    [action] = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    [alarm] = scaled.client("cloudwatch").describe_alarms(AlarmNames=["backlog"])["MetricAlarms"]
    assert action["ScheduledActionName"] == "new-year"
    assert alarm["AlarmActions"] == [policy["PolicyARN"]]
    assert not [
        key for key in tags_of(scaled, endpoint["EndpointArn"]) if "snapshot" in key or "pending" in key
    ]


def test_these_are_all_operations_of_the_deployment(scaled: LocalAws, dag: DAG, fast_time: None) -> None:
    assert outcome(deploy("c2", deferrable=False, poll_interval=5, timeout=3600)).error is None

    assert set(operations(scaled)) == {name for names in OPERATIONS.values() for name in names}

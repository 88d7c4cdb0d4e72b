"""Twenty runs deploy one endpoint at once: one after another, the newest serves in the end, and nobody sees an error."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException, TaskDeferred
from airflow.sdk import DAG

from airflow_sm_hosting import DeployEndpointOperator
from airflow_sm_hosting.deployment.endpoint_tags import EndpointTags, tags_to_delete
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.spec.tags import RUN_AFTER
from tests.local_servers import local_server
from tests.operators.conftest import (
    Outcome,
    Ran,
    _emptied,
    dag,
    deploy,
    make_config,
    make_endpoint,
    make_model,
    sagemaker_client,
    settled,
    tags_of,
)

__all__ = ["dag"]

pytestmark = pytest.mark.slow

PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/churn/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
RUNS = 20
FIRST = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """One whose deployments take much longer than deciding on one, as AWS's do: minutes there, seconds here."""
    aws = _emptied(local_server(transition_seconds=1.5), monkeypatch)
    make_model(aws)
    for number in range(RUNS):
        make_config(aws, config_of(number))
    return aws


def config_of(number: int) -> str:
    return f"run-{number:02}"


@contextmanager
def accepted_by(client: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Collect the configs of the deployments that AWS took, in their order."""
    accepted: list[str] = []
    lock = threading.Lock()

    def taking(call: Any) -> Any:
        def taken(**request: Any) -> Any:
            answer = call(**request)
            with lock:
                accepted.append(request["EndpointConfigName"])
            return answer

        return taken

    with monkeypatch.context() as patch:
        for name in ("create_endpoint", "update_endpoint"):
            patch.setattr(client, name, taking(getattr(client, name)))
        yield accepted


async def ran(task: Any, due: datetime, workers: ThreadPoolExecutor) -> Outcome:
    """Run a task: what a worker does in a thread, what a triggerer does in this event loop, which all tasks share."""
    loop = asyncio.get_running_loop()
    done = Ran()
    run = SimpleNamespace(run_after=due, run_id=str(due), dag_id="test")
    context: Any = {"ti": done, "dag_run": run, "params": {}}
    task.render_template_fields(context)
    step = task.execute, (context,)
    while True:
        try:
            done.value = await loop.run_in_executor(workers, step[0], *step[1])
        except TaskDeferred as deferred:
            done.deferrals += 1
            _, arguments = deferred.trigger.serialize()
            trigger = type(deferred.trigger)(**json.loads(json.dumps(arguments)))
            event = await anext(trigger.run())
            kwargs = {**(deferred.kwargs or {}), "event": event.payload}
            step = task.resume_execution, (deferred.method_name, kwargs, context)  # type: ignore[assignment]
        except Exception as error:
            return Outcome(done, error)
        else:
            return Outcome(done)


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
def test_an_older_run_that_looks_again_only_after_the_newer_one_is_skipped(
    aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    """Its own deployment had succeeded, which it never saw: no rollback may be told."""
    make_endpoint(aws, make_config(aws, "before"))
    older, newer = (
        deploy(config_of(number), deferrable=waits_elsewhere, poll_interval=interval, timeout=60)
        # In one triggerer they would share their looks.
        for number, interval, waits_elsewhere in ((0, 10, deferrable), (1, 0.1, False))
    )

    async def one_after_the_other() -> list[Outcome]:
        with ThreadPoolExecutor(2) as workers:
            first = asyncio.create_task(ran(older, FIRST, workers))
            while (
                aws.client("sagemaker").describe_endpoint(EndpointName="churn")["EndpointStatus"]
                != "Updating"
            ):
                await asyncio.sleep(0.01)
            second = await ran(newer, FIRST + timedelta(hours=1), workers)
            assert not first.done()
            return [await first, second]

    overtaken, deployed = asyncio.run(one_after_the_other())

    assert deployed.error is None
    assert isinstance(overtaken.error, AirflowSkipException), overtaken.error
    assert "deployed by a newer run" in str(overtaken.error)
    assert overtaken.details["action"] == "overtaken"
    assert overtaken.details["endpoint_config_name"] == config_of(1)


def ran_at_once(tasks: list[DeployEndpointOperator], seed: int) -> dict[int, Outcome]:
    """Run all tasks at once, of runs an hour apart, in an order of chance; return how each ended."""
    order = random.Random(seed).sample(range(len(tasks)), len(tasks))

    async def all_at_once() -> dict[int, Outcome]:
        with ThreadPoolExecutor(len(tasks)) as workers:
            ends = await asyncio.gather(
                *(ran(tasks[number], FIRST + timedelta(hours=number), workers) for number in order)
            )
        return dict(zip(order, ends, strict=True))

    return asyncio.run(all_at_once())


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize("heeds_advice", [True, False], ids=["claims", "claims unseen"])
def test_scaling_survives_runs_that_all_must_take_it_off(
    aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch, deferrable: bool, heeds_advice: bool
) -> None:
    """UpdateEndpoint refuses another instance type for a scaled variant: each run takes the scaling off, and puts it back."""
    if not heeds_advice:
        monkeypatch.setattr(EndpointTags, "detached_by_another", lambda *_: None)
    for number in range(RUNS):
        make_config(aws, f"typed-{number:02}", InstanceType=["ml.m5.large", "ml.c5.large"][number % 2])
    make_endpoint(aws, make_config(aws, "before", InstanceType="ml.m4.xlarge"))
    scaled(aws)
    before = scaling_of(aws)
    tasks = [deploy(f"typed-{number:02}", deferrable=deferrable, timeout=240) for number in range(RUNS)]

    ends = ran_at_once(tasks, seed=1)

    errors = {number: end.error for number, end in ends.items() if end.error}
    assert {type(error) for error in errors.values()} <= {AirflowSkipException}, errors
    endpoint = settled(aws)
    newest = f"typed-{RUNS - 1:02}"
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", newest)
    assert scaling_of(aws) == before
    left = tags_of(aws, endpoint["EndpointArn"])
    assert not [key for key in left if key in tags_to_delete(left)]


def scaled(aws: LocalAws) -> None:
    scaling = aws.client("application-autoscaling")
    scaling.register_scalable_target(**PLACE, MinCapacity=1, MaxCapacity=4)
    steps = {
        "AdjustmentType": "ChangeInCapacity",
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    for number in range(3):
        scaling.put_scaling_policy(
            **PLACE,
            PolicyName=f"steps-{number}",
            PolicyType="StepScaling",
            StepScalingPolicyConfiguration=steps,
        )


def scaling_of(aws: LocalAws) -> list[Any]:
    """Return what there is of scaling: the targets with their capacities, and the names of the policies."""
    scaling = aws.client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return [
        *((target["ResourceId"], target["MinCapacity"], target["MaxCapacity"]) for target in targets),
        *sorted(policy["PolicyName"] for policy in policies),
    ]


@pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
@pytest.mark.parametrize("exists", [True, False], ids=["update", "create"])
def test_the_newest_serves_and_the_older_ones_are_skipped_or_were_before_it(
    aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch, exists: bool, deferrable: bool
) -> None:
    if exists:
        make_endpoint(aws, make_config(aws, "before"))
    tasks = [deploy(config_of(number), deferrable=deferrable, timeout=240) for number in range(RUNS)]

    with accepted_by(sagemaker_client(), monkeypatch) as accepted:
        ends = ran_at_once(tasks, seed=7)

    newest = RUNS - 1
    endpoint = settled(aws)
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", config_of(newest))
    due = (FIRST + timedelta(hours=newest)).isoformat(timespec="milliseconds")
    assert tags_of(aws, endpoint["EndpointArn"])[RUN_AFTER] == due
    assert accepted == sorted(set(accepted))  # no older one after a newer one, and none twice
    errors = {number: end.error for number, end in ends.items() if end.error}
    assert {type(error) for error in errors.values()} <= {AirflowSkipException}, errors
    assert newest not in errors
    assert {config_of(number) for number in ends if number not in errors} <= set(accepted)
    assert all("deployed by a newer run" in str(error) for error in errors.values())
    assert all(end.ran.deferrals for number, end in ends.items() if number not in errors) is deferrable

"""The loop of the model registry, with containers that run: register, approve, receive the event, deploy that version."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.sdk import DAG, Asset

from airflow_sm_hosting import (
    ApproveModelOperator,
    ContainerDefinition,
    CreateEndpointConfigOperator,
    CreateModelOperator,
    InstanceProductionVariant,
    ModelPackage,
    ModelPackageEventTrigger,
    RegisterModelOperator,
)
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.triggers import package_events
from tests.local.conftest import Deployer
from tests.operators.conftest import ROLE, Ran, deploy, operations, run_task, task_id, triggering_events

APPROVED = Asset("approved")


class Loop:
    """The tasks of both DAGs, and the watcher between them.

    :param aws: A local AWS whose containers run.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.image = Deployer(aws).push_image()
        sqs, events = aws.client("sqs"), aws.client("events")
        url = sqs.create_queue(QueueName="approvals")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        pattern = {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": ["churn"], "ModelApprovalStatus": ["Approved"]},
        }
        events.put_rule(Name="approvals", EventPattern=json.dumps(pattern))
        events.put_targets(Rule="approvals", Targets=[{"Id": "queue", "Arn": arn}])

    def register(self, version: str) -> str:
        container = ContainerDefinition(image=self.image, environment={"VERSION": version})
        task = RegisterModelOperator(
            task_id=task_id("register"),
            model_package_group_name="churn",
            containers=[container],
            create_group=True,
        )
        return str(run_task(task).value)

    def approve(self, arn: str) -> None:
        run_task(ApproveModelOperator(task_id=task_id("approve"), model_package=arn))

    def received(self) -> dict[str, Any]:
        """Return the payload of the next event, as the triggerer gets it."""

        async def first() -> dict[str, Any]:
            trigger = ModelPackageEventTrigger(queue="approvals", groups=["churn"], poll_interval=0.05)
            async with asyncio.timeout(30):
                events = aiter(trigger.run())
                payload: dict[str, Any] = (await anext(events)).payload
                # The watch goes on, and deletes the message.
                going_on = asyncio.ensure_future(anext(events))
                while self.left():
                    await asyncio.sleep(0.02)
                going_on.cancel()
            return payload

        return asyncio.run(first())

    def left(self) -> int:
        sqs = self.aws.client("sqs")
        url = sqs.get_queue_url(QueueName="approvals")["QueueUrl"]
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(map(int, found.values()))

    def deploy(self, payload: dict[str, Any]) -> Ran:
        """Run the DAG that the event starts."""
        events = triggering_events(APPROVED, {"from_trigger": True, "payload": payload})
        create_model = CreateModelOperator(
            task_id=task_id("model"),
            model_name="churn",
            containers=[ContainerDefinition(model_package=ModelPackage.from_event(APPROVED))],
            execution_role=ROLE,
        )
        model = run_task(create_model, triggering_asset_events=events).value
        variant = InstanceProductionVariant(
            model_name=model, variant_name="main", instance_type="ml.m5.large"
        )
        create_config = CreateEndpointConfigOperator(
            task_id=task_id("config"), endpoint_config_name="churn", production_variants=[variant]
        )
        return run_task(deploy(run_task(create_config).value))

    def answer(self) -> str:
        runtime = self.aws.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint(EndpointName="churn", ContentType="text/plain", Body=b"who")
        return str(json.loads(answer["Body"].read())["version"])


@pytest.fixture
def loop(process_aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch) -> Loop:
    monkeypatch.setattr(package_events, "SAVED_AFTER", 0.0)
    monkeypatch.setattr(package_events, "WAIT", 0)
    return Loop(process_aws)


@pytest.mark.slow
def test_what_is_approved_is_what_serves(loop: Loop) -> None:
    first, second = loop.register("1"), loop.register("2")
    loop.approve(first)
    payload = loop.received()
    assert payload["arn"] == first
    # What is approved meanwhile has a run of its own.
    loop.approve(second)
    assert loop.deploy(payload).details["action"] == "create"
    assert loop.answer() == "1"

    assert loop.deploy(loop.received()).details["action"] == "update"
    assert loop.answer() == "2"


def test_an_event_that_comes_twice_changes_nothing(loop: Loop) -> None:
    arn = loop.register("1")
    loop.approve(arn)
    payload = loop.received()
    loop.deploy(payload)
    loop.aws.clear_requests()

    assert loop.register("1") == arn
    loop.approve(arn)
    assert loop.deploy(payload).details["action"] == "unchanged"

    assert operations(loop.aws, mutating=True) == []
    assert loop.left() == 0

"""The example DAG of the model registry: run by hand with ``dag.test``, and by an approval under Airflow's own scheduler and triggerer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import ApproveModelOperator, ContainerDefinition, RegisterModelOperator, policies
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.operators.conftest import run_task, task_id
from tests.standalone import BIN, DEFERRED_TRANSITION, Airflow

ROOT = Path(__file__).parent.parent.parent
DAG_ID, ENDPOINT, GROUP, QUEUE = "approved_package_to_canary", "churn", "churn", "churn-approvals"
FRONT = "arn:aws:sagemaker:us-east-1:123456789012"

#: Runs the DAG once without an event and without a logical date, and prints what each task returned.
BY_HAND = f"""
import json, sys
sys.path.append({str(ROOT / "demo")!r})
from run_dags import _read_dags, _told
run = _read_dags().dags[{DAG_ID!r}].test(logical_date=None, run_conf=json.loads(sys.argv[1]))
print("RESULT", json.dumps([str(run.state), [_told(ti) for ti in run.get_task_instances()]], default=str))
"""


class Registry:
    """A group whose approvals come to the queue of the DAG, and an image that serves.

    :param aws: The local AWS.
    """

    def __init__(self, aws: LocalAws) -> None:
        self.aws = aws
        self.sagemaker = aws.client("sagemaker")
        aws.client("iam").create_role(
            RoleName="SageMakerHostingRole", AssumeRolePolicyDocument=json.dumps(policies.trust())
        )
        sqs, events = aws.client("sqs"), aws.client("events")
        url = sqs.create_queue(QueueName=QUEUE)["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        # The rule of docs/model-registry.md.
        pattern = {
            "source": ["aws.sagemaker"],
            "detail-type": ["SageMaker Model Package State Change"],
            "detail": {"ModelPackageGroupName": [GROUP], "ModelApprovalStatus": ["Approved"]},
        }
        events.put_rule(Name=QUEUE, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=QUEUE, Targets=[{"Id": "queue", "Arn": arn}])
        self.image = Deployer(aws).push_image()

    def register(self, version: str, **options: Any) -> str:
        """Register a version whose container tells it, as a training DAG does."""
        container = ContainerDefinition(image=self.image, environment={"VERSION": version})
        task = RegisterModelOperator(
            task_id=task_id("register"),
            dag=DAG(task_id("dag"), schedule=None),
            model_package_group_name=GROUP,
            containers=[container],
            create_group=True,
            **options,
        )
        return str(run_task(task).value)

    def approve(self, arn: str) -> None:
        task = ApproveModelOperator(
            task_id=task_id("approve"), dag=DAG(task_id("dag"), schedule=None), model_package=arn
        )
        run_task(task)

    def served(self) -> str:
        """Return the ARN of the package that the endpoint serves."""
        config = self.sagemaker.describe_endpoint(EndpointName=ENDPOINT)["EndpointConfigName"]
        variants = self.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"]
        model = self.sagemaker.describe_model(ModelName=variants[0]["ModelName"])
        return str(model["PrimaryContainer"]["ModelPackageName"])

    def answer(self) -> str:
        answer = self.aws.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=ENDPOINT, ContentType="text/plain", Body=b"who"
        )
        return str(json.loads(answer["Body"].read())["version"])


@pytest.mark.airflow_db
@pytest.mark.timeout(600)
def test_a_run_by_hand_deploys_the_latest_approved_version_and_a_second_one_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
        registry = Registry(aws)
        environment = {
            **os.environ,
            "AIRFLOW_HOME": str(tmp_path),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
        }
        migrate = [str(BIN / "airflow"), "db", "migrate"]
        subprocess.run(migrate, env=environment, check=True, capture_output=True)

        def run() -> tuple[str, dict[str, Any], str]:
            conf = json.dumps({"canary_seconds": 0, "poll_interval": 1})
            done = subprocess.run(
                [sys.executable, "-c", BY_HAND, conf],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
            assert lines, done.stdout[-5000:]
            state, tasks = json.loads(lines[-1].removeprefix("RESULT "))
            return state, {task["task_id"]: task["xcoms"] for task in tasks}, done.stdout

        state, _, log = run()
        assert state == "failed", log[-5000:]
        assert "There is no model package group churn" in log

        first = registry.register("1", approval_status="Approved")
        registry.register("2")
        state, tasks, log = run()
        assert state == "success", log[-5000:]
        assert (registry.served(), registry.answer()) == (first, "1")
        assert tasks["create_model"]["details"]["model_packages"][0]["arn"] == first

        aws.clear_requests()
        state, tasks, log = run()
        assert state == "success", log[-5000:]
        assert tasks["deploy_endpoint"]["details"]["action"] == "unchanged"
        assert [one["operation"] for one in aws.requests() if one["mutating"]] == []


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(engine="process", transition_seconds=DEFERRED_TRANSITION) as aws:
        yield aws


@pytest.fixture(scope="module")
def airflow(aws: LocalAws, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    environment = {"AIRFLOW_CONN_AWS_DEFAULT": json.dumps(aws.connection())}
    airflow = Airflow(tmp_path_factory.mktemp("approved"), ROOT / "dags", environment)
    try:
        yield airflow
    finally:
        airflow.stop()


@pytest.mark.scheduler
@pytest.mark.timeout(600)
def test_an_approval_starts_a_run_that_deploys_exactly_that_version(
    aws: LocalAws, airflow: Airflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    registry = Registry(aws)
    approved = registry.register("1")
    # A newer version that nobody approves, and one of an earlier approval: neither is the event's.
    registry.register("2")
    airflow.unpause(DAG_ID)
    assert airflow.api("GET", f"dags/{DAG_ID}/dagRuns")["total_entries"] == 0

    registry.approve(approved)

    run = airflow.ended_run(DAG_ID)
    states = {name: task["state"] for name, task in airflow.task_instances(run).items()}
    assert run["state"] == "success", states
    assert run["run_type"] == "asset_triggered"
    (told,) = airflow.xcom(run, "create_model", "details")["model_packages"]
    assert (told["arn"], told["version"]) == (approved, 1)
    assert (registry.served(), registry.answer()) == (approved, "1")

    # An edit of the approved version, and an approval of it again, start no run.
    registry.sagemaker.update_model_package(
        ModelPackageArn=approved, CustomerMetadataProperties={"deployed": "yes"}
    )
    registry.approve(approved)
    queue = aws.client("sqs").get_queue_url(QueueName=QUEUE)["QueueUrl"]
    counts = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]

    def is_empty() -> bool:
        found = aws.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"]
        return sum(map(int, found.values())) == 0

    airflow.until("the watcher has read the queue", is_empty)
    assert airflow.api("GET", f"dags/{DAG_ID}/dagRuns")["total_entries"] == 1

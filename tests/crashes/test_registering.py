"""A registration that is killed before and after each of its AWS calls; the next try ends with the same, only version."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting import ApproveModelOperator, ContainerDefinition, RegisterModelOperator
from airflow_sm_hosting.local import LocalAws
from tests.crashes.tasks import FIRST_RUN, IMAGE, Job
from tests.crashes.worker import Kill, When, Worker, run_here
from tests.local_servers import local_server
from tests.operators.conftest import _emptied, tags_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

ARN = "arn:aws:sagemaker:us-east-1:123456789012:model-package/churn/{}"
WHENS: tuple[When, ...] = ("before", "after")


def jobs() -> list[Job]:
    def register(done: Mapping[str, Any]) -> Any:
        return RegisterModelOperator(
            task_id="register",
            model_package_group_name="churn",
            containers=[ContainerDefinition(image=IMAGE, environment={"A": "b"})],
            create_group=True,
            metadata={"accuracy": 0.9},
            tags={"team": "a"},
        )

    def approve(done: Mapping[str, Any]) -> Any:
        return ApproveModelOperator(task_id="approve", model_package=done["register"], description="good")

    return [Job("register", register), Job("approve", approve)]


def no_group(aws: LocalAws) -> None:
    """Leave it as it is."""


def versions_of_others(aws: LocalAws) -> None:
    """Make the group, without a tag, and two versions in it: one of another image, one of the same that we did not register."""
    client = aws.client("sagemaker")
    client.create_model_package_group(ModelPackageGroupName="churn")
    for image in (IMAGE[:-1] + "b", IMAGE):
        client.create_model_package(
            ModelPackageGroupName="churn", InferenceSpecification={"Containers": [{"Image": image}]}
        )


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    return _emptied(local_server(), monkeypatch)


@pytest.fixture
def worker(aws: LocalAws, tmp_path: Path) -> Worker:
    """Workers that are forked from a process that has imported everything, and has all clients."""
    run_here(jobs(), {}, FIRST_RUN)
    return Worker(tmp_path / "worker.log")


def registered(aws: LocalAws) -> dict[str, Any]:
    """Return all that there is in the registry, without times."""
    client = aws.client("sagemaker")
    rows = client.list_model_packages(ModelPackageGroupName="churn")["ModelPackageSummaryList"]
    members = (
        "ModelApprovalStatus",
        "ApprovalDescription",
        "CustomerMetadataProperties",
        "MetadataProperties",
    )
    found = {
        row["ModelPackageArn"]: client.describe_model_package(ModelPackageName=row["ModelPackageArn"])
        for row in rows
    }
    return {
        "tags": tags_of(aws, "arn:aws:sagemaker:us-east-1:123456789012:model-package-group/churn"),
        **{arn: {name: one[name] for name in members if name in one} for arn, one in found.items()},
    }


@pytest.mark.parametrize(("before", "number"), [(no_group, 1), (versions_of_others, 3)])
def test_a_registration_that_is_killed_at_any_call_makes_one_version(
    aws: LocalAws, worker: Worker, capsys: pytest.CaptureFixture[str], before: Any, number: int
) -> None:
    def run(kill: Kill | None = None) -> tuple[list[str], dict[str, Any], bool]:
        aws.reset()
        before(aws)
        shift = worker.run(jobs(), {}, FIRST_RUN, kill)
        calls, values = shift.calls, shift.values
        if kill:
            assert shift.killed, kill
            left = [job for job in jobs() if job.name not in values]
            shift = worker.run(left, values, FIRST_RUN)
            values = values | shift.values
        assert not shift.errors, (kill, shift.errors)
        assert values == {"register": ARN.format(number), "approve": ARN.format(number)}, kill
        return calls, registered(aws), shift.killed

    calls, undisturbed, _ = run()
    assert len(undisturbed) == number + 1
    must_call = (
        {"CreateModelPackageGroup"} if number == 1 else {"ListModelPackages", "BatchDescribeModelPackage"}
    )
    assert {"CreateModelPackage", "UpdateModelPackage", *must_call} <= set(calls)
    points = [
        Kill(operation, calls[: index + 1].count(operation), when)
        for index, operation in enumerate(calls)
        for when in WHENS
    ]
    for kill in points:
        _, found, _ = run(kill)
        assert found == undisturbed, kill
    with capsys.disabled():
        print(
            f"\n{before.__name__}: {len(calls)} calls, killed at {len(points)} points: one version each time"
        )

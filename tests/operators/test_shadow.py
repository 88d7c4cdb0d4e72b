"""A shadow variant is reported on and promoted, with containers that really run, in virtual time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import (
    PromoteShadowOperator,
    ReportShadowOperator,
    RollbackEndpointOperator,
    SmokeTest,
)
from airflow_sm_hosting.exceptions import ConflictError, InvalidSpecError, NotFoundError, SmokeTestFailedError
from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.operators import report_shadow
from airflow_sm_hosting.spec.tags import OURS, tag_list
from tests.local.conftest import Deployer, wait_until
from tests.local_servers import local_server
from tests.operators.conftest import _quick, operations, run_task, settled, task_id

both_waits = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferred"])


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalAws]:
    """A local AWS with an endpoint whose shadow variant has another model."""
    aws = local_server("process", clock="virtual")
    aws.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    deployer = Deployer(aws)
    image = deployer.push_image()
    aws.client("s3").create_bucket(Bucket="captured")
    variants = [
        deployer.variant(deployer.model(Image=image, Environment={"VERSION": version}), name, **more)
        for name, version, more in (
            ("main", "old", {"InitialInstanceCount": 2}),
            ("shadow", "new", {}),
        )
    ]
    aws.client("sagemaker").create_endpoint_config(
        EndpointConfigName="churn",
        ProductionVariants=variants[:1],
        ShadowProductionVariants=variants[1:],
        DataCaptureConfig={
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": "s3://captured/data",
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        },
    )
    aws.client("sagemaker").create_endpoint(
        EndpointName="churn", EndpointConfigName="churn", Tags=tag_list(OURS)
    )
    settled(aws)
    with _quick(aws):
        aws.clear_requests()
        yield aws


def ask(aws: LocalAws, body: str = "x", **more: Any) -> dict[str, Any]:
    answer = aws.client("sagemaker-runtime").invoke_endpoint(
        EndpointName="churn", Body=body.encode(), ContentType="text/csv", **more
    )
    return dict(json.loads(answer["Body"].read()))


def promote(**options: Any) -> PromoteShadowOperator:
    given = {"task_id": task_id("promote"), "endpoint_name": "churn", "poll_interval": 0.1}
    return PromoteShadowOperator(**{**given, **options})


# The report


def report(aws: LocalAws, monkeypatch: pytest.MonkeyPatch, **options: Any) -> dict[str, Any]:
    class ServersTime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return aws.now()

    monkeypatch.setattr(report_shadow, "datetime", ServersTime)
    task = ReportShadowOperator(task_id=task_id("report"), endpoint_name="churn", **options)
    return run_task(task).details


def test_production_is_shown_beside_its_shadow(
    aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        assert ask(aws, "x", InferenceId=f"id-{number}")["version"] == "old"
    # The shadow is asked beside, and what is captured is written each minute.
    wait_until(lambda: _captured(aws, "shadow") >= 3)
    found = report(aws, monkeypatch)
    assert [found[kind]["variant"] for kind in ("production", "shadow")] == ["main", "shadow"]
    assert [found[kind]["invocations"] for kind in ("production", "shadow")] == [3, 3]
    assert found["production"]["mean_latency_ms"] > 0
    # They tell their versions.
    assert (found["compared"], found["equal"], found["agreement"]) == (3, 0, 0.0)
    assert sorted(found["different"]) == ["id-0", "id-1", "id-2"]
    assert "agreement of answers: 0 of 3 (0.0 %)" in found["table"]


def _captured(aws: LocalAws, variant: str) -> int:
    """Return how many answers of a variant were captured, after another minute."""
    aws.advance(60)
    s3 = aws.client("s3")
    keys = [
        one["Key"]
        for one in s3.list_objects_v2(Bucket="captured").get("Contents", [])
        if f"/{variant}/" in one["Key"]
    ]
    return sum(len(s3.get_object(Bucket="captured", Key=key)["Body"].read().splitlines()) for key in keys)


def test_an_endpoint_without_requests(aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    found = report(aws, monkeypatch)
    assert (found["production"]["invocations"], found["agreement"]) == (0, None)


# The promotion


@both_waits
def test_the_shadow_is_promoted_once_and_can_be_rolled_back(
    aws: LocalAws, dag: DAG, deferrable: bool
) -> None:
    done = run_task(promote(deferrable=deferrable))
    assert done.value == "churn"
    assert done.details["action"] == "update"
    config = done.details["endpoint_config_name"]
    assert config.startswith("churn-")
    assert ask(aws)["version"] == "new"
    described = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
    (variant,) = described["ProductionVariants"]
    assert (variant["VariantName"], variant["InitialInstanceCount"]) == ("main", 2)
    assert "ShadowProductionVariants" not in described
    assert described["DataCaptureConfig"]["DestinationS3Uri"] == "s3://captured/data"
    aws.clear_requests()
    again = run_task(promote(deferrable=deferrable))
    assert (again.details["action"], again.details["endpoint_config_name"]) == ("unchanged", config)
    assert operations(aws, mutating=True) == []
    back = run_task(
        RollbackEndpointOperator(task_id=task_id("back"), endpoint_name="churn", poll_interval=0.1)
    )
    assert back.details["endpoint_config_name"] == "churn"
    assert ask(aws)["version"] == "old"


@both_waits
def test_a_promotion_is_verified_like_a_deployment(aws: LocalAws, dag: DAG, deferrable: bool) -> None:
    test = SmokeTest(body="x", expect='"version": "newest"')
    with pytest.raises(SmokeTestFailedError, match="serves churn"):
        run_task(promote(deferrable=deferrable, smoke_test=test, on_smoke_failure="rollback"))
    assert ask(aws)["version"] == "old"


def test_the_capacity_of_the_shadow(aws: LocalAws, dag: DAG) -> None:
    config = run_task(promote(capacity="{{ 'shadow' }}")).details["endpoint_config_name"]
    described = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName=config)
    assert described["ProductionVariants"][0]["InitialInstanceCount"] == 1


def test_an_endpoint_without_a_shadow(aws: LocalAws, dag: DAG, monkeypatch: pytest.MonkeyPatch) -> None:
    deployer = Deployer(aws)
    served = aws.client("sagemaker").describe_endpoint_config(EndpointConfigName="churn")
    model = served["ProductionVariants"][0]["ModelName"]
    aws.client("sagemaker").create_endpoint(
        EndpointName="plain", EndpointConfigName=deployer.config(deployer.variant(model))
    )
    for task in (
        promote(endpoint_name="plain"),
        promote(endpoint_name="gone"),
        ReportShadowOperator(task_id=task_id(), endpoint_name="plain"),
        ReportShadowOperator(task_id=task_id(), endpoint_name="gone"),
    ):
        with pytest.raises(NotFoundError, match=r"which has no shadow variant|There is no endpoint 'gone'"):
            run_task(task)


def test_no_config_is_left_for_an_endpoint_that_is_not_ours(aws: LocalAws, dag: DAG) -> None:
    client = aws.client("sagemaker")
    client.create_endpoint(EndpointName="foreign", EndpointConfigName="churn")
    settled(aws, "foreign")
    aws.clear_requests()
    with pytest.raises(ConflictError, match="adopt=True"):
        run_task(promote(endpoint_name="foreign"))
    assert operations(aws, mutating=True) == []


def test_a_mistake_breaks_the_dag_file(dag: DAG) -> None:
    with pytest.raises(InvalidSpecError, match="capacity is 'both'"):
        promote(capacity="both")
    with pytest.raises(InvalidSpecError, match="lookback is 1"):
        ReportShadowOperator(task_id="report", endpoint_name="churn", lookback=1)

"""The examples of scaling run through Airflow, against the local AWS with containers that really run, and hours pass in seconds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples, make_models

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(600)]

ZONE = "America/New_York"


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0, clock="virtual") as aws:
        make_models(aws)
        yield Examples(aws, tmp_path_factory.mktemp("examples"))


def answers(aws: LocalAws, bucket: str = "examples") -> list[Any]:
    s3 = aws.client("s3")
    keys = [
        found["Key"] for found in s3.list_objects_v2(Bucket=bucket, Prefix="answers/").get("Contents", ())
    ]
    return [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]


def test_a_request_wakes_the_asynchronous_endpoint_and_another_is_streamed(examples: Examples) -> None:
    aws = examples.aws
    with aws.passing_time(speed=240):
        states = examples.run("async_from_zero", model="new", answers="s3://examples/answers/")
    assert set(states.values()) == {"success"}, states
    assert states["is_at_zero"] == "success"
    [answer] = answers(aws)
    assert answer["version"] == "new"
    scaling = aws.client("application-autoscaling")
    activities = scaling.describe_scaling_activities(ServiceNamespace="sagemaker")["ScalingActivities"]
    oldest_first = [activity["Description"] for activity in reversed(activities)]
    assert oldest_first[:2] == [
        "Setting desired instance count to 0.",
        "Setting desired instance count to 1.",
    ]
    assert "triggered policy async-from-zero-main-from-zero" in activities[-2]["Cause"]
    sagemaker = aws.client("sagemaker")
    names = [found["EndpointName"] for found in sagemaker.list_endpoints()["Endpoints"]]
    assert names == ["async-from-zero"]
    aws.advance(3600)
    [variant] = sagemaker.describe_endpoint(EndpointName="async-from-zero")["ProductionVariants"]
    assert variant["CurrentInstanceCount"] == 0


def test_the_component_is_down_at_night_and_up_in_the_morning(examples: Examples) -> None:
    aws = examples.aws
    aws.client("iam").create_role(RoleName="SageMakerHostingRole", AssumeRolePolicyDocument="{}")
    with aws.passing_time():
        states = examples.run("nightly_down", model="new", timezone=ZONE, days="*")
    assert set(states.values()) == {"success"}, states
    runtime = aws.client("sagemaker-runtime")

    def ask() -> str:
        answer = runtime.invoke_endpoint(
            EndpointName="nightly-down", InferenceComponentName="nightly-down-model", Body=b"{}"
        )
        return str(json.loads(answer["Body"].read())["version"])

    def until(hour: int) -> None:
        now = aws.now().astimezone(ZoneInfo(ZONE))
        aws.advance((hour * 60 + 30 - now.hour * 60 - now.minute) % (24 * 60) * 60)

    until(8)
    assert ask() == "new"
    until(20)
    with pytest.raises(ClientError, match="no capacity"):
        ask()
    until(7)
    assert ask() == "new"

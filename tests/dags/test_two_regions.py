"""The example of waves run through Airflow, against the Regions of a local AWS with containers that really run."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from airflow_sm_hosting.local import LocalAws
from tests.dags.runs import Examples
from tests.local.conftest import Deployer, tar_bytes

pytestmark = [pytest.mark.airflow_db, pytest.mark.slow, pytest.mark.timeout(900)]

DAG_ID, NAME = "two_regions_in_waves", "two-regions"
REGIONS = ("us-east-1", "eu-west-1")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    with LocalAws(engine="process", transition_seconds=0) as aws:
        yield Examples(aws, tmp_path_factory.mktemp("regions"))


def client(aws: LocalAws, service: str, region: str) -> Any:
    keys = {"aws_access_key_id": aws.access_key, "aws_secret_access_key": aws.secret_key}
    session = boto3.Session(region_name=region, **keys)
    return session.client(service, endpoint_url=aws.endpoint_url)  # type: ignore[call-overload]


def put_artifact(aws: LocalAws, content: bytes) -> str:
    tar = tar_bytes({"weights": content})
    tar = tar if tar[:2] == b"\x1f\x8b" else gzip.compress(tar)
    aws.client("s3").put_object(Bucket="models-us-east-1", Key="model.tar.gz", Body=tar)
    return "s3://models-us-east-1/model.tar.gz"


def served(aws: LocalAws) -> list[str]:
    """Return the config that serves in each Region."""
    described = [client(aws, "sagemaker", region).describe_endpoint(EndpointName=NAME) for region in REGIONS]
    assert [one["EndpointStatus"] for one in described] == ["InService"] * 2
    return [one["EndpointConfigName"] for one in described]


def test_two_regions_are_deployed_once_and_the_second_not_after_a_failure(examples: Examples) -> None:
    aws = examples.aws
    for region in REGIONS:
        place = {} if region == "us-east-1" else {"LocationConstraint": region}
        where = {"CreateBucketConfiguration": place} if place else {}
        client(aws, "s3", region).create_bucket(Bucket=f"models-{region}", **where)
    deployer = Deployer(aws)
    conf = {
        "name": NAME,
        "endpoint_name": NAME,
        "image": deployer.push_image(repository=deployer.repository()),
        "model_data": put_artifact(aws, b"1"),
        "bucket": "models",
        "execution_role": "arn:aws:iam::123456789012:role/sagemaker",
        "poll_interval": 0.5,
    }
    states = examples.run(DAG_ID, **conf)
    assert set(states.values()) == {"success"}
    first = served(aws)
    for region, name in zip(REGIONS, first, strict=True):
        [image] = client(aws, "ecr", region).describe_images(repositoryName=NAME)["imageDetails"]
        config = client(aws, "sagemaker", region).describe_endpoint_config(EndpointConfigName=name)
        model = config["ProductionVariants"][0]["ModelName"]
        container = client(aws, "sagemaker", region).describe_model(ModelName=model)["PrimaryContainer"]
        assert container["Image"].endswith(f"/{NAME}@{image['imageDigest']}")
        assert container["ModelDataUrl"].startswith(f"s3://models-{region}/{NAME}/")

    aws.clear_requests()
    assert set(examples.run(DAG_ID, **conf).values()) == {"success"}
    assert [one["operation"] for one in aws.requests() if one["mutating"]] == []
    assert served(aws) == first

    put_artifact(aws, b"2")
    with aws.fault("error", operation="CreateEndpointConfig", code="ResourceLimitExceeded", status=400):
        states = examples.run(DAG_ID, **conf)
    assert states["state"] == "failed"
    assert states["waves.wave_1.us_east_1.create_endpoint_config"] == "failed"
    assert {state for name, state in states.items() if name.startswith("waves.wave_2")} == {"upstream_failed"}
    assert served(aws) == first

    assert set(examples.run(DAG_ID, **conf).values()) == {"success"}
    second = served(aws)
    assert not set(second) & set(first)

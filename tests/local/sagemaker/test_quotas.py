"""Quotas: which one counts, and what is used of it."""

from __future__ import annotations

import pytest

from airflow_sm_hosting.local import NEW_ACCOUNT_QUOTAS, LocalAws
from airflow_sm_hosting.local.client.control import LocalAwsError
from airflow_sm_hosting.local.sagemaker.quotas import Quotas
from airflow_sm_hosting.local.wire.errors import AwsError
from tests.local_servers import local_server


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("ml.t2.medium for endpoint usage", 2),
        ("ml.m6g.large for endpoint usage", 2),
        ("ml.m6g.xlarge for endpoint usage", 0),
        ("Memory size in MB per serverless endpoint", 3072),
    ],
)
def test_the_longest_name_that_matches_counts(name: str, most: int) -> None:
    quotas = Quotas()
    quotas.check(name, 0, 1_000_000)
    quotas.set(NEW_ACCOUNT_QUOTAS)
    quotas.check(name, 0, most)
    quotas.check(name, most + 1, 0)
    with pytest.raises(AwsError, match=f"is {most}") as caught:
        quotas.check(name, 0, most + 1)
    assert caught.value.code == "ResourceLimitExceeded"


@pytest.fixture
def aws() -> LocalAws:
    aws = local_server("none", 1, "virtual")
    aws.reset()
    return aws


@pytest.mark.slow
def test_an_update_needs_quota_for_both_fleets_and_a_rolling_one_for_a_batch(aws: LocalAws) -> None:
    from tests.local.rules.cloud import our_cloud, refused, rolling

    cloud = our_cloud(aws)
    one, other = (cloud.config(cloud.variant(count=4)) for _ in range(2))
    name = cloud.endpoint(one)
    aws.set_quotas({"ml.m5.large for endpoint usage": 6})
    with refused("current utilization of 4 Instances and a request delta of 4", code="ResourceLimitExceeded"):
        cloud.update(name, other)
    assert cloud.status(name) == "InService"
    cloud.update(name, other, rolling(50))
    with refused("Cannot update in-progress"):
        cloud.want(name, DesiredInstanceCount=5)
    cloud.advance(600)
    assert cloud.describe(name)["EndpointConfigName"] == other
    with refused("delta of 3 Instances", code="ResourceLimitExceeded"):
        cloud.want(name, DesiredInstanceCount=7)
    cloud.want(name, DesiredInstanceCount=6)
    cloud.advance(5)
    assert cloud.live(name)["CurrentInstanceCount"] == 6


@pytest.mark.slow
def test_what_is_no_quota_is_refused(aws: LocalAws) -> None:
    with pytest.raises(LocalAwsError, match="whole number"):
        aws.set_quotas({"x": -1})

"""Malformed requests of every protocol: each gets an answer, none a 500. ``python -m tests.local.server.fuzz`` sends more of them."""

from __future__ import annotations

import random

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.server.fuzz import Fuzz, Report


def run(aws: LocalAws, seed: int, count: int) -> Report:
    aws.client("s3").create_bucket(Bucket="bucket")
    aws.client("ecr").create_repository(repositoryName="aa")
    aws.clear_requests()
    return Fuzz(aws, seed).run(count)


def test_malformed_requests_are_answered_and_logged(aws: LocalAws) -> None:
    report = run(aws, seed=1, count=300)
    assert report.faults == []
    assert report.total == 300
    # All but those of the admin API are logged; some answer and are followed by a second request in what was mutated.
    admin = sum(count for (kind, _), count in report.answers.items() if kind.startswith("admin"))
    assert len(aws.requests()) >= 300 - admin
    assert aws.health()["engine"] == "none"


@pytest.mark.slow
def test_other_malformed_requests_each_time(aws: LocalAws) -> None:
    seed = random.SystemRandom().randrange(10**6)
    report = run(aws, seed, count=3_000)
    assert report.faults == [], f"seed {seed}"

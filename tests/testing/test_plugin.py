"""The plugin as somebody else's test suite meets it."""

from __future__ import annotations

import pytest

pytest_plugins = ["pytester"]

SUITE = """
import boto3, json, os, sys

def test_nothing_is_imported_before_it_is_asked_for():
    assert "moto" not in sys.modules and "boto3" in sys.modules

def test_a_bucket(sm_hosting_aws):
    boto3.client("s3").create_bucket(Bucket="models")
    assert [r["operation"] for r in sm_hosting_aws.requests()] == ["CreateBucket"]
    assert json.loads(os.environ["AIRFLOW_CONN_AWS_DEFAULT"])["extra"]["endpoint_url"] == sm_hosting_aws.endpoint_url

def test_the_next_one_begins_empty(sm_hosting_aws):
    assert sm_hosting_aws.requests() == []
    assert boto3.client("s3").list_buckets()["Buckets"] == []
    assert sm_hosting_aws.engine == "none"
"""


def test_a_suite_of_somebody_else_finds_the_fixture(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(SUITE)
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=3)

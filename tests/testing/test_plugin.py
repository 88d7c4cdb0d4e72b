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


CANARY = """
import boto3, datetime, pytest
from airflow_sm_hosting.local.client.control import LocalAwsError

def test_a_day_passes_meanwhile(sm_hosting_aws):
    before = sm_hosting_aws.now()
    with sm_hosting_aws.passing_time(speed=1_000_000):
        while sm_hosting_aws.now() < before + datetime.timedelta(days=1):
            pass
    after = sm_hosting_aws.now()
    assert sm_hosting_aws.now() == after  # it stands still again

def test_what_fails_in_the_block_is_told(sm_hosting_aws):
    with pytest.raises(ZeroDivisionError), sm_hosting_aws.passing_time():
        1 / 0
"""


def test_a_suite_has_time_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CANARY)
    pytester.runpytest_subprocess("-q", "--sm-hosting-clock=virtual").assert_outcomes(passed=2)


def test_real_time_passes_by_itself(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        def test_it(sm_hosting_aws):
            with pytest.raises(Exception, match="virtual"), sm_hosting_aws.passing_time():
                raise AssertionError
        """
    )
    pytester.runpytest_subprocess("-q").assert_outcomes(passed=1)

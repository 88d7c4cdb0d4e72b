"""The environment of all tests: an Airflow home of their own, and no AWS credentials but those of the local AWS."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest

# Before anything imports Airflow: it reads its configuration once. A run of its own, so that two at once do not meet.
AIRFLOW_HOME = tempfile.mkdtemp(prefix="sm-hosting-tests-")
os.environ.update(
    AIRFLOW_HOME=AIRFLOW_HOME,
    AIRFLOW__CORE__LOAD_EXAMPLES="False",
    AIRFLOW__CORE__UNIT_TEST_MODE="False",
    AIRFLOW__CORE__DAGS_FOLDER=os.path.join(os.path.dirname(os.path.dirname(__file__)), "dags"),
    # A client without the local AWS's endpoint must not reach anything real.
    AWS_ACCESS_KEY_ID="no-real-key",
    AWS_SECRET_ACCESS_KEY="no-real-secret",
    AWS_DEFAULT_REGION="us-east-1",
    AWS_EC2_METADATA_DISABLED="true",
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
)
for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
    os.environ.pop(name, None)

#: Under which a missing Docker engine fails the tests that need one, in place of skipping them.
REQUIRE_ENGINE = "SM_HOSTING_REQUIRE_ENGINE"


@pytest.fixture(scope="session", autouse=True)
def airflow_home() -> Iterator[str]:
    yield AIRFLOW_HOME
    shutil.rmtree(AIRFLOW_HOME, ignore_errors=True)

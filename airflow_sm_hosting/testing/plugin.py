"""A pytest plugin (entry point ``pytest11``): a local AWS for tests of your own DAGs.

Nothing is started, and nothing heavy imported, before a test asks for it::

    def test_my_dag_deploys(sm_hosting_aws):
        sm_hosting_aws.client("s3").create_bucket(Bucket="models")
        assert dag.test(logical_date=None).state == "success"
        assert sm_hosting_aws.client("sagemaker").describe_endpoint(EndpointName="churn")

The engine of the containers is ``none`` (no containers, endpoints are in service at once), or what ``--sm-hosting-engine`` says. With
``--sm-hosting-clock virtual`` time passes where a test says so, e.g. for a DAG whose rollout bakes for an hour::

    def test_my_canary_completes(sm_hosting_aws):
        with sm_hosting_aws.passing_time(speed=600):
            assert dag.test(logical_date=None).state == "success"
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_sm_hosting.local import LocalAws

CLOCKS = ("real", "virtual")
ENGINES = ("none", "process", "docker", "auto")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options ``--sm-hosting-engine`` and ``--sm-hosting-clock``."""
    parser.addoption(
        "--sm-hosting-engine",
        choices=ENGINES,
        default="none",
        help="the container engine of the fixture sm_hosting_aws (default: none)",
    )
    parser.addoption(
        "--sm-hosting-clock",
        choices=CLOCKS,
        default="real",
        help="the clock of the fixture sm_hosting_aws (default: real)",
    )


@pytest.fixture(scope="session")
def sm_hosting_server(request: pytest.FixtureRequest) -> Iterator[LocalAws]:
    """Return a local AWS that runs as long as the test session."""
    from airflow_sm_hosting.local import LocalAws

    engine = str(request.config.getoption("--sm-hosting-engine"))
    clock = str(request.config.getoption("--sm-hosting-clock"))
    with LocalAws(engine=engine, clock=clock, transition_seconds=0) as aws:
        yield aws


@pytest.fixture
def sm_hosting_aws(sm_hosting_server: LocalAws, monkeypatch: pytest.MonkeyPatch) -> LocalAws:
    """Return an empty local AWS, to which every AWS client and the Airflow connection ``aws_default`` lead during the test."""
    sm_hosting_server.reset()
    sm_hosting_server.clear_requests()
    for name, value in sm_hosting_server.environment().items():
        monkeypatch.setenv(name, value)
    return sm_hosting_server

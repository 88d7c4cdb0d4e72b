"""Each Python block of the documentation runs: in a DAG, beside a local AWS, with the names that its reader has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG, TaskGroup
from botocore.exceptions import ClientError

import airflow_sm_hosting
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent.parent
PAGES = sorted(
    path
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md"), *ROOT.glob("docs/decisions/*.md")]
    if "```python" in path.read_text()
)
#: Pages whose blocks import all that they use: people copy them whole.
COMPLETE = {"README.md", "tutorial.md"}

#: Tasks that blocks of other sections make.
TASKS = ("artifact", "build_image", "create_endpoint_config", "create_model", "image", "upload_model_data")

#: Operations that the local AWS does not have.
NOT_LOCAL = ("PutEndpointPolicy",)


def blocks(path: Path, language: str = "python") -> Iterator[tuple[int, str]]:
    """Yield the line and the code of each block of a language, also of those in lists."""
    from markdown_it import MarkdownIt

    for token in MarkdownIt().parse(path.read_text()):
        if token.type == "fence" and token.info.split()[:1] == [language]:
            assert token.map
            yield token.map[0] + 1, token.content


def run(code: CodeType, space: dict[str, Any]) -> None:
    """Run a block; of an operation that the local AWS lacks, the request is validated all the same."""
    try:
        exec(code, space)
    except ClientError as error:
        if error.operation_name not in NOT_LOCAL or error.response["Error"]["Code"] != "NotImplemented":
            raise


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(engine="process", transition_seconds=0, clock="virtual") as aws:
        yield aws


@pytest.fixture
def brought(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names that a reader brings: tasks of the DAG, a running local AWS, its clients, and what everybody imports."""
    aws.reset()
    monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(aws.connection()))
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    deployer = Deployer(aws)
    config = deployer.config(deployer.variant(deployer.model(Image=deployer.push_image())))
    deployer.sagemaker.create_endpoint(EndpointName="churn", EndpointConfigName=config)
    deployer.settled("churn")

    def deploy_another_model() -> None:
        aws.set_quotas({})  # a block before has set those of a new account
        other = f"{config}-2"
        variants = deployer.sagemaker.describe_endpoint_config(EndpointConfigName=config)[
            "ProductionVariants"
        ]
        deployer.sagemaker.create_endpoint_config(EndpointConfigName=other, ProductionVariants=variants)
        deployer.sagemaker.update_endpoint(EndpointName="churn", EndpointConfigName=other)
        deployer.settled("churn")

    aws.client("secretsmanager").create_secret(Name="api-key", SecretString="value")
    # boto3 keeps the credentials with which a test before began.
    monkeypatch.setattr("boto3.DEFAULT_SESSION", None)
    monkeypatch.setenv("API_KEY_SECRET", "api-key")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return {
        # Running a DAG takes a database: the tests of the DAG files do it.
        "dag": SimpleNamespace(test=lambda logical_date: None),
        "deploy_another_model": deploy_another_model,
        "endpoint_arns": [],
        "policy": {},
        "queue_arn": "arn:aws:sqs:us-east-1:123456789012:approved",
        **{name: getattr(airflow_sm_hosting, name) for name in airflow_sm_hosting.__all__},
        "LocalAws": LocalAws,
        "events": aws.client("events"),
        "json": json,
        "timedelta": timedelta,
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_each_block_runs(path: Path, aws: LocalAws, brought: dict[str, Any]) -> None:
    space: dict[str, Any] = {} if path.name in COMPLETE else brought
    ran = 0
    with DAG("page", schedule=None):
        if path.name not in COMPLETE:
            space |= {name: EmptyOperator(task_id=name) for name in TASKS}
        for line, code in blocks(path):
            if path.name not in COMPLETE:
                # A block may have made one of its own, and ended it.
                space["aws"] = aws
            # A page may show a task twice.
            with TaskGroup(f"line_{line}"):
                run(compile(code, f"{path.name}:{line}", "exec"), space)
            ran += 1
    assert ran


def test_each_json_block_is_json() -> None:
    found = 0
    for path in [ROOT / "README.md", *ROOT.glob("docs/*.md")]:
        for line, code in blocks(path, "json"):
            try:
                json.loads(code)
            except ValueError as error:
                raise AssertionError(f"{path.name}:{line}: {error}") from None
            found += 1
    assert found

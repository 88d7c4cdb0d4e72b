"""Each example of the CDK library's guide, written with our operators, makes the API calls that the CDK's stack comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting import BuildImageOperator
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import Deployer
from tests.parity.comparison import ALLOWED_DIFFERENCES, Call, Context, as_calls, judged
from tests.parity.conftest import calls_made, run_dag
from tests.parity.examples import ASSETS_BUCKET, DLC_REPOSITORY, DLC_TAG, EXAMPLES, OBJECTS, REPOSITORY, TAG

EXPECTED = Path(__file__).with_name("expected")

#: The entries of the table that every example needs, and those of scaling.
ALWAYS = {
    "our tags",
    "digest in place of a tag",
    "description and path of the role",
    "no AmazonSageMakerFullAccess",
    "narrower policy",
}
OF_SCALING = {"no RoleARN of the scalable target"}


def expectation(name: str) -> list[Call]:
    return as_calls(json.loads((EXPECTED / f"{name}.json").read_text())["calls"])


@pytest.fixture
def surroundings(aws: LocalAws) -> LocalAws:
    """Return the local AWS with what the examples take for granted."""
    for bucket, key in (*OBJECTS, (ASSETS_BUCKET, "")):
        aws.client("s3").create_bucket(Bucket=bucket)
        if key:
            aws.client("s3").put_object(Bucket=bucket, Key=key, Body=b"")
    for repository, tag in ((REPOSITORY, TAG), (DLC_REPOSITORY, DLC_TAG)):
        aws.client("ecr").create_repository(repositoryName=repository)
        Deployer(aws).push_image({"repository": repository.encode()}, repository=repository, tag=tag)
    return aws


@pytest.mark.parametrize(("write", "name"), EXAMPLES.values(), ids=EXAMPLES)
def test_an_example_makes_the_calls_of_the_cdk(
    surroundings: LocalAws,
    dag: DAG,
    project: Path,
    context: Context,
    write: Callable[[Path], None],
    name: str,
) -> None:
    write(project)
    for task in dag.tasks:
        if isinstance(task, BuildImageOperator):
            task.builder = "assembler"  # the same image without an engine, also where one answers
    with calls_made(surroundings) as calls:
        run_dag(dag)
    refused, used = judged(expectation(name), calls, context, ALLOWED_DIFFERENCES)
    assert not refused, "\n".join(map(str, refused))
    scaled = any(call.operation.endswith(":RegisterScalableTarget") for call in calls)
    assert set(used) == (ALWAYS | OF_SCALING if scaled else ALWAYS)


def test_no_entry_of_the_table_is_there_for_nothing() -> None:
    assert {entry.name for entry in ALLOWED_DIFFERENCES} == ALWAYS | OF_SCALING
    assert all(entry.reason for entry in ALLOWED_DIFFERENCES)


def test_every_file_of_calls_is_an_example() -> None:
    assert {name for _, name in EXAMPLES.values()} == {path.stem for path in EXPECTED.glob("*.json")}

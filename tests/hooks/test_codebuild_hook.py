"""The CodeBuild hook: pages of builds and of logs."""

from __future__ import annotations

import time
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_sm_hosting.deployer import image_build
from airflow_sm_hosting.deployer.image_build import ImageBuild
from airflow_sm_hosting.hooks import CodeBuildHook
from airflow_sm_hosting.images.codebuild.project import BuildPlace, project_definition
from airflow_sm_hosting.images.codebuild.request import IMAGE
from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import wait_until
from tests.operators.conftest import operations

PLACE = BuildPlace(
    service_role_arn="arn:aws:iam::123456789012:role/builds", bucket="builds", platform="linux/amd64"
)


@pytest.fixture
def hook(aws: LocalAws, dag: DAG) -> CodeBuildHook:
    hook = CodeBuildHook()
    hook.create_project(project_definition(PLACE), {"a": "b"})
    return hook


def start(hook: CodeBuildHook, image: str) -> str:
    variables = [{"name": IMAGE, "value": image}]
    request = {"projectName": PLACE.project, "environmentVariablesOverride": variables}
    return str(hook.start_build(request)["id"])


def last_build(hook: CodeBuildHook, image: str) -> Any:
    return ImageBuild(hook, PLACE, image, hook.log)._last_build()


def test_a_project_is_created_once(hook: CodeBuildHook) -> None:
    assert hook.create_project(project_definition(PLACE), {}) is False
    found = hook.project(PLACE.project)
    assert found
    assert found["tags"] == [{"key": "a", "value": "b"}]
    assert hook.project("absent") is None


def test_all_builds_are_found_newest_first(hook: CodeBuildHook) -> None:
    ids = [start(hook, f"image:{number}") for number in range(103)]
    assert [build["id"] for build in hook.newest_builds(PLACE.project)] == ids[::-1]


def test_the_search_for_a_build_ends_where_all_have_ended(
    aws: LocalAws, hook: CodeBuildHook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_build, "LOOKED_AT", 2)
    ids = [start(hook, f"image:{number}") for number in range(5)]
    wait_until(lambda: all(build["buildComplete"] for build in hook.newest_builds(PLACE.project)))
    # Beyond those that are looked at in any case, the first one that has ended ends the search.
    assert [bool(last_build(hook, f"image:{number}")) for number in range(5)] == [
        False,
        False,
        True,
        True,
        True,
    ]
    assert last_build(hook, "image:4")["id"] == ids[4]
    aws.clear_requests()
    last_build(hook, "image:4")
    assert operations(aws) == ["ListBuildsForProject", "BatchGetBuilds"]


def test_the_newest_build_of_an_image_counts(hook: CodeBuildHook) -> None:
    start(hook, "image:1")
    newest = start(hook, "image:1")
    assert last_build(hook, "image:1")["id"] == newest
    assert last_build(hook, "image:2") is None


def test_lines_of_a_log_are_read_once(aws: LocalAws, hook: CodeBuildHook) -> None:
    assert hook.log_lines("/aws/codebuild/p", "1", None) == ([], None)
    logs = aws.client("logs")
    place = {"logGroupName": "/aws/codebuild/p", "logStreamName": "1"}
    logs.create_log_group(logGroupName=place["logGroupName"])
    logs.create_log_stream(**place)

    def write(first: int, count: int) -> list[str]:
        lines = [f"line {number}" for number in range(first, first + count)]
        now = int(time.time() * 1000)
        # Ten thousand is the most that a request, and a page of the answer, has (API_PutLogEvents.html, API_GetLogEvents.html).
        logs.put_log_events(**place, logEvents=[{"timestamp": now, "message": f"{line}\n"} for line in lines])
        return lines

    written = write(0, 10_000) + write(10_000, 100)
    lines, token = hook.log_lines("/aws/codebuild/p", "1", None)
    assert lines == written
    assert hook.log_lines("/aws/codebuild/p", "1", token)[0] == []
    more = write(10_100, 3)
    assert hook.log_lines("/aws/codebuild/p", "1", token)[0] == more

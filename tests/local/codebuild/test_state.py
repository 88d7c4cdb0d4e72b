"""Projects and builds over a restart of the local AWS."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_sm_hosting.local import LocalAws
from airflow_sm_hosting.local.clock import VirtualClock
from airflow_sm_hosting.local.codebuild.service import CodeBuild
from airflow_sm_hosting.local.engines.none import NoEngine
from tests.local.conftest import wait_until

BUILDSPEC = '{"version": 0.2, "phases": {"build": {"commands": ["true"]}}}'
PROJECT: dict[str, Any] = {
    "name": "builds",
    "source": {"type": "NO_SOURCE", "buildspec": BUILDSPEC},
    "artifacts": {"type": "NO_ARTIFACTS"},
    "environment": {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
    },
    "serviceRole": "arn:aws:iam::123456789012:role/builds",
}


def test_projects_and_builds_outlive_the_server(tmp_path: Path) -> None:
    with LocalAws(engine="none", state=tmp_path) as aws:
        client = aws.client("codebuild")
        client.create_project(**PROJECT)
        build_id = client.start_build(projectName="builds")["build"]["id"]
        wait_until(lambda: client.batch_get_builds(ids=[build_id])["builds"][0]["buildComplete"])
        before = client.batch_get_builds(ids=[build_id])["builds"][0]
    with LocalAws(engine="none", state=tmp_path) as aws:
        client = aws.client("codebuild")
        assert client.batch_get_builds(ids=[build_id])["builds"] == [before]
        assert client.list_projects()["projects"] == ["builds"]
        assert client.start_build(projectName="builds")["build"]["buildNumber"] == 2


def codebuild() -> CodeBuild:
    return CodeBuild("us-east-1", NoEngine(), VirtualClock(), lambda: "http://127.0.0.1:1")


def test_a_build_in_progress_is_a_fault_after_a_restart() -> None:
    one = codebuild()
    one.answer("CreateProject", PROJECT)
    build_id = one.answer("StartBuild", {"projectName": "builds"})["build"]["id"]
    saved = one.dump()
    saved["builds"][build_id] |= {
        "buildStatus": "IN_PROGRESS",
        "buildComplete": False,
        "phases": [{"phaseType": "BUILD", "startTime": VirtualClock().now()}],
    }
    other = codebuild()
    other.load(saved)
    [found] = other.answer("BatchGetBuilds", {"ids": [build_id]})["builds"]
    assert (found["buildStatus"], found["buildComplete"]) == ("FAULT", True)
    [context] = found["phases"][0]["contexts"]
    assert "restarted" in context["message"]


def test_an_answer_is_not_what_is_kept() -> None:
    one = codebuild()
    answer = one.answer("CreateProject", PROJECT)
    answer["project"]["serviceRole"] = "changed"
    [found] = one.answer("BatchGetProjects", {"names": ["builds"]})["projects"]
    assert found["serviceRole"] == PROJECT["serviceRole"]

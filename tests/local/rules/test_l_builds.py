"""Image builds: CodeBuild"""

from __future__ import annotations

from typing import Any

import pytest

from tests.local.rules.cloud import ROLE, Cloud, refused

BUILDSPEC = '{"version": 0.2, "phases": {"build": {"commands": ["true"]}}}'


def project(cloud: Cloud, **more: Any) -> str:
    name = str(more.pop("name", None) or cloud.new_name("project"))
    cloud.client("codebuild").create_project(
        name=name,
        **{
            # moto asks for a location of what has none.
            "source": {"type": "NO_SOURCE", "location": "-", "buildspec": BUILDSPEC},
            "artifacts": {"type": "NO_ARTIFACTS"},
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
            },
            "serviceRole": ROLE,
            **more,
        },
    )
    return name


def described(cloud: Cloud, name: str) -> dict[str, Any]:
    (found,) = cloud.client("codebuild").batch_get_projects(names=[name])["projects"]
    return dict(found)


def start(cloud: Cloud, name: str, **more: Any) -> dict[str, Any]:
    return dict(cloud.client("codebuild").start_build(projectName=name, **more)["build"])


def test_project_name(cloud: Cloud) -> None:
    """A CodeBuild project's name has 2 to 150 letters, digits, hyphens and underscores, and begins with a letter or digit.

    Source: codebuild:API_CreateProject.html#CodeBuild-CreateProject-request-name; botocore, ProjectName; the code of the error is assumed
    """
    project(cloud, name="a" * 149)
    for name in ("a", "-ab", "a.b", "a" * 151):
        with refused(code="InvalidInputException"):
            project(cloud, name=name)


def test_project_exists(cloud: Cloud) -> None:
    """A project whose name is taken is refused as already existing.

    Source: codebuild:API_CreateProject.html#API_CreateProject_Errors
    """
    name = project(cloud)
    with refused("already exists", code="ResourceAlreadyExistsException"):
        project(cloud, name=name)


def test_project_without_a_source(cloud: Cloud) -> None:
    """A project without a source has its buildspec inline.

    Source: codebuild:API_ProjectSource.html#CodeBuild-Type-ProjectSource-buildspec (without one, the source must have the file)
    """
    with refused("buildspec", code="InvalidInputException"):
        project(cloud, source={"type": "NO_SOURCE", "location": "-"})


def test_projects_are_found_by_arn(cloud: Cloud) -> None:
    """BatchGetProjects takes names and ARNs, and tells which it did not find.

    Source: codebuild:API_BatchGetProjects.html; botocore, BatchGetProjectsInput.names
    """
    name = project(cloud)
    arn = described(cloud, name)["arn"]
    answer = cloud.client("codebuild").batch_get_projects(names=[arn, "absent"])
    assert [found["name"] for found in answer["projects"]] == [name]
    assert answer["projectsNotFound"] == ["absent"]


def test_project_update(cloud: Cloud) -> None:
    """UpdateProject changes what is given, and leaves the rest.

    Source: codebuild:API_UpdateProject.html (all but the name is optional)
    """
    name = project(cloud, timeoutInMinutes=30, tags=[{"key": "a", "value": "b"}])
    cloud.client("codebuild").update_project(name=name, timeoutInMinutes=45)
    found = described(cloud, name)
    assert (found["timeoutInMinutes"], found["serviceRole"]) == (45, ROLE)
    assert found["tags"] == [{"key": "a", "value": "b"}]
    with refused(code="ResourceNotFoundException"):
        cloud.client("codebuild").update_project(name="absent")


def test_project_timeout(cloud: Cloud) -> None:
    """A project's timeout is 5 minutes to 36 hours, and 60 minutes by default.

    Source: codebuild:API_CreateProject.html#CodeBuild-CreateProject-request-timeoutInMinutes; botocore, BuildTimeOut
    """
    assert described(cloud, project(cloud))["timeoutInMinutes"] == 60
    for minutes in (4, 2161):
        with refused(code="InvalidInputException"):
            project(cloud, timeoutInMinutes=minutes)


def test_build_of_an_absent_project(cloud: Cloud) -> None:
    """A build of a project that does not exist is refused as not found.

    Source: codebuild:API_StartBuild.html#API_StartBuild_Errors
    """
    with refused(code="ResourceNotFoundException"):
        start(cloud, "absent")


def test_build_numbers(cloud: Cloud) -> None:
    """The builds of a project are numbered from 1.

    Source: codebuild:API_Build.html#CodeBuild-Type-Build-buildNumber; botocore, Build.buildNumber
    """
    one, other = project(cloud), project(cloud)
    assert [start(cloud, name)["buildNumber"] for name in (one, one, other)] == [1, 2, 1]


def test_build_id_and_log(cloud: Cloud) -> None:
    """A build's id is its project and a UUID; the log group is ``/aws/codebuild/<project>``, and the stream is the UUID.

    Source: codebuild-guide:change-project.html (logs); aws/aws-codebuild-docker-images#385 shows such logs
    """
    name = project(cloud)
    build = start(cloud, name)
    front, _, uuid = build["id"].partition(":")
    assert (front, len(uuid)) == (name, 36)
    assert (build["logs"]["groupName"], build["logs"]["streamName"]) == (f"/aws/codebuild/{name}", uuid)


def test_idempotency_token(cloud: Cloud) -> None:
    """StartBuild with the token of a build of the last five minutes answers that build; with other parameters it is refused.

    Source: codebuild:API_StartBuild.html#CodeBuild-StartBuild-request-idempotencyToken; botocore, StartBuildInput.idempotencyToken
    """
    name = project(cloud)
    first = start(cloud, name, idempotencyToken="t")
    cloud.advance(290)
    assert start(cloud, name, idempotencyToken="t")["id"] == first["id"]
    with refused(code="InvalidInputException"):
        start(cloud, name, idempotencyToken="t", timeoutInMinutesOverride=5)
    cloud.advance(11)
    assert start(cloud, name, idempotencyToken="t")["id"] != first["id"]


def test_build_list(cloud: Cloud) -> None:
    """Builds are listed newest first, 100 a page; with more than 100, no order may be asked for.

    Source: codebuild:API_ListBuildsForProject.html; botocore, ListBuildsForProjectInput
    """
    name = project(cloud)
    client = cloud.client("codebuild")
    ids = [start(cloud, name)["id"] for _ in range(100)]
    assert client.list_builds_for_project(projectName=name, sortOrder="ASCENDING")["ids"] == ids
    ids.append(start(cloud, name)["id"])
    page = client.list_builds_for_project(projectName=name)
    assert page["ids"] == ids[:0:-1]
    last = client.list_builds_for_project(projectName=name, nextToken=page["nextToken"])
    assert (last["ids"], "nextToken" in last) == (ids[:1], False)
    with refused(code="InvalidInputException"):
        client.list_builds_for_project(projectName=name, sortOrder="DESCENDING")


def test_builds_of_a_call(cloud: Cloud) -> None:
    """BatchGetBuilds takes 1 to 100 ids, and tells which it did not find.

    Source: codebuild:API_BatchGetBuilds.html; botocore, BatchGetBuildsInput.ids
    """
    client = cloud.client("codebuild")
    build = start(cloud, project(cloud))
    answer = client.batch_get_builds(ids=[build["id"], "absent:1"])
    assert [found["id"] for found in answer["builds"]] == [build["id"]]
    assert answer["buildsNotFound"] == ["absent:1"]
    for ids in ([], [build["id"]] * 101):
        with refused(code="InvalidInputException"):
            client.batch_get_builds(ids=ids)


def test_environment_variables(cloud: Cloud) -> None:
    """A build's environment variables override those of the project by name; a value has at most 4096 characters.

    Source: codebuild:API_StartBuild.html#CodeBuild-StartBuild-request-environmentVariablesOverride; wolfeidau/buildkite-serverless-agent#35
    """
    environment = {
        "type": "LINUX_CONTAINER",
        "image": "aws/codebuild/standard:7.0",
        "computeType": "BUILD_GENERAL1_SMALL",
        "environmentVariables": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }
    name = project(cloud, environment=environment)
    given = [{"name": "B", "value": "3"}, {"name": "C", "value": "4"}]
    build = start(cloud, name, environmentVariablesOverride=given)
    found = {one["name"]: one["value"] for one in build["environment"]["environmentVariables"]}
    assert found == {"A": "1", "B": "3", "C": "4"}
    start(cloud, name, environmentVariablesOverride=[{"name": "A", "value": "x" * 4096}])
    with refused("4096", code="InvalidInputException"):
        start(cloud, name, environmentVariablesOverride=[{"name": "A", "value": "x" * 4097}])


def test_deleted_project(cloud: Cloud) -> None:
    """The builds of a deleted project stay.

    Source: codebuild:API_DeleteProject.html
    """
    name = project(cloud)
    build = start(cloud, name)
    client = cloud.client("codebuild")
    client.delete_project(name=name)
    assert client.batch_get_projects(names=[name])["projectsNotFound"] == [name]
    assert client.batch_get_builds(ids=[build["id"]])["builds"]


@pytest.mark.parametrize("operation", ["create_webhook", "start_build_batch"])
def test_absent_operations(cloud: Cloud, operation: str) -> None:
    """An operation of CodeBuild that is not there is refused, and never a false success.

    Source: this package's own rule
    """
    name = project(cloud)
    with refused(code="NotImplemented"):
        getattr(cloud.client("codebuild"), operation)(projectName=name)

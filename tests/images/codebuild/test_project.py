"""The CodeBuild project: its definition, and what becomes of one that exists."""

from __future__ import annotations

import re
from typing import Any

import pytest

from airflow_sm_hosting.exceptions import ConflictError
from airflow_sm_hosting.images.codebuild.project import (
    BuildPlace,
    check_foreign,
    differing,
    is_ours,
    project_definition,
)
from airflow_sm_hosting.service_model.request import validated_request
from airflow_sm_hosting.spec.codebuild import PROJECT_NAME_PATTERN
from airflow_sm_hosting.spec.tags import MANAGED_BY, PACKAGE

ROLE = "arn:aws:iam::123456789012:role/builds"
VPC = {"vpcId": "vpc-1", "subnets": ["subnet-1", "subnet-2"], "securityGroupIds": ["sg-1"]}


def place(**more: Any) -> BuildPlace:
    return BuildPlace(**{"service_role_arn": ROLE, "bucket": "builds", "platform": "linux/amd64", **more})


@pytest.mark.parametrize(
    ("platform", "name", "kind"),
    [
        ("linux/amd64", "sm-hosting-amd64", "LINUX_CONTAINER"),
        ("linux/arm64", "sm-hosting-arm64", "ARM_CONTAINER"),
    ],
)
def test_a_platform_has_a_project_of_its_own(platform: str, name: str, kind: str) -> None:
    definition = project_definition(place(platform=platform))
    assert (definition["name"], definition["environment"]["type"]) == (name, kind)
    assert definition["environment"]["privilegedMode"] is True
    assert re.fullmatch(PROJECT_NAME_PATTERN, name)


def test_the_definition_is_a_request_of_aws() -> None:
    definition = project_definition(place(vpc_config=VPC, timeout=301, project_name="team"))
    assert validated_request("codebuild", "CreateProject", definition) == definition
    # Minutes, rounded up: a build has at least the seconds that were asked for.
    assert definition["timeoutInMinutes"] == 6
    assert definition["vpcConfig"] == VPC
    assert "vpcConfig" not in project_definition(place())


def as_aws_has_it(definition: dict[str, Any]) -> dict[str, Any]:
    """Return a project as BatchGetProjects describes it: with the defaults of AWS."""
    environment = {
        **definition["environment"],
        "environmentVariables": [],
        "imagePullCredentialsType": "CODEBUILD",
    }
    return {
        **definition,
        "environment": environment,
        "arn": "arn:…",
        "queuedTimeoutInMinutes": 480,
        "tags": [],
    }


def test_a_project_that_is_as_wanted_does_not_differ() -> None:
    definition = project_definition(place(vpc_config=VPC))
    found = as_aws_has_it(definition)
    found["vpcConfig"] = {**VPC, "subnets": ["subnet-2", "subnet-1"]}
    assert differing(found, definition) == []


@pytest.mark.parametrize(
    ("member", "change"),
    [
        ("environment", {"compute_type": "BUILD_GENERAL1_LARGE"}),
        ("environment", {"image": "aws/codebuild/standard:7.0"}),
        ("serviceRole", {"service_role_arn": f"{ROLE}-2"}),
        ("timeoutInMinutes", {"timeout": 600}),
        ("vpcConfig", {"vpc_config": VPC}),
    ],
)
def test_each_setting_makes_a_difference(member: str, change: dict[str, Any]) -> None:
    found = as_aws_has_it(project_definition(place()))
    assert differing(found, project_definition(place(**change))) == [member]


def test_ours_is_told_by_its_tag() -> None:
    assert is_ours({"tags": [{"key": "a", "value": "b"}, {"key": MANAGED_BY, "value": PACKAGE}]})
    for tags in (None, [], [{"key": MANAGED_BY, "value": "terraform"}]):
        assert not is_ours({"tags": tags})


def test_a_project_of_others_is_used_if_it_can_build() -> None:
    definition = project_definition(place())
    found = as_aws_has_it(definition)
    check_foreign({**found, "serviceRole": "another"}, definition)
    for member, value in (("privilegedMode", False), ("type", "ARM_CONTAINER")):
        environment = {**found["environment"], member: value}
        with pytest.raises(
            ConflictError, match=f"sm-hosting-amd64 was not made by this package.*{member}={value!r}"
        ):
            check_foreign({**found, "environment": environment}, definition)

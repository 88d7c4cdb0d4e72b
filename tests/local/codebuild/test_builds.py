"""Builds of the local CodeBuild really run: commands, phases, failures, secrets, and the Docker engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from airflow_sm_hosting.local import LocalAws
from tests.local.conftest import wait_until
from tests.local_servers import local_server

pytestmark = pytest.mark.engine

ALL = [
    *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD"),
    *("POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"),
]


@pytest.fixture(scope="module")
def aws(docker_client: Any) -> LocalAws:
    aws = local_server("docker")
    aws.reset()
    make_project(aws)
    return aws


def make_project(aws: LocalAws) -> None:
    aws.client("codebuild").create_project(
        name="builds",
        source={"type": "NO_SOURCE", "buildspec": buildspec(build=["exit 9"])},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/standard:7.0",
            "computeType": "BUILD_GENERAL1_SMALL",
            "privilegedMode": True,
        },
        serviceRole="arn:aws:iam::123456789012:role/builds",
    )


def buildspec(variables: dict[str, str] | None = None, **phases: Any) -> str:
    found = {
        name: commands if isinstance(commands, dict) else {"commands": commands}
        for name, commands in phases.items()
    }
    return json.dumps({"version": 0.2, "env": {"variables": variables or {}}, "phases": found})


def begin(aws: LocalAws, spec: str, **request: Any) -> str:
    request = {"projectName": "builds", "buildspecOverride": spec, **request}
    return str(aws.client("codebuild").start_build(**request)["build"]["id"])


def described(aws: LocalAws, build_id: str) -> dict[str, Any]:
    (found,) = aws.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
    return dict(found)


def ended(aws: LocalAws, build_id: str) -> dict[str, Any]:
    return dict(wait_until(lambda: (found := described(aws, build_id)) and found["buildComplete"] and found))


def run(aws: LocalAws, spec: str, **request: Any) -> dict[str, Any]:
    return ended(aws, begin(aws, spec, **request))


def log_of(aws: LocalAws, build: dict[str, Any]) -> list[str]:
    place = build["logs"]
    events = aws.client("logs").get_log_events(
        logGroupName=place["groupName"], logStreamName=place["streamName"], startFromHead=True
    )["events"]
    return [event["message"] for event in events]


def own_lines(aws: LocalAws, build: dict[str, Any]) -> list[str]:
    """Return what the commands wrote."""
    return [line for line in log_of(aws, build) if not line.startswith("[Container] ")]


def statuses(build: dict[str, Any]) -> dict[str, str]:
    return {phase["phaseType"]: phase.get("phaseStatus", "") for phase in build["phases"]}


def contexts(build: dict[str, Any], phase: str) -> list[dict[str, str]]:
    return next(list(one["contexts"]) for one in build["phases"] if one["phaseType"] == phase)


def test_a_build_goes_through_all_phases(aws: LocalAws) -> None:
    build = run(aws, buildspec(build=["echo hello"]))
    assert build["buildStatus"] == "SUCCEEDED"
    assert list(statuses(build)) == ALL
    assert set(statuses(build).values()) == {"SUCCEEDED", ""}
    assert own_lines(aws, build) == ["hello"]
    shown = "\n".join(log_of(aws, build))
    for line in (
        "Entering phase BUILD",
        "Running command echo hello",
        "Phase complete: BUILD State: SUCCEEDED",
    ):
        assert line in shown


def test_commands_share_a_shell(aws: LocalAws) -> None:
    """Of all phases: the folder and the variables, those that are not exported excepted."""
    build = run(
        aws,
        buildspec(
            {"GIVEN": "it's"},
            install=["mkdir -p /tmp/x", "cd /tmp/x", "export MADE='a b'"],
            build=["pwd", 'echo "$MADE $GIVEN $ASKED"'],
        ),
        environmentVariablesOverride=[{"name": "ASKED", "value": '$(exit 3) "`\n'}],
    )
    assert build["buildStatus"] == "SUCCEEDED"
    assert own_lines(aws, build) == ["/tmp/x", "a b it's $(exit 3) \"`", ""]


def test_a_failed_command_ends_its_phase_and_post_build_follows(aws: LocalAws) -> None:
    build = run(
        aws,
        buildspec(
            build={"commands": ["(exit 4)", "echo never"], "finally": ["echo finally"]},
            post_build=['echo "succeeding: $CODEBUILD_BUILD_SUCCEEDING"'],
        ),
    )
    assert build["buildStatus"] == "FAILED"
    assert contexts(build, "BUILD") == [
        {
            "statusCode": "COMMAND_EXECUTION_ERROR",
            "message": "Error while executing command: (exit 4). Reason: exit status 4",
        }
    ]
    assert (statuses(build)["POST_BUILD"], list(statuses(build))) == ("SUCCEEDED", ALL)
    assert own_lines(aws, build) == ["finally", "succeeding: 0"]


@pytest.mark.parametrize("phase", ["install", "pre_build"])
def test_nothing_follows_on_a_failure_before_the_build(aws: LocalAws, phase: str) -> None:
    build = run(aws, buildspec(**{phase: ["false"]}, build=["echo never"], post_build=["echo never"]))
    assert build["buildStatus"] == "FAILED"
    assert list(statuses(build))[-3:] == [phase.upper(), "FINALIZING", "COMPLETED"]
    assert own_lines(aws, build) == []


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("version: 0.2\nphases:\n\tbuild:", "found character"),
        ("version: 0.2\n", "phases"),
        ("version: 0.2\nphases: {build: {commands: [{a: b}]}}", "Expected Commands[0] to be of string type"),
    ],
)
def test_a_buildspec_that_cannot_be_read_fails_the_build(aws: LocalAws, spec: str, message: str) -> None:
    build = run(aws, spec)
    assert build["buildStatus"] == "FAILED"
    [context] = contexts(build, "DOWNLOAD_SOURCE")
    assert context["statusCode"] == "YAML_FILE_ERROR"
    assert message in context["message"]


def test_secrets_are_read_and_not_shown(aws: LocalAws) -> None:
    aws.client("secretsmanager").create_secret(Name="token", SecretString="swordfish")
    aws.client("ssm").put_parameter(Name="/a/b", Value="marlinspike", Type="SecureString")
    variables = [
        {"name": "TOKEN", "value": "token", "type": "SECRETS_MANAGER"},
        {"name": "OTHER", "value": "/a/b", "type": "PARAMETER_STORE"},
    ]
    command = 'test "$TOKEN$OTHER" = swordfishmarlinspike && echo "it is $TOKEN and $OTHER"'
    build = run(aws, buildspec(build=[command]), environmentVariablesOverride=variables)
    assert build["buildStatus"] == "SUCCEEDED"
    assert own_lines(aws, build) == ["it is *** and ***"]
    assert "swordfish" not in json.dumps(build, default=str)
    variables = [{"name": "TOKEN", "value": "absent", "type": "SECRETS_MANAGER"}]
    build = run(aws, buildspec(build=["echo never"]), environmentVariablesOverride=variables)
    assert "absent" in contexts(build, "DOWNLOAD_SOURCE")[0]["message"]


def test_only_a_privileged_build_reaches_docker(aws: LocalAws) -> None:
    spec = buildspec(build=["docker version --format 'engine {{.Server.Os}}'"])
    assert own_lines(aws, run(aws, spec)) == ["engine linux"]
    build = run(aws, spec, privilegedModeOverride=False)
    assert build["buildStatus"] == "FAILED"
    assert "Cannot connect to the Docker daemon" in "\n".join(log_of(aws, build))


def test_a_build_can_be_stopped(aws: LocalAws, docker_client: Any) -> None:
    build_id = begin(aws, buildspec(build=["echo begun", "tail -f /dev/null"]))
    wait_until(lambda: described(aws, build_id)["currentPhase"] == "BUILD")
    aws.client("codebuild").stop_build(id=build_id)
    build = ended(aws, build_id)
    assert (build["buildStatus"], statuses(build)["BUILD"]) == ("STOPPED", "STOPPED")
    assert "POST_BUILD" not in statuses(build)
    named = {"label": f"sm-hosting.local.name=codebuild/{build_id}"}
    wait_until(lambda: not docker_client.containers.list(all=True, ignore_removed=True, filters=named))


def test_a_build_that_takes_too_long_times_out(docker_client: Any) -> None:
    virtual = local_server("docker", clock="virtual")
    virtual.reset()
    make_project(virtual)
    build_id = begin(virtual, buildspec(build=["tail -f /dev/null"]), timeoutInMinutesOverride=5)
    wait_until(lambda: described(virtual, build_id)["currentPhase"] == "BUILD")
    virtual.advance(300)
    assert ended(virtual, build_id)["buildStatus"] == "TIMED_OUT"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"buildspecOverride": '{"version": 0.1, "phases": {}}'}, "version 0.1"),
        (
            {"buildspecOverride": '{"version": 0.2, "phases": {}, "artifacts": {}}'},
            "artifacts of a buildspec",
        ),
        ({"sourceTypeOverride": "S3"}, "source type S3"),
        ({"imageOverride": "debian:12"}, "debian:12"),
        ({"environmentTypeOverride": "WINDOWS_CONTAINER"}, "WINDOWS_CONTAINER"),
        ({"debugSessionEnabled": True}, "debugSessionEnabled"),
    ],
)
def test_what_is_not_there_is_told(aws: LocalAws, request_: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said) as caught:
        begin(aws, buildspec(build=["true"]), **request_)
    assert caught.value.response["Error"]["Code"] == "NotImplemented"


def test_the_stand_in_for_the_aws_cli_has_two_commands(aws: LocalAws) -> None:
    aws.client("s3").create_bucket(Bucket="stand-in")
    aws.client("s3").put_object(Bucket="stand-in", Key="a/b c", Body=b"content")
    build = run(
        aws,
        buildspec(
            build=[
                "aws s3 cp --no-progress 's3://stand-in/a/b c' /tmp/f && cat /tmp/f && echo",
                'aws ecr get-login-password --region "$AWS_REGION" | docker login --username AWS --password-stdin '
                f"{aws.endpoint_url.removeprefix('http://')} 2>/dev/null",
                "aws ec2 describe-instances; test $? = 252",
                "aws s3 cp s3://stand-in/absent /tmp/g; test $? = 254",
            ]
        ),
    )
    assert build["buildStatus"] == "SUCCEEDED", log_of(aws, build)
    lines = own_lines(aws, build)
    assert "content" in lines
    assert "Login Succeeded" in lines
    assert any("stand-in of the local AWS" in line for line in lines)

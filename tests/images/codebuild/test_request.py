"""The request of a build: its commands, run by a shell with a docker that writes down what it is asked for."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from airflow_sm_hosting.images.codebuild.project import BuildPlace
from airflow_sm_hosting.images.codebuild.request import image_of, public_arguments, start_request
from airflow_sm_hosting.images.context import BuildContext
from airflow_sm_hosting.images.recipe import BuildRecipe
from airflow_sm_hosting.service_model.request import validated_request

HOST = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_HOST = "763104351884.dkr.ecr.us-east-1.amazonaws.com"
TARGET = f"{HOST}/churn:sm-hosting-1"
PLACE = BuildPlace(
    service_role_arn="arn:aws:iam::111122223333:role/builds", bucket="builds", platform="linux/amd64"
)
URI = "s3://builds/sm-hosting-builds/1.tar.gz"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("context")
    (path / "Dockerfile").write_text(
        f"ARG BASE=base\nFROM {OTHER_HOST}/$BASE\nCOPY --from={HOST}/tools /a /b\n"
    )
    return path


def recipe(folder: Path, **options: Any) -> BuildRecipe:
    return BuildRecipe(context=BuildContext(folder), **options)


def request_of(made: BuildRecipe, place: BuildPlace = PLACE, after: str | None = None) -> dict[str, Any]:
    return start_request(made, place, image=TARGET, context_uri=URI, after=after)


def variables(request: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in request["environmentVariablesOverride"]}


class Shell:
    """Runs the commands of a buildspec with programs that write down their arguments.

    :param folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("docker", "aws"):
            program = folder / name
            # Each argument ends with a zero byte, and so does each call.
            program.write_text(
                "#!/bin/sh\n"
                # In a file of its own, as both ends of a pipe run at once.
                f'printf "%s\\0" {name} "$@" "" >> "$CALLS-{name}"\n'
                'case "$2" in inspect) echo "$FOUND";; get-login-password) echo secret;; esac\n'
                'case "$*" in *"$FAILS"*) exit 3;; esac\n'
            )
            program.chmod(0o755)

    def run(
        self,
        request: dict[str, Any],
        *,
        found: str = "linux/amd64",
        fails: str = "nothing that a test asks for",
    ) -> tuple[list[list[str]], int]:
        """Return all calls, those of aws first, and the exit code of the first command that failed."""
        calls = [self.folder / "calls-aws", self.folder / "calls-docker"]
        for file in calls:
            file.write_bytes(b"")
        environment = {
            "PATH": f"{self.folder}:/usr/bin:/bin",
            "CALLS": str(self.folder / "calls"),
            "FOUND": found,
            "FAILS": fails,
            "AWS_REGION": "eu-west-1",
            **variables(request),
        }
        code = 0
        for phase in json.loads(request["buildspecOverride"])["phases"].values():
            for command in phase["commands"]:
                # The context is not there; nobody reads it.
                command = command.replace("< /tmp/sm-hosting-context.tar.gz", "< /dev/null")
                code = (
                    code
                    or subprocess.run(
                        ["sh", "-c", command], env=environment, capture_output=True, check=False
                    ).returncode
                )
        return [
            [part.decode() for part in call.split(b"\0")]
            for file in calls
            for call in file.read_bytes().split(b"\0\0")
            if call
        ], code


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    return Shell(tmp_path_factory.mktemp("programs"))


def test_the_request_is_one_of_aws(folder: Path) -> None:
    made = recipe(folder, build_args={"A": "1"}, target="stage", labels={"b": "2"}, cache_from=("c",))
    request = request_of(made)
    assert validated_request("codebuild", "StartBuild", request) == request
    assert (
        image_of({"environment": {"environmentVariables": request["environmentVariablesOverride"]}}) == TARGET
    )
    assert image_of({"environment": {}}) is None


def test_the_image_is_built_from_the_context_and_pushed(folder: Path, shell: Shell) -> None:
    calls, code = shell.run(request_of(recipe(folder)))
    assert code == 0
    assert calls == [
        ["aws", "s3", "cp", "--no-progress", URI, "/tmp/sm-hosting-context.tar.gz"],
        ["aws", "ecr", "get-login-password", "--region", "eu-west-1"],
        ["aws", "ecr", "get-login-password", "--region", "us-east-1"],
        ["docker", "login", "--username", "AWS", "--password-stdin", HOST],
        ["docker", "login", "--username", "AWS", "--password-stdin", OTHER_HOST],
        ["docker", "build", "--tag", TARGET, "--file", "Dockerfile", "--platform", "linux/amd64", "-"],
        ["docker", "image", "inspect", "--format", "{{.Os}}/{{.Architecture}}", TARGET],
        ["docker", "push", TARGET],
    ]


# A value may have everything but a zero byte; sh drops no character of what is quoted.
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30)


@given(
    values=st.lists(TEXT, max_size=3),
    labels=st.lists(TEXT, max_size=2),
    target=st.none() | TEXT,
    caches=st.lists(TEXT, max_size=2),
)
def test_no_value_is_read_by_the_shell(
    folder: Path, shell: Shell, values: list[str], labels: list[str], target: str | None, caches: list[str]
) -> None:
    made = recipe(
        folder,
        build_args={f"ARG{number}": value for number, value in enumerate(values)},
        labels={f"label{number}": value for number, value in enumerate(labels)},
        target=target,
        cache_from=tuple(caches),
    )
    request = request_of(made)
    for value in (*values, *labels, *caches, *([target] if target else [])):
        assert len(value) < 4 or value not in request["buildspecOverride"]
    calls, code = shell.run(request)
    [built] = [call for call in calls if call[:2] == ["docker", "build"]]
    assert code == 0
    assert built == [
        *("docker", "build", "--tag", TARGET, "--file", "Dockerfile", "--platform", "linux/amd64"),
        *(["--target", target] if target else []),
        *(part for number, value in enumerate(values) for part in ("--build-arg", f"ARG{number}={value}")),
        *(part for number, value in enumerate(labels) for part in ("--label", f"label{number}={value}")),
        *(part for value in caches for part in ("--cache-from", value)),
        "-",
    ]


def test_an_image_for_another_platform_is_not_pushed(folder: Path, shell: Shell) -> None:
    calls, code = shell.run(request_of(recipe(folder)), found="linux/arm64")
    assert code == 1
    assert [call for call in calls if call[1] == "push"] == []


def test_only_the_login_to_the_own_registry_must_succeed(folder: Path, shell: Shell) -> None:
    request = request_of(recipe(folder))
    assert shell.run(request, fails="--password-stdin 7631")[1] == 0
    calls, code = shell.run(request, fails=f"--password-stdin {HOST}")
    assert code == 3
    assert [call for call in calls if call[1] == "build"] == []


def test_secrets_are_references_only(folder: Path, shell: Shell) -> None:
    secrets = ({"name": "pip-conf", "type": "SECRETS_MANAGER", "value": "pip:conf"},)
    place = BuildPlace(
        service_role_arn=PLACE.service_role_arn, bucket="builds", platform="linux/amd64", secrets=secrets
    )
    request = request_of(recipe(folder), place)
    assert {"name": "SM_HOSTING_SECRET_0", "value": "pip:conf", "type": "SECRETS_MANAGER"} in request[
        "environmentVariablesOverride"
    ]
    [built] = [call for call in shell.run(request)[0] if call[1] == "build"]
    assert built[-3:] == ["--secret", "id=pip-conf,env=SM_HOSTING_SECRET_0", "-"]


def test_the_token_is_that_of_the_content_and_of_the_builds_before(folder: Path) -> None:
    token = request_of(recipe(folder))["idempotencyToken"]
    assert request_of(recipe(folder))["idempotencyToken"] == token
    others = {
        request_of(recipe(folder), after="builds:1")["idempotencyToken"],
        request_of(recipe(folder), after="builds:2")["idempotencyToken"],
        request_of(recipe(folder, build_args={"A": "1"}))["idempotencyToken"],
    }
    assert len({token, *others}) == 4


def test_only_arguments_in_the_names_of_images_are_shown(folder: Path) -> None:
    made = recipe(folder, build_args={"BASE": "pytorch-inference", "TOKEN": "swordfish"})
    assert public_arguments(made) == ["BASE"]

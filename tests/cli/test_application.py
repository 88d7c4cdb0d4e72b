"""The root of the command line: exit codes, what it imports, what it prints into pipes and terminals, completion."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from airflow_sm_hosting import __version__, cli
from airflow_sm_hosting.cli.application import COMMANDS, sm_hosting
from airflow_sm_hosting.local import LocalAws
from tests.cli.conftest import in_a_process
from tests.operators.conftest import make_config, make_endpoint, make_model

#: What costs a start of a command that does not need it.
HEAVY = ("boto3", "botocore", "airflow", "docker", "moto", "rich", "tenacity", "psutil")


def heavy_modules_of(*arguments: str, **variables: str) -> list[str]:
    """Return the heavy modules that a command imports."""
    script = (
        "import sys\nfrom airflow_sm_hosting.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *sorted({{name.split('.')[0] for name in sys.modules}} & set({HEAVY})))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.rpartition("HEAVY")[2].split()


def commands(command: click.Command, *path: str) -> dict[tuple[str, ...], click.Command]:
    """Return a command and all below it, by their names."""
    found = {path: command}
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found |= commands(command.get_command(context, name), *path, name)
    return found


ALL = commands(sm_hosting)


@pytest.mark.parametrize(
    "arguments", [("--version",), ("--help",), ("local", "--help"), ("endpoint", "--help")]
)
def test_help_and_version_start_without_boto3_and_airflow(arguments: tuple[str, ...]) -> None:
    assert heavy_modules_of(*arguments) == []


@pytest.mark.parametrize("words", ["sm-hosting ", "sm-hosting endpoint ", "sm-hosting endpoint show --"])
def test_completion_starts_without_boto3_and_airflow(words: str) -> None:
    variables = {
        "_SM_HOSTING_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
    }
    assert heavy_modules_of(**variables) == []
    done = in_a_process(env=variables)
    assert {"sm-hosting ": "endpoint", "sm-hosting endpoint ": "rollback"}.get(words, "--json") in done.stdout


def test_the_version_is_that_of_the_package() -> None:
    assert in_a_process("--version").stdout == f"sm-hosting, version {__version__}\n"


def test_names_of_endpoints_are_completed(aws: LocalAws) -> None:
    make_model(aws)
    make_config(aws, "a")
    for name in ("churn", "chat", "other"):
        make_endpoint(aws, "a", name)
    words = {
        "_SM_HOSTING_COMPLETE": "bash_complete",
        "COMP_WORDS": "sm-hosting endpoint show ch",
        "COMP_CWORD": "3",
    }
    assert in_a_process(aws=aws, env=words).stdout.split() == ["plain,chat", "plain,churn"]
    unreachable = {**words, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    done = in_a_process(env=unreachable)
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_its_script(shell: str) -> None:
    done = in_a_process(env={"_SM_HOSTING_COMPLETE": f"{shell}_source"})
    assert "_SM_HOSTING_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--version",), 0),
        (("endpoint",), 2),
        (("frob",), 2),
        (("endpoint", "show"), 2),
        (("endpoint", "list", "--frob"), 2),
        (("endpoint", "show", "x", "--local", "--port", "1"), 3),
        (("local", "reset", "--port", "1"), 3),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int, tmp_path: Path) -> None:
    done = in_a_process(*arguments, env={"SM_HOSTING_STATE_DIR": str(tmp_path)})
    assert done.returncode == code, done
    assert (done.stderr == "") == (code == 0)
    assert "Traceback" not in done.stderr


def test_what_aws_refuses_is_1_in_one_line() -> None:
    """Nothing listens there: an error of botocore."""
    done = in_a_process(
        *("endpoint", "list", "--endpoint-url", "http://127.0.0.1:1"),
        env={"AWS_MAX_ATTEMPTS": "1"},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"EndpointConnectionError: .*\n", done.stderr)


@pytest.mark.parametrize("path", [path for path, one in ALL.items() if not isinstance(one, click.Group)])
def test_every_command_has_json_and_every_option_has_help(path: tuple[str, ...]) -> None:
    options = [one for one in ALL[path].params if isinstance(one, click.Option)]
    assert "--json" in [name for one in options for name in one.opts]
    assert [one.name for one in options if not one.help] == []


def test_the_root_tells_of_each_command_what_the_command_tells() -> None:
    for name, (_, text) in COMMANDS.items():
        assert ALL[name,].help.partition("\n")[0] == text


def test_a_pipe_that_is_closed_early_is_no_traceback(aws: LocalAws) -> None:
    script = f"{sys.executable} -m airflow_sm_hosting.cli endpoint list --help | true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("variables", "is_coloured"), [({"NO_COLOR": ""}, True), ({"NO_COLOR": "1"}, False)], ids=str
)
def test_colours_are_for_terminals_and_not_with_no_color(
    aws: LocalAws, variables: dict[str, str], is_coloured: bool
) -> None:
    make_model(aws)
    make_config(aws, "a")
    make_endpoint(aws, "a")
    command = [sys.executable, "-m", "airflow_sm_hosting.cli", "endpoint", "show", "churn"]
    environment = {**os.environ, **aws.environment(), "TERM": "xterm-256color", "COLUMNS": "120", **variables}
    master, terminal = pty.openpty()
    try:
        subprocess.run(command, env=environment, stdout=terminal, check=True, timeout=60)
        drawn = os.read(master, 65_536).decode()
    finally:
        os.close(terminal)
        os.close(master)
    assert "InService" in drawn
    assert ("\x1b[" in drawn) == is_coloured
    in_a_pipe = in_a_process("endpoint", "show", "churn", aws=aws, env=variables).stdout
    assert "InService" in in_a_pipe
    assert "\x1b" not in in_a_pipe


def test_main_returns_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert cli.main(["frob"]) == 2
    assert "No such command 'frob'" in capsys.readouterr().err


def test_json_is_one_document_on_standard_output(aws: LocalAws) -> None:
    done = in_a_process("endpoint", "list", "--json", aws=aws)
    assert (json.loads(done.stdout), done.stderr) == ([], "")


def test_ctrl_c_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("airflow_sm_hosting.cli.endpoint_reading.listed_endpoints", interrupted)
    result = CliRunner().invoke(sm_hosting, ["endpoint", "list"])
    assert result.exit_code == 1
    assert "Aborted" in result.stderr

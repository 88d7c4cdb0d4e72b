"""docs/cli.md is what the commands are; and every command line in the documentation exists."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest

from airflow_sm_hosting.cli.container_logs import LogLine
from airflow_sm_hosting.cli.endpoint_view import DeploymentView, EndpointView
from airflow_sm_hosting.deployment.decision import Action, Decision
from airflow_sm_hosting.deployment.deployment_plan import DeploymentPlan
from tests.cli.test_application import ALL
from tests.cli.test_drawing import HEALTHY

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "cli.md"


def test_the_page_is_current() -> None:
    script: dict[str, Any] = runpy.run_path(str(ROOT / "scripts" / "cli-page"))
    page = PAGE.read_text()
    assert page == script["page"](page.partition(script["MARKER"])[0]), "run scripts/cli-page"


def members_on_the_page(command: str) -> list[str]:
    row = next(line for line in PAGE.read_text().splitlines() if line.startswith(f"| `{command}`"))
    return re.findall(r"`([a-z_, ]+)`", row.split("|")[2])[0].split(", ")


@pytest.mark.parametrize(
    ("command", "members"),
    [
        ("endpoint show", [one.name for one in fields(EndpointView)]),
        ("endpoint history", [one.name for one in fields(DeploymentView)]),
        (
            "endpoint list",
            list(HEALTHY.summary()),
        ),
        (
            "endpoint plan",
            list(DeploymentPlan(Decision(Action.UPDATE, "x"), "x", "x", "x").as_json()),
        ),
        ("endpoint logs", ["time", *LogLine._fields[1:]]),
    ],
)
def test_the_members_of_json_are_those_on_the_page(command: str, members: list[str]) -> None:
    assert members_on_the_page(command) == members


def command_lines() -> Iterator[tuple[str, str]]:
    """Yield the command lines in code blocks of the documentation, by page."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for block in re.findall(r"^```(?:bash|sh)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                for found in re.findall(r"sm-hosting [a-z][^)\n]*", line.partition("  #")[0]):
                    yield page.name, found.strip()


def test_every_command_line_in_the_documentation_exists() -> None:
    lines = list(command_lines())
    assert len(lines) > 10
    for page, line in lines:
        words = shlex.split(line.rstrip('"'))[1:]
        path: tuple[str, ...] = ()
        while words and isinstance(ALL[path], click.Group):
            path = (*path, words.pop(0))
            assert path in ALL, (page, line)
        options = {name for one in ALL[path].params for name in (*one.opts, *one.secondary_opts)}
        used = {word.partition("=")[0] for word in words if word.startswith("-") and word != "-"}
        assert used <= options, (page, line)


def test_the_picture_of_show_is_what_is_drawn() -> None:
    picture = PAGE.read_text().partition("`show` in a terminal:\n\n```\n")[2].partition("```")[0]
    golden = (Path(__file__).parent / "golden" / "show_healthy.txt").read_text().splitlines()
    lines = picture.splitlines()
    assert len(lines) > 5
    assert [line for line in lines if line not in golden] == []

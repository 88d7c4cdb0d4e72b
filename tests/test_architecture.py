"""``docs/architecture.md`` and its picture: every module, class, function, file, folder and tag that they name exists."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import airflow_sm_hosting
from airflow_sm_hosting.deployment import scaling_snapshot
from airflow_sm_hosting.service_model.shapes import service_model
from airflow_sm_hosting.spec import tags

ROOT = Path(__file__).parent.parent
PACKAGE = Path(airflow_sm_hosting.__file__).parent
PAGE = ROOT / "docs" / "architecture.md"
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
CODE = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")
SVG = "{http://www.w3.org/2000/svg}"

#: The page stands for the part of the package that deploys.
ELSEWHERE = {"local", "testing"}


@cache
def modules_by_name() -> dict[str, list[str]]:
    """Return the modules that define each top-level name."""
    found: dict[str, list[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ELSEWHERE:
            continue
        for name in defined_in(path):
            found.setdefault(name, []).append(".".join(["airflow_sm_hosting", *parts]))
    return found


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Return the top-level names that a file defines."""
    names: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            names.add(node.target.id)
    return frozenset(names)


def is_there(name: str) -> bool:
    """Tell whether a name on the page stands for something."""
    if name.startswith("sm-hosting:"):
        return name in [*vars(tags).values(), scaling_snapshot.SNAPSHOT_TAG]
    if "/" in name:
        places = [PACKAGE / name, ROOT / name]
        return any(place.is_dir() if name.endswith("/") else place.is_file() for place in places)
    if name.startswith("airflow_sm_hosting."):
        try:
            import_module(name)
        except ImportError:
            return False
        return True
    first, *members = name.split(".")
    for module in modules_by_name().get(first, []):
        if has_members(getattr(import_module(module), first), members):
            return True
    return name in service_model("sagemaker").operation_names


def has_members(value: Any, members: list[str]) -> bool:
    """Tell whether a value has a member, which has the next one, and so on."""
    for member in members:
        if not hasattr(value, member):
            return False
        value = getattr(value, member)
    return True


def names_of_the_picture() -> Iterator[str]:
    for element in ElementTree.parse(PICTURE).iter():
        text = (element.text or "").strip()
        if element.get("class") == "name":
            yield from text.split(", ")
        elif element.tag == f"{SVG}text":
            yield from re.findall(r"\w+/", text)


def wrong_rows(page: str) -> Iterator[str]:
    """Find what a row of the table of modules names, and its modules do not have."""
    for line in page.splitlines():
        cells = [CODE.findall(cell) for cell in line.strip("|").split(" | ")] if line.startswith("| ") else []
        if not cells or not cells[0] or not all(name.endswith(".py") for name in cells[0]):
            continue
        there = {name for path in cells[0] for name in defined_in(PACKAGE / path)}
        yield from (name for name in cells[1] if "/" not in name and name not in there)


def test_every_name_on_the_page_is_there() -> None:
    names = CODE.findall(PAGE.read_text())
    assert len(names) > 60
    assert [name for name in names if not is_there(name)] == []


def test_every_name_in_the_picture_is_there() -> None:
    names = list(names_of_the_picture())
    assert {"plan", "StepRunner.apply", "deployment/"} <= set(names)
    assert [name for name in names if not is_there(name)] == []


def test_the_table_names_the_modules_that_have_it() -> None:
    page = PAGE.read_text()
    assert "| `deployment/planning.py` | `plan`" in page
    assert list(wrong_rows(page)) == []
    assert list(wrong_rows("| `deployment/planning.py` | `plan`, `StepRunner` |")) == ["StepRunner"]


@pytest.mark.parametrize(
    "name",
    [
        "EndpointUpdater",
        "plan_everything",
        "Observer.guess",
        "StepRunner.apply.twice",
        "deployment/marks.py",
        "deployments/",
        "deployment/planning.py/",
        "airflow_sm_hosting.deployment.marks",
        "sm-hosting:no-such-tag",
        "DescribeNothing",
        "two words",
    ],
)
def test_a_name_that_is_made_up_is_found_out(name: str) -> None:
    assert not is_there(name)


def test_the_links_of_the_page_lead_somewhere() -> None:
    links = [link for link, _ in LINK.findall(PAGE.read_text())]
    assert len(links) >= 3
    assert [link for link in links if not (PAGE.parent / link).exists()] == []


def test_the_page_is_one_screen_and_is_linked() -> None:
    assert len(PAGE.read_text().splitlines()) <= 80
    assert "(architecture.md)" in (ROOT / "docs" / "index.md").read_text()
    assert "(docs/architecture.md)" in (ROOT / "README.md").read_text()

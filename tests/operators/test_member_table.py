"""docs/members.md: every member of AWS's requests can be given, or has a reason, and the page is that of the installed botocore."""

from __future__ import annotations

import re
import runpy
from functools import cache
from pathlib import Path
from typing import Any

import botocore
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "members.md"


@cache
def script() -> dict[str, Any]:
    return runpy.run_path(str(ROOT / "scripts" / "member-table"))


@cache
def table() -> dict[Any, list[tuple[str, str, str]]]:
    made: dict[Any, list[tuple[str, str, str]]] = script()["table"]()
    return made


def members_of(page: str) -> set[str]:
    """Return the members that a page has rows for, with their operation."""
    found, operation = set(), ""
    for line in page.splitlines():
        if line.startswith("## "):
            operation = line[3:]
        elif row := re.match(r"\| `([^`]+)` \|", line):
            found.add(f"{operation}.{row[1]}")
    return found


def test_every_member_can_be_given_or_has_a_reason() -> None:
    lacking = [
        f"{operation.name}.{path}"
        for operation, rows in table().items()
        for path, kind, _ in rows
        if kind == "nothing"
    ]
    assert not lacking, f"new in botocore {botocore.__version__}, or without a parameter: {lacking}"


def test_the_page_is_current() -> None:
    page, wanted = PAGE.read_text(), script()["page"](table())
    new = sorted(members_of(wanted) - members_of(page))
    assert not new, (
        f"run scripts/member-table: botocore {botocore.__version__} has {new}, which the page has not"
    )
    if f"botocore {botocore.__version__};" in page:
        assert page == wanted, "run scripts/member-table"


def test_a_member_that_botocore_adds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    names = script()
    (operation,) = [one for one in names["OPERATIONS"] if one.name == "DeleteInferenceComponent"]
    shape = names["input_shape"](operation.service, operation.name)
    shapes = {(): shape}
    assert names["how"](operation, ("InferenceComponentName",), shapes)[0] == "keyword"
    assert names["how"](operation, ("Velocity",), shapes) == ("nothing", "**cannot be given**")


def test_a_reason_for_a_member_that_is_not_there_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(script()["table"].__globals__["REASONS"], "CreateModel.Velocity", "none")
    with pytest.raises(SystemExit, match=r"CreateModel\.Velocity"):
        script()["table"]()


def test_a_keyword_is_known_from_what_its_object_makes() -> None:
    keywords = script()["keywords"]
    assert keywords("Routing") == {
        ("RoutingStrategy",): "strategy",
        ("PrefixAwareRoutingConfig", "PrefixLength"): "prefix_length",
        ("PrefixAwareRoutingConfig", "ConcurrencyThreshold"): "concurrency_threshold",
    }
    assert (
        keywords("ServerlessProductionVariant")["ServerlessConfig", "MemorySizeInMB"] == "memory_size_in_mb"
    )
    with pytest.raises(AttributeError):
        keywords("Nothing")


def test_every_object_stands_in_the_table_of_its_structure() -> None:
    """What an object makes are members of the structure that it is listed for."""
    names = script()
    structures: dict[str, Any] = {}
    for operation in names["OPERATIONS"]:
        shape = names["input_shape"](operation.service, operation.name)
        structures[shape.name] = shape
        structures |= {inner.name: inner for _, inner in names["paths"](shape) if inner is not None}
    for structure, kinds in names["OBJECTS"].items():
        known = {path for path, _ in names["paths"](structures[structure])}
        for kind in kinds:
            made = set(names["keywords"](kind))
            unknown = made - known
            # A rollout of components has the members of one of endpoints that components have, too.
            assert not unknown or kind == "Rolling", f"{kind} makes {unknown}, which {structure} has not"

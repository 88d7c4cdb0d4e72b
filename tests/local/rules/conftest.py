"""Each rule is tested on the local AWS and on plain moto, in one run.

A rule that moto does not follow is a failure only if ``docs/local-aws-rules.md`` says that moto follows it, and vice versa.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from airflow_sm_hosting.local import LocalAws
from tests.local.rules import outcomes
from tests.local.rules.cloud import Cloud, moto_cloud, our_cloud

#: Whether plain moto follows each rule, by the name of its test.
MOTO = pytest.StashKey[dict[str, bool]]()
#: Whether the page is being written, so that results are not compared with it.
WRITING = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("slow")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "cloud" in metafunc.fixturenames:
        metafunc.parametrize("cloud", ["ours", "moto"], indirect=True)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, Any, Any]:
    is_moto = hasattr(pyfuncitem, "callspec") and pyfuncitem.callspec.params.get("cloud") == "moto"
    if not is_moto or Path(__file__).parent not in pyfuncitem.path.parents:
        return (yield)
    rule = outcomes.rule_of(pyfuncitem.function)
    problem: BaseException | None = None
    try:
        yield
    except (Exception, pytest.fail.Exception) as error:
        problem = error
    config = pyfuncitem.config
    obeyed = config.stash.setdefault(MOTO, {})
    obeyed[rule.name] = obeyed.get(rule.name, True) and problem is None
    if not config.stash.get(WRITING, False):
        expected = _told(rule)
        assert expected is not None, (
            "docs/local-aws-rules.md does not have this rule: run python -m tests.local.rules.write_page"
        )
        assert (problem is None) is expected, (
            f"docs/local-aws-rules.md says that moto {'follows' if expected else 'does not follow'} this rule: {problem!r}"
        )
    return True


@cache
def _page() -> dict[tuple[str, str], bool]:
    return outcomes.told_of_moto()


def _told(rule: outcomes.Rule) -> bool | None:
    return _page().get(outcomes.key(rule))


@pytest.fixture(scope="session")
def _ours() -> Iterator[Cloud]:
    # Transitions take a second of a clock that stands still: what goes on can be looked at.
    with LocalAws(engine="none", transition_seconds=1, clock="virtual") as aws:
        yield our_cloud(aws)


@pytest.fixture(scope="session")
def _moto() -> Iterator[Cloud]:
    with moto_cloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(request: pytest.FixtureRequest) -> Cloud:
    """The local AWS in virtual time and without containers, or plain moto; empty."""
    found: Cloud = request.getfixturevalue(f"_{request.param}")
    found.reset()
    return found

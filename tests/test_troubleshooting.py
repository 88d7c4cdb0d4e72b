"""``docs/troubleshooting.md``: an entry for each error and for each known reason, no other entry, and a link from each error."""

from __future__ import annotations

import copy
import logging
import pickle
import re
import traceback
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

import pytest

import airflow_sm_hosting
from airflow_sm_hosting import exceptions
from airflow_sm_hosting.deployment.remedies import Cause, remedy
from airflow_sm_hosting.exceptions import (
    TROUBLESHOOTING,
    ConflictError,
    DeploymentRolledBackError,
    InvalidSpecError,
    SageMakerHostingError,
)
from airflow_sm_hosting.guarded_task import GuardedTask, TaskKilledError

PAGE = Path(__file__).parent.parent / "docs" / "troubleshooting.md"
AWS_PAGE = re.compile(r"https://docs\.aws\.amazon\.com/[^\s)]+")


@cache
def sections() -> dict[str, dict[str, str]]:
    """Return the entries of the page, by the heading of their section."""
    found: dict[str, dict[str, str]] = {}
    for section in re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]:
        heading, _, rest = section.partition("\n")
        entries = re.split(r"^### ", rest, flags=re.MULTILINE)[1:]
        found[heading] = {name: text for name, _, text in (entry.partition("\n") for entry in entries)}
    return found


def anchor(heading: str) -> str:
    """Return GitHub's anchor of a heading of letters and spaces."""
    return heading.lower().replace(" ", "-")


def anchors() -> set[str]:
    return {anchor(heading) for entries in sections().values() for heading in entries}


def error_classes() -> list[type[SageMakerHostingError]]:
    """Return all errors of the package, those of inner modules included."""
    for module in walk_packages(airflow_sm_hosting.__path__, "airflow_sm_hosting."):
        if not module.name.startswith(("airflow_sm_hosting.local", "airflow_sm_hosting.testing")):
            import_module(module.name)
    found: list[type[SageMakerHostingError]] = [SageMakerHostingError]
    for one in found:
        found += one.__subclasses__()
    return [one for one in found if one.__module__.startswith("airflow_sm_hosting.")]


def public_errors() -> list[str]:
    return [one.__name__ for one in error_classes() if one.__module__ == exceptions.__name__]


def test_each_error_has_an_entry_and_each_entry_an_error() -> None:
    assert sorted(sections()["Errors"]) == sorted(public_errors())
    assert len(public_errors()) == len(set(public_errors())) > 10
    assert TaskKilledError.__name__ in sections()["Other errors"]


def test_each_known_reason_has_an_entry_and_each_entry_a_reason() -> None:
    assert sorted(map(anchor, sections()["Reasons of SageMaker"])) == sorted(map(anchor, Cause))


@pytest.mark.parametrize("cause", Cause)
def test_a_reasons_entry_names_the_page_of_its_remedy(cause: Cause) -> None:
    entry = next(
        text for name, text in sections()["Reasons of SageMaker"].items() if anchor(name) == anchor(cause)
    )

    assert AWS_PAGE.findall(entry) == [page.rstrip(".") for page in AWS_PAGE.findall(remedy(cause))]


def test_each_entry_has_a_cause_and_a_way_out() -> None:
    entries = [(name, text) for found in sections().values() for name, text in found.items()]

    assert len({name for name, _ in entries}) == len(entries)
    assert [
        name
        for name, text in entries
        if len(re.findall(r"^\*\*Cause\.\*\* \S", text, re.MULTILINE)) != 1
        or len(re.findall(r"^\*\*What to do\.\*\* \S", text, re.MULTILINE)) != 1
    ] == []


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.__name__)
def test_each_error_links_to_an_entry(kind: type[SageMakerHostingError]) -> None:
    error = kind("It failed.")

    page, _, fragment = error.docs_url.partition("#")
    assert page == TROUBLESHOOTING
    assert fragment in anchors()
    assert "".join(traceback.format_exception(error)).endswith(
        f"It failed.\nHow to resolve it: {error.docs_url}\n"
    )
    assert str(error) == "It failed."


@pytest.mark.parametrize("cause", Cause)
def test_a_deployment_that_failed_for_a_known_reason_links_to_the_reason(cause: Cause) -> None:
    error = DeploymentRolledBackError("It was rolled back.", cause=str(cause))

    assert error.docs_url == f"{TROUBLESHOOTING}#{anchor(cause)}"
    assert anchor(cause) in anchors()
    assert error.__notes__ == [f"How to resolve it: {error.docs_url}"]


def test_a_copied_error_has_its_link_once() -> None:
    error = DeploymentRolledBackError("It was rolled back.", cause=str(Cause.PING))

    for one in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(one), one.cause, one.__notes__) == (str(error), error.cause, error.__notes__)


def test_an_error_at_parse_links_to_its_entry() -> None:
    with pytest.raises(InvalidSpecError) as raised:
        airflow_sm_hosting.Canary(size=0, wait_interval=60)

    assert raised.value.__notes__ == [f"How to resolve it: {TROUBLESHOOTING}#invalidspecerror"]


class Task(GuardedTask):
    """A task that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def execute(self) -> None:
        """Resume at once, as a task that did not have to wait."""
        self.execute_complete()

    def execute_complete(self) -> None:
        """Fail."""
        raise self.error


@pytest.mark.parametrize("entry", ["execute", "execute_complete"])
def test_a_tasks_log_has_the_link_once(entry: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR), pytest.raises(ConflictError):
        getattr(Task(ConflictError("Another tool created it.")), entry)()

    assert caplog.messages == [
        f"How to resolve it: {TROUBLESHOOTING}#conflicterror",
        "Another tool created it.",
    ]


def test_a_tasks_log_has_no_link_for_errors_of_others(caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(OSError, match="no space left"):
        Task(OSError("no space left")).execute()

    assert caplog.messages == ["OSError: no space left"]

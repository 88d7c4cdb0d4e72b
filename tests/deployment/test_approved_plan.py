"""Whether a deployment is still the one that a person has approved."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_sm_hosting.deployment.approved_plan import approval_of, approval_problem, is_asked
from airflow_sm_hosting.deployment.decision import Action
from airflow_sm_hosting.deployment.wanted import Wanted

PLAN = {"action": "update", "serving": "a", "target": "b"}
APPROVAL = approval_of(PLAN, asked=True, by="ann", at="2026-11-30T10:00:00+00:00")


def problem(
    serving: str | None, action: Action = Action.UPDATE, target: str | None = "b", **given: Any
) -> str | None:
    described = {"EndpointConfigName": serving} if serving else None
    return approval_problem(described, Wanted("churn", target, **{"approval": APPROVAL, **given}), action)


@pytest.mark.parametrize("action", Action)
def test_a_person_is_asked_where_something_changes(action: Action) -> None:
    assert is_asked({"action": str(action)}) is (action in ("create", "update", "replace", "wait"))


def test_an_approval_tells_who_and_what() -> None:
    assert APPROVAL == {
        "serving": "a",
        "target": "b",
        "asked": True,
        "approved_by": "ann",
        "approved_at": "2026-11-30T10:00:00+00:00",
    }


@pytest.mark.parametrize("serving", ["a", "b", "c"], ids=["as planned", "own deployment", "own fallback"])
def test_what_was_planned_and_what_this_deployment_brought_may_serve(serving: str) -> None:
    assert problem(serving, fallbacks=("c",)) is None


@pytest.mark.parametrize("action", [Action.CREATE, Action.UPDATE, Action.REPLACE])
def test_another_deployment_meanwhile_ends_the_approval(action: Action) -> None:
    found = problem("c", action)
    assert found is not None
    assert found.startswith("endpoint churn serves config c; when the plan was made, it served config a.")


def test_an_endpoint_that_came_or_went_meanwhile_ends_the_approval() -> None:
    assert "churn does not exist; when the plan was made, it served config a" in str(
        problem(None, Action.CREATE)
    )
    new = approval_of({"action": "create", "serving": None, "target": "b"}, asked=True)
    assert problem(None, Action.CREATE, approval=new) is None
    assert "serves config c; when the plan was made, it did not exist" in str(problem("c", approval=new))


def test_an_approval_of_another_config_is_none() -> None:
    assert "is for config b, requested is c" in str(problem("a", target="c"))
    assert problem("a", target=None) is None, "a rollback finds its config itself"


@pytest.mark.parametrize("action", [Action.UNCHANGED, Action.JOIN, Action.WAIT, Action.OVERTAKEN])
def test_what_changes_nothing_needs_no_approval(action: Action) -> None:
    assert problem("c", action) is None


def test_without_an_approval_there_is_nothing_to_hold() -> None:
    assert problem("c", approval=None) is None

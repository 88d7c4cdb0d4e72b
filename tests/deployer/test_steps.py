"""Each operation that changes something is named by one step class and made by one adapter."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore import xform_name

from airflow_sm_hosting.deployer.adapters import ADAPTERS
from airflow_sm_hosting.deployment import steps
from airflow_sm_hosting.deployment.steps import CALLS, Call, Step
from airflow_sm_hosting.service_model.shapes import service_model

PACKAGE = Path(__file__).parents[2] / "airflow_sm_hosting"
PARTS = ("deployment", "deployer")
#: How the names of operations begin that change nothing.
READS = (
    "Describe",
    "List",
    "Get",
    "BatchGet",
    "Head",
    "Invoke",
    "Search",
    "Filter",
    "Lookup",
    "Simulate",
    "Select",
)


def subclasses(of: type[Step]) -> Iterator[type[Step]]:
    for one in of.__subclasses__():
        yield one
        yield from subclasses(one)


def trees(part: str) -> Iterator[tuple[Path, ast.Module]]:
    for path in sorted((PACKAGE / part).rglob("*.py")):
        yield path, ast.parse(path.read_text())


def test_every_step_has_one_adapter_and_every_call_is_a_step() -> None:
    concrete = {one for one in subclasses(Step) if "operation" in vars(one) or not issubclass(one, Call)}
    assert concrete - {Call, steps.Wait} == set(ADAPTERS)
    assert set(CALLS) == {one for one in concrete if issubclass(one, Call)} - {Call}
    assert len(CALLS) == len(set(CALLS))


def test_each_operation_has_one_step_class() -> None:
    named = Counter((call.service, call.operation) for call in CALLS)
    assert {operation: count for operation, count in named.items() if count > 1} == {}
    for service, operation in named:
        assert operation in service_model(service).operation_names
        assert not operation.startswith(READS)


@pytest.mark.parametrize("part", PARTS)
def test_an_operation_that_changes_something_is_named_nowhere_else(part: str) -> None:
    """As a text: in the step class. As a call of a client: in the adapter."""
    operations = {call.operation for call in CALLS}
    methods = {xform_name(operation) for operation in operations}
    texts: Counter[str] = Counter()
    calls: Counter[str] = Counter()
    for _, tree in trees(part):
        documented = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
                texts.update(
                    operations & set(re.findall(r"\w+", node.value)) if node.value in operations else ()
                )
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                calls.update({node.func.attr} & methods)
    # TagResource is an operation of two services.
    expected = {"deployment": Counter(call.operation for call in CALLS), "deployer": Counter()}[part]
    assert texts == expected
    assert all(count == 1 for count in calls.values()), calls
    if part == "deployment":
        assert not calls


def test_no_other_client_method_changes_anything_in_the_deployer() -> None:
    """Whatever a client is asked for in ``deployer/`` is a read, or the operation of a step."""
    methods = {xform_name(call.operation) for call in CALLS}
    writes = {
        xform_name(operation)
        for service in ("sagemaker", "application-autoscaling", "cloudwatch", "ecr", "s3", "iam")
        for operation in service_model(service).operation_names
        if not operation.startswith(READS)
    }
    asked = {
        node.func.attr
        for _, tree in trees("deployer")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Attribute | ast.Name)
        and getattr(node.func.value, "attr", getattr(node.func.value, "id", "")) in ("conn", "client")
    }
    assert asked & writes <= methods

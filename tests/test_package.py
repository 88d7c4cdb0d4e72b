"""The package as Airflow and its users meet it: metadata, lazy names, documentation, layout, what an import costs."""

from __future__ import annotations

import ast
import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk import BaseOperatorLink
from airflow.sdk.bases.operator import BaseOperator
from airflow.triggers.base import BaseTrigger

import airflow_sm_hosting
from airflow_sm_hosting.provider_info import get_provider_info

PACKAGE = Path(airflow_sm_hosting.__file__).parent
DISTRIBUTION = "airflow-provider-sm-hosting"
HEAVY = ("boto3", "botocore", "docker", "moto", "aiobotocore", "requests", "airflow.providers.amazon")
#: The four AWS parameters may be documented by the base class, and sensors have Airflow's own.
OF_THE_BASE = {"aws_conn_id", "region_name", "verify", "botocore_config"}


def names_of(kind: type) -> list[str]:
    return [
        name
        for name in airflow_sm_hosting.__all__
        if isinstance(found := getattr(airflow_sm_hosting, name), type) and issubclass(found, kind)
    ]


OPERATORS = names_of(BaseOperator)


# Provider metadata


def test_the_metadata_is_valid_under_airflows_schema() -> None:
    schema = json.loads((Path(airflow.__file__).parent / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_the_package_name_is_the_distributions() -> None:
    """A mismatch breaks every airflow command."""
    distribution = importlib.metadata.distribution(DISTRIBUTION)
    canonical = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
    assert get_provider_info()["package-name"] == canonical == DISTRIBUTION
    assert get_provider_info()["versions"] == [airflow_sm_hosting.__version__]


def test_the_entry_point_leads_to_the_metadata() -> None:
    (entry,) = importlib.metadata.distribution(DISTRIBUTION).entry_points.select(
        group="apache_airflow_provider"
    )
    assert entry.load()() == get_provider_info()


def test_every_module_that_the_metadata_names_can_be_imported_and_none_is_missing() -> None:
    info = get_provider_info()
    for kind in ("operators", "sensors", "hooks", "triggers"):
        named = [module for entry in info[kind] for module in entry["python-modules"]]
        assert len(named) == len(set(named))
        for module in named:
            importlib.import_module(module)
    there = {
        f"airflow_sm_hosting.operators.{path.stem}"
        for path in (PACKAGE / "operators").glob("*.py")
        if any(
            isinstance(node, ast.ClassDef) and node.name in OPERATORS
            for node in ast.parse(path.read_text()).body
        )
    }
    assert {module for entry in info["operators"] for module in entry["python-modules"]} == there


def test_every_link_is_named() -> None:
    named = set(get_provider_info()["extra-links"])
    for path in named:
        module, _, name = path.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), name), BaseOperatorLink)
    used = {
        f"{type(link).__module__}.{type(link).__qualname__}"
        for name in OPERATORS
        for link in getattr(airflow_sm_hosting, name).operator_extra_links
    }
    assert named == used


# Public names


def test_the_public_names_are_those_of_the_design() -> None:
    assert set(airflow_sm_hosting.__all__) >= {
        "BuildImageOperator", "UploadModelDataOperator", "CreateModelOperator", "CreateEndpointConfigOperator", "DeployEndpointOperator",
        "ConfigureAutoscalingOperator", "CreateLatencyAlarmOperator", "CreateEndpointAlarmOperator", "InvokeEndpointOperator",
        "DeleteEndpointOperator", "CheckContainerOperator", "EndpointInServiceSensor", "ModelHostingTaskGroup", "ContainerImage", "ModelData", "ContainerDefinition",
        "InstanceProductionVariant", "ServerlessProductionVariant", "AllAtOnce", "Canary", "Linear", "Rolling", "InvocationsScaling",
        "TargetTrackingScaling", "StepScaling", "ScheduledScaling", "EndpointMetric",
    }  # fmt: skip
    assert sorted(airflow_sm_hosting.__all__) == list(airflow_sm_hosting.__all__)
    assert set(airflow_sm_hosting.__all__) <= set(dir(airflow_sm_hosting))


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("operators", [name for name in OPERATORS if name.endswith("Operator")]),
        ("sensors", [name for name in OPERATORS if name.endswith("Sensor")]),
        ("hooks", ["SageMakerHostingHook", "CloudWatchHook", "ApplicationAutoScalingHook"]),
        ("task_groups", ["ModelHostingTaskGroup", "deploy_in_waves"]),
    ],
    ids=["operators", "sensors", "hooks", "task groups"],
)
def test_names_are_where_the_design_says(module: str, names: list[str]) -> None:
    found = importlib.import_module(f"airflow_sm_hosting.{module}")
    assert names
    for name in names:
        public = getattr(found, name)
        assert getattr(airflow_sm_hosting, name, public) is public


@pytest.mark.parametrize("name", [name for name in airflow_sm_hosting.__all__ if name != "__version__"])
def test_every_public_name_is_documented(name: str) -> None:
    found = getattr(airflow_sm_hosting, name)
    assert found.__name__ == name
    summary = (found.__doc__ or "").strip().splitlines()[0]
    assert len(summary) > 20
    for attribute, member in inspect.getmembers(found, inspect.isroutine):
        if not attribute.startswith("_") and attribute in vars(found):
            assert inspect.getdoc(member), attribute


@pytest.mark.parametrize("module", ["", ".operators", ".hooks"], ids=["package", "operators", "hooks"])
def test_a_name_that_is_not_there_is_an_attribute_error(module: str) -> None:
    found = importlib.import_module(f"airflow_sm_hosting{module}")
    with pytest.raises(AttributeError, match=r"NoSuchOperator"):
        _ = found.NoSuchOperator


# Documentation of parameters


def documented(text: str | None) -> list[str]:
    return re.findall(r"^\s*:param (\w+):", text or "", re.MULTILINE)


def parameters(function: Any) -> list[str]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    signature = inspect.signature(getattr(function, "__wrapped__", function))
    return [
        name for name, found in signature.parameters.items() if name != "self" and found.kind not in kinds
    ]


def documented_classes() -> list[str]:
    others = ["ContainerImage", "ModelData", "ModelPackage", "EndpointMetric", "__version__"]
    return [name for name in airflow_sm_hosting.__all__ if name not in others]


@pytest.mark.parametrize("name", documented_classes())
def test_every_parameter_is_documented_in_the_constructors_order(name: str) -> None:
    found = getattr(airflow_sm_hosting, name)
    told = [one for one in documented(found.__doc__) if one not in (OF_THE_BASE | {"kwargs", "members"})]
    function = found.__init__ if isinstance(found, type) else found
    asked = [one for one in parameters(function) if one not in OF_THE_BASE]
    # EndpointInServiceSensor documents Airflow's own timeout, whose meaning it narrows.
    told = [one for one in told if one in asked or one != "timeout"]
    assert told == asked


@pytest.mark.parametrize(
    "function",
    ["ContainerImage.from_asset", "ContainerImage.from_ecr_repository", "ContainerImage.from_dlc", "ModelData.from_asset",
     "ModelData.from_bucket", "ModelData.from_prefix", "ModelPackage.latest_approved", "ModelPackage.version", "ModelPackage.from_event"],
)  # fmt: skip
def test_every_parameter_of_a_maker_is_documented(function: str) -> None:
    owner, _, name = function.partition(".")
    found = getattr(getattr(airflow_sm_hosting, owner), name)
    assert documented(found.__doc__) == parameters(found)


@pytest.mark.parametrize(
    "name", [name for name in documented_classes() if isinstance(getattr(airflow_sm_hosting, name), type)]
)
def test_constructors_take_keywords_only(name: str) -> None:
    found = getattr(airflow_sm_hosting, name)
    signature = inspect.signature(getattr(found.__init__, "__wrapped__", found.__init__))
    positional = [
        one
        for one, kind in signature.parameters.items()
        if kind.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    assert positional == ["self"]


def all_parameters(operator: type) -> set[str]:
    return {
        name
        for owner in operator.__mro__
        if owner.__module__.startswith("airflow_sm_hosting") and "__init__" in vars(owner)
        for name in parameters(vars(owner)["__init__"])
    }


@pytest.mark.parametrize("name", OPERATORS)
def test_every_template_field_is_a_parameter_and_says_so(name: str) -> None:
    operator = getattr(airflow_sm_hosting, name)
    # Every operator has a method dry_run, so the attribute has another name.
    fields = ["dry_run" if field == "is_dry_run" else field for field in operator.template_fields]
    assert len(fields) == len(set(fields))
    assert set(fields) <= all_parameters(operator)
    assert set(operator.template_fields_renderers) <= set(fields)
    text = "".join(
        owner.__doc__ or "" for owner in operator.__mro__ if owner.__module__.startswith("airflow_sm_hosting")
    )
    blocks = re.split(r"^\s*:(?=param |raises |return)", text, flags=re.MULTILINE)
    templated = {
        match[1] for block in blocks if (match := re.match(r"param (\w+):", block)) and "(templated)" in block
    }
    assert set(fields) <= templated, set(fields) - templated
    own = {name for name in templated if name in parameters(operator.__init__)}
    assert own <= set(fields), own - set(fields)


# ApproveDeploymentOperator asks a person, and not AWS.
@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "ApproveDeploymentOperator"])
def test_every_operator_takes_the_four_aws_parameters(name: str) -> None:
    operator = getattr(airflow_sm_hosting, name)
    assert all_parameters(operator) >= OF_THE_BASE
    assert {"aws_conn_id", "region_name", "verify"} <= set(operator.template_fields)


def test_a_triggers_arguments_come_back_from_what_it_serialises() -> None:
    from airflow_sm_hosting.triggers.endpoint import EndpointTrigger

    assert issubclass(EndpointTrigger, BaseTrigger)
    given: dict[str, Any] = {
        "awaited": {"until": "settled", "endpoint_name": "churn"},
        "deadline": 2.0,
        "started_at": 1.0,
        "poll_interval": 5.0,
        "aws_conn_id": "mine",
        "region_name": "eu-west-1",
        "verify": False,
        "botocore_config": {"retries": {"max_attempts": 3}},
    }
    path, arguments = EndpointTrigger(**given).serialize()
    assert path == "airflow_sm_hosting.triggers.endpoint.EndpointTrigger"
    assert set(arguments) == set(parameters(EndpointTrigger.__init__)) - {"unknown"}
    assert {name: arguments[name] for name in given} == given
    assert json.loads(json.dumps(arguments)) == arguments


# What an import costs


def public_modules() -> list[str]:
    """The modules that DAG files import, directly or by a public name."""
    found = ["airflow_sm_hosting", "airflow_sm_hosting.links", "airflow_sm_hosting.exceptions"]
    for part in ("operators", "sensors", "triggers", "task_groups", "spec", "deployment"):
        found.append(f"airflow_sm_hosting.{part}")
        found += [
            f"airflow_sm_hosting.{part}.{module.name}"
            for module in pkgutil.iter_modules([str(PACKAGE / part)])
        ]
    return found


#: One process for each group of modules: forked, so that airflow.sdk is imported once.
IMPORTS = """
import json, os, sys
import airflow.sdk
from airflow.sdk import BaseOperator, BaseSensorOperator, BaseOperatorLink, DAG, TaskGroup
heavy = {heavy!r}
is_heavy = lambda name: any(name == one or name.startswith(one + ".") for one in heavy)
before = set(sys.modules)
for group in {groups!r}:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        try:
            for module in group:
                __import__(module)
            if group == ["airflow_sm_hosting"]:
                import airflow_sm_hosting
                for name in airflow_sm_hosting.__all__:
                    getattr(airflow_sm_hosting, name)
            added = sorted(filter(is_heavy, set(sys.modules) - before))
        except BaseException as error:
            added = [repr(error)]
        os.write(writer, json.dumps(added).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        print("GROUP", json.dumps([group, json.load(answer)]))
    os.waitpid(child, 0)
"""


def heavy_modules_of(groups: list[list[str]]) -> list[tuple[list[str], list[str]]]:
    """Import each group of modules in a process of its own, and return the groups that load heavy modules, with these."""
    script = IMPORTS.format(heavy=HEAVY, groups=groups)
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=120, check=True
    )
    lines = [line.removeprefix("GROUP ") for line in answer.stdout.splitlines() if line.startswith("GROUP ")]
    found = [json.loads(line) for line in lines]
    assert [group for group, _ in found] == groups
    return [(group, added) for group, added in found if added]


def test_using_every_public_name_or_importing_all_public_modules_loads_nothing_heavy() -> None:
    assert len(public_modules()) > 35
    assert heavy_modules_of([["airflow_sm_hosting"], public_modules()]) == []


@pytest.mark.slow
def test_each_public_module_can_be_imported_by_itself() -> None:
    assert heavy_modules_of([[module] for module in public_modules()]) == []


def test_the_package_itself_imports_nothing_of_its_parts() -> None:
    script = (
        "import sys, airflow_sm_hosting; print(sorted(m for m in sys.modules if m.startswith('airflow')))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "['airflow_sm_hosting']"


def test_specs_and_decisions_need_neither_airflow_nor_boto3() -> None:
    modules = [name for name in public_modules() if re.match(r"airflow_sm_hosting\.(spec|deployment)", name)]
    script = (
        "import importlib, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'airflow', 'boto3', 'botocore', 'jinja2', 'docker'}))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert answer.stdout.strip() == "[]"


# What is imported where; tests/test_layout.py holds the layout.


def imports(path: Path, *, at_module_level: bool = False) -> Iterator[str]:
    """Yield the modules that a file imports; type checking's do not count, nor, if asked, those inside functions."""

    def walk(node: ast.AST) -> Iterator[str]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                continue
            if at_module_level and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(child, ast.Import):
                yield from (alias.name for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert child.level == 0, f"{path}: a relative import"
                module = child.module or ""
                yield from (
                    [f"{module}.{alias.name}" for alias in child.names]
                    if module == "airflow_sm_hosting"
                    else [module]
                )
            yield from walk(child)

    yield from walk(ast.parse(path.read_text()))


def test_heavy_modules_are_imported_at_module_level_only_where_no_dag_file_looks() -> None:
    free = {
        "service_model",
        "hooks",
        "deployer",
        "images",
        "artifacts",
        "container_check",
        "local",
        "testing",
    }
    # hooks.parameters holds what the operators' own modules need.
    against = {
        f"{path.relative_to(PACKAGE)} imports {module}"
        for path in PACKAGE.rglob("*.py")
        if path.relative_to(PACKAGE).parts[0] not in free or path.name == "parameters.py"
        for module in imports(path, at_module_level=True)
        if any(module == heavy or module.startswith(f"{heavy}.") for heavy in HEAVY)
    }
    assert against == set()


def test_no_exception_is_a_bare_one_of_airflow() -> None:
    against = {
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Raise)
        and isinstance(node.exc, ast.Call)
        and getattr(node.exc.func, "id", "") in ("AirflowException", "Exception")
    }
    assert against == set()


def test_every_error_of_ours_has_one_root() -> None:
    from airflow_sm_hosting import exceptions

    for _, found in inspect.getmembers(exceptions, inspect.isclass):
        if found.__module__ == exceptions.__name__:
            assert issubclass(found, exceptions.SageMakerHostingError)
            assert found.__doc__


def test_the_package_is_typed() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_the_guide_that_a_docstring_names_is_there() -> None:
    headings = {
        heading.strip().lower().replace(" ", "-")
        for heading in re.findall(
            r"^## (.*)$", (PACKAGE.parent / "docs/operators.md").read_text(), re.MULTILINE
        )
    }
    named = {
        anchor
        for path in PACKAGE.rglob("*.py")
        for anchor in re.findall(r"docs/operators\.md#([\w-]+)", path.read_text())
    }
    assert len(named) > 15
    assert named <= headings
    assert not [path for path in PACKAGE.rglob("*.py") if ":ref:`" in path.read_text()]

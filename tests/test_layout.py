"""The layout of the package: which part imports which, no circle of modules, no crowded folder, moto in one place.

Imports in functions and for the type checker count as those at the top of a module do.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import airflow_sm_hosting

PACKAGE = airflow_sm_hosting.__name__
ROOT = Path(airflow_sm_hosting.__file__).parent

# Parts that several others import.
LOCAL_GROUND = {"local", "local.wire", "local.moto_bridge"}
ENDPOINTS = {"local.sagemaker", "local.sagemaker.endpoints"}
HOSTING = {*ENDPOINTS, "local.sagemaker.components"}
PACKAGES = "local.sagemaker.packages"
SEARCH = "local.sagemaker.search"

#: The parts of the package (folders, and modules beside them), and which other parts each imports. A part imports only parts that stand
#: before it, so the floors are one-way.
FLOORS: dict[str, set[str]] = {
    "": set(),
    "provider_info": {""},
    "exceptions": set(),
    "links": set(),
    "endpoint_asset": set(),
    "lineage": {"endpoint_asset"},
    "retries": {"exceptions"},
    # What to deploy; deciding; the requests that AWS takes. All of it pure.
    "spec": {"exceptions"},
    "deployment": {"exceptions", "spec"},
    "policies": {"exceptions", "spec"},
    "service_model": {"exceptions", "spec"},
    "fields": {"exceptions", "spec"},
    "error_log": {"exceptions"},
    "guarded_task": {"error_log", "spec"},
    # Asking AWS, and doing.
    "work_folder": set(),
    "stat_cache": set(),
    "byte_progress": set(),
    "tar_members": set(),
    "images": {"byte_progress", "exceptions", "spec", "stat_cache", "tar_members", "work_folder"},
    "images.codebuild": {"exceptions", "spec", "images"},
    "artifacts": {"byte_progress", "exceptions", "stat_cache", "spec", "tar_members"},
    "container_check": {"artifacts", "exceptions", "images", "spec", "work_folder"},
    "hooks": {"exceptions", "fields", "policies", "service_model", "spec"},
    "metrics": {"hooks"},
    "deployer": {
        *("deployment", "exceptions", "hooks", "service_model", "spec"),
        *("images", "images.codebuild", "artifacts", "work_folder"),
    },
    # What people put into their DAGs.
    "triggers": {"deployer", "deployment", "exceptions", "hooks", "images.codebuild", "spec"},
    "sensors": {
        *("exceptions", "links", "retries", "spec", "fields", "guarded_task"),
        *("deployment", "hooks", "deployer", "triggers"),
    },
    "operators": {
        *(
            "",
            "exceptions",
            "links",
            "retries",
            "spec",
            "fields",
            "guarded_task",
            "policies",
            "service_model",
            "work_folder",
            "stat_cache",
        ),
        *(
            "images",
            "images.codebuild",
            "artifacts",
            "container_check",
            "deployment",
            "hooks",
            "deployer",
            "triggers",
            "endpoint_asset",
            "lineage",
        ),
    },
    "task_groups": {"deployment", "exceptions", "fields", "hooks", "operators", "sensors", "spec"},
    "notifications": {"deployment"},
    # What Airflow's UI shows: on top, as nothing that a DAG file imports needs it.
    "ui": {"", "endpoint_asset", "lineage", "notifications"},
    # The local AWS: nothing of the operators, hooks or deployer.
    "local": {"tar_members"},
    "local.wire": {"service_model"},
    "local.moto_bridge": {"local.wire"},
    "local.stand_ins": {"spec"},
    "local.stand_ins.container": set(),
    "local.ecr": {"local.wire", "local.moto_bridge", "local.stand_ins"},
    "local.iam": {"local.wire", "local.moto_bridge"},
    "local.cloudwatch": LOCAL_GROUND,
    "local.tagging": {"local.wire", "local.moto_bridge"},
    "local.engines": {"exceptions", "local", "local.ecr", "local.stand_ins", "local.stand_ins.container"},
    "local.codebuild": {*LOCAL_GROUND, "local.engines"},
    "local.sagemaker": {*LOCAL_GROUND, "local.ecr", "spec"},
    "local.sagemaker.endpoints": {
        *LOCAL_GROUND,
        *("local.ecr", "local.cloudwatch", "local.engines", "local.sagemaker"),
    },
    "local.sagemaker.components": {*LOCAL_GROUND, "local.ecr", *ENDPOINTS},
    PACKAGES: {"local.wire", "local.moto_bridge", "local.ecr", "local.sagemaker"},
    SEARCH: {"local.wire", *ENDPOINTS, PACKAGES, "service_model"},
    "local.runtime": {*LOCAL_GROUND, "local.engines", *HOSTING, "service_model"},
    "local.autoscaling": {*LOCAL_GROUND, "local.cloudwatch", *HOSTING},
    "local.cloudformation": {*LOCAL_GROUND, "service_model"},
    "local.server": {
        *("", *LOCAL_GROUND, "local.ecr", "local.iam", "local.cloudwatch", "local.engines"),
        *("local.stand_ins", *HOSTING, PACKAGES, SEARCH, "local.runtime", "local.autoscaling"),
        *("local.codebuild", "local.tagging", "local.cloudformation"),
    },
    # The access key of a server, and the warning of an engine; it starts the server's process and talks to it over HTTP.
    "local.client": {"exceptions", "local", "local.engines"},
    "testing": {"local"},
    "cli": {
        *("", "exceptions", "spec", "deployment", "hooks", "service_model", "deployer"),
        *("container_check", "local", "local.client", "local.engines", "local.server"),
    },
}
#: Packages that hand out their public names, which are imported when they are asked for.
LAZY = (PACKAGE, f"{PACKAGE}.local")
#: The most modules of a folder whose modules are services.
MOST_MODULES = 15
CROWDED = ("hooks", "local")


def modules() -> dict[str, Path]:
    """Return all modules by name."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join((PACKAGE, *parts)).removesuffix(".__init__")] = path
    return found


MODULES = modules()
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(name: str) -> Iterator[str]:
    """Return the modules that a module imports: at its top, in functions and for types only."""
    for node in ast.walk(TREES[name]):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{name}: relative imports hide where a name comes from"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in MODULES else node.module


EDGES = {
    name: set() if name in LAZY else {other for other in imports(name) if other in MODULES} - {name}
    for name in MODULES
}


def part(name: str) -> str:
    """Return the part that a module is of: its folder, or its own name if it lies beside the folders."""
    inside = name.removeprefix(PACKAGE).lstrip(".")
    return inside if MODULES[name].name == "__init__.py" else inside.rpartition(".")[0] or inside


def test_the_table_has_every_part_and_its_floors_are_one_way() -> None:
    assert {part(name) for name in MODULES} == set(FLOORS)
    order = list(FLOORS)
    for name, below in FLOORS.items():
        assert all(order.index(other) < order.index(name) for other in below), name


@pytest.mark.parametrize("name", FLOORS)
def test_a_part_imports_only_its_floors(name: str) -> None:
    found = {part(other) for module in MODULES if part(module) == name for other in EDGES[module]}
    assert found - {name} == FLOORS[name]


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {name: set(others) for name, others in EDGES.items()}
    while free := {name for name, others in left.items() if not others}:
        left = {name: others - free for name, others in left.items() if name not in free}
    assert not left, f"in circles, or above them: {sorted(left)}"


@pytest.mark.parametrize("name", LAZY)
def test_public_names_are_imported_only_in_functions_and_for_types(name: str) -> None:
    at_the_top = [node.module for node in TREES[name].body if isinstance(node, ast.ImportFrom)]
    assert not [module for module in at_the_top if str(module).startswith(PACKAGE)]


# Spec objects name types of Airflow and boto3 for the type checker only: see tests/test_package.py.
@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("spec", {"airflow", "types_boto3_sagemaker"}),
        ("deployment", set()),
        ("policies", set()),
        ("service_model", {"botocore"}),
    ],
)
def test_a_pure_part_imports_only_the_standard_library_and_what_it_models(
    name: str, allowed: set[str]
) -> None:
    outside = {
        (module, other)
        for module in MODULES
        if part(module) == name
        for other in imports(module)
        if other.split(".")[0] not in sys.stdlib_module_names | {PACKAGE} | allowed
    }
    assert outside == set()


def test_the_local_aws_does_not_import_airflow() -> None:
    found = {
        name
        for name in MODULES
        if part(name).startswith("local")
        for other in imports(name)
        if other.split(".")[0] == "airflow"
    }
    assert found == set()


def test_no_folder_has_too_many_modules() -> None:
    for name in FLOORS:
        inside = [module for module in MODULES if part(module) == name and "." in module]
        if name.startswith(CROWDED):
            assert len(inside) <= MOST_MODULES, name


def test_only_the_bridge_imports_moto() -> None:
    found = {
        part(name)
        for name in MODULES
        if any(other == "moto" or other.startswith("moto.") for other in imports(name))
    }
    assert found == {"local.moto_bridge"}


def test_no_two_things_share_a_name() -> None:
    """Neither within the local AWS, nor with another part of the package."""
    homes: dict[str, list[str]] = {}
    for name, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(name)
    shared = {
        name: found
        for name, found in homes.items()
        if len(found) > 1 and name != "main" and any(f"{PACKAGE}.local." in home for home in found)
    }
    assert not shared
